//! A lane as everybody sees it: its gate for the writer, its mailboxes for the forwarder, its
//! status for operators.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::whole_ms;
use crate::limits::LaneNow;
use crate::link::{Cause, Heard};
use crate::redemption::{Fingerprint, Seq};
use crate::settings::{self, Forward, OneTill, Provider, Settings};
use crate::store::Claimed;
use crate::trust::{EvidenceTerms, Trust, TrustEvidence};
use crate::verdict::{self, Outcome, Phrases, Rules};

/// How many live redemptions may wait for a slot; further ones are left to the backlog.
pub const LIVE_ROWS_MAX: usize = 1024;
/// How many operators' commands may wait.
const COMMANDS_MAX: usize = 16;

/// What a lane's forwarder publishes for status, metrics and the console.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaneStatus {
    /// The provider's name.
    pub name: String,
    /// `up`, `down` or `held`, as the drain sees it: up where nothing is left to try it with.
    pub link: &'static str,
    /// The same as anybody has seen it: what was down when it was last tried is so until it is
    /// answered.
    pub seen: &'static str,
    /// The cause's short word (`link::Cause`); `None` while it is seen up, as of the next ones.
    pub cause: Option<String>,
    /// What was seen; `None` while up.
    pub detail: Option<String>,
    /// The cause's word of the hold that only a person ends; it may stand behind `settings`.
    pub hold: Option<String>,
    /// It is held for declines, alone or behind the cause that is told.
    pub held_for_declines: bool,
    /// RFC 3339, UTC: since when it is not up.
    pub since: Option<String>,
    /// Rows pending.
    pub pending: u64,
    /// The drain's window now.
    pub window: u32,
    /// Attempts on the wire.
    pub in_flight: u32,
    /// An attempt was answered, or failed, since the start and since the credential is another;
    /// until then nobody knows where the link stands.
    pub tried: bool,
    /// `running`, `waiting` or `held`.
    pub drain: &'static str,
    /// How far tills are trusted: `never`, `unanswered` (each is asked) or `at_once`.
    pub trust: &'static str,
    /// The provider answers redemptions, and no check is answered at its `check_url`: a check's
    /// silence is no evidence until one is.
    pub checks_deaf: bool,
    /// Redemptions that wait alone, since they are to blame themselves.
    pub suspects: Vec<String>,
    /// How long the provider takes for what tills wait for; `None` before [`Answers::MIN`] answers.
    pub answers: Option<AnswerTimes>,
    /// Seconds until the provider's `Retry-After` is over, if it set one.
    pub waiting_s: Option<u64>,
    /// Attempts ended since start, by outcome word (`confirmed`, `declined`, `parked`,
    /// `credential`, `wait`, `row_fault`, `reset`, `not_the_provider`, and the phases of an
    /// attempt).
    pub attempts: std::collections::BTreeMap<&'static str, u64>,
}

/// What an operator may tell a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneCommand {
    /// Probe at once.
    Flush,
    /// Hold the lane for a person; survives a restart.
    Hold {
        /// The operator.
        by: String,
        /// Why.
        note: String,
        /// Tills are trusted meanwhile, under the offline limits.
        trust: bool,
    },
    /// Let a held lane go on.
    Release {
        /// The operator.
        by: String,
    },
    /// Answer when the lane's loop comes round: for the watchdog.
    Ping,
}

/// What the writer reads of a lane inside the transaction.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The provider can be asked: live redemptions are handed to the lane.
    pub ask: bool,
    /// How far tills are trusted.
    pub trust: Trust,
    /// Why the lane is not up.
    pub cause: Option<Cause>,
    /// How much of `max_outage` was used at that moment, and how long the outage that goes on had
    /// lasted.
    pub outage: (Instant, Duration, Option<Duration>),
    /// When a 429's wait is over.
    pub limited_until: Option<Instant>,
    /// What speaks for trusting a till, and the moment that its times are counted from.
    pub evidence: (Instant, Arc<TrustEvidence>),
}

impl Gate {
    /// A lane that is up, of which nothing was seen yet.
    #[must_use]
    pub fn up(evidence: TrustEvidence) -> Self {
        let now = Instant::now();
        Self {
            ask: true,
            trust: Trust::Unanswered,
            cause: None,
            outage: (now, Duration::ZERO, None),
            limited_until: None,
            evidence: (now, Arc::new(evidence)),
        }
    }
}

/// The provider's own times, of what tills waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerTimes {
    /// Half came within so long.
    pub p50_ms: u64,
    /// Of twenty all but one came within so long.
    pub p95_ms: u64,
    /// So many came later than `reply_within`.
    pub late: usize,
    /// Of so many.
    pub of: usize,
}

/// The last answers to what tills waited for, in bounded space.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(VecDeque<(Instant, Duration)>);

impl Answers {
    /// So many are remembered.
    pub(super) const MAX: usize = 1000;
    /// For so long.
    pub(super) const KEPT: Duration = Duration::from_secs(24 * 3600);
    /// Fewer tell nothing.
    pub(super) const MIN: usize = 20;

    /// One more.
    pub(super) fn note(&mut self, now: Instant, took: Duration) {
        if self.0.len() == Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, took));
    }

    /// What they tell.
    #[must_use]
    pub(super) fn times(&self, now: Instant, reply_within: Duration) -> Option<AnswerTimes> {
        let fresh = |at: &Instant| now.saturating_duration_since(*at) <= Self::KEPT;
        let mut took: Vec<Duration> =
            self.0.iter().filter(|(at, _)| fresh(at)).map(|(_, took)| *took).collect();
        took.sort_unstable();
        let part =
            |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1));
        let millis = |took: &Duration| whole_ms(*took);
        let late = took.iter().filter(|took| **took > reply_within).count();
        let (p50_ms, p95_ms) = (part(50).map(millis)?, part(95).map(millis)?);
        (took.len() >= Self::MIN).then_some(AnswerTimes { p50_ms, p95_ms, late, of: took.len() })
    }
}

/// A command and where its receipt goes.
pub type CommandWithReceipt = (LaneCommand, oneshot::Sender<()>);

/// What a lane needs of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSettings {
    /// Its provider.
    pub provider: Provider,
    /// Backoff, window and spread.
    pub forward: Forward,
    /// How long tills wait for the provider's own answer.
    pub reply_within: Duration,
    /// Whether a till's own unanswered redemption is evidence enough.
    pub one_till: OneTill,
    /// What is wrong with a file that the provider's settings name: the lane is held from the
    /// start, cause `settings`, and sends nothing.
    pub unusable: Option<String>,
    /// Of what its transport read from the files that the provider's settings name.
    pub has_read: Option<Fingerprint>,
}

impl LaneSettings {
    /// Those of one provider.
    #[must_use]
    pub fn of(provider: &Provider, settings: &Settings) -> Self {
        Self {
            provider: provider.clone(),
            forward: settings.forward.clone(),
            reply_within: settings.intake.reply_within,
            one_till: settings.offline.one_till,
            unusable: None,
            has_read: None,
        }
    }

    /// What they say about reading the provider's answers.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let provider = &self.provider;
        Rules {
            declined_status: provider.declined_status.clone(),
            already_used: Phrases::new(&provider.already_used),
            in_progress: Phrases::new(&provider.in_progress),
            success: match provider.success {
                settings::SuccessSetting::Lenient => verdict::Success::Lenient,
                settings::SuccessSetting::Contract => verdict::Success::Contract,
            },
            weak_declines: provider.weak_declines,
        }
    }

    /// What they say about evidence.
    #[must_use]
    pub fn terms(&self) -> EvidenceTerms {
        EvidenceTerms {
            reply_within: self.reply_within,
            recent: self.forward.retry_max + self.provider.timeout,
            checks: self.provider.check_url.is_some() && self.provider.canary,
            one_till: self.one_till == OneTill::Trust,
        }
    }
}

/// One lane.
#[derive(Debug)]
pub struct Lane {
    name: String,
    settings: RwLock<Arc<LaneSettings>>,
    gate: Mutex<Gate>,
    status: Mutex<LaneStatus>,
    answers: Mutex<Answers>,
    live: mpsc::Sender<Claimed>,
    commands: mpsc::Sender<CommandWithReceipt>,
    newest: AtomicI64,
    wants_signal: AtomicBool,
    wake: Notify,
    changed: Notify,
    /// A till's check was answered, and whether by strong evidence; what was not yet seen.
    checks: watch::Sender<Option<bool>>,
    /// Who follows the queue is told of what operators see.
    changes: OnceLock<watch::Sender<u64>>,
}

/// The forwarder's ends of a lane's mailboxes.
#[derive(Debug)]
pub struct Mailboxes {
    /// Rows whose tills wait.
    pub live: mpsc::Receiver<Claimed>,
    /// Operators' commands.
    pub commands: mpsc::Receiver<CommandWithReceipt>,
}

impl Lane {
    /// A lane, and what its forwarder listens to.
    #[must_use]
    pub fn new(settings: LaneSettings) -> (Arc<Self>, Mailboxes) {
        let (live, live_rows) = mpsc::channel(LIVE_ROWS_MAX);
        let (commands, told) = mpsc::channel(COMMANDS_MAX);
        let name = settings.provider.name.clone();
        let (drain, trust) = ("running", Trust::Unanswered.as_str());
        let status = LaneStatus {
            name: name.clone(),
            link: "up",
            seen: "up",
            window: 1,
            drain,
            trust,
            ..LaneStatus::default()
        };
        let gate = Gate::up(TrustEvidence::new(settings.terms()));
        let lane = Self {
            name,
            settings: RwLock::new(Arc::new(settings)),
            gate: Mutex::new(gate),
            status: Mutex::new(status),
            answers: Mutex::default(),
            live,
            commands,
            newest: AtomicI64::new(0),
            wants_signal: AtomicBool::new(false),
            wake: Notify::new(),
            changed: Notify::new(),
            checks: watch::Sender::new(None),
            changes: OnceLock::new(),
        };
        (Arc::new(lane), Mailboxes { live: live_rows, commands: told })
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings as last loaded.
    #[must_use]
    pub fn settings(&self) -> Arc<LaneSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New settings for the same provider; its forwarder is told.
    pub fn reconfigure(&self, settings: LaneSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.changed.notify_one();
    }

    /// Returns when the provider's settings changed.
    pub async fn reconfigured(&self) {
        self.changed.notified().await;
    }

    /// What the forwarder knows of the link.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate;
    }

    /// The lane as the transaction that decides sees it; the store knows what is pending better.
    #[must_use]
    pub fn now(&self, now: Instant) -> LaneNow {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, used, present) = gate.outage;
        let since = present.map_or(Duration::ZERO, |_| now.saturating_duration_since(at));
        let left = gate.limited_until.map(|until| until.saturating_duration_since(now));
        LaneNow {
            ask: gate.ask,
            trust: gate.trust,
            live: gate.ask,
            cause: gate.cause,
            outage: used + since,
            present: present.map(|present| present + since),
            retry_after_s: left.filter(|left| !left.is_zero()).map(|left| left.as_secs().max(1)),
            ..LaneNow::default()
        }
    }

    /// Whether there is evidence from others for a row of `till` whose time is over.
    #[must_use]
    pub fn has_evidence(&self, seq: Seq, till: &str) -> bool {
        let (epoch, evidence) =
            self.gate.lock().unwrap_or_else(PoisonError::into_inner).evidence.clone();
        evidence.holds(seq, till, epoch.elapsed())
    }

    /// The provider answered something that a till waited for.
    pub fn note_answer(&self, took: Duration) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).note(Instant::now(), took);
    }

    /// Changes what operators see.
    pub fn publish(&self, change: impl FnOnce(&mut LaneStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(changes) = self.changes.get() {
            changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        }
    }

    /// Whoever follows the queue is told of this lane's changes from now on.
    pub(super) fn tells(&self, changes: watch::Sender<u64>) {
        // A lane that stays over a reload tells them already.
        self.changes.get_or_init(|| changes);
    }

    /// What operators see.
    #[must_use]
    pub fn status(&self) -> LaneStatus {
        let reply_within = self.settings().reply_within;
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        LaneStatus { answers: answers.times(Instant::now(), reply_within), ..status }
    }

    /// Hands over a row whose till waits; gives it back when there is no room.
    ///
    /// # Errors
    /// The row itself.
    #[expect(clippy::result_large_err, reason = "the row goes back to where it came from")]
    pub fn hand_over(&self, row: Claimed) -> Result<(), Claimed> {
        self.live.try_send(row).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(row) | mpsc::error::TrySendError::Closed(row) => row,
        })
    }

    /// A row waits for this lane that was not handed over; 0: any may.
    pub fn signal(&self, seq: Seq) {
        if seq > Seq(0) {
            self.newest.store(seq.0, Ordering::Release);
        }
        if self.wants_signal.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// From now on the next signal wakes the forwarder. To be called before it looks whether there
    /// is something to do.
    pub fn want_signal(&self) {
        self.wants_signal.store(true, Ordering::Release);
    }

    /// Returns at the next signal; the newest row that waits and was not told before, or 0.
    pub async fn signalled(&self) -> Seq {
        self.wake.notified().await;
        Seq(self.newest.swap(0, Ordering::AcqRel))
    }

    /// A till's check ended. One that the provider spoke about tells that the link is up.
    pub fn hear_check(&self, outcome: &Outcome) {
        let verdict = verdict::judge(outcome, &self.settings().rules());
        if let Some(strong) = Heard::from(&verdict).speaks() {
            self.checks.send_replace(Some(strong));
        }
    }

    /// Returns when a till's check was answered: whether by strong evidence.
    pub async fn check_heard(&self) -> bool {
        let mut checks = self.checks.subscribe();
        match checks.wait_for(Option::is_some).await.map(|heard| heard.unwrap_or_default()) {
            Ok(strong) => {
                self.checks.send_replace(None);
                strong
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// Tells the forwarder something and waits until it has taken it, and has written it down where
    /// it outlives a restart and the store takes it; false when the lane has stopped.
    pub async fn tell(&self, command: LaneCommand) -> bool {
        let (receipt, taken) = oneshot::channel();
        self.commands.send((command, receipt)).await.is_ok() && taken.await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue;
    use crate::settings::{Auth, SecretSource};
    use crate::store::Store;

    #[tokio::test]
    async fn a_lane_that_does_not_come_round_lets_the_watchdog_wait_and_one_that_ended_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let clock = crate::clock::Clock::manual(0, true);
        let queue = Queue::start(store, clock, settings::Offline::default()).unwrap();
        assert!(queue.ping().await.is_ok(), "the writer comes round");
        let auth = Auth::Token(SecretSource::Credential("c".to_owned()));
        let provider = Provider::new("main", "https://svc.retm.sa/redeem", auth);
        let (lane, mut mail) = Lane::new(LaneSettings {
            provider,
            forward: Forward {
                max_in_flight: 1,
                retry_min: Duration::ZERO,
                retry_max: Duration::ZERO,
                reconnect_spread: Duration::ZERO,
            },
            reply_within: Duration::ZERO,
            one_till: OneTill::Refuse,
            unusable: None,
            has_read: None,
        });
        queue.set_lanes(vec![lane]).await.unwrap();
        for comes_round in [true, false] {
            let handle = queue.clone();
            let mut asked = tokio::task::JoinSet::new();
            asked.spawn(async move { handle.ping().await });
            let (command, receipt) = mail.commands.recv().await.unwrap();
            // The writer alone is no sign of life.
            let writer = queue.memory("main").await;
            let is_open = asked.try_join_next().is_none();
            assert!(command == LaneCommand::Ping && writer.is_ok() && is_open);
            if comes_round {
                receipt.send(()).unwrap();
            } else {
                drop(receipt);
            }
            let heard = asked.join_next().await.unwrap().unwrap();
            assert_eq!(heard.is_ok(), comes_round);
        }
        drop(mail);
        assert!(queue.ping().await.is_err());
        queue.stop().await;
    }

    #[test]
    fn the_providers_times_are_told_from_twenty_answers_on_and_for_a_day() {
        let (now, mut answers) = (Instant::now(), Answers::default());
        let within = Duration::from_millis(1900);
        for n in 1..=19 {
            answers.note(now, Duration::from_millis(n * 100));
        }
        assert_eq!(answers.times(now, within), None);
        answers.note(now, Duration::from_millis(2000));
        let told = AnswerTimes { p50_ms: 1000, p95_ms: 1900, late: 1, of: 20 };
        assert_eq!(answers.times(now, within), Some(told));
        assert_eq!(answers.times(now + Answers::KEPT + Duration::from_secs(1), within), None);
        for _ in 0..5000 {
            answers.note(now, within);
        }
        assert_eq!(
            answers.times(now, within).map(|told| (told.late, told.of)),
            Some((0, Answers::MAX))
        );
    }
}
