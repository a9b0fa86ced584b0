//! Signing in and out, and the choice of a language.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Asked, Filled, Frame, capital, own_path, rendered, sentence};
use crate::admin::audit::keep;
use crate::admin::rights::Asker;
use crate::admin::session::AGE_MAX;
use crate::admin::signin::{SignIn, sign_in as signed};
use crate::admin::{Admin, cookie};
use crate::listen::Peer;
use crate::message::{Denied, Event, Language, about};

/// How long a chosen language is kept.
const LANGUAGE_KEPT_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    f: Frame,
    to: String,
    fault: Option<String>,
}

/// Where a person goes then.
#[derive(Debug, Default, Deserialize)]
pub(super) struct To {
    #[serde(default)]
    to: String,
    /// A button was pressed without a session.
    #[serde(default)]
    undone: bool,
}

/// `GET /sign-in`
pub(super) async fn page(f: Frame, Asked(To { to, undone }): Asked<To>) -> Response {
    let fault = undone.then(|| capital(&sentence(&Denied::SignedOut.text(f.lang))));
    rendered(StatusCode::OK, &SignInPage { f, to: own_path(&to).to_owned(), fault })
}

/// The sign-in's form.
#[derive(Deserialize)]
pub(super) struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    to: String,
}

/// `POST /sign-in`. The session that the browser had is over, whoever began it.
pub(super) async fn sign_in(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Filled(Credentials { name, password, to }): Filled<Credentials>,
) -> Response {
    let tls = admin.access.rules().tls;
    let from = peer.addr.map(|addr| addr.ip());
    match signed(&admin.access, &name, &password, from).await {
        SignIn::Done(id) => {
            end_session(&admin, &headers, tls);
            let address = from
                .map_or_else(|| "here".to_owned(), |address| address.to_canonical().to_string());
            keep(&admin, ("sign_in", &name), "", &Event::SignIn { address }).await;
            let mut response = Redirect::to(own_path(&to)).into_response();
            set(&mut response, cookie::set(cookie::session_name(tls), &id, tls, AGE_MAX));
            tracing::info!(name, "signed in at the console");
            response
        }
        refused @ (SignIn::Wrong | SignIn::Later(_)) => {
            let f = Frame::new(&admin, &asker, &headers, &Uri::from_static("/sign-in"));
            refusal(f, own_path(&to).to_owned(), &refused)
        }
    }
}

fn refusal(f: Frame, to: String, refused: &SignIn) -> Response {
    let SignIn::Later(wait) = refused else {
        let fault = Some(f.w.wrong.to_owned());
        return rendered(StatusCode::FORBIDDEN, &SignInPage { f, to, fault });
    };
    let seconds = wait.as_secs() + 1;
    let fault = format!("{} {}.", f.w.later, about(Duration::from_secs(seconds), f.lang));
    let mut response =
        rendered(StatusCode::TOO_MANY_REQUESTS, &SignInPage { f, to, fault: Some(fault) });
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// `POST /sign-out`
pub(super) async fn sign_out(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
) -> Response {
    let tls = admin.access.rules().tls;
    end_session(&admin, &headers, tls);
    if asker.who.as_ref().is_some_and(|actor| actor.signed_in) {
        keep(&admin, ("sign_out", asker.name()), "", &Event::SignOut).await;
    }
    let mut response = Redirect::to("/").into_response();
    set(&mut response, cookie::set(cookie::session_name(tls), "", tls, Duration::ZERO));
    response
}

fn end_session(admin: &Admin, headers: &HeaderMap, tls: bool) {
    if let Some(id) = cookie::of(headers, cookie::session_name(tls)) {
        admin.access.sessions.end(id);
    }
}

#[derive(Deserialize)]
pub(super) struct Choice {
    language: String,
    #[serde(default)]
    to: String,
}

/// `POST /language`
pub(super) async fn language(
    State(admin): State<Arc<Admin>>,
    Filled(Choice { language, to }): Filled<Choice>,
) -> Response {
    let mut response = Redirect::to(own_path(&to)).into_response();
    if let Ok(language) = language.parse::<Language>() {
        let tls = admin.access.rules().tls;
        set(&mut response, cookie::set(cookie::LANGUAGE, language.code(), tls, LANGUAGE_KEPT_FOR));
    }
    response
}

fn set(response: &mut Response, line: Option<HeaderValue>) {
    if let Some(line) = line {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
}
