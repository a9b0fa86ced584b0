//! Attempts over plain connections: headers, bounds, failures, the token.

use std::time::Duration;

use bytes::Bytes;
use redeemd::redemption::Answer;
use redeemd::settings::{Auth, SecretSource};
use redeemd::verdict::Phase;
use tokio::net::TcpListener;

use crate::server::{Reaction, Server, answer, ok};
use crate::{BODY, Bench, answered, attempt, failed};

#[tokio::test]
async fn an_attempt_carries_the_stored_bytes_and_says_which_it_is() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let reply = answered(here.upstream(&server.url("/api/redeem?x=1")).redeem(&attempt()).await);
    assert_eq!(reply.answer, Answer::success());
    assert!(!reply.truncated);
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /api/redeem?x=1 HTTP/1.1");
    assert_eq!(seen.body(), BODY);
    let version = concat!("redeemd/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", "Bearer first-token"),
        ("idempotency-key", attempt().id.as_str()),
        ("redeemd-attempt", "3"),
        ("redeemd-accepted-at", "2026-11-01T10:00:00Z"),
        ("user-agent", version),
        ("content-length", &BODY.len().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in &expected {
        assert_eq!(seen.header(name), Some(value.as_str()), "{name}");
    }
    let unexpected: Vec<_> =
        seen.headers.iter().filter(|(name, _)| name != "host" && !expected.iter().any(|(n, _)| n == name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test]
async fn an_answer_is_handed_on_with_the_headers_that_the_verdict_reads() {
    let headers = "retry-after: 7\r\ndate: D\r\nwww-authenticate: Basic\r\nwww-authenticate: Bearer\r\n";
    let server = Server::plain(move |_| answer(429, headers, "slow")).await;
    let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
    assert_eq!(reply.answer, Answer { status: 429, content_type: None, body: "slow".into() });
    assert_eq!(reply.retry_after.as_deref(), Some("7"));
    assert_eq!(reply.date.as_deref(), Some("D"));
    assert_eq!(reply.www_authenticate.as_deref(), Some("Basic, Bearer"));
}

#[tokio::test]
async fn a_check_is_relayed_without_an_idempotency_key_and_only_where_there_is_one() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    assert!(here.upstream(&server.url("/")).check(Bytes::from_static(b"{}")).await.is_none());
    let mut provider = here.provider(&server.url("/"));
    provider.check_url = Some(server.url("/check"));
    let reply = answered(here.upstream_of(&provider).check(Bytes::from_static(b"{\"a\":1}")).await.unwrap());
    assert_eq!(reply.answer.status, 200);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].line.as_str(), seen[0].body()), ("POST /check HTTP/1.1", "{\"a\":1}"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer first-token"));
    assert_eq!(seen[0].header("idempotency-key"), None);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::plain(move |_| answer(status, "location: /elsewhere\r\n", "")).await;
        let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
        assert_eq!(reply.answer.status, status);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_server_fault_is_not_tried_again_by_itself() {
    let server = Server::plain(|_| answer(503, "retry-after: 0\r\n", "")).await;
    let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
    assert_eq!(reply.answer.status, 503);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_the_connects_failure_and_no_byte_left() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = failed(Bench::new().upstream(&format!("http://{address}/secret-path")).redeem(&attempt()).await);
    assert_eq!((failure.phase, failure.bytes_may_have_left, failure.deadline), (Phase::Connect, false, false));
    assert!(failure.detail.contains(&address.to_string()), "{}", failure.detail);
    assert!(failure.detail.contains("Connection refused"), "{}", failure.detail);
    assert!(!failure.detail.contains("secret"), "{}", failure.detail);
}

#[tokio::test]
async fn a_name_without_an_address_is_the_resolvers_failure_and_no_byte_left() {
    let failure = failed(Bench::new().upstream("http://name.invalid/").redeem(&attempt()).await);
    assert_eq!((failure.phase, failure.bytes_may_have_left), (Phase::Resolve, false), "{}", failure.detail);
    assert!(failure.detail.starts_with("cannot resolve name.invalid: "), "{}", failure.detail);
}

#[tokio::test]
async fn a_name_is_resolved_for_the_connection() {
    let server = Server::plain(|_| ok()).await;
    let url = format!("http://localhost:{}/", server.address.port());
    assert_eq!(answered(Bench::new().upstream(&url).redeem(&attempt()).await).answer.status, 200);
}

#[tokio::test]
async fn a_connection_that_ends_without_a_whole_answer_may_have_delivered() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}".to_owned();
    let endings: [fn(String) -> Reaction; 2] = [Reaction::Reset, Reaction::Close];
    for ending in endings {
        for text in [String::new(), "HTTP/1.1 200 OK\r\nconte".to_owned(), head.clone()] {
            let server = Server::plain(move |_| ending(text.clone())).await;
            let failure = failed(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
            assert_eq!((failure.phase, failure.deadline), (Phase::Answer, false), "{}", failure.detail);
            assert!(failure.bytes_may_have_left);
            assert_eq!(server.seen().len(), 1, "an attempt is sent once");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_may_have_been_delivered() {
    let server = Server::plain(|_| Reaction::Close("220 mail.example ESMTP\r\n".to_owned())).await;
    let failure = failed(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
    assert_eq!((failure.phase, failure.bytes_may_have_left), (Phase::Answer, true));
}

#[tokio::test]
async fn a_deadline_after_the_request_is_the_answers() {
    for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"] {
        let server = Server::plain(|_| Reaction::Hang(text.to_owned())).await;
        let here = Bench::new();
        let mut provider = here.provider(&server.url("/"));
        provider.timeout = Duration::from_millis(300);
        let failure = failed(here.upstream_of(&provider).redeem(&attempt()).await);
        assert_eq!((failure.phase, failure.deadline), (Phase::Answer, true), "{text:?}");
        assert!(failure.bytes_may_have_left);
    }
}

#[tokio::test]
async fn a_deadline_while_nobody_takes_the_bytes_is_the_writes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = Bench::new();
    let mut provider = here.provider(&format!("http://{}/", listener.local_addr().unwrap()));
    provider.timeout = Duration::from_millis(500);
    // Far beyond what the two sockets' buffers hold; the connection waits in the listener's queue.
    let body = Bytes::from(vec![b'x'; 64 * 1024 * 1024]);
    let failure = failed(here.upstream_of(&provider).redeem(&redeemd::upstream::Attempt { body, ..attempt() }).await);
    assert_eq!((failure.phase, failure.deadline, failure.bytes_may_have_left), (Phase::Write, true, true));
}

#[tokio::test]
async fn a_deadline_before_the_peers_first_answer_is_the_connects() {
    // Nobody accepts, and the queue of one is full: the kernel drops what would be the next handshake.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    for scheme in ["http", "https"] {
        let here = Bench::new();
        let mut provider = here.provider(&format!("{scheme}://{address}/"));
        provider.timeout = Duration::from_millis(300);
        let failure = failed(here.upstream_of(&provider).redeem(&attempt()).await);
        assert_eq!((failure.phase, failure.deadline, failure.bytes_may_have_left), (Phase::Connect, true, false));
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_no_further() {
    let limit = Answer::BODY_BYTES_MAX;
    for (length, truncated) in [(limit, false), (limit + 1, true)] {
        let server = Server::plain(move |_| answer(200, "", &"x".repeat(length))).await;
        let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
        assert_eq!((reply.answer.body.len(), reply.truncated), (limit, truncated));
    }
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit_long_before_the_deadline() {
    let server = Server::plain(|_| Reaction::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned())).await;
    let started = tokio::time::Instant::now();
    let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
    assert_eq!((reply.answer.body.len(), reply.truncated), (Answer::BODY_BYTES_MAX, true));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked_nor_asked_for() {
    let server = Server::plain(|_| answer(200, "content-encoding: gzip\r\n", "not gzip")).await;
    let reply = answered(Bench::new().upstream(&server.url("/")).redeem(&attempt()).await);
    assert_eq!(reply.answer.body, "not gzip");
    assert_eq!(server.seen()[0].header("accept-encoding"), None);
}

#[tokio::test]
async fn connections_are_shared_until_the_pool_is_dropped() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    for _ in 0..3 {
        answered(upstream.redeem(&attempt()).await);
    }
    assert_eq!(server.connections(), 1);
    upstream.drop_pool();
    for _ in 0..3 {
        answered(upstream.redeem(&attempt()).await);
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_next_attempt_carries_the_token_that_the_file_holds_then() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    answered(upstream.redeem(&attempt()).await);
    here.write_token("other-token");
    answered(upstream.redeem(&attempt()).await);
    // As a rotation tool does it: beside, then in its place.
    std::fs::write(here.path("token.new"), "third-token").unwrap();
    std::fs::rename(here.path("token.new"), here.path("token")).unwrap();
    answered(upstream.redeem(&attempt()).await);
    let sent: Vec<_> = server.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer first-token", "Bearer other-token", "Bearer third-token"]);
}

#[tokio::test]
async fn a_credential_of_systemd_is_a_file_in_its_directory() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    std::fs::create_dir(here.path("credentials")).unwrap();
    std::fs::write(here.path("credentials/retm"), "from-systemd").unwrap();
    let mut provider = here.provider(&server.url("/"));
    provider.auth = Auth::Token(SecretSource::Credential("retm".to_owned()));
    answered(here.upstream_of(&provider).redeem(&attempt()).await);
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer from-systemd"));
    provider.auth = Auth::Token(SecretSource::Credential("../token".to_owned()));
    assert_eq!(failed(here.upstream_of(&provider).redeem(&attempt()).await).phase, Phase::Credential);
}

#[tokio::test]
async fn without_a_readable_token_nothing_is_sent_and_the_reason_shows_no_secret() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    let too_long = "sec".repeat(10_000);
    for content in [&b""[..], b" \n", b"two words", b"sec\xffret", b"sec\x01ret", too_long.as_bytes()] {
        std::fs::write(here.path("token"), content).unwrap();
        let failure = failed(upstream.redeem(&attempt()).await);
        assert_eq!((failure.phase, failure.bytes_may_have_left), (Phase::Credential, false));
        assert!(failure.detail.contains("/token: "), "{}", failure.detail);
        assert!(!failure.detail.contains("sec") && !failure.detail.contains("two"), "{}", failure.detail);
    }
    std::fs::remove_file(here.path("token")).unwrap();
    assert!(failed(upstream.redeem(&attempt()).await).detail.contains("No such file"));
    assert_eq!(server.connections(), 0);
    here.write_token("back");
    answered(upstream.redeem(&attempt()).await);
}

#[tokio::test]
async fn another_token_in_the_file_is_noticed_and_the_same_one_written_again_is_not() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    answered(upstream.redeem(&attempt()).await);
    here.write_token("first-token");
    let looked_twice = Duration::from_millis(2100);
    assert!(tokio::time::timeout(looked_twice, upstream.credential_changed()).await.is_err());
    let noticed = async {
        tokio::join!(upstream.credential_changed(), async { here.write_token("other-token") });
    };
    tokio::time::timeout(Duration::from_secs(3), noticed).await.unwrap();
    answered(upstream.redeem(&attempt()).await);
    assert!(tokio::time::timeout(Duration::from_millis(100), upstream.credential_changed()).await.is_err());
}

#[tokio::test]
async fn a_token_that_becomes_readable_is_noticed() {
    let here = Bench::new();
    let upstream = here.upstream("http://127.0.0.1:9/");
    std::fs::remove_file(here.path("token")).unwrap();
    failed(upstream.redeem(&attempt()).await);
    assert!(tokio::time::timeout(Duration::from_millis(100), upstream.credential_changed()).await.is_err());
    here.write_token("first-token");
    tokio::time::timeout(Duration::from_secs(3), upstream.credential_changed()).await.unwrap();
    // Told once: a lane without rows has nothing to try it with, and must not be told for ever.
    assert!(tokio::time::timeout(Duration::from_millis(100), upstream.credential_changed()).await.is_err());
}

#[test]
fn no_debug_output_shows_a_secret() {
    let here = Bench::new();
    let shown = format!("{:?} {:?}", here.upstream("http://127.0.0.1:9/"), here.context());
    assert!(!shown.contains("first-token"), "{shown}");
}

/// The environment of a running test cannot be changed safely, so another process runs one of these tests.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "attempts::an_attempt_carries_the_stored_bytes_and_says_which_it_is"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    let output = command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}
