//! `rehearse`: an outage, played; 1 if the books do not balance.

use std::io::Write;
use std::path::PathBuf;

use super::ask::host_name;
use super::exit::CliError;
use crate::rehearse::{RehearseArgs, RehearseError};
use crate::settings::{LoadOptions, load};

/// `redeemd rehearse`
pub(super) async fn rehearse(
    file: Option<PathBuf>,
    args: &RehearseArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let loaded = load(&LoadOptions::of_process(file, host_name()))?;
    match crate::rehearse::rehearse(&loaded, args, json, out).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::SaidAlready),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: RehearseError) -> CliError {
    match error {
        RehearseError::Folder { .. } => CliError::State(error.to_string()),
        RehearseError::Io(error) => CliError::Io(error),
        RehearseError::Daemon { .. }
        | RehearseError::Unexpected(_)
        | RehearseError::Interrupted => CliError::Failed(error.to_string()),
        RehearseError::Client(error) => error.into(),
        RehearseError::Sandbox(_) => CliError::Internal(error.to_string()),
    }
}
