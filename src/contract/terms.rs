//! What a Check Reward's answer says of a code's worth, and a refusal's words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::text::without_mark;
use crate::value::{Amount, Terms};

type RawMembers<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A larger exponent is beyond every amount, a smaller one below.
const EXPONENT_MAX: i32 = 40;

/// What a valid check says: `type`, `discount_amount`, `is_percentage` and `max_discount_amount` of
/// its `data`. What cannot be read is as if it were not said, and nothing is said by amounts of
/// which nobody can tell whether they are a percentage; a `max_discount_amount` that is not there
/// bounds nothing. Amounts may be texts or numbers; a number is read as it is written.
#[must_use]
pub fn terms(body: &[u8]) -> Terms {
    let data = members(body).and_then(|members| data_of(members.get("data")?));
    let Some(data) = data else { return Terms::default() };
    let kind = data.get("type").map(|raw| plain(raw)).unwrap_or_default().into_owned();
    let Some(is_percentage) = data.get("is_percentage").map_or(Some(false), |raw| flag(raw)) else {
        return Terms { kind, ..Terms::default() };
    };
    Terms {
        kind,
        amount: data.get("discount_amount").and_then(|raw| amount(raw)),
        is_percentage,
        max: match data.get("max_discount_amount") {
            Some(raw) if raw.get() != "null" => amount(raw),
            Some(_) | None => Some(Amount::ZERO),
        },
    }
}

/// Yes or no, as a word or a number; `None`: neither.
fn flag(raw: &RawValue) -> Option<bool> {
    match plain(raw).trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" | "null" | "" => Some(false),
        _ => [(Amount::ZERO, false), (Amount::whole(1), true)]
            .into_iter()
            .find_map(|(number, yes)| (amount(raw) == Some(number)).then_some(yes)),
    }
}

/// A string is read as it is; a number may have an exponent.
fn amount(raw: &RawValue) -> Option<Amount> {
    let text = plain(raw);
    if raw.get().starts_with('"') {
        return Amount::parse(&text);
    }
    Amount::parse(&without_exponent(&text).unwrap_or_else(|| text.into_owned()))
}

/// `1.5e3` as `1500`; `None` where there is no exponent.
fn without_exponent(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let exponent = exponent.parse::<i32>().ok()?.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = "0".repeat(usize::try_from(exponent.unsigned_abs()).unwrap_or(0));
    let digits = if exponent < 0 {
        format!("{zeros}{whole}{part}")
    } else {
        format!("{whole}{part}{zeros}")
    };
    let decimals = part.len() + if exponent < 0 { zeros.len() } else { 0 };
    let (before, after) = digits.split_at_checked(digits.len().checked_sub(decimals)?)?;
    Some(format!("{before}.{after}"))
}

/// A refusal's words: `message`, else the first of `errors`; empty where it has none.
#[must_use]
pub fn words(body: &[u8]) -> String {
    let Some(members) = members(body) else { return String::new() };
    let said = |name: &str| members.get(name).and_then(|raw| first_text(raw));
    said("message").or_else(|| said("errors")).unwrap_or_default()
}

fn members(body: &[u8]) -> Option<RawMembers<'_>> {
    serde_json::from_slice(without_mark(body)).ok()
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

/// The first string that is not blank.
fn first_text(raw: &RawValue) -> Option<String> {
    let one = serde_json::from_str::<String>(raw.get()).ok();
    one.filter(|text| !text.trim().is_empty())
        .or_else(|| {
            serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()?.into_iter().find_map(first_text)
        })
        .or_else(|| {
            serde_json::from_str::<RawMembers<'_>>(raw.get())
                .ok()?
                .into_values()
                .find_map(first_text)
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
        for data in
            ["[]", "null", "7", r#"{"discount_amount":"ten","max_discount_amount":"?"}"#, "[[]]"]
        {
            assert_eq!(read(data), Terms::default(), "{data}");
        }
        assert_eq!(terms(b"<html>"), Terms::default());
        for data in ["{}", r#"{"discount_amount":null,"max_discount_amount":null}"#] {
            let unbounded = Terms { max: Some(Amount::ZERO), ..Terms::default() };
            assert_eq!(read(data), unbounded, "{data}");
        }
    }

    #[test]
    fn an_amount_of_which_nobody_can_tell_whether_it_is_a_percentage_says_nothing() {
        let read_with = |flag: &str| {
            let said =
                read(&format!(r#"{{"type":"x","discount_amount":5,"is_percentage":{flag}}}"#));
            assert_eq!(said.kind, "x");
            (said.is_percentage, said.amount)
        };
        let five = Some(Amount::whole(5));
        for flag in ["true", "1", "1.0", r#""TRUE""#, r#"" 1 ""#, "10e-1"] {
            assert_eq!(read_with(flag), (true, five), "{flag}");
        }
        for flag in ["false", "0", "0.0", "null", r#""""#, r#""False""#, r#""0""#] {
            assert_eq!(read_with(flag), (false, five), "{flag}");
        }
        for flag in ["2", "-1", r#""yes""#, r#""percent""#, "{}", "[true]"] {
            assert_eq!(read_with(flag), (false, None), "{flag}");
        }
    }

    #[test]
    fn a_number_may_have_an_exponent_and_a_text_or_a_negative_one_is_unreadable() {
        for (amount, read_as) in [
            ("1e3", Some("1000")),
            ("1.25E+2", Some("125")),
            ("12.5e0", Some("12.5")),
            ("1.5e-3", Some("0.0015")),
            ("4e-5", Some("0.0001")),
            ("1e400", Some("99999999999999999999")),
            ("1e-400", Some("0.0001")),
            ("0e5", Some("0")),
            ("-1e3", None),
            ("-0.5", None),
            (r#""1e3""#, None),
            (r#""١٢""#, None),
            ("true", None),
            ("[5]", None),
        ] {
            let said = read(&format!(r#"{{"discount_amount":{amount}}}"#)).amount;
            assert_eq!(said, read_as.and_then(Amount::parse), "{amount}");
        }
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
