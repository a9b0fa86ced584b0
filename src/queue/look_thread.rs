//! The one thread for whoever looks at many rows: one look after the other, so that tills share the
//! processors and the memory with no more than one.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{QueueError, Shared};

/// How many looks may wait. Each lasts 40 ms at most, but for lists and exports by machines.
const LOOKS_MAX: usize = 64;
/// After so long without a look the connections that read are closed.
const IDLE: Duration = Duration::from_secs(10);

/// A look, with where its result goes.
pub(super) type QueuedLook = Box<dyn FnOnce() + Send>;

/// The way to the thread, which begins with the first look.
#[derive(Debug, Default)]
pub(super) struct LookThread(Mutex<Option<SyncSender<QueuedLook>>>);

impl LookThread {
    /// Has the thread do it after those that wait. The thread ends with `shared`.
    ///
    /// # Errors
    /// Too many wait, or there is no thread.
    pub(super) fn ask(&self, shared: Weak<Shared>, look: QueuedLook) -> Result<(), QueueError> {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &mut *way {
            Some(sender) => sender,
            none => none.insert(begin(shared)?),
        };
        let busy = QueueError::Busy { retry_after_s: 1 };
        match sender.try_send(look) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(busy),
            Err(TrySendError::Disconnected(_)) => {
                *way = None;
                Err(busy)
            }
        }
    }
}

fn begin(shared: Weak<Shared>) -> Result<SyncSender<QueuedLook>, QueueError> {
    let (sender, looks) = sync_channel(LOOKS_MAX);
    let work = move || work(&looks, &shared);
    let begun = std::thread::Builder::new().name("look".to_owned()).spawn(work);
    begun.map(|_| sender).map_err(|error| {
        tracing::error!(%error, "no thread can be made for whoever looks");
        QueueError::Busy { retry_after_s: 5 }
    })
}

fn work(looks: &Receiver<QueuedLook>, shared: &Weak<Shared>) {
    while let Ok(look) = looks.recv() {
        look();
        loop {
            match looks.recv_timeout(IDLE) {
                Ok(look) => look(),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        if let Some(shared) = shared.upgrade() {
            shared.kept.rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use super::super::Queue;
    use super::*;
    use crate::clock::Clock;
    use crate::settings::Offline;
    use crate::store::Store;

    /// A queue whose thread is busy until the sender speaks.
    async fn busy(dir: &std::path::Path) -> (Queue, SyncSender<()>, JoinSet<()>) {
        let (store, _) = Store::open(dir).unwrap();
        let queue = Queue::start(store, Clock::manual(0, true), Offline::default()).unwrap();
        let (begins, begun) = oneshot::channel();
        let (release, released) = sync_channel::<()>(1);
        let (first, mut looks) = (queue.clone(), JoinSet::new());
        looks.spawn(async move {
            let wait = move |_: &crate::store::Reader| {
                begins.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            };
            first.look(wait).await.unwrap();
        });
        begun.await.unwrap();
        (queue, release, looks)
    }

    #[tokio::test]
    async fn one_look_runs_at_a_time_and_nothing_is_read_for_whoever_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let (queue, release, _first) = busy(dir.path()).await;
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..5 {
            let count = Arc::clone(&ran);
            let look = queue.look(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            let waited = tokio::time::timeout(Duration::from_millis(1), look).await;
            assert!(waited.is_err(), "it waits for its turn");
        }
        release.send(()).unwrap();
        queue.look(|_| Ok(())).await.unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        assert_eq!(queue.shared.kept.kept(), 1, "one connection serves all");
        queue.stop().await;
    }

    #[tokio::test]
    async fn beyond_a_bound_those_who_look_are_told_to_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let (queue, release, _first) = busy(dir.path()).await;
        let mut looks = Vec::new();
        for _ in 0..LOOKS_MAX {
            let mut look = Box::pin(queue.look(|_| Ok(())));
            assert!(tokio::time::timeout(Duration::from_millis(1), &mut look).await.is_err());
            looks.push(look);
        }
        let refused = queue.look(|_| Ok(())).await;
        assert!(matches!(refused, Err(QueueError::Busy { .. })), "{refused:?}");
        release.send(()).unwrap();
        for look in looks {
            look.await.unwrap();
        }
        queue.stop().await;
    }
}
