//! How many requests of tills were refused, by reason: counted where they are refused, read where they are shown.

use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::message::Reason;

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
