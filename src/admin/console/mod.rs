//! The console: pages for people. They are rendered here and load nothing from other hosts.

mod act;
mod assets;
mod chart;
mod door;
mod home;
mod inbox;
mod jobs;
mod live;
mod say;
mod search;
mod story;
mod trail;
mod words;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

use super::filter::written;
use super::find::SearchedCodes;
use super::given::asked;
use super::rights::Asker;
use super::{Admin, Problem, cookie};
use crate::clock::{Zone, rfc3339};
use crate::message::{Denied, Language};
use crate::queue::QueueError;
use crate::redemption::Fingerprint;
use crate::settings::Role;
use crate::text::percent_encoded;
use words::{Words, words};

/// What the console keeps while the process runs.
#[derive(Debug, Default)]
pub(super) struct ConsoleState {
    pub(super) searches: SearchedCodes,
    activity: chart::Cache,
    jobs: jobs::Jobs,
    streams: live::Streams,
    screens: live::Screens,
}

impl ConsoleState {
    /// The streams end once this holds true.
    pub(super) fn closes_with(&self, stop: tokio::sync::watch::Receiver<bool>) {
        self.streams.closes_with(stop);
    }
}

/// The console's routes: what anybody may load, what takes *see*, and what takes more.
pub(super) fn routes(shared: &Arc<Admin>) -> Router<Arc<Admin>> {
    let free = Router::new()
        .route("/sign-in", get(door::page).post(door::sign_in))
        .route("/sign-out", post(door::sign_out))
        .route("/language", post(door::language))
        .route("/assets/{name}", get(assets::asset));
    let views = Router::new()
        .route("/", get(home::page))
        .route("/inbox", get(inbox::page))
        .route("/search", get(search::page).post(search::by_code))
        .route("/redemptions/{id}", get(story::page))
        .route("/trail", get(trail::page))
        .route("/events", get(live::events))
        .layer(from_fn_with_state((Arc::clone(shared), Role::See), gate));
    let decisions = Router::new()
        .route("/redemptions/{id}/{action}", post(act::on_one))
        .route("/bulk", get(jobs::dry_run).post(jobs::begin))
        .route("/jobs/{number}", get(jobs::page))
        .route("/jobs/{number}/stop", post(jobs::stop))
        .layer(from_fn_with_state((Arc::clone(shared), Role::Decide), gate));
    let lanes = Router::new()
        .route("/lanes/{name}/{action}", post(act::on_lane))
        .layer(from_fn_with_state((Arc::clone(shared), Role::Engineer), gate));
    free.merge(views).merge(decisions).merge(lanes).layer(from_fn(in_language))
}

/// Somebody unknown is led to the sign-in, which says that what was pressed was not done; somebody
/// who may not is told so. Nothing of a form stands in an address.
async fn gate(
    State((admin, needed)): State<(Arc<Admin>, Role)>,
    request: Request,
    next: Next,
) -> Response {
    let asker = Asker::of(request.extensions());
    if asker.may(needed) {
        return next.run(request).await;
    }
    if asker.who.is_none() {
        let to = encoded(&readable(request.uri()));
        let undone = if request.method() == Method::POST { "&undone=true" } else { "" };
        return Redirect::to(&format!("/sign-in?to={to}{undone}")).into_response();
    }
    let frame = Frame::new(&admin, &asker, request.headers(), request.uri());
    let text = frame.w.decide_hint.to_owned();
    told(frame, StatusCode::FORBIDDEN, text)
}

/// An address that leads nowhere, mistyped by a person or a machine.
pub(super) async fn no_path(f: Frame, headers: HeaderMap, uri: Uri) -> Response {
    nothing(f, (&headers, &uri), (StatusCode::NOT_FOUND, &Denied::NoPath))
}

/// As [`no_path`], where something else than was asked can be done.
pub(super) async fn no_method(f: Frame, headers: HeaderMap, uri: Uri) -> Response {
    nothing(f, (&headers, &uri), (StatusCode::METHOD_NOT_ALLOWED, &Denied::NoMethod))
}

/// What an address asks for after its question mark. Whoever asks for what cannot be read is told
/// so: a person by a page.
pub(super) struct Asked<T>(T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Admin>> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Response> {
        asked(&parts.uri).map(Self).map_err(|why| {
            let asker = Asker::of(&parts.extensions);
            let frame = Frame::new(admin, &asker, &parts.headers, &parts.uri);
            nothing(frame, (&parts.headers, &parts.uri), (StatusCode::BAD_REQUEST, &why))
        })
    }
}

/// A form that was filled in. Who sends one that cannot be read is told so by a page.
pub(super) struct Filled<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Admin>> for Filled<T> {
    type Rejection = Response;

    async fn from_request(request: Request, admin: &Arc<Admin>) -> Result<Self, Response> {
        let asker = Asker::of(request.extensions());
        let frame = Frame::new(admin, &asker, request.headers(), request.uri());
        match Form::from_request(request, admin).await {
            Ok(Form(filled)) => Ok(Self(filled)),
            Err(unfit) => {
                let why = unfit.source().map_or_else(|| unfit.body_text(), ToString::to_string);
                Err(denied(frame, StatusCode::BAD_REQUEST, &Denied::BodyUnfit { why }))
            }
        }
    }
}

/// A page for a browser, a problem for a machine.
fn nothing(
    frame: Frame,
    (headers, uri): (&HeaderMap, &Uri),
    (status, why): (StatusCode, &Denied),
) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if uri.path().starts_with("/api/") || !accepted.is_some_and(|types| types.contains("text/html"))
    {
        return Problem::denied(status, why.clone()).into_response();
    }
    let mut response = denied(frame, status, why);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
    response
}

/// Caches must not give one language's page for the other's.
async fn in_language(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    response
}

/// What surrounds every page.
pub(super) struct Frame {
    lang: Language,
    w: &'static Words,
    gateway: String,
    who: Option<String>,
    may_decide: bool,
    may_engineer: bool,
    has_users: bool,
    /// The machine's, for pages without the script.
    zone: Arc<Zone>,
    /// The page's own address, for the language's form.
    here: String,
    /// Where the form is that was sent, unless it is on the first page.
    came_from: Option<String>,
}

impl FromRequestParts<Arc<Admin>> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, admin: &Arc<Admin>) -> Result<Self, Infallible> {
        Ok(Self::new(admin, &Asker::of(&parts.extensions), &parts.headers, &parts.uri))
    }
}

impl Frame {
    fn new(admin: &Admin, asker: &Asker, headers: &HeaderMap, uri: &Uri) -> Self {
        let lang = language(headers);
        let here = readable(uri);
        Self {
            lang,
            w: words(lang),
            gateway: shown(&admin.info.gateway),
            who: asker.who.as_ref().map(|actor| shown(&actor.name)),
            may_decide: asker.may(Role::Decide),
            may_engineer: asker.may(Role::Engineer),
            has_users: admin.access.has_users(),
            zone: admin.queue.zone(),
            came_from: (here != "/" && here != asked_for(uri)).then(|| here.clone()),
            here,
        }
    }

    /// The language that is not this page's.
    fn other(&self) -> &'static str {
        match self.lang {
            Language::English => Language::Arabic.code(),
            Language::Arabic => Language::English.code(),
        }
    }

    /// As part of another address.
    fn here_encoded(&self) -> String {
        encoded(if self.is_at("/sign-in") { "/" } else { &self.here })
    }

    /// A time for people without the script, by the machine's zone.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand values on by reference")]
    fn local(&self, at: &Moment) -> String {
        self.zone.shown(at.0)
    }

    fn is_at(&self, path: &str) -> bool {
        self.here.split('?').next() == Some(path)
    }
}

/// The address at which this one can be read: a form's own leads nowhere.
fn readable(uri: &Uri) -> String {
    let mut parts = uri.path().split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(page @ ("redemptions" | "jobs")), Some(name), Some(_)) => format!("/{page}/{name}"),
        (Some("lanes" | "sign-out" | "language"), ..) => "/".to_owned(),
        (Some("bulk"), ..) if uri.query().is_none() => "/inbox".to_owned(),
        _ => asked_for(uri).to_owned(),
    }
}

fn asked_for(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |asked| asked.as_str())
}

/// The language that was chosen, else the one that the browser likes best.
fn language(headers: &HeaderMap) -> Language {
    let chosen = cookie::of(headers, cookie::LANGUAGE).and_then(|code| code.parse().ok());
    let wished = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    chosen.unwrap_or_else(|| Language::from_accept_language(wished))
}

/// A string from outside as it may stand in a page: the template escapes it, this takes what turns
/// or hides it.
fn shown(text: &str) -> String {
    crate::text::escaped(text).into_owned()
}

/// A sentence of ours with strings from outside in it, each of which it keeps apart by U+2068 and
/// U+2069: those stay.
fn sentence(text: &str) -> String {
    let parts = text.split_inclusive(['\u{2068}', '\u{2069}']);
    let part = |part: &str| match part.char_indices().next_back() {
        Some((at, mark @ ('\u{2068}' | '\u{2069}'))) => {
            format!("{}{mark}", shown(part.get(..at).unwrap_or_default()))
        }
        Some(_) | None => shown(part),
    };
    parts.map(part).collect()
}

/// A text that begins a line of its own.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first: String =
        letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    first + letters.as_str()
}

/// A time for the template, Unix milliseconds: the script shows it in the browser's zone, without
/// it the machine's stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(i64);

impl Moment {
    /// A time that the gateway has written itself.
    fn read(text: &str) -> Option<Self> {
        say::ms_of(text).map(Self)
    }

    /// For `datetime=`.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand values on by reference")]
    fn iso(&self) -> String {
        rfc3339(self.0)
    }
}

/// `text` as one part of an address.
fn encoded(text: &str) -> String {
    percent_encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}

/// An address of this console that a form brought; anything else is the first page.
fn own_path(to: &str) -> &str {
    let is_own = to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { to } else { "/" }
}

/// A short name for what these texts are together.
fn mark_of(parts: &[&str]) -> String {
    written(Fingerprint::of(parts)).chars().take(12).collect()
}

/// Renders a page.
fn rendered(status: StatusCode, page: &impl Template) -> Response {
    let html = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    match page.render() {
        Ok(text) => (status, html, text).into_response(),
        // Only a page's own values can make it fail, and none of them does.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A page with one message.
#[derive(Template)]
#[template(path = "told.html")]
struct MessagePage {
    f: Frame,
    title: &'static str,
    text: String,
}

fn told(frame: Frame, status: StatusCode, text: String) -> Response {
    let title =
        if status == StatusCode::NOT_FOUND { frame.w.not_found } else { frame.w.refused_title };
    rendered(status, &MessagePage { f: frame, title, text })
}

/// A page that says why something was not done.
fn denied(frame: Frame, status: StatusCode, why: &Denied) -> Response {
    let text = sentence(&why.text(frame.lang));
    // A fault of a filter begins with the field's name.
    let text = if matches!(why, Denied::Filter { .. }) { text } else { capital(&text) };
    told(frame, status, text)
}

fn unavailable(frame: Frame, error: QueueError) -> Response {
    denied(frame, StatusCode::SERVICE_UNAVAILABLE, &Problem::from(error).told())
}

/// As [`unavailable`], of a page that was only to be looked at.
fn unshown(frame: Frame, error: QueueError) -> Response {
    let text = capital(&sentence(&Problem::from(error).told().text(frame.lang)));
    let title = frame.w.unshown_title;
    rendered(StatusCode::SERVICE_UNAVAILABLE, &MessagePage { f: frame, title, text })
}
