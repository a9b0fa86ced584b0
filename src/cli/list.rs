//! `list`: pages of redemptions; and the pages themselves, which `report` reads too.

use std::io::{BufRead, IsTerminal, Write};

use serde_json::{Value, json};

use super::args::ListArgs;
use super::ask::{Daemon, encoded};
use super::exit::{CliError, say};
use super::input::line;
use super::row::{Column, RowView};
use super::table::Table;
use super::terminal::Screen;

/// The rows of a page while all are read.
const PAGE_ROWS: u16 = 1000;

/// The rows of a page unless `--limit` says otherwise.
const LIMIT_DEFAULT: u16 = 100;

/// How often the daemon is asked before a list ends without what it was to find; a page of a filter
/// looks at 20,000 rows, or for 40 ms.
const LOOKS_MAX: u32 = 500;

/// A page of the listing.
#[derive(Debug)]
pub(super) struct ListPage {
    pub(super) rows: Vec<Value>,
    pub(super) next: Option<i64>,
}

/// Which pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pub(super) state: Option<&'static str>,
    pub(super) lane: Option<String>,
    pub(super) after: Option<i64>,
    pub(super) limit: u16,
    /// What else they have in common, as the query has it.
    pub(super) wanted: Vec<(&'static str, String)>,
}

impl Pages {
    /// All rows of `lane` (or of all lanes), in large pages.
    pub(super) fn all_of(lane: Option<&str>) -> Self {
        Self { lane: lane.map(str::to_owned), limit: PAGE_ROWS, ..Self::default() }
    }

    fn path(&self) -> String {
        let mut path = format!("/api/v1/redemptions?limit={}", self.limit);
        if let Some(state) = self.state {
            path.push_str("&state=");
            path.push_str(state);
        }
        if let Some(lane) = &self.lane {
            path.push_str("&lane=");
            path.push_str(&encoded(lane));
        }
        for (key, value) in &self.wanted {
            path.extend(["&", key, "=", &encoded(value)]);
        }
        if let Some(after) = self.after {
            path.push_str("&after=");
            path.push_str(&after.to_string());
        }
        path
    }

    /// The page, after which `self` stands at the next.
    pub(super) async fn next(&mut self, daemon: &Daemon) -> Result<ListPage, CliError> {
        let page = read(daemon.get(&self.path()).await?)?;
        self.after = page.next.or(self.after);
        Ok(page)
    }

    /// Every row, page after page.
    pub(super) async fn every(
        mut self,
        daemon: &Daemon,
        mut each: impl FnMut(&RowView),
    ) -> Result<(), CliError> {
        loop {
            let page = self.next(daemon).await?;
            for row in &page.rows {
                each(&RowView::read(row)?);
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }
}

fn read(mut value: Value) -> Result<ListPage, CliError> {
    let next = value.get("next").and_then(Value::as_i64);
    match value.get_mut("redemptions").map(Value::take) {
        Some(Value::Array(rows)) => Ok(ListPage { rows, next }),
        _ => Err(CliError::Internal("the daemon's list cannot be read".to_owned())),
    }
}

/// `redeemd list`
pub(super) async fn list(
    daemon: &Daemon,
    args: &ListArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if args.wanted.is_backwards() {
        return Err(CliError::Usage("--since lies after --until".to_owned()));
    }
    let columns =
        if args.shown.columns.is_empty() { &Column::USUAL[..] } else { &args.shown.columns };
    let mut view =
        View { columns, table: table(columns).on(Screen::of_output()), json, begun: false };
    if args.wanted.code.is_some() {
        return search(daemon, &mut view, out).await;
    }
    let mut left = (!args.all).then(|| args.limit.unwrap_or(LIMIT_DEFAULT));
    let state = args.state.map(crate::redemption::State::as_str);
    let (lane, after, wanted) = (args.lane.clone(), args.after, args.wanted.pairs());
    let mut pages = Pages { state, lane, after, limit: left.unwrap_or(PAGE_ROWS), wanted };
    for look in 1.. {
        let page = pages.next(daemon).await?;
        view.print(&page, out)?;
        let Some(next) = page.next else { break };
        let found = u16::try_from(page.rows.len()).unwrap_or(u16::MAX);
        left = left.map(|left| left.saturating_sub(found));
        match left {
            None => {}
            Some(0) => return view.tell_more(next, out),
            Some(_) if look == LOOKS_MAX => return view.tell_cut_short(next, out),
            Some(left) => pages.limit = left,
        }
    }
    Ok(())
}

/// The redemptions of the whole code on standard input, page after page. It is posted: no address
/// and no log may hold it.
async fn search(daemon: &Daemon, view: &mut View<'_>, out: &mut dyn Write) -> Result<(), CliError> {
    let code = code_of(&mut std::io::stdin().lock(), std::io::stdin().is_terminal())?;
    let mut asked = json!({ "code": code });
    for _ in 0..LOOKS_MAX {
        let page = read(daemon.post("/api/v1/search", &asked).await?)?;
        view.print(&page, out)?;
        let Some(next) = page.next else { return Ok(()) };
        asked = json!({ "code": code, "after": next });
    }
    out.flush()?;
    Err(CliError::Failed("not everything was looked at".to_owned()))
}

/// The one code of standard input. A person at a terminal ends it with its line.
fn code_of(input: &mut impl BufRead, is_typed: bool) -> Result<String, CliError> {
    let first = line(input)?.unwrap_or_default();
    let code = first.trim_end_matches(['\r', '\n']);
    if code.is_empty() {
        return Err(CliError::Usage("there is no code on standard input".to_owned()));
    }
    while let Some(more) = (!is_typed).then(|| line(input)).transpose()?.flatten() {
        if !more.trim().is_empty() {
            let why = "there are several lines on standard input: ask for one code at a time";
            return Err(CliError::Usage(why.to_owned()));
        }
    }
    Ok(code.to_owned())
}

/// How pages are shown.
struct View<'a> {
    columns: &'a [Column],
    table: Table,
    json: bool,
    begun: bool,
}

impl View<'_> {
    fn print(&mut self, page: &ListPage, out: &mut dyn Write) -> Result<(), CliError> {
        if self.json {
            return print_json(page, out);
        }
        for row in &page.rows {
            let row = RowView::read(row)?;
            self.table
                .row(&self.columns.iter().map(|column| column.cell(&row)).collect::<Vec<_>>());
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.write_all(self.table.header().as_bytes())?;
        }
        out.write_all(self.table.take_rows().as_bytes())?;
        Ok(())
    }

    /// All that was asked for is there, and where the others begin. A program knows it by the
    /// number of rows.
    fn tell_more(&self, next: i64, out: &mut dyn Write) -> Result<(), CliError> {
        let more = format!("there may be more: --after {next}, or --all");
        if !self.json {
            writeln!(out, "\n{more}")?;
            return Ok(());
        }
        out.flush()?;
        say(&more);
        Ok(())
    }

    /// Not all was looked at, which nobody can know by the rows: the last line and the exit code
    /// say so.
    fn tell_cut_short(&self, next: i64, out: &mut dyn Write) -> Result<(), CliError> {
        let cut = format!("not everything was looked at: go on with --after {next}, or use --all");
        if self.json {
            writeln!(out, "{}", json!({ "next": next }))?;
        } else {
            writeln!(out, "\n{cut}")?;
        }
        out.flush()?;
        Err(CliError::Failed(cut))
    }
}

fn print_json(page: &ListPage, out: &mut dyn Write) -> Result<(), CliError> {
    for row in &page.rows {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

fn table(columns: &[Column]) -> Table {
    Table::new(&columns.iter().map(|column| column.head()).collect::<Vec<_>>())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli) fn row(id: &str, state: &str, accepted_online: bool) -> Value {
        json!({
            "id": id, "seq": 1, "lane": "retm", "till": "till-1", "business_refrence": "shop",
            "reward_code": "…7F3Q", "branch_id": "042", "date": "2026-11-01 10:00:00",
            "state": state,
            "in_flight": false, "uncertain": false, "duplicate_of_ours": false,
            "refused_at_till": false, "answered_at_till": accepted_online,
            "attempts": 2, "accepted_online": accepted_online,
            "accepted_at": "2026-11-01T07:00:00Z",
            "clock_trusted": true, "settled_at": null, "answer_status": null, "provider_said": null,
            "note": null,
        })
    }

    #[test]
    fn a_row_stands_in_columns_with_its_marks_in_words() {
        let mut value = row("41-abc", "pending", false);
        value["uncertain"] = json!(true);
        value["till"] = json!("till\u{7}1");
        let page = ListPage { rows: vec![value], next: None };
        let print = |columns: &[Column]| {
            let mut shown = Vec::new();
            let mut view = View { columns, table: table(columns), json: false, begun: false };
            view.print(&page, &mut shown).unwrap();
            String::from_utf8(shown).unwrap()
        };
        let expected = "\
ID      STATE    LANE  TILL        BUSINESS  CODE   ACCEPTED              TRIES  MARKS
41-abc  pending  retm  till\\u{7}1  shop      …7F3Q  2026-11-01T07:00:00Z      2  uncertain, offline
";
        assert_eq!(print(&Column::USUAL), expected);
        let chosen = print(&[Column::Tries, Column::Branch, Column::Date]);
        assert_eq!(chosen, "TRIES  BRANCH  DATE\n    2  042     2026-11-01 10:00:00\n");
        assert_eq!(print(&[Column::Value, Column::Rule]), "VALUE  RULE\n\n", "of no acceptance");
    }

    #[test]
    fn the_query_is_encoded_and_follows_the_pages() {
        let mut pages = Pages {
            state: Some("parked"),
            lane: Some("a&b".to_owned()),
            limit: 5,
            ..Pages::default()
        };
        assert_eq!(pages.path(), "/api/v1/redemptions?limit=5&state=parked&lane=a%26b");
        pages.wanted = vec![("till", "till 1".to_owned()), ("newest", "true".to_owned())];
        assert!(pages.path().ends_with("&lane=a%26b&till=till%201&newest=true"));
        pages.after = Some(41);
        assert!(pages.path().ends_with("&after=41"));
    }

    #[test]
    fn a_page_of_another_shape_is_a_fault_and_no_empty_list() {
        assert!(read(json!({})).is_err() && read(json!({"redemptions": {}})).is_err());
        assert_eq!(read(json!({"redemptions": [1], "next": 7})).unwrap().next, Some(7));
    }
}
