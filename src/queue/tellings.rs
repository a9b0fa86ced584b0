//! Answers that give what tills were refused before: of each such row whether one is heard.
//!
//! The writer begins each, so that it knows of all of them when it decides what is owed. A row that
//! nobody has heard of stays here until that is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::redemption::Seq;

/// The answers about each row of which none is known to be heard, or some are still on their way.
#[derive(Debug, Default)]
pub(super) struct Tellings(Mutex<HashMap<Seq, Telling>>);

#[derive(Debug, Default)]
struct Telling {
    under_way: u32,
    is_heard: bool,
}

/// One answer on its way to its till. Each clone is another one; who drops it has not heard.
#[derive(Debug)]
pub struct Audience {
    seq: Seq,
    tellings: Arc<Tellings>,
}

impl Tellings {
    fn all(&self) -> MutexGuard<'_, HashMap<Seq, Telling>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer about the row is on its way. `pays`: it is the first; otherwise it is one of
    /// several, or the row was heard of before and there is nothing to find out.
    pub(super) fn begin(self: &Arc<Self>, seq: Seq, pays: bool) -> Option<Audience> {
        let mut all = self.all();
        let telling = if pays { all.entry(seq).or_default() } else { all.get_mut(&seq)? };
        telling.under_way += 1;
        Some(Audience { seq, tellings: Arc::clone(self) })
    }

    /// Whether it is not known yet that the row was heard of.
    pub(super) fn is_open(&self, seq: Seq) -> bool {
        self.all().contains_key(&seq)
    }

    /// Rows of which nobody has heard, and of which no answer is on its way any more.
    pub(super) fn unheard(&self) -> Vec<Seq> {
        let all = self.all();
        all.iter().filter(|(_, telling)| telling.under_way == 0).map(|(seq, _)| *seq).collect()
    }

    /// What these rows owe is written down.
    pub(super) fn noted(&self, rows: &[Seq]) {
        self.all().retain(|seq, telling| telling.under_way > 0 || !rows.contains(seq));
    }
}

impl Audience {
    /// The till has got the answer.
    pub(super) fn heard(self) {
        if let Some(telling) = self.tellings.all().get_mut(&self.seq) {
            telling.is_heard = true;
        }
    }
}

impl Clone for Audience {
    fn clone(&self) -> Self {
        if let Some(telling) = self.tellings.all().get_mut(&self.seq) {
            telling.under_way += 1;
        }
        Self { seq: self.seq, tellings: Arc::clone(&self.tellings) }
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        let mut all = self.tellings.all();
        let Some(telling) = all.get_mut(&self.seq) else { return };
        telling.under_way = telling.under_way.saturating_sub(1);
        if telling.under_way == 0 && telling.is_heard {
            all.remove(&self.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_was_in_vain_where_none_of_those_who_were_told_heard_it() {
        for (heard, in_vain) in [
            ([false, false, false], true),
            ([true, false, false], false),
            ([false, false, true], false),
        ] {
            let tellings = Arc::new(Tellings::default());
            let first = tellings.begin(Seq(7), true).unwrap();
            let all = [first.clone(), tellings.begin(Seq(7), false).unwrap(), first];
            for (one, is_heard) in all.into_iter().zip(heard) {
                assert!(tellings.unheard().is_empty(), "one is on its way");
                if is_heard {
                    one.heard();
                }
            }
            assert_eq!(tellings.unheard() == [Seq(7)], in_vain, "{heard:?}");
            assert_eq!(tellings.begin(Seq(7), false).is_some(), in_vain);
            tellings.noted(&[Seq(7)]);
            assert!(!tellings.is_open(Seq(7)));
        }
    }
}
