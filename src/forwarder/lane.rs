//! One lane's loop: it tells the scheduler what happened, and does what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::show::{self, Ids};
use super::{Context, STOP_GRACE, Transport, ending, memory};
use crate::clock::{signed_ms, whole_ms};
use crate::link::{self, Cause, Heard, LinkPhase, Nudge};
use crate::message::held_by;
use crate::queue::{
    CommandWithReceipt, LIVE_ROWS_MAX, Lane, LaneCommand, LaneSettings, Mailboxes, QueueError,
    Waited,
};
use crate::redemption::{Fingerprint, Seq, State};
use crate::schedule::{self, Action, Ask, CheckEnd, ClaimedRow, Config, Landed, Scheduler, Wanted};
use crate::store::{
    About, Claim, Claimed, Ended, Event, LaneMemory, Record, Remember, Settled, Settlement, Unclaim,
};
use crate::trust::{Progress, Trust};
use crate::verdict::{self, Outcome, Phase, Rules};

/// A settlement or a memory that the store did not take is offered again after this long.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// While a lane is not up, how long its outage has lasted is kept whenever it has grown by this
/// part, within these bounds: what a power cut forgets of it is small, and a long outage does not
/// wear the disk. While redemptions are given on trust, the store keeps it more often.
const MEMORY_EVERY: Duration = Duration::from_secs(10);
const MEMORY_EVERY_MAX: Duration = Duration::from_secs(300);
const MEMORY_PART: u32 = 60;

/// Since when a lane is as it is follows a wall clock that is set, unless by less than this: what
/// is shown in whole seconds must not flicker.
const STEADY_MS: u64 = 2000;
/// How often it is compared with the wall clock.
const SINCE_EVERY: Duration = Duration::from_secs(1);

/// Something that went on beside the loop has ended.
enum Finished {
    Attempt {
        row: Claimed,
        sent: Duration,
        outcome: Option<Outcome>,
    },
    Claim {
        ask: Ask,
        rows: Result<Vec<Claimed>, QueueError>,
    },
    Check {
        sent: Duration,
        outcome: Option<Outcome>,
    },
    Settling {
        seq: Seq,
        settled: Option<Settled>,
        refused: bool,
    },
    GivenBack {
        refused: bool,
    },
    /// In how long the outage comes to the next step of a limit; why the store did not take it.
    Remembered(Result<Option<Duration>, QueueError>),
    Errand,
}

/// The moment for which a lane has done everything. The time goes on while it works: only this
/// moment tells what was seen and what has become due since.
#[derive(Clone, Copy, Debug)]
struct Worked(Duration);

/// A lane looks about at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);

impl Worked {
    /// Until when the lane sleeps: the first moment after the last work. What has become due
    /// meanwhile is one, though it has passed: nothing else may come to wake the lane for it.
    fn until(self, moments: [Option<Duration>; 2]) -> Duration {
        let Self(at) = self;
        let later = moments.into_iter().flatten().filter(|moment| *moment > at);
        later.min().unwrap_or(at + LOOK_EVERY)
    }
}

/// One lane's forwarder.
pub struct Forwarder<R> {
    lane: Arc<Lane>,
    settings: Arc<LaneSettings>,
    rules: Rules,
    mailboxes: Option<Mailboxes>,
    context: Context<R>,
    transport: Option<Arc<R>>,
    scheduler: Scheduler,
    epoch: Instant,
    /// Claimed rows, with what is to be sent.
    rows: BTreeMap<Seq, Claimed>,
    /// Rows that are being settled, and what their tills are told afterwards.
    settling: BTreeMap<Seq, Option<Waited>>,
    ids: Ids,
    tasks: JoinSet<Finished>,
    since_ms: i64,
    /// When that was compared with the wall clock last.
    since_seen_at: Duration,
    /// Since when a hold that only a person ends lasts: on the link's clock, and on the wall's,
    /// which the next process goes by.
    held_since: Option<(Duration, i64)>,
    remembered_at: Duration,
    /// When the outage comes to the next step of a limit at which somebody is told.
    next_step_at: Option<Duration>,
    /// What the link has to remember is being kept, and whether it is another by now: one is
    /// written at a time, so that the last stands.
    remembering: Option<bool>,
    /// The store did not take it the last time.
    is_unkept: bool,
    /// Operators who held or released the lane hear of it once that is kept.
    receipts: Vec<oneshot::Sender<()>>,
    logged: show::Logged,
}

impl<R: Transport> Forwarder<R> {
    /// A lane's forwarder, its link where the last process left it.
    pub(super) async fn new(
        lane: Arc<Lane>,
        mailboxes: Mailboxes,
        context: Context<R>,
    ) -> Result<Self, String> {
        let settings = lane.settings();
        let transport = match &settings.unusable {
            None => Some(Arc::new((context.make_transport)(&settings)?)),
            Some(_) => None,
        };
        let kept = context.queue.memory(lane.name()).await.map_err(|error| error.to_string())?;
        let outages = memory::outages(&kept, &context.clock);
        let mut scheduler =
            Scheduler::new(config(&settings, &context.gateway), context.seed, outages);
        memory::restore(scheduler.link_mut(), &kept, &context.clock, Duration::ZERO);
        if let Some(why) = &settings.unusable {
            scheduler.link_mut().settings_are_unusable(Duration::ZERO, why.clone());
        }
        let held_since = kept.hold.as_ref().map(|hold| (Duration::ZERO, hold.since_ms));
        let since_ms = held_since.map_or(context.clock.stamp().unix_ms, |(_, since_ms)| since_ms);
        Ok(Self {
            lane,
            rules: settings.rules(),
            settings,
            mailboxes: Some(mailboxes),
            transport,
            scheduler,
            epoch: Instant::now(),
            context,
            rows: BTreeMap::new(),
            settling: BTreeMap::new(),
            ids: Ids::default(),
            tasks: JoinSet::new(),
            since_ms,
            since_seen_at: Duration::ZERO,
            held_since,
            remembered_at: Duration::ZERO,
            next_step_at: None,
            remembering: None,
            is_unkept: false,
            receipts: Vec::new(),
            logged: show::Logged::default(),
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
            // Before looking: a row that comes after the look must wake us, and after it: one that
            // a claim does not find. While down, else only a demand for a probe does.
            self.want_signal();
            let worked = self.work();
            self.want_signal();
            self.publish();
            let moment = self.next_moment(worked);
            let held = self.is_held_for_credential();
            let transport = self.transport.clone();
            tokio::select! {
                _ = stop.changed() => {}
                Some(finished) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.all_finished(finished);
                }
                Some(row) = mail.live.recv(), if self.scheduler.live_rows() < LIVE_ROWS_MAX => {
                    self.handed_over(row);
                }
                Some(told) = mail.commands.recv() => self.told(told),
                seq = lane.signalled() => self.on(schedule::LaneEvent::Signalled(seq)),
                strong = lane.check_heard() => self.on(schedule::LaneEvent::CheckHeard(strong)),
                () = lane.reconfigured() => self.reconfigure(),
                () = changed(&mut network) => self.network_changed(),
                () = changed(&mut reloads) => self.reloaded(),
                () = credential_changed(transport), if held => self.nudge(Nudge::CredentialChanged),
                () = tokio::time::sleep_until(moment) => {}
            }
        }
        self.stop(mail).await;
    }

    fn want_signal(&self) {
        if self.scheduler.wants_signal() {
            self.lane.want_signal();
        }
    }

    fn on(&mut self, event: schedule::LaneEvent<'_>) {
        let now = self.now();
        self.scheduler.on(now, event);
    }

    /// Does everything that is to be done now, and says which moment that was.
    fn work(&mut self) -> Worked {
        let now = self.now();
        // What is done may bring about more: a claim that is given back, say.
        loop {
            let actions = self.scheduler.work(now);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.act(action);
            }
        }
        let is_seen = now < self.since_seen_at.saturating_add(SINCE_EVERY);
        if !is_seen && self.scheduler.link().seen() != LinkPhase::Up {
            self.see_since_when(now, STEADY_MS);
        }
        if self.memory_due(now).is_some_and(|due| due <= now) {
            self.remember(now);
        }
        Worked(now)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(seq, progress) => self.send(seq, progress),
            Action::Claim(ask) => self.claim(ask),
            Action::Check(sent, progress) => self.check(sent, progress),
            Action::Tell(seq, told) => self.tell(seq, told),
            Action::Unclaim(rows) => self.unclaim(rows),
            Action::DropPool => {
                if let Some(transport) = &self.transport {
                    transport.drop_pool();
                }
            }
            Action::Changed => {
                self.show_phase();
                self.remember(self.now());
            }
        }
    }

    fn handed_over(&mut self, row: Claimed) {
        let event = schedule::LaneEvent::HandedOver(row_of(&row));
        self.rows.insert(row.seq, row);
        self.on(event);
    }

    fn send(&mut self, seq: Seq, progress: Progress) {
        let (Some(row), Some(transport)) = (self.rows.remove(&seq), self.transport.clone()) else {
            tracing::error!(lane = self.lane.name(), %seq, "row {seq} was to be sent and is not \
                here: a defect");
            return self.on(schedule::LaneEvent::Withdrawn(seq));
        };
        let (queue, sent) = (self.context.queue.clone(), self.now());
        let suspect = self.scheduler.is_suspect(seq);
        self.tasks.spawn(async move {
            let outcome = if queue.begin(row.seq) {
                Some(transport.redeem(&row, suspect, &progress).await)
            } else {
                None
            };
            Finished::Attempt { row, sent, outcome }
        });
    }

    fn check(&mut self, sent: Duration, progress: Progress) {
        let Some(transport) = self.transport.clone() else { return };
        self.tasks.spawn(async move {
            let outcome = transport.canary(&progress).await;
            Finished::Check { sent, outcome }
        });
    }

    fn claim(&mut self, ask: Ask) {
        let queue = self.context.queue.clone();
        let claim = Claim {
            lane: self.lane.name().to_owned(),
            prefer: ask.prefer.clone(),
            after: ask.after,
            except: ask.except.clone(),
            not_from: ask.not_from.clone(),
            rows_max: ask.rows_max,
            body_bytes_max: schedule::CLAIM_BODY_BYTES_MAX,
        };
        self.tasks.spawn(async move {
            let waited_for = match ask.wanted {
                Wanted::Again(seq) => queue.is_waited_for(seq),
                Wanted::Backlog | Wanted::Probe => true,
            };
            let rows = if waited_for { queue.ask(claim).await } else { Ok(Vec::new()) };
            Finished::Claim { ask, rows }
        });
    }

    fn claimed(&mut self, ask: Ask, rows: Result<Vec<Claimed>, QueueError>) {
        let rows = rows.ok().map(|rows| {
            let claimed = rows.iter().map(row_of).collect();
            self.rows.extend(rows.into_iter().map(|row| (row.seq, row)));
            claimed
        });
        self.on(schedule::LaneEvent::Claimed(ask, rows));
    }

    /// A till hears it once the end of its attempt is committed: what is decided about it then
    /// stands on that.
    fn tell(&mut self, seq: Seq, told: schedule::Told) {
        let news = match told {
            schedule::Told::Unreachable => Waited::Unreachable,
            schedule::Told::TurnedAway { retry_after_s } => Waited::TurnedAway { retry_after_s },
        };
        // What is decided about the till reads where the lane stands.
        self.publish();
        match self.settling.get_mut(&seq) {
            Some(afterwards) => *afterwards = Some(news),
            None => self.context.queue.tell(seq, news),
        }
    }

    /// What has ended beside it meanwhile too: one look at the lane serves all.
    fn all_finished(&mut self, first: Result<Finished, tokio::task::JoinError>) {
        self.finished(first);
        while let Some(finished) = self.tasks.try_join_next() {
            self.finished(finished);
        }
    }

    fn finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        match finished {
            Ok(Finished::Attempt { row, sent, outcome: Some(outcome) }) => {
                self.ended(row, sent, &outcome);
            }
            Ok(Finished::Attempt { row, outcome: None, .. }) => {
                self.on(schedule::LaneEvent::Withdrawn(row.seq));
            }
            Ok(Finished::Claim { ask, rows }) => self.claimed(ask, rows),
            Ok(Finished::Check { sent, outcome }) => self.checked(sent, outcome.as_ref()),
            Ok(Finished::Settling { seq, settled, refused }) => {
                self.settled(seq, settled);
                self.written(refused);
            }
            Ok(Finished::GivenBack { refused }) => self.written(refused),
            Ok(Finished::Remembered(kept)) => self.remembered(&kept),
            Ok(Finished::Errand) => {}
            Err(error) => {
                tracing::error!(lane = self.lane.name(), %error, "a lane's task ended in a defect");
            }
        }
    }

    fn ended(&mut self, row: Claimed, sent: Duration, outcome: &Outcome) {
        let verdict = verdict::judge_about(Some(&row.code), outcome, &self.rules);
        let heard = ending::for_lane(&verdict, &row);
        let (detail, kind) = (ending::detail(outcome, &verdict), ending::kind(&verdict, &row.code));
        let (lane, word, id) = (self.lane.name(), ending::word(heard), &row.id);
        let took = self.now().saturating_sub(sent);
        tracing::debug!(lane, %id, attempt = row.attempt, outcome = word, detail, "an attempt for \
            {id} ended: {word}");
        self.lane.publish(|status| *status.attempts.entry(word).or_default() += 1);
        self.tell_alerts(verdict.is_answer(), ending::status(outcome), &detail);
        if let (verdict::Verdict::Confirmed, Some(transport)) = (&verdict, &self.transport) {
            transport.taken(&row.body);
        }
        if verdict.is_answer() {
            if row.attempt == 1 {
                self.lane.note_answer(took);
            }
        } else {
            self.ids.note(row.seq, &row.id);
        }
        let about = About {
            outcome: word.to_owned(),
            status: ending::status(outcome),
            took_ms: whole_ms(took),
            refusal: kind.clone(),
            lane_is_well: self.scheduler.link().is_well(self.now()),
            weak_after: self.settings.provider.weak_after,
        };
        let seq = row.seq;
        // The row first: what the link remembers of a streak of declines is kept where they are
        // settled.
        self.settle(row, ending::for_row(outcome, &verdict), about);
        self.on(schedule::LaneEvent::Landed(Landed {
            seq,
            heard,
            detail: &detail,
            kind: kind.as_deref().unwrap_or_default(),
            whole: ending::was_whole(outcome),
            denied: ending::status(outcome).is_some(),
        }));
    }

    fn checked(&mut self, sent: Duration, outcome: Option<&Outcome>) {
        let Some(outcome) = outcome else { return };
        let verdict = verdict::judge(outcome, &self.rules);
        let (heard, detail) = (Heard::from(&verdict), ending::detail(outcome, &verdict));
        let (lane, word) = (self.lane.name(), ending::word(heard));
        tracing::debug!(
            lane,
            outcome = word,
            detail,
            "a check of the gateway's own ended on lane {lane}: {word}"
        );
        let whole = ending::was_whole(outcome);
        self.on(schedule::LaneEvent::Checked(CheckEnd { sent, heard, detail: &detail, whole }));
    }

    fn tell_alerts(&self, answered: bool, status: Option<u16>, detail: &str) {
        let (alerts, lane) = (&self.context.alerts, self.lane.name());
        if answered {
            return alerts.delivered(lane);
        }
        alerts.delivery_failed(
            lane,
            &self.settings.provider.redeem_url,
            status.unwrap_or(0),
            detail,
        );
    }

    /// Settles until the store has taken it: what was answered must not be asked again for want of
    /// a disk.
    fn settle(&mut self, row: Claimed, ended: Ended, about: About) {
        self.settling.insert(row.seq, None);
        let (queue, mut stop) = (self.context.queue.clone(), self.context.stop.clone());
        let lane = Arc::clone(&self.lane);
        self.tasks.spawn(async move {
            let (seq, attempt, mut refused) = (row.seq, row.attempt, false);
            let settlement = Settlement { seq, attempt, ended, about };
            let settled = loop {
                match queue.ask(settlement.clone()).await {
                    Ok(settled) => break Some(settled),
                    Err(_) if *stop.borrow_and_update() => break None,
                    Err(_) => tokio::time::sleep(STORE_RETRY).await,
                }
                refused = true;
            };
            show::settled(lane.name(), &row, settled.as_ref());
            Finished::Settling { seq, settled, refused }
        });
    }

    fn settled(&mut self, seq: Seq, settled: Option<Settled>) {
        let kept = self.settling.remove(&seq).flatten();
        let pending = settled.is_none_or(|settled| settled.state == State::Pending);
        if let Some(news) = kept.or_else(|| self.news_of_the_end(pending)) {
            self.publish();
            self.context.queue.tell(seq, news);
        }
        if !pending {
            self.ids.forget(seq);
        }
        self.on(schedule::LaneEvent::Settled(seq, pending));
        if self.scheduler.is_held_for(seq) {
            self.remember(self.now());
        }
    }

    /// What those hear who asked for a row again and wait for an attempt that was none of theirs:
    /// it has ended without an answer, and nobody can be asked now.
    fn news_of_the_end(&self, pending: bool) -> Option<Waited> {
        let trust = self.scheduler.link().trust(self.now());
        (pending && matches!(trust, Trust::AtOnce { .. })).then_some(Waited::Unreachable)
    }

    /// Something of a row is written: what the store had refused at first may be behind a claim
    /// that was made meanwhile.
    fn written(&mut self, refused: bool) {
        if refused {
            self.on(schedule::LaneEvent::WrittenLate);
        }
    }

    fn unclaim(&mut self, rows: Vec<(Seq, u32)>) {
        for (seq, _) in &rows {
            self.rows.remove(seq);
        }
        let queue = self.context.queue.clone();
        let stop = self.context.stop.clone();
        self.tasks.spawn(async move {
            let mut refused = false;
            while queue.ask(Unclaim(rows.clone())).await.is_err() && !*stop.borrow() {
                refused = true;
                tokio::time::sleep(STORE_RETRY).await;
            }
            Finished::GivenBack { refused }
        });
    }

    fn nudge(&mut self, nudge: Nudge) {
        self.on(schedule::LaneEvent::Nudged(nudge));
    }

    fn network_changed(&mut self) {
        self.nudge(Nudge::Network);
        self.work();
        if let Some(transport) = &self.transport {
            transport.restart_unsent();
        }
    }

    fn told(&mut self, (command, receipt): CommandWithReceipt) {
        let is_kept = matches!(command, LaneCommand::Hold { .. } | LaneCommand::Release { .. });
        match command {
            LaneCommand::Flush => self.nudge(Nudge::Flush),
            LaneCommand::Hold { by, note, trust } => {
                let detail = held_by(&by, &note, trust);
                let told = crate::message::Event::HoldTrusting { note: note.clone() };
                self.record("hold", by, if trust { told.to_stored() } else { note });
                self.on(schedule::LaneEvent::Hold { detail, trust });
            }
            LaneCommand::Release { by } => {
                self.record("release", by, String::new());
                self.nudge(Nudge::Release);
            }
            LaneCommand::Ping => {}
        }
        if !is_kept {
            self.work();
            self.publish();
            return received(vec![receipt]);
        }
        self.receipts.push(receipt);
        self.work();
        self.publish();
        if !self.receipts.is_empty() {
            self.remember(self.now());
        }
    }

    /// What an operator did to the lane: when, by whom and why.
    fn record(&mut self, what: &str, by: String, detail: String) {
        let lane = self.lane.name();
        tracing::info!(lane, by, "{by}: {what} of lane {lane}");
        let event = Event {
            at_ms: self.context.clock.stamp().unix_ms,
            id: None,
            lane: lane.to_owned(),
            what: what.to_owned(),
            by,
            detail,
        };
        let queue = self.context.queue.clone();
        self.tasks.spawn(async move {
            if let Err(error) = queue.ask(Record(event)).await {
                tracing::warn!(%error, "an operator's action could not be recorded");
            }
            Finished::Errand
        });
    }

    fn reconfigure(&mut self) {
        let settings = self.lane.settings();
        let was_unusable = self.settings.unusable.is_some();
        if settings.unusable.is_some() {
            return tracing::error!(
                lane = self.lane.name(),
                "the provider's new settings cannot be used"
            );
        }
        match (self.context.make_transport)(&settings) {
            Ok(transport) => {
                self.transport = Some(Arc::new(transport));
                self.scheduler.reconfigure(config(&settings, &self.context.gateway));
                self.rules = settings.rules();
                self.settings = settings;
                if was_unusable {
                    self.scheduler.link_mut().settings_are_usable(self.epoch.elapsed());
                    self.show_phase();
                }
                self.nudge(Nudge::Flush);
            }
            Err(error) => tracing::error!(
                lane = self.lane.name(),
                error,
                "the provider's new settings cannot be used"
            ),
        }
    }

    fn reloaded(&mut self) {
        if let Some(transport) = &self.transport {
            transport.reload_credential();
        }
        // The limits on the outage may be others now.
        if self.scheduler.link().is_out() {
            self.remember(self.now());
        }
        self.nudge(Nudge::Flush);
    }

    fn is_held_for_credential(&self) -> bool {
        self.scheduler.link().why().is_some_and(|why| why.cause == Cause::Credential)
    }

    /// When the outage is to be kept next: now and then, and when somebody is to be told of it.
    fn memory_due(&self, now: Duration) -> Option<Duration> {
        let link = self.scheduler.link();
        let part = link.unended_outage(now) / MEMORY_PART;
        let every = part.clamp(MEMORY_EVERY, MEMORY_EVERY_MAX);
        let due = self.remembered_at + every;
        link.is_out().then(|| self.next_step_at.map_or(due, |step| step.min(due)))
    }

    /// Publishes and logs where the link stands.
    fn show_phase(&mut self) {
        self.see_since_when(self.now(), 0);
        show::log(self.lane.name(), self.scheduler.link(), &mut self.logged);
        self.publish();
        self.context.phases.notify_one();
    }

    /// Since when the lane is held by a person, and since when it is as it is: by what the wall
    /// clock shows now, or as before where that differs by no more.
    fn see_since_when(&mut self, now: Duration, steady_ms: u64) {
        self.since_seen_at = now;
        let (link, wall_ms) = (self.scheduler.link(), self.context.clock.stamp().unix_ms);
        let seen_ms = |ago, (before_ms, steady_ms): (i64, u64)| {
            let ms = wall_ms.saturating_sub(signed_ms(ago));
            if ms.abs_diff(before_ms) > steady_ms { ms } else { before_ms }
        };
        self.held_since = link.persons_hold().map(|hold| match self.held_since {
            // The process before told: that is not this link's time.
            Some(held) if held.0 == hold.since && hold.since.is_zero() => held,
            held => {
                let before = held.filter(|held| held.0 == hold.since);
                let before_ms = before.map_or(i64::MIN, |(_, before_ms)| before_ms);
                let ago = now.saturating_sub(hold.since);
                (hold.since, seen_ms(ago, (before_ms, STEADY_MS)))
            }
        });
        let Some(why) = show::why(link) else { return };
        self.since_ms = match self.held_since {
            Some((_, held_ms)) if why.cause.is_for_a_person() => held_ms,
            // An outage that began before this process goes on.
            _ => {
                let ago = now.saturating_sub(why.since).max(link.unended_outage(now));
                seen_ms(ago, (self.since_ms, steady_ms))
            }
        };
    }

    /// What the next process has to know of the link.
    fn memory(&self, now: Duration) -> LaneMemory {
        let held_since_ms = self.held_since.map_or(self.since_ms, |(_, held_ms)| held_ms);
        memory::of(self.scheduler.link(), held_since_ms, &self.context.clock, now)
    }

    fn remembered(&mut self, kept: &Result<Option<Duration>, QueueError>) {
        let is_another = self.remembering.take() == Some(true);
        self.next_step_at = kept.as_ref().ok().copied().flatten().map(|left| self.now() + left);
        self.tell_unkept(kept.as_ref().err());
        if is_another || (self.is_unkept && !*self.context.stop.borrow()) {
            self.remember(self.now());
        }
    }

    /// Once, until the store takes it again.
    fn tell_unkept(&mut self, why: Option<&QueueError>) {
        if let Some(error) = why.filter(|_| !self.is_unkept) {
            tracing::warn!(lane = self.lane.name(), %error, "the link's state could not be kept \
                for the next start; it is tried again");
        }
        self.is_unkept = why.is_some();
    }

    fn remember(&mut self, now: Duration) {
        (self.remembered_at, self.next_step_at) = (now, None);
        if self.remembering.is_some() {
            self.remembering = Some(true);
            return;
        }
        self.remembering = Some(false);
        let link = self.scheduler.link();
        let kept = self.memory(now);
        let held = link.hold_for_declines();
        let streak = held.map(|_| link.streak().rows().to_vec()).unwrap_or_default();
        let (queue, lane) = (self.context.queue.clone(), self.lane.name().to_owned());
        let remember = Remember { lane, memory: kept, streak };
        let receipts = std::mem::take(&mut self.receipts);
        self.tasks.spawn(async move {
            let kept = queue.ask(remember).await;
            received(receipts);
            if kept.is_err() {
                tokio::time::sleep(STORE_RETRY).await;
            }
            Finished::Remembered(kept)
        });
    }

    /// Tells the writer and the operators where the lane stands now.
    pub(super) fn publish(&self) {
        self.lane.set_gate(show::gate(&self.scheduler, self.epoch));
        show::status(&self.lane, &self.scheduler, (self.now(), self.since_ms), &self.ids);
    }

    /// When the loop has to come round without an event.
    fn next_moment(&self, worked: Worked) -> Instant {
        let Worked(at) = worked;
        self.epoch + worked.until([self.scheduler.next_moment(at), self.memory_due(at)])
    }

    /// Lets what is on the wire end within bounds, and gives back the rest.
    async fn stop(mut self, mut mail: Mailboxes) {
        self.scheduler.stop();
        self.publish();
        while let Ok(row) = mail.live.try_recv() {
            self.handed_over(row);
        }
        self.work();
        let until = Instant::now() + STOP_GRACE;
        while let Ok(Some(finished)) = tokio::time::timeout_at(until, self.tasks.join_next()).await
        {
            self.finished(finished);
            self.work();
        }
        self.give_up().await;
        self.keep_the_credential(until).await;
        let memory = self.memory(self.now());
        let lane = self.lane.name().to_owned();
        let remember = Remember { lane, memory, streak: Vec::new() };
        if let Err(error) = self.context.queue.ask(remember).await {
            tracing::warn!(lane = self.lane.name(), %error, "the link's state could not be kept \
                for the next start");
        }
    }

    /// What did not end in time may have reached the provider. Its rows wait for a lane of this
    /// name, which the next reload may bring back.
    async fn give_up(&mut self) {
        self.tasks.shutdown().await;
        let outcome = ending::word(Heard::NoAnswer(Phase::Answer));
        for (seq, attempt) in self.scheduler.on_the_wire() {
            let about = About { outcome: outcome.to_owned(), ..About::default() };
            let settlement = Settlement { seq, attempt, ended: Ended::Unclear, about };
            let (queue, lane) = (self.context.queue.clone(), self.lane.name().to_owned());
            self.tasks.spawn(async move {
                if let Err(error) = queue.ask(settlement).await {
                    tracing::warn!(lane, %seq, %error, "an attempt was given up at a stop, and \
                        that could not be kept: uncertain at the next start");
                }
                Finished::Errand
            });
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// A refresh token that the provider is giving just now is the only one that is good.
    async fn keep_the_credential(&self, until: Instant) {
        let Some(transport) = &self.transport else { return };
        if tokio::time::timeout_at(until, transport.at_rest()).await.is_err() {
            tracing::warn!(
                lane = self.lane.name(),
                "the stop did not wait for a renewal of the \
                OAuth token: what it would have brought is lost"
            );
        }
    }
}

/// Nobody may wait for it any more.
fn received(receipts: Vec<oneshot::Sender<()>>) {
    for receipt in receipts {
        receipt.send(()).unwrap_or_default();
    }
}

fn row_of(row: &Claimed) -> ClaimedRow {
    let till = row.till.as_str().into();
    ClaimedRow {
        seq: row.seq,
        attempt: row.attempt,
        till,
        trusted: row.trusted,
        bytes: row.body.len(),
    }
}

async fn credential_changed<R: Transport>(transport: Option<Arc<R>>) {
    match transport {
        Some(transport) => transport.credential_changed().await,
        None => std::future::pending().await,
    }
}

/// Returns when the number changes; never, once nobody can change it any more.
async fn changed(number: &mut watch::Receiver<u64>) {
    if number.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn config(settings: &LaneSettings, gateway: &str) -> Config {
    let Fingerprint(hash) = Fingerprint::of(&["place", gateway, &settings.provider.name]);
    let [first, second, ..] = hash;
    let forward = &settings.forward;
    let link = link::LinkSettings {
        retry_min: forward.retry_min,
        retry_max: forward.retry_max,
        max_in_flight: forward.max_in_flight,
        reconnect_spread: forward.reconnect_spread,
        place: f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX),
    };
    let checks_show_the_link = settings.provider.checks_show_the_link();
    Config { link, terms: settings.terms(), checks_show_the_link }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn what_became_due_while_the_lane_worked_wakes_it_at_once() {
        // The loop asks some milliseconds after the work for which the time was taken; what fell
        // due between the two is the next moment, and not one that is over.
        let worked = Worked(ms(1000));
        for (moments, until) in [
            ([Some(ms(1001)), None], 1001),
            ([Some(ms(1001)), Some(ms(5000))], 1001),
            ([Some(ms(5000)), Some(ms(1002))], 1002),
            ([None, Some(ms(1003))], 1003),
        ] {
            assert_eq!(worked.until(moments), ms(until), "{moments:?}");
        }
    }

    #[test]
    fn what_was_seen_to_already_wakes_nobody() {
        let worked = Worked(ms(1000));
        let far = ms(1000) + LOOK_EVERY;
        for moments in [[None, None], [Some(ms(1000)), None], [Some(ms(7)), Some(ms(999))]] {
            assert_eq!(worked.until(moments), far, "{moments:?}");
        }
        assert_eq!(worked.until([Some(ms(7)), Some(ms(2000))]), ms(2000));
    }
}
