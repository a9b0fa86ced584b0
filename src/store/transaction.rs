//! A write transaction whose begin and end are prepared once and not each time, and the statements
//! that serve all its rows.

use rusqlite::{CachedStatement, Connection};

use super::StoreError;

/// A write transaction under way. Unless it is committed, it is rolled back when it goes.
pub(super) struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    /// Begins; from here on nobody else writes.
    pub(super) fn begin(connection: &'a Connection) -> Result<Self, StoreError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    /// Makes it durable.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After some errors SQLite has rolled back itself.
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }
}

/// Statements that one transaction runs again and again. Each is taken out of the prepared ones
/// once, since to look for it there costs a third of what a small one does.
pub(super) struct Statements<'a> {
    connection: &'a Connection,
    at_hand: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    /// None is at hand yet.
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, at_hand: Vec::new() }
    }

    /// The statement of this text; it is known by where the text stands.
    pub(super) fn at_hand(
        &mut self,
        sql: &'static str,
    ) -> Result<&mut CachedStatement<'a>, StoreError> {
        let known = self.at_hand.iter().position(|(text, _)| std::ptr::eq(*text, sql));
        if known.is_none() {
            self.at_hand.push((sql, self.connection.prepare_cached(sql)?));
        }
        let place = known.unwrap_or(self.at_hand.len().saturating_sub(1));
        let found = self.at_hand.get_mut(place).map(|(_, statement)| statement);
        found.ok_or(StoreError::Internal("no statement is at hand"))
    }
}
