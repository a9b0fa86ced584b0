//! Damaged files: set aside with their bytes intact, salvaged page by page, and the store goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use std::time::Duration;

use redeemd::decide::WaitEnd;
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Id, Request, RewardCode, Seq, State};
use redeemd::store::{
    Accept, Claim, Conclusion, Decision, Ended, FILE, Hold, Inspection, LaneMemory, NewRedemption,
    Prune, Recount, Remember, Retention, Salvage, Store, StoreError, Taken, Trouble, Void,
    WaitMemory, inspect,
};

use crate::world::{LANE, NOW_MS, World, accept_op, claim_op, confirmed, declined, new, parked};

pub(crate) const LOG: &str = "redeemd.db-wal";
pub(crate) const PAGE: usize = 4096;

/// What was acknowledged: by id, its state and its body.
type Known = BTreeMap<String, (State, Vec<u8>)>;

/// Numbers that look random and are the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

fn long(code: &str, bytes: usize) -> NewRedemption {
    let padding = "x".repeat(bytes);
    let request = Request {
        reward_code: RewardCode::new(code.to_owned()),
        body: format!(r#"{{"reward_code":"{code}","more":"{padding}"}}"#).into(),
        ..new("till-1", code).request
    };
    NewRedemption { request, ..new("till-1", code) }
}

/// A store with rows in every state, some with bodies that need overflow pages.
fn filled(rows: usize) -> (World, Known) {
    let mut world = World::up();
    let mut known = Known::new();
    for n in 0..rows {
        world.lane = if n % 7 != 0 { LaneNow::default() } else { LaneNow::down() };
        // Few enough of each till that none is slowed for what is refused to it.
        let till = format!("till-{}", 1 + n / 20);
        let bytes = if n % 5 == 0 { 9000 } else { 300 };
        let new = NewRedemption { till, ..long(&format!("CODE-{n}"), bytes) };
        let body = new.request.body.to_vec();
        let Decision::Taken(taken) = world.decide(new) else { panic!() };
        let ended = match n % 7 {
            1 => confirmed(),
            2 => declined("no such reward"),
            3 => parked(),
            4 => Ended::Unclear,
            _ => Ended::Clean,
        };
        if world.lane.ask {
            world.settle(taken.seq, 1, ended);
        }
        known.insert(taken.id.to_string(), (world.show(&taken.id).state, body));
    }
    (world, known)
}

fn set_aside(world: &World) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(world.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        path.file_name().unwrap().to_str().unwrap().starts_with("redeemd.db.damaged-")
    });
    found.sort();
    found
}

/// Everything that must hold after a salvage, whatever was damaged; how many rows were lost.
fn check(world: &mut World, known: &Known) -> u64 {
    // What a start does not see in its short look is met when it is read; the writer then does
    // this.
    let reader = world.reader();
    let met = known.keys().find_map(|id| reader.by_id(&Id::parse(id).unwrap()).err());
    drop(reader);
    if let Some(error) = met {
        assert_eq!(error.trouble(), Trouble::Damaged);
        world.report = world.store().rescue(&error.to_string(), &[]).unwrap();
    }
    let salvage = world.report.salvage.clone();
    let (mut kept, mut pending) = (0, 0);
    let reader = world.reader();
    for (id, (state, _)) in known {
        let Some(row) = reader.by_id(&Id::parse(id).unwrap()).unwrap() else { continue };
        kept += 1;
        pending += u64::from(row.state == State::Pending);
        let may = row.state == *state
            || (row.uncertain && matches!(row.state, State::Pending | State::Parked));
        assert!(may, "{id} was {state} and is {}", row.state);
        if salvage.is_some() && row.state == State::Pending {
            assert!(row.uncertain, "{id} is pending and may have been sent");
        }
    }
    drop(reader);
    let lost = known.len() as u64 - kept;
    let counts = world.counts();
    assert!(counts.balance(), "{counts:?}");
    assert_eq!((counts.accepted, counts.pending), (kept, pending));
    if let Some(Salvage { tally, .. }) = salvage {
        assert_eq!((tally.kept, tally.pending), (kept, pending));
        assert!(tally.lost.is_none_or(|told| told == lost), "told {:?}, lost {lost}", tally.lost);
    }
    let claimed = match world.run(&[claim_op()]).remove(0) {
        Ok(rows) => rows,
        Err(error) => {
            assert_eq!(error.trouble(), Trouble::Damaged);
            assert!(world.report.salvage.is_none(), "a second salvage: {error}");
            world.report = world.store().rescue(&error.to_string(), &[]).unwrap();
            return check(world, known);
        }
    };
    for row in claimed {
        let (_, body) = &known[row.id.as_str()];
        assert_eq!(row.body.as_ref(), &body[..], "never other bytes");
    }
    world.lane = LaneNow::down();
    world.take("till-9", "AFTERWARDS");
    world.crash();
    assert!(world.report.salvage.is_none(), "once is enough: {:?}", world.report.salvage);
    lost
}

/// The process ends without a word, something happens to the files, and another process starts.
fn damaged(world: &mut World, damage: impl FnOnce(&mut World)) -> Salvage {
    world.store = None;
    damage(world);
    world.open();
    world.report.salvage.clone().expect("a salvage")
}

pub(crate) fn bytes(world: &World, name: &str) -> Vec<u8> {
    fs::read(world.path().join(name)).unwrap()
}

pub(crate) fn write(world: &World, name: &str, bytes: &[u8]) {
    fs::write(world.path().join(name), bytes).unwrap();
}

/// Changes the database's bytes.
fn spoilt(world: &World, spoil: impl FnOnce(&mut Vec<u8>)) {
    let mut file = bytes(world, FILE);
    spoil(&mut file);
    write(world, FILE, &file);
}

/// A log of this length without any frame, as after a stop in order: what it still held of old
/// frames would save too much.
pub(crate) fn emptied(bytes: usize) -> Vec<u8> {
    let mut log = vec![0; bytes];
    log[..32].copy_from_slice(b"redeemd: all of it is elsewhere.");
    log
}

/// Everything moves into the database; the log holds nothing that is not there too.
pub(crate) fn checkpointed(world: &mut World) {
    world.restart();
    world.store().checkpoint().unwrap();
}

#[test]
fn an_empty_file_is_damage_and_no_first_start() {
    let (mut world, known) = filled(20);
    let salvage = damaged(&mut world, |world| write(world, FILE, b""));
    assert!(salvage.why.contains("empty"), "{salvage}");
    let lost = check(&mut world, &known);
    assert_eq!(lost, 0, "all of it was still in the log");
}

#[test]
fn a_log_without_its_database_gives_up_its_rows() {
    let (mut world, known) = filled(20);
    let salvage = damaged(&mut world, |world| fs::remove_file(world.path().join(FILE)).unwrap());
    assert!(salvage.why.contains("gone"), "{salvage}");
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_with_its_bytes() {
    let mut world = World::new();
    world.store = None;
    fs::remove_file(world.path().join(LOG)).unwrap();
    write(&world, FILE, b"this is a letter to the editor");
    world.open();
    let salvage = world.report.salvage.clone().unwrap();
    assert_eq!(fs::read(&salvage.set_aside).unwrap(), b"this is a letter to the editor");
    assert_eq!((salvage.tally.kept, salvage.tally.lost), (0, None));
    world.take("till-1", "A");
}

#[test]
fn another_programs_database_is_set_aside_with_its_bytes() {
    let mut world = World::new();
    world.store = None;
    for name in [FILE, LOG] {
        fs::remove_file(world.path().join(name)).unwrap();
    }
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    raw.execute_batch("CREATE TABLE song (name TEXT); INSERT INTO song VALUES ('la')").unwrap();
    drop(raw);
    let before = bytes(&world, FILE);
    world.open();
    let salvage = world.report.salvage.clone().unwrap();
    assert!(salvage.why.contains("another program"), "{salvage}");
    assert_eq!(fs::read(&salvage.set_aside).unwrap(), before);
}

#[test]
fn what_is_set_aside_is_byte_for_byte_what_was_found() {
    let (mut world, _) = filled(10);
    world.store = None;
    let file = bytes(&world, FILE)[..99].to_vec();
    write(&world, FILE, &file);
    let log = bytes(&world, LOG);
    world.open();
    let salvage = world.report.salvage.clone().unwrap();
    assert_eq!(fs::read(&salvage.set_aside).unwrap(), file);
    assert_eq!(fs::read(format!("{}-wal", salvage.set_aside.display())).unwrap(), log);
}

#[test]
fn a_first_page_that_a_power_cut_garbled_while_it_was_moved_from_the_log_is_read_there() {
    let (mut world, known) = filled(20);
    world.store().checkpoint().unwrap();
    world.store = None;
    let sound = bytes(&world, FILE);
    for sector in 0..PAGE / 512 {
        let mut file = sound.clone();
        file[sector * 512..][..512].fill(0xa5);
        write(&world, FILE, &file);
        let kept = world.path().join("kept");
        fs::copy(world.path().join(LOG), &kept).unwrap();
        world.open();
        assert!(world.report.salvage.is_none(), "sector {sector}: {:?}", world.report.salvage);
        let reader = world.reader();
        for (id, (state, _)) in &known {
            assert_eq!(reader.by_id(&Id::parse(id).unwrap()).unwrap().unwrap().state, *state);
        }
        drop(reader);
        world.restart();
        assert_eq!(bytes(&world, FILE)[..18], sound[..18], "the next checkpoint mends it");
        world.store = None;
        fs::rename(kept, world.path().join(LOG)).unwrap();
    }
    // The log has lost that page: now it is damage.
    let mut file = sound.clone();
    file[..512].fill(0xa5);
    write(&world, FILE, &file);
    write(&world, LOG, &emptied(bytes(&world, LOG).len()));
    world.open();
    assert!(world.report.salvage.as_ref().unwrap().why.contains("not a database"));
}

#[test]
fn a_missing_log_after_a_crash_is_damage_because_it_held_what_was_acknowledged() {
    let (mut world, _) = filled(10);
    let salvage = damaged(&mut world, |world| fs::remove_file(world.path().join(LOG)).unwrap());
    assert!(salvage.why.contains("log is missing"), "{salvage}");
    world.take("till-1", "AGAIN");
}

#[test]
fn what_only_the_log_holds_survives_a_file_that_was_cut_far_before_it() {
    let mut world = World::new();
    let ops: Vec<Accept> = (0..250).map(|n| accept_op(long(&format!("EARLY-{n}"), 9000))).collect();
    // In parts, each moved before the next: the log stays short beside the file.
    for part in ops.chunks(25) {
        world.run(part);
        world.store().checkpoint().unwrap();
    }
    assert!(bytes(&world, FILE).len() > bytes(&world, LOG).len() + 10 * PAGE);
    checkpointed(&mut world);
    let late = ["X", "Y", "Z"].map(|code| world.take("till-1", code));
    damaged(&mut world, |world| write(world, FILE, &bytes(world, FILE)[..2 * PAGE]));
    for taken in late {
        assert_eq!(
            world.show(&taken.id).state,
            State::Pending,
            "it was acknowledged and is in the log"
        );
    }
}

#[test]
fn a_free_list_that_leads_round_in_a_circle_is_not_followed_for_ever() {
    let (mut world, known) = filled(40);
    checkpointed(&mut world);
    world.store = None;
    let mut file = bytes(&world, FILE);
    let trunk = u32::from_be_bytes(file[32..36].try_into().unwrap()) as usize;
    assert!(trunk > 0, "there are free pages");
    file[36..40].fill(0xff);
    file[(trunk - 1) * PAGE..][..4].copy_from_slice(&u32::try_from(trunk).unwrap().to_be_bytes());
    write(&world, FILE, &file);
    write(&world, LOG, &emptied(bytes(&world, LOG).len()));
    world.open();
    world.report = world.store().rescue("as read", &[]).unwrap();
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn a_log_that_was_cut_short_is_damage_and_what_it_holds_before_the_cut_is_kept() {
    let (mut world, known) = filled(20);
    let cut = 32 + 4120 * usize::try_from(world.store().wal_frames()).unwrap();
    for n in 0..30 {
        world.take("till-8", &format!("BEHIND-{n}"));
    }
    damaged(&mut world, |world| write(world, LOG, &bytes(world, LOG)[..cut]));
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn whatever_overwrote_the_logs_beginning_no_row_behind_it_is_lost_without_a_word() {
    let (mut world, known) = filled(40);
    world.store = None;
    let (file, log) = (bytes(&world, FILE), bytes(&world, LOG));
    for with in [[0; 4], [0xff; 4], *b"news"] {
        for (head, lost_most) in [(4096, 0), (8192, 0), (65_536, 5)] {
            let mut damaged = log.clone();
            damaged[..head].chunks_exact_mut(4).for_each(|four| four.copy_from_slice(&with));
            write(&world, FILE, &file);
            write(&world, LOG, &damaged);
            world.open();
            assert!(world.report.salvage.is_some(), "{with:?} over {head} bytes");
            let lost = check(&mut world, &known);
            assert!(lost <= lost_most, "{with:?} over {head} bytes lost {lost} rows");
            world.store = None;
        }
    }
}

#[test]
fn a_log_in_which_nothing_is_left_is_damage_like_a_missing_one() {
    for header in [0, 32] {
        let (mut world, _) = filled(10);
        let salvage = damaged(&mut world, |world| {
            let mut log = bytes(world, LOG);
            log[header..].fill(0);
            write(world, LOG, &log);
        });
        assert!(salvage.why.contains("overwritten"), "{salvage}");
        assert_eq!(salvage.tally.lost, None, "nobody knows");
    }
}

#[test]
fn a_missing_index_of_the_log_is_no_damage() {
    let (mut world, known) = filled(10);
    world.store = None;
    drop(fs::remove_file(world.path().join("redeemd.db-shm")));
    world.open();
    assert!(world.report.salvage.is_none());
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn a_stale_index_of_the_log_is_no_damage() {
    let (mut world, known) = filled(10);
    world.store = None;
    write(&world, "redeemd.db-shm", &vec![7; 32768]);
    world.open();
    assert!(world.report.salvage.is_none());
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_loses_no_other_row() {
    let (mut world, known) = filled(40);
    world.store = None;
    let (file, log) = (bytes(&world, FILE), bytes(&world, LOG));
    // The part of the log that this process wrote: its frames carry the header's salts.
    let frames = (0..(log.len() - 32) / 4120)
        .take_while(|n| log[32 + n * 4120 + 8..][..8] == log[16..24])
        .count();
    assert!(frames > 100, "{frames}");
    let mut dice = Dice(11);
    for round in 0..12 {
        let mut flipped = log.clone();
        flipped[32 + dice.below(frames - 20) * 4120 + dice.below(4120)] ^= 1 << dice.below(8);
        write(&world, FILE, &file);
        write(&world, LOG, &flipped);
        world.open();
        assert!(world.report.salvage.is_some(), "round {round}");
        assert_eq!(check(&mut world, &known), 0, "round {round}");
        world.store = None;
    }
}

#[test]
fn a_flipped_bit_in_the_logs_header_loses_nothing() {
    let (mut world, known) = filled(20);
    world.store = None;
    let (file, log) = (bytes(&world, FILE), bytes(&world, LOG));
    for at in [1, 6, 10, 17, 22, 25, 31] {
        let mut flipped = log.clone();
        flipped[at] ^= 4;
        write(&world, FILE, &file);
        write(&world, LOG, &flipped);
        world.open();
        assert_eq!(check(&mut world, &known), 0, "byte {at}");
        world.store = None;
    }
}

/// Damages each page in turn and opens; how many rows were lost in all, and how often damage was
/// seen.
fn each_page(
    known: &Known,
    world: &mut World,
    mut damage: impl FnMut(&mut [u8], usize),
) -> (u64, usize) {
    checkpointed(world);
    world.store = None;
    let (file, log) = (bytes(world, FILE), emptied(bytes(world, LOG).len()));
    let (mut lost, mut seen) = (0, 0);
    for page in 0..file.len() / PAGE {
        if file[page * PAGE + 4..][..PAGE - 4].iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut damaged = file.clone();
        damage(&mut damaged[page * PAGE..][..PAGE], page);
        write(world, FILE, &damaged);
        write(world, LOG, &log);
        world.open();
        seen += usize::from(world.report.salvage.is_some());
        let gone = check(world, known);
        assert!(gone < 40, "page {page} cannot have held {gone} rows");
        lost += gone;
        world.store = None;
        for path in set_aside(world) {
            fs::remove_file(path).unwrap();
        }
    }
    (lost, seen)
}

#[test]
fn flipped_bits_in_every_page_lose_at_most_the_rows_that_they_hit() {
    let (mut world, known) = filled(60);
    let mut dice = Dice(5);
    let (lost, seen) = each_page(&known, &mut world, |page, _| {
        for _ in 0..3 {
            page[dice.below(PAGE)] ^= 1 << dice.below(8);
        }
    });
    assert!(seen > 2, "damage was seen {seen} times");
    assert!(lost < 60, "{lost} lost over all rounds");
}

#[test]
fn every_page_overwritten_with_nonsense_loses_at_most_the_rows_that_it_held() {
    let (mut world, known) = filled(30);
    let mut dice = Dice(7);
    let (lost, seen) = each_page(&known, &mut world, |page, _| {
        page.fill_with(|| u8::try_from(dice.below(256)).unwrap());
    });
    assert!(seen > 20, "damage was seen {seen} times");
    // Each row lies on one page: over all rounds it is lost once at most.
    assert!(lost <= 30, "{lost} lost over all rounds");
}

#[test]
fn a_damaged_page_header_loses_nothing_because_rows_prove_themselves() {
    let (mut world, known) = filled(30);
    let (lost, seen) = each_page(&known, &mut world, |page, number| {
        if number > 0 {
            page[..8].fill(0xee);
        }
    });
    assert!(seen > 20, "damage was seen {seen} times");
    assert_eq!(lost, 0);
}

#[test]
fn a_file_cut_at_any_page_keeps_the_rows_before_the_cut() {
    let (mut world, known) = filled(60);
    checkpointed(&mut world);
    world.store = None;
    let (file, log) = (bytes(&world, FILE), emptied(bytes(&world, LOG).len()));
    let (mut lost, mut pages) = (vec![60], 1);
    while pages * PAGE < file.len() {
        write(&world, FILE, &file[..pages * PAGE + 100]);
        write(&world, LOG, &log);
        world.open();
        lost.push(check(&mut world, &known));
        world.store = None;
        pages += 1 + pages / 6;
    }
    assert!(lost.is_sorted_by(|less, more| less >= more), "a later cut loses more: {lost:?}");
    assert!(lost.last() < Some(&40), "a cut near the end leaves most of it: {lost:?}");
}

#[test]
fn a_damaged_version_or_program_number_is_damage_and_loses_nothing() {
    for at in [60, 68, 71] {
        let (mut world, known) = filled(10);
        checkpointed(&mut world);
        world.store = None;
        spoilt(&world, |file| file[at] ^= 0x40);
        drop(fs::remove_file(world.path().join(LOG)));
        world.open();
        assert!(world.report.salvage.is_some(), "byte {at}");
        assert_eq!(check(&mut world, &known), 0, "byte {at}");
    }
}

#[test]
fn the_note_stays_until_the_operator_removes_what_was_set_aside() {
    let (mut world, _) = filled(3);
    let salvage = damaged(&mut world, |world| write(world, FILE, b""));
    let note = world.store().salvage_note().unwrap().unwrap();
    assert_eq!(note, salvage.told());
    let text = note.text(Language::English);
    assert!(
        text.contains(salvage.set_aside.to_str().unwrap())
            && text.contains("3 redemptions were kept"),
        "{text}"
    );
    world.restart();
    assert_eq!(world.store().salvage_note().unwrap().as_ref(), Some(&note));
    for path in set_aside(&world) {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(world.store().salvage_note().unwrap(), None);
}

#[test]
fn rows_that_were_pruned_do_not_come_back() {
    let mut world = World::up();
    let mut known = Known::new();
    for n in 0..80 {
        world.settled("till-1", &format!("OLD-{n}"), confirmed());
    }
    for n in 0..3 {
        world.settled("till-1", &format!("NO-{n}"), declined("no"));
    }
    world.lane = LaneNow::down();
    for n in 0..2 {
        let id = world.take("till-1", &format!("BACK-{n}")).id;
        world.one(Void { id, note: "n".to_owned(), by: "op".to_owned() });
    }
    let kept = world.take("till-1", "NEW");
    known.insert(kept.id.to_string(), (State::Pending, new("till-1", "NEW").request.body.to_vec()));
    world.prune();
    let before = world.counts();
    let tally = world.store().rescue("as read", &[]).unwrap().salvage.unwrap().tally;
    assert_eq!((tally.kept, tally.lost), (1, Some(0)));
    let after = world.counts();
    assert_eq!(
        (after, after.confirmed, after.declined, after.voided),
        (before, 80, 3, 2),
        "lifetime totals go on"
    );
    assert!(world.take("till-1", "NEXT").seq > kept.seq);
}

/// Starts on this file with damage in its first page and nothing in the log.
fn without_first_page(world: &mut World, mut file: Vec<u8>) -> Salvage {
    file[17] = 9;
    write(world, FILE, &file);
    let log =
        fs::metadata(world.path().join(LOG)).map_or(0, |meta| usize::try_from(meta.len()).unwrap());
    write(world, LOG, &emptied(log.max(2 * 1024 * 1024 + 64 * PAGE)));
    world.open();
    world.report.salvage.clone().expect("a salvage")
}

/// Stops in order and damages the header of the page on which a table begins: only rows with a
/// checksum are believed.
fn without_pointers_of(world: &mut World, table: &str) -> Salvage {
    world.store.take().unwrap().close().unwrap();
    let page = (root_of(world, table) - 1) * PAGE;
    let mut file = bytes(world, FILE);
    assert_eq!(file[page], 0x0d, "one page is all of it");
    file[page..][..8].fill(0xee);
    without_first_page(world, file)
}

#[test]
fn rows_without_a_checksum_are_believed_only_where_their_page_leads_to_them() {
    let taken = |world: &mut World| world.settled("till-1", "A", declined("no such reward")).id;
    for (table, lost) in [("answer", Some(0)), ("lane", None), ("meta", None)] {
        let mut world = World::up();
        let id = taken(&mut world);
        assert_eq!(without_pointers_of(&mut world, table).tally.lost, lost, "{table}");
        let answer = world.show(&id).answer.unwrap();
        let said = String::from_utf8(answer.body.to_vec()).unwrap();
        let words = if table == "answer" { "words were lost" } else { "no such reward" };
        assert!(said.contains(words), "{table}: {said}");
        assert_eq!(world.counts().declined, 1);
    }
    let mut world = World::up();
    let id = taken(&mut world);
    world.retry(&id);
    without_pointers_of(&mut world, "event");
    assert!(world.reader().events(world.show(&id).seq).unwrap().is_empty());
}

#[test]
fn books_that_cannot_be_are_not_believed_and_those_that_can_tell_what_was_lost() {
    for (sql, lost) in [
        ("DELETE FROM redemption WHERE seq = 2; DELETE FROM body WHERE seq = 2", Some(1)),
        ("UPDATE lane SET pending = pending + 1", None),
        ("UPDATE lane SET confirmed = -1, accepted = accepted - 1", None),
        ("UPDATE lane SET gone_voided = -1", None),
    ] {
        let mut world = World::new();
        for code in ["A", "B", "C"] {
            world.take("till-1", code);
        }
        behind_its_back(&mut world, sql);
        // A start that cannot read the books has rescued them already.
        let at_start = world.report.salvage.clone();
        let salvage = at_start.or_else(|| world.store().rescue("a test", &[]).unwrap().salvage);
        let tally = salvage.unwrap().tally;
        assert_eq!((tally.kept, tally.lost), (if lost == Some(1) { 2 } else { 3 }, lost), "{sql}");
        assert!(world.counts().balance() && world.counts().accepted == tally.kept);
    }
}

#[test]
fn numbers_that_may_have_been_given_out_are_never_given_again_and_absurd_ones_are_damage() {
    let mut world = World::new();
    world.take("till-1", "A");
    for _ in 0..2 {
        world.store().rescue("a test", &[]).unwrap();
    }
    assert!(
        world.take("till-1", "B").seq.0 > 2000,
        "each rescue passes over what the one before may have given out"
    );
    let mut world = World::new();
    world.take("till-1", "A");
    behind_its_back(&mut world, "UPDATE meta SET seq_floor = 1 << 62");
    world.store.take().unwrap().close().unwrap();
    let file = bytes(&world, FILE);
    without_first_page(&mut world, file);
    assert!(world.take("till-1", "B").seq.0 < 10_000);
}

/// A crash when all of the log had been moved and it had begun anew: its earlier frames lie behind
/// the new ones.
fn with_a_new_round_of_the_log(world: &mut World) {
    checkpointed(world);
    world.store().probe().unwrap();
    world.store = None;
}

#[test]
fn a_row_that_was_damaged_in_its_place_is_found_in_what_the_log_still_has_of_it() {
    let mut world = World::new();
    let taken = ["A", "B", "C"].map(|code| world.take("till-7", code));
    with_a_new_round_of_the_log(&mut world);
    let mut file = bytes(&world, FILE);
    let at = file.windows(6).position(|bytes| bytes == b"till-7").unwrap();
    file[at] ^= 1;
    write(&world, FILE, &file);
    world.open();
    let salvage = world.store().rescue("a test", &[]).unwrap().salvage.unwrap();
    assert_eq!((salvage.tally.kept, salvage.tally.lost), (3, Some(0)), "{salvage}");
    assert!(taken.iter().all(|taken| world.show(&taken.id).till == "till-7"));
}

#[test]
fn rows_that_were_pruned_do_not_come_back_where_the_list_of_free_pages_is_damaged() {
    let mut world = World::up();
    for n in 0..120 {
        world.settled("till-1", &format!("OLD-{n}"), confirmed());
    }
    world.lane = LaneNow::down();
    let kept = world.take("till-1", "NEW");
    world.prune();
    with_a_new_round_of_the_log(&mut world);
    let mut file = bytes(&world, FILE);
    assert!(file[36..40] != [0; 4], "there are free pages");
    file[36..40].fill(0x7f);
    write(&world, FILE, &file);
    world.open();
    let salvage = world.report.salvage.clone().unwrap();
    assert_eq!((salvage.tally.kept, salvage.tally.lost), (1, Some(0)), "{salvage}");
    assert_eq!(world.show(&kept.id).state, State::Pending);
}

/// Sixty pending rows of a till of their own, and pages that pruned rows left free; the file.
fn with_free_pages() -> (World, Vec<u8>) {
    let mut world = World::up();
    for n in 0..120 {
        world.settled("till-1", &format!("OLD-{n}"), confirmed());
    }
    world.lane = LaneNow::down();
    for n in 0..60 {
        world.take("till-keep", &format!("NEW-{n}"));
    }
    world.prune();
    with_a_new_round_of_the_log(&mut world);
    let file = bytes(&world, FILE);
    (world, file)
}

fn leaf_with(file: &[u8], text: &[u8]) -> usize {
    let is_it =
        |page: &&[u8]| page[0] == 0x0d && page.windows(text.len()).any(|bytes| bytes == text);
    file.chunks(PAGE)
        .enumerate()
        .filter(|(_, page)| is_it(page))
        .map(|(at, _)| at + 1)
        .nth(1)
        .unwrap()
}

#[test]
fn a_list_that_calls_a_page_of_redemptions_free_hides_none_of_them() {
    let (mut world, mut file) = with_free_pages();
    let trunk = u32::from_be_bytes(file[32..36].try_into().unwrap()) as usize;
    let at = (trunk - 1) * PAGE;
    assert!(file[at + 4..at + 8] != [0; 4], "it lists pages");
    let leaf = u32::try_from(leaf_with(&file, b"till-keep")).unwrap();
    file[at + 8..at + 12].copy_from_slice(&leaf.to_be_bytes());
    write(&world, FILE, &file);
    world.open();
    let salvage = world.store().rescue("a test", &[]).unwrap().salvage.unwrap();
    assert_eq!((salvage.tally.pending, salvage.tally.lost), (60, Some(0)), "{salvage}");
}

#[test]
fn rows_of_a_page_that_its_tree_does_not_lead_to_any_more_are_kept() {
    for is_list_damaged in [false, true] {
        let (mut world, mut file) = with_free_pages();
        let at = (leaf_with(&file, b"till-keep") - 1) * PAGE;
        file[at..at + 8].fill(0xa5);
        if is_list_damaged {
            file[36..40].fill(0x7f);
        }
        write(&world, FILE, &file);
        world.open();
        let salvage = world.report.salvage.clone();
        let salvage =
            salvage.or_else(|| world.store().rescue("a test", &[]).unwrap().salvage).unwrap();
        assert_eq!((salvage.tally.pending, salvage.tally.lost), (60, Some(0)), "{salvage}");
    }
}

#[test]
fn a_schema_that_is_not_as_it_was_made_is_damage() {
    for sql in [
        "DROP INDEX redemption_key",
        "CREATE TABLE more (a)",
        "ALTER TABLE answer ADD COLUMN more TEXT",
    ] {
        let mut world = World::new();
        let taken = world.take("till-1", "A");
        behind_its_back(&mut world, sql);
        assert!(world.report.salvage.as_ref().unwrap().why.contains("not as it was made"), "{sql}");
        assert_eq!(world.show(&taken.id).state, State::Pending);
    }
}

#[test]
fn a_version_a_little_ahead_is_a_newer_redeemds_and_one_far_ahead_is_damage() {
    let mut world = World::new();
    world.take("till-1", "A");
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    let known: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    drop(raw);
    for (version, is_newer) in [(known + 1, true), (known + 1000, true), (known + 1001, false)] {
        world.store.take().map_or(Ok(()), Store::close).unwrap();
        let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
        raw.pragma_update(None, "user_version", version).unwrap();
        drop(raw);
        match Store::open(world.path()) {
            Err(error) => {
                assert!(
                    is_newer && matches!(error, StoreError::Newer { .. }),
                    "{version}: {error}"
                );
            }
            Ok((_, report)) => assert!(!is_newer && report.salvage.is_some(), "{version}"),
        }
    }
}

#[test]
fn a_start_after_a_crash_looks_at_pages_that_it_does_not_need() {
    let (mut world, known) = filled(20);
    checkpointed(&mut world);
    world.store = None;
    let mut file = bytes(&world, FILE);
    let log = bytes(&world, LOG).len();
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'event_seq'";
    let page: usize = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(raw);
    file[(page - 1) * PAGE..][..8].fill(0xa5);
    write(&world, FILE, &file);
    write(&world, LOG, &emptied(log));
    world.open();
    assert!(world.report.salvage.is_some());
    assert_eq!(check(&mut world, &known), 0);
}

#[test]
fn a_lanes_name_survives_damage_to_either_of_its_copies() {
    let mut world = World::new();
    world.take("till-1", "A");
    checkpointed(&mut world);
    world.store = None;
    let (file, log) = (bytes(&world, FILE), emptied(bytes(&world, LOG).len()));
    let name = LANE.as_bytes();
    let places: Vec<usize> =
        (0..file.len() - name.len()).filter(|at| file[*at..].starts_with(name)).collect();
    assert!(places.len() > 1, "{places:?}");
    for at in places {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        damaged[17] = 9;
        write(&world, FILE, &damaged);
        write(&world, LOG, &log);
        world.open();
        assert!(world.report.salvage.is_some());
        assert_eq!(world.store().counts()[0].0, LANE, "byte {at}");
        assert_eq!(world.claim().len(), 1);
        world.store = None;
    }
}

#[test]
fn what_was_done_to_a_row_and_what_its_link_must_not_forget_survive_damage() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.one(Void {
        id: taken.id.clone(),
        note: "the customer left".to_owned(),
        by: "ann".to_owned(),
    });
    let hold =
        Hold { cause: "operator".to_owned(), detail: "held by ann".to_owned(), since_ms: NOW_MS };
    let wait = WaitMemory { boot_id: "boot".to_owned(), until_ms: 9, left_ms: 8 };
    let memory = LaneMemory {
        hold: Some(hold),
        outage_ms: 7,
        noted_ms: 6,
        noted_trusted: true,
        wait: Some(wait),
        declines: Some("10 declined".to_owned()),
        more: String::new(),
    };
    world.one(Remember { lane: LANE.to_owned(), memory: memory.clone(), streak: Vec::new() });
    let told = |world: &World| {
        let (reader, row) = (world.reader(), world.show(&taken.id));
        let events: Vec<_> =
            reader.events(row.seq).unwrap().into_iter().map(|e| (e.what, e.by, e.detail)).collect();
        (row.state, row.note, events)
    };
    let before = told(&world);
    assert_eq!(before.2.len(), 1);
    let salvage = damaged(&mut world, |world| spoilt(world, |file| file[17] = 9));
    assert_eq!((told(&world), world.store().memory(LANE).unwrap()), (before, memory));
    assert_eq!((salvage.tally.kept, salvage.tally.lost), (1, Some(0)));
    assert!(
        !salvage.to_string().contains("for a person")
            && salvage.to_string().contains("none was lost"),
        "{salvage}"
    );
}

/// Changes rows after an ordered stop, so that no start looks through the file, and as damage
/// would: unchecked.
pub(crate) fn behind_its_back(world: &mut World, sql: &str) {
    world.store.take().unwrap().close().unwrap();
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    raw.pragma_update(None, "ignore_check_constraints", true).unwrap();
    raw.execute_batch(sql).unwrap();
    drop(raw);
    world.open();
}

#[test]
fn no_flipped_bit_makes_one_state_another() {
    let settled = [confirmed(), declined("no such reward"), parked()];
    for (ended, bit) in settled.iter().flat_map(|ended| [1, 2, 4].map(|bit| (ended, bit))) {
        let mut world = World::up();
        let id = world.settled("till-1", "A", ended.clone()).id;
        let before = world.show(&id).state as i64;
        behind_its_back(&mut world, &format!("UPDATE redemption SET state = {}", before ^ bit));
        let error = world.reader().by_id(&id).unwrap_err();
        assert_eq!(error.trouble(), Trouble::Damaged, "{before} with {bit}");
        world.report = world.store().rescue(&error.to_string(), &[]).unwrap();
        let row = world.show(&id);
        assert_eq!((row.state, row.uncertain), (State::Parked, true), "{before} with {bit}");
        assert!(
            row.note.unwrap().text(Language::English).contains("could not be read")
                && world.claim().is_empty()
        );
    }
}

#[test]
fn what_became_of_a_row_and_what_its_till_was_told_outlive_a_rescue() {
    let mut world = World::up();
    let Taken { seq, id: refused, .. } = world.take("till-1", "REFUSED");
    world.one(Conclusion { seq, end: WaitEnd::InVain, withdrawn: false });
    let ours = world.take("till-1", "OURS");
    world.settle(ours.seq, 1, Ended::Unclear);
    world.claim();
    world.settle(ours.seq, 2, declined("it has been used"));
    let plain = world.settled("till-1", "PLAIN", confirmed()).id;
    let parked = world.settled("till-1", "PARKED", parked()).id;
    let told = |world: &World| {
        [&refused, &ours.id, &plain, &parked].map(|id| {
            let row = world.show(id);
            (
                row.state,
                row.duplicate_of_ours,
                row.refused_at_till,
                row.answered_at_till,
                row.uncertain,
            )
        })
    };
    let mut before = told(&world);
    assert!(
        before[0].2 && before[1].1 && before[2].3 && !before[2].1 && !before[2].2,
        "{before:?}"
    );
    world.store().rescue("a test", &[]).unwrap();
    before[0].4 = true;
    assert_eq!(told(&world), before);
}

#[test]
fn a_settled_row_with_a_mark_that_no_redeemd_knows_is_parked_by_a_rescue() {
    let mut world = World::up();
    let id = world.settled("till-1", "A", confirmed()).id;
    behind_its_back(&mut world, "UPDATE redemption SET marks = marks | (1 << 60)");
    world.store().rescue("a test", &[]).unwrap();
    assert_eq!((world.show(&id).state, world.show(&id).uncertain), (State::Parked, true));
}

#[test]
fn a_pending_row_that_seems_settled_is_pending_after_the_rescue() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.settle(taken.seq, 1, Ended::Clean);
    behind_its_back(&mut world, "UPDATE redemption SET state = 1");
    assert_eq!(world.reader().by_id(&taken.id).unwrap_err().trouble(), Trouble::Damaged);
    world.report = world.store().rescue("as read", &[]).unwrap();
    let row = world.show(&taken.id);
    assert_eq!((row.state, row.uncertain), (State::Pending, true));
    assert_eq!(world.claim().len(), 1);
}

#[test]
fn the_recount_and_the_pruning_meet_a_flipped_state_too() {
    let retention = Retention { settled: Duration::ZERO, codes: Duration::ZERO };
    let recount =
        |world: &mut World| world.run(&[Recount { begin: true }]).pop().unwrap().map(drop);
    let prune = |world: &mut World| {
        world.run(&[Prune { retention, after: Seq(0) }]).pop().unwrap().map(drop)
    };
    for work in [&recount as &dyn Fn(&mut World) -> Result<(), StoreError>, &prune] {
        let mut world = World::up();
        let id = world.settled("till-1", "A", parked()).id;
        behind_its_back(&mut world, "UPDATE redemption SET state = 1");
        let error = work(&mut world).unwrap_err();
        assert_eq!(error.trouble(), Trouble::Damaged, "{error}");
        world.store().rescue(&error.to_string(), &[]).unwrap();
        assert_eq!(world.show(&id).state, State::Parked);
    }
}

/// The number of the page on which an index begins.
pub(crate) fn root_of(world: &World, index: &str) -> usize {
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    raw.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [index], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_row_that_its_index_calls_pending_and_that_is_not_is_damage_and_not_passed_over() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.settle(taken.seq, 1, Ended::Clean);
    let other = world.take("till-1", "B");
    world.settle(other.seq, 1, Ended::Clean);
    let stop = |world: &mut World| world.store.take().unwrap().close().unwrap();
    stop(&mut world);
    let page = (root_of(&world, "redemption_pending") - 1) * PAGE;
    let before = bytes(&world, FILE)[page..][..PAGE].to_vec();
    world.open();
    world.claim();
    world.settle(taken.seq, 2, confirmed());
    world.settle(other.seq, 2, Ended::Clean);
    stop(&mut world);
    root_of(&world, "redemption_pending");
    let mut file = bytes(&world, FILE);
    assert_ne!(file[page..][..PAGE], before);
    file[page..][..PAGE].copy_from_slice(&before);
    write(&world, FILE, &file);
    world.open();
    let claim = Claim {
        lane: LANE.to_owned(),
        prefer: Vec::new(),
        after: Seq(0),
        not_from: None,
        except: Vec::new(),
        rows_max: 10,
        body_bytes_max: 1 << 20,
    };
    let error = world.run(std::slice::from_ref(&claim)).pop().unwrap().unwrap_err();
    assert!(
        error.trouble() == Trouble::Damaged && error.to_string().contains("row 1 is not pending"),
        "{error}"
    );
    world.store().rescue(&error.to_string(), &[]).unwrap();
    let sent: Vec<Seq> = world.claim().iter().map(|row| row.seq).collect();
    assert_eq!(sent, [other.seq]);
    let preferred = Claim { prefer: vec![taken.seq, other.seq], ..claim };
    assert!(world.one(preferred).is_empty(), "neither is a fault");
}

#[test]
fn a_row_whose_tag_was_damaged_is_found_by_its_number_and_never_sent() {
    let mut world = World::new();
    let (taken, other) = (world.take("till-1", "A"), world.take("till-1", "B"));
    behind_its_back(&mut world, "UPDATE redemption SET tag = zeroblob(12) WHERE seq = 1");
    let row = world.show(&taken.id);
    assert!(
        row.note.is_some_and(|note| note.text(Language::English).contains("damaged")),
        "shown with a word about it"
    );
    assert_ne!(other.id.seq(), taken.id.seq());
    let sent: Vec<Seq> = world.claim().iter().map(|row| row.seq).collect();
    assert_eq!(sent, [other.seq]);
    assert_eq!(world.show(&taken.id).state, State::Parked);
    let stranger = Id::parse(&format!("{}-00000000000000000000", other.seq.0)).unwrap();
    assert!(
        world.reader().by_id(&stranger).unwrap().is_none(),
        "a sound row answers to its own id alone"
    );
}

#[test]
fn a_settled_row_whose_state_cannot_be_read_is_parked_and_not_sent_again() {
    let mut world = World::up();
    let taken = world.settled("till-1", "A", confirmed());
    checkpointed(&mut world);
    world.store = None;
    let raw = rusqlite::Connection::open(world.path().join(FILE)).unwrap();
    raw.pragma_update(None, "ignore_check_constraints", true).unwrap();
    raw.execute("UPDATE redemption SET state = 9", []).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(raw);
    let salvage = damaged(&mut world, |world| spoilt(world, |file| file[17] = 9));
    assert!(
        salvage.tally.parked == 1 && salvage.to_string().contains("1 parked for a person"),
        "{salvage}"
    );
    let row = world.show(&taken.id);
    assert_eq!((row.state, row.uncertain), (State::Parked, true));
    assert!(
        row.note.unwrap().text(Language::English).contains("could not be read")
            && world.claim().is_empty()
    );
}

#[test]
fn a_look_through_the_file_finds_it_sound_or_damaged_or_gives_way() {
    let (mut world, _) = filled(40);
    checkpointed(&mut world);
    let path = world.path().join(FILE);
    assert_eq!(inspect(&path, || true).unwrap(), Inspection::Sound);
    assert_eq!(inspect(&path, || false).unwrap(), Inspection::GaveWay);
    world.store = None;
    let sound = bytes(&world, FILE);
    write(&world, LOG, &emptied(bytes(&world, LOG).len()));
    let mut pages = sound.clone();
    pages[5 * PAGE..].chunks_mut(PAGE).for_each(|page| page[..8].fill(0xa5));
    let mut schema = sound.clone();
    let words = b"CREATE TABLE lane";
    // The schema has more than one page, and a page may hold an older copy of it besides.
    let places = sound.windows(words.len()).enumerate().filter(|(_, bytes)| bytes == words);
    places.for_each(|(at, _)| schema[at] = b'X');
    for damaged in [pages, schema] {
        write(&world, FILE, &damaged);
        assert_eq!(inspect(&path, || true).unwrap_err().trouble(), Trouble::Damaged);
    }
}

#[test]
fn a_declined_rows_repeat_is_no_success_even_if_the_providers_words_were_lost() {
    let mut world = World::up();
    let taken = world.settled("till-1", "A", declined("no such reward"));
    checkpointed(&mut world);
    world.store = None;
    let mut file = bytes(&world, FILE);
    let at = file.windows(14).position(|bytes| bytes == b"no such reward").unwrap() / PAGE * PAGE;
    file[at..at + PAGE].fill(0xff);
    write(&world, FILE, &file);
    drop(fs::remove_file(world.path().join(LOG)));
    world.open();
    assert!(world.report.salvage.is_some());
    let row = world.show(&taken.id);
    assert_eq!((row.state, row.answer.unwrap().status), (State::Declined, 400));
}

#[test]
fn a_row_whose_body_was_lost_is_parked_and_its_code_stays_guarded() {
    let mut world = World::new();
    let Decision::Taken(taken) = world.decide(long("A", 9000)) else { panic!() };
    checkpointed(&mut world);
    world.store = None;
    let mut file = bytes(&world, FILE);
    for page in
        file.chunks_mut(PAGE).filter(|page| page[10..].windows(64).any(|bytes| bytes == [b'x'; 64]))
    {
        page[500] ^= 1;
    }
    file[60] ^= 1;
    write(&world, FILE, &file);
    drop(fs::remove_file(world.path().join(LOG)));
    world.open();
    assert_eq!(world.report.salvage.clone().unwrap().tally.parked, 1);
    let row = world.show(&taken.id);
    assert_eq!(row.state, State::Parked);
    assert!(row.note.unwrap().text(Language::English).contains("body was lost"));
    assert!(matches!(world.decide(new("till-2", "A")), Decision::Used(_)));
    assert_eq!(world.store().counts()[0].0, LANE);
}

#[test]
fn the_store_goes_on_after_damage_that_is_met_while_it_runs() {
    let (mut world, known) = filled(60);
    let flying = world.claim();
    let flying: Vec<_> = flying.iter().map(|row| (row.seq, row.attempt)).collect();
    world.store().rescue("a test says so", &flying).unwrap();
    let first = flying[0];
    let settled = world.settle(first.0, first.1, confirmed());
    assert!(settled.applied, "the answer to an attempt that was under way counts");
    assert_eq!(world.counts().accepted, known.len() as u64);
    world.take("till-9", "AFTERWARDS");
    world.crash();
    assert!(world.report.salvage.is_none());
}

#[test]
fn a_damaged_file_that_cannot_be_set_aside_is_not_overwritten() {
    let (mut world, _) = filled(5);
    world.store = None;
    let aside = "redeemd.db.damaged-somewhere";
    let (file, finished) = (bytes(&world, FILE), format!("redeemd.db.rescued-{aside}"));
    write(&world, &finished, &file);
    fs::create_dir(world.path().join(aside)).unwrap();
    write(&world, FILE, b"damaged");
    let error = Store::open(world.path()).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert_eq!(
        (bytes(&world, FILE).as_slice(), bytes(&world, &finished)),
        (b"damaged".as_slice(), file)
    );
}

#[test]
fn a_rescue_that_a_power_cut_stopped_half_way_is_gone_on_with() {
    let (mut world, known) = filled(20);
    damaged(&mut world, |world| write(world, FILE, b""));
    let aside = world.report.salvage.clone().unwrap().set_aside;
    let name = aside.file_name().unwrap().to_str().unwrap().to_owned();
    world.store.take().unwrap().close().unwrap();
    let back = |from: &str, to: &str| {
        fs::rename(world.dir.path().join(from), world.dir.path().join(to)).unwrap();
    };
    // As it was before the new database came to its place: once with the damaged one still there,
    // once without.
    for moved in [FILE, LOG, ""] {
        for stale in ["redeemd.db-wal", "redeemd.db-shm"] {
            drop(fs::remove_file(world.dir.path().join(stale)));
        }
        back(FILE, &format!("redeemd.db.rescued-{name}"));
        match moved {
            FILE => back(&name, FILE),
            LOG => back(&format!("{name}-wal"), LOG),
            _ => {}
        }
        let (store, report) = Store::open(world.dir.path()).unwrap();
        assert!(report.salvage.is_none());
        store.close().unwrap();
        assert!(aside.exists() && aside.with_file_name(format!("{name}-wal")).exists(), "{moved}");
    }
    world.open();
    assert_eq!(check(&mut world, &known), 0);
}
