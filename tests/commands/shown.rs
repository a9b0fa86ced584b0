//! The manual page shows what the commands print, word for word: each example of redeemd(8) is run
//! here, in the page's order, over one small story.
//!
//! After a change of what a command prints, `REDEEMD_WRITE_OUTPUTS=1 cargo test --test commands`
//! writes the page.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use redeemd::redemption::{Answer, Id, Seq};
use redeemd::store::{About, Claim, Ended, Settlement};

use super::{Gateway, served};

/// Stands in the page for the random part of an id, which is as long.
pub(super) const RANDOM_PART: &str = "7n0c2f8k1m3p5q9r4t6w";
/// The daemon that the page shows.
pub(super) const VERSION: &str = "1.0.0";
/// How large the page's backup is: a schema with a table more is no other example.
const BACKUP_BYTES: &str = "118,784";

/// A hash has another salt each time, and a certificate another key.
const HASH_BEGINS: &str = "$scrypt$ln=13,r=8,p=8$";
const HASH_ENDS: &str = "y3j72I1RD/c61M/UmE76+w$9sypKpRRVL+tOAI8HijEMj6u5Y4Tl2QGC4T5QnZ+b4Y";
const FINGERPRINT: &str = "3C:41:2A:74:B5:B8:93:1A:11:EA:B3:47:78:57:CF:E8:FD:17:C9:BF:49:33:39:\
    7C:88:34:B8:60:EB:13:F5:73";

/// One example: the lines in the page between which it stands, its command, and what the page says
/// that it prints.
struct Example {
    from: usize,
    to: usize,
    command: String,
    shown: String,
}

/// A line of roff as it is read.
fn read(line: &str) -> String {
    line.trim_start_matches("\\&")
        .replace("\\-", "-")
        .replace("\\[u2026]", "…")
        .replace("\\e", "\\")
}

/// A line of text in roff.
fn written(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('…', "\\[u2026]");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

fn examples(page: &[String]) -> Vec<Example> {
    let mut found = Vec::new();
    let begins = page.iter().enumerate().filter(|(_, line)| *line == ".EX").map(|(at, _)| at);
    for begin in begins {
        let end =
            begin + page[begin..].iter().position(|line| line == ".EE").expect("an example ends");
        let Some(command) = read(&page[begin + 1]).strip_prefix("$ ").map(str::to_owned) else {
            continue;
        };
        let shown = page[begin + 2..end].iter().map(|line| read(line) + "\n").collect();
        found.push(Example { from: begin + 2, to: end, command, shown });
    }
    found
}

/// Six redemptions while the line was down: one that the provider took since, one that it declined,
/// one about which it said something else, one that its till took back, and two that wait.
pub(super) async fn story(gateway: &Gateway) -> Vec<String> {
    let tills = ["till-1", "till-2", "till-1", "till-2", "till-1", "till-3"];
    let mut ids = Vec::new();
    for (code, till) in ["A3", "B7", "C2", "D9", "E5", "F1"].iter().zip(tills) {
        ids.push(gateway.accept(&format!("SUMMER-2024-{code}4F"), till).await);
    }
    let claim = Claim {
        lane: "retm".to_owned(),
        prefer: Vec::new(),
        after: Seq(0),
        except: Vec::new(),
        not_from: None,
        rows_max: 3,
        body_bytes_max: 1 << 20,
    };
    let answer = |status: u16, body: &'static str| {
        let content_type = Some("application/json".to_owned());
        Answer { status, content_type, body: bytes::Bytes::from_static(body.as_bytes()) }
    };
    let expired = answer(400, r#"{"message":"Reward SUMMER-2024-B74F has expired"}"#);
    let both = answer(200, r#"{"errors":["branch unknown"]}"#);
    let ended = [
        (Ended::Confirmed(answer(200, "{}")), "confirmed", 200),
        (Ended::Declined { answer: expired, already_used: false, strong: true }, "declined", 400),
        (
            Ended::Parked {
                answer: both,
                reason: redeemd::verdict::ParkReason::SaysBoth { status: 200 },
                already_used: false,
            },
            "parked",
            200,
        ),
    ];
    for (row, (ended, outcome, status)) in
        gateway.queue.ask(claim).await.unwrap().into_iter().zip(ended)
    {
        assert!(gateway.queue.begin(row.seq));
        let about = About {
            outcome: outcome.to_owned(),
            status: Some(status),
            took_ms: 84,
            ..About::default()
        };
        let settlement = Settlement { about, ..Settlement::new(row.seq, row.attempt, ended) };
        assert!(gateway.queue.ask(settlement).await.unwrap().applied);
    }
    gateway.queue.void_by_till(&Id::parse(&ids[3]).unwrap(), "till-2").await.unwrap();
    gateway.queue.configured()[0].publish(|status| {
        (status.link, status.seen) = ("down", "down");
        (status.tried, status.cause) = (true, Some("connect".to_owned()));
        status.since = Some("2024-11-01T09:18:00Z".to_owned());
    });
    ids
}

/// Where a store has the settings and what they name.
const SETTINGS: &str = "/etc/redeemd";

/// A folder with a `redeemd` that knows this gateway's settings, and a code in a file.
fn shell(gateway: &Gateway) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (binary, settings) = (env!("CARGO_BIN_EXE_redeemd"), gateway.settings_file());
    let script = format!("#!/bin/sh\nexec {binary} \"$@\" --config {}\n", settings.display());
    let file = folder.path().join("redeemd");
    std::fs::write(&file, script).unwrap();
    std::fs::write(folder.path().join("code"), "SUMMER-2024-A34F\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// What a shell in `folder` shows of the command.
fn printed(folder: &Path, command: &str) -> String {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    for variable in ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "COLUMNS", "JOURNAL_STREAM"] {
        shell.env_remove(variable);
    }
    let output = shell
        .arg("-c")
        .arg(format!("exec 2>&1; {command}"))
        .env("PATH", path)
        .current_dir(folder)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// What the page's command prints about these redemptions.
async fn of_command(command: &str, ids: &[String], folder: &Path) -> String {
    let command = command.to_owned();
    let real = pairs(ids).fold(command, |command, (id, shown)| command.replace(&shown, id));
    let path = folder.to_owned();
    tokio::task::spawn_blocking(move || printed(&path, &real)).await.unwrap()
}

/// The page's text of what was printed: ids and users are those of the page.
fn as_shown(text: &str, ids: &[String]) -> String {
    let user = redeemd::admin::user_name(rustix::process::getuid().as_raw());
    let mut text = text.replace(&format!(" by {user}"), " by amal");
    text = text.replace(&format!(" as the user {user}"), " as the user redeemd");
    for (from, to) in pairs(ids) {
        text = text.replace(from, &to);
    }
    let made_anew = [
        ("redeemd.backup: ", format!("{BACKUP_BYTES} bytes")),
        (HASH_BEGINS, HASH_ENDS.to_owned()),
        ("SHA-256 fingerprint: ", FINGERPRINT.to_owned()),
    ];
    let line = |line: &str| {
        let shown = made_anew.iter().find(|(begins, _)| line.starts_with(begins));
        shown.map_or(line.to_owned(), |(begins, ends)| format!("{begins}{ends}")) + "\n"
    };
    text.lines().map(line).collect()
}

/// Each id and what stands for it in the page.
fn pairs(ids: &[String]) -> impl Iterator<Item = (&String, String)> {
    (1..).zip(ids).map(|(seq, id)| (id, format!("{seq}-{RANDOM_PART}")))
}

#[tokio::test]
async fn the_manual_page_shows_what_the_commands_print() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/redeemd.8");
    let mut page: Vec<String> =
        std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    let gateway = Gateway::start_at(1_730_455_200_000, "2024-11-01 13:00:00", VERSION).await;
    let ids = story(&gateway).await;
    let folder = shell(&gateway);
    let writes = std::env::var_os("REDEEMD_WRITE_OUTPUTS").is_some();
    let examples = examples(&page);
    assert!(examples.len() >= 9, "{}", examples.len());
    let mut served = tokio::task::spawn_blocking(served::printed).await.unwrap();
    let mut news = Vec::new();
    for Example { from, to, command, shown } in examples {
        let text = if let Some(text) = served.remove(command.as_str()) {
            text
        } else {
            let text = of_command(&command, &ids, folder.path()).await;
            as_shown(&text.replace(gateway.folder.path().to_str().unwrap(), SETTINGS), &ids)
        };
        assert!(writes || text == shown, "$ {command}\n{text}\nthe page has\n{shown}");
        news.push((from, to, text));
    }
    assert!(served.is_empty(), "the page does not show {:?}", served.keys());
    if writes {
        for (from, to, text) in news.into_iter().rev() {
            page.splice(from..to, text.lines().map(written));
        }
        std::fs::write(&file, page.join("\n") + "\n").unwrap();
    }
    gateway.end().await;
}
