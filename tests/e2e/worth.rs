//! What codes are worth by what providers say of them in odd ways, and limits that somebody changes
//! or whose clock jumps while the line is down; through the real binary.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Builder, FakeTime, Gateway, Provider, at_once, moment, set_clock, synchronised, until,
};

/// What counts for a code of which no check said what it is worth, and for a percentage without a
/// most.
const UNKNOWN: (&str, bool) = ("25.00", true);
const UNBOUNDED: (&str, bool) = ("100.00", true);

const fn known(value: &str) -> (&str, bool) {
    (value, false)
}

/// What a check's `data` says, what the code counts as, and whether that is assumed.
const SAID: &[(&str, (&str, bool))] = &[
    (r#"{"discount_amount":"12.50"}"#, known("12.50")),
    (r#"{"discount_amount":12.5}"#, known("12.50")),
    (r#"{"discount_amount":1.25e1}"#, known("12.50")),
    (r#"{"discount_amount":" 20 "}"#, known("20.00")),
    (r#"{"discount_amount":0.00001}"#, known("0.0001")),
    (r#"{"discount_amount":"1.23450000000000000000000000001"}"#, known("1.2346")),
    (r#"{"discount_amount":"000000000000000000000000000000000000000007"}"#, known("7.00")),
    (r#"[{"discount_amount":"9"},{"discount_amount":"10"}]"#, known("9.00")),
    (r#"{"discount_amount":"7","is_percentage":false,"max_discount_amount":"3"}"#, known("7.00")),
    (r#"{"discount_amount":"7","is_percentage":"0"}"#, known("7.00")),
    (r#"{"discount_amount":"7","is_percentage":null}"#, known("7.00")),
    (r#"{"discount_amount":"1.25e1"}"#, UNKNOWN),
    (r#"{"discount_amount":-3}"#, UNKNOWN),
    (r#"{"discount_amount":"-3"}"#, UNKNOWN),
    (r#"{"discount_amount":null}"#, UNKNOWN),
    (r#"{"discount_amount":"0"}"#, UNKNOWN),
    (r#"{"discount_amount":0.00}"#, UNKNOWN),
    (r#"{"discount_amount":"1,250.00"}"#, UNKNOWN),
    (r#"{"discount_amount":"SAR 20"}"#, UNKNOWN),
    (r#"{"discount_amount":"٢٠"}"#, UNKNOWN),
    (r#"{"discount_amount":["20"]}"#, UNKNOWN),
    (r#"{"discount_amount":true}"#, UNKNOWN),
    (r#"{"discount_amount":"NaN"}"#, UNKNOWN),
    ("{}", UNKNOWN),
    ("[]", UNKNOWN),
    ("null", UNKNOWN),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":"30"}"#, known("30.00")),
    (r#"{"discount_amount":"50","is_percentage":"TRUE","max_discount_amount":30}"#, known("30.00")),
    (r#"{"discount_amount":"50","is_percentage":1.0,"max_discount_amount":3e1}"#, known("30.00")),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":"0"}"#, UNBOUNDED),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":"0.00"}"#, UNBOUNDED),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":null}"#, UNBOUNDED),
    (r#"{"discount_amount":"50","is_percentage":1}"#, UNBOUNDED),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":"-1"}"#, UNKNOWN),
    (r#"{"discount_amount":"50","is_percentage":true,"max_discount_amount":"lots"}"#, UNKNOWN),
    (r#"{"discount_amount":"50","is_percentage":"yes"}"#, UNKNOWN),
    (r#"{"discount_amount":"5","is_percentage":{}}"#, UNKNOWN),
    (r#"{"discount_amount":"5","is_percentage":-1}"#, UNKNOWN),
];

fn with_tills(names: &[&str]) -> Builder {
    let each = |builder: Builder, name: &&str| builder.till(name, &format!("token-{name}"));
    names.iter().fold(Gateway::with(), each)
}

/// The line is cut, and the gateway knows.
fn cut(provider: &Provider, gateway: &Gateway, till: &str) {
    provider.cut();
    assert_eq!(gateway.till(till).redeem("NOTICED").status, 200);
    gateway.wait_for_link("main", "down");
}

/// What each redemption counts as, and whether that is assumed.
fn values(gateway: &Gateway) -> BTreeMap<String, (String, bool)> {
    let value = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("id"), (text("value"), row["value_assumed"].as_bool().unwrap()))
    };
    gateway.list("pending").iter().map(value).collect()
}

#[test]
fn a_code_counts_as_what_its_check_said_or_as_assumed_in_whatever_way_a_provider_says_it() {
    let provider = Provider::start();
    let offline = "max_exposure = \"1000000000\"";
    let gateway = with_tills(&["t"]).offline(offline).lane("main", &provider, "").start();
    let till = gateway.till("t");
    let huge = ["9".repeat(60), "1e38".to_owned(), "18446744073709551616".to_owned()];
    let bodies: Vec<(String, String)> = SAID
        .iter()
        .map(|(data, _)| (*data).to_owned())
        .chain(huge.iter().map(|amount| format!(r#"{{"discount_amount":{amount}}}"#)))
        .enumerate()
        .map(|(n, data)| (format!("W-{n}"), format!(r#"{{"data":{data},"errors":[]}}"#)))
        .collect();
    let said: Vec<_> = bodies.iter().map(|(code, body)| (code.as_str(), body.as_str())).collect();
    provider.says_of_checked(&said);
    for (code, body) in &said {
        assert_eq!(till.check(code).body, **body, "it goes to the till as it came");
    }
    cut(&provider, &gateway, "t");
    let mut given = Vec::new();
    for (n, (code, _)) in said.iter().enumerate() {
        let reply = till.redeem(code);
        match SAID.get(n) {
            Some((data, expected)) => given.push((reply.id(), *data, *expected)),
            None => assert!(reply.refusal().contains("may be at risk"), "{code}: {reply:?}"),
        }
    }
    let values = values(&gateway);
    for (id, data, (value, assumed)) in given {
        assert_eq!(values[&id], (value.to_owned(), assumed), "{data}");
    }
}

#[test]
fn large_sums_are_exact_to_the_last_unit() {
    let provider = Provider::start();
    let offline = "max_exposure = \"1000000000\"";
    let gateway = with_tills(&["t"]).offline(offline).lane("main", &provider, "").start();
    let of = |amount: &str| format!(r#"{{"data":{{"discount_amount":"{amount}"}},"errors":[]}}"#);
    let (most, unit) = (of("999999974.9999"), of("0.0001"));
    provider.says_of_checked(&[("MOST", &most), ("UNIT", &unit), ("MORE", &unit)]);
    let till = gateway.till("t");
    for code in ["MOST", "UNIT", "MORE"] {
        assert_eq!(till.check(code).status, 200);
    }
    cut(&provider, &gateway, "t");
    assert_eq!((till.redeem("MOST").status, till.redeem("UNIT").status), (200, 200));
    assert_eq!(gateway.lane("main")["exposure"], "1000000000.00");
    assert_eq!(till.redeem("MORE").status, 503, "0.0001 too much");
}

/// Writes the store's own file beside the settings and has it read; some code then says that it is.
fn set(gateway: &mut Gateway, lines: &str, is_read: impl Fn(&Gateway) -> bool) {
    let conf = gateway.folder().join("conf.d");
    std::fs::create_dir_all(&conf).unwrap();
    std::fs::write(conf.join("10.toml"), lines).unwrap();
    gateway.reload();
    until("the settings are taken over", || is_read(gateway));
}

fn rules(narrow: u32, wide: u32) -> String {
    format!(
        "[[offline.rule]]\nname = \"narrow\"\ncode = \"V-1*\"\nmax_pending = {narrow}\n\
         [[offline.rule]]\nname = \"wide\"\ncode = [\"V-*\", \"V-1*\"]\nmax_pending = {wide}\n"
    )
}

/// What there is of a limit, as `status` says.
fn most(gateway: &Gateway, limit: &str) -> Value {
    gateway.lane("main")["headroom"][limit]["most"].clone()
}

#[test]
fn limits_that_are_changed_while_the_line_is_down_hold_for_what_comes_and_take_nothing_back() {
    let provider = Provider::start();
    let mut gateway = with_tills(&["t"]).lane("main", &provider, "").start();
    let set_to = |gateway: &mut Gateway, lines: &str, exposure: &str| {
        let lines = format!("[offline]\nmax_exposure = \"{exposure}\"\n{lines}");
        set(gateway, &lines, |gateway| most(gateway, "max_exposure") == exposure);
    };
    let said = |gateway: &Gateway, code: &str| {
        let reply = gateway.till("t").redeem(code);
        if reply.status == 200 { String::new() } else { reply.refusal() }
    };
    set_to(&mut gateway, &rules(2, 3), "1000.00");
    cut(&provider, &gateway, "t");
    for code in ["V-11", "V-12", "V-21", "V-22", "V-23"] {
        assert_eq!(said(&gateway, code), "");
    }
    // The first rule that fits is the one, although the second has room or fits as well.
    assert!(said(&gateway, "V-13").contains("(rule narrow)"));
    assert!(said(&gateway, "V-24").contains("(rule wide)"));
    // Below what is used.
    set_to(&mut gateway, &rules(1, 9), "50.00");
    assert!(said(&gateway, "V-25").contains("no more than 50.00 may be at risk"));
    let lane = gateway.lane("main");
    assert_eq!(lane["headroom"]["max_exposure"]["left"], "0.00", "{lane}");
    assert_eq!((&lane["exposure"], gateway.counts().pending), (&"150.00".into(), 6));
    set_to(&mut gateway, &rules(1, 9), "1001.00");
    let refused = said(&gateway, "V-14");
    assert!(refused.contains("1 redemption") && refused.contains("(rule narrow)"), "{refused}");
    assert_eq!(said(&gateway, "V-25"), "");
    // The other way round, and a rule that is not there any more; over a restart.
    let other = "[[offline.rule]]\nname = \"wide\"\ncode = \"V-*\"\nmax_pending = 5\n";
    set_to(&mut gateway, other, "1002.00");
    assert_eq!(said(&gateway, "V-15"), "");
    gateway.restart();
    gateway.wait_for_link("main", "down");
    assert!(said(&gateway, "V-16").contains("(rule wide)"));
    assert_eq!(said(&gateway, "W-1"), "");
    provider.restore();
    assert_eq!(gateway.wait_until_drained().confirmed, 9);
    assert_eq!(gateway.lane("main")["exposure"], "0.00");
}

#[test]
fn no_clock_that_jumps_and_no_restart_ends_a_rate_or_a_switch() {
    let Some(fake) = FakeTime::find() else { return };
    let Some(trusted) = synchronised() else { return };
    for wrapper in [&trusted[..], &[]] {
        let provider = Provider::start();
        let offline = "max_per_hour_per_till = 3\nmax_per_day = 5";
        let builder = with_tills(&["t", "u"]).offline(offline);
        set_clock(builder.folder(), "@2027-03-01 12:00:00");
        let builder = fake.under(builder).environment("TZ", "UTC").wrapper(wrapper);
        let mut gateway = builder.lane("main", &provider, "").start();
        cut(&provider, &gateway, "t");
        let given = |gateway: &Gateway, till: &str, round: &str| {
            let redeem = |n: u32| gateway.till(till).redeem(&format!("{till}-{round}-{n}"));
            (0..4).map(redeem).filter(|reply| reply.status == 200).count()
        };
        assert_eq!((given(&gateway, "t", "first"), given(&gateway, "u", "first")), (2, 2));
        for time in ["@2027-03-01 15:00:00", "@2027-03-05 12:00:00", "@2027-03-01 09:00:00"] {
            set_clock(gateway.folder(), time);
            let round = &time[1..];
            assert_eq!(
                (given(&gateway, "t", round), given(&gateway, "u", round)),
                (0, 0),
                "{time}"
            );
            gateway.restart();
            gateway.wait_for_link("main", "down");
            let round = format!("{round}-again");
            assert_eq!(
                (given(&gateway, "t", &round), given(&gateway, "u", &round)),
                (0, 0),
                "{time}, after a restart"
            );
        }
        gateway.says(&["trust", "off", "--note", "a look", "--for", "2h"]);
        for time in ["@2027-03-01 12:30:00", "@2027-03-09 12:00:00", "@2027-02-01 09:00:00"] {
            set_clock(gateway.folder(), time);
            for _ in 0..2 {
                let refused = gateway.till("u").redeem(time).refusal();
                assert!(refused.contains("without the provider's answer now"), "{time}: {refused}");
                gateway.restart();
                gateway.wait_for_link("main", "down");
            }
        }
    }
}

/// Tills whose codes have a form, good codes of it and bad ones.
type Form = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);
const FORMS: [Form; 4] = [
    (
        "luhn",
        r#"length = "11", alphabet = "digits", check = "luhn""#,
        &["79927398713", "00000000018"],
        &[
            "79927398710",
            "7992739871٣",
            "７９９２７３９８７１３",
            "7992 398713",
            " 9927398713",
            "0079927398713",
            "-9927398713",
        ],
    ),
    (
        "hex",
        r#"length = "4-6", alphabet = "hex""#,
        &["00aF", "ABCDEF", "00000"],
        &["00ag", "abc", "abcdef0", "٠٠٠٠", "0x1F", "ａｂｃｄ"],
    ),
    (
        "gs1",
        r#"length = "13", alphabet = "digits", check = "gs1""#,
        &["4006381333931", "0000000000000"],
        &["4006381333932", "04006381333931", "٤٠٠٦٣٨١٣٣٣٩٣١"],
    ),
    (
        "mod97",
        r#"alphabet = "alphanumeric", check = "mod97""#,
        &["1z81", "A186", "79444"],
        &["1z82", "79445", "1", "97", "١z81"],
    ),
];

#[test]
fn codes_have_the_form_that_their_rule_asks_for_character_by_character() {
    let provider = Provider::start();
    let rule = |(till, form, ..): &Form| {
        format!(
            "[[offline.rule]]\nname = \"{till}\"\ntill = \"{till}\"\ncode_form = {{ {form} }}\n"
        )
    };
    let rules: String = FORMS.iter().map(rule).collect();
    let names: Vec<&str> = FORMS.iter().map(|(till, ..)| *till).chain(["t"]).collect();
    let gateway = with_tills(&names).offline(&rules).lane("main", &provider, "").start();
    cut(&provider, &gateway, "t");
    for (till, _, good, bad) in FORMS {
        let till = gateway.till(till);
        for code in bad {
            let reply = till.redeem(code);
            let expected = format!("Reward {code} is not valid");
            let said = reply.json()["message"].clone();
            assert_eq!((reply.status, said), (400, expected.into()), "{code:?}");
        }
        for code in good {
            assert_eq!(till.redeem(code).status, 200, "{code:?}");
        }
    }
}

#[test]
fn checks_that_are_under_way_when_the_line_drops_hear_what_is_remembered_and_hold_up_nobody() {
    let provider = Provider::start();
    let names = ["a", "b", "c", "d"];
    let gateway = with_tills(&names).lane("main", &provider, "").start();
    for n in 0..4 {
        assert_eq!(gateway.till("a").check(&format!("CK-{n}")).status, 200);
    }
    provider.rules(&["fault=pass,call=check,delay=1s"]);
    // One of them cuts the line while the others wait, one redeems then.
    let replies = at_once(26, |n| {
        if n == 0 {
            moment(Duration::from_millis(300));
            provider.cut();
            return true;
        }
        if n == 1 {
            moment(Duration::from_millis(600));
            return gateway.till("d").redeem("R-1").status == 200;
        }
        let reply = gateway.till(names[n % 4]).check(&format!("CK-{}", n % 8));
        let is_known = n % 8 < 4;
        match reply.header("redeemd-state") {
            Some("remembered") => is_known && reply.status == 200,
            _ => reply.status == 503 || (is_known && reply.status == 200),
        }
    });
    assert!(replies.iter().all(|fine| *fine), "{replies:?}");
    gateway.wait_for_link("main", "down");
    assert_eq!(gateway.till("b").check("CK-1").state(), "remembered");
    assert_eq!(gateway.till("b").redeem("CK-1").status, 200);
}
