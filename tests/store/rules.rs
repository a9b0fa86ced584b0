//! The one transaction decides; the marks; verdict to state: each rule of the store.

use std::time::Duration;

use redeemd::decide::{CodeRules, WaitEnd};
use redeemd::limits::LaneNow;
use redeemd::message::{self, Denied, Language, Note};
use redeemd::redemption::{Answer, Id, Redemption, Seq, State};
use redeemd::store::{
    About, Accept, Acted, AskStanding, CheckAnswered, CheckAsked, CheckHeld, CheckSaid, Claim,
    Concluded, Conclusion, Counts, Decided, Decision, Ended, FILE, Filter, Handling, Hold, Holder,
    Job, Kept, LaneMemory, Limit, NewRedemption, NotGiven, Operation, Prune, Recount, Remember,
    Retention, RetryHeld, Settlement, Surroundings, Taken, Unclaim, Unheard, Void, VoidByTill,
    VoidOutcome, WaitMemory, relayed,
};
use redeemd::value::Amount;

use crate::world::{
    LANE, NOW_MS, World, accept_op, confirmed, declined, new, parked, request, request_at,
};

fn void_by_till(world: &mut World, id: &Id, till: &str, withdrawn: bool) -> VoidOutcome {
    world.one(VoidByTill { id: id.clone(), till: till.to_owned(), withdrawn })
}

fn conclude(world: &mut World, seq: Seq, withdrawn: bool) -> Concluded {
    world.one(Conclusion { seq, end: WaitEnd::InVain, withdrawn })
}

/// A redemption that is on its way, and whose till has waited in vain.
fn told_no() -> (World, Taken) {
    let mut world = World::up();
    let asked = world.take("till-1", "A");
    assert!(matches!(conclude(&mut world, asked.seq, false), Concluded::Refused { .. }));
    (world, asked)
}

fn unknown() -> Conclusion {
    Conclusion { seq: Seq(77), end: WaitEnd::InVain, withdrawn: false }
}

fn void(world: &mut World, id: &Id) -> Acted {
    world.one(Void { id: id.clone(), note: "a note".to_owned(), by: "op".to_owned() })
}

fn keyed(till: &str, key: &str, code: &str) -> NewRedemption {
    NewRedemption { key: Some(key.to_owned()), ..new(till, code) }
}

/// A person frees the code of a redemption.
fn free(world: &mut World, id: &Id) -> Redemption {
    let (note, by) = ("told".to_owned(), "ann".to_owned());
    let Acted::Done(row) = world.one(Handling { id: id.clone(), note, free: true, by }) else {
        panic!()
    };
    assert!(row.handled && row.freed);
    *row
}

fn later(till: &str, code: &str) -> NewRedemption {
    NewRedemption { request: request_at(code, "2027-01-15 11:00:00"), ..new(till, code) }
}

#[test]
fn a_repeat_of_a_pending_row_is_the_same_row() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let Decision::StillPending(again) = world.decide(new("till-1", "A")) else { panic!() };
    assert_eq!((again.seq, again.id, again.worth_waiting), (taken.seq, taken.id, false));
    assert_eq!(world.counts().accepted, 1);
}

#[test]
fn a_repeat_in_the_same_batch_is_the_same_row() {
    let mut world = World::new();
    let results = world.run(&[accept_op(new("till-1", "A")), accept_op(new("till-1", "A"))]);
    let [Ok(first), Ok(second)] = &results[..] else { panic!("{results:?}") };
    let (Decision::Taken(one), Decision::StillPending(two)) = (&first.decision, &second.decision)
    else {
        panic!("{results:?}")
    };
    assert_eq!(one.id, two.id);
}

#[test]
fn while_nothing_can_be_written_a_repeat_is_found_and_nobody_elses_row() {
    let mut world = World::up();
    let rules = CodeRules::default();
    let asked = world.take("till-1", "A");
    let Decision::Taken(by_key) = world.decide(keyed("till-1", "k", "B")) else { panic!() };
    let found = |world: &World, new: &NewRedemption| {
        world.reader().repeated(new, rules).unwrap().map(|row| row.id)
    };
    assert_eq!(found(&world, &new("till-1", "A")), Some(asked.id.clone()));
    assert_eq!(found(&world, &keyed("till-1", "k2", "A")), Some(asked.id.clone()));
    assert_eq!(found(&world, &keyed("till-1", "k", "B")), Some(by_key.id));
    for other in [new("till-2", "A"), new("till-1", "C"), keyed("till-1", "k", "A")] {
        assert_eq!(found(&world, &other), None, "{other:?}");
    }
    assert!(matches!(conclude(&mut world, asked.seq, false), Concluded::Refused { .. }));
    world.one(Settlement::new(asked.seq, 1, confirmed()));
    assert_eq!(found(&world, &new("till-1", "A")), None, "what is owed is not given unwritten");
}

#[test]
fn a_repeat_survives_a_restart() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    world.crash();
    assert!(matches!(
        world.decide(new("till-1", "A")),
        Decision::StillPending(again) if again.id == taken.id
    ));
}

#[test]
fn a_repeat_of_a_settled_row_gets_the_providers_stored_answer() {
    let mut world = World::up();
    world.settled("till-1", "A", declined("no such reward"));
    let Decision::Settled(row) = world.decide(new("till-1", "A")) else { panic!() };
    assert_eq!((row.state, relayed(&row).status), (State::Declined, 400));
    world.settled("till-1", "B", confirmed());
    let Decision::Settled(row) = world.decide(new("till-1", "B")) else { panic!() };
    assert_eq!((row.state, relayed(&row).body.as_ref()), (State::Confirmed, &b"{}"[..]));
}

#[test]
fn a_repeat_shares_the_wait_for_an_attempt_in_flight() {
    let mut world = World::up();
    world.take("till-1", "A");
    assert!(matches!(
        world.decide(new("till-1", "A")),
        Decision::StillPending(again) if again.worth_waiting
    ));
}

#[test]
fn a_till_waits_while_the_provider_can_be_asked_and_is_trusted_at_once_where_it_cannot_be_reached()
{
    let mut world = World::new();
    let given = world.take("till-1", "A");
    assert!(!given.worth_waiting && given.trusted);
    world.lane = LaneNow::default();
    let asked = world.take("till-1", "C");
    assert!(asked.worth_waiting && !asked.trusted);
}

#[test]
fn a_tills_own_key_decides_whatever_the_five_fields_say() {
    let mut world = World::new();
    let Decision::Taken(taken) = world.decide(keyed("till-1", "k", "A")) else { panic!() };
    assert!(matches!(
        world.decide(keyed("till-1", "k", "A")),
        Decision::StillPending(again) if again.id == taken.id
    ));
    assert!(matches!(world.decide(keyed("till-1", "k", "B")), Decision::KeyReused));
    assert_eq!(world.counts().accepted, 1);
}

#[test]
fn keys_are_scoped_by_till() {
    let mut world = World::new();
    assert!(matches!(world.decide(keyed("till-1", "k", "A")), Decision::Taken(_)));
    assert!(matches!(world.decide(keyed("till-2", "k", "B")), Decision::Taken(_)));
}

#[test]
fn two_tills_with_the_same_five_fields_compete_for_the_code() {
    let mut world = World::new();
    world.take("till-1", "A");
    let Decision::Used(by) = world.decide(new("till-2", "A")) else { panic!() };
    assert_eq!((by.till.as_str(), by.accepted_at_ms, by.state), ("till-1", NOW_MS, State::Pending));
    assert_eq!(world.counts().accepted, 1);
}

#[test]
fn of_two_tills_in_one_batch_one_gets_the_code() {
    let mut world = World::new();
    let results = world.run(&[accept_op(new("till-1", "A")), accept_op(new("till-2", "A"))]);
    assert!(matches!(results[0], Ok(Decided { decision: Decision::Taken(_), .. })));
    assert!(matches!(results[1], Ok(Decided { decision: Decision::Used(_), .. })));
}

#[test]
fn another_merchants_code_of_the_same_text_is_another_code_where_the_provider_can_say_so() {
    let mut world = World::new();
    world.take("till-1", "A");
    let mut other = new("till-2", "A");
    other.request.business_refrence = "other".to_owned();
    // The merchant's name is what a till says: it must not open a second reward while nobody can be
    // asked.
    assert!(matches!(world.decide(other.clone()), Decision::Used(_)));
    world.lane = LaneNow::default();
    assert!(matches!(world.decide(other), Decision::Taken(_)));
}

#[test]
fn a_reusable_code_is_not_guarded() {
    let mut world = World::new();
    world.take("till-1", "SUMMER10");
    let op = Accept {
        new: new("till-2", "SUMMER10"),
        rules: CodeRules { reusable: true, exact: false },
    };
    assert!(matches!(world.one(op), Decided { decision: Decision::Taken(_), .. }));
}

#[test]
fn what_was_declined_after_it_was_given_is_used_until_the_provider_can_be_asked() {
    let mut world = World::new();
    let lost = world.settled("till-1", "A", declined("no"));
    assert!(world.show(&lost.id).lost);
    assert!(matches!(
        world.decide(later("till-2", "A")),
        Decision::Used(by) if by.state == State::Declined
    ));
    world.lane = LaneNow::default();
    assert!(
        matches!(world.decide(later("till-2", "A")), Decision::Taken(taken) if taken.provider_only)
    );
}

#[test]
fn what_the_provider_refused_a_till_is_refused_in_its_words_while_it_cannot_be_asked() {
    let mut world = World::up();
    let asked = world.take("till-1", "A");
    world.settle(asked.seq, 1, declined("Reward expired"));
    world.lane = LaneNow::down();
    let Decision::RefusedBefore(row) = world.decide(later("till-2", "A")) else { panic!() };
    assert_eq!((&row.id, relayed(&row).status), (&asked.id, 400));
    world.lane = LaneNow::default();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Taken(_)));
}

#[test]
fn a_code_that_was_taken_back_after_it_was_given_is_its_tills_once_more_and_nobody_elses() {
    let mut world = World::new();
    let given = world.take("till-1", "A");
    assert!(matches!(void_by_till(&mut world, &given.id, "till-1", false), VoidOutcome::Voided(_)));
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Used(_)), "another till");
    let Decision::Taken(again) = world.decide(later("till-1", "A")) else {
        panic!("a cashier corrects a sale")
    };
    assert!(matches!(void_by_till(&mut world, &again.id, "till-1", false), VoidOutcome::Voided(_)));
    let third =
        NewRedemption { request: request_at("A", "2027-01-15 12:00:00"), ..new("till-1", "A") };
    assert!(matches!(world.decide(third), Decision::Used(_)), "once");
    let events = world.reader().events(given.seq).unwrap();
    assert!(events.iter().any(|event| event.what == "void_by_till"), "{events:?}");
}

#[test]
fn a_till_that_resets_each_connection_takes_again_what_it_took_back() {
    let mut world = World::new();
    let given = world.take("till-1", "A");
    void_by_till(&mut world, &given.id, "till-1", false);
    world.missed = Some(given.seq);
    let Decision::Taken(again) = world.decide(later("till-1", "A")) else {
        panic!("it has read the answer: it took the sale back")
    };
    assert!(again.trusted && again.id != given.id);
}

#[test]
fn a_code_that_was_taken_back_long_ago_is_used_for_its_till_too() {
    let mut world = World::new();
    let given = world.take("till-1", "A");
    void_by_till(&mut world, &given.id, "till-1", false);
    world.stamp.unix_ms += 11 * 60_000;
    assert!(matches!(world.decide(later("till-1", "A")), Decision::Used(_)));
}

#[test]
fn a_code_that_a_person_closed_is_held_for_its_till_too_until_a_person_frees_it() {
    let mut world = World::new();
    let lost = world.settled("till-1", "LOST", declined("Reward expired"));
    let gone = world.settled("till-1", "GONE", declined("Reward expired"));
    world.retry(&lost.id);
    world.retry(&gone.id);
    world.lane = LaneNow::default();
    let refused = world.settled("till-1", "REFUSED", declined("Reward expired"));
    world.retry(&refused.id);
    world.lane = LaneNow::down();
    let stolen = world.take("till-1", "STOLEN");
    for row in [&stolen, &lost, &refused] {
        assert!(matches!(void(&mut world, &row.id), Acted::Done(_)));
    }
    let given = void_by_till(&mut world, &gone.id, "till-1", false);
    assert!(matches!(given, VoidOutcome::Voided(_)));
    for (row, code) in [(stolen, "STOLEN"), (lost, "LOST"), (gone, "GONE"), (refused, "REFUSED")] {
        let told = world.decide(later("till-1", code));
        assert!(matches!(told, Decision::Used(_)), "{code}: {told:?}");
        free(&mut world, &row.id);
        let told = world.decide(later("till-1", code));
        assert!(matches!(told, Decision::Taken(_)), "{code}: {told:?}");
    }
}

#[test]
fn a_code_is_one_code_in_whatever_clothes_it_comes() {
    for other in [
        "a-1",
        " A-1 ",
        "A\u{200b}-1",
        "\u{ff21}-1",
        "A\u{2010}1",
        "A-\u{661}",
        "A-\u{6f1}",
        "\u{a0}A-1",
    ] {
        let mut world = World::new();
        world.take("till-1", "A-1");
        assert!(matches!(world.decide(new("till-2", other)), Decision::Used(_)), "{other:?}");
        let exact = CodeRules { reusable: false, exact: true };
        let op = Accept { new: new("till-2", other), rules: exact };
        assert!(matches!(world.one(op), Decided { decision: Decision::Taken(_), .. }), "{other:?}");
    }
}

#[test]
fn a_request_with_a_key_repeats_one_without_and_the_other_way_round() {
    let mut world = World::new();
    let first = world.take("till-1", "A");
    assert!(matches!(
        world.decide(keyed("till-1", "k", "A")),
        Decision::StillPending(again) if again.id == first.id
    ));
    let Decision::Taken(second) = world.decide(keyed("till-1", "k2", "B")) else { panic!() };
    assert!(matches!(
        world.decide(new("till-1", "B")),
        Decision::StillPending(again) if again.id == second.id
    ));
    assert!(
        matches!(world.decide(keyed("till-1", "k3", "B")), Decision::Used(_)),
        "two keys are two requests"
    );
}

#[test]
fn what_is_confirmed_after_its_till_was_told_no_is_owed_to_the_next_once() {
    let mut world = World::up();
    let asked = world.take("till-1", "A");
    assert!(matches!(
        conclude(&mut world, asked.seq, false),
        Concluded::Refused { why: NotGiven::Unanswered }
    ));
    let nobody_waits = Settlement::new(asked.seq, 1, confirmed());
    world.one(nobody_waits);
    assert!(world.show(&asked.id).owed);
    world.lane = LaneNow::down();
    let Decision::Owed(paid) = world.decide(later("till-2", "A")) else { panic!() };
    assert_eq!((paid.id, paid.owed, paid.owed_paid), (asked.id, false, true));
    assert!(matches!(world.decide(later("till-3", "A")), Decision::Used(_)), "once");
    assert!(
        matches!(world.decide(new("till-1", "A")), Decision::Used(_)),
        "its own till comes too late"
    );
}

#[test]
fn a_repeat_of_the_request_that_was_told_what_its_till_had_missed_gets_the_same_after_a_start_too()
{
    let mut world = World::new();
    let given = world.take("till-1", "A");
    for (missed, starts) in [(Some(given.seq), false), (None, false), (None, true)] {
        world.missed = missed;
        if starts {
            world.restart();
        }
        assert!(matches!(
            world.decide(later("till-1", "A")),
            Decision::StillPending(again) if again.id == given.id
        ));
    }
    let mut other = later("till-1", "A");
    other.request.timestamp.push('7');
    assert!(matches!(world.decide(other), Decision::Used(_)), "another question");
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Used(_)));
}

#[test]
fn a_repeat_of_the_request_that_was_given_what_was_owed_gets_the_same_and_another_does_not() {
    let (mut world, asked) = told_no();
    world.one(Settlement::new(asked.seq, 1, confirmed()));
    world.decide(later("till-2", "A"));
    assert!(world.show(&asked.id).owed_paid);
    for can_ask in [true, false] {
        world.lane = if can_ask { LaneNow::default() } else { LaneNow::down() };
        let Decision::Settled(again) = world.decide(later("till-2", "A")) else { panic!() };
        assert_eq!((again.id, again.state), (asked.id.clone(), State::Confirmed));
    }
    let mut shorter = later("till-2", "A");
    shorter.request.timestamp.pop();
    for other in [later("till-3", "A"), new("till-2", "A"), shorter] {
        assert!(matches!(world.decide(other), Decision::Used(_)));
    }
}

#[test]
fn a_request_that_joined_a_pending_row_is_known_when_it_repeats() {
    let of_key = |key: &str| NewRedemption { key: Some(key.to_owned()), ..new("till-1", "A") };
    let joins: [NewRedemption; 2] = [of_key("second"), later("till-1", "A")];
    for joins in joins {
        let mut world = World::up();
        let Decision::Taken(first) = world.decide(of_key("first")) else { panic!() };
        assert!(matches!(conclude(&mut world, first.seq, false), Concluded::Refused { .. }));
        assert!(matches!(world.decide(joins.clone()), Decision::StillPending(_)));
        world.settle(first.seq, 1, confirmed());
        for can_ask in [true, false] {
            world.lane = if can_ask { LaneNow::default() } else { LaneNow::down() };
            for again in [joins.clone(), of_key("first"), new("till-1", "A")] {
                let told = world.decide(again);
                assert!(matches!(&told, Decision::Settled(_)), "{joins:?}: {told:?}");
            }
        }
        let another = world.decide(of_key("third"));
        assert!(matches!(another, Decision::Used(_)), "{another:?}");
    }
}

#[test]
fn of_the_requests_that_join_a_pending_row_the_last_are_known() {
    let nth = |n: u32| {
        let mut new = later("till-1", "A");
        new.request.timestamp = n.to_string();
        new
    };
    let (mut world, asked) = told_no();
    for n in (0..40).chain([0, 0]) {
        assert!(matches!(world.decide(nth(n)), Decision::StillPending(_)));
        world.stamp.unix_ms += 1000;
    }
    assert_eq!(world.reader().events(asked.seq).unwrap().len(), 8, "no more are kept");
    world.settle(asked.seq, 1, confirmed());
    world.lane = LaneNow::down();
    for (n, is_known) in [(0, true), (39, true), (33, true), (20, false)] {
        assert_eq!(matches!(world.decide(nth(n)), Decision::Settled(_)), is_known, "{n}");
    }
}

#[test]
fn what_a_till_missed_is_told_to_one_other_request_whatever_key_that_has() {
    let of_key = |key: &str| NewRedemption { key: Some(key.to_owned()), ..new("till-1", "A") };
    let mut world = World::new();
    let Decision::Taken(given) = world.decide(of_key("first")) else { panic!() };
    world.missed = Some(given.seq);
    let mut third = later("till-1", "A");
    third.request.timestamp.push('7');
    for (asks, is_told) in
        [(of_key("a"), true), (of_key("b"), false), (third, false), (of_key("a"), true)]
    {
        let told = world.decide(asks);
        assert_eq!(matches!(&told, Decision::StillPending(_)), is_told, "{told:?}");
    }
}

#[test]
fn what_was_owed_is_given_again_to_the_same_key_or_where_one_has_none_and_to_no_other_key() {
    let of_key = |key: &str| NewRedemption { key: Some(key.to_owned()), ..later("till-2", "A") };
    let keyless = later("till-2", "A");
    for (first, again, is_told) in [
        (of_key("a"), of_key("a"), true),
        (of_key("a"), keyless.clone(), true),
        (keyless.clone(), of_key("a"), true),
        (of_key("a"), of_key("b"), false),
    ] {
        let (mut world, asked) = told_no();
        world.one(Settlement::new(asked.seq, 1, confirmed()));
        assert!(matches!(world.decide(first), Decision::Owed(_)));
        world.lane = LaneNow::down();
        let told = world.decide(again);
        assert_eq!(matches!(told, Decision::Settled(_)), is_told, "{told:?}");
    }
}

#[test]
fn what_a_till_that_asked_again_hears_itself_is_not_owed() {
    let (mut world, asked) = told_no();
    world.settle(asked.seq, 1, confirmed());
    assert!(!world.show(&asked.id).owed);
}

#[test]
fn what_nobody_heard_who_asked_again_is_owed_until_it_is_given() {
    let (mut world, asked) = told_no();
    world.settle(asked.seq, 1, confirmed());
    world.one(Unheard(vec![asked.seq]));
    let row = world.show(&asked.id);
    assert!(row.owed && !row.owed_paid && !row.answered_at_till, "{row:?}");
    let told = world.decide(later("till-2", "A"));
    assert!(matches!(told, Decision::Owed(paid) if paid.owed_paid && !paid.owed));
    // A till that resets each connection may have heard it.
    for _ in 0..2 {
        world.one(Unheard(vec![asked.seq]));
        let row = world.show(&asked.id);
        assert!(row.in_vain && row.owed_paid && !row.owed, "{row:?}");
    }
    world.lane = LaneNow::down();
    let told = world.decide(later("till-3", "A"));
    assert!(matches!(told, Decision::Used(_)), "a person decides: {told:?}");
    let told = world.decide(later("till-2", "A"));
    assert!(matches!(told, Decision::Settled(_)), "its repeat gets the same: {told:?}");
}

#[test]
fn what_a_person_had_seen_to_waits_anew_once_it_is_owed_anew_or_given_in_vain() {
    let (mut world, asked) = told_no();
    world.one(Settlement::new(asked.seq, 1, confirmed()));
    let waiting = |world: &mut World| world.one(AskStanding).lanes[0].waiting;
    for is_in_vain in [false, true] {
        let (id, note, by) = (asked.id.clone(), "come back tomorrow".to_owned(), "op".to_owned());
        assert!(matches!(world.one(Handling { id, note, free: false, by }), Acted::Done(_)));
        assert_eq!(waiting(&mut world), Some(0));
        let told = world.decide(later(if is_in_vain { "till-3" } else { "till-2" }, "A"));
        assert!(matches!(told, Decision::Owed(_)), "{told:?}");
        world.one(Unheard(vec![asked.seq]));
        let row = world.show(&asked.id);
        assert!(row.waiting && !row.handled && row.owed != is_in_vain, "{row:?}");
        assert_eq!((row.in_vain, waiting(&mut world)), (is_in_vain, Some(1)));
    }
    let mut counted = world.one(Recount { begin: true });
    while !counted.finished {
        counted = world.one(Recount { begin: false });
    }
    assert!(counted.differences.is_empty(), "{:?}", counted.differences);
    assert_eq!(waiting(&mut world), Some(1));
}

#[test]
fn a_till_whose_wait_ended_a_moment_before_the_confirmation_is_given_it_and_nobody_else() {
    let (mut world, asked) = told_no();
    assert!(matches!(world.decide(new("till-1", "A")), Decision::StillPending(_)));
    world.one(Settlement::new(asked.seq, 1, confirmed()));
    let Concluded::Settled { row, pays } = conclude(&mut world, asked.seq, false) else { panic!() };
    assert!(pays && row.answered_at_till && !row.owed && row.state == State::Confirmed, "{row:?}");
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Used(_)));
    assert!(matches!(world.decide(new("till-1", "A")), Decision::Settled(_)), "a repeat");
}

#[test]
fn a_refusal_that_its_till_hears_a_moment_after_its_wait_counts_as_heard() {
    let mut world = World::up();
    let asked = world.take("till-1", "A");
    world.one(Settlement::new(asked.seq, 1, declined("no")));
    assert!(matches!(
        conclude(&mut world, asked.seq, false),
        Concluded::Settled { pays: false, .. }
    ));
    let Acted::Done(row) = world.retry(&asked.id) else { panic!() };
    assert!(row.answered_at_till);
    let again = world.claim().pop().unwrap();
    world.one(Settlement::new(again.seq, again.attempt, confirmed()));
    assert!(world.show(&asked.id).owed, "its till was told no");
}

#[test]
fn a_repeat_without_its_key_of_a_reusable_code_is_one_however_many_others_followed() {
    let mut world = World::up();
    let rules = CodeRules { reusable: true, exact: false };
    let mut ask = |new| world.one(Accept { new, rules }).decision;
    let Decision::Taken(first) = ask(keyed("till-1", "k1", "SUMMER10")) else { panic!() };
    for nth in 0..80 {
        let request =
            request_at("SUMMER10", &format!("2027-01-15 {}:{}:00", 11 + nth / 50, 10 + nth % 50));
        let other = NewRedemption { request, ..keyed("till-1", &format!("n{nth}"), "SUMMER10") };
        assert!(matches!(ask(other), Decision::Taken(_)));
    }
    let again = ask(new("till-1", "SUMMER10"));
    assert!(matches!(&again, Decision::StillPending(same) if same.seq == first.seq), "{again:?}");
    assert!(
        matches!(ask(new("till-3", "SUMMER10")), Decision::Taken(_)),
        "another till's is its own"
    );
}

/// A redemption that may have reached the provider, and whose till was refused, and then another
/// till's of the code in other letters, which the provider takes.
fn taken_by_a_rival(world: &mut World) -> Taken {
    let asked = world.take("till-1", "AB-12");
    assert!(matches!(conclude(world, asked.seq, false), Concluded::Refused { .. }));
    world.one(Settlement::new(asked.seq, 1, Ended::Unclear));
    let rival = world.take("till-2", "ab-12");
    world.settle(rival.seq, 1, confirmed());
    asked
}

#[test]
fn used_is_a_decline_where_a_rival_took_the_code_later_and_nothing_is_owed() {
    for exact in [false, true] {
        let mut world = if exact { World::exact() } else { World::up() };
        let asked = taken_by_a_rival(&mut world);
        let again = world.claim().pop().unwrap();
        assert_eq!(again.used_is_ours, exact);
        world.one(Settlement::new(again.seq, 2, declined("has been used")));
        let row = world.show(&asked.id);
        let expected = if exact { State::Confirmed } else { State::Declined };
        assert_eq!((row.state, row.owed), (expected, exact), "exact: {exact}");
    }
}

#[test]
fn used_is_a_decline_where_the_code_was_confirmed_for_another_business_of_the_lane() {
    for (is_kept, code, expected) in [
        (false, "A", State::Declined),
        (true, "A", State::Declined),
        (false, "B", State::Confirmed),
    ] {
        let mut world = World::up();
        world.settled("till-1", "A", confirmed());
        if is_kept {
            world.settled("till-1", "NEWEST", confirmed());
            assert_eq!(world.prune().rows, 1);
        }
        let mut others = later("till-2", code);
        others.request.business_refrence = "other".to_owned();
        let Decision::Taken(asked) = world.decide(others) else { panic!() };
        world.one(Settlement::new(asked.seq, 1, Ended::Unclear));
        let again = world.claim().pop().unwrap();
        world.settle(asked.seq, again.attempt, declined("has been used"));
        let row = world.show(&asked.id);
        assert_eq!(row.state, expected, "kept: {is_kept}, {code}");
        assert_eq!(row.duplicate_of_ours, expected == State::Confirmed, "{code}");
    }
}

#[test]
fn a_repeat_is_asked_about_in_the_lane_that_took_it_whatever_serves_its_business_now() {
    let (mut world, asked) = told_no();
    world.one(Settlement::new(asked.seq, 1, Ended::Unclear));
    let moved = NewRedemption { lane: "another".to_owned(), ..new("till-1", "A") };
    let decided = world.one(accept_op(moved));
    assert!(matches!(decided.decision, Decision::StillPending(row) if row.id == asked.id));
    let (lane, sent) = decided.live.unwrap();
    assert_eq!((lane.as_deref(), sent.seq), (Some(LANE), asked.seq));
}

#[test]
fn a_lane_with_another_name_leaves_each_till_its_own_answer() {
    let mut world = World::new();
    let given = world.take("till-1", "A");
    let renamed = |new: NewRedemption| NewRedemption { lane: "renamed".to_owned(), ..new };
    for lane in [LaneNow::down(), LaneNow::default()] {
        world.lane = lane;
        assert!(matches!(
            world.decide(renamed(new("till-1", "A"))),
            Decision::StillPending(again) if again.id == given.id && again.trusted
        ));
        assert!(matches!(world.decide(renamed(later("till-2", "A"))), Decision::Used(_)));
    }
}

#[test]
fn a_reusable_codes_request_with_a_key_repeats_one_without() {
    let mut world = World::up();
    let rules = CodeRules { reusable: true, exact: false };
    let first = world.one(Accept { new: new("till-1", "SUMMER10"), rules });
    let Decision::Taken(first) = first.decision else { panic!() };
    // Others' redemptions of the code, however many, do not hide it.
    for till in 0..100 {
        world.one(Accept { new: new(&format!("other-{till}"), "SUMMER10"), rules });
    }
    let again = world.one(Accept { new: keyed("till-1", "k", "SUMMER10"), rules });
    assert!(matches!(again.decision, Decision::StillPending(row) if row.id == first.id));
    let mut another = keyed("till-1", "k2", "SUMMER10");
    another.request = request_at("SUMMER10", "2027-01-15 11:00:00");
    let another = world.one(Accept { new: another, rules });
    assert!(matches!(another.decision, Decision::Taken(_)));
}

#[test]
fn a_keyless_request_is_repeated_with_a_key_where_its_code_is_not_reusable_any_more() {
    let mut world = World::new();
    let rules = CodeRules { reusable: true, exact: false };
    let first = world.one(Accept { new: new("till-1", "SUMMER10"), rules });
    let Decision::Taken(first) = first.decision else { panic!() };
    let again = world.decide(keyed("till-1", "k", "SUMMER10"));
    assert!(matches!(again, Decision::StillPending(row) if row.id == first.id));
    world.one(Accept { new: keyed("till-1", "k", "WINTER10"), rules });
    let other = world.decide(keyed("till-1", "k2", "WINTER10"));
    assert!(matches!(other, Decision::Used(_)), "two keys are two requests: {other:?}");
}

#[test]
fn a_person_frees_a_code_and_what_is_held_stays_a_fact() {
    let mut world = World::new();
    let lost = world.settled("till-1", "A", declined("no"));
    assert!(free(&mut world, &lost.id).lost);
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Taken(_)));
}

#[test]
fn a_code_that_a_person_freed_is_not_held_by_what_a_check_or_another_till_heard_before() {
    let mut world = World::new();
    let lost = world.settled("till-1", "A", declined("no"));
    world.lane = LaneNow::default();
    world.settled("till-2", "A", declined("no"));
    let asked = check("shop", "A");
    check_refused(&mut world, "shop", "A");
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::RefusedBefore(_)));
    free(&mut world, &lost.id);
    assert!(world.one(asked).held.is_none());
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Taken(_)));
}

#[test]
fn what_is_owed_is_not_freed_and_is_given_all_the_same() {
    let (mut world, asked) = told_no();
    world.one(Settlement::new(asked.seq, 1, confirmed()));
    let (id, note, by) = (asked.id.clone(), "let her have it".to_owned(), "ann".to_owned());
    let freed = world.one(Handling { id, note, free: true, by });
    assert!(matches!(freed, Acted::Refused { why: Denied::StillOwed }), "{freed:?}");
    let told = world.decide(later("till-2", "A"));
    assert!(matches!(told, Decision::Owed(row) if row.id == asked.id && !row.freed));
}

#[test]
fn a_code_that_a_person_freed_is_not_held_by_what_another_business_of_the_lane_heard() {
    let mut world = World::up();
    let Decision::Taken(known) = world.decide(for_another("till-1", "KNOWN")) else { panic!() };
    world.settle(known.seq, 1, confirmed());
    for code in ["ROW", "KEPT"] {
        world.settled("till-1", code, declined("Reward is not for this business"));
    }
    world.settled("till-1", "TAKEN", confirmed());
    world.settled("till-1", "NEWEST", confirmed());
    assert_eq!(world.prune().rows, 4);
    world.settled("till-1", "ROW", declined("Reward is not for this business"));
    for code in ["ROW", "KEPT", "TAKEN"] {
        world.lane = LaneNow::default();
        let Decision::Taken(here) = world.decide(for_another("till-2", code)) else { panic!() };
        world.settle(here.seq, 1, declined("Reward is not for this business"));
        free(&mut world, &here.id);
        world.lane = LaneNow::down();
        let mut again = for_another("till-2", code);
        again.request.timestamp = "later".to_owned();
        let told = world.decide(again);
        let is_given = matches!(told, Decision::Taken(_));
        assert_eq!(is_given, code != "TAKEN", "{code}: {told:?}");
    }
}

#[test]
fn to_free_one_redemption_frees_no_other_that_was_taken() {
    let mut world = World::up();
    let refused = world.settled("till-1", "A", declined("no"));
    world.settled("till-2", "A", confirmed());
    free(&mut world, &refused.id);
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Used(_)));
}

#[test]
fn a_code_that_was_freed_is_held_again_by_its_redemption_that_is_sent_again() {
    let mut world = World::new();
    for end in [declined("no"), parked()] {
        let code = if matches!(end, Ended::Parked { .. }) { "P" } else { "D" };
        let row = world.settled("till-1", code, end);
        free(&mut world, &row.id);
        let Acted::Done(again) = world.retry(&row.id) else { panic!() };
        assert!(again.state == State::Pending && !again.freed);
        for till in ["till-1", "till-2"] {
            let told = world.decide(later(till, code));
            assert!(matches!(told, Decision::Used(_)), "{code} at {till}: {told:?}");
        }
    }
}

#[test]
fn what_a_code_was_outlives_its_row() {
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    world.settled("till-1", "B", declined("expired"));
    world.settled("till-1", "NEWEST", confirmed());
    assert_eq!(world.prune().rows, 2);
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "a")), Decision::Gone(Kept::Used)));
    world.crash();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Gone(Kept::Used)));
    assert!(matches!(world.decide(later("till-2", "b")), Decision::Gone(Kept::Refused)));
}

#[test]
fn what_a_code_was_for_one_business_holds_it_for_the_others_of_the_lane_when_its_row_is_gone() {
    let other = |mut new: NewRedemption| {
        new.request.business_refrence = "other".to_owned();
        new
    };
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    let Decision::Taken(known) = world.decide(other(new("till-1", "B"))) else { panic!() };
    world.settle(known.seq, 1, confirmed());
    assert_eq!(world.prune().rows, 1);
    let Decision::Taken(waits) = world.decide(other(later("till-3", "A"))) else { panic!() };
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(other(later("till-2", "A"))), Decision::Used(_)));
    assert!(
        matches!(conclude(&mut world, waits.seq, false), Concluded::Refused { .. }),
        "nor is it given to who waits when the line is cut"
    );
    assert!(matches!(world.decide(other(later("till-2", "a"))), Decision::Used(_)));
}

/// A till's redemption of the code for another business of the lane, which is known there.
fn for_another(till: &str, code: &str) -> NewRedemption {
    let mut new = later(till, code);
    "other".clone_into(&mut new.request.business_refrence);
    new
}

#[test]
fn a_code_that_was_refused_or_taken_back_is_not_given_for_another_business_after_a_wait_either() {
    let mut world = World::up();
    let Decision::Taken(known) = world.decide(for_another("till-1", "KNOWN")) else { panic!() };
    world.settle(known.seq, 1, confirmed());
    world.settled("till-1", "KEPT", declined("Reward expired"));
    world.settled("till-1", "NEWEST", confirmed());
    assert_eq!(world.prune().rows, 2);
    world.settled("till-1", "STRONG", declined("Reward expired"));
    let Ended::Declined { answer, .. } = declined("Reward expired") else { panic!() };
    let weak = Ended::Declined { answer, already_used: false, strong: false };
    world.settled("till-1", "WEAK", weak);
    world.lane = LaneNow::down();
    let back = world.take("till-1", "BACK");
    void_by_till(&mut world, &back.id, "till-1", false);
    let seen_to = world.settled("till-1", "FREED", declined("Reward expired"));
    free(&mut world, &seen_to.id);
    for code in ["STRONG", "WEAK", "BACK", "KEPT", "FREED", "NEW"] {
        world.lane = LaneNow::default();
        let Decision::Taken(waits) = world.decide(for_another("till-2", code)) else { panic!() };
        world.lane = LaneNow::down();
        let concluded = conclude(&mut world, waits.seq, false);
        let is_given = matches!(concluded, Concluded::Trusted { .. });
        assert_eq!(is_given, ["FREED", "NEW"].contains(&code), "{code}: {concluded:?}");
    }
}

/// For another business than the usual.
fn of(business: &str, mut new: NewRedemption) -> NewRedemption {
    business.clone_into(&mut new.request.business_refrence);
    new
}

fn check(business: &str, code: &str) -> CheckAsked {
    let NewRedemption { till, lane, request, .. } = of(business, new("till-1", code));
    let (business, code) = (request.business_refrence, request.reward_code);
    CheckAsked { till, lane, business, code, rules: CodeRules::default(), in_vain: false }
}

/// The provider refuses a till's check.
fn check_refused(world: &mut World, business: &str, code: &str) {
    let Ended::Declined { answer, .. } = declined("no") else { panic!() };
    let (asked, said) = (check(business, code), CheckSaid::Refused);
    world.one(CheckAnswered { asked, answer, said, asked_ms: None });
}

#[test]
fn a_check_is_told_what_a_redemption_would_be_of_a_code_that_another_business_of_the_lane_holds() {
    let mut world = World::up();
    world.settled("till-1", "SEED", confirmed());
    let (asked, answer, said) = (check("other", "A"), Answer::success(), CheckSaid::Good);
    world.one(CheckAnswered { asked, answer, said, asked_ms: None });
    check_refused(&mut world, "another", "B");
    assert!(world.one(check("other", "B")).held.is_none(), "the provider decides");
    world.lane = LaneNow::down();
    world.take("till-1", "A");
    let known = world.one(check("other", "A"));
    assert!(matches!(known.held, Some(CheckHeld::Used(_))), "{known:?}");
    assert!(known.remembered.is_none());
    let known = world.one(check("other", "B"));
    assert!(matches!(known.held, Some(CheckHeld::Gone(Kept::Refused))), "{known:?}");
}

#[test]
fn what_a_business_of_which_nothing_was_confirmed_holds_is_held_for_the_others_of_the_lane() {
    let mut world = World::up();
    world.settled("till-1", "SEED", confirmed());
    let Decision::Taken(hangs) = world.decide(of("new", new("till-1", "HANGS"))) else { panic!() };
    world.one(Settlement::new(hangs.seq, 1, Ended::Unclear));
    conclude(&mut world, hangs.seq, false);
    let Decision::Taken(no) = world.decide(of("newer", new("till-1", "NO"))) else { panic!() };
    world.settle(no.seq, 1, declined("has been used"));
    check_refused(&mut world, "newest", "CHECKED");
    let waiting: Vec<_> =
        ["HANGS", "NO", "CHECKED"].iter().map(|code| world.take("till-3", code).seq).collect();
    world.lane = LaneNow::down();
    for seq in waiting {
        let said = conclude(&mut world, seq, true);
        assert!(matches!(said, Concluded::TurnedAway { .. }), "nor to who waits: {said:?}");
    }
    for _ in 0..2 {
        assert!(matches!(world.decide(later("till-2", "HANGS")), Decision::Used(_)));
        assert!(matches!(world.decide(later("till-2", "NO")), Decision::RefusedBefore(_)));
        let checked = world.decide(later("till-2", "CHECKED"));
        assert!(matches!(checked, Decision::Gone(Kept::Refused)), "{checked:?}");
        let unknown = world.decide(of("newest", later("till-2", "OTHER")));
        assert!(matches!(unknown, Decision::Limited(Limit::Business)), "{unknown:?}");
        world.crash();
    }
}

/// What a till is told of a question of which no byte has left, and of the same one that comes at
/// once again: in the same words.
fn told_twice(world: &mut World, question: NewRedemption) -> [String; 2] {
    world.lane = LaneNow::default();
    let Decision::Taken(asked) = world.decide(question.clone()) else { panic!() };
    world.lane = LaneNow::down();
    let waited = conclude(world, asked.seq, true);
    let Concluded::TurnedAway { why: NotGiven::Unanswered, holder: Some(by) } = waited else {
        panic!("{waited:?}")
    };
    assert_eq!(world.show(&asked.id).state, State::Voided);
    let waited = match by {
        Holder::Used(by) => format!("used at {}", by.till),
        Holder::Refused(row) => format!("refused to {}", row.till),
        Holder::RefusedAtCheck(answer) => format!("refused at a check: {:?}", answer.body),
        Holder::Gone(kept) => format!("gone: {kept:?}"),
    };
    let again = match world.decide(question) {
        Decision::Used(by) => format!("used at {}", by.till),
        Decision::RefusedBefore(row) => format!("refused to {}", row.till),
        Decision::RefusedAtCheck(answer) => format!("refused at a check: {:?}", answer.body),
        Decision::Gone(kept) => format!("gone: {kept:?}"),
        other => panic!("{other:?}"),
    };
    [waited, again]
}

#[test]
fn a_question_that_never_left_is_answered_like_the_next_one_whatever_holds_its_code() {
    let mut world = World::up();
    world.settled("till-1", "GONE", confirmed());
    world.settled("till-1", "GONE-NO", declined("Reward expired"));
    world.settled("till-1", "NEWEST", confirmed());
    assert_eq!(world.prune().rows, 2);
    world.settled("till-1", "USED", confirmed());
    world.settled("till-1", "NO", declined("Reward expired"));
    check_refused(&mut world, "shop", "CHECKED");
    let expected = [
        ("USED", "used at till-1", "used at till-1"),
        ("NO", "refused to till-1", "refused to till-1"),
        ("GONE", "gone: Used", "gone: Used"),
        ("GONE-NO", "gone: Refused", "gone: Refused"),
        ("CHECKED", "refused at a check: ", "gone: Refused"),
    ];
    for (code, here, for_another_business) in expected {
        for (new, said) in
            [(later("till-2", code), here), (for_another("till-2", code), for_another_business)]
        {
            let [waited, again] = told_twice(&mut world, new);
            assert_eq!(waited, again, "{code}");
            assert!(waited.starts_with(said), "{code}: {waited}");
        }
    }
}

#[test]
fn what_another_business_holds_is_no_last_word_where_the_lane_was_only_busy() {
    let mut world = World::up();
    world.settled("till-1", "USED", confirmed());
    let Decision::Taken(asked) = world.decide(for_another("till-2", "USED")) else { panic!() };
    let end = WaitEnd::TurnedAway { retry_after_s: None };
    let busy = world.one(Conclusion { seq: asked.seq, end, withdrawn: true });
    assert!(matches!(busy, Concluded::TurnedAway { holder: None, .. }), "{busy:?}");
    assert!(matches!(world.decide(for_another("till-2", "USED")), Decision::Taken(_)));
}

#[test]
fn a_code_that_is_refused_to_a_question_that_never_left_counts_among_its_tills_wrong_codes() {
    let mut world = World::up();
    let codes: Vec<String> = (0..10).map(|nth| format!("USED-{nth}")).collect();
    for code in &codes {
        world.settled("till-1", code, confirmed());
    }
    let questions: Vec<Seq> = codes
        .iter()
        .map(|code| {
            let Decision::Taken(asked) = world.decide(later("till-2", code)) else { panic!() };
            asked.seq
        })
        .collect();
    world.lane = LaneNow::down();
    for seq in questions {
        assert!(world.one(AskStanding).slowed.is_empty());
        conclude(&mut world, seq, true);
    }
    assert_eq!(world.one(AskStanding).slowed, ["till-2"]);
}

#[test]
fn a_redemption_that_the_provider_refused_is_not_given_when_its_till_asks_again_without_a_line() {
    let mut world = World::up();
    let unsure = world.take("till-1", "UNSURE");
    world.one(Settlement::new(unsure.seq, 1, Ended::Unclear));
    let again = world.claim().pop().unwrap();
    let about = About { refusal: Some("expired".to_owned()), ..About::default() };
    let ended = declined("Reward expired");
    world.one(Settlement { about, ..Settlement::new(unsure.seq, again.attempt, ended) });
    let heard = world.settled("till-1", "HEARD", declined("Reward expired"));
    assert!(matches!(world.retry(&heard.id), Acted::Done(_)));
    world.lane = LaneNow::down();
    for (asked, code) in [(unsure, "UNSURE"), (heard, "HEARD")] {
        let told = world.decide(new("till-1", code));
        assert!(
            matches!(told, Decision::StillPending(row) if row.seq == asked.seq && !row.trusted)
        );
        let concluded = conclude(&mut world, asked.seq, false);
        assert!(matches!(concluded, Concluded::Refused { .. }), "{code}: {concluded:?}");
        assert_eq!(world.show(&asked.id).state, State::Pending, "{code} is asked about again");
    }
}

#[test]
fn rows_of_builds_that_kept_no_names_hold_for_all_businesses_once_they_were_counted() {
    let mut world = World::up();
    world.settled("till-1", "SEED", confirmed());
    let Decision::Taken(hangs) = world.decide(of("new", new("till-1", "HANGS"))) else { panic!() };
    world.one(Settlement::new(hangs.seq, 1, Ended::Unclear));
    let file = world.path().join(redeemd::store::FILE);
    world.store.take().unwrap().close().unwrap();
    let forget = "DELETE FROM keep WHERE name LIKE 'business %'";
    assert_eq!(rusqlite::Connection::open(file).unwrap().execute(forget, []).unwrap(), 2);
    world.open();
    assert!(world.one(Recount { begin: true }).finished);
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "HANGS")), Decision::Used(_)));
}

#[test]
fn a_weak_refusal_ends_what_its_till_hears_and_nothing_that_was_given() {
    let weak = |ended| match ended {
        Ended::Declined { answer, already_used, .. } => {
            Ended::Declined { answer, already_used, strong: false }
        }
        other => other,
    };
    let mut world = World::up();
    let heard = world.take("till-1", "A");
    let settled = world.settle(heard.seq, 1, weak(declined("no route")));
    assert_eq!(settled.state, State::Declined);
    let unheard = world.take("till-1", "B");
    let settled = world.one(Settlement::new(unheard.seq, 1, weak(declined("no route"))));
    assert_eq!(settled.state, State::Pending, "nobody heard it");
    world.lane = LaneNow::down();
    let told = world.decide(later("till-2", "A"));
    assert!(
        matches!(told, Decision::Used(_)),
        "what was refused a moment ago is not given since the line is cut, and whose words they \
            were nobody knows: {told:?}"
    );
    let given = world.take("till-1", "C");
    let claimed = world.claim();
    let claimed = claimed.iter().find(|row| row.seq == given.seq).unwrap();
    assert_eq!(
        world.settle(claimed.seq, claimed.attempt, weak(declined("no route"))).state,
        State::Pending
    );
}

#[test]
fn a_parked_code_is_used() {
    let mut world = World::up();
    world.settled("till-1", "A", parked());
    assert!(
        matches!(world.decide(new("till-2", "A")), Decision::Used(by) if by.state == State::Parked)
    );
}

#[test]
fn a_code_that_was_voided_while_uncertain_is_used() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.settle(taken.seq, 1, Ended::Unclear);
    assert!(matches!(void(&mut world, &taken.id), Acted::Done(row) if row.state == State::Voided));
    assert!(
        matches!(world.decide(new("till-2", "A")), Decision::Used(by) if by.state == State::Voided)
    );
}

#[test]
fn a_confirmed_code_is_used_while_the_lane_is_down_and_the_providers_question_while_it_is_up() {
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    world.lane = LaneNow::down();
    assert!(matches!(
        world.decide(later("till-2", "A")),
        Decision::Used(by) if by.state == State::Confirmed
    ));
    world.lane = LaneNow::default();
    assert!(
        matches!(world.decide(later("till-2", "A")), Decision::Taken(taken) if taken.provider_only)
    );
}

#[test]
fn a_question_for_the_provider_alone_is_taken_back_when_no_byte_had_left() {
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    let asked = world.take("till-2", "A");
    let Concluded::TurnedAway { holder: Some(Holder::Used(by)), .. } =
        conclude(&mut world, asked.seq, true)
    else {
        panic!()
    };
    assert_eq!((by.till.as_str(), by.state), ("till-1", State::Confirmed));
    assert_eq!(world.show(&asked.id).state, State::Voided);
    // Asking once more is a new question, not a repeat of what was taken back.
    assert!(
        matches!(world.decide(new("till-2", "A")), Decision::Taken(again) if again.id != asked.id)
    );
}

#[test]
fn a_question_is_taken_back_for_the_confirmed_redemption_and_no_other_and_only_if_it_stayed_here() {
    let mut world = World::up();
    world.settled("till-3", "A", declined("no"));
    world.settled("till-1", "A", confirmed());
    let asked = world.take("till-2", "A");
    world.one(Unclaim(vec![(asked.seq, 1)]));
    let concluded = conclude(&mut world, asked.seq, false);
    let Concluded::TurnedAway { holder: Some(Holder::Used(by)), .. } = concluded else {
        panic!("it was not sent")
    };
    assert_eq!(by.till, "till-1");
    let Decision::Taken(again) = world.decide(new("till-2", "A")) else { panic!() };
    world.settle(again.seq, 1, Ended::Unclear);
    assert!(
        matches!(conclude(&mut world, again.seq, true), Concluded::Refused { .. }),
        "an earlier attempt left"
    );
    let only = world.take("till-1", "B");
    world.settle(only.seq, 1, confirmed());
    let Concluded::Settled { row, .. } = conclude(&mut world, only.seq, true) else { panic!() };
    assert_eq!(row.lane, LANE);
}

#[test]
fn a_question_that_never_left_is_answered_as_the_provider_refused_the_code_before() {
    let mut world = World::up();
    let refused = world.settled("till-1", "A", declined("Reward expired"));
    let asked = world.take("till-2", "A");
    assert!(asked.provider_only);
    let concluded = conclude(&mut world, asked.seq, true);
    let Concluded::TurnedAway { holder: Some(Holder::Refused(row)), .. } = concluded else {
        panic!("nobody used it: {concluded:?}")
    };
    assert_eq!((&row.id, relayed(&row).status), (&refused.id, 400));
    assert_eq!(world.show(&asked.id).state, State::Voided);
}

#[test]
fn a_question_for_the_provider_alone_that_may_have_arrived_stays_pending_and_refused() {
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    let asked = world.take("till-2", "A");
    assert!(matches!(conclude(&mut world, asked.seq, false), Concluded::Refused { .. }));
    let Decision::StillPending(again) = world.decide(new("till-2", "A")) else { panic!() };
    assert!(!again.trusted && again.id == asked.id && world.show(&asked.id).refused_at_till);
    world.settle(asked.seq, 1, Ended::Unclear);
    let claimed = world.claim().pop().unwrap();
    let settled = world.settle(claimed.seq, claimed.attempt, declined("has been used"));
    assert_eq!(settled.state, State::Declined, "the earlier redemption explains it");
}

#[test]
fn each_offline_limit_refuses_by_name_and_stores_nothing() {
    let mut world = World::new();
    world.offline.max_pending = 1;
    world.take("till-1", "A");
    assert!(matches!(world.decide(new("till-1", "B")), Decision::Limited(Limit::Pending(1))));
    world.offline.max_pending = 10;
    world.lane.outage = world.offline.max_outage;
    assert!(matches!(world.decide(new("till-1", "B")), Decision::Limited(Limit::Outage(_))));
    world.offline.accept = false;
    assert!(matches!(world.decide(new("till-1", "B")), Decision::Limited(Limit::NotAccepting)));
    assert_eq!(world.counts().accepted, 1);
    assert!(
        matches!(world.decide(new("till-1", "A")), Decision::StillPending(_)),
        "a repeat meets no limit"
    );
    world.lane = LaneNow::default();
    assert!(
        matches!(world.decide(new("till-1", "B")), Decision::Taken(_)),
        "while the lane is up none speaks"
    );
}

#[test]
fn a_row_of_a_lane_that_is_up_is_inserted_in_flight() {
    let mut world = World::up();
    let Decided { decision: Decision::Taken(taken), live: Some((lane, live)), .. } =
        world.one(accept_op(new("till-1", "A")))
    else {
        panic!()
    };
    assert_eq!((lane, live.seq, live.attempt), (None, taken.seq, 1));
    assert_eq!(live.body, request("A").body);
    assert!(world.show(&taken.id).in_flight);
    assert!(world.claim().is_empty(), "one attempt at a time");
}

#[test]
fn claiming_marks_a_row_once() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let claimed = world.claim().pop().unwrap();
    assert_eq!((claimed.seq, claimed.attempt, claimed.body), (taken.seq, 1, request("A").body));
    assert!(world.claim().is_empty());
}

fn claim_of(world: &mut World, claim: Claim) -> Vec<i64> {
    world.one(claim).iter().map(|row| row.seq.0).collect()
}

#[test]
fn a_claim_takes_the_preferred_first_leaves_out_the_excepted_and_keeps_its_bounds() {
    let mut world = World::new();
    for n in 0..7 {
        world.take("till-1", &format!("C{n}"));
    }
    let claim = Claim {
        lane: LANE.to_owned(),
        prefer: vec![Seq(3)],
        after: Seq(0),
        not_from: None,
        except: vec![Seq(1), Seq(4)],
        rows_max: 3,
        body_bytes_max: 1 << 20,
    };
    assert!(claim_of(&mut world, Claim { lane: "another".to_owned(), ..claim.clone() }).is_empty());
    assert_eq!(claim_of(&mut world, claim.clone()), [3, 2, 5]);
    let small = Claim { body_bytes_max: 1, ..claim.clone() };
    assert_eq!(
        claim_of(&mut world, small),
        [6],
        "one row always, whatever its size; 3 is in flight"
    );
    assert_eq!(
        claim_of(&mut world, Claim { prefer: Vec::new(), except: Vec::new(), ..claim }),
        [1, 4, 7]
    );
}

#[test]
fn a_settled_row_is_shown_where_a_till_waits_for_it_and_remembers_that_it_was_told() {
    let mut world = World::up();
    let settle = |world: &mut World, seq, attempt, ended, waits| {
        world.tills_wait = waits;
        world.one(Settlement::new(seq, attempt, ended)).row
    };
    let told = world.take("till-1", "A");
    let row = settle(&mut world, told.seq, 1, declined("no"), true).expect("the row");
    assert_eq!((row.id, row.lane.as_str(), row.answered_at_till), (told.id.clone(), LANE, true));
    assert!(matches!(
        world.retry(&told.id),
        Acted::Done(row) if row.answered_at_till && row.lane == LANE
    ));
    let again = world.claim().pop().unwrap();
    assert!(
        settle(&mut world, again.seq, again.attempt, confirmed(), true)
            .expect("the row")
            .answered_at_till
    );
    let later = world.take("till-1", "B");
    assert!(settle(&mut world, later.seq, 1, Ended::Unclear, true).is_none(), "it is not settled");
    let later = world.claim().pop().unwrap();
    assert!(
        settle(&mut world, later.seq, later.attempt, parked(), false).is_none(),
        "nobody waits"
    );
    let row = world.show(&later.id);
    assert_eq!((row.state, row.uncertain, row.answered_at_till), (State::Parked, true, false));
}

#[test]
fn a_reusable_code_is_declined_like_any_other_unless_an_earlier_attempt_may_have_used_it() {
    for (first, words, state) in [
        (Ended::Clean, "has been used", State::Declined),
        (Ended::Unclear, "no such reward", State::Pending),
    ] {
        let mut world = World::new();
        world.one(Accept {
            new: new("till-1", "SUMMER10"),
            rules: CodeRules { reusable: true, exact: false },
        });
        let one = world.claim().pop().unwrap();
        world.settle(one.seq, one.attempt, first);
        let two = world.claim().pop().unwrap();
        assert_eq!(world.settle(two.seq, two.attempt, declined(words)).state, state, "{words}");
    }
}

#[test]
fn an_attempt_that_ended_without_a_verdict_leaves_the_mark_of_how_it_ended() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    for (ended, uncertain, attempts) in
        [(Ended::Clean, false, 1), (Ended::Uncharged, false, 1), (Ended::Unclear, true, 2)]
    {
        let claimed = world.claim().pop().unwrap();
        assert!(world.settle(claimed.seq, claimed.attempt, ended).applied);
        let row = world.show(&taken.id);
        assert_eq!((row.state, row.in_flight, row.uncertain), (State::Pending, false, uncertain));
        assert_eq!(row.attempts, attempts);
    }
}

#[test]
fn used_after_an_uncertain_attempt_is_our_own_doing() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let first = world.claim().pop().unwrap();
    assert!(!first.used_is_ours);
    world.settle(first.seq, first.attempt, Ended::Unclear);
    let second = world.claim().pop().unwrap();
    assert!(second.used_is_ours);
    world.settle(second.seq, second.attempt, declined("has been used"));
    let row = world.show(&taken.id);
    assert_eq!((row.state, row.duplicate_of_ours), (State::Confirmed, true));
}

#[test]
fn used_at_the_first_attempt_is_a_decline() {
    let mut world = World::new();
    let taken = world.settled("till-1", "A", declined("has been used"));
    let row = world.show(&taken.id);
    assert_eq!((row.state, row.duplicate_of_ours, row.uncertain), (State::Declined, false, false));
}

#[test]
fn used_about_a_reusable_code_after_an_uncertain_attempt_is_parked() {
    let mut world = World::new();
    world.one(Accept {
        new: new("till-1", "SUMMER10"),
        rules: CodeRules { reusable: true, exact: false },
    });
    let first = world.claim().pop().unwrap();
    world.settle(first.seq, first.attempt, Ended::Unclear);
    let second = world.claim().pop().unwrap();
    assert_eq!(
        world.settle(second.seq, second.attempt, declined("has been used")).state,
        State::Parked
    );
}

#[test]
fn doubt_is_for_life_and_a_refusal_is_asked_again_three_times_and_then_a_persons() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let first = world.claim().pop().unwrap();
    world.settle(first.seq, first.attempt, Ended::Unclear);
    for refusals in 1..=4 {
        let claimed = world.claim().pop().unwrap();
        let about = About { refusal: Some("no such reward".to_owned()), ..About::default() };
        let (seq, attempt, ended) = (claimed.seq, claimed.attempt, declined("no such reward"));
        let settlement = Settlement { seq, attempt, ended, about };
        let settled = world.one(settlement);
        let expected = if refusals < 4 { State::Pending } else { State::Parked };
        assert_eq!(
            (settled.state, world.show(&taken.id).uncertain),
            (expected, true),
            "{refusals}"
        );
    }
    assert_eq!(world.show(&taken.id).note, Some(Note::UncertainRefused));
    assert!(matches!(world.retry(&taken.id), Acted::Done(row) if row.uncertain));
    let again = world.claim().pop().unwrap();
    let settled = world.settle(again.seq, again.attempt, declined("has been used"));
    assert_eq!(settled.state, State::Confirmed, "it was ours");
}

#[test]
fn a_late_answer_is_recorded_and_not_applied() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let first = world.claim().pop().unwrap();
    world.settle(first.seq, first.attempt, Ended::Unclear);
    let late = world.settle(first.seq, first.attempt, confirmed());
    assert_eq!((late.applied, late.state), (false, State::Pending));
    let second = world.claim().pop().unwrap();
    assert!(
        !world.settle(first.seq, first.attempt, confirmed()).applied,
        "another attempt is under way"
    );
    assert!(world.settle(second.seq, second.attempt, confirmed()).applied);
    assert!(!world.settle(second.seq, second.attempt, declined("no")).applied, "it is settled");
    assert_eq!(world.show(&taken.id).state, State::Confirmed);
    let events = world.reader().events(taken.seq).unwrap();
    assert_eq!(events.iter().filter(|event| event.what == "late_answer").count(), 3);
}

#[test]
fn what_was_in_flight_at_a_crash_is_uncertain_and_what_was_not_is_clear() {
    let mut world = World::new();
    let flying = world.take("till-1", "A");
    world.claim();
    let waiting = world.take("till-1", "B");
    world.crash();
    assert_eq!(world.report.uncertain, 1);
    let (flying, waiting) = (world.show(&flying.id), world.show(&waiting.id));
    assert_eq!((flying.in_flight, flying.uncertain), (false, true));
    assert_eq!((waiting.in_flight, waiting.uncertain), (false, false));
}

#[test]
fn unclaimed_rows_are_clear_again_and_were_not_attempted() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    let claimed = world.claim().pop().unwrap();
    world.one(Unclaim(vec![(claimed.seq, claimed.attempt)]));
    let row = world.show(&taken.id);
    assert_eq!((row.in_flight, row.uncertain, row.attempts), (false, false, 0));
}

#[test]
fn a_till_takes_back_its_own_row_only_and_only_before_an_attempt() {
    let mut world = World::new();
    let taken = world.take("till-1", "A");
    assert!(matches!(void_by_till(&mut world, &taken.id, "till-2", false), VoidOutcome::Unknown));
    world.claim();
    assert!(matches!(
        void_by_till(&mut world, &taken.id, "till-1", false),
        VoidOutcome::TooLate(_)
    ));
    assert!(matches!(void_by_till(&mut world, &taken.id, "till-1", true), VoidOutcome::Voided(_)));
    assert!(
        matches!(void_by_till(&mut world, &taken.id, "till-1", false), VoidOutcome::Voided(_)),
        "again the same"
    );
    assert!(matches!(
        world.decide(new("till-1", "A")),
        Decision::Settled(row) if row.state == State::Voided
    ));
}

#[test]
fn an_uncertain_row_cannot_be_taken_back_by_its_till() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    world.settle(taken.seq, 1, Ended::Unclear);
    assert!(matches!(void_by_till(&mut world, &taken.id, "till-1", true), VoidOutcome::TooLate(_)));
}

#[test]
fn an_operator_closes_what_is_open_and_nothing_else() {
    let mut world = World::up();
    let flying = world.take("till-1", "A");
    assert!(matches!(void(&mut world, &flying.id), Acted::Refused { .. }));
    let parked_row = world.settled("till-1", "B", parked());
    let Acted::Done(row) = void(&mut world, &parked_row.id) else { panic!() };
    assert_eq!(
        (row.state, row.note),
        (State::Voided, Some(Note::Text { text: "a note".to_owned() }))
    );
    assert!(matches!(void(&mut world, &parked_row.id), Acted::Refused { .. }));
    assert!(matches!(void(&mut world, &Id::parse("99-0").unwrap()), Acted::Unknown));
}

#[test]
fn a_retried_row_forgets_the_answer_to_its_earlier_attempt() {
    let mut world = World::up();
    let taken = world.settled("till-1", "A", declined("no such reward"));
    assert!(matches!(world.retry(&taken.id), Acted::Done(row) if row.state == State::Pending));
    let claimed = world.claim().pop().unwrap();
    world.settle(claimed.seq, claimed.attempt, confirmed());
    let Decision::Settled(row) = world.decide(new("till-1", "A")) else { panic!() };
    assert_eq!((row.state, relayed(&row).status), (State::Confirmed, 200));
}

#[test]
fn what_the_provider_said_before_a_retry_stays_in_the_rows_history_with_its_code_masked() {
    let mut world = World::up();
    let said = "Reward X-12345678 expired on the 3rd of May";
    let taken = world.settled("till-1", "X-12345678", declined(said));
    assert!(matches!(world.retry(&taken.id), Acted::Done(_)));
    let claimed = world.claim().pop().unwrap();
    world.settle(claimed.seq, claimed.attempt, confirmed());
    let events = world.reader().events(taken.seq).unwrap();
    let kept = events.iter().find(|event| event.what == "answered").unwrap();
    for language in [Language::English, Language::Arabic] {
        let text = message::Event::from_stored(&kept.detail).text(language);
        assert!(text.contains("expired on the 3rd of May"), "{text}");
        assert!(!text.contains(['{', '[']), "in words, not as it came: {text}");
        assert!(!kept.detail.contains("X-12345678") && !text.contains("X-12345678"), "{text}");
    }
}

#[test]
fn a_code_that_the_provider_escaped_is_masked_in_the_rows_history_all_the_same() {
    let said = r#""message":"\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668 expired"}"#;
    for before in [r#"{"data":[],"#, r#"{"at":1e999,"#] {
        let body = format!("{before}{said}");
        let mut world = World::up();
        let answer = Answer { status: 400, content_type: None, body: body.into() };
        let ended = Ended::Declined { answer, already_used: false, strong: true };
        let taken = world.settled("till-1", "١٢٣٤٥٦٧٨", ended);
        assert!(matches!(world.retry(&taken.id), Acted::Done(_)));
        let events = world.reader().events(taken.seq).unwrap();
        let kept = events.iter().find(|event| event.what == "answered").unwrap();
        let text = message::Event::from_stored(&kept.detail).text(Language::English);
        for text in [&kept.detail, &text] {
            assert!(!text.contains("0661") && !text.contains("١٢٣"), "{text}");
        }
    }
}

#[test]
fn a_parked_row_is_uncertain_when_it_is_retried() {
    let mut world = World::up();
    let taken = world.settled("till-1", "A", parked());
    assert!(matches!(world.retry(&taken.id), Acted::Done(row) if row.uncertain));
    let declined = world.settled("till-1", "B", declined("no"));
    assert!(
        matches!(world.retry(&declined.id), Acted::Done(row) if !row.uncertain),
        "that one did nothing there"
    );
}

#[test]
fn a_retry_is_refused_while_another_redemption_has_the_code() {
    let mut world = World::up();
    let first = world.settled("till-1", "A", declined("no"));
    let Decision::Taken(second) = world.decide(later("till-2", "A")) else { panic!() };
    let Acted::Refused { why } = world.retry(&first.id) else { panic!() };
    let why = why.text(redeemd::message::Language::English);
    assert!(why.contains(second.id.as_str()), "{why}");
    assert!(matches!(world.retry(&second.id), Acted::Refused { .. }), "it is pending itself");
}

#[test]
fn where_codes_are_told_apart_one_that_folds_alike_forbids_no_retry_and_is_no_holder() {
    for exact in [false, true] {
        let mut world = if exact { World::exact() } else { World::up() };
        let parked = world.settled("till-1", "AB-1", parked());
        world.settled("till-2", "ab-1", confirmed());
        let is_sent_again = matches!(world.retry(&parked.id), Acted::Done(_));
        let declined = world.settled("till-1", "CD-1", declined("gone"));
        world.settled("till-2", "cd-1", confirmed());
        held_for(&mut world, &[declined.seq]);
        let retried = take_back(&mut world);
        assert_eq!((is_sent_again, retried), (exact, u64::from(exact)));
        world.settled("till-1", "EF-1", confirmed());
        world.settled("till-2", "ef-1", confirmed());
        let asked = world.take("till-3", "EF-1");
        let Concluded::TurnedAway { holder: Some(Holder::Used(by)), .. } =
            conclude(&mut world, asked.seq, true)
        else {
            panic!()
        };
        assert_eq!(by.till, if exact { "till-1" } else { "till-2" });
    }
}

/// The n-th way to write a code of eleven letters.
fn spelling(nth: usize) -> String {
    let letter = |at: usize, c: char| if nth >> at & 1 == 1 { c } else { c.to_ascii_uppercase() };
    "abcdefghijk".char_indices().map(|(at, c)| letter(at, c)).collect()
}

#[test]
fn where_codes_are_told_apart_no_number_of_others_that_fold_alike_hides_a_used_one() {
    let mut world = World::exact();
    let rules = CodeRules { reusable: false, exact: true };
    let ask = |world: &mut World, new| world.one(Accept { new, rules }).decision;
    world.settled("till-1", &spelling(0), confirmed());
    let others: Vec<Accept> =
        (1..300).map(|nth| Accept { new: new("till-2", &spelling(nth)), rules }).collect();
    let down = |world: &mut World| world.lane = LaneNow::down();
    world.run(&others[..100]);
    down(&mut world);
    let told = ask(&mut world, later("till-3", &spelling(0)));
    assert!(matches!(told, Decision::Used(_)), "{told:?}");
    let told = ask(&mut world, later("till-3", &spelling(2000)));
    assert!(matches!(told, Decision::Taken(_)), "another code: {told:?}");
    world.lane = LaneNow::default();
    world.run(&others[100..]);
    down(&mut world);
    let told = ask(&mut world, later("till-3", &spelling(0)));
    assert!(matches!(told, Decision::Gone(Kept::Used)), "beyond what is read: {told:?}");
}

#[test]
fn where_codes_are_told_apart_one_that_folds_alike_is_no_other_request_of_a_key_that_nobody_gave() {
    let mut world = World::exact();
    let rules = CodeRules { reusable: true, exact: true };
    for code in ["SUMMER10", "summer10"] {
        let told = world.one(Accept { new: new("till-1", code), rules }).decision;
        assert!(matches!(told, Decision::Taken(_)), "{code}: {told:?}");
        let again = world.one(Accept { new: new("till-1", code), rules }).decision;
        assert!(matches!(again, Decision::StillPending(_)), "{code}: {again:?}");
    }
    let again = world.one(Accept { new: new("till-1", "SUMMER10"), rules }).decision;
    assert!(matches!(again, Decision::StillPending(row) if row.seq == Seq(1)));
}

/// What the lane's link keeps: held for these declines.
fn held_for(world: &mut World, streak: &[Seq]) {
    let (cause, detail) = ("declines".to_owned(), String::new());
    let hold = Some(Hold { cause, detail, since_ms: NOW_MS });
    let (lane, memory) = (LANE.to_owned(), LaneMemory { hold, ..LaneMemory::default() });
    world.one(Remember { lane, memory, streak: streak.to_vec() });
}

/// An operator holds it besides, or holds it alone.
fn held_by_operator(world: &mut World, is_held_for_declines: bool) {
    let (cause, detail) = ("operator".to_owned(), "held by ann".to_owned());
    let hold = Some(Hold { cause, detail, since_ms: NOW_MS });
    let declines = is_held_for_declines.then(|| "10 declined".to_owned());
    let memory = LaneMemory { hold, declines, ..LaneMemory::default() };
    world.one(Remember { lane: LANE.to_owned(), memory, streak: Vec::new() });
}

fn released(world: &mut World) {
    let memory = LaneMemory::default();
    world.one(Remember { lane: LANE.to_owned(), memory, streak: Vec::new() });
}

fn take_back(world: &mut World) -> u64 {
    world.one(RetryHeld { lane: LANE.to_owned(), by: "op".to_owned() })
}

#[test]
fn behind_an_operators_hold_the_declines_for_which_a_lane_is_held_are_still_taken_back() {
    let mut world = World::up();
    let declined = world.settled("till-1", "GIVEN", declined("gone")).seq;
    held_for(&mut world, &[declined]);
    held_by_operator(&mut world, false);
    assert_eq!(take_back(&mut world), 0, "an operator alone holds it");
    held_for(&mut world, &[declined]);
    held_by_operator(&mut world, true);
    world.crash();
    assert_eq!(take_back(&mut world), 1);
}

#[test]
fn what_an_earlier_hold_declined_or_a_person_has_closed_is_not_taken_back() {
    let mut world = World::up();
    let declines = |world: &mut World, codes: [&str; 4]| {
        codes.map(|code| world.settled("till-1", code, declined("gone")))
    };
    let earlier = declines(&mut world, ["A", "B", "C", "D"]);
    held_for(&mut world, &earlier.clone().map(|row| row.seq));
    released(&mut world);
    assert_eq!(take_back(&mut world), 0, "it is not held");
    // Also where the daemon has ended since.
    world.restart();
    let present = declines(&mut world, ["E", "F", "G", "H"]);
    held_for(&mut world, &present.clone().map(|row| row.seq));
    for (row, free) in [(&present[0], false), (&present[1], true)] {
        let (note, by) = ("seen to".to_owned(), "op".to_owned());
        let seen_to = world.one(Handling { id: row.id.clone(), note, free, by });
        assert!(matches!(seen_to, Acted::Done(_)));
    }
    // The link names all of them for as long as it is held, and after a start none.
    held_for(&mut world, &present.clone().map(|row| row.seq));
    world.restart();
    held_for(&mut world, &[]);
    assert_eq!(take_back(&mut world), 2);
    let is_pending = |row: &Taken| world.show(&row.id).state == State::Pending;
    assert!(!earlier.iter().any(is_pending) && !present[..2].iter().any(is_pending));
    assert!(present[2..].iter().all(is_pending));
}

#[test]
fn the_declines_of_a_streak_are_retried_together_but_one_for_each_code() {
    let mut world = World::up();
    let rows: Vec<_> = ["A", "B", "C"]
        .iter()
        .map(|code| world.settled("till-1", code, declined("gone")))
        .collect();
    let Decision::Taken(again) = world.decide(later("till-2", "A")) else { panic!() };
    world.settle(again.seq, 1, declined("gone"));
    let streak: Vec<_> = rows.iter().take(2).map(|row| row.seq).chain([again.seq]).collect();
    held_for(&mut world, &streak);
    assert_eq!(take_back(&mut world), 2);
    assert_eq!(world.show(&rows[2].id).state, State::Declined, "it was not of the streak");
    assert_eq!(world.counts().pending, 2);
}

#[test]
fn what_was_taken_back_from_a_streak_is_of_no_streak_any_more() {
    let mut world = World::up();
    let row = world.settled("till-1", "A", declined("gone"));
    held_for(&mut world, &[row.seq]);
    assert_eq!(take_back(&mut world), 1);
    let again = world.claim().pop().unwrap();
    world.settle(again.seq, again.attempt, declined("gone"));
    assert_eq!(take_back(&mut world), 0);
    let events = world.reader().events(row.seq).unwrap();
    assert!(
        events.iter().any(|event| (event.what.as_str(), event.lane.as_str()) == ("retry", LANE)),
        "{events:?}"
    );
}

#[test]
fn a_lane_that_is_held_for_declines_knows_whether_one_is_left_to_be_taken_back() {
    let mut world = World::up();
    let row = world.settled("till-1", "A", declined("gone"));
    let all_taken_back = |world: &mut World| {
        let standing = world.one(AskStanding);
        standing.lanes.iter().any(|lane| lane.name == LANE && lane.all_taken_back)
    };
    assert!(!all_taken_back(&mut world), "it is not held");
    held_for(&mut world, &[row.seq]);
    world.settled("till-1", "LATER", declined("a till's own"));
    assert!(!all_taken_back(&mut world), "one is left");
    assert_eq!(take_back(&mut world), 1);
    assert!(all_taken_back(&mut world));
}

#[test]
fn pruning_takes_old_settled_rows_and_keeps_the_totals() {
    let mut world = World::up();
    world.settled("till-1", "A", confirmed());
    world.settled("till-1", "B", declined("no"));
    world.settled("till-1", "C", parked());
    world.take("till-1", "D");
    let newest = world.settled("till-1", "E", confirmed());
    let before = world.counts();
    world.stamp.trusted = false;
    assert_eq!(world.prune().rows, 0, "the clock is not trusted now");
    world.stamp.trusted = true;
    assert_eq!(world.prune().rows, 2);
    assert_eq!(world.counts(), before);
    let left = world.reader().list(&Filter { limit: 10, ..Filter::default() }).unwrap();
    let states: Vec<State> = left.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Parked, State::Pending, State::Confirmed]);
    world.restart();
    assert!(world.take("till-1", "F").seq > newest.seq, "no number is given twice");
}

#[test]
fn what_was_lost_or_inferred_stays_and_is_at_risk_until_a_person_has_handled_it() {
    let mut world = World::new();
    let lost = world.settled("till-1", "A", declined("no")).id;
    let inferred = world.settled("till-1", "B", Ended::Unclear);
    assert_eq!(world.claim()[0].attempt, 2);
    world.settle(inferred.seq, 2, declined("it has been used"));
    assert!(world.show(&inferred.id).duplicate_of_ours && world.show(&lost).lost);
    world.settled("till-1", "C", confirmed());
    assert_eq!(world.prune().rows, 0, "the last is the newest, which stays");
    world.settled("till-1", "D", confirmed());
    let at_risk = |world: &mut World| world.one(AskStanding).lanes[0].exposure;
    assert_eq!((world.prune().rows, at_risk(&mut world)), (1, Amount::whole(50)));
    for id in [lost, inferred.id] {
        let handling = Handling { id, note: "seen".to_owned(), free: false, by: "op".to_owned() };
        assert!(matches!(world.one(handling), Acted::Done(_)));
    }
    assert_eq!((world.prune().rows, at_risk(&mut world)), (2, Amount::ZERO));
}

#[test]
fn what_is_owed_stays_until_it_is_given_or_a_person_has_handled_it() {
    let mut world = World::up();
    let owed = ["A", "B"].map(|code| {
        let asked = world.take("till-1", code);
        assert!(matches!(conclude(&mut world, asked.seq, false), Concluded::Refused { .. }));
        world.one(Settlement::new(asked.seq, 1, confirmed()));
        asked.id
    });
    world.settled("till-1", "NEWEST", confirmed());
    assert_eq!(world.prune().rows, 0);
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Owed(_)));
    let [_, id] = owed;
    world.one(Handling { id, note: "seen".to_owned(), free: false, by: "op".to_owned() });
    assert_eq!(world.prune().rows, 2);
}

#[test]
fn pruning_goes_on_where_it_stopped_ends_at_what_is_younger_and_spares_the_very_moment() {
    let mut world = World::up();
    for n in 1..=600 {
        // What a clock that nobody set says of a row's age ends nothing.
        world.stamp.trusted = n != 500;
        world.settled("till-1", &format!("OLD-{n}"), confirmed());
    }
    let day = Duration::from_secs(86_400);
    let prune = |world: &mut World, settled, after| {
        let retention = Retention { settled, codes: 400 * day };
        let pruned = world.one(Prune { retention, after: Seq(after) });
        (pruned.rows, pruned.after)
    };
    world.stamp.unix_ms += 86_400_000;
    assert_eq!(prune(&mut world, day, 0), (0, Some(Seq(500))));
    assert_eq!(prune(&mut world, day, 1), (0, None), "as young as that, and so is what follows");
    assert_eq!(
        prune(&mut world, day.saturating_sub(Duration::from_secs(60)), 0),
        (499, Some(Seq(500)))
    );
    assert_eq!(
        prune(&mut world, day.saturating_sub(Duration::from_secs(60)), 500),
        (99, None),
        "all but the newest"
    );
}

/// Under this clock, so many seconds after the machine's start.
fn at<O: Operation>(world: &mut World, unix_ms: i64, uptime_s: u64, op: O) -> O::Output {
    let (offline, lane) = (world.offline.clone(), |_: &str| LaneNow::default());
    let stamp = redeemd::clock::Stamp { unix_ms, trusted: true };
    let uptime = Duration::from_secs(uptime_s);
    let around = Surroundings { uptime, ..Surroundings::new(stamp, &offline, &lane) };
    world.store().perform(op, &around).unwrap()
}

#[test]
fn rows_of_a_clock_that_ran_ahead_leave_by_elapsed_time_and_keep_no_others() {
    let (mut world, hour) = (World::up(), Duration::from_secs(3600));
    let ten_years_ms = 10 * 365 * 86_400_000;
    for n in 1..=503 {
        let (ahead_ms, uptime_s) = if n <= 500 { (ten_years_ms, 0) } else { (0, 60) };
        let accept = accept_op(new("till-1", &format!("N-{n}")));
        let decided = at(&mut world, NOW_MS + ahead_ms, uptime_s, accept);
        let Decision::Taken(taken) = decided.decision else { panic!() };
        at(&mut world, NOW_MS + ahead_ms, uptime_s, Settlement::new(taken.seq, 1, confirmed()));
    }
    let mut prune = |uptime_s: u32, after| {
        let retention = Retention { settled: hour, codes: 400 * 24 * hour };
        let now_ms = NOW_MS + 1000 * i64::from(uptime_s);
        let op = Prune { retention, after: Seq(after) };
        let pruned = at(&mut world, now_ms, uptime_s.into(), op);
        (pruned.rows, pruned.after)
    };
    assert_eq!(prune(1800, 0), (0, Some(Seq(500))), "half an hour old, whatever their clock said");
    assert_eq!(prune(1800, 500), (0, None));
    assert_eq!(prune(7200, 500), (2, None), "all but the newest");
    assert_eq!(prune(7200, 0), (500, Some(Seq(500))));
}

#[test]
fn a_synchronised_clock_that_jumps_a_month_ahead_for_an_hour_lets_no_code_go() {
    let mut world = World::new();
    world.settled("till-1", "A", confirmed());
    let (offline, lane) = (world.offline.clone(), |_: &str| LaneNow::down());
    let retention = Retention {
        settled: Duration::from_secs(30 * 86_400),
        codes: Duration::from_secs(365 * 86_400),
    };
    let month_ms = 31 * 86_400_000;
    let mut uptime = Duration::from_millis(u64::try_from(NOW_MS).unwrap());
    for unix_ms in [NOW_MS + month_ms, NOW_MS + month_ms + 3_600_000] {
        let stamp = redeemd::clock::Stamp { unix_ms, trusted: true };
        let around = Surroundings { uptime, ..Surroundings::new(stamp, &offline, &lane) };
        let pruned = world.store().perform(Prune { retention, after: Seq(0) }, &around).unwrap();
        assert!(pruned.rows == 0, "{pruned:?}");
        uptime += Duration::from_secs(3600);
    }
    assert!(matches!(world.decide(later("till-2", "A")), Decision::Used(_)));
    // The same month, lived through.
    let stamp = redeemd::clock::Stamp { unix_ms: NOW_MS + month_ms + 86_400_000, trusted: true };
    uptime += Duration::from_secs(32 * 86_400);
    world.take("till-3", "NEWER");
    let around = Surroundings { uptime, ..Surroundings::new(stamp, &offline, &lane) };
    let pruned = world.store().perform(Prune { retention, after: Seq(0) }, &around).unwrap();
    assert!(pruned.rows == 1, "{pruned:?}");
    assert!(
        matches!(world.decide(later("till-2", "A")), Decision::Gone(_)),
        "its code outlives its row"
    );
}

#[test]
fn a_till_without_pending_rows_is_not_carried_along() {
    let mut world = World::new();
    for n in 0..20 {
        let taken = world.take(&format!("till-{n}"), &format!("CODE-{n}"));
        if n > 0 {
            world.one(Void { id: taken.id, note: "n".to_owned(), by: "ops".to_owned() });
        }
    }
    world.store.take().unwrap().close().unwrap();
    let raw = rusqlite::Connection::open(world.path().join(redeemd::store::FILE)).unwrap();
    let tills: Vec<String> = raw
        .prepare("SELECT till FROM till")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tills, ["till-0"]);
}

#[test]
fn rows_settled_under_a_clock_that_was_not_trusted_are_not_pruned() {
    let mut world = World::up();
    world.stamp.trusted = false;
    world.settled("till-1", "A", confirmed());
    world.stamp.trusted = true;
    world.settled("till-1", "B", confirmed());
    assert_eq!(world.prune().rows, 0);
}

#[test]
fn what_an_earlier_process_left_and_a_person_voids_holds_its_code_offline_as_what_was_given_does() {
    let mut world = World::up();
    let asked = world.take("till-1", "A");
    world.settle(asked.seq, 1, Ended::Clean);
    world.crash();
    assert!(matches!(void(&mut world, &asked.id), Acted::Done(row) if row.state == State::Voided));
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(new("till-2", "A")), Decision::Used(_)));
}

#[test]
fn what_the_provider_took_of_a_code_it_had_refused_when_the_process_ended_is_owed() {
    let mut world = World::up();
    world.settled("till-1", "A", declined("Reward is not active yet"));
    let Decision::Taken(again) = world.decide(later("till-1", "A")) else { panic!() };
    assert!(again.provider_only);
    world.crash();
    let third =
        NewRedemption { request: request_at("A", "2027-01-15 12:00:00"), ..new("till-1", "A") };
    let Decision::StillPending(joined) = world.decide(third) else { panic!() };
    assert!(joined.id == again.id && !joined.trusted, "nothing can have been given: {joined:?}");
    world.one(Settlement::new(again.seq, 2, declined("has been used")));
    let row = world.show(&again.id);
    assert!(row.owed && row.duplicate_of_ours && row.value.is_none(), "{row:?}");
    let told = world.decide(later("till-2", "A"));
    assert!(matches!(told, Decision::Owed(row) if row.id == again.id));
}

#[test]
fn one_operation_that_fails_leaves_its_neighbours_committed() {
    let mut world = World::new();
    let [mut one, mut two] = ["A", "B"].map(|code| Job::new(accept_op(new("till-1", code))));
    let mut unknown_row = Job::new(unknown());
    world.run_tasks(&mut [&mut one, &mut unknown_row, &mut two]);
    assert!(one.outcome().is_ok() && unknown_row.outcome().is_err() && two.outcome().is_ok());
    world.crash();
    assert_eq!(world.counts().pending, 2);
}

#[test]
fn of_a_batch_that_is_run_again_what_ends_goes_first_and_each_gets_its_own_result() {
    let mut world = World::up();
    let taken = world.take("till-1", "A");
    let mut settle = Job::new(Settlement::new(taken.seq, 1, declined("no")));
    let (mut unknown_row, mut accept) =
        (Job::new(unknown()), Job::new(accept_op(later("till-2", "A"))));
    world.run_tasks(&mut [&mut unknown_row, &mut accept, &mut settle]);
    assert!(unknown_row.outcome().is_err());
    let accepted = accept.outcome().unwrap();
    assert!(
        matches!(accepted, Decided { decision: Decision::Taken(_), live: Some(_), .. }),
        "{accepted:?}"
    );
    assert!(settle.outcome().unwrap().applied, "it gave the code back before the other till asked");
}

#[test]
fn a_failed_operation_leaves_no_lane_and_no_number_behind() {
    let mut world = World::new();
    assert!(world.run(&[unknown()]).pop().unwrap().is_err());
    assert!(world.store().counts().is_empty());
    assert_eq!(world.take("till-1", "A").seq, Seq(1));
}

#[test]
fn lanes_have_books_before_their_first_redemption_and_after_a_restart() {
    let mut world = World::new();
    let names = ["one".to_owned(), "two".to_owned()];
    world.store().ensure_lanes(&names).unwrap();
    for _ in 0..2 {
        assert_eq!(world.store().counts(), names.clone().map(|name| (name, Counts::default())));
        world.crash();
    }
    assert!(world.store().ensure_lanes(&names).is_ok() && world.store().counts().len() == 2);
}

#[test]
fn the_logs_gauge_follows_each_commit_and_a_checkpoint_begins_it_anew() {
    let mut world = World::new();
    let gauge = world.store().wal_gauge();
    let read = |world: &mut World| {
        (world.store().wal_frames(), gauge.load(std::sync::atomic::Ordering::Relaxed))
    };
    world.take("till-1", "A");
    let first = read(&mut world);
    world.take("till-1", "B");
    let second = read(&mut world);
    assert!(
        first.0 > 1 && first.0 == first.1 && second.0 > first.0 && second.0 == second.1,
        "{first:?} {second:?}"
    );
    assert_eq!(world.store().checkpoint().unwrap(), second.0);
    assert_eq!(read(&mut world), (0, 0));
    world.store().probe().unwrap();
    assert_eq!(world.store().path(), world.path().join(FILE));
}

#[test]
fn what_a_link_must_not_forget_survives_a_crash() {
    let mut world = World::new();
    assert_eq!(world.store().memory(LANE).unwrap(), LaneMemory::default());
    let memory = LaneMemory {
        hold: Some(Hold {
            cause: "operator".to_owned(),
            detail: "held by ann".to_owned(),
            since_ms: 7,
        }),
        outage_ms: 5000,
        noted_ms: NOW_MS,
        noted_trusted: true,
        wait: Some(WaitMemory { boot_id: "boot".to_owned(), until_ms: 9000, left_ms: 1 }),
        more: "outages".to_owned(),
        declines: Some("10 declined after the fact".to_owned()),
    };
    world.one(Remember { lane: LANE.to_owned(), memory: memory.clone(), streak: Vec::new() });
    world.crash();
    assert_eq!(world.store().memory(LANE).unwrap(), memory);
    world.one(Remember {
        lane: LANE.to_owned(),
        memory: LaneMemory::default(),
        streak: Vec::new(),
    });
    assert_eq!(
        world.store().memory(LANE).unwrap(),
        LaneMemory::default(),
        "a hold and a wait that are over"
    );
}

#[test]
fn how_long_the_outage_lasts_is_kept_with_a_redemption_given_on_trust_each_minute_at_most() {
    let (minute, mut world) = (Duration::from_secs(60), World::new());
    let mut given_after = |present: Option<Duration>| {
        let n = world.counts().accepted;
        world.lane.present = present;
        world.take("till-1", &format!("C{n}"));
        world.crash();
        world.store().memory(LANE).unwrap().outage_ms
    };
    assert_eq!(given_after(None), 0);
    assert_eq!(given_after(Some(minute / 2)), 0);
    let hours = 1800 * minute;
    assert_eq!(given_after(Some(hours)), 108_000_001, "the first after a start");
    world.lane.present = None;
    let memory = LaneMemory { outage_ms: 108_000_000, ..LaneMemory::default() };
    world.one(Remember { lane: LANE.to_owned(), memory, streak: Vec::new() });
    for (seconds, kept_ms) in [(59, 108_000_000), (60, 108_060_001), (119, 108_060_001)] {
        world.lane.present = Some(hours + Duration::from_secs(seconds));
        world.take("till-1", &format!("D{seconds}"));
        assert_eq!(world.store().memory(LANE).unwrap().outage_ms, kept_ms, "{seconds} s later");
    }
    world.lane.present = None;
    let memory = LaneMemory::default();
    world.one(Remember { lane: LANE.to_owned(), memory, streak: Vec::new() });
    world.lane.present = Some(minute);
    world.take("till-1", "THE-NEXT-OUTAGE");
    assert_eq!(world.store().memory(LANE).unwrap().outage_ms, 60_001);
}

#[test]
fn what_an_earlier_process_left_without_a_word_counts_as_given_and_what_was_refused_does_not() {
    let mut world = World::up();
    let (open, refused) = (world.take("till-1", "A"), world.take("till-1", "B"));
    assert!(matches!(conclude(&mut world, refused.seq, false), Concluded::Refused { .. }));
    world.crash();
    world.lane = LaneNow::default();
    let Decision::StillPending(again) = world.decide(new("till-1", "A")) else { panic!() };
    assert!(again.trusted && again.id == open.id, "its 2xx may have left a moment before");
    assert!(
        matches!(world.decide(new("till-1", "B")), Decision::StillPending(again) if !again.trusted)
    );
    world.settle(refused.seq, 2, Ended::Clean);
    let claimed = world.claim().into_iter().find(|row| row.seq == open.seq).unwrap();
    assert!(claimed.trusted);
    world.settle(claimed.seq, claimed.attempt, Ended::Clean);
    assert!(world.show(&open.id).trusted);
}
