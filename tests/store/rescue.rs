//! Rows that another gateway exported: taken over once, uncertain, never beside another redemption
//! of their code.

use redeemd::decide::{CodeRules, WaitEnd};
use redeemd::limits::LaneNow;
use redeemd::message::{Language, Note};
use redeemd::redemption::{Answer, Id, Seq, State};
use redeemd::store::{
    Accept, Acted, Arrived, AskStanding, Conclusion, Decision, Ended, ExportLine, Exported, FILE,
    Handling, Import, Job, NewRedemption, Remains, Settlement, StoreError, Taken, Void, seal,
    unseal,
};
use redeemd::value::Amount;
use rusqlite::Connection;

use crate::world::{World, accept_op, confirmed, declined, new, parked, request};

/// Every open row, as its line in the file brings it.
pub(crate) fn exported(world: &World) -> Vec<Exported> {
    let page = world.reader().export(Seq(0), 500).unwrap();
    assert!(page.unreadable.is_empty() && page.next.is_none());
    let through = |row: &Exported| match unseal(&seal(row).unwrap()).unwrap() {
        ExportLine::Row(row) => *row,
        other => panic!("{other:?}"),
    };
    page.rows.iter().map(through).collect()
}

pub(crate) fn import(world: &mut World, rows: Vec<Exported>) -> Vec<Arrived> {
    world.one(Import {
        rows,
        from: "branch-1".to_owned(),
        by: "ops".to_owned(),
        language: Language::English,
    })
}

#[test]
fn a_row_arrives_with_its_own_id_body_and_moment_uncertain_and_only_once() {
    let (mut a, mut b) = (World::new(), World::new());
    b.take("till-1", "B");
    let id = a.take("till-1", "A").id;
    let sent = a.claim().pop().unwrap();
    let rows = exported(&a);
    assert_eq!(import(&mut b, rows.clone()), [Arrived::Pending { seq: Seq(2) }]);
    let events = b.reader().events(Seq(2)).unwrap();
    assert_eq!(
        (events.len(), events[0].what.as_str(), events[0].by.as_str()),
        (1, "import", "ops")
    );
    assert!(events[0].detail.contains("branch-1"), "{events:?}");
    let here = b.show(&id);
    assert_eq!(
        (here.state, here.uncertain, here.in_flight, here.attempts),
        (State::Pending, true, false, 1)
    );
    assert_eq!((here.accepted_at_ms, here.till.as_str()), (sent.accepted_at_ms, "till-1"));
    let claimed = b.claim().pop().unwrap();
    assert_eq!(
        (&claimed.id, &claimed.body, claimed.attempt, claimed.used_is_ours),
        (&id, &sent.body, 2, false)
    );
    b.settle(claimed.seq, claimed.attempt, declined("it has been used"));
    let row = b.show(&id);
    assert_eq!(
        (row.state, row.note),
        (State::Parked, Some(Note::UsedInDoubt)),
        "somebody else's use is as likely"
    );
    b.restart();
    assert_eq!(import(&mut b, rows.clone()), [Arrived::AlreadyThere { state: State::Parked }]);
    assert_eq!(
        import(&mut a, rows),
        [Arrived::AlreadyThere { state: State::Pending }],
        "its own box has it"
    );
    assert_eq!((b.counts().accepted, a.counts().accepted), (2, 1));
}

#[test]
fn a_code_that_anything_here_holds_is_parked_and_one_that_was_declined_or_taken_back_is_not() {
    let mut a = World::new();
    for code in ["PENDING", "PARKED", "CONFIRMED", "DOUBTED", "DECLINED", "VOIDED", "FREE"] {
        a.take("till-1", code);
    }
    let mut b = World::new();
    b.settled("till-2", "PARKED", parked());
    b.settled("till-2", "CONFIRMED", confirmed());
    b.settled("till-2", "DECLINED", declined("no"));
    let doubted = b.settled("till-2", "DOUBTED", Ended::Unclear).id;
    let voided = b.take("till-2", "VOIDED").id;
    for id in [doubted, voided] {
        b.one(Void { id, note: "n".to_owned(), by: "ops".to_owned() });
    }
    b.take("till-2", "PENDING");
    let arrived = import(&mut b, exported(&a));
    let parked: Vec<bool> =
        arrived.iter().map(|one| matches!(one, Arrived::Parked { .. })).collect();
    assert_eq!(parked, [true, true, true, true, false, false, false], "{arrived:?}");
    assert_eq!(b.counts().parked, 5);
    assert!(
        b.reader().export(Seq(0), 500).unwrap().rows.len() == 9,
        "what was taken over can be carried on"
    );
}

#[test]
fn where_codes_are_told_apart_one_that_folds_alike_parks_no_import() {
    for (mut here, is_parked) in [(World::up(), true), (World::exact(), false)] {
        let mut there = World::new();
        there.take("till-1", "AB-1");
        here.settled("till-2", "ab-1", confirmed());
        let arrived = import(&mut here, exported(&there));
        assert_eq!(matches!(arrived[..], [Arrived::Parked { .. }]), is_parked, "{arrived:?}");
    }
}

#[test]
fn a_till_with_the_name_and_the_key_of_one_elsewhere_finds_its_own_redemption() {
    let (mut a, mut b) = (World::new(), World::new());
    let keyed = |code: &str| NewRedemption { key: Some("k".to_owned()), ..new("till-1", code) };
    let Decision::Taken(there) = a.decide(keyed("THERE")) else { panic!() };
    import(&mut b, exported(&a));
    assert!(
        matches!(b.decide(keyed("THERE")), Decision::StillPending(row) if row.id == there.id),
        "its repeat"
    );
    let Decision::Taken(here) = b.decide(keyed("HERE")) else {
        panic!("another till's key is no repeat")
    };
    assert!(matches!(b.decide(keyed("HERE")), Decision::StillPending(row) if row.id == here.id));
    assert!(matches!(b.decide(keyed("OTHER")), Decision::KeyReused));
}

#[test]
fn reusable_codes_are_not_guarded_and_parked_rows_keep_what_was_said_of_them() {
    let (mut a, mut b) = (World::new(), World::new());
    for world in [&mut a, &mut b] {
        let new: NewRedemption = new("till-1", "SUMMER10");
        world.one(Accept { new, rules: CodeRules { reusable: true, exact: false } });
    }
    let id = a.settled("till-1", "ODD", parked()).id;
    let arrived = import(&mut b, exported(&a));
    assert!(matches!(
        arrived.as_slice(),
        [Arrived::Parked { .. }, Arrived::Pending { .. }]
            | [Arrived::Pending { .. }, Arrived::Parked { .. }]
    ));
    let (there, here) = (a.show(&id), b.show(&id));
    assert_eq!((here.state, here.note, here.answer), (State::Parked, there.note, there.answer));
}

#[test]
fn a_row_that_cannot_be_a_redemption_is_refused_and_one_that_contradicts_itself_is_parked() {
    let (mut a, mut b) = (World::new(), World::new());
    a.take("till-1", "A");
    let good = exported(&a).pop().unwrap();
    let refused = [
        Exported { state: State::Confirmed, ..good.clone() },
        Exported { id: Id::parse("0-00000000000000000000").unwrap(), ..good.clone() },
        Exported { reward_code: String::new(), ..good.clone() },
        Exported { business_refrence: String::new(), ..good.clone() },
        Exported { lane: String::new(), ..good.clone() },
        Exported { lane: "a\"} 1".to_owned(), ..good.clone() },
        Exported { till: "a\nb".to_owned(), ..good.clone() },
        Exported { branch_id: "x".repeat(257), ..good.clone() },
        Exported { key: good.body.clone(), ..good.clone() },
        Exported { value: Some(i64::MAX), ..good.clone() },
        Exported { value: Some(10_000_000_000_001), ..good.clone() },
    ];
    for arrived in import(&mut b, refused.to_vec()) {
        assert!(matches!(&arrived, Arrived::Refused { why } if !why.contains('A')), "{arrived:?}");
    }
    assert_eq!(b.counts().accepted, 0);
    let usual =
        Exported { branch_id: "x".repeat(256), lane: "lane-1.b_2".to_owned(), ..good.clone() };
    let usual = Exported { value: Some(10_000_000_000_000), ..usual };
    assert!(matches!(import(&mut World::new(), vec![usual])[..], [Arrived::Pending { .. }]));
    let liar = Exported { reward_code: "OTHER".to_owned(), ..good };
    assert!(matches!(import(&mut b, vec![liar]).as_slice(), [Arrived::Parked { .. }]));
    assert!(b.claim().is_empty(), "it is not sent");
}

#[test]
fn every_row_that_arrives_is_uncertain_and_what_its_till_was_told_travels_with_it() {
    let (mut a, mut b) = (World::up(), World::new());
    let Taken { seq, id: refused, .. } = a.take("till-1", "REFUSED");
    a.one(Conclusion { seq, end: WaitEnd::InVain, withdrawn: false });
    let answered = a.settled("till-1", "ANSWERED", parked()).id;
    a.lane = LaneNow::down();
    let plain = a.take("till-1", "PLAIN").id;
    assert_eq!(import(&mut b, exported(&a)).len(), 3);
    let told = |id| {
        let row = b.show(id);
        (row.state, row.uncertain, row.refused_at_till, row.answered_at_till)
    };
    assert_eq!(told(&refused), (State::Pending, true, true, false));
    assert_eq!(told(&answered), (State::Parked, true, false, true));
    assert_eq!(told(&plain), (State::Pending, true, false, false));
}

/// A person closes it; what that is called in the trail.
fn closed(world: &mut World, id: &Id) -> String {
    let void = Void { id: id.clone(), note: "seen".to_owned(), by: "ann".to_owned() };
    let Acted::Done(row) = world.one(void) else { panic!() };
    assert_eq!((row.state, row.lost, row.handled), (State::Voided, true, true));
    world.reader().events(row.seq).unwrap().pop().unwrap().what
}

#[test]
fn what_was_declined_after_the_fact_and_sent_again_is_lost_here_too_whoever_closes_it() {
    let (mut a, mut b) = (World::new(), World::new());
    let id = a.settled("till-1", "LOST", declined("no such reward")).id;
    a.retry(&id);
    import(&mut b, exported(&a));
    for world in [&mut a, &mut b] {
        assert_eq!((world.show(&id).state, world.show(&id).lost), (State::Pending, true));
        assert_eq!(closed(world, &id), "lost");
        assert_eq!(world.one(AskStanding).lanes[0].lost, Amount::whole(25));
    }
}

#[test]
fn what_was_given_unasked_or_under_a_hold_says_so_here_and_an_older_file_says_neither() {
    let (not_asked, on_hold) = (1 << 56, 1 << 20);
    let (mut a, mut b) = (World::new(), World::new());
    let ids = ["A", "B"].map(|code| a.take("till-1", code).id);
    let mut rows = exported(&a);
    // The lane counted as up when they came.
    for row in &mut rows {
        row.kind |= 2;
    }
    rows[0].marks |= not_asked | on_hold;
    import(&mut b, rows);
    let told = |id| (b.show(id).trusted, b.show(id).accepted_online, b.show(id).on_hold);
    assert_eq!(ids.each_ref().map(told), [(true, false, true), (true, true, false)]);
    let again = exported(&b);
    assert_eq!(again[0].marks & (not_asked | on_hold), not_asked | on_hold);
}

#[test]
fn what_a_person_said_of_a_parked_row_travels_and_what_is_owed_is_counted() {
    let (mut a, mut b) = (World::up(), World::new());
    let handle = |world: &mut World, id: &Id, free| {
        let (note, by) = ("nothing was given".to_owned(), "ann".to_owned());
        let done = world.one(Handling { id: id.clone(), note, free, by });
        assert!(matches!(done, Acted::Done(_)));
    };
    let [freed, seen_to, open] = ["FREED", "SEEN", "OPEN"].map(|code| {
        let row = a.settled("till-1", code, parked());
        (row.id, code)
    });
    handle(&mut a, &freed.0, true);
    handle(&mut a, &seen_to.0, false);
    let owed = a.take("till-1", "OWED");
    a.one(Conclusion { seq: owed.seq, end: WaitEnd::InVain, withdrawn: false });
    a.one(Settlement::new(owed.seq, 1, confirmed()));
    let page = a.reader().export(Seq(0), 100).unwrap();
    assert_eq!((page.owed, page.rows.len()), (1, 3));
    handle(&mut a, &owed.id, false);
    let again = a.reader().export(Seq(0), 100).unwrap();
    assert_eq!((again.owed, again.owed_ids), (1, vec![owed.id]), "owed all the same");
    assert_eq!(a.reader().export(Seq(1), 100).unwrap().owed, 0, "said once");
    let mut rows = page.rows;
    // What is sent again holds its code, whatever its file says.
    let sent = a.take("till-1", "SENT");
    let mut sent_again = exported(&a).into_iter().find(|row| row.id == sent.id).unwrap();
    sent_again.marks |= rows[0].marks;
    rows.push(sent_again);
    import(&mut b, rows);
    let said = |id: &Id| (b.show(id).handled, b.show(id).freed);
    assert_eq!(
        [&freed.0, &seen_to.0, &open.0, &sent.id].map(said),
        [(true, true), (true, false), (false, false), (false, false)]
    );
    let mut ask = |code: &str| b.decide(new("till-2", code));
    assert!(matches!(ask("FREED"), Decision::Taken(_)));
    assert!(matches!(ask("SEEN"), Decision::Used(_)));
}

#[test]
fn what_a_crash_left_undecided_counts_as_given_where_it_arrives_too() {
    let mut dead = World::up();
    let id = dead.take("till-1", "A").id;
    dead.crash();
    let mut world = World::new();
    import(&mut world, exported(&dead));
    assert!(world.show(&id).trusted);
}

#[test]
fn a_body_as_long_as_a_gateway_takes_travels_and_a_longer_one_is_refused() {
    let (mut a, mut b) = (World::new(), World::new());
    let with_body_of = |bytes: usize| {
        let mut new = new("till-1", "LONG");
        let text = concat!(
            r#"{"reward_code":"LONG","business_refrence":"shop","branch_id":"7","#,
            r#""date":"2027-01-15 10:00:00","timestamp":"t","more":""}"#
        );
        let padding = "x".repeat(bytes - text.len());
        new.request.body = text.replace(r#""more":"""#, &format!(r#""more":"{padding}""#)).into();
        assert_eq!(new.request.body.len(), bytes);
        new
    };
    a.decide(with_body_of(64 * 1024));
    let row = exported(&a).remove(0);
    assert_eq!(import(&mut b, vec![row.clone()]), [Arrived::Pending { seq: Seq(1) }]);
    let mut c = World::new();
    c.decide(with_body_of(64 * 1024 + 1));
    let arrived = import(&mut b, exported(&c));
    assert!(
        matches!(&arrived[..], [Arrived::Refused { why }] if why.contains("too long")),
        "{arrived:?}"
    );
    let shown = format!("{row:?}");
    assert!(shown.contains(row.id.as_str()) && !shown.contains("LONG"), "{shown}");
}

#[test]
fn a_page_ends_when_bodies_and_answers_come_to_two_mebibytes() {
    let mut world = World::new();
    for n in 0..40 {
        let mut new = new("till-1", &format!("C{n}"));
        new.request.body = vec![b'x'; 64 * 1024].into();
        world.decide(new);
    }
    let page = world.reader().export(Seq(0), 500).unwrap();
    assert_eq!((page.rows.len(), page.next), (32, Some(Seq(32))));
    let rest = world.reader().export(Seq(32), 500).unwrap();
    assert_eq!((rest.rows.len(), rest.next), (8, None));
    let mut world = World::up();
    let Ended::Parked { answer, reason, .. } = parked() else { panic!() };
    for n in 0..40 {
        let answer = Answer { body: vec![b'x'; 60_000].into(), ..answer.clone() };
        world.settled(
            "till-1",
            &format!("C{n:02}"),
            Ended::Parked { answer, reason, already_used: false },
        );
    }
    let page = world.reader().export(Seq(0), 500).unwrap();
    let each = 60_000 + request("C00").body.len();
    assert_eq!(page.rows.len(), (2 * 1024 * 1024usize).div_ceil(each));
}

#[test]
fn remains_with_damage_in_the_middle_of_the_log_are_salvaged_and_not_read_up_to_it() {
    const FRAME: usize = 24 + 4096;
    let mut world = World::new();
    for n in 0..30 {
        world.take("till-1", &format!("C{n}"));
    }
    world.store = None;
    let path = world.path().join("redeemd.db-wal");
    let mut log = std::fs::read(&path).unwrap();
    let of_round = |at: &usize| log[*at + 8..*at + 16] == log[16..24];
    let frames: Vec<usize> = (32..log.len() - FRAME).step_by(FRAME).filter(of_round).collect();
    let middle = frames[frames.len() / 2];
    log[middle + 2000] ^= 1;
    std::fs::write(&path, &log).unwrap();
    let remains = Remains::open(world.path()).unwrap();
    assert!(
        remains.salvage().is_some_and(|(why, _)| why.contains("damaged place")),
        "{:?}",
        remains.salvage()
    );
    assert_eq!(
        remains.export(Seq(0), 500).unwrap().rows.len(),
        30,
        "newer versions of that page hold its rows"
    );
}

#[test]
fn an_import_beside_tills_requests_shares_their_transaction_and_their_guard() {
    let (mut a, mut b) = (World::new(), World::new());
    a.take("till-1", "A");
    let import = Import {
        rows: exported(&a),
        from: String::new(),
        by: "ops".to_owned(),
        language: Language::English,
    };
    let mut import = Job::new(import);
    let [mut before, mut after] =
        ["till-2", "till-3"].map(|till| Job::new(accept_op(new(till, "A"))));
    b.run_tasks(&mut [&mut before, &mut import, &mut after]);
    assert!(matches!(import.outcome().unwrap()[0], Arrived::Parked { .. }));
    assert_eq!((b.counts().pending, b.counts().parked), (1, 1));
    assert_eq!(request("A").reward_code.reveal(), "A");
}

#[test]
fn pages_hold_every_open_row_once_and_a_damaged_one_is_named() {
    let mut world = World::new();
    for n in 0..23 {
        world.take("till-1", &format!("C{n}"));
    }
    let odd = world.settled("till-1", "ODD", parked()).seq;
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.execute("UPDATE redemption SET till = 'other' WHERE seq = 7", []).unwrap();
    raw.execute("UPDATE body SET body = x'00' WHERE seq = 8", []).unwrap();
    drop(raw);
    let remains = Remains::open(world.path()).unwrap();
    assert!(remains.salvage().is_none());
    let (mut found, mut unreadable, mut after) = (Vec::new(), Vec::new(), Some(Seq(0)));
    while let Some(from) = after {
        let page = remains.export(from, 5).unwrap();
        found.extend(page.rows);
        unreadable.extend(page.unreadable);
        after = page.next;
    }
    assert_eq!(unreadable, [Seq(7)]);
    assert_eq!(found.len(), 23);
    let parked: Vec<_> = found
        .iter()
        .filter(|row| row.state == State::Parked)
        .map(|row| row.id.seq().unwrap())
        .collect();
    assert_eq!(parked, [Seq(8), odd], "a body that is damaged is not sent");
}

#[test]
fn the_remains_of_a_running_box_are_locked_and_where_nothing_is_there_is_nothing() {
    let world = World::new();
    assert!(matches!(Remains::open(world.path()).unwrap_err(), StoreError::Locked { .. }));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Remains::open(empty.path()).unwrap_err(), StoreError::File { .. }));
}

#[test]
fn the_remains_of_a_box_that_left_its_database_alone_are_read_all_the_same() {
    let mut world = World::new();
    let id = world.take("till-1", "A").id;
    world.store.take().unwrap().close().unwrap();
    std::fs::remove_file(world.path().join("lock")).unwrap();
    let remains = Remains::open(world.path()).unwrap();
    assert_eq!(
        remains.export(Seq(0), 500).unwrap().rows.iter().map(|row| &row.id).collect::<Vec<_>>(),
        [&id]
    );
    assert!(
        matches!(Remains::open(world.path()).unwrap_err(), StoreError::Locked { .. }),
        "by the first reader"
    );
}

#[test]
fn books_that_know_more_than_the_indexes_find_are_not_believed_sound() {
    let mut world = World::new();
    world.take("till-1", "A");
    world.take("till-1", "B");
    world.store.take().unwrap().close().unwrap();
    let raw = Connection::open(world.path().join(FILE)).unwrap();
    raw.execute("UPDATE lane SET pending = 3, accepted = 3", []).unwrap();
    drop(raw);
    let remains = Remains::open(world.path()).unwrap();
    let (why, tally) = remains.salvage().expect("read page by page");
    assert!(
        why.contains("books") && tally.pending == 2 && tally.lost != Some(0),
        "{why} {tally:?}"
    );
    assert_eq!(remains.export(Seq(0), 500).unwrap().rows.len(), 2);
}

#[test]
fn a_namesakes_row_never_takes_the_place_of_a_tills_own_whatever_its_file_says_of_its_key() {
    let mut a = World::new();
    a.take("till-1", "A");
    let row = exported(&a).pop().unwrap();
    assert_eq!(row.kind & 16, 16, "its till gave it no key");
    for kind in [row.kind, row.kind & !16] {
        let mut b = World::new();
        let own = b.take("till-1", "A").id;
        let rows = vec![Exported { kind, ..row.clone() }];
        assert!(
            matches!(import(&mut b, rows).as_slice(), [Arrived::Parked { .. }]),
            "its code is held"
        );
        assert!(
            matches!(
                b.decide(new("till-1", "A")),
                Decision::StillPending(taken) if taken.id == own
            ),
            "kind {kind}"
        );
        let mut c = World::new();
        import(&mut c, vec![Exported { kind, ..row.clone() }]);
        let repeat = c.decide(new("till-1", "A"));
        assert!(
            matches!(repeat, Decision::StillPending(taken) if taken.id == row.id),
            "kind {kind}"
        );
    }
}

#[test]
fn a_row_of_an_earlier_version_with_a_tills_key_is_found_by_it_after_an_import() {
    let (mut a, mut b) = (World::new(), World::new());
    let keyed = || NewRedemption { key: Some("k".to_owned()), ..new("till-1", "A") };
    a.decide(keyed());
    let row = exported(&a).pop().unwrap();
    assert_eq!(row.kind & 16, 0);
    let beyond = Exported { kind: row.kind | 1 << 20, ..row.clone() };
    import(&mut b, vec![beyond]);
    assert!(matches!(b.decide(keyed()), Decision::StillPending(taken) if taken.id == row.id));
    assert_eq!(
        exported(&b).pop().unwrap().kind,
        row.kind,
        "what a newer version knows besides is left out"
    );
}
