//! What a redemption counts for in the figures of its till and day. A sum of them is the same in
//! whatever order rows came and changed, so that it is kept with each change and can be counted
//! again.

use super::row::{Row, is_trusted, kind, mark};
use crate::redemption::State;

/// How many figures there are.
pub const FIGURES: usize = 12;

/// Figures of one redemption, of a change, or summed over many. All but `owed` and `paid` are about
/// those that were given on trust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Figures(pub [i64; FIGURES]);

impl Figures {
    /// What each is called, in the table's columns and in the API.
    pub const NAMES: [&str; FIGURES] = [
        "given",
        "late",
        "pending",
        "confirmed",
        "declined",
        "parked",
        "voided",
        "inferred",
        "lost",
        "owed",
        "paid",
        "taken_back",
    ];

    /// What a row counts for as it stands.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self::of_bits(row.kind, row.marks, row.state)
    }

    /// What a row of these bits of [`kind`] and [`mark`] counts for in this state.
    #[must_use]
    pub fn of_bits(kind: i64, marks: i64, now: State) -> Self {
        let (given, has) = (is_trusted(kind, marks), |mark: i64| marks & mark != 0);
        let state = |state| now == state;
        let all = [
            given,
            given && kind & kind::ONLINE != 0 && !has(mark::NOT_ASKED),
            given && state(State::Pending),
            given && state(State::Confirmed),
            given && state(State::Declined),
            given && state(State::Parked),
            given && state(State::Voided),
            given && has(mark::DUPLICATE_OF_OURS),
            given && (has(mark::LOST) || state(State::Declined)),
            has(mark::OWED),
            has(mark::OWED_PAID),
            given && has(mark::TAKEN_BACK),
        ];
        Self(all.map(i64::from))
    }

    /// How many are owed.
    #[must_use]
    pub fn owed(self) -> i64 {
        let [.., owed, _, _] = self.0;
        owed
    }

    /// Nothing is counted.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// These and others.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self;
        sum.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(figure, more)| *figure = figure.saturating_add(more));
        sum
    }

    /// These without others.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.plus(Self(other.0.map(i64::saturating_neg)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: i64 = kind::MARKED;

    fn figure(kind: i64, marks: i64, state: State) -> Vec<&'static str> {
        let Figures(all) = Figures::of_bits(kind, marks, state);
        Figures::NAMES
            .into_iter()
            .zip(all)
            .filter(|(_, figure)| *figure != 0)
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn a_row_counts_for_what_became_of_it_and_only_if_it_was_given() {
        let trusted = mark::TRUSTED;
        for (kind, marks, state, expected) in [
            (GIVEN, 0, State::Confirmed, &[][..]),
            (GIVEN, mark::ANSWERED, State::Declined, &[]),
            (GIVEN, trusted, State::Pending, &["given", "pending"]),
            (GIVEN | kind::ONLINE, trusted, State::Confirmed, &["given", "late", "confirmed"]),
            (
                GIVEN | kind::ONLINE,
                trusted | mark::NOT_ASKED,
                State::Pending,
                &["given", "pending"],
            ),
            (GIVEN, trusted | mark::LOST, State::Declined, &["given", "declined", "lost"]),
            (GIVEN, trusted | mark::LOST, State::Confirmed, &["given", "confirmed", "lost"]),
            (
                GIVEN,
                trusted | mark::DUPLICATE_OF_OURS,
                State::Confirmed,
                &["given", "confirmed", "inferred"],
            ),
            (GIVEN, trusted, State::Parked, &["given", "parked"]),
            (GIVEN, trusted | mark::TAKEN_BACK, State::Voided, &["given", "voided", "taken_back"]),
            (GIVEN, mark::REFUSED_AT_TILL | mark::OWED, State::Confirmed, &["owed"]),
            (GIVEN, mark::REFUSED_AT_TILL | mark::OWED_PAID, State::Confirmed, &["paid"]),
            (GIVEN, mark::TURNED_AWAY, State::Voided, &[]),
            (0, 0, State::Confirmed, &["given", "confirmed"]),
        ] {
            assert_eq!(figure(kind, marks, state), expected, "{kind} {marks} {state}");
        }
    }

    #[test]
    fn what_is_added_and_taken_away_again_is_nothing() {
        let one = Figures::of_bits(GIVEN, mark::TRUSTED, State::Pending);
        assert!(one.plus(one).less(one).less(one).is_nothing() && !one.is_nothing());
    }
}
