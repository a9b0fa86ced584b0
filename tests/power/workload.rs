//! The recorded process: a life of the store in small, and before and after each step a word about
//! it. One life begins at a first start, the others with what an earlier version left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redeemd::clock::Stamp;
use redeemd::limits::LaneNow;
use redeemd::redemption::{Answer, Id, Request, RewardCode, Seq, State};
use redeemd::settings::Offline;
use redeemd::store::{
    Accept, Checkpointer, Claim, Decided, Decision, Ended, FILE, Handling, NewRedemption,
    Operation, Prune, Retention, Settlement, Store, Surroundings,
};
use redeemd::value::Amount;

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
/// So few that guards are merged in most transactions that accept.
const RECENT_GUARDS: usize = 3;
pub(crate) const LOG: &str = "redeemd.db-wal";
/// What a folder of an earlier version's files has besides them: its rows in words.
pub(crate) const ROWS: &str = "rows";

pub(crate) fn offline() -> Offline {
    Offline {
        max_pending: 100_000,
        max_pending_per_till: 100_000,
        max_outage: Duration::from_secs(3600),
        max_exposure: Amount(i64::MAX),
        max_per_hour_per_till: u64::MAX,
        ..Offline::default()
    }
}

pub(crate) fn accept(code: &str) -> Accept {
    let body =
        format!(r#"{{"reward_code":"{code}","more":"{}"}}"#, "x".repeat(code.len() * 97 % 6000));
    let request = Request {
        reward_code: RewardCode::new(code.to_owned()),
        business_refrence: "shop".to_owned(),
        branch_id: "7".to_owned(),
        date: "2027-01-15 10:00:00".to_owned(),
        timestamp: "t".to_owned(),
        body: body.into(),
    };
    let new =
        NewRedemption { till: "till-1".to_owned(), key: None, lane: "retm".to_owned(), request };
    Accept::once(new)
}

pub(crate) fn run<O: Operation>(store: &mut Store, ops: Vec<O>, up: bool) -> Vec<O::Output> {
    run_after(store, ops, up, Duration::ZERO)
}

/// As [`run`], so long after everything else.
fn run_after<O: Operation>(
    store: &mut Store,
    ops: Vec<O>,
    up: bool,
    uptime: Duration,
) -> Vec<O::Output> {
    let offline = offline();
    let now = if up { LaneNow::default() } else { LaneNow::down() };
    let lane = move |_: &str| now;
    let stamp =
        Stamp { unix_ms: NOW_MS + i64::try_from(uptime.as_millis()).unwrap(), trusted: true };
    let around = Surroundings { uptime, ..Surroundings::new(stamp, &offline, &lane) };
    store.perform_all(ops, &around).into_iter().map(Result::unwrap).collect()
}

/// What is known of a row: its state, whether an attempt may have arrived, and the attempt's
/// number.
#[derive(Clone, Copy)]
struct Row {
    seq: Seq,
    state: State,
    doubt: bool,
    in_flight: bool,
    attempt: u32,
    /// Of a copy: in doubt from the start.
    copied: bool,
}

struct Life {
    dir: PathBuf,
    said: File,
    store: Option<Store>,
    rows: BTreeMap<String, Row>,
    steps: u32,
    codes: u32,
}

impl Life {
    fn say(&mut self, line: &str) {
        self.said.write_all(line.as_bytes()).unwrap();
    }

    /// Announces a step, does it, and reports what is so from now on.
    fn step(&mut self, what: &str, act: impl FnOnce(&mut Self)) {
        self.steps += 1;
        self.say(&format!("begin {} {what}", self.steps));
        let before: BTreeMap<String, String> =
            self.rows.iter().map(|(id, row)| (id.clone(), told(row))).collect();
        act(self);
        let mut line = format!("done {}", self.steps);
        for (id, row) in &self.rows {
            if before.get(id) != Some(&told(row)) {
                write!(line, " {id}={}", told(row)).unwrap();
            }
        }
        for id in before.keys().filter(|id| !self.rows.contains_key(*id)) {
            write!(line, " {id}=gone").unwrap();
        }
        self.say(&line);
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    fn open(&mut self) {
        self.store = None;
        let (mut store, _) = Store::open(&self.dir).unwrap();
        store.keep_recent_guards(RECENT_GUARDS);
        self.store = Some(store);
        for row in self.rows.values_mut() {
            row.doubt |= row.in_flight;
            row.in_flight = false;
        }
    }

    fn close(&mut self) {
        self.store.take().unwrap().close().unwrap();
    }

    fn accept(&mut self, count: u32, up: bool) {
        let ops: Vec<_> = (0..count).map(|n| accept(&format!("CODE-{}", self.codes + n))).collect();
        self.codes += count;
        for done in run(self.store(), ops, up) {
            let Decided { decision: Decision::Taken(taken), .. } = done else { panic!("{done:?}") };
            let row = Row {
                seq: taken.seq,
                state: State::Pending,
                doubt: up,
                in_flight: up,
                attempt: u32::from(up),
                copied: false,
            };
            self.rows.insert(taken.id.to_string(), row);
        }
    }

    fn claim(&mut self, rows_max: usize) {
        let (lane, prefer, except) = ("retm".to_owned(), Vec::new(), Vec::new());
        let claim = Claim {
            lane,
            prefer,
            after: Seq(0),
            except,
            not_from: None,
            rows_max,
            body_bytes_max: 1 << 20,
        };
        for one in run(self.store(), vec![claim], false).pop().unwrap() {
            let row = self.rows.get_mut(one.id.as_str()).unwrap();
            (row.in_flight, row.attempt, row.doubt) = (true, one.attempt, true);
        }
    }

    /// Everything in flight ends, each differently.
    fn settle(&mut self) {
        let flying: Vec<String> =
            self.rows.iter().filter(|(_, row)| row.in_flight).map(|(id, _)| id.clone()).collect();
        let body = br#"{"data":[],"message":"no such reward"}"#;
        let refusal = Answer { status: 400, content_type: None, body: body.as_slice().into() };
        let mut ops = Vec::new();
        for (n, id) in flying.iter().enumerate() {
            let row = self.rows.get_mut(id).unwrap();
            let (ended, state) = match n % 4 {
                0 | 1 => (Ended::Confirmed(Answer::success()), State::Confirmed),
                // A row that may have arrived before is asked about again.
                2 if row.attempt == 1 && !row.copied => (
                    Ended::Declined { answer: refusal.clone(), already_used: false, strong: true },
                    State::Declined,
                ),
                _ => (Ended::Unclear, State::Pending),
            };
            ops.push(Settlement::new(row.seq, row.attempt, ended));
            (row.state, row.in_flight) = (state, false);
        }
        run(self.store(), ops, false);
    }

    /// What an earlier version left behind comes to its place, synced, before anything is said: the
    /// recorder sees every byte of it. It is a copy, so that every pending row is uncertain.
    fn move_in(&mut self, from: &Path) {
        for name in [FILE, LOG] {
            let mut file = File::create(self.dir.join(name)).unwrap();
            file.write_all(&std::fs::read(from.join(name)).unwrap()).unwrap();
            file.sync_all().unwrap();
        }
        File::open(&self.dir).unwrap().sync_all().unwrap();
        let mut line = "done 0".to_owned();
        for row in std::fs::read_to_string(from.join(ROWS)).unwrap().lines() {
            let [id, state] = row.split(' ').take(2).collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let state: State = state.parse().unwrap();
            let (seq, doubt) = (Id::parse(id).unwrap().seq().unwrap(), state == State::Pending);
            let row = Row { seq, state, doubt, in_flight: false, attempt: 1, copied: true };
            write!(line, " {id}={}", told(&row)).unwrap();
            self.rows.insert(id.to_owned(), row);
        }
        self.say(&line);
    }

    /// What is lost or inferred leaves only once a person has handled it.
    fn handle(&mut self) {
        let settled = self.rows.iter().filter(|(_, row)| row.state != State::Pending);
        let handling = |(id, _): (&String, &Row)| Handling {
            id: Id::parse(id).unwrap(),
            note: "seen".to_owned(),
            free: false,
            by: "p".to_owned(),
        };
        let all = settled.map(handling).collect();
        run(self.store(), all, false);
    }

    fn prune(&mut self) {
        let newest = self.rows.values().map(|row| row.seq).max().unwrap();
        let retention = Retention { settled: Duration::ZERO, codes: Duration::from_secs(86_400) };
        run_after(
            self.store(),
            vec![Prune { retention, after: Seq(0) }],
            false,
            Duration::from_secs(3600),
        );
        self.rows.retain(|_, row| {
            row.seq == newest || matches!(row.state, State::Pending | State::Parked)
        });
    }

    /// A damaged file, whose first page no log holds, and the start that rescues what is in it.
    fn rescue(&mut self) {
        self.store.take().unwrap().close().unwrap();
        let log = File::options().write(true).open(self.dir.join("redeemd.db-wal")).unwrap();
        log.set_len(0).and_then(|()| log.sync_all()).unwrap();
        let mut file = File::options().write(true).open(self.dir.join(FILE)).unwrap();
        file.write_all(b"SQLite farmat").unwrap();
        file.sync_all().unwrap();
        drop(file);
        self.open();
        for row in self.rows.values_mut().filter(|row| row.state == State::Pending) {
            row.doubt = true;
        }
    }
}

fn told(row: &Row) -> String {
    let doubt = if row.state == State::Pending && row.doubt { "?" } else { "" };
    format!("{}{doubt}", row.state)
}

fn live(life: &mut Life) {
    life.step("first start", Life::open);
    for up in [false, true] {
        life.step("accept", |life| life.accept(1, up));
        life.step("accept many", |life| life.accept(9, up));
    }
    let checkpointer = Checkpointer::new(life.dir.join(FILE));
    for round in 0..3 {
        life.step("claim", |life| life.claim(6));
        life.step("settle", Life::settle);
        life.step("accept", |life| life.accept(3, round % 2 == 0));
        life.step("checkpoint beside the writer", |_| checkpointer.run().unwrap());
        life.step("accept into a new log", |life| life.accept(2, false));
        life.step("checkpoint between commits", |_| checkpointer.run_between_commits().unwrap());
        life.step("accept into a new log", |life| life.accept(1, false));
    }
    drop(checkpointer);
    life.step("handle", Life::handle);
    life.step("prune", Life::prune);
    life.step("start again after a crash", Life::open);
    life.step("claim", |life| life.claim(100));
    life.step("settle", Life::settle);
    life.step("stop", Life::close);
    life.step("start again after a stop", Life::open);
    life.step("accept", |life| life.accept(30, false));
    life.step("checkpoint on the writer", |life| assert!(life.store().checkpoint().unwrap() > 0));
    life.step("accept", |life| life.accept(1, true));
    life.step("handle", Life::handle);
    life.step("prune", Life::prune);
    life.step("rescue", Life::rescue);
    life.step("accept", |life| life.accept(2, false));
    life.step("stop", Life::close);
}

fn live_on(life: &mut Life, from: &Path) {
    life.move_in(from);
    life.step("migrate", Life::open);
    life.step("accept", |life| life.accept(2, false));
    life.step("claim", |life| life.claim(3));
    life.step("start again after a crash", Life::open);
    life.step("stop", Life::close);
}

#[test]
#[ignore = "runs under the recorder; the test of the power cuts starts it"]
fn the_recorded_process() {
    let root =
        PathBuf::from(std::env::var("POWER_ROOT").expect("started by the test of the power cuts"));
    let said = File::create(root.join("said")).unwrap();
    let mut life = Life {
        dir: root.join("state"),
        said,
        store: None,
        rows: BTreeMap::new(),
        steps: 0,
        codes: 0,
    };
    match std::env::var_os("POWER_FROM") {
        Some(from) => live_on(&mut life, Path::new(&from)),
        None => live(&mut life),
    }
}
