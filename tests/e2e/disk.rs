//! Disks that are full, read-only, slow or broken: nothing acknowledged is lost, nothing
//! unsettleable is sent.

use rusqlite::Connection;

use crate::harness::{
    DATABASE, EDQUOT, EIO, EROFS, Gateway, LOG, Mount, Reply, Shim, Till, Witness, Word, at_once,
    eventually, until,
};
use crate::oracle::Ledger;

fn send(till: &Till, code: &str) -> Result<Reply, String> {
    let body = format!(
        r#"{{"reward_code":"{code}","business_refrence":"B","branch_id":"7","date":"2026-11-23 10:00:00","timestamp":"t"}}"#
    );
    till.try_send("POST", "/redeem", &[], body.as_bytes())
}

/// Redeems `count` codes, each of which is acknowledged.
fn redeem(ledger: &Ledger, gateway: &Gateway, name: &str, count: usize) {
    let till = gateway.till("");
    for n in 0..count {
        assert_eq!(ledger.redeem(&till, &format!("{name}-{n}")), Some(200));
    }
}

/// Returns when intake refuses, in the contract's shape.
fn wait_until_refused(gateway: &Gateway) -> String {
    let till = gateway.till("");
    let mut n = 0;
    let reply = eventually("intake refuses", || {
        n += 1;
        send(&till, &format!("REFUSED-{n}")).ok().filter(|reply| reply.status != 200)
    });
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(gateway.status()["storage"]["ok"], false);
    reply.refusal()
}

fn wait_until_taken(gateway: &Gateway, name: &str) {
    let till = gateway.till("");
    let mut n = 0;
    eventually("intake takes again", || {
        n += 1;
        send(&till, &format!("{name}-{n}")).ok().filter(|reply| reply.status == 200)
    });
    assert_eq!(gateway.status()["storage"]["ok"], true);
}

#[test]
fn the_log_is_made_large_in_advance_where_there_is_room_for_it() {
    for (size, is_large) in [("24m", true), ("7m", false), ("9m", true)] {
        let Some(disk) = Mount::tmpfs_of(size) else { return };
        let provider = Witness::start(1);
        let mut gateway = Gateway::with()
            .lane_at("main", &provider.redeem_url(), "")
            .state_in(&disk.path().join("state"))
            .start();
        for _ in 0..2 {
            let log = std::fs::metadata(gateway.state_dir().join("redeemd.db-wal")).unwrap().len();
            assert_eq!(log >= 2 * 1024 * 1024, is_large, "{size}: {log}");
            gateway.restart();
        }
    }
}

/// A gateway whose state lies on `disk`: the line is cut and `count` redemptions wait.
fn backlogged(disk: &Mount, name: &str, count: usize) -> (Witness, Ledger, Gateway) {
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let gateway = Gateway::behind(&witness).state_in(&disk.path().join("state")).start();
    witness.cut();
    redeem(&ledger, &gateway, name, count);
    (witness, ledger, gateway)
}

#[test]
fn a_full_disk_is_no_good_news_on_the_first_screen() {
    let Some(disk) = Mount::tmpfs() else { return };
    let witness = Witness::start(1);
    let gateway = Gateway::behind(&witness).state_in(&disk.path().join("state")).start();
    disk.fill();
    assert!(wait_until_refused(&gateway).contains("disk is full"));
    for (language, storage, well, nobody) in [
        ("en", "ask again. The disk is full: ", "All is well", "Nobody has to do anything"),
        ("ar", "القرص ممتلئ", "كل شيء على ما يرام", "لا أحد بحاجة"),
    ] {
        let asked = [("accept-language", language)];
        let home = gateway.operators().send("GET", "/", &asked, b"").body;
        assert!(home.contains(storage) && home.contains("datetime="), "{home}");
        assert!(!home.contains(well) && !home.contains(nobody), "{home}");
    }
}

/// With a backlog, `disk` is filled before the line comes back.
fn full_by_others(disk: &Mount) {
    let (mut witness, _, gateway) = backlogged(disk, "BEFORE", 60);
    disk.fill();
    assert!(wait_until_refused(&gateway).contains("disk is full"));
    witness.restore();
    until("the backlog is delivered and settled", || gateway.counts().pending == 0);
    assert_eq!(wait_until_refused(&gateway), wait_until_refused(&gateway));
    disk.empty();
    wait_until_taken(&gateway, "AFTER");
    until("the reserve is there again", || gateway.state_dir().join("reserve").exists());
    for (code, seen) in &witness.notes().codes {
        assert_eq!((seen.taken, seen.keys.len()), (1, 1), "{code}");
    }
}

#[test]
fn a_small_disk_full_of_other_programs_files_stops_intake_alone_and_all_is_well_when_space_returns()
{
    let Some(disk) = Mount::tmpfs() else { return };
    full_by_others(&disk);
}

#[test]
fn an_ext4_full_of_other_programs_files_stops_intake_alone_and_all_is_well_when_space_returns() {
    let Some(disk) = Mount::ext4() else { return };
    full_by_others(&disk);
}

#[test]
fn intake_stops_while_there_is_still_a_little_space_and_settling_needs_no_reserve() {
    let Some(disk) = Mount::tmpfs() else { return };
    let (mut witness, _, gateway) = backlogged(&disk, "BEFORE", 30);
    disk.leave(512 * 1024);
    // A flood would use up the rest before a second is over: the very next request is refused.
    assert!(wait_until_refused(&gateway).contains("disk is full"));
    assert_eq!(gateway.counts().accepted, 30, "it went on for as long as it could write");
    let has_reserve = || gateway.state_dir().join("reserve").exists();
    assert!(has_reserve(), "it was given up before it was needed");
    witness.restore();
    until("the backlog is delivered and settled", || gateway.counts().pending == 0);
    assert!(has_reserve());
    disk.empty();
    wait_until_taken(&gateway, "AFTER");
}

fn full_during_a_drain(disk: &Mount) {
    let (mut witness, _, gateway) = backlogged(disk, "ROW", 600);
    witness.restore();
    gateway.wait_for_counts("the drain has begun", |counts| counts.confirmed > 20);
    disk.fill();
    assert!(gateway.counts().pending > 50, "the drain was over before the disk was full");
    gateway.wait_until_drained();
    assert_eq!(gateway.counts().confirmed, 600);
    disk.empty();
    wait_until_taken(&gateway, "AFTER");
}

#[test]
fn a_small_disk_that_fills_up_during_a_drain_does_not_stop_it() {
    let Some(disk) = Mount::tmpfs() else { return };
    full_during_a_drain(&disk);
}

#[test]
fn an_ext4_that_fills_up_during_a_drain_does_not_stop_it() {
    let Some(disk) = Mount::ext4() else { return };
    full_during_a_drain(&disk);
}

#[test]
fn a_backlog_that_came_in_few_commits_is_settled_in_many_on_a_full_disk() {
    let Some(disk) = Mount::tmpfs() else { return };
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let gateway = Gateway::with()
        .forward(
            "retry_min = \"100ms\"\nretry_max = \"250ms\"\nreconnect_spread \
            = \"0s\"\nmax_in_flight = 1",
        )
        .lane_at("main", &witness.redeem_url(), "")
        .state_in(&disk.path().join("state"))
        .start();
    witness.cut();
    std::thread::scope(|scope| {
        for thread in 0..32 {
            let (ledger, gateway) = (&ledger, &gateway);
            scope.spawn(move || redeem(ledger, gateway, &format!("ROW-{thread}"), 12));
        }
    });
    disk.fill();
    witness.restore();
    gateway.wait_until_drained();
    assert_eq!(gateway.counts().confirmed, 32 * 12);
    assert_eq!(witness.notes().told_used, 0, "something was sent twice");
}

#[test]
fn a_start_on_a_full_disk_delivers_what_is_pending() {
    let Some(disk) = Mount::ext4() else { return };
    let (mut witness, ledger, mut gateway) = backlogged(&disk, "ROW", 60);
    gateway.kill9();
    disk.fill();
    gateway.start();
    wait_until_refused(&gateway);
    witness.restore();
    gateway.wait_until_drained();
    disk.empty();
    wait_until_taken(&gateway, "AFTER");
    ledger.settle_up(&gateway, &witness);
}

#[test]
fn a_file_system_that_turned_read_only_takes_and_sends_nothing_and_a_later_start_has_it_all() {
    let Some(disk) = Mount::ext4() else { return };
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let mut gateway = Gateway::behind(&witness)
        .state_in(&disk.path().join("state"))
        .environment("REDEEMD_LOG", "debug")
        .start();
    witness.cut();
    redeem(&ledger, &gateway, "ROW", 30);
    gateway.wait_for_link("main", "down");
    disk.break_off();
    let till = gateway.till("");
    for n in 0..3 {
        // 503, or nobody there because a sync had failed.
        assert!(
            send(&till, &format!("REFUSED-{n}"))
                .is_ok_and(|reply| reply.status == 503 && !reply.refusal().is_empty())
                || gateway.has_ended()
        );
    }
    witness.restore();
    // The lane tries its rows all the while, and each look at the disk is before a try.
    let looks = |gateway: &mut Gateway| gateway.log().matches("can still not be written").count();
    let before = looks(&mut gateway);
    let has_ended = eventually("the disk is looked at twice more, or the process is gone", || {
        let has_ended = gateway.has_ended();
        (has_ended || looks(&mut gateway) >= before + 2).then_some(has_ended)
    });
    assert!(witness.notes().codes.is_empty(), "what could not be settled was sent");
    if has_ended {
        assert_eq!(gateway.wait_for_end().0.code(), Some(70), "a sync had failed");
    } else {
        gateway.kill9();
    }
    let (status, said) = gateway.start_in_vain();
    assert_eq!(status.code(), Some(73), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    disk.unmount();
    disk.mount().unwrap();
    gateway.start();
    ledger.settle_up(&gateway, &witness).assert_conserved();
}

/// The line is cut, `count` redemptions wait, and the disk is a shim's.
fn shimmed(count: usize) -> (Shim, Witness, Ledger, Gateway) {
    let (shim, mut witness, ledger) = (Shim::build(), Witness::start(1), Ledger::default());
    let gateway = shim.under(Gateway::behind(&witness)).start();
    if count > 0 {
        witness.cut();
        redeem(&ledger, &gateway, "ROW", count);
        gateway.wait_for_link("main", "down");
    }
    (shim, witness, ledger, gateway)
}

/// Returns when the daemon has ended over a failed sync and runs again.
fn restarted_after_a_failed_sync(shim: &Shim, gateway: &mut Gateway) {
    let (status, said) = gateway.wait_for_end();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(shim.get(Word::Failed) > 0);
    shim.set(Word::SyncErrno, 0);
    gateway.start();
}

#[test]
fn after_a_failed_sync_of_the_log_the_process_ends_and_the_next_one_has_all_that_was_acknowledged()
{
    let (shim, mut witness, ledger, mut gateway) = shimmed(20);
    shim.set(Word::Which, LOG);
    shim.set(Word::SyncErrno, EIO);
    let reply = send(&gateway.till(""), "IN-VAIN");
    assert!(reply.as_ref().is_ok_and(|reply| reply.status == 503) || reply.is_err(), "{reply:?}");
    restarted_after_a_failed_sync(&shim, &mut gateway);
    assert!(gateway.counts().pending >= 20);
    witness.restore();
    gateway.wait_until_drained();
    let notes = witness.notes();
    for n in 0..20 {
        let seen = &notes.codes[&format!("ROW-{n}")];
        assert_eq!((seen.taken, seen.keys.len()), (1, 1));
    }
    drop((notes, ledger));
}

#[test]
fn after_a_failed_sync_of_the_database_the_process_ends_before_it_could_lose_its_log() {
    let (shim, mut witness, ledger) = (Shim::build(), Witness::start(1), Ledger::default());
    // Few probes, so that the store is idle: then the log is moved into the database.
    let quiet = Gateway::with()
        .forward("retry_min = \"30s\"\nretry_max = \"60s\"\nreconnect_spread = \"0s\"");
    let mut gateway = shim.under(quiet.lane_at("main", &witness.redeem_url(), "")).start();
    witness.cut();
    redeem(&ledger, &gateway, "ROW", 20);
    shim.set(Word::Which, DATABASE);
    shim.set(Word::SyncErrno, EIO);
    restarted_after_a_failed_sync(&shim, &mut gateway);
    witness.restore();
    ledger.settle_up(&gateway, &witness).assert_conserved();
}

fn unwritable(errno: i32) {
    let (shim, mut witness, ledger, mut gateway) = shimmed(20);
    shim.set(Word::WriteErrno, errno);
    wait_until_refused(&gateway);
    witness.restore();
    let failed = shim.get(Word::Failed);
    until("writing is tried three times more", || shim.get(Word::Failed) >= failed + 3);
    assert!(witness.notes().codes.is_empty(), "what could not be settled was sent");
    wait_until_refused(&gateway);
    assert_eq!(
        gateway.log().matches("the disk cannot be written").count(),
        1,
        "it was believed to be well"
    );
    shim.set(Word::WriteErrno, 0);
    // Tills that knock all the time do not keep it from finding out.
    wait_until_taken(&gateway, "AFTER");
    until("what waited is delivered by itself", || gateway.counts().pending == 0);
    let notes = witness.notes();
    assert!((0..20).all(|n| notes.codes[&format!("ROW-{n}")].taken == 1));
    drop((notes, ledger));
}

#[test]
fn a_disk_that_fails_to_write_stops_intake_and_delivery_until_it_writes_again() {
    unwritable(EIO);
}

#[test]
fn a_disk_that_is_read_only_for_a_while_stops_intake_and_delivery_until_it_writes_again() {
    unwritable(EROFS);
}

#[test]
fn a_quota_that_is_used_up_is_a_full_disk_and_gives_up_the_reserve() {
    let (shim, _witness, _ledger, mut gateway) = shimmed(1);
    let reserve = gateway.state_dir().join("reserve");
    assert!(reserve.exists());
    shim.set(Word::WriteErrno, EDQUOT);
    // The first request meets it.
    let refused = eventually("intake refuses because of it", || {
        Some(wait_until_refused(&gateway)).filter(|why| why.contains("disk is full"))
    });
    assert!(!reserve.exists(), "{refused}");
    let log = gateway.log();
    assert!(!log.contains("the disk cannot be written"), "{log}");
    shim.set(Word::WriteErrno, 0);
    wait_until_taken(&gateway, "AFTER");
    assert!(reserve.exists());
}

#[test]
fn an_answer_that_cannot_be_written_now_is_kept_and_not_asked_for_again() {
    let (shim, witness, ledger, gateway) = shimmed(0);
    redeem(&ledger, &gateway, "FIRST", 1);
    gateway.wait_until_drained();
    // The answer is on its way while the disk fails.
    witness.fail(&[(crate::harness::Fault::Delay, 1000)]);
    let till = gateway.till("");
    std::thread::scope(|scope| {
        scope.spawn(|| send(&till, "LATE"));
        until("the provider has it", || witness.notes().codes.contains_key("LATE"));
        shim.set(Word::WriteErrno, EIO);
    });
    witness.fail(&[]);
    until("the answer could not be written", || gateway.status()["storage"]["ok"] == false);
    shim.set(Word::WriteErrno, 0);
    let counts = gateway.wait_until_drained();
    assert_eq!((counts.confirmed, counts.accepted), (2, 2));
    assert_eq!(witness.notes().told_used, 0, "it was sent again");
}

#[test]
fn on_a_slow_disk_everything_works_and_commits_are_shared() {
    let (shim, witness, ledger, gateway) = shimmed(0);
    shim.set(Word::SyncMs, 20);
    let syncs = shim.get(Word::Syncs);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (ledger, gateway) = (&ledger, &gateway);
            scope.spawn(move || redeem(ledger, gateway, &format!("SLOW-{thread}"), 10));
        }
    });
    let syncs = shim.get(Word::Syncs) - syncs;
    ledger.settle_up(&gateway, &witness).assert_conserved();
    assert!((3..160).contains(&syncs), "160 redemptions took {syncs} syncs");
}

#[test]
fn a_hold_that_was_confirmed_outlives_a_kill_at_that_moment_and_so_does_its_end() {
    let (shim, _witness, _ledger, mut gateway) = shimmed(0);
    shim.set(Word::SyncMs, 300);
    for (action, link) in [("hold", "held"), ("release", "down"), ("hold", "held")] {
        assert_eq!(gateway.command(&[action, "main"]).code, Some(0));
        gateway.restart();
        let lane = gateway.lane("main");
        assert_eq!(lane["link"] == "held", link == "held", "{action}: {lane}");
    }
}

#[test]
fn a_hold_that_a_full_disk_did_not_keep_is_kept_once_there_is_room() {
    let (shim, _witness, _ledger, mut gateway) = shimmed(0);
    shim.set(Word::WriteErrno, EDQUOT);
    gateway.says(&["hold", "main"]);
    assert_eq!(gateway.lane("main")["link"], "held");
    shim.set(Word::WriteErrno, 0);
    let database = Connection::open(gateway.state_dir().join("redeemd.db")).unwrap();
    let kept = || database.query_row("SELECT hold FROM lane", [], |row| row.get::<_, String>(0));
    until("it is kept", || kept().is_ok_and(|cause| cause == "operator"));
    gateway.restart();
    assert_eq!(gateway.lane("main")["link"], "held");
}

/// Statements of the daemon fail that do this, as one does that meets a fault of its own.
const FAULTS: &str = "
    CREATE TRIGGER taken BEFORE INSERT ON redemption WHEN new.code LIKE 'FAILS-%'
        BEGIN SELECT RAISE(ABORT, 'a fault of this statement'); END;
    CREATE TRIGGER ended BEFORE UPDATE OF state ON redemption
        WHEN old.code = 'ROUND-0-TILL-3' AND new.state <> 0
        BEGIN SELECT RAISE(ABORT, 'a fault of this statement'); END;";

#[test]
fn a_statement_that_fails_costs_its_own_redemption_alone_and_the_disk_is_as_good_as_before() {
    let (shim, mut witness, ledger, mut gateway) = shimmed(1);
    let database = Connection::open(gateway.state_dir().join("redeemd.db")).unwrap();
    database.execute_batch(FAULTS).unwrap();
    // Who comes during a sync is of one transaction with the others who do.
    shim.set(Word::SyncMs, 20);
    let syncs = shim.get(Word::Syncs);
    for round in 0..5 {
        at_once(16, |n| {
            let name = if n == 7 { "FAILS" } else { "ROUND" };
            let told = ledger.redeem(&gateway.till(""), &format!("{name}-{round}-TILL-{n}"));
            assert_eq!(told, Some(if n == 7 { 503 } else { 200 }), "{name} {round} {n}");
        });
    }
    let syncs = shim.get(Word::Syncs) - syncs;
    assert!(syncs < 75, "75 redemptions shared no commit: {syncs} syncs");
    shim.set(Word::SyncMs, 0);
    assert_eq!(gateway.status()["storage"]["ok"], true);
    assert!(gateway.log().matches("an operation on the store failed").count() >= 5);
    witness.restore();
    gateway.wait_for_counts("one whose end cannot be kept", |books| books.pending == 1);
    database.execute_batch("DROP TRIGGER taken; DROP TRIGGER ended").unwrap();
    gateway.wait_until_drained();
    assert_eq!(witness.notes().codes["ROUND-0-TILL-3"].came.len(), 1, "its answer was kept");
    gateway.restart();
    assert_eq!(gateway.counts().confirmed, 76, "what was acknowledged, and nothing else");
    ledger.settle_up(&gateway, &witness).assert_conserved();
}
