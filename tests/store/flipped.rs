//! A row in which bits were flipped: whoever is led to it by its code, its key or its number meets
//! damage, and no other answer.

use redeemd::decide::CodeRules;
use redeemd::message::Language;
use redeemd::redemption::State;
use redeemd::store::{
    Accept, Decision, NewRedemption, Operation, Prune, Recount, Retention, StoreError, Tally,
    Trouble, VoidByTill, VoidOutcome,
};

use crate::mended::{bits_apart, rescued};
use crate::salvage::behind_its_back;
use crate::world::{World, accept_op, claim_op, confirmed, declined, new};

const CODE: &str = "K-2BBBB";

/// What is done, if it is not refused as damage, after which the database is rescued.
fn met<O: Operation + Clone>(world: &mut World, op: O) -> Result<O::Output, Tally> {
    world.run(&[op]).pop().unwrap().map_err(|error| {
        assert_eq!(error.trouble(), Trouble::Damaged, "{error}");
        rescued(world)
    })
}

/// Each text that one flipped bit of these makes of them, as SQL.
fn flipped(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let with = |bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        redeemd::text::hex(&bytes)
    };
    (0..8 * bytes.len()).map(|bit| format!("CAST(x'{}' AS TEXT)", with(bit))).collect()
}

/// The row's column becomes this, behind the back of the store.
fn set(world: &mut World, column: &str, value: &str) {
    behind_its_back(world, &format!("UPDATE redemption SET {column} = {value} WHERE seq = 1"));
}

#[test]
fn no_flipped_bit_of_a_code_or_of_its_business_gives_the_code_a_second_time() {
    let cases = [("code", flipped(CODE)), ("business", flipped("shop"))];
    let cases = cases.iter().flat_map(|(column, texts)| texts.iter().map(move |to| (column, to)));
    let mut damaged = 0;
    for (nth, (column, to)) in cases.step_by(bits_apart().min(5)).enumerate() {
        let mut world = World::new();
        let taken = world.take("till-1", CODE);
        let is_declined = nth % 2 == 1;
        if is_declined {
            let sent = world.claim().remove(0);
            world.settle(sent.seq, sent.attempt, declined("has been used"));
        }
        let asked = accept_op(new("till-2", CODE));
        set(&mut world, column, to);
        let at_start = world.report.salvage.as_ref().map(|salvage| salvage.tally);
        match at_start.map_or_else(|| met(&mut world, asked.clone()), Err) {
            Ok(decided) => {
                let is_used = matches!(decided.decision, Decision::Used(_));
                assert!(is_used, "{column} = {to}: {:?}", decided.decision);
            }
            Err(tally) => {
                assert_eq!((tally.kept, tally.mended), (1, 1), "{column} = {to}");
                damaged += 1;
            }
        }
        assert!(matches!(world.decide(new("till-2", CODE)), Decision::Used(_)), "{column} = {to}");
        let row = world.show(&taken.id);
        assert_eq!(row.state == State::Declined, is_declined);
        assert_eq!(row.reward_code.reveal().to_lowercase(), CODE.to_lowercase());
    }
    assert!(damaged > 8, "{damaged} bits were met");
}

#[test]
fn where_codes_are_told_apart_by_their_bytes_a_flipped_letter_is_no_other_code() {
    let mut world = World::exact();
    world.settled("till-1", CODE, confirmed());
    let mut exact = accept_op(new("till-2", CODE));
    exact.rules.exact = true;
    set(&mut world, "code", "'k-2BBBB'");
    let tally = met(&mut world, exact.clone()).unwrap_err();
    assert_eq!((tally.kept, tally.mended), (1, 1));
    world.one(exact.clone());
    exact.new.request.reward_code = redeemd::redemption::RewardCode::new("k-2BBBB".to_owned());
    let Decision::Taken(other) = world.one(exact).decision else { panic!("it is another code") };
    assert!(!other.provider_only);
}

#[test]
fn what_names_a_tills_request_and_was_flipped_makes_it_no_new_one() {
    let rules = CodeRules { reusable: true, exact: false };
    let columns = [
        ("key_rest", "key_rest ^ 4"),
        ("request", "x'00112233445566778899aabbccddeeff'"),
        ("code", "'K-2BBBC'"),
        ("till", "'till-3'"),
        ("branch", "'9'"),
    ];
    for keys in [[None, None], [Some("k"), Some("k")], [Some("k"), None]] {
        for (column, to) in columns {
            let mut world = World::new();
            let [first, again] = keys.map(|key| {
                let key = key.map(str::to_owned);
                Accept { new: NewRedemption { key, ..new("till-1", CODE) }, rules }
            });
            let to = to.replace("key_rest ^ 4", "(key_rest | 4) - (key_rest & 4)");
            assert!(matches!(world.one(first).decision, Decision::Taken(_)));
            set(&mut world, column, &to);
            let repeat = met(&mut world, again);
            let is_new = |decision: &Decision| matches!(decision, Decision::Taken(_));
            // A start forgets which keyed request had these fields, and finds it by its code.
            let is_forgotten = keys == [Some("k"), None] && column != "code";
            assert!(
                is_forgotten || repeat.as_ref().map_or(true, |done| !is_new(&done.decision)),
                "{keys:?}, {column}: {repeat:?}"
            );
        }
    }
}

#[test]
fn a_till_that_takes_its_damaged_redemption_back_is_not_told_that_there_is_none() {
    for (column, to) in [("till", "'till-3'"), ("tag", "zeroblob(12)")] {
        let mut world = World::new();
        let id = world.take("till-1", CODE).id;
        set(&mut world, column, to);
        let void =
            |till: &str| VoidByTill { id: id.clone(), till: till.to_owned(), withdrawn: false };
        let error = world.run(&[void("till-1")]).pop().unwrap().unwrap_err();
        assert_eq!(error.trouble(), Trouble::Damaged, "{column}: {error}");
        rescued(&mut world);
        assert!(matches!(world.one(void("till-2")), VoidOutcome::Unknown));
    }
}

#[test]
fn the_recount_finds_each_column_of_a_row_that_is_not_as_it_was_written() {
    let number = |column: &str| format!("({column} | 2) - ({column} & 2)");
    let numbers =
        ["origin", "lane", "key", "key_rest", "guard", "accepted_ms", "kind", "body_crc", "crc"];
    let mut cases: Vec<(&str, String)> = vec![
        ("tag", "zeroblob(12)".to_owned()),
        ("request", "zeroblob(16)".to_owned()),
        ("code", flipped(CODE).remove(7)),
    ];
    cases.extend(["till", "business", "code", "branch", "date"].map(|at| (at, "'x'".to_owned())));
    cases.extend(numbers.map(|at| (at, format!("coalesce({}, 3)", number(at)))));
    for (column, to) in cases {
        let mut world = World::new();
        world.take("till-1", CODE);
        assert!(world.one(Recount { begin: true }).finished);
        set(&mut world, column, &to);
        if world.report.salvage.is_some() {
            assert!(to.starts_with("CAST"), "{column}: no text any more, which a start sees");
            continue;
        }
        let error = world.run(&[Recount { begin: true }]).pop().unwrap().unwrap_err();
        let told = "the database is damaged: row 1 is not as it was written";
        assert_eq!(error.to_string(), told, "{column}");
        rescued(&mut world);
        assert!(world.one(Recount { begin: true }).finished, "{column}");
    }
}

#[test]
fn what_leaves_after_its_retention_holds_its_own_code() {
    let mut world = World::up();
    world.settled("till-1", CODE, confirmed());
    world.settled("till-1", "ANOTHER", confirmed());
    set(&mut world, "code", "'K-2BBBC'");
    world.stamp.unix_ms += 3_600_000;
    let long = std::time::Duration::from_secs(400 * 86_400);
    let retention = Retention { settled: std::time::Duration::ZERO, codes: long };
    let prune = Prune { retention, after: redeemd::redemption::Seq(0) };
    assert_eq!(met(&mut world, prune).unwrap_err().mended, 1);
    assert_eq!(world.one(prune).rows, 2);
    world.lane = redeemd::limits::LaneNow::down();
    assert!(matches!(world.decide(new("till-2", CODE)), Decision::Gone(_)));
}

/// What became of a damaged row that was to be sent.
fn claimed(world: &mut World) -> Result<usize, Tally> {
    met(world, claim_op()).map(|rows| rows.len())
}

#[test]
fn a_row_with_one_flipped_bit_is_put_right_before_it_is_sent() {
    let bit = |column: &str| format!("({column} | 2) - ({column} & 2)");
    let cases = [
        ("code", "'K-2BBBC'".to_owned()),
        ("business", "'shoq'".to_owned()),
        ("till", "'till-0'".to_owned()),
        ("accepted_ms", bit("accepted_ms")),
        ("crc", bit("crc")),
    ];
    for (column, to) in cases {
        let mut world = World::new();
        let taken = world.take("till-1", CODE);
        set(&mut world, column, &to);
        let tally = claimed(&mut world).unwrap_err();
        assert_eq!((tally.kept, tally.pending, tally.mended), (1, 1, 1), "{column}");
        let sent = world.claim().remove(0);
        assert!(sent.id == taken.id && sent.till == "till-1", "{column}");
        world.settle(sent.seq, sent.attempt, confirmed());
        assert!(matches!(world.decide(new("till-2", CODE)), Decision::Used(_)), "{column}");
        let recounted: Result<_, StoreError> = world.run(&[Recount { begin: true }]).remove(0);
        assert!(recounted.unwrap().finished, "{column}");
    }
}

#[test]
fn a_row_that_no_salvage_puts_right_calls_for_one_and_for_no_second() {
    let mut world = World::new();
    world.take("till-1", CODE);
    let other = world.take("till-1", "ANOTHER");
    set(&mut world, "code", "'Q-9XXXX'");
    let tally = claimed(&mut world).unwrap_err();
    assert_eq!((tally.kept, tally.pending, tally.mended, tally.parked), (2, 1, 0, 1));
    assert_eq!(world.claim().iter().map(|row| &row.id).collect::<Vec<_>>(), [&other.id]);
    assert!(matches!(world.decide(new("till-2", CODE)), Decision::Used(_)), "by its body");
    assert!(matches!(world.decide(new("till-2", "Q-9XXXX")), Decision::Taken(_)));
    assert!(world.one(Recount { begin: true }).finished);
}

#[test]
fn a_row_of_which_only_the_code_can_be_believed_is_parked_and_holds_it() {
    let mut world = World::new();
    let taken = world.take("till-1", CODE);
    set(&mut world, "till", "'elsewhere'");
    assert_eq!(claimed(&mut world), Ok(0));
    let row = world.show(&taken.id);
    assert_eq!(row.state, State::Parked);
    assert!(row.note.unwrap().text(Language::English).contains("damaged"));
    assert!(matches!(world.decide(new("till-2", CODE)), Decision::Used(_)));
}
