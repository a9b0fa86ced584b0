//! The model that the store is held to: its rows in a map, each with its state and its doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use redeemd::clock::Stamp;
use redeemd::limits::LaneNow;
use redeemd::redemption::{Answer, Id, Request, Seq, State};
use redeemd::settings::Offline;
use redeemd::store::{
    Claim, Claimed, Counts, Ended, FILE, Operation, Reader, Store, Surroundings, Taken,
};
use redeemd::value::Amount;
use redeemd::verdict::ParkReason;

#[derive(Arbitrary, Debug)]
pub enum Step {
    Accept { till: u8, code: u8 },
    Claim,
    Settle { row: u8, how: u8 },
    Void { row: u8 },
    Retry { row: u8 },
    Import,
    Crash,
}

struct Row {
    id: Id,
    code: u8,
    state: State,
    /// The attempt on the wire.
    flying: Option<u32>,
    /// An attempt may have arrived.
    doubt: bool,
}

pub struct World {
    dir: tempfile::TempDir,
    store: Option<Store>,
    rows: BTreeMap<Seq, Row>,
}

pub fn request(code: u8) -> Request {
    let fields = format!(
        r#""reward_code":"C{code}","business_refrence":"b","branch_id":"1","date":"2026-11-23 10:00:00","timestamp":"1""#
    );
    redeemd::contract::parse(format!("{{{fields}}}").into()).unwrap()
}

pub fn claim() -> Claim {
    let (lane, after, rows_max, body_bytes_max) = ("l".to_owned(), Seq(0), 1000, 1 << 20);
    Claim {
        lane,
        prefer: Vec::new(),
        after,
        except: Vec::new(),
        not_from: None,
        rows_max,
        body_bytes_max,
    }
}

pub fn ended(how: u8) -> Ended {
    let answer = Answer { status: 400, content_type: None, body: "{\"message\":\"no\"}".into() };
    match how % 5 {
        0 => Ended::Confirmed(Answer::success()),
        1 => Ended::Declined { answer, already_used: false, strong: true },
        2 => Ended::Parked {
            answer,
            reason: ParkReason::SaysBoth { status: 400 },
            already_used: false,
        },
        3 => Ended::Clean,
        _ => Ended::Unclear,
    }
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let store = Some(Store::open(dir.path()).unwrap().0);
        Self { dir, store, rows: BTreeMap::new() }
    }

    pub fn run<O: Operation>(&mut self, op: O) -> O::Output {
        let served = BTreeMap::from([("l".to_owned(), BTreeSet::from(["b".to_owned()]))]);
        let offline = Offline {
            max_pending: 1000,
            max_pending_per_till: 1000,
            max_outage: Duration::from_secs(1),
            max_exposure: Amount(i64::MAX),
            max_per_hour_per_till: 1000,
            listed: Arc::new(served),
            ..Offline::default()
        };
        let stamp = Stamp { unix_ms: 1_800_000_000_000, trusted: true };
        let around = Surroundings::new(stamp, &offline, &|_| LaneNow::down());
        self.store.as_mut().unwrap().perform(op, &around).unwrap()
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.dir.path().join(FILE)).unwrap()
    }

    pub fn nth(&self, row: u8) -> Option<(Seq, Id)> {
        let at = usize::from(row).checked_rem(self.rows.len())?;
        self.rows.iter().nth(at).map(|(seq, row)| (*seq, row.id.clone()))
    }

    /// A repeat of the till's own is no new row; and while nobody can be asked, whatever became of
    /// what was given holds its code.
    pub fn may_take(&self, code: u8) -> bool {
        !self.rows.values().any(|row| row.code == code)
    }

    pub fn add(&mut self, taken: Taken, code: u8) {
        let row = Row { id: taken.id, code, state: State::Pending, flying: None, doubt: false };
        assert!(self.rows.insert(taken.seq, row).is_none(), "a number is given twice");
    }

    pub fn claimed(&mut self, claimed: &[Claimed]) {
        let ready = self
            .rows
            .values()
            .filter(|row| row.state == State::Pending && row.flying.is_none())
            .count();
        assert_eq!(claimed.len(), ready);
        for one in claimed {
            let row = self.rows.get_mut(&one.seq).unwrap();
            assert!(
                row.flying.replace(one.attempt).is_none()
                    && row.id == one.id
                    && row.doubt == one.used_is_ours
            );
        }
    }

    pub fn flying(&self, row: u8) -> Option<(Seq, u32)> {
        self.nth(row).and_then(|(seq, _)| Some((seq, self.rows[&seq].flying?)))
    }

    pub fn settled(&mut self, seq: Seq, ended: &Ended) {
        let row = self.rows.get_mut(&seq).unwrap();
        row.flying = None;
        (row.state, row.doubt) = match ended {
            Ended::Confirmed(_) => (State::Confirmed, row.doubt),
            Ended::Declined { .. } => (State::Declined, row.doubt),
            Ended::Parked { .. } => (State::Parked, true),
            Ended::Clean | Ended::Uncharged => (State::Pending, row.doubt),
            Ended::Unclear | Ended::Busy(_) => (State::Pending, true),
        };
    }

    /// What was declined after it had been given is closed as lost: it stays declined.
    pub fn void(&mut self, seq: Seq) -> bool {
        let row = self.rows.get_mut(&seq).unwrap();
        let open =
            row.state == State::Parked || (row.state == State::Pending && row.flying.is_none());
        row.state = if open { State::Voided } else { row.state };
        open || row.state == State::Declined
    }

    pub fn retry(&mut self, seq: Seq) -> bool {
        let row = self.rows.get_mut(&seq).unwrap();
        let may = matches!(row.state, State::Declined | State::Parked);
        if may {
            (row.state, row.doubt) = (State::Pending, row.doubt || row.state == State::Parked);
        }
        may
    }

    pub fn open_rows(&self) -> u64 {
        self.count(State::Pending) + self.count(State::Parked)
    }

    fn count(&self, state: State) -> u64 {
        self.rows.values().filter(|row| row.state == state).count() as u64
    }

    /// The process ends without a word, and another one starts.
    pub fn crash(&mut self) {
        self.store = None;
        self.store = Some(Store::open(self.dir.path()).unwrap().0);
        for row in self.rows.values_mut() {
            row.doubt |= row.flying.take().is_some();
        }
    }

    pub fn check(&self) {
        let lanes = self.store.as_ref().unwrap().counts();
        let counts = lanes.first().map_or(Counts::default(), |(_, counts)| *counts);
        assert!(counts.balance() && counts.accepted == self.rows.len() as u64, "{counts:?}");
        let numbers =
            [counts.pending, counts.confirmed, counts.declined, counts.parked, counts.voided];
        assert_eq!(numbers, State::ALL.map(|state| self.count(state)));
    }
}
