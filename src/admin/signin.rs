//! Signing in: one password is looked at at a time, and who guesses waits longer each time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::access::{Access, fingerprint};
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
/// The longest name that is looked up, in characters.
const NAME_CHARS_MAX: usize = 64;
/// Requests that may wait while a password is looked at.
const WAITING_MAX: usize = 8;

/// How signing in ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignIn {
    /// The session's id for the browser.
    Done(String),
    /// The name or the password is wrong.
    Wrong,
    /// Too many wrong passwords, or too many people at once: after this time.
    Later(Duration),
}

/// Counts wrong passwords by name and by source.
pub(super) struct Slow {
    tries: Mutex<BTreeMap<String, Tries>>,
    one: Semaphore,
    waiting: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Instant,
}

impl Default for Slow {
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

impl Slow {
    fn tries(&self) -> MutexGuard<'_, BTreeMap<String, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long these have to wait before another password is looked at.
    fn wait(&self, name: &str, source: &str) -> Duration {
        let tries = self.tries();
        let of = |key: &str, most| tries.get(key).map_or(Duration::ZERO, |tries| tries.wait(most));
        of(name, NAME_WAIT_MAX).max(of(source, SOURCE_WAIT_MAX))
    }

    /// Counted before the password is looked at: many at once are many.
    fn count(&self, key: &str) {
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

    fn forget(&self, keys: [&str; 2]) {
        let mut tries = self.tries();
        for key in keys {
            tries.remove(key);
        }
    }

    /// Off the runtime's thread, one at a time; `None` when too many wait already.
    async fn fits(&self, password: String, hash: String) -> Option<bool> {
        let place = Place::take(&self.waiting)?;
        let _turn = self.one.acquire().await.ok()?;
        let looked = tokio::task::spawn_blocking(move || password::fits(&password, &hash)).await;
        drop(place);
        looked.ok()
    }
}

/// One of the places to wait in.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One host of IPv4; of IPv6 the net that one customer has.
fn source(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => format!("from {address}"),
        Some(IpAddr::V6(address)) => format!("from {:x}", address.to_bits() >> 64),
        None => "from here".to_owned(),
    }
}

/// Looks at the password. An unknown name takes as long as a known one.
pub(super) async fn sign_in(
    access: &Access,
    name: &str,
    password: &str,
    from: Option<IpAddr>,
) -> SignIn {
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let (as_name, source) = (format!("as {name}"), source(from));
    let wait = access.slow.wait(&as_name, &source);
    if wait > Duration::ZERO {
        return SignIn::Later(wait);
    }
    access.slow.count(&as_name);
    access.slow.count(&source);
    let known = access.user(&name).map(|(_, hash)| hash);
    let hash = known.clone().unwrap_or_else(|| password::NOBODYS.to_owned());
    let Some(fits) = access.slow.fits(password.to_owned(), hash).await else {
        return SignIn::Later(Duration::from_secs(1));
    };
    let Some(hash) = known.filter(|_| fits) else {
        tracing::warn!(
            source = source.trim_start_matches("from "),
            "a wrong name or password at the console"
        );
        return SignIn::Wrong;
    };
    access.slow.forget([&as_name, &source]);
    match access.sessions.begin(&name, fingerprint(&hash)) {
        Some(id) => SignIn::Done(id),
        None => SignIn::Later(Duration::from_secs(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Rules;
    use super::*;
    use crate::settings::{AdminUser, Role, SecretSource};

    fn access(folder: &std::path::Path) -> Access {
        let file = folder.join("amal");
        std::fs::write(&file, password::hashed("correct horse").unwrap()).unwrap();
        let users = vec![AdminUser {
            name: "amal".to_owned(),
            role: Role::See,
            password: SecretSource::File(file),
        }];
        Access::new(Rules { users, ..Rules::default() })
    }

    #[expect(clippy::unnecessary_wraps, reason = "an address may be unknown")]
    fn from(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn a_wrong_password_and_a_wrong_name_are_told_alike_and_many_wait() {
        let folder = tempfile::tempdir().unwrap();
        let access = access(folder.path());
        assert_eq!(sign_in(&access, "amal", "wrong horse", from(1)).await, SignIn::Wrong);
        assert_eq!(sign_in(&access, "nobody", "correct horse", from(1)).await, SignIn::Wrong);
        assert!(matches!(
            sign_in(&access, "amal", "correct horse", from(1)).await,
            SignIn::Done(_)
        ));
        // So many that a slow machine does not wait them out between two looks.
        for _ in 0..12 {
            access.slow.count("as amal");
            access.slow.count("from 192.0.2.2");
        }
        assert!(
            matches!(sign_in(&access, "amal", "correct horse", from(3)).await, SignIn::Later(_)),
            "by name"
        );
        assert!(
            matches!(sign_in(&access, "saad", "correct horse", from(2)).await, SignIn::Later(_)),
            "by source"
        );
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has() {
        let folder = tempfile::tempdir().unwrap();
        let access = access(folder.path());
        let mut fastest = [Duration::MAX; 2];
        for round in 0..3 {
            for (at, name) in ["amal", "nobody"].into_iter().enumerate() {
                let began = std::time::Instant::now();
                assert_eq!(
                    sign_in(
                        &access,
                        name,
                        "wrong horse",
                        from(10 * round + u8::try_from(at).unwrap())
                    )
                    .await,
                    SignIn::Wrong
                );
                fastest[at] = fastest[at].min(began.elapsed());
            }
            // A third wrong password would have to wait.
            access.slow.forget(["as amal", "as nobody"]);
        }
        let [known, unknown] = fastest.map(|time| time.as_micros());
        // A password costs tens of milliseconds: without it one of the two took a thousandth of the
        // other, and a busy machine makes less of a difference.
        assert!(known < 20 * unknown && unknown < 20 * known, "{fastest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_a_bound_and_what_is_remembered_is_bounded() {
        let slow = Slow::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            slow.count("as amal");
            waits.push(slow.wait("as amal", "from here").as_secs());
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
        for n in 0..2 * REMEMBERED_MAX {
            slow.count(&format!("as {n}"));
        }
        assert_eq!(slow.tries().len(), REMEMBERED_MAX);
        tokio::time::advance(FORGOTTEN_AFTER).await;
        slow.count("as amal");
        assert_eq!(slow.tries().len(), 1);
    }

    #[test]
    fn a_source_of_ipv6_is_its_net() {
        let of = |text: &str| source(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "from 192.0.2.1");
    }
}
