//! The rows whose attempts are under way, as they were when they were claimed: what never changes of
//! a row is not read again when its attempt has ended.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::row::{self, Stored, state_of};
use crate::redemption::Seq;

/// How many rows are kept; beyond that all are forgotten, and read again instead.
const ROWS_MAX: usize = 256;
/// What may have changed meanwhile, and what tells that it is still the same row.
const CHANGING: &str = "SELECT state, in_flight, marks, attempts, settled_ms, crc FROM redemption \
    WHERE seq = ?1";

/// Rows by their numbers. What is here may be stale, or of a transaction that was rolled back:
/// whoever takes a row out gets it as the table has it.
#[derive(Debug, Default)]
pub(super) struct Flying(HashMap<Seq, Stored>);

impl Flying {
    /// A row whose attempt begins.
    pub(super) fn note(&mut self, row: Stored) {
        if self.0.len() >= ROWS_MAX {
            self.0.clear();
        }
        self.0.insert(row.seq, row);
    }

    /// A row whose attempt is over, as it stands in the table now.
    ///
    /// # Errors
    /// The row cannot be read.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        seq: Seq,
    ) -> Result<Option<Stored>, StoreError> {
        let Some(known) = self.0.remove(&seq) else { return row::by_seq(connection, seq) };
        let now = |row: &Row<'_>| as_it_is(known, row);
        let found = connection.prepare_cached(CHANGING)?.query_row([seq.0], now).optional()?;
        match found {
            Some(Some(row)) => Ok(Some(row)),
            Some(None) => row::by_seq(connection, seq),
            None => Ok(None),
        }
    }

    /// A row that was not sent after all.
    pub(super) fn forget(&mut self, seq: Seq) {
        self.0.remove(&seq);
    }
}

/// The row with what may have changed; `None`: another row has its number now.
fn as_it_is(known: Stored, row: &Row<'_>) -> rusqlite::Result<Option<Stored>> {
    let (marks, settled_ms) = (row.get(2)?, row.get(4)?);
    let state = state_of(row.get(0)?, marks, settled_ms)?;
    let (in_flight, attempts, crc): (bool, u32, u32) = (row.get(1)?, row.get(3)?, row.get(5)?);
    let is_it = crc == known.crc;
    Ok(is_it.then_some(Stored { state, in_flight, marks, attempts, settled_ms, ..known }))
}
