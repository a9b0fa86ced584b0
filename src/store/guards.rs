//! Which rows a guard leads to: recent ones in memory, all others in a table that grows in sorted
//! slices.
//!
//! A guard is a hash, so that each row has its own random place in the table, and a page would be
//! written for each. So the newest guards are kept in memory until several belong to one page. A
//! sweep goes round all guards again and again, and each slice of it brings the next few into the
//! table, inside a transaction that accepts rows anyway.
//!
//! What is in memory is never the only trace of a row. `guarded` says up to which row the table has
//! all, and a start reads the guards of the rows behind it. The table may have some of these too;
//! whoever asks looks in both places.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};

use rusqlite::{Connection, OptionalExtension};

use super::row::{self, Stored, columns, written};
use super::transaction::Statements;
use super::{StoreError, Trouble, checkpoint, connection};
use crate::decide::mark;
use crate::redemption::{RewardCode, Seq};

/// From this schema version on there is the table; before it each look asks an index on the rows.
const TABLE_FROM: i64 = 8;
/// How many guards are kept in memory. With a million rows five of them fall on one page then.
const RECENT_MAX: usize = 16 * 1024;
/// How many guards a slice has: seldom enough that no till's p99 is a slice, and short enough that
/// none waits long: 26 pages with a million rows.
const SLICE_GUARDS: usize = 128;
/// More rows than this behind `guarded` are merged before a start reads on. A sweep leaves half as
/// many at most.
const UNMERGED_MAX: usize = 4 * RECENT_MAX;
/// Into how many parts of equal width a sweep divides all guards.
const STAGES: usize = 16;

const IN_TABLE: &str = "SELECT seq FROM guard WHERE guard = ?1 ORDER BY seq DESC LIMIT ?2";
const BY_INDEX: &str = "SELECT seq FROM redemption WHERE guard = ?1 ORDER BY seq DESC LIMIT ?2";
const OF_TILL: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM redemption WHERE seq = ?1 AND (till = ?2 OR marks & ?3 <> 0)"
);
const UNMERGED: &str = concat!(
    "SELECT ",
    written!(),
    " FROM redemption NOT INDEXED WHERE seq > ?1 ORDER BY seq LIMIT ?2"
);
const ALL: &str = "SELECT guard, seq FROM redemption NOT INDEXED WHERE seq > ?1 ORDER BY seq \
    LIMIT ?2";
const UNMERGED_NEWEST: &str =
    "SELECT guard, seq FROM redemption NOT INDEXED WHERE seq > ?1 ORDER BY seq DESC";

const INSERT_BODY: &str = "INSERT INTO body VALUES (?1, ?2)";

/// A guard with the row to which it leads.
type GuardEntry = (i64, i64);

/// The guards of all rows, and what the transaction under way does to them.
#[derive(Debug)]
pub(super) struct Guards {
    /// What the table may not have yet.
    recent: BTreeSet<GuardEntry>,
    sweep: Sweep,
    /// How many rows came since the last slice.
    due: usize,
    pace: Pacing,
    /// Something is in the table.
    is_merged: bool,
    /// The database has no table yet: its last steps wait for room.
    is_put_off: bool,
    changes: Changes,
}

/// What a transaction did; kept or taken back with it.
#[derive(Debug, Default)]
struct Changes {
    entered: Vec<GuardEntry>,
    left: Vec<GuardEntry>,
    /// A slice that went into the table, and the sweep after it.
    slice: Option<(Sweep, Vec<GuardEntry>)>,
}

#[derive(Clone, Copy, Debug)]
struct Pacing {
    recent_max: usize,
    slice: usize,
}

impl Pacing {
    fn of(recent_max: usize) -> Self {
        Self { recent_max, slice: (recent_max / SLICE_GUARDS).clamp(1, SLICE_GUARDS) }
    }
}

/// How far the sweep has come.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    /// Behind this one the next slice begins.
    at: GuardEntry,
    stage: usize,
    /// The newest row there was when each stage was begun last. When it is begun again, the sweep
    /// has passed all guards that there were then.
    begun: [i64; STAGES],
    /// The table has every row up to this one.
    upto: i64,
}

impl Sweep {
    fn new(upto: i64) -> Self {
        Self { at: (i64::MAX, i64::MAX), stage: STAGES - 1, begun: [upto; STAGES], upto }
    }

    /// The last guard of the stage.
    fn end(&self) -> GuardEntry {
        (Self::first_of(self.stage) | Self::WIDTH_BITS, i64::MAX)
    }

    const WIDTH_BITS: i64 = i64::MAX >> (STAGES.ilog2() - 1);

    fn first_of(stage: usize) -> i64 {
        let width = u64::MAX / STAGES as u64 + 1;
        (width.wrapping_mul(stage as u64) ^ (1 << 63)).cast_signed()
    }

    /// Goes on to the next stage; `newest`: the newest row that there is.
    fn go_on(&mut self, newest: i64) {
        self.stage = (self.stage + 1) % STAGES;
        self.at = (Self::first_of(self.stage), i64::MIN);
        if let Some(begun) = self.begun.get_mut(self.stage) {
            self.upto = self.upto.max(*begun);
            *begun = newest;
        }
    }
}

impl Guards {
    /// As the database has them, with what a run before did not merge.
    pub(super) fn open(connection: &Connection) -> Result<Self, StoreError> {
        if connection::version(connection)? < TABLE_FROM {
            return Ok(Self { is_put_off: true, ..Self::new(0) });
        }
        let upto = upto(connection)?;
        let mut guards = Self::new(upto);
        guards.read(connection, UNMERGED_MAX)?;
        let sql = "SELECT EXISTS (SELECT 1 FROM guard)";
        guards.is_merged = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(guards)
    }

    fn new(upto: i64) -> Self {
        Self {
            recent: BTreeSet::new(),
            sweep: Sweep::new(upto),
            due: 0,
            pace: Pacing::of(RECENT_MAX),
            is_merged: false,
            is_put_off: false,
            changes: Changes::default(),
        }
    }

    /// Reads the rows behind the table. Where they are `too_many` for memory they are merged first;
    /// a full disk need not keep the store from being opened.
    fn read(&mut self, connection: &Connection, too_many: usize) -> Result<(), StoreError> {
        let mut after = self.sweep.upto;
        while let Some(Unmerged { mut entries, last, rows }) =
            unmerged(connection, after, too_many)?
        {
            after = last;
            if rows < too_many || !self.recent.is_empty() {
                self.recent.extend(entries);
                continue;
            }
            match merge_at_once(connection, &mut entries, last) {
                Ok(()) => self.sweep = Sweep::new(last),
                Err(error) if error.trouble() == Trouble::Full => self.recent.extend(entries),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// So many guards are kept in memory from now on.
    pub(super) fn keep_recent(&mut self, rows: usize) {
        self.pace = Pacing::of(rows);
    }

    /// A row was written.
    pub(super) fn enter(&mut self, guard: i64, seq: Seq) {
        if !self.is_put_off && self.recent.insert((guard, seq.0)) {
            self.changes.entered.push((guard, seq.0));
        }
    }

    /// A row was deleted.
    pub(super) fn leave(&mut self, sql: &Connection, row: &Stored) -> Result<(), StoreError> {
        if self.is_put_off {
            return Ok(());
        }
        let entry = (row.guard, row.seq.0);
        if self.recent.remove(&entry) {
            self.changes.left.push(entry);
        }
        sql.prepare_cached("DELETE FROM guard WHERE guard = ?1 AND seq = ?2")?.execute(entry)?;
        Ok(())
    }

    /// At the end of a transaction, if it took in rows: brings the next slice into the table.
    pub(super) fn merge(&mut self, sql: &Connection, newest: Seq) -> Result<(), StoreError> {
        let due = self.due.saturating_add(self.changes.entered.len());
        let over = self.recent.len().saturating_sub(self.pace.recent_max);
        if self.changes.entered.is_empty() || due.min(over) < self.pace.slice {
            return Ok(());
        }
        // Twice as many as came: what a start has read beyond the measure is worked off.
        let (sweep, slice) = self.next_slice(over.min(due.saturating_mul(2)), newest);
        insert(sql, &slice)?;
        if sweep.upto != self.sweep.upto {
            write_upto(sql, sweep.upto)?;
        }
        self.changes.slice = Some((sweep, slice));
        Ok(())
    }

    /// So many guards from where the sweep stands on, fewer where it comes round to there.
    fn next_slice(&self, most: usize, newest: Seq) -> (Sweep, Vec<GuardEntry>) {
        let (mut sweep, mut slice) = (self.sweep, Vec::with_capacity(most));
        for _ in 0..STAGES {
            let rest = most.saturating_sub(slice.len());
            let ahead = self.recent.range((Excluded(sweep.at), Included(sweep.end())));
            slice.extend(ahead.take(rest));
            if slice.len() >= most {
                sweep.at = slice.last().copied().unwrap_or(sweep.at);
                break;
            }
            sweep.go_on(newest.0);
        }
        (sweep, slice)
    }

    /// The transaction is committed.
    pub(super) fn committed(&mut self) {
        let Changes { entered, left, slice } = &mut self.changes;
        self.due = self.due.saturating_add(entered.len());
        entered.clear();
        left.clear();
        if let Some((sweep, slice)) = slice.take() {
            for entry in &slice {
                self.recent.remove(entry);
            }
            (self.sweep, self.due, self.is_merged) = (sweep, 0, true);
        }
    }

    /// Nothing of the transaction is kept. What fails again need not fail for a slice's sake.
    pub(super) fn rolled_back(&mut self) {
        let Changes { entered, left, .. } = std::mem::take(&mut self.changes);
        self.recent.extend(left);
        for entry in &entered {
            self.recent.remove(entry);
        }
        self.due = 0;
    }

    /// The newest rows of this guard, the newest first.
    pub(super) fn rows(
        &self,
        sql: &Connection,
        guard: i64,
        rows_max: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let read = |seq| led_to(row::by_seq(sql, Seq(seq))?, (guard, seq));
        self.newest(sql, guard, rows_max)?.into_iter().map(read).collect()
    }

    /// Those of them that a till made, or that were given at another till than the one that made
    /// them.
    pub(super) fn rows_of_till(
        &self,
        sql: &Connection,
        (guard, rows_max): (i64, usize),
        till: &str,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        for seq in self.newest(sql, guard, rows_max)? {
            let row = sql
                .prepare_cached(OF_TILL)?
                .query_row((seq, till, mark::PAID_ELSEWHERE), Stored::from_row)
                .optional()?;
            found.extend(row);
        }
        Ok(found)
    }

    fn newest(&self, sql: &Connection, guard: i64, most: usize) -> Result<Vec<i64>, StoreError> {
        let recent = self.recent.range((guard, i64::MIN)..=(guard, i64::MAX)).rev();
        let mut found: Vec<i64> = recent.take(most).map(|(_, seq)| *seq).collect();
        if !self.is_merged && !self.is_put_off {
            return Ok(found);
        }
        let look = if self.is_put_off { BY_INDEX } else { IN_TABLE };
        let mut statement = sql.prepare_cached(look)?;
        let mut rows = statement.query((guard, most))?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        found.sort_unstable_by_key(|seq| std::cmp::Reverse(*seq));
        found.dedup();
        found.truncate(most);
        Ok(found)
    }

    /// Whether a row can be found by its guard; the caller knows whether the table has it.
    pub(super) fn lead_to(&self, guard: i64, seq: i64, is_in_table: bool) -> bool {
        is_in_table || (seq > self.sweep.upto && self.recent.contains(&(guard, seq)))
    }

    /// The database has no table of guards yet, but an index.
    pub(super) fn are_put_off(&self) -> bool {
        self.is_put_off
    }
}

impl Stored {
    /// Writes a new row and its body, and guards its code; its books are the caller's.
    pub(super) fn insert(
        &self,
        statements: &mut Statements<'_>,
        guards: &mut Guards,
        body: &[u8],
    ) -> Result<(), StoreError> {
        self.insert_by(statements.at_hand(row::INSERT)?)?;
        guards.enter(self.guard, self.seq);
        statements.at_hand(INSERT_BODY)?.execute((self.seq.0, body))?;
        Ok(())
    }
}

/// The row of an entry. One that is not there, or has another guard, is what a flipped bit made of
/// the row that should have been found.
fn led_to(row: Option<Stored>, (guard, seq): GuardEntry) -> Result<Stored, StoreError> {
    row.filter(|row| row.guard == guard).ok_or_else(|| {
        StoreError::Damaged(format!("a guard leads to row {seq}, which is not as it was written"))
    })
}

/// A number that a flipped bit made larger would hide all rows up to it.
fn crc_of(upto: i64) -> u32 {
    crc32c::crc32c(&upto.to_le_bytes())
}

fn upto(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT upto, crc FROM guarded WHERE one = 1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let known: Option<(i64, u32)> = connection.query_row(sql, [], read).optional()?;
    known.filter(|(upto, crc)| *crc == crc_of(*upto)).map(|(upto, _)| upto).ok_or_else(|| {
        StoreError::Damaged("it does not say up to which row codes are guarded".to_owned())
    })
}

fn write_upto(connection: &Connection, upto: i64) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO guarded VALUES (1, ?1, ?2)";
    connection.prepare_cached(sql)?.execute((upto, crc_of(upto)))?;
    Ok(())
}

/// Rows behind the table, in their order.
struct Unmerged {
    entries: Vec<GuardEntry>,
    last: i64,
    rows: usize,
}

/// Some rows behind `after`; `None` where there are none. A row that is not as it was written is
/// found by the guard of its code as well: it may be the guard that is damaged.
fn unmerged(
    connection: &Connection,
    after: i64,
    rows_max: usize,
) -> Result<Option<Unmerged>, StoreError> {
    let mut found = Unmerged { entries: Vec::new(), last: after, rows: 0 };
    let mut statement = connection.prepare(UNMERGED)?;
    let mut rows = statement.query((after, rows_max))?;
    while let Some(row) = rows.next()? {
        (found.last, found.rows) = (row.get(0)?, found.rows + 1);
        found.entries.push((row.get(8)?, found.last));
        if !row::is_as_written(row).unwrap_or(false) {
            let (business, code): (String, String) = (row.get(9)?, row.get(10)?);
            found.entries.push((row::guard_of(&business, &RewardCode::new(code)), found.last));
        }
    }
    Ok((found.rows > 0).then_some(found))
}

/// Entries in their order; the table may have some of them.
fn insert(connection: &Connection, entries: &[GuardEntry]) -> Result<(), StoreError> {
    let sql = "INSERT INTO guard VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    entries.iter().try_for_each(|entry| statement.execute(*entry).map(drop))?;
    Ok(())
}

/// All guards up to a row, in a transaction of their own, with the log moved on behind it.
fn merge_at_once(
    connection: &Connection,
    entries: &mut [GuardEntry],
    upto: i64,
) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    entries.sort_unstable();
    insert(&transaction, entries)?;
    write_upto(&transaction, upto)?;
    transaction.commit()?;
    checkpoint::passive(connection)?;
    Ok(())
}

/// Fills the empty table of a database with the guards of all its rows, in bounded memory.
pub(super) fn fill(connection: &Connection) -> Result<(), StoreError> {
    let mut upto = 0;
    let mut statement = connection.prepare(ALL)?;
    loop {
        let rows =
            statement.query_map((upto, UNMERGED_MAX), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut rows: Vec<GuardEntry> = rows.collect::<Result<_, _>>()?;
        let Some((_, last)) = rows.last() else { break };
        upto = *last;
        rows.sort_unstable();
        insert(connection, &rows)?;
    }
    write_upto(connection, upto)
}

/// A step of the migration: the table was filled with the guards of all rows.
pub(super) fn are_filled(connection: &Connection) -> Result<(), StoreError> {
    let newest = "SELECT coalesce(max(seq), 0) FROM redemption";
    write_upto(connection, connection.query_row(newest, [], |row| row.get(0))?)
}

/// The rows of these guards, the newest of each, for somebody who only reads: what the writer has
/// in memory is read from the rows themselves.
pub(super) fn look_up(
    connection: &Connection,
    guards: &[i64],
    most: usize,
) -> Result<Vec<Seq>, StoreError> {
    let has_table = connection::version(connection)? >= TABLE_FROM;
    // Read first: what the writer merges meanwhile is found in both places.
    let upto = if has_table { upto(connection)? } else { i64::MAX };
    let mut found = recent_rows(connection, upto, (guards, most))?;
    let mut statement = connection.prepare(if has_table { IN_TABLE } else { BY_INDEX })?;
    for guard in guards {
        let seqs = statement.query_map((guard, most), |row| row.get(0).map(Seq))?;
        found.extend(seqs.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

fn recent_rows(
    connection: &Connection,
    upto: i64,
    (guards, most): (&[i64], usize),
) -> Result<Vec<Seq>, StoreError> {
    let mut wanted: BTreeMap<i64, usize> = guards.iter().map(|guard| (*guard, most)).collect();
    let mut found = Vec::new();
    let mut statement = connection.prepare(UNMERGED_NEWEST)?;
    let mut rows = statement.query([upto])?;
    while let Some(row) = rows.next()? {
        if let Some(left @ 1..) = wanted.get_mut(&row.get(0)?) {
            *left -= 1;
            found.push(Seq(row.get(1)?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::schema;
    use super::*;

    const STAGE: i64 = 1 << 60;

    #[test]
    fn each_look_for_a_guard_is_one_search_the_newest_first_without_a_sort() {
        let by_table = "SEARCH guard USING PRIMARY KEY (guard=?)";
        assert_eq!(schema::plan(schema::VERSION, IN_TABLE), by_table);
        let by_index = "SEARCH redemption USING COVERING INDEX redemption_guard (guard=?)";
        for version in 4..TABLE_FROM {
            assert_eq!(schema::plan(version, BY_INDEX), by_index, "version {version}");
        }
        let by_row = "SEARCH redemption USING INTEGER PRIMARY KEY (rowid=?)";
        assert_eq!(schema::plan(schema::VERSION, OF_TILL), by_row);
        let behind = "SEARCH redemption USING INTEGER PRIMARY KEY (rowid>?)";
        for sql in [UNMERGED, ALL, UNMERGED_NEWEST] {
            assert_eq!(schema::plan(schema::VERSION, sql), behind, "{sql}");
        }
    }

    #[test]
    fn other_values_never_make_sqlite_prepare_a_look_anew() {
        let connection = schema::create(Path::new("")).unwrap();
        for sql in [IN_TABLE, OF_TILL] {
            let mut statement = connection.prepare(sql).unwrap();
            for value in 1..5i64 {
                let values = std::iter::repeat_n(value, statement.parameter_count());
                assert!(!statement.exists(rusqlite::params_from_iter(values)).unwrap());
            }
            assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "{sql}");
        }
    }

    #[test]
    fn the_stages_are_all_guards_in_order_and_none_twice() {
        let mut sweep = Sweep::new(0);
        let mut before = i64::MIN;
        for stage in 0..STAGES {
            sweep.go_on(7);
            assert_eq!((sweep.stage, sweep.at), (stage, (before, i64::MIN)));
            let (last, newest) = sweep.end();
            assert_eq!((last.wrapping_sub(before), newest), (STAGE - 1, i64::MAX));
            before = last.wrapping_add(1);
        }
        assert_eq!(before, i64::MIN, "the last ends where the first begins");
    }

    /// Entries far apart, with row numbers from 1.
    fn holding(recent_max: usize, guards: &[i64]) -> Guards {
        let mut held = Guards::new(0);
        held.keep_recent(recent_max);
        for (guard, seq) in guards.iter().zip(1..) {
            held.enter(*guard, Seq(seq));
        }
        held
    }

    #[test]
    fn a_slice_goes_on_where_the_last_one_ended_and_comes_round() {
        let mut held = holding(0, &[5, -3, i64::MIN, i64::MAX, 5]);
        let all = [(i64::MIN, 3), (-3, 2), (5, 1), (5, 5), (i64::MAX, 4)];
        let mut taken = Vec::new();
        for _ in 0..2 * all.len() {
            let (sweep, slice) = held.next_slice(1, Seq(5));
            taken.extend(slice);
            held.sweep = sweep;
            if taken.len() == all.len() {
                break;
            }
        }
        assert_eq!(taken, all);
        let (_, slice) = held.next_slice(100, Seq(5));
        let mut once = slice.clone();
        once.dedup();
        assert_eq!(once, slice, "none twice in one slice");
    }

    #[test]
    fn a_row_counts_as_merged_only_when_the_sweep_has_come_round_since_it_was_there() {
        let mut held = holding(0, &[STAGE, 2 * STAGE]);
        let (first, slice) = held.next_slice(1, Seq(2));
        assert_eq!((slice, first.upto), (vec![(STAGE, 1)], 0));
        held.sweep = first;
        held.recent.remove(&(STAGE, 1));
        // Behind the sweep: it is the next round's.
        held.enter(0, Seq(3));
        let (second, slice) = held.next_slice(1, Seq(3));
        assert_eq!((slice, second.upto), (vec![(2 * STAGE, 2)], 0));
        held.sweep = second;
        held.recent.remove(&(2 * STAGE, 2));
        let (third, slice) = held.next_slice(1, Seq(3));
        assert_eq!((slice, third.upto), (vec![(0, 3)], 2), "the round began with two rows");
    }
    /// A database with so many rows, which have their numbers as guards; the table has none.
    fn unmerged_rows(count: usize) -> Connection {
        let connection = schema::create(Path::new("")).unwrap();
        let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
             INSERT INTO redemption SELECT i, zeroblob(12), NULL, 1, 'till', i, i, zeroblob(16), \
             i, 'shop', 'code', '7', 'date', 0, 0, 0, 0, 0, 0, 0, 0, NULL FROM n";
        connection.execute(fill, [count]).unwrap();
        // What fails is rolled back.
        connection.query_row("PRAGMA journal_mode = memory", [], |_| Ok(())).unwrap();
        connection
    }

    fn merged(connection: &Connection) -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM guard WHERE guard = seq), upto FROM guarded";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[test]
    fn a_start_merges_what_is_too_much_for_memory_and_reads_the_rest() {
        for (too_many, in_table) in [(14, 0), (13, 13), (5, 10), (1, 13)] {
            let connection = unmerged_rows(13);
            let mut guards = Guards::new(0);
            guards.read(&connection, too_many).unwrap();
            assert_eq!(merged(&connection), (in_table, in_table), "{too_many} are too many");
            let in_memory = guards.recent.iter().filter(|(guard, seq)| guard == seq).count();
            assert_eq!(i64::try_from(in_memory).unwrap() + in_table, 13);
            assert_eq!(guards.sweep.upto, in_table);
        }
    }

    #[test]
    fn a_start_on_a_full_disk_keeps_in_memory_what_it_cannot_merge() {
        let connection = unmerged_rows(2000);
        let pages: i64 =
            connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let fill = "INSERT INTO event (at_ms, lane, what, by, detail) VALUES (0, '', '', '', '')";
        connection.pragma_update(None, "max_page_count", pages).unwrap();
        while connection.execute(fill, []).is_ok() {}
        let mut guards = Guards::new(0);
        guards.read(&connection, 500).unwrap();
        let led_to: BTreeSet<i64> = guards.recent.iter().map(|(_, seq)| *seq).collect();
        assert_eq!((led_to.len(), merged(&connection)), (2000, (0, 0)));
    }

    #[test]
    fn a_table_is_filled_with_every_row() {
        let connection = unmerged_rows(13);
        fill(&connection).unwrap();
        assert_eq!(merged(&connection), (13, 13));
    }
}
