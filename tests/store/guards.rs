//! A code is held by every redemption that it has, wherever the guard of it lies: in memory, in the
//! table, in both. The stores here keep few guards in memory, so that they are merged often.

use std::fs;

use redeemd::redemption::RewardCode;
use redeemd::store::{
    Accept, Decided, Decision, Desk, FILE, Job, Operation, Recount, StoreError, Task, Trouble,
};
use rusqlite::Connection;

use crate::indexes::{all_guards_in_the_table, records, stopped};
use crate::mended::rescued;
use crate::salvage::{LOG, behind_its_back, root_of};
use crate::world::{World, accept_op, confirmed, new};

/// A figure of the database, as it lies there.
fn figure(world: &World, sql: &str) -> i64 {
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.query_row(sql, [], |row| row.get(0)).unwrap()
}

const IN_TABLE: &str = "SELECT count(*) FROM guard";
const UNMERGED: &str = "SELECT count(*) FROM redemption WHERE seq > (SELECT upto FROM guarded)";
const OF_NO_ROW: &str =
    "SELECT count(*) FROM guard WHERE (guard, seq) NOT IN (SELECT guard, seq FROM redemption)";

fn code(n: usize) -> String {
    format!("CODE-{n}")
}

/// Each of the first codes belongs to its redemption, whoever asks.
fn are_held(world: &mut World, codes: usize) {
    for n in 0..codes {
        let decision = world.decide(new("till-3", &code(n)));
        assert!(matches!(decision, Decision::Used(_)), "{}: {decision:?}", code(n));
    }
    let mut begin = true;
    while !world.one(Recount { begin }).finished {
        begin = false;
    }
}

#[test]
fn a_code_is_held_whether_its_guard_is_in_memory_or_in_the_table() {
    for recent in [0, 1, 5, 40, 1000] {
        let mut world = World::with_recent_guards(recent);
        for n in 0..120 {
            world.take("till-1", &code(n));
            assert!(matches!(world.decide(new("till-2", &code(n))), Decision::Used(_)));
        }
        are_held(&mut world, 120);
        let in_table = figure(&world, IN_TABLE);
        assert_eq!(in_table > 0, recent < 120, "{recent} in memory, {in_table} in the table");
        for again in [World::crash, World::restart] {
            again(&mut world);
            are_held(&mut world, 120);
        }
    }
}

#[test]
fn a_batch_is_merged_like_single_rows_and_one_code_is_taken_once_in_it() {
    let mut world = World::with_recent_guards(256);
    for batch in 0..20 {
        let codes = (batch * 64..(batch + 1) * 64).flat_map(|n| [("till-1", n), ("till-2", n)]);
        let ops: Vec<Accept> = codes.map(|(till, n)| accept_op(new(till, &code(n)))).collect();
        let done: Vec<Decided> = world.run(&ops).into_iter().map(Result::unwrap).collect();
        for pair in done.chunks(2) {
            assert!(matches!(pair[0].decision, Decision::Taken(_)), "{pair:?}");
            assert!(matches!(pair[1].decision, Decision::Used(_)), "{pair:?}");
        }
    }
    are_held(&mut world, 20 * 64);
}

#[test]
fn what_a_start_has_to_read_is_bounded_however_often_it_starts() {
    let mut world = World::with_recent_guards(64);
    let mut taken = 0;
    for rows in [3000, 50, 50, 50, 50, 50, 50, 1000] {
        for n in taken..taken + rows {
            world.take("till-1", &code(n));
        }
        taken += rows;
        let unmerged = figure(&world, UNMERGED);
        println!("after {taken} rows a start reads {unmerged}");
        assert!(unmerged < 64 * 8, "{unmerged} after {taken}");
        world.crash();
    }
    assert!(figure(&world, UNMERGED) < 64 * 3, "it is as it was");
    are_held(&mut world, taken);
}

/// Does its part, and fails when that is done.
#[derive(Clone)]
struct FailsAfter(Accept);

impl Operation for FailsAfter {
    type Output = Decided;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Decided, StoreError> {
        let decided = self.0.perform(desk)?;
        assert!(matches!(decided.decision, Decision::Taken(_)), "{decided:?}");
        Err(StoreError::Internal("a test"))
    }
}

#[test]
fn a_transaction_that_was_rolled_back_holds_no_code() {
    for recent in [0, 1, 8] {
        let mut world = World::with_recent_guards(recent);
        for n in 0..30 {
            let (mut fails, mut beside) = (
                Job::new(FailsAfter(accept_op(new("till-1", &code(2 * n))))),
                Job::new(accept_op(new("till-1", &code(2 * n + 1)))),
            );
            let mut tasks: [&mut dyn Task; 2] = [&mut beside, &mut fails];
            world.run_tasks(&mut tasks);
            fails.outcome().unwrap_err();
            assert!(matches!(beside.outcome().unwrap().decision, Decision::Taken(_)));
            world.take("till-2", &code(2 * n));
        }
        are_held(&mut world, 60);
        world.crash();
        are_held(&mut world, 60);
    }
}

#[test]
fn a_row_that_left_leaves_no_guard_behind_wherever_it_lay() {
    for recent in [0, 3, 10, 1000] {
        let mut world = World::with_recent_guards(recent);
        for n in 0..30 {
            world.take("till-1", &code(n));
        }
        // What a start has read may be in the table as well.
        world.crash();
        for row in world.claim() {
            world.settle(row.seq, row.attempt, confirmed());
        }
        assert_eq!(world.prune().rows, 29, "all but the newest");
        assert_eq!(figure(&world, OF_NO_ROW), 0, "{recent} in memory");
        for n in 0..29 {
            assert!(matches!(world.decide(new("till-2", &code(n))), Decision::Gone(_)));
        }
        for n in 30..60 {
            world.take("till-1", &code(n));
        }
        assert_eq!(figure(&world, OF_NO_ROW), 0, "{recent} in memory, afterwards");
        world.crash();
        assert!(world.one(Recount { begin: true }).finished);
    }
}

#[test]
fn a_copy_that_was_taken_between_two_slices_holds_every_code() {
    let mut world = World::with_recent_guards(8);
    for n in 0..50 {
        world.take("till-1", &code(n));
        let copy = tempfile::tempdir().unwrap();
        for name in [FILE, LOG] {
            fs::copy(world.path().join(name), copy.path().join(name)).unwrap();
        }
        let mut copied = World::with_dir(copy);
        assert!(copied.report.copied.is_some());
        are_held(&mut copied, n + 1);
    }
    let copy = tempfile::tempdir().unwrap();
    let mut online = world.reader().backup(world.path()).unwrap();
    let mut file = fs::File::create(copy.path().join(FILE)).unwrap();
    std::io::Seek::rewind(&mut online).unwrap();
    std::io::copy(&mut online, &mut file).unwrap();
    are_held(&mut World::with_dir(copy), 50);
}

#[test]
fn a_rescued_database_has_every_guard_in_its_table() {
    let mut world = World::with_recent_guards(8);
    for n in 0..50 {
        world.take("till-1", &code(n));
    }
    all_guards_in_the_table(&mut world);
    assert_eq!((figure(&world, UNMERGED), figure(&world, IN_TABLE)), (0, 50));
    are_held(&mut world, 50);
    for n in 50..80 {
        world.take("till-1", &code(n));
    }
    world.crash();
    are_held(&mut world, 80);
}

#[test]
fn every_flipped_bit_of_how_far_the_table_goes_is_found_at_the_start() {
    let mut world = World::new();
    world.take("till-1", "A");
    all_guards_in_the_table(&mut world);
    let file = stopped(&mut world);
    let record = records(&file, root_of(&world, "guarded")).remove(0);
    let bits: Vec<_> = record.flat_map(|at| (0..8).map(move |bit| (at, bit))).collect();
    assert!(bits.len() > 40, "{} bits", bits.len());
    for (at, bit) in bits {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << bit;
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(FILE), &flipped).unwrap();
        let mut damaged = World::with_dir(copy);
        let salvage = damaged.report.salvage.as_ref();
        assert_eq!(salvage.map(|salvage| salvage.tally.kept), Some(1), "bit {bit} of byte {at}");
        assert!(matches!(damaged.decide(new("till-2", "A")), Decision::Used(_)));
    }
}

#[test]
fn a_guard_that_leads_to_another_row_or_to_none_is_damage_as_soon_as_its_code_is_asked_for() {
    for elsewhere in [1, 4000] {
        let mut world = World::new();
        for code in ["A", "B"] {
            world.take("till-1", code);
        }
        all_guards_in_the_table(&mut world);
        behind_its_back(&mut world, &format!("UPDATE guard SET seq = {elsewhere} WHERE seq = 2"));
        let asked = accept_op(new("till-2", "B"));
        let error = world.run(&[asked]).pop().unwrap().unwrap_err();
        assert_eq!(error.trouble(), Trouble::Damaged, "{error}");
        assert_eq!(rescued(&mut world).kept, 2);
        assert!(matches!(world.decide(new("till-2", "B")), Decision::Used(_)));
    }
}

#[test]
fn a_person_who_looks_for_a_code_finds_it_in_memory_and_in_the_table() {
    let mut world = World::with_recent_guards(10);
    for n in 0..40 {
        world.take("till-1", &code(n));
    }
    assert!(figure(&world, IN_TABLE) > 0 && figure(&world, UNMERGED) > 0);
    for n in 0..40 {
        let found = world.reader().of_code(&RewardCode::new(code(n)), &[]).unwrap().rows;
        assert_eq!(found.len(), 1, "{}", code(n));
        assert_eq!(found[0].reward_code.reveal(), code(n));
    }
    let nobodys = RewardCode::new("NOBODYS".to_owned());
    assert!(world.reader().of_code(&nobodys, &[]).unwrap().rows.is_empty());
}

#[test]
fn a_guard_that_the_table_has_lost_is_found_by_the_recount() {
    let mut world = World::new();
    world.take("till-1", "A");
    all_guards_in_the_table(&mut world);
    behind_its_back(&mut world, "DELETE FROM guard");
    let error = world.run(&[Recount { begin: true }]).pop().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the database is damaged: guard does not lead to row 1");
    rescued(&mut world);
    assert!(matches!(world.decide(new("till-2", "A")), Decision::Used(_)));
}
