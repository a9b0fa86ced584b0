//! What became of redemptions, counted.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::row::RowView;
use super::on_trust;
use crate::value::Amount;

/// What became of those that were accepted on trust; `owed` alone counts others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fate {
    #[serde(rename(deserialize = "given"))]
    pub(super) accepted: u64,
    /// Although the provider could be asked: it was silent, or slower than a till waits.
    pub(super) late: u64,
    pub(super) pending: u64,
    pub(super) confirmed: u64,
    pub(super) declined: u64,
    pub(super) parked: u64,
    pub(super) voided: u64,
    /// Confirmed only because "already used" is explained by an attempt of ours.
    pub(super) inferred: u64,
    /// Declined after the fact, whatever became of them then.
    pub(super) lost: u64,
    /// The till was told no and the provider took it: the reward was not handed out yet.
    pub(super) owed: u64,
    /// As `owed`, and handed out since.
    pub(super) paid: u64,
    /// Taken back by its till after it had been given.
    pub(super) taken_back: u64,
    /// What is at risk, as `max_exposure` counts it: what those are worth that are pending, parked,
    /// lost, confirmed by inference or taken back, until a person has handled them (trust.md,
    /// section 5). Of rows that are still kept.
    #[serde(skip_deserializing)]
    pub(super) value_at_risk: Amount,
    /// What those are worth that were declined after the fact.
    /// Likewise.
    #[serde(skip_deserializing)]
    pub(super) value_lost: Amount,
    /// Of `lost`, those that the provider has not answered again since: sent again and still
    /// pending, parked, or voided. Of rows that are still kept.
    #[serde(skip)]
    pub(super) lost_since: u64,
}

impl Fate {
    /// Counts a row.
    pub(super) fn add(&mut self, row: &RowView) {
        self.owed += u64::from(row.owed);
        self.paid += u64::from(row.owed_paid);
        if !on_trust(row) {
            return;
        }
        self.accepted += 1;
        self.late += u64::from(row.accepted_online);
        self.inferred += u64::from(row.duplicate_of_ours);
        self.lost += u64::from(is_lost(row));
        match row.state.as_str() {
            "pending" => self.pending += 1,
            "confirmed" => self.confirmed += 1,
            "declined" => self.declined += 1,
            "parked" => self.parked += 1,
            "voided" => {
                self.voided += 1;
                // An operator's void has a note, a till's has none.
                self.taken_back += u64::from(row.note.is_none());
            }
            // A state of a newer daemon shows as a difference between accepted and the rest.
            _ => {}
        }
    }

    /// Counts what the gateway's sums do not say of a row that is kept; they have the others.
    pub(super) fn add_kept(&mut self, row: &RowView) {
        if on_trust(row) {
            self.add_value(row);
            let is_answered = matches!(row.state.as_str(), "confirmed" | "declined");
            self.lost_since += u64::from(is_lost(row) && !is_answered);
        }
    }

    /// Counts what a row is worth. What was lost is at risk as well, until it is handled.
    fn add_value(&mut self, row: &RowView) {
        let value = row.value.as_deref().and_then(Amount::parse).unwrap_or_default();
        let is_open = match row.state.as_str() {
            "pending" => true,
            "parked" | "voided" | "declined" => !row.handled,
            _ => row.duplicate_of_ours && !row.handled,
        };
        if is_open {
            self.value_at_risk = self.value_at_risk.plus(value);
        }
        if is_lost(row) {
            self.value_lost = self.value_lost.plus(value);
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.late += other.late;
        self.pending += other.pending;
        self.confirmed += other.confirmed;
        self.declined += other.declined;
        self.parked += other.parked;
        self.voided += other.voided;
        self.inferred += other.inferred;
        self.lost += other.lost;
        self.owed += other.owed;
        self.paid += other.paid;
        self.taken_back += other.taken_back;
        self.value_at_risk = self.value_at_risk.plus(other.value_at_risk);
        self.value_lost = self.value_lost.plus(other.value_lost);
        self.lost_since += other.lost_since;
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether each one accepted is in one of the states that this program knows.
    pub(super) fn is_balanced(&self) -> bool {
        self.accepted == self.pending + self.confirmed + self.declined + self.parked + self.voided
    }

    /// How many the provider has decided, each once: one that it declined and confirmed when it was
    /// sent again is one. Where one was voided since and has left, what was lost is the least.
    fn decided(&self) -> u64 {
        (self.confirmed + self.declined + self.lost_since).max(self.lost)
    }

    /// How many in 10,000 of those that the provider decided it declined after the fact, rounded;
    /// nothing where it decided none.
    pub(super) fn declined_in_10000(&self) -> Option<u64> {
        let decided = self.decided();
        (self.lost * 10_000 + decided / 2).checked_div(decided)
    }

    /// As a percentage: "1.25 %".
    pub(super) fn declined_rate(&self) -> String {
        let percent = |rate: u64| format!("{}.{:02} %", rate / 100, rate % 100);
        self.declined_in_10000().map_or_else(|| "-".to_owned(), percent)
    }

    /// The numbers of the table by day.
    pub(super) fn numbers(&self) -> [u64; 7] {
        [
            self.accepted,
            self.late,
            self.confirmed,
            self.declined,
            self.parked,
            self.pending,
            self.voided,
        ]
    }

    /// `head`'s members and the counts, for machines.
    pub(super) fn members(&self, mut head: Value) -> Value {
        if let (Some(object), Value::Object(counts)) = (head.as_object_mut(), json!(self)) {
            object.extend(counts);
            object.insert("declined_in_10000".to_owned(), json!(self.declined_in_10000()));
        }
        head
    }
}

/// Whether it was declined after the fact, whatever became of it then.
fn is_lost(row: &RowView) -> bool {
    row.lost || row.state == "declined"
}
