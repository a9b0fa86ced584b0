//! The sandbox's lines on standard output: one a request, for people or as JSON.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::books::RequestRecord;
use crate::redemption::RewardCode;

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogKind {
    /// Nothing.
    #[default]
    Quiet,
    /// A line a request, codes masked.
    Lines,
    /// A JSON object a line.
    Json,
}

/// Prints until standard output is gone.
#[derive(Debug)]
pub(super) struct RequestLog {
    kind: LogKind,
    broken: AtomicBool,
}

impl RequestLog {
    pub(super) fn new(kind: LogKind) -> Self {
        Self { kind, broken: AtomicBool::new(false) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.kind != LogKind::Quiet && !self.broken.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, record: &RequestRecord) {
        if !self.is_on() {
            return;
        }
        let line = match self.kind {
            LogKind::Quiet => return,
            LogKind::Lines => human(record),
            LogKind::Json => serde_json::to_string(record).unwrap_or_default(),
        };
        // A reader that went away ends the printing, not the provider.
        if writeln!(std::io::stdout().lock(), "{line}").is_err() {
            self.broken.store(true, Ordering::Relaxed);
        }
    }
}

fn human(record: &RequestRecord) -> String {
    let RequestRecord { n, at_ms, method, path, .. } = record;
    let code = record.code.clone().map(|code| RewardCode::new(code).masked()).unwrap_or_default();
    let key = record.idempotency_key.as_deref().unwrap_or("-");
    let attempt = record.attempt.as_deref().unwrap_or("-");
    let status = record.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let took = if record.took { ", code taken" } else { "" };
    let fault = record.fault.as_deref().map(|fault| format!(", fault {fault}")).unwrap_or_default();
    let seconds = at_ms / 1000;
    format!(
        "{seconds:>6}.{:03} #{n} {method} {path} {code} key {key} attempt {attempt}: \
         {status}{took}{fault}",
        at_ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_never_holds_a_whole_code() {
        let record = RequestRecord {
            code: Some("SECRETCODE1234".to_owned()),
            took: true,
            ..RequestRecord::default()
        };
        let line = human(&record);
        assert!(
            line.contains("…234") && line.contains("code taken") && !line.contains("SECRETCODE"),
            "{line}"
        );
    }
}
