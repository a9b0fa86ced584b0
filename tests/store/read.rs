//! What a reader shows: lists by state, lane and number, each with its bound.

use redeemd::message::Note;
use redeemd::redemption::{RewardCode, Seq, State};
use redeemd::store::{Filter, NewRedemption, Search, Void};

use crate::salvage::behind_its_back;
use crate::world::{LANE, NOW_MS, World, confirmed, declined, new, parked};

fn elsewhere(code: &str) -> NewRedemption {
    NewRedemption { lane: "other".to_owned(), ..new("till-1", code) }
}

fn listed(world: &World, filter: &Filter) -> Vec<i64> {
    world.reader().list(filter).unwrap().iter().map(|row| row.seq.0).collect()
}

fn all() -> Filter {
    Filter { limit: 1000, ..Filter::default() }
}

/// Rows 1 to 12: of each lane one pending, confirmed, declined and parked, then the same of the
/// first lane once more.
fn world() -> World {
    let mut world = World::up();
    for lane in [LANE, "other", LANE] {
        for (n, ended) in
            [None, Some(confirmed()), Some(declined("no")), Some(parked())].into_iter().enumerate()
        {
            let code = format!("{lane}-{n}-{}", world.counts().accepted);
            let new = NewRedemption { lane: lane.to_owned(), ..new("till-1", &code) };
            let redeemd::store::Decision::Taken(taken) = world.decide(new) else { panic!() };
            if let Some(ended) = ended {
                world.settle(taken.seq, 1, ended);
            }
        }
    }
    world
}

#[test]
fn lists_are_of_the_state_and_the_lane_that_were_asked_for_and_in_order() {
    let world = world();
    let of = |state, lane: Option<&str>| {
        let Some(lane) = lane.map(str::to_owned) else {
            return listed(&world, &Filter { state, ..all() });
        };
        let search = Search { state, lane: Some(lane), limit: 1000, ..Search::default() };
        let found = world.reader().search(&search).unwrap();
        assert!(found.next.is_none());
        found.rows.iter().map(|row| row.seq.0).collect()
    };
    for (state, there, here) in [
        (State::Pending, vec![5], vec![1, 9]),
        (State::Confirmed, vec![6], vec![2, 10]),
        (State::Declined, vec![7], vec![3, 11]),
        (State::Parked, vec![8], vec![4, 12]),
        (State::Voided, vec![], vec![]),
    ] {
        assert_eq!(of(Some(state), Some("other")), there, "{state}");
        assert_eq!(of(Some(state), Some(LANE)), here, "{state}");
        let mut both = [there, here].concat();
        both.sort_unstable();
        assert_eq!(of(Some(state), None), both, "{state}");
        assert!(of(Some(state), Some("nobody's")).is_empty());
    }
    assert_eq!(of(None, Some("other")), [5, 6, 7, 8]);
    assert_eq!(of(None, None), (1..=12).collect::<Vec<_>>());
}

#[test]
fn a_list_ends_at_its_limit_and_the_next_goes_on_after_its_last() {
    let world = world();
    for state in [None, Some(State::Pending), Some(State::Confirmed), Some(State::Parked)] {
        let whole = listed(&world, &Filter { state, ..all() });
        for limit in 1..=3 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let part = listed(&world, &Filter { state, after, limit });
                assert!(part.len() <= limit);
                let Some(last) = part.last() else { break };
                after = Some(Seq(*last));
                found.extend(part);
            }
            assert_eq!(found, whole, "{state:?} by {limit}");
        }
    }
    assert_eq!(listed(&world, &Filter::default()), [1], "no limit is one");
}

#[test]
fn the_oldest_pending_row_is_that_of_any_lane_in_flight_or_not() {
    let mut world = World::new();
    assert_eq!(world.reader().oldest_pending_ms().unwrap(), None);
    let mut moments = Vec::new();
    for (n, new) in [elsewhere("A"), new("till-1", "B"), elsewhere("C")].into_iter().enumerate() {
        world.stamp.unix_ms = NOW_MS + 1000 * i64::try_from(n).unwrap();
        moments.push(world.stamp.unix_ms);
        world.decide(new);
    }
    assert_eq!(world.reader().oldest_pending_ms().unwrap(), Some(moments[0]));
    let first = world.reader().list(&all()).unwrap().remove(0).id;
    world.one(Void { id: first, note: "n".to_owned(), by: "op".to_owned() });
    assert_eq!(world.claim().len(), 1, "the second is on the wire");
    assert_eq!(world.reader().oldest_pending_ms().unwrap(), Some(moments[1]));
}

#[test]
fn a_damaged_row_says_so_however_it_is_found() {
    let mut world = World::up();
    let taken = world.settled("till-1", "A", parked());
    behind_its_back(&mut world, "UPDATE redemption SET branch = 'elsewhere'");
    let (reader, mut waiting) = (world.reader(), Vec::new());
    reader.waiting(&[(State::Parked, None)], 0, |row| waiting.push(row)).unwrap();
    let search = Search { till: Some("till-1".to_owned()), limit: 10, ..Search::default() };
    for (how, rows) in [
        ("by its id", reader.by_id(&taken.id).unwrap().into_iter().collect()),
        ("in a list", reader.list(&all()).unwrap()),
        ("by its till", reader.search(&search).unwrap().rows),
        ("by its code", reader.of_code(&RewardCode::new("A".to_owned()), &[]).unwrap().rows),
        ("as one that waits", waiting),
    ] {
        let notes: Vec<_> = rows.into_iter().map(|row| row.note).collect();
        assert_eq!(notes, [Some(Note::Damaged)], "{how}");
    }
}
