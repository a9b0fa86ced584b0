//! The limits that `[offline]` and each `[[offline.rule]]` set alike, and what a rule is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::layer::{List, TableEntry};
use super::problem::Faults;
use super::reader::{BagReader, NAME_BYTES_MAX, TEXT_BYTES_MAX, plain_text};
use super::types::{
    Alphabet, Caps, CheckDigit, CodeForm, Hours, Offline, Provider, Rule, RuleList, SameCode, Till,
    TimeOfDay,
};
use super::value::{numbered, quoted};
use crate::fold;
use crate::message::Cause;
use crate::value::Amount;

/// The most `[[offline.rule]]` tables.
const RULES_MAX: usize = 1000;
/// The most that an amount may be, in whole units.
pub const AMOUNT_MAX: i64 = 1_000_000_000;
/// The longest code that a form can ask for, in characters.
const CODE_CHARS_MAX: u16 = 256;

/// The limits below `section` that `[offline]` and a rule set alike.
pub(super) fn each(read: &mut BagReader, section: &str) -> Caps {
    let path = |name: &str| format!("{section}.{name}");
    Caps {
        max_value: amount(read, &path("max_value")),
        max_per_hour: count(read, &path("max_per_hour")),
        max_per_day: count(read, &path("max_per_day")),
        hours: hours(read, &path("hours")),
        code_form: code_form(read, &path("code_form")),
        ..Caps::default()
    }
}

/// A rule's limits.
fn caps(read: &mut BagReader) -> Caps {
    let outage = "offline.rule.max_outage";
    Caps {
        max_exposure: amount(read, "offline.rule.max_exposure"),
        max_pending: count(read, "offline.rule.max_pending"),
        max_outage: read.has(outage).then(|| read.duration(outage)),
        ..each(read, "offline.rule")
    }
}

fn count(read: &mut BagReader, path: &str) -> Option<u64> {
    read.has(path).then(|| read.integer(path))
}

/// An amount of the store's currency.
pub(super) fn amount(read: &mut BagReader, path: &str) -> Option<Amount> {
    let text = read.text(path)?;
    let amount = Amount::parse(&text).filter(|amount| *amount <= Amount::whole(AMOUNT_MAX));
    if amount.is_none() {
        read.fault(
            path,
            format!("write an amount in quotes from \"0\" to \"{AMOUNT_MAX}\", such as \"25.00\""),
        );
    }
    amount
}

fn hours(read: &mut BagReader, path: &str) -> Option<Hours> {
    let text = read.text(path)?;
    let parts = text
        .split_once('-')
        .and_then(|(from, to)| Some((TimeOfDay::parse(from)?, TimeOfDay::parse(midnight(to))?)));
    let is_all_day = text == "00:00-24:00";
    let hours = parts.filter(|(from, to)| from != to || is_all_day);
    let hours = hours.map(|(from, to)| Hours { from, to });
    if hours.is_none() {
        read.fault(path, "write two times of the day, such as \"08:00-23:30\" or \"18:00-02:00\"");
    }
    hours
}

/// The end of a day is the beginning of the next.
fn midnight(to: &str) -> &str {
    if to == "24:00" { "00:00" } else { to }
}

fn code_form(read: &mut BagReader, path: &str) -> Option<CodeForm> {
    if !read.has(path) {
        return None;
    }
    let alphabets = [
        ("any", Alphabet::Any),
        ("digits", Alphabet::Digits),
        ("hex", Alphabet::Hex),
        ("letters", Alphabet::Letters),
        ("alphanumeric", Alphabet::Alphanumeric),
    ];
    let checks =
        [("luhn", CheckDigit::Luhn), ("mod97", CheckDigit::Mod97), ("gs1", CheckDigit::Gs1)];
    let alphabet_path = format!("{path}.alphabet");
    let alphabet = read.choice(&alphabet_path, &alphabets).unwrap_or(Alphabet::Any);
    let check = read.choice(&format!("{path}.check"), &checks);
    let needs_digits = matches!(check, Some(CheckDigit::Luhn | CheckDigit::Gs1));
    if needs_digits && !matches!(alphabet, Alphabet::Any | Alphabet::Digits) {
        read.fault(
            &alphabet_path,
            "\"luhn\" and \"gs1\" are about digits: write \"digits\" or take this out",
        );
    }
    Some(CodeForm { length: length(read, &format!("{path}.length")), alphabet, check })
}

/// `"10"` or `"10-12"`.
fn length(read: &mut BagReader, path: &str) -> (u16, u16) {
    let Some(text) = read.text(path) else { return (1, CODE_CHARS_MAX) };
    let number = |text: &str| {
        text.parse::<u16>().ok().filter(|number| (1..=CODE_CHARS_MAX).contains(number))
    };
    let (least, most) = text.split_once('-').unwrap_or((&text, &text));
    let both = number(least).zip(number(most)).filter(|(least, most)| least <= most);
    if both.is_none() {
        read.fault(
            path,
            format!(
                "write a number of characters or two, such as \"10-12\", up to {CODE_CHARS_MAX}"
            ),
        );
    }
    both.unwrap_or((1, CODE_CHARS_MAX))
}

/// The rules, in the order in which they are asked.
pub(super) fn rules(entries: &[TableEntry], faults: &mut Faults) -> RuleList {
    if entries.len() > RULES_MAX {
        faults.add("offline.rule", format!("{} rules: at most {RULES_MAX}", entries.len()), None);
    }
    entries.iter().map(|entry| rule(entry, faults)).collect()
}

fn rule(entry: &TableEntry, faults: &mut Faults) -> Rule {
    let mut read = BagReader::entry(entry, List::Rule, faults);
    if let Err(message) = plain_text(&entry.name, NAME_BYTES_MAX) {
        read.fault("offline.rule.name", message);
    }
    let within = "offline.rule.checked_within";
    let accept = acceptance(&mut read);
    let businesses = subjects(&mut read, "offline.rule.business");
    Rule {
        name: entry.name.as_str().into(),
        codes: subjects(&mut read, "offline.rule.code"),
        businesses: businesses.iter().map(|business| fold::code(business).into_owned()).collect(),
        branches: subjects(&mut read, "offline.rule.branch"),
        tills: subjects(&mut read, "offline.rule.till"),
        kinds: subjects(&mut read, "offline.rule.type"),
        checked_within: read.has(within).then(|| read.duration(within)),
        causes: causes(&mut read),
        accept,
        caps: caps(&mut read),
    }
}

/// What a rule is for. A list of nothing would be for everything, as if it were not written.
fn subjects(read: &mut BagReader, path: &str) -> Vec<String> {
    let texts = read.texts(path);
    // A list that cannot be read is a fault already.
    if read.has(path) && read.is_readable(path) && texts.is_empty() {
        read.fault(path, "an empty list is for nothing: name something, or take this out");
    }
    texts
}

/// Rules that wait for what cannot come.
pub(super) fn look(offline: &Offline, tills: &[Till], providers: &[Provider], faults: &mut Faults) {
    worths(offline, faults);
    let all_list_theirs = providers.iter().all(|provider| !provider.businesses.is_empty());
    let is_served = |business: &String| offline.listed.values().any(|its| its.contains(business));
    shadowed(&offline.rules, faults);
    for rule in offline.rules.iter() {
        let path = |key: &str| format!("offline.rule[{}].{key}", rule.name);
        checks(rule, offline, faults);
        let is_known = |name: &String| tills.iter().any(|till| till.name == *name);
        if !tills.is_empty() && !rule.tills.iter().all(is_known) {
            faults.warn(&path("till"), "it names a till that intake.till does not have");
        }
        if all_list_theirs && !rule.businesses.iter().all(is_served) {
            faults.warn(&path("business"), "it names a business that no provider lists");
        }
    }
}

/// A rule for a type or for a check needs checks that are remembered.
fn checks(rule: &Rule, offline: &Offline, faults: &mut Faults) {
    let own = rule.checked_within.map(|within| ("checked_within", within));
    let of_type = (!rule.kinds.is_empty()).then_some(("type", offline.checked_within));
    let Some((key, within)) = own.or(of_type) else { return };
    let mut warn = |why: &str| faults.warn(&format!("offline.rule[{}].{key}", rule.name), why);
    if offline.remember_checks.is_zero() || offline.remember_checks_max == 0 {
        warn(
            "it needs a check that is remembered, and offline.remember_checks or \
             remember_checks_max = 0 lets none be",
        );
    } else if own.is_some() && within > offline.remember_checks {
        warn("it is longer than offline.remember_checks: no check is remembered for so long");
    }
}

/// Values under which no sum bounds anything.
fn worths(offline: &Offline, faults: &mut Faults) {
    for (key, amount) in [
        ("offline.value_of_unknown", offline.value_of_unknown),
        ("offline.value_of_unbounded", offline.value_of_unbounded),
    ] {
        if amount == Amount::ZERO {
            faults.warn(key, "what counts as nothing is bounded by no max_value or max_exposure");
        }
    }
}

/// A rule that comes after one that fits everything.
fn shadowed(rules: &[Rule], faults: &mut Faults) {
    let mut after = rules.iter().skip_while(|rule| !fits_everything(rule));
    let (Some(all), Some(next)) = (after.next(), after.next()) else { return };
    faults.warn(
        &format!("offline.rule[{}]", next.name),
        &format!("rule {} before it fits everything: none after that is ever asked", all.name),
    );
}

fn fits_everything(rule: &Rule) -> bool {
    let Rule { codes, businesses, branches, tills, kinds, causes, checked_within, .. } = rule;
    let lists = [businesses, branches, tills, kinds];
    let is_any = codes.is_empty() || codes.iter().any(|pattern| pattern == "*");
    is_any
        && lists.iter().all(|list| list.is_empty())
        && causes.is_empty()
        && checked_within.is_none()
}

fn acceptance(read: &mut BagReader) -> Option<bool> {
    let path = "offline.rule.accept";
    let Some(text) = read.text(path) else { return read.has(path).then(|| read.flag(path)) };
    read.fault(
        path,
        match text.as_str() {
            "override" => "\"override\" waits for a later version: write true or false".to_owned(),
            _ => "write true or false without quotes".to_owned(),
        },
    );
    None
}

fn causes(read: &mut BagReader) -> Vec<Cause> {
    let path = "offline.rule.cause";
    let words = subjects(read, path);
    let mut causes = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match Cause::from_word(word) {
            Some(cause) => causes.push(cause),
            // What is empty or cannot be shown is a fault already.
            None if plain_text(word, TEXT_BYTES_MAX).is_err() => {}
            None => {
                let known: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
                let wrong =
                    format!("{} is no cause: write some of {}", quoted(word), known.join(", "));
                read.fault(path, numbered(index, wrong));
            }
        }
    }
    causes
}

impl Offline {
    /// Whether the lane's provider tells codes apart that fold alike.
    #[must_use]
    pub fn tells_apart(&self, lane: &str) -> bool {
        self.exact.contains(lane)
    }

    /// Whether the lane's provider lists this business.
    #[must_use]
    pub fn lists(&self, lane: &str, business: &str) -> bool {
        self.listed.get(lane).is_some_and(|listed| listed.contains(&*fold::code(business)))
    }
}

/// The lanes whose providers tell codes apart by their bytes.
pub(super) fn exact(providers: &[Provider]) -> Arc<BTreeSet<String>> {
    let exact = providers.iter().filter(|provider| provider.same_code == SameCode::Exact);
    Arc::new(exact.map(|provider| provider.name.clone()).collect())
}

/// The businesses that the providers list, folded, by lane; a lane without any is not there.
#[must_use]
pub fn listed(providers: &[Provider]) -> Arc<BTreeMap<String, BTreeSet<String>>> {
    let folded = |provider: &Provider| {
        provider.businesses.iter().map(|own| fold::code(own).into_owned()).collect()
    };
    let with_any = providers.iter().filter(|provider| !provider.businesses.is_empty());
    Arc::new(with_any.map(|provider| (provider.name.clone(), folded(provider))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_pass_midnight_and_their_end_is_outside() {
        let time = |text: &str| TimeOfDay::parse(text).expect("a time");
        let day = Hours { from: time("08:00"), to: time("23:30") };
        assert_eq!(
            [479, 480, 1409, 1410].map(|minute| day.has(minute)),
            [false, true, true, false]
        );
        let night = Hours { from: time("18:00"), to: time("02:00") };
        assert_eq!(
            [1079, 1080, 1439, 0, 119, 120].map(|minute| night.has(minute)),
            [false, true, true, true, true, false]
        );
        let all = Hours { from: time("00:00"), to: time("00:00") };
        assert_eq!([0, 1, 719, 1439].map(|minute| all.has(minute)), [true; 4]);
    }
}
