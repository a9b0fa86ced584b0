//! How many requests of tills were refused, by reason. The intake counts, the operators' side shows
//! it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

pub use crate::message::Reason;

/// Of the process, as every counter of its metrics is.
static COUNTS: [AtomicU64; Reason::ALL.len()] = [const { AtomicU64::new(0) }; Reason::ALL.len()];

/// One more request was refused for this reason. Where somebody has to see to it, the log says so;
/// it bounds how often.
pub fn count(reason: Reason) {
    if let Some(count) = COUNTS.get(reason as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    NEWS.notify_one();
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

/// Told of what the store does not know of yet.
static NEWS: Notify = Notify::const_new();

/// Returns once the store may not know of some; at once where that was so before.
pub async fn are_news() {
    NEWS.notified().await;
}

/// They could not be kept: whoever waits for news is to try it again.
pub fn remain_news() {
    NEWS.notify_one();
}

/// Of each reason how many the store knows of.
static KEPT: [AtomicU64; Reason::ALL.len()] = [const { AtomicU64::new(0) }; Reason::ALL.len()];

/// What the store does not know of yet.
#[must_use]
pub fn unkept() -> Vec<(Reason, u64)> {
    let unkept = |reason: Reason| {
        let kept = KEPT.get(reason as usize).map_or(0, |kept| kept.load(Ordering::Relaxed));
        (reason, total(reason).saturating_sub(kept))
    };
    Reason::ALL.into_iter().map(unkept).filter(|(_, number)| *number > 0).collect()
}

/// The store knows of so many more.
pub fn are_kept(known: &[(Reason, u64)]) {
    for (reason, number) in known {
        if let Some(kept) = KEPT.get(*reason as usize) {
            kept.fetch_add(*number, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_told_twice() {
        count(Reason::KeyConflict);
        let unkept_of = |reason| {
            unkept().into_iter().find(|(its, _)| *its == reason).map_or(0, |(_, number)| number)
        };
        let first = unkept_of(Reason::KeyConflict);
        assert!(first >= 1);
        are_kept(&[(Reason::KeyConflict, first)]);
        assert!(unkept_of(Reason::KeyConflict) < first, "others of this process count too");
    }

    #[test]
    fn each_reason_has_a_name_and_a_count_of_its_own() {
        for (nth, reason) in (1..).zip(Reason::ALL) {
            let before = total(reason);
            (0..nth).for_each(|_| count(reason));
            // Other tests of this process count too.
            assert!(total(reason) >= before + nth, "{reason:?}");
        }
        let names: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
    }
}
