//! A state directory of the oldest released schema with many rows in it, as an update finds it.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::Failure;

/// What the first released redeemd left; its schema is what is wanted of it.
const OLDEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-1");
const FILES: [&str; 2] = ["redeemd.db", "redeemd.db-wal"];
/// Every so-many-th is pending, declined; the others are confirmed.
const PENDING: usize = 20;
const DECLINED: usize = 33;
/// When the first was accepted, Unix milliseconds, and how long after it the next.
const BEGAN_MS: i64 = 1_760_000_000_000;
const EVERY_MS: i64 = 31_000;

/// Writes the state directory of the oldest schema, with so many rows. Each is whole, and has a
/// guard that the folded form of its code changes: no row is spared by the migration.
pub(crate) fn oldest(dir: &Path, rows: usize) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)?;
    for file in FILES {
        std::fs::copy(Path::new(OLDEST).join(file), dir.join(file))?;
    }
    let mut sql = Connection::open(dir.join(FILES[0]))?;
    sql.execute_batch(
        "DELETE FROM redemption; DELETE FROM body; DELETE FROM answer; DELETE FROM event;
         PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = OFF;",
    )?;
    let transaction = sql.transaction()?;
    for n in 1..=rows {
        write(&transaction, n)?;
    }
    transaction.execute_batch(
        "UPDATE meta SET wal_bytes = 0;
         UPDATE lane SET name = 'p', accepted = (SELECT count(*) FROM redemption), parked = 0, voided = 0,
             pending = (SELECT count(*) FROM redemption WHERE state = 0),
             confirmed = (SELECT count(*) FROM redemption WHERE state = 1),
             declined = (SELECT count(*) FROM redemption WHERE state = 2)",
    )?;
    transaction.commit()?;
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    sql.close().map_err(|(_, error)| error.into())
}

/// A row, its body, and the answer of one that was declined.
fn write(sql: &Connection, n: usize) -> Result<(), Failure> {
    let seq = i64::try_from(n)?;
    let (code, till) = (format!("CODE-{n:07}"), format!("till-{}", n % 30));
    let body = format!(
        "{{\"reward_code\":\"{code}\",\"business_refrence\":\"shop\",\"branch_id\":\"7\",\
         \"date\":\"2026-11-23 10:00:00\",\"timestamp\":\"{n}\"}}"
    );
    // An odd number times it visits every number once: its places in an index are all over.
    let mixed = seq.wrapping_mul(-7_046_029_254_386_353_131);
    let accepted_ms = BEGAN_MS + seq * EVERY_MS;
    let body_crc = crc32c::crc32c(body.as_bytes());
    let tag = [&mixed.to_be_bytes()[..], &[7; 4]].concat();
    let halves = [mixed, !mixed].map(i64::to_be_bytes).concat();
    let numbers = [seq, -1, 1, mixed, accepted_ms, 3].map(i64::to_le_bytes).concat();
    let texts = [till.as_str(), "shop", &code, "7", "2026-11-23 10:00:00"];
    let texts =
        texts.map(|text| [&text.len().to_le_bytes()[..], text.as_bytes()].concat()).concat();
    let all = [&numbers[..], &tag, &halves, &halves, &body_crc.to_le_bytes(), &texts].concat();
    let is_declined = n.is_multiple_of(DECLINED);
    let state = if n.is_multiple_of(PENDING) { 0 } else { 1 + i64::from(is_declined) };
    let settled_ms = (state > 0).then_some(accepted_ms + 500);
    sql.prepare_cached(
        "INSERT INTO redemption VALUES (?1, ?2, NULL, 1, ?3, ?4, ?5, ?6, ?4, 'shop', ?7, '7', \
         '2026-11-23 10:00:00', ?8, 3, ?9, ?10, ?11, 0, ?12, 1, ?13)",
    )?
    .execute(params![
        seq,
        tag,
        till,
        mixed,
        !mixed,
        halves,
        code,
        accepted_ms,
        body_crc,
        crc32c::crc32c(&all),
        state,
        if state > 0 { 40 } else { 0 },
        settled_ms,
    ])?;
    sql.prepare_cached("INSERT INTO body VALUES (?1, ?2)")?
        .execute(params![seq, body.as_bytes()])?;
    if state == 2 {
        let said = br#"{"data":[],"message":"no such reward"}"#;
        sql.prepare_cached("INSERT INTO answer VALUES (?1, 400, 'application/json', ?2, NULL)")?
            .execute(params![seq, &said[..]])?;
    }
    Ok(())
}
