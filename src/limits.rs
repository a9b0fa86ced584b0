//! Pure: may this be accepted on trust?

use std::time::Duration;

use crate::link::Cause;
use crate::settings::Offline;
use crate::trust::Trust;

/// While the cause could be somebody's doing (a rogue certificate, a spoofed clock), only this part of each limit is
/// given.
const TENTH: u32 = 10;

/// What a decision needs to know of a lane, read on the writer's thread inside the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneNow {
    /// The provider can be asked: the lane is up, or its trouble may be one row's.
    pub ask: bool,
    /// Whether redemptions are accepted on trust.
    pub trust: Trust,
    /// Live redemptions are handed to the lane.
    pub live: bool,
    /// Why it is not up.
    pub cause: Option<Cause>,
    /// Rows pending in the lane.
    pub pending: u64,
    /// Rows of the till pending in the lane.
    pub till_pending: u64,
    /// How much of `max_outage` is used.
    pub outage: Duration,
    /// What is left of the provider's `Retry-After`, seconds.
    pub retry_after_s: Option<u64>,
}

impl Default for LaneNow {
    /// A lane that is up.
    fn default() -> Self {
        Self {
            ask: true,
            trust: Trust::Unanswered,
            live: true,
            cause: None,
            pending: 0,
            till_pending: 0,
            outage: Duration::ZERO,
            retry_after_s: None,
        }
    }
}

impl LaneNow {
    /// A lane whose road is down.
    #[must_use]
    pub fn down() -> Self {
        let (trust, cause) = (Trust::AtOnce { tenth: false }, Some(Cause::Connect));
        Self { ask: false, live: false, trust, cause, ..Self::default() }
    }
}

/// An offline limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// `offline.accept` is false.
    NotAccepting,
    /// So many rows are pending in the lane.
    Pending(u64),
    /// So many rows of the till are pending in the lane.
    Till(u64),
    /// So much outage was used within `offline.max_outage`.
    Outage(Duration),
}

/// Whether one more redemption may be accepted on trust.
///
/// # Errors
/// The first limit that stands in the way.
pub fn admit(policy: &Offline, lane: &LaneNow) -> Result<(), Limit> {
    if !policy.accept {
        return Err(Limit::NotAccepting);
    }
    let part = if lane.trust == (Trust::AtOnce { tenth: true }) { TENTH } else { 1 };
    let max_pending = policy.max_pending / u64::from(part);
    let max_till = policy.max_pending_per_till / u64::from(part);
    let max_outage = policy.max_outage / part;
    if lane.pending >= max_pending {
        return Err(Limit::Pending(max_pending));
    }
    if lane.till_pending >= max_till {
        return Err(Limit::Till(max_till));
    }
    if lane.outage >= max_outage {
        return Err(Limit::Outage(max_outage));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DateFormat, OneTill};

    const HOUR: Duration = Duration::from_secs(3600);

    fn policy(accept: bool) -> Offline {
        let (max_pending, max_pending_per_till) = (30, 20);
        Offline {
            accept,
            max_pending,
            max_pending_per_till,
            max_outage: HOUR,
            date_format: DateFormat::Any,
            one_till: OneTill::Refuse,
            ..Offline::default()
        }
    }

    fn down(pending: u64, outage: Duration) -> LaneNow {
        let trust = Trust::AtOnce { tenth: false };
        LaneNow { ask: false, trust, live: false, pending, outage, ..LaneNow::default() }
    }

    #[test]
    fn each_limit_is_reached_exactly_at_its_number() {
        assert_eq!(admit(&policy(true), &down(29, Duration::from_millis(3_599_999))), Ok(()));
        assert_eq!(admit(&policy(true), &down(30, Duration::ZERO)), Err(Limit::Pending(30)));
        assert_eq!(admit(&policy(true), &down(0, HOUR)), Err(Limit::Outage(HOUR)));
        assert_eq!(admit(&policy(false), &down(0, Duration::ZERO)), Err(Limit::NotAccepting));
        let till = |till_pending| LaneNow { till_pending, ..down(20, Duration::ZERO) };
        assert_eq!(admit(&policy(true), &till(19)), Ok(()));
        assert_eq!(admit(&policy(true), &till(20)), Err(Limit::Till(20)));
    }

    #[test]
    fn a_cause_that_could_be_somebodys_doing_leaves_a_tenth_of_each_limit() {
        let tenth = |lane: LaneNow| LaneNow { trust: Trust::AtOnce { tenth: true }, ..lane };
        assert_eq!(admit(&policy(true), &tenth(down(2, (HOUR / 10).saturating_sub(Duration::from_millis(1))))), Ok(()));
        assert_eq!(admit(&policy(true), &tenth(down(3, Duration::ZERO))), Err(Limit::Pending(3)));
        assert_eq!(admit(&policy(true), &tenth(down(0, HOUR / 10))), Err(Limit::Outage(HOUR / 10)));
    }
}
