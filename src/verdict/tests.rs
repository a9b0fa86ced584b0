//! The table of verdicts.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// The phrases of a default of the settings.
fn phrases(default: &str) -> Vec<String> {
    serde_json::from_str(default).unwrap()
}

fn already_used() -> Vec<String> {
    phrases(include_str!("../settings/already_used.json"))
}

fn rules() -> Rules {
    Rules {
        declined_status: vec![400, 404, 409, 410, 422],
        already_used: Phrases::new(&already_used()),
        in_progress: Phrases::new(&phrases(include_str!("../settings/in_progress.json"))),
        ..Rules::default()
    }
}

fn reply(status: u16, body: &str) -> Reply {
    let answer =
        Answer { status, content_type: None, body: Bytes::copy_from_slice(body.as_bytes()) };
    Reply {
        answer,
        truncated: false,
        content_encoding: None,
        framed: true,
        retry_after: None,
        date: None,
        www_authenticate: None,
    }
}

fn verdict(reply: Reply) -> Verdict {
    judge(&Outcome::Answered(reply), &rules())
}

fn of(status: u16, body: &str) -> Verdict {
    verdict(reply(status, body))
}

fn is_not_the_provider(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::NotTheProvider { .. })
}

const SHAPE: &str = r#"{"message":"no"}"#;
const HTML: &str = "\n<!doctype html><title>Log in</title>";

#[test]
fn a_2xx_with_an_object_without_errors_or_an_empty_body_confirms() {
    let objects = [
        "",
        "{}",
        " {} ",
        r#"{"errors":[]}"#,
        r#"{"errors":null}"#,
        r#"{"errors":{}}"#,
        "\u{feff}{}",
    ];
    let more =
        [r#"{"errors":""}"#, r#"{"errors":false}"#, r#"{"errors":0}"#, r#"{"message":"done"}"#];
    let odd = [r#"{"data":{"n":1e999}}"#, r#"{"data":[],"message":null,"errors":[]}"#];
    for body in objects.into_iter().chain(more).chain(odd) {
        assert_eq!(of(200, body), Verdict::Confirmed, "{body:?}");
    }
    assert_eq!(of(204, ""), Verdict::Confirmed);
    assert_eq!(of(299, "{}"), Verdict::Confirmed);
}

#[test]
fn a_2xx_that_lists_errors_is_parked() {
    let lists = [
        r#"{"errors":["x"]}"#,
        r#"{"errors":"x"}"#,
        r#"{"errors":{"f":[]}}"#,
        r#"{"errors":[null]}"#,
    ];
    let values = [r#"{"errors":true}"#, r#"{"errors":7}"#, r#"{"errors":1e999}"#];
    for body in lists.into_iter().chain(values) {
        assert!(matches!(of(200, body), Verdict::Parked { .. }), "{body:?}");
    }
}

#[test]
fn a_2xx_with_anything_else_is_not_the_provider() {
    for body in [HTML, "[]", "\"ok\"", "null", "true", "1", "OK", "{}{}", "\n", "{\"a\":\"\u{1}\"}"]
    {
        assert!(is_not_the_provider(&of(200, body)), "{body:?}");
    }
    let mut not_utf8 = reply(200, "");
    not_utf8.answer.body = Bytes::from_static(b"{\"message\":\"\xff\"}");
    assert!(is_not_the_provider(&verdict(not_utf8)));
}

#[test]
fn a_truncated_body_is_never_in_shape() {
    for (status, body) in
        [(200, "{}"), (200, ""), (400, SHAPE), (401, SHAPE), (401, ""), (403, SHAPE)]
    {
        let cut = Reply { truncated: true, ..reply(status, body) };
        assert!(is_not_the_provider(&verdict(cut)), "{status} {body:?}");
    }
}

/// A refusal's evidence, whether it says "already used", and what it said first.
fn refusal(status: u16, body: &str) -> (Evidence, bool, String) {
    let verdict = of(status, body);
    let Verdict::Declined { evidence, already_used, message } = verdict else {
        panic!("{status} {body}: {verdict:?}")
    };
    (evidence, already_used, message)
}

#[test]
fn a_declining_status_in_the_contracts_shape_declines() {
    for status in [400, 404, 409, 410, 422] {
        assert_eq!(refusal(status, SHAPE), (Evidence::Weak, false, "no".to_owned()), "{status}");
    }
    for body in [r#"{"message":null}"#, r#"{"errors":[]}"#] {
        assert_eq!(refusal(400, body), (Evidence::Weak, false, String::new()), "{body}");
    }
    let bare = r#"{"data":[],"message":"","errors":[]}"#;
    assert_eq!(refusal(400, bare), (Evidence::Strong, false, String::new()));
}

#[test]
fn already_used_is_found_in_any_case_in_message_and_in_errors() {
    let used = [
        (
            r#"{"data":[],"message":"Reward 1234 HAS been Used","errors":["x"]}"#,
            "Reward 1234 HAS been Used",
        ),
        (r#"{"errors":["first","Reward has been used"]}"#, "first"),
        (r#"{"errors":{"reward_code":["was Already Redeemed"]}}"#, "was Already Redeemed"),
        (r#"{"errors":"has been used"}"#, "has been used"),
    ];
    for (body, first) in used {
        assert_eq!(refusal(400, body), (Evidence::Strong, true, first.to_owned()), "{body}");
    }
    for body in [
        r#"{"message":"unknown","note":"has been used"}"#,
        r#"{"message":"has been","errors":["used"]}"#,
    ] {
        assert!(!refusal(400, body).1, "{body}");
    }
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let body = format!(r#"{{"message":"{}"}}"#, "ä".repeat(2 * MESSAGE_BYTES_MAX));
    let Verdict::Declined { message, .. } = of(400, &body) else { panic!("not declined") };
    assert_eq!(message, "ä".repeat(MESSAGE_BYTES_MAX / 2));
}

#[test]
fn a_declining_status_without_the_contracts_shape_is_not_the_provider() {
    for status in [400, 404, 409, 410, 422] {
        for body in ["", "{}", HTML, "[]", r#"["message","errors"]"#, r#"{"Message":"no"}"#] {
            assert!(is_not_the_provider(&of(status, body)), "{status} {body:?}");
        }
    }
}

#[test]
fn a_401_or_403_in_the_contracts_shape_is_about_the_credential() {
    assert_eq!(of(401, SHAPE), Verdict::Credential);
    assert_eq!(of(403, SHAPE), Verdict::Credential);
    assert_eq!(of(401, ""), Verdict::Credential);
    assert!(is_not_the_provider(&of(403, "")));
    assert!(is_not_the_provider(&of(401, HTML)));
    assert!(is_not_the_provider(&of(403, HTML)));
}

#[test]
fn a_401_that_asks_for_a_bearer_token_is_about_the_credential_whatever_its_body() {
    let asks = |status, header: &str| {
        verdict(Reply { www_authenticate: Some(header.to_owned()), ..reply(status, HTML) })
    };
    for header in ["Bearer", "bearer realm=\"x\"", "Basic realm=x, Bearer error=\"invalid_token\""]
    {
        assert_eq!(asks(401, header), Verdict::Credential, "{header}");
        assert!(is_not_the_provider(&asks(403, header)), "{header}");
    }
    for header in ["Basic realm=bearer", "", "Bearerish x"] {
        assert!(is_not_the_provider(&asks(401, header)), "{header}");
    }
}

#[test]
fn any_other_4xx_any_3xx_and_511_are_not_the_provider() {
    for status in
        [300, 301, 302, 304, 307, 308, 402, 405, 406, 411, 413, 415, 418, 426, 431, 451, 511]
    {
        assert!(is_not_the_provider(&of(status, SHAPE)), "{status}");
    }
    for status in [100, 101, 199, 600, 999] {
        assert!(is_not_the_provider(&of(status, SHAPE)), "{status}");
    }
}

#[test]
fn the_cause_names_what_came_and_repeats_none_of_it() {
    let detail = |status, body: &str| {
        let Verdict::NotTheProvider { detail } = of(status, body) else {
            panic!("it is the provider")
        };
        detail
    };
    assert_eq!(detail(200, HTML), "HTTP 200 with a web page");
    assert_eq!(detail(302, ""), "HTTP 302 with a redirect");
    assert_eq!(detail(404, "secret"), "HTTP 404 with 6 bytes that are not in the contract's shape");
    assert_eq!(detail(511, SHAPE), "HTTP 511 with a network's demand to log in");
    assert_eq!(detail(404, " \n"), "HTTP 404 with an empty body");
    let endless = Reply { truncated: true, ..reply(200, "secret") };
    let expected = Verdict::NotTheProvider {
        detail: "HTTP 200 with a body of more than 65536 bytes".to_owned(),
    };
    assert_eq!(verdict(endless), expected);
}

#[test]
fn what_a_refusal_said_first_is_its_first_text_that_says_anything() {
    for body in
        [r#"{"message":"","errors":["","no"]}"#, r#"{"message":[],"errors":{"a":"","b":["no"]}}"#]
    {
        assert_eq!(refusal(400, body).2, "no", "{body}");
    }
}

#[test]
fn what_a_person_lists_as_declining_declines() {
    let rules = Rules { declined_status: vec![403, 429, 500, 302, 200, 511], ..Rules::default() };
    for status in [403, 429, 500] {
        let verdict = judge(&Outcome::Answered(reply(status, SHAPE)), &rules);
        assert!(matches!(verdict, Verdict::Declined { .. }), "{status}");
    }
    assert!(is_not_the_provider(&judge(&Outcome::Answered(reply(302, SHAPE)), &rules)));
    assert!(is_not_the_provider(&judge(&Outcome::Answered(reply(511, SHAPE)), &rules)));
    assert_eq!(judge(&Outcome::Answered(reply(200, SHAPE)), &rules), Verdict::Confirmed);
}

#[test]
fn a_server_fault_makes_its_row_wait() {
    for status in [408, 425, 500, 501, 502, 503, 504, 505, 599] {
        assert_eq!(of(status, HTML), Verdict::RowFault { status });
        assert_eq!(of(status, SHAPE), Verdict::RowFault { status });
    }
    let with_retry_after = Reply { retry_after: Some("5".to_owned()), ..reply(500, "") };
    assert_eq!(verdict(with_retry_after), Verdict::RowFault { status: 500 });
}

const DATE: &str = "Sun, 01 Nov 2026 08:00:00 GMT";

/// As one list: the provider's, and that of what stands before it.
const TWO_DATES: &str = "Sun, 01 Nov 2026 08:00:00 GMT, Sun, 01 Nov 2026 08:00:01 GMT";

#[test]
fn retry_after_is_a_bounded_floor_or_nothing() {
    let rows = [
        ("7", None, Some(7)),
        (" 7 ", None, Some(7)),
        ("3600", None, Some(3600)),
        ("3601", None, Some(3600)),
        ("18446744073709551615", None, Some(3600)),
        ("18446744073709551616", None, Some(3600)),
        ("", None, None),
        ("99999999999999999999999999", None, Some(3600)),
        ("0", None, None),
        ("-1", None, None),
        ("+1", None, None),
        ("1.5", None, None),
        ("1e3", None, None),
        ("", None, None),
        ("soon", Some(DATE), None),
        ("Sun, 01 Nov 2026 08:00:30 GMT", Some(DATE), Some(30)),
        ("Sun, 01 Nov 2026 08:00:30 GMT", Some("Sunday, 01-Nov-26 08:00:00 GMT"), Some(30)),
        ("Sun, 01 Nov 2026 08:00:30 GMT", None, None),
        ("Sun, 01 Nov 2026 08:00:30 GMT", Some("yesterday"), None),
        ("Sun, 01 Nov 2026 07:59:59 GMT", Some(DATE), None),
        (DATE, Some(DATE), None),
        ("Mon, 01 Nov 2060 08:00:00 GMT", Some(DATE), Some(3600)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(3600)),
        // The provider's and that of what stands before it, as one list.
        ("60, 60", None, Some(60)),
        ("5, 60", None, Some(60)),
        ("60, soon", None, Some(60)),
        ("0, 0", None, None),
        ("soon, -5", Some(DATE), None),
        ("7, Sun, 01 Nov 2026 08:00:30 GMT", Some(DATE), Some(30)),
        ("Sun, 01 Nov 2026 08:00:30 GMT, 45", Some(DATE), Some(45)),
        ("Sun, 01 Nov 2026 08:00:30 GMT, Sun Nov  1 08:00:40 2026", Some(TWO_DATES), Some(40)),
        ("Sun, 01 Nov 2026 08:00:30 GMT, 5", None, Some(5)),
    ];
    for (retry_after, date, expected) in rows {
        let at_least = expected.map(Duration::from_secs);
        let with = |status| {
            let retry_after = Some(retry_after.to_owned());
            verdict(Reply { retry_after, date: date.map(str::to_owned), ..reply(status, HTML) })
        };
        assert_eq!(with(429), Verdict::Wait { at_least, clean: true }, "{retry_after:?} {date:?}");
        let unavailable = match at_least {
            Some(_) => Verdict::Wait { at_least, clean: false },
            None => Verdict::RowFault { status: 503 },
        };
        assert_eq!(with(503), unavailable, "{retry_after:?} {date:?}");
    }
    assert_eq!(of(429, SHAPE), Verdict::Wait { at_least: None, clean: true });
}

#[test]
fn a_failure_is_no_answer_a_reset_or_the_credential() {
    let of = |phase, deadline| {
        let failure = Failure {
            phase,
            detail: String::new(),
            bytes_may_have_left: true,
            deadline,
            sent_whole: true,
            not_http: false,
        };
        judge(&Outcome::Failed(failure), &rules())
    };
    for phase in [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Clock, Phase::Proxy] {
        assert_eq!(of(phase, false), Verdict::NoAnswer(phase));
        assert_eq!(of(phase, true), Verdict::NoAnswer(phase));
    }
    for phase in [Phase::Write, Phase::Answer] {
        assert_eq!(of(phase, false), Verdict::Reset);
        assert_eq!(of(phase, true), Verdict::NoAnswer(phase));
    }
    assert_eq!(of(Phase::Credential, false), Verdict::Credential);
    assert_eq!(of(Phase::Credential, true), Verdict::Credential);
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    let dates = Just(DATE.to_owned());
    proptest::option::of(prop_oneof![
        any::<String>(),
        dates,
        "[0-9]{0,30}",
        "[A-Z][a-z]{2}, [ -~]{0,30}"
    ])
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let near = r#"[{\[]{0,200}"?(message|errors)?"?:?[ -~]{0,20}[\]}]{0,200}"#;
    prop_oneof![
        any::<Vec<u8>>(),
        near.prop_map(String::into_bytes),
        object().prop_map(String::into_bytes)
    ]
}

/// An object of members that mean something, and of some that do not.
fn object() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "message",
        "errors",
        "data",
        "error",
        "status",
        "success",
        "code",
        "path",
        "statusCode",
        "captive",
        "x",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "404",
            "[]",
            "{}",
            "1e999",
            r#"["no"]"#,
            "\"\"",
            "\"\\ud800\""
        ])
        .prop_map(str::to_owned),
        "[a-zء-ي \u{200f}]{0,12}".prop_map(|text| format!("\"{text}\"")),
        prop::sample::select(already_used()).prop_map(|text| format!("\"{text}\"")),
    ];
    prop::collection::vec((names, values), 0..5).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #[test]
    fn judging_never_panics_and_no_wait_is_longer_than_an_hour(
        status: u16, body in any_body(), (truncated, framed) in any::<(bool, bool)>(),
        texts in prop::collection::vec(any_text(), 5..=5),
    ) {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().flatten();
        let answer = Answer { status, content_type: text(), body: body.into() };
        let (retry_after, date) = (text(), text());
        let (www_authenticate, content_encoding) = (text(), text());
        let reply =
            Reply {
                answer, truncated, content_encoding, framed, retry_after, date, www_authenticate,
            };
        let verdict = verdict(reply);
        if let Verdict::Wait { at_least: Some(wait), .. } = verdict {
            prop_assert!(wait <= Duration::from_secs(RETRY_AFTER_S_MAX) && !wait.is_zero());
        }
        if let Verdict::Declined { message: text, .. } = verdict {
            prop_assert!(text.len() <= MESSAGE_BYTES_MAX);
        }
    }

    #[test]
    fn nothing_without_the_contracts_shape_settles_a_redemption(
        status in 201u16..=599,
        body in "[^{]{1,200}",
    ) {
        let verdict = of(status, &body);
        prop_assert!(!verdict.is_answer(), "{verdict:?}");
    }

    #[test]
    fn outside_of_a_2xx_only_a_message_or_errors_settle_a_redemption(
        status in 300u16..=599,
        body in object(),
    ) {
        let in_shape = body.contains("\"message\":") || body.contains("\"errors\":");
        let verdict = of(status, &body);
        prop_assert!(in_shape || !verdict.is_answer(), "{verdict:?}");
    }

    #[test]
    fn a_foreign_member_is_never_strong_without_known_words(
        status in prop::sample::select(vec![400u16, 404, 409, 410, 422]),
        foreign in prop::sample::select(FOREIGN.to_vec()), body in object(), weak_declines: bool,
    ) {
        let begin = format!("{{{foreign},\"message\":\"no\",");
        let body = body.replacen('{', &begin, 1).replace(",}", "}");
        let rules = Rules { weak_declines, ..rules() };
        let verdict = judge(&Outcome::Answered(reply(status, &body)), &rules);
        if let Verdict::Declined { evidence, already_used, .. } = verdict {
            prop_assert_eq!(evidence == Evidence::Strong, already_used, "{}", body);
        }
    }

    #[test]
    fn an_answer_that_says_it_failed_never_confirms(
        failure in prop::sample::select(FAILURES.to_vec()), body in object(),
    ) {
        let body = body.replace('}', &format!(",{failure}}}")).replace("{,", "{");
        let verdict = of(200, &body);
        let is_outweighed = failure == USED_NOW && body.contains(r#""success":true"#);
        prop_assert!(is_outweighed || verdict != Verdict::Confirmed, "{body}");
    }
}

#[test]
fn no_failure_is_outweighed_by_a_success_but_a_state_that_it_may_have_brought_about() {
    for failure in FAILURES {
        for well in [r#""success":true"#, r#""ok":true"#] {
            let verdict = of(200, &format!("{{{well},{failure}}}"));
            let is_confirmed = verdict == Verdict::Confirmed;
            assert_eq!(is_confirmed, failure == USED_NOW, "{well} {failure}");
        }
    }
}

/// What a reward is that was redeemed just now, where the answer says that it went well.
const USED_NOW: &str = r#""status":"USED""#;

/// Members that only servers, frameworks and gateways add.
const FOREIGN: [&str; 12] = [
    r#""statusCode":400"#,
    r#""StatusCode":400"#,
    r#""status_code":400"#,
    r#""path":"/redeem""#,
    r#""trace":"at x""#,
    r#""traceId":"00-1""#,
    r#""exception":"E""#,
    r#""request_id":"r""#,
    r#""requestId":"r""#,
    r#""type":"about:blank","title":"Bad Request""#,
    r#""timestamp":"t","path":"/redeem""#,
    r#""file":"a.php","line":1"#,
];

#[test]
fn the_evidence_of_a_refusal_is_told_by_its_shape() {
    use Evidence::{Strong, Weak};
    for (status, body, expected) in [
        // The contract's own.
        (400, r#"{"data":[],"message":"Reward 1234 not valid here","errors":["x"]}"#, Strong),
        (400, r#"{"data":[],"message":"Reward has expired"}"#, Strong),
        (400, r#"{"data":null,"message":"Reward has expired","errors":[]}"#, Strong),
        (400, r#"{"errors":["Reward has expired"]}"#, Strong),
        (409, r#"{"message":"no","errors":{"reward_code":["not for this branch"]}}"#, Strong),
        (422, r#"{"message":"no","errors":"not for this branch"}"#, Strong),
        (404, r#"{"data":[],"message":"Reward not found"}"#, Strong),
        (404, r#"{"data":[],"errors":["Reward not found"]}"#, Strong),
        (410, r#"{"data":[],"message":"Reward has expired","errors":[]}"#, Strong),
        // What anybody may have written.
        (400, r#"{"message":"Reward has expired"}"#, Weak),
        (400, r#"{"data":[],"errors":[]}"#, Weak),
        (404, r#"{"message":"Reward not found"}"#, Weak),
        (404, r#"{"message":"Reward not found","errors":["Reward not found"]}"#, Weak),
        (410, r#"{"errors":["gone"]}"#, Weak),
        // Known words go before all of it.
        (404, r#"{"message":"Reward has been used"}"#, Strong),
        (400, r#"{"statusCode":400,"message":"Reward already redeemed"}"#, Strong),
        (409, r#"{"message":"no","code":"REWARD_ALREADY_USED","path":"/redeem"}"#, Strong),
    ] {
        assert_eq!(refusal(status, body).0, expected, "{status} {body}");
    }
}

/// What stands before a provider says such things of itself: who, its status, its body.
const GATEWAYS: &[(&str, u16, &str)] = &[
    ("Kong", 404, r#"{"message":"no Route matched with those values"}"#),
    ("Kong 3", 404, r#"{"message":"no Route matched with those values","request_id":"9f1"}"#),
    (
        "Kong, key-auth in an envelope",
        400,
        r#"{"data":[],"message":"No API key found in request"}"#,
    ),
    ("nginx, its JSON pages", 404, r#"{"code":404,"message":"Not Found"}"#),
    (
        "nginx, its JSON pages",
        400,
        r#"{"code":400,"message":"Bad Request","errors":["Bad Request"]}"#,
    ),
    ("AWS API Gateway", 404, r#"{"message":"Not Found"}"#),
    ("AWS API Gateway", 400, r#"{"message":"Invalid request body","requestId":"1-2"}"#),
    ("AWS API Gateway", 400, r#"{"message":"Missing Authentication Token"}"#),
    ("Azure API Management", 404, r#"{ "statusCode": 404, "message": "Resource not found" }"#),
    (
        "Google Cloud Endpoints",
        404,
        r#"{"code":5,"message":"Method does not exist.","details":[]}"#,
    ),
    (
        "Cloudflare",
        400,
        r#"{"success":false,"errors":[{"code":7003,"message":"x"}],"messages":[],"result":null}"#,
    ),
    (
        "WSO2",
        404,
        r#"{"code":"404","type":"Status report","message":"Runtime Error","description":"None"}"#,
    ),
    (
        "Spring",
        404,
        r#"{"timestamp":"t","status":404,"error":"Not Found","message":"No message","path":"/r"}"#,
    ),
    (
        "Spring",
        400,
        r#"{"timestamp":1,"status":400,"errors":[{"field":"a"}],"message":"Validation","path":"/r"}"#,
    ),
    ("Spring, trimmed", 400, r#"{"data":null,"message":"No static resource redeem."}"#),
    ("Laravel", 404, r#"{"message":"The route api/redeem could not be found."}"#),
    ("Laravel, debug", 404, r#"{"message":"","exception":"E","file":"a.php","line":1,"trace":[]}"#),
    (
        "Laravel, in its envelope",
        400,
        r#"{"data":[],"message":"Unauthenticated.","errors":["Unauthenticated."]}"#,
    ),
    (
        "Laravel, in its envelope",
        400,
        r#"{"data":[],"message":"Server Error","errors":["Server Error"]}"#,
    ),
    ("NestJS", 404, r#"{"message":"Cannot POST /redeem","error":"Not Found","statusCode":404}"#),
    (
        "Fastify",
        400,
        r#"{"statusCode":400,"code":"E","error":"Bad Request","message":"body","errors":["x"]}"#,
    ),
    (
        "ASP.NET",
        400,
        r#"{"type":"u","title":"Validation","status":400,"errors":{"a":["b"]},"traceId":"0"}"#,
    ),
    ("ASP.NET", 404, r#"{"type":"u","title":"Not Found","status":404,"message":"x","data":{}}"#),
    (
        "WordPress",
        404,
        r#"{"code":"rest_no_route","message":"No route was found","data":{"status":404}}"#,
    ),
    (
        "WordPress",
        400,
        r#"{"code":"rest_x","message":"Missing","data":{"status":400,"params":[]}}"#,
    ),
    ("Phoenix", 400, r#"{"errors":{"detail":"Bad Request"}}"#),
    ("JSON:API", 404, r#"{"errors":[{"status":"404","title":"Not Found"}]}"#),
    ("JSON:API", 400, r#"{"errors":[{"status":"400","title":"Bad Request"}]}"#),
    (
        "an envelope for every fault",
        404,
        r#"{"data":[],"message":"Not Found","errors":["Not Found"]}"#,
    ),
    (
        "an envelope for every fault",
        400,
        r#"{"data":[],"message":"Too Many Requests","errors":["slow down"]}"#,
    ),
    ("a token", 400, r#"{"message":"Token expired"}"#),
    ("a token", 400, r#"{"data":[],"message":"Token has expired","errors":["Token has expired"]}"#),
    ("a token", 422, r#"{"data":[],"message":"x","errors":["The access token is invalid"]}"#),
    ("a token", 400, r#"{"data":[],"message":"رَمز الوصول غير صالح","errors":["x"]}"#),
    ("a service", 400, r#"{"data":[],"message":"Service temporarily unavailable","errors":["x"]}"#),
    ("a service", 400, r#"{"data":[],"message":"حدث خطأ ما، حاول مرة أخرى","errors":["x"]}"#),
    (
        "an earlier request",
        422,
        r#"{"data":[],"message":"This redemption is being processed","errors":["x"]}"#,
    ),
    (
        "GraphQL",
        400,
        r#"{"data":null,"errors":[{"message":"Must provide query string","extensions":{}}]}"#,
    ),
    ("GraphQL", 400, r#"{"errors":[{"message":"Syntax Error","locations":[{"line":1}]}]}"#),
    (
        "ASP.NET, trimmed",
        400,
        r#"{"title":"One or more validation errors occurred.","status":400,"errors":{"a":["b"]}}"#,
    ),
    (
        "JSON:API, with details",
        400,
        r#"{"errors":[{"status":"400","title":"Invalid Attribute","detail":"too long"}]}"#,
    ),
    (
        "Feathers",
        400,
        r#"{"name":"BadRequest","message":"x","code":400,"className":"bad-request","data":{},"errors":{}}"#,
    ),
    (
        "Spring, without path",
        400,
        r#"{"status":400,"error":"Bad Request","message":"Validation failed","errors":[{"field":"x"}]}"#,
    ),
    ("Express", 404, r#"{"message":"Not Found","stack":"Error: Not Found","data":{}}"#),
    (
        "Laravel, in its envelope",
        404,
        r#"{"data":[],"message":"The route api/redeem could not be found.","errors":[]}"#,
    ),
    (
        "Laravel, in its envelope",
        400,
        r#"{"data":[],"message":"Too Many Attempts.","errors":["Too Many Attempts."]}"#,
    ),
    (
        "Laravel, in its envelope",
        400,
        r#"{"data":[],"message":"SQLSTATE[HY000] [2002] Connection refused","errors":["x"]}"#,
    ),
    ("Gravitee", 404, r#"{"message":"No context-path matches.","http_status_code":404}"#),
    (
        "IBM API Connect",
        404,
        r#"{"data":{},"httpCode":"404","message":"x","moreInformation":"No resources match"}"#,
    ),
    ("WSO2", 400, r#"{"code":"900901","message":"Invalid Credentials","description":"x"}"#),
    ("grpc-gateway", 400, r#"{"code":3,"message":"invalid argument","details":[]}"#),
    ("FastAPI behind an envelope", 422, r#"{"message":"Unprocessable Content","errors":[]}"#),
    ("a proxy's words", 400, r#"{"data":[],"message":"Request blocked by policy","errors":["x"]}"#),
    (
        "a proxy's words",
        400,
        r#"{"data":[],"message":"Client certificate required","errors":["x"]}"#,
    ),
    ("a service", 400, r#"{"data":[],"message":"الخدمة غير متوفرة حاليًا","errors":["x"]}"#),
    ("a session", 400, r#"{"data":[],"message":"انتهت الجلسة","errors":["x"]}"#),
    ("a defect", 400, r#"{"data":[],"message":"NullPointerException","errors":["exception"]}"#),
    ("Vault", 400, r#"{"errors":["missing client token"]}"#),
    ("Vault", 400, r#"{"errors":["permission denied"]}"#),
    ("nginx", 400, r#"{"data":{},"message":"The plain HTTP request was sent to HTTPS port"}"#),
    ("Django", 400, r#"{"message":"Invalid host header","data":{}}"#),
    ("Laravel", 404, r#"{"data":[],"message":"The route redeem could not be found."}"#),
    ("nothing at all", 400, r#"{"data":"x","errors":"none"}"#),
    ("a key", 422, r#"{"message":"Idempotency-Key has already been used with another payload"}"#),
];

#[test]
fn what_gateways_frameworks_and_proxies_say_of_themselves_is_weak() {
    for &(whose, status, body) in GATEWAYS {
        let (evidence, already_used, _) = refusal(status, body);
        assert_eq!((evidence, already_used), (Evidence::Weak, false), "{whose}: {status} {body}");
    }
    for member in FOREIGN {
        let body =
            format!(r#"{{"data":[],"message":"Reward has expired","errors":["x"],{member}}}"#);
        assert_eq!(refusal(400, &body).0, Evidence::Weak, "{member}");
    }
}

/// What a server says of its own state, in the contract's shape.
const OF_THE_MOMENT: &[&str] = &[
    "connect ECONNREFUSED 127.0.0.1:5432",
    "read ECONNRESET",
    "getaddrinfo ENOTFOUND db",
    "getaddrinfo EAI_AGAIN db.internal",
    "connect ETIMEDOUT 10.0.0.7:6379",
    "write EPIPE",
    "Lock wait timeout exceeded; try restarting transaction",
    "Failed to acquire lock",
    "Could not obtain lock on row in relation",
    "Please try again",
    "Please try again.",
    "Please try again in a few minutes",
    "System is busy",
    "Server is busy, retry",
    "SYSTEM_BUSY",
    "Too many connections",
    "Could not open connection",
    "cURL error 28: Operation timed out after 30000 milliseconds",
    "Maintenance",
    "We will be back soon",
    "Undefined array key \\\"branch\\\"",
    "Attempt to read property \\\"id\\\" on null",
    "Trying to get property of non-object",
    "Call to a member function format() on null",
    "Cannot read properties of undefined (reading 'id')",
    "TypeError: x is null",
    "KeyError: 'id'",
    "django.db.utils.OperationalError: server closed",
    "JSONDecodeError",
    "NullReferenceException",
    "relation \\\"rewards\\\" does not exist",
    "Signature has expired",
    "TokenExpiredError",
    "Token is blacklisted",
    "Duplicate request",
    "The idempotency key has been used with other parameters",
    "A technical error happened",
    "انتهت صلاحية الجلسة",
    "انتهت صلاحية الرمز المميز",
    "فشل الاتصال بقاعدة البيانات",
    "تعذّر الاتصال بالخادم",
    "غير مصرح",
    "غير مُصرَّح لك.",
    "الخدمة متوقفة مؤقتا",
    "النظام مشغول",
    "يرجى المحاولة مرة أخرى",
];

#[test]
fn what_a_server_says_of_its_own_state_is_weak() {
    for text in OF_THE_MOMENT {
        let body = format!(r#"{{"data":[],"message":"{text}","errors":["{text}"]}}"#);
        for status in [400, 409, 422] {
            let verdict = of(status, &body);
            let Verdict::Declined { evidence, already_used, .. } = verdict else {
                assert!(matches!(verdict, Verdict::InProgress { .. }), "{status} {body}");
                continue;
            };
            assert_eq!((evidence, already_used), (Evidence::Weak, false), "{status} {body}");
        }
    }
}

/// Refusals of a reward, each with a word that a gateway, a framework or work in progress has too.
const ORDINARY: &[&str] = &[
    "Reward is part of an ongoing promotion",
    "Please wait 24 hours between two redemptions",
    "There is an outstanding balance on this account",
    "Valid for purchases in flight alone",
    "Simultaneous offers cannot be combined",
    "Please make another request with a valid code",
    "Your profile is not yet complete",
    "Your registration has not been completed",
    "No voucher is taken while the sale is underway",
    "There was a problem processing your code",
    "This branch is not authorized for this reward",
    "Unauthorized branch",
    "Reward needs the authorization of a manager",
    "Reward is forbidden for minors",
    "Reward is currently unavailable at this branch",
    "Reward is temporarily unavailable",
    "Valid on all items with the exception of tobacco",
    "No exceptions are made",
    "Code not found in our database",
    "Valid with the Signature Burger alone",
    "The customer's signature is needed",
    "Invalid code, please try again",
    "This reward is not available, please try again tomorrow",
    "Please try again with another code",
    "Not active yet, try again in a few days",
    "This offer will be back soon",
    "The branch is busy: valid in quiet hours alone",
    "Permission denied for this branch",
    "Reward is locked until Friday",
    "There are too many rewards on this order",
    "No such table is reserved",
    "EXPIRED",
    "REWARD_EXPIRED",
    "EXCEEDED",
    "EXCHANGED",
    "ELIGIBILITY",
    "RewardExpiredError",
    "InvalidCodeError",
    "ValidationError: not for this branch",
    "Terror Night is sold out",
    "The route ticket has expired",
    "Your connection at Jeddah is not part of this ticket",
    "Reward does not exist",
    "Time is over for this reward",
    "For the maintenance of a car alone",
    "Not valid for this route",
    "Valid on the route Riyadh to Jeddah",
    "No route is given on the ticket",
    "Reward blocked by its issuer",
    "Request rejected: not enough points",
    "The bearer of this voucher must be an adult",
    "The reservation of this reward timed out",
    "Valid for your iPad alone",
    "Upstream Coffee does not take this reward",
    "Cannot post points to this account",
    "هذا الفرع غير مصرح له بهذه المكافأة",
    "المستودع غير مخول لهذه المكافأة",
    "المكافأة غير متاحة حاليًا",
    "القسيمة غير مصرح بها",
    "العميل غير مصرح له",
    "الرمز غير موجود في قاعدة البيانات",
    "انتهت صلاحية القسيمة",
    "انتهت صلاحية الرمز",
    "العرض متوقف مؤقتا",
    "المكافأة غير متاحة، حاول مرة أخرى غدا",
    "انتهت المهلة المحددة للاستبدال",
    "رمز غير صحيح، حاول مرة أخرى",
    "القسيمة لأعمال التجديد وليس الصيانة",
    "عضويتك قيد الانتظار",
    "يرجى الانتظار 24 ساعة بين كل طلبين",
    "لم تكتمل بعد بيانات عضويتك",
    "القسيمة على طلب آخر",
];

#[test]
fn an_ordinary_refusal_is_strong_whatever_it_has_in_common_with_other_words() {
    for text in ORDINARY.iter().map(|text| serde_json::Value::from(*text)) {
        let body = format!(r#"{{"data":[],"message":{text},"errors":[{text}]}}"#);
        for status in [400, 409, 422] {
            let (evidence, already_used, _) = refusal(status, &body);
            assert_eq!((evidence, already_used), (Evidence::Strong, false), "{status} {body}");
        }
    }
}

#[test]
fn a_provider_with_bare_messages_can_be_told_to_be_believed() {
    let rules = Rules { weak_declines: true, ..rules() };
    let evidence = |status, body: &str| {
        let Verdict::Declined { evidence, .. } =
            judge(&Outcome::Answered(reply(status, body)), &rules)
        else {
            panic!("{status} {body}")
        };
        evidence
    };
    for status in [400, 409, 422] {
        assert_eq!(
            evidence(status, r#"{"message":"Reward has expired"}"#),
            Evidence::Strong,
            "{status}"
        );
        assert_eq!(
            evidence(status, r#"{"message":"Reward has expired","path":"/"}"#),
            Evidence::Weak,
            "{status}"
        );
        assert_eq!(evidence(status, r#"{"message":"Token expired"}"#), Evidence::Weak, "{status}");
        assert_eq!(evidence(status, r#"{"message":"Bad Request"}"#), Evidence::Weak, "{status}");
        for body in [
            r#"{"errors":[]}"#,
            r#"{"message":null}"#,
            r#"{"message":""}"#,
            r#"{"message":" - "}"#,
            r#"{"message":[]}"#,
        ] {
            assert_eq!(evidence(status, body), Evidence::Weak, "{status} {body}");
        }
    }
    for status in [404, 410] {
        assert_eq!(
            evidence(status, r#"{"message":"Reward has expired"}"#),
            Evidence::Weak,
            "{status}"
        );
    }
}

#[test]
fn already_used_is_understood_in_other_words_in_arabic_and_in_codes() {
    let said = [
        "Reward 1234 has been used",
        "reward\u{a0}HAS  been\nused",
        "This code has already been redeemed.",
        "Voucher previously redeemed on 2026-11-01",
        "Already-claimed reward",
        "تم استخدام المكافأة",
        "تَمَّ اسْتِخْدَامُ القسيمة من قبل",
        "القسيمة مستخدمة مسبقًا",
        "لقد سـبـق استخـدام هذا الكود",
        "الكود صحيح وتم استخدامه",
        "تم إستبدال المكافأه",
        "المكافأة مستعملة من قبل",
        "Reward has already been availed",
        "This code is used",
        "Voucher was used on 2026-11-01 at branch 7",
        "Reward already\u{a0}burned",
        "ALREADY—CLAIMED",
        "Ｒｅｗａｒｄ ｈａｓ ｂｅｅｎ ｕｓｅｄ",
        "Reward h\u{200b}as been us\u{ad}ed",
        "Duplicate redemption of reward 1234",
        "Coupon fully redeemed",
        "تم الاسـتبدال من قبل",
        "القسيمةُ مُستَخدَمة",
        "سبق لك استخدام هذه المكافأة",
        "اسْتُخْدِمَتْ هذِهِ القسيمة",
        "الكود مستخدم",
        "ﺗﻢ اﺳﺘﺨﺪام اﻟﻘﺴﻴﻤﺔ",
        "استبدلت مسبقاً",
    ];
    for text in said.map(serde_json::Value::from) {
        for body in [
            format!(r#"{{"message":{text}}}"#),
            format!(r#"{{"message":"no","errors":["x",{text}]}}"#),
            format!(r#"{{"errors":[{{"code":1,"detail":{text}}}]}}"#),
            format!(r#"{{"message":"no","error":{text}}}"#),
            format!(r#"{{"message":"no","error":{{"description":{text}}}}}"#),
            format!(r#"{{"message":"no","title":{text}}}"#),
        ] {
            let (evidence, already_used, _) = refusal(400, &body);
            assert_eq!((evidence, already_used), (Evidence::Strong, true), "{body}");
        }
    }
    for code in [
        "ALREADY_USED",
        "reward-already-redeemed",
        "RewardAlreadyUsed",
        "alreadyBeenRedeemed",
        "E7_WAS_USED_BEFORE",
    ] {
        for member in ["code", "error", "error_code", "errorCode", "reason", "type"] {
            let body = format!(r#"{{"message":"no","{member}":"{code}"}}"#);
            assert!(refusal(400, &body).1, "{body}");
        }
    }
}

#[test]
fn what_says_the_opposite_or_speaks_of_something_else_is_not_already_used() {
    for text in [
        "Reward has not been used in time",
        "The reward was never previously redeemed",
        "Reward is unused already",
        "لم يتم استخدام المكافأة",
        "سيتم استخدام المكافأة لاحقا",
        "المكافأة غير مستخدمة مسبقا",
        "المستخدم غير معروف",
        "Idempotency-Key has already been used",
        "The nonce has been used",
        "The access token has been used",
        "تم استخدام رمز وصول غير صالح",
        "This code is useless",
        "Reward is not fully redeemed",
        "رقم المستخدم غير صحيح",
        "The refresh token was used by somebody else",
        "Reward has been",
        "Used",
        "body used already for: http://redeem-svc/redeem",
        "Body has already been consumed.",
        "TypeError: Body has already been used",
        "stream was already consumed",
        "Your request quota has been used up",
        "Your request quota has been used up for this code",
        "All connections have been used",
        "Token has already been used",
        "The email is already used",
        "BODY_ALREADY_USED",
        "bodyAlreadyUsed",
        "البريد مستخدم مسبقا",
    ] {
        let body = format!(r#"{{"message":"{text}","errors":["x"]}}"#);
        assert!(!refusal(400, &body).1, "{text}");
        let bare = format!(r#"{{"message":"{text}"}}"#);
        let (evidence, already_used, _) = refusal(400, &bare);
        assert_eq!((evidence, already_used), (Evidence::Weak, false), "{text}");
    }
}

/// A limit, another reward, or another thing that is called a code or a card: the redemption's own
/// code may be as good as ever.
const OF_SOMETHING_ELSE: &[&str] = &[
    "You have already used your daily limit",
    "You've already used your monthly limit for this reward",
    "You already used your daily limit",
    "Already used daily limit",
    "Customer has already used 3 rewards today",
    "This customer has already redeemed 5 rewards this month",
    "This customer has already redeemed a reward today",
    "You have already redeemed two coupons",
    "You have already redeemed your daily reward",
    "You have already redeemed today's reward",
    "You have already claimed your reward for today",
    "You have already claimed today's quota",
    "You have already used 3 of 3",
    "You have already used all your rewards",
    "You have already used this reward 3 times",
    "This code has already been used 5 times",
    "The reward has been redeemed twice today",
    "Sorry, you have already consumed your monthly allowance",
    "Customer has already spent his points",
    "You have already redeemed another voucher",
    "You have already used your free coffee",
    "Sara has already used her birthday treat",
    "Another discount already applied to this bill",
    "A discount has already been applied to this bill",
    "A different promo code has already been applied",
    "A coupon was redeemed today by this customer, one a day",
    "3 rewards have already been redeemed today",
    "Daily limit has been used",
    "Daily limit: already used",
    "The daily limit of this reward has been used",
    "The daily limit for this reward has already been used",
    "Your coupon quota has already been used",
    "Reward allowance has been used up",
    "For this reward the daily limit has been used",
    "The token of this reward has already been used",
    "This reward is fine but your email has already been used",
    "This reward cannot be redeemed before Friday",
    "DAILY_LIMIT_ALREADY_USED",
    "ALREADY_USED_DAILY_LIMIT",
    "DailyLimitAlreadyUsed",
    "AlreadyUsedDailyLimit",
    "RewardLimitAlreadyUsed",
    "Maximum redemptions already used",
    "The maximum number of rewards has already been redeemed",
    "Your monthly reward has already been claimed",
    "Today's reward has already been claimed",
    "Your free redemption for this month has been used",
    "One voucher per day, already used",
    "Limit reached, already redeemed",
    "Limit of 1 per day: already used",
    "Your loyalty points have already been redeemed",
    "Reward points have already been redeemed",
    "Usage limit for this coupon has been fully redeemed",
    "Coupon usage limit has been fully used",
    "All stamps have already been used",
    "You have already redeemed an offer of this type",
    "Phone number has already been used",
    "Your order has already been redeemed",
    "The timestamp was already used",
    "The time stamp was already used",
    "timestamp already used",
    "TimestampAlreadyUsed",
    "The OTP code has already been used",
    "OtpCodeAlreadyUsed",
    "OTP_CODE_ALREADY_USED",
    "Status code has been used",
    "Your PIN code was already used",
    "The SMS code is already used",
    "Error code has been used",
    "Postal code already used",
    "Client certificate already used",
    "The server certificate has been used",
    "Your credit card has already been used today",
    "Debit card already used",
    "The bank card has already been used",
    "Loyalty card has already been used today",
    "Credit card code has been used",
    "The passcode has been used",
    "The postcode has been used",
    "تم استخدام الحد اليومي المسموح به",
    "تم استخدام الحد اليومي للمكافأة",
    "تم استهلاك الرصيد اليومي",
    "لقد استخدمت الحد الأقصى للعروض",
    "لقد استخدمت الحد الأقصى",
    "تم صرف نقاطك",
    "تم صرف نقاط المكافأة",
    "تم استرداد المبلغ",
    "سبق لك استخدام رصيدك",
    "سبق أن تم استخدام الحد المسموح",
    "سبق أن تم رفض الطلب",
    "لقد استخدمت 3 مكافآت هذا الشهر",
    "تم استخدام القسيمة 3 مرات",
    "تم استخدام المكافأة اليومية",
    "تم استخدام قسيمة أخرى على هذه الفاتورة",
    "الحد اليومي للمكافأة تم استخدامه",
    "رصيد البطاقة مستخدم بالفعل",
    "القسيمة اليومية مستخدمة بالفعل",
    "تم استخدام عدد المرات المسموح بها",
    "لقد استخدمت جميع القسائم",
    "لقد استخدمت كوبونين هذا الشهر",
    "لقد استخدمت هذا العرض 3 مرات",
    "تم استخدام خصم آخر على هذه الفاتورة",
    "تم استخدام الرمز السري",
    "تم استخدام البطاقة البنكية",
    "تم استخدام رمز التحقق",
    "رمز التحقق مستخدم بالفعل",
    "تم استخدام رمز الدخول",
    "تم استخدام بطاقة الائتمان",
    "تم استخدام بطاقتك الائتمانية",
    "بطاقة الائتمان مستخدمة من قبل",
    "تم استخدام الطابع الزمني",
];

/// Of each text that is not taken so: its text and how it was taken.
fn taken_otherwise(texts: &[&str], expected: (Evidence, bool)) -> Vec<String> {
    let (rules, code) = (rules(), RewardCode::new("SUMMER-GIFTX".to_owned()));
    let is_taken = |body: String| {
        let outcome = Outcome::Answered(reply(400, &body));
        let verdicts = [judge(&outcome, &rules), judge_about(Some(&code), &outcome, &rules)];
        let is_expected = |verdict: &Verdict| {
            let Verdict::Declined { evidence: found, already_used: used, .. } = verdict else {
                return false;
            };
            (*found, *used) == expected
        };
        verdicts.iter().all(is_expected)
    };
    let bodies = |text: &str| {
        [format!(r#"{{"message":"{text}"}}"#), format!(r#"{{"message":"no","code":"{text}"}}"#)]
    };
    let otherwise = texts.iter().filter(|text| !bodies(text).into_iter().all(is_taken));
    otherwise.map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_limit_another_reward_and_other_things_with_a_rewards_name_are_not_the_code() {
    let otherwise = taken_otherwise(OF_SOMETHING_ELSE, (Evidence::Weak, false));
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

/// Usual ways to say it, with what may stand beside a reward.
const OF_THE_CODE: &[&str] = &[
    "Already used",
    "ALREADY_USED_ERROR",
    "AlreadyUsedException",
    "already used by another customer",
    "Already used on 2026-11-01 10:00",
    "Already redeemed today",
    "Already redeemed, you may try 5 times",
    "Already redeemed at branch 7",
    "Already redeemed please try another",
    "Already redeemed coupon",
    "Used already",
    "Your request was declined: already used",
    "Request rejected, already redeemed",
    "Redemption attempt failed: already used",
    "Limit of one per customer. This code has already been used",
    "The device has already redeemed this offer",
    "You have already used your one-time discount",
    "This number has already been used",
    "Code was redeemed for order 1234",
    "It was already used by you",
    "You have already redeemed this",
    "You have already used this code",
    "You have already used it today",
    "You already used this voucher on 1 May",
    "You have already used your coupon",
    "You've already claimed this reward today",
    "Customer has already redeemed the gift card",
    "You have already redeemed reward 1234",
    "This customer has already redeemed this reward",
    "This offer has already been availed by the customer",
    "Dear customer code 1234 has already been used",
    "Sorry dear customer this code has already been used",
    "At branch 7 the code was already used",
    "According to our records this code is already used",
    "The reward that you entered has already been used",
    "The reward you entered was used before",
    "A voucher that has already been used cannot be redeemed",
    "The number of this voucher has already been used",
    "Reward 1234 at branch 7 has been used",
    "Reward with code 1234 has already been redeemed",
    "The voucher with this code has already been used",
    "Redemption failed because the voucher was used before",
    "Failed to redeem code 1234: already used",
    "Redemption failed: already used",
    "Voucher Summer Special has already been used",
    "Barcode already used",
    "The giftcard has been used",
    "Promocode already applied",
    "Bonus already claimed",
    "eVoucher has been redeemed",
    "Your QR code has already been used",
    "Gift card has been used up",
    "Gift card PIN has already been used",
    "Stamp card was already redeemed",
    "Gift certificate already redeemed",
    "Reward has been used 3 hours ago",
    "Reward has been used once",
    "Reward was already used on this bill",
    "Code has been redeemed today",
    "Code was used by the loyalty card 1234",
    "REWARD_USED_BEFORE_WAS_USED_BEFORE",
    "COUPON_CODE_ALREADY_USED",
    "couponCodeAlreadyUsed",
    "ThisRewardAlreadyUsed",
    "تم استخدام قسيمتك",
    "تم استخدام مكافأتك من قبل",
    "تم استخدام بطاقتك",
    "تم استخدام بطاقة الهدية",
    "تم استخدام رمز الخصم",
    "تم استخدام رمز المكافأة بتاريخ 2026-11-01",
    "تم استخدام هذا الرمز مسبقا",
    "تم استخدام هذا العرض اليوم",
    "تم استخدام القسيمة رقم 1234",
    "تم استخدام القسيمة من قبل عميل آخر",
    "تم استخدامها من قبل",
    "لقد استخدمت هذه القسيمة من قبل",
    "لقد استخدمت المكافأة",
    "لقد تم استخدام الكود",
    "سبق أن تم استخدام القسيمة",
    "سبق أن تم استخدامها",
    "تم استخدام الباركود",
    "تم الاستخدام من قبل",
    "هذه المكافأة تم صرفها",
    "عذرا، المكافأة مستخدمة من قبل",
];

#[test]
fn the_usual_ways_to_say_that_a_code_was_used_are_understood_whatever_stands_beside() {
    let otherwise = taken_otherwise(OF_THE_CODE, (Evidence::Strong, true));
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

/// A provider may name the code alone, without any word for what it is.
#[test]
fn a_code_of_whatever_letters_is_the_subject_where_the_answer_names_it() {
    let of = |code: &str, body: &str| {
        let code = RewardCode::new(code.to_owned());
        judge_about(Some(&code), &Outcome::Answered(reply(400, body)), &rules())
    };
    let used = |verdict| matches!(verdict, Verdict::Declined { already_used: true, .. });
    for text in [
        "SUMMER-GIFTX has been used",
        "summer-giftx has already been redeemed.",
        r#"\"SUMMER-GIFTX\" was used on 2026-11-01"#,
        "Sorry, SUMMER_GIFTX was already redeemed",
        "ＳＵＭＭＥＲ－ＧＩＦＴＸ is already used",
        "المكافأة SUMMER-GIFTX مستخدمة",
        "SUMMER-GIFTX تم استخدامه من قبل",
    ] {
        let body = format!(r#"{{"message":"{text}"}}"#);
        assert!(used(of("Summer-Giftx", &body)), "{text}");
    }
    assert!(used(of("USED", r#"{"message":"Reward USED has been used"}"#)), "its own word");
    let of_another = of("WINTER-GIFTX", r#"{"message":"SUMMER-GIFTX has been used"}"#);
    assert!(!used(of_another), "another's code");
    for (code, text) in [
        ("SUMMER", "SUMMER has not been used in time"),
        ("SUMMER", "The token of SUMMER has already been used"),
        ("a", "Data has already been used"),
    ] {
        let verdict = of(code, &format!(r#"{{"message":"{text}"}}"#));
        assert!(matches!(verdict, Verdict::Declined { already_used: false, .. }), "{text}");
    }
}

fn of_code(code: &str, body: &str) -> Verdict {
    let code = RewardCode::new(code.to_owned());
    judge_about(Some(&code), &Outcome::Answered(reply(200, body)), &rules())
}

#[test]
fn a_success_that_gives_the_code_back_is_no_failure_for_what_the_code_looks_like() {
    for (code, echo) in [
        ("4711", r#""4711""#),
        ("4711", "4711"),
        ("04711", "4711"),
        ("1234567890", r#""1234567890""#),
        ("1234567890", "1234567890"),
        ("12E5", r#""12e5""#),
        ("12E5", "12E5"),
        ("9e9", r#""9E9""#),
        ("9e999", "9e999"),
        ("٤٧١١٢", r#""٤٧١١٢""#),
        ("٤٧١١٢", r#""47112""#),
        ("TEST-FAILED", r#""Test-Failed""#),
        ("ALREADY-USED", r#""ALREADY-USED""#),
    ] {
        for member in ["code", "Code", "responseCode", "result"] {
            let body = format!(r#"{{"{member}":{echo},"message":"Redeemed"}}"#);
            assert_eq!(of_code(code, &body), Verdict::Confirmed, "{code} {body}");
        }
    }
}

#[test]
fn a_success_that_gives_the_code_back_and_says_that_it_failed_is_parked() {
    for (code, body) in [
        ("4711", r#"{"code":4712}"#),
        ("4711", r#"{"code":"4711","status":"failed"}"#),
        ("4711", r#"{"code":"4711","errors":["x"]}"#),
        ("4711", r#"{"error_code":"4711"}"#),
        ("4711", r#"{"code":["4711",500]}"#),
        ("0", r#"{"success":0,"code":0}"#),
        ("false", r#"{"success":"false"}"#),
        ("404", r#"{"code":404,"message":"Not Found"}"#),
        ("404", r#"{"status":"404"}"#),
    ] {
        let verdict = of_code(code, body);
        assert!(matches!(verdict, Verdict::Parked { .. }), "{code} {body} {verdict:?}");
    }
}

#[test]
fn already_used_needs_no_subject_and_a_phrase_in_another_language_is_enough() {
    for text in [
        "Already used",
        "It has already been redeemed",
        "1234 has been used",
        "AB12 was used on 2026-11-01",
        "Error: already used",
        "Sorry, already redeemed",
        "Cannot redeem because it was used before",
        "You have already used this reward",
        "Sara has already redeemed this voucher",
        "The request failed. Your giftcard was used by somebody else",
        "عذرا، تم استخدامه من قبل",
        "كودك مستخدم بالفعل",
    ] {
        let (evidence, already_used, _) = refusal(400, &format!(r#"{{"message":"{text}"}}"#));
        assert_eq!((evidence, already_used), (Evidence::Strong, true), "{text}");
    }
    let german = Rules { already_used: Phrases::new(&["wurde bereits eingelöst"]), ..rules() };
    let body = r#"{"message":"Ihr Kaffee wurde bereits eingelöst"}"#;
    let verdict = judge(&Outcome::Answered(reply(400, body)), &german);
    assert!(matches!(verdict, Verdict::Declined { already_used: true, .. }), "{verdict:?}");
}

#[test]
fn what_is_being_worked_on_waits() {
    for body in [
        r#"{"message":"a request with the same Idempotency-Key is being processed"}"#,
        r#"{"data":[],"message":"Redemption in progress","errors":["Redemption in progress"]}"#,
        r#"{"title":"A request is outstanding for this Idempotency-Key","type":"u"}"#,
        r#"{"error":{"code":"idempotency_key_in_use","message":"another in-progress request uses this key"}}"#,
        r#"{"code":"REQUEST_IN_PROGRESS","message":"no"}"#,
        r#"{"code":"ConcurrentRequest","message":"no"}"#,
        r#"{"message":"Please try again later"}"#,
        r#"{"error":"Conflict","message":"Another request for this reward is ongoing"}"#,
        r#"{"message":"Your request is currently PROCESSING, please wait"}"#,
        r#"{"message":"x","errors":[{"code":"IN_PROCESS"}]}"#,
        r#"{"detail":"The first request has not been completed"}"#,
        r#"{"message":"Simultaneous requests are not allowed"}"#,
        r#"{"message":"الطَّلب تحت المعـالجة"}"#,
        r#"{"message":"لم تكتمل بعد العملية السابقة"}"#,
        r#"{"message":"الطلب قيد المعالجة"}"#,
        r#"{"message":"جارٍ مُعالجة طلبك، الرجاء المحاولة لاحقاً"}"#,
    ] {
        let waits = Verdict::InProgress { evidence: Evidence::Weak };
        assert_eq!(of(409, body), waits, "{body}");
        assert_eq!(of(425, body), waits, "{body}");
    }
    for body in [
        r#"{"message":"Reward has been used; try again later with another"}"#,
        r#"{"message":"Reward has expired"}"#,
        r#"{"data":[],"message":"not in progress"}"#,
    ] {
        assert!(matches!(of(409, body), Verdict::Declined { .. }), "{body}");
    }
    assert_eq!(of(425, r#"{"message":"Too Early"}"#), Verdict::RowFault { status: 425 });
    for (status, body) in [
        (202, "{}"),
        (202, ""),
        (202, r#"{"data":[],"errors":[]}"#),
        (200, r#"{"status":"pending"}"#),
        (200, r#"{"Status":"PROCESSING","data":{}}"#),
        (201, r#"{"status":"in_progress"}"#),
        (200, r#"{"message":"Your request is being processed"}"#),
        (200, r#"{"success":false,"message":"الطلب قيد التنفيذ"}"#),
        (200, r#"{"state":"PENDING"}"#),
        (200, r#"{"result":"pending"}"#),
        (200, r#"{"status":"Pending approval"}"#),
        (200, r#"{"status":"in-process"}"#),
        (200, r#"{"status":"under review"}"#),
        (200, r#"{"status":"قيد المعالجة"}"#),
        (200, r#"{"data":{"status":"pending"},"message":"","errors":[]}"#),
        (201, r#"{"data":{"Redemption_Status":"In Progress"},"message":"","errors":[]}"#),
        (200, r#"{"success":true,"data":{"state":["queued"]}}"#),
    ] {
        let waits = Verdict::InProgress { evidence: Evidence::Strong };
        assert_eq!(of(status, body), waits, "{status} {body}");
    }
    for done in [
        r#"{"data":{"status":"redeemed"},"message":"","errors":[]}"#,
        r#"{"data":{"reward":{"status":"pending"}},"message":"","errors":[]}"#,
        r#"{"data":[{"status":"pending"}]}"#,
        r#"{"data":{"note":"pending"}}"#,
        r#"{"success":true,"message":"Your redemption is being processed","data":{}}"#,
    ] {
        assert_eq!(of(200, done), Verdict::Confirmed, "{done}");
    }
    let gone_well = r#"{"success":true,"message":"Redeemed. Your points are being processed."}"#;
    assert_eq!(of(200, gone_well), Verdict::Confirmed);
    let thanks = r#"{"message":"Redeemed successfully. Your points are being processed."}"#;
    assert_eq!(of(200, thanks), Verdict::Confirmed);
    assert!(is_not_the_provider(&of(202, HTML)));
}

#[test]
fn what_a_success_says_of_its_failure_is_told_in_its_own_words_whatever_their_member() {
    for (body, expected) in [
        (r#"{"success":false,"message":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"success":false,"reason":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"success":false,"msg":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"Success":false,"Message":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"Success":false,"Code":"E12","Message":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"success":false,"Errors":[{"text":"Reward expired"}]}"#, Some("Reward expired")),
        (r#"{"success":false,"error_description":"Reward expired"}"#, Some("Reward expired")),
        (r#"{"success":false,"at":1e400,"message":"Reward expired"}"#, Some("Reward expired")),
        ("\u{feff}{\"success\":false,\"message\":\"Reward expired\"}", Some("Reward expired")),
        (r#"{"success":false,"code":"REWARD_EXPIRED"}"#, Some("REWARD_EXPIRED")),
        (r#"{"status":"failed","message":"Expired"}"#, Some("Expired")),
        (r#"{"status":"error"}"#, None),
        (r#"{"success":false,"message":" "}"#, None),
        (r#"{"success":false}"#, None),
    ] {
        let answer =
            Answer { status: 200, content_type: None, body: body.to_owned().into_bytes().into() };
        assert_eq!(said_in_words(&answer).as_deref(), expected, "{body}");
        assert!(matches!(of(200, body), Verdict::Parked { .. }), "{body}");
    }
}

/// Members by which a 2xx says that it failed.
const FAILURES: [&str; 122] = [
    r#""success":false"#,
    r#""success":"false""#,
    r#""success":0"#,
    r#""success":"0""#,
    r#""Success":false"#,
    r#""isSuccess":false"#,
    r#""succeeded":false"#,
    r#""ok":false"#,
    r#""OK":0"#,
    r#""status":false"#,
    r#""status":"0""#,
    r#""status":"error""#,
    r#""status":"FAIL""#,
    r#""status":"Failed""#,
    r#""status":"failure""#,
    r#""status":"rejected""#,
    r#""status":"declined""#,
    r#""status":"denied""#,
    r#""status":"invalid""#,
    r#""status":"expired""#,
    r#""result":"error""#,
    r#""result":"EXPIRED""#,
    r#""status":400"#,
    r#""status":"422""#,
    r#""status":"404 Not Found""#,
    r#""code":500"#,
    r#""code":"409""#,
    r#""statusCode":500"#,
    r#""status_code":503"#,
    r#""httpCode":"404""#,
    r#""error":"x""#,
    r#""error":true"#,
    r#""error":1"#,
    r#""Error":{"code":1}"#,
    r#""error":["x"]"#,
    r#""errorMessage":"x""#,
    r#""error_message":"x""#,
    r#""errorCode":7"#,
    r#""error_description":"x""#,
    r#""Errors":["x"]"#,
    r#""exception":"E""#,
    r#""ok":"no""#,
    r#""success":"N""#,
    r#""success":"FALSE""#,
    r#""success":0.0"#,
    r#""isOk":false"#,
    r#""approved":false"#,
    r#""redeemed":"false""#,
    r#""STATUS":"ERROR""#,
    r#""status":" failed ""#,
    r#""status":"Failed: reward expired""#,
    r#""status":"ERROR_EXPIRED""#,
    r#""status":"not_ok""#,
    r#""status":"Not Found""#,
    r#""status":"فشل""#,
    r#""status":"مرفوض""#,
    r#""status":1e999"#,
    r#""status":400.0"#,
    r#""status":"4e2""#,
    r#""result":"FAILED""#,
    r#""Result":"NOK""#,
    r#""result":"error: 17""#,
    r#""result":"خطأ""#,
    r#""state":"rejected""#,
    r#""outcome":"Declined""#,
    r#""transaction_status":"failed""#,
    r#""code":1e400"#,
    r#""responseCode":"500""#,
    r#""response_code":404"#,
    r#""error":{"message":"x"}"#,
    r#""errors_list":["x"]"#,
    r#""errors":["x"]"#,
    r#""errors":{"reward_code":["expired"]}"#,
    r#""hasErrors":true"#,
    r#""fault":{"faultstring":"x"}"#,
    r#""failed":true"#,
    r#""errcode":40029,"errmsg":"invalid code""#,
    r#""errMsg":"voucher expired""#,
    r#""err_code":"E17""#,
    r#""err-no":5"#,
    r#""Err":{"code":1}"#,
    r#""failureReason":"expired""#,
    r#""fault_code":7"#,
    r#""isError":true"#,
    r#""status":"already_used""#,
    r#""status":"USED""#,
    r#""Status":["ERR"]"#,
    r#""status":"ERR""#,
    r#""result":"already redeemed""#,
    r#""state":"Already-Used""#,
    r#""code":"REWARD_ALREADY_USED""#,
    r#""code":"ERR_EXPIRED""#,
    r#""code":"REWARD_EXPIRED""#,
    r#""result_code":"InvalidCode: expired""#,
    r#""success":"failed""#,
    r#""success":["false"]"#,
    r#""isSuccess":"FAIL""#,
    r#""resultCode":400"#,
    r#""return_code":"FAIL""#,
    r#""declined":true"#,
    r#""isExpired":"true""#,
    r#""already_used":true"#,
    r#""alreadyRedeemed":true"#,
    r#""isAlreadyUsed":1"#,
    r#""eligible":false"#,
    r#""isEligible":0"#,
    r#""status":"INELIGIBLE""#,
    r#""status":"not eligible""#,
    r#""valid":false"#,
    r#""is_valid":0"#,
    r#""approved":"rejected""#,
    r#""success":"٠""#,
    r#""ok":"۰""#,
    r#""status":"٤٠٠""#,
    r#""status":"４０４ Not Found""#,
    r#""statusCode":"۵۰۰""#,
    r#""code":"٤٠٩""#,
    r#""status":"ＥＲＲＯＲ""#,
    r#""status":"خـطـأ""#,
    r#""status":"مَرفُوضة""#,
    r#""status":"غير صالحة""#,
    r#""result":"فاشلة: منتهية""#,
];

fn parked_for(verdict: &Verdict) -> Option<ParkReason> {
    let Verdict::Parked { reason, .. } = verdict else { return None };
    Some(*reason)
}

/// What an uncertain redemption is taken to be by: the same words in a refusal are "already used".
#[test]
fn a_failure_inside_of_a_2xx_says_already_used_where_it_says_so_of_the_code() {
    let used = |body: &str| {
        let verdict = of(200, body);
        let Verdict::Parked { already_used, .. } = verdict else { panic!("{body}: {verdict:?}") };
        already_used
    };
    for body in [
        r#"{"message":"Reward has been used before"}"#,
        r#"{"status":"already_used"}"#,
        r#"{"status":"used"}"#,
        r#"{"code":"REWARD_ALREADY_USED"}"#,
        r#"{"success":false,"message":"Reward has been used"}"#,
        r#"{"success":false,"reason":"تم استخدام القسيمة"}"#,
        r#"{"data":[],"message":"Reward has been used","errors":["Reward has been used"]}"#,
        r#"{"data":[],"message":"","errors":["Reward has been used"]}"#,
        r#"{"error":{"code":"ALREADY_REDEEMED"}}"#,
        r#"{"already_used":true}"#,
        r#"{"alreadyUsed":"yes","message":"Done"}"#,
        r#"{"Already-Redeemed":true,"data":{}}"#,
        r#"{"has_already_been_used":1}"#,
        r#"{"success":true,"already_used":true}"#,
    ] {
        assert!(used(body), "{body}");
    }
    for body in [
        r#"{"success":false,"message":"Reward expired"}"#,
        r#"{"success":false,"message":"Reward has not been used in time"}"#,
        r#"{"message":"You have already used your daily limit"}"#,
        r#"{"data":[],"message":"","errors":["The OTP code has already been used"]}"#,
        r#"{"success":true,"message":"Reward has been used","errors":["points"]}"#,
        r#"{"message":"Reward has been used successfully","errors":["no receipt"]}"#,
        r#"{"errors":["odd"]}"#,
    ] {
        assert!(!used(body), "{body}");
    }
    let echo = of_code("ALREADY-USED", r#"{"code":"ALREADY-USED","status":"failed"}"#);
    assert!(matches!(echo, Verdict::Parked { already_used: false, .. }), "{echo:?}");
}

#[test]
fn a_failure_inside_of_a_2xx_is_parked() {
    let failed = |status| ParkReason::SaysFailed { status };
    for failure in FAILURES {
        for body in [
            format!("{{{failure}}}"),
            format!(r#"{{"data":[],"message":"done",{failure}}}"#),
            format!("\u{feff} {{\"data\":{{\"points\":3}},{failure}}}\n"),
        ] {
            let Verdict::Parked { reason, .. } = of(201, &body) else {
                panic!("{body}: {:?}", of(201, &body))
            };
            let lists = failure.starts_with(r#""errors":"#);
            let expected = if lists { ParkReason::SaysBoth { status: 201 } } else { failed(201) };
            assert_eq!(reason, expected, "{body}");
        }
    }
    for body in [
        r#"{"success":false,"message":"Reward expired"}"#,
        r#"{"success":false,"message":"","errors":["no","x"]}"#,
        r#"{"error":{"code":"E1"}}"#,
        r#"{"success":0}"#,
        r#"{"message":"Reward 1234 has been used"}"#,
        r#"{"message":"This code was already redeemed"}"#,
        r#"{"message":"تم استخدام القسيمة من قبل"}"#,
        r#"{"message":["Reward 1234 has been used"]}"#,
        r#"{"messages":[{"text":"Reward was already used"}]}"#,
        r#"{"message":{"en":"Reward 7 has been used","ar":"x"}}"#,
        r#"{"errcode":40029,"errmsg":"invalid code"}"#,
        r#"{"result":"already redeemed"}"#,
    ] {
        assert_eq!(parked_for(&of(200, body)), Some(failed(200)), "{body}");
    }
    let both = ParkReason::SaysBoth { status: 200 };
    assert_eq!(parked_for(&of(200, r#"{"data":{},"errors":["odd"]}"#)), Some(both));
}

/// One reader takes the first, another the last: what either of them would call a failure is none
/// that may be given.
#[test]
fn a_success_that_names_a_member_twice_is_one_only_where_both_say_so() {
    let fails = [
        r#"{"success":false,"success":true}"#,
        r#"{"success":true,"success":false}"#,
        r#"{"status":"failed","status":"ok"}"#,
        r#"{"error":"E1","data":[],"error":null}"#,
    ];
    let both = [r#"{"errors":["odd"],"errors":[]}"#, r#"{"errors":[],"errors":["odd"]}"#];
    let failed = ParkReason::SaysFailed { status: 200 };
    let says_both = ParkReason::SaysBoth { status: 200 };
    for (bodies, reason) in [(&fails[..], failed), (&both[..], says_both)] {
        for body in bodies {
            assert_eq!(parked_for(&of(200, body)), Some(reason), "{body}");
        }
    }
    let pending = of(200, r#"{"status":"pending","status":"done"}"#);
    assert!(matches!(pending, Verdict::InProgress { .. }), "{pending:?}");
    let twice = r#"{"success":true,"data":[],"data":[],"success":true}"#;
    assert_eq!(of(200, twice), Verdict::Confirmed);
}

/// Failure inside of a success is told by its members; a message alone is for people.
#[test]
fn a_success_is_no_failure_for_what_its_message_says_alone() {
    for text in ["Reward expired", "Access denied", "المكافأة غير صالحة", "not bad", ""]
    {
        let body = format!(r#"{{"data":[],"message":"{text}"}}"#);
        assert_eq!(of(200, &body), Verdict::Confirmed, "{text}");
    }
}

#[test]
fn a_firewalls_own_object_is_not_the_provider_whatever_its_status() {
    for body in [
        r#"{"supportID":"12345"}"#,
        r#"{"support_id":"12345","message":"The requested URL was rejected"}"#,
        r#"{"incidentId":"1-2","hostName":"x","errorCode":"15","message":"no"}"#,
        r#"{"ray_id":"9f","message":"no","errors":["x"]}"#,
        r#"{"captcha":"https://x/","message":"no"}"#,
    ] {
        for status in [200, 400, 403, 404] {
            assert!(is_not_the_provider(&of(status, body)), "{status} {body}");
        }
    }
}

#[test]
fn a_success_that_speaks_of_itself_confirms() {
    for body in [
        r#"{"success":true,"error":null}"#,
        r#"{"ok":1,"error":"","errorCode":0,"errorMessage":"none"}"#,
        r#"{"status":"success","code":200,"errors":[]}"#,
        r#"{"status":"ok","error":false,"Error":[],"error_message":{}}"#,
        r#"{"status":200,"errorCode":"0"}"#,
        r#"{"status":"used","result":"redeemed"}"#,
        r#"{"statusCode":"201","data":{"success":false}}"#,
        r#"{"data":{"status":"error","code":500}}"#,
        r#"{"errcode":0,"errmsg":"ok"}"#,
        r#"{"err_no":"0000","errMsg":"Success"}"#,
        r#"{"hasErrors":"no","error":"No error","errors":[]}"#,
        r#"{"resultCode":0,"valid":true,"declined":false,"result":"redeemed"}"#,
        r#"{"code":"00","status":"No error"}"#,
        r#"{"message":["Redeemed"],"status":["success"]}"#,
        r#"{"message":"Reward has been redeemed"}"#,
        r#"{"success":true,"message":"Reward has been used"}"#,
        r#"{"message":"Reward has been used successfully"}"#,
        r#"{"message":"تم استخدام المكافأة بنجاح"}"#,
        r#"{"message":"تم استبدال المكافأة"}"#,
        r#"{"timestamp":"2026-11-23 10:00:00","path":"/redeem"}"#,
        r#"{"status":"لا يوجد خطأ","code":"٢٠٠","error":"٠"}"#,
        r#"{"success":"١","error":"\u200b","errorMessage":"\u00a0"}"#,
        r#"{"already_used":false,"alreadyRedeemed":"no","eligible":true}"#,
    ] {
        assert_eq!(of(200, body), Verdict::Confirmed, "{body}");
    }
}

#[test]
fn a_provider_can_be_held_to_the_contracts_own_success() {
    let rules = Rules { success: Success::Contract, ..rules() };
    let of = |status, body: &str| judge(&Outcome::Answered(reply(status, body)), &rules);
    for body in ["", "{}", r#"{"data":[]}"#, r#"{"data":{"a":1},"message":"done","errors":[]}"#] {
        assert_eq!(of(200, body), Verdict::Confirmed, "{body}");
    }
    for body in [r#"{"points":3}"#, r#"{"data":[],"status":"success"}"#, r#"{"Message":"done"}"#] {
        let Verdict::Parked { reason, .. } = of(200, body) else { panic!("{body}") };
        assert_eq!(reason, ParkReason::Unusual { status: 200 }, "{body}");
    }
    assert!(matches!(
        of(200, r#"{"success":false}"#),
        Verdict::Parked { reason: ParkReason::SaysFailed { .. }, .. }
    ));
}

#[test]
fn a_captive_portals_object_is_not_the_provider() {
    for status in [200, 400, 404, 409, 425] {
        for body in [
            r#"{"captive":true}"#,
            r#"{"captive":false,"message":"no","errors":["x"],"data":[]}"#,
            r#"{"Captive":true,"data":{}}"#,
            r#"{"user-portal-url":"https://p/","message":"in progress"}"#,
            r#"{"venue-info-url":"https://p/","message":"no"}"#,
            r#"{"seconds-remaining":326,"can-extend-session":true}"#,
        ] {
            assert!(is_not_the_provider(&of(status, body)), "{status} {body}");
        }
    }
}

#[test]
fn an_empty_2xx_is_an_answer_only_with_an_end_and_without_another_type() {
    let empty = |content_type: Option<&str>, framed| {
        let mut reply = Reply { framed, ..reply(200, "") };
        reply.answer.content_type = content_type.map(str::to_owned);
        verdict(reply)
    };
    for json in [
        None,
        Some("application/json"),
        Some("Application/JSON; charset=utf-8"),
        Some("application/x+json"),
    ] {
        assert_eq!(empty(json, true), Verdict::Confirmed, "{json:?}");
        assert!(is_not_the_provider(&empty(json, false)), "{json:?}");
    }
    for other in ["text/html", "text/plain; charset=utf-8", "application/octet-stream", "x"] {
        assert!(is_not_the_provider(&empty(Some(other), true)), "{other}");
    }
    let ended = Reply { framed: false, ..reply(200, "{}") };
    assert_eq!(verdict(ended), Verdict::Confirmed, "an object tells its own end");
}

#[test]
fn another_encoding_and_a_cut_answer_are_unreadable_and_named() {
    let encoded = |status, encoding: &str| {
        let mut reply =
            Reply { content_encoding: Some(encoding.to_owned()), ..reply(status, "{}") };
        reply.answer.content_type = Some("application/json".to_owned());
        verdict(reply)
    };
    for encoding in ["gzip", "br", "deflate, gzip", "zstd"] {
        let detail =
            format!("HTTP 200 with the content encoding {encoding}, which was not asked for");
        assert_eq!(encoded(200, encoding), Verdict::Unreadable { detail });
        for status in [400, 403, 404, 409, 422] {
            assert!(
                matches!(encoded(status, encoding), Verdict::Unreadable { .. }),
                "{status} {encoding}"
            );
        }
        assert_eq!(encoded(503, encoding), Verdict::RowFault { status: 503 });
        assert_eq!(encoded(429, encoding), Verdict::Wait { at_least: None, clean: true });
        assert!(is_not_the_provider(&encoded(302, encoding)));
    }
    let hostile = Verdict::Unreadable {
        detail: "HTTP 200 with the content encoding unknown, which was not asked for".to_owned(),
    };
    assert_eq!(encoded(200, "x\u{1b}[2J"), hostile);
    for plain in ["", "identity", "Identity"] {
        assert_eq!(encoded(200, plain), Verdict::Confirmed, "{plain:?}");
    }
    let mut page =
        Reply { content_encoding: Some("gzip".to_owned()), ..reply(200, "\u{1f}gzipped") };
    page.answer.content_type = Some("text/html; charset=utf-8".to_owned());
    assert!(is_not_the_provider(&verdict(page)), "a portal's page");
    for body in
        ["{", "{\"data\":", r#"{"message":"Reward 12"#, r#"{"errors":["x""#, "\u{feff}{\"a\":1"]
    {
        for status in [200, 400, 404] {
            let detail = format!("HTTP {status} with an answer that is cut at its end");
            assert_eq!(of(status, body), Verdict::Unreadable { detail }, "{body}");
        }
    }
}

#[test]
fn a_407_that_comes_as_an_answer_says_nothing_of_the_link() {
    for body in ["", HTML, SHAPE, "{}"] {
        assert!(is_not_the_provider(&of(407, body)), "{body}");
    }
}

/// What a check's 200 says of the code `AB-12`.
fn of_a_check(body: &str, rules: &Rules) -> CheckWord {
    let (code, reply) = (RewardCode::new("AB-12".to_owned()), reply(200, body));
    let verdict = judge_about(Some(&code), &Outcome::Answered(reply.clone()), rules);
    check_word(&verdict, &code, &reply, rules).unwrap_or_else(|| panic!("{body}: {verdict:?}"))
}

fn each_check_is(bodies: &[&str], expected: &[CheckWord]) {
    let contract = Rules { success: Success::Contract, ..rules() };
    let said = |body: &str| [of_a_check(body, &rules()), of_a_check(body, &contract)];
    let others = bodies
        .iter()
        .filter(|body| !expected.contains(&said(body)[0]))
        .map(|body| format!("{body}: {:?}", said(body)));
    let others: Vec<String> = others.collect();
    assert!(others.is_empty(), "not {expected:?}: {others:#?}");
    if expected.contains(&CheckWord::Dead) {
        for body in bodies {
            assert!(expected.contains(&said(body)[1]), "{body}, held to the contract");
        }
    }
}

const DEAD: [CheckWord; 2] = [CheckWord::Dead, CheckWord::Refused];

#[test]
fn a_check_that_names_a_dead_state_refuses_whatever_else_it_says() {
    let flags = [
        r#"{"data":{"is_used":true}}"#,
        r#"{"data":{"is_used":1}}"#,
        r#"{"data":{"used":"1"}}"#,
        r#"{"data":{"is_redeemed":"yes"}}"#,
        r#"{"data":{"redeemed":"Y"}}"#,
        r#"{"data":{"expired":1,"type":"gift"}}"#,
        r#"{"data":{"has_been_used":true}}"#,
        r#"{"data":{"can_be_redeemed":false}}"#,
        r#"{"data":{"is_valid":0}}"#,
        r#"{"data":{"valid":"no"}}"#,
        r#"{"data":{"isUsed":true,"isActive":true}}"#,
        r#"{"data":{"eligible":false}}"#,
        r#"{"data":{"used_at":"2026-11-20"}}"#,
        r#"{"data":{"redeemed_at":"2026-11-20 10:00:00"}}"#,
        r#"{"data":{"remaining_uses":0}}"#,
        r#"{"data":{"uses_left":"0"}}"#,
        r#"{"redeemed":true}"#,
        r#"{"active":false}"#,
    ];
    let places = [
        r#"{"data":[{"reward_code":"X","status":"used"}]}"#,
        r#"{"data":{"reward":{"status":"used"}}}"#,
        r#"{"reward":{"status":"used"}}"#,
        r#"{"result":{"status":"redeemed"}}"#,
        r#"{"response":{"data":{"is_used":true}}}"#,
        r#"{"Data":{"Status":"Used"}}"#,
        r#"{"data":{"status":{"name":"used"}}}"#,
        r#"{"data":{"status":"used","status":"active"}}"#,
        r#"{"data":{"used":true,"used":false}}"#,
        r#"{"data":{"status":"active"},"data":{"status":"used"}}"#,
    ];
    let names = [
        r#"{"data":{"voucher_status":"used"}}"#,
        r#"{"data":{"coupon_status":"expired"}}"#,
        r#"{"data":{"rewardState":"used"}}"#,
        r#"{"data":{"current_status":"used"}}"#,
    ];
    let failed_too = [
        r#"{"valid":false}"#,
        r#"{"valid":false,"message":"Reward found"}"#,
        r#"{"status":"expired"}"#,
        r#"{"status":"expired","data":{"type":"gift"}}"#,
        r#"{"status":"blocked"}"#,
        r#"{"state":"cancelled","data":{}}"#,
        r#"{"success":false,"data":{"status":"used"}}"#,
        r#"{"code":200,"message":"ok","data":{"status":"used"}}"#,
        r#"{"status":"used","expired":false}"#,
        r#"{"valid":false,"message":"Not valid: this voucher is of another merchant"}"#,
        r#"{"valid":false,"message":"القسيمة غير صالحة لهذا التاجر"}"#,
    ];
    for bodies in [&flags[..], &places, &names, &failed_too] {
        each_check_is(bodies, &DEAD);
    }
}

#[test]
fn a_dead_state_is_known_by_its_words() {
    for word in [
        "used",
        "Redeemed",
        "REWARD_USED",
        "Already Redeemed.",
        "alreadyUsed",
        "Fully redeemed",
        "Used on 2026-11-20",
        "Expired 2026-11-20",
        "Reward status: used",
        "not active",
        "no longer valid",
        "NotActive",
        "not_found",
        "void",
        "deleted",
        "archived",
        "INVALID",
        "Blocked: fraud",
        "declined",
        "منتهي الصلاحية",
        "تم الاستخدام",
        "مستخدم مسبقا",
        "غير فعال",
        "غير نشط",
        "ملغى",
        "غير صالحة",
    ] {
        let body = format!(r#"{{"data":{{"status":"{word}"}}}}"#);
        assert_eq!(of_a_check(&body, &rules()), CheckWord::Dead, "{word}");
    }
    for word in [
        "active",
        "claimed",
        "unused",
        "not used",
        "never used",
        "valid, not expired",
        "Valid (not expired)",
        "never expired",
        "unexpired",
        "0 failed",
        "none declined",
        "no error",
        "partially used",
        "used 2 of 5",
        "can be used",
        "to be redeemed",
        "ok",
        "غير مستخدم",
        "صالح للاستخدام",
        "قيد الاستخدام",
        "لم يتم الاستخدام",
    ] {
        let body = format!(r#"{{"data":{{"state":"{word}","type":"gift"}}}}"#);
        assert_eq!(of_a_check(&body, &rules()), CheckWord::Good, "{word}");
    }
}

#[test]
fn a_check_that_names_a_sign_of_life_is_no_refusal_of_the_code() {
    each_check_is(
        &[
            r#"{"data":{"type":"gift","discount_amount":"5"}}"#,
            r#"{"data":{"status":"claimed","used":false}}"#,
            r#"{"data":{"claimed":true,"used":false}}"#,
            r#"{"data":{"status":"redeemed","used":false}}"#,
            r#"{"data":{"status":"active","spent":true}}"#,
            r#"{"data":{"valid":true,"status":"redeemed"}}"#,
            r#"{"data":{"redeemed":true,"redeemable":true}}"#,
            r#"{"data":{"status":"used","uses_left":3}}"#,
            r#"{"data":{"used_at":"2026-11-20","remaining_uses":"2"}}"#,
            r#"{"data":{"status":"active","eligible":false}}"#,
            r#"{"data":{"redeemed":0,"used":0,"expired":0,"redeemed_at":null}}"#,
            r#"{"data":{"used_at":"0000-00-00 00:00:00","deleted":false}}"#,
            r#"{"data":{"state":["active"],"available":["042"]}}"#,
            r#"{"data":{"status":"active","payment_status":"expired"}}"#,
            r#"{"data":{"type":"gift","redemptions":[{"status":"redeemed"}]}}"#,
            r#"{"data":[{"status":"used"},{"status":"active"}]}"#,
            r#"{"data":{"type":"gift","category":"used","estate":"void"}}"#,
            r#"{"message":"Reward is valid"}"#,
            r#"{"data":[],"message":"Checked successfully","errors":[]}"#,
            r#"{"success":true}"#,
            r#"{"success":true,"message":"OK"}"#,
            r#"{"type":"gift","value":5,"message":"Reward details"}"#,
            r#"{"data":{"type":"gift"},"message":"Reward details","request_id":"7"}"#,
        ],
        &[CheckWord::Good],
    );
    each_check_is(
        &["{}", r#"{"data":[],"errors":[]}"#, r#"{"message":"","errors":[]}"#],
        &[CheckWord::Bare],
    );
    each_check_is(
        &[
            r#"{"status":"used","uses_left":3}"#,
            r#"{"redeemed":false,"message":"Reward","data":{}}"#,
        ],
        &[CheckWord::Nothing],
    );
}

#[test]
fn a_check_that_speaks_of_something_else_is_no_word_about_the_code() {
    each_check_is(
        &[
            r#"{"message":"Internal server error"}"#,
            r#"{"message":"Service temporarily unavailable"}"#,
            r#"{"message":"Too many requests"}"#,
            r#"{"message":"Missing Authentication Token"}"#,
            r#"{"data":{},"message":"Not Found","errors":[]}"#,
            r#"{"message":"Reward has expired"}"#,
            r#"{"message":"Hello"}"#,
            r#"{"message":"Hello","path":"/check","at":"2026-11-20"}"#,
            r#"{"success":false}"#,
            r#"{"status":"unavailable","message":"Service temporarily unavailable"}"#,
            r#"{"status":"unavailable","message":"Loyalty service under maintenance"}"#,
            r#"{"status":"disabled","message":"Checks are disabled for this merchant"}"#,
            r#"{"active":false,"message":"token inactive"}"#,
            r#"{"available":false,"message":"Check service is not available"}"#,
            r#"{"valid":false,"message":"Unknown merchant"}"#,
            r#"{"data":{"status":"suspended"},"message":"Access token invalid"}"#,
        ],
        &[CheckWord::Nothing],
    );
}

#[test]
fn a_check_that_refuses_in_words_refuses() {
    each_check_is(
        &[
            r#"{"message":"Reward has been used"}"#,
            r#"{"message":"Reward has been redeemed"}"#,
            r#"{"success":true,"message":"Reward has been used","data":{"type":"gift"}}"#,
            r#"{"data":[],"message":"Reward not found","errors":[]}"#,
            r#"{"data":null,"message":"المكافأة غير موجودة","errors":[]}"#,
            r#"{"data":[],"message":"This reward has expired","errors":[]}"#,
            r#"{"success":false,"message":"Reward has expired","data":{"used":false}}"#,
        ],
        &[CheckWord::Refused],
    );
}
