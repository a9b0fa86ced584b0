//! Wall clocks that are wrong: nothing ages out, order stays, no wait changes, a certificate's
//! fault is the clock's.

use std::time::Duration;

use crate::harness::{
    Builder, FakeTime, Gateway, Order, Provider, Witness, eventually, set_clock, synchronised,
    until,
};

/// Long before any build.
const BOOT: &str = "@1970-01-01 00:05:00";
const LATER: &str = "@2049-05-05 05:05:05";
const BACK: &str = "@1999-09-09 09:09:09";

fn one_at_a_time() -> Builder {
    Gateway::with()
        .forward(
            "retry_min = \"100ms\"\nretry_max = \"250ms\"\nreconnect_spread \
            = \"0s\"\nmax_in_flight = 1",
        )
        .offline("max_outage = \"1h\"")
}

/// A builder on the false clock, which shows `time`.
fn at(fake: &FakeTime, builder: Builder, time: &str) -> Builder {
    set_clock(builder.folder(), time);
    fake.under(builder)
}

fn redeem(gateway: &Gateway, name: &str, count: usize) {
    let till = gateway.till("");
    for n in 0..count {
        let reply = till.redeem(&format!("{name}-{n}"));
        assert_eq!((reply.status, reply.state()), (200, "pending"));
    }
}

#[test]
fn a_clock_in_1970_then_years_ahead_then_back_ages_nothing_out_and_keeps_the_order() {
    let Some(fake) = FakeTime::find() else { return };
    let mut witness = Witness::start(1);
    let mut gateway =
        at(&fake, one_at_a_time().lane_at("main", &witness.redeem_url(), ""), BOOT).start();
    witness.cut();
    redeem(&gateway, "BOOT", 8);
    for row in gateway.list("pending") {
        assert!(row["accepted_at"].as_str().unwrap().starts_with("1970-01-01T00:05:"), "{row}");
        assert_eq!(row["clock_trusted"], false);
    }
    assert_eq!(gateway.status()["clock_trusted"], false);
    gateway.wait_for_link("main", "down");
    for (time, name) in [(LATER, "LATER"), (BACK, "BACK"), (BOOT, "AGAIN")] {
        set_clock(gateway.folder(), time);
        // Once while it runs, once over a restart; no outage has lasted an hour by it.
        redeem(&gateway, &format!("{name}-RUNNING"), 4);
        gateway.restart();
        redeem(&gateway, name, 4);
        gateway.wait_for_link("main", "down");
    }
    let years: Vec<_> = gateway
        .list("")
        .iter()
        .map(|row| row["accepted_at"].as_str().unwrap()[..4].to_owned())
        .collect();
    assert_eq!(gateway.counts().pending, 32);
    for year in ["1970", "2049", "1999"] {
        assert!(years.iter().any(|known| known == year), "no row is of {year}: {years:?}");
    }
    witness.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.accepted, books.confirmed), (32, 32));
    let notes = witness.notes();
    let mut expected: Vec<_> = (0..8).map(|n| format!("BOOT-{n}")).collect();
    for name in ["LATER-RUNNING", "LATER", "BACK-RUNNING", "BACK", "AGAIN-RUNNING", "AGAIN"] {
        expected.extend((0..4).map(|n| format!("{name}-{n}")));
    }
    // The first row delivered is a probe's, which takes its turn from wherever the last one was.
    let mut order = notes.order.clone();
    let probe = order.remove(0);
    expected.retain(|code| *code != probe);
    assert_eq!(order, expected);
}

/// The gap between a `Retry-After` of four seconds and the next request, when the clock is
/// `change`d meanwhile.
fn wait_of_four_seconds(rule: &str, change: impl Fn(&mut Gateway)) -> Duration {
    let fake = FakeTime::find().unwrap();
    let provider = Provider::start();
    let mut gateway =
        at(&fake, one_at_a_time().lane("main", &provider, ""), "@2027-01-01 00:00:00").start();
    // Taken in an outage, so that no till waits: a live redemption is tried again at once.
    provider.cut();
    assert_eq!(gateway.till("").redeem("WAITS").state(), "pending");
    gateway.wait_for_link("main", "down");
    provider.rules(&[rule]);
    provider.restore();
    until("the provider has asked for time", || !provider.requests().is_empty());
    eventually("the lane waits", || gateway.lane("main")["waiting_s"].as_u64());
    change(&mut gateway);
    gateway.wait_until_drained();
    let requests = provider.requests_for("WAITS");
    assert_eq!(requests.len(), 2, "{requests:?}");
    Duration::from_millis(requests[1].at_ms - requests[0].at_ms)
}

#[test]
fn a_wait_neither_collapses_nor_grows_when_the_wall_clock_jumps() {
    if FakeTime::find().is_none() {
        return;
    }
    let seconds = "fault=503,retry_after=4,count=1";
    let date = "fault=503,retry_after=date+4,count=1";
    let jump = |time: &'static str| move |gateway: &mut Gateway| set_clock(gateway.folder(), time);
    let restart = |time: &'static str| {
        move |gateway: &mut Gateway| {
            set_clock(gateway.folder(), time);
            gateway.restart();
        }
    };
    std::thread::scope(|scope| {
        let cases = [
            ("ahead", scope.spawn(move || wait_of_four_seconds(seconds, jump(LATER)))),
            ("back", scope.spawn(move || wait_of_four_seconds(seconds, jump(BACK)))),
            (
                "ahead over a restart",
                scope.spawn(move || wait_of_four_seconds(seconds, restart(LATER))),
            ),
            (
                "back over a restart",
                scope.spawn(move || wait_of_four_seconds(seconds, restart(BACK))),
            ),
            ("a date, far from ours", scope.spawn(move || wait_of_four_seconds(date, jump(BOOT)))),
        ];
        for (name, case) in cases {
            let gap = case.join().unwrap();
            assert!(
                gap >= Duration::from_millis(3900) && gap < Duration::from_secs(9),
                "{name}: {gap:?}"
            );
        }
    });
}

/// How many of six confirmed rows are left after a year and hours of running, believing the clock
/// or not.
fn left_after_a_year(settled_trusted: bool, pruned_trusted: bool) -> usize {
    let (Some(fake), Some(words)) = (FakeTime::find(), synchronised()) else { return usize::MAX };
    let believe = |yes: bool| if yes { words.as_slice() } else { &[] };
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "").more("[retention]\nsettled = \"1h\"");
    let mut gateway =
        at(&fake, builder, "@2027-01-01 00:00:00").wrapper(believe(settled_trusted)).start();
    for n in 0..6 {
        assert_eq!(gateway.till("").redeem(&format!("OLD-{n}")).status, 200);
    }
    gateway.wait_until_drained();
    assert_eq!(gateway.status()["clock_trusted"], settled_trusted);
    assert!(gateway.terminate().success());
    FakeTime::hurry(&mut gateway, "2028-01-01 00:00:00", 1200);
    gateway.set_wrapper(believe(pruned_trusted));
    gateway.start();
    let uptime = || gateway.operators().try_send("GET", "/api/v1/status", &[], b"").ok();
    eventually("hours have passed", || {
        uptime().filter(|reply| reply.json()["uptime_s"].as_u64() > Some(2 * 3600 + 60))
    });
    gateway.kill9();
    FakeTime::calm(&mut gateway, "2028-01-02 00:00:00");
    gateway.start();
    let counts = gateway.counts();
    assert_eq!((counts.accepted, counts.confirmed), (6, 6), "what leaves stays in the books");
    gateway.list("").len()
}

#[test]
fn retention_prunes_nothing_that_was_settled_or_is_looked_at_under_a_clock_that_nobody_set() {
    if FakeTime::find().is_none() || synchronised().is_none() {
        return;
    }
    let cases = [(true, true), (false, true), (true, false), (false, false)];
    let left = crate::harness::at_once(4, |n| left_after_a_year(cases[n].0, cases[n].1));
    // The newest row always stays: its number must not be given again.
    assert_eq!(left, [1, 6, 6, 6]);
}

/// The cause with which a lane is down, before a provider with such a certificate.
fn cause_before(certificate: &str, time: Option<&str>, trusted: bool) -> Option<String> {
    let (fake, words) = (FakeTime::find()?, synchronised()?);
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let provider = Provider::tls(certificate, &ca, &[]);
    let mut builder =
        Gateway::with().lane("main", &provider, &format!("ca_file = \"{}\"", ca.display()));
    if let Some(time) = time {
        builder = at(&fake, builder, time);
    }
    if trusted {
        builder = builder.wrapper(&words);
    }
    let gateway = builder.start();
    assert_eq!(gateway.till("").redeem("ANY").state(), "pending");
    let lane = gateway.wait_for_link("main", "down");
    assert_eq!(gateway.counts().pending, 1);
    Some(lane["cause"].as_str().unwrap().to_owned())
}

#[test]
fn a_certificates_dates_are_the_clocks_fault_until_it_is_set_and_the_certificates_afterwards() {
    let cases = [
        ("good", Some(BOOT), false, "clock"),
        ("not-yet-valid", None, false, "clock"),
        ("expired", None, false, "clock"),
        ("not-yet-valid", None, true, "tls"),
        ("expired", None, true, "tls"),
        ("wrong-host", None, false, "tls"),
    ];
    for (certificate, time, trusted, cause) in cases {
        let Some(found) = cause_before(certificate, time, trusted) else { return };
        assert_eq!(found, cause, "{certificate} at {time:?}, trusted: {trusted}");
    }
}

#[test]
fn a_box_that_booted_in_1970_delivers_over_tls_once_its_clock_is_set() {
    let Some(fake) = FakeTime::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let provider = Provider::tls("good", &ca, &[]);
    let builder =
        Gateway::with().lane("main", &provider, &format!("ca_file = \"{}\"", ca.display()));
    let gateway = at(&fake, builder, BOOT).start();
    for n in 0..3 {
        assert_eq!(gateway.till("").order(&Order::new(&format!("EARLY-{n}"))).status, 200);
    }
    let lane = gateway.wait_for_link("main", "down");
    assert_eq!(lane["cause"], "clock", "{lane}");
    gateway.wait_for_attempts("main", "clock", 2);
    assert_eq!(gateway.counts().pending, 3);
    // What timesyncd does, once the line is there.
    set_clock(gateway.folder(), "+0");
    let books = gateway.wait_until_drained();
    assert_eq!(books.confirmed, 3);
    let early = gateway.list("confirmed");
    assert!(early.iter().all(|row| row["clock_trusted"] == false
        && row["accepted_at"].as_str().unwrap().starts_with("1970")));
}

#[test]
fn what_began_before_the_clock_was_set_is_told_by_how_long_ago_it_began_or_not_at_all() {
    let Some(fake) = FakeTime::find() else { return };
    let provider = Provider::start();
    let mut gateway = at(&fake, one_at_a_time().lane("main", &provider, ""), BOOT).start();
    provider.cut();
    redeem(&gateway, "BOOT", 1);
    gateway.wait_for_link("main", "down");
    assert!(gateway.status()["oldest_pending_age_s"].as_u64().is_some_and(|age_s| age_s < 60));
    set_clock(gateway.folder(), LATER);
    until("the outage is told by the clock of now", || {
        gateway.lane("main")["since"].as_str().is_some_and(|since| since.starts_with("2049-05-05"))
    });
    assert!(gateway.status()["oldest_pending_age_s"].is_null());
    redeem(&gateway, "LATER", 1);
    assert!(gateway.status()["oldest_pending_age_s"].as_u64().is_some_and(|age_s| age_s < 60));
    gateway.kill9();
}
