//! Places for connections: who has one, who may be told to leave it, and in which order.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Bounds, Source};

/// So many that are refused for want of a token hear it in peace: each costs what a till's request
/// costs.
const TURNED_AWAY_MAX: usize = 64;

/// All places of the listeners that share them.
pub(super) struct Slots {
    bounds: Bounds,
    state: Mutex<SlotsState>,
    /// A place was left, or somebody in one may be told to leave it.
    changed: Notify,
}

/// Who leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// In a request that is refused for want of a token.
    TurnedAway,
    /// In a request whose body has not come whole, and has shown no token.
    Sending,
    /// Waits for a header, and has shown no valid token.
    Stranger,
    /// Waits for a header, and has shown a valid token.
    Known,
}

/// Of one rank, who has been in it longest leaves first.
type Turn = (Rank, u64);

#[derive(Default)]
struct SlotsState {
    /// Numbers connections, and orders the begins of their turns.
    next: u64,
    /// By the connection's number. Who is not here any more has been told to leave.
    taken: HashMap<u64, HeldSlot>,
    /// Who may be told to leave, first the one to leave first.
    turns: BTreeMap<Turn, u64>,
    /// How many of them have shown no valid token.
    strangers: usize,
    /// How many of these are refused for want of one.
    turned_away: usize,
    /// Of each source, those without a valid token.
    of_source: HashMap<Source, BTreeMap<Turn, u64>>,
}

struct HeldSlot {
    source: Option<Source>,
    is_known: bool,
    /// Its key in `turns`; `None` while a request is under way.
    turn: Option<Turn>,
    came: Instant,
    leave: Arc<Notify>,
}

impl SlotsState {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn begin_turn(&mut self, connection: u64, rank: Rank) {
        self.end_turn(connection);
        let turn = (rank, self.number());
        let Some(standing) = self.taken.get_mut(&connection) else { return };
        standing.turn = Some(turn);
        self.turns.insert(turn, connection);
        if rank == Rank::Known {
            return;
        }
        self.strangers += 1;
        self.turned_away += usize::from(rank == Rank::TurnedAway);
        if let Some(source) = standing.source {
            self.of_source.entry(source).or_default().insert(turn, connection);
        }
    }

    fn end_turn(&mut self, connection: u64) {
        let Some(standing) = self.taken.get_mut(&connection) else { return };
        let Some(turn) = standing.turn.take() else { return };
        self.turns.remove(&turn);
        if turn.0 == Rank::Known {
            return;
        }
        self.strangers = self.strangers.saturating_sub(1);
        self.turned_away = self.turned_away.saturating_sub(usize::from(turn.0 == Rank::TurnedAway));
        let Some(source) = standing.source else { return };
        if let Some(turns) = self.of_source.get_mut(&source) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.of_source.remove(&source);
            }
        }
    }

    fn leave(&mut self, connection: u64) {
        self.end_turn(connection);
        if let Some(standing) = self.taken.remove(&connection) {
            standing.leave.notify_one();
        }
    }

    /// Where strangers have their share, of a source's or of all places, those who had their time
    /// to show a token give way to the next, who may have one.
    fn keep_shares(&mut self, source: Option<Source>, bounds: &Bounds) {
        while self.of_source(source) >= bounds.strangers_of_source_max {
            let Some(first) =
                self.first_of(source).filter(|first| self.had_its_time(*first, bounds))
            else {
                break;
            };
            self.leave(first);
        }
        while self.strangers >= bounds.strangers_max {
            let Some(first) = self.first().filter(|first| self.had_its_time(*first, bounds)) else {
                break;
            };
            self.leave(first);
        }
    }

    /// Makes a place free, at the cost of the newcomer's own source where that has more than its
    /// share; false when all are in a request.
    fn make_place(&mut self, source: Option<Source>, bounds: &Bounds) -> bool {
        let own = self
            .first_of(source)
            .filter(|_| self.of_source(source) >= bounds.strangers_of_source_max);
        own.or_else(|| self.first()).map(|connection| self.leave(connection)).is_some()
    }

    /// Who leaves first.
    fn first(&self) -> Option<u64> {
        self.turns.first_key_value().map(|(_, connection)| *connection)
    }

    /// Of the strangers of one source, who leaves first.
    fn first_of(&self, source: Option<Source>) -> Option<u64> {
        self.of_source.get(&source?)?.values().next().copied()
    }

    /// How many strangers of this source may be told to leave.
    fn of_source(&self, source: Option<Source>) -> usize {
        source.and_then(|source| self.of_source.get(&source)).map_or(0, BTreeMap::len)
    }

    /// Whether it could have shown a token by now, or showed a wrong one. Tills behind one address
    /// may come all at once, and each needs a moment for its header.
    fn had_its_time(&self, connection: u64, bounds: &Bounds) -> bool {
        self.taken.get(&connection).is_none_or(|standing| {
            let is_turned_away = standing.turn.is_some_and(|(rank, _)| rank == Rank::TurnedAway);
            is_turned_away || standing.came.elapsed() >= bounds.newcomer_within
        })
    }
}

impl Slots {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, state: Mutex::default(), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, SlotsState> {
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
        state.taken.len() < self.bounds.connections_max || !state.turns.is_empty()
    }

    /// A place, if need be that of the connection that has to leave first; `None` when all are in a
    /// request.
    pub(super) fn admit(self: &Arc<Self>, source: Option<Source>) -> Option<Slot> {
        let mut state = self.state();
        state.keep_shares(source, &self.bounds);
        if state.taken.len() >= self.bounds.connections_max
            && !state.make_place(source, &self.bounds)
        {
            return None;
        }
        let connection = state.number();
        let leave = Arc::new(Notify::new());
        let (came, leaves) = (Instant::now(), Arc::clone(&leave));
        let standing = HeldSlot { source, is_known: false, turn: None, came, leave: leaves };
        state.taken.insert(connection, standing);
        state.begin_turn(connection, Rank::Stranger);
        Some(Slot { slots: Arc::clone(self), connection, leave })
    }

    /// Tells the connection that has to leave first to do so.
    pub(super) fn evict_first(&self) {
        let mut state = self.state();
        if let Some(first) = state.first() {
            state.leave(first);
        }
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
        let state = self.slots.state();
        let waits =
            |standing: &HeldSlot| standing.turn.is_some_and(|(rank, _)| rank >= Rank::Stranger);
        state.taken.get(&self.connection).is_none_or(waits)
    }

    /// Whether it is in no request that has to be answered.
    pub(super) fn may_leave(&self) -> bool {
        let state = self.slots.state();
        state.taken.get(&self.connection).is_none_or(|standing| standing.turn.is_some())
    }

    /// A header has come: until the guard is dropped the connection cannot be told to leave, unless
    /// it is turned away or sends its body. `None` when it already has been told.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Busy> {
        let mut state = self.slots.state();
        state.taken.get(&self.connection)?;
        state.end_turn(self.connection);
        Some(Busy(Arc::clone(self)))
    }

    /// Who asks has shown a valid token.
    pub(super) fn is_known(&self) {
        if let Some(standing) = self.slots.state().taken.get_mut(&self.connection) {
            standing.is_known = true;
        }
    }

    /// Who asks has shown none: from now on the connection is the first to leave.
    pub(super) fn is_turned_away(&self) {
        let mut state = self.slots.state();
        if let Some(standing) = state.taken.get_mut(&self.connection) {
            standing.is_known = false;
        }
        state.begin_turn(self.connection, Rank::TurnedAway);
        while state.turned_away > TURNED_AWAY_MAX
            && let Some(first) = state.first()
        {
            state.leave(first);
        }
        drop(state);
        self.slots.changed.notify_waiters();
    }

    /// Who asks has shown none and may do without, and its body is on its way: meanwhile the
    /// connection may have to leave.
    pub(super) fn is_sending(&self) {
        self.slots.state().begin_turn(self.connection, Rank::Sending);
        self.slots.changed.notify_waiters();
    }

    /// The body is awaited no more.
    pub(super) fn has_sent_all(&self) {
        self.slots.state().end_turn(self.connection);
    }

    fn wait_again(&self) {
        let mut state = self.slots.state();
        let is_known = state.taken.get(&self.connection).is_some_and(|standing| standing.is_known);
        state.begin_turn(self.connection, if is_known { Rank::Known } else { Rank::Stranger });
        drop(state);
        self.slots.changed.notify_waiters();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        state.end_turn(self.connection);
        state.taken.remove(&self.connection);
        drop(state);
        self.slots.changed.notify_waiters();
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
    use std::time::Duration;

    use super::super::Peer;
    use super::*;

    /// Nobody here has a moment for a header, unless the test says so.
    const NO_MOMENT: Bounds = Bounds { newcomer_within: Duration::ZERO, ..Bounds::USUAL };

    fn slots(connections_max: usize, strangers_of_source_max: usize) -> Arc<Slots> {
        Slots::new(Bounds { connections_max, strangers_of_source_max, ..NO_MOMENT })
    }

    fn from(last: u8) -> Option<Source> {
        Peer { addr: Some(([10, 0, 0, last], 1).into()), uid: None }.source()
    }

    fn told_to_leave(slot: &Slot) -> bool {
        !slot.slots.state().taken.contains_key(&slot.connection)
    }

    #[test]
    fn the_one_that_waits_longest_leaves_first() {
        let slots = slots(2, 2);
        let (one, two) = (
            Arc::new(slots.admit(None).expect("free")),
            Arc::new(slots.admit(None).expect("free")),
        );
        drop(one.begin());
        let three = slots.admit(None).expect("the second waits");
        assert!(told_to_leave(&two) && !told_to_leave(&one));
        let four = slots.admit(None).expect("the first waits");
        assert!(told_to_leave(&one) && !told_to_leave(&three) && !told_to_leave(&four));
    }

    #[test]
    fn nobody_in_a_request_is_told_to_leave() {
        let slots = slots(1, 1);
        let slot = Arc::new(slots.admit(None).expect("free"));
        let busy = slot.begin().expect("still there");
        assert!(!slot.is_waiting() && !slots.has_room() && slots.admit(None).is_none());
        slots.evict_first();
        assert!(!told_to_leave(&slot));
        drop(busy);
        assert!(slot.is_waiting() && slots.has_room() && slots.admit(None).is_some());
    }

    #[test]
    fn who_was_told_to_leave_begins_nothing() {
        let slots = slots(1, 1);
        let slot = Arc::new(slots.admit(None).expect("free"));
        let other = slots.admit(None).expect("made free");
        assert!(slot.begin().is_none());
        drop(slot);
        assert!(!told_to_leave(&other));
    }

    #[test]
    fn who_is_turned_away_leaves_first_then_strangers_and_a_till_last() {
        let slots = slots(3, 3);
        let [till, stranger, refused] =
            [(); 3].map(|()| Arc::new(slots.admit(None).expect("free")));
        let busy = till.begin();
        till.is_known();
        drop(busy);
        let _busy = refused.begin();
        refused.is_turned_away();
        let one = slots.admit(None).expect("of the one turned away");
        assert!(told_to_leave(&refused) && !told_to_leave(&stranger) && !told_to_leave(&till));
        let two = slots.admit(None).expect("of the stranger");
        assert!(told_to_leave(&stranger) && !told_to_leave(&till));
        let _three = slots.admit(None).expect("of the next stranger");
        assert!(told_to_leave(&one) && !told_to_leave(&two) && !told_to_leave(&till));
    }

    #[test]
    fn a_strangers_body_that_is_awaited_gives_way_and_one_that_came_does_not() {
        let slots = slots(2, 2);
        let [drips, came] = [(); 2].map(|()| Arc::new(slots.admit(None).expect("free")));
        let busy = [drips.begin(), came.begin()];
        assert!(!slots.has_room());
        drips.is_sending();
        came.is_sending();
        came.has_sent_all();
        assert!(slots.has_room() && !drips.is_waiting());
        let next = Arc::new(slots.admit(None).expect("of the one that drips"));
        assert!(told_to_leave(&drips) && !told_to_leave(&came));
        let _busy = next.begin();
        assert!(slots.admit(None).is_none(), "both are in a request");
        drop(busy);
    }

    #[test]
    fn a_source_with_its_share_of_strangers_gives_up_its_own_and_known_ones_do_not_count() {
        let slots = slots(100, 2);
        let other = slots.admit(from(2)).expect("free");
        let known = Arc::new(slots.admit(from(1)).expect("free"));
        drop(known.begin().inspect(|_| known.is_known()));
        let [one, two] = [(); 2].map(|()| slots.admit(from(1)).expect("free"));
        let _three = slots.admit(from(1)).expect("of the first stranger of this source");
        assert!(
            told_to_leave(&one)
                && !told_to_leave(&two)
                && !told_to_leave(&known)
                && !told_to_leave(&other)
        );
    }

    #[test]
    fn strangers_of_whatever_sources_have_a_share_of_all_places_and_known_ones_do_not_count() {
        let slots = Slots::new(Bounds { strangers_max: 2, ..NO_MOMENT });
        let known = Arc::new(slots.admit(from(1)).expect("free"));
        drop(known.begin().inspect(|_| known.is_known()));
        let [one, two] = [2, 3].map(|last| slots.admit(from(last)).expect("free"));
        let _three = slots.admit(from(4)).expect("of the first stranger");
        assert!(told_to_leave(&one) && !told_to_leave(&two) && !told_to_leave(&known));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_has_a_moment_for_its_header_however_many_come_from_one_address() {
        let slots = Slots::new(Bounds { connections_max: 300, ..Bounds::USUAL });
        let burst: Vec<_> =
            (0..299).map(|_| Arc::new(slots.admit(from(1)).expect("free"))).collect();
        assert!(!burst.iter().any(|slot| told_to_leave(slot)), "any of them may be a till");
        let known = &burst[200];
        drop(known.begin().inspect(|_| known.is_known()));
        tokio::time::advance(Bounds::USUAL.newcomer_within).await;
        let late = slots.admit(from(1)).expect("free");
        let left = burst.iter().filter(|slot| told_to_leave(slot)).count();
        assert_eq!(
            left,
            299 - 1 - (Bounds::USUAL.strangers_of_source_max - 1),
            "all but a share had their time"
        );
        assert!(!told_to_leave(known) && !told_to_leave(&late));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_turned_away_has_no_moment() {
        let slots = Slots::new(Bounds { strangers_of_source_max: 1, ..Bounds::USUAL });
        let slot = Arc::new(slots.admit(from(1)).expect("free"));
        let _busy = slot.begin();
        slot.is_turned_away();
        let _next = slots.admit(from(1)).expect("its place");
        assert!(told_to_leave(&slot));
    }

    #[test]
    fn those_who_are_turned_away_are_bounded_whatever_their_sources() {
        let slots = Slots::new(Bounds::USUAL);
        let refused: Vec<_> = (0..=u8::try_from(TURNED_AWAY_MAX).expect("small"))
            .map(|last| Arc::new(slots.admit(from(last)).expect("free")))
            .map(|slot| (slot.begin(), slot.is_turned_away(), slot))
            .collect();
        let left: Vec<_> = refused.iter().map(|(_, (), slot)| told_to_leave(slot)).collect();
        assert!(left[0] && !left[1..].contains(&true), "the first one alone: {left:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fills_all_places_pays_with_its_own() {
        let slots =
            Slots::new(Bounds { connections_max: 4, strangers_of_source_max: 2, ..Bounds::USUAL });
        let till = slots.admit(from(2)).expect("free");
        let flood: Vec<_> = (0..20).map(|_| slots.admit(from(1)).expect("a place")).collect();
        assert!(!told_to_leave(&till), "it came before all of them");
        assert_eq!(flood.iter().filter(|slot| !told_to_leave(slot)).count(), 3);
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let slots = slots(2, 2);
        let slot = Arc::new(slots.admit(from(1)).expect("free"));
        let busy = slot.begin();
        slot.is_turned_away();
        drop((busy, slot));
        let state = slots.state();
        assert!(state.taken.is_empty() && state.turns.is_empty() && state.of_source.is_empty());
        assert_eq!((state.strangers, state.turned_away), (0, 0));
    }

    #[test]
    fn a_place_that_is_left_is_free() {
        let slots = slots(1, 1);
        let slot = Arc::new(slots.admit(None).expect("free"));
        let busy = slot.begin();
        drop(slot);
        assert!(!slots.has_room());
        drop(busy);
        assert!(slots.has_room() && slots.state().turns.is_empty());
    }

    #[tokio::test]
    async fn waiting_for_room_ends_when_a_request_ends() {
        let slots = slots(1, 1);
        let slot = Arc::new(slots.admit(None).expect("free"));
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
