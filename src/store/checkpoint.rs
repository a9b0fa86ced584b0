//! Checkpoints on a connection of their own, so that the writer need not wait for them.

use std::path::PathBuf;

use rusqlite::Connection;

use super::{StoreError, files, schema};

/// Moves the WAL into the database beside the writer.
#[derive(Debug)]
pub struct Checkpointer {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Checkpointer {
    /// Of the database at `path`; opened at the first use.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, connection: None }
    }

    /// Moves what it can without disturbing anybody.
    ///
    /// # Errors
    /// The database cannot be opened or written.
    pub fn run(&mut self) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::open_checkpointer(&self.path)?,
        };
        files::checkpoint(&connection)?;
        self.connection = Some(connection);
        Ok(())
    }
}
