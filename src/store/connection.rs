//! Connections to the database, with their settings, all read back after being set; its version,
//! and SQLite's own look through it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// What SQLite reads and writes at once.
pub(super) const PAGE_BYTES: usize = 4096;
/// A log that a long reader has made longer than this is cut back to it once it begins again, in
/// bytes. It is more than `WAL_FRAMES_HARD` frames.
pub(super) const LOG_BYTES_KEPT_MAX: u32 = 36 * 1024 * 1024;

/// How many steps of SQLite's machine pass before a long look is asked whether it may go on.
const CHECK_STEPS: i32 = 1000;
/// Pages that a reader holds in memory, KiB.
const READER_CACHE_KIB: i64 = 256;

/// Opens a short-lived connection that can only read. It goes through the rows in order: a small
/// cache serves it as well.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// As [`open_reader`], of a database that nobody writes meanwhile and whose log is not needed: it
/// is read where nothing may be written either, not even the log's index beside it.
pub(super) fn open_still(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_as(path, "psow=0&immutable=1", OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens the connection that moves the WAL into the database.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set(&connection, "wal_autocheckpoint", "0")?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// The settings of the connection that writes.
pub(super) fn prepare_to_write(connection: &Connection) -> Result<(), StoreError> {
    set(connection, "journal_mode", "wal")?;
    set(connection, "wal_autocheckpoint", "0")?;
    set(connection, "synchronous", "2")?;
    set(connection, "journal_size_limit", &LOG_BYTES_KEPT_MAX.to_string())?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Opens a connection with the settings that all have.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    open_as(path, "psow=0", flags)
}

fn open_as(path: &Path, how: &str, flags: OpenFlags) -> Result<Connection, StoreError> {
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{name}?{how}");
    let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // Without this SQLite prepares a statement anew for other values where it thinks that they
    // could change its plan.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(48);
    Ok(connection)
}

/// Sets a pragma and reads it back: SQLite keeps silent about one that it did not take.
pub(super) fn set(
    connection: &Connection,
    name: &'static str,
    value: &str,
) -> Result<(), StoreError> {
    match connection.pragma_update_and_check(None, name, value, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => {}
        Err(error) => return Err(error.into()),
    }
    let got: rusqlite::types::Value =
        connection.pragma_query_value(None, name, |row| row.get(0))?;
    let got = match got {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Null
        | rusqlite::types::Value::Real(_)
        | rusqlite::types::Value::Blob(_) => String::new(),
    };
    if got == value { Ok(()) } else { Err(StoreError::Pragma { name, got }) }
}

/// The schema version of a database.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// SQLite's own look through the file, for `within` at most: `None` when the time was not enough.
pub(super) fn quick_check(
    connection: &mut Connection,
    within: Duration,
) -> Result<Option<()>, StoreError> {
    let end = Instant::now() + within;
    check_while(connection, move || Instant::now() < end)
}

/// SQLite's own look through the file, for as long as `go_on` says so: `None` when it said no.
pub(super) fn check_while(
    connection: &mut Connection,
    mut go_on: impl FnMut() -> bool + Send + 'static,
) -> Result<Option<()>, StoreError> {
    connection.progress_handler(CHECK_STEPS, Some(move || !go_on()))?;
    let said: Result<String, _> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match said {
        Ok(said) if said == "ok" => Ok(Some(())),
        Ok(said) => Err(StoreError::Damaged(said)),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::OperationInterrupted =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
