//! The books recounted from the rows, slice by slice on the writer, exact whatever happens between two slices.

use std::collections::BTreeMap;

use super::row::state_of;
use super::{Desk, StoreError};
use crate::redemption::{Seq, State};

/// How many rows one slice counts.
const SLICE_ROWS: i64 = 500;

/// What one slice found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recounted {
    /// Every row was counted.
    pub finished: bool,
    /// Where the books say something else than the rows; known when finished.
    pub differences: Vec<String>,
}

/// A recount under way: rows up to `upto` are counted, and what happens to them since is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Recount {
    upto: i64,
    rows: BTreeMap<(i64, u8), u64>,
}

impl Recount {
    /// A row went from one state to another, or out of the store.
    pub(super) fn follow(&mut self, seq: Seq, lane: i64, (from, to): (State, Option<State>)) {
        if seq.0 > self.upto {
            return;
        }
        let left = self.rows.entry((lane, from as u8)).or_default();
        *left = left.saturating_sub(1);
        if let Some(to) = to {
            *self.rows.entry((lane, to as u8)).or_default() += 1;
        }
    }

    pub(super) fn counted(&self, lane: i64, state: State) -> u64 {
        self.rows.get(&(lane, state as u8)).copied().unwrap_or(0)
    }
}

impl Desk<'_> {
    /// Counts one slice. Rows that come in the meantime have higher numbers and are counted at the end.
    pub(super) fn recount(&mut self, begin: bool) -> Result<Recounted, StoreError> {
        let mut under_way = self.books.recount.take().filter(|_| !begin).unwrap_or_default();
        let slice = self.slice(under_way.upto)?;
        for (seq, lane, state) in &slice {
            under_way.upto = *seq;
            *under_way.rows.entry((*lane, *state)).or_default() += 1;
        }
        if slice.len() < usize::try_from(SLICE_ROWS).unwrap_or(0) {
            return Ok(Recounted { finished: true, differences: self.books.differences(&under_way) });
        }
        self.books.recount = Some(under_way);
        Ok(Recounted::default())
    }

    fn slice(&self, after: i64) -> Result<Vec<(i64, i64, u8)>, StoreError> {
        let sql = "SELECT seq, lane, state, marks, settled_ms FROM redemption WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let mut statement = self.sql.prepare_cached(sql)?;
        let rows = statement.query_map((after, SLICE_ROWS), |row| {
            Ok((row.get(0)?, row.get(1)?, state_of(row.get(2)?, row.get(3)?, row.get(4)?)? as u8))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
