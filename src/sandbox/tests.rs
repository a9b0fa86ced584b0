//! The sandbox over real sockets: each fault as its peer sees it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::*;
use crate::client::{ClientError, Target, call};
use crate::redemption::Secret;

mod faults;

/// Longer than anything here takes, shorter than a hang.
const SILENCE: Duration = Duration::from_millis(300);

fn order(code: &str) -> String {
    serde_json::json!({"reward_code": code, "business_refrence": "B", "branch_id": "1",
        "date": "2026-11-23 10:00:00", "timestamp": "1"})
    .to_string()
}

async fn with_rules(rules: &[&str]) -> RunningSandbox {
    let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Sandbox::start(Options {
        rules,
        control: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..Options::default()
    })
    .await
    .unwrap()
}

async fn redeem(addr: SocketAddr, code: &str) -> Result<crate::client::Response, ClientError> {
    let headers = [("idempotency-key", "k1"), ("authorization", "Bearer t")];
    call(&Target::Tcp(addr), Method::POST, "/redeem", &headers, order(code).into()).await
}

/// What a bare socket reads after a whole request: the bytes and how they ended.
async fn raw(addr: SocketAddr, code: &str) -> (String, Option<ErrorKind>) {
    let body = order(code);
    let request = format!(
        "POST /redeem HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
            content-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        // A reset may be faster than the request.
        let mut end = stream.write_all(request.as_bytes()).err().map(|error| error.kind());
        let mut all = Vec::new();
        let mut chunk = [0; 4096];
        while end.is_none() {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => all.extend_from_slice(&chunk[..read]),
                Err(error) => end = Some(error.kind()),
            }
        }
        (String::from_utf8_lossy(&all).into_owned(), end)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_code_is_taken_once_and_everything_is_recorded() {
    let sandbox = with_rules(&[]).await;
    let first = redeem(sandbox.addr, "C1").await.unwrap();
    assert_eq!((first.status, first.body.as_ref()), (200, b"{}".as_slice()));
    let second = redeem(sandbox.addr, "C1").await.unwrap();
    assert_eq!(
        (second.status, &second.json().unwrap()["message"]),
        (400, &"Reward C1 has been used".into())
    );
    let records = sandbox.records(0, 9);
    let first = &records[0];
    assert_eq!(
        (first.idempotency_key.as_deref(), first.took, first.status),
        (Some("k1"), true, Some(200))
    );
    assert_eq!(first.body.as_deref(), Some(order("C1").as_str()));
    let hash = first.authorization.as_deref().unwrap();
    assert!(hash.len() == 16 && !hash.contains("Bearer"), "{hash}");
    assert_eq!((records[1].took, records[1].status), (false, Some(400)));
}

#[tokio::test]
async fn keys_are_honoured_only_if_asked() {
    let options = Options { honour_keys: true, ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    for _ in 0..2 {
        assert_eq!(redeem(sandbox.addr, "C1").await.unwrap().status, 200);
    }
    assert_eq!(sandbox.summary().codes_taken, 1);
}

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);
const HANGS: Option<ErrorKind> = Some(ErrorKind::WouldBlock);

/// Fault, how its connection ends, whether the code is taken.
const BREAKS: &[(&str, Option<ErrorKind>, bool)] = &[
    ("reset-on-accept", RESET, false),
    ("close-on-accept", None, false),
    ("hang-on-accept", HANGS, false),
    ("reset-after-headers", RESET, false),
    ("close-after-headers", None, false),
    ("hang-after-headers", HANGS, false),
    ("reset-before-taking", RESET, false),
    ("close-before-taking", None, false),
    ("hang-before-taking", HANGS, false),
    ("reset-after-taking", RESET, true),
    ("close-after-taking", None, true),
    ("hang-after-taking", HANGS, true),
    ("reset-mid-answer", RESET, true),
    ("close-mid-answer", None, true),
    ("hang-mid-answer", HANGS, true),
    ("truncated", None, true),
];

#[tokio::test]
async fn every_break_is_seen_as_what_it_is_and_takes_the_code_or_not() {
    for (fault, end, took) in BREAKS {
        let sandbox = with_rules(&[&format!("fault={fault}")]).await;
        let (read, ended) = raw(sandbox.addr, "C1").await;
        assert_eq!(ended, *end, "{fault}");
        assert_eq!(sandbox.summary().codes_taken, u64::from(*took), "{fault}");
        let half = fault.ends_with("mid-answer") || *fault == "truncated";
        assert_eq!(read.starts_with("HTTP/1.1 200 OK"), half, "{fault}: {read:?}");
        assert_eq!(read.is_empty(), !half, "{fault}: {read:?}");
    }
}

#[tokio::test]
async fn an_answer_that_promises_too_much_ends_short_of_its_length() {
    let sandbox = with_rules(&["fault=truncated,count=1"]).await;
    let (read, _) = raw(sandbox.addr, "C1").await;
    assert!(read.contains("content-length: 102\r\n") && read.ends_with("\r\n\r\n{}"), "{read:?}");
    assert!(matches!(redeem(sandbox.addr, "C2").await, Ok(answer) if answer.status == 200));
}

#[tokio::test]
async fn the_line_is_cut_and_restored_while_the_control_api_stays() {
    let sandbox = with_rules(&[]).await;
    let control = Target::Tcp(sandbox.control.unwrap());
    let line = |state: &str| {
        let body = Bytes::from(format!(r#"{{"state":"{state}"}}"#));
        let control = control.clone();
        async move {
            let answer = call(&control, Method::POST, "/sandbox/line", &[], body).await;
            answer.unwrap().status
        }
    };
    for round in 0..3 {
        assert_eq!(line("refuse").await, 200);
        assert!(matches!(redeem(sandbox.addr, "C").await, Err(ClientError::Unreachable { .. })));
        assert_eq!(line("silent").await, 200);
        assert_eq!(raw(sandbox.addr, "S").await, (String::new(), Some(ErrorKind::WouldBlock)));
        assert_eq!(line("up").await, 200);
        let code = format!("R{round}");
        assert_eq!(redeem(sandbox.addr, &code).await.unwrap().status, 200);
    }
    let summary = call(&control, Method::GET, "/sandbox/summary", &[], Bytes::new())
        .await
        .unwrap()
        .json()
        .unwrap();
    assert!(summary["codes_taken"].as_u64().unwrap() >= 3, "{summary}");
}

#[tokio::test]
async fn a_cut_line_resets_what_was_open() {
    let sandbox = with_rules(&["fault=hang-before-taking"]).await;
    let addr = sandbox.addr;
    let cut = async {
        while sandbox.summary().requests == 0 {
            tokio::task::yield_now().await;
        }
        assert!(sandbox.set_line(LineState::Refuse).await);
    };
    let ((_, ended), ()) = tokio::join!(raw(addr, "C1"), cut);
    assert_eq!(ended, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn the_control_api_replaces_rules_and_shows_their_counts() {
    let sandbox = with_rules(&[]).await;
    let control = Target::Tcp(sandbox.control.unwrap());
    let post = |body: &'static str| {
        call(&control, Method::POST, "/sandbox/rules", &[], Bytes::from_static(body.as_bytes()))
    };
    assert_eq!(post(r#"{"fault":"500","count":1}"#).await.unwrap().status, 200);
    assert_eq!(redeem(sandbox.addr, "C1").await.unwrap().status, 500);
    assert_eq!(redeem(sandbox.addr, "C1").await.unwrap().status, 200);
    let rules = call(&control, Method::GET, "/sandbox/rules", &[], Bytes::new())
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!((&rules[0]["matched"], &rules[0]["fired"]), (&2.into(), &1.into()), "{rules}");
    let bad = post(r#"[{"fault":"500"},{"fault":"tls-refuse"}]"#).await.unwrap();
    assert_eq!(bad.status, 400);
    assert!(bad.json().unwrap()["error"].as_str().unwrap().contains("--tls"));
}

#[tokio::test]
async fn without_the_right_token_nothing_is_taken_and_the_token_can_change() {
    let token = Some(Secret::new("t".to_owned()));
    let sandbox = Sandbox::start(Options { token, ..Options::default() }).await.unwrap();
    assert_eq!(redeem(sandbox.addr, "C1").await.unwrap().status, 200);
    let target = Target::Tcp(sandbox.addr);
    let rotate = Bytes::from_static(br#"{"token":"new"}"#);
    assert_eq!(
        call(&target, Method::POST, "/sandbox/token", &[], rotate).await.unwrap().status,
        200
    );
    let refused = redeem(sandbox.addr, "C2").await.unwrap();
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(sandbox.summary().codes_taken, 1);
}

#[tokio::test]
async fn a_request_whose_sender_hung_up_before_its_answer_is_in_the_list() {
    let sandbox = with_rules(&["fault=pass,delay=20s"]).await;
    let body = order("C1");
    let mut stream = tokio::net::TcpStream::connect(sandbox.addr).await.unwrap();
    let head = format!(
        "POST /redeem HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let taken = async {
        while sandbox.summary().codes_taken == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken).await.expect("it is taken");
    drop(stream);
    let control = Target::Tcp(sandbox.control.unwrap());
    let path = "/sandbox/requests?after=0";
    let list = call(&control, Method::GET, path, &[], Bytes::new()).await.unwrap().json().unwrap();
    let of_it = list.to_string();
    assert!(of_it.contains(r#""code":"C1""#) && of_it.contains(r#""took":true"#), "{of_it}");
}

#[tokio::test]
async fn an_order_that_lacks_a_field_is_refused_in_the_contracts_shape() {
    let sandbox = with_rules(&[]).await;
    for body in [r#"{"reward_code":"A"}"#, "[]", "x", r#"{"reward_code":1}"#] {
        let answer =
            call(&Target::Tcp(sandbox.addr), Method::POST, "/redeem", &[], Bytes::from(body))
                .await
                .unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json().unwrap()["errors"].is_array());
    }
}

mod over_tls {
    use std::sync::Arc;

    use hyper::client::conn::http2;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;

    async fn connect(
        sandbox: &RunningSandbox,
    ) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = sandbox.ca_pem.as_ref().unwrap();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = tokio::net::TcpStream::connect(sandbox.addr).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn with(certificate: CertificateKind, rules: &[&str]) -> RunningSandbox {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Sandbox::start(Options { tls: Some(certificate), rules, ..Options::default() })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_good_certificate_serves_http2_and_a_reset_reaches_its_client() {
        let sandbox = with(CertificateKind::Good, &["fault=reset-after-taking,skip=1"]).await;
        let stream = connect(&sandbox).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let mut ask = |code: &str| {
            let body = http_body_util::Full::new(Bytes::from(order(code)));
            let request = hyper::Request::post("https://localhost/redeem")
                .header("content-type", "application/json")
                .body(body)
                .unwrap();
            sender.send_request(request)
        };
        assert_eq!(ask("C1").await.unwrap().status(), 200);
        assert!(ask("C2").await.is_err());
        assert!(driver.join_next().await.unwrap().unwrap().is_err());
        assert_eq!(sandbox.summary().codes_taken, 2);
    }

    #[tokio::test]
    async fn every_bad_certificate_is_refused_for_its_own_reason() {
        let table = [
            (CertificateKind::Expired, "expired"),
            (CertificateKind::NotYetValid, "not valid yet"),
            (CertificateKind::SelfSigned, "UnknownIssuer"),
            (CertificateKind::WrongHost, "not valid for name"),
        ];
        for (certificate, reason) in table {
            let sandbox = with(certificate, &[]).await;
            let error = connect(&sandbox).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{certificate:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_refused_handshake_is_an_alert() {
        let sandbox = with(CertificateKind::Good, &["fault=tls-refuse,count=1"]).await;
        let error = connect(&sandbox).await.unwrap_err().to_string();
        assert!(error.contains("HandshakeFailure"), "{error}");
        connect(&sandbox).await.unwrap();
    }
}

#[tokio::test]
async fn a_check_tells_what_the_contract_has_and_its_values_can_be_set() {
    let sandbox =
        with_rules(&["fault=refuse,message=Reward has expired,code=OLD,call=check"]).await;
    let check = |code: &'static str| {
        let body = format!(r#"{{"reward_code":"{code}","business_refrence":"B"}}"#);
        async move {
            let answer = call(&Target::Tcp(sandbox.addr), Method::POST, "/check", &[], body.into())
                .await
                .unwrap();
            answer.json().unwrap()
        }
    };
    let data = check("C1").await["data"].clone();
    assert_eq!((&data["type"], &data["discount_amount"]), (&"discount".into(), &"10.00".into()));
    assert_eq!(
        (&data["is_percentage"], &data["max_discount_amount"]),
        (&false.into(), &"0".into())
    );
    assert!(data["customer_number"].is_string());
    let set = r#"{"discount_amount":"25.5","is_percentage":true}"#;
    let control = Target::Tcp(sandbox.control.unwrap());
    call(&control, Method::POST, "/sandbox/check-data", &[], set.into()).await.unwrap();
    let data = check("C1").await["data"].clone();
    assert_eq!((&data["discount_amount"], &data["is_percentage"]), (&"25.5".into(), &true.into()));
    assert_eq!(check("OLD").await["message"], "Reward has expired");
    redeem(sandbox.addr, "C1").await.unwrap();
    assert_eq!(check("C1").await["message"], "Reward C1 has been used");
}
