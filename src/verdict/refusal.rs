//! What a refusal in the contract's shape is worth as evidence that nothing was given.

use serde_json::Value;

use super::object::{self, Object, cut};
use super::words::{self, Said};
use super::{Evidence, Rules, Verdict};

/// A refusal with a declining status.
pub(super) fn declined(status: u16, object: &Object<'_>, rules: &Rules) -> Verdict {
    let texts = object.texts();
    let all = object.said(&object.texts_and_codes());
    let already_used = words::says_used(&all, &rules.already_used);
    let is_strong = already_used || is_the_providers(status, object, &all, rules);
    let evidence = if is_strong { Evidence::Strong } else { Evidence::Weak };
    Verdict::Declined {
        evidence,
        already_used,
        message: texts.first().map(|text| cut(text)).unwrap_or_default(),
    }
}

/// Whether a success that fails would be strong evidence as a refusal.
pub(super) fn is_strong_in_a_success(object: &Object<'_>, rules: &Rules) -> bool {
    const LIKE_A_REFUSAL: u16 = 400;
    let all = object.said(&object.texts_and_codes());
    is_the_providers(LIKE_A_REFUSAL, object, &all, rules)
}

/// Whether a refusal without known words can only be the provider's, and about the code. An edge, a
/// framework and a proxy can have a bare `message` too; `data` and filled `errors` are the
/// contract's own.
fn is_the_providers(status: u16, object: &Object<'_>, all: &[Said], rules: &Rules) -> bool {
    if has_foreign_members(object)
        || words::says_not_the_code(all)
        || words::says_in_progress(all, &rules.in_progress)
        || words::says_the_status_alone(&object.said(&object.texts()))
    {
        return false;
    }
    let (data, message) = (object.has("data"), object.has("message"));
    match status {
        404 | 410 => data,
        _ if object.has_errors() || data && message => true,
        400 | 409 | 422 => rules.weak_declines && object.has_a_message(),
        _ => false,
    }
}

/// Members that servers, frameworks and gateways add to their own pages, in every spelling of their
/// names.
pub(super) fn has_foreign_members(object: &Object<'_>) -> bool {
    const FOREIGN: [&str; 26] = [
        "statuscode",
        "path",
        "trace",
        "traces",
        "traceid",
        "stack",
        "stacktrace",
        "exception",
        "exceptionmessage",
        "exceptiontype",
        "requestid",
        "correlationid",
        "rayid",
        "instance",
        "hint",
        "documentationurl",
        "@context",
        "classname",
        "httpcode",
        "httpstatus",
        "httpstatuscode",
        "supportid",
        "incidentid",
        "eventid",
        "moreinformation",
        "cloudflareerror",
    ];
    let names: Vec<String> = object.members().map(|(name, _)| name).collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    // `timestamp` beside `path` is covered by `path`.
    names.iter().any(|name| FOREIGN.contains(&name.as_str()))
        || has("title") && (has("type") || has("status"))
        || has("file") && has("line")
        || has("success") && has("result") && has("messages")
        || names_the_status(object)
        || data_tells_the_status(object)
        || errors_are_foreign(object)
}

/// `"error":"Bad Request"`: a framework's own page, whatever it adds to it.
fn names_the_status(object: &Object<'_>) -> bool {
    let mut errors = object.members().filter(|(name, _)| name == "error");
    errors.any(|(_, raw)| object::read(raw).as_str().is_some_and(words::is_a_status_name))
}

/// `errors` of objects in a form of their own (RFC 9457 and JSON:API with title and status, GraphQL
/// with places): whoever wrote them did not write the contract's.
fn errors_are_foreign(object: &Object<'_>) -> bool {
    let is_foreign = |item: &Value| {
        let has = |name: &str| item.get(name).is_some();
        has("title") && has("status") || has("extensions") || has("locations")
    };
    let has_one =
        |errors: Value| errors.as_array().is_some_and(|items| items.iter().any(is_foreign));
    object.values("errors").any(has_one)
}

/// `"data":{"status":404}`: a content system's own page, and no data of a reward.
fn data_tells_the_status(object: &Object<'_>) -> bool {
    let mut data = object.members().filter(|(name, _)| name == "data");
    data.any(|(_, raw)| object::read(raw).get("status").is_some_and(Value::is_number))
}
