//! An index that a flipped bit made lead elsewhere: SQLite's quick look does not see it, the
//! recount does.

use std::fs;
use std::ops::Range;

use redeemd::store::{Decided, Decision, FILE, NewRedemption, Recount, Trouble};

use crate::mended::{bits_apart, rescued};
use crate::rescue::{exported, import};
use crate::salvage::{LOG, PAGE, bytes, checkpointed, root_of, write};
use crate::world::{World, accept_op, new, parked};

const INDEXES: [&str; 5] =
    ["guard", "redemption_key", "redemption_pending", "redemption_exception", "redemption_origin"];

/// The file after an ordered stop, behind which no start looks, with nothing of it in the log.
pub(crate) fn stopped(world: &mut World) -> Vec<u8> {
    checkpointed(world);
    world.store.take().unwrap().close().unwrap();
    // The last to close it empties the log.
    root_of(world, "redemption");
    bytes(world, FILE)
}

/// A store with a row in each index, and the file of it.
fn with_a_row_in_each(world: &mut World) -> Vec<u8> {
    let mut other = World::new();
    other.take("till-2", "IMPORTED");
    world.decide(NewRedemption { key: Some("k".to_owned()), ..new("till-1", "KEYED") });
    world.settled("till-1", "PARKED", parked());
    import(world, exported(&other));
    all_guards_in_the_table(world);
    stopped(world)
}

/// A new database has no row whose guard is in memory alone.
pub(crate) fn all_guards_in_the_table(world: &mut World) {
    world.store().rescue("a test", &[]).unwrap();
}

/// Where the records lie of an index, or of a table that is one, that has one page, without the
/// byte that says how long each is: by that alone nothing is looked up.
pub(crate) fn records(file: &[u8], root: usize) -> Vec<Range<usize>> {
    let start = (root - 1) * PAGE;
    let page = &file[start..start + PAGE];
    let number = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    assert_eq!(page[0], 0x0a, "an index's leaf");
    (0..number(3))
        .map(|n| start + number(8 + 2 * n))
        .map(|at| at + 1..at + 1 + usize::from(file[at]))
        .collect()
}

/// Whether the next start or its recount finds the damage.
fn is_found(world: &mut World) -> bool {
    world.open();
    let recounted = world.run(&[Recount { begin: true }]).pop().unwrap();
    world.report.salvage.is_some()
        || recounted.is_err_and(|error| error.trouble() == Trouble::Damaged)
}

#[test]
fn every_flipped_bit_of_an_index_is_found_by_the_recount() {
    let mut world = World::up();
    let file = with_a_row_in_each(&mut world);
    // The same file under its name again whatever a rescue did: another would be a copy, which is
    // another matter.
    let (name, kept) = (world.path().join(FILE), world.path().join("kept"));
    fs::hard_link(&name, &kept).unwrap();
    let put_back = |world: &mut World, file: &[u8]| {
        world.store = None;
        fs::remove_file(&name).unwrap();
        fs::hard_link(&kept, &name).unwrap();
        write(world, FILE, file);
        let log = world.path().join(LOG);
        assert!(
            !log.exists() || fs::remove_file(log).is_ok(),
            "what is in the log would hide the flipped bit"
        );
    };
    put_back(&mut world, &file);
    assert!(!is_found(&mut world), "the whole file is sound");
    put_back(&mut world, &file);
    let mut turned = 0;
    for index in INDEXES {
        let root = root_of(&world, index);
        let records = records(&file, root);
        assert!(!records.is_empty(), "{index} is empty");
        let bits = records.into_iter().flatten().flat_map(|at| (0..8).map(move |bit| (at, bit)));
        for (at, bit) in bits.step_by(bits_apart()) {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            put_back(&mut world, &flipped);
            assert!(is_found(&mut world), "{index}: bit {bit} of byte {}", at % PAGE);
            turned += 1;
        }
        put_back(&mut world, &file);
    }
    println!("flipped bits      {turned:>6}\nnot found              0");
    assert!(turned > 50, "{turned} bits turned");
}

#[test]
fn a_code_that_its_index_has_lost_is_held_again_after_the_recount() {
    let mut world = World::new();
    world.take("till-1", "A");
    all_guards_in_the_table(&mut world);
    let mut file = stopped(&mut world);
    let record = records(&file, root_of(&world, "guard")).remove(0);
    file[record.end - 4] ^= 1;
    write(&world, FILE, &file);
    world.open();
    assert!(world.report.salvage.is_none(), "a start does not see it");
    let error = world.run(&[Recount { begin: true }]).pop().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the database is damaged: guard does not lead to row 1");
    let tally = rescued(&mut world);
    assert_eq!((tally.kept, tally.pending, tally.parked, tally.lost), (1, 1, 0, Some(0)));
    assert!(matches!(world.decide(new("till-2", "A")), Decision::Used(_)), "it is held");
    assert!(world.one(Recount { begin: true }).finished);
    assert!(matches!(
        world.one(accept_op(new("till-2", "B"))),
        Decided { decision: Decision::Taken(_), .. }
    ));
}
