//! Whether the database is still the file that was opened: one that is deleted, renamed, replaced
//! or cut short under a running daemon takes with it what is acknowledged afterwards.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::aside::{self, FINISHED, Unfinished};
use super::connection::{self, LOG_BYTES_KEPT_MAX};
use super::{FILE, LOG, SHARED, Store, StoreError, count_step, files};
use crate::clock::Clock;
use crate::message::{self, Language, Storage};

/// Which files a store works on. Its clones are one: after a rescue all of them mean the new files.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
    files: Arc<Mutex<[KnownFile; 3]>>,
}

/// The names of the files, and of each so many bytes that do not go away again: SQLite keeps all of
/// the database, cuts a long log back, and sets up the log's index as it likes.
const FILES: [(&str, u64); 3] = [(FILE, u64::MAX), (LOG, LOG_BYTES_KEPT_MAX as u64), (SHARED, 0)];

/// How often it is tried to save what was taken away and could not be saved: each time, all of it
/// is copied.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// A file's device and inode, where they could be told, and how long it is at least.
#[derive(Clone, Copy, Debug, Default)]
struct KnownFile {
    identity: Option<(i64, i64)>,
    bytes: u64,
}

impl Place {
    /// Of the store that has just been opened in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), files: Arc::new(Mutex::new(known(dir))) }
    }

    /// The files are new ones of ours.
    pub(super) fn renew(&self) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known(&self.dir);
    }

    /// Looks whether the database, its log and the log's index are the files that were opened, and
    /// as long as they were. To be asked before a new connection is made (SQLite deletes the log
    /// beside an empty database), before anything is written and before it is acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Taken`] names the first that is another or gone, [`StoreError::Damaged`] the
    /// first that was cut short.
    pub fn check(&self) -> Result<(), StoreError> {
        // Held until all are looked at: a look that began later knows of greater lengths.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        FILES
            .into_iter()
            .zip(files.iter_mut())
            .try_for_each(|((name, kept), file)| file.check(&self.dir.join(name), kept))
    }
}

impl KnownFile {
    fn check(&mut self, path: &Path, kept: u64) -> Result<(), StoreError> {
        let taken = |how| Err(StoreError::Taken { path: path.to_owned(), how });
        let here = match std::fs::symlink_metadata(path) {
            Ok(here) => here,
            Err(error) if files::is_gone(&error) => return taken("it was deleted or renamed"),
            // What cannot be looked at is not known to be gone.
            Err(_) => return Ok(()),
        };
        if self.identity.is_some_and(|opened| opened != files::identity_of(&here)) {
            return taken("another file stands in its place");
        }
        if here.len() < self.bytes {
            let path = path.display();
            return Err(StoreError::Damaged(format!("{path} was cut short while redeemd ran")));
        }
        self.bytes = here.len().min(kept);
        Ok(())
    }
}

fn known(dir: &Path) -> [KnownFile; 3] {
    FILES.map(|(name, kept)| {
        let here = std::fs::symlink_metadata(dir.join(name)).ok();
        let bytes = here.as_ref().map_or(0, |here| here.len().min(kept));
        KnownFile { identity: here.as_ref().map(files::identity_of), bytes }
    })
}

/// The writer's eye on its files: what is seen, and what was saved.
#[derive(Debug)]
pub struct FileWatch {
    place: Place,
    taken: Option<Storage>,
    saved: Option<PathBuf>,
    /// When it was last tried to save it.
    tried_at: Instant,
}

impl FileWatch {
    /// Over the files of `store`.
    #[must_use]
    pub fn over(store: &Store) -> Self {
        Self { place: store.place(), taken: None, saved: None, tried_at: Instant::now() }
    }

    /// Why nothing may be taken in, if the database was taken away.
    #[must_use]
    pub fn taken(&self) -> Option<&Storage> {
        self.taken.as_ref()
    }

    /// Looks; whether something changed. What can still be reached is saved as soon as it is seen
    /// to be gone, and where that fails each [`SAVE_EVERY`] again: there may be room since.
    ///
    /// # Errors
    /// A file was cut short: the store is to be rescued before anything else is done with it.
    pub fn look(&mut self, store: &Store) -> Result<bool, StoreError> {
        match (self.place.check(), self.taken.is_some()) {
            (Err(cut @ StoreError::Damaged(_)), false) => return Err(cut),
            (Err(error), false) => return Ok(self.set_taken(&error, store)),
            (Ok(()), true) => self.set_back(),
            (Err(error), true) if self.is_to_be_saved() => return Ok(self.set_taken(&error, store)),
            (Err(_), true) | (Ok(()), false) => return Ok(false),
        }
        Ok(true)
    }

    /// Before the store is closed: attempts that were on the wire have ended meanwhile.
    pub fn save_again(&mut self, store: &Store) {
        if self.taken.is_none() {
            return;
        }
        match store.save() {
            Ok(path) => {
                if self.saved.as_ref() != Some(&path) {
                    self.forget_saved();
                }
                self.saved = Some(path);
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "the database that was taken away could not be saved again"
                );
            }
        }
    }

    fn is_to_be_saved(&self) -> bool {
        self.saved.is_none() && self.tried_at.elapsed() >= SAVE_EVERY
    }

    /// Whether that is news: to be saved in vain for the same reason is none.
    fn set_taken(&mut self, error: &StoreError, store: &Store) -> bool {
        self.tried_at = Instant::now();
        let why = error.to_string();
        let taken = match store.save() {
            Ok(path) => {
                let saved = path.display().to_string();
                self.saved = Some(path);
                Storage::TakenAway { why, saved }
            }
            Err(error) => Storage::TakenUnsaved { why, error: error.to_string() },
        };
        let is_news = self.taken.as_ref() != Some(&taken);
        if is_news {
            tracing::error!("{}", taken.text(Language::English));
        }
        self.taken = Some(taken);
        is_news
    }

    fn set_back(&mut self) {
        self.forget_saved();
        self.taken = None;
        tracing::warn!("the database is where it was: redemptions are accepted again");
    }

    /// The next start must not go on with a copy that is older than the database.
    fn forget_saved(&mut self) {
        let Some(path) = self.saved.take() else { return };
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::error!(%error, path = %path.display(), "an old copy could not be removed: \
                remove it");
        }
    }
}

impl Store {
    /// The files that this store works on.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Copies the whole database through the open connection, under the name with which a start
    /// goes on.
    ///
    /// # Errors
    /// It cannot be read, or the copy cannot be written: there is none.
    fn save(&self) -> Result<PathBuf, StoreError> {
        let aside = aside::free_name(&self.dir)?;
        let told =
            Storage::WentOnWithCopy { set_aside: self.dir.join(&aside).display().to_string() };
        self.copied().and_then(|copy| copy.finish(&self.dir, &aside, &told)).inspect_err(
            // A part of it would only take what others need.
            |_| drop(Unfinished::begin(&self.dir)),
        )
    }

    /// As [`Store::save`], of a database of which a file was `cut` short: what is missing in the
    /// files may be in the connection's memory. A whole copy goes on as the database itself.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub(super) fn save_cut(&self, cut: &StoreError) -> Result<CutCopy, StoreError> {
        let aside = aside::free_name(&self.dir)?;
        let mut copy = self.copied()?;
        let path = copy.new.path().to_owned();
        let counted = || {
            count_step();
            true
        };
        // It needs no log beside it, and is no stranger's copy.
        let sql = "UPDATE meta SET device = ?1, inode = ?2, wal_bytes = 0";
        let signed = copy.connection.execute(sql, files::identity(&path)?);
        if signed.is_err() || connection::check_while(&mut copy.connection, counted).is_err() {
            return Ok(CutCopy::Part(path));
        }
        let set_aside = self.dir.join(&aside).display().to_string();
        let told = Storage::Cut { why: cut.to_string(), set_aside };
        copy.finish(&self.dir, &aside, &told)?;
        Ok(CutCopy::Whole)
    }

    fn copied(&self) -> Result<SavedCopy, StoreError> {
        let new = Unfinished::begin(&self.dir)?;
        let mut connection = Connection::open(new.path())?;
        let backup = Backup::new(&self.connection, &mut connection)?;
        while backup.step(COPY_PAGES)? != StepResult::Done {
            count_step();
        }
        drop(backup);
        Ok(SavedCopy { new, connection })
    }
}

/// How many pages are copied before it is counted as a step.
const COPY_PAGES: i32 = 1000;

/// What the connection still knew of a database of which a file was cut short.
pub(super) enum CutCopy {
    /// All: it waits to be gone on with.
    Whole,
    /// The pages that it remembered and those that the files still have; the others are empty.
    Part(PathBuf),
}

/// A copy that was made through the open connection, before it has its name.
struct SavedCopy {
    new: Unfinished,
    connection: Connection,
}

impl SavedCopy {
    /// A start, or a rescue, goes on with it and sets the old files `aside`.
    fn finish(self, dir: &Path, aside: &str, told: &Storage) -> Result<PathBuf, StoreError> {
        tell(&self.connection, aside, told)?;
        self.connection.close().map_err(|(_, error)| StoreError::Sqlite(error))?;
        let name = format!("{FINISHED}{aside}");
        self.new.install(&name)?;
        Ok(dir.join(name))
    }
}

/// Said in the events, and in `status` for as long as the file `aside` is there.
fn tell(connection: &Connection, aside: &str, told: &Storage) -> Result<(), StoreError> {
    let stored = told.to_stored();
    let event = message::Event::Salvage { how: told.clone() }.to_stored();
    let sql = "INSERT INTO event (at_ms, lane, what, by, detail) VALUES (?1, '', 'salvage', \
        'redeemd', ?2)";
    connection.execute(sql, (Clock::system().stamp().unix_ms, &event))?;
    connection.execute("UPDATE meta SET salvage = ?1", [format!("{aside}\n{stored}")])?;
    Ok(())
}

/// Whether a daemon has worked here whose database is gone.
pub(super) fn is_missing(dir: &Path) -> Result<bool, StoreError> {
    let there = |name: &str| dir.join(name).exists();
    Ok(!there(FILE)
        && !there(LOG)
        && (files::is_used(dir) || there("reserve"))
        && aside::finished(dir)?.is_none())
}

/// A new database stands where there was another: said in its events, and in `status` until
/// somebody has removed the file of which the name is returned.
pub(super) fn tell_missing(dir: &Path, connection: &Connection) -> Result<PathBuf, StoreError> {
    let name = aside::free_name(dir)?;
    let told = Storage::Missing { remove: name.clone() };
    let path = dir.join(&name);
    let mut file = std::fs::File::create(&path).map_err(files::file_error(&path))?;
    writeln!(file, "{}", told.text(Language::English))
        .and_then(|()| file.sync_all())
        .map_err(files::file_error(&path))?;
    files::sync_dir(dir)?;
    tell(connection, &name, &told)?;
    Ok(path)
}
