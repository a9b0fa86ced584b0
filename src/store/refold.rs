//! A step of the migration: rows of earlier builds get the guards of their folded business and
//! code.

use rusqlite::Connection;

use super::StoreError;
use super::row::{Stored, columns, guard_of};

/// How many rows are read at a time.
const ROWS: i64 = 1000;

/// Changes the guard, and the checksum over it, of each row whose folded form has another one. A
/// row that is not as it was written keeps a checksum that does not fit.
pub(super) fn refold(connection: &Connection) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let rows = slice(connection, after)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq.0;
        for row in rows.into_iter().filter(Stored::is_intact) {
            write(connection, &row)?;
        }
    }
}

fn slice(connection: &Connection, after: i64) -> Result<Vec<Stored>, StoreError> {
    let sql =
        concat!("SELECT ", columns!(), " FROM redemption WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((after, ROWS), Stored::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn write(connection: &Connection, row: &Stored) -> Result<(), StoreError> {
    let Some(row) = refolded(row) else { return Ok(()) };
    let sql = "UPDATE redemption SET guard = ?2, crc = ?3 WHERE seq = ?1";
    connection.prepare_cached(sql)?.execute((row.seq.0, row.guard, row.crc))?;
    Ok(())
}

/// An intact row with the guard of its folded form; `None` where it has it.
pub(super) fn refolded(row: &Stored) -> Option<Stored> {
    let guard = guard_of(&row.business, &row.code);
    if guard == row.guard {
        return None;
    }
    let mut row = Stored { guard, ..row.clone() };
    row.crc = row.checksum();
    Some(row)
}
