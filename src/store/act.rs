//! What tills and operators do to a row besides its normal way: void, retry, refuse at the till.

use super::accept::used_by;
use super::row::{self, Stored};
use super::schema::mark;
use super::types::{Acted, Event, Refused, VoidOutcome};
use super::{Desk, StoreError};
use crate::redemption::{Id, Redemption, Seq, State};

/// How many alike declines one `retry --held` takes back: as many as hold a lane.
const RETRY_HELD_ROWS_MAX: usize = 1000;

impl Desk<'_> {
    pub(super) fn refuse_at_till(&mut self, id: &Id, withdrawn: bool) -> Result<Refused, StoreError> {
        let row = row::by_id(self.sql, id)?.ok_or(StoreError::Internal("no such row"))?;
        if row.state != State::Pending {
            return Ok(Refused::Settled(Box::new(self.shown(row.seq)?)));
        }
        let untouched = !row.has(mark::UNCERTAIN) && (withdrawn || !row.in_flight);
        if untouched && let Some(rival) = self.confirmed_rival(&row)? {
            self.finish(&row, State::Voided, row.marks)?;
            return Ok(Refused::Voided(used_by(&rival)));
        }
        let sql = "UPDATE redemption SET marks = marks | ?2 WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, mark::REFUSED_AT_TILL))?;
        Ok(Refused::MayHaveArrived)
    }

    pub(super) fn void_by_till(&mut self, id: &Id, till: &str, withdrawn: bool) -> Result<VoidOutcome, StoreError> {
        let Some(row) = row::by_id(self.sql, id)?.filter(|row| row.till == till) else {
            return Ok(VoidOutcome::Unknown);
        };
        let untouched = !row.has(mark::UNCERTAIN) && (withdrawn || !row.in_flight);
        if row.state == State::Pending && untouched {
            self.finish(&row, State::Voided, row.marks)?;
        }
        let now = Box::new(self.shown(row.seq)?);
        Ok(if now.state == State::Voided { VoidOutcome::Voided(now) } else { VoidOutcome::TooLate(now) })
    }

    pub(super) fn void(&mut self, id: &Id, note: &str, by: &str) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, id)? else { return Ok(Acted::Unknown) };
        if row.state == State::Pending && row.in_flight {
            let why = "an attempt is on the wire: try again when it has ended".to_owned();
            return Ok(Acted::Refused { why });
        }
        if !matches!(row.state, State::Pending | State::Parked) {
            return Ok(Acted::Refused {
                why: format!("it is {}, and only what is pending or parked can be voided", row.state),
            });
        }
        self.finish(&row, State::Voided, row.marks)?;
        self.keep_answer(row.seq, None, Some(note))?;
        self.acted(&row, "void", by, note)
    }

    pub(super) fn retry(&mut self, id: &Id, by: &str) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, id)? else { return Ok(Acted::Unknown) };
        if !matches!(row.state, State::Declined | State::Parked) {
            let why = format!("it is {}, and only what was declined or is parked can be retried", row.state);
            return Ok(Acted::Refused { why });
        }
        if let Some(other) = self.obstacle(&row)? {
            let why = format!("its code is held by {}, which is {}", other.id(), other.state);
            return Ok(Acted::Refused { why });
        }
        self.reopen(&row)?;
        self.acted(&row, "retry", by, "")
    }

    /// A parked row's attempt did reach the provider, and it was marked so when it was parked; a declined one's did
    /// nothing there.
    fn reopen(&mut self, row: &Stored) -> Result<(), StoreError> {
        let marks = mark::beside(row.marks & !mark::STREAK, State::Pending);
        let sql = "UPDATE redemption SET state = 0, in_flight = 0, marks = ?2, settled_ms = NULL WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks))?;
        // What was said to the attempt before is not the answer to the next one.
        self.sql.prepare_cached("DELETE FROM answer WHERE seq = ?1")?.execute([row.seq.0])?;
        self.books.change((row.seq, row.lane), row.state, State::Pending)
    }

    pub(super) fn retry_held(&mut self, lane: &str, by: &str) -> Result<u64, StoreError> {
        let Some(number) = self.books.number(lane) else { return Ok(0) };
        let mut retried = 0;
        for seq in self.streak(number)? {
            let Some(row) = row::by_seq(self.sql, seq)? else { continue };
            if self.obstacle(&row)?.is_none() {
                self.reopen(&row)?;
                self.acted(&row, "retry", by, "declined in the streak that held the lane")?;
                retried += 1;
            }
        }
        Ok(retried)
    }

    fn streak(&self, lane: i64) -> Result<Vec<Seq>, StoreError> {
        let sql = "SELECT seq FROM redemption WHERE state = 2 AND lane = ?1 AND marks & ?2 ORDER BY seq DESC LIMIT ?3";
        let mut statement = self.sql.prepare_cached(sql)?;
        let limit = i64::try_from(RETRY_HELD_ROWS_MAX).unwrap_or(i64::MAX);
        let rows = statement.query_map((lane, mark::STREAK, limit), |row| row.get(0).map(Seq))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn acted(&mut self, row: &Stored, what: &str, by: &str, detail: &str) -> Result<Acted, StoreError> {
        let event = Event {
            at_ms: self.around.stamp.unix_ms,
            id: Some(row.id().to_string()),
            lane: self.books.name(row.lane).to_owned(),
            what: what.to_owned(),
            by: by.to_owned(),
            detail: detail.to_owned(),
        };
        self.record(&event, Some(row.seq))?;
        Ok(Acted::Done(Box::new(self.shown(row.seq)?)))
    }

    pub(super) fn record(&mut self, event: &Event, seq: Option<Seq>) -> Result<(), StoreError> {
        let Event { at_ms, id, lane, what, by, detail } = event;
        let sql = "INSERT INTO event (at_ms, seq, id, lane, what, by, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.sql.prepare_cached(sql)?.execute((at_ms, seq.map(|seq| seq.0), id, lane, what, by, detail))?;
        Ok(())
    }

    fn shown(&self, seq: Seq) -> Result<Redemption, StoreError> {
        let row = row::by_seq(self.sql, seq)?.ok_or(StoreError::Internal("a row is gone"))?;
        row.redemption(self.sql, self.books.name(row.lane))
    }
}
