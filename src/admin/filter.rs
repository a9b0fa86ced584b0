//! What is looked for, as it stands in an address: the API and the console read the same names.

use std::time::UNIX_EPOCH;

use crate::clock::{Day, Days};
use crate::message::FilterFault;
use crate::redemption::{Fingerprint, RewardCode, Seq, State};
use crate::store::Search;
use crate::text::hex;

/// How many rows a page has unless `limit` says otherwise.
pub const LIMIT_DEFAULT: usize = 100;
/// The most rows that a page can have.
pub const LIMIT_MAX: usize = 1000;
/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// A filter and, beside it, the keyed hash of a searched code.
#[derive(Clone, Debug)]
pub(super) struct RowFilter {
    pub(super) search: Search,
    pub(super) code: Option<Fingerprint>,
}

/// The query's filter, with days that begin and end so, or every fault in it.
pub(super) fn parse_with(
    pairs: &[(String, String)],
    days: &Days,
) -> Result<RowFilter, Vec<FilterFault>> {
    let mut wanted =
        RowFilter { search: Search { limit: LIMIT_DEFAULT, ..Search::default() }, code: None };
    let mut faults = Vec::new();
    for (at, (key, value)) in pairs.iter().enumerate() {
        let repeated = pairs.iter().take(at).any(|(earlier, _)| earlier == key);
        let twice = || FilterFault::Twice { key: key.clone() };
        faults.extend(if repeated {
            Some(twice())
        } else {
            set(&mut wanted, (key, value.trim()), days).err()
        });
    }
    let (since, until) = (wanted.search.since_ms, wanted.search.until_ms);
    if since.zip(until).is_some_and(|(since, until)| until <= since) {
        faults.push(FilterFault::backwards("until", "since"));
    }
    if faults.is_empty() { Ok(wanted) } else { Err(faults) }
}

/// What an address can ask for.
const KEYS: [&str; 13] = [
    "state",
    "code_ending",
    "till",
    "business",
    "branch",
    "lane",
    "waiting",
    "since",
    "until",
    "newest",
    "after",
    "limit",
    // What a search by a whole code gave.
    "code",
];

fn set(wanted: &mut RowFilter, (key, value): (&str, &str), days: &Days) -> Result<(), FilterFault> {
    let of = || key.to_owned();
    if !KEYS.contains(&key) {
        let known = KEYS.into_iter().filter(|key| *key != "code").collect::<Vec<_>>().join(", ");
        return Err(FilterFault::Unknown { key: of(), known });
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(FilterFault::TooLong { key: of() });
    }
    // The console leaves out what nobody filled in; a script's variable that is not set would ask
    // for the redemptions of all tills.
    if value.is_empty() {
        return Err(FilterFault::Empty { key: of() });
    }
    let (search, text) = (&mut wanted.search, Some(value.to_owned()));
    match key {
        "code" => {
            wanted.code = Some(hash(value).ok_or_else(|| FilterFault::NotOurs { key: of() })?);
        }
        "code_ending" if value.chars().count() > RewardCode::SHOWN_MAX => {
            return Err(FilterFault::Ending { key: of(), most: RewardCode::SHOWN_MAX as u64 });
        }
        "code_ending" => search.code_ending = text,
        "till" => search.till = text,
        "business" => search.business = text,
        "branch" => search.branch = text,
        "lane" => search.lane = text,
        "since" => search.since_ms = Some(time(key, value, |day| days.begin_of(day))?),
        "until" => {
            let after = |day: Day| days.begin_of(Day::new(day.number() + 1));
            search.until_ms = Some(time(key, value, after)?);
        }
        _ => return of_the_page(search, key, value),
    }
    Ok(())
}

fn of_the_page(search: &mut Search, key: &str, value: &str) -> Result<(), FilterFault> {
    let choice =
        |choices: &str| FilterFault::Choice { key: key.to_owned(), choices: choices.to_owned() };
    match key {
        "state" => {
            let states = || choice("pending, confirmed, declined, parked, voided");
            search.state = Some(value.parse::<State>().map_err(|()| states())?);
        }
        "newest" => search.newest = yes_or_no(value).ok_or_else(|| choice("true, false"))?,
        "waiting" => search.waiting = yes_or_no(value).ok_or_else(|| choice("true, false"))?,
        "after" => {
            let seq = value.parse().ok().filter(|seq| *seq >= 0);
            search.after =
                Some(Seq(seq.ok_or_else(|| FilterFault::NotOurs { key: key.to_owned() })?));
        }
        _ => {
            let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            let range =
                || FilterFault::Range { key: key.to_owned(), from: 1, to: LIMIT_MAX as u64 };
            search.limit = limit.ok_or_else(range)?;
        }
    }
    Ok(())
}

/// As a form or a program says it.
pub(super) fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "1" | "true" | "on" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Unix milliseconds of an RFC 3339 time, or what is meant by a day.
fn time(key: &str, text: &str, of: impl FnOnce(Day) -> i64) -> Result<i64, FilterFault> {
    let wrong = || FilterFault::Time { key: key.to_owned() };
    if text.len() == 10 {
        return Day::parse(text).map(of).ok_or_else(wrong);
    }
    let at = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
    let since = at.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
    i64::try_from(since.as_millis()).map_err(|_| wrong())
}

/// A hash as it stands in an address.
pub(super) fn written(hash: Fingerprint) -> String {
    hex(&hash.0)
}

fn hash(text: &str) -> Option<Fingerprint> {
    let whole = u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == 32 && !text.starts_with('+'))?;
    Some(Fingerprint(whole.to_be_bytes()))
}

/// Whether the filter asks for nothing but what the store keeps in order anyway.
pub(super) fn is_plain(wanted: &RowFilter) -> bool {
    let Search { since_ms, until_ms, newest, waiting, .. } = &wanted.search;
    let Search { code_ending, till, business, branch, lane, .. } = &wanted.search;
    let texts = [code_ending, till, business, branch, lane];
    wanted.code.is_none()
        && !newest
        && !waiting
        && since_ms.or(*until_ms).is_none()
        && texts.iter().all(|text| text.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Language;

    fn pairs(text: &[(&str, &str)]) -> Vec<(String, String)> {
        text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn parse(pairs: &[(String, String)]) -> Result<RowFilter, Vec<FilterFault>> {
        parse_with(pairs, &Days::utc())
    }

    #[test]
    fn a_query_names_each_of_its_faults() {
        let wrong = [
            ("state", "lost"),
            ("limit", "0"),
            ("after", "-1"),
            ("page", "2"),
            ("limit", "5"),
            ("since", "x"),
        ];
        let faults = parse(&pairs(&wrong)).unwrap_err();
        assert_eq!(faults.len(), 6);
        for (fault, key) in faults.iter().zip(["state", "limit", "after", "page", "limit", "since"])
        {
            let fault = fault.text(Language::English);
            assert!(fault.starts_with(&format!("{key}: ")), "{fault}");
        }
        for wrong in [
            ("state", ""),
            ("till", " "),
            ("code_ending", "-7F3Q"),
            ("waiting", "yes"),
            ("limit", "1001"),
            ("limit", "1e3"),
            ("code", "abc"),
            ("newest", "x"),
            ("until", "2026-13-01"),
        ] {
            assert!(parse(&pairs(&[wrong])).is_err(), "{wrong:?}");
        }
        for (since, until) in [
            ("2026-11-02", "2026-11-01"),
            ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00Z"),
            ("2026-11-01T10:00:00Z", "2026-10-31"),
        ] {
            let faults = parse(&pairs(&[("until", until), ("since", since)])).unwrap_err();
            let text = faults[0].text(Language::English);
            assert!(faults.len() == 1 && text.starts_with("until: not after since"), "{text}");
        }
    }

    #[test]
    fn a_query_without_keys_is_the_first_page() {
        let wanted = parse(&[]).unwrap();
        assert!(
            is_plain(&wanted)
                && wanted.search.limit == LIMIT_DEFAULT
                && wanted.search.after.is_none()
        );
        let all = [("state", "parked"), ("lane", "retm"), ("after", "41"), ("limit", "1000")];
        let wanted = parse(&pairs(&all)).unwrap();
        assert!(!is_plain(&wanted) && is_plain(&parse(&pairs(&[("state", "parked")])).unwrap()));
        let Search { state, after, limit, lane, .. } = wanted.search;
        assert_eq!(
            (state, after, limit, lane.as_deref()),
            (Some(State::Parked), Some(Seq(41)), LIMIT_MAX, Some("retm"))
        );
        assert!(!is_plain(&parse(&pairs(&[("till", "till-7")])).unwrap()));
    }

    #[test]
    fn a_day_is_whole_and_a_hash_comes_back_as_it_was_written() {
        let wanted = parse(&pairs(&[("since", "2026-11-01"), ("until", "2026-11-01")])).unwrap();
        let (since, until) = (wanted.search.since_ms.unwrap(), wanted.search.until_ms.unwrap());
        assert_eq!((since, until - since), (1_793_491_200_000, 86_400_000));
        let hash = Fingerprint([7; 16]);
        assert_eq!(parse(&pairs(&[("code", &written(hash))])).unwrap().code, Some(hash));
    }
}
