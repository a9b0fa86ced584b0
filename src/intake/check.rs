//! Check Reward: forwarded to the provider at once, or refused; nothing of it is stored.

use std::pin::Pin;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;

use super::reply;
use crate::contract::{self, Shape};
use crate::message::{Language, Refusal};
use crate::settings::Provider;
use crate::verdict::{Outcome, Reply};

/// An outcome on its way; `None`: the lane's provider offers no check.
pub type Checking = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

/// What forwards a Check Reward; closures do.
pub trait CheckReward: Send + Sync + 'static {
    /// Sends `body` to the `check_url` of `lane`. It is dropped when the till hangs up or the provider's timeout is
    /// over.
    fn check(&self, lane: &str, body: Bytes) -> Checking;
}

impl<F, Answering> CheckReward for F
where
    F: Fn(&str, Bytes) -> Answering + Send + Sync + 'static,
    Answering: Future<Output = Option<Outcome>> + Send + 'static,
{
    fn check(&self, lane: &str, body: Bytes) -> Checking {
        Box::pin(self(lane, body))
    }
}

/// Answers a Check Reward that has been read.
pub(super) async fn answer(lane: &Provider, check: &dyn CheckReward, body: Bytes, language: Language) -> Response {
    match tokio::time::timeout(lane.timeout, check.check(&lane.name, body)).await {
        Ok(Some(Outcome::Answered(reply))) => relay(&reply, language),
        Ok(Some(Outcome::Failed(_))) | Err(_) => unavailable(&Refusal::CheckDown, language),
        Ok(None) => reply::refuse(StatusCode::NOT_FOUND, &Refusal::NoCheck, language),
    }
}

/// Only an answer in the contract's shape is the provider's word about a code. A 401 or 403 is about this gateway's
/// credential, and a till would take it for its own.
fn relay(reply: &Reply, language: Language) -> Response {
    let answer = &reply.answer;
    let is_whole_word = !reply.truncated
        && match contract::shape(&answer.body) {
            Shape::Foreign => false,
            Shape::Object => matches!(answer.status, 200..=299),
            Shape::Refusal => {
                matches!(answer.status, 200..=299 | 400..=499)
                    && !matches!(answer.status, 401 | 403 | 407 | 408 | 425 | 429)
            }
        };
    if is_whole_word {
        return reply::relay(answer);
    }
    let why = match answer.status {
        401 | 403 => Refusal::CheckCredential,
        408 | 425 | 429 | 500..=510 | 512..=599 => Refusal::CheckBusy,
        _ => Refusal::CheckDown,
    };
    unavailable(&why, language)
}

fn unavailable(why: &Refusal, language: Language) -> Response {
    reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why, language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redemption::Answer;

    fn relayed(status: u16, body: &'static str, truncated: bool) -> u16 {
        let content_type = Some("text/plain".to_owned());
        let answer = Answer { status, content_type, body: Bytes::from_static(body.as_bytes()) };
        let reply = Reply {
            answer,
            truncated,
            retry_after: None,
            date: None,
            www_authenticate: None,
            content_encoding: None,
            framed: true,
        };
        relay(&reply, Language::English).status().as_u16()
    }

    #[test]
    fn the_providers_word_is_relayed_and_nothing_else() {
        let refusal = r#"{"message":"Reward has expired"}"#;
        for (status, body, expected) in [
            (200, r#"{"data":{},"errors":[]}"#, 200),
            (200, "<html>log in</html>", 503),
            (200, "", 503),
            (302, "", 503),
            (400, refusal, 400),
            (404, refusal, 404),
            (404, "{}", 503),
            (401, refusal, 503),
            (403, refusal, 503),
            (429, refusal, 503),
            (500, refusal, 503),
            (511, refusal, 503),
        ] {
            assert_eq!(relayed(status, body, false), expected, "{status} {body}");
        }
        assert_eq!(relayed(200, "{}", true), 503, "half a word is none");
    }
}
