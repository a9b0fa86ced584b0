//! One line of the log as values, as they are read from an event.

use std::fmt::Write as _;

use tracing::Level;
use tracing::field::{Field, Visit};

use crate::text;

/// Where in the code a line comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) line: Option<u32>,
}

/// What a line says.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    each: Vec<(&'static str, String)>,
}

impl Fields {
    pub(super) fn new(message: String, each: Vec<(&'static str, String)>) -> Self {
        Self { message, each }
    }

    /// The fields beside the message.
    pub(super) fn each(&self) -> &[(&'static str, String)] {
        &self.each
    }

    /// Message and fields as one line: whoever gets the text alone has all of it.
    pub(super) fn text(&self) -> String {
        let mut text = text::escaped(&self.message).into_owned();
        for (key, value) in &self.each {
            text::push_field(&mut text, key, value);
        }
        text
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.each.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        // Writing to a String fails only if the value's own Debug does: then what it wrote so far
        // is shown.
        write!(text, "{value:?}").unwrap_or_default();
        self.record_str(field, &text);
    }
}

/// syslog(3)'s numbers.
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_all_that_the_fields_say() {
        let fields = Fields::new(
            "settled".to_owned(),
            vec![
                ("id", "7-abc".to_owned()),
                ("state", "confirmed".to_owned()),
                ("till", "a b".to_owned()),
            ],
        );
        assert_eq!(fields.text(), "settled id=7-abc state=confirmed till=\"a b\"");
    }

    #[test]
    fn levels_are_syslogs_priorities() {
        assert_eq!(
            (priority(Level::ERROR), priority(Level::INFO), priority(Level::DEBUG)),
            (3, 6, 7)
        );
    }
}
