//! The books balance after any sequence of operations, and the store agrees with a model of a few
//! lines.

use std::collections::BTreeMap;

use proptest::prelude::*;
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Id, Seq, State};
use redeemd::store::{
    Accept, Acted, Counts, Decision, Ended, FILE, Recount, Unclaim, Void, VoidByTill, VoidOutcome,
};

use crate::world::{World, accept_op, confirmed, declined, new, parked};

#[derive(Clone, Debug)]
enum Step {
    Accept { till: u8, code: u8, up: bool },
    Claim,
    Settle { which: usize, how: u8 },
    VoidByTill { which: usize },
    Void { which: usize },
    Retry { which: usize },
    Crash,
    Restart,
}

/// What the model knows of a row.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
struct Row {
    id: Id,
    till: u8,
    code: u8,
    state: State,
    in_flight: bool,
    uncertain: bool,
    provider_only: bool,
    trusted: bool,
    /// Its till heard the provider's answer.
    answered: bool,
    said_used: bool,
    /// A person has voided it.
    closed: bool,
    attempt: u32,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..6u8, any::<bool>())
            .prop_map(|(till, code, up)| Step::Accept { till, code, up }),
        2 => Just(Step::Claim),
        4 => (any::<prop::sample::Index>(), 0..6u8)
            .prop_map(|(at, how)| Step::Settle { which: at.index(64), how }),
        1 => (0..64usize).prop_map(|which| Step::VoidByTill { which }),
        1 => (0..64usize).prop_map(|which| Step::Void { which }),
        1 => (0..64usize).prop_map(|which| Step::Retry { which }),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<Seq, Row>,
}

impl Model {
    fn nth(&self, which: usize) -> Option<(Seq, Row)> {
        let at = which.checked_rem(self.rows.len())?;
        self.rows.iter().nth(at).map(|(seq, row)| (*seq, row.clone()))
    }

    fn of(&self, code: u8) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(move |row| row.code == code)
    }

    fn holds(&self, code: u8, up: bool) -> bool {
        self.of(code).any(|row| match row.state {
            State::Pending | State::Parked => true,
            State::Voided => row.uncertain || ((row.trusted || row.closed) && !up),
            State::Confirmed | State::Declined => !up,
        })
    }

    fn is_obstacle(row: &Row) -> bool {
        match row.state {
            State::Pending | State::Parked | State::Confirmed => true,
            State::Voided => row.uncertain,
            State::Declined => false,
        }
    }

    /// Somebody else's redemption that the provider took, or its word that the code was used before
    /// this one was sent.
    fn explained(&self, seq: Seq, row: &Row) -> bool {
        let mut others =
            self.rows.iter().filter(|(other, one)| **other != seq && one.code == row.code);
        row.said_used
            || others.any(|(other, one)| match one.state {
                State::Confirmed => row.provider_only,
                State::Declined => *other < seq && one.said_used,
                State::Pending | State::Parked | State::Voided => false,
            })
    }

    fn count(&self, state: State) -> u64 {
        self.rows.values().filter(|row| row.state == state).count() as u64
    }
}

fn check(world: &mut World, model: &Model) {
    let recounted = world.one(Recount { begin: true });
    assert!(recounted.finished && recounted.differences.is_empty(), "{recounted:?}");
    let counts = world.counts();
    assert!(counts.balance(), "{counts:?}");
    assert_eq!(counts.accepted, model.rows.len() as u64);
    let mine = [counts.pending, counts.confirmed, counts.declined, counts.parked, counts.voided];
    assert_eq!(mine, State::ALL.map(|state| model.count(state)));
    let reader = world.reader();
    for row in model.rows.values() {
        let stored = reader.by_id(&row.id).unwrap().expect("the row");
        let marks = (stored.state, stored.in_flight, stored.uncertain);
        assert_eq!(marks, (row.state, row.in_flight, row.uncertain), "{row:?}");
    }
}

fn accept(world: &mut World, model: &mut Model, (till, code, up): (u8, u8, bool)) {
    world.lane = if up { LaneNow::default() } else { LaneNow::down() };
    let decision = world.decide(new(&format!("till-{till}"), &format!("C{code}")));
    let repeat = model.rows.values().rev().find(|row| row.till == till && row.code == code);
    match decision {
        Decision::StillPending(taken) => {
            assert_eq!(Some((&taken.id, State::Pending)), repeat.map(|r| (&r.id, r.state)));
            // One that was not given on trust is asked about again at once.
            let row = model.rows.get_mut(&taken.seq).unwrap();
            if up && !row.trusted && !row.in_flight {
                (row.in_flight, row.attempt) = (true, row.attempt + 1);
            }
        }
        Decision::Settled(row) => {
            assert_eq!(Some((&row.id, row.state)), repeat.map(|r| (&r.id, r.state)));
        }
        Decision::Owed(row) => panic!("no till was refused: {row:?}"),
        Decision::Used(_) | Decision::BeingAsked | Decision::RefusedBefore(_) => {
            assert!(repeat.is_none() && model.holds(code, up));
        }
        Decision::Taken(taken) => {
            assert!(repeat.is_none() && !model.holds(code, up));
            let (id, provider_only) = (taken.id, taken.provider_only);
            let (in_flight, attempt, trusted) = (up, u32::from(up), !up);
            assert_eq!(taken.trusted, trusted);
            let (state, uncertain, answered, said_used) = (State::Pending, false, false, false);
            let row = Row {
                id,
                till,
                code,
                state,
                in_flight,
                uncertain,
                provider_only,
                trusted,
                answered,
                said_used,
                closed: false,
                attempt,
            };
            model.rows.insert(taken.seq, row);
        }
        Decision::KeyReused
        | Decision::RefusedAtCheck(_)
        | Decision::Gone(_)
        | Decision::Limited(_)
        | Decision::BadDate
        | Decision::Held => {
            panic!("{decision:?}")
        }
    }
}

fn settle(world: &mut World, model: &mut Model, which: usize, how: u8) {
    let Some((seq, row)) = model.nth(which) else { return };
    let ended = [
        confirmed(),
        declined("no"),
        declined("has been used"),
        parked(),
        Ended::Clean,
        Ended::Unclear,
    ];
    let settled = world.settle(seq, row.attempt, ended[usize::from(how)].clone());
    let applies = row.state == State::Pending && row.in_flight;
    assert_eq!(settled.applied, applies);
    let explained = model.explained(seq, &row);
    let row = model.rows.get_mut(&seq).unwrap();
    if !applies {
        return;
    }
    row.in_flight = false;
    (row.state, row.uncertain) = match how {
        0 => (State::Confirmed, row.uncertain),
        2 if row.uncertain && !explained => (State::Confirmed, true),
        1 if row.uncertain => (State::Pending, true),
        1 | 2 => (State::Declined, row.uncertain),
        3 => (State::Parked, true),
        4 => (State::Pending, row.uncertain),
        _ => (State::Pending, true),
    };
    row.answered |= row.state != State::Pending;
    row.said_used |= how == 2 && row.state == State::Declined;
    assert_eq!(settled.state, row.state);
}

fn claim(world: &mut World, model: &mut Model) {
    let claimed = world.claim();
    let due = model
        .rows
        .iter()
        .filter(|(_, row)| row.state == State::Pending && !row.in_flight)
        .map(|(seq, _)| *seq);
    assert_eq!(claimed.iter().map(|row| row.seq).collect::<Vec<_>>(), due.collect::<Vec<_>>());
    for one in claimed {
        let ours = {
            let row = &model.rows[&one.seq];
            row.uncertain && !model.explained(one.seq, row)
        };
        let row = model.rows.get_mut(&one.seq).unwrap();
        assert_eq!(one.used_is_ours, ours);
        (row.in_flight, row.attempt) = (true, one.attempt);
    }
}

fn void(world: &mut World, model: &mut Model, which: usize, by_till: bool) {
    let Some((seq, row)) = model.nth(which) else { return };
    let open = row.state == State::Pending && !row.in_flight;
    let voided = if by_till {
        let op = VoidByTill { id: row.id, till: format!("till-{}", row.till), withdrawn: false };
        let outcome = world.one(op);
        let voided = open && !row.uncertain;
        let was_voided = row.state == State::Voided && !row.uncertain;
        assert_eq!(matches!(outcome, VoidOutcome::Voided(_)), voided || was_voided);
        voided
    } else {
        let acted = world.one(Void { id: row.id, note: "n".to_owned(), by: "op".to_owned() });
        let voided = open || row.state == State::Parked;
        // A decline after the fact is closed as lost and stays one.
        let closed = row.state == State::Declined && row.trusted;
        assert_eq!(matches!(acted, Acted::Done(_)), voided || closed);
        voided
    };
    if voided {
        let row = model.rows.get_mut(&seq).unwrap();
        (row.state, row.closed) = (State::Voided, !by_till);
    }
}

fn retry(world: &mut World, model: &mut Model, which: usize) {
    let Some((seq, row)) = model.nth(which) else { return };
    let mut others =
        model.rows.iter().filter(|(other, one)| **other != seq && one.code == row.code);
    let may = matches!(row.state, State::Declined | State::Parked)
        && !others.any(|(_, one)| Model::is_obstacle(one));
    assert_eq!(matches!(world.retry(&row.id), Acted::Done(_)), may, "{row:?}");
    if may {
        let row = model.rows.get_mut(&seq).unwrap();
        row.uncertain |= row.state == State::Parked;
        row.state = State::Pending;
    }
}

fn restart(world: &mut World, model: &mut Model, crash: bool) {
    if crash {
        world.crash();
    } else {
        world.restart();
    }
    for row in model.rows.values_mut().filter(|row| row.state == State::Pending) {
        row.uncertain |= std::mem::take(&mut row.in_flight);
        // Its 2xx may have left a moment before the end.
        row.trusted |= !row.provider_only && !row.answered;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_model_whatever_happens(
        recent_guards in 0..4usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::default();
        let mut world = World::with_recent_guards(recent_guards);
        for step in steps {
            match step {
                Step::Accept { till, code, up } => accept(&mut world, &mut model, (till, code, up)),
                Step::Claim => claim(&mut world, &mut model),
                Step::Settle { which, how } => settle(&mut world, &mut model, which, how),
                Step::VoidByTill { which } => void(&mut world, &mut model, which, true),
                Step::Void { which } => void(&mut world, &mut model, which, false),
                Step::Retry { which } => retry(&mut world, &mut model, which),
                Step::Crash => restart(&mut world, &mut model, true),
                Step::Restart => restart(&mut world, &mut model, false),
            }
            check(&mut world, &model);
        }
    }
}

#[test]
fn books_balance_when_every_redemption_that_was_accepted_is_in_one_state() {
    let whole =
        Counts { accepted: 15, pending: 1, confirmed: 2, declined: 3, parked: 4, voided: 5 };
    assert!(whole.balance() && Counts::default().balance());
    assert!([whole, whole].into_iter().sum::<Counts>().balance());
    for wrong in [
        Counts { accepted: 16, ..whole },
        Counts { pending: 0, ..whole },
        Counts { confirmed: 3, ..whole },
        Counts { declined: 0, ..whole },
        Counts { parked: 0, ..whole },
        Counts { voided: 0, ..whole },
    ] {
        assert!(!wrong.balance(), "{wrong:?}");
    }
}

#[test]
fn a_recount_in_slices_is_exact_whatever_happens_between_them() {
    let mut world = World::new();
    let codes: Vec<Accept> =
        (0..1200).map(|n| accept_op(new("till-1", &format!("R{n}")))).collect();
    world.run(&codes);
    let (mut begin, mut slices) = (true, 0);
    loop {
        let recounted = world.one(Recount { begin });
        begin = false;
        slices += 1;
        assert!(recounted.differences.is_empty(), "{recounted:?}");
        if recounted.finished {
            break;
        }
        // Rows on both sides of the place that the recount has reached.
        let claimed = world.claim();
        for row in claimed.iter().step_by(3) {
            world.settle(row.seq, row.attempt, confirmed());
        }
        world.prune();
        world.take("till-2", &format!("NEW-{slices}"));
        world.one(Unclaim(claimed.iter().map(|row| (row.seq, row.attempt)).collect()));
    }
    assert!(slices > 4, "{slices}");
}

#[test]
fn a_recount_follows_the_very_row_that_it_has_reached() {
    let mut world = World::new();
    let codes: Vec<Accept> = (0..150).map(|n| accept_op(new("till-1", &format!("R{n}")))).collect();
    world.run(&codes);
    assert!(!world.one(Recount { begin: true }).finished);
    let reached = world.claim().into_iter().find(|row| row.seq == Seq(100)).unwrap();
    world.settle(reached.seq, reached.attempt, confirmed());
    let recounted = world.one(Recount { begin: false });
    assert!(recounted.finished && recounted.differences.is_empty(), "{recounted:?}");
}

#[test]
fn the_totals_outlive_pruned_rows_of_every_state_and_a_restart() {
    let mut world = World::up();
    world.settled("till-1", "CONFIRMED", confirmed());
    for code in ["DECLINED-1", "DECLINED-2"] {
        world.settled("till-1", code, declined("no"));
    }
    world.lane = LaneNow::down();
    for code in ["VOIDED-1", "VOIDED-2", "VOIDED-3"] {
        let id = world.take("till-1", code).id;
        let (note, by) = ("the customer left".to_owned(), "op".to_owned());
        world.one(Void { id, note, by });
    }
    // What its till took back waits for a person.
    let id = world.take("till-1", "TAKEN-BACK").id;
    world.one(VoidByTill { id, till: "till-1".to_owned(), withdrawn: false });
    world.take("till-1", "NEWEST");
    let before = world.counts();
    let pruned = world.prune();
    assert!(pruned.rows == 6, "{pruned:?}");
    for _ in 0..2 {
        let recounted = world.one(Recount { begin: true });
        assert!(recounted.finished && recounted.differences.is_empty(), "{recounted:?}");
        assert_eq!((world.counts(), before.voided), (before, 4));
        world.restart();
    }
}

#[test]
fn a_recount_finds_books_that_say_something_else_than_the_rows() {
    let mut world = World::new();
    world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    raw.execute("UPDATE lane SET pending = 2, accepted = 2", []).unwrap();
    drop(raw);
    world.open();
    let recounted = world.one(Recount { begin: true });
    let told: Vec<_> =
        recounted.differences.iter().map(|told| told.text(Language::English)).collect();
    assert_eq!(told, ["lane retm: the books say 2 pending, the rows 1"]);
}

/// Seven pages: the row, its body, its place among the pending ones, its worth, the sums, and the
/// page that SQLite adds so that nothing that is synced shares a sector with what comes next; one
/// more when a page is full.
#[test]
fn a_redemption_alone_in_its_commit_writes_few_pages() {
    let mut world = World::new();
    world.take("till-1", "FIRST");
    let before = world.store().wal_frames();
    for n in 0..20 {
        world.take("till-1", &format!("CODE-{n}"));
    }
    let pages = world.store().wal_frames() - before;
    assert!(pages <= 20 * 7, "{pages} pages for 20 commits");
}

#[test]
fn damaged_sums_of_the_last_commits_are_counted_again_and_cost_nothing() {
    let mut world = World::new();
    for n in 0..5 {
        world.take("till-1", &format!("CODE-{n}"));
    }
    let counts = world.counts();
    world.store = None;
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    let sql = "UPDATE keep SET value = replace(value, '5', '4') WHERE name = 'sums'";
    assert_eq!(raw.execute(sql, []).unwrap(), 1);
    drop(raw);
    world.open();
    assert!(world.report.salvage.as_ref().is_some_and(|salvage| salvage.tally.kept == 5));
    assert_eq!(world.counts(), counts);
    let recounted = world.one(Recount { begin: true });
    assert!(recounted.finished && recounted.differences.is_empty(), "{recounted:?}");
}
