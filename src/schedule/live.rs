//! Redemptions whose tills wait: who is asked next, in turn round the tills, and who waits too
//! long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::ClaimedRow;
use crate::redemption::Seq;

/// Live attempts at once, beside the drain's window.
pub const LIVE_SLOTS: u32 = 32;
/// Of these for one till at most.
pub const LIVE_SLOTS_OF_A_TILL: u32 = LIVE_SLOTS / 4;
/// A live row whose attempt ended without an answer is tried again after so long.
const TRIED_AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Where a live row is.
#[derive(Clone, Debug)]
enum LivePlace {
    /// Claimed, for a slot.
    Queued(ClaimedRow),
    Flying,
    /// Not claimed, until its next try.
    Resting(Duration),
    /// Its next try is being claimed.
    Claiming,
    /// Answered, and not yet settled.
    Settling,
}

#[derive(Clone, Debug)]
struct Waiting {
    till: Arc<str>,
    deadline: Duration,
    tries: usize,
    place: LivePlace,
}

/// All that tills wait for.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    rows: BTreeMap<Seq, Waiting>,
    /// Of each till the rows that want a slot, in order.
    queued: BTreeMap<Arc<str>, VecDeque<Seq>>,
    /// The tills with such rows, in turn.
    turn: VecDeque<Arc<str>>,
    /// Attempts on the wire of each till, those included whose till does not wait any more.
    flying: BTreeMap<Arc<str>, u32>,
    in_flight: u32,
    deadlines: BTreeSet<(Duration, Seq)>,
    resting: BTreeSet<(Duration, Seq)>,
}

impl Live {
    /// A claimed row whose till waits until `deadline`. Whoever asked for it before waits for this
    /// attempt; what was claimed for that and not sent is returned.
    pub(super) fn insert(&mut self, row: ClaimedRow, deadline: Duration) -> Option<ClaimedRow> {
        let before = self.remove(row.seq);
        let waiting =
            Waiting { till: Arc::clone(&row.till), deadline, tries: 0, place: LivePlace::Flying };
        self.deadlines.insert((deadline, row.seq));
        self.rows.insert(row.seq, waiting);
        self.queue(row);
        before
    }

    fn queue(&mut self, row: ClaimedRow) {
        let Some(waiting) = self.rows.get_mut(&row.seq) else { return };
        let queue = self.queued.entry(Arc::clone(&row.till)).or_default();
        if queue.is_empty() {
            self.turn.push_back(Arc::clone(&row.till));
        }
        queue.push_back(row.seq);
        waiting.place = LivePlace::Queued(row);
    }

    /// How many attempts are on the wire.
    pub(super) fn flying(&self) -> u32 {
        self.in_flight
    }

    /// How many rows are waited for.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The next row that gets a slot; it flies.
    pub(super) fn take(&mut self) -> Option<ClaimedRow> {
        if self.in_flight >= LIVE_SLOTS {
            return None;
        }
        for _ in 0..self.turn.len() {
            let till = self.turn.pop_front()?;
            let flying = self.flying.get(&till).copied().unwrap_or(0);
            if flying >= LIVE_SLOTS_OF_A_TILL {
                self.turn.push_back(till);
            } else if let Some(row) = self.take_of(&till) {
                return Some(row);
            }
        }
        None
    }

    /// Another till is before this one.
    pub(super) fn goes_last(&mut self, till: &Arc<str>) {
        if let Some(at) = self.turn.iter().position(|other| other == till)
            && let Some(till) = self.turn.remove(at)
        {
            self.turn.push_back(till);
        }
    }

    fn take_of(&mut self, till: &Arc<str>) -> Option<ClaimedRow> {
        let queue = self.queued.get_mut(till)?;
        let seq = queue.pop_front();
        if queue.is_empty() {
            self.queued.remove(till);
        } else {
            self.turn.push_back(Arc::clone(till));
        }
        let waiting = self.rows.get_mut(&seq?)?;
        let LivePlace::Queued(row) = std::mem::replace(&mut waiting.place, LivePlace::Flying)
        else {
            return None;
        };
        *self.flying.entry(Arc::clone(till)).or_default() += 1;
        self.in_flight += 1;
        Some(row)
    }

    /// A live attempt ended, whether its till still waits or not.
    pub(super) fn landed(&mut self, till: &Arc<str>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(flying) = self.flying.get_mut(till) {
            *flying = flying.saturating_sub(1);
            if *flying == 0 {
                self.flying.remove(till);
            }
        }
    }

    /// Its answer is being settled.
    pub(super) fn answered(&mut self, seq: Seq) {
        if let Some(waiting) = self.rows.get_mut(&seq) {
            waiting.place = LivePlace::Settling;
        }
    }

    /// Its attempt ended without an answer: it rests until its next try, if there is one in time.
    pub(super) fn failed(&mut self, seq: Seq, now: Duration) {
        let Some(waiting) = self.rows.get_mut(&seq) else { return };
        let again = TRIED_AGAIN.get(waiting.tries).map(|wait| now + *wait);
        waiting.tries += 1;
        match again.filter(|again| *again < waiting.deadline) {
            Some(again) => self.rests(seq, again),
            None => drop(self.remove(seq)),
        }
    }

    /// The row is tried again then.
    pub(super) fn rests(&mut self, seq: Seq, until: Duration) {
        if let Some(waiting) = self.rows.get_mut(&seq) {
            waiting.place = LivePlace::Resting(until);
            self.resting.insert((until, seq));
        }
    }

    /// Rows whose next try is due; they are to be claimed.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Seq> {
        let mut due = Vec::new();
        while let Some((_, seq)) = self.resting.first().copied().filter(|(until, _)| *until <= now)
        {
            self.resting.pop_first();
            if let Some(waiting) = self.rows.get_mut(&seq) {
                waiting.place = LivePlace::Claiming;
                due.push(seq);
            }
        }
        due
    }

    /// Whether its next try is being claimed. Where its till asked again meanwhile, another claim
    /// stands.
    pub(super) fn is_claiming(&self, seq: Seq) -> bool {
        self.rows.get(&seq).is_some_and(|waiting| matches!(waiting.place, LivePlace::Claiming))
    }

    /// Its next try is claimed; the row comes back where nobody waits for that any more.
    pub(super) fn claimed(&mut self, row: ClaimedRow) -> Option<ClaimedRow> {
        if !self.is_claiming(row.seq) {
            return Some(row);
        }
        self.queue(row);
        None
    }

    /// The answer was settled: its till is told, unless it asked again meanwhile.
    pub(super) fn settled(&mut self, seq: Seq) {
        let waiting = self.rows.get(&seq);
        if waiting.is_some_and(|waiting| matches!(waiting.place, LivePlace::Settling)) {
            drop(self.remove(seq));
        }
    }

    /// Its till is told, or waits no longer. What it had claimed and not sent.
    #[must_use]
    pub(super) fn remove(&mut self, seq: Seq) -> Option<ClaimedRow> {
        let waiting = self.rows.remove(&seq)?;
        self.deadlines.remove(&(waiting.deadline, seq));
        match waiting.place {
            LivePlace::Queued(row) => {
                let queue = self.queued.entry(Arc::clone(&waiting.till)).or_default();
                queue.retain(|queued| *queued != seq);
                if queue.is_empty() {
                    self.queued.remove(&waiting.till);
                    self.turn.retain(|till| *till != waiting.till);
                }
                Some(row)
            }
            LivePlace::Resting(until) => {
                self.resting.remove(&(until, seq));
                None
            }
            LivePlace::Flying | LivePlace::Claiming | LivePlace::Settling => None,
        }
    }

    /// Rows whose time is over.
    pub(super) fn overdue(&self, now: Duration) -> Vec<Seq> {
        self.deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .map(|(_, seq)| *seq)
            .collect()
    }

    /// Rows that are neither on the wire nor answered.
    pub(super) fn unsent(&self) -> Vec<Seq> {
        let unsent =
            |waiting: &Waiting| !matches!(waiting.place, LivePlace::Flying | LivePlace::Settling);
        self.rows.iter().filter(|(_, waiting)| unsent(waiting)).map(|(seq, _)| *seq).collect()
    }

    /// All of these but the first of each till that is claimed.
    pub(super) fn beyond_one_a_till(&self) -> Vec<Seq> {
        let firsts: BTreeSet<Seq> =
            self.queued.values().filter_map(|queue| queue.front().copied()).collect();
        self.unsent().into_iter().filter(|seq| !firsts.contains(seq)).collect()
    }

    /// Whether a till waits for the row.
    pub(super) fn waits_for(&self, seq: Seq) -> bool {
        self.rows.contains_key(&seq)
    }

    /// Rows that the backlog must leave alone.
    pub(super) fn all(&self) -> impl Iterator<Item = Seq> {
        self.rows.keys().copied()
    }

    /// When a row's time is over, or its next try is due.
    pub(super) fn next_moment(&self) -> Option<Duration> {
        let first = |set: &BTreeSet<(Duration, Seq)>| set.first().map(|(at, _)| *at);
        [first(&self.deadlines), first(&self.resting)].into_iter().flatten().min()
    }
}
