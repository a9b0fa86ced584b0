//! A damaged database is salvaged by the writer, which answers nobody meanwhile: whether that goes
//! on, for the watchdog.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::notify::LONG_WORK_MAX;

/// No step is seen while the new database is synced: so much a slow card may take.
const STILL_MAX: Duration = Duration::from_secs(300);

/// The salvage that is under way, if there is one.
#[derive(Debug, Default)]
pub(super) struct Salvaging(Mutex<Option<SalvageProgress>>);

#[derive(Debug)]
struct SalvageProgress {
    begun: Instant,
    steps: u64,
    stepped: Instant,
}

impl Salvaging {
    pub(super) fn begin(&self, now: Instant) {
        self.set(Some(SalvageProgress { begun: now, steps: 0, stepped: now }));
    }

    pub(super) fn end(&self) {
        self.set(None);
    }

    fn set(&self, progress: Option<SalvageProgress>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Whether one is under way that has made so many `steps` by now, and is no longer at it, or at
    /// the same step, than it may be.
    pub(super) fn goes_on(&self, steps: u64, now: Instant) -> bool {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = progress.as_mut() else { return false };
        if progress.steps != steps {
            (progress.steps, progress.stepped) = (steps, now);
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        since(progress.begun) < LONG_WORK_MAX && since(progress.stepped) < STILL_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salvage_goes_on_for_as_long_as_it_makes_steps_and_not_for_ever() {
        let (salvaging, now) = (Salvaging::default(), Instant::now());
        assert!(!salvaging.goes_on(7, now), "there is none");
        salvaging.begin(now);
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        assert!(salvaging.goes_on(7, now) && salvaging.goes_on(7, after(299)));
        assert!(!salvaging.goes_on(7, after(300)), "it is stuck");
        assert!(salvaging.goes_on(8, after(301)) && salvaging.goes_on(8, after(600)));
        assert!((9..21).all(|n| salvaging.goes_on(n, after(n * 60))));
        assert!(!salvaging.goes_on(99, after(3600)), "it has no end");
        salvaging.end();
        assert!(!salvaging.goes_on(100, now));
    }
}
