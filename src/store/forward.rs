//! The forwarder's side: claim rows before their bytes leave, settle them when the provider has
//! answered.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::OptionalExtension;

use super::row::{self, Stored, columns};
use super::{AfterCommit, Desk, Operation, OperationKind, StoreError};
pub use crate::decide::Ended;
use crate::decide::{self, Attempt, ParkCause, Settle, mark};
use crate::message::{self, Note};
use crate::redemption::{Answer, Id, Redemption, RewardCode, Seq, State};
use crate::verdict::ParkReason;

/// A pending row that is not in flight, and its body. It is read and then marked: a statement that
/// did both would put the row into a table of its own first.
const CLEAR: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT body FROM body WHERE body.seq = redemption.seq) FROM redemption \
     WHERE seq = ?1 AND state = 0 AND in_flight = 0"
);

/// The pending rows of a lane that are not in flight, in order; the index has all that is asked.
const WAITING: &str = "SELECT seq, '' FROM redemption \
    WHERE lane = ?1 AND in_flight = 0 AND seq > ?2 AND state = 0 ORDER BY seq \
    LIMIT coalesce(?3, -1)";
/// The same with the till of each, which the index does not have.
const WAITING_WITH_TILL: &str = "SELECT seq, till FROM redemption \
    WHERE lane = ?1 AND in_flight = 0 AND seq > ?2 AND state = 0 ORDER BY seq \
    LIMIT coalesce(?3, -1)";

const BEGIN: &str = "UPDATE redemption SET in_flight = 1, attempts = ?2 WHERE seq = ?1";
/// What may have changed of a row since it was claimed, and what tells that it is the same row.
const END: &str = "UPDATE redemption \
    SET state = ?2, in_flight = 0, marks = ?3, attempts = ?4, settled_ms = ?5 \
    WHERE seq = ?1 AND state = 0 AND in_flight = 1 AND attempts = ?6 AND marks = ?7 AND crc = ?8";

/// Which rows to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lane.
    pub lane: String,
    /// These rows first, as far as they are still pending and clear.
    pub prefer: Vec<Seq>,
    /// Then rows after this one, in order.
    pub after: Seq,
    /// None of these, in order: they wait their own backoff.
    pub except: Vec<Seq>,
    /// No row of this till, as far as the first [`Claim::LOOKED_AT_MAX`] tell: its rows go last.
    pub not_from: Option<String>,
    /// At most so many rows.
    pub rows_max: usize,
    /// No further row once the bodies come to so many bytes.
    pub body_bytes_max: usize,
}

impl Claim {
    /// Rows that are looked at for one that is not of a till that goes last.
    pub const LOOKED_AT_MAX: usize = 1000;
    /// So often it looks on where rows that it found were damaged.
    const ROUNDS_MAX: usize = 100;

    /// The rows that come first: none where a till's rows go last.
    fn preferred(&self) -> &[Seq] {
        if self.not_from.is_some() { &[] } else { &self.prefer }
    }
}

/// A row whose next attempt is durable: its bytes may leave.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row.
    pub seq: Seq,
    /// Sent as `Idempotency-Key`.
    pub id: Id,
    /// The till that made it.
    pub till: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was accepted, Unix milliseconds.
    pub accepted_at_ms: i64,
    /// What to send.
    pub body: Bytes,
    /// A 2xx of ours left for it.
    pub trusted: bool,
    /// Its code, for the kind of a refusal that names it.
    pub code: RewardCode,
    /// An "already used" would be explained by our own earlier attempt.
    pub used_is_ours: bool,
}

impl Claimed {
    pub(super) fn new(row: &Stored, body: Bytes, used_is_ours: bool) -> Self {
        Self {
            seq: row.seq,
            id: row.id(),
            till: row.till.clone(),
            attempt: row.attempts,
            accepted_at_ms: row.accepted_ms,
            body,
            trusted: row.is_trusted(),
            code: row.code.clone(),
            used_is_ours,
        }
    }
}

/// What the lane knows of an attempt that has ended, besides how.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The verdict's word, or the phase at which it ended.
    pub outcome: String,
    /// The provider's HTTP status, if it answered.
    pub status: Option<u16>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// What kind of refusal it was (its masked words), if it was one.
    pub refusal: Option<String>,
    /// Other rows of the lane are answered well.
    pub lane_is_well: bool,
    /// How long weak refusals alike last before a person decides.
    pub weak_after: Duration,
}

/// What settling did.
#[derive(Clone, Debug)]
pub struct Settled {
    /// False for a late answer: the row was not waiting for it.
    pub applied: bool,
    /// The row's state now.
    pub state: State,
    /// The row, when a till waits for it and it is settled.
    pub row: Option<Box<Redemption>>,
    /// That till was told no before, and is given it now.
    pub pays: bool,
}

impl Settled {
    /// A late answer to a row in this state.
    fn late(state: State) -> Self {
        Self { applied: false, state, row: None, pays: false }
    }
}

/// An attempt that ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The row.
    pub seq: Seq,
    /// The attempt's number.
    pub attempt: u32,
    /// How.
    pub ended: Ended,
    /// What the lane knows of it besides.
    pub about: About,
}

impl Settlement {
    /// Of an attempt of which nothing else is known.
    #[must_use]
    pub fn new(seq: Seq, attempt: u32, ended: Ended) -> Self {
        Self { seq, attempt, ended, about: About::default() }
    }
}

/// Rows that were claimed and never sent, with the numbers of their attempts.
#[derive(Clone, Debug)]
pub struct Unclaim(pub Vec<(Seq, u32)>);

/// What becomes of a row with the end of its attempt.
struct AttemptEnd {
    state: State,
    marks: i64,
    attempts: u32,
    settled_ms: Option<i64>,
}

impl Operation for Claim {
    type Output = Vec<Claimed>;
    const KIND: OperationKind = OperationKind::Beginning;

    /// A probe.
    fn is_patient(&self) -> bool {
        self.rows_max == 1
    }

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Vec<Claimed>, StoreError> {
        desk.claim(self)
    }

    fn after(&self, rows: &mut Vec<Claimed>, effects: &mut dyn AfterCommit) {
        for row in rows {
            effects.claimed(row.seq, row.attempt);
        }
    }
}

impl Operation for Settlement {
    type Output = Settled;
    const KIND: OperationKind = OperationKind::Ending;

    /// Without an answer no till is told anything.
    fn is_patient(&self) -> bool {
        self.about.status.is_none()
    }

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Settled, StoreError> {
        desk.settle(self)
    }

    fn after(&self, settled: &mut Settled, effects: &mut dyn AfterCommit) {
        effects.ended(self.seq);
        if let Some(row) = &settled.row {
            effects.settled(row, settled.pays);
        }
    }
}

impl Operation for Unclaim {
    type Output = ();
    const KIND: OperationKind = OperationKind::Ending;

    fn is_patient(&self) -> bool {
        true
    }

    fn perform(&self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        desk.unclaim(&self.0)
    }

    fn after(&self, (): &mut (), effects: &mut dyn AfterCommit) {
        for (seq, _) in &self.0 {
            effects.ended(*seq);
        }
    }
}

impl Desk<'_> {
    fn claim(&mut self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let Some(lane) = self.books.number(&claim.lane) else { return Ok(Vec::new()) };
        let mut claimed = Vec::new();
        self.claim_all(claim, claim.preferred(), true, &mut claimed)?;
        let mut after = claim.after;
        // What is preferred and gone, or found damaged, takes no place of a row that can be sent:
        // fewer rows than were asked for mean that there are no others.
        for _ in 0..Claim::ROUNDS_MAX {
            let wanted = claim.rows_max.saturating_sub(claimed.len());
            let found = self.candidates(lane, claim, after, wanted)?;
            let is_full = self.claim_all(claim, &found, false, &mut claimed)?;
            match found.last().filter(|_| !is_full && found.len() == wanted) {
                Some(last) => after = *last,
                None => break,
            }
        }
        Ok(claimed)
    }

    /// Claims these, as far as there is room: whether there is no more.
    fn claim_all(
        &mut self,
        claim: &Claim,
        seqs: &[Seq],
        preferred: bool,
        claimed: &mut Vec<Claimed>,
    ) -> Result<bool, StoreError> {
        let is_full =
            |rows: usize, bytes: usize| rows >= claim.rows_max || bytes >= claim.body_bytes_max;
        let mut bytes = claimed.iter().map(|row| row.body.len()).sum();
        for seq in seqs {
            if is_full(claimed.len(), bytes) {
                break;
            }
            let row = self.claim_one(*seq, preferred)?;
            bytes += row.as_ref().map_or(0, |row| row.body.len());
            claimed.extend(row);
        }
        Ok(is_full(claimed.len(), bytes))
    }

    /// Whose till it is stands in the row itself: where that counts, no more rows are read than a
    /// transaction may take.
    fn candidates(
        &self,
        lane: i64,
        claim: &Claim,
        after: Seq,
        wanted: usize,
    ) -> Result<Vec<Seq>, StoreError> {
        let (sql, looked_at_max) = match claim.not_from {
            Some(_) => (WAITING_WITH_TILL, Some(Claim::LOOKED_AT_MAX)),
            None => (WAITING, None),
        };
        let mut found = Vec::new();
        let mut statement = self.sql.prepare_cached(sql)?;
        let mut rows = statement.query((lane, after.0, looked_at_max))?;
        while found.len() < wanted
            && let Some(row) = rows.next()?
        {
            let (seq, till): (Seq, String) = (Seq(row.get(0)?), row.get(1)?);
            let is_left_out = claim.except.binary_search(&seq).is_ok()
                || claim.preferred().contains(&seq)
                || claim.not_from.as_ref() == Some(&till);
            if !is_left_out {
                found.push(seq);
            }
        }
        Ok(found)
    }

    /// Marks one row. One whose body is not as it was written is parked instead; a row itself that
    /// is not is the salvage's, unless that could not put it right, and its code is known. One that
    /// only was preferred need not be there to be claimed; one that the index of pending rows named
    /// is, or the index or the row is damaged: left alone it would never be sent. What an earlier
    /// process left without a mark counts as given on trust from here on, as [`Stored::found_by`]
    /// says.
    pub(super) fn claim_one(
        &mut self,
        seq: Seq,
        preferred: bool,
    ) -> Result<Option<Claimed>, StoreError> {
        let with_body = |row: &rusqlite::Row<'_>| {
            Ok((Stored::from_row(row)?, row.get::<_, Option<Vec<u8>>>(22)?))
        };
        let found = self.statements.at_hand(CLEAR)?.query_row([seq.0], with_body).optional()?;
        let Some((clear, body)) = found else {
            let why =
                || StoreError::Damaged(format!("row {} is not pending as its index says", seq.0));
            return if preferred { Ok(None) } else { Err(why()) };
        };
        let is_intact = clear.is_intact();
        if !is_intact && clear.calls_for_salvage() {
            return Err(clear.damaged());
        }
        let clear = if seq < self.books.first { self.found(&clear)? } else { clear };
        let row = Stored { in_flight: true, attempts: clear.attempts.saturating_add(1), ..clear };
        self.statements.at_hand(BEGIN)?.execute((seq.0, row.attempts))?;
        let body = Bytes::from(body.unwrap_or_default());
        if is_intact && crc32c::crc32c(&body) == row.body_crc {
            let used_is_ours = row.used_is_ours(self.explains_used(&row)?);
            let claimed = Claimed::new(&row, body, used_is_ours);
            self.flying.note(row);
            return Ok(Some(claimed));
        }
        self.finish(&row, State::Parked, row.marks | mark::UNCERTAIN)?;
        self.keep_answer(seq, None, Some(&Note::Checksum.to_stored()))?;
        self.damaged.push((self.books.name(row.lane).to_owned(), row.id()));
        Ok(None)
    }

    /// A row is settled as it was when it was claimed, if nothing of it has changed meanwhile;
    /// otherwise as it stands now.
    fn settle(&mut self, op: &Settlement) -> Result<Settled, StoreError> {
        let claimed = self.flying.take(op.seq).filter(|row| row.attempts == op.attempt);
        if let Some(row) = claimed
            && let Some(settled) = self.settle_row(&row, op)?
        {
            return Ok(settled);
        }
        let Some(row) = row::by_seq(self.sql, op.seq)? else {
            return Ok(Settled::late(State::Voided));
        };
        if row.state != State::Pending || !row.in_flight || row.attempts != op.attempt {
            return self.late(&row, op.attempt, &op.ended);
        }
        let changed = StoreError::Internal("a row changed while it was settled");
        self.settle_row(&row, op)?.ok_or(changed)
    }

    /// Settles a row that is in flight; `None`: it is not in the table as it is here, and nothing
    /// was done.
    fn settle_row(&mut self, row: &Stored, op: &Settlement) -> Result<Option<Settled>, StoreError> {
        let Settlement { ended, about, .. } = op;
        let told = self.is_awaited(row.seq);
        let attempts = self.attempts_with(row, about)?;
        let around = decide::SettleContext {
            told,
            lane_is_well: about.lane_is_well,
            explained: ended.is_used() && self.explains_used(row)?,
            attempts: &attempts,
            weak_after_s: i64::try_from(about.weak_after.as_secs()).unwrap_or(i64::MAX),
        };
        let (state, is_done) = match decide::settle(row, ended, around) {
            Settle::As { state, marks, why } => {
                (state, self.settle_as(row, (state, marks), (op, why))?)
            }
            Settle::Waits { marks, uncharged } => {
                let attempts = row.attempts.saturating_sub(u32::from(uncharged));
                (State::Pending, self.land(row, marks, attempts)?)
            }
        };
        if !is_done {
            return Ok(None);
        }
        // A first try that succeeded says nothing that the row does not.
        if row.attempts > 1 || state != State::Confirmed {
            self.keep_attempts(row.seq, &attempts)?;
        }
        let shown = if told && state != State::Pending {
            Some(Box::new(self.shown(row.seq)?))
        } else {
            None
        };
        let pays = state == State::Confirmed && row.was_refused();
        Ok(Some(Settled { applied: true, state, row: shown, pays }))
    }

    /// Whether a till waits for the row. One that leaves before the commit asks for the row once
    /// more: then it is told.
    fn is_awaited(&self, seq: Seq) -> bool {
        self.awaited.contains(&seq) || self.around.tills.is_awaited(seq)
    }

    /// The row's last attempts, this one the last.
    fn attempts_with(&self, row: &Stored, about: &About) -> Result<Vec<Attempt>, StoreError> {
        let mut attempts =
            if row.attempts > 1 { row::attempts(self.sql, row.seq)? } else { Vec::new() };
        attempts.push(Attempt {
            number: row.attempts,
            at_ms: self.around.stamp.unix_ms,
            elapsed_s: self.around.elapsed.now_ms() / 1000,
            outcome: about.outcome.clone(),
            status: about.status,
            took_ms: about.took_ms,
            refusal: about.refusal.as_ref().map(|words| crc32c::crc32c(words.as_bytes())),
        });
        decide::keep_attempts(&mut attempts);
        Ok(attempts)
    }

    fn keep_attempts(&self, seq: Seq, attempts: &[Attempt]) -> Result<(), StoreError> {
        let list = serde_json::to_string(attempts)
            .map_err(|_| StoreError::Internal("attempts cannot be written"))?;
        let sql = "INSERT INTO attempt VALUES (?1, ?2) ON CONFLICT (seq) DO UPDATE SET list = \
            excluded.list";
        self.sql.prepare_cached(sql)?.execute((seq.0, list))?;
        Ok(())
    }

    /// Whether the row was as it is here; otherwise nothing was done.
    fn settle_as(
        &mut self,
        row: &Stored,
        (state, marks): (State, i64),
        (op, why): (&Settlement, Option<ParkCause>),
    ) -> Result<bool, StoreError> {
        let marks = self.marks_in(state, marks);
        let settled_ms = Some(self.around.stamp.unix_ms);
        let end = AttemptEnd { state, marks, attempts: row.attempts, settled_ms };
        if !self.end_attempt(row, &end)? {
            return Ok(false);
        }
        self.moved(row, state, marks)?;
        self.books.change(row, state, marks)?;
        let says_failed = || matches!(op.ended, Ended::Parked { .. });
        let is_refused = state == State::Declined || state == State::Parked && says_failed();
        let is_of_its_code = marks & mark::OF_THE_FORM == 0;
        if is_refused && is_of_its_code && marks & mark::ANSWERED != 0 {
            let lane = self.books.name(row.lane).to_owned();
            self.refused((&lane, &row.till), &row.code)?;
        }
        let answer = match &op.ended {
            Ended::Confirmed(answer)
            | Ended::Declined { answer, .. }
            | Ended::Parked { answer, .. }
            | Ended::Busy(answer) => Some(answer),
            Ended::Clean | Ended::Uncharged | Ended::Unclear => None,
        };
        let note = why.as_ref().map(|why| note_of(why, op.about.weak_after).to_stored());
        let plain = note.is_none() && answer == Some(&Answer::success());
        if !plain {
            self.keep_answer(row.seq, answer, note.as_deref())?;
        }
        Ok(true)
    }

    /// The marks of a row that comes into a state now.
    fn marks_in(&self, state: State, marks: i64) -> i64 {
        let trusted = if self.around.stamp.trusted { mark::SETTLED_TRUSTED } else { 0 };
        let marks = mark::beside((marks & !mark::SETTLED_TRUSTED) | trusted, state);
        mark::settled_at(marks, self.around.elapsed_min())
    }

    /// Moves a row out of its state, and the books with it.
    pub(super) fn finish(
        &mut self,
        row: &Stored,
        state: State,
        marks: i64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE redemption SET state = ?2, in_flight = 0, marks = ?3, settled_ms = ?4 \
            WHERE seq = ?1";
        let marks = self.marks_in(state, marks);
        self.sql.prepare_cached(sql)?.execute((
            row.seq.0,
            state as i64,
            marks,
            self.around.stamp.unix_ms,
        ))?;
        self.moved(row, state, marks)?;
        self.books.change(row, state, marks)
    }

    pub(super) fn keep_answer(
        &self,
        seq: Seq,
        answer: Option<&Answer>,
        note: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO answer VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (seq) DO UPDATE SET \
             status = coalesce(excluded.status, status), content_type = \
             coalesce(excluded.content_type, content_type), \
             body = coalesce(excluded.body, body), note = coalesce(excluded.note, note)";
        self.sql.prepare_cached(sql)?.execute((
            seq.0,
            answer.map(|answer| answer.status),
            answer.and_then(|answer| answer.content_type.as_deref()),
            answer.map(|answer| &answer.body[..]),
            note,
        ))?;
        Ok(())
    }

    /// The attempt is over and the row goes on waiting; whether the row was as it is here.
    fn land(&mut self, row: &Stored, marks: i64, attempts: u32) -> Result<bool, StoreError> {
        let end = AttemptEnd { state: State::Pending, marks, attempts, settled_ms: None };
        let is_done = self.end_attempt(row, &end)?;
        if is_done {
            self.books.remark(row, marks);
        }
        Ok(is_done)
    }

    /// Ends an attempt: the row becomes `end`, if it still is as it was in flight.
    fn end_attempt(&mut self, flying: &Stored, end: &AttemptEnd) -> Result<bool, StoreError> {
        let changed = self.statements.at_hand(END)?.execute((
            flying.seq.0,
            end.state as i64,
            end.marks,
            end.attempts,
            end.settled_ms,
            flying.attempts,
            flying.marks,
            flying.crc,
        ))?;
        Ok(changed == 1)
    }

    fn unclaim(&mut self, rows: &[(Seq, u32)]) -> Result<(), StoreError> {
        let sql = "UPDATE redemption SET in_flight = 0, attempts = max(attempts - 1, 0) \
             WHERE seq = ?1 AND state = 0 AND in_flight = 1 AND attempts = ?2";
        for (seq, attempt) in rows {
            self.sql.prepare_cached(sql)?.execute((seq.0, attempt))?;
            self.flying.forget(*seq);
        }
        Ok(())
    }

    /// An answer that the row does not wait for any more is recorded, not applied.
    fn late(&mut self, row: &Stored, attempt: u32, ended: &Ended) -> Result<Settled, StoreError> {
        let said = match ended {
            Ended::Confirmed(_) => "confirmed",
            Ended::Declined { .. } => "declined",
            Ended::Parked { .. } => "parked",
            Ended::Clean | Ended::Uncharged | Ended::Unclear | Ended::Busy(_) => "no verdict",
        };
        let (attempt, verdict) = (attempt.into(), said.to_owned());
        let detail = message::Event::LateAnswer { attempt, verdict }.to_stored();
        self.note_event(row, "late_answer", "redeemd", &detail)?;
        Ok(Settled::late(row.state))
    }
}

/// One line about a redemption that was to be sent and is parked, since it is damaged.
pub(super) fn tell_damaged((lane, id): &(String, Id)) {
    tracing::error!(lane, %id, "{id} is parked (lane {lane}): the stored redemption is damaged, it \
        was not sent");
}

/// Why a row is parked, as it is kept for the person who decides.
fn note_of(why: &ParkCause, weak_after: Duration) -> Note {
    match why {
        ParkCause::Answer(ParkReason::SaysBoth { status }) => Note::SaysBoth { status: *status },
        ParkCause::Answer(ParkReason::SaysFailed { status }) => {
            Note::SaysFailed { status: *status }
        }
        ParkCause::Answer(ParkReason::Unusual { status }) => Note::Unusual { status: *status },
        ParkCause::UncertainRefused => Note::UncertainRefused,
        ParkCause::WeakForLong => Note::WeakForLong { for_s: weak_after.as_secs() },
        ParkCause::ReusableUsed => Note::ReusableAlreadyUsed,
        ParkCause::InDoubtUsed => Note::UsedInDoubt,
    }
}

impl Stored {
    /// An "already used" is our own doing: an earlier attempt may have arrived, and no other
    /// redemption explains it.
    fn used_is_ours(&self, explained: bool) -> bool {
        decide::may_be_ours(self) && !explained && !self.has(mark::IN_DOUBT)
    }
}
