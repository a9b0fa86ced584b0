//! The layer that turns every event into bytes and hands them to the outlet.

use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::journal;
use super::outlet::Outlet;
use super::plain::Plain;
use super::record::{Fields, Origin};

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
