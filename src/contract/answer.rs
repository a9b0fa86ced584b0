//! What a till is told: the contract's plain success and its refusals, in words that a cashier can read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::date::date_is_possible;
use crate::clock::rfc3339;
use crate::message::{Language, Refusal};
use crate::redemption::RewardCode;

/// What the contract's own refusal of a used code says; tills look for it.
pub const MESSAGE_HAS_BEEN_USED: &str = "has been used";

/// The contract's plain success.
#[must_use]
pub fn accepted() -> Bytes {
    Bytes::from_static(b"{}")
}

/// The contract's refusal: `{"data":[],"message":…,"errors":[…]}`.
#[must_use]
pub fn refusal(message: &str, errors: &[String]) -> Bytes {
    #[derive(Serialize)]
    struct Refusal<'a> {
        data: [(); 0],
        message: &'a str,
        errors: &'a [String],
    }
    // Strings and empty arrays always serialise; the fallback keeps even that out of the way of a panic.
    let text = serde_json::to_vec(&Refusal { data: [], message, errors });
    text.map_or_else(|_| Bytes::from_static(br#"{"data":[],"message":"refused","errors":[]}"#), Bytes::from)
}

/// Why a code is refused: which (masked), when and at which till it was used. The earlier till's own time is what
/// the cashier finds on the receipt; where it does not look like a time, ours stands in for it.
#[must_use]
pub fn used(code: &RewardCode, date: &str, accepted_at_ms: i64, till: &str) -> String {
    let when = if date_is_possible(date) { date.to_owned() } else { rfc3339(accepted_at_ms) };
    Refusal::Used { code: code.masked(), when, till: till.to_owned() }.text(Language::English)
}

/// Nothing is accepted while the line is down.
#[must_use]
pub fn limit_not_accepting() -> String {
    Refusal::NotAccepting.text(Language::English)
}

/// The offline limit on rows.
#[must_use]
pub fn limit_pending(waiting: u64) -> String {
    Refusal::LimitPending { waiting }.text(Language::English)
}

/// The offline limit on time.
#[must_use]
pub fn limit_outage(outage: Duration) -> String {
    Refusal::LimitOutage { outage_s: outage.as_secs() }.text(Language::English)
}

/// What a body is, seen from the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No JSON object.
    Foreign,
    /// A JSON object.
    Object,
    /// A JSON object that has `message` or `errors`.
    Refusal,
}

/// Looks at a provider's body.
#[must_use]
pub fn shape(body: &[u8]) -> Shape {
    // As the verdict reads it: with a byte order mark, with numbers that no type holds, with a field twice.
    let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    match serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(json) {
        Ok(members) if members.contains_key("message") || members.contains_key("errors") => Shape::Refusal,
        Ok(_) => Shape::Object,
        Err(_) => Shape::Foreign,
    }
}
