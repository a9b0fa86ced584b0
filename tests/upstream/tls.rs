//! Attempts over TLS and HTTP/2, and against those who only pretend.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use redeemd::upstream::{Upstream, UpstreamError};
use redeemd::verdict::{Outcome, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::server::{Reaction, Server, ok};
use crate::{
    BODY, Bench, answer_of, answered, attempt, failed, failure_of, nothing_left, unwatched,
};

/// A certificate authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("the test's own")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn acceptor(
        &self,
        host: &str,
        years: (i32, i32),
        protocols: &[&str],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// One redemption, sent to a server at this port of `localhost`.
    async fn redeem_at(&self, here: &Bench, port: u16) -> Outcome {
        self.trusted_by(here, &https(port)).redeem(&attempt(), &unwatched()).await
    }

    pub(crate) fn trusted_by(&self, here: &Bench, url: &str) -> Upstream {
        self.trusted_within(here, url, Duration::from_secs(10))
    }

    pub(crate) fn trusted_within(&self, here: &Bench, url: &str, timeout: Duration) -> Upstream {
        std::fs::write(here.path("ca.pem"), self.0.pem()).unwrap();
        let mut provider = here.provider(url);
        provider.ca_file = Some(here.path("ca.pem"));
        provider.timeout = timeout;
        here.upstream_of(&provider)
    }
}

pub(crate) const VALID: (i32, i32) = (2020, 2100);
const EXPIRED: (i32, i32) = (2020, 2021);
const NOT_YET_VALID: (i32, i32) = (2098, 2099);

pub(crate) fn https(port: u16) -> String {
    format!("https://localhost:{port}/redeem")
}

pub(crate) async fn tls_server(authority: &Authority, host: &str, years: (i32, i32)) -> Server {
    Server::tls(authority.acceptor(host, years, &["http/1.1"]), |_| ok()).await
}

#[tokio::test]
async fn a_host_that_the_given_authority_vouches_for_is_trusted() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    assert_eq!(
        answered(authority.redeem_at(&here, server.address.port()).await).answer.status,
        200
    );
    assert_eq!(server.seen()[0].body(), BODY);
}

#[tokio::test]
async fn a_host_that_cannot_prove_itself_gets_no_byte() {
    let (authority, other) = (Authority::new(), Authority::named("a stranger"));
    let cases = [
        (&other, "localhost", VALID, "UnknownIssuer"),
        (&authority, "elsewhere.example", VALID, "not valid for name"),
        (&authority, "localhost", EXPIRED, "xpired"),
        (&authority, "localhost", NOT_YET_VALID, "not valid yet"),
    ];
    for (signer, host, years, why) in cases {
        let here = Bench::new();
        let server = tls_server(signer, host, years).await;
        let failure = failed(authority.redeem_at(&here, server.address.port()).await);
        nothing_left(&failure, Phase::Tls);
        assert!(!failure.deadline);
        assert!(failure.detail.contains(why), "{}", failure.detail);
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn dates_are_our_clocks_fault_while_nobody_set_it_and_other_faults_are_not() {
    let authority = Authority::new();
    let cases = [("localhost", EXPIRED, Phase::Clock), ("localhost", NOT_YET_VALID, Phase::Clock)];
    for (host, years, phase) in cases.into_iter().chain([("elsewhere.example", VALID, Phase::Tls)])
    {
        let here = Bench::new();
        here.clock.set(0, false);
        let server = tls_server(&authority, host, years).await;
        let failure = failed(authority.redeem_at(&here, server.address.port()).await);
        nothing_left(&failure, phase);
    }
}

#[tokio::test]
async fn without_a_file_of_authorities_the_platforms_count() {
    let (authority, here) = (Authority::new(), Bench::new());
    let server = tls_server(&authority, "localhost", VALID).await;
    let failure = failure_of(&here.upstream(&https(server.address.port()))).await;
    nothing_left(&failure, Phase::Tls);
}

#[test]
fn a_file_of_authorities_that_holds_none_is_refused_at_once() {
    let here = Bench::new();
    let mut provider = here.provider("https://localhost/");
    provider.ca_file = Some(here.path("ca.pem"));
    let refused =
        || matches!(Upstream::new(&provider, &here.context()), Err(UpstreamError::CaFile { .. }));
    assert!(refused());
    for content in ["", "not pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        std::fs::write(here.path("ca.pem"), content).unwrap();
        assert!(refused(), "{content}");
    }
}

#[test]
fn a_url_that_cannot_be_posted_to_is_refused_at_once() {
    let here = Bench::new();
    for url in ["", "retm.sa/redeem", "ftp://retm.sa/", "https://", "mailto:a@b"] {
        let refused = Upstream::new(&here.provider(url), &here.context());
        assert!(matches!(refused, Err(UpstreamError::Url { what: "redeem_url", .. })), "{url}");
    }
}

async fn listening() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A listener whose connections each get `greeting` and then silence, or the end.
async fn pretender(greeting: &'static [u8], ends: bool) -> (u16, JoinSet<()>) {
    let (listener, port) = listening().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 16];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(greeting).await.unwrap();
            if !ends {
                kept.push(stream);
            }
        }
    });
    (port, task)
}

#[tokio::test]
async fn a_handshake_that_fails_or_ends_is_tls_and_no_byte_of_the_request_left() {
    for greeting in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"]
    {
        let (port, _task) = pretender(greeting, true).await;
        let failure = failure_of(&Bench::new().upstream(&https(port))).await;
        nothing_left(&failure, Phase::Tls);
        assert!(!failure.deadline);
    }
}

#[tokio::test]
async fn a_deadline_in_the_handshake_is_tls() {
    let (port, _task) = pretender(b"", false).await;
    let here = Bench::new();
    let mut provider = here.provider(&https(port));
    provider.timeout = Duration::from_millis(300);
    let failure = failure_of(&here.upstream_of(&provider)).await;
    assert_eq!(
        (failure.phase, failure.deadline, failure.bytes_may_have_left),
        (Phase::Tls, true, false)
    );
}

#[tokio::test]
async fn a_reset_over_tls_may_have_delivered() {
    let (authority, here) = (Authority::new(), Bench::new());
    let acceptor = authority.acceptor("localhost", VALID, &["http/1.1"]);
    let server = Server::tls(acceptor, |_| Reaction::Reset(String::new())).await;
    let failure = failed(authority.redeem_at(&here, server.address.port()).await);
    assert_eq!(
        (failure.phase, failure.bytes_may_have_left),
        (Phase::Answer, true),
        "{}",
        failure.detail
    );
}

/// HTTP/2 over TLS; counts connections by what it is asked.
async fn http2_server(authority: &Authority) -> (u16, JoinSet<()>) {
    let acceptor = authority.acceptor("localhost", VALID, &["h2"]);
    let (listener, port) = listening().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut tasks = JoinSet::new();
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tasks.spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service =
                    service_fn(move |request: hyper::Request<hyper::body::Incoming>| async move {
                        let version = request.version();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        assert_eq!(body, BODY);
                        let text = format!("{version:?} connection {connection}");
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(
                            bytes::Bytes::from(text),
                        )))
                    });
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http.serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    (port, task)
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_and_shares_a_connection_until_the_pool_is_dropped() {
    let (authority, here) = (Authority::new(), Bench::new());
    let (port, _task) = http2_server(&authority).await;
    let upstream = authority.trusted_by(&here, &https(port));
    for (drops, expected) in [(false, 1), (false, 1), (true, 2), (false, 2)] {
        if drops {
            upstream.drop_pool();
        }
        let reply = answer_of(&upstream).await;
        assert_eq!(reply.answer.body, format!("HTTP/2.0 connection {expected}"));
    }
}

#[tokio::test]
async fn an_http2_connection_that_became_a_black_hole_ends_before_the_deadline() {
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let (authority, here) = (Authority::new(), Bench::new());
    let acceptor = authority.acceptor("localhost", VALID, &["h2"]);
    let (listener, port) = listening().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        stream.write_all(&EMPTY_SETTINGS).await.unwrap();
        stream.flush().await.unwrap();
        std::future::pending::<()>().await;
    });
    let upstream = authority.trusted_within(&here, &https(port), Duration::from_secs(4));
    let started = tokio::time::Instant::now();
    let failure = failure_of(&upstream).await;
    assert!(started.elapsed() < Duration::from_millis(3500), "{:?}", started.elapsed());
    assert_eq!(
        (failure.phase, failure.deadline, failure.bytes_may_have_left),
        (Phase::Answer, true, true)
    );
}

/// HTTP/2 with this limit: the first request is answered, no other ever is.
async fn http2_that_answers_once(
    authority: &Authority,
    limit: fn(&mut hyper::server::conn::http2::Builder<TokioExecutor>),
) -> (u16, JoinSet<()>) {
    let acceptor = authority.acceptor("localhost", VALID, &["h2"]);
    let (listener, port) = listening().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let asked = AtomicUsize::new(0);
        let service = service_fn(move |_: hyper::Request<hyper::body::Incoming>| {
            let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if !is_first {
                    std::future::pending::<()>().await;
                }
                let body = Full::new(bytes::Bytes::from("{}"));
                Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
            }
        });
        let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        limit(&mut http);
        http.serve_connection(TokioIo::new(stream), service).await.ok();
    });
    (port, task)
}

#[tokio::test]
async fn what_waits_for_a_place_on_a_connection_tells_nothing_of_the_line_and_nothing_of_silence() {
    let (authority, here) = (Authority::new(), Bench::new());
    let (port, _task) = http2_that_answers_once(&authority, |http| {
        http.max_concurrent_streams(1);
    })
    .await;
    let upstream = authority.trusted_within(&here, &https(port), Duration::from_secs(2));
    answer_of(&upstream).await;
    let redeem = || async { failure_of(&upstream).await };
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        redeem().await
    };
    let (taken, waits, late) = tokio::join!(redeem(), redeem(), later);
    // The place may become free in the moment in which the others are given up.
    for (failure, is_silence) in [(taken, true), (waits, false), (late, false)] {
        let told = (failure.phase, failure.sent_whole);
        assert_eq!(told, (Phase::Answer, is_silence), "{}", failure.detail);
    }
}

#[tokio::test]
async fn a_request_whose_body_the_peer_lets_nobody_send_was_not_sent_whole_but_may_have_left() {
    let (authority, here) = (Authority::new(), Bench::new());
    let (port, _task) = http2_that_answers_once(&authority, |http| {
        http.initial_stream_window_size(0);
    })
    .await;
    let upstream = authority.trusted_within(&here, &https(port), Duration::from_secs(1));
    // Before the first answer the gateway may not know of the limit.
    answer_of(&upstream).await;
    let progress = unwatched();
    let failure = failed(upstream.redeem(&attempt(), &progress).await);
    assert_eq!((failure.phase, failure.deadline), (Phase::Write, true), "{}", failure.detail);
    assert!(failure.bytes_may_have_left && !failure.sent_whole, "{failure:?}");
    assert!(!progress.is_whole(), "giving it up sends nothing");
}

/// HTTP/2's frames by hand: `answer` once a request's stream has ended.
async fn http2_by_hand(
    authority: &Authority,
    answer: &'static [&'static [u8]],
) -> (u16, JoinSet<()>) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let acceptor = authority.acceptor("localhost", VALID, &["h2"]);
    let (listener, port) = listening().await;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        stream.write_all(SETTINGS).await.unwrap();
        stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()]).await.unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            let (is_data, ends) = (head[3] == 0, head[4] & 1 == 1);
            if is_data && ends {
                break;
            }
        }
        stream.write_all(&answer.concat()).await.unwrap();
        stream.flush().await.unwrap();
        std::future::pending::<()>().await;
    });
    (port, task)
}

/// `:status: 200` alone, of the first stream; without and with its end.
const H2_OK: &[u8] = &[0, 0, 1, 1, 0x04, 0, 0, 0, 1, 0x88];
const H2_OK_AND_END: &[u8] = &[0, 0, 1, 1, 0x05, 0, 0, 0, 1, 0x88];
/// `{}` of the first stream; without and with its end.
const H2_BODY: &[u8] = &[0, 0, 2, 0, 0, 0, 0, 0, 1, b'{', b'}'];
const H2_BODY_AND_END: &[u8] = &[0, 0, 2, 0, 1, 0, 0, 0, 1, b'{', b'}'];
/// `RST_STREAM` with `NO_ERROR`, `INTERNAL_ERROR` and `CANCEL`.
const H2_RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0];
const H2_FAILED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
const H2_CANCELLED: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];

#[tokio::test]
async fn a_stream_that_is_reset_after_the_head_is_a_cut_answer_whatever_its_reason() {
    let endings: [&[&[u8]]; 6] = [
        &[H2_OK, H2_RESET],
        &[H2_OK, H2_FAILED],
        &[H2_OK, H2_CANCELLED],
        &[H2_OK, H2_BODY, H2_RESET],
        &[H2_OK, H2_BODY, H2_FAILED],
        &[H2_OK, H2_BODY, H2_CANCELLED],
    ];
    for answer in endings {
        let (authority, here) = (Authority::new(), Bench::new());
        let (port, _task) = http2_by_hand(&authority, answer).await;
        let failure = failed(authority.redeem_at(&here, port).await);
        assert_eq!(
            (failure.phase, failure.detail.contains("was cut"), failure.deadline),
            (Phase::Answer, true, false),
            "{failure:?}"
        );
        assert!(failure.sent_whole && failure.bytes_may_have_left, "{failure:?}");
    }
}

#[tokio::test]
async fn a_stream_that_came_to_its_end_is_a_whole_answer_even_if_it_is_reset_then() {
    let endings: [(&[&[u8]], &str); 4] = [
        (&[H2_OK_AND_END], ""),
        (&[H2_OK_AND_END, H2_RESET], ""),
        (&[H2_OK, H2_BODY_AND_END], "{}"),
        (&[H2_OK, H2_BODY_AND_END, H2_RESET], "{}"),
    ];
    for (answer, body) in endings {
        let (authority, here) = (Authority::new(), Bench::new());
        let (port, _task) = http2_by_hand(&authority, answer).await;
        let reply = answered(authority.redeem_at(&here, port).await);
        assert_eq!((reply.framed, reply.answer.body.as_ref()), (true, body.as_bytes()));
    }
}
