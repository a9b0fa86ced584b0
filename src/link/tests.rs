//! The link's state machine as a table, and its invariants under random events.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn config() -> LinkSettings {
    LinkSettings {
        retry_min: MIN,
        retry_max: MAX,
        max_in_flight: 8,
        reconnect_spread: Duration::from_secs(5),
        place: 0.5,
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn link() -> Link {
    Link::new(config(), 42, Outages::default())
}

const STRONG: Heard = Heard::Declined { strong: true };
const WEAK: Heard = Heard::Declined { strong: false };
/// A 202, or a 2xx that says that it is pending.
const QUEUED: Heard = Heard::InProgress { strong: true };
/// A 409 or 425 that says so.
const BUSY: Heard = Heard::InProgress { strong: false };

/// An attempt of the drain for a row that was given on trust.
fn drained(now: Duration, seq: i64, heard: Heard) -> EndedAttempt<'static> {
    EndedAttempt {
        seq: Seq(seq),
        heard,
        detail: "seen",
        first_fault: true,
        trusted: true,
        till: "a",
        ..EndedAttempt::unknown(now)
    }
}

fn end(link: &mut Link, now: Duration, seq: i64, heard: Heard) -> Effects {
    link.ended(now, &drained(now, seq, heard))
}

/// A live attempt, whose till has been told nothing yet.
fn live(link: &mut Link, now: Duration, seq: i64, heard: Heard) -> Effects {
    link.ended(now, &EndedAttempt { live: true, trusted: false, ..drained(now, seq, heard) })
}

/// A row that is to blame itself.
fn suspect(link: &mut Link, now: Duration, heard: Heard) -> Effects {
    link.ended(now, &EndedAttempt { suspect: true, ..drained(now, 2, heard) })
}

fn confirm(link: &mut Link, count: i64) {
    for seq in 0..count {
        end(link, s(1), seq, Heard::Confirmed);
    }
}

fn cause(link: &Link) -> Option<(&'static str, Cause)> {
    match link.phase() {
        LinkPhase::Up => None,
        LinkPhase::Down(why) => Some(("down", why.cause)),
        LinkPhase::Held(why) => Some(("held", why.cause)),
    }
}

#[test]
fn a_probe_whose_row_was_taken_back_makes_room_for_the_next() {
    let mut link = link();
    end(&mut link, s(0), 1, Heard::NotTheProvider);
    link.probing(s(100), Seq(1));
    link.probe_withdrawn(Seq(2));
    assert!(!link.may_probe(s(200)), "another row's withdrawal is not the probe's");
    link.probe_withdrawn(Seq(1));
    assert!(link.may_probe(s(200)));
}

/// What one attempt's end makes of a link that is up.
#[test]
fn each_verdict_moves_the_link_as_the_table_says() {
    let table: &[(Heard, Option<(&str, Cause)>)] = &[
        (Heard::Confirmed, None),
        (STRONG, None),
        (Heard::Parked, None),
        (QUEUED, None),
        (BUSY, None),
        (Heard::Credential, Some(("held", Cause::Credential))),
        (Heard::NoAnswer(Phase::Credential), Some(("held", Cause::Credential))),
        (Heard::NotTheProvider, Some(("down", Cause::NotTheProvider))),
        (Heard::Wait { at_least: Some(s(9)), limited: true }, None),
        (Heard::RowFault { status: 500 }, None),
        (Heard::Reset, None),
        (Heard::NoAnswer(Phase::Resolve), Some(("down", Cause::Resolve))),
        (Heard::NoAnswer(Phase::Connect), Some(("down", Cause::Connect))),
        (Heard::NoAnswer(Phase::Tls), Some(("down", Cause::Tls))),
        (Heard::NoAnswer(Phase::Clock), Some(("down", Cause::Clock))),
        (Heard::NoAnswer(Phase::Write), Some(("down", Cause::Write))),
        (Heard::NoAnswer(Phase::Answer), Some(("down", Cause::Answer))),
    ];
    for (verdict, expected) in table {
        let mut link = link();
        end(&mut link, s(1), 1, *verdict);
        assert_eq!(cause(&link), *expected, "{verdict:?}");
    }
}

#[test]
fn down_sends_probes_alone_and_one_at_a_time() {
    let mut link = link();
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    assert!(!link.may_send_backlog(s(1), Flying::default()));
    assert!(!link.may_probe(s(1)), "not before the first backoff");
    let at = link.next_moment(s(1)).expect("a probe is due some time");
    assert!(at >= s(2) && at <= s(3), "retry_min to twice retry_min, was {at:?}");
    assert!(link.may_probe(at));
    link.probing(at, Seq(2));
    assert!(!link.may_probe(at + HOUR), "one at a time");
}

#[test]
fn recovery_starts_slowly_after_this_gateways_place_in_the_spread() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::NoAnswer(Phase::Connect));
    link.probing(s(100), Seq(1));
    let effects = end(&mut link, s(100), 1, Heard::Confirmed);
    assert!(effects.changed && link.is_up(s(100)));
    assert!(
        !link.may_send_backlog(s(102), Flying::default()),
        "half of 5 s is this gateway's place"
    );
    assert!(link.may_send_backlog(s(103), Flying::default()));
    assert!(link.may_ask(), "live traffic does not wait");
    let mut windows = vec![link.window()];
    for seq in 0..9 {
        end(&mut link, s(103), seq, Heard::Confirmed);
        windows.push(link.window());
    }
    assert_eq!(windows, [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]);
}

#[test]
fn a_short_outage_is_spread_no_longer_than_it_lasted() {
    let mut link = link();
    end(&mut link, s(10), 0, Heard::Confirmed);
    end(&mut link, s(20), 1, Heard::NoAnswer(Phase::Connect));
    link.probing(s(21), Seq(1));
    end(&mut link, s(21), 1, Heard::Confirmed);
    assert!(link.may_send_backlog(s(21) + s(1) / 2, Flying::default()));
}

#[test]
fn the_window_halves_on_429_and_503_and_only_confirmations_widen_it() {
    let mut link = link();
    for seq in 0..8 {
        end(&mut link, s(1), seq, Heard::Confirmed);
    }
    assert_eq!(link.window(), 8);
    end(&mut link, s(2), 9, Heard::RowFault { status: 503 });
    assert_eq!(link.window(), 4);
    end(&mut link, s(3), 10, Heard::Wait { at_least: None, limited: true });
    assert_eq!(link.window(), 2);
    end(&mut link, HOUR, 11, STRONG);
    end(&mut link, HOUR, 12, STRONG);
    assert_eq!(link.window(), 2, "a decline widens nothing");
}

#[test]
fn three_different_rows_in_a_row_take_the_link_down_and_one_row_never_does() {
    let mut link = link();
    for _ in 0..10 {
        end(&mut link, s(1), 7, Heard::RowFault { status: 500 });
    }
    assert_eq!(cause(&link), None, "always the same row");
    end(&mut link, s(1), 8, Heard::RowFault { status: 500 });
    end(&mut link, s(1), 1, Heard::Confirmed);
    end(&mut link, s(1), 9, Heard::RowFault { status: 500 });
    end(&mut link, s(1), 10, Heard::RowFault { status: 500 });
    assert_eq!(cause(&link), None, "an answer came between");
    end(&mut link, s(1), 11, Heard::RowFault { status: 502 });
    assert_eq!(cause(&link), Some(("down", Cause::Provider)));
    link.probing(s(5), Seq(12));
    end(&mut link, s(5), 12, Heard::RowFault { status: 500 });
    assert_eq!(cause(&link), Some(("down", Cause::Provider)), "a 5xx to its probe leaves it down");
}

#[test]
fn a_429_that_says_no_time_waits_longer_each_time_until_something_is_answered() {
    let mut link = link();
    let waits = |link: &mut Link, now| {
        end(link, now, 1, Heard::Wait { at_least: None, limited: true });
        link.waiting(now).expect("a wait")
    };
    let longest = (1..=6).map(|hour| waits(&mut link, hour * HOUR)).max().expect("six waits");
    assert!(longest > 4 * MIN && longest <= MAX, "{longest:?}");
    end(&mut link, 7 * HOUR, 1, Heard::Confirmed);
    let again = waits(&mut link, 8 * HOUR);
    assert!(again >= MIN && again <= 2 * MIN, "{again:?}");
}

#[test]
fn each_probe_that_fails_doubles_the_wait_up_to_its_bound_and_nothing_else_moves_it() {
    let mut link = link();
    let unreachable = Heard::NoAnswer(Phase::Connect);
    let fell = end(&mut link, s(1), 1, unreachable);
    assert_eq!(fell, Effects { drop_pool: true, unclaim: true, changed: true });
    let (mut now, mut longest) = (s(1), Duration::ZERO);
    for failures in 1..40 {
        let at = link.next_moment(now).expect("a probe");
        let wait = at.saturating_sub(now);
        assert!(
            wait >= MIN && wait <= MAX.min(MIN * 2u32.pow(failures.min(10))),
            "{failures}: {wait:?}"
        );
        longest = longest.max(wait);
        let late = end(&mut link, now, 99, unreachable);
        assert_eq!(
            late,
            Effects { drop_pool: true, unclaim: false, changed: false },
            "it was on the wire as well"
        );
        assert_eq!(link.next_moment(now), Some(at), "what was on the wire moves no probe");
        link.probing(at, Seq(1));
        end(&mut link, at, 1, unreachable);
        now = at;
    }
    assert!(longest > MAX / 2, "{longest:?}");
    let another = end(&mut link, now, 99, Heard::NoAnswer(Phase::Resolve));
    assert_eq!(another, Effects { drop_pool: true, unclaim: false, changed: true });
}

#[test]
fn a_link_that_fails_while_held_for_a_credential_is_down_and_the_outage_goes_on() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::Credential);
    link.probing(s(70), Seq(1));
    let effects = end(&mut link, s(70), 1, Heard::NoAnswer(Phase::Connect));
    assert_eq!(effects, Effects { drop_pool: true, unclaim: false, changed: true });
    assert_eq!((cause(&link), link.unended_outage(s(80))), (Some(("down", Cause::Connect)), s(70)));
}

#[test]
fn a_probe_whose_connection_breaks_counts_although_another_broke_while_it_was_on_the_wire() {
    let mut link = link();
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    link.probing(s(50), Seq(1));
    let reset = |seq, sent| EndedAttempt { sent, ..drained(sent, seq, Heard::Reset) };
    link.ended(s(51), &reset(2, s(1)));
    assert!(link.ended(s(52), &reset(1, s(50))).drop_pool);
    assert!(!link.may_probe(s(52)) && link.may_probe(s(52) + MAX));
}

#[test]
fn only_a_persons_hold_comes_back_from_its_word() {
    for cause in Cause::ALL {
        let expected = Some(cause).filter(|cause| cause.is_for_a_person());
        assert_eq!(Cause::hold_from(cause.as_str()), expected, "{cause:?}");
    }
    assert!(Cause::Operator.is_for_a_person() && Cause::Declines.is_for_a_person());
}

#[test]
fn a_demand_that_comes_too_soon_is_deferred_and_never_dropped() {
    let mut link = link();
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    link.nudged(s(1), Nudge::Demand);
    assert!(link.may_probe(s(1)), "a new redemption is itself a probe");
    link.probing(s(1), Seq(2));
    link.nudged(s(2), Nudge::Demand);
    for seq in 2..9 {
        end(&mut link, s(2), seq, Heard::NoAnswer(Phase::Connect));
    }
    assert!(!link.may_probe(s(2)), "2 s after the last one");
    assert!(link.may_probe(s(3)));
}

#[test]
fn a_network_event_probes_at_once_and_begins_the_backoff_anew() {
    let mut link = link();
    let mut now = s(1);
    for seq in 0..10 {
        link.probing(now, Seq(seq));
        end(&mut link, now, seq, Heard::NoAnswer(Phase::Connect));
        now += MAX;
    }
    assert!(link.nudged(now, Nudge::Network).drop_pool);
    assert!(link.may_probe(now));
    link.probing(now, Seq(99));
    end(&mut link, now, 99, Heard::NoAnswer(Phase::Connect));
    assert!(
        link.next_moment(now).expect("a probe") <= now + 2 * MIN + MIN + MIN,
        "short waits again"
    );
}

#[test]
fn above_where_it_was_halved_the_window_grows_by_one_a_round_trip() {
    let mut link = link();
    confirm(&mut link, 8);
    end(&mut link, s(2), 9, Heard::RowFault { status: 503 });
    let mut windows = Vec::new();
    for seq in 10..21 {
        end(&mut link, s(3), seq, Heard::Confirmed);
        windows.push(link.window());
    }
    assert_eq!(windows, [4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6]);
}

#[test]
fn new_settings_narrow_the_window_at_once_and_bound_its_growth() {
    let mut link = link();
    confirm(&mut link, 20);
    link.reconfigure(LinkSettings { max_in_flight: 3, ..config() });
    assert_eq!(link.window(), 3);
    confirm(&mut link, 20);
    assert_eq!(link.window(), 3);
    link.reconfigure(LinkSettings { max_in_flight: 12, ..config() });
    assert_eq!(link.window(), 3, "wider only by what is confirmed");
    confirm(&mut link, 20);
    assert_eq!(link.window(), 12);
}

#[test]
fn an_uncertain_row_that_is_refused_again_and_again_is_one_of_a_streak() {
    let mut link = link();
    let refused = |link: &mut Link, n: u64, seq: i64| {
        let ended = EndedAttempt {
            till: if seq % 2 == 0 { "a" } else { "b" },
            trusted: true,
            ..EndedAttempt { seq: Seq(seq), heard: STRONG, ..EndedAttempt::unknown(s(n)) }
        };
        link.ended(s(n), &ended)
    };
    for n in 0..40 {
        refused(&mut link, n, i64::try_from(n % 9).expect("few"));
    }
    assert_eq!((link.phase(), link.streak().rows().len()), (LinkPhase::Up, 9));
    refused(&mut link, 41, 9);
    assert!(matches!(link.phase(), LinkPhase::Held(why) if why.cause == Cause::Declines));
}

#[test]
fn what_a_503_says_meanwhile_ends_no_429_and_makes_it_no_longer() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::Wait { at_least: Some(s(100)), limited: true });
    end(&mut link, s(12), 2, Heard::Wait { at_least: Some(HOUR), limited: false });
    assert_eq!(link.trust(s(13)), Trust::Never, "it is limited still");
    let over = s(10) + link.limited(s(10)).expect("a 429");
    assert!(over < s(10) + s(100) * 2 + s(1), "{over:?}");
    assert_eq!(link.limited(over), None);
    assert!(link.waiting(over).is_some_and(|left| left + s(300) > HOUR), "the drain waits on");
    end(&mut link, s(14), 3, Heard::Declined { strong: false });
    assert_eq!(link.limited(s(14)), None, "it answers");
}

#[test]
fn what_was_left_of_a_retry_after_is_waited_for_after_a_restart() {
    for (limited, trust) in [(None, Trust::Unanswered), (Some(s(50)), Trust::Never)] {
        let mut link = link();
        link.restore_wait(s(50), limited);
        assert_eq!(
            (link.is_up(s(10)), link.waiting(s(10)), link.next_moment(s(10))),
            (false, Some(s(40)), Some(s(50)))
        );
        assert_eq!(link.trust(s(10)), trust, "{limited:?}");
        assert!(link.is_up(s(50)) && link.trust(s(50)) == Trust::Unanswered);
    }
}

#[test]
fn a_demand_is_wanted_once_while_down_and_never_while_up_or_held() {
    let mut link = link();
    assert!(!link.wants_demand());
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    assert!(link.wants_demand());
    link.nudged(s(1), Nudge::Demand);
    assert!(!link.wants_demand());
    link.probing(s(1), Seq(2));
    assert!(link.wants_demand(), "the next one is asked for while this one flies");
    end(&mut link, s(2), 2, Heard::Credential);
    assert!(!link.wants_demand());
}

#[test]
fn where_rows_wait_their_own_backoff_the_next_probe_is_the_first_of_them() {
    let mut link = link();
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    assert_eq!(link.nothing_to_probe(s(10), Some(s(30)), false), Effects::default());
    assert!(!link.may_probe(s(29)) && link.may_probe(s(30)));
    link.nothing_to_probe(s(40), Some(s(40)), false);
    assert!(
        !link.may_probe(s(40)) && link.may_probe(s(41)),
        "it did not look for nothing again at once"
    );
}

#[test]
fn a_credential_hold_with_nothing_to_probe_looks_again_after_a_minute() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::Credential);
    assert_eq!(link.nothing_to_probe(s(80), None, false), Effects::default());
    assert!(!link.may_probe(s(139)) && link.may_probe(s(140)));
    assert_eq!(cause(&link), Some(("held", Cause::Credential)));
}

/// As people see it.
fn seen(link: &Link) -> Option<(&'static str, Cause, Duration)> {
    match link.seen() {
        LinkPhase::Up => None,
        LinkPhase::Down(why) => Some(("down", why.cause, why.since)),
        LinkPhase::Held(why) => Some(("held", why.cause, why.since)),
    }
}

#[test]
fn with_another_credential_and_nothing_pending_the_next_redemption_finds_out() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::NoAnswer(Phase::Credential));
    link.nudged(s(20), Nudge::Flush);
    link.nothing_to_probe(s(20), None, false);
    assert_eq!(seen(&link), Some(("held", Cause::Credential, s(10))), "it is the same one");
    link.nudged(s(30), Nudge::CredentialChanged);
    assert!(link.may_probe(s(30)));
    assert!(link.nothing_to_probe(s(30), None, false).changed);
    assert_eq!((cause(&link), seen(&link), link.is_tried()), (None, None, false));
    end(&mut link, s(40), 2, Heard::Credential);
    link.nothing_to_probe(s(99), None, false);
    assert_eq!(seen(&link), Some(("held", Cause::Credential, s(40))), "that one was refused too");
}

#[test]
fn a_refusal_of_the_credential_before_takes_nothing_from_the_next() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::Credential);
    link.nudged(s(12), Nudge::CredentialChanged);
    let late = EndedAttempt { sent: s(11), ..drained(s(13), 2, Heard::Credential) };
    link.ended(s(13), &late);
    link.nothing_to_probe(s(14), None, false);
    assert_eq!(seen(&link), None);
}

#[test]
fn what_was_down_when_last_tried_is_seen_so_until_it_is_answered() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::NoAnswer(Phase::Connect));
    link.nothing_to_probe(s(12), None, false);
    assert!(link.is_up(s(12)) && link.is_tried(), "the next redemption is sent");
    assert_eq!(seen(&link), Some(("down", Cause::Connect, s(10))));
    live(&mut link, s(20), 2, Heard::NoAnswer(Phase::Answer));
    assert_eq!(seen(&link), Some(("down", Cause::Answer, s(10))), "since it failed first");
    link.nothing_to_probe(s(22), None, false);
    live(&mut link, s(30), 3, Heard::RowFault { status: 500 });
    assert_eq!((cause(&link), seen(&link)), (None, Some(("down", Cause::Provider, s(10)))));
    assert!(live(&mut link, s(40), 4, Heard::Confirmed).changed, "told to people");
    assert_eq!((seen(&link), link.is_tried()), (None, true));
}

#[test]
fn what_a_row_that_is_to_blame_itself_met_is_not_seen_as_the_links() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::NoAnswer(Phase::Answer));
    assert!(link.nothing_to_probe(s(12), Some(s(20)), true).changed);
    assert_eq!((cause(&link), seen(&link)), (None, None));
}

#[test]
fn an_answered_check_shows_that_what_was_unreachable_is_back() {
    for (phase, up) in [(Phase::Connect, true), (Phase::Answer, false)] {
        let mut link = link();
        end(&mut link, s(10), 1, Heard::NoAnswer(phase));
        link.nothing_to_probe(s(12), None, false);
        assert_eq!(link.check_answered(s(20), true).changed, up, "{phase:?}");
        assert_eq!(seen(&link).is_none(), up, "{phase:?}");
    }
}

#[test]
fn moments_are_told_before_they_come_and_not_when_they_are_there() {
    let mut link = link();
    end(&mut link, s(10), 1, Heard::NoAnswer(Phase::Connect));
    let probe = link.next_moment(s(10)).expect("a probe");
    assert_eq!(link.next_moment(probe), None);
    link.probing(s(100), Seq(1));
    end(&mut link, s(100), 1, Heard::Confirmed);
    let spread = s(100) + config().reconnect_spread / 2;
    assert_eq!((link.next_moment(s(100)), link.next_moment(spread)), (Some(spread), None));
}

#[test]
fn a_network_event_drops_the_pool_wherever_the_link_stands() {
    let drops = |link: &mut Link| link.nudged(s(9), Nudge::Network).drop_pool;
    let mut link = link();
    assert!(drops(&mut link));
    end(&mut link, s(1), 1, Heard::Credential);
    assert!(drops(&mut link));
    link.hold_by(s(1), "ann".to_owned(), false);
    assert!(drops(&mut link));
}

#[test]
fn each_cause_says_how_far_a_till_may_be_trusted() {
    let (at_once, tenth) = (Trust::AtOnce { tenth: false }, Trust::AtOnce { tenth: true });
    let wait = |limited| Heard::Wait { at_least: Some(s(60)), limited };
    // What the drain hears first; the trust, whether live redemptions are asked, the cause.
    let table: &[(Heard, Trust, bool, Option<Cause>)] = &[
        (Heard::NoAnswer(Phase::Resolve), at_once, false, Some(Cause::Resolve)),
        (Heard::NoAnswer(Phase::Connect), at_once, false, Some(Cause::Connect)),
        (Heard::NoAnswer(Phase::Proxy), at_once, false, Some(Cause::Proxy)),
        (Heard::NoAnswer(Phase::Tls), tenth, false, Some(Cause::Tls)),
        (Heard::NoAnswer(Phase::Clock), tenth, false, Some(Cause::Clock)),
        (Heard::NoAnswer(Phase::Write), Trust::Unanswered, true, Some(Cause::Write)),
        (Heard::NoAnswer(Phase::Answer), Trust::Unanswered, true, Some(Cause::Answer)),
        (Heard::NotTheProvider, Trust::Unanswered, true, Some(Cause::NotTheProvider)),
        (Heard::Credential, Trust::Unanswered, true, Some(Cause::Credential)),
        (Heard::RowFault { status: 500 }, Trust::Unanswered, true, None),
        (Heard::Reset, Trust::Unanswered, true, None),
        (wait(true), Trust::Never, true, None),
        (wait(false), Trust::Unanswered, true, None),
        (Heard::Confirmed, Trust::Unanswered, true, None),
        (STRONG, Trust::Unanswered, true, None),
        (WEAK, Trust::Unanswered, true, None),
    ];
    for (heard, trust, ask, expected) in table {
        let mut link = link();
        end(&mut link, s(1), 1, *heard);
        assert_eq!((link.trust(s(1)), link.may_ask()), (*trust, *ask), "{heard:?}");
        assert_eq!(link.why().map(|why| why.cause), *expected, "{heard:?}");
    }
}

#[test]
fn a_hold_of_an_operators_trusts_nobody_unless_it_says_so_and_one_for_declines_asks() {
    let mut link = link();
    link.hold_by(s(1), "held by ann".to_owned(), false);
    assert_eq!((link.trust(s(1)), link.may_ask()), (Trust::Never, false));
    assert!(link.hold_by(s(2), "held by ann: the line is moved".to_owned(), true).changed);
    assert_eq!((link.trust(s(2)), link.may_ask()), (Trust::AtOnce { tenth: false }, false));
    assert_eq!(
        link.hold_by(s(3), "held by bob".to_owned(), true),
        Effects::default(),
        "it stays ann's"
    );
    live(&mut link, s(4), 9, Heard::Confirmed);
    end(&mut link, s(4), 9, Heard::Credential);
    assert_eq!(
        cause(&link),
        Some(("held", Cause::Operator)),
        "what was on the wire ends without ending the hold"
    );
}

/// A link that starts with settings that cannot be used.
fn unusable() -> Link {
    let mut link = link();
    link.settings_are_unusable(s(0), "ca_file: no such file".to_owned());
    link
}

#[test]
fn settings_that_cannot_be_used_hold_the_lane_until_others_can_whatever_happens() {
    let mut link = unusable();
    for nudge in NUDGES {
        link.nudged(s(1), nudge);
        assert_eq!(cause(&link), Some(("held", Cause::Settings)), "{nudge:?}");
        assert_eq!((link.trust(s(1)), link.may_ask()), (Trust::Never, false), "{nudge:?}");
        assert!(!link.wants_demand() && link.next_moment(s(1)).is_none(), "{nudge:?}");
    }
    assert!(!link.is_out() && link.persons_hold().is_none());
    link.settings_are_usable(s(2));
    assert_eq!((cause(&link), link.may_ask()), (None, true));
}

#[test]
fn behind_settings_that_cannot_be_used_every_other_hold_is_kept_and_stands_when_they_can() {
    type Does = fn(&mut Link);
    let none: Does = |_| ();
    let declines: Does =
        |link| link.restore_hold(s(0), (Cause::Declines, false), "10 declines".to_owned());
    let operator: Does =
        |link| link.restore_hold(s(0), (Cause::Operator, false), "held by ann".to_owned());
    let hold: Does = |link| _ = link.hold_by(s(1), "held by bob".to_owned(), false);
    let trusting: Does = |link| _ = link.hold_by(s(1), "held by bob".to_owned(), true);
    let release: Does = |link| _ = link.nudged(s(1), Nudge::Release);
    let both: Does = |link| {
        link.restore_hold(s(0), (Cause::Declines, false), "10 declines".to_owned());
        link.restore_hold(s(0), (Cause::Operator, false), "held by ann".to_owned());
    };
    let at_once = Trust::AtOnce { tenth: false };
    // Before it, and meanwhile; trust meanwhile; the hold then.
    let table = [
        (none, none, Trust::Never, None),
        (none, hold, Trust::Never, Some((Cause::Operator, "held by bob"))),
        (none, trusting, at_once, Some((Cause::Operator, "held by bob"))),
        (operator, none, Trust::Never, Some((Cause::Operator, "held by ann"))),
        (operator, hold, Trust::Never, Some((Cause::Operator, "held by ann"))),
        (operator, trusting, at_once, Some((Cause::Operator, "held by bob"))),
        (operator, release, Trust::Never, None),
        (declines, none, Trust::Never, Some((Cause::Declines, "10 declines"))),
        (declines, hold, Trust::Never, Some((Cause::Operator, "held by bob"))),
        (declines, release, Trust::Never, None),
        (both, none, Trust::Never, Some((Cause::Operator, "held by ann"))),
        (both, release, Trust::Never, Some((Cause::Declines, "10 declines"))),
    ];
    for (row, (before, meanwhile, trust, expected)) in table.into_iter().enumerate() {
        let mut link = link();
        before(&mut link);
        link.settings_are_unusable(s(0), "ca_file: no such file".to_owned());
        meanwhile(&mut link);
        assert_eq!(cause(&link), Some(("held", Cause::Settings)), "row {row}");
        assert_eq!((link.trust(s(1)), link.may_ask()), (trust, false), "row {row}");
        let operators = expected.map(|(cause, _)| cause).filter(|cause| *cause == Cause::Operator);
        assert_eq!(link.cause_for_tills(), operators.or(Some(Cause::Settings)), "row {row}");
        link.settings_are_usable(s(2));
        let why = link.why().map(|why| (why.cause, why.detail.as_str()));
        assert_eq!(why, expected, "row {row}");
        assert_eq!(link.may_send_backlog(s(2), Flying::default()), why.is_none(), "row {row}");
    }
}

#[test]
fn an_operators_hold_stands_before_one_for_declines_and_ends_first_whichever_began_first() {
    let declines = |link: &mut Link| {
        for seq in 0..10 {
            let till = if seq % 2 == 0 { "till-1" } else { "till-2" };
            link.ended(s(1), &EndedAttempt { till, ..drained(s(1), seq, STRONG) });
        }
    };
    for is_operators_first in [false, true] {
        let mut link = link();
        if is_operators_first {
            link.hold_by(s(1), "held by ann".to_owned(), false);
            declines(&mut link);
        } else {
            declines(&mut link);
            assert_eq!(cause(&link), Some(("held", Cause::Declines)));
            link.hold_by(s(2), "held by ann".to_owned(), false);
        }
        assert_eq!(cause(&link), Some(("held", Cause::Operator)));
        assert!(link.hold_for_declines().is_some() && !link.may_ask());
        link.nudged(s(3), Nudge::Release);
        assert_eq!(cause(&link), Some(("held", Cause::Declines)));
        assert!(link.may_ask() && !link.may_send_backlog(s(3), Flying::default()));
        assert_eq!(link.streak().rows().len(), 10);
        link.nudged(s(4), Nudge::Release);
        assert_eq!((cause(&link), link.streak().rows().len()), (None, 0));
    }
}

#[test]
fn an_operators_hold_of_a_lane_that_is_up_uses_nothing_of_the_budget_unless_tills_are_trusted() {
    for (trust, used) in [(false, s(0)), (true, s(50))] {
        let mut link = link();
        link.hold_by(s(10), "stock-taking".to_owned(), trust);
        link.nudged(s(60), Nudge::Release);
        end(&mut link, s(70), 1, Heard::NoAnswer(Phase::Connect));
        let lasted = link.unended_outage(s(75));
        assert_eq!((lasted, link.outages().used(s(75))), (used + s(5), used + s(5)), "{trust}");
    }
}

#[test]
fn an_outage_goes_on_behind_settings_that_cannot_be_used_and_a_person_ends_none() {
    let mut link = Link::new(config(), 1, Outages::restore(HOUR, ""));
    link.settings_are_unusable(s(0), "ca_file: no such file".to_owned());
    link.hold_by(s(10), "held by ann".to_owned(), false);
    link.nudged(s(20), Nudge::Release);
    assert!(link.is_out());
    assert_eq!(link.unended_outage(s(30)), HOUR + s(30));
    link.settings_are_usable(s(30));
    assert_eq!(link.unended_outage(s(90)), HOUR + s(30));
}

#[test]
fn trust_ends_with_the_first_answer_weak_or_strong_of_a_row_or_a_check() {
    type Hears = fn(&mut Link);
    // What is heard while the provider cannot be reached; the cause then.
    type Row = (&'static str, Hears, Option<(&'static str, Cause)>);
    let table: &[Row] = &[
        (
            "a probe is refused weakly",
            |link| _ = end(link, s(9), 2, WEAK),
            Some(("down", Cause::Refusals)),
        ),
        ("a probe is refused strongly", |link| _ = end(link, s(9), 2, STRONG), None),
        ("a probe is taken", |link| _ = end(link, s(9), 2, Heard::Confirmed), None),
        ("a live row is refused weakly", |link| _ = live(link, s(9), 2, WEAK), None),
        ("a live row is parked", |link| _ = live(link, s(9), 2, Heard::Parked), None),
        ("a probe is queued", |link| _ = end(link, s(9), 2, QUEUED), None),
        ("a live row is queued", |link| _ = live(link, s(9), 2, QUEUED), None),
        (
            "a probe meets its own lock",
            |link| _ = end(link, s(9), 2, BUSY),
            Some(("down", Cause::Refusals)),
        ),
        ("a live row meets its own lock", |link| _ = live(link, s(9), 2, BUSY), None),
        (
            "a check is refused weakly",
            |link| _ = link.check_answered(s(9), false),
            Some(("down", Cause::Refusals)),
        ),
        ("a check is answered", |link| _ = link.check_answered(s(9), true), None),
        (
            "a probe meets a 500",
            |link| _ = end(link, s(9), 2, Heard::RowFault { status: 500 }),
            Some(("down", Cause::Provider)),
        ),
        (
            "a probe meets a page",
            |link| _ = end(link, s(9), 2, Heard::NotTheProvider),
            Some(("down", Cause::NotTheProvider)),
        ),
        (
            "a suspect row meets a page",
            |link| _ = suspect(link, s(9), Heard::NotTheProvider),
            Some(("down", Cause::NotTheProvider)),
        ),
        (
            "a suspect row meets a 401",
            |link| _ = suspect(link, s(9), Heard::Credential),
            Some(("held", Cause::Credential)),
        ),
        (
            "a suspect row hangs",
            |link| _ = suspect(link, s(9), Heard::NoAnswer(Phase::Answer)),
            Some(("down", Cause::Answer)),
        ),
    ];
    for (what, hears, expected) in table {
        let mut link = link();
        end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
        link.probing(s(8), Seq(2));
        hears(&mut link);
        assert_eq!((link.trust(s(9)), cause(&link)), (Trust::Unanswered, *expected), "{what}");
    }
}

#[test]
fn three_rows_given_on_trust_and_refused_weakly_make_the_drain_wait_and_live_ones_never_do() {
    let mut link = link();
    for seq in 0..30 {
        live(&mut link, s(1), seq, WEAK);
        end(&mut link, s(1), 100, WEAK);
        end(&mut link, s(1), 101, WEAK);
    }
    assert_eq!(cause(&link), None, "two rows, and what tills heard");
    end(&mut link, s(2), 102, WEAK);
    assert_eq!(
        (cause(&link), link.trust(s(2))),
        (Some(("down", Cause::Refusals)), Trust::Unanswered)
    );
    assert!(!link.may_send_backlog(s(2), Flying::default()) && link.may_ask());
    live(&mut link, s(3), 5, WEAK);
    assert_eq!(cause(&link), Some(("down", Cause::Refusals)), "that is no news");
    let first = link.next_moment(s(3)).expect("a probe");
    link.probing(first, Seq(103));
    end(&mut link, first, 103, WEAK);
    assert!(link.next_moment(first).is_some_and(|next| next > first), "it backs off");
    live(&mut link, first, 5, STRONG);
    assert_eq!(cause(&link), None, "the provider itself");
}

#[test]
fn ten_declines_after_the_fact_hold_the_drain_whatever_their_words_and_live_ones_hold_nothing() {
    let mut link = link();
    let of = |till, seq, kind| EndedAttempt { till, kind, ..drained(s(1), seq, STRONG) };
    for seq in 0..40 {
        live(&mut link, s(1), seq, STRONG);
    }
    assert_eq!((cause(&link), link.streak().rows().len()), (None, 0));
    for seq in 100..109 {
        assert!(
            !link.may_send_backlog(s(9), Flying { backlog: 1, live: 0 }),
            "the window is 1 or full"
        );
        link.ended(
            s(1),
            &of(if seq % 2 == 0 { "a" } else { "b" }, seq, if seq < 105 { "no" } else { "never" }),
        );
        live(&mut link, s(1), seq, STRONG);
        end(&mut link, s(1), seq, Heard::Parked);
    }
    assert_eq!((cause(&link), link.window()), (None, 1));
    let effects = link.ended(s(1), &of("a", 109, "no"));
    assert!(effects.changed && effects.unclaim);
    assert_eq!(
        (cause(&link), link.trust(s(1))),
        (Some(("held", Cause::Declines)), Trust::Unanswered)
    );
    assert!(link.may_ask(), "tills go on being asked");
    for nudge in [Nudge::Demand, Nudge::Network, Nudge::Flush, Nudge::CredentialChanged] {
        link.nudged(s(2), nudge);
        assert!(!link.may_probe(s(2) + 100 * HOUR), "{nudge:?} must not wake it");
    }
    live(&mut link, s(3), 9, Heard::Confirmed);
    assert_eq!(cause(&link), Some(("held", Cause::Declines)), "a live verdict releases nothing");
    link.nudged(s(3), Nudge::Release);
    assert!(link.may_send_backlog(s(3), Flying::default()));
}

#[test]
fn a_streak_of_one_tills_rows_holds_only_when_no_other_till_has_any() {
    let of = |till, seq, heard| EndedAttempt { till, kind: "no", ..drained(s(1), seq, heard) };
    let refused = || {
        let mut link = link();
        (0..10).for_each(|seq| _ = link.ended(s(1), &of("a", seq, STRONG)));
        assert_eq!((cause(&link), link.streak().passed_over()), (None, Some("a")));
        link
    };
    let mut alone = refused();
    alone.nobody_else(s(2));
    assert_eq!(cause(&alone), Some(("held", Cause::Declines)));
    assert_eq!(
        alone.why().map(|why| &*why.detail),
        Some("10 declined after the fact, all alike: no")
    );
    let mut both = refused();
    both.ended(s(2), &of("b", 20, STRONG));
    assert_eq!(cause(&both), Some(("held", Cause::Declines)));
    let mut taken = refused();
    taken.ended(s(2), &of("b", 20, Heard::Confirmed));
    assert_eq!(
        (cause(&taken), taken.streak().passed_over()),
        (None, Some("a")),
        "its rows go last"
    );
    taken.nobody_else(s(3));
    assert_eq!(cause(&taken), None);
    taken.ended(s(3), &of("a", 11, Heard::Confirmed));
    assert_eq!(taken.streak().passed_over(), None);
}

#[test]
fn a_refused_credential_is_tried_with_another_row_at_once_then_from_ten_seconds_to_a_minute() {
    let mut link = link();
    let effects = end(&mut link, s(10), 1, Heard::Credential);
    assert_eq!(effects, Effects { unclaim: true, changed: true, drop_pool: false });
    assert!(link.may_ask(), "live redemptions are asked");
    let (mut now, mut waits) = (s(10), Vec::new());
    for seq in 2..8 {
        let at = link.next_moment(now).expect("a probe");
        waits.push(at.saturating_sub(now).as_secs());
        link.nudged(now, Nudge::Demand);
        live(&mut link, now, 50, Heard::Credential);
        assert_eq!(link.next_moment(now), Some(at), "neither a demand nor a live refusal moves it");
        link.probing(at, Seq(seq));
        assert!(!end(&mut link, at, seq, Heard::Credential).changed, "no news");
        now = at;
    }
    assert_eq!(waits, [1, 10, 20, 40, 60, 60]);
    link.nudged(now, Nudge::CredentialChanged);
    assert!(link.may_probe(now));
    live(&mut link, now, 9, STRONG);
    assert_eq!(cause(&link), None, "any verdict on a live row brings it up");
}

#[test]
fn new_credentials_that_are_refused_one_after_the_other_bring_probes_no_more_often_than_none() {
    let mut link = link();
    let mut probed_at = Vec::new();
    end(&mut link, s(0), 1, Heard::Credential);
    for tenth in 0..2000 {
        let now = Duration::from_millis(100 * tenth);
        link.nudged(now, Nudge::CredentialChanged);
        if link.may_probe(now) {
            probed_at.push(now.as_secs());
            link.probing(now, Seq(1));
            end(&mut link, now, 1, Heard::Credential);
        }
    }
    assert_eq!(probed_at, [0, 1, 11, 31, 71, 131, 191]);
    live(&mut link, s(200), 9, STRONG);
    end(&mut link, s(200), 1, Heard::Credential);
    link.nudged(s(200), Nudge::CredentialChanged);
    assert!(link.may_probe(s(200)), "after one that was taken the next is tried at once");
}

#[test]
fn a_suspects_faults_say_nothing_of_the_lane() {
    let suspect = |link: &mut Link, seq, heard| {
        link.ended(s(1), &EndedAttempt { suspect: true, ..drained(s(1), seq, heard) })
    };
    for heard in [
        Heard::Credential,
        Heard::NoAnswer(Phase::Answer),
        Heard::NotTheProvider,
        Heard::RowFault { status: 500 },
    ] {
        let mut link = link();
        for seq in 0..9 {
            assert_eq!(suspect(&mut link, seq, heard), Effects::default());
        }
        assert_eq!(cause(&link), None, "{heard:?}");
    }
}

#[test]
fn a_fault_of_the_providers_own_ends_no_credential_hold() {
    for heard in [Heard::RowFault { status: 500 }, Heard::Reset] {
        let mut link = link();
        end(&mut link, s(10), 1, Heard::Credential);
        link.probing(s(70), Seq(1));
        end(&mut link, s(70), 1, heard);
        assert_eq!(cause(&link), Some(("held", Cause::Credential)), "{heard:?}");
        assert!(!link.may_probe(s(70)));
    }
}

#[test]
fn a_retry_after_is_the_drains_floor_that_nothing_overrides_and_jitter_comes_after_it() {
    let mut link = link();
    let effects = end(&mut link, s(10), 1, Heard::Wait { at_least: Some(s(100)), limited: true });
    assert_eq!(effects, Effects { unclaim: true, changed: true, drop_pool: false });
    for nudge in [Nudge::Flush, Nudge::Demand, Nudge::Network, Nudge::CredentialChanged] {
        link.nudged(s(11), nudge);
    }
    assert!(link.limited(s(11)).is_some_and(|left| left >= s(99)));
    live(&mut link, s(12), 2, STRONG);
    assert_eq!(
        (link.limited(s(12)), link.trust(s(12))),
        (None, Trust::Unanswered),
        "tills are asked again"
    );
    assert!(
        !link.is_up(s(109)) && !link.may_send_backlog(s(109), Flying::default()),
        "the drain waits"
    );
    assert!(link.is_up(s(115)), "100 s and at most the spread");
    end(&mut link, s(120), 1, Heard::NoAnswer(Phase::Connect));
    end(&mut link, s(121), 1, Heard::Wait { at_least: Some(HOUR), limited: false });
    assert_eq!(
        (cause(&link), link.trust(s(121))),
        (Some(("down", Cause::Provider)), Trust::Unanswered)
    );
    assert!(!link.may_probe(s(121) + s(3599)));
}

#[test]
fn with_the_drain_held_for_declines_and_the_link_down_only_a_demanded_row_finds_out() {
    let mut link = link();
    link.restore_hold(s(0), (Cause::Declines, false), String::new());
    assert!(!link.wants_demand());
    live(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    assert_eq!(
        (link.trust(s(1)), link.may_probe(s(1) + HOUR)),
        (Trust::AtOnce { tenth: false }, false)
    );
    assert!(link.wants_demand() && link.probes_on_demand_alone());
    link.nudged(s(2), Nudge::Demand);
    assert!(link.may_probe(s(2)));
    link.probing(s(2), Seq(2));
    end(&mut link, s(3), 2, STRONG);
    assert_eq!(
        (link.trust(s(3)), cause(&link)),
        (Trust::Unanswered, Some(("held", Cause::Declines)))
    );
}

#[test]
fn an_outage_counts_from_the_last_verdict_and_a_persons_word_ends_none() {
    let mut link = Link::new(config(), 1, Outages::restore(s(500), ""));
    assert_eq!(link.unended_outage(s(1)), s(500));
    end(&mut link, s(1), 1, Heard::NoAnswer(Phase::Connect));
    assert_eq!(link.unended_outage(s(11)), s(510), "a restart does not end it");
    end(&mut link, s(11), 1, Heard::Wait { at_least: None, limited: true });
    end(&mut link, s(11), 1, Heard::RowFault { status: 500 });
    link.hold_by(s(21), "held by ann".to_owned(), false);
    link.nudged(s(31), Nudge::Release);
    assert_eq!(link.unended_outage(s(31)), s(530));
    assert!(live(&mut link, s(31), 2, STRONG).changed, "to be kept");
    assert_eq!((link.unended_outage(s(40)), link.outages().used(s(40))), (Duration::ZERO, s(530)));
    end(&mut link, s(40), 1, Heard::NoAnswer(Phase::Connect));
    assert!(link.nothing_to_probe(s(44), None, false).changed);
    assert!(link.is_up(s(44)), "without anything pending the next redemption finds out");
    assert_eq!(link.outages().used(s(60)), s(534), "the line's return was not seen");
}

#[test]
fn attempts_whose_connection_breaks_under_them_are_one_reset_and_three_in_a_row_take_the_link_down()
{
    let mut link = link();
    let mut reset = |sent, now, seq| {
        let effects = link.ended(now, &EndedAttempt { sent, ..drained(now, seq, Heard::Reset) });
        (effects.drop_pool, cause(&link))
    };
    assert_eq!(reset(s(1), s(5), 1), (true, None));
    for seq in 2..9 {
        assert_eq!(reset(s(2), s(6), seq), (false, None), "the new connection is not dropped");
    }
    assert_eq!(reset(s(5), s(7), 9), (true, None));
    assert_eq!(reset(s(8), s(9), 10), (true, Some(("down", Cause::Reset))));
}

#[test]
fn what_was_sent_before_a_network_event_fails_for_the_old_network_and_a_probe_follows_at_once() {
    let sent =
        |seq, sent| EndedAttempt { sent, ..drained(sent, seq, Heard::NoAnswer(Phase::Answer)) };
    let mut link = link();
    link.nudged(s(101), Nudge::Network);
    link.ended(s(110), &sent(1, s(100)));
    assert!(link.may_probe(s(110)), "an attempt of an hour that was up");
    link.probing(s(110), Seq(1));
    link.nudged(s(111), Nudge::Network);
    assert!(!link.may_probe(s(111)), "one at a time");
    link.ended(s(120), &sent(1, s(110)));
    assert!(link.may_probe(s(120)), "a probe");
    link.probing(s(120), Seq(2));
    link.ended(s(121), &sent(2, s(120)));
    assert!(!link.may_probe(s(121)), "and one, not more");
}

#[derive(Clone, Debug)]
enum Step {
    End(u8, u8, bool, bool),
    Nudge(u8),
    Settings(bool),
    Probe,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..15u8, 0..20u8, any::<bool>(), any::<bool>())
            .prop_map(|(v, seq, f, s)| Step::End(v, seq, f, s)),
        (0..6u8).prop_map(Step::Nudge),
        any::<bool>().prop_map(Step::Settings),
        Just(Step::Probe),
        (0..5000u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

fn heard(number: u8) -> Heard {
    match number {
        0 | 1 => Heard::Confirmed,
        2 => STRONG,
        3 => Heard::Parked,
        4 => Heard::Credential,
        5 => WEAK,
        6 => Heard::Wait { at_least: Some(s(30)), limited: true },
        7 => Heard::Wait { at_least: None, limited: false },
        8 => Heard::RowFault { status: 500 },
        9 => Heard::RowFault { status: 503 },
        10 => Heard::Reset,
        11 => Heard::NoAnswer(Phase::Answer),
        12 => QUEUED,
        13 => BUSY,
        _ => Heard::NoAnswer(Phase::Connect),
    }
}

const NUDGES: [Nudge; 5] =
    [Nudge::Demand, Nudge::Network, Nudge::Flush, Nudge::CredentialChanged, Nudge::Release];

proptest! {
    #[test]
    fn whatever_happens_the_link_keeps_its_bounds(seed: u64, steps in steps()) {
        let mut link = Link::new(config(), seed, Outages::default());
        let (mut now, mut probing) = (Duration::ZERO, None);
        for step in steps {
            match step {
                Step::End(kind, seq, first_fault, suspect) => {
                    let seq = Seq(i64::from(seq));
                    if probing == Some(seq) { probing = None; }
                    let heard = heard(kind);
                    let ended = EndedAttempt {
                        seq,
                        heard,
                        first_fault,
                        suspect,
                        live: suspect,
                        ..drained(now, 0, heard)
                    };
                    link.ended(now, &ended);
                }
                Step::Nudge(kind) => match NUDGES.get(usize::from(kind)) {
                    Some(nudge) => { link.nudged(now, *nudge); }
                    None => { link.hold_by(now, "root".to_owned(), false); }
                },
                Step::Settings(true) => link.settings_are_usable(now),
                Step::Settings(false) => link.settings_are_unusable(now, "no file".to_owned()),
                Step::Probe if link.may_probe(now) => {
                    prop_assert!(probing.is_none(), "never more than one probe");
                    prop_assert!(link.waiting(now).is_none(), "never before a Retry-After is over");
                    probing = Some(Seq(100 + i64::try_from(now.as_millis()).unwrap()));
                    link.probing(now, probing.unwrap());
                }
                Step::Probe => {}
                Step::Wait(ms) => now += Duration::from_millis(ms.into()),
            }
            prop_assert!((1..=8).contains(&link.window()));
            let up = link.is_up(now);
            prop_assert!(up || !link.may_send_backlog(now, Flying::default()));
            let at_once = matches!(link.trust(now), Trust::AtOnce { .. });
            prop_assert!(!(link.may_ask() && at_once), "who can be asked is asked");
            let full = Flying { backlog: 8, live: 0 };
            prop_assert!(!link.may_send_backlog(now, full));
            if let Some(at) = link.next_moment(now) {
                let held = matches!(link.phase(), LinkPhase::Held(_));
                let longest = if held { CREDENTIAL_PROBE_EVERY } else { MAX };
                let waited = link.waiting(now).unwrap_or_default();
                prop_assert!(at <= now + longest.max(waited), "a wait until {at:?} at {now:?}");
            } else if matches!(link.phase(), LinkPhase::Down(_)) && probing.is_none() {
                prop_assert!(link.may_probe(now), "a link that is down always has a way back");
            }
        }
    }
}
