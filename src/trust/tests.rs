//! Evidence from others, as tables: what is sent, what ends how, and whether a till may be trusted
//! then.

use super::*;

const HALF: u64 = 2000;
const TIME: u64 = 4000;

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn terms() -> EvidenceTerms {
    let (reply_within, recent) = (ms(TIME), ms(70_000));
    EvidenceTerms { reply_within, recent, checks: false, one_till: false }
}

/// One thing that happens, at a millisecond.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A live attempt begins and its request is handed to a connection.
    Sent(i64, &'static str),
    /// A live attempt begins, whose request waits so long for a place on its connection.
    SentLate(i64, &'static str, u64),
    /// A live attempt begins, and its request is stuck.
    Stuck(i64, &'static str),
    /// An attempt of the backlog is sent.
    Drained(i64, &'static str),
    Ended(i64, End),
    /// Others were answered beside the row: it is to blame itself.
    Blamed(i64),
    Check,
    /// A check that waits so long for a place on its connection.
    LateCheck(u64),
    CheckEnded(u64, End),
    /// A check of a till's own is answered.
    Heard,
}

use Step::{
    Blamed, Check as OwnCheck, CheckEnded, Drained, Ended, Heard, LateCheck, Sent, SentLate, Stuck,
};

const SILENT: End = End::Unanswered { whole: true };
const CUT: End = End::Unanswered { whole: false };

fn begun(
    evidence: &mut TrustEvidence,
    now: Duration,
    seq: i64,
    (till, live): (&str, bool),
) -> Progress {
    evidence.begun(now, Seq(seq), RowAsker { till: &till.into(), live, suspect: false })
}

fn play(terms: EvidenceTerms, steps: &[(u64, Step)]) -> TrustEvidence {
    let mut evidence = TrustEvidence::new(terms);
    for (at, step) in steps {
        let now = ms(*at);
        match *step {
            Sent(seq, till) => {
                begun(&mut evidence, now, seq, (till, true)).note_whole(Duration::ZERO);
            }
            SentLate(seq, till, after) => {
                begun(&mut evidence, now, seq, (till, true)).note_whole(ms(after));
            }
            Stuck(seq, till) => drop(begun(&mut evidence, now, seq, (till, true))),
            Drained(seq, till) => {
                begun(&mut evidence, now, seq, (till, false)).note_whole(Duration::ZERO);
            }
            Blamed(seq) => evidence.blamed(Seq(seq)),
            Ended(seq, end) => evidence.ended(now, Seq(seq), end),
            OwnCheck => evidence.check_begun(now).note_whole(Duration::ZERO),
            LateCheck(after) => evidence.check_begun(now).note_whole(ms(after)),
            CheckEnded(sent, end) => evidence.check_ended(now, ms(sent), end),
            Heard => evidence.heard(now),
        }
    }
    evidence
}

/// Whether row 1 of till `a`, begun at 0, is given when its time is over.
fn given(terms: EvidenceTerms, steps: &[(u64, Step)]) -> bool {
    play(terms, steps).holds(Seq(1), "a", ms(TIME))
}

/// What is tried, whether it is evidence, and what happened when.
type Row<'a> = (&'a str, bool, &'a [(u64, Step)]);

#[test]
fn with_a_check_the_own_row_and_the_own_check_have_to_be_sent_whole_and_unanswered() {
    let terms = EvidenceTerms { checks: true, ..terms() };
    let sent = (0, Sent(1, "a"));
    let table: &[Row<'_>] = &[
        ("both on the wire", true, &[sent, (HALF, OwnCheck)]),
        (
            "both ended",
            true,
            &[sent, (9, Ended(1, SILENT)), (10, OwnCheck), (20, CheckEnded(10, SILENT))],
        ),
        ("no check", false, &[sent]),
        ("a check from before", false, &[(0, OwnCheck), (1, Sent(1, "a"))]),
        ("a check that just left", false, &[sent, (3500, OwnCheck)]),
        ("a check that waited for its place", true, &[sent, (HALF, LateCheck(1000))]),
        ("a check that waited too long", false, &[sent, (HALF, LateCheck(1001))]),
        (
            "the check is answered",
            false,
            &[sent, (HALF, OwnCheck), (HALF + 9, CheckEnded(HALF, End::Answered))],
        ),
        (
            "the check meets a 429",
            false,
            &[sent, (HALF, OwnCheck), (HALF + 9, CheckEnded(HALF, End::Limited))],
        ),
        (
            "the check did not leave",
            false,
            &[sent, (HALF, OwnCheck), (HALF + 9, CheckEnded(HALF, CUT))],
        ),
        ("the request is stuck", false, &[(0, Stuck(1, "a")), (HALF, OwnCheck)]),
        ("the request did not leave", false, &[sent, (9, Ended(1, CUT)), (10, OwnCheck)]),
        (
            "a retry is stuck, the first was whole",
            true,
            &[sent, (9, Ended(1, SILENT)), (10, OwnCheck), (209, Stuck(1, "a"))],
        ),
        ("the row met a 429", false, &[sent, (9, Ended(1, End::Limited)), (HALF, OwnCheck)]),
        (
            "another row is answered",
            false,
            &[sent, (1, Sent(2, "b")), (HALF, OwnCheck), (HALF + 1, Ended(2, End::Answered))],
        ),
        (
            "another was answered before",
            true,
            &[
                (0, Drained(9, "b")),
                (0, Ended(9, End::Answered)),
                (1, Sent(1, "a")),
                (HALF, OwnCheck),
            ],
        ),
        (
            "other tills alone",
            false,
            &[(0, Sent(2, "b")), sent, (9, Ended(2, SILENT)), (9, Ended(1, SILENT))],
        ),
    ];
    for (what, expected, steps) in table {
        assert_eq!(given(terms, steps), *expected, "{what}");
    }
}

#[test]
fn the_silence_of_a_row_that_trips_the_provider_is_evidence_for_nobody() {
    let sent = (0, Sent(1, "a"));
    let table: &[Row<'_>] = &[
        (
            "another that trips the provider is overdue",
            false,
            &[sent, (1, Sent(2, "b")), (2, Blamed(2))],
        ),
        (
            "another that trips the provider ended",
            false,
            &[sent, (1, Sent(2, "b")), (2, Blamed(2)), (9, Ended(2, SILENT))],
        ),
        (
            "a third beside one that trips it",
            true,
            &[
                sent,
                (1, Sent(2, "b")),
                (2, Blamed(2)),
                (9, Ended(2, SILENT)),
                (10, Sent(3, "c")),
                (11, Ended(3, SILENT)),
            ],
        ),
    ];
    for (what, expected, steps) in table {
        assert_eq!(given(terms(), steps), *expected, "{what}");
    }
}

#[test]
fn without_a_check_another_till_has_to_be_unanswered_and_what_one_till_sends_never_suffices() {
    let sent = (0, Sent(1, "a"));
    let answered = |seq| (3, Ended(seq, End::Answered));
    let table: &[Row<'_>] = &[
        ("alone", false, &[sent, (9, Ended(1, SILENT))]),
        (
            "the same till, often",
            false,
            &[
                sent,
                (1, Sent(2, "a")),
                (1, Sent(3, "a")),
                (9, Ended(2, SILENT)),
                (9, Ended(1, SILENT)),
            ],
        ),
        ("another ended", true, &[sent, (1, Sent(2, "b")), (9, Ended(2, SILENT))]),
        (
            "another of the backlog ended",
            true,
            &[sent, (1, Drained(2, "b")), (9, Ended(2, SILENT))],
        ),
        ("another is overdue", true, &[sent, (HALF, Sent(2, "b"))]),
        ("another is not yet overdue", false, &[sent, (HALF + 1, Sent(2, "b"))]),
        ("another that waited for its place is not", false, &[sent, (HALF, SentLate(2, "b", 1))]),
        ("another is stuck", false, &[sent, (1, Stuck(2, "b"))]),
        ("another did not leave", false, &[sent, (1, Sent(2, "b")), (9, Ended(2, CUT))]),
        ("another is worked on", false, &[sent, (1, Sent(2, "b")), (9, Ended(2, End::InProgress))]),
        (
            "another ended, the own was worked on and then silent",
            false,
            &[
                sent,
                (1, Ended(1, End::InProgress)),
                (2, Sent(1, "a")),
                (2, Sent(2, "b")),
                (9, Ended(2, SILENT)),
                (9, Ended(1, SILENT)),
            ],
        ),
        ("another met a 429", false, &[sent, (1, Sent(2, "b")), (9, Ended(2, End::Limited))]),
        (
            "another ended, a third was answered",
            false,
            &[sent, (1, Sent(2, "b")), (1, Sent(3, "c")), (2, Ended(2, SILENT)), answered(3)],
        ),
        (
            "another that was sent before an answer",
            false,
            &[
                (0, Sent(2, "b")),
                (0, Drained(3, "c")),
                answered(3),
                (4, Sent(1, "a")),
                (9, Ended(2, SILENT)),
            ],
        ),
        (
            "another ended a moment before",
            true,
            &[(0, Sent(2, "b")), (1, Ended(2, SILENT)), (2, Sent(1, "a"))],
        ),
        ("one that is not asked about", false, &[(0, Sent(2, "b")), (1, Ended(2, SILENT))]),
    ];
    for (what, expected, steps) in table {
        assert_eq!(given(terms(), steps), *expected, "{what}");
    }
}

#[test]
fn another_tills_silence_is_evidence_for_one_probes_wait_and_deadline() {
    let steps = [(0, Sent(2, "b")), (1000, Ended(2, SILENT)), (68_000, Sent(1, "a"))];
    let evidence = play(terms(), &steps);
    let holds = |at| evidence.holds(Seq(1), "a", ms(at));
    assert!(holds(71_000) && !holds(71_001));
}

#[test]
fn one_till_may_be_trusted_by_setting_where_no_check_can_be_sent() {
    let terms = EvidenceTerms { one_till: true, ..terms() };
    assert!(given(terms, &[(0, Sent(1, "a"))]));
    assert!(!given(terms, &[(0, Stuck(1, "a"))]));
    assert!(!given(
        terms,
        &[(0, Sent(1, "a")), (1, Drained(2, "b")), (2, Ended(2, End::Answered))]
    ));
    assert!(
        !given(EvidenceTerms { checks: true, ..terms }, &[(0, Sent(1, "a"))]),
        "a check says more"
    );
}

#[test]
fn a_check_is_due_at_half_time_or_at_the_first_failure_and_at_most_each_two_seconds() {
    let terms = EvidenceTerms { checks: true, ..terms() };
    let due = |steps: &[(u64, Step)]| play(terms, steps).check_due(ms(0));
    let sent = (0, Sent(1, "a"));
    let failed = (50, Ended(1, SILENT));
    assert_eq!(due(&[]), None);
    assert_eq!(due(&[sent]), Some(ms(HALF)));
    assert_eq!(due(&[sent, failed]), Some(ms(50)));
    assert_eq!(due(&[sent, failed, (60, OwnCheck)]), None, "one serves");
    assert_eq!(due(&[sent, failed, (60, OwnCheck), (70, Sent(2, "a"))]), Some(ms(HALF + 70)));
    assert_eq!(
        due(&[sent, (60, OwnCheck), (70, Sent(2, "a")), (80, Ended(2, SILENT))]),
        Some(ms(2060))
    );
    assert_eq!(due(&[sent, (60, Ended(1, End::Answered))]), None);
    assert_eq!(due(&[(0, Drained(1, "a"))]), None, "no till waits");
    assert_eq!(play(terms, &[sent]).check_due(ms(TIME)), None, "too late");
    assert_eq!(play(self::terms(), &[sent]).check_due(ms(0)), None, "none is to be sent");
}

#[test]
fn what_is_remembered_is_bounded_and_forgotten() {
    let mut evidence = TrustEvidence::new(terms());
    for seq in 0..5000 {
        let till: Arc<str> = format!("till-{seq}").into();
        begun(&mut evidence, ms(1), seq, (&till, true)).note_whole(Duration::ZERO);
        evidence.ended(ms(2), Seq(seq), SILENT);
    }
    assert_eq!(
        (evidence.rows.len(), evidence.silences.len()),
        (TrustEvidence::ROWS_MAX, TrustEvidence::TILLS_MAX)
    );
    drop(begun(&mut evidence, ms(60_000), 9000, ("a", true)));
    assert_eq!(evidence.rows.len(), 1);
    assert!(!evidence.holds(Seq(4999), "till-4999", ms(60_000)));
}

#[test]
fn a_row_that_is_asked_about_again_later_begins_anew() {
    let again =
        [(0, Sent(1, "a")), (9, Ended(1, SILENT)), (60_000, Stuck(1, "a")), (60_001, Sent(2, "b"))];
    assert!(!play(terms(), &again).holds(Seq(1), "a", ms(64_000)));
    let soon =
        [(0, Sent(1, "a")), (9, Ended(1, SILENT)), (5000, Stuck(1, "a")), (5001, Sent(2, "b"))];
    assert!(!play(terms(), &soon).holds(Seq(1), "a", ms(9000)));
}

#[test]
fn a_till_that_asks_again_as_it_was_told_is_given_on_new_evidence() {
    let terms = EvidenceTerms { checks: true, ..terms() };
    let answered = [
        (0, Sent(1, "a")),
        (9, Ended(1, SILENT)),
        (10, OwnCheck),
        (20, CheckEnded(10, End::Answered)),
    ];
    let again = [(4500, Sent(1, "a")), (4510, Ended(1, SILENT))];
    let so_far = [answered.as_slice(), &again].concat();
    assert_eq!(
        play(terms, &so_far).check_due(ms(4510)),
        Some(ms(4510)),
        "the provider may have fallen silent since"
    );
    assert!(!play(terms, &so_far).holds(Seq(1), "a", ms(8500)));
    let checked =
        [so_far.as_slice(), &[(4511, OwnCheck), (4520, CheckEnded(4511, SILENT))]].concat();
    assert!(play(terms, &checked).holds(Seq(1), "a", ms(8500)));
}

const ANSWERED: End = End::Answered;

/// A check beside till `b`'s redemption is lost, then the provider answers one of till `c`.
const DOUBT: [(u64, Step); 6] = [
    (0, Sent(90, "b")),
    (HALF, OwnCheck),
    (HALF + 9, CheckEnded(HALF, SILENT)),
    (8000, Ended(90, SILENT)),
    (9000, Sent(91, "c")),
    (9010, Ended(91, ANSWERED)),
];
/// The test that follows is lost.
const TEST: [(u64, Step); 2] = [(9020, OwnCheck), (9025, CheckEnded(9020, SILENT))];
/// Another redemption is answered.
const GOOD: [(u64, Step); 2] = [(9500, Sent(93, "c")), (9510, Ended(93, ANSWERED))];

/// What happens after each other.
type Parts<'a> = &'a [&'a [(u64, Step)]];

fn checking() -> EvidenceTerms {
    EvidenceTerms { checks: true, ..terms() }
}

fn after_doubt(parts: Parts<'_>) -> TrustEvidence {
    play(checking(), &[&DOUBT[..], &parts.concat()].concat())
}

fn are_deaf(parts: Parts<'_>) -> bool {
    after_doubt(parts).checks_are_deaf()
}

#[test]
fn a_lost_check_is_repeated_once_the_provider_has_answered_a_redemption() {
    let due = |steps: &[(u64, Step)], at| play(checking(), steps).check_due(ms(at));
    assert_eq!(due(&DOUBT[..4], 9010), None, "nobody was answered yet");
    assert_eq!(due(&DOUBT, 9010), Some(ms(9010)));
    let tested = [&DOUBT[..], &TEST[..1]].concat();
    assert_eq!(due(&tested, 9020), None, "one is enough");
    let checked = [&DOUBT[..3], &[(2500, CheckEnded(HALF, ANSWERED))], &DOUBT[3..]].concat();
    assert_eq!(due(&checked, 9010), None, "it was answered after all");
    let late = [&DOUBT[..], &[(9015, Heard)]].concat();
    assert_eq!(due(&late, 9020), Some(ms(9020)), "a till's check says nothing of a made-up one");
    let without = EvidenceTerms { checks: false, ..checking() };
    assert_eq!(play(without, &DOUBT).check_due(ms(9010)), None, "no checks of our own");
}

#[test]
fn checks_are_deaf_where_one_is_lost_between_two_answered_redemptions() {
    let sent = &TEST[..1];
    let ends = |end| [(9025, CheckEnded(9020, end))];
    let late: [(u64, Step); 2] = [(9500, Sent(93, "c")), (9530 + HALF, Ended(93, ANSWERED))];
    let answered_late = [(9030 + HALF, CheckEnded(9020, ANSWERED))];
    let before: [(u64, Step); 1] = [(9015, Sent(94, "c"))];
    let silent: [(u64, Step); 2] = [(9030, Sent(95, "b")), (9035, Ended(95, SILENT))];
    let blamed: [(u64, Step); 3] =
        [(9030, Sent(95, "b")), (9031, Blamed(95)), (9035, Ended(95, SILENT))];
    let answered: [(u64, Step); 2] = [(9600, Sent(95, "b")), (9610, Ended(95, ANSWERED))];
    let found: [(u64, Step); 3] =
        [(9600, Sent(95, "b")), (9601, Blamed(95)), (9602, Ended(95, SILENT))];
    let table: &[(&str, bool, Parts<'_>)] = &[
        ("no test", false, &[&GOOD]),
        ("the test is lost", true, &[&TEST, &GOOD]),
        ("the test does not leave", true, &[sent, &ends(CUT), &GOOD]),
        ("the test is on the wire too shortly", false, &[sent, &GOOD]),
        ("the test is on the wire for long", true, &[sent, &late]),
        ("the test is answered", false, &[sent, &ends(ANSWERED), &GOOD]),
        ("the test is answered too late", true, &[sent, &answered_late, &late]),
        ("the test meets a 429", false, &[sent, &ends(End::Limited), &GOOD]),
        (
            "what was asked before the test is answered",
            false,
            &[&before, &TEST, &[(9030, Ended(94, ANSWERED))]],
        ),
        ("another was silent during the test", false, &[&TEST, &silent, &GOOD]),
        ("and is answered then", false, &[&TEST, &silent, &GOOD, &answered, &GOOD]),
        ("and is found to blame", true, &[&TEST, &silent, &GOOD, &found]),
        ("a row that trips the provider during the test", true, &[&TEST, &blamed, &GOOD]),
        ("a till's check is answered later", true, &[&TEST, &GOOD, &[(12_000, Heard)]]),
        (
            "a check is answered in time later",
            false,
            &[&TEST, &GOOD, &[(12_000, OwnCheck), (12_009, CheckEnded(12_000, ANSWERED))]],
        ),
    ];
    for (what, expected, parts) in table {
        assert_eq!(are_deaf(parts), *expected, "{what}");
    }
}

#[test]
fn the_silence_of_deaf_checks_gives_nothing_and_another_tills_does() {
    let silent = [(20_000, Sent(1, "a")), (20_000 + HALF, OwnCheck)];
    let given = |more: &[(u64, Step)]| {
        after_doubt(&[&TEST, &GOOD, more]).holds(Seq(1), "a", ms(20_000 + TIME))
    };
    assert!(!given(&silent), "a code that trips the provider is not given");
    let another = [&silent[..], &[(20_000, Sent(2, "b"))]].concat();
    assert!(given(&another), "another till is not answered either");
    let heard =
        [&[(15_000, OwnCheck), (15_009, CheckEnded(15_000, ANSWERED))], &silent[..]].concat();
    assert!(given(&heard), "checks are heard again");
}

#[test]
fn where_checks_are_deaf_they_are_tested_by_the_clock_after_ever_longer_times() {
    let mut evidence = after_doubt(&[&TEST, &GOOD]);
    let (mut now, mut waits) = (ms(9510), Vec::new());
    for _ in 0..7 {
        let due = evidence.check_due(now).unwrap();
        waits.push((due.saturating_sub(now)).as_secs_f64().round());
        now = due;
        evidence.check_begun(now).note_whole(Duration::ZERO);
        evidence.check_ended(now, now, SILENT);
    }
    assert_eq!(waits, [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
}
