//! `report`: what became of the rewards that were given before the provider had answered.

mod csv;
mod exception;
mod fate;

use std::collections::BTreeMap;
use std::io::Write;

use serde::Deserialize;
use serde_json::{Value, json};

use self::exception::{COLUMNS, COLUMNS_IF_ANY, Exception, ExceptionReason};
use self::fate::Fate;
use super::args::{ReportArgs, is_day};
use super::ask::{Daemon, encoded};
use super::exit::{CliError, say};
use super::list::Pages;
use super::row::RowView;
use super::table::{Align, Table, count, paragraph};
use super::terminal::Screen;
use crate::message::money;

/// How many exceptions are listed; the rest is counted.
const EXCEPTIONS_MAX: usize = 10_000;

/// How many days and lanes, lanes and tills, lanes and prefixes are told apart; what comes later is
/// added to a line of its own. Tills name the codes, and could name any.
const LINES_MAX: usize = 5_000;

/// `redeemd report`
pub(super) async fn report(
    daemon: &Daemon,
    args: &ReportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if args.from.as_ref().zip(args.to.as_ref()).is_some_and(|(from, to)| from > to) {
        return Err(CliError::Usage("--from lies after --to".to_owned()));
    }
    let mut report = Report::default();
    report.read_figures(daemon, args).await?;
    Pages::all_of(args.lane.as_deref()).every(daemon, |row| report.add(row, args)).await?;
    let status = daemon.get("/api/v1/status").await?;
    if json {
        report.print_json(out)?;
    } else if args.csv {
        out.write_all(csv::csv(&report).as_bytes())?;
    } else {
        out.write_all(report.render(Screen::of_output()).as_bytes())?;
    }
    out.flush()?;
    balanced(&report, status.get("balanced").and_then(Value::as_bool))
}

/// The figures of a till on a day.
#[derive(Debug, Deserialize)]
struct TillDayRow {
    day: String,
    lane: String,
    till: String,
    #[serde(flatten)]
    fate: Fate,
}

/// Where the figures of these days are.
fn figures_path(args: &ReportArgs, from: Option<&str>) -> String {
    let parts = [("from", from), ("to", args.to.as_deref()), ("lane", args.lane.as_deref())];
    let given =
        parts.into_iter().filter_map(|(name, text)| Some(format!("{name}={}", encoded(text?))));
    format!("/api/v1/figures?{}", given.collect::<Vec<_>>().join("&"))
}

/// How many requests were refused, by reason; those that are none are left out.
fn refusals(page: &Value) -> Vec<(String, u64)> {
    let refused = page.get("refused").and_then(Value::as_object);
    let counted = refused
        .into_iter()
        .flatten()
        .map(|(reason, number)| (reason.clone(), number.as_u64().unwrap_or(0)));
    counted.filter(|(_, number)| *number > 0).collect()
}

/// An error where something is counted nowhere, here or in the gateway's books.
fn balanced(report: &Report, books: Option<bool>) -> Result<(), CliError> {
    let total = report.total();
    if !total.is_balanced() {
        let all = count(total.accepted);
        say(&format!(
            "{all} were accepted on trust, and not all of them are in a state that this program \
             knows"
        ));
    }
    if books == Some(false) {
        say("the gateway's books do not balance: `redeemd status` shows where");
    }
    if total.is_balanced() && books != Some(false) { Ok(()) } else { Err(CliError::SaidAlready) }
}

/// Whether the till was told "accepted" without the provider's word: the line was down or silent,
/// or its answer came too late for the till. A daemon that keeps no mark of it leaves that to the
/// others.
fn on_trust(row: &RowView) -> bool {
    row.trusted.unwrap_or(!row.refused_at_till && !row.answered_at_till)
}

/// Whether an exception waits for a person. A daemon that does not say it waits until somebody has
/// handled it.
fn waits(row: &RowView) -> bool {
    row.waiting.unwrap_or(!row.handled)
}

/// A day and a lane.
type DayLane = (String, String);

/// A lane and a till.
type LaneTill = (String, String);

/// A lane and the beginning of a code.
type Prefix = (String, String);

/// A lane and a branch.
type Branch = (String, String);

#[derive(Debug, Default)]
struct Report {
    lines: BTreeMap<DayLane, Fate>,
    tills: BTreeMap<LaneTill, Fate>,
    /// Of the redemptions that are still kept.
    prefixes: BTreeMap<Prefix, Fate>,
    /// Likewise.
    branches: BTreeMap<Branch, Fate>,
    /// How many of them were given since an operator's hold said so, by lane.
    on_hold: BTreeMap<String, u64>,
    /// Requests that were refused, by reason; none in a report of one lane.
    refused: Vec<(String, u64)>,
    exceptions: Vec<Exception>,
    exceptions_unlisted: u64,
}

impl Report {
    /// What the gateway has summed up, also of redemptions that are gone.
    async fn read_figures(&mut self, daemon: &Daemon, args: &ReportArgs) -> Result<(), CliError> {
        let mut page = daemon.get(&figures_path(args, args.from.as_deref())).await?;
        // They are counted for the store, not by lane.
        if args.lane.is_none() {
            self.refused = refusals(&page);
        }
        loop {
            self.add_figures(&page)?;
            let Some(next) = page.get("next").and_then(Value::as_str) else { return Ok(()) };
            page = daemon.get(&figures_path(args, Some(next))).await?;
        }
    }

    fn add_figures(&mut self, page: &Value) -> Result<(), CliError> {
        let unread = |error: String| {
            CliError::Internal(format!("the daemon's figures cannot be read: {error}"))
        };
        let lines = page
            .get("figures")
            .and_then(Value::as_array)
            .ok_or_else(|| unread("there are none".to_owned()))?;
        for line in lines {
            let line = TillDayRow::deserialize(line).map_err(|error| unread(error.to_string()))?;
            self.count(&line.day, (&line.lane, &line.till), &line.fate);
        }
        Ok(())
    }

    fn count(&mut self, day: &str, (lane, till): (&str, &str), figures: &Fate) {
        if !figures.is_empty() {
            fate(&mut self.lines, [day, lane], ["other days", "all"]).join(figures);
        }
        fate(&mut self.tills, [lane, till], [lane, "other tills"]).join(figures);
    }

    fn add(&mut self, row: &RowView, args: &ReportArgs) {
        let day = day(row);
        let early = args.from.as_ref().is_some_and(|from| day < *from);
        let late = args.to.as_ref().is_some_and(|to| day > *to);
        if early || late {
            return;
        }
        if row.on_hold {
            *self.on_hold.entry(row.lane.clone()).or_default() += 1;
        }
        self.add_kept(&day, row);
        for reason in ExceptionReason::of(row) {
            if self.exceptions.len() < EXCEPTIONS_MAX {
                self.exceptions.push(Exception { reason, day: day.clone(), row: row.clone() });
            } else {
                self.exceptions_unlisted += 1;
            }
        }
    }

    /// What the gateway's sums do not say of a redemption that is kept.
    fn add_kept(&mut self, day: &str, row: &RowView) {
        let lane = row.lane.as_str();
        if on_trust(row) {
            fate(&mut self.lines, [day, lane], ["other days", "all"]).add_kept(row);
            fate(&mut self.tills, [lane, &row.till], [lane, "other tills"]).add_kept(row);
        }
        let mut counted = Fate::default();
        counted.add(row);
        counted.add_kept(row);
        if counted.is_empty() {
            return;
        }
        fate(&mut self.prefixes, [lane, &row.code_prefix], [lane, "others"]).join(&counted);
        fate(&mut self.branches, [lane, &row.branch_id], [lane, "others"]).join(&counted);
    }

    /// The days and lanes on which something was given.
    fn given(&self) -> Vec<(&DayLane, &Fate)> {
        self.lines.iter().filter(|(_, fate)| fate.accepted > 0).collect()
    }

    fn total(&self) -> Fate {
        let mut total = Fate::default();
        self.tills.values().for_each(|fate| total.join(fate));
        total
    }

    fn lanes(&self) -> BTreeMap<&str, Fate> {
        let mut lanes: BTreeMap<&str, Fate> = BTreeMap::new();
        for ((lane, _), fate) in &self.tills {
            lanes.entry(lane).or_default().join(fate);
        }
        lanes
    }

    fn render(&self, screen: Screen) -> String {
        let mut text =
            "Redemptions accepted before the provider had answered: the line was down or it was \
             silent\n\n"
                .to_owned();
        if self.given().is_empty() {
            text.push_str("none\n");
        } else {
            text.push_str(&self.day_table(screen));
        }
        for (lane, given) in &self.on_hold {
            let said = format!(
                "{} of them on lane {lane} since an operator held it and let tills be trusted",
                count(*given)
            );
            text.extend(["\n", &paragraph("", &said, 0), "\n"]);
        }
        for reason in ExceptionReason::ALL {
            text.push_str(&self.exception_table(reason, screen));
        }
        if self.exceptions_unlisted > 0 {
            let more = format!(
                "\nand {} more exceptions: narrow the days with --from and --to\n",
                count(self.exceptions_unlisted)
            );
            text.push_str(&more);
        }
        text.push_str(self.nothing_waits());
        text + &self.till_table(screen)
            + &self.branch_table(screen)
            + &self.prefix_table(screen)
            + &self.refused_table(screen)
    }

    /// The sentence of a report that leaves nothing to do.
    fn nothing_waits(&self) -> &'static str {
        let all = |is_so: fn(&RowView) -> bool| self.exceptions.iter().all(|one| is_so(&one.row));
        if self.exceptions_unlisted > 0 || !all(|row| !waits(row)) {
            ""
        } else if self.exceptions.is_empty() {
            "\nNo exceptions: nothing was declined afterwards, nothing waits for a person.\n"
        } else if all(|row| row.handled) {
            "\nNothing waits for a person: somebody has handled each.\n"
        } else {
            "\nNothing waits for a person: each was handled, or sent again.\n"
        }
    }

    /// How often the provider declined codes that begin alike: where some do, not all of them are
    /// known.
    fn prefix_table(&self, screen: Screen) -> String {
        let worth_it =
            self.prefixes.iter().filter(|((_, prefix), fate)| !prefix.is_empty() && fate.lost > 0);
        let rows = worth_it.map(|((lane, prefix), fate)| (lane, format!("{prefix}…"), fate));
        declines(
            ("CODE BEGINS", screen),
            "By how the code begins, where any was declined after the fact",
            rows,
        )
    }

    /// Where one gateway serves several branches.
    fn branch_table(&self, screen: Screen) -> String {
        let given = self.branches.iter().filter(|(_, fate)| fate.accepted > 0);
        let mut worth_it: Vec<_> = given.collect();
        if worth_it.len() < 2 {
            worth_it.clear();
        }
        let rows = worth_it.into_iter().map(|((lane, branch), fate)| (lane, branch.clone(), fate));
        declines(("BRANCH", screen), "By branch, of the redemptions that are still kept", rows)
    }

    fn refused_table(&self, screen: Screen) -> String {
        if self.refused.is_empty() {
            return String::new();
        }
        let columns = [("REASON", Align::Left), ("REFUSED", Align::Right)];
        let mut table = Table::new(&columns).on(screen);
        for (reason, number) in &self.refused {
            table.row(&[reason.clone(), count(*number)]);
        }
        let title = "Requests of tills that were refused";
        format!("\n{title}\n\n{}{}", table.header(), table.take_rows())
    }

    /// How often the provider declined what a lane and its tills had given.
    fn till_table(&self, screen: Screen) -> String {
        let mut table = Table::new(&[
            ("LANE", Align::Left),
            ("TILL", Align::Left),
            ("ON TRUST", Align::Right),
            ("DECLINED", Align::Right),
            ("RATE", Align::Right),
            ("INFERRED", Align::Right),
            ("OWED", Align::Right),
            ("PAID", Align::Right),
            ("TAKEN BACK", Align::Right),
            ("VALUE AT RISK", Align::Right),
            ("VALUE LOST", Align::Right),
        ])
        .on(screen);
        let mut row = |lane: &str, till: &str, fate: &Fate| {
            let Fate { accepted, lost, inferred, owed, paid, taken_back, .. } = *fate;
            let mut cells = vec![lane.to_owned(), till.to_owned()];
            cells.extend([count(accepted), count(lost), fate.declined_rate()]);
            cells.extend([inferred, owed, paid, taken_back].map(count));
            cells.extend([fate.value_at_risk, fate.value_lost].map(money));
            table.row(&cells);
        };
        for (lane, of_lane) in &self.lanes() {
            row(lane, "all", of_lane);
            let tills =
                self.tills.iter().filter(|((its, _), fate)| its == lane && !fate.is_empty());
            tills.for_each(|((_, till), fate)| row(lane, till, fate));
        }
        if self.total().is_empty() {
            return String::new();
        }
        let title = "Declined after the fact, of what the provider has decided; owed and paid; \
            taken back by the till after it was given; what is at risk and what was lost";
        format!("\n{title}\n\n{}{}", table.header(), table.take_rows())
    }

    fn day_table(&self, screen: Screen) -> String {
        let mut table = Table::new(&[
            ("DAY", Align::Left),
            ("LANE", Align::Left),
            ("ACCEPTED", Align::Right),
            ("LATE", Align::Right),
            ("CONFIRMED", Align::Right),
            ("DECLINED", Align::Right),
            ("PARKED", Align::Right),
            ("PENDING", Align::Right),
            ("VOIDED", Align::Right),
        ])
        .on(screen);
        let mut row = |day: &str, lane: &str, fate: &Fate| {
            let words = [day, lane].map(str::to_owned).into_iter();
            table.row(&words.chain(fate.numbers().map(count)).collect::<Vec<_>>());
        };
        let given = self.given();
        for ((day, lane), fate) in &given {
            row(day, lane, fate);
        }
        if given.len() > 1 {
            row("total", "", &self.total());
        }
        table.header() + &table.take_rows()
    }

    fn exception_table(&self, reason: ExceptionReason, screen: Screen) -> String {
        let listed = self.exceptions.iter().filter(|exception| exception.reason == reason);
        let listed: Vec<&Exception> = listed.collect();
        if listed.is_empty() {
            return String::new();
        }
        let columns: Vec<_> = COLUMNS
            .into_iter()
            .filter(|(head, cell)| {
                !COLUMNS_IF_ANY.contains(head) || listed.iter().any(|one| !cell(one).is_empty())
            })
            .collect();
        let heads: Vec<_> = columns.iter().map(|(head, _)| (*head, Align::Left)).collect();
        let mut table = Table::new(&heads).on(screen);
        for exception in &listed {
            table.row(&columns.iter().map(|(_, cell)| cell(exception)).collect::<Vec<_>>());
        }
        let number = count(listed.len() as u64);
        let title = paragraph("", &format!("{number} {}", reason.meaning()), 0);
        format!("\n{title}\n{}{}", table.header(), table.take_rows())
    }

    fn print_json(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let kinds =
            ["day", "exception", "lane", "on_hold", "till", "prefix", "branch", "refused", "total"];
        for object in kinds.into_iter().flat_map(|kind| self.objects(kind)) {
            writeln!(out, "{object}")?;
        }
        Ok(())
    }

    /// The lines of this kind, for machines.
    fn objects(&self, kind: &str) -> Vec<Value> {
        let by_two = |[first, second]: [&str; 2], fates: &BTreeMap<(String, String), Fate>| {
            let object = |((one, two), fate): (&(String, String), &Fate)| {
                fate.members(json!({ "kind": kind, first: one, second: two }))
            };
            fates.iter().map(object).collect()
        };
        let by_one =
            |(lane, fate): (&&str, &Fate)| fate.members(json!({ "kind": kind, "lane": lane }));
        let on_hold = |(lane, given)| json!({ "kind": kind, "lane": lane, "accepted": given });
        let refused = |(reason, number): &(String, u64)| {
            let number = *number;
            json!({ "kind": kind, "reason": reason, "refused": number })
        };
        match kind {
            "day" => by_two(["day", "lane"], &self.lines),
            "exception" => self.exceptions.iter().map(Exception::members).collect(),
            "lane" => self.lanes().iter().map(by_one).collect(),
            "on_hold" => self.on_hold.iter().map(on_hold).collect(),
            "till" => by_two(["lane", "till"], &self.tills),
            "prefix" => by_two(["lane", "prefix"], &self.prefixes),
            "branch" => by_two(["lane", "branch"], &self.branches),
            "refused" => self.refused.iter().map(refused).collect(),
            _ => {
                let unlisted = self.exceptions_unlisted;
                vec![self.total().members(json!({ "kind": kind, "exceptions_unlisted": unlisted }))]
            }
        }
    }
}

impl Exception {
    fn members(&self) -> Value {
        let Self { reason, day, row } = self;
        json!({
            "kind": "exception", "reason": reason.as_str(), "day": day, "date": row.date,
            "id": row.id, "lane": row.lane,
            "till": row.till, "business_refrence": row.business_refrence,
            "reward_code": row.reward_code,
            "value": row.value, "value_assumed": row.value_assumed, "rule": row.rule,
            "state": row.state, "provider_said": row.provider_said, "note": row.note,
            "handled": row.handled, "handled_note": row.handled_note,
        })
    }
}

/// How often the provider declined what was given, by whatever the second column says; nothing
/// without rows.
fn declines<'a>(
    (head, screen): (&'static str, Screen),
    title: &str,
    rows: impl Iterator<Item = (&'a String, String, &'a Fate)>,
) -> String {
    let mut table = Table::new(&[
        ("LANE", Align::Left),
        (head, Align::Left),
        ("ON TRUST", Align::Right),
        ("DECLINED", Align::Right),
        ("RATE", Align::Right),
    ])
    .on(screen);
    let mut is_empty = true;
    for (lane, what, fate) in rows {
        table.row(&[
            lane.clone(),
            what,
            count(fate.accepted),
            count(fate.lost),
            fate.declined_rate(),
        ]);
        is_empty = false;
    }
    if is_empty {
        String::new()
    } else {
        format!("\n{title}\n\n{}{}", table.header(), table.take_rows())
    }
}

/// The counts under `wanted`, or under `other` where there are too many to tell apart.
fn fate<'a>(
    all: &'a mut BTreeMap<(String, String), Fate>,
    wanted: [&str; 2],
    other: [&str; 2],
) -> &'a mut Fate {
    let [first, second] = wanted.map(str::to_owned);
    let key = (first, second);
    let is_known = all.len() < LINES_MAX || all.contains_key(&key);
    all.entry(if is_known { key } else { other.map(str::to_owned).into() }).or_default()
}

/// The store's day on which the gateway accepted it; tills' clocks differ, and theirs stands beside
/// it.
fn day(row: &RowView) -> String {
    let known = Some(row.day.as_str()).filter(|day| is_day(day));
    known.or(row.accepted_at.get(..10)).filter(|day| is_day(day)).unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::row;
    use super::*;
    use crate::value::Amount;

    pub(super) fn view(id: &str, state: &str, online: bool, change: &[(&str, Value)]) -> RowView {
        let mut value = row(id, state, online);
        value["attempts"] = json!(1);
        for (key, to) in change {
            value[*key] = to.clone();
        }
        RowView::read(&value).unwrap()
    }

    fn sample(args: &ReportArgs) -> Report {
        let mut report = Report::default();
        let rows = [
            view("1-a", "confirmed", false, &[]),
            view(
                "2-b",
                "declined",
                false,
                &[
                    ("provider_said", json!("Reward …7F3Q has been used")),
                    ("value", json!("7.00")),
                    ("value_assumed", json!(true)),
                ],
            ),
            view("3-c", "confirmed", true, &[]),
            view("4-d", "declined", true, &[]),
            view("5-e", "parked", true, &[("note", json!("2xx with errors\u{1b}[2J"))]),
            view(
                "6-f",
                "confirmed",
                false,
                &[
                    ("duplicate_of_ours", json!(true)),
                    ("accepted_at", json!("2026-11-02T09:00:00Z")),
                    ("value", json!("12.50")),
                ],
            ),
            view(
                "7-g",
                "confirmed",
                true,
                &[("refused_at_till", json!(true)), ("owed", json!(true))],
            ),
            view("8-h", "voided", false, &[("date", json!("yesterday"))]),
            view("9-i", "voided", false, &[("note", json!("the customer came back"))]),
        ];
        for row in &rows {
            report.add(row, args);
            count_in(&mut report, row, args);
        }
        report
    }

    /// As the gateway would sum it up.
    fn count_in(report: &mut Report, row: &RowView, args: &ReportArgs) {
        let day = day(row);
        if args.from.as_ref().is_none_or(|from| day >= *from)
            && args.to.as_ref().is_none_or(|to| day <= *to)
        {
            let mut figures = Fate::default();
            figures.add(row);
            report.count(&day, (&row.lane, &row.till), &figures);
        }
    }

    #[test]
    fn a_rate_is_rounded_and_not_cut() {
        let rate = |lost, confirmed| {
            Fate { confirmed, declined: lost, lost, ..Fate::default() }.declined_rate()
        };
        assert_eq!([rate(3, 28), rate(1, 25)], ["9.68 %", "3.85 %"]);
        assert_eq!([rate(0, 0), rate(0, 1), rate(1, 0)], ["-", "0.00 %", "100.00 %"]);
    }

    #[test]
    fn what_was_declined_and_sent_again_is_one_that_the_provider_has_decided() {
        let lost = [("lost", json!(true)), ("trusted", json!(true))];
        let rate = |states: &[&str]| {
            let mut report = Report::default();
            for state in states {
                let row = view("1-a", state, false, &lost);
                report.add(&row, &ReportArgs::default());
                count_in(&mut report, &row, &ReportArgs::default());
            }
            let kept = view("2-b", "confirmed", false, &[("trusted", json!(true))]);
            report.add(&kept, &ReportArgs::default());
            count_in(&mut report, &kept, &ReportArgs::default());
            report.total().declined_rate()
        };
        assert_eq!(rate(&["confirmed", "confirmed", "confirmed"]), "75.00 %");
        assert_eq!(rate(&["declined", "pending", "parked"]), "75.00 %");
        assert_eq!(rate(&["voided"]), "50.00 %");
        let gone = Fate { accepted: 1, voided: 1, lost: 1, ..Fate::default() };
        assert_eq!(gone.declined_rate(), "100.00 %");
    }

    #[test]
    fn what_is_owed_and_was_paid_is_summed_alike_whatever_was_given_beside_it() {
        let mut report = Report::default();
        let told_no = |id: &str, mark: &str| {
            let marks = [("trusted", json!(false)), (mark, json!(true))];
            view(id, "confirmed", true, &marks)
        };
        for row in [told_no("1-a", "owed"), told_no("2-b", "owed_paid")] {
            report.add(&row, &ReportArgs::default());
            count_in(&mut report, &row, &ReportArgs::default());
        }
        let sums = |fates: &mut dyn Iterator<Item = &Fate>| -> Vec<_> {
            fates.map(|fate| (fate.owed, fate.paid, fate.accepted)).collect()
        };
        let expected = [(1, 1, 0)];
        assert_eq!(sums(&mut report.lines.values()), expected);
        assert_eq!(sums(&mut report.lanes().values()), expected);
        assert_eq!(sums(&mut report.branches.values()), expected);
        assert_eq!(sums(&mut report.prefixes.values()), expected);
        let text = report.render(Screen::default());
        assert!(text.contains("\nnone\n") && !text.contains("BRANCH"), "{text}");
    }

    #[test]
    fn only_what_was_accepted_on_trust_counts_by_day_and_every_exception_is_listed_with_its_reason()
    {
        let report = sample(&ReportArgs::default());
        let first = report.lines[&("2026-11-01".to_owned(), "retm".to_owned())];
        assert_eq!(
            first,
            Fate {
                accepted: 4,
                confirmed: 1,
                declined: 1,
                voided: 2,
                lost: 1,
                owed: 1,
                taken_back: 1,
                value_at_risk: Amount::whole(7),
                value_lost: Amount::whole(7),
                ..Fate::default()
            }
        );
        assert_eq!(report.total().accepted, 5);
        let listed: Vec<(&str, ExceptionReason)> = report
            .exceptions
            .iter()
            .map(|exception| (exception.row.id.as_str(), exception.reason))
            .collect();
        let expected = [
            ("2-b", ExceptionReason::DeclinedAfterTheFact),
            ("5-e", ExceptionReason::Unreadable),
            ("6-f", ExceptionReason::DuplicateOfOurs),
            ("7-g", ExceptionReason::Owed),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn what_the_provider_itself_answered_to_the_till_was_not_given_on_trust() {
        let given =
            |state, online, change: &[(&str, Value)]| on_trust(&view("1-a", state, online, change));
        let late = [("answered_at_till", json!(false))];
        assert!(
            given("declined", true, &late) && given("pending", true, &late),
            "the line only seemed up"
        );
        assert!(!given("declined", true, &[]) && given("declined", false, &[]));
        let told_no = [("refused_at_till", json!(true)), ("attempts", json!(3))];
        assert!(!given("confirmed", true, &told_no));
    }

    #[test]
    fn what_somebody_has_handled_is_listed_only_where_it_was_lost_and_says_so() {
        let handled = |id, state, more: &[(&str, Value)]| {
            let seen_to = [("handled", json!(true)), ("handled_note", json!("asked the provider"))];
            view(id, state, false, &[&seen_to, more].concat())
        };
        let mut report = Report::default();
        for row in [
            handled("1-a", "declined", &[("value", json!("7.00")), ("rule", json!("gifts"))]),
            handled("2-b", "parked", &[]),
            handled("3-c", "confirmed", &[("duplicate_of_ours", json!(true))]),
            handled("4-d", "confirmed", &[("owed", json!(true))]),
            view("5-e", "confirmed", true, &[("owed", json!(true)), ("owed_paid", json!(true))]),
        ] {
            report.add(&row, &ReportArgs::default());
        }
        let text = report.render(Screen::default());
        let expected = "
ID   DAY         TILL'S DATE          TILL    BUSINESS  CODE   VALUE  RULE   HANDLED             WHY
1-a  2026-11-01  2026-11-01 10:00:00  till-1  shop      …7F3Q  7.00   gifts  asked the provider

Nothing waits for a person: somebody has handled each.
";
        assert!(text.contains(expected), "{text}");
        assert_eq!(report.exceptions.len(), 1);
        // What was sent again and confirmed stays in the report, and waits for nobody.
        let again = [("lost", json!(true)), ("trusted", json!(true)), ("waiting", json!(false))];
        report.add(&view("0-z", "confirmed", false, &again), &ReportArgs::default());
        let text = report.render(Screen::default());
        assert!(text.contains("\nNothing waits for a person: each was handled, or sent again.\n"));
        let open = view("6-f", "parked", false, &[]);
        report.add(&open, &ReportArgs::default());
        assert!(!report.render(Screen::default()).contains("Nothing waits"));
    }

    #[test]
    fn a_manager_reads_totals_first_and_then_each_exception_with_its_reason() {
        let text = sample(&ReportArgs::default()).render(Screen::default());
        let expected = "\
Redemptions accepted before the provider had answered: the line was down or it was silent

DAY         LANE  ACCEPTED  LATE  CONFIRMED  DECLINED  PARKED  PENDING  VOIDED
2026-11-01  retm         4     0          1         1       0        0       2
2026-11-02  retm         1     0          1         0       0        0       0
total                    5     0          2         1       0        0       2

1 given before the provider had answered, and declined by it afterwards

ID   DAY         TILL'S DATE          TILL    BUSINESS  CODE   VALUE         WHY
2-b  2026-11-01  2026-11-01 10:00:00  till-1  shop      …7F3Q  7.00 assumed  Reward …7F3Q has been \
used
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("2xx with errors\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn each_lane_and_till_has_its_rate_of_declines_among_what_was_decided() {
        let report = sample(&ReportArgs::default());
        let expected = "
LANE  TILL    ON TRUST  DECLINED     RATE  INFERRED  OWED  PAID  TAKEN BACK  VALUE AT RISK  VALUE \
LOST
retm  all            5         1  33.33 %         1     1     0           1          19.50        \
7.00
retm  till-1         5         1  33.33 %         1     1     0           1          19.50        \
7.00
";
        assert!(
            report.render(Screen::default()).ends_with(expected),
            "{}",
            report.render(Screen::default())
        );
        let csv = csv::csv(&report);
        assert!(
            csv.contains("till,,retm,till-1,5,2,1,0,0,2,1,1,1,3333,0,1,,,,0,,19.50,7.00\r\n"),
            "{csv}"
        );
        assert_eq!(csv.lines().filter(|line| line.starts_with("day,")).count(), 2);
        assert_eq!(Fate::default().declined_rate(), "-");
    }

    #[test]
    fn on_a_terminal_no_arabic_name_turns_the_figures_beside_it() {
        let mut report = sample(&ReportArgs::default());
        let named = [
            ("till", json!("كاشير 1")),
            ("business_refrence", json!("متجر")),
            ("branch_id", json!("فرع العليا")),
            ("lane", json!("retm")),
            ("code_prefix", json!("هدي")),
            ("trusted", json!(true)),
        ];
        let row = view("9-i", "declined", false, &named);
        report.add(&row, &ReportArgs::default());
        count_in(&mut report, &row, &ReportArgs::default());
        let text = report.render(Screen { is_coloured: false, columns: Some(120) });
        for name in ["كاشير 1", "متجر", "فرع العليا", "هدي…"] {
            let all = text.matches(name).count();
            assert!(all > 0, "{name}: {text}");
            assert_eq!(all, text.matches(&format!("\u{2068}{name}\u{2069}")).count(), "{text}");
        }
        assert!(!report.render(Screen::default()).contains('\u{2068}'), "a file has no such marks");
    }

    #[test]
    fn codes_that_begin_alike_have_their_rate_and_refusals_their_reasons() {
        let mut report = Report::default();
        let of = |id: &str, state: &str, prefix: &str| {
            view(id, state, false, &[("trusted", json!(true)), ("code_prefix", json!(prefix))])
        };
        for row in [
            of("1-a", "declined", "77"),
            of("2-b", "confirmed", "77"),
            of("3-c", "confirmed", "12"),
        ] {
            report.add(&row, &ReportArgs::default());
            count_in(&mut report, &row, &ReportArgs::default());
        }
        report.refused = refusals(&json!({ "refused": { "used": 3, "busy": 0 } }));
        let expected = "
LANE  CODE BEGINS  ON TRUST  DECLINED     RATE
retm  77…                 2         1  50.00 %

Requests of tills that were refused

REASON  REFUSED
used          3
";
        assert!(
            report.render(Screen::default()).ends_with(expected),
            "{}",
            report.render(Screen::default())
        );
        let csv = csv::csv(&report);
        assert!(
            csv.contains("prefix,,retm,,2,1,1,0,0,0,0,1,0,5000,0,0,77,,,0,,0.00,0.00\r\n"),
            "{csv}"
        );
        assert!(csv.contains("refused,,,,,,,,,,,,,,,,,used,3,,,,\r\n"), "{csv}");
        let mut out = Vec::new();
        report.print_json(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#"{"kind":"refused","reason":"used","refused":3}"#), "{text}");
    }

    #[test]
    fn the_daemons_own_mark_of_trust_counts_where_it_keeps_one() {
        let given = |trusted: bool| {
            on_trust(&view("1-a", "confirmed", true, &[("trusted", json!(trusted))]))
        };
        assert!(given(true) && !given(false));
        let mut report = Report::default();
        let lost =
            view("1-a", "declined", false, &[("trusted", json!(true)), ("lost", json!(true))]);
        let paid = [("refused_at_till", json!(true)), ("owed_paid", json!(true))];
        count_in(&mut report, &lost, &ReportArgs::default());
        count_in(&mut report, &view("2-b", "confirmed", true, &paid), &ReportArgs::default());
        assert_eq!((report.total().lost, report.total().owed, report.total().paid), (1, 0, 1));
    }

    #[test]
    fn what_the_gateway_has_summed_up_counts_for_rows_that_are_gone_too() {
        let mut report = Report::default();
        let line = |day: &str, till: &str, given: u64| {
            json!({"day": day, "lane": "retm", "till": till, "given": given, "late": 1,
                "pending": 0,
                "confirmed": given - 1, "declined": 1, "parked": 0, "voided": 0, "inferred": 0,
                "lost": 1, "owed": 0,
                "paid": 0, "taken_back": 0, "of tomorrow": 7})
        };
        let page = json!({"next": null, "figures": [
            line("2025-01-01", "till-1", 3), line("2025-01-02", "till-2", 4)]});
        report.add_figures(&page).unwrap();
        let Fate { accepted, late, confirmed, lost, .. } = report.total();
        assert_eq!((accepted, late, confirmed, lost), (7, 2, 5, 2));
        assert_eq!((report.lines.len(), report.tills.len()), (2, 2));
        assert!(report.add_figures(&json!({})).is_err());
        let args = ReportArgs {
            to: Some("2026-11-30".into()),
            lane: Some("r&m".into()),
            ..ReportArgs::default()
        };
        assert_eq!(
            figures_path(&args, Some("2026-11-01")),
            "/api/v1/figures?from=2026-11-01&to=2026-11-30&lane=r%26m"
        );
    }

    #[test]
    fn what_is_counted_nowhere_is_an_error() {
        let mut report = sample(&ReportArgs::default());
        assert!(balanced(&report, Some(true)).is_ok() && balanced(&report, None).is_ok());
        assert!(balanced(&report, Some(false)).is_err());
        count_in(&mut report, &view("9-i", "of tomorrow", false, &[]), &ReportArgs::default());
        assert!(balanced(&report, Some(true)).is_err());
    }

    #[test]
    fn days_can_be_narrowed_and_a_quiet_report_says_so() {
        let args = ReportArgs {
            from: Some("2026-11-02".into()),
            to: Some("2026-11-02".into()),
            ..ReportArgs::default()
        };
        let report = sample(&args);
        assert_eq!((report.lines.len(), report.exceptions.len()), (1, 1));
        let args = ReportArgs { from: Some("2027-01-01".into()), ..ReportArgs::default() };
        assert!(sample(&args).render(Screen::default()).contains("none\n\nNo exceptions"));
    }

    #[test]
    fn days_without_number_do_not_grow_the_report_without_bound() {
        let mut report = Report::default();
        for n in 0..LINES_MAX + 50 {
            let row = view(
                "1-a",
                "parked",
                false,
                &[("accepted_at", json!(format!("{n:04}-00-00T00:00:00Z")))],
            );
            for _ in 0..2 {
                report.add(&row, &ReportArgs::default());
                count_in(&mut report, &row, &ReportArgs::default());
            }
        }
        assert!(report.lines.len() <= LINES_MAX + 1);
        assert_eq!(report.total().accepted, 2 * (LINES_MAX as u64 + 50));
        assert_eq!(
            report.exceptions.len() as u64 + report.exceptions_unlisted,
            report.total().accepted
        );
    }

    #[test]
    fn for_machines_each_line_is_an_object_with_its_kind() {
        let mut out = Vec::new();
        sample(&ReportArgs::default()).print_json(&mut out).unwrap();
        let kinds: Vec<Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
            .collect();
        assert_eq!(kinds.iter().filter(|kind| *kind == "day").count(), 2);
        assert_eq!(kinds.iter().filter(|kind| *kind == "exception").count(), 4);
        assert_eq!(kinds.last().unwrap(), "total");
    }
}
