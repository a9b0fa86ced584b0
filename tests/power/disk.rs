//! A disk that keeps what was synced and may keep, lose, tear or garble everything else.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::tape::{Event, File, Tape};

/// What a disk writes at once, or not at all, or as noise.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug)]
enum Naming {
    Add(String, File),
    Move(String, String, File),
    Remove(String),
}

#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<File, Content>,
    /// As the process sees them.
    names: BTreeMap<String, File>,
    synced_names: BTreeMap<String, File>,
    pending_names: Vec<Naming>,
}

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It is lost.
    Lost,
    /// It is there.
    Kept,
    /// Any of the writes, in any order: some are there and some are not. Names up to some point.
    Some(u64),
    /// As far as it came, the last write torn at a sector.
    Torn(u64),
    /// Some, and a sector that was being written is noise.
    Garbled(u64),
    /// Each sector of each write for itself; each name for itself.
    Scattered(u64),
}

impl Fate {
    pub(crate) fn of(n: u64, seed: u64) -> Self {
        match n {
            0 => Self::Lost,
            1 => Self::Kept,
            _ => match (n - 2 + seed) % 4 {
                0 => Self::Some(seed),
                1 => Self::Torn(seed),
                2 => Self::Garbled(seed),
                _ => Self::Scattered(seed),
            },
        }
    }
}

pub(crate) struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % bound.max(1) as u64).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

pub(crate) struct Image(BTreeMap<String, (File, Vec<u8>)>);

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Cut(length) => content.resize(usize::try_from(*length).unwrap(), 0),
        Change::Write(offset, data) => {
            let at = usize::try_from(*offset).unwrap();
            if content.len() < at + data.len() {
                content.resize(at + data.len(), 0);
            }
            content[at..at + data.len()].copy_from_slice(data);
        }
    }
}

/// The change cut at the sectors of the disk.
fn sectors(change: &Change) -> Vec<Change> {
    let Change::Write(offset, data) = change else { return vec![change.clone()] };
    let (mut parts, mut from) = (Vec::new(), 0);
    while from < data.len() {
        let at = usize::try_from(*offset).unwrap() + from;
        let length = (SECTOR - at % SECTOR).min(data.len() - from);
        parts.push(Change::Write(at as u64, data[from..from + length].to_vec()));
        from += length;
    }
    parts
}

fn noise(change: &Change, dice: &mut Dice) -> Change {
    let Change::Write(offset, data) = change else { return change.clone() };
    let sector = (usize::try_from(*offset).unwrap() + dice.below(data.len())) / SECTOR * SECTOR;
    Change::Write(sector as u64, (0..SECTOR).map(|_| u8::try_from(dice.below(256)).unwrap()).collect())
}

fn chosen(pending: &[Change], fate: Fate, dice: &mut Dice) -> Vec<Change> {
    match fate {
        Fate::Lost => Vec::new(),
        Fate::Kept => pending.to_vec(),
        Fate::Some(_) => pending.iter().filter(|_| dice.coin()).cloned().collect(),
        Fate::Scattered(_) => pending.iter().flat_map(sectors).filter(|_| dice.coin()).collect(),
        Fate::Torn(_) => {
            let mut parts: Vec<Change> = pending.iter().flat_map(sectors).collect();
            parts.truncate(dice.below(parts.len() + 1));
            parts
        }
        Fate::Garbled(_) => {
            let mut some: Vec<Change> = pending.iter().filter(|_| dice.coin()).cloned().collect();
            if !some.is_empty() {
                let garbled = noise(&some[dice.below(some.len())], dice);
                some.push(garbled);
            }
            some
        }
    }
}

fn name(names: &mut BTreeMap<String, File>, naming: &Naming) {
    match naming {
        Naming::Add(name, file) => drop(names.insert(name.clone(), *file)),
        Naming::Remove(name) => drop(names.remove(name)),
        Naming::Move(from, to, file) => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
    }
}

impl Disk {
    pub(crate) fn play(&mut self, event: &Event) {
        match event {
            Event::Create(name, file) => {
                self.files.entry(*file).or_default();
                self.names.insert(name.clone(), *file);
                self.pending_names.push(Naming::Add(name.clone(), *file));
            }
            Event::Write(file, offset, data) => self.change(*file, Change::Write(*offset, data.clone())),
            Event::Cut(file, length) => self.change(*file, Change::Cut(*length)),
            Event::Sync(file) => {
                let content = self.files.entry(*file).or_default();
                for change in std::mem::take(&mut content.pending) {
                    apply(&mut content.synced, &change);
                }
            }
            Event::SyncNames => {
                self.pending_names.clear();
                self.synced_names = self.names.clone();
            }
            Event::Rename(from, to) => {
                let file = self.names.remove(from).expect("a file that is renamed");
                self.names.insert(to.clone(), file);
                self.pending_names.push(Naming::Move(from.clone(), to.clone(), file));
            }
            Event::Remove(name) => {
                self.names.remove(name);
                self.pending_names.push(Naming::Remove(name.clone()));
            }
            Event::Said(_) => {}
        }
    }

    fn change(&mut self, file: File, change: Change) {
        self.files.entry(file).or_default().pending.push(change);
    }

    /// Whether a power cut now can leave more than one disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        !self.pending_names.is_empty() || self.files.values().any(|file| !file.pending.is_empty())
    }

    /// What is on the disk after a power cut now; `None`: nothing was pending, so that only one fate is possible.
    pub(crate) fn image(&self, fate: Fate) -> Option<Image> {
        if !self.is_unsynced() && !matches!(fate, Fate::Lost) {
            return None;
        }
        let mut dice = match fate {
            Fate::Lost | Fate::Kept => Dice::new(0),
            Fate::Some(seed) | Fate::Torn(seed) | Fate::Garbled(seed) | Fate::Scattered(seed) => Dice::new(seed),
        };
        let mut names = self.synced_names.clone();
        for naming in self.chosen_names(fate, &mut dice) {
            name(&mut names, &naming);
        }
        let mut image = BTreeMap::new();
        for (name, file) in names {
            let content = &self.files[&file];
            let mut bytes = content.synced.clone();
            for change in chosen(&content.pending, fate, &mut dice) {
                apply(&mut bytes, &change);
            }
            image.insert(name, (file, bytes));
        }
        Some(Image(image))
    }

    fn chosen_names(&self, fate: Fate, dice: &mut Dice) -> Vec<Naming> {
        match fate {
            Fate::Lost => Vec::new(),
            Fate::Kept => self.pending_names.clone(),
            Fate::Scattered(_) => self.pending_names.iter().filter(|_| dice.coin()).cloned().collect(),
            Fate::Some(_) | Fate::Torn(_) | Fate::Garbled(_) => {
                self.pending_names.iter().take(dice.below(self.pending_names.len() + 1)).cloned().collect()
            }
        }
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
        for (name, (file, bytes)) in &self.0 {
            let path = dir.join(name);
            if let Some(living) = tape.living.get(file) {
                std::fs::hard_link(living, &path).unwrap();
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
