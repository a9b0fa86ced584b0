//! How one redemption is decided and what its till is told.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::reply::ASK_AGAIN_S;
use super::{Current, reply};
use crate::clock::rfc3339;
use crate::contract;
use crate::decide::{Kept, NotOnTrust, WaitEnd};
use crate::listen::{self, Delivery};
use crate::message::{Fault, Language, Refusal, money};
use crate::queue::{Audience, Queue, QueueError, Waited};
use crate::redemption::{Answer, Redemption, Request, Seq, State};
use crate::refused::{self, Reason};
use crate::store::{
    Concluded, Decision, Headroom, Holder, Limit, NewRedemption, NotGiven, Taken, UsedBy,
};

/// When a till may ask again about a redemption whose provider is not set up.
const NOT_SET_UP_S: u64 = 30;

/// How a till's wait in vain was concluded.
type ConcludedAnswer = Result<(Concluded, Option<Audience>), QueueError>;

/// One till's request while it is decided.
struct PendingRedeem {
    queue: Queue,
    current: Arc<Current>,
    language: Language,
    request: Request,
    line: RequestLine,
}

/// What a till is told: why it gets nothing, and when to ask again.
struct No {
    status: StatusCode,
    refusal: Refusal,
    retry_after_s: Option<u64>,
}

/// Decides about a till's request and answers it.
pub(super) async fn decide(
    queue: Queue,
    current: Arc<Current>,
    new: NewRedemption,
    language: Language,
) -> Response {
    let line = RequestLine {
        till: new.till.clone(),
        lane: new.lane.clone(),
        code: new.request.reward_code.masked(),
    };
    let (decision, audience) = match queue.accept(new.clone()).await {
        Ok(decided) => decided,
        Err(error) => match stored(&queue, &new, &error).await {
            Some(row) => (Decision::Settled(Box::new(row)), None),
            None => return not_decided(&line, &error, language),
        },
    };
    let seq = row_of(&decision);
    let asking = PendingRedeem { queue, current, language, request: new.request, line };
    let answer = asking.answer(decision).await;
    asking.watched(with_audience(answer, audience), seq)
}

/// The answer to a repeat of what was asked while a provider still served its business.
pub(super) async fn repeat(
    queue: &Queue,
    current: &Current,
    asked: NewRedemption,
    language: Language,
) -> Option<Response> {
    let row = queue.stored(asked).await?;
    let repeat = queue.repeated(row.seq);
    Some(reply::repeated(reply::settled(&row, current.accepted_status, language), repeat))
}

/// Where the store takes nothing new, what the till asked for before is known all the same.
async fn stored(queue: &Queue, new: &NewRedemption, error: &QueueError) -> Option<Redemption> {
    match error {
        QueueError::Refusing(_) => queue.stored(new.clone()).await,
        QueueError::Busy { .. } | QueueError::Stopping => None,
    }
}

fn not_decided(line: &RequestLine, error: &QueueError, language: Language) -> Response {
    line.refused(&error.to_string());
    let is_busy = matches!(error, QueueError::Busy { .. });
    refused::count(if is_busy { Reason::Busy } else { Reason::Storage });
    reply::queue_fault(error, language)
}

/// `answer` with the telling that ends with it.
fn with_audience(mut answer: Response, audience: Option<Audience>) -> Response {
    if let Some(audience) = audience {
        answer.extensions_mut().insert(audience);
    }
    answer
}

/// The redemption that the answer is about.
fn row_of(decision: &Decision) -> Option<Seq> {
    match decision {
        Decision::Taken(taken) | Decision::StillPending(taken) => Some(taken.seq),
        Decision::Settled(row) | Decision::Owed(row) => Some(row.seq),
        Decision::RefusedBefore(_)
        | Decision::RefusedAtCheck(_)
        | Decision::KeyReused
        | Decision::Used(_)
        | Decision::BeingAsked
        | Decision::Gone(_)
        | Decision::Limited(_)
        | Decision::BadDate
        | Decision::Held => None,
    }
}

impl PendingRedeem {
    async fn answer(&self, decision: Decision) -> Response {
        let refusal = match decision {
            Decision::Taken(taken) => {
                let (answer, state) = self.pending(&taken).await;
                self.line.taken(&taken, state);
                return answer;
            }
            Decision::StillPending(taken) => {
                let repeat = self.queue.repeated(taken.seq);
                return reply::repeated(self.pending(&taken).await.0, repeat);
            }
            // What is owed to another till's customer was not asked for here before.
            Decision::Owed(row) if row.till != self.line.till => return self.settled(&row),
            Decision::Settled(row) | Decision::Owed(row) => {
                let repeat = self.queue.repeated(row.seq);
                return reply::repeated(self.settled(&row), repeat);
            }
            Decision::RefusedBefore(row) => return self.refused_before(&row),
            Decision::RefusedAtCheck(answer) => return refused_at_check(&answer),
            Decision::KeyReused => No::now(StatusCode::UNPROCESSABLE_ENTITY, Refusal::KeyReused),
            Decision::Used(by) => self.used(&by),
            Decision::Gone(kept) => self.gone(kept),
            Decision::Limited(limit) => self.limited(&limit),
            Decision::BadDate => No::bad_date(),
            Decision::Held => No::now(StatusCode::SERVICE_UNAVAILABLE, Refusal::Held),
            Decision::BeingAsked => No::later(Refusal::BeingAsked, ASK_AGAIN_S),
        };
        self.refuse(&refusal)
    }

    /// The till's next request for the code gets this answer, should it not reach the till now.
    fn watched(self, mut answer: Response, seq: Option<Seq>) -> Response {
        let Some(seq) = seq else { return answer };
        let Self { queue, request, line, .. } = self;
        let audience = answer.extensions_mut().remove::<Audience>();
        listen::watch(answer, move |delivery| {
            let is_heard = delivery == Delivery::Delivered;
            if !is_heard {
                queue.undelivered((&line.till, &line.lane), &request, seq);
            }
            if let Some(audience) = audience {
                queue.delivered(audience, is_heard);
            }
        })
    }

    /// The provider's refusal of an earlier redemption, in its words.
    fn refused_before(&self, row: &Redemption) -> Response {
        refused::count(Reason::Used);
        let answer = self.settled(row);
        // What another till asked for is nothing that this one can look up.
        if row.till == self.line.till { answer } else { reply::of_nobody(answer) }
    }

    fn settled(&self, row: &Redemption) -> Response {
        reply::settled(row, self.current.accepted_status, self.language)
    }

    /// The answer about a row that was pending a moment ago, and where it stands.
    async fn pending(&self, taken: &Taken) -> (Response, State) {
        let within = self.current.reply_within;
        let mut end = WaitEnd::InVain;
        if taken.worth_waiting {
            match self.queue.wait(taken.seq, within).await {
                Waited::Settled(row, audience) => {
                    return (with_audience(self.settled(&row), audience), row.state);
                }
                Waited::TurnedAway { retry_after_s } => end = WaitEnd::TurnedAway { retry_after_s },
                Waited::Unreachable | Waited::TimedOut => {}
            }
        }
        if taken.trusted {
            self.accepted(taken, taken.headroom)
        } else {
            self.conclude(taken, end).await
        }
    }

    fn accepted(&self, taken: &Taken, headroom: Option<Headroom>) -> (Response, State) {
        let accepted = reply::accepted(self.current.accepted_status);
        let accepted = reply::about(accepted, &taken.id, State::Pending);
        (reply::with_headroom(accepted, headroom), State::Pending)
    }

    /// The provider has not answered in time: the writer decides what that means.
    async fn conclude(&self, taken: &Taken, end: WaitEnd) -> (Response, State) {
        let concluded = self.queue.conclude(taken, end).await;
        if self.has_no_lane(taken, &concluded).await {
            let no = No::later(Refusal::NotSetUp, NOT_SET_UP_S);
            let is_voided = matches!(concluded, Ok((Concluded::TurnedAway { .. }, _)));
            let state = if is_voided { State::Voided } else { State::Pending };
            return (reply::about(self.refuse(&no), &taken.id, state), state);
        }
        let (no, state) = match concluded {
            Ok((Concluded::Trusted { headroom }, _)) => return self.accepted(taken, headroom),
            Ok((Concluded::Settled { row, .. }, audience)) => {
                return (with_audience(self.settled(&row), audience), row.state);
            }
            Ok((Concluded::TurnedAway { why: NotGiven::Unanswered, holder: Some(by) }, _)) => {
                return (self.held(by, taken), State::Voided);
            }
            Ok((Concluded::TurnedAway { why, .. }, _)) => (self.because(why, taken), State::Voided),
            Ok((Concluded::Refused { why }, _)) => {
                (self.because(why, taken).for_now(), State::Pending)
            }
            Err(error) => {
                tracing::warn!(id = %taken.id, %error, "redemption {}: its till could not be told \
                    for certain", taken.id);
                (self.because(NotGiven::Unanswered, taken), State::Pending)
            }
        };
        (reply::about(self.refuse(&no), &taken.id, state), state)
    }

    /// No byte of it has left, and its code is held: what a till is told that asks now that nobody
    /// can be asked.
    fn held(&self, by: Holder, taken: &Taken) -> Response {
        let no = match by {
            Holder::Refused(row) => return self.refused_before(&row),
            Holder::RefusedAtCheck(answer) => return refused_at_check(&answer),
            Holder::Used(by) => self.used(&by),
            Holder::Gone(kept) => self.gone(kept),
        };
        reply::about(self.refuse(&no), &taken.id, State::Voided)
    }

    /// Nobody can be asked about it: the settings do not name its lane any more. It may be another
    /// than the one that serves its business now.
    async fn has_no_lane(&self, taken: &Taken, concluded: &ConcludedAnswer) -> bool {
        let Ok((Concluded::TurnedAway { why, .. } | Concluded::Refused { why }, _)) = concluded
        else {
            return false;
        };
        if *why != NotGiven::Busy {
            return false;
        }
        let row = self.queue.receipt(&taken.id, &self.line.till).await;
        row.is_ok_and(|row| row.is_some_and(|row| self.queue.lane(&row.lane).is_none()))
    }

    fn used(&self, by: &UsedBy) -> No {
        No::now(StatusCode::BAD_REQUEST, used(by, self.shown_code()))
    }

    fn gone(&self, kept: Kept) -> No {
        No::now(StatusCode::BAD_REQUEST, gone(kept, self.shown_code()))
    }

    fn limited(&self, limit: &Limit) -> No {
        let is_about_the_code = matches!(limit.innermost(), Limit::Form | Limit::Refused(_));
        let status = if is_about_the_code {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        No::now(status, self.limit(limit))
    }

    /// A limit in the words of a refusal.
    fn limit(&self, limit: &Limit) -> Refusal {
        match limit {
            Limit::NotAccepting => Refusal::NotAccepting,
            Limit::Pending(waiting) => Refusal::LimitPending { waiting: *waiting },
            Limit::Till(waiting) => Refusal::LimitTill { waiting: *waiting },
            Limit::Outage(outage) => Refusal::LimitOutage { outage_s: outage.as_secs() },
            Limit::Off => Refusal::TrustOff,
            Limit::Slowed(refused) => Refusal::TillSlowed { refused: *refused },
            Limit::Business => Refusal::UnknownBusiness,
            Limit::Refused(said) => Refusal::Provider { said: said.clone() },
            Limit::Form => Refusal::BadCode { code: self.shown_code() },
            Limit::Value(amount) => Refusal::LimitValue { amount: money(*amount) },
            Limit::Exposure(amount) => Refusal::LimitExposure { amount: money(*amount) },
            Limit::Rate(rewards, within_s) => {
                Refusal::LimitRate { rewards: *rewards, within_s: *within_s }
            }
            Limit::TillRate(rewards, within_s) => {
                Refusal::LimitTillRate { rewards: *rewards, within_s: *within_s }
            }
            Limit::Reusable(hourly) => Refusal::LimitReusable { hourly: *hourly },
            Limit::Hours => Refusal::OutOfHours,
            Limit::Clock => Refusal::HoursNeedClock,
            Limit::Rule(rule, limit) if **limit == Limit::Clock => {
                Refusal::RuleNeedsClock { rule: rule.to_string() }
            }
            Limit::Rule(rule, limit) if **limit == Limit::NotAccepting => {
                Refusal::RuleNotAccepting { rule: rule.to_string() }
            }
            // A code that is none is told as the provider would.
            Limit::Rule(_, limit) if **limit == Limit::Form => self.limit(limit),
            Limit::Rule(rule, limit) => {
                Refusal::LimitRule { rule: rule.to_string(), limit: Box::new(self.limit(limit)) }
            }
        }
    }

    fn because(&self, why: NotGiven, taken: &Taken) -> No {
        match why {
            NotGiven::Unanswered if taken.provider_only => {
                No::later(Refusal::Unanswered, ASK_AGAIN_S)
            }
            NotGiven::Unanswered => No::later(Refusal::Untrusted, ASK_AGAIN_S),
            NotGiven::Busy => No::later(Refusal::Busy, ASK_AGAIN_S),
            NotGiven::Wait(after_s) => No::later(Refusal::TooMany, after_s),
            NotGiven::Refused(NotOnTrust::BadDate) => No::bad_date(),
            NotGiven::Refused(NotOnTrust::Limited(limit)) => self.limited(&limit),
        }
    }

    /// The till that sent the code is told it whole, as the provider does it.
    fn shown_code(&self) -> String {
        self.request.reward_code.reveal().to_owned()
    }

    fn refuse(&self, no: &No) -> Response {
        // The code is whole to the till that sent it and masked everywhere else. What the provider
        // said, which may name the customer, is for the till alone.
        let is_the_providers = matches!(no.refusal, Refusal::Provider { .. });
        let why = if is_the_providers { &Refusal::ProviderRefused } else { &no.refusal };
        self.line.refused(&self.request.reward_code.masked_in(&why.text(Language::English)));
        if let Some(reason) = no.refusal.reason() {
            refused::count(reason);
        }
        reply::refusal(no.status, &no.refusal, self.language, no.retry_after_s)
    }
}

/// The provider's refusal of a check, in its words.
fn refused_at_check(answer: &Answer) -> Response {
    refused::count(Reason::Used);
    reply::relay(answer)
}

/// What a till is told of a code whose redemption is not there any more.
pub(super) fn gone(kept: Kept, code: String) -> Refusal {
    match kept {
        Kept::Used => Refusal::UsedLongAgo { code },
        Kept::Refused => Refusal::RefusedLongAgo { code },
    }
}

/// What a till is told of the redemption that holds its code.
pub(super) fn used(by: &UsedBy, code: String) -> Refusal {
    // Where that till's own time is none, ours stands in for it.
    let is_time = contract::date_is_possible(&by.date);
    let when = if is_time { by.date.clone() } else { rfc3339(by.accepted_at_ms) };
    Refusal::Used { code, when, till: by.till.clone() }
}

impl No {
    fn now(status: StatusCode, refusal: Refusal) -> Self {
        Self { status, refusal, retry_after_s: None }
    }

    fn later(refusal: Refusal, after_s: u64) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, refusal, retry_after_s: Some(after_s) }
    }

    /// What may have reached the provider is not refused for good, nor in words that say so.
    fn for_now(self) -> Self {
        let is_for_now = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if is_for_now { self } else { Self::later(Refusal::Untrusted, ASK_AGAIN_S) }
    }

    fn bad_date() -> Self {
        let faults = vec![Fault::NotADate];
        Self::now(StatusCode::BAD_REQUEST, Refusal::Malformed { faults })
    }
}

/// What the log says of one request: a line at debug, since a till may ask as often as it likes.
struct RequestLine {
    till: String,
    lane: String,
    code: String,
}

impl RequestLine {
    fn taken(&self, taken: &Taken, state: State) {
        let (Self { till, lane, code }, id) = (self, &taken.id);
        tracing::debug!(%id, %lane, %till, %state, %code, "redemption {id} of till {till} was \
            taken: {state}");
    }

    fn refused(&self, why: &str) {
        let Self { till, lane, code } = self;
        tracing::debug!(%lane, %till, %code, why, "a redemption of till {till} was refused: {why}");
    }
}
