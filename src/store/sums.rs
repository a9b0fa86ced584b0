//! The sums that go with the rows: a lane's totals, a till's pending rows, what is at risk, the
//! figures of a day. A commit changes one of each, on four pages. So the last commits' sums are
//! kept together in one text on one page, and reach their tables now and then.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{StoreError, connection, keep};
use crate::decide::{FIGURES, Figures};
use crate::redemption::State;

/// Under this name the last commits' sums are kept.
pub(super) const NAME: &str = "sums";
/// The first schema version of which every build reads them.
const SINCE: i64 = 9;
/// After so many commits they reach their tables, so that a salvage which finds only those misses
/// little.
const COMMITS_MAX: u32 = 64;
/// A longer text would need a page of its own, in bytes.
const BYTES_MAX: usize = 1500;

/// A lane's totals: accepted, then by [`State`], then those that have left by state, in the order
/// of the table's columns.
pub(super) type LaneSums = [u64; 9];

/// What is at risk in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RiskSums {
    /// How many rows are pending.
    pub(super) pending: u64,
    /// In 1/10000.
    pub(super) exposure: i64,
    /// In 1/10000.
    pub(super) lost: i64,
    /// What happened lately, as the table holds it.
    pub(super) lately: String,
}

/// A day, a lane and a till.
pub(super) type FigurePlace = (i64, i64, String);

/// What the last commits changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    lanes: BTreeMap<i64, LaneSums>,
    tills: BTreeMap<(i64, String), u64>,
    /// By scope; `None`: nothing of it counts any more.
    risk: BTreeMap<String, Option<RiskSums>>,
    /// By how much the figures of rows that are here have changed.
    figures: BTreeMap<FigurePlace, Figures>,
    /// The same of rows that left after their retention. They are not put off: no rows are left to
    /// count them by.
    gone: BTreeMap<FigurePlace, Figures>,
}

/// Sums as they are stored, without their names.
type Stored<L, T, R, F> = (Vec<(L, LaneSums)>, Vec<(T, u64)>, Vec<R>, Vec<(F, [i64; FIGURES])>);

impl Sums {
    /// What is kept, for whoever reads the tables.
    ///
    /// # Errors
    /// It is damaged, or the database cannot be read.
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        if connection::version(connection)? < SINCE {
            return Ok(Self::default());
        }
        let Some(text) = keep::read(connection, NAME)? else { return Ok(Self::default()) };
        let damaged = || StoreError::Damaged("the sums of the last commits cannot be".to_owned());
        Self::from_stored(&text).ok_or_else(damaged)
    }

    /// `None` for a text that is not as it was written.
    pub(super) fn from_stored(text: &str) -> Option<Self> {
        type Owned = Stored<i64, (i64, String), (String, Option<RiskSums>), FigurePlace>;
        let (crc, text) = text.split_once(' ')?;
        let is_intact = u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(text.as_bytes());
        let (lanes, tills, risk, figures): Owned =
            serde_json::from_str(text).ok().filter(|_| is_intact)?;
        Some(Self {
            lanes: lanes.into_iter().collect(),
            tills: tills.into_iter().collect(),
            risk: risk.into_iter().collect(),
            figures: figures.into_iter().map(|(place, sum)| (place, Figures(sum))).collect(),
            gone: BTreeMap::new(),
        })
    }

    fn to_stored(&self) -> Result<String, StoreError> {
        let Self { lanes, tills, risk, figures, gone: _ } = self;
        let stored: Stored<_, _, _, _> = (
            lanes.iter().map(|(lane, sums)| (lane, *sums)).collect(),
            tills.iter().map(|(till, pending)| (till, *pending)).collect(),
            risk.iter().collect(),
            figures.iter().map(|(place, sum)| (place, sum.0)).collect(),
        );
        let text = serde_json::to_string(&stored)
            .map_err(|_| StoreError::Internal("the sums cannot be written"))?;
        Ok(format!("{:08x} {text}", crc32c::crc32c(text.as_bytes())))
    }

    /// The totals of the lanes that changed.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (i64, &LaneSums)> {
        self.lanes.iter().map(|(lane, sums)| (*lane, sums))
    }

    /// What happened lately in the scopes that changed.
    pub(super) fn lately(&self) -> impl Iterator<Item = (&str, &str)> {
        self.risk.iter().filter_map(|(scope, sums)| Some((&**scope, &*sums.as_ref()?.lately)))
    }

    /// By how much figures have changed.
    pub(super) fn figures(&self) -> impl Iterator<Item = (&FigurePlace, Figures)> {
        self.figures.iter().map(|(place, change)| (place, *change))
    }

    /// Writes what changed to the tables.
    fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        self.lanes.iter().try_for_each(|(lane, sums)| write_lane(connection, *lane, sums))?;
        for ((lane, till), pending) in &self.tills {
            write_till(connection, (*lane, till), *pending)?;
        }
        for (scope, sums) in &self.risk {
            write_risk(connection, scope, sums.as_ref())?;
        }
        for (gone, figures) in [(false, &self.figures), (true, &self.gone)] {
            for ((day, lane, till), change) in figures {
                add_figures(connection, (*day, *lane, till, gone), *change)?;
            }
        }
        Ok(())
    }
}

/// How many rows are in this state, as all lanes' totals say.
pub(super) fn in_state(connection: &Connection, state: State) -> Result<u64, StoreError> {
    let unwritten = Sums::read(connection)?;
    let mut statement = connection.prepare(&format!("SELECT lane, {state} FROM lane"))?;
    let mut rows = statement.query([])?;
    let mut sum: u64 = 0;
    while let Some(row) = rows.next()? {
        let last = unwritten.lanes.get(&row.get(0)?).and_then(|sums| sums.get(1 + state as usize));
        sum = sum.saturating_add(last.map_or_else(|| row.get(1), |last| Ok(*last))?);
    }
    Ok(sum)
}

/// Whether the database has a place for figures: a schema that waits for room has none, and they
/// are counted when it has.
pub(super) fn figures_are_kept(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'tally')";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// The last commits' sums, and how they get to their tables.
#[derive(Clone, Debug, Default)]
pub(super) struct LastSums {
    sums: Sums,
    /// How many commits they are of.
    commits: u32,
    /// A text of them is kept.
    is_kept: bool,
    /// A database whose last steps wait for room has no reader of them.
    is_put_off: bool,
    keeps_figures: bool,
}

impl LastSums {
    /// Moves what the last process kept to the tables.
    pub(super) fn open(connection: &Connection) -> Result<Self, StoreError> {
        let is_put_off = connection::version(connection)? < SINCE;
        let keeps_figures = figures_are_kept(connection)?;
        let mut last = Self { is_put_off, keeps_figures, ..Self::default() };
        last.sums = Sums::read(connection)?;
        last.is_kept = last.sums != Sums::default();
        if last.is_kept {
            let transaction = connection.unchecked_transaction()?;
            last.flush(&transaction)?;
            transaction.commit()?;
        }
        Ok(last)
    }

    /// Whether the database has a place for figures.
    pub(super) fn keeps_figures(&self) -> bool {
        self.keeps_figures
    }

    /// What has not reached the tables.
    pub(super) fn unwritten(&self) -> &Sums {
        &self.sums
    }

    /// A lane's totals are these.
    pub(super) fn set_lane(&mut self, lane: i64, sums: LaneSums) {
        self.sums.lanes.insert(lane, sums);
    }

    /// So many rows of a till are pending.
    pub(super) fn set_till(&mut self, till: (i64, String), pending: u64) {
        self.sums.tills.insert(till, pending);
    }

    /// What is at risk in a scope.
    pub(super) fn set_risk(&mut self, scope: String, sums: Option<RiskSums>) {
        self.sums.risk.insert(scope, sums);
    }

    /// By so much the figures of rows that are here have changed.
    pub(super) fn add_figures(&mut self, place: FigurePlace, change: Figures) {
        if self.keeps_figures {
            add(&mut self.sums.figures, place, change);
        }
    }

    /// These figures are of rows that leave after their retention.
    pub(super) fn add_gone(&mut self, place: FigurePlace, figures: Figures) {
        if self.keeps_figures {
            add(&mut self.sums.gone, place, figures);
        }
    }

    /// Keeps them at the end of a transaction, on one page or in their tables.
    pub(super) fn keep(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.sums == Sums::default() {
            return Ok(());
        }
        self.commits += 1;
        if !self.is_put_off && self.commits < COMMITS_MAX && self.sums.gone.is_empty() {
            let text = self.sums.to_stored()?;
            if text.len() <= BYTES_MAX {
                self.is_kept = true;
                return keep::write(connection, NAME, &text);
            }
        }
        self.flush(connection)
    }

    /// Writes them to their tables.
    pub(super) fn flush(&mut self, connection: &Connection) -> Result<(), StoreError> {
        std::mem::take(&mut self.sums).write(connection)?;
        self.commits = 0;
        if std::mem::take(&mut self.is_kept) { keep::forget(connection, NAME) } else { Ok(()) }
    }
}

fn add(figures: &mut BTreeMap<FigurePlace, Figures>, place: FigurePlace, change: Figures) {
    if change.is_nothing() {
        return;
    }
    let sum = figures.entry(place).or_default();
    *sum = sum.plus(change);
}

/// The largest number that SQLite holds stands for what is more: only damage comes to that.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn write_lane(connection: &Connection, lane: i64, sums: &LaneSums) -> Result<(), StoreError> {
    let sql = "UPDATE lane SET accepted = ?1, pending = ?2, confirmed = ?3, declined = ?4, \
        parked = ?5, voided = ?6, gone_confirmed = ?7, gone_declined = ?8, gone_voided = ?9 \
        WHERE lane = ?10";
    let values = sums.iter().map(|sum| number(*sum)).chain([lane]);
    if connection.prepare_cached(sql)?.execute(params_from_iter(values))? == 1 {
        Ok(())
    } else {
        Err(StoreError::Damaged(format!("the books of lane {lane} are gone")))
    }
}

fn write_till(
    connection: &Connection,
    (lane, till): (i64, &str),
    pending: u64,
) -> Result<(), StoreError> {
    if pending == 0 {
        let sql = "DELETE FROM till WHERE lane = ?1 AND till = ?2";
        connection.prepare_cached(sql)?.execute((lane, till))?;
        return Ok(());
    }
    let sql = "INSERT INTO till VALUES (?1, ?2, ?3) ON CONFLICT (lane, till) DO UPDATE SET \
        pending = ?3";
    connection.prepare_cached(sql)?.execute((lane, till, number(pending)))?;
    Ok(())
}

/// Writes what is at risk in a scope; `None`: nothing.
pub(super) fn write_risk(
    connection: &Connection,
    scope: &str,
    sums: Option<&RiskSums>,
) -> Result<(), StoreError> {
    let Some(RiskSums { pending, exposure, lost, lately }) = sums else {
        connection.prepare_cached("DELETE FROM risk WHERE scope = ?1")?.execute([scope])?;
        return Ok(());
    };
    let sql = "INSERT INTO risk VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (scope) DO UPDATE SET \
         pending = excluded.pending, exposure = excluded.exposure, lost = excluded.lost, \
         lately = excluded.lately";
    connection.prepare_cached(sql)?.execute((scope, number(*pending), exposure, lost, lately))?;
    Ok(())
}

/// Adds figures to those of a day, a lane and a till; those of rows that have left stand apart.
pub(super) fn add_figures(
    connection: &Connection,
    (day, lane, till, gone): (i64, i64, &str, bool),
    change: Figures,
) -> rusqlite::Result<()> {
    let place = [Value::Integer(day), lane.into(), till.to_owned().into(), gone.into()];
    let numbers = change.0.map(Value::Integer);
    let values = params_from_iter(place.into_iter().chain(numbers));
    connection.prepare_cached(&ADD)?.execute(values)?;
    Ok(())
}

static ADD: LazyLock<String> = LazyLock::new(|| {
    let adds = Figures::NAMES
        .map(|name| format!("{name} = CAST({name} + excluded.{name} AS INTEGER)"))
        .join(", ");
    let places = (1..=4 + FIGURES).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO tally VALUES ({places}) ON CONFLICT (day, lane, till, gone) DO UPDATE SET \
         {adds}"
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_they_were_written_and_no_changed_text_is_taken_for_them() {
        let mut last = LastSums { keeps_figures: true, ..LastSums::default() };
        last.set_lane(1, [9, 8, 1, 0, 0, 0, 0, 0, 0]);
        last.set_till((1, "till \"1\"".to_owned()), 8);
        let lately = "[1,2]".to_owned();
        last.set_risk(
            "lane 1".to_owned(),
            Some(RiskSums { pending: 8, exposure: 5, lost: 0, lately }),
        );
        last.set_risk("rule r".to_owned(), None);
        last.add_figures((20_000, 1, "till \"1\"".to_owned()), Figures([1; FIGURES]));
        let text = last.sums.to_stored().unwrap();
        assert_eq!(Sums::from_stored(&text).unwrap(), last.sums);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(other) = String::from_utf8(bytes) else { continue };
                let read = Sums::from_stored(&other);
                assert!(read.is_none_or(|read| read == last.sums), "{other}");
            }
        }
    }
}
