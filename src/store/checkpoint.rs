//! Checkpoints: the WAL's frames move into the database, on a connection of their own so that the writer need not wait.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::{StoreError, schema};

/// Moves frames of the WAL into the database as far as readers let it; how many frames the WAL held.
pub(super) fn passive(connection: &Connection) -> Result<u32, StoreError> {
    let frames: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    Ok(u32::try_from(frames).unwrap_or(0))
}

/// Moves the WAL into the database beside the writer. Its clones share one connection.
#[derive(Clone, Debug)]
pub struct Checkpointer {
    path: PathBuf,
    connection: Arc<Mutex<Option<Connection>>>,
}

/// While it is held no checkpoint runs and the checkpointer has no connection to the database.
#[derive(Debug)]
pub struct Paused<'a> {
    _held: MutexGuard<'a, Option<Connection>>,
}

impl Checkpointer {
    /// Of the database at `path`; opened at the first use.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, connection: Arc::default() }
    }

    /// Moves what it can without disturbing anybody.
    ///
    /// # Errors
    /// The database cannot be opened or written.
    pub fn run(&self) -> Result<(), StoreError> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match held.take() {
            Some(connection) => connection,
            None => schema::open_checkpointer(&self.path)?,
        };
        passive(&connection)?;
        *held = Some(connection);
        Ok(())
    }

    /// Waits for a checkpoint that runs, and lets none begin: the database is about to be set aside.
    #[must_use]
    pub fn pause(&self) -> Paused<'_> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
        Paused { _held: held }
    }
}
