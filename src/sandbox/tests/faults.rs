//! What the contract forbids, and the answers of others, as they arrive over a real socket.

use super::*;

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const PROBLEM: &str = "application/problem+json";
const CAPTIVE: &str = "application/captive+json";

/// Fault, status, content type, what its body holds, whether the code is taken.
type Row = (&'static str, u16, Option<&'static str>, &'static str, bool);

const ANSWERS: &[Row] = &[
    ("pass", 200, Some(JSON), "{}", true),
    ("refuse", 400, Some(JSON), "Reward C1 is not valid", false),
    ("used", 400, Some(JSON), "Reward C1 has been used", false),
    ("used-ar", 400, Some(JSON), "المكافأة C1 من قبل", false),
    ("used-fr", 400, Some(JSON), "déjà été encaissé", false),
    ("refuse-ar", 400, Some(JSON), "C1 غير صالحة", false),
    ("in-progress", 409, Some(JSON), "is being processed", false),
    ("pending-202", 202, Some(JSON), r#"{"status":"pending"}"#, true),
    ("soft-success", 200, Some(JSON), r#"{"success":false}"#, false),
    ("soft-status", 200, Some(JSON), r#"{"status":"error"}"#, false),
    ("soft-error", 200, Some(JSON), r#"{"error":"#, false),
    ("soft-code", 200, Some(JSON), r#"{"statusCode":500}"#, false),
    ("soft-message", 200, Some(JSON), r#""message":"Reward expired""#, false),
    ("errors-in-200", 200, Some(JSON), r#""errors":["#, false),
    ("empty-200", 200, None, "", true),
    ("html-200", 200, Some(HTML), "<html>", false),
    ("empty-html", 200, Some(HTML), "", false),
    ("captive-200", 200, Some(CAPTIVE), r#""captive":true"#, false),
    ("kong-400", 400, Some(JSON), "Bad request", false),
    ("kong-404", 404, Some(JSON), "no Route matched", false),
    ("nginx-404", 404, Some(JSON), r#""code":404"#, false),
    ("spring-400", 400, Some(JSON), r#""error":"Bad Request""#, false),
    ("spring-404", 404, Some(JSON), "No message available", false),
    ("problem-400", 400, Some(PROBLEM), r#""errors":{"#, false),
    ("problem-404", 404, Some(PROBLEM), r#""title":"Not Found""#, false),
    ("edge-410", 410, Some(JSON), "Gone", false),
    ("token-400", 400, Some(JSON), "Token expired", false),
    ("waf-403", 403, Some(JSON), "Forbidden", false),
    ("waf-403-html", 403, Some(HTML), "Request Rejected", false),
    ("array-200", 200, Some(JSON), "[]", false),
    ("portal", 302, Some(HTML), "<html>", false),
    ("401", 401, Some(JSON), "Unauthenticated.", false),
    ("401-bearer", 401, Some(HTML), "<html>", false),
    ("401-empty", 401, None, "", false),
    ("401-html", 401, Some(HTML), "<html>", false),
    ("403", 403, Some(JSON), "unauthorized", false),
    ("403-html", 403, Some(HTML), "<html>", false),
    ("404-html", 404, Some(HTML), "<html>", false),
    ("408", 408, Some(HTML), "<html>", false),
    ("425", 425, Some(HTML), "<html>", false),
    ("429", 429, Some(JSON), "Too Many Attempts.", false),
    ("500", 500, Some(JSON), "Server Error", false),
    ("503", 503, Some(HTML), "<html>", false),
    ("511", 511, Some(HTML), "<html>", false),
    ("status", 200, Some(JSON), "{}", false),
];

#[tokio::test]
async fn each_answer_arrives_with_its_status_type_and_words() {
    for (word, status, content_type, holds, took) in ANSWERS {
        let sandbox = with_rules(&[&format!("fault={word}")]).await;
        let answer = redeem(sandbox.addr, "C1").await.unwrap();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (*status, *content_type),
            "{word}"
        );
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains(holds) && body.is_empty() == holds.is_empty(), "{word}: {body}");
        assert!(*content_type != Some(JSON) || answer.json().is_ok(), "{word}: {body}");
        assert_eq!(sandbox.summary().codes_taken, u64::from(*took), "{word}");
        assert_eq!(sandbox.records(0, 1)[0].fault.as_deref(), Some(*word));
    }
}

#[test]
fn every_fault_is_tried_over_a_socket() {
    let answers = ANSWERS.iter().map(|(word, ..)| *word);
    let breaks = super::BREAKS.iter().map(|(word, ..)| *word);
    let others =
        ["gzip", "unframed", "empty-unframed", "cut-chunks", "mood", "slow-body", "endless-body"];
    // Over TLS.
    let more = ["huge-body", "tls-refuse"];
    let tried: Vec<&str> = answers.chain(breaks).chain(others).chain(more).collect();
    let untried: Vec<&str> =
        WORDS.iter().map(|word| word.name).filter(|name| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_to_compress_is_gzip() {
    let sandbox = with_rules(&["fault=gzip"]).await;
    let answer = redeem(sandbox.addr, "C1").await.unwrap();
    assert_eq!((answer.status, answer.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(answer.body, super::super::body::gzip(b"{}"));
}

#[tokio::test]
async fn an_end_can_be_told_by_the_connection_alone_or_not_at_all() {
    let table = [
        ("unframed", "HTTP/1.0 200 OK", "\r\n\r\n{}"),
        ("empty-unframed", "HTTP/1.0 200 OK", "\r\n\r\n"),
        ("cut-chunks", "HTTP/1.1 200 OK", "\r\n\r\n2\r\n{}\r\n"),
    ];
    for (word, start, end) in table {
        let sandbox = with_rules(&[&format!("fault={word}")]).await;
        let (read, ended) = raw(sandbox.addr, "C1").await;
        assert!(
            read.starts_with(start) && read.ends_with(end) && ended.is_none(),
            "{word}: {read:?} {ended:?}"
        );
        assert!(!read.contains("content-length"), "{word}: {read:?}");
        assert_eq!(
            read.contains("transfer-encoding: chunked"),
            word == "cut-chunks",
            "{word}: {read:?}"
        );
        assert_eq!(sandbox.summary().codes_taken, 1, "{word}");
    }
}

#[tokio::test]
async fn bodies_that_are_slow_endless_or_huge_go_on_as_long_as_they_say() {
    let sandbox = with_rules(&["fault=slow-body"]).await;
    let (read, ended) = raw(sandbox.addr, "C1").await;
    assert!(read.ends_with("\r\n\r\n{") && ended == HANGS, "{read:?} {ended:?}");
    let sandbox = with_rules(&["fault=huge-body,bytes=200000"]).await;
    assert!(raw(sandbox.addr, "C1").await.0.len() >= 200_000);
    let sandbox = with_rules(&["fault=endless-body"]).await;
    let asking = tokio::task::spawn_blocking(move || {
        let (mut stream, body) = (TcpStream::connect(sandbox.addr).unwrap(), order("C1"));
        write!(
            stream,
            "POST /redeem HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream.read_exact(&mut vec![0; 1_000_000])
    });
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_mood_ends_every_request_one_way_or_another() {
    let rule = "fault=mood".parse().unwrap();
    let sandbox =
        Sandbox::start(Options { rules: vec![rule], seed: Some(7), ..Options::default() })
            .await
            .unwrap();
    let one = |n| async move {
        let ended = redeem(sandbox.addr, &format!("C{n}")).await;
        ended.map_or(0, |answer| answer.status)
    };
    let mut statuses = std::collections::BTreeSet::new();
    for n in 0..40 {
        statuses.insert(
            tokio::time::timeout(Duration::from_secs(5), one(n))
                .await
                .expect("seed 7: nobody waits"),
        );
    }
    assert!(statuses.len() > 5, "seed 7: {statuses:?}");
}

#[tokio::test]
async fn waits_can_be_asked_for_a_code_and_a_challenge_or_a_wait_be_sent() {
    let rules = [
        r#"{"fault":"429","retry_after":"30","code":"BUSY-*"}"#,
        r#"{"fault":"503","retry_after":"date+30","code":"DOWN-*"}"#,
        r#"{"fault":"401","www_authenticate":"Basic realm=\"x\"","code":"WHO-*"}"#,
        "fault=pass,delay=80ms,code=SLOW-*",
    ];
    let sandbox = with_rules(&rules).await;
    let busy = redeem(sandbox.addr, "BUSY-1").await.unwrap();
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("30")));
    let down = redeem(sandbox.addr, "DOWN-1").await.unwrap();
    assert!(down.status == 503 && down.header("retry-after").unwrap().ends_with("GMT"));
    let who = redeem(sandbox.addr, "WHO-1").await.unwrap();
    assert_eq!((who.status, who.header("www-authenticate")), (401, Some("Basic realm=\"x\"")));
    let before = std::time::Instant::now();
    assert_eq!(redeem(sandbox.addr, "SLOW-1").await.unwrap().status, 200);
    assert!(before.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn checks_redemptions_and_attempts_are_chosen_apart() {
    let rules = [
        "fault=500,call=check",
        "fault=in-progress,call=redeem,attempt=2",
        "fault=503,call=both,code=BOTH",
    ];
    let sandbox = with_rules(&rules).await;
    let check = |code: &str| {
        let body = Bytes::from(order(code));
        async move {
            call(&Target::Tcp(sandbox.addr), Method::POST, "/check", &[], body)
                .await
                .unwrap()
                .status
        }
    };
    assert_eq!(check("C1").await, 500);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(redeem(sandbox.addr, "C1").await.unwrap().status);
    }
    assert_eq!(statuses, [200, 409, 400]);
    assert_eq!(redeem(sandbox.addr, "BOTH").await.unwrap().status, 503);
}

async fn post(
    sandbox: &RunningSandbox,
    path: &str,
    content_type: Option<&str>,
    body: &str,
) -> (u16, serde_json::Value) {
    let headers: Vec<(&str, &str)> =
        content_type.map(|value| ("content-type", value)).into_iter().collect();
    let body = Bytes::from(body.to_owned());
    let answer =
        call(&Target::Tcp(sandbox.addr), Method::POST, path, &headers, body).await.unwrap();
    let json = answer.json().unwrap();
    (answer.status, json)
}

#[tokio::test]
async fn what_the_contract_forbids_is_refused_naming_every_field() {
    let sandbox = with_rules(&[]).await;
    let with = |name: &str, value: serde_json::Value| {
        let mut order: serde_json::Value = serde_json::from_str(&order("C1")).unwrap();
        order[name] = value;
        order.to_string()
    };
    let table = [
        (with("date", "Invalid date".into()), "date"),
        (with("date", "2026-13-01 10:00:00".into()), "date"),
        (with("date", "2026-11-23T10:00:00Z".into()), "date"),
        (with("branch_id", "".into()), "branch_id"),
        (with("reward_code", "  ".into()), "reward_code"),
        (with("timestamp", 1.into()), "JSON object of strings"),
        (with("business_refrence", serde_json::Value::Null), "business_refrence"),
        (order("C1").replace('{', r#"{"reward_code":"C2","#), "reward_code"),
        (with("reward_code", "C\t1".into()), "reward_code contains a control character"),
        (with("branchId", "2".into()), "branch_id is there in another spelling"),
        (order("C1").replace('{', r#"{"x":1,"x":2,"#), "more than once"),
        (r#"["C1","B","1","2026-11-23 10:00:00","1"]"#.to_owned(), "JSON object"),
    ];
    for (body, named) in table {
        let (status, answer) =
            post(&sandbox, "/redeem", Some("application/json; charset=utf-8"), &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["message"].as_str().unwrap().contains(named), "{body}: {answer}");
    }
    let (_, all) = post(&sandbox, "/redeem", None, r#"{"reward_code":"C1","date":"x"}"#).await;
    assert_eq!(all["errors"].as_array().unwrap().len(), 4, "{all}");
    for other in ["application/x-www-form-urlencoded", "text/json", ""] {
        let (status, _) = post(&sandbox, "/redeem", Some(other), &order("C1")).await;
        assert_eq!((status, sandbox.summary().codes_taken), (415, 0), "{other}");
    }
    let hal = Some("application/hal+json");
    assert_eq!(post(&sandbox, "/redeem", hal, &order("C1")).await.0, 200, "as the gateway does");
}

#[tokio::test]
async fn headers_that_the_gateway_refuses_are_refused() {
    let token = Some(Secret::new("t".to_owned()));
    let sandbox = Sandbox::start(Options { token, ..Options::default() }).await.unwrap();
    let ask = async |path: &'static str, more: &[(&str, &str)]| {
        let headers = [&[("authorization", "Bearer t")], more].concat();
        let (target, body) = (Target::Tcp(sandbox.addr), Bytes::from(order("C1")));
        call(&target, Method::POST, path, &headers, body).await.unwrap()
    };
    let key = |value| ("idempotency-key", value);
    let long = "k".repeat(257);
    for bad in ["", "a b", "é", &long] {
        let told = ask("/redeem", &[key(bad)]).await;
        let message = told.json().unwrap()["message"].to_string();
        assert!(told.status == 400 && message.contains("Idempotency-Key"), "{bad}: {message}");
    }
    let twice = ask("/redeem", &[key("a"), key("a")]).await;
    assert!(twice.status == 400 && twice.json().unwrap()["message"].to_string().contains("once"));
    assert_eq!(ask("/redeem", &[("authorization", "Bearer t")]).await.status, 401, "two tokens");
    assert_eq!(sandbox.summary().codes_taken, 0);
    assert_eq!(ask("/check", &[key("a b")]).await.status, 200, "a check has no key");
    assert_eq!(ask("/redeem", &[key(&long[1..])]).await.status, 200);
}

#[tokio::test]
async fn a_field_that_the_contract_does_not_have_is_refused_by_a_strict_provider_alone() {
    let body = order("C1").replace('{', r#"{"cashier":"7","#);
    for (strict, expected) in [(true, 400), (false, 200)] {
        let sandbox = Sandbox::start(Options { strict, ..Options::default() }).await.unwrap();
        let (status, answer) = post(&sandbox, "/redeem", Some(JSON), &body).await;
        assert_eq!(
            (status, answer["message"].as_str().unwrap_or("cashier").contains("cashier")),
            (expected, true)
        );
        assert_eq!(
            post(&sandbox, "/check", Some(JSON), r#"{"reward_code":"C9","business_refrence":"B"}"#)
                .await
                .0,
            200
        );
    }
}
