//! Who is told of a redemption that was refused before, and to whom it is owed: the writer knows.

use std::time::Duration;

use redeemd::clock::Clock;
use redeemd::decide::WaitEnd;
use redeemd::queue::{Audience, Queue, Waited};
use redeemd::redemption::{Id, Redemption};
use redeemd::store::{Concluded, Decision, NewRedemption, Settled, Settlement, Taken};
use tokio::task::JoinSet;

use crate::world::{LANE, NOW_MS, World, confirmed, new, offline, request_at};

/// What the till gave another code's request as its key.
const KEY_OF_B: &str = "key-of-b";

/// A redemption whose attempt is on its way, and the queue. The writer takes whatever is asked
/// before the test waits as one batch.
struct House {
    _dir: tempfile::TempDir,
    queue: Queue,
    asked: Taken,
    writer: JoinSet<()>,
}

impl House {
    fn new() -> Self {
        let mut world = World::up();
        let asked = world.take("till-1", "A");
        world.decide(NewRedemption { key: Some(KEY_OF_B.to_owned()), ..new("till-1", "B") });
        let store = world.store.take().unwrap();
        let (queue, works) = Queue::new(store, Clock::manual(NOW_MS, true), offline());
        let mut writer = JoinSet::new();
        writer.spawn(works.run());
        Self { _dir: world.dir, queue, asked, writer }
    }

    /// Its till has waited in vain and was told no.
    async fn refused() -> Self {
        let house = Self::new();
        let told = house.queue.conclude(&house.asked, WaitEnd::InVain).await.unwrap();
        assert!(matches!(told, (Concluded::Refused { .. }, None)), "{told:?}");
        house
    }

    /// It is confirmed after that, and owed.
    async fn owed() -> Self {
        let house = Self::refused().await;
        house.confirm().await;
        assert!(house.is_owed().await);
        house
    }

    async fn confirm(&self) -> Settled {
        self.queue.ask(Settlement::new(self.asked.seq, 1, confirmed())).await.unwrap()
    }

    /// The answer does not reach its till.
    fn misses(&self, till: &str) {
        self.queue.undelivered((till, LANE), &new(till, "A").request, self.asked.seq);
    }

    async fn ask(&self, new: NewRedemption) -> (Decision, Option<Audience>) {
        self.queue.accept(new).await.unwrap()
    }

    /// The till is given what is owed; who is to say whether it hears.
    async fn given(&self, new: NewRedemption) -> Audience {
        let told = self.ask(new).await;
        let (Decision::Owed(_), Some(audience)) = told else { panic!("{told:?}") };
        audience
    }

    async fn is_owed(&self) -> bool {
        self.row().await.owed
    }

    async fn row(&self) -> Redemption {
        let id: &Id = &self.asked.id;
        self.queue.ping().await.unwrap();
        self.queue.show(id).await.unwrap().unwrap().row
    }

    async fn stop(mut self) {
        self.queue.stop().await;
        self.writer.join_next().await.unwrap().unwrap();
    }
}

/// A request for the code of another moment.
fn later(till: &str) -> NewRedemption {
    NewRedemption { request: request_at("A", "2027-01-15 10:09:00"), ..new(till, "A") }
}

#[tokio::test]
async fn a_confirmation_in_the_moment_of_a_repeat_is_told_to_it_or_owed_and_never_both() {
    for is_heard in [true, false] {
        let house = House::refused().await;
        let ((repeat, _), settled) = tokio::join!(house.ask(new("till-1", "A")), house.confirm());
        assert!(settled.applied && matches!(repeat, Decision::StillPending(_)), "{repeat:?}");
        let waited = house.queue.wait(house.asked.seq, Duration::from_secs(20)).await;
        let Waited::Settled(row, Some(audience)) = waited else { panic!("{waited:?}") };
        assert!(!row.owed && !house.is_owed().await);
        house.queue.delivered(audience, is_heard);
        assert_eq!(house.is_owed().await, !is_heard);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_till_whose_wait_ends_with_the_confirmation_is_told_it_or_owed_it() {
    for is_heard in [true, false] {
        let house = House::refused().await;
        let (Decision::StillPending(repeat), None) = house.ask(new("till-1", "A")).await else {
            panic!("it is on its way")
        };
        assert!(matches!(house.queue.wait(repeat.seq, Duration::ZERO).await, Waited::TimedOut));
        house.confirm().await;
        let told = house.queue.conclude(&repeat, WaitEnd::InVain).await.unwrap();
        let (Concluded::Settled { row, .. }, Some(audience)) = told else { panic!("{told:?}") };
        assert!(!row.owed && !house.is_owed().await);
        house.queue.delivered(audience, is_heard);
        assert_eq!(house.is_owed().await, !is_heard);
        house.stop().await;
    }
}

#[tokio::test]
async fn what_a_till_is_given_and_does_not_hear_is_owed_to_the_next() {
    for is_given_up in [false, true] {
        let house = House::owed().await;
        let lost = house.given(later("till-2")).await;
        // As is one whose request is given up in the middle.
        if is_given_up {
            drop(lost);
        } else {
            house.queue.delivered(lost, false);
        }
        let hears = house.given(later("till-3")).await;
        house.queue.delivered(hears, true);
        for till in ["till-1", "till-2", "till-4"] {
            let told = house.ask(later(till)).await.0;
            assert!(!matches!(told, Decision::Owed(_) | Decision::Settled(_)), "{till}: {told:?}");
        }
        assert!(!house.row().await.in_vain);
        house.stop().await;
    }
}

#[tokio::test]
async fn of_tills_that_all_reset_their_connections_two_are_given_what_is_owed_and_a_person_decides()
{
    let house = House::owed().await;
    for till in ["till-2", "till-3"] {
        let resets = house.given(later(till)).await;
        house.misses(till);
        house.queue.delivered(resets, false);
    }
    for till in ["till-4", "till-5", "till-1", "till-2"] {
        let told = house.ask(later(till)).await.0;
        assert!(!matches!(told, Decision::Owed(_) | Decision::Settled(_)), "{till}: {told:?}");
    }
    let row = house.row().await;
    assert!(row.in_vain && row.owed_paid && !row.owed, "{row:?}");
    house.stop().await;
}

#[tokio::test]
async fn one_of_several_answers_is_enough_however_late_the_others_are_known_to_be_lost() {
    for heard in [[true, false], [false, true], [false, false]] {
        let house = House::owed().await;
        let first = house.given(later("till-2")).await;
        let told = house.ask(later("till-2")).await;
        let (Decision::Settled(_), Some(again)) = told else { panic!("{told:?}") };
        for (audience, is_heard) in [first, again].into_iter().zip(heard) {
            house.queue.delivered(audience, is_heard);
        }
        assert_eq!(house.is_owed().await, heard == [false, false], "{heard:?}");
        let repeat = house.ask(later("till-2")).await;
        assert_eq!(matches!(repeat, (Decision::Settled(_), None)), heard != [false, false]);
        house.stop().await;
    }
}

#[tokio::test]
async fn who_asks_in_the_moment_in_which_nobody_has_heard_is_given_what_is_owed() {
    let house = House::refused().await;
    let (Decision::StillPending(repeat), None) = house.ask(new("till-1", "A")).await else {
        panic!("it is on its way")
    };
    house.confirm().await;
    let waited = house.queue.wait(repeat.seq, Duration::from_secs(20)).await;
    let Waited::Settled(_, Some(audience)) = waited else { panic!("{waited:?}") };
    house.queue.delivered(audience, false);
    let its_own = house.given(new("till-1", "A")).await;
    house.queue.delivered(its_own, true);
    assert!(!house.is_owed().await);
    house.stop().await;
}

#[tokio::test]
async fn an_undelivered_answer_is_told_once_though_its_batch_had_to_be_run_again() {
    let house = House::new();
    house.confirm().await;
    house.misses("till-1");
    let unknown = Taken { seq: redeemd::redemption::Seq(77), ..house.asked.clone() };
    let request = request_at("A", "2027-01-15 10:10:00");
    let (again, another, fails) = tokio::join!(
        house.ask(later("till-1")),
        house.ask(NewRedemption { request, ..new("till-1", "A") }),
        house.queue.conclude(&unknown, WaitEnd::InVain)
    );
    assert!(fails.is_err(), "or the batch would not be run again");
    assert!(matches!(again.0, Decision::Settled(_)), "{again:?}");
    assert!(!matches!(another.0, Decision::Settled(_)), "{another:?}");
    house.stop().await;
}

#[tokio::test]
async fn an_undelivered_answer_waits_on_where_its_till_is_told_something_else() {
    let house = House::new();
    house.confirm().await;
    house.misses("till-1");
    let keyed = NewRedemption { key: Some(KEY_OF_B.to_owned()), ..later("till-1") };
    let (reused, again, another) = tokio::join!(
        house.ask(keyed),
        house.ask(later("till-1")),
        house.ask(NewRedemption {
            request: request_at("A", "2027-01-15 10:10:00"),
            ..new("till-1", "A")
        })
    );
    assert!(matches!(reused.0, Decision::KeyReused), "{reused:?}");
    assert!(matches!(again.0, Decision::Settled(_)), "{again:?}");
    assert!(!matches!(another.0, Decision::Settled(_)), "told once: {another:?}");
    house.stop().await;
}
