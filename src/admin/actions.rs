//! What an operator does: retry, void, flush, hold, release.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::audit::keep;
use super::given::{
    ByAsker, JsonAnswer, RawBody, SharedAdmin, arguments, checked, id, known, not_configured,
    takes_back,
};
use super::redemptions::ListedRow;
use super::rights::Asker;
use super::{Admin, Problem};
use crate::message::{Denied, Event};
use crate::queue::{LaneCommand, NoSuchLane};
use crate::store::Acted;

/// `POST /api/v1/redemptions/{id}/retry`
pub(super) async fn retry(
    State(admin): SharedAdmin,
    Path(text): Path<String>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    arguments::<Nothing>(body)?;
    acted(admin.queue.retry(&id(&text)?, asker.name()).await?, &asker)
}

/// `POST /api/v1/redemptions/{id}/void` with `{"note": "…"}`
pub(super) async fn void(
    State(admin): SharedAdmin,
    Path(text): Path<String>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    let id = id(&text)?;
    let Note { note } = arguments(body)?;
    acted(admin.queue.void(&id, checked(&note)?, asker.name()).await?, &asker)
}

/// `POST /api/v1/redemptions/{id}/handled` with `{"note": "…", "free": false}`
pub(super) async fn handled(
    State(admin): SharedAdmin,
    Path(text): Path<String>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    let id = id(&text)?;
    let HandledBody { note, free } = arguments(body)?;
    acted(admin.queue.handled(&id, checked(&note)?, free, asker.name()).await?, &asker)
}

/// `POST /api/v1/lanes/{name}/flush`, or of all lanes `POST /api/v1/flush`
pub(super) async fn flush(
    State(admin): SharedAdmin,
    lane: Option<Path<String>>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, lane, LaneCommand::Flush).await
}

/// `POST /api/v1/lanes/{name}/hold`, or of all lanes `POST /api/v1/hold`; alone or with
/// `{"trust": true, "note": "…"}`
pub(super) async fn hold(
    State(admin): SharedAdmin,
    lane: Option<Path<String>>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    let command = held(&asker, arguments(body)?)?;
    told(&admin, &asker, lane, command).await
}

/// `POST /api/v1/lanes/{name}/release`, or of all lanes `POST /api/v1/release`
pub(super) async fn release(
    State(admin): SharedAdmin,
    lane: Option<Path<String>>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    arguments::<Nothing>(body)?;
    told(&admin, &asker, lane, LaneCommand::Release { by: asker.name().to_owned() }).await
}

/// `POST /api/v1/lanes/{name}/retry-held`
pub(super) async fn retry_held(
    State(admin): SharedAdmin,
    Path(lane): Path<String>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    arguments::<Nothing>(body)?;
    known(&admin, &lane)?;
    takes_back(&admin, &lane).map_err(|why| Problem::denied(StatusCode::CONFLICT, why))?;
    let retried = admin.queue.retry_held(&lane, asker.name()).await?;
    Ok(Json(json!({ "lane": lane, "retried": retried })))
}

/// Whoever lets tills be trusted while nothing is sent says why.
fn held(asker: &Asker, Holding { note, trust }: Holding) -> Result<LaneCommand, Problem> {
    let is_silent = note.is_empty() && !trust;
    let note = if is_silent { note } else { checked(&note)?.to_owned() };
    Ok(LaneCommand::Hold { by: asker.name().to_owned(), note, trust })
}

async fn told(
    admin: &Admin,
    asker: &Asker,
    lane: Option<Path<String>>,
    command: LaneCommand,
) -> JsonAnswer {
    let lane = lane.as_deref().map(String::as_str);
    if let Some(lane) = lane {
        known(admin, lane)?;
    }
    let lanes = command_lane(admin, asker, lane, command).await;
    let gone = |NoSuchLane| {
        let told = not_configured(admin, lane.unwrap_or_default());
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

fn acted(acted: Acted, asker: &Asker) -> JsonAnswer {
    match acted {
        Acted::Done(row) => Ok(Json(json!(ListedRow::seen_by(row.as_ref(), asker)))),
        Acted::Refused { why } => Err(Problem::denied(StatusCode::CONFLICT, why)),
        Acted::Unknown => Err(Problem::denied(StatusCode::NOT_FOUND, Denied::NoRedemption)),
    }
}

/// An action without arguments.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::admin::given::NOTE_CHARS_MAX;

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
