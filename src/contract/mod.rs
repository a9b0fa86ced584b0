//! The wire: parse a till's request, shape an answer or a refusal.

mod about;
mod answer;
mod date;
mod json;
mod key;
mod terms;

pub use about::is_about_the_form;
pub use answer::{Shape, accepted, refusal, shape, unknown_check};
pub use date::date_is_possible;
pub use json::members;
pub use key::{IDEMPOTENCY_KEY, key};
pub use terms::{terms, words};

use std::borrow::Cow;

use bytes::Bytes;

use crate::fold;
use crate::message::{Fault, Language};
use crate::redemption::{Request, RewardCode};
use json::{FoundValue, OddNames, Tree};

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

/// Everything that is wrong with a request, each naming the field. They never repeat a value: it
/// may be a reward code, and so may the name of a field that the contract does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.texts(Language::English).join("; "))]
pub struct RequestFaults(Vec<Fault>);

impl RequestFaults {
    /// The faults in words, at least one.
    #[must_use]
    pub fn texts(&self, language: Language) -> Vec<String> {
        self.0.iter().map(|fault| fault.text(language)).collect()
    }

    fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl From<RequestFaults> for Vec<Fault> {
    fn from(faults: RequestFaults) -> Self {
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
pub fn parse(bytes: Bytes) -> Result<Request, RequestFaults> {
    read_request(bytes, How::Strictly)
}

/// Reads a Redeem that was accepted before, from the store or another gateway's export: what is
/// asked of tills since then must not lose it.
pub fn parse_accepted(bytes: Bytes) -> Result<Request, RequestFaults> {
    read_request(bytes, How::AsAccepted)
}

/// Whether a body of this `Content-Type` and `Content-Encoding` is JSON as it is:
/// `application/json` or `application/…+json`, whatever its parameters. Neither knows cases.
#[must_use]
pub fn is_json(content_type: Option<&str>, coding: Option<&str>) -> bool {
    let is_plain = coding.is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    is_plain && (subtype == "json" || subtype.ends_with("+json"))
}

/// How much is asked of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Strictly,
    AsAccepted,
}

fn read_request(bytes: Bytes, how: How) -> Result<Request, RequestFaults> {
    let (values, body) = read(bytes, [REWARD_CODE, BUSINESS, BRANCH, DATE, TIMESTAMP], how)?;
    let [reward_code, business_refrence, branch_id, date, timestamp] = values;
    let reward_code = RewardCode::new(reward_code);
    Ok(Request { reward_code, business_refrence, branch_id, date, timestamp, body })
}

/// Reads a till's Check Reward; `Err` names every fault at once.
pub fn parse_check(bytes: Bytes) -> Result<Check, RequestFaults> {
    let ([reward_code, business_refrence], body) =
        read(bytes, [REWARD_CODE, BUSINESS], How::Strictly)?;
    Ok(Check { reward_code: RewardCode::new(reward_code), business_refrence, body })
}

/// The values of the `required` fields and the bytes to forward.
fn read<const N: usize>(
    bytes: Bytes,
    required: [&str; N],
    how: How,
) -> Result<([String; N], Bytes), RequestFaults> {
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        RequestFaults::one(Fault::NotUtf8 { byte: number(error.valid_up_to()) })
    })?;
    let (mut fields, odd) = top_level(text)?;
    let renamed = take_our_spelling(&mut fields);
    let mut faults = spelling_faults(renamed);
    if how == How::Strictly {
        faults.extend(twin_faults(&fields, &required));
        faults.extend(odd.half.then_some(Fault::HalfName));
    }
    faults.extend(double_faults(&fields, &required, odd.twice_within));
    let values = required.map(|name| match value_of(&fields, name, how) {
        Ok(value) => value,
        Err(fault) => {
            faults.push(fault);
            String::new()
        }
    });
    if !faults.is_empty() {
        return Err(RequestFaults(faults));
    }
    let body = match renamed {
        Spelling::Contract => bytes,
        Spelling::Right | Spelling::Both => rename(text)?,
    };
    Ok((values, body))
}

type ObjectFields<'a> = Vec<(Cow<'a, str>, FoundValue<'a>)>;

/// The fields of the object that `text` is, and what is odd about the names in it.
fn top_level(text: &str) -> Result<(ObjectFields<'_>, OddNames), RequestFaults> {
    if text.trim().is_empty() {
        return Err(RequestFaults::one(Fault::EmptyBody));
    }
    if text.starts_with('\u{feff}') {
        return Err(RequestFaults::one(Fault::ByteOrderMark));
    }
    match json::read(text).map_err(RequestFaults::one)? {
        Tree::Object(fields, odd) => Ok((fields, odd)),
        Tree::Other(kind) => Err(RequestFaults::one(Fault::NotAnObject { kind: kind.to_owned() })),
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
fn take_our_spelling(fields: &mut ObjectFields<'_>) -> Spelling {
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

fn spelling_faults(spelling: Spelling) -> Vec<Fault> {
    let both = || Fault::BothSpellings {
        field: BUSINESS.to_owned(),
        other: BUSINESS_SPELLED_RIGHT.to_owned(),
    };
    match spelling {
        Spelling::Both => vec![both()],
        Spelling::Contract | Spelling::Right => Vec::new(),
    }
}

/// A field beside one of the contract's that differs in case, dashes or underscores alone, with
/// another value: whoever reads names less strictly than we do would take the one or the other.
fn twin_faults(fields: &ObjectFields<'_>, required: &[&str]) -> Vec<Fault> {
    let bare = |name: &str| fold::code(name).replace(['_', '-', ' '], "");
    let others: Vec<_> = fields
        .iter()
        .filter(|(name, _)| !required.contains(&name.as_ref()) && name != BUSINESS_SPELLED_RIGHT)
        .map(|(name, value)| (bare(name), value))
        .collect();
    let has_twin = |name: &&&str| {
        let right = if **name == BUSINESS { bare(BUSINESS_SPELLED_RIGHT) } else { String::new() };
        fields.iter().find(|(field, _)| field == **name).is_some_and(|(_, ours)| {
            others
                .iter()
                .filter(|(other, _)| *other == bare(name) || !right.is_empty() && *other == right)
                .any(|(_, value)| value != &ours)
        })
    };
    required
        .iter()
        .filter(|_| !others.is_empty())
        .filter(has_twin)
        .map(|name| Fault::Twin { field: (*name).to_owned() })
        .collect()
}

/// One fault for each required field that is there twice, and one for all the others together.
fn double_faults(fields: &ObjectFields<'_>, required: &[&str], twice_within: bool) -> Vec<Fault> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let mut twice: Vec<&str> = names.windows(2).filter_map(same_pair).collect();
    twice.dedup();
    let known = required.iter().filter(|name| twice.contains(name));
    let mut faults: Vec<Fault> =
        known.map(|name| Fault::Twice { field: (*name).to_owned() }).collect();
    if twice_within || twice.iter().any(|name| !required.contains(name)) {
        faults.push(Fault::ForeignTwice);
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
fn value_of(fields: &ObjectFields<'_>, name: &str, how: How) -> Result<String, Fault> {
    let field = name.to_owned();
    let text = match fields.iter().find(|(field, _)| field == name) {
        None => return Err(Fault::Missing { field }),
        Some((_, FoundValue::Text(text))) => text,
        Some((_, FoundValue::HalfText)) => return Err(Fault::HalfText { field }),
        Some((_, FoundValue::Other(kind))) => {
            return Err(Fault::NotAString { field, kind: (*kind).to_owned() });
        }
    };
    match text.len() {
        0 => Err(Fault::Empty { field }),
        bytes if bytes > FIELD_BYTES_MAX => {
            Err(Fault::TooLong { field, bytes_max: number(FIELD_BYTES_MAX) })
        }
        _ if text.chars().any(char::is_control) => Err(Fault::Control { field }),
        _ if how == How::Strictly && fold::is_blank(text) => Err(Fault::Blank { field }),
        _ => Ok(text.clone().into_owned()),
    }
}

fn unreadable_spelling() -> Fault {
    Fault::UnreadableSpelling {
        field: BUSINESS.to_owned(),
        other: BUSINESS_SPELLED_RIGHT.to_owned(),
    }
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// `text` with the contract's spelling of the merchant's key; every other byte as it came.
fn rename(text: &str) -> Result<Bytes, RequestFaults> {
    let span = json::key_span(text, BUSINESS_SPELLED_RIGHT)
        .ok_or_else(|| RequestFaults::one(unreadable_spelling()))?;
    let (before, after) =
        (text.get(..span.start).unwrap_or_default(), text.get(span.end..).unwrap_or_default());
    Ok(Bytes::from([before, "\"", BUSINESS, "\"", after].concat()))
}

#[cfg(test)]
mod tests;
