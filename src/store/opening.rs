//! How the store is opened: what is found, what is checked, and what is put in order before the
//! first operation.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::aside::{self, Unfinished};
use super::books::Books;
use super::damage::{self, Salvage};
use super::files::{self, Lock};
use super::guards::Guards;
use super::identity::{self, Place};
use super::migration::{self, Migrated};
use super::schema;
use super::{FILE, LOG, Store, StoreError, Trouble, backup, checkpoint, connection, copied, doubt};
use crate::clock::Clock;
use crate::message;
use crate::redemption::Seq;

/// How large the WAL is made in advance: settling overwrites it and needs no new block.
const WAL_BYTES_KEPT: usize = 2 * 1024 * 1024;
/// SQLite's own pages of the writer, in KiB: what stays resident whatever the backlog.
const CACHE_KIB: i64 = 1024;
/// How long a start looks through the file after a stop that was not in order; the rest is looked
/// at in the background.
const CHECK_WITHIN: Duration = Duration::from_millis(200);

/// In which state the database was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There was none.
    Fresh,
    /// It was closed in order.
    Clean,
    /// The last process did not stop in order.
    Unclean,
}

/// What opening found out.
#[derive(Clone, Debug)]
pub struct OpenReport {
    /// How it was left.
    pub found: Found,
    /// Why the database is taken for a copy or a restored backup.
    pub copied: Option<&'static str>,
    /// Rows whose attempt may have been on the wire.
    pub uncertain: u64,
    /// The database was damaged: what was set aside and what was kept.
    pub salvage: Option<Salvage>,
    /// The look through the file that an unclean stop calls for is still to be done, in the
    /// background.
    pub unchecked: bool,
    /// There was no database beside what a daemon had left: the file to be removed once somebody
    /// has looked.
    pub missing: Option<PathBuf>,
    /// The database was an earlier version's.
    pub migrated: Option<Migrated>,
}

/// What `meta` says of the file.
struct MetaRow {
    clean: bool,
    device: i64,
    inode: i64,
    wal_bytes: u64,
    seq_floor: i64,
}

/// How a look through the whole file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// Nothing was found.
    Sound,
    /// It was told not to go on.
    GaveWay,
}

/// Looks through the database on a connection of its own for as long as `go_on` says so; it is
/// asked every few hundred microseconds of work and may take its time.
///
/// # Errors
/// The file is damaged, or cannot be read.
pub fn inspect(
    path: &Path,
    go_on: impl FnMut() -> bool + Send + 'static,
) -> Result<Inspection, StoreError> {
    let mut connection = connection::open_reader(path)?;
    let found = connection::check_while(&mut connection, go_on)?;
    Ok(found.map_or(Inspection::GaveWay, |()| Inspection::Sound))
}

/// Everything of a [`Store`] but its lock.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) books: Books,
    pub(super) guards: Guards,
    pub(super) next_seq: i64,
    pub(super) wal_frames: Arc<AtomicU32>,
    pub(super) report: OpenReport,
}

pub(super) fn open(dir: &Path) -> Result<(Store, OpenReport), StoreError> {
    if rusqlite::version_number() < schema::SQLITE_VERSION_MIN {
        return Err(StoreError::OldSqlite { found: rusqlite::version() });
    }
    files::make_dir(dir)?;
    files::demand_files(dir)?;
    let is_missing = identity::is_missing(dir)?;
    let lock = files::lock(dir)?;
    // Where it cannot be removed, the next backup says why.
    drop(backup::clear(dir));
    files::give_up_reserve_if_full(dir);
    let mut opened = open_or_rescue(dir)?;
    if is_missing {
        opened.report.missing = Some(identity::tell_missing(dir, &opened.connection)?);
    }
    files::keep_reserve(dir);
    if let Err(error) = lock.note_used() {
        tracing::warn!(%error, "it could not be noted that there is a database: if it is gone at \
            the next start, the reserve alone says so");
    }
    store(opened, dir, lock)
}

fn store(opened: Opened, dir: &Path, lock: Lock) -> Result<(Store, OpenReport), StoreError> {
    let Opened { connection, mut books, guards, next_seq, wal_frames, report } = opened;
    let (dir, unchecked) = (dir.to_owned(), report.unchecked);
    let elapsed = super::elapsed::Elapsed::read(&connection).unwrap_or_default();
    adopt(&connection, &mut books, elapsed.on_min())?;
    let is_put_off = report.migrated.as_ref().is_some_and(|migrated| migrated.put_off.is_some());
    let place = Place::of(&dir);
    let store = Store {
        connection,
        books,
        guards,
        checks: super::check_filter::CheckFilter::default(),
        dir,
        next_seq,
        elapsed,
        flying: super::flying::InFlightRows::default(),
        keyed: super::keyed::KeyedRows::default(),
        wal_frames,
        unchecked,
        is_put_off,
        place,
        _lock: lock,
    };
    Ok((store, report))
}

/// What an earlier process left without the provider's answer and without a decision counts as
/// given on trust: it crashed, or the disk took no decision before it stopped.
fn adopt(connection: &Connection, books: &mut Books, minute: i64) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let first = books.first;
    books.ledger.adopt(&transaction, first, minute)?;
    books.write(&transaction, minute)?;
    transaction.commit()?;
    books.settle();
    Ok(())
}

fn open_or_rescue(dir: &Path) -> Result<Opened, StoreError> {
    aside::finish(dir)?;
    files::demand_no_links(dir)?;
    match open_sound(dir, damage::look) {
        Err(error) if calls_for_rescue(&error) => rescue(dir, &error.to_string(), None),
        other => other,
    }
}

/// Sets the damaged file aside and opens what could be salvaged, of a `copy` that knew more than
/// the file if there is one. No connection to the file may be open.
pub(super) fn rescue(dir: &Path, why: &str, copy: Option<&Path>) -> Result<Opened, StoreError> {
    let salvage = damage::rescue(dir, why, copy)?;
    // What was just made needs no look; and others may have opened it already, whose locks a look
    // would end.
    let mut opened = open_sound(dir, |_| Ok(0))?;
    opened.report.salvage = Some(salvage);
    Ok(opened)
}

/// Sets the files aside and goes on with the copy that was saved of them.
pub(super) fn go_on_with_saved(dir: &Path) -> Result<Opened, StoreError> {
    aside::finish(dir)?;
    open_sound(dir, |_| Ok(0))
}

/// Another program's database in our place is set aside like any file that cannot be read: its
/// bytes stay as they are.
fn calls_for_rescue(error: &StoreError) -> bool {
    error.trouble() == Trouble::Damaged || matches!(error, StoreError::Foreign { .. })
}

/// `look` says how long the log is as far as it can be read, in bytes.
fn open_sound(
    dir: &Path,
    look: fn(&Path) -> Result<u64, StoreError>,
) -> Result<Opened, StoreError> {
    let path = dir.join(FILE);
    let fresh = is_fresh(dir)?;
    let log_found = if fresh { make(dir).map(|()| 0) } else { look(dir) }?;
    let mut connection = schema::open_writer(&path)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let wal_frames = Arc::default();
    count_frames(&mut connection, &wal_frames)?;
    let known = known(&connection)?;
    let here = files::identity(&path)?;
    let copied = match &known {
        None => None,
        Some(known) if (known.device, known.inode) != here => {
            Some("it is another file than before")
        }
        Some(_) => copied::is_copy(&connection, dir)?,
    };
    let is_unclean = known.as_ref().is_some_and(|known| !known.clean);
    let own = known.as_ref().filter(|_| copied.is_none());
    let unchecked = is_unclean && look_through(&mut connection, log_found, own)?;
    if is_unclean {
        // The next commit begins where the last whole one ends, within a sector: power that goes
        // while it is written may take both. So what is in the log moves first.
        checkpoint::passive(&connection)?;
    }
    // What was found of the log was looked at: it may be cut now.
    let migrated = migration::bring_up_to_date(&mut connection, dir)?;
    grow_wal(&connection, dir)?;
    // A longer log may be cut back to this.
    let never_shorter = log_bytes(dir).min(u64::from(connection::LOG_BYTES_KEPT_MAX));
    let doubted = copied.map(|_| doubt::all(&connection)).transpose()?;
    let uncertain = identify(&mut connection, dir, (here, never_shorter), doubted)?;
    checkpoint::passive(&connection)?;
    files::sync_dir(dir)?;
    let (books, guards) = (Books::read(&connection)?, Guards::open(&connection)?);
    let newest: i64 =
        connection
            .query_row("SELECT coalesce(max(seq), 0) FROM redemption", [], |row| row.get(0))?;
    let next_seq = newest.max(known.map_or(0, |known| known.seq_floor)).saturating_add(1);
    let books = books.from(Seq(next_seq));
    let found = match (fresh, is_unclean) {
        (true, _) => Found::Fresh,
        (false, false) => Found::Clean,
        (false, true) => Found::Unclean,
    };
    let report =
        OpenReport { found, copied, uncertain, salvage: None, unchecked, missing: None, migrated };
    Ok(Opened { connection, books, guards, next_seq, wal_frames, report })
}

/// No database is a first start; an empty one is damage, and so is a log without its database.
fn is_fresh(dir: &Path) -> Result<bool, StoreError> {
    match std::fs::metadata(dir.join(FILE)) {
        Ok(meta) if meta.len() == 0 => Err(StoreError::Damaged("the file is empty".to_owned())),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match log_bytes(dir) {
            0 => Ok(true),
            _ => Err(StoreError::Damaged("the file is gone, its log is there".to_owned())),
        },
        Err(error) => Err(StoreError::File { path: dir.join(FILE), error }),
    }
}

/// A new database comes to its place by a rename, whole: a power cut during the first start leaves
/// it or nothing.
fn make(dir: &Path) -> Result<(), StoreError> {
    files::sync_name_of(dir)?;
    let new = Unfinished::begin(dir)?;
    schema::finish(schema::create(new.path())?)?;
    new.install(FILE)
}

fn log_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(LOG)).map_or(0, |meta| meta.len())
}

fn known(connection: &Connection) -> Result<Option<MetaRow>, StoreError> {
    let sql = "SELECT clean, device, inode, wal_bytes, seq_floor FROM meta";
    let read = |row: &rusqlite::Row<'_>| {
        let (clean, device, inode) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(MetaRow { clean, device, inode, wal_bytes: row.get(3)?, seq_floor: row.get(4)? })
    };
    Ok(connection.query_row(sql, [], read).optional()?)
}

/// After a stop that was not in order; whether the time was not enough. A log that is shorter than
/// it ever was here, or holds nothing any more, has lost what was committed in it.
fn look_through(
    connection: &mut Connection,
    log_found: u64,
    known: Option<&MetaRow>,
) -> Result<bool, StoreError> {
    if known.is_some_and(|known| log_found < known.wal_bytes) {
        let fault = "its log is missing, was cut short or overwritten";
        return Err(StoreError::Damaged(fault.to_owned()));
    }
    Ok(connection::quick_check(connection, CHECK_WITHIN)?.is_none())
}

/// Writes down which file this is and that it is in use; in the same transaction whatever was in
/// flight becomes uncertain, and the trail says that a copy is one, with how many were `doubted`.
/// How many are uncertain now.
fn identify(
    connection: &mut Connection,
    dir: &Path,
    (here, wal_bytes): ((i64, i64), u64),
    doubted: Option<u64>,
) -> Result<u64, StoreError> {
    let counterpart = copied::renew(connection, dir)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let sql = "INSERT INTO meta (one, clean, device, inode, wal_bytes) VALUES (1, 0, ?1, ?2, ?3) \
         ON CONFLICT (one) DO UPDATE SET clean = 0, device = ?1, inode = ?2, wal_bytes = ?3";
    transaction.execute(sql, (here.0, here.1, wal_bytes))?;
    copied::learn(&transaction, dir, &counterpart)?;
    let changed = doubt::flying(&transaction)?;
    if let Some(redemptions) = doubted {
        tell_copied(&transaction, redemptions)?;
    }
    transaction.commit()?;
    Ok(changed + doubted.unwrap_or(0))
}

fn tell_copied(connection: &Connection, redemptions: u64) -> Result<(), StoreError> {
    let event = message::Event::Copied { redemptions }.to_stored();
    let sql = "INSERT INTO event (at_ms, lane, what, by, detail) VALUES (?1, '', 'copied', \
        'redeemd', ?2)";
    connection.execute(sql, (Clock::system().stamp().unix_ms, &event))?;
    Ok(())
}

/// Makes the WAL as large as it will be kept, by writing that much and taking it back.
fn grow_wal(connection: &Connection, dir: &Path) -> Result<(), StoreError> {
    if log_bytes(dir) >= WAL_BYTES_KEPT as u64 || files::free_bytes(dir) < 4 * WAL_BYTES_KEPT as u64
    {
        return Ok(());
    }
    connection
        .execute("INSERT OR REPLACE INTO body VALUES (-1, zeroblob(?1))", [WAL_BYTES_KEPT])?;
    connection.execute("DELETE FROM body WHERE seq = -1", [])?;
    checkpoint::passive(connection)?;
    Ok(())
}

/// Follows how many frames the WAL holds, commit by commit.
pub(super) fn count_frames(
    connection: &mut Connection,
    gauge: &Arc<AtomicU32>,
) -> Result<(), StoreError> {
    let counter = Arc::clone(gauge);
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        counter.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(())
}
