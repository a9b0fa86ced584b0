//! A damaged database: how it is known, set aside with its bytes intact, and followed by a new one.
//!
//! The order survives a power cut at any point. The new database is built and synced beside the
//! damaged one; a rename to a name that says where the damaged files are to go declares it
//! finished; then the damaged files are renamed, and last the new one comes to its place. Whoever
//! finds the finished one at a start goes on from there.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::pages::{self, Image};
use super::salvage::{self, Tally};
use super::types::Event;
use super::{FILE, LOG, SHARED, StoreError, files, schema};
use crate::clock::{Clock, rfc3339};
use crate::message::{self, Language, Storage};

/// The beginning of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// A new database while it is being made.
const UNFINISHED: &str = "redeemd.db.new";
/// A new database that waits for the damaged one to be set aside; the set-aside name follows.
pub(super) const FINISHED: &str = "redeemd.db.rescued-";
/// What is set aside; the time follows, in UTC.
const ASIDE: &str = "redeemd.db.damaged-";
/// What a rescue has to leave free: without room for a log nothing in the new database could ever
/// be settled.
const LEFT_BYTES_MIN: u64 = 512 * 1024;
/// How many files may be set aside under one second's name.
const ASIDE_NAMES_MAX: usize = 1000;

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
        let Tally { kept, pending, parked, mended, lost } = self.tally;
        let set_aside = self.set_aside.display().to_string();
        Storage::Salvaged { why: self.why.clone(), set_aside, kept, pending, parked, mended, lost }
    }
}

impl fmt::Display for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told().text(Language::English))
    }
}

/// Looks at the file and its log before SQLite does: SQLite would silently drop what lies behind a
/// damaged place of the log.
pub(super) fn look(dir: &Path) -> Result<(), StoreError> {
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
    fault.map_or(Ok(()), |fault| Err(StoreError::Damaged(fault)))
}

fn head_fault(head: &[u8]) -> Option<String> {
    if !head.starts_with(MAGIC) {
        return Some("the file is not a database".to_owned());
    }
    let page_bytes = pages::be16(head, 16);
    (page_bytes != Some(pages::PAGE_BYTES))
        .then(|| format!("its page size is {}", page_bytes.unwrap_or(0)))
}

/// A file that is not yet what it is to be.
pub(super) struct Unfinished {
    dir: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Nothing is left of an earlier one.
    pub(super) fn begin(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(UNFINISHED);
        for name in
            [UNFINISHED, "redeemd.db.new-wal", "redeemd.db.new-shm", "redeemd.db.new-journal"]
        {
            remove_if_there(&dir.join(name))?;
        }
        Ok(Self { dir: dir.to_owned(), path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes are synced, then its name; nothing has it open.
    pub(super) fn install(self, name: &str) -> Result<(), StoreError> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(files::file_error(&self.path))?;
        std::fs::rename(&self.path, self.dir.join(name)).map_err(files::file_error(&self.path))?;
        files::sync_dir(&self.dir)
    }
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(files::file_error(path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Sets the database aside and puts a new one in its place, with every row that could be salvaged.
/// Nothing may have the database open. Until the new one is finished the damaged one stays where it
/// is.
pub(super) fn rescue(dir: &Path, why: &str) -> Result<Salvage, StoreError> {
    let aside = free_name(dir)?;
    let salvage = build(dir, why, &aside).or_else(|error| match error.trouble() {
        super::Trouble::Full if files::give_up_reserve(dir) => build(dir, why, &aside),
        super::Trouble::Full
        | super::Trouble::Operation
        | super::Trouble::Unwritable
        | super::Trouble::Damaged
        | super::Trouble::Fatal => Err(error),
    });
    let salvage = salvage.map_err(|error| in_vain(dir, why, error))?;
    finish(dir)?;
    Ok(salvage)
}

fn build(dir: &Path, why: &str, aside: &str) -> Result<Salvage, StoreError> {
    let image = Image::open(&dir.join(FILE), &dir.join(LOG))?;
    let new = Unfinished::begin(dir)?;
    let connection = schema::create(new.path())?;
    let (tally, floor) = salvage::salvage(&image, &connection)?;
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
    if error.trouble() != super::Trouble::Full {
        return error;
    }
    let size =
        |name| std::fs::metadata(dir.join(name)).map_or(0, |meta: std::fs::Metadata| meta.len());
    let needed = size(FILE) + size(LOG) + LEFT_BYTES_MIN;
    StoreError::NoRoomToRescue { why: why.to_owned(), needed, free: files::free_bytes(dir) }
}

/// A name under which nothing lies yet.
pub(super) fn free_name(dir: &Path) -> Result<String, StoreError> {
    let time = rfc3339(Clock::system().stamp().unix_ms).replace([':', '-'], "");
    let names = (0..ASIDE_NAMES_MAX)
        .map(|n| if n == 0 { format!("{ASIDE}{time}") } else { format!("{ASIDE}{time}.{n}") });
    let taken =
        |name: &String| ["", "-wal"].iter().any(|end| dir.join(format!("{name}{end}")).exists());
    names
        .into_iter()
        .find(|name| !taken(name))
        .ok_or(StoreError::Internal("no free name to set a file aside"))
}

/// Goes on with a rescue that had got as far as a finished new database, if there is one.
pub(super) fn finish(dir: &Path) -> Result<(), StoreError> {
    let Some(aside) = finished(dir)? else { return Ok(()) };
    for (name, end) in [(LOG, "-wal"), (SHARED, "-shm"), (FILE, "")] {
        let (from, to) = (dir.join(name), dir.join(format!("{aside}{end}")));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(files::file_error(&from)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    files::sync_dir(dir)?;
    let from = dir.join(format!("{FINISHED}{aside}"));
    std::fs::rename(&from, dir.join(FILE)).map_err(files::file_error(&from))?;
    files::sync_dir(dir)
}

/// The set-aside name that a finished new database carries.
pub(super) fn finished(dir: &Path) -> Result<Option<String>, StoreError> {
    for entry in std::fs::read_dir(dir).map_err(files::file_error(dir))? {
        let name = entry.map_err(files::file_error(dir))?.file_name();
        if let Some(aside) = name.to_str().and_then(|name| name.strip_prefix(FINISHED)) {
            return Ok(Some(aside.to_owned()));
        }
    }
    Ok(None)
}

/// What was set aside and what was kept, as long as the file that was set aside is there.
pub(super) fn note<'a>(dir: &Path, text: &'a str) -> Option<&'a str> {
    let (name, note) = text.split_once('\n')?;
    let is_there = ["", "-wal"].iter().any(|end| dir.join(format!("{name}{end}")).exists());
    is_there.then_some(note)
}
