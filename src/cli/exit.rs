//! Exit codes (sysexits) and the errors behind them.

use std::io::ErrorKind;
use std::process::ExitCode;

use crate::client::ClientError;
use crate::settings::Problems;
use crate::text::escaped;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The command's own check failed: the daemon refused, or what was looked at is not well.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// The daemon cannot be reached.
    Unavailable = 69,
    /// A fault of this program or this machine.
    Internal = 70,
    /// The state directory cannot be used: it is read-only, full, or somebody else's.
    CannotCreate = 73,
    /// Another daemon works on the state directory: it may end.
    TryAgain = 75,
    /// The settings are wrong, or what they name cannot be used.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The daemon said no, or a check failed; the text is for the person.
    #[error("{0}")]
    Failed(String),
    /// It was said already, line by line; only the exit code is left.
    #[error("some could not be done")]
    SaidAlready,
    /// The daemon has logged why it ended; only the exit code is left.
    #[error("see the log")]
    Logged(Exit),
    /// An argument that clap could not judge.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody was asked, and no whole answer came.
    #[error("{0}")]
    Unanswered(String),
    /// Another process works there.
    #[error("{0}")]
    TryAgain(String),
    /// A fault of this program or this machine.
    #[error("{0}")]
    Internal(String),
    /// The settings' problems, all of them.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The daemon cannot start with what the settings name.
    #[error("{0}")]
    Unusable(String),
    /// The state directory cannot be used.
    #[error("{0}")]
    State(String),
    /// Standard output or input failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl CliError {
    /// Nobody answered, or not to the end: as while the daemon starts again.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unanswered(_))
    }

    /// The code that a shell sees.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Failed(_) | Self::SaidAlready => Exit::Failed,
            Self::Logged(exit) => *exit,
            Self::Usage(_) => Exit::Usage,
            Self::Unavailable(_) | Self::Unanswered(_) => Exit::Unavailable,
            Self::TryAgain(_) => Exit::TryAgain,
            Self::Config(_) | Self::Unusable(_) => Exit::Config,
            Self::State(_) => Exit::CannotCreate,
            // `redeemd list | head` is not a failure.
            Self::Io(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Ok,
            Self::Io(_) | Self::Internal(_) => Exit::Internal,
        }
    }

    /// A file that cannot be read or written is named; that it is a pipe which nobody reads any
    /// more is no excuse for it.
    pub(super) fn about(self, place: impl std::fmt::Display) -> Self {
        if let Self::Io(error) = &self {
            return Self::Internal(format!("{place}: {error}"));
        }
        self
    }

    /// Says it on standard error, safe to show, unless there is nothing to say.
    pub fn tell(&self) {
        match self {
            Self::SaidAlready | Self::Logged(_) => {}
            Self::Io(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Self::Config(problems) => {
                for problem in &problems.0 {
                    say(&problem.to_string());
                }
            }
            Self::Failed(_)
            | Self::Usage(_)
            | Self::Unavailable(_)
            | Self::Unanswered(_)
            | Self::TryAgain(_)
            | Self::Internal(_)
            | Self::Unusable(_)
            | Self::State(_)
            | Self::Io(_) => say(&self.to_string()),
        }
    }
}

/// A line on standard error, safe to show. With a closed one, nobody is left to be told.
pub(super) fn say(text: &str) {
    use std::io::Write;
    for line in text.lines() {
        writeln!(std::io::stderr(), "redeemd: {}", escaped(line)).unwrap_or_default();
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } => {
                Self::Unavailable(format!("the daemon does not answer: {error}"))
            }
            ClientError::Deadline(_) | ClientError::Broken(_) => {
                Self::Unanswered(format!("the daemon does not answer: {error}"))
            }
            ClientError::Unwritten(error) => Self::Io(error),
            ClientError::TooLarge | ClientError::Request(_) => Self::Internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_another_fault_is() {
        let closed = CliError::from(std::io::Error::from(ErrorKind::BrokenPipe));
        let full = CliError::from(std::io::Error::from(ErrorKind::StorageFull));
        assert_eq!((closed.exit(), full.exit()), (Exit::Ok, Exit::Internal));
        let named =
            CliError::from(ClientError::Unwritten(ErrorKind::BrokenPipe.into())).about("a.db");
        assert!(
            named.exit() == Exit::Internal && named.to_string().starts_with("a.db: "),
            "{named}"
        );
    }

    #[test]
    fn exit_codes_are_those_of_sysexits() {
        let codes =
            [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Unavailable, Exit::Internal, Exit::Config];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 64, 69, 70, 78]);
        assert_eq!(CliError::State(String::new()).exit(), Exit::CannotCreate);
        assert_eq!([Exit::CannotCreate as u8, Exit::TryAgain as u8], [73, 75]);
    }

    #[test]
    fn a_daemon_that_breaks_off_counts_as_not_reachable() {
        assert_eq!(CliError::from(ClientError::Broken("x".to_owned())).exit(), Exit::Unavailable);
        assert_eq!(CliError::from(ClientError::TooLarge).exit(), Exit::Internal);
    }
}
