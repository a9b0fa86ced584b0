//! Tests of what happens before the queue is asked and of what a settled row answers.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::decide::Kept;
use crate::redemption::{Answer, Id, Redemption, State as RowState};
use crate::settings::{Auth, SecretSource};

const GOOD: &str = r#"{"reward_code":"9876543210123456","business_refrence":"shop","branch_id":"7","date":"2026-11-23 14:03:11","timestamp":"1"}"#;

fn lane(name: &str, businesses: &[&str]) -> Provider {
    let businesses = businesses.iter().map(|name| (*name).to_owned()).collect();
    let auth = Auth::Token(SecretSource::Credential(name.to_owned()));
    Provider { businesses, ..Provider::new(name, "https://svc.retm.sa/redeem", auth) }
}

fn current() -> Current {
    serving(vec![lane("first", &["shop", "other"]), lane("second", &["shop", "third"])])
}

fn serving(providers: Vec<Provider>) -> Current {
    Current {
        redeem_path: "/redeem".to_owned(),
        check_path: "/check".to_owned(),
        reply_within: Duration::from_millis(900),
        accepted_status: StatusCode::ACCEPTED,
        max_body_bytes: 1024,
        tills: Tills::new(&[], None, None),
        listed: crate::settings::listed(&providers),
        providers,
        texts: Texts::default(),
        unknown_check: UnknownCheck::Refuse,
    }
}

async fn told(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// The refusal of a Redeem with this body, with `extra` headers beside its content type.
async fn refused(body: impl Into<Body>, extra: &[(&'static str, &str)]) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in extra {
        headers.insert(*name, value.parse().expect("a value"));
    }
    let mut inbound = Inbound::new(&headers, body.into());
    let asked = ask::redemption(&current(), "till".into(), &headers, &mut inbound).await;
    let answer = match asked.expect_err("refused") {
        NotDecided::Refused(answer) => *answer,
        NotDecided::Unserved(_) => ask::unserved(Language::English),
    };
    told(answer).await
}

#[test]
fn the_first_lane_that_names_a_business_serves_it_else_the_one_for_all_others() {
    let mut current = current();
    let name =
        |current: &Current, business: &str| current.lane(business).map(|lane| lane.name.clone());
    assert_eq!(name(&current, "shop").as_deref(), Some("first"));
    assert_eq!(name(&current, "third").as_deref(), Some("second"));
    assert_eq!(name(&current, "unknown"), None);
    current.providers.insert(0, lane("rest", &[]));
    assert_eq!(name(&current, "shop").as_deref(), Some("first"));
    assert_eq!(name(&current, "unknown").as_deref(), Some("rest"));
}

#[test]
fn a_business_in_other_clothes_is_served_by_the_lane_that_names_it() {
    let current = serving(vec![lane("rest", &[]), lane("cafes", &["Cafe-1", "straße ٣"])]);
    for business in ["cafe-1", "CAFE-1", " cafe-1 ", "ｃａｆｅ－１", "STRASSE 3"] {
        let served = current.lane(business).map(|lane| lane.name.as_str());
        assert_eq!(served, Some("cafes"), "{business}");
    }
    assert_eq!(current.lane("cafe-2").map(|lane| lane.name.as_str()), Some("rest"));
}

#[tokio::test]
async fn each_path_takes_its_methods_alone() {
    let current = current();
    let asked = |method: Method, path: &str| {
        let head =
            Request::builder().method(method).uri(path).body(()).expect("a request").into_parts().0;
        ask::route(&current, &head, Language::English)
    };
    let id = Id::parse("7-abc").expect("an id");
    assert_eq!(asked(Method::POST, "/redeem").ok(), Some(TillRoute::Redeem));
    assert_eq!(asked(Method::POST, "/check").ok(), Some(TillRoute::Check));
    assert_eq!(asked(Method::GET, "/redemptions/7-abc").ok(), Some(TillRoute::Receipt(id.clone())));
    assert_eq!(asked(Method::DELETE, "/redemptions/7-abc").ok(), Some(TillRoute::Void(id)));
    for (method, path, allowed) in [
        (Method::GET, "/redeem", "POST"),
        (Method::PUT, "/check", "POST"),
        (Method::POST, "/redemptions/7-abc", "GET, HEAD, DELETE"),
    ] {
        let answer = asked(method, path).expect_err("the wrong method");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header::ALLOW]),
            (405, &HeaderValue::from_static(allowed))
        );
    }
    for path in
        ["/", "/redeem/", "/redemptions", "/redemptions/", "/redemptions/x", "/redemptions/7-abc/y"]
    {
        let (status, body) = told(*asked(Method::GET, path).expect_err("nothing there")).await;
        assert!(
            status == 404 && body["message"].is_string() && body["data"] == json!([]),
            "{path}: {body}"
        );
    }
}

#[tokio::test]
async fn a_good_request_is_read_with_its_key_and_its_lane() {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("idempotency-key", HeaderValue::from_static("k-1"));
    let mut inbound = Inbound::new(&headers, Body::from(GOOD));
    let new =
        ask::redemption(&current(), "till".into(), &headers, &mut inbound).await.expect("good");
    assert_eq!(
        (new.till.as_str(), new.lane.as_str(), new.key.as_deref()),
        ("till", "first", Some("k-1"))
    );
    assert_eq!(new.request.body, GOOD);
}

#[tokio::test]
async fn faults_of_header_and_body_are_told_together() {
    let (status, body) = refused(r#"{"reward_code":"1"}"#, &[("idempotency-key", "a b")]).await;
    let errors: Vec<_> =
        body["errors"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(status, 400);
    assert_eq!(
        errors,
        [
            "the header Idempotency-Key must be 1 to 256 visible ASCII characters",
            "business_refrence is missing",
            "branch_id is missing",
            "date is missing",
            "timestamp is missing",
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_its_own_status() {
    assert_eq!(refused(GOOD, &[("content-type", "text/plain")]).await.0, 415);
    let (status, body) = refused(format!("{GOOD}{}", " ".repeat(1024)), &[]).await;
    assert_eq!((status, &body["errors"][0]), (413, &json!("the body is longer than 1024 bytes")));
    let (status, body) = refused(GOOD.replace("shop", "nobody's"), &[]).await;
    assert_eq!(
        (status, &body["errors"][0]),
        (400, &json!("no provider is set up for this business_refrence"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_refused_after_ten_seconds() {
    let begun = tokio::time::Instant::now();
    let (status, body) = refused(Body::new(Endless), &[]).await;
    assert_eq!((status, &body["errors"][0]), (408, &json!("the body did not arrive within 10 s")));
    assert_eq!(begun.elapsed(), BODY_WITHIN);
}

/// A body of which nothing ever comes.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

fn row(state: RowState, answer: Option<(u16, &'static str)>) -> Redemption {
    let answer = answer.map(|(status, body)| Answer {
        status,
        content_type: Some("application/problem+json".to_owned()),
        body: Bytes::from_static(body.as_bytes()),
    });
    Redemption { id: Id::parse("7-abc").expect("an id"), state, answer, ..Redemption::sample() }
}

fn settled(row: &Redemption) -> Response {
    reply::settled(row, StatusCode::ACCEPTED, Language::English)
}

#[tokio::test]
async fn a_settled_row_answers_in_the_providers_words() {
    let refusal = r#"{"message":"expired"}"#;
    for (state, status, body) in
        [(RowState::Confirmed, 201, "{}"), (RowState::Declined, 400, refusal)]
    {
        let answer = settled(&row(state, Some((status, body))));
        assert_eq!(answer.headers()["redeemd-state"], state.as_str());
        assert_eq!(answer.headers()["redeemd-id"], "7-abc");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(told(answer).await, (status, serde_json::from_str(body).expect("JSON")));
    }
}

#[tokio::test]
async fn a_duplicate_of_ours_is_never_the_providers_refusal() {
    let refusal = r#"{"message":"Reward 1 has been used"}"#;
    let duplicate =
        Redemption { duplicate_of_ours: true, ..row(RowState::Confirmed, Some((400, refusal))) };
    assert_eq!(told(settled(&duplicate)).await, (202, json!({})));
}

#[tokio::test]
async fn rows_without_an_answer_say_what_is_known() {
    assert_eq!(told(settled(&row(RowState::Confirmed, None))).await, (200, json!({})));
    assert_eq!(told(settled(&row(RowState::Parked, None))).await, (202, json!({})));
    assert_eq!(told(settled(&row(RowState::Pending, None))).await, (202, json!({})));
    assert_eq!(
        told(settled(&row(RowState::Declined, None))).await.0,
        400,
        "a decline is no success"
    );
    assert_eq!(told(settled(&row(RowState::Voided, None))).await.0, 409);
    let turned_away = Redemption { turned_away: true, ..row(RowState::Voided, None) };
    let answer = settled(&turned_away);
    assert_eq!(answer.headers()["retry-after"], "2", "nobody took it back");
    assert_eq!(told(answer).await.0, 503);
    let refused =
        Redemption { refused_at_till: true, trusted: false, ..row(RowState::Pending, None) };
    assert_eq!(told(settled(&refused)).await.0, 503, "a till that was told no is told no again");
}

#[test]
fn what_was_refused_is_said_to_be_refused_when_its_words_are_gone() {
    for (kept, english, arabic) in [
        (Kept::Used, "Reward 1 has been used", "استُعملت"),
        (Kept::Refused, "Reward 1 was refused before", "رُفضت"),
    ] {
        let why = redeem::gone(kept, "1".to_owned());
        assert_eq!(why.text(Language::English), english);
        assert!(why.text(Language::Arabic).contains(arabic), "{why:?}");
        assert_eq!(
            (why.errors(Language::English), why.reason()),
            (vec![english.to_owned()], Some(Reason::Used))
        );
    }
}

#[tokio::test]
async fn a_success_that_says_it_failed_is_told_as_a_refusal_and_what_was_given_stands() {
    for (body, said) in [
        (r#"{"success":false,"message":"Reward expired"}"#, "Reward expired"),
        (r#"{"success":false,"reason":"Reward expired"}"#, "Reward expired"),
        (r#"{"Success":false,"Message":"Reward expired"}"#, "Reward expired"),
        (r#"{"errors":["no","more"]}"#, "no"),
        (r#"{"error":{"text":"gone"}}"#, "gone"),
        (r#"{"status":"error"}"#, "the provider refused this redemption"),
    ] {
        let asked = Redemption { trusted: false, ..row(RowState::Parked, Some((200, body))) };
        let (status, answer) = told(settled(&asked)).await;
        assert_eq!((status, &answer["message"]), (400, &json!(said)), "{body}");
        assert_eq!(
            told(settled(&row(RowState::Parked, Some((200, body))))).await,
            (202, json!({}))
        );
    }
}

/// An earlier attempt may have been taken: no refusal of its is the till's last word.
#[tokio::test]
async fn a_success_that_says_it_failed_is_no_last_word_of_what_may_have_been_taken_before() {
    let body = r#"{"success":false,"message":"Reward expired"}"#;
    let again = |answered_at_till, in_doubt, attempts| Redemption {
        trusted: false,
        refused_at_till: true,
        answered_at_till,
        in_doubt,
        attempts,
        ..row(RowState::Parked, Some((200, body)))
    };
    assert_eq!(told(settled(&again(false, false, 2))).await.0, 503);
    assert_eq!(told(settled(&again(false, true, 1))).await.0, 503, "of another store");
    assert_eq!(told(settled(&again(true, false, 2))).await.0, 400, "it was certain then");
    assert_eq!(told(settled(&again(false, false, 1))).await.0, 400, "the answer came late");
    let explained = Redemption { trusted: false, ..row(RowState::Declined, Some((200, body))) };
    let (status, answer) = told(settled(&explained)).await;
    assert_eq!((status, &answer["message"]), (400, &json!("Reward expired")), "never the success");
}
