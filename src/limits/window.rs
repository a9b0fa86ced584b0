//! How often something happened lately: an hour in minutes and a day in hours, on the gateway's
//! elapsed time. A part counts until the whole of it is older than the hour or the day.

use serde::{Deserialize, Serialize};

/// Minutes of an hour.
const HOUR_MIN: i64 = 60;
/// Minutes that the hour looks back on: sixty and the one that is running, or what happened at the
/// end of its first would leave within the hour.
const HOUR_PARTS: i64 = HOUR_MIN + 1;
/// Hours that the day looks back on, likewise.
const DAY_PARTS: i64 = 24 + 1;

/// Counts of the last hour and the last day. They slide: each part leaves when the whole of it is
/// an hour, or a day, old.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Minutes of elapsed time in which something happened, and how often; at most 61, in order.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    minutes: Vec<(i64, u64)>,
    /// Hours likewise; at most 25.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    hours: Vec<(i64, u64)>,
}

/// A window in few bytes: its newest minute and how often something happened in that and in each
/// minute before it, then the same of its hours.
pub type PackedWindow = (i64, Vec<u64>, i64, Vec<u64>);

impl Window {
    /// The same in few bytes.
    #[must_use]
    pub fn packed(&self) -> PackedWindow {
        let (minute, minutes) = pack(&self.minutes, HOUR_PARTS);
        let (hour, hours) = pack(&self.hours, DAY_PARTS);
        (minute, minutes, hour, hours)
    }

    /// The window of these bytes; what it looks back on no more is left out.
    #[must_use]
    pub fn unpacked((minute, minutes, hour, hours): &PackedWindow) -> Self {
        Self {
            minutes: unpack(*minute, minutes, HOUR_PARTS),
            hours: unpack(*hour, hours, DAY_PARTS),
        }
    }

    /// It happened once more in this minute.
    pub fn add(&mut self, minute: i64) {
        push(&mut self.minutes, minute, HOUR_PARTS);
        push(&mut self.hours, minute.div_euclid(HOUR_MIN), DAY_PARTS);
    }

    /// How often in the 60 minutes before this one and in this one.
    #[must_use]
    pub fn hour(&self, minute: i64) -> u64 {
        sum(&self.minutes, minute.saturating_sub(HOUR_PARTS))
    }

    /// How often in the 24 hours before this one and in this one.
    #[must_use]
    pub fn day(&self, minute: i64) -> u64 {
        sum(&self.hours, minute.div_euclid(HOUR_MIN).saturating_sub(DAY_PARTS))
    }

    /// Whether nothing of it counts any more.
    #[must_use]
    pub fn is_over(&self, minute: i64) -> bool {
        self.day(minute) == 0
    }
}

/// A crash forgets up to a minute of elapsed time: what was counted then stays where it is.
fn push(parts: &mut Vec<(i64, u64)>, now: i64, kept: i64) {
    let newest = parts.last().map_or(now, |(part, _)| now.max(*part));
    match parts.last_mut() {
        Some((part, count)) if *part == newest => *count = count.saturating_add(1),
        _ => parts.push((newest, 1)),
    }
    parts.retain(|(part, _)| *part > newest.saturating_sub(kept));
}

/// The newest part and the counts from there back.
fn pack(parts: &[(i64, u64)], kept: i64) -> (i64, Vec<u64>) {
    let Some((newest, _)) = parts.last() else { return (0, Vec::new()) };
    let mut counts = Vec::with_capacity(usize::try_from(kept).unwrap_or(0));
    for (part, count) in parts.iter().rev() {
        let age = newest.saturating_sub(*part);
        let Some(place) = usize::try_from(age).ok().filter(|_| age < kept) else { break };
        counts.resize(place, 0);
        counts.push(*count);
    }
    (*newest, counts)
}

fn unpack(newest: i64, counts: &[u64], kept: i64) -> Vec<(i64, u64)> {
    let aged = (0..kept).zip(counts).filter(|(_, count)| **count > 0);
    let mut parts: Vec<_> = aged.map(|(age, count)| (newest.saturating_sub(age), *count)).collect();
    parts.reverse();
    parts
}

fn sum(parts: &[(i64, u64)], after: i64) -> u64 {
    parts
        .iter()
        .filter(|(part, _)| *part > after)
        .fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
}

/// Refused codes that are remembered of a till: so many within [`REFUSED_WITHIN_MIN`] are too many.
pub const REFUSED_MAX: usize = 10;
/// Minutes in which they count, and without one after which a till is trusted again.
pub const REFUSED_WITHIN_MIN: i64 = 10;

/// The codes that were lately refused to a till. One that is asked for again and again is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// The minute of elapsed time and a hash of the code, the newest last.
    #[serde(rename = "c", default)]
    codes: Vec<(i64, u32)>,
    /// There were too many.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    slowed: bool,
}

impl Refusals {
    /// A code was refused. `true`: now there are too many.
    pub fn add(&mut self, minute: i64, code: u32) -> bool {
        let was = self.slowed(minute).is_some();
        let minute = self.codes.last().map_or(minute, |(newest, _)| minute.max(*newest));
        self.codes.retain(|(at, other)| {
            *other != code && minute.saturating_sub(*at) < REFUSED_WITHIN_MIN
        });
        self.codes.push((minute, code));
        let surplus = self.codes.len().saturating_sub(REFUSED_MAX);
        self.codes.drain(..surplus);
        self.slowed = was || self.codes.len() >= REFUSED_MAX;
        self.slowed && !was
    }

    /// Whether nothing would be changed by this code's refusal in this minute.
    #[must_use]
    pub fn has(&self, minute: i64, code: u32) -> bool {
        self.codes.last().is_some_and(|(at, newest)| *newest == code && *at >= minute)
    }

    /// How many codes were refused, where they were too many and the last was not long ago.
    #[must_use]
    pub fn slowed(&self, minute: i64) -> Option<u64> {
        let is_recent = !self.is_over(minute);
        (self.slowed && is_recent).then(|| u64::try_from(self.codes.len()).unwrap_or(u64::MAX))
    }

    /// Whether nothing of it counts any more.
    #[must_use]
    pub fn is_over(&self, minute: i64) -> bool {
        self.codes.last().is_none_or(|(at, _)| minute.saturating_sub(*at) >= REFUSED_WITHIN_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_a_day_slide_part_by_part() {
        let mut window = Window::default();
        for minute in [0, 0, 30, 59, 60] {
            window.add(minute);
        }
        let seen = |minute| (window.hour(minute), window.day(minute));
        assert_eq!(
            [seen(60), seen(61), seen(90), seen(91), seen(120), seen(121)],
            [(5, 5), (3, 5), (3, 5), (2, 5), (1, 5), (0, 5)]
        );
        assert_eq!([seen(25 * 60 - 1).1, seen(25 * 60).1, seen(26 * 60).1], [5, 1, 0]);
        assert!(window.is_over(26 * 60) && !window.is_over(25 * 60));
    }

    #[test]
    fn a_window_in_few_bytes_is_the_same_window() {
        let mut window = Window::default();
        assert_eq!(Window::unpacked(&window.packed()), window);
        for minute in [7, 7, 30, 59, 61, 200, 201, 1000] {
            window.add(minute);
            assert_eq!(Window::unpacked(&window.packed()), window, "{minute}");
        }
        (0..10_000).for_each(|minute| window.add(minute));
        let (_, minutes, _, hours) = window.packed();
        assert_eq!((minutes.len(), hours.len()), (61, 25));
        assert_eq!(Window::unpacked(&window.packed()), window);
        let damaged = (i64::MIN, vec![u64::MAX; 500], i64::MAX, vec![1; 500]);
        let Window { minutes, hours } = Window::unpacked(&damaged);
        assert_eq!((minutes.len(), hours.len()), (61, 25));
    }

    #[test]
    fn time_that_a_crash_forgot_gives_nothing_back() {
        let mut window = Window::default();
        window.add(100);
        window.add(99);
        assert_eq!(
            (window.hour(99), window.hour(100), window.hour(160), window.hour(161)),
            (2, 2, 2, 0)
        );
    }

    #[test]
    fn a_window_keeps_no_more_parts_than_it_looks_back_on() {
        let mut window = Window::default();
        (0..10_000).for_each(|minute| window.add(minute));
        assert_eq!((window.minutes.len(), window.hours.len()), (61, 25));
        assert_eq!((window.hour(9999), window.day(9999)), (61, 24 * 60 + 40));
    }

    #[test]
    fn no_hour_and_no_day_is_shorter_than_one_whenever_it_begins() {
        for began in [0, 1, 30, 59, 119] {
            let mut window = Window::default();
            window.add(began);
            // It may have been the last second of its minute.
            let (hour, day) = (window.hour(began + 60), window.day(began + 24 * 60));
            assert_eq!((hour, day), (1, 1), "{began}");
        }
    }

    #[test]
    fn what_an_earlier_build_packed_is_unpacked() {
        let packed = (100, vec![1; 60], 50, vec![2; 24]);
        let window = Window::unpacked(&packed);
        assert_eq!((window.minutes.len(), window.hours.len()), (60, 24));
    }

    #[test]
    fn ten_codes_in_ten_minutes_slow_a_till_until_ten_minutes_without_one() {
        let mut refusals = Refusals::default();
        assert!((0..9).all(|code| !refusals.add(i64::from(code), code)));
        assert!(!refusals.add(9, 3), "the same code again is no other");
        assert_eq!(refusals.slowed(9), None);
        assert!(refusals.add(9, 77));
        assert_eq!(refusals.slowed(9), Some(10));
        assert!(!refusals.add(15, 78), "it is said once");
        assert_eq!([refusals.slowed(24).is_some(), refusals.slowed(25).is_some()], [true, false]);
        assert!(!refusals.add(26, 1) && refusals.slowed(26).is_none(), "it begins anew");
        let mut slow = Refusals::default();
        assert!(
            (0..100).all(|code| !slow.add(2 * i64::from(code), code)),
            "five in ten minutes are none too many"
        );
    }
}
