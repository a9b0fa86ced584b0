//! Whether a refusal is about the form of the request rather than about its code.

use serde_json::Value;

use super::members;
use crate::fold;
use crate::redemption::RewardCode;
use crate::text::without_mark;

/// The fields beside the code, as words.
const FIELDS: [&str; 6] =
    ["branch id", "branchid", "date", "timestamp", "business refrence", "business reference"];
/// What follows a field's name where its form is at fault.
const FAULTS: [&str; 7] =
    ["format", "must", "cannot", "is required", "is missing", "is invalid", "does not match"];
/// What stands before it.
const BEFORE: [&str; 2] = ["invalid", "missing"];
/// The request itself, and a member of it.
const PARTS: [&str; 5] = ["body", "json", "field", "حقل", "الحقل"];
/// Words of which one speaks of the code.
const OF_THE_CODE: [&str; 17] = [
    "reward",
    "rewards",
    "code",
    "coupon",
    "voucher",
    "card",
    "offer",
    "used",
    "redeemed",
    "already",
    "expired",
    "not found",
    "المكافاة",
    "القسيمة",
    "الكود",
    "الرمز",
    "منتهية",
];

/// Whether the provider refused what a till sent for its form, and said nothing of the code: its
/// words name another field as missing or malformed, or, where that is known to be so
/// (`is_malformed`), no word speaks of the code. Such a refusal says nothing of another request for
/// the same code.
#[must_use]
pub fn is_about_the_form(body: &[u8], code: &RewardCode, is_malformed: bool) -> bool {
    let texts = RefusalTexts::of(body);
    let speaks_of_code = texts.0.iter().any(|text| text.speaks_of(code));
    !speaks_of_code && (is_malformed || texts.0.iter().any(RefusalText::names_a_fault))
}

/// What a refusal says in `message` and `errors`.
struct RefusalTexts(Vec<RefusalText>);

/// Its words with single spaces between and around them.
struct RefusalText {
    words: String,
    /// The name of a member of `errors`, which frameworks list by field.
    is_name: bool,
}

impl RefusalTexts {
    fn of(body: &[u8]) -> Self {
        let mut texts = Self(Vec::new());
        let members = members(without_mark(body)).unwrap_or_default();
        for (_, raw) in members.iter().filter(|(name, _)| matches!(&**name, "message" | "errors")) {
            texts.collect(serde_json::from_str(raw.get()).unwrap_or_default());
        }
        texts
    }

    fn collect(&mut self, value: Value) {
        match value {
            Value::String(text) => self.0.push(RefusalText::new(&text, false)),
            Value::Array(list) => list.into_iter().for_each(|item| self.collect(item)),
            Value::Object(members) => {
                for (name, item) in members {
                    self.0.push(RefusalText::new(&name, true));
                    self.collect(item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl RefusalText {
    fn new(text: &str, is_name: bool) -> Self {
        Self { words: spaced(&fold::words(text)), is_name }
    }

    fn has(&self, words: &str) -> bool {
        self.words.contains(&format!(" {words} "))
    }

    fn speaks_of(&self, code: &RewardCode) -> bool {
        let code = spaced(&fold::words(code.reveal()));
        OF_THE_CODE.iter().any(|words| self.has(words)) || self.words.contains(&code)
    }

    fn names_a_fault(&self) -> bool {
        let is_faulty = |field: &&str| {
            self.is_name && self.words.trim() == *field
                || FAULTS.iter().any(|fault| self.has(&format!("{field} {fault}")))
                || BEFORE.iter().any(|before| self.has(&format!("{before} {field}")))
        };
        PARTS.iter().any(|word| self.has(word)) || FIELDS.iter().any(is_faulty)
    }
}

fn spaced(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_the_form(body: &str, is_malformed: bool) -> bool {
        is_about_the_form(body.as_bytes(), &RewardCode::new("A-1".to_owned()), is_malformed)
    }

    #[test]
    fn a_refusal_that_names_another_field_as_malformed_is_about_the_form() {
        for body in [
            r#"{"data":[],"message":"The date field must be yyyy-MM-dd","errors":[]}"#,
            r#"{"message":"The branch_id field is required"}"#,
            r#"{"message":"The branch id field must be a string."}"#,
            r#"{"errors":["Invalid date"]}"#,
            r#"{"message":"The body is not a JSON object of strings"}"#,
            r#"{"message":"The given data was invalid.","errors":{"timestamp":["is required"]}}"#,
            r#"{"message":"حقل date مطلوب"}"#,
            r#"{"message":"business_refrence is missing"}"#,
        ] {
            assert!(of_the_form(body, false), "{body}");
        }
    }

    #[test]
    fn one_that_speaks_of_the_code_is_not_whatever_else_it_names() {
        for body in [
            r#"{"message":"Reward A-1 has expired: its date is invalid"}"#,
            r#"{"message":"The reward_code field is required"}"#,
            r#"{"message":"invalid date","errors":{"reward_code":["unknown"]}}"#,
            r#"{"message":"invalid date for a-1"}"#,
            r#"{"message":"not valid at this branch"}"#,
            r#"{"message":"Expired","errors":{"date":["x"]}}"#,
            "{}",
            "<html>",
        ] {
            assert!(!of_the_form(body, false), "{body}");
        }
        assert!(of_the_form(r#"{"message":"Bad request"}"#, true));
        assert!(!of_the_form(r#"{"message":"This code is unknown"}"#, true));
        assert!(!of_the_form(r#"{"message":"A-1 is unknown"}"#, true));
    }
}
