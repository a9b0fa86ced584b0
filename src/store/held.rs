//! Codes that hold without a row: used ones whose rows are gone, and those that a check was
//! refused.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::{Desk, StoreError, row};
use crate::clock::signed_ms;
use crate::decide::Kept;
use crate::redemption::{Fingerprint, RewardCode};

/// How many rows one batch looks at.
pub(super) const ROWS_LOOKED_AT: i64 = 500;
/// What is known of a code, in the lowest two bits of `held_code.what`; the numbers never change
/// their meaning. The bits above them tell the code's own bytes among those that fold alike.
const WHAT: i64 = 3;
/// It was used.
pub(super) const KEPT_USED: i64 = 1;
/// A check was refused, by strong evidence.
pub(super) const KEPT_REFUSED: i64 = 2;
/// Bits of the hash of a code's own bytes.
const BYTES: i64 = (1 << 60) - 1;

/// What tells a code's bytes from others that fold alike; never zero.
fn bytes_of(code: &RewardCode) -> i64 {
    let (high, _) = row::halves(Fingerprint::of(&["held bytes", code.reveal()]).0);
    (high & BYTES).max(1)
}

impl Desk<'_> {
    /// What is kept of a code beyond its rows: whatever its bytes, or where codes are told apart by
    /// them what is not kept of other bytes.
    pub(super) fn kept(
        &self,
        business: &str,
        code: &RewardCode,
        exact: bool,
    ) -> Result<Option<Kept>, StoreError> {
        if !self.books.keeps_codes {
            return Ok(None);
        }
        let hash = Fingerprint::of_guard(business, code).0;
        let sql = "SELECT what FROM held_code WHERE hash = ?1";
        let what: Option<i64> =
            self.sql.prepare_cached(sql)?.query_row([hash], |row| row.get(0)).optional()?;
        // Zero: several bytes that fold alike, or none knows which.
        let is_its_own = |what: &i64| !exact || [0, bytes_of(code)].contains(&(what >> 2));
        Ok(what.filter(is_its_own).map(|what| match what & WHAT {
            KEPT_REFUSED => Kept::Refused,
            _ => Kept::Used,
        }))
    }

    /// Keeps the hash of a code.
    pub(super) fn hold_code(
        &mut self,
        business: &str,
        code: &RewardCode,
        what: i64,
    ) -> Result<(), StoreError> {
        let hash = Fingerprint::of_guard(business, code).0;
        let sql = "INSERT INTO held_code VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO UPDATE SET \
            what = min(what & 3, excluded.what & 3) | iif(what >> 2 = excluded.what >> 2, \
            what & ~3, 0), minute = excluded.minute";
        let what = what | (bytes_of(code) << 2);
        self.sql.prepare_cached(sql)?.execute((hash, what, self.around.elapsed_min()))?;
        self.books.keeps_codes = true;
        Ok(())
    }

    /// The provider takes back what it refused up to this minute: of all codes that fold alike, or
    /// where they are told apart of these bytes alone.
    pub(super) fn let_go(
        &self,
        (business, code): (&str, &RewardCode),
        exact: bool,
        minute: i64,
    ) -> Result<(), StoreError> {
        if !self.books.keeps_codes {
            return Ok(());
        }
        let hash = Fingerprint::of_guard(business, code).0;
        let sql = "DELETE FROM held_code WHERE hash = ?1 AND what & 3 = ?2 AND (NOT ?3 OR what >> \
            2 IN (0, ?4)) AND minute <= ?5";
        let values = (hash, KEPT_REFUSED, exact, bytes_of(code), minute);
        self.sql.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    /// Hashes leave after their own retention, a few at a time.
    pub(super) fn forget_codes(&self, codes: Duration) -> Result<(), StoreError> {
        let before_min = self.around.elapsed.ago_ms(signed_ms(codes)).div_euclid(60_000);
        let sql = "DELETE FROM held_code WHERE hash IN (SELECT hash FROM held_code WHERE minute < \
            ?1 LIMIT ?2)";
        if before_min > 0 {
            self.sql.prepare_cached(sql)?.execute((before_min, ROWS_LOOKED_AT))?;
        }
        Ok(())
    }
}
