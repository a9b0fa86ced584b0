//! A copy of the whole database while it is in use. It stands beside the database for as long as it
//! is made and has no name any more once it can be read.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::aside::remove_if_there;
use super::files::{self, FREE_BYTES_MIN, RESERVE_BYTES};
use super::{Reader, StoreError, checks};

/// The copy's name while it is made, which nobody would give a file of their own: what a killed
/// process left of one is removed by the next start and the next backup.
const NAME: &str = "redeemd.db.copying";
const BESIDE: [&str; 4] =
    [NAME, "redeemd.db.copying-journal", "redeemd.db.copying-wal", "redeemd.db.copying-shm"];

impl Reader {
    /// Copies the database as it stands now into an unnamed file of the directory `dir`, and gives
    /// that back. Tills' remembered checks, which may name customers, are left out. Writers go on
    /// meanwhile. One at a time: the caller sees to that.
    ///
    /// # Errors
    /// [`StoreError::NoRoomToCopy`] before anything is written; or the database cannot be read, the
    /// copy not written.
    pub fn backup(&self, dir: &Path) -> Result<File, StoreError> {
        demand_room(dir, self.bytes()?)?;
        clear(dir)?;
        let path = dir.join(NAME);
        let made =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(files::file_error(&path))?;
        let copied = self.copy_to(&path);
        // Whatever became of it, its space is given back when the last who has it open is gone.
        clear(dir)?;
        copied.map(|()| file)
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        let number =
            |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(number("page_count")?.saturating_mul(number("page_size")?))
    }

    fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let mut copy = Connection::open(path)?;
        {
            // In one step: with several, each commit of the writer would begin it anew.
            let backup = Backup::new(&self.connection, &mut copy)?;
            while backup.step(-1)? != StepResult::Done {}
        }
        // Wherever it is put, even into the file that it was made of, it is known as a copy.
        copy.execute("UPDATE meta SET device = 0, inode = 0", [])?;
        // A database whose last steps wait for room remembers none.
        if copy.table_exists(None, "check_share")? {
            copy.execute_batch(checks::LEFT_OUT_OF_COPIES)?;
        }
        copy.close().map_err(|(_, error)| StoreError::Sqlite(error))
    }
}

/// The store itself must be able to go on: what it keeps free is not the copy's.
fn demand_room(dir: &Path, copy: u64) -> Result<(), StoreError> {
    let (needed, free) = (copy + FREE_BYTES_MIN + RESERVE_BYTES, files::free_bytes(dir));
    if free < needed { Err(StoreError::NoRoomToCopy { needed, free }) } else { Ok(()) }
}

/// Removes what is left of a copy. Nobody else may be making one.
pub(super) fn clear(dir: &Path) -> Result<(), StoreError> {
    BESIDE.iter().try_for_each(|name| remove_if_there(&dir.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_room_for_it_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let refused = demand_room(dir.path(), u64::MAX / 2).unwrap_err();
        assert!(
            matches!(refused, StoreError::NoRoomToCopy { needed, free } if needed > free),
            "{refused}"
        );
        assert!(demand_room(dir.path(), 0).is_ok());
    }
}
