//! The forwarder's side: claim rows before their bytes leave, settle them when the provider has answered.

use bytes::Bytes;

use super::row::{self, Stored, columns};
use super::schema::{kind, mark};
use super::types::Event;
use super::{Desk, Done, StoreError};
use crate::redemption::{Answer, Id, Redemption, Seq, State};

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
    /// At most so many rows.
    pub rows_max: usize,
    /// No further row once the bodies come to so many bytes.
    pub body_bytes_max: usize,
}

/// A row whose next attempt is durable: its bytes may leave.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The row.
    pub seq: Seq,
    /// Sent as `Idempotency-Key`.
    pub id: Id,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was accepted, Unix milliseconds.
    pub accepted_at_ms: i64,
    /// What to send.
    pub body: Bytes,
    /// An "already used" would be explained by our own earlier attempt.
    pub used_is_ours: bool,
}

impl Claimed {
    pub(super) fn new(row: &Stored, body: Bytes) -> Self {
        Self {
            seq: row.seq,
            id: row.id(),
            attempt: row.attempts,
            accepted_at_ms: row.accepted_ms,
            body,
            used_is_ours: used_is_ours(row),
        }
    }
}

/// How an attempt ended, as far as the row is concerned.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The provider took it.
    Confirmed(Answer),
    /// The provider refused it.
    Declined {
        /// Its answer.
        answer: Answer,
        /// It said "already used".
        already_used: bool,
    },
    /// It said both.
    Parked {
        /// Its answer.
        answer: Answer,
        /// Why a person has to decide.
        reason: String,
    },
    /// The attempt certainly did not reach the redemption.
    Clean,
    /// As `Clean`, and it does not count as an attempt: the credential was refused.
    Uncharged,
    /// The attempt may have reached the provider.
    Unclear,
}

/// What settling did.
#[derive(Clone, Debug)]
pub struct Settled {
    /// False for a late answer: the row was not waiting for it.
    pub applied: bool,
    /// The row's state now.
    pub state: State,
    /// The row, when it was asked for and is settled.
    pub row: Option<Box<Redemption>>,
}

impl Desk<'_> {
    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let Some(lane) = self.books.number(&claim.lane) else { return Ok(Vec::new()) };
        let mut claimed = Vec::new();
        let mut bytes = 0;
        for (place, seq) in self.candidates(lane, claim)?.into_iter().enumerate() {
            let Some(row) = self.claim_one(seq, place < claim.prefer.len())? else { continue };
            bytes += row.body.len();
            claimed.push(row);
            if bytes >= claim.body_bytes_max {
                break;
            }
        }
        Ok(claimed)
    }

    fn candidates(&self, lane: i64, claim: &Claim) -> Result<Vec<Seq>, StoreError> {
        let mut found = claim.prefer.clone();
        let sql =
            "SELECT seq FROM redemption WHERE lane = ?1 AND in_flight = 0 AND seq > ?2 AND state = 0 ORDER BY seq";
        let mut statement = self.sql.prepare_cached(sql)?;
        let mut rows = statement.query((lane, claim.after.0))?;
        while found.len() < claim.rows_max
            && let Some(row) = rows.next()?
        {
            let seq = Seq(row.get(0)?);
            if claim.except.binary_search(&seq).is_err() && !claim.prefer.contains(&seq) {
                found.push(seq);
            }
        }
        Ok(found)
    }

    /// Marks one row; one that is not as it was written is parked instead. One that only was preferred need not be
    /// there to be claimed; one that the index of pending rows named is, or the index or the row is damaged: left alone
    /// it would never be sent.
    fn claim_one(&mut self, seq: Seq, preferred: bool) -> Result<Option<Claimed>, StoreError> {
        let sql = concat!(
            "UPDATE redemption SET in_flight = 1, attempts = min(attempts + 1, 4294967295) \
             WHERE seq = ?1 AND state = 0 AND in_flight = 0 RETURNING ",
            columns!()
        );
        let row = {
            let mut statement = self.sql.prepare_cached(sql)?;
            let mut rows = statement.query_map([seq.0], Stored::from_row)?;
            rows.next().transpose()?
        };
        let Some(row) = row else {
            let why = || StoreError::Damaged(format!("row {} is not pending as its index says", seq.0));
            return if preferred { Ok(None) } else { Err(why()) };
        };
        let body = Bytes::from(row::body(self.sql, seq)?);
        if row.is_intact() && crc32c::crc32c(&body) == row.body_crc {
            return Ok(Some(Claimed::new(&row, body)));
        }
        let reason = "the stored redemption is damaged (its checksum does not fit): it was not sent";
        self.finish(&row, State::Parked, row.marks | mark::UNCERTAIN)?;
        self.keep_answer(seq, None, Some(reason))?;
        Ok(None)
    }

    pub(super) fn settle(&mut self, seq: Seq, attempt: u32, ended: &Ended, show: bool) -> Result<Settled, StoreError> {
        let Some(row) = row::by_seq(self.sql, seq)? else {
            return Ok(Settled { applied: false, state: State::Voided, row: None });
        };
        if row.state != State::Pending || !row.in_flight || row.attempts != attempt {
            return self.late(&row, attempt, ended);
        }
        // An answer that comes while its till waits is told to it: nothing was given on trust.
        let told = Stored { marks: row.marks | if show { mark::ANSWERED } else { 0 }, ..row.clone() };
        let state = match ended {
            Ended::Confirmed(answer) => self.settle_as(&told, State::Confirmed, told.marks, (answer, None))?,
            Ended::Declined { answer, already_used } => self.decline(&told, answer, *already_used)?,
            Ended::Parked { answer, reason } => {
                self.settle_as(&told, State::Parked, told.marks | mark::UNCERTAIN, (answer, Some(reason)))?
            }
            Ended::Clean => self.land(&row, row.marks, row.attempts)?,
            Ended::Uncharged => self.land(&row, row.marks, row.attempts.saturating_sub(1))?,
            Ended::Unclear => self.land(&row, row.marks | mark::UNCERTAIN, row.attempts)?,
        };
        let shown = if show && state != State::Pending { row::by_seq(self.sql, seq)? } else { None };
        let lane = self.books.name(row.lane);
        let row = shown.map(|row| row.redemption(self.sql, lane)).transpose()?.map(Box::new);
        Ok(Settled { applied: true, state, row })
    }

    fn decline(&mut self, row: &Stored, answer: &Answer, already_used: bool) -> Result<State, StoreError> {
        if already_used && used_is_ours(row) {
            return self.settle_as(row, State::Confirmed, row.marks | mark::DUPLICATE_OF_OURS, (answer, None));
        }
        if already_used && row.has(mark::UNCERTAIN) && row.is(kind::REUSABLE) {
            let reason = "\"already used\" about a reusable code after an attempt that may have arrived";
            return self.settle_as(row, State::Parked, row.marks, (answer, Some(reason)));
        }
        self.settle_as(row, State::Declined, row.marks & !mark::UNCERTAIN, (answer, None))
    }

    fn settle_as(
        &mut self,
        row: &Stored,
        state: State,
        marks: i64,
        (answer, note): (&Answer, Option<&str>),
    ) -> Result<State, StoreError> {
        self.finish(row, state, marks)?;
        let plain = note.is_none() && *answer == Answer::success();
        if !plain {
            self.keep_answer(row.seq, Some(answer), note)?;
        }
        Ok(state)
    }

    /// Moves a row out of its state, and the books with it.
    pub(super) fn finish(&mut self, row: &Stored, state: State, marks: i64) -> Result<(), StoreError> {
        let trusted = if self.around.stamp.trusted { mark::SETTLED_TRUSTED } else { 0 };
        let sql = "UPDATE redemption SET state = ?2, in_flight = 0, marks = ?3, settled_ms = ?4 WHERE seq = ?1";
        let marks = mark::beside((marks & !mark::SETTLED_TRUSTED) | trusted, state);
        self.sql.prepare_cached(sql)?.execute((row.seq.0, state as i64, marks, self.around.stamp.unix_ms))?;
        self.books.change((row.seq, row.lane), row.state, state)
    }

    pub(super) fn keep_answer(&self, seq: Seq, answer: Option<&Answer>, note: Option<&str>) -> Result<(), StoreError> {
        let sql = "INSERT INTO answer VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (seq) DO UPDATE SET \
             status = coalesce(excluded.status, status), content_type = coalesce(excluded.content_type, content_type), \
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

    /// The attempt is over and the row goes on waiting.
    fn land(&mut self, row: &Stored, marks: i64, attempts: u32) -> Result<State, StoreError> {
        let sql = "UPDATE redemption SET in_flight = 0, marks = ?2, attempts = ?3 WHERE seq = ?1";
        self.sql.prepare_cached(sql)?.execute((row.seq.0, marks, attempts))?;
        Ok(State::Pending)
    }

    pub(super) fn unclaim(&mut self, rows: &[(Seq, u32)]) -> Result<Done, StoreError> {
        let sql = "UPDATE redemption SET in_flight = 0, attempts = max(attempts - 1, 0) \
             WHERE seq = ?1 AND state = 0 AND in_flight = 1 AND attempts = ?2";
        for (seq, attempt) in rows {
            self.sql.prepare_cached(sql)?.execute((seq.0, attempt))?;
        }
        Ok(Done::Noted)
    }

    /// An answer that the row does not wait for any more is recorded, not applied.
    fn late(&mut self, row: &Stored, attempt: u32, ended: &Ended) -> Result<Settled, StoreError> {
        let said = match ended {
            Ended::Confirmed(_) => "confirmed",
            Ended::Declined { .. } => "declined",
            Ended::Parked { .. } => "parked",
            Ended::Clean | Ended::Uncharged | Ended::Unclear => "no verdict",
        };
        let event = Event {
            at_ms: self.around.stamp.unix_ms,
            id: Some(row.id().to_string()),
            lane: self.books.name(row.lane).to_owned(),
            what: "late_answer".to_owned(),
            by: "redeemd".to_owned(),
            detail: format!("attempt {attempt} ended late: {said}"),
        };
        self.record(&event, Some(row.seq))?;
        Ok(Settled { applied: false, state: row.state, row: None })
    }
}

/// An "already used" is our own doing: an earlier attempt may have arrived, no earlier redemption explains it, and
/// the code is good for one time only.
fn used_is_ours(row: &Stored) -> bool {
    row.has(mark::UNCERTAIN) && !row.is(kind::PROVIDER_ONLY) && !row.is(kind::REUSABLE)
}
