//! The figures of each day, lane and till, written in the transaction that changes them, so that a
//! day stays what it was when its rows have left.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::row::{Stored, state_of};
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

/// Whose figures they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FigurePlace {
    day: i64,
    lane: i64,
    till: String,
    /// Of rows that have left after their retention.
    gone: bool,
}

/// What a transaction changes in the figures; written once at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    /// A schema that waits for room has no place for them: they are counted when it has.
    is_kept: bool,
    changes: BTreeMap<FigurePlace, Figures>,
}

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

impl Tallies {
    /// Whether the database has a place for them.
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'tally')";
        Ok(Self {
            is_kept: connection.query_row(sql, [], |row| row.get(0))?,
            changes: BTreeMap::new(),
        })
    }

    /// Whether they are kept at all.
    pub(super) fn are_kept(&self) -> bool {
        self.is_kept
    }

    /// A row counts for something else than before.
    pub(super) fn note(&mut self, row: &Stored, change: Figures) {
        self.add(row, false, change);
    }

    /// A row leaves; its figures stay.
    pub(super) fn leaves(&mut self, row: &Stored) {
        let figures = Figures::of(row);
        self.add(row, false, Figures::default().less(figures));
        self.add(row, true, figures);
    }

    fn add(&mut self, row: &Stored, gone: bool, change: Figures) {
        if change.is_nothing() || !self.is_kept {
            return;
        }
        let place =
            FigurePlace { day: row.day().number(), lane: row.lane, till: row.till.clone(), gone };
        let figures = self.changes.entry(place).or_default();
        *figures = figures.plus(change);
    }

    /// Writes what changed.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), StoreError> {
        for (place, change) in std::mem::take(&mut self.changes) {
            if !change.is_nothing() {
                add(connection, place, change)?;
            }
        }
        Ok(())
    }

    /// Of each lane what the figures of the rows that are here come to.
    pub(super) fn of_rows_here(
        &self,
        connection: &Connection,
    ) -> Result<BTreeMap<i64, Figures>, StoreError> {
        let mut found = BTreeMap::new();
        if !self.is_kept {
            return Ok(found);
        }
        let columns = sums();
        let mut statement = connection
            .prepare(&format!("SELECT {columns}, lane FROM tally WHERE gone = 0 GROUP BY lane"))?;
        for row in statement.query_map([], |row| Ok((row.get(FIGURES)?, figures(row)?)))? {
            let (lane, figures) = row?;
            found.insert(lane, figures);
        }
        for (place, change) in self.changes.iter().filter(|(place, _)| !place.gone) {
            let sum: &mut Figures = found.entry(place.lane).or_default();
            *sum = sum.plus(*change);
        }
        Ok(found)
    }
}

fn add(connection: &Connection, place: FigurePlace, change: Figures) -> Result<(), StoreError> {
    let numbers = change.0.map(Value::Integer);
    let values =
        [Value::Integer(place.day), place.lane.into(), place.till.into(), place.gone.into()];
    connection
        .prepare_cached(&UPSERT)?
        .execute(params_from_iter(values.into_iter().chain(numbers)))?;
    Ok(())
}

/// Each figure summed: what damage has made of one must not end a look at all of them, as `sum`
/// would.
fn sums() -> String {
    Figures::NAMES.map(|name| format!("CAST(total({name}) AS INTEGER)")).join(", ")
}

/// Adds figures to those of their place.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let adds = Figures::NAMES
        .map(|name| format!("{name} = CAST({name} + excluded.{name} AS INTEGER)"))
        .join(", ");
    let places = (1..=4 + FIGURES).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO tally VALUES ({places}) ON CONFLICT (day, lane, till, gone) DO UPDATE SET \
         {adds}"
    )
});

/// A line of a damaged database about rows that had left; the others are counted anew.
pub(super) fn keep(
    connection: &Connection,
    (day, lane, till): (i64, i64, &str),
    figures: &[i64],
) -> rusqlite::Result<()> {
    if figures.len() != FIGURES || figures.iter().any(|figure| *figure < 0) {
        return Ok(());
    }
    let values = [Value::Integer(day), lane.into(), till.to_owned().into(), 1i64.into()];
    let figures = figures.iter().map(|figure| Value::Integer(*figure));
    connection
        .prepare_cached(&UPSERT)?
        .execute(params_from_iter(values.into_iter().chain(figures)))
        .map(drop)
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
    let mut tallies = Tallies { is_kept: true, changes: BTreeMap::new() };
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
        let place = FigurePlace { day, lane: row.get(0)?, till: row.get(1)?, gone: false };
        let sum = tallies.changes.entry(place).or_default();
        *sum = sum.plus(figures);
        if tallies.changes.len() >= PLACES_MAX {
            tallies.write(connection)?;
        }
    }
    tallies.write(connection)
}

impl Reader {
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
        if !Tallies::read(&self.connection)?.is_kept {
            return Ok(page);
        }
        let columns = sums();
        let sql = format!(
            "SELECT {columns}, day, lane, till FROM tally WHERE day BETWEEN ?1 AND ?2 \
             GROUP BY day, lane, till ORDER BY day, lane, till"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query((from.number(), to.number()))?;
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
        if !Tallies::read(&self.connection)?.is_kept {
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
        for (reason, number) in refused.iter().filter(|_| self.books.tallies.is_kept) {
            self.sql.prepare_cached(sql)?.execute((day, reason.as_str(), number))?;
        }
        Ok(())
    }

    /// Figures leave long after their rows, and at once where rows have taken them along.
    pub(super) fn forget_figures(&self) -> Result<(), StoreError> {
        if !self.books.tallies.is_kept {
            return Ok(());
        }
        let today = self.around.days.of(self.around.stamp.unix_ms).number();
        let old = today - DAYS_KEPT_MAX;
        let sql = "DELETE FROM tally WHERE day < ?1 AND gone = 1 OR day < ?2 AND given = 0 AND \
            owed = 0 AND paid = 0";
        self.sql.prepare_cached(sql)?.execute((old, today))?;
        self.sql.prepare_cached("DELETE FROM refusal WHERE day < ?1")?.execute([old])?;
        Ok(())
    }
}
