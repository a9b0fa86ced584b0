//! What a till is told: the contract's plain success and its refusals, in words that a cashier can
//! read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::text::without_mark;

/// The contract's plain success.
#[must_use]
pub fn accepted() -> Bytes {
    Bytes::from_static(b"{}")
}

/// A check's success that says nothing of the code.
#[must_use]
pub fn unknown_check() -> Bytes {
    Bytes::from_static(br#"{"data":{},"errors":[]}"#)
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
    // Strings and empty arrays always serialise; the fallback keeps even that out of the way of a
    // panic.
    let text = serde_json::to_vec(&Refusal { data: [], message, errors });
    text.map_or_else(
        |_| Bytes::from_static(br#"{"data":[],"message":"refused","errors":[]}"#),
        Bytes::from,
    )
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
    // As the verdict reads it: with a byte order mark, with numbers that no type holds, with a
    // field twice.
    match serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(without_mark(body)) {
        Ok(members) if members.contains_key("message") || members.contains_key("errors") => {
            Shape::Refusal
        }
        Ok(_) => Shape::Object,
        Err(_) => Shape::Foreign,
    }
}
