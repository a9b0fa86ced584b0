//! State directories written by released schemas open with every row; see
//! `tests/fixtures/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Seq, State};
use redeemd::store::{
    Acted, Counts, Decision, Ended, FILE, Filter, Found, Header, Import, NewRedemption, Reader,
    Remains, Store, Void,
};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::world::{World, confirmed, declined, new, parked};

const LOG: &str = "redeemd.db-wal";
const ROWS: &str = "rows";
/// The log's header and one frame (sqlite.org/fileformat2.html, section 4).
const WAL_HEADER_BYTES: u64 = 32;
const FRAME_BYTES: u64 = 24 + 4096;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of this build's schema.
fn current() -> PathBuf {
    fixtures().join(format!("schema-{}", Header::new("", String::new()).schema))
}

/// Every row in a line each, in the order in which they were accepted.
fn rows(reader: &Reader) -> String {
    let mut text = String::new();
    for row in reader.list(&Filter { limit: 1000, ..Filter::default() }).unwrap() {
        let said = row.answer.as_ref().map_or("-".to_owned(), |answer| answer.status.to_string());
        let note =
            row.note.as_ref().map_or_else(|| "-".to_owned(), |note| note.text(Language::English));
        let code = row.reward_code.reveal();
        writeln!(text, "{} {} {} {} {code} {said} {note}", row.id, row.state, row.lane, row.till)
            .unwrap();
    }
    text
}

/// A redemption as the day's tills ask for it: for a code that begins so, under a key of the till's
/// own.
fn asked(till: &str, code: &str) -> NewRedemption {
    let key = code.starts_with("KEYED-").then(|| format!("key of {code}"));
    NewRedemption { key, ..new(till, code) }
}

/// Two rows in each state, all in the database file.
fn first_day(world: &mut World) {
    world.lane = LaneNow::default();
    world.settled("till-1", "CONFIRMED-1", confirmed());
    world.settled("till-1", "CONFIRMED-2", confirmed());
    world.settled("till-2", "DECLINED-1", declined("no such reward"));
    world.settled("till-2", "DECLINED-2", declined("it has been used"));
    world.settled("till-1", "PARKED-1", parked());
    world.settled("till-1", "PARKED-2", parked());
    world.lane = LaneNow::down();
    for code in ["VOIDED-1", "VOIDED-2"] {
        let id = world.take("till-3", code).id;
        let voided = world.one(Void { id, note: "taken back".to_owned(), by: "ops".to_owned() });
        assert!(matches!(voided, Acted::Done(_)));
    }
    world.take("till-1", "PENDING-1");
    world.take("till-2", "PENDING-2");
    for code in ["KEYED-1", "KEYED-2"] {
        let decision = world.decide(asked("till-2", code));
        assert!(matches!(decision, Decision::Taken(_)), "{decision:?}");
    }
}

/// What is in the log alone: new rows, and older ones in another state.
fn second_day(world: &mut World) {
    world.take("till-1", "LOGGED-PENDING");
    let attempts = world.claim();
    world.settle(attempts[0].seq, attempts[0].attempt, confirmed());
    world.settle(attempts[1].seq, attempts[1].attempt, Ended::Unclear);
    world.lane = LaneNow::default();
    world.settled("till-2", "LOGGED-CONFIRMED", confirmed());
}

/// Gives back the pages by which the log was made large; the log keeps its size.
fn shrink(dir: &Path) {
    let raw = Connection::open(dir.join(FILE)).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute_batch("VACUUM; PRAGMA wal_checkpoint(PASSIVE);").unwrap();
}

fn write(to: &Path) {
    // Some guards lie in the table, others are still to be brought into it.
    let mut world = World::with_recent_guards(4);
    first_day(&mut world);
    world.store.take().unwrap().close().unwrap();
    shrink(world.path());
    world.open();
    second_day(&mut world);
    fs::create_dir_all(to).unwrap();
    fs::write(to.join(ROWS), rows(&world.reader())).unwrap();
    fs::copy(world.path().join(FILE), to.join(FILE)).unwrap();
    fs::copy(world.path().join(LOG), to.join(LOG)).unwrap();
    let frames = u64::from(world.store().wal_frames());
    let log = fs::OpenOptions::new().write(true).open(to.join(LOG)).unwrap();
    log.set_len(WAL_HEADER_BYTES + frames * FRAME_BYTES).unwrap();
}

fn counted(rows: &str) -> Counts {
    let count = |state: State| {
        rows.lines().filter(|row| row.split(' ').nth(1) == Some(state.as_str())).count() as u64
    };
    Counts {
        accepted: rows.lines().count() as u64,
        pending: count(State::Pending),
        confirmed: count(State::Confirmed),
        declined: count(State::Declined),
        parked: count(State::Parked),
        voided: count(State::Voided),
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [FILE, LOG] {
        fs::copy(from.join(name), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn every_released_schema_opens_with_all_its_rows_and_balanced_books() {
    if std::env::var_os("REDEEMD_WRITE_FIXTURE").is_some() {
        write(&current());
    }
    assert!(
        current().is_dir(),
        "{} is missing: REDEEMD_WRITE_FIXTURE=1 writes it",
        current().display()
    );
    for entry in fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let expected = fs::read_to_string(entry.join(ROWS)).unwrap();
        let mut world = World::with_dir(copy(&entry));
        assert_eq!(
            (world.report.found, world.report.copied.is_some()),
            (Found::Unclean, true),
            "{}",
            entry.display()
        );
        assert_eq!(world.report.salvage, None, "{}", entry.display());
        assert_eq!(rows(&world.reader()), expected, "{}", entry.display());
        let counts = world.counts();
        assert_eq!(counts, counted(&expected), "{}", entry.display());
        assert!(
            [counts.pending, counts.confirmed, counts.declined, counts.parked, counts.voided]
                .iter()
                .all(|n| *n > 1)
        );
        assert_eq!(
            world.claim().len() as u64,
            counts.pending,
            "each can be sent: its checksums fit"
        );
        world.take("till-9", "AFTER-THE-UPGRADE");
        assert!(matches!(world.decide(new("till-9", "PENDING-2")), Decision::Used(_)));
        every_repeat_finds_its_row(&mut world, &expected);
        let migrated = world.report.migrated.as_ref().map(|migrated| (migrated.from, migrated.to));
        let (found, current) = (version_of(&entry), version_of(&current()));
        assert_eq!(migrated, (found != current).then_some((found, current)));
        world.restart();
        assert_eq!(
            (world.report.found, &world.report.migrated),
            (Found::Clean, &None),
            "{}",
            entry.display()
        );
        every_repeat_finds_its_row(&mut world, &expected);
    }
}

fn version_of(fixture: &Path) -> i64 {
    let name = fixture.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("schema-").unwrap().parse().unwrap()
}

/// A till that asks for the same again is told of its own row, and no other till is: the codes are
/// held.
fn every_repeat_finds_its_row(world: &mut World, rows: &str) {
    for row in rows.lines() {
        let [id, state, _, till, code] = row.split(' ').take(5).collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let found = match world.decide(asked(till, code)) {
            Decision::StillPending(taken) => (taken.id.to_string(), State::Pending),
            Decision::Settled(row) => (row.id.to_string(), row.state),
            other => panic!("{row}: {other:?}"),
        };
        assert_eq!((found.0.as_str(), found.1.as_str()), (id, state));
        if ["pending", "confirmed", "parked"].contains(&state) {
            assert!(matches!(world.decide(asked("till-9", code)), Decision::Used(_)), "{row}");
        }
    }
}

#[test]
fn the_open_rows_of_every_released_schema_are_exported_without_its_daemon_and_without_a_change() {
    for entry in fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let counts = counted(&fs::read_to_string(entry.join(ROWS)).unwrap());
        let dir = copy(&entry);
        let remains = Remains::open(dir.path()).unwrap();
        assert_eq!(remains.salvage(), None, "{}", entry.display());
        let page = remains.export(Seq(0), 500).unwrap();
        assert_eq!(
            (page.rows.len() as u64, page.unreadable.len()),
            (counts.pending + counts.parked, 0)
        );
        drop(remains);
        for name in [FILE, LOG] {
            assert_eq!(
                fs::read(dir.path().join(name)).unwrap(),
                fs::read(entry.join(name)).unwrap(),
                "{name}"
            );
        }
        let mut elsewhere = World::new();
        let import = Import {
            rows: page.rows,
            from: "branch-1".to_owned(),
            by: "ops".to_owned(),
            language: Language::English,
        };
        elsewhere.one(import);
        let moved = elsewhere.counts();
        assert_eq!(
            (moved.pending, moved.parked),
            (counts.pending, counts.parked),
            "{}",
            entry.display()
        );
        let rows = fs::read_to_string(entry.join(ROWS)).unwrap();
        let open = |row: &&str| [" pending ", " parked "].iter().any(|state| row.contains(state));
        every_repeat_finds_its_row(
            &mut elsewhere,
            &rows.lines().filter(open).collect::<Vec<_>>().join("\n"),
        );
    }
}

#[test]
fn a_fixtures_log_holds_what_its_database_does_not() {
    let dir = copy(&current());
    fs::remove_file(dir.path().join(LOG)).unwrap();
    let without = Store::open(dir.path())
        .map(|_| rows(&Reader::open(&dir.path().join(FILE)).unwrap()))
        .unwrap();
    let expected = fs::read_to_string(current().join(ROWS)).unwrap();
    assert!(without.lines().count() < expected.lines().count(), "{without}");
}

#[test]
fn an_earlier_versions_log_that_was_lost_after_a_crash_is_damage_and_not_migrated_away() {
    let mut world = World::new();
    world.take("till-1", "A");
    world.crash();
    world.store = None;
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute_batch(
        "DROP TABLE attempt; DROP TABLE till; DROP TABLE held_code; DROP TABLE keep; DROP TABLE \
         tally; DROP TABLE refusal; DROP TABLE checked; DROP TABLE check_share; \
         DROP TABLE worth; DROP TABLE risk; DROP TABLE business; \
         DROP TABLE guard; DROP TABLE guarded; DROP INDEX redemption_key; \
         CREATE INDEX redemption_key ON \
         redemption (key); CREATE INDEX redemption_guard ON redemption (guard); PRAGMA \
         user_version = 1; PRAGMA wal_checkpoint;",
    )
    .unwrap();
    drop(raw);
    fs::remove_file(world.path().join(LOG)).unwrap();
    world.open();
    let salvage = world.report.salvage.as_ref().expect("what was in the log is gone");
    assert!(salvage.why.contains("log is missing"), "{salvage}");
}
