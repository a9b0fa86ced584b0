//! Redemptions as operators see them: pages of rows, one row with its events, codes masked.

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filter::{LIMIT_MAX, RowFilter, is_plain};
use super::find::{find, wanted};
use super::given::{arguments, asked, id, unknown};
use super::parked::ParkedFor;
use super::rights::Asker;
use super::{Admin, Problem};
use crate::clock::{Days, rfc3339};
use crate::contract;
use crate::decide::Attempt;
use crate::message::{self, Language};
use crate::queue::Story;
use crate::redemption::{Answer, Id, Redemption, RewardCode, Seq, State};
use crate::settings::Role;
use crate::store::{Event, Filter, FoundRows, Search};
use crate::value::Amount;
use crate::verdict::streak;

/// The longest part of a provider's text that is shown, in characters.
const SAID_CHARS_MAX: usize = 300;

/// The largest answer that is read for the provider's text, in bytes; a page of a thousand stays
/// cheap.
const SAID_BYTES_MAX: usize = 4096;

/// `GET
/// /api/v1/redemptions?state=&code_ending=&till=&business=&branch=&lane=&waiting=&since=&until=&newest=&after=&limit=`
pub(super) async fn list(
    Shared(admin): Shared<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let unfit = |told| Problem::denied(StatusCode::BAD_REQUEST, told);
    let pairs: Vec<(String, String)> = asked(&uri).map_err(unfit)?;
    let wanted = wanted(&admin, &pairs, &Days::utc()).map_err(unfit)?;
    if !is_plain(&wanted) {
        return Ok(Json(found_page(&find(&admin, wanted).await?, &asker)));
    }
    let Search { state, after, limit, .. } = wanted.search;
    Ok(Json(page(&admin.queue.list(Filter { state, after, limit }).await?, limit, &asker)))
}

/// A page: its rows and, where there may be more, the `after` of the next.
fn page(rows: &[Redemption], limit: usize, asker: &Asker) -> Value {
    let next = rows.last().filter(|_| rows.len() >= limit).map(|row| row.seq);
    let rows: Vec<_> = rows.iter().map(|row| ListedRow::seen_by(row, asker)).collect();
    json!({ "redemptions": rows, "next": next })
}

/// A search that says whether it is at its end, and the rows that it found.
fn found_page(found: &FoundRows, asker: &Asker) -> Value {
    let rows = found.rows.iter().map(|row| ListedRow::seen_by(row, asker));
    json!({ "redemptions": rows.collect::<Vec<_>>(), "next": found.next })
}

/// A whole code, which stays out of addresses and logs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WholeCode {
    code: String,
    /// Where an earlier page ended.
    #[serde(default)]
    after: Option<i64>,
}

/// `POST /api/v1/search` with `{"code": "…"}`: its redemptions, the newest first.
pub(super) async fn search(
    Shared(admin): Shared<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let WholeCode { code, after } = arguments(body)?;
    let hash = admin.desk.searches.remember(&admin.access.rules(), &code);
    let search = Search { limit: LIMIT_MAX, after: after.map(Seq), ..Search::default() };
    let wanted = RowFilter { search, code: Some(hash) };
    let found = find(&admin, wanted).await?;
    Ok(Json(found_page(&found, &asker)))
}

/// `GET /api/v1/redemptions/{id}`
pub(super) async fn show(
    Shared(admin): Shared<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = admin.queue.show(&id(&text)?).await?;
    let Story { row, attempts, events } = found.ok_or_else(unknown)?;
    let events = events.iter().map(|event| EventView::of(event, asker.language)).collect();
    Ok(Json(json!(Detail {
        row: ListedRow::seen_by(&row, &asker),
        last_attempts: attempts,
        events
    })))
}

/// A row as it is listed. Fields are added, never taken away.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own in the API")]
pub(super) struct ListedRow<'a> {
    id: &'a Id,
    seq: Seq,
    lane: &'a str,
    till: &'a str,
    business_refrence: &'a str,
    reward_code: String,
    code_prefix: String,
    branch_id: &'a str,
    date: &'a str,
    state: State,
    in_flight: bool,
    uncertain: bool,
    duplicate_of_ours: bool,
    refused_at_till: bool,
    answered_at_till: bool,
    attempts: u32,
    accepted_online: bool,
    accepted_at: String,
    day: String,
    clock_trusted: bool,
    settled_at: Option<String>,
    answer_status: Option<u16>,
    provider_said: Option<String>,
    note: Option<String>,
    /// What a parked one waits for; `null` in any other state.
    parked_for: Option<ParkedFor>,
    trusted: bool,
    on_hold: bool,
    owed: bool,
    owed_paid: bool,
    in_vain: bool,
    handled: bool,
    /// Who handled it, and why; `null` as long as nobody has.
    handled_by: Option<&'a str>,
    handled_note: Option<&'a str>,
    freed: bool,
    lost: bool,
    in_doubt: bool,
    turned_away: bool,
    taken_back: bool,
    waiting: bool,
    reusable: bool,
    /// What it counts as, with at least two decimals; `null` where it was not given on trust.
    value: Option<Amount>,
    value_assumed: bool,
    rule: Option<&'a str>,
}

impl<'a> ListedRow<'a> {
    /// How codes begin is for those who may decide: its beginning beside its end leaves less of a
    /// code to guess.
    pub(super) fn seen_by(row: &'a Redemption, asker: &Asker) -> Self {
        let code_prefix =
            if asker.may(Role::Decide) { row.reward_code.prefix() } else { String::new() };
        Self {
            id: &row.id,
            seq: row.seq,
            lane: &row.lane,
            till: &row.till,
            business_refrence: &row.business_refrence,
            reward_code: row.reward_code.masked(),
            code_prefix,
            branch_id: &row.branch_id,
            date: &row.date,
            state: row.state,
            in_flight: row.in_flight,
            uncertain: row.uncertain,
            duplicate_of_ours: row.duplicate_of_ours,
            refused_at_till: row.refused_at_till,
            answered_at_till: row.answered_at_till,
            trusted: row.trusted,
            on_hold: row.on_hold,
            owed: row.owed,
            owed_paid: row.owed_paid,
            in_vain: row.in_vain,
            handled: row.handled,
            handled_by: row.handled_by.as_ref().map(|(by, _)| by.as_str()),
            handled_note: row.handled_by.as_ref().map(|(_, note)| note.as_str()),
            freed: row.freed,
            lost: row.lost,
            in_doubt: row.in_doubt,
            turned_away: row.turned_away,
            taken_back: row.taken_back,
            waiting: row.waiting,
            reusable: row.reusable,
            value: row.value,
            value_assumed: row.value_assumed,
            rule: row.rule.as_deref(),
            attempts: row.attempts,
            accepted_online: row.accepted_online,
            accepted_at: rfc3339(row.accepted_at_ms),
            day: row.day.to_string(),
            clock_trusted: row.clock_trusted,
            settled_at: row.settled_at_ms.map(rfc3339),
            answer_status: row.answer.as_ref().map(|answer| answer.status),
            provider_said: said_of(row),
            note: row.note.as_ref().map(|note| note.text(asker.language)),
            parked_for: ParkedFor::of(row),
        }
    }
}

/// What the provider said about this row.
pub(super) fn said_of(row: &Redemption) -> Option<String> {
    row.answer.as_ref().and_then(|answer| said(answer, &row.reward_code))
}

/// What kind of refusal it is: the provider's words without codes and numbers, so that refusals
/// alike are equal.
pub(super) fn kind_of(row: &Redemption) -> String {
    let words = row.answer.as_ref().and_then(words).unwrap_or_default();
    streak::masked(&words, &row.reward_code)
}

/// The provider's words with the code masked: providers repeat it in their refusals.
fn said(answer: &Answer, code: &RewardCode) -> Option<String> {
    Some(code.masked_in(&words(answer)?).chars().take(SAID_CHARS_MAX).collect())
}

/// What the provider said in words; nothing where it is too long to be words.
fn words(answer: &Answer) -> Option<String> {
    let body = Some(&answer.body).filter(|body| body.len() <= SAID_BYTES_MAX)?;
    Some(contract::words(body)).filter(|words| !words.is_empty())
}

#[derive(Debug, Serialize)]
struct Detail<'a> {
    #[serde(flatten)]
    row: ListedRow<'a>,
    last_attempts: Vec<Attempt>,
    events: Vec<EventView<'a>>,
}

#[derive(Debug, Serialize)]
struct EventView<'a> {
    at: String,
    what: &'a str,
    by: &'a str,
    detail: String,
}

impl<'a> EventView<'a> {
    fn of(event: &'a Event, language: Language) -> Self {
        let detail = message::Event::from_stored(&event.detail).text(language);
        Self { at: rfc3339(event.at_ms), what: &event.what, by: &event.by, detail }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn asker(role: Role) -> Asker {
        let actor = super::super::rights::Actor { name: "amal".to_owned(), role, signed_in: true };
        Asker { who: Some(actor), ..Asker::local() }
    }

    fn seen(row: &Redemption) -> Value {
        json!(ListedRow::seen_by(row, &asker(Role::Decide)))
    }

    fn row(seq: i64, answer: Option<&'static str>) -> Redemption {
        let answer = answer.map(|body| Answer {
            status: 400,
            content_type: None,
            body: Bytes::from_static(body.as_bytes()),
        });
        Redemption {
            seq: Seq(seq),
            id: Id::new(Seq(seq), [7; 12]),
            lane: "retm".to_owned(),
            till: "till-1".to_owned(),
            reward_code: RewardCode::new("SECRET-CODE-7F3Q".to_owned()),
            branch_id: "042".to_owned(),
            date: "2026-11-01 10:00:00".to_owned(),
            state: State::Declined,
            attempts: 2,
            accepted_online: false,
            accepted_at_ms: 1_793_491_200_000,
            day: crate::clock::Day::utc(1_793_491_200_000),
            settled_at_ms: Some(1_793_491_260_000),
            answer,
            ..Redemption::sample()
        }
    }

    #[test]
    fn a_full_page_says_where_the_next_begins_and_a_short_one_is_the_last() {
        let rows = [row(3, None), row(9, None)];
        let page = |rows: &[Redemption], limit| page(rows, limit, &asker(Role::See));
        assert_eq!(page(&rows, 2)["next"], 9);
        assert_eq!(page(&rows, 3)["next"], Value::Null);
        assert_eq!(page(&[], 3), json!({ "redemptions": [], "next": null }));
    }

    #[test]
    fn no_view_of_a_row_holds_its_code_even_where_the_provider_repeats_it() {
        let body =
            r#"{"message":"Reward secret-code-7F3Q has been used","errors":["SECRET-CODE-7F3Q"]}"#;
        let row = row(3, Some(body));
        let shown = seen(&row).to_string();
        assert!(!shown.to_ascii_lowercase().contains("secret-code"), "{shown}");
        assert_eq!(seen(&row)["provider_said"], "Reward …7F3Q has been used");
        assert_eq!(seen(&row)["reward_code"], "…7F3Q");
        assert_eq!(seen(&row)["code_prefix"], "SECR");
        for asker in [asker(Role::See), Asker::local()] {
            assert_eq!(
                json!(ListedRow::seen_by(&row, &asker))["code_prefix"],
                "",
                "how it begins is not for everybody"
            );
        }
    }

    #[test]
    fn a_code_that_the_provider_writes_otherwise_is_masked_all_the_same() {
        let masked = |text: &str, code: &str| RewardCode::new(code.to_owned()).masked_in(text);
        for (said, code) in [
            ("Reward ABCD1234EFGH0000 has been used", "ABCD-1234-EFGH-0000"),
            ("Reward abcd 1234 efgh 0000 has been used", "ABCD1234EFGH0000"),
            ("Reward ABCD\u{2011}1234\u{2011}EFGH\u{2011}0000 has been used", "abcd1234efgh0000"),
            ("Reward ABCD-١٢٣٤-EFGH-٠٠٠٠ has been used", "ABCD-1234-EFGH-0000"),
            ("Reward ＡＢＣＤ１２３４ＥＦＧＨ００００ has been used", "ABCD1234EFGH0000"),
        ] {
            assert_eq!(masked(said, code), "Reward …0000 has been used");
        }
        assert_eq!(masked("ABCD-1234 twice: ABCD1234", "abcd 1234"), "…34 twice: …34");
        assert_eq!(masked("ABCD-1235 is another", "ABCD-1234"), "ABCD-1235 is another");
        assert_eq!(masked("the code *** is none", "***"), "the code … is none");
        assert_eq!(masked("nothing is left out", ""), "nothing is left out");
    }

    #[test]
    fn what_the_provider_said_is_its_message_or_first_error_and_bounded() {
        let code = RewardCode::new("X1".to_owned());
        let answer = |body: String| Answer { status: 400, content_type: None, body: body.into() };
        assert_eq!(
            said(&answer(r#"{"errors":["", "expired"]}"#.to_owned()), &code).as_deref(),
            Some("expired")
        );
        assert_eq!(said(&answer("<html>".to_owned()), &code), None);
        assert_eq!(said(&answer("{}".to_owned()), &code), None);
        let long =
            said(&answer(format!(r#"{{"message":"{}"}}"#, "y".repeat(2000))), &code).unwrap();
        assert_eq!(long.len(), SAID_CHARS_MAX);
        assert_eq!(said(&answer(format!(r#"{{"message":"{}"}}"#, "y".repeat(5000))), &code), None);
    }

    #[test]
    fn times_are_rfc3339_and_a_row_says_whether_it_was_accepted_offline() {
        let value = seen(&row(3, None));
        assert_eq!(value["accepted_at"], "2026-11-01T00:00:00Z");
        assert_eq!(value["settled_at"], "2026-11-01T00:01:00Z");
        assert_eq!(
            (&value["accepted_online"], &value["answer_status"]),
            (&false.into(), &Value::Null)
        );
    }
}
