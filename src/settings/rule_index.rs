//! Which few of the rules can be for a request, by their places in the order in which they are
//! asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rules are looked up by at most so many bytes with which a code begins.
const BEGINNING_BYTES_MAX: usize = 16;
/// In how many ways a rule can be looked up: by till, business, branch, type, or a code's
/// beginning.
const WAYS: usize = 5;

/// The values that a rule asks for, in each way; none where it does not narrow in that way.
pub(super) type RuleValues<'a> = [Vec<&'a str>; WAYS];

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
#[derive(Default, PartialEq, Eq)]
pub(super) struct RuleIndex {
    names: BTreeMap<Arc<str>, usize>,
    shelves: [Shelf; WAYS],
    /// The lengths of all beginnings of codes.
    lengths: BTreeSet<usize>,
    /// Rules that ask for none of these values.
    others: Vec<usize>,
}

impl RuleIndex {
    /// The places of the rules that can be for such a request, in order; most others are left out.
    pub(super) fn near(&self, asked: &RuleKeys<'_>) -> Vec<usize> {
        let mut places: Vec<usize> = self.of_request(asked).flatten().copied().collect();
        places.sort_unstable();
        places
    }

    /// The place of the rule of this name.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Of rules in their order, by their names and values.
    pub(super) fn of(rules: &[(Arc<str>, RuleValues<'_>)]) -> Self {
        let mut index = Self::default();
        let mut every: [Shelf; WAYS] = Default::default();
        for (place, (name, values)) in rules.iter().enumerate() {
            index.names.entry(Arc::clone(name)).or_insert(place);
            for (shelf, values) in every.iter_mut().zip(values) {
                put(shelf, values, place);
            }
        }
        for (place, (_, values)) in rules.iter().enumerate() {
            index.put(place, values, &every);
        }
        let [.., codes] = &index.shelves;
        index.lengths = codes.keys().map(String::len).collect();
        index
    }

    fn put(&mut self, place: usize, values: &RuleValues<'_>, every: &[Shelf; WAYS]) {
        let ways = self.shelves.iter_mut().zip(every).zip(values);
        let narrowing = ways.filter(|(_, values)| !values.is_empty());
        match narrowing.min_by_key(|((_, every), values)| neighbours(every, values)) {
            Some(((narrowest, _), values)) => put(narrowest, values, place),
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

/// How the codes of these patterns begin; none where one may begin in any way.
pub(super) fn beginnings(patterns: &[String]) -> Vec<&str> {
    let mut beginnings: Vec<&str> = patterns.iter().map(|pattern| beginning(pattern)).collect();
    if beginnings.iter().any(|beginning| beginning.is_empty()) {
        return Vec::new();
    }
    beginnings.sort_unstable();
    beginnings.dedup();
    beginnings
}

/// How every code begins that fits a pattern.
fn beginning(pattern: &str) -> &str {
    let head = pattern.split('*').next().unwrap_or_default();
    let end = head.floor_char_boundary(BEGINNING_BYTES_MAX);
    head.get(..end).unwrap_or_default()
}
