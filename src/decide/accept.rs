//! A till asks: repeat, used, limits, insert.

use super::guard::{Asking, Earlier, Guard, Kept, guard, is_taken_again};
use super::row::{Row, kind, mark};
use crate::limits::{self, LaneNow, Limit, Risk};
use crate::link::Cause;
use crate::redemption::{Fingerprint, Request, State};
use crate::settings::{DateFormat, Offline};
use crate::trust::Trust;
use crate::{contract, fold};

/// What the settings of its provider say about a code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeRules {
    /// It may be redeemed again and again.
    pub reusable: bool,
    /// Codes that fold alike are one code only if their bytes are.
    pub exact: bool,
}

/// Everything that the decision about a request depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The authenticated till.
    pub till: &'a str,
    /// Whether the till gave the request a key.
    pub keyed: bool,
    /// What it asks for.
    pub request: &'a Request,
    /// The newest redemption of the till's key.
    pub by_key: Option<&'a Row>,
    /// The newest redemption of a reusable code that the till asked for with these five fields:
    /// without a key where it gives one now, with one where it gives none.
    pub by_fields: Option<&'a Row>,
    /// The redemption of the code whose answer this till did not get, or that this very request was
    /// given before, since it was owed.
    pub undelivered: Option<&'a Row>,
    /// The earlier redemptions of the code, reusable or not.
    pub earlier: Earlier<'a>,
    /// What the settings say about the code.
    pub rules: CodeRules,
    /// The lane inside the transaction.
    pub lane: LaneNow,
    /// The offline policy.
    pub offline: &'a Offline,
    /// What else an acceptance on trust depends on, with what a check said of the code.
    pub risk: Risk<'a>,
    /// The gateway's elapsed time, minutes.
    pub now_min: i64,
    /// Whether the clock is trusted.
    pub clock_trusted: bool,
}

/// What is to be done about a request.
#[derive(Clone, Debug)]
pub enum Admission {
    /// A repeat of this row, asked with the same fields.
    Repeat(Box<Row>),
    /// Another request of the till than the row's own is told of it, since the till has missed the
    /// answer.
    Retold(Box<Row>),
    /// Another request of the till than the row's own waits with it for the provider's answer: the
    /// till was told "ask again".
    Joined(Box<Row>),
    /// The key was used for another request.
    KeyReused,
    /// This row is owed to whoever asks for its code: it is given now.
    Owed(Box<Row>),
    /// This row holds the code.
    Used(Box<Row>),
    /// The till asked about the code a moment ago, and the provider has not answered: nobody can
    /// say yet.
    BeingAsked,
    /// The provider refused the code before, in this row's words.
    Refused(Box<Row>),
    /// A row that is not there any more holds the code.
    Gone(Kept),
    /// An offline limit.
    Limited(Limit),
    /// The date is none that the contract knows.
    BadDate,
    /// An operator holds the lane: nothing is stored.
    Held,
    /// A new row with these bits. `in_flight`: it is sent at once.
    Insert {
        /// Bits of [`kind`].
        kind: i64,
        /// Bits of [`mark`].
        marks: i64,
        /// It is sent at once.
        in_flight: bool,
    },
}

/// Decides about a till's request. First the key, then the code, then the limits.
#[must_use]
pub fn accept(at: &Situation<'_>) -> Admission {
    if let Some((row, asks)) = repeat(at) {
        return told(row, asks, at.till);
    }
    let found = if at.rules.reusable { Guard::Free } else { guard(at.earlier, asking(at)) };
    match found {
        Guard::Owed(row) => Admission::Owed(row),
        Guard::Used(row) if is_being_asked(&row, at) => Admission::BeingAsked,
        Guard::Used(row) => Admission::Used(row),
        Guard::Refused(row) => Admission::Refused(row),
        Guard::Gone(kept) => Admission::Gone(kept),
        Guard::Free => admit(at, false),
        Guard::ProviderOnly => admit(at, true),
    }
}

/// What a request is told that is about a row which is there.
fn told(row: &Row, asks: AsksAbout, till: &str) -> Admission {
    let found = Box::new(row.clone());
    let is_owed = row.is_owed();
    let is_too_late = row.has(mark::PAID_ELSEWHERE) && row.till == till;
    match asks {
        AsksAbout::SomethingElse => Admission::KeyReused,
        AsksAbout::Its | AsksAbout::WhatItMissed | AsksAbout::WhatIsPending if is_owed => {
            Admission::Owed(found)
        }
        AsksAbout::Its | AsksAbout::WhatItMissed | AsksAbout::WhatIsPending if is_too_late => {
            Admission::Used(found)
        }
        AsksAbout::Its => Admission::Repeat(found),
        AsksAbout::WhatItMissed => Admission::Retold(found),
        AsksAbout::WhatIsPending => Admission::Joined(found),
    }
}

fn asking<'a>(at: &Situation<'a>) -> Asking<'a> {
    let Situation { till, request, now_min, .. } = *at;
    Asking { till, request, can_ask: at.lane.ask, exact: at.rules.exact, now_min }
}

fn admit(at: &Situation<'_>, provider_only: bool) -> Admission {
    let trust_at_once = matches!(at.lane.trust, Trust::AtOnce { .. });
    if trust_at_once
        && let Some(refused) = not_on_trust(&at.request.date, at.offline, (&at.lane, &at.risk))
    {
        return match refused {
            NotOnTrust::BadDate => Admission::BadDate,
            NotOnTrust::Limited(limit) => Admission::Limited(limit),
        };
    }
    if !trust_at_once && !at.lane.live {
        return Admission::Held;
    }
    let marks = if trust_at_once { given_marks(&at.lane) } else { 0 };
    Admission::Insert { kind: kind_of(at, provider_only), marks, in_flight: !trust_at_once }
}

/// The marks of what is given on trust where a lane stands so.
#[must_use]
pub(super) fn given_marks(lane: &LaneNow) -> i64 {
    let on_hold = if lane.cause == Some(Cause::Operator) { mark::ON_HOLD } else { 0 };
    mark::TRUSTED | on_hold
}

/// Why something may not be accepted on trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOnTrust {
    /// The date is none that the contract knows: nobody else can say so now.
    BadDate,
    /// An offline limit.
    Limited(Limit),
}

/// What stands in the way of an acceptance on trust, whenever it is made.
#[must_use]
pub(super) fn not_on_trust(
    date: &str,
    offline: &Offline,
    (lane, risk): (&LaneNow, &Risk<'_>),
) -> Option<NotOnTrust> {
    let limit = limits::admit(offline, lane, risk).err();
    let accepts_nothing = |limit: &Limit| matches!(limit, Limit::NotAccepting | Limit::Off);
    let is_bad = offline.date_format == DateFormat::Contract && !contract::date_is_possible(date);
    match limit {
        Some(limit) if !is_bad || accepts_nothing(&limit) => Some(NotOnTrust::Limited(limit)),
        None if !is_bad => None,
        Some(_) | None => Some(NotOnTrust::BadDate),
    }
}

fn kind_of(at: &Situation<'_>, provider_only: bool) -> i64 {
    let again = !at.rules.reusable && is_taken_again(at.earlier.rows, asking(at));
    // A reusable code's redemptions are too many to be looked through: their keys are in the index
    // of keys.
    let keyless = !at.keyed && !at.rules.reusable;
    let bits = [
        (at.clock_trusted, kind::TRUSTED),
        (at.lane.ask, kind::ONLINE),
        (at.rules.reusable, kind::REUSABLE),
        (provider_only, kind::PROVIDER_ONLY),
        (keyless, kind::KEYLESS),
        (again, kind::TAKEN_AGAIN),
    ];
    bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum::<i64>() | kind::MARKED
}

/// How a till's request is about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsksAbout {
    /// It is the row's own, once more.
    Its,
    /// It is another about the same code, whose answer the till has not had.
    WhatItMissed,
    /// It is another about the same code, which the till was told to ask for again.
    WhatIsPending,
    /// It has the row's key, and asks for something else.
    SomethingElse,
}

/// The row that the request is about, if it is no new one.
fn repeat<'a>(at: &Situation<'a>) -> Option<(&'a Row, AsksAbout)> {
    let its_own = || by_its_fields(at).map(|row| (row, AsksAbout::Its));
    let pending = || joined(at).map(|row| (row, AsksAbout::WhatIsPending));
    let is_missed = |row: &&Row| is_its_code(row, at) && !is_taken_back(row);
    let missed = || at.undelivered.filter(is_missed).map(|row| (row, AsksAbout::WhatItMissed));
    by_its_key(at).or_else(its_own).or_else(pending).or_else(missed)
}

fn by_its_key<'a>(at: &Situation<'a>) -> Option<(&'a Row, AsksAbout)> {
    let row = at.by_key.filter(|row| !is_asked_anew(row))?;
    let is_same = is_the_same(row, at);
    // A row from another store, whose till has the name of one of ours and used the key for
    // something else.
    let is_a_namesakes = row.origin.is_some() && !is_same;
    // Without a key nobody used it for something else: it was made of the folded code.
    let is_anothers = is_a_namesakes || !is_same && !at.keyed;
    let asks = if is_same { AsksAbout::Its } else { AsksAbout::SomethingElse };
    (!is_anothers).then_some((row, asks))
}

/// A request with a key repeats one without, and the other way round; two different keys are two
/// requests. Of several the one that the provider took.
fn by_its_fields<'a>(at: &Situation<'a>) -> Option<&'a Row> {
    let its_own = |row: &Row| row.till == at.till && is_of_this_store(row, at);
    let repeats = |row: &&Row| its_own(row) && !is_asked_anew(row) && is_the_same(row, at);
    // A reusable code's row had no key where its key was made of its fields.
    let has_no_key =
        |row: &Row| row.is(kind::KEYLESS) || field_keys(at.till, at.request).contains(&row.key);
    let may_repeat = |row: &&Row| !at.keyed || has_no_key(row);
    // Of the two only one had a key, or the row would not be here.
    let reusable = at.by_fields.filter(repeats);
    let newest_first = || at.earlier.rows.iter().rev().filter(may_repeat).filter(repeats);
    let confirmed = || newest_first().find(|row| row.state == State::Confirmed);
    reusable.or_else(confirmed).or_else(|| newest_first().next())
}

/// The five fields, folded unless the provider tells codes apart by their bytes.
fn is_the_same(row: &Row, at: &Situation<'_>) -> bool {
    is_its_code(row, at) && row.asks_the_same(at.request)
}

/// Codes that fold alike are one unless the provider tells them apart by their bytes.
fn is_its_code(row: &Row, at: &Situation<'_>) -> bool {
    !at.rules.exact || row.is_to_the_byte(at.request)
}

/// A row that was imported names its till's request only where it kept its key: another store's
/// till may have the name of one of ours.
fn is_of_this_store(row: &Row, at: &Situation<'_>) -> bool {
    row.origin.is_none() || field_keys(at.till, at.request).contains(&row.key)
}

/// A till that was told "ask again" asks again: it joins the redemption that is still owed an
/// answer.
fn joined<'a>(at: &Situation<'a>) -> Option<&'a Row> {
    if at.rules.reusable {
        return None;
    }
    let mut newest_first = at.earlier.rows.iter().rev();
    newest_first.find(|row| {
        row.state == State::Pending
            && row.has(mark::REFUSED_AT_TILL)
            && row.till == at.till
            && row.branch == at.request.branch_id
            && row.is_to_the_byte(at.request)
    })
}

/// A till that hung up and asks again while its first request is on its way is not told "has been
/// used": what becomes of that request is not known, and its answer may be the one that the till
/// has missed.
fn is_being_asked(row: &Row, at: &Situation<'_>) -> bool {
    row.state == State::Pending
        && !row.is_trusted()
        && row.till == at.till
        && row.branch == at.request.branch_id
        && row.is_to_the_byte(at.request)
}

/// A redemption that was taken back because its till was told no before a byte left: asking again
/// is a new question. One that its till or a person took back is not asked anew. Rows of builds
/// before the mark do not tell the two apart.
fn is_asked_anew(row: &Row) -> bool {
    let may_be_by_us = !row.is(kind::MARKED) && row.is(kind::PROVIDER_ONLY) && !row.is_trusted();
    row.state == State::Voided && (row.has(mark::TURNED_AWAY) || may_be_by_us)
}

/// What was taken back, by its till or since that was told no, has no answer that could have been
/// missed: asked for once more it is a new sale. What a person closed has.
fn is_taken_back(row: &Row) -> bool {
    row.state == State::Voided && (!row.has(mark::HANDLED) || is_asked_anew(row))
}

/// What names a till's request: its own key, else the till and the five fields, code and business
/// folded.
#[must_use]
pub fn key_of(till: &str, key: Option<&str>, request: &Request) -> [u8; 16] {
    match key {
        Some(key) => Fingerprint::of(&["key", till, key]).0,
        None => key_of_fields(till, request),
    }
}

/// What names a request to which its till gave no key: folded, and with code and business as they
/// came, as rows of earlier builds have it.
fn field_keys(till: &str, request: &Request) -> [[u8; 16]; 2] {
    let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = request;
    let parts =
        ["fields", till, reward_code.reveal(), business_refrence, branch_id, date, timestamp];
    [key_of_fields(till, request), Fingerprint::of(&parts).0]
}

/// What names a request to which its till gave no key.
#[must_use]
pub fn key_of_fields(till: &str, request: &Request) -> [u8; 16] {
    let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = request;
    let (code, business) = (fold::code(reward_code.reveal()), fold::code(business_refrence));
    Fingerprint::of(&["fields", till, &code, &business, branch_id, date, timestamp]).0
}
