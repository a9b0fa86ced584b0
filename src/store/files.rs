//! The state directory: its lock, its reserve, the database's identity, and how it is opened.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::{Connection, OptionalExtension};
use rustix::fs::{FlockOperation, flock};

use super::books::Books;
use super::schema::{self, mark};
use super::{FILE, Store, StoreError};

/// What is written into `reserve` and given up when the disk is full.
pub const RESERVE_BYTES: u64 = 1024 * 1024;
/// Below so much free space intake refuses, so that settling never meets a full disk.
pub const FREE_BYTES_MIN: u64 = 1024 * 1024;
/// How large the WAL is made in advance: settling overwrites it and needs no new block.
const WAL_BYTES_KEPT: usize = 2 * 1024 * 1024;
/// SQLite's own pages of the writer, in KiB: what stays resident whatever the backlog.
const CACHE_KIB: i64 = 1024;

/// The state directory's lock, for as long as it is held.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file gives the lock up")] File);

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
    /// Another device or inode than the database remembers: a copy or a restored backup.
    pub moved: bool,
    /// Rows whose attempt may have been on the wire.
    pub uncertain: u64,
}

pub(super) fn open(dir: &Path) -> Result<(Store, OpenReport), StoreError> {
    if rusqlite::version_number() < schema::SQLITE_VERSION_MIN {
        return Err(StoreError::OldSqlite { found: rusqlite::version() });
    }
    make_dir(dir)?;
    let lock = lock(dir)?;
    let path = dir.join(FILE);
    give_up_reserve_if_full(dir);
    let fresh = is_fresh(dir)?;
    let mut connection = schema::open_writer(&path)?;
    let wal_frames = count_frames(&mut connection)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let mut report = identify(&connection, &path, fresh)?;
    report.uncertain = mark_uncertain(&connection, report.moved)?;
    grow_wal(&connection, dir)?;
    sync_dir(dir)?;
    keep_reserve(dir);
    let books = Books::read(&connection)?;
    let next_seq = connection.query_row("SELECT coalesce(max(seq), 0) + 1 FROM redemption", [], |row| row.get(0))?;
    Ok((Store { connection, books, dir: dir.to_owned(), next_seq, wal_frames, _lock: lock }, report))
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |error| StoreError::File { path: path.to_owned(), error }
}

fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(file_error(dir))?;
    dir.parent().map_or(Ok(()), sync_dir)
}

/// The names in a directory are durable only once the directory itself is synced (fsync(2)).
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file_error(dir))
}

fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join("lock");
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
    let mut file = options.open(&path).map_err(file_error(&path))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        file.take(20).read_to_string(&mut pid).map_err(file_error(&path))?;
        return Err(StoreError::Locked { pid: pid.trim().to_owned(), dir: dir.to_owned() });
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(file_error(&path))?;
    Ok(Lock(file))
}

/// No database is a first start; an empty one is damage, and so is a WAL without its database.
fn is_fresh(dir: &Path) -> Result<bool, StoreError> {
    match std::fs::metadata(dir.join(FILE)) {
        Ok(meta) if meta.len() == 0 => Err(StoreError::Damaged("the file is empty".to_owned())),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match dir.join("redeemd.db-wal").metadata() {
            Ok(wal) if wal.len() > 0 => Err(StoreError::Damaged("the file is gone, its log is there".to_owned())),
            Ok(_) | Err(_) => Ok(true),
        },
        Err(error) => Err(StoreError::File { path: dir.join(FILE), error }),
    }
}

fn identify(connection: &Connection, path: &Path, fresh: bool) -> Result<OpenReport, StoreError> {
    let meta = std::fs::metadata(path).map_err(file_error(path))?;
    let here = (meta.dev().cast_signed(), meta.ino().cast_signed());
    let sql = "SELECT clean, device, inode FROM meta";
    let known: Option<(bool, i64, i64)> =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let (clean, device, inode) = known.unwrap_or((true, here.0, here.1));
    let sql = "INSERT INTO meta (one, clean, device, inode) VALUES (1, 0, ?1, ?2) \
         ON CONFLICT (one) DO UPDATE SET clean = 0, device = ?1, inode = ?2";
    connection.execute(sql, here)?;
    let found = match (fresh, clean) {
        (true, _) => Found::Fresh,
        (false, true) => Found::Clean,
        (false, false) => Found::Unclean,
    };
    Ok(OpenReport { found, moved: (device, inode) != here, uncertain: 0 })
}

/// Whatever was in flight may have reached the provider; in a copy of the database that is every pending row.
fn mark_uncertain(connection: &Connection, all: bool) -> Result<u64, StoreError> {
    let mut changed = 0;
    let lanes: Vec<i64> = {
        let mut statement = connection.prepare("SELECT lane FROM lane")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for lane in lanes {
        let range = if all { "in_flight >= 0" } else { "in_flight = 1" };
        let sql = format!(
            "UPDATE redemption SET in_flight = 0, marks = marks | ?2 WHERE lane = ?1 AND {range} AND state = 0"
        );
        changed += connection.execute(&sql, (lane, mark::UNCERTAIN))?;
    }
    Ok(changed as u64)
}

/// Makes the WAL as large as it will be kept, by writing that much and taking it back.
fn grow_wal(connection: &Connection, dir: &Path) -> Result<(), StoreError> {
    let wal = dir.join("redeemd.db-wal");
    let have = std::fs::metadata(&wal).map_or(0, |meta| meta.len());
    if have >= WAL_BYTES_KEPT as u64 || free_bytes(dir) < 4 * WAL_BYTES_KEPT as u64 {
        return Ok(());
    }
    connection.execute("INSERT INTO body VALUES (-1, zeroblob(?1))", [WAL_BYTES_KEPT])?;
    connection.execute("DELETE FROM body WHERE seq = -1", [])?;
    checkpoint(connection)?;
    Ok(())
}

/// Follows how many frames the WAL holds, commit by commit.
fn count_frames(connection: &mut Connection) -> Result<Arc<AtomicU32>, StoreError> {
    let frames = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&frames);
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        counter.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(frames)
}

/// Moves frames of the WAL into the database as far as readers let it; how many frames the WAL held.
pub(super) fn checkpoint(connection: &Connection) -> Result<u32, StoreError> {
    let frames: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    Ok(u32::try_from(frames).unwrap_or(0))
}

/// Bytes that this process may still write into the file system of `dir`; zero when that cannot be told.
#[must_use]
pub fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// Whether `dir` lies in memory: what is written there does not survive a power cut.
#[must_use]
pub fn is_volatile(dir: &Path) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::statfs(dir).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| IN_MEMORY.contains(&kind)))
}

fn reserve_path(dir: &Path) -> PathBuf {
    dir.join("reserve")
}

fn give_up_reserve_if_full(dir: &Path) {
    if free_bytes(dir) < FREE_BYTES_MIN {
        give_up_reserve(dir);
    }
}

/// Gives the reserve's blocks back to the file system; whether there were any.
pub(super) fn give_up_reserve(dir: &Path) -> bool {
    std::fs::remove_file(reserve_path(dir)).is_ok()
}

/// Writes the reserve when it is missing and there is room for it beside [`FREE_BYTES_MIN`]; whether it is there.
pub(super) fn keep_reserve(dir: &Path) -> bool {
    let path = reserve_path(dir);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() >= RESERVE_BYTES) {
        return true;
    }
    free_bytes(dir) >= FREE_BYTES_MIN + 2 * RESERVE_BYTES && write_reserve(&path).is_ok()
}

fn write_reserve(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let block = [0x5a; 64 * 1024];
    for _ in 0..(RESERVE_BYTES / block.len() as u64) {
        file.write_all(&block)?;
    }
    file.sync_all()
}

impl Store {
    /// Gives up the reserve because the disk is full; whether there was one.
    pub fn give_up_reserve(&self) -> bool {
        give_up_reserve(&self.dir)
    }

    /// Makes the reserve again when space has returned; whether it is there.
    pub fn keep_reserve(&self) -> bool {
        keep_reserve(&self.dir)
    }

    /// Whether redemptions can be accepted without touching what settling needs.
    #[must_use]
    pub fn has_room(&self) -> bool {
        free_bytes(&self.dir) >= FREE_BYTES_MIN
    }
}
