//! Pure: may this be accepted offline?

use std::time::Duration;

use crate::settings::Offline;

/// What the decision needs to know of a lane, read on the writer's thread inside the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneNow {
    /// Attempts are being made at once: the till may get the provider's own answer.
    pub up: bool,
    /// Down, but the next redemption is itself a probe worth waiting for.
    pub hopeful: bool,
    /// Rows pending.
    pub pending: u64,
    /// How long the lane has not been up; zero while it is.
    pub outage: Duration,
}

/// An offline limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// `offline.accept` is false and the lane is not up.
    NotAccepting,
    /// `offline.max_pending` rows are pending in the lane.
    Pending(u64),
    /// The lane has been down for `offline.max_outage`.
    Outage(Duration),
}

/// Whether one more redemption may be accepted. While the lane is up the policy says nothing: what was late then is
/// accepted all the same.
///
/// # Errors
/// The first limit that stands in the way.
pub fn admit(policy: &Offline, lane: LaneNow) -> Result<(), Limit> {
    if lane.up {
        return Ok(());
    }
    if !policy.accept {
        return Err(Limit::NotAccepting);
    }
    if lane.pending >= policy.max_pending {
        return Err(Limit::Pending(policy.max_pending));
    }
    if lane.outage >= policy.max_outage {
        return Err(Limit::Outage(policy.max_outage));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn policy(accept: bool) -> Offline {
        Offline { accept, max_pending: 3, max_pending_per_till: 3, max_outage: HOUR, ..Offline::default() }
    }

    fn down(pending: u64, outage: Duration) -> LaneNow {
        LaneNow { up: false, hopeful: false, pending, outage }
    }

    #[test]
    fn limits_speak_only_while_the_lane_is_not_up() {
        let up = LaneNow { up: true, pending: 100, outage: 2 * HOUR, ..LaneNow::default() };
        assert_eq!(admit(&policy(false), up), Ok(()));
    }

    #[test]
    fn each_limit_is_reached_exactly_at_its_number() {
        assert_eq!(admit(&policy(true), down(2, Duration::from_millis(3_599_999))), Ok(()));
        assert_eq!(admit(&policy(true), down(3, Duration::ZERO)), Err(Limit::Pending(3)));
        assert_eq!(admit(&policy(true), down(0, HOUR)), Err(Limit::Outage(HOUR)));
        assert_eq!(admit(&policy(false), down(0, Duration::ZERO)), Err(Limit::NotAccepting));
    }
}
