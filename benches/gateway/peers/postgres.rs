//! PostgreSQL as it comes: `synchronous_commit` and `fsync` are on, so that a commit is synced
//! before its answer.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Peer, folder, read_until, said_by};
use crate::Failure;
use crate::load::{self, Till};
use crate::process::{free_port, until};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS pending (id bigserial PRIMARY KEY, body text NOT \
    NULL);\
                      CREATE TABLE IF NOT EXISTS checked (id bigserial PRIMARY KEY, code text NOT \
                      NULL UNIQUE, key text NOT NULL UNIQUE, body text NOT NULL);";

pub(super) fn start() -> Result<Peer, Failure> {
    let (dir, address) = (folder()?, free_port()?);
    let (data, programs) = (dir.path().join("data"), programs()?);
    let mut owner = None;
    if rustix::process::geteuid().is_root() {
        let uid: u32 = said_by("id", &["-u", "postgres"])?.parse()?;
        std::os::unix::fs::chown(dir.path(), Some(uid), None)?;
        owner = Some("postgres");
    }
    let made = as_user(owner, &programs.join("initdb"))
        .args(["--auth=trust", "--username=bench", "--locale=C"])
        .args(["--encoding=UTF8", "--pgdata"])
        .arg(&data)
        .output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
    }
    let mut command = as_user(owner, &programs.join("postgres"));
    command.arg("-D").arg(&data).args([
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
    ]);
    let peer = Peer::start(dir, address, command.arg("-p").arg(address.port().to_string()))?;
    // It listens before it is ready, and turns the first away.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    until(|| runtime.block_on(make_tables(address)).is_ok())?;
    Ok(peer)
}

async fn make_tables(address: SocketAddr) -> io::Result<()> {
    Connection::open(address).await?.run(query(TABLES)).await
}

/// It refuses to run as root.
fn as_user(owner: Option<&str>, program: &Path) -> Command {
    let Some(owner) = owner else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", owner, "--regid", owner, "--clear-groups"]).arg(program);
    command
}

/// Debian keeps each version's programs in a folder of its own.
fn programs() -> Result<PathBuf, Failure> {
    let folders = std::fs::read_dir("/usr/lib/postgresql")?.collect::<io::Result<Vec<_>>>()?;
    let newest = folders
        .iter()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .max();
    Ok(newest.ok_or("no PostgreSQL: packaging/need peers")?)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let mut this = Self { stream: load::connect(to).await?, buffer: Vec::new() };
        let mut hello = 196_608_u32.to_be_bytes().to_vec();
        hello.extend_from_slice(b"user\0bench\0database\0postgres\0\0");
        this.run(framed(None, &hello)).await?;
        Ok(this)
    }

    /// Sends messages and waits until the server is ready for the next; protocol 3.0, chapter 55.
    async fn run(&mut self, request: Vec<u8>) -> io::Result<()> {
        self.stream.write_all(&request).await?;
        // ReadyForQuery: Z, a length of 5, one letter; the last message of each answer.
        let whole = |text: &[u8]| matches!(text.last_chunk(), Some([b'Z', 0, 0, 0, 5, _]));
        read_until(&mut self.stream, &mut self.buffer, whole).await?;
        if has_error(&self.buffer) {
            return Err(io::Error::other(String::from_utf8_lossy(&self.buffer).into_owned()));
        }
        Ok(())
    }
}

/// Whether one of the messages is an `ErrorResponse`.
fn has_error(mut messages: &[u8]) -> bool {
    while let Some((head, _)) = messages.split_first_chunk::<5>() {
        let [kind, length @ ..] = *head;
        if kind == b'E' {
            return true;
        }
        messages = messages.get(1 + u32::from_be_bytes(length) as usize..).unwrap_or_default();
    }
    false
}

fn framed(kind: Option<u8>, payload: &[u8]) -> Vec<u8> {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend_from_slice(&u32::try_from(payload.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(payload);
    message
}

fn query(text: &str) -> Vec<u8> {
    framed(Some(b'Q'), &[text.as_bytes(), b"\0"].concat())
}

/// A statement under the name `s`, to be run as often as wanted.
fn prepare(text: &str) -> Vec<u8> {
    let parse = framed(Some(b'P'), &[b"s\0", text.as_bytes(), b"\0\0\0"].concat());
    [parse, framed(Some(b'S'), b"")].concat()
}

/// Runs it with these values as text.
fn execute(values: &[&str]) -> Vec<u8> {
    let mut bind = b"\0s\0\0\0".to_vec();
    bind.extend_from_slice(&u16::try_from(values.len()).unwrap_or(u16::MAX).to_be_bytes());
    for value in values {
        bind.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        bind.extend_from_slice(value.as_bytes());
    }
    bind.extend_from_slice(b"\0\0");
    [framed(Some(b'B'), &bind), framed(Some(b'E'), b"\0\0\0\0\0"), framed(Some(b'S'), b"")].concat()
}

/// The body, kept and nothing more.
pub(super) struct Insert(Connection);

impl Till for Insert {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let mut connection = Connection::open(to).await?;
        connection.run(prepare("INSERT INTO pending (body) VALUES ($1)")).await?;
        Ok(Self(connection))
    }

    async fn give(&mut self) -> io::Result<()> {
        self.0.run(execute(&[&load::body()])).await
    }
}

/// The body, kept if neither its code nor its key was seen before.
pub(super) struct Checked(Connection);

impl Till for Checked {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let mut connection = Connection::open(to).await?;
        connection
            .run(prepare("INSERT INTO checked (code, key, body) VALUES ($1, $2, $3)"))
            .await?;
        Ok(Self(connection))
    }

    async fn give(&mut self) -> io::Result<()> {
        let code = load::code();
        let (text, key) = (format!("{code:032x}"), format!("{:032x}", load::code()));
        self.0.run(execute(&[&text, &key, &load::body_of(code)])).await
    }
}
