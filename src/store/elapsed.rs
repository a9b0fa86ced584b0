//! The gateway's elapsed time: how long it has been on, and off between two clocks that can be
//! trusted. No step of the wall clock makes it jump, and no stop what has come since.

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
/// A stop counts once the clock has stood by it for so long, over further stops too: a box that is
/// switched off each night never runs so long at a stretch.
const PROOF_MS: i64 = 24 * 3_600_000;
/// Stops that wait for their proof apart from each other; beyond that the two oldest are one.
const STOPS_MAX: usize = 16;
/// A step back of the wall clock that is no correction any more.
const STEP_MS_MAX: i64 = 3_600_000;

/// A stop that the clock has told of and that does not count yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UnprovenStop {
    /// The elapsed time at its end, milliseconds.
    end_ms: i64,
    /// How long it was, milliseconds.
    ms: i64,
    /// How long the gateway had been on when the clock told of it, milliseconds; `None`: the clock
    /// has gone back since, and it never counts.
    told_ms: Option<i64>,
}

/// The clock of what is kept and forgotten. A stop is part of it as soon as the clock has told of
/// it, and is left out of each age that spans it until it counts: so it makes what was before it
/// older, and never what is since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Elapsed {
    /// How long the gateway has been on, milliseconds.
    #[serde(rename = "passed_ms")]
    on_ms: i64,
    /// How long it was off, as far as clocks told, milliseconds.
    off_ms: i64,
    /// The stops of these that do not count yet, the newest last.
    stops: Vec<UnprovenStop>,
    /// The wall clock when it was last trusted, Unix milliseconds.
    wall_ms: i64,
    /// Whether it ever was.
    trusted: bool,
    /// For how long the gateway has been on since, milliseconds.
    since_ms: i64,
    /// An earlier build's one stop and its proof. It finds none of ours: it would count them again.
    stop_ms: i64,
    proof_ms: i64,
    /// This process has seen a trusted clock.
    #[serde(skip)]
    is_told: bool,
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
        Ok(serde_json::from_str(&text).map(Self::taken_over).unwrap_or_default())
    }

    fn taken_over(mut self) -> Self {
        self.kept_ms = self.on_ms;
        let (ms, told_ms) = (self.stop_ms, self.on_ms.saturating_sub(self.proof_ms));
        (self.stop_ms, self.proof_ms) = (0, 0);
        self.stopped(ms, told_ms);
        self
    }

    /// A transaction begins.
    pub(super) fn look(&mut self, uptime_ms: i64, stamp: Stamp) {
        let looked_ms = self.looked_ms.replace(uptime_ms).unwrap_or(uptime_ms);
        let ms = uptime_ms.saturating_sub(looked_ms).max(0);
        self.on_ms = self.on_ms.saturating_add(ms);
        self.since_ms = self.since_ms.saturating_add(ms);
        if stamp.trusted {
            self.told(stamp.unix_ms);
        }
        let on_ms = self.on_ms;
        let is_open = |told_ms| on_ms.saturating_sub(told_ms) < PROOF_MS;
        self.stops.retain(|stop| stop.told_ms.is_none_or(is_open));
    }

    /// A trusted clock tells how long nobody looked: a process' first, which may come late on a box
    /// without a battery.
    fn told(&mut self, unix_ms: i64) {
        let away_ms = unix_ms.saturating_sub(self.wall_ms).saturating_sub(self.since_ms);
        if away_ms < -STEP_MS_MAX {
            // It went back: what it told of stops is not to be believed.
            self.stops.iter_mut().for_each(|stop| stop.told_ms = None);
        } else if !self.is_told && self.trusted && self.wall_ms > 0 {
            self.stopped(away_ms, self.on_ms);
        }
        (self.wall_ms, self.trusted, self.since_ms) = (unix_ms, true, 0);
        self.is_told = true;
    }

    fn stopped(&mut self, ms: i64, told_ms: i64) {
        let ms = ms.min(STOP_MS_MAX);
        if ms <= 0 {
            return;
        }
        self.off_ms = self.off_ms.saturating_add(ms);
        self.stops.push(UnprovenStop { end_ms: self.now_ms(), ms, told_ms: Some(told_ms) });
        if self.stops.len() > STOPS_MAX {
            let oldest = self.stops.remove(0);
            if let Some(next) = self.stops.first_mut() {
                next.ms = next.ms.saturating_add(oldest.ms);
                next.told_ms = oldest.told_ms.and(next.told_ms);
            }
        }
    }

    /// The elapsed time when it was looked at last, milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        self.on_ms.saturating_add(self.off_ms)
    }

    /// How long the gateway has been on, minutes: what a limit on an hour or a day looks back on. A
    /// stop would count after a day of it, when it matters to neither any more.
    pub(super) fn on_min(&self) -> i64 {
        self.on_ms.div_euclid(60_000)
    }

    /// The elapsed time so long ago, by what counts.
    pub(super) fn ago_ms(&self, span_ms: i64) -> i64 {
        let at_ms = self.now_ms().saturating_sub(span_ms);
        let back = |at_ms: i64, stop: &UnprovenStop| {
            if at_ms < stop.end_ms { at_ms.saturating_sub(stop.ms) } else { at_ms }
        };
        self.stops.iter().rev().fold(at_ms, back)
    }

    /// How much of the time since `at_ms` does not count yet.
    pub(super) fn doubted_ms(&self, at_ms: i64) -> i64 {
        let since = self.stops.iter().filter(|stop| at_ms < stop.end_ms);
        since.fold(0, |sum, stop| sum.saturating_add(stop.ms))
    }

    /// Keeps it now and then, in the transaction that is under way; `closely`: with it goes what
    /// must not seem younger after a crash.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        closely: bool,
    ) -> Result<(), StoreError> {
        let every_ms = if closely { KEEP_CLOSELY_MS } else { KEEP_EVERY_MS };
        if self.on_ms.saturating_sub(self.kept_ms) < every_ms {
            return Ok(());
        }
        self.keep_now(connection)
    }

    /// Keeps it.
    pub(super) fn keep_now(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let text = serde_json::to_string(self)
            .map_err(|_| StoreError::Internal("a time cannot be written"))?;
        keep::write(connection, NAME, &text)?;
        self.kept_ms = self.on_ms;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(unix_ms: i64) -> Stamp {
        Stamp { unix_ms, trusted: true }
    }

    /// The next process, which begins when this one was kept.
    fn restarted(kept: &Elapsed) -> Elapsed {
        let text = serde_json::to_string(kept).unwrap();
        serde_json::from_str::<Elapsed>(&text).unwrap().taken_over()
    }

    /// How old something of the elapsed time `at_ms` is, at most and by what counts, hours.
    fn ages(elapsed: &Elapsed, at_ms: i64) -> (i64, i64) {
        let most_ms = elapsed.now_ms() - at_ms;
        (most_ms / HOUR, (most_ms - elapsed.doubted_ms(at_ms)) / HOUR)
    }

    #[test]
    fn time_passes_with_the_machine_and_not_with_the_wall_clock() {
        let mut elapsed = Elapsed::default();
        let mut looked = |uptime_ms, unix_ms| {
            elapsed.look(uptime_ms, at(unix_ms));
            elapsed.now_ms()
        };
        assert_eq!(looked(1000, 5 * HOUR), 0);
        assert_eq!(looked(1000 + HOUR, 31 * 24 * HOUR), HOUR);
        assert_eq!(looked(1000 + 2 * HOUR, 0), 2 * HOUR);
        assert_eq!(looked(0, 0), 2 * HOUR, "a machine's clock never goes back");
    }

    #[test]
    fn a_stop_counts_once_the_clock_has_stood_by_it_for_a_day_and_seven_days_at_most() {
        let kept = Elapsed { wall_ms: HOUR, trusted: true, ..Elapsed::default() };
        let month = 30 * 24 * HOUR;
        for (hours_on, wall_ms, expected) in [
            (0, month, (7 * 24, 0)),
            (23, month + 23 * HOUR, (7 * 24 + 23, 23)),
            (24, month + 24 * HOUR, (8 * 24, 8 * 24)),
            (24, 3 * HOUR, (8 * 24, 24)),
        ] {
            let mut next = kept.clone();
            next.look(0, at(month));
            next.look(hours_on * HOUR, at(wall_ms));
            next.look(hours_on * HOUR, at(wall_ms));
            assert_eq!(ages(&next, 0), expected, "{hours_on} hours on, at {wall_ms}");
            let since = next.now_ms() - hours_on * HOUR;
            assert_eq!(
                ages(&next, since),
                (hours_on, hours_on),
                "what is since is as old as it is"
            );
            assert_eq!(next.on_min(), hours_on * 60);
            for ago in [1, hours_on, 24, 48] {
                let age = ages(&next, next.ago_ms(ago * HOUR)).1;
                assert_eq!(age, ago, "{hours_on} hours on, at {wall_ms}");
            }
        }
    }

    #[test]
    fn each_night_counts_two_days_later_on_a_box_that_is_on_for_half_of_each_day() {
        let mut elapsed = Elapsed::default();
        for day in 0..10 {
            elapsed = restarted(&elapsed);
            let morning = (1 + 24 * day) * HOUR;
            elapsed.look(0, at(morning));
            elapsed.look(12 * HOUR, at(morning + 12 * HOUR));
        }
        let nights = 9 * 12;
        assert_eq!(ages(&elapsed, 0), (120 + nights, 120 + nights - 12), "all but the last");
        let evening_before = elapsed.now_ms() - 24 * HOUR;
        assert_eq!(ages(&elapsed, evening_before), (24, 12));
    }

    #[test]
    fn a_box_without_a_battery_tells_of_its_stop_when_its_clock_is_set() {
        let mut elapsed = Elapsed::default();
        elapsed.look(0, at(HOUR));
        elapsed.look(HOUR, at(2 * HOUR));
        let mut next = restarted(&elapsed);
        next.look(0, Stamp { unix_ms: 0, trusted: false });
        next.look(HOUR, Stamp { unix_ms: HOUR, trusted: false });
        next.look(2 * HOUR, at(9 * HOUR));
        assert_eq!(ages(&next, HOUR), (7, 2), "of seven hours it was on for two");
        let mut corrected = restarted(&next);
        corrected.look(0, at(5 * HOUR));
        corrected.look(30 * HOUR, at(35 * HOUR));
        assert_eq!(ages(&corrected, HOUR), (37, 32), "the clock had been wrong");
    }

    #[test]
    fn stops_that_wait_for_their_proof_are_bounded_and_none_is_forgotten() {
        let mut elapsed = Elapsed::default();
        for minute in 0..1000 {
            elapsed = restarted(&elapsed);
            elapsed.look(0, at(HOUR + minute * 60_000));
        }
        assert_eq!((elapsed.stops.len(), elapsed.doubted_ms(0)), (STOPS_MAX, 999 * 60_000));
    }

    #[test]
    fn what_an_earlier_build_kept_is_read_and_it_reads_what_we_keep() {
        let text = r#"{"passed_ms":7,"stop_ms":5,"proof_ms":3,"wall_ms":9,"trusted":true}"#;
        let read = serde_json::from_str::<Elapsed>(text).unwrap().taken_over();
        assert_eq!((read.on_ms, read.now_ms(), read.doubted_ms(7)), (7, 12, 5));
        let kept = serde_json::to_value(&read).unwrap();
        assert_eq!(
            (&kept["passed_ms"], &kept["stop_ms"], &kept["proof_ms"]),
            (&7.into(), &0.into(), &0.into())
        );
    }
}
