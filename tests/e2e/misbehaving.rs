//! Kills in the middle of everything, at a provider that misbehaves: an edge refuses in its name, a
//! firewall blocks codes, replies are lost, successes say that they failed. Nothing that it took
//! ends declined, nothing is given twice on trust, and no invented code is given while it answers
//! anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{
    BLOCKED, Chance, Fault, Gateway, INVENTED, Order, Shares, Till, Witness, eventually, moment,
    seed, until_within,
};

/// Cycles of every run; a fifth of `REDEEMD_TORTURE_CYCLES` where that is set: one takes seconds.
const CYCLES: u64 = 40;
/// So many ask at the same time.
const ASKERS: usize = 4;
/// Their tills: of so many none is refused ten codes in ten minutes, after which it would not be
/// trusted any more.
const TILLS: usize = 80;
/// How long a cycle waits at most until as many were given as it is to see.
const GIVEN_MAX: Duration = Duration::from_secs(5);
/// How long all that was given may take to be settled when nothing fails any more.
const SETTLED_MAX: Duration = Duration::from_secs(180);
/// An answer that the provider wrote so shortly before a till heard may not have been heard.
const SOON: Duration = Duration::from_millis(300);

const MISBEHAVES: Shares = &[
    (Fault::LostReply, 70),
    (Fault::Reset, 30),
    (Fault::ServerError, 40),
    (Fault::HalfAnswer, 40),
    (Fault::Delay, 30),
    (Fault::Edge, 80),
    (Fault::SoftFailure, 60),
    (Fault::InProgress, 40),
    (Fault::Denied, 20),
];

/// What a till asked and heard.
#[derive(Clone, Debug)]
struct Heard {
    code: String,
    status: u16,
    state: String,
    id: String,
    asked: Instant,
    at: Instant,
}

impl Heard {
    fn is_yes(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What all tills asked and heard.
#[derive(Default)]
struct Heards {
    all: Mutex<Vec<Heard>>,
    yes: AtomicUsize,
    next: AtomicU64,
}

impl Heards {
    /// Mostly a new code, now and then one that a firewall blocks, an invented one, or one again.
    fn code(&self, chance: &mut Chance) -> String {
        let again = |all: &[Heard], at: u64| {
            let at = usize::try_from(at).unwrap_or(0);
            all.get(at % all.len().max(1)).map(|heard| heard.code.clone())
        };
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        match chance.below(20) {
            0..=1 => Some(format!("{BLOCKED}{n}")),
            2..=3 => Some(format!("{INVENTED}{n}")),
            5..=7 => again(&self.all.lock().unwrap(), chance.below(1 << 30)),
            _ => None,
        }
        .unwrap_or_else(|| format!("CODE-{n}"))
    }

    /// As most tills ask: with a timestamp of its own each time. False where nobody answers.
    fn ask(&self, till: &Till, code: &str) -> bool {
        let asked = Instant::now();
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let order = Order::new(code).with("timestamp", (1_795_428_000 + n).to_string());
        let Ok(reply) = till.try_order(&order) else { return false };
        let header = |name| reply.header(name).unwrap_or_default().to_owned();
        let (state, id) = (header("redeemd-state"), header("redeemd-id"));
        assert!(matches!(reply.status, 200 | 400 | 404 | 503), "{code}: {reply:?}");
        let heard = Heard {
            code: code.to_owned(),
            status: reply.status,
            state,
            id,
            asked,
            at: Instant::now(),
        };
        self.yes.fetch_add(usize::from(heard.is_yes()), Ordering::SeqCst);
        self.all.lock().unwrap().push(heard);
        true
    }
}

struct Store {
    gateway: Gateway,
    witness: Witness,
    chance: Chance,
    heards: Heards,
}

impl Store {
    fn start() -> Self {
        let seed = seed();
        let witness = Witness::start(seed);
        let builder = Gateway::with()
            .lane_at("main", &witness.redeem_url(), "timeout = \"2s\"")
            .intake("reply_within = \"900ms\"")
            .offline("max_pending = 1000000\nmax_pending_per_till = 1000000");
        let builder = (0..TILLS)
            .fold(builder, |builder, n| builder.till(&format!("till-{n}"), &format!("token-{n}")));
        let (gateway, heards) = (builder.start(), Heards::default());
        Self { gateway, witness, chance: Chance::new(seed), heards }
    }

    fn cycle(&mut self) {
        let (goal, kind) = (3 + self.chance.below(15), self.chance.below(3));
        if kind > 0 {
            self.witness.cut();
        }
        let term = self.chance.below(8) == 0;
        self.traffic(usize::try_from(goal).unwrap(), |store| {
            if kind == 2 {
                store.witness.restore();
            }
            moment(Duration::from_millis(store.chance.below(400)));
            if term {
                assert!(store.gateway.terminate().success());
            } else {
                store.gateway.kill9();
            }
        });
        self.witness.restore();
        self.gateway.start();
    }

    /// Tills redeem until the process is gone; its end begins after `goal` more were given.
    fn traffic(&mut self, goal: usize, end: impl FnOnce(&mut Self)) {
        let tills: Vec<Till> =
            (0..TILLS).map(|n| self.gateway.till(&format!("till-{n}"))).collect();
        let chances = [(); ASKERS].map(|()| Chance::new(self.chance.below(1 << 31)));
        let heards = std::mem::take(&mut self.heards);
        let (over, goal) = (AtomicBool::new(false), heards.yes.load(Ordering::SeqCst) + goal);
        std::thread::scope(|scope| {
            for mut chance in chances {
                let (heards, over, tills) = (&heards, &over, &tills);
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let code = heards.code(&mut chance);
                        let till = usize::try_from(chance.below(TILLS as u64)).unwrap();
                        if !heards.ask(&tills[till], &code) {
                            return;
                        }
                    }
                });
            }
            let began = Instant::now();
            let given = || heards.yes.load(Ordering::SeqCst) >= goal || began.elapsed() > GIVEN_MAX;
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                until_within(SETTLED_MAX, "enough is given", given);
                end(self);
            }));
            over.store(true, Ordering::SeqCst);
            found.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        self.heards = heards;
    }

    /// Nothing fails any more, and a person sees to what is held and parked.
    fn settles(&mut self) {
        self.witness.fail(&[]);
        // What was blocked a dozen times would wait its own backoff.
        self.gateway.restart();
        let mut tried = BTreeSet::new();
        until_within(SETTLED_MAX, "all is settled", || {
            if self.gateway.lane("main")["cause"] == "declines" {
                self.gateway.says(&["release", "main"]);
            }
            for row in self.gateway.list("parked") {
                let id = row["id"].as_str().unwrap();
                // What is parked once more the provider does not know; or another redemption of the
                // code stands.
                let again = !tried.insert(id.to_owned());
                if again || self.gateway.command(&["retry", id]).code != Some(0) {
                    self.gateway.says(&["void", id, "--note", "the provider knows none of it"]);
                }
            }
            let books = self.gateway.counts();
            books.pending + books.parked == 0
        });
    }

    fn judges(&self) -> BTreeMap<&'static str, usize> {
        let (heards, notes) = (self.heards.all.lock().unwrap(), self.witness.notes());
        let declined = self.gateway.list("declined");
        for row in &declined {
            let (id, code) = (row["id"].as_str().unwrap(), row["reward_code"].as_str());
            let taken = notes.codes.values().any(|seen| seen.taken_by.as_deref() == Some(id));
            assert!(!taken, "{id} was taken and ends declined: {code:?}, {row}");
        }
        let mut on_trust: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for heard in heards.iter().filter(|heard| heard.is_yes()) {
            if heard.state == "pending" {
                on_trust.entry(&heard.code).or_default().insert(&heard.id);
            }
            if heard.code.starts_with(INVENTED) {
                let came = notes.codes.get(&heard.code).map_or(&[][..], |seen| &seen.came);
                let first = came.iter().find(|came| **came > heard.asked);
                let known = first.filter(|first| **first < heard.at).copied();
                let told = |since: Instant| {
                    notes.answered.iter().find(|at| **at > since && **at + SOON < heard.at)
                };
                let answered = known.and_then(told);
                assert!(answered.is_none(), "given while the provider answers: {heard:?}");
            } else {
                let taken = notes.codes.get(&heard.code).is_some_and(|seen| seen.taken == 1);
                assert!(taken, "given and never taken: {heard:?}");
            }
        }
        for (code, ids) in &on_trust {
            assert_eq!(ids.len(), 1, "{code} was given twice on trust: {ids:?}");
        }
        let lost = |row: &&Value| row["lost"] == true;
        BTreeMap::from([
            ("asked", heards.len()),
            ("given on trust", on_trust.len()),
            ("invented, given", on_trust.keys().filter(|code| code.starts_with(INVENTED)).count()),
            ("refused at a till", heards.iter().filter(|heard| heard.status == 503).count()),
            ("declined", declined.len()),
            ("declined after the fact", declined.iter().filter(lost).count()),
            ("told used", usize::try_from(notes.told_used).unwrap()),
        ])
    }
}

#[test]
fn kills_in_traffic_at_a_provider_that_misbehaves_decline_nothing_it_took_and_give_nothing_twice() {
    let cycles = std::env::var("REDEEMD_TORTURE_CYCLES")
        .map_or(CYCLES, |text| text.parse::<u64>().unwrap() / 5);
    let mut store = Store::start();
    store.witness.fail(MISBEHAVES);
    for _ in 0..cycles {
        store.cycle();
    }
    store.settles();
    let tally = store.judges();
    for (what, count) in &tally {
        println!("{what:<30} {count:>8}");
    }
    let notes = store.witness.notes();
    for (fault, _) in MISBEHAVES {
        let happened = notes.faults.get(fault).copied().unwrap_or(0);
        println!("{:<30} {happened:>8}", format!("{fault:?}"));
        assert!(happened * 20 > cycles, "{fault:?} happened {happened} times");
    }
    let enough = |what: &str, each: usize| tally[what] * each > usize::try_from(cycles).unwrap();
    assert!(enough("given on trust", 1) && enough("told used", 4), "{tally:?}");
    assert!(enough("refused at a till", 4), "{tally:?}");
    drop(notes);
    let flows = || (store.gateway.till("till-0").redeem("FRESH").status == 200).then_some(());
    eventually("a fresh redemption flows", flows);
}
