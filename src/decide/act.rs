//! What a till or a person may do to a row, and what it becomes.

use super::guard::is_obstacle;
use super::row::{Row, mark};
use crate::message::Denied;
use crate::redemption::State;

/// What becomes of a redemption that its till takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TillVoid {
    /// It is voided. `given`: a 2xx of ours left for it, so that the reward may be in the
    /// customer's hands, and a person can count it.
    Void {
        /// A 2xx of ours left for it.
        given: bool,
    },
    /// It stays: it is settled, or an attempt may have reached the provider.
    Stays,
}

/// A till takes its own row back. `withdrawn`: its attempt was stopped before any byte left.
#[must_use]
pub fn void_by_till(row: &Row, withdrawn: bool) -> TillVoid {
    if row.state != State::Pending || !row.is_untouched(withdrawn) {
        return TillVoid::Stays;
    }
    TillVoid::Void { given: row.is_trusted() }
}

/// What becomes of a redemption that a person closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It is voided.
    Close,
    /// It is voided, and was declined after the fact before it was sent again: it is closed as
    /// lost.
    CloseLost,
    /// A decline after the fact stays one: it is closed as lost.
    Lost,
}

/// A person closes a row.
///
/// # Errors
/// Why it cannot be closed now.
pub fn void(row: &Row) -> Result<Closing, Denied> {
    match row.state {
        State::Pending if row.in_flight => Err(Denied::OnTheWire),
        State::Pending | State::Parked if row.has(mark::LOST) => Ok(Closing::CloseLost),
        State::Pending | State::Parked => Ok(Closing::Close),
        State::Declined if row.has(mark::LOST) => Ok(Closing::Lost),
        State::Declined | State::Confirmed | State::Voided => {
            Err(Denied::NotVoidable { state: row.state.to_string() })
        }
    }
}

/// A person sends a row again; `others` are the redemptions of its code, itself among them or not.
/// The marks with which it is pending again: what was known of its doubt stays known. It holds its
/// code again, also where a person had freed that.
///
/// # Errors
/// Why it cannot be sent again.
pub fn retry(row: &Row, others: &[Row]) -> Result<i64, Denied> {
    if !matches!(row.state, State::Declined | State::Parked) {
        return Err(Denied::NotRetriable { state: row.state.to_string() });
    }
    if let Some(other) = others.iter().find(|other| other.seq != row.seq && is_obstacle(other)) {
        let (id, state) = (other.id().to_string(), other.state.to_string());
        return Err(Denied::CodeHeld { id, state });
    }
    let ended = mark::STREAK | mark::HANDLED | mark::FREED | mark::OF_THE_FORM;
    Ok(mark::beside(row.marks & !ended, State::Pending))
}

/// A person has seen to a row; `free`: its code may be redeemed again. The marks that it has then:
/// it is none of those for which its lane is held any more.
///
/// # Errors
/// The provider has not answered about it; or its code is to be free, and what the provider took of
/// it is still owed: freed, the code would be no good, and what is owed given to nobody.
pub fn handled(row: &Row, free: bool) -> Result<i64, Denied> {
    if row.state == State::Pending {
        return Err(Denied::StillPending);
    }
    if free && row.is_owed() {
        return Err(Denied::StillOwed);
    }
    let freed = if free { mark::FREED } else { 0 };
    Ok(seen_to(row) | freed)
}

/// The marks of a row that a person has seen to: it holds its lane no more.
#[must_use]
pub fn seen_to(row: &Row) -> i64 {
    (row.marks & !mark::STREAK) | mark::HANDLED
}
