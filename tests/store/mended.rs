//! What a rescue makes good: a single flipped bit, and a row of which only its body is left.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use redeemd::decide::WaitEnd;
use redeemd::limits::LaneNow;
use redeemd::message::Language;
use redeemd::redemption::{Redemption, Seq, State};
use redeemd::store::{
    Acted, AskStanding, Conclusion, Decision, Ended, Event, Exported, FILE, Filter, LaneMemory,
    NewRedemption, Record, Remains, Remember, Settlement, Tally, Void,
};

use crate::salvage::{LOG, PAGE, behind_its_back, bytes, checkpointed, emptied, root_of, write};
use crate::world::{LANE, NOW_MS, World, confirmed, declined, new, parked};

/// Every row as operators see it.
fn all(world: &World) -> Vec<Redemption> {
    world.reader().list(&Filter { limit: 1000, ..Filter::default() }).unwrap()
}

pub(crate) fn rescued(world: &mut World) -> Tally {
    world.report = world.store().rescue("a test", &[]).unwrap();
    world.report.salvage.clone().unwrap().tally
}

/// The file as it is after an ordered stop, with a log that holds nothing but its header.
fn file_alone(world: &mut World) -> Vec<u8> {
    checkpointed(world);
    world.store = None;
    write(world, LOG, &emptied(bytes(world, LOG).len()));
    bytes(world, FILE)
}

/// The pages in which leaves of a table hold this text.
fn leaves_with(file: &[u8], text: &[u8]) -> Vec<usize> {
    let is_it =
        |page: &[u8]| page[0] == 0x0d && page.windows(text.len()).any(|bytes| bytes == text);
    file.chunks(PAGE).enumerate().filter(|(_, page)| is_it(page)).map(|(at, _)| at).collect()
}

/// What is open in a damaged folder, read as `redeemd export` does.
fn exported(dir: &Path) -> (Tally, Vec<Exported>) {
    let remains = Remains::open(dir).unwrap();
    let rows = remains.export(Seq(0), 100).unwrap().rows;
    (remains.salvage().expect("its first page is damaged").1, rows)
}

/// Every bit takes minutes; 11 has nothing in common with 8, and `FLIPS_EVERY` says otherwise.
pub(crate) fn bits_apart() -> usize {
    std::env::var("FLIPS_EVERY").map_or(11, |text| text.parse().expect("FLIPS_EVERY is no number"))
}

#[test]
fn no_flipped_bit_of_a_row_or_of_its_body_costs_anything() {
    let mut world = World::new();
    // Codes of which none becomes another by one bit.
    for code in ["CODE-AAAA", "CODE-BCDE", "CODE-CFGH"] {
        world.take("till-keep", code);
    }
    let mut file = file_alone(&mut world);
    // No page size is so: SQLite does not open it, and everything is read page by page.
    file[17] = 9;
    write(&world, FILE, &file);
    let (tally, before) = exported(world.path());
    assert_eq!((tally.kept, tally.mended, tally.lost), (3, 0, Some(0)));
    let (rows, bodies) = (leaves_with(&file, b"till-keep"), leaves_with(&file, b"branch_id"));
    let (mut turned, mut mended) = (0, 0);
    for page in [rows[0], bodies[bodies.len() - 1]] {
        let first = page * PAGE
            + usize::from(u16::from_be_bytes([file[page * PAGE + 5], file[page * PAGE + 6]]));
        let header = page * PAGE..page * PAGE + 14;
        let bits =
            header.chain(first..(page + 1) * PAGE).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        for bit in bits.step_by(bits_apart()) {
            file[bit.0] ^= 1 << bit.1;
            write(&world, FILE, &file);
            let (tally, rows) = exported(world.path());
            assert_eq!(
                (tally.kept, tally.lost),
                (3, Some(0)),
                "bit {} of byte {}",
                bit.1,
                bit.0 % PAGE
            );
            let is_as_before =
                |row: &Exported| before.iter().any(|b| row.id == b.id && row.body == b.body);
            let odd: Vec<String> = rows
                .iter()
                .filter(|row| !is_as_before(row))
                .map(|row| serde_json::to_string(row).unwrap())
                .collect();
            assert!(
                odd.is_empty(),
                "bit {} of byte {} of page {page}: {odd:?} {}",
                bit.1,
                bit.0 % PAGE,
                serde_json::to_string(&before).unwrap()
            );
            mended += tally.mended;
            turned += 1;
            file[bit.0] ^= 1 << bit.1;
        }
    }
    println!(
        "flipped bits      {turned:>6}\nmended            {mended:>6}\nlost                   0"
    );
    assert!(turned > 20 && mended * 10 > turned * 8, "{mended} of {turned}");
}

#[test]
fn a_mended_row_is_delivered_and_the_operator_reads_of_it() {
    let mut world = World::new();
    let taken = ["A", "B", "C"].map(|code| world.take("till-keep", code));
    let mut file = file_alone(&mut world);
    let at = |file: &[u8], text: &[u8]| {
        file.windows(text.len()).position(|bytes| bytes == text).unwrap()
    };
    let (row, body) = (at(&file, b"till-keep"), at(&file, b"\"reward_code\":\"B\""));
    file[row] ^= 1;
    file[body + 15] ^= 2;
    write(&world, FILE, &file);
    world.open();
    let salvage = world.store().rescue("a test", &[]).unwrap().salvage.unwrap();
    assert_eq!(
        (salvage.tally.kept, salvage.tally.pending, salvage.tally.mended),
        (3, 3, 2),
        "{salvage}"
    );
    let told = "3 redemptions were kept, 3 of them pending (uncertain now), 2 with a flipped bit \
        that was put right";
    assert!(salvage.to_string().contains(told), "{salvage}");
    let sent = world.claim();
    let ids: Vec<_> = sent.iter().map(|row| &row.id).collect();
    assert_eq!(ids, taken.iter().map(|taken| &taken.id).collect::<Vec<_>>());
    assert!(
        sent.iter()
            .zip(["A", "B", "C"])
            .all(|(row, code)| row.body == new("till-keep", code).request.body)
    );
}

#[test]
fn a_flipped_bit_in_the_log_costs_not_even_the_row_of_which_it_holds_the_only_copy() {
    let mut world = World::new();
    let first = world.take("till-keep", "FIRST");
    world.restart();
    let last = world.take("till-last", "LAST");
    // Committed behind it on other pages: a damaged end of the log would be no damage but a torn
    // write.
    let hold = Event {
        at_ms: NOW_MS,
        id: None,
        lane: LANE.to_owned(),
        what: "hold".to_owned(),
        by: "op".to_owned(),
        detail: String::new(),
    };
    let memory = LaneMemory { outage_ms: 7, ..LaneMemory::default() };
    world.one(Record(hold));
    world.one(Remember { lane: LANE.to_owned(), memory, streak: Vec::new() });
    world.store = None;
    let mut log = bytes(&world, LOG);
    // The till's name stands in its own books too; in the row its merchant follows.
    let is_row = |at: &usize| {
        log[*at..].starts_with(b"till-last") && log[*at..*at + 80].windows(4).any(|b| b == b"shop")
    };
    let rows: Vec<usize> = (0..log.len() - 80).filter(is_row).collect();
    let [at] = rows[..] else { panic!("{rows:?}") };
    log[at] ^= 1;
    write(&world, LOG, &log);
    world.open();
    let salvage = world.report.salvage.clone().expect("the log is damaged");
    let tally = salvage.tally;
    assert_eq!(
        (tally.kept, tally.pending, tally.mended, tally.lost),
        (2, 2, 1, Some(0)),
        "{salvage}"
    );
    let sent: Vec<_> = world.claim().into_iter().map(|row| row.id).collect();
    assert_eq!(sent, [first.id, last.id]);
}

#[test]
fn two_flipped_bits_in_one_row_are_never_taken_for_one() {
    let mut world = World::new();
    let taken = ["A", "B"].map(|code| world.take("till-keep", code));
    let sound = file_alone(&mut world);
    let at = sound.windows(9).position(|bytes| bytes == b"till-keep").unwrap();
    let log = bytes(&world, LOG);
    for (first, second) in (0..24).flat_map(|a| (a + 1..24).map(move |b| (a, b))).step_by(5) {
        let mut file = sound.clone();
        for bit in [first, second] {
            file[at + bit / 3] ^= 1 << (bit % 3);
        }
        write(&world, FILE, &file);
        write(&world, LOG, &log);
        world.open();
        let tally = rescued(&mut world);
        assert_eq!(
            (tally.kept, tally.mended, tally.parked, tally.lost),
            (2, 0, 1, Some(0)),
            "{first}, {second}"
        );
        assert!(
            taken.iter().filter(|taken| world.reader().by_id(&taken.id).unwrap().is_some()).count()
                == 1
        );
        world.store = None;
    }
}

/// One row of each state, the pending ones before and after; the last is a neighbour that is never
/// damaged.
fn one_of_each(world: &mut World) {
    world.take("till-keep", "PENDING");
    world.lane = LaneNow::default();
    world.settled("till-keep", "CONFIRMED", confirmed());
    world.settled("till-keep", "DECLINED", declined("no such reward"));
    world.settled("till-keep", "PARKED", parked());
    let voided = world.take("till-keep", "VOIDED");
    world.settle(voided.seq, 1, Ended::Clean);
    let void = Void { id: voided.id, note: "not wanted".to_owned(), by: "op".to_owned() };
    assert!(matches!(world.one(void), Acted::Done(_)));
    world.lane = LaneNow::down();
}

/// Every leaf of the redemptions' table is overwritten.
fn without_rows(world: &mut World) -> Tally {
    let mut file = file_alone(world);
    for page in leaves_with(&file, b"till-keep") {
        file[page * PAGE..][..PAGE].fill(0xa5);
    }
    write(world, FILE, &file);
    world.open();
    let at_start = world.report.salvage.clone();
    at_start.map_or_else(|| rescued(world), |salvage| salvage.tally)
}

#[test]
fn a_redemption_whose_row_was_lost_comes_back_from_its_body_where_it_stood() {
    let mut world = World::new();
    one_of_each(&mut world);
    let tally = without_rows(&mut world);
    assert_eq!((tally.kept, tally.pending, tally.parked, tally.lost), (5, 0, 2, Some(0)));
    let rows = all(&world);
    let states: Vec<State> = rows.iter().map(|row| row.state).collect();
    assert_eq!(
        states,
        [State::Parked, State::Confirmed, State::Declined, State::Parked, State::Voided]
    );
    let codes: Vec<&str> = rows.iter().map(|row| row.reward_code.reveal()).collect();
    assert_eq!(codes, ["PENDING", "CONFIRMED", "DECLINED", "PARKED", "VOIDED"]);
    let has = |row: &Redemption, text: &str| {
        row.note.as_ref().is_some_and(|note| note.text(Language::English).contains(text))
    };
    assert!(
        rows.iter()
            .all(|row| row.till == "unknown"
                && has(row, "its row was lost with the damaged database"))
    );
    assert!(
        has(&rows[0], "it was waiting")
            && has(&rows[3], "it says both; ")
            && has(&rows[4], "not wanted; ")
    );
    let age = |row: &Redemption| {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed()
            - row.accepted_at_ms / 1000
    };
    assert!(
        rows.iter().all(|row| !row.clock_trusted && (0..600).contains(&age(row))),
        "nobody knows when it was"
    );
    assert!(
        rows.iter().all(|row| row.uncertain == matches!(row.state, State::Parked | State::Voided))
    );
    assert_eq!(rows[2].answer.as_ref().unwrap().status, 400);
    assert!(
        rows[2].answer.as_ref().unwrap().body.windows(14).any(|bytes| bytes == b"no such reward")
    );
    assert!(world.claim().is_empty(), "nothing is sent under another id before a person says so");
    for code in ["PENDING", "CONFIRMED", "PARKED", "VOIDED"] {
        assert!(
            matches!(world.decide(new("till-9", code)), Decision::Used(_)),
            "{code} is guarded"
        );
    }
    assert!(matches!(world.decide(new("till-9", "DECLINED")), Decision::Used(_)));
    world.crash();
    assert!(world.report.salvage.is_none() && world.counts().balance());
}

/// A till waits in vain, and its redemption is taken back or refused.
fn in_vain(world: &mut World, code: &str, withdrawn: bool) -> Seq {
    let seq = world.take("till-keep", code).seq;
    world.one(Conclusion { seq, end: WaitEnd::InVain, withdrawn });
    seq
}

#[test]
fn what_came_back_was_given_on_trust_only_where_its_value_says_so_and_may_be_owed() {
    let mut world = World::new();
    world.settled("till-keep", "GIVEN", confirmed());
    world.settled("till-keep", "LOST", declined("no such reward"));
    world.lane = LaneNow::default();
    world.settled("till-keep", "HEARD", confirmed());
    world.settled("till-keep", "REFUSED", declined("no such reward"));
    let owed = in_vain(&mut world, "OWED", false);
    world.one(Settlement::new(owed, 1, confirmed()));
    let lost = world.one(AskStanding).lanes[0].lost;
    let tally = without_rows(&mut world);
    assert_eq!((tally.kept, tally.restored, tally.lost), (5, 5, Some(0)));
    let rows = all(&world);
    let told: Vec<_> =
        rows.iter().map(|row| (row.trusted, row.lost, row.answered_at_till, row.waiting)).collect();
    assert_eq!(
        told,
        [
            (true, false, false, false),
            (true, true, false, true),
            (false, false, false, true),
            (false, false, true, false),
            (false, false, false, true),
        ]
    );
    assert!(rows[2].in_vain && rows[4].in_vain && rows[4].accepted_online);
    assert_eq!(world.one(AskStanding).lanes[0].lost, lost);
    let note = world.store().salvage_note().unwrap().unwrap().text(Language::English);
    assert!(note.contains("5 of which without their row: till, times and what"), "{note}");
}

#[test]
fn a_void_that_came_back_is_the_providers_to_say_and_no_reward_while_nobody_can_be_asked() {
    let mut world = World::up();
    in_vain(&mut world, "TURNED", true);
    world.settled("till-keep", "NEXT", confirmed());
    without_rows(&mut world);
    let void = all(&world).remove(0);
    assert_eq!((void.state, void.uncertain, void.in_doubt), (State::Voided, false, true));
    world.lane = LaneNow::down();
    assert!(matches!(world.decide(new("till-9", "TURNED")), Decision::Used(_)));
    world.lane = LaneNow::default();
    let Decision::Taken(asked) = world.decide(new("till-9", "TURNED")) else { panic!() };
    world.settle(asked.seq, 1, confirmed());
    assert_eq!(world.show(&asked.id).state, State::Confirmed);
}

#[test]
fn what_came_back_from_its_body_is_sent_when_a_person_says_so() {
    let mut world = World::new();
    one_of_each(&mut world);
    without_rows(&mut world);
    let row = all(&world).remove(0);
    world.retry(&row.id);
    let sent = world.claim();
    assert_eq!(
        sent.iter().map(|row| row.body.clone()).collect::<Vec<_>>(),
        [new("x", "PENDING").request.body]
    );
    world.settle(sent[0].seq, sent[0].attempt, confirmed());
    assert_eq!(world.show(&row.id).state, State::Confirmed);
}

#[test]
fn what_is_exported_twice_from_a_box_that_lost_its_rows_has_the_same_ids() {
    let mut world = World::new();
    one_of_each(&mut world);
    let mut file = file_alone(&mut world);
    for page in leaves_with(&file, b"till-keep") {
        file[page * PAGE..][..PAGE].fill(0xa5);
    }
    write(&world, FILE, &file);
    let ids =
        |(_, rows): (Tally, Vec<Exported>)| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let first = ids(exported(world.path()));
    assert_eq!(ids(exported(world.path())), first);
    let tags: BTreeSet<_> = first.iter().map(|id| id.parts().unwrap().1).collect();
    assert!(
        tags.len() == 2 && tags.iter().flatten().collect::<BTreeSet<_>>().len() > 8,
        "as good as random: {tags:?}"
    );
}

#[test]
fn what_came_back_lies_in_its_own_lane_and_in_its_own_time() {
    let mut world = World::up();
    let other = |code: &str| {
        let mut new = NewRedemption { lane: "second".to_owned(), ..new("till-keep", code) };
        new.request.business_refrence = "another".to_owned();
        new.request.body = format!(
            r#"{{"reward_code":"{code}","business_refrence":"another","branch_id":"7","date":"d","timestamp":"t"}}"#
        )
        .into();
        new
    };
    for n in 0..3 {
        world.stamp.unix_ms = NOW_MS + n;
        world.settled("till-keep", &format!("FIRST-{n}"), confirmed());
        let Decision::Taken(taken) = world.decide(other(&format!("SECOND-{n}"))) else { panic!() };
        world.settle(taken.seq, 1, confirmed());
    }
    behind_its_back(&mut world, "DELETE FROM redemption WHERE seq IN (1, 3, 4)");
    let tally = rescued(&mut world);
    assert_eq!((tally.kept, tally.lost), (6, Some(0)));
    let of = |row: Redemption| (row.lane, row.accepted_at_ms - NOW_MS, row.state);
    let lanes = ["retm", "second", "retm", "second", "retm", "second"];
    let expected = lanes
        .iter()
        .zip([0, 0, 0, 0, 2, 2])
        .map(|(lane, ms)| ((*lane).to_owned(), ms, State::Confirmed));
    assert_eq!(all(&world).into_iter().map(of).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn an_index_that_says_what_cannot_be_is_not_believed() {
    for state in [0, 1, 7] {
        let mut world = World::up();
        world.settled("till-keep", "DECLINED", declined("no such reward"));
        let root = root_of(&world, "redemption_exception");
        let mut file = file_alone(&mut world);
        for page in leaves_with(&file, b"till-keep") {
            file[page * PAGE..][..PAGE].fill(0xa5);
        }
        // The one entry: its length, its header with the header's length first, and then the state.
        let index = (root - 1) * PAGE;
        let entry = index + usize::from(u16::from_be_bytes([file[index + 8], file[index + 9]]));
        let at = entry + 1 + usize::from(file[entry + 1]);
        assert_eq!(file[at], State::Declined as u8);
        file[at] = state;
        write(&world, FILE, &file);
        world.open();
        let at_start = world.report.salvage.clone();
        let tally = at_start.map_or_else(|| rescued(&mut world), |salvage| salvage.tally);
        assert_eq!((tally.kept, tally.parked, tally.lost), (1, 1, Some(0)), "{state}");
    }
}

#[test]
fn where_an_index_was_lost_too_a_person_decides_about_every_row_that_it_may_have_held() {
    for index in ["redemption_pending", "redemption_exception"] {
        let mut world = World::new();
        one_of_each(&mut world);
        let root = root_of(&world, index);
        let mut file = file_alone(&mut world);
        let mut pages = leaves_with(&file, b"till-keep");
        pages.push(root - 1);
        for page in pages {
            file[page * PAGE..][..PAGE].fill(0xa5);
        }
        write(&world, FILE, &file);
        world.open();
        assert_eq!(
            world.report.salvage.as_ref().map(|salvage| salvage.tally.lost),
            Some(Some(0)),
            "{index}"
        );
        let rows = all(&world);
        let confirmed = &rows[1];
        assert_eq!(confirmed.state, State::Parked, "{index}");
        assert!(
            confirmed
                .note
                .as_ref()
                .unwrap()
                .text(Language::English)
                .contains("whether it was delivered is not known")
        );
        assert_eq!(rows[2].state == State::Declined, index == "redemption_pending");
    }
}

#[test]
fn a_body_that_is_no_redemption_and_one_of_an_older_time_give_no_row() {
    for sql in [
        "DELETE FROM redemption WHERE seq = 1; UPDATE body SET body = x'7b7d' WHERE seq = 1",
        "DELETE FROM redemption WHERE seq = 1; UPDATE body SET seq = -1 WHERE seq = 1",
        "DELETE FROM redemption WHERE seq = 1; UPDATE body SET seq = 0 WHERE seq = 1",
        "DELETE FROM redemption WHERE seq = 1; UPDATE body SET seq = 1000003 WHERE seq = 1",
    ] {
        let mut world = World::new();
        world.take("till-keep", "A");
        world.take("till-keep", "B");
        behind_its_back(&mut world, sql);
        let tally = rescued(&mut world);
        assert_eq!((tally.kept, tally.parked, tally.lost), (1, 0, Some(1)), "{sql}");
        world.crash();
        assert!(world.report.salvage.is_none(), "{sql}");
        assert!(world.take("till-keep", "C").seq < Seq(10_000), "{sql}");
    }
}

#[test]
fn a_store_that_lost_all_its_rows_and_counted_far_has_them_back() {
    let mut world = World::new();
    for code in ["A", "B"] {
        world.take("till-keep", code);
    }
    behind_its_back(
        &mut world,
        "UPDATE lane SET accepted = 900000, confirmed = 899998, gone_confirmed = 899998; \
         UPDATE body SET seq = seq + 1899999; DELETE FROM redemption",
    );
    let tally = rescued(&mut world);
    assert_eq!((tally.kept, tally.parked, tally.lost), (2, 0, Some(0)), "{tally:?}");
    assert!(world.take("till-keep", "C").seq > Seq(1_900_000));
}

#[test]
fn a_body_under_a_number_that_was_flipped_is_its_own_rows_again() {
    let mut world = World::new();
    let taken = ["A", "B"].map(|code| world.take("till-keep", code));
    behind_its_back(&mut world, "UPDATE body SET seq = 65 WHERE seq = 1");
    let tally = rescued(&mut world);
    assert_eq!((tally.kept, tally.pending, tally.mended, tally.lost), (2, 2, 1, Some(0)));
    let sent: Vec<_> = world.claim().into_iter().map(|row| row.id).collect();
    assert_eq!(sent, taken.map(|taken| taken.id));
}

#[test]
fn a_row_that_is_not_as_it_was_written_is_not_believed_and_told_as_lost_without_its_body() {
    let change = "UPDATE redemption SET till = 'till-9' WHERE seq = 1";
    for (also, kept) in [("", 2), ("; DELETE FROM body WHERE seq = 1", 1)] {
        let mut world = World::new();
        let [a, b] = ["A", "B"].map(|code| world.take("till-keep", code));
        behind_its_back(&mut world, &format!("{change}{also}"));
        let tally = rescued(&mut world);
        assert_eq!((tally.kept, tally.lost), (kept, Some(2 - kept)));
        assert!(world.reader().by_id(&a.id).unwrap().is_none());
        assert_eq!(world.show(&b.id).state, State::Pending);
        assert!(all(&world).iter().all(|row| row.till != "till-9"));
    }
}
