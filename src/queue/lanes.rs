//! The registry of the lanes: the writer, the forwarders and operators find them here.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::time::Instant;

use super::lane::{Lane, LaneStatus};
use crate::limits::LaneNow;
use crate::link::Cause;
use crate::redemption::Seq;
use crate::store::{Claimed, Counts};
use crate::trust::Trust;

/// The lanes of the settings, in their order. A reload replaces them all at once.
#[derive(Debug, Default)]
pub(super) struct Lanes(RwLock<Arc<Vec<Arc<Lane>>>>);

impl Lanes {
    pub(super) fn all(&self) -> Arc<Vec<Arc<Lane>>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Lane>> {
        find(&self.all(), name).cloned()
    }

    pub(super) fn set(&self, lanes: Vec<Arc<Lane>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lanes);
    }

    /// A row of the lane waits to be sent.
    pub(super) fn signal(&self, name: &str, seq: Seq) {
        if let Some(lane) = self.find(name) {
            lane.signal(seq);
        }
    }

    /// Rows of any lane may wait to be sent.
    pub(super) fn signal_all(&self) {
        for lane in self.all().iter() {
            lane.signal(Seq(0));
        }
    }

    /// Gives a row whose till waits to its lane; false when there is no room, or no such lane.
    pub(super) fn hand_over(&self, name: &str, row: Claimed) -> bool {
        self.find(name).is_some_and(|lane| lane.hand_over(row).is_ok())
    }

    /// Every lane as operators see it, then those without settings that have rows pending.
    pub(super) fn statuses(&self, counts: &[(String, Counts)]) -> Vec<LaneStatus> {
        let lanes = self.all();
        let pending = |name: &str| {
            counts.iter().find(|(lane, _)| lane == name).map_or(0, |(_, counts)| counts.pending)
        };
        let known =
            lanes.iter().map(|lane| LaneStatus { pending: pending(lane.name()), ..lane.status() });
        let orphans = counts
            .iter()
            .filter(|(name, counts)| counts.pending > 0 && find(&lanes, name).is_none());
        known.chain(orphans.map(|(name, counts)| orphan(name, counts.pending))).collect()
    }
}

fn find<'a>(lanes: &'a [Arc<Lane>], name: &str) -> Option<&'a Arc<Lane>> {
    lanes.iter().find(|lane| lane.name() == name)
}

/// The lane's link at that moment; one that is not known counts as up.
pub(super) fn lane_now(lanes: &[Arc<Lane>], name: &str, now: Instant) -> LaneNow {
    find(lanes, name).map_or_else(LaneNow::default, |lane| lane.now(now))
}

/// Whether there is evidence from others for a row of `till` whose time is over.
pub(super) fn has_evidence(lanes: &[Arc<Lane>], name: &str, seq: Seq, till: &str) -> bool {
    find(lanes, name).is_some_and(|lane| lane.has_evidence(seq, till))
}

/// How a lane is shown whose provider the settings do not name.
fn orphan(name: &str, pending: u64) -> LaneStatus {
    let cause = Cause::NotConfigured;
    LaneStatus {
        name: name.to_owned(),
        link: "held",
        seen: "held",
        drain: "held",
        trust: Trust::Never.as_str(),
        cause: Some(cause.as_str().to_owned()),
        pending,
        ..LaneStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_of_no_provider_is_shown_with_all_its_words() {
        let counts = Counts { accepted: 2, pending: 2, ..Counts::default() };
        let shown = Lanes::default().statuses(&[("gone".to_owned(), counts)]);
        let words: Vec<_> =
            shown.iter().map(|lane| (lane.seen, lane.drain, lane.trust, lane.pending)).collect();
        assert_eq!(words, [("held", "held", "never", 2)]);
    }
}
