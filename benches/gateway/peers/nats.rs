//! NATS JetStream with `sync_interval: always`: a message is synced before its publisher hears.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Peer, folder, read_until};
use crate::Failure;
use crate::load::{self, Till};
use crate::process::free_port;

/// Where `packaging/need` puts it: Debian's own is older than the setting.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/nats-server");
const STREAM: &str = r#"{"name":"PENDING","subjects":["redemption"],"storage":"file"}"#;

pub(super) fn start() -> Result<Peer, Failure> {
    let (dir, address) = (folder()?, free_port()?);
    let store = dir.path().display();
    let settings = format!(
        "listen: \"{address}\"\njetstream {{ store_dir: \"{store}\", sync_interval: always }}\n"
    );
    let file = dir.path().join("nats.conf");
    std::fs::write(&file, settings)?;
    let server = if Path::new(SERVER).exists() { SERVER } else { "nats-server" };
    Peer::start(dir, address, Command::new(server).arg("--config").arg(file))
}

/// A connection that publishes and waits for the stream's answer.
pub(super) struct Publish {
    stream: TcpStream,
    buffer: Vec<u8>,
    inbox: String,
}

impl Publish {
    /// Answers come to an inbox of this connection's own.
    async fn ask(&mut self, subject: &str, payload: &str) -> io::Result<()> {
        let request = format!("PUB {subject} {} {}\r\n{payload}\r\n", self.inbox, payload.len());
        self.stream.write_all(request.as_bytes()).await?;
        // MSG inbox 1 length, then a line of JSON. The server's own pings stay unanswered: two may
        // be.
        let whole = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.split_once("MSG ").is_some_and(|(_, rest)| rest.matches("\r\n").count() >= 2)
        };
        read_until(&mut self.stream, &mut self.buffer, whole).await?;
        let text = String::from_utf8_lossy(&self.buffer);
        let known = text.contains("\"seq\":") || text.contains("\"created\":");
        if known { Ok(()) } else { Err(io::Error::other(text.into_owned())) }
    }
}

impl Till for Publish {
    async fn connect(to: SocketAddr) -> io::Result<Self> {
        let inbox = format!("_INBOX.{:032x}", load::code());
        let mut this = Self { stream: load::connect(to).await?, buffer: Vec::new(), inbox };
        let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":false}";
        this.stream.write_all(format!("{hello}\r\nSUB {} 1\r\n", this.inbox).as_bytes()).await?;
        // Made by the first connection; the others are told that it is as they want it.
        this.ask("$JS.API.STREAM.CREATE.PENDING", STREAM).await?;
        Ok(this)
    }

    async fn give(&mut self) -> io::Result<()> {
        self.ask("redemption", &load::body()).await
    }
}
