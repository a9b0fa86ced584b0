//! `check`: every problem of the settings at once, and what is allowed but should be known.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::ask::{Daemon, host_name};
use super::exit::{CliError, say};
use crate::settings::{LoadOptions, Settings, load};

/// `redeemd check`
pub(super) async fn check(file: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let loaded = match load(&LoadOptions::of_process(file.map(Path::to_owned), host_name())) {
        Ok(loaded) => loaded,
        Err(problems) if json => {
            for problem in &problems.0 {
                let object = json!({ "problem": problem.message, "key": problem.key, "origin": problem.origin });
                writeln!(out, "{object}")?;
            }
            return Err(CliError::Config(problems));
        }
        Err(problems) => return Err(problems.into()),
    };
    let mut warnings = loaded.warnings;
    warnings.extend(left_behind(file, &loaded.settings).await);
    for warning in &warnings {
        if json {
            writeln!(out, "{}", json!({ "warning": warning }))?;
        } else {
            say(&format!("warning: {warning}"));
        }
    }
    if !json {
        writeln!(out, "the settings are good")?;
    }
    Ok(())
}

/// What a running daemon still has to deliver to providers that the settings no longer name.
async fn left_behind(file: Option<&Path>, settings: &Settings) -> Vec<String> {
    let Ok(daemon) = Daemon::find(file) else { return Vec::new() };
    // Without a daemon there is nobody to ask: the settings are judged alone.
    let Ok(status) = daemon.get("/api/v1/status").await else { return Vec::new() };
    let names: Vec<&str> = settings.providers.iter().map(|provider| provider.name.as_str()).collect();
    orphans(&status, &names)
}

fn orphans(status: &Value, names: &[&str]) -> Vec<String> {
    let lanes = status.get("lanes").and_then(Value::as_array).into_iter().flatten();
    let warning = |lane: &Value| {
        let name = lane.get("name")?.as_str().filter(|name| !names.contains(name))?;
        let pending = lane.get("pending")?.as_u64().filter(|pending| *pending > 0)?;
        Some(format!(
            "provider: {pending} redemptions are pending for {name}, which is not among the providers; they stay held"
        ))
    };
    lanes.filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_provider_that_is_no_longer_there_are_named_with_their_count() {
        let status = json!({"lanes": [{"name": "retm", "pending": 7}, {"name": "old", "pending": 2}, {"name": "gone", "pending": 0}]});
        let warnings = orphans(&status, &["retm"]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("2 redemptions are pending for old"), "{warnings:?}");
        assert!(orphans(&json!({}), &[]).is_empty());
    }

    #[tokio::test]
    async fn a_missing_file_is_a_configuration_error() {
        let error = check(Some(Path::new("/nonexistent/redeemd.toml")), false, &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.exit(), super::super::Exit::Config);
    }
}
