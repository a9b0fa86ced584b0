//! The store's own clock on the wall: by one zone, TZ's, the hours of rules and the days of reports
//! go, also on the days on which it is put forward or back.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{FakeTime, Gateway, Provider, set_clock, synchronised};

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
fn hours_of_rules_and_days_of_reports_go_by_the_same_zone_also_when_the_clock_is_put_forward_or_back()
 {
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
