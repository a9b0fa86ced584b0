//! Checkpoints: the WAL's frames move into the database, on a connection of their own so that the
//! writer need not wait.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{StoreError, WAL_FRAMES_SOFT, WAL_FRAMES_TIGHT, connection, files};

/// Moves frames of the WAL into the database as far as readers let it; how many frames the WAL
/// held, and whether all of them are in the database now.
pub(super) fn passive(connection: &Connection) -> Result<(u32, bool), StoreError> {
    let moved = |row: &rusqlite::Row<'_>| {
        let (busy, frames, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((u32::try_from(frames).unwrap_or(0), busy == 0 && frames == moved))
    };
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], moved)?)
}

/// When the writer moves the log, before anything else is committed: once per [`WAL_FRAMES_SOFT`]
/// frames, sooner where there is little space for it. A log begins anew only when all of it is in
/// the database at the start of a commit, which a checkpoint beside a busy writer never reaches.
/// And a card does one sync after the other: what is synced beside the commits makes several of
/// them wait, what is synced between two of them one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    frames: u32,
    moved_at: u32,
}

impl Pace {
    /// After a commit that left the log `frames` long: whether it is moved now. One that a reader
    /// holds is tried again after as many frames more.
    pub fn after_commit(&mut self, frames: u32, is_ample: bool) -> bool {
        if frames < self.frames {
            self.moved_at = 0;
        }
        self.frames = frames;
        let most = if is_ample { WAL_FRAMES_SOFT } else { WAL_FRAMES_TIGHT };
        let is_due = frames.saturating_sub(self.moved_at) >= most;
        if is_due {
            self.moved_at = frames;
        }
        is_due
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
        let connection = connection::open_checkpointer(path)?;
        let database = File::open(path).map_err(files::file_error(path))?;
        Ok(Self { connection, database })
    }
}

/// Which syncs there are beside the last one, of the database.
#[derive(Clone, Copy, Debug)]
enum Syncing {
    /// SQLite syncs before it says that the log may begin anew: the writer might do so at once.
    BySqliteToo,
    OnceAtTheEnd,
}

impl Syncing {
    fn pragma(self) -> &'static str {
        match self {
            Self::BySqliteToo => "2",
            Self::OnceAtTheEnd => "0",
        }
    }
}

/// Moves the WAL into the database beside the writer. Its clones share one connection.
#[derive(Clone, Debug)]
pub struct Checkpointer {
    path: PathBuf,
    beside: Arc<Mutex<Option<Beside>>>,
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
        Self { path, beside: Arc::default() }
    }

    /// Moves what it can without disturbing anybody, and syncs it. SQLite leaves out that sync
    /// where the writer went on meanwhile; the writer would then wait for all of it.
    ///
    /// # Errors
    /// The database cannot be opened, written or synced.
    pub fn run(&self) -> Result<(), StoreError> {
        self.move_log(Syncing::BySqliteToo)
    }

    /// As [`Self::run`], by the writer itself between two commits. The log is synced as each commit
    /// left it, and nobody begins it anew meanwhile: it takes one sync, that of the database.
    ///
    /// # Errors
    /// As [`Self::run`]. Nothing may be committed after one that did not sync.
    pub fn run_between_commits(&self) -> Result<(), StoreError> {
        self.move_log(Syncing::OnceAtTheEnd)
    }

    fn move_log(&self, syncing: Syncing) -> Result<(), StoreError> {
        let mut held = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = match &mut *held {
            Some(beside) => beside,
            none => none.insert(Beside::open(&self.path)?),
        };
        connection::set(&beside.connection, "synchronous", syncing.pragma())?;
        passive(&beside.connection)?;
        beside
            .database
            .sync_data()
            .map_err(|error| StoreError::Unsynced { path: self.path.clone(), error })
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
    fn a_log_is_moved_once_per_four_thousand_frames() {
        let mut pace = Pace::default();
        assert!(!pace.after_commit(3999, true));
        assert!(pace.after_commit(4002, true));
        assert!(!pace.after_commit(3, true), "it has begun anew");
        assert!(!pace.after_commit(3990, true));
        assert!(pace.after_commit(4001, true));
    }

    #[test]
    fn a_log_that_a_reader_holds_is_tried_once_per_four_thousand_frames_however_long_it_is() {
        let mut pace = Pace::default();
        let moved = (0..20_000).step_by(4).filter(|frames| pace.after_commit(*frames, true));
        assert_eq!(moved.collect::<Vec<_>>(), [4000, 8000, 12_000, 16_000]);
    }

    #[test]
    fn where_space_is_not_ample_a_log_is_moved_once_per_thousand_frames() {
        let mut pace = Pace::default();
        assert!(!pace.after_commit(999, false));
        assert!(pace.after_commit(1000, false));
        assert!(!pace.after_commit(1990, false));
    }
}
