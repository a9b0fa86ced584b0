//! A till's own redemptions: what became of one, and taking one back.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use super::{ask, reply};
use crate::clock::rfc3339;
use crate::message::{Language, Refusal};
use crate::queue::Queue;
use crate::redemption::{Id, Redemption, State};
use crate::store::VoidOutcome;

#[derive(Serialize)]
struct Receipt<'a> {
    id: &'a str,
    state: State,
    /// The provider took it after its till was told no, and the next POST of its code is given it.
    owed: bool,
    accepted_at: String,
    settled_at: Option<String>,
    reward_code: String,
}

/// What became of it.
pub(super) async fn show(queue: &Queue, id: &Id, till: &str, language: Language) -> Response {
    match queue.receipt(id, till).await {
        Ok(Some(row)) => receipt(&row, language),
        Ok(None) => ask::unknown_redemption(language),
        Err(error) => reply::queue_fault(&error, language),
    }
}

/// Takes it back, if no attempt can have reached the provider.
pub(super) async fn void(queue: Queue, id: Id, till: Arc<str>, language: Language) -> Response {
    match queue.void_by_till(&id, &till).await {
        Ok(VoidOutcome::Voided(row)) => {
            tracing::debug!(%id, till = %till, "a till took a redemption back");
            receipt(&row, language)
        }
        Ok(VoidOutcome::TooLate(row)) => reply::about(
            reply::refuse(StatusCode::CONFLICT, &too_late(row.state), language),
            &row.id,
            row.state,
        ),
        Ok(VoidOutcome::Unknown) => ask::unknown_redemption(language),
        Err(error) => reply::queue_fault(&error, language),
    }
}

fn receipt(row: &Redemption, language: Language) -> Response {
    let receipt = Receipt {
        id: row.id.as_str(),
        state: row.state,
        owed: row.owed,
        accepted_at: rfc3339(row.accepted_at_ms),
        settled_at: row.settled_at_ms.map(rfc3339),
        reward_code: row.reward_code.masked(),
    };
    let answer = match serde_json::to_vec(&receipt) {
        Ok(body) => reply::json(StatusCode::OK, Bytes::from(body)),
        Err(_) => reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, &Refusal::Failed, language),
    };
    reply::about(answer, &row.id, row.state)
}

fn too_late(state: State) -> Refusal {
    match state {
        State::Pending | State::Voided => Refusal::MayHaveArrived,
        State::Confirmed => Refusal::WasConfirmed,
        State::Declined => Refusal::WasDeclined,
        State::Parked => Refusal::IsParked,
    }
}
