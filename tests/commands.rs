//! The commands, as a shell sees them: the real binary against the real operators' HTTP on a Unix
//! socket, over a store with a few redemptions in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

#[path = "commands/readme.rs"]
mod readme;
#[path = "commands/served.rs"]
mod served;
#[path = "commands/shown.rs"]
mod shown;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use redeemd::admin::{Admin, Info, router};
use redeemd::clock::Clock;
use redeemd::listen::{Bounds, Socket, serve};
use redeemd::queue::{Gate, Lane, LaneSettings, Mailboxes, Queue};
use redeemd::redemption::{Request, RewardCode};
use redeemd::store::{Claimed, Decision, NewRedemption, Store};
use redeemd::trust::{Trust, TrustEvidence};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A gateway without a forwarder: what is accepted stays pending.
struct Gateway {
    folder: tempfile::TempDir,
    date: &'static str,
    queue: Queue,
    ready: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
    _forwarding: JoinSet<()>,
    _live: Vec<mpsc::Receiver<Claimed>>,
}

impl Gateway {
    async fn start() -> Self {
        Self::start_at(1_793_491_200_000, "2026-11-01 10:00:00", "9.9.9").await
    }

    /// A daemon of this version whose clock stands at this time, in Unix milliseconds; the tills'
    /// clocks say `date`.
    async fn start_at(unix_ms: i64, date: &'static str, version: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = std::fs::Permissions::from_mode(0o700);
        std::fs::create_dir(folder.path().join("state")).unwrap();
        std::fs::set_permissions(folder.path().join("state"), own).unwrap();
        Self::start_in(folder, unix_ms, (date, version)).await
    }

    async fn start_in(
        folder: tempfile::TempDir,
        unix_ms: i64,
        (date, version): (&'static str, &'static str),
    ) -> Self {
        let settings = redeemd::settings::parse(&settings(folder.path()), "box").unwrap().settings;
        let state = folder.path().join("state");
        let (store, _) = Store::open(&state).unwrap();
        let queue =
            Queue::start(store, Clock::manual(unix_ms, true), settings.offline.clone()).unwrap();
        let lanes = settings
            .providers
            .iter()
            .map(|provider| Lane::new(LaneSettings::of(provider, &settings)));
        let (lanes, mailboxes): (Vec<_>, Vec<_>) = lanes.unzip();
        let (mut serving, mut forwarding) = (JoinSet::new(), JoinSet::new());
        let mut live = Vec::new();
        for Mailboxes { live: rows, mut commands } in mailboxes {
            live.push(rows);
            // A lane that takes each command, and does nothing about it.
            forwarding.spawn(async move {
                while let Some((_, receipt)) = commands.recv().await {
                    receipt.send(()).unwrap();
                }
            });
        }
        for lane in &lanes {
            lane.set_gate(line_down(lane));
        }
        queue.set_lanes(lanes).await.unwrap();
        let (ready, is_ready) = watch::channel(false);
        let info = Info {
            gateway: settings.gateway.name,
            version,
            started: tokio::time::Instant::now() - Duration::from_secs(90_000),
            clock: Clock::manual(unix_ms, true),
            ready: is_ready,
        };
        let listener = tokio::net::UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        let (stop, stopped) = watch::channel(false);
        let routes = router(Arc::new(Admin::new(queue.clone(), info)));
        serving.spawn(serve(vec![Socket::Unix(listener)], routes, Bounds::default(), stopped));
        Self { folder, date, queue, ready, stop, serving, _forwarding: forwarding, _live: live }
    }

    async fn accept(&self, code: &str, till: &str) -> String {
        let request = Request {
            reward_code: RewardCode::new(code.to_owned()),
            business_refrence: "shop".to_owned(),
            branch_id: "042".to_owned(),
            date: self.date.to_owned(),
            timestamp: "1".to_owned(),
            body: bytes::Bytes::from_static(b"{}"),
        };
        let new =
            NewRedemption { till: till.to_owned(), key: None, lane: "retm".to_owned(), request };
        let decision = self.queue.accept(new).await.unwrap().0;
        let Decision::Taken(taken) = decision else { panic!("{decision:?}") };
        taken.id.to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redeemd"));
        let clean = ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "COLUMNS", "JOURNAL_STREAM"];
        for variable in clean {
            command.env_remove(variable);
        }
        command.args(args).arg("--config").arg(self.settings_file());
        command
    }

    fn settings_file(&self) -> PathBuf {
        let file = self.folder.path().join("redeemd.toml");
        std::fs::write(&file, settings(self.folder.path())).unwrap();
        file
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "").await
    }

    async fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || Ran::of(&mut command, &input)).await.unwrap()
    }

    async fn end(mut self) {
        self.stop.send(true).unwrap();
        self.serving.join_next().await.unwrap().unwrap();
        self.queue.stop().await;
    }
}

/// Nothing is claimed for a till that waits: what is accepted can be voided.
fn line_down(lane: &Lane) -> Gate {
    Gate {
        ask: false,
        trust: Trust::AtOnce { tenth: false },
        ..Gate::up(TrustEvidence::new(lane.settings().terms()))
    }
}

fn settings(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"
[gateway]
name = "branch-042"
state_dir = "{folder}/state"
[admin]
socket = "{folder}/admin.sock"
[[provider]]
name = "retm"
redeem_url = "https://svc.retm.sa/redeem"
token_file = "{folder}/token"
reusable_codes = ["WEEKEND*"]
[[provider]]
name = "other"
businesses = ["cafe"]
redeem_url = "https://other.retm.sa/redeem"
token_file = "{folder}/token"
"#
    )
}

/// What a shell sees of a command.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(command: &mut Command, input: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        Self {
            code: status.code().expect("the command was not killed"),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn bare(args: &[&str]) -> Ran {
    Ran::of(Command::new(env!("CARGO_BIN_EXE_redeemd")).args(args), "")
}

#[test]
fn a_wrong_command_line_is_64_and_help_and_version_are_0() {
    for wrong in [
        &["fly"][..],
        &[],
        &["void", "1-a"],
        &["hold", "--trust"],
        &["list", "--state", "lost"],
        &["show"],
    ] {
        let ran = bare(wrong);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong:?} {}", ran.err);
        assert!(!ran.err.is_empty());
    }
    for right in [&["--help"][..], &["--version"], &["list", "--help"]] {
        assert_eq!((bare(right).code, bare(right).err.as_str()), (0, ""), "{right:?}");
    }
}

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let redeemd = format!("{} hash-password", env!("CARGO_BIN_EXE_redeemd"));
    let script = Command::new("script")
        .args(["-qefc", &redeemd, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut script = script.expect("util-linux: packaging/need test");
    let (mut typed, mut seen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut screen = String::new();
    let mut one = [0];
    while !screen.ends_with("not shown): ") && seen.read(&mut one).unwrap() == 1 {
        screen.push(char::from(one[0]));
    }
    typed.write_all(b"a long enough password\n").unwrap();
    seen.read_to_string(&mut screen).unwrap();
    assert!(script.wait().unwrap().success(), "{screen}");
    assert!(screen.contains("\n$scrypt$") && !screen.contains("long enough"), "{screen}");
}

#[test]
fn without_a_daemon_the_commands_exit_69_and_say_where_they_looked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redeemd.toml");
    std::fs::write(&file, settings(folder.path())).unwrap();
    for args in [
        &["status"][..],
        &["list"],
        &["flush"],
        &["report"],
        &["show", "1-a"],
        &["void", "1-a", "--note", "x"],
    ] {
        let ran = bare(&[args, &["--config", file.to_str().unwrap()]].concat());
        assert_eq!(ran.code, 69, "{args:?} {}", ran.err);
        assert!(ran.err.contains("admin.sock"), "{}", ran.err);
    }
}

#[test]
fn wrong_settings_are_78_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redeemd.toml");
    std::fs::write(&file, "[intake]\nlisten = 7\n[offline]\nmax_pendign = 1\n").unwrap();
    for command in ["check", "run", "status"] {
        let ran = bare(&[command, "--config", file.to_str().unwrap()]);
        assert_eq!(ran.code, 78, "{command}: {}", ran.err);
        assert!(
            ran.err.contains("intake.listen") && ran.err.contains("max_pendign"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_place_that_no_start_could_use_is_a_fault_for_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, file) = (folder.path(), folder.path().join("redeemd.toml"));
    std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).unwrap();
    for (state, socket, said) in [
        ("state", "admin.sock", ""),
        ("new/state", "new/state/admin.sock", ""),
        ("state", "/run/redeemd/admin.sock", ""),
        ("redeemd.toml/x/y", "admin.sock", "gateway.state_dir: {dir}/redeemd.toml is no directory"),
        ("link/x", "admin.sock", "gateway.state_dir: {dir}/link is no directory"),
        ("state", "redeemd.toml", "admin.socket: {dir}/redeemd.toml: something that is no socket"),
        ("state", "none/a.sock", "admin.socket: there is no folder {dir}/none"),
        ("state", "redeemd.toml/a.sock", "admin.socket: there is no folder {dir}/redeemd.toml"),
    ] {
        let socket = dir.join(socket);
        let text = format!(
            "[gateway]\nstate_dir = \"{state}\"\n[admin]\nsocket = {socket:?}\n\
             [[provider]]\nname = \"a\"\nredeem_url = \"https://a.example/\"\n\
             token_file = \"token\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let ran = bare(&["check", "--config", file.to_str().unwrap()]);
        let code = if said.is_empty() { 0 } else { 78 };
        assert_eq!(ran.code, code, "{state} {socket:?}: {}", ran.err);
        let said = said.replace("{dir}", dir.to_str().unwrap());
        assert!(ran.err.contains(&said), "{}", ran.err);
    }
}

#[tokio::test]
async fn good_settings_pass_the_check_with_their_warnings() {
    let gateway = Gateway::start().await;
    let ran = gateway.run(&["check"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("the settings are good (looked at as the user "), "{}", ran.out);
    assert!(ran.err.contains("warning: "), "the token's file is missing: {}", ran.err);
    let ran = gateway.run(&["check", "--strict"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("warning: ") && ran.err.contains("--strict"), "{}", ran.err);
    gateway.end().await;
}

#[tokio::test]
async fn a_time_zone_that_there_is_not_is_warned_of() {
    let gateway = Gateway::start().await;
    for (zone, is_one) in [("Nowhere/Land", false), ("<+03>-3", true), ("", true)] {
        let mut command = gateway.command(&["check"]);
        command.env("TZ", zone);
        let ran = tokio::task::spawn_blocking(move || Ran::of(&mut command, "")).await.unwrap();
        assert_eq!(ran.err.contains("TZ names no time zone"), !is_one, "{zone}: {}", ran.err);
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_database_that_others_can_read_is_warned_of() {
    let gateway = Gateway::start().await;
    let state = gateway.folder.path().join("state");
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (dir, file, said) in [
        (0o755, 0o644, "can read the database"),
        (0o755, 0o600, ""),
        (0o700, 0o644, ""),
        (0o777, 0o600, "can change what is in it"),
    ] {
        set(&state, dir);
        set(&state.join("redeemd.db"), file);
        let ran = gateway.run(&["check"]).await;
        let warned = ran.err.lines().find(|line| line.contains("gateway.state_dir"));
        assert_eq!(warned.is_some(), !said.is_empty(), "{dir:o} {file:o}: {}", ran.err);
        assert!(warned.unwrap_or_default().contains(said), "{}", ran.err);
    }
    gateway.end().await;
}

#[tokio::test]
async fn status_shows_the_books_and_the_lanes_to_people_and_machines() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-AAAA-1111", "till-1").await;
    let ran = gateway.run(&["status"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("gateway   branch-042, version 9.9.9"), "{}", ran.out);
    assert!(ran.out.contains("1 accepted = 1 pending + 0 confirmed"), "{}", ran.out);
    let value = &gateway.run(&["status", "--json"]).await.json()[0];
    assert_eq!(
        value["counts"],
        json!({"accepted": 1, "pending": 1, "confirmed": 0, "declined": 0, "parked": 0,
            "voided": 0})
    );
    let names: Vec<&str> = value["lanes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lane| lane["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["retm", "other"]);
    gateway.end().await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_never_shows_a_whole_code() {
    let gateway = Gateway::start().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(gateway.accept(&format!("CODE-BBBB-{n}{n}{n}{n}"), "till\u{1b}[2J").await);
    }
    let page = gateway.run(&["list", "--limit", "2", "--json"]).await;
    assert_eq!(
        page.json().iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ids[..2]
    );
    assert!(page.err.contains("--after"), "{}", page.err);
    let after = page.json()[1]["seq"].to_string();
    let rest = gateway.run(&["list", "--after", &after, "--json"]).await;
    assert_eq!(rest.json().len(), 3);
    let all = gateway.run(&["list", "--all", "--state", "pending", "--lane", "retm"]).await;
    assert_eq!((all.code, all.out.lines().count()), (0, 6), "{}", all.err);
    assert!(
        !all.out.contains("CODE-BBBB") && !all.out.contains('\u{1b}') && all.out.contains("…"),
        "{}",
        all.out
    );
    assert_eq!(gateway.run(&["list", "--state", "parked", "--json"]).await.out, "");
    let first = gateway.run(&["list", "--limit", "2"]).await;
    assert!(first.out.ends_with("\nthere may be more: --after 2, or --all\n"), "{}", first.out);
    for business in ["shop", "SHOP", " Shop\u{200b}"] {
        let found = gateway.run(&["list", "--business", business, "--json"]).await;
        assert_eq!(found.json().len(), 5, "{business:?}: {}", found.err);
    }
    for unset in ["--till", "--lane", "--business", "--branch", "--code-ending"] {
        let ran = gateway.run(&["list", unset, "", "--json"]).await;
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{unset}: {}", ran.err);
        assert!(ran.err.contains(": empty"), "{}", ran.err);
    }
    let unknown = gateway.run(&["list", "--lane", "nope"]).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("other, retm"), "{}", unknown.err);
    gateway.end().await;
}

#[tokio::test]
async fn every_redemption_of_a_code_that_is_used_again_and_again_is_found() {
    let gateway = Gateway::start().await;
    for n in 0..130 {
        gateway.accept("WEEKEND-2026", &format!("till-{n}")).await;
    }
    gateway.accept("CODE-CCCC-1111", "till-1").await;
    let tills = |shown: &str| {
        shown.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>().len()
    };
    let list =
        gateway.run_with(&["list", "--code", "-", "--columns", "till"], "WEEKEND-2026").await;
    assert_eq!((list.code, list.out.lines().count(), tills(&list.out)), (0, 131, 131), "{list:?}");
    let one = gateway.run_with(&["list", "--code", "-", "--json"], "CODE-CCCC-1111").await;
    assert_eq!((one.code, one.json().len()), (0, 1), "{one:?}");
    gateway.end().await;
}

#[tokio::test]
async fn names_are_printed_a_line_each_also_as_json() {
    let gateway = Gateway::start().await;
    let names = gateway.run(&["names", "lanes", "--json"]).await;
    assert_eq!(names.json(), [json!({"name": "retm"}), json!({"name": "other"})]);
    gateway.end().await;
}

/// So many confirmed rows of one lane, between two of the other that were declined after the fact.
fn two_lanes(state: &Path, rows: u32) {
    let (mut store, _) = Store::open(state).unwrap();
    store.ensure_lanes(&["retm".to_owned(), "other".to_owned()]).unwrap();
    let path = store.path();
    store.close().unwrap();
    let sql = rusqlite::Connection::open(path).unwrap();
    // 64: given on trust; 32,768: lost.
    let insert = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}),
            a (i, is_lost) AS (SELECT i, i IN (1, {rows}) FROM n)
         INSERT INTO redemption SELECT i, randomblob(12), NULL,
            (SELECT lane FROM lane WHERE name = CASE WHEN is_lost THEN 'other' ELSE 'retm' END),
            'till-1', i, i, randomblob(16), i, 'shop', 'CODE-' || i, '042', '2026-11-01 10:00:00',
            1793491200000 + i, 49, 0, 0, CASE WHEN is_lost THEN 2 ELSE 1 END, 0,
            CASE WHEN is_lost THEN 64 + 32768 ELSE 32 END, 1, 1793491200000 + i FROM a"
    );
    sql.execute(&insert, []).unwrap();
    let counted = "UPDATE lane SET
        accepted = (SELECT count(*) FROM redemption WHERE redemption.lane = lane.lane),
        confirmed = (SELECT count(*) FROM redemption WHERE redemption.lane = lane.lane AND \
        state = 1),
        declined = (SELECT count(*) FROM redemption WHERE redemption.lane = lane.lane AND \
        state = 2)";
    sql.execute(counted, []).unwrap();
}

#[tokio::test]
async fn a_lanes_few_rows_are_listed_and_reported_however_many_others_lie_between() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    two_lanes(&state, 50_010);
    let at = (1_793_491_300_000, ("2026-11-01 10:00:00", "9.9.9"));
    let gateway = Gateway::start_in(folder, at.0, at.1).await;
    let listed = gateway.run(&["list", "--lane", "other", "--all", "--json"]).await;
    assert_eq!(listed.json().len(), 2, "{}", listed.err);
    let declined = ["list", "--lane", "other", "--state", "declined", "--waiting", "--json"];
    assert_eq!(gateway.run(&declined).await.json().len(), 2);
    let report = gateway.run(&["report", "--lane", "other", "--json"]).await.json();
    let exceptions = report.iter().filter(|line| line["kind"] == "exception");
    assert_eq!(exceptions.count(), 2, "{report:?}");
    gateway.end().await;
}

/// A daemon that has looked at 20,000 rows more at each request, and found nothing; how often it
/// was asked.
fn endless(socket: &Path) -> std::thread::JoinHandle<u32> {
    use std::io::{BufRead, BufReader};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut asked = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            if first.starts_with("GET /end") {
                break;
            }
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            asked += 1;
            let body = format!(r#"{{"redemptions":[],"next":{}}}"#, asked * 20_000);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        asked
    })
}

#[test]
fn a_list_goes_on_looking_and_says_on_standard_output_too_where_it_gave_up() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("redeemd.toml"), folder.path().join("admin.sock"));
    std::fs::write(&file, settings(folder.path())).unwrap();
    let served = endless(&socket);
    let list = ["list", "--code-ending", "9999", "--config", file.to_str().unwrap()];
    let table = bare(&list);
    assert_eq!(table.code, 1, "{}", table.err);
    assert!(table.out.contains("not everything was looked at: go on with --after 10000000"));
    let json = bare(&[&list[..], &["--json"]].concat());
    assert_eq!((json.code, json.json().len()), (1, 1), "{}", json.err);
    assert_eq!(json.json()[0]["next"], 20_000_000);
    let mut end = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    end.write_all(b"GET /end HTTP/1.1\r\n").unwrap();
    assert_eq!(served.join().unwrap(), 1000);
}

#[tokio::test]
async fn a_void_is_recorded_with_its_note_and_who_did_it() {
    let gateway = Gateway::start().await;
    let id = gateway.accept("CODE-CCCC-1111", "till-1").await;
    let ran = gateway.run(&["void", &id, "--note", "customer came back"]).await;
    assert_eq!((ran.code, ran.out), (0, format!("{id}: voided\n")), "{}", ran.err);
    let shown = gateway.run(&["show", &id]).await;
    assert!(
        shown.out.contains("customer came back") && shown.out.contains(" void by "),
        "{}",
        shown.out
    );
    assert!(!shown.out.contains("void by console"), "the socket tells who acts: {}", shown.out);
    let again = gateway.run(&["void", &id, "--note", "twice"]).await;
    assert_eq!(again.code, 1, "{}", again.out);
    assert_eq!(gateway.run(&["void", &id, "--note", " "]).await.code, 64);
    gateway.end().await;
}

#[tokio::test]
async fn a_retry_goes_on_past_what_it_may_not_retry_and_says_each() {
    let gateway = Gateway::start().await;
    let pending = gateway.accept("CODE-DDDD-1111", "till-1").await;
    let ran = gateway
        .run_with(&["retry", "-"], &format!("{{\"id\":\"{pending}\"}}\n\n999-abc\nnonsense!\n"))
        .await;
    assert_eq!(ran.code, 1);
    for word in [pending.as_str(), "999-abc", "nonsense!"] {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
    assert_eq!(gateway.run(&["retry", "--lane", "nope", "--held"]).await.code, 1);
    let none = gateway.run(&["retry", "--lane", "retm", "--held", "--json"]).await;
    assert_eq!((none.code, none.out.as_str()), (1, ""));
    assert!(none.err.contains("retm is not held for declines"), "{}", none.err);
    gateway.end().await;
}

#[tokio::test]
async fn what_a_list_finds_can_be_piped_into_a_void() {
    let gateway = Gateway::start().await;
    for n in 0..3 {
        gateway.accept(&format!("CODE-HHHH-{n}{n}{n}{n}"), "till-1").await;
    }
    let found = gateway.run(&["list", "--state", "pending", "--json"]).await;
    let ran = gateway
        .run_with(&["void", "-", "--note", "the store was closed", "--json"], &found.out)
        .await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json().iter().filter(|row| row["state"] == "voided").count(), 3, "{}", ran.out);
    assert_eq!(gateway.run(&["list", "--state", "pending", "--json"]).await.out, "");
    gateway.end().await;
}

#[tokio::test]
async fn what_a_person_has_seen_to_is_marked_and_what_is_pending_cannot_be() {
    let gateway = Gateway::start().await;
    let id = gateway.accept("CODE-LLLL-1111", "till-1").await;
    let pending = gateway.run(&["handled", &id, "--note", "asked the provider"]).await;
    assert_eq!(pending.code, 1, "{}", pending.out);
    assert!(pending.err.contains("pending"), "{}", pending.err);
    assert_eq!(gateway.run(&["void", &id, "--note", "customer came back"]).await.code, 0);
    let ran = gateway.run(&["handled", "-", "--note", "asked the provider", "--json"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "no id, nothing to do: {}", ran.err);
    let ran =
        gateway.run(&["handled", &id, "--note", "asked the provider", "--free", "--json"]).await;
    assert_eq!((ran.code, &ran.json()[0]["handled"]), (0, &json!(true)), "{}", ran.err);
    let shown = gateway.run(&["show", &id]).await;
    assert!(shown.out.contains("asked the provider"), "{}", shown.out);
    gateway.end().await;
}

#[tokio::test]
async fn what_a_person_has_handled_waits_nowhere_any_more() {
    let gateway = Gateway::start().await;
    let ids = shown::story(&gateway).await;
    let waiting = async || -> Vec<Value> {
        let rows = gateway.run(&["list", "--waiting", "--json"]).await.json();
        rows.iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(waiting().await, [json!(ids[1]), json!(ids[2]), json!(ids[3])]);
    let check = gateway.run(&["status", "--check"]).await;
    let all = "1 taken back by a till after it was given, 1 parked, 1 declined after the fact:";
    assert!(check.code == 1 && check.out.starts_with(all), "{check:?}");
    assert_eq!(gateway.run(&["handled", &ids[3], "--note", "it is here"]).await.code, 0);
    let lost = gateway.run(&["void", &ids[1], "--note", "asked them"]).await;
    assert_eq!(lost.out, format!("{}: declined, closed as lost\n", ids[1]), "{}", lost.err);
    let check = gateway.run(&["status", "--check"]).await;
    assert!(check.code == 1 && check.out.starts_with("1 parked: "), "{check:?}");
    assert_eq!(gateway.run(&["handled", &ids[2], "--note", "asked them"]).await.code, 0);
    let again = gateway.run(&["void", &ids[0], "--note", "asked them"]).await;
    assert!(again.code == 1 && again.err.contains("declined after the fact"), "{again:?}");
    assert!(waiting().await.is_empty());
    let check = gateway.run(&["status", "--check"]).await;
    assert_eq!((check.code, check.out.as_str()), (0, ""), "{}", check.err);
    let report = gateway.run(&["report"]).await.out;
    assert!(report.contains("somebody has handled each") && !report.contains("1 parked"));
    let lines = gateway.run(&["report", "--json"]).await.json();
    let lost = lines.iter().find(|line| line["kind"] == "exception").unwrap();
    for (key, value) in [
        ("id", json!(ids[1])),
        ("handled", json!(true)),
        ("handled_note", json!("asked them")),
        ("value", json!("25.00")),
        ("value_assumed", json!(true)),
        ("rule", Value::Null),
    ] {
        assert_eq!(lost[key], value, "{key}: {lost}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn a_list_has_the_columns_that_are_asked_for() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-IIII-1111", "صندوق").await;
    let ran = gateway.run(&["list", "--columns", "till,branch,state"]).await;
    assert_eq!(ran.out, "TILL   BRANCH  STATE\nصندوق  042     pending\n", "{}", ran.err);
    gateway.end().await;
}

#[tokio::test]
async fn a_check_of_the_status_is_quiet_when_all_is_well_and_ages_are_counted_by_lane() {
    let gateway = Gateway::start().await;
    let well = gateway.run(&["status", "--check"]).await;
    assert_eq!((well.code, well.out.as_str()), (0, ""), "{}", well.err);
    assert_eq!(gateway.run(&["status", "--check", "--json"]).await.json(), [json!({"needs": []})]);
    assert_eq!(gateway.run(&["status", "--ages"]).await.out, "nothing is pending\n");
    gateway.accept("CODE-JJJJ-1111", "till-1").await;
    let ages = &gateway.run(&["status", "--ages", "--json"]).await.json()[0];
    let all: u64 =
        ages["ages"].as_array().unwrap().iter().map(|age| age["pending"].as_u64().unwrap()).sum();
    assert_eq!((ages["lane"].as_str(), all), (Some("retm"), 1), "{ages}");
    gateway.end().await;
}

#[tokio::test]
async fn a_check_of_the_status_names_each_lane_whose_trust_is_off_without_an_end() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.run(&["trust", "off", "--note", "a look"]).await.code, 0);
    let ran = gateway.run(&["status", "--check", "--json"]).await;
    let needs = ran.json()[0]["needs"].clone();
    let needs: Vec<&str> =
        needs.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!((ran.code, needs.len()), (1, 2), "{needs:?}");
    for (need, lane) in needs.iter().zip(["retm", "other"]) {
        assert!(need.starts_with(&format!("trust is off in {lane} until somebody")), "{need}");
        assert!(need.ends_with(": a look"), "{need}");
    }
    let for_an_hour = ["trust", "off", "--note", "another look", "--for", "1h"];
    let said = gateway.run(&for_an_hour).await.out;
    let stays = "trust was off there for longer already and stays so";
    assert!(said.contains(&format!("retm: {stays}")) && said.contains("other: "), "{said}");
    assert_eq!(gateway.run(&["status", "--check"]).await.code, 1, "it does not end by itself");
    assert_eq!(gateway.run(&["trust", "on"]).await.code, 0);
    assert!(gateway.run(&for_an_hour).await.out.contains("retm: nothing is given on trust"));
    assert_eq!(gateway.run(&["status", "--check"]).await.code, 0, "it ends by itself");
    gateway.end().await;
}

#[tokio::test]
async fn an_export_to_standard_output_is_the_file_and_warns_beside_it() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-KKKK-1111", "till-1").await;
    let ran = gateway.run(&["export", "-"]).await;
    assert_eq!((ran.code, ran.out.lines().count()), (0, 3), "{}", ran.err);
    assert!(
        ran.out.contains("CODE-KKKK-1111") && ran.err.contains("WHOLE REWARD CODES"),
        "{}",
        ran.err
    );
    assert!(!Path::new("-").exists());
    let (trail, _) = gateway.queue.look(|reader| reader.trail(None, 10)).await.unwrap();
    let [export] = trail.as_slice() else { panic!("{trail:?}") };
    let user = redeemd::admin::user_name(rustix::process::getuid().as_raw());
    assert_eq!((export.what.as_str(), &export.by), ("export", &user));
    assert!(export.detail.contains(r#""redemptions":1"#), "{}", export.detail);
    gateway.end().await;
}

#[tokio::test]
async fn what_one_box_exports_to_a_pipe_another_imports_from_it() {
    let (old, new) = (Gateway::start().await, Gateway::start().await);
    old.accept("CODE-KKKK-2222", "till-1").await;
    let piped = old.run(&["export", "-"]).await.out;
    let ran = new.run_with(&["import", "-"], &piped).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    // The body of these redemptions is none that could be sent.
    assert_eq!(ran.out, "0 imported, 0 already there, 1 parked, 0 refused\n");
    let cut = piped.lines().take(2).collect::<Vec<_>>().join("\n");
    let ran = new.run_with(&["import", "-"], &cut).await;
    assert!(ran.code == 1 && ran.err.contains("standard input has no last line"), "{}", ran.err);
    old.end().await;
    new.end().await;
}

#[tokio::test]
async fn a_backup_to_a_pipe_is_the_database_alone_and_nothing_is_written_on_a_terminal() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-OOOO-2222", "till-1").await;
    let mut command = gateway.command(&["backup", "-"]);
    command.stdin(Stdio::null()).current_dir(gateway.folder.path());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && said.contains("WHOLE REWARD CODES"), "{said}");
    assert!(!gateway.folder.path().join("-").exists());
    let restored = gateway.folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::write(restored.join("redeemd.db"), &ran.stdout).unwrap();
    let (store, report) = Store::open(&restored).unwrap();
    assert!(report.copied.is_some() && report.uncertain == 1, "{report:?}");
    drop(store);
    let mut command = Command::new("script");
    let line = format!(
        "{} backup - --config {}",
        env!("CARGO_BIN_EXE_redeemd"),
        gateway.settings_file().display()
    );
    command.args(["-qec", &line, "/dev/null"]);
    let ran = tokio::task::spawn_blocking(move || Ran::of(&mut command, "")).await.unwrap();
    assert_eq!(ran.code, 64, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("name a file") && !ran.out.contains("SQLite"), "{}", ran.out);
    gateway.end().await;
}

#[test]
fn a_failed_command_leaves_none_of_its_two_files_and_no_file_is_called_like_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("cert.pem"), "somebody else's").unwrap();
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    let ran = bare(&["make-certificate", "x", "--cert-file", &cert, "--key-file", &key]);
    assert!(ran.code == 1 && ran.err.contains("cert.pem"), "{}", ran.err);
    assert!(!Path::new(&key).exists());
    let ran = bare(&["make-certificate", "x", "--cert-file", "-", "--key-file", &key]);
    assert!(ran.code == 64 && ran.err.contains("name a file"), "{}", ran.err);
    assert!(!Path::new(&key).exists() && !Path::new("-").exists());
}

#[test]
fn a_state_directory_without_a_database_is_73_for_an_export_as_for_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let ran = bare(&["export", "-", "--state-dir", folder.path().to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str()), (73, ""), "{}", ran.err);
}

#[tokio::test]
async fn faulty_settings_keep_nobody_from_a_daemon_that_runs_on_with_the_good_ones() {
    let gateway = Gateway::start().await;
    let file = gateway.settings_file();
    let faulty = std::fs::read_to_string(&file).unwrap() + "[offline]\nmax_pendign = 1\n";
    std::fs::write(gateway.folder.path().join("faulty.toml"), &faulty).unwrap();
    std::fs::write(gateway.folder.path().join("broken.toml"), "[gateway\n").unwrap();
    let run = async |name: &str, args: &[&str]| {
        let file = gateway.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_redeemd"));
        command.args(args).arg("--config").arg(file);
        command.env_remove("RUNTIME_DIRECTORY").env_remove("STATE_DIRECTORY");
        tokio::task::spawn_blocking(move || Ran::of(&mut command, "")).await.unwrap()
    };
    let ran = run("faulty.toml", &["status", "--json"]).await;
    assert_eq!((ran.code, &ran.json()[0]["gateway"]), (0, &json!("branch-042")), "{}", ran.err);
    let ran = run("faulty.toml", &["trust", "off", "--note", "codes are guessed"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = run("broken.toml", &["status"]).await;
    assert_eq!(ran.code, 78, "{}", ran.err);
    assert!(ran.err.contains("the daemon was not asked"), "{}", ran.err);
    gateway.end().await;
}

#[tokio::test]
async fn a_value_that_can_only_be_wrong_is_64_and_nothing_is_done() {
    let gateway = Gateway::start().await;
    let id = gateway.accept("CODE-EEEE-1111", "till-1").await;
    for (wrong, says) in [
        (&["list", "--code-ending", "abcde"][..], "at most 4 characters"),
        (&["report", "--lane", ""], "empty"),
        (&["list", "--since", "2026-11-02", "--until", "2026-11-01"], "--since lies after --until"),
        (
            &["list", "--since", "2026-11-01T10:00:00Z", "--until", "2026-11-01T10:00:00Z"],
            "--since lies after --until",
        ),
        (&["void", &id, "nope", "--note", "x"], "not the id of a redemption"),
        (&["retry", "nope"], "not the id of a redemption"),
        (&["handled", &id, "--note", ""], "say why"),
        (&["hold", "--trust", "--note", " "], "say why"),
        (&["trust", "off", "--note", "x", "--for", "99999d"], "at most 3650d"),
        (&["trust", "off", "--note", "x", "--for", "0s"], "longer than zero"),
        (&["make-certificate", "", "--cert-file", "c", "--key-file", "k"], "a name is a host name"),
        (&["make-certificate", "متجر", "--cert-file", "c", "--key-file", "k"], "xn--"),
    ] {
        let ran = gateway.run(wrong).await;
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{wrong:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{wrong:?}: {}", ran.err);
    }
    let two = gateway.run_with(&["list", "--code", "-"], "CODE-EEEE-1111\nCODE-EEEE-2222\n").await;
    assert!(two.code == 64 && two.err.contains("several lines"), "{}", two.err);
    let one = gateway.run_with(&["list", "--code", "-", "--json"], "CODE-EEEE-1111\r\n\n").await;
    assert_eq!((one.code, one.json().len()), (0, 1), "{}", one.err);
    assert_eq!(gateway.run(&["show", &id, "--json"]).await.json()[0]["state"], "pending");
    gateway.end().await;
}

#[tokio::test]
async fn what_is_no_export_is_said_to_be_none_and_what_it_is() {
    let gateway = Gateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let database = format!("{path}/a.db");
    assert_eq!(gateway.run(&["backup", &database]).await.code, 0);
    let text = format!("{path}/a.txt");
    std::fs::write(&text, "not an export\n".repeat(99)).unwrap();
    for (file, what) in [(&path, "a folder"), (&database, "a database"), (&text, "a file without")]
    {
        let ran = gateway.run(&["import", file]).await;
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{file}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{file}: {}", ran.err);
        assert!(ran.err.contains(&format!("is no export: it is {what}")), "{file}: {}", ran.err);
    }
    gateway.end().await;
}

#[tokio::test]
async fn an_unknown_id_and_an_unknown_lane_are_1_and_no_id_at_all_is_64() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.run(&["show", "999-abc"]).await.code, 1);
    assert_eq!(gateway.run(&["show", "../status"]).await.code, 64);
    for command in ["flush", "hold", "release"] {
        assert_eq!(gateway.run(&[command, "nope"]).await.code, 1, "{command}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_report_is_quiet_when_nothing_was_given_while_the_line_was_down() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-EEEE-1111", "till-1").await;
    let ran = gateway.run(&["report", "--json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.json().last().unwrap()["kind"], "total");
    let csv = gateway.run(&["report", "--csv"]).await;
    assert!(
        csv.out.starts_with("kind,day,lane,till,") && csv.out.contains("\r\ntotal,,,,"),
        "{}",
        csv.out
    );
    let backwards = gateway.run(&["report", "--from", "2026-11-02", "--to", "2026-11-01"]).await;
    assert_eq!((backwards.code, backwards.out.as_str()), (64, ""), "{}", backwards.err);
    gateway.end().await;
}

#[tokio::test]
async fn a_report_says_what_was_taken_back_and_when_it_was_accepted() {
    let gateway = Gateway::start().await;
    let id = gateway.accept("CODE-MMMM-1111", "till-1").await;
    let held = gateway.accept("CODE-NNNN-1111", "till-2").await;
    gateway
        .queue
        .void_by_till(&redeemd::redemption::Id::parse(&id).unwrap(), "till-1")
        .await
        .unwrap();
    assert_eq!(gateway.run(&["void", &held, "--note", "customer came back"]).await.code, 0);
    let lines = gateway.run(&["report", "--json"]).await.json();
    let of = |kind: &str| lines.iter().find(|line| line["kind"] == kind).unwrap();
    assert_eq!(
        (&of("day")["day"], &of("day")["voided"]),
        (&json!("2026-11-01"), &json!(2)),
        "{lines:?}"
    );
    assert_eq!(
        (&of("till")["till"], &of("till")["taken_back"]),
        (&json!("till-1"), &json!(1)),
        "{lines:?}"
    );
    assert_eq!(
        (&of("prefix")["prefix"], &of("total")["taken_back"]),
        (&json!("COD"), &json!(1)),
        "{lines:?}"
    );
    // What the till took back counts until somebody has handled it, here as there.
    let at_risk = gateway.run(&["status", "--json"]).await.json();
    assert_eq!(at_risk[0]["lanes"][0]["exposure"], "25.00", "{at_risk:?}");
    assert_eq!(of("total")["value_at_risk"], "25.00", "{lines:?}");
    assert_eq!(gateway.run(&["handled", &id, "--note", "seen"]).await.code, 0);
    let at_risk = gateway.run(&["status", "--json"]).await.json();
    let report = gateway.run(&["report", "--json"]).await.json();
    let total = report.iter().find(|line| line["kind"] == "total").unwrap();
    assert_eq!(
        (&at_risk[0]["lanes"][0]["exposure"], &total["value_at_risk"]),
        (&json!("0.00"), &json!("0.00")),
        "{report:?}"
    );
    let text = gateway.run(&["report"]).await.out;
    let expected = "\
DAY         LANE  ACCEPTED  LATE  CONFIRMED  DECLINED  PARKED  PENDING  VOIDED
2026-11-01  retm         2     0          0         0       0        0       2
";
    assert!(text.contains(expected), "{text}");
    gateway.end().await;
}

#[tokio::test]
async fn a_backup_takes_no_arguments() {
    let gateway = Gateway::start().await;
    let socket = gateway.folder.path().join("admin.sock");
    let asked = move |body: &str| {
        let mut connection = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let head = "POST /api/v1/backup HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
            content-type: application/json";
        write!(connection, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut status = [0; 12];
        connection.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status).into_owned()
    };
    let asking = move || ["", "{}", "{\"lane\": 1}", "any"].map(asked);
    let answers = tokio::task::spawn_blocking(asking).await.unwrap();
    assert_eq!(answers, ["200", "200", "400", "400"].map(|status| format!("HTTP/1.1 {status}")));
    gateway.end().await;
}

/// A folder with settings, and a socket in the place of a daemon's.
fn mute() -> (tempfile::TempDir, std::os::unix::net::UnixListener) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("redeemd.toml"), settings(folder.path())).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("admin.sock"));
    (folder, listener.unwrap())
}

/// A command that asks a [`mute`] daemon.
fn asking(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeemd"));
    command.args(args).arg("--config").arg(folder.join("redeemd.toml")).stdin(Stdio::null());
    command
}

#[test]
fn a_backup_that_is_stopped_leaves_no_part_of_a_file() {
    let (folder, listener) = mute();
    let file = folder.path().join("copy.db");
    for signal in ["-INT", "-TERM", "-KILL"] {
        let mut command = asking(folder.path(), &["backup", file.to_str().unwrap()]);
        let mut backup = command.stderr(Stdio::piped()).spawn().unwrap();
        let (_asked, _) = listener.accept().unwrap();
        assert!(!file.exists(), "it has its name once it is whole");
        let pid = backup.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let code = (signal != "-KILL").then_some(1);
        assert_eq!(backup.wait().unwrap().code(), code, "{signal}");
        assert!(!file.exists(), "{signal}");
    }
}

#[test]
fn an_action_that_nobody_answered_is_said_to_be_done_perhaps_and_a_look_is_not() {
    let (folder, listener) = mute();
    for (args, may_be_done) in [(&["hold", "--note", "x"][..], true), (&["status"], false)] {
        let mut command = asking(folder.path(), args);
        let asked = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(listener.accept().unwrap());
        let ran = asked.wait_with_output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(69), "{said}");
        assert_eq!(said.contains("it may be done yet"), may_be_done, "{said}");
    }
}

#[tokio::test]
async fn an_export_into_a_pipe_that_broke_is_no_success() {
    let gateway = Gateway::start().await;
    gateway.accept("CODE-OOOO-3333", "till-1").await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = gateway.command(&["export", "-"]);
    command.stdin(Stdio::null()).stdout(writer);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.code() == Some(70) && said.contains("standard output"), "{said}");
    gateway.end().await;
}

#[tokio::test]
async fn a_backup_of_a_running_gateway_is_whole_its_owners_alone_and_known_as_a_copy() {
    let gateway = Gateway::start().await;
    let id = gateway.accept("CODE-OOOO-1111", "till-1").await;
    let restored = gateway.folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    let file = restored.join("redeemd.db");
    let ran = gateway.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let bytes = std::fs::metadata(&file).unwrap();
    assert_eq!((bytes.permissions().mode() & 0o777, bytes.len() % 4096), (0o600, 0));
    assert!(
        ran.out.ends_with(" bytes\n") && ran.err.contains("WHOLE REWARD CODES"),
        "{} {}",
        ran.out,
        ran.err
    );
    let names = std::fs::read_dir(gateway.folder.path().join("state")).unwrap();
    assert!(
        names
            .map(|name| name.unwrap().file_name())
            .all(|name| !name.to_str().unwrap().contains("copying"))
    );
    let again = gateway.run(&["backup", file.to_str().unwrap()]).await;
    assert!(again.code == 1 && again.err.contains("exists"), "{}", again.err);
    let (store, report) = Store::open(&restored).unwrap();
    assert!(report.copied.is_some() && report.uncertain == 1, "{report:?}");
    assert_eq!(store.counts().iter().map(|(_, counts)| counts.pending).sum::<u64>(), 1);
    let more = gateway.accept("CODE-PPPP-1111", "till-1").await;
    assert_ne!(more, id, "the gateway goes on");
    gateway.end().await;
}

#[tokio::test]
async fn whoever_follows_the_queue_hears_of_each_change_at_least_once() {
    let gateway = Gateway::start().await;
    let mut changes = gateway.queue.changes();
    changes.mark_unchanged();
    let id = gateway.accept("CODE-QQQQ-1111", "till-1").await;
    let heard = |changes: &mut watch::Receiver<u64>| changes.has_changed().unwrap();
    assert!(heard(&mut changes), "a redemption was accepted");
    changes.mark_unchanged();
    gateway.queue.configured()[0].publish(|status| status.link = "held");
    assert!(heard(&mut changes), "a lane is held");
    changes.mark_unchanged();
    assert!(gateway.queue.list(redeemd::store::Filter::default()).await.is_ok());
    assert!(!heard(&mut changes), "looking changes nothing");
    assert_eq!(gateway.run(&["void", &id, "--note", "customer came back"]).await.code, 0);
    assert!(heard(&mut changes), "an exception more");
    gateway.end().await;
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_list_quietly() {
    let gateway = Gateway::start().await;
    for n in 0..3 {
        gateway.accept(&format!("CODE-FFFF-{n}{n}{n}{n}"), "till-1").await;
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = gateway.command(&["list"]);
    command.stdout(writer).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    gateway.end().await;
}

#[tokio::test]
async fn ready_follows_the_daemon_and_metrics_hold_the_books() {
    use redeemd::client::{Target, call};
    let gateway = Gateway::start().await;
    gateway.accept("CODE-GGGG-1111", "till-1").await;
    let target = Target::Unix(gateway.folder.path().join("admin.sock"));
    let get = async |path: &str| {
        call(&target, hyper::Method::GET, path, &[], bytes::Bytes::new()).await.unwrap()
    };
    assert_eq!((get("/readyz").await.status, get("/livez").await.status), (503, 200));
    gateway.ready.send(true).unwrap();
    assert_eq!(get("/readyz").await.status, 200);
    let metrics = get("/metrics").await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), Some(content_type));
    let page = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(page.contains("redeemd_redemptions{lane=\"retm\",state=\"pending\"} 1\n"), "{page}");
    let wrong = get("/api/v1/redemptions?state=lost&page=2").await;
    assert_eq!(
        (wrong.status, wrong.header("content-type")),
        (400, Some("application/problem+json"))
    );
    let detail = wrong.json().unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("state: ") && detail.contains("page: "), "{detail}");
    gateway.end().await;
}
