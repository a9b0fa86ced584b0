//! Receipts and lists, on short read-only connections of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension};

use super::row::{self, Stored};
use super::types::{Event, Filter};
use super::{StoreError, connection};
use crate::clock::may_be_set;
use crate::decide::{Attempt, kind};
use crate::message::Note;
use crate::redemption::{Id, Redemption, Seq, State};

/// So many pending rows are looked at for one of a known age.
const LOOKED_AT_MAX: usize = 64;

/// The most rows that one listing returns.
const LIST_ROWS_MAX: usize = 1000;
/// Pages that a reader holds in memory while it looks, KiB.
const CACHE_KIB: i64 = 256;
/// After how many steps of SQLite they are counted.
const STEPS_A_COUNT: i32 = 1000;
/// Of the process, as every counter of its metrics is.
static STEPS: AtomicU64 = AtomicU64::new(0);
/// The most events shown of one row.
const EVENTS_MAX: i64 = 100;

/// The steps that SQLite took for readers since the process started, by thousands: what people and
/// machines that look cost, on any machine.
#[must_use]
pub fn read_steps() -> u64 {
    STEPS.load(Ordering::Relaxed)
}

/// A connection that can only read.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    pub(crate) lanes: BTreeMap<i64, String>,
}

impl Reader {
    /// Opens `path`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = connection::open_reader(path)?;
        let count = || {
            STEPS.fetch_add(STEPS_A_COUNT.unsigned_abs().into(), Ordering::Relaxed);
            // Whoever serves a till goes first where the processors are busy.
            std::thread::yield_now();
            false
        };
        // It goes through rows in their order: what it has passed it does not need again.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.progress_handler(STEPS_A_COUNT, Some(count))?;
        Self::on(connection)
    }

    /// Reads through a connection that is open already.
    pub(super) fn on(connection: Connection) -> Result<Self, StoreError> {
        let lanes = lanes(&connection)?;
        Ok(Self { connection, lanes })
    }

    /// For whoever looks next: lanes may have come since.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn again(self) -> Result<Self, StoreError> {
        Self::on(self.connection)
    }

    /// For a while without work: it holds no pages in memory.
    ///
    /// # Errors
    /// The connection is not to be used any more.
    pub fn rested(self) -> Result<Self, StoreError> {
        self.connection.execute_batch("PRAGMA shrink_memory")?;
        Ok(self)
    }

    /// One row.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn by_id(&self, id: &Id) -> Result<Option<Redemption>, StoreError> {
        row::asked_for(&self.connection, id)?.map(|row| self.shown(&row)).transpose()
    }

    /// One row, if it is this till's own or the till was given it when it was owed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn receipt(&self, id: &Id, till: &str) -> Result<Option<Redemption>, StoreError> {
        let Some(row) = self.by_id(id)? else { return Ok(None) };
        let is_its = row.till == till || row.owed_paid && self.was_given(row.seq, till)?;
        Ok(is_its.then_some(row))
    }

    /// Whether it was this till that was given what was owed.
    fn was_given(&self, seq: Seq, till: &str) -> Result<bool, StoreError> {
        let sql = "SELECT by FROM event WHERE seq = ?1 AND what = 'owed_paid' ORDER BY n DESC \
            LIMIT 1";
        let mut last = self.connection.prepare(sql)?;
        let by: Option<String> = last.query_row([seq.0], |row| row.get(0)).optional()?;
        Ok(by.is_some_and(|by| by == till))
    }

    /// The row's last attempts, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn attempts(&self, seq: Seq) -> Result<Vec<Attempt>, StoreError> {
        row::attempts(&self.connection, seq)
    }

    /// What was done to the row besides its normal way, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn events(&self, seq: Seq) -> Result<Vec<Event>, StoreError> {
        let sql = "SELECT at_ms, id, lane, what, by, detail FROM event WHERE seq = ?1 ORDER BY n \
            LIMIT ?2";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((seq.0, EVENTS_MAX), |row| {
            Ok(Event {
                at_ms: row.get(0)?,
                id: row.get(1)?,
                lane: row.get(2)?,
                what: row.get(3)?,
                by: row.get(4)?,
                detail: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Rows in order: as many as were asked for, or all that there are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Redemption>, StoreError> {
        let limit = filter.limit.clamp(1, LIST_ROWS_MAX);
        let after = filter.after.map_or(0, |seq| seq.0);
        // Of one moment: a row that left between the two looks would make a page short, as only the
        // last one is.
        let moment = self.connection.unchecked_transaction()?;
        let numbers = match filter.state {
            Some(State::Pending) => self.pending(after, limit)?,
            Some(state @ (State::Declined | State::Parked | State::Voided)) => {
                self.exceptions(state, after, limit)?
            }
            Some(State::Confirmed) | None => self.scan(filter.state, after, limit)?,
        };
        let rows = numbers.into_iter().filter_map(|seq| self.by_seq(seq).transpose());
        let rows = rows.collect::<Result<_, _>>()?;
        moment.finish()?;
        Ok(rows)
    }

    /// When the oldest pending row was accepted, Unix milliseconds.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn oldest_pending_ms(&self) -> Result<Option<i64>, StoreError> {
        self.first_pending_ms(1, |_| true)
    }

    /// The same of the first that was not accepted under a clock that nobody had set yet; those
    /// before it are older by a time that is not known. So many are looked at at most.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn oldest_pending_of_a_set_clock_ms(&self) -> Result<Option<i64>, StoreError> {
        let was_set = |row: &Stored| row.is(kind::TRUSTED) || may_be_set(row.accepted_ms);
        self.first_pending_ms(LOOKED_AT_MAX, was_set)
    }

    fn first_pending_ms(
        &self,
        looked_at: usize,
        counts: impl Fn(&Stored) -> bool,
    ) -> Result<Option<i64>, StoreError> {
        for seq in self.pending(0, looked_at)? {
            if let Some(row) = row::by_seq(&self.connection, seq)?.filter(&counts) {
                return Ok(Some(row.accepted_ms));
            }
        }
        Ok(None)
    }

    pub(super) fn by_seq(&self, seq: Seq) -> Result<Option<Redemption>, StoreError> {
        row::by_seq(&self.connection, seq)?.map(|row| self.shown(&row)).transpose()
    }

    pub(super) fn shown(&self, row: &Stored) -> Result<Redemption, StoreError> {
        let lane = self.lanes.get(&row.lane).map_or("", String::as_str);
        let mut shown = row.redemption(&self.connection, lane)?;
        if !row.is_intact() {
            shown.note = Some(Note::Damaged);
        }
        Ok(shown)
    }

    /// Each lane's pending rows lie in order in their index, those in flight apart.
    pub(super) fn pending(&self, after: i64, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM redemption WHERE lane = ?1 AND in_flight = ?2 AND seq > ?3 AND \
            state = 0 \
             ORDER BY seq LIMIT ?4";
        let mut statement = self.connection.prepare(sql)?;
        let mut found = Vec::new();
        for lane in self.lanes.keys() {
            for in_flight in [false, true] {
                let rows = statement
                    .query_map((lane, in_flight, after, rows(limit)), |row| row.get(0).map(Seq))?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    pub(super) fn exceptions(
        &self,
        state: State,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM redemption WHERE state = ?1 AND state >= 2 AND seq > ?2 \
            ORDER BY seq LIMIT ?3";
        let mut statement = self.connection.prepare(sql)?;
        let found =
            statement.query_map((state as i64, after, rows(limit)), |row| row.get(0).map(Seq))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn scan(&self, state: Option<State>, after: i64, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM redemption WHERE seq > ?1 AND (?2 IS NULL OR state = ?2) \
            ORDER BY seq LIMIT ?3";
        let mut statement = self.connection.prepare(sql)?;
        let state = state.map(|state| state as i64);
        let found = statement.query_map((after, state, rows(limit)), |row| row.get(0).map(Seq))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

fn lanes(connection: &Connection) -> Result<BTreeMap<i64, String>, StoreError> {
    let mut statement = connection.prepare("SELECT lane, name FROM lane")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
