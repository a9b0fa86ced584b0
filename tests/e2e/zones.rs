//! The store's own clock on the wall: by one zone, TZ's, the hours of rules and the days of reports
//! go, also on the days on which it is put forward or back.

use std::collections::BTreeMap;

use redeemd::clock::Clock;
use serde_json::Value;

use crate::harness::{FakeTime, Gateway, Provider, redeemd, set_clock, synchronised};

/// A moment on the wall, the day of the report that it belongs to, and whether `H-*` is given then.
type Moment = (&'static str, &'static str, bool);

/// Berlin puts its clock forward on 28 March 2027 at 02:00 and back on 31 October at 03:00.
const MOMENTS: [Moment; 12] = [
    ("2027-03-27 23:00:00", "2027-03-27", true),
    ("2027-03-28 01:30:00", "2027-03-27", false),
    ("2027-03-28 03:30:00", "2027-03-27", false),
    // By the zone of the day before it were 03:15.
    ("2027-03-28 04:15:00", "2027-03-28", false),
    // And this 07:15.
    ("2027-03-28 08:15:00", "2027-03-28", true),
    ("2027-03-28 23:45:00", "2027-03-28", false),
    ("2027-10-31 01:30:00", "2027-10-30", false),
    // By the zone of the day before it were 04:30.
    ("2027-10-31 03:30:00", "2027-10-30", false),
    ("2027-10-31 04:30:00", "2027-10-31", false),
    // And this 08:45.
    ("2027-10-31 07:45:00", "2027-10-31", false),
    ("2027-10-31 08:15:00", "2027-10-31", true),
    ("2027-11-01 03:59:00", "2027-10-31", false),
];

#[test]
fn hours_of_rules_and_days_of_reports_go_by_one_zone_also_when_the_clock_is_put_forward_or_back() {
    let (Some(fake), Some(wrapper)) = (FakeTime::find(), synchronised()) else { return };
    let provider = Provider::start();
    let rule = "[[offline.rule]]\nname = \"day\"\ncode = \"H-*\"\nhours = \"08:00-23:30\"";
    let builder = Gateway::with()
        .lane("main", &provider, "")
        .gateway("day_ends = \"04:00\"")
        .offline(rule)
        .environment("TZ", "Europe/Berlin")
        .wrapper(&wrapper);
    set_clock(builder.folder(), &format!("@{}", MOMENTS[0].0));
    let gateway = fake.under(builder).start();
    provider.cut();
    let till = gateway.till("");
    assert_eq!(till.redeem("N-NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
    let mut expected = BTreeMap::from([(MOMENTS[0].1.to_owned(), 1)]);
    for (n, (wall, day, open)) in MOMENTS.iter().enumerate() {
        set_clock(gateway.folder(), &format!("@{wall}"));
        assert_eq!(till.redeem(&format!("N-{n}")).status, 200, "{wall}");
        let reply = till.redeem(&format!("H-{n}"));
        assert_eq!(reply.status, if *open { 200 } else { 503 }, "{wall}: {reply:?}");
        *expected.entry((*day).to_owned()).or_default() += 1 + i64::from(*open);
    }
    assert_eq!(days(&gateway), expected);
}

/// A zone in which it is another date now than in UTC.
fn other_date() -> &'static str {
    let hour = Clock::system().stamp().unix_ms.div_euclid(3_600_000).rem_euclid(24);
    if hour < 11 { "Etc/GMT+12" } else { "Etc/GMT-14" }
}

#[test]
fn what_is_imported_into_a_stopped_gateway_stands_on_the_day_of_its_own_zone() {
    let provider = Provider::start();
    let zone = other_date();
    let mut gateway = Gateway::with().lane("main", &provider, "").environment("TZ", zone).start();
    provider.cut();
    assert_eq!(gateway.till("").redeem("CARRIED").status, 200);
    let expected = days(&gateway);
    let file = gateway.folder().join("export");
    assert_eq!(gateway.command(&["export", file.to_str().unwrap()]).code, Some(0));
    gateway.terminate();
    std::fs::remove_dir_all(gateway.state_dir()).unwrap();
    let settings = gateway.folder().join("redeemd.toml");
    let mut import = redeemd("import");
    import.env("TZ", zone).arg("--config").arg(settings).arg(&file);
    assert!(import.status().unwrap().success());
    gateway.start();
    assert_eq!(days(&gateway), expected);
}

/// Hours would be other hours, and nobody would know why.
/// Windows whose edges lie in the hour that a night has not or has twice, or at midnight; and the
/// letter that their codes begin with.
const WINDOWS: [(char, &str); 6] = [
    ('B', "01:00-02:30"),
    ('I', "02:00-03:00"),
    ('G', "02:30-04:00"),
    ('X', "22:00-02:30"),
    ('E', "18:00-24:00"),
    ('A', "00:00-24:00"),
];
/// When Berlin's clock goes from 02:00 to 03:00, and from 03:00 back to 02:00, Unix seconds.
const FORWARD_S: i64 = 1_806_195_600;
const BACK_S: i64 = 1_824_944_400;
/// Moments, what the clock on the wall shows then, and which windows are open.
const EDGES: [(i64, &str, &str); 13] = [
    (FORWARD_S - 3600 - 30, "00:59:30", "XA"),
    (FORWARD_S - 30, "01:59:30", "BXA"),
    (FORWARD_S + 5, "03:00:05", "GA"),
    (FORWARD_S + 3600 - 30, "03:59:30", "GA"),
    (FORWARD_S + 3600 + 5, "04:00:05", "A"),
    (BACK_S - 3600 + 5, "02:00:05 for the first time", "BIXA"),
    (BACK_S - 1800 + 5, "02:30:05 for the first time", "IGA"),
    (BACK_S - 30, "02:59:30 for the first time", "IGA"),
    (BACK_S + 5, "02:00:05 once more", "BIXA"),
    (BACK_S + 1800 + 5, "02:30:05 once more", "IGA"),
    (BACK_S + 3600 + 5, "03:00:05", "GA"),
    (BACK_S + 22 * 3600 - 30, "23:59:30", "XEA"),
    (BACK_S + 22 * 3600 + 5, "00:00:05", "XA"),
];

#[test]
fn windows_go_by_the_clock_on_the_wall_through_an_hour_that_is_left_out_or_comes_twice() {
    let (Some(fake), Some(wrapper)) = (FakeTime::find(), synchronised()) else { return };
    let rule = |(letter, hours): &(char, &str)| {
        format!(
            "[[offline.rule]]\nname = \"{letter}\"\ncode = \"{letter}-*\"\nhours = \"{hours}\"\n"
        )
    };
    let rules: String = WINDOWS.iter().map(rule).collect();
    let provider = Provider::start();
    let limits = "max_per_hour_per_till = 1000\nmax_exposure = \"1000000\"\n";
    let builder = Gateway::with()
        .lane("main", &provider, "")
        .offline(&format!("{limits}{rules}"))
        .environment("TZ", "Europe/Berlin")
        .wrapper(&wrapper);
    let show = |folder: &std::path::Path, unix_s: i64| {
        let now_s = Clock::system().stamp().unix_ms / 1000;
        set_clock(folder, &format!("{:+}", unix_s - now_s));
    };
    show(builder.folder(), EDGES[0].0);
    let gateway = fake.under(builder).start();
    provider.cut();
    let till = gateway.till("");
    assert_eq!(till.redeem("N-NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
    for (n, (unix_s, wall, open)) in EDGES.iter().enumerate() {
        show(gateway.folder(), *unix_s);
        let given = WINDOWS.iter().map(|(letter, _)| *letter);
        let given: String =
            given.filter(|letter| till.redeem(&format!("{letter}-{n}")).status == 200).collect();
        assert_eq!(given, *open, "{wall}");
    }
}

/// How many were given on each day of the report.
fn days(gateway: &Gateway) -> BTreeMap<String, i64> {
    let said = gateway.command(&["report", "--json"]).out;
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let days = lines.filter(|line| line["kind"] == "day");
    let day = |line: Value| {
        (line["day"].as_str().unwrap().to_owned(), line["accepted"].as_i64().unwrap())
    };
    days.map(day).collect()
}
