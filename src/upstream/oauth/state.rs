//! Pure: when a token is sent, when it is renewed, and how long a renewal that failed has to wait.

use std::time::Duration;

use reqwest::header::HeaderValue;

use super::endpoint::{EndpointWord, NoToken};
use crate::verdict::Failure;

/// The first wait after a renewal that failed; each next one is twice as long.
const RETRY_S_MIN: u64 = 1;
/// The longest.
const RETRY_S_MAX: u64 = 60;
/// The least that full jitter leaves of a wait: a renewal never spins.
const RETRY_MS_FLOOR: u64 = 100;
/// A token is renewed this long before its end, or at four fifths of its life if that is earlier.
const RENEW_BEFORE_END_S: u64 = 60;

/// An access token. Times are since boot, so that a wrong or stepping wall clock ends no token.
#[derive(Clone, Debug)]
pub(super) struct AccessToken {
    header: HeaderValue,
    renew_at: Duration,
    ends_at: Duration,
}

impl AccessToken {
    pub(super) fn new(header: HeaderValue, now: Duration, lifetime: Duration) -> Self {
        let early = lifetime.saturating_sub(Duration::from_secs(RENEW_BEFORE_END_S));
        // A short-lived token must not be renewed all the time: its first half is used.
        let renew_after = early.min(lifetime.mul_f64(0.8)).max(lifetime / 2);
        Self { header, renew_at: now + renew_after, ends_at: now + lifetime }
    }
}

/// What to do to get a token.
#[derive(Debug)]
pub(super) enum TokenStep {
    /// It sends this one.
    Send(HeaderValue),
    /// It waits for the renewal's end.
    Wait,
    /// There is none, and it is too early to ask for one.
    Fail(Failure),
}

/// Who asks for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenUser {
    /// An attempt that the link allows.
    Attempt,
    /// Somebody who waits for another token, and asks repeatedly.
    Waiter,
}

/// Where a provider's token stands.
#[derive(Clone, Debug, Default)]
pub(super) struct RenewalState {
    access: Option<AccessToken>,
    /// How many tokens there have been.
    generation: u64,
    /// The generation that the last attempt used, or would have used.
    sent: u64,
    renewing: bool,
    /// It takes too long for those who wait: they are told, and it goes on.
    late: bool,
    trouble: Option<NoToken>,
    failures: u32,
    /// When a renewal may be tried again.
    retry_at: Duration,
    /// When an attempt that has no token may try it again.
    attempt_at: Duration,
    /// Another token is wanted though this one is not at its end. It may be good all the same, and
    /// is sent until the other is here: what was refused may be the row.
    refused: bool,
    refusals: u32,
    /// Before this moment, a refusal does not start a renewal, nor does anything else while no
    /// token was taken since.
    force_at: Duration,
}

impl RenewalState {
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn is_renewing(&self) -> bool {
        self.renewing
    }

    /// Attempts wait for the renewal's end.
    pub(super) fn is_waited_for(&self) -> bool {
        self.renewing && !self.late
    }

    /// What `who` does at `now`, and whether a renewal begins.
    pub(super) fn next(&mut self, now: Duration, who: TokenUser) -> (TokenStep, bool) {
        self.sent = self.generation;
        let good = self.good(now);
        let due = self.refused || good.is_none_or(|access| now >= access.renew_at);
        let begins = due && !self.renewing && now >= self.may_begin_at(who, good.is_some());
        if begins {
            self.begin(now);
        }
        let next = match self.good(now) {
            Some(access) => TokenStep::Send(access.header.clone()),
            None if self.is_waited_for() => TokenStep::Wait,
            None => TokenStep::Fail(self.failure()),
        };
        (next, begins)
    }

    fn good(&self, now: Duration) -> Option<&AccessToken> {
        self.access.as_ref().filter(|access| now < access.ends_at)
    }

    /// While no token is taken, another one comes only after the wait that the refusals have
    /// earned, also where each is at its end as soon as it is there.
    fn may_begin_at(&self, who: TokenUser, is_good: bool) -> Duration {
        let may_at = match who {
            TokenUser::Attempt if !is_good => self.attempt_at,
            TokenUser::Attempt | TokenUser::Waiter => self.retry_at,
        };
        if self.refused || self.refusals > 0 { may_at.max(self.force_at) } else { may_at }
    }

    fn begin(&mut self, now: Duration) {
        self.renewing = true;
        if self.refused || self.refusals > 0 {
            self.force_at = now + backoff(self.refusals);
            self.refusals = self.refusals.saturating_add(1);
        }
    }

    /// When `next` may have something new to do.
    pub(super) fn wakes_at(&self) -> Duration {
        let unrefused = self.access.as_ref().filter(|_| !self.refused);
        let due = unrefused.map_or(Duration::ZERO, |access| access.renew_at);
        due.max(self.may_begin_at(TokenUser::Waiter, true))
    }

    /// For an attempt that waited: the token, even a short-lived one, or why there is none.
    pub(super) fn outcome(&mut self) -> Result<HeaderValue, Failure> {
        self.sent = self.generation;
        let access = self.access.as_ref().filter(|_| !self.late);
        access.map(|access| access.header.clone()).ok_or_else(|| self.failure())
    }

    fn failure(&self) -> Failure {
        let none_asked_for = || NoToken::here("the provider refused the last token".to_owned());
        self.trouble.clone().unwrap_or_else(none_asked_for).failure
    }

    /// A renewal gave a token, late or in time.
    pub(super) fn renewed(&mut self, access: AccessToken) {
        let Self { generation, sent, refusals, force_at, .. } = *self;
        let generation = generation.saturating_add(1);
        *self =
            Self { access: Some(access), generation, sent, refusals, force_at, ..Self::default() };
    }

    /// A renewal takes too long for those who wait.
    pub(super) fn is_late(&mut self, trouble: NoToken) {
        (self.late, self.trouble) = (true, Some(trouble));
    }

    /// A renewal failed; `chance` is the jitter.
    pub(super) fn failed(&mut self, trouble: NoToken, now: Duration, chance: u32) {
        let share = f64::from(chance) / f64::from(u32::MAX);
        let wait = backoff(self.failures).mul_f64(share).max(Duration::from_millis(RETRY_MS_FLOOR));
        let from = now + trouble.at_least.unwrap_or_default();
        self.retry_at = from + wait;
        // Attempts have the link's own backoff. When the line is back, this backoff must not fail
        // the first of them.
        let has_refused = trouble.word == EndpointWord::No;
        let step = if has_refused { wait } else { wait.min(Duration::from_secs(RETRY_S_MIN)) };
        self.attempt_at = from + step;
        self.failures = self.failures.saturating_add(1);
        (self.renewing, self.late) = (false, false);
        self.trouble = Some(trouble);
        self.access = self.access.take().filter(|access| now < access.ends_at);
    }

    /// The provider refused what was sent: the next attempt renews it, at most once a backoff. What
    /// it says late, of a token that has been renewed since, counts for nothing.
    pub(super) fn refuse(&mut self, sent: &HeaderValue) {
        self.refused |= self.is_present(sent);
    }

    /// The provider took what was sent.
    pub(super) fn take(&mut self, sent: &HeaderValue) {
        if self.is_present(sent) {
            (self.refused, self.refusals) = (false, 0);
        }
    }

    fn is_present(&self, sent: &HeaderValue) -> bool {
        self.access.as_ref().is_some_and(|access| access.header == *sent)
    }

    /// A person may have put something right: the next attempt renews the token, at most once a
    /// backoff, and where there is none it tries at once, unless the endpoint asked for a wait.
    pub(super) fn renew_soon(&mut self) {
        self.refused = self.access.is_some();
        if self.trouble.as_ref().is_some_and(|trouble| trouble.at_least.is_none()) {
            self.forget_the_wait();
        }
    }

    fn forget_the_wait(&mut self) {
        (self.retry_at, self.attempt_at, self.failures) = (Duration::ZERO, Duration::ZERO, 0);
    }

    /// A renewal that failed for lack of a connection may be tried again at once.
    pub(super) fn network_changed(&mut self) {
        if self.trouble.as_ref().is_some_and(|trouble| trouble.word == EndpointWord::None) {
            self.forget_the_wait();
        }
    }
}

/// The longest wait after `count` failures before it.
fn backoff(count: u32) -> Duration {
    Duration::from_secs(RETRY_S_MIN.saturating_mul(2u64.saturating_pow(count)).min(RETRY_S_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Phase;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const SENT: HeaderValue = HeaderValue::from_static("Bearer x");

    fn access(now: Duration, lifetime_s: u64) -> AccessToken {
        AccessToken::new(SENT, now, s(lifetime_s))
    }

    fn sends(next: &(TokenStep, bool)) -> bool {
        matches!(next.0, TokenStep::Send(_))
    }

    fn waits(next: &(TokenStep, bool)) -> bool {
        matches!(next.0, TokenStep::Wait)
    }

    fn with_token(now: Duration, lifetime_s: u64) -> RenewalState {
        let mut state = RenewalState::default();
        assert!(state.next(now, TokenUser::Attempt).1);
        state.renewed(access(now, lifetime_s));
        state
    }

    #[test]
    fn a_token_is_renewed_in_good_time() {
        let schedule = [
            (3600, 2880),
            (86_400, 69_120),
            (300, 240),
            (120, 60),
            (90, 45),
            (60, 30),
            (10, 5),
            (0, 0),
        ];
        for (lifetime_s, renew_after_s) in schedule {
            assert_eq!(access(s(7), lifetime_s).renew_at, s(7 + renew_after_s), "{lifetime_s}");
        }
    }

    #[test]
    fn the_first_attempt_begins_a_renewal_and_the_others_wait_for_it() {
        let mut state = RenewalState::default();
        let (first, second) =
            (state.next(s(1), TokenUser::Attempt), state.next(s(1), TokenUser::Attempt));
        assert!(waits(&first) && first.1);
        assert!(waits(&second) && !second.1);
        state.renewed(access(s(2), 100));
        assert!(state.outcome().is_ok());
        let third = state.next(s(3), TokenUser::Attempt);
        assert!(sends(&third) && !third.1);
    }

    #[test]
    fn an_early_renewal_delays_nobody_and_its_failure_hurts_nobody_before_the_end() {
        let mut state = with_token(s(0), 100);
        let due = state.next(s(50), TokenUser::Attempt);
        assert!(sends(&due) && due.1);
        state.failed(NoToken::default(), s(51), u32::MAX);
        let backing_off = state.next(s(51), TokenUser::Attempt);
        assert!(sends(&backing_off) && !backing_off.1);
        assert!(state.next(s(52), TokenUser::Attempt).1);
        state.failed(NoToken::default(), s(100), u32::MAX);
        assert!(matches!(state.next(s(100), TokenUser::Attempt), (TokenStep::Fail(_), false)));
        let later = state.next(s(102), TokenUser::Attempt);
        assert!(waits(&later) && later.1);
    }

    #[test]
    fn a_renewal_that_fails_again_and_again_waits_longer_up_to_a_minute_and_never_spins() {
        let mut state = RenewalState::default();
        let mut now = s(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(state.next(now, TokenUser::Attempt).1);
            state.failed(NoToken::default(), now, u32::MAX);
            assert!(matches!(state.next(now, TokenUser::Attempt), (TokenStep::Fail(_), false)));
            waits.push(state.wakes_at().saturating_sub(now).as_secs());
            now = state.wakes_at();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        state.next(now, TokenUser::Attempt);
        state.failed(NoToken::default(), now, 0);
        assert_eq!(state.wakes_at(), now + Duration::from_millis(100));
    }

    #[test]
    fn jitter_comes_after_what_the_endpoint_asked_for() {
        let mut state = RenewalState::default();
        state.next(s(0), TokenUser::Attempt);
        state.failed(NoToken { at_least: Some(s(30)), ..NoToken::default() }, s(0), 0);
        assert_eq!(state.wakes_at(), Duration::from_millis(30_100));
    }

    #[test]
    fn a_refused_token_is_renewed_at_most_once_a_backoff() {
        let mut state = with_token(s(0), 3600);
        let mut renewed_at = Vec::new();
        for tenth in 0..200 {
            let now = Duration::from_millis(100 * tenth);
            state.refuse(&SENT);
            if state.next(now, TokenUser::Attempt).1 {
                renewed_at.push(now.as_secs());
                state.renewed(access(now, 3600));
            }
        }
        assert_eq!(renewed_at, [0, 1, 3, 7, 15]);
        state.take(&SENT);
        state.refuse(&SENT);
        assert!(!state.next(s(30), TokenUser::Attempt).1, "the wait that was begun is kept");
        assert!(state.next(s(31), TokenUser::Attempt).1);
        state.renewed(access(s(31), 3600));
        state.refuse(&SENT);
        assert!(
            state.next(s(32), TokenUser::Attempt).1,
            "a token that was taken makes the next wait short again"
        );
    }

    #[test]
    fn a_refused_token_is_sent_until_another_is_here_and_what_is_said_of_it_then_is_not_of_that() {
        let mut state = with_token(s(0), 3600);
        state.refuse(&SENT);
        let first = state.next(s(1), TokenUser::Attempt);
        assert!(sends(&first) && first.1);
        state.failed(NoToken::default(), s(1), u32::MAX);
        assert!(sends(&state.next(s(1), TokenUser::Attempt)), "none could be had");
        assert!(state.next(s(2), TokenUser::Attempt).1, "it is still wanted");
        let other = HeaderValue::from_static("Bearer y");
        state.renewed(AccessToken::new(other.clone(), s(2), s(3600)));
        state.refuse(&SENT);
        assert!(!state.next(s(100), TokenUser::Attempt).1, "a late word");
        state.refuse(&other);
        state.take(&other);
        assert!(!state.next(s(100), TokenUser::Attempt).1, "it was the row's");
    }

    #[test]
    fn tokens_that_are_at_their_end_at_once_are_renewed_no_more_often_while_none_is_taken() {
        let mut state = with_token(s(0), 0);
        let mut renewed_at = Vec::new();
        for tenth in 0..1200 {
            let now = Duration::from_millis(100 * tenth);
            state.refuse(&SENT);
            assert!(state.wakes_at() > now || state.next(now, TokenUser::Waiter).1, "at {now:?}");
            if state.is_renewing() {
                renewed_at.push(now.as_secs());
                state.renewed(access(now, 0));
            }
        }
        assert_eq!(renewed_at, [0, 1, 3, 7, 15, 31, 63]);
        state.take(&SENT);
        assert!(state.next(s(120), TokenUser::Attempt).1, "one that is taken and at its end");
    }

    #[test]
    fn a_refusal_that_comes_during_the_renewal_is_about_the_old_token() {
        let mut state = with_token(s(0), 3600);
        state.refuse(&SENT);
        assert!(state.next(s(1), TokenUser::Attempt).1);
        state.refuse(&SENT);
        state.renewed(access(s(1), 3600));
        let next = state.next(s(10), TokenUser::Attempt);
        assert!(sends(&next) && !next.1);
    }

    #[test]
    fn a_network_event_ends_the_wait_for_a_connection_but_none_that_an_answer_brought() {
        for (word, again) in
            [(EndpointWord::None, true), (EndpointWord::Other, false), (EndpointWord::No, false)]
        {
            let mut state = RenewalState::default();
            state.next(s(0), TokenUser::Attempt);
            let at_least = (word == EndpointWord::Other).then_some(s(3600));
            state.failed(NoToken { word, at_least, ..NoToken::default() }, s(0), u32::MAX);
            state.network_changed();
            assert_eq!(state.next(Duration::ZERO, TokenUser::Attempt).1, again, "{word:?}");
            assert_eq!(state.next(s(3599), TokenUser::Attempt).1, word == EndpointWord::No);
        }
    }

    #[test]
    fn an_attempt_may_connect_each_second_and_a_waiter_backs_off() {
        let mut state = RenewalState::default();
        let mut now = s(0);
        for _ in 0..5 {
            assert!(state.next(now, TokenUser::Attempt).1);
            state.failed(NoToken { word: EndpointWord::None, ..NoToken::default() }, now, u32::MAX);
            assert!(!state.next(now + Duration::from_millis(999), TokenUser::Attempt).1);
            now += s(1);
        }
        assert!(!state.next(now, TokenUser::Waiter).1);
        assert_eq!(state.wakes_at(), s(4 + 16));
        assert!(state.next(s(4 + 16), TokenUser::Waiter).1);
    }

    #[test]
    fn a_good_token_whose_early_renewal_fails_is_not_renewed_at_every_attempt() {
        let mut state = with_token(s(0), 3600);
        let mut begun_at = Vec::new();
        for second in 2880..2900 {
            if state.next(s(second), TokenUser::Attempt).1 {
                begun_at.push(second);
                state.failed(
                    NoToken { word: EndpointWord::None, ..NoToken::default() },
                    s(second),
                    u32::MAX,
                );
            }
        }
        assert_eq!(begun_at, [2880, 2881, 2883, 2887, 2895]);
    }

    #[test]
    fn another_token_is_told_from_the_one_that_was_sent() {
        let mut state = with_token(s(0), 3600);
        assert_ne!(state.generation(), state.sent());
        state.next(s(0), TokenUser::Attempt);
        assert_eq!(state.generation(), state.sent());
        state.refuse(&SENT);
        state.next(s(1), TokenUser::Attempt);
        state.renewed(access(s(1), 3600));
        assert_ne!(state.generation(), state.sent());
    }

    #[test]
    fn a_failure_is_told_to_those_who_waited() {
        let mut state = RenewalState::default();
        state.next(s(0), TokenUser::Attempt);
        let mut trouble = NoToken::here("why".to_owned());
        trouble.failure.phase = Phase::Connect;
        state.failed(trouble, s(0), 0);
        let failure = state.outcome().unwrap_err();
        assert_eq!((failure.phase, failure.detail.as_str()), (Phase::Connect, "why"));
    }
}
