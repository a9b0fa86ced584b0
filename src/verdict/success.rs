//! What a 2xx says: that it was taken, that it failed, that it is being worked on, or that it is
//! nobody's.

use std::slice;

use serde_json::Value;

use super::object::{self, Body, Object, cut, folded, is_nothing, media_type, word};
use super::subject::lists;
use super::words::{self, Said};
use super::{Evidence, ParkReason, Reply, Rules, Success, Verdict, not_the_provider};

/// A 2xx that is not done yet.
const WORKED_ON: Verdict = Verdict::InProgress { evidence: Evidence::Strong };

/// A 2xx under the provider's rules.
pub(super) fn judge(reply: &Reply, body: &Body<'_>, rules: &Rules) -> Verdict {
    match body {
        Body::Unreadable(detail) => Verdict::Unreadable { detail: detail.clone() },
        Body::Object(object) if object.is_of_a_portal() => not_the_provider(reply),
        Body::Object(object) => judge_object(reply.answer.status, object, rules),
        Body::Other if is_an_empty_answer(reply) => confirmed(reply.answer.status),
        Body::Other => not_the_provider(reply),
    }
}

/// An empty body is an answer only where its end was told and nothing says that it was to be
/// something else.
fn is_an_empty_answer(reply: &Reply) -> bool {
    let is_json = |media: String| media.ends_with("/json") || media.ends_with("+json");
    let is_empty = reply.answer.body.is_empty() && !reply.truncated;
    is_empty && reply.framed && media_type(reply).is_none_or(is_json)
}

/// HTTP's own word for "not done yet".
fn confirmed(status: u16) -> Verdict {
    if status == 202 { WORKED_ON } else { Verdict::Confirmed }
}

fn judge_object(status: u16, object: &Object<'_>, rules: &Rules) -> Verdict {
    let parked = |reason| Verdict::Parked {
        reason,
        already_used: is_flagged_used(object)
            || is_used_by_somebody(object, rules) && !says_it_went_well(object),
    };
    if is_pending(object) || says_in_progress(object, rules) {
        return WORKED_ON;
    }
    if says_failed(object) || says_used(object, rules) || is_flagged_used(object) {
        return parked(ParkReason::SaysFailed { status });
    }
    if object.has_errors() {
        return parked(ParkReason::SaysBoth { status });
    }
    let is_the_contracts = |key: &str| matches!(key, "data" | "message" | "errors");
    match rules.success {
        Success::Contract if !object.keys().all(is_the_contracts) => {
            Verdict::Parked { reason: ParkReason::Unusual { status }, already_used: false }
        }
        Success::Contract | Success::Lenient => confirmed(status),
    }
}

/// `status` pending or processing, alone or with more words; in the contract's `data` too.
fn is_pending(object: &Object<'_>) -> bool {
    const PENDING: [&str; 13] = [
        "pending",
        "processing",
        "inprogress",
        "inprocess",
        "queued",
        "awaiting",
        "waiting",
        "deferred",
        "underreview",
        "قيدالمعالجه",
        "قيدالانتظار",
        "قيدالتنفيذ",
        "معلق",
    ];
    let is_one = |value: &Value| {
        let [first, _] = ends_of(value);
        PENDING.contains(&word(value).as_str()) || PENDING.contains(&first.as_str())
    };
    let of_data = object.data_members().filter(|(name, _)| STATUS.contains(&bare(name)));
    let in_data = of_data.flat_map(|(_, value)| items(value));
    named(object, STATUS).chain(in_data).any(|value| is_one(&value))
}

/// Members that say how it went, in a word.
pub(super) const STATUS: &[&str] = &[
    "status",
    "result",
    "state",
    "outcome",
    "resultstatus",
    "responsestatus",
    "transactionstatus",
    "redemptionstatus",
];

/// A message that tells of work in progress, unless the answer says in so many words that it went
/// well.
fn says_in_progress(object: &Object<'_>, rules: &Rules) -> bool {
    let told = message(object);
    !says_it_went_well(object)
        && !told.iter().any(words::says_well)
        && words::says_in_progress(&told, &rules.in_progress)
}

/// A message, a code or a status that says that the code was used before. Where the answer says as
/// well that it went well, a status or a code that says "before" in so many words does.
fn says_used(object: &Object<'_>, rules: &Rules) -> bool {
    let is_used = |said: &Said| words::says_used_before(said, &rules.already_used);
    let texts = object.texts_of(|name| {
        let is_word = STATUS.contains(&name) || object::CODES.contains(&name);
        is_word || object::is_message(name) || name == "reason"
    });
    let is_said = || said_beside_the_code(object, texts).iter().any(is_used);
    let words = object.texts_of(|name| STATUS.contains(&name) || object::CODES.contains(&name));
    let is_of_before = |said: &Said| words::says_before(said) && is_used(said);
    said_beside_the_code(object, words).iter().any(is_of_before)
        || !says_it_went_well(object) && (is_said() || is_called_used(object))
}

/// What these texts say; a code that is given back says nothing.
fn said_beside_the_code(object: &Object<'_>, mut texts: Vec<String>) -> Vec<Said> {
    texts.retain(|text| !object.is_the_code(&Value::from(text.as_str())));
    object.said(&texts)
}

/// In the state of a reward that was redeemed just now "used" stands for that.
fn is_called_used(object: &Object<'_>) -> bool {
    let is_called = |names: [&str; 2]| {
        named(object, STATUS).any(|value| names.contains(&word(&value).as_str()))
    };
    is_called(["used", "مستخدم"]) && !is_called(["redeemed", "success"])
}

/// Members that say by a yes that the code was used before. Nobody says so of what was done just
/// now, whatever else is said.
pub(super) const ALREADY_USED: &str =
    "alreadyused alreadyredeemed alreadybeenused alreadybeenredeemed";

fn is_flagged_used(object: &Object<'_>) -> bool {
    let mut flags = object.members().filter(|(name, _)| lists(ALREADY_USED, bare(name)));
    flags.any(|(_, raw)| items(object::read(raw)).iter().any(is_yes))
}

/// Whether an answer that fails says "already used" of the code, as a refusal does.
fn is_used_by_somebody(object: &Object<'_>, rules: &Rules) -> bool {
    says_used_in_words(object, rules) || is_called_used(object)
}

/// As a refusal does it, by its words alone.
pub(super) fn says_used_in_words(object: &Object<'_>, rules: &Rules) -> bool {
    let said = said_beside_the_code(object, object.texts_and_codes());
    let is_used = |said: &Said| {
        !words::says_well(said) && words::says_used(slice::from_ref(said), &rules.already_used)
    };
    said.iter().any(is_used)
}

pub(super) fn message(object: &Object<'_>) -> Vec<Said> {
    object.said(&object.texts_of(object::is_message))
}

/// A member says in so many words that it went well.
pub(super) fn says_it_went_well(object: &Object<'_>) -> bool {
    named(object, SUCCESS).any(|value| is_true(&value))
}

/// Members that say whether it went well; `is` may stand before each.
pub(super) const SUCCESS: &[&str] =
    &["success", "successful", "succeeded", "ok", "accepted", "approved", "redeemed"];

/// Whether a member at the top level says that it failed.
fn says_failed(object: &Object<'_>) -> bool {
    object.members().any(|(name, raw)| {
        let value = object::read(raw);
        // `Errors`, as some frameworks write all their members, is no `errors`.
        if is_of_the_error_kind(&name) && name != "errors" {
            return !is_nothing(&value);
        }
        let values = items(value).into_iter().filter(|value| !is_an_echo(&name, value, object));
        values.into_iter().any(|value| is_failure_of(bare(&name), &value))
    }) || has_other_errors(object)
}

/// The redemption's own code, given back: `code` may be the reward's as well as one of how it went.
/// What is a status of HTTP's too, such as 404, stays one.
fn is_an_echo(name: &str, value: &Value, object: &Object<'_>) -> bool {
    let may_hold_it = object::CODES.contains(&bare(name)) || STATUS.contains(&bare(name));
    may_hold_it && object.is_the_code(value) && !is_a_status_of_http(value)
}

fn is_a_status_of_http(value: &Value) -> bool {
    let number = value.as_f64().or_else(|| folded(value).parse().ok());
    number.is_some_and(|number| (400.0..600.0).contains(&number))
}

/// Whether the member says so by this value of it.
fn is_failure_of(name: &str, value: &Value) -> bool {
    match name {
        "status" => is_false(value) || is_a_failure(value) || is_http_failure(value),
        "statuscode" | "httpcode" | "httpstatus" | "httpstatuscode" => is_http_failure(value),
        name if object::CODES.contains(&name) => is_a_failure(value) || is_http_failure(value),
        name if STATUS.contains(&name) => is_a_failure(value),
        name if SUCCESS.contains(&name) || matches!(name, "valid" | "eligible") => {
            is_false(value) || is_a_failure(value)
        }
        name => FAILED.contains(&name) && is_true(value),
    }
}

/// `isSuccess` is `success`.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix("is").or(name.strip_prefix("has")).unwrap_or(name)
}

/// `Errors`, as some frameworks write all their members.
fn has_other_errors(object: &Object<'_>) -> bool {
    let others = object.keys().filter(|key| *key != "errors" && key.eq_ignore_ascii_case("errors"));
    others.flat_map(|key| object.values(key)).any(|value| !is_nothing(&value))
}

/// `error`, `errcode`, `errno`, `hasErrors`, `failureReason`, `faultString`.
fn is_of_the_error_kind(name: &str) -> bool {
    ["err", "fail", "fault", "exception"].iter().any(|kind| bare(name).starts_with(kind))
}

fn is_true(value: &Value) -> bool {
    value == &Value::Bool(true) || word(value) == "true"
}

/// As [`is_true`], also as a number or in another word.
pub(super) fn is_yes(value: &Value) -> bool {
    is_true(value) || is_number(value) == Some(1.0) || matches!(word(value).as_str(), "yes" | "y")
}

pub(super) fn is_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| folded(value).parse().ok())
}

pub(super) fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(_) => matches!(word(value).as_str(), "false" | "0" | "no" | "n"),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Words of failure, folded.
pub(super) const FAILED: [&str; 34] = [
    "error",
    "err",
    "fail",
    "failed",
    "failure",
    "rejected",
    "declined",
    "denied",
    "invalid",
    "expired",
    "refused",
    "unsuccessful",
    "notfound",
    "notok",
    "notvalid",
    "ineligible",
    "noteligible",
    "cancelled",
    "canceled",
    "unauthorized",
    "forbidden",
    "blocked",
    "aborted",
    "ko",
    "nok",
    "فشل",
    "فاشل",
    "فاشله",
    "خطا",
    "مرفوض",
    "مرفوضه",
    "غيرصالح",
    "غيرصالحه",
    "منتهيالصلاحيه",
];

/// What denies the word after it.
pub(super) const DENIALS: &str = "no not non never without zero لا بدون بلا دون";

/// A word of failure, alone, before more or at the end ("Failed: expired", `REWARD_EXPIRED`, but
/// not "No error").
fn is_a_failure(value: &Value) -> bool {
    let [first, last] = ends_of(value);
    let is_denied = DENIALS.split(' ').any(|denial| denial == first);
    [word(value), first].iter().any(|word| FAILED.contains(&word.as_str()))
        || !is_denied && FAILED.contains(&last.as_str())
}

/// A number of HTTP's failures or beyond, bare or at the head of a text ("404 Not Found"), also one
/// that no type can hold.
fn is_http_failure(value: &Value) -> bool {
    const FAILURES_FROM: f64 = 400.0;
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number >= FAILURES_FROM),
        Value::String(_) => {
            let text = folded(value);
            let head = text.split(' ').next().unwrap_or_default();
            let is_number = head.starts_with(|c: char| c.is_ascii_digit());
            is_number && head.parse::<f64>().is_ok_and(|number| number >= FAILURES_FROM)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The values of the members of these names, in every spelling; of a list each.
fn named<'a>(object: &'a Object<'_>, names: &'a [&str]) -> impl Iterator<Item = Value> + 'a {
    object
        .members()
        .filter(|(name, _)| names.contains(&bare(name)))
        .flat_map(|(_, raw)| items(object::read(raw)))
}

pub(super) fn items(value: Value) -> Vec<Value> {
    if let Value::Array(list) = value { list } else { vec![value] }
}

/// A text's first and last word, folded.
fn ends_of(value: &Value) -> [String; 2] {
    let text = folded(value);
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    [first, words.next_back().unwrap_or(first)].map(str::to_owned)
}

/// What it said of its own failure, for its till: no bare `"status":"error"`.
pub(super) fn said_in_words(object: &Object<'_>) -> Option<String> {
    let mut codes = object.codes();
    codes.retain(|code| !FAILED.contains(&word(&Value::from(code.as_str())).as_str()));
    let texts = [object.words(), codes].concat();
    texts.iter().find(|text| !text.trim().is_empty()).map(|text| cut(text))
}
