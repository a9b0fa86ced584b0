//! The story that the README begins with, as it stands there: its gateway and its provider, the
//! body of its `curl`, and each answer word for word.
//!
//! After a change of what is answered, `REDEEMD_WRITE_OUTPUTS=1 cargo test --test commands` writes
//! the README.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use super::served::{Served, free_port, post};

/// Where the story stands, and where it ends.
const BEGINS: &str = "## One redemption while the line is down\n";
const ENDS: &str = "\n## ";
/// What the sandbox of the README listens on.
const SANDBOX_AT: &str = "127.0.0.1:7799";
/// What is another each time, by what stands before it and behind it, and what the README has in
/// its place.
const EACH_TIME: [(&str, &str, &str); 9] = [
    ("redeemd-id: 1-", "\n", "ydq3akayfn6f95qa3p70"),
    ("redeemd-id: 2-", "\n", "8jpztzhvm911zyca7rsg"),
    ("\ndate: ", "\n", "Mon, 23 Nov 2026 12:40:21 GMT"),
    ("outage=", "\n", "259199"),
    (", version ", ",", "0.1.0"),
    (", up ", "\n", "6 s"),
    ("the oldest pending one is ", " old", "2 s"),
    ("clock     ", "\nrefused", "synchronised"),
    ("connect  ", "\n", "2026-11-23T12:40:23Z"),
];

/// A folder with the settings that the README names, on ports and a folder of its own.
fn settings(folder: &Path, [intake, admin]: [SocketAddr; 2], provider: &str) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let text = std::fs::read_to_string(config.join("dev.toml")).unwrap();
    let text = [
        ("../target/dev", folder.join("state").to_str().unwrap()),
        ("127.0.0.1:7733", &intake.to_string()),
        ("127.0.0.1:7734", &admin.to_string()),
        (SANDBOX_AT, provider),
    ]
    .iter()
    .fold(text, |text, (from, to)| {
        assert!(text.contains(from), "dev.toml has no {from}");
        text.replace(from, to)
    });
    std::fs::write(folder.join("dev.toml"), text).unwrap();
    let token = std::fs::read(config.join("dev-token")).unwrap();
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o600).open(folder.join("dev-token"));
    file.unwrap().write_all(&token).unwrap();
}

/// What `curl -i` prints of the answer.
fn answered(at: SocketAddr, body: &str) -> String {
    post(at, body).replace("\r\n", "\n").replace("connection: close\n", "") + "\n"
}

fn as_shown(text: &str) -> String {
    EACH_TIME.iter().fold(text.to_owned(), |text, (before, behind, shown)| {
        let Some((head, rest)) = text.split_once(before) else { return text };
        let at = rest.find(behind).expect("it ends");
        format!("{head}{before}{shown}{}", &rest[at..])
    })
}

/// The blocks that show what is printed: from where to where in the text.
fn blocks(story: &str) -> Vec<std::ops::Range<usize>> {
    const FENCE: &str = "```text\n";
    let block = |(at, _): (usize, &str)| {
        let from = at + FENCE.len();
        from..from + story[from..].find("```").expect("a block ends")
    };
    story.match_indices(FENCE).map(block).collect()
}

/// Plays it with the body of the README's own command; what each block shows of it.
fn played(command: &str, body: &str) -> [String; 4] {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let token = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev-token");
    let token = token.to_str().unwrap();
    let mut sandbox = Served::start(&["sandbox", "--token-file", token, "--listen", "127.0.0.1:0"]);
    sandbox.until("seed");
    let provider = sandbox.text.split(['/', '\n']).nth(2).unwrap().to_owned();
    let intake = free_port();
    settings(folder, [intake, free_port()], &provider);
    let file = folder.join("dev.toml").to_str().unwrap().to_owned();
    let mut gateway = Served::start(&["run", "--config", &file]);
    gateway.until("is up");
    let first = answered(intake, body);
    sandbox.stop();
    let next = body.replace("4711", "4712");
    let second = answered(intake, &next);
    let refused = answered(intake, &next.replace("1795435200", "1795435201"));
    gateway.until("is down");
    let mut status = Command::new(env!("CARGO_BIN_EXE_redeemd"));
    for variable in ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "COLUMNS"] {
        status.env_remove(variable);
    }
    let status = status.args(["status", "--config", &file]).output().unwrap().stdout;
    let status = String::from_utf8(status).unwrap().replace(&provider, SANDBOX_AT);
    gateway.stop();
    [format!("{command}{first}"), second, refused, status].map(|text| as_shown(&text))
}

#[test]
fn the_readme_shows_what_a_till_is_answered_while_the_line_is_down() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut readme = std::fs::read_to_string(&file).unwrap();
    let from = readme.find(BEGINS).expect("the story begins");
    let story = &readme[from..];
    let story = story[..story.find(ENDS).expect("it ends")].to_owned();
    let blocks = blocks(&story);
    let command = &story[blocks[0].clone()];
    let body = command.split('\'').nth(3).expect("the command has a body");
    let command = &command[..command.find("HTTP/1.1 ").expect("an answer follows")];
    let printed = played(command, body);
    let writes = std::env::var_os("REDEEMD_WRITE_OUTPUTS").is_some();
    assert_eq!(blocks.len(), printed.len());
    for (block, text) in blocks.iter().zip(&printed).rev() {
        let shown = &story[block.clone()];
        assert!(writes || shown == text, "{text}\nthe README has\n{shown}");
        readme.replace_range(from + block.start..from + block.end, text);
    }
    if writes {
        std::fs::write(&file, readme).unwrap();
    }
}
