//! A disk that keeps what was synced and may keep, lose, tear or garble everything else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::tape::{Event, File, Tape};
use crate::volatile::{Content, Fate, Names};

#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<File, Content>,
    names: Names,
}

pub(crate) struct Image(BTreeMap<String, (File, Vec<u8>)>);

impl Disk {
    pub(crate) fn play(&mut self, event: &Event) {
        match event {
            Event::Create(name, file) => {
                self.files.entry(*file).or_default();
                self.names.add(name, *file);
            }
            Event::Write(file, offset, data) => self.content(*file).write(*offset, data.clone()),
            Event::Cut(file, length) => self.content(*file).cut(*length),
            Event::Sync(file) => self.content(*file).sync(),
            Event::SyncNames => self.names.sync(),
            Event::Rename(from, to) => {
                self.names.rename(from, to).expect("a file that is renamed");
            }
            Event::Remove(name) => {
                self.names.remove(name).expect("a file that is removed");
            }
            Event::Said(_) => {}
        }
    }

    fn content(&mut self, file: File) -> &mut Content {
        self.files.entry(file).or_default()
    }

    /// Whether a power cut now can leave more than one disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        !self.names.is_synced() || !self.files.values().all(Content::is_synced)
    }

    /// What is on the disk after a power cut now; `None`: nothing was pending, so that only one
    /// fate is possible.
    pub(crate) fn image(&self, fate: Fate) -> Option<Image> {
        if !self.is_unsynced() && !matches!(fate, Fate::Lost) {
            return None;
        }
        let mut dice = fate.dice();
        let (names, _) = self.names.after(fate, &mut dice);
        let mut image = BTreeMap::new();
        for (name, file) in names {
            let (bytes, _) = self.files[&file].after(fate, &mut dice);
            image.insert(name, (file, bytes));
        }
        Some(Image(image))
    }
}

impl Image {
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        self.0.hash(&mut hash);
        hash.finish()
    }

    /// Lays the image out in `dir`, each file in the inode that it had, as far as that still lives.
    pub(crate) fn mount(&self, dir: &Path, tape: &Tape) {
        if dir.exists() {
            std::fs::remove_dir_all(dir).unwrap();
        }
        std::fs::create_dir(dir).unwrap();
        // What is written here is changed here, which tells a copy: powercut:: has the counterpart.
        for (name, (file, bytes)) in self.0.iter().filter(|(name, _)| *name != "counterpart") {
            let path = dir.join(name);
            if let Some(living) = tape.living.get(file) {
                std::fs::hard_link(living, &path).unwrap();
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
