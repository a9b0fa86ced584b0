//! `flush --wait`: looks on until nothing is pending, or until nothing moves any more.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::ask::Daemon;
use super::exit::CliError;
use super::table::{count, duration};
use super::terminal;
use crate::clock::whole_ms;

/// How often the daemon is asked.
const EVERY: Duration = Duration::from_millis(500);
/// When nothing was answered for so long, there is nothing to wait for.
const STALLED: Duration = Duration::from_secs(60);
/// The bar, in columns.
const BAR_COLUMNS: u64 = 30;

/// How far it is.
#[derive(Clone, Copy, Debug)]
struct DrainProgress {
    /// The most that was pending.
    most: u64,
    pending: u64,
    since: Duration,
}

/// Waits until nothing is pending in `lane`, or in any.
pub(super) async fn wait(
    daemon: &Daemon,
    lane: Option<&str>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    out.flush()?;
    let (began, has_bar) = (Instant::now(), terminal::is_terminal() && !json);
    let (mut least, mut moved, mut most) = (u64::MAX, began, 0);
    loop {
        let status = daemon.get("/api/v1/status").await;
        // A daemon that starts again goes on with what is pending.
        if moved.elapsed() < STALLED && status.as_ref().is_err_and(CliError::is_silence) {
            tokio::time::sleep(EVERY).await;
            continue;
        }
        let (pending, trouble) = look(&status?, lane)?;
        most = most.max(pending);
        if has_bar {
            write!(
                out,
                "\r\u{1b}[K{}",
                DrainProgress { most, pending, since: began.elapsed() }.line()
            )?;
            out.flush()?;
        }
        if pending == 0 {
            return end(most, began.elapsed(), json, out);
        }
        if pending < least {
            (least, moved) = (pending, Instant::now());
        }
        if moved.elapsed() >= STALLED {
            let trouble = trouble.map(|text| format!("; {text}")).unwrap_or_default();
            let text = format!(
                "{} pending, and none was answered for {} s",
                count(pending),
                STALLED.as_secs()
            );
            return Err(CliError::Failed(text + &trouble));
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn end(most: u64, since: Duration, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let seconds = since.as_secs();
    if json {
        return Ok(writeln!(out, "{}", json!({ "answered": most, "seconds": seconds }))?);
    }
    let begin = if terminal::is_terminal() { "\r\u{1b}[K" } else { "" };
    Ok(writeln!(out, "{begin}nothing is pending: {} in {}", count(most), duration(seconds))?)
}

/// What is pending in `lane` (or in all), and what is the matter there.
fn look(status: &Value, lane: Option<&str>) -> Result<(u64, Option<String>), CliError> {
    let lanes = status.get("lanes").and_then(Value::as_array);
    let lanes =
        lanes.ok_or_else(|| CliError::Internal("the daemon's status cannot be read".to_owned()))?;
    let word = |its: &Value, key| its.get(key).and_then(Value::as_str).map(str::to_owned);
    let ours = lanes.iter().filter(|its| lane.is_none() || word(its, "name").as_deref() == lane);
    let (mut pending, mut trouble) = (0, None);
    for its in ours {
        pending += its.get("pending").and_then(Value::as_u64).unwrap_or(0);
        let words = word(its, "explanation").zip(word(its, "name"));
        trouble = trouble.or(words.map(|(explanation, name)| format!("{name}: {explanation}")));
    }
    Ok((pending, trouble))
}

impl DrainProgress {
    /// A bar, the numbers, the rate and what is left at that rate.
    fn line(self) -> String {
        let Self { most, pending, since } = self;
        let done = most.saturating_sub(pending);
        let filled = (done * BAR_COLUMNS).checked_div(most).unwrap_or(BAR_COLUMNS);
        let bar: String = (0..BAR_COLUMNS).map(|at| if at < filled { '#' } else { '.' }).collect();
        let rate = (done * 1000).checked_div(whole_ms(since)).unwrap_or(0);
        let left = match pending.checked_div(rate) {
            Some(seconds) => format!(", {rate}/s, {} left", duration(seconds)),
            None => String::new(),
        };
        format!("[{bar}] {} of {}{left}", count(done), count(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_tells_how_much_is_done_how_fast_and_how_long_it_takes() {
        let progress = |most, pending, seconds| {
            DrainProgress { most, pending, since: Duration::from_secs(seconds) }.line()
        };
        assert_eq!(
            progress(1200, 600, 10),
            "[###############...............] 600 of 1,200, 60/s, 10 s left"
        );
        let page = include_str!("../../packaging/redeemd.8");
        assert!(
            page.contains(&format!("\n{}\n", progress(1200, 600, 10))),
            "the manual page shows it"
        );
        assert_eq!(progress(5, 5, 0), "[..............................] 0 of 5");
        assert_eq!(progress(0, 0, 1), "[##############################] 0 of 0");
    }

    #[test]
    fn one_lane_or_all_are_counted_and_the_first_trouble_is_said() {
        let status = json!({"lanes": [
            {"name": "a", "pending": 3, "explanation": null},
            {"name": "b", "pending": 4, "explanation": "the line is down"},
        ]});
        assert_eq!(look(&status, None).unwrap(), (7, Some("b: the line is down".to_owned())));
        assert_eq!(look(&status, Some("a")).unwrap(), (3, None));
        assert!(look(&json!({}), None).is_err());
    }
}
