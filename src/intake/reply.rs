//! What leaves to a till: status, headers and a body in the contract's shape, or the provider's own.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use crate::contract;
use crate::queue::QueueError;
use crate::redemption::{Answer, Id, Redemption, State};
use crate::store::relayed;

const REDEEMD_ID: HeaderName = HeaderName::from_static("redeemd-id");
const REDEEMD_STATE: HeaderName = HeaderName::from_static("redeemd-state");

/// A body of ours.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A refusal of ours in the contract's shape.
pub(super) fn refuse(status: StatusCode, message: &str, errors: &[String]) -> Response {
    json(status, contract::refusal(message, errors))
}

/// A refusal that says when to come again.
pub(super) fn busy(message: &str, retry_after_s: u64) -> Response {
    let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, message, &[]);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    answer
}

/// The queue did not do what it was asked.
pub(super) fn queue_fault(error: &QueueError) -> Response {
    match error {
        QueueError::Busy { retry_after_s } => {
            busy("the gateway is busy and nothing was stored; try again", *retry_after_s)
        }
        QueueError::Refusing(_) | QueueError::Stopping => {
            let message = "the gateway takes nothing now and nothing was stored; do not hand out the reward";
            refuse(StatusCode::SERVICE_UNAVAILABLE, message, &[error.to_string()])
        }
    }
}

/// `answer` with the headers that tell a till which redemption it is about, and where that stands.
pub(super) fn about(mut answer: Response, id: &Id, state: State) -> Response {
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        answer.headers_mut().insert(REDEEMD_ID, id);
    }
    answer.headers_mut().insert(REDEEMD_STATE, HeaderValue::from_static(state.as_str()));
    answer
}

/// The provider's own answer: its status, its body and its content type, nothing else.
pub(super) fn relay(answer: &Answer) -> Response {
    let mut relayed = Response::new(Body::from(answer.body.clone()));
    *relayed.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let content_type = answer.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(content_type) = content_type {
        relayed.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    relayed
}

/// What is known of a redemption that is no longer, or not any more, only a request: its till's repeat gets the same.
pub(super) fn settled(row: &Redemption, accepted_status: StatusCode) -> Response {
    let accepted = || json(accepted_status, contract::accepted());
    let answer = match row.state {
        State::Voided => refuse(StatusCode::CONFLICT, "this redemption was taken back", &[]),
        // The provider's "already used" is about our own earlier attempt: the till must never see it as a refusal.
        State::Confirmed if row.duplicate_of_ours => accepted(),
        State::Declined if row.answer.is_none() => {
            refuse(StatusCode::BAD_REQUEST, "the provider refused this redemption", &[])
        }
        State::Pending | State::Parked if row.refused_at_till && row.answer.is_none() => unanswered(),
        // Parked without an answer: it was accepted, and a person decides what becomes of it.
        State::Pending => accepted(),
        State::Parked if row.answer.is_none() => accepted(),
        State::Confirmed | State::Declined | State::Parked => relay(&relayed(row)),
    };
    about(answer, &row.id, row.state)
}

/// The provider alone could say, and it has not.
pub(super) fn unanswered() -> Response {
    let message = "the provider has not answered about a code that was redeemed before; do not hand out the reward; \
                   ask again";
    refuse(StatusCode::SERVICE_UNAVAILABLE, message, &[])
}
