//! `export` and `import`: the open redemptions of a dying box, carried to another.

mod export;
mod import;

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) use export::{STANDARD_OUTPUT, export};
pub(super) use import::import;

use super::ask::{STATE_DIR, host_name};
use super::exit::{CliError, say};
use super::service_unit::{ServiceUnit, UNIT, is_its_file};
use crate::settings::{LoadOptions, Loaded, Problems, load};
use crate::store::{FILE, StoreError};

/// The settings that the daemon would run with.
fn settings(file: Option<&Path>) -> Result<Loaded, Problems> {
    load(&LoadOptions::of_process(file.map(Path::to_owned), host_name()))
}

/// The state directory and the gateway's name. Settings that somebody named must be good; a dying
/// box may have lost the usual ones.
async fn place(file: Option<&Path>) -> Result<(PathBuf, String), CliError> {
    match settings(file) {
        Ok(loaded) => {
            let gateway = loaded.settings.gateway;
            if let Some(services) = services_place(file, &gateway.state_dir).await
                && holds_a_database(&services)
            {
                return Err(two_places(&gateway.state_dir, &services));
            }
            Ok((gateway.state_dir, gateway.name))
        }
        Err(problems) if !is_its_file(file) => Err(problems.into()),
        Err(_) => {
            let given = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
            let known = ServiceUnit::ask().await.state_dir();
            let directory = given.or(known).unwrap_or_else(|| PathBuf::from(STATE_DIR));
            say(&format!(
                "the settings cannot be read; {} is taken for the state directory",
                directory.display()
            ));
            Ok((directory, host_name()))
        }
    }
}

/// The state directory of the service, where these settings are its own and name another, `dir`.
async fn services_place(file: Option<&Path>, dir: &Path) -> Option<PathBuf> {
    if is_its_file(file) { ServiceUnit::ask().await.other_state_dir(dir) } else { None }
}

fn two_places(settings: &Path, services: &Path) -> CliError {
    let (settings, services) = (settings.display(), services.display());
    CliError::Unusable(format!(
        "the settings name {settings} as the state directory, but {UNIT} works in {services}, for \
         its unit has StateDirectory=\ntake gateway.state_dir out of the settings, or say which \
         one is meant: sudo env STATE_DIRECTORY={services} redeemd ..."
    ))
}

/// Or something that was saved of one; who may not look takes it for so.
fn holds_a_database(dir: &Path) -> bool {
    let is_one = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
        name.as_encoded_bytes().starts_with(FILE.as_bytes())
    };
    match std::fs::read_dir(dir) {
        Ok(mut entries) => entries.any(is_one),
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// Why no daemon was asked where none was to be.
const NOT_ASKED: &str = "it is not asked, because --state-dir names its directory";

/// What a store that cannot be opened means for the shell; `why` says why no daemon was asked.
fn unopened(error: &StoreError, why: &str) -> CliError {
    let told = error.to_string();
    if error.is_a_misfit() {
        CliError::Unusable(told)
    } else if matches!(error, StoreError::Locked { .. }) && why == NOT_ASKED {
        CliError::TryAgain(format!("{told}\n{why}: leave the option out, and it is"))
    } else if matches!(error, StoreError::Locked { .. }) {
        CliError::Unavailable(format!("{told}, and it cannot be asked\n{why}"))
    } else if matches!(error, StoreError::Internal(_)) {
        CliError::Internal(told)
    } else {
        CliError::State(told)
    }
}

/// Files that root made in a directory of the daemon's user become that user's, or it could not
/// open them.
fn hand_over(dir: &Path) -> std::io::Result<()> {
    let owner = std::fs::metadata(dir)?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.metadata()?.uid() == 0 {
            std::os::unix::fs::lchown(entry.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}
