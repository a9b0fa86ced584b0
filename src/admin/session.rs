//! Who is signed in: bounded in number and time, known by a fingerprint of what the browser holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::redemption::Fingerprint;
use crate::text::hex;

/// How long a session lasts, whatever is done in it.
pub(super) const AGE_MAX: Duration = Duration::from_secs(12 * 3600);
/// How long it lasts while nothing is done.
const IDLE_MAX: Duration = Duration::from_secs(2 * 3600);
/// Sessions at once; the one that was used longest ago makes room.
const SESSIONS_MAX: usize = 256;
/// Sessions of one person at once.
const OF_ONE_MAX: usize = 8;

/// A person's session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    id: Fingerprint,
    /// The person.
    pub(super) name: String,
    /// Of the password hash that was signed in with.
    pub(super) hash: Fingerprint,
    begun: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self) -> bool {
        self.begun.elapsed() >= AGE_MAX || self.used.elapsed() >= IDLE_MAX
    }
}

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Vec<Session>>);

impl Sessions {
    /// Begins one; what the browser has to show. `None` when the kernel gives no random bytes.
    pub(super) fn begin(&self, name: &str, hash: Fingerprint) -> Option<String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        let id = hex(&bytes);
        let now = Instant::now();
        let mut all = self.all();
        all.retain(|session| !session.is_over());
        if all.iter().filter(|session| session.name == name).count() >= OF_ONE_MAX {
            drop_longest_unused(&mut all, |session| session.name == name);
        }
        if all.len() >= SESSIONS_MAX {
            drop_longest_unused(&mut all, |_| true);
        }
        all.push(Session {
            id: fingerprint(&id),
            name: name.to_owned(),
            hash,
            begun: now,
            used: now,
        });
        Some(id)
    }

    /// The session of this id; `is_use`: it counts as used now.
    pub(super) fn find(&self, id: &str, is_use: bool) -> Option<Session> {
        let id = fingerprint(id);
        let mut all = self.all();
        let session = all.iter_mut().find(|session| session.id == id && !session.is_over())?;
        if is_use {
            session.used = Instant::now();
        }
        Some(session.clone())
    }

    /// The session of this id is over.
    pub(super) fn end(&self, id: &str) {
        let id = fingerprint(id);
        self.all().retain(|session| session.id != id);
    }

    /// Every session is over.
    pub(super) fn end_all(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, Vec<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_longest_unused(all: &mut Vec<Session>, among: impl Fn(&Session) -> bool) {
    let candidates = all.iter().enumerate().filter(|(_, session)| among(session));
    if let Some((at, _)) = candidates.min_by_key(|(_, session)| session.used) {
        all.swap_remove(at);
    }
}

/// Fingerprints have one length, so that comparing them does not tell a secret's.
pub(super) fn fingerprint(secret: &str) -> Fingerprint {
    Fingerprint::of(&["operator's secret", secret])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_unused_and_it_ends_used() {
        let sessions = Sessions::default();
        let id = sessions.begin("amal", fingerprint("hash")).unwrap();
        assert!(
            id.len() == 64
                && sessions.find(&id, true).is_some()
                && sessions.find("0", true).is_none()
        );
        tokio::time::advance(IDLE_MAX).await;
        assert!(sessions.find(&id, true).is_none());
        let id = sessions.begin("amal", fingerprint("hash")).unwrap();
        for _ in 0..6 {
            tokio::time::advance(AGE_MAX / 7).await;
            assert!(sessions.find(&id, true).is_some());
        }
        tokio::time::advance(AGE_MAX / 7 * 2).await;
        assert!(sessions.find(&id, true).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_left_open_is_no_use() {
        let sessions = Sessions::default();
        let id = sessions.begin("amal", fingerprint("hash")).unwrap();
        for _ in 0..3 {
            tokio::time::advance(IDLE_MAX / 4).await;
            assert!(sessions.find(&id, false).is_some());
        }
        tokio::time::advance(IDLE_MAX / 4).await;
        assert!(sessions.find(&id, false).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_used_longest_ago_makes_room_among_the_same_persons() {
        let sessions = Sessions::default();
        let other = sessions.begin("saad", fingerprint("hash")).unwrap();
        let mut ids = Vec::new();
        for _ in 0..=OF_ONE_MAX {
            tokio::time::advance(Duration::from_secs(1)).await;
            ids.push(sessions.begin("amal", fingerprint("hash")).unwrap());
        }
        assert!(
            sessions.find(&ids[0], true).is_none()
                && sessions.find(&ids[1], true).is_some()
                && sessions.find(&other, true).is_some()
        );
    }
}
