//! The gateway's elapsed time: how long it has been on, and off between two clocks that can be trusted. No step of the
//! wall clock makes it jump.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{StoreError, keep};
use crate::clock::Stamp;

const NAME: &str = "elapsed";
/// It is kept so often: what a crash forgets of it makes rows younger, never older.
const KEEP_EVERY_MS: i64 = 60_000;
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
        match self.looked_ms {
            Some(looked_ms) => self.pass(uptime_ms.saturating_sub(looked_ms).max(0), stamp),
            None => self.stopped(stamp),
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

    /// Keeps it now and then, in the transaction that is under way.
    pub(super) fn keep(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.passed_ms.saturating_sub(self.kept_ms) < KEEP_EVERY_MS {
            return Ok(());
        }
        self.keep_now(connection)
    }

    /// Keeps it.
    pub(super) fn keep_now(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).map_err(|_| StoreError::Internal("a time cannot be written"))?;
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
}
