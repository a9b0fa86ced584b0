//! The console's two cookies: the session and the language.

use std::fmt::Write;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// The language that a person chose.
pub(super) const LANGUAGE: &str = "redeemd-language";

/// The session's cookie. Browsers take the prefix `__Host-` from TLS alone, and from nobody but
/// this very host.
pub(super) fn session_name(tls: bool) -> &'static str {
    if tls { "__Host-redeemd" } else { "redeemd" }
}

/// The value of the one cookie of this name; of two nobody can say whose the other is.
pub(super) fn of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// `Set-Cookie` for this name; no time: the browser forgets it.
pub(super) fn set(name: &str, value: &str, tls: bool, keep: Duration) -> Option<HeaderValue> {
    let mut line =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", keep.as_secs());
    if tls {
        // Writing to a String cannot fail.
        write!(line, "; Secure").unwrap_or_default();
    }
    line.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_none() {
        assert_eq!(of(&headers(&["a=1; redeemd=xyz"]), "redeemd"), Some("xyz"));
        assert_eq!(of(&headers(&["redeemd=1; redeemd=2"]), "redeemd"), None);
        assert_eq!(of(&headers(&["redeemd=1", "redeemd=2"]), "redeemd"), None);
        assert_eq!(of(&headers(&["xredeemd=1; redeemd"]), "redeemd"), None);
    }

    #[test]
    fn the_session_is_the_browsers_alone() {
        let line = set(session_name(true), "abc", true, Duration::from_secs(60)).unwrap();
        assert_eq!(
            line,
            "__Host-redeemd=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert!(set("a", "b\r\nSet-Cookie: c=d", false, Duration::ZERO).is_none());
    }
}
