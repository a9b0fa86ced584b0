//! What every request must pass: a `Host` of ours, no foreign origin, JSON on a POST to the API;
//! and what every answer carries.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Access, AccessRules};
use super::problem::Problem;
use crate::listen::Peer;
use crate::message::Denied;
use crate::settings::host_as_sent;

/// The console may load its own files, ask its own listener and send its forms there; nothing
/// inline, nothing from elsewhere, no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors \
    'none'";

/// The middleware.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let on_socket = request.extensions().get::<Peer>().is_some_and(|peer| peer.uid.is_some());
    let rules = access.rules();
    let fault = if on_socket { None } else { misdirected(&rules, request.headers()) };
    let fault = fault.or_else(|| unreadable(&request)).or_else(|| unfit(&request));
    let mut response = match fault {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    dress(response.headers_mut());
    response
}

/// A page elsewhere whose name resolves to this listener (DNS rebinding) sends its own name as
/// `Host`; one that just sends a request here, its own `Origin`; a browser of today says so itself
/// in `Sec-Fetch-Site`.
fn misdirected(rules: &AccessRules, headers: &HeaderMap) -> Option<Problem> {
    let mut hosts = headers.get_all(header::HOST).iter().map(HeaderValue::to_str);
    let (Some(Ok(host)), None) = (hosts.next(), hosts.next()) else {
        return Some(Problem::denied(StatusCode::BAD_REQUEST, Denied::NoHost));
    };
    if !is_loopback(host) && !is_named(rules, host) {
        return Some(Problem::denied(StatusCode::MISDIRECTED_REQUEST, Denied::ForeignHost));
    }
    let origin = own_origin(rules, host);
    let foreign =
        headers.get_all(header::ORIGIN).iter().any(|its| its.as_bytes() != origin.as_bytes());
    foreign.then(|| Problem::denied(StatusCode::FORBIDDEN, Denied::ForeignPage))
}

fn own_origin(rules: &AccessRules, host: &str) -> String {
    format!("{}://{host}", if rules.tls { "https" } else { "http" })
}

/// Whether `host`, without its port, is one of `admin.hosts`.
fn is_named(rules: &AccessRules, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        Some(_) | None => host,
    };
    !rules.hosts.is_empty() && host_as_sent(name).is_some_and(|name| rules.hosts.contains(&name))
}

/// Whether `host` (with or without a port) is a loopback name or address.
fn is_loopback(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else { return false };
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_fits && address.parse() == Ok(Ipv6Addr::LOCALHOST);
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name_fits = name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    name_fits && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<u16>().is_ok()
}

/// Nothing has a path whose escapes are no UTF-8.
fn unreadable(request: &Request) -> Option<Problem> {
    let (mut path, mut rest) = (Vec::new(), request.uri().path().as_bytes());
    while let [first, after @ ..] = rest {
        let hex =
            after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        path.push(escaped.unwrap_or(*first));
        rest = after.get(escaped.map_or(0, |_| 2)..).unwrap_or_default();
    }
    let nowhere = || Problem::denied(StatusCode::NOT_FOUND, Denied::NoPath);
    str::from_utf8(&path).is_err().then(nowhere)
}

/// The API takes JSON alone: a form in a foreign page can post without asking, but not as
/// `application/json`. The console takes its own forms, which a browser must vouch for.
fn unfit(request: &Request) -> Option<Problem> {
    if request.method() != Method::POST {
        return None;
    }
    let (headers, is_api) = (request.headers(), request.uri().path().starts_with("/api/"));
    let wanted = if is_api { "application/json" } else { "application/x-www-form-urlencoded" };
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted) {
        let told = Denied::ContentType { wanted: wanted.to_owned() };
        return Some(Problem::denied(StatusCode::UNSUPPORTED_MEDIA_TYPE, told));
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    let is_vouched_for = is_api || site.is_some() || headers.contains_key(header::ORIGIN);
    (is_foreign || !is_vouched_for)
        .then(|| Problem::denied(StatusCode::FORBIDDEN, Denied::ForeignForm))
}

/// `no-referrer` would make a browser call the origin of the console's own forms `null`.
fn dress(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::{get, post};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    const TCP: Peer = Peer { uid: None, addr: None };
    const SOCKET: Peer = Peer { uid: Some(0), addr: None };

    async fn ask(
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        peer: Option<Peer>,
    ) -> Response {
        let routes = Router::new()
            .route("/view", get(|| async { "seen" }))
            .route("/act", post(|| async { "done" }))
            .route("/api/act", post(|| async { "done" }));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().extend(
            peer.map(|peer| {
                let mut extensions = axum::http::Extensions::new();
                extensions.insert(peer);
                extensions
            })
            .unwrap_or_default(),
        );
        let own =
            ["store-042.example", "متجر.example", "FD00:0::2", "192.168.010.1", "Store.Example."];
        let hosts = own.iter().map(|host| host_as_sent(host).unwrap()).collect();
        let rules = AccessRules { hosts, ..AccessRules::default() };
        let routes = super::super::guarded(routes, Arc::new(Access::new(rules)));
        TowerToHyperService::new(routes).call(request).await.unwrap()
    }

    async fn status(
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        peer: Option<Peer>,
    ) -> u16 {
        ask(method, path, headers, peer).await.status().as_u16()
    }

    #[test]
    fn only_loopback_names_are_hosts() {
        for good in
            ["localhost", "LOCALHOST:7734", "127.0.0.1:1", "127.9.8.7", "[::1]", "[::1]:7734"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:7734",
            "[::2]",
            "[::1",
            "[::1]x",
            "::1",
            "localhost:",
            "localhost:+80",
            "localhost:99999",
            "user@localhost",
            "0x7f.1",
            "127.1",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn over_tcp_a_foreign_or_missing_host_is_refused_with_a_problem() {
        let foreign = ask(Method::GET, "/view", &[("host", "evil.example:7734")], Some(TCP)).await;
        assert_eq!(foreign.status(), 421);
        assert_eq!(foreign.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(status(Method::GET, "/view", &[], Some(TCP)).await, 400);
        assert_eq!(
            status(Method::GET, "/view", &[("host", "localhost"), ("host", "evil.example")], None)
                .await,
            400
        );
        assert_eq!(
            status(Method::GET, "/view", &[("host", "localhost:7734")], Some(TCP)).await,
            200
        );
        assert_eq!(
            status(Method::GET, "/nowhere", &[("host", "evil.example")], Some(TCP)).await,
            421
        );
    }

    #[tokio::test]
    async fn a_request_that_nobody_vouches_for_is_checked_like_tcp_and_the_socket_is_exempt() {
        assert_eq!(status(Method::GET, "/view", &[("host", "evil.example")], None).await, 421);
        assert_eq!(status(Method::GET, "/view", &[], Some(SOCKET)).await, 200);
    }

    #[tokio::test]
    async fn a_name_of_the_settings_is_a_host_with_any_port_and_in_any_case() {
        for good in ["store-042.example", "STORE-042.example:8443"] {
            assert_eq!(
                status(Method::GET, "/view", &[("host", good)], Some(TCP)).await,
                200,
                "{good}"
            );
        }
        for bad in [
            "store-042.example.evil",
            "store-042.example:x",
            "x@store-042.example",
            "store-042.example:1:2",
        ] {
            assert_eq!(
                status(Method::GET, "/view", &[("host", bad)], Some(TCP)).await,
                421,
                "{bad}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_is_a_host_as_browsers_send_it_however_the_settings_write_it() {
        for good in [
            "xn--pgbep1f.example",
            "[fd00::2]:8443",
            "[FD00:0::2]",
            "192.168.8.1:1",
            "store.example",
            "store.example.:8443",
        ] {
            let told = status(Method::GET, "/view", &[("host", good)], Some(TCP)).await;
            assert_eq!(told, 200, "{good}");
        }
        for bad in ["[fd00::3]", "192.168.10.1", "store.example%2e", "[store.example]", "."] {
            let told = status(Method::GET, "/view", &[("host", bad)], Some(TCP)).await;
            assert_eq!(told, 421, "{bad}");
        }
    }

    #[tokio::test]
    async fn every_post_to_the_api_wants_json_on_the_socket_too() {
        let host = ("host", "localhost");
        for peer in [TCP, SOCKET] {
            assert_eq!(status(Method::POST, "/api/act", &[host], Some(peer)).await, 415);
            let form = ("content-type", "application/x-www-form-urlencoded");
            assert_eq!(status(Method::POST, "/api/act", &[host, form], Some(peer)).await, 415);
            let json = ("content-type", "application/json; charset=utf-8");
            assert_eq!(status(Method::POST, "/api/act", &[host, json], Some(peer)).await, 200);
        }
    }

    #[tokio::test]
    async fn a_foreign_pages_request_is_refused() {
        let json = ("content-type", "application/json");
        let host = ("host", "localhost:7734");
        for origin in
            ["https://evil.example", "null", "http://localhost:3000", "https://localhost:7734"]
        {
            assert_eq!(
                status(Method::POST, "/api/act", &[host, json, ("origin", origin)], Some(TCP))
                    .await,
                403
            );
        }
        let own = ("origin", "http://localhost:7734");
        assert_eq!(status(Method::POST, "/api/act", &[host, json, own], Some(TCP)).await, 200);
        for site in ["cross-site", "same-site", "x"] {
            let sent = [host, json, own, ("sec-fetch-site", site)];
            assert_eq!(status(Method::POST, "/api/act", &sent, Some(TCP)).await, 403, "{site}");
        }
    }

    #[tokio::test]
    async fn a_form_is_taken_only_when_a_browser_vouches_for_its_page() {
        let form =
            [("host", "localhost:7734"), ("content-type", "application/x-www-form-urlencoded")];
        let with = |more: &[(&'static str, &'static str)]| [&form[..], more].concat();
        let own = ("origin", "http://localhost:7734");
        assert_eq!(status(Method::POST, "/act", &form, Some(TCP)).await, 403);
        assert_eq!(status(Method::POST, "/act", &with(&[own]), Some(TCP)).await, 200);
        assert_eq!(
            status(Method::POST, "/act", &with(&[own, ("sec-fetch-site", "same-origin")]), None)
                .await,
            200
        );
        assert_eq!(
            status(Method::POST, "/act", &with(&[own, ("sec-fetch-site", "same-site")]), None)
                .await,
            403
        );
        assert_eq!(status(Method::POST, "/act", &with(&[("origin", "null")]), None).await, 403);
        assert_eq!(
            status(Method::POST, "/act", &with(&[own, ("origin", "null")]), None).await,
            403
        );
        let json = [
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(status(Method::POST, "/act", &json, None).await, 415);
    }

    #[tokio::test]
    async fn a_path_that_no_text_can_be_is_nowhere_and_a_problem_document_says_so() {
        for path in ["/%ff", "/api/%FF/x", "/view%c3", "/%e0%80%80"] {
            let answer = ask(Method::GET, path, &[("host", "localhost")], Some(TCP)).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
        let host = [("host", "localhost")];
        assert_eq!(status(Method::GET, "/v%69ew", &host, Some(TCP)).await, 404, "no such route");
        assert_eq!(status(Method::GET, "/view", &host, Some(TCP)).await, 200);
    }

    #[tokio::test]
    async fn every_answer_is_dressed_those_to_unknown_paths_and_methods_too() {
        let host = ("host", "localhost");
        let missing = ask(Method::GET, "/nowhere", &[host], Some(TCP)).await;
        let wrong = ask(Method::DELETE, "/view", &[host], Some(TCP)).await;
        assert_eq!((missing.status().as_u16(), wrong.status().as_u16()), (404, 405));
        for answer in [missing, wrong, ask(Method::GET, "/view", &[], None).await] {
            let headers = answer.headers();
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(headers[header::REFERRER_POLICY], "same-origin");
            assert!(
                headers[header::CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .starts_with("default-src 'none'")
            );
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }
}
