//! The rules in their order, and which few of them can be for a request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::types::Rule;

/// Rules are looked up by at most so many bytes with which a code begins.
const BEGINNING_BYTES_MAX: usize = 16;
/// In how many ways a rule can be looked up: by till, business, branch, type, or a code's
/// beginning.
const WAYS: usize = 5;

/// `[[offline.rule]]`, in the order in which they are asked.
#[derive(Clone, Default)]
pub struct Rules {
    list: Arc<[Rule]>,
    places: Arc<Places>,
}

/// What a rule is looked up by.
#[derive(Clone, Copy, Debug)]
pub struct RuleKeys<'a> {
    /// The till.
    pub till: &'a str,
    /// The business, folded.
    pub business: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// The type that a valid check said.
    pub kind: Option<&'a str>,
    /// The code, as it came.
    pub code: &'a str,
}

/// Places in the list of rules, by a value that the rule asks for.
type Shelf = BTreeMap<String, Vec<usize>>;

/// Each rule's place in the list, in the one way in which it shares a value with the fewest others:
/// a request finds it there or is none that it is for.
#[derive(Default)]
struct Places {
    names: BTreeMap<Arc<str>, usize>,
    shelves: [Shelf; WAYS],
    /// The lengths of all beginnings of codes.
    lengths: BTreeSet<usize>,
    /// Rules that ask for none of these values.
    others: Vec<usize>,
}

impl Rules {
    /// The rules that can be for such a request, in order; most others are left out.
    pub fn near<'a>(&'a self, asked: &RuleKeys<'_>) -> impl Iterator<Item = &'a Rule> {
        let mut places: Vec<usize> = self.places.of_request(asked).flatten().copied().collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.list.get(place))
    }

    /// The rule of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.list.get(*self.places.names.get(name)?)
    }
}

impl Places {
    fn of(rules: &[Rule]) -> Self {
        let mut places = Self::default();
        let mut every: [Shelf; WAYS] = Default::default();
        for (place, rule) in rules.iter().enumerate() {
            places.names.entry(Arc::clone(&rule.name)).or_insert(place);
            for (shelf, values) in every.iter_mut().zip(values_of(rule)) {
                put(shelf, &values, place);
            }
        }
        for (place, rule) in rules.iter().enumerate() {
            places.put(place, values_of(rule), &every);
        }
        let [.., codes] = &places.shelves;
        places.lengths = codes.keys().map(String::len).collect();
        places
    }

    fn put(&mut self, place: usize, values: [Vec<&str>; WAYS], every: &[Shelf; WAYS]) {
        let ways = self.shelves.iter_mut().zip(every).zip(values);
        let narrowing = ways.filter(|(_, values)| !values.is_empty());
        match narrowing.min_by_key(|((_, every), values)| neighbours(every, values)) {
            Some(((narrowest, _), values)) => put(narrowest, &values, place),
            None => self.others.push(place),
        }
    }

    fn of_request(&self, asked: &RuleKeys<'_>) -> impl Iterator<Item = &Vec<usize>> {
        let [tills, businesses, branches, kinds, codes] = &self.shelves;
        let exact = [
            (tills, Some(asked.till)),
            (businesses, Some(asked.business)),
            (branches, Some(asked.branch)),
            (kinds, asked.kind),
        ];
        let exact = exact.into_iter().filter_map(|(shelf, value)| shelf.get(value?));
        let beginnings = self.lengths.iter().filter_map(|length| asked.code.get(..*length));
        let by_code = beginnings.filter_map(|beginning| codes.get(beginning));
        exact.chain(by_code).chain([&self.others])
    }
}

fn put(shelf: &mut Shelf, values: &[&str], place: usize) {
    for value in values {
        shelf.entry((*value).to_owned()).or_default().push(place);
    }
}

/// With how many rules a rule shares one of its values, at most.
fn neighbours(shelf: &Shelf, values: &[&str]) -> usize {
    values.iter().filter_map(|value| shelf.get(*value)).map(Vec::len).max().unwrap_or(0)
}

/// The values that a rule asks for, in each way; none where it does not narrow in that way.
fn values_of(rule: &Rule) -> [Vec<&str>; WAYS] {
    let mut beginnings: Vec<&str> = rule.codes.iter().map(|pattern| beginning(pattern)).collect();
    if beginnings.iter().any(|beginning| beginning.is_empty()) {
        beginnings.clear();
    }
    beginnings.sort_unstable();
    beginnings.dedup();
    let Rule { tills, businesses, branches, kinds, .. } = rule;
    [texts(tills), texts(businesses), texts(branches), texts(kinds), beginnings]
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// How every code begins that fits a pattern.
fn beginning(pattern: &str) -> &str {
    let head = pattern.split('*').next().unwrap_or_default();
    let end = head.floor_char_boundary(BEGINNING_BYTES_MAX);
    head.get(..end).unwrap_or_default()
}

impl Deref for Rules {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.list
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let list: Arc<[Rule]> = rules.into_iter().collect();
        let places = Arc::new(Places::of(&list));
        Self { list, places }
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Rules {}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}
