//! The inbox: what waits for a person, grouped by what there is to decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::act::deeds_of;
use super::words::{Words, words};
use super::{Asked, Frame, Moment, denied, mark_of, rendered, sentence, shown};
use crate::admin::Admin;
use crate::admin::given::held_for_declines;
use crate::admin::parked::ParkedFor;
use crate::admin::redemptions::{kind_of, said_of};
use crate::message::{Denied, FilterFault, Language, Note, Noun, count, grouped, worded};
use crate::queue::QueueError;
use crate::redemption::{Redemption, Seq, State as RowState};

/// How many rows of a group are shown with it.
const SHOWN_OF_A_GROUP: usize = 5;
/// How many bounded looks a count takes before it says "at least".
pub(super) const LOOKS_A_COUNT: usize = 10;
/// What was refused at the till itself is shown for so long.
const REFUSED_SHOWN_FOR_MS: i64 = 24 * 3_600_000;
/// The states in which something waits for a person; the one without an index of its own last.
const STATES: [RowState; 4] =
    [RowState::Declined, RowState::Parked, RowState::Voided, RowState::Confirmed];

/// The states that are looked at, each with the row before which it begins.
pub(super) type Looks = Vec<(RowState, Option<Seq>)>;

worded! {
    /// What there is to decide.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) enum MatterKind {
        /// Given on trust, and declined.
        DeclinedAfter = "declined-after",
        /// One of those for which the lane is held.
        Streak = "streak",
        /// Counted as confirmed for an attempt of ours that explains "already used".
        Ours = "ours",
        /// Neither yes nor no.
        Unreadable = "unreadable",
        /// A no that may be about an attempt that was taken.
        Doubt = "doubt",
        /// It was imported and cannot go on by itself.
        Moved = "moved",
        /// The disk damaged it.
        Damaged = "damaged",
        /// The till was told no, and the provider took it.
        Owed = "owed",
        /// What was owed was given, and no till may have heard.
        InVain = "in-vain",
        /// Its till took it back after it was given.
        TakenBack = "taken-back",
        /// The till heard the provider's no itself.
        Refused = "refused",
    }
}

impl MatterKind {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Title and meaning.
    pub(super) fn texts(self, w: &Words) -> [&'static str; 2] {
        match self {
            Self::DeclinedAfter => [w.declined_after, w.declined_after_means],
            Self::Streak => [w.streak, w.streak_means],
            Self::Ours => [w.ours, w.ours_means],
            Self::Unreadable => [w.unreadable, w.unreadable_means],
            Self::Doubt => [w.doubt, w.doubt_means],
            Self::Moved => [w.moved, w.moved_means],
            Self::Damaged => [w.damaged, w.damaged_means],
            Self::Owed => [w.owed, w.owed_means],
            Self::InVain => [w.in_vain, w.in_vain_means],
            Self::TakenBack => [w.taken_back, w.taken_back_means],
            Self::Refused => [w.refused_today, w.refused_today_means],
        }
    }

    /// What to tell the customer.
    fn tell(self, has: CustomerHas, w: &Words) -> &'static str {
        match (self, has) {
            (Self::Damaged, _) => w.damaged_tell,
            (Self::Refused, _) => w.refused_today_tell,
            (Self::TakenBack, _) => w.taken_back_tell,
            (_, CustomerHas::Reward) => w.has_it_tell,
            (_, CustomerHas::Owed) => w.owed_tell,
            (_, CustomerHas::OwedOfMany) => w.owed_of_many_tell,
            (_, CustomerHas::Perhaps) => w.in_vain_tell,
            (_, CustomerHas::Nothing) => w.looked_into_tell,
        }
    }

    /// Where its rows are.
    pub(super) fn state(self) -> RowState {
        match self {
            Self::DeclinedAfter | Self::Streak | Self::Refused => RowState::Declined,
            Self::Ours | Self::Owed | Self::InVain => RowState::Confirmed,
            Self::Unreadable | Self::Doubt | Self::Moved | Self::Damaged => RowState::Parked,
            Self::TakenBack => RowState::Voided,
        }
    }

    /// What has to be decided about this row, if anything; `held` are the lanes that are held for
    /// declines.
    fn of(row: &Redemption, held: &[String]) -> Option<Self> {
        let was_given = was_given(row);
        match row.state {
            RowState::Declined if was_given && row.streak && held.contains(&row.lane) => {
                Some(Self::Streak)
            }
            RowState::Declined if was_given => Some(Self::DeclinedAfter),
            RowState::Declined => Some(Self::Refused),
            RowState::Confirmed if row.duplicate_of_ours => Some(Self::Ours),
            RowState::Confirmed if row.in_vain => Some(Self::InVain),
            RowState::Confirmed if row.owed && !row.owed_paid => Some(Self::Owed),
            RowState::Parked => ParkedFor::of(row).map(Self::of_parked),
            RowState::Voided if row.taken_back => Some(Self::TakenBack),
            RowState::Pending | RowState::Confirmed | RowState::Voided => None,
        }
    }

    fn of_parked(why: ParkedFor) -> Self {
        match why {
            ParkedFor::Unreadable => Self::Unreadable,
            ParkedFor::Doubt => Self::Doubt,
            ParkedFor::Moved => Self::Moved,
            ParkedFor::Damaged => Self::Damaged,
        }
    }
}

/// What the customer has got of a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CustomerHas {
    /// Her reward.
    Reward,
    /// The next request for the code gets the reward.
    Owed,
    /// The reward, and the next request for the code is a redemption of its own.
    OwedOfMany,
    /// It was given again, and no till may have heard.
    Perhaps,
    /// No reward of ours.
    Nothing,
}

impl CustomerHas {
    pub(super) fn of(row: &Redemption) -> Self {
        let is_confirmed = row.state == RowState::Confirmed;
        if is_confirmed && row.in_vain {
            Self::Perhaps
        } else if is_confirmed && row.owed && !row.owed_paid {
            if row.reusable { Self::OwedOfMany } else { Self::Owed }
        } else if is_confirmed || was_given(row) {
            Self::Reward
        } else {
            Self::Nothing
        }
    }
}

/// Whether a 2xx of ours left for it, before the provider had answered.
pub(super) fn was_given(row: &Redemption) -> bool {
    row.lost || row.trusted
}

/// Rows about which the same is to be decided.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: MatterKind,
    pub(super) key: String,
    customer: CustomerHas,
    lane: String,
    said: Option<String>,
    why: Option<Note>,
    count: u64,
    /// Of these, given while an operator held the lane.
    on_hold: u64,
    /// For some of them no reward was given.
    may_owe: bool,
    first_ms: i64,
    last_ms: i64,
    rows: Vec<(String, String, String)>,
}

/// The inbox.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// Where the next look begins, when there are rows that were not looked at.
    next: Looks,
}

impl Groups {
    /// Whether there are rows that were not looked at.
    pub(super) fn is_cut(&self) -> bool {
        !self.next.is_empty()
    }

    /// Each kind with how many there are.
    pub(super) fn summary(&self, f: &Frame) -> Vec<(&'static str, String)> {
        let mut kinds: BTreeMap<MatterKind, u64> = BTreeMap::new();
        let waiting = self.groups.iter().filter(|group| group.kind != MatterKind::Refused);
        for group in waiting {
            *kinds.entry(group.kind).or_default() += group.count;
        }
        let row = |(kind, number): (MatterKind, u64)| {
            (kind.texts(f.w)[0], count(number, Noun::Case, f.lang))
        };
        kinds.into_iter().map(row).collect()
    }
}

/// A row's kind and the key of its group: alike are those of one lane that were refused in the same
/// words, or that wait for the same reason, and about which the customer is told the same.
pub(super) fn group_of(row: &Redemption, held: &[String]) -> Option<(MatterKind, String)> {
    let kind = MatterKind::of(row, held)?;
    let why = why(row).map(|note| note.text(Language::English)).unwrap_or_default();
    let tell = kind.tell(CustomerHas::of(row), words(Language::English));
    Some((kind, mark_of(&["group", kind.as_str(), &row.lane, &kind_of(row), &why, tell])))
}

/// Whether there is anything to decide about it.
pub(super) fn is_a_matter(row: &Redemption) -> bool {
    MatterKind::of(row, &[]).is_some()
}

/// Why it is parked, in the gateway's own words; a person's words make no group.
fn why(row: &Redemption) -> Option<&Note> {
    row.note
        .as_ref()
        .filter(|note| row.state == RowState::Parked && !matches!(note, Note::Text { .. }))
}

/// Every state from its newest row on.
fn everything() -> Looks {
    STATES.map(|state| (state, None)).to_vec()
}

/// What came before this time and was refused at the till itself is not shown.
pub(super) fn refused_since_ms(admin: &Admin) -> i64 {
    admin.info.clock.stamp().unix_ms.saturating_sub(REFUSED_SHOWN_FOR_MS)
}

/// Looks at what waits, the newest first.
async fn gather(admin: &Admin, looks: Looks) -> Result<Groups, QueueError> {
    let held: Vec<_> = held_for_declines(admin).collect();
    let since_ms = refused_since_ms(admin);
    let look = move |reader: &crate::store::Reader| {
        let mut groups: BTreeMap<(MatterKind, String), Group> = BTreeMap::new();
        let ends = reader.waiting(&looks, since_ms, |row| {
            let Some((kind, key)) = group_of(&row, &held) else { return };
            let its = groups.entry((kind, key));
            let its = its.or_insert_with_key(|(kind, key)| Group::of(*kind, key.clone(), &row));
            its.add(&row);
        })?;
        let cut = looks.iter().zip(ends).filter(|(_, end)| end.next.is_some());
        let next = cut.map(|((state, _), end)| (*state, end.next)).collect();
        Ok(Groups { groups: groups.into_values().collect(), next })
    };
    admin.queue.look(look).await
}

/// All that waits, in so many looks as a count takes.
pub(super) async fn gather_all(admin: &Admin) -> Result<Groups, QueueError> {
    let mut all = gather(admin, everything()).await?;
    for _ in 1..LOOKS_A_COUNT {
        if !all.is_cut() {
            break;
        }
        let more = gather(admin, all.next).await?;
        all.groups.extend(more.groups);
        all.next = more.next;
    }
    Ok(all)
}

/// The looks as they stand in an address.
fn written(looks: &Looks) -> String {
    let part = |(state, before): &(RowState, Option<Seq>)| {
        format!("{state}.{}", before.map_or(i64::MAX, |seq| seq.0))
    };
    looks.iter().map(part).collect::<Vec<_>>().join(",")
}

/// The looks of an address, each state once; `None`: it is none that [`written`] made.
fn read(text: &str) -> Option<Looks> {
    let mut looks = Looks::new();
    for part in text.split(',') {
        let (state, before) = part.split_once('.')?;
        let state = state.parse().ok().filter(|state| STATES.contains(state))?;
        if looks.iter().any(|(its, _)| *its == state) {
            return None;
        }
        looks.push((state, Some(Seq(before.parse().ok()?))));
    }
    Some(looks)
}

/// What an address asks for: everything, or what comes after an earlier page.
fn looks_of(from: &str) -> Result<Looks, Denied> {
    if from.is_empty() {
        return Ok(everything());
    }
    let faults = vec![FilterFault::NotOurs { key: "from".to_owned() }];
    read(from).ok_or(Denied::Filter { faults })
}

impl Group {
    fn of(kind: MatterKind, key: String, row: &Redemption) -> Self {
        let at = row.settled_at_ms.unwrap_or(row.accepted_at_ms);
        let (said, why) = (said_of(row), why(row).cloned());
        Self {
            kind,
            key,
            customer: CustomerHas::of(row),
            lane: row.lane.clone(),
            said,
            why,
            count: 0,
            on_hold: 0,
            may_owe: false,
            first_ms: at,
            last_ms: at,
            rows: Vec::new(),
        }
    }

    fn add(&mut self, row: &Redemption) {
        let at = row.settled_at_ms.unwrap_or(row.accepted_at_ms);
        self.count += 1;
        self.on_hold += u64::from(row.on_hold);
        self.may_owe |= CustomerHas::of(row) == CustomerHas::Nothing;
        (self.first_ms, self.last_ms) = (self.first_ms.min(at), self.last_ms.max(at));
        if self.rows.len() < SHOWN_OF_A_GROUP {
            self.rows.push((
                row.id.to_string(),
                shown(&row.reward_code.masked()),
                shown(&row.till),
            ));
        }
    }
}

/// A group as the page shows it.
struct GroupView {
    title: &'static str,
    means: &'static str,
    tell: &'static str,
    lane: String,
    said: Option<String>,
    why: Option<String>,
    count: String,
    /// How many of them were given while an operator held the lane.
    on_hold: Option<String>,
    more: Option<String>,
    first: Moment,
    last: Moment,
    rows: Vec<(String, String, String)>,
    kind: &'static str,
    /// That what is sent again waits for a release of its lane.
    waits: Option<&'static str>,
    key: String,
    may_void: bool,
    may_retry: bool,
    /// What is sent again may be owed then.
    may_owe: bool,
}

impl GroupView {
    fn of(group: &Group, f: &Frame) -> Self {
        let [title, means] = group.kind.texts(f.w);
        let means = match (group.kind, group.customer) {
            (MatterKind::Owed, CustomerHas::OwedOfMany) => f.w.owed_of_many_means,
            _ => means,
        };
        let left = group.count - group.rows.len() as u64;
        let deeds = deeds_of(group.kind.state());
        Self {
            title,
            means,
            tell: group.kind.tell(group.customer, f.w),
            lane: shown(&group.lane),
            said: group.said.as_deref().map(shown),
            why: group.why.as_ref().map(|note| sentence(&note.text(f.lang))),
            count: count(group.count, Noun::Redemption, f.lang),
            on_hold: (group.on_hold > 0).then(|| grouped(group.on_hold)),
            more: (left > 0).then(|| grouped(left)),
            first: Moment(group.first_ms),
            last: Moment(group.last_ms),
            rows: group.rows.clone(),
            kind: group.kind.as_str(),
            waits: (group.kind == MatterKind::Streak).then_some(f.w.retry_waits),
            key: group.key.clone(),
            may_void: deeds.contains(&"void"),
            may_retry: deeds.contains(&"retry"),
            may_owe: group.may_owe,
        }
    }
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    f: Frame,
    /// What waits for a decision, and what was refused at the tills.
    sections: Vec<Section>,
    /// Where the next look begins.
    next: Option<String>,
    is_first: bool,
}

/// Groups under a heading.
struct Section {
    title: &'static str,
    empty: &'static str,
    parts: Vec<GroupView>,
}

/// Which look it is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    from: String,
}

/// `GET /inbox`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Asked(From { from }): Asked<From>,
) -> Response {
    let looks = match looks_of(&from) {
        Ok(looks) => looks,
        Err(why) => return denied(f, StatusCode::BAD_REQUEST, &why),
    };
    match gather(&admin, looks).await {
        Ok(Groups { groups, next }) => {
            let next = (!next.is_empty()).then(|| format!("/inbox?from={}", written(&next)));
            let is_first = from.is_empty();
            let sections = sections(&groups, next.is_some() || !is_first, &f);
            rendered(StatusCode::OK, &InboxPage { f, sections, next, is_first })
        }
        Err(error) => super::unshown(f, error),
    }
}

/// `is_part`: there are rows that these do not come from.
fn sections(groups: &[Group], is_part: bool, f: &Frame) -> Vec<Section> {
    let parts = |are_refused: bool| {
        let its = groups.iter().filter(|group| (group.kind == MatterKind::Refused) == are_refused);
        its.map(|group| GroupView::of(group, f)).collect()
    };
    let empty = |all: &'static str| if is_part { f.w.none_of_these } else { all };
    let section = |title, all, parts| Section { title, empty: empty(all), parts };
    vec![
        section(f.w.needs, f.w.inbox_empty, parts(false)),
        section(f.w.refused_today, f.w.refused_today_none, parts(true)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_goes_on_where_its_address_says_and_an_address_that_cannot_be_read_is_refused() {
        let looks = vec![(RowState::Declined, Some(Seq(41))), (RowState::Confirmed, Some(Seq(7)))];
        assert_eq!(written(&looks), "declined.41,confirmed.7");
        assert_eq!(read("declined.41,confirmed.7"), Some(looks));
        for wrong in ["xxx", "pending.1", "parked.x", "declined", "parked.1,", "parked.1,parked.1"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(looks_of("").is_ok() && looks_of("parked.1").is_ok() && looks_of("xxx").is_err());
    }

    #[test]
    fn a_parked_row_is_among_those_of_what_it_was_parked_for() {
        let parked = |note: Option<Note>| {
            let row = Redemption { state: RowState::Parked, note, ..Redemption::sample() };
            MatterKind::of(&row, &[]).unwrap()
        };
        let held = Note::ImportedWhileHeld { id: "7".to_owned(), state: "pending".to_owned() };
        for (note, kind) in [
            (Some(held), MatterKind::Moved),
            (Some(Note::ParkedElsewhere), MatterKind::Moved),
            (Some(Note::UsedInDoubt), MatterKind::Doubt),
            (Some(Note::UncertainRefused), MatterKind::Doubt),
            (Some(Note::BodyLost), MatterKind::Damaged),
            (None, MatterKind::Damaged),
        ] {
            assert_eq!(parked(note.clone()), kind, "{note:?}");
        }
    }

    #[test]
    fn only_the_declines_of_the_streak_are_refused_in_a_row() {
        let held = ["first".to_owned()];
        let declined = Redemption { state: RowState::Declined, lost: true, ..Redemption::sample() };
        let streak = Redemption { streak: true, ..declined.clone() };
        assert_eq!(MatterKind::of(&declined, &held), Some(MatterKind::DeclinedAfter));
        assert_eq!(MatterKind::of(&streak, &held), Some(MatterKind::Streak));
        assert_eq!(MatterKind::of(&streak, &[]), Some(MatterKind::DeclinedAfter));
    }

    #[test]
    fn what_is_probably_ours_and_owed_is_told_as_owed() {
        let ours = Redemption {
            state: RowState::Confirmed,
            duplicate_of_ours: true,
            trusted: false,
            ..Redemption::sample()
        };
        let owed = Redemption { owed: true, ..ours.clone() };
        let of_many = Redemption { reusable: true, ..owed.clone() };
        let paid = Redemption { owed_paid: true, ..owed.clone() };
        let in_vain = Redemption { in_vain: true, ..paid.clone() };
        let w = words(Language::English);
        for (row, told) in [
            (ours, w.has_it_tell),
            (owed, w.owed_tell),
            (of_many, w.owed_of_many_tell),
            (paid, w.has_it_tell),
            (in_vain, w.in_vain_tell),
        ] {
            let kind = MatterKind::of(&row, &[]).unwrap();
            assert_eq!((kind, kind.tell(CustomerHas::of(&row), w)), (MatterKind::Ours, told));
        }
    }

    #[test]
    fn every_kind_is_found_by_its_word() {
        for kind in MatterKind::ALL {
            assert_eq!(MatterKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(MatterKind::from_word("x"), None);
    }
}
