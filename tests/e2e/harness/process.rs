//! A child process of the real binary: its output kept, signalled by its own id alone, dead when
//! dropped.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::within;

/// A running `redeemd`.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts the binary; its standard error goes to the log, and its output too, but for the first
    /// line with `greets`.
    pub(crate) fn start(mut command: Command, greets: bool) -> (Self, String) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let mut readers = vec![keep(stderr, &log)];
        let (mut stdout, mut greeting) = (BufReader::new(stdout), String::new());
        if greets {
            stdout.read_line(&mut greeting).unwrap();
        }
        readers.push(keep(stdout, &log));
        (Self { child, log, readers, ended: None }, greeting)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// All that it has printed, once it has ended.
    pub(crate) fn said(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.log()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill9(&mut self) {
        if self.ended().is_none() {
            self.child.kill().unwrap();
            self.ended = Some(self.child.wait().unwrap());
        }
    }

    /// SIGTERM, and its exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(Signal::TERM);
        }
        let status = within(
            std::time::Duration::from_secs(30),
            "the process has ended after SIGTERM",
            || self.ended(),
        );
        self.said();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- log of process {} ---\n{}--- end ---", self.child.id(), self.log());
        }
    }
}

fn keep(from: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    })
}

/// The binary under test with a subcommand.
pub(crate) fn redeemd(subcommand: &str) -> Command {
    within_command(Command::new(binary()), subcommand)
}

/// The path of the binary under test: cargo's, or `REDEEMD_BINARY`, such as an optimised one whose
/// figures count.
pub(crate) fn binary() -> OsString {
    std::env::var_os("REDEEMD_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_redeemd").into())
}

/// `command`, which begins the binary under test, with a subcommand.
pub(crate) fn within_command(mut command: Command, subcommand: &str) -> Command {
    // Nothing of the caller's systemd or settings may reach the tests.
    for name in [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "STATE_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
        .env_remove("RUNTIME_DIRECTORY")
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("JOURNAL_STREAM");
    command.arg(subcommand);
    command
}
