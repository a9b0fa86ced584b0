//! `backup`: a copy of the running gateway's database, in a file for its owner alone.

use std::io::{BufWriter, Write};

use serde_json::json;

use super::args::BackupArgs;
use super::ask::Daemon;
use super::exit::{CliError, say};
use super::rescue::create;

/// `redeemd backup`
pub(super) async fn backup(
    daemon: &Daemon,
    args: &BackupArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut file = BufWriter::new(create(&args.file)?);
    let written = match fetched(daemon, &mut file).await {
        Ok(written) => written,
        Err(error) => {
            // A part of a database is of no use, and stands in the way of the next one.
            std::fs::remove_file(&args.file)?;
            return Err(error);
        }
    };
    say("it holds WHOLE REWARD CODES: keep it as safe as the gateway itself");
    let path = args.file.display().to_string();
    if json {
        writeln!(out, "{}", json!({ "file": path, "bytes": written }))?;
    } else {
        writeln!(out, "{path}: {} bytes", crate::message::grouped(written))?;
    }
    Ok(())
}

async fn fetched(daemon: &Daemon, file: &mut BufWriter<std::fs::File>) -> Result<u64, CliError> {
    daemon.download("/api/v1/backup", file).await?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(file.get_ref().metadata()?.len())
}
