//! Lines on standard error: time or priority, level, message, `key=value`.

use std::fmt::Write as _;
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::{Clock, rfc3339};
use crate::text;

/// The longest line, in bytes, its end aside; what is longer is cut.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a line starts with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// The wall clock's time, UTC.
    Time,
    /// `<4>`: the journal reads the stream, knows the time and takes this as the priority (sd-daemon(3)).
    Priority,
}

/// The layer that writes them.
#[derive(Debug)]
pub(super) struct Plain {
    start: Start,
    clock: Clock,
}

impl Plain {
    pub(super) fn new(start: Start) -> Self {
        Self { start, clock: Clock::system() }
    }

    fn line(&self, level: Level, fields: &Fields) -> String {
        let mut line = match self.start {
            Start::Time => format!("{} {level:5} ", rfc3339(self.clock.stamp().unix_ms)),
            Start::Priority => format!("<{}>", priority(level)),
        };
        line.push_str(&text::escaped(&fields.message));
        line.push_str(&fields.rest);
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        line.push('\n');
        line
    }
}

impl<S: Subscriber> Layer<S> for Plain {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = self.line(*event.metadata().level(), &fields);
        // In one write, so that lines of several threads do not mix. Where the log itself fails, nobody is left to
        // be told.
        std::io::stderr().lock().write_all(line.as_bytes()).unwrap_or_default();
    }
}

/// syslog(3)'s numbers.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            text::push_field(&mut self.rest, field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a String fails only if the value's own Debug does: then what it wrote so far is shown.
        write!(text, "{value:?}").unwrap_or_default();
        self.record_str(field, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: Start, message: &str, fields: &[(&str, &str)]) -> String {
        let mut rest = String::new();
        for (key, value) in fields {
            text::push_field(&mut rest, key, value);
        }
        let plain = Plain { start, clock: Clock::manual(1_793_491_200_000, true) };
        plain.line(Level::WARN, &Fields { message: message.to_owned(), rest })
    }

    #[test]
    fn a_line_has_time_level_message_and_fields() {
        let shown = line(Start::Time, "the line is down", &[("lane", "retm"), ("cause", "name resolution")]);
        assert_eq!(shown, "2026-11-01T00:00:00Z WARN  the line is down lane=retm cause=\"name resolution\"\n");
    }

    #[test]
    fn under_the_journal_the_priority_stands_for_time_and_level() {
        assert_eq!(line(Start::Priority, "down", &[]), "<4>down\n");
        assert_eq!((priority(Level::ERROR), priority(Level::INFO), priority(Level::DEBUG)), (3, 6, 7));
    }

    #[test]
    fn a_message_stays_one_line_however_hostile_or_long() {
        let shown = line(Start::Time, "x\nERROR forged\u{1b}[31m", &[("till", "a\nb")]);
        assert_eq!(shown.matches('\n').count(), 1);
        assert!(!shown.contains('\u{1b}'));
        assert!(line(Start::Time, &"é".repeat(LINE_BYTES_MAX), &[]).len() <= LINE_BYTES_MAX + 1);
    }
}
