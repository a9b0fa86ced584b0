//! What goes wrong at the till: one test or more for each row T1 to T12.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Gateway, Order, Provider, Reply, at_once, eventually, until};

/// A gateway with two tills before a provider whose line is cut, and known to be.
fn offline() -> (Provider, Gateway) {
    let provider = Provider::start();
    let gateway = two_tills(&provider);
    provider.cut();
    gateway.till("till-1").redeem("THE-FIRST-IN-THE-OUTAGE");
    gateway.wait_for_link("main", "down");
    (provider, gateway)
}

fn two_tills(provider: &Provider) -> Gateway {
    Gateway::with()
        .lane("main", provider, "")
        .till("till-1", "token-1")
        .till("till-2", "token-2")
        .start()
}

/// Takes a redemption back; one whose probe is on the wire at this moment a moment later.
fn void(gateway: &Gateway, till: &str, id: &str) -> Reply {
    let till = gateway.till(till);
    eventually("the redemption is voided", || {
        Some(till.void(id)).filter(|reply| reply.status == 200)
    })
}

mod t1 {
    use super::*;

    #[test]
    fn the_same_request_again_gets_the_same_id_and_makes_no_second_row() {
        let (provider, mut gateway) = offline();
        let first = gateway.till("till-1").redeem("T1");
        let again = gateway.till("till-1").redeem("T1");
        assert_eq!((first.status, again.status, first.id()), (200, 200, again.id()));
        gateway.restart();
        let after_a_restart = gateway.till("till-1").redeem("T1");
        assert_eq!((after_a_restart.status, after_a_restart.id()), (200, first.id()));
        assert_eq!(gateway.counts().accepted, 2);

        provider.restore();
        gateway.wait_until_drained();
        let confirmed = gateway.till("till-1").redeem("T1");
        assert_eq!(
            (confirmed.status, confirmed.state(), confirmed.id()),
            (200, "confirmed", first.id())
        );
        assert_eq!(provider.requests_for("T1").iter().filter(|request| request.took).count(), 1);
        provider.assert_one_key_each();
    }

    #[test]
    fn the_same_request_at_the_same_moment_is_one_redemption() {
        let (_provider, gateway) = offline();
        let till = gateway.till("till-1");
        let replies = at_once(8, |_| till.redeem("T1"));
        for reply in &replies {
            assert_eq!((reply.status, reply.id()), (200, replies[0].id()));
        }
        assert_eq!(gateway.counts().accepted, 2);
    }

    #[test]
    fn while_the_line_is_up_a_double_tap_shares_the_providers_one_answer() {
        let provider = Provider::with(&["--delay", "100ms"]);
        let gateway = two_tills(&provider);
        let till = gateway.till("till-1");
        let replies = at_once(4, |_| till.redeem("T1"));
        for reply in &replies {
            assert_eq!(
                (reply.status, reply.state(), reply.id()),
                (200, "confirmed", replies[0].id())
            );
        }
        assert_eq!(provider.requests_for("T1").len(), 1);
    }

    #[test]
    fn a_declined_redemptions_repeat_gets_the_providers_stored_refusal() {
        let provider = Provider::start();
        let mut gateway = two_tills(&provider);
        provider.rules(&["fault=refuse,message=not today"]);
        let first = gateway.till("till-1").redeem("T1");
        gateway.restart();
        let again = gateway.till("till-1").redeem("T1");
        assert_eq!((first.status, &first.body), (400, &again.body));
        assert_eq!((again.status, again.state(), again.id()), (400, "declined", first.id()));
        assert_eq!(provider.requests_for("T1").len(), 1);
    }
}

#[test]
fn t2_one_code_at_two_tills_while_the_line_is_down_is_refused_with_when_and_where() {
    let (_provider, gateway) = offline();
    assert_eq!(
        gateway.till("till-1").order(&Order::new("T2").with("date", "2026-11-23 09:58:07")).status,
        200
    );
    let second =
        gateway.till("till-2").order(&Order::new("T2").with("date", "2026-11-23 10:30:00"));
    assert_eq!(second.status, 400);
    let words = second.refusal();
    for needed in ["has been used", "till-1", "09:58"] {
        assert!(words.contains(needed), "{needed:?} is not in {words:?}");
    }
    assert_eq!(gateway.counts().accepted, 2);
}

#[test]
fn t2_one_code_at_two_tills_at_the_same_moment_passes_at_one() {
    let (_provider, gateway) = offline();
    let tills = [gateway.till("till-1"), gateway.till("till-2")];
    for round in 0..10 {
        let code = format!("T2-{round}");
        let mut statuses = at_once(2, |n| {
            tills[n].order(&Order::new(&code).with("timestamp", n.to_string())).status
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{code}");
    }
}

#[test]
fn t3_the_same_key_with_another_body_is_422_and_stores_nothing() {
    let (_provider, gateway) = offline();
    let till = gateway.till("till-1");
    let first = till.order(&Order::new("T3-A").key("sale-1"));
    let other = till.order(&Order::new("T3-B").key("sale-1"));
    assert_eq!((first.status, other.status), (200, 422));
    other.refusal();
    let again = till.order(&Order::new("T3-A").key("sale-1"));
    assert_eq!((again.status, again.id()), (200, first.id()));
    assert_eq!(gateway.counts().accepted, 2);
    let of_another_till = gateway.till("till-2").order(&Order::new("T3-C").key("sale-1"));
    assert_eq!(of_another_till.status, 200, "keys are each till's own");
}

#[test]
fn t4_a_code_whose_earlier_redemption_was_declined_is_a_new_one() {
    let provider = Provider::start();
    let gateway = two_tills(&provider);
    provider.rules(&["fault=refuse,count=1"]);
    let declined = gateway.till("till-1").redeem("T4");
    assert_eq!((declined.status, declined.state()), (400, "declined"));
    let anew = gateway.till("till-1").order(&Order::new("T4").with("timestamp", "2"));
    assert_eq!((anew.status, anew.state()), (200, "confirmed"));
    assert_ne!(anew.id(), declined.id());
    let books = gateway.counts();
    assert_eq!((books.declined, books.confirmed), (1, 1));
}

#[test]
fn t4_what_the_provider_refused_is_refused_in_its_words_while_the_line_is_down() {
    let provider = Provider::start();
    let gateway = two_tills(&provider);
    provider.rules(&["fault=refuse,message=Reward {code} has expired,code=T4"]);
    let declined = gateway.till("till-1").redeem("T4");
    assert_eq!((declined.status, declined.state()), (400, "declined"));
    provider.cut();
    gateway.till("till-1").redeem("THE-FIRST-IN-THE-OUTAGE");
    gateway.wait_for_link("main", "down");
    for (till, timestamp) in [("till-1", "2"), ("till-2", "3")] {
        let refused = gateway.till(till).order(&Order::new("T4").with("timestamp", timestamp));
        assert_eq!((refused.status, &refused.body), (400, &declined.body), "{till}");
        let is_its_own = till == "till-1";
        assert_eq!(refused.header("redeemd-id").is_some(), is_its_own, "{till}: {refused:?}");
    }
    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.declined, books.confirmed), (1, 1));
}

#[test]
fn t4_a_code_that_its_till_took_back_is_its_own_to_take_again_and_no_others_while_the_line_is_down()
{
    let (provider, gateway) = offline();
    let first = gateway.till("till-1").redeem("T4");
    assert_eq!(first.status, 200);
    void(&gateway, "till-1", &first.id());
    let again = gateway.till("till-1").redeem("T4");
    assert_eq!(
        again.status, 409,
        "the same request as the voided one is no new redemption: {again:?}"
    );
    let other = gateway.till("till-2").redeem("T4");
    assert!(
        other.status == 400 && other.refusal().contains("has been used"),
        "the reward may be given: {other:?}"
    );
    let anew = gateway.till("till-1").order(&Order::new("T4").with("timestamp", "2"));
    assert_eq!(anew.status, 200);
    assert_ne!(anew.id(), first.id());
    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.voided, books.confirmed), (1, 2));
    assert_eq!(provider.requests_for("T4").len(), 1);
}

mod t5 {
    use super::*;

    const GOOD: &str =
        r#""business_refrence":"B","branch_id":"1","date":"2026-11-23 10:00:00","timestamp":"1""#;

    #[test]
    fn every_malformed_request_is_refused_in_the_contracts_shape_and_nothing_is_stored() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        let long = format!("{{\"reward_code\":\"{}\",{GOOD}}}", "x".repeat(257));
        let huge = format!("{{\"reward_code\":\"A\",\"pad\":\"{}\",{GOOD}}}", "x".repeat(200_000));
        let table: [(&str, &[u8], u16, &str); 18] = [
            ("malformed", b"{\"reward_code\":", 400, ""),
            ("an array", b"[]", 400, ""),
            (
                "duplicate keys",
                &with("\"reward_code\":\"A\",\"reward_code\":\"B\""),
                400,
                "reward_code",
            ),
            ("missing", &with("\"x\":\"y\""), 400, "reward_code"),
            ("empty", &with("\"reward_code\":\"\""), 400, "reward_code"),
            ("blank", &with("\"reward_code\":\" \\u00a0\""), 400, "reward_code"),
            ("nothing to see", &with("\"reward_code\":\"\\u200f\\u200b\""), 400, "reward_code"),
            ("half a character", &with("\"reward_code\":\"A\\ud800\""), 400, "reward_code"),
            ("a twin", &with("\"reward_code\":\"A\",\"Reward_Code\":\"B\""), 400, "reward_code"),
            ("a number", &with("\"reward_code\":7"), 400, "reward_code"),
            ("null", &with("\"reward_code\":null"), 400, "reward_code"),
            ("half a character in a name", &with("\"reward_code\":\"A\",\"x\\ud800\":1"), 400, ""),
            ("a control character", &with("\"reward_code\":\"a\\u0000b\""), 400, "reward_code"),
            (
                "both spellings",
                &with("\"reward_code\":\"A\",\"business_reference\":\"B\""),
                400,
                "business_refer",
            ),
            ("over-long", long.as_bytes(), 400, "reward_code"),
            (
                "not UTF-8",
                &[b"{\"reward_code\":\"\xff\",", GOOD.as_bytes(), b"}"].concat(),
                400,
                "",
            ),
            ("too large", huge.as_bytes(), 413, ""),
            ("nothing at all", b" ", 400, ""),
        ];
        for (what, body, status, names) in table {
            let reply = gateway.till("till-1").send("POST", "/redeem", &[], body);
            assert_eq!(reply.status, status, "{what}: {reply:?}");
            assert!(reply.refusal().contains(names), "{what}: {reply:?}");
        }
        let plain = [("content-type", "text/plain")];
        let reply =
            gateway.till("till-1").send("POST", "/redeem", &plain, &with("\"reward_code\":\"A\""));
        assert_eq!(reply.status, 415, "{reply:?}");
        reply.refusal();
        assert_eq!((gateway.counts().accepted, provider.requests().len()), (0, 0));
    }

    #[test]
    fn what_the_gateway_need_not_read_is_forwarded_as_it_came() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        for (n, further) in
            [r#""x":1e400"#, r#""x":"\ud800""#, r#""x":[-1E+999,"\udc00"]"#].into_iter().enumerate()
        {
            let body = with(&format!("\"reward_code\":\"ODD-{n}\",{further}"));
            let reply = gateway.till("till-1").send("POST", "/redeem", &[], &body);
            assert_eq!(reply.status, 200, "{further}: {reply:?}");
            let sent = provider.requests_for(&format!("ODD-{n}"));
            assert_eq!(sent[0].body.as_deref().map(str::as_bytes), Some(&body[..]), "{further}");
        }
    }

    fn with(fields: &str) -> Vec<u8> {
        format!("{{{fields},{GOOD}}}").into_bytes()
    }

    #[test]
    fn all_faults_of_a_request_are_named_at_once() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        let body = br#"{"reward_code":"","branch_id":7,"date":"2026-11-23 10:00:00"}"#;
        let words = gateway.till("till-1").send("POST", "/redeem", &[], body).refusal();
        for field in ["reward_code", "business_refrence", "branch_id", "timestamp"] {
            assert!(words.contains(field), "{field} is not in {words:?}");
        }
        assert!(!words.contains("date "), "{words:?}");
    }

    /// A connection whose request goes on and on, and what it was told.
    struct Slow {
        stream: std::net::TcpStream,
        drip: &'static [u8],
        told: Vec<u8>,
    }

    impl Slow {
        /// Half of them are in their header, half in their body.
        fn start(gateway: &Gateway, number: usize) -> Self {
            let mut head = "POST /redeem HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \
                token-1\r\ncontent-type: application/json\r\n"
                .to_owned();
            let (more, drip): (_, &[u8]) = match number % 2 {
                0 => ("transfer-encoding: chunked\r\n\r\n1\r\n{\r\n", b"1\r\n \r\n"),
                _ => ("x-more: ", b"y"),
            };
            head += more;
            let mut stream = gateway.till("till-1").connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            Self { stream, drip, told: Vec::new() }
        }

        /// Reads what there is and goes on with its request; whether it was ended.
        fn is_ended(&mut self) -> bool {
            let mut some = [0; 4096];
            match self.stream.read(&mut some) {
                Ok(0) => return true,
                Ok(read) => self.told.extend(&some[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
            // Nobody may be there any more: what it was told is read all the same.
            self.stream.write_all(self.drip).unwrap_or_default();
            false
        }
    }

    #[test]
    fn a_body_that_never_ends_and_headers_that_trickle_hold_up_nobody_and_are_ended() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        let mut slow: Vec<_> = (0..20).map(|number| Slow::start(&gateway, number)).collect();
        assert_eq!(gateway.till("till-2").redeem("T5").status, 200);
        until("the slow ones are ended although they go on", || {
            let going = slow.iter_mut().map(Slow::is_ended).filter(|ended| !ended).count();
            going == 0
        });
        for one in &slow {
            let told = String::from_utf8_lossy(&one.told);
            let (head, body) = told.split_once("\r\n\r\n").unwrap_or_default();
            assert!(head.starts_with("HTTP/1.1 408 "), "{told}");
            Reply { status: 408, headers: BTreeMap::new(), body: body.to_owned() }.refusal();
        }
        assert_eq!(gateway.counts().accepted, 1);
    }
}

#[test]
fn t6_an_unknown_or_missing_token_is_401_and_a_changed_one_without_a_reload() {
    let provider = Provider::start();
    let gateway = two_tills(&provider);
    for token in [None, Some("token-3"), Some("token-1x"), Some("")] {
        let reply = gateway.stranger(token).redeem("T6");
        assert_eq!(reply.status, 401, "{token:?}");
        reply.refusal();
    }
    let old = gateway.till("till-1");
    assert_eq!(old.redeem("T6").status, 200);
    // The file alone is looked at, for a connection that is open as well.
    gateway.write_token("till-1", "token-new");
    let refused = || Some(old.redeem("T6")).filter(|reply| reply.status == 401);
    eventually("the old token is refused", refused);
    assert_eq!(gateway.stranger(Some("token-new")).redeem("T6").status, 200);
    assert_eq!(gateway.counts().accepted, 1);
}

#[test]
fn t6_a_token_that_cannot_be_read_is_told_and_keeps_its_till_in_over_a_reload() {
    let provider = Provider::start();
    let mut gateway = two_tills(&provider);
    let (file, elsewhere) =
        (gateway.folder().join("till-1.token"), gateway.folder().join("elsewhere"));
    std::fs::rename(&file, &elsewhere).unwrap();
    std::fs::write(gateway.folder().join("till-2.token"), "").unwrap();
    gateway.reload();
    until("it is read", || gateway.log().contains("the settings were read again"));
    for till in ["till-1", "till-2"] {
        assert_eq!(gateway.till(till).redeem(&format!("T6-{till}")).status, 200);
    }
    for till in ["till-1", "till-2"] {
        until("the log names it", || {
            let log = gateway.log();
            let mut unread = log.lines().filter(|line| line.contains("token cannot be read"));
            unread.any(|line| line.contains(till))
        });
    }
    let needs = || gateway.status()["needs"].to_string();
    let told = "the token of till till-1 cannot be read: the one before it holds";
    assert!(needs().contains(told) && needs().contains("till-2"), "{}", needs());
    let said = gateway.command(&["status"]).out;
    assert!(said.contains("the token of till-1 cannot be read"), "{said}");
    std::fs::rename(&elsewhere, &file).unwrap();
    until("its file is read again", || !needs().contains("till-1"));
}

#[test]
fn t6_a_till_that_is_taken_out_of_the_settings_is_401_after_the_reload() {
    let provider = Provider::start();
    let mut gateway = two_tills(&provider);
    let (stays, goes) = (gateway.till("till-1"), gateway.till("till-2"));
    assert_eq!(goes.redeem("T6").status, 200);
    gateway.remove_till("till-2");
    gateway.reload();
    let refused = || Some(goes.redeem("T6")).filter(|reply| reply.status == 401);
    eventually("its token is nobody's", refused);
    assert_eq!(stays.redeem("T6-STAYS").status, 200);
    assert_eq!(gateway.counts().accepted, 2);
}

#[test]
fn t6_a_till_that_is_bound_redeems_and_checks_for_its_own_business_and_branch_alone() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "").till("till-1", "token-1");
    let token = builder.folder().join("bound.token");
    std::fs::write(&token, "token-bound").unwrap();
    let gateway = builder
        .more(&format!(
            "[[intake.till]]\nname = \"bound\"\ntoken_file = \"{}\"\nbusinesses = \
             [\"b-1\"]\nbranches = [\"7\"]",
            token.display()
        ))
        .start();
    let bound = gateway.stranger(Some("token-bound"));
    assert_eq!(bound.redeem("T6-OWN").status, 200);
    for (field, value) in [("business_refrence", "B-2"), ("branch_id", "8")] {
        let refused = bound.order(&Order::new("T6-OTHER").with(field, value));
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.refusal().contains(&format!("not set up for this {field}")), "{refused:?}");
        assert_eq!(
            gateway.till("till-1").order(&Order::new(value).with(field, value)).status,
            200,
            "an unbound one"
        );
    }
    let elsewhere = br#"{"reward_code":"T6-OTHER","business_refrence":"B-2"}"#;
    assert_eq!(bound.send("POST", "/check", &[], elsewhere).status, 400);
    assert_eq!((gateway.counts().accepted, provider.requests_for("T6-OTHER").len()), (3, 0));
}

#[test]
fn t6_who_guesses_tokens_is_named_in_the_log_and_the_till_at_the_same_address_is_served() {
    let provider = Provider::start();
    let mut gateway = two_tills(&provider);
    let mut took = Duration::ZERO;
    for guess in 0..24 {
        let asked = Instant::now();
        let refused = gateway.stranger(Some(&format!("guess-{guess}"))).redeem("T6");
        took = asked.elapsed();
        assert_eq!(
            (refused.status, refused.header("connection")),
            (401, Some("close")),
            "{refused:?}"
        );
    }
    assert!(took >= Duration::from_millis(200), "the fourth after twenty came after {took:?}");
    assert_eq!(gateway.till("till-1").redeem("T6").status, 200);
    let named = "127.0.0.1 has asked 10 times without a token of a till";
    until("the guesser is named", || gateway.log().contains(named));
    assert!(!gateway.log().contains("guess-"), "a guess may be nearly a token");
}

#[test]
fn m10_a_date_that_cannot_be_is_refused_by_its_name_while_the_provider_cannot_be_asked() {
    let (_provider, gateway) = offline();
    for date in ["2026-02-30 10:00:00", "yesterday", "2026-11-23 25:00:00", ""] {
        let refused = gateway.till("till-1").order(&Order::new("M10").with("date", date));
        assert_eq!(refused.status, 400, "{date}: {refused:?}");
        assert!(refused.refusal().contains("date"), "{date}: {refused:?}");
    }
    assert_eq!(gateway.counts().accepted, 1);
    assert_eq!(gateway.till("till-1").redeem("M10").status, 200);
}

#[test]
fn t7_a_till_that_floods_is_told_to_wait_and_the_other_keeps_its_share() {
    let provider = Provider::start();
    provider.rules(&["fault=hang-before-taking,call=both"]);
    let gateway = Gateway::with()
        .lane("main", &provider, "timeout = \"10s\"")
        .intake("reply_within = \"3s\"")
        .till("till-1", "token-1")
        .till("till-2", "token-2")
        .start();
    let (flood, other) = (gateway.till("till-1"), gateway.till("till-2"));
    // All come at once and from one address, as through a store's NAT.
    let replies = at_once(201, |n| {
        if n == 200 { other.redeem("T7-OTHER") } else { flood.redeem(&format!("T7-{n}")) }
    });
    let (other, floods) = replies.split_last().unwrap();
    assert_eq!(other.status, 200, "{other:?}");
    let refused: Vec<_> = floods.iter().filter(|reply| reply.status != 200).collect();
    assert!(!refused.is_empty(), "two hundred at once are under no bound");
    for reply in refused.iter().copied() {
        let wait = reply.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(reply.status == 503 && wait.is_some(), "{reply:?}");
        reply.refusal();
    }
    let books = gateway.counts();
    assert_eq!(
        books.accepted - books.voided,
        201 - refused.len() as u64,
        "what is refused was not sent: {books:?}"
    );
}

#[test]
fn t8_a_sale_that_is_cancelled_before_the_line_is_back_is_never_sent() {
    let (provider, gateway) = offline();
    let id = gateway.till("till-1").redeem("T8").id();
    assert_eq!(gateway.till("till-2").void(&id).status, 404, "it is another till's");
    let voided = void(&gateway, "till-1", &id);
    assert_eq!(voided.json()["state"], "voided");
    assert_eq!(gateway.till("till-1").void(&id).status, 200, "voided already");
    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.voided, books.confirmed), (1, 1));
    assert_eq!(provider.requests_for("T8").len(), 0);
}

#[test]
fn t8_a_cancellation_that_is_too_late_is_409_and_says_so() {
    let provider = Provider::start();
    let gateway = two_tills(&provider);
    let id = gateway.till("till-1").redeem("T8").id();
    let late = gateway.till("till-1").void(&id);
    assert_eq!(late.status, 409);
    late.refusal();
    let receipt = gateway.till("till-1").receipt(&id);
    assert_eq!((receipt.status, &receipt.json()["state"]), (200, &Value::from("confirmed")));
    assert!(!receipt.body.contains("\"T8\""), "the receipt shows the whole code: {receipt:?}");
    assert_eq!(gateway.till("till-2").receipt(&id).status, 404);
}

#[test]
fn t9_a_till_that_hangs_up_has_redeemed_and_its_repeat_gets_the_same_answer() {
    let provider = Provider::with(&["--delay", "300ms"]);
    let gateway = two_tills(&provider);
    let till = gateway.till("till-1");
    let mut stream = till.connect();
    stream.write_all(&till.bytes_of(&Order::new("T9"))).unwrap();
    drop(stream);
    gateway.wait_for_counts("the redemption", |counts| counts.accepted == 1);
    let repeat = till.redeem("T9");
    assert_eq!((repeat.status, repeat.state()), (200, "confirmed"));
    let rows = gateway.list("");
    assert_eq!((rows.len(), rows[0]["id"].as_str()), (1, Some(repeat.id().as_str())));
    assert_eq!(provider.requests_for("T9").len(), 1);
}

mod t10 {
    use super::*;

    const ACCEPTS_NOTHING: &str = "the provider has not answered, and this store gives nothing \
        without its answer; do not hand out the reward; ask again later";

    fn limited(offline: &str) -> (Provider, Gateway) {
        let provider = Provider::start();
        let gateway = Gateway::with().lane("main", &provider, "").offline(offline).start();
        provider.cut();
        (provider, gateway)
    }

    #[test]
    fn beyond_the_pending_limit_the_till_is_told_503_and_which_limit() {
        let (provider, gateway) = limited("max_pending = 3");
        let till = gateway.till("");
        assert_eq!(till.redeem("T10-0").status, 200);
        gateway.wait_for_link("main", "down");
        assert_eq!([1, 2].map(|n| till.redeem(&format!("T10-{n}")).status), [200, 200]);
        let fourth = till.redeem("T10-3");
        assert_eq!(fourth.status, 503);
        assert!(fourth.refusal().contains('3'), "{fourth:?}");
        assert_eq!(till.redeem("T10-1").status, 200, "a repeat is no new redemption");
        provider.restore();
        gateway.wait_until_drained();
        assert_eq!(till.redeem("T10-3").status, 200);
    }

    #[test]
    fn beyond_the_outage_limit_the_till_is_told_503_and_which_limit() {
        let (_provider, gateway) = limited("max_outage = \"1s\"");
        let till = gateway.till("");
        assert_eq!(till.redeem("T10").status, 200);
        let mut n = 0;
        let refused = eventually("the outage is too long", || {
            n += 1;
            Some(till.redeem(&format!("T10-{n}"))).filter(|reply| reply.status != 200)
        });
        assert_eq!(refused.status, 503);
        assert!(refused.refusal().contains("1 second"), "{refused:?}");
    }

    #[test]
    fn a_store_that_accepts_nothing_offline_says_so() {
        let (_provider, gateway) = limited("accept = false");
        let till = gateway.till("");
        for (code, when) in
            [("T10", "the lane was up when it came"), ("T10-1", "it is known to be down")]
        {
            let refused = till.redeem(code);
            assert_eq!(refused.status, 503, "{when}");
            assert_eq!(refused.refusal().trim_end(), ACCEPTS_NOTHING, "{when}");
            gateway.wait_for_link("main", "down");
        }
        let books = gateway.counts();
        assert_eq!(
            (books.accepted - books.voided, books.pending),
            (0, 0),
            "no byte left: {books:?}"
        );
    }

    #[test]
    fn a_store_that_gives_nothing_without_an_answer_does_not_say_that_the_line_is_down() {
        for fault in ["500", "401"] {
            let provider = Provider::start();
            let gateway =
                Gateway::with().lane("main", &provider, "").offline("accept = false").start();
            provider.rules(&[&format!("fault={fault},call=both")]);
            let refused = gateway.till("").redeem("T10");
            assert_eq!((refused.status, refused.refusal().trim_end()), (503, ACCEPTS_NOTHING));
        }
    }
}

mod t11 {
    use super::*;

    #[test]
    fn a_confirmed_code_again_while_the_cut_line_still_seems_up_is_never_accepted() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        assert_eq!(gateway.till("till-1").redeem("T11").state(), "confirmed");
        provider.cut();
        let again = gateway.till("till-2").redeem("T11");
        assert!([400, 503].contains(&again.status), "{again:?}");
        again.refusal();
    }

    #[test]
    fn a_confirmed_code_again_just_after_start_without_a_line_is_never_accepted() {
        let provider = Provider::start();
        let mut gateway = two_tills(&provider);
        assert_eq!(gateway.till("till-1").redeem("T11").state(), "confirmed");
        provider.cut();
        gateway.restart();
        let again = gateway.till("till-2").redeem("T11");
        assert_eq!(again.status, 400, "{again:?}");
        assert!(again.refusal().contains("has been used"), "{again:?}");
        let books = gateway.wait_until_drained();
        assert_eq!((books.confirmed, books.voided), (1, 1));
    }

    #[test]
    fn when_a_byte_may_have_left_the_till_is_told_503_and_the_providers_word_settles_it() {
        let provider = Provider::start();
        let gateway = Gateway::with()
            .lane("main", &provider, "timeout = \"2s\"")
            .intake("reply_within = \"500ms\"")
            .till("till-1", "token-1")
            .till("till-2", "token-2")
            .start();
        assert_eq!(gateway.till("till-1").redeem("T11").state(), "confirmed");
        provider.rules(&["fault=hang-before-taking"]);
        let again = gateway.till("till-2").redeem("T11");
        assert_eq!(again.status, 503, "{again:?}");
        again.refusal();
        assert_eq!(
            gateway.till("till-2").redeem("T11").status,
            503,
            "its repeat, while nothing is known"
        );
        provider.rules(&[]);
        let books = gateway.wait_until_drained();
        assert_eq!(
            (books.confirmed, books.declined),
            (1, 1),
            "the earlier redemption explains \"already used\""
        );
    }

    #[test]
    fn a_confirmed_code_that_the_provider_gave_back_is_its_to_give_again() {
        let provider = Provider::start();
        let gateway = two_tills(&provider);
        assert_eq!(gateway.till("till-1").redeem("T11").state(), "confirmed");
        let refused = gateway.till("till-2").redeem("T11");
        assert_eq!(
            (refused.status, refused.state()),
            (400, "declined"),
            "the provider's own refusal"
        );
        provider.forget_codes();
        let given = gateway.till("till-2").order(&Order::new("T11").with("timestamp", "2"));
        assert_eq!((given.status, given.state()), (200, "confirmed"));
    }
}

#[test]
fn t12_two_tills_in_the_same_second_with_the_same_five_fields_are_two_redemptions() {
    let (_provider, gateway) = offline();
    let first = gateway.till("till-1").redeem("T12");
    let second = gateway.till("till-2").redeem("T12");
    assert_eq!((first.status, second.status), (200, 400));
    assert!(
        second.refusal().contains("has been used") && second.refusal().contains("till-1"),
        "{second:?}"
    );
    assert_eq!(
        gateway.till("till-1").redeem("T12").id(),
        first.id(),
        "the first till's repeat stays its own"
    );
}
