//! The gateway's elapsed time: how long it has been on, and off between two clocks that can be
//! trusted. No step of the wall clock makes it jump.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{StoreError, keep};
use crate::clock::Stamp;

const NAME: &str = "elapsed";
/// It is kept so often: what a crash forgets of it makes rows younger, never older.
const KEEP_EVERY_MS: i64 = 60_000;
/// It is kept so often beside what must not seem younger after a crash.
const KEEP_CLOSELY_MS: i64 = 1000;
/// A stop counts for so long at most.
const STOP_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// A stop counts once the clock has stood by it for so long.
const PROOF_MS: i64 = 24 * 3_600_000;

/// The clock of what is kept and forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Elapsed {
    /// The elapsed time when this was kept, milliseconds.
    passed_ms: i64,
    /// A stop that the clock has told of and that does not count yet, milliseconds.
    stop_ms: i64,
    /// How long the gateway has been on since.
    proof_ms: i64,
    /// The wall clock when this was kept, Unix milliseconds.
    wall_ms: i64,
    /// Whether it was trusted then.
    trusted: bool,
    /// The process' uptime at the last look, milliseconds; `None` before the first.
    #[serde(skip)]
    looked_ms: Option<i64>,
    /// What was kept last.
    #[serde(skip)]
    kept_ms: i64,
    /// The elapsed time at the process' first look.
    #[serde(skip)]
    began_ms: i64,
}

/// A stop that the clock has told of and that does not count yet. What must not seem younger than
/// it is counts it all the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubted {
    /// The elapsed time when the process began, milliseconds: what is older was there before the
    /// stop.
    began_ms: i64,
    stop_ms: i64,
}

impl Doubted {
    /// How old something of the elapsed time `at_ms` is at `now_ms` at most, milliseconds.
    pub(super) fn age_ms(self, now_ms: i64, at_ms: i64) -> i64 {
        let stop_ms =
            if at_ms <= self.began_ms.saturating_add(KEEP_CLOSELY_MS) { self.stop_ms } else { 0 };
        now_ms.saturating_sub(at_ms).max(0).saturating_add(stop_ms)
    }
}

impl Elapsed {
    /// What the last process kept.
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let text = keep::read(connection, NAME)?.unwrap_or_default();
        let read: Self = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { kept_ms: read.passed_ms, ..read })
    }

    /// The elapsed time when it was looked at last, minutes.
    pub(super) fn passed_min(&self) -> i64 {
        self.passed_ms.div_euclid(60_000)
    }

    /// The elapsed time now, milliseconds.
    pub(super) fn now(&mut self, uptime_ms: i64, stamp: Stamp) -> i64 {
        if let Some(looked_ms) = self.looked_ms {
            self.pass(uptime_ms.saturating_sub(looked_ms).max(0), stamp);
        } else {
            self.began_ms = self.passed_ms;
            self.stopped(stamp);
        }
        self.looked_ms = Some(uptime_ms);
        (self.wall_ms, self.trusted) = (stamp.unix_ms, stamp.trusted);
        self.passed_ms
    }

    /// The first look of a process: the clocks tell how long nobody looked.
    fn stopped(&mut self, stamp: Stamp) {
        if self.trusted && stamp.trusted && self.wall_ms > 0 {
            let stop_ms = stamp.unix_ms.saturating_sub(self.wall_ms).clamp(0, STOP_MS_MAX);
            self.stop_ms = self.stop_ms.saturating_add(stop_ms);
            self.proof_ms = 0;
        }
    }

    fn pass(&mut self, ms: i64, stamp: Stamp) {
        self.passed_ms = self.passed_ms.saturating_add(ms);
        if self.stop_ms == 0 {
            return;
        }
        if stamp.unix_ms < self.wall_ms.saturating_sub(STEP_MS_MAX) {
            // The clock went back: what it told of the stop is not to be believed.
            self.stop_ms = 0;
        }
        self.proof_ms = self.proof_ms.saturating_add(ms);
        if self.proof_ms >= PROOF_MS {
            self.passed_ms = self.passed_ms.saturating_add(std::mem::take(&mut self.stop_ms));
        }
    }

    /// The stop that does not count yet.
    pub(super) fn doubted(&self) -> Doubted {
        Doubted { began_ms: self.began_ms, stop_ms: self.stop_ms }
    }

    /// Keeps it now and then, in the transaction that is under way; `closely`: with it goes what
    /// must not seem younger after a crash.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        closely: bool,
    ) -> Result<(), StoreError> {
        let every_ms = if closely { KEEP_CLOSELY_MS } else { KEEP_EVERY_MS };
        if self.passed_ms.saturating_sub(self.kept_ms) < every_ms {
            return Ok(());
        }
        self.keep_now(connection)
    }

    /// Keeps it.
    pub(super) fn keep_now(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let text = serde_json::to_string(self)
            .map_err(|_| StoreError::Internal("a time cannot be written"))?;
        keep::write(connection, NAME, &text)?;
        self.kept_ms = self.passed_ms;
        Ok(())
    }
}

/// A step back of the wall clock that is no correction any more.
const STEP_MS_MAX: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(unix_ms: i64) -> Stamp {
        Stamp { unix_ms, trusted: true }
    }

    #[test]
    fn time_passes_with_the_machine_and_not_with_the_wall_clock() {
        let mut elapsed = Elapsed::default();
        assert_eq!(elapsed.now(1000, at(5 * HOUR)), 0);
        assert_eq!(elapsed.now(1000 + HOUR, at(31 * 24 * HOUR)), HOUR);
        assert_eq!(elapsed.now(1000 + 2 * HOUR, at(0)), 2 * HOUR);
        assert_eq!(elapsed.now(0, at(0)), 2 * HOUR, "a machine's clock never goes back");
    }

    #[test]
    fn a_stop_counts_once_the_clock_has_stood_by_it_for_a_day_and_seven_days_at_most() {
        let kept = Elapsed { passed_ms: HOUR, wall_ms: HOUR, trusted: true, ..Elapsed::default() };
        let mut next = kept.clone();
        assert_eq!(next.now(0, at(30 * 24 * HOUR)), HOUR);
        assert_eq!(next.now(23 * HOUR, at(30 * 24 * HOUR + 23 * HOUR)), 24 * HOUR);
        assert_eq!(next.now(24 * HOUR, at(31 * 24 * HOUR)), 25 * HOUR + STOP_MS_MAX);
        let mut doubted = kept;
        assert_eq!(doubted.now(0, at(30 * 24 * HOUR)), HOUR);
        assert_eq!(doubted.now(HOUR, at(3 * HOUR)), 2 * HOUR, "it went back");
        assert_eq!(doubted.now(48 * HOUR, at(50 * HOUR)), 49 * HOUR);
    }

    #[test]
    fn a_stop_that_does_not_count_yet_makes_what_was_there_before_it_older() {
        let mut next =
            Elapsed { passed_ms: HOUR, wall_ms: HOUR, trusted: true, ..Elapsed::default() };
        next.now(0, at(3 * HOUR));
        let now_ms = next.now(HOUR, at(4 * HOUR));
        let age_ms = |at_ms| next.doubted().age_ms(now_ms, at_ms);
        assert_eq!((age_ms(HOUR / 2), age_ms(HOUR)), (HOUR * 7 / 2, 3 * HOUR));
        assert_eq!(
            (age_ms(3 * HOUR / 2), age_ms(9 * HOUR)),
            (HOUR / 2, 0),
            "what came since is as old as it is"
        );
    }
}
