//! Searches by people: bounded looks at the rows, by key from where the last one ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Row, Rows};

use super::read::Reader;
use super::row;
use super::types::Event;
use super::{StoreError, guards};
use crate::decide::{mark, needs_a_person};
use crate::fold;
use crate::redemption::{Fingerprint, Id, Redemption, RewardCode, Seq, State};

/// How many rows one look reads.
pub const LOOKED_MAX: usize = 20_000;
/// How long one look lasts.
pub const LOOK_FOR_MAX: Duration = Duration::from_millis(40);
/// After how many rows the time is looked at.
const ROWS_A_LOOK_AT_THE_TIME: usize = 64;
/// How many businesses a code without its business is tried with.
const BUSINESSES_MAX: usize = 1000;
/// The most parts of one query that SQLite merges (`SQLITE_MAX_COMPOUND_SELECT` is 500).
const PARTS_MAX: usize = 400;
/// How many rows of one code its guard finds: a search finds the others.
const OF_ONE_CODE_MAX: usize = 100;

/// How many entries a page of the trail has at most.
const TRAIL_MAX: usize = 1000;
/// How many entries are read for a page of it.
const TRAIL_READ_MAX: i64 = 10_000;

/// A code by its keyed hash: what stands in an address instead of the code.
#[derive(Clone, Debug)]
pub struct CodeHash {
    /// The gateway's own key.
    pub key: Arc<str>,
    /// Of the code.
    pub hash: Fingerprint,
}

impl CodeHash {
    /// The hash of this code under this key, in whatever clothes: folded, as the guards are; white
    /// space around the code is dropped.
    #[must_use]
    pub fn of(key: &Arc<str>, code: &str) -> Self {
        let folded = fold::code(code.trim());
        Self { key: Arc::clone(key), hash: Fingerprint::of(&["searched code", key, &folded]) }
    }

    fn is_of(&self, code: &str) -> bool {
        Self::of(&self.key, code).hash == self.hash
    }
}

/// Which rows are looked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// This state.
    pub state: Option<State>,
    /// This code.
    pub code: Option<CodeHash>,
    /// The code ends so, in any case of ASCII letters; with no more characters than are shown of
    /// it, else the whole code could be found out one after the other.
    pub code_ending: Option<String>,
    /// This till.
    pub till: Option<String>,
    /// This business, in whatever clothes: folded, as providers' `businesses` are.
    pub business: Option<String>,
    /// This branch.
    pub branch: Option<String>,
    /// This lane.
    pub lane: Option<String>,
    /// A person has to look at it.
    pub waiting: bool,
    /// Accepted then or later, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Accepted before, Unix milliseconds.
    pub until_ms: Option<i64>,
    /// The newest first.
    pub newest: bool,
    /// Only those that come after this row in the order.
    pub after: Option<Seq>,
    /// At most so many.
    pub limit: usize,
}

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct FoundRows {
    /// The rows, in the order that was asked for.
    pub rows: Vec<Redemption>,
    /// Where the next look begins; `None` when everything was looked at.
    pub next: Option<Seq>,
    /// How many rows were read.
    pub looked: usize,
    /// The look ended for its bound, not for its page: there may be more that fits.
    pub cut_short: bool,
}

/// How a look ended whose rows were handed on one by one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookEnd {
    /// Where the next look begins; `None` when everything was looked at.
    pub next: Option<Seq>,
    /// How many rows were read.
    pub looked: usize,
}

/// What ends a look before its rows are at an end.
struct LookBound {
    looked: usize,
    until: Instant,
}

impl LookBound {
    fn new() -> Self {
        Self { looked: 0, until: Instant::now() + LOOK_FOR_MAX }
    }

    fn is_reached(&self) -> bool {
        let looks_at_the_time =
            self.looked > 0 && self.looked.is_multiple_of(ROWS_A_LOOK_AT_THE_TIME);
        self.looked >= LOOKED_MAX || (looks_at_the_time && Instant::now() >= self.until)
    }
}

/// When a row came and when it was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSpan {
    /// Accepted, Unix milliseconds.
    pub accepted_ms: i64,
    /// Settled, Unix milliseconds; `None` while pending.
    pub settled_ms: Option<i64>,
    /// Whether the provider answered: confirmed, declined or parked.
    pub answered: bool,
}

impl Reader {
    /// The rows that fit, from `after` on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn search(&self, search: &Search) -> Result<FoundRows, StoreError> {
        let order = if search.newest { ("<", "DESC") } else { (">", "ASC") };
        let which = match search.state {
            Some(State::Pending) => self.pending_parts(search),
            Some(state @ (State::Declined | State::Parked | State::Voided)) => {
                vec![format!("state = {} AND state >= 2 AND", state as i64)]
            }
            Some(State::Confirmed) | None => vec![String::new()],
        };
        let part = |which: &String| {
            format!(
                "SELECT seq, state, lane, till, business, code, branch, accepted_ms, marks, kind \
                 FROM redemption WHERE {which} seq {} ?1",
                order.0
            )
        };
        let parts: Vec<String> = which.iter().map(part).collect();
        let sql = format!("{} ORDER BY seq {}", parts.join(" UNION ALL "), order.1);
        let edge = if search.newest { i64::MAX } else { -1 };
        let after = search.after.map_or(edge, |seq| seq.0);
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query([after])?;
        self.sift(rows, search)
    }

    /// What is pending, part by part as its index has it in order; SQLite merges them. Of too many
    /// lanes all rows are read.
    fn pending_parts(&self, search: &Search) -> Vec<String> {
        let is_meant = |name: &str| search.lane.as_ref().is_none_or(|lane| lane == name);
        let lanes = self.lanes.iter().filter(|(_, name)| is_meant(name));
        let of_lane = |(lane, _): (&i64, &String)| {
            [0, 1].map(|flies| format!("state = 0 AND lane = {lane} AND in_flight = {flies} AND"))
        };
        let parts: Vec<String> = lanes.flat_map(of_lane).collect();
        let is_fit = (1..=PARTS_MAX).contains(&parts.len());
        if is_fit { parts } else { vec!["state = 0 AND".to_owned()] }
    }

    fn sift(&self, mut rows: Rows<'_>, search: &Search) -> Result<FoundRows, StoreError> {
        let (mut bound, mut found, mut last) = (LookBound::new(), FoundRows::default(), None);
        let business = search.business.as_deref().map(fold::code);
        while let Some(row) = rows.next()? {
            let seq = Seq(row.get(0)?);
            if found.rows.len() >= search.limit || bound.is_reached() {
                found.next = last;
                found.cut_short = found.rows.len() < search.limit;
                break;
            }
            bound.looked += 1;
            last = Some(seq);
            if self.fits(row, search, business.as_deref())? {
                found.rows.extend(self.by_seq(seq)?);
            }
        }
        found.looked = bound.looked;
        Ok(found)
    }

    /// `business` is the folded one of `search`.
    fn fits(
        &self,
        row: &Row<'_>,
        search: &Search,
        business: Option<&str>,
    ) -> Result<bool, StoreError> {
        let is = |at: usize, wanted: Option<&String>| -> Result<bool, StoreError> {
            let Some(wanted) = wanted else { return Ok(true) };
            Ok(row.get_ref(at)? == ValueRef::Text(wanted.as_bytes()))
        };
        let state: i64 = row.get(1)?;
        let (marks, kind): (i64, i64) = (row.get(8)?, row.get(9)?);
        let is_waiting =
            || State::from_number(state).is_some_and(|its| needs_a_person(its, kind, marks));
        let lane: i64 = row.get(2)?;
        let accepted_ms: i64 = row.get(7)?;
        let its_business = row.get_ref(4)?.as_str().unwrap_or_default();
        let code = row.get_ref(5)?.as_str().unwrap_or_default();
        Ok(search.state.is_none_or(|wanted| wanted as i64 == state)
            && search.lane.as_ref().is_none_or(|name| self.lanes.get(&lane) == Some(name))
            && (!search.waiting || is_waiting())
            && search.since_ms.is_none_or(|since| accepted_ms >= since)
            && search.until_ms.is_none_or(|until| accepted_ms < until)
            && is(3, search.till.as_ref())?
            && business.is_none_or(|wanted| fold::code(its_business) == wanted)
            && is(6, search.branch.as_ref())?
            && search.code_ending.as_deref().is_none_or(|ending| ends_with(code, ending))
            && search.code.as_ref().is_none_or(|wanted| wanted.is_of(code)))
    }

    /// The newest rows of this code: its guard is looked up for each business that is known from
    /// `businesses` or from the newest rows. The newest first; a code that may be used again can
    /// have more, for which a search goes on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn of_code(
        &self,
        code: &RewardCode,
        businesses: &[String],
    ) -> Result<FoundRows, StoreError> {
        let businesses = self.businesses(businesses)?;
        let guards: Vec<i64> =
            businesses.iter().map(|business| row::guard_of(business, code)).collect();
        let mut seqs = guards::look_up(&self.connection, &guards, OF_ONE_CODE_MAX)?;
        seqs.sort_unstable_by_key(|seq| std::cmp::Reverse(*seq));
        seqs.dedup();
        seqs.truncate(OF_ONE_CODE_MAX);
        let next = seqs.get(OF_ONE_CODE_MAX - 1).copied();
        let rows = seqs.into_iter().filter_map(|seq| self.by_seq(seq).transpose());
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(FoundRows { looked: rows.len(), rows, next, cut_short: false })
    }

    fn businesses(&self, known: &[String]) -> Result<Vec<String>, StoreError> {
        let mut all = known.to_vec();
        let mut statement = self
            .connection
            .prepare("SELECT business FROM redemption ORDER BY seq DESC LIMIT ?1")?;
        let mut rows = statement.query([i64::try_from(LOOKED_MAX).unwrap_or(i64::MAX)])?;
        let mut bound = LookBound::new();
        while all.len() < BUSINESSES_MAX
            && !bound.is_reached()
            && let Some(row) = rows.next()?
        {
            bound.looked += 1;
            let business = row.get_ref(0)?.as_str().unwrap_or_default();
            if !all.iter().any(|known| known == business) {
                all.push(business.to_owned());
            }
        }
        Ok(all)
    }

    /// The rows that wait for a person, state after state, the newest first, each state before its
    /// row in the order; of those that were refused at the till itself, those that came since
    /// `since_ms`. All states share one bound. Each row is handed on as it is found: thousands may
    /// wait.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn waiting(
        &self,
        states: &[(State, Option<Seq>)],
        since_ms: i64,
        mut found: impl FnMut(Redemption),
    ) -> Result<Vec<LookEnd>, StoreError> {
        let mut bound = LookBound::new();
        let mut one = |look: &(State, Option<Seq>)| -> Result<LookEnd, StoreError> {
            let already = bound.looked;
            let next = self.waiting_of(*look, since_ms, &mut bound, &mut found)?;
            Ok(LookEnd { next, looked: bound.looked - already })
        };
        states.iter().map(&mut one).collect()
    }

    /// Where the next look begins.
    fn waiting_of(
        &self,
        (state, before): (State, Option<Seq>),
        since_ms: i64,
        bound: &mut LookBound,
        found: &mut impl FnMut(Redemption),
    ) -> Result<Option<Seq>, StoreError> {
        let which = if state == State::Confirmed { "?1 = 1" } else { "state = ?1 AND state >= 2" };
        let sql = format!(
            "SELECT seq, kind, marks, state, accepted_ms FROM redemption WHERE {which} AND \
             seq < ?2 ORDER BY seq DESC"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query((state as i64, before.map_or(i64::MAX, |seq| seq.0)))?;
        let mut last = before;
        while let Some(row) = rows.next()? {
            if bound.is_reached() {
                return Ok(Some(last.unwrap_or(Seq(i64::MAX))));
            }
            bound.looked += 1;
            let seq = Seq(row.get(0)?);
            last = Some(seq);
            let (kind, marks): (i64, i64) = (row.get(1)?, row.get(2)?);
            let (its, accepted_ms): (i64, i64) = (row.get(3)?, row.get(4)?);
            let is_refused_lately =
                state == State::Declined && accepted_ms >= since_ms && marks & mark::HANDLED == 0;
            let is_shown = needs_a_person(state, kind, marks) || is_refused_lately;
            if its == state as i64 && is_shown {
                self.by_seq(seq)?.into_iter().for_each(&mut *found);
            }
        }
        Ok(None)
    }

    /// Of so many rows that were owed how many are owed still, as far as a bounded look from the
    /// newest on tells: what is given in vain is owed to nobody any more. The newest of them,
    /// `named_max` at most.
    pub(super) fn owed_of(
        &self,
        figure: u64,
        named_max: usize,
    ) -> Result<(u64, Vec<Id>), StoreError> {
        let sql = "SELECT seq, tag, origin, state, marks FROM redemption ORDER BY seq DESC";
        let (mut bound, mut left, mut owed) = (LookBound::new(), figure, figure);
        let mut ids = Vec::new();
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while left > 0 && !bound.is_reached() {
            let Some(row) = rows.next()? else { return Ok((owed.saturating_sub(left), ids)) };
            bound.looked += 1;
            let (state, marks): (i64, i64) = (row.get(3)?, row.get(4)?);
            if state != State::Confirmed as i64 || marks & mark::OWED == 0 {
                continue;
            }
            left -= 1;
            if marks & mark::IN_VAIN != 0 {
                owed -= 1;
            } else if ids.len() < named_max {
                let (seq, origin): (i64, Option<i64>) = (row.get(0)?, row.get(2)?);
                ids.push(Id::new(Seq(origin.unwrap_or(seq)), row.get(1)?));
            }
        }
        Ok((owed, ids))
    }

    /// What people and machines did, the newest first, before entry `before`, and where the next
    /// page begins.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn trail(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Event>, Option<i64>), StoreError> {
        let sql = "SELECT n, at_ms, id, lane, what, by, detail FROM event WHERE n < ?1 \
             ORDER BY n DESC LIMIT ?2";
        let mut statement = self.connection.prepare(sql)?;
        let limit = limit.min(TRAIL_MAX);
        let mut rows = statement.query((before.unwrap_or(i64::MAX), TRAIL_READ_MAX))?;
        let (mut events, mut read, mut last) = (Vec::new(), 0, None);
        while events.len() < limit
            && let Some(row) = rows.next()?
        {
            (read, last) = (read + 1, Some(row.get(0)?));
            let what: String = row.get(4)?;
            // What was known before an action stands in the redemption's story.
            if what != "answered" {
                events.push(Event {
                    at_ms: row.get(1)?,
                    id: row.get(2)?,
                    lane: row.get(3)?,
                    what,
                    by: row.get(5)?,
                    detail: row.get(6)?,
                });
            }
        }
        let next = last.filter(|_| events.len() >= limit || read >= TRAIL_READ_MAX);
        Ok((events, next))
    }

    /// When the newest rows came and were settled, back to `since_ms` by the order of acceptance,
    /// each handed on as it is read, and whether that was reached.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn spans(&self, since_ms: i64, mut found: impl FnMut(RowSpan)) -> Result<bool, StoreError> {
        let sql = "SELECT accepted_ms, settled_ms, state FROM redemption ORDER BY seq DESC";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut bound = LookBound::new();
        while let Some(row) = rows.next()? {
            let (accepted_ms, settled_ms, state): (i64, Option<i64>, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if bound.is_reached() {
                return Ok(false);
            }
            bound.looked += 1;
            if accepted_ms < since_ms && settled_ms.is_some_and(|settled| settled < since_ms) {
                return Ok(true);
            }
            found(RowSpan { accepted_ms, settled_ms, answered: (1..=3).contains(&state) });
        }
        Ok(true)
    }
}

fn ends_with(code: &str, ending: &str) -> bool {
    if ending.chars().count() > RewardCode::shown_of(code) {
        return false;
    }
    let at = code.len().checked_sub(ending.len());
    at.and_then(|at| code.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    const ROWS: usize = 45_000;

    /// A store with more rows than one look reads, each fifth one parked.
    fn reader(folder: &std::path::Path) -> Reader {
        let path = folder.join("redeemd.db");
        let connection = schema::create(&path).unwrap();
        connection.execute("INSERT INTO lane (lane, name) VALUES (1, 'retm')", []).unwrap();
        let columns = connection.prepare("SELECT * FROM redemption").unwrap().column_count();
        assert_eq!(columns, 22, "the test's rows have every column");
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
             INSERT INTO redemption SELECT i, randomblob(12), NULL, 1, 'till-' || (i % 3), i, i, \
             randomblob(16), i, 'shop', 'CODE-' || i, '042', '2026-11-01 10:00:00', i * 1000, 1, \
             0, 0, \
             CASE i % 5 WHEN 0 THEN 3 ELSE 1 END, 0, 0, 1, \
             i * 1000 + 500 FROM n";
        connection.execute(sql, [ROWS]).unwrap();
        schema::finish(connection).unwrap();
        Reader::open(&path).unwrap()
    }

    /// Every look from the first to the last: how many there were, and all that they found.
    fn all(reader: &Reader, mut search: Search) -> (usize, Vec<Redemption>) {
        let (mut looks, mut rows) = (0, Vec::new());
        loop {
            let found = reader.search(&search).unwrap();
            assert!(found.looked <= LOOKED_MAX, "{} rows were read", found.looked);
            looks += 1;
            rows.extend(found.rows);
            match found.next {
                Some(next) => search.after = Some(next),
                None => return (looks, rows),
            }
        }
    }

    #[test]
    fn a_look_reads_a_bounded_number_of_rows_and_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let reader = reader(folder.path());
        let ending = |text: &str| Search {
            code_ending: Some(text.to_owned()),
            limit: 50,
            ..Search::default()
        };
        let (looks, rows) = all(&reader, ending("zz"));
        assert!(looks >= 3 && rows.is_empty(), "{looks}");
        let (_, rows) = all(&reader, ending("21"));
        assert!(
            rows.iter().any(|row| row.seq.0 == 44_321)
                && rows.iter().all(|row| row.seq.0 % 100 == 21)
        );
        let (_, rows) = all(&reader, ending("321"));
        assert!(rows.is_empty(), "no more of it than is shown");
        let newest =
            Search { newest: true, till: Some("till-1".to_owned()), limit: 3, ..Search::default() };
        let found = reader.search(&newest).unwrap();
        assert_eq!(
            found.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(),
            [44_998, 44_995, 44_992]
        );
        assert!(found.looked < 20 && !found.cut_short);
        let span = Search {
            since_ms: Some(10_000),
            until_ms: Some(12_000),
            limit: 50,
            ..Search::default()
        };
        assert_eq!(all(&reader, span).1.len(), 2);
        let lane = Search { lane: Some("other".to_owned()), limit: 50, ..Search::default() };
        assert!(all(&reader, lane).1.is_empty());
    }

    #[test]
    fn a_code_is_found_by_its_keyed_hash_alone_and_exceptions_by_their_index() {
        let folder = tempfile::tempdir().unwrap();
        let reader = reader(folder.path());
        let key: Arc<str> = "key".into();
        let search = |key: &Arc<str>| Search {
            code: Some(CodeHash {
                key: Arc::clone(key),
                hash: CodeHash::of(&"key".into(), " code-77 ").hash,
            }),
            limit: 50,
            ..Search::default()
        };
        assert_eq!(all(&reader, search(&key)).1.len(), 1);
        assert!(all(&reader, search(&"another".into())).1.is_empty());
        let mut seqs = Vec::new();
        let parked = [(State::Parked, Some(Seq(21)))];
        let ends = reader.waiting(&parked, 0, |row| seqs.push(row.seq.0)).unwrap();
        assert_eq!(seqs, [20, 15, 10, 5]);
        assert_eq!(ends[0].looked, 4, "the index is asked for the state");
        let states = [(State::Declined, None), (State::Parked, None), (State::Confirmed, None)];
        let mut found = Vec::new();
        let ends = reader.waiting(&states, 0, |row| found.push(row.state)).unwrap();
        assert!(
            ends.iter().map(|end| end.looked).sum::<usize>() <= LOOKED_MAX,
            "they share one bound"
        );
        assert!(found.iter().all(|state| *state == State::Parked), "none was declined");
        assert!(ends[0].next.is_none() && ends[2].next.is_some());
        let mut spans = 0;
        let whole = reader.spans(0, |_| spans += 1).unwrap();
        assert!(spans <= LOOKED_MAX && !whole);
    }
}
