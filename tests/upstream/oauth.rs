//! OAuth against a token endpoint and an API by hand, `/token` and `/api` of one server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redeemd::clock::Clock;
use redeemd::settings::{Auth, Grant, OAuth, Provider, SecretSource};
use redeemd::upstream::{RedeemAttempt, Upstream};
use redeemd::verdict::{Failure, Phase};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::server::{Reaction, Seen, Server, answer, ok, text};
use crate::{Bench, answer_of, answered, attempt, failure_of, nothing_left, unwatched};

const SECRET: &str = "the-client-s+cret";
const FIRST_REFRESH: &str = "first-refresh";

struct OAuthBench {
    bench: Bench,
    grant: Grant,
}

impl OAuthBench {
    fn new(grant: Grant) -> Self {
        let bench = Bench::new();
        std::fs::write(bench.path("client-secret"), SECRET).unwrap();
        std::fs::write(bench.path("first-refresh"), FIRST_REFRESH).unwrap();
        Self { bench, grant }
    }

    fn provider(&self, base: &str) -> Provider {
        let mut provider = self.bench.provider(&format!("{base}/api"));
        provider.auth = Auth::OAuth(OAuth {
            token_url: format!("{base}/token"),
            client_id: "branch 042".to_owned(),
            client_secret: SecretSource::File(self.bench.path("client-secret")),
            grant: self.grant,
            refresh_token: Some(SecretSource::File(self.bench.path("first-refresh"))),
        });
        provider
    }

    fn upstream(&self, server: &Server) -> Upstream {
        self.bench.upstream_of(&self.provider(&server.url("")))
    }

    fn kept_path(&self) -> PathBuf {
        self.bench.path("oauth/retm")
    }

    fn kept(&self) -> Option<String> {
        std::fs::read_to_string(self.kept_path()).ok().map(|text| text.trim().to_owned())
    }
}

fn grants(access: &str, refresh: Option<&str>, expires_in: u64) -> Reaction {
    let refresh = refresh.map(|token| format!(r#","refresh_token":"{token}""#)).unwrap_or_default();
    let body = format!(
        r#"{{"access_token":"{access}","token_type":"bearer","expires_in":{expires_in}{refresh}}}"#
    );
    answer(200, "", &body)
}

/// Grants `a0`, `a1` and so on, each for so many seconds, and takes none of them.
async fn refusing(expires_in: u64) -> Server {
    let count = AtomicUsize::new(0);
    Server::plain(move |seen| {
        if is_token(seen) {
            grants(&format!("a{}", count.fetch_add(1, Ordering::SeqCst)), None, expires_in)
        } else {
            answer(401, "", "")
        }
    })
    .await
}

fn invalid_grant() -> Reaction {
    answer(400, "", r#"{"error":"invalid_grant","error_description":"first-refresh is revoked"}"#)
}

fn is_token(seen: &Seen) -> bool {
    seen.line.starts_with("POST /token ")
}

/// What came to the token endpoint, and the authorisations that came to the API.
fn came(server: &Server) -> (Vec<String>, Vec<String>) {
    let (asked, called): (Vec<_>, Vec<_>) = server.seen().into_iter().partition(is_token);
    let sent = called.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    (asked.iter().map(|seen| seen.body().to_owned()).collect(), sent)
}

fn hides_all_secrets(failure: &Failure) -> bool {
    ![SECRET, "s%2Bcret", "refresh is", FIRST_REFRESH]
        .iter()
        .any(|secret| failure.detail.contains(secret))
}

#[tokio::test]
async fn client_credentials_give_a_token_that_serves_many_attempts() {
    let server =
        Server::plain(|seen| if is_token(seen) { grants("a1", None, 3600) } else { ok() }).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    for _ in 0..3 {
        answer_of(&upstream).await;
    }
    let form =
        "client_id=branch+042&client_secret=the-client-s%2Bcret&grant_type=client_credentials";
    assert_eq!(came(&server), (vec![form.to_owned()], vec!["Bearer a1".to_owned(); 3]));
    let asked = &server.seen()[0];
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(here.kept(), None);
}

#[tokio::test]
async fn an_endpoint_that_reads_only_json_is_asked_in_json_from_then_on() {
    for refusal in [
        (415, "no forms"),
        (400, r#"{"data":[],"message":"missing fields"}"#),
        (400, "{}"),
        (401, r#"{"error":"invalid_client","message":"client_id is missing"}"#),
        (400, r#"{"error":"unsupported_grant_type"}"#),
        (404, ""),
        (500, "<h1>Internal Server Error</h1>"),
    ] {
        let server =
            Server::plain(move |seen| match (is_token(seen), seen.header("content-type")) {
                (true, Some("application/json")) => grants("a1", None, 0),
                (true, _) => answer(refusal.0, "", refusal.1),
                (false, _) => ok(),
            })
            .await;
        let mut here = OAuthBench::new(Grant::ClientCredentials);
        here.bench.clock = Clock::simulated("boot", Duration::ZERO);
        let upstream = here.upstream(&server);
        answer_of(&upstream).await;
        here.bench.clock.sleep(Duration::from_secs(6));
        answer_of(&upstream).await;
        let (asked, sent) = came(&server);
        assert_eq!(sent.len(), 2);
        assert_eq!(asked.len(), 3, "once as a form, then twice in JSON");
        let json: serde_json::Value = serde_json::from_str(&asked[2]).unwrap();
        assert_eq!(json["client_secret"], SECRET);
        assert_eq!(json["grant_type"], "client_credentials");
    }
}

#[tokio::test]
async fn a_new_refresh_token_is_on_disk_before_its_access_token_is_used() {
    let here = OAuthBench::new(Grant::RefreshToken);
    let kept = here.kept_path();
    let server = Server::plain(move |seen| match is_token(seen) {
        true => grants("a1", Some("second-refresh"), 3600),
        false if std::fs::read_to_string(&kept).unwrap().trim() == "second-refresh" => ok(),
        false => answer(500, "", "too early"),
    })
    .await;
    assert_eq!(answer_of(&here.upstream(&server)).await.answer.status, 200);
    assert!(came(&server).0[0].ends_with("&grant_type=refresh_token&refresh_token=first-refresh"));
}

#[tokio::test]
async fn a_restart_goes_on_with_the_refresh_token_that_was_kept() {
    let server = Server::plain(|seen| match is_token(seen) {
        true if seen.body().ends_with("first-refresh") => {
            grants("a1", Some("second-refresh"), 3600)
        }
        true => grants("a2", None, 3600),
        false => ok(),
    })
    .await;
    let here = OAuthBench::new(Grant::RefreshToken);
    answer_of(&here.upstream(&server)).await;
    answer_of(&here.upstream(&server)).await;
    assert_eq!(came(&server).1, ["Bearer a1", "Bearer a2"]);
    assert_eq!(here.kept().as_deref(), Some("second-refresh"));
}

#[tokio::test]
async fn many_attempts_at_once_share_one_renewal() {
    let server =
        Server::plain(|seen| if is_token(seen) { grants("a1", None, 3600) } else { ok() }).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let upstream = upstream.clone();
        tasks.spawn(async move { answer_of(&upstream).await.answer.status });
    }
    assert_eq!(tasks.join_all().await, [200; 8]);
    assert_eq!(came(&server).0.len(), 1);
}

#[tokio::test]
async fn a_token_at_its_end_is_renewed_before_it_is_sent() {
    let count = AtomicUsize::new(0);
    let server = Server::plain(move |seen| {
        if is_token(seen) {
            grants(&format!("a{}", count.fetch_add(1, Ordering::SeqCst)), None, 0)
        } else {
            ok()
        }
    })
    .await;
    let mut here = OAuthBench::new(Grant::ClientCredentials);
    here.bench.clock = Clock::simulated("boot", Duration::ZERO);
    let upstream = here.upstream(&server);
    for _ in 0..3 {
        answer_of(&upstream).await;
        here.bench.clock.sleep(Duration::from_secs(6));
    }
    assert_eq!(came(&server).1, ["Bearer a0", "Bearer a1", "Bearer a2"]);
}

#[tokio::test]
async fn tokens_without_a_life_of_which_none_is_taken_are_asked_for_no_more_often_than_others() {
    let server = refusing(0).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    answer_of(&upstream).await;
    // Whoever holds the lane tries each new token as soon as it is there.
    let tries = async {
        for _ in 0..100 {
            upstream.credential_changed().await;
            answer_of(&upstream).await;
        }
    };
    assert!(timeout(Duration::from_millis(2500), tries).await.is_err());
    let (asked, sent) = came(&server);
    assert!(asked.len() <= 4 && sent.len() <= 4, "{} and {}", asked.len(), sent.len());
}

#[tokio::test]
async fn a_kept_token_that_is_refused_gives_way_to_the_configured_one() {
    let server = Server::plain(|seen| match is_token(seen) {
        true if seen.body().ends_with("refresh_token=stale") => invalid_grant(),
        true => grants("a1", Some("fresh"), 3600),
        false => ok(),
    })
    .await;
    for grant in [Grant::RefreshToken, Grant::ClientCredentials] {
        let here = OAuthBench::new(grant);
        std::fs::create_dir(here.bench.path("oauth")).unwrap();
        std::fs::write(here.kept_path(), "stale").unwrap();
        assert_eq!(answer_of(&here.upstream(&server)).await.answer.status, 200);
        assert_eq!(here.kept().as_deref(), Some("fresh"));
    }
    assert_eq!(came(&server).0.len(), 4);
}

/// Gives the refresh tokens `NAME0`, `NAME1` and so on, and takes its own alone. `status` is what
/// it says to another's.
async fn own_tokens(name: &'static str, status: u16) -> Server {
    let count = AtomicUsize::new(0);
    Server::plain(move |seen| {
        let body = seen.body();
        let is_own = !body.contains("refresh_token=") || body.contains(&format!("token={name}"));
        match is_token(seen) {
            true if is_own => {
                let next = format!("{name}{}", count.fetch_add(1, Ordering::SeqCst));
                grants("a1", Some(&next), 3600)
            }
            true => answer(status, "", r#"{"message":"not found"}"#),
            false => ok(),
        }
    })
    .await
}

#[tokio::test]
async fn the_refresh_token_of_another_endpoint_or_client_is_sent_to_nobody_else() {
    for grant in [Grant::ClientCredentials, Grant::RefreshToken] {
        let (one, two) = (own_tokens("one", 500).await, own_tokens("two", 500).await);
        let here = OAuthBench::new(grant);
        std::fs::write(here.bench.path("first-refresh"), "one-first").unwrap();
        answer_of(&here.upstream(&one)).await;
        assert_eq!(here.kept().as_deref(), Some("one0"));
        std::fs::write(here.bench.path("first-refresh"), "two-first").unwrap();
        answer_of(&here.upstream(&two)).await;
        assert_eq!(here.kept().as_deref(), Some("two0"), "{grant:?}");
        answer_of(&here.upstream(&two)).await;
        let mut provider = here.provider(&two.url(""));
        let Auth::OAuth(oauth) = &mut provider.auth else { panic!("it is OAuth") };
        oauth.client_id = "another".to_owned();
        answer_of(&here.bench.upstream_of(&provider)).await;
        let asked = came(&two).0;
        assert!(!asked.iter().any(|body| body.contains("token=one")), "{asked:?}");
        let own = asked.iter().map(|body| body.contains("token=two0")).collect::<Vec<_>>();
        assert_eq!(own, [false, true, false], "its own is used, and by its own client");
    }
}

#[tokio::test]
async fn a_token_of_an_earlier_build_is_tried_once_and_then_has_an_owner() {
    let (one, two) = (own_tokens("one", 400).await, own_tokens("two", 400).await);
    let here = OAuthBench::new(Grant::ClientCredentials);
    std::fs::create_dir(here.bench.path("oauth")).unwrap();
    std::fs::write(here.kept_path(), "one-old").unwrap();
    answer_of(&here.upstream(&one)).await;
    assert!(came(&one).0[0].contains("refresh_token=one-old"), "{:?}", came(&one).0);
    answer_of(&here.upstream(&two)).await;
    assert!(!came(&two).0[0].contains("refresh_token="), "{:?}", came(&two).0);
}

#[tokio::test]
async fn a_client_with_its_own_credentials_needs_no_refresh_token_that_any_answer_refused() {
    for status in [500, 404, 400] {
        let server = own_tokens("one", status).await;
        let here = OAuthBench::new(Grant::ClientCredentials);
        std::fs::create_dir(here.bench.path("oauth")).unwrap();
        std::fs::write(here.kept_path(), "stale").unwrap();
        assert_eq!(answer_of(&here.upstream(&server)).await.answer.status, 200, "{status}");
        assert_eq!(here.kept().as_deref(), Some("one0"));
    }
}

/// Two files that are written so far apart have different times.
const TICK: Duration = Duration::from_millis(30);

#[tokio::test]
async fn an_endpoint_that_has_understood_a_form_is_asked_in_nothing_else_whatever_it_says_then() {
    let count = AtomicUsize::new(0);
    let server =
        Server::plain(move |seen| match (is_token(seen), count.fetch_add(1, Ordering::SeqCst)) {
            (true, 0) => grants("a1", None, 3600),
            (true, _) => answer(401, "", r#"{"error":"invalid_client"}"#),
            (false, _) => ok(),
        })
        .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    answer_of(&upstream).await;
    upstream.reload_credential();
    let given_up = Duration::from_millis(300);
    assert!(timeout(given_up, upstream.credential_changed()).await.is_err());
    assert_eq!(came(&server).0.len(), 2);
}

#[tokio::test]
async fn a_refusal_is_one_whatever_its_status_and_a_persons_new_token_is_tried() {
    for (status, body) in [
        (200, r#"{"error":"invalid_grant"}"#),
        (404, r#"{"error":"invalid_grant"}"#),
        (500, r#"{"error":"invalid_grant"}"#),
        (500, "<h1>Server Error</h1>"),
        (404, ""),
    ] {
        let server = Server::plain(move |seen| match is_token(seen) {
            true if seen.body().contains("stale") => answer(status, "", body),
            true => grants("a1", Some("fresh"), 3600),
            false => ok(),
        })
        .await;
        let here = OAuthBench::new(Grant::RefreshToken);
        std::fs::create_dir(here.bench.path("oauth")).unwrap();
        std::fs::write(here.kept_path(), "stale").unwrap();
        tokio::time::sleep(TICK).await;
        std::fs::write(here.bench.path("first-refresh"), "a person's").unwrap();
        assert_eq!(answer_of(&here.upstream(&server)).await.answer.status, 200, "{status} {body}");
        assert_eq!(here.kept().as_deref(), Some("fresh"));
    }
}

#[tokio::test]
async fn a_token_of_the_settings_that_is_older_than_the_kept_one_is_not_tried_for_a_fault() {
    for status in [500, 503, 429] {
        let server = Server::plain(move |seen| match is_token(seen) {
            true if seen.body().contains("kept") => answer(status, "", ""),
            true => grants("a1", None, 3600),
            false => ok(),
        })
        .await;
        let here = OAuthBench::new(Grant::RefreshToken);
        std::fs::create_dir(here.bench.path("oauth")).unwrap();
        tokio::time::sleep(TICK).await;
        std::fs::write(here.kept_path(), "kept").unwrap();
        nothing_left(&failure_of(&here.upstream(&server)).await, Phase::Credential);
    }
}

#[tokio::test]
async fn a_refusal_of_every_grant_is_the_credentials_failure_and_shows_no_secret() {
    let server = Server::plain(|seen| if is_token(seen) { invalid_grant() } else { ok() }).await;
    let here = OAuthBench::new(Grant::RefreshToken);
    let upstream = here.upstream(&server);
    let failure = failure_of(&upstream).await;
    nothing_left(&failure, Phase::Credential);
    assert_eq!(failure.detail, "the token endpoint refused: HTTP 400 invalid_grant");
    assert!(hides_all_secrets(&failure));
    // At once again: it fails fast, without another question.
    assert_eq!(failure_of(&upstream).await.detail, failure.detail);
    assert_eq!(came(&server).0.len(), 1);
    // A person may have put a new one there.
    upstream.reload_credential();
    failure_of(&upstream).await;
    assert_eq!(came(&server).0.len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_is_not_one_gives_no_token_and_its_text_is_not_repeated() {
    let answers = [
        (200, "<html>first-refresh"),
        (302, ""),
        (503, "{}"),
        (200, "{}"),
        (200, "[\"a\",\"bearer\"]"),
    ];
    for (status, body) in answers {
        let server =
            Server::plain(move |seen| if is_token(seen) { answer(status, "", body) } else { ok() })
                .await;
        let here = OAuthBench::new(Grant::RefreshToken);
        let failure = failure_of(&here.upstream(&server)).await;
        nothing_left(&failure, Phase::Credential);
        assert!(failure.detail.contains(&format!("HTTP {status}")), "{}", failure.detail);
        assert!(hides_all_secrets(&failure), "{}", failure.detail);
        assert_eq!(came(&server), (vec![came(&server).0[0].clone()], Vec::new()));
    }
}

#[tokio::test]
async fn where_endpoint_and_provider_cannot_be_reached_the_providers_phase_is_told_and_it_backs_off()
 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.bench.upstream_of(&here.provider(&format!("http://{address}")));
    let failure = failure_of(&upstream).await;
    nothing_left(&failure, Phase::Connect);
    assert!(failure.detail.starts_with("the token endpoint: cannot connect"), "{}", failure.detail);
    // The line is back: without a network event the backoff is kept, with one it is not.
    let listener = TcpListener::bind(address).await.unwrap();
    assert_eq!(failure_of(&upstream).await.phase, Phase::Connect);
    upstream.drop_pool();
    let (again, unseen) = (attempt(), unwatched());
    let asked = tokio::select! {
        outcome = upstream.redeem(&again, &unseen) => panic!("nobody answers: {outcome:?}"),
        accepted = listener.accept() => accepted.is_ok(),
    };
    assert!(asked);
}

#[tokio::test]
async fn a_token_endpoint_that_is_not_reached_says_nothing_of_a_provider_that_is() {
    let server = Server::plain(|_| answer(405, "", "")).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for nowhere in [format!("http://{gone}"), "http://no-such-host.invalid".to_owned()] {
        let mut provider = here.provider(&nowhere);
        provider.redeem_url = server.url("/api");
        let upstream = here.bench.upstream_of(&provider);
        let failure = failure_of(&upstream).await;
        nothing_left(&failure, Phase::Credential);
        assert!(failure.detail.starts_with("the token endpoint: cannot"), "{}", failure.detail);
        let seen = server.seen().pop().unwrap();
        assert!(seen.line.starts_with("HEAD /api ") && seen.body.is_empty(), "{seen:?}");
        assert_eq!(seen.header("authorization"), None);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_reached_is_told_by_its_phase_whatever_its_endpoint_met() {
    let server = Server::plain(|_| Reaction::Reset(String::new())).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let mut provider = here.provider(&server.url(""));
    provider.redeem_url = "http://no-such-host.invalid/api".to_owned();
    let failure = failure_of(&here.bench.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Resolve);
    assert!(failure.detail.contains("; the provider: cannot resolve"), "{}", failure.detail);
}

/// An address that takes no connection and refuses none: its queue is full.
async fn hole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(at)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue has no end");
    }
    (at, listener, queued)
}

#[tokio::test]
async fn where_neither_endpoint_nor_provider_answers_a_connection_the_line_is_down() {
    let here = OAuthBench::new(Grant::ClientCredentials);
    let (endpoint, redeem) = (hole().await, hole().await);
    let mut provider = here.provider(&format!("http://{}", endpoint.0));
    provider.redeem_url = format!("http://{}/api", redeem.0);
    provider.timeout = Duration::from_secs(1);
    let failure = failure_of(&here.bench.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Connect);
    assert!(failure.detail.contains("; the provider: no connection"), "{}", failure.detail);
}

/// Whoever connects finds nobody who speaks TLS.
async fn deaf() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

#[tokio::test]
async fn where_endpoint_and_provider_both_hang_in_the_handshake_it_is_the_lines_tls() {
    let here = OAuthBench::new(Grant::ClientCredentials);
    let (endpoint, redeem) = (deaf().await, deaf().await);
    let mut provider = here.provider(&format!("https://{}", endpoint.0));
    provider.redeem_url = format!("https://{}/api", redeem.0);
    provider.timeout = Duration::from_secs(1);
    let failure = failure_of(&here.bench.upstream_of(&provider)).await;
    nothing_left(&failure, Phase::Tls);
    assert!(failure.detail.contains("; the provider: "), "{}", failure.detail);
}

#[tokio::test]
async fn a_renewal_ends_in_time_for_the_attempt_to_say_why() {
    let server = Server::plain(|_| Reaction::Hang(String::new())).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let mut provider = here.provider(&server.url(""));
    provider.timeout = Duration::from_millis(500);
    let failure = failure_of(&here.bench.upstream_of(&provider)).await;
    assert_eq!(
        (failure.phase, failure.deadline, failure.bytes_may_have_left),
        (Phase::Credential, true, false)
    );
}

/// Answers a refresh token's renewal when it is allowed.
async fn slow_endpoint() -> (Server, Arc<Notify>) {
    let allowed = Arc::new(Notify::new());
    let allow = Arc::clone(&allowed);
    let body = r#"{"access_token":"a1","refresh_token":"second-refresh"}"#;
    let server = Server::plain(move |seen| match is_token(seen) {
        true if seen.body().ends_with("first-refresh") => {
            Reaction::Later(Arc::clone(&allowed), text(200, "", body))
        }
        true => invalid_grant(),
        false => ok(),
    })
    .await;
    (server, allow)
}

#[tokio::test]
async fn an_endpoint_that_is_slower_than_an_attempts_deadline_loses_no_refresh_token() {
    let (server, allow) = slow_endpoint().await;
    let here = OAuthBench::new(Grant::RefreshToken);
    let mut provider = here.provider(&server.url(""));
    provider.timeout = Duration::from_millis(500);
    let upstream = here.bench.upstream_of(&provider);
    for _ in 0..2 {
        let failure = failure_of(&upstream).await;
        nothing_left(&failure, Phase::Credential);
        assert!(failure.detail.contains("no whole answer"), "{}", failure.detail);
    }
    allow.notify_one();
    upstream.credential_changed().await;
    assert_eq!(here.kept().as_deref(), Some("second-refresh"));
    answer_of(&upstream).await;
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 1);
}

#[tokio::test]
async fn a_reload_during_a_renewal_waits_for_its_end_and_a_stop_can() {
    let (server, allow) = slow_endpoint().await;
    let here = OAuthBench::new(Grant::RefreshToken);
    let (context, mut provider) = (here.bench.context(), here.provider(&server.url("")));
    let before = Upstream::new(&provider, &context).unwrap();
    let given_up = Duration::from_millis(200);
    assert!(timeout(given_up, before.redeem(&attempt(), &unwatched())).await.is_err());
    provider.timeout = Duration::from_secs(20);
    let after = Upstream::new(&provider, &context).unwrap();
    drop(before);
    assert!(timeout(given_up, after.at_rest()).await.is_err(), "it is under way");
    allow.notify_one();
    after.at_rest().await;
    assert_eq!(here.kept().as_deref(), Some("second-refresh"));
    answer_of(&after).await;
    assert_eq!(came(&server), (vec![came(&server).0[0].clone()], vec!["Bearer a1".to_owned()]));
}

#[tokio::test]
async fn a_token_behind_a_byte_order_mark_is_one() {
    let body = "\u{feff}{\"access_token\":\"a1\",\"token_type\":\"Bearer\"}";
    let server =
        Server::plain(|seen| if is_token(seen) { answer(200, "", body) } else { ok() }).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    answer_of(&here.upstream(&server)).await;
}

#[tokio::test]
async fn an_attempt_that_is_given_up_loses_no_refresh_token() {
    let allowed = Arc::new(Notify::new());
    let allow = Arc::clone(&allowed);
    let body = r#"{"access_token":"a1","refresh_token":"second-refresh"}"#;
    let server = Server::plain(move |seen| {
        if is_token(seen) {
            Reaction::Later(Arc::clone(&allowed), text(200, "", body))
        } else {
            ok()
        }
    })
    .await;
    let here = OAuthBench::new(Grant::RefreshToken);
    let upstream = here.upstream(&server);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), upstream.redeem(&attempt(), &unwatched()))
            .await
            .is_err()
    );
    allow.notify_one();
    upstream.credential_changed().await;
    assert_eq!(here.kept().as_deref(), Some("second-refresh"));
    answer_of(&upstream).await;
    assert_eq!(came(&server).0.len(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_is_used_and_its_predecessor_is_not_sent_again() {
    let here = OAuthBench::new(Grant::RefreshToken);
    std::fs::write(here.bench.path("oauth"), "a file where the folder should be").unwrap();
    let server = Server::plain(|seen| match is_token(seen) {
        true if seen.body().ends_with("first-refresh") => {
            grants("a1", Some("second-refresh"), 3600)
        }
        true if seen.body().ends_with("second-refresh") => grants("a2", None, 3600),
        true => invalid_grant(),
        false => ok(),
    })
    .await;
    let upstream = here.upstream(&server);
    answer_of(&upstream).await;
    upstream.reload_credential();
    timeout(Duration::from_secs(5), upstream.credential_changed()).await.unwrap();
    answer_of(&upstream).await;
    let (asked, sent) = came(&server);
    assert_eq!((asked.len(), sent), (2, ["a1", "a2"].map(|t| format!("Bearer {t}")).to_vec()));
    assert_eq!(here.kept(), None);
    std::fs::remove_file(here.bench.path("oauth")).unwrap();
    upstream.at_rest().await;
    assert_eq!(here.kept().as_deref(), Some("second-refresh"), "at a stop at the latest");
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_is_kept_as_soon_as_it_can_be() {
    let here = OAuthBench::new(Grant::RefreshToken);
    std::fs::write(here.bench.path("oauth"), "a file where the folder should be").unwrap();
    let server = Server::plain(|seen| {
        if is_token(seen) { grants("a1", Some("second-refresh"), 3600) } else { ok() }
    })
    .await;
    let upstream = here.upstream(&server);
    answer_of(&upstream).await;
    std::fs::remove_file(here.bench.path("oauth")).unwrap();
    let is_kept = async {
        while here.kept().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), is_kept).await.unwrap();
    assert_eq!(here.kept().as_deref(), Some("second-refresh"));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_at_most_once_a_backoff() {
    let server = refusing(3600).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    answer_of(&upstream).await;
    upstream.credential_changed().await;
    for _ in 0..3 {
        answer_of(&upstream).await;
    }
    assert_eq!(came(&server).1, ["Bearer a0", "Bearer a1", "Bearer a1", "Bearer a1"]);
    // The refusal is remembered: when its backoff is over, whoever waits for another token gets
    // one.
    tokio::time::timeout(Duration::from_secs(5), upstream.credential_changed()).await.unwrap();
    answer_of(&upstream).await;
    assert_eq!(came(&server).1.last().unwrap(), "Bearer a2");
}

#[tokio::test]
async fn a_page_of_somebody_elses_with_a_401_renews_nothing_and_a_reload_does() {
    let server = Server::plain(|seen| {
        if is_token(seen) { grants("a1", None, 3600) } else { answer(401, "", "<html>log in") }
    })
    .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    for _ in 0..3 {
        answer_of(&upstream).await;
    }
    assert_eq!(came(&server).0.len(), 1);
    upstream.reload_credential();
    upstream.credential_changed().await;
    assert_eq!(came(&server).0.len(), 2);
}

/// Gives one token, then none.
fn gives_one_token() -> impl Fn() -> Reaction + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => grants("a0", None, 3600),
        _ => answer(429, "Retry-After: 3600\r\n", r#"{"error":"rate_limited"}"#),
    }
}

#[tokio::test]
async fn a_code_that_is_blocked_throws_no_token_away_that_others_are_served_with() {
    let token = gives_one_token();
    let blocked = AtomicUsize::new(0);
    let server =
        Server::plain(move |seen| match (is_token(seen), blocked.fetch_add(1, Ordering::SeqCst)) {
            (true, _) => token(),
            (false, 1) => answer(403, "", r#"{"message":"Forbidden"}"#),
            (false, _) => ok(),
        })
        .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    assert_eq!(answer_of(&upstream).await.answer.status, 403);
    let looks = timeout(Duration::from_millis(300), upstream.credential_changed()).await;
    assert!(looks.is_err(), "there is no other token");
    for _ in 0..3 {
        assert_eq!(answer_of(&upstream).await.answer.status, 200);
    }
    assert_eq!(came(&server).0.len(), 2, "asked for once, until its Retry-After is over");
}

#[tokio::test]
async fn connections_that_are_dropped_do_not_end_the_wait_that_the_endpoint_asked_for() {
    let server = Server::plain(|seen| {
        if is_token(seen) { answer(429, "Retry-After: 3600\r\n", "{}") } else { ok() }
    })
    .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    for _ in 0..3 {
        nothing_left(&failure_of(&upstream).await, Phase::Credential);
        upstream.drop_pool();
    }
    assert_eq!(came(&server).0.len(), 1);
}

#[tokio::test]
async fn what_is_said_to_a_check_or_to_a_row_that_is_suspect_renews_no_token() {
    let server =
        Server::plain(
            |seen| {
                if is_token(seen) { grants("a0", None, 3600) } else { answer(401, "", "") }
            },
        )
        .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let mut provider = here.provider(&server.url(""));
    provider.check_url = Some(server.url("/check"));
    let upstream = here.bench.upstream_of(&provider);
    let suspect = RedeemAttempt { suspect: true, ..attempt() };
    for _ in 0..3 {
        answered(upstream.check(Bytes::from_static(b"{}")).await.unwrap());
        answered(upstream.redeem(&suspect, &unwatched()).await);
    }
    assert_eq!(came(&server).0.len(), 1);
    answer_of(&upstream).await;
    upstream.credential_changed().await;
    assert_eq!(came(&server).0.len(), 2, "a row that is not");
}

#[tokio::test]
async fn late_refusals_of_a_token_say_nothing_of_the_next() {
    let (count, late) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let allow = Arc::clone(&late);
    let server = Server::plain(move |seen| match seen.header("authorization") {
        None => grants(&format!("a{}", count.fetch_add(1, Ordering::SeqCst)), None, 3600),
        Some("Bearer a0") if seen.header("redeemd-attempt") == Some("9") => {
            Reaction::Later(Arc::clone(&late), text(401, "", ""))
        }
        Some("Bearer a0") => answer(401, "", ""),
        Some(_) => ok(),
    })
    .await;
    let mut here = OAuthBench::new(Grant::ClientCredentials);
    here.bench.clock = Clock::simulated("boot", Duration::ZERO);
    let upstream = here.upstream(&server);
    let slow = RedeemAttempt { number: 9, ..attempt() };
    let unseen = unwatched();
    let waits = upstream.redeem(&slow, &unseen);
    let meanwhile = async {
        answer_of(&upstream).await;
        upstream.credential_changed().await;
        allow.notify_one();
    };
    tokio::join!(waits, meanwhile);
    here.bench.clock.sleep(Duration::from_secs(100));
    for _ in 0..3 {
        assert_eq!(answer_of(&upstream).await.answer.status, 200);
    }
    assert_eq!(came(&server).0.len(), 2, "one for the first refusal, none for the late one");
}

#[tokio::test]
async fn a_reload_keeps_a_token_that_is_good_unless_it_was_had_with_other_settings() {
    let token = gives_one_token();
    let server = Server::plain(move |seen| if is_token(seen) { token() } else { ok() }).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let (context, mut provider) = (here.bench.context(), here.provider(&server.url("")));
    let before = Upstream::new(&provider, &context).unwrap();
    answer_of(&before).await;
    before.reload_credential();
    assert_eq!(answer_of(&before).await.answer.status, 200, "the same settings");
    provider.timeout = Duration::from_secs(2);
    let after = Upstream::new(&provider, &context).unwrap();
    drop(before);
    assert_eq!(answer_of(&after).await.answer.status, 200, "others, of the provider");
    let Auth::OAuth(oauth) = &mut provider.auth else { panic!("it is OAuth") };
    oauth.client_id = "another".to_owned();
    let other = Upstream::new(&provider, &context).unwrap();
    assert_eq!(failure_of(&other).await.phase, Phase::Credential);
    assert_eq!(answer_of(&after).await.answer.status, 200, "one on trial takes nothing away");
}

#[tokio::test]
async fn who_waits_for_a_token_gets_it_when_the_endpoint_is_back() {
    let count = AtomicUsize::new(0);
    let server =
        Server::plain(move |seen| match (is_token(seen), count.fetch_add(1, Ordering::SeqCst)) {
            (true, 0 | 1) => answer(500, "", ""),
            (true, _) => grants("a1", None, 3600),
            (false, _) => ok(),
        })
        .await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    let upstream = here.upstream(&server);
    assert_eq!(failure_of(&upstream).await.phase, Phase::Credential);
    tokio::time::timeout(Duration::from_secs(10), upstream.credential_changed()).await.unwrap();
    answer_of(&upstream).await;
    assert_eq!(came(&server).0.len(), 3);
}

#[tokio::test]
async fn without_the_clients_secret_nothing_is_asked() {
    let server = Server::plain(|_| ok()).await;
    let here = OAuthBench::new(Grant::ClientCredentials);
    std::fs::remove_file(here.bench.path("client-secret")).unwrap();
    let failure = failure_of(&here.upstream(&server)).await;
    assert_eq!(failure.phase, Phase::Credential);
    assert!(
        failure.detail.contains("client-secret: the file cannot be read: there is no such file"),
        "{}",
        failure.detail
    );
    assert_eq!(server.connections(), 0);
}
