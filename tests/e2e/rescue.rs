//! A dying box's redemptions, exported from it in every state and taken over by another.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{
    Gateway, Mount, NOBODY, Provider, as_nobody, in_a_network_of_its_own, make_nobodys, redeemd,
    spoil, until, wrapped,
};

const DB: &str = "redeemd.db";
const LOG: &str = "redeemd.db-wal";

fn command(gateway: &Gateway, name: &str, args: &[&str]) -> Output {
    let config = gateway.folder().join("redeemd.toml");
    redeemd(name).arg("--config").arg(config).arg("--json").args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON that a command printed, having ended with `code`.
fn result(output: &Output, code: i32) -> Value {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{} {}",
        String::from_utf8_lossy(&output.stdout),
        said(output)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn export_to(gateway: &Gateway, file: &Path, code: i32) -> Value {
    let output = command(gateway, "export", &[file.to_str().unwrap()]);
    assert!(said(&output).contains("WHOLE REWARD CODES"), "{}", said(&output));
    result(&output, code)
}

fn import(gateway: &Gateway, file: &Path, code: i32) -> (Value, String) {
    let output = command(gateway, "import", &[file.to_str().unwrap()]);
    (result(&output, code), said(&output))
}

/// What an import counted: imported, already there, parked, refused.
fn counted(result: &Value) -> [u64; 4] {
    ["imported", "already_there", "parked", "refused"].map(|name| result[name].as_u64().unwrap())
}

/// Box A, whose line is cut, with `count` redemptions pending; their ids.
fn outage(provider: &Provider, count: usize) -> (Gateway, Vec<String>) {
    let gateway = Gateway::before(provider);
    provider.cut();
    let ids = (0..count).map(|n| gateway.till("").redeem(&format!("LEFT-{n}")).id()).collect();
    gateway.wait_for_link("main", "down");
    (gateway, ids)
}

/// Every code was taken once, each under the id that box A had given it.
fn assert_delivered(provider: &Provider, ids: &[String]) {
    for (n, id) in ids.iter().enumerate() {
        let taken: Vec<_> =
            provider.requests_for(&format!("LEFT-{n}")).into_iter().filter(|r| r.took).collect();
        assert_eq!(taken.len(), 1, "LEFT-{n} was taken {} times", taken.len());
        assert_eq!(taken[0].idempotency_key.as_deref(), Some(id.as_str()));
    }
    provider.assert_one_key_each();
}

fn bytes(folder: &Path) -> [Vec<u8>; 2] {
    [DB, LOG].map(|name| fs::read(folder.join(name)).unwrap_or_default())
}

#[test]
fn what_a_running_box_exports_another_delivers_once_under_its_own_keys() {
    let provider = Provider::start();
    let (mut a, ids) = outage(&provider, 12);
    let file = a.folder().join("export");
    assert_eq!(export_to(&a, &file, 0)["pending"], 12);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = command(&a, "export", &[file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "an export overwrites nothing");
    assert_eq!(
        counted(&import(&a, &file, 0).0),
        [0, 12, 0, 0],
        "the box that wrote it has them all"
    );
    a.kill9();

    let b = Gateway::before(&provider);
    b.till("").redeem("B-OWN");
    let (first, _) = import(&b, &file, 0);
    assert_eq!(counted(&first), [12, 0, 0, 0]);
    let (second, _) = import(&b, &file, 0);
    assert_eq!(counted(&second), [0, 12, 0, 0]);
    assert_eq!(b.counts().accepted, 13);
    assert!(
        b.list("pending")
            .iter()
            .filter(|row| ids.contains(&row["id"].as_str().unwrap().to_owned()))
            .all(|row| row["uncertain"] == true)
    );
    provider.restore();
    let books = b.wait_until_drained();
    assert_eq!((books.confirmed, books.parked, books.declined), (13, 0, 0));
    assert_delivered(&provider, &ids);
    let (third, _) = import(&b, &file, 0);
    assert_eq!(counted(&third), [0, 12, 0, 0], "what was delivered since is not sent again");
    let shown = b.admin("GET", &format!("/api/v1/redemptions/{}", ids[0]), "").json();
    let event = &shown["events"][0];
    assert_eq!((&event["what"], &event["detail"]), (&"import".into(), &"exported by test".into()));
}

#[test]
fn an_export_from_the_directory_of_a_running_gateway_says_that_it_can_be_asked() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, 1);
    let (state, file) = (a.state_dir(), a.folder().join("export"));
    let args = ["--state-dir", state.to_str().unwrap(), file.to_str().unwrap()];
    let refused = command(&a, "export", &args);
    assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
    assert!(said(&refused).contains("leave the option out, and it is"), "{}", said(&refused));
}

/// Imports and exports as root on a machine whose service works in another folder than its settings
/// name: `$1` is the program, `$2` an empty folder, `$3` an export.
const TWO_PLACES: &str = r#"
    mkdir "$2/etc" "$2/lib" "$2/bin" && mount --bind "$2/etc" /etc && mount --bind "$2/lib" /var/lib
    mount -t tmpfs none /run && mkdir -p /run/systemd/system /etc/redeemd /var/lib/redeemd
    printf '#!/bin/sh\necho StateDirectory=redeemd\n' >"$2/bin/systemctl"
    chmod 755 "$2/bin/systemctl" && PATH="$2/bin:$PATH"
    printf '%s\n' '[gateway]' 'name = "b"' "state_dir = '$2/data'" '[[provider]]' 'name = "main"' \
        'redeem_url = "https://a.example/"' 'token_file = "token"' >/etc/redeemd/redeemd.toml
    ! "$1" import "$3"
    test ! -e "$2/data"
    STATE_DIRECTORY=/var/lib/redeemd "$1" import "$3"
    ! "$1" export "$2/none"
    STATE_DIRECTORY=/var/lib/redeemd "$1" export "$2/rows"
"#;

#[test]
fn a_stopped_services_redemptions_go_into_no_other_folder_than_its_own() {
    let name = "rescue::a_stopped_services_redemptions_go_into_no_other_folder_than_its_own";
    in_a_network_of_its_own(name, || {
        let up = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.unwrap().success());
        let provider = Provider::start();
        let (mut a, _) = outage(&provider, 1);
        let file = a.folder().join("export");
        export_to(&a, &file, 0);
        a.kill9();
        let folder = tempfile::tempdir().unwrap();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-euc", TWO_PLACES, "sh"]).arg(redeemd("import").get_program());
        let ran = shell.arg(folder.path()).arg(&file).env_remove("STATE_DIRECTORY").output();
        let ran = ran.unwrap();
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), said(&ran));
        assert!(ran.status.success(), "{out}{err}");
        assert!(out.contains("1 imported") && out.contains("1 redemption exported"), "{out}");
        let two = format!(
            "the settings name {} as the state directory, but redeemd.service works in \
             /var/lib/redeemd",
            folder.path().join("data").display()
        );
        assert_eq!(err.matches(&two).count(), 2, "{err}");
        assert!(err.contains("the redemptions go into /var/lib/redeemd"), "{err}");
        assert!(err.contains("the redemptions are read from /var/lib/redeemd"), "{err}");
    });
}

#[test]
fn a_dead_box_is_read_from_its_directory_unchanged_and_the_other_need_not_run_either() {
    let provider = Provider::start();
    let (mut a, ids) = outage(&provider, 5);
    a.kill9();
    let before = bytes(&a.state_dir());
    let file = a.folder().join("export");
    assert_eq!(export_to(&a, &file, 0)["pending"], 5);
    let elsewhere = a.folder().join("elsewhere");
    let state = a.state_dir();
    let by_dir = command(
        &a,
        "export",
        &["--state-dir", state.to_str().unwrap(), elsewhere.to_str().unwrap()],
    );
    assert_eq!(result(&by_dir, 0)["pending"], 5);
    assert!(
        !said(&by_dir).contains("damaged"),
        "a killed daemon's database is sound: {}",
        said(&by_dir)
    );
    assert!(before == bytes(&a.state_dir()), "an export changes neither the database nor its log");

    let mut b = Gateway::before(&provider);
    assert!(b.terminate().success());
    let (first, _) = import(&b, &file, 0);
    assert_eq!(counted(&first), [5, 0, 0, 0]);
    b.start();
    let (second, _) = import(&b, &elsewhere, 0);
    assert_eq!(counted(&second), [0, 5, 0, 0]);
    provider.restore();
    assert_eq!(b.wait_until_drained().confirmed, 5);
    assert_delivered(&provider, &ids);
}

/// Exports from `disk`, to which nothing can be written, what box A left there.
fn export_read_only(a: &Gateway, disk: &Mount) -> (Value, String) {
    disk.make_read_only();
    let (state, file) = (a.state_dir(), a.folder().join("export"));
    let args = ["--state-dir", state.to_str().unwrap(), file.to_str().unwrap()];
    let output = command(a, "export", &args);
    (result(&output, 0), said(&output))
}

#[test]
fn a_dead_box_is_read_from_a_disk_that_cannot_be_written_however_it_ended() {
    for is_killed in [false, true] {
        let Some(disk) = Mount::tmpfs() else { return };
        let provider = Provider::start();
        let mut a = Gateway::with()
            .lane("main", &provider, "")
            .state_in(&disk.path().join("state"))
            .start();
        provider.cut();
        assert_eq!(a.till("").redeem("LEFT-0").state(), "pending");
        if is_killed {
            a.kill9();
            // Where there is no index of the log, none can be made.
            fs::remove_file(a.state_dir().join("redeemd.db-shm")).unwrap();
        } else {
            assert!(a.terminate().success());
        }
        let (exported, said) = export_read_only(&a, &disk);
        assert_eq!(exported["pending"], 1, "{said}");
        assert!(!said.contains("damaged"), "{said}");
        assert_eq!(said.contains("cannot be opened for reading here"), is_killed, "{said}");
    }
}

#[test]
fn a_code_that_is_held_here_is_parked_and_a_strange_lane_waits() {
    let provider = Provider::start();
    let a = Gateway::with()
        .lane("main", &provider, "")
        .lane("other", &provider, "businesses = [\"OTHER\"]")
        .start();
    provider.cut();
    let till = a.till("");
    let (twice, strange) = (
        till.redeem("TWICE").id(),
        crate::harness::Order::new("S").with("business_refrence", "OTHER"),
    );
    assert_eq!(till.order(&strange).status, 200);
    let file = a.folder().join("export");
    assert_eq!(export_to(&a, &file, 0)["pending"], 2);

    let b = Gateway::before(&provider);
    let own = b.till("").redeem("TWICE").id();
    let (result, said) = import(&b, &file, 0);
    assert_eq!(counted(&result), [1, 0, 1, 0]);
    assert_eq!(result["not_configured"], serde_json::json!(["other"]));
    assert!(said.contains(&format!("{twice} is parked")) && said.contains(&own), "{said}");
    assert_eq!(b.lane("other")["cause"], "not_configured");
    let parked = b.list("parked");
    assert_eq!((parked.len(), parked[0]["id"].as_str()), (1, Some(twice.as_str())));
}

#[test]
fn a_damaged_database_gives_every_row_that_can_be_read_and_stays_as_it_is() {
    let provider = Provider::start();
    let (mut a, ids) = outage(&provider, 40);
    assert!(a.terminate().success());
    // The header and the schema are gone, and every index with them: only the rows' own pages are
    // left.
    spoil(&a.state_dir());
    let before = bytes(&a.state_dir());
    let file = a.folder().join("export");
    let output = command(&a, "export", &[file.to_str().unwrap()]);
    assert!(said(&output).contains("the database is damaged"), "{}", said(&output));
    let exported: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(exported["pending"], 40, "{}", said(&output));
    assert!(before == bytes(&a.state_dir()), "an export changes nothing");

    let b = Gateway::before(&provider);
    assert_eq!(counted(&import(&b, &file, 0).0), [40, 0, 0, 0]);
    provider.restore();
    assert_eq!(b.wait_until_drained().confirmed, 40);
    assert_delivered(&provider, &ids);
}

#[test]
fn a_damaged_line_is_refused_by_its_number_and_the_others_go_on() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, 4);
    let file: PathBuf = a.folder().join("export");
    export_to(&a, &file, 0);
    let text = fs::read_to_string(&file).unwrap();
    let flipped: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| if at == 2 { line.replacen("LEFT", "LOFT", 1) } else { line.into() })
        .collect();
    let b = Gateway::before(&provider);
    fs::write(&file, flipped.join("\n")).unwrap();
    let (refused, said) = import(&b, &file, 1);
    assert_eq!(counted(&refused), [3, 0, 0, 1]);
    assert_eq!(refused["refused_lines"], serde_json::json!([3]));
    assert!(said.contains("line 3") && !said.contains("LOFT"), "{said}");

    fs::write(&file, text.lines().take(3).collect::<Vec<_>>().join("\n")).unwrap();
    let (cut, said) = import(&b, &file, 1);
    assert_eq!(counted(&cut), [1, 1, 0, 0]);
    assert!(said.contains("cut off"), "{said}");
}

#[test]
fn whole_codes_leave_and_enter_for_engineers_alone() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, 1);
    for (method, path, body) in
        [("GET", "/api/v1/export", ""), ("POST", "/api/v1/import", "{\"from\":\"\",\"rows\":[]}")]
    {
        let reply = a.admin(method, path, body);
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(!reply.body.contains("LEFT"), "{reply:?}");
    }
}

#[test]
fn a_till_here_with_the_name_and_the_key_of_one_there_finds_its_own_redemption() {
    let provider = Provider::start();
    let a = Gateway::before(&provider);
    provider.cut();
    let order = |code: &str, key: &str| crate::harness::Order::new(code).key(key);
    a.till("").order(&order("A-1", "1001"));
    a.till("").order(&order("A-2", "1002"));
    let file = a.folder().join("export");
    export_to(&a, &file, 0);

    let b = Gateway::before(&provider);
    let own = b.till("").order(&order("B-1", "1001"));
    assert_eq!(counted(&import(&b, &file, 0).0), [2, 0, 0, 0]);
    assert_eq!(b.till("").order(&order("B-1", "1001")).id(), own.id(), "a repeat");
    let new = b.till("").order(&order("B-2", "1002"));
    assert_eq!((new.status, new.state()), (200, "pending"), "{new:?}");
}

#[test]
fn a_lane_that_is_up_and_idle_delivers_at_once_what_is_imported() {
    let (dark, provider) = (Provider::start(), Provider::start());
    let (a, ids) = outage(&dark, 3);
    let file = a.folder().join("export");
    export_to(&a, &file, 0);
    let b = Gateway::before(&provider);
    assert_eq!(b.till("").redeem("B-OWN").state(), "confirmed");
    assert_eq!(counted(&import(&b, &file, 0).0), [3, 0, 0, 0]);
    assert_eq!(b.wait_until_drained().confirmed, 4);
    assert_delivered(&provider, &ids);
}

/// An import from a pipe through which only these lines have come.
fn import_that_waits(gateway: &Gateway, lines: &str) -> Child {
    // Under `nohup` a hang-up would not end it.
    let mut import = wrapped("env", &["--default-signal=HUP".to_owned()], &redeemd("import"));
    import.arg("--config").arg(gateway.folder().join("redeemd.toml")).arg("-");
    import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut import = import.spawn().unwrap();
    import.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    import
}

/// Its exit code and all that it said, once the signal has ended it and not its input.
fn stopped_by(mut import: Child, signal: Signal) -> (Option<i32>, String) {
    let input = import.stdin.take();
    kill_process(Pid::from_child(&import), signal).unwrap();
    until("the import has ended", || import.try_wait().unwrap().is_some());
    drop(input);
    let mut said = String::new();
    import.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    import.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (import.wait().unwrap().code(), said)
}

fn owners(dir: &Path) -> Vec<u32> {
    fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().uid()).collect()
}

#[test]
fn an_import_that_is_cut_off_leaves_a_state_directory_that_the_services_user_can_open() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, 1);
    let file = a.folder().join("export");
    export_to(&a, &file, 0);
    let lines = fs::read_to_string(&file).unwrap();
    let first: String = lines.split_inclusive('\n').take(2).collect();
    let Some(builder) = as_nobody(&provider) else { return };
    let mut b = builder.stopped();
    make_nobodys(&b.state_dir());
    b.start();
    for signal in [Signal::KILL, Signal::HUP, Signal::INT] {
        assert!(b.terminate().success());
        fs::remove_dir_all(b.state_dir()).unwrap();
        make_nobodys(&b.state_dir());
        let waiting = import_that_waits(&b, &first);
        until("the store is made and its user's own", || {
            let owners = owners(&b.state_dir());
            owners.len() > 3 && owners.iter().all(|owner| *owner == NOBODY)
        });
        let (code, said) = stopped_by(waiting, signal);
        if signal != Signal::KILL {
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("0 imported") && said.contains("interrupted"), "{said}");
            assert!(!said.contains("cut off"), "{said}");
        }
        b.start();
        assert_eq!(counted(&import(&b, &file, 0).0), [1, 0, 0, 0]);
    }
}

#[test]
fn an_import_that_somebody_stops_says_what_it_has_imported() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, redeemd::admin::IMPORT_ROWS_MAX + 1);
    let file = a.folder().join("export");
    export_to(&a, &file, 0);
    let lines = fs::read_to_string(&file).unwrap();
    let (all_but_the_end, _) = lines.trim_end().rsplit_once('\n').unwrap();
    let b = Gateway::before(&provider);
    let waiting = import_that_waits(&b, &format!("{all_but_the_end}\n"));
    b.wait_for_counts("the first batch", |counts| counts.accepted == 256);
    let (code, said) = stopped_by(waiting, Signal::TERM);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("256 imported") && said.contains("interrupted"), "{said}");
    assert_eq!(counted(&import(&b, &file, 0).0), [1, 256, 0, 0]);
}

/// What an import says of a stopped gateway's database, with which something was done.
fn import_after(gateway: &Gateway, done: impl FnOnce(&Path), file: &Path) -> String {
    done(&gateway.state_dir());
    let (imported, said) = import(gateway, file, 0);
    assert_eq!(counted(&imported), [1, 0, 0, 0], "{said}");
    said
}

#[test]
fn an_import_says_of_a_stopped_gateways_database_what_a_start_would_and_the_trail_keeps_a_copy() {
    let provider = Provider::start();
    let (a, _) = outage(&provider, 1);
    let file = a.folder().join("export");
    export_to(&a, &file, 0);
    let mut b = Gateway::before(&provider);
    assert_eq!(b.till("").redeem("B-OWN").state(), "pending");
    let copy = b.folder().join("copy");
    assert_eq!(command(&b, "backup", &[copy.to_str().unwrap()]).status.code(), Some(0));
    b.kill9();
    let said = import_after(&b, |_| {}, &file);
    assert!(said.contains("the last stop was not in order"), "{said}");
    assert!(!said.contains("copy") && !said.contains("no database"), "{said}");

    let empty = |state: &Path| {
        for name in [DB, LOG] {
            fs::remove_file(state.join(name)).unwrap();
        }
    };
    let said = import_after(&b, empty, &file);
    assert!(said.contains("there is no database beside"), "{said}");

    let put_back = |state: &Path| {
        empty(state);
        fs::copy(&copy, state.join(DB)).unwrap();
    };
    let said = import_after(&b, put_back, &file);
    assert!(said.contains("the database is a copy or was restored"), "{said}");
    b.start();
    assert!(!b.log().contains("copy"), "{}", b.log());
    let trail = b.operators().send("GET", "/trail", &[], b"").body;
    assert!(trail.contains("pending, and uncertain now: 1 redemption"), "{trail}");
}
