//! A lane in virtual time: what it sends, tells and claims.

use super::*;
use crate::trust::CHECK_EVERY;

const REPLY_WITHIN: u64 = 4000;

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn config(checks: bool) -> Config {
    let link = link::LinkSettings {
        retry_min: ms(1000),
        retry_max: ms(60_000),
        max_in_flight: 8,
        reconnect_spread: Duration::ZERO,
        place: 0.0,
    };
    let terms = EvidenceTerms {
        reply_within: ms(REPLY_WITHIN),
        recent: ms(70_000),
        checks,
        one_till: false,
    };
    Config { link, terms, checks_show_the_link: true }
}

/// A lane, the store's pending rows, and what was done.
struct World {
    lane: Scheduler,
    now: Duration,
    pending: BTreeMap<Seq, ClaimedRow>,
    /// Pending rows that are claimed.
    claimed: BTreeSet<Seq>,
    sent: Vec<(i64, Progress)>,
    told: Vec<(i64, Told)>,
    checks: Vec<Duration>,
    asks: Vec<Ask>,
    /// Whether claims are answered at once.
    gives: bool,
    /// What the store has done is told later, in any order.
    late: Option<Vec<LaneEvent<'static>>>,
}

fn row(seq: i64, till: &str, trusted: bool) -> ClaimedRow {
    ClaimedRow { seq: Seq(seq), attempt: 1, till: till.into(), trusted, bytes: 100 }
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    usize::try_from(dice.bits() % u64::try_from(bound).unwrap()).unwrap()
}

impl World {
    fn new(checks: bool) -> Self {
        Self {
            lane: Scheduler::new(config(checks), 7, Outages::default()),
            now: Duration::ZERO,
            pending: BTreeMap::new(),
            claimed: BTreeSet::new(),
            sent: Vec::new(),
            told: Vec::new(),
            checks: Vec::new(),
            asks: Vec::new(),
            gives: true,
            late: None,
        }
    }

    /// Rows that were given on trust.
    fn backlog(&mut self, rows: impl IntoIterator<Item = i64>, till: &str) {
        self.pending.extend(rows.into_iter().map(|seq| (Seq(seq), row(seq, till, true))));
    }

    fn live(&mut self, seq: i64, till: &str) {
        let row = row(seq, till, false);
        self.pending.insert(Seq(seq), row.clone());
        self.claimed.insert(Seq(seq));
        self.lane.on(self.now, LaneEvent::HandedOver(row));
        self.work();
    }

    fn work(&mut self) {
        for _ in 0..100 {
            let actions = self.lane.work(self.now);
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.act(action);
            }
        }
        panic!("it never rests");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send(seq, progress) => {
                progress.note_whole(Duration::ZERO);
                self.sent.push((seq.0, progress));
            }
            Action::Claim(ask) => {
                let rows = if self.gives { Some(self.claim(&ask)) } else { None };
                self.asks.push(ask.clone());
                self.hears(LaneEvent::Claimed(ask, rows));
            }
            Action::Check(at, progress) => {
                progress.note_whole(Duration::ZERO);
                self.checks.push(at);
            }
            Action::Tell(seq, told) => self.told.push((seq.0, told)),
            Action::Unclaim(rows) => {
                for (seq, _) in &rows {
                    assert!(self.claimed.remove(seq), "{seq}");
                }
            }
            Action::DropPool | Action::Changed => {}
        }
    }

    fn hears(&mut self, event: LaneEvent<'static>) {
        match &mut self.late {
            Some(late) => late.push(event),
            None => self.lane.on(self.now, event),
        }
    }

    fn claim(&mut self, ask: &Ask) -> Vec<ClaimedRow> {
        let free = |row: &&ClaimedRow| {
            !self.claimed.contains(&row.seq) && ask.not_from.as_deref() != Some(&*row.till)
        };
        let after = self
            .pending
            .values()
            .filter(|row| row.seq > ask.after && !ask.except.contains(&row.seq));
        let preferred = ask.prefer.iter().filter_map(|seq| self.pending.get(seq));
        let mut rows: Vec<ClaimedRow> = Vec::new();
        for row in preferred.chain(after).filter(free) {
            if rows.len() < ask.rows_max && !rows.iter().any(|other| other.seq == row.seq) {
                rows.push(ClaimedRow { attempt: row.attempt + 1, ..row.clone() });
            }
        }
        self.claimed.extend(rows.iter().map(|row| row.seq));
        rows
    }

    /// What is on the wire ends so; the end is settled at once.
    fn ends(&mut self, seq: i64, heard: Heard) {
        let place = self.sent.iter().position(|(sent, _)| *sent == seq).expect("it was sent");
        self.sent.remove(place);
        let whole = !matches!(heard, Heard::NoAnswer(Phase::Connect));
        let landed =
            Landed { seq: Seq(seq), heard, detail: "seen", kind: "no", whole, denied: true };
        self.lane.on(self.now, LaneEvent::Landed(landed));
        // Weak evidence declines only what its till hears.
        let is_weak = heard == (Heard::Declined { strong: false });
        let settles = if is_weak { !self.pending[&Seq(seq)].trusted } else { heard.is_answer() };
        self.claimed.remove(&Seq(seq));
        if settles {
            self.pending.remove(&Seq(seq));
        }
        self.hears(LaneEvent::Settled(Seq(seq), !settles));
        self.work();
    }

    /// A till asks for a row again that nobody has claimed.
    fn asks_again(&mut self, seq: Seq) {
        let row = self.pending.get_mut(&seq).expect("it is pending");
        row.attempt += 1;
        assert!(self.claimed.insert(seq));
        let row = row.clone();
        self.hears(LaneEvent::HandedOver(row));
        self.work();
    }

    /// One of whatever can happen.
    fn anything(&mut self, dice: &mut Dice, step: i64) {
        let till = ["a", "b", "c"][below(dice, 3)];
        let unclaimed: Vec<Seq> =
            self.pending.keys().filter(|seq| !self.claimed.contains(seq)).copied().collect();
        let one = (!unclaimed.is_empty()).then(|| unclaimed[below(dice, unclaimed.len())]);
        let on_the_wire = self.on_the_wire();
        match (below(dice, 9), one) {
            (0, _) if self.lane.takes_live() => self.live(step, till),
            (0, _) => self.backlog([step], till),
            (1, Some(seq)) if self.lane.takes_live() => self.asks_again(seq),
            // No word of it comes to the lane.
            (2, Some(seq)) => drop(self.pending.remove(&seq)),
            (3 | 4, _) if !on_the_wire.is_empty() => {
                let heard = ENDS[below(dice, ENDS.len())];
                self.ends(on_the_wire[below(dice, on_the_wire.len())], heard);
            }
            (5, _) => {
                self.lane.on(self.now, LaneEvent::Nudged(Nudge::Release));
                self.work();
            }
            (6, _) => self.passes(ms(50 << below(dice, 8))),
            _ => self.tells_one(dice),
        }
    }

    /// One thing that the store has done is heard of.
    fn tells_one(&mut self, dice: &mut Dice) {
        let Some(late) = self.late.as_mut().filter(|late| !late.is_empty()) else { return };
        let event = late.swap_remove(below(dice, late.len()));
        self.lane.on(self.now, event);
        self.work();
    }

    /// All is well from now on, and an operator lets the lane go on.
    fn is_well(&mut self) {
        for event in self.late.take().into_iter().flatten() {
            self.lane.on(self.now, event);
        }
        self.lane.on(self.now, LaneEvent::Nudged(Nudge::Release));
        for _ in 0..600 {
            self.passes(ms(3000));
            self.checked_so(STRONG);
            self.on_the_wire().into_iter().for_each(|seq| self.ends(seq, Heard::Confirmed));
        }
    }

    /// Time passes; the lane is looked at whenever it wants to be.
    fn passes(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(next) = self.lane.next_moment(self.now).filter(|next| *next <= until) {
            self.now = next;
            self.work();
        }
        self.now = until;
        self.work();
    }

    /// The checks that are on the wire end so.
    fn checked_so(&mut self, heard: Heard) {
        for at in std::mem::take(&mut self.checks) {
            let checked = CheckEnd { sent: at, heard, detail: "seen", whole: true };
            self.lane.on(self.now, LaneEvent::Checked(checked));
        }
    }

    fn on_the_wire(&self) -> Vec<i64> {
        self.sent.iter().map(|(seq, _)| *seq).collect()
    }

    fn holds(&self, seq: i64, till: &str) -> bool {
        self.lane.evidence().holds(Seq(seq), till, self.now)
    }

    /// The link goes down under a row of the backlog.
    fn cut(&mut self) {
        self.backlog([1], "z");
        self.work();
        self.ends(1, Heard::NoAnswer(Phase::Connect));
    }
}

/// How an attempt may end.
const ENDS: [Heard; 10] = [
    Heard::Confirmed,
    WEAK,
    Heard::NoAnswer(Phase::Connect),
    Heard::NoAnswer(Phase::Answer),
    Heard::Credential,
    Heard::Reset,
    Heard::NotTheProvider,
    DEFECT,
    STRONG,
    Heard::Wait { at_least: Some(Duration::from_secs(2)), limited: true },
];
const DEFECT: Heard = Heard::RowFault { status: 500 };
const STRONG: Heard = Heard::Declined { strong: true };
const WEAK: Heard = Heard::Declined { strong: false };

#[test]
fn live_slots_are_thirty_two_in_turn_round_the_tills_and_a_quarter_for_one() {
    let mut world = World::new(false);
    for seq in 0..60 {
        world.live(seq, "greedy");
    }
    world.live(100, "calm");
    assert_eq!(
        world.on_the_wire(),
        [0, 1, 2, 3, 4, 5, 6, 7, 100],
        "a till that asks sixty times is no other's loss"
    );
    for (till, first) in [("b", 200), ("c", 300), ("d", 400), ("e", 500)] {
        (first..first + 8).for_each(|seq| world.live(seq, till));
    }
    assert_eq!(world.sent.len(), 32);
    let next: Vec<i64> = (0..3)
        .map(|seq| {
            world.ends(seq, Heard::Confirmed);
            world.on_the_wire()[31]
        })
        .collect();
    assert_eq!(next, [8, 407, 500], "in turn round the tills");
    world.passes(ms(REPLY_WITHIN));
    let busy = Told::TurnedAway { retry_after_s: None };
    assert!(world.told.contains(&(59, busy)) && world.told.iter().all(|(_, told)| *told == busy));
    assert_eq!(world.told.len(), 93 - 35, "each that got no slot in its time");
    assert_eq!(world.claimed.len(), 32, "their claims are given back");
}

#[test]
fn a_live_row_without_an_answer_is_tried_again_after_200_ms_and_1_s_and_then_left_to_the_drain() {
    let mut world = World::new(false);
    world.live(7, "a");
    let mut moments = Vec::new();
    for _ in 0..3 {
        moments.push(world.now);
        world.ends(7, DEFECT);
        world.passes(ms(1000));
    }
    assert_eq!(world.told, [], "its till goes on waiting");
    let again: Vec<_> =
        world.asks.iter().filter(|ask| ask.wanted == Wanted::Again(Seq(7))).collect();
    assert_eq!((again.len(), &again[0].prefer), (2, &vec![Seq(7)]));
    assert!(!world.holds(7, "a"), "what one till sends never suffices");
    world.backlog([8], "b");
    world.lane.on(world.now, LaneEvent::Signalled(Seq(8)));
    world.work();
    assert!(
        world
            .asks
            .iter()
            .filter(|ask| ask.wanted == Wanted::Backlog)
            .all(|ask| !ask.prefer.contains(&Seq(7)))
    );
}

#[test]
fn thirty_invented_codes_that_trip_the_provider_are_each_asked_and_none_is_given() {
    let troubles = [
        Heard::NotTheProvider,
        Heard::Credential,
        DEFECT,
        Heard::Reset,
        Heard::NoAnswer(Phase::Answer),
    ];
    for trouble in troubles {
        let mut world = World::new(true);
        for seq in 0..30 {
            world.live(seq, "a");
            world.ends(seq, trouble);
            let checks = std::mem::take(&mut world.checks);
            for sent in checks {
                let checked = CheckEnd { sent, heard: STRONG, detail: "", whole: true };
                world.lane.on(world.now, LaneEvent::Checked(checked));
            }
            world.passes(ms(REPLY_WITHIN));
            assert!(!world.holds(seq, "a"), "{trouble:?}: the provider answers the gateway itself");
            assert!(world.lane.takes_live(), "{trouble:?}");
            world.on_the_wire().into_iter().for_each(|other| world.ends(other, trouble));
        }
    }
}

#[test]
fn ten_codes_that_the_provider_refuses_alike_hold_nothing_at_their_tills() {
    for refusal in [STRONG, WEAK] {
        let mut world = World::new(false);
        for seq in 0..30 {
            world.live(seq, "a");
            world.ends(seq, refusal);
        }
        assert!(world.lane.takes_live() && world.lane.link().is_up(world.now), "{refusal:?}");
    }
}

#[test]
fn a_silent_provider_and_a_silent_check_are_evidence_and_checks_come_each_two_seconds_at_most() {
    let mut world = World::new(true);
    world.live(1, "a");
    world.passes(ms(500));
    world.live(2, "a");
    world.passes(ms(3500));
    assert_eq!(world.checks, [ms(2000)], "one serves both");
    assert!(world.holds(1, "a") && !world.holds(9, "a"));
    for seq in 10..40 {
        world.live(seq, "b");
        world.passes(ms(300));
    }
    assert!(
        world.checks.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) >= CHECK_EVERY),
        "{:?}",
        world.checks
    );
    let answered = CheckEnd { sent: world.checks[0], heard: WEAK, detail: "", whole: true };
    world.lane.on(world.now, LaneEvent::Checked(answered));
    assert!(!world.holds(10, "b"), "a late answer is an answer");
}

#[test]
fn what_the_gateways_own_check_is_told_to_wait_the_drain_waits_and_no_till_is_turned_away() {
    for limited in [false, true] {
        let mut world = World::new(true);
        world.live(10, "a");
        world.passes(ms(REPLY_WITHIN / 2));
        let heard = Heard::Wait { at_least: Some(ms(60_000)), limited };
        let checked = CheckEnd { sent: world.checks[0], heard, detail: "", whole: true };
        world.lane.on(world.now, LaneEvent::Checked(checked));
        world.ends(10, STRONG);
        world.backlog([1], "b");
        world.lane.on(world.now, LaneEvent::Signalled(Seq(0)));
        world.passes(ms(59_000));
        assert!(world.on_the_wire().is_empty());
        world.live(11, "a");
        assert_eq!(world.on_the_wire(), [11]);
        world.ends(11, STRONG);
        world.passes(ms(2_000));
        assert_eq!(world.on_the_wire(), [1]);
    }
}

#[test]
fn without_checks_two_silent_tills_are_evidence_for_each_other() {
    let mut world = World::new(false);
    world.live(1, "a");
    world.passes(ms(REPLY_WITHIN));
    assert!(!world.holds(1, "a"));
    world.live(2, "b");
    world.passes(ms(REPLY_WITHIN));
    assert!(world.holds(2, "b"));
}

#[test]
fn when_the_link_goes_down_tills_are_told_at_once_and_when_it_is_down_no_live_row_is_taken() {
    let mut world = World::new(false);
    (0..10).for_each(|seq| world.live(seq + 10, "a"));
    world.ends(10, Heard::NoAnswer(Phase::Connect));
    let expected: Vec<_> = [10, 18, 19].map(|seq| (seq, Told::Unreachable)).into();
    let mut told = world.told.clone();
    told.sort_by_key(|(seq, _)| *seq);
    assert_eq!(told, expected, "those on the wire may still be answered");
    assert!(!world.lane.takes_live());
    world.ends(11, Heard::NoAnswer(Phase::Connect));
    assert_eq!(world.told.last(), Some(&(11, Told::Unreachable)));
}

#[test]
fn after_a_429_one_live_row_is_tried_each_two_seconds_in_turn_and_the_others_hear_its_time() {
    let mut world = World::new(false);
    world.live(1, "a");
    world.ends(1, Heard::Wait { at_least: Some(ms(60_000)), limited: true });
    assert!(
        matches!(world.told[..], [(1, Told::TurnedAway { retry_after_s: Some(59 | 60) })]),
        "{:?}",
        world.told
    );
    for round in 0..4 {
        for (seq, till) in [(100, "a"), (101, "a"), (102, "a"), (200, "b")] {
            world.live(seq + round * 10, till);
        }
        world.passes(ms(1000));
    }
    let tills: Vec<i64> = world.on_the_wire().iter().map(|seq| seq / 100).collect();
    assert!(
        tills.len() <= 3 && tills.contains(&1) && tills.contains(&2),
        "{:?}",
        world.on_the_wire()
    );
    assert!(
        world.told.len() >= 8
            && world
                .told
                .iter()
                .all(|(_, told)| matches!(told, Told::TurnedAway { retry_after_s: Some(_) }))
    );
    assert_eq!(world.lane.link().trust(world.now), Trust::Never);
    let first = world.on_the_wire()[0];
    world.ends(first, Heard::Confirmed);
    assert_eq!(world.lane.link().trust(world.now), Trust::Unanswered, "it answers again");
}

#[test]
fn one_code_that_a_firewall_blocks_is_named_and_waits_alone_and_the_lane_goes_on() {
    let mut world = World::new(false);
    world.backlog(1..=5, "a");
    world.work();
    world.ends(1, Heard::Credential);
    world.passes(ms(2000));
    assert_eq!(world.on_the_wire(), [2], "another row, within two seconds");
    world.ends(2, Heard::Confirmed);
    assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(1)]);
    for seq in [3, 4, 5] {
        world.ends(seq, Heard::Confirmed);
    }
    world.passes(ms(3000));
    assert_eq!(world.on_the_wire(), [1], "its own backoff");
    world.ends(1, Heard::Credential);
    assert!(world.lane.link().is_up(world.now), "its second says nothing of the credential");
    world.live(9, "b");
    assert_eq!(world.on_the_wire(), [9]);
}

/// For so long row 2 always ends so, each other row is taken. How often row 2 was sent.
fn one_is_told_to_wait(world: &mut World, wait: Heard, span: u64) -> usize {
    let (until, mut asked) = (world.now + ms(span), 0);
    while world.now < until {
        for seq in world.on_the_wire() {
            asked += usize::from(seq == 2);
            world.ends(seq, if seq == 2 { wait } else { Heard::Confirmed });
        }
        world.passes(ms(100));
    }
    asked
}

#[test]
fn one_code_that_is_always_told_to_wait_is_named_and_waits_alone_and_the_lane_goes_on() {
    const HOUR: Option<u64> = Some(3_600_000);
    for (at_least, limited) in [(None, true), (Some(2000), false), (HOUR, true), (HOUR, false)] {
        let mut world = World::new(false);
        let wait = Heard::Wait { at_least: at_least.map(ms), limited };
        let floor = at_least.unwrap_or(0);
        world.backlog(1..=14, "a");
        let asked = one_is_told_to_wait(&mut world, wait, floor + 10_000);
        assert!((1..=6).contains(&asked), "{wait:?}: asked {asked} times");
        assert_eq!(world.pending.keys().copied().collect::<Vec<_>>(), [Seq(2)], "{wait:?}");
        world.backlog(15..=20, "a");
        world.lane.on(world.now, LaneEvent::Signalled(Seq(0)));
        one_is_told_to_wait(&mut world, wait, 2 * floor + 60_000);
        assert_eq!(world.pending.keys().copied().collect::<Vec<_>>(), [Seq(2)], "{wait:?}");
        assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(2)], "{wait:?}");
        let later = one_is_told_to_wait(&mut world, wait, 600_000);
        assert!(later < 30, "{wait:?}: it waits ever longer, and was asked {later} times");
    }
}

#[test]
fn who_is_told_to_wait_comes_after_another_and_a_retry_after_is_everybodys_at_first() {
    let mut world = World::new(false);
    world.backlog(1..=3, "a");
    world.work();
    world.ends(1, Heard::Wait { at_least: Some(ms(60_000)), limited: true });
    for (span, sent) in [(59_000, &[][..]), (1000, &[2])] {
        world.passes(ms(span));
        assert_eq!(world.on_the_wire(), sent);
    }
}

/// Row 2 hangs, with others beside it that are answered at once, and then alone.
fn hangs_beside_others_then_alone(world: &mut World) {
    world.backlog(1..=1, "a");
    world.work();
    world.ends(1, Heard::Confirmed);
    world.backlog(2..=5, "a");
    world.lane.on(world.now, LaneEvent::Signalled(Seq(2)));
    world.work();
    for seq in [3, 4, 5] {
        world.ends(seq, Heard::Confirmed);
    }
    world.passes(ms(10_000));
    world.ends(2, Heard::NoAnswer(Phase::Answer));
    assert!(!world.lane.link().is_up(world.now), "it may be the link");
    world.passes(ms(2000));
    assert_eq!(world.on_the_wire(), [2], "nobody else is left to ask");
    world.passes(ms(10_000));
    world.ends(2, Heard::NoAnswer(Phase::Answer));
    assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(2)]);
}

#[test]
fn the_last_row_that_hangs_is_found_suspect_and_keeps_the_lane_down_no_longer() {
    let mut world = World::new(false);
    hangs_beside_others_then_alone(&mut world);
    for round in 0..5 {
        world.passes(ms(60_000));
        if world.on_the_wire() == [2] {
            world.ends(2, Heard::NoAnswer(Phase::Answer));
        }
        if round > 0 {
            assert!(world.lane.link().is_up(world.now), "round {round}");
        }
    }
    world.live(9, "b");
    assert!(world.on_the_wire().contains(&9));
}

/// Ends row 1 so whenever it is sent, for so many seconds.
fn row_one_trips(world: &mut World, heard: Heard, seconds: u64) {
    for _ in 0..seconds {
        world.passes(ms(1000));
        if world.on_the_wire().contains(&1) {
            world.ends(1, heard);
        }
    }
}

#[test]
fn a_first_and_only_row_that_trips_the_provider_makes_the_store_neither_blind_nor_open() {
    for heard in [
        Heard::NoAnswer(Phase::Answer),
        Heard::Credential,
        Heard::NotTheProvider,
        Heard::Reset,
        DEFECT,
    ] {
        let mut world = World::new(false);
        world.live(1, "a");
        world.ends(1, heard);
        row_one_trips(&mut world, heard, 900);
        assert!(!world.holds(1, "a"), "{heard:?}: one till's code opens nothing");
        world.live(2, "a");
        for _ in 0..4 {
            if world.on_the_wire().contains(&2) {
                world.ends(2, heard);
            }
            world.passes(ms(REPLY_WITHIN / 4));
        }
        assert!(!world.holds(2, "a"), "{heard:?}: nor do two of its codes");
        world.pending.remove(&Seq(2));
        world.lane.on(world.now, LaneEvent::Settled(Seq(2), false));
        for seq in 10..16 {
            world.live(seq, "b");
            assert!(world.on_the_wire().contains(&seq), "{heard:?}: each till is asked for");
            world.ends(seq, Heard::Confirmed);
            assert!(world.lane.link().is_up(world.now), "{heard:?}: an answer brings it up");
            row_one_trips(&mut world, heard, 120);
        }
        if heard == DEFECT {
            continue;
        }
        assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(1)], "{heard:?}: it is named");
        assert!(world.lane.link().is_up(world.now), "{heard:?}: it moves the lane no more");
        world.live(50, "b");
        world.ends(50, heard);
        row_one_trips(&mut world, heard, 4);
        assert!(!world.holds(50, "b"), "{heard:?}: a row that trips is evidence for nobody");
    }
}

/// Row 1 is the only one and hangs whenever it is sent, or meets another fault of the link; each
/// check is answered so. How often it was sent within ten minutes.
fn the_only_row_fails(world: &mut World, heard: Heard, check: Heard) -> usize {
    let mut sent = 0;
    for _ in 0..600 {
        world.passes(ms(1000));
        world.checked_so(check);
        if world.on_the_wire() == [1] {
            for _ in 0..(if heard == Heard::NotTheProvider { 1 } else { 100 }) {
                world.passes(ms(100));
                world.checked_so(check);
            }
            world.ends(1, heard);
            sent += 1;
        }
    }
    sent
}

#[test]
fn where_one_row_is_left_and_hangs_the_gateways_own_check_tells_that_the_lane_is_well() {
    for heard in
        [Heard::NoAnswer(Phase::Answer), Heard::NoAnswer(Phase::Write), Heard::NotTheProvider]
    {
        let mut world = World::new(true);
        world.backlog([1], "a");
        let sent = the_only_row_fails(&mut world, heard, STRONG);
        assert!(world.lane.link().is_up(world.now), "{heard:?}: {:?}", world.lane.link().why());
        assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(1)], "{heard:?}");
        assert!((2..20).contains(&sent), "it waits its own backoff: {sent}");
    }
}

#[test]
fn where_one_row_is_left_and_the_check_is_not_answered_either_the_lane_stays_down() {
    for check in
        [Heard::NoAnswer(Phase::Answer), Heard::RowFault { status: 500 }, Heard::NotTheProvider]
    {
        let mut world = World::new(true);
        world.backlog([1], "a");
        the_only_row_fails(&mut world, Heard::NoAnswer(Phase::Answer), check);
        assert!(!world.lane.link().is_up(world.now), "{check:?}");
        assert_eq!(world.lane.suspects().count(), 0, "{check:?}");
    }
}

#[test]
fn a_row_that_hangs_when_all_others_were_answered_keeps_the_lane_down_for_a_few_tries_at_most() {
    let mut world = World::new(false);
    world.backlog(1..=2, "a");
    world.work();
    world.passes(ms(10_000));
    while world.on_the_wire() != [2] {
        if world.on_the_wire() == [1] {
            world.passes(ms(10_000));
            world.ends(1, Heard::NoAnswer(Phase::Answer));
        }
        world.passes(ms(100));
        assert!(world.now < ms(120_000), "probes rotate");
    }
    world.ends(2, Heard::Confirmed);
    the_only_row_fails(&mut world, Heard::NoAnswer(Phase::Answer), STRONG);
    assert!(world.lane.link().is_up(world.now), "{:?}", world.lane.link().why());
    assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(1)]);
}

#[test]
fn a_suspect_row_alone_does_not_open_a_link_that_is_down() {
    let mut world = World::new(false);
    hangs_beside_others_then_alone(&mut world);
    world.live(9, "b");
    world.ends(9, Heard::NoAnswer(Phase::Connect));
    world.pending.remove(&Seq(9));
    for _ in 0..5 {
        world.passes(ms(60_000));
        assert_eq!(world.lane.link().why().map(|why| why.cause), Some(Cause::Connect));
        if world.on_the_wire() == [2] {
            world.ends(2, Heard::NoAnswer(Phase::Connect));
        }
    }
}

impl World {
    /// For so many seconds whatever is sent fails so: how much was sent.
    fn is_out(&mut self, seconds: u64, heard: Heard) -> usize {
        let mut tried = 0;
        for _ in 0..seconds * 10 {
            self.passes(ms(100));
            for seq in self.on_the_wire() {
                self.ends(seq, heard);
                tried += 1;
            }
        }
        tried
    }
}

#[test]
fn a_second_outage_soon_after_another_is_probed_as_seldom_as_the_first() {
    let ends = [Phase::Resolve, Phase::Connect, Phase::Tls].map(Heard::NoAnswer);
    for again in [&ends[..], &[Heard::NotTheProvider]].concat() {
        let mut world = World::new(false);
        world.backlog(1..=80, "a");
        let first = world.is_out(4800, Heard::NotTheProvider);
        assert!(first > 100, "each row has met it: {first}");
        // The line is there for one sale.
        world.live(100, "b");
        world.ends(100, Heard::Confirmed);
        world.is_out(60, again);
        let tried = world.is_out(1800, again);
        assert!(tried < 120, "{tried} probes in half an hour: {again:?}");
        assert_eq!((world.lane.suspects().count(), world.pending.len()), (0, 80), "{again:?}");
        world.is_out(120, Heard::Confirmed);
        assert_eq!(world.pending.len(), 0, "{again:?}");
    }
}

#[test]
fn however_many_rows_a_firewall_blocks_or_resets_those_behind_them_are_delivered() {
    for fault in [Heard::NotTheProvider, Heard::Reset] {
        for blocked in [6, 9, 30] {
            let mut world = World::new(false);
            world.backlog(1..=blocked + 200, "a");
            let mut seconds = 0;
            while world.pending.len() > usize::try_from(blocked).unwrap() {
                world.passes(ms(100));
                for seq in world.on_the_wire() {
                    world.ends(seq, if seq <= blocked { fault } else { Heard::Confirmed });
                }
                seconds += 1;
                assert!(seconds < 20_000, "{blocked} {fault:?}: {} wait", world.pending.len());
            }
            println!("{blocked} {fault:?}: {} s", seconds / 10);
        }
    }
}

#[test]
fn a_till_whose_rows_alone_are_refused_goes_last() {
    let mut world = World::new(false);
    world.backlog(1..=30, "a");
    world.backlog(31..=33, "b");
    let mut order = Vec::new();
    for _ in 0..40 {
        world.work();
        let Some(seq) = world.on_the_wire().first().copied() else { break };
        order.push(seq);
        world.ends(seq, if seq > 30 { Heard::Confirmed } else { STRONG });
    }
    assert_eq!(order.iter().position(|seq| *seq == 31), Some(10), "{order:?}");
    assert_eq!(order.len(), 10 + 3 + 10, "nobody else is left: the drain is held");
    assert_eq!(world.lane.link().why().map(|why| why.cause), Some(Cause::Declines));
    world.live(50, "c");
    assert_eq!(world.on_the_wire(), [50], "tills are asked");
}

#[test]
fn the_drain_and_live_rows_have_slots_of_their_own() {
    let mut world = World::new(false);
    world.backlog(1..=3, "a");
    world.work();
    (10..14).for_each(|seq| world.live(seq, "b"));
    assert_eq!(world.on_the_wire(), [1, 10, 11, 12, 13]);
    assert_eq!(world.lane.flying(), Flying { backlog: 1, live: 4 });
}

#[test]
fn in_trouble_that_may_be_one_rows_the_drain_probes_and_any_live_verdict_brings_it_up() {
    let mut world = World::new(false);
    world.backlog(1..=9, "z");
    world.work();
    world.ends(1, Heard::NotTheProvider);
    assert!(!world.lane.link().is_up(world.now) && world.lane.takes_live());
    world.live(50, "a");
    world.ends(50, WEAK);
    assert!(world.lane.link().is_up(world.now));
}

#[test]
fn a_store_that_takes_nothing_is_asked_again_a_second_later() {
    let mut world = World::new(false);
    world.gives = false;
    world.backlog([1], "a");
    world.work();
    world.passes(ms(5500));
    assert!((5..=7).contains(&world.asks.len()), "{}", world.asks.len());
    world.gives = true;
    world.passes(ms(1000));
    assert_eq!(world.on_the_wire(), [1]);
}

#[test]
fn a_stop_gives_back_what_is_claimed_and_turns_tills_away() {
    let mut world = World::new(false);
    world.backlog(1..=9, "z");
    (0..12).for_each(|seq| world.live(seq + 50, "a"));
    world.lane.stop();
    world.work();
    assert_eq!(world.told.len(), 4);
    assert_eq!(world.claimed.len(), world.sent.len());
    world.cut_nothing();
}

impl World {
    /// What is on the wire ends without a new attempt.
    fn cut_nothing(&mut self) {
        for seq in self.on_the_wire() {
            self.ends(seq, Heard::Confirmed);
        }
        self.passes(ms(10_000));
        assert!(self.sent.is_empty() && self.claimed.is_empty());
    }
}

#[test]
fn an_operators_hold_turns_tills_away_unless_it_lets_them_be_trusted() {
    for (trust, told) in
        [(false, Told::TurnedAway { retry_after_s: None }), (true, Told::Unreachable)]
    {
        let mut world = World::new(false);
        (0..9).for_each(|seq| world.live(seq, "a"));
        world.lane.on(world.now, LaneEvent::Hold { detail: "held by ann".to_owned(), trust });
        world.work();
        assert_eq!(world.told, [(8, told)]);
        assert!(!world.lane.takes_live());
    }
}

#[test]
fn the_link_is_found_again_by_a_probe_and_the_backlog_drains() {
    let mut world = World::new(false);
    world.cut();
    world.backlog(2..=20, "z");
    world.passes(ms(2000));
    assert_eq!(world.sent.len(), 1, "one probe at a time");
    let mut done = 0;
    while let Some(seq) = world.on_the_wire().first().copied() {
        world.ends(seq, Heard::Confirmed);
        world.passes(ms(10));
        done += 1;
    }
    assert_eq!((done, world.pending.len()), (20, 0));
}

impl World {
    /// What is on the wire ends without an answer, and the store does not take the end yet: the row
    /// stays claimed.
    fn ends_unwritten(&mut self, seq: i64, heard: Heard) {
        self.sent.retain(|(sent, _)| *sent != seq);
        let landed =
            Landed { seq: Seq(seq), heard, detail: "seen", kind: "no", whole: true, denied: false };
        self.lane.on(self.now, LaneEvent::Landed(landed));
        self.work();
    }

    /// The store takes again what it had refused: these rows are not claimed any more.
    fn written_late(&mut self, rows: &[i64]) {
        for seq in rows {
            assert!(self.claimed.remove(&Seq(*seq)), "{seq}");
        }
        self.lane.on(self.now, LaneEvent::WrittenLate);
        self.work();
    }
}

#[test]
fn a_row_whose_end_is_written_after_the_backlog_was_looked_through_is_sent_again() {
    let mut world = World::new(false);
    world.backlog(1..=3, "a");
    world.work();
    world.ends_unwritten(1, Heard::NoAnswer(Phase::Connect));
    world.passes(ms(2000));
    while let Some(seq) = world.on_the_wire().first().copied() {
        world.ends(seq, Heard::Confirmed);
        world.passes(ms(2000));
    }
    world.passes(ms(600_000));
    assert_eq!((world.on_the_wire(), world.pending.len()), (vec![], 1), "it is claimed");
    world.lane.on(world.now, LaneEvent::Settled(Seq(1), true));
    world.written_late(&[1]);
    assert_eq!(world.on_the_wire(), [1]);
}

#[test]
fn rows_that_lose_their_claim_late_are_claimed_again() {
    let mut world = World::new(false);
    world.backlog(1..=9, "a");
    // They are claimed by a claim whose giving back the store did not take: nobody else finds them.
    world.claimed.extend((4..=9).map(Seq));
    world.work();
    while let Some(seq) = world.on_the_wire().first().copied() {
        world.ends(seq, Heard::Confirmed);
        world.passes(ms(10));
    }
    world.passes(ms(600_000));
    assert_eq!(world.pending.len(), 6);
    world.written_late(&[4, 5, 6, 7, 8, 9]);
    while let Some(seq) = world.on_the_wire().first().copied() {
        world.ends(seq, Heard::Confirmed);
        world.passes(ms(10));
    }
    assert_eq!(world.pending.len(), 0);
}

#[test]
fn a_flush_tries_the_rows_that_wait_alone_at_once() {
    let mut world = World::new(false);
    world.backlog(1..=4, "a");
    world.work();
    for seq in 1..=3 {
        let heard = if seq == 2 { DEFECT } else { Heard::Confirmed };
        while !world.on_the_wire().contains(&seq) {
            world.passes(ms(10));
        }
        world.ends(seq, heard);
    }
    world.passes(ms(100));
    world.ends(4, Heard::Confirmed);
    for _ in 0..6 {
        while !world.on_the_wire().contains(&2) {
            world.passes(ms(1000));
        }
        world.ends(2, DEFECT);
    }
    world.passes(ms(100));
    assert_eq!(world.on_the_wire(), [0; 0], "it waits its own backoff");
    world.lane.on(world.now, LaneEvent::Nudged(Nudge::Flush));
    world.work();
    assert_eq!(world.on_the_wire(), [2]);
}

#[test]
fn nothing_stays_behind_whatever_ends_comes_again_or_is_taken_back_and_in_whatever_order() {
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let mut world = World::new(seed % 2 == 0);
        world.late = Some(Vec::new());
        (0..300).for_each(|step| world.anything(&mut dice, step));
        world.is_well();
        let (pending, claimed) = (world.pending.keys().collect::<Vec<_>>(), &world.claimed);
        assert!(pending.is_empty() && claimed.is_empty(), "{seed}: {pending:?}, {claimed:?}");
    }
}

#[test]
fn who_is_suspect_and_was_taken_back_is_forgotten_when_it_would_be_due() {
    let mut world = World::new(false);
    world.live(1, "a");
    world.ends(1, Heard::Credential);
    world.pending.remove(&Seq(1));
    world.live(2, "b");
    world.ends(2, Heard::Confirmed);
    assert_eq!(world.lane.suspects().collect::<Vec<_>>(), [Seq(1)]);
    world.passes(ms(60_000));
    assert_eq!(world.lane.suspects().next(), None);
}

impl World {
    /// The lane is down, and all that is left is row 1, which failed by itself and waits long. What
    /// claims give is told later.
    fn is_down_and_row_one_waits_long() -> Self {
        let mut world = Self::new(false);
        world.backlog([1], "z");
        world.work();
        for _ in 0..12 {
            world.ends(1, DEFECT);
            world.live(2, "b");
            world.ends(2, Heard::Confirmed);
            world.passes(ms(900_000));
        }
        world.ends(1, DEFECT);
        world.live(2, "b");
        world.ends(2, Heard::NoAnswer(Phase::Connect));
        world.pending.remove(&Seq(2));
        world.passes(ms(5000));
        let next = world.lane.next_moment(world.now).expect("row 1 waits");
        assert!(next > world.now + ms(60_000) && world.on_the_wire().is_empty(), "{next:?}");
        world.late = Some(Vec::new());
        world
    }

    /// Row 60 is given on trust. The lane hears of it if it wants to.
    fn is_given(&mut self) {
        self.backlog([60], "b");
        if self.lane.wants_signal() {
            self.lane.on(self.now, LaneEvent::Signalled(Seq(60)));
        }
        self.work();
    }

    /// What was done is told now, and from now on at once.
    fn tells_all(&mut self) {
        for event in self.late.take().into_iter().flatten() {
            self.lane.on(self.now, event);
        }
        self.work();
    }
}

/// What else may happen while a claim is on its way.
type Meanwhile = fn(&mut World);

#[test]
fn what_was_given_while_a_claim_found_nothing_is_tried_within_three_seconds() {
    let nothing: Meanwhile = |_| {};
    let held: Meanwhile = |world| {
        let detail = "held by ann".to_owned();
        world.lane.on(world.now, LaneEvent::Hold { detail, trust: true });
        world.work();
    };
    let let_go: Meanwhile = |world| {
        world.lane.on(world.now, LaneEvent::Nudged(Nudge::Release));
        world.work();
    };
    let network = LaneEvent::Nudged(Nudge::Network);
    // Row 3 was taken back before it could be claimed.
    let taken_back = LaneEvent::Signalled(Seq(3));
    for (why, before, after) in
        [(&network, nothing, nothing), (&taken_back, nothing, nothing), (&network, held, let_go)]
    {
        let mut world = World::is_down_and_row_one_waits_long();
        world.lane.on(world.now, why.clone());
        world.work();
        let claims = world.late.as_deref().unwrap_or_default();
        assert!(matches!(claims, [LaneEvent::Claimed(_, Some(rows))] if rows.is_empty()));
        before(&mut world);
        world.is_given();
        after(&mut world);
        world.tells_all();
        world.passes(ms(3000));
        assert_eq!(world.on_the_wire(), [60], "{why:?}");
    }
}

#[test]
fn what_a_probe_did_not_find_since_it_was_not_written_yet_is_tried_within_three_seconds() {
    let mut world = World::is_down_and_row_one_waits_long();
    world.backlog([60], "b");
    world.claimed.insert(Seq(60));
    world.lane.on(world.now, LaneEvent::Nudged(Nudge::Network));
    world.work();
    world.tells_all();
    world.passes(ms(3000));
    assert_eq!(world.on_the_wire(), [0; 0], "it is claimed");
    world.written_late(&[60]);
    world.passes(ms(3000));
    assert_eq!(world.on_the_wire(), [60]);
}

/// A lane that is held for declines finds out by the row that was asked for alone that the line is
/// back.
#[test]
fn a_demand_outlasts_a_store_that_takes_nothing_and_a_hold() {
    let a_hold_lasts: Meanwhile = |world| {
        let detail = "held by ann".to_owned();
        world.lane.on(world.now, LaneEvent::Hold { detail, trust: true });
        world.tells_all();
        world.lane.on(world.now, LaneEvent::Nudged(Nudge::Release));
        world.work();
    };
    let any_row_may_wait: Meanwhile = |world| {
        world.tells_all();
        world.lane.on(world.now, LaneEvent::Signalled(Seq(0)));
    };
    let the_store_is_busy: Meanwhile = World::tells_all;
    for (gives, meanwhile) in
        [(true, a_hold_lasts), (false, any_row_may_wait), (false, the_store_is_busy)]
    {
        let mut world = World::new(false);
        world.backlog(1..=12, "a");
        world.work();
        while let Some(seq) = world.on_the_wire().first().copied() {
            world.ends(seq, STRONG);
            world.passes(ms(10));
        }
        world.live(50, "b");
        world.ends(50, Heard::NoAnswer(Phase::Connect));
        world.passes(ms(5000));
        assert!(world.lane.link().probes_on_demand_alone() && world.on_the_wire().is_empty());
        (world.late, world.gives) = (Some(Vec::new()), gives);
        world.is_given();
        meanwhile(&mut world);
        world.gives = true;
        world.passes(ms(3000));
        assert_eq!(world.on_the_wire(), [60]);
    }
}
