//! Check Reward: passed on, answered from memory, refused in whose words, and what it may never
//! cost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Builder, Gateway, Mount, Order, Provider, Reply, Till, at_once, moment, until,
};

/// The customer's number in the sandbox's answers.
const CUSTOMER: &str = "966500000041";

fn before(provider: &Provider) -> Builder {
    Gateway::with().lane("main", provider, "").till("till-1", "token-1").till("till-2", "token-2")
}

/// The line is cut, and the gateway knows.
fn cut(provider: &Provider, gateway: &Gateway) {
    provider.cut();
    assert_eq!(gateway.till("till-1").redeem("NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
}

fn checks(gateway: &Gateway) -> Value {
    gateway.status()["checks"].clone()
}

fn age(reply: &Reply) -> u64 {
    assert_eq!((reply.status, reply.state()), (200, "remembered"), "{reply:?}");
    reply.header("redeemd-age").unwrap().parse().unwrap()
}

/// How many checks of tills the provider was sent.
fn asked(provider: &Provider) -> usize {
    let of_till =
        |code: &Option<String>| code.as_deref().is_some_and(|code| code.starts_with("CK"));
    provider
        .requests()
        .iter()
        .filter(|request| request.path == "/check" && of_till(&request.code))
        .count()
}

#[test]
fn a_check_passes_as_it_came_and_is_told_from_memory_with_its_age_while_the_line_is_down() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let body = "{ \"data\": {\"type\":  \"discount\"} }";
    provider.rules(&[&format!(
        "fault=status,status=201,call=check,content_type=text/json,code=CK-ODD,body={body}"
    )]);
    let odd = till.check("CK-ODD");
    assert_eq!(
        (odd.status, odd.body.as_str(), odd.header("content-type")),
        (201, body, Some("text/json")),
        "{odd:?}"
    );
    assert_eq!(odd.header("redeemd-state"), None, "the provider's own");
    let fresh = till.check("CK-1");
    assert_eq!((fresh.status, &fresh.json()["data"]["discount_amount"]), (200, &json!("10.00")));
    cut(&provider, &gateway);
    moment(Duration::from_millis(1100));
    for (code, fresh) in [("CK-ODD", &odd), ("CK-1", &fresh)] {
        let told = gateway.till("till-2").check(code);
        assert_eq!((told.status, &told.body), (fresh.status, &fresh.body));
        assert_eq!(told.header("content-type"), fresh.header("content-type"));
        assert_eq!(told.state(), "remembered");
        assert!(
            (1..60).contains(&told.header("redeemd-age").unwrap().parse::<u64>().unwrap()),
            "{told:?}"
        );
    }
    assert_eq!(
        till.check("ck-1").status,
        503,
        "another code, to the byte, is not known to be good"
    );
    assert_eq!(asked(&provider), 2, "nobody is asked over a line that is down");
    assert_eq!(checks(&gateway), json!({ "passed": 2, "remembered": 2, "held": 0, "unknown": 1 }));
    let status = gateway.says(&["status"]);
    assert!(
        status.contains("2 passed on, 2 from memory") && status.contains("remembered now: 2"),
        "{status}"
    );
    let metrics = gateway.admin("GET", "/metrics", "").body;
    assert!(metrics.contains("redeemd_checks_total{by=\"remembered\"} 2\n"), "{metrics}");
    assert!(metrics.contains("redeemd_checks_remembered 2\n"), "{metrics}");
    provider.restore();
    gateway.wait_for_link("main", "up");
    assert_eq!(till.check("CK-1").header("redeemd-state"), None);
}

#[test]
fn checks_that_are_to_be_remembered_no_more_are_forgotten_with_the_reload() {
    let provider = Provider::start();
    let mut gateway = before(&provider).start();
    let till = gateway.till("till-1");
    assert_eq!(till.check("CK-1").status, 200);
    cut(&provider, &gateway);
    assert_eq!(till.check("CK-1").state(), "remembered");
    let drop_ins = gateway.folder().join("conf.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(drop_ins.join("10.toml"), "[offline]\nremember_checks = \"0s\"").unwrap();
    gateway.reload();
    until("it is forgotten", || till.check("CK-1").status == 503);
}

#[test]
fn a_code_that_is_held_here_has_been_used_and_a_provider_that_can_be_asked_decides_the_rest() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    assert_eq!(till.redeem("CK-DONE").state(), "confirmed");
    let own_words = other.check("CK-DONE");
    assert_eq!(
        (own_words.status, asked(&provider)),
        (400, 1),
        "the provider decides about a confirmed one"
    );
    assert!(own_words.refusal().starts_with("Reward CK-DONE has been used "), "{own_words:?}");
    cut(&provider, &gateway);
    assert_eq!(till.redeem("CK-PENDING").state(), "pending");
    for code in ["CK-PENDING", "ck-pending", "CK-DONE"] {
        let held = other.check(code);
        let expected = format!("Reward {code} has been used on 2026-11-23 10:00:00 at till-1");
        assert_eq!((held.status, &held.json()["message"]), (400, &json!(expected)), "{held:?}");
    }
    assert_eq!((asked(&provider), checks(&gateway)["held"].clone()), (1, json!(3)));
    provider.rules(&["fault=hang-before-taking,call=redeem"]);
    provider.restore();
    until("checks are passed on again", || other.check("CK-NEW").header("redeemd-state").is_none());
    assert_eq!(
        other.check("CK-PENDING").status,
        400,
        "what is pending holds its code, whatever the line"
    );
}

#[test]
fn what_was_refused_to_a_check_is_refused_in_the_same_words_while_nobody_can_be_asked() {
    let provider = Provider::start();
    let mut gateway = before(&provider).start();
    provider.rules(&[
        "fault=refuse,message=Reward has expired,call=both,code=CK-OLD",
        "fault=status,status=404,call=both,code=CK-EDGE,body={\"message\":\"Not Found\"}",
    ]);
    let till = gateway.till("till-1");
    let refused = till.check("CK-OLD");
    assert_eq!(
        (refused.status, refused.refusal().contains("Reward has expired")),
        (400, true),
        "{refused:?}"
    );
    assert_eq!(till.check("CK-EDGE").status, 404);
    cut(&provider, &gateway);
    for _ in 0..2 {
        for code in ["CK-OLD", "ck-old"] {
            let (check, redeem) =
                (gateway.till("till-2").check(code), gateway.till("till-2").redeem(code));
            assert_eq!((check.status, &check.body), (400, &refused.body), "{check:?}");
            assert_eq!((redeem.status, &redeem.body), (400, &refused.body), "{redeem:?}");
        }
        gateway.restart();
        gateway.till("till-1").redeem("NOTICED-2");
        gateway.wait_for_link("main", "down");
    }
    assert_eq!(
        gateway.till("till-1").check("CK-EDGE").status,
        503,
        "an edge's page is no word about a code"
    );
    assert_eq!(gateway.till("till-1").redeem("CK-EDGE").status, 200);
    provider.rules(&[]);
    provider.restore();
    gateway.wait_for_link("main", "up");
    let till = gateway.till("till-1");
    assert_eq!(
        (till.check("CK-OLD").status, till.redeem("CK-OLD").state()),
        (200, "confirmed"),
        "it may come back"
    );
}

#[test]
fn who_asks_first_over_a_cut_line_is_told_what_the_next_one_is_of_a_code_that_is_held() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let of = |business: &str, code: &str| Order::new(code).with("business_refrence", business);
    for (business, code) in [("B-1", "CK-DONE"), ("B-2", "CK-OTHER")] {
        assert_eq!(till.order(&of(business, code)).state(), "confirmed");
    }
    provider.rules(&[
        "fault=refuse,message=Reward has expired,call=check,code=CK-OLD",
        r#"fault=status,status=200,call=check,code=CK-DEAD,body={"data":{"status":"used"}}"#,
    ]);
    assert_eq!((till.check("CK-OLD").status, till.check("CK-DEAD").status), (400, 200));
    let asks = [("B-2", "CK-DONE"), ("B-1", "CK-DONE"), ("B-1", "CK-OLD"), ("B-1", "CK-DEAD")];
    for (business, code) in asks {
        let order = of(business, code).with("timestamp", "later");
        provider.cut();
        let told = [(); 2].map(|()| gateway.till("till-2").order(&order));
        assert_eq!(told.each_ref().map(|reply| reply.status), [400; 2], "{told:?}");
        assert_eq!(told[0].body, told[1].body, "{told:?}");
        provider.restore();
        gateway.wait_for_link("main", "up");
    }
}

#[test]
fn who_guesses_codes_with_checks_is_slowed_as_who_redeems_them() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    provider.rules(&["fault=refuse,message=Reward not found,call=check"]);
    let till = gateway.till("till-1");
    for n in 0..10 {
        assert_eq!(till.check(&format!("CK-{n}")).status, 400);
    }
    until("it is slowed", || gateway.status()["slowed_tills"] == json!(["till-1"]));
    let takes = |till: &Till| {
        let begin = Instant::now();
        till.check("CK-NEXT");
        begin.elapsed()
    };
    assert!(takes(&till) >= Duration::from_secs(1));
    let other = takes(&gateway.till("till-2"));
    assert!(other < Duration::from_secs(1), "the other till: {other:?}");
}

#[test]
fn a_success_that_says_it_failed_is_passed_on_and_is_no_valid_check() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    assert_eq!(till.check("CK-SOFT").status, 200);
    provider.rules(&["fault=status,status=200,call=check,code=CK-SOFT,body={\"success\":false}"]);
    assert_eq!(till.check("CK-SOFT").body, "{\"success\":false}");
    cut(&provider, &gateway);
    assert_eq!(till.check("CK-SOFT").status, 503, "nor is the one before it any more");
}

#[test]
fn a_success_that_refuses_a_checked_code_refuses_it_while_nobody_can_be_asked() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let refused = [
        (
            "CK-0",
            r#"{"data":[],"message":"Reward has been used","errors":["Reward has been used"]}"#,
        ),
        ("CK-1", r#"{"success":false,"message":"Reward has been used"}"#),
        ("CK-2", r#"{"data":[],"message":"Reward has expired","errors":["Reward has expired"]}"#),
    ];
    let no_word = ("CK-3", r#"{"data":[],"message":"Service unavailable","errors":["x"]}"#);
    provider.says_of_checked(&[refused[0], refused[1], refused[2], no_word]);
    for (code, body) in refused.iter().chain([&no_word]) {
        let told = till.check(code);
        assert_eq!((told.status, told.body.as_str()), (200, *body), "as it came");
    }
    cut(&provider, &gateway);
    for (code, body) in refused {
        for told in [gateway.till("till-2").check(code), gateway.till("till-2").redeem(code)] {
            assert_eq!(told.status, 400, "{code}: {told:?}");
            let said = told.json()["message"].as_str().unwrap().to_owned();
            assert!(!said.is_empty() && body.contains(&said), "{code}: {told:?}");
        }
    }
    assert_eq!(till.check("CK-3").status, 503, "no word about the code");
    assert_eq!(till.redeem("CK-3").status, 200);
}

#[test]
fn a_checked_code_whose_state_is_dead_is_given_to_nobody_while_nobody_can_be_asked() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let dead = [
        r#"{"data":{"status":"used"},"message":"Reward details"}"#,
        r#"{"data":{"state":"REDEEMED","value":5}}"#,
        r#"{"success":true,"data":{"reward_status":"Expired"}}"#,
        r#"{"data":{"is_used":true}}"#,
        r#"{"data":{"isValid":false},"message":"Reward found"}"#,
        r#"{"data":{"redeemable":false}}"#,
        r#"{"status":"redeemed"}"#,
        r#"{"data":{"status":"مستخدم"}}"#,
    ];
    let alive = [
        r#"{"data":{"status":"active","used":false,"expired":false}}"#,
        r#"{"data":{"status":"unused","redeemed_at":null,"valid":true}}"#,
        r#"{"data":{"state":"available","active":1,"used_count":0}}"#,
    ];
    let codes = |kind: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("CK-{kind}-{number}")).collect()
    };
    let (gone, good) = (codes("DEAD", dead.len()), codes("GOOD", alive.len()));
    let said: Vec<(&str, &str)> = gone.iter().map(String::as_str).zip(dead).collect();
    let said = [said, good.iter().map(String::as_str).zip(alive).collect()].concat();
    provider.says_of_checked(&said);
    for (code, body) in &said {
        let told = till.check(code);
        assert_eq!((told.status, told.body.as_str()), (200, *body), "as it came");
    }
    cut(&provider, &gateway);
    let till = gateway.till("till-2");
    for code in &gone {
        for told in [till.check(code), till.redeem(code)] {
            assert_eq!(told.status, 400, "{code}: {told:?}");
            assert!(told.refusal().contains("refused"), "{code}: {told:?}");
        }
    }
    for code in &good {
        assert_eq!([till.check(code).status, till.redeem(code).status], [200; 2], "{code}");
    }
}

#[test]
fn a_good_code_is_given_although_its_check_names_a_state_beside_its_signs_of_life() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let said = [
        ("CK-0", r#"{"data":{"status":"claimed","used":false}}"#),
        ("CK-1", r#"{"data":{"status":"used","uses_left":3}}"#),
        ("CK-2", r#"{"data":{"status":"active","eligible":false}}"#),
    ];
    let silent = ("CK-3", r#"{"status":"disabled","message":"Checks are disabled here: service"}"#);
    provider.says_of_checked(&[said[0], said[1], said[2], silent]);
    for (code, body) in said.iter().chain([&silent]) {
        assert_eq!(till.check(code).body, *body, "as it came");
    }
    cut(&provider, &gateway);
    for (code, _) in said {
        assert_eq!([till.check(code).status, till.redeem(code).status], [200; 2], "{code}");
    }
    assert_eq!((till.check("CK-3").status, till.redeem("CK-3").status), (503, 200), "no word");
}

#[test]
fn no_bare_success_and_none_of_an_edge_takes_a_checks_refusal_back() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    let later = [
        "{}",
        r#"{"data":[],"errors":[]}"#,
        r#"{"message":"Internal server error"}"#,
        r#"{"message":"Too many requests"}"#,
        r#"{"data":[],"message":"Reward not found","errors":[]}"#,
        r#"{"data":{"is_used":1}}"#,
        r#"{"data":{"type":"gift","discount_amount":"5"}}"#,
    ];
    let codes: Vec<String> = (0..later.len()).map(|number| format!("CK-{number}")).collect();
    provider.rules(&["fault=refuse,message=Reward has been used,call=check"]);
    assert!(codes.iter().all(|code| till.check(code).status == 400));
    let said: Vec<(&str, &str)> = codes.iter().map(String::as_str).zip(later).collect();
    provider.says_of_checked(&said);
    assert!(said.iter().all(|(code, body)| till.check(code).body == *body));
    cut(&provider, &gateway);
    let till = gateway.till("till-2");
    let told: Vec<u16> = codes.iter().map(|code| till.redeem(code).status).collect();
    assert_eq!(told, [400, 400, 400, 400, 400, 400, 200], "only of what the code is worth");
}

#[test]
fn of_an_unknown_code_the_till_is_told_as_the_settings_say() {
    let provider = Provider::start();
    for (offline, status, body) in
        [("", 503, None), ("unknown_check = \"answer\"", 200, Some("{\"data\":{},\"errors\":[]}"))]
    {
        provider.restore();
        let gateway = before(&provider).offline(offline).start();
        cut(&provider, &gateway);
        let told = gateway.till("till-1").check("CK-UNKNOWN");
        assert_eq!(told.status, status, "{told:?}");
        if let Some(body) = body {
            assert_eq!(told.body, body);
        } else {
            assert!(
                told.refusal().starts_with("the code cannot be checked while the line is down"),
                "{told:?}"
            );
            assert!(told.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        }
        assert_eq!(checks(&gateway)["unknown"], 1);
    }
}

#[test]
fn of_a_check_that_is_not_answered_no_till_is_told_that_the_line_is_down() {
    let provider = Provider::start();
    let gateway = before(&provider).intake("reply_within = \"500ms\"").start();
    let till = gateway.till("till-1");
    for (n, fault) in ["html-200", "gzip", "truncated", "status,status=204", "pass,delay=2s"]
        .into_iter()
        .enumerate()
    {
        provider.rules(&[&format!("fault={fault},call=check")]);
        let told = till.check(&format!("CK-NONE-{n}"));
        let expected = "the code cannot be checked: the provider did not answer";
        assert!(told.status == 503 && told.refusal().starts_with(expected), "{fault}: {told:?}");
        assert_eq!(gateway.lane("main")["link"], "up", "{fault}");
    }
}

#[test]
fn a_provider_without_check_reward_is_said_so_and_what_is_held_is_told_all_the_same() {
    let provider = Provider::start();
    let start = |offline: &str| {
        let builder =
            Gateway::with().lane_at("main", &provider.redeem_url, "").till("till-1", "token-1");
        builder.offline(offline).start()
    };
    let gateway = start("");
    let told = gateway.till("till-1").check("CK-1");
    assert_eq!(
        (told.status, told.refusal().trim()),
        (404, "this provider offers no check of rewards"),
        "{told:?}"
    );
    cut(&provider, &gateway);
    assert_eq!(gateway.till("till-1").check("NOTICED").status, 400);
    drop(gateway);
    provider.restore();
    assert_eq!(start("unknown_check = \"answer\"").till("till-1").check("CK-1").status, 200);
}

#[test]
fn memory_outlives_restarts_and_kills_and_ends_with_its_time() {
    let provider = Provider::start();
    let mut gateway = before(&provider).offline("remember_checks = \"8s\"").start();
    assert_eq!(gateway.till("till-1").check("CK-1").status, 200);
    let began = Instant::now();
    cut(&provider, &gateway);
    let mut ages = vec![age(&gateway.till("till-1").check("CK-1"))];
    gateway.terminate();
    gateway.start();
    gateway.till("till-1").redeem("NOTICED-2");
    ages.push(age(&gateway.till("till-1").check("CK-1")));
    gateway.restart();
    gateway.till("till-1").redeem("NOTICED-3");
    ages.push(age(&gateway.till("till-1").check("CK-1")));
    assert!(ages.is_sorted(), "{ages:?}");
    until("it is forgotten", || gateway.till("till-1").check("CK-1").status == 503);
    assert!(began.elapsed() >= Duration::from_secs(6), "no earlier: {:?}", began.elapsed());
}

#[test]
fn the_memory_is_bounded_and_shared_between_tills() {
    let provider = Provider::start();
    let gateway = before(&provider).offline("remember_checks_max = 8").start();
    for n in 0..4 {
        assert_eq!(gateway.till("till-1").check(&format!("CK-Q{n}")).status, 200);
    }
    for n in 0..30 {
        assert_eq!(gateway.till("till-2").check(&format!("CK-L{n}")).status, 200);
    }
    assert_eq!(gateway.status()["checks_remembered"], 8);
    cut(&provider, &gateway);
    let till = gateway.till("till-1");
    let known = |prefix: &str, numbers: std::ops::Range<u32>| {
        numbers.filter(|n| till.check(&format!("CK-{prefix}{n}")).status == 200).count()
    };
    assert_eq!((known("Q", 0..4), known("L", 0..30)), (4, 4));
}

#[test]
fn sixty_four_tills_at_once_never_overrun_the_memory_by_one_and_each_keeps_its_share_over_a_kill() {
    let provider = Provider::start();
    let names: Vec<String> = (0..64).map(|n| format!("counter-{n}")).collect();
    let builder = names
        .iter()
        .fold(before(&provider), |builder, name| builder.till(name, &format!("token-{name}")));
    let mut gateway = builder.offline("remember_checks_max = 100").start();
    let remembered = |gateway: &Gateway| gateway.status()["checks_remembered"].as_u64().unwrap();
    at_once(names.len(), |n| {
        for turn in 0..4 {
            let till = gateway.till(&names[n]);
            let code = format!("CK-{n}-{turn}");
            until("there is a place", || till.check(&code).status == 200);
            assert!(remembered(&gateway) <= 100);
        }
    });
    // What comes after them to the store is stored after them.
    assert_eq!(gateway.till("till-1").redeem("CK-LAST").state(), "confirmed");
    assert_eq!(remembered(&gateway), 100);
    gateway.kill9();
    gateway.start();
    assert_eq!(remembered(&gateway), 100);
    cut(&provider, &gateway);
    for (n, name) in names.iter().enumerate() {
        let (till, code) = (gateway.till(name), |turn| format!("CK-{n}-{turn}"));
        assert!(
            (0..4)
                .any(|turn| till.check(&code(turn)).header("redeemd-state") == Some("remembered")),
            "{name}"
        );
    }
}

#[test]
fn two_hundred_slow_checks_take_no_redemptions_place() {
    let provider = Provider::start();
    let tills: Vec<String> = (0..4).map(|n| format!("loud-{n}")).collect();
    let builder = tills
        .iter()
        .fold(before(&provider), |builder, name| builder.till(name, &format!("token-{name}")));
    let gateway = builder.start();
    provider.rules(&["fault=pass,call=check,delay=2s"]);
    // Of the loud tills too, each of which has more checks under way than it may have requests.
    let redeemers = ["till-1", "loud-0"];
    let done = at_once(200 + redeemers.len(), |n| {
        let Some(number) = n.checked_sub(redeemers.len()) else {
            moment(Duration::from_millis(300));
            let till = gateway.till(redeemers[n]);
            let states: Vec<String> = (0..20)
                .map(|turn| till.redeem(&format!("R-{n}-{turn}")).state().to_owned())
                .collect();
            return states.iter().all(|state| state == "confirmed");
        };
        let reply = gateway.till(&tills[number % tills.len()]).check(&format!("CK-{number}"));
        [200, 503].contains(&reply.status)
    });
    assert!(done.iter().all(|fine| *fine), "{done:?}");
    assert_eq!(gateway.counts().confirmed, 40);
    let at_once_max = 16;
    assert!(asked(&provider) <= 3 * at_once_max, "{} checks were sent", asked(&provider));
}

#[test]
fn a_check_waits_no_longer_than_a_redemption_and_its_late_answer_is_kept() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    assert_eq!(till.check("CK-1").status, 200);
    provider.rules(&[
        "fault=pass,call=check,delay=1500ms,code=CK-LATE",
        "fault=hang-before-taking,call=check,code=CK-1",
    ]);
    let began = Instant::now();
    assert_eq!((till.check("CK-LATE").status, age(&till.check("CK-1")) < 60), (503, true));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(gateway.lane("main")["link"], "up", "a till's check is no evidence of silence");
    until("the late answer is kept", || gateway.status()["checks_remembered"] == 2);
    cut(&provider, &gateway);
    age(&till.check("CK-LATE"));
}

#[test]
fn a_good_answer_that_comes_late_takes_back_no_refusal_that_was_asked_for_after_it() {
    let provider = Provider::start();
    let gateway = before(&provider).intake("reply_within = \"4s\"").start();
    provider.rules(&["fault=pass,call=check,delay=2s,count=1", "fault=used,call=check"]);
    let told = at_once(2, |n| {
        moment(Duration::from_millis(if n == 0 { 0 } else { 1100 }));
        gateway.till(["till-1", "till-2"][n]).check("CK-1").status
    });
    assert_eq!(told, [200, 400], "the first is answered last");
    cut(&provider, &gateway);
    let refused = gateway.till("till-1").redeem("CK-1");
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[test]
fn a_provider_that_wants_fewer_checks_is_left_alone_and_redemptions_go_on() {
    let provider = Provider::start();
    let gateway = before(&provider).start();
    let till = gateway.till("till-1");
    assert_eq!(till.check("CK-1").status, 200);
    provider.rules(&["fault=429,retry_after=30,call=check"]);
    let told = till.check("CK-2");
    assert_eq!((told.status, told.header("retry-after")), (503, Some("30")), "{told:?}");
    let sent = asked(&provider);
    let told = till.check("CK-2");
    let after_s: u64 = told.header("retry-after").unwrap().parse().unwrap();
    assert!((20..=30).contains(&after_s), "{told:?}");
    age(&till.check("CK-1"));
    assert_eq!(asked(&provider), sent, "no check is sent until then");
    assert_eq!(
        (till.redeem("R-1").state(), &gateway.lane("main")["link"]),
        ("confirmed", &json!("up"))
    );
}

#[test]
fn the_customers_number_goes_back_to_tills_and_nowhere_else() {
    let provider = Provider::start();
    let mut gateway = before(&provider).environment("REDEEMD_LOG", "debug").start();
    assert!(gateway.till("till-1").check("CK-LONG-CODE-1").body.contains(CUSTOMER));
    cut(&provider, &gateway);
    assert!(gateway.till("till-2").check("CK-LONG-CODE-1").body.contains(CUSTOMER));
    assert_eq!(gateway.till("till-2").redeem("CK-LONG-CODE-1").state(), "pending");
    assert_eq!(gateway.till("till-1").check("CK-LONG-CODE-1").status, 400);
    assert_eq!(gateway.till("till-1").redeem("CK-LONG-CODE-1").status, 400);
    let [backup, export] = ["backup", "export"].map(|command| {
        let file = gateway.folder().join(command);
        gateway.says(&[command, file.to_str().unwrap()]);
        String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
    });
    assert!(backup.starts_with("SQLite format 3") && export.contains("CK-LONG-CODE-1"));
    let views = [
        ("list", gateway.says(&["list"])),
        ("export", export),
        ("report", gateway.says(&["report"])),
        ("status", gateway.status().to_string()),
        ("metrics", gateway.admin("GET", "/metrics", "").body),
        ("rows", serde_json::to_string(&gateway.list("")).unwrap()),
        ("backup", backup),
    ];
    for (name, text) in &views {
        assert!(!text.contains(CUSTOMER), "{name}: {text}");
    }
    until("the log tells of the checks", || gateway.log().contains("was answered: remembered"));
    let log = gateway.log();
    assert!(!log.contains(CUSTOMER) && !log.contains("CK-LONG-CODE-1"), "{log}");
}

#[test]
fn what_a_check_was_refused_with_is_told_to_the_till_and_to_no_log() {
    let provider = Provider::start();
    let builder = Gateway::with()
        .lane("main", &provider, "reusable_codes = [\"SUMMER-*\"]")
        .till("till-1", "token-1");
    let mut gateway = builder.environment("REDEEMD_LOG", "debug").start();
    let till = gateway.till("till-1");
    provider.rules(&[
        "fault=refuse,message=Reward summer-abc-12345 of 966500000041 has expired,call=check",
    ]);
    assert_eq!(till.check("SUMMER-ABC-12345").status, 400);
    cut(&provider, &gateway);
    let told = till.redeem("SUMMER-ABC-12345");
    assert!(told.status == 400 && told.body.contains(CUSTOMER), "{told:?}");
    until("the log tells of the refusal", || {
        gateway.log().contains("was refused: the provider refused")
    });
    let log = gateway.log().to_lowercase();
    assert!(!log.contains(CUSTOMER) && !log.contains("summer-abc"), "{log}");
}

#[test]
fn a_full_disk_remembers_nothing_new_and_passes_checks_on() {
    let Some(mount) = Mount::tmpfs() else { return };
    let provider = Provider::start();
    let gateway = before(&provider).state_in(&mount.path().join("state")).start();
    let till = gateway.till("till-1");
    assert_eq!(till.check("CK-1").status, 200);
    until("it is remembered", || gateway.status()["checks_remembered"] == 1);
    mount.fill();
    assert_eq!(till.redeem("R-1").status, 503);
    assert_eq!((till.check("CK-2").status, till.check("CK-1").status), (200, 200));
    assert_eq!(gateway.status()["checks_remembered"], 1);
    provider.cut();
    until("the line is known to be down", || till.check("CK-2").status == 503);
    age(&till.check("CK-1"));
}

/// A till's own table with further lines.
fn till_table(builder: &Builder, name: &str, more: &str) -> String {
    let token = builder.folder().join(format!("{name}.token"));
    std::fs::write(&token, format!("token-{name}")).unwrap();
    format!("[[intake.till]]\nname = \"{name}\"\ntoken_file = \"{}\"\n{more}\n", token.display())
}

fn in_arabic(till: &Till, code: &str) -> Reply {
    let body = Order::new(code).body();
    till.send("POST", "/redeem", &[("accept-language", "ar-SA, en;q=0.3")], body.as_bytes())
}

#[test]
fn a_till_is_refused_in_its_language_and_in_the_stores_own_words() {
    let provider = Provider::start();
    let builder = before(&provider);
    let arabic = till_table(&builder, "arabic", "language = \"ar\"");
    let texts = "[intake.texts.en]\nused = \"Sorry: {code} went at {till}, {when}\"\ncheck_down \
        = \"No line\"\n\
                 [intake.texts.ar]\nused = \"عذرًا: {code}\"\n";
    let mut gateway = builder.more(&arabic).start();
    cut(&provider, &gateway);
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    assert_eq!(till.redeem("CK-1").state(), "pending");
    let told = |reply: Reply| {
        let (body, status) = (reply.json(), reply.status);
        assert_eq!((status, &body["data"]), (400, &json!([])), "{body}");
        if body["errors"] != json!([]) {
            assert_eq!(body["errors"], json!([body["message"]]));
        }
        body["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        told(other.redeem("CK-1")),
        "Reward CK-1 has been used on 2026-11-23 10:00:00 at till-1"
    );
    for reply in [in_arabic(&other, "CK-1"), gateway.stranger(Some("token-arabic")).check("CK-1")] {
        let text = told(reply);
        assert!(text.starts_with("المكافأة \u{2068}CK-1\u{2069} استُعملت من قبل"), "{text}");
    }
    gateway.rewrite(&format!("{arabic}{texts}"));
    gateway.reload();
    let own = "Sorry: CK-1 went at till-1, 2026-11-23 10:00:00";
    until("the store's words hold", || told(other.redeem("CK-1")) == own);
    assert_eq!(told(other.check("CK-1")), own);
    assert_eq!(told(in_arabic(&other, "CK-1")), "عذرًا: \u{2068}CK-1\u{2069}");
    assert_eq!(
        other.check("CK-UNKNOWN").json(),
        json!({ "data": [], "message": "No line", "errors": [] })
    );
    gateway.rewrite("[intake.texts.en]\nused = \"{customer}\"\nusd = \"x\"\nheld = \"{\"\n");
    let said = gateway.command(&["check"]);
    assert_eq!(said.code, Some(78), "{said:?}");
    let all = format!("{}{}", said.out, said.err);
    for fault in [
        "intake.texts.en.used: {customer} is no placeholder",
        "intake.texts.en.usd: ",
        "intake.texts.en.held: ",
    ] {
        assert!(all.contains(fault), "{fault}: {all}");
    }
}
