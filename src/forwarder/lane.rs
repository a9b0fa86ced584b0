//! One lane's loop: it asks the link what may be done, does it, and tells the link what happened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Context, Road, STOP_GRACE, ending, memory, waits::Waits};
use crate::clock::rfc3339;
use crate::link::{self, Dice, Effects, Flying, Link, Nudge, Phase, Suspects};
use crate::queue::{Gate, LIVE_ROWS_MAX, Lane, LaneCommand, LaneSettings, Mailboxes, QueueError, Told};
use crate::redemption::{Fingerprint, Seq, State};
use crate::store::{Claim, Claimed, Ended, Event, Settled};
use crate::verdict::{self, Outcome, Rules, Verdict};

/// How many ended attempts may wait for their commit before no further one is begun.
const SETTLING_MAX: usize = 64;
/// Bodies of one claim, in bytes.
const CLAIM_BODY_BYTES_MAX: usize = 256 * 1024;
/// Rows of one claim.
const CLAIM_ROWS: std::ops::RangeInclusive<usize> = 4..=128;
/// A settlement or a memory that the store did not take is offered again after this long.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// While a lane is not up, how long its outage has lasted is kept this often, or whenever it has grown by this part:
/// what a crash forgets of it is small beside it, and a long outage does not wear the disk.
const MEMORY_EVERY: Duration = Duration::from_secs(60);
const MEMORY_PART: u32 = 60;

/// Why a row is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Live,
    Backlog,
}

/// Something that went on beside the loop has ended.
enum Finished {
    Attempt { row: Claimed, why: Why, sent: Duration, outcome: Option<Outcome> },
    Claim { asked: Asked, rows: Result<Vec<Claimed>, QueueError> },
    Settling { seq: Seq, settled: Option<Settled> },
    Errand,
}

/// What a claim was for.
struct Asked {
    probe: bool,
    /// The row whose coming asked for a probe.
    demand: Option<Seq>,
    due: Vec<Seq>,
    after: Seq,
    rows_max: usize,
    renewals: u64,
}

/// One lane's forwarder.
pub struct Forwarder<R> {
    lane: Arc<Lane>,
    settings: Arc<LaneSettings>,
    rules: Rules,
    mailboxes: Option<Mailboxes>,
    context: Context<R>,
    road: Arc<R>,
    link: Link,
    dice: Dice,
    epoch: Instant,
    flying: Flying,
    settling: usize,
    backlog: VecDeque<Claimed>,
    live: VecDeque<Claimed>,
    tasks: JoinSet<Finished>,
    waits: Waits,
    suspects: Suspects,
    claiming: bool,
    /// Counts what may have brought rows into the backlog.
    renewals: u64,
    /// The last look at the backlog found its end, and it was begun after this many renewals.
    exhausted_at: Option<u64>,
    /// The backlog is claimed in order after this row.
    after: Seq,
    /// Probes rotate: the next one takes a row after this one.
    probed: Seq,
    demand: Option<Seq>,
    since_ms: i64,
    remembered_at: Duration,
    stopping: bool,
}

impl<R: Road> Forwarder<R> {
    /// A lane's forwarder, its link where the last process left it.
    pub(super) async fn new(lane: Arc<Lane>, mailboxes: Mailboxes, context: Context<R>) -> Result<Self, String> {
        let settings = lane.settings();
        let road = Arc::new((context.make_road)(&settings)?);
        let kept = context.queue.memory(lane.name()).await.map_err(|error| error.to_string())?;
        let carried = memory::carried_outage(&kept, &context.clock);
        let config = link_config(&settings, &context.gateway);
        let mut link = Link::new(config, context.seed, carried);
        memory::restore(&mut link, &kept, &context.clock, Duration::ZERO);
        let since_ms = kept.hold.as_ref().map_or(context.clock.stamp().unix_ms, |hold| hold.since_ms);
        Ok(Self {
            lane,
            rules: rules(&settings),
            settings,
            mailboxes: Some(mailboxes),
            road,
            link,
            dice: Dice::new(context.seed ^ 0x5eed),
            epoch: Instant::now(),
            context,
            flying: Flying::default(),
            settling: 0,
            backlog: VecDeque::new(),
            live: VecDeque::new(),
            tasks: JoinSet::new(),
            waits: Waits::default(),
            suspects: Suspects::default(),
            claiming: false,
            renewals: 0,
            exhausted_at: None,
            after: Seq(0),
            probed: Seq(0),
            demand: None,
            since_ms,
            remembered_at: Duration::ZERO,
            stopping: false,
        })
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Works until the daemon stops or the lane's mailboxes are gone.
    pub async fn run(mut self) {
        let Some(mut mail) = self.mailboxes.take() else { return };
        let lane = Arc::clone(&self.lane);
        let mut stop = self.context.stop.clone();
        let mut network = self.context.network.clone();
        let mut reloads = self.context.reloads.clone();
        self.show_phase();
        while !*stop.borrow() {
            // Before looking: a row that comes after the look must wake us. While down, only a demand for a probe does.
            if *self.link.phase() == Phase::Up || self.link.wants_demand() {
                lane.want_signal();
            }
            self.work();
            self.publish();
            let moment = self.next_moment();
            let held = is_held_for_credential(&self.link);
            let road = Arc::clone(&self.road);
            tokio::select! {
                _ = stop.changed() => {}
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => self.finished(finished),
                Some(row) = mail.live.recv(), if self.live.len() < LIVE_ROWS_MAX => self.live.push_back(row),
                Some(told) = mail.commands.recv() => self.told(told),
                seq = lane.signalled() => self.signalled(seq),
                () = lane.reconfigured() => self.reconfigure(),
                () = changed(&mut network) => self.network_changed(),
                () = changed(&mut reloads) => self.reloaded(),
                () = road.credential_changed(), if held => self.nudge(Nudge::CredentialChanged),
                () = tokio::time::sleep_until(moment), if moment > Instant::now() => {}
            }
        }
        self.stop(mail).await;
    }

    /// Begins everything that may begin now.
    fn work(&mut self) {
        let now = self.now();
        if !self.link.is_up(now) {
            self.give_back();
        }
        while self.settling < SETTLING_MAX && self.link.may_send_live(now, self.flying) {
            let Some(row) = self.live.pop_front() else { break };
            self.send(row, Why::Live);
        }
        while self.settling < SETTLING_MAX && self.link.may_send_backlog(now, self.flying) {
            let Some(row) = self.backlog.pop_front() else { break };
            self.send(row, Why::Backlog);
        }
        self.claim_if_needed(now);
        if self.memory_due(now).is_some_and(|due| due <= now) {
            self.remember(now);
        }
    }

    fn send(&mut self, row: Claimed, why: Why) {
        match why {
            Why::Live => self.flying.live += 1,
            Why::Backlog => self.flying.backlog += 1,
        }
        let (queue, road, sent) = (self.context.queue.clone(), Arc::clone(&self.road), self.now());
        self.tasks.spawn(async move {
            let outcome = if queue.begin(row.seq) { Some(road.redeem(&row).await) } else { None };
            Finished::Attempt { row, why, sent, outcome }
        });
    }

    fn claim_if_needed(&mut self, now: Duration) {
        if self.claiming || self.settling >= SETTLING_MAX {
            return;
        }
        if self.link.may_probe(now) {
            return self.claim(true, 1);
        }
        if self.waits.next_moment().is_some_and(|due| due <= now) {
            self.renewals += 1;
        }
        let window = usize::try_from(self.link.window()).unwrap_or(1);
        let may = self.link.may_send_backlog(now, Flying::default());
        if may && self.exhausted_at != Some(self.renewals) && self.backlog.len() <= window {
            self.claim(false, (window * 8).clamp(*CLAIM_ROWS.start(), *CLAIM_ROWS.end()));
        }
    }

    fn claim(&mut self, probe: bool, rows_max: usize) {
        let demand = if probe { self.demand.take() } else { None };
        let now = self.now();
        let due = if demand.is_some() { Vec::new() } else { self.waits.take_due(now, rows_max) };
        let after = if probe { self.probed } else { self.after };
        let claim = Claim {
            lane: self.lane.name().to_owned(),
            prefer: demand.into_iter().chain(due.iter().copied()).collect(),
            after,
            except: self.waits.waiting(),
            rows_max,
            body_bytes_max: CLAIM_BODY_BYTES_MAX,
        };
        let asked = Asked { probe, demand, due, after, rows_max, renewals: self.renewals };
        let queue = self.context.queue.clone();
        self.claiming = true;
        self.tasks.spawn(async move { Finished::Claim { rows: queue.claim(claim).await, asked } });
    }

    fn claimed(&mut self, asked: &Asked, rows: Result<Vec<Claimed>, QueueError>) {
        self.claiming = false;
        let now = self.now();
        let Ok(rows) = rows else {
            self.waits.put_back(&asked.due, now);
            return self.store_refused();
        };
        if asked.probe { self.claimed_probe(asked, rows, now) } else { self.claimed_backlog(asked, rows) }
    }

    fn claimed_probe(&mut self, asked: &Asked, rows: Vec<Claimed>, now: Duration) {
        let Some(row) = rows.into_iter().next() else {
            if asked.after > Seq(0) {
                self.probed = Seq(0);
                return self.claim(true, 1);
            }
            let effects = self.link.nothing_to_probe(now, self.waits.next_moment());
            return self.apply(effects);
        };
        if asked.demand != Some(row.seq) && !asked.due.contains(&row.seq) {
            self.probed = row.seq;
        }
        if !self.link.may_probe(now) {
            return self.backlog.push_back(row);
        }
        self.link.probing(now, row.seq);
        self.send(row, Why::Backlog);
    }

    fn claimed_backlog(&mut self, asked: &Asked, rows: Vec<Claimed>) {
        let last = rows.iter().map(|row| row.seq).filter(|seq| !asked.due.contains(seq)).max();
        self.after = last.unwrap_or(asked.after);
        let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
        if rows.len() < asked.rows_max && bytes < CLAIM_BODY_BYTES_MAX {
            // From the start again: rows that were passed over have a lower number.
            self.exhausted_at = (asked.after == Seq(0)).then_some(asked.renewals);
            self.after = Seq(0);
        }
        self.backlog.extend(rows);
    }

    /// The store takes nothing now: look again after a while.
    fn store_refused(&mut self) {
        self.claiming = true;
        self.tasks.spawn(async {
            tokio::time::sleep(STORE_RETRY).await;
            Finished::Claim {
                asked: Asked { probe: false, demand: None, due: Vec::new(), after: Seq(0), rows_max: 0, renewals: 0 },
                rows: Ok(Vec::new()),
            }
        });
    }

    fn finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        match finished {
            Ok(Finished::Attempt { row, why, sent, outcome }) => self.landed(&row, why, sent, outcome),
            Ok(Finished::Claim { asked, rows }) if asked.rows_max > 0 => self.claimed(&asked, rows),
            Ok(Finished::Claim { .. }) => self.claiming = false,
            Ok(Finished::Settling { seq, settled }) => self.settled(seq, settled),
            Ok(Finished::Errand) => {}
            Err(error) => tracing::error!(lane = self.lane.name(), %error, "a lane's task ended in a defect"),
        }
    }

    fn landed(&mut self, row: &Claimed, why: Why, sent: Duration, outcome: Option<Outcome>) {
        match why {
            Why::Live => self.flying.live -= 1,
            Why::Backlog => self.flying.backlog -= 1,
        }
        if let Some(outcome) = outcome {
            self.ended(row, sent, &outcome);
        } else {
            self.link.probe_withdrawn(row.seq);
            self.unclaim(vec![(row.seq, row.attempt)]);
        }
    }

    fn ended(&mut self, row: &Claimed, sent: Duration, outcome: &Outcome) {
        let verdict = verdict::judge(outcome, &self.rules);
        let ended = ending::for_row(outcome, &verdict);
        let detail = ending::detail(outcome, &verdict);
        let (lane, word) = (self.lane.name(), ending::word(&verdict));
        tracing::debug!(lane, id = %row.id, attempt = row.attempt, outcome = word, detail, "an attempt ended");
        // The row first: what the link remembers of a streak of declines is kept where they are settled.
        self.settle(row.clone(), ended);
        self.tell_link((row, sent), &ending::for_link(verdict, row), outcome, &detail);
    }

    fn tell_link(&mut self, (row, sent): (&Claimed, Duration), verdict: &Verdict, outcome: &Outcome, detail: &str) {
        let (now, seq) = (self.now(), row.seq);
        self.lane.publish(|status| *status.attempts.entry(ending::word(verdict)).or_default() += 1);
        self.tell_alerts(verdict, outcome, detail);
        let first_fault = self.waits.is_first(seq);
        let with_others = *verdict == Verdict::Reset && self.link.broke_since(sent);
        let suspect = ending::is_road_fault(verdict) && !with_others && self.suspects.faulted(seq);
        if ending::is_answer(verdict) {
            self.suspects.answered(seq);
            self.waits.settled(seq);
        }
        let retry_min = self.settings.forward.retry_min;
        if with_others {
            self.waits.failed_with_others(seq, now, retry_min, &mut self.dice);
        } else if suspect || matches!(verdict, Verdict::RowFault { .. } | Verdict::Reset) {
            self.waits.failed(seq, now, retry_min, &mut self.dice);
        }
        let was_up = self.link.is_up(now);
        let effects = self.link.ended(now, &link::Ended { seq, sent, verdict, detail, first_fault, suspect });
        if !ending::is_answer(verdict) || !was_up {
            self.renewals += 1;
        }
        self.apply(effects);
    }

    fn tell_alerts(&self, verdict: &Verdict, outcome: &Outcome, detail: &str) {
        let (alerts, lane) = (&self.context.alerts, self.lane.name());
        if ending::is_answer(verdict) {
            return alerts.delivered(lane);
        }
        let code = match outcome {
            Outcome::Answered(reply) => reply.answer.status,
            Outcome::Failed(_) => 0,
        };
        alerts.delivery_failed(lane, &self.settings.provider.redeem_url, code, detail);
    }

    /// Settles until the store has taken it: what was answered must not be asked again for want of a disk.
    fn settle(&mut self, row: Claimed, ended: Ended) {
        self.settling += 1;
        let (queue, mut stop) = (self.context.queue.clone(), self.context.stop.clone());
        self.tasks.spawn(async move {
            let (seq, attempt) = (row.seq, row.attempt);
            let settled = loop {
                match queue.settle(seq, attempt, ended.clone()).await {
                    Ok(settled) => break Some(settled),
                    Err(_) if *stop.borrow_and_update() => break None,
                    Err(_) => tokio::time::sleep(STORE_RETRY).await,
                }
            };
            report(&row, settled.as_ref());
            Finished::Settling { seq, settled }
        });
    }

    fn settled(&mut self, seq: Seq, settled: Option<Settled>) {
        self.settling -= 1;
        if settled.is_some_and(|settled| settled.state != State::Pending) {
            self.waits.settled(seq);
        }
        let held = matches!(self.link.phase(), Phase::Held(why) if why.cause == link::Cause::Declines);
        if held && self.link.alike_declines().contains(&seq) {
            self.remember(self.now());
        }
    }

    /// Rows that were claimed and not sent lose their claim in one batch.
    fn give_back(&mut self) {
        let rows: Vec<_> =
            self.live.drain(..).chain(self.backlog.drain(..)).map(|row| (row.seq, row.attempt)).collect();
        if !rows.is_empty() {
            self.after = Seq(0);
            self.renewals += 1;
            self.unclaim(rows);
        }
    }

    fn unclaim(&mut self, rows: Vec<(Seq, u32)>) {
        let queue = self.context.queue.clone();
        let stop = self.context.stop.clone();
        self.renewals += 1;
        self.tasks.spawn(async move {
            while queue.unclaim(rows.clone()).await.is_err() && !*stop.borrow() {
                tokio::time::sleep(STORE_RETRY).await;
            }
            Finished::Errand
        });
    }

    fn signalled(&mut self, seq: Seq) {
        self.renewals += 1;
        self.demand = Some(seq).filter(|seq| *seq > Seq(0));
        self.nudge(Nudge::Demand);
    }

    fn nudge(&mut self, nudge: Nudge) {
        let effects = self.link.nudged(self.now(), nudge);
        self.apply(effects);
    }

    fn network_changed(&mut self) {
        self.nudge(Nudge::Network);
        self.road.restart_unsent();
    }

    fn told(&mut self, (command, receipt): Told) {
        match command {
            LaneCommand::Flush => self.nudge(Nudge::Flush),
            LaneCommand::Hold { by } => {
                let effects = self.link.hold_by(self.now(), &by);
                self.record("hold", by);
                self.apply(effects);
            }
            LaneCommand::Release { by } => {
                self.record("release", by);
                self.nudge(Nudge::Release);
            }
            LaneCommand::Ping => {}
        }
        self.publish();
        if receipt.send(()).is_err() {
            tracing::debug!(lane = self.lane.name(), "nobody waits for a command's receipt any more");
        }
    }

    /// What an operator did to the lane: when and by whom.
    fn record(&mut self, what: &str, by: String) {
        let event = Event {
            at_ms: self.context.clock.stamp().unix_ms,
            id: None,
            lane: self.lane.name().to_owned(),
            what: what.to_owned(),
            by,
            detail: String::new(),
        };
        tracing::info!(lane = self.lane.name(), by = event.by, "an operator's {what}");
        let queue = self.context.queue.clone();
        self.tasks.spawn(async move {
            if let Err(error) = queue.record(event).await {
                tracing::warn!(%error, "an operator's action could not be recorded");
            }
            Finished::Errand
        });
    }

    fn reconfigure(&mut self) {
        let settings = self.lane.settings();
        match (self.context.make_road)(&settings) {
            Ok(road) => {
                self.road = Arc::new(road);
                self.link.reconfigure(link_config(&settings, &self.context.gateway));
                self.rules = rules(&settings);
                self.settings = settings;
                self.nudge(Nudge::Flush);
            }
            Err(error) => tracing::error!(lane = self.lane.name(), error, "the provider's new settings cannot be used"),
        }
    }

    fn reloaded(&mut self) {
        self.road.reload_credential();
        self.nudge(Nudge::Flush);
    }

    fn apply(&mut self, effects: Effects) {
        if effects.drop_pool {
            self.road.drop_pool();
        }
        if effects.unclaim {
            self.give_back();
        }
        if effects.changed {
            self.renewals += 1;
            self.show_phase();
            self.remember(self.now());
        }
    }

    /// When the outage is to be kept next.
    fn memory_due(&self, now: Duration) -> Option<Duration> {
        let every = MEMORY_EVERY.max(self.link.outage(now) / MEMORY_PART);
        (*self.link.phase() != Phase::Up).then(|| self.remembered_at + every)
    }

    /// Publishes and logs where the link stands.
    fn show_phase(&mut self) {
        let now = self.now();
        let stamp = self.context.clock.stamp().unix_ms;
        let (link, why) = match self.link.phase() {
            Phase::Up => ("up", None),
            Phase::Down(why) => ("down", Some(why.clone())),
            Phase::Held(why) => ("held", Some(why.clone())),
        };
        let for_a_person = why.as_ref().is_some_and(|why| why.cause.is_for_a_person());
        if let Some(why) = &why
            && !(for_a_person && now.is_zero())
        {
            self.since_ms = stamp.saturating_sub(i64::try_from(now.saturating_sub(why.since).as_millis()).unwrap_or(0));
        }
        let since = rfc3339(self.since_ms);
        let lane = self.lane.name();
        if let Some(why) = &why {
            let (cause, detail) = (why.cause.as_str(), &why.detail);
            tracing::warn!(lane, link, cause, detail, since, "{}", why.cause.explanation());
        } else {
            tracing::info!(lane, link, "the lane is up");
        }
        self.lane.publish(|status| {
            status.link = link;
            status.since = why.as_ref().map(|_| since);
            status.cause = why.as_ref().map(|why| why.cause.as_str().to_owned());
            status.explanation = why.as_ref().map(|why| why.cause.explanation().to_owned());
            status.detail = why.map(|why| why.detail);
        });
        self.context.phases.notify_one();
    }

    fn remember(&mut self, now: Duration) {
        self.remembered_at = now;
        let kept = memory::of(&self.link, self.since_ms, &self.context.clock, now);
        let streak = if kept.hold.is_some() { self.link.alike_declines().to_vec() } else { Vec::new() };
        let (queue, lane) = (self.context.queue.clone(), self.lane.name().to_owned());
        self.tasks.spawn(async move {
            if let Err(error) = queue.remember(&lane, kept, streak).await {
                tracing::warn!(lane, %error, "the link's state could not be kept for the next start");
            }
            Finished::Errand
        });
    }

    /// Tells the writer and the operators where the link stands now.
    pub(super) fn publish(&self) {
        let now = self.now();
        let outage = match self.link.phase() {
            Phase::Up => None,
            Phase::Down(_) | Phase::Held(_) => Some((Instant::now(), self.link.outage(now))),
        };
        let hopeful_from = self.link.hopeful_from(now).map(|from| self.epoch + from);
        self.lane.set_gate(Gate { up: self.link.is_up(now) && !self.stopping, hopeful_from, outage });
        self.lane.publish(|status| {
            status.window = self.link.window();
            status.in_flight = self.flying.backlog + self.flying.live;
            status.waiting_s = self.link.waiting(now).map(|left| left.as_secs().max(1));
        });
    }

    /// When the loop has to come round without an event. A moment that has passed is none.
    fn next_moment(&self) -> Instant {
        let now = self.now();
        let far = now + Duration::from_secs(24 * 3600);
        let link = self.link.next_moment(now);
        let waits = self.waits.next_moment().filter(|due| *due > now);
        let memory = self.memory_due(now).filter(|due| *due > now);
        self.epoch + link.into_iter().chain(waits).chain(memory).min().unwrap_or(far)
    }

    /// Lets what is on the wire end within bounds, and gives back the rest.
    async fn stop(mut self, mut mail: Mailboxes) {
        self.stopping = true;
        self.publish();
        while let Ok(row) = mail.live.try_recv() {
            self.live.push_back(row);
        }
        self.give_back();
        let until = Instant::now() + STOP_GRACE;
        while let Ok(Some(finished)) = tokio::time::timeout_at(until, self.tasks.join_next()).await {
            match finished {
                Ok(Finished::Claim { rows: Ok(rows), .. }) => {
                    self.unclaim(rows.into_iter().map(|row| (row.seq, row.attempt)).collect());
                }
                other => self.finished(other),
            }
            self.give_back();
        }
        let kept = memory::of(&self.link, self.since_ms, &self.context.clock, self.now());
        if let Err(error) = self.context.queue.remember(self.lane.name(), kept, Vec::new()).await {
            tracing::warn!(lane = self.lane.name(), %error, "the link's state could not be kept for the next start");
        }
    }
}

/// One line about a redemption that has its answer.
fn report(row: &Claimed, settled: Option<&Settled>) {
    match settled {
        Some(Settled { applied: true, state: State::Pending, .. }) => {}
        Some(Settled { applied: true, state, .. }) => {
            tracing::info!(id = %row.id, state = state.as_str(), attempt = row.attempt, "settled");
        }
        Some(Settled { applied: false, .. }) => tracing::warn!(id = %row.id, "a late answer was recorded, not applied"),
        None => tracing::warn!(id = %row.id, "an answer could not be kept: the row is uncertain at the next start"),
    }
}

fn is_held_for_credential(link: &Link) -> bool {
    matches!(link.phase(), Phase::Held(why) if !why.cause.is_for_a_person())
}

/// Returns when the number changes; never, once nobody can change it any more.
async fn changed(number: &mut watch::Receiver<u64>) {
    if number.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn rules(settings: &LaneSettings) -> Rules {
    let provider = &settings.provider;
    Rules { declined_status: provider.declined_status.clone(), already_used: provider.already_used.clone() }
}

fn link_config(settings: &LaneSettings, gateway: &str) -> link::Config {
    let Fingerprint(hash) = Fingerprint::of(&["place", gateway, &settings.provider.name]);
    let [first, second, ..] = hash;
    let forward = &settings.forward;
    link::Config {
        retry_min: forward.retry_min,
        retry_max: forward.retry_max,
        max_in_flight: forward.max_in_flight,
        reconnect_spread: forward.reconnect_spread,
        place: f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX),
    }
}
