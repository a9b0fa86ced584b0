//! In the background, in small bites: the look through the file that an unclean stop calls for, and
//! the recount of the books.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Message, Shared, asked};
use crate::store::{
    Inspection, Operation, Recount, RecountOn, Recounted, Trouble, WAL_FRAMES_HARD,
    WAL_FRAMES_SOFT, inspect,
};

/// The first look begins so long after the start: tills and the backlog come first.
const FIRST_AFTER: Duration = Duration::from_secs(30);
/// How often the books are recounted.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Work so long, then pause so long: a fifth of one core.
const BITE: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Between the first slices of a recount, which take a millisecond or two of the writer's time: no
/// till is to notice.
const BETWEEN_SLICES: Duration = Duration::from_millis(100);
/// After so many slices come bites of several, seldom: a small store is recounted within seconds, a
/// large one does not wake an idle box ten times a second.
const QUICK_SLICES: u32 = 10;
/// Between two bites: a million rows take a day or two, a larger store as long as it takes.
const BETWEEN_BITES: Duration = Duration::from_secs(30);
/// How often a look is begun again that had to give way to the log.
const LOOKS_MAX: u32 = 10;

/// Who looks.
pub(super) struct DatabaseCheck {
    pub(super) shared: Arc<Shared>,
    pub(super) messages: mpsc::WeakSender<Message>,
    /// Ends with the writer.
    pub(super) stop: Stop,
    /// The start had no time to look through all of the file.
    pub(super) unchecked: bool,
}

/// Hears when the writer ends.
#[derive(Clone)]
pub(super) struct Stop(Arc<Mutex<Receiver<()>>>);

/// The writer has ended.
struct Stopped;

impl Stop {
    pub(super) fn new(heard: Receiver<()>) -> Self {
        Self(Arc::new(Mutex::new(heard)))
    }

    fn pause(&self, time: Duration) -> Result<(), Stopped> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }
}

impl DatabaseCheck {
    pub(super) fn run(self) {
        // It ends when the writer does: there is nothing more to say.
        drop(self.work());
    }

    fn work(&self) -> Result<(), Stopped> {
        self.stop.pause(FIRST_AFTER)?;
        if self.unchecked {
            self.look_through()?;
        }
        loop {
            self.recount()?;
            self.stop.pause(EVERY)?;
        }
    }

    /// A long reader keeps the log from being begun anew: when it has grown too far the look gives
    /// way.
    fn look_through(&self) -> Result<(), Stopped> {
        for _ in 0..LOOKS_MAX {
            let generation = self.shared.generation.load(Ordering::Acquire);
            let began = Instant::now();
            let is_there = self.shared.place.check();
            match is_there.and_then(|()| inspect(&self.shared.path, self.patience())) {
                Ok(Inspection::Sound) => {
                    tracing::info!(
                        seconds = began.elapsed().as_secs(),
                        "the database was looked through: it is sound"
                    );
                    return Ok(());
                }
                Ok(Inspection::GaveWay) => {}
                Err(error) if error.trouble() == Trouble::Damaged => {
                    return self.send(Message::Damaged(error.to_string(), generation));
                }
                Err(error) => tracing::debug!(%error, "the database could not be looked through"),
            }
            self.stop.pause(FIRST_AFTER)?;
        }
        tracing::warn!("the database was not looked through: there was always too much traffic");
        Ok(())
    }

    /// Works in bites, and gives way when the log has grown too far.
    fn patience(&self) -> impl FnMut() -> bool + Send + 'static {
        let (stop, shared, mut worked_since) =
            (self.stop.clone(), Arc::clone(&self.shared), Instant::now());
        move || {
            if worked_since.elapsed() >= BITE {
                if stop.pause(PAUSE).is_err() {
                    return false;
                }
                worked_since = Instant::now();
            }
            shared.wal_frames.load(Ordering::Relaxed) < WAL_FRAMES_SOFT.midpoint(WAL_FRAMES_HARD)
        }
    }

    fn recount(&self) -> Result<(), Stopped> {
        for slice in 0..QUICK_SLICES {
            if self.is_done_with(Recount { begin: slice == 0 })? {
                return Ok(());
            }
            self.stop.pause(BETWEEN_SLICES)?;
        }
        while !self.is_done_with(RecountOn)? {
            self.stop.pause(BETWEEN_BITES)?;
        }
        Ok(())
    }

    /// The next part of a recount; whether it was the last.
    fn is_done_with(
        &self,
        part: impl Operation<Output = Recounted> + 'static,
    ) -> Result<bool, Stopped> {
        let (message, answer) = asked::ask(part);
        self.send(message)?;
        let recounted = answer.blocking_recv().map_err(|_| Stopped)?;
        Ok(recounted.map_or(true, |(recounted, _)| recounted.finished))
    }

    fn send(&self, message: Message) -> Result<(), Stopped> {
        let messages = self.messages.upgrade().ok_or(Stopped)?;
        messages.blocking_send(message).map_err(|_| Stopped)
    }
}
