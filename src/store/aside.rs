//! A new database comes to its place by a rename, whole; the one before is set aside with its bytes
//! intact.
//!
//! The order survives a power cut at any point. The new database is built and synced beside the
//! old one. A rename to a name that says where the old files are to go declares it finished. Then
//! the old files are renamed, and last the new one comes to its place. Whoever finds the finished
//! one at a start goes on from there.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{FILE, LOG, SHARED, StoreError, files};
use crate::clock::{Clock, rfc3339};

/// A new database while it is being made.
const UNFINISHED: &str = "redeemd.db.new";
/// A new database that waits for the damaged one to be set aside; the set-aside name follows.
pub(super) const FINISHED: &str = "redeemd.db.rescued-";
/// What is set aside; the time follows, in UTC.
const ASIDE: &str = "redeemd.db.damaged-";
/// How many files may be set aside under one second's name.
const ASIDE_NAMES_MAX: usize = 1000;

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
