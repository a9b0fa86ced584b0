//! What a link must not forget over a restart: into the store and back.

use std::time::Duration;

use crate::clock::Clock;
use crate::link::{Cause, Link, Phase};
use crate::store::{Hold, LaneMemory, WaitMemory};

/// How long the outage had lasted that the last process did not see the end of. Between two trusted readings the wall
/// clock tells how long nobody looked; otherwise only what was seen counts.
pub(super) fn carried_outage(memory: &LaneMemory, clock: &Clock) -> Duration {
    if memory.outage_ms == 0 {
        return Duration::ZERO;
    }
    let now = clock.stamp();
    let unseen = if now.trusted && memory.noted_trusted { now.unix_ms - memory.noted_ms } else { 0 };
    Duration::from_millis(memory.outage_ms.saturating_add(u64::try_from(unseen).unwrap_or(0)))
}

/// What is left of a provider's `Retry-After`. After a reboot its clock is gone and all that was left counts again.
pub(super) fn wait_left(memory: &LaneMemory, clock: &Clock) -> Option<Duration> {
    let wait = memory.wait.as_ref()?;
    let left = Duration::from_millis(wait.left_ms);
    if wait.boot_id != clock.boot_id() {
        return Some(left);
    }
    let until = Duration::from_millis(wait.until_ms);
    Some(until.saturating_sub(clock.since_boot()).min(left)).filter(|left| !left.is_zero())
}

/// Brings a fresh link to where the last process left it.
pub(super) fn restore(link: &mut Link, memory: &LaneMemory, clock: &Clock, now: Duration) {
    if let Some(left) = wait_left(memory, clock) {
        link.restore_wait(now + left);
    }
    if let Some((cause, hold)) = memory.hold.as_ref().and_then(|hold| Some((Cause::hold_from(&hold.cause)?, hold))) {
        link.restore_hold(now, cause, hold.detail.clone());
    }
}

/// What the link has to remember now.
pub(super) fn of(link: &Link, held_since_ms: i64, clock: &Clock, now: Duration) -> LaneMemory {
    let stamp = clock.stamp();
    let hold = match link.phase() {
        Phase::Held(why) if why.cause.is_for_a_person() => {
            Some(Hold { cause: why.cause.as_str().to_owned(), detail: why.detail.clone(), since_ms: held_since_ms })
        }
        Phase::Up | Phase::Down(_) | Phase::Held(_) => None,
    };
    let wait = link.waiting(now).map(|left| WaitMemory {
        boot_id: clock.boot_id().to_owned(),
        until_ms: millis(clock.since_boot() + left),
        left_ms: millis(left),
    });
    let outage = link.outage(now);
    let outage_ms = if *link.phase() == Phase::Up { 0 } else { millis(outage).max(1) };
    LaneMemory { hold, outage_ms, noted_ms: stamp.unix_ms, noted_trusted: stamp.trusted, wait }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
