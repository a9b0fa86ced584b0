//! Pure: what a lane does next. Events go in, actions come out; the forwarder only does them.
//!
//! Time is a [`Duration`] since any fixed moment of a monotonic clock. Nothing here waits, sends,
//! stores or logs.

mod live;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use live::{LIVE_SLOTS, LIVE_SLOTS_OF_A_TILL};

use crate::link::{
    self, Cause, Dice, Effects, EndedAttempt, Flying, Heard, Link, Nudge, Outages, Span, Suspects,
    Waits,
};
use crate::redemption::Seq;
use crate::trust::{End, EvidenceTerms, Progress, RowAsker, Trust, TrustEvidence};
use crate::verdict::Phase;
use live::Live;

/// How many ended attempts may wait for their commit before no further one is begun.
const SETTLING_MAX: usize = 64;
/// Bodies of one claim, in bytes.
pub const CLAIM_BODY_BYTES_MAX: usize = 256 * 1024;
/// Rows of one claim.
const CLAIM_ROWS: std::ops::RangeInclusive<usize> = 4..=128;
/// What the store did not give is asked for again after so long.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// After a 429 one live redemption is tried so often.
const LIMITED_TRY_EVERY: Duration = Duration::from_secs(2);
/// The drain leaves a row whose till was turned away alone for so long: it is being decided about.
const TURNED_AWAY_FOR: Duration = Duration::from_secs(2);

/// What the settings say.
#[derive(Clone, Debug)]
pub struct Config {
    /// The link's part.
    pub link: link::LinkSettings,
    /// The evidence's part.
    pub terms: EvidenceTerms,
    /// Checks go where redemptions go.
    pub checks_show_the_link: bool,
}

/// A row that is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRow {
    /// Which.
    pub seq: Seq,
    /// The number of the attempt that is claimed.
    pub attempt: u32,
    /// The till that made it.
    pub till: Arc<str>,
    /// A 2xx of ours left for it.
    pub trusted: bool,
    /// Its body's bytes.
    pub bytes: usize,
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The drain.
    Backlog,
    /// A probe.
    Probe,
    /// A live row's next try, if its till still waits.
    Again(Seq),
}

/// Which rows are to be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What for.
    pub wanted: Wanted,
    /// These first, as far as they are pending and clear.
    pub prefer: Vec<Seq>,
    /// Then rows after this one, in order.
    pub after: Seq,
    /// None of these, in order.
    pub except: Vec<Seq>,
    /// No row of this till.
    pub not_from: Option<String>,
    /// At most so many rows.
    pub rows_max: usize,
    /// Rows whose own wait is over.
    due: Vec<Seq>,
    demand: Option<Seq>,
    skips_denied: bool,
    renewals: u64,
}

/// What a waiting till is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The provider cannot be reached, or an operator holds the lane and lets tills be trusted:
    /// decide at once.
    Unreachable,
    /// It is not asked about now.
    TurnedAway {
        /// What is left of the provider's `Retry-After`, seconds; `None`: the lane is busy or held.
        retry_after_s: Option<u64>,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub struct Landed<'a> {
    /// Whose.
    pub seq: Seq,
    /// What it means for the lane.
    pub heard: Heard,
    /// What was seen: no secret, no body.
    pub detail: &'a str,
    /// The kind of a refusal: its words, masked.
    pub kind: &'a str,
    /// The whole request was sent.
    pub whole: bool,
    /// The provider answered 401 or 403: not we have no credential.
    pub denied: bool,
}

/// How a check of the gateway's own ended.
#[derive(Clone, Copy, Debug)]
pub struct CheckEnd<'a> {
    /// When it was sent.
    pub sent: Duration,
    /// What it means.
    pub heard: Heard,
    /// What was seen.
    pub detail: &'a str,
    /// The whole request was sent.
    pub whole: bool,
}

/// What happens to a lane.
#[derive(Clone, Debug)]
pub enum LaneEvent<'a> {
    /// A till waits for this row, which is claimed.
    HandedOver(ClaimedRow),
    /// What a claim gave; `None`: the store takes nothing now.
    Claimed(Ask, Option<Vec<ClaimedRow>>),
    /// An attempt ended; its settling has been begun.
    Landed(Landed<'a>),
    /// The row was taken back before a byte left.
    Withdrawn(Seq),
    /// The end of an attempt is committed: whether the row is still pending.
    Settled(Seq, bool),
    /// The store has written now what it had refused: the end of an attempt, or that rows are not
    /// claimed any more. A claim that was made meanwhile did not find these rows.
    WrittenLate,
    /// A check of the gateway's own ended.
    Checked(CheckEnd<'a>),
    /// A till's check was answered, by strong evidence or weak.
    CheckHeard(bool),
    /// A row waits that was not handed over.
    Signalled(Seq),
    /// Something else.
    Nudged(Nudge),
    /// An operator holds the lane.
    Hold {
        /// Who, and why.
        detail: String,
        /// Tills are trusted meanwhile.
        trust: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send a claimed row, and note with `Progress` when all of it has left.
    Send(Seq, Progress),
    /// Claim rows.
    Claim(Ask),
    /// Send a check of a made-up code; it began at that time.
    Check(Duration, Progress),
    /// Tell the till that waits for this row.
    Tell(Seq, Told),
    /// Give back rows that were claimed and not sent.
    Unclaim(Vec<(Seq, u32)>),
    /// Leave every connection.
    DropPool,
    /// The link's phase or its cause changed: publish, keep and log it.
    Changed,
}

#[derive(Clone, Debug)]
struct Flight {
    row: ClaimedRow,
    live: bool,
    sent: Duration,
}

/// The one row that is left to probe with: nobody else tells whose fault it is that it is not
/// answered.
#[derive(Clone, Copy, Debug)]
struct LastLeft {
    seq: Seq,
    sent: Duration,
    failed: Option<Duration>,
}

/// One lane: its link, its rows' own waits, who is suspect, what tills wait for, and where the
/// backlog is claimed.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Config,
    link: Link,
    dice: Dice,
    waits: Waits,
    suspects: Suspects,
    evidence: TrustEvidence,
    live: Live,
    backlog: VecDeque<ClaimedRow>,
    flying: BTreeMap<Seq, Flight>,
    /// Rows whose answer is being settled.
    answered: BTreeSet<Seq>,
    settling: usize,
    claiming: bool,
    /// The store took nothing: no claim before.
    claim_from: Duration,
    /// Counts what may have brought rows into the backlog.
    renewals: u64,
    /// The last look at the backlog found its end, and it was begun after this many renewals.
    exhausted_at: Option<u64>,
    /// The last look for another till's rows found none, after this many renewals.
    nobody_else_at: Option<u64>,
    /// The backlog is claimed in order after this row.
    after: Seq,
    /// Probes rotate: the next one takes a row after this one.
    probed: Seq,
    demand: Option<Seq>,
    /// The last probe was looked for among rows whose own wait was over.
    probed_due: bool,
    /// The row of the last probe.
    probed_last: Option<Seq>,
    /// The probes came back to the row of the last one.
    last_left: Option<LastLeft>,
    /// After a 429 the next live try comes then.
    limited_try_at: Duration,
    /// Whose row the last such try was.
    limited_try_of: Option<Arc<str>>,
    stopping: bool,
    actions: Vec<Action>,
}

impl Scheduler {
    /// A lane at start. `outages` are those of the last process.
    #[must_use]
    pub fn new(config: Config, seed: u64, outages: Outages) -> Self {
        Self {
            link: Link::new(config.link.clone(), seed, outages),
            evidence: TrustEvidence::new(config.terms),
            config,
            dice: Dice::new(seed ^ 0x5eed),
            waits: Waits::default(),
            suspects: Suspects::default(),
            live: Live::default(),
            backlog: VecDeque::new(),
            flying: BTreeMap::new(),
            answered: BTreeSet::new(),
            settling: 0,
            claiming: false,
            claim_from: Duration::ZERO,
            renewals: 0,
            exhausted_at: None,
            nobody_else_at: None,
            after: Seq(0),
            probed: Seq(0),
            demand: None,
            probed_due: false,
            probed_last: None,
            last_left: None,
            limited_try_at: Duration::ZERO,
            limited_try_of: None,
            stopping: false,
            actions: Vec::new(),
        }
    }

    /// Where the lane stands.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// To bring a fresh link to where the last process left it.
    pub fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }

    /// What speaks for trusting a till.
    #[must_use]
    pub fn evidence(&self) -> &TrustEvidence {
        &self.evidence
    }

    /// Rows that wait alone, since they are to blame themselves.
    pub fn suspects(&self) -> impl Iterator<Item = Seq> {
        self.suspects.suspect()
    }

    /// The row waits alone, since it is to blame itself.
    #[must_use]
    pub fn is_suspect(&self, seq: Seq) -> bool {
        self.suspects.are_suspect(&[seq])
    }

    /// Attempts on the wire.
    #[must_use]
    pub fn flying(&self) -> Flying {
        let live = self.live.flying();
        let all = u32::try_from(self.flying.len()).unwrap_or(u32::MAX);
        Flying { backlog: all.saturating_sub(live), live }
    }

    /// Which rows are on the wire, and by which attempt.
    #[must_use]
    pub fn on_the_wire(&self) -> Vec<(Seq, u32)> {
        self.flying.values().map(|flight| (flight.row.seq, flight.row.attempt)).collect()
    }

    /// Rows that tills wait for.
    #[must_use]
    pub fn live_rows(&self) -> usize {
        self.live.len()
    }

    /// Live redemptions are taken.
    #[must_use]
    pub fn takes_live(&self) -> bool {
        self.link.may_ask() && !self.stopping
    }

    /// Whether the lane has to hear of a row that waits. A claim that is on its way may not find
    /// it.
    #[must_use]
    pub fn wants_signal(&self) -> bool {
        let is_up = self.link.phase() == link::LinkPhase::Up;
        is_up || self.claiming || self.link.wants_demand()
    }

    /// New settings; the state stays.
    pub fn reconfigure(&mut self, config: Config) {
        self.link.reconfigure(config.link.clone());
        self.evidence.reconfigure(config.terms);
        self.config = config;
    }

    /// Nothing is begun any more; what is claimed is given back.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Something happened.
    pub fn on(&mut self, now: Duration, event: LaneEvent<'_>) {
        match event {
            LaneEvent::HandedOver(row) => {
                let before = self.live.insert(row, now + self.config.terms.reply_within);
                self.give_back(before);
            }
            LaneEvent::Claimed(ask, rows) => self.claimed(now, &ask, rows),
            LaneEvent::Landed(landed) => self.landed(now, &landed),
            LaneEvent::Withdrawn(seq) => self.withdrawn(seq),
            LaneEvent::Settled(seq, pending) => self.settled(now, seq, pending),
            LaneEvent::WrittenLate => {
                self.look_from_the_start();
                // Nor did a probe find them, and the next one may be far.
                self.nudged(now, Nudge::Demand);
            }
            LaneEvent::Checked(checked) => self.checked(now, &checked),
            LaneEvent::CheckHeard(strong) => {
                self.evidence.heard(now);
                let effects = self.link.check_answered(now, strong);
                self.apply(effects);
            }
            LaneEvent::Signalled(seq) => {
                self.demand = Some(seq).filter(|seq| *seq > Seq(0)).or(self.demand);
                self.nudged(now, Nudge::Demand);
            }
            LaneEvent::Nudged(nudge) => self.nudged(now, nudge),
            LaneEvent::Hold { detail, trust } => {
                let effects = self.link.hold_by(now, detail, trust);
                self.apply(effects);
            }
        }
    }

    /// Everything that is to be done now.
    pub fn work(&mut self, now: Duration) -> Vec<Action> {
        if self.stopping || !self.link.is_up(now) {
            let rows = std::mem::take(&mut self.backlog);
            self.give_back(rows);
        }
        self.turn_away_overdue(now);
        self.decide_about_live(now);
        if !self.stopping {
            self.send_live(now);
            self.try_live_again(now);
            self.send_backlog(now);
            self.claim_if_needed(now);
            self.check_if_needed(now);
        }
        std::mem::take(&mut self.actions)
    }

    /// When the lane has to be looked at without an event.
    #[must_use]
    pub fn next_moment(&self, now: Duration) -> Option<Duration> {
        let check = self.check_due(now).filter(|_| self.link.trust(now) == Trust::Unanswered);
        let claim = (self.claim_from > now).then_some(self.claim_from);
        let limited = self.link.limited(now).is_some() && self.live.len() > 0;
        let tries = limited.then_some(self.limited_try_at);
        let all = [
            self.link.next_moment(now),
            self.waits.next_moment(),
            self.live.next_moment(),
            check,
            claim,
            tries,
        ];
        all.into_iter().flatten().filter(|at| *at > now).min()
    }

    // What tills wait for.

    fn turn_away_overdue(&mut self, now: Duration) {
        let retry_after_s = self.link.limited(now).map(|left| left.as_secs().max(1));
        for seq in self.live.overdue(now) {
            // On the wire or between two tries: the till's own time ends its wait.
            if let Some(row) = self.live.remove(seq) {
                self.tell(now, seq, Told::TurnedAway { retry_after_s });
                self.give_back([row]);
            }
        }
    }

    /// Tells tills that cannot be asked for now.
    fn decide_about_live(&mut self, now: Duration) {
        if self.live.len() == 0 {
            return;
        }
        let limited = self.link.limited(now);
        let (rows, told) = match self.link.trust(now) {
            _ if self.stopping => (self.live.unsent(), Told::TurnedAway { retry_after_s: None }),
            Trust::AtOnce { .. } => (self.live.unsent(), Told::Unreachable),
            _ if !self.link.may_ask() => {
                (self.live.unsent(), Told::TurnedAway { retry_after_s: None })
            }
            Trust::Never if limited.is_some() => {
                let retry_after_s = limited.map(|left| left.as_secs().max(1));
                (self.live.beyond_one_a_till(), Told::TurnedAway { retry_after_s })
            }
            Trust::Never | Trust::Unanswered => return,
        };
        let mut unsent = Vec::new();
        for seq in rows {
            unsent.extend(self.live.remove(seq));
            self.tell(now, seq, told);
        }
        self.give_back(unsent);
    }

    fn tell(&mut self, now: Duration, seq: Seq, told: Told) {
        if matches!(told, Told::TurnedAway { .. }) {
            self.waits.holds_off(seq, now + TURNED_AWAY_FOR);
        }
        self.renewals += 1;
        self.actions.push(Action::Tell(seq, told));
    }

    fn send_live(&mut self, now: Duration) {
        if !self.takes_live() {
            return;
        }
        let limited = self.link.limited(now).is_some();
        while self.settling < SETTLING_MAX && !(limited && now < self.limited_try_at) {
            if let Some(till) = self.limited_try_of.as_ref().filter(|_| limited) {
                self.live.goes_last(till);
            }
            let Some(row) = self.live.take() else { break };
            if limited {
                self.limited_try_at = now + LIMITED_TRY_EVERY;
                self.limited_try_of = Some(Arc::clone(&row.till));
            }
            self.send(now, row, true);
        }
    }

    fn try_live_again(&mut self, now: Duration) {
        for seq in self.live.due(now) {
            let ask =
                Ask { prefer: vec![seq], after: Seq(i64::MAX), ..self.ask(Wanted::Again(seq), 1) };
            self.actions.push(Action::Claim(ask));
        }
    }

    /// When a check is due for a till's sake, or beside a probe of the one row that is left; none
    /// beside a probe that was told to wait, for what the provider asked binds a check as well.
    fn check_due(&self, now: Duration) -> Option<Duration> {
        let beside = |last: LastLeft| self.evidence.check_due_beside(now, last.sent, last.failed);
        let may_ask = self.link.why().is_some() && self.link.waiting(now).is_none();
        let probe = self.last_left.filter(|_| may_ask).and_then(beside);
        self.evidence.check_due(now).into_iter().chain(probe).min()
    }

    fn check_if_needed(&mut self, now: Duration) {
        let due = self.check_due(now).is_some_and(|at| at <= now);
        if due && self.takes_live() && self.link.trust(now) == Trust::Unanswered {
            let progress = self.evidence.check_begun(now);
            self.actions.push(Action::Check(now, progress));
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others say nothing here")]
    fn checked(&mut self, now: Duration, checked: &CheckEnd<'_>) {
        let end = end_of(checked.heard, checked.whole);
        self.evidence.check_ended(now, checked.sent, end);
        if checked.heard.speaks().is_some() && self.last_left.is_some() {
            for blamed in self.suspects.checked(Span { sent: checked.sent, ended: now }) {
                self.fails_alone(now, blamed);
            }
        }
        let effects = match checked.heard {
            Heard::Declined { strong } | Heard::InProgress { strong } => {
                self.link.check_answered(now, strong)
            }
            Heard::Confirmed | Heard::Parked => self.link.check_answered(now, true),
            // Another host's link says nothing of this one's: a wrong `check_url` must not open the
            // lane.
            Heard::NoAnswer(phase)
                if phase != Phase::Credential && self.config.checks_show_the_link =>
            {
                self.link.check_failed(now, phase, checked.detail)
            }
            Heard::Wait { at_least: Some(at_least), .. } if self.config.checks_show_the_link => {
                self.link.check_told_to_wait(now, at_least)
            }
            _ => Effects::default(),
        };
        self.apply(effects);
    }

    // The drain.

    fn send_backlog(&mut self, now: Duration) {
        self.pass_over();
        while self.settling < SETTLING_MAX && self.link.may_send_backlog(now, self.flying()) {
            let Some(row) = self.backlog.pop_front() else { break };
            self.send(now, row, false);
        }
    }

    fn is_passed_over(&self) -> Option<&str> {
        self.link.streak().passed_over().filter(|_| self.nobody_else_at != Some(self.renewals))
    }

    /// The rows of a till that alone was refused go last.
    fn pass_over(&mut self) {
        let Some(till) = self.is_passed_over() else { return };
        let is_of = |row: &ClaimedRow| *row.till == *till;
        if self.backlog.iter().any(is_of) {
            let (back, stay): (Vec<_>, Vec<_>) = self.backlog.iter().cloned().partition(is_of);
            self.backlog = stay.into();
            self.give_back(back);
        }
    }

    fn send(&mut self, now: Duration, row: ClaimedRow, live: bool) {
        let suspect = self.suspects.are_suspect(&[row.seq]);
        let asker = RowAsker { till: &row.till, live, suspect };
        let progress = self.evidence.begun(now, row.seq, asker);
        self.actions.push(Action::Send(row.seq, progress));
        self.flying.insert(row.seq, Flight { row, live, sent: now });
    }

    /// Rows that were claimed and not sent lose their claim in one batch.
    fn give_back(&mut self, rows: impl IntoIterator<Item = ClaimedRow>) {
        let rows: Vec<_> = rows.into_iter().map(|row| (row.seq, row.attempt)).collect();
        if !rows.is_empty() {
            self.look_from_the_start();
            self.actions.push(Action::Unclaim(rows));
        }
    }

    /// Rows that are not claimed any more may have lower numbers than those that were claimed last.
    fn look_from_the_start(&mut self) {
        self.after = Seq(0);
        self.renewals += 1;
    }

    fn claim_if_needed(&mut self, now: Duration) {
        if self.claiming || self.settling >= SETTLING_MAX || now < self.claim_from {
            return;
        }
        if self.link.may_probe(now) {
            return self.claim_probe(now, true);
        }
        if self.waits.next_moment().is_some_and(|due| due <= now) {
            self.renewals += 1;
        }
        let window = usize::try_from(self.link.window()).unwrap_or(1);
        let may = self.link.may_send_backlog(now, Flying::default());
        if may && self.exhausted_at != Some(self.renewals) && self.backlog.len() <= window {
            let rows_max = (window * 8).clamp(*CLAIM_ROWS.start(), *CLAIM_ROWS.end());
            let due = self.waits.take_due(now, rows_max);
            let not_from = self.is_passed_over().map(str::to_owned);
            let after = self.after;
            let ask = Ask {
                prefer: due.clone(),
                due,
                after,
                not_from,
                ..self.ask(Wanted::Backlog, rows_max)
            };
            self.claim(ask);
        }
    }

    fn ask(&self, wanted: Wanted, rows_max: usize) -> Ask {
        let (prefer, due) = (Vec::new(), Vec::new());
        let (except, not_from) = (self.except(false), None);
        let (demand, skips_denied, renewals) = (None, false, self.renewals);
        Ask {
            wanted,
            prefer,
            after: Seq(0),
            except,
            not_from,
            rows_max,
            due,
            demand,
            skips_denied,
            renewals,
        }
    }

    /// Rows that wait their own backoff, or for which a till waits.
    fn except(&self, denied: bool) -> Vec<Seq> {
        let mut except = self.waits.waiting();
        except.extend(self.live.all());
        if denied {
            except.extend(self.suspects.undecided());
        }
        except.sort_unstable();
        except.dedup();
        except
    }

    fn claim(&mut self, ask: Ask) {
        self.claiming = true;
        self.actions.push(Action::Claim(ask));
    }

    /// Where the credential was refused, another row than those it was refused for tells whose
    /// fault it is. Rows that have waited alone take turns with those that come in order.
    fn claim_probe(&mut self, now: Duration, skips_denied: bool) {
        let demand = self.demand.take();
        let on_demand = self.link.probes_on_demand_alone();
        let takes_due = demand.is_none() && !on_demand && !self.probed_due;
        let due = if takes_due { self.waits.take_due(now, 1) } else { Vec::new() };
        self.probed_due = !due.is_empty();
        let after = if on_demand { Seq(i64::MAX) } else { self.probed };
        let prefer = demand.into_iter().chain(due.iter().copied()).collect();
        let except = self.except(skips_denied);
        let ask = self.ask(Wanted::Probe, 1);
        self.claim(Ask { prefer, after, except, due, demand, skips_denied, ..ask });
    }

    fn claimed(&mut self, now: Duration, ask: &Ask, rows: Option<Vec<ClaimedRow>>) {
        if let Wanted::Again(seq) = ask.wanted {
            return self.claimed_again(now, seq, rows);
        }
        self.claiming = false;
        let Some(rows) = rows else {
            self.waits.put_back(&ask.due, now);
            self.demand = self.demand.or(ask.demand);
            self.claim_from = now + STORE_RETRY;
            return;
        };
        self.forget_gone(ask, &rows);
        if self.stopping {
            return self.give_back(rows);
        }
        if ask.wanted == Wanted::Probe {
            self.claimed_probe(now, ask, rows);
        } else {
            self.claimed_backlog(now, ask, rows);
        }
    }

    /// Rows that were due and are not there to be claimed: they were settled or taken back, and no
    /// word of that came here.
    fn forget_gone(&mut self, ask: &Ask, rows: &[ClaimedRow]) {
        let bytes: usize = rows.iter().map(|row| row.bytes).sum();
        if ask.not_from.is_some() || bytes >= CLAIM_BODY_BYTES_MAX {
            return;
        }
        for seq in &ask.due {
            if !self.live.waits_for(*seq) && rows.iter().all(|row| row.seq != *seq) {
                self.waits.settled(*seq);
                self.suspects.settled(*seq);
            }
        }
    }

    fn claimed_again(&mut self, now: Duration, seq: Seq, rows: Option<Vec<ClaimedRow>>) {
        if self.live.is_claiming(seq) {
            match &rows {
                None => self.live.rests(seq, now + STORE_RETRY),
                Some(rows) if rows.is_empty() => drop(self.live.remove(seq)),
                Some(_) => {}
            }
        }
        let rows = rows.into_iter().flatten();
        let not_waited_for: Vec<_> = rows.filter_map(|row| self.live.claimed(row)).collect();
        self.give_back(not_waited_for);
    }

    fn claimed_probe(&mut self, now: Duration, ask: &Ask, rows: Vec<ClaimedRow>) {
        let Some(row) = rows.into_iter().next() else { return self.no_probe(now, ask) };
        if ask.demand != Some(row.seq) && !ask.due.contains(&row.seq) {
            self.probed = row.seq;
        }
        if !self.link.may_probe(now) {
            self.demand = self.demand.or(ask.demand);
            return self.backlog.push_back(row);
        }
        self.link.probing(now, row.seq);
        let is_last = self.probed_last.replace(row.seq) == Some(row.seq);
        self.last_left = is_last.then_some(LastLeft { seq: row.seq, sent: now, failed: None });
        self.send(now, row, false);
    }

    fn no_probe(&mut self, now: Duration, ask: &Ask) {
        // The claim did not see what came after it was sent: another one does.
        if ask.renewals != self.renewals {
            return;
        }
        let on_demand = self.link.probes_on_demand_alone();
        let is_due = self.waits.next_moment().is_some_and(|due| due <= now);
        if (ask.after > Seq(0) || is_due) && !on_demand {
            self.probed = Seq(0);
            return self.claim_probe(now, ask.skips_denied);
        }
        if ask.skips_denied && self.suspects.undecided().next().is_some() && !on_demand {
            return self.claim_probe(now, false);
        }
        let (first_due, is_theirs) = (self.waits.next_moment(), self.waits_for_suspects_alone());
        let effects = self.link.nothing_to_probe(now, first_due, is_theirs);
        self.apply(effects);
    }

    /// What keeps the lane down may be one row's, and those that wait are to blame themselves: they
    /// are no probes.
    fn waits_for_suspects_alone(&self) -> bool {
        let may_be_a_rows =
            matches!(self.link.phase(), link::LinkPhase::Down(why) if !why.cause.is_unreachable());
        may_be_a_rows && self.suspects.are_suspect(&self.waits.waiting())
    }

    fn claimed_backlog(&mut self, now: Duration, ask: &Ask, rows: Vec<ClaimedRow>) {
        let last = rows.iter().map(|row| row.seq).filter(|seq| !ask.due.contains(seq)).max();
        self.after = last.unwrap_or(ask.after);
        let bytes: usize = rows.iter().map(|row| row.bytes).sum();
        if rows.len() < ask.rows_max && bytes < CLAIM_BODY_BYTES_MAX {
            self.found_the_end(now, ask, rows.is_empty());
        }
        self.backlog.extend(rows);
    }

    fn found_the_end(&mut self, now: Duration, ask: &Ask, nothing: bool) {
        // From the start again: rows that were passed over have a lower number.
        self.after = Seq(0);
        let whole = ask.after == Seq(0);
        if ask.not_from.is_none() {
            self.exhausted_at = whole.then_some(ask.renewals);
        } else if whole && nothing {
            self.nobody_else_at = Some(ask.renewals);
            self.hear_of_nobody_else(now);
        }
    }

    /// Nobody else's row has come since that was looked for either.
    fn hear_of_nobody_else(&mut self, now: Duration) {
        if self.nobody_else_at == Some(self.renewals) {
            let effects = self.link.nobody_else(now);
            self.apply(effects);
        }
    }

    // What ended.

    fn withdrawn(&mut self, seq: Seq) {
        let Some(flight) = self.flying.remove(&seq) else { return };
        if flight.live {
            self.live.landed(&flight.row.till);
        }
        let queued = self.live.remove(seq);
        self.evidence.withdrawn(seq);
        self.link.probe_withdrawn(seq);
        self.give_back(queued.into_iter().chain([flight.row]));
    }

    fn landed(&mut self, now: Duration, landed: &Landed<'_>) {
        let Some(flight) = self.flying.remove(&landed.seq) else { return };
        let Landed { seq, heard, .. } = *landed;
        self.settling += 1;
        if flight.live {
            self.live.landed(&flight.row.till);
        }
        let first_fault = self.waits.is_first(seq);
        let suspect = self.weigh(now, landed, &flight);
        if suspect {
            self.evidence.blamed(seq);
        }
        self.evidence.ended(now, seq, end_of(heard, landed.whole));
        let was_up = self.link.is_up(now);
        let ended = EndedAttempt {
            seq,
            till: &flight.row.till,
            sent: flight.sent,
            heard,
            detail: landed.detail,
            kind: landed.kind,
            first_fault,
            suspect,
            live: flight.live,
            trusted: flight.row.trusted,
        };
        let effects = self.link.ended(now, &ended);
        if !heard.is_answer() || !was_up {
            self.renewals += 1;
        }
        self.apply(effects);
        // Who was told to wait comes after others when the lane may go on: it may be told so alone.
        if let Heard::Wait { at_least, .. } = heard {
            let left = self.link.waiting(now).max(at_least).unwrap_or_default();
            self.waits.holds_off(seq, now + left + self.config.link.retry_min);
        }
        self.hear_of_nobody_else(now);
        self.tell_live(now, seq, heard);
    }

    /// What the end says of the row itself: whether it is suspect, and how long it waits alone.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others say nothing here")]
    fn weigh(&mut self, now: Duration, landed: &Landed<'_>, flight: &Flight) -> bool {
        let (Landed { seq, heard, denied, .. }, sent) = (*landed, flight.sent);
        if heard.speaks().is_some() {
            (self.probed_last, self.last_left) = (None, None);
            for blamed in self.suspects.answered(seq, Span { sent, ended: now }, flight.live) {
                self.fails_alone(now, blamed);
            }
        }
        if heard.is_answer() {
            self.answered.insert(seq);
            return false;
        }
        let is_last = self.last_left.is_some_and(|last| last.seq == seq);
        if let Some(last) = self.last_left.as_mut().filter(|_| is_last) {
            last.failed = Some(now);
        }
        let with_others = heard == Heard::Reset && self.link.broke_since(sent);
        let suspect = match heard {
            Heard::Credential => denied && self.suspects.denied(seq),
            Heard::Wait { .. } => self.suspects.told_to_wait(seq, now),
            Heard::NoAnswer(Phase::Write | Phase::Answer) => {
                self.suspects.silent(seq, Span { sent, ended: now }, is_last)
            }
            Heard::NotTheProvider | Heard::Reset => !with_others && self.suspects.faulted(seq),
            _ => false,
        };
        let alone = matches!(
            heard,
            Heard::RowFault { .. } | Heard::Reset | Heard::InProgress { .. } | Heard::Unreadable
        );
        let waits_no_longer =
            with_others || (alone && !suspect && self.is_no_fault_of_its_own(seq, flight));
        if waits_no_longer {
            self.waits.failed_with_others(seq, now, self.config.link.retry_min, &mut self.dice);
        } else if suspect || alone {
            self.fails_alone(now, seq);
        }
        suspect
    }

    /// A provider that several rows have found faulty is to blame itself: were its rows to wait
    /// ever longer, nobody would find out for so long that it is well again. And how often a till
    /// asks again is not the row's doing.
    fn is_no_fault_of_its_own(&self, seq: Seq, flight: &Flight) -> bool {
        let is_the_providers = self.link.why().is_some_and(|why| why.cause == Cause::Provider);
        is_the_providers || (flight.live && !self.waits.is_first(seq))
    }

    fn fails_alone(&mut self, now: Duration, seq: Seq) {
        self.waits.failed(seq, now, self.config.link.retry_min, &mut self.dice);
    }

    /// A live row whose attempt ended: its till is told, or it is tried again.
    fn tell_live(&mut self, now: Duration, seq: Seq, heard: Heard) {
        if heard.is_answer() {
            return self.live.answered(seq);
        }
        if !self.live.waits_for(seq) {
            return;
        }
        let limited = if let Heard::Wait { limited: true, at_least } = heard {
            Some(self.link.limited(now).or(at_least).unwrap_or_default())
        } else {
            None
        };
        let told = match (limited, self.link.trust(now)) {
            (Some(left), _) => Told::TurnedAway { retry_after_s: Some(left.as_secs().max(1)) },
            (None, Trust::AtOnce { .. }) => Told::Unreachable,
            _ if !self.takes_live() => Told::TurnedAway { retry_after_s: None },
            _ => return self.live.failed(seq, now),
        };
        let queued = self.live.remove(seq);
        self.give_back(queued);
        self.tell(now, seq, told);
    }

    fn settled(&mut self, now: Duration, seq: Seq, pending: bool) {
        self.settling = self.settling.saturating_sub(1);
        let answered = self.answered.remove(&seq);
        if !pending {
            self.waits.settled(seq);
            self.suspects.settled(seq);
            let queued = self.live.remove(seq);
            self.give_back(queued);
        } else if answered {
            // It was answered, and is not to be believed yet: it waits its own backoff.
            self.fails_alone(now, seq);
            self.live.settled(seq);
        }
    }

    fn nudged(&mut self, now: Duration, nudge: Nudge) {
        self.renewals += 1;
        if matches!(nudge, Nudge::Flush) {
            for seq in self.waits.waiting() {
                self.waits.is_due(seq, now);
            }
        }
        if matches!(nudge, Nudge::CredentialChanged | Nudge::Release) {
            for seq in self.suspects.credential_changed() {
                self.waits.is_due(seq, now);
            }
        }
        let effects = self.link.nudged(now, nudge);
        self.apply(effects);
        // A hold forgets when the probe for it was to come.
        if matches!(nudge, Nudge::Release) && self.demand.is_some() {
            self.link.nudged(now, Nudge::Demand);
        }
    }

    fn apply(&mut self, effects: Effects) {
        if effects.drop_pool {
            self.actions.push(Action::DropPool);
        }
        if effects.unclaim {
            let rows = std::mem::take(&mut self.backlog);
            self.give_back(rows);
        }
        if effects.changed {
            self.renewals += 1;
            self.actions.push(Action::Changed);
        }
    }

    /// Whether the drain is held for declines after the fact, this row among them.
    #[must_use]
    pub fn is_held_for(&self, seq: Seq) -> bool {
        let held = self.link.why().is_some_and(|why| why.cause == Cause::Declines);
        held && self.link.streak().rows().contains(&seq)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others are no answer")]
fn end_of(heard: Heard, whole: bool) -> End {
    match heard {
        heard if heard.is_answer() => End::Answered,
        Heard::InProgress { .. } => End::InProgress,
        Heard::Wait { limited: true, .. } => End::Limited,
        _ => End::Unanswered { whole },
    }
}
