//! What a parked redemption waits for, as the inbox groups it and the lists name it.

use serde::Serialize;

use crate::message::Note;
use crate::redemption::{Redemption, State};

/// Why a person has to decide about a parked redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ParkedFor {
    /// The provider answered neither yes nor no.
    Unreadable,
    /// The provider's no may be about an attempt that was taken.
    Doubt,
    /// It was imported and cannot go on by itself.
    Moved,
    /// The disk damaged it.
    Damaged,
}

impl ParkedFor {
    /// Of a parked row, else nothing.
    pub(super) fn of(row: &Redemption) -> Option<Self> {
        (row.state == State::Parked).then(|| Self::of_parked(row))
    }

    /// By what it was parked for; a sentence of an earlier version does not say.
    fn of_parked(row: &Redemption) -> Self {
        match row.note.as_ref() {
            Some(
                Note::Checksum
                | Note::Damaged
                | Note::StateLost
                | Note::BodyLost
                | Note::BodyDamaged
                | Note::RestoredWaiting
                | Note::RestoredSettled
                | Note::Restored
                | Note::WordsLost,
            ) => Self::Damaged,
            Some(
                Note::UncertainRefused
                | Note::WeakForLong { .. }
                | Note::ReusableAlreadyUsed
                | Note::UsedInDoubt
                | Note::CheckedGood,
            ) => Self::Doubt,
            Some(
                Note::ParkedElsewhere | Note::ImportedWhileHeld { .. } | Note::ImportedOtherwise,
            ) => Self::Moved,
            _ if row.answer.is_none() => Self::Damaged,
            _ => Self::Unreadable,
        }
    }
}
