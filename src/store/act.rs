//! What tills and operators do to a row besides its normal way: conclude a wait, void, retry, handle.

use super::accept::used_by;
use super::row::{self, Stored};
use super::types::{Acted, Concluded, Event, VoidOutcome};
use super::{Conclusion, Desk, Handling, StoreError};
use crate::decide::{self, Conclude, Waiting, kind, mark};
use crate::limits::LaneNow;
use crate::message::{Language, Note};
use crate::redemption::{Id, Redemption, Seq, State};

/// How many alike declines one `retry --held` takes back: as many as hold a lane.
const RETRY_HELD_ROWS_MAX: usize = 1000;

impl Desk<'_> {
    /// A till has waited in vain: accepted on trust, taken back, or refused.
    pub(super) fn conclude(&mut self, op: &Conclusion) -> Result<Concluded, StoreError> {
        let row = row::by_seq(self.sql, op.seq)?.ok_or(StoreError::Internal("no such row"))?;
        let row = self.found(&row)?;
        if row.state != State::Pending {
            return Ok(Concluded::Settled(Box::new(self.shown(row.seq)?)));
        }
        let name = self.books.name(row.lane).to_owned();
        let at = Waiting {
            end: op.end,
            withdrawn: op.withdrawn,
            // The row itself is among the pending ones already.
            lane: less_one(self.lane_now(row.lane, &name, &row.till)),
            evidence: (self.around.evidence)(&name, row.seq, &row.till),
            offline: self.around.offline,
        };
        match decide::conclude(&row, at) {
            Conclude::Trusted => Ok(Concluded::Trusted),
            Conclude::Trust => self.mark(&row, mark::TRUSTED).map(|()| Concluded::Trusted),
            Conclude::TurnAway(why) => {
                let holder = if row.is(kind::PROVIDER_ONLY) { self.holder(&row)? } else { None };
                self.finish(&row, State::Voided, row.marks | mark::TURNED_AWAY)?;
                Ok(Concluded::TurnedAway { why, holder: holder.as_ref().map(used_by) })
            }
            Conclude::RefuseAtTill(why) => self.mark(&row, mark::REFUSED_AT_TILL).map(|()| Concluded::Refused { why }),
        }
    }

    fn mark(&mut self, row: &Stored, marks: i64) -> Result<(), StoreError> {
        let sql = "UPDATE redemption SET marks = marks | ?2 WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks))?;
        self.books.remark(row, row.marks | marks);
        Ok(())
    }

    /// The row as this process finds it, which is written down: what it counts for is what its marks say.
    pub(super) fn found(&mut self, row: &Stored) -> Result<Stored, StoreError> {
        let found = row.clone().found_by(self.books.first);
        if found.marks != row.marks {
            self.mark(row, found.marks)?;
        }
        Ok(found)
    }

    pub(super) fn void_by_till(&mut self, id: &Id, till: &str, withdrawn: bool) -> Result<VoidOutcome, StoreError> {
        let Some(row) = row::by_id(self.sql, id)?.filter(|row| row.till == till) else {
            return Ok(VoidOutcome::Unknown);
        };
        let row = self.found(&row)?;
        if row.state == State::Pending && row.is_untouched(withdrawn) {
            let taken_back = if row.is_trusted() { mark::TAKEN_BACK } else { 0 };
            self.finish(&row, State::Voided, row.marks | taken_back)?;
            if row.is_trusted() {
                // The reward may be in the customer's hands: a person can count them.
                self.acted(&row, "void_by_till", till, "")?;
            }
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
        if row.has(mark::LOST) && row.state == State::Declined {
            // A decline after the fact stays one: it is closed as lost.
            self.mark(&row, mark::HANDLED)?;
            return self.acted(&row, "lost", by, note);
        }
        if !matches!(row.state, State::Pending | State::Parked) {
            return Ok(Acted::Refused {
                why: format!("it is {}, and only what is pending or parked can be voided", row.state),
            });
        }
        self.finish(&row, State::Voided, row.marks)?;
        let note_kept = Note::Text { text: note.to_owned() }.to_stored();
        self.keep_answer(row.seq, None, Some(&note_kept))?;
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

    /// A person has seen to it; `free`: its code may be redeemed again.
    pub(super) fn handled(&mut self, op: &Handling) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, &op.id)? else { return Ok(Acted::Unknown) };
        if row.state == State::Pending {
            let why = "it is pending: the provider has not answered about it".to_owned();
            return Ok(Acted::Refused { why });
        }
        let freed = if op.free { mark::FREED } else { 0 };
        self.mark(&row, mark::HANDLED | freed)?;
        self.acted(&row, if op.free { "handled_free" } else { "handled" }, &op.by, &op.note)
    }

    /// What was known of the row's doubt stays known. What was said before is kept among its events: answers are
    /// appended, never replaced.
    fn reopen(&mut self, row: &Stored) -> Result<(), StoreError> {
        self.keep_what_was_said(row)?;
        let marks = mark::beside(row.marks & !(mark::STREAK | mark::HANDLED), State::Pending);
        let sql = "UPDATE redemption SET state = 0, in_flight = 0, marks = ?2, settled_ms = NULL WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks))?;
        self.sql.prepare_cached("DELETE FROM answer WHERE seq = ?1")?.execute([row.seq.0])?;
        self.books.change(row, State::Pending, marks)
    }

    fn keep_what_was_said(&mut self, row: &Stored) -> Result<(), StoreError> {
        let (answer, note) = row.note(self.sql)?;
        let status = answer.as_ref().map(|answer| format!("HTTP {}", answer.status));
        let note = note.map(|note| Note::from_stored(&note).text(Language::English));
        let said: Vec<String> = [Some(row.state.to_string()), status, note].into_iter().flatten().collect();
        self.acted(row, "answered", "redeemd", &said.join(": ")).map(drop)
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

    pub(super) fn acted(&mut self, row: &Stored, what: &str, by: &str, detail: &str) -> Result<Acted, StoreError> {
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

    pub(super) fn shown_of(&self, row: &Stored) -> Result<Redemption, StoreError> {
        row.redemption(self.sql, self.books.name(row.lane))
    }

    pub(super) fn shown(&self, seq: Seq) -> Result<Redemption, StoreError> {
        let row = row::by_seq(self.sql, seq)?.ok_or(StoreError::Internal("a row is gone"))?;
        row.redemption(self.sql, self.books.name(row.lane))
    }
}

/// The limits are asked for one more row than there are without this one.
fn less_one(lane: LaneNow) -> LaneNow {
    let (pending, till_pending) = (lane.pending.saturating_sub(1), lane.till_pending.saturating_sub(1));
    LaneNow { pending, till_pending, ..lane }
}
