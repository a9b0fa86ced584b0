//! Who is given a reward in the gateway's own name, and who is not (docs/trust.md;
//! docs/failures.md, M11 and M13).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::harness::{
    Builder, Gateway, Order, Provider, Reply, Till, at_once, eventually, free_port, moment, until,
};

/// How a store is set up: whose silence is evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    /// One till, and the gateway's own checks.
    Checks,
    /// Two tills, no `check_url`.
    TwoTills,
    /// One till, no `check_url`.
    OneTill,
    /// The same, `one_till = "trust"`.
    OneTillTrusted,
}

const STORES: [Store; 4] = [Store::Checks, Store::TwoTills, Store::OneTill, Store::OneTillTrusted];

impl Store {
    fn gateway(self, provider: &Provider, reply_within: &str, offline: &str) -> Gateway {
        let one_till = if self == Self::OneTillTrusted { "one_till = \"trust\"\n" } else { "" };
        let tills = if self == Self::OneTillTrusted { &TILLS[..1] } else { &TILLS };
        let builder = quick(reply_within, tills).offline(&format!("{one_till}{offline}"));
        let timeout = "timeout = \"1s\"";
        match self {
            Self::Checks => builder.lane("main", provider, timeout),
            Self::TwoTills | Self::OneTill | Self::OneTillTrusted => {
                builder.lane_at("main", &provider.redeem_url, timeout)
            }
        }
        .start()
    }
}

const TILLS: [&str; 3] = ["till-1", "till-2", "till-3"];

fn quick(reply_within: &str, tills: &[&str]) -> Builder {
    let builder = Gateway::with().intake(&format!("reply_within = \"{reply_within}\""));
    tills.iter().fold(builder, |builder, name| builder.till(name, &format!("token-{name}")))
}

/// Takes a redemption back; one whose probe is on the wire at this moment a moment later.
fn take_back(till: &Till, reply: &Reply) {
    let id = reply.id();
    until("it is taken back", || till.void(&id).status == 200);
}

/// The redemption of this id as operators see it.
fn row(gateway: &Gateway, id: &str) -> Value {
    gateway.admin("GET", &format!("/api/v1/redemptions/{id}"), "").json()
}

/// The same code once more, as most tills ask: with a timestamp of its own.
fn later(code: &str, n: u32) -> Order {
    Order::new(code).with("timestamp", format!("{}", 1_795_428_000 + n))
}

fn given(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| (200..300).contains(&reply.status)).count()
}

/// The line is cut, and the gateway knows.
fn cut(provider: &Provider, gateway: &Gateway, till: &Till) {
    provider.cut();
    assert_eq!(till.redeem("NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
}

fn redeem_all(till: &Till, prefix: &str, count: usize) -> Vec<Reply> {
    at_once(count, |n| till.redeem(&format!("{prefix}-{n}")))
}

/// What a code may do to a provider that answers everybody else.
const TRIPS: [&str; 10] = [
    "waf-403",
    "waf-403-html",
    "401",
    "401-bearer",
    "500",
    "503",
    "404-html",
    "status,status=407",
    "reset-before-taking",
    "hang-before-taking",
];

// M13 and point 0.
#[test]
fn m13_no_invented_code_is_given_while_the_provider_answers_anybody() {
    at_once(STORES.len(), |n| {
        let (store, provider) = (STORES[n], Provider::start());
        let gateway = store.gateway(&provider, "500ms", "");
        let tills =
            if store == Store::TwoTills { ["till-1", "till-2"] } else { ["till-1", "till-1"] };
        for (turn, trip) in TRIPS.iter().enumerate() {
            let refused = "fault=refuse,message=Reward not found,code=INV-*";
            provider.rules(&[&format!("fault={trip},code=TRIP-*"), refused]);
            let tripped = redeem_all(&gateway.till(tills[0]), &format!("TRIP-{turn}"), 4);
            if store != Store::OneTillTrusted {
                assert_eq!(given(&tripped), 0, "{store:?}, {trip}: {tripped:?}");
            }
            for till in tills {
                let invented = redeem_all(&gateway.till(till), &format!("INV-{turn}-{till}"), 15);
                assert_eq!(given(&invented), 0, "{store:?}, {trip}: {invented:?}");
            }
        }
    });
}

#[test]
fn m13_a_provider_that_only_queues_what_it_gets_ends_the_trust_of_an_outage() {
    let words =
        ["pending-202", "in-progress", "status,status=200,body={\"status\":\"processing\"}"];
    at_once(words.len(), |n| {
        let provider = Provider::start();
        let gateway = Store::TwoTills.gateway(&provider, "500ms", "");
        cut(&provider, &gateway, &gateway.till("till-1"));
        provider.rules(&[&format!("fault={}", words[n])]);
        provider.restore();
        until("it is heard that the line is back", || {
            gateway.lane("main")["trust"] == "unanswered"
        });
        for till in ["till-1", "till-2"] {
            let invented = redeem_all(&gateway.till(till), &format!("INV-{till}"), 5);
            assert_eq!(given(&invented), 0, "{}: {invented:?}", words[n]);
        }
    });
}

#[test]
fn m13_codes_that_the_provider_refuses_alike_hold_no_lane_and_give_nothing() {
    let refusals = [
        "fault=refuse,message=Reward not found",
        "fault=refuse",
        "fault=used",
        "fault=kong-404",
        "fault=refuse-ar",
    ];
    at_once(refusals.len(), |n| {
        let provider = Provider::start();
        let gateway = Store::Checks.gateway(&provider, "2s", "");
        provider.rules(&[&format!("{},code=INV-*", refusals[n])]);
        let till = gateway.till("till-1");
        for turn in 0..40 {
            let reply = till.redeem(&format!("INV-{turn}"));
            assert_eq!(reply.status / 100, 4, "{} {turn}: {reply:?}", refusals[n]);
        }
        assert_eq!(
            (till.redeem("GOOD-1").state(), &gateway.lane("main")["link"]),
            ("confirmed", &"up".into())
        );
    });
}

fn file_of(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn oauth_lane((redeem, token): (&str, &str), secret: &NamedTempFile, timeout: &str) -> String {
    format!(
        "[[provider]]\nname = \"main\"\nredeem_url = \"{redeem}\"\ntimeout = \"{timeout}\"\n\
         [provider.oauth]\ntoken_url = \"{token}\"\nclient_id = \"branch\"\n\
         client_secret_file = \"{}\"\n",
        secret.path().display()
    )
}

#[test]
fn r4_a_refresh_token_that_is_on_its_way_is_lost_by_no_stop_no_reload_and_no_slow_endpoint() {
    at_once(3, |n| {
        let provider = Provider::with(&["--oauth", "branch:secret", "--oauth-refresh", "first"]);
        let (secret, first) = (file_of("secret"), file_of("first"));
        let lane = |timeout| {
            let urls = (provider.redeem_url.as_str(), provider.token_url.as_str());
            let grant = "grant = \"refresh_token\"\nrefresh_token_file";
            let first = first.path().display();
            format!("{}{grant} = \"{first}\"", oauth_lane(urls, &secret, timeout))
        };
        provider.rules(&["fault=pass,path=/oauth/token,delay=2s"]);
        let mut gateway = quick("500ms", &TILLS[..1]).more(&lane("1s")).start();
        assert_eq!(gateway.till("till-1").redeem("FIRST").status, 503);
        until("it is asked", || provider.requests().iter().any(|seen| seen.path == "/oauth/token"));
        match n {
            0 => {
                gateway.terminate();
                gateway.start();
            }
            1 => {
                gateway.rewrite(&lane("3s"));
                gateway.reload();
            }
            _ => moment(Duration::from_secs(2)),
        }
        provider.rules(&[]);
        until("it goes on", || gateway.till("till-1").redeem("SECOND").status == 200);
    });
}

#[test]
fn a_token_endpoint_that_leads_nowhere_opens_nothing_and_a_line_that_is_cut_does() {
    let provider = Provider::start();
    let secret = file_of("secret");
    let nowhere = format!("http://{}/token", free_port());
    let lane = oauth_lane((&provider.redeem_url, &nowhere), &secret, "1s");
    let gateway = quick("500ms", &TILLS[..1]).more(&lane).start();
    let till = gateway.till("till-1");
    let invented = redeem_all(&till, "INV", 4);
    assert_eq!(given(&invented), 0, "{invented:?}");
    assert_eq!(gateway.lane("main")["cause"], "credential");
    provider.cut();
    until("the line is down", || till.redeem("CUT-1").status == 200);
    assert_eq!(gateway.lane("main")["cause"], "connect");
    provider.restore();
    until("it is back", || gateway.lane("main")["cause"] == "credential");
}

#[test]
fn a_check_url_that_leads_nowhere_opens_nothing() {
    let provider = Provider::start();
    let nowhere = format!("http://{}/check", free_port());
    let gateway = quick("500ms", &TILLS[..1])
        .lane_to("main", &provider.redeem_url, &nowhere, "timeout = \"1s\"")
        .start();
    let till = gateway.till("till-1");
    for (turn, trip) in
        ["500", "hang-before-taking", "waf-403", "reset-before-taking"].iter().enumerate()
    {
        provider.rules(&[&format!("fault={trip},code=TRIP-*"), "fault=refuse,code=INV-*"]);
        let tripped = redeem_all(&till, &format!("TRIP-{turn}"), 4);
        let invented = redeem_all(&till, &format!("INV-{turn}"), 10);
        assert_eq!((given(&tripped), given(&invented)), (0, 0), "{trip}: {tripped:?} {invented:?}");
    }
}

#[test]
fn checks_that_nobody_answers_beside_answered_redemptions_are_found_out_and_give_nothing_more() {
    let provider = Provider::start();
    let no_page = format!("{}/no-such-page", provider.redeem_url);
    let gateway = quick("1s", &TILLS)
        .lane_to("main", &provider.redeem_url, &no_page, "timeout = \"1s\"")
        .start();
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    provider.rules(&["fault=hang-before-taking,code=TRIP-*"]);
    till.redeem("TRIP-0");
    let turn = AtomicU32::new(0);
    let is_found_out = || {
        let good = other.redeem(&format!("GOOD-{}", turn.fetch_add(1, Ordering::Relaxed)));
        assert_eq!(good.state(), "confirmed", "{good:?}");
        (gateway.lane("main")["checks_deaf"] == true).then_some(())
    };
    eventually("it is found out", is_found_out);
    let tripped = redeem_all(&till, "TRIP-1", 4);
    assert_eq!(given(&tripped), 0, "{tripped:?}");
    let told = gateway.command(&["status", "--check"]);
    assert!(
        told.out.contains("main: the provider answers redemptions, and checks not"),
        "{told:?}"
    );
    provider.rules(&["fault=500"]);
    let silent = [till.redeem("DEAD-1"), other.redeem("DEAD-2")];
    assert_eq!((silent[1].status, silent[1].state()), (200, "pending"), "{silent:?}");
}

#[test]
fn a_429_gives_nobody_trust_and_one_try_in_two_seconds_finds_its_end() {
    at_once(STORES.len(), |n| {
        let (store, provider) = (STORES[n], Provider::start());
        let gateway = store.gateway(&provider, "500ms", "");
        provider.rules(&["fault=429,retry_after=3600"]);
        let names = if store == Store::OneTillTrusted {
            ["till-1", "till-1"]
        } else {
            ["till-1", "till-2"]
        };
        assert_eq!(
            gateway.till("till-1").redeem("THE-FIRST").header("retry-after"),
            Some("3600"),
            "{store:?}"
        );
        for (turn, name) in names.iter().enumerate() {
            let replies = redeem_all(&gateway.till(name), &format!("MANY-{turn}"), 10);
            assert_eq!(given(&replies), 0, "{store:?}: {replies:?}");
            let told = replies
                .iter()
                .filter(|reply| reply.status == 503 && reply.header("retry-after").is_some());
            assert_eq!(told.count(), 10, "{store:?}: {replies:?}");
        }
        let asked =
            provider.requests().iter().filter(|request| request.path.ends_with("redeem")).count();
        assert!(asked <= 4, "{store:?}: {asked} requests after a 429");
        provider.rules(&["fault=refuse,code=INV-*"]);
        let till = gateway.till("till-1");
        assert_eq!(given(&redeem_all(&till, "INV", 10)), 0, "{store:?}");
        let turn = AtomicU32::new(0);
        let again = || {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            (till.order(&later("AFTER", turn)).status == 200).then_some(())
        };
        eventually("the provider answers again", again);
    });
}

#[test]
fn a_restart_makes_no_429_of_a_503_and_ends_none() {
    for fault in ["503", "429"] {
        let provider = Provider::start();
        let mut gateway = Store::Checks.gateway(&provider, "1s", "");
        provider.rules(&[&format!("fault={fault},retry_after=600,call=both")]);
        let is_given =
            |gateway: &Gateway, code: &str| gateway.till("till-1").redeem(code).status == 200;
        assert_eq!(is_given(&gateway, "BEFORE"), fault == "503", "{fault}");
        gateway.restart();
        let waits = || gateway.lane("main")["waiting_s"].as_u64() > Some(500);
        until("the wait is taken up again", waits);
        let trust = if fault == "503" { "unanswered" } else { "never" };
        assert_eq!(gateway.lane("main")["trust"], trust, "{fault}");
        assert_eq!(is_given(&gateway, "AFTER"), fault == "503", "{fault}");
    }
}

#[test]
fn sixty_requests_at_once_at_a_slow_provider_are_not_given_and_what_it_took_is_owed_once() {
    at_once(2, |n| {
        let (store, provider) = ([Store::Checks, Store::OneTill][n], Provider::start());
        let gateway = store.gateway(&provider, "400ms", "");
        provider.rules(&["fault=pass,delay=700ms"]);
        let till = gateway.till("till-1");
        let replies = redeem_all(&till, "SIXTY", 60);
        assert_eq!(given(&replies), 0, "{store:?}: {replies:?}");
        provider.rules(&[]);
        gateway.wait_until_drained();
        let taken: Vec<String> = provider
            .requests()
            .into_iter()
            .filter(|request| request.took)
            .filter_map(|request| request.code)
            .collect();
        assert!(taken.len() >= 8, "{store:?}: {taken:?}");
        for (turn, code) in taken.iter().enumerate().take(6) {
            // Whoever asks, and with whatever timestamp.
            let first = gateway.till(["till-1", "till-2"][turn % 2]).order(&later(code, 1));
            assert_eq!(
                (first.status, first.state()),
                (200, "confirmed"),
                "{store:?}, {code}: {first:?}"
            );
            let second = gateway.till("till-2").order(&later(code, 2));
            let third = till.order(&later(code, 3));
            assert_eq!(
                (second.status, third.status),
                (400, 400),
                "{store:?}, {code}: {second:?} {third:?}"
            );
        }
    });
}

#[test]
fn a_reward_that_was_handed_out_and_taken_back_is_given_once_more_at_most() {
    let provider = Provider::start();
    let gateway = Store::TwoTills.gateway(&provider, "500ms", "");
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    cut(&provider, &gateway, &till);
    for code in ["BACK-1", "back two", "\u{0663}BACK"] {
        let mut given = 0;
        for turn in 0..6 {
            let reply = till.order(&later(code, turn));
            if reply.status == 200 {
                given += 1;
                take_back(&till, &reply);
            }
        }
        let folded = till.order(&later(&format!(" {code}"), 9));
        let elsewhere = other.order(&later(code, 10));
        assert_eq!(
            (given, folded.status, elsewhere.status),
            (2, 400, 400),
            "{code}: {folded:?} {elsewhere:?}"
        );
    }
    for code in ["OTHER-1", "OTHER-2", "OTHER-3"] {
        let first = till.redeem(code);
        take_back(&till, &first);
        assert_eq!(other.redeem(code).status, 400, "another till has no sale to correct");
    }
}

#[test]
fn a_code_that_was_refused_before_the_line_was_cut_is_refused_in_its_words() {
    let provider = Provider::start();
    let gateway = Store::TwoTills.gateway(&provider, "500ms", "");
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    let cases = [
        (
            "EXP-1",
            "fault=refuse,message=Reward {code} has expired,code=EXP-*".to_owned(),
            "has expired",
        ),
        ("USED-1", "fault=used,code=USED-*".to_owned(), "has been used"),
        (
            "NONE-1",
            "fault=refuse,status=404,message=Reward not found,code=NONE-*".to_owned(),
            "Reward not found",
        ),
        ("AR-1", "fault=refuse-ar,code=AR-*".to_owned(), "غير"),
    ];
    let rules: Vec<&str> = cases.iter().map(|(_, rule, _)| rule.as_str()).collect();
    provider.rules(&rules);
    for (code, _, words) in &cases {
        let live = till.redeem(code);
        assert!(live.status / 100 == 4 && live.refusal().contains(words), "{code}: {live:?}");
    }
    cut(&provider, &gateway, &till);
    for (turn, (code, _, words)) in (1..).zip(&cases) {
        for (asker, code) in [
            (&till, (*code).to_owned()),
            (&other, (*code).to_owned()),
            (&other, code.to_lowercase()),
        ] {
            let reply = asker.order(&later(&code, turn));
            assert!(
                reply.status / 100 == 4 && reply.refusal().contains(words),
                "{code}: {reply:?}"
            );
        }
    }
}

#[test]
fn a_refusal_of_the_requests_form_holds_no_code_and_slows_no_till() {
    let provider = Provider::start();
    let gateway = Store::Checks.gateway(&provider, "500ms", "");
    let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
    let faulty = |code: &str| Order::new(code).with("date", "2026-11-23T10:00:00");
    for n in 0..10 {
        let refused = till.order(&faulty(&format!("ISO-{n}")));
        let words = refused.refusal();
        assert!(refused.status == 400 && words.contains("date"), "{refused:?}");
    }
    provider.rules(&[
        "fault=refuse,message=The given data was invalid,code=WORDLESS-*",
        "fault=refuse,message=This code is unknown,code=UNKNOWN-*",
        "fault=refuse,message=The branch_id field must be a string,call=check,code=CHECKED-*",
    ]);
    for code in ["WORDLESS-1", "UNKNOWN-1"] {
        assert_eq!(till.order(&faulty(code)).status, 400, "{code}");
    }
    assert_eq!(till.check("CHECKED-1").status, 400);
    cut(&provider, &gateway, &other);
    for code in ["ISO-0", "WORDLESS-1", "CHECKED-1"] {
        let given = other.redeem(code);
        assert_eq!(given.status, 200, "{code}: {given:?}");
    }
    assert_eq!(other.check("CHECKED-2").status, 503, "nothing is known");
    let held = other.redeem("UNKNOWN-1");
    assert!(held.status == 400 && held.refusal().contains("unknown"), "{held:?}");
    let trusted = till.redeem("FRESH-1");
    assert_eq!(trusted.status, 200, "no code was refused here: {trusted:?}");
}

#[test]
fn a_repeat_does_not_wait_for_an_attempt_that_has_ended() {
    let provider = Provider::start();
    let gateway = Store::TwoTills.gateway(&provider, "9s", "");
    let till = gateway.till("till-1");
    cut(&provider, &gateway, &till);
    for n in 0..6 {
        // A new redemption is the lane's probe, once in two seconds; it ends at once.
        moment(Duration::from_millis(2100));
        let (order, asked) = (Order::new(&format!("AGAIN-{n}")), Instant::now());
        let replies = [till.order(&order), till.order(&order), till.order(&order)];
        assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "it waited {:?}", asked.elapsed());
    }
}

#[test]
fn what_nobody_could_be_asked_about_was_not_given_late() {
    let provider = Provider::start();
    let gateway = Store::TwoTills.gateway(&provider, "500ms", "");
    let till = gateway.till("till-1");
    let given_late = |given: u64| {
        let figures = gateway.admin("GET", "/api/v1/figures", "").json();
        let sum = |name: &str| {
            let all = figures["figures"].as_array().unwrap().iter();
            all.map(|line| line[name].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(sum("given"), given, "{figures}");
        sum("late")
    };
    provider.cut();
    let first = till.redeem("WHILE-IT-SEEMS-UP");
    assert_eq!(first.status, 200, "{first:?}");
    gateway.wait_for_link("main", "down");
    assert_eq!(till.redeem("WHILE-DOWN").status, 200);
    assert_eq!(given_late(2), 0);
    assert_eq!(row(&gateway, &first.id())["accepted_online"], false);
}

#[test]
fn an_operators_hold_gives_nothing_unless_it_says_so_and_then_under_the_limits() {
    let provider = Provider::start();
    let gateway =
        Store::Checks.gateway(&provider, "500ms", "max_pending = 3\nmax_pending_per_till = 3");
    let till = gateway.till("till-1");
    gateway.says(&["hold", "main"]);
    gateway.wait_for_link("main", "held");
    for line in ["up", "cut"] {
        let replies = redeem_all(&till, &format!("HELD-{line}"), 5);
        assert!(replies.iter().all(|reply| reply.status == 503), "{line}: {replies:?}");
        provider.cut();
    }
    assert_eq!((provider.requests().len(), gateway.counts().accepted), (0, 0));
    let home = gateway.operators().send("GET", "/", &[], b"").body;
    let nothing = "Nothing more may be given now: tills are told";
    assert!(home.contains("An operator holds this lane (") && home.contains(nothing), "{home}");
    assert_ne!(gateway.command(&["hold", "main", "--trust"]).code, Some(0), "without a note");
    gateway.says(&["hold", "main", "--trust", "--note", "the provider moves house"]);
    until("tills are trusted", || gateway.lane("main")["trust"] == "at_once");
    let statuses: Vec<u16> = (0..5).map(|n| till.redeem(&format!("TRUSTED-{n}")).status).collect();
    assert_eq!(statuses, [200, 200, 200, 503, 503]);
    assert!(
        gateway.lane("main")["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("moves house"))
    );
    let page = |path: &str| gateway.operators().send("GET", path, &[], b"").body;
    let trail = page("/trail");
    assert!(trail.contains("tills are trusted meanwhile: the provider moves house"), "{trail}");
    let home = page("/");
    assert!(home.contains("An operator holds") && !home.contains("line has been down"), "{home}");
}

#[test]
fn while_the_provider_hangs_the_first_screen_says_what_was_given_and_what_may_be() {
    let provider = Provider::start();
    let gateway = Store::Checks.gateway(&provider, "500ms", "");
    provider.rules(&["fault=hang-before-taking,call=both"]);
    let replies = at_once(4, |n| gateway.till(TILLS[n % 2]).redeem(&format!("HUNG-{n}")));
    assert_eq!(given(&replies), 4, "{replies:?}");
    until("it is known why", || gateway.lane("main")["cause"] == "answer");
    for (language, parts) in [
        ("en", ["4 rewards were given and wait for the", "and only where others are not answered"]),
        ("ar", ["وتنتظر جواب المزوّد: 4 مكافآت", "وذلك فقط حين لا يُجاب عن غيرها أيضًا، حتى"]),
    ] {
        let asked = [("accept-language", language)];
        let home = gateway.operators().send("GET", "/", &asked, b"").body;
        assert!(parts.iter().all(|part| home.contains(part)), "{home}");
    }
}

#[test]
fn no_last_word_is_said_of_a_redemption_that_the_provider_may_have_taken() {
    let provider = Provider::start();
    let form = "[offline.code_form]\nlength = \"4-10\"\nalphabet = \"digits\"";
    let gateway = Store::Checks.gateway(&provider, "500ms", form);
    provider.rules(&["fault=hang-after-taking,call=redeem", "fault=hang-before-taking,call=check"]);
    let dated = Order::new("44444").with("date", "2026-13-45 00:00:00");
    let orders = [Order::new("ABC"), dated, Order::new("33333")];
    let replies = at_once(orders.len(), |n| gateway.till(TILLS[n]).order(&orders[n]));
    for told in &replies[..2] {
        assert_eq!((told.status, told.state()), (503, "pending"), "{told:?}");
        assert_eq!(told.header("retry-after"), Some("2"), "{told:?}");
        let words =
            "the provider has not answered about this reward; do not hand it out; ask again";
        assert!(told.refusal().contains(words), "{told:?}");
    }
    assert_eq!(replies[2].status, 200, "others are trusted: {:?}", replies[2]);
}

#[test]
fn one_answered_probe_does_not_refill_the_outage_budget_and_neither_does_a_restart() {
    let provider = Provider::start();
    let mut gateway = Store::Checks.gateway(&provider, "400ms", "max_outage = \"2s\"");
    let used_up = |gateway: &Gateway, round: u32| {
        let till = gateway.till("till-1");
        let mut turn = 0;
        eventually("the budget is used", || {
            turn += 1;
            let reply = till.redeem(&format!("OUT-{round}-{turn}"));
            (reply.status == 503).then_some(turn)
        })
    };
    cut(&provider, &gateway, &gateway.till("till-1"));
    assert!(used_up(&gateway, 0) > 1, "the first seconds are within it");
    provider.restore();
    gateway.wait_until_drained();
    assert_eq!(gateway.till("till-1").redeem("WELL").state(), "confirmed");
    provider.cut();
    // The attempt that finds the line cut is decided about as all others are.
    assert!(used_up(&gateway, 1) <= 2, "one answer refilled the budget");
    gateway.restart();
    assert!(used_up(&gateway, 2) <= 2, "a restart refilled the budget");
}

#[test]
fn no_crash_each_second_refills_the_outage_budget_and_no_clock_is_needed_for_that() {
    let provider = Provider::start();
    let mut gateway = Store::Checks.gateway(&provider, "400ms", "max_outage = \"6s\"");
    cut(&provider, &gateway, &gateway.till("till-1"));
    let mut turn = 0;
    eventually("the budget is used", || {
        moment(Duration::from_secs(1));
        gateway.restart();
        turn += 1;
        let reply = gateway.till("till-1").redeem(&format!("CRASH-{turn}"));
        (reply.status == 503).then_some(())
    });
    assert!(turn > 2, "the first seconds are within it");
}

#[test]
fn an_outage_that_goes_on_over_a_restart_has_begun_before_it() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    provider.cut();
    assert_eq!(gateway.till("").redeem("FIRST").state(), "pending");
    gateway.wait_for_link("main", "down");
    let since = |gateway: &Gateway| {
        let lane = gateway.status()["lanes"][0].clone();
        humantime::parse_rfc3339(lane["since"].as_str().unwrap()).unwrap()
    };
    let began = since(&gateway);
    until("three seconds of it are used", || {
        let used = &gateway.status()["lanes"][0]["headroom"]["max_outage"]["used"];
        used.as_u64() >= Some(3)
    });
    assert!(gateway.terminate().success());
    gateway.start();
    gateway.wait_for_link("main", "down");
    // Whole seconds are shown, and the time between the two processes may not count.
    let later = since(&gateway).duration_since(began).unwrap_or_default();
    assert!(later <= Duration::from_secs(2), "it began {later:?} later");
}

/// How a provider may be dead for everybody.
const DEAD: [&str; 6] =
    ["500", "hang-before-taking", "reset-before-taking", "close-after-headers", "404-html", "503"];

#[test]
fn a_provider_that_answers_nobody_is_stood_in_for_once_the_own_check_is_silent_too() {
    at_once(DEAD.len(), |n| {
        let provider = Provider::start();
        let gateway = Store::Checks.gateway(&provider, "1s", "");
        provider.rules(&[&format!("fault={},call=both", DEAD[n])]);
        let reply = gateway.till("till-1").redeem("DEAD-1");
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.state()),
            (200, "{}", "pending"),
            "{}",
            DEAD[n]
        );
        let kept = row(&gateway, &reply.id());
        assert_eq!(
            (&kept["trusted"], &kept["refused_at_till"]),
            (&true.into(), &false.into()),
            "{}: {kept}",
            DEAD[n]
        );
        provider.rules(&[]);
        assert_eq!(gateway.wait_until_drained().confirmed, 1, "{}", DEAD[n]);
    });
}

#[test]
fn without_a_check_another_tills_silence_is_evidence_and_ones_own_is_not() {
    at_once(DEAD.len(), |n| {
        let provider = Provider::start();
        let gateway = Store::TwoTills.gateway(&provider, "1s", "");
        provider.rules(&[&format!("fault={}", DEAD[n])]);
        let alone = redeem_all(&gateway.till("till-1"), "ALONE", 3);
        assert_eq!(given(&alone), 0, "{}: {alone:?}", DEAD[n]);
        let other = gateway.till("till-2").redeem("OTHER");
        assert_eq!((other.status, other.state()), (200, "pending"), "{}: {other:?}", DEAD[n]);
        provider.rules(&[]);
        let books = gateway.wait_until_drained();
        assert_eq!(books.confirmed + books.voided, 4, "{}: {books:?}", DEAD[n]);
        let owed = gateway.list("confirmed").iter().filter(|row| row["owed"] == true).count();
        assert_eq!(owed, 3, "{}: what was refused at its till and taken is owed", DEAD[n]);
    });
}

#[test]
fn a_store_that_accepts_nothing_on_trust_says_so_after_the_wait_and_marks_it() {
    let faults = ["500", "hang-before-taking", "reset-after-taking", "pass,delay=2s,call=both"];
    at_once(faults.len(), |n| {
        let provider = Provider::start();
        let gateway = Store::Checks.gateway(&provider, "500ms", "accept = false");
        let both = if faults[n].contains("call=") { "" } else { ",call=both" };
        provider.rules(&[&format!("fault={}{both}", faults[n])]);
        let reply = gateway.till("till-1").redeem("NEVER");
        assert_eq!(reply.status, 503, "{}: {reply:?}", faults[n]);
        assert!(reply.header("retry-after").is_some() || !reply.refusal().is_empty());
        let kept = row(&gateway, &reply.id());
        assert_eq!(
            (&kept["refused_at_till"], &kept["trusted"]),
            (&true.into(), &false.into()),
            "{}: {kept}",
            faults[n]
        );
    });
}

// M11 and point 10.
#[test]
fn m11_a_provider_slower_than_the_tills_patience_is_shown_with_its_times() {
    let provider = Provider::start();
    let gateway = Store::Checks.gateway(&provider, "400ms", "");
    provider.rules(&["fault=pass,delay=800ms,call=both"]);
    let replies = at_once(24, |n| gateway.till(TILLS[n % 3]).redeem(&format!("LATE-{n}")));
    assert_eq!(given(&replies), 24, "{replies:?}");
    assert!(replies.iter().all(|reply| reply.state() == "pending"), "{replies:?}");
    let answers = eventually("the answers' times are told", || {
        Some(gateway.lane("main")["answers"].clone()).filter(|answers| answers["of"] == 24)
    });
    assert_eq!(answers["late"], 24, "{answers}");
    for name in ["p50_ms", "p95_ms"] {
        assert!(answers[name].as_u64().is_some_and(|ms| (700..3000).contains(&ms)), "{answers}");
    }
    assert_eq!(gateway.wait_until_drained().confirmed, 24);
}

#[test]
fn an_acceptance_after_a_wait_is_under_the_limits() {
    let provider = Provider::start();
    let gateway = Store::Checks.gateway(&provider, "500ms", "max_pending_per_till = 3");
    provider.rules(&["fault=hang-before-taking,call=both"]);
    let replies = redeem_all(&gateway.till("till-1"), "LIMIT", 8);
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(given(&replies) <= 3 && refused.len() >= 5, "{replies:?}");
    let trusted = gateway.list("").iter().filter(|row| row["trusted"] == true).count();
    assert_eq!(trusted, given(&replies));
}

/// A firewall that answers with a page and 200, whatever it is asked, where one of these is in the
/// code.
fn a_wall(provider: &Provider, more: &[&str]) {
    let wall = ["fault=html-200,call=both,code=*<*", "fault=html-200,call=both,code=*;*"];
    provider.rules(&[&wall[..], more].concat());
}

#[test]
fn what_a_firewall_says_no_to_in_a_200_never_gets_into_the_gateways_own_check() {
    let provider = Provider::start();
    let gateway = Store::Checks.gateway(&provider, "700ms", "");
    a_wall(&provider, &["fault=refuse,code=INV-*"]);
    let till = gateway.till("till-1");
    for code in [
        "ABCD1234<script>",
        "<img src=x>12345678",
        "1234567890;--",
        "x' or 1=1;12345678",
        "ABCD-EFGH-<1>",
    ] {
        // Once for the check to learn from, once to be given by what it has learnt.
        let replies = [till.redeem(code), till.redeem(&format!("{code}9"))];
        assert_eq!(given(&replies), 0, "{code}: {replies:?}");
        assert_eq!(till.redeem(&format!("INV-{}", code.len())).status, 400, "{code}");
    }
    assert_eq!(till.redeem("GOOD-12345678").state(), "confirmed");
}

/// What a code may do to a provider so that it is not answered.
const ALONE: [&str; 7] = [
    "hang-before-taking",
    "reset-before-taking",
    "waf-403",
    "waf-403-html",
    "401",
    "404-html",
    "500",
];

#[test]
fn a_first_and_only_redemption_that_trips_the_provider_makes_the_store_neither_blind_nor_open() {
    at_once(ALONE.len(), |n| {
        let (fault, provider) = (ALONE[n], Provider::start());
        let gateway = Store::TwoTills.gateway(&provider, "700ms", "");
        let trips = format!("fault={fault},code=TRIP-*");
        provider.rules(&[&trips, "fault=refuse,code=INV-*"]);
        let (till, other) = (gateway.till("till-1"), gateway.till("till-2"));
        let first = till.redeem("TRIP-0");
        assert_eq!(first.status, 503, "{fault}: {first:?}");
        // A 401 or 403 took nothing for certain: there is nothing left to ask about.
        let stays = !matches!(fault, "waf-403" | "401");
        assert_eq!(first.state(), if stays { "pending" } else { "voided" }, "{fault}");
        let asked = || (!stays || provider.requests_for("TRIP-0").len() >= 5).then_some(());
        eventually(&format!("{fault}: the drain has tried it by itself"), asked);
        assert_ne!(gateway.lane("main")["trust"], "at_once", "{fault}");
        let more = redeem_all(&till, "TRIP", 4);
        assert_eq!(given(&more), 0, "{fault}: it opens nothing: {more:?}");
        let turn = AtomicU32::new(0);
        let good = || {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            for (name, asker) in [("other", &other), ("own", &till)] {
                let good = asker.redeem(&format!("GOOD-{name}-{turn}"));
                assert_eq!(good.state(), "confirmed", "{fault}: {name} is not blind: {good:?}");
            }
            (turn > 3 && gateway.lane("main")["link"] == "up").then_some(())
        };
        eventually(&format!("{fault}: the lane is up, with those rows in it"), good);
        let invented = redeem_all(&other, "INV", 6);
        assert_eq!(given(&invented), 0, "{fault}: {invented:?}");
        provider.rules(&[]);
        gateway.wait_until_drained();
        if stays {
            assert_eq!(row(&gateway, &first.id())["state"], "confirmed", "{fault}");
            let owed = [other.order(&later("TRIP-0", 1)), other.order(&later("TRIP-0", 2))];
            assert_eq!(given(&owed), 1, "{fault}: what was taken is owed once: {owed:?}");
        }
    });
}

#[test]
fn a_refusal_of_a_redemption_whose_reply_was_lost_is_never_relayed_as_final() {
    let refusals = [
        "fault=refuse,message=Unknown merchant",
        "fault=refuse,status=404,message=Reward not found",
        "fault=refuse,status=422,message=انتهت الصلاحية",
        "fault=kong-404",
        "fault=used-fr",
        "fault=in-progress",
    ];
    at_once(refusals.len(), |n| {
        let (refusal, provider) = (refusals[n], Provider::start());
        let gateway = Store::Checks.gateway(&provider, "900ms", "");
        let lost = "fault=reset-after-taking,attempt=1,code=LOST";
        provider.rules(&[lost, &format!("{refusal},code=LOST")]);
        let till = gateway.till("till-1");
        let reply = till.redeem("LOST");
        assert_eq!(reply.status, 503, "{refusal}: {reply:?}");
        assert!(matches!(reply.state(), "pending" | "parked"), "{refusal}: {reply:?}");
        assert!(provider.requests_for("LOST").len() > 1, "{refusal}: its own retry was refused");
        provider.rules(&[]);
        // What is refused too often in words unknown is a person's, and never declined.
        let ends = || {
            let state = row(&gateway, &reply.id())["state"].as_str().unwrap().to_owned();
            (state != "pending").then_some(state)
        };
        let state = eventually(&format!("{refusal}: it is settled"), ends);
        assert!(matches!(state.as_str(), "confirmed" | "parked"), "{refusal}: {state}");
    });
}

#[test]
fn a_certificate_that_cannot_be_verified_leaves_a_tenth_of_each_limit_and_an_error_in_the_log() {
    let kinds = ["self-signed", "wrong-host", "expired"];
    at_once(kinds.len(), |n| {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let provider = Provider::tls(kinds[n], &ca, &[]);
        let lane = format!("timeout = \"1s\"\nca_file = \"{}\"", ca.display());
        let mut gateway = quick("900ms", &TILLS)
            .offline("max_pending = 30\nmax_pending_per_till = 30")
            .lane("main", &provider, &lane)
            .start();
        let replies: Vec<Reply> =
            (0..9).map(|n| gateway.till(TILLS[n % 3]).redeem(&format!("TLS-{n}"))).collect();
        assert_eq!(given(&replies), 3, "{}: {replies:?}", kinds[n]);
        let cause = gateway.lane("main")["cause"].as_str().unwrap().to_owned();
        assert!(matches!(cause.as_str(), "tls" | "clock"), "{}: {cause}", kinds[n]);
        let log = gateway.log();
        let told = log.lines().any(|line| line.contains("ERROR") && line.contains("main"));
        assert!(told, "{}: {log}", kinds[n]);
    });
}
