//! The books of a new database: what is in it, what had left after its retention, and what was
//! lost.

use std::collections::{BTreeMap, BTreeSet};

use super::{Salvager, Tally};
use crate::redemption::State;
use crate::store::StoreError;
use crate::store::books::lane_crc;
use crate::store::damage::records::Value;

/// The columns of `lane` after its number and its name.
pub(super) const LANE_NUMBERS: [&str; 9] = [
    "accepted",
    "pending",
    "confirmed",
    "declined",
    "parked",
    "voided",
    "gone_confirmed",
    "gone_declined",
    "gone_voided",
];

/// A lane as its row says.
#[derive(Debug, Default)]
pub(super) struct FoundLane {
    pub(super) name: Option<String>,
    /// The name's own checksum fits.
    pub(super) is_proven: bool,
    /// [`LANE_NUMBERS`].
    pub(super) numbers: Option<Vec<i64>>,
    /// The rest of its row: what its link must not forget.
    pub(super) memory: Vec<Value>,
}

impl Salvager<'_> {
    /// How many rows of each lane and state there are. They are counted here, because SQLite would
    /// sort all of them in memory first.
    fn count_rows(&self) -> Result<Vec<(i64, i64, i64)>, StoreError> {
        let mut counts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        let mut statement = self.sql.prepare("SELECT lane, state FROM redemption")?;
        for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            *counts.entry(row?).or_default() += 1;
        }
        Ok(counts.into_iter().map(|((lane, state), count)| (lane, state, count)).collect())
    }

    /// How many rows of each till are pending in each lane, counted as [`Self::count_rows`] does.
    pub(super) fn count_pending(&self) -> Result<(), StoreError> {
        let mut counts: BTreeMap<(i64, String), i64> = BTreeMap::new();
        let mut rows = self.sql.prepare("SELECT lane, till FROM redemption WHERE state = 0")?;
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            *counts.entry(row?).or_default() += 1;
        }
        let mut keep = self.sql.prepare("INSERT OR REPLACE INTO till VALUES (?1, ?2, ?3)")?;
        for ((lane, till), pending) in counts {
            keep.execute((lane, till, pending))?;
        }
        Ok(())
    }

    /// The lifetime totals: the rows that are here, and those that had left after their retention.
    pub(super) fn keep_books(&mut self) -> Result<Tally, StoreError> {
        self.part_namesakes();
        let rows = self.count_rows()?;
        for (lane, _, _) in &rows {
            self.lanes.entry(*lane).or_default();
        }
        let (mut known, mut total) = (self.lanes.values().all(|lane| lane.numbers.is_some()), 0i64);
        for (number, lane) in &self.lanes {
            let here = |state: i64| {
                rows.iter().find(|row| (row.0, row.1) == (*number, state)).map_or(0, |row| row.2)
            };
            let had = lane.numbers.clone().unwrap_or_else(|| vec![0; LANE_NUMBERS.len()]);
            let gone: [i64; 3] =
                had.get(6..9).and_then(|gone| gone.try_into().ok()).unwrap_or_default();
            let ever = |state, gone: i64| here(state).saturating_add(gone);
            let states = [here(0), ever(1, gone[0]), ever(2, gone[1]), here(3), ever(4, gone[2])];
            let accepted: i64 = states.iter().fold(0, |sum, state| sum.saturating_add(*state));
            total =
                total.saturating_add(had.first().copied().unwrap_or(0).saturating_sub(accepted));
            self.seq_floor = self.seq_floor.max(had.first().copied().unwrap_or(0));
            self.write_lane(*number, lane, (accepted, states, gone))?;
        }
        // Books from before the log was lost know nothing of what was in it.
        known &= !self.lanes.is_empty()
            && self.log_bytes.is_some_and(|bytes| self.image.log_bytes() >= bytes);
        let here = |state: Option<i64>| {
            rows.iter().filter(|row| state.is_none_or(|s| s == row.1)).map(|row| row.2).sum()
        };
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        Ok(Tally {
            kept: count(here(None)),
            pending: count(here(Some(State::Pending as i64))),
            parked: self.parked,
            restored: self.restored,
            mended: self.mender.mended(),
            lost: known.then(|| count(total)),
        })
    }

    /// Of lanes that have one name by a damaged number, the one of which it is proven keeps it.
    fn part_namesakes(&mut self) {
        let mut taken = BTreeSet::new();
        for is_proven in [true, false] {
            for lane in self.lanes.values_mut().filter(|lane| lane.is_proven == is_proven) {
                lane.name = lane.name.take().filter(|name| taken.insert(name.clone()));
            }
        }
    }

    fn write_lane(
        &self,
        number: i64,
        lane: &FoundLane,
        (accepted, states, gone): (i64, [i64; 5], [i64; 3]),
    ) -> Result<(), StoreError> {
        let name = lane.name.clone().unwrap_or_else(|| format!("unknown-{number}"));
        let columns = LANE_NUMBERS.join(", ");
        let sql = format!(
            "INSERT INTO lane (lane, name, {columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11)"
        );
        let [pending, confirmed, declined, parked, voided] = states;
        let values = rusqlite::params![
            number, name, accepted, pending, confirmed, declined, parked, voided, gone[0], gone[1],
            gone[2]
        ];
        self.sql.execute(&sql, values)?;
        let crc = lane_crc(number, &name);
        self.sql.execute("INSERT INTO lane_name VALUES (?1, ?2, ?3)", (number, &name, crc))?;
        self.write_memory(number, lane)
    }

    /// A hold, an outage's start and a pending `Retry-After` go on as they were.
    fn write_memory(&self, number: i64, lane: &FoundLane) -> Result<(), StoreError> {
        let [
            Value::Text(hold),
            Value::Text(detail),
            Value::Int(since),
            Value::Int(outage),
            Value::Int(noted),
            Value::Int(trusted),
            Value::Text(boot),
            Value::Int(until),
            Value::Int(left),
        ] = lane.memory.as_slice()
        else {
            return Ok(());
        };
        let sql = "UPDATE lane SET hold = ?2, hold_detail = ?3, hold_ms = ?4, outage_ms = ?5, \
            outage_noted_ms = ?6, outage_trusted = ?7, wait_boot = ?8, wait_until_ms = ?9, \
            wait_left_ms = ?10 WHERE lane = ?1";
        let outage = (*outage).max(0);
        let (trusted, until, left) = (i64::from(*trusted != 0), (*until).max(0), (*left).max(0));
        self.sql.execute(
            sql,
            (number, hold, detail, since, outage, noted, trusted, boot, until, left),
        )?;
        Ok(())
    }
}

/// Totals that can be: none negative, the states make up what was accepted, and no more rows left
/// than there were.
pub(super) fn adds_up(numbers: &[i64]) -> bool {
    let [accepted, pending, confirmed, declined, parked, voided, gone @ ..] = numbers else {
        return false;
    };
    let states = [pending, confirmed, declined, parked, voided];
    let sum: Option<i64> = states.iter().try_fold(0i64, |sum, state| sum.checked_add(**state));
    let had_so_many = gone.iter().zip([confirmed, declined, voided]).all(|(gone, had)| gone <= had);
    numbers.iter().all(|number| *number >= 0) && sum == Some(*accepted) && had_so_many
}
