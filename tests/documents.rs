//! The documents name what there is: files, metrics, paths of the HTTP, settings, commands, lines
//! of the log, rooms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use redeemd::message::Cause;
use redeemd::settings::KEYS;

/// What is written for people who work on or with redeemd.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "INSTALL.md",
    "README.md",
    "SECURITY.md",
    "docs/failures.md",
    "docs/http-api.md",
    "docs/journal.md",
    "docs/metrics.md",
    "docs/trust.md",
    "tests/README.md",
];
/// The folders of this repository that documents name files of.
const FOLDERS: &[&str] = &[
    ".cargo/",
    ".ci/",
    ".config/",
    "benches/",
    "config/",
    "docs/",
    "fuzz/",
    "packaging/",
    "src/",
    "tests/",
];
/// A room with more lines is justified in ARCHITECTURE.md.
const ROOM_LINES_MAX: usize = 2000;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| unreadable(name, &error))
}

#[expect(clippy::panic, reason = "a document or a source file of this repository is missing")]
fn unreadable(name: &str, error: &std::io::Error) -> String {
    panic!("{name}: {error}")
}

/// What stands between backticks, a block of code included.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The first cell of each row of each table, its parts between backticks.
fn first_cells(text: &str) -> Vec<&str> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(quoted).collect()
}

/// Every Rust file below `folder`, by its path from the root, without its own tests.
fn code(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                found.insert(entry.strip_prefix(root()).unwrap().display().to_string(), code);
            }
        }
    }
    found
}

fn assert_none(missing: &BTreeSet<String>, what: &str) {
    assert!(missing.is_empty(), "{what}: {missing:#?}");
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = BTreeSet::new();
    for document in DOCUMENTS {
        let text = read(document);
        let words = quoted(&text).flat_map(str::split_whitespace);
        let named = words.map(|word| word.trim_end_matches([',', '.', ';', ':', ')']));
        let paths = named.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
        for path in paths.filter(|path| !path.contains(['*', '{', '…'])) {
            if !root().join(path).exists() {
                missing.insert(format!("{document}: {path}"));
            }
        }
        let folder = Path::new(document).parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            if !root().join(folder).join(link).exists() {
                missing.insert(format!("{document}: link to {link}"));
            }
        }
    }
    assert_none(&missing, "named and not there");
}

/// The names of families, without the `_total` of counters.
fn family(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

fn is_metric(name: &str) -> bool {
    let ours = name.strip_prefix("redeemd_").or_else(|| name.strip_prefix("process_"));
    ours.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    })
}

/// The families that the daemon prints.
fn metrics() -> BTreeSet<String> {
    let files = code("src/admin");
    let texts = files.iter().filter(|(path, _)| path.contains("metrics")).map(|(_, text)| text);
    let literals = texts.flat_map(|text| text.split('"').skip(1).step_by(2));
    literals.filter(|text| is_metric(text)).map(|name| family(name).to_owned()).collect()
}

#[test]
fn every_cause_of_a_lane_has_its_row_in_what_to_do_when() {
    let install = read("INSTALL.md");
    let rows = first_cells(&install);
    for cause in Cause::ALL {
        assert!(rows.contains(&cause.as_str()), "INSTALL.md has no row for {cause:?}");
    }
}

#[test]
fn every_metric_that_is_printed_is_documented_and_every_documented_one_is_printed() {
    let (printed, text) = (metrics(), read("docs/metrics.md"));
    let named = first_cells(&text).into_iter().filter(|name| is_metric(name));
    let documented: BTreeSet<String> = named.map(|name| family(name).to_owned()).collect();
    assert!(printed.len() > 20);
    assert_none(
        &printed.difference(&documented).cloned().collect(),
        "printed and not in docs/metrics.md",
    );
    assert_none(
        &documented.difference(&printed).cloned().collect(),
        "in docs/metrics.md and never printed",
    );
}

#[test]
fn every_metric_that_another_document_names_is_printed() {
    let printed = metrics();
    let mut missing = BTreeSet::new();
    for document in DOCUMENTS {
        let text = read(document);
        let names = quoted(&text).filter_map(|code| code.split(['{', ' ']).next());
        let strange = names.filter(|name| name.starts_with("redeemd_") && is_metric(name));
        missing.extend(
            strange
                .filter(|name| !printed.contains(family(name)))
                .map(|name| format!("{document}: {name}")),
        );
    }
    assert_none(&missing, "named and never printed");
}

/// Method and path of each route of a router, as `.route("/path", get(…).post(…))` says it.
fn routes(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for route in text.split(".route(").skip(1).map(arguments) {
        let (path, rest) = route.trim_start().trim_start_matches('"').split_once('"').unwrap();
        let rest = rest.split(".layer(").next().unwrap();
        for (method, call) in [("GET", "get("), ("POST", "post("), ("DELETE", "delete(")] {
            let is_called = |at: usize| {
                !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            };
            if rest.match_indices(call).any(|(at, _)| is_called(at)) {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

/// What tills can ask for: the paths are the settings' defaults, and that of receipts.
fn routes_of_tills() -> BTreeSet<String> {
    let default = |path: &str| {
        let key = KEYS.iter().find(|key| key.path == path).unwrap();
        key.default.unwrap().trim_matches('"').to_owned()
    };
    let text = read("src/intake/ask.rs");
    let receipts =
        text.split("const REDEMPTIONS: &str = \"").nth(1).unwrap().split('"').next().unwrap();
    let mut found: BTreeSet<String> = ["intake.redeem_path", "intake.check_path"]
        .map(|key| format!("POST {}", default(key)))
        .into();
    for (method, asked) in [("GET", "TillRoute::Receipt"), ("DELETE", "TillRoute::Void")] {
        assert!(text.contains(&format!("Method::{method}")) && text.contains(asked));
        found.insert(format!("{method} {receipts}{{id}}"));
    }
    found
}

#[test]
fn every_path_of_the_http_is_documented_and_every_documented_one_is_served() {
    let operators = ["src/admin/mod.rs", "src/admin/console/mod.rs"].map(read);
    let mut served: BTreeSet<String> = operators.iter().flat_map(|text| routes(text)).collect();
    served.extend(routes_of_tills());
    let text = read("docs/http-api.md");
    let named = first_cells(&text).into_iter().filter(|code| code.contains(" /"));
    let documented: BTreeSet<String> = named.map(str::to_owned).collect();
    assert!(served.len() > 30, "{served:#?}");
    assert_none(
        &served.difference(&documented).cloned().collect(),
        "served and not in docs/http-api.md",
    );
    assert_none(
        &documented.difference(&served).cloned().collect(),
        "in docs/http-api.md and not served",
    );
}

/// Whether there is a section, or a key in it: `[offline]`, `[[intake.till]] name`,
/// `[provider.oauth] grant = "…"`.
fn is_setting(code: &str) -> bool {
    let (section, key) = code.split_once(']').unwrap();
    let section = section.trim_start_matches('[');
    let key = key.trim_start_matches(']').trim().split([' ', '=', ',']).next().unwrap();
    let path = if key.is_empty() { format!("{section}.") } else { format!("{section}.{key}") };
    KEYS.iter().any(|known| known.path == path || (key.is_empty() && known.path.starts_with(&path)))
}

#[test]
fn every_setting_that_a_document_names_exists() {
    let mut missing = BTreeSet::new();
    for document in DOCUMENTS {
        let text = read(document);
        let begins = |code: &&str| {
            code.trim_start_matches('[').starts_with(|c: char| c.is_ascii_lowercase())
        };
        let named = quoted(&text)
            .filter(|code| code.starts_with('[') && code.contains(']') && !code.contains('\n'));
        let strange = named.filter(begins).filter(|code| !is_setting(code));
        missing.extend(strange.map(|code| format!("{document}: {code}")));
    }
    assert_none(&missing, "named and no setting");
}

#[test]
fn every_command_and_every_target_that_a_document_names_exists() {
    let (root, makefile) = (redeemd::cli::command(), read("Makefile"));
    let is_target = |name: &str| makefile.lines().any(|line| line.starts_with(&format!("{name}:")));
    let mut missing = BTreeSet::new();
    for document in DOCUMENTS {
        let text = read(document);
        for code in quoted(&text).filter(|code| !code.contains('\n')) {
            let mut words = code.split_whitespace();
            let (first, second) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let exists = match first {
                "redeemd" => {
                    second.is_empty()
                        || second.starts_with('-')
                        || root.find_subcommand(second).is_some()
                }
                "make" => second.is_empty() || is_target(second),
                _ => true,
            };
            if !exists {
                missing.insert(format!("{document}: {code}"));
            }
        }
    }
    assert_none(&missing, "named and not there");
}

/// The arguments of the macro call that begins `text`, up to its closing parenthesis.
fn arguments(text: &str) -> &str {
    let (mut depth, mut is_text, mut is_escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            '(' if !is_text => depth += 1,
            ')' if !is_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// Whether there is more to a line than the values in it.
fn has_words(message: &str) -> bool {
    let outside = message.split('{').map(|part| part.rsplit('}').next().unwrap());
    outside.flat_map(str::chars).any(char::is_alphabetic)
}

/// The lines of the log above `debug` that say something by themselves. The sandbox writes none.
fn log_lines() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in code("src").values() {
        for level in ["info", "warn", "error"] {
            for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                let message =
                    arguments(call).split('"').skip(1).step_by(2).last().unwrap_or_default();
                let parts: Vec<&str> = message.split("\\\n").map(str::trim_start).collect();
                found.extend(Some(parts.concat()).filter(|message| has_words(message)));
            }
        }
    }
    found
}

#[test]
fn every_line_of_the_log_is_documented_and_every_documented_one_can_be_written() {
    let (written, text) = (log_lines(), read("docs/journal.md"));
    let levels = ["| info | `", "| warn | `", "| error | `"];
    let rows =
        text.lines().filter_map(|line| levels.iter().find_map(|level| line.strip_prefix(level)));
    let documented: BTreeSet<String> =
        rows.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    assert!(written.len() > 50);
    assert_none(
        &written.difference(&documented).cloned().collect(),
        "written and not in docs/journal.md",
    );
    assert_none(
        &documented.difference(&written).cloned().collect(),
        "in docs/journal.md and never written",
    );
}

/// The words of the audit trail's events: those that the console has a heading for. It has a second
/// one for `limit_used`, which no event has as its word.
fn events() -> BTreeSet<String> {
    let text = read("src/message/words.rs");
    let table = text.split("pub fn deed(").nth(1).unwrap().split("other =>").next().unwrap();
    let heads = table.lines().filter_map(|line| line.trim_start().strip_prefix('"'));
    let words = heads.filter_map(|rest| rest.split_once("\" =>")).map(|(word, _)| word.to_owned());
    words.filter(|word| word != "limit_used_up").collect()
}

#[test]
fn every_event_of_the_audit_trail_is_documented_and_every_documented_one_is_written() {
    let (known, text) = (events(), read("docs/journal.md"));
    let table = text.split("| event | what happened |").nth(1).unwrap();
    let documented: BTreeSet<String> = first_cells(table).into_iter().map(str::to_owned).collect();
    let code = code("src");
    let is_written = |word: &&String| {
        let forms = [format!("\"{word}\""), format!("'{word}'")];
        let has = |text: &String| forms.iter().any(|form| text.contains(form));
        code.iter().any(|(path, text)| !path.starts_with("src/message/") && has(text))
    };
    let written: BTreeSet<String> = known.iter().filter(is_written).cloned().collect();
    assert!(known.len() > 25, "{known:#?}");
    assert_none(&known.difference(&documented).cloned().collect(), "not in docs/journal.md");
    assert_none(
        &documented.difference(&written).cloned().collect(),
        "in docs/journal.md and never written",
    );
}

/// The map in `src/lib.rs`: each room's layer.
fn layers() -> BTreeMap<String, u32> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        let layer = cells.next()?.parse().ok()?;
        Some((cells.next()?.trim_matches(['[', '`', ']']).to_owned(), layer))
    };
    read("src/lib.rs").lines().filter_map(row).collect()
}

#[test]
fn the_layers_are_drawn_as_they_are() {
    /// What a room is for begins here.
    const MEANING: usize = 52;
    let text = read("ARCHITECTURE.md");
    let drawing = text.split("## The layers").nth(1).unwrap().split("```").nth(1).unwrap();
    let mut layer = 0;
    let mut drawn = BTreeMap::new();
    for line in drawing.lines().skip(1) {
        let (number, rooms) = line[..line.len().min(MEANING)].split_at(line.len().min(4));
        layer = number.trim().parse().unwrap_or(layer);
        drawn.extend(rooms.split_whitespace().map(|room| (room.to_owned(), layer)));
    }
    assert_eq!(drawn, layers());
}

#[test]
fn every_large_room_is_justified() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for path in code("src").keys() {
        let room = path.split('/').nth(1).unwrap();
        let inner = format!("{room}/{}", path.split('/').nth(2).unwrap_or_default());
        let is_inner = layers().contains_key(&inner.replace('/', "::"));
        let room = if is_inner { inner } else { room.to_owned() };
        *lines.entry(room).or_default() += read(path).lines().count();
    }
    let text = read("ARCHITECTURE.md");
    let justified = text.split("## Rooms above 2,000 lines").nth(1).unwrap();
    let large = lines.iter().filter(|(_, lines)| **lines > ROOM_LINES_MAX);
    let missing = large.filter(|(room, _)| !justified.contains(&format!("| `src/{room}/` |")));
    assert_none(
        &missing.map(|(room, lines)| format!("{room}: {lines} lines")).collect(),
        "not justified",
    );
    let named = justified.lines().filter_map(|line| line.strip_prefix("| `src/")?.split_once("/`"));
    let (mut seen, mut odd) = (BTreeSet::new(), BTreeSet::new());
    for (room, _) in named {
        let is_large = lines.get(room).is_some_and(|lines| *lines > ROOM_LINES_MAX);
        if !is_large || !seen.insert(room) {
            odd.insert(room.to_owned());
        }
    }
    assert_none(&odd, "justified twice, or without need");
}

/// Whether a file declares a name, or has it as a string.
fn declares(text: &str, name: &str) -> bool {
    let is_word = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let declared = |kind: &str| {
        let head = format!("{kind} {name}");
        text.match_indices(&head).any(|(at, _)| is_word(&text[at + head.len()..]))
    };
    (name.starts_with('"') && text.contains(name))
        || ["fn", "const", "struct", "enum", "trait"].into_iter().any(declared)
}

#[test]
fn what_a_stranger_looks_for_is_where_the_architecture_says() {
    let text = read("ARCHITECTURE.md");
    let table = text.split("## Where to find").nth(1).unwrap().split("\n## ").next().unwrap();
    let (mut missing, mut rows) = (BTreeSet::new(), 0);
    for row in table.lines().filter(|line| line.contains("`src/")) {
        let place = row.split(" | ").nth(1).unwrap();
        let (file, name) = place.split_once("`: `").expect(row);
        let (file, name) = (file.trim_matches('`'), name.trim_matches('`'));
        if !declares(&read(file), name) {
            missing.insert(format!("{file}: {name}"));
        }
        rows += 1;
    }
    assert_none(&missing, "not there");
    assert!(rows > 30, "{rows}");
}

#[test]
fn every_name_of_the_code_that_the_architecture_has_exists() {
    let (text, code) = (read("ARCHITECTURE.md"), code("src"));
    let is_name = |word: &&str| {
        word.contains('_')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let tests = read("tests/tidy.rs");
    let exists =
        |name: &&str| tests.contains(name) || code.values().any(|text| text.contains(name));
    let missing = quoted(&text).filter(is_name).filter(|name| !exists(name)).map(str::to_owned);
    assert_none(&missing.collect(), "named and not in the code");
}
