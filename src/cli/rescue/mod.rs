//! `export` and `import`: the open redemptions of a dying box, carried to another.

mod export;
mod import;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) use export::{STANDARD_OUTPUT, export};
pub(super) use import::import;

use super::ask::{STATE_DIR, host_name};
use super::exit::{CliError, say};
use crate::settings::{DEFAULT_FILE, LoadOptions, Loaded, Problems, load};
use crate::store::StoreError;

/// The settings that the daemon would run with.
fn settings(file: Option<&Path>) -> Result<Loaded, Problems> {
    load(&LoadOptions::of_process(file.map(Path::to_owned), host_name()))
}

/// The state directory and the gateway's name. Settings that somebody named must be good; a dying
/// box may have lost the usual ones.
fn place(file: Option<&Path>) -> Result<(PathBuf, String), CliError> {
    match settings(file) {
        Ok(loaded) => Ok((loaded.settings.gateway.state_dir, loaded.settings.gateway.name)),
        Err(problems) if file.is_some_and(|file| file != Path::new(DEFAULT_FILE)) => {
            Err(problems.into())
        }
        Err(_) => {
            let directory = std::env::var_os("STATE_DIRECTORY")
                .map_or_else(|| PathBuf::from(STATE_DIR), PathBuf::from);
            say(&format!(
                "the settings cannot be read; {} is taken for the state directory",
                directory.display()
            ));
            Ok((directory, host_name()))
        }
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
