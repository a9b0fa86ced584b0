//! A command that is stopped ends in order: what it wrote is taken back, or what it did is said.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::CliError;

/// How somebody stops a command: SIGINT, SIGTERM, and SIGHUP unless `nohup` is to outlive it.
pub(super) struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Stops {
    /// From now on none of them ends the process by itself.
    pub(super) fn new() -> Result<Self, CliError> {
        let hangup = SignalKind::hangup();
        Ok(Self {
            interrupt: heard(SignalKind::interrupt())?,
            terminate: heard(SignalKind::terminate())?,
            hangup: if is_ignored(hangup) { None } else { Some(heard(hangup)?) },
        })
    }

    /// Returns once one has come. May be dropped and called again.
    pub(super) async fn come(&mut self) {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}

/// What `work` comes to, or that somebody stopped it before its end.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let mut stops = Stops::new()?;
    tokio::select! {
        done = work => done,
        () = stops.come() => {
            Err(CliError::Failed("interrupted: what was written is taken back".to_owned()))
        }
    }
}

fn heard(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::Internal(format!("no signals: {error}")))
}

/// Whether this process was started so that the signal does nothing (`proc_pid_status(5)`).
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
