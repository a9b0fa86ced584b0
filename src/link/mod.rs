//! Pure: a lane's state machine: backoff, rotating probes, spread, slow start. It answers
//! two questions: may the drain go on, and how far may a till be trusted.
//!
//! Time is a [`Duration`] since any fixed moment of a monotonic clock. Nothing here waits, sends or
//! logs: the scheduler asks what may be done and says what happened.

mod backoff;
mod cause;
mod outages;
mod streak;
mod suspects;
#[cfg(test)]
mod tests;
mod waits;

use std::time::Duration;

pub use backoff::{Dice, backoff};
pub use cause::Cause;
use outages::OutageStanding;
pub use outages::Outages;
pub use streak::{DECLINES_ALONE, DECLINES_HOLD, Streak};
pub use suspects::{Span, Suspects};
pub use waits::Waits;

use crate::redemption::Seq;
use crate::trust::Trust;
use crate::verdict::{Evidence, Phase, Verdict};

/// What the settings say about a link.
#[derive(Clone, Debug)]
pub struct LinkSettings {
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
/// A lane held for its credential tries another row after so long.
pub const CREDENTIAL_FIRST: Duration = Duration::from_secs(1);
/// Then after so long, doubling.
pub const CREDENTIAL_THEN: Duration = Duration::from_secs(10);
/// And at least this often.
pub const CREDENTIAL_PROBE_EVERY: Duration = Duration::from_secs(60);
/// Failures are counted so far; no wait grows that long.
const FAILURES_MAX: u32 = 31;
/// So many different rows in a row with a provider's fault, or a reset, take the link down.
pub const FAULTS_IN_A_ROW: usize = 3;
/// So many different rows given on trust, refused in a row by weak evidence, make the drain wait.
pub const WEAK_IN_A_ROW: usize = 3;
/// The end of an outage is kept at once if the outage was so long; a shorter one costs nobody
/// anything when a crash makes it go on.
const OUTAGE_WORTH_KEEPING: Duration = Duration::from_secs(1);

/// Where the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPhase<'a> {
    /// Attempts are made as the window allows.
    Up,
    /// The drain sends probes alone.
    Down(&'a Why),
    /// The drain is held, for a person or for its credential.
    Held(&'a Why),
}

/// Why, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The cause.
    pub cause: Cause,
    /// What was seen last, for people.
    pub detail: String,
    /// Since when it is not up, on the link's clock.
    pub since: Duration,
}

/// An operator's hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LinkHold {
    why: Why,
    /// The operator wants tills to be trusted meanwhile.
    trust: bool,
}

/// Attempts of the drain on the wire, and live ones beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flying {
    /// Of the backlog, probes included.
    pub backlog: u32,
    /// Of live traffic.
    pub live: u32,
}

/// What the end of an attempt says to the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Taken. An "already used" that our own earlier attempt explains is told so too.
    Confirmed,
    /// Refused.
    Declined {
        /// By strong evidence.
        strong: bool,
    },
    /// A success that says something else besides.
    Parked,
    /// The provider is still at it.
    InProgress {
        /// A 2xx says so: only the provider does.
        strong: bool,
    },
    /// An answer that cannot be read for this row's sake.
    Unreadable,
    /// 401 or 403, or there is no credential.
    Credential,
    /// Somebody else answers.
    NotTheProvider,
    /// 429, or 503 with `Retry-After`.
    Wait {
        /// At least so long.
        at_least: Option<Duration>,
        /// A 429.
        limited: bool,
    },
    /// 408, 425 or another 5xx.
    RowFault {
        /// The status.
        status: u16,
    },
    /// The connection broke.
    Reset,
    /// No answer: the attempt ended at this phase.
    NoAnswer(Phase),
}

impl From<&Verdict> for Heard {
    fn from(verdict: &Verdict) -> Self {
        let is_strong = |evidence: &Evidence| *evidence == Evidence::Strong;
        match verdict {
            Verdict::Confirmed => Self::Confirmed,
            Verdict::Declined { evidence, .. } => Self::Declined { strong: is_strong(evidence) },
            Verdict::Parked { .. } => Self::Parked,
            Verdict::InProgress { evidence } => Self::InProgress { strong: is_strong(evidence) },
            Verdict::Unreadable { .. } => Self::Unreadable,
            Verdict::Credential => Self::Credential,
            Verdict::NotTheProvider { .. } => Self::NotTheProvider,
            Verdict::Wait { at_least, clean } => {
                Self::Wait { at_least: *at_least, limited: *clean }
            }
            Verdict::RowFault { status } => Self::RowFault { status: *status },
            Verdict::Reset => Self::Reset,
            Verdict::NoAnswer(phase) => Self::NoAnswer(*phase),
        }
    }
}

impl Heard {
    /// A verdict in the contract's shape, strong or weak.
    #[must_use]
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Confirmed | Self::Declined { .. } | Self::Parked)
    }

    /// The provider spoke about a redemption or a check, if only to say that it is still at it:
    /// whether by strong evidence. It can be reached, and nobody is given in its name.
    #[must_use]
    pub fn speaks(self) -> Option<bool> {
        match self {
            Self::Confirmed | Self::Parked => Some(true),
            Self::Declined { strong } | Self::InProgress { strong } => Some(strong),
            Self::Unreadable
            | Self::Credential
            | Self::NotTheProvider
            | Self::Wait { .. }
            | Self::RowFault { .. }
            | Self::Reset
            | Self::NoAnswer(_) => None,
        }
    }

    /// The attempt came further than to where a line is down: whatever was met, the road is there.
    fn passed_the_road(self) -> bool {
        match self {
            Self::NoAnswer(phase) => {
                phase != Phase::Credential && !Cause::from(phase).is_unreachable()
            }
            Self::Confirmed
            | Self::Declined { .. }
            | Self::Parked
            | Self::InProgress { .. }
            | Self::Unreadable
            | Self::Credential
            | Self::NotTheProvider
            | Self::Wait { .. }
            | Self::RowFault { .. }
            | Self::Reset => true,
        }
    }
}

/// An attempt that ended.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct EndedAttempt<'a> {
    /// Whose.
    pub seq: Seq,
    /// The till that made it.
    pub till: &'a str,
    /// When it was sent, on the link's clock.
    pub sent: Duration,
    /// What its end means.
    pub heard: Heard,
    /// What was seen, for the cause.
    pub detail: &'a str,
    /// The kind of a refusal: its words, masked.
    pub kind: &'a str,
    /// The row had no provider's fault and no reset before.
    pub first_fault: bool,
    /// The row is suspect: a link fault, a refused credential or a wait that it is told says
    /// nothing about the lane.
    pub suspect: bool,
    /// Its till waited for it.
    pub live: bool,
    /// A 2xx of ours had left for it.
    pub trusted: bool,
}

/// What else happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// A redemption was accepted that was not handed over.
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
    config: LinkSettings,
    dice: Dice,
    /// Why the drain does not go on by itself; `None`: up.
    trouble: Option<Why>,
    /// Why it was down when it was last tried: nothing was left to try it with, and nobody has
    /// answered since.
    unended: Option<Why>,
    /// When the credential became another than the one that was refused.
    new_credential_at: Option<Duration>,
    /// Probes that other credentials brought forward since the provider last answered.
    credentials_tried: u32,
    /// For when the last of them was brought forward.
    credential_tried_at: Option<Duration>,
    /// The provider has answered, or it is known why it did not, with the credential of now.
    tried: bool,
    hold: Option<LinkHold>,
    /// It is held for declines: behind an operator's hold, which ends first.
    declines: Option<Why>,
    /// The settings name a file that cannot be used. It is apart from the hold, which outlasts it.
    unusable: Option<Why>,
    window: u32,
    /// Below it the window doubles, above it it grows by one a round trip.
    threshold: u32,
    credits: u32,
    probe: Option<Seq>,
    probe_at: Duration,
    /// When something last happened that makes what was sent before say nothing about the link now.
    nudged_at: Option<Duration>,
    failures: u32,
    demand_last: Option<Duration>,
    demand_at: Option<Duration>,
    wait_until: Option<Duration>,
    /// Until when a 429 has asked for the wait; the provider has not answered since. What else it
    /// says meanwhile, a 503 about one code, does not shorten it.
    limited_until: Option<Duration>,
    wait_steps: u32,
    backlog_from: Duration,
    faults: Vec<Seq>,
    /// Rows given on trust and refused by weak evidence, since the last that was answered better.
    weak: Vec<Seq>,
    /// When a connection was last seen to break.
    broke_at: Option<Duration>,
    streak: Streak,
    unproven: bool,
    outages: Outages,
}

impl Link {
    /// A link at start: up with window 1 until an attempt fails. `outages` are those of the last
    /// process.
    #[must_use]
    pub fn new(config: LinkSettings, seed: u64, outages: Outages) -> Self {
        Self {
            threshold: config.max_in_flight,
            config,
            dice: Dice::new(seed),
            trouble: None,
            unended: None,
            new_credential_at: None,
            credentials_tried: 0,
            credential_tried_at: None,
            tried: false,
            hold: None,
            declines: None,
            unusable: None,
            window: 1,
            credits: 0,
            probe: None,
            probe_at: Duration::ZERO,
            nudged_at: None,
            failures: 0,
            demand_last: None,
            demand_at: None,
            wait_until: None,
            limited_until: None,
            wait_steps: 0,
            backlog_from: Duration::ZERO,
            faults: Vec::new(),
            weak: Vec::new(),
            broke_at: None,
            streak: Streak::default(),
            unproven: true,
            outages,
        }
    }

    /// Takes over a hold from before a restart.
    pub fn restore_hold(&mut self, now: Duration, (cause, trust): (Cause, bool), detail: String) {
        let why = Why { cause, detail, since: now };
        if cause == Cause::Declines {
            self.declines = Some(why);
        } else {
            self.hold = Some(LinkHold { why, trust });
        }
        self.book(now);
    }

    /// The settings cannot be used, and why: nothing is sent until others can.
    pub fn settings_are_unusable(&mut self, now: Duration, detail: String) {
        self.unusable = Some(Why { cause: Cause::Settings, detail, since: now });
        self.book(now);
    }

    /// The settings can be used again. What else holds the lane still does.
    pub fn settings_are_usable(&mut self, now: Duration) {
        self.unusable = None;
        self.book(now);
    }

    /// Takes over what was left of a provider's `Retry-After`, and until when a 429 asked for it.
    pub fn restore_wait(&mut self, until: Duration, limited: Option<Duration>) {
        (self.wait_until, self.limited_until) = (Some(until), limited);
    }

    /// New settings; the state stays.
    pub fn reconfigure(&mut self, config: LinkSettings) {
        self.window = self.window.min(config.max_in_flight);
        self.threshold = config.max_in_flight;
        self.config = config;
    }

    /// Where the drain stands.
    #[must_use]
    pub fn phase(&self) -> LinkPhase<'_> {
        if let Some(why) = &self.unusable {
            return LinkPhase::Held(why);
        }
        match (self.persons_hold(), &self.trouble) {
            (Some(hold), _) => LinkPhase::Held(hold),
            (None, Some(why)) if why.cause == Cause::Credential => LinkPhase::Held(why),
            (None, Some(why)) => LinkPhase::Down(why),
            (None, None) => LinkPhase::Up,
        }
    }

    /// Where the link stands as far as anybody has seen: what was down when it was last tried stays
    /// so until it is answered, though the next redemption is sent.
    #[must_use]
    pub fn seen(&self) -> LinkPhase<'_> {
        match (self.phase(), &self.unended) {
            (LinkPhase::Up, Some(why)) => LinkPhase::Down(why),
            (phase, _) => phase,
        }
    }

    /// Why it is not up, if it is not.
    #[must_use]
    pub fn why(&self) -> Option<&Why> {
        match self.phase() {
            LinkPhase::Up => None,
            LinkPhase::Down(why) | LinkPhase::Held(why) => Some(why),
        }
    }

    /// The hold that only a person ends, also while unusable settings stand before it: of two the
    /// operator's, which a release ends first.
    #[must_use]
    pub fn persons_hold(&self) -> Option<&Why> {
        self.hold.as_ref().map(|hold| &hold.why).or(self.declines.as_ref())
    }

    /// The hold for declines, also while another stands before it.
    #[must_use]
    pub fn hold_for_declines(&self) -> Option<&Why> {
        self.declines.as_ref()
    }

    /// The cause that counts for tills: an operator's word does, also while unusable settings
    /// stand before it.
    #[must_use]
    pub fn cause_for_tills(&self) -> Option<Cause> {
        let operators = self.persons_hold().filter(|why| why.cause == Cause::Operator);
        operators.or_else(|| self.why()).map(|why| why.cause)
    }

    /// Whether a hold of the operator's lets tills be trusted.
    #[must_use]
    pub fn hold_trusts(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.trust)
    }

    /// How far a till may be trusted (docs/trust.md, "May this redemption be trusted?").
    #[must_use]
    pub fn trust(&self, now: Duration) -> Trust {
        if self.is_shut() {
            return if self.hold_trusts() { Trust::AtOnce { tenth: false } } else { Trust::Never };
        }
        match &self.trouble {
            Some(why) if why.cause.is_unreachable() => why.cause.trust(),
            _ if self.limited(now).is_some() => Trust::Never,
            Some(why) => why.cause.trust(),
            None => Trust::Unanswered,
        }
    }

    /// The provider can be asked about a live redemption: the lane is up, or in trouble that may be
    /// one row's.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        !self.is_shut() && !self.is_unreachable()
    }

    /// Nothing at all is sent: for the settings or for an operator.
    fn is_shut(&self) -> bool {
        self.unusable.is_some() || self.hold.is_some()
    }

    /// What is left of a 429's wait, while the provider has answered nobody since.
    #[must_use]
    pub fn limited(&self, now: Duration) -> Option<Duration> {
        self.limited_until.map(|until| until.saturating_sub(now)).filter(|left| !left.is_zero())
    }

    /// An attempt was answered since this process began, or failed, and was not refused for a
    /// credential that is another by now.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.tried
    }

    /// The present streak of declines after the fact.
    #[must_use]
    pub fn streak(&self) -> &Streak {
        &self.streak
    }

    /// The drain's window now.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.window
    }

    /// The drain goes on.
    #[must_use]
    pub fn is_up(&self, now: Duration) -> bool {
        self.phase() == LinkPhase::Up && self.waiting(now).is_none()
    }

    /// Rows are answered well, so that what is refused by weak evidence is the row's own.
    #[must_use]
    pub fn is_well(&self, now: Duration) -> bool {
        self.is_up(now) && !self.unproven && self.weak.len() < WEAK_IN_A_ROW
    }

    /// What is left of the provider's `Retry-After`.
    #[must_use]
    pub fn waiting(&self, now: Duration) -> Option<Duration> {
        self.wait_until.map(|until| until.saturating_sub(now)).filter(|left| !left.is_zero())
    }

    /// How long the outage has lasted of which no end was seen: the present one, or one before a
    /// restart or before nothing was left to probe with.
    #[must_use]
    pub fn unended_outage(&self, now: Duration) -> Duration {
        self.outages.present(now)
    }

    /// The outages, for the budget and for the next process.
    #[must_use]
    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    /// The lane is in an outage: it is not up, and not only held for declines. A lane that was up
    /// when an operator or unusable settings held it is in none, since nobody is trusted then,
    /// unless the hold says otherwise.
    #[must_use]
    pub fn is_out(&self) -> bool {
        let counts = || self.hold_trusts() || self.outages.is_unended();
        self.trouble.is_some() || self.is_shut() && counts()
    }

    fn book(&mut self, now: Duration) {
        let standing = match (self.is_out(), self.is_shut()) {
            (true, _) => OutageStanding::Out,
            (false, true) => OutageStanding::Aside,
            (false, false) => OutageStanding::Well,
        };
        self.outages.is(standing, now);
    }

    /// Whether a new redemption that is not handed over would bring a probe forward.
    #[must_use]
    pub fn wants_demand(&self) -> bool {
        self.demand_at.is_none() && self.takes_demand()
    }

    fn takes_demand(&self) -> bool {
        let Some(why) = &self.trouble else { return false };
        why.cause != Cause::Credential && self.may_probe_at_all() != Probing::None
    }

    /// Whether one more row of the backlog may be sent.
    #[must_use]
    pub fn may_send_backlog(&self, now: Duration, flying: Flying) -> bool {
        let alone = !self.streak.is_alone() || flying.backlog == 0;
        self.is_up(now) && now >= self.backlog_from && flying.backlog < self.window && alone
    }

    /// Whether a probe is due. One at a time, never before a `Retry-After` is over, never while a
    /// person holds.
    #[must_use]
    pub fn may_probe(&self, now: Duration) -> bool {
        self.probe.is_none() && self.probe_moment().is_some_and(|at| now >= at)
    }

    /// Only the row that was asked for may be a probe: the backlog itself is held.
    #[must_use]
    pub fn probes_on_demand_alone(&self) -> bool {
        self.may_probe_at_all() == Probing::OnDemand
    }

    fn may_probe_at_all(&self) -> Probing {
        match &self.declines {
            _ if self.is_shut() => Probing::None,
            None => Probing::Any,
            // Somebody has to find out that the line is back, or tills would be trusted for ever.
            Some(_) if self.is_unreachable() => Probing::OnDemand,
            Some(_) => Probing::None,
        }
    }

    fn probe_moment(&self) -> Option<Duration> {
        self.trouble.as_ref()?;
        let at = match self.may_probe_at_all() {
            Probing::None => return None,
            Probing::OnDemand => self.demand_at?,
            Probing::Any => {
                self.demand_at.map_or(self.probe_at, |demand| demand.min(self.probe_at))
            }
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

    /// The probe's row was taken back before a byte left: nothing was learnt, another row may be
    /// tried at once.
    pub fn probe_withdrawn(&mut self, seq: Seq) {
        if self.probe == Some(seq) {
            self.probe = None;
        }
    }

    /// No row could be probed with. Rows that wait their own backoff are tried when the first of
    /// them is due; when nothing is pending at all, the next redemption finds out where the link
    /// stands.
    /// What those to blame alone (`is_theirs`) met was theirs and not the link's: nothing of it is
    /// seen any more.
    pub fn nothing_to_probe(
        &mut self,
        now: Duration,
        first_due: Option<Duration>,
        is_theirs: bool,
    ) -> Effects {
        self.demand_at = None;
        let is_a_rows = first_due.is_some() && is_theirs;
        let effects = match (first_due.filter(|_| !is_theirs), self.phase()) {
            (Some(due), _) => {
                self.probe_at = due.max(now + self.config.retry_min.min(DEMAND_EVERY));
                Effects::default()
            }
            (None, LinkPhase::Down(_)) => {
                self.unended = self.trouble.take().filter(|_| !is_a_rows);
                self.unproven = true;
                Effects { changed: true, ..Effects::default() }
            }
            (None, LinkPhase::Held(why))
                if why.cause == Cause::Credential && self.new_credential_at.is_some() =>
            {
                self.trouble = None;
                (self.unproven, self.tried) = (true, false);
                Effects { changed: true, ..Effects::default() }
            }
            (None, LinkPhase::Up | LinkPhase::Held(_)) => {
                self.probe_at = now + CREDENTIAL_PROBE_EVERY;
                Effects::default()
            }
        };
        self.book(now);
        effects
    }

    /// No row of another till waits: those of the till that alone was refused come now, or hold the
    /// drain.
    pub fn nobody_else(&mut self, now: Duration) -> Effects {
        if self.streak.is_long() && self.persons_hold().is_none() {
            return self.hold_drain(now);
        }
        Effects::default()
    }

    /// When something changes without an event: a probe falls due, a wait ends, the spread is over.
    #[must_use]
    pub fn next_moment(&self, now: Duration) -> Option<Duration> {
        let probe = self.probe_moment().filter(|_| self.probe.is_none());
        let spread = (self.phase() == LinkPhase::Up).then_some(self.backlog_from);
        [probe, spread, self.wait_until].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// An operator holds the lane; who that was, and why, is kept with the hold.
    pub fn hold_by(&mut self, now: Duration, detail: String, trust: bool) -> Effects {
        match &mut self.hold {
            Some(hold) if hold.trust != trust => {
                (hold.trust, hold.why.detail) = (trust, detail);
                self.book(now);
                Effects { changed: true, ..Effects::default() }
            }
            Some(_) => Effects::default(),
            None => {
                let why = self.held_for(now, Cause::Operator, detail);
                self.hold = Some(LinkHold { why, trust });
                self.is_held(now)
            }
        }
    }

    /// Too many were declined after they had been given.
    fn hold_drain(&mut self, now: Duration) -> Effects {
        self.declines = Some(self.held_for(now, Cause::Declines, self.streak.detail()));
        self.is_held(now)
    }

    fn held_for(&self, now: Duration, cause: Cause, detail: String) -> Why {
        Why { cause, detail, since: self.trouble.as_ref().map_or(now, |why| why.since) }
    }

    fn is_held(&mut self, now: Duration) -> Effects {
        self.window = 1;
        self.demand_at = None;
        self.book(now);
        Effects { unclaim: true, changed: true, drop_pool: false }
    }

    /// Something happened that is not the end of an attempt.
    pub fn nudged(&mut self, now: Duration, nudge: Nudge) -> Effects {
        if matches!(nudge, Nudge::Network | Nudge::Flush) {
            self.nudged_at = Some(now);
        }
        match nudge {
            Nudge::Release if self.persons_hold().is_some() => return self.release(now),
            Nudge::CredentialChanged => {
                self.new_credential_at = Some(now);
                self.tries_a_new_credential(now);
            }
            Nudge::Release | Nudge::Flush => self.probe_at = now,
            Nudge::Demand if self.takes_demand() => {
                self.demand_at =
                    Some(self.demand_last.map_or(now, |last| now.max(last + DEMAND_EVERY)));
            }
            Nudge::Demand => {}
            Nudge::Network => {
                if matches!(self.phase(), LinkPhase::Down(_)) {
                    self.failures = 0;
                    self.probe_at = now;
                }
                return Effects { drop_pool: true, ..Effects::default() };
            }
        }
        Effects::default()
    }

    /// The first is tried at once. One after the other, each refused, is no reason to ask the
    /// provider more often than without them.
    fn tries_a_new_credential(&mut self, now: Duration) {
        let wait = wait_for_credential(self.credentials_tried);
        let at = match self.credential_tried_at {
            Some(at) if at > now => at,
            last => {
                self.credentials_tried = (self.credentials_tried + 1).min(FAILURES_MAX);
                last.map_or(now, |last| now.max(last + wait))
            }
        };
        self.credential_tried_at = Some(at);
        self.probe_at = self.probe_at.min(at);
    }

    /// A person's word says nothing of the link: an outage goes on until the provider has spoken.
    /// Behind an operator's hold one for declines goes on.
    fn release(&mut self, now: Duration) -> Effects {
        if self.hold.take().is_none() {
            self.declines = None;
        }
        if self.declines.is_none() {
            self.streak.clear();
        }
        self.faults.clear();
        self.weak.clear();
        self.window = 1;
        (self.backlog_from, self.probe_at) = (now, now);
        self.book(now);
        Effects { changed: true, ..Effects::default() }
    }

    /// An attempt ended.
    pub fn ended(&mut self, now: Duration, ended: &EndedAttempt<'_>) -> Effects {
        let was_probe = self.probe == Some(ended.seq);
        if was_probe {
            self.probe = None;
        }
        // What a suspect row meets is its own, but that it met anything shows that the road is
        // there.
        let shows_the_road = self.is_unreachable() && ended.heard.passed_the_road();
        let suspect = ended.suspect && !shows_the_road;
        let effects = self.hears(now, &EndedAttempt { suspect, ..*ended }, was_probe);
        self.book(now);
        effects
    }

    fn is_unreachable(&self) -> bool {
        self.trouble.as_ref().is_some_and(|why| why.cause.is_unreachable())
    }

    fn hears(&mut self, now: Duration, ended: &EndedAttempt<'_>, was_probe: bool) -> Effects {
        match ended.heard {
            Heard::Credential | Heard::NotTheProvider | Heard::NoAnswer(_) | Heard::Wait { .. }
                if ended.suspect =>
            {
                self.uninformative_probe(now, was_probe)
            }
            Heard::Confirmed => self.confirmed(now, ended),
            Heard::Declined { strong } => self.declined(now, ended, (strong, was_probe)),
            Heard::Parked => self.answered(now, true, (ended.live, was_probe)),
            Heard::InProgress { strong } => self.answered(now, strong, (ended.live, was_probe)),
            Heard::Credential | Heard::NoAnswer(Phase::Credential) => {
                self.denied(now, ended, was_probe)
            }
            Heard::Wait { at_least, limited } => self.told_to_wait(now, (at_least, limited), ended),
            Heard::Unreadable => self.streak_of_faults(now, ended, Cause::Provider, was_probe),
            Heard::RowFault { status } => {
                if status == 503 {
                    self.halve();
                }
                self.streak_of_faults(now, ended, Cause::Provider, was_probe)
            }
            Heard::Reset => self.reset(now, ended, was_probe),
            Heard::NotTheProvider => self.goes_down(now, ended, Cause::NotTheProvider, was_probe),
            Heard::NoAnswer(phase) => self.goes_down(now, ended, Cause::from(phase), was_probe),
        }
    }

    fn confirmed(&mut self, now: Duration, ended: &EndedAttempt<'_>) -> Effects {
        self.streak.confirmed(ended.till);
        let effects = self.answered(now, true, (ended.live, false));
        self.credits += 1;
        if self.window < self.threshold || self.credits >= self.window {
            self.credits = 0;
            self.window = (self.window + 1).min(self.config.max_in_flight);
        }
        effects
    }

    fn declined(
        &mut self,
        now: Duration,
        ended: &EndedAttempt<'_>,
        (strong, was_probe): (bool, bool),
    ) -> Effects {
        let effects = self.answered(now, strong, (ended.live, was_probe));
        match (ended.trusted, strong) {
            // What its till hears holds nothing, or three invented codes would.
            (false, _) => effects,
            (true, false) => self.refused_weakly(now, ended).unwrap_or(effects),
            (true, true) => {
                self.streak.declined(ended.seq, ended.till, ended.kind);
                if self.streak.is_alone() {
                    self.window = 1;
                }
                if self.streak.holds() && self.declines.is_none() {
                    return self.hold_drain(now);
                }
                effects
            }
        }
    }

    /// Three different rows refused by what may be an edge: the drain waits, and tills go on being
    /// asked.
    fn refused_weakly(&mut self, now: Duration, ended: &EndedAttempt<'_>) -> Option<Effects> {
        if !self.weak.contains(&ended.seq) {
            self.weak.push(ended.seq);
        }
        if self.weak.len() < WEAK_IN_A_ROW || self.trouble.is_some() {
            return None;
        }
        self.weak.truncate(WEAK_IN_A_ROW);
        let effects = self.goes_down(now, ended, Cause::Refusals, false);
        Some(Effects { drop_pool: false, ..effects })
    }

    /// The provider spoke about a redemption: it can be reached.
    fn answered(
        &mut self,
        now: Duration,
        strong: bool,
        (live, was_probe): (bool, bool),
    ) -> Effects {
        self.faults.clear();
        self.wait_steps = 0;
        self.limited_until = None;
        self.tried = true;
        self.credentials_tried = 0;
        self.credential_tried_at = None;
        if strong {
            self.failures = 0;
            self.weak.clear();
        }
        let lasted = self.unended_outage(now);
        let effects = match &self.trouble {
            None => {
                if std::mem::take(&mut self.unproven) {
                    self.backlog_from =
                        now + self.config.reconnect_spread.mul_f64(self.config.place);
                }
                // The end of an outage from before is to be kept: the next start must not count it
                // again.
                let was_down = self.unended.take().is_some();
                Effects {
                    changed: was_down || lasted >= OUTAGE_WORTH_KEEPING,
                    ..Effects::default()
                }
            }
            Some(why) if !strong && (!live || why.cause == Cause::Refusals) => {
                self.only_weak(now, was_probe)
            }
            Some(_) => self.goes_up(now),
        };
        self.outages.verdict(now);
        effects
    }

    /// Somebody who may be the provider refuses: nobody is trusted at once any more, and the drain
    /// goes on waiting.
    fn only_weak(&mut self, now: Duration, was_probe: bool) -> Effects {
        if was_probe {
            self.backs_off(now);
        }
        let Some(why) = &mut self.trouble else { return Effects::default() };
        let changed = why.cause != Cause::Refusals;
        why.cause = Cause::Refusals;
        if changed {
            "answered in words that may not be the provider's own".clone_into(&mut why.detail);
        }
        Effects { changed, ..Effects::default() }
    }

    fn goes_up(&mut self, now: Duration) -> Effects {
        let spread = self.config.reconnect_spread.min(self.unended_outage(now));
        self.backlog_from = now + spread.mul_f64(self.config.place);
        self.trouble = None;
        self.window = 1;
        self.threshold = self.config.max_in_flight;
        self.demand_at = None;
        self.unproven = false;
        Effects { changed: true, ..Effects::default() }
    }

    /// A check, the gateway's own or a till's, was answered: the link is up, whatever the drain
    /// does.
    pub fn check_answered(&mut self, now: Duration, strong: bool) -> Effects {
        self.limited_until = None;
        let was_unreachable = |why: &mut Why| why.cause.is_unreachable();
        let effects = match (self.is_unreachable(), strong) {
            (false, true) if self.unended.take_if(was_unreachable).is_some() => {
                Effects { changed: true, ..Effects::default() }
            }
            (false, _) => Effects::default(),
            (true, true) => self.goes_up(now),
            (true, false) => self.only_weak(now, false),
        };
        self.outages.verdict(now);
        self.book(now);
        effects
    }

    /// The gateway's own check got no answer.
    pub fn check_failed(&mut self, now: Duration, phase: Phase, detail: &str) -> Effects {
        let cause = Cause::from(phase);
        if !cause.is_unreachable() {
            return Effects::default();
        }
        let ended =
            EndedAttempt { heard: Heard::NoAnswer(phase), detail, ..EndedAttempt::unknown(now) };
        let effects = self.goes_down(now, &ended, cause, false);
        self.book(now);
        effects
    }

    /// The credential was refused, or there is none. Another row tells whose fault it is.
    fn denied(&mut self, now: Duration, ended: &EndedAttempt<'_>, was_probe: bool) -> Effects {
        let effects = self.goes_down(now, ended, Cause::Credential, was_probe);
        self.new_credential_at.take_if(|changed| *changed <= ended.sent);
        self.demand_at = None;
        Effects { drop_pool: false, ..effects }
    }

    fn told_to_wait(
        &mut self,
        now: Duration,
        (at_least, limited): (Option<Duration>, bool),
        ended: &EndedAttempt<'_>,
    ) -> Effects {
        self.halve();
        let wait = if let Some(floor) = at_least {
            self.spread(floor)
        } else {
            self.wait_steps += 1;
            backoff(&mut self.dice, self.wait_steps, self.config.retry_min, self.config.retry_max)
        };
        let until = self.wait_until.unwrap_or_default().max(now + wait);
        self.wait_until = Some(until);
        if limited {
            self.limited_until = Some(until);
        }
        self.fails_otherwise(Cause::Provider, ended.detail);
        if let Some(why) = self.trouble.as_mut().filter(|why| why.cause != Cause::Refusals) {
            (why.cause, why.detail) = (Cause::Provider, ended.detail.to_owned());
            self.probe_at = now;
        }
        Effects { unclaim: true, changed: true, drop_pool: false }
    }

    /// At least so long, and not with all other stores at once.
    fn spread(&mut self, floor: Duration) -> Duration {
        let jitter = self.config.reconnect_spread.min(floor.max(self.config.retry_min));
        floor + self.dice.between(Duration::ZERO, jitter)
    }

    /// A `Retry-After` that the gateway's own check was told is the drain's as well. It turns no
    /// till away: checks may have a rate of their own.
    pub fn check_told_to_wait(&mut self, now: Duration, at_least: Duration) -> Effects {
        let wait = self.spread(at_least);
        self.wait_until = Some(self.wait_until.unwrap_or_default().max(now + wait));
        Effects { unclaim: true, changed: true, drop_pool: false }
    }

    /// Whether an attempt that was sent then was on the wire when a connection was last seen to
    /// break. It may have shared it (HTTP/2): such resets are one together, and say nothing about
    /// their rows.
    #[must_use]
    pub fn broke_since(&self, sent: Duration) -> bool {
        self.broke_at.is_some_and(|broke| sent < broke)
    }

    fn reset(&mut self, now: Duration, ended: &EndedAttempt<'_>, was_probe: bool) -> Effects {
        // What was connected since is not for a late one to drop.
        if !was_probe && self.broke_since(ended.sent) {
            return Effects::default();
        }
        self.broke_at = Some(now);
        self.window = 1;
        self.threshold = self.config.max_in_flight;
        let effects = self.streak_of_faults(now, ended, Cause::Reset, was_probe);
        Effects { drop_pool: true, ..effects }
    }

    /// Faults that are a row's own until three different rows in a row meet their first.
    fn streak_of_faults(
        &mut self,
        now: Duration,
        ended: &EndedAttempt<'_>,
        cause: Cause,
        was_probe: bool,
    ) -> Effects {
        if ended.suspect {
            return self.uninformative_probe(now, was_probe);
        }
        match &self.trouble {
            // A row's own fault says nothing of the credential, and not more of the refusals.
            Some(why) if matches!(why.cause, Cause::Credential | Cause::Refusals) => {
                if was_probe {
                    self.backs_off(now);
                }
                return Effects::default();
            }
            Some(_) => return self.goes_down(now, ended, cause, was_probe),
            None => self.fails_otherwise(cause, ended.detail),
        }
        if ended.first_fault && !self.faults.contains(&ended.seq) {
            self.faults.push(ended.seq);
        }
        if self.faults.len() >= FAULTS_IN_A_ROW {
            return self.goes_down(now, ended, cause, was_probe);
        }
        Effects::default()
    }

    /// What was down when it was last tried is met by something else now.
    fn fails_otherwise(&mut self, cause: Cause, detail: &str) {
        if let Some(why) = self.unended.as_mut().filter(|why| why.cause != Cause::Refusals) {
            (why.cause, why.detail) = (cause, detail.to_owned());
        }
    }

    /// A probe came back that says nothing about the lane: the next row is tried after the shortest
    /// wait.
    fn uninformative_probe(&mut self, now: Duration, was_probe: bool) -> Effects {
        if was_probe {
            self.probe_at = now + self.config.retry_min.min(CREDENTIAL_FIRST);
        }
        Effects::default()
    }

    fn goes_down(
        &mut self,
        now: Duration,
        ended: &EndedAttempt<'_>,
        cause: Cause,
        was_probe: bool,
    ) -> Effects {
        let before = self.trouble.as_ref().map(|why| (why.cause, why.since));
        let unended = self.unended.take().map(|why| why.since);
        let since = before.map(|(_, since)| since).or(unended).unwrap_or(now);
        self.tried = true;
        let same = before.is_some_and(|(before, _)| before == cause);
        let fell = before.is_none();
        self.trouble = Some(Why { cause, detail: ended.detail.to_owned(), since });
        self.window = 1;
        self.faults.clear();
        if fell || was_probe || (cause == Cause::Credential && !same) {
            if fell || (cause == Cause::Credential && !same) {
                self.failures = 0;
            }
            self.backs_off(now);
            if self.nudged_at.is_some_and(|nudged| ended.sent < nudged) {
                self.probe_at = now;
            }
        }
        Effects { drop_pool: true, unclaim: fell, changed: !same }
    }

    /// The next probe comes later than the last.
    fn backs_off(&mut self, now: Duration) {
        self.failures = (self.failures + 1).min(FAILURES_MAX);
        let LinkSettings { retry_min, retry_max, .. } = self.config;
        let for_credential =
            self.trouble.as_ref().is_some_and(|why| why.cause == Cause::Credential);
        let wait = match self.failures {
            n if for_credential => wait_for_credential(n),
            n => backoff(&mut self.dice, n, retry_min, retry_max),
        };
        self.probe_at = now + wait;
    }

    fn halve(&mut self) {
        self.window = (self.window / 2).max(1);
        self.threshold = self.window.max(2);
        self.credits = 0;
    }
}

/// After so many probes of a lane that is held for its credential.
fn wait_for_credential(probes: u32) -> Duration {
    match probes {
        0 | 1 => CREDENTIAL_FIRST,
        n => CREDENTIAL_THEN.saturating_mul(1 << (n - 2).min(3)).min(CREDENTIAL_PROBE_EVERY),
    }
}

impl EndedAttempt<'_> {
    /// The end of what is no row's.
    fn unknown(now: Duration) -> Self {
        Self {
            seq: Seq(0),
            till: "",
            sent: now,
            heard: Heard::Reset,
            detail: "",
            kind: "",
            first_fault: false,
            suspect: false,
            live: false,
            trusted: false,
        }
    }
}

/// Which rows may be probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probing {
    None,
    OnDemand,
    Any,
}
