//! What the gateway itself must not forget, by name.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// What is kept under this name.
pub(super) fn read(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM keep WHERE name = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
}

/// All that is kept under names that begin so, by what follows there.
pub(super) fn beginning_with(
    connection: &Connection,
    begin: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement =
        connection.prepare("SELECT name, value FROM keep WHERE name >= ?1 ORDER BY name")?;
    let mut rows = statement.query([begin])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let Some(rest) = name.strip_prefix(begin) else { break };
        all.push((rest.to_owned(), row.get(1)?));
    }
    Ok(all)
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
