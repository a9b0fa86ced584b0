//! Where log lines go: the journal with its fields, else standard error. Writing a line never waits
//! for its reader.

mod bound;
mod journal;
mod layer;
mod outlet;
mod plain;
mod record;

use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use layer::{Form, Recorder};
use outlet::{Outlet, Sink};
use plain::{Plain, Start};

pub use bound::{REPEAT_AFTER, SITES_MAX};

/// The variable that sets the level: `debug`, `info` (the default), `warn` or `error`.
pub const LEVEL_VARIABLE: &str = "REDEEMD_LOG";

/// How long the last lines of a process may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// The process's one way out.
static OUTLET: OnceLock<Arc<Outlet>> = OnceLock::new();

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The journal, field by field.
    Journal,
    /// Standard error, a line each; read by the journal, which adds the time.
    JournalLines,
    /// Standard error, a line each with its time.
    StandardError,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// [`init`] was called before.
    #[error("the log is set up already")]
    Twice,
    /// The system gives no thread or no descriptor for it.
    #[error("there is no way out for the log: {0}")]
    NoWayOut(#[from] std::io::Error),
}

/// Sets up the process's log, once, before anything logs. A panic is logged as well.
///
/// # Errors
/// It is set up already, or the system has no thread for it.
pub fn init() -> Result<Destination, LogError> {
    let wanted = std::env::var(LEVEL_VARIABLE).ok();
    let level = wanted.as_deref().map_or(Some(Level::INFO), parse_level);
    let (sink, form, destination) = way_out()?;
    let notice = form.clone();
    let outlet = Outlet::open(sink, move |dropped| notice.notice(dropped))?;
    OUTLET.set(Arc::clone(&outlet)).map_err(|_| LogError::Twice)?;
    let recorder = Recorder { form, outlet };
    let layers = recorder
        .and_then(bound::WarningBound::default())
        .and_then(targets(level.unwrap_or(Level::INFO)));
    let subscriber = Registry::default().with(layers);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
        flush();
    }));
    if level.is_none() {
        tracing::warn!("{LEVEL_VARIABLE} is none of debug, info, warn, error: info is used");
    }
    Ok(destination)
}

/// How many lines were dropped since the start because nobody took them in time, or because writing
/// them failed.
#[must_use]
pub fn dropped() -> u64 {
    OUTLET.get().map_or(0, |outlet| outlet.dropped())
}

/// Waits until every line is written, for at most a second: for the process's end. Whether they all
/// are.
pub fn flush() -> bool {
    OUTLET.get().is_none_or(|outlet| outlet.flush(FLUSH_WITHIN))
}

/// The level that [`LEVEL_VARIABLE`] names.
fn parse_level(text: &str) -> Option<Level> {
    match text.trim() {
        "debug" => Some(Level::DEBUG),
        "" | "info" => Some(Level::INFO),
        "warn" => Some(Level::WARN),
        "error" => Some(Level::ERROR),
        _ => None,
    }
}

/// Our own lines at `level`; a library's only when it warns, because its details may carry what
/// must not be logged.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target("redeemd", level)
}

fn way_out() -> std::io::Result<(Sink, Form, Destination)> {
    if !stderr_is_the_journal() {
        return Ok((
            Sink::stderr()?,
            Form::Lines(Plain::new(Start::Time)),
            Destination::StandardError,
        ));
    }
    let path = Path::new(journal::SOCKET);
    match journal::socket(path) {
        Ok(socket) => {
            Ok((Sink::Datagrams(socket, path.to_owned()), Form::Journal, Destination::Journal))
        }
        Err(_) => Ok((
            Sink::stderr()?,
            Form::Lines(Plain::new(Start::Priority)),
            Destination::JournalLines,
        )),
    }
}

/// `JOURNAL_STREAM` names the device and inode of the journal's stream; a redirected standard error
/// has others (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    is_stream(&stream, stderr.st_dev(), stderr.st_ino())
}

fn is_stream(variable: &str, device: u64, inode: u64) -> bool {
    variable
        .split_once(':')
        .is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_stream_is_the_journal() {
        assert!(is_stream("8:10325106", 8, 10_325_106));
        assert!(!is_stream("8:10325106", 8, 10_325_107) && !is_stream("9:10325106", 8, 10_325_106));
        assert!(!is_stream("", 8, 1) && !is_stream("8", 8, 1) && !is_stream("8:x", 8, 1));
    }

    #[test]
    fn a_level_is_one_of_four_words() {
        assert_eq!(parse_level("debug"), Some(Level::DEBUG));
        assert_eq!(parse_level(" warn "), Some(Level::WARN));
        assert_eq!(parse_level(""), Some(Level::INFO));
        assert_eq!(parse_level("trace"), None);
        assert_eq!(parse_level("INFO=1"), None);
    }

    #[test]
    fn at_debug_a_library_still_only_warns() {
        let filter = targets(Level::DEBUG);
        assert!(filter.would_enable("redeemd::queue", &Level::DEBUG));
        assert!(
            !filter.would_enable("hyper::proto", &Level::INFO)
                && filter.would_enable("hyper", &Level::WARN)
        );
        assert!(!targets(Level::ERROR).would_enable("hyper", &Level::WARN));
    }
}
