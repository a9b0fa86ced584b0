//! The books of what was given on trust: they follow each row, over every stop, and a recount finds
//! the same.

use std::time::Duration;

use redeemd::decide::{CodeRules, WaitEnd};
use redeemd::limits::{LaneNow, Limit, Measure};
use redeemd::link::Cause;
use redeemd::message::Language;
use redeemd::redemption::{Answer, Id};
use redeemd::settings::{Caps, Rule};
use redeemd::store::{
    About, Acted, AskStanding, CheckAnswered, CheckAsked, CheckSaid, Concluded, Conclusion,
    Decision, Ended, FILE, Handling, LANES_TO_COME, LaneStanding, NewRedemption, Off, Recount,
    Search, Settlement, Taken, TrustSwitch, Void, VoidByTill, VoidOutcome,
};
use redeemd::trust::Trust;
use redeemd::value::Amount;

use crate::rescue::{exported, import};
use crate::salvage::{LOG, PAGE, bytes, checkpointed, root_of, write};
use crate::world::{LANE, World, confirmed, declined, new, parked};

const MINUTE_MS: i64 = 60_000;

fn standing(world: &mut World) -> LaneStanding {
    let standing = world.one(AskStanding);
    standing.lanes.into_iter().find(|lane| lane.name == LANE).expect("the lane")
}

/// What is at risk and what was lost, in whole units, after a recount that finds the same; so many
/// wait for a person as a search finds, before it where that is known, and after it.
fn at_risk(world: &mut World) -> (i64, i64) {
    let waiting = standing(world).waiting;
    let mut counted = world.one(Recount { begin: true });
    while !counted.finished {
        counted = world.one(Recount { begin: false });
    }
    assert!(counted.differences.is_empty(), "{:?}", counted.differences);
    let LaneStanding { exposure, lost, waiting: counted, .. } = standing(world);
    let found = world.reader().search(&Search { waiting: true, limit: 1000, ..Search::default() });
    let of_lane = found.unwrap().rows.iter().filter(|row| row.lane == LANE).count();
    assert_eq!((waiting.or(counted), counted), (Some(of_lane as u64), Some(of_lane as u64)));
    (exposure.0 / 10_000, lost.0 / 10_000)
}

fn handle(world: &mut World, id: &Id) {
    let op =
        Handling { id: id.clone(), note: "seen to".to_owned(), free: false, by: "op".to_owned() };
    assert!(matches!(world.one(op), Acted::Done(_)));
}

fn limited(world: &mut World, new: NewRedemption) -> Limit {
    match world.decide(new) {
        Decision::Limited(limit) => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_at_risk_follows_each_row_until_it_ends_well_or_a_person_has_seen_to_it() {
    let mut world = World::new();
    world.settled("till-1", "GOOD", confirmed());
    assert_eq!(at_risk(&mut world), (0, 0));
    let lost = world.settled("till-1", "LOST", declined("expired")).id;
    let odd = world.settled("till-2", "ODD", parked()).id;
    let back = world.take("till-1", "BACK").id;
    let shut = world.take("till-2", "SHUT").id;
    assert_eq!(at_risk(&mut world), (100, 25));
    let (id, till, withdrawn) = (back.clone(), "till-1".to_owned(), false);
    assert!(matches!(world.one(VoidByTill { id, till, withdrawn }), VoidOutcome::Voided(_)));
    assert_eq!(at_risk(&mut world), (100, 25), "its till's void gives nothing back");
    let (id, note, by) = (shut, "no reward was handed out".to_owned(), "op".to_owned());
    assert!(matches!(world.one(Void { id, note, by }), Acted::Done(_)));
    assert_eq!(at_risk(&mut world), (75, 25), "a person's does");
    for (id, left) in [(&back, 50), (&odd, 25), (&lost, 0)] {
        handle(&mut world, id);
        assert_eq!(at_risk(&mut world), (left, 25));
        world.crash();
        assert_eq!(standing(&mut world).waiting, Some(u64::try_from(left / 25).unwrap()));
        assert_eq!(at_risk(&mut world), (left, 25));
    }
    assert!(matches!(world.retry(&lost), Acted::Done(_)));
    assert_eq!(
        at_risk(&mut world),
        (25, 25),
        "sent again, it is at risk again and was lost all the same"
    );
    let attempt = world.claim()[0].attempt;
    let seq = world.show(&lost).seq;
    world.settle(seq, attempt, confirmed());
    assert_eq!(at_risk(&mut world), (0, 25));
}

#[test]
fn what_was_taken_back_is_at_risk_beyond_its_retention_until_a_person_has_seen_to_it() {
    let mut world = World::new();
    let id = world.take("till-1", "BACK").id;
    let void = VoidByTill { id: id.clone(), till: "till-1".to_owned(), withdrawn: false };
    assert!(matches!(world.one(void), VoidOutcome::Voided(_)));
    world.take("till-1", "LAST");
    assert_eq!(at_risk(&mut world), (50, 0));
    assert_eq!(world.prune().rows, 0);
    assert_eq!(at_risk(&mut world), (50, 0));
    handle(&mut world, &id);
    assert_eq!(world.prune().rows, 1);
    assert_eq!(at_risk(&mut world), (25, 0));
}

#[test]
fn a_row_counts_as_what_it_counted_as_when_it_was_given() {
    let mut world = World::new();
    world.take("till-1", "A");
    world.offline.value_of_unknown = Amount::whole(40);
    world.take("till-1", "B");
    assert_eq!(at_risk(&mut world), (65, 0));
    world.restart();
    world.claim();
    for seq in [1, 2] {
        world.settle(redeemd::redemption::Seq(seq), 1, confirmed());
    }
    assert_eq!(at_risk(&mut world), (0, 0));
}

#[test]
fn an_acceptance_after_a_wait_is_in_the_books_like_one_at_once_and_under_the_same_limits() {
    let mut world = World::up();
    world.offline.max_exposure = Amount::whole(30);
    let conclude = |world: &mut World, taken: &Taken| {
        world.one(Conclusion { seq: taken.seq, end: WaitEnd::InVain, withdrawn: false })
    };
    let (first, second) = (world.take("till-1", "A"), world.take("till-1", "B"));
    assert_eq!(at_risk(&mut world), (0, 0), "nothing was given");
    world.lane = LaneNow::down();
    let said = format!("{:?}", conclude(&mut world, &first));
    assert!(said.starts_with("Trusted"), "{said}");
    assert_eq!(at_risk(&mut world), (25, 0));
    let said = format!("{:?}", conclude(&mut world, &second));
    assert!(said.contains("Exposure(Amount(300000))"), "{said}");
    assert_eq!(at_risk(&mut world), (25, 0));
}

/// What a till is told that has waited in vain for this code.
fn waited(world: &mut World, code: &str, ended_as: Option<&str>) -> Concluded {
    let taken = world.take("till-1", code);
    if let Some(outcome) = ended_as {
        let about = About { outcome: outcome.to_owned(), ..About::default() };
        world.one(Settlement { about, ..Settlement::new(taken.seq, 1, Ended::Unclear) });
    }
    world.one(Conclusion { seq: taken.seq, end: WaitEnd::InVain, withdrawn: false })
}

#[test]
fn a_rule_for_a_cause_holds_as_soon_as_nobody_answers_while_the_lane_still_counts_as_up() {
    let mut world = World::up();
    world.is_silent = true;
    let caps = Caps { max_exposure: Some(Amount::whole(25)), ..Caps::default() };
    let causes = vec![Cause::Answer, Cause::Provider];
    world.offline.rules = [Rule { causes, caps, ..rule() }].into_iter().collect();
    assert!(matches!(waited(&mut world, "A", None), Concluded::Trusted { .. }));
    for (code, ended_as) in [("B", None), ("C", Some("row_fault")), ("D", Some("answer"))] {
        let said = format!("{:?}", waited(&mut world, code, ended_as));
        assert!(said.contains("Rule(\"the rest\", Exposure"), "{said}");
    }
    let broken = waited(&mut world, "E", Some("reset"));
    assert!(matches!(broken, Concluded::Trusted { .. }), "the rule is not for it: {broken:?}");
}

#[test]
fn a_rule_that_accepts_for_a_cause_does_so_while_the_lane_still_counts_as_up() {
    let mut world = World::up();
    (world.is_silent, world.offline.accept) = (true, false);
    let accepts = Rule { causes: vec![Cause::Answer], accept: Some(true), ..rule() };
    world.offline.rules = [Rule { caps: Caps::default(), ..accepts }].into_iter().collect();
    assert!(matches!(waited(&mut world, "A", None), Concluded::Trusted { .. }));
    let other = format!("{:?}", waited(&mut world, "B", Some("reset")));
    assert!(other.contains("NotAccepting"), "{other}");
}

#[test]
fn what_a_crash_left_without_an_answer_counts_as_given() {
    let mut world = World::up();
    world.take("till-1", "ON-THE-WIRE");
    assert_eq!(at_risk(&mut world), (0, 0));
    world.crash();
    assert_eq!(at_risk(&mut world), (25, 0));
    world.crash();
    assert_eq!(at_risk(&mut world), (25, 0), "once");
    let claimed = world.claim();
    world.settle(claimed[0].seq, claimed[0].attempt, confirmed());
    assert_eq!(at_risk(&mut world), (0, 0));
}

#[test]
fn rates_slide_on_elapsed_time_and_hold_over_restarts_and_crashes() {
    let mut world = World::new();
    world.offline.caps.max_per_hour = Some(2);
    world.take("till-1", "A");
    world.stamp.unix_ms += 30 * MINUTE_MS;
    world.take("till-2", "B");
    assert_eq!(limited(&mut world, new("till-1", "C")), Limit::Rate(2, 3600));
    world.restart();
    assert_eq!(limited(&mut world, new("till-1", "C")), Limit::Rate(2, 3600));
    world.crash();
    assert_eq!(limited(&mut world, new("till-1", "C")), Limit::Rate(2, 3600));
    world.stamp.unix_ms += 31 * MINUTE_MS;
    world.take("till-1", "C");
    assert_eq!(limited(&mut world, new("till-1", "D")), Limit::Rate(2, 3600));
}

#[test]
fn what_was_given_or_switched_off_since_a_stop_grows_no_older_when_the_stop_counts() {
    let (hour_ms, mut world) = (60 * MINUTE_MS, World::new());
    world.offline.caps.max_per_day = Some(2);
    let full = Limit::Rate(2, 24 * 3600);
    world.take("till-1", "BEFORE");
    world.restart();
    // Off for a week, then on for two hours.
    world.stamp.unix_ms += 7 * 24 * hour_ms;
    standing(&mut world);
    world.stamp.unix_ms += 2 * hour_ms;
    world.take("till-1", "SINCE");
    assert_eq!(limited(&mut world, new("till-1", "C")), full, "a night gives nothing back");
    world.one(off(Some(Duration::from_secs(48 * 3600))));
    world.stamp.unix_ms += 23 * hour_ms;
    assert_eq!(limited(&mut world, new("till-1", "C")), Limit::Off);
    world.one(TrustSwitch { off: None, ..off(None) });
    world.take("till-1", "C");
    assert_eq!(limited(&mut world, new("till-1", "D")), full, "SINCE is of the same day");
    world.stamp.unix_ms += hour_ms;
    assert_eq!(limited(&mut world, new("till-1", "D")), full, "and the end of its hour as well");
    world.stamp.unix_ms += hour_ms;
    world.take("till-1", "D");
}

#[test]
fn a_salvage_keeps_what_each_row_counts_as_and_sums_up_what_is_at_risk() {
    let mut world = World::new();
    world.offline.caps.max_per_hour = Some(3);
    world.settled("till-1", "LOST", declined("expired"));
    world.take("till-1", "A");
    world.offline.value_of_unknown = Amount::whole(40);
    world.take("till-1", "B");
    assert_eq!(at_risk(&mut world), (90, 25));
    world.store.take().unwrap().close().unwrap();
    // The version in the header is what a start looks at first.
    let path = world.path().join(redeemd::store::FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&[0xff; 4]);
    std::fs::write(&path, bytes).unwrap();
    world.open();
    assert!(world.report.salvage.is_some());
    assert_eq!(at_risk(&mut world), (90, 25));
    assert_eq!(limited(&mut world, new("till-2", "C")), Limit::Rate(3, 3600));
}

/// Something is damaged and another process starts; the log is empty by then.
fn damaged(world: &mut World, damage: impl FnOnce(&mut Vec<u8>)) {
    checkpointed(world);
    world.store = None;
    let mut file = bytes(world, FILE);
    damage(&mut file);
    write(world, FILE, &file);
    write(world, LOG, b"");
    world.open();
    assert!(world.report.salvage.is_some());
}

/// The file without the pages that say where anything is.
fn without_schema(file: &mut [u8]) {
    // The schema takes its first page and the leaves to which that leads.
    let header = 100;
    let children: Vec<usize> = match file[header] {
        0x05 => {
            let count = usize::from(u16::from_be_bytes([file[header + 3], file[header + 4]]));
            let number =
                |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            let cell = |n: usize| {
                let at = header + 12 + 2 * n;
                usize::from(u16::from_be_bytes([file[at], file[at + 1]]))
            };
            let rest = number(header + 8);
            (0..count).map(|n| number(cell(n))).chain([rest]).collect()
        }
        _ => Vec::new(),
    };
    for page in children.into_iter().chain([1]) {
        file[(page - 1) * PAGE..][..PAGE].fill(0xa5);
    }
}

fn off(within: Option<Duration>) -> TrustSwitch {
    let off = Some(("fraud".to_owned(), within));
    TrustSwitch { lanes: vec![LANE.to_owned()], off, by: "op".to_owned() }
}

#[test]
fn a_salvage_without_the_schema_keeps_values_limits_and_trust_that_is_off() {
    let mut world = World::new();
    world.offline.caps.max_per_hour = Some(4);
    world.settled("till-1", "LOST", declined("expired"));
    world.take("till-1", "A");
    world.offline.value_of_unknown = Amount::whole(40);
    world.take("till-1", "B");
    damaged(&mut world, |file| without_schema(file));
    assert_eq!(at_risk(&mut world), (90, 25));
    world.take("till-2", "C");
    assert_eq!(limited(&mut world, new("till-2", "D")), Limit::Rate(4, 3600));
    world.one(off(None));
    damaged(&mut world, |file| without_schema(file));
    assert_eq!(at_risk(&mut world), (130, 25));
    assert_eq!(limited(&mut world, new("till-2", "D")), Limit::Off);
    world.one(TrustSwitch { off: None, ..off(None) });
    damaged(&mut world, |file| without_schema(file));
    assert_eq!(limited(&mut world, new("till-2", "D")), Limit::Rate(4, 3600));
}

#[test]
fn what_was_given_on_trust_counts_as_unknown_where_a_salvage_does_not_find_its_value() {
    let mut world = World::new();
    world.settled("till-1", "GOOD", confirmed());
    world.take("till-1", "A");
    world.settled("till-1", "ODD", parked());
    world.offline.value_of_unknown = Amount::whole(40);
    world.take("till-1", "B");
    assert_eq!(at_risk(&mut world), (90, 0));
    checkpointed(&mut world);
    let root = root_of(&world, "worth");
    damaged(&mut world, |file| {
        file[60..64].copy_from_slice(&[0xff; 4]);
        file[(root - 1) * PAGE..][..PAGE].fill(0xa5);
    });
    assert_eq!(at_risk(&mut world), (75, 0), "three of 25.00");
}

#[test]
fn what_was_lost_or_taken_back_counts_still_where_a_salvage_does_not_find_its_value() {
    let mut world = World::new();
    world.offline.value_of_unknown = Amount::whole(40);
    world.settled("till-1", "LOST", declined("expired"));
    let seen_to = world.settled("till-1", "LOST-2", declined("expired")).id;
    handle(&mut world, &seen_to);
    let (id, till) = (world.take("till-1", "BACK").id, "till-1".to_owned());
    assert!(matches!(world.one(VoidByTill { id, till, withdrawn: false }), VoidOutcome::Voided(_)));
    assert_eq!(at_risk(&mut world), (80, 80));
    checkpointed(&mut world);
    let root = root_of(&world, "worth");
    damaged(&mut world, |file| {
        file[60..64].copy_from_slice(&[0xff; 4]);
        file[(root - 1) * PAGE..][..PAGE].fill(0xa5);
    });
    assert_eq!(at_risk(&mut world), (50, 50), "each of 25.00");
}

#[test]
fn a_live_row_that_an_orderly_stop_left_undecided_counts_as_given() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.settle(taken.seq, 1, Ended::Unclear);
    assert_eq!(at_risk(&mut world), (0, 0));
    world.restart();
    assert_eq!(at_risk(&mut world), (25, 0));
    world.restart();
    assert_eq!(at_risk(&mut world), (25, 0), "once");
    let row = world.show(&taken.id);
    assert!(row.trusted && row.value.is_some(), "{row:?}");
}

#[test]
fn a_live_row_that_was_parked_undecided_counts_as_given_once_it_is_retried_after_a_start() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.one(Settlement::new(taken.seq, 1, parked()));
    world.restart();
    world.retry(&taken.id);
    let attempt = world.claim()[0].attempt;
    let row = world.show(&taken.id);
    assert!(row.trusted && row.value.is_some(), "{row:?}");
    assert_eq!(at_risk(&mut world), (25, 0));
    world.settle(taken.seq, attempt, confirmed());
    assert_eq!(at_risk(&mut world), (0, 0));
}

#[test]
fn trust_stays_off_where_a_salvage_does_not_find_what_the_gateway_keeps() {
    for (within, left) in [(None, None), (Some(Duration::from_secs(7200)), Some(7200))] {
        let mut world = World::new();
        world.take("till-1", "A");
        world.one(off(within));
        world.one(TrustSwitch { off: None, ..off(None) });
        world.one(off(within));
        checkpointed(&mut world);
        let root = root_of(&world, "keep");
        let garble = |file: &mut Vec<u8>| {
            file[60..64].copy_from_slice(&[0xff; 4]);
            file[(root - 1) * PAGE..][..PAGE].fill(0xa5);
        };
        damaged(&mut world, garble);
        assert_eq!(limited(&mut world, new("till-1", "B")), Limit::Off);
        let shown = standing(&mut world).off.expect("it is off");
        assert_eq!((shown.off.note.as_str(), shown.off.by.as_str()), ("fraud", "op"));
        assert_eq!(shown.left.map(|left| left.as_secs()), left);
        world.one(TrustSwitch { off: None, ..off(None) });
        world.take("till-1", "B");
        checkpointed(&mut world);
        let root = root_of(&world, "keep");
        damaged(&mut world, |file| {
            file[60..64].copy_from_slice(&[0xff; 4]);
            file[(root - 1) * PAGE..][..PAGE].fill(0xa5);
        });
        world.take("till-1", "C");
    }
}

/// A rule for everything, with a limit on the value at risk.
fn rule() -> Rule {
    Rule {
        name: "the rest".into(),
        codes: Vec::new(),
        businesses: Vec::new(),
        branches: Vec::new(),
        tills: Vec::new(),
        kinds: Vec::new(),
        checked_within: None,
        causes: Vec::new(),
        accept: None,
        caps: Caps { max_exposure: Some(Amount::whole(10)), ..Caps::default() },
    }
}

#[test]
fn an_export_carries_what_a_row_counts_as_and_its_rule_from_a_damaged_database_too() {
    for is_damaged in [false, true] {
        let [mut here, mut there] = [World::new(), World::new()];
        for world in [&mut here, &mut there] {
            world.offline.value_of_unknown = Amount::whole(7);
            world.offline.rules = [rule()].into_iter().collect();
        }
        let id = here.take("till-1", "A").id;
        if is_damaged {
            damaged(&mut here, |file| without_schema(file));
        }
        let rows = exported(&here);
        import(&mut there, rows);
        assert_eq!(at_risk(&mut there), (7, 0));
        assert_eq!(there.show(&id).rule.as_deref(), Some("the rest"));
        let used = there.one(AskStanding).rules.remove(0).used;
        assert_eq!(used, Measure::Money(Amount::whole(7)), "damaged: {is_damaged}");
        limited(&mut there, new("till-1", "B"));
    }
}

#[test]
fn trust_that_is_off_in_all_lanes_is_off_in_one_that_is_named_anew_until_it_is_on() {
    let of =
        |lane: &str, code: &str| NewRedemption { lane: lane.to_owned(), ..new("till-1", code) };
    let all = |lanes: &[&str], off| {
        let lanes = lanes.iter().copied().chain([LANES_TO_COME]).map(str::to_owned).collect();
        TrustSwitch { lanes, off, by: "op".to_owned() }
    };
    let mut world = World::new();
    world.take("till-1", "BEFORE");
    world.one(off(None));
    assert!(
        matches!(world.decide(of("another", "A")), Decision::Taken(_)),
        "one lane alone is off"
    );
    world.one(all(&[LANE, "another"], Some(("fraud".to_owned(), None))));
    assert_eq!(limited(&mut world, of("named-anew", "B")), Limit::Off);
    world.crash();
    for lane in ["named-anew", "and-later"] {
        assert_eq!(limited(&mut world, of(lane, "B")), Limit::Off, "{lane}");
    }
    let on =
        |lane: &str| TrustSwitch { lanes: vec![lane.to_owned()], off: None, by: String::new() };
    for lane in [LANE, "another", "named-anew"] {
        world.one(on(lane));
    }
    assert!(matches!(world.decide(of("named-anew", "B")), Decision::Taken(_)));
    assert_eq!(limited(&mut world, of("yet-another", "C")), Limit::Off, "one of all is off still");
    world.one(on("and-later"));
    world.one(on("yet-another"));
    assert!(matches!(world.decide(of("the-last", "D")), Decision::Taken(_)));
    world.one(all(&[LANE], Some(("fraud".to_owned(), None))));
    world.one(all(&[LANE, "another"], None));
    assert!(matches!(world.decide(of("after-all", "E")), Decision::Taken(_)));
}

#[test]
fn trust_that_is_off_in_all_lanes_is_off_in_one_that_the_settings_do_not_name_at_the_moment() {
    let unnamed = || NewRedemption { lane: "unnamed".to_owned(), ..new("till-1", "B") };
    let mut world = World::new();
    world.take("till-1", "A");
    assert!(matches!(world.decide(unnamed()), Decision::Taken(_)));
    let all = |off| {
        let lanes = vec![LANE.to_owned(), LANES_TO_COME.to_owned()];
        TrustSwitch { lanes, off, by: "op".to_owned() }
    };
    let told = world.one(all(Some(("fraud".to_owned(), None))));
    assert_eq!(told.lanes, [LANE, "unnamed"]);
    let again = NewRedemption { lane: "unnamed".to_owned(), ..new("till-1", "C") };
    assert_eq!(limited(&mut world, again.clone()), Limit::Off);
    world.crash();
    assert_eq!(limited(&mut world, again.clone()), Limit::Off);
    world.one(all(None));
    assert!(matches!(world.decide(again), Decision::Taken(_)));
}

#[test]
fn trust_that_is_switched_off_for_all_and_a_while_shortens_none_that_is_off_for_longer() {
    let mut world = World::new();
    world.take("till-1", "BEFORE");
    let hours = |number: u64| Some(Duration::from_secs(number * 3600));
    let all = |within| {
        let lanes = vec![LANE.to_owned(), LANES_TO_COME.to_owned()];
        TrustSwitch { lanes, off: Some(("a look".to_owned(), within)), by: "other".to_owned() }
    };
    for (first, second, stays) in [
        (None, hours(1), true),
        (hours(2), hours(1), true),
        (hours(1), hours(2), false),
        (hours(1), None, false),
        (None, None, false),
    ] {
        assert_eq!(world.one(off(first)).off_for_longer, [""; 0]);
        let longer = world.one(all(second)).off_for_longer;
        assert_eq!(longer, vec![LANE; usize::from(stays)], "{first:?} {second:?}");
        let Off { off: shown, left } = standing(&mut world).off.expect("it is off");
        let note = if stays { "fraud" } else { "a look" };
        assert_eq!(shown.note, note, "{first:?} {second:?}");
        assert_eq!(left, if stays { first } else { second });
        world.crash();
        assert_eq!(standing(&mut world).off.expect("it is off").off.note, note);
        world.one(TrustSwitch { off: None, ..off(None) });
    }
    world.one(off(hours(1)));
    world.stamp.unix_ms += 61 * MINUTE_MS;
    let longer = world.one(all(hours(1))).off_for_longer;
    assert!(longer.is_empty(), "what is over is not in force: {longer:?}");
}

#[test]
fn trust_that_is_off_stays_off_over_a_restart_until_it_is_on_or_its_time_is_over() {
    let mut world = World::new();
    world.take("till-1", "BEFORE");
    world.one(off(None));
    assert_eq!(limited(&mut world, new("till-1", "A")), Limit::Off);
    world.crash();
    assert_eq!(limited(&mut world, new("till-1", "A")), Limit::Off);
    let shown = standing(&mut world).off.expect("it is off");
    assert_eq!((shown.off.note.as_str(), shown.off.by.as_str(), shown.left), ("fraud", "op", None));
    world.one(TrustSwitch { off: None, ..off(None) });
    world.take("till-1", "A");
    world.one(off(Some(Duration::from_secs(7200))));
    world.restart();
    world.stamp.unix_ms += 119 * MINUTE_MS;
    // The first look after a restart begins the count.
    assert_eq!(limited(&mut world, new("till-1", "B")), Limit::Off);
    world.stamp.unix_ms += 121 * MINUTE_MS;
    world.take("till-1", "B");
}

#[test]
fn ten_refused_codes_in_ten_minutes_end_a_tills_trust_for_ten_and_one_code_again_does_not() {
    let mut world = World::new();
    for n in 0..10 {
        world.take("till-1", &format!("USED-{n}"));
    }
    let ask = |world: &mut World, code: &str| {
        assert!(matches!(world.decide(new("till-2", code)), Decision::Used(_)));
    };
    for _ in 0..20 {
        ask(&mut world, "USED-0");
    }
    (1..9).for_each(|n| ask(&mut world, &format!("USED-{n}")));
    world.take("till-2", "STILL-TRUSTED");
    ask(&mut world, "USED-9");
    assert_eq!(limited(&mut world, new("till-2", "NOT-NOW")), Limit::Slowed(10));
    world.crash();
    assert_eq!(limited(&mut world, new("till-2", "NOT-NOW")), Limit::Slowed(10));
    assert_eq!(world.one(AskStanding).slowed, ["till-2"]);
    world.take("till-1", "THE-OTHER-TILL");
    world.stamp.unix_ms += 11 * MINUTE_MS;
    world.take("till-2", "AFTER-TEN-MINUTES");
}

/// The provider answers a till's check of a code.
fn checked(world: &mut World, till: &str, code: &str, said: CheckSaid) {
    let NewRedemption { till, lane, request, .. } = new(till, code);
    let (business, code) = (request.business_refrence, request.reward_code);
    let rules = CodeRules::default();
    let asked = CheckAsked { till, lane, business, code, rules, in_vain: false };
    let answer = Answer { status: 400, content_type: None, body: r#"{"message":"no"}"#.into() };
    world.one(CheckAnswered { asked, answer, said, asked_ms: None });
}

#[test]
fn a_code_that_is_refused_to_a_check_is_one_of_the_ten_and_once_with_its_redemption() {
    let mut world = World::up();
    for n in 0..9 {
        let code = format!("WRONG-{n}");
        for _ in 0..2 {
            checked(&mut world, "till-2", &code, CheckSaid::Refused);
        }
        world.settled("till-2", &code, declined("no such code"));
        checked(&mut world, "till-2", &code, CheckSaid::Refused);
        checked(&mut world, "till-2", &format!("SOFT-{n}"), CheckSaid::Neither);
    }
    assert!(world.one(AskStanding).slowed.is_empty());
    checked(&mut world, "till-2", "WRONG-9", CheckSaid::Refused);
    assert_eq!(world.one(AskStanding).slowed, ["till-2"]);
}

#[test]
fn a_till_that_checks_what_it_has_redeemed_is_not_slowed_and_one_that_checks_it_after_it_is() {
    let mut world = World::up();
    for n in 0..12 {
        let code = format!("GOOD-{n}");
        checked(&mut world, "till-1", &code, CheckSaid::Good);
        world.settled("till-1", &code, confirmed());
        for till in ["till-1", "till-2"] {
            checked(&mut world, till, &code, CheckSaid::Refused);
        }
    }
    assert_eq!(world.one(AskStanding).slowed, ["till-2"]);
}

#[test]
fn codes_that_a_success_says_no_to_count_as_refused_to_their_till() {
    let mut world = World::up();
    for n in 0..10 {
        let taken = world.take("till-2", &format!("SOFT-{n}"));
        world.settle(taken.seq, 1, parked());
    }
    world.lane = LaneNow::down();
    assert_eq!(limited(&mut world, new("till-2", "NOT-NOW")), Limit::Slowed(10));
    world.take("till-1", "THE-OTHER-TILL");
}

/// What the events of the limits say.
fn limits_told(world: &World) -> Vec<String> {
    let sql = "SELECT detail FROM event WHERE what = 'limit_used' ORDER BY n";
    let connection = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let told: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let text =
        |detail: &String| redeemd::message::Event::from_stored(detail).text(Language::English);
    told.iter().map(text).collect()
}

#[test]
fn a_limit_that_has_shrunk_below_what_is_used_is_told_once_when_it_refuses() {
    let mut world = World::new();
    world.offline.max_pending = 50;
    let mut told = Vec::new();
    let mut is_told = |world: &World, text: &str| {
        told.extend((!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(limits_told(world), told);
    };
    (0..9).for_each(|n| drop(world.take("till-1", &format!("C-{n}"))));
    is_told(&world, "");
    let (well, tenth) = (world.lane, Trust::AtOnce { tenth: true });
    world.lane = LaneNow { trust: tenth, cause: Some(Cause::Tls), ..well };
    assert_eq!(limited(&mut world, new("till-1", "A")), Limit::Pending(5));
    is_told(&world, "used up: 9 of 5, the rewards that may wait (max_pending of offline)");
    for _ in 0..2 {
        limited(&mut world, new("till-1", "A"));
        is_told(&world, "");
        world.crash();
    }
    world.lane = well;
    world.take("till-1", "A");
    world.lane = LaneNow { trust: tenth, cause: Some(Cause::Tls), ..well };
    limited(&mut world, new("till-1", "B"));
    is_told(&world, "used up: 10 of 5, the rewards that may wait (max_pending of offline)");
    world.lane = well;
    world.offline.max_exposure = Amount::whole(200);
    limited(&mut world, new("till-1", "B"));
    limited(&mut world, new("till-2", "C"));
    is_told(
        &world,
        "used up: 250.00 of 200.00, the value that may be at risk (max_exposure of offline)",
    );
    world.lane = LaneNow::default();
    let waits = world.take("till-1", "D");
    world.lane = well;
    world.offline.max_exposure = Amount::whole(1000);
    world.offline.caps.max_per_hour = Some(7);
    world.one(Conclusion { seq: waits.seq, end: WaitEnd::InVain, withdrawn: true });
    is_told(&world, "used up: 10 of 7, the rewards in an hour (max_per_hour of offline)");
}

#[test]
fn an_event_tells_of_each_limit_at_eighty_percent_and_when_it_is_used_up() {
    let mut world = World::new();
    (world.offline.max_pending, world.offline.max_exposure) = (5, Amount::whole(200));
    (0..5).for_each(|n| drop(world.take("till-1", &format!("C-{n}"))));
    limited(&mut world, new("till-1", "ONE-MORE"));
    assert_eq!(
        limits_told(&world),
        [
            "80 % used: 4 of 5, the rewards that may wait (max_pending of offline)",
            "used up: 5 of 5, the rewards that may wait (max_pending of offline)",
        ]
    );
}
