//! `names`: what the running gateway's lanes and tills are called, for the shells' completions.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::Daemon;
use super::exit::CliError;
use super::options::NamesArgs;

/// Somebody has pressed a key and waits: whoever does not answer by then has no names.
const WITHIN: Duration = Duration::from_millis(300);

/// `redeemd names`: a name a line, or an object. A gateway that does not answer has none, which is
/// no failure.
pub(super) async fn names(
    daemon: &Daemon,
    args: NamesArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let Ok(Ok(all)) = tokio::time::timeout(WITHIN, daemon.get("/api/v1/names")).await else {
        return Ok(());
    };
    let names = all.get(args.of.word()).and_then(Value::as_array).into_iter().flatten();
    for name in names.filter_map(Value::as_str) {
        if json {
            writeln!(out, "{}", json!({ "name": name }))?;
        } else if !name.chars().any(char::is_control) {
            // A name with a line end in it would be two.
            writeln!(out, "{name}")?;
        }
    }
    Ok(())
}
