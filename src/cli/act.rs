//! `retry`, `void`, `flush`, `hold`, `release`: the operator's hand.

use std::io::Write;

use serde_json::{Value, json};

use super::args::{LaneArgs, RetryArgs};
use super::ask::{Daemon, encoded};
use super::exit::{CliError, say};
use super::input::line;
use super::options::{FlushArgs, HandledArgs, HoldArgs, VoidArgs};
use super::show::path;
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
    let held = held(&daemon.get("/api/v1/status").await?);
    tell(daemon, &order, (lane.as_deref(), &held), json, out).await?;
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
    tell(daemon, &order, (args.lane.as_deref(), &[]), json, out).await
}

/// The lanes that are held, each with its cause: what is held is not sent, however often it is
/// flushed.
fn held(status: &Value) -> Vec<(String, String)> {
    let word =
        |lane: &Value, key| lane.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let lanes = status.get("lanes").and_then(Value::as_array).into_iter().flatten();
    let held = lanes.filter(|lane| word(lane, "link") == "held");
    held.map(|lane| (word(lane, "name"), word(lane, "cause"))).collect()
}

/// Gives an order to a lane or to all; of the `held` ones it is said that they stay so.
pub(super) async fn tell(
    daemon: &Daemon,
    order: &LaneOrder,
    (lane, held): (Option<&str>, &[(String, String)]),
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let path = match lane {
        Some(lane) => format!("/api/v1/lanes/{}/{}", encoded(lane), order.word),
        None => format!("/api/v1/{}", order.word),
    };
    let value = daemon.post(&path, &order.arguments).await?;
    if json {
        writeln!(out, "{value}")?;
        return Ok(());
    }
    for lane in
        value.get("lanes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        match held.iter().find(|(name, _)| name == lane) {
            Some((_, cause)) => {
                let (lane, cause) = (escaped(lane), escaped(cause));
                writeln!(
                    out,
                    "{lane}: it is held ({cause}) and stays so; `redeemd status` says what to do"
                )?;
            }
            None => writeln!(out, "{}: {}", escaped(lane), order.done)?,
        }
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
        daemon.post(&format!("/api/v1/lanes/{}/retry-held", encoded(lane)), &json!({})).await?;
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
        Ok(path) => daemon.post(&format!("{path}/{}", action.word), &action.arguments).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(value) => print_row(&value, json, out).map(|()| true),
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

fn print_row(value: &Value, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    if json {
        writeln!(out, "{value}")?;
    } else {
        let word = |key| value.get(key).and_then(Value::as_str).unwrap_or("?");
        writeln!(out, "{}: {}", escaped(word("id")), escaped(word("state")))?;
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
