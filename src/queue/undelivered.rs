//! Answers that did not reach their tills, for a short while and in bounded space.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::redemption::{Fingerprint, Request, Seq};

/// How long an answer waits for its till to ask again.
const KEPT: Duration = Duration::from_secs(120);
/// How many are remembered; beyond that none is added until one is told or forgotten.
const ANSWERS_MAX: usize = 4096;

/// What names the next request of the till: till, folded code and business, branch.
type Name = (String, [u8; 16], String);

/// Which redemption a till's next request is about.
#[derive(Debug, Default)]
pub(super) struct Undelivered(Mutex<MissedAnswers>);

#[derive(Debug, Default)]
struct MissedAnswers {
    all: HashMap<Name, (Seq, Instant)>,
    /// Those that the transaction under way tells.
    taken: Vec<(Name, (Seq, Instant))>,
}

impl Undelivered {
    fn answers(&self) -> MutexGuard<'_, MissedAnswers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer about this row was not delivered.
    pub(super) fn note(&self, till: &str, request: &Request, seq: Seq) {
        let (mut answers, now) = (self.answers(), Instant::now());
        let all = &mut answers.all;
        if all.len() >= ANSWERS_MAX {
            all.retain(|_, (_, at)| now.saturating_duration_since(*at) < KEPT);
        }
        if all.len() < ANSWERS_MAX {
            all.insert(name(till, request), (seq, now));
        }
    }

    /// The row of which this till has not heard; it is told once, if the transaction under way is
    /// committed.
    pub(super) fn take(&self, till: &str, request: &Request) -> Option<Seq> {
        let mut answers = self.answers();
        if answers.all.is_empty() {
            return None;
        }
        let (name, (seq, at)) = answers.all.remove_entry(&name(till, request))?;
        answers.taken.push((name, (seq, at)));
        (Instant::now().saturating_duration_since(at) < KEPT).then_some(seq)
    }

    /// The transaction that took some has ended. What was noted meanwhile is newer than what comes
    /// back.
    pub(super) fn ended(&self, is_committed: bool) {
        let mut answers = self.answers();
        for (name, answer) in std::mem::take(&mut answers.taken) {
            if !is_committed {
                answers.all.entry(name).or_insert(answer);
            }
        }
    }
}

fn name(till: &str, request: &Request) -> Name {
    let code = Fingerprint::of_guard(&request.business_refrence, &request.reward_code).0;
    (till.to_owned(), code, request.branch_id.clone())
}
