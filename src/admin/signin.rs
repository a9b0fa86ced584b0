//! Signing in: one password is looked at at a time, and who guesses waits longer each time.

use std::net::IpAddr;
use std::time::Duration;

use super::access::Access;
use super::password;
use super::session::fingerprint;

/// The longest name that is looked up, in characters.
const NAME_CHARS_MAX: usize = 64;

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
    let wait = access.throttle.wait(&as_name, &source);
    if wait > Duration::ZERO {
        return SignIn::Later(wait);
    }
    access.throttle.count(&as_name);
    access.throttle.count(&source);
    let known = access.user(&name).map(|(_, hash)| hash);
    let hash = known.clone().unwrap_or_else(|| password::NOBODYS.to_owned());
    let Some(fits) = access.throttle.fits(password.to_owned(), hash).await else {
        return SignIn::Later(Duration::from_secs(1));
    };
    let Some(hash) = known.filter(|_| fits) else {
        tracing::warn!(
            source = source.trim_start_matches("from "),
            "a wrong name or password at the console"
        );
        return SignIn::Wrong;
    };
    access.throttle.forget([&as_name, &source]);
    match access.sessions.begin(&name, fingerprint(&hash)) {
        Some(id) => SignIn::Done(id),
        None => SignIn::Later(Duration::from_secs(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::AccessRules;
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
        Access::new(AccessRules { users, ..AccessRules::default() })
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
            access.throttle.count("as amal");
            access.throttle.count("from 192.0.2.2");
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
            access.throttle.forget(["as amal", "as nobody"]);
        }
        let [known, unknown] = fastest.map(|time| time.as_micros());
        // A password costs tens of milliseconds: without it one of the two took a thousandth of the
        // other, and a busy machine makes less of a difference.
        assert!(known < 20 * unknown && unknown < 20 * known, "{fastest:?}");
    }

    #[test]
    fn a_source_of_ipv6_is_its_net() {
        let of = |text: &str| source(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "from 192.0.2.1");
    }
}
