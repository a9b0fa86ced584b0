//! What every request must pass: a loopback `Host`, JSON on a POST, no foreign origin; and what every answer carries.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::listen::Peer;

/// The console may load its own files and ask its own listener; nothing inline, nothing from elsewhere, no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The middleware.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let on_socket = request.extensions().get::<Peer>().is_some_and(|peer| peer.uid.is_some());
    let fault = if on_socket { None } else { misdirected(request.headers()) };
    let fault = fault.or_else(|| not_json(request.method(), request.headers()));
    let mut response = match fault {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    dress(response.headers_mut());
    response
}

/// A page elsewhere whose name resolves to loopback (DNS rebinding) sends its own name as `Host`; one that just
/// sends a request here, its own `Origin`.
fn misdirected(headers: &HeaderMap) -> Option<Problem> {
    let mut hosts = headers.get_all(header::HOST).iter().map(HeaderValue::to_str);
    let (Some(Ok(host)), None) = (hosts.next(), hosts.next()) else {
        return Some(Problem::new(StatusCode::BAD_REQUEST, "one Host header is needed"));
    };
    if !is_loopback(host) {
        let detail = "this listener answers to localhost, 127.0.0.0/8 and [::1] alone: the Host header names another";
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    let foreign = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() != own_origin(host).as_bytes());
    foreign.then(|| Problem::new(StatusCode::FORBIDDEN, "the request comes from another site's page"))
}

fn own_origin(host: &str) -> String {
    format!("http://{host}")
}

/// Whether `host` (with or without a port) is a loopback name or address.
fn is_loopback(host: &str) -> bool {
    if let Some(bracketed) = host.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else { return false };
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_fits && address.parse() == Ok(Ipv6Addr::LOCALHOST);
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name_fits =
        name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    name_fits && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.starts_with('+') && text.parse::<u16>().is_ok()
}

/// A form in a foreign page can post without asking, but not as `application/json`.
fn not_json(method: &Method, headers: &HeaderMap) -> Option<Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json = media_type.eq_ignore_ascii_case("application/json");
    (method == Method::POST && !is_json)
        .then(|| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a POST needs Content-Type: application/json"))
}

fn dress(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
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

    async fn ask(method: Method, path: &str, headers: &[(&str, &str)], peer: Option<Peer>) -> Response {
        let routes = Router::new().route("/view", get(|| async { "seen" })).route("/act", post(|| async { "done" }));
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
        TowerToHyperService::new(super::super::guarded(routes)).call(request).await.unwrap()
    }

    async fn status(method: Method, path: &str, headers: &[(&str, &str)], peer: Option<Peer>) -> u16 {
        ask(method, path, headers, peer).await.status().as_u16()
    }

    #[test]
    fn only_loopback_names_are_hosts() {
        for good in ["localhost", "LOCALHOST:7734", "127.0.0.1:1", "127.9.8.7", "[::1]", "[::1]:7734"] {
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
        assert_eq!(status(Method::GET, "/view", &[("host", "localhost"), ("host", "evil.example")], None).await, 400);
        assert_eq!(status(Method::GET, "/view", &[("host", "localhost:7734")], Some(TCP)).await, 200);
        assert_eq!(status(Method::GET, "/nowhere", &[("host", "evil.example")], Some(TCP)).await, 421);
    }

    #[tokio::test]
    async fn a_request_that_nobody_vouches_for_is_checked_like_tcp_and_the_socket_is_exempt() {
        assert_eq!(status(Method::GET, "/view", &[("host", "evil.example")], None).await, 421);
        assert_eq!(status(Method::GET, "/view", &[], Some(SOCKET)).await, 200);
    }

    #[tokio::test]
    async fn every_post_wants_json_on_the_socket_too() {
        let host = ("host", "localhost");
        for peer in [TCP, SOCKET] {
            assert_eq!(status(Method::POST, "/act", &[host], Some(peer)).await, 415);
            assert_eq!(status(Method::POST, "/act", &[host, ("content-type", "text/plain")], Some(peer)).await, 415);
            let json = ("content-type", "application/json; charset=utf-8");
            assert_eq!(status(Method::POST, "/act", &[host, json], Some(peer)).await, 200);
        }
    }

    #[tokio::test]
    async fn a_foreign_pages_request_is_refused() {
        let json = ("content-type", "application/json");
        let host = ("host", "localhost:7734");
        for origin in ["https://evil.example", "null", "http://localhost:3000", "https://localhost:7734"] {
            assert_eq!(status(Method::POST, "/act", &[host, json, ("origin", origin)], Some(TCP)).await, 403);
        }
        let own = ("origin", "http://localhost:7734");
        assert_eq!(status(Method::POST, "/act", &[host, json, own], Some(TCP)).await, 200);
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_problems_and_every_answer_is_dressed() {
        let host = ("host", "localhost");
        let missing = ask(Method::GET, "/nowhere", &[host], Some(TCP)).await;
        let wrong = ask(Method::DELETE, "/view", &[host], Some(TCP)).await;
        assert_eq!((missing.status().as_u16(), wrong.status().as_u16()), (404, 405));
        for answer in [missing, wrong, ask(Method::GET, "/view", &[], None).await] {
            let headers = answer.headers();
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
            assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
            assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        }
        let problem = ask(Method::GET, "/nowhere", &[host], Some(TCP)).await;
        assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
