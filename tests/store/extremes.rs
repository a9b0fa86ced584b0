//! Every column of every table at its extremes: nothing that is stored ends the process, and no
//! start is in vain.

use std::path::Path;
use std::time::Duration;

use redeemd::clock::Stamp;
use redeemd::decide::{CodeRules, WaitEnd};
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Answer, Id, Redemption, RewardCode, Seq, State};
use redeemd::refused::Reason;
use redeemd::store::{
    AfterCommit, CheckAnswered, CheckAsked, CheckSaid, Claim, Claimed, Conclusion, Ended, Event,
    FILE, Filter, ForgetChecks, Handling, Hold, Import, Job, LaneMemory, NewRedemption, Operation,
    Prune, Reader, Record, Recount, Recounted, Refused, Remember, Retention, Retry, RetryHeld,
    Settlement, Store, StoreError, Surroundings, Task, Trouble, Unclaim, Void, VoidByTill,
    WaitMemory,
};
use redeemd::verdict::ParkReason;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::rescue::exported;
use crate::world::{
    LANE, NOW_MS, Waiting, World, accept_op, confirmed, declined, new, offline, parked,
};

const MARKS: [&str; 3] = ["meta", "lane", "lane_name"];
const WORDS: [&str; 3] = ["body", "answer", "event"];
const KEPT: [&str; 8] =
    ["till", "attempt", "held_code", "keep", "tally", "refusal", "guard", "guarded"];
const CHECKS: [&str; 2] = ["checked", "check_share"];
const RISK: [&str; 3] = ["worth", "risk", "business"];
const CODES: [&str; 7] = ["PENDING", "FLYING", "CONFIRMED", "DECLINED", "PARKED", "VOIDED", "GONE"];
/// How long the machine has been on when a store has lived.
const UPTIME: Duration = Duration::from_secs(2 * 3600);

/// A column as its table declares it.
struct Column {
    table: String,
    name: String,
    kind: String,
    may_be_null: bool,
    /// The table's columns whose values together are a row's own.
    key: String,
}

/// A store with a row in each state and one that has left, with attempts, events, answers, a hold
/// and a wait; stopped in order.
fn lived() -> World {
    let mut world = World::with_recent_guards(0);
    world.settled("till-1", "GONE", confirmed());
    let tried = world.take("till-1", "TRIED");
    for ended in [Ended::Unclear, Ended::Clean, declined("no")] {
        let attempt = world.claim()[0].attempt;
        world.settle(tried.seq, attempt, ended);
    }
    world.stamp.unix_ms += 7_200_000;
    let codes = Duration::from_secs(400 * 86_400);
    world.one(Prune {
        retention: Retention { settled: Duration::from_secs(3600), codes },
        after: Seq(0),
    });
    world.settled("till-1", "CONFIRMED", confirmed());
    world.settled("till-1", "DECLINED", declined("no"));
    world.settled("till-1", "PARKED", parked());
    let voided = world.take("till-1", "VOIDED").id;
    world.one(Void { id: voided, note: "n".to_owned(), by: "ops".to_owned() });
    world.take("till-1", "FLYING");
    world.claim();
    world.take("till-1", "PENDING");
    world.one(Remember { lane: LANE.to_owned(), memory: memory(), streak: Vec::new() });
    world.one(heard("GOOD", CheckSaid::Good));
    world.one(heard("BAD", CheckSaid::Refused));
    world.one(Refused(vec![(Reason::Used, 1)]));
    let mut other = World::new();
    other.take("till-2", "ELSEWHERE");
    world.one(Import {
        rows: exported(&other),
        from: "b".to_owned(),
        by: "ops".to_owned(),
        language: Language::English,
    });
    world.store.take().unwrap().close().unwrap();
    world
}

fn asks(code: &str, in_vain: bool) -> CheckAsked {
    CheckAsked {
        till: "till-1".to_owned(),
        lane: LANE.to_owned(),
        business: "shop".to_owned(),
        code: RewardCode::new(code.to_owned()),
        rules: CodeRules::default(),
        in_vain,
    }
}

fn heard(code: &str, said: CheckSaid) -> CheckAnswered {
    let body = r#"{"data":{"customer_number":"1"},"message":"x"}"#.into();
    let answer = Answer { body, ..Answer::success() };
    CheckAnswered { asked: asks(code, false), answer, said, asked_ms: None }
}

fn memory() -> LaneMemory {
    LaneMemory {
        hold: Some(Hold { cause: "operator".to_owned(), detail: "d".to_owned(), since_ms: NOW_MS }),
        declines: Some("d".to_owned()),
        outage_ms: 1,
        noted_ms: NOW_MS,
        noted_trusted: true,
        wait: Some(WaitMemory { boot_id: "b".to_owned(), until_ms: 1, left_ms: 1 }),
        ..LaneMemory::default()
    }
}

fn tables(raw: &Connection) -> Vec<String> {
    let mut statement =
        raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn columns(raw: &Connection, table: &str) -> Vec<Column> {
    let listed =
        format!("SELECT group_concat(name) FROM pragma_table_info('{table}') WHERE pk > 0");
    let key: String = raw.query_row(&listed, [], |row| row.get(0)).unwrap();
    let sql = format!("SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')");
    let mut statement = raw.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (not_null, in_key): (bool, bool) = (row.get(2)?, row.get(3)?);
        let (table, key) = (table.to_owned(), key.clone());
        Ok(Column {
            table,
            name: row.get(0)?,
            kind: row.get(1)?,
            may_be_null: !not_null && !in_key,
            key,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn extremes(column: &Column) -> Vec<Value> {
    let numbers = [i64::MIN, -1, 253_402_300_800_000, i64::from(u32::MAX), i64::MAX];
    let mut values: Vec<Value> = match column.kind.as_str() {
        "INTEGER" => numbers.map(Value::Integer).to_vec(),
        "TEXT" => [String::new(), "\u{0}\n\u{202e}\u{1f600}".to_owned(), "x".repeat(6_000)]
            .map(Value::Text)
            .to_vec(),
        "BLOB" => [Vec::new(), vec![0xff; 7], vec![0x7b; 6_000]].map(Value::Blob).to_vec(),
        other => panic!("{other}"),
    };
    if column.may_be_null {
        values.push(Value::Null);
    }
    values
}

/// What may change in a redemption: no checksum covers it.
const CHANGING: [&str; 5] = ["state", "in_flight", "marks", "attempts", "settled_ms"];

/// Sets the column in every row, whatever the table's conditions say; in one row where a checksum
/// covers it, since each row is mended bit by bit, and where it makes two rows one.
fn set(database: &Path, column: &Column, value: &Value) {
    let raw = Connection::open(database).unwrap();
    raw.execute_batch("PRAGMA ignore_check_constraints = 1").unwrap();
    let Column { table, name, key, .. } = column;
    let all = format!("UPDATE {table} SET {name} = ?1");
    let last = format!(
        "SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1 OFFSET ('{table}' = 'redemption')"
    );
    let one = format!("{all} WHERE ({key}) = ({last})");
    let is_covered = table == "redemption" && !CHANGING.contains(&name.as_str());
    let everywhere = if is_covered { None } else { raw.execute(&all, [value]).ok() };
    let changed = everywhere.unwrap_or_else(|| raw.execute(&one, [value]).unwrap());
    assert!(changed > 0, "nothing is in {table}");
}

/// Operations of different kinds.
#[derive(Default)]
struct Batch(Vec<Box<dyn Task>>);

impl Batch {
    fn push(&mut self, operation: impl Operation) {
        self.0.push(Box::new(Job::new(operation)));
    }

    /// Does all of them in one transaction; whether one met damage.
    fn run(&mut self, store: &mut Store, around: &Surroundings<'_>) -> bool {
        let mut tasks: Vec<&mut dyn Task> =
            self.0.iter_mut().map(|task| &mut **task as &mut dyn Task).collect();
        store.run(&mut tasks, around);
        self.0.iter().filter_map(|task| task.error()).any(is_damage)
    }
}

/// The rows that were claimed.
struct Claims(Vec<(Seq, u32)>);

impl AfterCommit for Claims {
    fn claimed(&mut self, seq: Seq, attempt: u32) {
        self.0.push((seq, attempt));
    }

    fn awaited(&mut self, _: Seq) {}
    fn live(&mut self, _: &str, _: Claimed) {}
    fn ended(&mut self, _: Seq) {}
    fn settled(&mut self, _: &Redemption, _: bool) {}
    fn told(&mut self, _: Seq, _: bool) {}
    fn owed(&mut self, _: &[Seq]) {}
    fn pending(&mut self, _: &str, _: Seq) {}
    fn recounted(&mut self, _: &Recounted) {}
    fn checks_kept(&mut self, _: u64) {}
}

fn held(lane: &str, by: &str) -> Event {
    Event {
        at_ms: i64::MAX,
        id: None,
        lane: lane.to_owned(),
        what: "hold".to_owned(),
        by: by.to_owned(),
        detail: String::new(),
    }
}

fn ops(ids: &[Id], imported: &World) -> Batch {
    let keyed = |code: &str| NewRedemption { key: Some("k".to_owned()), ..new("till-1", code) };
    let answer = Answer { status: u16::MAX, content_type: Some("\n".to_owned()), body: "x".into() };
    let (lane, by) = (LANE.to_owned(), "ops".to_owned());
    let mut ops = Batch::default();
    ops.push(Recount { begin: true });
    for settled in [Duration::MAX, Duration::ZERO] {
        ops.push(Prune { retention: Retention { settled, codes: Duration::ZERO }, after: Seq(0) });
    }
    for accept in
        CODES.into_iter().chain(["NEW"]).flat_map(|code| [new("till-1", code), keyed(code)])
    {
        ops.push(accept_op(accept));
    }
    ops.push(Import {
        rows: exported(imported),
        from: String::new(),
        by: by.clone(),
        language: Language::English,
    });
    ops.push(RetryHeld { lane: lane.clone(), by: by.clone() });
    ops.push(Remember {
        lane: lane.clone(),
        memory: memory(),
        streak: vec![Seq(2), Seq(i64::MAX)],
    });
    ops.push(Record(held(&lane, &by)));
    let claim = |prefer| Claim {
        lane: lane.clone(),
        prefer,
        after: Seq(0),
        except: Vec::new(),
        not_from: None,
        rows_max: 2,
        body_bytes_max: usize::MAX,
    };
    ops.push(claim(vec![Seq(6), Seq(i64::MIN)]));
    ops.push(claim(Vec::new()));
    for seq in [i64::MIN, -1, 1, 2, 3, 7, 8, i64::MAX].map(Seq) {
        for end in [WaitEnd::InVain, WaitEnd::TurnedAway { retry_after_s: Some(u64::MAX) }] {
            ops.push(Conclusion { seq, end, withdrawn: true });
            ops.push(Conclusion { seq, end, withdrawn: false });
        }
    }
    for id in ids {
        let id = || id.clone();
        ops.push(Handling { id: id(), note: String::new(), free: true, by: by.clone() });
        ops.push(VoidByTill { id: id(), till: "till-1".to_owned(), withdrawn: false });
        ops.push(Retry { id: id(), by: by.clone() });
        ops.push(Void { id: id(), note: String::new(), by: by.clone() });
    }
    for code in ["GOOD", "BAD", "CONFIRMED", "NEW"] {
        ops.push(asks(code, true));
        ops.push(heard(code, CheckSaid::Neither));
        ops.push(heard(code, CheckSaid::Good));
        ops.push(ForgetChecks);
        ops.push(heard(code, CheckSaid::Refused));
        ops.push(asks(code, false));
    }
    let strange = Ended::Parked {
        answer,
        reason: ParkReason::SaysBoth { status: u16::MAX },
        already_used: false,
    };
    ops.push(Settlement::new(Seq(1), u32::MAX, strange));
    ops.push(Recount { begin: true });
    ops
}

/// Does everything; whether the store met damage.
fn work(store: &mut Store, ids: &[Id], imported: &World) -> bool {
    let lane = |_: &str| LaneNow::default();
    let offline = offline();
    let stamp = Stamp { unix_ms: NOW_MS + 86_400_000, trusted: true };
    let tills = &Waiting(true, None);
    let begin = Surroundings { uptime: UPTIME, tills, ..Surroundings::new(stamp, &offline, &lane) };
    let mut damaged =
        store.perform(Recount { begin: true }, &begin).as_ref().err().is_some_and(is_damage);
    let around = Surroundings { uptime: UPTIME + Duration::from_hours(24), ..begin };
    let (mut ops, mut claims) = (ops(ids, imported), Claims(Vec::new()));
    damaged |= ops.run(store, &around);
    ops.0.iter_mut().for_each(|task| task.after(&mut claims));
    let mut ends = Batch::default();
    for (place, (seq, attempt)) in claims.0.into_iter().enumerate() {
        let ended = [
            confirmed(),
            declined("used"),
            parked(),
            Ended::Clean,
            Ended::Uncharged,
            Ended::Unclear,
        ];
        let ended = ended.into_iter().cycle().nth(place).unwrap();
        ends.push(Settlement::new(seq, attempt, ended));
        ends.push(Unclaim(vec![(seq, attempt)]));
    }
    damaged |= ends.run(store, &around);
    damaged |= store.memory(LANE).as_ref().err().is_some_and(is_damage);
    damaged |= store.salvage_note().as_ref().err().is_some_and(is_damage);
    damaged | look(&store.path(), ids)
}

fn is_damage(error: &StoreError) -> bool {
    assert_ne!(error.trouble(), Trouble::Fatal, "{error}");
    error.trouble() == Trouble::Damaged
}

/// Every view; whether one met damage.
fn look(path: &Path, ids: &[Id]) -> bool {
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return is_damage(&error),
    };
    let mut failed = Vec::new();
    for state in State::ALL.into_iter().map(Some).chain([None]) {
        let filter = Filter { state, after: None, limit: 1000 };
        failed.extend(reader.list(&filter).err());
    }
    for id in ids {
        failed.extend(reader.by_id(id).err());
    }
    for seq in [i64::MIN, 1, 2, 3, i64::MAX] {
        failed.extend(reader.events(Seq(seq)).err());
        failed.extend(reader.export(Seq(seq), 500).err());
    }
    failed.extend(reader.oldest_pending_ms().err());
    failed.iter().any(is_damage)
}

/// Every value in every column of `table`.
fn no_value_of(table: &str) {
    let (life, mut imported) = (lived(), World::new());
    imported.take("till-3", "BROUGHT");
    let database = life.path().join(FILE);
    let columns = columns(&Connection::open(&database).unwrap(), table);
    let filter = Filter { limit: 100, ..Filter::default() };
    let rows = Reader::open(&database).and_then(|reader| reader.list(&filter)).unwrap();
    let ids: Vec<Id> = rows.into_iter().map(|row| row.id).collect();
    let mut faults = Vec::new();
    for column in &columns {
        for value in extremes(column) {
            let dir =
                tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." })
                    .unwrap();
            for file in [FILE, "redeemd.db-wal"] {
                std::fs::copy(life.path().join(file), dir.path().join(file)).unwrap();
            }
            set(&dir.path().join(FILE), column, &value);
            println!("{table}.{} = {value:.60?}", column.name);
            let fault = survives(dir.path(), &ids, &imported).err();
            faults
                .extend(fault.map(|why| format!("{table}.{} = {value:.60?}: {why}", column.name)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Two starts, each of which does everything; damage is met once at most and is over after its
/// rescue.
fn survives(dir: &Path, ids: &[Id], imported: &World) -> Result<(), String> {
    let failed = |what: &'static str| move |error: StoreError| format!("{what}: {error}");
    let (mut store, _) = Store::open(dir).map_err(failed("the first start"))?;
    if work(&mut store, ids, imported) {
        store.rescue("a test", &[]).map_err(failed("the rescue"))?;
        if work(&mut store, ids, imported) {
            return Err("damage after the rescue".to_owned());
        }
    }
    drop(store);
    let (mut store, _) = Store::open(dir).map_err(failed("the next start"))?;
    if work(&mut store, ids, imported) {
        return Err("damage at the next start".to_owned());
    }
    store.close().map_err(failed("the stop"))
}

#[test]
fn no_value_in_the_mark_of_the_file_or_in_a_lane_ends_the_process_or_outlives_a_rescue() {
    MARKS.into_iter().for_each(no_value_of);
}

#[test]
fn no_value_in_a_redemption_ends_the_process_or_outlives_a_rescue() {
    no_value_of("redemption");
}

#[test]
fn no_value_in_a_body_an_answer_or_an_event_ends_the_process_or_outlives_a_rescue() {
    WORDS.into_iter().for_each(no_value_of);
}

#[test]
fn no_value_in_what_is_kept_of_tills_attempts_and_codes_ends_the_process_or_outlives_a_rescue() {
    KEPT.into_iter().for_each(no_value_of);
}

#[test]
fn no_value_in_what_is_remembered_of_checks_ends_the_process_or_outlives_a_rescue() {
    CHECKS.into_iter().for_each(no_value_of);
}

#[test]
fn no_value_in_the_books_of_what_is_at_risk_ends_the_process_or_outlives_a_rescue() {
    RISK.into_iter().for_each(no_value_of);
}

#[test]
fn every_table_is_looked_at() {
    let life = lived();
    let raw = Connection::open(life.path().join(FILE)).unwrap();
    let mut looked_at: Vec<_> = MARKS
        .into_iter()
        .chain(["redemption"])
        .chain(WORDS)
        .chain(KEPT)
        .chain(CHECKS)
        .chain(RISK)
        .collect();
    looked_at.sort_unstable();
    assert_eq!(tables(&raw), looked_at);
}
