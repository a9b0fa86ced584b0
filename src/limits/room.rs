//! How much more may be given on trust in a lane, and for how long.

use std::time::Duration;

use super::{Account, LaneNow, accepts, asks_for_check, is_for, lane_caps};
use crate::clock::LocalMoment;
use crate::settings::{Caps, Hours, Offline, Rule};
use crate::value::Amount;

/// What may still be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many more.
    pub more: u64,
    /// What each of them counts as, where the value at risk is what leaves no more.
    pub each: Option<Amount>,
    /// For so long.
    pub within: Duration,
    /// For which redemptions.
    pub of: RoomOf,
}

/// For which redemptions something may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomOf {
    /// For any.
    All,
    /// The rules allow less for some, or nothing: it is the most that there is.
    AsRulesAllow,
    /// A rule allows it for some; an ordinary one, that no such rule fits, gets nothing.
    RulesAlone,
}

/// Why nothing more may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// A limit is used up, or nothing is accepted on trust.
    Closed,
    /// It is not the time of the day; it will be in so long.
    Hours(Duration),
}

/// What is known of a lane as long as no redemption asks.
#[derive(Clone, Debug)]
pub struct RoomBooks<'a> {
    /// Where it stands.
    pub lane: LaneNow,
    /// The lane's books.
    pub books: Account,
    /// Those of each till that is trusted, by name; `pending` are all its rows that are. Where the
    /// settings name none, there is one without a name.
    pub tills: Vec<(String, Account)>,
    /// Those of each rule, in their order.
    pub rules: &'a [Account],
    /// Somebody switched trust off.
    pub is_off: bool,
    /// How old a check of the code is: rules that ask for one may fit. `None`: there is none.
    pub checked: Option<Duration>,
    /// The moment as the store's own clock shows it; `None`: that is not trusted.
    pub local: Option<LocalMoment<'a>>,
}

/// One way to be given: by a rule, or by none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    room: Room,
    /// So many more leave the limits that all ways share.
    shared: u64,
}

/// How much more may be given of redemptions that count as `value` each.
///
/// # Errors
/// Nothing may be given now.
pub fn room(policy: &Offline, at: &RoomBooks<'_>, value: Amount) -> Result<Room, NoRoom> {
    if at.is_off {
        return Err(NoRoom::Closed);
    }
    let rules = rules_at(policy, at).into_iter();
    let ways: Vec<_> = rules.map(|rule| way((policy, rule), at, value)).collect();
    let open = || ways.iter().flatten();
    let Some(widest) = open().max_by_key(|way| way.room.more) else {
        return Err(opens(&ways));
    };
    if ways.iter().all(|way| way.is_ok_and(|way| way.room == widest.room)) {
        return Ok(widest.room);
    }
    let sum = open().fold(0, |sum: u64, way| sum.saturating_add(way.room.more));
    let shared = open().map(|way| way.shared).max().unwrap_or(0);
    let within = open().map(|way| way.room.within).max().unwrap_or_default();
    // An ordinary one goes the last way.
    let is_ordinary = ways.last().is_some_and(Result::is_ok);
    let of = if is_ordinary { RoomOf::AsRulesAllow } else { RoomOf::RulesAlone };
    Ok(Room { more: sum.min(shared), within, of, ..widest.room })
}

/// A rule and its books.
type RuleBooks<'a> = (&'a Rule, Account);

/// The rules that may fit a redemption while the lane stands so; `None` where no rule may fit it.
fn rules_at<'a>(policy: &'a Offline, at: &RoomBooks<'_>) -> Vec<Option<RuleBooks<'a>>> {
    let all = policy.rules.iter().zip(at.rules.iter().copied());
    let is_checked = |rule: &Rule| {
        let within = rule.checked_within.unwrap_or(policy.checked_within);
        !asks_for_check(rule) || at.checked.is_some_and(|age| age <= within)
    };
    let may_fit = |rule: &Rule| is_for(rule, &at.lane) && is_checked(rule);
    let mut rules: Vec<_> = all.filter(|(rule, _)| may_fit(rule)).map(Some).collect();
    match rules.iter().position(|rule| rule.is_some_and(|(rule, _)| fits_all(rule))) {
        Some(last) => rules.truncate(last + 1),
        None => rules.push(None),
    }
    rules
}

/// Whether a rule that is for the lane's cause fits whatever is redeemed.
fn fits_all(rule: &Rule) -> bool {
    let Rule { codes, businesses, branches, tills, .. } = rule;
    let is_any = codes.is_empty() || codes.iter().any(|pattern| pattern == "*");
    let lists = [businesses, branches, tills];
    is_any && !asks_for_check(rule) && lists.iter().all(|list| list.is_empty())
}

fn way(
    (policy, rule): (&Offline, Option<RuleBooks<'_>>),
    at: &RoomBooks<'_>,
    value: Amount,
) -> Result<Way, NoRoom> {
    accepts(policy, rule.map(|(rule, _)| rule)).map_err(|_| NoRoom::Closed)?;
    let own = rule.map(|(rule, _)| &rule.caps);
    let max_value = own.and_then(|caps| caps.max_value).or(policy.caps.max_value);
    if max_value.is_some_and(|most| value > most) {
        return Err(NoRoom::Closed);
    }
    let shared = shared(policy, at, (rule.map(|(rule, _)| rule), value));
    let its = rule.map(|(rule, books)| left(&rule.caps, at, (books, value)));
    let Left { number, by_value, within } = its.map_or(shared, |its| shared.and(its));
    let more = number.min(by_value);
    if more == 0 || within.is_zero() {
        return Err(NoRoom::Closed);
    }
    let hours = own.and_then(|caps| caps.hours).or(policy.caps.hours);
    let within = within_hours(hours, at.local, within)?;
    let each = (by_value < number).then_some(value);
    let shared = shared.number.min(shared.by_value);
    Ok(Way { room: Room { more, each, within, of: RoomOf::All }, shared })
}

/// What is left of the limits that every way shares, where a rule is for some tills by those alone.
fn shared(policy: &Offline, at: &RoomBooks<'_>, (rule, value): (Option<&Rule>, Amount)) -> Left {
    let books = Account { pending: at.lane.pending, ..at.books };
    let left = left(&lane_caps(policy), at, (books, value));
    Left { number: left.number.min(of_tills(policy, at, rule)), ..left }
}

/// What is left of limits.
#[derive(Clone, Copy)]
struct Left {
    /// By those that count.
    number: u64,
    /// By those on the value at risk.
    by_value: u64,
    within: Duration,
}

impl Left {
    fn and(self, other: Self) -> Self {
        Self {
            number: self.number.min(other.number),
            by_value: self.by_value.min(other.by_value),
            within: self.within.min(other.within),
        }
    }
}

fn left(caps: &Caps, at: &RoomBooks<'_>, (books, value): (Account, Amount)) -> Left {
    let part = at.lane.part();
    let count = |most: Option<u64>, used: u64| {
        most.map_or(u64::MAX, |most| (most / u64::from(part)).saturating_sub(used))
    };
    let by_value = |most: Amount| {
        let left = (most.0 / i64::from(part)).saturating_sub(books.exposure.0);
        // What counts as nothing is refused by no limit that is not passed already.
        let fitting = left.checked_div(value.0).unwrap_or(i64::MAX);
        if left < 0 { 0 } else { u64::try_from(fitting).unwrap_or(0) }
    };
    Left {
        number: count(caps.max_pending, books.pending)
            .min(count(caps.max_per_hour, books.hour))
            .min(count(caps.max_per_day, books.day)),
        by_value: caps.max_exposure.map_or(u64::MAX, by_value),
        within: caps
            .max_outage
            .map_or(Duration::MAX, |most| (most / part).saturating_sub(at.lane.outage)),
    }
}

/// How many more all tills together may give that the rule is for.
fn of_tills(policy: &Offline, at: &RoomBooks<'_>, rule: Option<&Rule>) -> u64 {
    let caps = Caps {
        max_pending: Some(policy.max_pending_per_till),
        max_per_hour: Some(policy.max_per_hour_per_till),
        ..Caps::default()
    };
    let of = rule.map_or(&[][..], |rule| &rule.tills);
    let fits = |name: &String| of.is_empty() || name.is_empty() || of.contains(name);
    let its = at.tills.iter().filter(|(name, _)| fits(name));
    let of_till = |till: &Account| left(&caps, at, (*till, Amount::ZERO)).number;
    its.map(|(_, till)| of_till(till)).fold(0, u64::saturating_add)
}

/// `within`, or until the hours end.
fn within_hours(
    hours: Option<Hours>,
    local: Option<LocalMoment<'_>>,
    within: Duration,
) -> Result<Duration, NoRoom> {
    let Some(hours) = hours else { return Ok(within) };
    let local = local.ok_or(NoRoom::Closed)?;
    if hours.from == hours.to {
        return Ok(within);
    }
    if hours.has(local.minute()) {
        let ends_in = local.until(|minute| !hours.has(minute));
        return Ok(ends_in.map_or(within, |ends_in| ends_in.min(within)));
    }
    let opens_in = local.until(|minute| hours.has(minute)).filter(|opens_in| *opens_in < within);
    Err(opens_in.map_or(NoRoom::Closed, NoRoom::Hours))
}

/// Why no way is open: where one waits for its hours alone, that.
fn opens(ways: &[Result<Way, NoRoom>]) -> NoRoom {
    let hours = ways.iter().filter_map(|way| match way {
        Err(NoRoom::Hours(opens_in)) => Some(*opens_in),
        Err(NoRoom::Closed) | Ok(_) => None,
    });
    hours.min().map_or(NoRoom::Closed, NoRoom::Hours)
}
