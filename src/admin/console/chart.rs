//! What waited and what was answered, over a day and a week, as figures of a picture that is made
//! here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::store::RowSpan;

/// The picture's size, in its own units.
pub(super) const WIDTH: u64 = 672;
/// As [`WIDTH`].
pub(super) const HEIGHT: u64 = 96;
/// How long figures that cost a look at many rows are shown again.
const SHOWN_AGAIN_FOR: Duration = Duration::from_secs(10);

/// Something that costs a look at many rows; whoever comes while it is made waits for it.
#[derive(Debug)]
pub(super) struct Cached<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cached<T> {
    /// What was made a moment ago, else what is made now.
    pub(super) async fn get<E>(
        &self,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().await;
        if let Some((_, value)) = kept.as_ref().filter(|(at, _)| at.elapsed() < SHOWN_AGAIN_FOR) {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(made.await?);
        *kept = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }
}

/// The rows' times, and whether all of a week's were read.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) spans: Vec<RowSpan>,
    pub(super) whole: bool,
    pub(super) now_ms: i64,
}

/// The figures that the first screen needs again and again.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pub(super) activity: Cached<Activity>,
    pub(super) groups: Cached<super::inbox::Groups>,
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
    pub(super) answered: u64,
    pub(super) most_waiting: u64,
}

impl Chart {
    /// The last `buckets` times `every_ms` before `now_ms`.
    pub(super) fn new(
        [title, since]: [&'static str; 2],
        activity: &Activity,
        buckets: usize,
        every_ms: i64,
    ) -> Self {
        let begin = activity.now_ms - every_ms * i64::try_from(buckets).unwrap_or(0);
        let bucket = |at_ms: i64| -> usize {
            usize::try_from((at_ms - begin).div_euclid(every_ms)).unwrap_or(0)
        };
        let (mut answered, mut waiting) = (vec![0u64; buckets], vec![0u64; buckets]);
        for span in &activity.spans {
            let settled = span.settled_ms.map(|at| (at >= begin, bucket(at)));
            if let (true, Some((true, at))) = (span.answered, settled) {
                answered.get_mut(at).into_iter().for_each(|count| *count += 1);
            }
            // It waited at the end of each bucket from its acceptance to before its end.
            let to = settled.map_or(buckets, |(_, at)| at).min(buckets);
            let from = bucket(span.accepted_ms).min(to);
            waiting.get_mut(from..to).into_iter().flatten().for_each(|count| *count += 1);
        }
        let most_waiting = waiting.iter().copied().max().unwrap_or(0);
        Self {
            title,
            begin: since,
            bars: bars(&answered),
            line: line(&waiting),
            answered: answered.iter().sum(),
            most_waiting,
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

    #[test]
    fn a_row_waits_from_its_acceptance_to_its_answer() {
        let span = |accepted_ms, settled_ms| RowSpan { accepted_ms, settled_ms, answered: true };
        let spans = vec![
            span(-50, Some(-10)),
            span(-5, Some(25)),
            span(12, None),
            span(31, Some(33)),
            span(99, None),
        ];
        let chart = Chart::new(["day", "ago"], &Activity { spans, whole: true, now_ms: 40 }, 4, 10);
        assert_eq!((chart.answered, chart.most_waiting), (2, 2));
        assert_eq!(chart.line, "0,48 168,48 168,0 336,0 336,48 504,48 504,48 672,48");
        assert_eq!(chart.bars.iter().map(|bar| bar.x).collect::<Vec<_>>(), [336, 504]);
    }

    #[test]
    fn without_rows_there_is_nothing_to_see_and_times_that_cannot_be_break_nothing() {
        let chart = Chart::new(
            ["day", "ago"],
            &Activity { spans: Vec::new(), whole: true, now_ms: 0 },
            4,
            10,
        );
        assert_eq!((chart.bars.len(), chart.answered, chart.most_waiting), (0, 0, 0));
        let odd =
            RowSpan { accepted_ms: i64::MAX / 2, settled_ms: Some(i64::MIN / 2), answered: true };
        assert_eq!(
            Chart::new(
                ["day", "ago"],
                &Activity { spans: vec![odd], whole: true, now_ms: 0 },
                4,
                10
            )
            .answered,
            0
        );
    }
}
