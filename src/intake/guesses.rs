//! Requests without a valid token, counted by where they come from: who guesses is named and
//! slowed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::listen::Source;

/// Sources that are remembered; beyond it the one that was quiet longest is forgotten.
const SOURCES_MAX: usize = 1024;
/// A source that was quiet for so long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);
/// So many may be a till with an old token that asks again; then each is answered later.
const FREE: u64 = 20;
/// What each further request adds to the wait for the answer.
const STEP: Duration = Duration::from_millis(50);
/// The longest wait: below what a till's own patience is.
const DELAY_MAX: Duration = Duration::from_secs(2);
/// A source is named when it has come so often, and after each tenfold again.
const NAMED_AT: u64 = 10;
/// The shortest time between two lines, whatever their sources.
const NAMED_EVERY: Duration = Duration::from_secs(5);

/// Who asks without a valid token.
#[derive(Default)]
pub(super) struct Guesses(Mutex<KnownSources>);

#[derive(Default)]
struct KnownSources {
    sources: HashMap<Source, Guesser>,
    named_at: Option<Instant>,
}

struct Guesser {
    count: u64,
    last_at: Instant,
    name_at: u64,
}

/// What becomes of one more.
#[derive(Debug, PartialEq, Eq)]
struct Ruling {
    delay: Duration,
    /// The source is named now, with how often it has come.
    name: Option<u64>,
}

impl Guesses {
    /// One more request without a valid token; how long its answer has to wait.
    pub(super) fn count(&self, source: Source) -> Duration {
        let ruling =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).rule(source, Instant::now());
        if let Some(count) = ruling.name {
            let slowed = slowed(ruling.delay);
            tracing::warn!("{source} has asked {count} times without a token of a till; {slowed}");
        }
        ruling.delay
    }
}

/// What is said of its answers.
fn slowed(delay: Duration) -> String {
    if delay.is_zero() {
        return format!("after {FREE} times its answers are slowed");
    }
    "its answers are slowed".to_owned()
}

impl KnownSources {
    fn rule(&mut self, source: Source, now: Instant) -> Ruling {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.forget_quietest();
        }
        let new = || Guesser { count: 0, last_at: now, name_at: NAMED_AT };
        let guesser = self.sources.entry(source).or_insert_with(new);
        if now.duration_since(guesser.last_at) >= FORGOTTEN_AFTER {
            *guesser = new();
        }
        guesser.count += 1;
        guesser.last_at = now;
        let over = u32::try_from(guesser.count.saturating_sub(FREE)).unwrap_or(u32::MAX);
        let delay = STEP.saturating_mul(over).min(DELAY_MAX);
        let may_be_named =
            self.named_at.is_none_or(|named| now.duration_since(named) >= NAMED_EVERY);
        if guesser.count < guesser.name_at || !may_be_named {
            return Ruling { delay, name: None };
        }
        guesser.name_at = guesser.count.saturating_mul(10);
        self.named_at = Some(now);
        Ruling { delay, name: Some(guesser.count) }
    }

    fn forget_quietest(&mut self) {
        let quietest = self
            .sources
            .iter()
            .min_by_key(|(_, guesser)| guesser.last_at)
            .map(|(source, _)| *source);
        if let Some(source) = quietest {
            self.sources.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::Peer;

    fn source(number: u32) -> Source {
        let address = std::net::Ipv4Addr::from_bits(number);
        Peer { uid: None, addr: Some((address, 1).into()) }.source().expect("TCP")
    }

    #[test]
    fn a_few_are_free_and_many_are_slowed_within_a_bound() {
        let (mut known, now) = (KnownSources::default(), Instant::now());
        let delays: Vec<_> = (0..100).map(|_| known.rule(source(1), now).delay).collect();
        assert!(delays[..20].iter().all(Duration::is_zero));
        assert_eq!([delays[20], delays[21]], [STEP, STEP * 2]);
        assert_eq!(delays[99], DELAY_MAX);
        assert_eq!(known.rule(source(2), now).delay, Duration::ZERO, "another source is another's");
        assert_eq!(known.rule(source(1), now + FORGOTTEN_AFTER).delay, Duration::ZERO);
    }

    #[test]
    fn a_source_is_named_at_ten_and_at_each_tenfold_and_lines_keep_their_distance() {
        let (mut known, start) = (KnownSources::default(), Instant::now());
        let mut named = Vec::new();
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            named.extend(known.rule(source(1), now).name);
        }
        assert_eq!(named, [10, 100, 1000]);
        let now = start + Duration::from_secs(1001);
        let lines = (2..1000).flat_map(|number| (0..10).map(move |_| number));
        let lines = lines.filter(|number| known.rule(source(*number), now).name.is_some()).count();
        assert!(lines <= 1, "{lines} lines at one moment");
    }

    #[test]
    fn a_source_that_is_named_before_its_answers_are_slowed_is_said_to_be_slowed_later() {
        let (mut known, now) = (KnownSources::default(), Instant::now());
        let mut tenth = (0..NAMED_AT).map(|_| known.rule(source(1), now));
        let named = tenth.find(|ruling| ruling.name.is_some()).expect("it is named");
        assert_eq!(slowed(named.delay), "after 20 times its answers are slowed");
        assert_eq!(slowed(STEP), "its answers are slowed");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut known, now) = (KnownSources::default(), Instant::now());
        for number in 0..2 * u32::try_from(SOURCES_MAX).expect("small") {
            known.rule(source(number), now);
        }
        assert_eq!(known.sources.len(), SOURCES_MAX);
    }
}
