//! What there is too much of may only become less: types of one name, long lines, circles between
//! files.
//!
//! A ceiling is the figure of the day on which it was set. Who brings a figure down lowers its
//! ceiling.

#![allow(
    clippy::unwrap_used,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Names that more than one type of `src` has: a reader has to look where the one at hand comes
/// from.
const DOUBLED_TYPES_MAX: usize = 0;
/// Lines of more than [`LONG_CHARS`] characters in `src`, `tests` and `benches`.
const LONG_LINES_MAX: usize = 50;
const LONG_CHARS: usize = 100;
/// Groups of files that name each other in a circle: none of them can be read before the others.
const CIRCLES_MAX: usize = 0;

/// Every Rust file below `folders`, by its path from the root.
fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = BTreeMap::new();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                left.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let name = entry.strip_prefix(&root).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&entry).unwrap());
            }
        }
    }
    found
}

/// A file's text up to its tests.
fn own(text: &str) -> &str {
    let of_tests = |rest: &str| {
        rest.lines().nth(1).is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    };
    let mut marks = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at);
    let end = marks.find(|at| text.get(*at..).is_some_and(of_tests)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// The product's code: no tests, no comments.
fn code() -> BTreeMap<String, String> {
    let mut all = sources(&["src", "benches"]);
    all.retain(|path, _| !path.contains("/tests"));
    for text in all.values_mut() {
        let lines = own(text).lines().filter(|line| !line.trim_start().starts_with("//"));
        *text = lines.flat_map(|line| [line, "\n"]).collect();
    }
    all
}

/// The type that a line declares at the top of its file.
fn declared(line: &str) -> Option<&str> {
    let open = line.strip_prefix("pub").map_or(line, |rest| {
        rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest)
    });
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let rest = kinds.iter().find_map(|kind| open.trim_start().strip_prefix(kind))?;
    let is_top = !line.starts_with(' ');
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|_| is_top)
}

#[test]
fn types_of_one_name_become_fewer() {
    let mut code = code();
    code.retain(|path, _| path.starts_with("src/"));
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, text) in &code {
        for name in text.lines().filter_map(declared) {
            places.entry(name).or_default().push(path);
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(
        places.len() <= DOUBLED_TYPES_MAX,
        "{} of {DOUBLED_TYPES_MAX}: {places:#?}",
        places.len()
    );
}

#[test]
fn long_lines_become_fewer() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in sources(&["src", "tests", "benches"]) {
        let long = text.lines().filter(|line| line.chars().count() > LONG_CHARS).count();
        counts.insert(path, long);
    }
    let all: usize = counts.values().sum();
    counts.retain(|_, count| *count > 0);
    assert!(all <= LONG_LINES_MAX, "{all} of {LONG_LINES_MAX}: {counts:#?}");
}

/// The paths of a tree of imports: `a::{b, c::{d, e}}` are `a::b`, `a::c::d` and `a::c::e`.
fn flattened(tree: &str, before: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return found.push(format!("{before}{tree}"));
    };
    let (inner, before) =
        (rest.rsplit_once('}').map_or(rest, |(inner, _)| inner), format!("{before}{prefix}"));
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inner.get(from..at).unwrap_or_default();
                if !part.trim().is_empty() {
                    flattened(part, &before, found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Every path that the code names from `super`, `self` or `crate`.
fn named_paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for statement in code.split("use ").skip(1) {
        flattened(statement.split(';').next().unwrap(), "", &mut found);
    }
    for start in ["super::", "crate::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let rest = code.get(at..).unwrap_or_default();
            found.push(
                rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                    .next()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    found
}

/// The module of a file: `src/a/mod.rs` is `src/a`.
fn module(path: &str) -> Vec<String> {
    let mut parts: Vec<String> =
        path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Where a path leads that stands in the module `from`.
fn target(from: &[String], path: &str) -> Option<Vec<String>> {
    let mut parts = path.split("::").map(str::trim).peekable();
    let mut at = from.to_vec();
    match parts.next()? {
        "crate" => at.truncate(1),
        "self" => {}
        "super" => {
            at.pop();
            while parts.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        _ => return None,
    }
    at.extend(parts.map(str::to_owned));
    Some(at)
}

/// Of two modules the two siblings above them or themselves; nothing where one holds the other.
fn siblings(one: &[String], other: &[String]) -> Option<(String, String)> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    Some((one.get(..=same)?.join("/"), other.get(..=same)?.join("/")))
}

/// What each file or folder names of those beside it.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let code = code();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for path in code.keys() {
        let parts = module(path);
        known.extend((1..=parts.len()).filter_map(|depth| Some(parts.get(..depth)?.join("/"))));
    }
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &code {
        let from = module(path);
        let targets = named_paths(text).into_iter().filter_map(|path| target(&from, &path));
        for (one, other) in targets.filter_map(|target| siblings(&from, &target)) {
            if known.contains(&other) {
                edges.entry(one).or_default().insert(other);
            }
        }
    }
    edges
}

/// Everything that can be reached from `start`.
fn reached(edges: &BTreeMap<String, BTreeSet<String>>, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![start.to_owned()];
    while let Some(next) = left.pop() {
        let more =
            edges.get(&next).into_iter().flatten().filter(|more| found.insert((*more).clone()));
        left.extend(more.cloned().collect::<Vec<_>>());
    }
    found
}

#[test]
fn circles_between_files_become_fewer() {
    let edges = edges();
    let reach: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|start| (start, reached(&edges, start))).collect();
    let is_mutual = |one: &String, other: &String| {
        reach.get(other).is_some_and(|reached| reached.contains(one))
    };
    let mut circles: BTreeSet<Vec<&String>> = BTreeSet::new();
    for (start, reached) in &reach {
        let circle: Vec<&String> = reached.iter().filter(|other| is_mutual(start, other)).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    assert!(circles.len() <= CIRCLES_MAX, "{} of {CIRCLES_MAX}: {circles:#?}", circles.len());
}
