//! `list`: pages of redemptions; and the pages themselves, which `report` reads too.

use std::io::Write;

use serde::Deserialize;
use serde_json::Value;

use super::act::line;
use super::args::ListArgs;
use super::ask::{Daemon, encoded};
use super::exit::{CliError, say};
use super::table::{Align, Table};
use super::terminal::Screen;

/// The rows of a page while all are read.
const PAGE_ROWS: u16 = 1000;

/// The rows of a page unless `--limit` says otherwise.
const LIMIT_DEFAULT: u16 = 100;

/// What is read of a listed redemption; what a newer daemon adds is left aside.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own in the API")]
pub(super) struct RowView {
    pub(super) id: String,
    #[serde(default)]
    pub(super) seq: i64,
    pub(super) lane: String,
    pub(super) till: String,
    pub(super) business_refrence: String,
    pub(super) reward_code: String,
    #[serde(default)]
    pub(super) code_prefix: String,
    #[serde(default)]
    pub(super) branch_id: String,
    pub(super) date: String,
    pub(super) state: String,
    pub(super) in_flight: bool,
    pub(super) uncertain: bool,
    pub(super) duplicate_of_ours: bool,
    pub(super) refused_at_till: bool,
    pub(super) answered_at_till: bool,
    /// The mark, from a daemon that keeps one.
    #[serde(default)]
    pub(super) trusted: Option<bool>,
    #[serde(default)]
    pub(super) on_hold: bool,
    #[serde(default)]
    pub(super) owed: bool,
    #[serde(default)]
    pub(super) owed_paid: bool,
    #[serde(default)]
    pub(super) lost: bool,
    #[serde(default)]
    pub(super) in_doubt: bool,
    #[serde(default)]
    pub(super) turned_away: bool,
    #[serde(default)]
    pub(super) handled: bool,
    #[serde(default)]
    pub(super) freed: bool,
    /// What it counts as, from a daemon that says so.
    #[serde(default)]
    pub(super) value: Option<String>,
    pub(super) attempts: u64,
    pub(super) accepted_online: bool,
    pub(super) accepted_at: String,
    /// The day of the reports; an older daemon does not say.
    #[serde(default)]
    pub(super) day: String,
    pub(super) clock_trusted: bool,
    pub(super) settled_at: Option<String>,
    pub(super) provider_said: Option<String>,
    pub(super) note: Option<String>,
}

impl RowView {
    pub(super) fn read(value: &Value) -> Result<Self, CliError> {
        Self::deserialize(value)
            .map_err(|error| CliError::Internal(format!("a redemption cannot be read: {error}")))
    }
}

/// A page of the listing.
#[derive(Debug)]
pub(super) struct Page {
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
    pub(super) async fn next(&mut self, daemon: &Daemon) -> Result<Page, CliError> {
        let page = read(daemon.get(&self.path()).await?)?;
        self.after = page.next.or(self.after);
        Ok(page)
    }
}

fn read(mut value: Value) -> Result<Page, CliError> {
    let next = value.get("next").and_then(Value::as_i64);
    match value.get_mut("redemptions").map(Value::take) {
        Some(Value::Array(rows)) => Ok(Page { rows, next }),
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
    let columns =
        if args.shown.columns.is_empty() { &Column::USUAL[..] } else { &args.shown.columns };
    let mut view =
        View { columns, table: table(columns).on(Screen::of_output()), json, begun: false };
    if args.wanted.code.is_some() {
        return view.print(&search(daemon).await?, out);
    }
    let limit = if args.all { PAGE_ROWS } else { args.limit.unwrap_or(LIMIT_DEFAULT) };
    let state = args.state.map(crate::redemption::State::as_str);
    let (lane, after, wanted) = (args.lane.clone(), args.after, args.wanted.pairs());
    let mut pages = Pages { state, lane, after, limit, wanted };
    loop {
        let page = pages.next(daemon).await?;
        view.print(&page, out)?;
        match page.next {
            Some(_) if args.all => {}
            Some(next) => {
                out.flush()?;
                say(&format!("there may be more: --after {next}, or --all"));
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// The redemptions of the whole code on standard input. It is posted: no address and no log may
/// hold it.
async fn search(daemon: &Daemon) -> Result<Page, CliError> {
    let first = line(&mut std::io::stdin().lock())?.unwrap_or_default();
    let code = first.trim_end_matches(['\r', '\n']);
    if code.is_empty() {
        return Err(CliError::Usage("there is no code on standard input".to_owned()));
    }
    read(daemon.post("/api/v1/search", &serde_json::json!({ "code": code })).await?)
}

/// How pages are shown.
struct View<'a> {
    columns: &'a [Column],
    table: Table,
    json: bool,
    begun: bool,
}

impl View<'_> {
    fn print(&mut self, page: &Page, out: &mut dyn Write) -> Result<(), CliError> {
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
}

fn print_json(page: &Page, out: &mut dyn Write) -> Result<(), CliError> {
    for row in &page.rows {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// A column of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// The redemption's id.
    Id,
    /// Its place in the order of acceptance.
    Seq,
    /// Where it stands.
    State,
    /// The provider's name.
    Lane,
    /// The till.
    Till,
    /// The merchant.
    Business,
    /// The branch.
    Branch,
    /// The code's end.
    Code,
    /// The till's own time.
    Date,
    /// When it was accepted.
    Accepted,
    /// When it was settled.
    Settled,
    /// How often it was sent.
    Tries,
    /// What is special about it.
    Marks,
    /// What the provider said.
    Said,
    /// What was noted.
    Note,
}

impl Column {
    /// What is shown unless `--columns` says otherwise.
    const USUAL: [Self; 9] = [
        Self::Id,
        Self::State,
        Self::Lane,
        Self::Till,
        Self::Business,
        Self::Code,
        Self::Accepted,
        Self::Tries,
        Self::Marks,
    ];

    fn head(self) -> (&'static str, Align) {
        match self {
            Self::Id => ("ID", Align::Left),
            Self::Seq => ("SEQ", Align::Right),
            Self::State => ("STATE", Align::Left),
            Self::Lane => ("LANE", Align::Left),
            Self::Till => ("TILL", Align::Left),
            Self::Business => ("BUSINESS", Align::Left),
            Self::Branch => ("BRANCH", Align::Left),
            Self::Code => ("CODE", Align::Left),
            Self::Date => ("DATE", Align::Left),
            Self::Accepted => ("ACCEPTED", Align::Left),
            Self::Settled => ("SETTLED", Align::Left),
            Self::Tries => ("TRIES", Align::Right),
            Self::Marks => ("MARKS", Align::Left),
            Self::Said => ("SAID", Align::Left),
            Self::Note => ("NOTE", Align::Left),
        }
    }

    fn cell(self, row: &RowView) -> String {
        match self {
            Self::Id => row.id.clone(),
            Self::Seq => row.seq.to_string(),
            Self::State => row.state.clone(),
            Self::Lane => row.lane.clone(),
            Self::Till => row.till.clone(),
            Self::Business => row.business_refrence.clone(),
            Self::Branch => row.branch_id.clone(),
            Self::Code => row.reward_code.clone(),
            Self::Date => row.date.clone(),
            Self::Accepted => row.accepted_at.clone(),
            Self::Settled => row.settled_at.clone().unwrap_or_default(),
            Self::Tries => row.attempts.to_string(),
            Self::Marks => marks(row),
            Self::Said => row.provider_said.clone().unwrap_or_default(),
            Self::Note => row.note.clone().unwrap_or_default(),
        }
    }
}

fn table(columns: &[Column]) -> Table {
    Table::new(&columns.iter().map(|column| column.head()).collect::<Vec<_>>())
}

/// What is special about a row, in words.
pub(super) fn marks(row: &RowView) -> String {
    // A daemon that keeps no mark of trust leaves it to the others.
    let inferred = row.accepted_online && !row.answered_at_till && row.state != "pending";
    let marks = [
        (row.in_flight, "on the wire"),
        (row.uncertain, "uncertain"),
        (row.in_doubt, "in doubt"),
        (row.duplicate_of_ours, "duplicate of ours"),
        (row.refused_at_till, "refused at till"),
        (row.turned_away, "turned away"),
        (!row.accepted_online, "offline"),
        (row.trusted.unwrap_or(inferred), "on trust"),
        (row.on_hold, "under a hold"),
        (row.lost, "lost"),
        (row.owed && !row.owed_paid, "owed"),
        (row.owed_paid, "owed and paid"),
        (row.handled, "handled"),
        (row.freed, "code freed"),
        (!row.clock_trusted, "clock unsure"),
    ];
    marks.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::cli) fn row(id: &str, state: &str, accepted_online: bool) -> Value {
        json!({
            "id": id, "seq": 1, "lane": "retm", "till": "till-1", "business_refrence": "shop",
            "reward_code": "…7F3Q", "branch_id": "042", "date": "2026-11-01 10:00:00", "state": state,
            "in_flight": false, "uncertain": false, "duplicate_of_ours": false, "refused_at_till": false, "answered_at_till": accepted_online,
            "attempts": 2, "accepted_online": accepted_online, "accepted_at": "2026-11-01T07:00:00Z",
            "clock_trusted": true, "settled_at": null, "answer_status": null, "provider_said": null, "note": null,
        })
    }

    #[test]
    fn a_row_stands_in_columns_with_its_marks_in_words() {
        let mut value = row("41-abc", "pending", false);
        value["uncertain"] = json!(true);
        value["till"] = json!("till\u{7}1");
        let page = Page { rows: vec![value], next: None };
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
