//! Kills in the middle of everything, again and again: nothing acknowledged is lost, nothing goes
//! under two keys.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Chance, Fault, Gateway, Shares, Till, Witness, moment, seed, until};
use crate::oracle::Ledger;

/// Cycles of every run; `REDEEMD_TORTURE_CYCLES` says otherwise.
const CYCLES: u64 = 120;
/// Tills that redeem at the same time.
const TILLS: usize = 4;
/// Between two looks at the books.
const SCRAPE_EVERY: Duration = Duration::from_millis(15);
/// The latest moment of a kill during a start.
const START_MS_MAX: u64 = 90;

pub(crate) const FLAKY: Shares = &[
    (Fault::LostReply, 100),
    (Fault::Reset, 60),
    (Fault::ServerError, 60),
    (Fault::Delay, 80),
    (Fault::HalfAnswer, 30),
];
const LOSING: Shares = &[(Fault::LostReply, 500)];

/// How many of each kind happened.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    terms: u64,
    start_kills: u64,
    cuts: u64,
    kills_in_outage: u64,
    kills_in_drain: u64,
}

/// Sets its flag when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Torture {
    gateway: Gateway,
    witness: Witness,
    ledger: Ledger,
    chance: Chance,
    tally: Tally,
    next: AtomicU64,
}

fn gateway(witness: &Witness) -> Gateway {
    Gateway::with()
        .lane_at("main", &witness.redeem_url(), "timeout = \"2s\"")
        .intake("reply_within = \"100ms\"")
        .offline("max_pending = 1000000")
        .start()
}

impl Torture {
    fn start() -> Self {
        let seed = seed();
        let witness = Witness::start(seed);
        Self {
            gateway: gateway(&witness),
            witness,
            ledger: Ledger::default(),
            chance: Chance::new(seed),
            tally: Tally::default(),
            next: AtomicU64::new(0),
        }
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.chance.below(many) == 0
    }

    /// Traffic, perhaps an outage, and an end of the process somewhere in it; then it runs again.
    fn cycle(&mut self) {
        let goal = 3 + self.chance.below(22);
        match self.chance.below(3) {
            0 => self.traffic(goal, |_| {}),
            1 => {
                self.cut();
                self.traffic(goal, |_| {});
                self.tally.kills_in_outage += 1;
                self.witness.restore();
            }
            _ => {
                self.cut();
                self.traffic(goal, Witness::restore);
                self.tally.kills_in_drain += 1;
            }
        }
        if self.one_in(4) {
            self.gateway
                .start_and_kill_after(Duration::from_millis(self.chance.below(START_MS_MAX)));
            self.tally.start_kills += 1;
        }
        self.gateway.start();
    }

    fn cut(&mut self) {
        self.witness.cut();
        self.tally.cuts += 1;
    }

    /// Tills redeem until the process is gone, which is after `goal` more were acknowledged and
    /// `before_the_end`.
    fn traffic(&mut self, goal: u64, before_the_end: impl Fn(&mut Witness)) {
        let (term, late) = (self.one_in(8), Duration::from_millis(self.chance.below(8)));
        let crowd = Crowd::of(&self.gateway, &mut self.chance);
        let Self { gateway, witness, ledger, next, tally, .. } = self;
        crowd.redeems(ledger, next, goal, || {
            before_the_end(witness);
            moment(late);
            if term {
                let status = gateway.terminate();
                assert!(status.success(), "{status}");
                tally.terms += 1;
            } else {
                gateway.kill9();
                tally.kills += 1;
            }
        });
    }

    fn print(&self, finding: &crate::oracle::Finding, cycles: u64, took: Duration) {
        let notes = self.witness.notes();
        let fault = |fault| notes.faults.get(&fault).copied().unwrap_or(0);
        let Tally { kills, terms, start_kills, cuts, kills_in_outage, kills_in_drain } =
            &self.tally;
        let rows: [(&str, u64); 12] = [
            ("cycles", cycles),
            ("SIGKILL in traffic", *kills),
            ("SIGKILL during a start", *start_kills),
            ("SIGTERM in traffic", *terms),
            ("line cut", *cuts),
            ("stops inside an outage", *kills_in_outage),
            ("stops at the start of a drain", *kills_in_drain),
            ("lost replies", fault(Fault::LostReply)),
            ("half answers", fault(Fault::HalfAnswer)),
            ("resets", fault(Fault::Reset)),
            ("500", fault(Fault::ServerError)),
            ("delays", fault(Fault::Delay)),
        ];
        for (name, value) in rows.into_iter().chain(finding.rows(&self.ledger, notes.told_used)) {
            println!("{name:<30} {value:>8}");
        }
        println!("{:<30} {:>7.0}s", "took", took.as_secs_f64());
    }
}

/// Tills that redeem, and somebody who looks at the books, as long as anybody answers.
pub(crate) struct Crowd {
    till: Till,
    operators: Till,
    chances: [Chance; TILLS],
}

impl Crowd {
    pub(crate) fn of(gateway: &Gateway, chance: &mut Chance) -> Self {
        let chances = [(); TILLS].map(|()| Chance::new(chance.below(u64::from(u32::MAX))));
        Self { till: gateway.till(""), operators: gateway.operators(), chances }
    }

    /// `end` is to end the process; it begins when `goal` more were acknowledged, or nobody answers
    /// any more.
    pub(crate) fn redeems(self, ledger: &Ledger, next: &AtomicU64, goal: u64, end: impl FnOnce()) {
        let Self { till, operators, chances } = self;
        let goal = ledger.acknowledged() + usize::try_from(goal).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Also when this thread fails: a scope waits for its threads.
            let _over = Over(&over);
            for chance in chances {
                let (till, over) = (till.clone(), &over);
                scope.spawn(move || redeem_until_it_is_gone(ledger, &till, next, over, chance));
            }
            let scraper = scope.spawn(|| scrape_until_it_is_gone(ledger, &operators, &over));
            until("enough is acknowledged", || {
                ledger.acknowledged() >= goal || scraper.is_finished()
            });
            end();
        });
    }
}

/// New codes, now and then one that has no answer yet, now and then one that has.
fn redeem_until_it_is_gone(
    ledger: &Ledger,
    till: &Till,
    next: &AtomicU64,
    over: &AtomicBool,
    mut chance: Chance,
) {
    while !over.load(Ordering::SeqCst) {
        let again = match chance.below(6) {
            0 => ledger.unanswered(),
            1 => ledger.some_owed(),
            _ => None,
        };
        let code = again.unwrap_or_else(|| format!("C-{:07}", next.fetch_add(1, Ordering::SeqCst)));
        if ledger.redeem(till, &code).is_none() {
            return;
        }
    }
}

fn scrape_until_it_is_gone(ledger: &Ledger, operators: &Till, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) && ledger.scrape(operators) {
        moment(SCRAPE_EVERY);
    }
}

#[test]
fn kills_in_traffic_outages_drains_and_starts_lose_nothing_and_double_nothing() {
    let cycles =
        std::env::var("REDEEMD_TORTURE_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let mut torture = Torture::start();
    let began = Instant::now();
    torture.witness.fail(FLAKY);
    for _ in 0..cycles {
        torture.cycle();
    }
    torture.witness.fail(&[]);
    let finding = torture.ledger.settle_up(&torture.gateway, &torture.witness);
    torture.print(&finding, cycles, began.elapsed());
    finding.assert_conserved();

    let (tally, notes) = (&torture.tally, torture.witness.notes());
    assert_eq!(tally.kills + tally.terms, cycles);
    let enough = [tally.kills * 2, tally.terms * 30, tally.start_kills * 10, tally.cuts * 4];
    assert!(enough.iter().all(|count| *count > cycles), "too few of a kind: {tally:?}");
    assert!(tally.kills_in_outage * 8 > cycles && tally.kills_in_drain * 8 > cycles, "{tally:?}");
    for (fault, share) in FLAKY {
        let happened = notes.faults.get(fault).copied().unwrap_or(0);
        assert!(happened * 60 > cycles * share / 10, "{fault:?} happened {happened} times");
    }
    assert!(notes.told_used * 10 > cycles, "no answer was ever lost: {}", notes.told_used);
    assert!(torture.ledger.scrapes.load(Ordering::SeqCst) > cycles, "the books were not looked at");
    assert!(finding.acknowledged as u64 > cycles * 5, "{finding:?}");
}

#[test]
fn two_sigkills_inside_an_outage_with_lost_replies_leave_every_redemption_confirmed_under_one_key()
{
    let mut torture = Torture::start();
    torture.witness.fail(LOSING);
    for _ in 0..2 {
        torture.traffic(20, |_| {});
        torture.gateway.start();
        torture.cut();
        torture.traffic(20, |_| {});
        torture.gateway.start();
        torture.witness.restore();
    }
    torture.witness.fail(&[]);
    let finding = torture.ledger.settle_up(&torture.gateway, &torture.witness);
    finding.assert_conserved();
    let notes = torture.witness.notes();
    assert!(
        notes.faults[&Fault::LostReply] > 5 && notes.told_used > 0,
        "too few replies were lost"
    );
}
