//! Which rows break the road themselves: one that met a road fault twice while another was answered between.

use std::collections::BTreeMap;

use crate::redemption::Seq;

/// Remembers road faults of rows, in bounded space.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// For each row that met a road fault: how many answers had come by then.
    faults: BTreeMap<Seq, u64>,
    answers: u64,
}

impl Suspects {
    /// How many rows are remembered; beyond that the oldest rows are forgotten, which costs them one more fault.
    pub const ROWS_MAX: usize = 1024;

    /// Some row was answered by the provider; `seq` itself is cleared of suspicion.
    pub fn answered(&mut self, seq: Seq) {
        self.answers += 1;
        self.faults.remove(&seq);
    }

    /// `seq` met a road fault: whether it is (now) suspect, so that this fault says nothing about the road.
    pub fn faulted(&mut self, seq: Seq) -> bool {
        let answers = self.answers;
        let before = *self.faults.entry(seq).or_insert(answers);
        if self.faults.len() > Self::ROWS_MAX {
            self.faults.pop_first();
        }
        before < answers
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
        assert!(!suspects.faulted(Seq(3)), "its first fault");
        suspects.answered(Seq(1));
        assert!(!suspects.faulted(Seq(1)), "an answer clears it");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut suspects = Suspects::default();
        for seq in 0..5000 {
            suspects.faulted(Seq(seq));
        }
        assert_eq!(suspects.faults.len(), Suspects::ROWS_MAX);
    }
}
