//! What a person does to one redemption or one lane; what was asked comes back as a page.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::words::Words;
use super::{Filled, Frame, denied, encoded, unavailable};
use crate::admin::actions::command_lane;
use crate::admin::given::{checked, not_configured, takes_back};
use crate::admin::rights::Asker;
use crate::admin::{Admin, Problem};
use crate::message::{Denied, FilterFault};
use crate::queue::{LaneCommand, QueueError};
use crate::redemption::{Id, State as RowState};
use crate::store::Acted;

/// The longest time for which the console switches trust off, in hours.
const HOURS_MAX: u64 = 24 * 31;

/// The form of an action.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ActionForm {
    #[serde(default)]
    pub(super) note: String,
    /// For how long; empty: without an end.
    #[serde(default)]
    hours: String,
}

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
    f: Frame,
    Path((text, word)): Path<(String, String)>,
    Filled(ActionForm { note, .. }): Filled<ActionForm>,
) -> Response {
    let (Some(id), Some(deed)) = (Id::parse(&text), Deed::of(&word, &note)) else {
        return denied(f, StatusCode::NOT_FOUND, &Denied::NoPath);
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
    f: Frame,
    Path((lane, word)): Path<(String, String)>,
    Filled(ActionForm { note, hours }): Filled<ActionForm>,
) -> Response {
    let by = asker.name().to_owned();
    if word == "trust-off" || word == "trust-on" {
        return switch_trust(&admin, (f, &asker), lane, (&word, &note, &hours)).await;
    }
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
        _ => return denied(f, StatusCode::NOT_FOUND, &Denied::NoPath),
    };
    match command_lane(&admin, &asker, Some(&lane), command).await {
        Ok(_) => Redirect::to("/#lanes").into_response(),
        Err(_) => no_lane(&admin, f, &lane),
    }
}

fn no_lane(admin: &Admin, f: Frame, lane: &str) -> Response {
    denied(f, StatusCode::NOT_FOUND, &not_configured(admin, lane))
}

/// Trust is switched off with a reason, for some hours or until somebody switches it on.
async fn switch_trust(
    admin: &Admin,
    (f, asker): (Frame, &Asker),
    lane: String,
    (word, note, hours): (&str, &str, &str),
) -> Response {
    if admin.queue.lane(&lane).is_none() {
        return no_lane(admin, f, &lane);
    }
    let off = || noted(note).and_then(|note| Ok((note, within(hours)?)));
    let off = (word == "trust-off").then(off).transpose();
    let off = match off {
        Ok(off) => off,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    match admin.queue.switch_trust(vec![lane], off, asker.name()).await {
        // What stands first there says until when, and why.
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => unavailable(f, error),
    }
}

/// For how long; `None`: without an end.
fn within(hours: &str) -> Result<Option<Duration>, Denied> {
    if hours.trim().is_empty() {
        return Ok(None);
    }
    let number = hours.trim().parse().ok().filter(|hours| (1..=HOURS_MAX).contains(hours));
    let range = FilterFault::Range { key: "hours".to_owned(), from: 1, to: HOURS_MAX };
    let span = number.map(|hours| Some(Duration::from_secs(hours * 3600)));
    span.ok_or(Denied::Filter { faults: vec![range] })
}

async fn retry_held(admin: &Admin, f: Frame, lane: &str, by: &str) -> Response {
    if admin.queue.lane(lane).is_none() {
        return no_lane(admin, f, lane);
    }
    if let Err(why) = takes_back(admin, lane) {
        return denied(f, StatusCode::CONFLICT, &why);
    }
    match admin.queue.retry_held(lane, by).await {
        Ok(_) => {
            Redirect::to(&format!("/search?state=pending&lane={}", encoded(lane))).into_response()
        }
        Err(error) => unavailable(f, error),
    }
}

/// What can be done to all redemptions of this state.
pub(super) fn deeds_of(state: RowState) -> &'static [&'static str] {
    match state {
        RowState::Pending => &["void"],
        RowState::Declined => &["retry", "handled"],
        RowState::Parked => &["retry", "handled", "void"],
        RowState::Confirmed | RowState::Voided => &["handled"],
    }
}
