//! The rows whose attempts are under way, as they were when they were claimed: they need not be
//! read again when their attempts have ended.

use std::collections::HashMap;

use super::row::Stored;
use crate::redemption::Seq;

/// How many rows are kept; beyond that all are forgotten, and read again instead.
const ROWS_MAX: usize = 256;

/// Rows by their numbers. What is here may be stale, or of a transaction that was rolled back:
/// whoever changes the row makes sure that it still is so.
#[derive(Debug, Default)]
pub(super) struct InFlightRows(HashMap<Seq, Stored>);

impl InFlightRows {
    /// A row whose attempt begins.
    pub(super) fn note(&mut self, row: Stored) {
        if self.0.len() >= ROWS_MAX {
            self.0.clear();
        }
        self.0.insert(row.seq, row);
    }

    /// A row whose attempt is over, as it was when it was claimed; `None`: it is to be read.
    pub(super) fn take(&mut self, seq: Seq) -> Option<Stored> {
        self.0.remove(&seq)
    }

    /// A row that was not sent after all.
    pub(super) fn forget(&mut self, seq: Seq) {
        self.0.remove(&seq);
    }
}
