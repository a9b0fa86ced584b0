//! Requests that have come whole are decided here, whatever becomes of their connections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::reply;
use super::shares::Permit;
use crate::message::{Language, Refusal};

/// The decisions under way: as many as there are permits.
#[derive(Default)]
pub(super) struct Deciding(Mutex<JoinSet<()>>);

impl Deciding {
    /// Runs `decision` to its end even when nobody waits for it any more.
    pub(super) async fn run(
        &self,
        permit: Permit,
        language: Language,
        decision: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        self.finish(permit, decision).await.unwrap_or_else(|| {
            tracing::error!("a request was not decided");
            reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, &Refusal::Failed, language)
        })
    }

    /// Runs `work` to its end, `held` until then, even when nobody waits for it any more; `None`: it ended in a defect.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let task = async move {
            let done = work.await;
            drop(held);
            if tell.send(done).is_err() {
                tracing::debug!("a till hung up before its answer");
            }
        };
        self.spawn(task);
        told.await.ok()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(task);
    }

    /// Waits for all that is under way, for at most `within`; how many were given up.
    pub(super) async fn drain(&self, within: Duration) -> usize {
        let mut taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while taken.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_ok() { 0 } else { taken.len() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

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
        let hangs_up =
            tokio::time::timeout(Duration::ZERO, deciding.run(permit(&shares), Language::English, decision)).await;
        assert!(hangs_up.is_err() && has.try_recv().is_err());
        go_on.notify_one();
        assert_eq!(deciding.drain(Duration::from_secs(20)).await, 0);
        assert!(has.try_recv().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_ends_at_its_bound() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        let never = deciding.run(permit(&shares), Language::English, std::future::pending());
        assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        assert_eq!(deciding.drain(Duration::from_secs(3)).await, 1);
    }

    #[tokio::test]
    async fn its_place_is_free_when_the_answer_is_there() {
        let (deciding, shares) = (Deciding::default(), Shares::new());
        for _ in 0..200 {
            let answer =
                deciding.run(permit(&shares), Language::English, std::future::ready(Response::default())).await;
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
}
