//! The report's exceptions: what somebody should look at, and why.

use super::super::row::{RowView, value};
use super::on_trust;
use crate::message::worded;

worded! {
    /// Why somebody should look at a redemption.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) enum ExceptionReason {
        DeclinedAfterTheFact = "declined_after_the_fact",
        Owed = "owed",
        OwedOfMany = "owed",
        InVain = "in_vain",
        Unreadable = "parked_unreadable",
        Doubt = "parked_in_doubt",
        Moved = "parked_moved",
        Damaged = "parked_damaged",
        DuplicateOfOurs = "duplicate_of_ours",
        TakenBack = "taken_back",
    }
}

impl ExceptionReason {
    /// Every reason that holds for a row; most have none. What was lost stays lost, whoever has
    /// seen to it; the others are listed until somebody has.
    pub(super) fn of(row: &RowView) -> impl Iterator<Item = Self> {
        let is_lost = (row.lost || row.state == "declined") && on_trust(row);
        let open = [
            row.duplicate_of_ours.then_some(Self::DuplicateOfOurs),
            Self::of_owed(row),
            Self::of_parked(row),
            row.taken_back.then_some(Self::TakenBack),
        ];
        let open = open.into_iter().flatten().filter(|_| !row.handled);
        is_lost.then_some(Self::DeclinedAfterTheFact).into_iter().chain(open)
    }

    /// The till was told no, and the provider took it.
    fn of_owed(row: &RowView) -> Option<Self> {
        let owed = if row.reusable { Self::OwedOfMany } else { Self::Owed };
        let owed = (row.owed && !row.owed_paid).then_some(owed);
        if row.in_vain { Some(Self::InVain) } else { owed }
    }

    fn of_parked(row: &RowView) -> Option<Self> {
        let why = match row.parked_for.as_deref() {
            Some("doubt") => Self::Doubt,
            Some("moved") => Self::Moved,
            Some("damaged") => Self::Damaged,
            _ => Self::Unreadable,
        };
        (row.state == "parked").then_some(why)
    }

    /// For people: what the console's inbox says of its group, and what to do.
    pub(super) fn meaning(self) -> String {
        match self {
            Self::DeclinedAfterTheFact => {
                "given before the provider had answered, and declined by it afterwards".to_owned()
            }
            Self::Owed => "owed to a customer: the till was told no, and the provider took the \
                code. The reward is there now: the next request for the code at any till gets it"
                .to_owned(),
            Self::OwedOfMany => "owed to a customer: the till was told no, and the provider took \
                the code, which may be used again and again. Whoever asks again uses it once more: \
                give the reward by hand, and say that it is `handled`"
                .to_owned(),
            Self::InVain => "perhaps given: the provider took the code, and whether the customer \
                has the reward is not known. It was given twice and perhaps not heard, or the \
                database is a copy or lost its row. Ask at the tills, and say that it is `handled`"
                .to_owned(),
            Self::DuplicateOfOurs => "counted as confirmed: the provider said \"already used\" \
                after an attempt of ours that may have arrived"
                .to_owned(),
            Self::TakenBack => "taken back by its till after it was given: is the reward still in \
                the store? Ask at the till, and say that it is `handled`"
                .to_owned(),
            Self::Unreadable => parked(
                "the provider answered neither yes nor no, and whether it took the code is not \
                 known",
            ),
            Self::Doubt => parked(
                "the provider's word settles nothing: an earlier attempt, a copy of this gateway \
                 or another one may have used the code",
            ),
            Self::Moved => parked(
                "taken over from another gateway, it cannot go on by itself. Compare it with the \
                 redemption that holds its code, or with the gateway that it comes from",
            ),
            Self::Damaged => parked(
                "the disk damaged it, and what could be read of it was restored. Compare it with \
                 the provider's side",
            ),
        }
    }
}

fn parked(why: &str) -> String {
    format!("parked: {why}. Decide with `retry` or `void`, or say that it is `handled`")
}

#[derive(Clone, Debug)]
pub(super) struct Exception {
    pub(super) reason: ExceptionReason,
    pub(super) day: String,
    pub(super) row: RowView,
}

/// A column of the exceptions: its head, and its cell in the line of one.
pub(super) type ExceptionColumn = (&'static str, fn(&Exception) -> String);

/// In the order in which they are shown.
pub(super) const COLUMNS: [ExceptionColumn; 10] = [
    ("ID", |one| one.row.id.clone()),
    ("DAY", |one| one.day.clone()),
    ("TILL'S DATE", |one| one.row.date.clone()),
    ("TILL", |one| one.row.till.clone()),
    ("BUSINESS", |one| one.row.business_refrence.clone()),
    ("CODE", |one| one.row.reward_code.clone()),
    ("VALUE", |one| value(&one.row)),
    ("RULE", |one| one.row.rule.clone().unwrap_or_default()),
    ("HANDLED", |one| {
        let note = || one.row.handled_note.clone().unwrap_or("yes".to_owned());
        one.row.handled.then(note).unwrap_or_default()
    }),
    ("WHY", |one| why(&one.row)),
];

/// Left out where no line has anything in them: most have neither a rule nor a person's note.
pub(super) const COLUMNS_IF_ANY: [&str; 2] = ["RULE", "HANDLED"];

/// What was noted of it, else what the provider said. What it said of one that was sent again since
/// stands among its events.
fn why(row: &RowView) -> String {
    let is_sent_again = row.lost && row.state != "declined";
    let since = || format!("declined, and {} since it was sent again", row.state);
    let said = row.note.clone().or_else(|| row.provider_said.clone());
    said.or_else(|| is_sent_again.then(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::view;
    use super::*;

    #[test]
    fn a_decline_that_was_sent_again_says_what_it_was() {
        let lost = |state, note| {
            let since = [("lost", json!(true)), ("trusted", json!(true)), ("note", note)];
            why(&view("1-a", state, false, &since))
        };
        assert_eq!(
            lost("confirmed", Value::Null),
            "declined, and confirmed since it was sent again"
        );
        assert_eq!(lost("voided", json!("the customer paid")), "the customer paid");
        assert_eq!(lost("declined", Value::Null), "");
    }

    #[test]
    fn each_group_of_the_inbox_is_a_reason_of_its_own() {
        let confirmed = |mark: &str| {
            view("1-a", "confirmed", true, &[("trusted", json!(false)), (mark, json!(true))])
        };
        let parked = |why: Value| view("1-a", "parked", true, &[("parked_for", why)]);
        let taken_back = [("trusted", json!(true)), ("taken_back", json!(true))];
        let mut in_vain = confirmed("in_vain");
        in_vain.owed_paid = true;
        let mut of_many = confirmed("owed");
        of_many.reusable = true;
        let meaning = ExceptionReason::of(&of_many).map(ExceptionReason::meaning).next().unwrap();
        assert!(meaning.contains("by hand") && !meaning.contains("next request"), "{meaning}");
        for (row, word) in [
            (confirmed("owed"), "owed"),
            (in_vain, "in_vain"),
            (of_many, "owed"),
            (confirmed("duplicate_of_ours"), "duplicate_of_ours"),
            (parked(json!("unreadable")), "parked_unreadable"),
            (parked(json!("doubt")), "parked_in_doubt"),
            (parked(json!("moved")), "parked_moved"),
            (parked(json!("damaged")), "parked_damaged"),
            (parked(Value::Null), "parked_unreadable"),
            (view("1-a", "voided", false, &taken_back), "taken_back"),
        ] {
            let found: Vec<_> = ExceptionReason::of(&row).map(ExceptionReason::as_str).collect();
            assert_eq!(found, [word]);
            let seen_to = RowView { handled: true, ..row };
            assert_eq!(ExceptionReason::of(&seen_to).count(), 0, "{word}");
        }
    }
}
