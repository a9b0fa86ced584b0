//! The books at a rehearsal's end: the gateway's, the provider's, and what was acknowledged at the
//! till.

use serde::Serialize;

use crate::sandbox::Summary;
use crate::store::Counts;

/// Everything that a rehearsal's end is judged by.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct FinalBooks {
    /// What tills were told "accepted" or "confirmed" about.
    pub(super) acknowledged: u64,
    /// What tills were refused by the offline limits.
    pub(super) refused: u64,
    pub(super) gateway: Counts,
    pub(super) provider: Summary,
}

impl FinalBooks {
    /// What is wrong, each in one line; nothing if the books balance and agree.
    pub(super) fn problems(&self) -> Vec<String> {
        let Counts { accepted, pending, confirmed, declined, parked, voided } = self.gateway;
        let Summary { codes_taken, keys_seen, codes_under_two_keys, keys_with_two_codes, .. } =
            self.provider;
        let sum = pending + confirmed + declined + parked + voided;
        let checks = [
            (accepted == sum, format!("accepted {accepted} is not the sum of the states, {sum}")),
            (pending == 0, format!("{pending} still pending")),
            // One that was asked about in vain and not given is voided, and its till was told so.
            (
                accepted.saturating_sub(voided) == self.acknowledged,
                format!(
                    "{} acknowledged at the till, {accepted} accepted of which {voided} are voided",
                    self.acknowledged
                ),
            ),
            (
                voided <= self.refused,
                format!("{voided} voided, and {} refused at the till", self.refused),
            ),
            (
                confirmed + voided == accepted,
                format!("{confirmed} confirmed and {voided} voided of {accepted} accepted"),
            ),
            (
                codes_taken == confirmed,
                format!("codes that the provider took: {codes_taken}, confirmed here: {confirmed}"),
            ),
            (
                keys_seen == codes_taken,
                format!(
                    "keys that the provider saw: {keys_seen}, codes that it took: {codes_taken}"
                ),
            ),
            (
                codes_under_two_keys == 0,
                format!("codes that came under two keys: {codes_under_two_keys}"),
            ),
            (
                keys_with_two_codes == 0,
                format!("keys that came with two codes: {keys_with_two_codes}"),
            ),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> FinalBooks {
        let gateway = Counts { accepted: 5, confirmed: 5, ..Counts::default() };
        let provider = Summary { codes_taken: 5, keys_seen: 5, ..Summary::default() };
        FinalBooks { acknowledged: 5, refused: 2, gateway, provider }
    }

    #[test]
    fn books_that_balance_and_agree_have_no_problem() {
        assert_eq!(good().problems(), Vec::<String>::new());
    }

    #[test]
    fn what_was_not_given_and_is_voided_is_no_disagreement() {
        let mut books = good();
        (books.gateway.accepted, books.gateway.voided) = (7, 2);
        assert_eq!(books.problems(), Vec::<String>::new());
        (books.gateway.accepted, books.gateway.voided) = (8, 3);
        assert!(!books.problems().is_empty(), "two were refused");
    }

    #[test]
    fn each_single_disagreement_is_a_problem() {
        let spoil: [fn(&mut FinalBooks); 9] = [
            |books| (books.gateway.confirmed, books.gateway.voided) = (4, 1),
            |books| books.acknowledged += 1,
            |books| books.gateway.accepted += 1,
            |books| books.gateway.pending += 1,
            |books| books.gateway.confirmed -= 1,
            |books| (books.gateway.confirmed, books.gateway.declined) = (4, 1),
            |books| books.provider.codes_taken += 1,
            |books| books.provider.codes_under_two_keys += 1,
            |books| books.provider.keys_with_two_codes += 1,
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut books = good();
            spoil(&mut books);
            assert!(!books.problems().is_empty(), "{number}");
        }
    }
}
