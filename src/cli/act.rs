//! `retry`, `void`, `flush`, `hold`, `release`: the operator's hand.

use std::io::Write;

use serde_json::{Value, json};

use super::args::{LaneArgs, RetryArgs};
use super::ask::{Daemon, encoded};
use super::exit::{CliError, say};
use super::input::line;
use super::options::{FlushArgs, HandledArgs, HoldArgs, VoidArgs};
use super::show::path;
use super::table::duration;
use super::wait::wait;
use crate::text::escaped;

/// What lanes are told: the word in the path, what was done, and with what.
pub(super) struct LaneOrder {
    pub(super) word: &'static str,
    pub(super) done: &'static str,
    pub(super) arguments: Value,
}

/// `redeemd flush`
pub(super) async fn flush(
    daemon: &Daemon,
    args: FlushArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let FlushArgs { lane, wait: waits } = args;
    let order = LaneOrder { word: "flush", done: "tried at once", arguments: json!({}) };
    let waiting = waiting(&daemon.get("/api/v1/status").await?);
    tell(daemon, &order, (lane.as_deref(), &waiting), json, out).await?;
    if waits { wait(daemon, lane.as_deref(), json, out).await } else { Ok(()) }
}

/// `redeemd hold`
pub(super) async fn hold(
    daemon: &Daemon,
    args: HoldArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let HoldArgs { lane, trust, note } = args;
    if trust && note.as_deref().is_none_or(|note| note.trim().is_empty()) {
        return Err(CliError::Usage("--trust needs a note: say why, in a few words".to_owned()));
    }
    let arguments = json!({ "trust": trust, "note": note.unwrap_or_default() });
    let done = if trust { "held, tills are trusted meanwhile" } else { "held" };
    tell(daemon, &LaneOrder { word: "hold", done, arguments }, (lane.as_deref(), &[]), json, out)
        .await
}

/// `redeemd release`
pub(super) async fn release(
    daemon: &Daemon,
    args: LaneArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let order = LaneOrder { word: "release", done: "released", arguments: json!({}) };
    let told = give(daemon, &order, args.lane.as_deref()).await?;
    let still = if json { Vec::new() } else { held_still(&daemon.get("/api/v1/status").await?) };
    say_done(&told, &order, &still, json, out)
}

/// The lanes that stay held although no operator holds them, each with what is said of it.
fn held_still(status: &Value) -> Vec<(String, String)> {
    let lanes = status.get("lanes").and_then(Value::as_array).into_iter().flatten();
    let said = |lane: &Value| {
        let word = |key| lane.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_still = word("link") == "held" && word("hold") != "operator";
        let said = format!(
            "no operator holds it now; it stays held ({}), and `redeemd status` says what to do",
            word("cause")
        );
        is_still.then(|| (word("name").to_owned(), said))
    };
    lanes.filter_map(said).collect()
}

/// The lanes that are held or that the provider told to wait, each with what is said of it: nothing
/// is sent there, however often it is flushed.
fn waiting(status: &Value) -> Vec<(String, String)> {
    let lanes = status.get("lanes").and_then(Value::as_array).into_iter().flatten();
    let said = |lane: &Value| {
        let word = |key| lane.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_held = word("link") == "held";
        let waits = lane.get("waiting_s").and_then(Value::as_u64);
        let said = match waits.filter(|_| !is_held) {
            Some(seconds) => format!(
                "the provider asked it to wait, {} more: that is not cut short",
                duration(seconds)
            ),
            None if is_held => {
                format!(
                    "it is held ({}) and stays so; `redeemd status` says what to do",
                    word("cause")
                )
            }
            None => return None,
        };
        Some((word("name"), said))
    };
    lanes.filter_map(said).collect()
}

/// Gives an order to a lane or to all; of those in `waiting` it is said why nothing is done.
pub(super) async fn tell(
    daemon: &Daemon,
    order: &LaneOrder,
    (lane, waiting): (Option<&str>, &[(String, String)]),
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let told = give(daemon, order, lane).await?;
    say_done(&told, order, waiting, json, out)
}

/// The lanes that were given the order, as the daemon names them.
pub(super) async fn give(
    daemon: &Daemon,
    order: &LaneOrder,
    lane: Option<&str>,
) -> Result<Value, CliError> {
    let path = match lane {
        Some(lane) => format!("/api/v1/lanes/{}/{}", encoded(lane), order.word),
        None => format!("/api/v1/{}", order.word),
    };
    daemon.act(&path, &order.arguments).await
}

/// What was done to each lane, or what is said of it instead.
pub(super) fn say_done(
    told: &Value,
    order: &LaneOrder,
    instead: &[(String, String)],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if json {
        writeln!(out, "{told}")?;
        return Ok(());
    }
    for lane in
        told.get("lanes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        let why = instead.iter().find(|(name, _)| name == lane).map(|(_, why)| why.as_str());
        writeln!(out, "{}: {}", escaped(lane), escaped(why.unwrap_or(order.done)))?;
    }
    Ok(())
}

/// What is done to each of several redemptions.
struct BulkAction {
    word: &'static str,
    arguments: Value,
}

/// `redeemd void`
pub(super) async fn void(
    daemon: &Daemon,
    args: VoidArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let action = BulkAction { word: "void", arguments: json!({ "note": args.note }) };
    each(daemon, args.ids, &action, json, out).await
}

/// `redeemd handled`
pub(super) async fn handled(
    daemon: &Daemon,
    args: HandledArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let action =
        BulkAction { word: "handled", arguments: json!({ "note": args.note, "free": args.free }) };
    each(daemon, args.ids, &action, json, out).await
}

/// `redeemd retry`
pub(super) async fn retry(
    daemon: &Daemon,
    args: RetryArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    match args.lane {
        Some(lane) => retry_held(daemon, &lane, json, out).await,
        None => {
            each(daemon, args.ids, &BulkAction { word: "retry", arguments: json!({}) }, json, out)
                .await
        }
    }
}

async fn retry_held(
    daemon: &Daemon,
    lane: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let value =
        daemon.act(&format!("/api/v1/lanes/{}/retry-held", encoded(lane)), &json!({})).await?;
    if json {
        writeln!(out, "{value}")?;
    } else {
        let retried = value.get("retried").and_then(Value::as_u64).unwrap_or(0);
        writeln!(
            out,
            "{}: {retried} taken back; `redeemd release` lets the lane go on",
            escaped(lane)
        )?;
    }
    Ok(())
}

/// One after the other: what is refused is said, and the others go on.
async fn each(
    daemon: &Daemon,
    ids: Vec<String>,
    action: &BulkAction,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut refused = false;
    for word in ids {
        if word != "-" {
            refused |= !one(daemon, &word, action, json, out).await?;
            continue;
        }
        let mut input = std::io::stdin().lock();
        while let Some(line) = line(&mut input)? {
            if let Some(id) = id_in(&line) {
                refused |= !one(daemon, &id, action, json, out).await?;
            }
        }
    }
    if refused { Err(CliError::SaidAlready) } else { Ok(()) }
}

/// Whether it was done. Only what would meet every other id too is an error.
async fn one(
    daemon: &Daemon,
    id: &str,
    action: &BulkAction,
    json: bool,
    out: &mut dyn Write,
) -> Result<bool, CliError> {
    let done = match path(id) {
        Ok(path) => daemon.act(&format!("{path}/{}", action.word), &action.arguments).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(value) => print_row(&value, action.word, json, out).map(|()| true),
        Err(CliError::Failed(why)) => {
            say(&format!("{id}: {why}"));
            Ok(false)
        }
        Err(CliError::Usage(why)) => {
            say(&why);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What was declined after the fact stays so, whatever is done to it.
fn print_row(value: &Value, action: &str, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    if json {
        writeln!(out, "{value}")?;
    } else {
        let word = |key| value.get(key).and_then(Value::as_str).unwrap_or("?");
        let (id, state) = (word("id"), word("state"));
        let is_lost = state == "declined" || value.get("lost") == Some(&Value::Bool(true));
        let lost = if action == "void" && is_lost { ", closed as lost" } else { "" };
        writeln!(out, "{}: {}{lost}", escaped(id), escaped(state))?;
    }
    Ok(())
}

/// The id in a line: its first word, or the member `id` of a JSON object; nothing in an empty line.
fn id_in(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with('{') {
        let object: Option<Value> = serde_json::from_str(line).ok();
        let id = object.as_ref().and_then(|object| object.get("id")).and_then(Value::as_str);
        // A broken object is handed on, so that it is named as what it is: no id.
        return Some(id.unwrap_or(line).to_owned());
    }
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::input::LINE_BYTES_MAX;
    use super::*;

    #[test]
    fn an_id_is_read_from_plain_lines_and_from_the_objects_of_a_list() {
        assert_eq!(id_in("41-abc  declined\n").as_deref(), Some("41-abc"));
        assert_eq!(id_in(r#"{"seq":41,"id":"41-abc"}"#).as_deref(), Some("41-abc"));
        assert_eq!(id_in(" \n"), None);
        assert_eq!(id_in("{broken").as_deref(), Some("{broken"));
    }

    #[test]
    fn a_flush_says_of_a_lane_that_waits_that_it_goes_on_waiting() {
        let lane = |(name, link, waiting_s): (&str, &str, Option<u64>)| {
            let cause = "operator";
            json!({"name": name, "link": link, "cause": cause, "waiting_s": waiting_s})
        };
        let lanes = [("a", "up", None), ("b", "up", Some(3600)), ("c", "held", Some(9))].map(lane);
        let said = waiting(&json!({ "lanes": lanes }));
        assert_eq!(said.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(said[0].1.contains("1 h 0 min more") && said[1].1.contains("held (operator)"));
    }

    #[test]
    fn a_release_says_of_a_lane_that_something_else_holds_that_it_stays_held() {
        let lane = |(name, link, hold): (&str, &str, Option<&str>)| {
            let cause = "settings";
            json!({"name": name, "link": link, "cause": cause, "hold": hold})
        };
        let lanes = [
            ("a", "up", None),
            ("b", "held", None),
            ("c", "held", Some("operator")),
            ("d", "held", Some("declines")),
        ];
        let said = held_still(&json!({ "lanes": lanes.map(lane) }));
        assert_eq!(said.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "d"]);
        assert!(said[0].1.contains("stays held (settings)"), "{said:?}");
    }

    #[test]
    fn standard_input_is_read_line_by_line_and_no_line_is_endless() {
        let mut input = &b"1-a\n\n2-b"[..];
        let mut lines = Vec::new();
        while let Some(line) = line(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["1-a\n", "\n", "2-b"]);
        let endless = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap() + 1];
        assert!(matches!(line(&mut endless.as_slice()), Err(CliError::Usage(_))));
    }
}
