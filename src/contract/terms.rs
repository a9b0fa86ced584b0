//! What a Check Reward's answer says of a code's worth, and a refusal's words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::value::{Amount, Terms};

type RawMembers<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// What a valid check says: `type`, `discount_amount`, `is_percentage` and `max_discount_amount` of
/// its `data`. What cannot be read is as if it were not said. Amounts may be texts or numbers; a
/// number is read as it is written.
#[must_use]
pub fn terms(body: &[u8]) -> Terms {
    let data = members(body).and_then(|members| data_of(members.get("data")?));
    let Some(data) = data else { return Terms::default() };
    let text = |name: &str| data.get(name).map(|raw| plain(raw)).unwrap_or_default();
    Terms {
        kind: text("type").into_owned(),
        amount: Amount::parse(&text("discount_amount")),
        is_percentage: matches!(text("is_percentage").to_ascii_lowercase().as_str(), "true" | "1"),
        max: Amount::parse(&text("max_discount_amount")),
    }
}

/// A refusal's words: `message`, else the first of `errors`; empty where it has none.
#[must_use]
pub fn words(body: &[u8]) -> String {
    let Some(members) = members(body) else { return String::new() };
    let said = |name: &str| {
        members.get(name).and_then(|raw| first_text(raw)).filter(|text| !text.is_empty())
    };
    said("message").or_else(|| said("errors")).unwrap_or_default()
}

fn members(body: &[u8]) -> Option<RawMembers<'_>> {
    let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    serde_json::from_slice(json).ok()
}

/// An object, or the first of a list of them.
fn data_of(raw: &RawValue) -> Option<RawMembers<'_>> {
    let object = serde_json::from_str(raw.get()).ok();
    object.or_else(|| {
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        serde_json::from_str(list.first()?.get()).ok()
    })
}

/// A string's text; anything else as it is written.
fn plain(raw: &RawValue) -> Cow<'_, str> {
    serde_json::from_str::<String>(raw.get()).map_or(Cow::Borrowed(raw.get()), Cow::Owned)
}

fn first_text(raw: &RawValue) -> Option<String> {
    let one = serde_json::from_str(raw.get()).ok();
    one.or_else(|| {
        serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()?.into_iter().find_map(first_text)
    })
    .or_else(|| {
        serde_json::from_str::<RawMembers<'_>>(raw.get()).ok()?.into_values().find_map(first_text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str) -> Terms {
        terms(format!(r#"{{"data":{data},"errors":[]}}"#).as_bytes())
    }

    #[test]
    fn terms_are_read_from_texts_and_numbers_exactly_as_they_are_written() {
        let expected = Terms {
            kind: "discount".to_owned(),
            amount: Amount::parse("10.5"),
            is_percentage: true,
            max: Some(Amount::ZERO),
        };
        let texts = r#"{"type":"discount","discount_amount":"10.50","is_percentage":"1","max_discount_amount":"0","x":{}}"#;
        let numbers = r#"{"type":"discount","discount_amount":10.5,"is_percentage":true,"max_discount_amount":0}"#;
        assert_eq!(read(texts), expected);
        assert_eq!(read(numbers), expected);
        assert_eq!(read(&format!("[{numbers}]")), expected);
        assert_eq!(
            read(r#"{"discount_amount":0.30000000000000004}"#).amount,
            Amount::parse("0.3001")
        );
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_said() {
        for data in [
            "{}",
            "[]",
            "null",
            "7",
            r#"{"discount_amount":"ten","max_discount_amount":null}"#,
            "[[]]",
        ] {
            assert_eq!(read(data), Terms::default(), "{data}");
        }
        assert_eq!(terms(b"<html>"), Terms::default());
    }

    #[test]
    fn a_refusals_words_are_its_message_or_its_first_error() {
        for (body, said) in [
            (r#"{"message":"gone","errors":["x"]}"#, "gone"),
            (r#"{"message":"","errors":{"reward_code":["has expired"]}}"#, "has expired"),
            (r#"{"errors":[["a"],"b"]}"#, "a"),
            ("{}", ""),
            ("[]", ""),
        ] {
            assert_eq!(words(body.as_bytes()), said, "{body}");
        }
    }
}
