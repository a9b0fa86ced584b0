//! Check Reward: passed on while the provider can be asked, from memory while it cannot.

use std::pin::Pin;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use tokio::time::Instant;

use super::redeem::{gone, used};
use super::{Current, Intake, reply};
use crate::checked::{self, Answerer};
use crate::contract::{self, Check, Shape};
use crate::limits::LaneNow;
use crate::link::Cause;
use crate::message::{Language, Refusal};
use crate::queue::QueueError;
use crate::redemption::{Answer, RewardCode};
use crate::settings::UnknownCheck;
use crate::store::{CheckAnswer, CheckAnswered, CheckAsked, CheckHeld, CheckKnown, CheckSaid};
use crate::verdict::{self, CheckWord, Evidence, Outcome, Phase, Reply, Rules, Verdict};

/// What a till is told to wait while the line is down, seconds.
const DOWN_AGAIN_S: u64 = 10;
/// The same where the provider may answer the next one.
const AGAIN_S: u64 = 2;

/// An outcome on its way; `None`: the lane's provider offers no check.
pub type Checking = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

/// What forwards a Check Reward; closures do.
pub trait CheckReward: Send + Sync + 'static {
    /// Sends `body` to the `check_url` of `lane`. It is dropped when the provider's timeout is
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

/// The provider that is asked.
pub(super) struct CheckLane {
    pub(super) name: String,
    /// The whole of one attempt.
    pub(super) timeout: Duration,
}

/// One till's check while it is answered.
pub(super) struct PendingCheck {
    pub(super) intake: Arc<Intake>,
    pub(super) current: Arc<Current>,
    pub(super) till: Arc<str>,
    pub(super) lane: CheckLane,
    pub(super) check: Check,
    pub(super) language: Language,
}

/// Why there is no word of the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// The line is down.
    Down,
    /// It was asked, and what came is no answer of its own, or nothing.
    Unanswered,
    /// An operator holds the lane.
    Held,
    /// It does not take this store's credential.
    Credential,
    /// It is busy.
    Busy,
    /// Checks wait so many seconds: it says so, or all places are taken.
    Wait(u64),
    /// It offers no checks.
    NoCheck,
}

impl PendingCheck {
    pub(super) async fn answer(self) -> Response {
        let known = self.known(false).await;
        let (lane, at_ms) = match known {
            Ok(CheckKnown { held: Some(held), .. }) => return self.held(held),
            Ok(CheckKnown { lane, at_ms, .. }) => (lane, Some(at_ms)),
            // What the store cannot say the provider may.
            Err(_) => (self.lane_now(), None),
        };
        match self.ask(&lane, at_ms).await {
            Ok(answer) => {
                self.told(Answerer::Passed);
                reply::relay(&answer)
            }
            Err(silence) if lane.ask => self.without_the_provider(silence, self.known(true).await),
            Err(silence) => self.without_the_provider(silence, known),
        }
    }

    /// What the store knows; `in_vain`: the provider was asked.
    async fn known(&self, in_vain: bool) -> Result<CheckKnown, QueueError> {
        self.intake.queue.look_up_check(self.asked(in_vain)).await
    }

    fn asked(&self, in_vain: bool) -> CheckAsked {
        let Check { reward_code, business_refrence, .. } = &self.check;
        CheckAsked {
            till: self.till.to_string(),
            lane: self.lane.name.clone(),
            business: business_refrence.clone(),
            code: reward_code.clone(),
            rules: self.intake.queue.code_rules(&self.lane.name, reward_code),
            in_vain,
        }
    }

    fn lane_now(&self) -> LaneNow {
        let lane = self.intake.queue.lane(&self.lane.name);
        lane.map_or_else(LaneNow::default, |lane| lane.now(Instant::now()))
    }

    /// The provider's word, if it comes within the till's time. One that comes later is remembered
    /// all the same. `at_ms`: the gateway's elapsed time now.
    async fn ask(&self, lane: &LaneNow, at_ms: Option<i64>) -> Result<Answer, Silence> {
        let places = self.intake.places.of(&self.lane.name);
        match lane.retry_after_s.or_else(|| places.waits_s()) {
            _ if !lane.ask && lane.cause == Some(Cause::Operator) => return Err(Silence::Held),
            _ if !lane.ask => return Err(Silence::Down),
            Some(seconds) => return Err(Silence::Wait(seconds)),
            None => {}
        }
        let end = Instant::now() + self.current.reply_within;
        let place = places.take(&self.till, self.current.tills.are_configured());
        let place = tokio::time::timeout_at(end, place)
            .await
            .ok()
            .flatten()
            .ok_or(Silence::Wait(AGAIN_S))?;
        let word = self.intake.checking.run(place, self.send(at_ms));
        tokio::time::timeout_at(end, word).await.unwrap_or(Err(Silence::Unanswered))
    }

    fn send(
        &self,
        asked_ms: Option<i64>,
    ) -> impl Future<Output = Result<Answer, Silence>> + Send + 'static {
        let intake = Arc::clone(&self.intake);
        let (lane, timeout, asked) = (self.lane.name.clone(), self.lane.timeout, self.asked(false));
        let outcome = intake.check.check(&lane, self.check.body.clone());
        async move {
            match tokio::time::timeout(timeout, outcome).await {
                Ok(Some(outcome)) => intake.heard(outcome, (asked, asked_ms)),
                Ok(None) => Err(Silence::NoCheck),
                Err(_elapsed) => Err(Silence::Unanswered),
            }
        }
    }

    /// This store knows better than the provider, or the provider cannot be asked.
    fn held(&self, held: CheckHeld) -> Response {
        self.told(Answerer::Held);
        let code = || self.check.reward_code.reveal().to_owned();
        let no =
            |status, why: &Refusal, after_s| reply::refusal(status, why, self.language, after_s);
        match held {
            CheckHeld::Used(by) => no(StatusCode::BAD_REQUEST, &used(&by, code()), None),
            CheckHeld::Gone(kept) => no(StatusCode::BAD_REQUEST, &gone(kept, code()), None),
            CheckHeld::Refused(answer) => reply::relay(&answer),
            CheckHeld::BeingAsked => {
                no(StatusCode::SERVICE_UNAVAILABLE, &Refusal::BeingAsked, Some(AGAIN_S))
            }
            CheckHeld::Owed => reply::json(StatusCode::OK, contract::unknown_check()),
        }
    }

    fn without_the_provider(
        &self,
        silence: Silence,
        known: Result<CheckKnown, QueueError>,
    ) -> Response {
        match known {
            Ok(CheckKnown { held: Some(held), .. }) => self.held(held),
            Ok(CheckKnown { remembered: Some(CheckAnswer { answer, age_s, .. }), .. }) => {
                self.told(Answerer::Remembered);
                reply::remembered(reply::relay(&answer), age_s)
            }
            Ok(CheckKnown { .. }) => self.unknown(silence),
            Err(error) => {
                self.told(Answerer::Unknown);
                reply::queue_fault(&error, self.language)
            }
        }
    }

    /// Nothing is known. A provider that is only busy can be asked again soon: nothing is said in
    /// its place.
    fn unknown(&self, silence: Silence) -> Response {
        self.told(Answerer::Unknown);
        let is_passing = matches!(silence, Silence::Busy | Silence::Wait(_));
        if self.current.unknown_check == UnknownCheck::Answer && !is_passing {
            return reply::json(StatusCode::OK, contract::unknown_check());
        }
        let (status, why, after_s) = match silence {
            Silence::Down => {
                (StatusCode::SERVICE_UNAVAILABLE, Refusal::CheckDown, Some(DOWN_AGAIN_S))
            }
            Silence::Unanswered => {
                (StatusCode::SERVICE_UNAVAILABLE, Refusal::CheckUnanswered, Some(AGAIN_S))
            }
            Silence::Held => (StatusCode::SERVICE_UNAVAILABLE, Refusal::Held, None),
            Silence::Credential => {
                (StatusCode::SERVICE_UNAVAILABLE, Refusal::CheckCredential, Some(DOWN_AGAIN_S))
            }
            Silence::Busy => (StatusCode::SERVICE_UNAVAILABLE, Refusal::CheckBusy, Some(AGAIN_S)),
            Silence::Wait(seconds) => {
                (StatusCode::SERVICE_UNAVAILABLE, Refusal::CheckBusy, Some(seconds))
            }
            Silence::NoCheck => (StatusCode::NOT_FOUND, Refusal::NoCheck, None),
        };
        reply::refusal(status, &why, self.language, after_s)
    }

    fn told(&self, by: Answerer) {
        checked::count(by);
        let (lane, till, code) = (&self.lane.name, &self.till, self.check.reward_code.masked());
        tracing::debug!(%lane, %till, %code, "a check of till {till} was answered: \
            {}", by.as_str());
    }
}

impl Intake {
    /// The provider has answered a check: what it says is remembered, and passed on if it is its
    /// word.
    fn heard(
        &self,
        outcome: Outcome,
        (asked, asked_ms): (CheckAsked, Option<i64>),
    ) -> Result<Answer, Silence> {
        let rules = self
            .queue
            .lane(&asked.lane)
            .map_or_else(Rules::default, |lane| lane.settings().rules());
        let verdict = verdict::judge_about(Some(&asked.code), &outcome, &rules);
        let wait = self.waits(&verdict, &asked.lane);
        let reply = match outcome {
            Outcome::Answered(reply) => reply,
            Outcome::Failed(failure) => return Err(silence_of(failure.phase)),
        };
        let kept = kept(&verdict, &asked.code, &reply, &rules);
        let answer = word(reply).map_err(|silence| wait.unwrap_or(silence))?;
        if let Some((said, kept)) = kept.filter(|(said, _)| is_of_the_code(*said, &asked, &answer))
        {
            self.queue.remember_check(CheckAnswered { asked, answer: kept, said, asked_ms });
        }
        Ok(answer)
    }

    /// Checks of the lane wait for as long as the provider asks, this one's till too.
    fn waits(&self, verdict: &Verdict, lane: &str) -> Option<Silence> {
        let Verdict::Wait { at_least, .. } = verdict else { return None };
        self.places.of(lane).wait(at_least.unwrap_or_default());
        at_least.map(|wait| Silence::Wait(wait.as_secs()))
    }
}

/// What is remembered of an answer, and as what; `None`: nothing.
fn kept(
    verdict: &Verdict,
    code: &RewardCode,
    reply: &Reply,
    rules: &Rules,
) -> Option<(CheckSaid, Answer)> {
    let answer = || reply.answer.clone();
    let Some(word) = verdict::check_word(verdict, code, reply, rules) else {
        return is_strong(verdict).then(|| (CheckSaid::Refused, answer()));
    };
    Some(match word {
        CheckWord::Refused => {
            (CheckSaid::Refused, as_a_refusal(verdict::said_in_words(&reply.answer)))
        }
        CheckWord::Dead => (CheckSaid::Refused, as_a_refusal(None)),
        CheckWord::Good => (CheckSaid::Good, answer()),
        CheckWord::Bare => (CheckSaid::Bare, answer()),
        CheckWord::Nothing => (CheckSaid::Neither, answer()),
    })
}

/// A refusal that is remembered; none that may be an edge's own.
fn is_strong(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Declined { evidence: Evidence::Strong, .. })
}

/// A success that refuses the code, as it is told while nobody can be asked: a till that reads the
/// status alone must not take it for a yes.
fn as_a_refusal(said: Option<String>) -> Answer {
    let said = said.unwrap_or_else(|| Refusal::ProviderRefused.text(Language::English));
    let body = contract::refusal(&said, slice::from_ref(&said));
    Answer { status: 400, content_type: Some("application/json".to_owned()), body }
}

/// A refusal of the check's form says nothing of its code.
fn is_of_the_code(said: CheckSaid, asked: &CheckAsked, answer: &Answer) -> bool {
    said != CheckSaid::Refused || !contract::is_about_the_form(&answer.body, &asked.code, false)
}

/// Only an answer in the contract's shape is the provider's word about a code, and none that a
/// portal or a firewall wrote. A 401 or 403 is about this gateway's credential, and a till would
/// take it for its own.
fn word(reply: Reply) -> Result<Answer, Silence> {
    if verdict::is_of_a_portal(&reply) {
        return Err(Silence::Unanswered);
    }
    let answer = reply.answer;
    let is_whole_word = !reply.truncated
        && match contract::shape(&answer.body) {
            Shape::Foreign => false,
            Shape::Object => matches!(answer.status, 200..=299),
            Shape::Refusal => {
                matches!(answer.status, 200..=299 | 400..=499)
                    && !matches!(answer.status, 401 | 403 | 407 | 408 | 425 | 429)
            }
        };
    match answer.status {
        _ if is_whole_word => Ok(answer),
        401 | 403 => Err(Silence::Credential),
        408 | 425 | 429 | 500..=510 | 512..=599 => Err(Silence::Busy),
        _ => Err(Silence::Unanswered),
    }
}

/// Why an attempt that ended at this phase brought no word.
fn silence_of(phase: Phase) -> Silence {
    match phase {
        Phase::Write | Phase::Answer => Silence::Unanswered,
        Phase::Credential => Silence::Credential,
        Phase::Resolve | Phase::Connect | Phase::Tls | Phase::Clock | Phase::Proxy => Silence::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(status: u16, body: &'static str, truncated: bool) -> Result<u16, Silence> {
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
        word(reply).map(|answer| answer.status)
    }

    #[test]
    fn the_providers_word_is_relayed_and_nothing_else() {
        let refusal = r#"{"message":"Reward has expired"}"#;
        for (status, body, expected) in [
            (200, r#"{"data":{},"errors":[]}"#, Ok(200)),
            (200, "<html>log in</html>", Err(Silence::Unanswered)),
            (200, "", Err(Silence::Unanswered)),
            (302, "", Err(Silence::Unanswered)),
            (
                200,
                r#"{"captive":true,"user-portal-url":"https://p.example"}"#,
                Err(Silence::Unanswered),
            ),
            (200, r#"{"support_id":"123","message":"blocked"}"#, Err(Silence::Unanswered)),
            (400, r#"{"Incident-Id":"7","message":"blocked"}"#, Err(Silence::Unanswered)),
            (400, refusal, Ok(400)),
            (404, refusal, Ok(404)),
            (404, "{}", Err(Silence::Unanswered)),
            (401, refusal, Err(Silence::Credential)),
            (403, refusal, Err(Silence::Credential)),
            (429, refusal, Err(Silence::Busy)),
            (500, refusal, Err(Silence::Busy)),
            (511, refusal, Err(Silence::Unanswered)),
        ] {
            assert_eq!(heard(status, body, false), expected, "{status} {body}");
        }
        assert_eq!(heard(200, "{}", true), Err(Silence::Unanswered), "half a word is none");
    }
}
