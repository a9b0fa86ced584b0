//! The command line, as clap reads it. No secret is ever an argument.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use super::options::{
    FlushArgs, HandledArgs, HoldArgs, ListFilter, NamesArgs, Shown, StatusArgs, TrustArgs, VoidArgs,
};
use super::values;
use crate::files;
use crate::redemption::State;

/// Store-and-forward gateway for loyalty redemptions in stores.
#[derive(Clone, Debug, Parser)]
#[command(name = "redeemd", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 the command's own check failed, 64 usage, 69 daemon not \
        reachable, 70 internal, 73 state directory unusable, 75 another daemon runs, 78 \
                        configuration. More in redeemd(8)."
)]
pub struct Cli {
    /// The settings file [default: /etc/redeemd/redeemd.toml]
    #[arg(long, global = true, value_name = "FILE", value_parser = file())]
    pub config: Option<PathBuf>,
    /// Print data as JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the gateway in the foreground
    Run,
    /// Check the settings and print every problem
    Check(CheckArgs),
    /// Show the books, the storage and every lane
    Status(StatusArgs),
    /// List redemptions
    List(ListArgs),
    /// Show one redemption with everything that was done to it
    Show(ShowArgs),
    /// Send declined or parked redemptions again
    Retry(RetryArgs),
    /// Close redemptions for good: pending, parked, or declined after the fact
    Void(VoidArgs),
    /// Note that a person has seen to redemptions that were refused, parked or lost
    Handled(HandledArgs),
    /// Try a lane (or all) at once instead of waiting
    Flush(FlushArgs),
    /// Hold a lane (or all): nothing is sent until it is released
    Hold(HoldArgs),
    /// Let a held lane (or all) go on
    Release(LaneArgs),
    /// Switch off and on that rewards are given without the provider's answer
    Trust(TrustArgs),
    /// What became of the rewards given on trust, the exceptions, the rates of declines and the
    /// refusals
    Report(ReportArgs),
    /// Copy the database of the running gateway, whole codes included, to a file
    Backup(BackupArgs),
    /// Write the pending and parked redemptions of this gateway, whole codes included, to a file
    Export(ExportArgs),
    /// Take over the redemptions that another gateway exported
    Import(ImportArgs),
    /// Make the hash of a password that standard input gives, for `[[admin.user]]`
    HashPassword,
    /// Make a key and a certificate of the gateway's own, and print its fingerprint as a browser
    /// shows it
    MakeCertificate(CertificateArgs),
    /// Print the names of the running gateway's lanes or tills: for the shells' completions
    #[command(hide = true)]
    Names(NamesArgs),
    /// Be a provider to test against: the contract, and every fault on demand
    Sandbox(Box<crate::sandbox::Options>),
    /// Play an outage against a sandbox provider with these settings; ends with the books
    Rehearse(crate::rehearse::RehearseArgs),
}

/// `check`
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// Take warnings for faults too, and exit with 1: for a pipeline
    #[arg(long)]
    pub strict: bool,
}

/// `list`
#[derive(Args, Clone, Debug, Default)]
pub struct ListArgs {
    /// Only this state
    #[arg(long, value_parser = states())]
    pub state: Option<State>,
    /// Only this lane
    #[arg(long, value_parser = values::filled)]
    pub lane: Option<String>,
    /// Only after this sequence number
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    pub after: Option<i64>,
    /// At most so many, 1 to 1000 [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: Option<u16>,
    /// All of them, page after page
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// What else they have in common.
    #[command(flatten)]
    pub wanted: ListFilter,
    /// How they are shown.
    #[command(flatten)]
    pub shown: Shown,
}

/// `show`
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The redemption
    pub id: String,
}

/// `retry`
#[derive(Args, Clone, Debug, Default)]
pub struct RetryArgs {
    /// The redemptions; `-` reads them from standard input, an id or an object of `list --json` a
    /// line
    #[arg(value_name = "ID", required_unless_present = "held", value_parser = values::id)]
    pub ids: Vec<String>,
    /// Instead of ids, with --held: the lane of the declines to take back
    #[arg(long, requires = "held")]
    pub lane: Option<String>,
    /// Take back the declines for which the lane is held, but none that a person has closed; to be
    /// done before `release`
    #[arg(long, requires = "lane", conflicts_with = "ids")]
    pub held: bool,
}

/// `release`
#[derive(Args, Clone, Debug, Default)]
pub struct LaneArgs {
    /// The lane; all of them without one
    pub lane: Option<String>,
}

/// `report`
#[derive(Args, Clone, Debug, Default)]
pub struct ReportArgs {
    /// Only this lane
    #[arg(long, value_parser = values::filled)]
    pub lane: Option<String>,
    /// Only from this day on, by when the gateway accepted: the store's own days. A range that ends
    /// before it begins, or names a day that does not exist, is refused
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: Option<String>,
    /// Only up to this day, by when the gateway accepted: the store's own days
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: Option<String>,
    /// Comma-separated values: a line for each day and lane, lane, till, beginning of codes and
    /// branch, the total, and each reason of refusals, with the declines in 10,000 decided
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `backup`
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// The file to write; it must not exist. `-` writes to standard output, into a pipe or a file
    pub file: PathBuf,
}

/// `export`
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The file to write; it must not exist. `-` writes to standard output
    pub file: PathBuf,
    /// Read this state directory, such as that of a disk from another machine; no daemon is asked
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `import`
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// The file that `export` wrote; `-` reads it from standard input
    pub file: PathBuf,
}

/// `make-certificate`
#[derive(Args, Clone, Debug)]
pub struct CertificateArgs {
    /// A name or address that browsers or tills call the gateway by
    #[arg(value_name = "NAME", required = true, value_parser = values::host)]
    pub names: Vec<String>,
    /// The certificate's file, new
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub cert_file: PathBuf,
    /// The key's file, new, for its owner alone
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub key_file: PathBuf,
}

/// The states by their words, which completions know too.
fn states() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str))
        .try_map(|word| word.parse().map_err(|()| "no state"))
}

/// A file that neither standard input nor standard output can stand for.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(files::named)
}

/// A day that the calendar has.
fn day(text: &str) -> Result<String, String> {
    let exists = is_day(text) && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok();
    if exists {
        Ok(text.to_owned())
    } else {
        Err("a day looks like 2026-11-01, and must exist".to_owned())
    }
}

/// Whether `text` has the form of a day. The calendar is not consulted: a till's days are only
/// compared.
pub(super) fn is_day(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_for_all_stand_before_or_after_the_command() {
        assert!(
            parse("redeemd --json status").unwrap().json
                && parse("redeemd status --json").unwrap().json
        );
        let cli = parse("redeemd list --config /x.toml").unwrap();
        assert_eq!(cli.config, Some("/x.toml".into()));
    }

    #[test]
    fn a_retry_wants_ids_or_a_held_lane_and_not_both() {
        assert!(parse("redeemd retry 1-a 2-b").is_ok() && parse("redeemd retry -").is_ok());
        assert!(parse("redeemd retry --lane retm --held").is_ok());
        for wrong in [
            "redeemd retry",
            "redeemd retry --held",
            "redeemd retry --lane x",
            "redeemd retry 1-a --lane x --held",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_void_without_a_note_and_a_wrong_filter_are_usage_errors() {
        for wrong in [
            "redeemd",
            "redeemd void 1-a",
            "redeemd list --state lost",
            "redeemd list --limit 0",
            "redeemd list --limit 1001",
            "redeemd list --all --limit 5",
            "redeemd list --after -1",
            "redeemd list --code CODE-1",
            "redeemd list --code - --till 1",
            "redeemd list --columns id,secret",
            "redeemd status --watch --check",
            "redeemd report --from yesterday",
            "redeemd report --from 2026-02-30",
            "redeemd report --csv --json",
            "redeemd status x",
            "redeemd check --config -",
            "redeemd make-certificate x --cert-file - --key-file k",
            "redeemd make-certificate x --cert-file c --key-file -",
            "redeemd sandbox --token-file -",
            "redeemd sandbox --tls good --ca-out -",
        ] {
            assert!(parse(wrong).is_err_and(|error| error.use_stderr()), "{wrong}");
        }
        assert!(parse("redeemd --help").is_err_and(|error| !error.use_stderr()));
    }

    #[test]
    fn a_day_is_ten_characters_of_that_form() {
        assert!(is_day("2026-11-01"));
        for wrong in ["2026-11-1", "2026/11/01", "2026-11-01 ", "", "20261-1-01"] {
            assert!(!is_day(wrong), "{wrong}");
        }
    }
}
