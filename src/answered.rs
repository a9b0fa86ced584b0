//! How long tills waited for their answers. The intake counts, the operators' side shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the classes, in milliseconds; what took longer is in none of them.
pub const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// Of the process, as every counter of its metrics is.
static CLASSES: [AtomicU64; BOUNDS_MS.len()] = [const { AtomicU64::new(0) }; BOUNDS_MS.len()];
static COUNT: AtomicU64 = AtomicU64::new(0);
static SUM_US: AtomicU64 = AtomicU64::new(0);

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// How many answers took at most this many milliseconds, for each of [`BOUNDS_MS`].
    pub within: Vec<(u64, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long they took together, microseconds.
    pub sum_us: u64,
}

/// A till was answered after this time.
pub fn count(took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let class =
        BOUNDS_MS.iter().position(|bound| us <= bound * 1000).and_then(|at| CLASSES.get(at));
    if let Some(class) = class {
        class.fetch_add(1, Ordering::Relaxed);
    }
    SUM_US.fetch_add(us, Ordering::Relaxed);
    COUNT.fetch_add(1, Ordering::Relaxed);
}

/// What was counted since the process began.
#[must_use]
pub fn total() -> Answered {
    let mut so_far = 0;
    let classes = BOUNDS_MS.iter().zip(&CLASSES).map(|(bound, class)| {
        so_far += class.load(Ordering::Relaxed);
        (*bound, so_far)
    });
    let within: Vec<_> = classes.collect();
    // One that is being counted just now is in a class before it is in the count.
    let count = COUNT.load(Ordering::Relaxed).max(so_far);
    Answered { within, count, sum_us: SUM_US.load(Ordering::Relaxed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_in_every_class_that_is_wide_enough() {
        let before = total();
        count(Duration::from_micros(1000));
        count(Duration::from_micros(1001));
        count(Duration::from_secs(60));
        let after = total();
        // Other tests of this process count too.
        let grown = |at: usize| after.within[at].1 - before.within[at].1;
        assert!(grown(0) >= 1 && grown(1) >= 2 && grown(11) >= 2);
        assert!(after.count >= before.count + 3 && after.sum_us >= before.sum_us + 60_000_000);
        assert!(after.within.is_sorted() && after.within[11].1 <= after.count);
    }
}
