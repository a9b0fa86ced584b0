//! A state directory as version 1 of the schema left one behind, with more rows than the fixture
//! has: their indexes are larger than what a migration keeps in memory, so that its log has pages
//! before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use redeemd::store::{Accept, Decided, Decision, FILE, NewRedemption, Store};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::workload::{self, LOG, ROWS};

/// Some thirty pages of each index are kept in memory.
const ROW_COUNT: usize = 3000;
/// The indexes of version 1, and none of the tables that came later. A row whose till gave it a
/// key, of a code that is folded as it came, is the same.
const AS_IT_WAS: &str = "
    DROP TABLE attempt;
    DROP TABLE till;
    DROP TABLE held_code;
    DROP TABLE keep;
    DROP TABLE worth;
    DROP TABLE risk;
    DROP TABLE business;
    DROP TABLE checked;
    DROP TABLE check_share;
    DROP TABLE tally;
    DROP TABLE refusal;
    DROP TABLE guard;
    DROP TABLE guarded;
    DROP INDEX redemption_key;
    CREATE INDEX redemption_key ON redemption (key);
    CREATE INDEX redemption_guard ON redemption (guard);
    PRAGMA user_version = 1;
";

pub(crate) fn write(to: &Path) {
    let (mut store, _) = Store::open(to).unwrap();
    let ops: Vec<_> = (0..ROW_COUNT).map(|n| keyed(&format!("{n:06}"))).collect();
    let mut rows = String::new();
    for done in workload::run(&mut store, ops, false) {
        let Decided { decision: Decision::Taken(taken), .. } = done else { panic!("{done:?}") };
        writeln!(rows, "{} pending", taken.id).unwrap();
    }
    store.close().unwrap();
    let raw = Connection::open(to.join(FILE)).unwrap();
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    raw.execute_batch(AS_IT_WAS).unwrap();
    drop(raw);
    assert!(to.join(LOG).exists());
    std::fs::write(to.join(ROWS), rows).unwrap();
}

fn keyed(code: &str) -> Accept {
    let Accept { new, rules } = workload::accept(code);
    let mut request = new.request.clone();
    request.body = format!("{{\"reward_code\":\"{code}\"}}").into();
    Accept { new: NewRedemption { key: Some(code.to_owned()), request, ..new }, rules }
}
