//! The limits as tables.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::*;
use crate::clock::{LocalMoment, Zone, signed_ms};
use crate::settings;

const HOUR: Duration = Duration::from_secs(3600);

/// The offline policy of these lines.
fn policy(lines: &str) -> Offline {
    let text = format!(
        "[gateway]\nname = \"box\"\n[[provider]]\nname = \"main\"\nredeem_url \
         = \"https://a.example/r\"\n\
         token_file = \"/t\"\n[offline]\ndate_format = \"any\"\n{lines}"
    );
    settings::parse(&text, "box").expect("settings").settings.offline
}

fn down(pending: u64, outage: Duration) -> LaneNow {
    LaneNow { pending, outage, ..LaneNow::down() }
}

fn tenth(lane: LaneNow) -> LaneNow {
    LaneNow { trust: Trust::AtOnce { tenth: true }, ..lane }
}

/// The policy's word about a redemption on a lane that is down.
fn said(policy: &Offline, risk: &Risk<'_>) -> Result<(), Limit> {
    admit(policy, &LaneNow::down(), risk)
}

fn subject(code: &str) -> Subject<'_> {
    let (till, business, branch) = ("till-1", "Shop", "7");
    Subject {
        till,
        business,
        branch,
        code,
        checked: None,
        cause: Some(Cause::Connect),
        now_s: 6000,
    }
}

fn checked(kind: &str, at_s: i64) -> Remembered {
    let amount = Some(Amount::whole(10));
    let terms = Terms { kind: kind.to_owned(), amount, is_percentage: false, max: None };
    Remembered { checked: Checked::Valid(terms), at_s }
}

/// Dice by the seed in `SEED`, which is printed.
fn dice() -> crate::link::Dice {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(16);
    println!("SEED={seed}");
    crate::link::Dice::new(seed)
}

/// Rules of few words in every combination, so that they overlap and many fit the same request.
fn some_rules(bits: &mut impl FnMut(u64) -> u64) -> String {
    let mut text = String::new();
    for n in 0..bits(30) {
        writeln!(text, "[[offline.rule]]\nname = \"r{n}\"").unwrap();
        let of = [
            (
                "code",
                ["A*", "AB-1", "*", "*1", "AB*1", "\u{0661}*", "ABCDEFGHIJKLMNOPQRST*", "B-*"],
            ),
            ("business", ["shop", "SHOP 2", "x", "shop", "y", "z", "shop", "x"]),
            ("branch", ["7", "8", "7", "9", "7", "8", "7", "9"]),
            ("till", ["till-1", "till-2", "t", "till-1", "u", "v", "till-2", "till-1"]),
            ("type", ["gift", "discount", "GIFT", "gift", "other", "gift", "discount", "gift"]),
        ];
        for (key, words) in of {
            let chosen: std::collections::BTreeSet<&str> = (0..bits(7).saturating_sub(4))
                .map(|_| words[usize::try_from(bits(8)).unwrap()])
                .collect();
            if !chosen.is_empty() {
                let list = format!("{chosen:?}").replace('{', "[").replace('}', "]");
                writeln!(text, "{key} = {list}").unwrap();
            }
        }
        text.push_str(
            ["", "", "cause = \"tls\"\n", "checked_within = \"5m\"\n"]
                [usize::try_from(bits(4)).unwrap()],
        );
    }
    text
}

#[test]
fn the_first_rule_that_fits_is_the_one_that_a_walk_through_all_of_them_finds() {
    let mut dice = dice();
    let mut bits = |below: u64| dice.bits() % below;
    let mut fitting = 0;
    for _ in 0..60 {
        let policy = policy(&some_rules(&mut bits));
        for _ in 0..60 {
            let mut one = |of: [&'static str; 4]| of[usize::try_from(bits(4)).unwrap()];
            let (till, business) =
                (one(["till-1", "till-2", "t", "w"]), one(["Shop", "shop 2", "X", "w"]));
            let (branch, kind) =
                (one(["7", "8", "9", "1"]), one(["gift", "discount", "GIFT", "w"]));
            let code = one(["AB-1", "\u{661}5", "ABCDEFGHIJKLMNOPQRSTU", "B-1"]);
            let (check, is_checked) =
                (checked(kind, 5400 + i64::from(code == "AB-1") * 540), bits(2));
            let checked = (is_checked == 1).then_some(&check);
            let cause =
                [Some(Cause::Tls), Some(Cause::Connect), None][usize::try_from(bits(3)).unwrap()];
            let subject = Subject { till, business, branch, code, checked, cause, now_s: 6000 };
            let (folded, within) = (fold::code(business), policy.checked_within);
            let walked = policy.rules.iter().find(|rule| fits(rule, &subject, &folded, within));
            assert_eq!(rule_for(&policy, &subject), walked, "{subject:?}: {:?}", policy.rules);
            fitting += usize::from(walked.is_some());
        }
    }
    assert!(fitting > 1000, "{fitting} of 3600");
}

#[test]
fn of_many_rules_those_alone_are_looked_at_that_share_the_requests_rarest_value() {
    let rules: String = (0..200).fold(String::new(), |mut text, n| {
        let of = match n % 4 {
            0 => format!("code = [\"GIFT-{n}-*\", \"V-{n}\"]\ntill = \"till-1\""),
            1 => format!("business = \"shop-{n}\"\nbranch = \"7\""),
            2 => format!("till = \"till-{n}\"\ntype = \"gift\""),
            _ => format!("type = \"kind-{n}\""),
        };
        writeln!(text, "[[offline.rule]]\nname = \"r{n}\"\n{of}").unwrap();
        text
    });
    let policy = policy(&format!("{rules}[[offline.rule]]\nname = \"all\"\ncause = \"tls\""));
    let near = |till, business, kind, code| {
        let keys = RuleKeys { till, business, branch: "7", kind, code };
        policy.rules.near(&keys).map(|rule| rule.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(near("till-1", "x", None, "GIFT-7"), ["all"]);
    assert_eq!(near("till-1", "shop-5", Some("kind-3"), "GIFT-8-1"), ["r3", "r5", "r8", "all"]);
    assert_eq!(near("till-6", "x", Some("gift"), "V-4"), ["r4", "r6", "all"]);
}

#[test]
fn each_limit_is_reached_exactly_at_its_number() {
    let policy = policy("max_pending = 30\nmax_pending_per_till = 20\nmax_outage = \"1h\"");
    let admit = |lane| admit(&policy, &lane, &Risk::none());
    assert_eq!(admit(down(29, Duration::from_millis(3_599_999))), Ok(()));
    assert_eq!(admit(down(30, Duration::ZERO)), Err(Limit::Pending(30)));
    assert_eq!(admit(down(0, HOUR)), Err(Limit::Outage(HOUR)));
    let till = |till_pending| LaneNow { till_pending, ..down(20, Duration::ZERO) };
    assert_eq!(admit(till(19)), Ok(()));
    assert_eq!(admit(till(20)), Err(Limit::Till(20)));
}

#[test]
fn a_cause_that_could_be_somebodys_doing_leaves_a_tenth_of_each_limit_on_counts_sums_and_time() {
    let policy = policy(
        "max_pending = 30\nmax_outage = \"1h\"\nmax_exposure = \"500\"\nmax_per_hour = \
         50\nmax_per_hour_per_till = 40",
    );
    let lane = |outage| tenth(down(2, outage));
    let risk = |exposure: i64, hour, till| Risk {
        lane: Account { exposure: Amount::whole(exposure), hour, ..Account::default() },
        till: Account { hour: till, ..Account::default() },
        ..Risk::none()
    };
    let soon = (HOUR / 10).saturating_sub(Duration::from_millis(1));
    assert_eq!(admit(&policy, &lane(soon), &risk(25, 4, 3)), Ok(()));
    assert_eq!(admit(&policy, &tenth(down(3, soon)), &Risk::none()), Err(Limit::Pending(3)));
    assert_eq!(admit(&policy, &lane(HOUR / 10), &Risk::none()), Err(Limit::Outage(HOUR / 10)));
    assert_eq!(
        admit(&policy, &lane(soon), &risk(26, 0, 0)),
        Err(Limit::Exposure(Amount::whole(50)))
    );
    assert_eq!(admit(&policy, &lane(soon), &risk(0, 5, 0)), Err(Limit::Rate(5, 3600)));
    assert_eq!(admit(&policy, &lane(soon), &risk(0, 0, 4)), Err(Limit::TillRate(4, 3600)));
}

#[test]
fn what_is_at_risk_and_what_was_given_lately_is_bounded_for_each_redemption_to_come() {
    let policy = policy(
        "max_exposure = \"100\"\nmax_per_hour = 3\nmax_per_day = 5\nmax_per_hour_per_till = 2",
    );
    let risk = |exposure: i64, hour, day, till| Risk {
        lane: Account { exposure: Amount(exposure), hour, day, pending: 0 },
        till: Account { hour: till, ..Account::default() },
        ..Risk::none()
    };
    for (risk, expected) in [
        (risk(750_000, 2, 4, 1), Ok(())),
        (risk(750_001, 0, 0, 0), Err(Limit::Exposure(Amount::whole(100)))),
        (risk(0, 3, 3, 0), Err(Limit::Rate(3, 3600))),
        (risk(0, 0, 5, 0), Err(Limit::Rate(5, 86_400))),
        (risk(0, 0, 0, 2), Err(Limit::TillRate(2, 3600))),
    ] {
        assert_eq!(said(&policy, &risk), expected, "{risk:?}");
    }
    let known = checked("voucher", 0);
    let known = Risk { checked: Some(&known), ..risk(900_000, 0, 0, 0) };
    assert_eq!(said(&policy, &known), Ok(()), "a check said 10.00");
}

#[test]
fn a_switch_a_slowed_till_and_an_unknown_business_come_before_every_limit() {
    let policy = policy("max_pending = 1");
    let full = LaneNow { pending: 1, ..LaneNow::down() };
    let refused = Remembered {
        checked: Checked::Refused { strong: true, message: "expired".to_owned() },
        at_s: 0,
    };
    let weak = Remembered {
        checked: Checked::Refused { strong: false, message: "hm".to_owned() },
        at_s: 0,
    };
    for (risk, expected) in [
        (Risk { is_off: true, refused: Some(10), ..Risk::none() }, Limit::Off),
        (Risk { refused: Some(10), is_known: false, ..Risk::none() }, Limit::Slowed(10)),
        (Risk { is_known: false, ..Risk::none() }, Limit::Business),
        (Risk { checked: Some(&refused), ..Risk::none() }, Limit::Refused("expired".to_owned())),
        (Risk { checked: Some(&weak), ..Risk::none() }, Limit::Pending(1)),
    ] {
        assert_eq!(admit(&policy, &full, &risk), Err(expected));
    }
}

#[test]
fn reusable_codes_have_sixty_an_hour_and_till() {
    let policy = policy("");
    let risk = |reusable, reusable_hour| Risk { reusable, reusable_hour, ..Risk::none() };
    assert_eq!(said(&policy, &risk(true, 59)), Ok(()));
    assert_eq!(said(&policy, &risk(true, 60)), Err(Limit::Reusable(60)));
    assert_eq!(said(&policy, &risk(false, 60)), Ok(()));
}

/// The name of the rule that fits.
fn rule<'a>(policy: &'a Offline, subject: &Subject<'_>) -> Option<&'a str> {
    rule_for(policy, subject).map(|rule| &*rule.name)
}

#[test]
fn the_first_rule_that_fits_is_the_one() {
    let policy = policy(
        "[[offline.rule]]\nname = \"code\"\ncode = [\"GIFT-*\", \"*-VIP\"]\n\
         [[offline.rule]]\nname = \"till\"\ntill = \"till-2\"\n\
         [[offline.rule]]\nname = \"shop\"\nbusiness = \"SHOP\"\nbranch = [\"8\", \"9\"]\n\
         [[offline.rule]]\nname = \"type\"\ntype = \"voucher\"\n\
         [[offline.rule]]\nname = \"checked\"\nchecked_within = \"2h\"\n\
         [[offline.rule]]\nname = \"cause\"\ncause = [\"tls\", \"clock\"]\n\
         [[offline.rule]]\nname = \"rest\"",
    );
    let (voucher, old, older) =
        (checked("voucher", 5100), checked("voucher", 5099), checked("gift", -1201));
    for (subject, expected) in [
        (subject("GIFT-1"), "code"),
        (subject("gift-1"), "rest"),
        (subject("1-VIP"), "code"),
        (Subject { till: "till-2", ..subject("1") }, "till"),
        (Subject { branch: "8", ..subject("1") }, "shop"),
        (Subject { branch: "8", business: "shop", ..subject("1") }, "shop"),
        (Subject { branch: "8", business: "other", ..subject("1") }, "rest"),
        (Subject { checked: Some(&voucher), ..subject("1") }, "type"),
        (Subject { checked: Some(&old), ..subject("1") }, "checked"),
        (Subject { checked: Some(&older), ..subject("1") }, "rest"),
        (Subject { cause: Some(Cause::Tls), ..subject("1") }, "cause"),
    ] {
        assert_eq!(rule(&policy, &subject), Some(expected), "{subject:?}");
    }
}

#[test]
fn a_rules_own_limits_count_its_own_rows_and_those_of_offline_hold_too() {
    let policy = policy(
        "max_exposure = \"1000\"\n[[offline.rule]]\nname = \"gift\"\nmax_exposure \
         = \"60\"\nmax_pending = 2\n\
         max_per_hour = 4\nmax_per_day = 5\nmax_outage = \"10m\"",
    );
    let gift = policy.rules.first();
    let risk = |pending, exposure: i64, hour, day| Risk {
        rule: gift,
        of_rule: Account { pending, exposure: Amount::whole(exposure), hour, day },
        ..Risk::none()
    };
    let by = |limit| Err(Limit::Rule("gift".into(), Box::new(limit)));
    for (risk, expected) in [
        (risk(1, 35, 3, 4), Ok(())),
        (risk(2, 0, 0, 0), by(Limit::Pending(2))),
        (risk(0, 36, 0, 0), by(Limit::Exposure(Amount::whole(60)))),
        (risk(0, 0, 4, 4), by(Limit::Rate(4, 3600))),
        (risk(0, 0, 0, 5), by(Limit::Rate(5, 86_400))),
    ] {
        assert_eq!(said(&policy, &risk), expected, "{risk:?}");
    }
    let long = admit(&policy, &down(0, HOUR / 6), &risk(0, 0, 0, 0));
    assert_eq!(long, by(Limit::Outage(HOUR / 6)));
    let full = Risk {
        lane: Account { exposure: Amount::whole(990), ..Account::default() },
        ..risk(0, 0, 0, 0)
    };
    assert_eq!(
        said(&policy, &full),
        Err(Limit::Exposure(Amount::whole(1000))),
        "the lane's is not named after a rule"
    );
}

#[test]
fn what_stands_for_each_redemption_alone_is_the_rules_where_it_has_one() {
    let policy = policy(
        "accept = false\nmax_value = \"20\"\nhours = \"08:00-20:00\"\ncode_form = { alphabet \
         = \"digits\" }\n\
         [[offline.rule]]\nname = \"own\"\naccept = true\nmax_value = \"30\"\nhours \
         = \"20:00-08:00\"\n\
         code_form = { alphabet = \"letters\" }\n\
         [[offline.rule]]\nname = \"none\"\naccept = true\n\
         [[offline.rule]]\nname = \"no\"\naccept = false",
    );
    let risk = |rule: usize, code, local_min| Risk {
        rule: policy.rules.get(rule),
        code,
        local_min,
        ..Risk::none()
    };
    let (noon, night) = (Some(12 * 60), Some(0));
    let known = checked("voucher", 0);
    let cheap = |risk| Risk { checked: Some(&known), ..risk };
    let by = |name: &str, limit| Err(Limit::Rule(name.into(), Box::new(limit)));
    for (risk, expected) in [
        (risk(9, "1", noon), Err(Limit::NotAccepting)),
        (risk(2, "1", noon), by("no", Limit::NotAccepting)),
        (risk(0, "a", night), Ok(())),
        (risk(0, "1", night), by("own", Limit::Form)),
        (risk(0, "a", noon), by("own", Limit::Hours)),
        (risk(0, "a", None), by("own", Limit::Clock)),
        (risk(1, "a", noon), Err(Limit::Form)),
        (risk(1, "1", night), Err(Limit::Hours)),
        (risk(1, "1", None), Err(Limit::Clock)),
        (risk(1, "1", noon), Err(Limit::Value(Amount::whole(20)))),
        (cheap(risk(1, "1", noon)), Ok(())),
    ] {
        assert_eq!(said(&policy, &risk), expected, "{risk:?}");
    }
}

#[test]
fn what_is_left_is_the_smallest_of_the_lanes_the_tills_and_the_rules() {
    let policy = policy(
        "max_pending = 100\nmax_pending_per_till = 80\nmax_exposure = \"1000\"\nmax_outage \
         = \"2h\"\n\
         [[offline.rule]]\nname = \"gift\"\nmax_exposure = \"60\"\nmax_pending = 50\nmax_outage \
         = \"1h\"",
    );
    let books = |pending, exposure: i64| Account {
        pending,
        exposure: Amount::whole(exposure),
        ..Account::default()
    };
    let lane = LaneNow { pending: 20, till_pending: 10, outage: HOUR / 2, ..LaneNow::down() };
    let risk = Risk { lane: books(20, 250), ..Risk::none() };
    let left = headroom(&policy, &lane, &risk);
    assert_eq!((left.pending, left.exposure, left.outage), (70, Amount::whole(750), HOUR * 3 / 2));
    let risk = Risk { rule: policy.rules.first(), of_rule: books(5, 70), ..risk };
    let left = headroom(&policy, &lane, &risk);
    assert_eq!((left.pending, left.exposure, left.outage), (45, Amount::ZERO, HOUR / 2));
    let left = headroom(&policy, &tenth(LaneNow { outage: Duration::ZERO, ..lane }), &risk);
    assert_eq!((left.pending, left.outage), (0, HOUR / 10));
}

#[test]
fn a_rule_stands_where_it_does_in_the_lane_that_leaves_it_least() {
    let policy = policy(
        "[[offline.rule]]\nname = \"all\"\nmax_pending = 50\nmax_outage = \"1h\"\n\
         [[offline.rule]]\nname = \"tls\"\ncause = [\"tls\"]\nmax_pending = 50\n\
         max_outage = \"1h\"",
    );
    let books = Account { pending: 3, ..Account::default() };
    let left = |rule: usize, lanes: &[LaneNow]| {
        let gauges = rule_standing(policy.rules.get(rule).unwrap(), lanes, books);
        gauges.iter().map(|gauge| gauge.used.left(gauge.most)).collect::<Vec<_>>()
    };
    let of = |pending, seconds| vec![Measure::Count(pending), Measure::Seconds(seconds)];
    let down = LaneNow { outage: HOUR / 2, ..LaneNow::down() };
    let by_tls = tenth(LaneNow { outage: HOUR / 20, cause: Some(Cause::Tls), ..down });
    assert_eq!(left(0, &[LaneNow::default()]), of(47, 3600));
    assert_eq!(left(0, &[LaneNow::default(), down]), of(47, 1800));
    assert_eq!(left(0, &[down, by_tls]), of(2, 180));
    assert_eq!(left(1, &[down]), of(47, 3600), "no lane has the cause that it is for");
    assert_eq!(left(1, &[down, by_tls]), of(2, 180));
}

#[test]
fn somebody_is_told_at_eighty_percent_and_when_one_more_would_be_too_much() {
    let step =
        |used, most| Gauge { rule: None, limit: "max_pending", used, most }.step(Amount::whole(25));
    let count = |used| step(Measure::Count(used), Measure::Count(10));
    assert_eq!([7, 8, 9, 10].map(count), [0, 80, 80, 100]);
    let money =
        |used| step(Measure::Money(Amount::whole(used)), Measure::Money(Amount::whole(1000)));
    assert_eq!([799, 800, 975, 976].map(money), [0, 80, 80, 100]);
}

#[test]
fn two_hundred_rules_are_asked_without_a_copy_of_any() {
    let add = |all: String, n: u32| {
        all + &format!("[[offline.rule]]\nname = \"r{n}\"\ncode = \"X{n}-*\"\n")
    };
    let rules = (0..200).fold(String::new(), add);
    let policy = policy(&rules);
    assert_eq!(rule(&policy, &subject("X199-1")), Some("r199"));
    assert_eq!(rule(&policy, &subject("Y")), None);
}

static UTC: LazyLock<Zone> = LazyLock::new(Zone::utc);

/// So long after midnight.
fn utc(local: Duration) -> LocalMoment<'static> {
    UTC.at(signed_ms(local))
}

/// What may still be given of what counts as 25.00 on a lane that is down, at noon.
fn room_of(policy: &Offline, change: impl FnOnce(&mut RoomBooks<'_>)) -> Result<Room, NoRoom> {
    room_by(policy, &vec![Account::default(); policy.rules.len()], change)
}

/// The same with these books of the rules.
fn room_by(
    policy: &Offline,
    rules: &[Account],
    change: impl FnOnce(&mut RoomBooks<'_>),
) -> Result<Room, NoRoom> {
    let mut at = RoomBooks {
        lane: down(0, Duration::ZERO),
        books: Account::default(),
        tills: nameless(&[Account::default()]),
        rules,
        is_off: false,
        checked: None,
        local: Some(utc(12 * HOUR)),
    };
    change(&mut at);
    room(policy, &at, policy.value_of_unknown)
}

fn given(more: u64, within: Duration) -> Room {
    Room { more, each: None, within, of: RoomOf::All }
}

fn nameless(tills: &[Account]) -> Vec<(String, Account)> {
    tills.iter().map(|till| (String::new(), *till)).collect()
}

#[test]
fn what_may_still_be_given_is_what_the_narrowest_limit_leaves_the_value_at_risk_included() {
    let by_default = room_of(&policy(""), |_| {}).unwrap();
    assert_eq!(by_default, given(300, policy("").max_outage), "one till's share of an hour");
    let narrow = policy(
        "max_pending = 90\nmax_exposure = \"2000\"\nmax_outage = \"4h\"\nmax_per_hour = \
         85\nmax_per_day = 500",
    );
    let by_value = Room { each: Some(Amount::whole(25)), ..given(80, 4 * HOUR) };
    assert_eq!(room_of(&narrow, |_| {}), Ok(by_value));
    let pending = |at: &mut RoomBooks<'_>| at.lane.pending = 11;
    assert_eq!(room_of(&narrow, pending), Ok(given(79, 4 * HOUR)));
    let hourly = |at: &mut RoomBooks<'_>| at.books.hour = 6;
    assert_eq!(room_of(&narrow, hourly), Ok(given(79, 4 * HOUR)));
    let little = |at: &mut RoomBooks<'_>| at.books.exposure = Amount::whole(1990);
    assert_eq!(room_of(&narrow, little), Err(NoRoom::Closed), "10.00 are less than one reward");
    let late = |at: &mut RoomBooks<'_>| at.lane.outage = 4 * HOUR;
    assert_eq!(room_of(&narrow, late), Err(NoRoom::Closed));
    assert_eq!(room_of(&narrow, |at| at.is_off = true), Err(NoRoom::Closed));
    let part = |at: &mut RoomBooks<'_>| at.lane = tenth(at.lane);
    assert_eq!(room_of(&narrow, part), Ok(given(8, HOUR * 4 / 10)));
}

#[test]
fn each_till_has_no_more_than_its_own_share() {
    let policy = policy("max_pending = 90\nmax_pending_per_till = 40\nmax_per_hour_per_till = 30");
    let till = |pending, hour| Account { pending, hour, ..Account::default() };
    for (tills, more) in [
        (vec![till(0, 0)], Some(30)),
        (vec![till(35, 10), till(0, 29)], Some(6)),
        (vec![till(0, 0); 9], Some(90)),
        (vec![till(40, 0), till(0, 30)], None),
    ] {
        let room = room_of(&policy, |at| at.tills = nameless(&tills));
        assert_eq!(room.ok().map(|room| room.more), more, "{tills:?}");
    }
}

#[test]
fn hours_end_what_may_be_given_and_say_when_they_begin() {
    let policy = policy("max_outage = \"18h\"\nhours = \"08:00-23:30\"");
    let at = |local: Option<Duration>| room_of(&policy, |at| at.local = local.map(utc));
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(at(Some(minutes(12 * 60))), Ok(given(300, minutes(11 * 60 + 30))));
    assert_eq!(at(Some(minutes(2 * 60))), Err(NoRoom::Hours(minutes(6 * 60))));
    assert_eq!(at(Some(minutes(23 * 60 + 30))), Err(NoRoom::Hours(minutes(8 * 60 + 30))));
    assert_eq!(at(None), Err(NoRoom::Closed), "the clock is not set");
    let long = |at: &mut RoomBooks<'_>| {
        (at.local, at.lane.outage) = (Some(utc(minutes(2 * 60))), minutes(14 * 60));
    };
    assert_eq!(room_of(&policy, long), Err(NoRoom::Closed), "the line is away too long by then");
}

#[test]
fn rules_make_it_the_most_that_there_is_and_may_open_what_is_closed() {
    let rest = "max_outage = \"4h\"\n[[offline.rule]]\nname = \"gifts\"\ncode = \"G*\"\n\
         accept = false\n[[offline.rule]]\nname = \"rest\"\nmax_exposure = \"500\"";
    let (each, of) = (Some(Amount::whole(25)), RoomOf::AsRulesAllow);
    let by_rest = Room { each, of, ..given(20, 4 * HOUR) };
    assert_eq!(room_of(&policy(rest), |_| {}), Ok(by_rest), "none comes past the last rule");
    let two = "accept = false\nmax_pending = 25\n[[offline.rule]]\nname = \"a\"\n\
         code = \"A*\"\naccept = true\nmax_per_hour = 10\n[[offline.rule]]\nname = \"b\"\n\
         code = \"B*\"\naccept = true\nmax_per_hour = 20";
    let room = room_of(&policy(two), |_| {}).unwrap();
    let expected = (25, RoomOf::RulesAlone);
    assert_eq!((room.more, room.of), expected, "both, under the lane's limit");
    let unchanged = "[[offline.rule]]\nname = \"a\"\ncode = \"A*\"\nmax_pending = 4000\n\
         [[offline.rule]]\nname = \"tls\"\ncause = \"tls\"\naccept = false";
    let room = room_of(&policy(unchanged), |_| {}).unwrap();
    assert_eq!(room.of, RoomOf::All, "a rule that changes nothing now");
}

#[test]
fn what_needs_a_check_is_not_said_of_a_code_without_one() {
    let lines = "accept = false\nmax_outage = \"4h\"\n[[offline.rule]]\nname = \"checked\"\n\
         checked_within = \"15m\"\naccept = true\nmax_pending = 20\nmax_outage = \"1h\"\n\
         [[offline.rule]]\nname = \"type\"\ntype = \"gift\"\naccept = true\nmax_pending = 7";
    let checked = |at: &mut RoomBooks<'_>| at.checked = Some(HOUR / 4);
    let some = Room { of: RoomOf::RulesAlone, ..given(27, 4 * HOUR) };
    assert_eq!(room_of(&policy(lines), checked), Ok(some));
    assert_eq!(room_of(&policy(lines), |_| {}), Err(NoRoom::Closed));
    let old = |at: &mut RoomBooks<'_>| at.checked = Some(HOUR / 2);
    assert_eq!(room_of(&policy(lines), old), Err(NoRoom::Closed), "nor of one that is too old");
    let used = Account { exposure: Amount::whole(500), ..Account::default() };
    let books = [Account::default(), Account::default(), used];
    let rest = "[[offline.rule]]\nname = \"gifts\"\ncode = \"GIFT-*\"\naccept = false\n\
         [[offline.rule]]\nname = \"checked\"\nchecked_within = \"1h\"\n\
         max_exposure = \"1500\"\n[[offline.rule]]\nname = \"rest\"\nmax_exposure = \"500\"";
    assert_eq!(room_by(&policy(rest), &books, |_| {}), Err(NoRoom::Closed));
    let dear = policy("max_value = \"10\"\nmax_exposure = \"100\"");
    assert_eq!(room_of(&dear, |_| {}), Err(NoRoom::Closed), "25.00 are more than one may be worth");
}

#[test]
fn a_rule_for_some_tills_has_no_more_than_their_share() {
    let lines = "accept = false\nmax_per_hour_per_till = 30\n[[offline.rule]]\nname = \"one\"\n\
         till = \"till-1\"\naccept = true";
    let names = ["till-1", "till-2", "till-3"].map(|name| (name.to_owned(), Account::default()));
    let room = room_of(&policy(lines), |at| at.tills = names.to_vec());
    assert_eq!(room.map(|room| room.more), Ok(30));
}

#[test]
fn a_till_is_at_its_limit_once_it_has_used_it_up() {
    let policy = policy("max_pending = 90\nmax_pending_per_till = 40\nmax_per_hour_per_till = 30");
    let (down, tls) = (LaneNow::down(), tenth(LaneNow::down()));
    let by = |lane: &LaneNow, pending, hour| {
        used_up_by_till(&policy, lane, Account { pending, hour, ..Account::default() })
    };
    assert_eq!([by(&down, 39, 29), by(&down, 0, 0)], [None, None]);
    assert_eq!(by(&down, 40, 30), Some("max_pending_per_till"));
    assert_eq!(by(&down, 3, 30), Some("max_per_hour_per_till"));
    assert_eq!(by(&tls, 3, 3), Some("max_per_hour_per_till"), "a tenth of it");
    assert_eq!(by(&tls, 0, 0), None);
}

#[test]
fn what_is_said_of_an_ordinary_code_is_what_it_gets() {
    let mut dice = dice();
    let (mut gets, mut gets_none) = (0, 0);
    for _ in 0..600 {
        let mut one =
            |of: &[&'static str]| of[usize::try_from(dice.bits() % of.len() as u64).unwrap()];
        let limits = [
            "",
            "accept = false\n",
            "max_pending = 2\n",
            "max_value = \"20\"\n",
            "max_exposure = \"60\"\n",
            "hours = \"13:00-14:00\"\n",
            "accept = true\n",
        ];
        let fits = [
            "checked_within = \"1h\"\n",
            "type = \"gift\"\n",
            "code = \"V-*\"\n",
            "cause = \"tls\"\n",
            "",
        ];
        let mut lines = one(&limits).to_owned();
        for rule in ["a", "b", "c"] {
            let (fits, limit, more) = (one(&fits), one(&limits), one(&limits));
            let more = if more == limit || more.starts_with("accept") { "" } else { more };
            let name = format!("[[offline.rule]]\nname = \"{rule}\"\n");
            lines.extend([name.as_str(), fits, limit, more]);
        }
        let policy = policy(&lines);
        let used = Account { pending: 1, exposure: Amount::whole(25), hour: 1, day: 1 };
        let full = Account { pending: 2, exposure: Amount::whole(50), hour: 2, day: 2 };
        let books = ["", "used", "full"].map(|_| match one(&["", "used", "full"]) {
            "used" => used,
            "full" => full,
            _ => Account::default(),
        });
        let said = room_by(&policy, &books, |_| {});
        let rule = rule_for(&policy, &subject("ORDINARY"));
        let place = policy.rules.iter().position(|other| rule == Some(other));
        let of_rule = place.map_or_else(Account::default, |place| books[place]);
        let risk = Risk { rule, of_rule, local_min: Some(12 * 60), ..Risk::none() };
        let got = admit(&policy, &LaneNow::down(), &risk);
        let is_said = said.is_ok_and(|room| room.of != RoomOf::RulesAlone);
        assert_eq!(is_said, got.is_ok(), "{said:?} {got:?}\n{lines}\n{books:?}");
        *if got.is_ok() { &mut gets } else { &mut gets_none } += 1;
    }
    assert!(gets > 50 && gets_none > 50, "{gets} {gets_none}");
}

#[test]
fn no_more_is_said_than_is_let_through_one_after_the_other() {
    let mut dice = dice();
    let mut below = |bound: u64| dice.bits() % bound;
    for _ in 0..300 {
        let policy = policy(&format!(
            "max_pending = {}\nmax_pending_per_till = 1\nmax_exposure = \"{}\"\n\
             max_per_hour = {}\nmax_per_hour_per_till = {}\nvalue_of_unknown = \"{}\"",
            1 + below(30),
            below(300),
            1 + below(30),
            1 + below(30),
            below(20)
        ));
        let policy = Offline { max_pending_per_till: 1 + below(30), ..policy };
        let mut lane = down(below(20), Duration::ZERO);
        let mut books = Account { hour: below(20), ..Account::default() };
        books.exposure = Amount::whole(i64::try_from(below(200)).unwrap());
        let said = room_of(&policy, |at| {
            (at.lane, at.books) = (lane, books);
            at.tills = nameless(&[Account { pending: lane.pending, ..books }]);
        });
        let mut let_through = 0;
        loop {
            lane.till_pending = lane.pending;
            let risk = Risk { lane: books, till: books, ..Risk::none() };
            if admit(&policy, &lane, &risk).is_err() {
                break;
            }
            (lane.pending, books.hour) = (lane.pending + 1, books.hour + 1);
            books.exposure = books.exposure.plus(policy.value_of_unknown);
            let_through += 1;
        }
        assert_eq!(said.map_or(0, |room| room.more), let_through, "{policy:?} {lane:?} {books:?}");
    }
}
