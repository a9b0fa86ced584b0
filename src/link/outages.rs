//! How much of `max_outage` is used: a budget that neither one good probe nor a restart refills.

use std::collections::VecDeque;
use std::time::Duration;

/// An outage that ended counts until the lane has been well for so long altogether.
pub(super) const COUNTED_FOR: Duration = Duration::from_secs(24 * 3600);

/// An outage that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Past {
    length: Duration,
    /// How long the lane had been well altogether when it ended.
    at: Duration,
}

/// Where a lane stands as far as outages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageStanding {
    /// It is up: what ended before is forgotten as this lasts.
    Well,
    /// It cannot be said to be up, and tills may be trusted.
    Out,
    /// Nothing is sent and nobody is trusted: neither is used of the budget, nor refilled.
    Aside,
}

/// The present outage and those that ended a while ago, in bounded space.
#[derive(Clone, Debug)]
pub struct Outages {
    past: VecDeque<Past>,
    /// Of an outage whose end nobody has seen: what it had lasted before this process, or before
    /// nothing was left to try with.
    carried: Duration,
    /// Since when the present one is watched.
    began: Option<Duration>,
    /// How long the lane was well altogether until `well_since`; `None`: it is not well.
    well: Duration,
    well_since: Option<Duration>,
}

impl Default for Outages {
    fn default() -> Self {
        let (past, carried, well) = (VecDeque::new(), Duration::ZERO, Duration::ZERO);
        Self { past, carried, began: None, well, well_since: Some(Duration::ZERO) }
    }
}

impl Outages {
    /// Outages that are kept apart at most; beyond that the two oldest count as one.
    pub const PAST_MAX: usize = 64;

    /// What the last process kept: an outage without an end, and those that [`Outages::kept`] told.
    #[must_use]
    pub fn restore(carried: Duration, kept: &str) -> Self {
        let read = |entry: &str| {
            let (length, ago) = entry.split_once('@')?;
            let (length, ago) = (length.parse().ok()?, ago.parse().ok()?);
            Some((Duration::from_millis(length), Duration::from_millis(ago)))
        };
        let ended: Vec<_> = kept.split_ascii_whitespace().filter_map(read).collect();
        let well = ended.iter().map(|(_, ago)| *ago).max().unwrap_or_default();
        let past =
            ended.into_iter().map(|(length, ago)| Past { length, at: well.saturating_sub(ago) });
        let past = past.take(Self::PAST_MAX).collect();
        Self { past, carried, well, ..Self::default() }
    }

    /// For the next process: each ended outage as `length@ago`, both in milliseconds, `ago` in the
    /// time that the lane has been well since.
    #[must_use]
    pub fn kept(&self, now: Duration) -> String {
        let well = self.well(now);
        let write = |past: &Past| {
            format!("{}@{}", past.length.as_millis(), well.saturating_sub(past.at).as_millis())
        };
        self.counted(now).map(write).collect::<Vec<_>>().join(" ")
    }

    fn well(&self, now: Duration) -> Duration {
        self.well + self.well_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn counted(&self, now: Duration) -> impl Iterator<Item = &Past> {
        let well = self.well(now);
        self.past.iter().filter(move |past| well.saturating_sub(past.at) < COUNTED_FOR)
    }

    /// The lane stands so now; without a verdict an outage only pauses.
    pub fn is(&mut self, standing: OutageStanding, now: Duration) {
        self.well = self.well(now);
        self.well_since = (standing == OutageStanding::Well).then_some(now);
        match (standing, self.began) {
            (OutageStanding::Out, None) => self.began = Some(now),
            (OutageStanding::Well | OutageStanding::Aside, Some(began)) => {
                self.carried += now.saturating_sub(began);
                self.began = None;
            }
            (OutageStanding::Out, Some(_))
            | (OutageStanding::Well | OutageStanding::Aside, None) => {}
        }
    }

    /// The provider spoke: the present outage ends, and if the lane is still out another begins.
    /// How long it had lasted.
    pub fn verdict(&mut self, now: Duration) -> Duration {
        let length = self.present(now);
        self.carried = Duration::ZERO;
        self.began = self.began.map(|_| now);
        if !length.is_zero() {
            self.ended(Past { length, at: self.well(now) }, now);
        }
        length
    }

    fn ended(&mut self, past: Past, now: Duration) {
        let well = self.well(now);
        while self.past.front().is_some_and(|past| well.saturating_sub(past.at) >= COUNTED_FOR) {
            self.past.pop_front();
        }
        match self.past.back_mut() {
            Some(last) if last.at == past.at => last.length += past.length,
            _ => self.past.push_back(past),
        }
        if self.past.len() > Self::PAST_MAX
            && let (Some(first), Some(second)) = (self.past.pop_front(), self.past.front_mut())
        {
            second.length += first.length;
        }
    }

    /// How long the outage has lasted of which no end was seen.
    #[must_use]
    pub fn present(&self, now: Duration) -> Duration {
        self.carried + self.began.map_or(Duration::ZERO, |began| now.saturating_sub(began))
    }

    /// There is an outage of which no end was seen.
    pub(super) fn is_unended(&self) -> bool {
        self.began.is_some() || !self.carried.is_zero()
    }

    /// How much of the budget is used.
    #[must_use]
    pub fn used(&self, now: Duration) -> Duration {
        self.present(now) + self.counted(now).map(|past| past.length).sum::<Duration>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn one_good_probe_and_a_restart_refill_nothing_and_a_day_of_being_well_does() {
        let mut outages = Outages::default();
        outages.is(OutageStanding::Out, HOUR);
        assert_eq!(outages.used(3 * HOUR), 2 * HOUR);
        assert_eq!(outages.verdict(3 * HOUR), 2 * HOUR);
        outages.is(OutageStanding::Well, 3 * HOUR);
        outages.is(OutageStanding::Out, 4 * HOUR);
        assert_eq!(outages.used(9 * HOUR), 7 * HOUR, "two before and five now");
        assert_eq!(outages.kept(9 * HOUR), "7200000@3600000");
        let mut next = Outages::restore(outages.present(9 * HOUR), &outages.kept(9 * HOUR));
        assert_eq!(next.used(Duration::ZERO), 7 * HOUR);
        next.verdict(Duration::ZERO);
        assert_eq!(next.used(HOUR), 7 * HOUR);
        assert_eq!(next.used(23 * HOUR), 5 * HOUR, "the first is a day of being well ago");
        assert_eq!(next.used(24 * HOUR), Duration::ZERO);
    }

    #[test]
    fn an_outage_that_pauses_without_a_verdict_goes_on_later() {
        let mut outages = Outages::restore(HOUR, "");
        outages.is(OutageStanding::Out, HOUR);
        outages.is(OutageStanding::Well, 2 * HOUR);
        assert_eq!((outages.present(9 * HOUR), outages.used(9 * HOUR)), (2 * HOUR, 2 * HOUR));
        outages.is(OutageStanding::Out, 9 * HOUR);
        assert_eq!(outages.present(10 * HOUR), 3 * HOUR);
    }

    #[test]
    fn while_nobody_is_trusted_the_budget_is_neither_used_nor_refilled() {
        let mut outages = Outages::default();
        outages.is(OutageStanding::Out, Duration::ZERO);
        outages.verdict(2 * HOUR);
        for (standing, at) in
            [(OutageStanding::Well, 2), (OutageStanding::Aside, 3), (OutageStanding::Well, 103)]
        {
            outages.is(standing, at * HOUR);
        }
        assert_eq!(outages.used(103 * HOUR), 2 * HOUR, "a day of being well has not passed");
        assert_eq!(outages.used(125 * HOUR), 2 * HOUR);
        assert_eq!(outages.used(126 * HOUR), Duration::ZERO);
        assert_eq!(outages.present(126 * HOUR), Duration::ZERO);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_cannot_be_read_is_nothing() {
        let mut outages = Outages::default();
        let second = Duration::from_secs(1);
        for n in 0..1000 {
            outages.is(OutageStanding::Out, 2 * n * second);
            outages.verdict((2 * n + 1) * second);
            outages.is(OutageStanding::Well, (2 * n + 1) * second);
        }
        assert_eq!(outages.past.len(), Outages::PAST_MAX);
        assert_eq!(outages.used(2000 * second), 1000 * second);
        for odd in ["", "x", "1@", "@1", "-1@2", "1@x 3"] {
            assert_eq!(Outages::restore(Duration::ZERO, odd).used(second), Duration::ZERO, "{odd}");
        }
    }
}
