//! The rules: which requests meet which fault, and the seeded chance behind a share.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Options;
use super::fault::{Cut, Fault, Spoil, Stage, WORDS, When, Word};
use crate::link::Dice;
use crate::text::fits;

/// The most rules at a time.
pub const RULES_MAX: usize = 100;

/// The longest delay and the latest end of a time window.
const SPAN_MAX: Duration = Duration::from_hours(24);

/// Codes that one `per_code` rule tells apart.
const PER_CODE_CODES_MAX: usize = 1_000_000;

/// Matchers and a fault. All matchers must hold; the first rule that fires decides about a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub fault: Word,
    /// The share of matching requests that are hit, 0 to 1; default all.
    pub share: Option<f64>,
    /// Pattern with `*` of the reward code.
    pub code: Option<String>,
    /// Pattern with `*` of the path; default: the Redeem path alone.
    pub path: Option<String>,
    /// Which of the contract's calls; default, without a path: Redeem alone.
    pub call: Option<Calls>,
    /// Which request of its code it is, the first being 1: `2`, `2-4`, `2-`.
    pub attempt: Option<Attempts>,
    /// The first N matching requests are spared.
    pub skip: Option<u64>,
    /// Only every Nth matching request is hit.
    pub every: Option<u64>,
    /// At most N requests are hit.
    pub count: Option<u64>,
    /// At most the first N requests of each code are hit.
    pub per_code: Option<u64>,
    /// Not before this long after the rule was set.
    pub from: Option<WrittenDuration>,
    /// No more this long after the rule was set.
    pub until: Option<WrittenDuration>,
    /// Waits before the answer or the break.
    pub delay: Option<WrittenDuration>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The answer's body.
    pub body: Option<String>,
    /// The answer's content type.
    pub content_type: Option<String>,
    /// The refusal's message; `{code}` is replaced.
    pub message: Option<String>,
    /// The header `Retry-After`: as written, or `date+30`, `date-30`: a date so many seconds from
    /// the answer's own.
    pub retry_after: Option<String>,
    /// The header `WWW-Authenticate`.
    pub www_authenticate: Option<String>,
    /// The header `Location`.
    pub location: Option<String>,
    /// By how many seconds the answer's `Date` is wrong.
    pub clock_s: Option<i64>,
    /// Bytes a second of a slow or endless body.
    pub rate: Option<u64>,
    /// Length of a huge body.
    pub bytes: Option<u64>,
    /// Whether a canned answer's code is taken all the same.
    pub take: Option<bool>,
}

/// Which of the contract's two calls about a code a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calls {
    /// Redeem alone.
    Redeem,
    /// Check Reward alone.
    Check,
    /// Either.
    Both,
}

/// Which requests of a code, the first being 1: from the one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    first: u64,
    last: u64,
}

impl FromStr for Attempts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("attempt cannot be {text:?}; write 2, 2-4 or 2-");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.parse().map_err(|_| fault())?;
        let last = if last.is_empty() { u64::MAX } else { last.parse().map_err(|_| fault())? };
        if first == 0 || last < first { Err(fault()) } else { Ok(Self { first, last }) }
    }
}

impl std::fmt::Display for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.last {
            last if last == self.first => write!(f, "{last}"),
            u64::MAX => write!(f, "{}-", self.first),
            last => write!(f, "{}-{last}", self.first),
        }
    }
}

impl Serialize for Attempts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Attempts {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(from)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A rule that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("rule {rule:?}: {why}")]
pub struct RuleError {
    /// The rule as it was written, or its number from 1.
    pub rule: String,
    /// What is wrong.
    pub why: String,
}

/// A duration as people write it: `20ms`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenDuration(pub Duration);

impl FromStr for WrittenDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = humantime::parse_duration(text)
            .map_err(|error| format!("{text:?} is no duration: {error}"))?;
        if span > SPAN_MAX {
            return Err(format!(
                "{text:?} is longer than {}",
                humantime::format_duration(SPAN_MAX)
            ));
        }
        Ok(Self(span))
    }
}

impl Serialize for WrittenDuration {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for WrittenDuration {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Fields whose values on the command line are numbers or `true` and `false`.
const BARE_FIELDS: [&str; 10] =
    ["share", "skip", "every", "count", "per_code", "status", "clock_s", "rate", "bytes", "take"];

/// Fields of an answer that stands in for the provider's own.
const SAID_FIELDS: &str =
    "status body content_type message retry_after www_authenticate location clock_s take";

impl FromStr for FaultRule {
    type Err = RuleError;

    /// `field=value,field=value`, or a JSON object where a value holds a comma.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let fault = |why: String| RuleError { rule: text.to_owned(), why };
        let rule: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| fault(error.to_string()))?
        } else {
            let fields = shorthand(text).map_err(fault)?;
            serde_json::from_value(fields).map_err(|error| fault(error.to_string()))?
        };
        rule.check().map_err(fault)?;
        Ok(rule)
    }
}

fn shorthand(text: &str) -> Result<serde_json::Value, String> {
    let mut fields = serde_json::Map::new();
    for pair in text.split(',') {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("{pair:?} is not field=value"))?;
        let (name, value) = (name.trim(), value.trim());
        let parsed = if BARE_FIELDS.contains(&name) {
            serde_json::from_str(value).map_err(|_| format!("{name} cannot be {value:?}"))?
        } else {
            value.into()
        };
        if fields.insert(name.to_owned(), parsed).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(fields.into())
}

/// Rules from a file or a request: one object, or an array of them.
pub fn parse_rules(json: &[u8]) -> Result<Vec<FaultRule>, RuleError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<serde_json::Value>),
        One(serde_json::Value),
    }
    let fault = |rule: &str, why: String| RuleError { rule: rule.to_owned(), why };
    let values =
        match serde_json::from_slice(json).map_err(|error| fault("JSON", error.to_string()))? {
            OneOrMany::Many(values) => values,
            OneOrMany::One(value) => vec![value],
        };
    if values.len() > RULES_MAX {
        return Err(fault("all", format!("more than {RULES_MAX}")));
    }
    let parse = |(index, value): (usize, serde_json::Value)| {
        let number = (index + 1).to_string();
        let rule: FaultRule =
            serde_json::from_value(value).map_err(|error| fault(&number, error.to_string()))?;
        rule.check().map_err(|why| fault(&number, why))?;
        Ok(rule)
    };
    values.into_iter().enumerate().map(parse).collect()
}

impl FaultRule {
    /// A rule that hits every redemption.
    #[must_use]
    pub fn always(fault: Word) -> Self {
        Self { fault, ..Self::default() }
    }

    /// Whether the rule makes sense: a field that its fault ignores is an error.
    pub fn check(&self) -> Result<(), String> {
        let stage = self.fault.fault.stage();
        let is_say = matches!(self.fault.fault, Fault::Say { .. });
        let paced = matches!(self.fault.fault, Fault::Spoil(Spoil::Slow | Spoil::Endless));
        let fields = serde_json::to_value(self).unwrap_or_default();
        let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
        let pointless = SAID_FIELDS.split(' ').find(|name| !is_say && has(name));
        let (no_code, no_path) = (stage != Stage::Body, stage == Stage::Accept);
        let problems = [
            (pointless.is_some(), pointless.unwrap_or_default()),
            (has("code") && no_code, "code (it is not known so early)"),
            (has("per_code") && no_code, "per_code (the code is not known so early)"),
            (has("path") && no_path, "path (it is not known so early)"),
            (has("call") && no_path, "call (it is not known so early)"),
            (has("attempt") && no_code, "attempt (the code is not known so early)"),
            (has("rate") && !paced, "rate"),
            (has("bytes") && self.fault.fault != Fault::Spoil(Spoil::Huge), "bytes"),
            (has("delay") && self.hangs(), "delay"),
        ];
        if let Some((_, name)) = problems.into_iter().find(|(is, _)| *is) {
            return Err(format!("the fault {} has no use for {name}", self.fault.name));
        }
        self.check_values()
    }

    fn hangs(&self) -> bool {
        matches!(self.fault.fault, Fault::Break(Cut::Hang, phase) if phase != When::MidAnswer)
    }

    fn check_values(&self) -> Result<(), String> {
        let header = |text: &Option<String>| {
            text.as_deref().is_some_and(|text| hyper::header::HeaderValue::from_str(text).is_err())
        };
        let values = [
            (
                self.share.is_some_and(|share| !(0.0..=1.0).contains(&share)),
                "share must be between 0 and 1",
            ),
            (self.every == Some(0), "every must be at least 1"),
            (self.call.is_some() && self.path.is_some(), "call and path exclude each other"),
            (self.rate == Some(0), "rate must be at least 1"),
            (
                self.status.is_some_and(|status| !(200..=599).contains(&status)),
                "status must be between 200 and 599",
            ),
            (
                self.until.zip(self.from).is_some_and(|(until, from)| until.0 <= from.0),
                "until must be after from",
            ),
            (header(&self.retry_after), "retry_after is no header value"),
            (header(&self.www_authenticate), "www_authenticate is no header value"),
            (header(&self.location), "location is no header value"),
            (header(&self.content_type), "content_type is no header value"),
        ];
        values.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, why)| Err(why.to_owned()))
    }
}

/// The parts of a request that a rule looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenRequest<'a> {
    /// The path; empty before the headers.
    pub(super) path: &'a str,
    /// The reward code, once the body was read.
    pub(super) code: Option<&'a str>,
    /// Since the rules were set.
    pub(super) at: Duration,
}

/// The rules in force, with their counts.
#[derive(Debug)]
pub(super) struct ActiveRules {
    active: Vec<Active>,
    paths: Paths,
}

/// Where the calls about a code are.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    redeem: String,
    check: String,
}

impl Paths {
    pub(super) fn of(options: &Options) -> Self {
        Self { redeem: options.redeem_path.clone(), check: options.check_path.clone() }
    }

    /// Whether a rule for these calls is for a request of `path`.
    fn are_at(&self, calls: Calls, path: &str) -> bool {
        let (redeem, check) = (path == self.redeem, path == self.check);
        match calls {
            Calls::Redeem => redeem,
            Calls::Check => check,
            Calls::Both => redeem || check,
        }
    }
}

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    /// The same seed hits the same requests.
    dice: Dice,
    matched: u64,
    fired: u64,
    /// Hits.
    by_code: HashMap<String, u64>,
    /// Requests that matched but for `attempt`.
    requests_by_code: HashMap<String, u64>,
}

/// A rule and how often it was met, as the control API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RuleCounts {
    /// The rule.
    #[serde(flatten, serialize_with = "what_is_set")]
    pub rule: FaultRule,
    /// Requests (or connections) that matched before skip, every, share and the counts.
    pub matched: u64,
    /// How many were hit.
    pub fired: u64,
}

/// The fields of a rule that somebody set.
fn what_is_set<S: serde::Serializer>(rule: &FaultRule, to: S) -> Result<S::Ok, S::Error> {
    let all = serde_json::to_value(rule).map_err(serde::ser::Error::custom)?;
    to.collect_map(all.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()))
}

impl ActiveRules {
    pub(super) fn new(rules: Vec<FaultRule>, paths: Paths, seed: u64) -> Self {
        let start = |(index, rule): (usize, FaultRule)| Active {
            rule,
            dice: Dice::new(seed.wrapping_add((index as u64).wrapping_mul(0xA076_1D64_78BD_642F))),
            matched: 0,
            fired: 0,
            by_code: HashMap::new(),
            requests_by_code: HashMap::new(),
        };
        let active = rules.into_iter().take(RULES_MAX).enumerate().map(start).collect();
        Self { active, paths }
    }

    /// The first rule of `stage` that fires on what was seen.
    pub(super) fn fire(&mut self, stage: Stage, seen: SeenRequest<'_>) -> Option<FaultRule> {
        let paths = &self.paths;
        self.active
            .iter_mut()
            .filter(|active| active.rule.fault.fault.stage() == stage)
            .find_map(|active| active.fires(stage, seen, paths).then(|| active.drawn()))
    }

    pub(super) fn counts(&self) -> Vec<RuleCounts> {
        let counts =
            |a: &Active| RuleCounts { rule: a.rule.clone(), matched: a.matched, fired: a.fired };
        self.active.iter().map(counts).collect()
    }
}

impl Active {
    /// The rule itself; for a mood, the fault chosen this time.
    fn drawn(&mut self) -> FaultRule {
        if self.rule.fault.fault != Fault::Mood {
            return self.rule.clone();
        }
        // `status` alone means nothing.
        let moods: Vec<Word> = WORDS
            .iter()
            .filter(|word| word.fault.is_a_mood() && word.name != "status")
            .copied()
            .collect();
        let fault =
            moods.get(next_below(&mut self.dice, moods.len())).copied().unwrap_or(self.rule.fault);
        FaultRule { fault, ..self.rule.clone() }
    }

    fn fires(&mut self, stage: Stage, seen: SeenRequest<'_>, paths: &Paths) -> bool {
        if !self.matches(stage, seen, paths) || !self.is_its_attempt(seen.code) {
            return false;
        }
        self.matched += 1;
        let FaultRule { skip, every, count, share, .. } = &self.rule;
        let Some(turn) = self.matched.checked_sub(skip.unwrap_or(0)).filter(|turn| *turn > 0)
        else {
            return false;
        };
        let due =
            turn.is_multiple_of(every.unwrap_or(1)) && count.is_none_or(|count| self.fired < count);
        let hit = due
            && share.is_none_or(|share| self.dice.fraction() < share)
            && self.counts_for_code(seen.code);
        self.fired += u64::from(hit);
        hit
    }

    fn matches(&self, stage: Stage, seen: SeenRequest<'_>, paths: &Paths) -> bool {
        let FaultRule { path, call, code, from, until, .. } = &self.rule;
        let on_path = stage == Stage::Accept
            || match path {
                Some(path) => fits(path, seen.path),
                None => paths.are_at(call.unwrap_or(Calls::Redeem), seen.path),
            };
        let on_code =
            code.as_deref().is_none_or(|pattern| seen.code.is_some_and(|code| fits(pattern, code)));
        let in_time = from.is_none_or(|from| seen.at >= from.0)
            && until.is_none_or(|until| seen.at < until.0);
        on_path && on_code && in_time
    }

    /// Counts the hit for its code; whether the code may be hit once more.
    fn counts_for_code(&mut self, code: Option<&str>) -> bool {
        let Some(most) = self.rule.per_code else { return true };
        code.and_then(|code| counted(&mut self.by_code, code)).is_some_and(|hits| hits <= most)
    }

    /// Counts the request for its code; whether it is one of those that the rule is for.
    fn is_its_attempt(&mut self, code: Option<&str>) -> bool {
        let Some(Attempts { first, last }) = self.rule.attempt else { return true };
        let attempt = code.and_then(|code| counted(&mut self.requests_by_code, code));
        attempt.is_some_and(|attempt| (first..=last).contains(&attempt))
    }
}

/// One more for `code`; `None`: there are too many codes to count another.
fn counted(counts: &mut HashMap<String, u64>, code: &str) -> Option<u64> {
    if counts.len() >= PER_CODE_CODES_MAX && !counts.contains_key(code) {
        return None;
    }
    let count = counts.entry(code.to_owned()).or_default();
    *count += 1;
    Some(*count)
}

/// The next number from 0 to below `count`; 0 for none.
fn next_below(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.bits().checked_rem(count as u64).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: Vec<FaultRule>) -> ActiveRules {
        ActiveRules::new(rules, Paths::of(&Options::default()), 1)
    }

    fn fire_all(rule: &str, codes: &[&str]) -> Vec<bool> {
        let mut rules = rules(vec![rule.parse().unwrap()]);
        let seen =
            |code| SeenRequest { path: "/redeem", code: Some(code), at: Duration::from_secs(5) };
        codes.iter().map(|code| rules.fire(Stage::Body, seen(code)).is_some()).collect()
    }

    #[test]
    fn the_matchers_count_as_they_say() {
        let six = ["A-1", "A-2", "A-1", "B-1", "A-3", "A-1"];
        let table = [
            ("fault=500", [true; 6]),
            ("fault=500,code=A-*", [true, true, true, false, true, true]),
            ("fault=500,skip=2", [false, false, true, true, true, true]),
            ("fault=500,count=2", [true, true, false, false, false, false]),
            ("fault=500,every=3", [false, false, true, false, false, true]),
            ("fault=500,skip=1,every=2,count=1", [false, false, true, false, false, false]),
            ("fault=500,per_code=1", [true, true, false, true, true, false]),
            ("fault=500,share=0", [false; 6]),
            ("fault=500,share=1", [true; 6]),
            ("fault=500,from=6s", [false; 6]),
            ("fault=500,from=5s,until=6s", [true; 6]),
            ("fault=500,until=5s", [false; 6]),
            ("fault=500,path=/check", [false; 6]),
            ("fault=500,path=*", [true; 6]),
            ("fault=500,call=redeem", [true; 6]),
            ("fault=500,call=both", [true; 6]),
            ("fault=500,call=check", [false; 6]),
            ("fault=500,attempt=1", [true, true, false, true, true, false]),
            ("fault=500,attempt=2", [false, false, true, false, false, false]),
            ("fault=500,attempt=2-", [false, false, true, false, false, true]),
            ("fault=500,attempt=1-2,code=A-1", [true, false, true, false, false, false]),
        ];
        for (rule, hits) in table {
            assert_eq!(fire_all(rule, &six), hits, "{rule}");
        }
    }

    #[test]
    fn a_share_hits_about_its_share_and_the_same_requests_under_the_same_seed() {
        let codes = vec!["C"; 2000];
        let first = fire_all("fault=500,share=0.1", &codes);
        assert_eq!(first, fire_all("fault=500,share=0.1", &codes));
        let hits = first.iter().filter(|hit| **hit).count();
        assert!((140..260).contains(&hits), "{hits}");
    }

    #[test]
    fn a_mood_is_another_fault_each_time_and_the_same_under_the_same_seed() {
        let draw = || {
            let mut rules = rules(vec!["fault=mood".parse().unwrap()]);
            let seen = SeenRequest { path: "/redeem", code: Some("C"), at: Duration::ZERO };
            (0..200).map(|_| rules.fire(Stage::Body, seen).unwrap().fault.name).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        let kinds: std::collections::BTreeSet<_> = drawn.into_iter().collect();
        assert!(
            kinds.len() > 30 && !kinds.contains("mood") && !kinds.contains("hang-after-taking"),
            "{kinds:?}"
        );
    }

    #[test]
    fn the_first_rule_that_fires_decides() {
        let rules = ["fault=pass,code=VIP*", "fault=503"].map(|rule| rule.parse().unwrap());
        let mut rules = self::rules(rules.to_vec());
        let mut fault = |code| {
            let seen = SeenRequest { path: "/redeem", code: Some(code), at: Duration::ZERO };
            rules.fire(Stage::Body, seen).map(|rule| rule.fault.name)
        };
        assert_eq!((fault("VIP1"), fault("X")), (Some("pass"), Some("503")));
    }

    #[test]
    fn a_rule_that_could_not_do_what_it_says_is_refused() {
        let faulty = [
            "share=0.1",
            "fault=nothing",
            "fault=500,share=1.5",
            "fault=500,share=x",
            "fault=500,every=0",
            "fault=500,rate=5",
            "fault=500,fault=503",
            "fault=500,colour=red",
            "fault=500,delay=5",
            "fault=500,delay=48h",
            "fault=pass,status=500",
            "fault=reset-on-accept,path=/redeem",
            "fault=reset-after-headers,code=A*",
            "fault=hang-before-taking,delay=1s",
            "fault=500,until=1s,from=2s",
            "fault=500,attempt=0",
            "fault=500,attempt=3-2",
            "fault=500,attempt=-",
            "fault=500,call=all",
            "fault=500,call=check,path=*",
            "fault=reset-on-accept,call=check",
            "fault=reset-after-headers,attempt=2",
            "fault=mood,status=200",
        ];
        for rule in faulty {
            assert!(rule.parse::<FaultRule>().is_err(), "{rule}");
        }
    }

    #[test]
    fn a_rule_comes_back_from_json_as_it_was() {
        let rule: FaultRule =
            "share=0.5,code=A*,call=both,attempt=2-4,fault=503,retry_after=date-30,delay=1s 500ms"
                .parse()
                .unwrap();
        let json = serde_json::to_vec(&vec![rule.clone()]).unwrap();
        assert_eq!(parse_rules(&json).unwrap(), vec![rule.clone()]);
        assert_eq!(parse_rules(&serde_json::to_vec(&rule).unwrap()).unwrap(), vec![rule]);
        assert!(
            parse_rules(br#"[{"fault":"500","colour":1}]"#).unwrap_err().to_string().contains('1')
        );
    }
}
