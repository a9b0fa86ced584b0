//! Redis with `appendfsync always`: the log is synced before an answer leaves.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Peer, folder, read_until};
use crate::Failure;
use crate::load::{self, Till};
use crate::process::free_port;

/// What the gateway checks for a redemption: nobody used the code, nobody used the key.
const CHECKS: &str = "if redis.call('SET', KEYS[1], '1', 'NX') and redis.call('SET', KEYS[2], '1', \
    'NX') then return redis.call('LPUSH', KEYS[3], ARGV[1]) else return \
                      redis.error_reply('used') end";

pub(super) fn start() -> Result<Peer, Failure> {
    let (dir, address) = (folder()?, free_port()?);
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    command.arg("--port").arg(address.port().to_string()).arg("--dir").arg(dir.path());
    Peer::start(dir, address, &mut command)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: load::connect(to).await?, buffer: Vec::new() })
    }

    /// Each answer that is asked for here is one line, or a text of one line.
    async fn call(&mut self, words: &[&str]) -> io::Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.extend(["$", &word.len().to_string(), "\r\n", word, "\r\n"]);
        }
        self.stream.write_all(request.as_bytes()).await?;
        let whole = |text: &[u8]| {
            let lines = if text.starts_with(b"$") { 2 } else { 1 };
            text.windows(2).filter(|pair| pair == b"\r\n").count() == lines
        };
        read_until(&mut self.stream, &mut self.buffer, whole).await?;
        let text = String::from_utf8_lossy(&self.buffer);
        match text.strip_prefix('-') {
            Some(error) => Err(io::Error::other(error.trim().to_owned())),
            None => Ok(text.lines().last().unwrap_or_default().to_owned()),
        }
    }
}

/// The body, kept and nothing more.
pub(super) struct Push(Connection);

impl Till for Push {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        Connection::open(to).await.map(Self)
    }

    async fn give(&mut self) -> io::Result<()> {
        self.0.call(&["LPUSH", "pending", &load::body()]).await.map(drop)
    }
}

/// The body, kept if neither its code nor its key was seen before.
pub(super) struct Checked {
    connection: Connection,
    script: String,
}

impl Till for Checked {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let mut connection = Connection::open(to).await?;
        let script = connection.call(&["SCRIPT", "LOAD", CHECKS]).await?;
        Ok(Self { connection, script })
    }

    async fn give(&mut self) -> io::Result<()> {
        let code = load::code();
        let (guard, key) = (format!("code:{code:032x}"), format!("key:{:032x}", load::code()));
        let words = ["EVALSHA", &self.script, "3", &guard, &key, "checked", &load::body_of(code)];
        self.connection.call(&words).await.map(drop)
    }
}
