//! A JSON text read strictly: no field twice in an object, a bounded depth, and where a key stands.
//!
//! What the gateway does not read need not be readable to it: a number beyond any range or half a
//! surrogate pair in the value of a further field is forwarded as it came.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::number;
use crate::message::Fault;

/// How deep objects and arrays may lie in each other.
const DEPTH_MAX: usize = 32;

/// A value: what this room needs of it.
#[derive(Debug, PartialEq)]
pub(super) enum FoundValue<'a> {
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// A string that holds half a surrogate pair: no text of Unicode.
    HalfText,
    /// Anything else, by its name with its article.
    Other(&'static str),
}

/// A whole text.
pub(super) enum Tree<'a> {
    /// An object: its fields in their order, and what is odd about the names in it.
    Object(Vec<(Cow<'a, str>, FoundValue<'a>)>, OddNames),
    /// Anything else, by its name with its article.
    Other(&'static str),
}

/// What is odd about the names of an object's members.
#[derive(Clone, Copy, Default)]
pub(super) struct OddNames {
    /// An object inside of it names a field twice.
    pub(super) twice_within: bool,
    /// A name at any depth holds half a surrogate pair.
    pub(super) half: bool,
}

/// Reads `text`; `Err` says what is wrong with its syntax and where, and repeats nothing of it.
pub(super) fn read(text: &str) -> Result<Tree<'_>, Fault> {
    if depth(text) > DEPTH_MAX {
        return Err(Fault::TooDeep { levels: number(DEPTH_MAX) });
    }
    if !text.trim_ascii_start().starts_with('{') {
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| fault(&error))?;
        return Ok(Tree::Other(kind(whole)));
    }
    let Members(members) = serde_json::from_str(text).map_err(|error| fault(&error))?;
    let mut odd = OddNames::default();
    for (name, value) in &members {
        odd.half |= is_half(name);
        odd.look_into(value);
    }
    Ok(Tree::Object(members.into_iter().map(|(name, value)| (name, found(value))).collect(), odd))
}

fn fault(error: &serde_json::Error) -> Fault {
    match error.classify() {
        Category::Eof => Fault::Ends,
        Category::Data | Category::Syntax | Category::Io => {
            Fault::NotJson { line: number(error.line()), column: number(error.column()) }
        }
    }
}

/// How deep brackets lie in each other outside of strings, whether or not the text is valid.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut at) = (0, 0usize, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at = string_end(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

const AN_OBJECT: &str = "an object";
const AN_ARRAY: &str = "an array";
const A_STRING: &str = "a string";

/// What a valid value is.
fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => AN_OBJECT,
        Some(b'[') => AN_ARRAY,
        Some(b'"') => A_STRING,
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn found(value: &RawValue) -> FoundValue<'_> {
    match kind(value) {
        A_STRING => serde_json::from_str(value.get())
            .map_or(FoundValue::HalfText, |Text(text)| FoundValue::Text(text)),
        other => FoundValue::Other(other),
    }
}

impl OddNames {
    /// What is odd within `value`. The depth is bounded by now.
    fn look_into(&mut self, value: &RawValue) {
        match kind(value) {
            AN_OBJECT => self.look_into_object(value),
            AN_ARRAY => {
                let items = serde_json::from_str(value.get()).map(|Items(items)| items);
                items.unwrap_or_default().into_iter().for_each(|item| self.look_into(item));
            }
            _ => {}
        }
    }

    fn look_into_object(&mut self, value: &RawValue) {
        let Ok(Members(members)) = serde_json::from_str(value.get()) else { return };
        let mut seen = HashSet::new();
        for (name, value) in members {
            self.half |= is_half(&name);
            self.twice_within |= !seen.insert(name);
            self.look_into(value);
        }
    }
}

/// Whether a name is none: [`name`] leaves it as it is written, quotes included. What a name that
/// begins with a quote is written as has an escape, and is not borrowed.
#[expect(clippy::ptr_arg, reason = "whether it is borrowed is what counts")]
fn is_half(name: &Cow<'_, str>) -> bool {
    matches!(name, Cow::Borrowed(written) if written.starts_with('"'))
}

/// The members of a JSON object as they came, its values unread: one that is named twice is there
/// twice.
///
/// # Errors
/// It is no JSON object.
pub fn members(json: &[u8]) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_slice(json).map(|Members(members)| members)
}

/// An object's members, its values unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(AN_OBJECT)
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut entries: A,
            ) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
                    members.push((name(key), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// An array's items, unread.
#[derive(Deserialize)]
struct Items<'a>(#[serde(borrow)] Vec<&'a RawValue>);

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A key's name; one that is no text of Unicode stands for itself as it is written.
fn name(key: &RawValue) -> Cow<'_, str> {
    serde_json::from_str(key.get()).map_or(Cow::Borrowed(key.get()), |Text(name)| name)
}

/// Where the first key `name` of the outermost object stands in `text`, quotes included. `text`
/// must be valid JSON.
pub(super) fn key_span(text: &str, name: &str) -> Option<Range<usize>> {
    let mut depth = 0usize;
    let mut key_next = false;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => {
                let span = at..string_end(text, at);
                if key_next && depth == 1 && decoded_is(text.get(span.clone())?, name) {
                    return Some(span);
                }
                key_next = false;
                at = span.end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        key_next = key_next && byte.is_ascii_whitespace() || matches!(byte, b'{' | b',');
        at += 1;
    }
    None
}

/// One past the closing quote of the string that opens at `start`.
fn string_end(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn decoded_is(quoted: &str, name: &str) -> bool {
    serde_json::from_str(quoted).is_ok_and(|Text(decoded)| decoded == name)
}
