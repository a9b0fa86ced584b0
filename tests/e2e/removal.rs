//! The package's scripts, run on the folders of a gateway: what purge deletes and what it refuses.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Gateway, Mount, Order, Provider, redeemd, until};

/// A script of the package on the folders of `gateway`, away from this machine's.
fn script(gateway: &Gateway, name: &str, action: &str) -> Output {
    let path = commands(gateway);
    scripted(gateway, &path, name, action).output().unwrap()
}

/// The same, not run yet, with the commands in `bin`.
fn scripted(gateway: &Gateway, bin: &Path, name: &str, action: &str) -> Command {
    let root = gateway.folder();
    let text = fs::read_to_string(format!("packaging/debian/{name}")).unwrap();
    let text = text
        .replace("/var/lib/redeemd", gateway.state_dir().to_str().unwrap())
        .replace("/etc/redeemd", root.join("etc").to_str().unwrap())
        .replace("/run/", &format!("{}/", root.join("run").display()));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", &text, name, action]).env("PATH", path);
    command
}

/// The commands that the scripts call: `redeemd` with this gateway's settings, and Debian's, which
/// do nothing here.
fn commands(gateway: &Gateway) -> PathBuf {
    let (root, bin) = (gateway.folder(), gateway.folder().join("bin"));
    for folder in ["bin", "etc", "run"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy(root.join("redeemd.toml"), root.join("etc/redeemd.toml")).unwrap();
    let binary = redeemd("run").get_program().to_owned();
    let settings = root.join("redeemd.toml");
    let call = format!("exec {} --config {} \"$@\"", binary.display(), settings.display());
    for (name, body) in
        [("redeemd", call.as_str()), ("deb-systemd-helper", ""), ("deb-systemd-invoke", "")]
    {
        executable(&bin.join(name), body);
    }
    bin
}

fn executable(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What `apt-get remove` runs while the daemon runs, and its stop.
fn remove(gateway: &mut Gateway) -> String {
    let before = script(gateway, "prerm", "remove");
    assert!(before.status.success(), "{before:?}");
    if gateway.is_running() {
        gateway.terminate();
    }
    assert!(script(gateway, "postrm", "remove").status.success());
    String::from_utf8(before.stdout).unwrap()
}

fn assert_purge_refuses(gateway: &Gateway, pending: &str) {
    let purge = script(gateway, "postrm", "purge");
    let said = String::from_utf8_lossy(&purge.stderr).into_owned();
    assert!(!purge.status.success(), "{purge:?}");
    assert!(said.contains(&format!("provider does not know: {pending}")), "{said}");
    assert!(gateway.state_dir().is_dir() && gateway.folder().join("etc").is_dir());
}

fn assert_purged(gateway: &Gateway) -> String {
    let purge = script(gateway, "postrm", "purge");
    assert!(purge.status.success(), "{purge:?}");
    assert!(!gateway.state_dir().exists() && !gateway.folder().join("etc").exists());
    String::from_utf8(purge.stdout).unwrap()
}

#[test]
fn purge_refuses_while_any_of_several_providers_lanes_has_what_is_pending() {
    let provider = Provider::start();
    let mut gateway = Gateway::with()
        .lane("cafe", &provider, "")
        .lane("shop", &provider, "businesses = [\"SHOP\"]")
        .start();
    provider.cut();
    for code in ["LEFT-1", "LEFT-2", "LEFT-3"] {
        assert_eq!(gateway.till("").redeem(code).state(), "pending");
    }
    let said = remove(&mut gateway);
    assert!(said.contains("not yet sent: 3;"), "{said}");
    assert_purge_refuses(&gateway, "3");

    let shops = Order::new("LEFT-4").with("business_refrence", "SHOP");
    gateway.start();
    assert_eq!(gateway.till("").order(&shops).state(), "pending");
    assert!(remove(&mut gateway).contains("not yet sent: 4;"));
    gateway.start();
    provider.restore();
    gateway.wait_until_drained();
    assert_eq!(remove(&mut gateway), "");
    assert_purged(&gateway);
}

#[test]
fn purge_refuses_where_the_database_was_taken_away_and_only_its_saved_copy_is_left() {
    // A stopped one's books are not sure without its start.
    for (is_running, pending) in [(true, "2"), (false, "unknown")] {
        let (provider, mut gateway) = with_pending(2);
        fs::remove_file(gateway.state_dir().join("redeemd.db")).unwrap();
        until("what was taken away is saved", || saved_copy(&gateway).is_some());
        if !is_running {
            gateway.terminate();
        }
        let said = remove(&mut gateway);
        assert!(said.contains(&format!("not yet sent: {pending};")), "{said}");
        assert_purge_refuses(&gateway, pending);
        assert!(saved_copy(&gateway).is_some());
        provider.restore();
        gateway.start();
        assert_eq!(gateway.wait_until_drained().confirmed, 2);
    }
}

#[test]
fn purge_refuses_where_what_is_left_of_the_database_cannot_be_counted() {
    let (_provider, mut gateway) = with_pending(1);
    gateway.terminate();
    let state = gateway.state_dir();
    fs::rename(state.join("redeemd.db"), state.join("redeemd.db.damaged-20261127T210659Z"))
        .unwrap();
    assert!(remove(&mut gateway).contains("not yet sent: unknown;"));
    assert_purge_refuses(&gateway, "unknown");
}

#[test]
fn what_is_given_until_the_stop_counts_and_what_ran_is_started_again() {
    let (provider, mut gateway) = with_pending(0);
    let (bin, root) = (commands(&gateway), gateway.folder().to_owned());
    fs::create_dir_all(root.join("run/systemd/system")).unwrap();
    executable(&bin.join("systemctl"), "[ \"$1\" != is-active ] || echo active");
    executable(&bin.join("systemd-sysusers"), "");
    let [stops, stopped, invoked] = ["stops", "stopped", "invoked"].map(|name| root.join(name));
    // The stop goes on once this test has redeemed, and ended the daemon.
    let wait = format!(
        "touch {}; n=0; until [ -e {} ] || [ $n = 2000 ]; do sleep 0.01; n=$((n + 1)); done",
        stops.display(),
        stopped.display()
    );
    executable(&bin.join("deb-systemd-invoke"), &wait);
    let mut prerm = scripted(&gateway, &bin, "prerm", "remove");
    let prerm = prerm.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the service is being stopped", || stops.exists());
    assert_eq!(gateway.till("").redeem("LATE-1").state(), "pending");
    gateway.terminate();
    fs::write(&stopped, "").unwrap();
    let prerm = prerm.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&prerm.stdout).into_owned();
    assert!(prerm.status.success() && said.contains("not yet sent: 1;"), "{prerm:?}");
    assert!(script(&gateway, "postrm", "remove").status.success());
    assert_purge_refuses(&gateway, "1");

    executable(&bin.join("deb-systemd-invoke"), &format!("echo \"$@\" >>{}", invoked.display()));
    let postinst = scripted(&gateway, &bin, "postinst", "configure").output().unwrap();
    assert!(postinst.status.success(), "{postinst:?}");
    assert_eq!(fs::read_to_string(&invoked).unwrap(), "restart redeemd.service\n");
    provider.restore();
    gateway.start();
    assert_eq!(gateway.wait_until_drained().confirmed, 1);
}

#[test]
fn purge_empties_the_folder_that_a_link_leads_to_and_follows_no_link_in_it() {
    let (provider, mut gateway) = with_pending(1);
    provider.restore();
    gateway.wait_until_drained();
    gateway.terminate();
    let (state, root) = (gateway.state_dir(), gateway.folder().to_owned());
    let [disk, other] = ["disk", "other"].map(|name| root.join(name));
    fs::rename(&state, &disk).unwrap();
    symlink(&disk, &state).unwrap();
    fs::create_dir(&other).unwrap();
    fs::write(other.join("kept"), "").unwrap();
    symlink(&other, disk.join("link")).unwrap();
    symlink(other.join("kept"), disk.join("file")).unwrap();
    remove(&mut gateway);
    let said = assert_purged(&gateway);
    assert!(fs::symlink_metadata(&state).is_err(), "the link is gone");
    assert!(fs::read_dir(&disk).unwrap().next().is_none(), "no code is left");
    assert!(said.contains(&format!("a link to {}", disk.display())), "{said}");
    assert!(other.join("kept").exists());
}

#[test]
fn purge_empties_a_mount_point_and_succeeds() {
    let Some(disk) = Mount::tmpfs_of("32m") else { return };
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").state_in(disk.path()).start();
    assert_eq!(gateway.till("").redeem("GIVEN").state(), "confirmed");
    remove(&mut gateway);
    for said in ["is empty and stays: ", ""] {
        let purge = script(&gateway, "postrm", "purge");
        assert!(purge.status.success(), "{purge:?}");
        assert!(String::from_utf8_lossy(&purge.stdout).contains(said), "{purge:?}");
        assert!(fs::read_dir(disk.path()).unwrap().next().is_none(), "no code is left");
        assert!(!gateway.folder().join("etc").exists());
    }
}

/// A gateway whose line is cut, with so many redemptions pending.
fn with_pending(count: usize) -> (Provider, Gateway) {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.cut();
    for n in 0..count {
        assert_eq!(gateway.till("").redeem(&format!("LEFT-{n}")).state(), "pending");
    }
    (provider, gateway)
}

fn saved_copy(gateway: &Gateway) -> Option<PathBuf> {
    let files = fs::read_dir(gateway.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.to_str().unwrap().contains("/redeemd.db.rescued-"))
}
