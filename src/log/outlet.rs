//! The way out for log lines: a bounded queue and a thread of its own, so that who logs never waits
//! for who reads.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that may wait to be written.
pub(super) const LINES_MAX: usize = 4096;
/// Bytes of the lines that wait.
pub(super) const BYTES_MAX: usize = 1024 * 1024;
/// It formats no more than a number.
const STACK_BYTES: usize = 128 * 1024;

/// Where the thread writes, waiting as long as it takes.
pub(super) enum Sink {
    /// A stream, a line a write.
    Stream(File),
    /// The journal's socket, a line a datagram. It is named at each send, since a restarted journal
    /// has another.
    Datagrams(UnixDatagram, PathBuf),
}

impl Sink {
    /// Our standard error under a descriptor of its own: the standard library's lock must stay free
    /// for who says a last word there while the thread waits in a write.
    pub(super) fn stderr() -> io::Result<Self> {
        use std::os::fd::AsFd;
        Ok(Self::Stream(File::from(io::stderr().as_fd().try_clone_to_owned()?)))
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(file) => file.write_all(line),
            Self::Datagrams(socket, path) => socket.send_to(line, path).map(drop),
        }
    }
}

/// Lines on their way out.
pub(super) struct Outlet {
    waiting: Mutex<WaitingLines>,
    /// A line has come.
    arrived: Condvar,
    /// Nothing waits or is being written.
    quiet: Condvar,
    /// Ever dropped.
    dropped: AtomicU64,
}

#[derive(Default)]
struct WaitingLines {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Dropped, and nobody has been told yet.
    untold: u64,
    is_writing: bool,
}

impl Outlet {
    /// An outlet into `sink`. `notice` makes the line that says how many were dropped.
    pub(super) fn open(
        sink: Sink,
        notice: impl Fn(u64) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let outlet = Arc::new(Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            quiet: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writes = Arc::clone(&outlet);
        let thread = std::thread::Builder::new().name("log".to_owned()).stack_size(STACK_BYTES);
        // It is never joined: it may be in a write that nobody lets end.
        thread.spawn(move || writes.write_for_ever(sink, notice))?;
        Ok(outlet)
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a line over, or drops it where too many wait.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut waiting = self.waiting();
        if waiting.lines.len() >= LINES_MAX || waiting.bytes + line.len() > BYTES_MAX {
            waiting.untold += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.into_boxed_slice());
        drop(waiting);
        self.arrived.notify_one();
    }

    /// How many lines were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, for at most `within`; whether they are.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let is_busy = |waiting: &mut WaitingLines| waiting.is_writing || !waiting.lines.is_empty();
        let ended = self.quiet.wait_timeout_while(self.waiting(), within, is_busy);
        !ended.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn write_for_ever(&self, mut sink: Sink, notice: impl Fn(u64) -> Vec<u8>) {
        loop {
            let line = self.next();
            if sink.put(&line).is_err() {
                self.lost(1);
                continue;
            }
            // It can be said again, so it is, before the lines that waited meanwhile.
            let untold = std::mem::take(&mut self.waiting().untold);
            if untold > 0 && sink.put(&notice(untold)).is_err() {
                self.waiting().untold += untold;
            }
        }
    }

    fn lost(&self, lines: u64) {
        self.waiting().untold += lines;
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// The next line, once there is one; the one before it is written.
    fn next(&self) -> Box<[u8]> {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.is_writing = true;
                return line;
            }
            // A burst's room is not kept.
            waiting.lines = VecDeque::new();
            waiting.is_writing = false;
            self.quiet.notify_all();
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn notice(dropped: u64) -> Vec<u8> {
        format!("dropped {dropped}\n").into_bytes()
    }

    /// Pushes numbered lines until one is dropped; how many were pushed.
    fn push_until_one_is_dropped(outlet: &Outlet) -> u64 {
        let mut pushed = 0;
        while outlet.dropped() == 0 {
            outlet.push(format!("{pushed}\n").into_bytes());
            pushed += 1;
            assert!(pushed < 10_000_000, "nothing is ever dropped");
        }
        pushed
    }

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody_and_what_was_dropped_is_said_when_it_is_read() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let outlet = Outlet::open(Sink::Stream(file), notice).expect("a thread");
        // More than a pipe holds: from now on the thread is in this write.
        outlet.push([vec![b'x'; 256 * 1024], b"\n".to_vec()].concat());
        let pushed = push_until_one_is_dropped(&outlet);
        for _ in 0..4 {
            outlet.push(b"too many\n".to_vec());
        }
        assert!(!outlet.flush(Duration::from_millis(20)), "the bound is kept");
        let (mut said, mut chunk) = (String::new(), [0; 4096]);
        while !said.ends_with(&format!("\n{}\n", pushed - 2)) {
            let count = reader.read(&mut chunk).expect("a pipe");
            said += std::str::from_utf8(&chunk[..count]).expect("ASCII");
        }
        let lines: Vec<_> = said.lines().skip(1).collect();
        assert_eq!((lines[0], outlet.dropped()), ("dropped 5", 5));
        let numbers: Vec<u64> =
            lines[1..].iter().map(|line| line.parse().expect("a number")).collect();
        assert!(numbers.into_iter().eq(0..=pushed - 2));
        assert!(outlet.flush(Duration::from_secs(20)));
    }

    #[test]
    fn a_stopped_journal_stops_nobody_and_takes_it_all_when_it_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).expect("a socket");
        let socket = UnixDatagram::unbound().expect("a socket");
        let outlet = Outlet::open(Sink::Datagrams(socket, path), notice).expect("a thread");
        push_until_one_is_dropped(&outlet);
        let mut chunk = [0; 4096];
        let mut said = Vec::new();
        while !said.iter().any(|line| line == "dropped 1\n") {
            let count = journal.recv(&mut chunk).expect("a datagram");
            said.push(String::from_utf8_lossy(&chunk[..count]).into_owned());
        }
    }

    #[test]
    fn a_reader_that_went_away_is_counted_and_the_bytes_that_wait_are_bounded() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let outlet = Outlet::open(Sink::Stream(file), notice).expect("a thread");
        outlet.push(b"in vain\n".to_vec());
        assert!(outlet.flush(Duration::from_secs(20)), "it does not try for ever");
        assert_eq!(outlet.dropped(), 1);
        outlet.push(vec![b'x'; BYTES_MAX + 1]);
        assert_eq!(outlet.dropped(), 2);
    }
}
