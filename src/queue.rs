//! The async handle on the one thread that owns the store: group commit, wake-ups, and where intake, forwarder and
//! admin meet.

use std::time::Duration;

use serde::Serialize;

use crate::redemption::{Id, Redemption, Seq};
use crate::store::{Acted, Counts, Decision, Event, Filter, NewRedemption, Refused, VoidOutcome};

/// Why the queue did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue is full: come again after this many seconds.
    #[error("too many requests are waiting; try again in {retry_after_s} s")]
    Busy {
        /// For `Retry-After`.
        retry_after_s: u64,
    },
    /// The disk is full or read-only, the database is being rescued: nothing was stored.
    #[error("the store takes nothing now: {0}")]
    Refusing(String),
    /// The daemon is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

/// How waiting for a row's answer ended.
#[derive(Clone, Debug)]
pub enum Waited {
    /// It was settled: the row with its answer, committed.
    Settled(Box<Redemption>),
    /// The attempt ended without a verdict.
    AttemptEnded,
    /// The time was up.
    TimedOut,
}

/// What a lane's forwarder publishes for status, metrics and the console.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    /// The provider's name.
    pub name: String,
    /// `up`, `down` or `held`.
    pub link: &'static str,
    /// The cause's short word (`resolve`, `connect`, `tls`, `clock`, `write`, `answer`, `credential`,
    /// `not_the_provider`, `provider`, `declines`, `operator`, `not_configured`, `rate`); `None` while up.
    pub cause: Option<String>,
    /// What it means and what to do, in plain words; `None` while up.
    pub explanation: Option<String>,
    /// RFC 3339, UTC: since when it is not up.
    pub since: Option<String>,
    /// Rows pending.
    pub pending: u64,
    /// The drain's window now.
    pub window: u32,
    /// Attempts on the wire.
    pub in_flight: u32,
    /// Seconds until the provider's `Retry-After` is over, if it set one.
    pub waiting_s: Option<u64>,
    /// Attempts ended since start, by outcome word (`confirmed`, `declined`, `parked`, `credential`, `wait`,
    /// `row_fault`, `reset`, `not_the_provider`, and the road's phases).
    pub attempts: std::collections::BTreeMap<&'static str, u64>,
}

/// What an operator may tell a lane.
#[derive(Clone, Debug)]
pub enum LaneCommand {
    /// Probe at once.
    Flush,
    /// Hold the lane for a person; survives a restart.
    Hold {
        /// The operator.
        by: String,
    },
    /// Let a held lane go on.
    Release {
        /// The operator.
        by: String,
    },
}

/// The store's health as `status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct StorageStatus {
    /// Whether redemptions can be accepted.
    pub ok: bool,
    /// Why not, or what was set aside and salvaged; empty when all is well.
    pub detail: String,
}

/// The handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue;

#[expect(clippy::todo, clippy::unused_async, unused_variables, missing_docs, reason = "signatures first")]
impl Queue {
    /// One transaction decides about a till's request.
    pub async fn accept(&self, new: NewRedemption) -> Result<Decision, QueueError> {
        todo!()
    }
    /// Waits for the answer of a pending row.
    pub async fn wait(&self, seq: Seq, within: Duration) -> Waited {
        todo!()
    }
    /// After a wait in vain for a `provider_only` row.
    pub async fn refuse_at_till(&self, id: &Id) -> Result<Refused, QueueError> {
        todo!()
    }
    /// A till's own row.
    pub async fn receipt(&self, id: &Id, till: &str) -> Result<Option<Redemption>, QueueError> {
        todo!()
    }
    pub async fn void_by_till(&self, id: &Id, till: &str) -> Result<VoidOutcome, QueueError> {
        todo!()
    }
    /// Rows in order, on a read-only connection.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Redemption>, QueueError> {
        todo!()
    }
    /// One row with its events.
    pub async fn show(&self, id: &Id) -> Result<Option<(Redemption, Vec<Event>)>, QueueError> {
        todo!()
    }
    /// The operator's retry of a declined or parked row.
    pub async fn retry(&self, id: &Id, by: &str) -> Result<Acted, QueueError> {
        todo!()
    }
    /// The declines of the streak for which `lane` is held become pending again; how many.
    pub async fn retry_held(&self, lane: &str, by: &str) -> Result<u64, QueueError> {
        todo!()
    }
    /// The operator closes a pending or parked row with a note.
    pub async fn void(&self, id: &Id, note: &str, by: &str) -> Result<Acted, QueueError> {
        todo!()
    }
    /// Totals over all lanes; no query.
    pub fn counts(&self) -> Counts {
        todo!()
    }
    /// Totals per lane; no query.
    pub fn counts_by_lane(&self) -> Vec<(String, Counts)> {
        todo!()
    }
    /// Age of the oldest pending row in seconds; one index look-up.
    pub async fn oldest_pending_age_s(&self) -> Option<u64> {
        todo!()
    }
    pub fn storage(&self) -> StorageStatus {
        todo!()
    }
    /// Every lane, configured or not, in the order of the settings.
    pub fn lanes(&self) -> Vec<LaneStatus> {
        todo!()
    }
    /// Tells a lane (or all with `None`); the lanes told; `Err` names an unknown lane.
    pub async fn command(&self, lane: Option<&str>, command: LaneCommand) -> Result<Vec<String>, String> {
        todo!()
    }
    /// Faults of the last reload, if the settings on disk were refused.
    pub fn reload_faults(&self) -> Vec<String> {
        todo!()
    }
}
