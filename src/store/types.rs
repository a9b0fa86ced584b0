//! The store's vocabulary: what is asked of it and what it decides.

use serde::{Deserialize, Serialize};

pub use crate::decide::{Kept, NotGiven};
pub use crate::limits::{Headroom, Limit};
use crate::message::Denied;
use crate::redemption::{Answer, Id, Redemption, Request, Seq, State};

/// A till's request, ready for the transaction that decides about it.
#[derive(Clone, Debug)]
pub struct NewRedemption {
    /// The authenticated till's name.
    pub till: String,
    /// The till's `Idempotency-Key` header, 1 to 256 bytes.
    pub key: Option<String>,
    /// The lane (provider's name) that serves the request's business.
    pub lane: String,
    /// What the till asked for.
    pub request: Request,
}

/// What the transaction decided. Nothing of it leaves before COMMIT has returned.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Stored now.
    Taken(Taken),
    /// A repeat of a row that is pending: nothing was stored.
    StillPending(Taken),
    /// A repeat of a row that was settled (or parked): what is known now. `None`: stored without an
    /// answer.
    Settled(Box<Redemption>),
    /// This row was owed, and is given now: to its own till, or to another that asks first.
    Owed(Box<Redemption>),
    /// The same key with another body: 422.
    KeyReused,
    /// Another redemption holds the code: 400 "has been used".
    Used(UsedBy),
    /// The same till's earlier request about the code is on its way: ask again.
    BeingAsked,
    /// The provider refused the code before and cannot be asked: its words.
    RefusedBefore(Box<Redemption>),
    /// The provider refused the code to a check and cannot be asked: its words.
    RefusedAtCheck(Answer),
    /// A redemption that is not there any more holds the code.
    Gone(Kept),
    /// An offline limit: 503.
    Limited(Limit),
    /// The date is none that the contract knows: 400.
    BadDate,
    /// An operator holds the lane: 503, nothing was stored.
    Held,
}

/// A redemption that is stored and pending.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its row.
    pub seq: Seq,
    /// Its public name.
    pub id: Id,
    /// An answer may come soon: the lane is up and an attempt is under way or about to be.
    pub worth_waiting: bool,
    /// A 2xx of ours may leave, or has left, without the provider's answer.
    pub trusted: bool,
    /// Its code is held by an earlier redemption: the provider's answer, or no acceptance of ours.
    pub provider_only: bool,
    /// What is left of the limits, where it was just accepted on trust.
    pub headroom: Option<Headroom>,
}

/// The redemption that holds a code.
#[derive(Clone, Debug)]
pub struct UsedBy {
    /// The till that made it.
    pub till: String,
    /// That till's own local time, as it sent it.
    pub date: String,
    /// When it was accepted, Unix milliseconds.
    pub accepted_at_ms: i64,
    /// Where it stands.
    pub state: State,
}

/// How a till's attempt to take a row back ended.
#[derive(Clone, Debug)]
pub enum VoidOutcome {
    /// It is voided (now or before).
    Voided(Box<Redemption>),
    /// An attempt may have reached the provider, whatever a person made of it, or it is settled:
    /// 409.
    TooLate(Box<Redemption>),
    /// No such redemption of this till: 404.
    Unknown,
}

/// What became of a row whose till has waited in vain.
#[derive(Clone, Debug)]
pub enum Concluded {
    /// It is accepted on trust.
    Trusted {
        /// What is left of the limits, where that was decided now.
        headroom: Option<Headroom>,
    },
    /// The provider answered in the meantime.
    Settled {
        /// The row as its till is told it.
        row: Box<Redemption>,
        /// It was owed, and is given with this answer.
        pays: bool,
    },
    /// No byte had left: it is voided.
    TurnedAway {
        /// Why nothing was given.
        why: NotGiven,
        /// What holds the code, if that is why.
        holder: Option<Holder>,
    },
    /// One may have left: it stays pending, and what the provider takes of it is owed.
    Refused {
        /// Why nothing was given.
        why: NotGiven,
    },
}

/// What holds the code for which nothing was given, as a till is told of it.
#[derive(Clone, Debug)]
pub enum Holder {
    /// It was used, or may have been.
    Used(UsedBy),
    /// The provider refused it: its words are the answer.
    Refused(Box<Redemption>),
    /// The provider refused the code to a check: this is the answer.
    RefusedAtCheck(Answer),
    /// It is not there any more, or what a check heard is not.
    Gone(Kept),
}

/// Lifetime totals. `accepted = pending + confirmed + declined + parked + voided` at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ever accepted, imported or salvaged.
    pub accepted: u64,
    /// Now pending.
    pub pending: u64,
    /// Confirmed over the store's life.
    pub confirmed: u64,
    /// Declined over the store's life.
    pub declined: u64,
    /// Now parked.
    pub parked: u64,
    /// Voided over the store's life.
    pub voided: u64,
}

impl Counts {
    /// Whether the books balance.
    #[must_use]
    pub fn balance(&self) -> bool {
        let states = [self.pending, self.confirmed, self.declined, self.parked, self.voided];
        states.iter().try_fold(0u64, |sum, rows| sum.checked_add(*rows)) == Some(self.accepted)
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(books: I) -> Self {
        books.fold(Self::default(), |all, lane| Self {
            accepted: all.accepted.saturating_add(lane.accepted),
            pending: all.pending.saturating_add(lane.pending),
            confirmed: all.confirmed.saturating_add(lane.confirmed),
            declined: all.declined.saturating_add(lane.declined),
            parked: all.parked.saturating_add(lane.parked),
            voided: all.voided.saturating_add(lane.voided),
        })
    }
}

/// Which rows a listing shows, in the store's order.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only after this row.
    pub after: Option<Seq>,
    /// At most this many rows; the store's own bound is 1,000.
    pub limit: usize,
}

/// One thing that was done to a redemption or a lane besides its normal way: who, when, what.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// The row, when it is about one.
    pub id: Option<String>,
    /// The lane.
    pub lane: String,
    /// What: `retry`, `void`, `void_by_till`, `handled`, `handled_free`, `lost`, `owed_paid`,
    /// `retold`, `joined`, `unheard`, `in_vain`, `owed_in_copy`, `answered`, `hold`, `release`,
    /// `late_answer`, `import`, `salvage`, `backup`, `export`, `bulk`, `flush`, `sign_in`,
    /// `sign_out`.
    pub what: String,
    /// By whom: the operator's user name as the socket tells, or `redeemd`.
    pub by: String,
    /// The operator's note or the detail.
    pub detail: String,
}

/// How an operator's action on one row ended.
#[derive(Clone, Debug)]
pub enum Acted {
    /// Done; the row as it stands now.
    Done(Box<Redemption>),
    /// Not in a state from which this can be done, or another redemption of the code stands in the
    /// way (409).
    Refused {
        /// Why, naming the other.
        why: Denied,
    },
    /// No such redemption.
    Unknown,
}

/// A settled row's answer as the till's repeat gets it.
#[must_use]
pub fn relayed(row: &Redemption) -> Answer {
    row.answer.clone().unwrap_or_else(Answer::success)
}
