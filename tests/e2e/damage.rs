//! Files that are not what the daemon wrote: damaged, put back from a copy, changed by one bit.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use redeemd::store::free_bytes;

use crate::harness::{
    Gateway, Mount, Order, Provider, eventually, spoil, until, until_within, within,
};

const DB: &str = "redeemd.db";

/// A gateway whose line is cut, with `count` redemptions pending, stopped in order.
fn stopped_in_an_outage(provider: &Provider, count: usize) -> Gateway {
    let mut gateway = Gateway::before(provider);
    provider.cut();
    for n in 0..count {
        assert_eq!(gateway.till("").redeem(&format!("KEPT-{n}")).state(), "pending");
    }
    assert!(gateway.terminate().success());
    gateway
}

#[test]
fn a_damaged_database_is_set_aside_its_rows_are_delivered_once_and_the_operator_is_told() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 25);
    let damaged = spoil(&gateway.state_dir());
    gateway.start();
    let storage = gateway.status()["storage"].clone();
    let told = storage["detail"].as_str().unwrap();
    assert!(
        storage["ok"] == true && told.contains("25 redemptions were kept, 25 of them pending"),
        "{storage}"
    );
    assert!(gateway.says(&["status"]).contains("set aside"));
    assert!(gateway.log().contains("set aside"), "{}", gateway.log());
    let names = fs::read_dir(gateway.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> =
        names.filter(|path| path.display().to_string().contains("damaged")).collect();
    assert!(aside.iter().any(|path| fs::read(path).unwrap() == damaged), "{aside:?}");
    assert_eq!(gateway.till("").redeem("AFTERWARDS").state(), "pending");
    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.accepted, books.confirmed), (26, 26));
    assert_eq!(provider.summary("codes_taken"), 26);
    provider.assert_one_key_each();
}

/// What a copy that is put back by `put_back` had sent since it was made.
fn restored(put_back: impl Fn(&Path, Vec<u8>)) {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 5);
    let copy = fs::read(gateway.state_dir().join(DB)).unwrap();
    provider.restore();
    gateway.start();
    assert_eq!(gateway.wait_until_drained().confirmed, 5);
    assert!(gateway.terminate().success());
    put_back(&gateway.state_dir(), copy);
    gateway.start();
    assert!(gateway.log().contains("the database is a copy or was restored"), "{}", gateway.log());
    let books = gateway.wait_until_drained();
    // The provider says "already used": ours, or somebody else's since the copy was made. A person
    // has to look.
    assert_eq!((books.parked, books.confirmed, books.declined), (5, 0, 0));
    assert!(
        gateway
            .list("parked")
            .iter()
            .all(|row| row["note"].as_str().is_some_and(|note| !note.is_empty()))
    );
    assert_eq!(provider.summary("codes_taken"), 5);
    provider.assert_one_key_each();
}

#[test]
fn what_a_restored_copy_had_sent_is_parked_under_the_same_keys_and_never_declined() {
    restored(|dir, copy| {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() {
                fs::remove_file(entry).unwrap();
            }
        }
        fs::write(dir.join(DB), copy).unwrap();
    });
}

#[test]
fn what_an_old_copy_that_was_written_into_the_file_had_sent_is_parked_and_never_declined() {
    restored(|dir, copy| fs::write(dir.join(DB), copy).unwrap());
}

#[test]
fn a_bit_flipped_inside_a_stored_body_parks_that_redemption_alone_and_it_is_never_sent() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 3);
    let raw = Connection::open(gateway.state_dir().join(DB)).unwrap();
    let mut body: Vec<u8> =
        raw.query_row("SELECT body FROM body WHERE seq = 2", [], |row| row.get(0)).unwrap();
    body[20] ^= 4;
    raw.execute("UPDATE body SET body = ?1 WHERE seq = 2", [body]).unwrap();
    drop(raw);
    provider.restore();
    gateway.start();
    let books = gateway.wait_until_drained();
    assert_eq!((books.confirmed, books.parked), (2, 1));
    let parked = gateway.list("parked");
    assert!(parked[0]["note"].as_str().unwrap().contains("checksum"), "{parked:?}");
    assert_eq!(provider.summary("codes_taken"), 2);
    assert!(provider.requests_for("KEPT-1").is_empty());
}

#[test]
fn a_redemption_that_was_found_damaged_is_told_in_the_log_each_time_it_is_parked() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 2);
    let raw = Connection::open(gateway.state_dir().join(DB)).unwrap();
    raw.execute("UPDATE body SET body = x'00' WHERE seq = 1", []).unwrap();
    drop(raw);
    provider.restore();
    gateway.start();
    assert_eq!(gateway.wait_until_drained().parked, 1);
    let id = gateway.list("parked")[0]["id"].as_str().unwrap().to_owned();
    let line =
        format!("{id} is parked (lane main): the stored redemption is damaged, it was not sent");
    assert_eq!(gateway.log().matches(&line).count(), 1, "{}", gateway.log());
    gateway.says(&["retry", &id]);
    until("it is parked again", || gateway.log().matches(&line).count() == 2);
    assert!(provider.requests_for("KEPT-0").is_empty());
}

/// Turns bits of each copy of a row's code that lies in the file, behind its business.
fn flip(gateway: &Gateway, code: &str, bits: &[(usize, u8)]) {
    let path = gateway.state_dir().join(DB);
    let raw = Connection::open(&path).unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let business: String =
        raw.query_row("SELECT business FROM redemption LIMIT 1", [], |row| row.get(0)).unwrap();
    drop(raw);
    let mut file = fs::read(&path).unwrap();
    let text = format!("{business}{code}");
    let places = (0..file.len() - text.len()).filter(|at| file[*at..].starts_with(text.as_bytes()));
    let places: Vec<usize> = places.map(|at| at + business.len()).collect();
    assert!(!places.is_empty(), "the row is not in the file");
    for (at, (offset, bit)) in places.iter().flat_map(|at| bits.iter().map(move |b| (at, b))) {
        file[at + offset] ^= bit;
    }
    fs::write(&path, file).unwrap();
}

/// How often the running daemon salvaged its database.
fn salvages(gateway: &mut Gateway) -> usize {
    gateway.log().matches("its rows are salvaged into a new one").count()
}

/// Another redemption of a code than the one that the outage began with.
fn asked_once_more(gateway: &Gateway, code: &str) -> u16 {
    gateway.till("").order(&Order::new(code).with("timestamp", "2")).status
}

#[test]
fn a_code_that_one_flipped_bit_changed_in_its_row_is_given_once_and_the_bit_is_put_right() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 3);
    gateway.start();
    gateway.says(&["hold"]);
    assert!(gateway.terminate().success());
    flip(&gateway, "KEPT-1", &[(5, 2)]);
    gateway.start();
    assert!(!gateway.log().contains("set aside"), "the start saw it: {}", gateway.log());
    assert_eq!(asked_once_more(&gateway, "KEPT-1"), 400, "it is used");
    let told = gateway.status()["storage"]["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("1 with a flipped bit that was put right"), "{told}");
    assert_eq!(salvages(&mut gateway), 1);
    provider.restore();
    gateway.says(&["release"]);
    assert_eq!(gateway.wait_until_drained().confirmed, 3);
    assert_eq!(provider.summary("codes_taken"), 3);
    provider.assert_one_key_each();
}

#[test]
fn a_row_that_many_flipped_bits_changed_is_a_persons_and_the_database_is_set_aside_once() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 3);
    flip(&gateway, "KEPT-1", &[(0, 7), (1, 1), (5, 6)]);
    provider.restore();
    gateway.start();
    let books = gateway.wait_until_drained();
    assert_eq!((books.confirmed, books.parked), (2, 1));
    assert_eq!(salvages(&mut gateway), 1, "{}", gateway.log());
    assert!(provider.requests_for("KEPT-1").is_empty());
    let parked = gateway.list("parked");
    assert!(parked[0]["note"].as_str().unwrap().contains("its row was lost"), "{parked:?}");
    provider.cut();
    assert_eq!(asked_once_more(&gateway, "KEPT-1"), 400, "its body holds the code");
    assert_eq!(gateway.till("").redeem("AFTERWARDS").state(), "pending");
    gateway.says(&["retry", parked[0]["id"].as_str().unwrap()]);
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 4);
    assert_eq!(salvages(&mut gateway), 1, "{}", gateway.log());
}

#[test]
fn a_notice_ends_when_the_files_that_it_names_are_removed_though_nothing_is_asked() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 3);
    spoil(&gateway.state_dir());
    gateway.start();
    gateway.says(&["hold"]);
    let told = || gateway.status()["storage"]["detail"].as_str().unwrap().to_owned();
    let (_, after) = told().split_once("set aside as the files ").map(owned).unwrap();
    let named = after.split_once("*;").unwrap().0;
    for entry in fs::read_dir(gateway.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().starts_with(named) {
            fs::remove_file(&path).unwrap();
        }
    }
    until_within(Duration::from_secs(30), "the notice ends", || told().is_empty());
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

#[test]
fn how_many_redemptions_a_salvage_lost_is_told_by_status_and_console() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 3);
    let database = gateway.state_dir().join(DB);
    let log = gateway.state_dir().join("redeemd.db-wal");
    let mut emptied = fs::read(&log).unwrap();
    emptied[32..].fill(0);
    let raw = Connection::open(&database).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name IN ('redemption', 'body')";
    let mut statement = raw.prepare(sql).unwrap();
    let pages: Vec<u64> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(statement);
    drop(raw);
    // Each table is one page yet: with both, and with the log's older copies, all is lost.
    fs::write(&log, emptied).unwrap();
    let file = fs::File::options().write(true).open(&database).unwrap();
    for page in pages {
        file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).unwrap();
    }
    gateway.start();
    let told = |gateway: &Gateway| gateway.status()["storage"]["detail"].to_string();
    until("the damage is met", || told(&gateway).contains("set aside"));
    assert!(told(&gateway).contains("3 were lost"), "{}", told(&gateway));
    assert!(gateway.says(&["status"]).contains("3 were lost"));
    let home = gateway.operators().send("GET", "/", &[], b"").body;
    assert!(home.contains("3 were lost"), "{home}");
}

/// A gateway on `disk`, stopped in an outage with 450 redemptions of a page each, then damaged; the
/// damaged bytes.
fn damaged_on(disk: &Mount, provider: &Provider) -> (Gateway, Vec<u8>) {
    let mut gateway =
        Gateway::with().lane("main", provider, "").state_in(&disk.path().join("state")).start();
    provider.cut();
    for n in 0..450 {
        let order = Order::new(&format!("KEPT-{n}")).with("more", "x".repeat(3_500));
        assert_eq!(gateway.till("").order(&order).state(), "pending");
    }
    assert!(gateway.terminate().success());
    let damaged = spoil(&gateway.state_dir());
    (gateway, damaged)
}

#[test]
fn a_damaged_database_on_a_disk_without_space_for_another_is_left_as_it_is_until_there_is() {
    let Some(disk) = Mount::tmpfs_of("24m") else { return };
    let provider = Provider::start();
    let (mut gateway, damaged) = damaged_on(&disk, &provider);
    disk.fill();
    let (status, said) = gateway.start_in_vain();
    let log = fs::metadata(gateway.state_dir().join("redeemd.db-wal")).unwrap().len();
    let needed = format!(
        "no space for a new one: free about {} bytes",
        damaged.len() as u64 + log + 512 * 1024
    );
    assert!(!status.success() && said.contains(&needed), "{needed}: {status} {said}");
    assert!(fs::read(gateway.state_dir().join(DB)).unwrap() == damaged, "it was touched");
    disk.empty();
    gateway.start();
    let books = gateway.counts();
    assert_eq!((books.accepted, books.pending), (450, 450));
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 450);
}

#[test]
fn a_rescue_takes_the_reserve_where_nothing_else_is_left() {
    let Some(disk) = Mount::tmpfs_of("24m") else { return };
    let provider = Provider::start();
    let (mut gateway, damaged) = damaged_on(&disk, &provider);
    let reserve = gateway.state_dir().join("reserve");
    assert!(reserve.exists());
    disk.leave(damaged.len() as u64 - 256 * 1024);
    gateway.start();
    assert!(!reserve.exists() && gateway.counts().pending == 450);
    disk.empty();
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 450);
}

#[test]
fn whatever_space_is_left_a_rescue_refuses_or_leaves_a_gateway_that_delivers() {
    let Some(disk) = Mount::tmpfs_of("24m") else { return };
    let provider = Provider::start();
    let (mut gateway, damaged) = damaged_on(&disk, &provider);
    let log = fs::read(gateway.state_dir().join("redeemd.db-wal")).unwrap();
    let (mut refused, mut tight) = (0, 0);
    for spared in (0..=20).map(|step| step * 64 * 1024) {
        for entry in fs::read_dir(gateway.state_dir()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(gateway.state_dir().join(DB), &damaged).unwrap();
        fs::write(gateway.state_dir().join("redeemd.db-wal"), &log).unwrap();
        disk.leave(damaged.len() as u64 - 512 * 1024 + spared);
        provider.restore();
        gateway.launch();
        let ready =
            || gateway.is_ready().then_some(true).or_else(|| gateway.has_ended().then_some(false));
        if !eventually("it is ready or has refused", ready) {
            let (status, said) = gateway.wait_for_end();
            assert!(!status.success() && said.contains("no space for a new one"), "{said}");
            refused += 1;
            continue;
        }
        tight += u32::from(free_bytes(disk.path()) < 1024 * 1024);
        assert_eq!(gateway.wait_until_drained().confirmed, 450, "{spared} bytes spared");
        assert!(gateway.terminate().success());
    }
    assert!(refused > 2 && tight > 2, "{refused} refused, {tight} started in a tight place");
}

#[test]
fn books_that_do_not_fit_their_rows_are_found_by_the_recount_in_the_background_and_told() {
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 2);
    let raw = Connection::open(gateway.state_dir().join(DB)).unwrap();
    raw.execute("UPDATE lane SET pending = pending + 1, accepted = accepted + 1", []).unwrap();
    drop(raw);
    gateway.start();
    let told = || {
        let storage = gateway.status()["storage"].clone();
        storage["detail"]
            .as_str()
            .unwrap()
            .contains("the books say 3 pending, the rows 2")
            .then_some(storage)
    };
    let storage = within(Duration::from_secs(50), "the recount is through", told);
    assert_eq!(storage["ok"], true, "deliveries go on");
}

#[test]
fn a_code_that_a_flipped_bit_hid_from_its_index_is_held_again_before_long_and_the_operator_is_told()
{
    let provider = Provider::start();
    let mut gateway = stopped_in_an_outage(&provider, 1);
    let database = gateway.state_dir().join(DB);
    let raw = Connection::open(&database).unwrap();
    // The row's guard went into the table, where flipped bits changed it.
    let (flip, upto) = ("INSERT INTO guard SELECT guard | 1, 9 FROM redemption", 1i64);
    raw.execute(flip, []).unwrap();
    let crc = crc32c::crc32c(&upto.to_le_bytes());
    raw.execute("UPDATE guarded SET upto = ?1, crc = ?2", (upto, crc)).unwrap();
    drop(raw);
    gateway.start();
    assert!(!gateway.log().contains("set aside"), "the start saw it: {}", gateway.log());
    let told = || {
        let storage = gateway.status()["storage"].clone();
        storage["detail"]
            .as_str()
            .unwrap()
            .contains("guard does not lead to row 1")
            .then_some(storage)
    };
    let storage = within(Duration::from_secs(50), "the recount is through", told);
    assert!(storage.to_string().contains("1 redemption was kept, 1 of them pending"), "{storage}");
    assert_eq!(gateway.till("").redeem("KEPT-0").state(), "pending", "a repeat is found");
    assert_eq!(
        gateway.till("").order(&Order::new("KEPT-0").with("timestamp", "2")).status,
        400,
        "no other is taken"
    );
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 1);
}
