//! Which rows are to blame themselves: one that met a link fault twice while another was answered
//! between, and few others met one beside it; one that twice got no answer in time while another
//! that was sent after it was answered at once, one that was overtaken by such an answer and then
//! got none again, one that got none although another was answered at once since its first silence
//! and nobody else is left to ask, one that is refused for its credential while others pass with
//! it, and one that is told to wait again while others are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::redemption::Seq;

/// Another row's answer speaks against a row that got none in time if it took at most such a part
/// of that time: one that comes late itself is the sign of a provider with too much to do, which
/// answers some and not others.
const AT_ONCE: u32 = 4;
/// So often another was answered at once.
const SILENT_ALONE: u32 = 2;
/// So often where nobody else is left to ask.
const SILENT_LAST: u32 = 1;
/// A row is told to wait alone if so many others were answered since it was told so before, and
/// none of them was told so.
const PASSED: u32 = 4;
/// Told so alone as often as this, it is to blame itself. A provider with too much to do picks a
/// row alone once, by chance, and rarely twice.
const TOLD_ALONE: u32 = 2;

/// Where more different rows than these met a link fault, one after the other, it may have been the
/// line's: else each would be to blame in the next outage, and wait ever longer. Then as many have
/// to be answered after it, or one of the backlog, which stood behind them.
const FAULTS_OF_ROWS: usize = 8;

/// When an attempt was sent, and when it ended.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// On the link's clock.
    pub sent: Duration,
    /// On the link's clock.
    pub ended: Duration,
}

impl Span {
    fn took(self) -> Duration {
        self.ended.saturating_sub(self.sent)
    }

    /// An answered attempt of another row: whether it shows that this one got no answer by its own
    /// fault.
    fn shames(self, silent: Self) -> bool {
        let beside = self.sent >= silent.sent && self.sent <= silent.ended + silent.took();
        beside && self.took().saturating_mul(AT_ONCE) <= silent.took()
    }
}

/// A row that got no answer in time.
#[derive(Clone, Copy, Debug)]
struct Silent {
    /// Its last attempt.
    last: Span,
    /// Nothing speaks against that one yet.
    open: bool,
    /// How often another was answered at once.
    alone: u32,
    /// Another overtook it: it was sent later and answered at once while this one was on the wire.
    /// A provider with too much to do that takes one after the other does not do so, and the other
    /// may have been the last that waited.
    overtaken: bool,
}

/// A row that was told to wait.
#[derive(Clone, Copy, Debug)]
struct ToldToWait {
    /// When any row that is not to blame was last told so.
    since: Duration,
    /// How many others that were sent later have been answered since it was told so itself.
    passed: u32,
    /// How often it was told so alone: enough others had passed before.
    alone: u32,
}

/// Remembers faults of rows, in bounded space.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// For each row that met a link fault: which answers had come by then.
    faults: BTreeMap<Seq, AnswerCounts>,
    silent: BTreeMap<Seq, Silent>,
    told: BTreeMap<Seq, ToldToWait>,
    /// Of the answered attempts the one that was sent last.
    last_answered: Option<Span>,
    /// Rows that met a 401 or 403 under the present credential, and no other was answered since.
    denied: BTreeSet<Seq>,
    suspect: BTreeSet<Seq>,
    answers: AnswerCounts,
}

/// How many answers have come, and how many of them to rows of the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AnswerCounts {
    all: usize,
    of_backlog: usize,
}

impl Suspects {
    /// How many rows are remembered; beyond that the oldest rows are forgotten, which costs them
    /// one more fault.
    pub const ROWS_MAX: usize = 1024;

    /// Some row was answered by the provider, `live` if its till waited; `seq` itself is cleared of
    /// suspicion. Rows that were
    /// refused for their credential before, or got no answer, may be to blame themselves: they are
    /// told, to wait alone.
    pub fn answered(&mut self, seq: Seq, span: Span, live: bool) -> Vec<Seq> {
        self.settled(seq);
        self.answers.of_backlog += usize::from(!live);
        let denied: Vec<Seq> = std::mem::take(&mut self.denied).into_iter().collect();
        for seq in &denied {
            self.blame(*seq);
        }
        for told in self.told.values_mut().filter(|told| told.since <= span.sent) {
            told.passed = told.passed.saturating_add(1);
        }
        denied.into_iter().chain(self.checked(span)).collect()
    }

    /// A check of the gateway's own was answered: it speaks against rows as another row does, but
    /// not of what the credential is good for. Rows that are to blame now are told.
    pub fn checked(&mut self, span: Span) -> Vec<Seq> {
        self.answers.all += 1;
        if self.last_answered.is_none_or(|last| last.sent <= span.sent) {
            self.last_answered = Some(span);
        }
        let mut blamed = Vec::new();
        for (other, silent) in
            self.silent.iter_mut().filter(|(_, silent)| silent.open && span.shames(silent.last))
        {
            (silent.open, silent.alone) = (false, silent.alone + 1);
            if silent.alone == SILENT_ALONE {
                blamed.push(*other);
            }
        }
        for seq in &blamed {
            self.blame(*seq);
        }
        blamed
    }

    /// `seq` got no answer in time: whether it is (now) suspect, so that this says nothing about
    /// the link. One answer between two such ends does not suffice: a provider that has too much to
    /// do answers some in time. Nor does one end that was overtaken: a single worker may hang. But
    /// where `is_last`, nobody else being left to ask, one answer has to do: else this row's
    /// silence would be the lane's for as long as nobody buys.
    pub fn silent(&mut self, seq: Seq, last: Span, is_last: bool) -> bool {
        // What was answered by now and sent after it has overtaken it.
        let overtaken = self.last_answered.is_some_and(|answered| answered.shames(last));
        let fresh = Silent { last, open: true, alone: 0, overtaken: false };
        let silent = self.silent.entry(seq).or_insert(fresh);
        let enough = if is_last { SILENT_LAST } else { SILENT_ALONE };
        let is_blamed = silent.overtaken
            || silent.alone >= enough
            || silent.alone + u32::from(overtaken) >= SILENT_ALONE;
        (silent.last, silent.open) = (last, !overtaken);
        silent.alone += u32::from(overtaken);
        silent.overtaken |= overtaken || is_blamed;
        if self.silent.len() > Self::ROWS_MAX {
            self.silent.pop_first();
        }
        if is_blamed {
            self.blame(seq);
        }
        is_blamed
    }

    /// The row waits for nothing any more.
    pub fn settled(&mut self, seq: Seq) {
        self.faults.remove(&seq);
        self.silent.remove(&seq);
        self.told.remove(&seq);
        self.denied.remove(&seq);
        self.suspect.remove(&seq);
    }

    /// `seq` met a link fault that may be its own, an answer that is not the provider's or a reset:
    /// whether it is (now) suspect, so that this fault says nothing about the link.
    pub fn faulted(&mut self, seq: Seq) -> bool {
        let answers = self.answers;
        let before = *self.faults.entry(seq).or_insert(answers);
        if self.faults.len() > Self::ROWS_MAX {
            self.faults.pop_first();
        }
        let is_blamed = self.are_enough_since(before);
        if is_blamed {
            self.blame(seq);
        }
        is_blamed
    }

    /// Whether so many were answered after these answers that a fault of then was not the line's.
    fn are_enough_since(&self, before: AnswerCounts) -> bool {
        let together = || self.faults.values().filter(|at| **at == before).count();
        let since = self.answers.all - before.all;
        since > FAULTS_OF_ROWS
            || self.answers.of_backlog > before.of_backlog
            || since > 0 && together() <= FAULTS_OF_ROWS
    }

    /// `seq` was told to wait (429, 503 with `Retry-After`): whether it is (now) suspect, so that
    /// this says nothing about the lane.
    pub fn told_to_wait(&mut self, seq: Seq, now: Duration) -> bool {
        let fresh = ToldToWait { since: now, passed: 0, alone: 0 };
        let before = self.told.get(&seq).copied().unwrap_or(fresh);
        let alone = before.alone + u32::from(before.passed >= PASSED);
        if alone >= TOLD_ALONE {
            self.blame(seq);
            return true;
        }
        // What may be its own says nothing of others: several may be told so.
        let passed = if alone > before.alone {
            0
        } else {
            self.told.values_mut().for_each(|told| *told = fresh);
            before.passed
        };
        self.told.insert(seq, ToldToWait { since: now, passed, alone });
        if self.told.len() > Self::ROWS_MAX {
            self.told.pop_first();
        }
        false
    }

    /// `seq` met a 401 or 403: whether it was suspect before, so that this says nothing about the
    /// credential.
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

    /// Another credential: what was refused under the last says nothing. Those rows, to be tried
    /// again.
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

    /// Whether each of these rows is to blame itself.
    #[must_use]
    pub fn are_suspect(&self, rows: &[Seq]) -> bool {
        rows.iter().all(|seq| self.suspect.contains(seq))
    }

    /// Rows that are suspect, in order.
    pub fn suspect(&self) -> impl Iterator<Item = Seq> {
        self.suspect.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attempt from one second to another.
    fn span(sent: u64, ended: u64) -> Span {
        Span { sent: Duration::from_secs(sent), ended: Duration::from_secs(ended) }
    }

    #[test]
    fn a_row_is_suspect_once_others_were_answered_at_once_beside_its_two_silences() {
        let mut suspects = Suspects::default();
        assert!(!suspects.silent(Seq(1), span(0, 10), false));
        assert!(suspects.answered(Seq(2), span(11, 12), false).is_empty(), "once is not enough");
        assert!(!suspects.silent(Seq(1), span(13, 23), false));
        assert_eq!(suspects.answered(Seq(3), span(24, 25), false), [Seq(1)]);
        assert!(
            suspects.silent(Seq(1), span(100, 110), false),
            "it says nothing of the link any more"
        );
        suspects.answered(Seq(1), span(200, 201), false);
        assert!(!suspects.silent(Seq(1), span(202, 212), false), "an answer clears it");
    }

    #[test]
    fn an_answer_while_a_silent_row_is_on_the_wire_speaks_against_it_too() {
        let mut suspects = Suspects::default();
        for (sent, is_suspect) in [(0, false), (100, true)] {
            suspects.answered(Seq(2), span(sent + 3, sent + 4), false);
            assert_eq!(suspects.silent(Seq(1), span(sent, sent + 10), false), is_suspect);
        }
    }

    #[test]
    fn a_row_that_was_overtaken_is_suspect_when_it_is_silent_again_and_nobody_else_is_left_to_ask()
    {
        let mut suspects = Suspects::default();
        suspects.answered(Seq(2), span(1, 2), false);
        assert!(!suspects.silent(Seq(1), span(0, 10), false), "a single worker may hang");
        assert!(suspects.silent(Seq(1), span(12, 22), false));
        assert_eq!(suspects.suspect().collect::<Vec<_>>(), [Seq(1)]);
        suspects.answered(Seq(1), span(30, 31), false);
        assert!(!suspects.silent(Seq(1), span(40, 50), false), "an answer clears it");
        assert!(!suspects.silent(Seq(1), span(60, 70), false), "nobody overtook it since");
    }

    #[test]
    fn an_answer_after_a_silence_overtook_nobody() {
        let mut suspects = Suspects::default();
        assert!(!suspects.silent(Seq(1), span(0, 10), false));
        suspects.answered(Seq(2), span(11, 12), false);
        for sent in [20, 40, 60] {
            assert!(!suspects.silent(Seq(1), span(sent, sent + 10), false), "sent at {sent} s");
        }
    }

    #[test]
    fn the_last_row_is_suspect_when_another_was_answered_at_once_since_its_first_silence() {
        let mut suspects = Suspects::default();
        assert!(!suspects.silent(Seq(1), span(0, 10), true), "nobody was answered");
        assert!(suspects.answered(Seq(2), span(11, 12), false).is_empty());
        assert!(suspects.silent(Seq(1), span(20, 30), true));
        assert!(suspects.silent(Seq(1), span(900, 910), false), "whoever else has come since");
    }

    #[test]
    fn an_answered_check_speaks_against_a_silent_row_and_not_of_the_credential() {
        let mut suspects = Suspects::default();
        suspects.denied(Seq(3));
        for (sent, is_suspect) in [(0, false), (100, true)] {
            assert!(suspects.checked(span(sent + 3, sent + 4)).is_empty());
            assert_eq!(suspects.silent(Seq(1), span(sent, sent + 10), true), is_suspect);
        }
        assert_eq!(suspects.undecided().collect::<Vec<_>>(), [Seq(3)]);
    }

    #[test]
    fn a_provider_that_has_too_much_to_do_makes_no_row_suspect() {
        let mut suspects = Suspects::default();
        for round in 0..20 {
            let now = round * 100;
            assert!(!suspects.silent(Seq(1), span(now, now + 10), false), "round {round}");
            let slow = suspects.answered(Seq(2), span(now + 11, now + 16), false);
            let earlier = suspects.answered(Seq(3), span(now, now + 11), false);
            let later = suspects.answered(Seq(4), span(now + 50, now + 51), false);
            assert!(slow.is_empty() && earlier.is_empty() && later.is_empty(), "round {round}");
        }
    }

    #[test]
    fn a_row_is_suspect_only_when_another_was_answered_between_its_two_faults() {
        let mut suspects = Suspects::default();
        assert!(!suspects.faulted(Seq(1)));
        assert!(!suspects.faulted(Seq(1)), "the whole line may still be down");
        suspects.answered(Seq(2), span(0, 0), false);
        assert!(suspects.faulted(Seq(1)));
        assert_eq!(suspects.suspect().collect::<Vec<_>>(), [Seq(1)]);
        assert!(!suspects.faulted(Seq(3)), "its first fault");
        suspects.answered(Seq(1), span(0, 0), false);
        assert!(!suspects.faulted(Seq(1)), "an answer clears it");
    }

    #[test]
    fn many_rows_that_met_a_fault_are_to_blame_where_others_behind_them_are_answered() {
        // Rows, answers between the two faults, whether those waited live, and how many are blamed.
        for (rows, answers, live, blamed) in [
            (3, 1, true, 3),
            (8, 1, true, 8),
            (80, 1, true, 0),
            (80, 9, true, 80),
            (80, 1, false, 80),
        ] {
            let mut suspects = Suspects::default();
            let mut round = || {
                let blamed = (0..rows).filter(|seq| suspects.faulted(Seq(*seq))).count();
                (0..answers).for_each(|_| drop(suspects.answered(Seq(999), span(0, 0), live)));
                blamed
            };
            assert_eq!([round(), round()], [0, blamed], "{rows} rows, {answers} answers, {live}");
        }
    }

    #[test]
    fn a_row_that_is_refused_for_its_credential_is_suspect_once_another_passes_with_it() {
        let mut suspects = Suspects::default();
        assert!(!suspects.denied(Seq(1)));
        assert!(!suspects.denied(Seq(1)), "it may be everybody's");
        assert_eq!(suspects.answered(Seq(2), span(0, 0), false), [Seq(1)]);
        assert!(suspects.denied(Seq(1)), "its second says nothing of the credential");
        assert_eq!(suspects.credential_changed(), [Seq(1)]);
        assert!(!suspects.denied(Seq(1)), "with another credential all is open");
        assert!(suspects.answered(Seq(1), span(0, 0), false).is_empty(), "it passes itself");
    }

    #[test]
    fn a_row_that_is_told_to_wait_again_and_again_is_suspect_if_others_passed_and_none_was_told_so()
    {
        let mut suspects = Suspects::default();
        let pass = |suspects: &mut Suspects, rows: std::ops::Range<i64>, at| {
            rows.for_each(|seq| drop(suspects.answered(Seq(seq), span(at, at + 1), false)));
        };
        let told = |suspects: &mut Suspects, seq, at| {
            suspects.told_to_wait(Seq(seq), Duration::from_secs(at))
        };
        assert!(!told(&mut suspects, 1, 10));
        pass(&mut suspects, 2..9, 9);
        assert!(!told(&mut suspects, 1, 20), "those were sent before");
        pass(&mut suspects, 2..5, 20);
        assert!(!told(&mut suspects, 1, 30), "three are not enough");
        pass(&mut suspects, 5..6, 30);
        assert!(!told(&mut suspects, 1, 40), "the fourth; once may be chance");
        pass(&mut suspects, 2..6, 40);
        assert!(told(&mut suspects, 1, 50));
        assert_eq!(suspects.suspect().collect::<Vec<_>>(), [Seq(1)]);
        assert!(!told(&mut suspects, 9, 60), "another is told so");
        assert!(!told(&mut suspects, 1, 61), "it is the lane again");
        for (at, is_suspect) in [(70, false), (80, true)] {
            pass(&mut suspects, 2..6, at);
            let both = [1, 9].map(|seq| told(&mut suspects, seq, at + 5));
            assert_eq!(both, [is_suspect; 2], "at {at} s");
        }
        suspects.answered(Seq(1), span(90, 91), false);
        assert!(!told(&mut suspects, 1, 95), "an answer clears it");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut suspects = Suspects::default();
        for seq in 0..5000 {
            suspects.answers.all += 9;
            suspects.faulted(Seq(seq));
            suspects.denied(Seq(seq));
            suspects.silent(Seq(seq), span(0, 10), false);
            suspects.told_to_wait(Seq(seq), Duration::ZERO);
        }
        suspects.answered(Seq(9999), span(0, 0), false);
        let most = Suspects::ROWS_MAX;
        assert_eq!(
            (suspects.faults.len(), suspects.silent.len(), suspects.suspect.len()),
            (most, most, most)
        );
        assert_eq!(suspects.told.len(), most);
    }
}
