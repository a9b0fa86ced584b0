//! Rows that wait their own backoff, in bounded space.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Dice, backoff};
use crate::redemption::Seq;

/// The longest wait of a single row.
const ROW_RETRY_MAX: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    failures: u32,
    /// `None`: due, or being tried.
    until: Option<Duration>,
}

/// The rows that failed by themselves.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    rows: BTreeMap<Seq, Wait>,
    /// Those that wait, by when they are due.
    due: BTreeSet<(Duration, Seq)>,
}

impl Waits {
    /// How many rows are remembered; beyond that the one that is due first is forgotten and tried
    /// earlier.
    const ROWS_MAX: usize = 4096;

    /// Whether the row never failed by itself.
    #[must_use]
    pub fn is_first(&self, seq: Seq) -> bool {
        self.rows.get(&seq).is_none_or(|wait| wait.failures == 0)
    }

    /// The row failed by itself once more.
    pub fn failed(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        self.rows.entry(seq).or_default().failures += 1;
        self.waits(seq, now, min, dice);
    }

    /// The row failed with others, for no fault that is known to be its own: it waits no longer
    /// than before.
    pub fn failed_with_others(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        self.waits(seq, now, min, dice);
    }

    fn waits(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        let failures = self.rows.get(&seq).map_or(0, |wait| wait.failures);
        self.set(seq, Some(now + backoff(dice, failures, min, ROW_RETRY_MAX)));
    }

    fn set(&mut self, seq: Seq, until: Option<Duration>) {
        let before = std::mem::replace(&mut self.rows.entry(seq).or_default().until, until);
        if let Some(before) = before {
            self.due.remove(&(before, seq));
        }
        self.due.extend(until.map(|until| (until, seq)));
        if self.rows.len() > Self::ROWS_MAX {
            let first = self.due.first().map(|(_, seq)| *seq);
            let first = first.or_else(|| self.rows.keys().next().copied());
            self.settled(first.unwrap_or(seq));
        }
    }

    /// The row was settled, or taken back.
    pub fn settled(&mut self, seq: Seq) {
        let until = self.rows.remove(&seq).and_then(|wait| wait.until);
        if let Some(until) = until {
            self.due.remove(&(until, seq));
        }
    }

    /// When the next row is due.
    #[must_use]
    pub fn next_moment(&self) -> Option<Duration> {
        self.due.first().map(|(until, _)| *until)
    }

    /// Rows that are due by `now`, those due first, at most `limit`; they do not wait any more.
    /// Those that never failed by themselves are forgotten: some were taken back meanwhile, and no
    /// word of that comes here.
    pub fn take_due(&mut self, now: Duration, limit: usize) -> Vec<Seq> {
        let due = self.due.iter().take_while(|(until, _)| *until <= now).take(limit);
        let due: Vec<Seq> = due.map(|(_, seq)| *seq).collect();
        for seq in &due {
            if self.is_first(*seq) { self.settled(*seq) } else { self.set(*seq, None) }
        }
        due
    }

    /// Rows that were due and could not be tried after all are due again.
    pub fn put_back(&mut self, seqs: &[Seq], now: Duration) {
        for seq in seqs {
            if self.rows.get(seq).is_some_and(|wait| wait.until.is_none()) {
                self.set(*seq, Some(now));
            }
        }
    }

    /// The row waits at least until then, for no fault of its own.
    pub fn holds_off(&mut self, seq: Seq, until: Duration) {
        let waits = self.rows.get(&seq).and_then(|wait| wait.until);
        self.set(seq, waits.max(Some(until)));
    }

    /// The row is tried again at once if it waits.
    pub fn is_due(&mut self, seq: Seq, now: Duration) {
        if self.rows.get(&seq).is_some_and(|wait| wait.until.is_some()) {
            self.set(seq, Some(now));
        }
    }

    /// Rows that must not be claimed now, in order.
    #[must_use]
    pub fn waiting(&self) -> Vec<Seq> {
        self.rows.iter().filter(|(_, wait)| wait.until.is_some()).map(|(seq, _)| *seq).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_row_waits_longer_each_time_and_never_above_a_quarter_of_an_hour() {
        let (mut waits, mut dice, mut now) = (Waits::default(), Dice::new(3), Duration::ZERO);
        for failures in 1..40 {
            waits.failed(Seq(1), now, SECOND, &mut dice);
            let until = waits.next_moment().expect("it waits");
            let ceiling = SECOND.saturating_mul(1 << failures.min(20)).min(ROW_RETRY_MAX);
            assert!(until >= now + SECOND && until <= now + ceiling);
            assert!(
                waits.take_due(until.saturating_sub(SECOND / 1000), 9).is_empty(),
                "not before its time"
            );
            now = until;
            assert_eq!(waits.take_due(now, 9), [Seq(1)]);
            assert!(waits.waiting().is_empty());
        }
    }

    #[test]
    fn a_row_that_fails_with_others_waits_the_shortest_time_and_has_not_failed_by_itself() {
        let (mut waits, mut dice) = (Waits::default(), Dice::new(3));
        for _ in 0..20 {
            waits.failed_with_others(Seq(1), Duration::ZERO, SECOND, &mut dice);
        }
        assert_eq!((waits.next_moment(), waits.is_first(Seq(1))), (Some(SECOND), true));
        waits.failed(Seq(1), Duration::ZERO, SECOND, &mut dice);
        assert!(!waits.is_first(Seq(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut waits, mut dice) = (Waits::default(), Dice::new(3));
        for seq in 0..5000 {
            waits.failed(Seq(seq), Duration::ZERO, SECOND, &mut dice);
        }
        assert_eq!(waits.rows.len(), Waits::ROWS_MAX);
        for seq in 0..9000 {
            waits.holds_off(Seq(seq), SECOND);
        }
        assert_eq!((waits.rows.len(), waits.due.len()), (Waits::ROWS_MAX, Waits::ROWS_MAX));
    }

    #[test]
    fn what_was_held_off_for_no_fault_of_its_own_is_forgotten_when_it_is_due() {
        let (mut waits, mut dice) = (Waits::default(), Dice::new(3));
        waits.failed(Seq(3), Duration::ZERO, SECOND, &mut dice);
        (1..4).for_each(|seq| waits.holds_off(Seq(seq), 9 * SECOND));
        assert_eq!(waits.waiting(), [Seq(1), Seq(2), Seq(3)]);
        assert_eq!((waits.take_due(9 * SECOND, 9).len(), waits.rows.len()), (3, 1));
        assert!(!waits.is_first(Seq(3)), "what failed by itself waits longer the next time");
        waits.put_back(&[Seq(1), Seq(3)], 9 * SECOND);
        assert_eq!((waits.waiting(), waits.next_moment()), (vec![Seq(3)], Some(9 * SECOND)));
    }
}
