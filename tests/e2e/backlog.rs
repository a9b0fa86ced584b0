//! Long outages: a big backlog at the start, a stop in the middle of its drain, a reader that does
//! not go away.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use redeemd::clock::Clock;
use redeemd::limits::LaneNow;
use redeemd::settings::Offline;
use redeemd::store::{Accept, NewRedemption, Store, Surroundings, inspect};
use redeemd::value::Amount;

use crate::harness::{
    Fault, Gateway, Order, Provider, Witness, at_once, spoil, until, until_within, within,
};
use crate::oracle::Ledger;

/// A long outage's rows: a million where there is time, `make torture`.
fn many() -> usize {
    if is_long_run() { 1_000_000 } else { 25_000 }
}

fn is_long_run() -> bool {
    std::env::var_os("REDEEMD_TORTURE").is_some()
}

/// The longest log without a reader: 36 MiB, and what is written while it is moved.
const LOG_BYTES_MAX: u64 = 48 * 1024 * 1024;
/// An ordinary day's.
const FEW: usize = 1_000;
/// A start with a million rows, on a busy machine.
const READY_MAX: Duration = Duration::from_secs(3);
/// How long a stop may take: `TimeoutStopSec=` of the unit is longer.
const STOP_MAX: Duration = Duration::from_secs(15);
/// So many rows that a start's look of 200 ms does not get through them.
const UNSEEN: usize = 1_500_000;
/// A start after an unclean stop looks at the database for so long.
const LOOK_AT_START: Duration = Duration::from_millis(200);
const PAGE_BYTES: usize = 4096;
/// What no page begins with.
const SPOILT: [u8; 8] = [0xa5; 8];
/// How long a salvage may take before it counts as never; what it takes is printed.
const SALVAGE_MAX: Duration = Duration::from_secs(900);

/// Puts `rows` redemptions into a stopped gateway's store, through the store's own door.
fn fill(gateway: &Gateway, rows: usize) {
    let (mut store, _) = Store::open(&gateway.state_dir()).unwrap();
    let offline = Offline {
        max_pending: u64::MAX,
        max_pending_per_till: u64::MAX,
        max_outage: Duration::MAX,
        max_exposure: Amount(i64::MAX),
        max_per_hour_per_till: u64::MAX,
        ..Offline::default()
    };
    let around = Surroundings::new(Clock::system().stamp(), &offline, &|_| LaneNow::down());
    let op = |n: usize| {
        let request =
            redeemd::contract::parse(Order::new(&format!("ROW-{n}")).body().into_bytes().into())
                .unwrap();
        let new = NewRedemption {
            till: "anonymous".to_owned(),
            key: None,
            lane: "main".to_owned(),
            request,
        };
        Accept::once(new)
    };
    for batch in (0..rows).collect::<Vec<_>>().chunks(2_000) {
        let ops = batch.iter().map(|n| op(*n));
        assert!(store.perform_all(ops, &around).iter().all(Result::is_ok));
        store.checkpoint().unwrap();
    }
    store.close().unwrap();
}

fn resident_kib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The quickest of some starts to ready, and the resident memory after being asked everything.
fn start_with(rows: usize) -> (Duration, u64) {
    let mut witness = Witness::start(1);
    witness.cut();
    let lane = Gateway::behind(&witness).offline("max_pending = 2000000");
    let mut gateway = lane.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    fill(&gateway, rows);
    let mut quickest = Duration::MAX;
    for _ in 0..4 {
        let began = Instant::now();
        gateway.start();
        quickest = quickest.min(began.elapsed());
        gateway.kill9();
    }
    gateway.start();
    gateway.wait_for_link("main", "down");
    assert_eq!(gateway.counts().pending, rows as u64);
    for n in 0..50 {
        assert_eq!(gateway.till("").redeem(&format!("NEW-{n}")).state(), "pending");
        let page = gateway.admin("GET", "/api/v1/redemptions?state=pending&limit=100", "");
        assert_eq!(page.json()["redemptions"].as_array().unwrap().len(), 100);
    }
    let resident = resident_kib(gateway.pid());
    println!("{rows} rows: ready in {quickest:?}, {resident} KiB resident");
    (quickest, resident)
}

#[test]
fn a_long_outages_rows_are_ready_as_soon_as_a_thousand_and_take_no_more_memory() {
    let (few, many) = (start_with(FEW), start_with(many()));
    // The rows behind the table of guards are read, some ten thousands however many there are. A
    // million take a second of a build that is not optimised on a busy machine, and would take
    // several if each of them were read.
    let most = if is_long_run() { READY_MAX } else { few.0 * 5 + Duration::from_millis(50) };
    assert!(many.0 < most, "{many:?} beside {few:?}");
    assert!(many.1 < few.1 * 5 / 4, "{many:?} beside {few:?}");
}

/// Damages the first page of a database of `rows` pending redemptions; how long the next start took
/// to ready, and its peak memory in KiB.
fn salvage_of(rows: usize) -> (Duration, u64) {
    let mut witness = Witness::start(1);
    witness.cut();
    let mut gateway = Gateway::behind(&witness).stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    fill(&gateway, rows);
    spoil(&gateway.state_dir());
    let began = Instant::now();
    gateway.launch();
    until_within(SALVAGE_MAX, "the gateway is ready", || gateway.is_ready());
    let (took, peak) = (began.elapsed(), status_kib(gateway.pid(), "VmHWM:"));
    let counts = gateway.counts();
    assert_eq!(
        (counts.pending, counts.parked, counts.accepted),
        (rows as u64, 0, rows as u64),
        "{counts:?}"
    );
    let note = gateway.status()["storage"].to_string();
    println!("{rows} rows salvaged in {took:?}, {peak} KiB at its peak: {note}");
    (took, peak)
}

#[test]
#[ignore = "a million rows take minutes to write and to salvage; `make torture` runs it"]
fn a_million_rows_behind_a_damaged_first_page_are_all_salvaged_in_the_memory_of_few() {
    let (few, many) = (salvage_of(50_000), salvage_of(1_000_000));
    assert!(many.1 < few.1 * 2, "{many:?} beside {few:?}");
}

/// Where a leaf in the middle of each tree begins in the file, in bytes.
fn middle_leaves(database: &Path) -> Vec<u64> {
    let raw = rusqlite::Connection::open(database).unwrap();
    let mut statement =
        raw.prepare("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0").unwrap();
    let roots: Vec<usize> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let file = std::fs::read(database).unwrap();
    let number = |at: usize, bytes: usize| {
        file[at..at + bytes].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let leaf_under = |mut page: usize| loop {
        let at = (page - 1) * PAGE_BYTES;
        match file[at] {
            0x0a | 0x0d => return at as u64,
            _ => page = number(at + number(at + 12 + number(at + 3, 2) / 2 * 2, 2), 4),
        }
    };
    roots.into_iter().map(leaf_under).collect()
}

/// How long a look takes to find the header of a page damaged; none when it does not, for the log
/// has a sound copy.
fn found_after(database: &Path, page: u64) -> Option<Duration> {
    let file = std::fs::File::options().read(true).write(true).open(database).unwrap();
    let mut before = [0; 8];
    file.read_exact_at(&mut before, page).unwrap();
    file.write_all_at(&SPOILT, page).unwrap();
    let began = Instant::now();
    let found = inspect(database, || true).is_err();
    file.write_all_at(&before, page).unwrap();
    found.then(|| began.elapsed())
}

/// Damages the header of that one of these pages, whose rows prove themselves, that a look comes to
/// last.
fn damage_unseen(database: &Path, pages: &[u64]) {
    let (took, last) =
        pages.iter().filter_map(|page| Some((found_after(database, *page)?, *page))).max().unwrap();
    assert!(took > LOOK_AT_START, "a look of {took:?} sees every page");
    std::fs::File::options()
        .write(true)
        .open(database)
        .unwrap()
        .write_all_at(&SPOILT, last)
        .unwrap();
}

#[test]
#[ignore = "its rows take long to write, to look through and to salvage; `make torture` runs it"]
fn damage_that_a_start_had_no_time_to_see_is_found_in_the_background_and_rescued_while_it_runs() {
    let mut witness = Witness::start(1);
    witness.cut();
    // A link that is tried many times a second fills the log, and the look gives way to that.
    let gateway = Gateway::with()
        .forward("retry_min = \"30s\"\nretry_max = \"60s\"\nreconnect_spread = \"0s\"");
    let lane = gateway.lane_at("main", &witness.redeem_url(), "").offline("max_pending = 2000000");
    let mut gateway = lane.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    fill(&gateway, UNSEEN);
    let database = gateway.state_dir().join("redeemd.db");
    let pages = middle_leaves(&database);
    gateway.start();
    gateway.kill9();
    damage_unseen(&database, &pages);
    gateway.start();
    assert!(!gateway.log().contains("set aside"), "the start saw it: {}", gateway.log());
    let told = || {
        gateway.status()["storage"]["detail"]
            .as_str()
            .filter(|told| told.contains("kept"))
            .map(str::to_owned)
    };
    let told = within(SALVAGE_MAX, "the damage is found and rescued", told);
    let kept: String = told.chars().filter(|c| *c != ',').collect();
    let all = format!("{UNSEEN} redemptions were kept");
    assert!(kept.contains(&all), "{told}");
    assert_eq!(gateway.till("").redeem("AFTERWARDS").state(), "pending");
    assert_eq!(gateway.counts().pending, UNSEEN as u64 + 1);
}

/// Puts a copy in the place of a database of `rows` pending redemptions; the next start's peak
/// memory in KiB.
fn start_on_a_copy_of(rows: usize) -> u64 {
    let mut witness = Witness::start(1);
    witness.cut();
    let mut gateway = Gateway::behind(&witness).stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    fill(&gateway, rows);
    let (database, copy) =
        (gateway.state_dir().join("redeemd.db"), gateway.state_dir().join("copy"));
    std::fs::copy(&database, &copy).unwrap();
    std::fs::rename(&copy, &database).unwrap();
    let began = Instant::now();
    gateway.launch();
    until_within(SALVAGE_MAX, "the gateway is ready", || gateway.is_ready());
    let (took, peak) = (began.elapsed(), status_kib(gateway.pid(), "VmHWM:"));
    println!("{rows} rows of a copy put in doubt in {took:?}, {peak} KiB at its peak");
    let newest = format!("/api/v1/redemptions?state=pending&after={}", rows - 1);
    let reply = gateway.operators().send("GET", &newest, &[], b"").json();
    assert_eq!(
        (gateway.counts().pending, &reply["redemptions"][0]["uncertain"]),
        (rows as u64, &true.into()),
        "{reply}"
    );
    peak
}

#[test]
#[ignore = "a million rows take a minute to write; `make torture` runs it"]
fn a_million_rows_of_a_copy_are_put_in_doubt_in_the_memory_of_few() {
    let (few, many) = (start_on_a_copy_of(50_000), start_on_a_copy_of(1_000_000));
    assert!(many < few * 5 / 4, "{many} KiB beside {few}");
}

#[test]
fn sigterm_in_the_middle_of_a_drain_ends_in_time_and_nothing_is_lost() {
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let mut gateway = Gateway::behind(&witness).start();
    witness.cut();
    for n in 0..300 {
        assert_eq!(ledger.redeem(&gateway.till(""), &format!("ROW-{n}")), Some(200));
    }
    witness.fail(&[(Fault::Delay, 500), (Fault::LostReply, 100)]);
    witness.restore();
    gateway.wait_for_counts("the drain has begun", |counts| counts.confirmed > 20);
    let began = Instant::now();
    assert!(gateway.terminate().success());
    assert!(began.elapsed() < STOP_MAX, "the stop took {:?}", began.elapsed());
    witness.fail(&[]);
    gateway.start();
    let books = gateway.counts();
    assert!(books.pending > 0 && books.confirmed > 20, "the drain was over: {books:?}");
    ledger.settle_up(&gateway, &witness).assert_conserved();
}

#[test]
fn sigterm_while_the_provider_hangs_ends_in_time_and_leaves_its_attempts_uncertain() {
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "timeout = \"60s\"").start();
    provider.rules(&["fault=hang-after-taking"]);
    let states = at_once(4, |n| gateway.till("").redeem(&format!("HANGS-{n}")).state().to_owned());
    assert_eq!(states, ["pending"; 4]);
    let taken = provider.summary("codes_taken");
    assert!(taken > 0);
    let began = Instant::now();
    assert!(gateway.terminate().success());
    assert!(began.elapsed() < STOP_MAX, "the stop took {:?}", began.elapsed());
    provider.rules(&[]);
    gateway.start();
    let books = gateway.wait_until_drained();
    assert_eq!((books.confirmed, books.declined), (4, 0));
    let doubted =
        gateway.list("confirmed").iter().filter(|row| row["duplicate_of_ours"] == true).count();
    assert_eq!(doubted as u64, taken);
    provider.assert_one_key_each();
}

/// Redeems `rows` codes from sixteen tills; how long that took.
fn redeem_many(gateway: &Gateway, name: &str, rows: usize) -> Duration {
    let began = Instant::now();
    at_once(16, |thread| {
        let till = gateway.till("");
        for n in 0..rows / 16 {
            assert_eq!(till.redeem(&format!("{name}-{thread}-{n}")).status, 200);
        }
    });
    began.elapsed()
}

#[test]
fn a_reader_that_stays_costs_log_but_no_service_and_the_log_is_cut_back_when_it_leaves() {
    let rows = if is_long_run() { 20_480 } else { 8_000 };
    let mut witness = Witness::start(1);
    witness.cut();
    let lane = Gateway::behind(&witness).offline("max_pending = 1000000");
    let gateway = lane.start();
    let log_bytes = || gateway.state_dir().join("redeemd.db-wal").metadata().unwrap().len();
    let without = redeem_many(&gateway, "BEFORE", rows / 4);
    let bound = log_bytes();

    let reader = rusqlite::Connection::open_with_flags(
        gateway.state_dir().join("redeemd.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    );
    let reader = reader.unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = || {
        reader
            .query_row("SELECT count(*) FROM redemption", [], |row| row.get::<_, usize>(0))
            .unwrap()
    };
    let seen = count();
    let mut last = Duration::ZERO;
    for part in 0..4 {
        last = redeem_many(&gateway, &format!("DURING-{part}"), rows / 4);
    }
    let grown = log_bytes();
    assert_eq!(count(), seen, "the reader was disturbed");
    assert!(
        grown > 2 * bound && grown > LOG_BYTES_MAX,
        "the reader held nothing: {grown} bytes beside {bound}"
    );
    assert!(last < without * 4, "the daemon slowed down from {without:?} to {last:?}");

    drop(reader);
    let mut n = 0;
    until("the log is cut back", || {
        n += 1;
        redeem_many(&gateway, &format!("AFTER-{n}"), 16);
        log_bytes() <= LOG_BYTES_MAX
    });
    redeem_many(&gateway, "LATER", rows / 4);
    println!("log: {bound} bytes without a reader, {grown} with it, {} after it", log_bytes());
    assert!(log_bytes() <= LOG_BYTES_MAX, "the log grows again: {} bytes", log_bytes());
    assert_eq!(gateway.counts().accepted, (rows * 6 / 4 + 16 * n) as u64);
}
