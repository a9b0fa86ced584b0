//! The rules about one redemption, as tables.

use bytes::Bytes;

use super::*;
use crate::limits::{LaneNow, Limit, Risk};
use crate::message::Denied;
use crate::redemption::{Answer, Fingerprint, Request, RewardCode, Seq, State};
use crate::settings::{DateFormat, Offline};
use crate::trust::Trust;
use crate::verdict::ParkReason;

const CODE: &str = "AB-12";

fn request(code: &str) -> Request {
    Request {
        reward_code: RewardCode::new(code.to_owned()),
        business_refrence: "shop".to_owned(),
        branch_id: "7".to_owned(),
        date: "2027-01-15 10:00:00".to_owned(),
        timestamp: "t".to_owned(),
        body: Bytes::from_static(b"{}"),
    }
}

/// Another till's row of the same code, asked at another time.
fn row(state: State, kind: i64, marks: i64) -> Row {
    let other = Request { timestamp: "earlier".to_owned(), ..request(CODE) };
    let settled = state != State::Pending;
    Row {
        seq: Seq(1),
        tag: [1; 12],
        origin: None,
        lane: 1,
        till: "till-1".to_owned(),
        key: key_of_fields("till-1", &other),
        request: Fingerprint::of_request(&other).0,
        guard: 0,
        business: other.business_refrence,
        code: other.reward_code,
        branch: other.branch_id,
        date: other.date,
        accepted_ms: 0,
        kind: kind | kind::MARKED | kind::KEYLESS,
        body_crc: 0,
        crc: 0,
        state,
        in_flight: false,
        marks: if settled { mark::settled_at(marks, 100) } else { marks },
        attempts: 1,
        settled_ms: settled.then_some(0),
    }
}

fn asking<'a>(till: &'a str, request: &'a Request, can_ask: bool, now_min: i64) -> Asking<'a> {
    Asking { till, request, can_ask, exact: false, now_min }
}

fn held(row: &Row, till: &str, code: &str, can_ask: bool, now_min: i64) -> &'static str {
    let rows = std::slice::from_ref(row);
    let request = request(code);
    word(&guard(
        Earlier { rows, is_cut: false, kept: None },
        asking(till, &request, can_ask, now_min),
    ))
}

fn word(guard: &Guard) -> &'static str {
    match guard {
        Guard::Free => "free",
        Guard::ProviderOnly => "provider",
        Guard::Used(_) => "used",
        Guard::Refused(_) => "refused",
        Guard::Gone(_) => "gone",
        Guard::Owed(_) => "owed",
    }
}

#[test]
fn what_holds_a_code_while_its_lane_can_be_asked_and_while_it_cannot() {
    use State::{Confirmed, Declined, Parked, Pending, Voided};
    let (trusted, unsure) = (mark::TRUSTED, mark::UNCERTAIN);
    for (row, can_ask, cannot) in [
        (row(Pending, 0, 0), "used", "used"),
        (row(Pending, 0, trusted), "used", "used"),
        (row(Parked, 0, unsure), "used", "used"),
        (row(Voided, 0, unsure), "used", "used"),
        (row(Parked, 0, 0), "provider", "used"),
        (row(Confirmed, 0, trusted), "provider", "used"),
        (row(Confirmed, 0, mark::ANSWERED), "provider", "used"),
        (row(Declined, 0, trusted | mark::LOST), "provider", "used"),
        (row(Declined, 0, mark::ANSWERED | mark::STRONG), "provider", "refused"),
        (row(Declined, 0, mark::ANSWERED), "provider", "used"),
        (row(Declined, 0, mark::ANSWERED | mark::STRONG | mark::OF_THE_FORM), "free", "free"),
        (row(Voided, 0, trusted), "provider", "used"),
        (row(Voided, 0, mark::TURNED_AWAY), "free", "free"),
        (row(Voided, 0, mark::TURNED_AWAY | mark::HANDLED), "free", "free"),
        (row(Voided, 0, 0), "free", "free"),
        (row(Voided, 0, mark::HANDLED), "provider", "used"),
        (row(Voided, 0, mark::IN_DOUBT), "provider", "used"),
        (row(Voided, 0, mark::IN_DOUBT | unsure), "used", "used"),
        (row(Voided, 0, mark::IN_DOUBT | mark::FREED), "free", "free"),
        (row(Voided, 0, mark::HANDLED | mark::STRONG), "provider", "used"),
        (row(Voided, 0, mark::HANDLED | mark::FREED), "free", "free"),
        (row(Confirmed, 0, mark::OWED), "owed", "owed"),
        (row(Confirmed, 0, mark::OWED | mark::FREED), "owed", "owed"),
        (row(Confirmed, 0, trusted | mark::FREED), "free", "free"),
        (row(Declined, 0, trusted | mark::LOST | mark::FREED), "free", "free"),
    ] {
        let case = format!("{} {:#x}", row.state, row.marks & mark::ALL);
        assert_eq!(held(&row, "till-2", CODE, true, 105), can_ask, "{case}, asked");
        assert_eq!(held(&row, "till-2", CODE, false, 105), cannot, "{case}, not asked");
    }
}

#[test]
fn what_one_business_owes_is_not_given_for_anothers_code_and_holds_it() {
    let owed = row(State::Confirmed, 0, mark::OWED);
    let alike = Row { business: "SHOP ".to_owned(), ..owed.clone() };
    let elsewhere = Row { business: "hats".to_owned(), ..owed };
    assert_eq!(held(&alike, "till-2", CODE, false, 105), "owed");
    assert_eq!(held(&elsewhere, "till-2", CODE, false, 105), "used");
}

#[test]
fn other_bytes_that_fold_alike_are_the_providers_question() {
    for (state, marks) in
        [(State::Pending, 0), (State::Parked, mark::UNCERTAIN), (State::Confirmed, 0)]
    {
        assert_eq!(
            held(&row(state, 0, marks), "till-2", "ab-12", true, 105),
            "provider",
            "{state}"
        );
        assert_eq!(held(&row(state, 0, marks), "till-2", "ab-12", false, 105), "used", "{state}");
    }
}

#[test]
fn what_was_taken_back_is_its_tills_once_more_within_ten_minutes() {
    let taken_back = mark::TRUSTED | mark::TAKEN_BACK;
    let back = row(State::Voided, 0, taken_back);
    for (till, now_min, expected) in [
        ("till-1", 100, "free"),
        ("till-1", 109, "free"),
        ("till-1", 110, "used"),
        ("till-2", 100, "used"),
    ] {
        assert_eq!(held(&back, till, CODE, false, now_min), expected, "{till} at {now_min}");
    }
    let again = row(State::Voided, kind::TAKEN_AGAIN, taken_back);
    assert_eq!(held(&again, "till-1", CODE, false, 100), "used", "once");
    let closed = mark::TRUSTED | mark::HANDLED;
    for marks in [mark::TRUSTED, closed, taken_back | mark::LOST, taken_back | mark::HANDLED] {
        let row = row(State::Voided, 0, marks);
        assert_eq!(held(&row, "till-1", CODE, false, 100), "used", "{marks:#x}");
    }
}

#[test]
fn rows_that_were_not_read_hold_a_code_as_the_newer_ones_say() {
    let request = request(CODE);
    let newer = [row(State::Voided, kind::PROVIDER_ONLY, mark::TURNED_AWAY)];
    let word = |is_cut, can_ask| {
        let earlier = Earlier { rows: &newer, is_cut, kept: None };
        word(&guard(earlier, asking("till-2", &request, can_ask, 105)))
    };
    assert_eq!(
        (word(false, false), word(true, false), word(true, true)),
        ("free", "gone", "provider")
    );
}

#[test]
fn used_is_explained_by_a_confirmed_rival_whichever_was_first_and_by_nothing_that_is_free() {
    use State::{Confirmed, Declined, Pending};
    let unsure = row(Pending, 0, mark::UNCERTAIN | mark::REFUSED_AT_TILL);
    let rival = |state, marks| [Row { seq: Seq(2), ..row(state, 0, marks) }];
    for (rivals, explained) in [
        (rival(Confirmed, 0), true),
        (rival(Confirmed, mark::OWED), true),
        (rival(Confirmed, mark::FREED), false),
        (rival(Pending, 0), false),
        (rival(Declined, mark::STRONG), false),
        (rival(Declined, mark::STRONG | mark::SAID_USED), false),
    ] {
        assert_eq!(explains_used(&unsure, &rivals, None), explained, "{rivals:?}");
    }
    // The provider had called it used before the row came.
    let before = |marks, business: &str| {
        let told = row(Declined, 0, mark::STRONG | mark::SAID_USED | marks);
        [Row { seq: Seq(0), business: business.to_owned(), ..told }]
    };
    for (marks, business, explained) in
        [(0, "shop", true), (mark::FREED, "shop", false), (0, "hats", false)]
    {
        assert_eq!(explains_used(&unsure, &before(marks, business), None), explained, "{business}");
    }
    let elsewhere = [
        Row { origin: Some(7), ..unsure.clone() },
        Row { marks: unsure.marks | mark::IN_DOUBT, ..unsure.clone() },
    ];
    for row in elsewhere {
        assert!(!explains_used(&row, &before(0, "shop"), None), "{row:?}");
    }
    let again = Row { marks: unsure.marks | mark::SAID_USED, ..unsure.clone() };
    assert!(
        explains_used(&again, std::slice::from_ref(&again), None),
        "it was, before it was sent"
    );
    assert!(!explains_used(&unsure, std::slice::from_ref(&unsure), None), "itself");
    assert!(explains_used(&unsure, &[], Some(Kept::Used)));
    assert!(!explains_used(&unsure, &[], Some(Kept::Refused)));
}

fn situation<'a>(request: &'a Request, offline: &'a Offline, rules: CodeRules) -> Situation<'a> {
    Situation {
        till: "till-1",
        keyed: false,
        request,
        by_key: None,
        by_fields: None,
        undelivered: None,
        earlier: Earlier { rows: &[], is_cut: false, kept: None },
        rules,
        lane: LaneNow::default(),
        offline,
        risk: Risk::none(),
        now_min: 0,
        clock_trusted: true,
    }
}

#[test]
fn an_answer_that_was_not_delivered_is_told_for_its_own_code_alone() {
    let (offline, unheard) = (offline(), row(State::Confirmed, 0, mark::ANSWERED));
    for (code, exact, repeats) in
        [(CODE, false, true), ("ab-12", false, true), (CODE, true, true), ("ab-12", true, false)]
    {
        let request = request(code);
        let at = situation(&request, &offline, CodeRules { reusable: false, exact });
        let admission = accept(&Situation { undelivered: Some(&unheard), ..at });
        assert_eq!(matches!(admission, Admission::Retold(_)), repeats, "{code} {exact}");
    }
}

#[test]
fn what_was_taken_back_has_no_answer_that_was_missed_and_what_a_person_closed_has() {
    let (offline, request) = (offline(), request(CODE));
    let at = situation(&request, &offline, CodeRules::default());
    let given_back = mark::TRUSTED | mark::TAKEN_BACK;
    for (marks, repeats) in
        [(0, false), (given_back, false), (mark::TURNED_AWAY, false), (mark::HANDLED, true)]
    {
        let row = Row { kind: kind::MARKED, ..row(State::Voided, 0, marks) };
        let admission = accept(&Situation { undelivered: Some(&row), ..at });
        assert_eq!(matches!(admission, Admission::Retold(_)), repeats, "{marks:#x}");
    }
}

#[test]
fn a_reusable_codes_keyed_request_repeats_the_keyless_one_with_its_fields() {
    let (offline, request) = (offline(), request(CODE));
    let reusable = CodeRules { reusable: true, exact: false };
    let same = Request { timestamp: "t".to_owned(), ..request.clone() };
    let first = |till: &str| Row {
        till: till.to_owned(),
        key: key_of_fields(till, &same),
        request: Fingerprint::of_request(&same).0,
        kind: kind::MARKED | kind::REUSABLE,
        ..row(State::Confirmed, 0, mark::ANSWERED)
    };
    for (till, repeats) in [("till-1", true), ("till-2", false)] {
        let row = first(till);
        let at = situation(&request, &offline, reusable);
        let admission = accept(&Situation { keyed: true, by_fields: Some(&row), ..at });
        assert_eq!(matches!(admission, Admission::Repeat(_)), repeats, "{till}");
    }
}

#[test]
fn what_no_till_heard_is_owed_where_it_was_refused_before_and_never_twice() {
    use State::{Confirmed, Declined, Pending};
    let (refused, answered) = (mark::REFUSED_AT_TILL, mark::ANSWERED);
    let (once, again) = (mark::OWED | mark::UNHEARD, mark::OWED_PAID | mark::UNHEARD);
    for (state, marks, expected) in [
        (Confirmed, refused | answered, Some(refused | once)),
        // Its till heard a refusal before a person sent it again.
        (Confirmed, answered, Some(answered | once)),
        (Confirmed, refused | mark::OWED_PAID, Some(refused | once)),
        (Confirmed, refused | mark::OWED_PAID | mark::PAID_ELSEWHERE, Some(refused | once)),
        (Confirmed, refused | mark::OWED, None),
        (Confirmed, refused | once, None),
        (Confirmed, refused | again, Some(refused | again | mark::IN_VAIN)),
        (Confirmed, refused | again | mark::IN_VAIN, None),
        (Confirmed, refused | answered | mark::TRUSTED, None),
        (Declined, refused | answered, None),
        (Pending, refused | answered, None),
    ] {
        let marks_after = unheard(&row(state, 0, marks)).map(|marks| marks & mark::ALL);
        assert_eq!(marks_after, expected, "{state} {marks:#x}");
    }
}

fn offline() -> Offline {
    Offline { date_format: DateFormat::Contract, ..Offline::default() }
}

fn lane(trust: Trust) -> LaneNow {
    match trust {
        Trust::AtOnce { .. } => LaneNow { trust, ..LaneNow::down() },
        Trust::Unanswered | Trust::Never => LaneNow { trust, ..LaneNow::default() },
    }
}

fn waiting(end: WaitEnd, lane: LaneNow, evidence: bool, offline: &Offline) -> WaitContext<'_> {
    let (withdrawn, is_held_elsewhere) = (false, false);
    let (risk, attempts) = (Risk::none(), &[][..]);
    WaitContext { end, withdrawn, lane, evidence, offline, risk, is_held_elsewhere, attempts }
}

fn concluded(row: &Row, end: WaitEnd, trust: Trust, evidence: bool) -> Conclude {
    let offline = offline();
    conclude(row, waiting(end, lane(trust), evidence, &offline))
}

#[test]
fn a_wait_in_vain_is_trusted_with_evidence_from_others_or_where_the_provider_cannot_be_reached() {
    let sent = Row { in_flight: true, ..row(State::Pending, 0, 0) };
    let (vain, away) = (WaitEnd::InVain, WaitEnd::TurnedAway { retry_after_s: None });
    let told = WaitEnd::TurnedAway { retry_after_s: Some(7) };
    let at_once = Trust::AtOnce { tenth: false };
    let no = Conclude::RefuseAtTill;
    for (end, trust, evidence, expected) in [
        (vain, Trust::Unanswered, true, Conclude::Trust),
        (vain, Trust::Unanswered, false, no(NotGiven::Unanswered)),
        (vain, Trust::Never, true, no(NotGiven::Unanswered)),
        (vain, at_once, false, Conclude::Trust),
        (away, at_once, false, Conclude::Trust),
        (away, Trust::Unanswered, true, no(NotGiven::Busy)),
        (told, Trust::Never, true, no(NotGiven::Wait(7))),
    ] {
        assert_eq!(
            concluded(&sent, end, trust, evidence),
            expected,
            "{end:?} {trust:?} {evidence}"
        );
    }
    let limited = LaneNow { retry_after_s: Some(7), ..lane(Trust::Never) };
    let offline = offline();
    assert_eq!(
        conclude(&sent, waiting(vain, limited, true, &offline)),
        no(NotGiven::Wait(7)),
        "another's 429 came while it was on the wire"
    );
    let only = Row { in_flight: true, ..row(State::Pending, kind::PROVIDER_ONLY, 0) };
    assert_eq!(
        concluded(&only, vain, Trust::Unanswered, true),
        no(NotGiven::Unanswered),
        "the provider alone"
    );
    let given = row(State::Pending, 0, mark::TRUSTED);
    assert_eq!(concluded(&given, vain, Trust::Never, false), Conclude::Trusted);
}

#[test]
fn a_row_that_the_provider_refused_is_not_given_after_a_wait_and_stays_pending() {
    let at_once = Trust::AtOnce { tenth: false };
    let no = Conclude::RefuseAtTill(NotGiven::Unanswered);
    for marks in [mark::STRONG, mark::ANSWERED, mark::ANSWERED | mark::UNCERTAIN] {
        let again = row(State::Pending, 0, marks);
        assert_eq!(concluded(&again, WaitEnd::InVain, at_once, true), no, "{marks:#x}");
    }
    let (offline, unsure) = (offline(), row(State::Pending, 0, mark::UNCERTAIN));
    let at = waiting(WaitEnd::InVain, lane(at_once), true, &offline);
    assert_eq!(conclude(&unsure, at), Conclude::Trust);
    let attempts = &[attempt(1, 0, Some(7))][..];
    assert_eq!(conclude(&unsure, WaitContext { attempts, ..at }), no);
    let given = row(State::Pending, 0, mark::TRUSTED | mark::STRONG);
    assert_eq!(concluded(&given, WaitEnd::InVain, at_once, true), Conclude::Trusted, "it was");
}

#[test]
fn the_last_attempt_that_was_answered_says_whether_a_row_is_refused() {
    let (offline, unsure) = (offline(), row(State::Pending, 0, mark::UNCERTAIN));
    let at = waiting(WaitEnd::InVain, lane(Trust::AtOnce { tenth: false }), true, &offline);
    let is_given = |attempts: &[Attempt]| {
        let at: WaitContext<'_> = WaitContext { attempts, ..at };
        conclude(&unsure, at) == Conclude::Trust
    };
    let busy = || Attempt { outcome: "in_progress".to_owned(), ..attempt(2, 0, None) };
    let failed = || Attempt { outcome: "parked".to_owned(), ..attempt(2, 0, None) };
    let (silent, refused) = (|| attempt(2, 0, None), || attempt(1, 0, Some(7)));
    assert!(!is_given(&[refused()]) && !is_given(&[refused(), silent()]));
    assert!(!is_given(&[busy(), failed(), silent()]));
    assert!(is_given(&[]) && is_given(&[silent()]));
    assert!(is_given(&[refused(), busy(), silent()]));
}

#[test]
fn what_never_left_is_turned_away_and_what_may_have_left_is_refused_and_stays() {
    let unsent = row(State::Pending, 0, 0);
    let end = WaitEnd::InVain;
    assert_eq!(
        concluded(&unsent, end, Trust::Unanswered, false),
        Conclude::TurnAway(NotGiven::Unanswered)
    );
    let doubtful = row(State::Pending, 0, mark::UNCERTAIN);
    assert_eq!(
        concluded(&doubtful, end, Trust::Unanswered, false),
        Conclude::RefuseAtTill(NotGiven::Unanswered)
    );
}

#[test]
fn limits_and_the_contracts_dates_are_asked_after_a_wait_too() {
    let end = WaitEnd::InVain;
    let no_date = Row { date: "Invalid date".to_owned(), ..row(State::Pending, 0, 0) };
    let bad = NotGiven::Refused(NotOnTrust::BadDate);
    assert_eq!(concluded(&no_date, end, Trust::Unanswered, true), Conclude::TurnAway(bad));
    let offline = Offline { accept: false, ..offline() };
    let at = waiting(end, lane(Trust::Unanswered), true, &offline);
    let limited = NotGiven::Refused(NotOnTrust::Limited(Limit::NotAccepting));
    assert_eq!(conclude(&row(State::Pending, 0, 0), at), Conclude::TurnAway(limited));
    let elsewhere = WaitContext { is_held_elsewhere: true, ..at };
    let unanswered = Conclude::TurnAway(NotGiven::Unanswered);
    assert_eq!(
        conclude(&row(State::Pending, 0, 0), elsewhere),
        unanswered,
        "another business's row holds the code"
    );
}

fn declined(already_used: bool, strong: bool) -> Ended {
    Ended::Declined { answer: Answer::success(), already_used, strong }
}

fn around(attempts: &[Attempt], told: bool) -> SettleContext<'_> {
    SettleContext { told, lane_is_well: true, explained: false, attempts, weak_after_s: 1800 }
}

fn outcome(row: &Row, ended: &Ended, told: bool) -> (State, i64) {
    match settle(row, ended, around(&[], told)) {
        Settle::As { state, marks, .. } => (state, marks & mark::ALL),
        Settle::Waits { marks, .. } => (State::Pending, marks & mark::ALL),
    }
}

#[test]
fn what_a_rows_end_means_depends_on_what_its_till_was_told() {
    use State::{Confirmed, Declined, Parked, Pending};
    let (trusted, unsure, refused) = (mark::TRUSTED, mark::UNCERTAIN, mark::REFUSED_AT_TILL);
    let (weak, strong, used) =
        (declined(false, false), declined(false, true), declined(true, true));
    let refused_as_used = mark::STRONG | mark::SAID_USED;
    for (marks, ended, told, expected) in [
        (0, &weak, true, (Declined, mark::ANSWERED)),
        (0, &weak, false, (Pending, 0)),
        (trusted, &weak, false, (Pending, trusted)),
        (trusted, &weak, true, (Pending, trusted)),
        (0, &strong, true, (Declined, mark::ANSWERED | mark::STRONG)),
        (trusted, &strong, false, (Declined, trusted | mark::STRONG | mark::LOST)),
        (trusted | unsure, &strong, false, (Pending, trusted | unsure)),
        (unsure, &strong, true, (Pending, unsure)),
        (trusted | unsure, &used, false, (Confirmed, trusted | unsure | mark::DUPLICATE_OF_OURS)),
        (
            unsure | refused,
            &used,
            false,
            (Confirmed, unsure | refused | mark::DUPLICATE_OF_OURS | mark::OWED),
        ),
        (unsure | mark::IN_DOUBT, &used, false, (Parked, unsure | mark::IN_DOUBT)),
        (trusted, &used, false, (Declined, trusted | refused_as_used | mark::LOST)),
        (refused, &Ended::Confirmed(Answer::success()), false, (Confirmed, refused | mark::OWED)),
        (
            refused | trusted,
            &Ended::Confirmed(Answer::success()),
            false,
            (Confirmed, refused | trusted),
        ),
        (trusted, &Ended::Unclear, false, (Pending, trusted | unsure)),
        (trusted | unsure, &Ended::Clean, false, (Pending, trusted | unsure)),
    ] {
        assert_eq!(
            outcome(&row(Pending, 0, marks), ended, told),
            expected,
            "{marks:#x} {ended:?} told {told}"
        );
    }
    let reason = ParkReason::SaysFailed { status: 200 };
    let says = |already_used| Ended::Parked { answer: Answer::success(), reason, already_used };
    for already_used in [false, true] {
        let first = outcome(&row(Pending, 0, 0), &says(already_used), true);
        assert_eq!(first, (Parked, unsure | mark::ANSWERED));
    }
    let of_unsure = |marks, ended: &Ended| outcome(&row(Pending, 0, unsure | marks), ended, true);
    assert_eq!(of_unsure(0, &says(false)), (Parked, unsure | refused), "no last word");
    let ours = unsure | mark::DUPLICATE_OF_OURS | mark::ANSWERED;
    assert_eq!(of_unsure(0, &says(true)), (Confirmed, ours));
    let in_doubt = unsure | mark::IN_DOUBT;
    assert_eq!(of_unsure(mark::IN_DOUBT, &says(true)), (Parked, in_doubt | refused));
    let given = of_unsure(trusted, &says(false));
    assert_eq!(given, (Parked, unsure | trusted), "its 2xx has left");
}

fn attempt(number: u32, elapsed_s: i64, refusal: Option<u32>) -> Attempt {
    let outcome = "declined".to_owned();
    Attempt { number, at_ms: 0, elapsed_s, outcome, status: Some(404), took_ms: 1, refusal }
}

#[test]
fn what_is_said_to_be_worked_on_for_long_is_a_persons() {
    let given = row(State::Pending, 0, mark::TRUSTED | mark::UNCERTAIN);
    let busy = |n: u32, every_s: i64| Attempt {
        outcome: "in_progress".to_owned(),
        ..attempt(n + 1, i64::from(n) * every_s, None)
    };
    let after = |every_s: i64| {
        let attempts: Vec<_> = (0..5).map(|n| busy(n, every_s)).collect();
        settle(&given, &Ended::Busy(Answer::success()), around(&attempts, false))
    };
    assert_eq!(after(449), Settle::Waits { marks: given.marks, uncharged: false });
    let why = Some(ParkCause::WeakForLong);
    assert_eq!(after(450), Settle::As { state: State::Parked, marks: given.marks, why });
}

#[test]
fn weak_refusals_are_a_persons_after_weak_after_however_long_that_is_and_whatever_fails_between() {
    let (given, weak) = (row(State::Pending, 0, mark::TRUSTED), declined(false, false));
    for weak_after_s in [1800, 3 * 3600, 30 * 86_400] {
        let mut attempts = Vec::new();
        let parked_at_s = (1..10_000).find_map(|number| {
            let now_s = i64::from(number) * 900;
            attempts.push(attempt(number, now_s, (number % 3 != 0).then_some(7)));
            keep_attempts(&mut attempts);
            assert!(attempts.len() <= 10, "{weak_after_s}");
            let around = SettleContext { weak_after_s, ..around(&attempts, false) };
            let is_parked = matches!(settle(&given, &weak, around), Settle::As { .. });
            (number % 3 != 0 && is_parked).then_some(now_s)
        });
        let due_s = 900 + weak_after_s.max(5 * 900);
        assert!(
            parked_at_s.is_some_and(|at_s| (due_s..=due_s + 1800).contains(&at_s)),
            "{weak_after_s}: {parked_at_s:?}"
        );
    }
}

#[test]
fn weak_refusals_alike_for_long_are_a_persons_and_never_a_decline() {
    let given = row(State::Pending, 0, mark::TRUSTED);
    let weak = declined(false, false);
    let parked = |attempts: &[Attempt], lane_is_well| {
        let around = SettleContext { lane_is_well, ..around(attempts, false) };
        matches!(
            settle(&given, &weak, around),
            Settle::As { state: State::Parked, why: Some(ParkCause::WeakForLong), .. }
        )
    };
    let alike = |count: u32, every_s: i64| -> Vec<Attempt> {
        (0..count).map(|n| attempt(n + 1, i64::from(n) * every_s, Some(7))).collect()
    };
    assert!(parked(&alike(5, 450), true));
    assert!(!parked(&alike(5, 449), true), "not for long enough");
    assert!(!parked(&alike(4, 1000), true), "not often enough");
    assert!(!parked(&alike(5, 450), false), "the lane is not well");
    let mut mixed = alike(5, 450);
    mixed[2].refusal = Some(8);
    assert!(!parked(&mixed, true), "not alike");
}

#[test]
fn an_uncertain_row_that_is_refused_is_asked_three_times_again_and_then_a_persons() {
    let unsure = row(State::Pending, 0, mark::TRUSTED | mark::UNCERTAIN);
    for count in 1..=5u32 {
        let attempts: Vec<Attempt> = (1..=count).map(|n| attempt(n, 0, Some(n))).collect();
        let settled = settle(&unsure, &declined(false, true), around(&attempts, false));
        assert_eq!(
            matches!(settled, Settle::As { state: State::Parked, .. }),
            count >= 4,
            "{count}: {settled:?}"
        );
    }
}

#[test]
fn a_till_takes_back_only_what_no_provider_can_have() {
    let untouched = Row { attempts: 0, ..row(State::Pending, 0, 0) };
    let given = Row { marks: mark::TRUSTED, ..untouched.clone() };
    assert_eq!(void_by_till(&untouched, false), TillVoid::Void { given: false });
    assert_eq!(void_by_till(&given, false), TillVoid::Void { given: true });
    let sending = Row { in_flight: true, attempts: 1, ..given.clone() };
    assert_eq!(void_by_till(&sending, false), TillVoid::Stays, "its bytes may have left");
    assert_eq!(
        void_by_till(&sending, true),
        TillVoid::Void { given: true },
        "it was stopped in time"
    );
    for unsure in [mark::UNCERTAIN, mark::UNCERTAIN | mark::TRUSTED] {
        assert_eq!(
            void_by_till(&Row { marks: unsure, ..untouched.clone() }, false),
            TillVoid::Stays
        );
    }
    for state in State::ALL.into_iter().filter(|state| *state != State::Pending) {
        assert_eq!(void_by_till(&row(state, 0, 0), false), TillVoid::Stays, "{state}");
    }
}

#[test]
fn what_a_person_may_close_send_again_or_see_to_depends_on_where_it_stands() {
    use State::{Confirmed, Declined, Parked, Pending, Voided};
    for (state, closes, retries, handles) in [
        (Pending, true, false, false),
        (Confirmed, false, false, true),
        (Declined, false, true, true),
        (Parked, true, true, true),
        (Voided, false, false, true),
    ] {
        let row = row(state, 0, 0);
        assert_eq!(void(&row) == Ok(Closing::Close), closes, "void {state}");
        assert_eq!(retry(&row, &[]).is_ok(), retries, "retry {state}");
        assert_eq!(handled(&row, false).is_ok(), handles, "handled {state}");
    }
    let sending = Row { in_flight: true, ..row(Pending, 0, 0) };
    assert_eq!(void(&sending), Err(Denied::OnTheWire));
    assert_eq!(
        void(&row(Declined, 0, mark::TRUSTED | mark::LOST)),
        Ok(Closing::Lost),
        "a fact for life"
    );
    for state in [Pending, Parked] {
        let sent_again = row(state, 0, mark::TRUSTED | mark::LOST);
        assert_eq!(void(&sent_again), Ok(Closing::CloseLost), "for life: {state}");
    }
    let marks = handled(&row(Declined, 0, 0), true).map(|marks| marks & mark::ALL);
    assert_eq!(marks, Ok(mark::HANDLED | mark::FREED));
    let owed = row(Confirmed, 0, mark::OWED);
    assert_eq!(
        (handled(&owed, true), handled(&owed, false).is_ok()),
        (Err(Denied::StillOwed), true)
    );
}

#[test]
fn a_decline_that_a_person_has_seen_to_is_none_of_those_for_which_its_lane_is_held() {
    let declined = row(State::Declined, 0, mark::STREAK | mark::LOST);
    let marks = handled(&declined, false).map(|marks| marks & mark::ALL);
    assert_eq!(marks, Ok(mark::LOST | mark::HANDLED), "what was lost stays so");
}

#[test]
fn a_retry_keeps_every_doubt_and_waits_for_whoever_holds_the_code() {
    let kept = mark::TRUSTED | mark::UNCERTAIN | mark::LOST | mark::STRONG;
    // A code that was freed is held by its own redemption again.
    let seen_to = mark::STREAK | mark::HANDLED | mark::FREED | mark::OF_THE_FORM;
    let given = row(State::Declined, 0, kept | seen_to);
    assert_eq!(
        retry(&given, std::slice::from_ref(&given)).map(|marks| marks & mark::ALL),
        Ok(kept)
    );
    let holds = |state, marks| {
        let other = Row { seq: Seq(2), ..row(state, 0, marks) };
        matches!(retry(&given, std::slice::from_ref(&other)), Err(Denied::CodeHeld { .. }))
    };
    for state in [State::Pending, State::Parked, State::Confirmed] {
        assert!(holds(state, 0), "{state}");
        assert!(!holds(state, mark::FREED), "{state}, freed");
    }
    assert!(holds(State::Voided, mark::UNCERTAIN), "it may have reached the provider");
    assert!(!holds(State::Voided, 0) && !holds(State::Declined, mark::STRONG));
}
