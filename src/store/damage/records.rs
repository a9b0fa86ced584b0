//! SQLite's b-tree pages and records, decoded without SQLite (sqlite.org/fileformat2.html, sections
//! 1.6 and 2.1).

use std::collections::BTreeSet;

use super::pages::{Image, PageBytes, be16, be32};
use crate::store::connection::PAGE_BYTES;

/// No record of ours is longer: a provider's answer with its 64 KiB body is the longest.
const PAYLOAD_BYTES_MAX: u64 = 1 << 20;
/// What a leaf of a table keeps of a record before the rest goes to overflow pages.
const LOCAL_BYTES_MAX: usize = PAGE_BYTES - 35;
const LOCAL_BYTES_MIN: usize = (PAGE_BYTES - 12) * 32 / 255 - 23;
const OVERFLOW_BYTES: usize = PAGE_BYTES - 4;
/// What a page of an index keeps of a record before the rest goes to overflow pages.
const ENTRY_BYTES_MAX: usize = (PAGE_BYTES - 12) * 64 / 255 - 23;

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Real,
    Text(String),
    Blob(Vec<u8>),
}

/// One row of some table, told by its number of columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawRow {
    pub(super) rowid: i64,
    pub(super) columns: Vec<Value>,
}

/// What a page is.
#[derive(Debug)]
pub(super) enum PageKind {
    /// A leaf of a table, with where its cells begin.
    Leaf(Vec<usize>),
    /// An inner page of a table, with its children.
    Inner(Vec<u32>),
    /// A page of an index.
    Index,
    /// None of these: overflow, free, or damaged.
    Other,
}

/// What the page says that it is; `Other` when its header or its cell pointers cannot be.
pub(super) fn kind(page: &PageBytes, number: u32) -> PageKind {
    let base = if number == 1 { 100 } else { 0 };
    let header = match page.get(base) {
        Some(0x0d) => 8,
        Some(0x05) => 12,
        Some(0x0a | 0x02) => return PageKind::Index,
        _ => return PageKind::Other,
    };
    let Some(cells) = pointers(page, base, header) else { return PageKind::Other };
    if header == 8 {
        return PageKind::Leaf(cells);
    }
    let children = cells.iter().map(|at| be32(page, *at)).chain([be32(page, base + 8)]);
    children.collect::<Option<Vec<u32>>>().map_or(PageKind::Other, PageKind::Inner)
}

/// Whether every byte of a table's page is accounted for: what its pointers lead to, free blocks
/// and fragments make up all that lies behind its content's begin. A page whose kind or whose
/// number of cells was flipped does not add up.
pub(super) fn adds_up(page: &PageBytes, number: u32) -> bool {
    let base = if number == 1 { 100 } else { 0 };
    let is_leaf = match page.get(base) {
        Some(0x0d) => true,
        Some(0x05) => false,
        _ => return false,
    };
    let used = || -> Option<usize> {
        let cells = pointers(page, base, if is_leaf { 8 } else { 12 })?;
        let cell_bytes =
            |at| if is_leaf { leaf_cell_bytes(page, at) } else { inner_cell_bytes(page, at) };
        let cells: Option<usize> = cells.into_iter().map(cell_bytes).sum();
        Some(cells? + free_bytes(page, base)? + usize::from(*page.get(base + 7)?))
    };
    let content = be16(page, base + 5).and_then(|begin| PAGE_BYTES.checked_sub(begin));
    content.is_some() && used() == content
}

fn inner_cell_bytes(page: &PageBytes, at: usize) -> Option<usize> {
    varint(page, at + 4).map(|(_, end)| end - at)
}

/// A cell is never shorter than the head of a free block.
fn leaf_cell_bytes(page: &PageBytes, begin: usize) -> Option<usize> {
    let Cell { whole, local, at, .. } = cell_at(page, begin)?;
    Some((at - begin + local + if local < whole { 4 } else { 0 }).max(4))
}

/// The free blocks of a page, which follow each other upwards.
fn free_bytes(page: &PageBytes, base: usize) -> Option<usize> {
    let (mut at, mut free) = (be16(page, base + 1)?, 0);
    while at != 0 {
        let (next, bytes) = (be16(page, at)?, be16(page, at + 2)?);
        free += bytes;
        if next != 0 && next <= at {
            return None;
        }
        at = next;
    }
    Some(free)
}

fn pointers(page: &PageBytes, base: usize, header: usize) -> Option<Vec<usize>> {
    let count = be16(page, base + 3)?;
    let first = base + header + 2 * count;
    let at = |index: usize| {
        be16(page, base + header + 2 * index).filter(|at| *at >= first && *at + 4 <= PAGE_BYTES)
    };
    (first <= PAGE_BYTES).then(|| (0..count).map(at).collect())?
}

/// The row that begins at `at`, if one does; what does not fit into the page is followed through
/// `image`.
pub(super) fn row_at(image: &Image, page: &PageBytes, at: usize) -> Option<RawRow> {
    let Cell { rowid, whole, local, at } = cell_at(page, at)?;
    let start = page.get(at..at.checked_add(local)?)?;
    // Most places where a row could begin are none: look at the header before following anything.
    header_of(start, whole)?;
    let mut payload = start.to_vec();
    if local < whole {
        follow(image, be32(page, at + local)?, whole, &mut payload)?;
    }
    Some(RawRow { rowid, columns: record(&payload)? })
}

/// What stands before the record in a cell of a table's leaf.
struct Cell {
    rowid: i64,
    /// How long the record is, and how much of it is in this page.
    whole: usize,
    local: usize,
    /// Where it begins.
    at: usize,
}

fn cell_at(page: &PageBytes, at: usize) -> Option<Cell> {
    let (payload_bytes, at) = varint(page, at)?;
    let (rowid, at) = varint(page, at)?;
    let whole =
        usize::try_from(payload_bytes).ok().filter(|_| payload_bytes <= PAYLOAD_BYTES_MAX)?;
    Some(Cell { rowid: rowid.cast_signed(), whole, local: local_bytes(whole), at })
}

fn local_bytes(whole: usize) -> usize {
    if whole <= LOCAL_BYTES_MAX {
        return whole;
    }
    let fitting = LOCAL_BYTES_MIN + (whole - LOCAL_BYTES_MIN) % OVERFLOW_BYTES;
    if fitting <= LOCAL_BYTES_MAX { fitting } else { LOCAL_BYTES_MIN }
}

fn follow(image: &Image, mut next: u32, whole: usize, payload: &mut Vec<u8>) -> Option<()> {
    while payload.len() < whole {
        let page = image.page(next)?;
        let wanted = (whole - payload.len()).min(OVERFLOW_BYTES);
        payload.extend_from_slice(page.get(4..4 + wanted)?);
        next = be32(&page, 0)?;
    }
    Some(())
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for _ in 0..8 {
        let byte = *bytes.get(at)?;
        at += 1;
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    Some(((value << 8) | u64::from(*bytes.get(at)?), at + 1))
}

/// The serial types of a record that is `whole` bytes long, and where its content begins; `start`
/// holds its header.
fn header_of(start: &[u8], whole: usize) -> Option<(Vec<u64>, usize)> {
    let (length, mut at) = varint(start, 0)?;
    let end = usize::try_from(length).ok().filter(|end| *end <= start.len() && *end > at)?;
    let (mut types, mut bytes) = (Vec::with_capacity(24), end);
    while at < end {
        let (serial, next) = varint(start, at)?;
        bytes = bytes.checked_add(length_of(serial)?)?;
        types.push(serial);
        at = next;
    }
    (at == end && bytes == whole).then_some((types, end))
}

fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let (types, mut at) = header_of(payload, payload.len())?;
    let mut columns = Vec::with_capacity(types.len());
    for serial in types {
        let end = at + length_of(serial)?;
        columns.push(value(serial, payload.get(at..end)?)?);
        at = end;
    }
    Some(columns)
}

/// How many bytes a value takes; 10 and 11 are no serial types of a file.
fn length_of(serial: u64) -> Option<usize> {
    match serial {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(serial).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((serial - 12) / 2).ok(),
    }
}

fn value(serial: u64, bytes: &[u8]) -> Option<Value> {
    Some(match serial {
        0 => Value::Null,
        1..=6 => Value::Int(integer(bytes)),
        7 => Value::Real,
        8 => Value::Int(0),
        9 => Value::Int(1),
        _ if serial.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
    })
}

/// Big-endian, two's complement, of whatever length.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1i64 } else { 0 };
    bytes.iter().fold(sign, |value, byte| (value << 8) | i64::from(*byte))
}

/// The pages of the free list, or `None` where it cannot be followed.
pub(super) fn free_pages(image: &Image) -> Option<Vec<u32>> {
    let first = image.page(1)?;
    let (mut trunk, count) = (be32(&first, 32)?, usize::try_from(be32(&first, 36)?).ok()?);
    let (mut free, most) = (Vec::new(), count.min(image.count()));
    while trunk != 0 {
        if free.len() > most {
            return None;
        }
        let page = image.page(trunk)?;
        free.push(trunk);
        let leaves = usize::try_from(be32(&page, 4)?).ok()?;
        for leaf in 0..leaves {
            free.push(be32(&page, 8 + 4 * leaf)?);
        }
        trunk = be32(&page, 0)?;
    }
    (free.len() == count).then_some(free)
}

/// The leaves of the table whose root is `root`; the flag says whether every page on the way could
/// be read, and once.
pub(super) fn leaves(image: &Image, root: u32) -> (Vec<u32>, bool) {
    let (mut found, mut todo, mut whole) = (Vec::new(), vec![root], true);
    let mut seen = BTreeSet::new();
    while let Some(number) = todo.pop() {
        let page = image.page(number).filter(|_| seen.insert(number));
        match page.map(|page| kind(&page, number)) {
            Some(PageKind::Leaf(_)) => found.push(number),
            Some(PageKind::Inner(children)) => todo.extend(children),
            Some(PageKind::Index | PageKind::Other) | None => whole = false,
        }
    }
    (found, whole)
}

/// Tells `each` the columns of every entry of the index whose root is `root`, in no order; the
/// answer says whether every page on the way could be read, and once.
///
/// # Errors
/// Those of `each`.
pub(super) fn entries<E>(
    image: &Image,
    root: u32,
    mut each: impl FnMut(&[Value]) -> Result<(), E>,
) -> Result<bool, E> {
    let (mut todo, mut seen, mut whole) = (vec![root], BTreeSet::new(), true);
    while let Some(number) = todo.pop() {
        let page = image.page(number).filter(|_| seen.insert(number));
        let Some((found, children)) = page.and_then(|page| index_page(&page, number)) else {
            whole = false;
            continue;
        };
        found.iter().try_for_each(|columns| each(columns))?;
        todo.extend(children);
    }
    Ok(whole)
}

/// The entries of a page of an index, and its children.
fn index_page(page: &PageBytes, number: u32) -> Option<(Vec<Vec<Value>>, Vec<u32>)> {
    let base = if number == 1 { 100 } else { 0 };
    let (header, child_bytes) = match page.get(base) {
        Some(0x0a) => (8, 0),
        Some(0x02) => (12, 4),
        _ => return None,
    };
    let cells = pointers(page, base, header)?;
    let entries = cells.iter().map(|at| entry_at(page, at + child_bytes)).collect::<Option<_>>()?;
    let mut children = Vec::new();
    if child_bytes > 0 {
        children = cells
            .iter()
            .map(|at| be32(page, *at))
            .chain([be32(page, base + 8)])
            .collect::<Option<_>>()?;
    }
    Some((entries, children))
}

/// The entry of an index that begins at `at`. None of ours is so long that it would not fit into
/// its page.
fn entry_at(page: &PageBytes, at: usize) -> Option<Vec<Value>> {
    let (bytes, at) = varint(page, at)?;
    let whole = usize::try_from(bytes).ok().filter(|whole| *whole <= ENTRY_BYTES_MAX)?;
    record(page.get(at..at.checked_add(whole)?)?)
}

/// The entries of one page, where it is one of an index and can be read.
pub(super) fn entries_of(image: &Image, number: u32) -> Vec<Vec<Value>> {
    let found = image.page(number).and_then(|page| index_page(&page, number));
    found.map_or_else(Vec::new, |(entries, _)| entries)
}

/// Where the table or index of this name has its root, as far as the schema can be read.
pub(super) fn root_of(image: &Image, wanted: &str) -> Option<u32> {
    let (leaves, _) = leaves(image, 1);
    for number in leaves {
        let page = image.page(number)?;
        let PageKind::Leaf(cells) = kind(&page, number) else { continue };
        for row in cells.iter().filter_map(|at| row_at(image, &page, *at)) {
            if let [Value::Text(what), Value::Text(name), _, Value::Int(root), _] =
                row.columns.as_slice()
                && (what == "table" || what == "index")
                && name == wanted
            {
                return u32::try_from(*root).ok();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rusqlite::Connection;
    use rusqlite::types::Value as Sql;

    use super::*;

    /// A database of SQLite's own making, and what can be read of it without SQLite.
    fn made(make: impl FnOnce(&Connection)) -> (Connection, Image, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA page_size = 4096; BEGIN").unwrap();
        make(&connection);
        connection.execute_batch("COMMIT").unwrap();
        let image = Image::open(&path, &dir.path().join("none")).unwrap();
        (connection, image, dir)
    }

    fn number(connection: &Connection, sql: &str) -> usize {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Integers at every border, texts and blobs around what a leaf and what an overflow page hold.
    fn rows() -> BTreeMap<i64, [Sql; 3]> {
        let borders =
            [0u32, 7, 8, 14, 15, 16, 23, 31, 32, 47, 48, 55, 56, 62].map(|bits| 1i64 << bits);
        let numbers = borders.iter().flat_map(|n| [*n - 1, *n, -*n, -*n - 1]).chain([
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ]);
        let lengths = [
            0, 1, 56, 57, 100, 480, 489, 4000, 4040, 4055, 4061, 4062, 4100, 8140, 8150, 8160,
            8200, 12300, 70_000,
        ];
        let text = |n: usize| "\u{e9}x".repeat(n / 3) + &"y".repeat(n % 3);
        let mut rows = BTreeMap::new();
        for (at, n) in numbers.enumerate() {
            rows.insert(n, [Sql::Integer(n), Sql::Text(text(at)), Sql::Null]);
        }
        for (at, length) in lengths.into_iter().enumerate() {
            let at = i64::try_from(at).unwrap();
            rows.insert(5000 + at, [Sql::Null, Sql::Integer(at), Sql::Blob(vec![0xc3; length])]);
            rows.insert(6000 + at, [Sql::Real(1.5), Sql::Text(text(length)), Sql::Text(text(1))]);
        }
        rows
    }

    fn as_read(value: &Sql) -> Value {
        match value.clone() {
            Sql::Null => Value::Null,
            Sql::Integer(number) => Value::Int(number),
            Sql::Real(_) => Value::Real,
            Sql::Text(text) => Value::Text(text),
            Sql::Blob(bytes) => Value::Blob(bytes),
        }
    }

    #[test]
    fn every_row_that_sqlite_wrote_is_read_as_it_was_written() {
        let rows = rows();
        let (connection, image, _dir) = made(|connection| {
            connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)").unwrap();
            for (id, [a, b, c]) in &rows {
                connection.execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4)", (id, a, b, c)).unwrap();
            }
        });
        let root = root_of(&image, "t").unwrap();
        assert_eq!(
            root as usize,
            number(&connection, "SELECT rootpage FROM sqlite_schema WHERE name = 't'")
        );
        let (leaves, whole) = leaves(&image, root);
        assert!(whole && leaves.len() > 3, "{leaves:?}");
        let mut read = BTreeMap::new();
        for leaf in leaves {
            let page = image.page(leaf).unwrap();
            let PageKind::Leaf(cells) = kind(&page, leaf) else { panic!("page {leaf}") };
            for at in cells {
                let row = row_at(&image, &page, at).unwrap();
                assert!(read.insert(row.rowid, row.columns).is_none(), "row {} twice", row.rowid);
            }
        }
        let written = rows.iter().map(|(id, row)| {
            (*id, [vec![Value::Null], row.iter().map(as_read).collect()].concat())
        });
        assert_eq!(read, written.collect());
    }

    #[test]
    fn a_record_longer_than_any_of_ours_is_none() {
        // Besides the blob six bytes: the header's length, the row's number, and four of the blob's
        // length.
        let longest = i64::try_from(PAYLOAD_BYTES_MAX).unwrap() - 6;
        for (length, is_read) in [(longest, true), (longest + 1, false), (longest + 5000, false)] {
            let (_connection, image, _dir) = made(|connection| {
                connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, a)").unwrap();
                connection.execute("INSERT INTO t VALUES (1, zeroblob(?1))", [length]).unwrap();
            });
            let root = root_of(&image, "t").unwrap();
            let page = image.page(root).unwrap();
            let PageKind::Leaf(cells) = kind(&page, root) else { panic!() };
            assert_eq!(row_at(&image, &page, cells[0]).is_some(), is_read, "{length}");
        }
    }

    #[test]
    fn a_schema_of_many_pages_and_every_kind_of_page_is_told() {
        let (connection, image, _dir) = made(|connection| {
            for n in 0..120 {
                let columns: Vec<String> =
                    (0..20).map(|c| format!("a_rather_long_name_of_column_{c}")).collect();
                connection
                    .execute_batch(&format!("CREATE TABLE t{n} ({})", columns.join(", ")))
                    .unwrap();
            }
            connection
                .execute_batch("CREATE TABLE words (word); CREATE INDEX by_word ON words (word)")
                .unwrap();
            for n in 0..2000 {
                connection.execute("INSERT INTO words VALUES (?1)", [format!("{n:0>60}")]).unwrap();
            }
        });
        for name in ["t0", "t60", "t119", "words", "by_word"] {
            let sql = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{name}'");
            assert_eq!(
                root_of(&image, name).map(|root| root as usize),
                Some(number(&connection, &sql)),
                "{name}"
            );
        }
        assert_eq!(root_of(&image, "t120"), None, "no such table");
        assert!(matches!(
            kind(&image.page(1).unwrap(), 1),
            PageKind::Inner(children) if children.len() > 1
        ));
        let index =
            number(&connection, "SELECT rootpage FROM sqlite_schema WHERE name = 'by_word'");
        let index = u32::try_from(index).unwrap();
        assert!(matches!(kind(&image.page(index).unwrap(), index), PageKind::Index));
        let kinds: Vec<PageKind> =
            image.numbers().into_iter().map(|n| kind(&image.page(n).unwrap(), n)).collect();
        let of = |is: fn(&PageKind) -> bool| kinds.iter().filter(|kind| is(kind)).count();
        assert!(of(|kind| matches!(kind, PageKind::Index)) > 10);
        assert_eq!(of(|kind| matches!(kind, PageKind::Other)), 0, "no page is free or overflows");
        let (found, whole) = leaves(&image, root_of(&image, "words").unwrap());
        assert!(whole && found.len() > 10);
        assert!(!leaves(&image, index).1, "an index has no leaves of a table");
    }

    /// The numbers of the rows to which an index leads, in order, and whether it was read whole.
    fn led_to(image: &Image, index: &str) -> (Vec<i64>, bool) {
        let mut led = Vec::new();
        let whole = entries(image, root_of(image, index).unwrap(), |columns| {
            let [Value::Text(word), Value::Int(row)] = columns else {
                return Err(columns.to_vec());
            };
            assert_eq!(word.parse(), Ok(*row));
            led.push(*row);
            Ok(())
        });
        led.sort_unstable();
        (led, whole.unwrap())
    }

    #[test]
    fn an_index_leads_to_every_row_once_and_says_when_a_part_of_it_is_gone() {
        let (_, image, dir) = made(|connection| {
            connection
                .execute_batch("CREATE TABLE words (word); CREATE INDEX by_word ON words (word)")
                .unwrap();
            for n in 1..=3000 {
                connection
                    .execute("INSERT INTO words VALUES (?1)", [format!("{n:0>200}")])
                    .unwrap();
            }
        });
        assert_eq!(led_to(&image, "by_word"), ((1..=3000).collect(), true));
        let root = root_of(&image, "by_word").unwrap();
        let (_, children) = index_page(&image.page(root).unwrap(), root).unwrap();
        let (_, leaves) = index_page(&image.page(children[0]).unwrap(), children[0]).unwrap();
        assert!(children.len() > 1 && leaves.len() > 1, "three levels");
        let path = dir.path().join("db");
        let sound = std::fs::read(&path).unwrap();
        for (page, other) in
            [(leaves[1], [0; 4]), (leaves[0], [0x0d, 0, 0, 0]), (children[1], [0x02, 0, 0, 0xff])]
        {
            let mut damaged = sound.clone();
            damaged[(page as usize - 1) * PAGE_BYTES..][..4].copy_from_slice(&other);
            std::fs::write(&path, &damaged).unwrap();
            let (led, whole) =
                led_to(&Image::open(&path, &dir.path().join("none")).unwrap(), "by_word");
            assert!(!whole && led.len() < 3000 && led.len() > 1000, "{}", led.len());
        }
        let mut circle = sound;
        let right = (children[0] as usize - 1) * PAGE_BYTES + 8;
        circle[right..right + 4].copy_from_slice(&root.to_be_bytes());
        std::fs::write(&path, &circle).unwrap();
        assert!(!led_to(&Image::open(&path, &dir.path().join("none")).unwrap(), "by_word").1);
    }

    #[test]
    fn an_entry_longer_than_its_page_keeps_is_none() {
        for (length, whole) in [(992, true), (997, true), (998, false), (5000, false)] {
            let (_, image, _dir) = made(|connection| {
                connection.execute_batch("CREATE TABLE t (a); CREATE INDEX i ON t (a)").unwrap();
                // Others behind it in the page, so that there are bytes enough to be taken for its
                // own.
                for length in [400, 401, 402, length] {
                    connection.execute("INSERT INTO t VALUES (zeroblob(?1))", [length]).unwrap();
                }
            });
            let read = entries(&image, root_of(&image, "i").unwrap(), |_| Ok::<(), ()>(()));
            assert_eq!(read, Ok(whole), "{length}");
        }
    }

    #[test]
    fn every_page_of_a_table_that_sqlite_wrote_adds_up_and_none_whose_head_was_flipped() {
        let (_, image, _dir) = made(|connection| {
            connection.execute_batch("CREATE TABLE t (a)").unwrap();
            for n in 0..900i64 {
                let length = [n % 7, n % 50, 300 + n % 90, 9000][usize::try_from(n % 4).unwrap()];
                connection.execute("INSERT INTO t VALUES (zeroblob(?1))", [length]).unwrap();
            }
            // Free blocks, fragments, and what is moved together again.
            connection.execute_batch("DELETE FROM t WHERE rowid % 3 = 0 OR rowid % 7 = 0").unwrap();
            connection
                .execute_batch("UPDATE t SET a = zeroblob(length(a) - 2) WHERE rowid % 5 = 0")
                .unwrap();
            connection
                .execute_batch("UPDATE t SET a = zeroblob(length(a) + 9) WHERE rowid % 11 = 0")
                .unwrap();
        });
        let (mut inner, mut leaves, mut blocks, mut fragments) = (0, 0, 0, 0);
        for number in image.numbers() {
            let page = image.page(number).unwrap();
            match kind(&page, number) {
                PageKind::Inner(_) => inner += 1,
                PageKind::Leaf(_) => leaves += 1,
                PageKind::Index | PageKind::Other => continue,
            }
            assert!(adds_up(&page, number), "page {number}");
            let base = if number == 1 { 100 } else { 0 };
            blocks += usize::from(page[base + 1] != 0);
            fragments += usize::from(page[base + 7] != 0);
            // A free block that is none hides no row.
            let head = (base..base + 8).filter(|at| !(base + 1..base + 3).contains(at));
            for (at, bit) in head.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))) {
                let mut flipped = page.clone();
                flipped[at] ^= bit;
                assert!(!adds_up(&flipped, number), "page {number}, byte {at}, {bit}");
            }
        }
        assert!(
            inner > 0 && leaves > 30 && blocks > 10 && fragments > 5,
            "{inner} {leaves} {blocks} {fragments}"
        );
        let mut circle = vec![0; PAGE_BYTES];
        (circle[0], circle[1], circle[5]) = (0x0d, 0x0f, 0x0f);
        (circle[0xf00], circle[0xf02]) = (0x0f, 1);
        assert!(!adds_up(&circle, 2), "free blocks in a circle");
    }

    #[test]
    fn the_free_list_is_followed_to_its_end_or_not_believed() {
        let (connection, image, dir) = made(|connection| {
            connection.execute_batch("CREATE TABLE t (a)").unwrap();
            for _ in 0..1500 {
                connection.execute("INSERT INTO t VALUES (zeroblob(4000))", []).unwrap();
            }
        });
        assert_eq!(free_pages(&image), Some(vec![]));
        connection.execute_batch("DELETE FROM t WHERE rowid > 100").unwrap();
        let count = number(&connection, "PRAGMA freelist_count");
        drop(connection);
        let path = dir.path().join("db");
        let reopened = || Image::open(&path, &dir.path().join("none")).unwrap();
        let mut free = free_pages(&reopened()).unwrap();
        assert!(count > 1022 && free.len() == count, "{count}: more than one trunk");
        free.sort_unstable();
        free.dedup();
        assert_eq!(free.len(), count);
        let in_use =
            |page: &u32| leaves(&reopened(), root_of(&reopened(), "t").unwrap()).0.contains(page);
        assert!(free.last().unwrap() <= &u32::try_from(reopened().count()).unwrap());
        assert!(!free.iter().any(in_use));
        let sound = std::fs::read(&path).unwrap();
        let first = be32(&sound, 32).unwrap() as usize;
        let trunk = (first - 1) * PAGE_BYTES;
        // One more than there are; fewer; a trunk in a circle; one with more leaves than it can
        // hold; one that is none.
        for (at, bytes) in [
            (36, u32::try_from(count + 1).unwrap()),
            (36, u32::try_from(count - 1).unwrap()),
            (trunk, u32::try_from(first).unwrap()),
            (trunk + 4, 1023),
            (32, 1_000_000),
        ] {
            let mut damaged = sound.clone();
            damaged[at..at + 4].copy_from_slice(&bytes.to_be_bytes());
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(free_pages(&reopened()), None, "{bytes} at {at}");
        }
    }

    /// A leaf with one cell pointer.
    fn leaf(pointer: u16) -> PageBytes {
        let mut page = vec![0; PAGE_BYTES];
        page[0] = 0x0d;
        page[4] = 1;
        page[8..10].copy_from_slice(&pointer.to_be_bytes());
        page
    }

    #[test]
    fn a_cell_lies_behind_the_pointers_and_within_the_page() {
        for (pointer, is_leaf) in
            [(0, false), (9, false), (10, true), (4092, true), (4093, false), (u16::MAX, false)]
        {
            let found = kind(&leaf(pointer), 2);
            assert_eq!(
                matches!(found, PageKind::Leaf(cells) if cells == [usize::from(pointer)]),
                is_leaf,
                "{pointer}"
            );
        }
        let mut crowded = leaf(4000);
        crowded[3..5].fill(0xff);
        assert!(matches!(kind(&crowded, 2), PageKind::Other), "more pointers than fit");
        assert!(matches!(kind(&vec![0; PAGE_BYTES], 2), PageKind::Other));
        let mut inner = leaf(4000);
        (inner[0], inner[11], inner[4003]) = (0x05, 9, 7);
        inner.copy_within(8..10, 12);
        inner[8..12].copy_from_slice(&[0, 0, 0, 9]);
        assert!(
            matches!(kind(&inner, 2), PageKind::Inner(children) if children == [7, 9]),
            "the rightmost last"
        );
    }

    #[test]
    fn a_tree_that_leads_in_a_circle_ends_and_is_not_whole() {
        let (_, image, dir) = made(|connection| {
            connection.execute_batch("CREATE TABLE t (a)").unwrap();
            for _ in 0..20 {
                connection.execute("INSERT INTO t VALUES (zeroblob(1000))", []).unwrap();
            }
        });
        let root = root_of(&image, "t").unwrap();
        let path = dir.path().join("db");
        let mut damaged = std::fs::read(&path).unwrap();
        let at = (root as usize - 1) * PAGE_BYTES;
        assert_eq!(damaged[at], 0x05);
        damaged[at + 8..at + 12].copy_from_slice(&root.to_be_bytes());
        std::fs::write(&path, &damaged).unwrap();
        let (found, whole) = leaves(&Image::open(&path, &dir.path().join("none")).unwrap(), root);
        assert!(!whole && !found.is_empty());
    }

    #[test]
    fn integers_of_every_length_keep_their_sign() {
        assert_eq!(integer(&[0xff]), -1);
        assert_eq!(integer(&[0x7f]), 127);
        assert_eq!(integer(&[0x80, 0, 0]), -0x80_0000);
        assert_eq!(integer(&i64::MIN.to_be_bytes()), i64::MIN);
    }

    #[test]
    fn varints_are_read_up_to_nine_bytes() {
        assert_eq!(varint(&[0x7f], 0), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00], 0), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9], 0), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8], 0), None);
    }

    #[test]
    fn what_stays_in_the_leaf_is_what_sqlite_leaves_there() {
        assert_eq!(local_bytes(4061), 4061);
        assert_eq!(local_bytes(4062), 489);
        assert_eq!(local_bytes(489 + 4092), 489);
        assert_eq!(local_bytes(489 + 4092 + 100), 589);
    }

    #[test]
    fn bytes_that_are_no_record_are_none() {
        assert_eq!(record(&[0x02, 0x09]), Some(vec![Value::Int(1)]));
        assert_eq!(record(&[0x02, 0x0a]), None);
        assert_eq!(record(&[0x03, 0x09]), None);
        assert_eq!(record(&[0x02, 0x01]), None);
        assert_eq!(record(&[]), None);
        assert_eq!(
            (record(&[0x00]), record(&[0x01])),
            (None, None),
            "a header is longer than its length"
        );
        assert_eq!(record(&[0x02, 0x01, 0x07]), Some(vec![Value::Int(7)]));
        assert_eq!(
            (record(&[0x02, 0x01, 0x07, 0x07]), record(&[0x02, 0x09, 0x07])),
            (None, None),
            "too long"
        );
        assert_eq!(
            (record(&[0x02, 0x0b]), record(&[0x03, 0x81, 0x09])),
            (None, None),
            "reserved, and cut in a number"
        );
    }
}
