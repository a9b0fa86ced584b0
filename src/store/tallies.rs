//! The figures of each day, lane and till, written in the transaction that changes them, so that a
//! day stays what it was when its rows have left.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::row::{Stored, state_of};
use super::sums::{FigurePlace, Sums, add_figures, figures_are_kept};
use super::{AfterCommit, Desk, Operation, Reader, StoreError};
use crate::clock::Day;
use crate::decide::{self, FIGURES, Figures};
use crate::refused::{self, Reason};

/// How many figures are kept in memory while all are counted anew.
const PLACES_MAX: usize = 10_000;
/// How many lines one look reads; a day is never cut.
const LINES_MAX: usize = 2000;
/// How long the figures of rows that have left are kept, in days: the year before last can be
/// looked up.
const DAYS_KEPT_MAX: i64 = 1100;

/// The figures of a till on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TillDay {
    /// The day.
    pub day: Day,
    /// The lane.
    pub lane: String,
    /// The till.
    pub till: String,
    /// The figures.
    pub figures: Figures,
}

/// A page of figures, whole days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TillDays {
    /// In order of days.
    pub lines: Vec<TillDay>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<Day>,
}

/// Whose figures a row's are.
pub(super) fn place_of(row: &Stored) -> FigurePlace {
    (row.day().number(), row.lane, row.till.clone())
}

/// Of each lane what the figures of the rows that are here come to, with those that have not
/// reached the table.
pub(super) fn of_rows_here(
    connection: &Connection,
    unwritten: &Sums,
) -> Result<BTreeMap<i64, Figures>, StoreError> {
    let (mut found, columns): (BTreeMap<i64, Figures>, _) = (BTreeMap::new(), sums());
    let mut statement = connection
        .prepare(&format!("SELECT {columns}, lane FROM tally WHERE gone = 0 GROUP BY lane"))?;
    for row in statement.query_map([], |row| Ok((row.get(FIGURES)?, figures(row)?)))? {
        let (lane, figures) = row?;
        found.insert(lane, figures);
    }
    for ((_, lane, _), change) in unwritten.figures() {
        let sum = found.entry(*lane).or_default();
        *sum = sum.plus(change);
    }
    Ok(found)
}

/// Each figure summed: what damage has made of one must not end a look at all of them, as `sum`
/// would.
fn sums() -> String {
    Figures::NAMES.map(|name| format!("CAST(total({name}) AS INTEGER)")).join(", ")
}

/// A line of a damaged database about rows that had left; the others are counted anew.
pub(super) fn keep(
    connection: &Connection,
    (day, lane, till): (i64, i64, &str),
    figures: &[i64],
) -> rusqlite::Result<()> {
    if figures.len() != FIGURES || figures.iter().any(|figure| *figure < 0) {
        return Ok(());
    }
    let mut kept = Figures::default();
    kept.0.copy_from_slice(figures);
    add_figures(connection, (day, lane, till, true), kept)
}

/// The figures in a statement's first columns.
fn figures(row: &Row<'_>) -> rusqlite::Result<Figures> {
    let mut figures = Figures::default();
    for (at, figure) in figures.0.iter_mut().enumerate() {
        *figure = row.get(at)?;
    }
    Ok(figures)
}

/// Counts all rows that are here, in bounded memory: for a database that had no figures.
pub(super) fn count_anew(connection: &Connection) -> Result<(), StoreError> {
    let mut counted: BTreeMap<FigurePlace, Figures> = BTreeMap::new();
    connection.execute("DELETE FROM tally WHERE gone = 0", [])?;
    let mut statement = connection.prepare(
        "SELECT lane, till, accepted_ms, kind, marks, state, settled_ms FROM redemption",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, marks): (i64, i64) = (row.get(3)?, row.get(4)?);
        // One that cannot be read counts for nothing: whoever reads the row meets the damage.
        let Ok(state) = state_of(row.get(5)?, marks, row.get(6)?) else { continue };
        let figures = Figures::of_bits(kind, marks, state);
        if figures.is_nothing() {
            continue;
        }
        let day = decide::day_of(kind, row.get(2)?).number();
        let sum = counted.entry((day, row.get(0)?, row.get(1)?)).or_default();
        *sum = sum.plus(figures);
        if counted.len() >= PLACES_MAX {
            add_all(connection, std::mem::take(&mut counted))?;
        }
    }
    add_all(connection, counted)
}

fn add_all(
    connection: &Connection,
    counted: BTreeMap<FigurePlace, Figures>,
) -> Result<(), StoreError> {
    counted.into_iter().try_for_each(|((day, lane, till), figures)| {
        Ok(add_figures(connection, (day, lane, &till, false), figures)?)
    })
}

impl Reader {
    /// How many are owed to customers, as the figures have it; none where they are not kept.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn figure_of_owed(&self) -> Result<u64, StoreError> {
        if !figures_are_kept(&self.connection)? {
            return Ok(0);
        }
        let reading = self.connection.unchecked_transaction()?;
        let unwritten: i64 = Sums::read(&reading)?.figures().map(|(_, change)| change.owed()).sum();
        let sql = "SELECT coalesce(sum(owed), 0) FROM tally WHERE gone = 0";
        let written: i64 = reading.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(written.saturating_add(unwritten)).unwrap_or(0))
    }

    /// The figures of the days from one to another, both included, whole days at a time; of one
    /// lane or all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn till_days(
        &self,
        from: Day,
        to: Day,
        lane: Option<&str>,
    ) -> Result<TillDays, StoreError> {
        let mut page = TillDays::default();
        if !figures_are_kept(&self.connection)? {
            return Ok(page);
        }
        let reading = self.connection.unchecked_transaction()?;
        let unwritten = Sums::read(&reading)?;
        let (columns, added) = (sums(), ", ?".repeat(FIGURES));
        let added =
            format!(" UNION ALL SELECT ?, ?, ?, 0{added}").repeat(unwritten.figures().count());
        let sql = format!(
            "SELECT {columns}, day, lane, till FROM (SELECT * FROM tally WHERE day BETWEEN ?1 AND \
             ?2{added}) WHERE day BETWEEN ?1 AND ?2 GROUP BY day, lane, till ORDER BY day, lane, \
             till"
        );
        let mut statement = reading.prepare(&sql)?;
        let days = [from.number(), to.number()].map(Value::Integer);
        let added = unwritten.figures().flat_map(|((day, lane, till), change)| {
            let place = [Value::Integer(*day), (*lane).into(), till.clone().into()];
            place.into_iter().chain(change.0.map(Value::Integer))
        });
        let mut rows = statement.query(params_from_iter(days.into_iter().chain(added)))?;
        // Another lane's lines are read too.
        let (mut looked, mut last) = (0, from);
        while let Some(row) = rows.next()? {
            let (day, number) = (Day::new(row.get(FIGURES)?), row.get(FIGURES + 1)?);
            if looked >= LINES_MAX && last < day {
                page.next = Some(day);
                break;
            }
            (looked, last) = (looked + 1, day);
            let (figures, till) = (figures(row)?, row.get(FIGURES + 2)?);
            let Some(name) =
                self.lanes.get(&number).filter(|name| lane.is_none_or(|lane| lane == *name))
            else {
                continue;
            };
            if !figures.is_nothing() {
                page.lines.push(TillDay { day, lane: name.clone(), till, figures });
            }
        }
        Ok(page)
    }

    /// How many requests were refused in those days, by reason.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn refusals(&self, from: Day, to: Day) -> Result<BTreeMap<String, u64>, StoreError> {
        if !figures_are_kept(&self.connection)? {
            return Ok(BTreeMap::new());
        }
        let sql = "SELECT reason, CAST(max(total(refused), 0) AS INTEGER) FROM refusal WHERE day \
            BETWEEN ?1 AND ?2 GROUP BY reason";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement
            .query_map((from.number(), to.number()), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// So many more requests of tills were refused, by reason.
#[derive(Clone, Debug)]
pub struct Refused(pub Vec<(Reason, u64)>);

impl Operation for Refused {
    type Output = ();

    fn perform(&self, desk: &mut Desk<'_>) -> Result<(), StoreError> {
        desk.keep_refused(&self.0)
    }

    fn after(&self, (): &mut (), _: &mut dyn AfterCommit) {
        refused::are_kept(&self.0);
    }
}

impl Desk<'_> {
    fn keep_refused(&mut self, refused: &[(Reason, u64)]) -> Result<(), StoreError> {
        let day = self.around.days.of(self.around.stamp.unix_ms).number();
        let sql = "INSERT INTO refusal VALUES (?1, ?2, ?3) ON CONFLICT (day, reason) DO UPDATE SET \
             refused = CAST(refused + excluded.refused AS INTEGER)";
        for (reason, number) in refused.iter().filter(|_| self.books.last.keeps_figures()) {
            self.sql.prepare_cached(sql)?.execute((day, reason.as_str(), number))?;
        }
        Ok(())
    }

    /// Figures leave long after their rows, and at once where rows have taken them along.
    pub(super) fn forget_figures(&mut self) -> Result<(), StoreError> {
        if !self.books.last.keeps_figures() {
            return Ok(());
        }
        // What is deleted is judged by its sums.
        self.books.last.flush(self.sql)?;
        let today = self.around.days.of(self.around.stamp.unix_ms).number();
        let old = today - DAYS_KEPT_MAX;
        let sql = "DELETE FROM tally WHERE day < ?1 AND gone = 1 OR day < ?2 AND given = 0 AND \
            owed = 0 AND paid = 0";
        self.sql.prepare_cached(sql)?.execute((old, today))?;
        self.sql.prepare_cached("DELETE FROM refusal WHERE day < ?1")?.execute([old])?;
        Ok(())
    }
}
