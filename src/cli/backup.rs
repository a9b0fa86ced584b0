//! `backup`: a copy of the running gateway's database, in a file for its owner alone.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::args::BackupArgs;
use super::ask::Daemon;
use super::exit::{CliError, say};
use super::interrupted::unless_interrupted;
use super::new_file::NewFile;
use super::rescue::STANDARD_OUTPUT;
use super::terminal::is_terminal;

/// What whoever has the copy must know.
const WARNING: &str = "it holds WHOLE REWARD CODES: keep it as safe as the gateway itself";

/// `redeemd backup`
pub(super) async fn backup(
    daemon: &Daemon,
    args: &BackupArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if args.file == Path::new(STANDARD_OUTPUT) {
        return to_output(daemon).await;
    }
    let mut file = NewFile::create(&args.file)?;
    let fetched = unless_interrupted(daemon.download("/api/v1/backup", file.writer())).await;
    if let Err(error) = fetched {
        file.discard();
        return Err(error.about(args.file.display()));
    }
    let written = file.finish()?;
    say(WARNING);
    let path = args.file.display().to_string();
    if json {
        writeln!(out, "{}", json!({ "file": path, "bytes": written }))?;
    } else {
        writeln!(out, "{path}: {} bytes", crate::message::grouped(written))?;
    }
    Ok(())
}

/// The database alone, so that it can be piped; what came of it is the exit code.
async fn to_output(daemon: &Daemon) -> Result<(), CliError> {
    if is_terminal() {
        let why = "a database is nothing to read on a terminal: name a file, or send standard \
            output into a pipe";
        return Err(CliError::Usage(why.to_owned()));
    }
    let mut pipe = std::io::stdout();
    let sent = daemon.download("/api/v1/backup", &mut pipe).await;
    sent.and_then(|()| Ok(pipe.flush()?)).map_err(|error| error.about("standard output"))?;
    say(WARNING);
    Ok(())
}
