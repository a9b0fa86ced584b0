//! Settled rows leave after their retention, in small batches.

use std::time::Duration;

use super::held::{KEPT_REFUSED, KEPT_USED, ROWS_LOOKED_AT};
use super::row::{self, Stored};
use super::{Desk, Operation, StoreError};
use crate::clock::signed_ms;
use crate::decide::{self, kind, mark};
use crate::redemption::{Seq, State};

/// What one batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows left.
    pub rows: u64,
    /// Where the next batch goes on; `None`: the end was reached.
    pub after: Option<Seq>,
}

/// What was voided so may have been taken.
const DOUBTED: i64 = mark::UNCERTAIN | mark::IN_DOUBT;

struct Looked {
    seq: i64,
    state: State,
    settled_ms: Option<i64>,
    marks: i64,
    accepted_ms: i64,
    kind: i64,
}

/// How long what is over is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Settled rows.
    pub settled: Duration,
    /// Hashes of the codes that were used or refused.
    pub codes: Duration,
}

/// Settled rows leave after their retention, a few looked at.
#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// How long what is over is kept.
    pub retention: Retention,
    /// Where to go on.
    pub after: Seq,
}

/// The moment before which a row must have been settled to leave, on both clocks; and now.
#[derive(Clone, Copy)]
struct Cutoff {
    before_ms: i64,
    before_min: i64,
    now_ms: i64,
}

impl Cutoff {
    /// Whether nothing behind these rows can have been settled before it: what was accepted after
    /// it cannot, and what follows is younger still. A clock that was wrong ends nothing: it told
    /// of the future, or calls a row young that elapsed time calls old.
    fn ends_at(self, looked: &[Looked]) -> bool {
        let is_young = |row: &Looked| {
            (self.before_ms..=self.now_ms).contains(&row.accepted_ms)
                && row.kind & kind::TRUSTED != 0
        };
        let is_wrong = |row: &Looked| {
            let is_old = mark::minute(row.marks).is_some_and(|at| at < self.before_min);
            is_old && row.accepted_ms >= self.before_ms
        };
        looked.last().is_none_or(is_young) && !looked.iter().any(is_wrong)
    }

    /// Whether the row was settled before it. One of an earlier build has no minute: it was settled
    /// before elapsed time began. A wall clock that tells of the future tells nothing.
    fn is_old(self, row: &Looked) -> bool {
        let was_before = |at: i64| at < self.before_ms || at > self.now_ms;
        mark::minute(row.marks).unwrap_or(0) < self.before_min
            && row.settled_ms.is_some_and(was_before)
    }
}

impl Operation for Prune {
    type Output = Pruned;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Pruned, StoreError> {
        desk.prune(self.retention, self.after)
    }
}

impl Desk<'_> {
    /// Deletes confirmed, declined and voided rows that were settled so long ago, by the gateway's
    /// elapsed time, never the newest row: its number must not be given again. What waits for
    /// a person stays until somebody has seen to it, and what is owed until it is given. What a
    /// code was is kept longer than its row.
    fn prune(&mut self, retention: Retention, after: Seq) -> Result<Pruned, StoreError> {
        if !self.around.stamp.trusted {
            return Ok(Pruned { rows: 0, after: None });
        }
        let cutoff = self.cutoff(signed_ms(retention.settled));
        let looked = self.look(after)?;
        let last = looked.last().filter(|_| !cutoff.ends_at(&looked)).map(|row| row.seq);
        let newest = self.next_seq.saturating_sub(1);
        let mut rows = 0;
        for row in &looked {
            let waits = decide::needs_a_person(row.state, row.kind, row.marks);
            let is_over = !matches!(row.state, State::Pending | State::Parked) && !waits;
            if cutoff.is_old(row)
                && is_over
                && row.marks & mark::SETTLED_TRUSTED != 0
                && row.seq != newest
            {
                let whole = row::by_seq(self.sql, Seq(row.seq))?
                    .ok_or(StoreError::Internal("a row is gone"))?
                    .intact()?;
                self.left(&whole)?;
                self.keep_code(&whole)?;
                self.guards.leave(self.sql, &whole)?;
                self.delete(row.seq)?;
                self.books.forget(&whole)?;
                rows += 1;
            }
        }
        if after == Seq(0) {
            self.forget_figures()?;
            self.forget_codes(retention.codes)?;
        }
        let full = looked.len() >= usize::try_from(ROWS_LOOKED_AT).unwrap_or(0);
        Ok(Pruned { rows, after: last.filter(|_| full).map(Seq) })
    }

    fn cutoff(&self, settled_ms: i64) -> Cutoff {
        let now_ms = self.around.stamp.unix_ms;
        let before_min = self.around.elapsed.ago_ms(settled_ms).div_euclid(60_000);
        Cutoff { before_ms: now_ms.saturating_sub(settled_ms), before_min, now_ms }
    }

    /// What was used or refused holds its code although its row is gone.
    fn keep_code(&mut self, row: &Stored) -> Result<(), StoreError> {
        let what = match row.state {
            _ if row.has(mark::FREED | mark::OF_THE_FORM) || row.is(kind::REUSABLE) => {
                return Ok(());
            }
            State::Confirmed => KEPT_USED,
            State::Declined if row.has(mark::LOST) => KEPT_USED,
            State::Declined => KEPT_REFUSED,
            State::Voided if row.has(DOUBTED) || row.is_trusted() => KEPT_USED,
            State::Pending | State::Parked | State::Voided => return Ok(()),
        };
        self.hold_code(&row.business, &row.code, what)
    }

    fn look(&self, after: Seq) -> Result<Vec<Looked>, StoreError> {
        let sql = "SELECT seq, state, settled_ms, marks, accepted_ms, kind FROM redemption WHERE \
            seq > ?1 \
             ORDER BY seq LIMIT ?2";
        let mut statement = self.sql.prepare_cached(sql)?;
        let rows = statement.query_map((after.0, ROWS_LOOKED_AT), |row| {
            let (seq, settled_ms, marks) = (row.get(0)?, row.get(2)?, row.get(3)?);
            let state = row::state_of(row.get(1)?, marks, settled_ms)?;
            Ok(Looked {
                seq,
                state,
                settled_ms,
                marks,
                accepted_ms: row.get(4)?,
                kind: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn delete(&self, seq: i64) -> Result<(), StoreError> {
        for table in ["redemption", "body", "answer", "event", "attempt", "worth"] {
            self.sql
                .prepare_cached(&format!("DELETE FROM {table} WHERE seq = ?1"))?
                .execute([seq])?;
        }
        Ok(())
    }
}
