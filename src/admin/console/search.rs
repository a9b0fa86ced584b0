//! Searching: by a whole code, which is posted and answered with an address that holds its keyed
//! hash, or by what is known of a redemption.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::uri::InvalidUri;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::act::{deeds_of, texts};
use super::{Asked, Filled, Frame, Moment, denied, encoded, rendered, shown, unshown};
use crate::admin::Admin;
use crate::admin::filter::{RowFilter, written, yes_or_no};
use crate::admin::find::{find, wanted};
use crate::admin::given::{all_lanes, asked};
use crate::message::{self, Denied};
use crate::redemption::{Id, Redemption, State as RowState};
use crate::store::FoundRows;

/// How many rows a page of the console has.
const ROWS_ON_A_PAGE: usize = 50;
/// The longest code that is looked for, in bytes.
const CODE_BYTES_MAX: usize = 1024;

/// A row as a list shows it.
pub(super) struct RowLine {
    pub(super) id: String,
    pub(super) code: String,
    pub(super) state: &'static str,
    pub(super) state_word: String,
    pub(super) till: String,
    pub(super) branch: String,
    accepted: Moment,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    f: Frame,
    values: Vec<(String, String)>,
    states: Vec<(&'static str, String)>,
    lanes: Vec<String>,
    rows: Vec<RowLine>,
    has_filter: bool,
    by_code: bool,
    /// The address where it goes on, and whether something may fit there that was not looked at.
    next: Option<(String, bool)>,
    deeds: Vec<Deeds>,
    /// How many there are by the books.
    books: Option<String>,
}

/// Something that may be done to all that a filter finds.
struct Deeds {
    word: &'static str,
    button: &'static str,
    means: &'static str,
    query: String,
}

impl SearchPage {
    fn value(&self, key: &str) -> &str {
        self.values.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.value(key) == value
    }

    fn is_on(&self, key: &str) -> bool {
        yes_or_no(self.value(key).trim()) == Some(true)
    }
}

/// `GET /search`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Asked(values): Asked<Vec<(String, String)>>,
) -> Response {
    let id = values.iter().find(|(key, id)| key == "id" && !id.trim().is_empty());
    match id.map(|(_, id)| Id::parse(id.trim())) {
        Some(Some(id)) => return Redirect::to(&format!("/redemptions/{id}")).into_response(),
        Some(None) => return denied(f, StatusCode::NOT_FOUND, &Denied::NoRedemption),
        None => {}
    }
    let values: Vec<_> =
        values.into_iter().filter(|(key, value)| key != "id" && !value.trim().is_empty()).collect();
    let wanted = match wanted(&admin, &values, &admin.queue.days()) {
        Ok(wanted) => wanted,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    let (has_filter, by_code) = (!values.is_empty(), wanted.code.is_some());
    let found =
        if has_filter { find(&admin, on_a_page(wanted)).await } else { Ok(FoundRows::default()) };
    match found {
        Ok(found) => {
            let lanes = all_lanes(&admin).into_iter().collect();
            let books = by_the_books(&admin, &values);
            let page =
                SearchPage { books, ..page_of(f, values, lanes, (&found, has_filter, by_code)) };
            rendered(StatusCode::OK, &page)
        }
        Err(error) => unshown(f, error),
    }
}

/// How many there are by the books, where the filter asks for no more than the books tell apart;
/// nothing is counted.
fn by_the_books(admin: &Admin, values: &[(String, String)]) -> Option<String> {
    let is_told_apart =
        |(key, _): &(String, String)| matches!(key.as_str(), "state" | "lane" | "newest" | "after");
    let value =
        |key: &str| values.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let state: RowState =
        value("state").filter(|_| values.iter().all(is_told_apart))?.parse().ok()?;
    let lane = value("lane");
    let books = admin.queue.counts_by_lane();
    let meant = books.iter().filter(|(name, _)| lane.is_none_or(|lane| lane == name));
    let number = meant.map(|(_, counts)| match state {
        RowState::Pending => counts.pending,
        RowState::Confirmed => counts.confirmed,
        RowState::Declined => counts.declined,
        RowState::Parked => counts.parked,
        RowState::Voided => counts.voided,
    });
    Some(message::grouped(number.sum()))
}

/// What a search's query asks for, or why it asks for nothing that many are found by.
pub(super) fn wanted_by(query: &str, admin: &Admin) -> Result<RowFilter, Denied> {
    let values = values_of(query)?;
    let asks = |(key, value): &(String, String)| key != "after" && !value.trim().is_empty();
    let wanted = wanted(admin, &values, &admin.queue.days())?;
    let names_some = values.iter().any(asks) && wanted.code.is_none();
    if names_some { Ok(wanted) } else { Err(Denied::NothingNamed) }
}

fn values_of(query: &str) -> Result<Vec<(String, String)>, Denied> {
    let unread = |error: InvalidUri| Denied::QueryUnread { why: error.to_string() };
    asked(&format!("/?{query}").parse().map_err(unread)?)
}

/// The fields of a search's query as people read them.
pub(super) fn said(query: &str, f: &Frame) -> Vec<(String, String)> {
    let name = |key: &str| match key {
        "code_ending" => f.w.code_ending,
        "till" => f.w.till,
        "business" => f.w.business,
        "branch" => f.w.branch,
        "lane" => f.w.lane,
        "state" => f.w.state,
        "since" => f.w.from,
        "until" => f.w.to,
        "waiting" => f.w.needs,
        _ => "",
    };
    let value = |key: &str, value: &str| match key {
        "state" => message::state(&shown(value), f.lang).into_owned(),
        "waiting" => if yes_or_no(value) == Some(true) { f.w.yes } else { f.w.any }.to_owned(),
        _ => shown(value),
    };
    let fields = values_of(query).unwrap_or_default().into_iter();
    let fields = fields.filter(|(key, value)| !name(key).is_empty() && !value.trim().is_empty());
    fields.map(|(key, text)| (name(&key).to_owned(), value(&key, &text))).collect()
}

fn on_a_page(mut wanted: RowFilter) -> RowFilter {
    wanted.search.limit = wanted.search.limit.min(ROWS_ON_A_PAGE);
    wanted
}

fn page_of(
    f: Frame,
    values: Vec<(String, String)>,
    lanes: Vec<String>,
    (found, has_filter, by_code): (&FoundRows, bool, bool),
) -> SearchPage {
    let next = found.next.map(|seq| (address(&values, Some(&seq.to_string())), found.cut_short));
    let deeds = deeds(&f, &values, by_code);
    let states = RowState::ALL
        .map(|state| (state.as_str(), message::state(state.as_str(), f.lang).into_owned()));
    let rows = found.rows.iter().map(|row| line(row, &f)).collect();
    SearchPage {
        f,
        values,
        states: states.to_vec(),
        lanes,
        rows,
        has_filter,
        by_code,
        next,
        deeds,
        books: None,
    }
}

/// What may be done to all that the filter finds, page or no page: it takes a state, which says
/// what can be done.
fn deeds(f: &Frame, values: &[(String, String)], by_code: bool) -> Vec<Deeds> {
    let state =
        values.iter().find(|(key, _)| key == "state").and_then(|(_, state)| state.parse().ok());
    let state = state.filter(|_| f.may_decide && !by_code);
    let query = address(values, None).trim_start_matches("/search?").to_owned();
    let deed = |word: &&'static str| {
        let (button, means) = texts(word, f.w);
        Deeds { word, button, means, query: query.clone() }
    };
    state.map(deeds_of).unwrap_or_default().iter().map(deed).collect()
}

pub(super) fn line(row: &Redemption, f: &Frame) -> RowLine {
    RowLine {
        id: row.id.to_string(),
        code: shown(&row.reward_code.masked()),
        state: row.state.as_str(),
        state_word: message::state(row.state.as_str(), f.lang).into_owned(),
        till: shown(&row.till),
        branch: shown(&row.branch_id),
        accepted: Moment(row.accepted_at_ms),
    }
}

/// The same filter from another row on, or from its first.
fn address(values: &[(String, String)], after: Option<&str>) -> String {
    let kept = values
        .iter()
        .filter(|(key, _)| key != "after")
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let parts = kept
        .chain(after.map(|after| ("after", after)))
        .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    format!("/search?{}", parts.collect::<Vec<_>>().join("&"))
}

/// The form of a whole code.
#[derive(Deserialize)]
pub(super) struct CodeSearch {
    code: String,
}

/// `POST /search`: the code stays out of addresses, histories and logs.
pub(super) async fn by_code(
    State(admin): State<Arc<Admin>>,
    Filled(CodeSearch { code }): Filled<CodeSearch>,
) -> Response {
    if code.trim().is_empty() || code.len() > CODE_BYTES_MAX {
        return Redirect::to("/search").into_response();
    }
    // As lists show it: only its end is known.
    if let Some(ending) = code.trim().strip_prefix('…') {
        let to = format!("/search?code_ending={}&newest=1", encoded(ending));
        return Redirect::to(&to).into_response();
    }
    let hash = admin.desk.searches.remember(&admin.access.rules(), &code);
    Redirect::to(&format!("/search?code={}", written(hash))).into_response()
}
