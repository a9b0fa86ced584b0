//! What each redemption that was given on trust is worth, and by which rule it was given.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use crate::limits::Risk;
use crate::redemption::Seq;
use crate::settings::Offline;
use crate::value::{Amount, Worth};

/// What one redemption counts as, and by which rule it was given; an empty name is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) worth: Worth,
    pub(super) rule: String,
}

impl Given {
    /// What a redemption counts as that is accepted at this risk.
    pub(super) fn of(risk: &Risk<'_>, offline: &Offline) -> Self {
        let rule = risk.rule.map(|rule| rule.name.to_string()).unwrap_or_default();
        Self { worth: risk.worth(offline), rule }
    }

    /// What one counts as of which nothing is known, where no settings are at hand.
    pub(super) fn unknown() -> Self {
        let unknown = Offline::default().value_of_unknown;
        Self { worth: Worth::Assumed(unknown), rule: String::new() }
    }
}

/// Keeps what a row counts as; false where that is kept already.
pub(super) fn insert(sql: &Connection, seq: Seq, given: &Given) -> Result<bool, StoreError> {
    let insert = "INSERT INTO worth VALUES (?1, ?2, ?3, ?4) ON CONFLICT (seq) DO NOTHING";
    let values = (seq.0, given.worth.amount().0, given.worth.is_assumed(), &given.rule);
    Ok(sql.prepare_cached(insert)?.execute(values)? == 1)
}

/// What a row counts as; nothing for one that was not given on trust, or by an earlier build.
pub(super) fn of(sql: &Connection, seq: Seq) -> Result<Option<Given>, StoreError> {
    // A database whose schema was put off has no such table.
    let Ok(mut statement) =
        sql.prepare_cached("SELECT value, assumed, rule FROM worth WHERE seq = ?1")
    else {
        return Ok(None);
    };
    let read = |row: &rusqlite::Row<'_>| {
        let (value, is_assumed): (i64, bool) = (row.get(0)?, row.get(1)?);
        let value = Amount(value.max(0));
        let worth = if is_assumed { Worth::Assumed(value) } else { Worth::Known(value) };
        Ok(Given { worth, rule: row.get(2)? })
    };
    Ok(statement.query_row([seq.0], read).optional()?)
}
