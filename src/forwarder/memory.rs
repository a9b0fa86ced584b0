//! What a link must not forget over a restart: into the store and back.

use std::time::Duration;

use crate::clock::{Clock, signed_ms, whole_ms};
use crate::link::{Cause, Link, Outages};
use crate::store::{Hold, LaneMemory, WaitMemory};

/// The word of an operator's hold that lets tills be trusted.
const OPERATOR_TRUSTS: &str = "operator_trusts";
/// Before how much of the wait a 429 asked for, in milliseconds. What a version before this one
/// kept does not say it, and such a version passes over it.
const LIMITED: &str = "limited=";
/// Before the boot in which an outage was seen to go on and, after a colon, when it began on that
/// boot's clock, in milliseconds: less than nothing where it is older than the boot.
const BEGAN: &str = "began=";

/// The outages of the last process. Of the one that it did not see the end of: within one boot its
/// clock tells how long nobody looked, between two trusted readings the wall clock does; otherwise
/// only what was seen counts.
pub(super) fn outages(memory: &LaneMemory, clock: &Clock) -> Outages {
    Outages::restore(carried_outage(memory, clock), &memory.more)
}

fn carried_outage(memory: &LaneMemory, clock: &Clock) -> Duration {
    if memory.outage_ms == 0 {
        return Duration::ZERO;
    }
    let seen = Duration::from_millis(memory.outage_ms);
    if let Some(lasted) = lasted_by_boot(memory, clock) {
        return lasted.max(seen);
    }
    let now = clock.stamp();
    let unseen = if now.trusted && memory.noted_trusted {
        now.unix_ms.saturating_sub(memory.noted_ms)
    } else {
        0
    };
    seen + Duration::from_millis(u64::try_from(unseen).unwrap_or(0))
}

/// How long the outage has lasted by the clock of the boot in which it was seen to go on, if that
/// is still this one: a crash forgets nothing of it, whatever the wall clock shows.
fn lasted_by_boot(memory: &LaneMemory, clock: &Clock) -> Option<Duration> {
    let (boot, began_ms) = word(&memory.more, BEGAN)?.rsplit_once(':')?;
    if boot.is_empty() || boot != clock.boot_id() {
        return None;
    }
    let lasted_ms = signed_ms(clock.since_boot()).checked_sub(began_ms.parse().ok()?)?;
    Some(Duration::from_millis(u64::try_from(lasted_ms).ok()?))
}

/// What is left of a provider's `Retry-After`. After a reboot its clock is gone and all that was
/// left counts again.
pub(super) fn wait_left(memory: &LaneMemory, clock: &Clock) -> Option<Duration> {
    let wait = memory.wait.as_ref()?;
    let left = Duration::from_millis(wait.left_ms);
    if wait.boot_id != clock.boot_id() {
        return Some(left);
    }
    let until = Duration::from_millis(wait.until_ms);
    Some(until.saturating_sub(clock.since_boot()).min(left)).filter(|left| !left.is_zero())
}

/// How much of what is left of the wait a 429 asked for. Where that was not kept, all of it: the
/// stricter one.
fn limited_left(memory: &LaneMemory, left: Duration) -> Duration {
    let limited_ms = word(&memory.more, LIMITED).and_then(|ms| ms.parse::<u64>().ok());
    let kept = memory.wait.as_ref().zip(limited_ms);
    let beyond = kept.map_or(0, |(wait, limited_ms)| wait.left_ms.saturating_sub(limited_ms));
    left.saturating_sub(Duration::from_millis(beyond))
}

/// What stands behind this word in what the link keeps in its own words.
fn word<'a>(more: &'a str, name: &str) -> Option<&'a str> {
    more.split_ascii_whitespace().find_map(|entry| entry.strip_prefix(name))
}

/// Brings a fresh link to where the last process left it.
pub(super) fn restore(link: &mut Link, memory: &LaneMemory, clock: &Clock, now: Duration) {
    if let Some(left) = wait_left(memory, clock) {
        let limited = limited_left(memory, left);
        link.restore_wait(now + left, (!limited.is_zero()).then_some(now + limited));
    }
    if let Some(detail) = &memory.declines {
        link.restore_hold(now, (Cause::Declines, false), detail.clone());
    }
    let Some(hold) = &memory.hold else { return };
    let trust = hold.cause == OPERATOR_TRUSTS;
    let cause = if trust { Some(Cause::Operator) } else { Cause::hold_from(&hold.cause) };
    if let Some(cause) = cause {
        link.restore_hold(now, (cause, trust), hold.detail.clone());
    }
}

/// What the link has to remember now.
pub(super) fn of(link: &Link, held_since_ms: i64, clock: &Clock, now: Duration) -> LaneMemory {
    let stamp = clock.stamp();
    let hold = link.persons_hold().map(|why| {
        let cause = if link.hold_trusts() { OPERATOR_TRUSTS } else { why.cause.as_str() };
        Hold { cause: cause.to_owned(), detail: why.detail.clone(), since_ms: held_since_ms }
    });
    // Where nothing stands before it, it is `hold`.
    let behind = link.hold_for_declines().filter(|why| link.persons_hold() != Some(why));
    let declines = behind.map(|why| why.detail.clone());
    let wait = link.waiting(now).map(|left| WaitMemory {
        boot_id: clock.boot_id().to_owned(),
        until_ms: whole_ms(clock.since_boot() + left),
        left_ms: whole_ms(left),
    });
    let (outage_ms, is_out) = (whole_ms(link.unended_outage(now)), link.is_out());
    let outage_ms = if is_out { outage_ms.max(1) } else { outage_ms };
    // While nobody tries, the time that passes tells nothing of the line.
    let noted_trusted = stamp.trusted && is_out;
    let limited = wait.as_ref().map(|_| whole_ms(link.limited(now).unwrap_or_default()));
    let began_ms = || signed_ms(clock.since_boot()) - signed_ms(link.unended_outage(now));
    let words = [
        limited.map(|ms| format!("{LIMITED}{ms}")),
        is_out.then(|| format!("{BEGAN}{}:{}", clock.boot_id(), began_ms())),
        Some(link.outages().kept(now)),
    ];
    let words: Vec<_> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let more = words.join(" ");
    LaneMemory { hold, declines, outage_ms, noted_ms: stamp.unix_ms, noted_trusted, wait, more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkSettings;

    fn config() -> LinkSettings {
        LinkSettings {
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            max_in_flight: 8,
            reconnect_spread: Duration::ZERO,
            place: 0.0,
        }
    }

    fn link(carried: Duration) -> Link {
        Link::new(config(), 1, Outages::restore(carried, ""))
    }

    #[test]
    fn an_outage_of_which_no_end_was_seen_is_kept_and_does_not_grow_while_nobody_tries() {
        let (hour, clock) = (Duration::from_secs(3600), Clock::manual(7_200_000, true));
        let kept = of(&link(hour), 0, &clock, Duration::from_secs(5));
        assert_eq!((kept.outage_ms, kept.noted_trusted), (3_600_000, false));
        clock.set(9 * 3_600_000, true);
        assert_eq!(carried_outage(&kept, &clock), hour);
        assert_eq!(of(&link(Duration::ZERO), 0, &clock, Duration::ZERO).outage_ms, 0);
    }

    /// A box that was switched on a minute ago; no clock moves by itself in a paused runtime.
    fn boot(id: &str, (unix_ms, trusted): (i64, bool)) -> Clock {
        let clock = Clock::simulated(id, Duration::from_secs(60));
        clock.set(unix_ms, trusted);
        clock
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_goes_on_between_two_clocks_that_can_be_trusted() {
        let (hour, clock) = (Duration::from_secs(3600), boot("first", (7_200_000, true)));
        let mut down = link(hour);
        down.hold_by(Duration::ZERO, "somebody".to_owned(), false);
        let kept = of(&down, 0, &clock, hour);
        assert_eq!((kept.outage_ms, kept.noted_trusted), (7_200_000, true));
        let clock = boot("second", (7_200_000 + 60_000, true));
        assert_eq!(carried_outage(&kept, &clock), 2 * hour + Duration::from_secs(60));
        clock.set(9 * 3_600_000, false);
        assert_eq!(
            carried_outage(&kept, &clock),
            2 * hour,
            "a clock that nobody set tells nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_within_one_boot_forgets_nothing_of_an_outage_whatever_the_clock_shows() {
        let (hour, clock) = (Duration::from_secs(3600), boot("first", (7_200_000, false)));
        let mut down = link(hour);
        down.hold_by(Duration::ZERO, "somebody".to_owned(), true);
        let kept = of(&down, 0, &clock, Duration::ZERO);
        clock.sleep(hour);
        for shown in [(1, false), (1, true), (9 * 3_600_000, true)] {
            clock.set(shown.0, shown.1);
            assert_eq!(carried_outage(&kept, &clock), 2 * hour, "{shown:?}");
        }
        assert_eq!(carried_outage(&kept, &boot("second", (7_200_000, false))), hour);
        // More of it may have been kept since, with what a till was given or refused.
        let more = LaneMemory { outage_ms: 4 * kept.outage_ms, ..kept.clone() };
        assert_eq!(carried_outage(&more, &clock), 4 * hour);
        let over = LaneMemory { outage_ms: 0, ..kept };
        assert_eq!(carried_outage(&over, &clock), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_is_kept_with_whether_it_trusts_and_so_are_the_outages_that_ended() {
        let clock = boot("first", (7_200_000, true));
        for trust in [false, true] {
            let hour = Duration::from_secs(3600);
            let mut held = link(hour);
            held.check_answered(Duration::ZERO, true);
            held.hold_by(Duration::ZERO, "held by ann: the line is changed".to_owned(), trust);
            let kept = of(&held, 7, &clock, Duration::ZERO);
            let mut next = Link::new(config(), 1, outages(&kept, &clock));
            restore(&mut next, &kept, &clock, Duration::ZERO);
            assert_eq!(next.hold_trusts(), trust);
            assert_eq!(next.why().map(|why| why.cause), Some(Cause::Operator));
            // Where tills are trusted it is an outage that has just begun.
            let began = Duration::from_millis(u64::from(trust));
            assert_eq!(next.outages().used(Duration::ZERO), hour + began);
        }
    }

    #[test]
    fn a_hold_for_declines_is_kept_behind_an_operators() {
        let clock = Clock::manual(7_200_000, true);
        let mut held = link(Duration::ZERO);
        held.restore_hold(Duration::ZERO, (Cause::Declines, false), "10 declined".to_owned());
        assert_eq!(of(&held, 7, &clock, Duration::ZERO).declines, None, "it is the hold itself");
        held.hold_by(Duration::ZERO, "held by ann".to_owned(), true);
        let kept = of(&held, 7, &clock, Duration::ZERO);
        let mut next = Link::new(config(), 1, outages(&kept, &clock));
        restore(&mut next, &kept, &clock, Duration::ZERO);
        assert_eq!(next.why().map(|why| why.cause), Some(Cause::Operator));
        assert!(next.hold_trusts());
        let behind = next.hold_for_declines().map(|why| why.detail.as_str());
        assert_eq!(behind, Some("10 declined"));
    }

    // Neither clock moves by itself.
    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_wait_is_a_429s_only_as_far_as_one_asked_for_it() {
        let minute = Duration::from_secs(60);
        let restored = |kept: &LaneMemory, clock: &Clock| {
            let mut next = Link::new(config(), 1, outages(kept, clock));
            restore(&mut next, kept, clock, Duration::ZERO);
            (next.waiting(Duration::ZERO), next.limited(Duration::ZERO), next.outages().clone())
        };
        for (limited, is_limited) in
            [(None, None), (Some(10 * minute), Some(10 * minute)), (Some(minute), Some(minute))]
        {
            let clock = Clock::simulated("boot", minute);
            let mut told = link(minute);
            told.check_answered(Duration::ZERO, true);
            told.restore_wait(10 * minute, limited);
            let kept = of(&told, 0, &clock, Duration::ZERO);
            let (waiting, limited, outages) = restored(&kept, &clock);
            assert_eq!((waiting, limited), (Some(10 * minute), is_limited), "{kept:?}");
            assert_eq!(outages.used(Duration::ZERO), minute, "{kept:?}");
            let rebooted = Clock::simulated("another", Duration::ZERO);
            assert_eq!(restored(&kept, &rebooted).1, is_limited, "{kept:?}");
            // A version before this one kept no word of it, and takes in the outages alone.
            let more = told.outages().kept(Duration::ZERO);
            let before = LaneMemory { more, ..kept.clone() };
            assert_eq!(restored(&before, &clock).1, Some(10 * minute), "the stricter one");
            let read = Outages::restore(Duration::ZERO, &kept.more);
            assert_eq!(read.used(Duration::ZERO), minute, "{kept:?}");
            clock.sleep(minute);
            let later = restored(&kept, &clock);
            assert_eq!(later.0, Some(9 * minute), "{kept:?}");
            let left = is_limited
                .map(|limited| limited.saturating_sub(minute))
                .filter(|left| !left.is_zero());
            assert_eq!(later.1, left, "{kept:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_kept_outlives_a_start_with_unusable_settings_and_what_is_written_then() {
        let (hour, clock) = (Duration::from_secs(3600), boot("first", (7_200_000, true)));
        for (cause, trust) in
            [(Cause::Declines, false), (Cause::Operator, false), (Cause::Operator, true)]
        {
            let mut held = link(hour);
            held.restore_hold(Duration::ZERO, (cause, trust), "seen".to_owned());
            let kept = of(&held, 7, &clock, Duration::ZERO);
            let mut broken = Link::new(config(), 1, outages(&kept, &clock));
            restore(&mut broken, &kept, &clock, Duration::ZERO);
            broken.settings_are_unusable(Duration::ZERO, "ca_file: no such file".to_owned());
            let again = of(&broken, 7, &clock, Duration::ZERO);
            assert_eq!((&again.hold, again.outage_ms), (&kept.hold, kept.outage_ms), "{cause:?}");
            let mut next = Link::new(config(), 1, outages(&again, &clock));
            restore(&mut next, &again, &clock, Duration::ZERO);
            assert_eq!(next.why().map(|why| why.cause), Some(cause));
            assert_eq!((next.hold_trusts(), next.may_ask()), (trust, cause == Cause::Declines));
        }
    }
}
