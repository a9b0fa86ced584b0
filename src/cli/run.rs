//! `run`: the settings, the log, the daemon.

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::ask::host_name;
use super::exit::{CliError, Exit, say};
use crate::daemon::{DaemonError, RunningDaemon};
use crate::notify;
use crate::prepare::{Prepared, prepare};
use crate::settings::LoadOptions;
use crate::store::StoreError;

/// Under a service manager, a start that failed ends only after this long. While the manager waits
/// to start it again, a waiting till starts it at once through the socket; so many starts in a row
/// would make the socket fail.
const REST_AFTER_FAILED_START: Duration = Duration::from_secs(2);

/// `redeemd run`
pub(super) async fn run(file: Option<PathBuf>) -> Result<(), CliError> {
    let options = LoadOptions::of_process(file, host_name());
    let prepared = prepare(&options)?;
    if let Err(error) = crate::log::init() {
        say(&error.to_string());
    }
    for warning in prepared.loaded.warnings.iter().chain(&prepared.loaded.notes) {
        tracing::warn!("{warning}");
    }
    let ended = daemon(prepared, options).await;
    // Lines that nobody takes within the bound are given up with the process.
    crate::log::flush();
    ended
}

async fn daemon(prepared: Prepared, options: LoadOptions) -> Result<(), CliError> {
    let daemon = match RunningDaemon::start(prepared, options).await {
        Ok(daemon) => daemon,
        Err(error) => {
            let logged = logged(&error);
            if logged.exit() != Exit::Config && notify::is_watched() {
                rest().await;
            }
            return Err(logged);
        }
    };
    daemon.run().await.map_err(|error| logged(&error))
}

fn logged(error: &DaemonError) -> CliError {
    tracing::error!("{error}");
    CliError::Logged(exit(error))
}

fn exit(error: &DaemonError) -> Exit {
    match error {
        DaemonError::State { error, .. } => exit_of_state(error),
        DaemonError::Sockets(_)
        | DaemonError::OpenSocket(_)
        | DaemonError::StraySocket { .. }
        | DaemonError::Provider { .. } => Exit::Config,
        DaemonError::Listen { .. } | DaemonError::Storage(_) | DaemonError::System(_) => {
            Exit::Internal
        }
    }
}

fn exit_of_state(error: &StoreError) -> Exit {
    if error.is_a_misfit() {
        Exit::Config
    } else if matches!(error, StoreError::Locked { .. }) {
        Exit::TryAgain
    } else {
        Exit::CannotCreate
    }
}

/// Over at once when the manager says stop.
async fn rest() {
    let rest = tokio::time::sleep(REST_AFTER_FAILED_START);
    match signal(SignalKind::terminate()) {
        Ok(mut stop) => tokio::select! {
            () = rest => {}
            _ = stop.recv() => {}
        },
        Err(_) => rest.await,
    }
}
