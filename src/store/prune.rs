//! Settled rows leave after their retention, in small batches.

use super::row;
use super::schema::{kind, mark};
use super::{Desk, StoreError};
use crate::redemption::{Seq, State};

/// How many rows one batch looks at.
const ROWS_LOOKED_AT: i64 = 500;

/// What one batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows left.
    pub rows: u64,
    /// Where the next batch goes on; `None`: the end was reached.
    pub after: Option<Seq>,
}

struct Looked {
    seq: i64,
    state: State,
    settled_ms: Option<i64>,
    marks: i64,
    accepted_ms: i64,
    kind: i64,
    lane: i64,
}

impl Desk<'_> {
    /// Deletes confirmed, declined and voided rows that were settled before `settled_before_ms` under a trusted clock,
    /// never the newest row: its number must not be given again.
    pub(super) fn prune(&mut self, settled_before_ms: i64, after: Seq) -> Result<Pruned, StoreError> {
        if !self.around.stamp.trusted {
            return Ok(Pruned { rows: 0, after: None });
        }
        let looked = self.look(after)?;
        // What was accepted after that moment cannot have been settled before it; what follows is younger still.
        let is_young = |row: &Looked| row.accepted_ms >= settled_before_ms && row.kind & kind::TRUSTED != 0;
        let last = looked.last().filter(|row| !is_young(row)).map(|row| row.seq);
        let newest = self.next_seq.saturating_sub(1);
        let mut rows = 0;
        for row in &looked {
            let old = row.settled_ms.is_some_and(|at| at < settled_before_ms);
            let settled = !matches!(row.state, State::Pending | State::Parked);
            if old && settled && row.marks & mark::SETTLED_TRUSTED != 0 && row.seq != newest {
                self.delete(row.seq)?;
                self.books.forget((Seq(row.seq), row.lane), row.state)?;
                rows += 1;
            }
        }
        let full = looked.len() >= usize::try_from(ROWS_LOOKED_AT).unwrap_or(0);
        Ok(Pruned { rows, after: last.filter(|_| full).map(Seq) })
    }

    fn look(&self, after: Seq) -> Result<Vec<Looked>, StoreError> {
        let sql = "SELECT seq, state, settled_ms, marks, accepted_ms, kind, lane FROM redemption WHERE seq > ?1 \
             ORDER BY seq LIMIT ?2";
        let mut statement = self.sql.prepare_cached(sql)?;
        let rows = statement.query_map((after.0, ROWS_LOOKED_AT), |row| {
            let (seq, settled_ms, marks) = (row.get(0)?, row.get(2)?, row.get(3)?);
            let state = row::state_of(row.get(1)?, marks, settled_ms)?;
            let (accepted_ms, kind, lane) = (row.get(4)?, row.get(5)?, row.get(6)?);
            Ok(Looked { seq, state, settled_ms, marks, accepted_ms, kind, lane })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn delete(&self, seq: i64) -> Result<(), StoreError> {
        for table in ["redemption", "body", "answer", "event"] {
            self.sql.prepare_cached(&format!("DELETE FROM {table} WHERE seq = ?1"))?.execute([seq])?;
        }
        Ok(())
    }
}
