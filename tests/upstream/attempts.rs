//! Attempts over plain connections: headers, bounds, failures, the token.

use std::time::Duration;

use bytes::Bytes;
use redeemd::redemption::Answer;
use redeemd::settings::{Auth, SecretSource};
use redeemd::verdict::{Outcome, Phase, Rules, Verdict, judge};
use tokio::net::TcpListener;

use crate::server::{Reaction, Server, answer, ok, text};
use crate::{
    BODY, Bench, answer_of, answered, attempt, comes, failed, failure_of, nothing_left, unwatched,
};

#[tokio::test]
async fn an_attempt_carries_the_stored_bytes_and_says_which_it_is() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let reply = answer_of(&here.upstream(&server.url("/api/redeem?x=1"))).await;
    assert_eq!(reply.answer, Answer::success());
    assert!(!reply.truncated && reply.framed);
    assert_eq!(reply.content_encoding, None);
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /api/redeem?x=1 HTTP/1.1");
    assert_eq!(seen.body(), BODY);
    let version = concat!("redeemd/", env!("CARGO_PKG_VERSION"));
    let expected = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("accept-language", "en"),
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
    let unexpected: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| name != "host" && !expected.iter().any(|(n, _)| n == name))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test]
async fn an_answer_is_handed_on_with_the_headers_that_the_verdict_reads() {
    let headers =
        "retry-after: 7\r\ndate: D\r\nwww-authenticate: Basic\r\nwww-authenticate: Bearer\r\n";
    let server = Server::plain(move |_| answer(429, headers, "slow")).await;
    let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
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
    let reply = answered(
        here.upstream_of(&provider).check(Bytes::from_static(b"{\"a\":1}")).await.unwrap(),
    );
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
        let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
        assert_eq!(reply.answer.status, status);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_server_fault_is_not_tried_again_by_itself() {
    let server = Server::plain(|_| answer(503, "retry-after: 0\r\n", "")).await;
    let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
    assert_eq!(reply.answer.status, 503);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_the_connects_failure_and_no_byte_left() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure =
        failure_of(&Bench::new().upstream(&format!("http://{address}/secret-path"))).await;
    assert_eq!(
        (failure.phase, failure.bytes_may_have_left, failure.deadline),
        (Phase::Connect, false, false)
    );
    assert!(failure.detail.contains(&address.to_string()), "{}", failure.detail);
    assert!(failure.detail.contains("Connection refused"), "{}", failure.detail);
    assert!(!failure.detail.contains("secret"), "{}", failure.detail);
}

#[tokio::test]
async fn a_name_without_an_address_is_the_resolvers_failure_and_no_byte_left() {
    let failure = failure_of(&Bench::new().upstream("http://name.invalid/")).await;
    nothing_left(&failure, Phase::Resolve);
    assert!(failure.detail.starts_with("cannot resolve name.invalid: "), "{}", failure.detail);
}

#[tokio::test]
async fn a_name_is_resolved_for_the_connection() {
    let server = Server::plain(|_| ok()).await;
    let url = format!("http://localhost:{}/", server.address.port());
    assert_eq!(answer_of(&Bench::new().upstream(&url)).await.answer.status, 200);
}

#[tokio::test]
async fn a_connection_that_ends_without_a_whole_answer_may_have_delivered() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}".to_owned();
    let endings: [fn(String) -> Reaction; 2] = [Reaction::Reset, Reaction::Close];
    for ending in endings {
        for text in [String::new(), "HTTP/1.1 200 OK\r\nconte".to_owned(), head.clone()] {
            let is_cut = text == head;
            let server = Server::plain(move |_| ending(text.clone())).await;
            let progress = unwatched();
            let failure =
                failed(Bench::new().upstream(&server.url("/")).redeem(&attempt(), &progress).await);
            assert_eq!(
                (failure.phase, failure.deadline),
                (Phase::Answer, false),
                "{}",
                failure.detail
            );
            assert!(failure.bytes_may_have_left && failure.sent_whole && progress.is_whole());
            assert_eq!(failure.detail.contains("was cut"), is_cut, "{}", failure.detail);
            assert_eq!(server.seen().len(), 1, "an attempt is sent once");
        }
    }
}

#[tokio::test]
async fn an_answer_whose_end_did_not_come_is_cut_and_never_an_answer() {
    let heads = [
        "content-length: 4\r\n\r\n",
        "content-length: 4\r\n\r\n{}",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\n{}",
    ];
    for head in heads {
        let server =
            Server::plain(move |_| Reaction::Close(format!("HTTP/1.1 200 OK\r\n{head}"))).await;
        let failure = failure_of(&Bench::new().upstream(&server.url("/"))).await;
        assert!(failure.sent_whole && failure.bytes_may_have_left, "{head:?}: {failure:?}");
        assert!(failure.detail.contains("was cut"), "{}", failure.detail);
    }
}

#[tokio::test]
async fn an_end_that_only_the_connections_end_told_is_no_frame() {
    let answers = [
        ("200 OK\r\n\r\n", false, ""),
        ("200 OK\r\n\r\n{}", false, "{}"),
        ("200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}", false, "{}"),
        ("200 OK\r\ncontent-length: 0\r\n\r\n", true, ""),
        ("200 OK\r\ncontent-length: 2\r\n\r\n{}", true, "{}"),
        ("204 No Content\r\n\r\n", true, ""),
        ("200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", true, ""),
        ("200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true, "{}"),
    ];
    for (text, framed, body) in answers {
        let server = Server::plain(move |_| Reaction::Close(format!("HTTP/1.1 {text}"))).await;
        let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
        assert_eq!(
            (reply.framed, reply.answer.body.as_ref()),
            (framed, body.as_bytes()),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn the_language_is_the_settings() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let mut provider = here.provider(&server.url("/"));
    provider.accept_language = "ar, en;q=0.5".to_owned();
    answer_of(&here.upstream_of(&provider)).await;
    assert_eq!(server.seen()[0].header("accept-language"), Some("ar, en;q=0.5"));
}

#[tokio::test]
async fn an_attempt_on_the_wire_tells_when_it_was_wholly_sent() {
    let server = Server::plain(|_| Reaction::Hang(String::new())).await;
    let here = Bench::new();
    let (upstream, progress, mine) = (here.upstream(&server.url("/")), unwatched(), attempt());
    let seen = async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    assert!(!progress.is_whole());
    tokio::select! {
        outcome = upstream.redeem(&mine, &progress) => panic!("nobody answers: {outcome:?}"),
        () = seen => assert!(progress.is_whole(), "the server has read it"),
    }
}

#[tokio::test]
async fn an_attempt_that_found_no_connection_was_not_sent() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let progress = unwatched();
    let failure = failed(
        Bench::new().upstream(&format!("http://{address}/")).redeem(&attempt(), &progress).await,
    );
    assert!(!failure.sent_whole && !progress.is_whole());
}

#[tokio::test]
async fn the_gateways_own_check_names_a_code_that_nobody_was_given() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    assert!(
        here.upstream(&server.url("/")).canary(&unwatched()).await.is_none(),
        "without check_url"
    );
    let mut provider = here.provider(&server.url("/"));
    provider.check_url = Some(server.url("/check"));
    let upstream = here.upstream_of(&provider);
    let body = Bytes::from_static(br#"{"reward_code":"AB-12345678","business_refrence":"shoes"}"#);
    let taken = redeemd::upstream::RedeemAttempt { body, ..attempt() };
    answered(upstream.redeem(&taken, &unwatched()).await);
    upstream.taken(&taken.body);
    assert_eq!(answered(upstream.canary(&unwatched()).await.unwrap()).answer.status, 200);
    let seen = server.seen();
    let sent: serde_json::Value = serde_json::from_str(seen[1].body()).unwrap();
    assert_eq!(
        (seen[1].line.as_str(), &sent["business_refrence"]),
        ("POST /check HTTP/1.1", &"shoes".into())
    );
    let code = sent["reward_code"].as_str().unwrap();
    assert!(code.len() == 11 && code.as_bytes()[2] == b'-' && code != "AB-12345678", "{code}");
    assert_eq!(seen[1].header("idempotency-key"), None);
    assert_eq!(seen[1].header("authorization"), Some("Bearer first-token"));
    provider.canary = false;
    assert!(
        here.upstream_of(&provider).canary(&unwatched()).await.is_none(),
        "the settings want none"
    );
}

#[tokio::test]
async fn the_gateways_own_check_repeats_nothing_of_a_redemption_that_was_not_taken() {
    // A firewall may say no in a 200 as well: who judges the answer says what was taken.
    let page = "<html>Request Rejected</html>";
    let server =
        Server::plain(
            move |seen| {
                if seen.line.contains("check") { ok() } else { answer(200, "", page) }
            },
        )
        .await;
    let here = Bench::new();
    let mut provider = here.provider(&server.url("/"));
    provider.check_url = Some(server.url("/check"));
    let upstream = here.upstream_of(&provider);
    let body = Bytes::from_static(
        br#"{"reward_code":"trip-the-firewall","business_refrence":"' OR 1=1"}"#,
    );
    answered(
        upstream
            .redeem(&redeemd::upstream::RedeemAttempt { body, ..attempt() }, &unwatched())
            .await,
    );
    answered(upstream.canary(&unwatched()).await.unwrap());
    let check = server.seen()[1].body().to_owned();
    assert!(!check.contains("OR 1") && !check.contains('-'), "{check}");
}

#[tokio::test]
async fn a_header_that_is_folded_or_has_a_space_before_its_colon_is_read_and_one_of_many_too() {
    let many = "x-a: a\r\n".repeat(90);
    for headers in ["x-a: a\r\n b\r\n", "x-a : a\r\n", many.as_str()] {
        let headers = format!("{headers}content-type: application/json\r\n");
        let server = Server::plain(move |_| answer(200, &headers, "{}")).await;
        let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
        assert_eq!(reply.answer.content_type.as_deref(), Some("application/json"));
        assert_eq!((reply.answer.status, reply.answer.body.as_ref()), (200, &b"{}"[..]));
    }
}

#[tokio::test]
async fn what_answers_and_is_no_http_that_can_be_read_is_somebody_else_and_no_line_that_broke() {
    let many = "x-a: a\r\n".repeat(101);
    let large = format!("x: {}\r\n", "a".repeat(500_000));
    let answers = [
        "220 mail.example ESMTP\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_owned(),
        text(200, &many, "{}"),
        text(200, &large, "{}"),
    ];
    for answer in answers {
        let server = Server::plain(move |_| Reaction::Hang(answer.clone())).await;
        let failure = failure_of(&Bench::new().upstream(&server.url("/"))).await;
        assert!(failure.bytes_may_have_left && failure.sent_whole, "{failure:?}");
        assert!(failure.detail.contains("is no HTTP that can be read"), "{}", failure.detail);
        let judged = judge(&Outcome::Failed(failure), &Rules::default());
        assert!(matches!(judged, Verdict::NotTheProvider { .. }), "{judged:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_may_have_been_delivered() {
    let server = Server::plain(|_| Reaction::Close("220 mail.example ESMTP\r\n".to_owned())).await;
    let failure = failure_of(&Bench::new().upstream(&server.url("/"))).await;
    assert_eq!((failure.phase, failure.bytes_may_have_left), (Phase::Answer, true));
}

#[tokio::test]
async fn a_deadline_after_the_request_is_the_answers() {
    for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"] {
        let server = Server::plain(|_| Reaction::Hang(text.to_owned())).await;
        let here = Bench::new();
        let mut provider = here.provider(&server.url("/"));
        provider.timeout = Duration::from_millis(300);
        let failure = failure_of(&here.upstream_of(&provider)).await;
        assert_eq!((failure.phase, failure.deadline), (Phase::Answer, true), "{text:?}");
        assert!(failure.bytes_may_have_left && failure.sent_whole);
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
    let failure = failed(
        here.upstream_of(&provider)
            .redeem(&redeemd::upstream::RedeemAttempt { body, ..attempt() }, &unwatched())
            .await,
    );
    assert_eq!(
        (failure.phase, failure.deadline, failure.bytes_may_have_left),
        (Phase::Write, true, true)
    );
    assert!(!failure.sent_whole, "TCP says that bytes are still on their way");
}

#[tokio::test]
async fn a_deadline_before_the_peers_first_answer_is_the_connects() {
    // Nobody accepts, and the queue of one is full: the kernel drops what would be the next
    // handshake.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address))
            .await
    {
        waiting.push(stream);
    }
    for scheme in ["http", "https"] {
        let here = Bench::new();
        let mut provider = here.provider(&format!("{scheme}://{address}/"));
        provider.timeout = Duration::from_millis(300);
        let failure = failure_of(&here.upstream_of(&provider)).await;
        assert_eq!(
            (failure.phase, failure.deadline, failure.bytes_may_have_left),
            (Phase::Connect, true, false)
        );
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_no_further() {
    let limit = Answer::BODY_BYTES_MAX;
    for (length, truncated) in [(limit, false), (limit + 1, true)] {
        let server = Server::plain(move |_| answer(200, "", &"x".repeat(length))).await;
        let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
        assert_eq!((reply.answer.body.len(), reply.truncated), (limit, truncated));
    }
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit_long_before_the_deadline() {
    let server = Server::plain(|_| Reaction::Endless("HTTP/1.1 200 OK\r\n\r\n".to_owned())).await;
    let started = tokio::time::Instant::now();
    let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
    assert_eq!((reply.answer.body.len(), reply.truncated), (Answer::BODY_BYTES_MAX, true));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Carriers' address translation forgets a connection after 30 s or more.
#[tokio::test]
async fn a_connection_is_used_again_within_20_s_and_never_after_that() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    answer_of(&upstream).await;
    for (seconds, connections) in [(19, 1), (21, 2)] {
        assert!(!comes(Duration::from_secs(seconds), std::future::pending()).await);
        answer_of(&upstream).await;
        assert_eq!(server.connections(), connections, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_told_as_one_and_is_not_unpacked() {
    let server = Server::plain(|_| answer(200, "content-encoding: gzip\r\n", "not gzip")).await;
    let reply = answer_of(&Bench::new().upstream(&server.url("/"))).await;
    assert_eq!(reply.answer.body, "not gzip");
    assert_eq!(reply.content_encoding.as_deref(), Some("gzip"));
}

#[tokio::test]
async fn connections_are_shared_until_the_pool_is_dropped() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    for _ in 0..3 {
        answer_of(&upstream).await;
    }
    assert_eq!(server.connections(), 1);
    upstream.drop_pool();
    for _ in 0..3 {
        answer_of(&upstream).await;
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_next_attempt_carries_the_token_that_the_file_holds_then() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    answer_of(&upstream).await;
    here.write_token("other-token");
    answer_of(&upstream).await;
    // As a rotation tool does it: beside, then in its place.
    std::fs::write(here.path("token.new"), "third-token").unwrap();
    std::fs::rename(here.path("token.new"), here.path("token")).unwrap();
    answer_of(&upstream).await;
    let sent: Vec<_> =
        server.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
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
    answer_of(&here.upstream_of(&provider)).await;
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer from-systemd"));
    provider.auth = Auth::Token(SecretSource::Credential("../token".to_owned()));
    assert_eq!(failure_of(&here.upstream_of(&provider)).await.phase, Phase::Credential);
}

#[tokio::test]
async fn without_a_readable_token_nothing_is_sent_and_the_reason_shows_no_secret() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    let too_long = "sec".repeat(10_000);
    for content in
        [&b""[..], b" \n", b"two words", b"sec\xffret", b"sec\x01ret", too_long.as_bytes()]
    {
        std::fs::write(here.path("token"), content).unwrap();
        let failure = failure_of(&upstream).await;
        nothing_left(&failure, Phase::Credential);
        assert!(failure.detail.contains("/token: "), "{}", failure.detail);
        assert!(
            !failure.detail.contains("sec") && !failure.detail.contains("two"),
            "{}",
            failure.detail
        );
    }
    std::fs::remove_file(here.path("token")).unwrap();
    assert!(
        failure_of(&upstream)
            .await
            .detail
            .contains("/token: the file cannot be read: there is no such file")
    );
    assert_eq!(server.connections(), 0);
    here.write_token("back");
    answer_of(&upstream).await;
}

/// A token's file is looked at once a second.
const LOOKED_TWICE: Duration = Duration::from_millis(2100);

#[tokio::test]
async fn another_token_in_the_file_is_noticed_and_the_same_one_written_again_is_not() {
    let server = Server::plain(|_| ok()).await;
    let here = Bench::new();
    let upstream = here.upstream(&server.url("/"));
    answer_of(&upstream).await;
    here.write_token("first-token");
    assert!(!comes(LOOKED_TWICE, upstream.credential_changed()).await);
    let noticed = async {
        tokio::join!(upstream.credential_changed(), async { here.write_token("other-token") });
    };
    tokio::time::timeout(Duration::from_secs(3), noticed).await.unwrap();
    answer_of(&upstream).await;
    assert!(!comes(LOOKED_TWICE, upstream.credential_changed()).await);
}

#[tokio::test]
async fn a_token_that_becomes_readable_is_noticed() {
    let here = Bench::new();
    let upstream = here.upstream("http://127.0.0.1:9/");
    std::fs::remove_file(here.path("token")).unwrap();
    failure_of(&upstream).await;
    assert!(!comes(LOOKED_TWICE, upstream.credential_changed()).await);
    here.write_token("first-token");
    tokio::time::timeout(Duration::from_secs(3), upstream.credential_changed()).await.unwrap();
    // Told once: a lane without rows has nothing to try it with, and must not be told for ever.
    assert!(!comes(LOOKED_TWICE, upstream.credential_changed()).await);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let here = Bench::new();
    let shown = format!("{:?} {:?}", here.upstream("http://127.0.0.1:9/"), here.context());
    assert!(!shown.contains("first-token"), "{shown}");
}

/// The environment of a running test cannot be changed safely, so another process runs one of these
/// tests.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "attempts::an_attempt_carries_the_stored_bytes_and_says_which_it_is"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env(name, "http://127.0.0.1:9");
    }
    let output = command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
}
