//! `check`: every problem of the settings at once, and what is allowed but should be known.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use serde_json::{Value, json};

use super::args::CheckArgs;
use super::ask::{Daemon, RUNTIME_DIR, STATE_DIR, host_name};
use super::exit::{CliError, say};
use super::service_unit::{ServiceUnit, UNIT, is_its_file};
use super::service_user::{self, SOCKET_UNIT};
use crate::message::{Language, Noun, count};
use crate::prepare::{Prepared, not_handed_in, prepare, tills_may_use};
use crate::settings::{LoadOptions, Problems, Settings, SettingsProblem, files_of};

/// `redeemd check`
pub(super) async fn check(
    file: Option<&Path>,
    args: &CheckArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    // The service's own settings are looked at with its eyes, and only they belong to the socket
    // unit.
    let is_services = is_its_file(file);
    let (sockets, unit) = if is_services {
        (service_user::sockets().await, ServiceUnit::ask().await)
    } else {
        (Vec::new(), ServiceUnit::default())
    };
    if is_services && let Some(done) = service_user::repeat(&sockets, &unit)? {
        return done;
    }
    let found = prepare(&LoadOptions::of_process(file.map(Path::to_owned), host_name()))
        .and_then(Prepared::whole);
    let prepared = found
        .and_then(|prepared| allowed(prepared, &sockets))
        .map_err(|problems| told(problems, json, out))?;
    let settings = &prepared.loaded.settings;
    let mut warnings = prepared.loaded.warnings;
    warnings.extend(other_addresses(settings, &sockets));
    warnings.extend(forbidden(settings, &sockets, &unit));
    warnings.extend(left_behind(file, settings).await);
    for (kind, text) in warnings
        .iter()
        .map(|text| ("warning", text))
        .chain(prepared.loaded.notes.iter().map(|text| ("note", text)))
    {
        tell(kind, text, json, out)?;
    }
    if args.strict && !warnings.is_empty() {
        return Err(CliError::Failed("--strict takes warnings for faults".to_owned()));
    }
    if !json {
        writeln!(out, "the settings are good (looked at as the user {})", service_user::name())?;
    }
    Ok(())
}

fn told(problems: Problems, json: bool, out: &mut dyn Write) -> CliError {
    if json {
        for problem in &problems.0 {
            let object =
                json!({ "problem": problem.message, "key": problem.key, "origin": problem.origin });
            if let Err(error) = writeln!(out, "{object}") {
                return error.into();
            }
        }
    }
    say(&format!("looked at as the user {}", service_user::name()));
    CliError::Config(problems)
}

fn tell(kind: &str, text: &str, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    if json {
        writeln!(out, "{}", json!({ kind: text }))?;
    } else {
        say(&format!("{kind}: {text}"));
    }
    Ok(())
}

/// A state directory that is something else, or that cannot be made for what stands in its way, is
/// no fault of the settings for `run`, which ends with 73; whoever checks is to hear of it all the
/// same.
fn no_folder(state_dir: &Path) -> Option<SettingsProblem> {
    let there = state_dir.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    let is_in_the_way = match there.metadata() {
        Ok(found) => !found.is_dir(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    let message = format!("{} is no directory", there.display());
    is_in_the_way.then(|| fault("gateway.state_dir", message))
}

/// The commands' socket needs a folder, and takes the place of nothing but a socket. A service's
/// own folders are made at its start.
fn no_place(settings: &Settings) -> Option<SettingsProblem> {
    let socket = &settings.admin.socket;
    if socket.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
        let message = format!("{}: something that is no socket stands there", socket.display());
        return Some(fault("admin.socket", message));
    }
    let folder = socket.parent()?;
    let is_made = folder == settings.gateway.state_dir
        || [RUNTIME_DIR, STATE_DIR].map(Path::new).contains(&folder);
    let is_missing = match folder.metadata() {
        Ok(found) => !found.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    let message = format!("there is no folder {}: make it", folder.display());
    (is_missing && !is_made).then(|| fault("admin.socket", message))
}

fn fault(key: &str, message: String) -> SettingsProblem {
    SettingsProblem { key: key.to_owned(), message, origin: None }
}

/// What systemd will hand in has to keep the settings' rule too.
fn allowed(prepared: Prepared, sockets: &[SocketAddr]) -> Result<Prepared, Problems> {
    let settings = &prepared.loaded.settings;
    let beyond = sockets.iter().filter_map(|address| tills_may_use(*address, settings).err());
    let places = [no_folder(&settings.gateway.state_dir), no_place(settings)];
    let problems: Vec<_> = beyond.chain(places.into_iter().flatten()).collect();
    if problems.is_empty() { Ok(prepared) } else { Err(Problems(problems)) }
}

/// What the service's unit forbids of the settings, or decides in their place.
fn forbidden(settings: &Settings, sockets: &[SocketAddr], unit: &ServiceUnit) -> Vec<String> {
    let files = files_of(settings).into_iter().chain([settings.admin.socket.as_path()]);
    let hidden = files.filter_map(|file| {
        let (line, file) = (unit.hides(file)?, file.display());
        Some(format!("{file}: {UNIT} has {line} and sees no file of others there"))
    });
    // Where the socket unit hands in tills' sockets, the service opens none for them.
    let tills = settings.intake.listen.iter().filter(|_| sockets.is_empty());
    let tills = tills.map(|address| ("intake.listen", address));
    let low = tills.chain([("admin.listen", &settings.admin.listen)]);
    let low = low.filter(|(_, address)| !sockets.contains(address));
    let low = low.filter_map(|(key, address)| {
        let line = unit.forbids(*address)?;
        Some(format!("{key}: {UNIT} cannot listen on {address}, for it has {line}"))
    });
    hidden.chain(low).chain(other_folder(settings, unit)).collect()
}

fn other_folder(settings: &Settings, unit: &ServiceUnit) -> Option<String> {
    let services = unit.other_state_dir(&settings.gateway.state_dir)?;
    let services = services.display();
    Some(format!("gateway.state_dir: {UNIT} has StateDirectory=, which wins over it: {services}"))
}

fn other_addresses(settings: &Settings, sockets: &[SocketAddr]) -> Vec<String> {
    let own = &settings.intake.listen;
    let others = sockets.iter().filter(|address| !own.contains(address));
    let unit = others.map(|address| {
        format!("intake.listen: {SOCKET_UNIT} listens on {address}, which wins over it")
    });
    let settings = not_handed_in(own, sockets)
        .map(|address| format!("intake.listen: {SOCKET_UNIT} does not listen on {address}"));
    unit.chain(settings).collect()
}

/// What a running daemon still has to deliver to providers that the settings no longer name.
async fn left_behind(file: Option<&Path>, settings: &Settings) -> Vec<String> {
    let Ok(daemon) = Daemon::find(file) else { return Vec::new() };
    // Without a daemon there is nobody to ask: the settings are judged alone.
    let Ok(status) = daemon.get("/api/v1/status").await else { return Vec::new() };
    let names: Vec<&str> =
        settings.providers.iter().map(|provider| provider.name.as_str()).collect();
    orphans(&status, &names)
}

fn orphans(status: &Value, names: &[&str]) -> Vec<String> {
    let lanes = status.get("lanes").and_then(Value::as_array).into_iter().flatten();
    let warning = |lane: &Value| {
        let name = lane.get("name")?.as_str().filter(|name| !names.contains(name))?;
        let pending = lane.get("pending")?.as_u64().filter(|pending| *pending > 0)?;
        let pending = count(pending, Noun::Redemption, Language::English);
        Some(format!(
            "provider: {name} is not among the providers; held for it until it is: {pending}"
        ))
    };
    lanes.filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_provider_that_is_no_longer_there_are_named_with_their_count() {
        let status = json!({"lanes": [{"name": "retm", "pending": 7}, {"name": "old", "pending": 2},
            {"name": "gone", "pending": 0}]});
        let warnings = orphans(&status, &["retm"]);
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0]
                .contains("old is not among the providers; held for it until it is: 2 redemptions"),
            "{warnings:?}"
        );
        assert!(orphans(&json!({}), &[]).is_empty());
    }

    #[test]
    fn the_units_addresses_are_held_against_those_of_the_settings() {
        let text = "[intake]\nlisten = \"127.0.0.1:1\"\n[[provider]]\nname = \"a\"\nredeem_url \
            = \"https://h/\"\ncredential = \"c\"";
        let settings = crate::settings::parse(text, "host").unwrap().settings;
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(other_addresses(&settings, &[]), [""; 0]);
        assert_eq!(other_addresses(&settings, &[at("127.0.0.1:1")]), [""; 0]);
        let said = other_addresses(&settings, &[at("10.0.0.1:1")]);
        assert!(
            said.len() == 2 && said[0].contains("10.0.0.1:1") && said[1].contains("127.0.0.1:1"),
            "{said:?}"
        );
    }

    #[tokio::test]
    async fn a_missing_file_is_a_configuration_error() {
        let error = check(
            Some(Path::new("/nonexistent/redeemd.toml")),
            &CheckArgs::default(),
            false,
            &mut Vec::new(),
        )
        .await
        .unwrap_err();
        assert_eq!(error.exit(), super::super::Exit::Config);
    }
}
