//! The one transaction that decides about a till's request: repeat, used, limits, insert.

use rusqlite::OptionalExtension;

use super::forward::Claimed;
use super::row::{self, COLUMNS, Stored, halves};
use super::schema::{kind, mark};
use super::types::{Decision, NewRedemption, Taken, UsedBy};
use super::{Desk, Done, StoreError};
use crate::limits::{self, LaneNow};
use crate::redemption::{Fingerprint, Request, RewardCode, Seq, State};

/// What the code's earlier redemptions say.
enum Guard {
    Free,
    ProviderOnly,
    Held(Box<Stored>),
}

impl Desk<'_> {
    pub(super) fn accept(&mut self, new: &NewRedemption, reusable: bool) -> Result<Done, StoreError> {
        let key = key_of(new);
        let repeat = self.by_key(key)?.filter(|row| !is_asked_anew(row) && !is_a_namesakes(row, &new.request));
        if let Some(row) = repeat {
            return self.repeat(&row, &new.request).map(|decision| Done::Decided(decision, None));
        }
        let lane = self.books.lane(self.sql, &new.lane)?;
        let now = LaneNow { pending: self.books.pending(lane), ..(self.around.lane)(&new.lane) };
        let guard = if reusable { Guard::Free } else { self.guard(&new.request, now.up)? };
        if let Guard::Held(other) = guard {
            return Ok(Done::Decided(Decision::Used(used_by(&other)), None));
        }
        if let Err(limit) = limits::admit(self.around.offline, now) {
            return Ok(Done::Decided(Decision::Limited(limit), None));
        }
        let kind = self.kind_of(&now, reusable, &guard);
        let stored = self.fresh(new, lane, key, kind)?;
        self.take(&stored, &new.request, now)
    }

    pub(super) fn by_key(&self, key: [u8; 16]) -> Result<Option<Stored>, StoreError> {
        let (high, low) = halves(key);
        let sql =
            format!("SELECT {COLUMNS} FROM redemption WHERE key = ?1 AND key_rest = ?2 ORDER BY seq DESC LIMIT 1");
        Ok(self.sql.prepare_cached(&sql)?.query_row((high, low), Stored::from_row).optional()?)
    }

    fn repeat(&self, row: &Stored, request: &Request) -> Result<Decision, StoreError> {
        if row.request != Fingerprint::of_request(request).0 {
            return Ok(Decision::KeyReused);
        }
        if row.state == State::Pending {
            return Ok(Decision::StillPending(taken(row, row.in_flight)));
        }
        Ok(Decision::Settled(Box::new(row.redemption(self.sql, self.books.name(row.lane))?)))
    }

    /// What other redemptions of the code say.
    fn guard(&self, request: &Request, lane_up: bool) -> Result<Guard, StoreError> {
        let mut confirmed = false;
        for other in self.rivals(&request.business_refrence, &request.reward_code)? {
            match other.state {
                State::Pending | State::Parked => return Ok(Guard::Held(Box::new(other))),
                State::Voided if other.has(mark::UNCERTAIN) => return Ok(Guard::Held(Box::new(other))),
                State::Confirmed if !lane_up => return Ok(Guard::Held(Box::new(other))),
                State::Confirmed => confirmed = true,
                State::Declined | State::Voided => {}
            }
        }
        Ok(if confirmed { Guard::ProviderOnly } else { Guard::Free })
    }

    /// Every redemption of this business and code.
    pub(super) fn rivals(&self, business: &str, code: &RewardCode) -> Result<Vec<Stored>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM redemption WHERE guard = ?1 AND business = ?2 AND code = ?3");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map((row::guard_of(business, code), business, code.reveal()), Stored::from_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn kind_of(&self, now: &LaneNow, reusable: bool, guard: &Guard) -> i64 {
        let bits = [
            (self.around.stamp.trusted, kind::TRUSTED),
            (now.up, kind::ONLINE),
            (reusable, kind::REUSABLE),
            (matches!(guard, Guard::ProviderOnly), kind::PROVIDER_ONLY),
        ];
        bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()
    }

    /// A row of a lane that is up is born in flight.
    fn fresh(&mut self, new: &NewRedemption, lane: i64, key: [u8; 16], kind: i64) -> Result<Stored, StoreError> {
        let in_flight = kind & kind::ONLINE != 0;
        let Request { reward_code, business_refrence, branch_id, date, body, .. } = &new.request;
        let mut row = Stored {
            seq: Seq(*self.next_seq),
            tag: row::random_tag()?,
            origin: None,
            lane,
            till: new.till.clone(),
            key,
            request: Fingerprint::of_request(&new.request).0,
            guard: row::guard_of(business_refrence, reward_code),
            business: business_refrence.clone(),
            code: reward_code.clone(),
            branch: branch_id.clone(),
            date: date.clone(),
            accepted_ms: self.around.stamp.unix_ms,
            kind,
            body_crc: crc32c::crc32c(body),
            crc: 0,
            state: State::Pending,
            in_flight,
            marks: 0,
            attempts: u32::from(in_flight),
            settled_ms: None,
        };
        row.crc = row.checksum();
        *self.next_seq += 1;
        Ok(row)
    }

    fn take(&mut self, row: &Stored, request: &Request, now: LaneNow) -> Result<Done, StoreError> {
        row.insert(self.sql, &request.body)?;
        self.books.enter(row.lane, State::Pending)?;
        let decision = Decision::Taken(taken(row, now.up || now.hopeful));
        let live = now.up.then(|| Box::new(Claimed::new(row, request.body.clone())));
        Ok(Done::Decided(decision, live))
    }

    /// The earlier confirmed redemption that a `provider_only` row competes with, if it is still known.
    pub(super) fn confirmed_rival(&self, row: &Stored) -> Result<Option<Stored>, StoreError> {
        let rivals = self.rivals(&row.business, &row.code)?;
        Ok(rivals.into_iter().find(|other| other.seq != row.seq && other.state == State::Confirmed))
    }

    /// Another redemption that forbids to send `row` again.
    pub(super) fn obstacle(&self, row: &Stored) -> Result<Option<Stored>, StoreError> {
        if row.is(kind::REUSABLE) {
            return Ok(None);
        }
        let rivals = self.rivals(&row.business, &row.code)?;
        Ok(rivals.into_iter().find(|other| other.seq != row.seq && holds_code(other)))
    }
}

/// Whether a redemption holds its code while the provider cannot be asked.
fn holds_code(row: &Stored) -> bool {
    match row.state {
        State::Pending | State::Parked | State::Confirmed => true,
        State::Voided => row.has(mark::UNCERTAIN),
        State::Declined => false,
    }
}

/// A redemption that was taken back because only the provider could decide and could not be asked: its till was told
/// "has been used", so that asking again is a new question.
fn is_asked_anew(row: &Stored) -> bool {
    row.state == State::Voided && row.is(kind::PROVIDER_ONLY)
}

/// A row from another store, whose till has the name of one of ours and used the same key for something else.
fn is_a_namesakes(row: &Stored, request: &Request) -> bool {
    row.origin.is_some() && row.request != Fingerprint::of_request(request).0
}

/// What names a till's request: its own key, else the till and the five fields.
fn key_of(new: &NewRedemption) -> [u8; 16] {
    let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = &new.request;
    match &new.key {
        Some(key) => Fingerprint::of(&["key", &new.till, key]).0,
        None => {
            Fingerprint::of(&["fields", &new.till, reward_code.reveal(), business_refrence, branch_id, date, timestamp])
                .0
        }
    }
}

fn taken(row: &Stored, worth_waiting: bool) -> Taken {
    Taken {
        seq: row.seq,
        id: row.id(),
        worth_waiting,
        provider_only: row.is(kind::PROVIDER_ONLY),
        refused_at_till: row.has(mark::REFUSED_AT_TILL),
    }
}

/// What a till is told about the redemption that holds its code.
pub(super) fn used_by(row: &Stored) -> UsedBy {
    UsedBy {
        reward_code: row.code.clone(),
        till: row.till.clone(),
        date: row.date.clone(),
        accepted_at_ms: row.accepted_ms,
        state: row.state,
    }
}
