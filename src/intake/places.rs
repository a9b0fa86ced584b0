//! How many checks may be with a provider: places of their own, so that no check takes a
//! redemption's, and a share for each till.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Checks with one provider at once.
const ALL_MAX: usize = 16;
/// Of one till: a quarter, as of a lane's live redemptions.
const TILL_MAX: usize = 4;

/// The places of every lane.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<String, Arc<LanePlaces>>>);

/// The places of one lane.
pub(super) struct LanePlaces {
    all: Arc<Semaphore>,
    tills: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
    /// The provider asked for fewer checks.
    wait_until: Mutex<Option<Instant>>,
}

/// A place; free again when this is dropped.
pub(super) struct RequestPlace(
    #[expect(dead_code, reason = "held until it is dropped")] [OwnedSemaphorePermit; 2],
);

impl Places {
    pub(super) fn of(&self, lane: &str) -> Arc<LanePlaces> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(lane.to_owned()).or_default())
    }
}

impl Default for LanePlaces {
    fn default() -> Self {
        let (tills, wait_until) = (Mutex::default(), Mutex::default());
        Self { all: Arc::new(Semaphore::new(ALL_MAX)), tills, wait_until }
    }
}

impl LanePlaces {
    /// Waits for a place. They are given in turn, and a till that has its share waits for its own.
    /// Without configured tills all are one, which has no other to leave room for.
    pub(super) async fn take(&self, till: &Arc<str>, are_configured: bool) -> Option<RequestPlace> {
        let share = if are_configured { TILL_MAX } else { ALL_MAX };
        let own = {
            let mut tills = self.tills.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(
                tills.entry(Arc::clone(till)).or_insert_with(|| Arc::new(Semaphore::new(share))),
            )
        };
        let own = own.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(RequestPlace([own, all]))
    }

    /// The provider wants no check for so long.
    pub(super) fn wait(&self, at_least: Duration) {
        let mut wait_until = self.wait_until.lock().unwrap_or_else(PoisonError::into_inner);
        *wait_until = Some(wait_until.unwrap_or_else(Instant::now).max(Instant::now() + at_least));
    }

    /// What is left of that, seconds.
    pub(super) fn waits_s(&self) -> Option<u64> {
        let until = *self.wait_until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn takes(places: &LanePlaces, till: &str, are_configured: bool) -> Option<RequestPlace> {
        tokio::time::timeout(Duration::from_millis(1), places.take(&till.into(), are_configured))
            .await
            .ok()?
    }

    #[tokio::test(start_paused = true)]
    async fn a_till_has_a_quarter_and_whoever_waits_gets_the_next_free_place() {
        let places = Places::default().of("main");
        let mut held = Vec::new();
        for till in ["a", "b", "c", "d"] {
            for _ in 0..TILL_MAX {
                held.extend(takes(&places, till, true).await);
            }
            assert!(takes(&places, till, true).await.is_none(), "{till} has its share");
        }
        assert!(held.len() == ALL_MAX && takes(&places, "e", true).await.is_none());
        let waits = async { places.take(&"e".into(), true).await.is_some() };
        let frees = async {
            tokio::task::yield_now().await;
            held.pop();
        };
        assert!(tokio::join!(waits, frees).0);
    }

    #[tokio::test(start_paused = true)]
    async fn without_tills_all_places_are_everybodys_and_each_lane_has_its_own() {
        let places = Places::default();
        let mut held = Vec::new();
        for lane in ["one", "two"] {
            for _ in 0..ALL_MAX {
                held.extend(takes(&places.of(lane), "anonymous", false).await);
            }
        }
        assert_eq!(held.len(), 2 * ALL_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_provider_asks_to_wait_only_grows_and_ends() {
        let places = LanePlaces::default();
        assert_eq!(places.waits_s(), None);
        places.wait(Duration::from_secs(9));
        places.wait(Duration::from_secs(3));
        assert_eq!(places.waits_s(), Some(9));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(places.waits_s(), None);
    }
}
