//! What a start does not know any more of what it finds: whether a row that was in flight has
//! arrived, and of a copy what has become of its rows since it was made.

use rusqlite::{Connection, Row};

use super::{StoreError, books, checkpoint};
use crate::clock::Clock;
use crate::decide::{self, mark};
use crate::redemption::{Id, Seq, State};

/// How many rows of a copy are put in doubt at once.
const DOUBT_ROWS: i64 = 5000;
const OWED: &str = "SELECT seq, tag, origin, kind, marks, (SELECT name FROM lane \
    WHERE lane.lane = redemption.lane) FROM redemption NOT INDEXED \
    WHERE seq > ?1 AND seq <= ?2 AND state = 1 AND marks & ?3 AND marks & ?4 = 0";
const TELL: &str = "INSERT INTO event (at_ms, seq, id, lane, what, by, detail) VALUES (?1, ?2, ?3, \
    ?4, 'owed_in_copy', 'redeemd', '')";

/// What is owed in a copy.
struct OwedRow {
    seq: i64,
    tag: [u8; 12],
    origin: Option<i64>,
    kind: i64,
    marks: i64,
    lane: String,
}

impl OwedRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let lane: Option<String> = row.get(5)?;
        Ok(Self {
            seq: row.get(0)?,
            tag: row.get(1)?,
            origin: row.get(2)?,
            kind: row.get(3)?,
            marks: row.get(4)?,
            lane: lane.unwrap_or_default(),
        })
    }

    fn id(&self) -> Id {
        Id::new(Seq(self.origin.unwrap_or(self.seq)), self.tag)
    }

    fn waits(&self, marks: i64) -> bool {
        decide::needs_a_person(State::Confirmed, self.kind, marks)
    }
}

/// Whatever was in flight may have arrived. How many rows.
pub(super) fn flying(connection: &Connection) -> Result<u64, StoreError> {
    let mut changed = 0;
    let lanes: Vec<i64> = {
        let mut statement = connection.prepare("SELECT lane FROM lane")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for lane in lanes {
        let sql = "UPDATE redemption SET in_flight = 0, marks = marks | ?2 WHERE lane = ?1 AND \
            in_flight = 1 AND state = 0";
        changed += connection.execute(sql, (lane, mark::UNCERTAIN))?;
    }
    Ok(changed as u64)
}

/// Every pending row of a copy may have been sent since, and what is owed in it may have been given
/// since: that is a person's to find out. A few at a time, because SQLite keeps a
/// list of them in memory, and before the copy is known as one: a start that is cut short begins
/// again. How many are pending.
pub(super) fn all(connection: &Connection) -> Result<u64, StoreError> {
    let (mut after, mut changed) = (i64::MIN, 0);
    let next =
        "SELECT max(seq) FROM (SELECT seq FROM redemption WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
    let doubt = "UPDATE redemption NOT INDEXED SET in_flight = 0, marks = marks | ?3 \
         WHERE seq > ?1 AND seq <= ?2 AND state = 0";
    while let Some(last) =
        connection.query_row(next, (after, DOUBT_ROWS), |row| row.get::<_, Option<i64>>(0))?
    {
        changed += connection.execute(doubt, (after, last, mark::UNCERTAIN | mark::IN_DOUBT))?;
        owed(connection, (after, last))?;
        checkpoint::passive(connection)?;
        after = last;
    }
    Ok(changed as u64)
}

/// What is owed within these numbers is given to nobody any more; that stands in its story, and
/// it waits for a person, also where one had seen to it before.
fn owed(connection: &Connection, (after, last): (i64, i64)) -> Result<(), StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let found: Vec<OwedRow> = {
        let mut statement = transaction.prepare_cached(OWED)?;
        let within = (after, last, mark::OWED, mark::IN_VAIN);
        statement.query_map(within, OwedRow::from_row)?.collect::<Result<_, _>>()?
    };
    let now_ms = Clock::system().stamp().unix_ms;
    for row in &found {
        let marks = decide::owed_in_copy(row.marks);
        let sql = "UPDATE redemption SET marks = ?2 WHERE seq = ?1";
        transaction.prepare_cached(sql)?.execute((row.seq, marks))?;
        let told = (now_ms, row.seq, row.id().to_string(), &row.lane);
        transaction.prepare_cached(TELL)?.execute(told)?;
        if row.waits(marks) && !row.waits(row.marks) {
            books::one_waits(&transaction, &row.lane)?;
        }
    }
    Ok(transaction.commit()?)
}
