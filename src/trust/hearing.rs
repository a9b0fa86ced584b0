//! Whether checks are heard at their address. One that answers nobody, or each too late, while the
//! provider answers redemptions says nothing about a silent provider.

use std::time::Duration;

use super::SentCheck;

/// A check is repeated after this long where checks are deaf, then after twice as long, and so on.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// So many tests have to be lost one after the other where redemptions were lost meanwhile too.
const TESTS: u32 = 2;

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
    /// A redemption was not answered since the test was wanted: the provider may have been silent.
    is_clouded: bool,
    /// How many tests were lost, each before a redemption that was answered.
    lost: u32,
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

    /// A redemption whose attempt began at `began` was answered; a check's time is `in_time`.
    pub(super) fn redemption_answered(
        &mut self,
        now: Duration,
        began: Duration,
        in_time: Duration,
    ) {
        let Some(test) = &self.test else { return self.want_test_if_doubted() };
        if began >= test.sent && test.is_silent(now, in_time) {
            let sent = test.sent;
            self.test_was_lost(sent);
        }
    }

    fn want_test_if_doubted(&mut self) {
        if self.is_doubted && !self.is_wanted {
            self.want_test();
        }
    }

    fn want_test(&mut self) {
        (self.is_wanted, self.is_clouded) = (true, false);
    }

    fn test_was_lost(&mut self, sent: Duration) {
        self.test = None;
        self.lost = self.lost.saturating_add(1);
        if self.is_deaf() {
            return;
        }
        if self.is_clouded && self.lost < TESTS {
            self.want_test();
        } else {
            self.deaf = Some((sent, AGAIN_AFTER));
        }
    }

    /// A redemption was not answered.
    pub(super) fn redemption_lost(&mut self) {
        self.is_clouded = true;
    }
}
