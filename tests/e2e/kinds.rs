//! Other inputs of the kinds of docs/failures.md, M1 to M10: tables of what gateways, frameworks,
//! firewalls, tills and people write, through the real binary.

use std::time::Duration;

use crate::harness::{Gateway, Order, Provider, Reply, at_once, until, within};

/// How long a table may take until its last row is settled.
const TABLE_MAX: Duration = Duration::from_secs(90);

fn store(provider: &Provider) -> Gateway {
    let builder = Gateway::with().lane("main", provider, "timeout = \"1s\"");
    builder.till("till-1", "token-1").till("till-2", "token-2").start()
}

fn later(code: &str, n: usize) -> Order {
    Order::new(code).with("timestamp", (1_795_428_000 + n).to_string())
}

/// A store whose line is cut, and that knows, with a redemption given on trust for each of these
/// codes; their ids.
fn given(provider: &Provider, codes: &[String]) -> (Gateway, Vec<String>) {
    let gateway = store(provider);
    provider.cut();
    assert_eq!(gateway.till("till-1").redeem("NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
    let give = |(n, code): (usize, &String)| {
        let reply = gateway.till(["till-1", "till-2"][n % 2]).redeem(code);
        assert_eq!((reply.status, reply.state()), (200, "pending"), "{code}: {reply:?}");
        reply.id()
    };
    let ids = codes.iter().enumerate().map(give).collect();
    (gateway, ids)
}

fn codes(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}-{n}")).collect()
}

fn state(gateway: &Gateway, id: &str) -> (String, bool) {
    let row = gateway.admin("GET", &format!("/api/v1/redemptions/{id}"), "").json();
    (row["state"].as_str().unwrap().to_owned(), row["duplicate_of_ours"] == true)
}

/// Each of these redemptions gets into this state.
fn all_become(gateway: &Gateway, ids: &[String], wanted: (&str, bool), said: &[&str]) {
    for (id, said) in ids.iter().zip(said) {
        let is_so = || {
            let (state, ours) = state(gateway, id);
            ((state.as_str(), ours) == wanted).then_some(())
        };
        within(TABLE_MAX, &format!("{wanted:?} after {said}"), is_so);
    }
}

/// What stands before a provider, and what it says of itself in the contract's shape.
const EDGES: [(u16, &str); 24] = [
    (404, r#"{"message":"no Route matched with those values","request_id":"9f1"}"#),
    (400, r#"{"data":[],"message":"No API key found in request"}"#),
    (400, r#"{"code":400,"message":"Bad Request","errors":["Bad Request"]}"#),
    (404, r#"{"message":"Not Found"}"#),
    (400, r#"{"message":"Missing Authentication Token"}"#),
    (404, r#"{ "statusCode": 404, "message": "Resource not found" }"#),
    (404, r#"{"code":5,"message":"Method does not exist.","details":[]}"#),
    (400, r#"{"success":false,"errors":[{"code":7003}],"messages":[],"result":null}"#),
    (404, r#"{"data":[],"message":"The route api/redeem could not be found.","errors":[]}"#),
    (422, r#"{"title":"Validation","status":422,"errors":{"a":["b"]}}"#),
    (400, r#"{"data":null,"errors":[{"message":"Must provide query string","extensions":{}}]}"#),
    (400, r#"{"errors":[{"status":"400","title":"Invalid Attribute","detail":"too long"}]}"#),
    (400, r#"{"name":"BadRequest","message":"x","className":"bad-request","data":{},"errors":{}}"#),
    (400, r#"{"status":400,"error":"Bad Request","message":"x","errors":[{"field":"x"}]}"#),
    (404, r#"{"message":"Not Found","stack":"Error: Not Found","data":{}}"#),
    (410, r#"{"message":"Gone","errors":["Gone"]}"#),
    (400, r#"{"data":[],"message":"SQLSTATE[HY000] [2002]","errors":["SQLSTATE[HY000]"]}"#),
    (400, r#"{"data":[],"message":"Too Many Attempts.","errors":["Too Many Attempts."]}"#),
    (400, r#"{"data":[],"message":"Token has expired","errors":["Token has expired"]}"#),
    (422, r#"{"data":[],"message":"Unauthenticated.","errors":["Unauthenticated."]}"#),
    (400, r#"{"data":[],"message":"الخدمة غير متوفرة حاليًا","errors":["x"]}"#),
    (400, r#"{"data":[],"message":"حدث خطأ ما، حاول مرة أخرى","errors":["x"]}"#),
    (400, r#"{"supportID":"12345","message":"The requested URL was rejected"}"#),
    (409, "\u{feff}{\"message\":\"Conflict\"}"),
];

// M1, point 1.
#[test]
fn m1_no_gateway_and_no_framework_declines_what_was_given() {
    let some: Vec<&[(u16, &str)]> = EDGES.chunks(4).collect();
    at_once(some.len(), |n| {
        let (edges, provider) = (some[n], Provider::start());
        let codes = codes("EDGE", edges.len());
        let (gateway, ids) = given(&provider, &codes);
        let rows =
            codes.iter().zip(edges).map(|(code, (status, body))| (code.as_str(), *status, *body));
        provider.answers(&rows.collect::<Vec<_>>());
        provider.restore();
        for (code, (status, body)) in codes.iter().zip(edges) {
            let is_asked = || (provider.requests_for(code).len() > 1).then_some(());
            within(TABLE_MAX, &format!("{status} {body} was heard"), is_asked);
        }
        let books = gateway.counts();
        assert_eq!((books.declined, books.parked), (0, 0), "{edges:?}: {books:?}");
        provider.rules(&[]);
        let said: Vec<&str> = edges.iter().map(|(_, body)| *body).collect();
        all_become(&gateway, &ids, ("confirmed", false), &said);
    });
}

/// Failures inside of a 200.
const FAILED: [&str; 31] = [
    r#"{"ok":false}"#,
    r#"{"ok":"no"}"#,
    r#"{"success":"false"}"#,
    r#"{"Success":0}"#,
    r#"{"success":false,"data":{"id":1},"errors":[]}"#,
    r#"{"isSuccess":false}"#,
    r#"{"result":"FAILED"}"#,
    r#"{"result":"error: 17"}"#,
    r#"{"result":"خطأ"}"#,
    r#"{"status":"Failed: reward expired"}"#,
    r#"{"status":"ERROR_EXPIRED"}"#,
    r#"{"status":"مرفوض"}"#,
    r#"{"status":false}"#,
    r#"{"status":"422"}"#,
    r#"{"status":1e999}"#,
    r#"{"state":"rejected"}"#,
    r#"{"code":"409","message":"done"}"#,
    r#"{"code":500}"#,
    r#"{"httpCode":404}"#,
    r#"{"response_code":"500"}"#,
    r#"{"errors":["x"]}"#,
    r#"{"errors":"x"}"#,
    r#"{"errors":{"reward_code":["expired"]}}"#,
    r#"{"data":{},"Errors":["x"]}"#,
    r#"{"error":{"code":7}}"#,
    r#"{"error":true}"#,
    r#"{"errorMessage":"x","data":{"points":3}}"#,
    r#"{"error_code":7}"#,
    r#"{"fault":{"faultstring":"x"}}"#,
    r#"{"message":"This code was already redeemed"}"#,
    "\u{feff}\n{\"success\":false}\n",
];

/// Successes that only look a little like failures.
const TAKEN: [&str; 17] = [
    "{}",
    "",
    "\u{feff}{}",
    r#"{"errors":[]}"#,
    r#"{"errors":null,"error":null}"#,
    r#"{"errors":"none","error":"","errorCode":0}"#,
    r#"{"success":true,"message":"Reward not found in the cache, redeemed"}"#,
    r#"{"data":[],"message":"Reward expired","errors":[]}"#,
    r#"{"ok":1}"#,
    r#"{"status":"success","code":200}"#,
    r#"{"status":200}"#,
    r#"{"code":1}"#,
    r#"{"data":{"success":false}}"#,
    r#"{"data":{"status":"error","code":500}}"#,
    r#"{"data":{"n":1e999}}"#,
    r#"{"message":"Redeemed successfully. Your points are being processed."}"#,
    r#"{"message":"تم استبدال المكافأة بنجاح"}"#,
];

/// Bodies of a 200 that are nobody's answer about a redemption.
const NOBODYS: [&str; 12] = [
    "<?xml version=\"1.0\"?><error/>",
    "<!doctype html><title>Log in</title>",
    "{\"success\":true}\n{\"success\":false}\n",
    "[]",
    "[{\"success\":true}]",
    "\"ok\"",
    "OK",
    "null",
    "1",
    "\u{feff}",
    " \n",
    r#"{"captive":true}"#,
];

// M7, point 6.
#[test]
fn m7_a_200_that_says_it_failed_is_parked_and_one_that_does_not_is_taken() {
    let provider = Provider::start();
    let gateway = store(&provider);
    let till = gateway.till("till-1");
    for (n, body) in FAILED.iter().enumerate() {
        let code = format!("SOFT-{n}");
        provider.answers(&[(&code, 200, body)]);
        let reply = till.redeem(&code);
        assert_eq!((reply.status, reply.state()), (400, "parked"), "{body}: {reply:?}");
        assert!(!reply.refusal().trim().is_empty(), "{body}");
    }
    for (n, body) in TAKEN.iter().enumerate() {
        let code = format!("TAKEN-{n}");
        provider.answers(&[(&code, 200, body)]);
        let reply = till.redeem(&code);
        assert_eq!((reply.status, reply.state()), (200, "confirmed"), "{body}: {reply:?}");
        assert_eq!(reply.body, *body, "as it came");
    }
    let books = gateway.counts();
    let expected = (TAKEN.len() as u64, FAILED.len() as u64, 0, 0);
    assert_eq!((books.confirmed, books.parked, books.declined, books.pending), expected);
}

#[test]
fn m7_a_200_with_anything_but_an_object_confirms_nothing_and_gives_nothing() {
    let provider = Provider::start();
    let gateway = store(&provider);
    let (till, codes) = (gateway.till("till-1"), codes("NOBODY", NOBODYS.len()));
    let rows = codes.iter().zip(NOBODYS).map(|(code, body)| (code.as_str(), 200, body));
    provider.answers(&rows.collect::<Vec<_>>());
    for (code, body) in codes.iter().zip(NOBODYS) {
        let reply = till.redeem(code);
        assert_eq!((reply.status, reply.state()), (503, "pending"), "{body:?}: {reply:?}");
    }
    assert_eq!(gateway.counts().confirmed, 0);
    provider.rules(&[]);
    let books = within(TABLE_MAX, "all is delivered", || {
        Some(gateway.counts()).filter(|books| books.pending == 0)
    });
    assert_eq!(books.confirmed, NOBODYS.len() as u64, "{books:?}");
}

/// "Already used" as providers say it.
const USED: [&str; 26] = [
    "Reward {code} HAS BEEN USED",
    "This voucher has already been used.",
    "Code previously redeemed on 2026-11-01",
    "Coupon was redeemed at branch 7",
    "Reward already availed",
    "already-claimed",
    "REWARD_ALREADY_CONSUMED",
    "RewardAlreadyUsed",
    "This code is used",
    "Voucher was used on 1 May",
    "Ｒｅｗａｒｄ ｈａｓ ｂｅｅｎ ｕｓｅｄ",
    "Reward has\u{a0}been\u{2009}used",
    "Reward h\u{200b}as been us\u{ad}ed",
    "Duplicate redemption",
    "تم استخدام المكافأة",
    "تَمَّ اسْتِخْدَامُ القسيمة",
    "تـــم اســتــخــدام الكود",
    "ﺗﻢ اﺳﺘﺨﺪام اﻟﻘﺴﻴﻤﺔ",
    "سبق استعمال هذا الكود",
    "سبق لك استخدام هذه المكافأة",
    "القسيمة مستخدمة",
    "المكافأة مستعملة مسبقًا",
    "لقد اسْتُخدمت هذه المكافأة",
    "تم الاستبدال من قبل",
    "الكود {code} مستخدم من قبل",
    "وتم صرف القسيمة سابقا",
];

// M6 and M8, point 5.
#[test]
fn m8_already_used_in_whatever_words_is_our_own_doing_after_a_lost_reply() {
    let (provider, codes) = (Provider::start(), codes("USED", USED.len()));
    let (gateway, ids) = given(&provider, &codes);
    let refusals = codes.iter().zip(USED).enumerate().map(|(n, (code, said))| {
        let said = said.replace("{code}", code);
        // In `message`, among `errors`, in an object there, in a member of its own.
        let body = match n % 4 {
            0 => serde_json::json!({ "data": [], "message": said, "errors": [] }),
            1 => serde_json::json!({ "message": "no", "errors": ["x", said] }),
            2 => serde_json::json!({ "errors": { "reward_code": [{ "detail": said }] } }),
            _ => serde_json::json!({ "data": [], "message": "no", "code": said }),
        };
        (code.as_str(), [400, 409, 422, 404][n % 4], body.to_string())
    });
    let refusals: Vec<_> = refusals.collect();
    let rows: Vec<_> =
        refusals.iter().map(|(code, status, body)| (*code, *status, body.as_str())).collect();
    provider.loses_first_and_then("USED-*", &rows);
    provider.restore();
    all_become(&gateway, &ids, ("confirmed", true), &USED);
    assert_eq!(gateway.counts().declined, 0);
}

/// Refusals that do not say "used", whatever words are in them.
const NOT_USED: [&str; 7] = [
    "Reward has not been used in time",
    "The reward was never redeemed before",
    "لم يتم استخدام المكافأة",
    "رقم المستخدم غير صحيح",
    "Idempotency-Key has already been used",
    "Le bon a déjà été encaissé",
    "Reward is useless",
];

#[test]
fn m6_an_uncertain_row_that_is_refused_in_other_words_is_parked_and_never_declined() {
    let (provider, codes) = (Provider::start(), codes("OTHER", NOT_USED.len()));
    let (gateway, ids) = given(&provider, &codes);
    let refusals: Vec<_> = codes
        .iter()
        .zip(NOT_USED)
        .map(|(code, said)| {
            let body = serde_json::json!({ "data": [], "message": said, "errors": [said] });
            (code.as_str(), body.to_string())
        })
        .collect();
    let rows: Vec<_> = refusals.iter().map(|(code, body)| (*code, 400, body.as_str())).collect();
    provider.loses_first_and_then("OTHER-*", &rows);
    provider.restore();
    all_become(&gateway, &ids, ("parked", false), &NOT_USED);
    assert_eq!(gateway.counts().declined, 0);
}

/// What is said of a request that is still being worked on.
const BUSY: [&str; 16] = [
    "a request with the same Idempotency-Key is being processed",
    "Redemption in progress",
    "IN_PROGRESS",
    "ConcurrentRequest",
    "Another request for this reward is ongoing",
    "The request is still processing",
    "Your request is currently processing",
    "A request is outstanding for this Idempotency-Key",
    "Simultaneous requests are not allowed",
    "The first request has not been completed",
    "Please wait while the first request is answered",
    "الطلب قيد المعالجة",
    "الطَّلب تحت المعـالجة",
    "جارٍ تنفيذ الطلب",
    "لم تكتمل بعد العملية السابقة",
    "الرجاء المحاولة لاحقًا",
];

// M5, point 5.
#[test]
fn m5_what_is_being_worked_on_waits_in_whatever_words_and_is_ours() {
    let (provider, codes) = (Provider::start(), codes("BUSY", BUSY.len()));
    let (gateway, ids) = given(&provider, &codes);
    let bodies: Vec<_> = codes
        .iter()
        .zip(BUSY)
        .map(|(code, said)| (code, serde_json::json!({ "data": [], "message": said }).to_string()))
        .collect();
    provider.is_busy_with(
        &bodies.iter().map(|(code, body)| (code.as_str(), body.as_str())).collect::<Vec<_>>(),
    );
    provider.restore();
    all_become(&gateway, &ids, ("confirmed", true), &BUSY);
    assert_eq!(gateway.counts().declined, 0);
}

/// Codes, and what they look like in other clothes.
const DRESSED: [(&str, &[&str]); 4] = [
    (
        "Ab-12X7",
        &[
            "aB-12x7\t",
            "Ab\u{ad}-12X7",
            "Ab-12X7\u{fe0f}",
            "Ab-12X7\u{e0041}\u{e007f}",
            "\u{2066}Ab-12X7\u{2069}",
            "A\u{34f}b-12X7",
            "\u{200d}Ab-12X7\u{200d}",
            "\u{2060}Ab-12X7",
            "\u{1d400}b-12X7",
            "Ab-𝟏𝟐X𝟕",
            "Ab-①②X⑦",
            "Ab-¹²X⁷",
            "Ab-१२X७",
            "Ab-۱۲X۷",
            "Ab-١٢X٧",
            "Ab\u{2013}12X7",
            "Ab\u{2014}12X7",
            "Ab\u{fe63}12X7",
            "Ab\u{5be}12X7",
            "\u{3000}Ab-12X7\u{2003}",
            "\u{feff}Ab-12X7",
            "ＡＢ－１２Ｘ７",
        ],
    ),
    ("KILO-fi-ss", &["\u{212a}ilo-ﬁ-ß", "kilo-FI-SS", "ｋilo-ﬁ-ẞ", "KILO-ﬁ-\u{17f}s"]),
    ("É-5", &["e\u{301}-5", "É\u{200c}-٥", "E\u{301}\u{2011}５"]),
    ("كود ١", &["كود 1", "كود\u{a0}۱", "\u{200f}كود  1\u{200f}", "ﻛﻮد 1"]),
];

// M9, point 7.
#[test]
fn m9_one_code_in_other_clothes_is_given_once() {
    let provider = Provider::start();
    let plain: Vec<String> = DRESSED.iter().map(|(code, _)| (*code).to_owned()).collect();
    let (gateway, _) = given(&provider, &plain);
    let mut turn = 0;
    for (code, clothes) in DRESSED {
        for dressed in clothes {
            for till in ["till-1", "till-2"] {
                turn += 1;
                let reply = gateway.till(till).order(&later(dressed, turn));
                assert_eq!(reply.status, 400, "{code}, {}: {reply:?}", dressed.escape_unicode());
            }
        }
    }
    for other in ["Ab12X7", "Ab_12X7", "Ab-12X", "Аb-12X7", "KILO-fl-ss", "E-5"] {
        turn += 1;
        let reply = gateway.till("till-2").order(&later(other, turn));
        assert_eq!(reply.status, 200, "{other} is another code: {reply:?}");
    }
}

/// Dates that the contract cannot mean.
const IMPOSSIBLE: [&str; 24] = [
    "Invalid date",
    "NaN-NaN-NaN NaN:NaN:NaN",
    "undefined",
    "null",
    "0",
    "1795428000",
    "2026-13-01 10:00:00",
    "2026-00-10 10:00:00",
    "2026-11-31 10:00:00",
    "2026-02-31 10:00:00",
    "2026-02-29 10:00:00",
    "2026-11-23 24:00:00",
    "2026-11-23 10:60:00",
    "2026-11-23 10:00:60",
    "0000-11-23 10:00:00",
    "26-11-23 10:00:00",
    "2026-11-23 10:00:00 AM",
    "2026-11-23 10:00 PM",
    "٢٠٢٦-١١-٢٣ ١٠:٠٠:٠٠",
    "2026-11-23 10:00:00Z",
    "2026-11-23T10:00:00.000Z",
    "2026-11-23 10:00:00 +03:00",
    "23.11.2026 10:00:00",
    "2026-11-23  10:00:00",
];

// M10, point 9.
#[test]
fn m10_no_date_that_cannot_be_is_given_on_trust_and_each_that_can_be_is() {
    let provider = Provider::start();
    let (gateway, _) = given(&provider, &[]);
    let till = gateway.till("till-2");
    let ask = |n: usize, date: &str| -> Reply {
        till.order(&Order::new(&format!("DATE-{n}-{}", date.len())).with("date", date))
    };
    for (n, date) in IMPOSSIBLE.iter().enumerate() {
        let reply = ask(n, date);
        assert!(reply.status == 400 && reply.refusal().contains("date"), "{date}: {reply:?}");
    }
    let possible = [
        "2026-11-23 00:00:00",
        "2024-02-29 23:59:59",
        "2000-02-29 10:00:00",
        "1970-01-01 00:00:07",
    ];
    for (n, date) in possible.iter().enumerate() {
        assert_eq!(ask(100 + n, date).status, 200, "{date}");
    }
    until("the books hold them alone", || gateway.counts().accepted == 1 + possible.len() as u64);
}
