//! One flipped bit put right.
//!
//! A checksum that does not fit tells more than that: no two records of our length that differ in
//! fewer than four bits have the same CRC-32C (Koopman, "32-Bit Cyclic Redundancy Codes for
//! Internet Applications", 2002). So where exactly one bit can be turned so that it fits, that bit
//! was flipped, and where none can, more than one was.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Pass, Salvager};
use crate::store::StoreError;
use crate::store::connection::PAGE_BYTES;
use crate::store::damage::pages::{Image, PageBytes};
use crate::store::damage::records::{self, PageKind, RawRow};

/// How many bits one rescue turns at most: a few seconds' work, enough for some hundred rows. A
/// file in which more rows have one flipped bit each has other troubles.
const TURNS_MAX: usize = 1_000_000;

/// Not the first page, whose header lies elsewhere.
const PAGE_UNKNOWN: u32 = 0;

/// What was put right, and how many bits were turned for it.
#[derive(Debug, Default)]
pub(super) struct Mender {
    turns: usize,
    mended: BTreeSet<i64>,
}

impl Mender {
    /// How many redemptions had a flipped bit.
    pub(super) fn mended(&self) -> u64 {
        self.mended.len() as u64
    }
}

/// Where the cell that begins at `at` ends at the latest: where another begins, or with the page.
pub(super) fn span(cells: &[usize], at: usize) -> Range<usize> {
    at..cells.iter().copied().filter(|other| *other > at).min().unwrap_or(PAGE_BYTES)
}

impl<'a> Salvager<'a> {
    /// Keeps the row of this place of the page, if one bit alone was flipped in it; false when that
    /// is not so.
    pub(super) fn mend(
        &mut self,
        page: &PageBytes,
        span: Range<usize>,
        pass: Pass<'a>,
    ) -> Result<bool, StoreError> {
        self.mender.turns += 8 * span.len();
        if self.mender.turns > TURNS_MAX {
            return Ok(false);
        }
        let proves = |row: &RawRow| (pass.proves)(self, row);
        let Some(row) = mended(self.image, page, span, proves)? else { return Ok(false) };
        let before = self.sql.total_changes();
        let taken = (pass.take)(self, &row, true)?;
        if self.sql.total_changes() > before {
            self.mender.mended.insert(row.rowid);
        }
        Ok(taken)
    }

    /// The same for every place to which the page's own pointers lead and where nothing proves
    /// itself.
    pub(super) fn mend_all(&mut self, page: &PageBytes, pass: Pass<'a>) -> Result<(), StoreError> {
        let PageKind::Leaf(cells) = records::kind(page, PAGE_UNKNOWN) else { return Ok(()) };
        for at in &cells {
            let row = records::row_at(self.image, page, *at);
            if !row.map_or(Ok(false), |row| (pass.proves)(self, &row))? {
                self.mend(page, span(&cells, *at), pass)?;
            }
        }
        Ok(())
    }
}

/// The row that is there when one bit of the place is turned; `None` when there is none, or more
/// than one.
fn mended(
    image: &Image,
    page: &PageBytes,
    span: Range<usize>,
    proves: impl Fn(&RawRow) -> Result<bool, StoreError>,
) -> Result<Option<RawRow>, StoreError> {
    let (mut page, start) = (page.clone(), span.start);
    let mut found: Option<RawRow> = None;
    for (at, bit) in span.flat_map(|at| (0..8).map(move |bit| (at, 1u8 << bit))) {
        turn(&mut page, at, bit);
        let row = records::row_at(image, &page, start);
        turn(&mut page, at, bit);
        let Some(row) = row else { continue };
        if proves(&row)? {
            if found.is_some_and(|other| other != row) {
                return Ok(None);
            }
            found = Some(row);
        }
    }
    Ok(found)
}

fn turn(page: &mut PageBytes, at: usize, bit: u8) {
    if let Some(byte) = page.get_mut(at) {
        *byte ^= bit;
    }
}
