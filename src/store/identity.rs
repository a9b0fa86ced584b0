//! Whether the database is still the file that was opened: one that is deleted, renamed or replaced
//! under a running daemon takes with it what is acknowledged afterwards.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::aside::{self, FINISHED, Unfinished};
use super::{FILE, LOG, SHARED, Store, StoreError, files};
use crate::clock::Clock;
use crate::message::{self, Language, Storage};

/// Which files a store works on. Its clones are one: after a rescue all of them mean the new files.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
    files: Arc<Mutex<[Known; 3]>>,
}

/// A file's device and inode, where they could be told.
type Known = Option<(i64, i64)>;

const NAMES: [&str; 3] = [FILE, LOG, SHARED];

impl Place {
    /// Of the store that has just been opened in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), files: Arc::new(Mutex::new(known(dir))) }
    }

    /// The files are new ones of ours.
    pub(super) fn renew(&self) {
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known(&self.dir);
    }

    /// Looks whether the database, its log and the log's index are the files that were opened. To
    /// be asked before a new connection is made, and before anything is acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Taken`] names the first that is not.
    pub fn check(&self) -> Result<(), StoreError> {
        let opened = *self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, opened) in NAMES.into_iter().zip(opened) {
            let path = self.dir.join(name);
            let how = match files::identity(&path) {
                Ok(here) if opened.is_some_and(|opened| opened != here) => {
                    "another file stands in its place"
                }
                Err(StoreError::File { error, .. })
                    if error.kind() == std::io::ErrorKind::NotFound =>
                {
                    "it was deleted or renamed"
                }
                // What cannot be looked at is not known to be gone.
                Ok(_) | Err(_) => continue,
            };
            return Err(StoreError::Taken { path, how });
        }
        Ok(())
    }
}

fn known(dir: &Path) -> [Known; 3] {
    NAMES.map(|name| files::identity(&dir.join(name)).ok())
}

/// The writer's eye on its files: what is seen, and what was saved.
#[derive(Debug)]
pub struct FileWatch {
    place: Place,
    taken: Option<Storage>,
    saved: Option<PathBuf>,
}

impl FileWatch {
    /// Over the files of `store`.
    #[must_use]
    pub fn over(store: &Store) -> Self {
        Self { place: store.place(), taken: None, saved: None }
    }

    /// Why nothing may be taken in, if the database was taken away.
    #[must_use]
    pub fn taken(&self) -> Option<&Storage> {
        self.taken.as_ref()
    }

    /// Looks; whether something changed. What can still be reached is saved as soon as it is seen
    /// to be gone.
    pub fn look(&mut self, store: &Store) -> bool {
        match (self.place.check(), self.taken.is_some()) {
            (Err(error), false) => self.set_taken(&error, store),
            (Ok(()), true) => self.set_back(),
            (Err(_), true) | (Ok(()), false) => return false,
        }
        true
    }

    /// Before the store is closed: attempts that were on the wire have ended meanwhile.
    pub fn save_again(&mut self, store: &Store) {
        if self.taken.is_none() {
            return;
        }
        self.forget_saved();
        match store.save() {
            Ok(path) => self.saved = Some(path),
            Err(error) => {
                tracing::error!(
                    %error,
                    "the database that was taken away could not be saved again"
                );
            }
        }
    }

    fn set_taken(&mut self, error: &StoreError, store: &Store) {
        let why = error.to_string();
        let taken = match store.save() {
            Ok(path) => {
                let saved = path.display().to_string();
                self.saved = Some(path);
                Storage::TakenAway { why, saved }
            }
            Err(error) => Storage::TakenUnsaved { why, error: error.to_string() },
        };
        tracing::error!("{}", taken.text(Language::English));
        self.taken = Some(taken);
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
    /// It cannot be read, or the copy cannot be written.
    fn save(&self) -> Result<PathBuf, StoreError> {
        let aside = aside::free_name(&self.dir)?;
        let new = Unfinished::begin(&self.dir)?;
        let mut copy = Connection::open(new.path())?;
        {
            let backup = Backup::new(&self.connection, &mut copy)?;
            while backup.step(-1)? != rusqlite::backup::StepResult::Done {}
        }
        let text = Storage::WentOn.to_stored();
        copy.execute("UPDATE meta SET salvage = ?1", [format!("{aside}\n{text}")])?;
        copy.close().map_err(|(_, error)| StoreError::Sqlite(error))?;
        let name = format!("{FINISHED}{aside}");
        new.install(&name)?;
        Ok(self.dir.join(name))
    }
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
    let sql = "INSERT INTO event (at_ms, lane, what, by, detail) VALUES (?1, '', 'salvage', \
        'redeemd', ?2)";
    let stored = told.to_stored();
    let event = message::Event::Salvage { how: told }.to_stored();
    connection.execute(sql, (Clock::system().stamp().unix_ms, &event))?;
    connection.execute("UPDATE meta SET salvage = ?1", [format!("{name}\n{stored}")])?;
    Ok(path)
}
