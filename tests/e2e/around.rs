//! What is around the gateway: hostile files, strangers, neighbours, readers; through the real
//! binary.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use redeemd::store::seal;
use serde_json::{Map, Value, json};

use crate::harness::{Gateway, Order, Provider, eventually, skipped, until};

fn two_tills(provider: &Provider, offline: &str) -> Gateway {
    let builder = Gateway::with().lane("main", provider, "").offline(offline);
    builder.till("till-1", "token-1").till("till-2", "token-2").start()
}

/// The same with the line cut, which is known, and one redemption of the first till pending.
fn two_tills_offline(provider: &Provider, offline: &str) -> Gateway {
    let gateway = two_tills(provider, offline);
    provider.cut();
    assert_eq!(gateway.till("till-1").redeem("THE-FIRST").status, 200);
    gateway.wait_for_link("main", "down");
    gateway
}

/// How many further codes of a till are taken until it is refused; what the refusal says.
fn taken_until_refused(gateway: &Gateway, till: &str) -> (usize, String) {
    let client = gateway.till(till);
    for taken in 0..50 {
        let reply = client.redeem(&format!("{till}-LOOPS-{taken}"));
        if reply.status != 200 {
            assert_eq!(reply.status, 503, "{reply:?}");
            return (taken, reply.refusal());
        }
    }
    panic!("{till} is never refused");
}

/// The header of an export and its rows, as objects.
fn exported_rows(gateway: &Gateway) -> (String, Vec<Map<String, Value>>) {
    let file = gateway.folder().join("sound");
    let said = gateway.command(&["export", file.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap().to_owned();
    let read = |line: &str| -> Map<String, Value> { serde_json::from_str(line).unwrap() };
    let mut rows: Vec<_> = lines.map(read).filter(|row| row.contains_key("id")).collect();
    for row in &mut rows {
        row.remove("crc").unwrap();
    }
    (header, rows)
}

/// A sealed line for each extreme of each field, each of a row of its own.
fn hostile_lines(rows: &[Map<String, Value>]) -> Vec<String> {
    let numbers =
        [json!(i64::MIN), json!(-1), json!(0), json!(253_402_300_800_000_i64), json!(i64::MAX)];
    let wide = [json!(u32::MAX), json!(u64::MAX), json!("pending"), json!("parked")];
    let texts =
        [json!(""), json!("\u{0}\n\u{202e}\u{1f600}"), json!("x".repeat(60_000)), json!("{}")];
    let other = [json!(null), json!([]), json!({}), json!(true), json!(1.5e300)];
    let said =
        [0, 65_535].map(|status| json!({"status": status, "content_type": "\n", "body": "\u{7f}"}));
    let values: Vec<Value> =
        numbers.into_iter().chain(wide).chain(texts).chain(other).chain(said).collect();
    let fields = rows[0].keys().cloned().chain(["note".to_owned(), "answer".to_owned()]);
    let each =
        fields.flat_map(|field| values.iter().map(move |value| (field.clone(), value.clone())));
    let hostile = each.enumerate().map(|(nth, (field, value))| {
        let mut row = rows[nth].clone();
        row.insert(field, value);
        seal(&row).unwrap()
    });
    hostile.collect()
}

/// Every view answers and the books balance.
fn is_well(gateway: &mut Gateway, when: &str) {
    assert!(!gateway.has_ended(), "{when}: {}", gateway.log());
    let books = gateway.counts();
    assert_eq!(gateway.list("").len() as u64, books.accepted, "{when}");
    for path in ["/metrics", "/", "/inbox", "/livez"] {
        assert_eq!(gateway.admin("GET", path, "").status, 200, "{when} {path}");
    }
    for args in [
        &["status"][..],
        &["status", "--ages"],
        &["list", "--all"],
        &["report"],
        &["report", "--csv"],
    ] {
        let said = gateway.command(args);
        assert_eq!(said.code, Some(0), "{when} {args:?}: {}", said.err);
    }
    assert!(!gateway.log().contains("panicked"), "{when}: {}", gateway.log());
}

#[test]
fn n1_no_line_of_an_import_ends_the_process_or_a_later_start() {
    let provider = Provider::start();
    let a = Gateway::before(&provider);
    provider.cut();
    for n in 0..400 {
        assert_eq!(a.till("").redeem(&format!("SOUND-{n}")).status, 200);
    }
    let (header, rows) = exported_rows(&a);
    let lines = hostile_lines(&rows);
    let end = seal(&json!({"end": lines.len(), "unreadable": []})).unwrap();
    let text = [vec![header], lines.clone(), vec![end]].concat().join("\n");
    let mut b = Gateway::before(&provider);
    let file = b.folder().join("hostile");
    fs::write(&file, text + "\n").unwrap();
    let said = b.command(&["import", "--json", file.to_str().unwrap()]);
    let counted: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let of = |name: &str| counted[name].as_u64().unwrap();
    println!(
        "{} lines: {} imported, {} parked, {} refused",
        lines.len(),
        of("imported"),
        of("parked"),
        of("refused")
    );
    assert_eq!(
        of("imported") + of("already_there") + of("parked") + of("refused"),
        lines.len() as u64,
        "{counted}"
    );
    assert!(of("refused") > 0 && of("imported") > 0, "{counted}");
    is_well(&mut b, "after the import");
    for row in b.list("") {
        let shown = b.command(&["show", row["id"].as_str().unwrap()]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
    }
    for start in ["the first start", "the second start"] {
        b.restart();
        is_well(&mut b, start);
    }
    provider.restore();
    b.wait_for_counts("what can be sent is sent", |books| books.confirmed > 0);
    b.till("").redeem("LIFE-GOES-ON");
    is_well(&mut b, "after the drain");
    assert!(b.terminate().success());
}

#[test]
fn n4_the_text_of_the_log_says_who_what_and_which() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let id = gateway.till("").redeem("TOLD").id();
    provider.cut();
    gateway.till("").redeem("IN-THE-OUTAGE");
    gateway.wait_for_link("main", "down");
    provider.restore();
    gateway.wait_until_drained();
    gateway.wait_for_link("main", "up");
    gateway.says(&["hold", "main"]);
    gateway.wait_for_link("main", "held");
    gateway.rewrite("[nonsense]\nx = 1");
    gateway.reload();
    until("the fault is shown", || gateway.status()["reload_faults"] != json!([]));
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let settled = format!("{id} is confirmed (lane main, attempt 1)");
    let held = format!("{}: hold of lane main", user.trim());
    let log = gateway.log();
    for (level, text) in [
        ("INFO", settled.as_str()),
        ("WARN", "lane main is down (connect)"),
        ("INFO", "lane main is up"),
        ("INFO", held.as_str()),
        ("WARN", "reload: "),
        ("WARN", "the old settings stay in force"),
    ] {
        let is_told = log.lines().any(|line| line.contains(text) && line.contains(level));
        assert!(is_told, "{level} {text} is not in:\n{log}");
    }
}

#[test]
fn n6_a_till_that_loops_over_codes_leaves_the_others_their_share() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "max_pending = 5\nmax_pending_per_till = 3");
    let (taken, refusal) = taken_until_refused(&gateway, "till-1");
    assert!(taken == 2 && refusal.contains('3'), "{taken}: {refusal}");
    assert_eq!(taken_until_refused(&gateway, "till-2").0, 2, "the rest of the five is the other's");
    let refused = gateway.status()["refused"].clone();
    assert_eq!(
        (&refused["limit_till"], &refused["limit_pending"]),
        (&1.into(), &1.into()),
        "{refused}"
    );
    provider.restore();
    gateway.wait_until_drained();
    assert_eq!(gateway.till("till-1").redeem("AFTERWARDS").state(), "confirmed");
}

#[test]
fn n6_without_a_setting_one_of_several_tills_has_three_quarters() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "max_pending = 8");
    assert_eq!(taken_until_refused(&gateway, "till-1").0, 5);
    assert_eq!(taken_until_refused(&gateway, "till-2").0, 2);
}

#[test]
fn n7_two_tills_with_one_token_do_not_start() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "");
    let mut gateway = builder.till("till-1", "the-same").till("till-2", "the-same").stopped();
    let (status, said) = gateway.start_in_vain();
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(
        said.contains("till-1") && said.contains("till-2") && !said.contains("the-same"),
        "{said}"
    );
}

#[test]
fn n7_two_tills_whose_tokens_become_the_same_while_it_runs_are_named() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "");
    let mut gateway = builder.till("till-1", "the-one").till("till-2", "the-other").start();
    std::fs::write(gateway.folder().join("till-2.token"), "the-one").unwrap();
    until("it is told", || {
        gateway.till("till-1").redeem("ANY");
        gateway.log().contains("two tills have the same token")
    });
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("the same token")).unwrap();
    assert!(line.contains("till-1") && line.contains("till-2"), "{line}");
    assert!(!log.contains("the-one"), "no token is in the log");
}

#[test]
fn n7_a_field_that_is_there_in_two_spellings_is_refused() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    let refused = gateway.till("").order(&Order::new("ONE").with("Reward_Code", "ANOTHER"));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(
        refused.refusal().contains("reward_code is there in another spelling too"),
        "{refused:?}"
    );
    assert_eq!((gateway.counts().accepted, provider.requests().len()), (0, 0));
}

#[test]
fn n7_a_repeat_with_and_without_a_key_finds_its_first() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "");
    let till = gateway.till("till-1");
    let (keyless, keyed) =
        (till.redeem("KEYLESS-FIRST"), till.order(&Order::new("KEYED-FIRST").key("k-1")));
    let again = [till.order(&Order::new("KEYLESS-FIRST").key("k-2")), till.redeem("KEYED-FIRST")];
    assert_eq!([again[0].id(), again[1].id()], [keyless.id(), keyed.id()]);
    assert_eq!(gateway.counts().accepted, 3);
}

#[test]
fn n12_a_pipe_in_the_place_of_a_secret_holds_nobody_up_and_a_file_there_is_used_at_once() {
    let provider = Provider::start();
    let builder = Gateway::with().lane("main", &provider, "");
    let token = builder.folder().join("main.token");
    fs::remove_file(&token).unwrap();
    if !Command::new("mkfifo").arg(&token).status().is_ok_and(|status| status.success()) {
        return skipped("a pipe cannot be made");
    }
    let gateway = builder.start();
    let refused = gateway.till("").redeem("WITHOUT");
    assert_ne!(refused.state(), "confirmed", "{refused:?}");
    let lane = eventually("the lane's cause", || {
        Some(gateway.lane("main")).filter(|lane| !lane["cause"].is_null())
    });
    assert_eq!(lane["cause"], "credential", "{lane}");
    assert!(lane["detail"].as_str().unwrap().contains("pipe"), "{lane}");
    let checked = gateway.command(&["check"]);
    assert!(checked.err.contains("pipe"), "{checked:?}");
    fs::remove_file(&token).unwrap();
    gateway.write_token("main", "provider-token");
    let answer = eventually("the token is used", || {
        Some(gateway.till("").redeem("WITH")).filter(|reply| reply.status == 200)
    });
    assert_eq!(answer.state(), "confirmed", "{answer:?}");
    gateway.wait_for_link("main", "up");
}

#[test]
fn n12_what_is_no_file_in_the_place_of_a_file_of_ours_ends_the_start_and_is_named() {
    let provider = Provider::start();
    let mut gateway = Gateway::with().lane("main", &provider, "").stopped();
    let state = gateway.state_dir();
    fs::write(&state, "").unwrap();
    assert_eq!(gateway.start_in_vain().0.code(), Some(73), "a file in the place of the folder");
    let checked = gateway.command(&["check"]);
    assert!(checked.code == Some(78) && checked.err.contains("is no directory"), "{checked:?}");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    for name in ["redeemd.db", "redeemd.db-wal", "redeemd.db-shm", "lock", "reserve"] {
        let path = state.join(name);
        for (make, kind) in [
            (["mkfifo"].as_slice(), "pipe"),
            (&["mkdir"], "folder"),
            (&["ln", "-s", "/dev/zero"], "device"),
        ] {
            let made = Command::new(make[0]).args(&make[1..]).arg(&path).status();
            assert!(made.is_ok_and(|made| made.success()), "{make:?}");
            let (status, said) = gateway.start_in_vain();
            assert_eq!(status.code(), Some(73), "{name} as a {kind}: {said}");
            assert!(said.contains(&format!("{name}: this is not a file but a {kind}")), "{said}");
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
    }
    gateway.start();
    assert_eq!(gateway.till("").redeem("AFTERWARDS").state(), "confirmed");
}

#[test]
fn n19_refusals_are_counted_told_in_status_and_warned_of_within_bounds() {
    let provider = Provider::start();
    let mut gateway = two_tills_offline(&provider, "max_pending = 2\nmax_pending_per_till = 2");
    assert_eq!(gateway.till("till-2").redeem("THE-SECOND").status, 200);
    for n in 0..30 {
        assert_eq!(gateway.till("till-2").redeem(&format!("TOO-MANY-{n}")).status, 503);
    }
    assert_eq!(gateway.stranger(None).redeem("STRANGE").status, 401);
    assert_eq!(gateway.till("till-1").send("POST", "/redeem", &[], b"{").status, 400);
    let said = gateway.says(&["status"]);
    let told =
        "refused 32 requests of tills since the start: limit_pending 30, malformed 1, token 1";
    assert!(said.contains(told), "{said}");
    let warned = "requests of tills are refused: limit_pending";
    let log = gateway.log();
    assert_eq!(log.lines().filter(|line| line.contains(warned)).count(), 1, "{log}");
    assert!(!log.contains("are refused: malformed"), "a till's own fault is the till's: {log}");
}

#[test]
fn n19_a_standard_checker_finds_nothing_in_the_metrics() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "max_pending = 1");
    assert_eq!(gateway.till("till-2").redeem("TOO-MANY").status, 503);
    let page = gateway.operators().send("GET", "/metrics", &[("accept", "text/plain")], b"");
    for family in [
        "redeemd_refused_total{reason=\"limit_pending\"} 1",
        "redeemd_log_dropped_total 0",
        "redeemd_answer_seconds_bucket{le=\"+Inf\"} ",
        "redeemd_database_bytes ",
        "redeemd_database_log_bytes ",
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "process_cpu_seconds_total ",
    ] {
        assert!(
            page.body.lines().any(|line| line.starts_with(family)),
            "{family} is not in {}",
            page.body
        );
    }
    let file = gateway.folder().join("metrics");
    fs::write(&file, &page.body).unwrap();
    let Ok(input) = fs::File::open(&file) else { unreachable!() };
    let Ok(said) = Command::new("promtool").args(["check", "metrics"]).stdin(input).output() else {
        return skipped("there is no promtool");
    };
    let said =
        [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("");
    assert_eq!(said.trim(), "", "{}", page.body);
}

/// The reader of the Prometheus project's own client library: it refuses whatever `OpenMetrics` 1.0
/// forbids, such as a page without its end mark, a unit that is not the name's end, a family in two
/// pieces, a histogram that shrinks.
const STRICT_READER: &str = "import sys\n\
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n\
    print(sum(len(family.samples) for family in families(sys.stdin.read())))";

/// What the strict reader says of this page: how many samples it has, or what is wrong with it.
fn strictly_read(page: &Path) -> Option<Result<usize, String>> {
    let read = |python: &str, stdin: Stdio, code: &str| {
        let said = Command::new(python).args(["-c", code]).stdin(stdin).output().ok()?;
        let count = String::from_utf8_lossy(&said.stdout).trim().parse();
        Some(count.map_err(|_| String::from_utf8_lossy(&said.stderr).into_owned()))
    };
    let has_it = |python: &&str| {
        read(python, Stdio::null(), "import prometheus_client; print(1)") == Some(Ok(1))
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_it)?;
    read(python, fs::File::open(page).unwrap().into(), STRICT_READER)
}

#[test]
fn n19_a_strict_reader_of_openmetrics_takes_the_page_that_it_asks_for() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "max_pending = 1");
    assert_eq!(gateway.till("till-2").redeem("TOO-MANY").status, 503);
    let file = gateway.folder().join("metrics");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let page = gateway.operators().send("GET", "/metrics", &[("accept", accept)], b"");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((page.status, page.header("content-type")), (200, Some(kind)));
    fs::write(&file, &page.body).unwrap();
    let Some(read) = strictly_read(&file) else {
        return skipped("there is no prometheus_client for Python");
    };
    let samples = page.body.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read, Ok(samples), "{}", page.body);
    fs::write(&file, page.body.replace("# EOF\n", "")).unwrap();
    assert!(strictly_read(&file).is_some_and(|read| read.is_err()), "the reader is not strict");
}

#[test]
fn n19_readiness_ends_where_no_redemption_could_be_taken() {
    let provider = Provider::start();
    let gateway = two_tills_offline(&provider, "max_pending = 2\nmax_pending_per_till = 2");
    let ready = || gateway.operators().send("GET", "/readyz", &[], b"");
    assert_eq!(ready().status, 200, "one more could be taken");
    assert_eq!(gateway.till("till-2").redeem("THE-LAST").status, 200);
    let full = ready();
    assert!(full.status == 503 && full.body.contains("no redemption could be taken"), "{full:?}");
    assert_eq!(gateway.operators().send("GET", "/livez", &[], b"").status, 200);
    provider.restore();
    gateway.wait_until_drained();
    until("it is ready again", || ready().status == 200);
}

#[test]
fn n20_a_lane_on_which_nothing_was_tried_is_called_so() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    assert!(gateway.says(&["status"]).contains("main untried 0"), "{}", gateway.says(&["status"]));
    assert_eq!(gateway.till("").redeem("TRIED").state(), "confirmed");
    assert!(gateway.says(&["status"]).contains("main up 0"), "{}", gateway.says(&["status"]));
}

#[test]
fn n20_a_flush_of_a_held_lane_says_that_it_stays_held() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    assert_eq!(gateway.says(&["flush"]), "main: tried at once");
    gateway.says(&["hold"]);
    gateway.wait_for_link("main", "held");
    let said = gateway.says(&["flush"]);
    assert!(said.starts_with("main: it is held (operator) and stays so"), "{said}");
}

#[test]
fn n20_settings_that_wait_for_a_restart_are_shown_until_they_are_taken_back_or_it_comes() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let keys = |gateway: &Gateway| gateway.status()["restart_keys"].to_string();
    let socket = |name: &str| format!("socket = \"{}\"", gateway.folder().join(name).display());
    let (other, more) =
        (socket("other.sock"), format!("{}\n[retention]\nsettled = \"2h\"", socket("other.sock")));
    assert_eq!(keys(&gateway), "[]");
    for settings in [other, more] {
        gateway.rewrite(&settings);
        gateway.reload();
        until("the key is shown", || keys(&gateway) == r#"["admin.socket"]"#);
    }
    gateway.rewrite("[alert]\nurl = \"https://hook.example/\"");
    gateway.reload();
    until("the webhook's is shown", || keys(&gateway) == r#"["alert.url"]"#);
    gateway.rewrite("");
    gateway.reload();
    until("it is taken back", || keys(&gateway) == "[]");
}

#[test]
fn n20_a_state_directory_that_waits_for_the_restart_is_looked_for_where_it_is() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let file = gateway.folder().join("redeemd.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let elsewhere = gateway.folder().join("elsewhere");
    let state = gateway.state_dir().display().to_string();
    std::fs::write(&file, settings.replace(&state, elsewhere.to_str().unwrap())).unwrap();
    gateway.reload();
    until("it waits for the restart", || {
        gateway.status()["restart_keys"].to_string().contains("gateway.state_dir")
    });
    let metrics = gateway.operators().send("GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("\nredeemd_database_bytes "), "{metrics}");
    let origin = format!("http://{}", gateway.admin_address());
    let form = "application/x-www-form-urlencoded";
    let headers = [("content-type", form), ("origin", &origin)];
    let reply = gateway.operators().send("POST", "/search", &headers, b"code=ANY-1");
    assert_eq!(reply.status, 303, "{reply:?}");
    assert!(!gateway.log().contains("cannot be kept"), "{}", gateway.log());
    assert!(!elsewhere.exists());
}

#[test]
fn n20_a_certificate_that_waits_for_the_restart_locks_nobody_out_of_the_console() {
    let provider = Provider::start();
    let mut gateway = Gateway::before(&provider);
    let at = |name: &str| gateway.folder().join(name).display().to_string();
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    gateway.says(&["make-certificate", "localhost", "--cert-file", &cert, "--key-file", &key]);
    gateway.rewrite(&format!("[admin.tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\""));
    gateway.reload();
    until("it waits for the restart", || {
        gateway.status()["restart_keys"].to_string().contains("admin.tls.cert_file")
    });
    let origin = format!("http://{}", gateway.admin_address());
    let form = "application/x-www-form-urlencoded";
    let headers = [("content-type", form), ("origin", &origin)];
    let reply = gateway.operators().send("POST", "/language", &headers, b"language=ar&to=/");
    assert_eq!(reply.status, 303, "{reply:?}");
}

#[test]
fn n20_show_has_each_attempt_with_its_phase_and_its_answer() {
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    provider.cut();
    let id = gateway.till("").redeem("TWICE").id();
    gateway.wait_for_link("main", "down");
    provider.restore();
    gateway.wait_until_drained();
    let said = gateway.says(&["show", &id]);
    assert!(said.contains("tried ") && said.contains(": connect, "), "{said}");
    assert!(said.contains(": confirmed, status 200, "), "{said}");
}

#[test]
fn n13_what_the_daemon_leaves_in_its_folder_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let provider = Provider::start();
    let gateway = Gateway::before(&provider);
    gateway.till("").redeem("OURS");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    for entry in fs::read_dir(gateway.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        let is_socket = path.extension().is_some_and(|end| end == "sock");
        assert!(is_socket || mode(&path) == 0, "{} has mode {:o}", path.display(), mode(&path));
    }
}
