//! How long a provider asks to be left alone: `Retry-After`.

use std::time::{Duration, SystemTime};

use super::Reply;

/// The longest wait that a provider may ask for, in seconds.
pub const RETRY_AFTER_S_MAX: u64 = 3600;

/// A usable `Retry-After`: at least a second, at most [`RETRY_AFTER_S_MAX`]. A provider and what
/// stands before it may each send one: the longest that can be used.
pub(super) fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?;
    // Our own clock may be wrong, the provider's agrees with itself.
    let now = reply.date.as_deref().and_then(|date| dates(date).min());
    let until = |date: SystemTime| Some(date.duration_since(now?).ok()?.as_secs());
    let all = text.split(',').filter_map(seconds).chain(dates(text).filter_map(until));
    let wait_s = all.max()?;
    (wait_s > 0).then(|| Duration::from_secs(wait_s.min(RETRY_AFTER_S_MAX)))
}

/// RFC 9110's delay-seconds: digits alone (`parse` by itself would take a sign). More than a number
/// holds is long all the same.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The dates in a list, of which most have a comma of their own.
fn dates(text: &str) -> impl Iterator<Item = SystemTime> {
    let read = |date: &str| httpdate::parse_http_date(date.trim()).ok();
    let next = text.split(',').skip(1);
    let pairs = text.split(',').zip(next).map(|(first, second)| format!("{first},{second}"));
    text.split(',').filter_map(read).chain(pairs.filter_map(move |date| read(&date)))
}
