//! Whether checks are heard at their address. One that answers nobody while the provider answers
//! redemptions says nothing about a silent provider.

use std::time::Duration;

use super::SentCheck;

/// A test of an address that was found to be deaf is repeated at most this often.
const TEST_EVERY: Duration = Duration::from_secs(60);

/// What is known of the address of checks. It is believed until a check was lost; then the next
/// check is a test, sent once the provider has answered a redemption.
#[derive(Clone, Debug, Default)]
pub(super) struct Hearing {
    /// A check was lost since one was answered.
    is_doubted: bool,
    /// From when on a test is to be sent.
    due: Option<Duration>,
    /// The last test, until it is known what it shows.
    test: Option<SentCheck>,
    /// When the last test was sent.
    tested: Option<Duration>,
    is_deaf: bool,
}

impl Hearing {
    /// A test was lost between two answers to redemptions, and no check was answered since.
    pub(super) fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// When a test is to be sent.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// A check begins.
    pub(super) fn begun(&mut self, check: &SentCheck) {
        if self.due.take().is_some() {
            self.tested = Some(check.sent);
            self.test = Some(check.clone());
        }
    }

    /// A check was answered.
    pub(super) fn heard(&mut self) {
        *self = Self { tested: self.tested, ..Self::default() };
    }

    /// The check that was sent then was not answered, whether or not it left: to an answered
    /// redemption that is one.
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

    /// A redemption whose attempt began at `began` was answered.
    pub(super) fn redemption_answered(
        &mut self,
        now: Duration,
        began: Duration,
        patience: Duration,
    ) {
        match &self.test {
            Some(test) if began >= test.sent && test.is_silent(now, patience) => {
                self.is_deaf = true;
                self.test = None;
            }
            Some(_) => {}
            None => self.want_test(now),
        }
    }

    fn want_test(&mut self, now: Duration) {
        let is_again = |sent: Duration| self.is_deaf && now < sent + TEST_EVERY;
        if self.is_doubted && !self.tested.is_some_and(is_again) {
            self.due = self.due.or(Some(now));
        }
    }

    /// A redemption whose attempt began at `began` was not answered: the provider may have been
    /// silent during the test.
    pub(super) fn redemption_lost(&mut self, began: Duration) {
        self.due = None;
        self.test.take_if(|test| began >= test.sent);
    }
}
