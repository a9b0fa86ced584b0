//! `status --ages`: how old what is pending is, by lane.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::ask::Daemon;
use super::exit::CliError;
use super::list::Pages;
use super::row::RowView;
use super::table::{Align, Table, count};
use crate::clock::{Clock, may_be_set, signed_ms};

/// The ages below which a column counts, in seconds; the last counts the rest.
const BELOW_S: [u64; 8] = [60, 300, 1200, 3600, 3 * 3600, 12 * 3600, 24 * 3600, 72 * 3600];
const HEADS: [&str; COLUMNS] =
    ["<1 MIN", "<5 MIN", "<20 MIN", "<1 H", "<3 H", "<12 H", "<1 D", "<3 D", "OLDER"];
const COLUMNS: usize = BELOW_S.len() + 1;

/// A lane's pending redemptions by their age.
type Ages = [u64; COLUMNS];

/// Reads all that is pending, page after page.
pub(super) async fn ages(daemon: &Daemon, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let now_ms = Clock::system().stamp().unix_ms;
    let mut lanes: BTreeMap<String, Ages> = BTreeMap::new();
    let pages = Pages { state: Some("pending"), ..Pages::all_of(None) };
    let mut unknown: BTreeMap<String, u64> = BTreeMap::new();
    let count = |row: &RowView| {
        let ages = lanes.entry(row.lane.clone()).or_default();
        if !row.clock_trusted && is_unknown(&row.accepted_at, now_ms) {
            *unknown.entry(row.lane.clone()).or_default() += 1;
            return;
        }
        let column = column(age_s(&row.accepted_at, now_ms));
        ages.iter_mut().skip(column).take(1).for_each(|number| *number += 1);
    };
    pages.every(daemon, count).await?;
    if json {
        return print_json(&lanes, &unknown, out);
    }
    Ok(out.write_all((render(&lanes) + &told_of(&unknown)).as_bytes())?)
}

/// Seconds since; none where the time lies ahead or cannot be read.
fn age_s(accepted_at: &str, now_ms: i64) -> u64 {
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let accepted = humantime::parse_rfc3339(accepted_at).unwrap_or(now);
    now.duration_since(accepted).unwrap_or_default().as_secs()
}

/// It was accepted before somebody set the clock: how long ago nobody knows.
fn is_unknown(accepted_at: &str, now_ms: i64) -> bool {
    let accepted = humantime::parse_rfc3339(accepted_at).ok();
    let since = accepted.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    may_be_set(now_ms) && since.is_some_and(|since| !may_be_set(signed_ms(since)))
}

fn told_of(unknown: &BTreeMap<String, u64>) -> String {
    let told = |(lane, number): (&String, &u64)| {
        format!(
            "{lane}: {} more, accepted before the clock was set: of unknown age\n",
            count(*number)
        )
    };
    unknown.iter().map(told).collect()
}

fn column(age_s: u64) -> usize {
    BELOW_S.iter().take_while(|below_s| age_s >= **below_s).count()
}

fn render(lanes: &BTreeMap<String, Ages>) -> String {
    if lanes.is_empty() {
        return "nothing is pending\n".to_owned();
    }
    let numbers = ["TOTAL"].into_iter().chain(HEADS).map(|head| (head, Align::Right));
    let mut table =
        Table::new(&[("LANE", Align::Left)].into_iter().chain(numbers).collect::<Vec<_>>());
    for (lane, ages) in lanes {
        let total: u64 = ages.iter().sum();
        let cells = [total].into_iter().chain(*ages).map(count);
        table.row(&[lane.clone()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    table.header() + &table.take_rows()
}

fn print_json(
    lanes: &BTreeMap<String, Ages>,
    unknown: &BTreeMap<String, u64>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    for (lane, ages) in lanes {
        let below = |(below_s, pending): (Option<u64>, &u64)| json!({ "below_s": below_s, "pending": pending });
        let bounds = BELOW_S.into_iter().map(Some).chain([None]);
        let ages: Vec<Value> = bounds.zip(ages).map(below).collect();
        let unknown = unknown.get(lane).copied().unwrap_or_default();
        writeln!(out, "{}", json!({ "lane": lane, "ages": ages, "unknown": unknown }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_age_is_counted_in_its_own_column() {
        let columns = [0, 59, 60, 3599, 3600, 259_199, 259_200, u64::MAX].map(column);
        assert_eq!(columns, [0, 0, 1, 3, 4, 7, 8, 8]);
        assert_eq!(age_s("2026-11-01T00:00:00Z", 1_793_491_260_000), 60);
        assert_eq!(age_s("2026-11-01T00:00:00Z", 0), 0, "a time that lies ahead");
    }

    #[test]
    fn the_age_of_what_was_accepted_before_the_clock_was_set_is_not_known() {
        let (set_ms, unset_ms) = (4_000_000_000_000, 400_000);
        for (accepted_at, now_ms, unknown) in [
            ("1970-01-01T00:05:00Z", set_ms, true),
            ("1970-01-01T00:05:00Z", unset_ms, false),
            ("2095-01-01T00:00:00Z", set_ms, false),
        ] {
            assert_eq!(is_unknown(accepted_at, now_ms), unknown, "{accepted_at} at {now_ms}");
        }
        let told = "retm: 1,200 more, accepted before the clock was set: of unknown age\n";
        assert_eq!(told_of(&BTreeMap::from([("retm".to_owned(), 1200)])), told);
    }

    #[test]
    fn a_lane_stands_in_a_line_with_its_total() {
        let lanes = BTreeMap::from([("retm".to_owned(), [1, 0, 2, 0, 0, 0, 0, 0, 1200])]);
        let expected = "\
LANE  TOTAL  <1 MIN  <5 MIN  <20 MIN  <1 H  <3 H  <12 H  <1 D  <3 D  OLDER
retm  1,203       1       0        2     0     0      0     0     0  1,200
";
        assert_eq!(render(&lanes), expected);
        assert_eq!(render(&BTreeMap::new()), "nothing is pending\n");
    }
}
