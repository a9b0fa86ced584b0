//! What a person does to one redemption or one lane; what was asked comes back as a page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::words::Words;
use super::{Frame, denied, encoded, told, unavailable};
use crate::admin::actions::{checked, command_lane};
use crate::admin::rights::Asker;
use crate::admin::{Admin, Problem};
use crate::message::Denied;
use crate::queue::{LaneCommand, QueueError};
use crate::redemption::Id;
use crate::store::Acted;

/// The form of an action.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reason {
    #[serde(default)]
    pub(super) note: String,
}

type Filled = Result<Form<Reason>, FormRejection>;

/// What can be done to a redemption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Send it again.
    Retry,
    /// Close it with this note.
    Void(String),
    /// It was seen to, as this note says.
    Handled(String),
}

impl Deed {
    /// The deed of this word; `Err` says what its note lacks, `None` when there is no such deed.
    pub(super) fn of(word: &str, note: &str) -> Option<Result<Self, Denied>> {
        match word {
            "retry" => Some(Ok(Self::Retry)),
            "void" => Some(noted(note).map(Self::Void)),
            "handled" => Some(noted(note).map(Self::Handled)),
            _ => None,
        }
    }

    /// Its word in an address.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Void(_) => "void",
            Self::Handled(_) => "handled",
        }
    }

    /// Does it under this name.
    pub(super) async fn on(&self, admin: &Admin, id: &Id, by: &str) -> Result<Acted, QueueError> {
        match self {
            Self::Retry => admin.queue.retry(id, by).await,
            Self::Void(note) => admin.queue.void(id, note, by).await,
            Self::Handled(note) => admin.queue.handled(id, note, false, by).await,
        }
    }
}

/// The note as it is kept.
pub(super) fn noted(note: &str) -> Result<String, Denied> {
    checked(note).map(str::to_owned).map_err(Problem::told)
}

/// What the deed of this word is called, and what it means.
pub(super) fn texts(word: &str, w: &Words) -> (&'static str, &'static str) {
    match word {
        "void" => (w.void, w.void_means),
        "handled" => (w.handled, w.handled_means),
        _ => (w.retry, w.retry_means),
    }
}

/// `POST /redemptions/{id}/{retry|void|handled}`
pub(super) async fn on_one(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Path((text, word)): Path<(String, String)>,
    (headers, uri): (HeaderMap, Uri),
    form: Filled,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    let note = form.map(|Form(reason)| reason.note).unwrap_or_default();
    let (Some(id), Some(deed)) = (Id::parse(&text), Deed::of(&word, &note)) else {
        return told(f, StatusCode::NOT_FOUND, String::new());
    };
    let deed = match deed {
        Ok(deed) => deed,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    match deed.on(&admin, &id, asker.name()).await {
        Ok(Acted::Done(_)) => Redirect::to(&format!("/redemptions/{id}")).into_response(),
        Ok(Acted::Refused { why }) => denied(f, StatusCode::CONFLICT, &why),
        Ok(Acted::Unknown) => denied(f, StatusCode::NOT_FOUND, &Denied::NoRedemption),
        Err(error) => unavailable(f, error),
    }
}

/// `POST /lanes/{name}/{flush|hold|release|retry-held}`
pub(super) async fn on_lane(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Path((lane, word)): Path<(String, String)>,
    (headers, uri): (HeaderMap, Uri),
    form: Filled,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    let by = asker.name().to_owned();
    let note = form.map(|Form(reason)| reason.note).unwrap_or_default();
    // A hold needs no reason; one that is given is kept.
    let note = if note.trim().is_empty() { Ok(String::new()) } else { noted(&note) };
    let note = match note {
        Ok(note) => note,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    let command = match word.as_str() {
        "flush" => LaneCommand::Flush,
        "hold" => LaneCommand::Hold { by, note, trust: false },
        "release" => LaneCommand::Release { by },
        "retry-held" => return retry_held(&admin, f, &lane, &by).await,
        _ => return told(f, StatusCode::NOT_FOUND, String::new()),
    };
    match command_lane(&admin, &asker, Some(&lane), command).await {
        Ok(_) => Redirect::to("/#lanes").into_response(),
        Err(_) => told(f, StatusCode::NOT_FOUND, String::new()),
    }
}

async fn retry_held(admin: &Admin, f: Frame, lane: &str, by: &str) -> Response {
    if admin.queue.lane(lane).is_none() {
        return told(f, StatusCode::NOT_FOUND, String::new());
    }
    match admin.queue.retry_held(lane, by).await {
        Ok(_) => Redirect::to(&format!("/search?state=pending&lane={}", encoded(lane))).into_response(),
        Err(error) => unavailable(f, error),
    }
}
