//! `make bench` and `make bench-peers`: what the gateway costs, as ratios in one run on one
//! machine.
//!
//! Every figure stands beside its yardstick, measured in the same run: the same HTTP server
//! without a store, this disk's own sync, a bare client loop. Rounds alternate; the median counts,
//! and how far the rounds were apart is said, because machines are shared. So is whether the
//! machine was quiet. `BENCH_PARTS=accepts,slow` measures some parts alone, `BENCH_BINARY=path`
//! another build, `BENCH_ROUNDS=1` and `BENCH_ROWS=10000` in a hurry.

mod checks;
mod disk;
mod load;
mod machine;
mod migration;
mod peers;
mod people;
mod plain;
mod process;
mod provider;
mod quiet;
mod report;

use std::error::Error;
use std::time::Duration;

use process::{Gateway, Sandbox};
use report::{Report, Rounds};

type Failure = Box<dyn Error>;

/// What is measured unless `BENCH_PARTS` says otherwise.
const PARTS: &str = "accepts,checks,drain,bytes,slow,backlog,console,migration";
/// Rows of a drain.
const DRAIN_ROWS: usize = 10_000;
/// The drain's window, and the bare client's.
const WINDOW: usize = 8;
/// How long one round of load lasts.
const ROUND: Duration = Duration::from_secs(3);
/// One on a disk whose syncs take milliseconds: enough for a 99th percentile of one connection.
const SLOW_ROUND: Duration = Duration::from_secs(10);
/// What a sync takes longer than here on an eMMC or an SD card.
const SLOW_SYNCS_MS: [u64; 3] = [5, 10, 20];
/// With so many rows pending; `BENCH_ROWS` bounds them.
const BACKLOGS: [usize; 2] = [100_000, 1_000_000];
/// Checks that are remembered, at most `BENCH_ROWS`, and rules.
const CHECKS: usize = 1_000_000;
const RULES: usize = 200;
/// Pending while people look at the console.
const CONSOLE_ROWS: usize = 1_000_000;
/// Rows that an update finds.
const MIGRATIONS: [usize; 2] = [100_000, 1_000_000];
/// Tills of a large store, and people at the console beside them.
const CONSOLE_TILLS: usize = 16;
const PEOPLE: usize = 10;

fn main() -> Result<(), Failure> {
    if std::env::var_os("REDEEMD_BENCH_PLAIN").is_some() {
        return plain::serve();
    }
    // `cargo test --benches` passes this; measuring is not testing.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| PARTS.to_owned());
    let mut report = Report::new();
    report.row("the machine before", &quiet::before()?, "quiet");
    let watch = quiet::Watch::begin()?;
    for part in parts.split(',') {
        measure(part, &mut report)?;
    }
    report.row("the machine meanwhile", &watch.end()?, "quiet");
    report.print();
    Ok(())
}

fn measure(part: &str, report: &mut Report) -> Result<(), Failure> {
    match part {
        "accepts" => accepts(report),
        "checks" => beside_checks(report),
        "drain" => {
            drain(report, Duration::ZERO)?;
            drain(report, Duration::from_millis(20))
        }
        "bytes" => bytes_written(report),
        "slow" => SLOW_SYNCS_MS
            .into_iter()
            .try_for_each(|sync_ms| slow_disk(report, Duration::from_millis(sync_ms))),
        "backlog" => backlogs(report),
        "console" => console(report),
        "migration" => migrations(report),
        "peers" => peers::run(report),
        other => Err(format!("there is no part {other:?}").into()),
    }
}

/// How often each of two things that are compared is measured.
fn rounds() -> usize {
    std::env::var("BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn rows_max() -> usize {
    std::env::var("BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
}

/// Durable accepts a second, line down, beside the same server without a store; alone also beside
/// the disk.
fn accepts(report: &mut Report) -> Result<(), Failure> {
    let (plain, gateway) = (plain::Plain::start()?, Gateway::start(None)?);
    load::warm_up(gateway.address())?;
    for (connections, goal) in [(1, "-"), (64, "0.42, 0.5")] {
        let (mut stored, mut bare, mut over) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds() {
            bare.push(load::run(plain.address, connections, ROUND)?.per_second());
            let sync = disk::overwriting_sync_p50(gateway.dir())?;
            let done = load::run(gateway.address(), connections, ROUND)?;
            stored.push(done.per_second());
            over.push(millis(done.p50()) - millis(sync));
        }
        let share = Rounds::ratios(&stored, &bare);
        let text =
            format!("{}/s = {share} of {}/s without a store", Rounds::of(stored), Rounds::of(bare));
        report.row(&format!("accepts, {connections} connections, line down"), &text, goal);
        if connections == 1 {
            let text = format!("p50 = an overwriting sync + {} ms", Rounds::of(over));
            report.row("accept latency, 1 connection, line down", &text, "+ 0.25 ms");
        }
    }
    Ok(())
}

/// Accepts with the line down beside remembered checks and rules, in turn with those of a gateway
/// that has neither.
fn beside_checks(report: &mut Report) -> Result<(), Failure> {
    let checks = CHECKS.min(rows_max());
    let (bare, full) = (Gateway::start(None)?, Gateway::start_with_checks(checks, RULES)?);
    for gateway in [&bare, &full] {
        load::warm_up(gateway.address())?;
    }
    for (connections, goal) in [(1, "0.9"), (64, "0.9")] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds() {
            without.push(load::run(bare.address(), connections, ROUND)?.per_second());
            with.push(load::run(full.address(), connections, ROUND)?.per_second());
        }
        let share = Rounds::ratios(&with, &without);
        let text = format!("{}/s = {share} of {}/s", Rounds::of(with), Rounds::of(without));
        let what = format!("accepts, {connections} connections, {checks} checks, {RULES} rules");
        report.row(&what, &text, goal);
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A backlog's way to the provider beside a client that does nothing else.
fn drain(report: &mut Report, delay: Duration) -> Result<(), Failure> {
    let (mut drained, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds().min(3) {
        let sandbox = Sandbox::start(delay)?;
        bare.push(per_second(
            DRAIN_ROWS,
            provider::bare_loop(sandbox.address, WINDOW, DRAIN_ROWS)?,
        ));
        let gateway = Gateway::start_with_backlog(Some(sandbox.address), DRAIN_ROWS)?;
        drained.push(per_second(DRAIN_ROWS, gateway.until_drained()?));
    }
    let share = Rounds::ratios(&drained, &bare);
    let text = format!("{}/s = {share} of {}/s", Rounds::of(drained), Rounds::of(bare));
    let goal = if delay.is_zero() { "0.3, 0.4" } else { "0.7, 0.9" };
    report.row(&format!("drain of 10,000, provider delay {delay:?}"), &text, goal);
    Ok(())
}

/// What reaches the disk for one redemption from accept to confirmed, checkpoint included.
fn bytes_written(report: &mut Report) -> Result<(), Failure> {
    let sandbox = Sandbox::start(Duration::ZERO)?;
    for (connections, goal) in [(1, "44, 34 KiB"), (64, "6, 4.5 KiB")] {
        let gateway = Gateway::start(Some(sandbox.address))?;
        load::warm_up(gateway.address())?;
        let mut each = Vec::new();
        for _ in 0..rounds().min(3) {
            let before = gateway.settled_bytes()?;
            let done = load::run(gateway.address(), connections, ROUND)?;
            gateway.until_drained()?;
            let bytes = gateway.settled_bytes()?.saturating_sub(before);
            each.push(report::ratio(bytes, done.count() as u64) / 1024.0);
        }
        let text = format!("{} KiB", Rounds::of(each));
        report.row(&format!("written per redemption, {connections} connections"), &text, goal);
    }
    Ok(())
}

/// How many syncs of a slow disk a till waits for.
fn slow_disk(report: &mut Report, delay: Duration) -> Result<(), Failure> {
    for (connections, goal) in [(1, "p99 1.2"), (16, "p99 2.2, worst 3"), (64, "p99 2.2, worst 3")]
    {
        let gateway = Gateway::start_on_slow_disk(delay)?;
        let sync = delay + disk::overwriting_sync_p50(gateway.dir())?;
        load::warm_up(gateway.address())?;
        let done = load::run(gateway.address(), connections, SLOW_ROUND)?;
        let syncs = |time: Duration| time.as_secs_f64() / sync.as_secs_f64();
        let (p50, p99, worst) = (syncs(done.p50()), syncs(done.p99()), syncs(done.worst()));
        let text = format!(
            "p50 {p50:.2}, p99 {p99:.2}, worst {worst:.1} of {} in syncs of {sync:.1?}",
            done.count()
        );
        report.row(
            &format!("accept where a sync takes {delay:?} more, {connections} connections"),
            &text,
            goal,
        );
    }
    Ok(())
}

/// Start, memory and throughput with rows pending, the throughput in turn with that of an empty
/// store.
fn backlogs(report: &mut Report) -> Result<(), Failure> {
    let empty = Gateway::start(None)?;
    at_rest(report, &empty, "nothing pending")?;
    load::warm_up(empty.address())?;
    for rows in BACKLOGS.map(|rows| rows.min(rows_max())) {
        let name = format!("{rows} pending");
        let full = Gateway::start_with_backlog(None, rows)?;
        at_rest(report, &full, &name)?;
        load::warm_up(full.address())?;
        beside_empty(report, &empty, &full, &name)?;
        Gateway::rest();
        report.row(&format!("resident after load, {name}"), &full.resident()?, "20, 12 MiB");
        let wakeups = full.wakeups(Duration::from_secs(20))?;
        report.row(&format!("wake-ups when idle, {name}"), &wakeups, "60, 6 in 60 s");
    }
    Ok(())
}

fn at_rest(report: &mut Report, gateway: &Gateway, name: &str) -> Result<(), Failure> {
    report.row(
        &format!("start to ready, {name}"),
        &format!("{:.0?}", gateway.took_to_start()),
        "300, 50 ms",
    );
    Gateway::settle_down();
    report.row(&format!("resident, idle, {name}"), &gateway.resident()?, "9.8, 8 MiB");
    Ok(())
}

fn beside_empty(
    report: &mut Report,
    empty: &Gateway,
    full: &Gateway,
    name: &str,
) -> Result<(), Failure> {
    let (mut slower, mut later, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let alone = load::run(empty.address(), 64, ROUND)?;
        let beside = load::run(full.address(), 64, ROUND)?;
        slower.push(alone.per_second() / beside.per_second());
        later.push(millis(beside.p99()) / millis(alone.p99()));
        rates.push(beside.per_second());
    }
    let (slower, later, rates) = (Rounds::of(slower), Rounds::of(later), Rounds::of(rates));
    let text =
        format!("{rates}/s; empty is {slower} times as fast, its p99 {later} times as short");
    report.row(&format!("accepts, 64 connections, {name}"), &text, "1.2 and 2, 1.1 and 1.3");
    Ok(())
}

/// The console over a long backlog, and the tills while ten people look at it.
fn console(report: &mut Report) -> Result<(), Failure> {
    let rows = CONSOLE_ROWS.min(rows_max());
    let gateway = Gateway::start_with_backlog(None, rows)?;
    load::warm_up(gateway.address())?;
    for page in people::PAGES {
        let times: Result<Vec<_>, _> =
            (0..20).map(|_| people::time_of(gateway.admin(), page).map(millis)).collect();
        report.row(
            &format!("page {page}, {rows} pending"),
            &format!("{} ms", Rounds::of(times?)),
            "50 ms",
        );
    }
    let before = gateway.resident()?;
    let mut later = Vec::new();
    for _ in 0..rounds() {
        let alone = load::run(gateway.address(), CONSOLE_TILLS, ROUND)?.p99();
        let people = people::People::come(gateway.admin(), PEOPLE);
        let beside = load::run(gateway.address(), CONSOLE_TILLS, ROUND)?.p99();
        drop(people);
        later.push(millis(beside) / millis(alone));
    }
    let later = format!("{} times what it is alone", Rounds::of(later));
    report.row(
        &format!("p99 of {CONSOLE_TILLS} tills beside {PEOPLE} people at the console"),
        &later,
        "1.2",
    );
    report.row(
        "resident before and after them",
        &format!("{before}; {}", gateway.resident()?),
        "as before",
    );
    Ok(())
}

/// The first start after an update from the oldest released schema, beside one of an empty store.
fn migrations(report: &mut Report) -> Result<(), Failure> {
    for rows in MIGRATIONS.map(|rows| rows.min(rows_max())) {
        let gateway = Gateway::start_after_an_update(rows)?;
        let text = format!(
            "{:.1?} to ready, {:.1} MiB resident at most",
            gateway.took_to_start(),
            gateway.peak()?
        );
        report.row(&format!("update from the oldest schema, {rows} rows"), &text, "-");
    }
    Ok(())
}

fn per_second(count: usize, took: Duration) -> f64 {
    report::ratio(count as u64, 1) / took.as_secs_f64()
}
