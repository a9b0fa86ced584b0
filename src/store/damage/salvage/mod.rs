//! Salvage: every row that a damaged database still holds goes into a new one, found page by page
//! and believed only with its checksum.

mod bodies;
mod books;
mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use self::books::{FoundLane, LANE_NUMBERS, adds_up};
use super::pages::{Image, PageBytes};
use super::records::{self, PageKind, RawRow, Value};
use crate::decide::mark;
use crate::message::Note;
use crate::redemption::{RewardCode, Seq, State};
use crate::store::books::{forget_waiting, lane_crc};
use crate::store::row::{self, Stored};
use crate::store::sums::{self, Sums};
use crate::store::types::Event;
use crate::store::{StoreError, copied, files, guards, keep, refold, risk, tallies, trust};

/// How far the numbers jump: none of a lost row is given again.
const SEQ_GAP: i64 = 1000;
/// A remembered number further than this beyond every row is itself damaged.
const SEQ_FLOOR_AHEAD_MAX: i64 = 1_000_000;
/// What a till's repeat is told about a decline whose words were lost.
const DECLINE_LOST: &[u8] =
    br#"{"data":[],"message":"The provider declined this reward; its words were lost","errors":[]}"#;
/// How many columns the tables have that there are.
const COLUMNS: [usize; 7] = [2, 3, 5, 7, 8, 20, 22];

/// What was kept and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Redemptions kept.
    pub kept: u64,
    /// Of these pending: each is uncertain now.
    pub pending: u64,
    /// Of these parked because their body, their state or their row could not be read.
    pub parked: u64,
    /// Of these such as were made of their body, because their row was lost.
    pub restored: u64,
    /// Of these such as had one flipped bit, which their checksum told.
    pub mended: u64,
    /// Redemptions that the books know and the file does not; `None` when the books, or the newest
    /// of them, were lost.
    pub lost: Option<u64>,
}

/// The work in progress.
struct Salvager<'a> {
    image: &'a Image,
    sql: &'a Connection,
    /// What may hold something that is current.
    pages: Vec<u32>,
    lanes: BTreeMap<i64, FoundLane>,
    /// Pages of which another version may hold what this one has lost.
    suspects: BTreeSet<u32>,
    /// The leaves of the redemptions' tree, where it alone tells older copies from rows.
    only: Option<BTreeSet<u32>>,
    /// The page that is being read; zero: one of which the number cannot be believed.
    page: u32,
    /// Whether a body without its row says that the row was lost, and not that it is an old copy.
    is_current: bool,
    mender: mend::Mender,
    seq_floor: i64,
    /// How long the log must be at least, where the database still says so.
    log_bytes: Option<u64>,
    parked: u64,
    restored: u64,
    /// What was given on trust, of the rows that were lost.
    worths: bodies::Worths,
}

/// Fills the new database `to`, whose schema is there, with what `image` holds.
///
/// # Errors
/// The new database cannot be written.
pub(super) fn salvage(image: &Image, to: &Connection) -> Result<(Tally, Seq), StoreError> {
    to.execute_batch("BEGIN")?;
    let Reading { pages, only, is_current } = reading(image);
    let mut work = Salvager {
        image,
        sql: to,
        pages: pages.clone(),
        lanes: BTreeMap::new(),
        suspects: image.doubtful().into_iter().collect(),
        only,
        page: 0,
        is_current,
        mender: mend::Mender::default(),
        seq_floor: 0,
        log_bytes: None,
        parked: 0,
        restored: 0,
        worths: bodies::Worths::default(),
    };
    work.read(&pages, Salvager::ROWS)?;
    work.read(&pages, Salvager::BODIES)?;
    work.restore_from_bodies()?;
    work.park_without_body()?;
    work.drop_orphans()?;
    work.keep_named()?;
    guards::fill(to)?;
    let tally = work.keep_books()?;
    to.execute_batch("COMMIT")?;
    Ok((tally, Seq(work.seq_floor.saturating_add(SEQ_GAP))))
}

/// What is read, and how far it is believed.
struct Reading {
    pages: Vec<u32>,
    /// See [`Salvager::only`].
    only: Option<BTreeSet<u32>>,
    /// See [`Salvager::is_current`].
    is_current: bool,
}

/// Which pages hold rows: none of the free list, where old copies lie. But one to which the
/// redemptions' tree leads is read, so that a damaged list hides nothing; and so is one that the
/// log wrote, where the log's damage may have hidden a newer list. Where the list cannot be
/// followed and the tree can, which pages alone hold redemptions; a tree of which a newer part may
/// be lost says nothing about the others.
fn reading(image: &Image) -> Reading {
    let root = records::root_of(image, "redemption");
    let (leaves, whole) = root.map_or((Vec::new(), false), |root| records::leaves(image, root));
    let leaves: BTreeSet<u32> = leaves.into_iter().collect();
    let list = records::free_pages(image);
    let is_broken = image.is_broken();
    let is_current = list.is_some() && !is_broken;
    let is_whole = whole && list.is_none() && !is_broken;
    let free: BTreeSet<u32> = list.unwrap_or_default().into_iter().collect();
    let is_used = |page: &u32| leaves.contains(page) || (is_broken && image.is_logged(*page));
    let pages =
        image.numbers().into_iter().filter(|page| !free.contains(page) || is_used(page)).collect();
    Reading { pages, only: is_whole.then_some(leaves), is_current }
}

/// What is done with every row that is found.
#[derive(Clone, Copy)]
struct Pass<'a> {
    /// Keeps the rows of some tables; see [`Salvager::take_row`].
    take: fn(&mut Salvager<'a>, &RawRow, bool) -> Result<bool, StoreError>,
    /// Whether a row of these tables has a checksum, and is as it was written.
    proves: fn(&Salvager<'a>, &RawRow) -> Result<bool, StoreError>,
    /// What is done at last with one that is not, although its page leads to it.
    otherwise: fn(&mut Salvager<'a>, &RawRow) -> Result<(), StoreError>,
}

impl<'a> Salvager<'a> {
    /// Every table but the bodies'.
    const ROWS: Pass<'a> = Pass {
        take: Self::take_row,
        proves: |_, row| Ok(is_proven(row)),
        otherwise: |_, _| Ok(()),
    };
    /// The bodies, once the redemptions say which is whose.
    const BODIES: Pass<'a> =
        Pass { take: Self::take_body, proves: Self::proves_body, otherwise: Self::take_body_alone };

    fn read(&mut self, pages: &[u32], pass: Pass<'a>) -> Result<(), StoreError> {
        for number in pages {
            self.page = *number;
            let Some(page) = self.image.page(*number) else {
                self.suspects.insert(*number);
                continue;
            };
            if !self.take_all(&page, *number, pass)? {
                self.suspects.insert(*number);
            }
        }
        self.page = 0;
        for page in self.image.loose() {
            self.take_anywhere(&page, pass)?;
            self.mend_all(&page, pass)?;
        }
        for number in self.suspects.clone() {
            self.page = number;
            for page in self.image.page(number).into_iter().chain(self.image.older(number)) {
                self.take_anywhere(&page, pass)?;
            }
        }
        Ok(())
    }

    /// The rows to which the page's own pointers lead; false when the page or one of them is not as
    /// it should be.
    fn take_all(
        &mut self,
        page: &PageBytes,
        number: u32,
        pass: Pass<'a>,
    ) -> Result<bool, StoreError> {
        let cells = match records::kind(page, number) {
            PageKind::Leaf(cells) => cells,
            PageKind::Inner(_) => return Ok(records::adds_up(page, number)),
            PageKind::Index => return Ok(true),
            PageKind::Other => return Ok(page.iter().all(|byte| *byte == 0)),
        };
        let mut sound = records::adds_up(page, number);
        for at in &cells {
            let row = records::row_at(self.image, page, *at);
            let taken = row.as_ref().map_or(Ok(false), |row| (pass.take)(self, row, true))?;
            if taken || self.mend(page, mend::span(&cells, *at), pass)? {
                continue;
            }
            sound = false;
            row.map_or(Ok(()), |row| (pass.otherwise)(self, &row))?;
        }
        Ok(sound)
    }

    /// Rows at any place of the page: its header and its pointers are not believed.
    fn take_anywhere(&mut self, page: &PageBytes, pass: Pass<'a>) -> Result<(), StoreError> {
        for at in 8..page.len() {
            if let Some(row) = records::row_at(self.image, page, at) {
                (pass.take)(self, &row, false)?;
            }
        }
        Ok(())
    }

    /// Keeps a row of any table but the bodies'; false when it is not as it was written. `pointed`:
    /// its page's own pointers lead to it, so that rows without a checksum may be believed too.
    fn take_row(&mut self, row: &RawRow, pointed: bool) -> Result<bool, StoreError> {
        match row.columns.len() {
            22 => self.take_redemption(row),
            20 if pointed => Ok(self.take_lane(row)),
            3 => Ok(self.take_lane_name(row)),
            5 if pointed => self.take_answer(row),
            8 if pointed => self.take_event(row),
            7 if pointed => Ok(self.take_meta(row)),
            columns => Ok(COLUMNS.contains(&columns)),
        }
    }

    /// One of which the checksum fits and the state does not is parked and never mended: no
    /// checksum covers the state.
    fn take_redemption(&mut self, row: &RawRow) -> Result<bool, StoreError> {
        if self.page != 0 && self.only.as_ref().is_some_and(|leaves| !leaves.contains(&self.page)) {
            return Ok(true);
        }
        let Some((stored, readable)) =
            stored(row).filter(|(stored, _)| stored.seq.0 > 0 && stored.is_intact())
        else {
            return Ok(false);
        };
        if row::by_seq(self.sql, stored.seq)?.is_some() {
            return Ok(true);
        }
        self.seq_floor = self.seq_floor.max(stored.seq.0);
        refold::refolded(&stored).unwrap_or(stored.clone()).insert_row(self.sql)?;
        if !readable {
            self.note(stored.seq, &Note::StateLost.to_stored())?;
            self.parked += 1;
        }
        Ok(readable)
    }

    fn take_body(&mut self, row: &RawRow, _: bool) -> Result<bool, StoreError> {
        if row.columns.len() != 2 {
            return Ok(COLUMNS.contains(&row.columns.len()));
        }
        let fits = self.is_whole_body(row)?;
        if fits {
            self.keep_body(row)?;
        }
        Ok(fits)
    }

    fn keep_body(&self, row: &RawRow) -> Result<(), StoreError> {
        let [_, Value::Blob(body)] = row.columns.as_slice() else { return Ok(()) };
        self.sql
            .prepare_cached("INSERT OR IGNORE INTO body VALUES (?1, ?2)")?
            .execute((row.rowid, body))?;
        Ok(())
    }

    /// Its row was lost, unless it is an old copy.
    fn take_body_alone(&mut self, row: &RawRow) -> Result<(), StoreError> {
        let is_alone =
            row.columns.len() == 2 && self.is_current && self.body_crc(row.rowid)?.is_none();
        if is_alone { self.keep_body(row) } else { Ok(()) }
    }

    fn proves_body(&self, row: &RawRow) -> Result<bool, StoreError> {
        Ok(matches!(row.columns.first(), Some(Value::Null)) && self.is_whole_body(row)?)
    }

    fn is_whole_body(&self, row: &RawRow) -> Result<bool, StoreError> {
        let [_, Value::Blob(body)] = row.columns.as_slice() else { return Ok(false) };
        Ok(self.body_crc(row.rowid)? == Some(crc32c::crc32c(body)))
    }

    /// What the redemption of this number says about its body.
    fn body_crc(&self, seq: i64) -> Result<Option<u32>, StoreError> {
        let sql = "SELECT body_crc FROM redemption WHERE seq = ?1";
        Ok(self.sql.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?)
    }

    fn take_lane_name(&mut self, row: &RawRow) -> bool {
        let [_, Value::Text(name), Value::Int(crc)] = row.columns.as_slice() else { return true };
        let fits = i64::from(lane_crc(row.rowid, name)) == *crc;
        if fits {
            let lane = self.lanes.entry(row.rowid).or_default();
            (lane.name, lane.is_proven) = (Some(name.clone()), true);
        }
        fits
    }

    fn take_lane(&mut self, row: &RawRow) -> bool {
        let [_, Value::Text(name), rest @ ..] = row.columns.as_slice() else { return false };
        let (numbers, memory) = rest.split_at(LANE_NUMBERS.len().min(rest.len()));
        let numbers: Option<Vec<i64>> = numbers.iter().map(integer_of).collect();
        let Some(numbers) = numbers.filter(|numbers| adds_up(numbers)) else { return false };
        let lane = self.lanes.entry(row.rowid).or_default();
        lane.name.get_or_insert_with(|| name.clone());
        if lane.numbers.is_none() {
            lane.numbers = Some(numbers);
            lane.memory = memory.to_vec();
        }
        true
    }

    fn take_answer(&mut self, row: &RawRow) -> Result<bool, StoreError> {
        let [Value::Null, status, content_type, body, note] = row.columns.as_slice() else {
            return Ok(true);
        };
        let sql = "INSERT OR IGNORE INTO answer VALUES (?1, ?2, ?3, ?4, ?5)";
        let kept = self.sql.prepare_cached(sql)?.execute((
            row.rowid,
            integer_of(status).filter(|status| (100..=999).contains(status)),
            text_of(content_type),
            blob_of(body),
            text_of(note),
        ));
        Ok(kept.is_ok())
    }

    fn take_event(&mut self, row: &RawRow) -> Result<bool, StoreError> {
        let [
            Value::Null,
            at,
            seq,
            id,
            Value::Text(lane),
            Value::Text(what),
            Value::Text(by),
            Value::Text(detail),
        ] = row.columns.as_slice()
        else {
            return Ok(false);
        };
        let sql = "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let at = integer_of(at).unwrap_or(0);
        let values = (row.rowid, at, integer_of(seq), text_of(id), lane, what, by, detail);
        Ok(self.sql.prepare_cached(sql)?.execute(values).is_ok())
    }

    fn take_meta(&mut self, row: &RawRow) -> bool {
        let [_, _, _, _, Value::Int(log_bytes), Value::Int(floor), _] = row.columns.as_slice()
        else {
            return false;
        };
        self.log_bytes = self.log_bytes.max(u64::try_from(*log_bytes).ok());
        let ahead = floor.saturating_sub(self.seq_floor);
        if ahead <= SEQ_FLOOR_AHEAD_MAX {
            self.seq_floor = self.seq_floor.max(*floor);
        }
        true
    }

    /// A pending row whose body is lost cannot be sent: a person decides. Its code stays guarded.
    fn park_without_body(&mut self) -> Result<(), StoreError> {
        let without: Vec<Seq> = {
            let sql =
                "SELECT seq FROM redemption WHERE state = 0 AND seq NOT IN (SELECT seq FROM body)";
            let mut statement = self.sql.prepare(sql)?;
            statement.query_map([], |row| row.get(0).map(Seq))?.collect::<Result<_, _>>()?
        };
        for seq in without {
            let sql = "UPDATE redemption SET state = ?2, marks = (marks & ?3) | ?4, settled_ms = \
                accepted_ms \
                 WHERE seq = ?1";
            let beside = mark::beside(0, State::Parked);
            self.sql.prepare_cached(sql)?.execute((
                seq.0,
                State::Parked as i64,
                mark::ALL,
                beside,
            ))?;
            self.note(seq, &Note::BodyLost.to_stored())?;
            self.parked += 1;
        }
        self.sql.execute("INSERT OR IGNORE INTO body SELECT seq, x'' FROM redemption", [])?;
        Ok(())
    }

    /// What is known of codes and of days beyond their rows, and what the gateway itself keeps, as
    /// far as it can be read. How many rows of each till are pending, and what rows count for, is
    /// counted anew.
    fn keep_named(&mut self) -> Result<(), StoreError> {
        tallies::count_anew(self.sql)?;
        let mut seen = BTreeSet::new();
        self.copy("tally", |columns| {
            let [
                Value::Int(day),
                Value::Int(lane),
                Value::Text(till),
                Value::Int(1),
                figures @ ..,
            ] = columns
            else {
                return Ok(());
            };
            if !seen.insert((*day, *lane, till.clone())) {
                return Ok(());
            }
            let figures: Vec<i64> = figures.iter().filter_map(integer_of).collect();
            tallies::keep(self.sql, (*day, *lane, till), &figures)
        })?;
        self.copy("refusal", |columns| {
            // A till's or a business' entry has the same shape; a day of theirs would be in 1970.
            let [Value::Int(day @ 10_000..), Value::Text(reason), Value::Int(refused @ 0..)] =
                columns
            else {
                return Ok(());
            };
            let sql = "INSERT OR IGNORE INTO refusal VALUES (?1, ?2, ?3)";
            self.sql.prepare_cached(sql)?.execute((day, reason, refused)).map(drop)
        })?;
        self.count_pending()?;
        self.copy("held_code", |columns| {
            let [Value::Blob(hash), Value::Int(what), Value::Int(minute)] = columns else {
                return Ok(());
            };
            let sql = "INSERT OR IGNORE INTO held_code VALUES (?1, ?2, ?3)";
            self.sql.prepare_cached(sql)?.execute((hash, what, minute)).map(drop)
        })?;
        let is_whole = self.copy("keep", |columns| {
            let [Value::Text(name), Value::Text(value)] = columns else { return Ok(()) };
            let sql = "INSERT OR IGNORE INTO keep VALUES (?1, ?2)";
            self.sql.prepare_cached(sql)?.execute((name, value)).map(drop)
        })?;
        if !is_whole {
            trust::off_as_recorded(self.sql)?;
        }
        forget_waiting(self.sql)?;
        self.take_sums()?;
        self.keep_risk()
    }

    /// What the tables of sums have not got yet: here only what cannot be counted anew.
    fn take_sums(&mut self) -> Result<(), StoreError> {
        let kept = keep::read(self.sql, sums::NAME)?.and_then(|text| Sums::from_stored(&text));
        keep::forget(self.sql, sums::NAME)?;
        let sums = kept.unwrap_or_default();
        for (lane, numbers) in sums.lanes() {
            let numbers = numbers.iter().map(|sum| i64::try_from(*sum).unwrap_or(i64::MAX));
            let numbers: Vec<i64> = numbers.collect();
            let lane = self.lanes.entry(lane).or_default();
            let is_newer = lane.numbers.as_ref().is_none_or(|old| old.first() <= numbers.first());
            if is_newer && adds_up(&numbers) {
                lane.numbers = Some(numbers);
            }
        }
        sums.lately().try_for_each(|(scope, lately)| Ok(self.keep_lately(scope, lately)?))
    }

    /// What happened lately in a scope; the first that is said of it holds.
    fn keep_lately(&self, scope: &str, lately: &str) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO risk VALUES (?1, 0, 0, 0, ?2)";
        self.sql.prepare_cached(sql)?.execute((scope, lately)).map(drop)
    }

    /// What was given on trust counts as it did; what is at risk is summed up anew.
    fn keep_risk(&self) -> Result<(), StoreError> {
        self.copy("worth", |columns| {
            let [Value::Int(seq), Value::Int(value), Value::Int(assumed), Value::Text(rule)] =
                columns
            else {
                return Ok(());
            };
            let sql = "INSERT OR IGNORE INTO worth SELECT seq, max(?2, 0), ?3 <> 0, ?4 FROM \
                redemption WHERE seq = ?1";
            self.sql.prepare_cached(sql)?.execute((seq, value, assumed, rule)).map(drop)
        })?;
        self.copy("risk", |columns| {
            let [
                Value::Text(scope),
                Value::Int(_),
                Value::Int(_),
                Value::Int(_),
                Value::Text(lately),
            ] = columns
            else {
                return Ok(());
            };
            self.keep_lately(scope, lately)
        })?;
        // Other tables' entries have its shape: one to which its root does not lead is not taken.
        if let Some(root) = records::root_of(self.image, "business") {
            records::entries(self.image, root, |columns| {
                let [Value::Int(lane), Value::Text(business), Value::Int(confirmed)] = columns
                else {
                    return Ok(());
                };
                let sql = "INSERT OR IGNORE INTO business VALUES (?1, ?2, ?3 <> 0)";
                self.sql.prepare_cached(sql)?.execute((lane, business, confirmed)).map(drop)
            })?;
        }
        risk::sum_up(self.sql)
    }

    /// Tells `each` the entries of a table. Where not every page of it is found from its root, each
    /// page of an index is read, and the shape of an entry tells whose it is; the answer says
    /// whether that was not needed.
    fn copy(
        &self,
        table: &str,
        mut each: impl FnMut(&[Value]) -> rusqlite::Result<()>,
    ) -> Result<bool, StoreError> {
        let root = records::root_of(self.image, table);
        if let Some(root) = root
            && records::entries(self.image, root, &mut each)?
        {
            return Ok(true);
        }
        for page in &self.pages {
            let entries = records::entries_of(self.image, *page);
            entries.iter().try_for_each(|columns| each(columns))?;
        }
        Ok(false)
    }

    fn note(&self, seq: Seq, note: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO answer (seq, note) VALUES (?1, ?2) ON CONFLICT (seq) DO UPDATE SET \
            note = ?2";
        self.sql.prepare_cached(sql)?.execute((seq.0, note))?;
        Ok(())
    }

    /// What belongs to no row leaves; a decline whose words were lost gets words of ours, or its
    /// till's repeat would be answered as a success.
    fn drop_orphans(&self) -> Result<(), StoreError> {
        for table in ["answer", "event"] {
            let sql = format!("DELETE FROM {table} WHERE seq NOT IN (SELECT seq FROM redemption)");
            self.sql.execute(&sql, [])?;
        }
        // Row by row: SQLite would keep the numbers of all pending rows in memory first.
        self.sql.execute(
            "DELETE FROM answer WHERE EXISTS (SELECT 1 FROM redemption WHERE redemption.seq = \
             answer.seq AND state = 0)",
            [],
        )?;
        let sql = "INSERT INTO answer (seq, status, content_type, body) \
             SELECT seq, 400, 'application/json', ?1 FROM redemption WHERE state = 2 \
             ON CONFLICT (seq) DO UPDATE SET status = excluded.status, content_type = \
             excluded.content_type, body = excluded.body WHERE answer.status IS NULL";
        self.sql.execute(sql, [DECLINE_LOST])?;
        Ok(())
    }
}

/// Records what happened, and from which number on rows are counted.
///
/// # Errors
/// The new database cannot be written.
pub(super) fn sign(
    to: &Connection,
    path: &Path,
    (event, note): (&Event, &str),
    floor: Seq,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO event (at_ms, lane, what, by, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
    to.execute(sql, (event.at_ms, &event.lane, &event.what, &event.by, &event.detail))?;
    let (device, inode) = files::identity(path)?;
    let sql = "INSERT INTO meta (one, clean, device, inode, seq_floor, salvage) VALUES (1, 0, ?1, \
        ?2, ?3, ?4)";
    to.execute(sql, (device, inode, floor.0, note))?;
    copied::forget(to)
}

fn integer_of(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

fn text_of(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn blob_of(value: &Value) -> Option<&[u8]> {
    if let Value::Blob(bytes) = value { Some(bytes) } else { None }
}

/// The row in the order of the table's columns, as it goes into the new database; false when what
/// changes in it (which no checksum covers) cannot be as it was written.
fn stored(row: &RawRow) -> Option<(Stored, bool)> {
    let [
        _,
        Value::Blob(tag),
        origin,
        Value::Int(lane),
        Value::Text(till),
        Value::Int(key),
        Value::Int(key_rest),
        Value::Blob(request),
        Value::Int(guard),
        Value::Text(business),
        Value::Text(code),
        Value::Text(branch),
        Value::Text(date),
        Value::Int(accepted_ms),
        Value::Int(kind),
        Value::Int(body_crc),
        Value::Int(crc),
        changing @ ..,
    ] = row.columns.as_slice()
    else {
        return None;
    };
    let mut stored = Stored {
        seq: Seq(row.rowid),
        tag: tag.as_slice().try_into().ok()?,
        origin: integer_of(origin),
        lane: *lane,
        till: till.clone(),
        key: row::joined(*key, *key_rest),
        request: request.as_slice().try_into().ok()?,
        guard: *guard,
        business: business.clone(),
        code: RewardCode::new(code.clone()),
        branch: branch.clone(),
        date: date.clone(),
        accepted_ms: *accepted_ms,
        kind: *kind,
        body_crc: u32::try_from(*body_crc).ok()?,
        crc: u32::try_from(*crc).ok()?,
        state: State::Pending,
        in_flight: false,
        marks: mark::UNCERTAIN,
        attempts: 0,
        settled_ms: None,
    };
    let readable = change(&mut stored, changing);
    Some((stored, readable))
}

/// Whether this is a redemption and as it was written, as far as can be told of what no checksum
/// covers.
fn is_proven(row: &RawRow) -> bool {
    let proven =
        |(stored, readable): (Stored, bool)| readable && stored.seq.0 > 0 && stored.is_intact();
    let [
        Value::Null,
        _,
        Value::Int(_) | Value::Null,
        ..,
        state,
        in_flight,
        Value::Int(marks),
        attempts,
        settled,
    ] = row.columns.as_slice()
    else {
        return false;
    };
    let can_be = matches!(
        (state, in_flight, attempts, settled),
        (Value::Int(_), Value::Int(0 | 1), Value::Int(0..), Value::Int(_) | Value::Null)
    );
    can_be && mark::alone(*marks).is_some() && stored(row).is_some_and(proven)
}

/// Where the row stood. One that was settled and cannot say how is parked: sending it again could
/// redeem what was taken back. Without a time of settling it was pending.
fn change(row: &mut Stored, columns: &[Value]) -> bool {
    let [state, _, marks, attempts, settled] = columns else { return false };
    let settled_ms = integer_of(settled);
    let known = integer_of(state).and_then(State::from_number);
    row.attempts =
        integer_of(attempts).and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(1);
    let agrees = |marks: &i64| known.is_none_or(|state| mark::agree(*marks, state));
    let marks = integer_of(marks).filter(agrees).and_then(mark::alone);
    row.state = match (known, settled_ms) {
        (_, None) => State::Pending,
        (Some(state), Some(_)) if state != State::Pending && marks.is_some() => state,
        (_, Some(_)) => State::Parked,
    };
    row.settled_ms = settled_ms;
    let doubt =
        if matches!(row.state, State::Pending | State::Parked) { mark::UNCERTAIN } else { 0 };
    row.marks = marks.unwrap_or(0) | doubt;
    row.state == State::Pending || (marks.is_some() && known == Some(row.state))
}
