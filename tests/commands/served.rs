//! What the manual page shows of the commands that go on until they are told to stop: a provider
//! to test against and a gateway, while one redemption passes through both.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::shown::{RANDOM_PART, VERSION};

/// The commands as the page has them.
const GATEWAY: &str = "redeemd run";
const SANDBOX: &str = "redeemd sandbox --seed 7";
/// When everything happens on the page.
const AT: &str = "2024-11-01T10:00:00Z";
const AT_SECONDS: &str = "     0.412";
/// Where the sandbox listens unless it is told otherwise.
const SANDBOX_AT: &str = "127.0.0.1:7799";

/// A process and what it has printed.
pub(super) struct Served {
    child: Child,
    lines: BufReader<std::io::PipeReader>,
    pub(super) text: String,
}

impl Served {
    pub(super) fn start(args: &[&str]) -> Self {
        let (out, input) = std::io::pipe().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_redeemd"));
        for variable in ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "JOURNAL_STREAM", "REDEEMD_LOG"] {
            command.env_remove(variable);
        }
        let child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(input.try_clone().unwrap())
            .stderr(input)
            .spawn();
        Self { child: child.unwrap(), lines: BufReader::new(out), text: String::new() }
    }

    /// Reads on until a line has this in it.
    pub(super) fn until(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without {part:?}: {}", self.text);
            self.text.push_str(&line);
        }
    }

    /// Everything that it printed, once it has ended in order.
    pub(super) fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.lines.read_to_string(&mut self.text).unwrap();
        assert!(self.child.wait().unwrap().code().is_some_and(|code| code == 0), "{}", self.text);
        self.text
    }
}

pub(super) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings(folder: &Path, intake: SocketAddr, provider: &str) -> String {
    let (folder, admin) = (folder.display(), free_port());
    format!(
        "[gateway]\nname = \"branch-042\"\nstate_dir = \"{folder}/state\"\n[intake]\nlisten \
         = \"{intake}\"\n[admin]\nlisten = \"{admin}\"\nsocket \
         = \"{folder}/admin.sock\"\n[[provider]]\nname = \"retm\"\nredeem_url \
         = \"http://{provider}/redeem\"\ntoken_file = \"{folder}/token\"\n"
    )
}

/// What a till is answered, head and body.
pub(crate) fn post(at: SocketAddr, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /redeem HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn redeem(at: SocketAddr) {
    let body = r#"{"reward_code":"SUMMER-2024-A34F","business_refrence":"shop","branch_id":"042",
        "date":"2024-11-01 13:00:00","timestamp":"1"}"#;
    let answer = post(at, body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Each command with what it prints, with the page's times, addresses and ids.
pub(crate) fn printed() -> BTreeMap<&'static str, String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("state")).unwrap();
    let mut token = std::fs::OpenOptions::new();
    let token = token.write(true).create_new(true).mode(0o600).open(folder.join("token"));
    token.unwrap().write_all(b"token").unwrap();
    let mut sandbox = Served::start(&["sandbox", "--seed", "7", "--listen", "127.0.0.1:0"]);
    sandbox.until("seed");
    let provider = sandbox.text.split(['/', '\n']).nth(2).unwrap().to_owned();
    let (intake, file) = (free_port(), folder.join("redeemd.toml"));
    std::fs::write(&file, settings(folder, intake, &provider)).unwrap();
    let mut gateway = Served::start(&["run", "--config", file.to_str().unwrap()]);
    gateway.until("is up");
    redeem(intake);
    sandbox.until("#1");
    gateway.until("is confirmed");
    let (gateway, sandbox) = (gateway.stop(), sandbox.stop());
    let (_, after) = gateway.split_once("id=").unwrap();
    let (id, shown) = (after.split(' ').next().unwrap(), format!("1-{RANDOM_PART}"));
    let sandbox = sandbox.replace(&provider, SANDBOX_AT);
    BTreeMap::from([
        (GATEWAY, gateway.replace(id, &shown).lines().map(logged).collect()),
        (SANDBOX, sandbox.replace(id, &shown).lines().map(told).collect()),
    ])
}

/// A line of the gateway's log.
fn logged(line: &str) -> String {
    let rest = line.get(AT.len()..).unwrap_or_default();
    format!("{AT}{}\n", rest.replace(env!("CARGO_PKG_VERSION"), VERSION))
}

/// A line of the sandbox: one about a request begins with seconds.
fn told(line: &str) -> String {
    match line.split_once(" #").filter(|_| line.starts_with(' ')) {
        Some((_, rest)) => format!("{AT_SECONDS} #{rest}\n"),
        None => format!("{line}\n"),
    }
}
