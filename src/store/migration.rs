//! A database of an earlier version gets this one's schema, in bounded memory and with a log that
//! is cut back after it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::{StoreError, Trouble, connection, schema};

/// SQLite's own pages while the indexes are made anew, in KiB: they are written once and in order.
const CACHE_KIB: i64 = 128;

/// What became of an earlier version's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version that was found.
    pub from: i64,
    /// The version that it has now.
    pub to: i64,
    /// How long it took.
    pub took: Duration,
    /// Why it is still the earlier one, which delivers what is there and takes in nothing: there
    /// was no room.
    pub put_off: Option<String>,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, took, put_off } = self;
        match put_off {
            Some(why) => write!(
                f,
                "the database stays at version {to} until a start finds room to change it, and \
                 nothing is accepted: {why}"
            ),
            None => write!(
                f,
                "the database was brought from version {from} to version {to} in {took:.1?}"
            ),
        }
    }
}

/// Brings the schema up to date; `None` where it is. A full disk leaves one in force by which rows
/// are delivered, and the next start tries again.
pub(super) fn bring_up_to_date(
    connection: &mut Connection,
    dir: &Path,
) -> Result<Option<Migrated>, StoreError> {
    let (from, begun) = (connection::version(connection)?, Instant::now());
    if from == schema::VERSION {
        return Ok(None);
    }
    let put_off = match in_bounded_memory(connection, dir, schema::migrate)? {
        Ok(()) => None,
        Err(error)
            if error.trouble() == Trouble::Full
                && connection::version(connection)? >= schema::WORKS_FROM =>
        {
            Some(error.to_string())
        }
        Err(error) => return Err(error),
    };
    cut_log(connection)?;
    Ok(Some(Migrated {
        from,
        to: connection::version(connection)?,
        took: begun.elapsed(),
        put_off,
    }))
}

/// An index is sorted in files without a name in the state directory, which is on a disk and can be
/// written, where a directory for temporary files may be in memory or missing.
fn in_bounded_memory<T>(
    connection: &mut Connection,
    dir: &Path,
    work: impl FnOnce(&mut Connection) -> T,
) -> Result<T, StoreError> {
    let cache: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store_directory", dir.to_str().unwrap_or_default())?;
    connection.pragma_update(None, "temp_store", "file")?;
    let done = work(connection);
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "temp_store_directory", "")?;
    connection.pragma_update(None, "cache_size", cache)?;
    Ok(done)
}

/// All of the log goes into the database, and its blocks back to the file system. A log that is
/// shorter than the database knows counts as damage, so the database knows first.
fn cut_log(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("UPDATE meta SET wal_bytes = 0", [])?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FILE, LOG};

    /// So many that their indexes are larger than the cache.
    const ROWS: i64 = 6000;

    /// A database of version 1 with its log; its rows are like real ones for the indexes alone.
    fn first_version(dir: &Path) -> Connection {
        let connection = schema::create_as(&dir.join(FILE), 1).unwrap();
        let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
             INSERT INTO redemption SELECT i, zeroblob(12), NULL, 1, 'till', i + (1 << 60), i, \
             zeroblob(16), i + (1 << 61), 'shop', 'code', '7', 'date', 0, 0, 0, 0, 0, 0, 0, 0, \
             NULL FROM n";
        connection.execute(fill, [ROWS]).unwrap();
        connection
            .execute(
                "INSERT INTO meta (one, clean, device, inode, wal_bytes) VALUES (1, 0, 0, 0, 7)",
                [],
            )
            .unwrap();
        schema::finish(connection).unwrap();
        schema::open_writer(&dir.join(FILE)).unwrap()
    }

    fn number(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_earlier_versions_rows_are_all_in_the_new_indexes_and_the_log_is_cut_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = first_version(dir.path());
        let migrated =
            bring_up_to_date(&mut connection, dir.path()).unwrap().expect("an earlier version");
        assert_eq!((migrated.from, migrated.to, migrated.put_off), (1, schema::VERSION, None));
        assert_eq!(std::fs::metadata(dir.path().join(LOG)).unwrap().len(), 0);
        assert_eq!(
            number(&connection, "SELECT wal_bytes FROM meta"),
            0,
            "a shorter log is no damage now"
        );
        for counted in [
            "redemption INDEXED BY redemption_key WHERE kind & 16 = 0",
            "guard JOIN redemption USING (guard, seq)",
        ] {
            assert_eq!(
                number(&connection, &format!("SELECT count(*) FROM {counted}")),
                ROWS,
                "{counted}"
            );
        }
        assert_eq!(number(&connection, "SELECT upto FROM guarded"), ROWS);
        let names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 3, "no file is left: {names:?}");
        schema::check_schema(&connection).unwrap();
        assert_eq!(bring_up_to_date(&mut connection, dir.path()).unwrap(), None);
    }

    #[test]
    fn a_step_that_fails_for_another_reason_is_not_put_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = first_version(dir.path());
        connection.execute_batch("DROP INDEX redemption_key").unwrap();
        let error = bring_up_to_date(&mut connection, dir.path()).unwrap_err();
        assert!(error.to_string().contains("redemption_key"), "{error}");
        assert_eq!(connection::version(&connection).unwrap(), 1);
    }

    #[test]
    fn a_database_that_cannot_even_deliver_is_not_opened_until_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = first_version(dir.path());
        let pages = number(&connection, "PRAGMA page_count");
        connection.pragma_update(None, "max_page_count", pages).unwrap();
        let error = bring_up_to_date(&mut connection, dir.path()).unwrap_err();
        assert_eq!(error.trouble(), Trouble::Full);
    }
}
