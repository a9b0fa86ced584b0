//! Canned answers: a rule's fault as status, headers and body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue,
    LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode, Version};

use super::body::{AnswerBody, Script, gzip};
use super::books::BareAnswer;
use super::fault::{BodyText, Fault};
use super::rule::FaultRule;
use crate::clock::Clock;

/// Where the portal redirects to, unless the rule says otherwise: an address that is reserved for
/// documentation.
const PORTAL: &str = "http://192.0.2.1/login";

/// What a portal, a block page or a broken gateway shows.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign \
    in</title></head><body><h1>Welcome</h1>\
    <p>Sign in to use this network.</p></body></html>\n";

/// An answer with its further headers.
#[derive(Clone, Debug)]
pub(super) struct HttpAnswer {
    pub(super) said: BareAnswer,
    headers: HeaderMap,
    unframed: bool,
}

impl HttpAnswer {
    pub(super) fn plain(said: BareAnswer) -> Self {
        Self { said, headers: HeaderMap::new(), unframed: false }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Compressed, whether or not the client asked for it.
    pub(super) fn gzipped(mut self) -> Self {
        self.said.body = gzip(&self.said.body);
        self.with(CONTENT_ENCODING, "gzip")
    }

    /// Over HTTP/1 the end of the connection alone tells the end of the body, if that has no known
    /// length.
    pub(super) fn unframed(mut self) -> Self {
        self.unframed = true;
        self
    }

    pub(super) fn into_response(self) -> Response<AnswerBody> {
        let body = AnswerBody::whole(self.said.body.clone());
        self.with_body(body)
    }

    /// The answer's head with another body; `length` is what `Content-Length` says, true or not.
    pub(super) fn into_scripted(
        self,
        script: Script,
        length: Option<usize>,
    ) -> Response<AnswerBody> {
        let answer = match length {
            Some(length) => self.with(CONTENT_LENGTH, &length.to_string()),
            None => self,
        };
        answer.with_body(AnswerBody::Scripted(Box::new(script)))
    }

    fn with_body(self, body: AnswerBody) -> Response<AnswerBody> {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if self.unframed {
            // HTTP/1.0 has no chunks.
            *response.version_mut() = Version::HTTP_10;
        }
        if let Some(content_type) = self.said.content_type {
            response
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static(content_type));
        }
        response
    }
}

/// A web page.
pub(super) fn page(status: u16) -> HttpAnswer {
    HttpAnswer::plain(BareAnswer {
        status,
        content_type: Some("text/html"),
        body: Bytes::from_static(PAGE.as_bytes()),
    })
}

/// The contract's 401.
pub(super) fn unauthenticated() -> HttpAnswer {
    HttpAnswer::plain(BareAnswer::refusal(401, "Unauthenticated.")).with(WWW_AUTHENTICATE, "Bearer")
}

/// Whether the code is taken although the rule answers in the provider's place.
pub(super) fn takes(rule: &FaultRule) -> bool {
    let by_itself = matches!(rule.fault.fault, Fault::Say { takes: true, .. });
    rule.take.unwrap_or(by_itself)
}

/// The answer that the rule gives in the provider's place.
pub(super) fn canned(rule: &FaultRule, code: &str) -> HttpAnswer {
    let Fault::Say { status, text, challenge, .. } = rule.fault.fault else { return page(500) };
    let status = rule.status.unwrap_or(status);
    let mut answer = match (&rule.body, text) {
        (Some(body), _) => HttpAnswer::plain(literal(status, body.clone())),
        (None, BodyText::Refusal(message)) => {
            let message = rule.message.as_deref().unwrap_or(message).replace("{code}", code);
            HttpAnswer::plain(BareAnswer::refusal(status, &message))
        }
        (None, BodyText::Page) => page(status),
        (None, BodyText::Literal(body)) => HttpAnswer::plain(literal(status, body.to_owned())),
        (None, BodyText::Typed(content_type, body)) => HttpAnswer::plain(BareAnswer {
            status,
            content_type: Some(content_type),
            body: Bytes::from_static(body.as_bytes()),
        }),
    };
    if challenge {
        answer = answer.with(WWW_AUTHENTICATE, "Bearer");
    }
    if (300..400).contains(&status) {
        answer = answer.with(LOCATION, rule.location.as_deref().unwrap_or(PORTAL));
    }
    dated(with_rule_headers(answer, rule), rule)
}

fn literal(status: u16, body: String) -> BareAnswer {
    let content_type = (!body.is_empty()).then_some("application/json");
    BareAnswer { status, content_type, body: body.into() }
}

fn with_rule_headers(answer: HttpAnswer, rule: &FaultRule) -> HttpAnswer {
    let headers = [
        (LOCATION, &rule.location),
        (WWW_AUTHENTICATE, &rule.www_authenticate),
        (CONTENT_TYPE, &rule.content_type),
    ];
    headers.into_iter().fold(answer, |answer, (name, value)| match value {
        Some(value) => answer.with(name, value),
        None => answer,
    })
}

/// `Date` and `Retry-After`, the latter's date read against the former.
fn dated(mut answer: HttpAnswer, rule: &FaultRule) -> HttpAnswer {
    let now_s = Clock::system().stamp().unix_ms / 1000 + rule.clock_s.unwrap_or(0);
    if rule.clock_s.is_some() || rule.retry_after.is_some() {
        answer = answer.with(DATE, &http_date(now_s));
    }
    let Some(retry_after) = &rule.retry_after else { return answer };
    let from_now = retry_after.strip_prefix("date").and_then(|seconds| seconds.parse::<i64>().ok());
    match from_now {
        Some(seconds) => answer.with(RETRY_AFTER, &http_date(now_s.saturating_add(seconds))),
        None => answer.with(RETRY_AFTER, retry_after),
    }
}

/// Years that a four-digit year can say.
const HTTP_DATE_S_MAX: u64 = 253_402_300_799;

fn http_date(unix_s: i64) -> String {
    let since = Duration::from_secs(u64::try_from(unix_s).unwrap_or(0).min(HTTP_DATE_S_MAX));
    let time: SystemTime = UNIX_EPOCH + since;
    httpdate::fmt_http_date(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(rule: &str, name: &str) -> Option<String> {
        let response = canned(&rule.parse().unwrap(), "C1").into_response();
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    fn seconds_until_retry(rule: &str) -> i64 {
        let seconds = |name| {
            let time = httpdate::parse_http_date(&head(rule, name).unwrap()).unwrap();
            i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
        };
        seconds("retry-after") - seconds("date")
    }

    #[test]
    fn retry_after_is_sent_as_written_or_as_a_date_beside_the_answers_own() {
        for text in ["120", "-5", "soon", "Thu, 99 Foo"] {
            let rule = format!(r#"{{"fault":"503","retry_after":"{text}"}}"#);
            assert_eq!(head(&rule, "retry-after").as_deref(), Some(text));
        }
        assert!((29..=31).contains(&seconds_until_retry("fault=429,retry_after=date+30")));
        assert!(
            (-31..=-29)
                .contains(&seconds_until_retry("fault=503,retry_after=date-30,clock_s=86400"))
        );
    }

    #[test]
    fn the_rules_own_words_replace_the_faults() {
        let rule: FaultRule =
            "fault=refuse,message=Reward {code} expired,status=422".parse().unwrap();
        let said = canned(&rule, "C1").said;
        assert_eq!(said.status, 422);
        let body: serde_json::Value = serde_json::from_slice(&said.body).unwrap();
        assert_eq!(body["message"], "Reward C1 expired");
        assert_eq!(head("fault=portal", "location").as_deref(), Some(PORTAL));
        assert_eq!(head("fault=401-bearer", "www-authenticate").as_deref(), Some("Bearer"));
        assert_eq!(head("fault=401", "www-authenticate"), None);
        assert_eq!(head("fault=html-200", "content-type").as_deref(), Some("text/html"));
    }

    #[test]
    fn only_an_answer_that_is_a_success_takes_the_code_by_itself() {
        let taking = |rule: &str| takes(&rule.parse().unwrap());
        assert!(taking("fault=empty-200") && taking("fault=500,take=true"));
        assert!(!taking("fault=500") && !taking("fault=empty-200,take=false"));
    }
}
