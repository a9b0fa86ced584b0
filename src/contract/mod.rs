//! The wire: parse a till's request, shape an answer or a refusal.

mod answer;
mod json;

pub use answer::{
    MESSAGE_HAS_BEEN_USED, Shape, accepted, limit_not_accepting, limit_outage, limit_pending, refusal, shape, used,
};

use std::borrow::Cow;

use bytes::Bytes;

use crate::redemption::{Request, RewardCode};
use json::Found;

/// The longest value of a field, in bytes.
pub const FIELD_BYTES_MAX: usize = 256;

const REWARD_CODE: &str = "reward_code";
/// The contract's own spelling.
const BUSINESS: &str = "business_refrence";
/// What some tills write instead.
const BUSINESS_SPELLED_RIGHT: &str = "business_reference";
const BRANCH: &str = "branch_id";
const DATE: &str = "date";
const TIMESTAMP: &str = "timestamp";

/// Everything that is wrong with a request, each in words that name the field. They never repeat a value: it may be
/// a reward code, and so may the name of a field that the contract does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Faults(Vec<String>);

impl Faults {
    /// The faults, at least one.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.0
    }

    fn one(message: impl Into<String>) -> Self {
        Self(vec![message.into()])
    }
}

impl From<Faults> for Vec<String> {
    fn from(faults: Faults) -> Self {
        faults.0
    }
}

/// A till's Check Reward.
#[derive(Clone, Debug)]
pub struct Check {
    /// The code that the customer showed.
    pub reward_code: RewardCode,
    /// The merchant.
    pub business_refrence: String,
    /// What is forwarded: the till's bytes, but for the key `business_reference`.
    pub body: Bytes,
}

/// Reads a till's Redeem; `Err` names every fault at once.
pub fn parse(bytes: Bytes) -> Result<Request, Faults> {
    let (values, body) = read(bytes, [REWARD_CODE, BUSINESS, BRANCH, DATE, TIMESTAMP])?;
    let [reward_code, business_refrence, branch_id, date, timestamp] = values;
    let reward_code = RewardCode::new(reward_code);
    Ok(Request { reward_code, business_refrence, branch_id, date, timestamp, body })
}

/// Reads a till's Check Reward; `Err` names every fault at once.
pub fn parse_check(bytes: Bytes) -> Result<Check, Faults> {
    let ([reward_code, business_refrence], body) = read(bytes, [REWARD_CODE, BUSINESS])?;
    Ok(Check { reward_code: RewardCode::new(reward_code), business_refrence, body })
}

/// The values of the `required` fields and the bytes to forward.
fn read<const N: usize>(bytes: Bytes, required: [&str; N]) -> Result<([String; N], Bytes), Faults> {
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Faults::one(format!("the body is not UTF-8 (at byte {})", error.valid_up_to())))?;
    let (mut fields, nested_twice) = top_level(text)?;
    let renamed = take_our_spelling(&mut fields);
    let mut faults = spelling_faults(renamed);
    faults.extend(double_faults(&fields, &required, nested_twice));
    let values = required.map(|name| match value_of(&fields, name) {
        Ok(value) => value,
        Err(fault) => {
            faults.push(fault);
            String::new()
        }
    });
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let body = match renamed {
        Spelling::Contract => bytes,
        Spelling::Right | Spelling::Both => rename(text)?,
    };
    Ok((values, body))
}

type Fields<'a> = Vec<(Cow<'a, str>, Found<'a>)>;

/// The fields of the object that `text` is, and whether an object inside of it names a field twice.
fn top_level(text: &str) -> Result<(Fields<'_>, bool), Faults> {
    if text.trim().is_empty() {
        return Err(Faults::one("the body is empty"));
    }
    if text.starts_with('\u{feff}') {
        return Err(Faults::one("the body begins with a byte order mark: send plain UTF-8"));
    }
    let tree = json::read(text).map_err(Faults::one)?;
    match tree.found {
        Found::Object(fields) => Ok((fields, tree.nested_twice)),
        Found::Text(_) => Err(Faults::one("the body must be a JSON object, not a string")),
        Found::Other(kind) => Err(Faults::one(format!("the body must be a JSON object, not {kind}"))),
    }
}

/// How a till spells the merchant's field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Contract,
    Right,
    Both,
}

/// Puts the contract's spelling in the place of the other one.
fn take_our_spelling(fields: &mut Fields<'_>) -> Spelling {
    let has_contract = fields.iter().any(|(name, _)| name == BUSINESS);
    let has_right = fields.iter().any(|(name, _)| name == BUSINESS_SPELLED_RIGHT);
    match (has_contract, has_right) {
        (_, false) => Spelling::Contract,
        (true, true) => Spelling::Both,
        (false, true) => {
            for (name, _) in fields.iter_mut().filter(|(name, _)| name == BUSINESS_SPELLED_RIGHT) {
                *name = Cow::Borrowed(BUSINESS);
            }
            Spelling::Right
        }
    }
}

fn spelling_faults(spelling: Spelling) -> Vec<String> {
    match spelling {
        Spelling::Both => vec![format!("{BUSINESS} and {BUSINESS_SPELLED_RIGHT} are both present: send one of them")],
        Spelling::Contract | Spelling::Right => Vec::new(),
    }
}

/// One fault for each required field that is there twice, and one for all the others together.
fn double_faults(fields: &Fields<'_>, required: &[&str], nested_twice: bool) -> Vec<String> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let mut twice: Vec<&str> = names.windows(2).filter_map(same_pair).collect();
    twice.dedup();
    let known = required.iter().filter(|name| twice.contains(name));
    let mut faults: Vec<String> = known.map(|name| format!("{name} appears more than once")).collect();
    if nested_twice || twice.iter().any(|name| !required.contains(name)) {
        faults.push("a field that the contract does not name appears more than once in its object".to_owned());
    }
    faults
}

fn same_pair<'a>(pair: &[&'a str]) -> Option<&'a str> {
    match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    }
}

/// The value of a required field, or what is wrong with it.
fn value_of(fields: &Fields<'_>, name: &str) -> Result<String, String> {
    let text = match fields.iter().find(|(field, _)| field == name) {
        None => return Err(format!("{name} is missing")),
        Some((_, Found::Text(text))) => text,
        Some((_, Found::Object(_))) => return Err(format!("{name} must be a string, not an object")),
        Some((_, Found::Other(kind))) => return Err(format!("{name} must be a string, not {kind}")),
    };
    match text.len() {
        0 => Err(format!("{name} is empty")),
        bytes if bytes > FIELD_BYTES_MAX => Err(format!("{name} is longer than {FIELD_BYTES_MAX} bytes")),
        _ if text.chars().any(char::is_control) => Err(format!("{name} contains a control character")),
        _ => Ok(text.clone().into_owned()),
    }
}

/// `text` with the contract's spelling of the merchant's key; every other byte as it came.
fn rename(text: &str) -> Result<Bytes, Faults> {
    let span = json::key_span(text, BUSINESS_SPELLED_RIGHT)
        .ok_or_else(|| Faults::one(format!("{BUSINESS_SPELLED_RIGHT} cannot be read: send {BUSINESS}")))?;
    let (before, after) = (text.get(..span.start).unwrap_or_default(), text.get(span.end..).unwrap_or_default());
    Ok(Bytes::from([before, "\"", BUSINESS, "\"", after].concat()))
}

#[cfg(test)]
mod tests;

/// stub
#[must_use]
pub fn date_is_possible(_date: &str) -> bool {
    true
}
