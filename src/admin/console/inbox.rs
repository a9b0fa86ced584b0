//! The inbox: what waits for a person, grouped by what there is to decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

use super::words::Words;
use super::{Frame, Moment, mark_of, rendered, shown};
use crate::admin::Admin;
use crate::admin::redemptions::said_of;
use crate::admin::rights::Asker;
use crate::message::{Noun, count, grouped};
use crate::queue::QueueError;
use crate::redemption::{Redemption, State as RowState};

/// How many rows of a group are shown with it.
const SHOWN_OF_A_GROUP: usize = 5;

/// What there is to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Given on trust, and declined.
    DeclinedAfter,
    /// One of those for which the lane is held.
    Streak,
    /// Counted as confirmed for an attempt of ours that explains "already used".
    Ours,
    /// Neither yes nor no.
    Unreadable,
    /// The disk damaged it.
    Damaged,
}

impl Kind {
    const ALL: [Self; 5] = [Self::DeclinedAfter, Self::Streak, Self::Ours, Self::Unreadable, Self::Damaged];

    /// The word in an address.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DeclinedAfter => "declined-after",
            Self::Streak => "streak",
            Self::Ours => "ours",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Title, meaning, and what to tell the customer.
    pub(super) fn texts(self, w: &Words) -> [&'static str; 3] {
        match self {
            Self::DeclinedAfter => [w.declined_after, w.declined_after_means, w.declined_after_tell],
            Self::Streak => [w.streak, w.streak_means, w.streak_tell],
            Self::Ours => [w.ours, w.ours_means, w.ours_tell],
            Self::Unreadable => [w.unreadable, w.unreadable_means, w.unreadable_tell],
            Self::Damaged => [w.damaged, w.damaged_means, w.damaged_tell],
        }
    }

    /// Where its rows are.
    pub(super) fn state(self) -> RowState {
        match self {
            Self::DeclinedAfter | Self::Streak => RowState::Declined,
            Self::Ours => RowState::Confirmed,
            Self::Unreadable | Self::Damaged => RowState::Parked,
        }
    }

    /// What has to be decided about this row, if anything; `held` are the lanes that are held for declines.
    fn of(row: &Redemption, held: &[String]) -> Option<Self> {
        match row.state {
            RowState::Declined if held.contains(&row.lane) => Some(Self::Streak),
            RowState::Declined if row.lost || row.trusted => Some(Self::DeclinedAfter),
            RowState::Confirmed if row.duplicate_of_ours => Some(Self::Ours),
            RowState::Parked if row.answer.is_none() => Some(Self::Damaged),
            RowState::Parked => Some(Self::Unreadable),
            RowState::Pending | RowState::Confirmed | RowState::Declined | RowState::Voided => None,
        }
    }
}

/// Rows about which the same is to be decided.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) key: String,
    lane: String,
    said: Option<String>,
    count: u64,
    first_ms: i64,
    last_ms: i64,
    rows: Vec<(String, String, String)>,
}

/// The inbox.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// There are rows that were not looked at.
    cut: bool,
}

impl Groups {
    /// Each kind with how many there are.
    pub(super) fn summary(&self, f: &Frame) -> Vec<(&'static str, String)> {
        let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
        for group in &self.groups {
            *kinds.entry(group.kind).or_default() += group.count;
        }
        let row = |(kind, number): (Kind, u64)| (kind.texts(f.w)[0], count(number, Noun::Case, f.lang));
        kinds.into_iter().map(row).collect()
    }
}

/// The lanes that are held because of declines alike.
pub(super) fn held_for_declines(admin: &Admin) -> Vec<String> {
    let lanes = admin.queue.lanes().into_iter();
    lanes.filter(|lane| lane.cause.as_deref() == Some("declines")).map(|lane| lane.name).collect()
}

/// A row's kind and the key of its group.
pub(super) fn group_of(row: &Redemption, held: &[String]) -> Option<(Kind, String)> {
    let kind = Kind::of(row, held)?;
    let alike = said_of(row).map(|text| alike(&text)).unwrap_or_default();
    Some((kind, mark_of(&["group", kind.as_str(), &row.lane, &alike])))
}

/// A provider's words without the figures in them: numbers of requests and codes differ in what is one fault.
fn alike(text: &str) -> String {
    let word = |word: &str| if word.chars().any(char::is_numeric) { "#".to_owned() } else { word.to_lowercase() };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Looks at what waits, the newest first.
pub(super) async fn gather(admin: &Admin) -> Result<Groups, QueueError> {
    let held = held_for_declines(admin);
    let mut groups: BTreeMap<(Kind, String), Group> = BTreeMap::new();
    let mut cut = false;
    for state in [RowState::Declined, RowState::Confirmed, RowState::Parked] {
        let found = admin.queue.look(move |reader| reader.exceptions_newest(state, None)).await?;
        cut |= found.cut_short;
        for row in &found.rows {
            let Some((kind, key)) = group_of(row, &held) else { continue };
            groups.entry((kind, key.clone())).or_insert_with(|| Group::of(kind, key, row)).add(row);
        }
    }
    Ok(Groups { groups: groups.into_values().collect(), cut })
}

impl Group {
    fn of(kind: Kind, key: String, row: &Redemption) -> Self {
        let at = row.settled_at_ms.unwrap_or(row.accepted_at_ms);
        let said = said_of(row);
        Self { kind, key, lane: row.lane.clone(), said, count: 0, first_ms: at, last_ms: at, rows: Vec::new() }
    }

    fn add(&mut self, row: &Redemption) {
        let at = row.settled_at_ms.unwrap_or(row.accepted_at_ms);
        self.count += 1;
        (self.first_ms, self.last_ms) = (self.first_ms.min(at), self.last_ms.max(at));
        if self.rows.len() < SHOWN_OF_A_GROUP {
            self.rows.push((row.id.to_string(), shown(&row.reward_code.masked()), shown(&row.till)));
        }
    }
}

/// A group as the page shows it.
struct Part {
    title: &'static str,
    means: &'static str,
    tell: &'static str,
    lane: String,
    said: Option<String>,
    count: String,
    more: Option<String>,
    first: Moment,
    last: Moment,
    rows: Vec<(String, String, String)>,
    kind: &'static str,
    key: String,
    may_void: bool,
    may_retry: bool,
}

impl Part {
    fn of(group: &Group, f: &Frame) -> Self {
        let [title, means, tell] = group.kind.texts(f.w);
        let left = group.count - group.rows.len() as u64;
        Self {
            title,
            means,
            tell,
            lane: shown(&group.lane),
            said: group.said.as_deref().map(shown),
            count: count(group.count, Noun::Redemption, f.lang),
            more: (left > 0).then(|| grouped(left)),
            first: Moment::of_ms(group.first_ms),
            last: Moment::of_ms(group.last_ms),
            rows: group.rows.clone(),
            kind: group.kind.as_str(),
            key: group.key.clone(),
            may_void: group.kind.state() == RowState::Parked,
            may_retry: group.kind != Kind::Ours,
        }
    }
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page {
    f: Frame,
    parts: Vec<Part>,
    cut: bool,
}

/// `GET /inbox`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let f = Frame::new(&admin, &asker, &headers, &uri);
    match gather(&admin).await {
        Ok(Groups { groups, cut }) => {
            let parts = groups.iter().map(|group| Part::of(group, &f)).collect();
            rendered(StatusCode::OK, &Page { f, parts, cut })
        }
        Err(error) => super::unavailable(f, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_differ_in_their_figures_are_alike() {
        assert_eq!(alike("Code …7F3Q  expired (ref 4711)"), alike("code …9X2A expired (ref 12)"));
        assert_ne!(alike("expired"), alike("unknown"));
    }

    #[test]
    fn every_kind_is_found_by_its_word() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_word("x"), None);
    }
}
