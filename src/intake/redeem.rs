//! How one redemption is decided and what its till is told.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::{Current, reply};
use crate::contract;
use crate::queue::{Queue, Waited};
use crate::redemption::State;
use crate::store::{Decision, Limit, NewRedemption, Refused, Taken, UsedBy};

/// Decides about a till's request and answers it.
pub(super) async fn decide(queue: Queue, current: Arc<Current>, new: NewRedemption) -> Response {
    let line = Line { till: new.till.clone(), lane: new.lane.clone(), code: new.request.reward_code.masked() };
    let decision = match queue.accept(new).await {
        Ok(decision) => decision,
        Err(error) => {
            line.refused(&error.to_string());
            return reply::queue_fault(&error);
        }
    };
    match decision {
        Decision::Taken(taken) => {
            let (answer, state) = pending(&queue, &current, &taken).await;
            line.taken(&taken, state);
            answer
        }
        Decision::StillPending(taken) => pending(&queue, &current, &taken).await.0,
        Decision::Settled(row) => reply::settled(&row, current.accepted_status),
        Decision::KeyReused => {
            line.refused("its key was used for another request");
            let message = "this Idempotency-Key was used for another request; nothing was stored";
            reply::refuse(StatusCode::UNPROCESSABLE_ENTITY, message, &[])
        }
        Decision::Used(by) => {
            line.refused("its code has been used");
            used(&by)
        }
        Decision::Limited(limit) => {
            let message = limit_message(limit);
            line.refused(&message);
            reply::refuse(StatusCode::SERVICE_UNAVAILABLE, &message, &[])
        }
    }
}

/// The answer about a row that was pending a moment ago, and where it stands.
async fn pending(queue: &Queue, current: &Current, taken: &Taken) -> (Response, State) {
    if taken.worth_waiting
        && !current.reply_within.is_zero()
        && let Waited::Settled(row) = queue.wait(taken.seq, current.reply_within).await
    {
        return (reply::settled(&row, current.accepted_status), row.state);
    }
    if taken.refused_at_till {
        return (reply::about(reply::unanswered(), &taken.id, State::Pending), State::Pending);
    }
    if taken.provider_only {
        return unanswered(queue, current, taken).await;
    }
    let accepted = reply::json(current.accepted_status, contract::accepted());
    (reply::about(accepted, &taken.id, State::Pending), State::Pending)
}

/// The provider alone could say whether this code may be used again, and it has not in time.
async fn unanswered(queue: &Queue, current: &Current, taken: &Taken) -> (Response, State) {
    match queue.refuse_at_till(taken).await {
        Ok(Refused::Settled(row)) => (reply::settled(&row, current.accepted_status), row.state),
        Ok(Refused::Voided(by)) => (reply::about(used(&by), &taken.id, State::Voided), State::Voided),
        Ok(Refused::MayHaveArrived) => (reply::about(reply::unanswered(), &taken.id, State::Pending), State::Pending),
        Err(error) => {
            tracing::warn!(id = %taken.id, %error, "a redemption that its till was refused could not be marked so");
            (reply::about(reply::unanswered(), &taken.id, State::Pending), State::Pending)
        }
    }
}

fn used(by: &UsedBy) -> Response {
    let message = contract::used(&by.reward_code, &by.date, by.accepted_at_ms, &by.till);
    reply::refuse(StatusCode::BAD_REQUEST, &message, std::slice::from_ref(&message))
}

fn limit_message(limit: Limit) -> String {
    match limit {
        Limit::NotAccepting => contract::limit_not_accepting(),
        Limit::Pending(waiting) => contract::limit_pending(waiting),
        Limit::Outage(outage) => contract::limit_outage(outage),
    }
}

/// What the log says of one request: a line at info for each redemption, and for a refusal one at debug, since a
/// till may ask as often as it likes.
struct Line {
    till: String,
    lane: String,
    code: String,
}

impl Line {
    fn taken(&self, taken: &Taken, state: State) {
        let Self { till, lane, code } = self;
        tracing::debug!(id = %taken.id, %lane, %till, %state, %code, "a redemption was taken");
    }

    fn refused(&self, why: &str) {
        let Self { till, lane, code } = self;
        tracing::debug!(%lane, %till, %code, why, "a redemption was refused");
    }
}
