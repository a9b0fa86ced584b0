//! The store's health as people read it, and what its errors mean to them.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::QueueError;
use crate::clock::rfc3339;
use crate::message::{Language, Storage};
use crate::store::{OperationKind, StoreError, Trouble};

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

    /// Nothing is accepted from `now_ms` on.
    pub(super) fn bad(why: Storage, now_ms: i64) -> Self {
        Self { ok: false, told: vec![why], since_ms: Some(now_ms) }
    }

    /// Since when it is not well, Unix milliseconds.
    #[must_use]
    pub fn since_ms(&self) -> Option<i64> {
        self.since_ms
    }

    /// All that is told, without the time; empty when all is well.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let separator = match language {
            Language::English => "; ",
            Language::Arabic => "؛ ",
        };
        let told: Vec<String> = self.told.iter().map(|told| told.text(language)).collect();
        told.join(separator)
    }

    /// All of it in one line; empty when all is well.
    #[must_use]
    pub fn detail(&self, language: Language) -> String {
        let since = match language {
            Language::English => "since",
            Language::Arabic => "منذ",
        };
        let told = self.words(language);
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

/// What is known of the storage. What was seen of it goes in; what may begin, and what people are
/// told, comes out.
#[derive(Debug, Default)]
pub(super) struct Health {
    is_full: bool,
    unwritable: Option<Storage>,
    /// The files are not those that were opened.
    taken: Option<Storage>,
    /// What was set aside and kept.
    salvaged: Option<Storage>,
    /// Where the books say something else than the rows.
    differences: Vec<Storage>,
}

impl Health {
    /// Of a store with what its last salvage set aside.
    pub(super) fn new(salvaged: Option<Storage>) -> Self {
        Self { salvaged, ..Self::default() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn is_unwritable(&self) -> bool {
        self.unwritable.is_some()
    }

    pub(super) fn was_salvaged(&self) -> bool {
        self.salvaged.is_some()
    }

    /// Whether anything is refused.
    pub(super) fn is_refusing(&self) -> bool {
        self.is_full || self.unwritable.is_some() || self.taken.is_some()
    }

    /// On a full disk nothing new is taken in, but what is there is delivered; on a dead one
    /// nothing is sent that could not be settled.
    pub(super) fn refusal(&self, kind: OperationKind) -> Option<Storage> {
        if !matches!(kind, OperationKind::New | OperationKind::Beginning) {
            return None;
        }
        let dead = self.taken.as_ref().or(self.unwritable.as_ref());
        let full = (self.is_full && kind == OperationKind::New).then_some(&Storage::DiskFull);
        dead.or(full).cloned()
    }

    /// Whether that is news.
    pub(super) fn set_full(&mut self, is_full: bool) -> bool {
        std::mem::replace(&mut self.is_full, is_full) != is_full
    }

    /// Whether that is news: another reason is none.
    pub(super) fn set_unwritable(&mut self, why: Option<Storage>) -> bool {
        let is_unwritable = why.is_some();
        std::mem::replace(&mut self.unwritable, why).is_some() != is_unwritable
    }

    pub(super) fn set_taken(&mut self, why: Option<Storage>) {
        self.taken = why;
    }

    pub(super) fn set_salvaged(&mut self, note: Option<Storage>) {
        self.salvaged = note;
    }

    /// Whether that is news.
    pub(super) fn set_differences(&mut self, differences: &[Storage]) -> bool {
        let is_news = self.differences != differences;
        if is_news {
            self.differences = differences.to_vec();
        }
        is_news
    }

    /// What operators see from `now_ms` on.
    pub(super) fn status(&self, now_ms: i64) -> StorageStatus {
        match self.refusal(OperationKind::New) {
            Some(why) => StorageStatus::bad(why, now_ms),
            None => StorageStatus::well(
                self.salvaged.iter().chain(&self.differences).cloned().collect(),
            ),
        }
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
    if matches!(error, StoreError::Taken { .. }) {
        return Storage::Gone { why };
    }
    match error.trouble() {
        Trouble::Unwritable => Storage::Unwritable { why },
        // A failed sync is never tried again: the kernel may have thrown away what it could not
        // write.
        Trouble::Fatal => Storage::Unsynced { why },
        Trouble::Full | Trouble::Operation | Trouble::Damaged => Storage::Text { text: why },
    }
}

/// Why nothing is written again.
#[expect(clippy::wildcard_enum_match_arm, reason = "what has words of its own keeps them")]
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
        assert_eq!(
            serde_json::json!(StorageStatus::default()),
            serde_json::json!({ "ok": true, "detail": "" })
        );
        let full = StorageStatus { ok: false, told: vec![Storage::DiskFull], since_ms: Some(0) };
        let english = "the disk is full: redemptions are refused, deliveries go on (since \
            1970-01-01T00:00:00Z)";
        assert_eq!(serde_json::json!(full), serde_json::json!({ "ok": false, "detail": english }));
        assert!(
            full.detail(Language::Arabic).ends_with("(منذ \u{2068}1970-01-01T00:00:00Z\u{2069})")
        );
        let two = StorageStatus::well(vec![Storage::WentOn, Storage::DiskFull]);
        assert_eq!(two.detail(Language::English).split("; ").count(), 3);
    }

    #[test]
    fn a_full_disk_takes_nothing_new_and_a_dead_one_begins_nothing() {
        let mut health = Health::default();
        assert!(health.set_full(true) && !health.set_full(true) && health.is_refusing());
        let refused = |health: &Health| {
            [
                OperationKind::New,
                OperationKind::Beginning,
                OperationKind::Ending,
                OperationKind::Other,
            ]
            .map(|kind| health.refusal(kind))
        };
        assert_eq!(refused(&health), [Some(Storage::DiskFull), None, None, None]);
        let dead = Storage::Unwritable { why: "a test".to_owned() };
        assert!(health.set_unwritable(Some(dead.clone())));
        assert_eq!(refused(&health), [Some(dead.clone()), Some(dead.clone()), None, None]);
        assert!(!health.set_unwritable(Some(dead.clone())), "it is dead as before");
        let taken = Storage::TakenUnsaved { why: "gone".to_owned(), error: String::new() };
        health.set_taken(Some(taken.clone()));
        assert_eq!(
            health.status(7),
            StorageStatus::bad(taken, 7),
            "that a database is gone comes first"
        );
    }

    #[test]
    fn what_is_worth_knowing_is_told_while_all_is_well_and_once() {
        let mut health = Health::new(Some(Storage::WentOn));
        assert!(
            health.set_differences(&[Storage::DiskFull])
                && !health.set_differences(&[Storage::DiskFull])
        );
        assert_eq!(health.status(7), StorageStatus::well(vec![Storage::WentOn, Storage::DiskFull]));
        assert!(health.set_full(true) && !health.status(7).ok);
        assert!(health.set_full(false) && health.status(9).ok);
    }

    #[test]
    fn an_error_stops_the_store_in_words_that_say_what_it_was() {
        let damaged = StoreError::Damaged("page 3 is no page".to_owned());
        assert!(matches!(stopping(&damaged), Storage::Stopped { why } if why.contains("page 3")));
        assert!(matches!(told(&damaged), Storage::Text { .. }));
    }
}
