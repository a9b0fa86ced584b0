//! The books recounted from the rows, slice by slice on the writer, exact whatever happens between
//! two slices. Each row must be as it was written, and be found by every index that should lead to
//! it: no look of SQLite's own compares them quickly, and a code that its row or its index has lost
//! would be free again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::Row;

use super::row::{self, Stored, state_of, written};
use super::{AfterCommit, Desk, Operation, StoreError, risk};
use crate::decide::{self, Figures};
use crate::message::Storage;
use crate::redemption::{Seq, State};
use crate::value::Amount;

/// How many rows one slice counts: each costs some look-ups at random places, and tills wait
/// meanwhile.
const SLICE_ROWS: i64 = 100;
/// How long a bite goes on to another slice. Where each row costs a look at the disk, a bite is one
/// slice.
const BITE: Duration = Duration::from_millis(3);
/// Rows after a number, the name of an index that should lead to the row and does not, and whether
/// its guard is found where `$guards` looks.
macro_rules! slice {
    ($guards:literal) => {
        concat!(
            "SELECT ",
            written!(),
            ", r.state, r.marks, r.settled_ms,
            (SELECT w.value FROM worth w WHERE w.seq = r.seq), CASE
            WHEN r.kind & 16 = 0 AND NOT EXISTS (
                SELECT 1 FROM redemption i INDEXED BY redemption_key
                WHERE i.kind & 16 = 0 AND i.key = r.key AND i.seq = r.seq) THEN 'redemption_key'
            WHEN r.state = 0 AND NOT EXISTS (
                SELECT 1 FROM redemption i INDEXED BY redemption_pending
                WHERE i.state = 0 AND i.lane = r.lane AND i.in_flight = r.in_flight
                AND i.seq = r.seq) THEN 'redemption_pending'
            WHEN r.state >= 2 AND NOT EXISTS (
                SELECT 1 FROM redemption i INDEXED BY redemption_exception
                WHERE i.state >= 2 AND i.state = r.state AND i.seq = r.seq)
                THEN 'redemption_exception'
            WHEN r.origin IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM redemption i INDEXED BY redemption_origin
                WHERE i.origin IS NOT NULL AND i.origin = r.origin AND i.tag = r.tag
                AND i.seq = r.seq) THEN 'redemption_origin'
            END, EXISTS (SELECT 1 FROM ",
            $guards,
            " g WHERE g.guard = r.guard AND g.seq = r.seq)
            FROM redemption r NOT INDEXED WHERE r.seq > ?1 ORDER BY r.seq LIMIT ?2"
        )
    };
}
const SLICE: &str = slice!("guard");
/// In a database whose last steps wait for room.
const SLICE_PUT_OFF: &str = slice!("redemption");

/// What one slice found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recounted {
    /// Every row was counted.
    pub finished: bool,
    /// Where the books say something else than the rows; known when finished.
    pub differences: Vec<Storage>,
}

/// A recount under way: rows up to `upto` are counted, and what happens to them since is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay {
    upto: i64,
    rows: BTreeMap<(i64, u8), u64>,
    exposure: BTreeMap<i64, i64>,
    /// Of each lane what its rows count for.
    figures: BTreeMap<i64, Figures>,
    /// How many of each lane wait for a person.
    waiting: BTreeMap<i64, u64>,
}

impl UnderWay {
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

    /// A row's part of what is at risk changed.
    pub(super) fn follow_exposure(&mut self, seq: Seq, lane: i64, by: i64) {
        if seq.0 <= self.upto {
            let sum = self.exposure.entry(lane).or_default();
            *sum = sum.saturating_add(by);
        }
    }

    /// A row waits for a person, or does no longer.
    pub(super) fn follow_waiting(&mut self, seq: Seq, lane: i64, waits: bool) {
        if seq.0 <= self.upto {
            let sum = self.waiting.entry(lane).or_default();
            *sum = if waits { sum.saturating_add(1) } else { sum.saturating_sub(1) };
        }
    }

    pub(super) fn waiting(&self, lane: i64) -> u64 {
        self.waiting.get(&lane).copied().unwrap_or(0)
    }

    pub(super) fn exposure(&self, lane: i64) -> Amount {
        Amount(self.exposure.get(&lane).copied().unwrap_or(0))
    }

    /// A row counts for something else than before.
    pub(super) fn counts_for(&mut self, row: &Stored, change: Figures) {
        if row.seq.0 <= self.upto {
            let sum = self.figures.entry(row.lane).or_default();
            *sum = sum.plus(change);
        }
    }

    pub(super) fn figures(&self, lane: i64) -> Figures {
        self.figures.get(&lane).copied().unwrap_or_default()
    }

    pub(super) fn counted(&self, lane: i64, state: State) -> u64 {
        self.rows.get(&(lane, state as u8)).copied().unwrap_or(0)
    }
}

/// A row that was counted.
struct Counted {
    seq: i64,
    lane: i64,
    state: State,
    /// What is at risk in it, in 1/10000.
    exposure: i64,
    figures: Figures,
    /// It waits for a person.
    waits: bool,
    business: String,
}

/// One slice of a recount of the books.
#[derive(Clone, Copy, Debug)]
pub struct Recount {
    /// From the beginning.
    pub begin: bool,
}

/// The next slices of a recount under way, for as long as a bite lasts.
#[derive(Clone, Copy, Debug)]
pub struct RecountOn;

impl Operation for RecountOn {
    type Output = Recounted;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Recounted, StoreError> {
        let began = Instant::now();
        loop {
            let recounted = desk.recount(false)?;
            if recounted.finished || began.elapsed() >= BITE {
                return Ok(recounted);
            }
        }
    }

    fn after(&self, recounted: &mut Recounted, effects: &mut dyn AfterCommit) {
        effects.recounted(recounted);
    }
}

impl Operation for Recount {
    type Output = Recounted;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Recounted, StoreError> {
        desk.recount(self.begin)
    }

    fn after(&self, recounted: &mut Recounted, effects: &mut dyn AfterCommit) {
        effects.recounted(recounted);
    }
}

impl Desk<'_> {
    /// Counts one slice. Rows that come in the meantime have higher numbers and are counted at the
    /// end.
    fn recount(&mut self, begin: bool) -> Result<Recounted, StoreError> {
        let mut under_way = self.books.recount.take().filter(|_| !begin).unwrap_or_default();
        let slice = self.slice(under_way.upto)?;
        for row in &slice {
            under_way.upto = row.seq;
            *under_way.rows.entry((row.lane, row.state as u8)).or_default() += 1;
            under_way.follow_exposure(Seq(row.seq), row.lane, row.exposure);
            let sum = under_way.figures.entry(row.lane).or_default();
            *sum = sum.plus(row.figures);
            // One that an earlier build took has named its business to nobody.
            self.books.ledger.name(self.sql, (row.lane, &row.business))?;
            *under_way.waiting.entry(row.lane).or_default() += u64::from(row.waits);
        }
        if slice.len() < usize::try_from(SLICE_ROWS).unwrap_or(0) {
            self.books.correct_waiting(&under_way);
            return Ok(Recounted {
                finished: true,
                differences: self.books.differences(self.sql, &under_way)?,
            });
        }
        self.books.recount = Some(under_way);
        Ok(Recounted::default())
    }

    fn slice(&self, after: i64) -> Result<Vec<Counted>, StoreError> {
        let slice = if self.guards.are_put_off() { SLICE_PUT_OFF } else { SLICE };
        let mut statement = self.sql.prepare_cached(slice)?;
        let rows = statement
            .query_map((after, SLICE_ROWS), |row| Ok((self.fault(row)?, self.counted(row)?)))?;
        rows.map(|row| match row? {
            (None, row) => Ok(row),
            (Some(fault), _) => Err(StoreError::Damaged(fault)),
        })
        .collect()
    }

    /// What is damaged of a row or of what should lead to it.
    fn fault(&self, row: &Row<'_>) -> rusqlite::Result<Option<String>> {
        let seq = row.get(0)?;
        if !row::is_as_written(row).unwrap_or(false) {
            return Ok(Some(row::not_as_written(seq)));
        }
        let is_guarded = self.guards.lead_to(row.get(8)?, seq, row.get(22)?);
        let lost = if is_guarded { row.get(21)? } else { Some("guard".to_owned()) };
        Ok(lost.map(|index: String| format!("{index} does not lead to row {seq}")))
    }

    fn counted(&self, row: &Row<'_>) -> rusqlite::Result<Counted> {
        let (seq, lane, business, kind) = (row.get(0)?, row.get(3)?, row.get(9)?, row.get(14)?);
        let (marks, value) = (row.get(18)?, row.get::<_, Option<i64>>(20)?);
        let state = state_of(row.get(17)?, marks, row.get(19)?)?;
        let is_of_before = Seq(seq) < self.books.first;
        let is_exposed = risk::is_exposed(state, kind, marks, is_of_before);
        let exposure = value.filter(|_| is_exposed).unwrap_or(0).max(0);
        let figures = Figures::of_bits(kind, marks, state);
        let waits = decide::needs_a_person(state, kind, marks);
        Ok(Counted { seq, lane, state, exposure, figures, waits, business })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn each_index_is_asked_for_the_very_row() {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::create(&dir.path().join("new")).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {SLICE}")).unwrap();
        let plan: Vec<String> =
            statement.query_map((0, 1), |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        for asked in [
            "SEARCH r USING INTEGER PRIMARY KEY (rowid>?)",
            "SEARCH g USING PRIMARY KEY (guard=? AND seq=?)",
            "redemption_key (key=? AND rowid=?)",
            "redemption_pending (lane=? AND in_flight=? AND seq=? AND rowid=?)",
            "redemption_exception (state=? AND seq=? AND rowid=?)",
            "redemption_origin (origin=? AND tag=? AND rowid=?)",
        ] {
            assert!(plan.iter().any(|step| step.contains(asked)), "{asked}: {plan:#?}");
        }
    }
}
