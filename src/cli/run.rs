//! `run`: the settings, the log, the daemon.

use std::path::PathBuf;

use super::ask::host_name;
use super::exit::{CliError, say};
use crate::settings::{LoadOptions, Loaded, load};

/// `redeemd run`
pub(super) async fn run(file: Option<PathBuf>) -> Result<(), CliError> {
    let options = LoadOptions::of_process(file, host_name());
    let loaded = load(&options)?;
    if let Err(error) = crate::log::init() {
        say(&error.to_string());
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    daemon(loaded, options).await
}

/// The one place where the daemon is called: its `run(loaded, options)` belongs here.
#[expect(clippy::unused_async, reason = "the daemon is awaited here")]
async fn daemon(loaded: Loaded, options: LoadOptions) -> Result<(), CliError> {
    drop((loaded, options));
    Err(CliError::Internal("the daemon is not built yet".to_owned()))
}
