//! Plays an outage with a sandbox provider and ends with the books.
//!
//! The gateway is the real one: this program's `run` as a child, killed with SIGKILL. It has the
//! given settings, but a folder, ports and a provider of its own: the configured provider never
//! hears of a rehearsal.

mod daemon;
mod folder;
mod play;
mod show;
mod verdict;

use std::io::Write;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::ClientError;
use crate::sandbox::StartError;
use crate::settings::Loaded;
use folder::Folder;
use play::Play;
use show::Show;

/// The most redemptions in a rehearsal's outage.
const COUNT_MAX: i64 = 1_000_000;

/// Plays an outage: redeem, cut the line, redeem, kill the daemon, restore the line, drain
#[derive(Args, Clone, Debug)]
pub struct RehearseArgs {
    /// How many redemptions come while the line is cut
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX)
    )]
    pub count: u32,
    /// Keeps the rehearsal's folder; one that failed is kept anyway
    #[arg(long)]
    pub keep: bool,
}

/// Why a rehearsal could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The folder beside the state could not be made or written.
    #[error("{what}: {source}")]
    Folder {
        /// What was tried, with its path.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The sandbox provider did not start.
    #[error("the sandbox provider did not start: {0}")]
    Sandbox(#[from] StartError),
    /// The daemon did not start, or ended by itself; with the end of its log.
    #[error("the daemon {what}\n{log}")]
    Daemon {
        /// What it did.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// The daemon did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The daemon answered what the rehearsal cannot go on with.
    #[error("{0}")]
    Unexpected(String),
    /// Standard output or random bits.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// SIGINT or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// Plays the outage and shows it on `out`, as JSON (an object a line) if asked; whether the books
/// balance and agree with the provider's.
pub async fn rehearse(
    loaded: &Loaded,
    args: &RehearseArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<bool, RehearseError> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut show = Show::new(out, json);
    let mut folder = Folder::new(&loaded.settings.gateway.state_dir)?;
    let played = tokio::select! {
        played = play(loaded, args, &folder, &mut show) => played,
        _ = interrupt.recv() => Err(RehearseError::Interrupted),
        _ = terminate.recv() => Err(RehearseError::Interrupted),
    };
    if args.keep
        || matches!(
            played,
            Ok(false) | Err(RehearseError::Daemon { .. } | RehearseError::Unexpected(_))
        )
    {
        folder.keep();
        show.kept(folder.path())?;
    }
    played
}

async fn play(
    loaded: &Loaded,
    args: &RehearseArgs,
    folder: &Folder,
    show: &mut Show<'_>,
) -> Result<bool, RehearseError> {
    let mut play = Play::begin(loaded, args.count, folder).await?;
    play.run(show).await
}
