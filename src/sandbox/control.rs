//! The control API: what was requested, which rules hold, whether the line is up.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde_json::json;

use super::answer::HttpAnswer;
use super::body::AnswerBody;
use super::books::BareAnswer;
use super::line::LineState;
use super::provider::SandboxProvider;
use super::{check_rules, parse_rules};
use crate::redemption::Secret;

/// Every control path begins so.
pub(super) const PREFIX: &str = "/sandbox/";

/// The largest control body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Requests in one listing; `after` gets the next.
const RECORDS_LISTED_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOrder {
    state: LineState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenOrder {
    token: Option<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RevokeOrder {
    refresh: bool,
}

pub(super) async fn serve(
    provider: &Arc<SandboxProvider>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let said = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) if head.method == Method::POST && path == "line" => {
            set_line(provider, &body.to_bytes()).await
        }
        Ok(body) => carry_out(provider, &head.method, &path, head.uri.query(), &body.to_bytes()),
        Err(error) => fault(400, &error.to_string()),
    };
    HttpAnswer::plain(said).into_response()
}

fn carry_out(
    provider: &SandboxProvider,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> BareAnswer {
    match (method.as_str(), path) {
        ("GET", "requests") => records(provider, query),
        ("DELETE", "requests") => {
            provider.inner().books.clear_records();
            done()
        }
        ("DELETE", "codes") => {
            provider.inner().books.forget_codes();
            done()
        }
        ("GET", "summary") => summary(provider),
        ("GET", "rules") => value(&provider.inner().rules.counts()),
        ("POST", "rules") => set_rules(provider, body),
        ("DELETE", "rules") => {
            provider.set_rules(Vec::new());
            done()
        }
        ("GET", "line") => BareAnswer::json(200, &json!({ "state": *provider.line().borrow() })),
        ("GET", "check-data") => value(&provider.inner().check_data("CODE")),
        ("POST", "check-data") => with_order(body, |data| {
            provider.inner().check_data = data;
            done()
        }),
        ("POST", "token") => with_order(body, |order: TokenOrder| {
            provider.inner().tokens.set_fixed(order.token);
            done()
        }),
        ("POST", "revoke") => {
            with_order(if body.is_empty() { b"{}" } else { body }, |order: RevokeOrder| {
                provider.inner().tokens.revoke(order.refresh);
                done()
            })
        }
        _ => fault(404, "no such control; `redeemd sandbox --help` lists them"),
    }
}

fn records(provider: &SandboxProvider, query: Option<&str>) -> BareAnswer {
    let after = match query {
        None => Ok(0),
        Some(query) => query.strip_prefix("after=").unwrap_or("?").parse(),
    };
    match after {
        Ok(after) => value(&provider.inner().books.records(after, RECORDS_LISTED_MAX)),
        Err(_) => fault(400, "the only parameter is after=NUMBER"),
    }
}

fn summary(provider: &SandboxProvider) -> BareAnswer {
    let inner = provider.inner();
    value(&inner.books.summary())
}

fn set_rules(provider: &SandboxProvider, body: &[u8]) -> BareAnswer {
    let rules = parse_rules(body)
        .and_then(|rules| check_rules(&rules, provider.options.tls.is_some()).map(|()| rules));
    match rules {
        Ok(rules) => {
            provider.set_rules(rules);
            value(&provider.inner().rules.counts())
        }
        Err(error) => fault(400, &error.to_string()),
    }
}

async fn set_line(provider: &SandboxProvider, body: &[u8]) -> BareAnswer {
    let line = match serde_json::from_slice(body) {
        Ok(LineOrder { state }) => state,
        Err(error) => return fault(400, &error.to_string()),
    };
    if line != LineState::Up && provider.options.control.is_none() {
        return fault(
            409,
            "start the sandbox with --control ADDRESS: this listener would be cut off with the \
             line",
        );
    }
    if provider.set_line(line).await {
        BareAnswer::json(200, &json!({ "state": line }))
    } else {
        fault(503, "the listener could not follow")
    }
}

fn with_order<T: serde::de::DeserializeOwned>(
    body: &[u8],
    carry_out: impl FnOnce(T) -> BareAnswer,
) -> BareAnswer {
    match serde_json::from_slice(body) {
        Ok(order) => carry_out(order),
        Err(error) => fault(400, &error.to_string()),
    }
}

fn value(value: &impl serde::Serialize) -> BareAnswer {
    match serde_json::to_value(value) {
        Ok(value) => BareAnswer::json(200, &value),
        Err(error) => fault(500, &error.to_string()),
    }
}

fn done() -> BareAnswer {
    BareAnswer::json(200, &json!({}))
}

fn fault(status: u16, why: &str) -> BareAnswer {
    BareAnswer::json(status, &json!({ "error": why }))
}
