//! Rows that wait their own backoff, in bounded space.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Dice, backoff};
use crate::redemption::Seq;

/// The longest wait of a single row.
const ROW_RETRY_MAX: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug)]
struct Wait {
    failures: u32,
    /// `None`: due, or being tried.
    until: Option<Duration>,
}

/// The rows that failed by themselves.
#[derive(Clone, Debug, Default)]
pub struct Waits(BTreeMap<Seq, Wait>);

impl Waits {
    /// How many rows are remembered; beyond that the one that is due first is forgotten and tried
    /// earlier.
    const ROWS_MAX: usize = 4096;

    /// Whether the row never failed by itself.
    #[must_use]
    pub fn is_first(&self, seq: Seq) -> bool {
        self.0.get(&seq).is_none_or(|wait| wait.failures == 0)
    }

    /// The row failed by itself once more.
    pub fn failed(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        self.0.entry(seq).or_insert(Wait { failures: 0, until: None }).failures += 1;
        self.waits(seq, now, min, dice);
    }

    /// The row failed with others, for no fault that is known to be its own: it waits no longer
    /// than before.
    pub fn failed_with_others(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        self.waits(seq, now, min, dice);
    }

    fn waits(&mut self, seq: Seq, now: Duration, min: Duration, dice: &mut Dice) {
        let wait = self.0.entry(seq).or_insert(Wait { failures: 0, until: None });
        wait.until = Some(now + backoff(dice, wait.failures, min, ROW_RETRY_MAX));
        if self.0.len() > Self::ROWS_MAX
            && let Some(first) = self.first_due().map(|(_, seq)| seq)
        {
            self.0.remove(&first);
        }
    }

    /// The row was settled, or taken back.
    pub fn settled(&mut self, seq: Seq) {
        self.0.remove(&seq);
    }

    fn first_due(&self) -> Option<(Duration, Seq)> {
        self.0.iter().filter_map(|(seq, wait)| wait.until.map(|until| (until, *seq))).min()
    }

    /// When the next row is due.
    #[must_use]
    pub fn next_moment(&self) -> Option<Duration> {
        self.first_due().map(|(until, _)| until)
    }

    /// Rows that are due by `now`, at most `limit`; they do not wait any more.
    pub fn take_due(&mut self, now: Duration, limit: usize) -> Vec<Seq> {
        let due = self
            .0
            .iter_mut()
            .filter(|(_, wait)| wait.until.is_some_and(|until| until <= now))
            .take(limit);
        due.map(|(seq, wait)| {
            wait.until = None;
            *seq
        })
        .collect()
    }

    /// Rows that were due and could not be tried after all are due again.
    pub fn put_back(&mut self, seqs: &[Seq], now: Duration) {
        for seq in seqs {
            if let Some(wait) = self.0.get_mut(seq) {
                wait.until = wait.until.or(Some(now));
            }
        }
    }

    /// The row waits at least until then, for no fault of its own.
    pub fn holds_off(&mut self, seq: Seq, until: Duration) {
        let wait = self.0.entry(seq).or_insert(Wait { failures: 0, until: None });
        wait.until = wait.until.max(Some(until));
    }

    /// The row is tried again at once if it waits.
    pub fn is_due(&mut self, seq: Seq, now: Duration) {
        if let Some(wait) = self.0.get_mut(&seq).filter(|wait| wait.until.is_some()) {
            wait.until = Some(now);
        }
    }

    /// Rows that must not be claimed now, in order.
    #[must_use]
    pub fn waiting(&self) -> Vec<Seq> {
        self.0.iter().filter(|(_, wait)| wait.until.is_some()).map(|(seq, _)| *seq).collect()
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
        assert_eq!(waits.0.len(), Waits::ROWS_MAX);
    }
}
