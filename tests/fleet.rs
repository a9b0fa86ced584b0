//! A region comes back from an outage all at once: 5,000 real lanes in virtual time before a
//! provider that has a limit.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy knows tests by their attribute alone"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "some hundred thousand rows and requests: each fits each type"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use redeemd::link::{self, Dice, Heard, Nudge, Outages, backoff};
use redeemd::redemption::{Fingerprint, Seq};
use redeemd::schedule::{Action, Ask, ClaimedRow, Config, Landed, LaneEvent as Told, Scheduler};
use redeemd::trust::EvidenceTerms;
use redeemd::verdict::Phase;

const SEED: u64 = 20_261_123;
const GATEWAYS: usize = 5000;
/// Redemptions that a gateway accepted in the outage, on average.
const BACKLOG_MEAN: f64 = 16.0;
/// What the provider can answer in a second.
const CAPACITY: u32 = 400;
/// A new redemption at each gateway so often, on average.
const LIVE_EVERY: Duration = Duration::from_secs(120);
/// What a busy provider asks for.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Above so much work ahead, the provider is busy.
const QUEUE: Duration = Duration::from_millis(500);
/// A silent provider queues so much work, done or not done in time.
const QUEUE_SILENT: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
const OUTAGE: Duration = Duration::from_secs(2 * 3600);
/// All lines come back within this time.
const RESTORED_WITHIN: Duration = Duration::from_secs(1);
/// A drain that lasts longer is not waited for.
const GIVE_UP: Duration = Duration::from_secs(1800);
/// What a client without manners does after any failure.
const NAIVE_RETRY: Duration = Duration::from_secs(9);
/// So long a till waits for the provider's own answer.
const REPLY_WITHIN: Duration = Duration::from_secs(4);
/// It is watched no longer than this.
const NAIVE_WATCHED: Duration = Duration::from_secs(30);

/// How the provider says that it has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    RetryAfter,
    TooMany,
    Silent,
    /// As `RetryAfter`, and it never takes the oldest code of any gateway.
    OneCode,
}

/// Who comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// The link with the default settings.
    Redeemd,
    /// The link without a spread.
    NoSpread,
    /// Eight at once from the first moment, each again after a fixed time.
    Naive,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    /// The gateway's link has something to do.
    Wake,
    /// Its line is back.
    Restored,
    /// A till redeems.
    Till,
    /// A request reaches the provider.
    Request { row: i64, sent: Duration },
    /// Its end reaches the gateway.
    Ended { row: i64, heard: Heard },
}

struct Event {
    at: Duration,
    order: u64,
    gateway: usize,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

struct Gateway {
    lane: Scheduler,
    dice: Dice,
    round_trip: Duration,
    /// Of who has no manners: attempts on the wire.
    flying: u32,
    /// Rows that are pending and not claimed.
    pending: BTreeSet<i64>,
    /// Until when a till waits for its row.
    waited_for: BTreeMap<i64, Duration>,
    /// Rows with a backoff of their own: failures, and until when.
    waits: BTreeMap<i64, (u32, Duration)>,
    rows: i64,
    /// Of the outage's rows, how many are not confirmed.
    old_left: i64,
    old: i64,
    wake_at: Option<Duration>,
    /// The floor that the last `Retry-After` set.
    not_before: Duration,
}

/// A line of the table.
#[derive(Debug)]
struct Outcome {
    busy: Busy,
    manners: Manners,
    /// The most requests in a second after the lines' return.
    peak: u32,
    /// The most in a second once the first half minute is over.
    peak_later: u32,
    requests: u64,
    rows: i64,
    undelivered: i64,
    /// Requests before a gateway's `Retry-After` was over.
    early: u64,
    /// When each gateway had delivered what it accepted in the outage.
    finished: Vec<Duration>,
    events: u64,
}

impl Outcome {
    fn ideal(&self) -> Duration {
        Duration::from_secs_f64(rows_f64(self.rows) / f64::from(CAPACITY))
    }

    fn finish(&self, part: f64) -> Duration {
        let index = (rows_f64(i64::try_from(self.finished.len()).unwrap()) * part) as usize;
        self.finished
            .get(index.min(self.finished.len().saturating_sub(1)))
            .copied()
            .unwrap_or(GIVE_UP)
    }

    fn drained(&self) -> Duration {
        if self.undelivered == 0 { self.finish(1.0) } else { GIVE_UP }
    }

    fn a_row_took(&self) -> f64 {
        self.requests as f64 / rows_f64(self.rows)
    }
}

fn rows_f64(rows: i64) -> f64 {
    f64::from(i32::try_from(rows).unwrap())
}

/// The provider: a queue before a server that does so many a second.
struct Provider {
    busy: Busy,
    free_at: Duration,
}

impl Provider {
    /// When the answer leaves, and what it is; `None`: it never does.
    fn take(&mut self, now: Duration) -> Option<(Duration, Heard)> {
        let ahead = self.free_at.saturating_sub(now);
        let room = if self.busy == Busy::Silent { QUEUE_SILENT } else { QUEUE };
        if ahead <= room {
            self.free_at = self.free_at.max(now) + Duration::from_secs(1) / CAPACITY;
            return Some((self.free_at, Heard::Confirmed));
        }
        match self.busy {
            Busy::RetryAfter | Busy::OneCode => {
                Some((now, Heard::Wait { at_least: Some(RETRY_AFTER), limited: false }))
            }
            Busy::TooMany => Some((now, Heard::Wait { at_least: None, limited: true })),
            Busy::Silent => None,
        }
    }
}

struct Fleet {
    manners: Manners,
    provider: Provider,
    gateways: Vec<Gateway>,
    events: BinaryHeap<Reverse<Event>>,
    order: u64,
    now: Duration,
    per_second: Vec<u32>,
    outcome: Outcome,
}

fn config(manners: Manners, gateway: usize) -> Config {
    let Fingerprint(hash) = Fingerprint::of(&["place", &format!("branch-{gateway:04}"), "retm"]);
    let place = f64::from(u16::from_be_bytes([hash[0], hash[1]])) / f64::from(u16::MAX);
    let reconnect_spread = Duration::from_secs(if manners == Manners::Redeemd { 5 } else { 0 });
    let (retry_min, retry_max) = (Duration::from_secs(1), Duration::from_secs(60));
    let link =
        link::LinkSettings { retry_min, retry_max, max_in_flight: 8, reconnect_spread, place };
    let recent = retry_max + TIMEOUT;
    let terms =
        EvidenceTerms { reply_within: REPLY_WITHIN, recent, checks: false, one_till: false };
    Config { link, terms, checks_show_the_link: true }
}

/// Most branches have few, some have many: exponential in what is left of a fraction, with the mean
/// wanted.
fn backlog(dice: &mut Dice) -> i64 {
    (1.0 - BACKLOG_MEAN * (1.0 - dice.fraction()).ln()) as i64
}

impl Gateway {
    fn new(manners: Manners, number: usize) -> Self {
        let mut dice = Dice::new(SEED ^ (number as u64) << 20);
        let lane = Scheduler::new(config(manners, number), dice.bits(), Outages::default());
        let old = backlog(&mut dice);
        let mut gateway = Self {
            lane,
            round_trip: dice.between(Duration::from_millis(20), Duration::from_millis(150)),
            dice,
            flying: 0,
            pending: (1..=old).collect(),
            waited_for: BTreeMap::new(),
            waits: BTreeMap::new(),
            rows: old,
            old_left: old,
            old,
            wake_at: None,
            not_before: Duration::ZERO,
        };
        for seq in gateway.work(Duration::ZERO) {
            gateway.ended(Duration::ZERO, seq, Heard::NoAnswer(Phase::Connect));
        }
        gateway.work(Duration::ZERO);
        gateway
    }

    /// Does what the lane says, as the forwarder and the store do; the rows that are sent.
    fn work(&mut self, now: Duration) -> Vec<i64> {
        let mut sent = Vec::new();
        loop {
            let actions = self.lane.work(now);
            if actions.is_empty() {
                return sent;
            }
            for action in actions {
                match action {
                    Action::Send(seq, progress) => {
                        progress.note_whole(Duration::ZERO);
                        sent.push(seq.0);
                    }
                    Action::Claim(ask) => {
                        let rows = self.claim(&ask);
                        self.lane.on(now, Told::Claimed(ask, Some(rows)));
                    }
                    Action::Unclaim(rows) => self.pending.extend(rows.iter().map(|(seq, _)| seq.0)),
                    Action::Check(..) | Action::Tell(..) | Action::DropPool | Action::Changed => {}
                }
            }
        }
    }

    fn claim(&mut self, ask: &Ask) -> Vec<ClaimedRow> {
        let preferred = ask.prefer.iter().map(|seq| seq.0).filter(|row| self.pending.contains(row));
        let after = ask.after.0.saturating_add(1);
        let others = self.pending.range(after..).copied();
        let others = others
            .filter(|row| !ask.except.contains(&Seq(*row)) && !ask.prefer.contains(&Seq(*row)));
        let rows: Vec<i64> = preferred.chain(others).take(ask.rows_max).collect();
        for row in &rows {
            self.pending.remove(row);
        }
        rows.into_iter().map(row).collect()
    }

    /// An attempt's end, settled at once.
    fn ended(&mut self, now: Duration, row: i64, heard: Heard) {
        let whole = heard != Heard::NoAnswer(Phase::Connect);
        self.lane.on(
            now,
            Told::Landed(Landed {
                seq: Seq(row),
                heard,
                detail: "",
                kind: "",
                whole,
                denied: false,
            }),
        );
        let pending = !heard.is_answer();
        if pending {
            self.pending.insert(row);
        }
        self.lane.on(now, Told::Settled(Seq(row), pending));
    }

    /// Of who has no manners: the next row, one whose own wait is over, else the oldest.
    fn next_row(&mut self, now: Duration) -> Option<i64> {
        let due = self.waits.iter().find(|(_, (_, until))| *until <= now).map(|(row, _)| *row);
        if let Some(row) = due {
            self.waits.get_mut(&row).unwrap().1 = Duration::MAX;
            return Some(row);
        }
        self.pending.pop_first()
    }

    fn first_due(&self, now: Duration) -> Option<Duration> {
        self.waits
            .values()
            .map(|(_, until)| *until)
            .filter(|until| *until > now && *until < Duration::MAX)
            .min()
    }
}

/// Some till of a few.
fn row(row: i64) -> ClaimedRow {
    let till = format!("till-{}", row % 3).into();
    ClaimedRow { seq: Seq(row), attempt: 1, till, trusted: false, bytes: 200 }
}

impl Fleet {
    fn new(busy: Busy, manners: Manners) -> Self {
        let mut gateways: Vec<_> =
            (0..GATEWAYS).map(|number| Gateway::new(manners, number)).collect();
        for gateway in &mut gateways {
            gateway.old_left -= i64::from(busy == Busy::OneCode);
        }
        let rows = gateways.iter().map(|gateway| gateway.old_left).sum();
        let mut fleet = Self {
            manners,
            provider: Provider { busy, free_at: Duration::ZERO },
            gateways,
            events: BinaryHeap::new(),
            order: 0,
            now: OUTAGE,
            per_second: Vec::new(),
            outcome: Outcome {
                busy,
                manners,
                peak: 0,
                peak_later: 0,
                requests: 0,
                rows,
                undelivered: rows,
                early: 0,
                finished: Vec::new(),
                events: 0,
            },
        };
        for number in 0..GATEWAYS {
            let dice = &mut fleet.gateways[number].dice;
            let restored = dice.between(OUTAGE, OUTAGE + RESTORED_WITHIN);
            let till = dice.between(OUTAGE, OUTAGE + LIVE_EVERY);
            fleet.at(restored, number, What::Restored);
            fleet.at(till, number, What::Till);
        }
        fleet
    }

    fn at(&mut self, at: Duration, gateway: usize, what: What) {
        self.order += 1;
        self.events.push(Reverse(Event { at, order: self.order, gateway, what }));
    }

    fn run(mut self) -> Outcome {
        while self.outcome.undelivered > 0
            && let Some(Reverse(event)) = self.events.pop()
            && event.at < OUTAGE + self.watched()
        {
            self.now = event.at;
            self.outcome.events += 1;
            self.happens(event.gateway, event.what);
        }
        self.outcome.peak = self.per_second.iter().copied().max().unwrap_or(0);
        self.outcome.peak_later = self.per_second.iter().skip(30).copied().max().unwrap_or(0);
        self.outcome
    }

    fn watched(&self) -> Duration {
        if self.manners == Manners::Naive { NAIVE_WATCHED } else { GIVE_UP }
    }

    #[expect(clippy::needless_pass_by_value, reason = "what happened is over")]
    fn happens(&mut self, number: usize, what: What) {
        match what {
            What::Wake => self.gateways[number].wake_at = None,
            What::Restored => {
                self.gateways[number].lane.on(self.now, Told::Nudged(Nudge::Network));
            }
            What::Till => self.redeemed(number),
            What::Request { row, sent } => return self.requested(number, row, sent),
            What::Ended { row, heard } => self.ended(number, row, heard),
        }
        if self.manners == Manners::Naive { self.rush(number) } else { self.work(number) }
    }

    fn redeemed(&mut self, number: usize) {
        let gateway = &mut self.gateways[number];
        gateway.rows += 1;
        let seq = gateway.rows;
        if self.manners != Manners::Naive && gateway.lane.takes_live() {
            gateway.waited_for.insert(seq, self.now + REPLY_WITHIN);
            gateway.lane.on(self.now, Told::HandedOver(row(seq)));
        } else {
            gateway.pending.insert(seq);
            gateway.lane.on(self.now, Told::Signalled(Seq(seq)));
        }
        let next = gateway.dice.between(Duration::ZERO, LIVE_EVERY * 2);
        self.at(self.now + next, number, What::Till);
    }

    fn requested(&mut self, number: usize, row: i64, sent: Duration) {
        self.outcome.requests += 1;
        let second = usize::try_from(self.now.saturating_sub(OUTAGE).as_secs()).unwrap();
        if self.per_second.len() <= second {
            self.per_second.resize(second + 1, 0);
        }
        self.per_second[second] += 1;
        let half_way = self.gateways[number].round_trip / 2;
        let limited = Heard::Wait { at_least: None, limited: true };
        let answer = if self.provider.busy == Busy::OneCode && row == 1 {
            Some((self.now, limited))
        } else {
            self.provider.take(self.now)
        };
        let answer = answer.map(|(left, heard)| (left + half_way, heard));
        let (at, heard) = answer
            .filter(|(at, _)| *at <= sent + TIMEOUT)
            .unwrap_or((sent + TIMEOUT, Heard::NoAnswer(Phase::Answer)));
        self.at(at, number, What::Ended { row, heard });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others change nothing here")]
    fn ended(&mut self, number: usize, row: i64, heard: Heard) {
        let (now, gateway) = (self.now, &mut self.gateways[number]);
        match heard {
            Heard::Confirmed => {
                gateway.waits.remove(&row);
                if row <= gateway.old {
                    gateway.old_left -= 1;
                    self.outcome.undelivered -= 1;
                    if gateway.old_left == 0 {
                        self.outcome.finished.push(now.saturating_sub(OUTAGE));
                    }
                }
            }
            Heard::Wait { at_least, .. } => {
                gateway.not_before = gateway.not_before.max(now + at_least.unwrap_or_default());
            }
            _ => {}
        }
        if self.manners != Manners::Naive {
            return gateway.ended(now, row, heard);
        }
        gateway.flying -= 1;
        if heard != Heard::Confirmed {
            self.again(number, row);
        }
    }

    fn again(&mut self, number: usize, row: i64) {
        let (now, gateway) = (self.now, &mut self.gateways[number]);
        let failures = gateway.waits.get(&row).map_or(0, |(failures, _)| *failures) + 1;
        // Even who has no manners is rarely in step with everybody.
        let wait =
            backoff(&mut gateway.dice, 1, NAIVE_RETRY, NAIVE_RETRY + Duration::from_millis(500));
        gateway.waits.insert(row, (failures, now + wait));
    }

    fn work(&mut self, number: usize) {
        let now = self.now;
        for row in self.gateways[number].work(now) {
            self.send(number, row);
        }
        let next = self.gateways[number].lane.next_moment(now);
        self.wake(number, next);
    }

    fn rush(&mut self, number: usize) {
        let now = self.now;
        while self.gateways[number].flying < 8 {
            let Some(row) = self.gateways[number].next_row(now) else { break };
            self.gateways[number].flying += 1;
            self.send(number, row);
        }
        let next = self.gateways[number].first_due(now);
        self.wake(number, next);
    }

    fn wake(&mut self, number: usize, next: Option<Duration>) {
        let wake_at = &mut self.gateways[number].wake_at;
        if let Some(next) = next
            && wake_at.is_none_or(|at| next < at)
        {
            *wake_at = Some(next);
            self.at(next, number, What::Wake);
        }
    }

    fn send(&mut self, number: usize, row: i64) {
        let (now, gateway) = (self.now, &mut self.gateways[number]);
        // What a till waits for is asked whatever the drain has to wait for.
        let live = gateway.waited_for.get(&row).is_some_and(|until| now < *until);
        self.outcome.early += u64::from(!live && now < gateway.not_before);
        let arrives = now + gateway.round_trip / 2;
        self.at(arrives, number, What::Request { row, sent: now });
    }
}

fn line(outcome: &Outcome) -> String {
    let busy = match outcome.busy {
        Busy::RetryAfter => "503, Retry-After: 10",
        Busy::OneCode => "and 429 to one code",
        Busy::TooMany => "429",
        Busy::Silent => "no answer in time",
    };
    let who = match outcome.manners {
        Manners::Redeemd => "redeemd",
        Manners::NoSpread => "no spread",
        Manners::Naive => "8 at once",
    };
    let seconds = |duration: Duration| {
        if duration >= GIVE_UP {
            "never".to_owned()
        } else {
            format!("{:.0} s", duration.as_secs_f64())
        }
    };
    format!(
        "{busy:<21} {who:<10} {:>7} {:>7} {:>8.2} {:>8} {:>6} {:>6} {:>6} {:>7} {:>8}",
        outcome.peak,
        outcome.peak_later,
        outcome.a_row_took(),
        seconds(outcome.drained()),
        seconds(outcome.finish(0.5)),
        seconds(outcome.finish(0.95)),
        outcome.undelivered,
        outcome.early,
        outcome.events,
    )
}

fn heading(outcome: &Outcome) {
    println!(
        "seed {SEED}: {GATEWAYS} gateways with {} redemptions, all lines back within {} s; the \
         provider answers {CAPACITY}/s: {:.0} s at best",
        outcome.rows,
        RESTORED_WITHIN.as_secs(),
        outcome.ideal().as_secs_f64()
    );
    println!(
        "{:<21} {:<10} {:>7} {:>7} {:>8} {:>8} {:>6} {:>6} {:>6} {:>7} {:>8}",
        "a busy provider says",
        "the fleet",
        "peak/s",
        "later",
        "req/row",
        "drained",
        "p50",
        "p95",
        "left",
        "early",
        "events"
    );
}

/// The fleet's drain; prints its line of the table.
fn play(busy: Busy, manners: Manners) -> Outcome {
    let outcome = Fleet::new(busy, manners).run();
    if manners == Manners::Redeemd {
        heading(&outcome);
    }
    println!("{}", line(&outcome));
    outcome
}

/// What holds however the provider says that it has enough. `slower` is how much longer than at
/// best it may take.
fn assert_manners(outcome: &Outcome, slower: f64) {
    assert_eq!((outcome.undelivered, outcome.early), (0, 0), "{outcome:?}");
    let bound = outcome.ideal().mul_f64(slower);
    assert!(
        outcome.drained() <= bound,
        "drained after {:?}, may take {bound:?}",
        outcome.drained()
    );
    // The lines' return is a network event: each gateway may probe once at that moment, and not
    // more.
    assert!(outcome.peak as usize <= GATEWAYS, "{} in a second", outcome.peak);
    assert!(outcome.peak_later <= 4 * CAPACITY, "{} in a later second", outcome.peak_later);
    // Nobody waits much longer than most.
    assert!(outcome.finish(1.0) <= outcome.finish(0.95).mul_f64(1.35), "{:?}", outcome.finish(1.0));
    assert!(outcome.finish(0.95) <= outcome.finish(0.5).mul_f64(2.5), "{:?}", outcome.finish(0.95));
}

// R7 of the faults of the link.
#[test]
fn a_region_that_comes_back_drains_nearly_at_the_providers_limit_and_nobody_is_early() {
    let ours = play(Busy::RetryAfter, Manners::Redeemd);
    let no_spread = play(Busy::RetryAfter, Manners::NoSpread);
    let naive = play(Busy::RetryAfter, Manners::Naive);
    assert_manners(&ours, 1.25);
    assert!(ours.a_row_took() <= 2.2, "{} requests a redemption", ours.a_row_took());
    assert_eq!(no_spread.early, 0, "a floor is a floor without jitter too");
    assert!(ours.drained().mul_f64(1.3) <= no_spread.drained(), "the spread pays");
    assert!(ours.peak_later * 2 <= no_spread.peak_later, "the spread pays");
    assert!(ours.peak * 4 <= naive.peak, "slow start pays: {} and {}", ours.peak, naive.peak);
    assert!(naive.early > 0, "the simulation sees who is early");
}

#[test]
fn a_region_that_comes_back_drains_before_a_provider_that_says_429_and_nothing_more() {
    let ours = play(Busy::TooMany, Manners::Redeemd);
    assert_manners(&ours, 1.5);
    assert!(ours.a_row_took() <= 3.2, "{} requests a redemption", ours.a_row_took());
}

#[test]
fn one_code_of_each_store_that_the_provider_limits_by_itself_keeps_no_other_from_it() {
    let ours = play(Busy::OneCode, Manners::Redeemd);
    assert_manners(&ours, 1.5);
    assert!(ours.a_row_took() <= 3.3, "{} requests a redemption", ours.a_row_took());
}

#[test]
fn a_region_that_comes_back_drains_before_a_provider_that_falls_silent_under_load() {
    let ours = play(Busy::Silent, Manners::Redeemd);
    assert_manners(&ours, 5.0);
    assert!(ours.a_row_took() <= 5.0, "{} requests a redemption", ours.a_row_took());
}
