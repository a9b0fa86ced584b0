//! What the earlier redemptions of a code say about the next one.

use super::row::{Row, kind, mark};
use crate::redemption::{Request, State};

/// For so long the till that took its redemption back may make it once again, on the gateway's
/// elapsed time, minutes.
const TAKE_AGAIN_MIN: i64 = 10;

/// The earlier redemptions of a code, in the order in which they were accepted.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// The newest of them.
    pub rows: &'a [Row],
    /// There are more, which were not read.
    pub is_cut: bool,
    /// What is kept of the code beyond its rows.
    pub kept: Option<Kept>,
}

/// What is kept of a code whose row is gone, or that was refused to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was used.
    Used,
    /// It was refused by strong evidence.
    Refused,
}

/// What the lane and the settings say about the request.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The till.
    pub till: &'a str,
    /// What it asks for.
    pub request: &'a Request,
    /// The lane can be asked.
    pub can_ask: bool,
    /// Codes that fold alike are one code only if their bytes are.
    pub exact: bool,
    /// The gateway's elapsed time, minutes.
    pub now_min: i64,
}

/// What holds a code.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Nothing.
    Free,
    /// The provider decides, it alone.
    ProviderOnly,
    /// This redemption: "has been used".
    Used(Box<Row>),
    /// This redemption, which the provider refused: its words are the answer.
    Refused(Box<Row>),
    /// A redemption that is not there any more.
    Gone(Kept),
    /// The provider took this one after its till was told no: it is owed.
    Owed(Box<Row>),
}

/// What one earlier redemption says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeHold {
    Free,
    /// The provider decides while it can be asked, otherwise "has been used".
    Provider,
    /// As `Provider`, otherwise the provider's own refusal.
    Refused,
    /// "Has been used", whatever the lane.
    Used,
    Owed,
}

/// What holds the code (docs/trust.md, "What holds a code").
#[must_use]
pub fn guard(earlier: Earlier<'_>, asking: Asking<'_>) -> Guard {
    let mut provider_only = false;
    let mut used: Option<(&Row, bool)> = None;
    for row in earlier.rows.iter().rev() {
        match hold(row, asking) {
            CodeHold::Free => {}
            CodeHold::Owed => return Guard::Owed(Box::new(row.clone())),
            CodeHold::Used => return Guard::Used(Box::new(row.clone())),
            CodeHold::Provider | CodeHold::Refused if asking.can_ask => provider_only = true,
            CodeHold::Provider => used = used.or(Some((row, false))),
            CodeHold::Refused => used = used.or(Some((row, true))),
        }
    }
    match used {
        Some((row, true)) => return Guard::Refused(Box::new(row.clone())),
        Some((row, false)) => return Guard::Used(Box::new(row.clone())),
        None => {}
    }
    let kept = earlier.kept.or_else(|| kept_by_what_was_not_read(earlier));
    match kept {
        Some(kept) if !asking.can_ask => Guard::Gone(kept),
        Some(_) => Guard::ProviderOnly,
        None if provider_only => Guard::ProviderOnly,
        None => Guard::Free,
    }
}

/// A row that was accepted while an earlier one held its code says so for those that were not read.
fn kept_by_what_was_not_read(earlier: Earlier<'_>) -> Option<Kept> {
    let says_so = |row: &Row| row.is(kind::PROVIDER_ONLY) && !row.has(mark::FREED);
    (earlier.is_cut && earlier.rows.iter().any(says_so)).then_some(Kept::Used)
}

fn hold(row: &Row, asking: Asking<'_>) -> CodeHold {
    let Request { business_refrence, reward_code, .. } = asking.request;
    let is_other = !row.is_to_the_byte(asking.request);
    // What became owed after a person had freed the code is owed all the same.
    let is_free = row.has(mark::FREED | mark::OF_THE_FORM) && !row.is_owed();
    if is_free || (asking.exact && row.code != *reward_code) {
        return CodeHold::Free;
    }
    match plain_hold(row, asking) {
        // Other bytes that fold alike may be another code to the provider.
        CodeHold::Used if is_other => CodeHold::Provider,
        // What one business owes another does not give.
        CodeHold::Owed if !row.competes_with(business_refrence, reward_code) => CodeHold::Provider,
        hold @ (CodeHold::Free
        | CodeHold::Provider
        | CodeHold::Refused
        | CodeHold::Used
        | CodeHold::Owed) => hold,
    }
}

#[expect(clippy::match_same_arms, reason = "the rows of the table, in its order")]
fn plain_hold(row: &Row, asking: Asking<'_>) -> CodeHold {
    match row.state {
        State::Pending => CodeHold::Used,
        State::Parked | State::Voided if row.has(mark::UNCERTAIN) => CodeHold::Used,
        State::Parked => CodeHold::Provider,
        // Its row was lost: whether it was given, and who voided it, is not known.
        State::Voided if row.has(mark::IN_DOUBT) => CodeHold::Provider,
        State::Voided if !row.is_trusted() && !is_closed_by_a_person(row) => CodeHold::Free,
        State::Voided => after_taking_back(row, asking),
        State::Confirmed if row.is_owed() => CodeHold::Owed,
        State::Confirmed => CodeHold::Provider,
        State::Declined if row.has(mark::LOST) || row.is_trusted() => CodeHold::Provider,
        // A till heard it: what was refused a moment ago is not given since the line is cut. Weak
        // words may be an edge's: they are not told again in the provider's name.
        State::Declined if row.has(mark::STRONG) => CodeHold::Refused,
        State::Declined => CodeHold::Provider,
    }
}

/// Taken back after its 2xx left: the reward may be in the customer's hands. Its till may take it
/// once again soon after, since a cashier corrects a sale; once, or accept, hand out, take back
/// would go on for ever. Neither what was lost before nor what a person has closed is a sale that a
/// cashier corrects.
fn after_taking_back(row: &Row, asking: Asking<'_>) -> CodeHold {
    let is_soon =
        row.settled_min().is_some_and(|at| asking.now_min.saturating_sub(at) < TAKE_AGAIN_MIN);
    let is_first = !row.is(kind::PROVIDER_ONLY) && !row.is(kind::TAKEN_AGAIN);
    let is_a_sale = row.has(mark::TAKEN_BACK) && !row.has(mark::LOST | mark::HANDLED);
    let is_its = row.till == asking.till && is_a_sale;
    if is_soon && is_first && is_its { CodeHold::Free } else { CodeHold::Provider }
}

/// A person closed it: its code is held until a person frees it. What was voided since its till was
/// told to ask again was nobody's decision.
fn is_closed_by_a_person(row: &Row) -> bool {
    row.has(mark::HANDLED) && !row.has(mark::TURNED_AWAY)
}

/// Whether the new redemption is a till's second for a code that it took back.
#[must_use]
pub(super) fn is_taken_again(rows: &[Row], asking: Asking<'_>) -> bool {
    let took_back = |row: &Row| row.state == State::Voided && row.has(mark::TAKEN_BACK);
    rows.iter().any(|row| took_back(row) && row.till == asking.till)
}

/// Whether the provider refused a redemption of which nothing was given.
#[must_use]
pub fn is_bare_refusal(row: &Row) -> bool {
    row.state == State::Declined && !row.is_trusted() && !row.has(mark::LOST)
}

/// Whether a redemption forbids to send another one of its code again.
#[must_use]
pub fn is_obstacle(row: &Row) -> bool {
    if row.has(mark::FREED) {
        return false;
    }
    match row.state {
        State::Pending | State::Parked | State::Confirmed => true,
        State::Voided => row.has(mark::UNCERTAIN),
        State::Declined => false,
    }
}

/// Whether an "already used" to a row may be our own doing: an attempt of ours may have arrived,
/// and the code is good for one time only. Then it matters whether somebody else's redemption
/// explains it.
#[must_use]
pub fn may_be_ours(row: &Row) -> bool {
    row.has(mark::UNCERTAIN) && !row.is(kind::REUSABLE)
}

/// Whether an "already used" to `row` is explained by somebody else's redemption, whichever was
/// first: one that was confirmed. One whose code a person freed explains nothing: it may be
/// redeemed again.
#[must_use]
pub fn explains_used(row: &Row, others: &[Row], kept: Option<Kept>) -> bool {
    let confirmed = |other: &Row| other.seq != row.seq && other.state == State::Confirmed;
    let explains =
        |other: &Row| !other.has(mark::FREED) && (confirmed(other) || was_used_before(row, other));
    may_be_ours(row) && (others.iter().any(explains) || kept == Some(Kept::Used))
}

/// Whether the provider had called the code used before `row` was sent: to an earlier row, or to
/// itself before a person sent it again. What came from another store may have been sent at any
/// time.
fn was_used_before(row: &Row, other: &Row) -> bool {
    let is_of_now = row.origin.is_none() && !row.has(mark::IN_DOUBT);
    let is_earlier = other.seq < row.seq && other.state == State::Declined;
    let is_its = other.competes_with(&row.business, &row.code);
    is_of_now && is_its && other.has(mark::SAID_USED) && (is_earlier || other.seq == row.seq)
}
