//! `show`: one redemption, all that is known of it and all that was done to it.

use std::io::Write;

use serde_json::Value;

use super::args::ShowArgs;
use super::ask::{Daemon, encoded};
use super::exit::CliError;
use super::row::{RowView, marks, value};
use super::table::paragraph;
use crate::clock::rfc3339;
use crate::redemption::Id;

/// Where the text beside a label begins.
const INDENT: usize = 16;

/// `redeemd show`
pub(super) async fn show(
    daemon: &Daemon,
    args: &ShowArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let value = daemon.get(&path(&args.id)?).await?;
    if json {
        writeln!(out, "{value}")?;
    } else {
        out.write_all(render(&value)?.as_bytes())?;
    }
    Ok(())
}

/// The path of a redemption; what cannot be an id is not sent.
pub(super) fn path(id: &str) -> Result<String, CliError> {
    if Id::parse(id).is_none() {
        return Err(CliError::Usage(format!(
            "{id} is not the id of a redemption (they look like 42-7n0c2f…)"
        )));
    }
    Ok(format!("/api/v1/redemptions/{}", encoded(id)))
}

fn render(told: &Value) -> Result<String, CliError> {
    let row = RowView::read(told)?;
    let branch = told.get("branch_id").and_then(Value::as_str).unwrap_or_default();
    let answer = told.get("answer_status").and_then(Value::as_u64).map(|status| status.to_string());
    let fields = [
        ("id", Some(row.id.clone())),
        ("state", Some(row.state.clone())),
        ("marks", Some(marks(&row)).filter(|marks| !marks.is_empty())),
        ("lane", Some(row.lane.clone())),
        ("till", Some(row.till.clone())),
        ("business", Some(row.business_refrence.clone())),
        ("branch", Some(branch.to_owned())),
        ("code", Some(row.reward_code.clone())),
        ("till's time", Some(row.date.clone())),
        ("accepted", Some(row.accepted_at.clone())),
        ("settled", row.settled_at.clone()),
        ("value", Some(value(&row)).filter(|value| !value.is_empty())),
        ("rule", row.rule.clone()),
        ("attempts", Some(row.attempts.to_string())),
        ("answer", answer),
        ("provider said", row.provider_said.clone()),
        ("note", row.note.clone()),
    ];
    let mut text = String::new();
    for (label, value) in fields {
        text.extend(value.map(|value| paragraph(label, &value, INDENT)));
    }
    text.push_str(&attempts(told));
    text.push_str(&events(told));
    Ok(text)
}

/// The last attempts, a line each: when it ended, what came of it, the provider's status, how long
/// it took.
fn attempts(value: &Value) -> String {
    let attempts = value.get("last_attempts").and_then(Value::as_array);
    let mut text = String::new();
    for (at, attempt) in attempts.into_iter().flatten().enumerate() {
        let number = |key| attempt.get(key).and_then(Value::as_u64);
        let ended = attempt.get("at_ms").and_then(Value::as_i64).map(rfc3339).unwrap_or_default();
        let outcome = attempt.get("outcome").and_then(Value::as_str).unwrap_or_default();
        let status =
            number("status").map(|status| format!(", status {status}")).unwrap_or_default();
        let (nth, took) = (number("number").unwrap_or(0), number("took_ms").unwrap_or(0));
        let line = format!("{ended} attempt {nth}: {outcome}{status}, {took} ms");
        text.push_str(&paragraph(if at == 0 { "tried" } else { "" }, &line, INDENT));
    }
    text
}

fn events(value: &Value) -> String {
    let events = value.get("events").and_then(Value::as_array);
    let mut text = String::new();
    for (at, event) in events.into_iter().flatten().enumerate() {
        let word = |key| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let detail =
            if word("detail").is_empty() { String::new() } else { format!(": {}", word("detail")) };
        let line = format!("{} {} by {}{detail}", word("at"), word("what"), word("by"));
        text.push_str(&paragraph(if at == 0 { "events" } else { "" }, &line, INDENT));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_redemption_is_shown_with_what_was_done_to_it() {
        let mut value = super::super::list::tests::row("41-abc", "declined", false);
        value["settled_at"] = json!("2026-11-01T09:00:00Z");
        value["answer_status"] = json!(400);
        value["provider_said"] = json!("Reward …7F3Q has been used\u{1b}[2J");
        (value["value"], value["value_assumed"]) = (json!("25.00"), json!(true));
        value["rule"] = json!("gifts");
        value["events"] = json!([
            {"at": "2026-11-01T10:00:00Z", "what": "retry", "by": "ops", "detail": ""},
            {"at": "2026-11-01T11:00:00Z", "what": "late_answer", "by": "redeemd", "detail": "200"},
        ]);
        value["last_attempts"] = json!([
            {"number": 1, "at_ms": 1_793_523_600_000_i64, "elapsed_s": 7, "outcome": "write",
                "took_ms": 10_000},
            {"number": 2, "at_ms": 1_793_523_601_000_i64, "elapsed_s": 8, "outcome": "declined",
                "status": 400, "took_ms": 80},
        ]);
        let expected = "\
id              41-abc
state           declined
marks           offline
lane            retm
till            till-1
business        shop
branch          042
code            …7F3Q
till's time     2026-11-01 10:00:00
accepted        2026-11-01T07:00:00Z
settled         2026-11-01T09:00:00Z
value           25.00 assumed
rule            gifts
attempts        2
answer          400
provider said   Reward …7F3Q has been used\\u{1b}[2J
tried           2026-11-01T09:00:00Z attempt 1: write, 10000 ms
                2026-11-01T09:00:01Z attempt 2: declined, status 400, 80 ms
events          2026-11-01T10:00:00Z retry by ops
                2026-11-01T11:00:00Z late_answer by redeemd: 200
";
        assert_eq!(render(&value).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_an_id_is_a_usage_error() {
        assert_eq!(path("41-abc").unwrap(), "/api/v1/redemptions/41-abc");
        for wrong in ["", "41", "../status", "41-ABC", "41-abc/void"] {
            assert!(matches!(path(wrong), Err(CliError::Usage(_))), "{wrong}");
        }
    }
}
