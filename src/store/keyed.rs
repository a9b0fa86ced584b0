//! The newest redemptions of reusable codes to which their tills gave a key, found by the five
//! fields: a till that asks again without the key means the same.
//!
//! Others of such a code may be too many to be looked through, and an index would be written for
//! each. A repeat comes soon, so that the newest are kept in memory; a start forgets them.

use std::collections::HashMap;

use super::row::Stored;
use crate::redemption::Seq;

/// How many rows each half keeps. When one is full the other is forgotten.
const HALF_ROWS_MAX: usize = 2048;

/// A till and the fingerprint of its request.
type AskedFields = (String, [u8; 16]);

/// Rows by what their tills asked. What is here may be of a transaction that was rolled back:
/// whoever finds a row makes sure that it is the one.
#[derive(Debug, Default)]
pub(super) struct KeyedRows {
    newest: HashMap<AskedFields, Seq>,
    older: HashMap<AskedFields, Seq>,
}

impl KeyedRows {
    /// A row is accepted.
    pub(super) fn note(&mut self, row: &Stored) {
        if self.newest.len() >= HALF_ROWS_MAX {
            self.older = std::mem::take(&mut self.newest);
        }
        self.newest.insert((row.till.clone(), row.request), row.seq);
    }

    /// The newest row of this till and request.
    pub(super) fn find(&self, till: &str, request: [u8; 16]) -> Option<Seq> {
        if self.newest.is_empty() && self.older.is_empty() {
            return None;
        }
        let asked = (till.to_owned(), request);
        self.newest.get(&asked).or_else(|| self.older.get(&asked)).copied()
    }
}
