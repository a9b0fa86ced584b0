//! `make bench-peers`: what others take for keeping a redemption, each syncing before it
//! acknowledges, beside the gateway, in one run on one disk, with the same bodies and the same kind
//! of client.

mod nats;
mod postgres;
mod redis;

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::load::{self, Done, Http};
use crate::plain::Plain;
use crate::process::{Gateway, until};
use crate::report::{Report, Rounds};
use crate::{Failure, ROUND, rounds};

/// How a contender is asked: its address, how many connections.
type Ask = fn(SocketAddr, usize) -> Result<Done, Failure>;

struct Contender {
    name: &'static str,
    address: SocketAddr,
    ask: Ask,
}

/// A server of somebody else's, and its folder beside the gateways'.
struct Peer {
    address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Peer {
    fn start(
        dir: tempfile::TempDir,
        address: SocketAddr,
        command: &mut Command,
    ) -> Result<Self, Failure> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut peer = Self { address, child, _dir: dir };
        let mut ended = None;
        until(|| {
            ended = peer.child.try_wait().ok().flatten();
            ended.is_some() || TcpStream::connect(address).is_ok()
        })?;
        ended.map_or(Ok(peer), |status| {
            Err(format!("{} ended with {status}", command.get_program().display()).into())
        })
    }
}

/// Each of them ends its own children at an interrupt.
impl Drop for Peer {
    fn drop(&mut self) {
        let ended = kill_process(Pid::from_child(&self.child), Signal::INT);
        if let Err(error) = ended.map_err(Into::into).and_then(|()| self.child.wait()) {
            eprintln!("a peer could not be ended: {error}");
        }
    }
}

/// A folder on the gateways' disk.
fn folder() -> Result<tempfile::TempDir, Failure> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// What a command prints, without the end of its line.
fn said_by(program: impl AsRef<OsStr>, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(args).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// All of them at 1 and at 64 connections.
pub(crate) fn run(report: &mut Report) -> Result<(), Failure> {
    let (plain, gateway) = (Plain::start()?, Gateway::start(None)?);
    let (postgres, redis, nats) = (postgres::start()?, redis::start()?, nats::start()?);
    load::warm_up(gateway.address())?;
    let contenders = [
        Contender { name: "redeemd", address: gateway.address(), ask: ask::<Http> },
        Contender {
            name: "redeemd's HTTP server without a store",
            address: plain.address,
            ask: ask::<Http>,
        },
        Contender {
            name: "PostgreSQL, one INSERT",
            address: postgres.address,
            ask: ask::<postgres::Insert>,
        },
        Contender {
            name: "PostgreSQL, the same checks",
            address: postgres.address,
            ask: ask::<postgres::Checked>,
        },
        Contender { name: "Redis, one LPUSH", address: redis.address, ask: ask::<redis::Push> },
        Contender {
            name: "Redis, the same checks",
            address: redis.address,
            ask: ask::<redis::Checked>,
        },
        Contender {
            name: "NATS JetStream, one publish",
            address: nats.address,
            ask: ask::<nats::Publish>,
        },
    ];
    for connections in [1, 64] {
        compare(report, &contenders, connections)?;
    }
    Ok(())
}

/// In turn, so that a busy moment does not hit one of them alone; the gateway is the first.
fn compare(
    report: &mut Report,
    contenders: &[Contender],
    connections: usize,
) -> Result<(), Failure> {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds() {
        for (contender, rates) in contenders.iter().zip(&mut rates) {
            rates.push((contender.ask)(contender.address, connections)?.per_second());
        }
    }
    let Some((ours, others)) = rates.split_first() else { return Ok(()) };
    let text = format!("{}/s", Rounds::of(ours.clone()));
    report.row(&format!("redeemd, {connections} connections"), &text, "");
    for (contender, rates) in contenders.iter().skip(1).zip(others) {
        let share = Rounds::ratios(ours, rates);
        let text = format!("{}/s; redeemd {share} of it", Rounds::of(rates.clone()));
        report.row(&format!("{}, {connections} connections", contender.name), &text, "");
    }
    Ok(())
}

fn ask<T: load::Till>(to: SocketAddr, connections: usize) -> Result<Done, Failure> {
    load::run_as::<T>(to, connections, ROUND)
}

/// Reads until the bytes so far are a whole answer, and hands them over.
async fn read_until(
    stream: &mut tokio::net::TcpStream,
    buffer: &mut Vec<u8>,
    whole: impl Fn(&[u8]) -> bool + Send,
) -> std::io::Result<()> {
    buffer.clear();
    while !whole(buffer) {
        if tokio::io::AsyncReadExt::read_buf(stream, buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
