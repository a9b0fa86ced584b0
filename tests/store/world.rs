//! A store in a folder of its own, with everything around it that a test moves by hand.

use std::path::Path;
use std::time::Duration;

use redeemd::clock::Stamp;
use redeemd::limits::LaneNow;
use redeemd::redemption::{Answer, Id, Redemption, Request, RewardCode, Seq};
use redeemd::settings::Offline;
use redeemd::store::{
    Accept, Acted, Claim, Claimed, Counts, Decision, Ended, Job, NewRedemption, OpenReport,
    Operation, Prune, Pruned, Reader, Retention, Retry, Settled, Settlement, Store, StoreError,
    Surroundings, Taken, Task, TillsNow,
};
use redeemd::value::Amount;
use redeemd::verdict::ParkReason;
use tempfile::TempDir;

/// 2027-01-15: after any build's own date.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
pub(crate) const LANE: &str = "retm";

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) store: Option<Store>,
    pub(crate) report: OpenReport,
    pub(crate) stamp: Stamp,
    pub(crate) offline: Offline,
    pub(crate) lane: LaneNow,
    /// A till waits for each row.
    pub(crate) tills_wait: bool,
    /// Others were not answered either.
    pub(crate) is_silent: bool,
    /// The row whose answer the till that asks now has missed.
    pub(crate) missed: Option<Seq>,
    /// How many guards the store keeps in memory, where that is not its own number.
    pub(crate) recent_guards: Option<usize>,
}

/// A till waits for each row, or for none; and the row whose answer the till has missed.
pub(crate) struct Waiting(pub(crate) bool, pub(crate) Option<Seq>);

impl TillsNow for Waiting {
    fn is_awaited(&self, _seq: Seq) -> bool {
        self.0
    }

    fn take_undelivered(&self, _till: &str, _request: &Request, _exact: bool) -> Option<Seq> {
        self.1
    }
}

pub(crate) fn offline() -> Offline {
    let (max_exposure, max_per_hour_per_till) = (Amount(i64::MAX), u64::MAX);
    let (max_pending, max_pending_per_till) = (100_000, 100_000);
    Offline {
        max_pending,
        max_pending_per_till,
        max_exposure,
        max_per_hour_per_till,
        ..Offline::default()
    }
}

pub(crate) fn declined(message: &str) -> Ended {
    let body = format!(r#"{{"data":[],"message":"{message}"}}"#).into();
    let answer = Answer { status: 400, content_type: Some("application/json".to_owned()), body };
    Ended::Declined { answer, already_used: message.contains("used"), strong: true }
}

pub(crate) fn confirmed() -> Ended {
    Ended::Confirmed(Answer::success())
}

pub(crate) fn parked() -> Ended {
    let answer = Answer { status: 200, content_type: None, body: r#"{"errors":["odd"]}"#.into() };
    Ended::Parked { answer, reason: ParkReason::SaysBoth { status: 200 }, already_used: false }
}

pub(crate) fn request(code: &str) -> Request {
    request_at(code, "2027-01-15 10:00:00")
}

pub(crate) fn request_at(code: &str, date: &str) -> Request {
    let body = format!(
        r#"{{"reward_code":"{code}","business_refrence":"shop","branch_id":"7","date":"{date}","timestamp":"t"}}"#
    );
    Request {
        reward_code: RewardCode::new(code.to_owned()),
        business_refrence: "shop".to_owned(),
        branch_id: "7".to_owned(),
        date: date.to_owned(),
        timestamp: "t".to_owned(),
        body: body.into(),
    }
}

pub(crate) fn new(till: &str, code: &str) -> NewRedemption {
    NewRedemption {
        till: till.to_owned(),
        key: None,
        lane: LANE.to_owned(),
        request: request(code),
    }
}

pub(crate) fn accept_op(new: NewRedemption) -> Accept {
    Accept::once(new)
}

/// All that waits.
pub(crate) fn claim_op() -> Claim {
    Claim {
        lane: LANE.to_owned(),
        prefer: Vec::new(),
        after: Seq(0),
        not_from: None,
        except: Vec::new(),
        rows_max: 1000,
        body_bytes_max: 1 << 20,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_dir(tempfile::tempdir().unwrap())
    }

    pub(crate) fn with_dir(dir: TempDir) -> Self {
        let (store, report) = Store::open(dir.path()).unwrap();
        let stamp = Stamp { unix_ms: NOW_MS, trusted: true };
        let lane = LaneNow::down();
        let offline = offline();
        let (store, tills_wait, recent_guards) = (Some(store), false, None);
        let (missed, is_silent) = (None, false);
        Self {
            dir,
            store,
            report,
            stamp,
            offline,
            lane,
            tills_wait,
            is_silent,
            missed,
            recent_guards,
        }
    }

    /// A world whose store keeps so many guards in memory: few enough that they are merged often.
    pub(crate) fn with_recent_guards(rows: usize) -> Self {
        let mut world = Self::new();
        world.recent_guards = Some(rows);
        world.store().keep_recent_guards(rows);
        world
    }

    /// A world whose lane is up.
    pub(crate) fn up() -> Self {
        let mut world = Self::new();
        world.lane = LaneNow::default();
        world
    }

    /// A world whose lane is up, and whose provider tells codes apart that fold alike.
    pub(crate) fn exact() -> Self {
        let mut world = Self::up();
        world.offline.exact = std::sync::Arc::new([LANE.to_owned()].into());
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    pub(crate) fn run<O: Operation + Clone>(
        &mut self,
        ops: &[O],
    ) -> Vec<Result<O::Output, StoreError>> {
        let mut jobs: Vec<Job<O>> = ops.iter().cloned().map(Job::new).collect();
        let mut tasks: Vec<&mut dyn Task> =
            jobs.iter_mut().map(|job| job as &mut dyn Task).collect();
        self.run_tasks(&mut tasks);
        jobs.into_iter().map(Job::outcome).collect()
    }

    /// Operations of different kinds, in one transaction.
    pub(crate) fn run_tasks(&mut self, tasks: &mut [&mut dyn Task]) {
        let (lane, stamp) = (self.lane, self.stamp);
        let lane = move |_: &str| lane;
        let uptime = Duration::from_millis(u64::try_from(stamp.unix_ms.max(0)).unwrap());
        let tills = &Waiting(self.tills_wait, self.missed);
        let is_silent = self.is_silent;
        let evidence = &move |_: &str, _: Seq, _: &str| is_silent;
        let new = Surroundings::new(stamp, &self.offline, &lane);
        let around = Surroundings { uptime, tills, evidence, ..new };
        self.store.as_mut().unwrap().run(tasks, &around);
        assert!(self.counts().balance(), "{:?}", self.counts());
    }

    /// Everything that is settled leaves, as an hour later without any retention.
    pub(crate) fn prune(&mut self) -> Pruned {
        let now = self.stamp;
        self.stamp.unix_ms += 3_600_000;
        let retention =
            Retention { settled: Duration::ZERO, codes: Duration::from_secs(400 * 86_400) };
        let pruned = self.one(Prune { retention, after: Seq(0) });
        self.stamp = now;
        pruned
    }

    pub(crate) fn one<O: Operation>(&mut self, op: O) -> O::Output {
        let mut job = Job::new(op);
        self.run_tasks(&mut [&mut job]);
        job.outcome().unwrap()
    }

    pub(crate) fn decide(&mut self, new: NewRedemption) -> Decision {
        self.one(accept_op(new)).decision
    }

    pub(crate) fn take(&mut self, till: &str, code: &str) -> Taken {
        match self.decide(new(till, code)) {
            Decision::Taken(taken) => taken,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn claim(&mut self) -> Vec<Claimed> {
        self.one(claim_op())
    }

    /// An attempt ends while a till waits for its answer.
    pub(crate) fn settle(&mut self, seq: Seq, attempt: u32, ended: Ended) -> Settled {
        self.tills_wait = true;
        let settled = self.one(Settlement::new(seq, attempt, ended));
        self.tills_wait = false;
        settled
    }

    /// Takes a code and settles it at once, with the lane as it is.
    pub(crate) fn settled(&mut self, till: &str, code: &str, ended: Ended) -> Taken {
        let taken = self.take(till, code);
        let attempt = if self.lane.ask {
            1
        } else {
            self.claim().iter().find(|c| c.seq == taken.seq).unwrap().attempt
        };
        self.settle(taken.seq, attempt, ended);
        taken
    }

    pub(crate) fn retry(&mut self, id: &Id) -> Acted {
        self.one(Retry { id: id.clone(), by: "op".to_owned() })
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.path().join(redeemd::store::FILE)).unwrap()
    }

    pub(crate) fn show(&self, id: &Id) -> Redemption {
        self.reader().by_id(id).unwrap().expect("the row")
    }

    pub(crate) fn counts(&self) -> Counts {
        let lanes = self.store.as_ref().unwrap().counts();
        lanes.into_iter().map(|(_, lane)| lane).sum()
    }

    /// The process ends without a word, and another one starts.
    pub(crate) fn crash(&mut self) {
        self.store = None;
        self.open();
    }

    /// An ordered stop, and another start.
    pub(crate) fn restart(&mut self) {
        self.store.take().unwrap().close().unwrap();
        self.open();
    }

    pub(crate) fn open(&mut self) {
        let (store, report) = Store::open(self.dir.path()).unwrap();
        self.store = Some(store);
        self.report = report;
        if let Some(rows) = self.recent_guards {
            self.store().keep_recent_guards(rows);
        }
    }
}
