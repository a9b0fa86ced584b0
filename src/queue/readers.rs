//! Connections that only read, a few kept open for whoever looks next.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::store::{Place, Reader, StoreError};

/// How many short readers may work at once beside the one of whoever looks.
pub(super) const READERS_MAX: usize = 4;
/// How many connections are kept open.
const KEPT_MAX: usize = 2;

/// The connections that wait, each with the generation of the database that it reads.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<IdleReaders>);

#[derive(Debug, Default)]
struct IdleReaders {
    generation: u64,
    readers: Vec<Reader>,
}

impl Readers {
    /// Looks at the database of `generation` at `path`, through a connection that is kept or a new
    /// one. It is given back afterwards unless something went wrong, or the database is another by
    /// then.
    ///
    /// # Errors
    /// The database was taken away, cannot be opened, or `what` fails.
    pub(super) fn look<T>(
        &self,
        (path, place): (&Path, &Place),
        generation: u64,
        what: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Err(taken) = place.check() {
            self.begin(generation);
            return Err(taken);
        }
        let reader = match self.take(generation) {
            Some(reader) => reader.again()?,
            None => Reader::open(path)?,
        };
        let found = what(&reader)?;
        self.keep(generation, reader.rested()?);
        Ok(found)
    }

    /// The database is of this generation from now on: those that read an earlier one are closed.
    pub(super) fn begin(&self, generation: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = IdleReaders { generation, readers: Vec::new() };
    }

    /// Nobody has looked for a while: none is kept open.
    pub(super) fn rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).readers.clear();
    }

    /// How many are kept open.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).readers.len()
    }

    fn take(&self, generation: u64) -> Option<Reader> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation == generation { kept.readers.pop() } else { None }
    }

    fn keep(&self, generation: u64, reader: Reader) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation == generation && kept.readers.len() < KEPT_MAX {
            kept.readers.push(reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{FILE, Store, Trouble};

    use super::*;

    #[test]
    fn a_connection_is_kept_for_the_next_and_none_of_an_earlier_database() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path()).unwrap();
        let (path, place) = (store.path(), store.place());
        let readers = Readers::default();
        let lanes =
            |generation| readers.look((&path, &place), generation, |reader| Ok(reader.lanes.len()));
        assert_eq!((lanes(0).unwrap(), readers.kept()), (0, 1));
        store.ensure_lanes(&["retm".to_owned()]).unwrap();
        assert_eq!((lanes(0).unwrap(), readers.kept()), (1, 1), "a lane that came since is known");
        assert_eq!(
            (lanes(1).unwrap(), readers.kept()),
            (1, 1),
            "one of another generation is not given back"
        );
        readers.begin(1);
        assert_eq!((readers.kept(), lanes(1).unwrap(), readers.kept()), (0, 1, 1));
        readers.rest();
        assert_eq!(readers.kept(), 0, "when nobody has looked for a while");
    }

    #[test]
    fn a_database_that_was_taken_away_is_not_read_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let (path, place) = (store.path(), store.place());
        let readers = Readers::default();
        let look = || readers.look((&path, &place), 0, |reader| Ok(reader.lanes.len()));
        look().unwrap();
        std::fs::rename(dir.path().join(FILE), dir.path().join("elsewhere")).unwrap();
        assert!(matches!(look(), Err(StoreError::Taken { .. })) && readers.kept() == 0);
        std::fs::rename(dir.path().join("elsewhere"), dir.path().join(FILE)).unwrap();
        assert!(look().is_ok());
    }

    #[test]
    fn one_that_met_damage_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let readers = Readers::default();
        let damage = |_: &Reader| Err::<(), _>(StoreError::Damaged("a test".to_owned()));
        let error = readers.look((&store.path(), &store.place()), 0, damage).unwrap_err();
        assert!(error.trouble() == Trouble::Damaged && readers.kept() == 0);
    }
}
