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

/// What names the next request of the till: till, code and business as its provider tells them
/// apart, branch.
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

    /// The answer about this row was not delivered. `exact`: other bytes that fold alike are
    /// another code.
    pub(super) fn note(&self, till: &str, (request, exact): (&Request, bool), seq: Seq) {
        let (mut answers, now) = (self.answers(), Instant::now());
        let all = &mut answers.all;
        if all.len() >= ANSWERS_MAX {
            all.retain(|_, (_, at)| now.saturating_duration_since(*at) < KEPT);
        }
        if all.len() < ANSWERS_MAX {
            all.insert(name(till, request, exact), (seq, now));
        }
    }

    /// The row of which this till has not heard; it is told once, if the transaction under way is
    /// committed.
    pub(super) fn take(&self, till: &str, request: &Request, exact: bool) -> Option<Seq> {
        let mut answers = self.answers();
        if answers.all.is_empty() {
            return None;
        }
        let (name, (seq, at)) = answers.all.remove_entry(&name(till, request, exact))?;
        answers.taken.push((name, (seq, at)));
        (Instant::now().saturating_duration_since(at) < KEPT).then_some(seq)
    }

    /// The till was told of another row than the one that was taken last: that one waits on.
    pub(super) fn give_back(&self) {
        let mut answers = self.answers();
        if let Some((name, answer)) = answers.taken.pop() {
            answers.all.entry(name).or_insert(answer);
        }
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

fn name(till: &str, request: &Request, exact: bool) -> Name {
    let Request { business_refrence, reward_code, branch_id, .. } = request;
    let code = if exact {
        Fingerprint::of(&["exact", business_refrence, reward_code.reveal()])
    } else {
        Fingerprint::of_guard(business_refrence, reward_code)
    };
    (till.to_owned(), code.0, branch_id.clone())
}
