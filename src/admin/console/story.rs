//! One redemption's story: whether the reward was given, what happened, who did what.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::inbox::{self, CustomerHas, was_given};
use super::search::{RowLine, line};
use super::trail::TrailEntry;
use super::words::Words;
use super::{Frame, Moment, denied, rendered, sentence, shown};
use crate::admin::Admin;
use crate::admin::redemptions::said_of;
use crate::decide::Attempt;
use crate::message::{self, Denied};
use crate::queue::Story;
use crate::redemption::{Id, Redemption, State as RowState};

/// One thing that happened, in its place in time.
struct StoryStep {
    at_ms: i64,
    at: Moment,
    head: String,
    by: String,
    detail: String,
}

impl StoryStep {
    fn new(at_ms: i64, head: String, detail: String) -> Self {
        Self { at_ms, at: Moment(at_ms), head, by: String::new(), detail }
    }
}

#[derive(Template)]
#[template(path = "story.html")]
#[expect(clippy::struct_excessive_bools, reason = "each shows or hides one part of the page")]
struct StoryPage {
    f: Frame,
    line: RowLine,
    given: &'static str,
    given_tone: &'static str,
    lane: String,
    business: String,
    date: String,
    attempts: u32,
    marks: Vec<&'static str>,
    said: Option<String>,
    note: Option<String>,
    /// What it counts as, and whether a setting said so.
    worth: Option<(String, bool)>,
    rule: Option<String>,
    steps: Vec<StoryStep>,
    may_retry: bool,
    /// What is sent again may be owed then.
    may_owe: bool,
    may_void: bool,
    void_means: &'static str,
    may_handle: bool,
}

/// `GET /redemptions/{id}`
pub(super) async fn page(
    State(admin): State<Arc<Admin>>,
    f: Frame,
    Path(text): Path<String>,
) -> Response {
    let Some(id) = Id::parse(&text) else { return missing(f) };
    match admin.queue.show(&id).await {
        Ok(Some(story)) => rendered(StatusCode::OK, &page_of(f, &story)),
        Ok(None) => missing(f),
        Err(error) => super::unshown(f, error),
    }
}

fn missing(f: Frame) -> Response {
    denied(f, StatusCode::NOT_FOUND, &Denied::NoRedemption)
}

fn page_of(f: Frame, story: &Story) -> StoryPage {
    let row = &story.row;
    let (given_tone, given) = given(row, f.w);
    let may_decide = f.may_decide;
    let is_open = matches!(row.state, RowState::Pending | RowState::Parked);
    let closes_as_lost = row.state == RowState::Declined && row.lost && !row.handled;
    StoryPage {
        line: line(row, &f),
        given,
        given_tone,
        lane: shown(&row.lane),
        business: shown(&row.business_refrence),
        date: shown(&row.date),
        attempts: tries(story),
        marks: begins_later(&story.attempts)
            .then_some(f.w.begins_later)
            .into_iter()
            .chain(marks(row, f.w))
            .collect(),
        said: said_of(row).map(|text| shown(&text)),
        note: row.note.as_ref().map(|note| sentence(&note.text(f.lang))),
        worth: row.value.map(|value| (message::money(value), row.value_assumed)),
        rule: row.rule.as_deref().map(shown),
        steps: steps(story, &f),
        may_retry: may_decide && matches!(row.state, RowState::Declined | RowState::Parked),
        may_owe: CustomerHas::of(row) == CustomerHas::Nothing,
        may_void: may_decide && (is_open || closes_as_lost),
        void_means: if closes_as_lost { f.w.lost_means } else { f.w.void_means },
        may_handle: may_decide && !row.handled && inbox::is_a_matter(row),
        f,
    }
}

/// The customer's question: was the reward given? A 2xx of ours is a fact for life, whatever the
/// till had been told before.
fn given(row: &Redemption, w: &Words) -> (&'static str, &'static str) {
    let was_given = was_given(row);
    let was_told_no = row.refused_at_till || row.answered_at_till;
    match row.state {
        RowState::Confirmed if row.in_vain => ("warn", w.given_in_vain),
        RowState::Confirmed if row.owed && !row.owed_paid && row.reusable => {
            ("warn", w.given_owed_of_many)
        }
        RowState::Confirmed if row.owed && !row.owed_paid => ("warn", w.given_owed),
        RowState::Confirmed if row.owed_paid => ("good", w.given_paid),
        RowState::Confirmed if row.duplicate_of_ours => ("good", w.given_inferred),
        RowState::Confirmed => ("good", w.given_yes),
        RowState::Pending if was_given => ("warn", w.given_trust),
        RowState::Pending if row.refused_at_till => ("warn", w.given_not),
        RowState::Pending => ("warn", w.given_asked),
        RowState::Declined if was_given => ("bad", w.given_lost),
        RowState::Declined => ("bad", w.given_refused),
        RowState::Parked if was_given => ("warn", w.given_parked),
        RowState::Parked if was_told_no => ("warn", w.given_parked_not),
        RowState::Parked => ("warn", w.given_unknown),
        RowState::Voided if was_given => ("bad", w.given_void_trust),
        RowState::Voided if row.turned_away => ("bad", w.given_turned_away),
        RowState::Voided if was_told_no => ("bad", w.given_void_not),
        RowState::Voided => ("bad", w.given_void),
    }
}

fn marks(row: &Redemption, w: &Words) -> Vec<&'static str> {
    let marks = [
        (row.in_flight, w.mark_in_flight),
        (row.uncertain, w.mark_uncertain),
        (row.duplicate_of_ours, w.mark_duplicate),
        (row.refused_at_till, w.mark_refused),
        (row.answered_at_till, w.mark_answered),
        (row.trusted, w.mark_trusted),
        (row.owed && !row.reusable, w.mark_owed),
        (row.owed && row.reusable, w.mark_owed_of_many),
        (row.handled, w.mark_handled),
        (row.in_doubt, w.mark_doubt),
    ];
    marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
}

/// Whether the provider could be asked when the redemption was accepted.
fn taken(row: &Redemption, w: &Words) -> &'static str {
    match (row.on_hold, row.accepted_online) {
        (true, _) => w.taken_on_hold,
        (false, true) => w.taken_up,
        (false, false) => w.taken_down,
    }
}

/// What happened, in order; of two at one moment, what comes first in a redemption's life.
fn steps(story: &Story, f: &Frame) -> Vec<StoryStep> {
    let row = &story.row;
    let how = taken(row, f.w);
    let unsure = if row.clock_trusted { String::new() } else { format!(" {}", f.w.clock_unsure) };
    let mut steps =
        vec![StoryStep::new(row.accepted_at_ms, f.w.taken.to_owned(), format!("{how}{unsure}"))];
    let is_inferred = row.duplicate_of_ours;
    steps.extend(story.attempts.iter().map(|attempt| tried((attempt, is_inferred), f)));
    steps.extend(story.events.iter().map(|event| {
        let TrailEntry { what, by, detail, .. } = TrailEntry::of(event, f);
        StoryStep { by, ..StoryStep::new(event.at_ms, what, detail) }
    }));
    let state = message::state(row.state.as_str(), f.lang).into_owned();
    steps.extend(
        row.settled_at_ms.map(|at_ms| StoryStep::new(at_ms, f.w.settled.to_owned(), state)),
    );
    steps.sort_by_key(|step| step.at_ms);
    steps
}

/// Whether there were attempts before those that are kept.
fn begins_later(attempts: &[Attempt]) -> bool {
    attempts.first().is_some_and(|first| first.number > 1)
}

/// How many attempts there were: one for which our credential was not taken is not counted with
/// the row.
fn tries(story: &Story) -> u32 {
    let last = story.attempts.last().map_or(0, |last| last.number);
    story.row.attempts.max(last)
}

/// What came of an attempt, as a word of [`message::outcome`]; `is_inferred`: the row counts as
/// confirmed since the provider said that it was used.
fn outcome(attempt: &Attempt, is_inferred: bool) -> &str {
    let is_refusal = attempt.status.is_some_and(|status| (400..500).contains(&status));
    let is_used = attempt.outcome == "confirmed" && (is_inferred || is_refusal);
    if is_used { "already_used" } else { &attempt.outcome }
}

fn tried((attempt, is_inferred): (&Attempt, bool), f: &Frame) -> StoryStep {
    let outcome = shown(outcome(attempt, is_inferred));
    let outcome = message::outcome(&outcome, f.lang).into_owned();
    let status = attempt.status.map(|status| f.lang.isolated(format!("HTTP {status}")));
    let took = format!("{} {}", message::grouped(attempt.took_ms), f.w.ms);
    let detail: Vec<String> = [Some(outcome), status, Some(took)].into_iter().flatten().collect();
    StoryStep::new(attempt.at_ms, format!("{} {}", f.w.attempt, attempt.number), detail.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_it_was_given_is_said_by_what_the_till_was_told_last() {
        let w = super::super::words::words(message::Language::English);
        let none = Redemption { trusted: false, ..Redemption::sample() };
        let answer = |row: Redemption| given(&row, w).1;
        let in_state = |state| Redemption { state, ..none.clone() };
        let refused = |state| Redemption { refused_at_till: true, ..in_state(state) };
        let given = |state| Redemption { trusted: true, ..refused(state) };
        let turned_away = Redemption { turned_away: true, ..in_state(RowState::Voided) };
        for (row, expected) in [
            (given(RowState::Pending), "Yes, on trust: the provider's answer is still awaited."),
            (
                given(RowState::Parked),
                "Yes, on trust, but whether the provider took the code is not known.",
            ),
            (refused(RowState::Pending), "No: the till was told to ask again later."),
            (in_state(RowState::Pending), "Not yet: the provider is being asked."),
            (turned_away, "No: the till was told no, and the provider has not taken it."),
        ] {
            assert_eq!(answer(row), expected);
        }
        for (state, of) in [(RowState::Voided, "closed"), (RowState::Parked, "provider")] {
            let (yes, no) = (answer(given(state)), answer(refused(state)));
            assert!(yes.starts_with("Yes, on trust") && yes.contains(of), "{yes}");
            assert!(no.starts_with("No: the till was told") && no.contains(of), "{no}");
        }
    }

    #[test]
    fn a_hold_under_which_it_was_given_is_named_and_no_line_is_called_down() {
        let row = |on_hold, accepted_online| Redemption {
            on_hold,
            accepted_online,
            ..Redemption::sample()
        };
        let said = |row: &Redemption, language| taken(row, super::super::words::words(language));
        for (row, english, arabic) in [
            (row(true, false), "an operator held the line", "أوقف أحد المشغّلين الخط"),
            (row(false, false), "The provider could not be asked.", "تعذّر سؤال المزوّد."),
            (row(false, true), "The provider could be asked.", "كان يمكن سؤال المزوّد."),
        ] {
            assert!(said(&row, message::Language::English).contains(english));
            assert!(said(&row, message::Language::Arabic).contains(arabic));
        }
    }

    #[test]
    fn what_was_inferred_was_not_confirmed_by_the_provider_itself() {
        let row = Redemption {
            state: RowState::Confirmed,
            duplicate_of_ours: true,
            ..Redemption::sample()
        };
        let said = |language| given(&row, super::super::words::words(language)).1;
        assert!(said(message::Language::English).starts_with("Yes: the provider said “already"));
        assert!(said(message::Language::Arabic).starts_with("نعم: قال المزوّد «مستعمل من قبل»"));
    }

    #[test]
    fn it_is_said_when_the_first_attempts_are_not_kept() {
        let attempt = |number: u32| -> Attempt {
            let kept = serde_json::json!({ "number": number, "at_ms": 0, "elapsed_s": 0,
                "outcome": "connect", "took_ms": 1 });
            serde_json::from_value(kept).unwrap()
        };
        assert!(!begins_later(&[]), "the first succeeded");
        assert!(!begins_later(&[attempt(1), attempt(2)]));
        assert!(begins_later(&[attempt(6), attempt(7)]));
    }
}
