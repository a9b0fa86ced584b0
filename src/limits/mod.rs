//! Pure: may this redemption be accepted on trust, under the offline limits and rules?

mod form;
mod room;
mod window;

use std::sync::Arc;
use std::time::Duration;

use crate::fold;
use crate::link::Cause;
use crate::settings::{Caps, Offline, Rule, RuleKeys};
use crate::trust::Trust;
use crate::value::{Amount, Checked, Remembered, Terms, Worth, worth};

pub use form::has_form;
pub use room::{NoRoom, Room, RoomBooks, RoomOf, room};
pub use window::{PackedWindow, REFUSED_MAX, REFUSED_WITHIN_MIN, Refusals, Window};

/// While the cause could be somebody's doing (a rogue certificate, a spoofed clock), only this part
/// of each limit on counts, sums and time is given.
const TENTH: u32 = 10;
/// Redemptions of reusable codes that a till is trusted with in an hour.
pub const REUSABLE_PER_HOUR: u64 = 60;
/// Businesses of a lane that are kept: beyond it none is known that was not before.
pub const BUSINESSES_MAX: usize = 1000;

/// What a decision needs to know of a lane, read on the writer's thread inside the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneNow {
    /// The provider can be asked: the lane is up, or its trouble may be one row's.
    pub ask: bool,
    /// Whether redemptions are accepted on trust.
    pub trust: Trust,
    /// Live redemptions are handed to the lane.
    pub live: bool,
    /// Why it is not up.
    pub cause: Option<Cause>,
    /// Rows pending in the lane.
    pub pending: u64,
    /// Rows of the till pending in the lane.
    pub till_pending: u64,
    /// How much of `max_outage` is used.
    pub outage: Duration,
    /// How long the present outage has lasted; `None`: none goes on.
    pub present: Option<Duration>,
    /// What is left of the provider's `Retry-After`, seconds.
    pub retry_after_s: Option<u64>,
}

impl Default for LaneNow {
    /// A lane that is up.
    fn default() -> Self {
        Self {
            ask: true,
            trust: Trust::Unanswered,
            live: true,
            cause: None,
            pending: 0,
            till_pending: 0,
            outage: Duration::ZERO,
            present: None,
            retry_after_s: None,
        }
    }
}

impl LaneNow {
    /// A lane whose provider cannot be reached.
    #[must_use]
    pub fn down() -> Self {
        let (trust, cause) = (Trust::AtOnce { tenth: false }, Some(Cause::Connect));
        Self { ask: false, live: false, trust, cause, ..Self::default() }
    }

    /// Each limit is divided by this.
    fn part(&self) -> u32 {
        if self.trust == (Trust::AtOnce { tenth: true }) { TENTH } else { 1 }
    }
}

/// What the books hold for a lane, a till in a lane, or a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Rows that were given on trust and are pending.
    pub pending: u64,
    /// What is at risk.
    pub exposure: Amount,
    /// Acceptances on trust in this minute and the 60 before it.
    pub hour: u64,
    /// In this hour and the 24 before it.
    pub day: u64,
}

/// Who asks, and for what: what a rule is found by.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The till.
    pub till: &'a str,
    /// The business, as it came.
    pub business: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// The code, as it came.
    pub code: &'a str,
    /// The check that is remembered of the code.
    pub checked: Option<&'a Remembered>,
    /// Why nobody can be asked.
    pub cause: Option<Cause>,
    /// The gateway's elapsed time, seconds.
    pub now_s: i64,
}

impl Subject<'_> {
    /// What a valid check said that is not older than this.
    fn terms(&self, within: Duration) -> Option<&Terms> {
        let checked = self.checked?;
        let age_s = u64::try_from(self.now_s.saturating_sub(checked.at_s)).unwrap_or(0);
        checked.terms().filter(|_| age_s <= within.as_secs())
    }
}

/// The first rule that fits.
#[must_use]
pub fn rule_for<'a>(policy: &'a Offline, subject: &Subject<'_>) -> Option<&'a Rule> {
    if policy.rules.is_empty() {
        return None;
    }
    // Once for all rules: folding takes memory.
    let folded = fold::code(subject.business);
    let Subject { till, branch, code, .. } = *subject;
    let kind = subject.checked.and_then(Remembered::terms).map(|terms| terms.kind.as_str());
    let keys = RuleKeys { till, business: &folded, branch, kind, code };
    policy.rules.near(&keys).find(|rule| fits(rule, subject, &folded, policy.checked_within))
}

fn fits(rule: &Rule, subject: &Subject<'_>, business: &str, within: Duration) -> bool {
    let has = |list: &[String], text: &str| list.is_empty() || list.iter().any(|own| own == text);
    let is_of_cause = || {
        rule.causes.is_empty() || subject.cause.is_some_and(|cause| rule.causes.contains(&cause))
    };
    has(&rule.tills, subject.till)
        && has(&rule.branches, subject.branch)
        && has(&rule.businesses, business)
        && is_of_cause()
        && is_checked(rule, subject, within)
        && rule.fits_code(subject.code)
}

/// Whether the rule is for a type, or for codes that were checked.
fn asks_for_check(rule: &Rule) -> bool {
    !rule.kinds.is_empty() || rule.checked_within.is_some()
}

/// Such a rule needs a check that is young enough.
fn is_checked(rule: &Rule, subject: &Subject<'_>, within: Duration) -> bool {
    if !asks_for_check(rule) {
        return true;
    }
    let terms = subject.terms(rule.checked_within.unwrap_or(within));
    terms.is_some_and(|terms| rule.kinds.is_empty() || rule.kinds.contains(&terms.kind))
}

/// Everything but the lane's own state that an acceptance on trust depends on.
#[derive(Clone, Copy, Debug)]
pub struct Risk<'a> {
    /// The rule that fits.
    pub rule: Option<&'a Rule>,
    /// The check that is remembered of the code.
    pub checked: Option<&'a Remembered>,
    /// The code, as it came.
    pub code: &'a str,
    /// It may be redeemed again and again.
    pub reusable: bool,
    /// The lane's books.
    pub lane: Account,
    /// The till's in the lane.
    pub till: Account,
    /// The rule's.
    pub of_rule: Account,
    /// Reusable codes that the till was trusted with in the last 60 minutes.
    pub reusable_hour: u64,
    /// So many codes were refused to the till that it is not trusted.
    pub refused: Option<u64>,
    /// The business is known in the lane, or nothing is.
    pub is_known: bool,
    /// Somebody switched trust off.
    pub is_off: bool,
    /// The minute of the local day; `None`: the clock is not trusted.
    pub local_min: Option<u16>,
}

impl Risk<'_> {
    /// Nothing is known and nothing was given yet.
    #[must_use]
    pub fn none() -> Self {
        Self {
            rule: None,
            checked: None,
            code: "",
            reusable: false,
            lane: Account::default(),
            till: Account::default(),
            of_rule: Account::default(),
            reusable_hour: 0,
            refused: None,
            is_known: true,
            is_off: false,
            local_min: None,
        }
    }

    /// What the redemption counts as.
    #[must_use]
    pub fn worth(&self, policy: &Offline) -> Worth {
        let terms = self.checked.and_then(Remembered::terms);
        worth(terms, policy.value_of_unknown, policy.value_of_unbounded)
    }
}

/// An offline limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `offline.accept` is false.
    NotAccepting,
    /// So many rows are pending in the lane.
    Pending(u64),
    /// So many rows of the till are pending in the lane.
    Till(u64),
    /// So much outage was used within `offline.max_outage`.
    Outage(Duration),
    /// Trust is switched off.
    Off,
    /// So many codes were refused to the till.
    Slowed(u64),
    /// The business was never confirmed here and no provider lists it.
    Business,
    /// A check was refused in these words.
    Refused(String),
    /// The code has not the form of one.
    Form,
    /// The redemption counts as more than this.
    Value(Amount),
    /// So much is at risk.
    Exposure(Amount),
    /// So many were accepted on trust within so many seconds.
    Rate(u64, u64),
    /// So many of the till were.
    TillRate(u64, u64),
    /// So many reusable codes in an hour at the till.
    Reusable(u64),
    /// It is not the time of the day.
    Hours,
    /// The time of the day counts, and the clock is not trusted.
    Clock,
    /// A limit of the rule of this name.
    Rule(Arc<str>, Box<Self>),
}

impl Limit {
    /// The limit itself, whosever it is.
    #[must_use]
    pub fn innermost(&self) -> &Self {
        if let Self::Rule(_, limit) = self { limit.innermost() } else { self }
    }

    /// The rule whose limit it is.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        if let Self::Rule(name, _) = self { Some(name) } else { None }
    }

    /// The key of the limit, where redemptions that were given use it up and a [`Gauge`] shows it.
    #[must_use]
    pub fn gauge_key(&self) -> Option<&'static str> {
        match self.innermost() {
            Self::Pending(_) => Some("max_pending"),
            Self::Exposure(_) => Some("max_exposure"),
            Self::Rate(_, HOUR_S) => Some("max_per_hour"),
            Self::Rate(..) => Some("max_per_day"),
            Self::NotAccepting
            | Self::Till(_)
            | Self::Outage(_)
            | Self::Off
            | Self::Slowed(_)
            | Self::Business
            | Self::Refused(_)
            | Self::Form
            | Self::Value(_)
            | Self::TillRate(..)
            | Self::Reusable(_)
            | Self::Hours
            | Self::Clock
            | Self::Rule(..) => None,
        }
    }
}

/// Seconds of an hour and of a day.
const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Whether one more redemption may be accepted on trust.
///
/// # Errors
/// The first limit that stands in the way.
pub fn admit(policy: &Offline, lane: &LaneNow, risk: &Risk<'_>) -> Result<(), Limit> {
    if risk.is_off {
        return Err(Limit::Off);
    }
    accepts(policy, risk.rule)?;
    if let Some(refused) = risk.refused {
        return Err(Limit::Slowed(refused));
    }
    if !risk.is_known {
        return Err(Limit::Business);
    }
    if let Some(Checked::Refused { strong: true, message }) =
        risk.checked.map(|known| &known.checked)
    {
        return Err(Limit::Refused(message.clone()));
    }
    fits_caps(policy, risk)?;
    of_lane(policy, lane)?;
    of_money(policy, lane, risk)?;
    risk.rule.map_or(Ok(()), |rule| of_rule(rule, lane, risk, policy))
}

fn accepts(policy: &Offline, rule: Option<&Rule>) -> Result<(), Limit> {
    match rule.and_then(|rule| Some((rule, rule.accept?))) {
        Some((_, true)) => Ok(()),
        Some((rule, false)) => Err(named(rule)(Limit::NotAccepting)),
        None if policy.accept => Ok(()),
        None => Err(Limit::NotAccepting),
    }
}

fn named(rule: &Rule) -> impl Fn(Limit) -> Limit {
    |limit| Limit::Rule(Arc::clone(&rule.name), Box::new(limit))
}

/// What stands for each redemption alone: the rule's own where it has one, else that of
/// `[offline]`.
fn fits_caps(policy: &Offline, risk: &Risk<'_>) -> Result<(), Limit> {
    let own = risk.rule.map(|rule| (rule, &rule.caps));
    let by = |has: Has| own.filter(|(_, caps)| has(caps));
    let checks: [(Has, LimitCheck); 3] = [
        (|caps| caps.code_form.is_some(), form_of),
        (|caps| caps.hours.is_some(), hours_of),
        (|caps| caps.max_value.is_some(), value_of),
    ];
    for (has, check) in checks {
        match by(has) {
            Some((rule, caps)) => check(caps, policy, risk).map_err(named(rule))?,
            None => check(&policy.caps, policy, risk)?,
        }
    }
    Ok(())
}

/// Whether a rule has a limit of its own.
type Has = fn(&Caps) -> bool;
/// What such a limit says.
type LimitCheck = fn(&Caps, &Offline, &Risk<'_>) -> Result<(), Limit>;

fn form_of(caps: &Caps, _: &Offline, risk: &Risk<'_>) -> Result<(), Limit> {
    let is_one = caps.code_form.is_none_or(|form| has_form(risk.code, form));
    if is_one { Ok(()) } else { Err(Limit::Form) }
}

fn hours_of(caps: &Caps, _: &Offline, risk: &Risk<'_>) -> Result<(), Limit> {
    match (caps.hours, risk.local_min) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Limit::Clock),
        (Some(hours), Some(minute)) if hours.has(minute) => Ok(()),
        (Some(_), Some(_)) => Err(Limit::Hours),
    }
}

fn value_of(caps: &Caps, policy: &Offline, risk: &Risk<'_>) -> Result<(), Limit> {
    let over = caps.max_value.filter(|most| risk.worth(policy).amount() > *most);
    over.map_or(Ok(()), |most| Err(Limit::Value(most)))
}

/// What is known of a lane without any redemption: `[offline]`'s limits on what is pending and on
/// the outage.
///
/// # Errors
/// The first limit that stands in the way.
pub fn of_lane(policy: &Offline, lane: &LaneNow) -> Result<(), Limit> {
    let part = lane.part();
    let max_pending = policy.max_pending / u64::from(part);
    let max_till = policy.max_pending_per_till / u64::from(part);
    let max_outage = policy.max_outage / part;
    if lane.pending >= max_pending {
        return Err(Limit::Pending(max_pending));
    }
    if lane.till_pending >= max_till {
        return Err(Limit::Till(max_till));
    }
    if lane.outage >= max_outage {
        return Err(Limit::Outage(max_outage));
    }
    Ok(())
}

/// `[offline]`'s limits on sums and rates.
fn of_money(policy: &Offline, lane: &LaneNow, risk: &Risk<'_>) -> Result<(), Limit> {
    let part = lane.part();
    exposed(policy.max_exposure, part, risk.lane, risk.worth(policy))?;
    rates(&policy.caps, part, risk.lane)?;
    let max_till = policy.max_per_hour_per_till / u64::from(part);
    if risk.till.hour >= max_till {
        return Err(Limit::TillRate(max_till, HOUR_S));
    }
    let max_reusable = REUSABLE_PER_HOUR / u64::from(part);
    if risk.reusable && risk.reusable_hour >= max_reusable {
        return Err(Limit::Reusable(max_reusable));
    }
    Ok(())
}

fn exposed(most: Amount, part: u32, books: Account, worth: Worth) -> Result<(), Limit> {
    let most = Amount(most.0 / i64::from(part));
    if books.exposure.plus(worth.amount()) > most { Err(Limit::Exposure(most)) } else { Ok(()) }
}

fn rates(caps: &Caps, part: u32, books: Account) -> Result<(), Limit> {
    for (most, count, within_s) in
        [(caps.max_per_hour, books.hour, HOUR_S), (caps.max_per_day, books.day, DAY_S)]
    {
        let most = most.map(|most| most / u64::from(part));
        if let Some(most) = most.filter(|most| count >= *most) {
            return Err(Limit::Rate(most, within_s));
        }
    }
    Ok(())
}

/// A rule's own limits on what it has let through.
fn of_rule(rule: &Rule, lane: &LaneNow, risk: &Risk<'_>, policy: &Offline) -> Result<(), Limit> {
    let (part, caps, books) = (lane.part(), &rule.caps, risk.of_rule);
    let pending =
        caps.max_pending.map(|most| most / u64::from(part)).filter(|most| books.pending >= *most);
    let outage = caps.max_outage.map(|most| most / part).filter(|most| lane.outage >= *most);
    let reached = match (pending, outage) {
        (Some(most), _) => Err(Limit::Pending(most)),
        (None, Some(most)) => Err(Limit::Outage(most)),
        (None, None) => Ok(()),
    };
    let exposure =
        || caps.max_exposure.map_or(Ok(()), |most| exposed(most, part, books, risk.worth(policy)));
    reached.and_then(|()| exposure()).and_then(|()| rates(caps, part, books)).map_err(named(rule))
}

/// The key of the limit of its own that a till has used up, if any; one of which it has used
/// nothing is none.
#[must_use]
pub fn used_up_by_till(policy: &Offline, lane: &LaneNow, till: Account) -> Option<&'static str> {
    let part = u64::from(lane.part());
    let limits = [
        ("max_pending_per_till", till.pending, policy.max_pending_per_till),
        ("max_per_hour_per_till", till.hour, policy.max_per_hour_per_till),
    ];
    let is_used_up = |(_, used, most): &(_, u64, u64)| *used > 0 && *used >= *most / part;
    limits.into_iter().find(is_used_up).map(|(limit, ..)| limit)
}

/// What is left of the limits that a redemption meets: the smallest of the lane's, the till's and
/// the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// So many more may be pending.
    pub pending: u64,
    /// So much more may be at risk.
    pub exposure: Amount,
    /// The outage may last so much longer.
    pub outage: Duration,
}

/// What is left. `risk` and `lane` are as the books stand now.
#[must_use]
pub fn headroom(policy: &Offline, lane: &LaneNow, risk: &Risk<'_>) -> Headroom {
    let part = lane.part();
    let caps = risk.rule.map(|rule| &rule.caps);
    let count = |most: u64, used: u64| (most / u64::from(part)).saturating_sub(used);
    let money = |most: Amount, used: Amount| Amount(most.0 / i64::from(part)).less(used);
    let time = |most: Duration| (most / part).saturating_sub(lane.outage);
    let pending = count(policy.max_pending, lane.pending)
        .min(count(policy.max_pending_per_till, lane.till_pending));
    let exposure = money(policy.max_exposure, risk.lane.exposure);
    let of_rule =
        caps.and_then(|caps| caps.max_pending).map(|most| count(most, risk.of_rule.pending));
    let at_risk =
        caps.and_then(|caps| caps.max_exposure).map(|most| money(most, risk.of_rule.exposure));
    let outage = caps.and_then(|caps| caps.max_outage).map(time);
    Headroom {
        pending: of_rule.map_or(pending, |left| left.min(pending)),
        exposure: at_risk.map_or(exposure, |left| left.min(exposure)),
        outage: outage.map_or(time(policy.max_outage), |left| left.min(time(policy.max_outage))),
    }
}

/// How far one limit is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// The rule whose limit it is; `None`: it is `[offline]`'s.
    pub rule: Option<Arc<str>>,
    /// The limit's key.
    pub limit: &'static str,
    /// What is used of it.
    pub used: Measure,
    /// What there is of it.
    pub most: Measure,
}

/// A count or an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// So many.
    Count(u64),
    /// So much.
    Money(Amount),
    /// So long, in whole seconds.
    Seconds(u64),
}

impl Measure {
    fn units(self) -> i128 {
        match self {
            Self::Count(number) | Self::Seconds(number) => i128::from(number),
            Self::Money(amount) => i128::from(amount.0),
        }
    }

    /// How much of `most` is used, in thousandths; all of it where there is nothing of it.
    #[must_use]
    pub fn thousandths(self, most: Self) -> u64 {
        let (used, most) = (self.units().max(0), most.units().max(0));
        let thousandths = used.saturating_mul(1000).checked_div(most).unwrap_or(1000).min(1000);
        u64::try_from(thousandths).unwrap_or(1000)
    }

    /// What is left between `self`, which is used, and `most`.
    #[must_use]
    pub fn left(self, most: Self) -> Self {
        match (self, most) {
            (Self::Count(used), Self::Count(most)) => Self::Count(most.saturating_sub(used)),
            (Self::Seconds(used), Self::Seconds(most)) => Self::Seconds(most.saturating_sub(used)),
            (Self::Money(used), Self::Money(most)) => Self::Money(most.less(used)),
            (Self::Count(_) | Self::Seconds(_) | Self::Money(_), most) => most,
        }
    }
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(number) | Self::Seconds(number) => number.fmt(f),
            Self::Money(amount) => amount.fmt(f),
        }
    }
}

impl Gauge {
    /// 0, 80 or 100: how far it is used, in percent, by the steps at which somebody is told. All of
    /// an amount is used when `next`, the value of one more redemption, is more than what is left.
    #[must_use]
    pub fn step(&self, next: Amount) -> u8 {
        let (used, most) = (self.used.units(), self.most.units());
        let next = if matches!(self.used, Measure::Money(_)) { i128::from(next.0) } else { 1 };
        match () {
            () if used + next > most => 100,
            () if used * 5 >= most * 4 => 80,
            () => 0,
        }
    }

    /// Of two gauges of one limit the one that leaves less.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let left = |gauge: &Self| gauge.most.units() - gauge.used.units();
        if left(&other) < left(&self) { other } else { self }
    }

    /// In how long time alone brings it to the next step; `None`: only redemptions do, or it is
    /// used up.
    #[must_use]
    pub fn next_step(&self) -> Option<Duration> {
        let (Measure::Seconds(used), Measure::Seconds(most)) = (self.used, self.most) else {
            return None;
        };
        let nearly = most.saturating_mul(4).div_ceil(5);
        let left = if used < nearly { nearly.checked_sub(used) } else { most.checked_sub(used) };
        left.filter(|left| *left > 0).map(Duration::from_secs)
    }
}

/// `[offline]`'s limits on a lane, all of them.
fn lane_caps(policy: &Offline) -> Caps {
    Caps {
        max_pending: Some(policy.max_pending),
        max_exposure: Some(policy.max_exposure),
        max_outage: Some(policy.max_outage),
        ..policy.caps.clone()
    }
}

/// How far `[offline]`'s limits on a lane are used.
#[must_use]
pub fn lane_gauges(policy: &Offline, lane: &LaneNow, books: Account) -> Vec<Gauge> {
    gauges(None, &lane_caps(policy), lane, Account { pending: lane.pending, ..books })
}

/// How far the limits on the outage are used: `[offline]`'s, and those of the rules that are for
/// its cause.
#[must_use]
pub fn outage_gauges(policy: &Offline, lane: &LaneNow) -> Vec<Gauge> {
    let nothing = Account::default();
    let of_rules = policy.rules.iter().filter(|rule| is_for(rule, lane));
    let of_rules = of_rules.flat_map(|rule| rule_gauges(rule, lane, nothing));
    let all = lane_gauges(policy, lane, nothing).into_iter().chain(of_rules);
    all.filter(|gauge| gauge.limit == "max_outage").collect()
}

/// Whether the rule is for the lane's cause.
fn is_for(rule: &Rule, lane: &LaneNow) -> bool {
    rule.causes.is_empty() || lane.cause.is_some_and(|cause| rule.causes.contains(&cause))
}

/// How far a rule's limits are used: of the lanes that it is for, in the one that leaves least.
#[must_use]
pub fn rule_standing(rule: &Rule, lanes: &[LaneNow], books: Account) -> Vec<Gauge> {
    let tightest = |least: Vec<Gauge>, lane: Vec<Gauge>| {
        least.into_iter().zip(lane).map(|(one, other)| one.tighter(other)).collect()
    };
    let lanes = lanes.iter().filter(|lane| is_for(rule, lane));
    let gauges = lanes.map(|lane| rule_gauges(rule, lane, books)).reduce(tightest);
    gauges.unwrap_or_else(|| rule_gauges(rule, &LaneNow::default(), books))
}

/// How far a rule's limits are used.
#[must_use]
pub fn rule_gauges(rule: &Rule, lane: &LaneNow, books: Account) -> Vec<Gauge> {
    gauges(Some(&rule.name), &rule.caps, lane, books)
}

fn gauges(rule: Option<&Arc<str>>, caps: &Caps, lane: &LaneNow, books: Account) -> Vec<Gauge> {
    let (part, count) = (lane.part(), |most: u64| Measure::Count(most / u64::from(lane.part())));
    let used = |number| Measure::Count(number);
    let money = |most: Amount| Measure::Money(Amount(most.0 / i64::from(part)));
    let time = |most: Duration| Measure::Seconds((most / part).as_secs());
    let all = [
        ("max_pending", used(books.pending), caps.max_pending.map(count)),
        ("max_exposure", Measure::Money(books.exposure), caps.max_exposure.map(money)),
        ("max_per_hour", used(books.hour), caps.max_per_hour.map(count)),
        ("max_per_day", used(books.day), caps.max_per_day.map(count)),
        ("max_outage", Measure::Seconds(lane.outage.as_secs()), caps.max_outage.map(time)),
    ];
    let gauge = |(limit, used, most)| Gauge { rule: rule.cloned(), limit, used, most };
    all.into_iter().filter_map(|(limit, used, most)| Some(gauge((limit, used, most?)))).collect()
}

#[cfg(test)]
mod tests;
