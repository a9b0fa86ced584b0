//! `make bench`: what the gateway costs, as ratios in one run on one machine.
//!
//! Every figure stands beside its yardstick, measured in the same run: the same HTTP server without a store, this
//! disk's fdatasync, a bare client loop. Rounds alternate and the median counts, because machines are shared.
//! `BENCH_PARTS=accepts,latency` measures some parts alone, `BENCH_BINARY=path` another build.

mod disk;
mod load;
mod machine;
mod plain;
mod process;
mod provider;
mod report;

use std::error::Error;
use std::time::Duration;

use process::{Gateway, Sandbox};
use report::Report;

type Failure = Box<dyn Error>;

/// Rows of a drain.
const DRAIN_ROWS: usize = 10_000;
/// The drain's window, and the bare client's.
const WINDOW: usize = 8;
/// How long one round of load lasts.
const ROUND: Duration = Duration::from_secs(3);
/// Rounds of each of two things that are compared.
const ROUNDS: usize = 3;

fn main() -> Result<(), Failure> {
    if std::env::var_os("REDEEMD_BENCH_PLAIN").is_some() {
        return plain::serve();
    }
    // `cargo test --benches` passes this; measuring is not testing.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let rows_max: usize = std::env::var("BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| "accepts,latency,drain,bytes,backlog".to_owned());
    let mut report = Report::new();
    for part in parts.split(',') {
        match part {
            "accepts" => accepts(&mut report)?,
            "latency" => latency(&mut report)?,
            "drain" => {
                drain(&mut report, Duration::ZERO)?;
                drain(&mut report, Duration::from_millis(20))?;
            }
            "bytes" => bytes_written(&mut report)?,
            "backlog" => {
                for rows in [0, 100_000, 1_000_000].into_iter().filter(|rows| *rows <= rows_max) {
                    backlog(&mut report, rows)?;
                }
            }
            other => return Err(format!("there is no part {other:?}").into()),
        }
    }
    report.row("stripped binary", &machine::binary_size()?, "8 MiB, 5 MiB");
    report.print();
    Ok(())
}

/// Durable accepts a second, line down, beside the same server without a store.
fn accepts(report: &mut Report) -> Result<(), Failure> {
    for connections in [1, 64] {
        let plain = plain::Plain::start()?;
        let gateway = Gateway::start(None)?;
        load::warm_up(gateway.address())?;
        let (mut stored, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(load::run(plain.address, connections, ROUND)?.per_second());
            stored.push(load::run(gateway.address(), connections, ROUND)?.per_second());
        }
        let (stored, bare) = (report::median(stored), report::median(bare));
        let text = format!("{stored:.0}/s = {:.2} of {bare:.0}/s without storing", stored / bare);
        let goal = if connections == 64 { "0.3, 0.5; > 14,900/s" } else { "-, > 4,300/s" };
        report.row(&format!("accepts, {connections} connections, line down"), &text, goal);
    }
    Ok(())
}

/// One connection's median beside this disk's fdatasync.
fn latency(report: &mut Report) -> Result<(), Failure> {
    let gateway = Gateway::start(None)?;
    load::warm_up(gateway.address())?;
    let sync = disk::fdatasync_p50(gateway.dir())?;
    let accept = load::run(gateway.address(), 1, ROUND)?.p50();
    let over = accept.saturating_sub(sync);
    let text = format!("p50 {accept:.2?} = fdatasync {sync:.2?} + {over:.2?}");
    report.row("accept latency, 1 connection, line down", &text, "+ 0.25 ms");
    Ok(())
}

/// A backlog's way to the provider beside a client that does nothing else.
fn drain(report: &mut Report, delay: Duration) -> Result<(), Failure> {
    let (mut drained, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let sandbox = Sandbox::start(delay)?;
        bare.push(per_second(DRAIN_ROWS, provider::bare_loop(sandbox.address, WINDOW, DRAIN_ROWS)?));
        let gateway = Gateway::start_with_backlog(Some(sandbox.address), DRAIN_ROWS)?;
        drained.push(per_second(DRAIN_ROWS, gateway.until_drained()?));
    }
    let (drained, bare) = (report::median(drained), report::median(bare));
    let text = format!("{drained:.0}/s = {:.2} of {bare:.0}/s", drained / bare);
    let goal = if delay.is_zero() { "-, 0.9" } else { "0.7, 0.9" };
    report.row(&format!("drain of 10,000, provider delay {delay:?}"), &text, goal);
    Ok(())
}

/// What reaches the disk for one redemption from accept to confirmed, checkpoint included.
fn bytes_written(report: &mut Report) -> Result<(), Failure> {
    let sandbox = Sandbox::start(Duration::ZERO)?;
    for (connections, goal) in [(1, "96, 48 KiB"), (64, "16, 8 KiB")] {
        let gateway = Gateway::start(Some(sandbox.address))?;
        load::warm_up(gateway.address())?;
        let before = gateway.settled_bytes()?;
        let done = load::run(gateway.address(), connections, ROUND)?;
        gateway.until_drained()?;
        let bytes = gateway.settled_bytes()?.saturating_sub(before);
        let each = report::ratio(bytes, done.count() as u64) / 1024.0;
        report.row(&format!("written per redemption, {connections} connections"), &format!("{each:.1} KiB"), goal);
    }
    Ok(())
}

/// Start, memory and throughput with rows pending.
fn backlog(report: &mut Report, rows: usize) -> Result<(), Failure> {
    let gateway = Gateway::start_with_backlog(None, rows)?;
    let name = format!("{rows} pending");
    report.row(&format!("start to ready, {name}"), &format!("{:.0?}", gateway.took_to_start()), "300, 50 ms");
    Gateway::settle_down();
    report.row(&format!("resident, idle, {name}"), &gateway.resident()?, "12, 8 MiB");
    let done = load::run(gateway.address(), 64, ROUND)?;
    let text = format!("{:.0}/s, p99 {:.2?}", done.per_second(), done.p99());
    report.row(&format!("accepts, 64 connections, {name}"), &text, "within 1.2 x of empty");
    Gateway::rest();
    report.row(&format!("resident after load, {name}"), &gateway.resident()?, "20, 12 MiB");
    report.row(
        &format!("wake-ups when idle, {name}"),
        &gateway.wakeups(Duration::from_secs(20))?,
        "1 in 10 s, in 60 s",
    );
    Ok(())
}

fn per_second(count: usize, took: Duration) -> f64 {
    report::ratio(count as u64, 1) / took.as_secs_f64()
}
