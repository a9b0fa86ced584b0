//! One value, of exactly its key's kind: nothing is rounded, coerced or guessed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::Kind;
use super::source::Node;

/// Why no variable sets a table's texts, or one of them.
pub(super) const NO_TABLE: &str = "no variable holds a table: write it into a file";

/// A value of the kind that its key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyValue {
    /// [`Kind::Text`] and [`Kind::Url`].
    Text(String),
    Path(PathBuf),
    Duration(Duration),
    Integer(i64),
    Flag(bool),
    /// [`Kind::Texts`] and [`Kind::TextOrTexts`].
    Texts(Vec<String>),
    Integers(Vec<i64>),
    /// [`Kind::Words`]
    Words(BTreeMap<String, String>),
}

/// As TOML writes it. JSON's strings and lists are TOML's too.
impl std::fmt::Display for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = match self {
            Self::Text(text) => text.as_str().into(),
            Self::Path(path) => path.to_string_lossy().into_owned().into(),
            Self::Duration(span) => format!("{}ms", span.as_millis()).into(),
            Self::Integer(number) => serde_json::Value::from(*number),
            Self::Flag(flag) => (*flag).into(),
            Self::Texts(texts) => texts.clone().into(),
            Self::Integers(numbers) => numbers.clone().into(),
            Self::Words(words) => {
                let string = |text: &String| serde_json::Value::from(text.as_str());
                let pairs: Vec<String> = words
                    .iter()
                    .map(|(key, value)| format!("{} = {}", string(key), string(value)))
                    .collect();
                return write!(f, "{{ {} }}", pairs.join(", "));
            }
        };
        json.fmt(f)
    }
}

/// How much of a wrong string is repeated in a message, in characters.
const SHOWN_CHARS_MAX: usize = 60;
/// How many wrong items of a list are named; the others are counted.
const ITEMS_NAMED_MAX: usize = 20;

impl KeyValue {
    /// The value of `node`; relative paths are taken from `folder`. The error says what would be
    /// right.
    pub(super) fn from_node(kind: Kind, node: &Node, folder: &Path) -> Result<Self, String> {
        match (kind, node) {
            (Kind::Text | Kind::Url | Kind::FlagOrText, Node::Text(text)) => {
                Ok(Self::Text(text.clone()))
            }
            (Kind::Path, Node::Text(text)) => path(text, folder),
            (Kind::Duration, Node::Text(text)) => duration(text).map(Self::Duration),
            (Kind::Duration, Node::Integer(number)) => Err(format!(
                "{number} has no unit: write it as a string such as \"{number}s\" or \"{number}h\""
            )),
            (Kind::Integer, Node::Integer(number)) => Ok(Self::Integer(*number)),
            (Kind::Flag | Kind::FlagOrText, Node::Flag(flag)) => Ok(Self::Flag(*flag)),
            (Kind::TextOrTexts, Node::Text(text)) => Ok(Self::Texts(vec![text.clone()])),
            (Kind::Texts | Kind::TextOrTexts, Node::List(list)) => {
                items(list, as_text).map(Self::Texts)
            }
            (Kind::Integers, Node::List(list)) => items(list, as_integer).map(Self::Integers),
            (Kind::Words, Node::Table(table)) => words(table),
            (kind, node) => Err(format!("{}: {}", shown(kind, node), right(kind))),
        }
    }

    /// The value that a variable's `text` stands for; lists are separated by commas, paths are
    /// absolute.
    pub(super) fn from_variable(kind: Kind, text: &str) -> Result<Self, String> {
        let wrong = || format!("{}: {}", quoted(text), right(kind));
        match kind {
            Kind::Text | Kind::Url => Ok(Self::Text(text.to_owned())),
            Kind::Path if Path::new(text).is_absolute() => Ok(Self::Path(PathBuf::from(text))),
            Kind::Path => {
                Err("a path in the environment must be absolute: begin it with '/'".to_owned())
            }
            Kind::Duration => duration(text).map(Self::Duration),
            Kind::Integer => text.trim().parse().map(Self::Integer).map_err(|_| wrong()),
            Kind::Flag => text.trim().parse().map(Self::Flag).map_err(|_| wrong()),
            Kind::FlagOrText => {
                Ok(text.trim().parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Flag))
            }
            Kind::Texts | Kind::TextOrTexts => {
                Ok(Self::Texts(split(text).map(str::to_owned).collect()))
            }
            Kind::Integers => {
                let number = |(index, text): (usize, &str)| {
                    let wrong = || format!("{} is not a whole number", quoted(text));
                    text.parse().map_err(|_| numbered(index, wrong()))
                };
                let numbers = gathered(split(text).enumerate().map(number));
                numbers.map(Self::Integers).map_err(|wrong| format!("{wrong}: {}", right(kind)))
            }
            Kind::Words => Err(NO_TABLE.to_owned()),
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let whole = (!text.trim().is_empty()).then_some(text);
    whole.into_iter().flat_map(|text| text.split(',')).map(str::trim)
}

fn path(text: &str, folder: &Path) -> Result<KeyValue, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("an empty or broken path: write a file's or folder's path".to_owned());
    }
    Ok(KeyValue::Path(folder.join(text)))
}

/// The duration that `text` writes with units; `humantime` alone would take a bare `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let united = text.trim_end().ends_with(|c: char| c.is_ascii_alphabetic());
    humantime::parse_duration(text)
        .ok()
        .filter(|_| united)
        .ok_or_else(|| format!("{}: {}", quoted(text), right(Kind::Duration)))
}

fn items<T>(list: &[Node], read: fn(&Node) -> Result<T, String>) -> Result<Vec<T>, String> {
    let read = |(index, node)| read(node).map_err(|wrong| numbered(index, wrong));
    gathered(list.iter().enumerate().map(read))
}

/// What is wrong with an item of a list; `index` counts from 0.
pub(super) fn numbered(index: usize, wrong: impl Display) -> String {
    format!("item {}: {wrong}", index + 1)
}

/// All of them, or what is wrong with each that is.
fn gathered<T>(read: impl Iterator<Item = Result<T, String>>) -> Result<Vec<T>, String> {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for item in read {
        match item {
            Ok(item) => all.push(item),
            Err(message) => wrong.push(message),
        }
    }
    let more = wrong.len().saturating_sub(ITEMS_NAMED_MAX);
    if more > 0 {
        wrong.truncate(ITEMS_NAMED_MAX);
        wrong.push(format!("and {more} more"));
    }
    if wrong.is_empty() { Ok(all) } else { Err(wrong.join("; ")) }
}

fn words(table: &[(String, Node)]) -> Result<KeyValue, String> {
    let read = |(name, node): &(String, Node)| {
        let text = as_text(node).map_err(|wrong| format!("{}: {wrong}", name.escape_debug()))?;
        Ok((name.clone(), text))
    };
    gathered(table.iter().map(read)).map(|all| KeyValue::Words(all.into_iter().collect()))
}

fn as_text(node: &Node) -> Result<String, String> {
    let Node::Text(text) = node else {
        return Err(format!("{} is not a string in quotes", shown(Kind::Text, node)));
    };
    Ok(text.clone())
}

fn as_integer(node: &Node) -> Result<i64, String> {
    let Node::Integer(number) = node else {
        return Err(format!("{} is not a whole number", shown(Kind::Integer, node)));
    };
    Ok(*number)
}

fn right(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "write a string in quotes",
        Kind::Url => "write a URL in quotes",
        Kind::Path => "write a path in quotes",
        Kind::Duration => {
            "write a duration with a unit, such as \"900ms\", \"10s\", \"5m\", \"72h\" or \"30d\""
        }
        Kind::Integer => "write a whole number without quotes, such as 5000",
        Kind::Flag | Kind::FlagOrText => "write true or false without quotes",
        Kind::Texts => "write a list of strings, such as [\"a\", \"b\"]",
        Kind::TextOrTexts => "write a string, or a list of strings, such as [\"a\", \"b\"]",
        Kind::Integers => "write a list of whole numbers, such as [400, 404]",
        Kind::Words => "write a table of strings, such as { used = \"…\" }",
    }
}

/// `node` for a message; nothing that could hold a password.
fn shown(kind: Kind, node: &Node) -> String {
    match node {
        Node::Text(_) if matches!(kind, Kind::Path | Kind::Url) => "a string".to_owned(),
        Node::Text(text) => quoted(text),
        Node::Integer(number) => number.to_string(),
        Node::Float(number) => number.to_string(),
        Node::Flag(flag) => flag.to_string(),
        Node::List(_) => "a list".to_owned(),
        Node::Table(_) => "a table".to_owned(),
        Node::Odd => "something else".to_owned(),
    }
}

/// `text` in quotes, escaped and cut short.
pub(super) fn quoted(text: &str) -> String {
    let head: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if head.len() < text.len() { "…" } else { "" };
    format!("{head:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_number_and_a_unit() {
        assert_eq!(duration("900ms"), Ok(Duration::from_millis(900)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["", "0", "5", "s", "-5s", "5 parsecs", "1h 5", "99999999999999999999s", "5s;"]
        {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused_and_never_coerced() {
        let nodes = [
            Node::Text("5".into()),
            Node::Integer(5),
            Node::Float(3.7),
            Node::Flag(true),
            Node::List(vec![Node::Float(1.0)]),
            Node::Table(Vec::new()),
        ];
        let takes = |kind| -> Vec<usize> {
            let fits = |(index, node): (usize, &Node)| {
                KeyValue::from_node(kind, node, Path::new("/")).ok().map(|_| index)
            };
            nodes.iter().enumerate().filter_map(fits).collect()
        };
        assert_eq!(takes(Kind::Text), [0]);
        assert_eq!(takes(Kind::Path), [0]);
        assert_eq!(takes(Kind::Duration), [0_usize; 0]);
        assert_eq!(takes(Kind::Integer), [1]);
        assert_eq!(takes(Kind::Flag), [3]);
        assert_eq!(takes(Kind::Texts), [0_usize; 0]);
        assert_eq!(takes(Kind::Integers), [0_usize; 0]);
    }

    #[test]
    fn a_message_repeats_no_path_and_no_url() {
        for kind in [Kind::Path, Kind::Url] {
            assert_eq!(shown(kind, &Node::Text("hunter2".into())), "a string");
        }
    }
}
