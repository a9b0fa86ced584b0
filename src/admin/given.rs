//! What a request gives: arguments, a note, an id, a lane; each is read and checked here.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::Value;

use super::rights::Asker;
use super::{Admin, Problem};
use crate::message::Denied;
use crate::queue::LaneStatus;
use crate::redemption::Id;

/// The state of the operators' HTTP, as a handler gets it.
pub(super) type SharedAdmin = State<Arc<Admin>>;
/// Who asks, as a handler gets it.
pub(super) type ByAsker = Extension<Asker>;
/// A request's body, or why it could not be read.
pub(super) type RawBody = Result<Bytes, BytesRejection>;
/// JSON, or what is wrong.
pub(super) type JsonAnswer = Result<Json<Value>, Problem>;

/// The longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 500;
/// How many characters of a wrong name are repeated.
const LANE_SHOWN_MAX: usize = 64;

/// Whether there is this lane.
pub(super) fn known(admin: &Admin, lane: &str) -> Result<(), Problem> {
    let lanes = admin.queue.lanes();
    if lanes.iter().any(|its| its.name == lane) {
        return Ok(());
    }
    let names = lanes.iter().map(|lane| lane.name.as_str());
    Err(Problem::denied(StatusCode::NOT_FOUND, no_such_lane(lane, names)))
}

/// The lanes that are held for declines, also where something else holds them besides.
pub(super) fn held_for_declines(admin: &Admin) -> impl Iterator<Item = String> {
    let is_held = |lane: &LaneStatus| lane.held_for_declines;
    admin.queue.lanes().into_iter().filter(is_held).map(|lane| lane.name)
}

/// Whether there is anything that the lane is held for, to be taken back.
pub(super) fn takes_back(admin: &Admin, lane: &str) -> Result<(), Denied> {
    let is_held = held_for_declines(admin).any(|held| held == lane);
    if is_held { Ok(()) } else { Err(Denied::NotHeldForDeclines { lane: lane.to_owned() }) }
}

/// Every lane's name. One that the settings no longer name may have rows all the same.
pub(super) fn all_lanes(admin: &Admin) -> BTreeSet<String> {
    let named = admin.queue.lanes().into_iter().map(|lane| lane.name);
    named.chain(admin.queue.counts_by_lane().into_iter().map(|(name, _)| name)).collect()
}

/// Whether there is, or was, the lane by which something is looked for.
pub(super) fn lane_looked_for(admin: &Admin, wanted: Option<&str>) -> Result<(), Denied> {
    let Some(lane) = wanted else { return Ok(()) };
    let lanes = all_lanes(admin);
    if lanes.contains(lane) {
        return Ok(());
    }
    Err(no_such_lane(lane, lanes.iter().map(String::as_str)))
}

/// What is told of a lane to which nothing can be told: that it is not there, or that no provider
/// of the settings has its name.
pub(super) fn not_configured(admin: &Admin, lane: &str) -> Denied {
    if known(admin, lane).is_ok() {
        return Denied::LaneNotConfigured { lane: lane.to_owned() };
    }
    no_such_lane(lane, admin.queue.configured().iter().map(|lane| lane.name()))
}

/// What a wrong lane is told, with the beginning of its name.
pub(super) fn no_such_lane<'a>(wanted: &str, lanes: impl Iterator<Item = &'a str>) -> Denied {
    let lane = wanted.chars().take(LANE_SHOWN_MAX).collect();
    Denied::NoLane { lane, lanes: lanes.collect::<Vec<_>>().join(", ") }
}

/// What an address asks for after its question mark.
pub(super) fn asked<T: serde::de::DeserializeOwned>(uri: &Uri) -> Result<T, Denied> {
    let asked = Query::try_from_uri(uri).map(|Query(asked)| asked);
    asked.map_err(|unread| Denied::QueryUnread {
        why: unread.source().map(ToString::to_string).unwrap_or_default(),
    })
}

/// The body's arguments; no body at all is `{}`.
pub(super) fn arguments<T: serde::de::DeserializeOwned>(body: RawBody) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::of_body(&rejection))?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| {
        let told = Denied::BodyUnfit { why: error.to_string() };
        Problem::denied(StatusCode::BAD_REQUEST, told)
    })
}

/// The note without white space around it.
pub(super) fn checked(note: &str) -> Result<&str, Problem> {
    let note = note.trim();
    let bad = |told| Err(Problem::denied(StatusCode::BAD_REQUEST, told));
    if note.is_empty() {
        return bad(Denied::NoteMissing);
    }
    if note.chars().count() > NOTE_CHARS_MAX {
        return bad(Denied::NoteTooLong { characters: NOTE_CHARS_MAX as u64 });
    }
    if note.chars().any(char::is_control) {
        return bad(Denied::NoteNotPlain);
    }
    Ok(note)
}

/// The id in a path.
pub(super) fn id(text: &str) -> Result<Id, Problem> {
    Id::parse(text).ok_or_else(unknown)
}

/// There is no such redemption.
pub(super) fn unknown() -> Problem {
    Problem::denied(StatusCode::NOT_FOUND, Denied::NoRedemption)
}
