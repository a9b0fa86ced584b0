//! The contract's token endpoint: one question, and what its answer means.
//!
//! The fields are the contract's own (`grant_type`, `client_id`, `client_secret`, `refresh_token`).
//! They go as a form, as RFC 6749 wants it. An endpoint that does not understand a form, or may not
//! have understood it, is asked in JSON as well. What it gave a token for is used from then on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::super::pool::{Pool, PoolPlan, Post};
use super::super::progress::Progress;
use super::super::secret::SecretFile;
use super::super::{UpstreamError, authority, parse_url, unsent};
use crate::redemption::Secret;
use crate::settings::OAuth;
use crate::text::without_mark;
use crate::verdict::{self, Failure, Outcome, Phase, Reply, Rules, Verdict};

/// A request has this part of an attempt's deadline to be sent, and so has an answer by which no
/// token can be lost: the attempt that waits for it can be told how it failed.
const RENEWAL_PER_DEADLINE: f64 = 0.7;
/// The life of a token whose answer does not say it, in seconds.
const LIFETIME_S_DEFAULT: u64 = 3600;
/// The shortest life that is believed, in seconds: some endpoints say 0 or less and mean another.
const LIFETIME_S_MIN: u64 = 5;
/// The longest life that is believed: 30 days, in seconds.
const LIFETIME_S_MAX: u64 = 30 * 86_400;
/// The errors of RFC 6749 section 5.2 that show that the question was understood.
const UNDERSTOOD: [&str; 5] = [
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// The errors of RFC 6749 section 5.2, and one that some say instead: the endpoint refuses,
/// whatever the status that comes with it.
const REFUSALS: [&str; 7] = [
    "invalid_request",
    "invalid_grant",
    "invalid_client",
    "invalid_token",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// What is asked for.
#[derive(Debug)]
pub(super) enum GrantRequest<'a> {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 6.
    Refresh(&'a Secret),
}

/// What the endpoint gave.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) lifetime: Duration,
}

/// An answer about the grant.
#[derive(Debug)]
pub(super) enum GrantAnswer {
    /// Yes.
    Granted(Granted),
    /// No: another grant may do.
    Refused(NoToken),
}

/// What was heard of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointWord {
    /// Nothing: it was not reached, or its answer did not come.
    None,
    /// It answered, and not about the grant.
    Other,
    /// It said no.
    No,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub(super) struct NoToken {
    /// What the attempt is told. How far the endpoint was reached, at first; what it means for the
    /// provider, the renewal finds out.
    pub(super) failure: Failure,
    /// How far the endpoint came.
    pub(super) word: EndpointWord,
    /// The endpoint's `Retry-After`.
    pub(super) at_least: Option<Duration>,
}

impl Default for NoToken {
    fn default() -> Self {
        Self::here("there is no access token".to_owned())
    }
}

impl NoToken {
    /// A fault of ours, or of the settings: no connection would help.
    pub(super) fn here(detail: String) -> Self {
        let failure = unsent(Phase::Credential, detail);
        Self { failure, word: EndpointWord::No, at_least: None }
    }
}

impl NoToken {
    /// The endpoint answered, and asked for no wait.
    pub(super) fn is_an_answer(&self) -> bool {
        self.word == EndpointWord::Other && self.at_least.is_none()
    }
}

/// The token endpoint.
pub(super) struct TokenEndpoint {
    url: Url,
    client_id: String,
    client_secret: SecretFile,
    /// A request that is not sent by then will not be.
    send_within: Duration,
    pool: Pool,
    speaks_json: AtomicBool,
    /// It has given a token: it understands what it is asked in.
    has_granted: AtomicBool,
}

/// What may stand in its answers; everything else is left unread.
#[derive(Default, Deserialize)]
#[serde(default)]
struct GrantFields {
    access_token: Option<Secret>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<Secret>,
    error: Option<Value>,
}

impl TokenEndpoint {
    pub(super) fn new(
        oauth: &OAuth,
        client_secret: SecretFile,
        plan: PoolPlan,
    ) -> Result<Self, UpstreamError> {
        Ok(Self {
            url: parse_url("oauth.token_url", &oauth.token_url)?,
            client_id: oauth.client_id.clone(),
            client_secret,
            send_within: plan.timeout().mul_f64(RENEWAL_PER_DEADLINE),
            pool: Pool::new(plan)?,
            speaks_json: AtomicBool::new(false),
            has_granted: AtomicBool::new(false),
        })
    }

    pub(super) fn drop_pool(&self) {
        self.pool.drop_pool();
    }

    /// Asks for a token. Who has sent a refresh token waits for the answer until `until`: the
    /// endpoint may have taken that one back, and the next is in the answer alone.
    pub(super) async fn ask(
        &self,
        request: &GrantRequest<'_>,
        until: Instant,
    ) -> Result<GrantAnswer, NoToken> {
        let until = match request {
            GrantRequest::ClientCredentials => until.min(Instant::now() + self.send_within),
            GrantRequest::Refresh(_) => until,
        };
        let secret = self.client_secret.read().map_err(NoToken::here)?;
        let fields = self.fields(request, &secret);
        let as_json = self.speaks_json.load(Ordering::Relaxed);
        let first = self.post(&fields, as_json, until).await?;
        let (answer, is_understood) = (self.read(&first), is_understood(&first));
        if is_understood && !self.may_be_misunderstood(&first, &answer) {
            return answer;
        }
        let second = self.post(&fields, !as_json, until).await?;
        let other = self.read(&second);
        if !is_grant(&other) && (is_understood || !self::is_understood(&second)) {
            return answer;
        }
        self.speaks_json.store(!as_json, Ordering::Relaxed);
        other
    }

    /// What an endpoint says that looks for its fields where they are not: anything. That a refresh
    /// token is not good it says of one that it has read.
    fn may_be_misunderstood(&self, reply: &Reply, answer: &Result<GrantAnswer, NoToken>) -> bool {
        if self.has_granted.load(Ordering::Relaxed) || is_grant(answer) {
            return false;
        }
        let code = fields_of(reply).as_ref().and_then(error_code);
        let is_refused = matches!(answer, Ok(GrantAnswer::Refused(_)));
        let is_fault = matches!(reply.answer.status, 400..=428 | 430..=502 | 504..=599);
        (is_refused || is_fault) && code.as_deref() != Some("invalid_grant")
    }

    /// What those are told who wait for an answer that takes too long for them.
    pub(super) fn is_slow(&self) -> NoToken {
        let detail = format!("the token endpoint: no whole answer from {}", authority(&self.url));
        let failure = Failure { deadline: true, ..unsent(Phase::Answer, detail) };
        NoToken { failure, word: EndpointWord::None, at_least: None }
    }

    fn fields<'a>(
        &'a self,
        request: &GrantRequest<'a>,
        secret: &'a Secret,
    ) -> Vec<(&'static str, &'a str)> {
        let mut fields =
            vec![("client_id", self.client_id.as_str()), ("client_secret", secret.reveal())];
        match request {
            GrantRequest::ClientCredentials => fields.push(("grant_type", "client_credentials")),
            GrantRequest::Refresh(token) => {
                fields.extend([("grant_type", "refresh_token"), ("refresh_token", token.reveal())]);
            }
        }
        fields
    }

    async fn post(
        &self,
        fields: &[(&str, &str)],
        as_json: bool,
        until: Instant,
    ) -> Result<Reply, NoToken> {
        let (url, headers) = (self.url.clone(), HeaderMap::new());
        let post = if as_json {
            let object: serde_json::Map<String, Value> = fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
                .collect();
            Post::json(url, headers, Bytes::from(Value::Object(object).to_string()))
        } else {
            Post::new(url, headers, form(fields), "application/x-www-form-urlencoded")
        };
        let deadlines = (until.min(Instant::now() + self.send_within), until);
        match self.pool.post_and_wait(post, deadlines, &Progress::default()).await {
            Outcome::Answered(reply) => Ok(reply),
            Outcome::Failed(failure) => {
                let detail = format!("the token endpoint: {}", failure.detail);
                // No byte of the redemption has left.
                let failure =
                    Failure { detail, bytes_may_have_left: false, sent_whole: false, ..failure };
                Err(NoToken { failure, word: EndpointWord::None, at_least: None })
            }
        }
    }

    fn read(&self, reply: &Reply) -> Result<GrantAnswer, NoToken> {
        let status = reply.answer.status;
        let fields = fields_of(reply);
        let code = fields.as_ref().and_then(error_code).unwrap_or_default();
        let why_not = match status {
            200..=299 => match granted(fields) {
                Ok(granted) => {
                    self.has_granted.store(true, Ordering::Relaxed);
                    return Ok(GrantAnswer::Granted(granted));
                }
                Err(why) => why,
            },
            _ => "",
        };
        match status {
            400 | 401 | 403 | 422 => Ok(refused(status, &code)),
            429 | 503 => Err(self.no_answer(reply, why_not)),
            _ if REFUSALS.contains(&code.as_str()) => Ok(refused(status, &code)),
            _ => Err(self.no_answer(reply, why_not)),
        }
    }

    /// An answer that is not about the grant: a fault of the endpoint, or not the endpoint at all.
    fn no_answer(&self, reply: &Reply, why: &str) -> NoToken {
        let judged = verdict::judge(&Outcome::Answered(reply.clone()), &Rules::default());
        let at_least = if let Verdict::Wait { at_least, .. } = judged { at_least } else { None };
        let what = if let Verdict::NotTheProvider { detail } = judged {
            detail
        } else {
            format!("HTTP {} {why}", reply.answer.status)
        };
        let host = self.url.host_str().unwrap_or_default();
        let failure = unsent(
            Phase::Credential,
            format!("the token endpoint {host} gave no token: {}", what.trim_end()),
        );
        NoToken { failure, word: EndpointWord::Other, at_least }
    }
}

fn is_grant(answer: &Result<GrantAnswer, NoToken>) -> bool {
    matches!(answer, Ok(GrantAnswer::Granted(_)))
}

fn refused(status: u16, code: &str) -> GrantAnswer {
    let why = format!("the token endpoint refused: HTTP {status} {code}");
    GrantAnswer::Refused(NoToken::here(why.trim_end().to_owned()))
}

fn fields_of(reply: &Reply) -> Option<GrantFields> {
    let json = without_mark(&reply.answer.body);
    let is_object = json.trim_ascii_start().starts_with(b"{");
    (is_object && !reply.truncated).then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Whether the endpoint could read the question, whatever it thinks of it.
fn is_understood(reply: &Reply) -> bool {
    let error = || fields_of(reply).and_then(|fields| error_code(&fields));
    match reply.answer.status {
        415 => false,
        400 | 422 => error().is_some_and(|code| UNDERSTOOD.contains(&code.as_str())),
        _ => true,
    }
}

/// The error's code, if it is one and not a text that could repeat what was sent.
fn error_code(fields: &GrantFields) -> Option<String> {
    let code = fields.error.as_ref()?.as_str()?;
    let is_code =
        code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_code.then(|| code.to_owned())
}

fn granted(fields: Option<GrantFields>) -> Result<Granted, &'static str> {
    let fields = fields.ok_or("without a JSON object")?;
    let given = |token: Option<Secret>| token.filter(|token| !token.reveal().is_empty());
    let access_token = given(fields.access_token).ok_or("without an access_token")?;
    if fields.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("with a token_type other than Bearer");
    }
    let lifetime = Duration::from_secs(lifetime_s(fields.expires_in.as_ref()));
    Ok(Granted { access_token, refresh_token: given(fields.refresh_token), lifetime })
}

/// `expires_in` as a number, or as a number in a string.
fn lifetime_s(expires_in: Option<&Value>) -> u64 {
    let number = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let whole = number
        .filter(|seconds| seconds.is_finite())
        .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)));
    match whole {
        Some(Ok(life)) => life.as_secs().clamp(LIFETIME_S_MIN, LIFETIME_S_MAX),
        Some(Err(_)) => LIFETIME_S_MAX,
        None => LIFETIME_S_DEFAULT,
    }
}

fn form(fields: &[(&str, &str)]) -> Bytes {
    // The query of a URL has the encoding of a form; any URL can be used to write it.
    let Ok(mut url) = Url::parse("http://form.invalid/") else { return Bytes::new() };
    url.query_pairs_mut().extend_pairs(fields);
    Bytes::from(url.query().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_encoded_so_that_no_secret_breaks_out_of_its_field() {
        assert_eq!(form(&[("a", "x&b=y z+%é"), ("c", "")]), "a=x%26b%3Dy+z%2B%25%C3%A9&c=");
    }

    #[test]
    fn a_life_is_read_from_numbers_and_texts_and_bounded() {
        let rows = [
            (json!(3600), 3600),
            (json!("3600"), 3600),
            (json!(0), LIFETIME_S_MIN),
            (json!("0"), LIFETIME_S_MIN),
            (json!(-5), LIFETIME_S_MIN),
            (json!(59.9), 59),
            (json!(1e300), LIFETIME_S_MAX),
            (json!("soon"), LIFETIME_S_DEFAULT),
            (json!("nan"), LIFETIME_S_DEFAULT),
            (json!(null), LIFETIME_S_DEFAULT),
        ];
        for (value, expected) in rows {
            assert_eq!(lifetime_s(Some(&value)), expected, "{value}");
        }
        assert_eq!(lifetime_s(None), LIFETIME_S_DEFAULT);
    }

    #[test]
    fn an_error_is_repeated_only_if_it_is_a_code() {
        let code = |error: Value| {
            error_code(&GrantFields { error: Some(error), ..GrantFields::default() })
        };
        assert_eq!(code(json!("invalid_grant")).as_deref(), Some("invalid_grant"));
        for other in
            [json!("Token abc123 is wrong"), json!({"a": 1}), json!(1), json!("x".repeat(41))]
        {
            assert_eq!(code(other), None);
        }
    }
}
