//! The schema and its migrations.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

use super::StoreError;
use super::connection::{self, PAGE_BYTES, version};

/// `PRAGMA application_id`: "rdmd".
pub(super) const APPLICATION_ID: i64 = 0x7264_6d64;
/// `PRAGMA user_version` of this build.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;
/// A version further ahead than this was never written by any redeemd: the number is damaged.
const VERSIONS_AHEAD_MAX: i64 = 1000;
/// SQLite before 3.51.3 can corrupt a WAL that two connections use (sqlite.org/wal.html, "WAL-reset
/// bug").
pub(super) const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Step `n` brings a database from version `n` to `n + 1`.
const MIGRATIONS: &[&str] = &[
    "
    -- The tables have different numbers of columns on purpose: a page that nothing points to any \
    more is told by them.
    -- One row: which file this is and how it was left. `wal_bytes`: the log was never shorter \
    since. `seq_floor`:
    -- numbers up to it may have been given out, although no row has them.
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        clean INTEGER NOT NULL,
        device INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        wal_bytes INTEGER NOT NULL DEFAULT 0,
        seq_floor INTEGER NOT NULL DEFAULT 0,
        salvage TEXT NOT NULL DEFAULT ''
    ) STRICT;

    -- A lane's books, lifetime totals, how many rows of each state have left after their \
    retention, and what its link
    -- must not forget over a restart.
    CREATE TABLE lane (
        lane INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        accepted INTEGER NOT NULL DEFAULT 0,
        pending INTEGER NOT NULL DEFAULT 0,
        confirmed INTEGER NOT NULL DEFAULT 0,
        declined INTEGER NOT NULL DEFAULT 0,
        parked INTEGER NOT NULL DEFAULT 0,
        voided INTEGER NOT NULL DEFAULT 0,
        gone_confirmed INTEGER NOT NULL DEFAULT 0,
        gone_declined INTEGER NOT NULL DEFAULT 0,
        gone_voided INTEGER NOT NULL DEFAULT 0,
        hold TEXT NOT NULL DEFAULT '',
        hold_detail TEXT NOT NULL DEFAULT '',
        hold_ms INTEGER NOT NULL DEFAULT 0,
        outage_ms INTEGER NOT NULL DEFAULT 0,
        outage_noted_ms INTEGER NOT NULL DEFAULT 0,
        outage_trusted INTEGER NOT NULL DEFAULT 0,
        wait_boot TEXT NOT NULL DEFAULT '',
        wait_until_ms INTEGER NOT NULL DEFAULT 0,
        wait_left_ms INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- A lane's name a second time, on another page: without its name nothing of a lane can be \
    delivered.
    CREATE TABLE lane_name (lane INTEGER PRIMARY KEY, name TEXT NOT NULL, crc INTEGER NOT NULL) \
    STRICT;

    -- Columns up to `crc` never change; `crc` is CRC-32C over them.
    CREATE TABLE redemption (
        seq INTEGER PRIMARY KEY,
        tag BLOB NOT NULL,
        origin INTEGER,
        lane INTEGER NOT NULL,
        till TEXT NOT NULL,
        key INTEGER NOT NULL,
        key_rest INTEGER NOT NULL,
        request BLOB NOT NULL,
        guard INTEGER NOT NULL,
        business TEXT NOT NULL,
        code TEXT NOT NULL,
        branch TEXT NOT NULL,
        date TEXT NOT NULL,
        accepted_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        body_crc INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        state INTEGER NOT NULL,
        in_flight INTEGER NOT NULL,
        marks INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        settled_ms INTEGER,
        CHECK (state BETWEEN 0 AND 4 AND in_flight IN (0, 1) AND (state = 0) = (settled_ms IS NULL)
            AND (state = 0 OR in_flight = 0))
    ) STRICT;
    CREATE INDEX redemption_key ON redemption (key);
    CREATE INDEX redemption_guard ON redemption (guard);
    CREATE INDEX redemption_pending ON redemption (lane, in_flight, seq) WHERE state = 0;
    CREATE INDEX redemption_exception ON redemption (state, seq) WHERE state >= 2;
    CREATE UNIQUE INDEX redemption_origin ON redemption (origin, tag) WHERE origin IS NOT NULL;

    CREATE TABLE body (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

    -- What the provider said, unless it was the contract's plain `200 {}`; why a row is parked; a \
    person's note.
    CREATE TABLE answer (
        seq INTEGER PRIMARY KEY,
        status INTEGER,
        content_type TEXT,
        body BLOB,
        note TEXT
    ) STRICT;

    CREATE TABLE event (
        n INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        seq INTEGER,
        id TEXT,
        lane TEXT NOT NULL,
        what TEXT NOT NULL,
        by TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_seq ON event (seq) WHERE seq IS NOT NULL;
",
    "
    -- A request to which its till gave no key is found by its code, which has an index anyway: \
    the index of keys holds
    -- the others, so that most rows have one randomly ordered place less.
    DROP INDEX redemption_key;
    DROP INDEX redemption_guard;
    CREATE INDEX redemption_key ON redemption (key) WHERE kind & 16 = 0;
    CREATE INDEX redemption_guard ON redemption (guard, key);
",
    "
    -- Tables whose rows are their own index: a salvage, which reads the leaves of tables, never \
    takes one for another.
    -- A row's last attempts, as JSON.
    CREATE TABLE attempt (seq INTEGER PRIMARY KEY, list TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- How many rows of a till are pending in a lane.
    CREATE TABLE till (
        lane INTEGER NOT NULL,
        till TEXT NOT NULL,
        pending INTEGER NOT NULL,
        PRIMARY KEY (lane, till)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO till SELECT lane, till, count(*) FROM redemption WHERE state = 0 GROUP BY lane, \
    till;
    -- Codes whose rows are gone, or that were refused to a check: 128 bits of each code's guard, \
    what is known of it,
    -- and since when on the gateway's elapsed time.
    CREATE TABLE held_code (hash BLOB PRIMARY KEY, what INTEGER NOT NULL, minute INTEGER NOT NULL) \
    STRICT, WITHOUT ROWID;
    -- What the gateway itself must not forget, by name.
    CREATE TABLE keep (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
",
    "
    -- Codes are guarded in their folded form, and the newest redemptions of a code are read first.
    DROP INDEX redemption_guard;
    -- refold
    CREATE INDEX redemption_guard ON redemption (guard);
",
    "
    -- What each redemption that was given on trust counts as, in 1/10000, whether a setting says \
    so, and by which rule.
    CREATE TABLE worth (
        seq INTEGER PRIMARY KEY,
        value INTEGER NOT NULL,
        assumed INTEGER NOT NULL,
        rule TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- What is at risk in a lane, at a till, under a rule; how often something was given lately, \
    as JSON.
    CREATE TABLE risk (
        scope TEXT PRIMARY KEY,
        pending INTEGER NOT NULL,
        exposure INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        lately TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- The businesses of each lane, folded: those that were confirmed here, and others that were \
    given to on trust.
    CREATE TABLE business (
        lane INTEGER NOT NULL,
        business TEXT NOT NULL,
        confirmed INTEGER NOT NULL,
        PRIMARY KEY (lane, business)
    ) STRICT, WITHOUT ROWID;
    -- at risk
",
    "
    -- What the provider said to tills' checks; never listed, never exported. `exact` tells a good \
    code's own bytes; it
    -- is 0 where the code was refused, which holds for all that fold alike, and `bytes` tells \
    which were refused.
    -- `at_s` is the gateway's elapsed time; no `content_type`: application/json.
    CREATE TABLE checked (
        guard BLOB NOT NULL,
        exact INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        till TEXT NOT NULL,
        at_s INTEGER NOT NULL,
        status INTEGER NOT NULL,
        content_type TEXT,
        body BLOB NOT NULL,
        PRIMARY KEY (guard, exact)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX checked_till ON checked (till, refused, at_s);
    -- How many of them each till brought, and how many codes its checks have held since the hour \
    began.
    CREATE TABLE check_share (
        till TEXT PRIMARY KEY,
        kept INTEGER NOT NULL,
        hour INTEGER NOT NULL,
        held INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    -- What redemptions count for, summed by the day on which they were accepted, lane and till; \
    those that have left
    -- after their retention apart, so that the others can be counted again.
    CREATE TABLE tally (
        day INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        till TEXT NOT NULL,
        gone INTEGER NOT NULL,
        given INTEGER NOT NULL,
        late INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        confirmed INTEGER NOT NULL,
        declined INTEGER NOT NULL,
        parked INTEGER NOT NULL,
        voided INTEGER NOT NULL,
        inferred INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        owed INTEGER NOT NULL,
        paid INTEGER NOT NULL,
        taken_back INTEGER NOT NULL,
        PRIMARY KEY (day, lane, till, gone)
    ) STRICT, WITHOUT ROWID;
    -- What a till took back has no note, what an operator closed has one.
    UPDATE redemption SET marks = marks | 524288 WHERE state = 4
        AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.seq = redemption.seq AND note IS NOT \
        NULL);
    -- count
    -- How many requests were refused on a day, by reason.
    CREATE TABLE refusal (
        day INTEGER NOT NULL,
        reason TEXT NOT NULL,
        refused INTEGER NOT NULL,
        PRIMARY KEY (day, reason)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- The rows of each guard. Those after `upto` need not be in it yet: a start reads them.
    CREATE TABLE guard (
        guard INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (guard, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE guarded (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        upto INTEGER NOT NULL,
        crc INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- In the index's order: nothing is sorted, and each page is written once.
    INSERT INTO guard SELECT guard, seq FROM redemption INDEXED BY redemption_guard ORDER BY \
    guard, seq;
    DROP INDEX redemption_guard;
    -- filled
",
    "
    -- What `lane`, `till`, `risk` and `tally` have not got yet from the last commits is in \
    `keep`, by the name of sums:
    -- an earlier build would not look for it there.
",
];
/// From this version on a database has all that deliveries need. Before the last step its codes are
/// guarded as they came, so that nothing may be accepted.
pub(super) const WORKS_FROM: i64 = 3;
/// What a step does with the rows that are there, beside its SQL.
type OnRows = fn(&Connection) -> Result<(), StoreError>;
/// Where, within a step, it is done: stored codes get the guards of their folded form; rows are
/// counted, and what is at risk in them; the table of guards has all of them.
const ON_ROWS: [(&str, OnRows); 4] = [
    ("-- refold", super::refold::refold),
    ("-- at risk", super::risk::from_rows),
    ("-- count\n", super::tallies::count_anew),
    ("-- filled", super::guards::are_filled),
];

/// Makes a new database, complete and empty. Until it is renamed to its place nobody reads it, and
/// before that it is synced as a whole: it needs no journal.
pub(super) fn create(path: &Path) -> Result<Connection, StoreError> {
    create_as(path, VERSION)
}

/// As [`create`], with the schema of this version.
pub(super) fn create_as(path: &Path, version: i64) -> Result<Connection, StoreError> {
    let mut connection =
        connection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection::set(&connection, "page_size", &PAGE_BYTES.to_string())?;
    connection::set(&connection, "journal_mode", "off")?;
    connection::set(&connection, "synchronous", "0")?;
    migrate_to(&mut connection, version)?;
    Ok(connection)
}

/// The last thing to do to a new database: from now on it has a log.
pub(super) fn finish(connection: Connection) -> Result<(), StoreError> {
    connection::set(&connection, "journal_mode", "wal")?;
    connection.close().map_err(|(_, error)| StoreError::Sqlite(error))
}

/// Opens the one writing connection; the schema stays as it is.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = connection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_schema(&connection)?;
    connection::prepare_to_write(&connection)?;
    Ok(connection)
}

/// Whether the database is ours and one that this build knows. Ours is never found half made: it
/// comes to its place by a rename.
pub(super) fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = version(connection)?;
    if id != APPLICATION_ID {
        return Err(StoreError::Foreign { application_id: id });
    }
    if version > VERSION && version <= VERSION + VERSIONS_AHEAD_MAX {
        return Err(StoreError::Newer { found: version, known: VERSION });
    }
    let known = usize::try_from(version)
        .ok()
        .and_then(|version| MIGRATIONS.get(..version))
        .filter(|s| !s.is_empty());
    let Some(steps) = known else {
        return Err(StoreError::Damaged(format!("its schema version is {version}")));
    };
    let expected = Connection::open_in_memory()?;
    steps.iter().try_for_each(|step| expected.execute_batch(step))?;
    if shape(&expected)? != shape(connection)? {
        return Err(StoreError::Damaged("its schema is not as it was made".to_owned()));
    }
    Ok(())
}

fn shape(connection: &Connection) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Brings the schema up to date, every step in a transaction of its own, its version in the same
/// one: a power cut leaves the old or the new schema.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    migrate_to(connection, VERSION)
}

/// As [`migrate`], up to this version.
pub(super) fn migrate_to(connection: &mut Connection, last: i64) -> Result<(), StoreError> {
    let version = version(connection)?;
    for (step, sql) in (1i64..=last).zip(MIGRATIONS).filter(|(step, _)| *step > version) {
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found =
            ON_ROWS.iter().find_map(|(mark, on_rows)| Some((sql.split_once(mark)?, on_rows)));
        match found {
            Some(((before, after), on_rows)) => {
                transaction.execute_batch(before)?;
                on_rows(&transaction)?;
                transaction.execute_batch(after)?;
            }
            None => transaction.execute_batch(sql)?,
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", step)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How SQLite goes about a query with the schema of this version, in its own words.
#[cfg(test)]
pub(super) fn plan(version: i64, sql: &str) -> String {
    let connection = create_as(Path::new(""), version).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query().mapped(|row| row.get("detail"));
    steps.collect::<Result<Vec<String>, _>>().unwrap().join("; ")
}
