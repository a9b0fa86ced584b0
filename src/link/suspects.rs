//! Which rows are to blame themselves: one that met a road fault twice while another was answered between, and one
//! that is refused for its credential while others pass with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::redemption::Seq;

/// Remembers faults of rows, in bounded space.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// For each row that met a road fault: how many answers had come by then.
    faults: BTreeMap<Seq, u64>,
    /// Rows that met a 401 or 403 under the present credential, and no other was answered since.
    denied: BTreeSet<Seq>,
    suspect: BTreeSet<Seq>,
    answers: u64,
}

impl Suspects {
    /// How many rows are remembered; beyond that the oldest rows are forgotten, which costs them one more fault.
    pub const ROWS_MAX: usize = 1024;

    /// Some row was answered by the provider; `seq` itself is cleared of suspicion. Rows that were refused for their
    /// credential before are to blame themselves: they are told, to wait alone.
    pub fn answered(&mut self, seq: Seq) -> Vec<Seq> {
        self.answers += 1;
        self.settled(seq);
        let blamed: Vec<Seq> = std::mem::take(&mut self.denied).into_iter().collect();
        blamed.iter().for_each(|seq| self.blame(*seq));
        blamed
    }

    /// The row waits for nothing any more.
    pub fn settled(&mut self, seq: Seq) {
        self.faults.remove(&seq);
        self.denied.remove(&seq);
        self.suspect.remove(&seq);
    }

    /// `seq` met a road fault: whether it is (now) suspect, so that this fault says nothing about the road.
    pub fn faulted(&mut self, seq: Seq) -> bool {
        let answers = self.answers;
        let before = *self.faults.entry(seq).or_insert(answers);
        if self.faults.len() > Self::ROWS_MAX {
            self.faults.pop_first();
        }
        if before < answers {
            self.blame(seq);
        }
        before < answers
    }

    /// `seq` met a 401 or 403: whether it was suspect before, so that this says nothing about the credential.
    pub fn denied(&mut self, seq: Seq) -> bool {
        if self.suspect.contains(&seq) {
            return true;
        }
        self.denied.insert(seq);
        if self.denied.len() > Self::ROWS_MAX {
            self.denied.pop_first();
        }
        false
    }

    /// Another credential: what was refused under the last says nothing. Those rows, to be tried again.
    pub fn credential_changed(&mut self) -> Vec<Seq> {
        let denied = std::mem::take(&mut self.denied);
        let suspect = std::mem::take(&mut self.suspect);
        denied.into_iter().chain(suspect).collect()
    }

    fn blame(&mut self, seq: Seq) {
        self.suspect.insert(seq);
        if self.suspect.len() > Self::ROWS_MAX {
            self.suspect.pop_first();
        }
    }

    /// Rows refused for their credential of which it is not known whose fault it is.
    pub fn undecided(&self) -> impl Iterator<Item = Seq> {
        self.denied.iter().copied()
    }

    /// Rows that are suspect, in order.
    pub fn suspect(&self) -> impl Iterator<Item = Seq> {
        self.suspect.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_suspect_only_when_another_was_answered_between_its_two_faults() {
        let mut suspects = Suspects::default();
        assert!(!suspects.faulted(Seq(1)));
        assert!(!suspects.faulted(Seq(1)), "the whole line may still be down");
        suspects.answered(Seq(2));
        assert!(suspects.faulted(Seq(1)));
        assert_eq!(suspects.suspect().collect::<Vec<_>>(), [Seq(1)]);
        assert!(!suspects.faulted(Seq(3)), "its first fault");
        suspects.answered(Seq(1));
        assert!(!suspects.faulted(Seq(1)), "an answer clears it");
    }

    #[test]
    fn a_row_that_is_refused_for_its_credential_is_suspect_once_another_passes_with_it() {
        let mut suspects = Suspects::default();
        assert!(!suspects.denied(Seq(1)));
        assert!(!suspects.denied(Seq(1)), "it may be everybody's");
        assert_eq!(suspects.answered(Seq(2)), [Seq(1)]);
        assert!(suspects.denied(Seq(1)), "its second says nothing of the credential");
        assert_eq!(suspects.credential_changed(), [Seq(1)]);
        assert!(!suspects.denied(Seq(1)), "with another credential all is open");
        assert!(suspects.answered(Seq(1)).is_empty(), "it passes itself");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut suspects = Suspects::default();
        for seq in 0..5000 {
            suspects.faulted(Seq(seq));
            suspects.denied(Seq(seq));
        }
        suspects.answered(Seq(9999));
        let most = Suspects::ROWS_MAX;
        assert_eq!((suspects.faults.len(), suspects.suspect.len()), (most, most));
    }
}
