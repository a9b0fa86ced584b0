//! What may be given while nobody can be asked: the store's rules, what checks say of codes, and
//! what must be true of the books of risk, to the last unit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{Heard, House, LANES, TILLS};
use crate::model::{Ask, Fate};
use crate::provider::{INVENTED, Line};
use crate::world::{BEGAN_MS, HOUR, MINUTE, World, millis};

/// Amounts are whole numbers of 1/10000.
const UNIT: i64 = 10_000;
/// What a code counts as of which no check said what it is worth, and a percentage without a most.
pub(crate) const UNKNOWN: i64 = 20 * UNIT;
const UNBOUNDED: i64 = 70 * UNIT;
/// The store's limits, as this model holds the gateway to them.
pub(crate) const MAX_EXPOSURE: i64 = 500 * UNIT;
pub(crate) const MAX_PER_HOUR_PER_TILL: u64 = 11;
pub(crate) const GIFTS_EXPOSURE: i64 = 110 * UNIT;
pub(crate) const GIFTS_PENDING: u64 = 4;
pub(crate) const CHEAP_VALUE: i64 = 15 * UNIT;
pub(crate) const CHECKED_EXPOSURE: i64 = 260 * UNIT;
pub(crate) const CHECKED_PER_DAY: u64 = 10;
pub(crate) const NAMELESS_PER_HOUR: u64 = 6;
const NIGHT_MIN: (i64, i64) = (18 * 60, 2 * 60);
/// What was checked is remembered, and counts for the rule about checked codes, for longer.
const SURELY_REMEMBERED: Duration = Duration::from_secs(2 * 3600);
/// Windows of an hour and of a day hold at least so much.
const SURELY_AN_HOUR: Duration = Duration::from_secs(59 * 60);
const SURELY_A_DAY: Duration = Duration::from_secs(24 * 3600 - 120);
/// When a kill may have taken what was just heard with it, and a late answer may still come.
const SETTLES: Duration = Duration::from_secs(60);

/// What the provider says of a code's worth, by the code's number; what that counts as, and whether
/// it is assumed.
const TERMS: [(&str, i64, bool); 8] = [
    (
        r#"{"type":"discount","discount_amount":"12.50","is_percentage":false,"max_discount_amount":"0"}"#,
        125_000,
        false,
    ),
    (
        r#"{"type":"discount","discount_amount":7,"is_percentage":0,"max_discount_amount":null}"#,
        70_000,
        false,
    ),
    (
        r#"{"type":"percent","discount_amount":"15","is_percentage":true,"max_discount_amount":"30.00"}"#,
        300_000,
        false,
    ),
    (
        r#"{"type":"percent","discount_amount":"15","is_percentage":"1","max_discount_amount":"0"}"#,
        UNBOUNDED,
        true,
    ),
    (r#"{"type":"discount","discount_amount":"1e3","is_percentage":false}"#, UNKNOWN, true),
    (r#"{"type":"gift","discount_amount":"0.00004"}"#, 1, false),
    (r#"{"type":"gift","discount_amount":"-5"}"#, UNKNOWN, true),
    (
        r#"{"type":"percent","discount_amount":"150","is_percentage":true,"max_discount_amount":"14.9999"}"#,
        149_999,
        false,
    ),
];
/// Types that the rule about checked codes is for.
const CHECKED_TYPES: [&str; 2] = ["discount", "percent"];

/// The fault that is switched into the gateway's settings: the limit or value of this name is one
/// redemption, or one unit, more than this model knows of (`SIM_OVER`).
fn over(name: &str) -> bool {
    std::env::var("SIM_OVER").is_ok_and(|over| over == name)
}

/// Each value, sum, count and rate that may be one too much in the gateway, and what tells of it.
pub(crate) const FAULTS: &[(&str, &str)] = &[
    ("value_of_unknown", "counts as"),
    ("cheap.max_value", "counts as"),
    ("max_exposure", "over max_exposure"),
    ("gifts.max_exposure", "over gifts.max_exposure"),
    ("checked.max_exposure", "over checked.max_exposure"),
    ("gifts.max_pending", "over gifts.max_pending"),
    ("max_per_hour_per_till", "over max_per_hour_per_till"),
    ("nameless.max_per_hour", "over nameless.max_per_hour"),
    ("checked.max_per_day", "over checked.max_per_day"),
];

/// The store's limits and rules, as the gateway reads them: the keys of `[offline]`, then tables.
pub(crate) fn settings() -> String {
    let more = |name: &str, most: i64| shown(most + i64::from(over(name)));
    let count = |name: &str, most: u64| most + u64::from(over(name));
    format!(
        "value_of_unknown = \"{}\"\nvalue_of_unbounded = \"{}\"\nremember_checks = \"8h\"\n\
         max_exposure = \"{}\"\nmax_per_hour_per_till = {}\n\
         [[offline.rule]]\nname = \"never\"\ncode = \"NEVER-*\"\naccept = false\n\
         [[offline.rule]]\nname = \"gifts\"\ncode = \"GIFT-*\"\nmax_exposure = \"{}\"\n\
         max_pending = {}\n\
         [[offline.rule]]\nname = \"night\"\ncode = \"NIGHT-*\"\nhours = \"18:00-02:00\"\n\
         [[offline.rule]]\nname = \"cheap\"\ncode = \"CHEAP-*\"\nmax_value = \"{}\"\n\
         [[offline.rule]]\nname = \"formed\"\ncode = \"7*\"\n\
         code_form = {{ length = \"9\", alphabet = \"digits\", check = \"luhn\" }}\n\
         [[offline.rule]]\nname = \"checked\"\ntype = [\"discount\", \"percent\"]\n\
         checked_within = \"4h\"\nmax_exposure = \"{}\"\nmax_per_day = {}\n\
         [[offline.rule]]\nname = \"nameless\"\ncause = \"resolve\"\nmax_per_hour = {}\n",
        more("value_of_unknown", UNKNOWN),
        shown(UNBOUNDED),
        more("max_exposure", MAX_EXPOSURE),
        count("max_per_hour_per_till", MAX_PER_HOUR_PER_TILL),
        more("gifts.max_exposure", GIFTS_EXPOSURE),
        count("gifts.max_pending", GIFTS_PENDING),
        more("cheap.max_value", CHEAP_VALUE),
        more("checked.max_exposure", CHECKED_EXPOSURE),
        count("checked.max_per_day", CHECKED_PER_DAY),
        count("nameless.max_per_hour", NAMELESS_PER_HOUR),
    )
}

fn shown(units: i64) -> String {
    format!("{}.{:04}", units / UNIT, units % UNIT)
}

/// What a figure of the gateway's is in units: `85.00`, `0.0001`.
pub(crate) fn units(shown: &Value) -> i64 {
    let text = shown.as_str().expect("an amount");
    let (whole, part) = text.split_once('.').expect("decimals");
    let part = format!("{part:0<4}");
    whole.parse::<i64>().expect("a number") * UNIT + part.parse::<i64>().expect("four decimals")
}

/// The number in a code: its second part, or what stands before its check digit.
fn number_of(code: &str) -> usize {
    let digits = code.split('-').nth(1).unwrap_or_else(|| code.get(1..8).unwrap_or_default());
    digits.parse().unwrap_or(0)
}

/// What a code says itself that it is worth, in units.
pub(crate) fn own_worth(code: &str) -> Option<i64> {
    code.rsplit_once("-v").and_then(|(_, worth)| worth.parse().ok())
}

/// What a check says of a code: whether its type is one of those that the rule about checked codes
/// is for, what it is worth, and whether that is assumed.
fn said_of(code: &str) -> (bool, i64, bool) {
    if let Some(worth) = own_worth(code) {
        return (code.starts_with("PAID-"), worth, false);
    }
    let (terms, worth, is_assumed) = TERMS[number_of(code) % TERMS.len()];
    let is_of = |kind: &&str| terms.contains(&format!("\"type\":\"{kind}\""));
    (CHECKED_TYPES.iter().any(is_of), worth, is_assumed)
}

/// What the provider says of a good code.
pub(crate) fn terms(code: &str) -> Value {
    if let (Some(worth), (is_for_checked, ..)) = (own_worth(code), said_of(code)) {
        let kind = if is_for_checked { CHECKED_TYPES[0] } else { "gift" };
        let data = json!({ "type": kind, "discount_amount": shown(worth) });
        return json!({ "data": data, "errors": [] });
    }
    let (terms, ..) = TERMS[number_of(code) % TERMS.len()];
    json!({ "data": serde_json::from_str::<Value>(terms).expect("JSON"), "errors": [] })
}

/// The digit that makes a number's digits, each second one doubled, add up to a whole ten.
fn luhn_digit(digits: &str) -> u32 {
    let weighed = digits.bytes().rev().enumerate().map(|(place, byte)| {
        let digit = u32::from(byte - b'0');
        let doubled = digit * 2;
        if place % 2 == 1 { digit } else { doubled / 10 + doubled % 10 }
    });
    (10 - weighed.sum::<u32>() % 10) % 10
}

/// A number that begins like the store's and was misread.
pub(crate) fn is_misread(code: &str) -> bool {
    code.starts_with('7') && !is_well_formed(code)
}

/// Which limit speaks in these words.
pub(crate) fn limit(said: &str) -> Option<&'static str> {
    let known = [
        ("may be at risk", "refused: too much at risk"),
        ("may be worth more", "refused: worth too much"),
        ("offline limit of this till reached", "refused: too many of the till"),
        ("offline limit reached: ", "refused: too many of the lane or rule"),
        ("this reward is not given without its answer", "refused: a rule accepts nothing"),
        ("at this time of the day", "refused: out of hours"),
        ("clock is not synchronised", "refused: no time to go by"),
        ("refused at this till in a short time", "refused: a slowed till"),
        ("gives no rewards without the provider's answer now", "refused: trust is off"),
    ];
    known.iter().find(|(words, _)| said.contains(words)).map(|(_, what)| *what)
}

fn is_well_formed(code: &str) -> bool {
    let (digits, last) = code.split_at(code.len() - 1);
    luhn_digit(digits).to_string() == last
}

/// What the store knows of a code's check when a redemption is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nobody asked.
    Nothing,
    /// The provider's word was heard, and is remembered.
    Good,
    /// It may be remembered or not, as good or as refused.
    Perhaps,
}

/// What tills asked and heard about a code.
#[derive(Clone, Copy, Debug, Default)]
struct CheckSeen {
    sent: u32,
    on_their_way: u32,
    good_at: Option<Duration>,
    /// An answer that its till did not wait for may still come.
    unsure_until: Duration,
}

/// A redemption that was given on trust, as its till knows it.
#[derive(Clone, Debug)]
struct Given {
    lane: usize,
    till: u64,
    code: String,
    at: Duration,
    known: Known,
    may_be_nameless: bool,
    /// It was decided when its till asked for the first time, not found by a later process.
    is_plain: bool,
}

/// Trust that an operator switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Off {
    from: Duration,
    until: Duration,
}

/// What stood when a till asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    now: Duration,
    known: Known,
    checks_sent: u32,
    off: Option<Off>,
    /// The minute of the day that a clock shows which can be trusted.
    minute: Option<i64>,
}

/// What this model knows of values, rules and checks.
#[derive(Default)]
pub(crate) struct Book {
    checks: BTreeMap<String, CheckSeen>,
    given: BTreeMap<String, Given>,
    /// Redemptions that an operator saw to, which may be sent again.
    handled: BTreeSet<String>,
    /// What was ever lost, by lane and redemption.
    lost: [BTreeMap<String, i64>; 2],
    off: [Option<Off>; 2],
    ends: Vec<Duration>,
    clock_turned_at: Duration,
}

impl Book {
    pub(crate) fn was_checked(&self, code: &str) -> bool {
        self.checks.contains_key(code)
    }

    /// Whether the last check of the code said that it is good.
    pub(crate) fn is_good(&self, code: &str) -> bool {
        self.checks.get(code).is_some_and(|seen| seen.good_at.is_some())
    }

    pub(crate) fn is_off(&self, lane: usize, now: Duration) -> bool {
        self.off[lane].is_some_and(|off| now < off.until)
    }

    pub(crate) fn ended(&mut self, at: Duration) {
        self.ends.push(at);
        for seen in self.checks.values_mut().filter(|seen| seen.on_their_way > 0) {
            (seen.on_their_way, seen.good_at) = (0, None);
        }
    }

    pub(crate) fn clock_turned(&mut self, at: Duration) {
        self.clock_turned_at = at;
    }

    fn known(&self, code: &str, now: Duration) -> Known {
        let Some(seen) = self.checks.get(code) else { return Known::Nothing };
        let lasts = |at: Duration| {
            let is_kept = !self.ends.iter().any(|end| (at..at + SETTLES).contains(end));
            is_kept && now > at + SETTLES && now < at + SURELY_REMEMBERED
        };
        if seen.on_their_way == 0 && seen.good_at.is_some_and(lasts) {
            return Known::Good;
        }
        Known::Perhaps
    }

    fn check_sent(&mut self, code: &str) {
        let seen = self.checks.entry(code.to_owned()).or_default();
        (seen.sent, seen.on_their_way, seen.good_at) = (seen.sent + 1, seen.on_their_way + 1, None);
    }

    fn check_heard(&mut self, code: &str, is_good: bool, now: Duration) {
        let seen = self.checks.entry(code.to_owned()).or_default();
        seen.on_their_way = seen.on_their_way.saturating_sub(1);
        if !is_good {
            seen.unsure_until = now + SETTLES;
        } else if seen.on_their_way == 0 && now > seen.unsure_until {
            seen.good_at = Some(now);
        }
    }
}

/// What a redemption may count as, and under which rule: its units, whether they are assumed, the
/// rule's name.
fn worths(given: &Given) -> Vec<(i64, bool, &'static str)> {
    let (is_type, said, is_assumed) = said_of(&given.code);
    let unchecked = ((UNKNOWN, true), false);
    let checked = ((said, is_assumed), true);
    let ways = match given.known {
        Known::Nothing => vec![unchecked],
        Known::Good => vec![checked],
        // It may be too old for the rule about checked codes.
        Known::Perhaps => vec![unchecked, checked, ((said, is_assumed), false)],
    };
    let by_code = [("GIFT-", "gifts"), ("NIGHT-", "night"), ("CHEAP-", "cheap"), ("7", "formed")];
    let own = by_code.iter().find(|(prefix, _)| given.code.starts_with(prefix));
    let mut all = Vec::new();
    for ((value, assumed), is_young) in ways {
        match own {
            Some((_, "cheap")) if value > CHEAP_VALUE => {}
            Some((_, rule)) => all.push((value, assumed, *rule)),
            None if is_young && is_type => all.push((value, assumed, "checked")),
            None => {
                all.push((value, assumed, ""));
                all.extend(given.may_be_nameless.then_some((value, assumed, "nameless")));
            }
        }
    }
    all
}

/// A row of the store's, as operators see it.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the row")]
#[derive(Debug)]
struct Row<'a> {
    id: &'a str,
    lane: usize,
    rule: &'a str,
    value: i64,
    assumed: bool,
    trusted: bool,
    pending: bool,
    exposed: bool,
    lost: bool,
}

impl<'a> Row<'a> {
    /// One that counts: `None` for what was not given on trust.
    fn of(row: &'a Value) -> Option<Self> {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let flag = |name: &str| row[name].as_bool().expect("a flag");
        assert!(!flag("trusted") || row["value"].is_string(), "given for nothing: {row}");
        let value = units(row.get("value").filter(|value| value.is_string())?);
        let (pending, lost) = (text("state") == "pending", flag("lost"));
        let open = match text("state") {
            "confirmed" => flag("duplicate_of_ours"),
            _ => true,
        };
        assert!(text("state") != "declined" || lost, "declined after the fact, not lost: {row}");
        Some(Self {
            id: row["id"].as_str()?,
            lane: LANES.iter().position(|lane| text("lane") == *lane)?,
            rule: row["rule"].as_str().unwrap_or_default(),
            value,
            assumed: flag("value_assumed"),
            trusted: flag("trusted"),
            pending,
            exposed: open && (pending || !flag("handled")),
            lost,
        })
    }
}

/// What rows come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    pending: u64,
    exposure: i64,
}

fn sum<'a>(rows: impl Iterator<Item = &'a Row<'a>>) -> Sum {
    rows.fold(Sum::default(), |sum, row| Sum {
        pending: sum.pending + u64::from(row.pending),
        exposure: sum.exposure + if row.exposed { row.value } else { 0 },
    })
}

impl World {
    /// A code of some kind that a rule is for.
    pub(crate) fn some_code(&mut self) -> String {
        self.codes += 1;
        let (number, tail) = (self.codes, self.dice.bits() % 1000);
        let kind = match self.below(14) {
            0 => INVENTED,
            1..=2 => "GIFT",
            3 => "NIGHT",
            4 => "CHEAP",
            5 => "NEVER",
            6 => return self.some_number(number),
            _ => "CODE",
        };
        format!("{kind}-{number:06}-{tail}")
    }

    /// One that a till or its reader misread now and then.
    fn some_number(&mut self, number: u64) -> String {
        let digits = format!("7{:07}", number % 10_000_000);
        let misread = u32::from(self.one_in(3));
        format!("{digits}{}", (luhn_digit(&digits) + misread) % 10)
    }

    /// A code that was checked and not yet redeemed.
    pub(crate) fn some_checked(&mut self) -> Option<(usize, String)> {
        if self.checked.is_empty() || self.below(3) > 0 {
            return None;
        }
        let place = usize::try_from(self.below(self.checked.len() as u64)).expect("few");
        Some(self.checked.swap_remove(place))
    }

    pub(crate) async fn act_at_risk(&mut self, house: &House, asked: &mut JoinSet<()>) {
        match self.below(20) {
            0..=11 => {
                let (lane, code) = (usize::from(self.one_in(6)), self.some_code());
                if self.one_in(25) {
                    self.providers[lane].state().spent.insert(code.clone());
                }
                self.checked.push((lane, code.clone()));
                let check = self.checking(house, lane, &code);
                asked.spawn(check);
            }
            12..=13 if !self.checked.is_empty() => {
                let place = usize::try_from(self.below(self.checked.len() as u64)).expect("few");
                let (lane, code) = self.checked[place].clone();
                let check = self.checking(house, lane, &code);
                asked.spawn(check);
            }
            12..=15 => {
                let known = self.model().asks.iter().rev().take(60).cloned().collect::<Vec<Ask>>();
                let place = usize::try_from(self.below(known.len() as u64)).expect("few");
                let Some(ask) = known.get(place) else { return };
                let check = self.checking(house, ask.lane, &ask.code);
                asked.spawn(check);
            }
            16 if self.one_in(3) => self.switch_trust(house).await,
            17 if self.is_at_ease(house) => self.press(house).await,
            16..=17 => {}
            _ => self.look_at_risk(house).await,
        }
    }

    /// A till asks what a code is good for.
    pub(crate) fn checking(
        &mut self,
        house: &House,
        lane: usize,
        code: &str,
    ) -> impl Future<Output = ()> + Send + use<> {
        let body =
            json!({ "reward_code": code, "business_refrence": format!("shop-{}", LANES[lane]) });
        let (till, now, code) = (self.below(TILLS), self.now(), code.to_owned());
        self.note(&body.to_string());
        self.allow(1);
        self.sent_at = now;
        self.providers[lane].state().asked_at = now;
        self.model().risk.check_sent(&code);
        let model = Arc::clone(&self.model);
        let provider = self.providers[lane].clone();
        let answer = house.till(till, Method::POST, "/check", body.to_string());
        async move {
            let heard = answer.await;
            let heard_at = provider.now();
            let mut model = model.lock().expect("no panic before this one");
            let says_good = heard.status == 200 && heard.body == terms(&code);
            let is_remembered = heard.header("redeemd-state") == Some("remembered");
            if is_remembered && heard.status == 200 {
                assert!(says_good, "{code} was never worth that: {heard:?}");
                model.count("risk: checks told from memory");
            }
            assert!(!says_good || !code.starts_with(INVENTED), "{code} is good: {heard:?}");
            let passed = says_good && !is_remembered;
            model.count(if passed { "risk: checks passed on" } else { "risk: other checks" });
            model.risk.check_heard(&code, passed, heard_at);
        }
    }

    async fn switch_trust(&mut self, house: &House) {
        let lane = usize::from(self.one_in(2));
        let was_off = self.model().risk.off[lane].take().is_some();
        let path = format!("/api/v1/lanes/{}/trust", LANES[lane]);
        if was_off {
            let heard = house.operator_says(Method::POST, &path, r#"{"on":true}"#).await;
            assert_eq!(heard.status, 200, "{heard:?}");
            return;
        }
        let body = r#"{"on":false,"note":"a look at the till","for_s":3600}"#;
        let heard = house.operator_says(Method::POST, &path, body).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        let from = self.now();
        self.model().risk.off[lane] = Some(Off { from, until: from + HOUR });
        self.count("risk: trust switched off");
    }

    /// What stands when a till asks.
    pub(crate) fn before_asking(&self, n: usize) -> Before {
        let (model, now) = (self.model(), self.now());
        let Ask { code, lane, .. } = &model.asks[n];
        let wall_ms = BEGAN_MS + millis(now) + self.wall_offset_ms;
        Before {
            now,
            known: model.risk.known(code, now),
            checks_sent: model.risk.checks.get(code).map_or(0, |seen| seen.sent),
            off: model.risk.off[*lane],
            minute: self.trusted.then(|| wall_ms.div_euclid(60_000).rem_euclid(24 * 60)),
        }
    }

    /// All rows that count, and the status before and after: `None` where something happened
    /// meanwhile.
    async fn rows(&mut self, house: &House) -> Option<(Heard, Vec<Value>)> {
        let stands = |heard: &Heard| {
            let lanes = heard.body["lanes"].as_array().expect("lanes").iter();
            let of_lane = |lane: &Value| {
                [&lane["exposure"], &lane["lost"], &lane["headroom"]["max_pending"]]
                    .map(Value::to_string)
            };
            let lanes: Vec<_> = lanes.map(of_lane).collect();
            (heard.body["counts"].to_string(), lanes, heard.body["rules"].to_string())
        };
        let before = house.operator(Method::GET, "/api/v1/status").await;
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/api/v1/redemptions?limit=1000&after={after}");
            let mut page = house.operator(Method::GET, &path).await;
            assert_eq!(page.status, 200, "{page:?}");
            rows.append(page.body["redemptions"].as_array_mut().expect("rows"));
            match page.body["next"].as_i64() {
                Some(next) => after = next,
                None => break,
            }
        }
        let status = house.operator(Method::GET, "/api/v1/status").await;
        (stands(&before) == stands(&status)).then_some((status, rows))
    }

    /// The books of risk are what the rows come to, to the last unit, and no limit is overrun by
    /// one.
    pub(crate) async fn look_at_risk(&mut self, house: &House) {
        let Some((status, rows)) = self.rows(house).await else {
            return self.count("risk: looks that were disturbed");
        };
        let rows: Vec<Row> = rows.iter().filter_map(Row::of).collect();
        self.judge_values(&rows);
        self.judge_lanes(&status, &rows);
        self.judge_rules(&status, &rows);
        self.judge_rates(&status, &rows);
        self.count("risk: books compared");
    }

    /// Each redemption counts as what its check said, and under the rule that is for it.
    fn judge_values(&self, rows: &[Row]) {
        let model = self.model();
        for row in rows {
            let Some(given) = model.risk.given.get(row.id) else { continue };
            assert!(row.trusted, "{row:?} was given on trust: {given:?}");
            if !given.is_plain {
                continue;
            }
            let ways = worths(given);
            let is = (row.value, row.assumed, row.rule);
            assert!(ways.contains(&is), "{given:?} counts as {is:?}, not as one of {ways:?}");
        }
    }

    /// Whether its till knows that it was given within the limits: what a crash left is given
    /// whatever the limits say, and what an operator sends again too.
    fn is_within(&self, row: &Row) -> bool {
        let model = self.model();
        let is_plain = model.risk.given.get(row.id).is_some_and(|given| given.is_plain);
        is_plain && !model.risk.handled.contains(row.id)
    }

    /// What was within a limit when one of these rows was given. All that is at risk was weighed
    /// with the last that this process gave, what a crash had left too. Before it has given any,
    /// only what tills know to be given within the limits is sure to have been.
    fn weighed(&self, rows: &[&Row]) -> Sum {
        let (model, ended) = (self.model(), self.ended_at);
        let is_retried = |row: &&&Row| model.risk.handled.contains(row.id);
        let is_of_this_life = |given: &Given| given.is_plain && given.at > ended;
        let gave = |row: &&Row| model.risk.given.get(row.id).is_some_and(is_of_this_life);
        let at_risk = sum(rows.iter().filter(|row| !is_retried(row)).copied());
        let gave_any = rows.iter().any(gave);
        drop(model);
        let within = sum(rows.iter().filter(|row| self.is_within(row)).copied());
        let exposure = if gave_any { at_risk.exposure } else { within.exposure };
        Sum { exposure, ..within }
    }

    fn judge_lanes(&self, status: &Heard, rows: &[Row]) {
        for (n, name) in LANES.iter().enumerate() {
            let of_lane = || rows.iter().filter(move |row| row.lane == n);
            let lane = status.body["lanes"].as_array().expect("lanes").iter();
            let lane = lane.clone().find(|lane| lane["name"] == *name).expect("the lane");
            let is = sum(of_lane());
            assert_eq!(units(&lane["exposure"]), is.exposure, "at risk in {name}: {lane}");
            assert_eq!(units(&lane["headroom"]["max_exposure"]["used"]), is.exposure, "{lane}");
            let within = self.weighed(&of_lane().collect::<Vec<_>>());
            assert!(within.exposure <= MAX_EXPOSURE, "over max_exposure: {within:?} in {lane}");
            let mut model = self.model();
            let lost = &mut model.risk.lost[n];
            lost.extend(of_lane().filter(|row| row.lost).map(|row| (row.id.to_owned(), row.value)));
            let lost: i64 = lost.values().sum();
            assert_eq!(units(&lane["lost"]), lost, "lost in {name}: {lane}");
        }
    }

    fn judge_rules(&self, status: &Heard, rows: &[Row]) {
        let limits =
            [("gifts", GIFTS_EXPOSURE, GIFTS_PENDING), ("checked", CHECKED_EXPOSURE, u64::MAX)];
        for (name, most, most_pending) in limits {
            let of_rule = || rows.iter().filter(move |row| row.rule == name);
            let (rule, is) = (&status.body["rules"][name], sum(of_rule()));
            assert_eq!(units(&rule["max_exposure"]["used"]), is.exposure, "{name}: {rule}");
            if most_pending < u64::MAX {
                assert_eq!(rule["max_pending"]["used"], is.pending, "{name}: {rule}");
            }
            let within = self.weighed(&of_rule().collect::<Vec<_>>());
            assert!(within.exposure <= most, "over {name}.max_exposure: {within:?}, {rule}");
            assert!(within.pending <= most_pending, "over {name}.max_pending: {within:?}, {rule}");
        }
    }

    /// What was given lately, by till and by rule, is within its rate, and the books count no less.
    fn judge_rates(&self, status: &Heard, rows: &[Row]) {
        let (model, now) = (self.model(), self.now());
        let lately = |given: &&Given, span: Duration| given.is_plain && given.at + span > now;
        for (lane, till) in (0..2).flat_map(|lane| (0..TILLS).map(move |till| (lane, till))) {
            let its = |given: &&Given| (given.lane, given.till) == (lane, till);
            let all = model.risk.given.values().filter(its);
            let count = all.filter(|given| lately(given, SURELY_AN_HOUR)).count() as u64;
            assert!(
                count <= MAX_PER_HOUR_PER_TILL,
                "over max_per_hour_per_till: {count} of till {till}"
            );
        }
        for (name, most, span) in [
            ("nameless.max_per_hour", NAMELESS_PER_HOUR, SURELY_AN_HOUR),
            ("checked.max_per_day", CHECKED_PER_DAY, SURELY_A_DAY),
        ] {
            let of_rule = rows
                .iter()
                .filter(|row| name.split_once('.').is_some_and(|(rule, _)| rule == row.rule));
            let given = of_rule.filter_map(|row| model.risk.given.get(row.id));
            let count = given.filter(|given| lately(given, span)).count() as u64;
            assert!(count <= most, "over {name}: {count}");
            let (rule, limit) = name.split_once('.').expect("a rule and its limit");
            let used = status.body["rules"][rule][limit]["used"].as_u64().expect("a count");
            assert!(used >= count, "{name}: {used} are counted of {count}");
        }
    }

    /// An operator has looked at what was lost, inferred or taken back.
    pub(crate) async fn handle(&mut self, house: &House, all: bool) {
        let Some((_, rows)) = self.rows(house).await else { return };
        let rows: Vec<Row> = rows.iter().filter_map(Row::of).collect();
        let open: Vec<String> = rows
            .iter()
            .filter(|row| row.exposed && !row.pending)
            .map(|row| row.id.to_owned())
            .collect();
        for id in open {
            if !all && self.one_in(3) {
                continue;
            }
            let path = format!("/api/v1/redemptions/{id}/handled");
            let heard = house.operator_says(Method::POST, &path, r#"{"note":"seen to"}"#).await;
            assert!(matches!(heard.status, 200 | 409), "{heard:?}");
            self.model().risk.handled.insert(id);
            self.count("risk: handled by an operator");
        }
    }

    /// When all has its answer and a person has seen to the rest, nothing is at risk.
    pub(crate) async fn nothing_is_at_risk(&mut self, house: &House) {
        self.handle(house, true).await;
        self.look_at_risk(house).await;
        let status = house.operator(Method::GET, "/api/v1/status").await;
        for lane in status.body["lanes"].as_array().expect("lanes") {
            assert_eq!(units(&lane["exposure"]), 0, "{lane}");
        }
    }
}

impl crate::model::Model {
    /// A till heard of its redemption that it was given on trust.
    pub(crate) fn given(
        &mut self,
        n: usize,
        before: &Before,
        (heard_at, line): (Duration, (Line, Option<Duration>)),
        heard: &Heard,
    ) {
        let is_given = (heard.status, heard.header("redeemd-state")) == (200, Some("pending"));
        let (Some(id), true) = (heard.header("redeemd-id"), is_given) else { return };
        let ask = self.asks[n].clone();
        let is_new = !self.risk.given.contains_key(id);
        let told_before = self.asks.iter().enumerate().any(|(m, other)| {
            m != n && other.code == ask.code && !matches!(other.fate, Fate::Refused)
        });
        if !is_new {
            return;
        }
        let is_plain = ask.sent == 1
            && !told_before
            && self.risk.ends.last().is_none_or(|end| *end <= before.now);
        let checks_sent = self.risk.checks.get(&ask.code).map_or(0, |seen| seen.sent);
        let known = if checks_sent == before.checks_sent { before.known } else { Known::Perhaps };
        let may_be_nameless =
            line.0 == Line::NoName || line.1.is_some_and(|at| heard_at < at + 6 * HOUR);
        if is_plain {
            self.may_be_given(&ask, before, heard_at);
        }
        let given = Given {
            lane: ask.lane,
            till: ask.till,
            code: ask.code,
            at: heard_at,
            known,
            may_be_nameless,
            is_plain,
        };
        self.count("risk: given on trust");
        self.risk.given.insert(id.to_owned(), given);
    }

    /// What no rule lets through, and nothing while trust is off.
    fn may_be_given(&self, ask: &Ask, before: &Before, heard_at: Duration) {
        let is_off = before.off.is_some_and(|off| {
            self.risk.off[ask.lane] == Some(off)
                && off.from < before.now
                && heard_at + MINUTE < off.until
        });
        assert!(!is_off, "given while trust was off: {ask:?}, {before:?}");
        assert!(!ask.code.starts_with("NEVER-"), "a rule forbids it: {ask:?}");
        assert!(!ask.code.starts_with('7') || is_well_formed(&ask.code), "misread: {ask:?}");
        let is_turned = self.risk.clock_turned_at + MINUTE > before.now;
        if ask.code.starts_with("NIGHT-") && !is_turned {
            let minute = before.minute.unwrap_or_else(|| panic!("without a clock: {ask:?}"));
            let (from, to) = NIGHT_MIN;
            assert!(minute >= from - 2 || minute < to + 2, "at {minute}: {ask:?}");
        }
    }
}
