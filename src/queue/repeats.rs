//! How often each redemption was asked for again, in memory and in bounded space.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::redemption::Seq;

/// How many redemptions are counted; beyond that all counts begin anew.
const ROWS_MAX: usize = 4096;

/// Repeats since the start, by row.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Seq, u32>>);

impl Repeats {
    /// One more request for this row; how many there were after the first.
    pub(super) fn count(&self, seq: Seq) -> u32 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROWS_MAX && !all.contains_key(&seq) {
            all.clear();
        }
        let count = all.entry(seq).or_default();
        *count = count.saturating_add(1);
        *count
    }
}
