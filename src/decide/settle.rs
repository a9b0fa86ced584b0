//! An attempt has ended, or a till has waited in vain: what becomes of the row.

use serde::{Deserialize, Serialize};

use super::accept::{NotOnTrust, given_marks, not_on_trust};
use super::row::{Row, kind, mark};
use crate::limits::{LaneNow, Risk};
use crate::link::Cause;
use crate::redemption::{Answer, State};
use crate::settings::Offline;
use crate::trust::Trust;
use crate::verdict::ParkReason;
use crate::{contract, fold};

/// How often an uncertain row that is refused is asked before a person decides.
pub(super) const UNCERTAIN_REFUSALS_MAX: usize = 4;
/// How many weak refusals alike it takes before a person decides.
pub(super) const WEAK_REFUSALS_MIN: usize = 5;
/// How many attempts of a row are kept.
const ATTEMPTS_KEPT_MAX: usize = 10;
/// The words for an attempt about which the provider is still at work, and for a success that says
/// that it failed.
const IN_PROGRESS: &str = "in_progress";
const PARKED: &str = "parked";

/// How an attempt ended, as far as the row is concerned.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The provider took it.
    Confirmed(Answer),
    /// The provider refused it.
    Declined {
        /// Its answer.
        answer: Answer,
        /// It said "already used".
        already_used: bool,
        /// The evidence is strong.
        strong: bool,
    },
    /// A success that says something else besides.
    Parked {
        /// Its answer.
        answer: Answer,
        /// Why a person has to decide.
        reason: ParkReason,
        /// What it says besides is "already used", of the code.
        already_used: bool,
    },
    /// The attempt certainly did not reach the redemption.
    Clean,
    /// As `Clean`, and it does not count as an attempt: the credential was refused.
    Uncharged,
    /// The attempt may have reached the provider.
    Unclear,
    /// As `Unclear`, and the answer says that it is still being worked on: weak evidence.
    Busy(Answer),
}

impl Ended {
    /// The provider said "already used".
    #[must_use]
    pub fn is_used(&self) -> bool {
        matches!(
            self,
            Self::Declined { already_used: true, .. } | Self::Parked { already_used: true, .. }
        )
    }
}

/// One attempt as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it ended, Unix milliseconds.
    pub at_ms: i64,
    /// The same on the gateway's elapsed time, seconds.
    pub elapsed_s: i64,
    /// What came of it: a verdict's word or the phase at which it ended.
    pub outcome: String,
    /// The provider's HTTP status, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// What kind of refusal it was: equal numbers are refusals alike. No text, which may repeat the
    /// code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<u32>,
}

/// What surrounds the end of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct SettleContext<'a> {
    /// A till waits for the answer and is told it.
    pub told: bool,
    /// Other rows of the lane are answered well.
    pub lane_is_well: bool,
    /// A redemption of somebody else explains an "already used".
    pub explained: bool,
    /// The row's attempts, this one the last.
    pub attempts: &'a [Attempt],
    /// How long weak refusals alike last before a person decides, seconds.
    pub weak_after_s: i64,
}

/// Why a row is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParkCause {
    /// See [`ParkReason`].
    Answer(ParkReason),
    /// It is uncertain and was refused again and again in words that are not understood.
    UncertainRefused,
    /// Weak refusals alike for long while the lane was well.
    WeakForLong,
    /// "Already used" about a reusable code after an attempt that may have arrived.
    ReusableUsed,
    /// "Already used" about a row of a copy or an import: somebody else's use is as likely.
    InDoubtUsed,
}

/// What becomes of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settle {
    /// It is settled, or parked with a reason.
    As {
        /// Its state.
        state: State,
        /// Its marks.
        marks: i64,
        /// Why, when it is parked.
        why: Option<ParkCause>,
    },
    /// It goes on waiting.
    Waits {
        /// Its marks.
        marks: i64,
        /// The attempt does not count.
        uncharged: bool,
    },
}

/// What becomes of a pending row whose attempt has ended.
#[must_use]
#[expect(clippy::match_same_arms, reason = "each end with what it means, as in the rules")]
pub fn settle(row: &Row, ended: &Ended, around: SettleContext<'_>) -> Settle {
    // An answer that comes while its till waits is told to it, unless a 2xx of ours left before.
    let told = around.told && !row.is_trusted();
    let marks = row.marks | if told { mark::ANSWERED } else { 0 };
    // Of an uncertain row no refusal is told: its till is to ask again.
    let no = row.marks | if told { mark::REFUSED_AT_TILL } else { 0 };
    let waits = |marks, uncharged| Settle::Waits { marks, uncharged };
    match ended {
        Ended::Confirmed(_) => confirmed(row, marks, told),
        Ended::Declined { already_used: true, .. } => used(row, (marks, told), around.explained),
        Ended::Parked { already_used: true, .. } if row.has(mark::UNCERTAIN) => {
            used(row, (marks, told), around.explained)
        }
        Ended::Declined { .. } if row.has(mark::UNCERTAIN) => uncertain_refused((row, no), around),
        Ended::Declined { answer, strong: true, .. } => {
            declined(row, marks | mark::STRONG | of_the_form(row, answer))
        }
        Ended::Declined { answer, .. } if told => declined(row, marks | of_the_form(row, answer)),
        Ended::Declined { .. } if is_weak_for_long(around) => {
            parked(row.marks, ParkCause::WeakForLong)
        }
        Ended::Declined { .. } => waits(row.marks, false),
        Ended::Parked { reason, .. } if row.has(mark::UNCERTAIN) => {
            parked(no, ParkCause::Answer(*reason))
        }
        Ended::Parked { reason, .. } => parked(marks | mark::UNCERTAIN, ParkCause::Answer(*reason)),
        Ended::Clean => waits(row.marks, false),
        Ended::Uncharged => waits(row.marks, true),
        Ended::Busy(_) if is_weak_for_long(around) => {
            parked(no | mark::UNCERTAIN, ParkCause::WeakForLong)
        }
        Ended::Busy(_) | Ended::Unclear => waits(row.marks | mark::UNCERTAIN, false),
    }
}

/// What the provider took after its till was told no is owed to the customer, unless a till that
/// asked again hears it now. A pending row that was answered before is one that was refused or
/// parked, and sent again by a person.
fn confirmed(row: &Row, marks: i64, told: bool) -> Settle {
    let is_owed = row.was_refused() && !told;
    let marks = if is_owed { open_anew(marks, mark::OWED) } else { marks };
    Settle::As { state: State::Confirmed, marks, why: None }
}

/// The marks with what a person has to see to anew: what was said of the row before was about
/// something else.
fn open_anew(marks: i64, mark: i64) -> i64 {
    (marks & !mark::HANDLED) | mark
}

/// The marks of a row that was refused and confirmed, once it is known that no till heard of it,
/// neither while it waited nor when it was given what was owed: it is owed after all, once. A till
/// that resets each connection may have heard it, so that the second time a person decides. `None`:
/// nothing changes.
#[must_use]
pub fn unheard(row: &Row) -> Option<i64> {
    let is_open = row.has(mark::OWED | mark::IN_VAIN);
    let seemed_heard = row.state == State::Confirmed && row.was_refused() && !is_open;
    if row.has(mark::UNHEARD) {
        return seemed_heard.then_some(open_anew(row.marks, mark::IN_VAIN));
    }
    // Of a row that was answered before it was sent again, that stays true.
    let heard = if row.has(mark::REFUSED_AT_TILL) { mark::ANSWERED } else { 0 };
    let marks = row.marks & !(heard | mark::OWED_PAID | mark::PAID_ELSEWHERE);
    seemed_heard.then_some(open_anew(marks, mark::OWED | mark::UNHEARD))
}

/// The marks of what is owed in a database that is a copy: it may have been given since.
#[must_use]
pub fn owed_in_copy(marks: i64) -> i64 {
    open_anew(marks, mark::IN_VAIN)
}

/// The marks of a row whose till waited in vain and is told now what has become of it meanwhile: as
/// if it had still waited then. What was owed is given with it. `None`: nothing changes.
#[must_use]
pub fn relayed(row: &Row) -> Option<i64> {
    let is_told = row.is_trusted() || row.state == State::Voided;
    let heard = if row.is_final_at_till() { mark::ANSWERED } else { mark::REFUSED_AT_TILL };
    let marks = (row.marks & !mark::OWED) | heard;
    (!is_told && marks != row.marks).then_some(marks)
}

fn declined(row: &Row, marks: i64) -> Settle {
    let lost = if row.is_trusted() { mark::LOST } else { 0 };
    Settle::As { state: State::Declined, marks: marks | lost, why: None }
}

/// A refusal of the request's form, of which nothing was given: the next request for the code may
/// be well formed.
fn of_the_form(row: &Row, answer: &Answer) -> i64 {
    let is_malformed = !contract::date_is_possible(&row.date) || fold::is_blank(&row.branch);
    let is_bare = !row.is_trusted();
    let is_of_it = is_bare && contract::is_about_the_form(&answer.body, &row.code, is_malformed);
    if is_of_it { mark::OF_THE_FORM } else { 0 }
}

fn parked(marks: i64, why: ParkCause) -> Settle {
    Settle::As { state: State::Parked, marks, why: Some(why) }
}

/// "Already used": strong evidence, and our own doing where an attempt of ours may have arrived.
fn used(row: &Row, (marks, told): (i64, bool), explained: bool) -> Settle {
    if !row.has(mark::UNCERTAIN) || explained {
        return declined(row, marks | mark::STRONG | mark::SAID_USED);
    }
    let no = row.marks | if told { mark::REFUSED_AT_TILL } else { 0 };
    if row.is(kind::REUSABLE) {
        return parked(no, ParkCause::ReusableUsed);
    }
    if row.has(mark::IN_DOUBT) {
        return parked(no, ParkCause::InDoubtUsed);
    }
    confirmed(row, marks | mark::DUPLICATE_OF_OURS, told)
}

/// Our own earlier attempt may be what it is refused for.
fn uncertain_refused((row, no): (&Row, i64), around: SettleContext<'_>) -> Settle {
    let refusals =
        around.attempts.iter().rev().take_while(|attempt| attempt.refusal.is_some()).count();
    if refusals >= UNCERTAIN_REFUSALS_MAX {
        return parked(no, ParkCause::UncertainRefused);
    }
    Settle::Waits { marks: row.marks, uncharged: false }
}

/// The weak answers that are like the last one, with their places, the latest first. What was none
/// in between, an outage or a defect, ends no such run.
fn refused_alike(attempts: &[Attempt]) -> impl Iterator<Item = (usize, &Attempt)> {
    let refusals = || attempts.iter().enumerate().rev().filter(|(_, end)| end.says_no());
    let last = refusals().next().map(|(_, end)| end.refusal);
    refusals().take_while(move |(_, end)| Some(end.refusal) == last)
}

impl Attempt {
    /// It was refused, or a 409 or 425 said that it was still being worked on. Those are alike.
    fn says_no(&self) -> bool {
        let is_busy = self.outcome == IN_PROGRESS && self.status >= Some(400);
        is_busy || self.refusal.is_some()
    }
}

/// Why a row was not answered whose lane counts as up still: as its last attempt that ended tells
/// it, by these words of its outcome. One that is on the wire is silent.
#[must_use]
pub fn cause_of_silence(ended: Option<&Attempt>) -> Cause {
    match ended.map(|attempt| attempt.outcome.as_str()) {
        Some("row_fault" | "unreadable" | "wait") => Cause::Provider,
        Some(word) => Cause::from_word(word).unwrap_or(Cause::Answer),
        None => Cause::Answer,
    }
}

/// The last [`ATTEMPTS_KEPT_MAX`] of a row's attempts stay. Since when it is refused alike may be
/// longer ago: the first such refusal stays too, in the place of the one after it.
pub fn keep_attempts(attempts: &mut Vec<Attempt>) {
    while attempts.len() > ATTEMPTS_KEPT_MAX {
        let first = refused_alike(attempts).last().map(|(at, _)| at);
        attempts.remove(usize::from(first == Some(0)));
    }
}

fn is_weak_for_long(around: SettleContext<'_>) -> bool {
    let Some(last) = around.attempts.last() else { return false };
    let alike = || refused_alike(around.attempts);
    let first_s = alike().last().map_or(last.elapsed_s, |(_, attempt)| attempt.elapsed_s);
    last.says_no()
        && alike().count() >= WEAK_REFUSALS_MIN
        && last.elapsed_s.saturating_sub(first_s) >= around.weak_after_s
        && around.lane_is_well
}

/// How a till's wait for the provider's answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// The time was up, or nobody can be asked any more.
    InVain,
    /// The lane did not send it: no slot, or the provider told everybody to wait.
    TurnedAway {
        /// What the provider said, seconds.
        retry_after_s: Option<u64>,
    },
}

/// What surrounds the end of a till's wait.
#[derive(Clone, Copy, Debug)]
pub struct WaitContext<'a> {
    /// How it ended.
    pub end: WaitEnd,
    /// The attempt was stopped before any byte left.
    pub withdrawn: bool,
    /// The lane now.
    pub lane: LaneNow,
    /// Others were not answered either.
    pub evidence: bool,
    /// The offline policy.
    pub offline: &'a Offline,
    /// What else an acceptance on trust depends on.
    pub risk: Risk<'a>,
    /// Another business's redemption holds the code.
    pub is_held_elsewhere: bool,
    /// The row's attempts that have ended.
    pub attempts: &'a [Attempt],
}

/// What becomes of a pending row for which its till waits no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclude {
    /// It is accepted on trust.
    Trust,
    /// It was before.
    Trusted,
    /// No byte left: it is voided, and the till told to ask again.
    TurnAway(NotGiven),
    /// A byte may have left: it stays pending, and the till is told to ask again.
    RefuseAtTill(NotGiven),
}

/// Why nothing was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGiven {
    /// The provider alone can say, and it has not.
    Unanswered,
    /// There was no slot.
    Busy,
    /// The provider told everybody to wait.
    Wait(u64),
    /// An offline limit, or the date.
    Refused(NotOnTrust),
}

/// The acceptance after a wait.
#[must_use]
pub fn conclude(row: &Row, at: WaitContext<'_>) -> Conclude {
    if row.is_trusted() {
        return Conclude::Trusted;
    }
    let not_given = match may_trust(row, &at) {
        Ok(()) => match not_on_trust(&row.date, at.offline, (&at.lane, &at.risk)) {
            None => return Conclude::Trust,
            Some(refused) => NotGiven::Refused(refused),
        },
        Err(why) => why,
    };
    // One that a person sends again is not voided for its till's sake.
    if row.is_untouched(at.withdrawn) && !was_told_no(row, &at) {
        Conclude::TurnAway(not_given)
    } else {
        Conclude::RefuseAtTill(not_given)
    }
}

/// Whether the provider has refused this very row, and has not taken that back: before a person
/// sent it again, or at its last answer.
fn was_told_no(row: &Row, at: &WaitContext<'_>) -> bool {
    row.has(mark::STRONG | mark::ANSWERED) || was_refused_last(at.attempts)
}

/// Whether the last of a pending row's attempts that was answered was refused. That it was still
/// being worked on is no refusal.
fn was_refused_last(attempts: &[Attempt]) -> bool {
    let says_no = |end: &Attempt| end.refusal.is_some() || end.outcome == PARKED;
    let is_answered = |end: &&Attempt| says_no(end) || end.outcome == IN_PROGRESS;
    attempts.iter().rev().find(is_answered).is_some_and(says_no)
}

/// The marks of what is given on trust after a wait.
#[must_use]
pub fn marks_given_late(row: &Row, at: &WaitContext<'_>) -> i64 {
    let is_at_once = matches!(at.lane.trust, Trust::AtOnce { .. });
    let not_asked = is_at_once && row.is_untouched(at.withdrawn);
    given_marks(&at.lane) | if not_asked { mark::NOT_ASKED } else { 0 }
}

fn may_trust(row: &Row, at: &WaitContext<'_>) -> Result<(), NotGiven> {
    if row.is(kind::PROVIDER_ONLY) || at.is_held_elsewhere || was_told_no(row, at) {
        return Err(NotGiven::Unanswered);
    }
    match (at.lane.trust, at.end) {
        (Trust::AtOnce { .. }, _) => Ok(()),
        (_, WaitEnd::TurnedAway { retry_after_s: Some(after_s) }) => Err(NotGiven::Wait(after_s)),
        (_, WaitEnd::TurnedAway { retry_after_s: None }) => Err(NotGiven::Busy),
        (Trust::Unanswered, WaitEnd::InVain) if at.evidence => Ok(()),
        (Trust::Unanswered | Trust::Never, WaitEnd::InVain) => {
            Err(at.lane.retry_after_s.map_or(NotGiven::Unanswered, NotGiven::Wait))
        }
    }
}
