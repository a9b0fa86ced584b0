//! Where tills wait for a row's answer, and which claimed rows have been sent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Waited;
use crate::redemption::Seq;

/// Tills that wait, by row. The writer adds one when it has committed, and [`Waiters::wait`] takes
/// it out again.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<Seq, Waiter>>);

#[derive(Debug)]
struct Waiter {
    /// How many tills were told to wait and have not yet been answered.
    waiting: u32,
    news: watch::Sender<Option<Waited>>,
}

impl Waiters {
    fn all(&self) -> MutexGuard<'_, HashMap<Seq, Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more till will wait for `seq`.
    pub(super) fn reserve(&self, seq: Seq) {
        let mut all = self.all();
        let waiter =
            all.entry(seq).or_insert_with(|| Waiter { waiting: 0, news: watch::Sender::new(None) });
        waiter.waiting += 1;
        // What an earlier wait was told is no news to somebody who waits for the next attempt. Who
        // waits already reads it there, should it not have done so yet.
        if !matches!(*waiter.news.borrow(), Some(Waited::Settled(..)) | None) {
            waiter.news = watch::Sender::new(None);
        }
    }

    pub(super) fn is_waited_for(&self, seq: Seq) -> bool {
        self.all().contains_key(&seq)
    }

    /// Tells everybody who waits for `seq`.
    pub(super) fn tell(&self, seq: Seq, news: Waited) {
        if let Some(waiter) = self.all().get(&seq) {
            waiter.news.send_replace(Some(news));
        }
    }

    /// Waits as the waiter that the writer added.
    pub(super) async fn wait(&self, seq: Seq, within: Duration) -> Waited {
        let Some(mut news) = self.all().get(&seq).map(|waiter| waiter.news.subscribe()) else {
            return Waited::TimedOut;
        };
        let told = tokio::time::timeout(within, news.wait_for(Option::is_some)).await;
        let waited = match told {
            Ok(Ok(news)) => news.clone().unwrap_or(Waited::TimedOut),
            Ok(Err(_)) | Err(_) => Waited::TimedOut,
        };
        self.leave(seq);
        waited
    }

    /// Takes a waiter out that does not wait any more.
    pub(super) fn leave(&self, seq: Seq) {
        let mut all = self.all();
        if let Some(waiter) = all.get_mut(&seq) {
            waiter.waiting = waiter.waiting.saturating_sub(1);
            if waiter.waiting == 0 {
                all.remove(&seq);
            }
        }
    }
}

/// Rows that are claimed, and whether their bytes may have left.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Seq, (SendState, u32)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendState {
    Claimed,
    Sent,
    Withdrawn,
}

impl Flights {
    fn all(&self) -> MutexGuard<'_, HashMap<Seq, (SendState, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn claimed(&self, seq: Seq, attempt: u32) {
        self.all().insert(seq, (SendState::Claimed, attempt));
    }

    /// Every claimed row with the number of its attempt.
    pub(super) fn flying(&self) -> Vec<(Seq, u32)> {
        self.all().iter().map(|(seq, (_, attempt))| (*seq, *attempt)).collect()
    }

    pub(super) fn ended(&self, seq: Seq) {
        self.all().remove(&seq);
    }

    /// The forwarder is about to send; false when the row was withdrawn.
    pub(super) fn begin(&self, seq: Seq) -> bool {
        match self.all().get_mut(&seq) {
            Some((flight, _)) if *flight == SendState::Claimed => {
                *flight = SendState::Sent;
                true
            }
            _ => false,
        }
    }

    /// Stops a claimed row before any byte leaves; whether that came in time.
    pub(super) fn withdraw(&self, seq: Seq) -> bool {
        match self.all().get_mut(&seq) {
            Some((flight, _)) if *flight == SendState::Claimed => {
                *flight = SendState::Withdrawn;
                true
            }
            Some((flight, _)) => *flight == SendState::Withdrawn,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_what_was_told_though_another_comes_before_it_has_read_it() {
        let (waiters, row, within) = (Waiters::default(), Seq(7), Duration::from_secs(9));
        waiters.reserve(row);
        let mut first = pin!(waiters.wait(row, within));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        waiters.tell(row, Waited::TurnedAway { retry_after_s: Some(3) });
        waiters.reserve(row);
        let second = waiters.wait(row, within).await;
        assert!(matches!(second, Waited::TimedOut), "it waits for the next attempt: {second:?}");
        let first = first.await;
        assert!(matches!(first, Waited::TurnedAway { retry_after_s: Some(3) }), "{first:?}");
        assert!(!waiters.is_waited_for(row));
    }
}
