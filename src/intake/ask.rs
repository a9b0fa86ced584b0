//! What a till asks: its route, its headers and its body, with every fault in the contract's shape.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use super::check::CheckLane;
use super::{BODY_WITHIN, Current, reply};
use crate::contract::{self, Check};
use crate::listen::{BodyFault, Inbound};
use crate::message::{Fault, Language, Refusal};
use crate::redemption::Id;
use crate::refused::{self, Reason};
use crate::settings::Provider;
use crate::store::NewRedemption;

const REDEMPTIONS: &str = "/redemptions/";

/// The answer to a request that asks for nothing; an answer is large beside what is asked.
pub(super) type RefusedResponse = Box<Response>;

/// Why a Redeem is not decided as a new one.
#[derive(Debug)]
pub(super) enum NotDecided {
    /// It asks for nothing.
    Refused(RefusedResponse),
    /// No provider serves its business. It may repeat what was asked while one did.
    Unserved(Box<NewRedemption>),
}

impl From<Response> for NotDecided {
    fn from(answer: Response) -> Self {
        Self::Refused(answer.into())
    }
}

impl From<RefusedResponse> for NotDecided {
    fn from(answer: RefusedResponse) -> Self {
        Self::Refused(answer)
    }
}

/// What a method on a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TillRoute {
    Redeem,
    Check,
    Receipt(Id),
    Void(Id),
}

/// The path of a request as the log may have it: no id, and nothing that a stranger made up.
pub(super) fn known_path<'a>(current: &'a Current, path: &str) -> &'a str {
    match path {
        _ if path == current.redeem_path => &current.redeem_path,
        _ if path == current.check_path => &current.check_path,
        _ if path.starts_with(REDEMPTIONS) => "/redemptions/ID",
        _ => "an unknown path",
    }
}

/// What is asked, or the answer to what does not exist.
pub(super) fn route(
    current: &Current,
    head: &Parts,
    language: Language,
) -> Result<TillRoute, RefusedResponse> {
    let (method, path) = (&head.method, head.uri.path());
    let post = |asked| {
        if method == Method::POST { Ok(asked) } else { Err(wrong_method("POST", language).into()) }
    };
    if path == current.redeem_path {
        return post(TillRoute::Redeem);
    }
    if path == current.check_path {
        return post(TillRoute::Check);
    }
    let Some(id) = path.strip_prefix(REDEMPTIONS) else {
        return Err(reply::refuse(StatusCode::NOT_FOUND, &Refusal::NoSuchPath, language).into());
    };
    let asked = match *method {
        Method::GET | Method::HEAD => TillRoute::Receipt,
        Method::DELETE => TillRoute::Void,
        _ => return Err(wrong_method("GET, HEAD, DELETE", language).into()),
    };
    Id::parse(id).map(asked).ok_or_else(|| unknown_redemption(language).into())
}

fn wrong_method(allowed: &'static str, language: Language) -> Response {
    let why = Refusal::WrongMethod { allowed: allowed.to_owned() };
    let mut answer = reply::refuse(StatusCode::METHOD_NOT_ALLOWED, &why, language);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// There is none, or it is another till's.
pub(super) fn unknown_redemption(language: Language) -> Response {
    reply::refuse(StatusCode::NOT_FOUND, &Refusal::UnknownRedemption, language)
}

/// Reads a Redeem, ready to be decided.
pub(super) async fn redemption(
    current: &Current,
    till: Arc<str>,
    headers: &HeaderMap,
    inbound: &mut Inbound,
) -> Result<NewRedemption, NotDecided> {
    let language = current.tills.language(&till, headers);
    let body = body(current, headers, inbound, language).await?;
    let (key, request) = match (key(headers), contract::parse(body)) {
        (Ok(key), Ok(request)) => (key, request),
        (key, request) => {
            let faults = request.map_or_else(Vec::from, |_| Vec::new());
            return Err(invalid(key.err().into_iter().chain(faults).collect(), language).into());
        }
    };
    let beyond =
        current.tills.beyond_binding(&till, &request.business_refrence, Some(&request.branch_id));
    let till = till.to_string();
    if beyond.is_empty() && current.lane(&request.business_refrence).is_none() {
        let lane = String::new();
        return Err(NotDecided::Unserved(Box::new(NewRedemption { till, key, lane, request })));
    }
    let lane = lane(current, beyond, &request.business_refrence, language)?.name.clone();
    Ok(NewRedemption { till, key, lane, request })
}

/// The refusal of a business that no provider serves.
pub(super) fn unserved(language: Language) -> Response {
    invalid(vec![Fault::NoLane], language)
}

/// Reads a Check Reward and finds its lane.
pub(super) async fn check(
    current: &Current,
    till: &str,
    headers: &HeaderMap,
    inbound: &mut Inbound,
) -> Result<(CheckLane, Check), RefusedResponse> {
    let language = current.tills.language(till, headers);
    let body = body(current, headers, inbound, language).await?;
    let check = contract::parse_check(body).map_err(|faults| invalid(faults.into(), language))?;
    let beyond = current.tills.beyond_binding(till, &check.business_refrence, None);
    let Provider { name, timeout, .. } = lane(current, beyond, &check.business_refrence, language)?;
    Ok((CheckLane { name: name.clone(), timeout: *timeout }, check))
}

fn invalid(faults: Vec<Fault>, language: Language) -> Response {
    malformed(StatusCode::BAD_REQUEST, faults, language)
}

fn malformed(status: StatusCode, faults: Vec<Fault>, language: Language) -> Response {
    let why = Refusal::Malformed { faults };
    refused::count(why.reason().unwrap_or(Reason::Malformed));
    reply::refuse(status, &why, language)
}

/// The lane for `business`, unless the till asks `beyond` what it is set up for.
fn lane<'a>(
    current: &'a Current,
    beyond: Vec<Fault>,
    business: &str,
    language: Language,
) -> Result<&'a Provider, RefusedResponse> {
    let lane = current.lane(business).filter(|_| beyond.is_empty());
    lane.ok_or_else(|| {
        let faults = if beyond.is_empty() { vec![Fault::NoLane] } else { beyond };
        invalid(faults, language).into()
    })
}

/// The whole body, if its headers let it be JSON.
async fn body(
    current: &Current,
    headers: &HeaderMap,
    inbound: &mut Inbound,
    language: Language,
) -> Result<Bytes, RefusedResponse> {
    if !is_json(headers) {
        refused::count(Reason::Malformed);
        return Err(reply::refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &Refusal::MediaType,
            language,
        )
        .into());
    }
    inbound.whole(current.max_body_bytes, BODY_WITHIN).await.map_err(|fault| {
        let (status, fault) = match fault {
            BodyFault::TooLarge { max_bytes } => {
                let bytes_max = u64::try_from(max_bytes).unwrap_or(u64::MAX);
                (StatusCode::PAYLOAD_TOO_LARGE, Fault::BodyTooLarge { bytes_max })
            }
            BodyFault::TooSlow { within_s } => {
                (StatusCode::REQUEST_TIMEOUT, Fault::BodyTooSlow { within_s })
            }
            BodyFault::Broken => (StatusCode::BAD_REQUEST, Fault::BodyBroke),
        };
        malformed(status, vec![fault], language).into()
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    contract::is_json(text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING))
}

/// The till's own name for its request, or what is wrong with it.
fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let values = headers.get_all(contract::IDEMPOTENCY_KEY).iter().map(HeaderValue::as_bytes);
    contract::key(values).map(|key| key.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        pairs.collect()
    }

    #[test]
    fn only_json_as_it_is_is_read() {
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.till+json"]
        {
            assert!(is_json(&headers(&[("content-type", good)])), "{good}");
        }
        for bad in
            ["text/json", "application/jsonx", "application/x-www-form-urlencoded", "", "json"]
        {
            assert!(!is_json(&headers(&[("content-type", bad)])), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
        assert!(!is_json(&headers(&[
            ("content-type", "application/json"),
            ("content-encoding", "gzip")
        ])));
        assert!(is_json(&headers(&[
            ("content-type", "application/json"),
            ("content-encoding", "Identity")
        ])));
    }
}
