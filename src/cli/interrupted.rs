//! A command that writes a file takes back its part of it when somebody stops it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::CliError;

/// What `work` comes to, or that SIGINT or SIGTERM came before its end.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let (mut interrupt, mut terminate) =
        (heard(SignalKind::interrupt())?, heard(SignalKind::terminate())?);
    let stopped =
        || Err(CliError::Failed("interrupted: what was written is taken back".to_owned()));
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => stopped(),
        _ = terminate.recv() => stopped(),
    }
}

fn heard(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::Internal(format!("no signals: {error}")))
}
