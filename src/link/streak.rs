//! Declines after the fact, one after the other: a misdeployed provider must not decline a backlog.

use std::collections::BTreeSet;

use crate::redemption::Seq;

/// From so many declines after the fact in a row on, one attempt at a time.
pub const DECLINES_ALONE: usize = 3;
/// So many hold the drain, where they are not one till's alone.
pub const DECLINES_HOLD: usize = 10;

/// The declines after the fact since the last confirmation.
#[derive(Clone, Debug, Default)]
pub struct Streak {
    rows: Vec<Seq>,
    tills: BTreeSet<String>,
    /// What all of them said alike, masked; `None` once two differ.
    kind: Option<String>,
    /// The till whose rows alone were refused while another's were taken: they go last.
    last: Option<String>,
}

impl Streak {
    /// Rows that are remembered at most: they are offered to be taken back together.
    const ROWS_MAX: usize = 64;

    /// A row that was given on trust was declined, or refused while it is uncertain: such a one is
    /// asked again, and counts once.
    pub(super) fn declined(&mut self, seq: Seq, till: &str, kind: &str) {
        if self.rows.contains(&seq) {
            return;
        }
        if self.rows.is_empty() {
            self.kind = Some(kind.to_owned());
        } else if self.kind.as_deref() != Some(kind) {
            self.kind = None;
        }
        if self.rows.len() < Self::ROWS_MAX {
            self.rows.push(seq);
            self.tills.insert(till.to_owned());
        }
    }

    /// A row of `till` was confirmed.
    pub(super) fn confirmed(&mut self, till: &str) {
        if let Some(alone) = self.passed_over().filter(|alone| *alone != till) {
            self.last = Some(alone.to_owned());
        } else if self.last.as_deref() == Some(till) {
            self.last = None;
        }
        self.clear();
    }

    /// A person lets the lane go on.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.tills.clear();
        self.kind = None;
    }

    /// The rows of the present streak.
    #[must_use]
    pub fn rows(&self) -> &[Seq] {
        &self.rows
    }

    /// One attempt at a time.
    pub(super) fn is_alone(&self) -> bool {
        self.rows.len() >= DECLINES_ALONE
    }

    pub(super) fn is_long(&self) -> bool {
        self.rows.len() >= DECLINES_HOLD
    }

    /// Long enough to hold the drain, and more than one till's.
    pub(super) fn holds(&self) -> bool {
        self.is_long() && self.tills.len() > 1
    }

    /// The till whose rows go last.
    #[must_use]
    pub fn passed_over(&self) -> Option<&str> {
        let alone = self.tills.first().filter(|_| self.is_long() && self.tills.len() == 1);
        alone.or(self.last.as_ref()).map(String::as_str)
    }

    /// What a person reads beside the hold. The words are masked.
    pub(super) fn detail(&self) -> String {
        let count = self.rows.len();
        match &self.kind {
            Some(kind) => format!("{count} declined after the fact, all alike: {kind}"),
            None => format!("{count} declined after the fact, in different words"),
        }
    }
}
