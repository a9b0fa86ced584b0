//! Who did what, the newest first.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{Asked, Frame, Moment, rendered, sentence, shown, unshown};
use crate::admin::Admin;
use crate::message::{self, Event as Told, Language};
use crate::store::Event;

/// How many entries a page has.
const ENTRIES_ON_A_PAGE: usize = 100;

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

/// One entry as it is shown.
pub(super) struct TrailEntry {
    pub(super) at: Moment,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) detail: String,
    pub(super) id: Option<String>,
    pub(super) lane: String,
}

impl TrailEntry {
    /// What was stored by earlier versions are sentences, which stay as they were written.
    pub(super) fn of(event: &Event, f: &Frame) -> Self {
        let told = Told::from_stored(&event.detail);
        // These say no more than what was done.
        let says_it_all = matches!(told, Told::Flush | Told::SignOut);
        let is_silent = says_it_all || told.text(Language::English).is_empty();
        let is_used_up = matches!(told, Told::LimitUsed { percent: 100.., .. });
        let what = if is_used_up { "limit_used_up" } else { &event.what };
        Self {
            at: Moment(event.at_ms),
            what: message::deed(&shown(what), f.lang).into_owned(),
            by: shown(&event.by),
            detail: if is_silent { String::new() } else { sentence(&told.text(f.lang)) },
            id: event.id.as_deref().map(shown),
            lane: shown(&event.lane),
        }
    }
}

#[derive(Template)]
#[template(path = "trail.html")]
struct TrailPage {
    f: Frame,
    entries: Vec<TrailEntry>,
    next: Option<i64>,
}

/// `GET /trail?before=`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Asked(Before { before }): Asked<Before>,
) -> Response {
    match admin.queue.look(move |reader| reader.trail(before, ENTRIES_ON_A_PAGE)).await {
        Ok((events, next)) => {
            let entries = events.iter().map(|event| TrailEntry::of(event, &f)).collect();
            rendered(StatusCode::OK, &TrailPage { f, entries, next })
        }
        Err(error) => unshown(f, error),
    }
}
