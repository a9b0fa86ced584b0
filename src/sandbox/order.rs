//! What the contract asks of an order, and the refusal of an order that lacks it.

use hyper::http::request::Parts;
use serde::Deserialize;

use super::books::{BareAnswer, BusinessCode};

/// The contract's five.
const FIELDS: [&str; 5] = ["reward_code", "business_refrence", "branch_id", "date", "timestamp"];

/// The form of a date (`yyyy-MM-dd HH:mm:ss`); each 0 stands for a digit.
const DATE_FORM: &str = "0000-00-00 00:00:00";

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

/// The refusal of a body with another type than JSON. A body without a type counts as JSON.
pub(super) fn wrong_type(head: &Parts) -> Option<BareAnswer> {
    let sent = head.headers.get(hyper::header::CONTENT_TYPE)?.to_str().unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    (!is_json).then(|| BareAnswer::refusal(415, "The content type must be application/json"))
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
        if date.is_some_and(|date| !is_date(date)) {
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

/// Whether `text` has the contract's form and names a time that a calendar and a clock have.
fn is_date(text: &str) -> bool {
    let fits =
        |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if text.len() != DATE_FORM.len() || !text.bytes().zip(DATE_FORM.bytes()).all(fits) {
        return false;
    }
    let number = |at: usize, digits: usize| {
        text.get(at..at + digits).and_then(|text| text.parse::<u32>().ok())
    };
    let parts = [(0, 4), (5, 2), (8, 2), (11, 2), (14, 2), (17, 2)]
        .map(|(at, digits)| number(at, digits).unwrap_or(99));
    let [year, month, day, hour, minute, second] = parts;
    (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
}

fn days_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_contracts_and_one_that_there_was() {
        for right in ["2026-11-23 10:00:00", "2024-02-29 23:59:59", "2000-02-29 00:00:00"] {
            assert!(is_date(right), "{right}");
        }
        let wrong = [
            "",
            "Invalid date",
            "2026-13-01 10:00:00",
            "2026-00-01 10:00:00",
            "2026-11-31 10:00:00",
        ];
        let more = [
            "2026-02-29 10:00:00",
            "1900-02-29 10:00:00",
            "2026-11-23T10:00:00",
            "2026-11-23 10:00:00Z",
        ];
        let odd = [
            "2026-11-23 24:00:00",
            "2026-11-23 10:60:00",
            "2026-11-23",
            "٢٠٢٦-11-23 10:00:00",
            "+026-11-23 10:00:00",
        ];
        for wrong in wrong.into_iter().chain(more).chain(odd) {
            assert!(!is_date(wrong), "{wrong}");
        }
    }
}
