//! The async handle on the one thread that owns the store: group commit, wake-ups, and where
//! intake, forwarder and admin meet.

mod asked;
mod check;
mod health;
mod lane;
mod lanes;
mod look_thread;
mod readers;
mod repeats;
mod salvaging;
mod tellings;
mod undelivered;
mod unread;
mod waiters;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub use health::StorageStatus;
pub use lane::{
    AnswerTimes, CommandWithReceipt, Gate, LIVE_ROWS_MAX, Lane, LaneCommand, LaneSettings,
    LaneStatus, Mailboxes,
};
pub use writer::Writer;

use crate::clock::{Clock, Day, Days, Zone, may_be_set};
use crate::decide::{Attempt, CodeRules, WaitEnd};
use crate::message::{Language, Storage};
use crate::redemption::{Id, Redemption, Request, RewardCode, Seq};
use crate::settings::{Offline, SameCode};
use crate::store::{
    Accept, Acted, AskStanding, CheckAnswered, CheckAsked, CheckKnown, Concluded, Conclusion,
    Counts, Decision, Event, Filter, Handling, LaneMemory, NewRedemption, Operation, Page, Place,
    Reader, Record, Retry, RetryHeld, Standing, StoreError, Switched, Taken, Trouble, TrustSwitch,
    Void, VoidByTill, VoidOutcome, salvage_steps,
};
use asked::PendingOperation;
use lanes::Lanes;
use look_thread::LookThread;
use readers::Readers;
use repeats::Repeats;
use salvaging::Salvaging;
pub use tellings::Audience;
use tellings::Tellings;
use undelivered::Undelivered;
pub use unread::UnreadTill;
use waiters::{Flights, Waiters};

/// How many operations may wait for the writer; beyond that tills are told to come again.
pub const OPS_MAX: usize = 1024;
/// How long the answers of a till wait to which too many codes were refused.
const SLOWED: Duration = Duration::from_secs(1);
/// How long somebody who looks waits for a busy store.
const STANDING_WITHIN: Duration = Duration::from_millis(500);

/// Why the queue did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue is full: come again after this many seconds.
    #[error("too many requests are waiting; try again in {retry_after_s} s")]
    Busy {
        /// For `Retry-After`.
        retry_after_s: u64,
    },
    /// The disk is full or read-only, the database is being rescued: nothing was stored.
    #[error("the store takes nothing now: {}", .0.text(Language::English))]
    Refusing(Storage),
    /// The daemon is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// No provider of the settings has the name of the lane that was to be told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such lane")]
pub struct NoSuchLane;

/// How waiting for a row's answer ended.
#[derive(Clone, Debug)]
pub enum Waited {
    /// It was settled: the row with its answer, committed. Where it matters whether the till hears
    /// of it, its own telling.
    Settled(Box<Redemption>, Option<Audience>),
    /// The provider cannot be reached: nobody can be asked any more.
    Unreachable,
    /// The lane does not send it now.
    TurnedAway {
        /// What the provider said, seconds; `None`: there was no slot.
        retry_after_s: Option<u64>,
    },
    /// The time was up.
    TimedOut,
}

/// Everything that is known of one redemption.
#[derive(Clone, Debug)]
pub struct Story {
    /// Where it stands.
    pub row: Redemption,
    /// Its last attempts, oldest first. A first try that succeeded is not among them.
    pub attempts: Vec<Attempt>,
    /// What was done to it besides, oldest first.
    pub events: Vec<Event>,
}

/// What the handle and the writer share.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    path: PathBuf,
    place: Place,
    lanes: Lanes,
    offline: RwLock<Arc<Offline>>,
    /// What was at risk when somebody asked last.
    standing: Mutex<Standing>,
    /// The local time zone, read again with the settings.
    zone: RwLock<Arc<Zone>>,
    days: RwLock<Arc<Days>>,
    counts: Mutex<Vec<(String, Counts)>>,
    storage: Mutex<StorageStatus>,
    salvaging: Salvaging,
    reload_faults: Mutex<Vec<String>>,
    /// Keys that a reload has read and that only a restart applies.
    restart_keys: Mutex<Vec<&'static str>>,
    unread_tills: unread::UnreadTills,
    waiters: Waiters,
    flights: Flights,
    tellings: Arc<Tellings>,
    undelivered: Undelivered,
    repeats: Repeats,
    readers: tokio::sync::Semaphore,
    kept: Readers,
    /// None where the writer has no thread of its own: then the runtime's threads look, and a
    /// runtime whose time stands still waits for them.
    look_thread: OnceLock<LookThread>,
    /// A backup is made.
    backup: tokio::sync::Mutex<()>,
    /// Rises with every change of lanes, counts, exceptions and storage.
    changes: watch::Sender<u64>,
    fatal: watch::Sender<Option<Storage>>,
    /// How many databases were set aside: damage that was met in an earlier one is known.
    generation: AtomicU64,
    /// How many frames the log holds.
    wal_frames: Arc<AtomicU32>,
    /// How many tills' checks are remembered.
    checks_kept: AtomicU64,
}

/// An operation and where its result goes.
enum Message {
    Do(Box<dyn PendingOperation>),
    EnsureLanes(Vec<String>, oneshot::Sender<Result<(), QueueError>>),
    Memory(String, oneshot::Sender<Result<LaneMemory, QueueError>>),
    /// Somebody met damage in the database of this generation.
    Damaged(String, u64),
    /// What was refused is kept now.
    KeepRefusals(oneshot::Sender<asked::OperationResult<()>>),
    /// Somebody found that the database is not the file any more that was opened.
    TakenAway,
    Ping(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

impl Message {
    /// It may wait a moment for others.
    fn is_patient(&mut self) -> bool {
        let Self::Do(ask) = self else { return false };
        ask.task().is_patient()
    }
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Message>,
}

impl Queue {
    /// One transaction decides about a till's request. A result that is worth waiting for reserves
    /// a waiter: call [`Queue::wait`] exactly once for it. An answer of which it matters whether
    /// the till hears it comes with its audience, for [`Queue::delivered`].
    ///
    /// # Errors
    /// Nothing was stored.
    pub async fn accept(
        &self,
        new: NewRedemption,
    ) -> Result<(Decision, Option<Audience>), QueueError> {
        let rules = self.code_rules(&new.lane, &new.request.reward_code);
        let (decided, audience) = self.try_ask(Accept { new, rules }).await?;
        if decided.is_slowed {
            tokio::time::sleep(SLOWED).await;
        }
        Ok((decided.decision, audience))
    }

    /// The redemption that a till asks for again, while the store takes nothing: as it stands.
    /// `None`: there is none, or nobody can say.
    pub async fn stored(&self, asked: NewRedemption) -> Option<Redemption> {
        let rules = self.code_rules(&asked.lane, &asked.request.reward_code);
        let row = self.read(move |reader| reader.repeated(&asked, rules)).await.ok().flatten()?;
        // What may be owed to anybody is not given unwritten.
        (!self.shared.tellings.is_open(row.seq)).then_some(row)
    }

    /// What is at risk now and what is left of the limits; as it was last known where the store
    /// does not say.
    pub async fn standing(&self) -> Standing {
        let asked = tokio::time::timeout(STANDING_WITHIN, self.ask(AskStanding)).await;
        let known = || self.shared.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Ok(standing)) = asked {
            *known() = standing;
        }
        known().clone()
    }

    /// Switches trust off or on in these lanes.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn switch_trust(
        &self,
        lanes: Vec<String>,
        off: Option<(String, Option<Duration>)>,
        by: &str,
    ) -> Result<Switched, QueueError> {
        self.ask(TrustSwitch { lanes, off, by: by.to_owned() }).await
    }

    /// What the settings of its provider say about a code.
    #[must_use]
    pub fn code_rules(&self, lane: &str, code: &RewardCode) -> CodeRules {
        self.lane(lane).map_or_else(CodeRules::default, |lane| {
            let provider = &lane.settings().provider;
            CodeRules {
                reusable: provider.is_reusable(code),
                exact: provider.same_code == SameCode::Exact,
            }
        })
    }

    /// What the store knows about a code that a till checks. A till that is slowed waits for its
    /// first look; the one after the provider was asked in vain is of the same check.
    ///
    /// # Errors
    /// It cannot say.
    pub async fn look_up_check(&self, asked: CheckAsked) -> Result<CheckKnown, QueueError> {
        let is_first = !asked.in_vain;
        let (known, _) = self.try_ask(asked).await?;
        if known.is_slowed && is_first {
            tokio::time::sleep(SLOWED).await;
        }
        Ok(known)
    }

    /// Has an answer to a check remembered with the next commit. Nobody waits for it: where the
    /// queue is full or the store takes nothing, it is not remembered.
    pub fn remember_check(&self, check: CheckAnswered) {
        let (message, _) = asked::ask(check);
        if self.messages.try_send(message).is_err() {
            tracing::debug!("a check is not remembered: the queue is full or stopping");
        }
    }

    /// How many tills' checks are remembered; no query.
    #[must_use]
    pub fn checks_kept(&self) -> u64 {
        self.shared.checks_kept.load(Ordering::Relaxed)
    }

    /// Waits for the answer of a pending row that was worth waiting for.
    pub async fn wait(&self, seq: Seq, within: Duration) -> Waited {
        self.shared.waiters.wait(seq, within).await
    }

    /// Tells the tills that wait for a row something that needs no commit.
    pub fn tell(&self, seq: Seq, news: Waited) {
        self.shared.waiters.tell(seq, news);
    }

    /// Whether some till waits for the row's answer.
    #[must_use]
    pub fn is_waited_for(&self, seq: Seq) -> bool {
        self.shared.waiters.is_waited_for(seq)
    }

    /// After a wait in vain: accepts the row on trust, takes it back, or marks that its till was
    /// refused.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn conclude(
        &self,
        taken: &Taken,
        end: WaitEnd,
    ) -> Result<(Concluded, Option<Audience>), QueueError> {
        let withdrawn = !taken.trusted && self.shared.flights.withdraw(taken.seq);
        self.ask_and_hear(Conclusion { seq: taken.seq, end, withdrawn }).await
    }

    /// The answer about this row did not reach its till: the till's next request for the code, at
    /// this branch, is a repeat, whatever its timestamp. Kept for two minutes, in memory. Of a
    /// reusable code each request that says something else is a redemption of its own.
    pub fn undelivered(&self, (till, lane): (&str, &str), request: &Request, seq: Seq) {
        let CodeRules { exact, reusable } = self.code_rules(lane, &request.reward_code);
        if !reusable {
            self.shared.undelivered.note(till, (request, exact), seq);
        }
    }

    /// A till that was told of a row that was refused before has heard it or not. Where none of
    /// them has, it is owed.
    pub fn delivered(&self, audience: Audience, is_heard: bool) {
        if is_heard {
            return audience.heard();
        }
        drop(audience);
        // For this the writer has to come round. Where the queue is full it does so anyway.
        drop(self.messages.try_send(Message::Ping(oneshot::channel().0)));
    }

    /// A till has asked once more for what it asked for before; how often that was.
    #[must_use]
    pub fn repeated(&self, seq: Seq) -> u32 {
        self.shared.repeats.count(seq)
    }

    /// A person has seen to a row; `free`: its code may be redeemed again.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn handled(
        &self,
        id: &Id,
        note: &str,
        free: bool,
        by: &str,
    ) -> Result<Acted, QueueError> {
        self.ask(Handling { id: id.clone(), note: note.to_owned(), free, by: by.to_owned() }).await
    }

    /// A till's own row, or the one that it was given when it was owed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn receipt(&self, id: &Id, till: &str) -> Result<Option<Redemption>, QueueError> {
        let (id, till) = (id.clone(), till.to_owned());
        self.read(move |reader| reader.receipt(&id, &till)).await
    }

    /// A till takes its own row back. What it was given when it was owed is settled.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn void_by_till(&self, id: &Id, till: &str) -> Result<VoidOutcome, QueueError> {
        // An imported row's id carries another store's number: only the row itself knows its own.
        let own = self.receipt(id, till).await?;
        if let Some(row) = own.as_ref().filter(|row| row.till != till) {
            return Ok(VoidOutcome::TooLate(Box::new(row.clone())));
        }
        let withdrawn = own.is_some_and(|row| self.shared.flights.withdraw(row.seq));
        self.ask(VoidByTill { id: id.clone(), till: till.to_owned(), withdrawn }).await
    }

    /// Rows in order, on a read-only connection.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Redemption>, QueueError> {
        self.look(move |reader| reader.list(&filter)).await
    }

    /// One row with its last attempts and its events.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn show(&self, id: &Id) -> Result<Option<Story>, QueueError> {
        let id = id.clone();
        self.look(move |reader| {
            let Some(row) = reader.by_id(&id)? else { return Ok(None) };
            let (attempts, events) = (reader.attempts(row.seq)?, reader.events(row.seq)?);
            Ok(Some(Story { row, attempts, events }))
        })
        .await
    }

    /// A bounded look at the rows, on a read-only connection: one after the other, on a thread of
    /// their own. What is made of the rows is best made there too, since tills wait for the
    /// runtime.
    ///
    /// # Errors
    /// Too many look, or the store cannot be read.
    pub async fn look<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let Some(thread) = self.shared.look_thread.get() else { return self.read(what).await };
        let (sender, found) = oneshot::channel();
        let (look, generation) = self.reading(what);
        // Whoever has left by its turn is not read for.
        let look = move || {
            if !sender.is_closed() {
                drop(sender.send(look()));
            }
        };
        thread.ask(Arc::downgrade(&self.shared), Box::new(look))?;
        self.read_by(found.await.ok(), generation)
    }

    /// A copy of the whole database as it stands now, without a name; who took it is recorded.
    ///
    /// # Errors
    /// Another one is being made, there is no room beside the database, or the store cannot be
    /// read.
    pub async fn backup(&self, by: &str) -> Result<std::fs::File, QueueError> {
        let Ok(_turn) = self.shared.backup.try_lock() else {
            return Err(QueueError::Busy { retry_after_s: 5 });
        };
        let dir = self.shared.path.parent().map(PathBuf::from).unwrap_or_default();
        let copy = self.read(move |reader| reader.backup(&dir)).await?;
        let told = crate::message::Event::Backup.to_stored();
        let at_ms = self.shared.clock.stamp().unix_ms;
        let (what, by) = ("backup".to_owned(), by.to_owned());
        let event = Event { at_ms, id: None, lane: String::new(), what, by, detail: told };
        self.ask(Record(event)).await?;
        Ok(copy)
    }

    /// A number that rises whenever something changes that operators see: lanes, counts,
    /// exceptions, the storage. Several changes are one for whoever is slow; there is always at
    /// least one after the last.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The operator's retry of a declined or parked row.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn retry(&self, id: &Id, by: &str) -> Result<Acted, QueueError> {
        self.ask(Retry { id: id.clone(), by: by.to_owned() }).await
    }

    /// The declines of the streak for which `lane` is held become pending again; how many.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn retry_held(&self, lane: &str, by: &str) -> Result<u64, QueueError> {
        self.ask(RetryHeld { lane: lane.to_owned(), by: by.to_owned() }).await
    }

    /// The operator closes a pending or parked row with a note.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn void(&self, id: &Id, note: &str, by: &str) -> Result<Acted, QueueError> {
        self.ask(Void { id: id.clone(), note: note.to_owned(), by: by.to_owned() }).await
    }

    /// Totals over all lanes; no query.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts_by_lane().into_iter().map(|(_, lane)| lane).sum()
    }

    /// Totals per lane; no query.
    #[must_use]
    pub fn counts_by_lane(&self) -> Vec<(String, Counts)> {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Age of the oldest pending row in seconds, as far as it is known; one index look-up, none
    /// when nothing is pending.
    pub async fn oldest_pending_age_s(&self) -> Option<u64> {
        if self.counts().pending == 0 {
            return None;
        }
        let now_ms = self.shared.clock.stamp().unix_ms;
        let oldest = if may_be_set(now_ms) {
            self.read(Reader::oldest_pending_of_a_set_clock_ms).await
        } else {
            self.read(Reader::oldest_pending_ms).await
        };
        u64::try_from(now_ms.saturating_sub(oldest.ok().flatten()?) / 1000).ok()
    }

    /// The store's health.
    #[must_use]
    pub fn storage(&self) -> StorageStatus {
        self.shared.storage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every lane, those configured in the order of the settings, then those that only have rows
    /// left.
    #[must_use]
    pub fn lanes(&self) -> Vec<LaneStatus> {
        self.shared.lanes.statuses(&self.counts_by_lane())
    }

    /// Tells a lane (or all with `None`); the lanes told.
    ///
    /// # Errors
    /// The lane is not there.
    pub async fn command(
        &self,
        lane: Option<&str>,
        command: LaneCommand,
    ) -> Result<Vec<String>, NoSuchLane> {
        let lanes = self.configured();
        let chosen: Vec<_> =
            lanes.iter().filter(|one| lane.is_none_or(|name| one.name() == name)).collect();
        if chosen.is_empty() && lane.is_some() {
            return Err(NoSuchLane);
        }
        let mut told = Vec::new();
        for lane in chosen {
            if lane.tell(command.clone()).await {
                told.push(lane.name().to_owned());
            }
        }
        Ok(told)
    }

    /// Faults of the last reload, if the settings on disk were refused.
    #[must_use]
    pub fn reload_faults(&self) -> Vec<String> {
        self.shared.reload_faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the faults of a reload for `status`; none: the settings on disk are in force.
    pub fn set_reload_faults(&self, faults: Vec<String>) {
        *self.shared.reload_faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// The keys whose values on the disk wait for a restart.
    #[must_use]
    pub fn restart_keys(&self) -> Vec<&'static str> {
        self.shared.restart_keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the keys whose values on the disk wait for a restart, for `status`.
    pub fn set_restart_keys(&self, keys: Vec<&'static str>) {
        *self.shared.restart_keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The tills whose tokens cannot be read now. Blocks on the file system.
    #[must_use]
    pub fn unread_tills(&self) -> Vec<UnreadTill> {
        self.shared.unread_tills.look()
    }

    /// Whom to ask for [`Queue::unread_tills`]; the first who says it counts.
    pub fn set_unread_tills(&self, look: impl Fn() -> Vec<UnreadTill> + Send + Sync + 'static) {
        self.shared.unread_tills.set(look);
    }

    /// The offline policy for the requests to come.
    pub fn set_offline(&self, offline: Offline) {
        *self.shared.offline.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(offline);
        *self.shared.zone.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Zone::local());
    }

    /// The machine's time zone, as it was when the settings were read.
    #[must_use]
    pub fn zone(&self) -> Arc<Zone> {
        Arc::clone(&self.shared.zone.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// When days of the reports end, for the requests to come.
    pub fn set_days(&self, days: Days) {
        *self.shared.days.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(days);
    }

    /// When days of the reports begin and end.
    #[must_use]
    pub fn days(&self) -> Arc<Days> {
        Arc::clone(&self.shared.days.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The day of the reports that it is now.
    #[must_use]
    pub fn today(&self) -> Day {
        self.days().of(self.shared.clock.stamp().unix_ms)
    }

    /// Keeps how many requests of tills were refused since the last time, with their day. While
    /// others are committed it happens by itself every few seconds.
    ///
    /// # Errors
    /// The store takes nothing now.
    pub async fn keep_refusals(&self) -> Result<(), QueueError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::KeepRefusals(reply)).await?;
        answer.await.map_err(|_| QueueError::Stopping)?.map(|((), _)| ())
    }

    /// The lanes for the requests to come; their books are made when they have none.
    ///
    /// # Errors
    /// The store takes nothing now.
    pub async fn set_lanes(&self, lanes: Vec<Arc<Lane>>) -> Result<(), QueueError> {
        let names = lanes.iter().map(|lane| lane.name().to_owned()).collect();
        let (reply, answer) = oneshot::channel();
        self.send(Message::EnsureLanes(names, reply)).await?;
        answer.await.unwrap_or(Err(QueueError::Stopping))?;
        for lane in &lanes {
            lane.tells(self.shared.changes.clone());
        }
        self.shared.lanes.set(lanes);
        self.shared.changed();
        Ok(())
    }

    /// The lanes of the settings.
    #[must_use]
    pub fn configured(&self) -> Arc<Vec<Arc<Lane>>> {
        self.shared.lanes.all()
    }

    /// The lane of this name.
    #[must_use]
    pub fn lane(&self, name: &str) -> Option<Arc<Lane>> {
        self.shared.lanes.find(name)
    }

    /// What the lane's link had to remember.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn memory(&self, lane: &str) -> Result<LaneMemory, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Memory(lane.to_owned(), reply)).await?;
        answer.await.unwrap_or(Err(QueueError::Stopping))
    }

    /// The row's bytes are about to leave; false when it was taken back: it must not be sent.
    #[must_use]
    pub fn begin(&self, seq: Seq) -> bool {
        self.shared.flights.begin(seq)
    }

    /// The open rows after `after`, whole: for the file that another gateway imports.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn export(&self, after: Seq, rows_max: usize) -> Result<Page, QueueError> {
        self.look(move |reader| reader.export(after, rows_max)).await
    }

    /// Whether the writer salvages a damaged database and gets on with it; until it is done it does
    /// not come round, and lanes wait for it.
    #[must_use]
    pub fn salvage_goes_on(&self) -> bool {
        self.shared.salvaging.goes_on(salvage_steps(), tokio::time::Instant::now())
    }

    /// Returns when each lane and then the writer has come round: they are alive.
    ///
    /// # Errors
    /// One of them has stopped.
    pub async fn ping(&self) -> Result<(), QueueError> {
        for lane in self.configured().iter() {
            if !lane.tell(LaneCommand::Ping).await {
                return Err(QueueError::Stopping);
            }
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message::Ping(reply)).await?;
        answer.await.map_err(|_| QueueError::Stopping)
    }

    /// Commits what waits, closes the store in order, and ends the writer.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Message::Stop(reply)).await.is_ok() && answer.await.is_err() {
            tracing::warn!("the store's thread ended before it had closed the store");
        }
    }

    /// Returns with the reason once the store cannot be trusted any more and the process has to
    /// start again.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.shared.fatal.subscribe();
        let told = fatal.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match told {
            Ok(Some(reason)) => reason.text(Language::English),
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Asks and, when the queue is full, says so at once: for tills.
    async fn try_ask<O: Operation>(&self, operation: O) -> asked::OperationResult<O::Output> {
        let (message, answer) = asked::ask(operation);
        self.messages.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => QueueError::Busy { retry_after_s: 1 },
            mpsc::error::TrySendError::Closed(_) => QueueError::Stopping,
        })?;
        answer.await.unwrap_or(Err(QueueError::Stopping))
    }

    /// One operation of the next transaction, answered once that is committed. Waits for a place:
    /// for everybody who is already bounded.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn ask<O: Operation>(&self, operation: O) -> Result<O::Output, QueueError> {
        self.ask_and_hear(operation).await.map(|(output, _)| output)
    }

    async fn ask_and_hear<O: Operation>(&self, operation: O) -> asked::OperationResult<O::Output> {
        let (message, answer) = asked::ask(operation);
        self.send(message).await?;
        answer.await.unwrap_or(Err(QueueError::Stopping))
    }

    async fn send(&self, message: Message) -> Result<(), QueueError> {
        self.messages.send(message).await.map_err(|_| QueueError::Stopping)
    }

    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let _turn = self.shared.readers.acquire().await.map_err(|_| QueueError::Stopping)?;
        let (read, generation) = self.reading(what);
        self.read_by(tokio::task::spawn_blocking(read).await.ok(), generation)
    }

    /// The work of reading the database of the generation that is returned with it.
    fn reading<T, F: FnOnce(&Reader) -> Result<T, StoreError>>(
        &self,
        what: F,
    ) -> (impl FnOnce() -> Result<T, StoreError> + use<T, F>, u64) {
        let (shared, generation) =
            (Arc::clone(&self.shared), self.shared.generation.load(Ordering::Acquire));
        let read = move || shared.kept.look((&shared.path, &shared.place), generation, what);
        (read, generation)
    }

    /// What a reader of the database of this generation brought; `None`: it ended without.
    fn read_by<T>(
        &self,
        read: Option<Result<T, StoreError>>,
        generation: u64,
    ) -> Result<T, QueueError> {
        match read {
            Some(Ok(result)) => Ok(result),
            Some(Err(error)) => {
                // If the queue is full, the next one who meets it says so again.
                if matches!(error, StoreError::Taken { .. }) {
                    drop(self.messages.try_send(Message::TakenAway));
                } else if error.trouble() == Trouble::Damaged {
                    drop(self.messages.try_send(Message::Damaged(error.to_string(), generation)));
                }
                Err(health::refusing(&error))
            }
            None => Err(QueueError::Stopping),
        }
    }
}

impl Shared {
    /// The store cannot be trusted any more: nothing is written again, the process has to start
    /// anew.
    fn stop_for_good(&self, why: &Storage) {
        self.set_storage(StorageStatus::bad(why.clone(), self.clock.stamp().unix_ms));
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                *fatal = Some(why.clone());
            }
            first
        });
    }

    fn set_storage(&self, status: StorageStatus) {
        *self.storage.lock().unwrap_or_else(PoisonError::into_inner) = status;
        self.changed();
    }

    /// Something changed that operators see.
    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// The database is another one: nothing reads the earlier any more.
    fn begin_generation(&self) {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.kept.begin(generation);
    }

    fn is_stopped(&self) -> bool {
        self.fatal.borrow().is_some()
    }
}
