//! Whether checks are heard at their address. One that answers nobody, or each too late, while the
//! provider answers redemptions says nothing about a silent provider.

use std::collections::BTreeSet;
use std::time::Duration;

use super::SentCheck;
use crate::redemption::Seq;

/// A check is repeated after this long where checks are deaf, then after twice as long, and so on.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// So many redemptions are remembered at most that were lost beside a test.
const BESIDE_MAX: usize = 64;
/// After this long another test is sent, whatever has become of them.
const DECIDED_WITHIN: Duration = Duration::from_secs(600);

/// What is known of the address of checks. It is believed until a check was lost; then the next
/// check is a test, sent once the provider has answered a redemption.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    /// A check was lost since one was answered.
    is_doubted: bool,
    /// A test is to be sent.
    is_wanted: bool,
    /// The last test, until it is known what it shows.
    test: Option<SentCheck>,
    /// Redemptions that were not answered since the test was wanted: the provider was silent, or
    /// they are to blame themselves. What becomes of them tells.
    beside: BTreeSet<Seq>,
    /// The test of then was lost before a redemption that was answered; who was lost beside it
    /// decides what that shows.
    undecided: Option<Duration>,
    /// Checks are deaf: when the last test was sent, and how long the next one waits.
    deaf: Option<(Duration, Duration)>,
}

impl Hearing {
    /// Redemptions are answered, and no check in its time.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.is_some()
    }

    /// When a test is to be sent, at once or later. Where checks are deaf it waits for no
    /// redemption: a quiet store is to learn that they are heard again.
    pub(super) fn due(&self) -> Option<Duration> {
        let again = self.deaf.map(|(sent, wait)| sent + wait);
        again.or(self.is_wanted.then_some(Duration::ZERO))
    }

    /// A check begins.
    pub(super) fn begun(&mut self, check: &SentCheck) {
        if self.due().is_none_or(|due| due > check.sent) {
            return;
        }
        self.is_wanted = false;
        self.test = Some(check.clone());
        self.deaf = self.deaf.map(|(_, wait)| (check.sent, (wait * 2).min(AGAIN_AFTER_MAX)));
    }

    /// A check of the gateway's own was answered in its time. A till's says nothing: its code may
    /// be answered where no made-up one is.
    pub(super) fn heard(&mut self) {
        *self = Self::default();
    }

    /// The check that was sent then was not answered in its time, whether or not it left: to an
    /// answered redemption that is one.
    pub(super) fn lost(&mut self, sent: Duration) {
        self.is_doubted = true;
        if let Some(test) = self.test.as_mut().filter(|test| test.sent == sent) {
            test.ended(true);
        }
    }

    /// The check that was sent then met a 429, which shows nothing.
    pub(super) fn limited(&mut self, sent: Duration) {
        self.test.take_if(|test| test.sent == sent);
    }

    /// The redemption `seq`, whose attempt began at `began`, was answered; a check's time is
    /// `in_time`.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        (seq, began): (Seq, Duration),
        in_time: Duration,
    ) {
        if self.beside.contains(&seq) {
            // The provider had been silent indeed.
            return self.want_test();
        }
        let lost = self.test.take_if(|test| began >= test.sent && test.is_silent(now, in_time));
        match lost {
            Some(test) => self.test_was_lost(test.sent),
            None if self.may_want_test(now) => self.want_test(),
            None => {}
        }
    }

    fn may_want_test(&self, now: Duration) -> bool {
        let is_decided = self.undecided.is_none_or(|sent| now > sent + DECIDED_WITHIN);
        self.is_doubted && !self.is_wanted && self.test.is_none() && is_decided
    }

    fn want_test(&mut self) {
        (self.is_wanted, self.undecided, self.test) = (true, None, None);
        self.beside.clear();
    }

    fn test_was_lost(&mut self, sent: Duration) {
        if self.is_deaf() {
            return;
        }
        if self.beside.is_empty() {
            self.deaf = Some((sent, AGAIN_AFTER));
        } else {
            self.undecided = Some(sent);
        }
    }

    /// The redemption `seq` was not answered.
    pub(super) fn unanswered(&mut self, seq: Seq) {
        let is_beside = self.is_wanted || self.test.is_some();
        if is_beside && self.beside.len() < BESIDE_MAX {
            self.beside.insert(seq);
        }
    }

    /// The redemption `seq` was to blame itself: its silence said nothing of the provider.
    pub(super) fn blamed(&mut self, seq: Seq) {
        if self.beside.remove(&seq) && self.beside.is_empty() {
            self.deaf = self.undecided.take().map(|sent| (sent, AGAIN_AFTER)).or(self.deaf);
        }
    }
}
