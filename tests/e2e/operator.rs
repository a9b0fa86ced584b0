//! The operator's hand on lanes and redemptions, through the socket, each time recorded with when
//! and by whom.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Gateway, Provider, eventually, redeemd, until, until_within};

/// What `show` tells of a redemption's events.
fn events(gateway: &Gateway, id: &str) -> Vec<(String, String, String)> {
    let said = gateway.command(&["show", id, "--json"]);
    let row: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let events = row["events"].as_array().unwrap();
    events.iter().map(|event| (text(event, "what"), text(event, "by"), text(event, "at"))).collect()
}

/// One event of this kind, by the user who runs these tests, with a time.
fn assert_recorded(gateway: &Gateway, id: &str, what: &str) {
    let events = events(gateway, id);
    let found: Vec<_> = events.iter().filter(|(its, _, _)| its == what).collect();
    assert_eq!(found.len(), 1, "{what} in {events:?}");
    let (_, by, at) = found[0];
    assert!(!by.is_empty() && by != "console", "a user has a name: {events:?}");
    assert!(at.ends_with('Z') && at.len() >= 20, "{events:?}");
}

/// A page as a browser that likes this language best gets it.
fn page(gateway: &Gateway, path: &str, language: &str) -> String {
    gateway.operators().send("GET", path, &[("accept-language", language)], b"").body
}

#[test]
fn a_refused_token_needs_a_person_in_the_status_in_its_check_and_on_the_first_screen() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.rules(&["fault=401"]);
    gateway.till("").redeem("TOKEN-1");
    eventually("the lane's cause is the credential", || {
        (gateway.lane("main")["cause"] == "credential").then_some(())
    });
    let need = "main: the provider does not take our token";
    let needs = gateway.status()["needs"].to_string();
    assert!(needs.contains(need), "{needs}");
    let checked = gateway.command(&["status", "--check"]);
    assert!(checked.code == Some(1) && checked.out.contains(need), "{checked:?}");
    let english = page(&gateway, "/", "en");
    assert!(english.contains("main: The provider does not take our token"), "{english}");
    assert!(!english.contains("Nobody has to do anything"), "{english}");
    let arabic = page(&gateway, "/", "ar");
    let isolated = "\u{2068}main\u{2069}: لا يقبل المزوّد رمز الدخول";
    assert!(arabic.contains(isolated) && !arabic.contains("لا أحد بحاجة"), "{arabic}");
}

#[test]
fn a_token_that_is_back_ends_the_hold_of_a_lane_where_nothing_waits() {
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").offline("accept = false").start();
    let (file, aside) = (gateway.folder().join("main.token"), gateway.folder().join("aside"));
    fs::rename(&file, &aside).unwrap();
    gateway.till("").redeem("NO-TOKEN");
    assert_eq!(gateway.wait_for_link("main", "held")["cause"], "credential");
    until("nothing waits", || gateway.counts().pending == 0);
    fs::rename(&aside, &file).unwrap();
    let lane = gateway.wait_for_link("main", "up");
    assert_eq!((&lane["tried"], &lane["cause"]), (&Value::Bool(false), &Value::Null));
    assert!(gateway.says(&["status"]).contains("main untried 0"), "{}", gateway.says(&["status"]));
    let checked = gateway.command(&["status", "--check"]);
    assert!(!checked.out.contains("token"), "{checked:?}");
    assert!(gateway.log().contains("lane main has another credential"), "{}", gateway.log());
    assert_eq!(gateway.till("").redeem("WITH-TOKEN").state(), "confirmed");
}

#[test]
fn a_line_that_was_down_when_last_tried_is_shown_so_until_it_is_answered() {
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").offline("accept = false").start();
    assert_eq!(gateway.till("").redeem("BEFORE").state(), "confirmed");
    provider.cut();
    for code in ["FIRST", "SECOND"] {
        assert_eq!(gateway.till("").redeem(code).status, 503);
        until("nothing is left to try it with", || gateway.counts().pending == 0);
        let sent = "the next redemption is sent all the same";
        let is_told = || gateway.lane("main")["detail"].to_string().contains(sent);
        until("it is told as it was when last tried", is_told);
        let lane = gateway.lane("main");
        assert_eq!((&lane["link"], &lane["seen"]), (&"up".into(), &"down".into()), "{lane}");
        assert!(gateway.says(&["status"]).contains("main down 0"));
        let page = page(&gateway, "/", "en");
        assert!(!page.contains("No line is known to be down"), "{page}");
    }
    let told = |log: &str, text: &str| log.lines().filter(|line| line.contains(text)).count();
    let log = gateway.log();
    assert_eq!(told(&log, "lane main is down"), 1, "{log}");
    assert_eq!(told(&log, "lane main is up"), 1, "at the start: {log}");
    provider.restore();
    assert_eq!(gateway.till("").redeem("AFTER").state(), "confirmed");
    gateway.wait_for_link("main", "up");
    until("the log tells it", || told(&gateway.log(), "lane main is up") == 2);
}

#[test]
fn a_report_of_one_lane_leaves_out_the_refusals_that_are_counted_for_all() {
    let provider = Provider::start();
    let gateway = Gateway::with().lane("main", &provider, "").offline("accept = false").start();
    provider.cut();
    assert_eq!(gateway.till("").redeem("REFUSED").status, 503);
    for form in [&["report"][..], &["report", "--json"], &["report", "--csv"]] {
        let all = gateway.says(form);
        assert!(all.contains("not_accepting"), "{all}");
        let of_one = gateway.says(&[form, &["--lane", "main"]].concat());
        assert!(!of_one.contains("not_accepting"), "{of_one}");
    }
}

#[test]
fn a_held_lane_takes_and_sends_nothing_until_it_is_released_also_after_a_restart() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    assert_eq!(gateway.says(&["hold", "main"]), "main: held");
    for _ in 0..2 {
        let refused = gateway.till("").redeem("HELD");
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("30")),
            "{refused:?}"
        );
        assert!(refused.refusal().contains("do not hand out the reward"), "{refused:?}");
        let counted = &gateway.status()["refused"];
        assert_eq!((&counted["held"], &counted["not_accepting"]), (&1.into(), &0.into()));
        gateway.restart();
        assert_eq!(gateway.wait_for_link("main", "held")["cause"], "operator");
    }
    assert_eq!((gateway.counts().accepted, provider.requests().len()), (0, 0));
    assert_eq!(gateway.says(&["release"]), "main: released");
    assert_eq!(gateway.till("").redeem("HELD").state(), "confirmed");
}

#[test]
fn a_lane_held_with_trust_accepts_and_sends_nothing_until_its_release_also_after_a_restart() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    assert_eq!(
        gateway.command(&["hold", "main", "--trust"]).code,
        Some(64),
        "trust has to be given a reason"
    );
    let held = gateway.says(&["hold", "main", "--trust", "--note", "the provider moves house"]);
    assert_eq!(held, "main: held, tills are trusted meanwhile");
    let till = gateway.till("");
    for n in 0..3 {
        assert_eq!(till.redeem(&format!("HELD-{n}")).state(), "pending");
    }
    gateway.restart();
    let lane = gateway.wait_for_link("main", "held");
    assert_eq!(lane["cause"], "operator");
    assert!(
        gateway
            .says(&["status"])
            .contains("an operator holds this lane; `redeemd release LANE` lets it go on")
    );
    gateway.says(&["flush"]);
    assert_eq!(till.redeem("HELD-3").state(), "pending");
    assert_eq!(provider.requests().len(), 0);
    assert_eq!(gateway.says(&["release"]), "main: released");
    assert!(gateway.says(&["flush", "--wait"]).contains(" nothing is pending: "));
    assert_eq!(gateway.counts().confirmed, 4);
    assert_eq!(gateway.lane("main")["cause"], Value::Null);
    // Afterwards the report says under whose word they were given.
    assert_eq!(till.redeem("AFTERWARDS").state(), "confirmed");
    let report = gateway.says(&["report"]);
    assert!(report.contains("4 of them on lane main since an operator held it"), "{report}");
    let report = gateway.says(&["report", "--json"]);
    assert!(report.contains(r#"{"accepted":4,"kind":"on_hold","lane":"main"}"#), "{report}");
}

#[test]
fn what_was_given_under_a_hold_says_so_in_its_story_and_in_the_inbox() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    gateway.says(&["hold", "main", "--trust", "--note", "the provider moves house"]);
    gateway.wait_for_link("main", "held");
    let id = gateway.till("").redeem("HELD-1").id();
    let story = format!("/redemptions/{id}");
    provider.rules(&["fault=refuse"]);
    gateway.says(&["release"]);
    gateway.wait_for_counts("it is declined", |counts| counts.declined == 1);
    for (language, held, down, given, means) in [
        (
            "en",
            "an operator held the line and let rewards be given",
            "line was down",
            "Given while an operator held the line",
            "The reward was given before the provider had answered",
        ),
        (
            "ar",
            "أوقف أحد المشغّلين الخط وسمح",
            "كان الخط منقطعًا",
            "أُعطيت أثناء إيقاف أحد المشغّلين للخط",
            "أُعطيت المكافأة قبل أن يجيب المزوّد",
        ),
    ] {
        let (story, inbox) = (page(&gateway, &story, language), page(&gateway, "/inbox", language));
        assert!(story.contains(held) && !story.contains(down), "{story}");
        assert!(inbox.contains(given) && inbox.contains(means) && !inbox.contains(down), "{inbox}");
    }
}

#[test]
fn a_decline_before_an_operators_hold_is_none_of_those_for_which_a_lane_is_held() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    provider.cut();
    assert_eq!(gateway.till("").redeem("GIVEN-1").state(), "pending");
    provider.rules(&["fault=refuse"]);
    provider.restore();
    gateway.wait_for_counts("declined after the fact", |counts| counts.declined == 1);
    gateway.says(&["hold", "main"]);
    gateway.restart();
    let retried = gateway.command(&["retry", "--lane", "main", "--held"]);
    assert_eq!(retried.code, Some(1), "{retried:?}");
    assert!(retried.err.contains("main is not held for declines"), "{retried:?}");
    assert_eq!(gateway.counts().declined, 1);
}

#[test]
fn whoever_waits_for_a_lane_or_watches_it_is_told_on_after_a_restart() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    provider.cut();
    assert_eq!(gateway.till("").redeem("CUT-1").state(), "pending");
    let settings = gateway.folder().join("redeemd.toml");
    let asks = |words: [&str; 2]| {
        let mut command = redeemd(words[0]);
        command.arg(words[1]).arg("--config").arg(&settings);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let [mut waits, mut watches] = [["flush", "--wait"], ["status", "--watch"]].map(asks);
    let mut waits_out = BufReader::new(waits.stdout.take().unwrap()).lines();
    let mut watches_out = BufReader::new(watches.stdout.take().unwrap()).lines();
    assert!(waits_out.next().unwrap().unwrap().contains("main"));
    assert!(watches_out.any(|line| line.unwrap().contains("down")));
    gateway.terminate();
    let mut err = BufReader::new(watches.stderr.take().unwrap()).lines();
    assert!(err.any(|line| line.unwrap().contains("it is asked again until it answers")));
    gateway.start();
    assert!(watches_out.any(|line| line.unwrap().contains("gateway")), "it goes on");
    provider.restore();
    assert!(waits_out.any(|line| line.unwrap().contains("nothing is pending")));
    assert!(waits.wait().unwrap().success());
    watches.kill().unwrap();
    watches.wait().unwrap();
}

#[test]
fn declined_redemptions_are_sent_again_by_id_and_from_standard_input() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.rules(&["fault=refuse,message=come back later {code}"]);
    let till = gateway.till("");
    let ids: Vec<_> = (0..4).map(|n| till.redeem(&format!("RETRY-{n}")).id()).collect();
    assert_eq!(gateway.counts().declined, 4);
    provider.rules(&[]);

    gateway.says(&["retry", &ids[0]]);
    let listed = gateway.command(&["list", "--state", "declined", "--json", "--limit", "2"]);
    let said = gateway.command_with(&["retry", "-"], &format!("{}\n{}\n", listed.out, ids[3]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        gateway.wait_for_counts("all confirmed", |counts| counts.confirmed == 4).declined,
        0
    );
    for id in &ids {
        assert_recorded(&gateway, id, "retry");
    }
    let refused = gateway.command(&["retry", &ids[0]]);
    assert_eq!(refused.code, Some(1), "what is confirmed is not sent again: {refused:?}");
    assert!(refused.err.contains(&ids[0]), "{refused:?}");
    provider.assert_one_key_each();
}

#[test]
fn a_retry_is_refused_while_another_redemption_of_the_code_stands() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.rules(&["fault=refuse,count=1"]);
    let till = gateway.till("");
    let first = till.redeem("TWICE");
    let second = till.order(&crate::harness::Order::new("TWICE").with("timestamp", "2"));
    assert_eq!((first.state(), second.state()), ("declined", "confirmed"));
    let refused = gateway.command(&["retry", &first.id()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(&second.id()), "it names the other: {refused:?}");
    assert_eq!(provider.requests().len(), 2);
}

#[test]
fn a_void_with_a_note_closes_a_pending_redemption_for_good() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    gateway.says(&["hold", "--trust", "--note", "a test"]);
    let id = gateway.till("").redeem("VOID-1").id();
    assert_eq!(
        gateway.command(&["void", &id]).code,
        Some(64),
        "a void without a note is a usage error"
    );
    assert_eq!(
        gateway.says(&["void", &id, "--note", "the customer came back"]),
        format!("{id}: voided")
    );
    assert_recorded(&gateway, &id, "void");
    assert!(gateway.says(&["show", &id]).contains("the customer came back"));
    gateway.says(&["release"]);
    let again = eventually("the lane is up", || {
        Some(gateway.till("").redeem("VOID-2")).filter(|r| r.state() == "confirmed")
    });
    assert_eq!(again.status, 200);
    let books = gateway.counts();
    assert_eq!((books.voided, books.pending), (1, 0));
    assert!(provider.requests_for("VOID-1").is_empty());
    let twice = gateway.command(&["void", &id, "--note", "again"]);
    assert_eq!(twice.code, Some(1), "{twice:?}");
}

#[test]
fn holds_and_releases_are_recorded_with_when_and_by_whom() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    gateway.says(&["hold", "main"]);
    gateway.says(&["release", "main"]);
    let log = gateway.log();
    for what in [": hold of lane main", ": release of lane main"] {
        assert!(log.contains(what), "{what} is not in {log}");
    }
    let unknown = gateway.command(&["hold", "nobody"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.err.contains("nobody"), "{unknown:?}");
}

/// Requests that could not be read, as the report counts them: in the store, and in memory since.
fn unreadable(gateway: &Gateway) -> u64 {
    let figures = gateway.admin("GET", "/api/v1/figures", "").json();
    figures["refused"]["malformed"].as_u64().unwrap_or(0)
}

#[test]
fn what_was_refused_outlives_a_kill_but_for_seconds() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let refuse = |gateway: &Gateway| {
        let json = [("content-type", "application/json")];
        let reply = gateway.till("").send("POST", "/redeem", &json, b"{\"reward_code\":");
        assert_eq!(reply.status, 400, "{reply:?}");
    };
    // They go with a commit that is made anyway.
    (0..3).for_each(|_| refuse(&gateway));
    let (began, mut n) = (std::time::Instant::now(), 0);
    while began.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(gateway.till("").redeem(&format!("MEANWHILE-{n}")).status, 200);
        n += 1;
    }
    gateway.kill9();
    gateway.start();
    assert_eq!(unreadable(&gateway), 3);
    gateway.wait_until_drained();
    // Where none is made, they get one of their own.
    let log = gateway.state_dir().join("redeemd.db-wal");
    let written = || std::fs::metadata(&log).and_then(|log| log.modified()).ok();
    let before = written();
    refuse(&gateway);
    until_within(std::time::Duration::from_secs(30), "it is kept", || written() != before);
    gateway.kill9();
    gateway.start();
    assert_eq!(unreadable(&gateway), 4);
}

/// The names of the members of an object, and of the objects in it, but for what is named by the
/// store's own names.
fn members(value: &Value, own_names: &[&str], names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                names.insert(name.clone());
                if !own_names.contains(&name.as_str()) {
                    members(inner, own_names, names);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| members(inner, own_names, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn each_member_that_status_and_a_redemption_have_is_in_the_documents() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    let till = gateway.till("");
    till.redeem("ONLINE");
    provider.cut();
    let id = till.redeem("OFFLINE").id();
    let mut names = BTreeSet::new();
    let own_names = ["refused", "attempts", "headroom", "rules", "checks", "trust_off"];
    members(&gateway.status(), &own_names, &mut names);
    let shown = gateway.admin("GET", &format!("/api/v1/redemptions/{id}"), "").json();
    members(&shown, &own_names, &mut names);
    assert!(names.len() > 50, "{names:?}");
    let documents = include_str!("../../docs/http-api.md");
    let missing: Vec<_> =
        names.iter().filter(|name| !documents.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

// What a till was turned away with is voided without a word to its lane. While it waits its own
// backoff there, it takes no other one's place in what is claimed next.
#[test]
fn what_was_turned_away_keeps_nothing_back_that_was_given_on_trust() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    let till = gateway.till("");
    provider.rules(&["fault=401"]);
    for n in 0..4 {
        assert_eq!(till.redeem(&format!("TURNED-AWAY-{n}")).status, 503);
    }
    provider.rules(&[]);
    assert_eq!(till.redeem("WELL").state(), "confirmed");
    gateway.says(&["hold", "main", "--trust", "--note", "the provider moves house"]);
    for n in 0..20 {
        assert_eq!(till.redeem(&format!("GIVEN-{n}")).state(), "pending");
    }
    assert_eq!(gateway.says(&["release"]), "main: released");
    let counts = gateway.wait_for_counts("all are sent", |counts| counts.confirmed == 21);
    assert_eq!((counts.pending, counts.voided), (0, 4));
    let suspects = || gateway.lane("main")["suspects"].as_array().cloned();
    eventually("what was taken back is to blame for nothing", || suspects().filter(Vec::is_empty));
}
