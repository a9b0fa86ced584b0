//! The one task that owns the store: takes what waits, commits it together, tells everybody
//! afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::asked::{PendingOperation, with_reply};
use super::check::{DatabaseCheck, Stop};
use super::health::Health;
use super::readers::READERS_MAX;
use super::undelivered::Undelivered;
use super::waiters::{Flights, Waiters};
use super::{
    Audience, Message, OPS_MAX, Queue, QueueError, Shared, StorageStatus, Waited, asked, health,
    lanes,
};
use crate::clock::{Clock, Days, Zone};
use crate::message::{Language, Storage};
use crate::redemption::{Redemption, Request, Seq};
use crate::refused;
use crate::settings::Offline;
use crate::store::{
    AfterCommit, Checkpointer, Claimed, DiskRoom, FileWatch, Job, OperationKind, Pace, Recounted,
    Refused, Store, StoreError, Surroundings, Task, TillsNow, Trouble, Unclaim, Unheard,
};

/// How many operations one transaction takes.
const BATCH_OPS_MAX: usize = 256;
/// How many batches may wait to be answered where those wait who asked; beyond that the writer
/// answers itself.
const BATCHES_MAX: usize = 64;
/// Less than it takes to sleep and to be woken.
const SPIN: Duration = Duration::from_micros(100);
/// After a larger batch more are on their way, and the next one is the larger for a moment's sleep.
const SPIN_OPS_MAX: usize = 2;
/// How long what no till waits for, such as a probe's row, waits for others that are to be synced.
/// A till that has its answer asks again within that time if it is in a hurry, and a sync of a card
/// takes longer.
const COMPANY: Duration = Duration::from_millis(2);
/// After so long without work the WAL is moved into the database, unless it holds little: what a
/// probe of the link leaves is not worth waking for.
const IDLE: Duration = Duration::from_secs(2);
const WAL_FRAMES_IDLE: u32 = 100;
/// While nothing is taken in, it is looked so often whether the files are still those that were
/// opened.
const FILES_EVERY: Duration = Duration::from_secs(10);
/// So often what was refused is kept with a commit that is made anyway: a crash forgets so long of
/// it.
const REFUSALS_EVERY: Duration = Duration::from_secs(2);
/// How many databases one process sets aside: a disk that damages one after the other is not to be
/// worked on.
const RESCUES_MAX: u32 = 3;
/// While the disk is full, the writer moves the log into the database whenever it holds so many
/// frames.
const WAL_FRAMES_FULL: u32 = 32;
/// How long ample space is believed without another look; what is ample depends on it.
const AMPLE_FOR: Duration = Duration::from_millis(100);
/// How often free space is looked at.
const SPACE_EVERY: Duration = Duration::from_secs(1);

/// The writer's task. [`Writer::run`] is to be driven by a thread of its own, or by a test's
/// runtime.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    store: Store,
    watch: FileWatch,
    messages: mpsc::Receiver<Message>,
    checkpoints: Option<std::sync::mpsc::SyncSender<()>>,
    checkpointer: Checkpointer,
    pace: Pace,
    rescues: u32,
    health: Health,
    /// To where those wait who asked.
    answers: Option<mpsc::Sender<Vec<Committed>>>,
    /// Held for the background check to hear of the end.
    alive: Option<std::sync::mpsc::SyncSender<()>>,
    space_looked_at: Option<Instant>,
    files_looked_at: Instant,
    salvage_looked_at: Instant,
    refusals_kept_at: Instant,
    /// There is more room than is filled until then.
    is_ample_until: Option<Instant>,
    /// In this batch it was looked whether there is still room.
    room_is_known: bool,
    wrote: bool,
    /// A small batch, since it looked for messages last.
    has_committed: bool,
    /// How long it looks for messages after a commit before it sleeps: not at all without a thread
    /// of its own, or on one processor.
    spin: Duration,
    /// Live rows for which their lane had no room, by lane and with the number of the attempt: they
    /// lose their claim and join the backlog.
    strays: Vec<(String, Seq, u32)>,
}

impl Queue {
    /// The handle on `store`, and the writer that somebody has to run.
    #[must_use]
    pub fn new(store: Store, clock: Clock, offline: Offline) -> (Self, Writer) {
        let (messages, received) = mpsc::channel(OPS_MAX);
        let health = Health::new(store.salvage_note().ok().flatten());
        let checkpointer = Checkpointer::new(store.path());
        let shared = Arc::new(Shared {
            clock,
            path: store.path(),
            place: store.place(),
            lanes: super::lanes::Lanes::default(),
            offline: RwLock::new(Arc::new(offline)),
            zone: RwLock::new(Arc::new(Zone::local())),
            standing: Mutex::default(),
            days: RwLock::new(Arc::new(Days::utc())),
            counts: Mutex::new(store.counts()),
            storage: Mutex::new(health.status(0)),
            salvaging: super::salvaging::Salvaging::default(),
            reload_faults: Mutex::default(),
            restart_keys: Mutex::default(),
            unread_tills: super::unread::UnreadTills::default(),
            waiters: Waiters::default(),
            flights: Flights::default(),
            tellings: Arc::default(),
            undelivered: Undelivered::default(),
            repeats: super::repeats::Repeats::default(),
            readers: tokio::sync::Semaphore::new(READERS_MAX),
            kept: super::readers::Readers::default(),
            look_thread: std::sync::OnceLock::new(),
            backup: tokio::sync::Mutex::default(),
            changes: watch::Sender::new(0),
            fatal: watch::Sender::new(None),
            generation: AtomicU64::new(0),
            wal_frames: store.wal_gauge(),
            checks_kept: AtomicU64::new(store.checks_kept().unwrap_or(0)),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            watch: FileWatch::over(&store),
            store,
            messages: received,
            checkpoints: None,
            checkpointer,
            pace: Pace::default(),
            rescues: 0,
            health,
            answers: None,
            alive: None,
            space_looked_at: None,
            files_looked_at: Instant::now(),
            salvage_looked_at: Instant::now(),
            refusals_kept_at: Instant::now(),
            is_ample_until: None,
            room_is_known: false,
            wrote: true,
            has_committed: false,
            spin: Duration::ZERO,
            strays: Vec::new(),
        };
        (Self { shared, messages }, writer)
    }

    /// As [`Queue::new`], with the writer on a thread of its own and checkpoints on another.
    ///
    /// # Errors
    /// No thread could be made.
    pub fn start(store: Store, clock: Clock, offline: Offline) -> std::io::Result<Self> {
        let (queue, mut writer) = Self::new(store, clock, offline);
        let damaged = queue.messages.downgrade();
        queue.shared.look_thread.get_or_init(super::look_thread::LookThread::default);
        writer.answers = answering(Arc::clone(&queue.shared));
        writer.checkpoints = Some(checkpoint_thread(&writer, damaged)?);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        writer.spin = if cores > 1 { SPIN } else { Duration::ZERO };
        writer.alive = Some(check_thread(&writer, queue.messages.downgrade())?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || runtime.block_on(writer.run()))?;
        Ok(queue)
    }
}

/// Answers those who wait on this runtime, until the writer ends; `None` without a runtime.
fn answering(shared: Arc<Shared>) -> Option<mpsc::Sender<Vec<Committed>>> {
    let (sender, mut committed) = mpsc::channel::<Vec<Committed>>(BATCHES_MAX);
    let answer = async move {
        while let Some(batch) = committed.recv().await {
            shared.answer(batch);
        }
    };
    tokio::runtime::Handle::try_current().ok()?.spawn(answer);
    Some(sender)
}

/// A thread that checkpoints whenever it is told, one telling at a time.
fn checkpoint_thread(
    writer: &Writer,
    messages: mpsc::WeakSender<Message>,
) -> std::io::Result<std::sync::mpsc::SyncSender<()>> {
    let (sender, told) = std::sync::mpsc::sync_channel(1);
    let (shared, checkpointer) = (Arc::clone(&writer.shared), writer.checkpointer.clone());
    let work = move || {
        while told.recv().is_ok() && !shared.is_stopped() {
            if shared.place.check().is_err() {
                continue;
            }
            let generation = shared.generation.load(Ordering::Acquire);
            let Err(error) = checkpointer.run() else { continue };
            tracing::warn!(%error, "a checkpoint beside the writer failed");
            match error.trouble() {
                Trouble::Fatal => shared.stop_for_good(&health::stopping(&error)),
                Trouble::Damaged => {
                    // If the queue is full, the next one who meets it says so again.
                    if let Some(messages) = messages.upgrade() {
                        drop(messages.try_send(Message::Damaged(error.to_string(), generation)));
                    }
                }
                Trouble::Operation | Trouble::Full | Trouble::Unwritable => {}
            }
        }
    };
    std::thread::Builder::new().name("checkpoint".to_owned()).spawn(work)?;
    Ok(sender)
}

/// A thread that looks through the database and recounts the books for as long as the writer works.
fn check_thread(
    writer: &Writer,
    messages: mpsc::WeakSender<Message>,
) -> std::io::Result<std::sync::mpsc::SyncSender<()>> {
    let (alive, heard) = std::sync::mpsc::sync_channel(1);
    let (shared, unchecked) = (Arc::clone(&writer.shared), writer.store.is_unchecked());
    let check = DatabaseCheck { shared, messages, stop: Stop::new(heard), unchecked };
    std::thread::Builder::new().name("check".to_owned()).spawn(move || check.run())?;
    Ok(alive)
}

impl Writer {
    /// Works until it is told to stop or every handle is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            match self.next(&mut batch).await {
                Some(0) => break,
                Some(_) => {
                    if let Some(stopped) = self.turn(&mut batch) {
                        return self.close(Some(stopped));
                    }
                }
                None => self.idle(),
            }
            if self.files_looked_at.elapsed() >= FILES_EVERY {
                self.look_at_files();
            }
            if self.salvage_looked_at.elapsed() >= FILES_EVERY {
                self.look_at_salvage();
            }
        }
        self.close(None);
    }

    /// How many messages came; `None` when none came for a while.
    async fn next(&mut self, batch: &mut Vec<Message>) -> Option<usize> {
        if std::mem::take(&mut self.has_committed) {
            self.spin();
        }
        let has_log = self.wrote && self.store.wal_frames() >= WAL_FRAMES_IDLE;
        let waits_for_disk = self.health.is_refusing() || !self.strays.is_empty();
        let patience = match (has_log, waits_for_disk) {
            (_, true) => SPACE_EVERY,
            (true, false) => IDLE,
            (false, false) => FILES_EVERY,
        };
        let receive = self.messages.recv_many(batch, BATCH_OPS_MAX);
        tokio::time::timeout(patience, receive).await.ok()?;
        if !batch.is_empty() && batch.iter_mut().all(Message::is_patient) {
            let room = BATCH_OPS_MAX.saturating_sub(batch.len());
            let company = self.messages.recv_many(batch, room);
            // Whether or not somebody came.
            let _came = tokio::time::timeout(COMPANY, company).await;
        }
        Some(batch.len())
    }

    /// Who was just answered may ask again at once: to sleep and to be woken would take longer than
    /// to look for it a moment.
    fn spin(&self) {
        let began = std::time::Instant::now();
        while self.messages.is_empty() && began.elapsed() < self.spin {
            std::thread::yield_now();
        }
    }

    /// Nothing came for a while: tidy up, look whether the disk is well again.
    fn idle(&mut self) {
        self.room_is_known = false;
        if self.health.is_refusing() {
            self.look_at_disk();
        } else if std::mem::take(&mut self.wrote) && self.store.wal_frames() >= WAL_FRAMES_IDLE {
            self.ask_for_checkpoint();
        }
        self.give_back_strays();
    }

    /// One transaction; the stop's receipt if somebody asked for it.
    fn turn(&mut self, batch: &mut Vec<Message>) -> Option<oneshot::Sender<()>> {
        let (mut stop, mut keep) = (None, None);
        self.room_is_known = false;
        let mut asked = Vec::with_capacity(batch.len());
        // First of all: who asks again in this batch is given what is owed.
        asked.extend(self.unheard());
        for message in batch.drain(..) {
            match message {
                Message::Do(ask) => asked.extend(self.screen(ask)),
                Message::EnsureLanes(names, reply) => self.ensure_lanes(&names, reply),
                Message::Damaged(why, generation) => {
                    if generation == self.shared.generation.load(Ordering::Acquire) {
                        self.rescue(&why);
                    }
                }
                Message::TakenAway => {
                    self.look_at_files();
                }
                Message::Memory(lane, reply) => {
                    tell(reply, self.store.memory(&lane).map_err(|e| health::refusing(&e)));
                }
                // Two in one batch are one: the other hears what a stop tells.
                Message::KeepRefusals(reply) => keep = Some(reply),
                Message::Ping(reply) => tell(reply, ()),
                Message::Stop(reply) => stop = Some(reply),
            }
        }
        let is_writing = asked.iter_mut().any(|ask| ask.task().kind() != OperationKind::Other);
        asked.extend(self.refusals(keep, is_writing));
        if !asked.is_empty() {
            // What is written to a log that was cut hides that it was.
            if !self.room_is_known {
                self.look_at_files();
            }
            self.commit(asked);
        }
        stop
    }

    /// What nobody has heard is owed; it is tried again with each batch until it is written down.
    fn unheard(&self) -> Option<Box<dyn PendingOperation>> {
        let unheard = self.shared.tellings.unheard();
        let is_due = !unheard.is_empty() && !self.shared.is_stopped();
        is_due.then(|| with_reply(Unheard(unheard), oneshot::channel().0))
    }

    /// What was refused, to be kept with the others of a batch: now and then where one is written
    /// anyway, at once where somebody waits for it. It is read and marked as kept by this task
    /// alone, so that nothing is counted twice.
    fn refusals(
        &mut self,
        asked: Option<oneshot::Sender<asked::OperationResult<()>>>,
        is_writing: bool,
    ) -> Option<Box<dyn PendingOperation>> {
        let is_due = is_writing && self.refusals_kept_at.elapsed() >= REFUSALS_EVERY;
        if asked.is_none() && (!is_due || self.health.is_refusing()) {
            return None;
        }
        self.refusals_kept_at = Instant::now();
        let (refused, reply) = (refused::unkept(), asked.unwrap_or_else(|| oneshot::channel().0));
        if refused.is_empty() {
            tell(reply, Ok(((), None)));
            return None;
        }
        Some(with_reply(Refused(refused), reply))
    }

    /// Refuses what must not be begun now; everything else passes.
    fn screen(&mut self, mut ask: Box<dyn PendingOperation>) -> Option<Box<dyn PendingOperation>> {
        match self.refusal(ask.task().kind()) {
            Some(why) => ask.refuse(QueueError::Refusing(why)),
            None => return Some(ask),
        }
        None
    }

    fn refusal(&mut self, kind: OperationKind) -> Option<Storage> {
        let stopped = self.shared.fatal.borrow().clone();
        if stopped.is_some() || !matches!(kind, OperationKind::New | OperationKind::Beginning) {
            return stopped;
        }
        self.look_at_disk();
        self.health.refusal(kind)
    }

    fn commit(&mut self, mut asked: Vec<Box<dyn PendingOperation>>) {
        (self.wrote, self.has_committed) = (true, asked.len() <= SPIN_OPS_MAX);
        let mut tasks: Vec<&mut dyn Task> = asked.iter_mut().map(|ask| ask.task()).collect();
        self.run_store(&mut tasks);
        if errors(&tasks).any(|error| error.trouble() == Trouble::Full) {
            self.make_room();
            self.again(&mut tasks);
        }
        if self.rescues_from(errors(&tasks)) {
            self.decide_again(&mut tasks);
        }
        self.note_trouble(&tasks);
        self.publish_counts();
        let committed = asked.into_iter().map(|ask| self.follow(ask)).collect();
        self.answer(committed);
        self.give_back_strays();
        self.bound_wal();
    }

    fn run_store(&mut self, tasks: &mut [&mut dyn Task]) {
        let (shared, now) = (Arc::clone(&self.shared), Instant::now());
        let lanes = shared.lanes.all();
        let offline = Arc::clone(&shared.offline.read().unwrap_or_else(PoisonError::into_inner));
        let days = Arc::clone(&shared.days.read().unwrap_or_else(PoisonError::into_inner));
        let zone = Arc::clone(&shared.zone.read().unwrap_or_else(PoisonError::into_inner));
        let lane = |name: &str| lanes::lane_now(&lanes, name, now);
        let evidence =
            |name: &str, seq: Seq, till: &str| lanes::has_evidence(&lanes, name, seq, till);
        let around = Surroundings {
            stamp: shared.clock.stamp(),
            uptime: shared.clock.uptime(),
            zone: &zone,
            days: &days,
            offline: &offline,
            lane: &lane,
            evidence: &evidence,
            tills: &*shared,
        };
        self.store.run(tasks, &around);
    }

    /// The disk is full in the middle of things: the reserve goes, and the log is moved out of the
    /// way.
    fn make_room(&mut self) {
        self.set_room(false);
        if self.store.give_up_reserve() {
            tracing::error!("the reserve is given up so that deliveries can be settled");
        }
        self.checkpoint_here();
    }

    /// Runs again what failed, unless it is something new.
    fn again(&mut self, tasks: &mut [&mut dyn Task]) {
        for task in tasks {
            if task.error().is_some() && task.kind() != OperationKind::New {
                self.run_store(std::slice::from_mut(task));
            }
        }
    }

    /// What the results say about the disk.
    fn note_trouble(&mut self, tasks: &[&mut dyn Task]) {
        for error in errors(tasks) {
            match error.trouble() {
                Trouble::Operation => tracing::error!(%error, "an operation on the store failed"),
                Trouble::Full => self.set_room(false),
                Trouble::Unwritable => self.set_unwritable(Some(health::told(error))),
                Trouble::Damaged | Trouble::Fatal => self.stop_for_good(health::stopping(error)),
            }
        }
    }

    fn stop_for_good(&mut self, why: Storage) {
        if !self.shared.is_stopped() {
            let why = why.text(Language::English);
            tracing::error!(why, "the store cannot be trusted any more: nothing is written again");
        }
        self.shared.stop_for_good(&why);
        self.health.set_unwritable(Some(why));
    }

    /// Whether one of them met damage and the database has been rescued since: it can be tried
    /// again.
    fn rescues_from<'a>(&mut self, errors: impl IntoIterator<Item = &'a StoreError>) -> bool {
        let damage = errors.into_iter().find(|error| error.trouble() == Trouble::Damaged);
        damage.is_some_and(|error| self.rescue(&error.to_string()))
    }

    /// Sets the damaged database aside and goes on with what could be salvaged; false when that
    /// failed for good.
    fn rescue(&mut self, why: &str) -> bool {
        tracing::error!(
            why,
            "the database is damaged: its rows are salvaged into a new one, requests wait"
        );
        self.shared
            .set_storage(StorageStatus::bad(Storage::Salvaging, self.shared.clock.stamp().unix_ms));
        self.rescues += 1;
        if self.rescues > RESCUES_MAX {
            self.stop_for_good(Storage::DamagedAgain { why: why.to_owned() });
            return false;
        }
        let checkpointer = self.checkpointer.clone();
        let paused = checkpointer.pause();
        self.shared.salvaging.begin(Instant::now());
        let salvaged = self.store.rescue(why, &self.shared.flights.flying());
        self.shared.salvaging.end();
        self.shared.begin_generation();
        drop(paused);
        match salvaged {
            Ok(_) => self.rescued(),
            Err(error) => self.stop_for_good(health::stopping(&error)),
        }
        !self.shared.is_stopped()
    }

    fn rescued(&mut self) {
        let note = self.store.salvage_note().ok().flatten();
        if let Some(note) = &note {
            tracing::error!("{}", note.text(Language::English));
        }
        self.health.set_salvaged(note);
        self.set_checks_kept(self.store.checks_kept().unwrap_or(0));
        self.publish_counts();
        self.publish_storage();
        self.shared.lanes.signal_all();
    }

    /// The batch that met the damage is decided by the new store: what failed, and what was
    /// accepted beside it, in case that did not survive.
    fn decide_again(&mut self, tasks: &mut [&mut dyn Task]) {
        for task in tasks {
            if task.error().is_some() || task.kind() == OperationKind::New {
                self.run_store(std::slice::from_mut(task));
            }
        }
    }

    /// The set-aside file is the operator's to remove; then the note has served.
    fn look_at_salvage(&mut self) {
        self.salvage_looked_at = Instant::now();
        if !self.health.was_salvaged() {
            return;
        }
        self.health.set_salvaged(self.store.salvage_note().ok().flatten());
        if !self.health.was_salvaged() {
            self.publish_storage();
        }
    }

    /// In each batch whether there is still room: a flood would use up the rest, and the reserve,
    /// before a second is over. At most once in [`SPACE_EVERY`], however many knock meanwhile,
    /// whether room has returned, and whether a disk that could not be written can be again.
    fn look_at_disk(&mut self) {
        if !std::mem::replace(&mut self.room_is_known, true) {
            self.look_for_room();
            self.look_at_files();
        }
        let now = Instant::now();
        if self.space_looked_at.is_some_and(|at| now.saturating_duration_since(at) < SPACE_EVERY) {
            return;
        }
        self.space_looked_at = Some(now);
        self.look_at_salvage();
        let room = self.store.room() != DiskRoom::None
            && (!self.health.is_full() || self.store.keep_reserve());
        self.set_room(room);
        self.probe_disk();
    }

    /// Whether something changed. A store of which a file was cut is rescued.
    fn look_at_files(&mut self) -> bool {
        self.files_looked_at = Instant::now();
        let looked = self.watch.look(&self.store);
        if matches!(looked, Ok(false)) {
            return false;
        }
        self.health.set_taken(self.watch.taken().cloned());
        self.publish_storage();
        if let Err(cut) = looked
            && !self.shared.is_stopped()
        {
            self.rescue(&cut.to_string());
        }
        true
    }

    /// Ample room is believed for a moment: a batch fills little of it.
    fn look_for_room(&mut self) {
        let now = Instant::now();
        if self.health.is_full() || self.is_ample_until.is_some_and(|until| now < until) {
            return;
        }
        let room = self.store.room();
        self.is_ample_until = (room == DiskRoom::Ample).then(|| now + AMPLE_FOR);
        if room == DiskRoom::None {
            self.set_room(false);
        }
    }

    fn set_room(&mut self, room: bool) {
        // In the place of a state directory that is gone another may stand, on another disk.
        if self.watch.taken().is_some() || !self.health.set_full(!room) {
            return;
        }
        if room {
            tracing::info!("there is space again: redemptions are accepted");
        } else {
            tracing::error!("the disk is full: redemptions are refused, deliveries go on");
        }
        self.publish_storage();
    }

    fn set_unwritable(&mut self, why: Option<Storage>) {
        let told = why.as_ref().map(|why| why.text(Language::English));
        if !self.health.set_unwritable(why) {
            return;
        }
        if let Some(told) = told {
            tracing::error!("{told}");
        } else {
            tracing::info!("the disk can be written again");
        }
        self.publish_storage();
    }

    /// Looks by writing whether a disk that could not be written can be again, unless that was for
    /// good.
    fn probe_disk(&mut self) {
        if !self.health.is_unwritable() || self.shared.fatal.borrow().is_some() {
            return;
        }
        match self.store.probe() {
            Ok(()) => self.set_unwritable(None),
            Err(error) if error.trouble() == Trouble::Fatal => {
                self.stop_for_good(health::stopping(&error));
            }
            Err(error) => tracing::debug!(%error, "the disk can still not be written"),
        }
    }

    fn publish_storage(&self) {
        if !self.shared.is_stopped() {
            self.shared.set_storage(self.health.status(self.shared.clock.stamp().unix_ms));
        }
    }

    fn recounted(&mut self, recounted: &Recounted) {
        for difference in &recounted.differences {
            let difference = difference.text(Language::English);
            tracing::error!(difference, "the recount of the books found something else");
        }
        if recounted.finished && self.health.set_differences(&recounted.differences) {
            self.publish_storage();
        }
    }

    fn publish_counts(&self) {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.store.counts();
        self.shared.changed();
    }

    fn set_checks_kept(&self, kept: u64) {
        self.shared.checks_kept.store(kept, Ordering::Relaxed);
    }

    /// What follows from the commit, before anybody hears of it.
    fn follow(&mut self, mut ask: Box<dyn PendingOperation>) -> Committed {
        let mut aftermath = Aftermath { writer: self, waiter: None, told: None };
        ask.task().after(&mut aftermath);
        let (waiter, told) = (aftermath.waiter, aftermath.told);
        Committed { ask, waiter, told }
    }

    /// Answers everybody. Each answer from this thread wakes the runtime; one that carries several
    /// wakes it once.
    fn answer(&self, committed: Vec<Committed>) {
        let alone = match &self.answers {
            Some(answers) if committed.len() > 1 => {
                answers.try_send(committed).err().map(mpsc::error::TrySendError::into_inner)
            }
            _ => Some(committed),
        };
        self.shared.answer(alone.into_iter().flatten());
    }

    fn give_back_strays(&mut self) {
        let strays = std::mem::take(&mut self.strays);
        if strays.is_empty() {
            return;
        }
        for (_, seq, _) in &strays {
            self.shared.flights.ended(*seq);
            self.shared.waiters.tell(*seq, Waited::TurnedAway { retry_after_s: None });
        }
        let rows = strays.iter().map(|(_, seq, attempt)| (*seq, *attempt)).collect();
        let mut job = Job::new(Unclaim(rows));
        self.run_store(&mut [&mut job]);
        if let Err(error) = job.outcome() {
            tracing::warn!(%error, "live redemptions could not be given to the backlog: it is \
                tried again");
            self.strays = strays;
            return;
        }
        for (lane, seq, _) in &strays {
            self.shared.lanes.signal(lane, *seq);
        }
    }

    fn ensure_lanes(&mut self, names: &[String], reply: oneshot::Sender<Result<(), QueueError>>) {
        let mut result = self.store.ensure_lanes(names);
        if self.rescues_from(result.as_ref().err()) {
            result = self.store.ensure_lanes(names);
        }
        let result = result.map_err(|error| health::refusing(&error));
        self.publish_counts();
        tell(reply, result);
    }

    fn bound_wal(&mut self) {
        let frames = self.store.wal_frames();
        if self.health.is_full() && frames >= WAL_FRAMES_FULL {
            // A log that is all in the database begins again from its start: settling needs no new
            // block then.
            return self.checkpoint_here();
        }
        if self.pace.after_commit(frames, self.is_ample_until.is_some()) {
            self.checkpoint_here();
        }
    }

    fn ask_for_checkpoint(&mut self) {
        if self.store.wal_frames() == 0 || self.shared.is_stopped() {
            return;
        }
        match &self.checkpoints {
            // One that is already asked for serves as well.
            Some(thread) => drop(thread.try_send(())),
            None => self.checkpoint_here(),
        }
    }

    fn checkpoint_here(&mut self) {
        let full = |error: &StoreError| error.trouble() == Trouble::Full;
        let again = |error| {
            if full(&error) && self.store.give_up_reserve() {
                self.checkpointer.run_between_commits()
            } else {
                Err(error)
            }
        };
        let moved = self.checkpointer.run_between_commits().or_else(again);
        let Err(error) = moved else { return self.store.log_is_moved() };
        tracing::warn!(%error, "the log could not be moved into the database");
        match error.trouble() {
            Trouble::Fatal => self.stop_for_good(health::stopping(&error)),
            Trouble::Damaged => drop(self.rescue(&error.to_string())),
            Trouble::Operation | Trouble::Full | Trouble::Unwritable => {}
        }
    }

    fn close(mut self, stopped: Option<oneshot::Sender<()>>) {
        if !self.look_at_files() {
            self.watch.save_again(&self.store);
        }
        // The log is removed by the last connection that closes.
        self.shared.begin_generation();
        if self.shared.is_stopped() {
            tracing::warn!("the store is left as it is; the next start looks it through");
        } else if let Err(error) = self.store.close() {
            tracing::warn!(%error, "the store could not be closed in order; the next start looks \
                it through");
        }
        if let Some(stopped) = stopped {
            tell(stopped, ());
        }
    }
}

/// An operation that was done or refused, its asker, the row that its till waits for, and its
/// till's telling.
struct Committed {
    ask: Box<dyn PendingOperation>,
    waiter: Option<Seq>,
    told: Option<Audience>,
}

impl TillsNow for Shared {
    fn is_awaited(&self, seq: Seq) -> bool {
        self.waiters.is_waited_for(seq)
    }

    fn take_undelivered(&self, till: &str, request: &Request, exact: bool) -> Option<Seq> {
        self.undelivered.take(till, request, exact)
    }

    fn give_back_undelivered(&self) {
        self.undelivered.give_back();
    }

    fn ended(&self, is_committed: bool) {
        self.undelivered.ended(is_committed);
    }
}

impl Shared {
    /// A till that has left waits no more.
    fn answer(&self, committed: impl IntoIterator<Item = Committed>) {
        for Committed { ask, waiter, told } in committed {
            if !ask.answer(told)
                && let Some(seq) = waiter
            {
                self.waiters.leave(seq);
            }
        }
    }
}

/// The writer while it sees to what follows from one operation.
struct Aftermath<'a> {
    writer: &'a mut Writer,
    /// The row that a till waits for, which may have left.
    waiter: Option<Seq>,
    /// The answer's own telling, where one is kept.
    told: Option<Audience>,
}

impl AfterCommit for Aftermath<'_> {
    fn awaited(&mut self, seq: Seq) {
        self.writer.shared.waiters.reserve(seq);
        self.waiter = Some(seq);
    }

    fn claimed(&mut self, seq: Seq, attempt: u32) {
        self.writer.shared.flights.claimed(seq, attempt);
    }

    fn live(&mut self, lane: &str, row: Claimed) {
        let (seq, attempt) = (row.seq, row.attempt);
        self.claimed(seq, attempt);
        if !self.writer.shared.lanes.hand_over(lane, row) {
            self.writer.strays.push((lane.to_owned(), seq, attempt));
        }
    }

    fn ended(&mut self, seq: Seq) {
        self.writer.shared.flights.ended(seq);
    }

    fn settled(&mut self, row: &Redemption, pays: bool) {
        let shared = &self.writer.shared;
        let audience = if pays { shared.tellings.begin(row.seq, true) } else { None };
        shared.waiters.tell(row.seq, Waited::Settled(Box::new(row.clone()), audience));
    }

    fn told(&mut self, seq: Seq, pays: bool) {
        self.told = self.writer.shared.tellings.begin(seq, pays);
    }

    fn owed(&mut self, rows: &[Seq]) {
        self.writer.shared.tellings.noted(rows);
    }

    fn pending(&mut self, lane: &str, seq: Seq) {
        self.writer.shared.lanes.signal(lane, seq);
    }

    fn recounted(&mut self, recounted: &Recounted) {
        self.writer.recounted(recounted);
    }

    fn checks_kept(&mut self, kept: u64) {
        self.writer.set_checks_kept(kept);
    }
}

fn errors<'a>(tasks: &'a [&mut dyn Task]) -> impl Iterator<Item = &'a StoreError> {
    tasks.iter().filter_map(|task| task.error())
}

/// Answers somebody who may have left meanwhile; what was done stays done.
fn tell<T>(reply: oneshot::Sender<T>, answer: T) {
    drop(reply.send(answer));
}
