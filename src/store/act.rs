//! What tills and operators do to a row besides its normal way: conclude a wait, void, retry,
//! handle.

use bytes::Bytes;
use rusqlite::OptionalExtension;

use super::accept::Rivals;
use super::row::{self, Stored};
use super::types::{Acted, Concluded, Event, Holder, VoidOutcome};
use super::worth::Given;
use super::{AfterCommit, Desk, Operation, OperationKind, StoreError};
use crate::contract;
use crate::decide::{
    self, Asking, Attempt, Conclude, Guard, Kept, NotGiven, NotOnTrust, TillVoid, WaitContext,
    WaitEnd, kind, mark,
};
use crate::limits::{LaneNow, Subject};
use crate::message::{self, Note};
use crate::redemption::{Id, Redemption, Request, Seq, State};
use crate::trust::Trust;
use crate::value::Remembered;

/// How many declines one `retry --held` takes back at most. Ten hold a lane, and a hold marks 64.
const RETRY_HELD_ROWS_MAX: usize = 1000;

/// What a row has that a person has closed.
const CLOSED: i64 = mark::HANDLED | mark::FREED;

/// So much of an answer is kept among the events of a row that is sent again.
const SAID_CHARS_MAX: usize = 2000;

/// A till's wait that ended without the provider's answer.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The row.
    pub seq: Seq,
    /// How the wait ended.
    pub end: WaitEnd,
    /// The row's attempt was stopped before any byte left.
    pub withdrawn: bool,
}

/// Rows that were refused and then confirmed, and of which no till that was told has heard.
#[derive(Clone, Debug)]
pub struct Unheard(pub Vec<Seq>);

/// A till takes its redemption back.
#[derive(Clone, Debug)]
pub struct VoidByTill {
    /// The row.
    pub id: Id,
    /// The till.
    pub till: String,
    /// Its attempt was stopped before any byte left.
    pub withdrawn: bool,
}

/// An operator closes a row.
#[derive(Clone, Debug)]
pub struct Void {
    /// The row.
    pub id: Id,
    /// The operator's note.
    pub note: String,
    /// The operator.
    pub by: String,
}

/// An operator sends a row again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The row.
    pub id: Id,
    /// The operator.
    pub by: String,
}

/// An operator takes back the declines for which a lane was held.
#[derive(Clone, Debug)]
pub struct RetryHeld {
    /// The lane.
    pub lane: String,
    /// The operator.
    pub by: String,
}

/// A person's word about a row.
#[derive(Clone, Debug)]
pub struct Handling {
    /// The row.
    pub id: Id,
    /// The note.
    pub note: String,
    /// Its code may be redeemed again.
    pub free: bool,
    /// The person.
    pub by: String,
}

/// Something worth recording.
#[derive(Clone, Debug)]
pub struct Record(pub Event);

impl Operation for Conclusion {
    type Output = Concluded;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Concluded, StoreError> {
        desk.conclude(self)
    }

    fn after(&self, concluded: &mut Concluded, effects: &mut dyn AfterCommit) {
        if let Concluded::Settled { row, pays } = concluded {
            effects.told(row.seq, *pays);
        }
    }
}

impl Operation for Unheard {
    type Output = ();
    const KIND: OperationKind = OperationKind::Ending;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|seq| desk.unheard(*seq))
    }

    fn after(&self, (): &mut (), effects: &mut dyn AfterCommit) {
        effects.owed(&self.0);
    }
}

impl Operation for VoidByTill {
    type Output = VoidOutcome;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<VoidOutcome, StoreError> {
        desk.void_by_till(&self.id, &self.till, self.withdrawn)
    }
}

impl Operation for Void {
    type Output = Acted;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Acted, StoreError> {
        desk.void(&self.id, &self.note, &self.by)
    }
}

impl Operation for Retry {
    type Output = Acted;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Acted, StoreError> {
        desk.retry(&self.id, &self.by)
    }

    fn after(&self, acted: &mut Acted, effects: &mut dyn AfterCommit) {
        if let Acted::Done(row) = acted {
            effects.pending(&row.lane, row.seq);
        }
    }
}

impl Operation for RetryHeld {
    /// How many rows.
    type Output = u64;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<u64, StoreError> {
        desk.retry_held(&self.lane, &self.by)
    }

    fn after(&self, rows: &mut u64, effects: &mut dyn AfterCommit) {
        if *rows > 0 {
            effects.pending(&self.lane, Seq(0));
        }
    }
}

impl Operation for Handling {
    type Output = Acted;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Acted, StoreError> {
        desk.handled(self)
    }
}

impl Operation for Record {
    type Output = ();

    fn perform(&self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        desk.record(&self.0, None)
    }
}

impl Desk<'_> {
    /// A till has waited in vain: accepted on trust, taken back, or refused.
    fn conclude(&mut self, op: &Conclusion) -> Result<Concluded, StoreError> {
        let row = row::by_seq(self.sql, op.seq)?.ok_or(StoreError::Internal("no such row"))?;
        let row = self.found(&row)?;
        if row.state != State::Pending {
            return self.relay(&row);
        }
        let name = self.books.name(row.lane).to_owned();
        // The row itself is among the pending ones already.
        let lane = less_one(self.lane_now(row.lane, &name, &row.till));
        let attempts = self.ended_attempts(&row)?;
        let lane = self.with_cause(lane, &row, &attempts);
        let exact = self.around.offline.tells_apart(&name);
        let checked = self.remembered(row.lane, &row.business, &row.code, exact)?;
        let risk =
            self.risk(row.lane, &lane, subject_of(&row, checked.as_ref()), row.is(kind::REUSABLE));
        let given = Given::of(&risk, self.around.offline);
        let evidence = (self.around.evidence)(&name, row.seq, &row.till);
        let is_held_elsewhere = !matches!(self.held_elsewhere(&row)?, Guard::Free);
        let offline = self.around.offline;
        // A lane that is only busy can be asked: what other businesses hold is no last word then.
        let is_in_vain = op.end == WaitEnd::InVain || !lane.ask;
        let at = WaitContext {
            end: op.end,
            withdrawn: op.withdrawn,
            lane,
            evidence,
            offline,
            risk,
            is_held_elsewhere,
            attempts: &attempts,
        };
        let marks = decide::marks_given_late(&row, &at);
        let concluded = decide::conclude(&row, at);
        if let Conclude::TurnAway(why) | Conclude::RefuseAtTill(why) = &concluded
            && let NotGiven::Refused(NotOnTrust::Limited(limit)) = why
        {
            self.tell_limit(row.lane, limit)?;
        }
        match concluded {
            Conclude::Trusted => Ok(Concluded::Trusted { headroom: None }),
            Conclude::Trust => self.trust_after_waiting(row, &given, marks),
            Conclude::TurnAway(why) => {
                let held = (row.is(kind::PROVIDER_ONLY), is_held_elsewhere && is_in_vain);
                let holder = self.holder(&row, held)?;
                self.turn_away(&row, (why, holder))
            }
            Conclude::RefuseAtTill(why) => {
                self.mark(&row, mark::REFUSED_AT_TILL).map(|()| Concluded::Refused { why })
            }
        }
    }

    /// Rules ask why nobody can be asked. A lane that is silent counts as up for a while: the cause
    /// is the row's own then.
    fn with_cause(&self, lane: LaneNow, row: &Stored, ended: &[Attempt]) -> LaneNow {
        let is_told = lane.cause.is_some() || lane.trust != Trust::Unanswered;
        if is_told || self.around.offline.rules.is_empty() {
            return lane;
        }
        let last = ended.last().filter(|_| !row.in_flight);
        LaneNow { cause: Some(decide::cause_of_silence(last)), ..lane }
    }

    /// The row was settled while its till was on its way here: the till is told now.
    fn relay(&mut self, row: &Stored) -> Result<Concluded, StoreError> {
        if let Some(marks) = decide::relayed(row) {
            self.remark(row, marks)?;
        }
        let shown = Box::new(self.shown(row.seq)?);
        Ok(Concluded::Settled { row: shown, pays: row.is_owed() })
    }

    /// What its till was refused before, and did not hear of now either, is owed, or a person's.
    fn unheard(&mut self, seq: Seq) -> Result<(), StoreError> {
        let Some(row) = row::by_seq(self.sql, seq)? else { return Ok(()) };
        let Some(marks) = decide::unheard(&row) else { return Ok(()) };
        self.remark(&row, marks)?;
        let what = if marks & mark::IN_VAIN != 0 { "in_vain" } else { "unheard" };
        self.note_event(&row, what, "redeemd", "")
    }

    fn trust_after_waiting(
        &mut self,
        mut row: Stored,
        given: &Given,
        marks: i64,
    ) -> Result<Concluded, StoreError> {
        self.mark(&row, marks)?;
        row.marks |= marks;
        let headroom = Some(self.accept_on_trust(&row, given)?);
        Ok(Concluded::Trusted { headroom })
    }

    /// The attempts of a row that have ended. A first one that is under way is the only one.
    fn ended_attempts(&self, row: &Stored) -> Result<Vec<Attempt>, StoreError> {
        let has_any = row.attempts > u32::from(row.in_flight);
        if has_any { row::attempts(self.sql, row.seq) } else { Ok(Vec::new()) }
    }

    /// What another business's redemption of the lane says of the code, now that nobody can be
    /// asked.
    fn held_elsewhere(&self, row: &Stored) -> Result<Guard, StoreError> {
        if row.is(kind::REUSABLE) {
            return Ok(Guard::Free);
        }
        Ok(self.held_offline(row, &self.elsewhere(row.lane, &row.business, &row.code)?))
    }

    /// No byte of it has left, and its till is told no. A code that is refused counts among those
    /// of its till, as one that is asked for now.
    fn turn_away(
        &mut self,
        row: &Stored,
        (why, holder): (NotGiven, Option<Holder>),
    ) -> Result<Concluded, StoreError> {
        let lane = self.books.name(row.lane).to_owned();
        if holder.is_some() {
            self.refused((&lane, &row.till), &row.code)?;
        } else if let NotGiven::Refused(NotOnTrust::Limited(limit)) = &why {
            self.refused_by(limit, (&lane, &row.till), &row.code)?;
        }
        self.finish(row, State::Voided, row.marks | mark::TURNED_AWAY)?;
        Ok(Concluded::TurnedAway { why, holder })
    }

    /// What a till is told of the code as if it had come now that nobody can be asked. `None`: what
    /// holds it, here or for another business of the lane, is not why; or the next request gets
    /// more than a no.
    fn holder(
        &self,
        row: &Stored,
        (is_held_here, is_held_elsewhere): (bool, bool),
    ) -> Result<Option<Holder>, StoreError> {
        if !is_held_here && !is_held_elsewhere {
            return Ok(None);
        }
        let mut rivals = self.rivals_of(row)?;
        rivals.rows.retain(|other| other.seq != row.seq);
        if is_held_elsewhere {
            rivals = self.with_elsewhere(rivals, row.lane, (&row.business, &row.code))?;
        }
        Ok(match self.held_offline(row, &rivals) {
            Guard::Used(by) => Some(Holder::Used(self.used_by(&by)?)),
            Guard::Refused(by) => Some(Holder::Refused(Box::new(self.shown_of(&by)?))),
            Guard::Gone(kept) => Some(self.holder_gone(row, kept)?),
            Guard::Free | Guard::ProviderOnly | Guard::Owed(_) => None,
        })
    }

    fn holder_gone(&self, row: &Stored, kept: Kept) -> Result<Holder, StoreError> {
        let exact = self.around.offline.tells_apart(self.books.name(row.lane));
        let words = self.words_of_gone(kept, row.lane, (&row.business, &row.code), exact)?;
        Ok(words.map_or(Holder::Gone(kept), Holder::RefusedAtCheck))
    }

    /// What these say of the row's code while nobody can be asked.
    fn held_offline(&self, row: &Stored, rivals: &Rivals) -> Guard {
        let (till, request) = (row.till.as_str(), &as_request(row));
        let exact = self.around.offline.tells_apart(self.books.name(row.lane));
        let now_min = self.around.elapsed_min();
        let asking = Asking { till, request, can_ask: false, exact, now_min };
        decide::guard(rivals.earlier(), asking)
    }

    fn mark(&mut self, row: &Stored, marks: i64) -> Result<(), StoreError> {
        self.remark(row, row.marks | marks)
    }

    /// Gives the row these marks and no others.
    pub(super) fn remark(&mut self, row: &Stored, marks: i64) -> Result<(), StoreError> {
        let sql = "UPDATE redemption SET marks = ?2 WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks))?;
        self.books.remark(row, marks);
        Ok(())
    }

    /// The row as this process finds it, which is written down: what it counts for is what its
    /// marks say. A row that was parked at the start, and that somebody retried, has no worth yet.
    pub(super) fn found(&mut self, row: &Stored) -> Result<Stored, StoreError> {
        let found = row.clone().found_by(self.books.first);
        if found.marks != row.marks {
            self.mark(row, found.marks)?;
        }
        if found.is_trusted() && !row.is_trusted() {
            self.give(&found, &self.books.ledger.nothing_known(), false)?;
        }
        Ok(found)
    }

    fn void_by_till(
        &mut self,
        id: &Id,
        till: &str,
        withdrawn: bool,
    ) -> Result<VoidOutcome, StoreError> {
        let Some(row) = row::asked_for(self.sql, id)? else { return Ok(VoidOutcome::Unknown) };
        if !row.is_found(row.id() == *id && row.till == till)? {
            return Ok(VoidOutcome::Unknown);
        }
        let row = self.found(&row)?;
        if let TillVoid::Void { given } = decide::void_by_till(&row, withdrawn) {
            let taken_back = if given { mark::TAKEN_BACK } else { 0 };
            self.finish(&row, State::Voided, row.marks | taken_back)?;
            if given {
                self.note_event(&row, "void_by_till", till, "")?;
            }
        }
        let now = Box::new(self.shown(row.seq)?);
        // What a person closed may have arrived all the same.
        Ok(if now.state == State::Voided && !now.uncertain {
            VoidOutcome::Voided(now)
        } else {
            VoidOutcome::TooLate(now)
        })
    }

    /// What an earlier process left may have been given a moment before its end: it holds its code
    /// as before.
    fn void(&mut self, id: &Id, note: &str, by: &str) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, id)? else { return Ok(Acted::Unknown) };
        let row = self.found(&row)?;
        let what = match decide::void(&row) {
            Err(why) => return Ok(Acted::Refused { why }),
            Ok(decide::Closing::Lost) => {
                self.seen_to(&row, decide::seen_to(&row))?;
                return self.acted(&row, "lost", by, note);
            }
            Ok(decide::Closing::CloseLost) => "lost",
            Ok(decide::Closing::Close) => "void",
        };
        // A person has decided: it is at risk no more.
        self.finish(&row, State::Voided, row.marks | mark::HANDLED)?;
        let note_kept = Note::Text { text: note.to_owned() }.to_stored();
        self.keep_answer(row.seq, None, Some(&note_kept))?;
        self.acted(&row, what, by, note)
    }

    fn retry(&mut self, id: &Id, by: &str) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, id)? else { return Ok(Acted::Unknown) };
        match decide::retry(&row, &self.others(&row)?) {
            Err(why) => Ok(Acted::Refused { why }),
            Ok(marks) => {
                self.reopen(&row, marks)?;
                self.acted(&row, "retry", by, "")
            }
        }
    }

    /// A person has seen to it; `free`: its code may be redeemed again.
    fn handled(&mut self, op: &Handling) -> Result<Acted, StoreError> {
        let Some(row) = row::asked_for(self.sql, &op.id)? else { return Ok(Acted::Unknown) };
        let marks = match decide::handled(&row, op.free) {
            Err(why) => return Ok(Acted::Refused { why }),
            Ok(marks) => marks,
        };
        self.seen_to(&row, marks)?;
        if op.free {
            self.forget_refusals(&row)?;
        }
        self.acted(&row, if op.free { "handled_free" } else { "handled" }, &op.by, &op.note)
    }

    /// Where it stands it stays, with the marks of a row that a person has seen to.
    fn seen_to(&mut self, row: &Stored, marks: i64) -> Result<(), StoreError> {
        self.remark(row, marks)?;
        self.moved(row, row.state, marks)
    }

    /// A person frees a row's code: what the provider refused before, to a till or to a check, for
    /// whichever business of the lane, holds it no more. What was given or taken does.
    fn forget_refusals(&mut self, row: &Stored) -> Result<(), StoreError> {
        let mut others = self.others(row)?;
        if !row.is(kind::REUSABLE) {
            others.extend(self.elsewhere(row.lane, &row.business, &row.code)?.rows);
        }
        for refused in others.iter().filter(|other| decide::is_bare_refusal(other)) {
            self.mark(refused, mark::FREED)?;
        }
        self.forget_checks_refusal(row.lane, (&row.business, &row.code))?;
        for business in self.businesses_beside(row.lane, &row.business) {
            self.forget_checks_refusal(row.lane, (&business, &row.code))?;
        }
        Ok(())
    }

    /// What was known of the row's doubt stays known. What was said before is kept among its
    /// events: answers are appended, never replaced.
    fn reopen(&mut self, row: &Stored, marks: i64) -> Result<(), StoreError> {
        self.keep_what_was_said(row)?;
        let sql = "UPDATE redemption SET state = 0, in_flight = 0, marks = ?2, settled_ms = NULL \
            WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks))?;
        self.sql.prepare_cached("DELETE FROM answer WHERE seq = ?1")?.execute([row.seq.0])?;
        self.moved(row, State::Pending, marks)?;
        self.books.change(row, State::Pending, marks)
    }

    fn keep_what_was_said(&mut self, row: &Stored) -> Result<(), StoreError> {
        let (answer, note) = row.note(self.sql)?;
        let said = answer.as_ref().and_then(|answer| said(&answer.body));
        let said =
            said.map(|text| row.code.masked_in(&text).chars().take(SAID_CHARS_MAX).collect());
        let before = message::Event::AnsweredBefore {
            state: row.state.to_string(),
            status: answer.as_ref().map(|answer| u64::from(answer.status)),
            said,
            note: note.map(|note| Note::from_stored(&note)),
        };
        self.note_event(row, "answered", "redeemd", &before.to_stored())
    }

    /// Takes back what the lane is held for: nothing where it is not held for declines, and
    /// nothing that a person has closed.
    fn retry_held(&mut self, lane: &str, by: &str) -> Result<u64, StoreError> {
        let Some(number) = self.books.number(lane) else { return Ok(0) };
        let mut retried = 0;
        for seq in self.held_for(number)? {
            let Some(row) = row::by_seq(self.sql, seq)? else { continue };
            if let Ok(marks) = decide::retry(&row, &self.others(&row)?) {
                self.reopen(&row, marks)?;
                self.note_event(&row, "retry", by, &message::Event::RetryHeld.to_stored())?;
                retried += 1;
            }
        }
        Ok(retried)
    }

    /// The declines for which the lane is held and that no person has closed, the newest first.
    fn held_for(&self, lane: i64) -> Result<Vec<Seq>, StoreError> {
        if !self.is_held_for_declines(lane)? {
            return Ok(Vec::new());
        }
        let sql = "SELECT seq FROM redemption WHERE state = 2 AND state >= 2 AND lane = ?1 AND \
            marks & ?2 AND marks & ?3 = 0 ORDER BY seq DESC LIMIT ?4";
        let mut statement = self.sql.prepare_cached(sql)?;
        let limit = i64::try_from(RETRY_HELD_ROWS_MAX).unwrap_or(i64::MAX);
        let asked = (lane, mark::STREAK, CLOSED, limit);
        let rows = statement.query_map(asked, |row| row.get(0).map(Seq))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether the lane is held for declines and none of them is left to be taken back. Where more
    /// declines are newer than are looked at, some may be left.
    pub(super) fn all_taken_back(&self, lane: i64) -> Result<bool, StoreError> {
        if !self.is_held_for_declines(lane)? {
            return Ok(false);
        }
        let sql = "SELECT count(*) < ?4 AND total(marks & ?2 AND marks & ?3 = 0) = 0 FROM (SELECT \
            marks FROM redemption WHERE state = 2 AND state >= 2 AND lane = ?1 ORDER BY seq DESC \
            LIMIT ?4)";
        let limit = i64::try_from(RETRY_HELD_ROWS_MAX).unwrap_or(i64::MAX);
        let asked = (lane, mark::STREAK, CLOSED, limit);
        Ok(self.sql.prepare_cached(sql)?.query_row(asked, |row| row.get(0))?)
    }

    fn is_held_for_declines(&self, lane: i64) -> Result<bool, StoreError> {
        // Behind an operator's hold it stands among what is kept by name.
        let sql = "SELECT hold = ?2 OR EXISTS (SELECT 1 FROM keep WHERE keep.name = ?2 || ' ' || \
            lane.name) FROM lane WHERE lane = ?1";
        let mut statement = self.sql.prepare_cached(sql)?;
        let asked = (lane, message::Cause::Declines.as_str());
        Ok(statement.query_row(asked, |row| row.get(0)).optional()?.unwrap_or(false))
    }

    /// Marks these declines as those for which the lane is held, but none that a person has
    /// closed. Where a hold begins, the declines of earlier ones are none of them.
    pub(super) fn mark_streak(&mut self, lane: i64, streak: &[Seq]) -> Result<(), StoreError> {
        if !self.is_held_for_declines(lane)? {
            self.forget_streak(lane)?;
        }
        let sql = "UPDATE redemption SET marks = marks | ?2 WHERE seq = ?1 AND state = 2 AND \
            marks & ?3 = 0";
        for seq in streak {
            self.sql.prepare_cached(sql)?.execute((seq.0, mark::STREAK, CLOSED))?;
        }
        Ok(())
    }

    fn forget_streak(&mut self, lane: i64) -> Result<(), StoreError> {
        let sql = "UPDATE redemption SET marks = marks & ~?2 WHERE state = 2 AND state >= 2 AND \
            lane = ?1 AND marks & ?2";
        self.sql.prepare_cached(sql)?.execute((lane, mark::STREAK))?;
        Ok(())
    }

    fn acted(
        &mut self,
        row: &Stored,
        what: &str,
        by: &str,
        detail: &str,
    ) -> Result<Acted, StoreError> {
        self.note_event(row, what, by, detail)?;
        Ok(Acted::Done(Box::new(self.shown(row.seq)?)))
    }

    /// Something happened to a row.
    pub(super) fn note_event(
        &mut self,
        row: &Stored,
        what: &str,
        by: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let event = Event {
            at_ms: self.around.stamp.unix_ms,
            id: Some(row.id().to_string()),
            lane: self.books.name(row.lane).to_owned(),
            what: what.to_owned(),
            by: by.to_owned(),
            detail: detail.to_owned(),
        };
        self.record(&event, Some(row.seq))
    }

    pub(super) fn record(&mut self, event: &Event, seq: Option<Seq>) -> Result<(), StoreError> {
        let Event { at_ms, id, lane, what, by, detail } = event;
        let sql = "INSERT INTO event (at_ms, seq, id, lane, what, by, detail) VALUES (?1, ?2, ?3, \
            ?4, ?5, ?6, ?7)";
        self.sql.prepare_cached(sql)?.execute((
            at_ms,
            seq.map(|seq| seq.0),
            id,
            lane,
            what,
            by,
            detail,
        ))?;
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

/// What a rule is found by; the lane's part is the desk's to fill in.
fn subject_of<'a>(row: &'a Stored, checked: Option<&'a Remembered>) -> Subject<'a> {
    let (business, branch, code) = (&row.business, &row.branch, row.code.reveal());
    Subject { till: &row.till, business, branch, code, checked, cause: None, now_s: 0 }
}

/// What a row asks for, as far as what holds its code depends on it.
fn as_request(row: &Stored) -> Request {
    Request {
        reward_code: row.code.clone(),
        business_refrence: row.business.clone(),
        branch_id: row.branch.clone(),
        date: row.date.clone(),
        timestamp: String::new(),
        body: Bytes::new(),
    }
}

/// The limits are asked for one more row than there are without this one.
fn less_one(lane: LaneNow) -> LaneNow {
    let (pending, till_pending) =
        (lane.pending.saturating_sub(1), lane.till_pending.saturating_sub(1));
    LaneNow { pending, till_pending, ..lane }
}

/// An answer's words; where it has none, the whole of it.
fn said(body: &[u8]) -> Option<String> {
    let words = contract::words(body);
    if words.is_empty() { unescaped(body) } else { Some(words) }
}

/// An answer as it is read: a code that is escaped in it could not be found.
/// `None`: it is escaped and no JSON.
fn unescaped(body: &[u8]) -> Option<String> {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => Some(value.to_string()),
        Err(_) => {
            Some(String::from_utf8_lossy(body).into_owned()).filter(|text| !text.contains("\\u"))
        }
    }
}
