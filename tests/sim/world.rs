//! A store's months: tills, outages, moods of providers, clocks, operators, and the ends of
//! processes, all by one seed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::Method;
use redeemd::clock::Clock;
use redeemd::link::Dice;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::house::{self, House, MAX_OUTAGE, MAX_PENDING};
use crate::model::{Ask, Fate, Model};
use crate::provider::{Line, Mood, Provider, Terms};
use crate::risk;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// The true time when it all begins: 2026-11-25T08:00:00Z.
pub(crate) const BEGAN_MS: i64 = 1_795_593_600_000;
/// When nothing disturbs for so long, nothing is pending: the longest `Retry-After` here, and a
/// row's longest backoff.
pub(crate) const CALM: Duration = Duration::from_secs(90 * 60);
/// So often an operator comes by at the end, at most. A visit sees to fifty parked redemptions, and
/// one that is sent again and refused again is parked until the next.
const LAST_VISITS: u32 = 10;
/// A code is asked for by other tills, and each asks again, for so long: in all less long than
/// settled rows are kept.
pub(crate) const ASKED_AGAIN: Duration = Duration::from_secs(34 * 3600);
/// What a crash may cost of the knowledge how long an outage has lasted: this, and a sixtieth of
/// it.
const FORGOTTEN: Duration = Duration::from_secs(150);

const NO_LIMITS_ON_RISK: &str =
    "max_exposure = \"1000000000\"\nmax_per_hour_per_till = 100000000\n";

/// In memory where there is such a place: no sync is what these tests are about.
pub(crate) fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a folder")
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("no ages")
}

/// How a process' life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Stop,
    /// Killed at some moment.
    Kill,
    /// Killed so many steps of the scheduler after requests have come.
    Amid(u64),
    /// Killed when so many requests have reached a provider.
    Trap(u32),
}

/// What does not outlive a process, for the checks of waits and limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outage {
    /// For how long processes have shown the present outage.
    pub(crate) seen: Duration,
    pub(crate) seen_until: Duration,
    pub(crate) is_down: bool,
    /// Its rush of customers has come.
    pub(crate) rushed: bool,
    pub(crate) spoke_at: Duration,
    /// Attempts that the present line was allowed to see.
    pub(crate) allowed: u64,
    pub(crate) line_since: Duration,
    /// For how long the box has slept.
    pub(crate) slept: Duration,
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) dice: Dice,
    pub(crate) died: Arc<Notify>,
    pub(crate) providers: [Provider; 2],
    pub(crate) model: Arc<Mutex<Model>>,
    /// World time when this life began, and the runtime's.
    pub(crate) before: Duration,
    pub(crate) began: Option<Instant>,
    /// World time when the last life ended.
    pub(crate) ended_at: Duration,
    pub(crate) wall_offset_ms: i64,
    pub(crate) trusted: bool,
    pub(crate) boots: u64,
    pub(crate) on_for: Duration,
    pub(crate) line_until: Duration,
    pub(crate) mood_until: [Duration; 2],
    pub(crate) operator_at: Duration,
    pub(crate) calm_since: Duration,
    pub(crate) sent_at: Duration,
    pub(crate) outages: [Outage; 2],
    pub(crate) codes: u64,
    pub(crate) accepted_least: u64,
    pub(crate) trace: DefaultHasher,
    /// The store has rules, and its tills check codes.
    pub(crate) has_rules: bool,
    /// Codes that were checked and not yet redeemed, with their lanes.
    pub(crate) checked: Vec<(usize, String)>,
}

/// What a run comes to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: BTreeMap<String, u64>,
    /// Of all that happened and when.
    pub(crate) trace: u64,
}

impl World {
    pub(crate) fn new(seed: u64, has_rules: bool) -> Self {
        let died = Arc::new(Notify::new());
        let terms: Option<Terms> = if has_rules { Some(risk::terms) } else { None };
        let providers =
            [Provider::new(seed ^ 1, &died, terms), Provider::new(seed ^ 2, &died, None)];
        Self {
            dir: folder(),
            dice: Dice::new(seed),
            died,
            providers,
            model: Arc::default(),
            before: Duration::ZERO,
            began: None,
            ended_at: Duration::ZERO,
            wall_offset_ms: 0,
            trusted: true,
            boots: 1,
            on_for: Duration::ZERO,
            line_until: HOUR,
            mood_until: [HOUR; 2],
            operator_at: HOUR,
            calm_since: Duration::ZERO,
            sent_at: Duration::ZERO,
            outages: [Outage::default(); 2],
            codes: 0,
            accepted_least: 0,
            trace: DefaultHasher::new(),
            has_rules,
            checked: Vec::new(),
        }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic before this one")
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.model().count(what);
    }

    pub(crate) fn now(&self) -> Duration {
        self.before + self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.dice.bits() % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// A time of this mean, as events come that know nothing of each other.
    pub(crate) fn about(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.dice.fraction()).ln()).max(Duration::from_millis(1))
    }

    pub(crate) fn note(&mut self, what: &impl Hash) {
        (self.now(), what).hash(&mut self.trace);
    }

    /// Lives for so many days, and then until everything is settled.
    pub(crate) fn run(mut self, days: u32) -> Report {
        let end = DAY * days;
        while self.now() < end {
            let until = (self.now() + self.about(HOUR * 5)).min(end);
            let how = match self.below(10) {
                0..=1 => End::Stop,
                2..=3 => End::Kill,
                4..=6 => End::Amid(self.below(24)),
                _ => End::Trap(u32::try_from(self.below(12)).expect("a few")),
            };
            self.process(until, how);
            self.off();
        }
        self.settle_up()
    }

    /// One process from its start to its end.
    fn process(&mut self, until: Duration, how: End) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let (house, clock) = self.begin().await;
            let mut asked = JoinSet::new();
            let died = Arc::clone(&self.died);
            let killed = tokio::select! {
                biased;
                () = died.notified() => true,
                () = self.days(&house, &clock, &mut asked, (until, how)) => false,
            };
            while let Some(ended) = asked.try_join_next() {
                ended.expect("no answer was wrong");
            }
            if how == End::Stop && !killed {
                self.stop(house, asked).await;
            }
            self.end(how);
        });
    }

    async fn begin(&mut self) -> (House, Clock) {
        // A trap that was sprung when the process had ended anyway.
        drop(timeout(Duration::ZERO, self.died.notified()).await);
        self.began = Some(Instant::now());
        let clock = Clock::simulated(&format!("boot-{}", self.boots), self.on_for);
        clock.set(BEGAN_MS + millis(self.before) + self.wall_offset_ms, self.trusted);
        for provider in &self.providers {
            provider.restart(self.ended_at);
            provider.begin(self.before);
        }
        for outage in &mut self.outages {
            outage.seen = outage.seen.saturating_sub(outage.seen / 50 + FORGOTTEN);
            (outage.seen_until, outage.is_down) = (self.before, false);
            outage.allowed += 60;
        }
        self.calm_since = self.calm_since.max(self.before);
        let seed = self.dice.bits();
        self.count("starts");
        let limits = if self.has_rules { risk::settings() } else { NO_LIMITS_ON_RISK.to_owned() };
        let offline = format!(
            "max_pending = {MAX_PENDING}\nmax_outage = \"{}s\"\n{limits}",
            MAX_OUTAGE.as_secs()
        );
        let settings = house::settings(self.dir.path(), &offline);
        (House::open(settings, &clock, seed, &self.providers).await, clock)
    }

    fn disk_is_well() -> bool {
        std::env::var_os("SIM_DISK").is_none_or(|flag| !Path::new(&flag).exists())
    }

    /// From now on the disk takes what is written, or nothing.
    pub(crate) fn disk_writes(it_does: bool) {
        let flag = PathBuf::from(std::env::var_os("SIM_DISK").expect("where the shim looks"));
        let turned = if it_does { std::fs::remove_file(flag) } else { std::fs::write(flag, "") };
        turned.expect("a disk that works");
    }

    fn end(&mut self, how: End) {
        if !Self::disk_is_well() {
            Self::disk_writes(true);
        }
        let lived = self.now().saturating_sub(self.before);
        self.count(match how {
            End::Stop => "ordered stops",
            End::Kill => "kills at some moment",
            End::Amid(_) => "kills amid requests",
            End::Trap(_) => "kills when a request had arrived",
        });
        self.on_for += lived;
        self.before += lived;
        self.ended_at = self.before;
        self.model().risk.ended(self.before);
        self.began = None;
        self.note(&format!("{how:?}"));
    }

    async fn stop(&mut self, house: House, mut asked: JoinSet<()>) {
        if self.one_in(2) {
            while let Some(ended) = asked.join_next().await {
                ended.expect("no answer was wrong");
            }
        }
        house.stop().await;
    }

    /// The time between two processes: a moment, or a box that was off.
    fn off(&mut self) {
        let reboots = self.one_in(3);
        let off = if reboots { self.about(HOUR) + 20 * SECOND } else { self.about(5 * SECOND) };
        self.before += off;
        if !reboots {
            self.on_for += off;
            return;
        }
        self.boots += 1;
        self.on_for = 20 * SECOND;
        if self.one_in(2) {
            self.trusted = false;
            self.wall_offset_ms = 20_000 - BEGAN_MS - millis(self.before);
            self.count("boots in 1970");
        } else {
            self.count("boots with a clock");
        }
    }

    /// Everything is well at last: what has no answer is asked again, and all comes to its end.
    fn settle_up(mut self) -> Report {
        for lane in 0..2 {
            self.judge_attempts(lane);
            self.providers[lane].set_line(Line::Up);
            self.providers[lane].set_mood(Mood::Well);
            self.providers[lane].renew_credential();
        }
        (self.wall_offset_ms, self.trusted, self.calm_since) = (0, true, self.now());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (house, _clock) = self.begin().await;
            if self.has_rules {
                let body = r#"{"on":true}"#;
                let heard = house.operator_says(Method::POST, "/api/v1/trust", body).await;
                assert_eq!(heard.status, 200, "{heard:?}");
            }
            sleep(CALM).await;
            let open: Vec<usize> = {
                let model = self.model();
                let is_open =
                    |ask: &Ask| ask.fate == Fate::Open && self.now() < ask.at + ASKED_AGAIN;
                let asks = model.asks.iter().enumerate().filter(|(_, ask)| is_open(ask));
                asks.map(|(n, _)| n).collect()
            };
            for n in open {
                self.asking(&house, n).await;
            }
            let (mut visits, mut parked) = (0, u64::MAX);
            while visits < 3 || parked > 0 && visits < LAST_VISITS {
                visits += 1;
                self.operator_at = Duration::ZERO;
                self.visit(&house).await;
                sleep(CALM + MINUTE).await;
                self.look_at_books(&house).await;
                let status = house.operator(Method::GET, "/api/v1/status").await;
                parked = status.body["counts"]["parked"].as_u64().expect("a count");
            }
            self.last_look(&house).await;
            if self.has_rules {
                self.nothing_is_at_risk(&house).await;
            }
            house.stop().await;
        });
        self.model().assert_conserved(&self.providers);
        self.report()
    }

    /// The provider has all, the books say so, and a fresh redemption flows.
    async fn last_look(&mut self, house: &House) {
        let fresh = self.model().ask(0, 0, "FRESH", Duration::ZERO);
        self.asking(house, fresh).await;
        sleep(MINUTE).await;
        let provider = self.providers[0].clone();
        assert!(provider.state().codes["FRESH"].taken_by.is_some(), "a fresh redemption flows");
        let status = house.operator(Method::GET, "/api/v1/status").await;
        let of = |state: &str| status.body["counts"][state].as_u64().expect("a count");
        assert_eq!((of("pending"), of("parked")), (0, 0), "{status:?}");
        let sum = |what: &dyn Fn(&Provider) -> usize| {
            self.providers.iter().map(what).sum::<usize>() as u64
        };
        let taken =
            sum(&|one| one.state().codes.values().filter(|seen| seen.taken_by.is_some()).count());
        // "Already used" after an answer that was lost counts as ours, although another store's was
        // the first.
        let spent = sum(&|one| one.state().spent.len());
        assert!(
            (taken..=taken + spent).contains(&of("confirmed")),
            "{taken} were taken: {status:?}"
        );
        assert!(of("pending") <= MAX_PENDING);
    }

    fn report(self) -> Report {
        let mut tally: BTreeMap<String, u64> =
            self.model().tally.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
        for provider in &self.providers {
            for (what, count) in &provider.state().tally {
                *tally.entry(format!("provider: {what}")).or_default() += count;
            }
        }
        tally.insert("days".to_owned(), self.now().as_secs() / DAY.as_secs());
        let traces = (self.trace.finish(), self.providers.each_ref().map(Provider::trace));
        let mut trace = DefaultHasher::new();
        traces.hash(&mut trace);
        Report { tally, trace: trace.finish() }
    }
}
