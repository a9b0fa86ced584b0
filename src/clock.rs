//! Wall and monotonic time, and whether the wall clock can be believed.

mod zone;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

pub use zone::{Day, Days};

/// No clock that shows an earlier time than this can be right: 2026-11-01T00:00:00Z, or the build's
/// own date.
const BUILT_AT_MS: i64 = match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => match i64::from_str_radix(text, 10) {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => 1_793_491_200_000,
    },
    None => 1_793_491_200_000,
};

/// A reading of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// Whether somebody synchronised the clock.
    pub trusted: bool,
}

/// The time's source: the machine's, one that a test moves by hand, or a simulated box's.
#[derive(Clone, Debug)]
pub struct Clock(TimeSource);

#[derive(Clone, Debug)]
enum TimeSource {
    System { boot_id: Arc<str>, began: Instant, sync: Arc<Sync> },
    Manual(Arc<Hands>),
    Simulated(Arc<Boot>),
}

/// Whether the clock is synchronised, as it was found a moment ago: every commit asks, and each
/// look takes two system calls.
#[derive(Debug, Default)]
struct Sync {
    /// When it was looked, milliseconds after the clock was made, doubled; odd: it was
    /// synchronised. 0: never.
    found: AtomicU64,
}

impl Sync {
    /// A look is believed for so long.
    const BELIEVED_MS: u64 = 100;

    fn is_synchronised(&self, now: Duration, look: impl FnOnce() -> bool) -> bool {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX / 4).saturating_add(1);
        let found = self.found.load(Ordering::Relaxed);
        if found != 0 && now_ms.saturating_sub(found / 2) < Self::BELIEVED_MS {
            return found % 2 == 1;
        }
        let synchronised = look();
        self.found.store(now_ms * 2 + u64::from(synchronised), Ordering::Relaxed);
        synchronised
    }
}

#[derive(Debug)]
struct Hands {
    unix_ms: AtomicI64,
    trusted: AtomicBool,
}

/// One boot of a simulated box, whose time passes with the runtime's.
#[derive(Debug)]
struct Boot {
    id: String,
    began: Instant,
    /// How long the box was on when the runtime began, and slept since.
    before: AtomicI64,
    /// What the wall clock shows beside the runtime's time.
    hands: Hands,
}

impl Boot {
    fn runtime_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn since_boot_ms(&self) -> i64 {
        self.before.load(Ordering::Relaxed).saturating_add(self.runtime_ms())
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        let boot_id =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self(TimeSource::System {
            boot_id: boot_id.trim().into(),
            began: Instant::now(),
            sync: Arc::default(),
        })
    }

    /// A clock that stands until [`Clock::set`] moves it.
    #[must_use]
    pub fn manual(unix_ms: i64, trusted: bool) -> Self {
        let hands = Hands { unix_ms: AtomicI64::new(unix_ms), trusted: AtomicBool::new(trusted) };
        Self(TimeSource::Manual(Arc::new(hands)))
    }

    /// The clock of a box that has been on for `since_boot` in the boot `id`: it goes on with the
    /// runtime's time, also when that is paused. [`Clock::set`] sets its wall clock,
    /// [`Clock::sleep`] puts the box to sleep.
    #[must_use]
    pub fn simulated(id: &str, since_boot: Duration) -> Self {
        let hands = Hands { unix_ms: AtomicI64::new(0), trusted: AtomicBool::new(false) };
        let before = AtomicI64::new(signed_ms(since_boot));
        Self(TimeSource::Simulated(Arc::new(Boot {
            id: id.to_owned(),
            began: Instant::now(),
            before,
            hands,
        })))
    }

    /// Sets a manual or a simulated wall clock; the machine's own clock is left alone.
    pub fn set(&self, unix_ms: i64, trusted: bool) {
        let (hands, shown) = match &self.0 {
            TimeSource::System { .. } => return,
            TimeSource::Manual(hands) => (&**hands, unix_ms),
            TimeSource::Simulated(boot) => (&boot.hands, unix_ms.saturating_sub(boot.runtime_ms())),
        };
        hands.unix_ms.store(shown, Ordering::Relaxed);
        hands.trusted.store(trusted, Ordering::Relaxed);
    }

    /// A simulated box was suspended so long: both of its clocks went on, the runtime's time did
    /// not.
    pub fn sleep(&self, asleep: Duration) {
        if let TimeSource::Simulated(boot) = &self.0 {
            let asleep_ms = signed_ms(asleep);
            boot.before.fetch_add(asleep_ms, Ordering::Relaxed);
            boot.hands.unix_ms.fetch_add(asleep_ms, Ordering::Relaxed);
        }
    }

    /// The wall clock's reading: for the record only, never to wait by.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        match &self.0 {
            TimeSource::System { began, sync, .. } => {
                let unix_ms = system_unix_ms();
                Stamp {
                    unix_ms,
                    trusted: may_be_set(unix_ms)
                        && sync.is_synchronised(began.elapsed(), is_synchronised),
                }
            }
            TimeSource::Manual(hands) => Stamp {
                unix_ms: hands.unix_ms.load(Ordering::Relaxed),
                trusted: hands.trusted.load(Ordering::Relaxed),
            },
            TimeSource::Simulated(boot) => Stamp {
                unix_ms: boot
                    .hands
                    .unix_ms
                    .load(Ordering::Relaxed)
                    .saturating_add(boot.runtime_ms()),
                trusted: boot.hands.trusted.load(Ordering::Relaxed),
            },
        }
    }

    /// Time since boot, suspension included, to a hundredth of a second: goes on across restarts of
    /// the process and never steps.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        if let TimeSource::Simulated(boot) = &self.0 {
            return Duration::from_millis(u64::try_from(boot.since_boot_ms()).unwrap_or(0));
        }
        // The crate would read the clock in the vDSO, which valgrind takes away.
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok());
        seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
    }

    /// How long the process has been on, as far as only differences matter: it never steps.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match &self.0 {
            TimeSource::System { began, .. } => began.elapsed(),
            TimeSource::Manual(_) | TimeSource::Simulated(_) => self.since_boot(),
        }
    }

    /// Names this boot of the machine: a time since boot means something only beside it.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        match &self.0 {
            TimeSource::System { boot_id, .. } => boot_id,
            TimeSource::Manual(_) => "manual",
            TimeSource::Simulated(boot) => &boot.id,
        }
    }
}

/// A time zone, as the machine has it set when it is read.
#[derive(Clone, Debug)]
pub struct Zone(tz::TimeZone);

fn named() -> Option<String> {
    std::env::var("TZ").ok().filter(|name| !name.is_empty())
}

impl Zone {
    /// The machine's: `$TZ`, else `/etc/localtime`, else UTC. Blocks on the file system.
    #[must_use]
    pub fn local() -> Self {
        let named = named().and_then(|name| tz::TimeZone::from_posix_tz(&name).ok());
        Self(named.or_else(|| tz::TimeZone::local().ok()).unwrap_or_else(tz::TimeZone::utc))
    }

    /// What `$TZ` says, where that is no zone of this machine's and another one holds. Blocks on
    /// the file system.
    #[must_use]
    pub fn misnamed() -> Option<String> {
        named().filter(|name| tz::TimeZone::from_posix_tz(name).is_err())
    }

    /// Coordinated Universal Time.
    #[must_use]
    pub fn utc() -> Self {
        Self(tz::TimeZone::utc())
    }

    /// The minute of the day, 0 to 1439, that a clock on the wall shows at this moment.
    #[must_use]
    pub fn minute_of_day(&self, unix_ms: i64) -> u16 {
        u16::try_from(self.local_s(unix_ms).div_euclid(60).rem_euclid(24 * 60)).unwrap_or(0)
    }

    /// This moment as a clock on the wall shows it.
    #[must_use]
    pub fn at(&self, unix_ms: i64) -> LocalMoment<'_> {
        LocalMoment { zone: self, unix_ms }
    }

    /// What a clock on the wall shows, to the minute, and how far it is ahead of UTC:
    /// `2026-11-26 22:25 UTC+03:00`.
    #[must_use]
    pub fn shown(&self, unix_ms: i64) -> String {
        let local_s = self.local_s(unix_ms);
        let wall = rfc3339(local_s.saturating_mul(1000)).replace('T', " ");
        let ahead_min = local_s.saturating_sub(unix_ms.div_euclid(1000)).div_euclid(60);
        let sign = if ahead_min < 0 { '-' } else { '+' };
        let (hours, minutes) = (ahead_min.unsigned_abs() / 60, ahead_min.unsigned_abs() % 60);
        let ahead = (ahead_min != 0).then(|| format!("{sign}{hours:02}:{minutes:02}"));
        format!("{} UTC{}", wall.get(..16).unwrap_or(&wall), ahead.unwrap_or_default())
    }

    /// What a clock on the wall shows, in seconds after the beginning of 1970 there.
    fn local_s(&self, unix_ms: i64) -> i64 {
        let seconds = unix_ms.div_euclid(1000);
        let offset_s =
            self.0.find_local_time_type(seconds).map_or(0, |kind| i64::from(kind.ut_offset()));
        seconds.saturating_add(offset_s)
    }
}

/// A moment as a clock on the wall shows it, and what that will show after it.
#[derive(Clone, Copy, Debug)]
pub struct LocalMoment<'a> {
    zone: &'a Zone,
    unix_ms: i64,
}

impl LocalMoment<'_> {
    /// How far ahead the next minute of some kind is looked for: a day, and by how much clocks are
    /// put back in it.
    const AHEAD_MIN: u16 = 26 * 60;

    /// The minute of the day, 0 to 1439.
    #[must_use]
    pub fn minute(self) -> u16 {
        self.zone.minute_of_day(self.unix_ms)
    }

    /// How long until a minute of the day begins for which `is_one` holds, also where clocks are
    /// put forward or back meanwhile; `None`: none does within a day. Zones differ by whole
    /// minutes.
    #[must_use]
    pub fn until(self, is_one: impl Fn(u16) -> bool) -> Option<Duration> {
        let minute_ms = |ahead: u16| self.unix_ms.saturating_add(i64::from(ahead) * 60_000);
        let offset_s = |unix_ms: i64| self.zone.local_s(unix_ms) - unix_ms.div_euclid(1000);
        let is_even = offset_s(self.unix_ms) == offset_s(minute_ms(Self::AHEAD_MIN));
        let now = self.minute();
        let shown = |ahead: u16| {
            let by_zone = || self.zone.minute_of_day(minute_ms(ahead));
            if is_even { (now + ahead) % (24 * 60) } else { by_zone() }
        };
        let ahead = (1..=Self::AHEAD_MIN).find(|ahead| is_one(shown(*ahead)))?;
        let into_minute = u64::try_from(self.unix_ms.rem_euclid(60_000)).unwrap_or(0);
        let whole = Duration::from_secs(u64::from(ahead) * 60);
        Some(whole.saturating_sub(Duration::from_millis(into_minute)))
    }
}

/// A span in whole milliseconds, rounded down; what is longer than the type can say is its maximum.
#[must_use]
pub fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Likewise, as SQLite stores a number and a time is counted in.
#[must_use]
pub fn signed_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this room is where the wall clock is read")]
fn system_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    signed_ms(since)
}

/// Whether a clock that shows this may have been set: it is not of before this build.
#[must_use]
pub fn may_be_set(unix_ms: i64) -> bool {
    unix_ms >= BUILT_AT_MS
}

/// timesyncd touches this file once it has set the clock (systemd-timesyncd.service(8)).
const TIMESYNCD_FILE: &str = "/run/systemd/timesync/synchronized";

/// What `adjtimex` returns while nobody keeps the clock in step (`TIME_ERROR` in adjtimex(2)).
const TIME_ERROR: i32 = 5;

/// The status bit that says the same (`STA_UNSYNC`).
const STA_UNSYNC: i32 = 0x40;

/// Whether timesyncd or the kernel says that the clock was set. The file comes first: a unit with
/// `ProtectClock=` forbids the system call, although with no modes set it only reads.
fn is_synchronised() -> bool {
    Path::new(TIMESYNCD_FILE).exists() || kernel_says_so()
}

/// What chrony, ntpd, ntpd-rs and busybox leave in the kernel.
fn kernel_says_so() -> bool {
    let mut asked = rtime_clock::adjtime::Timex::new();
    match rtime_clock::adjtime::adjtimex(&mut asked) {
        Ok(state) => is_in_step(state, asked.0.status),
        Err(_) => false,
    }
}

fn is_in_step(state: i32, status: i32) -> bool {
    state != TIME_ERROR && status & STA_UNSYNC == 0
}

/// The first moment that RFC 3339 can write, Unix milliseconds: 0000-01-01T00:00:00Z.
const WRITABLE_MS_MIN: i64 = -62_167_219_200_000;
/// The last one: 9999-12-31T23:59:59Z.
const WRITABLE_MS_MAX: i64 = 253_402_300_799_999;

/// `unix_ms` as RFC 3339 in UTC with seconds, the form in every API, log and listing. A year has
/// four digits there: a time before the year 0 or after 9999, which no clock shows, is written as
/// the first or the last that there is.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    let seconds = unix_ms.clamp(WRITABLE_MS_MIN, WRITABLE_MS_MAX).div_euclid(1000);
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, 'Z'),
    ];
    // By hand: each redemption carries one, and the formatter takes ten times as long.
    let mut text = String::with_capacity(20);
    for (number, digits, after) in parts {
        text.extend((0..digits).rev().map(|place| digit(number, place)).chain([after]));
    }
    text
}

/// One decimal digit of a number that is not negative; place 0 is the last.
fn digit(number: i64, place: u32) -> char {
    let digit = u32::try_from(number / 10_i64.pow(place) % 10).unwrap_or(0);
    char::from_digit(digit, 10).unwrap_or('0')
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar:
/// years are counted from March, so that a leap day is a year's last, in eras of 400 years.
fn date_of(days: i64) -> (i64, i64, i64) {
    let since_march_0 = days + 719_468;
    let (era, day_of_era) = (since_march_0.div_euclid(146_097), since_march_0.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_nobody_keeps_in_step_is_not_believed() {
        let (ok, leap_second_tonight) = (0, 1);
        assert!(is_in_step(ok, 0x2001) && is_in_step(leap_second_tonight, 0x2011));
        assert!(!is_in_step(TIME_ERROR, 0x40));
        assert!(!is_in_step(ok, 0x40) && !is_in_step(TIME_ERROR, 0));
    }

    #[test]
    fn asking_the_kernel_changes_nothing_and_answers_the_same_twice() {
        assert_eq!(kernel_says_so(), kernel_says_so());
    }

    #[test]
    fn a_clock_that_was_looked_at_is_believed_for_a_tenth_of_a_second() {
        let sync = Sync::default();
        let asked =
            |ms, synchronised| sync.is_synchronised(Duration::from_millis(ms), || synchronised);
        assert!(!asked(0, false), "the first look");
        assert_eq!(
            [asked(99, true), asked(100, true), asked(150, false), asked(200, false)],
            [false, true, true, false]
        );
    }

    #[test]
    fn how_long_until_a_minute_of_the_day_is_so_also_where_the_clock_is_put_forward_or_back() {
        let zone = Zone(tz::TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        // 2027-03-28 00:00:30, when 02:00 becomes 03:00, and 2027-10-31, when 03:00 becomes 02:00.
        let (spring_ms, autumn_ms) = (1_806_188_430_000, 1_824_933_630_000);
        let minutes = |unix_ms: i64, from: u16, to: u16| {
            let until = zone.at(unix_ms).until(|minute| (from..to).contains(&minute));
            until.map(|until| (until.as_secs() + 30) / 60)
        };
        assert_eq!([spring_ms, autumn_ms].map(|ms| zone.at(ms).minute()), [0, 0]);
        let day_ms = 24 * 3_600_000;
        for (ms, hour) in [(spring_ms - day_ms, 60), (spring_ms, 0), (autumn_ms, 120)] {
            assert_eq!(minutes(ms, 10 * 60, 11 * 60), Some(9 * 60 + hour), "{ms}");
            assert_eq!(minutes(ms, 60, 61), Some(60), "{ms}");
        }
        assert_eq!(minutes(spring_ms, 2 * 60 + 30, 4 * 60), Some(2 * 60), "02:30 is never shown");
        assert_eq!(minutes(autumn_ms + 170 * 60_000, 2 * 60, 3 * 60), Some(1), "it goes on");
        assert_eq!(minutes(autumn_ms, 0, 0), None);
    }

    #[test]
    fn a_manual_clock_says_what_it_was_told() {
        let clock = Clock::manual(5, false);
        assert_eq!(clock.stamp(), Stamp { unix_ms: 5, trusted: false });
        clock.set(BUILT_AT_MS, true);
        assert_eq!(clock.stamp(), Stamp { unix_ms: BUILT_AT_MS, trusted: true });
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_goes_on_with_the_runtime_and_sleeps_when_it_is_told() {
        let clock = Clock::simulated("boot-1", Duration::from_secs(5));
        clock.set(BUILT_AT_MS, false);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.stamp(), Stamp { unix_ms: BUILT_AT_MS + 2000, trusted: false });
        clock.sleep(Duration::from_secs(60));
        assert_eq!(
            (clock.stamp().unix_ms, clock.since_boot()),
            (BUILT_AT_MS + 62_000, Duration::from_secs(67))
        );
        clock.set(7, true);
        tokio::time::advance(Duration::from_millis(3)).await;
        assert_eq!(clock.stamp(), Stamp { unix_ms: 10, trusted: true });
        assert_eq!(
            (clock.since_boot(), clock.boot_id()),
            (Duration::from_millis(67_003), "boot-1")
        );
    }

    #[test]
    fn times_are_shown_in_utc_with_seconds() {
        assert_eq!(rfc3339(1_793_491_200_999), "2026-11-01T00:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(-2_203_891_200_000), "1900-03-01T00:00:00Z");
    }

    #[test]
    fn every_time_has_a_text_and_one_that_no_year_of_four_digits_holds_has_a_nearest() {
        for (unix_ms, text) in [
            (i64::MIN, "0000-01-01T00:00:00Z"),
            (WRITABLE_MS_MIN - 1, "0000-01-01T00:00:00Z"),
            (WRITABLE_MS_MAX, "9999-12-31T23:59:59Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix_ms), text, "{unix_ms}");
        }
    }

    #[test]
    fn a_text_is_the_one_that_another_calendar_makes_of_it() {
        let days = (0..=WRITABLE_MS_MAX).step_by(86_400_000 * 17 + 86_399_999);
        for unix_ms in days {
            let since = Duration::from_millis(u64::try_from(unix_ms).unwrap());
            let theirs = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
            assert_eq!(rfc3339(unix_ms), theirs, "{unix_ms}");
        }
    }
}
