//! Lines of text: time or priority, level, message, `key=value`.

use tracing::Level;

use super::record::{Fields, priority};
use crate::clock::{Clock, rfc3339};

/// The longest line, in bytes, its end aside; what is longer is cut.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a line starts with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// The wall clock's time, UTC.
    Time,
    /// `<4>`: the journal reads the stream, knows the time and takes this as the priority
    /// (sd-daemon(3)).
    Priority,
}

/// How a line is made.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    start: Start,
    clock: Clock,
}

impl Plain {
    pub(super) fn new(start: Start) -> Self {
        Self { start, clock: Clock::system() }
    }

    /// One line with its end.
    pub(super) fn line(&self, level: Level, fields: &Fields) -> String {
        let mut line = match self.start {
            Start::Time => format!("{} {level:5} ", rfc3339(self.clock.stamp().unix_ms)),
            Start::Priority => format!("<{}>", priority(level)),
        };
        line.push_str(&fields.text());
        line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: Start, message: &str, fields: &[(&'static str, &str)]) -> String {
        let each = fields.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let plain = Plain { start, clock: Clock::manual(1_793_491_200_000, true) };
        plain.line(Level::WARN, &Fields::new(message.to_owned(), each))
    }

    #[test]
    fn a_line_has_time_level_message_and_fields() {
        let shown = line(
            Start::Time,
            "the line is down",
            &[("lane", "retm"), ("cause", "name resolution")],
        );
        assert_eq!(
            shown,
            "2026-11-01T00:00:00Z WARN  the line is down lane=retm cause=\"name resolution\"\n"
        );
    }

    #[test]
    fn under_the_journal_the_priority_stands_for_time_and_level() {
        assert_eq!(line(Start::Priority, "down", &[]), "<4>down\n");
    }

    #[test]
    fn a_message_stays_one_line_however_hostile_or_long() {
        let shown = line(Start::Time, "x\nERROR forged\u{1b}[31m", &[("till", "a\nb")]);
        assert_eq!(shown.matches('\n').count(), 1);
        assert!(!shown.contains('\u{1b}'));
        assert!(line(Start::Time, &"é".repeat(LINE_BYTES_MAX), &[]).len() <= LINE_BYTES_MAX + 1);
    }
}
