//! What an operator does: retry, void, flush, hold, release.

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::keep;
use super::redemptions::{Row, id};
use super::rights::Asker;
use super::{Admin, Problem};
use crate::message::{Denied, Event};
use crate::queue::{LaneCommand, NoSuchLane};
use crate::store::Acted;

/// The longest note, in characters.
pub(super) const NOTE_CHARS_MAX: usize = 500;

type Shared = State<Arc<Admin>>;
type By = Extension<Asker>;
type Body = Result<Bytes, BytesRejection>;
type Answer = Result<Json<Value>, Problem>;

/// `POST /api/v1/redemptions/{id}/retry`
pub(super) async fn retry(
    State(admin): Shared,
    Path(text): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    arguments::<Nothing>(body)?;
    acted(admin.queue.retry(&id(&text)?, asker.name()).await?, &asker)
}

/// `POST /api/v1/redemptions/{id}/void` with `{"note": "…"}`
pub(super) async fn void(
    State(admin): Shared,
    Path(text): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    let id = id(&text)?;
    let Note { note } = arguments(body)?;
    acted(admin.queue.void(&id, checked(&note)?, asker.name()).await?, &asker)
}

/// `POST /api/v1/redemptions/{id}/handled` with `{"note": "…", "free": false}`
pub(super) async fn handled(
    State(admin): Shared,
    Path(text): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    let id = id(&text)?;
    let HandledBody { note, free } = arguments(body)?;
    acted(admin.queue.handled(&id, checked(&note)?, free, asker.name()).await?, &asker)
}

/// `POST /api/v1/lanes/{name}/flush`
pub(super) async fn flush(
    State(admin): Shared,
    Path(lane): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, Some(&lane), LaneCommand::Flush).await
}

/// `POST /api/v1/lanes/{name}/hold`, alone or with `{"trust": true, "note": "…"}`
pub(super) async fn hold(
    State(admin): Shared,
    Path(lane): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    let command = held(&asker, arguments(body)?)?;
    told(&admin, &asker, Some(&lane), command).await
}

/// `POST /api/v1/lanes/{name}/release`
pub(super) async fn release(
    State(admin): Shared,
    Path(lane): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, Some(&lane), LaneCommand::Release { by: asker.name().to_owned() }).await
}

/// `POST /api/v1/flush`
pub(super) async fn flush_all(State(admin): Shared, Extension(asker): By, body: Body) -> Answer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, None, LaneCommand::Flush).await
}

/// `POST /api/v1/hold`
pub(super) async fn hold_all(State(admin): Shared, Extension(asker): By, body: Body) -> Answer {
    let command = held(&asker, arguments(body)?)?;
    told(&admin, &asker, None, command).await
}

/// `POST /api/v1/release`
pub(super) async fn release_all(State(admin): Shared, Extension(asker): By, body: Body) -> Answer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, None, LaneCommand::Release { by: asker.name().to_owned() }).await
}

/// `POST /api/v1/lanes/{name}/retry-held`
pub(super) async fn retry_held(
    State(admin): Shared,
    Path(lane): Path<String>,
    Extension(asker): By,
    body: Body,
) -> Answer {
    arguments::<Nothing>(body)?;
    known(&admin, &lane)?;
    let retried = admin.queue.retry_held(&lane, asker.name()).await?;
    Ok(Json(json!({ "lane": lane, "retried": retried })))
}

/// Whoever lets tills be trusted while nothing is sent says why.
fn held(asker: &Asker, Holding { note, trust }: Holding) -> Result<LaneCommand, Problem> {
    let is_silent = note.is_empty() && !trust;
    let note = if is_silent { note } else { checked(&note)?.to_owned() };
    Ok(LaneCommand::Hold { by: asker.name().to_owned(), note, trust })
}

async fn told(admin: &Admin, asker: &Asker, lane: Option<&str>, command: LaneCommand) -> Answer {
    if let Some(lane) = lane {
        known(admin, lane)?;
    }
    let lanes = command_lane(admin, asker, lane, command).await;
    let gone = |NoSuchLane| {
        let there = admin.queue.configured();
        let told = no_such_lane(lane.unwrap_or_default(), there.iter().map(|lane| lane.name()));
        Problem::denied(StatusCode::NOT_FOUND, told)
    };
    Ok(Json(json!({ "lanes": lanes.map_err(gone)? })))
}

/// Tells a lane, or all; the lane itself keeps who held and released it, a flush is kept here.
pub(super) async fn command_lane(
    admin: &Admin,
    asker: &Asker,
    lane: Option<&str>,
    command: LaneCommand,
) -> Result<Vec<String>, NoSuchLane> {
    let is_flush = matches!(command, LaneCommand::Flush);
    let lanes = admin.queue.command(lane, command).await?;
    if is_flush {
        for lane in &lanes {
            keep(admin, ("flush", asker.name()), lane, &Event::Flush).await;
        }
    }
    Ok(lanes)
}

pub(super) fn known(admin: &Admin, lane: &str) -> Result<(), Problem> {
    let lanes = admin.queue.lanes();
    if lanes.iter().any(|its| its.name == lane) {
        return Ok(());
    }
    let names = lanes.iter().map(|lane| lane.name.as_str());
    Err(Problem::denied(StatusCode::NOT_FOUND, no_such_lane(lane, names)))
}

/// How many characters of a wrong name are repeated.
const LANE_SHOWN_MAX: usize = 64;

/// What a wrong lane is told, with the beginning of its name.
pub(super) fn no_such_lane<'a>(wanted: &str, lanes: impl Iterator<Item = &'a str>) -> Denied {
    let lane = wanted.chars().take(LANE_SHOWN_MAX).collect();
    Denied::NoLane { lane, lanes: lanes.collect::<Vec<_>>().join(", ") }
}

fn acted(acted: Acted, asker: &Asker) -> Answer {
    match acted {
        Acted::Done(row) => Ok(Json(json!(Row::seen_by(row.as_ref(), asker)))),
        Acted::Refused { why } => Err(Problem::denied(StatusCode::CONFLICT, why)),
        Acted::Unknown => Err(Problem::denied(StatusCode::NOT_FOUND, Denied::NoRedemption)),
    }
}

/// An action without arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A hold, with or without trust meanwhile.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Holding {
    note: String,
    trust: bool,
}

/// A person has seen to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandledBody {
    note: String,
    #[serde(default)]
    free: bool,
}

/// An action with a note.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    note: String,
}

/// The body's arguments; no body at all is `{}`.
pub(super) fn arguments<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn note(body: &'static [u8]) -> Result<String, Problem> {
        arguments::<Note>(Ok(Bytes::from_static(body)))
            .and_then(|Note { note }| checked(&note).map(str::to_owned))
    }

    #[test]
    fn a_void_needs_a_note_that_is_one_line_of_words() {
        assert_eq!(note(br#"{"note":" customer came back "}"#).unwrap(), "customer came back");
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"note":""}"#,
            br#"{"note":"  "}"#,
            br#"{"note":7}"#,
            b"\xff",
        ] {
            assert!(note(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(note(br#"{"note":"a\u001b[2J"}"#).is_err());
        assert!(note(br#"{"note":"a","force":true}"#).is_err());
        assert!(
            checked(&"x".repeat(NOTE_CHARS_MAX)).is_ok()
                && checked(&"x".repeat(NOTE_CHARS_MAX + 1)).is_err()
        );
    }

    #[test]
    fn an_action_without_arguments_takes_an_empty_object_or_nothing() {
        assert!(arguments::<Nothing>(Ok(Bytes::new())).is_ok());
        assert!(arguments::<Nothing>(Ok(Bytes::from_static(b" {} "))).is_ok());
        assert!(arguments::<Nothing>(Ok(Bytes::from_static(b"{\"lane\":\"x\"}"))).is_err());
        assert!(arguments::<Nothing>(Ok(Bytes::from_static(b"null"))).is_err());
    }

    #[test]
    fn a_hold_needs_no_note_but_one_that_trusts_does() {
        let asker = Asker::local();
        let holding = |text: &'static str| arguments(Ok(Bytes::from_static(text.as_bytes())));
        let command = |text| held(&asker, holding(text)?);
        let plain = command("").unwrap();
        assert_eq!(
            plain,
            LaneCommand::Hold { by: "nobody".to_owned(), note: String::new(), trust: false }
        );
        assert!(
            command(r#"{"trust":true}"#).is_err()
                && command(r#"{"trust":true,"note":" "}"#).is_err()
        );
        let trusting = command(r#"{"trust":true,"note":"the line is known to be down"}"#).unwrap();
        assert!(matches!(trusting, LaneCommand::Hold { trust: true, .. }));
    }

    #[test]
    fn an_action_in_conflict_says_why_and_one_on_nothing_is_404() {
        let asker = Asker::local();
        let refused = acted(Acted::Refused { why: Denied::StillPending }, &asker).unwrap_err();
        assert_eq!(refused, Problem::denied(StatusCode::CONFLICT, Denied::StillPending));
        assert_eq!(acted(Acted::Unknown, &asker).unwrap_err().document()["status"], 404);
    }
}
