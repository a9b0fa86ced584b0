//! Requests that have come whole are decided here, whatever becomes of their connections.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// What is under way without its connection: as much as there are permits.
#[derive(Default)]
pub(super) struct Deciding(Arc<Mutex<JoinSet<()>>>);

/// Work that goes on in the task that waits for it; what is left of it when nobody waits any more
/// goes on in its own.
struct UnfinishedWork<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    alone: Arc<Mutex<JoinSet<()>>>,
}

impl Deciding {
    /// Runs `work` to its end, `held` until then, even when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let work = async move {
            let done = work.await;
            drop(held);
            done
        };
        UnfinishedWork { work: Some(Box::pin(work)), alone: Arc::clone(&self.0) }.await
    }

    /// Waits for all that is under way, for at most `within`; how many were given up.
    pub(super) async fn drain(&self, within: Duration) -> usize {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while taken.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_ok() { 0 } else { taken.len() }
    }
}

impl<T: Send + 'static> Future for UnfinishedWork<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for UnfinishedWork<T> {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the store with it.
        let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) else { return };
        let mut all = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        let alone = async move {
            work.await;
            tracing::debug!("a till hung up before its answer");
        };
        all.spawn_on(alone, &runtime);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::Response;
    use tokio::sync::{Notify, oneshot};

    use super::super::shares::{Permit, Shares};
    use super::*;

    fn permit(shares: &Arc<Shares>) -> Permit {
        shares.take(&"till".into(), true).expect("free")
    }

    fn empty() -> Response {
        Response::default()
    }

    #[tokio::test]
    async fn who_hangs_up_cancels_nothing_and_the_drain_waits_for_it() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        let (go_on, (committed, mut has)) = (Arc::new(Notify::new()), oneshot::channel());
        let gate = Arc::clone(&go_on);
        let decision = async move {
            gate.notified().await;
            committed.send(()).expect("somebody looks");
            empty()
        };
        let hangs_up =
            tokio::time::timeout(Duration::ZERO, deciding.run(permit(&shares), decision)).await;
        assert!(hangs_up.is_err() && has.try_recv().is_err());
        go_on.notify_one();
        assert_eq!(deciding.drain(Duration::from_secs(20)).await, 0);
        assert!(has.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_ends_at_its_bound() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        let never = deciding.run(permit(&shares), std::future::pending::<Response>());
        assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        assert_eq!(deciding.drain(Duration::from_secs(3)).await, 1);
    }

    #[tokio::test]
    async fn its_place_is_free_when_the_answer_is_there() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        for _ in 0..200 {
            let answer = deciding.run(permit(&shares), std::future::ready(empty())).await;
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
}
