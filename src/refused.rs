//! How many requests of tills were refused, by reason: counted where they are refused, read where they are shown.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a request was refused without the provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// `[offline] max_pending` is reached.
    LimitPending,
    /// `[offline] max_pending_per_till` is reached.
    LimitTill,
    /// `[offline] max_outage` is used up.
    LimitOutage,
    /// A rule's own limit is reached.
    LimitRule,
    /// Nothing is accepted on trust, by the settings or an operator.
    NotAccepting,
    /// The lane may be asked and does not answer, and there is no evidence that others go unanswered too.
    Untrusted,
    /// The code has been used.
    Used,
    /// No token, or one that no till has.
    Token,
    /// The request cannot be read: its headers, its size, its fields.
    Malformed,
    /// A date that the contract cannot mean.
    Date,
    /// Too many requests are under way.
    Busy,
    /// The store takes nothing.
    Storage,
    /// No provider serves the business, or the till is not set up for the business or the branch.
    NoLane,
    /// An `Idempotency-Key` that was used for another request.
    KeyConflict,
}

impl Reason {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Self; 14] = [
        Self::LimitPending,
        Self::LimitTill,
        Self::LimitOutage,
        Self::LimitRule,
        Self::NotAccepting,
        Self::Untrusted,
        Self::Used,
        Self::Token,
        Self::Malformed,
        Self::Date,
        Self::Busy,
        Self::Storage,
        Self::NoLane,
        Self::KeyConflict,
    ];

    /// Whether somebody has to see to it: no till can help itself, however often it asks.
    #[must_use]
    pub fn is_the_stores(self) -> bool {
        match self {
            Self::LimitPending
            | Self::LimitTill
            | Self::LimitOutage
            | Self::LimitRule
            | Self::NotAccepting
            | Self::Untrusted
            | Self::Busy
            | Self::Storage
            | Self::NoLane => true,
            Self::Used | Self::Token | Self::Malformed | Self::Date | Self::KeyConflict => false,
        }
    }

    /// The label's value in `redeemd_refused_total{reason}`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LimitPending => "limit_pending",
            Self::LimitTill => "limit_till",
            Self::LimitOutage => "limit_outage",
            Self::LimitRule => "limit_rule",
            Self::NotAccepting => "not_accepting",
            Self::Untrusted => "untrusted",
            Self::Used => "used",
            Self::Token => "token",
            Self::Malformed => "malformed",
            Self::Date => "date",
            Self::Busy => "busy",
            Self::Storage => "storage",
            Self::NoLane => "no_lane",
            Self::KeyConflict => "key_conflict",
        }
    }
}

/// Of the process, as every counter of its metrics is.
static COUNTS: [AtomicU64; Reason::ALL.len()] = [const { AtomicU64::new(0) }; Reason::ALL.len()];

/// One more request was refused for this reason. Where somebody has to see to it, the log says so; it bounds how often.
pub fn count(reason: Reason) {
    if let Some(count) = COUNTS.get(reason as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    if reason.is_the_stores() {
        let (word, total) = (reason.as_str(), total(reason));
        tracing::warn!(total, "requests of tills are refused: {word}");
    }
}

/// How many requests were refused for this reason since the process began.
#[must_use]
pub fn total(reason: Reason) -> u64 {
    COUNTS.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_name_and_a_count_of_its_own() {
        for (nth, reason) in (1..).zip(Reason::ALL) {
            let before = total(reason);
            (0..nth).for_each(|_| count(reason));
            // Other tests of this process count too.
            assert!(total(reason) >= before + nth, "{reason:?}");
        }
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
    }
}
