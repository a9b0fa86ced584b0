//! Checkpoints: the WAL's frames move into the database, on a connection of their own so that the
//! writer need not wait.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{StoreError, WAL_FRAMES_HARD, WAL_FRAMES_SOFT, files, schema};

/// Moves frames of the WAL into the database as far as readers let it; how many frames the WAL
/// held.
pub(super) fn passive(connection: &Connection) -> Result<u32, StoreError> {
    let frames: i64 =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    Ok(u32::try_from(frames).unwrap_or(0))
}

/// What the writer does about the log after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Asks for a checkpoint beside it.
    Ask,
    /// Moves what is left itself, before anything else is committed: the log begins anew.
    Here,
}

static X: std::sync::LazyLock<(u32, bool)> = std::sync::LazyLock::new(|| {
    let n = std::env::var("REDEEMD_X_SOFT").ok().and_then(|n| n.parse().ok());
    (n.unwrap_or(WAL_FRAMES_SOFT), std::env::var("REDEEMD_X_HERE").is_ok())
});

/// When the log is moved: once per [`WAL_FRAMES_SOFT`] frames. A log begins anew only when all of
/// it is in the database at the start of a commit, and a checkpoint beside a busy writer never
/// reaches the end: the writer moves the little that was committed meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    frames: u32,
    asked_at: u32,
}

impl Pace {
    /// After a commit that left the log `frames` long; `was_moved`: a checkpoint beside the writer
    /// has ended since.
    pub fn after_commit(&mut self, frames: u32, was_moved: bool) -> Step {
        if frames < self.frames {
            self.asked_at = 0;
        }
        self.frames = frames;
        let soft = X.0;
        if was_moved && frames >= soft {
            return Step::Here;
        }
        if frames.saturating_sub(self.asked_at) < soft {
            return Step::Nothing;
        }
        self.asked_at = frames;
        if X.1 {
            return Step::Here;
        }
        if frames >= WAL_FRAMES_HARD { Step::Here } else { Step::Ask }
    }
}

/// The checkpointer's hold on the database. The file is there to be synced; it is closed with the
/// connection, since closing it ends this process's locks on the database.
#[derive(Debug)]
struct Beside {
    connection: Connection,
    database: File,
}

impl Beside {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_checkpointer(path)?;
        let database = File::open(path).map_err(files::file_error(path))?;
        Ok(Self { connection, database })
    }
}

/// Moves the WAL into the database beside the writer. Its clones share one connection.
#[derive(Clone, Debug)]
pub struct Checkpointer {
    path: PathBuf,
    beside: Arc<Mutex<Option<Beside>>>,
    has_moved: Arc<AtomicBool>,
}

/// While it is held no checkpoint runs and the checkpointer has no connection to the database.
#[derive(Debug)]
pub struct Paused<'a> {
    _held: MutexGuard<'a, Option<Beside>>,
}

impl Checkpointer {
    /// Of the database at `path`; opened at the first use.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, beside: Arc::default(), has_moved: Arc::default() }
    }

    /// Moves what it can without disturbing anybody, and syncs it. SQLite leaves out that sync
    /// where the writer went on meanwhile; the writer would then wait for all of it.
    ///
    /// # Errors
    /// The database cannot be opened, written or synced.
    pub fn run(&self) -> Result<(), StoreError> {
        let mut held = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = match &mut *held {
            Some(beside) => beside,
            none => none.insert(Beside::open(&self.path)?),
        };
        passive(&beside.connection)?;
        beside
            .database
            .sync_data()
            .map_err(|error| StoreError::Unsynced { path: self.path.clone(), error })?;
        self.has_moved.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a checkpoint has ended since this was last asked.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::AcqRel)
    }

    /// Waits for a checkpoint that runs, and lets none begin: the database is about to be set
    /// aside.
    #[must_use]
    pub fn pause(&self) -> Paused<'_> {
        let mut held = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        Paused { _held: held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_moved_once_per_thousand_frames_and_its_end_by_the_writer() {
        let mut pace = Pace::default();
        assert_eq!(pace.after_commit(999, false), Step::Nothing);
        assert_eq!(pace.after_commit(1002, false), Step::Ask);
        assert_eq!(pace.after_commit(1005, false), Step::Nothing, "it is asked for");
        assert_eq!(pace.after_commit(1020, true), Step::Here);
        assert_eq!(pace.after_commit(3, false), Step::Nothing, "it has begun anew");
        assert_eq!(pace.after_commit(1001, false), Step::Ask);
    }

    #[test]
    fn a_log_that_a_reader_holds_is_tried_once_per_thousand_frames_however_long_it_is() {
        let mut pace = Pace::default();
        let steps = (0..20_000).step_by(4).map(|frames| pace.after_commit(frames, false));
        let steps: Vec<Step> = steps.filter(|step| *step != Step::Nothing).collect();
        assert_eq!(steps[..7], [Step::Ask; 7]);
        assert_eq!(steps[7..], [Step::Here; 12]);
    }

    #[test]
    fn a_log_that_an_idle_hour_has_moved_is_not_moved_again_for_a_few_frames() {
        assert_eq!(Pace::default().after_commit(5, true), Step::Nothing);
    }
}
