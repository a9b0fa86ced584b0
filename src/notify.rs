//! systemd: ready, status, watchdog, reload, credentials, sockets.
//!
//! Without systemd (no `NOTIFY_SOCKET`, no `LISTEN_FDS`) everything here is a no-op, and the daemon
//! runs the same.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use systemd::daemon;

/// The longest status line that is sent, in characters; `systemctl status` shows one line.
pub const STATUS_CHARS_MAX: usize = 300;

/// How long [`Notify::while_it_takes`] asks for more time, and how often.
pub const LONG_WORK_MAX: Duration = Duration::from_secs(3600);
const ASK_EVERY: Duration = Duration::from_secs(30);

/// How many messages may wait for a service manager that is busy; further ones are dropped.
const MESSAGES_MAX: usize = 32;

type NotifyMessage = Vec<(&'static str, String)>;

/// The line to the service manager. Its messages leave from a thread of their own, in order: the
/// library waits while the manager does not read, and tills must not.
#[derive(Clone, Debug)]
pub struct Notify {
    line: Option<SyncSender<NotifyMessage>>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn from_env() -> Self {
        // The library checks WATCHDOG_PID; 0 means that nobody watches.
        let watchdog_us = daemon::watchdog_enabled().unwrap_or(0);
        let line = if is_watched() { open_line() } else { None };
        Self { line, watchdog: (watchdog_us > 0).then(|| Duration::from_micros(watchdog_us)) }
    }

    /// A line to nobody: for tests and for commands.
    #[must_use]
    pub fn disconnected() -> Self {
        Self { line: None, watchdog: None }
    }

    /// Start or reload is done.
    pub fn ready(&self) {
        self.send(&[("READY", "1")]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, text: &str) {
        self.send(&[("STATUS", one_line(text).as_str())]);
    }

    /// A reload has begun; [`Notify::ready`] ends it. `Type=notify-reload` wants the monotonic time
    /// beside it.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now_us =
            now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000).to_string();
        self.send(&[("RELOADING", "1"), ("MONOTONIC_USEC", now_us.as_str())]);
    }

    /// The ordered stop has begun.
    pub fn stopping(&self) {
        self.send(&[("STOPPING", "1")]);
    }

    /// How long the manager waits for a sign of life before it ends the process; feed at less than
    /// half of it.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// A sign of life: call it for progress, not by a timer.
    pub fn feed(&self) {
        self.send(&[("WATCHDOG", "1")]);
    }

    /// Start, reload or stop needs at least this much more time.
    fn extend_timeout(&self, by: Duration) {
        self.send(&[("EXTEND_TIMEOUT_USEC", by.as_micros().to_string().as_str())]);
    }

    /// Does `work`, which may take long (a million rows to salvage), and asks for more time as long
    /// as it goes on, but for [`LONG_WORK_MAX`] in all.
    pub fn while_it_takes<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.line.is_none() {
            return work();
        }
        let (done, is_done) = sync_channel::<()>(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let asks = LONG_WORK_MAX.as_secs() / ASK_EVERY.as_secs();
                for _ in 0..asks {
                    self.extend_timeout(2 * ASK_EVERY);
                    if is_done.recv_timeout(ASK_EVERY) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    fn send(&self, state: &[(&'static str, &str)]) {
        let Some(line) = &self.line else { return };
        let message = state.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if let Err(error) = line.try_send(message) {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }
}

fn open_line() -> Option<SyncSender<NotifyMessage>> {
    let (line, messages) = sync_channel(MESSAGES_MAX);
    let thread =
        std::thread::Builder::new().name("notify".to_owned()).spawn(move || tell_all(&messages));
    thread
        .inspect_err(|error| tracing::error!(%error, "the service manager cannot be told anything"))
        .ok()?;
    Some(line)
}

fn tell_all(messages: &Receiver<NotifyMessage>) {
    for message in messages {
        if let Err(error) = daemon::notify(message.iter()) {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }
}

/// The status in one line: a line break would be read as the next assignment, and a NUL ends the
/// message.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_CHARS_MAX).collect()
}

/// Whether a service manager waits for this process to be ready.
#[must_use]
pub fn is_watched() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty())
}

/// How long the service manager may take to say what a unit is like.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// The addresses on which systemd listens for `unit`; none where there is no such unit, or nobody
/// to ask.
pub async fn unit_addresses(unit: &str) -> Vec<SocketAddr> {
    addresses(&shown(&["--property=Listen", "--value", unit]).await)
}

/// These properties of `unit`, separated by commas, as `NAME=value` a line; nothing where there is
/// nobody to ask.
pub async fn unit_properties(unit: &str, properties: &str) -> String {
    shown(&["--property", properties, unit]).await
}

async fn shown(args: &[&str]) -> String {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        return String::new();
    }
    let mut ask = tokio::process::Command::new("systemctl");
    ask.arg("show").args(args).kill_on_drop(true);
    match tokio::time::timeout(ASKED_WITHIN, ask.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

/// `127.0.0.1:7733 (Stream)` a line; paths are no addresses.
fn addresses(text: &str) -> Vec<SocketAddr> {
    text.lines().filter_map(|line| line.strip_suffix(" (Stream)")?.trim().parse().ok()).collect()
}

/// A socket that systemd bound, listens on and handed in.
#[derive(Debug)]
pub enum Handed {
    /// `ListenStream=` with a port.
    Tcp(TcpListener),
    /// `ListenStream=` with a path.
    Unix(UnixListener),
}

/// Why the sockets cannot be used; a unit file is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// `LISTEN_FDS` and its companions contradict each other or the descriptors.
    #[error("the sockets handed in by systemd cannot be read: {0}")]
    Environment(String),
    /// A descriptor that is no listening stream socket.
    #[error("the socket {name} handed in by systemd is not a listening TCP or Unix stream socket")]
    Kind {
        /// Its `FileDescriptorName=`.
        name: String,
    },
}

/// The sockets of `LISTEN_FDS` with their `FileDescriptorName=`, if they are meant for this
/// process. They are owned from here on, so this is called once, at start. All are set
/// non-blocking, as tokio wants them.
pub fn listen_fds() -> Result<Vec<(String, Handed)>, SocketsError> {
    // The library checks the counts and sets close-on-exec; the other crate is the safe way to own
    // the descriptors.
    let named = daemon::listen_fds_with_names()
        .map_err(|error| SocketsError::Environment(error.to_string()))?;
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let kinds: Vec<SocketKind> = named.iter().map(|(fd, _)| kind(fd)).collect();
    let owned =
        sd_listen_fds::get().map_err(|error| SocketsError::Environment(error.to_string()))?;
    let sockets = owned.into_iter().zip(kinds).map(|((name, fd), kind)| {
        let name = name.unwrap_or_else(|| "unknown".to_owned());
        let socket = match kind {
            SocketKind::Tcp => Handed::Tcp(TcpListener::from(fd)),
            SocketKind::Unix => Handed::Unix(UnixListener::from(fd)),
            SocketKind::Other => return Err(SocketsError::Kind { name }),
        };
        unblocked(&socket).map_err(|error| SocketsError::Environment(error.to_string()))?;
        Ok((name, socket))
    });
    sockets.collect()
}

enum SocketKind {
    Tcp,
    Unix,
    Other,
}

fn kind(fd: std::os::fd::RawFd) -> SocketKind {
    let stream = || Some(daemon::SocketType::Stream);
    let listens = || daemon::Listening::IsListening;
    if daemon::is_socket_inet(fd, None, stream(), listens(), None).unwrap_or(false) {
        SocketKind::Tcp
    } else if daemon::is_socket_unix(fd, stream(), listens(), None::<&str>).unwrap_or(false) {
        SocketKind::Unix
    } else {
        SocketKind::Other
    }
}

fn unblocked(socket: &Handed) -> std::io::Result<()> {
    match socket {
        Handed::Tcp(listener) => listener.set_nonblocking(true),
        Handed::Unix(listener) => listener.set_nonblocking(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_cannot_smuggle_a_second_assignment() {
        assert_eq!(one_line("all is well\nMAINPID=1\0"), "all is well MAINPID=1 ");
        assert_eq!(one_line(&"x".repeat(1000)).len(), STATUS_CHARS_MAX);
    }

    #[test]
    fn without_systemd_nothing_is_handed_in_and_nothing_fails() {
        assert!(listen_fds().unwrap().is_empty());
        let notify = Notify::disconnected();
        notify.ready();
        notify.status("all is well");
        notify.feed();
        assert_eq!(notify.watchdog_interval(), None);
    }

    #[test]
    fn the_addresses_of_a_socket_unit_are_read_and_its_paths_are_not() {
        let text = "127.0.0.1:7733 (Stream)\n/run/x.sock (Stream)\n[::1]:7733 \
            (Stream)\n127.0.0.1:9 (Datagram)\n";
        assert_eq!(
            addresses(text),
            ["127.0.0.1:7733".parse().unwrap(), "[::1]:7733".parse().unwrap()]
        );
    }
}
