//! Pure: a lane's state machine: backoff, rotating probes, spread, slow start.
//!
//! Time is a [`Duration`] since any fixed moment of a monotonic clock. Nothing here waits, sends or logs: the forwarder
//! asks what may be done and says what happened.

mod backoff;
mod cause;
mod suspects;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use backoff::{Dice, backoff};
pub use cause::Cause;
pub use suspects::Suspects;

use crate::redemption::Seq;
use crate::verdict::{Phase as Road, Verdict};

/// What the settings say about a link.
#[derive(Clone, Debug)]
pub struct Config {
    /// The first backoff step.
    pub retry_min: Duration,
    /// The longest wait between two probes.
    pub retry_max: Duration,
    /// The widest window.
    pub max_in_flight: u32,
    /// How far a fleet's drains are spread.
    pub reconnect_spread: Duration,
    /// This gateway's place in the spread, `0.0..1.0`.
    pub place: f64,
}

/// A demand probe comes at most this often.
pub const DEMAND_EVERY: Duration = Duration::from_secs(2);
/// A lane held for its credential is probed this often.
pub const CREDENTIAL_PROBE_EVERY: Duration = Duration::from_secs(60);
/// So many different rows in a row with a provider's fault, or a reset, take the link down.
pub const FAULTS_IN_A_ROW: usize = 3;
/// From so many alike declines on, one attempt at a time.
pub const DECLINES_ALONE: usize = 3;
/// So many alike declines hold the lane.
pub const DECLINES_HOLD: usize = 10;
/// The end of an outage that a held lane hears of is kept at once if the outage was so long; a shorter one costs
/// nobody anything when a crash makes it go on.
const OUTAGE_WORTH_KEEPING: Duration = Duration::from_secs(1);

/// Where the link stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Attempts are made as the window allows.
    Up,
    /// Only probes are sent.
    Down(Why),
    /// Nothing is sent, but for the slow probe of a credential.
    Held(Why),
}

/// Why, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The cause.
    pub cause: Cause,
    /// What was seen, for people.
    pub detail: String,
    /// Since when it is not up, on the link's clock.
    pub since: Duration,
}

/// Attempts on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flying {
    /// Of the backlog, probes included.
    pub backlog: u32,
    /// Of live traffic.
    pub live: u32,
}

/// An attempt that ended.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// Whose.
    pub seq: Seq,
    /// When it was sent, on the link's clock.
    pub sent: Duration,
    /// What its end means. An "already used" that our own earlier attempt explains is told as `Confirmed`.
    pub verdict: &'a Verdict,
    /// What was seen, for the cause.
    pub detail: &'a str,
    /// The row had no provider's fault and no reset before.
    pub first_fault: bool,
    /// The row is suspect: a road fault of it says nothing about the road.
    pub suspect: bool,
}

/// What else happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// A redemption was accepted while the lane is not up.
    Demand,
    /// Carrier, address or route changed.
    Network,
    /// A reload or an operator's flush.
    Flush,
    /// The credential could be worth another try.
    CredentialChanged,
    /// An operator lets it go on.
    Release,
}

/// What the forwarder has to do after an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Pooled connections are worth nothing now.
    pub drop_pool: bool,
    /// Rows that were claimed and not sent lose their claim.
    pub unclaim: bool,
    /// The phase or its cause changed: publish, persist, log.
    pub changed: bool,
}

/// The state machine of one lane.
#[derive(Clone, Debug)]
pub struct Link {
    config: Config,
    dice: Dice,
    phase: Phase,
    window: u32,
    /// Below it the window doubles, above it it grows by one a round trip.
    threshold: u32,
    credits: u32,
    probe: Option<Seq>,
    probe_at: Duration,
    /// When something last happened that makes what was sent before say nothing about the road now.
    nudged_at: Option<Duration>,
    failures: u32,
    demand_last: Option<Duration>,
    demand_at: Option<Duration>,
    wait_until: Option<Duration>,
    wait_steps: u32,
    backlog_from: Duration,
    faults: Vec<Seq>,
    /// When a connection was last seen to break.
    broke_at: Option<Duration>,
    /// What the last declines said alike, and which rows they were.
    declines: Option<(String, Vec<Seq>)>,
    unproven: bool,
    carried: Duration,
    /// When the provider last spoke in a lane that stayed held.
    heard_at: Duration,
}

impl Link {
    /// A link at start: up with window 1 until an attempt fails. `carried` is how long the outage had lasted that the
    /// last process did not see the end of.
    #[must_use]
    pub fn new(config: Config, seed: u64, carried: Duration) -> Self {
        Self {
            threshold: config.max_in_flight,
            config,
            dice: Dice::new(seed),
            phase: Phase::Up,
            window: 1,
            credits: 0,
            probe: None,
            probe_at: Duration::ZERO,
            nudged_at: None,
            failures: 0,
            demand_last: None,
            demand_at: None,
            wait_until: None,
            wait_steps: 0,
            backlog_from: Duration::ZERO,
            faults: Vec::new(),
            broke_at: None,
            declines: None,
            unproven: true,
            carried,
            heard_at: Duration::ZERO,
        }
    }

    /// Takes over a person's hold from before a restart.
    pub fn restore_hold(&mut self, now: Duration, cause: Cause, detail: String) {
        self.phase = Phase::Held(Why { cause, detail, since: now });
    }

    /// Takes over what was left of a provider's `Retry-After`.
    pub fn restore_wait(&mut self, until: Duration) {
        self.wait_until = Some(until);
    }

    /// New settings; the state stays.
    pub fn reconfigure(&mut self, config: Config) {
        self.window = self.window.min(config.max_in_flight);
        self.threshold = config.max_in_flight;
        self.config = config;
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The rows of the present streak of alike declines.
    #[must_use]
    pub fn alike_declines(&self) -> &[Seq] {
        self.declines.as_ref().map_or(&[], |(_, rows)| rows)
    }

    /// The drain's window now.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.window
    }

    /// Up, and no `Retry-After` pending: a till may hope for the provider's own answer.
    #[must_use]
    pub fn is_up(&self, now: Duration) -> bool {
        self.phase == Phase::Up && self.waiting(now).is_none()
    }

    /// What is left of the provider's `Retry-After`.
    #[must_use]
    pub fn waiting(&self, now: Duration) -> Option<Duration> {
        self.wait_until.map(|until| until.saturating_sub(now)).filter(|left| !left.is_zero())
    }

    /// How long the lane has not been up.
    #[must_use]
    pub fn outage(&self, now: Duration) -> Duration {
        match &self.phase {
            Phase::Up => Duration::ZERO,
            Phase::Down(why) | Phase::Held(why) => self.carried + now.saturating_sub(why.since.max(self.heard_at)),
        }
    }

    /// How long the outage has lasted of which no end was seen: the present one, or one before a restart or before
    /// nothing was left to probe with.
    #[must_use]
    pub fn unended_outage(&self, now: Duration) -> Duration {
        if self.phase == Phase::Up { self.carried } else { self.outage(now) }
    }

    /// Down for the provider's sake: from which moment on a new redemption is a probe at once.
    #[must_use]
    pub fn hopeful_from(&self, now: Duration) -> Option<Duration> {
        let provider = matches!(&self.phase, Phase::Down(why) if why.cause == Cause::Provider);
        let free = provider && self.probe.is_none() && self.demand_at.is_none() && self.waiting(now).is_none();
        free.then(|| self.demand_last.map_or(Duration::ZERO, |last| last + DEMAND_EVERY))
    }

    /// Whether a new redemption would bring a probe forward.
    #[must_use]
    pub fn wants_demand(&self) -> bool {
        matches!(self.phase, Phase::Down(_)) && self.demand_at.is_none()
    }

    /// Whether one more row of the backlog may be sent.
    #[must_use]
    pub fn may_send_backlog(&self, now: Duration, flying: Flying) -> bool {
        self.is_up(now) && now >= self.backlog_from && flying.backlog < self.window && self.may_add(flying)
    }

    /// Whether one more live redemption may be sent: one slot beside the window is always live traffic's.
    #[must_use]
    pub fn may_send_live(&self, now: Duration, flying: Flying) -> bool {
        let room = flying.live == 0 || flying.backlog + flying.live <= self.window;
        self.is_up(now) && room && self.may_add(flying)
    }

    /// After a few alike declines the next attempt waits for the one before.
    fn may_add(&self, flying: Flying) -> bool {
        let alike = self.declines.as_ref().map_or(0, |(_, rows)| rows.len());
        alike < DECLINES_ALONE || flying.backlog + flying.live == 0
    }

    /// Whether a probe is due. One at a time, never before a `Retry-After` is over, never while a person holds.
    #[must_use]
    pub fn may_probe(&self, now: Duration) -> bool {
        self.probe.is_none() && self.probe_moment().is_some_and(|at| now >= at)
    }

    fn probe_moment(&self) -> Option<Duration> {
        let at = match &self.phase {
            Phase::Up => return None,
            Phase::Held(why) if why.cause.is_for_a_person() => return None,
            Phase::Held(_) => self.probe_at,
            Phase::Down(_) => self.demand_at.map_or(self.probe_at, |demand| demand.min(self.probe_at)),
        };
        Some(at.max(self.wait_until.unwrap_or_default()))
    }

    /// A probe left.
    pub fn probing(&mut self, now: Duration, seq: Seq) {
        self.probe = Some(seq);
        if self.demand_at.take().is_some() {
            self.demand_last = Some(now);
        }
    }

    /// The probe's row was taken back before a byte left: nothing was learnt, another row may be tried at once.
    pub fn probe_withdrawn(&mut self, seq: Seq) {
        if self.probe == Some(seq) {
            self.probe = None;
        }
    }

    /// No row could be probed with. Rows that wait their own backoff are tried when the first of them is due; when
    /// nothing is pending at all, the next redemption finds out where the link stands.
    pub fn nothing_to_probe(&mut self, now: Duration, first_due: Option<Duration>) -> Effects {
        self.demand_at = None;
        match (first_due, &self.phase) {
            (Some(due), _) => self.probe_at = due.max(now + self.config.retry_min.min(DEMAND_EVERY)),
            (None, Phase::Down(_)) => {
                self.carried = self.outage(now);
                self.phase = Phase::Up;
                self.unproven = true;
                return Effects { changed: true, ..Effects::default() };
            }
            (None, Phase::Up | Phase::Held(_)) => self.probe_at = now + CREDENTIAL_PROBE_EVERY,
        }
        Effects::default()
    }

    /// When something changes without an event: a probe falls due, a wait ends, the spread is over.
    #[must_use]
    pub fn next_moment(&self, now: Duration) -> Option<Duration> {
        let probe = self.probe_moment().filter(|_| self.probe.is_none());
        let spread = (self.phase == Phase::Up).then_some(self.backlog_from);
        [probe, spread, self.wait_until].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn is_held_for_a_person(&self) -> bool {
        matches!(&self.phase, Phase::Held(why) if why.cause.is_for_a_person())
    }

    /// An operator holds the lane; who that was is kept with the hold.
    pub fn hold_by(&mut self, now: Duration, by: &str) -> Effects {
        if self.is_held_for_a_person() {
            Effects::default()
        } else {
            self.hold(now, Cause::Operator, format!("held by {by}"))
        }
    }

    /// Something happened that is not the end of an attempt.
    pub fn nudged(&mut self, now: Duration, nudge: Nudge) -> Effects {
        if matches!(nudge, Nudge::Network | Nudge::Flush) {
            self.nudged_at = Some(now);
        }
        match (nudge, &self.phase) {
            (Nudge::Release, Phase::Held(why)) if why.cause.is_for_a_person() => self.release(now),
            (Nudge::Release | Nudge::Flush | Nudge::CredentialChanged, Phase::Held(_))
            | (Nudge::Flush, Phase::Down(_)) => {
                self.probe_at = now;
                Effects::default()
            }
            (Nudge::Demand, Phase::Down(_)) => {
                self.demand_at = Some(self.demand_last.map_or(now, |last| now.max(last + DEMAND_EVERY)));
                Effects::default()
            }
            (Nudge::Network, Phase::Down(_)) => {
                self.failures = 0;
                self.probe_at = now;
                Effects { drop_pool: true, ..Effects::default() }
            }
            (Nudge::Network, _) => Effects { drop_pool: true, ..Effects::default() },
            _ => Effects::default(),
        }
    }

    /// An attempt ended.
    pub fn ended(&mut self, now: Duration, ended: &Ended<'_>) -> Effects {
        let was_probe = self.probe == Some(ended.seq);
        if was_probe {
            self.probe = None;
        }
        match ended.verdict {
            Verdict::Confirmed => self.confirmed(now),
            Verdict::Declined { message, .. } => self.declined(now, ended.seq, message),
            Verdict::Parked { .. } => {
                self.declines = None;
                self.answered(now)
            }
            Verdict::Credential | Verdict::Road(Road::Credential) => {
                self.hold(now, Cause::Credential, ended.detail.to_owned())
            }
            Verdict::Wait { at_least, .. } => self.told_to_wait(now, *at_least),
            Verdict::RowFault { status } => self.row_fault(now, ended, *status, was_probe),
            Verdict::Unreadable { .. } => self.streak(now, ended, Cause::Provider, was_probe),
            Verdict::InProgress => self.uninformative_probe(now, was_probe),
            Verdict::Reset => self.reset(now, ended, was_probe),
            Verdict::NotTheProvider { .. } => self.road_fault(now, ended, Cause::NotTheProvider, was_probe),
            Verdict::Road(phase) => self.road_fault(now, ended, Cause::from(*phase), was_probe),
        }
    }

    fn confirmed(&mut self, now: Duration) -> Effects {
        self.declines = None;
        let effects = self.answered(now);
        self.credits += 1;
        if self.window < self.threshold || self.credits >= self.window {
            self.credits = 0;
            self.window = (self.window + 1).min(self.config.max_in_flight);
        }
        effects
    }

    fn declined(&mut self, now: Duration, seq: Seq, message: &str) -> Effects {
        let effects = self.answered(now);
        let mut rows = match self.declines.take() {
            Some((said, rows)) if said == message => rows,
            _ => Vec::new(),
        };
        rows.push(seq);
        let count = rows.len();
        self.declines = Some((message.to_owned(), rows));
        if count >= DECLINES_ALONE {
            self.window = 1;
        }
        if count < DECLINES_HOLD || matches!(self.phase, Phase::Held(_)) {
            return effects;
        }
        self.hold(now, Cause::Declines, message.to_owned())
    }

    /// The provider spoke about a redemption: the road works.
    fn answered(&mut self, now: Duration) -> Effects {
        self.faults.clear();
        self.failures = 0;
        self.wait_steps = 0;
        match &self.phase {
            Phase::Up => {
                // The end of an outage from before is to be kept: the next start must not count it again.
                let changed = !std::mem::take(&mut self.carried).is_zero();
                if std::mem::take(&mut self.unproven) {
                    self.backlog_from = now + self.config.reconnect_spread.mul_f64(self.config.place);
                }
                Effects { changed, ..Effects::default() }
            }
            // What was on the wire when somebody held the lane: it stays held, and the provider has spoken.
            Phase::Held(why) if why.cause.is_for_a_person() => self.heard(now),
            Phase::Down(_) | Phase::Held(_) => self.go_up(now),
        }
    }

    /// The provider has spoken and the lane stays held. The end of an outage is to be kept.
    fn heard(&mut self, now: Duration) -> Effects {
        let changed = self.outage(now) >= OUTAGE_WORTH_KEEPING;
        (self.heard_at, self.carried) = (now, Duration::ZERO);
        Effects { changed, ..Effects::default() }
    }

    fn go_up(&mut self, now: Duration) -> Effects {
        let spread = self.config.reconnect_spread.min(self.outage(now));
        self.backlog_from = now + spread.mul_f64(self.config.place);
        self.phase = Phase::Up;
        self.window = 1;
        self.threshold = self.config.max_in_flight;
        self.demand_at = None;
        self.unproven = false;
        self.carried = Duration::ZERO;
        Effects { changed: true, ..Effects::default() }
    }

    /// A person's word says nothing of the road: an outage goes on until the provider has spoken.
    fn release(&mut self, now: Duration) -> Effects {
        self.declines = None;
        self.faults.clear();
        let outage = self.outage(now);
        let effects = self.go_up(now);
        (self.backlog_from, self.carried) = (now, outage);
        effects
    }

    fn hold(&mut self, now: Duration, cause: Cause, detail: String) -> Effects {
        let (same, since) = match &self.phase {
            Phase::Held(why) if why.cause.is_for_a_person() && !cause.is_for_a_person() => return Effects::default(),
            Phase::Held(why) => (why.cause == cause, why.since),
            Phase::Down(why) => (false, why.since),
            Phase::Up => (false, now),
        };
        self.phase = Phase::Held(Why { cause, detail, since });
        self.window = 1;
        self.probe_at = now + CREDENTIAL_PROBE_EVERY;
        self.demand_at = None;
        Effects { unclaim: !same, changed: !same, drop_pool: false }
    }

    fn told_to_wait(&mut self, now: Duration, at_least: Option<Duration>) -> Effects {
        self.halve();
        let wait = if let Some(floor) = at_least {
            let jitter = self.config.reconnect_spread.min(floor.max(self.config.retry_min));
            floor + self.dice.between(Duration::ZERO, jitter)
        } else {
            self.wait_steps += 1;
            backoff(&mut self.dice, self.wait_steps, self.config.retry_min, self.config.retry_max)
        };
        self.wait_until = Some(self.wait_until.unwrap_or_default().max(now + wait));
        let effects = match self.phase {
            Phase::Down(_) => self.go_up(now),
            Phase::Up => {
                self.carried = Duration::ZERO;
                Effects::default()
            }
            Phase::Held(_) => self.heard(now),
        };
        Effects { unclaim: true, changed: true, ..effects }
    }

    fn row_fault(&mut self, now: Duration, ended: &Ended<'_>, status: u16, was_probe: bool) -> Effects {
        if status == 503 {
            self.halve();
        }
        self.streak(now, ended, Cause::Provider, was_probe)
    }

    /// Whether an attempt that was sent then was on the wire when a connection was last seen to break. It may have
    /// shared it (HTTP/2): such resets are one together, and say nothing about their rows.
    #[must_use]
    pub fn broke_since(&self, sent: Duration) -> bool {
        self.broke_at.is_some_and(|broke| sent < broke)
    }

    fn reset(&mut self, now: Duration, ended: &Ended<'_>, was_probe: bool) -> Effects {
        // What was connected since is not for a late one to drop.
        if !was_probe && self.broke_since(ended.sent) {
            return Effects::default();
        }
        self.broke_at = Some(now);
        self.window = 1;
        self.threshold = self.config.max_in_flight;
        let effects = self.streak(now, ended, Cause::Reset, was_probe);
        Effects { drop_pool: true, ..effects }
    }

    /// Faults that are a row's own until three different rows in a row meet their first.
    fn streak(&mut self, now: Duration, ended: &Ended<'_>, cause: Cause, was_probe: bool) -> Effects {
        if ended.suspect {
            return self.uninformative_probe(now, was_probe);
        }
        match &self.phase {
            Phase::Down(_) => return self.go_down(now, ended, cause, was_probe),
            Phase::Held(_) => return self.uninformative_probe(now, was_probe),
            Phase::Up => {}
        }
        if ended.first_fault && !self.faults.contains(&ended.seq) {
            self.faults.push(ended.seq);
        }
        if self.faults.len() >= FAULTS_IN_A_ROW {
            return self.go_down(now, ended, cause, was_probe);
        }
        Effects::default()
    }

    fn road_fault(&mut self, now: Duration, ended: &Ended<'_>, cause: Cause, was_probe: bool) -> Effects {
        if ended.suspect {
            return self.uninformative_probe(now, was_probe);
        }
        self.go_down(now, ended, cause, was_probe)
    }

    /// A probe came back that says nothing about the road: the next row is tried after the shortest wait.
    fn uninformative_probe(&mut self, now: Duration, was_probe: bool) -> Effects {
        if was_probe {
            let floor = match &self.phase {
                Phase::Held(_) => CREDENTIAL_PROBE_EVERY,
                Phase::Up | Phase::Down(_) => self.config.retry_min,
            };
            self.probe_at = now + floor;
        }
        Effects::default()
    }

    fn go_down(&mut self, now: Duration, ended: &Ended<'_>, cause: Cause, was_probe: bool) -> Effects {
        let (since, same) = match &self.phase {
            Phase::Held(why) if why.cause.is_for_a_person() => return Effects::default(),
            Phase::Down(why) => (why.since, why.cause == cause),
            Phase::Held(why) => (why.since, false),
            Phase::Up => (now, false),
        };
        let fell = !matches!(self.phase, Phase::Down(_));
        self.phase = Phase::Down(Why { cause, detail: ended.detail.to_owned(), since });
        self.window = 1;
        self.faults.clear();
        if fell || was_probe {
            self.failures = if fell { 1 } else { (self.failures + 1).min(31) };
            let Config { retry_min, retry_max, .. } = self.config;
            let wait = backoff(&mut self.dice, self.failures, retry_min, retry_max);
            let is_stale = self.nudged_at.is_some_and(|nudged| ended.sent < nudged);
            self.probe_at = if is_stale { now } else { now + wait };
        }
        Effects { drop_pool: true, unclaim: fell, changed: !same }
    }

    fn halve(&mut self) {
        self.window = (self.window / 2).max(1);
        self.threshold = self.window.max(2);
        self.credits = 0;
    }
}
