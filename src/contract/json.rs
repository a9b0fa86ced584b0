//! A JSON text read strictly: no field twice in an object, a bounded depth, and where a key stands.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeSeed};
use serde_json::error::Category;

/// How deep objects and arrays may lie in each other.
const DEPTH_MAX: usize = 32;

/// A value: what this room needs of it.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An object: the fields of the outermost one in their order; those of inner ones are looked at but not kept.
    Object(Vec<(Cow<'a, str>, Found<'a>)>),
    /// Anything else, by its name with its article.
    Other(&'static str),
}

/// A whole text.
pub(super) struct Tree<'a> {
    /// The outermost value.
    pub(super) found: Found<'a>,
    /// Whether an inner object names a field twice.
    pub(super) nested_twice: bool,
}

/// Reads `text`; `Err` says what is wrong with its syntax and where, and repeats nothing of it.
pub(super) fn read(text: &str) -> Result<Tree<'_>, String> {
    let mut nested_twice = false;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Value { depth: 0, nested_twice: &mut nested_twice };
    let found = value.deserialize(&mut reader).and_then(|found| reader.end().map(|()| found));
    match found {
        Ok(found) => Ok(Tree { found, nested_twice }),
        Err(error) => Err(in_words(&error)),
    }
}

fn in_words(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "the body ends in the middle of the JSON".to_owned(),
        Category::Data => format!("the JSON is nested deeper than {DEPTH_MAX} levels"),
        Category::Syntax | Category::Io => {
            format!("the body is not valid JSON (line {}, column {})", error.line(), error.column())
        }
    }
}

/// Reads one value at its depth.
struct Value<'s> {
    depth: usize,
    nested_twice: &'s mut bool,
}

impl Value<'_> {
    /// For a value inside of this one.
    fn inner(&mut self) -> Value<'_> {
        Value { depth: self.depth + 1, nested_twice: self.nested_twice }
    }

    fn bounded<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < DEPTH_MAX { Ok(()) } else { Err(E::custom("too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::Other("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(Found::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'de>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Found<'de>, A::Error> {
        self.bounded()?;
        while items.next_element_seed(self.inner())?.is_some() {}
        Ok(Found::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Found<'de>, A::Error> {
        self.bounded()?;
        let mut kept = Vec::new();
        let mut seen = HashSet::new();
        while let Some(Key(name)) = entries.next_key()? {
            let found = entries.next_value_seed(self.inner())?;
            if self.depth == 0 {
                kept.push((name, found));
            } else if !seen.insert(name) {
                *self.nested_twice = true;
            }
        }
        Ok(Found::Object(kept))
    }
}

/// An object's key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut twice = false;
        match deserializer.deserialize_str(Value { depth: 0, nested_twice: &mut twice })? {
            Found::Text(name) => Ok(Self(name)),
            Found::Object(_) | Found::Other(_) => Err(D::Error::custom("a key is a string")),
        }
    }
}

/// Where the first key `name` of the outermost object stands in `text`, quotes included. `text` must be valid JSON.
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
    serde_json::from_str::<Key<'_>>(quoted).is_ok_and(|Key(decoded)| decoded == name)
}
