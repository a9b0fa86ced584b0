//! How many checks of tills were answered, by what answered them. The intake counts, the operators'
//! side shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::worded;

worded! {
    /// What answered a check.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Answerer {
        /// The provider.
        Passed = "passed",
        /// What the provider had said before.
        Remembered = "remembered",
        /// This store: the code is held here.
        Held = "held",
        /// Nobody: the provider could not be asked, and nothing was known.
        Unknown = "unknown",
    }
}

/// Of the process, as every counter of its metrics is.
static COUNTS: [AtomicU64; Answerer::ALL.len()] =
    [const { AtomicU64::new(0) }; Answerer::ALL.len()];

/// One more check was answered so.
pub fn count(answerer: Answerer) {
    if let Some(count) = COUNTS.get(answerer as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many checks were answered so since the process began.
#[must_use]
pub fn total(answerer: Answerer) -> u64 {
    COUNTS.get(answerer as usize).map_or(0, |count| count.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answerer_has_a_name_and_a_count_of_its_own() {
        for (nth, answerer) in (1..).zip(Answerer::ALL) {
            let before = total(answerer);
            (0..nth).for_each(|_| count(answerer));
            // Other tests of this process count too.
            assert!(total(answerer) >= before + nth, "{answerer:?}");
            assert_eq!(answerer as usize + 1, usize::try_from(nth).unwrap());
        }
        let names: std::collections::BTreeSet<_> =
            Answerer::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names.len(), Answerer::ALL.len());
    }
}
