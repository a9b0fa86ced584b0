//! What the gateway itself must not forget, by name.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// What is kept under this name.
pub(super) fn read(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM keep WHERE name = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
}

/// Keeps something under this name, unless it is there already.
pub(super) fn write(connection: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO keep VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = \
        excluded.value \
         WHERE value <> excluded.value";
    connection.prepare_cached(sql)?.execute((name, value))?;
    Ok(())
}

/// Keeps nothing under this name any more.
pub(super) fn forget(connection: &Connection, name: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM keep WHERE name = ?1")?.execute([name])?;
    Ok(())
}
