//! A file's text as a tree, through the `config` crate's TOML; none of its coercions.

use std::path::{Path, PathBuf};

use config::{FileFormat, Format, Value, ValueKind};

use super::problem::Faults;
use crate::files;

/// The largest settings file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The most files that are read from `conf.d`.
const DROP_INS_MAX: usize = 256;

/// What a file says, untouched.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    List(Vec<Node>),
    /// In the order of the names, so that messages come in the same order each time.
    Table(Vec<(String, Node)>),
    /// Nothing that TOML can say.
    Odd,
}

/// A file's tree and where it came from.
#[derive(Debug)]
pub(super) struct SettingsFile {
    pub(super) origin: String,
    /// Relative paths in the file are taken from here.
    pub(super) folder: PathBuf,
    pub(super) table: Vec<(String, Node)>,
}

/// `file` and then `conf.d/*.toml` beside it in the order of their names; every file that cannot be
/// read is a problem.
pub(super) fn read_all(file: &Path, faults: &mut Faults) -> Vec<SettingsFile> {
    let folder = std::path::absolute(file)
        .ok()
        .and_then(|file| file.parent().map(Path::to_owned))
        .unwrap_or_default();
    let mut files = vec![file.to_owned()];
    match drop_ins(&folder.join("conf.d")) {
        Ok(more) => files.extend(more),
        Err(message) => faults.add("", message, folder.join("conf.d").to_str()),
    }
    files.iter().filter_map(|file| read(file, faults)).collect()
}

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return no_folder(folder),
        Err(error) => return Err(format!("the folder cannot be read: {error}")),
    };
    let mut files = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| format!("the folder cannot be read: {error}"))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    if files.len() > DROP_INS_MAX {
        return Err(format!("{} files: at most {DROP_INS_MAX} are read", files.len()));
    }
    files.sort();
    Ok(files)
}

/// There are no drop-ins; a link is there for some, whose place is gone for now.
fn no_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let Ok(place) = std::fs::read_link(folder) else { return Ok(Vec::new()) };
    let place = place.display();
    Err(format!("it is a link to {place}, which is not there: mount that, or remove the link"))
}

fn read(file: &Path, faults: &mut Faults) -> Option<SettingsFile> {
    let origin = file.display().to_string();
    let tree = text(file).and_then(|text| table(&text));
    match (tree, std::path::absolute(file)) {
        (Ok(table), Ok(place)) => {
            Some(SettingsFile { origin, folder: place.parent()?.to_owned(), table })
        }
        (Err(message), _) => {
            faults.add("", message, Some(&origin));
            None
        }
        (_, Err(error)) => {
            faults.add("", format!("its folder cannot be told: {error}"), Some(&origin));
            None
        }
    }
}

fn text(file: &Path) -> Result<String, String> {
    let bytes = files::read(file, FILE_BYTES_MAX).map_err(|fault| fault.to_string())?;
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
}

/// The tree of `text`.
pub(super) fn table(text: &str) -> Result<Vec<(String, Node)>, String> {
    let values =
        FileFormat::Toml.parse(None, text).map_err(|error| without_excerpt(&error.to_string()))?;
    Ok(sorted(values.into_iter().map(|(name, value)| (name, node(value)))))
}

fn node(value: Value) -> Node {
    match value.kind {
        ValueKind::String(text) => Node::Text(text),
        ValueKind::I64(number) => Node::Integer(number),
        ValueKind::Float(number) => Node::Float(number),
        ValueKind::Boolean(flag) => Node::Flag(flag),
        ValueKind::Array(list) => Node::List(list.into_iter().map(node).collect()),
        ValueKind::Table(table) => {
            Node::Table(sorted(table.into_iter().map(|(name, value)| (name, node(value)))))
        }
        ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => Node::Odd,
    }
}

fn sorted(table: impl Iterator<Item = (String, Node)>) -> Vec<(String, Node)> {
    let mut table: Vec<_> = table.collect();
    table.sort_by(|a, b| a.0.cmp(&b.0));
    table
}

/// The parser's message without the line that it quotes, because somebody may have put a secret
/// there.
fn without_excerpt(message: &str) -> String {
    let quotes = |line: &&str| {
        line.trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start()
            .starts_with('|')
    };
    let kept: Vec<&str> =
        message.lines().filter(|line| !quotes(line) && !line.trim().is_empty()).collect();
    kept.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_names_the_line_and_does_not_quote_it() {
        let error = table("[gateway]\nname = \"x\"\ntoken = s3cr3t-value\n").unwrap_err();
        assert!(error.contains("line 3"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
        let error = table("a = 1\na = \"s3cr3t\"\n").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("duplicate") && !error.contains("s3cr3t"),
            "{error}"
        );
    }

    #[test]
    fn numbers_stay_what_they_were_written_as() {
        let expected =
            [("a", Node::Float(3.7)), ("b", Node::Integer(5)), ("c", Node::Text("5".into()))];
        let expected: Vec<_> =
            expected.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
        assert_eq!(table("c = \"5\"\nb = 5\na = 3.7").unwrap(), expected);
    }
}
