//! `run`: the settings, the log, the daemon.

use std::path::PathBuf;

use super::ask::host_name;
use super::exit::{CliError, Exit, say};
use crate::daemon::DaemonError;
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
    let ended = daemon(loaded, options).await;
    // Lines that nobody takes within the bound are given up with the process.
    crate::log::flush();
    ended
}

async fn daemon(loaded: Loaded, options: LoadOptions) -> Result<(), CliError> {
    crate::daemon::run(loaded, options).await.map_err(|error| {
        tracing::error!("{error}");
        CliError::Logged(match error {
            DaemonError::State { .. }
            | DaemonError::Certificate(_)
            | DaemonError::Sockets(_)
            | DaemonError::OpenSocket { .. }
            | DaemonError::Provider { .. } => Exit::Config,
            DaemonError::Listen { .. } | DaemonError::Storage(_) | DaemonError::System(_) => Exit::Internal,
        })
    })
}
