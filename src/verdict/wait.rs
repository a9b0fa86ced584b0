//! How long a provider asks to be left alone: `Retry-After`.

use std::time::Duration;

use super::Reply;

/// The longest wait that a provider may ask for, in seconds.
pub const RETRY_AFTER_S_MAX: u64 = 3600;

/// A usable `Retry-After`: at least a second, at most [`RETRY_AFTER_S_MAX`].
pub(super) fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?.trim();
    let wait_s = seconds(text).or_else(|| seconds_until(text, reply.date.as_deref()?))?;
    (wait_s > 0).then(|| Duration::from_secs(wait_s.min(RETRY_AFTER_S_MAX)))
}

/// RFC 9110's delay-seconds: digits alone (`parse` by itself would take a sign). More than a number
/// holds is long all the same.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// From the answer's own `date` to `text`: our own clock may be wrong, the provider's agrees with
/// itself.
fn seconds_until(text: &str, date: &str) -> Option<u64> {
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(date.trim()).ok()?;
    until.duration_since(now).ok().map(|wait| wait.as_secs())
}
