//! What may be given while nobody can be asked: values, rules, limits, budgets, the switch; through
//! the real binary.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Builder, FakeTime, Gateway, Order, Provider, Reply, Till, at_once, eventually, moment,
    set_clock, skipped, synchronised, until,
};

/// How many tills ask at once.
const TILLS: usize = 64;

fn with_tills(count: usize, offline: &str) -> Builder {
    let builder = Gateway::with().offline(offline);
    (0..count).fold(builder, |builder, n| builder.till(&format!("till-{n}"), &format!("token-{n}")))
}

/// The line is cut, and the gateway knows; the first till has one redemption pending.
fn cut(provider: &Provider, gateway: &Gateway) {
    provider.cut();
    assert_eq!(gateway.till("till-0").redeem("V-NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
}

fn tills(gateway: &Gateway) -> Vec<Till> {
    (0..TILLS).map(|n| gateway.till(&format!("till-{n}"))).collect()
}

/// How many of all tills' codes were given; each refusal says the limit's words.
fn given(tills: &[Till], round: &str, words: &str) -> usize {
    let replies = at_once(tills.len(), |n| {
        [0, 1].map(|code| tills[n].redeem(&format!("V-{round}-{n}-{code}")))
    });
    let refused = |reply: &&Reply| reply.status != 200;
    for reply in replies.iter().flatten().filter(refused) {
        assert!(reply.status == 503 && reply.refusal().contains(words), "{words}: {reply:?}");
    }
    replies.iter().flatten().filter(|reply| reply.status == 200).count()
}

/// The value at risk and lost of the report's line of this lane, which status knows as well.
fn values(gateway: &Gateway) -> [String; 2] {
    let said = gateway.command(&["report", "--json"]).out;
    let line = said
        .lines()
        .find(|line| line.contains(r#""kind":"lane""#))
        .expect("a line of the lane")
        .to_owned();
    let line: Value = serde_json::from_str(&line).unwrap();
    let status = gateway.lane("main");
    let both = [("value_at_risk", "exposure"), ("value_lost", "lost")];
    both.map(|(here, there)| {
        assert_eq!(line[here], status[there], "{line} {status}");
        line[here].as_str().unwrap().to_owned()
    })
}

const RULE: &str = "[[offline.rule]]\nname = \"vouchers\"\ncode = \"V-*\"\n";
/// For all codes but the one by which the cut is noticed.
const LATER: &str = "[[offline.rule]]\nname = \"later\"\ncode = \"V-*-*\"\n";

/// All ask as this one.
fn one_till(gateway: &Gateway) -> Vec<Till> {
    (0..TILLS).map(|_| gateway.till("till-0")).collect()
}

#[test]
fn sixty_four_tills_at_once_never_overrun_a_limit_by_one_over_kills_and_starts() {
    // With the one by which the cut is noticed, each leaves 50.
    for (limit, words) in [
        ("max_pending = 50".to_owned(), "50 redemptions may wait"),
        ("max_exposure = \"1250.00\"".to_owned(), "no more than 1,250.00 may be at risk"),
        ("max_exposure = \"1274.99\"".to_owned(), "no more than 1,274.99 may be at risk"),
        ("max_per_hour = 50".to_owned(), "50 rewards in 1 hour"),
        ("max_per_day = 50".to_owned(), "50 rewards in"),
        (format!("{RULE}max_pending = 50"), "(rule vouchers)"),
        (format!("{RULE}max_exposure = \"1250.00\""), "(rule vouchers)"),
        (format!("{RULE}max_per_hour = 50"), "(rule vouchers)"),
        (format!("{RULE}max_per_day = 50"), "(rule vouchers)"),
    ] {
        never_over(&limit, words, tills, 50);
    }
}

#[test]
fn a_till_that_asks_sixty_four_times_at_once_never_overruns_its_share_by_one_over_kills_and_starts()
{
    for (limit, words) in [
        ("max_pending_per_till = 50", "of this till reached: no more than 50 redemptions may wait"),
        ("max_per_hour_per_till = 50", "of this till reached: no more than 50 rewards in 1 hour"),
    ] {
        never_over(limit, words, one_till, 50);
    }
}

#[test]
fn what_is_worth_too_much_or_forbidden_is_given_to_none_of_sixty_four_tills_over_kills_and_starts()
{
    for (limit, words) in [
        (format!("{LATER}max_value = \"24.99\""), "worth more than 24.99; do not hand out"),
        (format!("{LATER}accept = false"), "is not given without its answer"),
        (format!("{LATER}max_pending = 0"), "no redemptions may wait for the line; do"),
        (format!("{LATER}max_exposure = \"0\""), "no more than 0.00 may be at risk"),
        (format!("{LATER}max_per_hour = 0"), "no rewards in 1 hour"),
    ] {
        never_over(&limit, words, tills, 1);
    }
}

/// However they are asked by these tills, so many are pending in the end.
fn never_over(limit: &str, words: &str, tills: fn(&Gateway) -> Vec<Till>, left: u64) {
    let provider = Provider::start();
    let mut gateway = with_tills(TILLS, limit).lane("main", &provider, "").start();
    cut(&provider, &gateway);
    kill_in_the_middle(&mut gateway, tills);
    gateway.start();
    let more = given(&tills(&gateway), "more", words);
    assert_eq!(gateway.counts().pending, left, "{limit}: {more} after the kill");
    gateway.restart();
    assert_eq!(given(&tills(&gateway), "again", words), 0, "{limit}: over a restart");
    assert_eq!(gateway.counts().pending, left, "{limit}");
}

/// Nothing but the outage's length ends it, however fast the machine is.
const LIMITED_BY_OUTAGE: &str = "max_outage = \"5s\"\nmax_pending = 1000000\n\
    max_per_hour_per_till = 1000000\nmax_exposure = \"100000000\"";

#[test]
fn at_the_end_of_max_outage_none_of_sixty_four_tills_is_given_one_more() {
    let provider = Provider::start();
    let mut gateway = with_tills(TILLS, LIMITED_BY_OUTAGE).lane("main", &provider, "").start();
    cut(&provider, &gateway);
    gateway.restart();
    let tills = tills(&gateway);
    let all = at_once(TILLS, |n| {
        let (mut seen, mut refused) = (Vec::new(), 0);
        for code in 0.. {
            let (sent, reply) = (Instant::now(), tills[n].redeem(&format!("V-{n}-{code}")));
            let is_given = reply.status == 200;
            assert!(
                is_given || reply.refusal().contains("the provider does not answer"),
                "{reply:?}"
            );
            seen.push((sent, Instant::now(), is_given));
            refused += u32::from(!is_given);
            if refused > 2 {
                break;
            }
            moment(Duration::from_millis(20));
        }
        seen
    });
    let all: Vec<_> = all.into_iter().flatten().collect();
    let end = all.iter().filter(|(.., is_given)| !is_given).map(|(_, heard, _)| *heard).min();
    let end = end.expect("the end comes");
    assert!(all.iter().all(|(sent, _, is_given)| !is_given || *sent < end), "one more");
    gateway.restart();
    assert_eq!(given(&self::tills(&gateway), "again", "the provider does not answer"), 0);
}

#[test]
fn the_limits_on_an_outage_are_told_when_their_time_comes_without_any_till_and_once_over_restarts()
{
    let provider = Provider::start();
    let offline = format!("max_outage = \"10s\"\n{RULE}max_outage = \"5s\"");
    let mut gateway = with_tills(1, &offline).lane("main", &provider, "").start();
    cut(&provider, &gateway);
    let told = |gateway: &Gateway| {
        let trail = gateway.operators().send("GET", "/trail", &[], b"").body;
        let times = |used: &str, rule: &str| {
            let whose = format!("the time without the line (max_outage of {rule})");
            trail.split("</tr>").filter(|row| row.contains(used) && row.contains(&whose)).count()
        };
        let (most, all) = ("80 % used: ", "used up: ");
        [(most, "vouchers"), (all, "vouchers"), (most, "offline"), (all, "offline")]
            .map(|(used, rule)| times(used, rule))
    };
    until("each is told", || told(&gateway) == [1; 4]);
    gateway.restart();
    assert_eq!(gateway.till("till-0").redeem("V-LATE").status, 503);
    gateway.wait_for_link("main", "down");
    gateway.wait_for_attempts("main", "connect", 3);
    assert_eq!(told(&gateway), [1; 4]);
}

#[test]
fn rewards_are_given_within_hours_to_the_second_past_midnight_too_and_by_no_clock_that_nobody_set()
{
    let Some(fake) = FakeTime::find() else { return };
    let Some(set) = synchronised() else { return };
    for wrapper in [&set[..], &[]] {
        let provider = Provider::start();
        let builder = with_tills(TILLS, &format!("{LATER}hours = \"18:00-02:00\""));
        set_clock(builder.folder(), "2027-03-01 12:00:00");
        let builder = fake.under(builder).environment("TZ", "UTC").wrapper(wrapper);
        let gateway = builder.lane("main", &provider, "").start();
        cut(&provider, &gateway);
        for (time, is_open) in [
            ("2027-03-01 17:59:59", false),
            ("2027-03-01 18:00:00", true),
            ("2027-03-01 23:59:59", true),
            ("2027-03-02 00:00:00", true),
            ("2027-03-02 01:59:59", true),
            ("2027-03-02 02:00:00", false),
        ] {
            set_clock(gateway.folder(), time);
            let is_set = !wrapper.is_empty();
            let words =
                if is_set { "at this time of the day" } else { "rule later needs the right" };
            let expected = if is_open && is_set { TILLS * 2 } else { 0 };
            assert_eq!(given(&tills(&gateway), time, words), expected, "{time}, set: {is_set}");
        }
    }
}

#[test]
fn readiness_says_where_trust_is_off_and_ends_where_nothing_could_be_given() {
    let provider = Provider::start();
    let gateway = with_tills(1, "max_exposure = \"25.00\"").lane("main", &provider, "").start();
    let ready = || gateway.operators().send("GET", "/readyz", &[], b"");
    gateway.says(&["trust", "off", "--note", "a look"]);
    let off = ready();
    let said = "ready\ntrust is off in lane main\n";
    assert_eq!((off.status, off.body.as_str()), (200, said), "the provider can be asked");
    provider.cut();
    until("nothing can be taken", || {
        gateway.till("till-0").redeem("NOTICED");
        ready().status == 503
    });
    gateway.says(&["trust", "on"]);
    let on = ready();
    assert_eq!((on.status, on.body.as_str()), (200, "ready\n"));
    assert_eq!(gateway.till("till-0").redeem("THE-LAST").status, 200);
    assert_eq!(ready().status, 503, "all that may be at risk is");
}

#[test]
fn beyond_the_hours_nothing_is_promised_and_the_store_is_not_ready() {
    let provider = Provider::start();
    let hour = redeemd::clock::Clock::system().stamp().unix_ms / 3_600_000;
    let hours = format!("hours = \"{:02}:00-{:02}:00\"", (hour + 2) % 24, (hour + 3) % 24);
    let builder = with_tills(1, &hours).environment("TZ", "UTC");
    let gateway = builder.lane("main", &provider, "").start();
    provider.cut();
    until("nothing can be taken", || {
        gateway.till("till-0").redeem("NOTICED");
        gateway.operators().send("GET", "/readyz", &[], b"").status == 503
    });
    let lane = gateway.lane("main");
    assert_eq!((&lane["trust"], &lane["may_give"]), (&"at_once".into(), &0.into()));
    assert!(lane["trust_until"].is_null(), "{lane}");
    let status = gateway.says(&["status"]);
    assert!(status.contains("nothing more may be given now"), "{status}");
    let home = gateway.operators().send("GET", "/", &[], b"").body;
    assert!(home.contains("may be given") && !home.contains("You may give"), "{home}");
}

#[test]
fn what_is_said_of_an_ordinary_code_is_what_it_gets_and_then_that_checked_ones_alone_may_be_given()
{
    let provider = Provider::start();
    let rules = "value_of_unknown = \"20.00\"\n[[offline.rule]]\nname = \"gift cards\"\n\
        code = \"GIFT-*\"\naccept = false\n[[offline.rule]]\nname = \"checked\"\n\
        checked_within = \"1h\"\nmax_exposure = \"1500.00\"\n[[offline.rule]]\n\
        name = \"the rest\"\nmax_exposure = \"100.00\"";
    let gateway = with_tills(1, rules).lane("main", &provider, "").start();
    let till = gateway.till("till-0");
    assert_eq!(till.check("CHECKED").status, 200);
    cut(&provider, &gateway);
    let may_give = || {
        let lane = gateway.lane("main");
        (lane["may_give"].as_u64(), lane["may_give_to"].as_str().map(str::to_owned))
    };
    assert_eq!(may_give(), (Some(4), Some("as_rules_allow".to_owned())));
    let given = (0..9).filter(|n| till.redeem(&format!("V-{n}")).status == 200).count();
    assert_eq!((given, may_give()), (4, (Some(0), Some("checked_alone".to_owned()))));
    let home = gateway.operators().send("GET", "/", &[], b"").body;
    assert!(home.contains("Only a code that a till has checked may be given now"), "{home}");
    let status = gateway.says(&["status"]).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["only a code that a till has checked may be", "rule the rest: 0.00 more may be"] {
        assert!(status.contains(words), "{status}");
    }
    assert_eq!(gateway.operators().send("GET", "/readyz", &[], b"").status, 200);
    assert_eq!(till.redeem("CHECKED").status, 200);
}

/// SIGKILL while all tills ask for as long as they are answered.
fn kill_in_the_middle(gateway: &mut Gateway, tills: fn(&Gateway) -> Vec<Till>) {
    let (tills, answered) = (tills(gateway), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for (n, till) in tills.iter().enumerate() {
            let answered = &answered;
            scope.spawn(move || {
                let ask = |code: usize| till.try_order(&Order::new(&format!("V-first-{n}-{code}")));
                while ask(0).is_ok() && answered.fetch_add(1, Ordering::Relaxed) < 25 {}
            });
        }
        until("some were answered", || answered.load(Ordering::Relaxed) > 10);
        gateway.kill9();
    });
}

#[test]
fn one_till_has_its_own_share_of_an_hour() {
    let provider = Provider::start();
    let mut gateway =
        with_tills(2, "max_per_hour_per_till = 5").lane("main", &provider, "").start();
    cut(&provider, &gateway);
    let till = gateway.till("till-0");
    let replies = at_once(20, |n| till.redeem(&format!("SHARE-{n}")));
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 4);
    let refused = replies.iter().find(|reply| reply.status != 200).unwrap();
    assert!(
        refused
            .refusal()
            .contains("offline limit of this till reached: no more than 5 rewards in 1 hour"),
        "{refused:?}"
    );
    gateway.restart();
    assert_eq!(gateway.till("till-0").redeem("SHARE-LATER").status, 503, "over a restart");
    assert_eq!(gateway.till("till-1").redeem("THE-OTHERS").status, 200);
    let named = json!([{"till": "till-0", "limit": "max_per_hour_per_till"}]);
    assert_eq!(gateway.lane("main")["tills_at_limit"], named);
    let status = gateway.says(&["status"]);
    let expected = "main: tills at their own limit: till-0 (max_per_hour_per_till)";
    assert!(status.contains(expected), "{status}");
}

#[test]
fn a_cut_a_kill_and_a_decline_after_the_fact_end_in_a_report_whose_value_at_risk_and_lost_is_right()
{
    let provider = Provider::start();
    let offline = "value_of_unknown = \"25.00\"\nmax_exposure = \"110.00\"\n[[offline.rule]]\nname \
        = \"gifts\"\n\
                   code = \"GIFT-*\"\nmax_exposure = \"50.00\"\n";
    let mut gateway = with_tills(2, offline).lane("main", &provider, "").start();
    // The sandbox says that it is worth 10.00.
    assert_eq!(gateway.till("till-1").check("KNOWN").status, 200);
    cut(&provider, &gateway);
    let till = gateway.till("till-1");
    let first = till.redeem("GIFT-1");
    assert_eq!(
        first.header("redeemd-headroom").map(|text| text.split(", outage=").next().unwrap()),
        Some("pending=3749, exposure=25.00")
    );
    assert_eq!(till.redeem("GIFT-LOST").status, 200);
    let refused = till.redeem("GIFT-3");
    assert!(
        refused.refusal().contains(
            "no more than 50.00 may be at risk, and this reward would be more; do not hand out \
             the reward; ask again later (rule gifts)"
        ),
        "{refused:?}"
    );
    assert_eq!(till.redeem("KNOWN").status, 200);
    assert_eq!(values(&gateway), ["85.00", "0.00"]);
    gateway.restart();
    assert_eq!(till.redeem("PLAIN").status, 200);
    assert!(till.redeem("PLAIN-2").refusal().contains("no more than 110.00 may be at risk"));
    assert_eq!(values(&gateway), ["110.00", "0.00"]);
    provider.rules(&["fault=used,code=GIFT-LOST"]);
    provider.restore();
    let books = gateway.wait_until_drained();
    assert_eq!((books.confirmed, books.declined), (4, 1));
    assert_eq!(values(&gateway), ["25.00", "25.00"]);
    the_loss_counts_until_it_is_handled(&provider, &gateway);
}

/// What was lost stays at risk for the limits until a person has seen to it, and is lost for ever.
fn the_loss_counts_until_it_is_handled(provider: &Provider, gateway: &Gateway) {
    let till = gateway.till("till-1");
    cut_again(provider, gateway);
    assert_eq!(till.redeem("GIFT-4").status, 200);
    assert!(till.redeem("GIFT-5").refusal().contains("(rule gifts)"), "one lost, one pending");
    let lost = gateway.list("declined")[0]["id"].as_str().unwrap().to_owned();
    gateway.says(&["handled", &lost, "--note", "the customer was called"]);
    assert_eq!(till.redeem("GIFT-5").status, 200);
    assert_eq!(values(gateway), ["75.00", "25.00"], "the one of the second cut, and two gifts");
}

fn cut_again(provider: &Provider, gateway: &Gateway) {
    provider.cut();
    assert_eq!(gateway.till("till-0").redeem("NOTICED-AGAIN").status, 200);
    gateway.wait_for_link("main", "down");
}

#[test]
fn a_void_after_a_2xx_gives_back_neither_rate_nor_exposure() {
    let provider = Provider::start();
    let offline = "max_exposure = \"75.00\"\nmax_per_hour = 4\n";
    let gateway = with_tills(1, offline).lane("main", &provider, "").start();
    cut(&provider, &gateway);
    let till = gateway.till("till-0");
    for code in ["A", "B"] {
        let reply = till.redeem(code);
        until("it is taken back", || till.void(&reply.id()).status == 200);
    }
    let refused = till.redeem("C");
    assert!(refused.refusal().contains("no more than 75.00 may be at risk"), "{refused:?}");
}

#[test]
fn rules_say_who_is_trusted_with_what_and_a_reload_takes_them_live() {
    let provider = Provider::start();
    let rules = "[[offline.rule]]\nname = \"no-gifts\"\ncode = \"GIFT-*\"\naccept = false\n\
                 [[offline.rule]]\nname = \"form\"\ncode = \"7*\"\n\
                 code_form = { length = \"11\", alphabet = \"digits\", check = \"luhn\" }\n\
                 [[offline.rule]]\nname = \"cheap\"\ntill = \"till-1\"\nmax_value = \"10\"\n";
    let mut gateway = with_tills(2, rules).lane("main", &provider, "").start();
    cut(&provider, &gateway);
    let said = |till: &str, code: &str| {
        let reply = gateway.till(till).redeem(code);
        (reply.status, if reply.status == 200 { String::new() } else { reply.refusal() })
    };
    let (status, words) = said("till-0", "GIFT-1");
    assert_eq!(
        (status, words.trim_end()),
        (
            503,
            "the provider has not answered, and this reward is not given without its answer; do \
             not hand out the reward; ask again later (rule no-gifts)"
        ),
        "other codes are given"
    );
    assert_eq!(said("till-0", "79927398713").0, 200);
    let (status, words) = said("till-0", "79927398710");
    assert!(status == 400 && words.contains("Reward 79927398710 is not valid"), "{words}");
    let (status, words) = said("till-1", "PLAIN");
    assert!(status == 503 && words.contains("worth more than 10.00; do not hand"), "{words}");
    assert!(words.trim_end().ends_with("(rule cheap)"), "{words}");
    assert_eq!(said("till-0", "PLAIN").0, 200);
    assert!(gateway.status()["refused"]["limit_rule"].as_u64().unwrap() >= 2);
    let conf = gateway.folder().join("conf.d");
    std::fs::create_dir_all(&conf).unwrap();
    std::fs::write(conf.join("10.toml"), "[[offline.rule]]\nname = \"no-gifts\"\naccept = true\n")
        .unwrap();
    gateway.reload();
    until("the rule is changed", || gateway.till("till-0").redeem("GIFT-2").status == 200);
}

#[test]
fn ten_refused_codes_at_one_till_end_its_trust_and_another_keeps_its_own() {
    let provider = Provider::start();
    let mut gateway = with_tills(2, "").lane("main", &provider, "").start();
    provider.rules(&["fault=refuse,code=WRONG-*"]);
    let till = gateway.till("till-1");
    for n in 0..10 {
        assert_eq!(till.redeem(&format!("WRONG-{n}")).status, 400);
    }
    cut(&provider, &gateway);
    for _ in 0..2 {
        let refused = gateway.till("till-1").redeem("GOOD");
        let words = refused.refusal();
        assert!(
            refused.status == 503 && words.contains("10 codes were refused at this till"),
            "{refused:?}"
        );
        assert_eq!(gateway.till("till-0").redeem("GOOD-ELSEWHERE").status, 200);
        gateway.restart();
        gateway.wait_for_link("main", "down");
    }
}

#[test]
fn the_name_of_the_business_opens_nothing_while_nobody_can_be_asked() {
    let provider = Provider::start();
    let gateway = with_tills(2, "").lane("main", &provider, "").start();
    let of = |code: &str, business: &str| {
        gateway.till("till-1").order(&Order::new(code).with("business_refrence", business))
    };
    for business in ["Alpha", "Beta"] {
        assert_eq!(of(&format!("LIVE-{business}"), business).state(), "confirmed");
    }
    provider.cut();
    assert_eq!(of("NOTICED", "alpha").status, 200);
    gateway.wait_for_link("main", "down");
    assert_eq!(of("ONCE", "alpha").status, 200);
    let used = of("ONCE", "BETA");
    assert!(used.status == 400 && used.refusal().contains("ONCE has been used"), "{used:?}");
    let unknown = of("OTHER", "gamma");
    let why = "the provider has not answered, and this business has not been served here before; \
               do not hand out the reward; ask again";
    assert!(unknown.status == 503 && unknown.refusal().contains(why), "{unknown:?}");
    assert_eq!(of("OTHER", "Beta").status, 200);
}

#[test]
fn a_first_start_in_an_outage_trusts_and_still_gives_a_code_once_whatever_the_business() {
    let provider = Provider::start();
    provider.cut();
    let gateway = with_tills(1, "").lane("main", &provider, "").start();
    let of = |code: &str, business: &str| {
        gateway.till("till-0").order(&Order::new(code).with("business_refrence", business))
    };
    assert_eq!(of("FIRST", "alpha").status, 200);
    gateway.wait_for_link("main", "down");
    assert_eq!(of("SECOND", "beta").status, 200);
    assert_eq!(of("FIRST", "beta").status, 400);
    provider.restore();
    gateway.wait_until_drained();
    provider.cut();
    until("the cut is noticed", || of("THIRD", "alpha").status == 200);
    assert_eq!(of("FOURTH", "gamma").status, 503);
}

#[test]
fn trust_switched_off_gives_nothing_over_a_restart_is_said_first_and_ends_with_its_time_or_by_hand()
{
    let provider = Provider::start();
    let mut gateway = with_tills(1, "").lane("main", &provider, "").start();
    cut(&provider, &gateway);
    let off = gateway.says(&["trust", "off", "main", "--note", "a fraud is suspected"]);
    assert!(off.contains("main: nothing is given on trust"), "{off}");
    for _ in 0..2 {
        let refused = gateway.till("till-0").redeem("A");
        let words = refused.refusal();
        assert!(
            refused.status == 503
                && words.contains("gives no rewards without the provider's answer"),
            "{refused:?}"
        );
        let counted = &gateway.status()["refused"];
        assert_eq!((&counted["trust_off"], &counted["untrusted"]), (&1.into(), &0.into()));
        let status = gateway.says(&["status"]);
        assert!(status.starts_with("TRUST IS OFF in main until it is on again, by "), "{status}");
        assert!(status.contains("a fraud is suspected"), "{status}");
        gateway.restart();
        gateway.wait_for_link("main", "down");
    }
    gateway.says(&["trust", "on"]);
    assert_eq!(gateway.till("till-0").redeem("A").status, 200);
    gateway.says(&["trust", "off", "--note", "a moment", "--for", "1s"]);
    assert_eq!(gateway.till("till-0").redeem("B").status, 503);
    until("its time is over", || gateway.till("till-0").redeem("B").status == 200);
    for wrong in [
        &["trust", "off"][..],
        &["trust", "off", "nowhere", "--note", "x"],
        &["trust", "off", "--note", "x", "--for", "2"],
    ] {
        assert_ne!(gateway.command(wrong).code, Some(0), "{wrong:?}");
    }
    let nobody = gateway.admin_address();
    let anonymous = Till::new(nobody, None).send("POST", "/api/v1/trust", &[], br#"{"on":true}"#);
    assert_eq!(anonymous.status, 401, "{anonymous:?}");
}

#[test]
fn what_is_left_is_in_status_metrics_and_on_each_answer_that_was_given_on_trust() {
    let provider = Provider::start();
    let offline = "max_exposure = \"100.00\"\nmax_outage = \"1h\"\n";
    let gateway = with_tills(1, offline).lane("main", &provider, "").start();
    assert_eq!(gateway.till("till-0").redeem("LIVE").header("redeemd-headroom"), None);
    cut(&provider, &gateway);
    let reply = gateway.till("till-0").redeem("A");
    let headroom = reply.header("redeemd-headroom").unwrap_or_default().to_owned();
    assert!(headroom.starts_with("pending=4998, exposure=50.00, outage=35"), "{headroom}");
    let lane = gateway.lane("main");
    assert_eq!(
        (&lane["exposure"], &lane["headroom"]["max_exposure"]["left"]),
        (&"50.00".into(), &"50.00".into())
    );
    assert_eq!(lane["headroom"]["max_pending"]["left"], 4998);
    assert!(lane["trust_until"].is_string(), "{lane}");
    let status = gateway.says(&["status"]);
    assert!(
        status.contains(
            "main: 50.00 at risk, 0.00 lost; 2 more may be given, 4,998 more may be pending, \
             50.00 more may be at risk, until "
        ),
        "{status}"
    );
    let metrics = gateway.admin("GET", "/metrics", "").body;
    assert!(
        metrics.contains("redeemd_headroom{lane=\"main\",limit=\"max_exposure\"} 50.00"),
        "{metrics}"
    );
}

#[test]
fn a_limit_of_offline_itself_is_not_called_a_rule() {
    let provider = Provider::start();
    let gateway = with_tills(1, "hours = \"00:00-23:59\"").lane("main", &provider, "").start();
    if gateway.status()["clock_trusted"] == true {
        return skipped("somebody synchronises this machine's clock");
    }
    provider.cut();
    let till = gateway.till("till-0");
    let refused = eventually("the cut is noticed", || {
        let refused = till.redeem("V-NOTICED");
        refused.refusal().contains("certain hours").then_some(refused)
    });
    let words = "certain hours alone, and this gateway's clock is not synchronised";
    assert!(refused.status == 503 && refused.refusal().contains(words), "{refused:?}");
    assert!(!refused.body.contains("rule"), "{refused:?}");
}
