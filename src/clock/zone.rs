//! The store's own time zone, and the day of the reports that a moment belongs to.

use std::fmt;

use super::{Zone, date_of};

const DAY_S: i64 = 86_400;
/// From this minute on a day's end is the end of the day that is nearly over, before it that of the
/// day before.
const NOON_MIN: i64 = 12 * 60;
/// Days from 1970-01-01 to 9999-12-31.
const DAY_MAX: i64 = 2_932_896;

/// A day of the reports: how many days after 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u32);

impl Day {
    /// So many days after 1970-01-01; what lies before it or after 9999 is the nearest that there
    /// is.
    #[must_use]
    pub fn new(days: i64) -> Self {
        Self(u32::try_from(days.clamp(0, DAY_MAX)).unwrap_or(0))
    }

    /// The day in UTC.
    #[must_use]
    pub fn utc(unix_ms: i64) -> Self {
        Self::new(unix_ms.div_euclid(1000 * DAY_S))
    }

    /// How many days after 1970-01-01.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// As it is written: `2026-11-01`; `None` for what is no date from 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        // Years are counted from March, as where a date is made of a number.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year / 4 - year / 100 + year / 400;
        let found = Self::new(365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468);
        (found.to_string() == text).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.number());
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// When a day of the reports ends, and in which zone.
#[derive(Clone, Debug)]
pub struct Days {
    zone: Zone,
    ends_min: i64,
}

impl Days {
    /// Days that end at midnight in UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self { zone: Zone::utc(), ends_min: 0 }
    }

    /// Days that end so many minutes after midnight in the machine's zone ([`Zone::local`]). A day
    /// that ends before noon goes on after midnight; one that ends later began on the evening
    /// before.
    #[must_use]
    pub fn local(ends_min: i64) -> Self {
        Self { zone: Zone::local(), ends_min }
    }

    /// The day that a moment belongs to.
    #[must_use]
    pub fn of(&self, unix_ms: i64) -> Day {
        Day::new(self.zone.local_s(unix_ms).saturating_sub(self.offset_s()).div_euclid(DAY_S))
    }

    /// When a day begins, Unix milliseconds: the earliest moment that belongs to it and follows one
    /// that does not.
    #[must_use]
    pub fn begin_of(&self, day: Day) -> i64 {
        let begins_s = day.number() * DAY_S + self.offset_s();
        // How far the zone is ahead before a change of the clock that may be near, and after it.
        let around = [begins_s - DAY_S, begins_s + DAY_S];
        let mut both = around.map(|at| begins_s - (self.zone.local_s(at * 1000) - at));
        both.sort_unstable();
        let is_reached = |unix_s: i64| self.of(unix_s * 1000) >= day;
        let begins = both.into_iter().find(|at| is_reached(*at) && !is_reached(at - 1));
        // There is no such time on the clock, which is put forward over it: the day begins then.
        begins.unwrap_or_else(|| first_reached(both, is_reached)) * 1000
    }

    /// So far after the beginning of its date a day begins, seconds; less than nothing: on the date
    /// before.
    fn offset_s(&self) -> i64 {
        (if self.ends_min < NOON_MIN { self.ends_min } else { self.ends_min - 24 * 60 }) * 60
    }
}

/// The first second after `before` and not after `reached` from which on it is reached.
fn first_reached([mut before, mut reached]: [i64; 2], is_reached: impl Fn(i64) -> bool) -> i64 {
    while reached - before > 1 {
        let middle = i64::midpoint(before, reached);
        if is_reached(middle) {
            reached = middle;
        } else {
            before = middle;
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::rfc3339;
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// 2026-11-01T00:00:00Z.
    const NOVEMBER_MS: i64 = 1_793_491_200_000;

    fn days(zone: &str, ends_min: i64) -> Days {
        Days { zone: Zone(tz::TimeZone::from_posix_tz(zone).unwrap()), ends_min }
    }

    #[test]
    fn a_time_is_shown_as_the_stores_clock_has_it_with_how_far_that_is_from_utc() {
        let shown = |zone: &str| days(zone, 0).zone.shown(NOVEMBER_MS - 60_000);
        assert_eq!(shown("UTC0"), "2026-10-31 23:59 UTC");
        assert_eq!(shown("AST-3"), "2026-11-01 02:59 UTC+03:00");
        assert_eq!(shown("NST3:30"), "2026-10-31 20:29 UTC-03:30");
    }

    #[test]
    fn a_day_begins_with_its_first_moment_also_where_the_clock_is_put_forward_or_back() {
        let (berlin, santiago) = ("CET-1CEST,M3.5.0,M10.5.0/3", "<-04>4<-03>,M9.1.6/24,M4.1.6/24");
        let havana = "CST5CDT,M3.2.0/0,M11.1.0/1";
        // The days of their changes, and those beside them.
        let dates = [
            ["2027-03-27", "2027-03-28", "2027-03-29"],
            ["2027-10-30", "2027-10-31", "2027-11-01"],
            ["2026-09-05", "2026-09-06", "2026-09-07"],
            ["2027-04-03", "2027-04-04", "2027-04-05"],
            ["2027-03-13", "2027-03-14", "2027-03-15"],
            ["2026-10-31", "2026-11-01", "2026-11-02"],
        ];
        for zone in ["UTC0", "AST-3", "NST3:30", berlin, santiago, havana] {
            for ends_min in [0, 30, 60, 150, 4 * 60, 22 * 60, 23 * 60 + 30] {
                for text in dates.as_flattened() {
                    let (days, day) = (days(zone, ends_min), Day::parse(text).unwrap());
                    let begin = days.begin_of(day);
                    let around = [begin - 1000, begin].map(|at| days.of(at).number());
                    assert_eq!(
                        around,
                        [day.number() - 1, day.number()],
                        "{zone} {ends_min} {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_day_whose_first_hour_is_not_on_the_clock_begins_when_the_clock_is_put_forward() {
        let santiago = "<-04>4<-03>,M9.1.6/24,M4.1.6/24";
        for (zone, ends_min, day, begins) in [
            (santiago, 0, "2026-09-06", "2026-09-06T04:00:00"),
            (santiago, 0, "2026-09-05", "2026-09-05T04:00:00"),
            // Midnight comes twice: the second time it stays.
            (santiago, 0, "2027-04-04", "2027-04-04T04:00:00"),
            ("CST5CDT,M3.2.0/0,M11.1.0/1", 0, "2027-03-14", "2027-03-14T05:00:00"),
            ("CST5CDT,M3.2.0/0,M11.1.0/1", 0, "2026-11-01", "2026-11-01T04:00:00"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 150, "2027-03-28", "2027-03-28T01:00:00"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 150, "2027-10-31", "2027-10-31T00:30:00"),
        ] {
            let begin = days(zone, ends_min).begin_of(Day::parse(day).unwrap());
            assert_eq!(rfc3339(begin)[..19], *begins, "{zone} {ends_min} {day}");
        }
    }

    #[test]
    fn a_day_is_the_stores_own_and_ends_when_the_settings_say() {
        for (zone, ends_min, hour, day) in [
            ("UTC0", 0, 0, "2026-11-01"),
            ("AST-3", 0, -3, "2026-11-01"),
            ("AST-3", 0, -4, "2026-10-31"),
            ("AST-3", 4 * 60, 0, "2026-10-31"),
            ("AST-3", 4 * 60, 1, "2026-11-01"),
            ("NST3:30", 0, 3, "2026-10-31"),
            ("NST3:30", 0, 4, "2026-11-01"),
            ("UTC0", 22 * 60, 21, "2026-11-01"),
            ("UTC0", 22 * 60, 22, "2026-11-02"),
        ] {
            let found = days(zone, ends_min).of(NOVEMBER_MS + hour * HOUR_MS);
            assert_eq!(found.to_string(), day, "{zone}, ends {ends_min}, {hour} h");
        }
    }

    #[test]
    fn the_day_of_a_change_of_the_clocks_has_as_many_hours_as_it_has() {
        let berlin = days("CET-1CEST,M3.5.0,M10.5.0/3", 0);
        let october_ms = NOVEMBER_MS - 9 * 24 * HOUR_MS;
        let hours = (0..72)
            .filter(|hour| berlin.of(october_ms + hour * HOUR_MS).to_string() == "2026-10-25")
            .count();
        assert_eq!(hours, 25);
    }

    #[test]
    fn every_moment_has_a_day_and_a_day_is_read_as_it_is_written() {
        for unix_ms in
            [i64::MIN, -1, 0, NOVEMBER_MS, 951_782_400_000, 253_402_300_799_999, i64::MAX]
        {
            let day = Day::utc(unix_ms);
            assert_eq!(Day::parse(&day.to_string()), Some(day), "{unix_ms}");
            assert_eq!(day.to_string(), rfc3339(unix_ms.max(0))[..10], "{unix_ms}");
        }
        let all = (0..=DAY_MAX).step_by(97).map(Day::new);
        assert!(all.into_iter().all(|day| Day::parse(&day.to_string()) == Some(day)));
        for wrong in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-1-1",
            "1969-12-31",
            "2026-11-01 ",
            "99999999999999999-1-1",
        ] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Day::parse("2028-02-29").map(Day::number), Some(21_243));
    }
}
