//! Commands and exit codes.

mod act;
mod ages;
mod args;
mod ask;
mod backup;
mod certificate;
mod check;
mod exit;
mod input;
mod interrupted;
mod list;
mod names;
mod new_file;
mod options;
mod password;
mod rehearse;
mod report;
mod rescue;
mod row;
mod run;
mod service_unit;
mod service_user;
mod show;
mod status;
mod table;
mod terminal;
mod trust;
mod values;
mod wait;

use std::ffi::OsString;
use std::io::{BufWriter, Write};

use clap::{CommandFactory, Parser};

pub use args::{
    BackupArgs, CheckArgs, Cli, Command, ExportArgs, ImportArgs, LaneArgs, ListArgs, ReportArgs,
    RetryArgs, ShowArgs,
};
pub use exit::{CliError, Exit};
pub use options::{
    FlushArgs, HandledArgs, HoldArgs, ListFilter, Named, NamesArgs, Shown, StatusArgs, VoidArgs,
};
pub use row::Column;

use crate::sandbox::{self, SandboxError};

/// The command line as clap knows it: for completions, the man page's test and help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The parsed command line; `Err` when clap has printed help, version or what was wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(args).map_err(|error| {
        let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        // A closed pipe behind `--help` is no fault, and nobody is left to be told of another.
        error.print().unwrap_or_default();
        exit
    })
}

/// Does what the command line says; what went wrong is on standard error.
pub async fn dispatch(cli: Cli) -> Exit {
    let mut out = BufWriter::new(std::io::stdout());
    let done = Box::pin(carry_out(cli, &mut out)).await;
    // What was printed before a failure is shown before its message.
    let flushed = out.flush().map_err(CliError::from);
    match done.and(flushed) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            error.tell();
            error.exit()
        }
    }
}

async fn carry_out(cli: Cli, out: &mut dyn Write) -> Result<(), CliError> {
    let (file, json) = (cli.config, cli.json);
    let daemon = || ask::Daemon::find(file.as_deref());
    match cli.command {
        Command::Run => run::run(file).await,
        Command::Check(args) => check::check(file.as_deref(), &args, json, out).await,
        Command::Status(args) => status::status(&daemon()?, args, json, out).await,
        Command::List(args) => list::list(&daemon()?, &args, json, out).await,
        Command::Show(args) => show::show(&daemon()?, &args, json, out).await,
        Command::Retry(args) => act::retry(&daemon()?, args, json, out).await,
        Command::Void(args) => act::void(&daemon()?, args, json, out).await,
        Command::Handled(args) => act::handled(&daemon()?, args, json, out).await,
        Command::Flush(args) => act::flush(&daemon()?, args, json, out).await,
        Command::Hold(args) => act::hold(&daemon()?, args, json, out).await,
        Command::Release(args) => act::release(&daemon()?, args, json, out).await,
        Command::Trust(args) => trust::trust(&daemon()?, args, json, out).await,
        Command::Names(args) => names::names(&daemon()?, args, json, out).await,
        Command::HashPassword => password::hash(json, out),
        Command::MakeCertificate(args) => certificate::make(&args, json, out),
        Command::Report(args) => report::report(&daemon()?, &args, json, out).await,
        Command::Backup(args) => backup::backup(&daemon()?, &args, json, out).await,
        Command::Export(args) => rescue::export(file.as_deref(), &args, json, out).await,
        Command::Import(args) => rescue::import(file.as_deref(), &args, json, out).await,
        Command::Rehearse(args) => rehearse::rehearse(file, &args, json, out).await,
        Command::Sandbox(args) => {
            sandbox::run(sandbox::Options { json, ..*args }).await.map_err(|error| match error {
                SandboxError::System(_) => CliError::Internal(error.to_string()),
                SandboxError::Start(_) => CliError::Unusable(error.to_string()),
            })
        }
    }
}
