//! The one transaction that decides about a till's request: repeat, used, limits, insert.

use rusqlite::OptionalExtension;

use super::forward::Claimed;
use super::row::{self, Stored, columns, halves};
use super::schema::{kind, mark};
use super::types::{Decision, NewRedemption, Taken, UsedBy};
use super::{Desk, Done, StoreError};
use crate::limits::{self, LaneNow};
use crate::redemption::{Fingerprint, Request, RewardCode, Seq, State};

/// The condition on `kind` is written as the index of keys has it, or that index would not be used.
const BY_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM redemption WHERE key = ?1 AND key_rest = ?2 AND kind & 16 = 0 ORDER BY seq DESC LIMIT 1"
);
const BY_GUARD_AND_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM redemption WHERE guard = ?1 AND key = ?2 AND key_rest = ?3 ORDER BY seq DESC LIMIT 1"
);
const RIVALS: &str =
    concat!("SELECT ", columns!(), " FROM redemption WHERE guard = ?1 AND business = ?2 AND code = ?3");

/// What a request is looked for by.
#[derive(Clone, Copy)]
struct Names {
    key: [u8; 16],
    guard: i64,
}

/// What the code's earlier redemptions say.
enum Guard {
    Free,
    ProviderOnly,
    Held(Box<Stored>),
}

impl Desk<'_> {
    pub(super) fn accept(&mut self, new: &NewRedemption, reusable: bool) -> Result<Done, StoreError> {
        let Request { reward_code, business_refrence, .. } = &new.request;
        let names = Names { key: key_of(new), guard: row::guard_of(business_refrence, reward_code) };
        // They are looked at whatever the repeat is: a redemption without a till's key is among them.
        let rivals = if reusable { Vec::new() } else { self.rivals(names.guard, business_refrence, reward_code)? };
        let repeat = self.newest_of_key(new, names, reusable, &rivals)?;
        if let Some(row) = repeat.filter(|row| !is_asked_anew(row) && !is_a_namesakes(row, &new.request)) {
            return self.repeat(&row, &new.request).map(|decision| Done::Decided(decision, None));
        }
        let lane = self.books.lane(self.sql, &new.lane)?;
        let now = LaneNow { pending: self.books.pending(lane), ..(self.around.lane)(&new.lane) };
        let guard = guard(rivals, now.up);
        if let Guard::Held(other) = guard {
            return Ok(Done::Decided(Decision::Used(used_by(&other)), None));
        }
        if let Err(limit) = limits::admit(self.around.offline, now) {
            return Ok(Done::Decided(Decision::Limited(limit), None));
        }
        let keyless = if new.key.is_none() { kind::KEYLESS } else { 0 };
        let kind = self.kind_of(&now, reusable, &guard) | keyless;
        let stored = self.fresh(new, lane, names, kind)?;
        self.take(&stored, &new.request, now)
    }

    /// The newest redemption of this key, wherever one of its making lies; `rivals` are empty for a reusable code.
    fn newest_of_key(
        &self,
        new: &NewRedemption,
        names: Names,
        reusable: bool,
        rivals: &[Stored],
    ) -> Result<Option<Stored>, StoreError> {
        match new.key {
            Some(_) => self.by_key(names.key),
            None if reusable => self.by_guard_and_key(names.guard, names.key),
            None => Ok(rivals.iter().rfind(|row| row.key == names.key).cloned()),
        }
    }

    /// The newest redemption of a key that its till gave it, and, of version 1, of any key.
    pub(super) fn by_key(&self, key: [u8; 16]) -> Result<Option<Stored>, StoreError> {
        let (high, low) = halves(key);
        Ok(self.sql.prepare_cached(BY_KEY)?.query_row((high, low), Stored::from_row).optional()?)
    }

    /// The newest redemption of a key that was made of its fields: who has these has this guard.
    pub(super) fn by_guard_and_key(&self, guard: i64, key: [u8; 16]) -> Result<Option<Stored>, StoreError> {
        let (high, low) = halves(key);
        let mut statement = self.sql.prepare_cached(BY_GUARD_AND_KEY)?;
        Ok(statement.query_row((guard, high, low), Stored::from_row).optional()?)
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

    /// Every redemption of this business and code, whose guard this is, in the order in which they were accepted.
    pub(super) fn rivals(&self, guard: i64, business: &str, code: &RewardCode) -> Result<Vec<Stored>, StoreError> {
        let mut statement = self.sql.prepare_cached(RIVALS)?;
        let rows = statement.query_map((guard, business, code.reveal()), Stored::from_row)?;
        let mut rivals: Vec<Stored> = rows.collect::<Result<_, _>>()?;
        rivals.sort_unstable_by_key(|row| row.seq);
        Ok(rivals)
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
    fn fresh(&mut self, new: &NewRedemption, lane: i64, names: Names, kind: i64) -> Result<Stored, StoreError> {
        let in_flight = kind & kind::ONLINE != 0;
        let Request { reward_code, business_refrence, branch_id, date, body, .. } = &new.request;
        let mut row = Stored {
            seq: self.number()?,
            tag: row::random_tag()?,
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
        Ok(row)
    }

    /// The next row's number; the last that there is is never given, since what follows it would have none.
    pub(super) fn number(&mut self) -> Result<Seq, StoreError> {
        let seq = *self.next_seq;
        *self.next_seq = seq.checked_add(1).ok_or(StoreError::Internal("there are no numbers left for new rows"))?;
        Ok(Seq(seq))
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
        let rivals = self.rivals(row.guard, &row.business, &row.code)?;
        Ok(rivals.into_iter().find(|other| other.seq != row.seq && other.state == State::Confirmed))
    }

    /// Another redemption that forbids to send `row` again.
    pub(super) fn obstacle(&self, row: &Stored) -> Result<Option<Stored>, StoreError> {
        if row.is(kind::REUSABLE) {
            return Ok(None);
        }
        let rivals = self.rivals(row.guard, &row.business, &row.code)?;
        Ok(rivals.into_iter().find(|other| other.seq != row.seq && holds_code(other)))
    }
}

/// What the code's earlier redemptions say.
fn guard(rivals: Vec<Stored>, lane_up: bool) -> Guard {
    let mut confirmed = false;
    for other in rivals {
        match other.state {
            State::Pending | State::Parked => return Guard::Held(Box::new(other)),
            State::Voided if other.has(mark::UNCERTAIN) => return Guard::Held(Box::new(other)),
            State::Confirmed if !lane_up => return Guard::Held(Box::new(other)),
            State::Confirmed => confirmed = true,
            State::Declined | State::Voided => {}
        }
    }
    if confirmed { Guard::ProviderOnly } else { Guard::Free }
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
    match &new.key {
        Some(key) => Fingerprint::of(&["key", &new.till, key]).0,
        None => key_of_fields(&new.till, &new.request),
    }
}

/// What names a request to which its till gave no key.
pub(super) fn key_of_fields(till: &str, request: &Request) -> [u8; 16] {
    let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = request;
    Fingerprint::of(&["fields", till, reward_code.reveal(), business_refrence, branch_id, date, timestamp]).0
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::schema;

    /// How SQLite goes about a query, in its own words.
    fn plan(version: i64, sql: &str) -> String {
        let connection = schema::create_as(Path::new(""), version).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> =
            statement.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap();
        steps.join("; ")
    }

    #[test]
    fn each_look_for_an_earlier_redemption_is_one_search_of_its_index() {
        let by_key = "SEARCH redemption USING INDEX redemption_key (key=?)";
        for version in 1..=schema::VERSION {
            assert_eq!(plan(version, BY_KEY), by_key, "version {version}");
        }
        let by_both = "SEARCH redemption USING INDEX redemption_guard (guard=? AND key=?)";
        assert_eq!(plan(schema::VERSION, BY_GUARD_AND_KEY), by_both);
        let by_guard = "SEARCH redemption USING INDEX redemption_guard (guard=?)";
        assert_eq!(plan(schema::VERSION, RIVALS), by_guard);
        assert_eq!(plan(1, RIVALS), by_guard);
    }

    #[test]
    fn other_values_never_make_sqlite_prepare_a_look_anew() {
        let connection = schema::create(Path::new("")).unwrap();
        for sql in [BY_KEY, BY_GUARD_AND_KEY] {
            let mut statement = connection.prepare(sql).unwrap();
            for value in 1..5i64 {
                let values = std::iter::repeat_n(value, statement.parameter_count());
                assert!(!statement.exists(rusqlite::params_from_iter(values)).unwrap());
            }
            assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{sql}");
        }
    }

    #[test]
    fn the_condition_in_the_index_of_keys_is_the_bit_that_says_keyless() {
        assert_eq!(kind::KEYLESS, 16);
        let bits = [kind::TRUSTED, kind::ONLINE, kind::REUSABLE, kind::PROVIDER_ONLY, kind::KEYLESS];
        assert_eq!(bits.iter().sum::<i64>(), kind::ALL);
    }
}
