//! The door to all that reads a damaged database: how damage is found, and how the rows that are
//! left get into a new database.
//!
//! The daily store names nothing below this file. `pages.rs` reads the file and its log without
//! SQLite, `records.rs` reads rows in a page, `salvage/` checks each row by its checksum,
//! corrects single flipped bits and makes the books again.

mod pages;
mod records;
mod salvage;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use self::pages::Image;
pub use self::salvage::Tally;
use super::aside::{self, FINISHED, Unfinished};
use super::connection::PAGE_BYTES;
use super::types::Event;
use super::{FILE, LOG, StoreError, Trouble, files, schema};
use crate::clock::Clock;
use crate::message::{self, Language, Storage};

/// The beginning of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What a rescue has to leave free: without room for a log nothing in the new database could ever
/// be settled.
const LEFT_BYTES_MIN: u64 = 512 * 1024;

/// How many steps of SQLite's count as one of a salvage: some ten rows.
const STEPS: i32 = 1000;
static SALVAGED: AtomicU64 = AtomicU64::new(0);

/// How many steps salvages have made in this process: whoever waits for one sees that it goes on.
#[must_use]
pub fn salvage_steps() -> u64 {
    SALVAGED.load(Ordering::Relaxed)
}

/// One more, of whatever a salvage has to do.
pub(super) fn count_step() {
    SALVAGED.fetch_add(1, Ordering::Relaxed);
}

/// What became of a damaged database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// What was wrong.
    pub why: String,
    /// Where its bytes are now; its log lies beside it under the same name and `-wal`.
    pub set_aside: PathBuf,
    /// What was kept.
    pub tally: Tally,
}

impl Salvage {
    /// In words, as they are kept and shown.
    #[must_use]
    pub fn told(&self) -> Storage {
        let Tally { kept, pending, parked, restored, mended, lost } = self.tally;
        let why = self.why.as_str().into();
        let set_aside = self.set_aside.display().to_string().into();
        let restored = Some(restored);
        Storage::Salvaged { why, set_aside, kept, pending, parked, restored, mended, lost }
    }
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told().text(Language::English))
    }
}

/// Looks at the file and its log before SQLite does: SQLite would silently drop what lies behind a
/// damaged place of the log. How long the log is, in bytes; zero where nothing is found in it.
pub(super) fn look(dir: &Path) -> Result<u64, StoreError> {
    look_at(dir).map(|image| image.log_bytes())
}

/// As [`look`]; whether the database holds all that its log does.
pub(super) fn look_whether_moved(dir: &Path) -> Result<bool, StoreError> {
    look_at(dir).map(|image| image.is_moved())
}

fn look_at(dir: &Path) -> Result<Image, StoreError> {
    let path = dir.join(FILE);
    let mut head = [0; 100];
    let read = File::open(&path)
        .and_then(|mut file| file.read(&mut head))
        .map_err(files::file_error(&path))?;
    if read < head.len() {
        return Err(StoreError::Damaged("the file is not a database".to_owned()));
    }
    let image = Image::open(&path, &dir.join(LOG))?;
    // A power cut may garble the first page while it is moved from the log: the log holds it still,
    // and SQLite reads it there.
    let head_fault = || head_fault(&head).filter(|_| !image.is_logged(1));
    let fault = image.log_fault().map(str::to_owned).or_else(head_fault);
    fault.map_or(Ok(image), |fault| Err(StoreError::Damaged(fault)))
}

/// The log, all of which is in the database, is empty from now on. Whoever replaces the database
/// then does not get the log's pages into it.
///
/// # Errors
/// The log cannot be written or synced: it is as it was, or empty.
pub(super) fn empty_log(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(LOG);
    let emptied = File::options().write(true).open(&path).and_then(|log| {
        log.write_all_at(&pages::EMPTIED, 0)?;
        log.sync_data()
    });
    emptied.map_err(files::file_error(&path))
}

fn head_fault(head: &[u8]) -> Option<String> {
    if !head.starts_with(MAGIC) {
        return Some("the file is not a database".to_owned());
    }
    let page_bytes = pages::be16(head, 16);
    (page_bytes != Some(PAGE_BYTES))
        .then(|| format!("its page size is {}", page_bytes.unwrap_or(0)))
}

/// Sets the database aside and puts a new one in its place, with every row that could be salvaged.
/// Nothing may have the database open. Until the new one is finished the damaged one stays where it
/// is. The rows are those of the `copy`, which is not kept, where there is one.
pub(super) fn rescue(dir: &Path, why: &str, copy: Option<&Path>) -> Result<Salvage, StoreError> {
    let aside = aside::free_name(dir)?;
    let image = match copy {
        Some(copy) => Image::open(copy, &copy.with_extension("none"))?,
        None => Image::open(&dir.join(FILE), &dir.join(LOG))?,
    };
    let build = || build(dir, why, &image, &aside);
    let salvage = build().or_else(|error| match error.trouble() {
        Trouble::Full if files::give_up_reserve(dir) => build(),
        Trouble::Full
        | Trouble::Operation
        | Trouble::Unwritable
        | Trouble::Damaged
        | Trouble::Fatal => Err(error),
    });
    let salvage = salvage.map_err(|error| in_vain(dir, why, error))?;
    aside::finish(dir)?;
    Ok(salvage)
}

/// Fills the new database `to` with what the damaged files hold, which stay as they are.
///
/// # Errors
/// The files cannot be read, or the new database cannot be written.
pub(super) fn read_into(to: &Connection, file: &Path, log: &Path) -> Result<Tally, StoreError> {
    let (tally, _) = salvage::salvage(&Image::open(file, log)?, to)?;
    Ok(tally)
}

fn build(dir: &Path, why: &str, image: &Image, aside: &str) -> Result<Salvage, StoreError> {
    let new = Unfinished::begin(dir)?;
    let mut connection = schema::create(new.path())?;
    let step = || {
        count_step();
        false
    };
    connection.progress_handler(STEPS, Some(step))?;
    let (tally, floor) = salvage::salvage(image, &connection)?;
    let salvage = Salvage { why: why.to_owned(), set_aside: dir.join(aside), tally };
    let event = event(&salvage);
    let note = format!("{aside}\n{}", salvage.told().to_stored());
    salvage::sign(&connection, new.path(), (&event, &note), floor)?;
    schema::finish(connection)?;
    files::demand_free(dir, LEFT_BYTES_MIN)?;
    new.install(&format!("{FINISHED}{aside}"))?;
    Ok(salvage)
}

fn event(salvage: &Salvage) -> Event {
    Event {
        at_ms: Clock::system().stamp().unix_ms,
        id: None,
        lane: String::new(),
        what: "salvage".to_owned(),
        by: "redeemd".to_owned(),
        detail: message::Event::Salvage { how: salvage.told() }.to_stored(),
    }
}

fn in_vain(dir: &Path, why: &str, error: StoreError) -> StoreError {
    // Half a new database is of no use to anybody, its space is.
    drop(Unfinished::begin(dir));
    if error.trouble() != Trouble::Full {
        return error;
    }
    let size =
        |name| std::fs::metadata(dir.join(name)).map_or(0, |meta: std::fs::Metadata| meta.len());
    let needed = size(FILE) + size(LOG) + LEFT_BYTES_MIN;
    StoreError::NoRoomToRescue { why: why.to_owned(), needed, free: files::free_bytes(dir) }
}

/// What was set aside and what was kept, as long as the file that was set aside is there.
pub(super) fn note<'a>(dir: &Path, text: &'a str) -> Option<&'a str> {
    let (name, note) = text.split_once('\n')?;
    let is_there = ["", "-wal"].iter().any(|end| dir.join(format!("{name}{end}")).exists());
    is_there.then_some(note)
}
