//! `trust`: whether anything is given without the provider's answer.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::act::{LaneOrder, give, say_done};
use super::ask::Daemon;
use super::exit::CliError;
use super::options::{TrustArgs, TrustOrder};
use super::table::{count, duration, paragraph, shown_money};
use crate::clock::{Clock, Zone};

/// Seconds of a day.
const DAY_S: u64 = 24 * 3600;
/// How many tills are named in a line; the rest is counted.
const TILLS_NAMED_MAX: usize = 20;

/// `redeemd trust`
pub(super) async fn trust(
    daemon: &Daemon,
    args: TrustArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (lane, arguments, done) = match args.order {
        TrustOrder::Off { lane, note, for_ } => {
            let arguments =
                json!({ "on": false, "note": note, "for_s": for_.map(|for_| for_.as_secs()) });
            (lane, arguments, "nothing is given on trust")
        }
        TrustOrder::On { lane } => {
            (lane, json!({ "on": true }), "rewards are given on trust again")
        }
    };
    let order = LaneOrder { word: "trust", done, arguments };
    let told = give(daemon, &order, lane.as_deref()).await?;
    say_done(&told, &order, &longer(&told), json, out)
}

/// The lanes in which trust was off for longer already, each with what is said of it.
fn longer(told: &Value) -> Vec<(String, String)> {
    let lanes = told.get("off_for_longer").and_then(Value::as_array).into_iter().flatten();
    let said = "trust was off there for longer already and stays so; `redeemd status` says why";
    lanes.filter_map(Value::as_str).map(|lane| (lane.to_owned(), said.to_owned())).collect()
}

/// In which lanes trust is off, and why: said before everything else.
pub(super) fn off(lanes: &[Value]) -> String {
    let said = |lane: &Value| {
        let (off, name) = (lane.get("trust_off")?.as_object()?, text(lane, "name"));
        let word = |key: &str| off.get(key).and_then(Value::as_str).unwrap_or_default();
        let left = off.get("left_s").and_then(Value::as_u64).map(duration);
        let left = left
            .map_or_else(|| "until it is on again".to_owned(), |left| format!("for {left} more"));
        let (by, since, note) = (word("by"), word("since"), word("note"));
        Some(format!("TRUST IS OFF in {name} {left}, by {by} since {since}: {note}"))
    };
    let all: String = lanes.iter().filter_map(said).map(|line| paragraph("", &line, 0)).collect();
    if all.is_empty() { all } else { all + "\n" }
}

/// What is left of a lane's limits while it gives on trust, or once something is at risk.
pub(super) fn headroom(lane: &Value) -> Option<String> {
    let gauges = lane.get("headroom")?.as_object()?;
    let (exposure, lost) = (text(lane, "exposure"), text(lane, "lost"));
    let seconds = |key: &str| lane.get(key).and_then(Value::as_u64);
    let (gives, ends) = (seconds("may_give"), seconds("trust_left_s"));
    if gives.is_none() && exposure == "0.00" {
        return None;
    }
    let gives = gives.map(|number| may_give(number, text(lane, "may_give_to")));
    let parts = gives.into_iter().chain(left(gauges)).chain(ends.map(until));
    let parts: Vec<String> = parts.collect();
    let (name, exposure, lost) = (text(lane, "name"), shown_money(exposure), shown_money(lost));
    Some(format!("{name}: {exposure} at risk, {lost} lost; {}", parts.join(", ")))
}

/// The tills that are at a limit of their own, and at which.
pub(super) fn tills_at_limit(lane: &Value) -> Option<String> {
    let tills = lane.get("tills_at_limit")?.as_array().filter(|tills| !tills.is_empty())?;
    let named = |till: &Value| format!("{} ({})", text(till, "till"), text(till, "limit"));
    let mut named: Vec<String> = tills.iter().take(TILLS_NAMED_MAX).map(named).collect();
    let more = tills.len().saturating_sub(TILLS_NAMED_MAX);
    named.extend((more > 0).then(|| format!("{} more", count(more as u64))));
    Some(format!("{}: tills at their own limit: {}", text(lane, "name"), named.join(", ")))
}

/// How many more, and to which codes.
fn may_give(number: u64, to: &str) -> String {
    let more = count(number);
    match (to, number) {
        ("checked_alone", _) => "only a code that a till has checked may be given now".to_owned(),
        (_, 0) => "nothing more may be given now".to_owned(),
        ("as_rules_allow", _) => format!("at most {more} more may be given, as the rules allow"),
        ("rules_alone", _) => {
            format!("at most {more} more may be given, only where a rule of its own allows it")
        }
        _ => format!("{more} more may be given"),
    }
}

fn left(gauges: &Map<String, Value>) -> impl Iterator<Item = String> + '_ {
    let words = [
        ("max_pending", "more may be pending"),
        ("max_exposure", "more may be at risk"),
        ("max_per_hour", "more in this hour"),
        ("max_per_day", "more in this day"),
    ];
    words.into_iter().filter_map(|(limit, words)| {
        let left = gauges.get(limit)?.get("left")?;
        let left = left.as_str().map_or_else(|| count(left.as_u64().unwrap_or(0)), shown_money);
        Some(format!("{left} {words}"))
    })
}

/// What is left of each rule's own limits.
pub(super) fn rules(status: &Value) -> Vec<String> {
    let rules = status.get("rules").and_then(Value::as_object).into_iter().flatten();
    let line = |(name, gauges): (&String, &Value)| {
        let gauges = gauges.as_object()?;
        let outage = gauges.get("max_outage").and_then(|gauge| gauge.get("left")?.as_u64());
        let outage = outage.map(|left_s| format!("an outage of {} more", duration(left_s)));
        let parts: Vec<String> = left(gauges).chain(outage).collect();
        Some(format!("rule {name}: {}", parts.join(", ")))
    };
    rules.filter_map(line).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// When trust ends: a time of this machine's clock, or how far that is away.
fn until(left_s: u64) -> String {
    if left_s >= DAY_S {
        return format!("for {} more", duration(left_s));
    }
    let span = i64::try_from(left_s).unwrap_or(0).saturating_mul(1000);
    let minute = Zone::local().minute_of_day(Clock::system().stamp().unix_ms.saturating_add(span));
    format!("until {:02}:{:02}", minute / 60, minute % 60)
}
