//! What a provider's answer means, and what it does not (docs/failures.md, M1 to M10, M12 and M14).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::harness::{Gateway, Order, Provider, Reply, Till, at_once, eventually, moment};

fn store(provider: &Provider, lane: &str) -> Gateway {
    let lane = format!("timeout = \"1s\"\n{lane}");
    let builder = Gateway::with().lane("main", provider, &lane);
    builder.till("till-1", "token-1").till("till-2", "token-2").start()
}

/// A store whose line is cut, and that knows.
fn offline(provider: &Provider, lane: &str) -> Gateway {
    let gateway = store(provider, lane);
    go_offline(provider, &gateway);
    gateway
}

fn go_offline(provider: &Provider, gateway: &Gateway) {
    provider.cut();
    assert_eq!(gateway.till("till-1").order(&later("NOTICED", 7)).status, 200);
    gateway.wait_for_link("main", "down");
}

/// Each is given on trust, in turn round the two tills; their ids.
fn give(gateway: &Gateway, prefix: &str, count: usize) -> Vec<String> {
    let give = |n: usize| {
        let reply = gateway.till(["till-1", "till-2"][n % 2]).redeem(&format!("{prefix}-{n}"));
        assert_eq!((reply.status, reply.state()), (200, "pending"), "{reply:?}");
        reply.id()
    };
    (0..count).map(give).collect()
}

fn later(code: &str, n: u32) -> Order {
    Order::new(code).with("timestamp", (1_795_428_000 + n).to_string())
}

fn row(gateway: &Gateway, id: &str) -> Value {
    gateway.admin("GET", &format!("/api/v1/redemptions/{id}"), "").json()
}

/// The redemption gets into this state.
fn becomes(gateway: &Gateway, id: &str, state: &str) -> Value {
    let look = || Some(row(gateway, id)).filter(|row| row["state"] == state);
    eventually(&format!("{id} is {state}"), look)
}

/// The line is back, and this is what the provider says about all that was given.
fn back_with(provider: &Provider, rules: &[&str]) {
    provider.rules(rules);
    provider.restore();
}

fn asked(provider: &Provider, code: &str, times: usize) {
    let look = || (provider.requests_for(code).len() >= times).then_some(());
    eventually(&format!("{code} was asked about {times} times"), look);
}

// M1, point 1.
#[test]
fn m1_what_an_edge_says_declines_nothing_that_was_given_and_all_is_delivered_afterwards() {
    let edges = [
        "kong-404",
        "kong-400",
        "nginx-404",
        "spring-400",
        "spring-404",
        "problem-400",
        "problem-404",
        "edge-410",
        "token-400",
    ];
    at_once(edges.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        give(&gateway, "EDGE", 6);
        back_with(&provider, &[&format!("fault={}", edges[n])]);
        let weak = || (provider.requests().len() >= 6).then_some(());
        eventually("the edge has answered", weak);
        let in_shape = !matches!(edges[n], "spring-400" | "problem-404");
        let cause = if in_shape { "refusals" } else { "not_the_provider" };
        let is_told = || Some(gateway.lane("main")).filter(|lane| lane["cause"] == cause);
        let lane = eventually(&format!("{} is told", edges[n]), is_told);
        assert_eq!(lane["trust"], "unanswered", "{}: {lane}", edges[n]);
        let live = gateway.till("till-1").redeem("LIVE-DURING-IT");
        let hears = if in_shape { 4 } else { 5 };
        assert_eq!(live.status / 100, hears, "{}: what a till hears itself: {live:?}", edges[n]);
        let books = gateway.counts();
        let live_ones = u64::from(in_shape);
        assert_eq!((books.declined, books.parked), (live_ones, 0), "{}: {books:?}", edges[n]);
        provider.rules(&[]);
        let books = gateway.wait_until_drained();
        assert_eq!(
            (books.confirmed, books.parked),
            (books.accepted - live_ones, 0),
            "{}: {books:?}",
            edges[n]
        );
    });
}

// M2, points 2 and 8.
#[test]
fn m2_a_code_that_was_declined_after_it_was_given_is_not_given_again_until_a_person_frees_it() {
    let refusals = ["refuse", "refuse,message=Reward {code} has expired", "used", "refuse-ar"];
    at_once(refusals.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        let id = give(&gateway, "AFTER", 1).remove(0);
        back_with(&provider, &[&format!("fault={},code=AFTER-0", refusals[n])]);
        let declined = becomes(&gateway, &id, "declined");
        assert_eq!(
            (&declined["lost"], &declined["trusted"]),
            (&true.into(), &true.into()),
            "{declined}"
        );
        assert!(gateway.says(&["list", "--state", "declined"]).contains(&id), "{}", refusals[n]);
        gateway.wait_until_drained();
        go_offline_again(&provider, &gateway);
        for (turn, till, code) in
            [(1, "till-1", "AFTER-0"), (2, "till-2", "AFTER-0"), (3, "till-2", " after-0")]
        {
            let reply = gateway.till(till).order(&later(code, turn));
            assert_eq!(reply.status, 400, "{}, {code:?}: {reply:?}", refusals[n]);
        }
        gateway.says(&["handled", &id, "--note", "the customer paid", "--free"]);
        let freed = gateway.till("till-2").order(&later("AFTER-0", 4));
        assert_eq!((freed.status, freed.state()), (200, "pending"), "{freed:?}");
        assert_eq!(row(&gateway, &id)["lost"], true, "a fact for life");
    });
}

fn go_offline_again(provider: &Provider, gateway: &Gateway) {
    provider.cut();
    assert_eq!(gateway.till("till-1").redeem("NOTICED-AGAIN").status, 200);
    gateway.wait_for_link("main", "down");
}

// M3, point 2.
#[test]
fn m3_a_code_that_a_firewall_blocks_waits_alone_and_everybody_else_is_answered() {
    let walls = ["waf-403", "waf-403-html", "403", "401"];
    at_once(walls.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        let blocked = give(&gateway, "X", 1).remove(0);
        give(&gateway, "OTHER", 8);
        back_with(&provider, &[&format!("fault={},code=X-*", walls[n])]);
        let books = gateway.wait_for_counts("the others delivered", |books| books.confirmed == 9);
        assert_eq!((books.pending, books.declined), (1, 0), "{}: {books:?}", walls[n]);
        let named = || {
            let lane = gateway.lane("main");
            let suspects = lane["suspects"].as_array().cloned().unwrap_or_default();
            (lane["link"] == "up" && suspects == [Value::from(blocked.as_str())]).then_some(())
        };
        eventually("that row alone is suspect", named);
        let live = gateway.till("till-1").redeem("X-LIVE");
        assert_eq!(live.status, 503, "{}: {live:?}", walls[n]);
        for turn in 0..10 {
            assert_eq!(
                gateway.till("till-2").redeem(&format!("GOOD-{turn}")).state(),
                "confirmed",
                "{}",
                walls[n]
            );
        }
        provider.rules(&[]);
        becomes(&gateway, &blocked, "confirmed");
    });
}

// M4, point 3.
#[test]
fn m4_ten_declines_after_the_fact_hold_the_drain_whatever_their_words() {
    let words: [&(dyn Fn(usize) -> String + Sync); 4] = [
        &|_| "Reward {code} not found".to_owned(),
        &|n| format!("Unknown merchant; reference 8f14e45f-ceea-467e-bd9d-2f1f6d1f0{n:03}"),
        &|n| format!("المكافأة {{code}} غير موجودة {n}"),
        &|n| "abcdefghijklmnopqrstuvwxyz".chars().skip(n).take(9).collect(),
    ];
    at_once(words.len(), |kind| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        give(&gateway, "M4", 24);
        let rules: Vec<String> = (0..24)
            .map(|n| format!("fault=refuse,code=M4-{n},message={}", words[kind](n)))
            .collect();
        back_with(&provider, &rules.iter().map(String::as_str).collect::<Vec<_>>());
        let held = || Some(gateway.lane("main")).filter(|lane| lane["cause"] == "declines");
        let lane = eventually("the drain is held", held);
        assert_eq!(
            (&lane["link"], &lane["drain"], &lane["trust"]),
            (&"held".into(), &"held".into(), &"unanswered".into())
        );
        let books = gateway.counts();
        // The row that noticed the cut may be confirmed after the first of them.
        assert!(
            matches!(books.declined, 10 | 11) && books.declined + books.pending == 24,
            "{kind}: {books:?}"
        );
        assert_eq!(
            gateway.till("till-1").redeem("LIVE").state(),
            "confirmed",
            "a till's is asked all the same"
        );
        provider.rules(&[]);
        assert!(gateway.says(&["status"]).contains("--held"));
        let said = gateway.says(&["retry", "--lane", "main", "--held"]);
        assert!(said.contains("10 taken back"), "{said}");
        let status = gateway.says(&["status"]).split_whitespace().collect::<Vec<_>>().join(" ");
        let advised =
            "none of those declines is left to be taken back; then `redeemd release LANE`";
        assert!(status.contains(advised) && !status.contains("--held"), "{status}");
        let check = gateway.command(&["status", "--check"]);
        assert!(!check.out.contains("--held"), "{check:?}");
        gateway.says(&["release", "main"]);
        // What was on the wire when the drain was held may have been declined after it.
        let drained = gateway.wait_until_drained();
        assert!(
            drained.declined <= 1 && drained.confirmed + drained.declined == 26,
            "{kind}: {drained:?}"
        );
    });
}

#[test]
fn m4_behind_an_operators_hold_a_lane_stays_held_for_declines_until_a_second_release() {
    let provider = Provider::start();
    let mut gateway = offline(&provider, "");
    let held = |gateway: &Gateway, cause: &str| {
        let lane = gateway.lane("main");
        (lane["cause"] == cause && lane["held_for_declines"] == true).then_some(())
    };
    give(&gateway, "M4", 24);
    back_with(&provider, &["fault=refuse,code=M4-*"]);
    eventually("the drain is held", || held(&gateway, "declines"));
    gateway.says(&["hold", "main", "--note", "stock taking"]);
    for _ in 0..2 {
        eventually("both hold it", || held(&gateway, "operator"));
        let inbox = gateway.operators().send("GET", "/inbox", &[("accept-language", "en")], b"");
        assert!(inbox.body.contains("Refused in a row"), "{}", inbox.body);
        let check = gateway.command(&["status", "--check"]);
        let said = check.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("given on trust were declined"), "{check:?}");
        gateway.restart();
    }
    provider.rules(&[]);
    eventually("both hold it", || held(&gateway, "operator"));
    let said = gateway.says(&["retry", "--lane", "main", "--held"]);
    assert!(said.contains("10 taken back"), "{said}");
    let said = gateway.says(&["release", "main"]);
    assert!(said.contains("no operator holds it now; it stays held (declines)"), "{said}");
    eventually("the declines hold it alone", || held(&gateway, "declines"));
    assert_eq!(gateway.says(&["release", "main"]), "main: released");
    // The row that noticed the cut may have been confirmed after the first decline.
    assert!(gateway.wait_until_drained().declined <= 1);
}

#[test]
fn m4_what_an_earlier_hold_declined_or_a_person_has_closed_is_not_sent_again_with_the_next() {
    let provider = Provider::start();
    let gateway = offline(&provider, "");
    let held = || (gateway.lane("main")["cause"] == "declines").then_some(());
    let earlier = give(&gateway, "EARLIER", 12);
    back_with(&provider, &["fault=refuse,code=EARLIER-*"]);
    eventually("the drain is held for the first ten", held);
    gateway.says(&["handled", &earlier[0], "--note", "seen to", "--free"]);
    gateway.says(&["release", "main"]);
    gateway.wait_until_drained();
    assert_eq!(gateway.till("till-1").redeem("BETWEEN").state(), "confirmed");
    provider.cut();
    let later = give(&gateway, "LATER", 12);
    back_with(&provider, &["fault=refuse,code=LATER-*"]);
    eventually("it is held for the next", held);
    let closed: Vec<_> = declined_of(&gateway, &later).into_iter().take(2).collect();
    gateway.says(&["handled", &closed[0], "--note", "seen to", "--free"]);
    gateway.says(&["handled", &closed[1], "--note", "seen to"]);
    provider.rules(&[]);
    let said = gateway.says(&["retry", "--lane", "main", "--held"]);
    assert!(said.contains("8 taken back"), "{said}");
    gateway.says(&["release", "main"]);
    gateway.wait_until_drained();
    assert_eq!(declined_of(&gateway, &earlier), earlier);
    assert_eq!(declined_of(&gateway, &later), closed);
    let again = gateway.command(&["retry", "--lane", "main", "--held"]);
    assert_eq!((again.code, again.out.as_str()), (Some(1), ""), "{again:?}");
    assert!(again.err.contains("main is not held for declines"), "{again:?}");
}

/// Those of them that are declined.
fn declined_of(gateway: &Gateway, ids: &[String]) -> Vec<String> {
    let is_declined = |id: &&String| row(gateway, id)["state"] == "declined";
    ids.iter().filter(is_declined).cloned().collect()
}

// M5, point 5.
#[test]
fn m5_our_own_retry_that_is_in_progress_waits_and_is_never_declined() {
    let busy = [
        "fault=in-progress",
        "fault=refuse,status=409,message=قيد المعالجة",
        "fault=refuse,status=409,message=Concurrent request with this key",
        "fault=pending-202",
        "fault=refuse,status=425,message=Still processing",
    ];
    at_once(busy.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        let id = give(&gateway, "BUSY", 1).remove(0);
        // Counted are the requests that get as far as the rule.
        let busy = format!("{},attempt=1-3,code=BUSY-0", busy[n]);
        back_with(&provider, &["fault=reset-after-taking,attempt=1,code=BUSY-0", &busy]);
        let row = becomes(&gateway, &id, "confirmed");
        assert_eq!(
            (&row["duplicate_of_ours"], &row["uncertain"]),
            (&true.into(), &true.into()),
            "{busy}: {row}"
        );
        assert!(provider.requests_for("BUSY-0").len() >= 5, "{busy}");
        assert_eq!(gateway.counts().declined, 0, "{busy}");
    });
}

// M6, points 4 and 5.
#[test]
fn m6_an_uncertain_row_refused_in_unknown_words_is_parked_and_a_persons_retry_finds_it_ours() {
    let words = [
        "used-fr",
        "refuse,message=Unknown merchant",
        "refuse,message=No such reward {code}",
        "kong-404",
        "refuse-ar",
    ];
    at_once(words.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        let id = give(&gateway, "LOST", 1).remove(0);
        let refused = format!("fault={},code=LOST-0", words[n]);
        back_with(&provider, &["fault=reset-after-taking,attempt=1,code=LOST-0", &refused]);
        let parked = becomes(&gateway, &id, "parked");
        assert_eq!(parked["uncertain"], true, "{}: {parked}", words[n]);
        assert_eq!(parked["parked_for"], "doubt", "{}: {parked}", words[n]);
        let said = gateway.says(&["report"]);
        assert!(said.contains("1 parked: the provider's word settles nothing"), "{said}");
        let times = provider.requests_for("LOST-0").len();
        assert_eq!(times, 5, "{}: once, and four refusals", words[n]);
        provider.rules(&[]);
        gateway.says(&["retry", &id]);
        let row = becomes(&gateway, &id, "confirmed");
        assert_eq!(
            (&row["duplicate_of_ours"], &row["uncertain"]),
            (&true.into(), &true.into()),
            "{}: {row}",
            words[n]
        );
        provider.assert_one_key_each();
    });
}

// M7, point 6.
#[test]
fn m7_a_success_that_says_it_failed_is_parked_and_a_live_till_hears_its_words() {
    let soft = [
        ("soft-success", ""),
        ("soft-status", ""),
        ("soft-error", "Reward expired"),
        ("soft-code", ""),
        ("soft-message", "Reward expired"),
        ("errors-in-200", "Reward could not be processed"),
        ("status,body={\"ok\":\"0\"}", ""),
        ("status,body={\"result\":\"Denied\"}", ""),
        ("status,body={\"errors\":{\"code\":\"gone\"}}", "gone"),
        ("status,body={\"statusCode\":\"404\"}", ""),
    ];
    let provider = Provider::start();
    let gateway = store(&provider, "");
    let rules: Vec<String> = soft
        .iter()
        .enumerate()
        .map(|(n, (fault, _))| format!("fault={fault},code=SOFT-{n}"))
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    provider.rules(&rules);
    for (n, (fault, words)) in soft.iter().enumerate() {
        // Ten at one till would end its trust.
        let till = gateway.till(["till-1", "till-2"][n % 2]);
        let reply = till.redeem(&format!("SOFT-{n}"));
        assert_eq!((reply.status, reply.state()), (400, "parked"), "{fault}: {reply:?}");
        assert!(reply.refusal().contains(words), "{fault}: {reply:?}");
    }
    assert_eq!(gateway.counts().parked, soft.len() as u64);
    provider.rules(&["fault=pass,code=NOTICED", "fault=soft-status,code=GIVEN-*"]);
    go_offline(&provider, &gateway);
    let given = give(&gateway, "GIVEN", 3);
    provider.restore();
    for id in given {
        becomes(&gateway, &id, "parked");
    }
    assert_eq!((gateway.counts().declined, gateway.lane("main")["link"].as_str()), (0, Some("up")));
}

#[test]
fn m7_a_code_that_was_used_before_our_attempts_is_not_ours_after_a_lost_answer() {
    let provider = Provider::start();
    let gateway = store(&provider, "");
    let used = r#"{"data":[],"message":"Reward has been used","errors":["Reward has been used"]}"#;
    provider.answers(&[("SPENT-1", 400, used)]);
    let first = gateway.till("till-1").redeem("SPENT-1");
    assert_eq!((first.status, first.state()), (400, "declined"));
    provider.fails_first_and_then("SPENT-*", &[("SPENT-1", 400, used), ("SPENT-2", 400, used)]);
    let second = gateway.till("till-2").redeem("SPENT-1");
    assert_eq!((second.status, second.state()), (400, "declined"), "it was used before");
    let unknown = gateway.till("till-2").redeem("SPENT-2");
    assert_eq!((unknown.status, unknown.state()), (200, "confirmed"), "most likely our own");
}

// M6 and M7, points 5 and 6: an earlier attempt may have been taken.
#[test]
fn m7_a_success_that_says_it_failed_is_no_last_word_after_a_lost_answer() {
    let provider = Provider::start();
    let gateway = store(&provider, "");
    let till = gateway.till("till-1");
    provider.loses_first_and_then(
        "LOST-*",
        &[
            ("LOST-0", 200, r#"{"message":"Reward has been used before"}"#),
            ("LOST-1", 200, r#"{"data":[],"message":"","errors":["Reward has been used"]}"#),
            ("LOST-2", 200, r#"{"success":false,"message":"Reward expired"}"#),
            ("LOST-3", 200, r#"{"message":"You have already used your daily limit before"}"#),
        ],
    );
    for code in ["LOST-0", "LOST-1"] {
        let ours = till.redeem(code);
        assert_eq!((ours.status, ours.state()), (200, "confirmed"), "{ours:?}");
        assert_eq!(row(&gateway, &ours.id())["duplicate_of_ours"], true, "{code}");
    }
    let parked = ["LOST-2", "LOST-3"].map(|code| (code, till.redeem(code)));
    for (code, told) in &parked {
        assert_eq!((told.status, told.state()), (503, "parked"), "{told:?}");
        let row = row(&gateway, &told.id());
        let marks = (&row["refused_at_till"], &row["answered_at_till"]);
        assert_eq!(marks, (&true.into(), &false.into()), "{row}");
        assert_eq!(row["parked_for"], "unreadable", "{row}");
        assert_eq!(till.redeem(code).status, 503, "asked again");
    }
    let said = gateway.says(&["report"]);
    assert!(said.contains("2 parked: the provider answered neither yes nor no"), "{said}");
    provider.rules(&[]);
    for (code, told) in parked {
        gateway.says(&["retry", &told.id()]);
        assert_eq!(becomes(&gateway, &told.id(), "confirmed")["owed"], true, "{code}");
        let said = gateway.says(&["report"]);
        assert!(said.contains("1 owed to a customer: the till was told no"), "{said}");
        let paid = till.redeem(code);
        assert_eq!((paid.status, paid.state()), (200, "confirmed"), "{paid:?}");
    }
    let said = gateway.says(&["report", "--json"]);
    for kind in ["day", "lane", "till", "branch", "prefix", "total"] {
        let line = said.lines().find(|line| line.contains(&format!(r#""kind":"{kind}""#)));
        assert!(line.is_some_and(|line| line.contains(r#""paid":2,"#)), "{kind}: {said}");
    }
}

// M8, point 5.
#[test]
fn m8_already_used_is_understood_in_arabic_and_in_other_english_words() {
    let words = [
        "used-ar",
        "refuse,message=تـمّ اسـتخدام المكافأة",
        "refuse,message=هذه المكافأة مستخدمة سابقًا",
        "refuse,message=This voucher WAS   REDEEMED yesterday",
        "refuse,message=Code already claimed",
        "status,status=422,body={\"errors\":[{\"detail\":\"has been used\"}]}",
        "status,status=409,body={\"errors\":{\"code\":\"REWARD_ALREADY_USED\"}}",
    ];
    at_once(words.len(), |n| {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        let id = give(&gateway, "USED", 1).remove(0);
        let used = words[n];
        back_with(
            &provider,
            &["fault=reset-after-taking,attempt=1,code=USED-0", &format!("fault={used},code=*")],
        );
        let row = becomes(&gateway, &id, "confirmed");
        assert_eq!(row["duplicate_of_ours"], true, "{used}: {row}");
        let live = gateway.till("till-1").redeem("NOBODYS");
        assert_eq!(
            (live.status / 100, live.state()),
            (4, "declined"),
            "{used}: nothing of ours explains it: {live:?}"
        );
    });
}

// M9, point 7.
mod m9 {
    use super::*;

    const CODE: &str = "Ab-12X7";
    const CLOTHES: [&str; 10] = [
        "AB-12X7",
        " ab-12x7 ",
        "Ab\u{200b}-12X7",
        "\u{ff21}b-12X7",
        "Ab-\u{661}\u{662}X\u{667}",
        "Ab-\u{6f1}\u{6f2}X\u{6f7}",
        "Ab\u{2010}12X7",
        "\u{200f}Ab-12X7",
        "Ab-12X7\u{a0}",
        "Ab\u{2212}12X7",
    ];

    #[test]
    fn one_code_in_other_clothes_is_one_code_offline_and_the_providers_matter_online() {
        let provider = Provider::start();
        let gateway = offline(&provider, "");
        assert_eq!(gateway.till("till-1").redeem(CODE).status, 200);
        for (turn, code) in (1..).zip(CLOTHES) {
            for till in ["till-1", "till-2"] {
                let reply = gateway.till(till).order(&later(code, turn));
                assert_eq!(reply.status, 400, "{till}, {code:?}: {reply:?}");
            }
        }
        let business = later(CODE, 50).with("business_refrence", " b\u{2011}\u{ff11}");
        assert_eq!(
            gateway.till("till-2").order(&business).status,
            400,
            "the business in other clothes"
        );
        provider.restore();
        gateway.wait_until_drained();
        for (turn, code) in (60..).zip(CLOTHES) {
            let reply = gateway.till("till-2").order(&later(code, turn));
            assert_eq!(
                provider.requests_for(code).len(),
                1,
                "{code:?} is forwarded as it came: {reply:?}"
            );
        }
    }

    #[test]
    fn exact_codes_are_what_their_bytes_are() {
        let provider = Provider::start();
        let gateway = offline(&provider, "same_code = \"exact\"");
        for code in [CODE].iter().chain(&CLOTHES[..5]) {
            assert_eq!(gateway.till("till-1").redeem(code).status, 200, "{code:?}");
            assert_eq!(gateway.till("till-2").redeem(code).status, 400, "{code:?}");
        }
    }

    #[test]
    fn a_code_with_nothing_visible_is_empty() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        for line in ["up", "cut"] {
            for code in ["", " ", "\u{200b}", "\u{a0}\u{200f}", "\u{3000}\t", "\u{feff}"] {
                let reply = gateway.till("till-1").redeem(code);
                assert!(
                    reply.status == 400 && reply.refusal().contains("reward_code"),
                    "{line} {code:?}: {reply:?}"
                );
            }
            provider.cut();
        }
        assert_eq!((gateway.counts().accepted, provider.requests().len()), (0, 0));
    }
}

// M10, point 9.
mod m10 {
    use super::*;

    const DATES: [&str; 7] = [
        "Invalid date",
        "2026-13-01 10:00:00",
        "2026-02-30 10:00:00",
        "2026-11-23T10:00:00Z",
        "2026-11-23 10:00:00+03:00",
        "23/11/2026 10:00",
        "2026-11-23 25:00:00",
    ];

    #[test]
    fn a_date_that_the_contract_cannot_mean_is_refused_offline_and_the_providers_matter_online() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        for (n, date) in DATES.iter().enumerate() {
            gateway.till("till-1").order(&Order::new(&format!("ONLINE-{n}")).with("date", *date));
            assert_eq!(provider.requests_for(&format!("ONLINE-{n}")).len(), 1, "{date}");
        }
        go_offline(&provider, &gateway);
        let before = gateway.counts().accepted;
        for (n, date) in DATES.iter().enumerate() {
            let reply = gateway
                .till("till-1")
                .order(&Order::new(&format!("OFFLINE-{n}")).with("date", *date));
            assert!(reply.status == 400 && reply.refusal().contains("date"), "{date}: {reply:?}");
        }
        assert_eq!(gateway.counts().accepted, before);
    }

    #[test]
    fn any_date_is_taken_where_the_settings_say_so() {
        let provider = Provider::start();
        let gateway =
            Gateway::with().lane("main", &provider, "").offline("date_format = \"any\"").start();
        provider.cut();
        for (n, date) in DATES.iter().enumerate() {
            let reply =
                gateway.till("").order(&Order::new(&format!("ANY-{n}")).with("date", *date));
            assert_eq!(reply.status, 200, "{date}: {reply:?}");
        }
    }
}

// M12, points 10 and 11.
mod m12 {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_or_packed_never_confirms_and_takes_no_lane_down() {
        let spoilt =
            ["gzip", "empty-unframed", "empty-html", "truncated", "cut-chunks", "close-mid-answer"];
        at_once(spoilt.len(), |n| {
            let provider = Provider::start();
            let gateway = offline(&provider, "");
            let id = give(&gateway, "CUT", 1).remove(0);
            give(&gateway, "WELL", 4);
            back_with(&provider, &[&format!("fault={},code=CUT-0", spoilt[n]), "fault=pass"]);
            asked(&provider, "CUT-0", 2);
            gateway.wait_for_counts("the others delivered", |books| books.confirmed == 5);
            let is_up = || (gateway.lane("main")["link"] == "up").then_some(());
            eventually("the lane is up", is_up);
            if spoilt[n] == "gzip" {
                // What came after it says "used", packed too.
                assert_eq!(row(&gateway, &id)["state"], "pending");
            }
            assert_eq!(gateway.counts().declined, 0, "{}", spoilt[n]);
            provider.rules(&[]);
            let row = becomes(&gateway, &id, "confirmed");
            assert!(row["attempts"].as_u64() > Some(1), "{}: {row}", spoilt[n]);
        });
    }

    #[test]
    fn an_empty_success_that_ends_as_it_said_confirms() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        provider.rules(&["fault=empty-200"]);
        for n in 0..3 {
            assert_eq!(gateway.till("till-1").redeem(&format!("EMPTY-{n}")).state(), "confirmed");
        }
    }

    /// A forward proxy that wants `gw:right`.
    fn proxy() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Its end is the connection's.
                std::thread::spawn(move || pass(stream).unwrap_or_default());
            }
        });
        address
    }

    fn pass(mut client: TcpStream) -> std::io::Result<()> {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            match client.read(&mut chunk)? {
                0 => return Ok(()),
                read => seen.extend_from_slice(&chunk[..read]),
            }
        }
        let head = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        // "gw:right" in base64, lower case.
        if !head.contains("proxy-authorization: basic z3c6cmlnahq=") {
            let no = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: \
                Basic\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return client.write_all(no);
        }
        let host = head
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        let mut provider = TcpStream::connect(host)?;
        provider.write_all(&seen)?;
        let (mut from, mut to) = (client.try_clone()?, provider.try_clone()?);
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut provider, &mut client)?;
        client.shutdown(Shutdown::Both)
    }

    #[test]
    fn a_proxy_with_a_password_is_passed_and_one_that_refuses_is_a_cause_of_its_own() {
        let provider = Provider::start();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("proxy.password");
        std::fs::write(&password, "wrong").unwrap();
        let lane = format!(
            "proxy = \"http://{}\"\nproxy_user = \"gw\"\nproxy_password_file = \"{}\"",
            proxy(),
            password.display()
        );
        let gateway = store(&provider, &lane);
        for n in 0..3 {
            assert_eq!(gateway.till("till-1").redeem(&format!("PROXY-{n}")).state(), "pending");
        }
        let lane = gateway.wait_for_link("main", "down");
        assert_eq!(
            (&lane["cause"], &lane["trust"]),
            (&"proxy".into(), &"at_once".into()),
            "{lane}"
        );
        assert!(lane["detail"].as_str().is_some_and(|detail| detail.contains("407")), "{lane}");
        assert!(!lane.to_string().contains("wrong"), "{lane}");
        std::fs::write(&password, "right").unwrap();
        assert_eq!(gateway.wait_until_drained().confirmed, 3);
        assert_eq!(gateway.till("till-2").redeem("THROUGH-IT").state(), "confirmed");
    }
}

// M14, point 12.
mod m14 {
    use super::*;

    /// Asks and hangs up before the answer, which the provider gives later.
    fn asks_and_leaves(till: &Till, order: &Order) {
        let mut stream = till.connect();
        stream.write_all(&till.bytes_of(order)).unwrap();
        drop(stream);
    }

    /// The answer was written, and nobody was there: the reset comes a round trip later, and
    /// nothing shows it.
    fn is_undelivered(gateway: &Gateway, settled: u64) {
        gateway.wait_for_counts("the answer", |books| books.confirmed + books.declined == settled);
        moment(Duration::from_millis(150));
    }

    #[test]
    fn a_till_that_hung_up_gets_that_redemptions_answer_once_whatever_its_timestamp() {
        let provider = Provider::with(&["--delay", "150ms"]);
        let gateway = store(&provider, "");
        provider.rules(&["fault=refuse,message=Reward {code} has expired,code=GONE-*"]);
        let till = gateway.till("till-1");
        let cases = [
            ("HUNG-1", 200, "HUNG-1"),
            ("GONE-1", 400, "GONE-1"),
            ("hung-2", 200, " HUNG-2"),
            ("HUNG-3", 200, "HUNG-3"),
        ];
        for (n, (code, status, again)) in (0_u32..).zip(cases) {
            asks_and_leaves(&till, &Order::new(code));
            is_undelivered(&gateway, u64::from(n) + 1);
            let order =
                if n == 3 { later(again, 1).key("a-key-of-its-own") } else { later(again, 1) };
            let reply = till.order(&order);
            assert_eq!(reply.status, status, "{code}: {reply:?}");
            assert_eq!(
                (provider.requests_for(code).len(), reply.header("redeemd-repeat")),
                (1, Some("1")),
                "{code}"
            );
        }
        assert_eq!(gateway.counts().accepted, 4, "no second redemption");
        for code in ["HUNG-1", "HUNG-3"] {
            let third = till.order(&later(code, 2));
            assert_eq!(third.status, 400, "the answer is told once: {third:?}");
        }
    }

    /// How a till ends a connection on which its answer was written.
    #[derive(Clone, Copy, Debug)]
    enum Leaves {
        /// It reads the status line and closes: what is left unread resets the connection.
        WithTheStatus,
        /// It reads all and resets, so long after.
        ResetsAfter(Duration),
    }

    /// The status that the till saw before it left.
    fn asks_and_breaks_off(till: &Till, order: &Order, leaves: Leaves) -> String {
        let mut stream = till.connect();
        stream.write_all(&till.bytes_of(order)).unwrap();
        let mut answer = [0; 4096];
        let wanted = if matches!(leaves, Leaves::WithTheStatus) { 12 } else { answer.len() };
        moment(Duration::from_millis(100));
        assert!(stream.read(&mut answer[..wanted]).unwrap() >= 12);
        if let Leaves::ResetsAfter(after) = leaves {
            moment(after);
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
        drop(stream);
        moment(Duration::from_millis(100));
        String::from_utf8_lossy(&answer[9..12]).into_owned()
    }

    #[test]
    fn a_till_that_resets_each_connection_gets_a_missed_answer_once_and_not_with_each_sale() {
        let provider = Provider::with(&["--reusable", "SUMMER*"]);
        let gateway = store(&provider, "reusable_codes = [\"SUMMER*\"]");
        let till = gateway.till("till-1");
        let at_once = Leaves::ResetsAfter(Duration::ZERO);
        for (leaves, n) in [(Leaves::WithTheStatus, 1), (at_once, 2)] {
            let sales = |code: &str| -> Vec<String> {
                let sale = |n| asks_and_breaks_off(&till, &later(code, n), leaves);
                (0..4).map(sale).collect()
            };
            let code = format!("ONE-{n}");
            assert_eq!(sales(&code), ["200", "200", "400", "400"], "{leaves:?}");
            let code = format!("SUMMER-{n}");
            assert_eq!(sales(&code), ["200"; 4], "{leaves:?}");
            assert_eq!(provider.requests_for(&code).len(), 4, "each sale is one: {leaves:?}");
        }
        go_offline(&provider, &gateway);
        let sales = |code: &str| -> Vec<String> {
            let sale = |n| asks_and_breaks_off(&till, &later(code, n), at_once);
            (0..3).map(sale).collect()
        };
        assert_eq!(sales("ONE-3"), ["200", "200", "400"]);
        let accepted = gateway.counts().accepted;
        assert_eq!(sales("SUMMER-3"), ["200"; 3]);
        assert_eq!(gateway.counts().accepted, accepted + 3, "each sale is one");
    }

    #[test]
    fn a_connection_that_is_reset_long_after_its_answer_had_it() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        let till = gateway.till("till-1");
        let late = Leaves::ResetsAfter(Duration::from_millis(2100));
        assert_eq!(asks_and_breaks_off(&till, &Order::new("READ"), late), "200");
        assert_eq!(till.order(&later("READ", 1)).status, 400);
    }

    #[test]
    fn of_requests_that_were_sent_together_each_answer_that_was_not_read_is_told() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        let till = gateway.till("till-1");
        for n in [2, 3] {
            let code = |nth: u32| format!("PIPED-{n}-{nth}");
            let requests: Vec<u8> =
                (0..n).flat_map(|nth| till.bytes_of(&Order::new(&code(nth)))).collect();
            let mut stream = till.connect();
            stream.write_all(&requests).unwrap();
            moment(Duration::from_millis(300));
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            drop(stream);
            moment(Duration::from_millis(100));
            for nth in 0..n {
                let reply = till.order(&later(&code(nth), 1));
                assert_eq!(reply.status, 200, "{}: {reply:?}", code(nth));
            }
        }
    }

    #[test]
    fn where_the_bytes_count_each_codes_missed_answer_is_its_own() {
        let provider = Provider::with(&["--delay", "150ms"]);
        let gateway = store(&provider, "same_code = \"exact\"");
        let till = gateway.till("till-1");
        asks_and_leaves(&till, &Order::new("bytes-1"));
        is_undelivered(&gateway, 1);
        // Another code, whose answer comes.
        till.order(&later("BYTES-1", 1));
        // And one whose answer does not.
        asks_and_leaves(&till, &later("Bytes-1", 2));
        is_undelivered(&gateway, 3);
        for code in ["bytes-1", "Bytes-1"] {
            let reply = till.order(&later(code, 3));
            assert_eq!(
                (provider.requests_for(code).len(), reply.header("redeemd-repeat")),
                (1, Some("1")),
                "{code}: {reply:?}"
            );
        }
        assert_eq!(till.order(&later("bytes-1", 4)).status, 400, "the answer is told once");
    }

    #[test]
    fn who_asks_again_before_the_first_is_answered_is_told_to_ask_once_more_and_then_hears_it() {
        let provider = Provider::with(&["--delay", "500ms"]);
        let gateway = store(&provider, "");
        let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
        for (n, code) in (0..).zip(["EARLY-1", "early 2", "\u{663}EARLY"]) {
            asks_and_leaves(&till, &Order::new(code));
            gateway.wait_for_counts("it is on its way", |books| books.accepted == n + 1);
            let early = till.order(&later(code, 1));
            assert_eq!(
                (early.status, early.header("retry-after")),
                (503, Some("2")),
                "{code}: {early:?}"
            );
            assert_eq!(
                other.order(&later(code, 2)).status,
                400,
                "{code}: another till's is another request"
            );
            assert_eq!(
                till.order(&later(code, 3).with("branch_id", "8")).status,
                400,
                "{code}: another branch's too"
            );
            is_undelivered(&gateway, n + 1);
            let reply = till.order(&later(code, 4));
            assert_eq!((reply.status, reply.state()), (200, "confirmed"), "{code}: {reply:?}");
            assert_eq!(provider.requests_for(code).len(), 1, "{code}");
        }
    }

    #[test]
    fn another_till_another_branch_and_a_till_that_read_its_answer_get_none_of_it() {
        let provider = Provider::with(&["--delay", "150ms"]);
        let gateway = store(&provider, "");
        let till = gateway.till("till-1");
        asks_and_leaves(&till, &Order::new("MINE"));
        is_undelivered(&gateway, 1);
        assert_eq!(gateway.till("till-2").order(&later("MINE", 1)).status, 400);
        assert_eq!(till.order(&later("MINE", 2).with("branch_id", "8")).status, 400);
        let mut stream = till.connect();
        stream.write_all(&till.bytes_of(&Order::new("HALF"))).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        drop(stream);
        moment(Duration::from_millis(50));
        assert_eq!(till.order(&later("HALF", 1)).status, 400, "it read its answer");
    }

    #[test]
    fn the_same_request_again_is_counted_for_its_till() {
        let provider = Provider::start();
        let gateway = store(&provider, "");
        let till = gateway.till("till-1");
        let repeats = |code: &str| -> Vec<Option<String>> {
            let ask = |reply: Reply| reply.header("redeemd-repeat").map(str::to_owned);
            (0..3).map(|_| ask(till.redeem(code))).collect()
        };
        let expected = [None, Some("1".to_owned()), Some("2".to_owned())];
        assert_eq!(repeats("AGAIN-1"), expected);
        provider.rules(&["fault=refuse,code=AGAIN-2"]);
        assert_eq!(repeats("AGAIN-2"), expected);
        go_offline(&provider, &gateway);
        assert_eq!(repeats("AGAIN-3"), expected);
    }
}

// Point 10.
#[test]
fn what_the_gateway_need_not_understand_is_forwarded_as_it_came() {
    let provider = Provider::start();
    let gateway = store(&provider, "");
    for (n, extra) in
        ["\"\\ud800\"", "1e400", "-0.0e-999", "[\"\\udfff\",1E9999]"].iter().enumerate()
    {
        let code = format!("EXTRA-{n}");
        let body = Order::new(&code).body().replacen('{', &format!("{{\"note\":{extra},"), 1);
        let reply = gateway.till("till-1").send("POST", "/redeem", &[], body.as_bytes());
        assert_eq!((reply.status, reply.state()), (200, "confirmed"), "{extra}: {reply:?}");
        let sent = provider.requests_for(&code);
        assert_eq!(sent.first().and_then(|request| request.body.as_deref()), Some(body.as_str()));
    }
}

#[test]
fn status_tells_the_present_cause_with_its_own_detail() {
    let provider = Provider::start();
    let gateway = offline(&provider, "");
    give(&gateway, "WAITS", 3);
    assert!(
        gateway.lane("main")["detail"].as_str().is_some_and(|detail| detail.contains("connect"))
    );
    for (fault, cause, words) in
        [("500", "provider", "500"), ("404-html", "not_the_provider", "404")]
    {
        back_with(&provider, &[&format!("fault={fault}")]);
        let look = || Some(gateway.lane("main")).filter(|lane| lane["cause"] == cause);
        let lane = eventually(&format!("the cause is {cause}"), look);
        assert!(lane["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{lane}");
    }
}
