//! Of which codes no check is remembered, told in memory without a look into the table.
//!
//! It says "none" of a code only if the table has no row of it; "perhaps" is looked up. What
//! leaves the table stays in here, so after some time it is made anew, as after a start: from the
//! rows that there are, some at once. Until it has them all it says "perhaps" of every code.

use rusqlite::Connection;

use super::{StoreError, checks, row};

/// Bits for each check that it is made for. It is made for twice as many as there are, so that one
/// look in two hundred is in vain at first, and one in thirty before it is made anew.
const BITS_EACH: u64 = 8;
/// Bits of it that each check sets.
const BITS_SET: u64 = 3;
/// The most memory that it takes, in words of 64 bits: 4 MiB. With more than two millions of
/// checks more looks are in vain, one in five with ten millions.
const WORDS_MAX: usize = 512 * 1024;
/// The fewest checks that it is made for.
const MADE_FOR_MIN: u64 = 1024;
/// How many rows one operation reads: some fifty pages, a millisecond.
const SLICE_ROWS: usize = 512;

const SLICE: &str = "SELECT guard FROM checked WHERE guard > ?1 ORDER BY guard LIMIT ?2";

/// What a check is found by.
type CheckGuard = [u8; 16];

/// A Bloom filter over the guards of remembered checks.
#[derive(Debug, Default)]
pub(super) struct CheckFilter {
    words: Vec<u64>,
    made_for: u64,
    entered: u64,
    filled: ReadSoFar,
    /// Rows were read in the transaction under way.
    has_read: bool,
}

/// How much of the table it has.
#[derive(Debug, Default)]
enum ReadSoFar {
    #[default]
    NotBegun,
    /// What lies up to this guard, and what came since.
    UpTo(CheckGuard),
    Wholly,
}

impl CheckFilter {
    /// Whether a check may be remembered under this guard.
    pub(super) fn may_have(&self, guard: CheckGuard) -> bool {
        let is_set = |(word, bit): (usize, u64)| self.words.get(word).is_none_or(|w| w & bit != 0);
        !self.is_whole() || self.places(guard).all(is_set)
    }

    /// Whether it has all that the table has.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.filled, ReadSoFar::Wholly)
    }

    /// A check comes to be remembered under this guard.
    pub(super) fn enter(&mut self, guard: CheckGuard) {
        if matches!(self.filled, ReadSoFar::NotBegun) {
            return;
        }
        for (word, bit) in self.places(guard).collect::<Vec<_>>() {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
        self.entered = self.entered.saturating_add(1);
        if self.is_whole() && self.entered > self.made_for {
            self.filled = ReadSoFar::NotBegun;
        }
    }

    /// Reads the next rows of the table, unless it has them all; false: it has them all now.
    pub(super) fn read_on(&mut self, sql: &Connection) -> Result<bool, StoreError> {
        let after: &[u8] = match &self.filled {
            ReadSoFar::Wholly => return Ok(false),
            ReadSoFar::NotBegun => &[],
            ReadSoFar::UpTo(guard) => &guard.clone(),
        };
        let mut statement = sql.prepare_cached(SLICE)?;
        let slice: Vec<CheckGuard> = statement
            .query_map((after, SLICE_ROWS), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if after.is_empty() {
            // The count may be wrong; what was entered before is not.
            self.begin(checks::count(sql)?.max(self.entered / 2));
        }
        self.filled = match slice.last().filter(|_| slice.len() >= SLICE_ROWS) {
            Some(last) => ReadSoFar::UpTo(*last),
            None => ReadSoFar::Wholly,
        };
        self.has_read = true;
        for guard in slice {
            self.enter(guard);
        }
        Ok(!self.is_whole())
    }

    /// Nothing of the transaction is kept: what it would have deleted may have been passed over.
    pub(super) fn rolled_back(&mut self) {
        if std::mem::take(&mut self.has_read) {
            self.filled = ReadSoFar::NotBegun;
        }
    }

    /// The transaction is committed.
    pub(super) fn committed(&mut self) {
        self.has_read = false;
    }

    /// Made anew for this many and as many again.
    fn begin(&mut self, count: u64) {
        self.made_for = count.saturating_mul(2).max(MADE_FOR_MIN);
        let words = self.made_for.saturating_mul(BITS_EACH) / 64;
        let words = usize::try_from(words).unwrap_or(WORDS_MAX).min(WORDS_MAX);
        self.words = vec![0; words];
        self.entered = 0;
    }

    /// A guard is a hash already: its halves tell the places of its bits.
    fn places(&self, guard: CheckGuard) -> impl Iterator<Item = (usize, u64)> + use<> {
        let (first, step) = row::halves(guard);
        let (first, step) = (first.cast_unsigned(), step.cast_unsigned());
        let bits = u64::try_from(self.words.len()).unwrap_or(0).saturating_mul(64).max(1);
        (0..BITS_SET).map(move |nth| {
            let place = first.wrapping_add(step.wrapping_mul(nth)) % bits;
            (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::redemption::Fingerprint;
    use crate::store::schema;

    fn guard(n: usize) -> CheckGuard {
        Fingerprint::of(&[&n.to_string()]).0
    }

    fn remember(sql: &Connection, numbers: std::ops::Range<usize>) {
        let share = "INSERT INTO check_share VALUES (?1, ?2, 0, 0)";
        sql.execute(share, (format!("from {}", numbers.start), numbers.len())).unwrap();
        for n in numbers {
            let till = format!("till-{}", n % 3);
            let values = (guard(n), n + 1, till, n % 2, n / 7);
            let sql = sql.prepare_cached(
                "INSERT INTO checked VALUES (?1, ?2, ?2, ?4, ?3, ?5, 200, NULL, x'7b7d')",
            );
            sql.unwrap().execute(values).unwrap();
        }
    }

    fn database() -> Connection {
        let sql = schema::create(Path::new("")).unwrap();
        // It is made without a journal, and without one nothing is taken back.
        sql.pragma_update(None, "journal_mode", "memory").unwrap();
        sql
    }

    /// Reads on until it has all; in how many slices.
    fn fill(filter: &mut CheckFilter, sql: &Connection) -> usize {
        (1..10_000).find(|_| !filter.read_on(sql).unwrap()).unwrap()
    }

    #[test]
    fn what_it_denies_is_in_no_row_and_it_denies_most_of_what_is_in_none() {
        let (sql, mut filter) = (database(), CheckFilter::default());
        assert!(filter.may_have(guard(1)), "nothing is denied before it has all");
        remember(&sql, 0..1500);
        filter.read_on(&sql).unwrap();
        assert!(!filter.is_whole() && filter.may_have(guard(5000)));
        // Some that come meanwhile lie behind what was read.
        remember(&sql, 1500..1520);
        (1500..1520).for_each(|n| filter.enter(guard(n)));
        assert_eq!(fill(&mut filter, &sql), 2);
        assert!((0..1520).all(|n| filter.may_have(guard(n))));
        let in_vain = (2000..12_000).filter(|n| filter.may_have(guard(*n))).count();
        assert!(in_vain < 120, "{in_vain} of 10,000");
    }

    #[test]
    fn what_a_transaction_that_failed_had_deleted_is_not_denied() {
        let (sql, mut filter) = (database(), CheckFilter::default());
        remember(&sql, 0..600);
        for _ in 0..3 {
            sql.execute_batch("BEGIN; DELETE FROM checked WHERE exact % 2 = 0").unwrap();
            filter.read_on(&sql).unwrap();
            sql.execute_batch("ROLLBACK").unwrap();
            filter.rolled_back();
            assert!((0..600).all(|n| filter.may_have(guard(n))));
        }
        fill(&mut filter, &sql);
        filter.committed();
        filter.rolled_back();
        assert!(filter.is_whole(), "what failed had read nothing");
        assert!((0..600).all(|n| filter.may_have(guard(n))));
    }

    #[test]
    fn it_is_made_anew_when_many_have_come_and_gone_and_never_grows_beyond_its_bound() {
        let (sql, mut filter) = (database(), CheckFilter::default());
        remember(&sql, 0..10);
        fill(&mut filter, &sql);
        let bytes = filter.words.len() * 8;
        assert!(bytes <= 1024, "{bytes} bytes for ten");
        for n in 0..1024 {
            filter.enter(guard(10_000 + n));
        }
        assert!(!filter.is_whole());
        fill(&mut filter, &sql);
        assert!((0..10).all(|n| filter.may_have(guard(n))) && !filter.may_have(guard(10_001)));
        filter.begin(u64::MAX);
        assert_eq!(filter.words.len(), WORDS_MAX);
    }
}
