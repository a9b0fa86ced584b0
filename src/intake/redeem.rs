//! How one redemption is decided and what its till is told.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::{Current, reply};
use crate::clock::rfc3339;
use crate::contract;
use crate::decide::{NotOnTrust, WaitEnd};
use crate::listen::{self, Delivery};
use crate::message::{Fault, Language, Refusal};
use crate::queue::{Queue, QueueError, Waited};
use crate::redemption::{Request, Seq, State};
use crate::refused::{self, Reason};
use crate::store::{Concluded, Decision, Limit, NewRedemption, NotGiven, Taken, UsedBy};

/// What a till is told to wait where nobody else says so, seconds.
const ASK_AGAIN_S: u64 = 2;

/// One till's request while it is decided.
struct Asking {
    queue: Queue,
    current: Arc<Current>,
    language: Language,
    request: Request,
    line: Line,
}

/// What a till is told: why it gets nothing, and when to ask again.
struct No {
    status: StatusCode,
    refusal: Refusal,
    retry_after_s: Option<u64>,
}

/// Decides about a till's request and answers it.
pub(super) async fn decide(queue: Queue, current: Arc<Current>, new: NewRedemption, language: Language) -> Response {
    let request = new.request.clone();
    let line = Line { till: new.till.clone(), lane: new.lane.clone(), code: request.reward_code.masked() };
    match queue.accept(new).await {
        Ok(decision) => {
            let seq = row_of(&decision);
            let asking = Asking { queue, current, language, request, line };
            let answer = asking.answer(decision).await;
            asking.watched(answer, seq)
        }
        Err(error) => {
            line.refused(&error.to_string());
            refused::count(if matches!(error, QueueError::Busy { .. }) { Reason::Busy } else { Reason::Storage });
            reply::queue_fault(&error, language)
        }
    }
}

/// The redemption that the answer is about.
fn row_of(decision: &Decision) -> Option<Seq> {
    match decision {
        Decision::Taken(taken) | Decision::StillPending(taken) => Some(taken.seq),
        Decision::Settled(row) => Some(row.seq),
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

impl Asking {
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
            Decision::Settled(row) => {
                let repeat = self.queue.repeated(row.seq);
                return reply::repeated(reply::settled(&row, self.current.accepted_status, self.language), repeat);
            }
            Decision::RefusedBefore(row) => {
                refused::count(Reason::Used);
                return reply::settled(&row, self.current.accepted_status, self.language);
            }
            Decision::RefusedAtCheck(answer) => {
                refused::count(Reason::Used);
                return reply::relay(&answer);
            }
            Decision::KeyReused => No::now(StatusCode::UNPROCESSABLE_ENTITY, Refusal::KeyReused),
            Decision::Used(by) => self.used(&by),
            Decision::Gone(_) => No::now(StatusCode::BAD_REQUEST, Refusal::UsedLongAgo { code: self.shown_code() }),
            Decision::Limited(limit) => No::limit(limit),
            Decision::BadDate => No::bad_date(),
            Decision::Held => No::later(Refusal::Held, ASK_AGAIN_S),
            Decision::BeingAsked => No::later(Refusal::Unanswered, ASK_AGAIN_S),
        };
        self.refuse(&refusal)
    }

    /// The till's next request for the code gets this answer, should it not reach the till now.
    fn watched(self, answer: Response, seq: Option<Seq>) -> Response {
        let Some(seq) = seq else { return answer };
        let Self { queue, request, line, .. } = self;
        listen::watch(answer, move |delivery| {
            if delivery == Delivery::Undelivered {
                queue.undelivered(&line.till, &request, seq);
            }
        })
    }

    /// The answer about a row that was pending a moment ago, and where it stands.
    async fn pending(&self, taken: &Taken) -> (Response, State) {
        let within = self.current.reply_within;
        let mut end = WaitEnd::InVain;
        if taken.worth_waiting {
            match self.queue.wait(taken.seq, within).await {
                Waited::Settled(row) => {
                    return (reply::settled(&row, self.current.accepted_status, self.language), row.state);
                }
                Waited::TurnedAway { retry_after_s } => end = WaitEnd::TurnedAway { retry_after_s },
                Waited::RoadDown | Waited::TimedOut => {}
            }
        }
        if taken.trusted { self.accepted(taken) } else { self.conclude(taken, end).await }
    }

    fn accepted(&self, taken: &Taken) -> (Response, State) {
        let accepted = reply::accepted(self.current.accepted_status);
        (reply::about(accepted, &taken.id, State::Pending), State::Pending)
    }

    /// The provider has not answered in time: the writer decides what that means.
    async fn conclude(&self, taken: &Taken, end: WaitEnd) -> (Response, State) {
        let (no, state) = match self.queue.conclude(taken, end).await {
            Ok(Concluded::Trusted) => return self.accepted(taken),
            Ok(Concluded::Settled(row)) => {
                return (reply::settled(&row, self.current.accepted_status, self.language), row.state);
            }
            Ok(Concluded::TurnedAway { why: NotGiven::Unanswered, holder: Some(by) }) => {
                (self.used(&by), State::Voided)
            }
            Ok(Concluded::TurnedAway { why, .. }) => (No::because(why, taken), State::Voided),
            Ok(Concluded::Refused { why }) => {
                // What may have reached the provider is not refused for good.
                let no = No::because(why, taken);
                (No { status: StatusCode::SERVICE_UNAVAILABLE, ..no }, State::Pending)
            }
            Err(error) => {
                tracing::warn!(id = %taken.id, %error, "redemption {}: its till could not be told for certain", taken.id);
                (No::because(NotGiven::Unanswered, taken), State::Pending)
            }
        };
        (reply::about(self.refuse(&no), &taken.id, state), state)
    }

    fn used(&self, by: &UsedBy) -> No {
        No::now(StatusCode::BAD_REQUEST, used(by, self.shown_code()))
    }

    /// The till that sent the code is told it whole, as the provider does it.
    fn shown_code(&self) -> String {
        self.request.reward_code.reveal().to_owned()
    }

    fn refuse(&self, no: &No) -> Response {
        // Whole to the till that sent it, masked everywhere else.
        let why = no.refusal.text(Language::English);
        self.line.refused(&why.replace(self.request.reward_code.reveal(), &self.line.code));
        if let Some(reason) = no.refusal.reason() {
            refused::count(reason);
        }
        reply::refusal(no.status, &no.refusal, self.language, no.retry_after_s)
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

    fn bad_date() -> Self {
        let faults = vec![Fault::NotADate];
        Self::now(StatusCode::BAD_REQUEST, Refusal::Malformed { faults })
    }

    fn limit(limit: Limit) -> Self {
        let refusal = match limit {
            Limit::NotAccepting => Refusal::NotAccepting,
            Limit::Pending(waiting) => Refusal::LimitPending { waiting },
            Limit::Till(waiting) => Refusal::LimitTill { waiting },
            Limit::Outage(outage) => Refusal::LimitOutage { outage_s: outage.as_secs() },
        };
        Self::now(StatusCode::SERVICE_UNAVAILABLE, refusal)
    }

    fn because(why: NotGiven, taken: &Taken) -> Self {
        match why {
            NotGiven::Unanswered if taken.provider_only => Self::later(Refusal::Unanswered, ASK_AGAIN_S),
            NotGiven::Unanswered => Self::later(Refusal::Untrusted, ASK_AGAIN_S),
            NotGiven::Busy => Self::later(Refusal::Busy, ASK_AGAIN_S),
            NotGiven::Wait(after_s) => Self::later(Refusal::TooMany, after_s),
            NotGiven::Refused(NotOnTrust::BadDate) => Self::bad_date(),
            NotGiven::Refused(NotOnTrust::Limited(limit)) => Self::limit(limit),
        }
    }
}

/// What the log says of one request: a line at debug, since a till may ask as often as it likes.
struct Line {
    till: String,
    lane: String,
    code: String,
}

impl Line {
    fn taken(&self, taken: &Taken, state: State) {
        let (Self { till, lane, code }, id) = (self, &taken.id);
        tracing::debug!(%id, %lane, %till, %state, %code, "redemption {id} of till {till} was taken: {state}");
    }

    fn refused(&self, why: &str) {
        let Self { till, lane, code } = self;
        tracing::debug!(%lane, %till, %code, why, "a redemption of till {till} was refused: {why}");
    }
}
