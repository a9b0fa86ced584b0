//! What the style can check, checked: the map of the rooms, their crates, their files' first lines.
#![expect(clippy::expect_used, reason = "a test of this repository's own files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A foreign crate and the rooms that may name it. Crates that are not listed may be named anywhere
/// (serde, tracing, tokio, bytes, thiserror): they are the language that the rooms speak to each
/// other.
const CRATES: &[(&str, &[&str])] = &[
    ("askama", &["admin"]),
    ("axum", &["intake", "admin", "listen"]),
    ("clap", &["cli", "sandbox", "rehearse"]),
    ("config", &["settings"]),
    ("crc32c", &["store"]),
    ("getrandom", &["admin", "alert", "daemon", "rehearse", "sandbox", "store", "upstream"]),
    ("http_body_util", &["client", "listen", "sandbox", "upstream"]),
    ("httpdate", &["sandbox", "verdict"]),
    ("humantime", &["admin", "cli", "clock", "sandbox", "settings"]),
    (
        "hyper",
        &["admin", "cli", "client", "intake", "listen", "log", "rehearse", "sandbox", "upstream"],
    ),
    ("hyper_util", &["client", "listen", "sandbox", "admin"]),
    ("icu_normalizer", &["fold"]),
    ("icu_properties", &["fold"]),
    ("netlink_sys", &["network"]),
    ("rcgen", &["cli", "sandbox"]),
    ("reqwest", &["upstream"]),
    ("rtime_clock", &["clock"]),
    ("rusqlite", &["store"]),
    (
        "rustix",
        &[
            "admin", "cli", "clock", "daemon", "files", "listen", "main", "network", "notify",
            "rehearse", "sandbox", "store", "upstream",
        ],
    ),
    ("rustls", &["listen", "sandbox", "upstream"]),
    ("rustls_platform_verifier", &["upstream"]),
    ("scrypt", &["admin"]),
    ("sd_listen_fds", &["notify"]),
    ("sha2", &["cli", "redemption", "sandbox", "upstream"]),
    ("strsim", &["settings"]),
    ("subtle", &["admin", "intake"]),
    ("systemd", &["notify"]),
    ("tokio_rustls", &["listen", "sandbox"]),
    ("tracing_subscriber", &["log"]),
    ("tz", &["clock"]),
    ("unicode_width", &["cli"]),
    ("url", &["sandbox", "settings", "upstream"]),
];
/// Rooms inside of a room, and the files of the outer one that may name them.
const INNER_ROOMS: &[(&str, &[&str])] = &[(
    "store::damage",
    &["src/store/mod.rs", "src/store/opening.rs", "src/store/rescue/remains.rs"],
)];
/// The longest line, in characters; rustfmt leaves strings as they are.
const LINE_CHARS_MAX: usize = 120;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    gather(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

fn gather(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder)
        .expect("a folder of this repository")
        .map(|entry| entry.expect("an entry").path())
    {
        if entry.is_dir() {
            gather(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&entry).expect("a source file");
            found.push((entry, text));
        }
    }
}

fn every_source() -> Vec<(PathBuf, String)> {
    ["src", "tests", "benches"].into_iter().flat_map(sources).collect()
}

/// The room of a file below `src`: its folder, or its own name.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The map in `src/lib.rs`: each room's layer.
fn layers() -> BTreeMap<String, u32> {
    let map = fs::read_to_string(root().join("src/lib.rs")).expect("the map");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        let layer = cells.next()?.parse().ok()?;
        let room = cells.next()?.trim_matches(['[', '`', ']']).to_owned();
        Some((room, layer))
    };
    map.lines().filter_map(row).collect()
}

/// The words that follow `prefix` wherever it stands in code.
fn named_after<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices(prefix).map(move |(at, _)| &line[at + prefix.len()..]))
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn every_room_is_on_the_map_and_every_row_of_the_map_is_a_room() {
    let rooms: BTreeSet<String> = sources("src")
        .iter()
        .map(|(path, _)| room(path))
        .filter(|room| room != "lib" && room != "main")
        .chain(INNER_ROOMS.iter().map(|(room, _)| (*room).to_owned()))
        .collect();
    let map: BTreeSet<String> = layers().into_keys().collect();
    assert_eq!(rooms, map);
}

#[test]
fn imports_go_downward_only() {
    let layers = layers();
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let its = room(&path);
        let Some(own) = layers.get(&its) else { continue };
        for other in named_after(&text, "crate::") {
            let upward = layers.get(other).is_some_and(|layer| layer >= own);
            if upward && other != its {
                faults.push(format!("{}: {its} (layer {own}) imports {other}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Whether a piece of code names the module `name` of the room that it is in.
fn names_module(text: &str, name: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = [format!("{name}::"), format!("mod {name};"), format!(", {name},")];
    code.into_iter().any(|line| paths.iter().any(|path| line.contains(path)))
}

#[test]
fn an_inner_room_has_one_door() {
    for (inner, doors) in INNER_ROOMS {
        let (outer, name) = inner.split_once("::").expect("an outer and an inner room");
        let folder = root().join("src").join(outer).join(name);
        let door = fs::read_to_string(folder.join("mod.rs")).expect("the door");
        assert!(!door.lines().any(|line| line.starts_with("pub") && line.contains(" mod ")));
        let names: BTreeSet<String> = sources(&format!("src/{outer}"))
            .iter()
            .filter(|(path, text)| !path.starts_with(&folder) && names_module(text, name))
            .map(|(path, _)| path.strip_prefix(root()).expect("below").display().to_string())
            .collect();
        let may: BTreeSet<String> = doors.iter().map(|file| (*file).to_owned()).collect();
        assert_eq!(names, may, "who names {inner}");
    }
}

#[test]
fn each_foreign_crate_stays_in_its_rooms() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (name, rooms) in CRATES {
            let names = |line: &&&str| {
                line.match_indices(&format!("{name}::")).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| {
                        c.is_alphanumeric() || c == '_' || c == ':' || c == '.'
                    })
                })
            };
            if !rooms.contains(&room(&path).as_str()) && code.iter().any(|line| names(&line)) {
                faults.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Rooms of rules on plain values: what they decide, others do.
const PURE: &[&str] = &["decide", "schedule", "link", "trust", "limits", "verdict"];

#[test]
fn rules_neither_wait_nor_send_nor_store() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let is_pure = PURE.contains(&room(&path).as_str());
        let named =
            ["rusqlite::", "tokio::", "reqwest::"].into_iter().filter(|name| text.contains(name));
        faults.extend(
            named.filter(|_| is_pure).map(|name| format!("{} names {name}", path.display())),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_file_begins_with_its_one_purpose() {
    for (path, text) in every_source() {
        assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
    }
}

#[test]
fn no_line_is_longer_than_a_page() {
    for (path, text) in every_source() {
        for (number, line) in (1..).zip(text.lines()) {
            let chars = line.chars().count();
            // A schema's text is what the databases that it made hold, letter for letter.
            let is_text = line.contains('"') || line.starts_with("    CREATE TABLE ");
            assert!(
                chars <= LINE_CHARS_MAX || is_text,
                "{}:{number} has {chars} characters",
                path.display()
            );
        }
    }
}

#[test]
fn no_test_is_ignored_and_no_lint_allowed_without_a_reason() {
    for (path, text) in every_source() {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        assert!(!text.contains("#[ignore]"), "{} ignores a test without a reason", path.display());
        for (at, _) in text.match_indices("[allow(").chain(text.match_indices("[expect(")) {
            let attribute = text[at..].split(")]").next().unwrap_or("");
            assert!(attribute.contains("reason ="), "{}: {attribute}", path.display());
        }
    }
}

#[test]
fn no_result_is_dropped_unseen() {
    for (path, text) in sources("src") {
        for (number, line) in (1..).zip(text.lines()) {
            assert!(!line.trim_start().starts_with("let _ ="), "{}:{number}", path.display());
        }
    }
}

#[test]
fn the_licences_the_changelog_and_the_ways_in_are_there() {
    for file in [
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "CHANGELOG.md",
        "README.md",
        "Makefile",
        ".ci/run",
        "Cargo.lock",
    ] {
        assert!(root().join(file).is_file(), "{file} is missing");
    }
}

/// Where tests are named for what they prove.
const MAPS: [&str; 2] = ["tests/README.md", "docs/failures.md"];

fn map(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("a map of the tests")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a map names, each with its file.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    quoted(text).filter_map(|code| code.split_once("::")).collect()
}

/// The scripts of the service test that a map names.
fn named_scripts(text: &str) -> Vec<&str> {
    quoted(text)
        .filter(|code| {
            code.starts_with("tests/service/")
                && Path::new(code).extension().is_some_and(|end| end == "sh")
        })
        .collect()
}

/// Whether `path` is that file, or lies in a folder of that name.
fn is_of(path: &Path, file: &str) -> bool {
    path.with_extension("").components().any(|part| part.as_os_str() == file)
}

#[test]
fn every_test_that_a_map_of_the_tests_names_exists() {
    let (text, sources) = (MAPS.map(map).concat(), every_source());
    let named = named_tests(&text);
    let exists = |(file, test): (&str, &str)| {
        let head = format!("fn {test}(");
        sources.iter().any(|(path, text)| is_of(path, file) && text.contains(&head))
    };
    let missing: Vec<_> = named.iter().filter(|name| !exists(**name)).collect();
    assert!(missing.is_empty() && named.len() > 80, "{missing:#?}");
    for script in named_scripts(&text) {
        assert!(root().join(script).is_file(), "{script}");
    }
}

#[test]
fn every_fault_has_a_row_with_its_tests() {
    let text = map("docs/failures.md");
    for (letter, last) in [('T', 12), ('R', 16), ('B', 17), ('M', 14), ('N', 21)] {
        for number in 1..=last {
            let row = text.lines().find(|line| line.starts_with(&format!("| {letter}{number} |")));
            let is_proved = row
                .is_some_and(|row| !named_tests(row).is_empty() || !named_scripts(row).is_empty());
            assert!(is_proved, "{letter}{number}");
        }
    }
}
