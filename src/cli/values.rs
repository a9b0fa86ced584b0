//! What a value of the command line may be, as far as that is known before the daemon is asked.

use std::net::IpAddr;
use std::time::Duration;

use crate::admin::{NOTE_CHARS_MAX, TRUST_OFF_S_MAX};
use crate::redemption::{Id, RewardCode};

/// The longest host name, and the longest part of one (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// What a filter asks for: a script's variable that is not set would ask for everything.
pub(super) fn filled(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("empty; leave the option out to ask for all".to_owned());
    }
    Ok(text.to_owned())
}

/// How a code ends.
pub(super) fn ending(text: &str) -> Result<String, String> {
    let most = RewardCode::SHOWN_MAX;
    if text.chars().count() > most {
        return Err(format!("at most {most} characters; a whole code is looked for with --code -"));
    }
    filled(text)
}

/// Why something is done.
pub(super) fn note(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why, in a few words".to_owned());
    }
    note_if_any(text)
}

/// The same where nobody has to say it.
pub(super) fn note_if_any(text: &str) -> Result<String, String> {
    if text.trim().chars().count() > NOTE_CHARS_MAX {
        return Err(format!("at most {NOTE_CHARS_MAX} characters"));
    }
    if text.trim().chars().any(char::is_control) {
        return Err("one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A redemption, or `-` for standard input.
pub(super) fn id(text: &str) -> Result<String, String> {
    if text == "-" || Id::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    Err("not the id of a redemption (they look like 42-7n0c2f…)".to_owned())
}

/// What a certificate can be for.
pub(super) fn host(text: &str) -> Result<String, String> {
    if text.parse::<IpAddr>().is_ok() || is_host_name(text) {
        return Ok(text.to_owned());
    }
    Err("a name is a host name of letters, digits, '-' and '.', such as store-042.example, or an \
         IP address; one in other letters is written as DNS has it, with xn--"
        .to_owned())
}

/// With `*` for the first part at most.
fn is_host_name(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| {
        let is_sized = (1..=LABEL_BYTES_MAX).contains(&label.len());
        is_sized && label.bytes().all(is_sign) && !label.starts_with('-') && !label.ends_with('-')
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    text.len() <= HOST_BYTES_MAX && name.split('.').all(is_label)
}

/// A duration with a unit, as the settings have them; as long as trust can be off.
pub(super) fn trust_span(text: &str) -> Result<Duration, String> {
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    let span = humantime::parse_duration(text).ok().filter(|_| has_unit);
    let span = span.ok_or("write a duration with a unit, such as 30m or 2h")?;
    if span.is_zero() {
        return Err("it has to be longer than zero".to_owned());
    }
    if span > Duration::from_secs(TRUST_OFF_S_MAX) {
        let days = TRUST_OFF_S_MAX / (24 * 3600);
        return Err(format!("at most {days}d; without --for it is off until `redeemd trust on`"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_name_is_one_that_dns_has_or_an_address() {
        for right in ["store-042.example", "192.0.2.1", "::1", "xn--mgba3a4f16a.ir", "*.lan", "a_b"]
        {
            assert!(host(right).is_ok(), "{right}");
        }
        let long = "a".repeat(64);
        for wrong in ["", " ", "متجر", "a b", "-a", "a..b", "a.", "https://a", "*", &long] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn trust_is_off_for_no_longer_than_it_can_be() {
        assert_eq!(trust_span("3650d"), Ok(Duration::from_secs(TRUST_OFF_S_MAX)));
        assert!(trust_span("99999d").unwrap_err().contains("at most 3650d"));
        assert!(trust_span("2h").is_ok() && trust_span("0s").is_err() && trust_span("7").is_err());
    }

    #[test]
    fn a_note_is_one_line_and_only_an_optional_one_may_be_empty() {
        assert!(note(" \t").is_err() && note_if_any("").is_ok() && note("asked").is_ok());
        let long = "x".repeat(NOTE_CHARS_MAX + 1);
        for wrong in ["a\nb", &long] {
            assert!(note(wrong).is_err() && note_if_any(wrong).is_err());
        }
    }
}
