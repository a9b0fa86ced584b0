//! The audit trail's entries that are about no single redemption.

use super::Admin;
use crate::message::Event as Told;
use crate::store::{Event, Record};

/// Keeps what somebody did besides single redemptions and lanes; the audit trail is no reason to
/// refuse a deed.
pub(super) async fn keep(admin: &Admin, (what, by): (&str, &str), lane: &str, told: &Told) {
    let event = Event {
        at_ms: admin.info.clock.stamp().unix_ms,
        id: None,
        lane: lane.to_owned(),
        what: what.to_owned(),
        by: by.to_owned(),
        detail: told.to_stored(),
    };
    if let Err(error) = admin.queue.ask(Record(event)).await {
        tracing::warn!(%error, what, by, "an action could not be recorded");
    }
}
