//! The one transaction that decides about a till's request: what is known is loaded, the rules
//! decide, what they say is saved.

use rusqlite::{Connection, OptionalExtension};

use super::forward::Claimed;
use super::row::{self, Stored, columns, halves};
use super::types::{Decision, NewRedemption, Taken, UsedBy};
use super::worth::Given;
use super::{AfterCommit, Desk, Operation, OperationKind, Reader, StoreError, guards};
use crate::decide::{self, CodeRules, Earlier, Kept, Situation, kind, mark};
use crate::limits::{LaneNow, Risk, Subject};
use crate::redemption::{Answer, Fingerprint, Redemption, Request, RewardCode, Seq, State};
use crate::settings::Offline;
use crate::trust::Trust;
use crate::value::Remembered;

/// How many earlier redemptions of a code are read, the newest: a code's history costs the same,
/// however long it is.
const RIVALS_MAX: usize = 64;
/// Where other bytes that fold alike are other codes, so many rows are read for those of one code.
const SPELLINGS_MAX: usize = 256;
/// The condition on `kind` is written as the index of keys has it, or that index would not be used.
const BY_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM redemption WHERE key = ?1 AND kind & 16 = 0 ORDER BY seq DESC"
);

/// The events of a till that is told of a row by another request than the row's own: it had missed
/// the answer, waits for it, or is given what was owed.
const RETOLD: &str = "retold";
const JOINED: &str = "joined";
const PAID: &str = "owed_paid";
/// So many requests that joined a row are known, so that their repeats are.
const JOINED_MAX: usize = 8;
/// So many events are read of how a row was told.
const TOLD_MAX: i64 = 16;

/// A till's request.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The request.
    pub new: NewRedemption,
    /// What its provider's settings say about its code.
    pub rules: CodeRules,
}

impl Accept {
    /// A till's request for a code that is good for one time only.
    #[must_use]
    pub fn once(new: NewRedemption) -> Self {
        Self { new, rules: CodeRules::default() }
    }
}

/// A row to send, and the name of its lane where that may be another than its request's.
type LiveRow = (Option<String>, Box<Claimed>);

/// What came of a till's request.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What the till is told.
    pub decision: Decision,
    /// The row to send when its lane is up.
    pub live: Option<LiveRow>,
    /// Too many codes were refused to the till: its answers are slowed.
    pub is_slowed: bool,
}

impl Operation for Accept {
    type Output = Decided;
    const KIND: OperationKind = OperationKind::New;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Decided, StoreError> {
        let is_slowed = desk.is_slowed(&self.new.till);
        let (decision, live) = desk.accept(&self.new, self.rules)?;
        Ok(Decided { decision, live, is_slowed })
    }

    fn after(&self, decided: &mut Decided, effects: &mut dyn AfterCommit) {
        if let Decision::Owed(row) | Decision::Settled(row) = &decided.decision {
            effects.told(row.seq, matches!(decided.decision, Decision::Owed(_)));
        }
        let (Decision::Taken(taken) | Decision::StillPending(taken)) = &decided.decision else {
            return;
        };
        if taken.worth_waiting {
            effects.awaited(taken.seq);
        }
        match decided.live.take() {
            Some((lane, live)) => effects.live(lane.as_ref().unwrap_or(&self.new.lane), *live),
            None if matches!(decided.decision, Decision::Taken(_)) => {
                effects.pending(&self.new.lane, taken.seq);
            }
            None => {}
        }
    }
}

/// What a request is looked for by.
#[derive(Clone, Copy)]
struct Names {
    key: [u8; 16],
    guard: i64,
}

/// The newest redemptions of a code, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    pub(super) rows: Vec<Stored>,
    /// There are more.
    pub(super) is_cut: bool,
    /// What is known of the code beyond its rows.
    pub(super) kept: Option<Kept>,
}

impl Desk<'_> {
    pub(super) fn accept(
        &mut self,
        new: &NewRedemption,
        rules: CodeRules,
    ) -> Result<(Decision, Option<LiveRow>), StoreError> {
        let Request { reward_code, business_refrence, .. } = &new.request;
        let names = Names {
            key: decide::key_of(&new.till, new.key.as_deref(), &new.request),
            guard: row::guard_of(business_refrence, reward_code),
        };
        let rivals = if rules.reusable {
            self.rivals_of_till(names.guard, new)?
        } else {
            self.rivals(names.guard, (business_refrence, reward_code), rules.exact)?
        };
        let in_index = new.key.is_some() || rules.reusable;
        let by_key = if in_index { self.by_key(names.key)? } else { None };
        let by_fields = match &new.key {
            _ if !rules.reusable => None,
            Some(_) => self.by_key(decide::key_of_fields(&new.till, &new.request))?,
            None => self.keyed_before(new)?,
        };
        let lane = self.books.lane(self.sql, &new.lane)?;
        let tills = self.around.tills;
        let undelivered = tills.take_undelivered(&new.till, &new.request, rules.exact);
        let told = self.told_before(&rivals, undelivered, new)?;
        let is_told = |row: &Stored| told == Some(row.seq);
        let now = self.lane_now(lane, &new.lane, &new.till);
        let rivals = if now.ask || rules.reusable {
            rivals
        } else {
            self.with_elsewhere(rivals, lane, (business_refrence, reward_code))?
        };
        // A redemption that the provider is asked about costs no look at all this.
        let on_trust = matches!(now.trust, Trust::AtOnce { .. });
        let checked = if on_trust {
            self.remembered(lane, business_refrence, reward_code, rules.exact)?
        } else {
            None
        };
        let subject = subject_of(new, checked.as_ref());
        let risk =
            if on_trust { self.risk(lane, &now, subject, rules.reusable) } else { Risk::none() };
        let given = on_trust.then(|| Given::of(&risk, self.around.offline));
        let situation = Situation {
            till: &new.till,
            keyed: new.key.is_some(),
            request: &new.request,
            by_key: by_key.as_ref(),
            by_fields: by_fields.as_ref(),
            undelivered: rivals.rows.iter().find(|row| is_told(row)),
            earlier: rivals.earlier(),
            rules,
            lane: now,
            offline: self.around.offline,
            risk,
            now_min: self.around.elapsed_min(),
            clock_trusted: self.around.stamp.trusted,
        };
        let accept = decide::accept(&situation);
        if let Some((row, how)) = told_to_another(&accept) {
            self.note_told(row, new, how)?;
        }
        if undelivered.is_some_and(|missed| !tells_of(&accept, missed)) {
            tills.give_back_undelivered();
        }
        self.apply(accept, (new, rules), (lane, names, given))
    }

    /// The redemptions of the code for other businesses of the lane beside its own, and what is
    /// kept of it there.
    pub(super) fn with_elsewhere(
        &self,
        rivals: Rivals,
        lane: i64,
        (business, code): (&str, &RewardCode),
    ) -> Result<Rivals, StoreError> {
        let Rivals { mut rows, kept, .. } = self.elsewhere(lane, business, code)?;
        rows.extend(rivals.rows);
        rows.sort_by_key(|row| row.seq);
        Ok(Rivals { rows, kept: rivals.kept.or(kept), is_cut: rivals.is_cut })
    }

    /// The lane with what the books know of it.
    pub(super) fn lane_now(&self, lane: i64, name: &str, till: &str) -> LaneNow {
        let (pending, till_pending) =
            (self.books.pending(lane), self.books.till_pending(lane, till));
        LaneNow { pending, till_pending, ..(self.around.lane)(name) }
    }

    fn apply(
        &mut self,
        accept: decide::Admission,
        (new, rules): (&NewRedemption, CodeRules),
        (lane, names, given): (i64, Names, Option<Given>),
    ) -> Result<(Decision, Option<LiveRow>), StoreError> {
        self.count_refused(&accept, (lane, new))?;
        let decision = match accept {
            decide::Admission::Repeat(row)
            | decide::Admission::Retold(row)
            | decide::Admission::Joined(row) => {
                if row.state == State::Pending {
                    return self.still_pending(&row);
                }
                Decision::Settled(Box::new(self.shown_of(&row)?))
            }
            decide::Admission::KeyReused => Decision::KeyReused,
            decide::Admission::Owed(row) => Decision::Owed(Box::new(self.pay(&row, new)?)),
            decide::Admission::Used(row) => Decision::Used(self.used_by(&row)?),
            decide::Admission::BeingAsked => Decision::BeingAsked,
            decide::Admission::Refused(row) => {
                Decision::RefusedBefore(Box::new(self.shown_of(&row)?))
            }
            decide::Admission::Gone(kept) => {
                let asked = (new.request.business_refrence.as_str(), &new.request.reward_code);
                let words = self.words_of_gone(kept, lane, asked, rules.exact)?;
                words.map_or(Decision::Gone(kept), Decision::RefusedAtCheck)
            }
            decide::Admission::Limited(limit) => Decision::Limited(limit),
            decide::Admission::BadDate => Decision::BadDate,
            decide::Admission::Held => Decision::Held,
            decide::Admission::Insert { kind, marks, in_flight } => {
                return self.take(new, (lane, names), Birth { kind, marks, in_flight, given });
            }
        };
        Ok((decision, None))
    }

    /// A till that asks for one refused code after the other is slowed. An outage that is too long
    /// is so after a start too.
    fn count_refused(
        &mut self,
        accept: &decide::Admission,
        (lane, new): (i64, &NewRedemption),
    ) -> Result<(), StoreError> {
        let (at, code) = ((new.lane.as_str(), new.till.as_str()), &new.request.reward_code);
        match accept {
            decide::Admission::Used(_)
            | decide::Admission::Refused(_)
            | decide::Admission::Gone(_) => self.refused(at, code),
            decide::Admission::Limited(limit) => {
                self.keep_outage_told((lane, &new.lane), limit)?;
                self.tell_limit(lane, limit)?;
                self.refused_by(limit, at, code)
            }
            decide::Admission::Repeat(_)
            | decide::Admission::Retold(_)
            | decide::Admission::Joined(_)
            | decide::Admission::KeyReused
            | decide::Admission::Owed(_)
            | decide::Admission::BeingAsked
            | decide::Admission::BadDate
            | decide::Admission::Held
            | decide::Admission::Insert { .. } => Ok(()),
        }
    }

    /// What a check heard of a code without a row goes on in the provider's words.
    pub(super) fn words_of_gone(
        &self,
        kept: Kept,
        lane: i64,
        asked: (&str, &RewardCode),
        exact: bool,
    ) -> Result<Option<Answer>, StoreError> {
        match kept {
            Kept::Refused => self.refusal_remembered(lane, asked, exact),
            Kept::Used => Ok(None),
        }
    }

    /// A repeat of a pending row. One that its till was refused is asked about again at once, in
    /// the lane that took it: the settings may name another provider for its business by now, and
    /// this one may have it.
    fn still_pending(&mut self, row: &Stored) -> Result<(Decision, Option<LiveRow>), StoreError> {
        let lane = self.books.name(row.lane).to_owned();
        let is_asked = row.is_trusted() || row.in_flight || !(self.around.lane)(&lane).live;
        let live = if is_asked { None } else { self.claim_one(row.seq, true)? };
        let is_awaited = row.in_flight || live.is_some();
        if is_awaited {
            // Its attempt may end in this very transaction.
            self.awaited.push(row.seq);
        }
        let live = live.map(|claimed| (Some(lane), Box::new(claimed)));
        Ok((Decision::StillPending(taken(row, is_awaited)), live))
    }

    /// The redemption about which the till was answered before: it has not had that answer, or its
    /// very request was given what was owed. A repeat gets the same.
    fn told_before(
        &self,
        rivals: &Rivals,
        undelivered: Option<Seq>,
        new: &NewRedemption,
    ) -> Result<Option<Seq>, StoreError> {
        for row in rivals.rows.iter().rev() {
            let is_undelivered = Some(row.seq) == undelivered;
            if !row.has(mark::OWED_PAID) && row.till != new.till {
                continue;
            }
            let told = self.told_by(row.seq, &new.till)?;
            let is_noted = told.iter().any(|(_, told)| is_told_to(told, new));
            let was = |how: &str| told.iter().any(|(what, _)| what == how);
            // What was told again once and was missed again is nobody's to get: a till that resets
            // each connection would get it with each sale.
            let is_a_persons = was(RETOLD) || row.has(mark::IN_VAIN);
            let may_be = !is_a_persons && (was(PAID) || !row.has(mark::OWED_PAID));
            if is_noted && !row.is_owed() || is_undelivered && may_be {
                return Ok(Some(row.seq));
            }
        }
        Ok(None)
    }

    /// The requests by which the till was told of the row besides the row's own, and how, the
    /// newest first. Whoever was given what was owed is the last: what was told before counts no
    /// more.
    fn told_by(&self, seq: Seq, till: &str) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT by, what, detail FROM event \
            WHERE seq = ?1 AND what IN ('owed_paid', 'retold', 'joined') ORDER BY n DESC LIMIT ?2";
        let mut newest_first = self.sql.prepare_cached(sql)?;
        let mut rows = newest_first.query((seq.0, TOLD_MAX))?;
        let mut told = Vec::new();
        while let Some(row) = rows.next()? {
            let (by, how): (String, String) = (row.get(0)?, row.get(1)?);
            let is_last = how == PAID;
            if by == till {
                told.push((how, row.get(2)?));
            }
            if is_last {
                break;
            }
        }
        Ok(told)
    }

    /// The till is told by another request than the row's own: a repeat of that request gets the
    /// same.
    fn note_told(
        &mut self,
        row: &Stored,
        new: &NewRedemption,
        how: &str,
    ) -> Result<(), StoreError> {
        let told = self.told_by(row.seq, &new.till)?;
        if told.iter().any(|(_, told)| is_told_to(told, new)) {
            return Ok(());
        }
        let detail = told_to(new).concat();
        let joined = told.iter().filter(|(how, _)| how == JOINED).count();
        if how == JOINED && joined >= JOINED_MAX {
            return self.note_joined_last(row, &detail);
        }
        self.note_event(row, how, &new.till, &detail)
    }

    /// A till may ask for a pending row as often as it likes: in the place of the one that joined
    /// it longest ago.
    fn note_joined_last(&self, row: &Stored, detail: &str) -> Result<(), StoreError> {
        let sql = "UPDATE event SET at_ms = ?2, detail = ?3 WHERE n = (SELECT n FROM event \
            WHERE seq = ?1 AND what = 'joined' ORDER BY at_ms, n LIMIT 1)";
        let now_ms = self.around.stamp.unix_ms;
        self.sql.prepare_cached(sql)?.execute((row.seq.0, now_ms, detail))?;
        Ok(())
    }

    /// The redemption of a reusable code that the till asked for with these five fields and a key:
    /// so many may have followed that it is not among the newest.
    fn keyed_before(&self, new: &NewRedemption) -> Result<Option<Stored>, StoreError> {
        let request = Fingerprint::of_request(&new.request).0;
        let Some(seq) = self.keyed.find(&new.till, request) else { return Ok(None) };
        let row = row::by_seq(self.sql, seq)?.map(Stored::intact).transpose()?;
        Ok(row.map(|row| row.found_by(self.books.first)))
    }

    /// One conditional update gives what is owed, once.
    fn pay(&mut self, row: &Stored, new: &NewRedemption) -> Result<Redemption, StoreError> {
        let till = &new.till;
        let sql =
            "UPDATE redemption SET marks = (marks & ~?2) | ?3 WHERE seq = ?1 AND marks & ?2 <> 0";
        let elsewhere = if row.till == *till { 0 } else { mark::PAID_ELSEWHERE };
        let paid = self.sql.prepare_cached(sql)?.execute((
            row.seq.0,
            mark::OWED,
            mark::OWED_PAID | elsewhere,
        ))?;
        if paid == 1 {
            self.books.remark(row, (row.marks & !mark::OWED) | mark::OWED_PAID | elsewhere);
            self.note_event(row, PAID, till, &told_to(new).concat())?;
        }
        self.shown(row.seq)
    }

    /// The newest redemption of a key that is in the index of keys: one that its till gave, one of
    /// a reusable code, and, of version 1, any.
    pub(super) fn by_key(&self, key: [u8; 16]) -> Result<Option<Stored>, StoreError> {
        let row = by_key(self.sql, key)?.map(Stored::intact).transpose()?;
        Ok(row.map(|row| row.found_by(self.books.first)))
    }

    /// The newest redemptions of this business and code, whose guard this is. `exact`: other bytes
    /// that fold alike are another code. Of so many that its own cannot be found among them, the
    /// code counts as used.
    pub(super) fn rivals(
        &self,
        guard: i64,
        (business, code): (&str, &RewardCode),
        exact: bool,
    ) -> Result<Rivals, StoreError> {
        let kept = self.kept(business, code, exact)?;
        let newest = self.guards.rows(self.sql, guard, RIVALS_MAX)?;
        if exact && newest.len() >= RIVALS_MAX {
            return self.among_spellings(guard, (business, code), kept);
        }
        let is_cut = newest.len() >= RIVALS_MAX;
        let is_one = |row: &Stored| row.competes_with(business, code);
        let rows = self.in_order(newest, |row| is_one(row) && (!exact || row.code == *code))?;
        Ok(Rivals { rows, is_cut, kept })
    }

    /// As [`Self::rivals`], where many codes fold alike that are not one.
    fn among_spellings(
        &self,
        guard: i64,
        (business, code): (&str, &RewardCode),
        kept: Option<Kept>,
    ) -> Result<Rivals, StoreError> {
        let newest = self.guards.rows(self.sql, guard, SPELLINGS_MAX)?;
        let is_used = newest.len() >= SPELLINGS_MAX;
        let is_one = |row: &Stored| row.competes_with(business, code) && row.code == *code;
        let mut rows = self.in_order(newest, is_one)?;
        let older = rows.len().saturating_sub(RIVALS_MAX);
        rows.drain(..older);
        let kept = if is_used { Some(Kept::Used) } else { kept };
        Ok(Rivals { rows, is_cut: is_used || older > 0, kept })
    }

    /// The newest redemptions of a row's business and code, itself among them, as its lane's
    /// provider tells codes apart.
    pub(super) fn rivals_of(&self, row: &Stored) -> Result<Rivals, StoreError> {
        let exact = self.around.offline.tells_apart(self.books.name(row.lane));
        self.rivals(row.guard, (&row.business, &row.code), exact)
    }

    /// The newest redemptions of a reusable code that its till can repeat or be owed. Nobody else's
    /// holds such a code, and nothing is kept of it beyond its rows.
    fn rivals_of_till(&self, guard: i64, new: &NewRedemption) -> Result<Rivals, StoreError> {
        let Request { reward_code, business_refrence, .. } = &new.request;
        let newest = self.guards.rows_of_till(self.sql, (guard, RIVALS_MAX), &new.till)?;
        let is_one = |row: &Stored| row.competes_with(business_refrence, reward_code);
        let rows = self.in_order(newest, is_one)?;
        Ok(Rivals { rows, is_cut: false, kept: None })
    }

    /// Those of the newest rows of a guard that are of its code, the newest last. Another code has
    /// the same guard as good as never: whether its row is as it was written costs a look only
    /// there.
    fn in_order(
        &self,
        newest: Vec<Stored>,
        is_one: impl Fn(&Stored) -> bool,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut rows = Vec::with_capacity(newest.len());
        for row in newest.into_iter().rev() {
            if row.is_found(is_one(&row))? {
                rows.push(row.found_by(self.books.first));
            }
        }
        Ok(rows)
    }

    /// A row of a lane that can be asked is born in flight.
    fn take(
        &mut self,
        new: &NewRedemption,
        (lane, names): (i64, Names),
        Birth { kind, marks, in_flight, given }: Birth,
    ) -> Result<(Decision, Option<LiveRow>), StoreError> {
        let Request { reward_code, business_refrence, branch_id, date, body, .. } = &new.request;
        let mut row = Stored {
            seq: self.number()?,
            tag: self.tags.take()?,
            origin: None,
            lane,
            till: new.till.clone(),
            key: names.key,
            request: Fingerprint::of_request(&new.request).0,
            guard: names.guard,
            business: business_refrence.clone(),
            code: reward_code.clone(),
            branch: branch_id.clone(),
            date: date.clone(),
            accepted_ms: self.around.stamp.unix_ms,
            kind: kind::on_day(kind, self.around.days.of(self.around.stamp.unix_ms)),
            body_crc: crc32c::crc32c(body),
            crc: 0,
            state: State::Pending,
            in_flight,
            marks,
            attempts: u32::from(in_flight),
            settled_ms: None,
        };
        row.crc = row.checksum();
        row.insert(&mut self.statements, self.guards, body)?;
        if new.key.is_some() && row.is(kind::REUSABLE) {
            self.keyed.note(&row);
        }
        self.books.enter(&row, State::Pending)?;
        self.books.ledger.name(self.sql, (lane, &row.business))?;
        let headroom = match given.filter(|_| row.has(mark::TRUSTED)) {
            Some(given) => Some(self.accept_on_trust(&row, &given)?),
            None => None,
        };
        let decision = Decision::Taken(Taken { headroom, ..taken(&row, in_flight) });
        let mut live = None;
        if in_flight {
            // Nothing of it can have arrived yet.
            let claimed = Claimed::new(&row, body.clone(), false);
            live = Some((None, Box::new(claimed)));
            // As the table has it.
            self.flying.note(Stored { marks: mark::beside(row.marks, row.state), ..row });
        }
        Ok((decision, live))
    }

    /// The next row's number; the last that there is is never given, since what follows it would
    /// have none.
    pub(super) fn number(&mut self) -> Result<Seq, StoreError> {
        let seq = *self.next_seq;
        *self.next_seq = seq
            .checked_add(1)
            .ok_or(StoreError::Internal("there are no numbers left for new rows"))?;
        Ok(Seq(seq))
    }

    /// The redemptions that may forbid to send `row` again: none where its code is reusable.
    pub(super) fn others(&self, row: &Stored) -> Result<Vec<Stored>, StoreError> {
        if row.is(kind::REUSABLE) {
            return Ok(Vec::new());
        }
        Ok(self.rivals_of(row)?.rows)
    }

    /// Whether somebody else's redemption, for whichever business of the lane, explains an "already
    /// used" to `row`. It is looked for only where it matters.
    pub(super) fn explains_used(&self, row: &Stored) -> Result<bool, StoreError> {
        if !decide::may_be_ours(row) {
            return Ok(false);
        }
        let explains = |rivals: &Rivals| decide::explains_used(row, &rivals.rows, rivals.kept);
        Ok(explains(&self.rivals_of(row)?)
            || explains(&self.elsewhere(row.lane, &row.business, &row.code)?))
    }

    /// What a till is told about the redemption that holds its code: where the reward was handed
    /// out, which is another till's where it was owed.
    pub(super) fn used_by(&self, row: &Stored) -> Result<UsedBy, StoreError> {
        let paid = if row.has(mark::PAID_ELSEWHERE) { self.paid_at(row.seq)? } else { None };
        Ok(paid.unwrap_or_else(|| UsedBy {
            till: row.till.clone(),
            date: row.date.clone(),
            accepted_at_ms: row.accepted_ms,
            state: row.state,
        }))
    }

    /// The till that was given what was owed, and its own time of that.
    fn paid_at(&self, seq: Seq) -> Result<Option<UsedBy>, StoreError> {
        let sql = "SELECT by, detail, at_ms FROM event WHERE seq = ?1 AND what = 'owed_paid' \
            ORDER BY n DESC LIMIT 1";
        let given = |row: &rusqlite::Row<'_>| {
            let (till, detail): (String, String) = (row.get(0)?, row.get(1)?);
            let date = detail.split(", branch ").next().unwrap_or_default().to_owned();
            Ok(UsedBy { till, date, accepted_at_ms: row.get(2)?, state: State::Confirmed })
        };
        Ok(self.sql.prepare_cached(sql)?.query_row([seq.0], given).optional()?)
    }
}

impl Reader {
    /// The redemption that a till's request repeats, for as long as nothing can be written. What is
    /// owed is none: to give it is to write.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn repeated(
        &self,
        new: &NewRedemption,
        rules: CodeRules,
    ) -> Result<Option<Redemption>, StoreError> {
        let (sql, request) = (&self.connection, &new.request);
        let guard = row::guard_of(&request.business_refrence, &request.reward_code);
        let mut seqs = guards::look_up(sql, &[guard], RIVALS_MAX)?;
        seqs.sort_unstable();
        let mut rows = Vec::new();
        for seq in seqs {
            rows.extend(row::by_seq(sql, seq)?);
        }
        let by_key = |key: Option<&str>| {
            let row = by_key(sql, decide::key_of(&new.till, key, request))?;
            Ok::<_, StoreError>(row.filter(Stored::is_intact))
        };
        let (named, by_fields) = (by_key(new.key.as_deref())?, by_key(None)?);
        let situation = Situation {
            till: &new.till,
            keyed: new.key.is_some(),
            request,
            by_key: named.as_ref(),
            by_fields: by_fields.as_ref(),
            undelivered: None,
            earlier: Earlier { rows: &rows, is_cut: false, kept: None },
            rules,
            lane: LaneNow::default(),
            offline: &Offline::default(),
            risk: Risk::none(),
            now_min: 0,
            clock_trusted: false,
        };
        repeated(decide::accept(&situation)).map(|row| self.shown(&row)).transpose()
    }
}

/// The newest row of this key, or the newest that may be one since it is not as it was written: the
/// index holds only the first half of a key.
fn by_key(sql: &Connection, key: [u8; 16]) -> Result<Option<Stored>, StoreError> {
    let mut statement = sql.prepare_cached(BY_KEY)?;
    let mut rows = statement.query([halves(key).0])?;
    while let Some(row) = rows.next()? {
        let row = Stored::from_row(row)?;
        if row.key == key || !row.is_intact() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

impl Rivals {
    pub(super) fn earlier(&self) -> Earlier<'_> {
        Earlier { rows: &self.rows, is_cut: self.is_cut, kept: self.kept }
    }
}

/// The row that a till's request is told of as one that is there.
fn repeated(accept: decide::Admission) -> Option<Box<Stored>> {
    use decide::Admission::{Joined, Repeat, Retold};
    if let Repeat(row) | Retold(row) | Joined(row) = accept { Some(row) } else { None }
}

/// The row of which another request than its own is told now, and the event of that.
fn told_to_another(accept: &decide::Admission) -> Option<(&Stored, &'static str)> {
    use decide::Admission::{Joined, Retold};
    if let Retold(row) = accept {
        Some((row, RETOLD))
    } else if let Joined(row) = accept {
        Some((row, JOINED))
    } else {
        None
    }
}

/// Whether the till is told now what is known of this row.
fn tells_of(accept: &decide::Admission, seq: Seq) -> bool {
    use decide::Admission::{Joined, Owed, Repeat, Retold};
    matches!(accept, Repeat(row) | Retold(row) | Joined(row) | Owed(row) if row.seq == seq)
}

/// What tells the request that was given what was owed, or was told again, from the till's others
/// of the code: its fields, and its key if it had one.
fn told_to(new: &NewRedemption) -> [String; 2] {
    let Request { date, branch_id, timestamp, .. } = &new.request;
    let key = new.key.as_ref().map(|key| {
        let (high, low) = halves(Fingerprint::of(&["key", key]).0);
        format!(", key {high:016x}{low:016x}")
    });
    [format!("{date}, branch {branch_id}, timestamp {timestamp}"), key.unwrap_or_default()]
}

/// A request with a key repeats one without, and the other way round; two different keys are two
/// requests.
fn is_told_to(told: &str, new: &NewRedemption) -> bool {
    let [fields, key] = told_to(new);
    let told_key = told.strip_prefix(&fields);
    let is_key = |told: &str| told.is_empty() || told.starts_with(", key ");
    told_key.is_some_and(|told| told == key || is_key(told) && (told.is_empty() || key.is_empty()))
}

fn taken(row: &Stored, worth_waiting: bool) -> Taken {
    Taken {
        seq: row.seq,
        id: row.id(),
        worth_waiting,
        trusted: row.is_trusted(),
        provider_only: row.is(kind::PROVIDER_ONLY),
        headroom: None,
    }
}

/// What a new row is born with.
struct Birth {
    kind: i64,
    marks: i64,
    in_flight: bool,
    /// What it counts as, where it is given on trust.
    given: Option<Given>,
}

/// What a rule is found by; the lane's part is the desk's to fill in.
fn subject_of<'a>(new: &'a NewRedemption, checked: Option<&'a Remembered>) -> Subject<'a> {
    let Request { reward_code, business_refrence, branch_id, .. } = &new.request;
    let (business, branch, code) = (business_refrence, branch_id, reward_code.reveal());
    Subject { till: &new.till, business, branch, code, checked, cause: None, now_s: 0 }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::Stamp;
    use crate::redemption::Answer;
    use crate::store::{Ended, Job, Settlement, Store, Surroundings, Task, schema};

    #[test]
    fn a_look_for_a_key_is_one_search_of_its_index() {
        let by_key = "SEARCH redemption USING INDEX redemption_key (key=?)";
        for version in 1..=schema::VERSION {
            assert_eq!(schema::plan(version, BY_KEY), by_key, "version {version}");
        }
    }

    #[test]
    fn other_values_never_make_sqlite_prepare_a_look_anew() {
        let connection = schema::create(Path::new("")).unwrap();
        let mut statement = connection.prepare(BY_KEY).unwrap();
        for value in 1..5i64 {
            assert!(!statement.exists([value]).unwrap());
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    /// A till's request for the one code of these tests.
    fn asked(nth: usize) -> Accept {
        let request = Request {
            reward_code: RewardCode::new("ALWAYS-THE-SAME".to_owned()),
            business_refrence: "shop".to_owned(),
            branch_id: "7".to_owned(),
            date: "2027-01-15 10:00:00".to_owned(),
            timestamp: nth.to_string(),
            body: "{}".into(),
        };
        Accept::once(NewRedemption {
            till: "till-1".to_owned(),
            key: None,
            lane: "retm".to_owned(),
            request,
        })
    }

    /// How many steps SQLite's machine takes for one more request after so many of the code that
    /// were declined, and for taking it back.
    fn steps_after(history: usize, asked: fn(usize) -> Accept) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap().0;
        let (offline, lane) = (Offline::default(), |_: &str| LaneNow::default());
        let stamp = Stamp { unix_ms: 1_800_000_000_000, trusted: true };
        let around = Surroundings::new(stamp, &offline, &lane);
        let refused = |nth: usize| {
            let answer =
                Answer { status: 400, content_type: None, body: r#"{"message":"no"}"#.into() };
            let ended = Ended::Declined { answer, already_used: false, strong: true };
            Settlement::new(Seq(i64::try_from(nth).unwrap() + 1), 1, ended)
        };
        let jobs = (0..history).map(|nth| (Job::new(asked(nth)), Job::new(refused(nth))));
        let mut jobs: Vec<_> = jobs.collect();
        let mut tasks: Vec<&mut dyn Task> = Vec::new();
        for (asked, refused) in &mut jobs {
            tasks.extend([asked as &mut dyn Task, refused]);
        }
        store.run(&mut tasks, &around);
        assert!(tasks.iter().all(|task| task.error().is_none()));
        let steps = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&steps);
        let count = move || counter.fetch_add(1, Ordering::Relaxed) == u64::MAX;
        store.connection.progress_handler(1, Some(count)).unwrap();
        let done = store.perform(asked(history), &around).unwrap();
        assert!(matches!(done.decision, Decision::Taken(_)), "{done:?}");
        store.connection.progress_handler(0, None::<fn() -> bool>).unwrap();
        steps.load(Ordering::Relaxed)
    }

    #[test]
    fn looking_a_code_up_costs_the_same_whatever_its_history() {
        let (short, long) = (steps_after(RIVALS_MAX, asked), steps_after(RIVALS_MAX * 20, asked));
        assert!(
            short > 0 && long.abs_diff(short) <= short / 20,
            "{short} steps after 64, {long} after twenty times as many"
        );
    }

    #[test]
    fn of_a_reusable_code_other_tills_redemptions_are_passed_over() {
        fn reused(nth: usize) -> Accept {
            let mut accept = asked(nth);
            accept.new.till = format!("till-{nth}");
            accept.rules.reusable = true;
            accept
        }
        let (alone, popular) = (steps_after(0, reused), steps_after(RIVALS_MAX, reused));
        let each = (popular - alone) / RIVALS_MAX as u64;
        assert!(each <= 16, "{each} steps each, where a whole row takes twenty-six");
    }

    #[test]
    fn the_condition_in_the_index_of_keys_is_the_bit_that_says_keyless() {
        assert_eq!(kind::KEYLESS, 16);
    }
}
