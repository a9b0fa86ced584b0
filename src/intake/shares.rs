//! How many requests may be under way, for each till and for all: a till that floods takes its own
//! share alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests under way at once, but for the reserved ones.
const ALL_MAX: usize = 512;
/// Requests of one till under way at once.
const TILL_MAX: usize = 64;
/// Each till may have so many under way however many the others have.
const TILL_RESERVED: usize = 4;

/// The requests under way.
pub(super) struct Shares(Mutex<Under>);

#[derive(Default)]
struct Under {
    all: usize,
    tills: HashMap<Arc<str>, usize>,
}

impl Shares {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    fn under(&self) -> MutexGuard<'_, Under> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more request of `till`, unless it has its share. Without configured tills all are one,
    /// which has no other to leave room for.
    pub(super) fn take(self: &Arc<Self>, till: &Arc<str>, are_configured: bool) -> Option<Permit> {
        let till_max = if are_configured { TILL_MAX } else { ALL_MAX };
        let mut under = self.under();
        let own = under.tills.get(till).copied().unwrap_or(0);
        if own >= till_max || (own >= TILL_RESERVED && under.all >= ALL_MAX) {
            return None;
        }
        under.all += 1;
        under.tills.insert(Arc::clone(till), own + 1);
        Some(Permit { shares: Arc::clone(self), till: Arc::clone(till) })
    }
}

/// One request under way; its place is free again when this is dropped.
pub(super) struct Permit {
    shares: Arc<Shares>,
    till: Arc<str>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut under = self.shares.under();
        under.all = under.all.saturating_sub(1);
        if let Some(own) = under.tills.get_mut(&self.till) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                under.tills.remove(&self.till);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(shares: &Arc<Shares>, till: &str, are_configured: bool) -> Vec<Permit> {
        let till = Arc::from(till);
        std::iter::from_fn(|| shares.take(&till, are_configured)).collect()
    }

    #[test]
    fn a_till_that_floods_takes_its_own_share_alone() {
        let shares = Shares::new();
        let flood = take_all(&shares, "loud", true);
        assert_eq!(flood.len(), TILL_MAX);
        assert_eq!(take_all(&shares, "other", true).len(), TILL_MAX);
    }

    #[test]
    fn however_many_tills_flood_the_next_has_its_reserved_ones() {
        let shares = Shares::new();
        let floods: Vec<_> =
            (0..8).map(|number| take_all(&shares, &format!("loud-{number}"), true)).collect();
        assert_eq!(floods.iter().map(Vec::len).sum::<usize>(), ALL_MAX);
        assert_eq!(take_all(&shares, "quiet", true).len(), TILL_RESERVED);
    }

    #[test]
    fn what_has_ended_is_free_again() {
        let shares = Shares::new();
        drop(take_all(&shares, "till", true));
        assert_eq!(take_all(&shares, "till", true).len(), TILL_MAX);
        assert!(shares.under().tills.is_empty() && shares.under().all == 0);
    }

    #[test]
    fn without_tills_all_places_are_everybodys() {
        assert_eq!(take_all(&Shares::new(), "anonymous", false).len(), ALL_MAX);
    }
}
