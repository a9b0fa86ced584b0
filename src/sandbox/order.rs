//! What the contract asks of an order, and the refusal of an order that lacks it.

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use serde::Deserialize;

use super::books::{BareAnswer, BusinessCode};
use crate::contract::{self, RequestFaults};
use crate::message::Language;

/// The contract's five.
const FIELDS: [&str; 5] = ["reward_code", "business_refrence", "branch_id", "date", "timestamp"];

/// The five fields, as far as they are there.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SentOrder {
    pub(super) reward_code: Option<String>,
    business_refrence: Option<String>,
    branch_id: Option<String>,
    date: Option<String>,
    timestamp: Option<String>,
}

/// Reads the order; the error is for the sender.
pub(super) fn parse(body: &[u8]) -> Result<SentOrder, String> {
    // A derived struct would read an array too.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("The body is not a JSON object".to_owned());
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("The body is not a JSON object of strings: {error}"))
}

/// The refusal of a body that is not said to be JSON as it is.
pub(super) fn wrong_type(head: &Parts) -> Option<BareAnswer> {
    let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_json = contract::is_json(text(CONTENT_TYPE), text(CONTENT_ENCODING));
    (!is_json).then(|| BareAnswer::refusal(415, "The content type must be application/json"))
}

/// What the gateway would refuse of it beyond the faults of [`SentOrder::code`]. A check has no
/// key.
pub(super) fn contracts_faults(head: &Parts, body: Bytes, is_redeem: bool) -> Vec<String> {
    if !is_redeem {
        return texts(contract::parse_check(body).err());
    }
    let keys = head.headers.get_all(contract::IDEMPOTENCY_KEY).iter().map(HeaderValue::as_bytes);
    let of_key = contract::key(keys).err().map(|fault| fault.text(Language::English));
    of_key.into_iter().chain(texts(contract::parse(body).err())).collect()
}

fn texts(faults: Option<RequestFaults>) -> Vec<String> {
    faults.map_or_else(Vec::new, |faults| faults.texts(Language::English))
}

/// The fields of `body` that the contract does not have.
pub(super) fn extra_fields(body: &[u8]) -> Vec<String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).unwrap_or_default();
    object
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !FIELDS.contains(&name.as_str()))
        .collect()
}

impl SentOrder {
    /// The code that the order is about; else every fault of the order. A check needs two fields
    /// only.
    pub(super) fn code(&self, is_redeem: bool) -> Result<BusinessCode, Vec<String>> {
        let values = [
            &self.reward_code,
            &self.business_refrence,
            &self.branch_id,
            &self.date,
            &self.timestamp,
        ];
        let required = if is_redeem { FIELDS.len() } else { 2 };
        let missing = |(_, value): &(&str, &Option<String>)| {
            value.as_deref().unwrap_or_default().trim().is_empty()
        };
        let mut faults: Vec<String> = FIELDS
            .into_iter()
            .zip(values)
            .take(required)
            .filter(missing)
            .map(|(name, _)| format!("The {name} field is required"))
            .collect();
        let date = self.date.as_deref().filter(|date| is_redeem && !date.trim().is_empty());
        if date.is_some_and(|date| !contract::date_is_possible(date)) {
            faults.push("The date field must be a date of the form yyyy-MM-dd HH:mm:ss".to_owned());
        }
        let owned = |value: &Option<String>| value.clone().unwrap_or_default();
        let code = BusinessCode {
            business: owned(&self.business_refrence),
            code: owned(&self.reward_code),
        };
        if faults.is_empty() { Ok(code) } else { Err(faults) }
    }
}
