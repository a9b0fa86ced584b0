//! Who guesses passwords waits longer each time, and one password is looked at at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::password;

/// So many wrong passwords cost no wait: people mistype.
const FREE_TRIES: u32 = 3;
/// The longest wait for a name: whoever guesses it must not lock its owner out for long.
const NAME_WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest wait for a source.
const SOURCE_WAIT_MAX: Duration = Duration::from_secs(300);
/// Wrong passwords are forgotten after this time without another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);
/// Names and sources that are remembered; the one that was seen longest ago makes room.
const REMEMBERED_MAX: usize = 1024;
/// Requests that may wait while a password is looked at.
const WAITING_MAX: usize = 8;

/// Counts wrong passwords by name and by source.
pub(super) struct PasswordThrottle {
    tries: Mutex<BTreeMap<String, Tries>>,
    one: Semaphore,
    waiting: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Instant,
}

impl Default for PasswordThrottle {
    fn default() -> Self {
        Self { tries: Mutex::default(), one: Semaphore::new(1), waiting: AtomicUsize::new(0) }
    }
}

impl Tries {
    /// One second after the free tries, then twice as long each time.
    fn wait(self, most: Duration) -> Duration {
        let Some(doublings) = self.wrong.checked_sub(FREE_TRIES) else { return Duration::ZERO };
        let wait = Duration::from_secs(1 << doublings.min(16)).min(most);
        wait.saturating_sub(self.last.elapsed())
    }
}

impl PasswordThrottle {
    fn tries(&self) -> MutexGuard<'_, BTreeMap<String, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long these have to wait before another password is looked at.
    pub(super) fn wait(&self, name: &str, source: &str) -> Duration {
        let tries = self.tries();
        let of = |key: &str, most| tries.get(key).map_or(Duration::ZERO, |tries| tries.wait(most));
        of(name, NAME_WAIT_MAX).max(of(source, SOURCE_WAIT_MAX))
    }

    /// Counted before the password is looked at: many at once are many.
    pub(super) fn count(&self, key: &str) {
        let mut tries = self.tries();
        tries.retain(|_, tries| tries.last.elapsed() < FORGOTTEN_AFTER);
        if tries.len() >= REMEMBERED_MAX && !tries.contains_key(key) {
            let oldest =
                tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone());
            oldest.map(|key| tries.remove(&key));
        }
        let now = Instant::now();
        let one = tries.entry(key.to_owned()).or_insert(Tries { wrong: 0, last: now });
        (one.wrong, one.last) = (one.wrong.saturating_add(1), now);
    }

    pub(super) fn forget(&self, keys: [&str; 2]) {
        let mut tries = self.tries();
        for key in keys {
            tries.remove(key);
        }
    }

    /// Off the runtime's thread, one at a time; `None` when too many wait already.
    pub(super) async fn fits(&self, password: String, hash: String) -> Option<bool> {
        let place = WaitingPlace::take(&self.waiting)?;
        let _turn = self.one.acquire().await.ok()?;
        let looked = tokio::task::spawn_blocking(move || password::fits(&password, &hash)).await;
        drop(place);
        looked.ok()
    }
}

/// One of the places to wait in.
struct WaitingPlace<'a>(&'a AtomicUsize);

impl<'a> WaitingPlace<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < WAITING_MAX).then_some(place)
    }
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_a_bound_and_what_is_remembered_is_bounded() {
        let throttle = PasswordThrottle::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            throttle.count("as amal");
            waits.push(throttle.wait("as amal", "from here").as_secs());
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
        for n in 0..2 * REMEMBERED_MAX {
            throttle.count(&format!("as {n}"));
        }
        assert_eq!(throttle.tries().len(), REMEMBERED_MAX);
        tokio::time::advance(FORGOTTEN_AFTER).await;
        throttle.count("as amal");
        assert_eq!(throttle.tries().len(), 1);
    }
}
