//! The settings, through the library's public surface: what is refused, what is merged, and that
//! the shipped files and the manual page say what the code does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redeemd::message::{Language, Refusal, Texts};
use redeemd::prepare::{Prepared, prepare, tills_may_stay, tills_may_use};
use redeemd::redemption::RewardCode;
use redeemd::settings::{
    Auth, Caps, DateFormat, Grant, KEYS, LoadOptions, Loaded, OneTill, Problems, Provider,
    SameCode, SecretSource, Settings, SuccessSetting, UnknownCheck, load, needs_restart, parse,
    until_restart,
};
use redeemd::value::Amount;

/// The least that is accepted.
const LEAST: &str = r#"
[[provider]]
name = "retm"
redeem_url = "https://svc.retm.sa/redeem"
token_file = "/etc/redeemd/retm.token"
"#;

/// [`LEAST`] with OAuth in place of the token.
const OAUTH: &str = r#"
[[provider]]
name = "retm"
redeem_url = "https://svc.retm.sa/redeem"
[provider.oauth]
token_url = "https://svc.retm.sa/token"
client_id = "id"
client_secret_file = "/s"
"#;

fn settings(text: &str) -> Settings {
    parse(text, "host").unwrap_or_else(|problems| panic!("{problems}\nin {text}")).settings
}

fn problems(text: &str) -> String {
    parse(text, "host")
        .map_or_else(|problems| problems.to_string(), |_| panic!("nothing was wrong with {text}"))
}

fn warnings(text: &str) -> Vec<String> {
    parse(text, "host").unwrap_or_else(|problems| panic!("{problems}\nin {text}")).warnings
}

/// Each case's text, put behind `base`, has exactly one problem, at that key, that says that.
fn refused(base: &str, cases: &[(&str, &str, &str)]) {
    for (text, key, says) in cases {
        let text = format!("{base}\n{text}");
        let found = problems(&text);
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
        assert!(found.starts_with(&format!("{key}: ")) && found.contains(says), "{text}\n{found}");
    }
}

/// As [`refused`], a case a line: text, key and words between bars, and ` ;` for a line's end.
fn refused_rows(base: &str, rows: &str) {
    let rows = rows.trim().replace(" ;\n", " ; ");
    for row in rows.lines() {
        let [text, key, says] = row.splitn(3, '|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let lines: Vec<&str> = text.split(" ; ").map(str::trim).collect();
        refused(base, &[(&lines.join("\n"), key, says)]);
    }
}

/// A folder with a settings file and what stands in `conf.d`.
struct Place {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Place {
    fn new(main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(folder.path().join("redeemd.toml"), main).unwrap();
        Self { folder, environment: BTreeMap::new() }
    }

    fn drop_in(self, name: &str, text: &str) -> Self {
        fs::write(self.path(&format!("conf.d/{name}")), text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Problems> {
        let file = self.path("redeemd.toml");
        load(&LoadOptions {
            file,
            environment: self.environment.clone(),
            host_name: "host".to_owned(),
        })
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).settings
    }

    fn problems(&self) -> String {
        self.load().map_or_else(|problems| problems.to_string(), |_| panic!("nothing was wrong"))
    }
}

#[test]
fn the_least_settings_get_every_default() {
    let all = settings(LEAST);
    assert_eq!(all.gateway.name, "host");
    assert_eq!(all.gateway.state_dir, Path::new("/var/lib/redeemd"));
    assert_eq!((all.gateway.day_ends.hour, all.gateway.day_ends.minute), (0, 0));
    assert_eq!(all.intake.listen, ["127.0.0.1:7733".parse().unwrap()]);
    assert_eq!(
        (all.intake.redeem_path.as_str(), all.intake.check_path.as_str()),
        ("/redeem", "/check")
    );
    assert_eq!(all.intake.reply_within, Duration::from_secs(4));
    assert_eq!((all.intake.accepted_status, all.intake.max_body_bytes), (200, 16_384));
    assert!(!all.intake.allow_anonymous && all.intake.tills.is_empty() && all.intake.tls.is_none());
    assert!(all.offline.accept);
    assert_eq!((all.offline.max_pending, all.offline.max_outage), (5000, Duration::from_hours(72)));
    assert_eq!((all.forward.max_in_flight, all.forward.retry_min), (8, Duration::from_secs(1)));
    assert_eq!(all.forward.retry_max, Duration::from_mins(1));
    assert_eq!(all.forward.reconnect_spread, Duration::from_secs(5));
    assert_eq!(
        (all.offline.date_format, all.offline.one_till),
        (DateFormat::Contract, OneTill::Refuse)
    );
    assert_eq!(
        (all.offline.remember_checks, all.offline.remember_checks_max),
        (Duration::from_hours(12), 20_000)
    );
    assert!(
        all.offline.unknown_check == UnknownCheck::Refuse && all.intake.texts == Texts::default()
    );
    assert_eq!(
        [all.offline.value_of_unknown, all.offline.value_of_unbounded],
        [25, 100].map(Amount::whole)
    );
    assert_eq!(
        (all.offline.max_exposure, all.offline.max_per_hour_per_till),
        (Amount::whole(25_000), 300)
    );
    assert_eq!(
        (all.offline.checked_within, &all.offline.caps),
        (Duration::from_mins(15), &Caps::default())
    );
    assert!(all.offline.rules.is_empty());
    assert_eq!(all.retention.settled, Duration::from_hours(720));
    assert_eq!(all.retention.codes, Duration::from_hours(400 * 24));
    assert_eq!(all.admin.listen, "127.0.0.1:7734".parse().unwrap());
    assert_eq!(all.admin.socket, Path::new("/var/lib/redeemd/admin.sock"));
    assert!(
        all.admin.hosts.is_empty() && all.admin.tokens.is_empty() && all.admin.users.is_empty()
    );
    assert!(all.admin.tls.is_none() && all.alert.is_none());
    let [provider] = all.providers.as_slice() else { panic!("one provider") };
    assert_eq!(provider.timeout, Duration::from_secs(10));
    assert_eq!(provider.declined_status, [400, 404, 409, 410, 422]);
    assert!(provider.already_used.len() > 80 && provider.in_progress.len() > 40);
    assert_eq!((provider.success, provider.same_code), (SuccessSetting::Lenient, SameCode::Folded));
    assert_eq!((provider.weak_after, provider.weak_declines), (Duration::from_mins(30), false));
    assert!(provider.accept_language == "en" && provider.canary && provider.proxy_login.is_none());
    assert_eq!(
        *provider,
        Provider::new("retm", "https://svc.retm.sa/redeem", provider.auth.clone())
    );
    assert!(
        provider.businesses.is_empty()
            && provider.reusable_codes.is_empty()
            && !provider.allow_plain_http
    );
    assert_eq!(provider.auth, Auth::Token(SecretSource::File("/etc/redeemd/retm.token".into())));
    assert_eq!((&provider.check_url, &provider.ca_file, &provider.proxy), (&None, &None, &None));
}

/// Every section and every kind of key, with a value that is not its default.
const EVERY_KEY: &str = r#"
[gateway]
name = "b"
state_dir = "/s"
day_ends = "04:30"
[intake]
listen = ["[::1]:1", "127.0.0.1:3"]
redeem_path = "/r"
check_path = "/c"
reply_within = "100ms"
accepted_status = 202
max_body_bytes = 1024
allow_anonymous = true
[[intake.till]]
name = "t"
credential = "t-token"
businesses = ["m"]
branches = ["7"]
language = "ar"
[intake.tls]
cert_file = "/cert"
key_file = "/key"
[intake.texts]
en = { held = "Wait" }
ar = { used = "{code}" }
[[provider]]
name = "p"
businesses = ["m"]
redeem_url = "https://h/r"
check_url = "https://h/c"
ca_file = "/ca"
proxy = "http://p:1"
proxy_user = "u"
proxy_password_credential = "pp"
allow_plain_http = true
timeout = "1s"
declined_status = [400]
already_used = ["gone"]
in_progress = ["wait"]
success = "contract"
weak_after = "1m"
weak_declines = true
accept_language = "ar, en;q=0.5"
same_code = "exact"
canary = false
reusable_codes = ["A*"]
[provider.oauth]
token_url = "https://h/t"
client_id = "i"
client_secret_credential = "cs"
grant = "refresh_token"
refresh_token_file = "/rt"
[offline]
accept = false
max_pending = 1
max_pending_per_till = 1
max_outage = "1h"
date_format = "any"
one_till = "trust"
remember_checks = "1h"
remember_checks_max = 0
unknown_check = "answer"
value_of_unknown = "1"
value_of_unbounded = "2.5"
max_exposure = "0.0001"
max_per_hour_per_till = 3
checked_within = "1m"
max_value = "4"
max_per_hour = 5
max_per_day = 6
hours = "08:00-23:30"
code_form = { length = "10-12", alphabet = "digits", check = "luhn" }
[[offline.rule]]
name = "r"
code = "A*"
business = "Shop"
branch = ["7", "8"]
till = "t"
type = "voucher"
checked_within = "2h"
cause = ["tls", "clock"]
accept = true
max_value = "7"
max_exposure = "8"
max_pending = 9
max_per_hour = 10
max_per_day = 11
max_outage = "12h"
hours = "18:00-02:00"
code_form = { length = "8", check = "gs1" }
[forward]
max_in_flight = 256
retry_min = "100ms"
retry_max = "1h"
reconnect_spread = "10m"
[retention]
settled = "1h"
codes = "0s"
[admin]
listen = "127.0.0.1:2"
socket = "/x.sock"
hosts = ["gw.example"]
[[admin.token]]
name = "m"
role = "see"
token_file = "/mt"
[[admin.user]]
name = "u"
role = "engineer"
credential = "up"
[admin.tls]
cert_file = "/ac"
key_file = "/ak"
[alert]
url = "https://a/h"
token_file = "/at"
"#;

#[test]
fn every_key_arrives_where_it_belongs() {
    let all = settings(EVERY_KEY);
    let oauth = r#"OAuth(OAuth { token_url: "https://h/t", client_id: "i", client_secret: Credential("cs"), grant: RefreshToken, refresh_token: Some(File("/rt")) })"#;
    let expected = [
        r#"gateway: Gateway { name: "b", state_dir: "/s", day_ends: TimeOfDay { hour: 4, minute: 30 } }"#.to_owned(),
        r#"intake: IntakeSettings { listen: [[::1]:1, 127.0.0.1:3], redeem_path: "/r", check_path: "/c", reply_within: 100ms, accepted_status: 202, max_body_bytes: 1024, allow_anonymous: true, tills: [Till { name: "t", token: Credential("t-token"), businesses: ["m"], branches: ["7"], language: Some(Arabic) }], tls: Some(Tls { cert_file: "/cert", key_file: "/key" }), texts: Texts({("ar", "used"): "{code}", ("en", "held"): "Wait"}) }"#.to_owned(),
        format!(r#"Provider {{ name: "p", businesses: ["m"], redeem_url: "https://h/r", check_url: Some("https://h/c"), auth: {oauth}, ca_file: Some("/ca"), proxy: Some("http://p:1"), proxy_login: Some(ProxyLogin {{ user: "u", password: Credential("pp") }}), allow_plain_http: true, timeout: 1s, declined_status: [400], already_used: ["gone"], in_progress: ["wait"], success: Contract, weak_after: 60s, weak_declines: true, accept_language: "ar, en;q=0.5", same_code: Exact, canary: false, reusable_codes: ["A*"] }}"#),
        "Offline { accept: false, max_pending: 1, max_pending_per_till: 1, max_outage: 3600s, \
         date_format: Any, one_till: Trust, remember_checks: 3600s, remember_checks_max: 0, \
         unknown_check: Answer, value_of_unknown: Amount(10000), value_of_unbounded: \
         Amount(25000), max_exposure: Amount(1), max_per_hour_per_till: 3, checked_within: 60s, \
         caps: Caps { max_value: Some(Amount(40000)), max_exposure: None, max_pending: None, \
         max_per_hour: Some(5), max_per_day: Some(6), max_outage: None, hours: Some(Hours { from: \
         TimeOfDay { hour: 8, minute: 0 }, to: TimeOfDay { hour: 23, minute: 30 } }), code_form: \
         Some(CodeForm { length: (10, 12), alphabet: Digits, check: Some(Luhn) }) }, rules: \
         [".to_owned(),
        r#"Rule { name: "r", codes: ["A*"], businesses: ["shop"], branches: ["7", "8"], tills: ["t"], kinds: ["voucher"], checked_within: Some(7200s), causes: [Tls, Clock], accept: Some(true), caps: Caps { max_value: Some(Amount(70000)), max_exposure: Some(Amount(80000)), max_pending: Some(9), max_per_hour: Some(10), max_per_day: Some(11), max_outage: Some(43200s), hours: Some(Hours { from: TimeOfDay { hour: 18, minute: 0 }, to: TimeOfDay { hour: 2, minute: 0 } }), code_form: Some(CodeForm { length: (8, 8), alphabet: Any, check: Some(Gs1) }) } }], listed: {"p": {"m"}}, exact: {"p"}, tills: ["t"] }"#.to_owned(),
        "Forward { max_in_flight: 256, retry_min: 100ms, retry_max: 3600s, reconnect_spread: 600s \
         }".to_owned(),
        "RetentionSettings { settled: 3600s, codes: 0ns }".to_owned(),
        r#"AdminSettings { listen: 127.0.0.1:2, socket: "/x.sock", hosts: ["gw.example"], tokens: [AdminToken { name: "m", role: See, token: File("/mt") }], users: [AdminUser { name: "u", role: Engineer, password: Credential("up") }], tls: Some(Tls { cert_file: "/ac", key_file: "/ak" }) }"#.to_owned(),
        r#"Alert { url: "https://a/h", token: Some(File("/at")) }"#.to_owned(),
    ];
    let shown = format!("{all:?}");
    for part in expected {
        assert!(shown.contains(&part), "{part}\nis not in\n{shown}");
    }
}

#[test]
fn a_value_out_of_bounds_or_of_no_sense_is_refused_at_its_key() {
    refused_rows(
        LEAST,
        r#"
        [gateway] ; name = "" | gateway.name | 1 to 64 bytes
        [gateway] ; name = "a\nb" | gateway.name | control
        [gateway] ; state_dir = "" | gateway.state_dir | empty
        [intake] ; listen = "localhost:7733" | intake.listen | 127.0.0.1:7733
        [intake] ; listen = "7733" | intake.listen | ADDRESS:PORT
        [intake] ; listen = "127.0.0.1:7734" | admin.listen | its own port
        [intake] ; redeem_path = "redeem" | intake.redeem_path | begins with '/'
        [intake] ; redeem_path = "/a?b" | intake.redeem_path | begins with '/'
        [intake] ; redeem_path = "/a/{id}" | intake.redeem_path | begins with '/'
        [intake] ; redeem_path = "/a/../b" | intake.redeem_path | begins with '/'
        [intake] ; check_path = "/redeem" | intake.check_path | its own path
        [intake] ; check_path = "/redemptions" | intake.check_path | receipts
        [intake] ; redeem_path = "/redemptions/x" | intake.redeem_path | receipts
        [intake] ; reply_within = "61s" | intake.reply_within | "60s"
        [intake] ; accepted_status = 201 | intake.accepted_status | 202
        [intake] ; accepted_status = 204 | intake.accepted_status | 202
        [intake] ; max_body_bytes = 1023 | intake.max_body_bytes | 1024
        [intake] ; max_body_bytes = 65537 | intake.max_body_bytes | 65536
        [intake.tls] ; cert_file = "/c" | intake.tls.key_file | missing
        [intake.tls] ; key_file = "/k" | intake.tls.cert_file | missing
        [intake.tls] | intake.tls | empty
        [offline] ; max_pending = 0 | offline.max_pending | from 1
        [offline] ; max_pending = -1 | offline.max_pending | from 1
        [offline] ; max_outage = "0s" | offline.max_outage | "1s"
        [offline] ; remember_checks = "8d" | offline.remember_checks | "7d"
        [offline] ; remember_checks_max = -1 | offline.remember_checks_max | from 0
        [offline] ; unknown_check = "ask" | offline.unknown_check | "answer"
        [intake.texts] ; en = "x" | intake.texts.en | a table of strings
        [intake.texts.en] ; used = 5 | intake.texts.en | used: 5 is not a string
        [intake.texts.en] ; used = "{who}" | intake.texts.en.used | {code}, {when}, {till}
        [intake.texts.ar] ; held = "{code" | intake.texts.ar.held | brace
        [intake.texts.ar] ; provider = "x" | intake.texts.ar.provider | used_long_ago
        [intake.texts.fr] ; used = "x" | intake.texts.fr | no such setting
        [forward] ; max_in_flight = 0 | forward.max_in_flight | 256
        [forward] ; max_in_flight = 257 | forward.max_in_flight | 256
        [forward] ; retry_min = "99ms" | forward.retry_min | "100ms"
        [forward] ; retry_min = "61s" | forward.retry_min | retry_max
        [forward] ; retry_max = "61m" | forward.retry_max | "1h"
        [forward] ; reconnect_spread = "11m" | forward.reconnect_spread | "10m"
        [retention] ; settled = "59m" | retention.settled | "1h"
        [alert] ; url = "http://alerts.example/" | alert.url | https://
        [alert] ; token_file = "/t" | alert.url | missing
        [alert] ; url = "https://a/" ; token_file = "/t" ;
            credential = "c" | alert.credential | keep
        "#,
    );
    let long = format!("[admin]\nsocket = \"/{}\"", "s".repeat(107));
    refused(LEAST, &[(&long, "admin.socket", "107")]);
}

#[test]
fn the_bounds_themselves_are_accepted() {
    for text in [
        "[intake]\nreply_within = \"60s\"\nmax_body_bytes = 65536\nredeem_path = \"/\"\ncheck_path \
         = \"/redemptions-check\"",
        "[forward]\nretry_min = \"1h\"\nretry_max = \"1h\"\nreconnect_spread \
         = \"0s\"\nmax_in_flight = 1",
        "[intake]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"",
        "[alert]\nurl = \"http://127.0.0.1:9/hook\"",
    ] {
        settings(&format!("{LEAST}\n{text}"));
    }
}

#[test]
fn a_till_needs_a_name_of_its_own_and_one_token() {
    refused_rows(
        LEAST,
        r#"
        [[intake.till]] ; name = "t" | intake.till[t].token_file | needs a token
        [[intake.till]] ; credential = "c" | intake.till[#1] | no name
        [[intake.till]] ; name = 5 ; credential = "c" | intake.till[#1].name | in quotes
        [[intake.till]] ; name = "" ; credential = "c" | intake.till[].name | 1 to 64
        [[intake.till]] ; name = "a\u0007" ; credential = "c" | intake.till[a\u{7}].name | control
        [[intake.till]] ; name = "anonymous" ;
            credential = "c" | intake.till[anonymous].name | another
        [[intake.till]] ; name = "t" ; credential = "../c" | intake.till[t].credential | file name
        [[intake.till]] ; name = "t" ; credential = "c" ;
            token_file = "/t" | intake.till[t].credential | keep
        [[intake.till]] ; name = "t" ; credential = "c" ; [[intake.till]] ; name = "t" ;
            credential = "d" | intake.till[t] | taken
        [intake.till] ; name = "t" ; credential = "c" | intake.till | [[intake.till]]
        "#,
    );
    let long = format!("[[intake.till]]\nname = \"{}\"\ncredential = \"c\"", "x".repeat(65));
    assert!(problems(&format!("{LEAST}\n{long}")).contains("1 to 64"));
}

/// A provider's wrong line, the key that is named, and what is said.
const WRONG_PROVIDERS: &str = r#"
    check_url = "http://svc.retm.sa/c" | provider[retm].check_url | allow_plain_http
    check_url = "https://u:p@svc.retm.sa/" | provider[retm].check_url | no password
    check_url = "svc.retm.sa" | provider[retm].check_url | https://HOST/PATH
    proxy = "https://proxy:1" | provider[retm].proxy | http://HOST:PORT
    proxy = "http://proxy" | provider[retm].proxy | http://HOST:PORT
    proxy_user = "u" ; proxy_password_file = "/p" | provider[retm].proxy_user | no proxy
    proxy = "http://p:1" ; proxy_user = "u" | provider[retm].proxy_password_file | missing
    proxy = "http://p:1" ; proxy_password_file = "/p" | provider[retm].proxy_user | missing
    proxy = "http://p:1" ; proxy_user = "a:b" ;
        proxy_password_file = "/p" | provider[retm].proxy_user | ':'
    success = "strict" | provider[retm].success | "lenient" or "contract"
    same_code = "Folded" | provider[retm].same_code | "exact"
    weak_after = "0s" | provider[retm].weak_after | "1s"
    weak_declines = "no" | provider[retm].weak_declines | true or false
    accept_language = "ar\r\nx: y" | provider[retm].accept_language | languages
    in_progress = [""] | provider[retm].in_progress | item 1
    credential = "c" | provider[retm].credential | keep
    timeout = "0s" | provider[retm].timeout | "1ms"
    timeout = "121s" | provider[retm].timeout | "120s"
    declined_status = [400, 401] | provider[retm].declined_status | 401
    declined_status = [400, 429] | provider[retm].declined_status | 429
    declined_status = [400, 500] | provider[retm].declined_status | 499
    declined_status = [400, 70000] | provider[retm].declined_status | 499
    already_used = [""] | provider[retm].already_used | item 1
    reusable_codes = ["A", ""] | provider[retm].reusable_codes | item 2
    businesses = [""] | provider[retm].businesses | item 1
    businesses = ["a", "a"] | provider[retm].businesses | list it once
    [provider.oauth] ; token_url = "https://h/" ; client_id = "i" ;
        client_secret_file = "/s" | provider[retm].oauth | one of them
"#;

/// The same for providers without anything before them.
const WRONG_FIRST_PROVIDERS: &str = r#"
    | provider | there is none
    [provider] ; name = "x" | provider | [[provider]]
    [[provider]] ; name = "x" ; token_file = "/t" | provider[x].redeem_url | missing
    [[provider]] ; name = "x" ; redeem_url = "https://h/" | provider[x].token_file | needs a token
    [[provider]] ; redeem_url = "https://h/" ; credential = "c" | provider[#1] | no name
    [[provider]] ; name = "X" ; redeem_url = "https://h/" ;
        credential = "c" | provider[X].name | a-z
    [[provider]] ; name = "a/b" ; redeem_url = "https://h/" ;
        credential = "c" | provider[a/b].name | a-z
    [[provider]] ; name = ".." ; redeem_url = "https://h/" ;
        credential = "c" | provider[..].name | '.'
    [[provider]] ; name = "x" ; redeem_url = "http://10.0.0.1/" ;
        credential = "c" | provider[x].redeem_url | loopback
"#;

#[test]
fn a_provider_is_refused_for_what_is_wrong_with_it() {
    refused_rows(LEAST, WRONG_PROVIDERS);
    refused_rows("", WRONG_FIRST_PROVIDERS);
}

#[test]
fn limits_and_words_of_the_offline_section_hold_together() {
    refused_rows(
        LEAST,
        r#"
        [offline] ; max_pending = 5 ;
            max_pending_per_till = 6 | offline.max_pending_per_till | max_pending, 5
        [offline] ; max_pending_per_till = 0 | offline.max_pending_per_till | from 1
        [offline] ; date_format = "iso" | offline.date_format | "contract" or "any"
        [offline] ; one_till = true | offline.one_till | in quotes
        [retention] ; codes = "400" | retention.codes | unit
        [gateway] ; day_ends = "24:00" | gateway.day_ends | 23:59
        [gateway] ; day_ends = "4:00" | gateway.day_ends | 23:59
        [gateway] ; day_ends = "04:60" | gateway.day_ends | 23:59
        [gateway] ; day_ends = "+4:00" | gateway.day_ends | 23:59
        "#,
    );
    let two = format!("{LEAST}{}", tills(2));
    refused(&two, &[("[offline]\none_till = \"trust\"", "offline.one_till", "2 tills")]);
    let asked =
        LEAST.replace("token_file", "check_url = \"https://svc.retm.sa/check\"\ntoken_file");
    let said = warnings(&format!("{asked}[offline]\none_till = \"trust\""));
    assert!(said.iter().any(|line| line.starts_with("offline.one_till: ")), "{said:?}");
}

/// The `[[offline.rule]]` of this line.
fn rule(line: &str) -> String {
    format!("[[offline.rule]]\nname = \"r\"\n{line}")
}

#[test]
fn every_bad_value_of_a_rule_or_a_limit_is_a_fault_at_its_key() {
    let rules = [
        ("accept = \"override\"", "accept", "later version"),
        ("accept = \"yes\"", "accept", "true or false"),
        ("accept = 1", "accept", "true or false"),
        ("max_value = 25", "max_value", "in quotes"),
        ("max_value = \"-1\"", "max_value", "amount"),
        ("max_exposure = \"1,50\"", "max_exposure", "amount"),
        ("max_exposure = \"1000000001\"", "max_exposure", "amount"),
        ("max_pending = -1", "max_pending", "from 0"),
        ("max_per_hour = \"5\"", "max_per_hour", "without quotes"),
        ("max_per_day = 100000001", "max_per_day", "100000000"),
        ("max_outage = \"0s\"", "max_outage", "\"1s\""),
        ("hours = \"8:00-23:30\"", "hours", "times of the day"),
        ("hours = \"08:00-08:00\"", "hours", "times of the day"),
        ("hours = \"08:00\"", "hours", "times of the day"),
        ("checked_within = \"31d\"", "checked_within", "\"30d\""),
        ("cause = \"rain\"", "cause", "connect"),
        ("code = \"\"", "code", "item 1"),
        ("code = [\"A-*\", 3]", "code", "item 2: 3 is not a string"),
        ("cause = [\"connect\", \"rain\"]", "cause", "item 2: \"rain\" is no cause"),
        ("code = []", "code", "an empty list"),
        ("till = []", "till", "an empty list"),
        ("cause = []", "cause", "an empty list"),
        ("hours = \"00:00-00:00\"", "hours", "times of the day"),
        ("hours = \"24:00-08:00\"", "hours", "times of the day"),
        ("code_form = { length = \"12-10\" }", "code_form.length", "characters"),
        ("code_form = { length = 10 }", "code_form.length", "in quotes"),
        ("code_form = { alphabet = \"greek\" }", "code_form.alphabet", "\"digits\""),
        ("code_form = { alphabet = \"hex\", check = \"luhn\" }", "code_form.alphabet", "digits"),
        ("code_form = { check = \"crc\" }", "code_form.check", "\"mod97\""),
        ("code_form = {}", "code_form", "empty"),
        ("tills = \"t\"", "tills", "did you mean `till`?"),
    ];
    for (line, key, part) in rules {
        refused(LEAST, &[(&rule(line), &format!("offline.rule[r].{key}"), part)]);
    }
    refused_rows(
        LEAST,
        r#"
        [[offline.rule]] ; accept = true | offline.rule[#1] | no name
        [offline.rule] ; name = "r" | offline.rule | two brackets
        [offline] ; value_of_unknown = "free" | offline.value_of_unknown | amount
        [offline] ; max_per_hour_per_till = 0 | offline.max_per_hour_per_till | from 1
        [offline] ; max_value = "1e3" | offline.max_value | amount
        [offline] ; accept = "override" | offline.accept | true or false
        [offline] ; hours = "24:00-01:00" | offline.hours | times of the day
        "#,
    );
    let many: Vec<String> =
        (0..1001).map(|n| format!("[[offline.rule]]\nname = \"r{n}\"\n")).collect();
    let many = many.concat();
    refused(LEAST, &[(&many, "offline.rule", "at most 1000")]);
}

#[test]
fn limits_that_bound_nothing_and_rules_that_are_never_asked_are_warned_of() {
    let said = |offline: &str| warnings(&format!("{LEAST}[offline]\n{offline}"));
    let zero = said("value_of_unknown = \"0\"\nvalue_of_unbounded = \"0.00\"");
    for key in ["offline.value_of_unknown", "offline.value_of_unbounded"] {
        assert!(zero.iter().any(|line| line.starts_with(key)), "{key}: {zero:?}");
    }
    let two = |first: &str, second: &str| {
        said(&format!(
            "[[offline.rule]]\nname = \"a\"\n{first}\n[[offline.rule]]\nname = \"b\"\n{second}"
        ))
    };
    let business = "business = \"Gifts \"";
    let warned = |text: &str| {
        let said =
            warnings(&format!("{text}[offline]\n[[offline.rule]]\nname = \"a\"\n{business}"));
        said.iter().any(|line| line.starts_with("offline.rule[a].business: "))
    };
    for (listed, expected) in
        [("[\"gift\"]", true), ("[\"shop\", \"gifts\"]", false), ("[]", false)]
    {
        assert_eq!(warned(&format!("{LEAST}businesses = {listed}\n")), expected, "{listed}");
    }
    for first in ["", "code = \"*\"", "accept = false\nmax_pending = 7"] {
        let said = two(first, "till = \"t\"");
        assert!(
            said.iter().any(|line| line.starts_with("offline.rule[b]: rule a before it")),
            "{first}: {said:?}"
        );
    }
    for first in ["code = \"V-*\"", "checked_within = \"5m\"", "cause = \"tls\"", "branch = \"7\""]
    {
        let said = two(first, "");
        assert!(!said.iter().any(|line| line.starts_with("offline")), "{first}: {said:?}");
    }
}

#[test]
fn a_rule_that_waits_for_checks_is_warned_of_where_none_are_remembered() {
    let warned = |offline: &str, rule: &str| {
        let text = format!("{LEAST}[offline]\n{offline}\n[[offline.rule]]\nname = \"a\"\n{rule}");
        let said = warnings(&text).into_iter().filter(|line| line.starts_with("offline.rule[a]."));
        said.map(|line| line.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of_type = "type = \"discount\"";
    for none in ["remember_checks = \"0s\"", "remember_checks_max = 0"] {
        assert_eq!(warned(none, of_type), ["offline.rule[a].type"], "{none}");
        assert_eq!(warned(none, "checked_within = \"5m\""), ["offline.rule[a].checked_within"]);
        assert_eq!(warned(none, "till = \"t\""), [""; 0]);
    }
    assert_eq!(warned("", of_type), [""; 0]);
    let short = "remember_checks = \"10m\"";
    assert_eq!(warned(short, "checked_within = \"11m\""), ["offline.rule[a].checked_within"]);
    assert_eq!(warned(short, "checked_within = \"10m\""), [""; 0]);
}

#[test]
fn the_readmes_limits_for_a_store_are_settings_and_nothing_in_them_is_odd() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let from = readme.find("### Set your limits").expect("the chapter");
    let block = readme[from..].split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let text = format!("{LEAST}{}", block.expect("an example"));
    let (policy, said) = (settings(&text).offline, warnings(&text));
    let plain = warnings(LEAST);
    assert_eq!(said, plain, "nothing more is warned of than without them");
    let names: Vec<&str> = policy.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["gift cards", "checked", "the rest"]);
}

#[test]
fn drop_ins_change_a_rule_by_its_name_and_add_further_ones_at_the_end() {
    let place = Place::new(&format!("{LEAST}{}", rule("max_pending = 5\naccept = false")))
        .drop_in("10.toml", &rule("max_pending = 7"))
        .drop_in("20.toml", "[[offline.rule]]\nname = \"s\"\ntill = \"t\"");
    let all = place.settings().offline;
    let names: Vec<&str> = all.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["r", "s"]);
    assert_eq!((all.rules[0].caps.max_pending, all.rules[0].accept), (Some(7), Some(false)));
}

fn tills(count: u32) -> String {
    let till = |number: u32| {
        format!("[[intake.till]]\nname = \"t{number}\"\ncredential = \"c{number}\"\n")
    };
    (0..count).map(till).collect()
}

#[test]
fn one_of_several_tills_has_three_quarters_of_the_pending_at_most() {
    let share = |tills_of: u32, offline: &str| {
        settings(&format!("{LEAST}{}[offline]\n{offline}", tills(tills_of)))
            .offline
            .max_pending_per_till
    };
    assert_eq!((share(0, ""), share(1, ""), share(2, "")), (5000, 5000, 3750));
    assert_eq!((share(2, "max_pending = 1"), share(2, "max_pending_per_till = 5000")), (1, 5000));
}

#[test]
fn a_till_is_bound_to_businesses_branches_and_a_language() {
    refused(
        LEAST,
        &[
            (
                &format!("{}language = \"fr\"", tills(1)),
                "intake.till[t0].language",
                "\"en\" or \"ar\"",
            ),
            (&format!("{}businesses = [\"\"]", tills(1)), "intake.till[t0].businesses", "item 1"),
            (&format!("{}branches = \"7\"", tills(1)), "intake.till[t0].branches", "list"),
        ],
    );
}

#[test]
fn tills_connect_to_one_address_or_to_several() {
    let list = |text: &str| settings(&format!("{LEAST}[intake]\nlisten = {text}")).intake.listen;
    assert_eq!(list("\"[::1]:1\"").len(), 1);
    assert_eq!(list("[\"127.0.0.1:1\", \"[::1]:1\"]").len(), 2);
    assert_eq!(list("[\"127.0.0.1:0\", \"127.0.0.1:0\"]").len(), 2);
    let all = "[\"0.0.0.0:1\", \"[::]:1\"]\nallow_anonymous = true";
    assert_eq!(list(all).len(), 2, "both families, each by its own");
    for (one, other) in [
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::1]:1", "[::]:1"),
        ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
    ] {
        let both = format!("[intake]\nallow_anonymous = true\nlisten = [\"{one}\", \"{other}\"]");
        refused(LEAST, &[(&both, "intake.listen", "takes")]);
    }
    let with_admin = "[intake]\nallow_anonymous = true\nlisten = \"0.0.0.0:7734\"";
    refused(LEAST, &[(with_admin, "admin.listen", "its own port")]);
    let place = Place::new(LEAST).env("REDEEMD__INTAKE__LISTEN", "127.0.0.1:1, [::1]:1");
    assert_eq!(place.settings().intake.listen.len(), 2);
    refused_rows(
        LEAST,
        r#"
        [intake] ; listen = [] | intake.listen | 1 to 16
        [intake] ; listen = ["127.0.0.1:1", "127.0.0.1:1"] | intake.listen | leave one
        [intake] ; listen = ["127.0.0.1:1", "x"] | intake.listen | ADDRESS:PORT
        [intake] ; listen = ["127.0.0.1:1", "127.0.0.1:7734"] | admin.listen | its own port
        [intake] ; listen = ["127.0.0.1:1", "0.0.0.0:2"] | intake.listen | allow_anonymous
        "#,
    );
}

#[test]
fn the_console_goes_beyond_loopback_with_tls_users_and_hosts_alone() {
    let beyond = "[admin]\nlisten = \"0.0.0.0:7734\"\n";
    let hosts = "hosts = [\"gw.example\", \"192.0.2.1\", \"::1\"]\n";
    let user = "[[admin.user]]\nname = \"u\"\nrole = \"see\"\npassword_file = \"/p\"\n";
    let tls = "[admin.tls]\ncert_file = \"/c\"\nkey_file = \"/k\"\n";
    settings(&format!("{LEAST}{beyond}{hosts}{user}{tls}"));
    refused(
        LEAST,
        &[
            (&format!("{beyond}{user}{tls}"), "admin.hosts", "beyond loopback"),
            (&format!("{beyond}hosts = []\n{user}{tls}"), "admin.hosts", "beyond loopback"),
            (&format!("{beyond}{hosts}{tls}"), "admin.user", "beyond loopback"),
            (&format!("{beyond}{hosts}{user}"), "admin.tls", "beyond loopback"),
        ],
    );
    let found = problems(&format!("{LEAST}{beyond}"));
    assert_eq!(found.lines().count(), 3, "{found}");
}

#[test]
fn hosts_are_kept_as_browsers_send_them() {
    let hosts = "hosts = [\"متجر.example\", \"FD00:0::2\", \"[fd00::3]\", \"192.168.010.1\", \
        \"Store.Example.\"]";
    let kept = settings(&format!("{LEAST}[admin]\n{hosts}")).admin.hosts;
    let sent = ["xn--pgbep1f.example", "fd00::2", "fd00::3", "192.168.8.1", "store.example"];
    assert_eq!(kept, sent);
}

#[test]
fn who_may_act_has_a_name_a_role_and_a_secret() {
    let user = "[[admin.user]]\nname = \"u\"\n";
    refused(
        LEAST,
        &[
            (&format!("{user}password_file = \"/p\""), "admin.user[u].role", "engineer"),
            (
                &format!("{user}role = \"root\"\npassword_file = \"/p\""),
                "admin.user[u].role",
                "\"decide\"",
            ),
            (&format!("{user}role = \"see\""), "admin.user[u].password_file", "credential"),
            (
                &format!(
                    "{user}role = \"see\"\npassword_file = \"/p\"\npassword_credential = \"c\""
                ),
                "admin.user[u].credential",
                "keep",
            ),
            (
                &format!("{user}role = \"see\"\ncredential = \"c\"\npassword_credential = \"d\""),
                "admin.user[u].password_credential",
                "another name of admin.user.credential: keep one",
            ),
            (
                "[[admin.token]]\nname = \"\"\nrole = \"see\"\ncredential = \"c\"",
                "admin.token[].name",
                "1 to 64",
            ),
            (
                &format!(
                    "{user}role = \"see\"\npassword_file = \"/p\"\n[[admin.token]]\nname \
                     = \"u\"\nrole = \"see\"\n\
                     credential = \"c\""
                ),
                "admin.user[u].name",
                "its own",
            ),
            ("[admin]\nhosts = [\"https://x/\"]", "admin.hosts", "item 1"),
            ("[admin]\nhosts = [\"x:7734\"]", "admin.hosts", "item 1"),
            ("[admin.tls]\ncert_file = \"/c\"", "admin.tls.key_file", "missing"),
        ],
    );
}

#[test]
fn two_providers_share_no_name_and_no_business() {
    let second = |more: &str| {
        format!("[[provider]]\nredeem_url = \"https://h/\"\ncredential = \"c\"\n{more}")
    };
    refused(LEAST, &[(&second("name = \"b\""), "provider[b].businesses", "all others already")]);
    let own = format!("{LEAST}businesses = [\"m\"]");
    refused(
        &own,
        &[(
            &second("name = \"b\"\nbusinesses = [\"n\", \"m\"]"),
            "provider[b].businesses",
            "\"retm\" already",
        )],
    );
    let dressed = second("name = \"b\"\nbusinesses = [\" Ｍ\"]");
    refused(&own, &[(&dressed, "provider[b].businesses", "\"retm\" already")]);
    refused(&own, &[(&second("name = \"retm\"\nbusinesses = [\"n\"]"), "provider[retm]", "taken")]);
}

#[test]
fn oauth_is_refused_for_what_is_wrong_with_it() {
    refused_rows(
        OAUTH,
        r#"
        client_secret_credential = "s" | provider[retm].oauth.client_secret_credential | keep
        grant = "password" | provider[retm].oauth.grant | client_credentials
        grant = "refresh_token" | provider[retm].oauth.refresh_token_file | begins with one
        refresh_token_file = "/r" | provider[retm].oauth.refresh_token_file | take this out
        grant = "refresh_token" ; refresh_token_file = "/r" ;
            refresh_token_credential = "r" | provider[retm].oauth.refresh_token_credential | keep
        "#,
    );
    let plain = OAUTH.replace("https://svc.retm.sa/token", "http://svc.retm.sa/token");
    refused(&plain, &[("", "provider[retm].oauth.token_url", "loopback")]);
    for (line, key) in [
        ("token_url", "token_url"),
        ("client_id", "client_id"),
        ("client_secret_file", "client_secret_file"),
    ] {
        let without: Vec<&str> = OAUTH.lines().filter(|text| !text.starts_with(line)).collect();
        refused(&without.join("\n"), &[("", &format!("provider[retm].oauth.{key}"), "missing")]);
    }
    let Auth::OAuth(oauth) = &settings(OAUTH).providers[0].auth else { panic!("oauth") };
    assert_eq!((oauth.grant, &oauth.refresh_token), (Grant::ClientCredentials, &None));
}

#[test]
fn a_listener_that_others_reach_needs_tokens_or_consent() {
    let open = "[intake]\nlisten = \"0.0.0.0:7733\"\n";
    refused(LEAST, &[(open, "intake.listen", "allow_anonymous")]);
    let consent = warnings(&format!("{LEAST}\n{open}allow_anonymous = true"));
    assert!(consent.iter().any(|line| line.contains("can redeem")), "{consent:?}");
    let tills = format!("{LEAST}\n{open}[[intake.till]]\nname = \"t\"\ncredential = \"c\"");
    assert!(warnings(&tills).iter().any(|line| line.contains("[intake.tls]")));
}

#[test]
fn plain_http_stands_on_loopback_or_by_consent() {
    let loopback = LEAST.replace("https://svc.retm.sa", "http://127.0.0.1:7799");
    assert!(!warnings(&loopback).iter().any(|line| line.contains("plain http")));
    let consent = LEAST.replace("https://svc", "http://svc") + "allow_plain_http = true";
    assert!(
        warnings(&consent)
            .iter()
            .any(|line| line.starts_with("provider[retm].redeem_url: plain http"))
    );
}

#[test]
fn what_is_allowed_but_odd_is_warned_of() {
    let every = warnings(&format!("{LEAST}reusable_codes = [\"*\"]\ndeclined_status = [404]"));
    assert!(
        every.iter().any(|line| line.starts_with("provider[retm].reusable_codes: ")),
        "{every:?}"
    );
    assert!(
        every.iter().any(|line| line.starts_with("provider[retm].declined_status: ")),
        "{every:?}"
    );
    refused(&LEAST.replace("svc.", "SERVICE."), &[("", "provider[retm].redeem_url", "service id")]);
    assert!(
        !warnings(&format!("{LEAST}reusable_codes = [\"S*\"]"))
            .iter()
            .any(|line| line.contains("reusable"))
    );
}

#[test]
fn no_type_is_coerced_into_another() {
    refused_rows(
        LEAST,
        r#"
        [offline] ; max_pending = 3.7 | offline.max_pending | 3.7
        [offline] ; max_pending = true | offline.max_pending | whole number
        [offline] ; max_pending = "5" | offline.max_pending | without quotes
        [offline] ; accept = 1 | offline.accept | true or false
        [offline] ; accept = "true" | offline.accept | true or false
        [offline] ; max_outage = 72 | offline.max_outage | "72s"
        [offline] ; max_outage = "72" | offline.max_outage | unit
        [offline] ; max_outage = "0" | offline.max_outage | unit
        [gateway] ; name = 5 | gateway.name | in quotes
        [intake] ; listen = 7733 | intake.listen | a list of strings
        [intake] ; listen = [7733] | intake.listen | item 1: 7733
        [[intake.till]] ; name = "t" ; token_file = 5 | intake.till[t].token_file | a path in quotes
        gateway = "x" | provider[retm].gateway | no such setting
        "#,
    );
    refused(
        LEAST,
        &[
            ("declined_status = [400, 4.5]", "provider[retm].declined_status", "item 2: 4.5"),
            (
                "declined_status = [4.5, 400, \"400\"]",
                "provider[retm].declined_status",
                "item 1: 4.5 is not a whole number; item 3: \"400\" is not a whole number",
            ),
            ("declined_status = [401, 400]", "provider[retm].declined_status", "item 1: 401"),
            ("declined_status = 400", "provider[retm].declined_status", "[400, 404]"),
            ("already_used = \"used\"", "provider[retm].already_used", "a list of strings"),
            ("already_used = [1]", "provider[retm].already_used", "item 1: 1"),
        ],
    );
    refused("offline = 5", &[(LEAST, "offline", "[offline]")]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    refused_rows(
        LEAST,
        r#"
        tiemout = "5s" | provider[retm].tiemout | `timeout`
        token = "s3cr3t" | provider[retm].token | `token_file`
        [intak] ; listen = "x" | intak | `intake`
        [offline] ; retry_max = "5s" | offline.retry_max | [forward]
        [retention] ; pear = 1 | retention.pear | known here: settled, codes
        [intake.tls] ; keyfile = "/x" ; cert_file = "/c" ;
            key_file = "/k" | intake.tls.keyfile | `key_file`
        "#,
    );
    assert!(!problems(&format!("{LEAST}token = \"s3cr3t\"")).contains("s3cr3t"));
}

#[test]
fn all_problems_come_at_once_each_with_its_key_and_its_file() {
    let place = Place::new(
        "[offline]\nmax_pending = 0\nmax_outage = 5\n[[provider]]\nname \
            = \"p\"\ntimeout = \"9m\"\nx = 1",
    )
    .drop_in("10.toml", "[forward]\nretry_max = \"2h\"\n[gatway]\nname = \"g\"")
    .env("REDEEMD__INTAKE__REPLY_WITHIN", "9");
    let main = place.path("redeemd.toml").display().to_string();
    let drop_in = place.path("conf.d/10.toml").display().to_string();
    let found = place.problems();
    for (key, origin) in [
        ("offline.max_pending", &*main),
        ("offline.max_outage", &main),
        ("provider[p].timeout", &main),
        ("provider[p].x", &main),
        ("forward.retry_max", &drop_in),
        ("gatway", &drop_in),
        ("intake.reply_within", "REDEEMD__INTAKE__REPLY_WITHIN"),
    ] {
        let line = found.lines().find(|line| line.starts_with(&format!("{key}: ")));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!("(in {origin})"))),
            "{key}\n{found}"
        );
    }
    for key in ["provider[p].redeem_url: it is missing", "provider[p].token_file: a provider needs"]
    {
        assert!(found.contains(key), "{key}\n{found}");
    }
    assert_eq!(found.lines().count(), 9, "{found}");
}

#[test]
fn a_file_that_is_missing_or_broken_is_the_only_problem() {
    let place = Place::new(LEAST);
    fs::remove_file(place.path("redeemd.toml")).unwrap();
    let found = place.problems();
    assert!(
        found.contains("redeemd.toml: the file cannot be read") && found.lines().count() == 1,
        "{found}"
    );

    let found = Place::new("[offline\naccept = true").problems();
    assert!(
        found.contains("redeemd.toml: TOML parse error at line 1") && found.lines().count() == 1,
        "{found}"
    );

    let place = Place::new(LEAST);
    fs::write(place.path("redeemd.toml"), [0xff, 0xfe]).unwrap();
    assert!(place.problems().contains("UTF-8"));

    let place = Place::new(LEAST);
    fs::write(place.path("redeemd.toml"), vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    assert!(place.problems().contains("larger than"));

    let place = Place::new(LEAST);
    fs::create_dir(place.path("conf.d/20.toml")).unwrap();
    assert!(place.problems().contains("20.toml: this is not a file but a folder"));
}

#[test]
fn drop_ins_win_key_by_key_in_the_order_of_their_names() {
    let place = Place::new(&format!(
        "{LEAST}timeout = \"7s\"\n[offline]\nmax_pending = 1\n[gateway]\nname = \"a\""
    ))
    .drop_in("20.toml", "[offline]\nmax_pending = 20")
    .drop_in("10.toml", "[offline]\nmax_pending = 10\nmax_outage = \"1h\"")
    .drop_in("30.toml.dpkg-new", "nonsense")
    .drop_in(".40.toml", "nonsense");
    let all = place.settings();
    assert_eq!((all.offline.max_pending, all.offline.max_outage), (20, Duration::from_hours(1)));
    assert_eq!(all.gateway.name, "a");
    assert_eq!(all.providers[0].timeout, Duration::from_secs(7));
}

#[test]
fn drop_ins_are_read_in_the_order_of_their_names_whatever_the_folder_says() {
    let mut place = Place::new(LEAST);
    // So many, made in an order of their own, that a folder does not list them sorted by chance.
    for number in (0..32).map(|step| step * 13 % 32) {
        let till = format!("[[intake.till]]\nname = \"t{number:02}\"\ncredential = \"c\"");
        place = place.drop_in(&format!("{number:02}.toml"), &till);
    }
    let names: Vec<String> =
        place.settings().intake.tills.into_iter().map(|till| till.name).collect();
    assert!(names.len() == 32 && names.is_sorted(), "{names:?}");
}

#[test]
fn a_later_files_texts_win_text_by_text() {
    let texts = |text: &str| format!("[intake.texts.en]\n{text}");
    let place = Place::new(&format!("{LEAST}{}", texts("held = \"a\"\nstopping = \"b\"")))
        .drop_in("10.toml", &texts("held = \"c\"\nfailed = \"d\""));
    let texts = place.settings().intake.texts;
    let of = |refusal| texts.of(&refusal, Language::English);
    let all = [of(Refusal::Held), of(Refusal::Stopping), of(Refusal::Failed), of(Refusal::Busy)];
    assert_eq!(all.each_ref().map(Option::as_deref), [Some("c"), Some("b"), Some("d"), None]);
    let found = place.env("REDEEMD__INTAKE__TEXTS__EN", "x").problems();
    assert!(found.starts_with("intake.texts.en: no variable holds a table"), "{found}");
}

#[test]
fn named_tables_merge_by_name_and_new_ones_are_appended() {
    let place = Place::new(&format!(
        "{LEAST}timeout = \"7s\"\nbusinesses = [\"m\"]\n[[intake.till]]\nname = \"t1\"\ncredential \
         = \"c1\""
    ))
    .drop_in(
        "10.toml",
        "[[provider]]\nname = \"retm\"\ntimeout = \"8s\"\n[[intake.till]]\nname \
         = \"t2\"\ncredential = \"c2\"",
    )
    .drop_in(
        "20.toml",
        "[[provider]]\nname = \"b\"\nredeem_url = \"https://h/\"\ncredential \
        = \"b\"",
    )
    .drop_in("30.toml", "[[intake.till]]\nname = \"t1\"\ncredential = \"c3\"");
    let all = place.settings();
    let names: Vec<&str> = all.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["retm", "b"]);
    assert_eq!(
        (all.providers[0].timeout, all.providers[0].businesses.len()),
        (Duration::from_secs(8), 1)
    );
    let tokens: Vec<_> =
        all.intake.tills.iter().map(|till| (till.name.as_str(), till.token.clone())).collect();
    let credential = |name: &str| SecretSource::Credential(name.to_owned());
    assert_eq!(tokens, [("t1", credential("c3")), ("t2", credential("c2"))]);
}

#[test]
fn a_later_file_that_chooses_another_way_to_authorise_takes_the_earlier_one_back() {
    let token = "[[provider]]\nname = \"retm\"\ncredential = \"c\"";
    let all = Place::new(LEAST).drop_in("10.toml", token).settings();
    assert_eq!(all.providers[0].auth, Auth::Token(SecretSource::Credential("c".to_owned())));
    let all = Place::new(OAUTH).drop_in("10.toml", token).settings();
    assert_eq!(all.providers[0].auth, Auth::Token(SecretSource::Credential("c".to_owned())));
    let oauth = OAUTH.replace("redeem_url", "check_url");
    let all = Place::new(LEAST).drop_in("10.toml", &oauth).settings();
    assert!(matches!(all.providers[0].auth, Auth::OAuth(_)));
    let id = "[[provider]]\nname = \"retm\"\n[provider.oauth]\nclient_id \
        = \"other\"\nclient_secret_credential = \"s\"";
    let all = Place::new(OAUTH).drop_in("10.toml", id).settings();
    let Auth::OAuth(oauth) = &all.providers[0].auth else { panic!("oauth") };
    assert_eq!(
        (oauth.client_id.as_str(), oauth.token_url.as_str()),
        ("other", "https://svc.retm.sa/token")
    );
    assert_eq!(oauth.client_secret, SecretSource::Credential("s".to_owned()));
}

#[test]
fn the_environment_wins_over_the_files() {
    let all = Place::new(&format!("{LEAST}[[intake.till]]\nname = \"Till 1\"\ncredential = \"c\""))
        .drop_in("10.toml", "[offline]\nmax_pending = 10\naccept = true")
        .env("REDEEMD__OFFLINE__MAX_PENDING", "100")
        .env("REDEEMD__OFFLINE__ACCEPT", "false")
        .env("REDEEMD__GATEWAY__NAME", "42")
        .env("REDEEMD__INTAKE__REPLY_WITHIN", "2s")
        .env("REDEEMD__PROVIDER__RETM__BUSINESSES", "a, b,c")
        .env("REDEEMD__PROVIDER__RETM__DECLINED_STATUS", "400,404")
        .env("REDEEMD__PROVIDER__RETM__ALREADY_USED", "")
        .env("REDEEMD__INTAKE__TILL__TILL_1__TOKEN_FILE", "/t")
        .env("REDEEMD_OTHER", "x")
        .settings();
    assert_eq!(
        (all.offline.max_pending, all.offline.accept, all.gateway.name.as_str()),
        (100, false, "42")
    );
    assert_eq!(all.intake.reply_within, Duration::from_secs(2));
    let provider = &all.providers[0];
    assert_eq!(provider.businesses, ["a", "b", "c"]);
    assert_eq!(provider.declined_status, [400, 404]);
    assert!(provider.already_used.is_empty());
    assert_eq!(all.intake.tills[0].token, SecretSource::File("/t".into()));
}

#[test]
fn a_variable_that_fits_no_key_or_holds_no_value_of_it_is_refused() {
    for (name, value, says) in [
        ("REDEEMD__OFFLINE__MAX_PENDNG", "5", "`max_pending`"),
        ("REDEEMD__OFLINE__MAX_PENDING", "5", "`offline`"),
        ("REDEEMD__OFFLINE", "5", "a section"),
        ("REDEEMD__", "5", "a section"),
        ("REDEEMD__OFFLINE__MAX_PENDING", "3.7", "whole number"),
        ("REDEEMD__OFFLINE__MAX_PENDING", "true", "whole number"),
        ("REDEEMD__OFFLINE__MAX_PENDING", "", "whole number"),
        ("REDEEMD__OFFLINE__ACCEPT", "yes", "true or false"),
        ("REDEEMD__OFFLINE__MAX_OUTAGE", "72", "unit"),
        ("REDEEMD__GATEWAY__STATE_DIR", "state", "absolute"),
        ("REDEEMD__PROVIDER__OTHER__TIMEOUT", "5s", "add it there"),
        ("REDEEMD__PROVIDER__RETM__TIEMOUT", "5s", "`timeout`"),
        ("REDEEMD__PROVIDER__RETM__NAME", "x", "in the file alone"),
        ("REDEEMD__PROVIDER__RETM__DECLINED_STATUS", "400,x", "whole numbers"),
        ("REDEEMD__PROVIDER__RETM__REDEEM_URL", "https://u:hunter2@h/", "no password"),
        ("REDEEMD__INTAKE__TEXTS__EN", "x", "no variable holds a table"),
        ("REDEEMD__INTAKE__TEXTS__EN__USED", "x", "write it into a file"),
        ("REDEEMD__INTAKE__TEXTS__AR__USDE", "x", "no variable holds a table"),
    ] {
        let found = Place::new(LEAST).env(name, value).problems();
        assert!(
            found.contains(says) && found.contains(name) && found.lines().count() == 1,
            "{name}={value}\n{found}"
        );
        assert!(!found.contains("hunter2"), "{found}");
    }
    let twins = "[[provider]]\nname = \"re-tm\"\nredeem_url = \"https://h/\"\ncredential \
        = \"b\"\nbusinesses = [\"x\"]\n\
                 [[provider]]\nname = \"re.tm\"\nredeem_url = \"https://h/\"\ncredential \
                 = \"b\"\nbusinesses = [\"y\"]";
    let found = Place::new(twins).env("REDEEMD__PROVIDER__RE_TM__TIMEOUT", "5s").problems();
    assert!(found.contains("more than one"), "{found}");
}

#[test]
fn the_service_manager_s_folders_are_used() {
    let place = Place::new(&format!("{LEAST}[gateway]\nstate_dir = \"/elsewhere\""))
        .env("STATE_DIRECTORY", "/var/lib/private/redeemd:/var/lib/more")
        .env("RUNTIME_DIRECTORY", "/run/redeemd")
        .env("CREDENTIALS_DIRECTORY", "/run/credentials/redeemd.service");
    let loaded = place.load().unwrap();
    assert_eq!(loaded.settings.gateway.state_dir, Path::new("/var/lib/private/redeemd"));
    assert_eq!(loaded.settings.admin.socket, Path::new("/run/redeemd/admin.sock"));
    assert_eq!(
        loaded.credentials_dir.as_deref(),
        Some(Path::new("/run/credentials/redeemd.service"))
    );
    assert!(
        loaded.warnings.iter().any(|line| line.starts_with("gateway.state_dir: ")),
        "{:?}",
        loaded.warnings
    );

    let all = Place::new(&format!("{LEAST}[admin]\nsocket = \"/s.sock\""))
        .env("RUNTIME_DIRECTORY", "/run/x")
        .settings();
    assert_eq!(all.admin.socket, Path::new("/s.sock"));
    let all = Place::new(LEAST).env("STATE_DIRECTORY", "").settings();
    assert_eq!(all.gateway.state_dir, Path::new("/var/lib/redeemd"));
}

#[test]
fn relative_paths_begin_at_the_file_that_names_them() {
    let place = Place::new(&LEAST.replace("/etc/redeemd/", ""))
        .drop_in("10.toml", "[gateway]\nstate_dir = \"state\"");
    let all = place.settings();
    assert_eq!(all.providers[0].auth, Auth::Token(SecretSource::File(place.path("retm.token"))));
    assert_eq!(all.gateway.state_dir, place.path("conf.d/state"));
}

#[test]
fn files_that_cannot_be_read_now_are_warned_of() {
    let place = Place::new(
        &(LEAST.replace("/etc/redeemd/", "")
            + "[[intake.till]]\nname = \"t\"\ntoken_file = \"c\"\n\
               [intake.tls]\ncert_file = \"cert\"\nkey_file = \"key\"\n[alert]\nurl \
               = \"https://h/\"\ntoken_file = \"at\""),
    );
    let keys = |place: &Place| -> Vec<String> {
        let key = |line: String| line.split(": ").next().unwrap_or_default().to_owned();
        place.load().unwrap().warnings.into_iter().map(key).collect()
    };
    assert_eq!(
        keys(&place),
        ["intake.till[t].token_file", "provider[retm].token_file", "alert.token_file"]
    );

    for file in ["key", "at", "c", "retm.token"] {
        fs::write(place.path(file), "secret").unwrap();
        fs::set_permissions(place.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(keys(&place), [""; 0]);

    for file in ["key", "retm.token"] {
        fs::set_permissions(place.path(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    assert_eq!(keys(&place), ["intake.tls.key_file", "provider[retm].token_file"]);
    fs::write(place.path("c"), "PUT-YOUR-TOKEN-HERE").unwrap();
    let guide = format!(
        "intake.till[t].token_file: {}: the file holds the guide's",
        place.path("c").display()
    );
    assert!(place.problems().starts_with(&guide), "{}", place.problems());
    for (content, fault) in [
        ("\u{feff}secret", "byte order mark"),
        ("رمز", "beyond ASCII"),
        ("secret\nsecret", "more than one line"),
        ("Bearer secret", "white space"),
    ] {
        fs::write(place.path("c"), content).unwrap();
        let warned = place.load().unwrap().warnings.join("\n");
        let path = place.path("c").display().to_string();
        assert!(warned.contains(&path) && warned.contains(fault), "{content:?}: {warned}");
        assert!(!warned.contains("secret now: secret") && !warned.contains("رمز"), "{warned}");
    }
}

#[test]
fn a_credential_is_not_known_outside_of_the_service_and_is_looked_at_inside() {
    let place = Place::new(
        &LEAST.replace("token_file = \"/etc/redeemd/retm.token\"", "credential = \"c\""),
    );
    let loaded = place.load().unwrap();
    assert!(
        loaded.warnings.is_empty() && loaded.notes.len() == 1,
        "{:?} {:?}",
        loaded.warnings,
        loaded.notes
    );
    assert!(loaded.notes[0].starts_with("provider[retm].credential: "), "{:?}", loaded.notes);
    let folder = place.path("").display().to_string();
    let place = place.env("CREDENTIALS_DIRECTORY", &folder);
    assert_eq!(place.load().unwrap().warnings.len(), 1);
    fs::write(place.path("c"), "secret").unwrap();
    let loaded = place.load().unwrap();
    assert!(loaded.warnings.is_empty() && loaded.notes.is_empty());
}

/// A place with a certificate of its own and its key.
fn with_certificate() -> Place {
    let place = Place::new(
        &(LEAST.replace("/etc/redeemd/", "")
            + "[intake.tls]\ncert_file = \"cert\"\nkey_file = \"key\""),
    );
    fs::write(place.path("retm.token"), "secret").unwrap();
    fs::set_permissions(place.path("retm.token"), fs::Permissions::from_mode(0o600)).unwrap();
    write_certificate(&place, "cert", "key");
    place
}

fn write_certificate(place: &Place, cert: &str, key: &str) {
    let made = rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    fs::write(place.path(cert), made.cert.pem()).unwrap();
    fs::write(place.path(key), made.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(place.path(key), fs::Permissions::from_mode(0o600)).unwrap();
}

fn prepared(place: &Place) -> Result<Prepared, Problems> {
    let file = place.path("redeemd.toml");
    prepare(&LoadOptions {
        file,
        environment: place.environment.clone(),
        host_name: "host".to_owned(),
    })
}

/// The one problem that a preparation has.
fn unprepared(place: &Place) -> String {
    let found = prepared(place)
        .and_then(Prepared::whole)
        .map_or_else(|problems| problems.to_string(), |_| panic!("it is good"));
    assert_eq!(found.lines().count(), 1, "{found}");
    found
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_a_problem() {
    let place = with_certificate();
    assert!(prepared(&place).unwrap().tills_certificate.is_some());
    write_certificate(&place, "other", "key");
    assert!(unprepared(&place).starts_with("intake.tls: "));
    fs::write(place.path("key"), "junk").unwrap();
    assert!(unprepared(&place).contains("private key"));
    fs::remove_file(place.path("key")).unwrap();
    assert!(unprepared(&place).contains("cannot be read"));
    fs::create_dir(place.path("key")).unwrap();
    assert!(unprepared(&place).contains("folder"));
}

#[test]
fn a_provider_whose_ca_cannot_be_used_is_broken_and_the_others_are_not() {
    let other = "[[provider]]\nname = \"other\"\nbusinesses = [\"m\"]\nredeem_url \
        = \"https://h/\"\ntoken_file = \"/t\"\n\
                 ca_file = \"../ca\"";
    let place = with_certificate().drop_in("other.toml", other);
    let broken =
        |place: &Place| prepared(place).unwrap().broken.into_keys().collect::<Vec<String>>();
    assert_eq!(broken(&place), ["other"]);
    assert!(unprepared(&place).starts_with("provider[other]: ca_file"));
    fs::write(place.path("ca"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert_eq!(broken(&place), ["other"]);
    fs::write(place.path("ca"), "no certificate at all").unwrap();
    assert_eq!(broken(&place), ["other"]);
    write_certificate(&place, "ca", "key-of-ca");
    assert_eq!(broken(&place), [""; 0]);
}

/// Files as people join them, of which a parser reads the first certificate alone, or none.
#[test]
fn a_file_of_certificates_of_which_not_all_can_be_read_is_refused_with_the_reason() {
    let other = "[[provider]]\nname = \"other\"\nbusinesses = [\"m\"]\nredeem_url \
        = \"https://h/\"\ntoken_file = \"/t\"\nca_file = \"../ca\"";
    let place = with_certificate().drop_in("other.toml", other);
    write_certificate(&place, "ca", "key-of-ca");
    let cert = fs::read_to_string(place.path("cert")).unwrap();
    let more = fs::read_to_string(place.path("ca")).unwrap();
    let end = "beginning of a line";
    for (text, says) in [
        (format!("{}{more}", cert.trim_end()), end),
        (format!("{cert} {more}"), end),
        (format!("\u{feff}{cert}{more}"), "byte order mark"),
        (format!("{cert}{}", more.replace("CERTIFICATE", "X509 CERTIFICATE")), "openssl x509"),
        (format!("{cert}{}", more.replace("CERTIFICATE", "TRUSTED CERTIFICATE")), "openssl x509"),
        (format!("{cert}{}", &more[..more.len() - 60]), "cut off"),
    ] {
        fs::write(place.path("cert"), &text).unwrap();
        let found = unprepared(&place);
        assert!(found.contains("cert: ") && found.contains(says), "{says}: {found}\n{text}");
        fs::write(place.path("cert"), format!("{cert}{more}")).unwrap();
        fs::write(place.path("ca"), &text).unwrap();
        let found = unprepared(&place);
        assert!(found.contains("ca_file") && found.contains(says), "{says}: {found}\n{text}");
        fs::write(place.path("ca"), format!("{more}{cert}")).unwrap();
        prepared(&place).unwrap();
    }
}

#[test]
fn a_folder_of_drop_ins_that_is_a_link_to_nowhere_is_a_fault() {
    let place = Place::new(LEAST);
    fs::remove_dir(place.path("conf.d")).unwrap();
    assert!(place.load().is_ok(), "without drop-ins");
    std::os::unix::fs::symlink(place.path("fleet"), place.path("conf.d")).unwrap();
    let found = place.problems();
    assert!(found.contains("conf.d") && found.contains("fleet, which is not there"), "{found}");
    fs::create_dir(place.path("fleet")).unwrap();
    assert!(place.load().is_ok());
}

#[test]
fn two_tills_with_one_token_are_a_problem() {
    let tills = "[[intake.till]]\nname = \"a\"\ntoken_file = \"../a\"\n[[intake.till]]\nname \
        = \"b\"\ntoken_file = \"../b\"";
    let place = with_certificate().drop_in("tills.toml", tills);
    fs::write(place.path("a"), "one").unwrap();
    fs::write(place.path("b"), "one\n").unwrap();
    let found = unprepared(&place);
    assert!(
        found.contains("intake.till[a]")
            && found.contains("intake.till[b]")
            && !found.contains("one\n"),
        "{found}"
    );
    fs::write(place.path("b"), "another").unwrap();
    prepared(&place).unwrap();
}

#[test]
fn the_commands_socket_takes_no_file_s_place() {
    for place in [
        "/var/lib/redeemd/redeemd.db",
        "/var/lib/redeemd/redeemd.db-wal",
        "/var/lib/redeemd/lock",
        "/var/lib/redeemd/counterpart",
        "/var/lib/redeemd/search.key",
        "/etc/redeemd/retm.token",
    ] {
        let text = format!("[admin]\nsocket = \"{place}\"");
        refused(LEAST, &[(&text, "admin.socket", "its own")]);
    }
    settings(&format!("{LEAST}[admin]\nsocket = \"/var/lib/redeemd/admin.sock\""));
}

#[test]
fn a_socket_of_systemd_keeps_the_settings_own_rule() {
    let open = settings(LEAST);
    let guarded = settings(&format!("{LEAST}{}", tills(1)));
    let store = "192.168.10.1:7733".parse().unwrap();
    assert!(
        tills_may_use(store, &open)
            .is_err_and(|problem| problem.to_string().contains("192.168.10.1"))
    );
    assert!(
        tills_may_use("127.0.0.1:7733".parse().unwrap(), &open).is_ok()
            && tills_may_use(store, &guarded).is_ok()
    );
}

#[test]
fn an_address_that_is_open_until_a_restart_keeps_the_rule_under_other_settings() {
    let [open, guarded] = [String::new(), tills(1)].map(|more| settings(&format!("{LEAST}{more}")));
    let anybody = settings(&format!("{LEAST}[intake]\nallow_anonymous = true"));
    let (store, here) = ("192.168.10.1:7733".parse().unwrap(), "127.0.0.1:7733".parse().unwrap());
    let may = |address, settings| tills_may_stay(address, settings).is_ok();
    assert!(!may((store, false), &open) && !may((store, true), &open) && may((here, true), &open));
    assert!(may((store, true), &guarded));
    // What anybody may do at the addresses of the settings, nobody may at one that left them.
    assert!(may((store, false), &anybody) && !may((store, true), &anybody));
}

#[test]
fn an_unusable_host_name_asks_for_a_name() {
    let found = parse(LEAST, "").map_or_else(|problems| problems.to_string(), |_| String::new());
    assert!(found.starts_with("gateway.name: the host name does not do"), "{found}");
}

#[test]
fn a_provider_knows_its_reusable_codes() {
    let all = settings(&format!("{LEAST}reusable_codes = [\"SUMMER*\", \"X\"]"));
    let reusable = |code: &str| all.providers[0].is_reusable(&RewardCode::new(code.to_owned()));
    assert!(reusable("SUMMER10") && reusable("X"));
    assert!(!reusable("XSUMMER10") && !reusable("summer10") && !reusable("XY"));
}

#[test]
fn only_what_a_reload_cannot_apply_needs_a_restart() {
    const ALERT: &str = "[alert]\nurl = \"https://h/\"\n";
    let old = settings(LEAST);
    assert_eq!(needs_restart(&old, &old), [""; 0]);
    let reloaded = settings(&format!(
        "{LEAST}timeout = \"5s\"\n[offline]\nmax_pending = 1\n[forward]\nmax_in_flight = \
         1\n[retention]\nsettled = \"1h\"\n\
         [intake]\nreply_within = \"1s\"\nredeem_path = \"/x\"\ncheck_path \
         = \"/y\"\n[[intake.till]]\nname = \"t\"\ncredential = \"c\"\n"
    ));
    assert_eq!(needs_restart(&old, &reloaded), [""; 0]);
    assert_eq!(until_restart(&old, reloaded.clone()), reloaded);
    let other = settings(&format!(
        "{LEAST}[gateway]\nname = \"x\"\nstate_dir = \"/x\"\n[intake]\nlisten \
         = \"127.0.0.1:1\"\n[intake.tls]\ncert_file = \"/c\"\nkey_file = \"/k\"\n[admin]\nlisten \
         = \"127.0.0.1:2\"\n\
         socket = \"/x.sock\"\n[admin.tls]\ncert_file = \"/c\"\nkey_file \
         = \"/k\"\n{ALERT}token_file = \"/t\""
    ));
    let applied = until_restart(&old, other.clone());
    assert_eq!((needs_restart(&old, &applied), &applied), (vec![], &old));
    let credential = settings(&format!("{LEAST}{ALERT}credential = \"c\""));
    let file = settings(&format!("{LEAST}{ALERT}token_file = \"/t\""));
    assert_eq!(needs_restart(&credential, &file), ["alert.token_file", "alert.credential"]);
    let other = needs_restart(&old, &other).into_iter().chain(["alert.credential"]);
    let marked: Vec<&str> = KEYS.iter().filter(|key| key.restart).map(|key| key.path).collect();
    assert_eq!(other.collect::<Vec<_>>(), marked);
}

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_shipped_file_is_not_served_before_its_provider_is_named() {
    let place = Place::new(&shipped("config/redeemd.toml"));
    let found = place.problems();
    assert!(
        found.starts_with("provider[retm].redeem_url: ") && found.contains("service id"),
        "{found}"
    );
    assert_eq!(found.lines().count(), 1, "{found}");
    let own = "[[provider]]\nname = \"retm\"\nredeem_url = \"https://svc.retm.sa/redeem\"";
    assert_eq!(place.drop_in("provider.toml", own).settings().providers.len(), 1);
    let oauth = "client_secret_credential = \"secret\"";
    for (line, key) in [
        ("check_url = \"https://SERVICE.retm.sa/check\"".to_owned(), "check_url"),
        (
            format!(
                "[provider.oauth]\ntoken_url = \"https://SERVICE.retm.sa/oauth/token\"\n\
            client_id = \"mine\"\n{oauth}"
            ),
            "oauth.token_url",
        ),
        (
            format!(
                "[provider.oauth]\ntoken_url = \"https://svc.retm.sa/oauth/token\"\n\
            client_id = \"…\"\n{oauth}"
            ),
            "oauth.client_id",
        ),
    ] {
        let auth = if line.contains("oauth") { "" } else { "credential = \"token\"\n" };
        let found = Place::new(&format!("{own}\n{auth}{line}")).problems();
        assert!(
            found.starts_with(&format!("provider[retm].{key}: ")) && found.contains("example's"),
            "{found}"
        );
    }
}

#[test]
fn the_settings_for_trying_it_load() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev.toml");
    let loaded =
        load(&LoadOptions { file, environment: BTreeMap::new(), host_name: "host".to_owned() });
    assert_eq!(loaded.unwrap_or_else(|problems| panic!("{problems}")).settings.providers.len(), 1);
}

#[path = "../packaging/settings/write.rs"]
#[allow(dead_code, reason = "its way in is the program that builds the package")]
mod write;

#[test]
fn the_shipped_file_and_the_readme_say_what_the_list_of_keys_says() {
    let (file, readme) = (shipped(write::SHIPPED), shipped(write::README));
    let renew = "`cargo run --example settings` writes them anew";
    assert!(write::shipped(&file, &shipped("packaging/redeemd.toml.5")) == file, "{renew}");
    assert!(write::readme(&readme) == readme, "{renew}");
}

#[test]
fn the_manual_page_has_every_key_once_with_its_default() {
    let page = write::manual(&shipped("packaging/redeemd.toml.5")).replace("\\-", "-");
    for key in KEYS {
        let default = key.default.map(|default| format!(" = {default}")).unwrap_or_default();
        let restart = if key.restart { " (restart)" } else { "" };
        let entry = format!("\n\\fB{}\\fR{default}{restart}\n", key.path);
        assert_eq!(page.matches(&entry).count(), 1, "{}", key.path);
    }
    assert!(!page.contains("{bounds}"));
}

proptest::proptest! {
    #[test]
    fn no_damage_to_the_text_makes_the_loader_panic(
        from in 0_usize..9000,
        count in 0_usize..60,
        put in "[\\[\\]\"=.#a*\\PC]{0,6}",
    ) {
        let shipped = shipped("config/redeemd.toml").replace("\n# ", "\n");
        let mut text: Vec<char> = shipped.chars().collect();
        let from = from.min(text.len());
        text.splice(from..(from + count).min(text.len()), put.chars());
        let text: String = text.into_iter().collect();
        if let Err(problems) = parse(&text, "host") {
            proptest::prop_assert!(!problems.0.is_empty());
        }
    }
}
