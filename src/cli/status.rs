//! `status`: the books, the storage, the lanes, and what to do about each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::ages::ages;
use super::ask::Daemon;
use super::exit::{CliError, say};
use super::list::Pages;
use super::options::StatusArgs;
use super::table::{Align, Table, count, duration, paragraph};
use super::terminal::{self, Screen};
use super::trust;
use crate::message::{Language, Noun, count as in_words, fine};
use crate::store::Counts;

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);

const PATH: &str = "/api/v1/status";

/// The cursor at the top of an empty screen.
const CLEARED: &str = "\u{1b}[H\u{1b}[2J";

/// Where the text beside a label begins.
const INDENT: usize = 10;

/// What is read of `/api/v1/status`; what a newer daemon adds is left aside.
#[derive(Debug, Deserialize)]
struct DaemonStatus {
    gateway: String,
    version: String,
    uptime_s: u64,
    counts: Counts,
    oldest_pending_age_s: Option<u64>,
    clock_trusted: bool,
    storage: Storage,
    lanes: Vec<DaemonLane>,
    #[serde(default)]
    reload_faults: Vec<String>,
    #[serde(default)]
    restart_keys: Vec<String>,
    #[serde(default)]
    unread_tills: Vec<UnreadTillView>,
    #[serde(default)]
    refused: BTreeMap<String, u64>,
    #[serde(default)]
    checks: BTreeMap<String, u64>,
    #[serde(default)]
    checks_remembered: u64,
    #[serde(default)]
    log_dropped: u64,
    /// Tills to which too many codes were refused.
    #[serde(default)]
    slowed_tills: Vec<String>,
    /// What does not end by itself; a daemon of an earlier build does not say.
    needs: Option<Vec<String>>,
}

/// A till whose token cannot be read.
#[derive(Debug, Deserialize)]
struct UnreadTillView {
    till: String,
    kept: bool,
}

#[derive(Debug, Deserialize)]
struct Storage {
    ok: bool,
    detail: String,
}

#[derive(Debug, Deserialize)]
struct DaemonLane {
    name: String,
    link: String,
    /// A daemon of an earlier build does not tell it.
    seen: Option<String>,
    cause: Option<String>,
    #[serde(default)]
    explanation: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    since: Option<String>,
    pending: u64,
    #[serde(default)]
    in_flight: u64,
    #[serde(default)]
    waiting_s: Option<u64>,
    /// Redemptions that wait alone; some of them where they are many.
    #[serde(default)]
    suspects: Vec<String>,
    /// An older daemon does not say.
    #[serde(default = "yes")]
    tried: bool,
    /// None before there are enough, and of an older daemon.
    #[serde(default)]
    answers: Option<ReplyTimes>,
}

/// How long the provider takes for what tills wait for.
#[derive(Debug, Deserialize)]
struct ReplyTimes {
    p50_ms: u64,
    p95_ms: u64,
    late: u64,
    of: u64,
}

fn yes() -> bool {
    true
}

/// `redeemd status`
pub(super) async fn status(
    daemon: &Daemon,
    args: StatusArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if args.ages {
        return ages(daemon, json, out).await;
    }
    if args.check {
        let value = daemon.get(PATH).await?;
        return check(&read(&value)?, waiting(daemon).await, json, out);
    }
    let mut value = daemon.get(PATH).await?;
    loop {
        if args.watch && terminal::is_terminal() {
            out.write_all(CLEARED.as_bytes())?;
        }
        if json {
            writeln!(out, "{value}")?;
        } else {
            out.write_all(render(&value)?.as_bytes())?;
        }
        if !args.watch {
            return Ok(());
        }
        out.flush()?;
        value = next(daemon).await?;
    }
}

/// The status after a while. While nobody answers, the daemon may be starting again: that is said
/// once, and it is asked until it answers.
async fn next(daemon: &Daemon) -> Result<Value, CliError> {
    let mut is_told = false;
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        match daemon.get(PATH).await {
            Err(error) if error.is_silence() => {
                if !std::mem::replace(&mut is_told, true) {
                    say(&format!("{error}\nit is asked again until it answers"));
                }
            }
            answer => return answer,
        }
    }
}

/// How many wait for a person, by their state: those of `list --waiting`.
type WaitingByState = BTreeMap<String, u64>;

async fn waiting(daemon: &Daemon) -> Result<WaitingByState, CliError> {
    let mut waiting = WaitingByState::new();
    let pages = Pages { wanted: vec![("waiting", "true".to_owned())], ..Pages::all_of(None) };
    pages.every(daemon, |row| *waiting.entry(row.state.clone()).or_default() += 1).await?;
    Ok(waiting)
}

/// `--check`: nothing and 0 when all is well. Those that wait for a person are counted one by one;
/// where that failed, the books' parked ones are known, and it is said.
fn check(
    status: &DaemonStatus,
    waiting: Result<WaitingByState, CliError>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (waiting, unread) = match waiting {
        Ok(waiting) => (waiting, None),
        Err(CliError::Failed(why)) => {
            ([("parked".to_owned(), status.counts.parked)].into(), Some(why))
        }
        Err(error) => return Err(error),
    };
    let needs = needs(status, &waiting)?;
    if json {
        writeln!(out, "{}", serde_json::json!({ "needs": needs }))?;
    } else {
        for need in &needs {
            out.write_all(paragraph("", need, 0).as_bytes())?;
        }
    }
    match unread {
        Some(why) => Err(CliError::Failed(format!(
            "which redemptions wait for a person could not be read, there may be more: {why}"
        ))),
        None if needs.is_empty() => Ok(()),
        None => Err(CliError::SaidAlready),
    }
}

/// What does not end by itself, as the daemon says it, and the redemptions that wait for a person.
fn needs(status: &DaemonStatus, waiting: &WaitingByState) -> Result<Vec<String>, CliError> {
    let Some(needs) = status.needs.clone() else {
        let why = "the daemon is of an earlier build and does not say what needs a person: \
                   restart it";
        return Err(CliError::Failed(why.to_owned()));
    };
    Ok(needs.into_iter().chain(to_decide(waiting)).collect())
}

/// How many redemptions wait for a person, and what can be done.
fn to_decide(waiting: &WaitingByState) -> Option<String> {
    let each = |(state, number): (&String, &u64)| {
        let what = match state.as_str() {
            "declined" => "declined after the fact",
            "confirmed" => "confirmed by inference, owed or given in vain",
            "voided" => "taken back by a till after it was given",
            other => other,
        };
        (*number > 0).then(|| format!("{} {what}", count(*number)))
    };
    let all: Vec<String> = waiting.iter().rev().filter_map(each).collect();
    let decide = "decide with `retry`, `void` or `handled`; `redeemd list --waiting`";
    (!all.is_empty()).then(|| format!("{}: {decide}", all.join(", ")))
}

fn read(value: &Value) -> Result<DaemonStatus, CliError> {
    DaemonStatus::deserialize(value)
        .map_err(|error| CliError::Internal(format!("the daemon's status cannot be read: {error}")))
}

fn render(value: &Value) -> Result<String, CliError> {
    let status = read(value)?;
    let lanes = value.get("lanes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut text = trust::off(lanes);
    text.push_str(&head(&status));
    text.push('\n');
    text.push_str(&lane_table(&status.lanes));
    let tills = lanes.iter().filter_map(trust::tills_at_limit);
    let left = lanes.iter().filter_map(trust::headroom).chain(tills).chain(trust::rules(value));
    let left: String = left.map(|line| paragraph("", &line, 0)).collect();
    if !left.is_empty() {
        text.push('\n');
        text.push_str(&left);
    }
    for lane in &status.lanes {
        text.push_str(&trouble(lane));
    }
    text.push_str(&answers(&status.lanes));
    Ok(text)
}

fn head(status: &DaemonStatus) -> String {
    let up =
        format!("{}, version {}, up {}", status.gateway, status.version, duration(status.uptime_s));
    let mut text = paragraph("gateway", &up, INDENT);
    text.push_str(&paragraph("books", &books(&status.counts), INDENT));
    if let Some(age_s) = status.oldest_pending_age_s {
        text.push_str(&paragraph(
            "",
            &format!("the oldest pending one is {} old", duration(age_s)),
            INDENT,
        ));
    }
    text.push_str(&paragraph("storage", &storage(&status.storage), INDENT));
    let clock = if status.clock_trusted {
        "synchronised"
    } else {
        "not synchronised: times are kept, but not trusted; settled rows are not pruned; where \
         `hours` are set, no reward is given on trust until it is"
    };
    text.push_str(&paragraph("clock", clock, INDENT));
    if !status.slowed_tills.is_empty() {
        let words = format!(
            "not trusted for the codes that were refused to them: {}",
            status.slowed_tills.join(", ")
        );
        text.push_str(&paragraph("tills", &words, INDENT));
    }
    for UnreadTillView { till, kept } in &status.unread_tills {
        let what = if *kept { "the one before it holds" } else { "it is answered 401" };
        let words = format!("the token of {till} cannot be read: {what}");
        text.push_str(&paragraph("tills", &words, INDENT));
    }
    if let Some(refused) = refused(&status.refused) {
        text.push_str(&paragraph("refused", &refused, INDENT));
    }
    if let Some(checks) = checks(status) {
        text.push_str(&paragraph("checks", &checks, INDENT));
    }
    if status.log_dropped > 0 {
        let dropped = format!("lines that nobody took in time: {}", count(status.log_dropped));
        text.push_str(&paragraph("log", &dropped, INDENT));
    }
    if !status.restart_keys.is_empty() {
        text.push_str(&paragraph("restart", &restart(&status.restart_keys), INDENT));
    }
    if !status.reload_faults.is_empty() {
        let refused = "the settings on disk were refused, the ones before them stay:";
        text.push_str(&paragraph("reload", refused, INDENT));
        for fault in &status.reload_faults {
            text.push_str(&paragraph("", &format!("- {fault}"), INDENT));
        }
    }
    text
}

/// How many requests of tills were refused and why, the most frequent reason first.
fn refused(reasons: &BTreeMap<String, u64>) -> Option<String> {
    let mut reasons: Vec<(&str, u64)> =
        reasons.iter().map(|(reason, times)| (reason.as_str(), *times)).collect();
    reasons.retain(|(_, times)| *times > 0);
    reasons.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let all: u64 = reasons.iter().fold(0, |all, (_, times)| all.saturating_add(*times));
    let each: Vec<String> =
        reasons.iter().map(|(reason, times)| format!("{reason} {}", count(*times))).collect();
    let requests = in_words(all, Noun::Request, Language::English);
    (all > 0).then(|| format!("{requests} of tills since the start: {}", each.join(", ")))
}

/// What answered tills' checks, and how many answers are remembered.
fn checks(status: &DaemonStatus) -> Option<String> {
    let all = status.checks.values().fold(0, |all: u64, times| all.saturating_add(*times));
    if all == 0 && status.checks_remembered == 0 {
        return None;
    }
    let of = |by: &str| count(status.checks.get(by).copied().unwrap_or(0));
    let (passed, remembered, held, unknown) =
        (of("passed"), of("remembered"), of("held"), of("unknown"));
    Some(format!(
        "{} since the start: {passed} passed on, {remembered} from memory, {held} of codes held \
         here, {unknown} unknown; remembered now: {}",
        count(all),
        count(status.checks_remembered)
    ))
}

fn restart(keys: &[String]) -> String {
    format!("these settings have changed and take a restart: {}", keys.join(", "))
}

/// The balance in a line, and loudly where it does not hold.
pub(super) fn books(counts: &Counts) -> String {
    let Counts { accepted, pending, confirmed, declined, parked, voided } = *counts;
    let sign = if counts.balance() { "=" } else { "IS NOT" };
    let mut text = String::new();
    // Writing to a String cannot fail.
    write!(
        text,
        "{} accepted {sign} {} pending + {} confirmed + {} declined + {} parked + {} voided",
        count(accepted),
        count(pending),
        count(confirmed),
        count(declined),
        count(parked),
        count(voided)
    )
    .unwrap_or_default();
    text
}

fn storage(storage: &Storage) -> String {
    match (storage.ok, storage.detail.as_str()) {
        (true, "") => "ok".to_owned(),
        (true, detail) => format!("ok; {detail}"),
        (false, detail) => format!("REFUSING: {detail}"),
    }
}

fn lane_table(lanes: &[DaemonLane]) -> String {
    if lanes.is_empty() {
        return "no lane is configured\n".to_owned();
    }
    let mut table = Table::new(&[
        ("LANE", Align::Left),
        ("LINK", Align::Left),
        ("PENDING", Align::Right),
        ("ON THE WIRE", Align::Right),
        ("CAUSE", Align::Left),
        ("SINCE", Align::Left),
    ])
    .on(Screen::of_output());
    for lane in lanes {
        table.row(&[
            lane.name.clone(),
            link(lane),
            count(lane.pending),
            count(lane.in_flight),
            lane.cause.clone().unwrap_or_default(),
            lane.since.clone().unwrap_or_default(),
        ]);
    }
    table.header() + &table.take_rows()
}

/// Nobody knows of a line on which nothing was tried since the start.
fn link(lane: &DaemonLane) -> String {
    let seen = seen(lane);
    if seen == "up" && !lane.tried { "untried".to_owned() } else { seen.to_owned() }
}

/// Where the line stands as far as anybody has seen.
fn seen(lane: &DaemonLane) -> &str {
    lane.seen.as_deref().unwrap_or(&lane.link)
}

/// What is the matter with a lane, in words.
fn trouble(lane: &DaemonLane) -> String {
    let mut text = String::new();
    if seen(lane) != "up" || lane.explanation.is_some() {
        let cause = lane.cause.as_deref().unwrap_or("no cause given");
        let words = lane.explanation.as_deref().unwrap_or(cause);
        text.push_str(&paragraph("", &format!("{} is {}: {words}", lane.name, seen(lane)), 0));
        if let Some(detail) = lane.detail.as_deref().filter(|detail| !detail.is_empty()) {
            text.push_str(&paragraph("", &format!("  seen: {detail}"), 2));
        }
    }
    if let Some(seconds) = lane.waiting_s {
        let waits =
            format!("{} waits {} more, as the provider asked", lane.name, duration(seconds));
        text.push_str(&paragraph("", &waits, 0));
    }
    text.push_str(&alone(lane));
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// The redemptions that wait alone, and what can be done.
fn alone(lane: &DaemonLane) -> String {
    let DaemonLane { name, suspects, .. } = lane;
    if suspects.is_empty() {
        return String::new();
    }
    let told = format!(
        "{name}: these fail while others succeed, and are tried again at times of their own, up to \
         15 min apart: {}; `redeemd show ID` says what was seen, `redeemd flush {name}` tries them \
         at once",
        suspects.join(", ")
    );
    paragraph("", &told, 0)
}

/// How long each provider takes for its answers, beside which `reply_within` is chosen.
fn answers(lanes: &[DaemonLane]) -> String {
    let known =
        lanes.iter().filter_map(|lane| lane.answers.as_ref().map(|answers| (lane, answers)));
    let mut text = String::new();
    for (lane, ReplyTimes { p50_ms, p95_ms, late, of }) in known {
        let (p50, p95, late, of) = (millis(*p50_ms), millis(*p95_ms), count(*late), count(*of));
        let told = format!(
            "{} answers half of what tills ask within {p50}, 95 of 100 within {p95}; {late} of the \
             last {of} came later than a till waits",
            lane.name
        );
        text.push_str(&paragraph("", &told, 0));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Milliseconds as a person reads them.
fn millis(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { fine(Duration::from_millis(ms)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "gateway": "branch-042", "version": "0.1.0", "uptime_s": 90_000,
            "counts": {"accepted": 1204, "pending": 3, "confirmed": 1190, "declined": 8,
            "parked": 1, "voided": 2},
            "oldest_pending_age_s": 754, "clock_trusted": true, "storage": {"ok": true,
            "detail": ""}, "needs": [],
            "lanes": [
                {"name": "retm", "link": "down", "cause": "connect", "explanation": "the provider \
                    cannot be reached; look at the line", "detail": "timed out after 10 \
                      s", "since": "2026-11-01T00:00:00Z", "pending": 3, "in_flight": 1, "new": []},
                {"name": "other", "link": "up", "cause": null, "since": null, "pending": 0},
            ],
        })
    }

    #[test]
    fn a_person_reads_the_books_the_lanes_and_what_to_do() {
        let expected = "\
gateway   branch-042, version 0.1.0, up 1 d 1 h
books     1,204 accepted = 3 pending + 1,190 confirmed + 8 declined + 1 parked +
          2 voided
          the oldest pending one is 12 min 34 s old
storage   ok
clock     synchronised

LANE   LINK  PENDING  ON THE WIRE  CAUSE    SINCE
retm   down        3            1  connect  2026-11-01T00:00:00Z
other  up          0            0

retm is down: the provider cannot be reached; look at the line
  seen: timed out after 10 s
";
        assert_eq!(render(&sample()).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_loudly() {
        let mut value = sample();
        value["storage"] = json!({"ok": false, "detail": "the disk is full"});
        value["clock_trusted"] = json!(false);
        value["counts"]["accepted"] = json!(1205);
        value["reload_faults"] = json!(["intake.listen: not an address\u{1b}[2J"]);
        value["lanes"][1]["waiting_s"] = json!(61);
        value["lanes"][1]["tried"] = json!(false);
        value["restart_keys"] = json!(["gateway.name", "admin.socket"]);
        value["refused"] = json!({"used": 0, "limit_till": 2, "storage": 1200});
        value["log_dropped"] = json!(7);
        value["checks"] = json!({"passed": 1});
        let text = render(&value).unwrap();
        let expected = [
            "REFUSING: the disk is full",
            "not synchronised",
            "1,205 accepted IS NOT",
            "- intake.listen: not an address\\u{1b}[2J",
            "other waits 1 min 1 s more",
            "other  untried",
            "take a restart: gateway.name,\n          admin.socket",
            "refused   1,202 requests of tills since the start: storage 1,200, limit_till 2",
            "log       lines that nobody took in time: 7",
            "unknown; remembered now: 0",
        ];
        for part in expected {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_is_left_of_each_limit_is_told_and_to_which_codes_something_may_be_given() {
        let mut value = sample();
        let gauge = |left: Value| json!({ "used": 0, "most": 9, "left": left });
        value["rules"] = json!({ "the rest": { "max_exposure": gauge(json!("480.00")),
            "max_per_hour": gauge(json!(1200)), "max_outage": gauge(json!(3600)) } });
        value["lanes"][0]["headroom"] = json!({ "max_pending": gauge(json!(97)) });
        value["lanes"][0]["exposure"] = json!("60.00");
        value["lanes"][0]["lost"] = json!("0.00");
        for (may_give, to, expected) in [
            (24, "all", "24 more may be given, 97 more may be pending"),
            (24, "as_rules_allow", "at most 24 more may be given, as the rules allow, 97 more"),
            (24, "rules_alone", "24 more may be given, only where a rule of its own allows it, 97"),
            (0, "checked_alone", "only a code that a till has checked may be given now, 97 more"),
            (0, "", "nothing more may be given now, 97 more"),
        ] {
            value["lanes"][0]["may_give"] = json!(may_give);
            value["lanes"][0]["may_give_to"] = json!(to);
            let text = render(&value).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(expected), "{expected}\n{text}");
            let rule = "rule the rest: 480.00 more may be at risk, 1,200 more in this hour, an \
                outage of 1 h 0 min more";
            assert!(text.contains(rule), "{text}");
        }
    }

    #[test]
    fn amounts_have_their_thousands_apart_and_what_rules_allow_is_the_most_there_is() {
        let mut value = sample();
        value["lanes"][0] = json!({"name": "retm", "link": "down", "pending": 2,
            "exposure": "1250.00", "lost": "0.00", "may_give": 1074,
            "may_give_to": "as_rules_allow", "headroom": {"max_exposure": {"left": "24875.50"}}});
        let text = render(&value).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = "retm: 1,250.00 at risk, 0.00 lost; at most 1,074 more may be given, as the \
            rules allow, 24,875.50 more may be at risk";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn tills_at_their_own_limit_are_named_with_it_and_many_are_counted() {
        let mut value = sample();
        let at = |till: String| json!({"till": till, "limit": "max_per_hour_per_till"});
        value["lanes"][0]["tills_at_limit"] = json!([at("till-3".to_owned())]);
        let expected = "\nretm: tills at their own limit: till-3 (max_per_hour_per_till)\n";
        assert!(render(&value).unwrap().contains(expected));
        value["lanes"][0]["tills_at_limit"] = (0..23).map(|n| at(format!("t{n}"))).collect();
        let text = render(&value).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("t19 (max_per_hour_per_till), 3 more "), "{text}");
        assert!(!render(&sample()).unwrap().contains("own limit"));
    }

    #[test]
    fn one_request_is_one() {
        let mut value = sample();
        value["refused"] = json!({"limit_rule": 1});
        let text = render(&value).unwrap();
        assert!(text.contains("refused   1 request of tills since the start"), "{text}");
    }

    #[test]
    fn redemptions_that_wait_alone_are_named_although_the_lane_is_up() {
        let mut value = sample();
        value["lanes"][0] = json!({"name": "retm", "link": "up", "pending": 2,
            "suspects": ["2-abc", "3-def"]});
        let text = render(&value).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("retm: these fail while others succeed"), "{text}");
        assert!(text.contains("2-abc, 3-def; `redeemd show ID`"), "{text}");
        assert!(!render(&sample()).unwrap().contains("while others succeed"));
    }

    #[test]
    fn how_long_the_provider_takes_is_told_where_it_is_known() {
        let mut value = sample();
        assert!(!render(&value).unwrap().contains("answers half"));
        value["lanes"][1]["answers"] =
            json!({"p50_ms": 310, "p95_ms": 4260, "late": 61, "of": 1000});
        let expected = "
other answers half of what tills ask within 310 ms, 95 of 100 within 4.3 s; 61
of the last 1,000 came later than a till waits
";
        let text = render(&value).unwrap();
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_check_says_what_does_not_end_by_itself_and_nothing_when_all_is_well() {
        let mut value = sample();
        let checked = |value: &Value| {
            let mut out = Vec::new();
            let done = check(&read(value).unwrap(), Ok(WaitingByState::new()), false, &mut out);
            (done.is_ok(), String::from_utf8(out).unwrap())
        };
        assert_eq!(
            checked(&value),
            (true, String::new()),
            "where the daemon names nothing there is nothing"
        );
        value["needs"] = json!(["retm: put a valid token in place"]);
        assert_eq!(checked(&value), (false, "retm: put a valid token in place\n".to_owned()));
        value["needs"] = Value::Null;
        assert!(!checked(&value).0, "silence of an earlier build is no good news");
        let waiting = [("confirmed", 1), ("declined", 1204), ("parked", 2)];
        let waiting = waiting.map(|(state, number)| (state.to_owned(), number)).into();
        let needs = needs(&read(&sample()).unwrap(), &waiting).unwrap();
        let all = "2 parked, 1,204 declined after the fact, 1 confirmed by inference, owed or \
            given in vain: ";
        assert!(needs.len() == 1 && needs[0].starts_with(all), "{needs:?}");
    }

    #[test]
    fn a_check_that_cannot_read_who_waits_says_so_beside_what_it_knows() {
        let (mut out, failed) =
            (Vec::new(), CliError::Failed("the store takes nothing now".into()));
        let mut value = sample();
        value["counts"]["parked"] = json!(5);
        let checked = check(&read(&value).unwrap(), Err(failed), false, &mut out);
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("5 parked: decide"), "{told}");
        let why = checked.unwrap_err();
        assert_eq!(why.exit(), super::super::exit::Exit::Failed);
        assert!(
            why.to_string().ends_with("there may be more: the store takes nothing now"),
            "{why}"
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_a_fault_and_no_empty_status() {
        assert!(matches!(render(&json!({"gateway": "x"})), Err(CliError::Internal(_))));
    }
}
