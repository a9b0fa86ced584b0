//! One line of the log as values: how it is read from an event, and the layer that sends it out.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::journal;
use super::outlet::Outlet;
use super::plain::Plain;
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

/// The shape of the bytes that leave.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Lines(Plain),
    Journal,
}

impl Form {
    pub(super) fn render(&self, origin: Origin<'_>, fields: &Fields) -> Vec<u8> {
        match self {
            Self::Lines(plain) => plain.line(origin.level, fields).into_bytes(),
            Self::Journal => journal::datagram(origin, fields),
        }
    }

    /// The line that says how many were dropped.
    pub(super) fn notice(&self, dropped: u64) -> Vec<u8> {
        let message = "log lines were dropped: nobody took them in time".to_owned();
        let fields = Fields::new(message, vec![("dropped", dropped.to_string())]);
        let origin = Origin { level: Level::WARN, target: module_path!(), file: None, line: None };
        self.render(origin, &fields)
    }
}

/// The layer that sends every event out.
pub(super) struct Recorder {
    pub(super) form: Form,
    pub(super) outlet: Arc<Outlet>,
}

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let origin = Origin {
            level: *metadata.level(),
            target: metadata.target(),
            file: metadata.file(),
            line: metadata.line(),
        };
        self.outlet.push(self.form.render(origin, &fields));
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
