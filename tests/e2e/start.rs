//! Starts and reloads that must not go well: another daemon, a state directory that cannot be used,
//! wrong settings.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{
    Builder, Gateway, Mount, NOBODY, Order, Provider, Till, as_nobody, eventually,
    in_a_network_of_its_own, redeemd, until,
};

#[test]
fn a_second_daemon_on_one_state_directory_ends_with_75_and_names_the_first() {
    let provider = Provider::start();
    let mut first = Gateway::before(&provider);
    let mut second =
        Gateway::with().lane("main", &provider, "").state_in(&first.state_dir()).stopped();
    let (status, said) = second.start_in_vain();
    assert_eq!(status.code(), Some(75), "{said}");
    assert!(said.contains(&format!("pid {}", first.pid())) && said.contains("state"), "{said}");
    assert_eq!(first.till("").redeem("STILL").status, 200);
    first.wait_until_drained();
    // The lock goes with the process, however it ends.
    first.kill9();
    second.start();
    assert_eq!(second.till("").redeem("NOW").status, 200);
    second.wait_until_drained();
}

#[test]
fn an_address_that_is_taken_ends_the_start_with_70_and_names_its_key() {
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").stopped();
    for (address, key) in
        [(gateway.tills(), "intake.listen"), (gateway.admin_address(), "admin.listen")]
    {
        let taken = std::net::TcpListener::bind(address).unwrap();
        let (status, said) = gateway.start_in_vain();
        assert_eq!(status.code(), Some(70), "{said}");
        assert!(said.contains(&format!("{address} ({key})")), "{said}");
        drop(taken);
    }
    gateway.start();
    assert!(!gateway.log().contains("was not in order"), "{}", gateway.log());
}

/// 192.0.2.0/24 is nobody's (RFC 5737).
#[test]
fn an_address_that_the_machine_does_not_have_yet_takes_nothing_down_and_is_told() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "").till("till-1", "token-1");
    let mut gateway = builder.also_listen(([192, 0, 2, 1], 7733).into()).start();
    assert_eq!(gateway.till("till-1").redeem("SERVED").status, 200);
    let told = "does not have the address 192.0.2.1:7733 of intake.listen now";
    assert!(gateway.log().contains(told), "{}", gateway.log());
}

#[test]
fn a_reload_that_names_a_secrets_file_that_is_not_there_changes_nothing() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "");
    let (token, table) = (builder.folder().join("t"), "[[intake.till]]\nname = \"t\"\ntoken_file");
    std::fs::write(&token, "token-t").unwrap();
    let with = |path: &std::path::Path| format!("{table} = \"{}\"", path.display());
    let missing = token.with_extension("missing");
    let mut gateway = builder.more(&with(&token)).start();
    let served =
        |gateway: &Gateway, code: &str| gateway.stranger(Some("token-t")).redeem(code).status;
    assert_eq!(served(&gateway, "BEFORE"), 200);
    gateway.rewrite(&with(&missing));
    gateway.reload();
    until("the fault is shown", || {
        gateway.status()["reload_faults"].to_string().contains("intake.till[t].token_file: ")
    });
    assert_eq!(served(&gateway, "AFTER"), 200, "the token of before holds");
    std::fs::rename(&token, &missing).unwrap();
    gateway.reload();
    until("it is taken", || gateway.log().contains("the settings were read again"));
    assert_eq!(served(&gateway, "MOVED"), 200);
    // What is named already may be gone for a moment.
    std::fs::rename(&missing, &token).unwrap();
    gateway.reload();
    until("it is taken again", || {
        gateway.log().matches("the settings were read again").count() == 2
    });
    assert_eq!(served(&gateway, "GONE"), 200);
}

#[test]
fn a_state_directory_in_memory_is_warned_about_and_works() {
    let Some(memory) = Mount::tmpfs() else { return };
    let provider = Provider::start();
    let mut gateway =
        Gateway::with().lane("main", &provider, "").state_in(&memory.path().join("state")).start();
    assert!(gateway.log().contains("memory (tmpfs)"), "{}", gateway.log());
    assert_eq!(gateway.till("").redeem("ANY").status, 200);
    gateway.wait_until_drained();
    let mut on_disk = Gateway::before(&provider);
    assert!(!on_disk.log().contains("tmpfs"));
}

#[test]
fn a_state_directory_of_somebody_elses_ends_the_start_with_73_and_its_name() {
    let provider = Provider::start();
    let Some(builder) = as_nobody(&provider) else { return };
    let mut gateway = builder.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    for mode in [0o700, 0o755] {
        std::fs::set_permissions(gateway.state_dir(), std::fs::Permissions::from_mode(mode))
            .unwrap();
        let (status, said) = gateway.start_in_vain();
        assert_eq!(status.code(), Some(73), "{said}");
        let dir = gateway.state_dir().display().to_string();
        assert!(said.contains(&dir) && said.contains("ermission denied"), "mode {mode:o}: {said}");
    }
    chown(gateway.state_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    gateway.start();
    assert_eq!(gateway.till("").redeem("ANY").status, 200);
    gateway.wait_until_drained();
}

#[test]
fn a_database_of_somebody_elses_ends_the_start_with_73_and_its_name() {
    let provider = Provider::start();
    let Some(builder) = as_nobody(&provider) else { return };
    let mut gateway = builder.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    chown(gateway.state_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    gateway.start();
    assert!(gateway.terminate().success());
    let database = gateway.state_dir().join("redeemd.db");
    let bytes = std::fs::read(&database).unwrap();
    for (owner, mode) in [(0, 0o600), (0, 0o644)] {
        chown(&database, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(&database, std::fs::Permissions::from_mode(mode)).unwrap();
        let (status, said) = gateway.start_in_vain();
        assert_eq!(status.code(), Some(73), "mode {mode:o}: {said}");
        assert!(said.contains("redeemd.db"), "mode {mode:o}: {said}");
        assert_eq!(std::fs::read(&database).unwrap(), bytes, "it was touched");
    }
}

/// Makes a machine on which the service's user may read the tills' key by a group alone: `$1` is
/// the program, `$2` an empty folder.
const MACHINE: &str = r#"
    cp "$1" "$2/redeemd" && set -- "$2/redeemd" "$2"
    cp -a /etc "$2/etc" && mount --bind "$2/etc" /etc
    mkdir -p /etc/redeemd/conf.d && cd /etc/redeemd
    sed -i '/^redeemd:/d' /etc/passwd /etc/group
    echo 'redeemd:x:9871:9871::/nowhere:/usr/sbin/nologin' >>/etc/passwd
    printf 'redeemd:x:9871:\nkeys-of-redeemd:x:9872:redeemd\n' >>/etc/group
    mkdir -m 700 "$2/state" && chown redeemd "$2/state"
    echo secret >token && chown root:redeemd token
    "$1" make-certificate localhost --cert-file cert.pem --key-file key.pem
    chown root:keys-of-redeemd key.pem && chmod 644 cert.pem && chmod 640 token key.pem
    printf '%s\n' '[gateway]' 'name = "a"' "state_dir = '$2/state'" \
        '[intake.tls]' 'cert_file = "cert.pem"' 'key_file = "key.pem"' \
        '[[provider]]' 'name = "a"' 'redeem_url = "https://a.example/"' 'token_file = "token"' \
        >redeemd.toml
"#;

/// Checks on it as root.
const CHECK_AS_ROOT: &str = r#"
    "$1" check
    chown root:root key.pem && ! "$1" check
"#;

/// Checks what the service's unit forbids; then with the tills' port from systemd.
const CHECK_THE_UNIT: &str = r#"
    mount -t tmpfs none /run && mkdir -p /run/systemd/system "$2/bin"
    mount -t tmpfs none /var/tmp && chmod 755 /var/tmp && cp -p cert.pem key.pem /var/tmp
    printf '%s\n' '[intake]' 'listen = "127.0.0.1:80"' '[admin]' 'listen = "127.0.0.1:443"' \
        '[intake.tls]' 'cert_file = "/var/tmp/cert.pem"' >conf.d/x.toml
    PATH="$2/bin:$PATH"
    for listen in '' '127.0.0.1:80 (Stream)'; do
        printf '%s\n' '#!/bin/sh' "case \"\$*\" in *Listen*) echo '$listen'; exit;; esac" \
            "printf '%s\\n' StateDirectory=redeemd PrivateTmp=yes ProtectHome=yes \\" \
            'CapabilityBoundingSet= AmbientCapabilities= User=redeemd' >"$2/bin/systemctl"
        chmod 755 "$2/bin/systemctl"
        "$1" check
    done
"#;

/// What a script prints on that machine, and on standard error.
fn on_a_machine(script: &str) -> [String; 2] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-euc", &format!("{MACHINE}{script}"), "sh"]);
    shell.arg(redeemd("check").get_program()).arg(folder.path());
    let ran = shell.output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(ran.status.success(), "{said:?}");
    said
}

#[test]
fn a_check_as_root_may_what_the_groups_of_the_services_user_let_it() {
    let name = "start::a_check_as_root_may_what_the_groups_of_the_services_user_let_it";
    in_a_network_of_its_own(name, || {
        let [out, err] = on_a_machine(CHECK_AS_ROOT);
        assert!(out.contains("the settings are good (looked at as the user redeemd)"), "{out}");
        assert!(err.contains("key.pem: the file cannot be read"), "{err}");
    });
}

#[test]
fn a_check_of_the_services_settings_names_the_units_lines_that_forbid_what_they_say() {
    let name =
        "start::a_check_of_the_services_settings_names_the_units_lines_that_forbid_what_they_say";
    in_a_network_of_its_own(name, || {
        let [out, err] = on_a_machine(CHECK_THE_UNIT);
        assert_eq!(out.matches("the settings are good").count(), 2, "{out}{err}");
        for (said, times) in [
            ("warning: /var/tmp/cert.pem: redeemd.service has PrivateTmp=yes", 2),
            ("cannot listen on 127.0.0.1:443, for it has CapabilityBoundingSet=", 2),
            ("cannot listen on 127.0.0.1:80,", 1),
            ("StateDirectory=, which wins over it: /var/lib/redeemd", 2),
        ] {
            assert_eq!(err.matches(said).count(), times, "{said}: {err}");
        }
    });
}

#[test]
fn settings_that_are_wrong_at_the_start_are_all_listed_with_their_keys() {
    let provider = Provider::start();
    let mut gateway = Gateway::with()
        .lane("main", &provider, "timeout = \"soon\"")
        .intake("reply_within = 3\nbogus = true")
        .offline("max_pending = 3.7")
        .more("[retention]\nsettled = \"1s\"\n[nonsense]\nx = 1")
        .stopped();
    let (status, said) = gateway.start_in_vain();
    assert_eq!(status.code(), Some(78), "{said}");
    let keys = [
        "intake.reply_within",
        "intake.bogus",
        "provider[main].timeout",
        "offline.max_pending",
        "retention.settled",
        "nonsense",
    ];
    for key in keys {
        assert!(said.lines().any(|line| line.contains(key)), "{key} is not in: {said}");
    }
    assert!(!gateway.state_dir().join("redeemd.db").exists(), "it began all the same");
}

#[test]
fn settings_that_are_wrong_at_a_reload_change_nothing_and_are_shown_until_they_are_right() {
    let provider = Provider::start();
    let mut gateway =
        Gateway::with().lane("main", &provider, "").offline("max_pending = 3").start();
    gateway.rewrite("[retention]\nsettled = \"1s\"\n[nonsense]\nx = 1");
    gateway.reload();
    let faults = eventually("the faults are shown", || {
        let faults = gateway.status()["reload_faults"].to_string();
        (faults != "[]").then_some(faults)
    });
    assert!(faults.contains("retention.settled") && faults.contains("nonsense"), "{faults}");
    until("the log names it", || gateway.log().contains("retention.settled"));
    // What held before holds.
    assert_eq!(gateway.till("").redeem("ONLINE").status, 200);
    gateway.wait_until_drained();
    provider.cut();
    for n in 0..3 {
        assert_eq!(gateway.till("").redeem(&format!("OFFLINE-{n}")).status, 200);
    }
    assert_eq!(gateway.till("").redeem("OFFLINE-3").status, 503);
    gateway.rewrite("[retention]\nsettled = \"2h\"");
    gateway.reload();
    until("the faults are gone", || {
        gateway.status()["reload_faults"].as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn a_provider_that_a_reload_takes_away_leaves_its_rows_waiting_and_a_changed_one_gets_them() {
    let (main, other, third) = (Provider::start(), Provider::start(), Provider::start());
    let builder = Gateway::with().lane("main", &main, "businesses = [\"MAIN\"]");
    let token = builder.folder().join("main.token");
    let named = |provider: &Provider| {
        let (url, token) = (&provider.redeem_url, token.display());
        format!("[[provider]]\nname = \"other\"\nredeem_url = \"{url}\"\ntoken_file = \"{token}\"")
    };
    let mut gateway = builder.more(&named(&other)).start();
    other.cut();
    assert_eq!(gateway.till("").redeem("WAITS").state(), "pending");
    gateway.wait_for_link("other", "down");
    gateway.rewrite("");
    gateway.reload();
    let lane = gateway.wait_for_link("other", "held");
    assert_eq!((&lane["cause"], &lane["pending"]), (&"not_configured".into(), &1.into()), "{lane}");
    let told = gateway.command(&["flush", "other"]);
    assert!(told.code == Some(1) && told.err.contains("it is not configured"), "{told:?}");
    until("the reload is whole", || gateway.log().contains("the settings were read again"));
    assert_eq!(gateway.till("").redeem("NOBODYS").status, 400);
    gateway.rewrite(&named(&other));
    gateway.reload();
    gateway.wait_for_link("other", "down");
    gateway.rewrite(&named(&third));
    gateway.reload();
    assert_eq!(gateway.wait_until_drained().confirmed, 1);
    assert_eq!((third.summary("codes_taken"), other.requests().len()), (1, 0));
}

fn has_lane(gateway: &Gateway, name: &str) -> bool {
    gateway.status()["lanes"].as_array().unwrap().iter().any(|lane| lane["name"] == name)
}

/// The settings' one provider, by this name.
fn named(folder: &Path, provider: &Provider, name: &str) -> String {
    let (url, folder) = (&provider.redeem_url, folder.display());
    format!(
        "[[provider]]\nname = \"{name}\"\nredeem_url = \"{url}\"\n\
         token_file = \"{folder}/any.token\"\ntimeout = \"60s\""
    )
}

/// A gateway whose lane `main` has an attempt on the wire that is not answered.
fn with_an_attempt_that_hangs(provider: &Provider) -> Gateway {
    let builder = Gateway::with();
    let folder = builder.folder().to_owned();
    std::fs::write(folder.join("any.token"), "provider-token").unwrap();
    let gateway = builder.more(&named(&folder, provider, "main")).start();
    provider.cut();
    assert_eq!(gateway.till("").redeem("SLOW").state(), "pending");
    provider.rules(&["fault=hang-before-taking,code=SLOW"]);
    provider.restore();
    gateway.says(&["flush", "main"]);
    until("the attempt is on the wire", || !provider.requests_for("SLOW").is_empty());
    gateway
}

fn rename(gateway: &mut Gateway, provider: &Provider, name: &str) {
    let settings = named(gateway.folder(), provider, name);
    gateway.rewrite(&settings);
    gateway.reload();
}

#[test]
fn a_reload_that_renames_a_provider_turns_no_till_away_while_an_attempt_is_on_the_wire() {
    let provider = Provider::start();
    let mut gateway = with_an_attempt_that_hangs(&provider);
    let began = Instant::now();
    rename(&mut gateway, &provider, "renamed");
    until("the lane has another name", || has_lane(&gateway, "renamed"));
    assert_eq!(gateway.till("").redeem("NEXT").state(), "confirmed");
    assert_eq!(gateway.lane("main")["cause"], "not_configured");
    // The name comes back while the lane that had it still ends: there are never two of one name.
    provider.rules(&[]);
    rename(&mut gateway, &provider, "main");
    assert_eq!(gateway.till("").redeem("MEANWHILE").state(), "confirmed");
    until("the lane has its old name", || !has_lane(&gateway, "renamed"));
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(gateway.till("").redeem("LAST").state(), "confirmed");
    assert_eq!(gateway.wait_until_drained().confirmed, 4);
    assert_eq!(provider.requests_for("SLOW").len(), 2);
    provider.assert_one_key_each();
}

#[test]
fn a_stop_waits_for_a_lane_that_a_reload_has_taken_away_just_now() {
    let provider = Provider::start();
    let mut gateway = with_an_attempt_that_hangs(&provider);
    rename(&mut gateway, &provider, "renamed");
    until("the lane has another name", || has_lane(&gateway, "renamed"));
    let began = Instant::now();
    assert!(gateway.terminate().success());
    let took = began.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(9), "{took:?}");
    provider.rules(&[]);
    let settings = named(gateway.folder(), &provider, "main");
    gateway.rewrite(&settings);
    gateway.start();
    assert_eq!(gateway.wait_until_drained().confirmed, 1);
    provider.assert_one_key_each();
}

/// A lane `other` for the business OTHER, whose authorities are in a file of the gateway's folder.
fn with_authorities(builder: &Builder, provider: &Provider, token: &str) -> String {
    let (url, folder) = (&provider.redeem_url, builder.folder().display());
    format!(
        "[[provider]]\nname = \"other\"\nbusinesses = [\"OTHER\"]\nredeem_url \
         = \"{url}\"\ntoken_file = \"{folder}/{token}\"\n\
         ca_file = \"{folder}/ca.pem\""
    )
}

fn authorities() -> String {
    rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap().cert.pem()
}

#[test]
fn a_provider_whose_file_is_broken_at_the_start_has_its_lane_held_and_the_others_are_served() {
    let (main, other) = (Provider::start(), Provider::start());
    let builder = Gateway::with().lane("main", &main, "");
    let settings = with_authorities(&builder, &other, "main.token");
    let mut gateway = builder.more(&settings).start();
    let lane = gateway.wait_for_link("other", "held");
    assert_eq!(lane["cause"], "settings", "{lane}");
    assert!(lane["detail"].as_str().unwrap().contains("ca.pem"), "{lane}");
    assert_eq!(gateway.till("").redeem("SERVED").state(), "confirmed");
    let pid = gateway.pid();
    // Still broken: the reload says so and changes nothing.
    gateway.reload();
    until("the fault is shown", || {
        gateway.status()["reload_faults"].to_string().contains("ca.pem")
    });
    std::fs::write(gateway.folder().join("ca.pem"), authorities()).unwrap();
    gateway.reload();
    gateway.wait_for_link("other", "up");
    assert_eq!(gateway.pid(), pid);
    assert!(gateway.terminate().success());
}

/// A gateway whose lane `other` has authorities that can be used.
fn with_good_authorities(main: &Provider, other: &Provider) -> Gateway {
    let builder = Gateway::with().lane("main", main, "");
    let settings = with_authorities(&builder, other, "main.token");
    std::fs::write(builder.folder().join("ca.pem"), authorities()).unwrap();
    builder.more(&settings).start()
}

fn break_file(gateway: &Gateway) {
    std::fs::write(gateway.folder().join("ca.pem"), "broken").unwrap();
}

fn mend_file(gateway: &mut Gateway) {
    std::fs::write(gateway.folder().join("ca.pem"), authorities()).unwrap();
    gateway.reload();
}

fn wait_for_cause(gateway: &Gateway, wanted: &str) -> serde_json::Value {
    eventually(wanted, || Some(gateway.lane("other")).filter(|lane| lane["cause"] == wanted))
}

fn asks_other(gateway: &Gateway, code: &str) -> u16 {
    gateway.till("").order(&Order::new(code).with("business_refrence", "OTHER")).status
}

#[test]
fn an_operators_hold_outlives_starts_with_a_broken_file_and_the_file_that_is_mended() {
    let (main, other) = (Provider::start(), Provider::start());
    let mut gateway = with_good_authorities(&main, &other);
    gateway.says(&["hold", "other", "--note", "they asked us to wait"]);
    let since = wait_for_cause(&gateway, "operator")["since"].clone();
    break_file(&gateway);
    // Times are shown in whole seconds: the starts are none of the hold's.
    let held = Instant::now();
    until("another second", || held.elapsed() > Duration::from_secs(1));
    for _ in 0..2 {
        gateway.restart();
        let lane = wait_for_cause(&gateway, "settings");
        assert_eq!((&lane["link"], &lane["hold"]), (&"held".into(), &"operator".into()), "{lane}");
        assert!(lane["detail"].as_str().unwrap().ends_with("they asked us to wait"), "{lane}");
        assert_eq!(gateway.says(&["hold", "other", "--note", "again"]), "other: held");
    }
    mend_file(&mut gateway);
    let lane = wait_for_cause(&gateway, "operator");
    assert_eq!((&lane["link"], &lane["since"]), (&"held".into(), &since), "{lane}");
    assert_eq!(asks_other(&gateway, "AFTER-1"), 503);
    gateway.restart();
    assert_eq!(wait_for_cause(&gateway, "operator")["since"], since);
    assert_eq!((asks_other(&gateway, "AFTER-2"), other.requests().len()), (503, 0));
    assert_eq!(gateway.says(&["release", "other"]), "other: released");
    assert_eq!((asks_other(&gateway, "AFTER-3"), other.requests().len()), (200, 1));
}

#[test]
fn a_hold_while_a_file_is_broken_counts_when_it_is_mended_and_so_does_a_release() {
    let (main, other) = (Provider::start(), Provider::start());
    let mut gateway = with_good_authorities(&main, &other);
    break_file(&gateway);
    gateway.restart();
    let hold = ["hold", "other", "--trust", "--note", "we trust"];
    assert_eq!(gateway.says(&hold), "other: held, tills are trusted meanwhile");
    assert_eq!(asks_other(&gateway, "GIVEN"), 200);
    assert!(gateway.says(&["list"]).contains("under a hold"), "{}", gateway.says(&["list"]));
    // The next process has it from the disk.
    gateway.restart();
    assert_eq!(wait_for_cause(&gateway, "settings")["hold"], "operator");
    mend_file(&mut gateway);
    assert_eq!(wait_for_cause(&gateway, "operator")["trust"], "at_once");
    assert_eq!(other.requests().len(), 0);

    break_file(&gateway);
    gateway.restart();
    let said = gateway.says(&["release", "other"]);
    assert!(said.contains("no operator holds it now; it stays held (settings)"), "{said}");
    assert!(gateway.terminate().success());
    gateway.start();
    assert_eq!(wait_for_cause(&gateway, "settings")["hold"], serde_json::Value::Null);
    mend_file(&mut gateway);
    gateway.wait_until_drained();
    assert_eq!(other.requests().len(), 1);
}

#[test]
fn a_reload_with_one_broken_file_changes_nothing_and_the_next_one_tries_again() {
    let (main, other) = (Provider::start(), Provider::start());
    let builder = Gateway::with().lane("main", &main, "");
    let settings = with_authorities(&builder, &other, "main.token");
    let mut gateway = builder.start();
    let wanted = format!("{settings}\n[retention]\nsettled = \"2h\"");
    gateway.rewrite(&wanted);
    gateway.reload();
    until("the fault is shown", || {
        gateway.status()["reload_faults"].to_string().contains("ca.pem")
    });
    let lanes = gateway.status()["lanes"].as_array().unwrap().len();
    assert_eq!(lanes, 1, "a lane of the faulty settings runs");
    assert_eq!(gateway.till("").redeem("AS-BEFORE").state(), "confirmed");
    std::fs::write(gateway.folder().join("ca.pem"), authorities()).unwrap();
    gateway.reload();
    until("the fault is gone", || {
        gateway.status()["reload_faults"].as_array().is_some_and(Vec::is_empty)
    });
    gateway.wait_for_link("other", "up");
}

#[test]
fn a_certificate_authority_that_is_renewed_or_taken_out_in_place_is_followed_by_a_reload() {
    for is_systems in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (own, trusted) = (folder.path().join("own.pem"), folder.path().join("trusted.pem"));
        let provider = Provider::tls("good", &own, &[]);
        std::fs::write(&trusted, authorities()).unwrap();
        let trusted_file = trusted.to_str().unwrap();
        let builder = if is_systems {
            let builder = Gateway::with().lane("main", &provider, "");
            builder.environment("SSL_CERT_FILE", trusted_file)
        } else {
            Gateway::with().lane("main", &provider, &format!("ca_file = \"{trusted_file}\""))
        };
        let mut gateway = builder.start();
        assert_eq!(gateway.till("").redeem("BEFORE").state(), "pending");
        assert_eq!(gateway.wait_for_link("main", "down")["cause"], "tls", "{is_systems}");
        std::fs::copy(&own, &trusted).unwrap();
        gateway.reload();
        gateway.wait_for_link("main", "up");
        assert_eq!(gateway.wait_until_drained().confirmed, 1);
        if !is_systems {
            std::fs::write(&trusted, authorities()).unwrap();
            gateway.reload();
            let mut codes = (0..).map(|n| format!("AFTER-{n}"));
            until("the provider is not trusted any more", || {
                let answer = gateway.till("").redeem(&codes.next().unwrap());
                answer.state() == "pending"
            });
            assert_eq!(gateway.wait_for_link("main", "down")["cause"], "tls");
        }
    }
}

#[test]
fn what_stands_where_the_commands_socket_should_be_is_left_alone() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "");
    let mut gateway = builder.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    let place = gateway.state_dir().join("admin.sock");
    std::fs::write(&place, "precious").unwrap();
    let (status, said) = gateway.start_in_vain();
    assert_eq!(status.code(), Some(70), "{said}");
    assert!(said.contains("admin.sock") && said.contains("no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "precious");
}

#[test]
fn the_process_cannot_be_dumped_and_may_open_as_many_files_as_the_system_lets_it() {
    let provider = Provider::start();
    let Some(builder) = as_nobody(&provider) else { return };
    let mut gateway = builder.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    chown(gateway.state_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    gateway.start();
    let of_process = std::path::PathBuf::from(format!("/proc/{}", gateway.pid()));
    // The files of a process that may be dumped belong to its own user (proc(5)).
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(of_process.join("environ")).unwrap(),
    );
    assert_eq!(owner, 0);
    let limits = std::fs::read_to_string(of_process.join("limits")).unwrap();
    let limit = |name: &str| -> Vec<String> {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let files = limit("Max open files");
    assert_eq!(files[0], files[1]);
}

#[test]
fn tills_are_served_on_each_address_of_the_list() {
    let provider = Provider::start();
    let second = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let all = std::net::TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let gateway = Gateway::with()
        .lane("main", &provider, "")
        .intake("allow_anonymous = true")
        .also_listen(second)
        .also_listen((Ipv6Addr::UNSPECIFIED, all).into())
        .also_listen((Ipv4Addr::UNSPECIFIED, all).into())
        .start();
    assert_eq!(gateway.till("").redeem("FIRST").state(), "confirmed");
    let of_each = [second, (Ipv6Addr::LOCALHOST, all).into(), (Ipv4Addr::LOCALHOST, all).into()];
    for (nth, address) in of_each.into_iter().enumerate() {
        assert_eq!(Till::new(address, None).redeem(&format!("NEXT-{nth}")).state(), "confirmed");
    }
    gateway.wait_until_drained();
}
