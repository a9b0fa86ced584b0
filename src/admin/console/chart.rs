//! What waited and what was answered, over a day and a week, as figures of a picture that is made
//! here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::message::grouped;
use crate::store::RowSpan;

/// The picture's size, in its own units.
pub(super) const WIDTH: u64 = 672;
/// As [`WIDTH`].
pub(super) const HEIGHT: u64 = 96;
/// How long figures that cost a look at many rows are shown again.
pub(super) const SHOWN_AGAIN_FOR: Duration = Duration::from_secs(10);
const HOUR_MS: i64 = 3_600_000;
/// How far the figures go back.
pub(super) const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Something that costs a look at many rows; whoever comes while it is made waits for it.
#[derive(Debug)]
pub(super) struct Cached<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cached<T> {
    /// What was made no longer ago than `shown_for`, else what is made now.
    pub(super) async fn get<E>(
        &self,
        shown_for: Duration,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        self.get_if(shown_for, |_| true, made).await
    }

    /// As [`Self::get`], but what was made before serves only where it `fits`.
    pub(super) async fn get_if<E>(
        &self,
        shown_for: Duration,
        fits: impl Fn(&T) -> bool,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().await;
        let fresh = kept.as_ref().filter(|(at, _)| at.elapsed() < shown_for);
        if let Some((_, value)) = fresh.filter(|(_, value)| fits(value)) {
            return Ok(Arc::clone(value));
        }
        let begun = Instant::now();
        let value = Arc::new(made.await?);
        *kept = Some((begun, Arc::clone(&value)));
        Ok(value)
    }
}

/// What the first screen shows of the rows' times.
#[derive(Debug)]
pub(super) struct Activity {
    /// Over a day, and over a week.
    pub(super) series: [Series; 2],
    /// When the newest answer came, Unix milliseconds.
    pub(super) answered_ms: Option<i64>,
    /// Whether all rows of a week were read.
    pub(super) whole: bool,
}

impl Activity {
    /// Before any row.
    pub(super) fn new(now_ms: i64) -> Self {
        let series = [Series::new(now_ms, 48, HOUR_MS / 2), Series::new(now_ms, 56, 3 * HOUR_MS)];
        Self { series, answered_ms: None, whole: true }
    }

    pub(super) fn add(&mut self, span: &RowSpan) {
        self.answered_ms = self.answered_ms.max(span.settled_ms.filter(|_| span.answered));
        self.series.iter_mut().for_each(|series| series.add(span));
    }
}

/// The figures that the screens need again and again.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pub(super) activity: Cached<Activity>,
    pub(super) groups: Cached<super::inbox::Groups>,
}

/// How many were answered, bucket after bucket, and when each began and ceased to wait.
#[derive(Debug)]
pub(super) struct Series {
    begin_ms: i64,
    every_ms: i64,
    answered: Vec<u64>,
    /// When one more waited, or one fewer. Of one moment those that cease stand first.
    changes: Vec<(i64, i64)>,
}

/// A bar, in the picture's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// A picture: answered as bars, waiting as a line, each in its own scale.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// When it begins, in words.
    pub(super) begin: &'static str,
    pub(super) bars: Vec<Bar>,
    pub(super) line: String,
    pub(super) answered: String,
    pub(super) most_waiting: u64,
    /// As [`Chart::most_waiting`], for people.
    pub(super) most_shown: String,
}

impl Series {
    /// The last `buckets` times `every_ms` before `now_ms`.
    fn new(now_ms: i64, buckets: usize, every_ms: i64) -> Self {
        let begin_ms = now_ms - every_ms * i64::try_from(buckets).unwrap_or(0);
        Self { begin_ms, every_ms, answered: vec![0; buckets], changes: Vec::new() }
    }

    fn bucket(&self, at_ms: i64) -> usize {
        let since_ms = at_ms.saturating_sub(self.begin_ms);
        usize::try_from(since_ms.div_euclid(self.every_ms)).unwrap_or(0)
    }

    fn add(&mut self, span: &RowSpan) {
        let settled = span.settled_ms.filter(|at_ms| span.answered && *at_ms >= self.begin_ms);
        if let Some(at_ms) = settled {
            let at = self.bucket(at_ms);
            self.answered.get_mut(at).into_iter().for_each(|count| *count += 1);
        }
        let from_ms = span.accepted_ms.max(self.begin_ms);
        if span.settled_ms.is_none_or(|to_ms| to_ms > from_ms) {
            self.changes.push((from_ms, 1));
            self.changes.extend(span.settled_ms.map(|to_ms| (to_ms, -1)));
        }
    }

    /// The most that waited at one time of each bucket.
    fn waiting(&self) -> Vec<u64> {
        let (mut most, mut changes) = (vec![0; self.answered.len()], self.changes.clone());
        changes.sort_unstable();
        let (mut now, mut from) = (0, 0);
        for (at_ms, change) in changes {
            self.waited(&mut most, from, at_ms, now);
            (now, from) = (now + change, self.bucket(at_ms));
        }
        self.waited(&mut most, from, i64::MAX, now);
        most
    }

    /// So many waited from this bucket on until then.
    fn waited(&self, most: &mut [u64], from: usize, until_ms: i64, now: i64) {
        let last = self.bucket(until_ms.saturating_sub(1));
        let buckets = most.iter_mut().enumerate().filter(|(at, _)| (from..=last).contains(at));
        let now = u64::try_from(now).unwrap_or(0);
        buckets.for_each(|(_, most)| *most = now.max(*most));
    }

    /// The picture. So many wait now: the books know more than the rows that were read.
    pub(super) fn chart(&self, [title, begin]: [&'static str; 2], now: u64) -> Chart {
        let mut waiting = self.waiting();
        waiting.last_mut().into_iter().for_each(|last| *last = now.max(*last));
        let most_waiting = waiting.iter().copied().max().unwrap_or(0);
        Chart {
            title,
            begin,
            bars: bars(&self.answered),
            line: line(&waiting),
            answered: grouped(self.answered.iter().sum()),
            most_waiting,
            most_shown: grouped(most_waiting),
        }
    }
}

fn scaled(value: u64, most: u64) -> u64 {
    (value * HEIGHT).checked_div(most).unwrap_or(0)
}

fn bars(values: &[u64]) -> Vec<Bar> {
    let most = values.iter().copied().max().unwrap_or(0);
    let width = WIDTH.checked_div(values.len() as u64).unwrap_or(0);
    let bar = |(x, value): (u64, &u64)| {
        let height = scaled(*value, most).max(u64::from(*value > 0));
        Bar { x: x * width, y: HEIGHT - height, width: width.saturating_sub(2), height }
    };
    (0..).zip(values).map(bar).filter(|bar| bar.height > 0).collect()
}

fn line(values: &[u64]) -> String {
    let most = values.iter().copied().max().unwrap_or(0);
    let width = WIDTH.checked_div(values.len() as u64).unwrap_or(0);
    let point = |(x, value): (u64, &u64)| {
        let y = HEIGHT - scaled(*value, most);
        format!("{},{y} {},{y}", x * width, (x + 1) * width)
    };
    (0..).zip(values).map(point).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(now_ms: i64, spans: &[RowSpan]) -> Chart {
        let mut series = Series::new(now_ms, 4, 10);
        for span in spans {
            series.add(span);
        }
        series.chart(["day", "ago"], 0)
    }

    #[test]
    fn a_row_waits_from_its_acceptance_to_its_answer() {
        let span = |accepted_ms, settled_ms| RowSpan { accepted_ms, settled_ms, answered: true };
        let spans = [
            span(-50, Some(-10)),
            span(-5, Some(25)),
            span(12, None),
            span(31, Some(33)),
            span(99, None),
        ];
        let chart = chart(40, &spans);
        assert_eq!((chart.answered.as_str(), chart.most_waiting), ("2", 2));
        assert_eq!(chart.line, "0,48 168,48 168,0 336,0 336,0 504,0 504,0 672,0");
        assert_eq!(chart.bars.iter().map(|bar| bar.x).collect::<Vec<_>>(), [336, 504]);
    }

    #[test]
    fn what_waited_between_the_ends_of_two_buckets_is_counted_at_its_most() {
        let span = |accepted_ms, settled_ms| RowSpan { accepted_ms, settled_ms, answered: true };
        let five = (0..5).map(|at| span(12 + at, Some(18)));
        // One after the other, each when the one before is done.
        let single = (0..5).map(|at| span(20 + at, Some(21 + at)));
        let now = (0..3).map(|_| span(34, Some(36)));
        let chart = chart(40, &five.chain(single).chain(now).collect::<Vec<_>>());
        assert_eq!(chart.most_waiting, 5);
        assert_eq!(chart.line, "0,96 168,96 168,0 336,0 336,77 504,77 504,39 672,39");
    }

    #[test]
    fn what_waits_now_is_what_the_books_say() {
        let mut series = Series::new(40, 4, 10);
        series.add(&RowSpan { accepted_ms: 35, settled_ms: None, answered: false });
        let chart = series.chart(["day", "ago"], 1_000_000);
        assert_eq!((chart.most_waiting, chart.most_shown.as_str()), (1_000_000, "1,000,000"));
        assert!(chart.line.ends_with("504,0 672,0"), "{}", chart.line);
    }

    #[test]
    fn without_rows_there_is_nothing_to_see_and_times_that_cannot_be_break_nothing() {
        let none = chart(0, &[]);
        assert_eq!((none.bars.len(), none.answered.as_str(), none.most_waiting), (0, "0", 0));
        let odd =
            RowSpan { accepted_ms: i64::MAX / 2, settled_ms: Some(i64::MIN / 2), answered: true };
        assert_eq!(chart(0, &[odd]).answered, "0");
        let odder = RowSpan { accepted_ms: i64::MIN, settled_ms: Some(i64::MAX), answered: true };
        assert_eq!(chart(0, &[odder]).answered, "0");
    }

    #[test]
    fn the_last_answer_is_the_newest_of_those_that_were_answered() {
        let mut activity = Activity::new(100);
        let span = |settled_ms, answered| RowSpan { accepted_ms: 1, settled_ms, answered };
        for row in [span(Some(7), true), span(None, false), span(Some(5), true)] {
            activity.add(&row);
        }
        activity.add(&span(Some(9), false));
        assert_eq!(activity.answered_ms, Some(7), "a row that was taken back was not answered");
    }
}
