//! The figures of days, lanes and tills: what they come to, and that they stay when their rows have
//! left.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;

use redeemd::clock::Day;
use redeemd::decide::{Figures, WaitEnd};
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::Seq;
use redeemd::refused::Reason;
use redeemd::store::{
    Conclusion, Ended, FILE, Filter, Handling, Import, Recount, Refused, Settlement, VoidByTill,
    VoidOutcome,
};
use rusqlite::Connection;

use crate::world::{LANE, NOW_MS, World, accept_op, confirmed, declined, new, parked};

const DAY_MS: i64 = 86_400_000;

/// The figures of a day and a till by their names, those that are zero left out.
fn of(world: &World, day: i64, till: &str) -> BTreeMap<&'static str, i64> {
    let page = world.reader().till_days(Day::new(0), Day::new(i64::MAX), None).unwrap();
    let line = page
        .lines
        .iter()
        .find(|line| line.day == Day::utc(NOW_MS + day * DAY_MS) && line.till == till);
    let figures = line.map(|line| line.figures).unwrap_or_default();
    Figures::NAMES.into_iter().zip(figures.0).filter(|(_, number)| *number != 0).collect()
}

fn figures<const N: usize>(all: [(&'static str, i64); N]) -> BTreeMap<&'static str, i64> {
    all.into_iter().collect()
}

fn all() -> Filter {
    Filter { limit: 100, ..Filter::default() }
}

fn agrees_with_the_rows(world: &mut World) {
    let recounted = world.one(Recount { begin: true });
    assert!(recounted.finished && recounted.differences.is_empty(), "{recounted:?}");
}

/// One of each kind at till-1 on the first day, and two at till-2 on the second.
fn two_days() -> World {
    let mut world = World::new();
    world.settled("till-1", "CONFIRMED", confirmed());
    world.settled("till-1", "DECLINED", declined("no"));
    world.settled("till-1", "PARKED", parked());
    let back = world.take("till-1", "BACK").id;
    let voided = world.one(VoidByTill { id: back, till: "till-1".to_owned(), withdrawn: false });
    assert!(matches!(voided, VoidOutcome::Voided(_)));
    world.stamp.unix_ms += DAY_MS;
    world.take("till-2", "PENDING");
    world.settled("till-2", "CONFIRMED-2", confirmed());
    world
}

#[test]
fn each_day_and_till_has_its_own_and_they_move_with_what_becomes_of_a_redemption() {
    let mut world = two_days();
    let first = figures([
        ("given", 4),
        ("confirmed", 1),
        ("declined", 1),
        ("lost", 1),
        ("parked", 1),
        ("voided", 1),
        ("taken_back", 1),
    ]);
    assert_eq!(of(&world, 0, "till-1"), first);
    assert_eq!(of(&world, 1, "till-2"), figures([("given", 2), ("pending", 1), ("confirmed", 1)]));
    assert!(of(&world, 0, "till-2").is_empty() && of(&world, 1, "till-1").is_empty());
    // What is decided on the second day counts for the first, on which it was given.
    let declined = world.reader().list(&all()).unwrap()[1].id.clone();
    world.retry(&declined);
    let claimed = world.claim().into_iter().find(|row| row.id == declined).unwrap();
    assert_eq!(of(&world, 0, "till-1")["pending"], 1);
    world.settle(claimed.seq, claimed.attempt, confirmed());
    let after = of(&world, 0, "till-1");
    assert_eq!(
        (after["confirmed"], after["lost"], after.get("declined")),
        (2, 1, None),
        "a fact for life"
    );
    agrees_with_the_rows(&mut world);
}

#[test]
fn what_the_provider_answered_its_till_counts_nothing_and_what_came_late_counts_as_late() {
    let mut world = World::up();
    world.settled("till-1", "ASKED", confirmed());
    assert!(of(&world, 0, "till-1").is_empty());
    let refused = world.take("till-1", "REFUSED-THEN-TAKEN");
    world.one(Conclusion { seq: refused.seq, end: WaitEnd::InVain, withdrawn: false });
    world.settle(refused.seq, 1, Ended::Unclear);
    let again = world.claim().into_iter().find(|row| row.seq == refused.seq).unwrap();
    world.one(Settlement::new(again.seq, again.attempt, confirmed()));
    assert_eq!(of(&world, 0, "till-1"), figures([("owed", 1)]));
    world.decide(new("till-2", "REFUSED-THEN-TAKEN"));
    assert_eq!(
        of(&world, 0, "till-1"),
        figures([("paid", 1)]),
        "it counts for the till that was to give it"
    );
    let late = world.take("till-1", "LATE");
    // A lane whose link went down meanwhile gives at once.
    world.lane = LaneNow::down();
    world.one(Conclusion { seq: late.seq, end: WaitEnd::InVain, withdrawn: false });
    assert_eq!(
        of(&world, 0, "till-1"),
        figures([("paid", 1), ("given", 1), ("late", 1), ("pending", 1)])
    );
    agrees_with_the_rows(&mut world);
}

#[test]
fn a_day_stays_what_it_was_when_its_rows_have_left() {
    let mut world = two_days();
    let (first, second) = (of(&world, 0, "till-1"), of(&world, 1, "till-2"));
    let counted = world.counts();
    world.prune();
    assert!(world.reader().list(&all()).unwrap().len() < 6);
    assert_eq!((of(&world, 0, "till-1"), of(&world, 1, "till-2")), (first.clone(), second.clone()));
    agrees_with_the_rows(&mut world);
    world.restart();
    // The next look finds lines of which no row is left, and they are still summed.
    world.prune();
    assert_eq!((of(&world, 0, "till-1"), of(&world, 1, "till-2")), (first, second));
    agrees_with_the_rows(&mut world);
    assert_eq!(world.counts(), counted);
}

#[test]
fn figures_leave_three_years_after_their_rows_and_not_before() {
    let mut world = two_days();
    world.prune();
    let first = of(&world, 0, "till-1");
    for (days, expected) in [(1000, Some(&first)), (200, None)] {
        world.stamp.unix_ms += days * DAY_MS;
        world.take("till-1", &format!("NEWEST-{days}"));
        world.prune();
        let now = of(&world, 0, "till-1");
        // What is parked, lost or taken back has not left, and never does by itself.
        let mut left = figures([("given", 3), ("parked", 1), ("declined", 1), ("lost", 1)]);
        left.extend([("voided", 1), ("taken_back", 1)]);
        assert_eq!(&now, expected.unwrap_or(&left), "{days} more days");
    }
    agrees_with_the_rows(&mut world);
}

#[test]
fn what_an_earlier_process_left_counts_as_given_from_its_next_attempt_on() {
    let mut world = World::up();
    world.take("till-1", "IN-FLIGHT");
    assert!(of(&world, 0, "till-1").is_empty());
    world.crash();
    agrees_with_the_rows(&mut world);
    world.claim();
    assert_eq!(of(&world, 0, "till-1"), figures([("given", 1), ("late", 1), ("pending", 1)]));
    agrees_with_the_rows(&mut world);
}

#[test]
fn rows_from_elsewhere_count_here_on_their_own_day() {
    let mut world = World::new();
    world.stamp.unix_ms -= 3 * DAY_MS;
    world.take("till-1", "ELSEWHERE");
    let rows = world.reader().export(Seq(0), 10).unwrap().rows;
    let mut here = World::new();
    here.one(Import {
        rows,
        from: "branch-1".to_owned(),
        by: "ops".to_owned(),
        language: Language::English,
    });
    assert_eq!(of(&here, -3, "till-1"), figures([("given", 1), ("pending", 1)]));
    agrees_with_the_rows(&mut here);
}

#[test]
fn a_page_of_figures_has_whole_days_and_says_where_the_next_begins() {
    let mut world = World::new();
    let many = |day: usize| {
        let of =
            move |till: usize| accept_op(new(&format!("till-{till}"), &format!("C-{day}-{till}")));
        (0..1100).map(of).collect::<Vec<_>>()
    };
    for day in 0..3 {
        world.run(&many(day));
        world.stamp.unix_ms += DAY_MS;
    }
    let reader = world.reader();
    let first = reader.till_days(Day::new(0), Day::new(i64::MAX), None).unwrap();
    assert_eq!((first.lines.len(), first.next), (2200, Some(Day::utc(NOW_MS + 2 * DAY_MS))));
    let rest = reader.till_days(first.next.unwrap(), Day::new(i64::MAX), Some(LANE)).unwrap();
    assert_eq!((rest.lines.len(), rest.next), (1100, None));
    assert!(
        reader.till_days(Day::new(0), Day::new(i64::MAX), Some("other")).unwrap().lines.is_empty()
    );
}

#[test]
fn refusals_are_summed_by_day_and_reason() {
    let mut world = World::new();
    world.one(Refused(vec![(Reason::Used, 2), (Reason::Busy, 1)]));
    world.one(Refused(vec![(Reason::Used, 3)]));
    world.stamp.unix_ms += DAY_MS;
    world.one(Refused(vec![(Reason::Used, 7)]));
    let reader = world.reader();
    let (today, tomorrow) = (Day::utc(NOW_MS), Day::utc(NOW_MS + DAY_MS));
    let first = reader.refusals(today, today).unwrap();
    assert_eq!((first["used"], first["busy"]), (5, 1));
    assert_eq!(reader.refusals(today, tomorrow).unwrap()["used"], 12);
}

#[test]
fn an_earlier_versions_rows_are_counted_when_it_gets_this_schema() {
    let mut world = two_days();
    let (first, second) = (of(&world, 0, "till-1"), of(&world, 1, "till-2"));
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    // As version 6 left it: no mark of what was taken back.
    raw.execute_batch(
        "DROP TABLE tally; DROP TABLE refusal; UPDATE redemption SET marks = marks & ~524288; \
         DROP TABLE guard; DROP TABLE guarded; \
         CREATE INDEX redemption_guard ON redemption (guard); PRAGMA user_version = 6;",
    )
    .unwrap();
    drop(raw);
    world.open();
    assert!(world.report.migrated.is_some());
    assert_eq!((of(&world, 0, "till-1"), of(&world, 1, "till-2")), (first, second));
    agrees_with_the_rows(&mut world);
}

#[test]
fn a_salvage_counts_the_rows_again_and_keeps_the_figures_of_those_that_had_left() {
    let mut world = two_days();
    world.prune();
    world.take("till-3", "NEWEST");
    world.one(Refused(vec![(Reason::Used, 2)]));
    let before: Vec<_> = [(0, "till-1"), (1, "till-2"), (1, "till-3")]
        .map(|(day, till)| of(&world, day, till))
        .into();
    world.store.take().unwrap().close().unwrap();
    let file = fs::OpenOptions::new().write(true).open(world.path().join(FILE)).unwrap();
    // The header's page size: nothing but a look page by page finds anything in it.
    file.write_all_at(&[0xff, 0xff], 16).unwrap();
    world.open();
    assert!(world.report.salvage.is_some());
    let after: Vec<_> = [(0, "till-1"), (1, "till-2"), (1, "till-3")]
        .map(|(day, till)| of(&world, day, till))
        .into();
    assert_eq!(before, after);
    assert_eq!(world.reader().refusals(Day::new(0), Day::new(i64::MAX)).unwrap()["used"], 2);
    agrees_with_the_rows(&mut world);
}

#[test]
fn figures_that_say_something_else_than_the_rows_are_found() {
    let mut world = two_days();
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.execute("UPDATE tally SET lost = 3 WHERE lost = 1", []).unwrap();
    drop(raw);
    world.open();
    let recounted = world.one(Recount { begin: true });
    let told: Vec<_> =
        recounted.differences.iter().map(|told| told.text(Language::English)).collect();
    assert_eq!(told, ["lane retm: the books say 3 lost by day, the rows 1"]);
}

#[test]
fn what_a_person_says_of_a_row_changes_no_figure() {
    let mut world = two_days();
    let before = of(&world, 0, "till-1");
    let id = world.reader().list(&all()).unwrap()[1].id.clone();
    world.one(Handling { id, note: "seen".to_owned(), free: true, by: "ann".to_owned() });
    assert_eq!(of(&world, 0, "till-1"), before);
    agrees_with_the_rows(&mut world);
}
