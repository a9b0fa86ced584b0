//! A provider's body: a JSON object, something else, or nothing that can be read.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::words::Said;
use super::{MESSAGE_BYTES_MAX, Reply};
use crate::redemption::RewardCode;
use crate::text::without_mark;
use crate::{contract, fold};

/// What a body is.
pub(super) enum Body<'a> {
    /// A whole JSON object.
    Object(Object<'a>),
    /// Empty, or anything else that was read to its end.
    Other,
    /// It cannot be known what it says: why.
    Unreadable(String),
}

impl<'a> Body<'a> {
    /// `code` is the redemption's own.
    pub(super) fn of(reply: &'a Reply, code: Option<&'a RewardCode>) -> Self {
        if let Some(encoding) = foreign_encoding(reply) {
            return Self::Unreadable(encoding);
        }
        let json = without_mark(&reply.answer.body);
        if reply.truncated || !json.trim_ascii_start().starts_with(b"{") {
            return Self::Other;
        }
        match contract::members(json) {
            Ok(members) => Self::Object(Object { members, code }),
            Err(error) if error.is_eof() => {
                let status = reply.answer.status;
                Self::Unreadable(format!("HTTP {status} with an answer that is cut at its end"))
            }
            Err(_) => Self::Other,
        }
    }

    pub(super) fn object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Other | Self::Unreadable(_) => None,
        }
    }
}

/// A content encoding that we did not ask for. A web page is none of the provider's in whatever
/// encoding.
fn foreign_encoding(reply: &Reply) -> Option<String> {
    let is_plain = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
    let encoding = reply.content_encoding.as_deref()?.trim();
    if encoding.split(',').map(str::trim).all(is_plain)
        || media_type(reply).is_some_and(|media| media == "text/html")
    {
        return None;
    }
    let is_name = encoding.len() <= 20
        && encoding.bytes().all(|b| b.is_ascii_alphanumeric() || b"-, ".contains(&b));
    let name = if is_name { encoding } else { "unknown" };
    Some(format!(
        "HTTP {} with the content encoding {name}, which was not asked for",
        reply.answer.status
    ))
}

/// The content type without its parameters, in lower case; `None` where none is told.
pub(super) fn media_type(reply: &Reply) -> Option<String> {
    let media =
        reply.answer.content_type.as_deref()?.split(';').next()?.trim().to_ascii_lowercase();
    (!media.is_empty()).then_some(media)
}

/// A whole answer that is a JSON object. Its values are kept as they came: a fault in one that does
/// not concern us (a number beyond any range, say) does not make the answer unreadable.
pub(super) struct Object<'a> {
    /// As they came: one that is named twice is there twice, since readers differ in which of the
    /// two they take.
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The redemption's own code, where it is known.
    code: Option<&'a RewardCode>,
}

impl<'a> Object<'a> {
    /// The object that a whole body is, if it is one.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        let members = contract::members(without_mark(body)).ok()?;
        Some(Self { members, code: None })
    }

    /// The object that a member is, or the one of a list of one.
    pub(super) fn within(raw: &'a RawValue) -> Option<Self> {
        let one = match serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
            Ok(list) => <[&RawValue; 1]>::try_from(list).ok()?[0],
            Err(_) => raw,
        };
        Self::of(one.get().as_bytes())
    }

    /// The contract's shape.
    pub(super) fn is_in_shape(&self) -> bool {
        self.has("message") || self.has("errors")
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys().any(|name| name == key)
    }

    /// The values of the member of this very name: several, where it is there more than once.
    pub(super) fn values(&self, key: &str) -> impl Iterator<Item = Value> {
        self.members.iter().filter(move |(name, _)| name == key).map(|(_, raw)| read(raw))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    /// Each member with its name in one spelling: `statusCode`, `StatusCode` and `status_code` are
    /// `statuscode`.
    pub(super) fn members(&self) -> impl Iterator<Item = (String, &RawValue)> {
        self.members.iter().map(|(key, raw)| (one_spelling(key), *raw))
    }

    /// The members of `data` where that is an object, with their names in one spelling.
    pub(super) fn data_members(&self) -> impl Iterator<Item = (String, Value)> {
        let data = self.members().filter(|(name, _)| name == "data").map(|(_, raw)| read(raw));
        let maps =
            data.filter_map(|data| if let Value::Object(map) = data { Some(map) } else { None });
        maps.flatten().map(|(key, value)| (one_spelling(&key), value))
    }

    pub(super) fn has_errors(&self) -> bool {
        self.values("errors").any(|errors| !is_nothing(&errors))
    }

    /// What it says: every string within `message`, then within `errors`.
    pub(super) fn texts(&self) -> Vec<String> {
        [self.texts_in("message"), self.texts_in("errors")].concat()
    }

    fn texts_in(&self, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        self.values(key).for_each(|value| collect_texts(value, &mut texts));
        texts
    }

    /// `message` has a letter or a digit: some gateways send it empty.
    pub(super) fn has_a_message(&self) -> bool {
        self.texts_in("message").iter().any(|text| text.contains(char::is_alphanumeric))
    }

    /// What it says, then the strings of every member that describes a fault, in every spelling of
    /// their names.
    pub(super) fn words(&self) -> Vec<String> {
        [self.texts(), self.texts_of(is_message_like)].concat()
    }

    /// The strings of every member that names a fault.
    pub(super) fn codes(&self) -> Vec<String> {
        self.texts_of(is_code_like)
    }

    pub(super) fn texts_of(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let mut texts = Vec::new();
        for (_, raw) in self.members().filter(|(name, _)| is_meant(name)) {
            collect_texts(read(raw), &mut texts);
        }
        texts
    }

    /// Texts, folded for their phrases; one that names the redemption's own code is there without
    /// it too. "GIFT-CARD has been used" speaks of the code, whatever it is called.
    pub(super) fn said(&self, texts: &[String]) -> Vec<Said> {
        let both = |text: &String| {
            let said = Said::new(text);
            let bare = self.code.and_then(|code| said.without(code.reveal()));
            [Some(said), bare]
        };
        texts.iter().flat_map(both).flatten().collect()
    }

    /// `value` is the redemption's own code, as a text or as a number.
    pub(super) fn is_the_code(&self, value: &Value) -> bool {
        let folded = self.code.map(RewardCode::folded).unwrap_or_default();
        match value {
            Value::String(text) => !folded.is_empty() && fold::code(text) == folded,
            Value::Number(number) => number.as_f64() == folded.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        }
    }

    /// What it says, then the strings of every member that describes or names a fault.
    pub(super) fn texts_and_codes(&self) -> Vec<String> {
        [self.words(), self.codes()].concat()
    }

    /// RFC 8908: a captive portal tells of itself; a firewall names the case that it has made of
    /// it.
    pub(super) fn is_of_a_portal(&self) -> bool {
        const IN_ANY_SPELLING: [&str; 5] =
            ["captive", "supportid", "incidentid", "rayid", "captcha"];
        const MEMBERS: [&str; 5] = [
            "user-portal-url",
            "venue-info-url",
            "can-extend-session",
            "seconds-remaining",
            "bytes-remaining",
        ];
        MEMBERS.into_iter().any(|member| self.has(member))
            || self.members().any(|(name, _)| IN_ANY_SPELLING.contains(&name.as_str()))
    }
}

/// A value; one that no type can hold is its own text.
pub(super) fn read(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::from(raw.get()))
}

/// An error that there is not. `"errmsg":"ok"` is none.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            const NOTHING: [&str; 8] =
                ["", "none", "null", "false", "no", "ok", "success", "noerror"];
            let word = word(value);
            fold::is_blank(text)
                || text.trim() == "-"
                || !word.is_empty() && NOTHING.contains(&word.trim_start_matches('0'))
        }
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A text's letters and digits, folded, as one word; nothing for what is no text.
pub(super) fn word(value: &Value) -> String {
    folded(value).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// A text, folded as words are: the digits of every script are one's. Nothing for what is no text.
pub(super) fn folded(value: &Value) -> String {
    fold::words(value.as_str().unwrap_or_default())
}

fn one_spelling(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `message` and what frameworks call it: `msg`, `messages`, `responseMessage`, `errmsg`.
pub(super) fn is_message(name: &str) -> bool {
    ["message", "messages", "msg"].into_iter().any(|end| name.ends_with(end))
}

fn is_message_like(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "errors",
        "error",
        "errordescription",
        "reason",
        "description",
        "detail",
        "details",
        "title",
    ];
    is_message(name) || NAMES.contains(&name)
}

/// Members that hold a code of how it went: a number as HTTP's, or a word.
pub(super) const CODES: [&str; 6] =
    ["code", "responsecode", "respcode", "resultcode", "returncode", "retcode"];

fn is_code_like(name: &str) -> bool {
    const NAMES: [&str; 6] = ["subcode", "reasoncode", "messagecode", "type", "status", "result"];
    CODES.contains(&name) || NAMES.contains(&name) || name.starts_with("err") && name != "errors"
}

/// Members that tell how it went, and nothing of a code.
pub(super) fn tells_how_it_went(name: &str) -> bool {
    is_message_like(name) || is_code_like(name)
}

/// The strings within `value`, in order; frameworks put them into lists, or into lists by field.
fn collect_texts(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text),
        Value::Array(list) => list.into_iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(map) => map.into_iter().for_each(|(_, item)| collect_texts(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// At most [`MESSAGE_BYTES_MAX`] of `text`, whole characters.
pub(super) fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}
