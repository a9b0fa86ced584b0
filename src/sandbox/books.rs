//! What the provider remembers: codes that were taken, keys that were seen, and every request.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use serde::Serialize;

/// A canned or ordinary answer before it is put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BareAnswer {
    /// The status.
    pub(super) status: u16,
    /// The content type; `None` for an empty body.
    pub(super) content_type: Option<&'static str>,
    /// The body.
    pub(super) body: Bytes,
}

impl BareAnswer {
    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        let body = Bytes::from(value.to_string());
        Self { status, content_type: Some("application/json"), body }
    }

    /// The contract's plain success.
    pub(super) fn success() -> Self {
        Self {
            status: 200,
            content_type: Some("application/json"),
            body: Bytes::from_static(b"{}"),
        }
    }

    /// A refusal in the contract's shape.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        Self::refusals(status, &[message.to_owned()])
    }

    /// A refusal for more than one reason; `message` is the first.
    pub(super) fn refusals(status: u16, errors: &[String]) -> Self {
        Self::json(
            status,
            &serde_json::json!({ "data": [], "message": errors.first(), "errors": errors }),
        )
    }
}

/// One request as the control API shows it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestRecord {
    /// Its number, from 1, over the sandbox's life.
    pub n: u64,
    /// Milliseconds since the sandbox was started.
    pub at_ms: u64,
    /// Which connection carried it, from 1.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The header `Redeemd-Attempt`.
    pub attempt: Option<String>,
    /// The header `Redeemd-Accepted-At`.
    pub accepted_at: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The start of the header `Authorization`'s SHA-256 in hex: it tells tokens apart and shows
    /// none.
    pub authorization: Option<String>,
    /// The request's code.
    pub code: Option<String>,
    /// The body, as text; what is not UTF-8 in it is replaced. `None`: it was not read.
    pub body: Option<String>,
    /// The rule's fault, if one was hit.
    pub fault: Option<String>,
    /// Whether this request took its code.
    pub took: bool,
    /// The status that was answered; `None`: none was.
    pub status: Option<u16>,
    /// What was answered, at most 1 KiB of it.
    pub answer: Option<String>,
}

/// The provider's own totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests whose headers were read.
    pub requests: u64,
    /// Codes that were taken, each counted once.
    pub codes_taken: u64,
    /// Different `Idempotency-Key`s on redemptions.
    pub keys_seen: u64,
    /// Redemptions that were told "has been used".
    pub told_used: u64,
    /// Codes that came under more than one key.
    pub codes_under_two_keys: u64,
    /// Keys that came with more than one code.
    pub keys_with_two_codes: u64,
}

/// A code as the merchant knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BusinessCode {
    pub(super) business: String,
    pub(super) code: String,
}

/// Everything remembered. Codes and keys are kept for the sandbox's life, records up to their
/// bound.
#[derive(Debug, Default)]
pub(super) struct ProviderBooks {
    taken: HashSet<BusinessCode>,
    key_of_code: HashMap<BusinessCode, String>,
    code_of_key: HashMap<String, BusinessCode>,
    two_keys: HashSet<BusinessCode>,
    two_codes: HashSet<String>,
    answers: HashMap<String, BareAnswer>,
    records: VecDeque<RequestRecord>,
    records_max: usize,
    summary: Summary,
}

impl ProviderBooks {
    /// Books that keep the last `records_max` requests.
    pub(super) fn new(records_max: usize) -> Self {
        Self { records_max, ..Self::default() }
    }

    pub(super) fn keeps_records(&self) -> bool {
        self.records_max > 0
    }

    pub(super) fn count_connection(&mut self) -> u64 {
        self.summary.connections += 1;
        self.summary.connections
    }

    pub(super) fn count_request(&mut self) -> u64 {
        self.summary.requests += 1;
        self.summary.requests
    }

    /// Notes that `code` came under `key`.
    pub(super) fn see_key(&mut self, key: &str, code: &BusinessCode) {
        let of_code = self.key_of_code.entry(code.clone()).or_insert_with(|| key.to_owned());
        if of_code != key {
            self.two_keys.insert(code.clone());
        }
        let of_key = self.code_of_key.entry(key.to_owned()).or_insert_with(|| code.clone());
        if of_key != code {
            self.two_codes.insert(key.to_owned());
        }
    }

    /// Takes the code; false if it was taken before.
    pub(super) fn take(&mut self, code: &BusinessCode) -> bool {
        if self.taken.contains(code) {
            self.summary.told_used += 1;
            return false;
        }
        self.taken.insert(code.clone())
    }

    /// Whether the code was taken.
    pub(super) fn is_taken(&self, code: &BusinessCode) -> bool {
        self.taken.contains(code)
    }

    pub(super) fn answer_of(&self, key: &str) -> Option<&BareAnswer> {
        self.answers.get(key)
    }

    pub(super) fn keep_answer(&mut self, key: &str, said: &BareAnswer) {
        self.answers.insert(key.to_owned(), said.clone());
    }

    pub(super) fn record(&mut self, record: RequestRecord) {
        while self.records.len() >= self.records_max.max(1) {
            self.records.pop_front();
        }
        if self.keeps_records() {
            self.records.push_back(record);
        }
    }

    /// Records after number `after`, oldest first, at most `limit`.
    pub(super) fn records(&self, after: u64, limit: usize) -> Vec<RequestRecord> {
        self.records.iter().filter(|record| record.n > after).take(limit).cloned().collect()
    }

    pub(super) fn clear_records(&mut self) {
        self.records.clear();
    }

    /// Forgets codes, keys and answers, so that every code is good again.
    pub(super) fn forget_codes(&mut self) {
        let kept = Summary {
            connections: self.summary.connections,
            requests: self.summary.requests,
            ..Summary::default()
        };
        let records = std::mem::take(&mut self.records);
        *self = Self { records, records_max: self.records_max, summary: kept, ..Self::default() };
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            codes_taken: self.taken.len() as u64,
            keys_seen: self.code_of_key.len() as u64,
            codes_under_two_keys: self.two_keys.len() as u64,
            keys_with_two_codes: self.two_codes.len() as u64,
            ..self.summary
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str) -> BusinessCode {
        BusinessCode { business: "B".to_owned(), code: code.to_owned() }
    }

    #[test]
    fn a_code_is_taken_once_and_a_change_of_key_is_noticed() {
        let mut books = ProviderBooks::new(10);
        books.see_key("k1", &code("A"));
        assert!(books.take(&code("A")));
        books.see_key("k1", &code("A"));
        assert!(!books.take(&code("A")));
        assert_eq!(books.summary().codes_under_two_keys, 0);
        books.see_key("k2", &code("A"));
        books.see_key("k1", &code("B"));
        let Summary {
            codes_taken,
            keys_seen,
            told_used,
            codes_under_two_keys,
            keys_with_two_codes,
            ..
        } = books.summary();
        assert_eq!((codes_taken, keys_seen, told_used), (1, 2, 1));
        assert_eq!((codes_under_two_keys, keys_with_two_codes), (1, 1));
    }

    #[test]
    fn the_oldest_records_make_room_and_forgetting_codes_keeps_them() {
        let mut books = ProviderBooks::new(2);
        for n in 1..=3 {
            books.record(RequestRecord { n, ..RequestRecord::default() });
        }
        books.take(&code("A"));
        books.forget_codes();
        let numbers: Vec<_> = books.records(0, 9).iter().map(|record| record.n).collect();
        assert_eq!((numbers, books.summary().codes_taken), (vec![2, 3], 0));
        assert_eq!(books.records(2, 9).len(), 1);
    }
}
