//! Export and import of open redemptions, whole codes included: for engineers alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::keep;
use super::rights::Asker;
use super::{Admin, Problem};
use crate::message::{Denied, Event, FilterFault};
use crate::redemption::Seq;
use crate::store::{Arrived, Exported, Import};

/// How many rows a page of an export has.
pub const EXPORT_ROWS_MAX: usize = 500;
/// How many rows one import may bring.
pub const IMPORT_ROWS_MAX: usize = 256;
/// The largest body of an import, in bytes.
pub const IMPORT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest name of a gateway, in characters.
const FROM_CHARS_MAX: usize = 128;

/// `GET /api/v1/export?after=`; each page with rows is recorded before it leaves.
pub(super) async fn export(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let after = match uri.query() {
        None => Some(0),
        Some(query) => {
            query.strip_prefix("after=").and_then(|text| text.parse().ok()).filter(|seq| *seq >= 0)
        }
    };
    let after = after.ok_or_else(|| {
        let fault = FilterFault::NotOurs { key: "after".to_owned() };
        Problem::denied(StatusCode::BAD_REQUEST, Denied::Filter { faults: vec![fault] })
    })?;
    let page = admin.queue.export(Seq(after), EXPORT_ROWS_MAX).await?;
    if !page.rows.is_empty() {
        let told = Event::Export { redemptions: page.rows.len() as u64 };
        keep(&admin, ("export", asker.name()), "", &told).await;
    }
    Ok(Json(json!({ "gateway": admin.info.gateway, "page": page })))
}

/// What an import brings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    from: String,
    rows: Vec<Exported>,
}

/// `POST /api/v1/import`
pub(super) async fn import(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Brought { from, rows } = brought(body)?;
    let configured = admin.queue.configured();
    let is_known = |lane: &str| configured.iter().any(|known| known.name() == lane);
    let lanes: Vec<String> = rows.iter().map(|row| row.lane.clone()).collect();
    let (by, language) = (asker.name().to_owned(), asker.language);
    let arrived = admin.queue.ask(Import { rows, from, by, language }).await?;
    // What is refused names no lane: its name may be anything.
    let taken =
        lanes.into_iter().zip(&arrived).filter(|(_, row)| !matches!(row, Arrived::Refused { .. }));
    let strange: BTreeSet<String> =
        taken.map(|(lane, _)| lane).filter(|lane| !is_known(lane)).collect();
    Ok(Json(json!({ "arrived": arrived, "not_configured": strange })))
}

/// The body's rows; a fault repeats nothing of it, since it holds codes.
fn brought(body: Result<Bytes, BytesRejection>) -> Result<Brought, Problem> {
    let bad = |told| Problem::denied(StatusCode::BAD_REQUEST, told);
    let body = body.map_err(|rejection| Problem::of_body(&rejection))?;
    let brought: Brought = serde_json::from_slice(&body).map_err(|_| bad(Denied::NotAnImport))?;
    if brought.rows.len() > IMPORT_ROWS_MAX {
        return Err(bad(Denied::TooManyRows { most: IMPORT_ROWS_MAX as u64 }));
    }
    if brought.from.chars().count() > FROM_CHARS_MAX || brought.from.chars().any(char::is_control) {
        return Err(bad(Denied::FromName { characters: FROM_CHARS_MAX as u64 }));
    }
    Ok(brought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_cannot_be_read_repeats_none_of_its_codes() {
        let secret =
            br#"{"from":"x","rows":[{"id":"1-a","reward_code":"SECRET","state":"SECRET"}]}"#;
        let problem = brought(Ok(Bytes::from_static(secret))).unwrap_err();
        assert!(!problem.document().to_string().contains("SECRET"), "{problem:?}");
        let endless = format!(r#"{{"from":"{}","rows":[]}}"#, "x".repeat(FROM_CHARS_MAX + 1));
        assert!(brought(Ok(Bytes::from(endless))).is_err());
        assert!(brought(Ok(Bytes::from_static(br#"{"from":"branch-1","rows":[]}"#))).is_ok());
    }
}
