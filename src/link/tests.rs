//! The link's state machine as a table, and its invariants under random events.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::Language;
use crate::verdict::{Evidence, ParkReason, Verdict};

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn config() -> Config {
    Config { retry_min: MIN, retry_max: MAX, max_in_flight: 8, reconnect_spread: Duration::from_secs(5), place: 0.5 }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn link() -> Link {
    Link::new(config(), 42, Duration::ZERO)
}

fn parked() -> Verdict {
    Verdict::Parked { reason: ParkReason::SaysBoth { status: 200 }, text: String::new() }
}

fn declined(message: &str) -> Verdict {
    Verdict::Declined { evidence: Evidence::Strong, already_used: false, message: message.to_owned() }
}

fn portal() -> Verdict {
    Verdict::NotTheProvider { detail: "a web page".to_owned() }
}

fn end(link: &mut Link, now: Duration, seq: i64, verdict: &Verdict) -> Effects {
    let ended = Ended { seq: Seq(seq), sent: now, verdict, detail: "seen", first_fault: true, suspect: false };
    link.ended(now, &ended)
}

fn confirm(link: &mut Link, count: i64) {
    for seq in 0..count {
        end(link, s(1), seq, &Verdict::Confirmed);
    }
}

fn cause(link: &Link) -> Option<(&'static str, Cause)> {
    match link.phase() {
        Phase::Up => None,
        Phase::Down(why) => Some(("down", why.cause)),
        Phase::Held(why) => Some(("held", why.cause)),
    }
}

#[test]
fn a_probe_whose_row_was_taken_back_makes_room_for_the_next() {
    let mut link = link();
    end(&mut link, s(0), 1, &portal());
    link.probing(s(100), Seq(1));
    link.probe_withdrawn(Seq(2));
    assert!(!link.may_probe(s(200)), "another row's withdrawal is not the probe's");
    link.probe_withdrawn(Seq(1));
    assert!(link.may_probe(s(200)));
}

/// What one attempt's end makes of a link that is up.
#[test]
fn each_verdict_moves_the_link_as_the_table_says() {
    let table: &[(Verdict, Option<(&str, Cause)>)] = &[
        (Verdict::Confirmed, None),
        (declined("no"), None),
        (parked(), None),
        (Verdict::Credential, Some(("held", Cause::Credential))),
        (Verdict::Road(Road::Credential), Some(("held", Cause::Credential))),
        (portal(), Some(("down", Cause::NotTheProvider))),
        (Verdict::Wait { at_least: Some(s(9)), clean: true }, None),
        (Verdict::RowFault { status: 500 }, None),
        (Verdict::Reset, None),
        (Verdict::Road(Road::Resolve), Some(("down", Cause::Resolve))),
        (Verdict::Road(Road::Connect), Some(("down", Cause::Connect))),
        (Verdict::Road(Road::Tls), Some(("down", Cause::Tls))),
        (Verdict::Road(Road::Clock), Some(("down", Cause::Clock))),
        (Verdict::Road(Road::Write), Some(("down", Cause::Write))),
        (Verdict::Road(Road::Answer), Some(("down", Cause::Answer))),
    ];
    for (verdict, expected) in table {
        let mut link = link();
        end(&mut link, s(1), 1, verdict);
        assert_eq!(cause(&link), *expected, "{verdict:?}");
    }
}

#[test]
fn attempts_whose_connection_breaks_under_them_are_one_reset_and_three_in_a_row_take_the_link_down() {
    let mut link = link();
    let mut reset = |sent, now, seq| {
        let ended =
            Ended { seq: Seq(seq), sent, verdict: &Verdict::Reset, detail: "", first_fault: true, suspect: false };
        (link.ended(now, &ended).drop_pool, cause(&link))
    };
    assert_eq!(reset(s(1), s(5), 1), (true, None));
    for seq in 2..9 {
        assert_eq!(reset(s(2), s(6), seq), (false, None), "the new connection is not dropped");
    }
    assert_eq!(reset(s(5), s(7), 9), (true, None));
    assert_eq!(reset(s(8), s(9), 10), (true, Some(("down", Cause::Reset))));
}

#[test]
fn down_sends_probes_alone_and_one_at_a_time() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert!(!link.may_send_backlog(s(1), Flying::default()) && !link.may_send_live(s(1), Flying::default()));
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
    end(&mut link, s(10), 1, &Verdict::Road(Road::Connect));
    link.probing(s(100), Seq(1));
    let effects = end(&mut link, s(100), 1, &Verdict::Confirmed);
    assert!(effects.changed && link.is_up(s(100)));
    assert!(!link.may_send_backlog(s(102), Flying::default()), "half of 5 s is this gateway's place");
    assert!(link.may_send_backlog(s(103), Flying::default()));
    assert!(link.may_send_live(s(100), Flying::default()), "live traffic does not wait");
    let mut windows = vec![link.window()];
    for seq in 0..9 {
        end(&mut link, s(103), seq, &Verdict::Confirmed);
        windows.push(link.window());
    }
    assert_eq!(windows, [2, 3, 4, 5, 6, 7, 8, 8, 8, 8]);
}

#[test]
fn a_short_outage_is_spread_no_longer_than_it_lasted() {
    let mut link = link();
    end(&mut link, s(10), 0, &Verdict::Confirmed);
    end(&mut link, s(20), 1, &Verdict::Road(Road::Connect));
    link.probing(s(21), Seq(1));
    end(&mut link, s(21), 1, &Verdict::Confirmed);
    assert!(link.may_send_backlog(s(21) + s(1) / 2, Flying::default()));
}

#[test]
fn the_window_halves_on_429_and_503_and_only_confirmations_widen_it() {
    let mut link = link();
    for seq in 0..8 {
        end(&mut link, s(1), seq, &Verdict::Confirmed);
    }
    assert_eq!(link.window(), 8);
    end(&mut link, s(2), 9, &Verdict::RowFault { status: 503 });
    assert_eq!(link.window(), 4);
    end(&mut link, s(3), 10, &Verdict::Wait { at_least: None, clean: true });
    assert_eq!(link.window(), 2);
    end(&mut link, HOUR, 11, &declined("one"));
    end(&mut link, HOUR, 12, &declined("two"));
    assert_eq!(link.window(), 2, "a decline widens nothing");
}

#[test]
fn one_slot_beside_the_window_is_live_traffics() {
    let link = link();
    assert!(link.may_send_live(s(0), Flying { backlog: 1, live: 0 }), "the drain fills the window of 1");
    assert!(!link.may_send_live(s(0), Flying { backlog: 1, live: 1 }));
    assert!(link.may_send_live(s(0), Flying { backlog: 0, live: 1 }), "an idle window is live traffic's as well");
    assert!(!link.may_send_backlog(s(0), Flying { backlog: 1, live: 0 }));
}

#[test]
fn three_different_rows_in_a_row_take_the_link_down_and_one_row_never_does() {
    let mut link = link();
    for _ in 0..10 {
        end(&mut link, s(1), 7, &Verdict::RowFault { status: 500 });
    }
    assert_eq!(cause(&link), None, "always the same row");
    end(&mut link, s(1), 8, &Verdict::RowFault { status: 500 });
    end(&mut link, s(1), 1, &Verdict::Confirmed);
    end(&mut link, s(1), 9, &Verdict::RowFault { status: 500 });
    end(&mut link, s(1), 10, &Verdict::RowFault { status: 500 });
    assert_eq!(cause(&link), None, "an answer came between");
    end(&mut link, s(1), 11, &Verdict::RowFault { status: 502 });
    assert_eq!(cause(&link), Some(("down", Cause::Provider)));
    link.probing(s(5), Seq(12));
    end(&mut link, s(5), 12, &Verdict::RowFault { status: 500 });
    assert_eq!(cause(&link), Some(("down", Cause::Provider)), "a 5xx to its probe leaves it down");
}

#[test]
fn rows_that_failed_before_and_suspects_move_nothing() {
    let mut link = link();
    for seq in 0..20 {
        let verdict = Verdict::RowFault { status: 500 };
        link.ended(
            s(1),
            &Ended { seq: Seq(seq), sent: s(1), verdict: &verdict, detail: "", first_fault: false, suspect: false },
        );
        let verdict = Verdict::Road(Road::Answer);
        link.ended(
            s(1),
            &Ended { seq: Seq(seq), sent: s(1), verdict: &verdict, detail: "", first_fault: true, suspect: true },
        );
    }
    assert_eq!(cause(&link), None);
}

#[test]
fn ten_alike_declines_hold_the_lane_for_a_person_and_the_tenth_is_the_last() {
    let mut link = link();
    for seq in 0..9 {
        end(&mut link, s(1), seq, &declined("unknown merchant"));
        let alone = Flying { backlog: 0, live: 1 };
        assert_eq!(seq < 2, link.may_send_live(s(9), alone), "from the third on one at a time");
    }
    assert_eq!(cause(&link), None);
    let effects = end(&mut link, s(1), 9, &declined("unknown merchant"));
    assert!(effects.changed && effects.unclaim);
    assert_eq!(cause(&link), Some(("held", Cause::Declines)));
    assert_eq!(link.alike_declines().len(), 10);
    for nudge in [Nudge::Demand, Nudge::Network, Nudge::Flush, Nudge::CredentialChanged] {
        link.nudged(s(2), nudge);
        assert!(!link.may_probe(s(2) + 100 * HOUR), "{nudge:?} must not wake it");
    }
    link.nudged(s(3), Nudge::Release);
    assert!(link.may_send_backlog(s(3), Flying::default()));
}

#[test]
fn another_message_or_a_confirmation_breaks_the_streak_of_declines() {
    for breaker in [declined("something else"), Verdict::Confirmed, parked()] {
        let mut link = link();
        for seq in 0..9 {
            end(&mut link, s(1), seq, &declined("no"));
        }
        end(&mut link, s(1), 10, &breaker);
        for seq in 20..29 {
            end(&mut link, s(1), seq, &declined("no"));
        }
        assert_eq!(cause(&link), None, "{breaker:?}");
    }
}

#[test]
fn a_credential_hold_probes_once_a_minute_and_at_once_when_the_credential_changed() {
    let mut link = link();
    end(&mut link, s(10), 1, &Verdict::Credential);
    assert!(!link.may_probe(s(69)) && link.may_probe(s(70)));
    link.nudged(s(20), Nudge::Demand);
    link.nudged(s(20), Nudge::Network);
    assert!(!link.may_probe(s(69)), "held lanes have no demand probes");
    link.nudged(s(21), Nudge::CredentialChanged);
    assert!(link.may_probe(s(21)));
    link.probing(s(21), Seq(2));
    end(&mut link, s(22), 2, &Verdict::Confirmed);
    assert_eq!(cause(&link), None, "it drains by itself");
}

#[test]
fn a_retry_after_is_a_floor_that_nothing_overrides_and_jitter_comes_after_it() {
    let mut link = link();
    let effects = end(&mut link, s(10), 1, &Verdict::Wait { at_least: Some(s(100)), clean: true });
    assert_eq!(effects, Effects { unclaim: true, changed: true, drop_pool: false });
    assert!(!link.is_up(s(10)), "tills are answered at once meanwhile");
    for nudge in [Nudge::Flush, Nudge::Demand, Nudge::Network, Nudge::CredentialChanged] {
        link.nudged(s(11), nudge);
    }
    assert!(!link.is_up(s(109)) && !link.may_send_backlog(s(109), Flying::default()));
    assert!(link.is_up(s(115)), "100 s and at most the spread");
    end(&mut link, s(120), 1, &Verdict::Road(Road::Connect));
    end(&mut link, s(121), 1, &Verdict::Wait { at_least: Some(HOUR), clean: false });
    assert!(!link.may_probe(s(121) + s(3599)));
}

#[test]
fn a_429_that_says_no_time_waits_longer_each_time_until_something_is_answered() {
    let mut link = link();
    let waits = |link: &mut Link, now| {
        end(link, now, 1, &Verdict::Wait { at_least: None, clean: true });
        link.waiting(now).expect("a wait")
    };
    let longest = (1..=6).map(|hour| waits(&mut link, hour * HOUR)).max().expect("six waits");
    assert!(longest > 4 * MIN && longest <= MAX, "{longest:?}");
    end(&mut link, 7 * HOUR, 1, &Verdict::Confirmed);
    let again = waits(&mut link, 8 * HOUR);
    assert!(again >= MIN && again <= 2 * MIN, "{again:?}");
}

#[test]
fn each_probe_that_fails_doubles_the_wait_up_to_its_bound_and_nothing_else_moves_it() {
    let mut link = link();
    let road = Verdict::Road(Road::Connect);
    let fell = end(&mut link, s(1), 1, &road);
    assert_eq!(fell, Effects { drop_pool: true, unclaim: true, changed: true });
    let (mut now, mut longest) = (s(1), Duration::ZERO);
    for failures in 1..40 {
        let at = link.next_moment(now).expect("a probe");
        let wait = at.saturating_sub(now);
        assert!(wait >= MIN && wait <= MAX.min(MIN * 2u32.pow(failures.min(10))), "{failures}: {wait:?}");
        longest = longest.max(wait);
        let late = end(&mut link, now, 99, &road);
        assert_eq!(late, Effects { drop_pool: true, unclaim: false, changed: false }, "it was on the wire as well");
        assert_eq!(link.next_moment(now), Some(at), "what was on the wire moves no probe");
        link.probing(at, Seq(1));
        end(&mut link, at, 1, &road);
        now = at;
    }
    assert!(longest > MAX / 2, "{longest:?}");
    let another = end(&mut link, now, 99, &Verdict::Road(Road::Resolve));
    assert_eq!(another, Effects { drop_pool: true, unclaim: false, changed: true });
}

#[test]
fn a_suspects_probe_says_nothing_and_the_next_row_is_tried_after_the_shortest_wait() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    for (now, verdict) in [(s(50), Verdict::Road(Road::Answer)), (s(60), Verdict::RowFault { status: 500 })] {
        let suspect =
            Ended { seq: Seq(1), sent: now, verdict: &verdict, detail: "", first_fault: false, suspect: true };
        assert_eq!(link.ended(now, &suspect), Effects::default());
        assert!(link.may_probe(now), "it was no probe");
        link.probing(now, Seq(1));
        assert_eq!(link.ended(now, &suspect), Effects::default());
        assert!(!link.may_probe(now) && link.may_probe(now + MIN));
        assert_eq!(cause(&link), Some(("down", Cause::Connect)));
    }
}

#[test]
fn a_fault_of_the_providers_own_ends_no_credential_hold() {
    for verdict in [Verdict::RowFault { status: 500 }, Verdict::Reset] {
        let mut link = link();
        end(&mut link, s(10), 1, &Verdict::Credential);
        link.probing(s(70), Seq(1));
        end(&mut link, s(70), 1, &verdict);
        assert_eq!(cause(&link), Some(("held", Cause::Credential)));
        assert!(!link.may_probe(s(129)) && link.may_probe(s(130)));
    }
}

#[test]
fn a_road_that_fails_while_held_for_a_credential_is_down_and_the_outage_goes_on() {
    let mut link = link();
    end(&mut link, s(10), 1, &Verdict::Credential);
    link.probing(s(70), Seq(1));
    let effects = end(&mut link, s(70), 1, &Verdict::Road(Road::Connect));
    assert_eq!(effects, Effects { drop_pool: true, unclaim: true, changed: true });
    assert_eq!((cause(&link), link.outage(s(80))), (Some(("down", Cause::Connect)), s(70)));
}

#[test]
fn a_probe_whose_connection_breaks_counts_although_another_broke_while_it_was_on_the_wire() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    link.probing(s(50), Seq(1));
    let reset = |seq, sent| Ended {
        seq: Seq(seq),
        sent,
        verdict: &Verdict::Reset,
        detail: "",
        first_fault: true,
        suspect: false,
    };
    link.ended(s(51), &reset(2, s(1)));
    assert!(link.ended(s(52), &reset(1, s(50))).drop_pool);
    assert!(!link.may_probe(s(52)) && link.may_probe(s(52) + MAX));
}

#[test]
fn every_cause_has_one_word_of_its_own_an_explanation_and_only_a_persons_hold_comes_back_from_it() {
    let causes = [
        Cause::Resolve,
        Cause::Connect,
        Cause::Proxy,
        Cause::Tls,
        Cause::Clock,
        Cause::Write,
        Cause::Answer,
        Cause::Reset,
        Cause::NotTheProvider,
        Cause::Provider,
        Cause::Credential,
        Cause::Declines,
        Cause::Operator,
        Cause::Settings,
        Cause::NotConfigured,
    ];
    for cause in causes {
        assert_eq!(serde_json::to_value(cause).expect("a word"), cause.as_str());
        assert!(cause.explanation(Language::English).split(' ').count() > 8, "{cause:?}");
        assert_eq!(Cause::hold_from(cause.as_str()), Some(cause).filter(|cause| cause.is_for_a_person()), "{cause:?}");
    }
    assert!(Cause::Operator.is_for_a_person() && Cause::Declines.is_for_a_person());
}

#[test]
fn a_demand_that_comes_too_soon_is_deferred_and_never_dropped() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    link.nudged(s(1), Nudge::Demand);
    assert!(link.may_probe(s(1)), "a new redemption is itself a probe");
    link.probing(s(1), Seq(2));
    link.nudged(s(2), Nudge::Demand);
    for seq in 2..9 {
        end(&mut link, s(2), seq, &Verdict::Road(Road::Connect));
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
        end(&mut link, now, seq, &Verdict::Road(Road::Connect));
        now += MAX;
    }
    assert!(link.nudged(now, Nudge::Network).drop_pool);
    assert!(link.may_probe(now));
    link.probing(now, Seq(99));
    end(&mut link, now, 99, &Verdict::Road(Road::Connect));
    assert!(link.next_moment(now).expect("a probe") <= now + 2 * MIN + MIN + MIN, "short waits again");
}

#[test]
fn what_was_sent_before_a_network_event_fails_for_the_old_network_and_a_probe_follows_at_once() {
    let road = Verdict::Road(Road::Answer);
    let sent = |seq, sent| Ended { seq: Seq(seq), sent, verdict: &road, detail: "", first_fault: true, suspect: false };
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

#[test]
fn an_operators_hold_survives_a_restart_and_the_outage_goes_on() {
    let mut link = Link::new(config(), 1, s(500));
    assert!(link.is_up(s(0)), "up at start until an attempt fails");
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert_eq!(link.outage(s(11)), s(510), "a restart does not reset the outage");
    let mut held = Link::new(config(), 1, Duration::ZERO);
    held.restore_hold(s(0), Cause::Operator, String::new());
    assert!(!held.may_probe(100 * HOUR) && !held.may_send_live(100 * HOUR, Flying::default()));
}

#[test]
fn a_held_lane_that_hears_the_end_of_an_outage_keeps_it_at_once() {
    for (verdict, hold) in [
        (Verdict::Confirmed, Cause::Operator),
        (declined("no such reward"), Cause::Operator),
        (Verdict::Wait { at_least: None, clean: true }, Cause::Operator),
        (Verdict::Wait { at_least: None, clean: true }, Cause::Credential),
    ] {
        let mut link = link();
        end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
        if hold == Cause::Operator {
            link.hold_by(s(100), "ann");
        } else {
            end(&mut link, s(100), 1, &Verdict::Credential);
        }
        assert!(end(&mut link, s(101), 1, &verdict).changed, "{verdict:?}: a crash now must not bring it back");
        assert_eq!((cause(&link), link.outage(s(101))), (Some(("held", hold)), Duration::ZERO), "{verdict:?}");
        assert_eq!(link.unended_outage(s(161)), s(60), "{verdict:?}: from then on it is another");
    }
    let mut link = link();
    confirm(&mut link, 1);
    link.hold_by(s(100), "ann");
    let moment = Duration::from_millis(100_999);
    assert!(!end(&mut link, moment, 1, &Verdict::Confirmed).changed, "there was no outage");
    assert!(end(&mut link, moment + s(1), 2, &Verdict::Confirmed).changed);
}

#[test]
fn what_ends_no_outage_does_not_reset_it() {
    let mut released = link();
    end(&mut released, s(1), 1, &Verdict::Road(Road::Connect));
    released.hold_by(s(101), "somebody");
    released.nudged(s(201), Nudge::Release);
    assert!(released.is_up(s(201)), "a person's word says nothing of the road");
    assert_eq!(released.unended_outage(s(202)), s(200), "so that a restart does not forget it either");
    end(&mut released, s(203), 2, &Verdict::Road(Road::Connect));
    assert_eq!(released.outage(s(213)), s(210));
    released.hold_by(s(214), "somebody");
    end(&mut released, s(215), 3, &Verdict::Confirmed);
    assert_eq!((cause(&released), released.outage(s(216))), (Some(("held", Cause::Operator)), s(1)));
    for ends in [Verdict::Confirmed, Verdict::Wait { at_least: None, clean: true }] {
        let mut link = Link::new(config(), 1, s(500));
        assert_eq!(link.unended_outage(s(1)), s(500));
        assert!(end(&mut link, s(2), 1, &ends).changed, "{ends:?}: to be kept");
        assert_eq!(link.unended_outage(s(2)), Duration::ZERO, "{ends:?}: the provider has spoken");
    }
}

#[test]
fn without_anything_pending_the_next_redemption_finds_out() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert!(link.nothing_to_probe(s(5), None).changed);
    assert!(link.is_up(s(5)));
    end(&mut link, s(7), 2, &Verdict::Road(Road::Connect));
    assert_eq!(link.outage(s(8)), s(5), "four seconds before and one since");
}

#[test]
fn above_where_it_was_halved_the_window_grows_by_one_a_round_trip() {
    let mut link = link();
    confirm(&mut link, 8);
    end(&mut link, s(2), 9, &Verdict::RowFault { status: 503 });
    let mut windows = Vec::new();
    for seq in 10..21 {
        end(&mut link, s(3), seq, &Verdict::Confirmed);
        windows.push(link.window());
    }
    assert_eq!(windows, [4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6]);
}

#[test]
fn new_settings_narrow_the_window_at_once_and_bound_its_growth() {
    let mut link = link();
    confirm(&mut link, 20);
    link.reconfigure(Config { max_in_flight: 3, ..config() });
    assert_eq!(link.window(), 3);
    confirm(&mut link, 20);
    assert_eq!(link.window(), 3);
    link.reconfigure(Config { max_in_flight: 12, ..config() });
    assert_eq!(link.window(), 3, "wider only by what is confirmed");
    confirm(&mut link, 20);
    assert_eq!(link.window(), 12);
}

#[test]
fn what_was_left_of_a_retry_after_is_waited_for_after_a_restart() {
    let mut link = link();
    link.restore_wait(s(50));
    assert_eq!((link.is_up(s(10)), link.waiting(s(10)), link.next_moment(s(10))), (false, Some(s(40)), Some(s(50))));
    assert!(link.is_up(s(50)));
}

#[test]
fn with_cause_provider_a_redemption_hopes_unless_a_probe_was_asked_for_flies_or_just_came_back() {
    let mut link = link();
    assert_eq!(link.hopeful_from(s(1)), None, "up");
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert_eq!(link.hopeful_from(s(1)), None, "another cause");
    link.probing(s(3), Seq(1));
    end(&mut link, s(3), 1, &Verdict::RowFault { status: 500 });
    assert_eq!(link.hopeful_from(s(3)), Some(Duration::ZERO));
    link.nudged(s(4), Nudge::Demand);
    assert_eq!(link.hopeful_from(s(4)), None, "asked for");
    link.probing(s(4), Seq(2));
    assert_eq!(link.hopeful_from(s(4)), None, "flies");
    end(&mut link, s(5), 2, &Verdict::RowFault { status: 500 });
    assert_eq!(link.hopeful_from(s(5)), Some(s(4) + DEMAND_EVERY));
    link.restore_wait(s(100));
    assert_eq!(link.hopeful_from(s(99)), None, "never before a Retry-After is over");
}

#[test]
fn a_demand_is_wanted_once_while_down_and_never_while_up_or_held() {
    let mut link = link();
    assert!(!link.wants_demand());
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert!(link.wants_demand());
    link.nudged(s(1), Nudge::Demand);
    assert!(!link.wants_demand());
    link.probing(s(1), Seq(2));
    assert!(link.wants_demand(), "the next one is asked for while this one flies");
    end(&mut link, s(2), 2, &Verdict::Credential);
    assert!(!link.wants_demand());
}

#[test]
fn where_rows_wait_their_own_backoff_the_next_probe_is_the_first_of_them() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    assert_eq!(link.nothing_to_probe(s(10), Some(s(30))), Effects::default());
    assert!(!link.may_probe(s(29)) && link.may_probe(s(30)));
    link.nothing_to_probe(s(40), Some(s(40)));
    assert!(!link.may_probe(s(40)) && link.may_probe(s(41)), "it did not look for nothing again at once");
}

#[test]
fn a_credential_hold_with_nothing_to_probe_looks_again_after_a_minute() {
    let mut link = link();
    end(&mut link, s(10), 1, &Verdict::Credential);
    assert_eq!(link.nothing_to_probe(s(80), None), Effects::default());
    assert!(!link.may_probe(s(139)) && link.may_probe(s(140)));
    assert_eq!(cause(&link), Some(("held", Cause::Credential)));
}

#[test]
fn moments_are_told_before_they_come_and_not_when_they_are_there() {
    let mut link = link();
    end(&mut link, s(10), 1, &Verdict::Road(Road::Connect));
    let probe = link.next_moment(s(10)).expect("a probe");
    assert_eq!(link.next_moment(probe), None);
    link.probing(s(100), Seq(1));
    end(&mut link, s(100), 1, &Verdict::Confirmed);
    let spread = s(100) + config().reconnect_spread / 2;
    assert_eq!((link.next_moment(s(100)), link.next_moment(spread)), (Some(spread), None));
}

#[test]
fn an_operators_hold_is_kept_with_who_did_it_and_is_not_taken_over_by_another() {
    let mut link = link();
    assert_eq!(link.hold_by(s(1), "ann"), Effects { unclaim: true, changed: true, drop_pool: false });
    assert_eq!(link.hold_by(s(2), "bob"), Effects::default());
    end(&mut link, s(3), 1, &Verdict::Confirmed);
    end(&mut link, s(3), 2, &Verdict::Credential);
    end(&mut link, s(3), 3, &Verdict::Road(Road::Connect));
    let held = Why { cause: Cause::Operator, detail: "held by ann".to_owned(), since: s(1) };
    assert_eq!(link.phase(), &Phase::Held(held), "what was on the wire ends without ending the hold");
}

#[test]
fn a_credential_that_is_refused_again_is_no_news_and_is_probed_a_minute_later() {
    let mut link = link();
    assert_eq!(
        end(&mut link, s(10), 1, &Verdict::Credential),
        Effects { unclaim: true, changed: true, drop_pool: false }
    );
    link.probing(s(70), Seq(1));
    assert_eq!(end(&mut link, s(71), 1, &Verdict::Credential), Effects::default());
    assert!(!link.may_probe(s(130)) && link.may_probe(s(131)));
    assert_eq!(link.outage(s(80)), s(70), "since it was first refused");
    assert!(link.hold_by(s(80), "ann").changed);
    assert_eq!(cause(&link), Some(("held", Cause::Operator)));
}

#[test]
fn a_flush_probes_at_once_and_a_release_only_asks_the_provider_again_about_a_credential() {
    let mut link = link();
    end(&mut link, s(1), 1, &Verdict::Road(Road::Connect));
    link.nudged(s(1), Nudge::Flush);
    assert!(link.may_probe(s(1)));
    link.probing(s(1), Seq(1));
    end(&mut link, s(1), 1, &Verdict::Credential);
    assert!(!link.may_probe(s(2)));
    link.nudged(s(2), Nudge::Release);
    assert!(link.may_probe(s(2)));
    assert_eq!(cause(&link), Some(("held", Cause::Credential)));
}

#[test]
fn a_network_event_drops_the_pool_wherever_the_link_stands() {
    let drops = |link: &mut Link| link.nudged(s(9), Nudge::Network).drop_pool;
    let mut link = link();
    assert!(drops(&mut link));
    end(&mut link, s(1), 1, &Verdict::Credential);
    assert!(drops(&mut link));
    link.hold_by(s(1), "ann");
    assert!(drops(&mut link));
}

#[derive(Clone, Debug)]
enum Step {
    End(u8, u8, bool, bool),
    Nudge(u8),
    Probe,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..13u8, 0..20u8, any::<bool>(), any::<bool>()).prop_map(|(v, seq, f, s)| Step::End(v, seq, f, s)),
        (0..6u8).prop_map(Step::Nudge),
        Just(Step::Probe),
        (0..5000u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

fn verdict(number: u8) -> Verdict {
    match number {
        0 | 1 => Verdict::Confirmed,
        2 => declined("no"),
        3 => parked(),
        4 => Verdict::Credential,
        5 => portal(),
        6 => Verdict::Wait { at_least: Some(s(30)), clean: true },
        7 => Verdict::Wait { at_least: None, clean: false },
        8 => Verdict::RowFault { status: 500 },
        9 => Verdict::RowFault { status: 503 },
        10 => Verdict::Reset,
        11 => Verdict::Road(Road::Answer),
        _ => Verdict::Road(Road::Connect),
    }
}

const NUDGES: [Nudge; 5] = [Nudge::Demand, Nudge::Network, Nudge::Flush, Nudge::CredentialChanged, Nudge::Release];

proptest! {
    #[test]
    fn whatever_happens_the_link_keeps_its_bounds(seed: u64, steps in steps()) {
        let mut link = Link::new(config(), seed, Duration::ZERO);
        let (mut now, mut probing) = (Duration::ZERO, None);
        for step in steps {
            match step {
                Step::End(kind, seq, first_fault, suspect) => {
                    let seq = Seq(i64::from(seq));
                    if probing == Some(seq) { probing = None; }
                    link.ended(now, &Ended { seq, sent: now, verdict: &verdict(kind), detail: "", first_fault, suspect });
                }
                Step::Nudge(kind) => match NUDGES.get(usize::from(kind)) {
                    Some(nudge) => { link.nudged(now, *nudge); }
                    None => { link.hold_by(now, "root"); }
                },
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
            prop_assert!(up || !link.may_send_live(now, Flying::default()));
            let full = Flying { backlog: 8, live: 0 };
            prop_assert!(!link.may_send_backlog(now, full));
            if let Some(at) = link.next_moment(now) {
                let held = matches!(link.phase(), Phase::Held(_));
                let longest = if held { CREDENTIAL_PROBE_EVERY } else { MAX };
                let waited = link.waiting(now).unwrap_or_default();
                prop_assert!(at <= now + longest.max(waited), "a wait until {at:?} at {now:?}");
            } else if matches!(link.phase(), Phase::Down(_)) && probing.is_none() {
                prop_assert!(link.may_probe(now), "a link that is down always has a way back");
            }
        }
    }
}
