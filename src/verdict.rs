//! Pure: what an upstream answer means for the redemption and for its lane.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::redemption::Answer;

/// What came back from one attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An HTTP answer from the verified host.
    Answered(Reply),
    /// No answer: where the road ended.
    Failed(Failure),
}

/// An HTTP answer with what the verdict needs of its headers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status, content type and body. The body is cut at its limit.
    pub answer: Answer,
    /// The body was longer than [`Answer::BODY_BYTES_MAX`].
    pub truncated: bool,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The header `Date`, as it came.
    pub date: Option<String>,
    /// The header `WWW-Authenticate`, as it came.
    pub www_authenticate: Option<String>,
    /// The codings that the body came in, as they were named, where it came in any but `identity`. It is not decoded.
    pub content_encoding: Option<String>,
    /// The body's end was told by its length, by the status 204, by the last chunk or by the end of HTTP/2's stream:
    /// not by the end of an HTTP/1 connection alone, and not where we stopped reading at the limit.
    pub framed: bool,
}

/// An attempt that ended without an answer.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct Failure {
    /// How far it came.
    pub phase: Phase,
    /// What a person reads beside the phase; no secret, no body.
    pub detail: String,
    /// False only when certainly no byte of the request left.
    pub bytes_may_have_left: bool,
    /// The deadline ended it.
    pub deadline: bool,
    /// The last byte of the request was handed to the connection and, where TCP told, acknowledged.
    pub sent_whole: bool,
    /// An answer had begun and ended before its end: its length fell short, its chunks or its stream broke off.
    pub cut: bool,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name resolution.
    Resolve,
    /// TCP connect.
    Connect,
    /// The proxy between: it wants another password, or refuses to connect.
    Proxy,
    /// TLS handshake, certificate included.
    Tls,
    /// TLS, because the certificate is not yet valid or expired while our clock is untrusted.
    Clock,
    /// The request was being written (bytes unacknowledged at the deadline).
    Write,
    /// The request was written; the answer did not come whole.
    Answer,
    /// No credential to send with (unreadable file, failed renewal): nothing was sent.
    Credential,
}

/// What a provider's settings say about reading its answers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Statuses that decline when the answer has the contract's shape.
    pub declined_status: Vec<u16>,
    /// Substrings (any case) that mean "already used".
    pub already_used: Vec<String>,
}

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the provider took it.
    Confirmed,
    /// The provider refused it. `message` is what it said first, for the streak of alike declines.
    Declined {
        /// It said "already used".
        already_used: bool,
        /// `message`, else the first of `errors`.
        message: String,
    },
    /// 2xx with errors: it says both.
    Parked {
        /// Why, for the person who decides.
        reason: String,
    },
    /// 401 or 403 about our credential: the lane is held, no row is charged.
    Credential,
    /// Not the provider: portal, block page, wrong URL.
    NotTheProvider {
        /// What came instead, for the cause.
        detail: String,
    },
    /// 429, or 503 with a usable `Retry-After`: the whole lane waits.
    Wait {
        /// At least this long, bounded by one hour; `None`: one backoff step.
        at_least: Option<Duration>,
        /// A 429 never reached the redemption; after a 503 it may have.
        clean: bool,
    },
    /// 408, 425 or another 5xx: this row waits its own backoff.
    RowFault {
        /// The status.
        status: u16,
    },
    /// Reset or end of stream after the first byte: this row waits, the window is 1.
    Reset,
    /// The road: resolve, connect, TLS, deadline.
    Road(Phase),
}

/// The longest wait that a provider may ask for, in seconds.
pub const RETRY_AFTER_S_MAX: u64 = 3600;

/// How much of a refusal's own words goes into [`Verdict::Declined`], in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// What `outcome` means under the provider's `rules`.
#[must_use]
pub fn judge(outcome: &Outcome, rules: &Rules) -> Verdict {
    match outcome {
        Outcome::Answered(reply) => judge_reply(reply, rules),
        Outcome::Failed(failure) => judge_failure(failure),
    }
}

fn judge_failure(failure: &Failure) -> Verdict {
    match (failure.phase, failure.deadline) {
        (Phase::Credential, _) => Verdict::Credential,
        (Phase::Write | Phase::Answer, false) => Verdict::Reset,
        (phase, _) => Verdict::Road(phase),
    }
}

/// The order of the questions is the order of the table in the design: what a person lists as `declined_status` goes
/// before what a status otherwise means.
fn judge_reply(reply: &Reply, rules: &Rules) -> Verdict {
    let status = reply.answer.status;
    let object = Object::read(reply);
    let in_shape = object.as_ref().is_some_and(Object::is_in_shape);
    match status {
        200..=299 => judge_success(reply, object.as_ref()),
        300..=399 | 511 => not_the_provider(reply),
        400..=599 if in_shape && rules.declined_status.contains(&status) => declined(object.as_ref(), rules),
        401 | 403 if in_shape || challenges(reply) => Verdict::Credential,
        429 => Verdict::Wait { at_least: retry_after(reply), clean: true },
        408 | 425 => Verdict::RowFault { status },
        500..=599 => judge_server_fault(reply),
        _ => not_the_provider(reply),
    }
}

fn judge_success(reply: &Reply, object: Option<&Object>) -> Verdict {
    match object {
        None if reply.answer.body.is_empty() && !reply.truncated => Verdict::Confirmed,
        None => not_the_provider(reply),
        Some(object) if object.has_errors() => {
            let status = reply.answer.status;
            Verdict::Parked { reason: format!("the provider answered {status} and listed errors: it says both") }
        }
        Some(_) => Verdict::Confirmed,
    }
}

fn judge_server_fault(reply: &Reply) -> Verdict {
    let status = reply.answer.status;
    match retry_after(reply) {
        Some(at_least) if status == 503 => Verdict::Wait { at_least: Some(at_least), clean: false },
        _ => Verdict::RowFault { status },
    }
}

fn declined(object: Option<&Object>, rules: &Rules) -> Verdict {
    let texts = object.map(Object::texts).unwrap_or_default();
    let lowered: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    let says = |words: &String| !words.is_empty() && lowered.iter().any(|text| text.contains(&words.to_lowercase()));
    let already_used = rules.already_used.iter().any(says);
    let message = texts.first().map(|text| cut(text)).unwrap_or_default();
    Verdict::Declined { already_used, message }
}

/// Whether a 401 is about our credential although it has not the contract's shape: RFC 6750's challenge, or nothing.
fn challenges(reply: &Reply) -> bool {
    let bearer = |challenge: &str| {
        challenge.split_ascii_whitespace().next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
    };
    let challenged = reply.www_authenticate.as_deref().is_some_and(|header| header.split(',').any(bearer));
    let empty = reply.answer.body.is_empty() && !reply.truncated;
    reply.answer.status == 401 && (challenged || empty)
}

/// The cause names what came without repeating it: bodies are never logged.
fn not_the_provider(reply: &Reply) -> Verdict {
    let Answer { status, body, .. } = &reply.answer;
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let what = match (status, first) {
        (300..=399, _) => "a redirect".to_owned(),
        (511, _) => "a network's demand to log in".to_owned(),
        (_, None) => "an empty body".to_owned(),
        (_, Some(b'<')) => "a web page".to_owned(),
        _ if reply.truncated => format!("a body of more than {} bytes", Answer::BODY_BYTES_MAX),
        _ => format!("{} bytes that are not in the contract's shape", body.len()),
    };
    Verdict::NotTheProvider { detail: format!("HTTP {status} with {what}") }
}

/// A usable `Retry-After`: at least a second, at most [`RETRY_AFTER_S_MAX`].
fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?.trim();
    let wait_s = seconds(text).or_else(|| seconds_until(text, reply.date.as_deref()?))?;
    (wait_s > 0).then(|| Duration::from_secs(wait_s.min(RETRY_AFTER_S_MAX)))
}

/// RFC 9110's delay-seconds: digits alone (`parse` by itself would take a sign).
fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// From the answer's own `date` to `text`: our own clock may be wrong, the provider's agrees with itself.
fn seconds_until(text: &str, date: &str) -> Option<u64> {
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(date.trim()).ok()?;
    until.duration_since(now).ok().map(|wait| wait.as_secs())
}

/// A whole answer that is a JSON object. Its values are kept as they came: a fault in one that does not concern us
/// (a number beyond any range, say) does not make the answer unreadable.
struct Object<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Object<'a> {
    fn read(reply: &'a Reply) -> Option<Self> {
        let body = &*reply.answer.body;
        // Some frameworks begin every answer with a byte order mark, which RFC 8259 lets a parser ignore.
        let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        (!reply.truncated).then(|| serde_json::from_slice(json).ok()).flatten().map(Self)
    }

    /// The contract's shape.
    fn is_in_shape(&self) -> bool {
        self.0.contains_key("message") || self.0.contains_key("errors")
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.0.get(key).map(|raw| serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::from(raw.get())))
    }

    fn has_errors(&self) -> bool {
        match self.value("errors") {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
        }
    }

    /// What it says: `message`, then every string within `errors`.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for key in ["message", "errors"] {
            if let Some(value) = self.value(key) {
                collect_texts(value, &mut texts);
            }
        }
        texts
    }
}

/// The strings within `value`, in order; frameworks put them into lists, or into lists by field.
fn collect_texts(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text),
        Value::Array(list) => list.into_iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(map) => map.into_iter().for_each(|(_, item)| collect_texts(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// At most [`MESSAGE_BYTES_MAX`] of `text`, whole characters.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules {
        let already_used = vec!["has been used".to_owned(), "already redeemed".to_owned(), String::new()];
        Rules { declined_status: vec![400, 404, 409, 410, 422], already_used }
    }

    fn reply(status: u16, body: &str) -> Reply {
        let answer = Answer { status, content_type: None, body: Bytes::copy_from_slice(body.as_bytes()) };
        Reply {
            answer,
            truncated: false,
            retry_after: None,
            date: None,
            www_authenticate: None,
            content_encoding: None,
            framed: true,
        }
    }

    fn verdict(reply: Reply) -> Verdict {
        judge(&Outcome::Answered(reply), &rules())
    }

    fn of(status: u16, body: &str) -> Verdict {
        verdict(reply(status, body))
    }

    fn is_not_the_provider(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::NotTheProvider { .. })
    }

    const SHAPE: &str = r#"{"message":"no"}"#;
    const HTML: &str = "\n<!doctype html><title>Log in</title>";

    #[test]
    fn a_2xx_with_an_object_without_errors_or_an_empty_body_confirms() {
        let objects = ["", "{}", " {} ", r#"{"errors":[]}"#, r#"{"errors":null}"#, r#"{"errors":{}}"#, "\u{feff}{}"];
        let more = [r#"{"errors":""}"#, r#"{"errors":false}"#, r#"{"errors":0}"#, r#"{"message":"done"}"#];
        let odd = [r#"{"data":{"n":1e999}}"#, r#"{"data":[],"message":null,"errors":[]}"#];
        for body in objects.into_iter().chain(more).chain(odd) {
            assert_eq!(of(200, body), Verdict::Confirmed, "{body:?}");
        }
        assert_eq!(of(204, ""), Verdict::Confirmed);
        assert_eq!(of(299, "{}"), Verdict::Confirmed);
    }

    #[test]
    fn a_2xx_that_lists_errors_is_parked() {
        let lists = [r#"{"errors":["x"]}"#, r#"{"errors":"x"}"#, r#"{"errors":{"f":[]}}"#, r#"{"errors":[null]}"#];
        let values = [r#"{"errors":true}"#, r#"{"errors":7}"#, r#"{"errors":1e999}"#];
        for body in lists.into_iter().chain(values) {
            assert!(matches!(of(200, body), Verdict::Parked { .. }), "{body:?}");
        }
    }

    #[test]
    fn a_2xx_with_anything_else_is_not_the_provider() {
        for body in [HTML, "[]", "\"ok\"", "null", "true", "1", "OK", "{", "{}{}", "\n", "{\"a\":\"\u{1}\"}"] {
            assert!(is_not_the_provider(&of(200, body)), "{body:?}");
        }
        let mut not_utf8 = reply(200, "");
        not_utf8.answer.body = Bytes::from_static(b"{\"message\":\"\xff\"}");
        assert!(is_not_the_provider(&verdict(not_utf8)));
    }

    #[test]
    fn a_truncated_body_is_never_in_shape() {
        for (status, body) in [(200, "{}"), (200, ""), (400, SHAPE), (401, SHAPE), (401, ""), (403, SHAPE)] {
            let cut = Reply { truncated: true, ..reply(status, body) };
            assert!(is_not_the_provider(&verdict(cut)), "{status} {body:?}");
        }
    }

    #[test]
    fn a_declining_status_in_the_contracts_shape_declines() {
        for status in [400, 404, 409, 410, 422] {
            let message = "no".to_owned();
            assert_eq!(of(status, SHAPE), Verdict::Declined { already_used: false, message }, "{status}");
        }
        for body in [r#"{"message":null}"#, r#"{"errors":[]}"#, r#"{"data":[],"message":"","errors":[]}"#] {
            let message = String::new();
            assert_eq!(of(400, body), Verdict::Declined { already_used: false, message }, "{body}");
        }
    }

    #[test]
    fn already_used_is_found_in_any_case_in_message_and_in_errors() {
        let used = [
            (r#"{"data":[],"message":"Reward 1234 HAS been Used","errors":["x"]}"#, "Reward 1234 HAS been Used"),
            (r#"{"errors":["first","Reward has been used"]}"#, "first"),
            (r#"{"errors":{"reward_code":["was Already Redeemed"]}}"#, "was Already Redeemed"),
            (r#"{"errors":"has been used"}"#, "has been used"),
        ];
        for (body, first) in used {
            let message = first.to_owned();
            assert_eq!(of(400, body), Verdict::Declined { already_used: true, message }, "{body}");
        }
        for body in [r#"{"message":"unknown","note":"has been used"}"#, r#"{"message":"has been","errors":["used"]}"#] {
            assert!(matches!(of(400, body), Verdict::Declined { already_used: false, .. }), "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let body = format!(r#"{{"message":"{}"}}"#, "ä".repeat(2 * MESSAGE_BYTES_MAX));
        let Verdict::Declined { message, .. } = of(400, &body) else { panic!("not declined") };
        assert_eq!(message, "ä".repeat(MESSAGE_BYTES_MAX / 2));
    }

    #[test]
    fn a_declining_status_without_the_contracts_shape_is_not_the_provider() {
        for status in [400, 404, 409, 410, 422] {
            for body in ["", "{}", HTML, "[]", r#"["message","errors"]"#, r#"{"Message":"no"}"#] {
                assert!(is_not_the_provider(&of(status, body)), "{status} {body:?}");
            }
        }
    }

    #[test]
    fn a_401_or_403_in_the_contracts_shape_is_about_the_credential() {
        assert_eq!(of(401, SHAPE), Verdict::Credential);
        assert_eq!(of(403, SHAPE), Verdict::Credential);
        assert_eq!(of(401, ""), Verdict::Credential);
        assert!(is_not_the_provider(&of(403, "")));
        assert!(is_not_the_provider(&of(401, HTML)));
        assert!(is_not_the_provider(&of(403, HTML)));
    }

    #[test]
    fn a_401_that_asks_for_a_bearer_token_is_about_the_credential_whatever_its_body() {
        let asks =
            |status, header: &str| verdict(Reply { www_authenticate: Some(header.to_owned()), ..reply(status, HTML) });
        for header in ["Bearer", "bearer realm=\"x\"", "Basic realm=x, Bearer error=\"invalid_token\""] {
            assert_eq!(asks(401, header), Verdict::Credential, "{header}");
            assert!(is_not_the_provider(&asks(403, header)), "{header}");
        }
        for header in ["Basic realm=bearer", "", "Bearerish x"] {
            assert!(is_not_the_provider(&asks(401, header)), "{header}");
        }
    }

    #[test]
    fn any_other_4xx_any_3xx_and_511_are_not_the_provider() {
        for status in [300, 301, 302, 304, 307, 308, 402, 405, 406, 407, 411, 413, 415, 418, 426, 431, 451, 511] {
            assert!(is_not_the_provider(&of(status, SHAPE)), "{status}");
        }
        for status in [100, 101, 199, 600, 999] {
            assert!(is_not_the_provider(&of(status, SHAPE)), "{status}");
        }
    }

    #[test]
    fn the_cause_names_what_came_and_repeats_none_of_it() {
        let detail = |status, body: &str| {
            let Verdict::NotTheProvider { detail } = of(status, body) else { panic!("it is the provider") };
            detail
        };
        assert_eq!(detail(200, HTML), "HTTP 200 with a web page");
        assert_eq!(detail(302, ""), "HTTP 302 with a redirect");
        assert_eq!(detail(404, "secret"), "HTTP 404 with 6 bytes that are not in the contract's shape");
        assert_eq!(detail(511, SHAPE), "HTTP 511 with a network's demand to log in");
        assert_eq!(detail(404, " \n"), "HTTP 404 with an empty body");
        let endless = Reply { truncated: true, ..reply(200, "secret") };
        let expected = Verdict::NotTheProvider { detail: "HTTP 200 with a body of more than 65536 bytes".to_owned() };
        assert_eq!(verdict(endless), expected);
    }

    #[test]
    fn what_a_refusal_said_first_is_its_first_text_that_says_anything() {
        for body in [r#"{"message":"","errors":["","no"]}"#, r#"{"message":[],"errors":{"a":"","b":["no"]}}"#] {
            assert_eq!(of(400, body), Verdict::Declined { already_used: false, message: "no".to_owned() }, "{body}");
        }
    }

    #[test]
    fn what_a_person_lists_as_declining_declines() {
        let rules = Rules { declined_status: vec![403, 429, 500, 302, 200, 511], already_used: Vec::new() };
        for status in [403, 429, 500] {
            let verdict = judge(&Outcome::Answered(reply(status, SHAPE)), &rules);
            assert!(matches!(verdict, Verdict::Declined { .. }), "{status}");
        }
        assert!(is_not_the_provider(&judge(&Outcome::Answered(reply(302, SHAPE)), &rules)));
        assert!(is_not_the_provider(&judge(&Outcome::Answered(reply(511, SHAPE)), &rules)));
        assert_eq!(judge(&Outcome::Answered(reply(200, SHAPE)), &rules), Verdict::Confirmed);
    }

    #[test]
    fn a_server_fault_makes_its_row_wait() {
        for status in [408, 425, 500, 501, 502, 503, 504, 505, 599] {
            assert_eq!(of(status, HTML), Verdict::RowFault { status });
            assert_eq!(of(status, SHAPE), Verdict::RowFault { status });
        }
        let with_retry_after = Reply { retry_after: Some("5".to_owned()), ..reply(500, "") };
        assert_eq!(verdict(with_retry_after), Verdict::RowFault { status: 500 });
    }

    const DATE: &str = "Sun, 01 Nov 2026 08:00:00 GMT";

    #[test]
    fn retry_after_is_a_bounded_floor_or_nothing() {
        let rows = [
            ("7", None, Some(7)),
            (" 7 ", None, Some(7)),
            ("3600", None, Some(3600)),
            ("3601", None, Some(3600)),
            ("18446744073709551615", None, Some(3600)),
            ("18446744073709551616", None, None),
            ("99999999999999999999999999", None, None),
            ("0", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("1e3", None, None),
            ("", None, None),
            ("soon", Some(DATE), None),
            ("Sun, 01 Nov 2026 08:00:30 GMT", Some(DATE), Some(30)),
            ("Sun, 01 Nov 2026 08:00:30 GMT", Some("Sunday, 01-Nov-26 08:00:00 GMT"), Some(30)),
            ("Sun, 01 Nov 2026 08:00:30 GMT", None, None),
            ("Sun, 01 Nov 2026 08:00:30 GMT", Some("yesterday"), None),
            ("Sun, 01 Nov 2026 07:59:59 GMT", Some(DATE), None),
            (DATE, Some(DATE), None),
            ("Mon, 01 Nov 2060 08:00:00 GMT", Some(DATE), Some(3600)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(3600)),
        ];
        for (retry_after, date, expected) in rows {
            let at_least = expected.map(Duration::from_secs);
            let with = |status| {
                let retry_after = Some(retry_after.to_owned());
                verdict(Reply { retry_after, date: date.map(str::to_owned), ..reply(status, HTML) })
            };
            assert_eq!(with(429), Verdict::Wait { at_least, clean: true }, "{retry_after:?} {date:?}");
            let unavailable = match at_least {
                Some(_) => Verdict::Wait { at_least, clean: false },
                None => Verdict::RowFault { status: 503 },
            };
            assert_eq!(with(503), unavailable, "{retry_after:?} {date:?}");
        }
        assert_eq!(of(429, SHAPE), Verdict::Wait { at_least: None, clean: true });
    }

    #[test]
    fn a_failure_is_the_road_a_reset_or_the_credential() {
        let of = |phase, deadline| {
            let failure = Failure {
                phase,
                detail: String::new(),
                bytes_may_have_left: true,
                deadline,
                sent_whole: true,
                cut: false,
            };
            judge(&Outcome::Failed(failure), &rules())
        };
        for phase in [Phase::Resolve, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Clock] {
            assert_eq!(of(phase, false), Verdict::Road(phase));
            assert_eq!(of(phase, true), Verdict::Road(phase));
        }
        for phase in [Phase::Write, Phase::Answer] {
            assert_eq!(of(phase, false), Verdict::Reset);
            assert_eq!(of(phase, true), Verdict::Road(phase));
        }
        assert_eq!(of(Phase::Credential, false), Verdict::Credential);
        assert_eq!(of(Phase::Credential, true), Verdict::Credential);
    }

    fn any_text() -> impl Strategy<Value = Option<String>> {
        let dates = Just(DATE.to_owned());
        proptest::option::of(prop_oneof![any::<String>(), dates, "[0-9]{0,30}", "[A-Z][a-z]{2}, [ -~]{0,30}"])
    }

    fn any_body() -> impl Strategy<Value = Vec<u8>> {
        let near = r#"[{\[]{0,200}"?(message|errors)?"?:?[ -~]{0,20}[\]}]{0,200}"#;
        prop_oneof![any::<Vec<u8>>(), near.prop_map(String::into_bytes)]
    }

    proptest! {
        #[test]
        fn judging_never_panics_and_no_wait_is_longer_than_an_hour(
            status: u16, body in any_body(), truncated: bool,
            retry_after in any_text(), date in any_text(), www_authenticate in any_text(),
        ) {
            let answer = Answer { status, content_type: None, body: body.into() };
            let (content_encoding, framed) = (None, true);
            let reply =
                Reply { answer, truncated, retry_after, date, www_authenticate, content_encoding, framed };
            if let Verdict::Wait { at_least: Some(wait), .. } = verdict(reply) {
                prop_assert!(wait <= Duration::from_secs(RETRY_AFTER_S_MAX) && !wait.is_zero());
            }
        }

        #[test]
        fn nothing_without_the_contracts_shape_settles_a_redemption(
            status in 201u16..=599, body in "[^{]{1,200}",
        ) {
            let verdict = of(status, &body);
            let settled = matches!(verdict, Verdict::Confirmed | Verdict::Declined { .. } | Verdict::Parked { .. });
            prop_assert!(!settled, "{verdict:?}");
        }
    }
}
