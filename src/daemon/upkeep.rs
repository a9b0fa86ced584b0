//! What is done now and then: the watchdog is fed by progress, old rows and remembered checks
//! leave, refusals are kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::clock::Clock;
use crate::notify::Notify;
use crate::queue::Queue;
use crate::redemption::Seq;
use crate::refused;
use crate::store::{ForgetChecks, LearnChecks, Prune, Retention};

/// How often old rows are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// How many rows may leave in that time: a clock that jumped cannot empty the books at once.
const PRUNE_ROWS_MAX: u64 = 20_000;
/// How long what was refused waits for a commit that takes it along, before it gets one of its own.
const REFUSALS_WITHIN: Duration = Duration::from_secs(10);
/// How often checks are forgotten whose time is over.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Between two batches, so that tills come first.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);
/// The same where a batch takes a millisecond and writes nothing.
const LEARN_PAUSE: Duration = Duration::from_millis(5);

/// The timers.
pub(super) struct Upkeep {
    notify: Arc<Notify>,
    retention: Retention,
    feed: Option<tokio::time::Interval>,
    prune: tokio::time::Interval,
    /// When the refusals that have come are kept.
    refusals: Option<Instant>,
    forget: tokio::time::Interval,
    work: JoinSet<()>,
}

impl Upkeep {
    pub(super) fn new(notify: &Arc<Notify>, retention: Retention) -> Self {
        let from = |first: Instant, period: Duration| {
            let mut timer = interval_at(first, period);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            timer
        };
        let now = Instant::now();
        let every = |period: Duration| from(now + period, period);
        Self {
            notify: Arc::clone(notify),
            retention,
            // Twice in the interval, as sd_watchdog_enabled(3) advises.
            feed: notify.watchdog_interval().map(|interval| every(interval / 2)),
            prune: every(PRUNE_EVERY),
            refusals: None,
            // A start has to learn what is remembered.
            forget: from(now, FORGET_EVERY),
            work: JoinSet::new(),
        }
    }

    pub(super) fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Checks that are not to be remembered any more leave, not only at their next time.
    pub(super) fn forget_now(&mut self, queue: &Queue) {
        self.work.spawn(forget(queue.clone()));
    }

    /// Returns after something was begun.
    pub(super) async fn tick(&mut self, queue: &Queue, clock: &Clock) {
        tokio::select! {
            () = next(&mut self.feed) => {
                if queue.salvage_goes_on() {
                    self.notify.feed();
                } else {
                    self.work.spawn(feed(queue.clone(), Arc::clone(&self.notify)));
                }
            }
            _ = self.prune.tick() => {
                self.work.spawn(prune(queue.clone(), clock.clone(), self.retention));
            }
            () = are_due(&mut self.refusals) => {
                let queue = queue.clone();
                self.work.spawn(async move { keep_refusals(&queue).await });
            }
            _ = self.forget.tick() => {
                self.work.spawn(forget(queue.clone()));
            }
            Some(ended) = self.work.join_next(), if !self.work.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an errand ended in a defect");
                }
            }
        }
    }
}

async fn next(timer: &mut Option<tokio::time::Interval>) {
    match timer {
        Some(timer) => {
            timer.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Waits for refusals and then for their time; wakes nobody while there are none.
async fn are_due(at: &mut Option<Instant>) {
    let due = if let Some(due) = *at {
        due
    } else {
        refused::are_news().await;
        *at.insert(Instant::now() + REFUSALS_WITHIN)
    };
    tokio::time::sleep_until(due).await;
    *at = None;
}

/// Feeds the watchdog once the writer and each lane have come round; one that is stuck lets it
/// starve.
async fn feed(queue: Queue, notify: Arc<Notify>) {
    if queue.ping().await.is_ok() {
        notify.feed();
    }
}

/// What was refused since the last time is kept with its day; what the store does not take now is
/// offered again.
pub(super) async fn keep_refusals(queue: &Queue) {
    if queue.keep_refusals().await.is_err() {
        refused::remain_news();
    }
}

/// Old rows leave in small batches, under a clock that can be trusted.
async fn prune(queue: Queue, clock: Clock, retention: Retention) {
    if !clock.stamp().trusted {
        return;
    }
    let (mut after, mut rows) = (Seq(0), 0);
    while rows < PRUNE_ROWS_MAX {
        let Ok(pruned) = queue.ask(Prune { retention, after }).await else { break };
        rows += pruned.rows;
        let Some(next) = pruned.after else { break };
        after = next;
        tokio::time::sleep(PRUNE_PAUSE).await;
    }
    if rows > 0 {
        tracing::info!(rows, "settled redemptions left after their retention");
    }
}

/// Remembered checks leave in small batches when their time is over, whatever the clock; of the
/// others it is learnt which there are.
async fn forget(queue: Queue) {
    while queue.ask(ForgetChecks).await.is_ok_and(|(forgotten, _)| forgotten > 0) {
        tokio::time::sleep(PRUNE_PAUSE).await;
    }
    while queue.ask(LearnChecks).await.is_ok_and(|more| more) {
        tokio::time::sleep(LEARN_PAUSE).await;
    }
}
