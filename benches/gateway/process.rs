//! The real binary: a gateway and a sandbox, each with its own folder and ports.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redeemd::clock::{Clock, Stamp};
use redeemd::limits::LaneNow;
use redeemd::settings::Offline;
use redeemd::store::{Accept, NewRedemption, Store, Surroundings};
use redeemd::value::Amount;

use crate::report::ratio;
use crate::{Failure, checks, load, machine, migration};

/// No wait in a benchmark is longer.
const PATIENCE: Duration = Duration::from_mins(30);

pub(crate) fn binary() -> PathBuf {
    std::env::var_os("BENCH_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_redeemd")), PathBuf::from)
}

pub(crate) fn free_port() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// How seldom a backlog is looked at: each look costs the gateway a tenth of a millisecond.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("a process could not be ended: {error}");
        }
    }
}

/// A provider that says yes.
pub(crate) struct Sandbox {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Sandbox {
    pub(crate) fn start(delay: Duration) -> Result<Self, Failure> {
        let address = free_port()?;
        let delay = format!("{}ms", delay.as_millis());
        let child = Command::new(binary())
            .args([
                "sandbox",
                "--quiet",
                "--no-record",
                "--delay",
                &delay,
                "--listen",
                &address.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()?;
        let process = Process(child);
        until(|| TcpStream::connect(address).is_ok())?;
        Ok(Self { address, _process: process })
    }
}

/// What a gateway starts with.
#[derive(Default)]
struct StartWith<'a> {
    /// Without one the line is down.
    provider: Option<SocketAddr>,
    /// Pending.
    rows: usize,
    /// Pending in the form of the oldest schema: it is ready once that is brought up to date.
    old_rows: usize,
    /// Remembered.
    checks: usize,
    rules: usize,
    env: &'a [(&'a str, &'a OsStr)],
}

/// A gateway on this disk.
pub(crate) struct Gateway {
    process: Process,
    dir: tempfile::TempDir,
    tills: SocketAddr,
    admin: SocketAddr,
    took: Duration,
}

impl Gateway {
    /// Without a provider the line is down.
    pub(crate) fn start(provider: Option<SocketAddr>) -> Result<Self, Failure> {
        Self::start_with_backlog(provider, 0)
    }

    pub(crate) fn start_with_backlog(
        provider: Option<SocketAddr>,
        rows: usize,
    ) -> Result<Self, Failure> {
        Self::start_in(&StartWith { provider, rows, ..StartWith::default() })
    }

    /// On what an earlier redeemd left.
    pub(crate) fn start_after_an_update(old_rows: usize) -> Result<Self, Failure> {
        Self::start_in(&StartWith { old_rows, ..StartWith::default() })
    }

    /// With the line down, so many checks remembered and so many rules.
    pub(crate) fn start_with_checks(checks: usize, rules: usize) -> Result<Self, Failure> {
        Self::start_in(&StartWith { checks, rules, ..StartWith::default() })
    }

    /// On a disk that takes so much longer for each sync.
    pub(crate) fn start_on_slow_disk(sync: Duration) -> Result<Self, Failure> {
        let shim = slow_disk_shim()?;
        let sync = sync.as_millis().to_string();
        let env = [("LD_PRELOAD", shim.as_os_str()), ("BENCH_SYNC_MS", OsStr::new(&sync))];
        Self::start_in(&StartWith { env: &env, ..StartWith::default() })
    }

    fn start_in(start: &StartWith<'_>) -> Result<Self, Failure> {
        let StartWith { provider, rows, old_rows, checks, rules, env } = *start;
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let (tills, admin) = (free_port()?, free_port()?);
        let nobody = free_port()?;
        std::fs::write(dir.path().join("token"), "bench")?;
        let settings = format!(
            "[gateway]\nname = \"bench\"\nstate_dir = \"state\"\n[intake]\nlisten = \"{tills}\"\n\
             [[provider]]\nname = \"p\"\nredeem_url = \"http://{}/redeem\"\ntoken_file \
             = \"token\"\n\
             [offline]\nmax_pending = 100000000\nmax_exposure = \"1000000000\"\n\
             max_per_hour_per_till = 100000000\n{}[forward]\nreconnect_spread \
             = \"0s\"\n[admin]\nlisten = \"{admin}\"\n",
            provider.unwrap_or(nobody),
            checks::settings(checks, rules),
        );
        std::fs::write(dir.path().join("redeemd.toml"), settings)?;
        if old_rows > 0 {
            migration::oldest(&dir.path().join("state"), old_rows)?;
        }
        fill(&dir.path().join("state"), rows)?;
        checks::fill(&dir.path().join("state"), checks)?;
        let begun = Instant::now();
        let child = Command::new(binary())
            .args(["run", "--config"])
            .arg(dir.path().join("redeemd.toml"))
            .env("REDEEMD_LOG", "error")
            // As the unit sets it.
            .env("MALLOC_ARENA_MAX", "2")
            .envs(env.iter().copied())
            .spawn()?;
        let process = Process(child);
        until(|| get(admin, "/readyz").is_ok_and(|text| text.starts_with("HTTP/1.1 200")))?;
        Ok(Self { process, dir, tills, admin, took: begun.elapsed() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.tills
    }

    /// Where people look.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn took_to_start(&self) -> Duration {
        self.took
    }

    fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// How long until nothing is pending any more. The end lies between two looks and is reckoned
    /// from the pace before.
    pub(crate) fn until_drained(&self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let (mut at, mut left, mut per_second) = (Duration::ZERO, self.pending()?, f64::INFINITY);
        while begun.elapsed() < PATIENCE {
            let (now, pending) = (begun.elapsed(), self.pending()?);
            if pending == 0 {
                return Ok((at + Duration::from_secs_f64(ratio(left, 1) / per_second)).min(now));
            }
            if pending < left {
                per_second = ratio(left - pending, 1) / now.saturating_sub(at).as_secs_f64();
            }
            (at, left) = (now, pending);
            pause(LOOK_EVERY);
        }
        Err("the backlog did not drain".into())
    }

    fn pending(&self) -> Result<u64, Failure> {
        let status = get(self.admin, "/api/v1/status")?;
        let (_, after) =
            status.split_once("\"pending\":").ok_or("a status without what is pending")?;
        Ok(after.split(|other: char| !other.is_ascii_digit()).next().unwrap_or_default().parse()?)
    }

    /// Bytes written so far, once the checkpoint of an idle store is over.
    pub(crate) fn settled_bytes(&self) -> Result<u64, Failure> {
        Self::settle_down();
        machine::number(self.pid(), "io", "write_bytes")
    }

    pub(crate) fn settle_down() {
        pause(Duration::from_secs(4));
    }

    /// A minute after the load, as the goal says.
    pub(crate) fn rest() {
        pause(Duration::from_mins(1));
    }

    pub(crate) fn resident(&self) -> Result<String, Failure> {
        let part = |field| machine::number(self.pid(), "status", field);
        let mib = |kib| ratio(kib, 1024);
        Ok(format!("{:.1} MiB ({:.1} anonymous)", mib(part("VmRSS")?), mib(part("RssAnon")?)))
    }

    /// The most that was ever resident, MiB.
    pub(crate) fn peak(&self) -> Result<f64, Failure> {
        Ok(ratio(machine::number(self.pid(), "status", "VmHWM")?, 1024))
    }

    pub(crate) fn wakeups(&self, within: Duration) -> Result<String, Failure> {
        let before = machine::switches(self.pid())?;
        pause(within);
        Ok(machine::every(machine::switches(self.pid())?.saturating_sub(before), within))
    }
}

/// Built anew for each gateway, with whatever compiler there is.
fn slow_disk_shim() -> Result<PathBuf, Failure> {
    let shim = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slow.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/gateway/slow.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-pthread", "-o"])
        .arg(&shim)
        .arg(source)
        .status()?;
    if built.success() { Ok(shim) } else { Err("cc cannot build slow.c".into()) }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark waits in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

pub(crate) fn until(mut done: impl FnMut() -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > PATIENCE {
            return Err("it took too long".into());
        }
        pause(Duration::from_millis(1));
    }
    Ok(())
}

/// Asks for a page and leaves the answer to be read.
pub(crate) fn request(from: SocketAddr, path: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(from)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {from}\r\nConnection: close\r\n\r\n")?;
    Ok(stream)
}

pub(crate) fn get(from: SocketAddr, path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    request(from, path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Fills a store through its own door, so that what starts is what a long outage leaves.
fn fill(dir: &Path, rows: usize) -> Result<(), Failure> {
    if rows == 0 {
        return Ok(());
    }
    let (mut store, _) = Store::open(dir)?;
    let offline = Offline {
        max_pending: u64::MAX,
        max_pending_per_till: u64::MAX,
        max_outage: Duration::MAX,
        max_exposure: Amount(i64::MAX),
        max_per_hour_per_till: u64::MAX,
        ..Offline::default()
    };
    let stamp: Stamp = Clock::system().stamp();
    let around = Surroundings::new(stamp, &offline, &|_| LaneNow::down());
    let mut left = rows;
    while left > 0 {
        let batch = left.min(2000);
        let ops: Vec<Accept> = (0..batch).map(|_| accept()).collect::<Result<_, _>>()?;
        for done in store.perform_all(ops, &around) {
            done?;
        }
        store.checkpoint()?;
        left -= batch;
    }
    Ok(store.close()?)
}

fn accept() -> Result<Accept, Failure> {
    let request =
        redeemd::contract::parse(load::body().into()).map_err(|faults| format!("{faults:?}"))?;
    let new = NewRedemption { till: "till-1".to_owned(), key: None, lane: "p".to_owned(), request };
    Ok(Accept::once(new))
}
