//! The state directory: one daemon, first starts, copies, versions.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use redeemd::decide::WaitEnd;
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Id, Seq, State};
use redeemd::store::{
    Acted, AskStanding, Checkpointer, Conclusion, Decision, Ended, FILE, Found, Handling, Recount,
    Settlement, Store, StoreError, Taken, Trouble,
};
use rusqlite::Connection;

use crate::world::{World, confirmed, new};

fn names(world: &World) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(world.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_first_start_leaves_the_database_its_log_the_lock_and_the_reserve() {
    let world = World::new();
    assert_eq!(world.report.found, Found::Fresh);
    assert_eq!(
        names(&world),
        ["counterpart", "lock", "redeemd.db", "redeemd.db-shm", "redeemd.db-wal", "reserve"]
    );
    let bytes = |name: &str| world.path().join(name).metadata().unwrap().len();
    assert!(
        bytes("reserve") == 1 << 20 && bytes("redeemd.db-wal") >= 1 << 21,
        "space that settling can count on"
    );
}

#[test]
fn what_a_power_cut_left_of_a_database_in_the_making_hinders_no_start() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["redeemd.db.new", "redeemd.db.new-wal", "redeemd.db.new-journal"] {
        std::fs::write(dir.path().join(name), [7; 5000]).unwrap();
    }
    let world = World::with_dir(dir);
    assert_eq!(world.report.found, Found::Fresh);
    assert_eq!(
        names(&world),
        ["counterpart", "lock", "redeemd.db", "redeemd.db-shm", "redeemd.db-wal", "reserve"]
    );
}

#[test]
fn a_state_directory_named_relatively_can_be_made() {
    let world = World::new();
    let below = world.path().join("deep/er");
    assert!(Store::open(&below).is_ok());
}

#[test]
fn a_second_daemon_is_refused_and_told_who_is_there() {
    let world = World::new();
    let error = Store::open(world.path()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { pid, .. } if *pid == std::process::id().to_string()),
        "{error}"
    );
    assert!(error.to_string().contains(&std::process::id().to_string()));
}

#[test]
fn an_ordered_stop_is_found_clean_and_a_crash_unclean() {
    let mut world = World::new();
    world.restart();
    assert_eq!(world.report.found, Found::Clean);
    world.crash();
    assert_eq!(world.report.found, Found::Unclean);
    assert!(world.report.copied.is_none() && !world.report.unchecked);
    for n in 0..300 {
        world.take("till-1", &format!("CODE-{n}"));
    }
    world.crash();
    assert!(!world.report.unchecked, "a start has time to look through so few");
}

#[test]
fn a_copy_of_the_state_directory_makes_every_pending_row_uncertain_once() {
    let mut world = World::new();
    let taken = [world.take("till-1", "A"), world.take("till-1", "B")];
    world.store = None;
    let copy = tempfile::tempdir().unwrap();
    for name in [FILE, "redeemd.db-wal"] {
        std::fs::copy(world.path().join(name), copy.path().join(name)).unwrap();
    }
    let mut moved = World::with_dir(copy);
    assert_eq!((moved.report.copied.is_some(), moved.report.uncertain), (true, 2));
    assert!(taken.iter().all(|taken| moved.show(&taken.id).uncertain));
    moved.crash();
    assert_eq!((moved.report.copied.is_some(), moved.report.uncertain), (false, 0));
}

#[test]
fn a_database_that_cannot_be_looked_at_is_no_first_start() {
    let mut world = World::new();
    world.store = None;
    let (path, kept) = (world.path().join(FILE), world.path().join("kept"));
    std::fs::rename(&path, &kept).unwrap();
    std::fs::remove_file(world.path().join("redeemd.db-wal")).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let error = Store::open(world.path()).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink(), "nothing was put in its place");
}

#[test]
fn a_backup_that_is_put_back_in_the_same_place_is_a_copy_even_under_the_same_inode() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let (file, backup) = (world.path().join(FILE), tempfile::tempdir().unwrap());
    std::fs::copy(&file, backup.path().join(FILE)).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::copy(backup.path().join(FILE), &file).unwrap();
    world.open();
    assert!(world.report.copied.is_some());
    assert!(world.show(&taken.id).uncertain);
}

#[test]
fn what_is_owed_in_a_copy_is_given_to_nobody_and_waits_for_a_person() {
    let mut world = World::up();
    let asked = ["GIVEN", "HERE"].map(|code| {
        let asked = world.take("till-1", code);
        let end = WaitEnd::InVain;
        world.one(Conclusion { seq: asked.seq, end, withdrawn: false });
        world.one(Settlement::new(asked.seq, 1, confirmed()));
        asked
    });
    let (id, note, by) = (asked[1].id.clone(), "come back tomorrow".to_owned(), "op".to_owned());
    assert!(matches!(world.one(Handling { id, note, free: false, by }), Acted::Done(_)));
    let backup = tempfile::tempdir().unwrap();
    world.store.take().unwrap().close().unwrap();
    std::fs::copy(world.path().join(FILE), backup.path().join(FILE)).unwrap();
    world.open();
    let ask = |world: &mut World| world.decide(new("till-2", "GIVEN"));
    let Decision::Owed(given) = ask(&mut world) else { panic!("once, and here") };
    let mut restored = World::with_dir(backup);
    assert!(restored.report.copied.is_some());
    restored.lane = LaneNow::down();
    assert!(matches!(ask(&mut restored), Decision::Used(_)), "it may have been given since");
    let row = restored.show(&given.id);
    assert!(row.in_vain && !row.owed && row.refused_at_till, "{row:?}");
    assert_eq!(restored.one(AskStanding).lanes[0].waiting, Some(2));
    let page = restored.reader().export(Seq(0), 100).unwrap();
    assert_eq!((page.owed, page.owed_ids.len()), (0, 0), "given in vain is not owed");
    for Taken { seq, id, .. } in asked {
        let row = restored.show(&id);
        assert!(row.waiting && !row.handled && row.in_vain, "also what was seen to: {row:?}");
        let events = restored.reader().events(seq).unwrap();
        let told = events.iter().filter(|event| event.what == "owed_in_copy");
        assert_eq!(told.filter(|event| event.id == Some(id.to_string())).count(), 1);
    }
    let mut counted = restored.one(Recount { begin: true });
    while !counted.finished {
        counted = restored.one(Recount { begin: false });
    }
    assert!(counted.differences.is_empty(), "{:?}", counted.differences);
    restored.crash();
    assert!(matches!(ask(&mut restored), Decision::Used(_)));
}

/// What is in the state directory, by name.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

/// The next start takes the database for a copy, once, and doubts its pending row.
fn is_a_copy(mut world: World, id: &Id) {
    world.open();
    assert!(world.report.copied.is_some() && world.report.salvage.is_none(), "{:?}", world.report);
    assert!(world.show(id).uncertain);
    world.crash();
    assert_eq!(world.report.copied, None);
}

#[test]
fn an_old_copy_that_is_written_into_the_file_is_a_copy() {
    let mut world = World::new();
    let file = world.path().join(FILE);
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let stopped = std::fs::read(&file).unwrap();
    world.open();
    assert_eq!(world.report.copied, None);
    world.store.take().unwrap().close().unwrap();
    std::fs::write(&file, stopped).unwrap();
    is_a_copy(world, &taken.id);
}

#[test]
fn a_copy_that_was_made_while_it_ran_and_is_written_into_the_file_after_the_stop_is_a_copy() {
    let mut world = World::new();
    let file = world.path().join(FILE);
    let taken = world.take("till-1", "A");
    world.store().checkpoint().unwrap();
    // By another process: closing the file here would end the locks of the store.
    let copy = world.path().join("copy");
    assert!(Command::new("cp").args([&file, &copy]).status().unwrap().success());
    world.store.take().unwrap().close().unwrap();
    std::fs::write(&file, std::fs::read(&copy).unwrap()).unwrap();
    is_a_copy(world, &taken.id);
}

#[test]
fn a_whole_old_directory_that_is_written_over_the_new_one_is_a_copy() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let stopped = contents(world.path());
    world.open();
    world.store.take().unwrap().close().unwrap();
    for (name, bytes) in &stopped {
        std::fs::write(world.path().join(name), bytes).unwrap();
    }
    is_a_copy(world, &taken.id);
}

#[test]
fn a_copy_of_a_version_that_wrote_no_counterpart_is_told_and_the_first_start_after_it_is_none() {
    let mut world = World::new();
    let (file, counterpart) = (world.path().join(FILE), world.path().join("counterpart"));
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    Connection::open(&file).unwrap().execute("DELETE FROM keep", []).unwrap();
    std::fs::remove_file(&counterpart).unwrap();
    let before = std::fs::read(&file).unwrap();
    world.open();
    assert_eq!((world.report.copied, counterpart.exists()), (None, true));
    world.store.take().unwrap().close().unwrap();
    std::fs::write(&file, before).unwrap();
    is_a_copy(world, &taken.id);
}

#[test]
fn a_backup_of_the_same_run_that_is_written_into_the_file_after_a_crash_is_a_copy() {
    let mut world = World::new();
    let (file, log) = (world.path().join(FILE), world.path().join("redeemd.db-wal"));
    let taken = world.take("till-1", "A");
    let mut backup = world.reader().backup(world.path()).unwrap();
    world.store = None;
    let mut bytes = Vec::new();
    backup.read_to_end(&mut bytes).unwrap();
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(log).unwrap();
    is_a_copy(world, &taken.id);
}

#[test]
fn rights_links_and_an_emptied_counterpart_make_no_copy_of_what_is_used_here() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let kept = tempfile::tempdir_in(world.path().parent().unwrap()).unwrap();
    let names = [FILE, "redeemd.db-wal", "counterpart"];
    let counterpart = world.path().join("counterpart");
    let rights = |world: &World| {
        for name in names {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
            std::fs::set_permissions(world.path().join(name), mode).unwrap();
        }
    };
    let links = |world: &World| {
        for name in names {
            std::fs::hard_link(world.path().join(name), kept.path().join(name)).unwrap();
        }
    };
    let emptied = |_: &World| std::fs::write(&counterpart, "").unwrap();
    let is_killed = |world: &mut World| world.store = None;
    let is_stopped = |world: &mut World| world.store.take().unwrap().close().unwrap();
    for ends in [is_killed as fn(&mut World), is_stopped] {
        for change in [&rights as &dyn Fn(&World), &links, &emptied] {
            ends(&mut world);
            change(&world);
            world.open();
            assert_eq!(world.report.copied, None);
            assert!(!world.show(&taken.id).uncertain);
        }
        for name in names {
            std::fs::remove_file(kept.path().join(name)).unwrap();
        }
    }
}

/// What INSTALL says to do before the start, where a file system was rolled back.
#[test]
fn a_file_that_is_copied_and_put_in_its_own_place_is_a_copy_and_keeps_what_its_log_holds() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.store = None;
    let in_dir = |command: &str| {
        let mut shell = Command::new("sh");
        assert!(shell.args(["-ec", command]).current_dir(world.path()).status().unwrap().success());
    };
    in_dir("cp -p redeemd.db copy && mv copy redeemd.db");
    is_a_copy(world, &taken.id);
}

#[test]
fn a_state_directory_that_is_renamed_is_no_copy() {
    let above = tempfile::tempdir().unwrap();
    let (there, here) = (above.path().join("there"), above.path().join("here"));
    drop(Store::open(&there).unwrap());
    std::fs::rename(&there, &here).unwrap();
    assert_eq!(Store::open(&here).unwrap().1.copied, None);
}

#[test]
fn a_copy_without_the_log_is_a_copy_and_no_damage() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(world.path().join(FILE), copy.path().join(FILE)).unwrap();
    let moved = World::with_dir(copy);
    assert!(moved.report.copied.is_some() && moved.report.salvage.is_none());
    assert!(moved.show(&taken.id).uncertain);
}

#[test]
fn a_probe_of_the_disk_writes_although_nothing_changes() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let log = || std::fs::read(world.path().join("redeemd.db-wal")).unwrap();
    let mut before = log();
    for _ in 0..2 {
        world.store.as_ref().unwrap().probe().unwrap();
        let after = log();
        assert!(after != before, "nothing was written");
        before = after;
    }
    world.crash();
    assert_eq!((world.show(&taken.id).state, world.counts().accepted), (State::Pending, 1));
}

#[test]
fn a_checkpoint_beside_the_writer_moves_the_log_into_the_database_and_a_paused_one_begins_again() {
    let mut world = World::new();
    let checkpointer = Checkpointer::new(world.store().path());
    for code in ["A", "B", "C", "D"] {
        let taken = world.take("till-1", code);
        if ["A", "B"].contains(&code) {
            checkpointer.run().unwrap();
        } else {
            checkpointer.run_between_commits().unwrap();
        }
        drop(checkpointer.pause());
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(world.path().join(FILE), copy.path().join(FILE)).unwrap();
        let raw = Connection::open(copy.path().join(FILE)).unwrap();
        let found: i64 =
            raw.query_row("SELECT max(seq) FROM redemption", [], |row| row.get(0)).unwrap();
        assert_eq!(found, taken.seq.0, "the file alone has it");
        drop(raw);
        // Reading the file has ended this process's locks on it.
        world.crash();
    }
}

#[test]
fn each_error_is_known_for_what_it_means() {
    let sqlite = |code| {
        StoreError::Sqlite(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    };
    let file =
        |kind: std::io::ErrorKind| StoreError::File { path: FILE.into(), error: kind.into() };
    let table = [
        // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC
        (sqlite(1034), Trouble::Fatal),
        (sqlite(1290), Trouble::Fatal),
        (sqlite(rusqlite::ffi::SQLITE_FULL), Trouble::Full),
        (file(std::io::ErrorKind::StorageFull), Trouble::Full),
        (sqlite(rusqlite::ffi::SQLITE_CORRUPT), Trouble::Damaged),
        (sqlite(rusqlite::ffi::SQLITE_NOTADB), Trouble::Damaged),
        (StoreError::Damaged(String::new()), Trouble::Damaged),
        (sqlite(rusqlite::ffi::SQLITE_IOERR), Trouble::Unwritable),
        (sqlite(rusqlite::ffi::SQLITE_READONLY), Trouble::Unwritable),
        (sqlite(rusqlite::ffi::SQLITE_CANTOPEN), Trouble::Unwritable),
        (file(std::io::ErrorKind::PermissionDenied), Trouble::Unwritable),
        (sqlite(rusqlite::ffi::SQLITE_BUSY), Trouble::Operation),
        (StoreError::Newer { found: 9, known: 1 }, Trouble::Operation),
    ];
    for (error, trouble) in table {
        assert_eq!(error.trouble(), trouble, "{error}");
        let ends = matches!(trouble, Trouble::Damaged | Trouble::Fatal);
        assert_eq!(trouble.ends_the_store(), ends, "{error}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let mut world = World::new();
    world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let path = world.path().join(FILE);
    let raw = Connection::open(&path).unwrap();
    let version: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    raw.pragma_update(None, "user_version", version + 1).unwrap();
    drop(raw);
    let bytes = std::fs::read(&path).unwrap();
    let error = Store::open(world.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("newer"));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!names(&world).iter().any(|name| name.contains("damaged")));
}

#[test]
fn a_bit_flipped_inside_a_stored_body_is_parked_and_never_sent() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let sent = world.claim().pop().unwrap();
    world.settle(sent.seq, sent.attempt, Ended::Unclear);
    world.take("till-1", "B");
    let unsent = world.take("till-1", "C");
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    let body: Vec<u8> =
        raw.query_row("SELECT body FROM body WHERE seq = 1", [], |row| row.get(0)).unwrap();
    let flipped: Vec<u8> =
        body.iter().enumerate().map(|(i, byte)| if i == 20 { byte ^ 4 } else { *byte }).collect();
    raw.execute("UPDATE body SET body = ?1 WHERE seq = 1", [flipped]).unwrap();
    raw.execute("UPDATE body SET body = x'00' WHERE seq = 3", []).unwrap();
    drop(raw);
    world.open();
    let claimed = world.claim();
    assert_eq!(claimed.len(), 1, "the other one is sent");
    for id in [&taken.id, &unsent.id] {
        let row = world.show(id);
        assert_eq!(
            (row.state, row.uncertain),
            (State::Parked, true),
            "its code stays guarded even if it is voided"
        );
        assert!(row.note.unwrap().text(Language::English).contains("checksum"));
    }
}

#[test]
fn a_flipped_column_is_parked_and_never_sent() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.execute("UPDATE redemption SET tag = randomblob(12)", []).unwrap();
    drop(raw);
    world.open();
    assert!(world.claim().is_empty());
    assert_eq!(world.counts().parked, 1);
    assert_eq!(
        world.show(&taken.id).state,
        State::Parked,
        "who asks for it by its id of before is told"
    );
    assert!(
        matches!(world.decide(new("till-2", "A")), redeemd::store::Decision::Used(_)),
        "its code stays guarded"
    );
}

#[test]
fn a_start_removes_what_a_killed_one_left_of_a_copy_and_no_file_of_the_users() {
    let mut world = World::new();
    let (part, own) =
        (world.path().join("redeemd.db.copying"), world.path().join("redeemd.db.backup"));
    for file in [&part, &own] {
        std::fs::write(file, "a part").unwrap();
    }
    world.restart();
    assert!(!part.exists() && own.exists());
    std::fs::write(&part, "a part").unwrap();
    world.reader().backup(world.path()).unwrap();
    assert!(!part.exists() && own.exists());
}
