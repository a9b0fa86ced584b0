//! Starts and reloads that must not go well: another daemon, a state directory that cannot be used, wrong settings.

use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Builder, Gateway, Mount, Provider, eventually, skipped};

/// Debian's `nobody`.
const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn a_second_daemon_on_one_state_directory_ends_with_75_and_names_the_first() {
    let provider = Provider::start();
    let mut first = Gateway::before(&provider);
    let mut second = Gateway::with().lane("main", &provider, "").state_in(&first.state_dir()).stopped();
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
fn a_state_directory_in_memory_is_warned_about_and_works() {
    let Some(memory) = Mount::tmpfs() else { return };
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").state_in(&memory.path().join("state")).start();
    assert!(gateway.log().contains("memory (tmpfs)"), "{}", gateway.log());
    assert_eq!(gateway.till("").redeem("ANY").status, 200);
    gateway.wait_until_drained();
    let mut on_disk = Gateway::before(&provider);
    assert!(!on_disk.log().contains("tmpfs"));
}

/// A gateway that runs as nobody, who may read its settings.
fn as_nobody(provider: &Provider) -> Option<Builder> {
    let mut version = std::process::Command::new(AS_NOBODY[0]);
    version.args(&AS_NOBODY[1..]).arg(env!("CARGO_BIN_EXE_redeemd")).arg("--version");
    if !version.output().is_ok_and(|output| output.status.success()) {
        skipped("the daemon cannot be run as nobody");
        return None;
    }
    let builder = Gateway::with().lane("main", provider, "").wrapper(&AS_NOBODY);
    std::fs::set_permissions(builder.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(builder)
}

#[test]
fn a_state_directory_of_somebody_elses_ends_the_start_with_73_and_its_name() {
    let provider = Provider::start();
    let Some(builder) = as_nobody(&provider) else { return };
    let mut gateway = builder.stopped();
    std::fs::create_dir_all(gateway.state_dir()).unwrap();
    for mode in [0o700, 0o755] {
        std::fs::set_permissions(gateway.state_dir(), std::fs::Permissions::from_mode(mode)).unwrap();
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
    let mut gateway = Gateway::with().lane("main", &provider, "").offline("max_pending = 3").start();
    gateway.rewrite("[retention]\nsettled = \"1s\"\n[nonsense]\nx = 1");
    gateway.reload();
    let faults = eventually("the faults are shown", || {
        let faults = gateway.status()["reload_faults"].to_string();
        (faults != "[]").then_some(faults)
    });
    assert!(faults.contains("retention.settled") && faults.contains("nonsense"), "{faults}");
    assert!(gateway.log().contains("retention.settled"));
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
    eventually("the faults are gone", || {
        gateway.status()["reload_faults"].as_array().is_some_and(Vec::is_empty).then_some(())
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
    assert_eq!(gateway.till("").redeem("NOBODYS").status, 400);
    gateway.rewrite(&named(&other));
    gateway.reload();
    gateway.wait_for_link("other", "down");
    gateway.rewrite(&named(&third));
    gateway.reload();
    assert_eq!(gateway.wait_until_drained().confirmed, 1);
    assert_eq!((third.summary("codes_taken"), other.requests().len()), (1, 0));
}
