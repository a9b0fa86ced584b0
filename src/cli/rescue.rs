//! `export` and `import`: the pending redemptions of a dying box, carried to another.

use super::args::{ExportArgs, ImportArgs};
use super::exit::CliError;

/// `redeemd export`
pub(super) fn export(args: &ExportArgs) -> Result<(), CliError> {
    Err(CliError::Internal(format!("export is not built yet; {} was not written", args.file.display())))
}

/// `redeemd import`
pub(super) fn import(args: &ImportArgs) -> Result<(), CliError> {
    Err(CliError::Internal(format!("import is not built yet; {} was not read", args.file.display())))
}
