//! Requests that have come whole are decided here, whatever becomes of their connections.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::shares::Permit;

type Decision = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The decisions whose connections are gone: as many as there are permits.
#[derive(Default)]
pub(super) struct Deciding(Arc<Mutex<JoinSet<()>>>);

/// A decision under way in its connection's own task; what is left of it when the connection goes is decided without.
struct Decided {
    decision: Option<Decision>,
    alone: Arc<Mutex<JoinSet<()>>>,
}

impl Deciding {
    /// Runs `decision` to its end even when nobody waits for it any more.
    pub(super) async fn run(
        &self,
        permit: Permit,
        decision: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let decision = async move {
            let answer = decision.await;
            drop(permit);
            answer
        };
        Decided { decision: Some(Box::pin(decision)), alone: Arc::clone(&self.0) }.await
    }

    /// Waits for all that is under way, for at most `within`; how many were given up.
    pub(super) async fn drain(&self, within: Duration) -> usize {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while taken.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_ok() { 0 } else { taken.len() }
    }
}

impl Future for Decided {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let Some(decision) = &mut self.decision else { return Poll::Pending };
        let answer = std::task::ready!(decision.as_mut().poll(context));
        self.decision = None;
        Poll::Ready(answer)
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the store with it.
        let (Some(decision), Ok(runtime)) = (self.decision.take(), Handle::try_current()) else { return };
        let mut all = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        let decided = async move {
            decision.await;
            tracing::debug!("a till hung up before its answer");
        };
        all.spawn_on(decided, &runtime);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use tokio::sync::{Notify, oneshot};

    use super::super::shares::Shares;
    use super::*;

    fn permit(shares: &Arc<Shares>) -> Permit {
        shares.take(&"till".into(), true).expect("free")
    }

    #[tokio::test]
    async fn who_hangs_up_cancels_nothing_and_the_drain_waits_for_it() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        let (go_on, (committed, mut has)) = (Arc::new(Notify::new()), oneshot::channel());
        let gate = Arc::clone(&go_on);
        let decision = async move {
            gate.notified().await;
            committed.send(()).expect("somebody looks");
            Response::default()
        };
        let hangs_up = tokio::time::timeout(Duration::ZERO, deciding.run(permit(&shares), decision)).await;
        assert!(hangs_up.is_err() && has.try_recv().is_err());
        go_on.notify_one();
        assert_eq!(deciding.drain(Duration::from_secs(20)).await, 0);
        assert!(has.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_ends_at_its_bound() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        let never = deciding.run(permit(&shares), std::future::pending());
        assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        assert_eq!(deciding.drain(Duration::from_secs(3)).await, 1);
    }

    #[tokio::test]
    async fn its_place_is_free_when_the_answer_is_there() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        for _ in 0..200 {
            let answer = deciding.run(permit(&shares), std::future::ready(Response::default())).await;
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
}
