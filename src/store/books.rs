//! The books: a row per lane with lifetime totals, and what its link must not forget over a
//! restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::elapsed::Elapsed;
use super::recount::UnderWay;
use super::risk::Ledger;
use super::row::Stored;
use super::sums::{LaneSums, LastSums};
use super::tallies::{self, place_of};
use super::trust::{self, Off, TrustOff};
use super::types::Counts;
use super::{Desk, Operation, OperationKind, StoreError, checks, keep};
use crate::clock::whole_ms;
use crate::decide::{self, Figures};
use crate::limits::Limit;
use crate::message::{Cause, Storage};
use crate::redemption::{Seq, State};
use crate::value::Amount;

/// The lanes' totals as the transaction sees them; written once a transaction. A clone is taken at
/// the begin of each, for the case that it fails: what grows with the store is shared with it.
#[derive(Clone, Debug)]
pub(super) struct Books {
    lanes: BTreeMap<i64, LaneBooks>,
    /// How many rows of each till are pending in each lane.
    tills: Arc<BTreeMap<(i64, String), u64>>,
    /// Those of them that the transaction changed.
    changed_tills: BTreeMap<(i64, String), u64>,
    /// The first number that this process gives out.
    pub(super) first: Seq,
    /// Some codes are kept whose rows are gone.
    pub(super) keeps_codes: bool,
    /// The database has a place for checks; one whose last steps wait for room has none.
    pub(super) keeps_checks: bool,
    /// Some checks are remembered.
    pub(super) has_checks: bool,
    /// A recount under way.
    pub(super) recount: Option<UnderWay>,
    /// What was given on trust.
    pub(super) ledger: Ledger,
    /// The lanes in which nothing is accepted on trust.
    pub(super) trust_off: Arc<BTreeMap<String, TrustOff>>,
    /// What has not reached the tables yet.
    pub(super) last: LastSums,
}

/// While redemptions are given on trust, how long the outage has lasted is kept with one of them
/// this often: a power cut forgets no more of it.
const OUTAGE_KEPT_EVERY: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default)]
struct LaneBooks {
    name: Arc<str>,
    counts: Counts,
    /// How much of the present outage is kept, as far as this process knows.
    outage_kept: Duration,
    /// Rows that left after their retention: the totals still count them.
    gone: Gone,
    /// How many wait for a person. A database of an earlier build says it once it is recounted.
    waiting: Option<u64>,
    waiting_changed: bool,
    changed: bool,
}

impl LaneBooks {
    /// Whether a life of rows can have come to these totals.
    fn can_be(&self) -> bool {
        let Counts { confirmed, declined, voided, .. } = self.counts;
        let Gone { confirmed: gone_confirmed, declined: gone_declined, voided: gone_voided } =
            self.gone;
        self.counts.balance()
            && gone_confirmed <= confirmed
            && gone_declined <= declined
            && gone_voided <= voided
    }

    /// As they are written.
    fn sums(&self) -> LaneSums {
        let Counts { accepted, pending, confirmed, declined, parked, voided } = self.counts;
        let Gone { confirmed: gone_confirmed, declined: gone_declined, voided: gone_voided } =
            self.gone;
        [
            accepted,
            pending,
            confirmed,
            declined,
            parked,
            voided,
            gone_confirmed,
            gone_declined,
            gone_voided,
        ]
    }
}

/// Settled rows that were pruned, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) confirmed: u64,
    pub(super) declined: u64,
    pub(super) voided: u64,
}

impl Gone {
    fn of(self, state: State) -> u64 {
        match state {
            State::Confirmed => self.confirmed,
            State::Declined => self.declined,
            State::Voided => self.voided,
            State::Pending | State::Parked => 0,
        }
    }
}

impl Books {
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let last = LastSums::open(connection)?;
        let sql = "SELECT lane, name, accepted, pending, confirmed, declined, parked, voided, \
            gone_confirmed, gone_declined, gone_voided FROM lane";
        let mut statement = connection.prepare(sql)?;
        let mut lanes: BTreeMap<i64, LaneBooks> =
            statement.query_map([], read_page)?.collect::<Result<_, _>>()?;
        for page in lanes.values_mut() {
            let kept = keep::read(connection, &waiting_name(&page.name))?;
            page.waiting = kept.and_then(|number| number.parse().ok());
        }
        if let Some(page) = lanes.values().find(|page| !page.can_be()) {
            return Err(StoreError::Damaged(format!(
                "the books of lane {:?} do not add up",
                page.name
            )));
        }
        let mut statement = connection.prepare("SELECT lane, till, pending FROM till")?;
        let read = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
        let tills: BTreeMap<_, _> = statement.query_map([], read)?.collect::<Result<_, _>>()?;
        let sql = "SELECT EXISTS (SELECT 1 FROM held_code)";
        let keeps_codes = connection.query_row(sql, [], |row| row.get(0))?;
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'check_share')";
        let keeps_checks = connection.query_row(sql, [], |row| row.get(0))?;
        let has_checks = keeps_checks && checks::has_any(connection)?;
        let (ledger, trust_off) = (Ledger::read(connection)?, Arc::new(trust::read(connection)?));
        let first = Seq(i64::MAX);
        Ok(Self {
            lanes,
            tills: Arc::new(tills),
            changed_tills: BTreeMap::new(),
            first,
            keeps_codes,
            keeps_checks,
            has_checks,
            recount: None,
            ledger,
            trust_off,
            last,
        })
    }

    /// The books of a process that gives out numbers from this one on.
    pub(super) fn from(mut self, first: Seq) -> Self {
        self.first = first;
        self
    }

    /// Writes what the transaction changed.
    pub(super) fn write(&mut self, connection: &Connection, minute: i64) -> Result<(), StoreError> {
        for (lane, page) in self.lanes.iter_mut().filter(|(_, page)| page.changed) {
            self.last.set_lane(*lane, page.sums());
            page.changed = false;
        }
        for page in self.lanes.values_mut().filter(|page| page.waiting_changed) {
            let waiting = page.waiting.unwrap_or(0);
            keep::write(connection, &waiting_name(&page.name), &waiting.to_string())?;
            page.waiting_changed = false;
        }
        for (till, pending) in &self.changed_tills {
            self.last.set_till(till.clone(), *pending);
        }
        for (scope, sums) in self.ledger.sums(minute) {
            self.last.set_risk(scope, sums?);
        }
        self.last.keep(connection)
    }

    /// What was written is committed.
    pub(super) fn settle(&mut self) {
        self.ledger.settle();
        if self.changed_tills.is_empty() {
            return;
        }
        let tills = Arc::make_mut(&mut self.tills);
        for (till, pending) in std::mem::take(&mut self.changed_tills) {
            // Whoever once had a name is not carried along for ever: an import may bring a hundred
            // thousand.
            if pending == 0 {
                tills.remove(&till);
            } else {
                tills.insert(till, pending);
            }
        }
    }

    /// The number of this lane, made at its first mention.
    pub(super) fn lane(&mut self, connection: &Connection, name: &str) -> Result<i64, StoreError> {
        if let Some(lane) = self.number(name) {
            return Ok(lane);
        }
        connection.execute("INSERT INTO lane (name) VALUES (?1)", [name])?;
        let lane = connection.last_insert_rowid();
        let sql = "INSERT OR REPLACE INTO lane_name VALUES (?1, ?2, ?3)";
        connection.execute(sql, (lane, name, lane_crc(lane, name)))?;
        keep::write(connection, &waiting_name(name), "0")?;
        let page = LaneBooks { name: name.into(), waiting: Some(0), ..LaneBooks::default() };
        self.lanes.insert(lane, page);
        trust::inherit(connection, &mut self.trust_off, name)?;
        Ok(lane)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.lanes.iter().find(|(_, page)| *page.name == *name).map(|(lane, _)| *lane)
    }

    /// Every lane's number and name.
    pub(super) fn named(&self) -> impl Iterator<Item = (i64, &str)> {
        self.lanes.iter().map(|(lane, page)| (*lane, &*page.name))
    }

    pub(super) fn name(&self, lane: i64) -> &str {
        self.lanes.get(&lane).map_or("", |page| &*page.name)
    }

    pub(super) fn pending(&self, lane: i64) -> u64 {
        self.lanes.get(&lane).map_or(0, |page| page.counts.pending)
    }

    /// How many rows of this till are pending in this lane.
    pub(super) fn till_pending(&self, lane: i64, till: &str) -> u64 {
        let till = (lane, till.to_owned());
        self.changed_tills.get(&till).or_else(|| self.tills.get(&till)).copied().unwrap_or(0)
    }

    fn move_till(&mut self, row: &Stored, from: Option<State>, to: State) {
        let (was, is) = (from == Some(State::Pending), to == State::Pending);
        if was == is {
            return;
        }
        let (tills, till) = (&self.tills, (row.lane, row.till.clone()));
        let pending = self
            .changed_tills
            .entry(till)
            .or_insert_with_key(|till| tills.get(till).copied().unwrap_or(0));
        *pending = if is { pending.saturating_add(1) } else { pending.saturating_sub(1) };
    }

    pub(super) fn counts(&self) -> Vec<(String, Counts)> {
        self.lanes.values().map(|page| (page.name.to_string(), page.counts)).collect()
    }

    /// A new row in `state`.
    pub(super) fn enter(&mut self, row: &Stored, state: State) -> Result<(), StoreError> {
        let counts = self.page(row.lane)?;
        counts.accepted = counts.accepted.saturating_add(1);
        let entered = of(counts, state);
        *entered = entered.saturating_add(1);
        self.move_till(row, None, state);
        let waits = decide::needs_a_person(state, row.kind, row.marks);
        self.wait(row, (false, waits));
        self.note(row, Figures::of_bits(row.kind, row.marks, state));
        Ok(())
    }

    /// A row goes from one state to another, with these marks.
    pub(super) fn change(&mut self, row: &Stored, to: State, marks: i64) -> Result<(), StoreError> {
        self.follow(row.seq, row.lane, (row.state, Some(to)));
        self.count(row, to, marks);
        let counts = self.page(row.lane)?;
        let left = of(counts, row.state);
        *left = left.checked_sub(1).ok_or(StoreError::Internal("the books hold no such row"))?;
        let entered = of(counts, to);
        *entered = entered.saturating_add(1);
        self.move_till(row, Some(row.state), to);
        Ok(())
    }

    /// A row has other marks.
    pub(super) fn remark(&mut self, row: &Stored, marks: i64) {
        self.count(row, row.state, marks);
    }

    fn note(&mut self, row: &Stored, change: Figures) {
        self.last.add_figures(place_of(row), change);
    }

    /// How many of this lane's rows wait for a person, where that is known.
    pub(super) fn waiting(&self, lane: i64) -> Option<u64> {
        self.lanes.get(&lane)?.waiting
    }

    /// A row waits for a person, or does no longer.
    fn wait(&mut self, row: &Stored, (was, is): (bool, bool)) {
        if was == is {
            return;
        }
        if let Some(recount) = &mut self.recount {
            recount.follow_waiting(row.seq, row.lane, is);
        }
        let Some(page) = self.lanes.get_mut(&row.lane) else { return };
        if let Some(waiting) = &mut page.waiting {
            *waiting = if is { waiting.saturating_add(1) } else { waiting.saturating_sub(1) };
            page.waiting_changed = true;
        }
    }

    /// The rows were recounted: so many wait for a person.
    pub(super) fn correct_waiting(&mut self, counted: &UnderWay) {
        for (lane, page) in &mut self.lanes {
            let waiting = Some(counted.waiting(*lane));
            page.waiting_changed |= page.waiting != waiting;
            page.waiting = waiting;
        }
    }

    fn count(&mut self, row: &Stored, to: State, marks: i64) {
        let waits = |state, marks| decide::needs_a_person(state, row.kind, marks);
        self.wait(row, (waits(row.state, row.marks), waits(to, marks)));
        let change = Figures::of_bits(row.kind, marks, to).less(Figures::of(row));
        self.note(row, change);
        if let Some(recount) = &mut self.recount {
            recount.counts_for(row, change);
        }
    }

    /// A settled row leaves after its retention: the lifetime totals and the figures of its day
    /// stay.
    pub(super) fn forget(&mut self, row: &Stored) -> Result<(), StoreError> {
        self.follow(row.seq, row.lane, (row.state, None));
        let figures = Figures::of(row);
        self.note(row, Figures::default().less(figures));
        self.last.add_gone(place_of(row), figures);
        if let Some(recount) = &mut self.recount {
            recount.counts_for(row, Figures::default().less(figures));
        }
        let page = self.changed(row.lane)?;
        match row.state {
            State::Confirmed => page.gone.confirmed += 1,
            State::Declined => page.gone.declined += 1,
            State::Voided => page.gone.voided += 1,
            State::Pending | State::Parked => {
                return Err(StoreError::Internal("an open row was to be pruned"));
            }
        }
        Ok(())
    }

    fn follow(&mut self, seq: Seq, lane: i64, way: (State, Option<State>)) {
        if let Some(recount) = &mut self.recount {
            recount.follow(seq, lane, way);
        }
    }

    /// Where the books, or the figures of the days, say something else than a recount that came to
    /// its end.
    pub(super) fn differences(
        &self,
        connection: &Connection,
        counted: &UnderWay,
    ) -> Result<Vec<Storage>, StoreError> {
        let mut found = self.differing_figures(connection, counted)?;
        for (lane, page) in &self.lanes {
            let mut counts = page.counts;
            for state in State::ALL {
                let (said, rows) =
                    (*of(&mut counts, state), counted.counted(*lane, state) + page.gone.of(state));
                if said != rows {
                    let (lane, state) = (page.name.to_string(), state.to_string());
                    found.push(Storage::Difference { lane, state, books: said, rows });
                }
            }
            if !counts.balance() {
                found.push(Storage::Unbalanced { lane: page.name.to_string() });
            }
            let (said, rows) = (self.ledger.of_lane(*lane).0, counted.exposure(*lane));
            if said != rows {
                found.push(Storage::AtRisk {
                    lane: page.name.to_string(),
                    books: said.to_string(),
                    rows: rows.to_string(),
                });
            }
        }
        Ok(found)
    }

    fn differing_figures(
        &self,
        connection: &Connection,
        counted: &UnderWay,
    ) -> Result<Vec<Storage>, StoreError> {
        let mut found = Vec::new();
        if !self.last.keeps_figures() {
            return Ok(found);
        }
        let said = tallies::of_rows_here(connection, self.last.unwritten())?;
        for (lane, page) in &self.lanes {
            let (said, rows) =
                (said.get(lane).copied().unwrap_or_default(), counted.figures(*lane));
            for (name, (said, rows)) in Figures::NAMES.iter().zip(said.0.into_iter().zip(rows.0)) {
                let number = |figure: i64| u64::try_from(figure).unwrap_or(0);
                if said != rows {
                    let (lane, state) = (page.name.to_string(), format!("{name} by day"));
                    found.push(Storage::Difference {
                        lane,
                        state,
                        books: number(said),
                        rows: number(rows),
                    });
                }
            }
        }
        Ok(found)
    }

    /// What is at risk in a row's lane has changed.
    pub(super) fn follow_exposure(
        &mut self,
        row: &Stored,
        amount: Amount,
        (was, is): (bool, bool),
    ) {
        if let Some(recount) = &mut self.recount {
            recount.follow_exposure(
                row.seq,
                row.lane,
                i64::from(is).saturating_sub(i64::from(was)) * amount.0,
            );
        }
    }

    pub(super) fn is_trust_off(&self, lane: &str, elapsed: &Elapsed) -> bool {
        self.trust_off(lane, elapsed).is_some()
    }

    /// Why nothing is accepted on trust in this lane.
    pub(super) fn trust_off(&self, lane: &str, elapsed: &Elapsed) -> Option<Off> {
        let off = self.trust_off.get(lane)?;
        let left = off.left(elapsed);
        (left != Some(Duration::ZERO)).then(|| Off { off: off.clone(), left })
    }

    fn outage_is_kept(&mut self, lane: i64, present: Duration) {
        if let Some(page) = self.lanes.get_mut(&lane) {
            page.outage_kept = present;
        }
    }

    fn page(&mut self, lane: i64) -> Result<&mut Counts, StoreError> {
        Ok(&mut self.changed(lane)?.counts)
    }

    fn changed(&mut self, lane: i64) -> Result<&mut LaneBooks, StoreError> {
        let page = self
            .lanes
            .get_mut(&lane)
            .ok_or(StoreError::Damaged("a row belongs to no lane".to_owned()))?;
        page.changed = true;
        Ok(page)
    }
}

/// What tells a lane's second name from a damaged one.
pub(super) fn lane_crc(lane: i64, name: &str) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&lane.to_le_bytes()), name.as_bytes())
}

fn of(counts: &mut Counts, state: State) -> &mut u64 {
    match state {
        State::Pending => &mut counts.pending,
        State::Confirmed => &mut counts.confirmed,
        State::Declined => &mut counts.declined,
        State::Parked => &mut counts.parked,
        State::Voided => &mut counts.voided,
    }
}

fn read_page(row: &Row<'_>) -> rusqlite::Result<(i64, LaneBooks)> {
    let counts = Counts {
        accepted: row.get(2)?,
        pending: row.get(3)?,
        confirmed: row.get(4)?,
        declined: row.get(5)?,
        parked: row.get(6)?,
        voided: row.get(7)?,
    };
    let gone = Gone { confirmed: row.get(8)?, declined: row.get(9)?, voided: row.get(10)? };
    let name: String = row.get(1)?;
    let page = LaneBooks { name: name.into(), counts, gone, ..LaneBooks::default() };
    Ok((row.get(0)?, page))
}

/// What a lane's link must not forget over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneMemory {
    /// A hold that only a person ends.
    pub hold: Option<Hold>,
    /// What was seen of a hold for declines behind it, which lasts longer.
    pub declines: Option<String>,
    /// How long the outage had lasted when this was written, milliseconds; zero: none.
    pub outage_ms: u64,
    /// The wall clock when this was written, Unix milliseconds.
    pub noted_ms: i64,
    /// Whether it was trusted then.
    pub noted_trusted: bool,
    /// A pending `Retry-After`.
    pub wait: Option<WaitMemory>,
    /// The outages of the last day and what else the link keeps, in its own words.
    pub more: String,
}

/// A hold that only a person ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The cause's word.
    pub cause: String,
    /// What was seen.
    pub detail: String,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

/// A pending `Retry-After`: a moment of this boot, and what was left in case of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitMemory {
    /// The boot.
    pub boot_id: String,
    /// The moment on that boot's clock, milliseconds.
    pub until_ms: u64,
    /// What was left when this was written, milliseconds.
    pub left_ms: u64,
}

/// Reads what the lane's link had to remember; nothing for a lane that never was.
pub(super) fn memory(connection: &Connection, lane: &str) -> Result<LaneMemory, StoreError> {
    let sql = "SELECT hold, hold_detail, hold_ms, outage_ms, outage_noted_ms, outage_trusted, \
        wait_boot, wait_until_ms, wait_left_ms FROM lane WHERE name = ?1";
    let memory = connection.query_row(sql, [lane], read_memory).optional()?.unwrap_or_default();
    let more = keep::read(connection, &more_name(lane))?.unwrap_or_default();
    let declines = keep::read(connection, &declines_name(lane))?;
    Ok(LaneMemory { declines, more, ..memory })
}

/// Where it is kept that a lane is held for declines behind an operator's hold.
fn declines_name(lane: &str) -> String {
    format!("declines {lane}")
}

/// Where it is kept how many of a lane's rows wait for a person.
fn waiting_name(lane: &str) -> String {
    format!("waiting {lane}")
}

/// One more row of the lane waits for a person, before the books are read.
pub(super) fn one_waits(connection: &Connection, lane: &str) -> Result<(), StoreError> {
    let sql = "UPDATE keep SET value = CAST(value + 1 AS TEXT) WHERE name = ?1";
    connection.prepare_cached(sql)?.execute([waiting_name(lane)])?;
    Ok(())
}

/// Of rows that were salvaged it is not known: the recount says it.
pub(super) fn forget_waiting(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM keep WHERE name GLOB 'waiting *'", [])?;
    Ok(())
}

fn more_name(lane: &str) -> String {
    format!("lane {lane}")
}

fn read_memory(row: &Row<'_>) -> rusqlite::Result<LaneMemory> {
    let hold = Hold { cause: row.get(0)?, detail: row.get(1)?, since_ms: row.get(2)? };
    let wait = WaitMemory { boot_id: row.get(6)?, until_ms: row.get(7)?, left_ms: row.get(8)? };
    Ok(LaneMemory {
        hold: (!hold.cause.is_empty()).then_some(hold),
        declines: None,
        outage_ms: row.get(3)?,
        noted_ms: row.get(4)?,
        noted_trusted: row.get(5)?,
        wait: (wait.left_ms > 0).then_some(wait),
        more: String::new(),
    })
}

/// What a lane's link must not forget.
#[derive(Clone, Debug)]
pub struct Remember {
    /// The lane.
    pub lane: String,
    /// What.
    pub memory: LaneMemory,
    /// The alike declines for which it is held, to be marked.
    pub streak: Vec<Seq>,
}

impl Operation for Remember {
    /// In how long the outage comes to the next step of a limit at which somebody is told.
    type Output = Option<Duration>;
    const KIND: OperationKind = OperationKind::Ending;

    fn is_patient(&self) -> bool {
        true
    }

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Option<Duration>, StoreError> {
        desk.remember(&self.lane, &self.memory, &self.streak)?;
        let lane = desk.books.lane(desk.sql, &self.lane)?;
        desk.tell_outage(lane)
    }
}

impl Desk<'_> {
    fn remember(
        &mut self,
        lane: &str,
        memory: &LaneMemory,
        streak: &[Seq],
    ) -> Result<(), StoreError> {
        let hold = memory.hold.clone().unwrap_or(Hold {
            cause: String::new(),
            detail: String::new(),
            since_ms: 0,
        });
        let wait = memory.wait.clone().unwrap_or(WaitMemory {
            boot_id: String::new(),
            until_ms: 0,
            left_ms: 0,
        });
        let number = self.books.lane(self.sql, lane)?;
        if hold.cause == Cause::Declines.as_str() || memory.declines.is_some() {
            self.mark_streak(number, streak)?;
        }
        match &memory.declines {
            Some(detail) => keep::write(self.sql, &declines_name(lane), detail)?,
            None => keep::forget(self.sql, &declines_name(lane))?,
        }
        // A till may have been told of more of it since that was taken down.
        let present = self.lane_now(number, lane, "").present.map_or(0, whole_ms);
        let outage = if memory.outage_ms > 0 { memory.outage_ms.max(present) } else { 0 };
        let sql = "UPDATE lane SET hold = :hold, hold_detail = :detail, hold_ms = :since, \
            outage_ms = :outage, outage_noted_ms = :noted, outage_trusted = :trusted, wait_boot = \
            :boot, wait_until_ms = :until, wait_left_ms = :left WHERE lane = :lane";
        self.sql.prepare_cached(sql)?.execute(named_params! {
            ":hold": hold.cause, ":detail": hold.detail, ":since": hold.since_ms,
            ":outage": outage,
            ":noted": memory.noted_ms, ":trusted": memory.noted_trusted, ":boot": wait.boot_id,
            ":until": wait.until_ms, ":left": wait.left_ms, ":lane": number,
        })?;
        keep::write(self.sql, &more_name(lane), &memory.more)?;
        self.books.outage_is_kept(number, Duration::from_millis(outage));
        Ok(())
    }

    /// A till is told that the outage lasts too long: as much of it is kept with the answer, once,
    /// so that after a kill no till is given one more although nobody knows what time it is.
    pub(super) fn keep_outage_told(
        &mut self,
        (lane, name): (i64, &str),
        limit: &Limit,
    ) -> Result<(), StoreError> {
        let Limit::Outage(most) = limit.innermost() else { return Ok(()) };
        let now = self.lane_now(lane, name, "");
        let Some(present) = now.present else { return Ok(()) };
        let ended = now.outage.saturating_sub(present);
        self.keep_outage(lane, present, most.saturating_sub(ended))
    }

    /// A redemption is given on trust: now and then, how long the outage has lasted is kept with
    /// it. All others cost no statement.
    pub(super) fn keep_outage_given(
        &mut self,
        lane: i64,
        present: Option<Duration>,
    ) -> Result<(), StoreError> {
        let kept = self.books.lanes.get(&lane).map_or(Duration::ZERO, |page| page.outage_kept);
        match present.filter(|present| *present >= kept + OUTAGE_KEPT_EVERY) {
            Some(present) => self.keep_outage(lane, present, present),
            None => Ok(()),
        }
    }

    /// Keeps how long the outage has lasted, unless as much as `enough` is kept already.
    fn keep_outage(
        &mut self,
        lane: i64,
        present: Duration,
        enough: Duration,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE lane SET outage_ms = :present, outage_noted_ms = :now, outage_trusted = \
            :trusted WHERE lane = :lane AND outage_ms < :enough";
        self.sql.prepare_cached(sql)?.execute(named_params! {
            ":present": whole_ms(present).saturating_add(1), ":enough": whole_ms(enough),
            ":now": self.around.stamp.unix_ms, ":trusted": self.around.stamp.trusted, ":lane": lane,
        })?;
        self.books.outage_is_kept(lane, present);
        Ok(())
    }
}
