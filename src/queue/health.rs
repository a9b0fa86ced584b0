//! The store's health as people read it, and what its errors mean to them.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::QueueError;
use crate::clock::{Clock, rfc3339};
use crate::message::{Language, Storage};
use crate::store::{StoreError, Trouble};

/// The store's health as `status` shows it; serialised as `ok` and `detail`, in English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageStatus {
    /// Whether redemptions can be accepted.
    pub ok: bool,
    /// Why not, or what was set aside and salvaged; empty when all is well.
    pub told: Vec<Storage>,
    /// Since when it is not well, Unix milliseconds.
    since_ms: Option<i64>,
}

impl Default for StorageStatus {
    fn default() -> Self {
        Self::well(Vec::new())
    }
}

impl StorageStatus {
    /// Redemptions are accepted; `told` is what operators should know all the same.
    pub(super) fn well(told: Vec<Storage>) -> Self {
        Self { ok: true, told, since_ms: None }
    }

    /// Nothing is accepted from now on.
    pub(super) fn bad(why: Storage, clock: &Clock) -> Self {
        Self { ok: false, told: vec![why], since_ms: Some(clock.stamp().unix_ms) }
    }

    /// All of it in one line; empty when all is well.
    #[must_use]
    pub fn detail(&self, language: Language) -> String {
        let told: Vec<String> = self.told.iter().map(|told| told.text(language)).collect();
        let (separator, since) = match language {
            Language::English => ("; ", "since"),
            Language::Arabic => ("؛ ", "منذ"),
        };
        let told = told.join(separator);
        let Some(since_ms) = self.since_ms else { return told };
        format!("{told} ({since} {})", language.isolated(rfc3339(since_ms)))
    }
}

impl Serialize for StorageStatus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("StorageStatus", 2)?;
        object.serialize_field("ok", &self.ok)?;
        object.serialize_field("detail", &self.detail(Language::English))?;
        object.end()
    }
}

/// What an error of the store means for whoever asked.
pub(super) fn refusing(error: &StoreError) -> QueueError {
    QueueError::Refusing(told(error))
}

/// What an error of the store says of the storage.
pub(super) fn told(error: &StoreError) -> Storage {
    if let StoreError::NoRoomToCopy { needed, free } = error {
        return Storage::NoRoomToCopy { needed: needed.saturating_sub(*free) };
    }
    let why = error.to_string();
    match error.trouble() {
        Trouble::Unwritable => Storage::Unwritable { why },
        // A failed sync is never tried again: the kernel may have thrown away what it could not write.
        Trouble::Fatal => Storage::Unsynced { why },
        Trouble::Full | Trouble::Operation | Trouble::Damaged => Storage::Text { text: why },
    }
}

/// Why nothing is written again.
pub(super) fn stopping(error: &StoreError) -> Storage {
    if let StoreError::NoRoomToRescue { needed, free, .. } = error {
        return Storage::NoRoom { needed: needed.saturating_sub(*free) };
    }
    match told(error) {
        Storage::Text { text } => Storage::Stopped { why: text },
        unsynced => unsynced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_each_language_and_as_json_in_english() {
        assert_eq!(serde_json::json!(StorageStatus::default()), serde_json::json!({ "ok": true, "detail": "" }));
        let full = StorageStatus { ok: false, told: vec![Storage::DiskFull], since_ms: Some(0) };
        let english = "the disk is full: redemptions are refused, deliveries go on (since 1970-01-01T00:00:00Z)";
        assert_eq!(serde_json::json!(full), serde_json::json!({ "ok": false, "detail": english }));
        assert!(full.detail(Language::Arabic).ends_with("(منذ \u{2068}1970-01-01T00:00:00Z\u{2069})"));
        let two = StorageStatus::well(vec![Storage::WentOn, Storage::DiskFull]);
        assert_eq!(two.detail(Language::English).split("; ").count(), 3);
    }

    #[test]
    fn an_error_stops_the_store_in_words_that_say_what_it_was() {
        let damaged = StoreError::Damaged("page 3 is no page".to_owned());
        assert!(matches!(stopping(&damaged), Storage::Stopped { why } if why.contains("page 3")));
        assert!(matches!(told(&damaged), Storage::Text { .. }));
    }
}
