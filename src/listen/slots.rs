//! Places for connections: who has one, who waits in one for its header, and who has to leave it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All places of one listener.
pub(super) struct Slots {
    max: usize,
    state: Mutex<State>,
    /// A place was left, or somebody in one began to wait.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Numbers connections, and orders the begins of their waiting.
    next: u64,
    /// By the connection's number. Who is not here any more has been told to leave.
    taken: HashMap<u64, Standing>,
    /// The connections that wait for a header, longest first.
    waiting: BTreeMap<u64, u64>,
}

struct Standing {
    /// Its key in `waiting`; `None` while a request is under way.
    waiting_since: Option<u64>,
    leave: Arc<Notify>,
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn evict_longest_waiting(&mut self) -> bool {
        let Some((_, connection)) = self.waiting.pop_first() else { return false };
        if let Some(standing) = self.taken.remove(&connection) {
            standing.leave.notify_one();
        }
        true
    }
}

impl Slots {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, state: Mutex::default(), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a place is free or can be made free.
    pub(super) async fn room(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.has_room() {
                return;
            }
            changed.await;
        }
    }

    fn has_room(&self) -> bool {
        let state = self.state();
        state.taken.len() < self.max || !state.waiting.is_empty()
    }

    /// A place, if need be that of the connection that has waited longest; `None` when all are in a request.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.state();
        if state.taken.len() >= self.max && !state.evict_longest_waiting() {
            return None;
        }
        let connection = state.number();
        let leave = Arc::new(Notify::new());
        state.waiting.insert(connection, connection);
        let standing = Standing { waiting_since: Some(connection), leave: Arc::clone(&leave) };
        state.taken.insert(connection, standing);
        Some(Slot { slots: Arc::clone(self), connection, leave })
    }

    /// Tells the connection that has waited longest to leave.
    pub(super) fn evict_longest_waiting(&self) {
        self.state().evict_longest_waiting();
    }
}

/// A connection's place, given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    connection: u64,
    leave: Arc<Notify>,
}

impl Slot {
    /// Resolves when the connection has to leave.
    pub(super) async fn evicted(&self) {
        self.leave.notified().await;
    }

    /// Whether it waits for a header (or has been told to leave).
    pub(super) fn is_waiting(&self) -> bool {
        self.slots.state().taken.get(&self.connection).is_none_or(|standing| standing.waiting_since.is_some())
    }

    /// A header has come: until the guard is dropped the connection cannot be told to leave. `None` when it already
    /// has been.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Busy> {
        let mut state = self.slots.state();
        let since = state.taken.get_mut(&self.connection)?.waiting_since.take();
        if let Some(since) = since {
            state.waiting.remove(&since);
        }
        Some(Busy(Arc::clone(self)))
    }

    fn wait_again(&self) {
        let mut state = self.slots.state();
        let since = state.number();
        if let Some(standing) = state.taken.get_mut(&self.connection) {
            standing.waiting_since = Some(since);
            state.waiting.insert(since, self.connection);
        }
        drop(state);
        self.slots.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        if let Some(Standing { waiting_since: Some(since), .. }) = state.taken.remove(&self.connection) {
            state.waiting.remove(&since);
        }
        drop(state);
        self.slots.changed.notify_one();
    }
}

/// A request is under way.
pub(super) struct Busy(Arc<Slot>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.wait_again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_to_leave(slot: &Slot) -> bool {
        !slot.slots.state().taken.contains_key(&slot.connection)
    }

    #[test]
    fn the_one_that_waits_longest_leaves_first() {
        let slots = Slots::new(2);
        let (one, two) = (Arc::new(slots.admit().expect("free")), Arc::new(slots.admit().expect("free")));
        drop(one.begin());
        let three = slots.admit().expect("the second waits");
        assert!(told_to_leave(&two) && !told_to_leave(&one));
        let four = slots.admit().expect("the first waits");
        assert!(told_to_leave(&one) && !told_to_leave(&three) && !told_to_leave(&four));
    }

    #[test]
    fn nobody_in_a_request_is_told_to_leave() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.admit().expect("free"));
        let busy = slot.begin().expect("still there");
        assert!(!slot.is_waiting() && !slots.has_room() && slots.admit().is_none());
        slots.evict_longest_waiting();
        assert!(!told_to_leave(&slot));
        drop(busy);
        assert!(slot.is_waiting() && slots.has_room() && slots.admit().is_some());
    }

    #[test]
    fn who_was_told_to_leave_begins_nothing() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.admit().expect("free"));
        let other = slots.admit().expect("made free");
        assert!(slot.begin().is_none());
        drop(slot);
        assert!(!told_to_leave(&other));
    }

    #[test]
    fn a_place_that_is_left_is_free() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.admit().expect("free"));
        let busy = slot.begin();
        drop(slot);
        assert!(!slots.has_room());
        drop(busy);
        assert!(slots.has_room() && slots.state().waiting.is_empty());
    }

    #[tokio::test]
    async fn waiting_for_room_ends_when_a_request_ends() {
        let slots = Slots::new(1);
        let slot = Arc::new(slots.admit().expect("free"));
        let busy = slot.begin();
        let room = slots.room();
        tokio::pin!(room);
        tokio::select! {
            biased;
            () = &mut room => panic!("there is none"),
            () = std::future::ready(()) => drop(busy),
        }
        room.await;
    }
}
