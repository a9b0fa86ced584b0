//! What a power cut leaves of what was not synced: of a file's bytes and of a directory's names.

#![allow(dead_code, reason = "not every test uses every tool")]

use std::collections::BTreeMap;

/// What a disk writes at once, or not at all, or as noise.
const SECTOR: usize = 512;

/// A file or a directory.
pub(crate) type Id = u64;

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

    pub(crate) fn dice(self) -> Dice {
        match self {
            Self::Lost | Self::Kept => Dice::new(0),
            Self::Some(seed) | Self::Torn(seed) | Self::Garbled(seed) | Self::Scattered(seed) => {
                Dice::new(seed)
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Kept => "kept",
            Self::Some(_) => "some of it",
            Self::Torn(_) => "torn",
            Self::Garbled(_) => "garbled",
            Self::Scattered(_) => "scattered",
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

/// What a power cut took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Toll {
    /// Writes that were not synced.
    pub(crate) unsynced: u64,
    /// Of these, those of which nothing is left.
    pub(crate) lost: u64,
    /// Those of which some sectors are left.
    pub(crate) torn: u64,
    /// Those that are there although one before it in the same file is not.
    pub(crate) overtook: u64,
    /// Sectors that are noise.
    pub(crate) garbled: u64,
    /// Bytes that were written and are not there.
    pub(crate) bytes_lost: u64,
    /// Names made, moved or removed and not synced, and how many of these changes are lost.
    pub(crate) names_unsynced: u64,
    pub(crate) names_lost: u64,
}

impl std::ops::AddAssign for Toll {
    fn add_assign(&mut self, other: Self) {
        self.unsynced += other.unsynced;
        self.lost += other.lost;
        self.torn += other.torn;
        self.overtook += other.overtook;
        self.garbled += other.garbled;
        self.bytes_lost += other.bytes_lost;
        self.names_unsynced += other.names_unsynced;
        self.names_lost += other.names_lost;
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Cut(length) => content.resize(usize::try_from(*length).unwrap(), 0),
            Self::Write(offset, data) => {
                let at = usize::try_from(*offset).unwrap();
                if content.len() < at + data.len() {
                    content.resize(at + data.len(), 0);
                }
                content[at..at + data.len()].copy_from_slice(data);
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Write(_, data) => data.len(),
            Self::Cut(_) => 0,
        }
    }

    /// The change cut at the sectors of the disk.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write(offset, data) = self else { return vec![self.clone()] };
        let (mut parts, mut from) = (Vec::new(), 0);
        while from < data.len() {
            let at = usize::try_from(*offset).unwrap() + from;
            let length = (SECTOR - at % SECTOR).min(data.len() - from);
            parts.push(Self::Write(at as u64, data[from..from + length].to_vec()));
            from += length;
        }
        parts
    }

    fn noise(&self, dice: &mut Dice) -> Self {
        let Self::Write(offset, data) = self else { return self.clone() };
        let sector = (usize::try_from(*offset).unwrap() + dice.below(data.len())) / SECTOR * SECTOR;
        Self::Write(
            sector as u64,
            (0..SECTOR).map(|_| u8::try_from(dice.below(256)).unwrap()).collect(),
        )
    }
}

/// What is left of some changes: parts of them with their places, then perhaps noise.
struct Left {
    parts: Vec<(usize, Change)>,
    noise: Option<Change>,
}

impl Left {
    fn of(pending: &[Change], fate: Fate, dice: &mut Dice) -> Self {
        let whole = || pending.iter().cloned().enumerate();
        let sectors = || {
            pending
                .iter()
                .enumerate()
                .flat_map(|(place, one)| one.sectors().into_iter().map(move |s| (place, s)))
        };
        let parts: Vec<(usize, Change)> = match fate {
            Fate::Lost => Vec::new(),
            Fate::Kept => whole().collect(),
            Fate::Some(_) | Fate::Garbled(_) => whole().filter(|_| dice.coin()).collect(),
            Fate::Scattered(_) => sectors().filter(|_| dice.coin()).collect(),
            Fate::Torn(_) => {
                let mut parts: Vec<_> = sectors().collect();
                parts.truncate(dice.below(parts.len() + 1));
                parts
            }
        };
        let garbles = matches!(fate, Fate::Garbled(_)) && !parts.is_empty();
        let noise = garbles.then(|| parts[dice.below(parts.len())].1.noise(dice));
        Self { parts, noise }
    }

    fn toll(&self, pending: &[Change]) -> Toll {
        let mut kept = vec![None; pending.len()];
        for (place, part) in &self.parts {
            *kept[*place].get_or_insert(0) += part.bytes();
        }
        let garbled = u64::from(self.noise.is_some());
        let mut toll = Toll { unsynced: pending.len() as u64, garbled, ..Toll::default() };
        for (change, kept) in pending.iter().zip(kept) {
            toll.overtook += u64::from(kept.is_some() && toll.lost + toll.torn > 0);
            toll.lost += u64::from(kept.is_none());
            toll.torn += u64::from(kept.is_some_and(|bytes| bytes < change.bytes()));
            toll.bytes_lost += (change.bytes() - kept.unwrap_or(0)) as u64;
        }
        toll
    }
}

/// A file's bytes: those that were synced, and what was done to them since.
#[derive(Default)]
pub(crate) struct Content {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

impl Content {
    /// All of it was there long ago.
    pub(crate) fn settled(bytes: Vec<u8>) -> Self {
        Self { synced: bytes, pending: Vec::new() }
    }

    pub(crate) fn write(&mut self, offset: u64, data: Vec<u8>) {
        self.pending.push(Change::Write(offset, data));
    }

    pub(crate) fn cut(&mut self, length: u64) {
        self.pending.push(Change::Cut(length));
    }

    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
        }
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.pending.is_empty()
    }

    /// The bytes after a power cut now.
    pub(crate) fn after(&self, fate: Fate, dice: &mut Dice) -> (Vec<u8>, Toll) {
        let left = Left::of(&self.pending, fate, dice);
        let mut bytes = self.synced.clone();
        for change in left.parts.iter().map(|(_, part)| part).chain(&left.noise) {
            change.apply(&mut bytes);
        }
        (bytes, left.toll(&self.pending))
    }
}

#[derive(Clone, Debug)]
enum Naming {
    Add(String, Id),
    Move(String, String, Id),
    Remove(String),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, Id>) {
        match self {
            Self::Add(name, id) => drop(names.insert(name.clone(), *id)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Move(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
        }
    }
}

/// A directory's names.
#[derive(Default)]
pub(crate) struct Names {
    /// As the process sees them.
    now: BTreeMap<String, Id>,
    synced: BTreeMap<String, Id>,
    pending: Vec<Naming>,
}

impl Names {
    /// All of them were there long ago.
    pub(crate) fn settled(names: BTreeMap<String, Id>) -> Self {
        Self { now: names.clone(), synced: names, pending: Vec::new() }
    }

    pub(crate) fn now(&self) -> &BTreeMap<String, Id> {
        &self.now
    }

    fn change(&mut self, naming: Naming) {
        naming.apply(&mut self.now);
        self.pending.push(naming);
    }

    pub(crate) fn add(&mut self, name: &str, id: Id) {
        self.change(Naming::Add(name.to_owned(), id));
    }

    /// Which file or directory is called otherwise now.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Option<Id> {
        let id = *self.now.get(from)?;
        self.change(Naming::Move(from.to_owned(), to.to_owned(), id));
        Some(id)
    }

    /// Which one is not called so any more.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Id> {
        let id = *self.now.get(name)?;
        self.change(Naming::Remove(name.to_owned()));
        Some(id)
    }

    pub(crate) fn sync(&mut self) {
        self.pending.clear();
        self.synced.clone_from(&self.now);
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.pending.is_empty()
    }

    /// The names after a power cut now.
    pub(crate) fn after(&self, fate: Fate, dice: &mut Dice) -> (BTreeMap<String, Id>, Toll) {
        let left: Vec<&Naming> = match fate {
            Fate::Lost => Vec::new(),
            Fate::Kept => self.pending.iter().collect(),
            Fate::Scattered(_) => self.pending.iter().filter(|_| dice.coin()).collect(),
            Fate::Some(_) | Fate::Torn(_) | Fate::Garbled(_) => {
                self.pending.iter().take(dice.below(self.pending.len() + 1)).collect()
            }
        };
        let mut names = self.synced.clone();
        for naming in &left {
            naming.apply(&mut names);
        }
        let (names_unsynced, names_lost) =
            (self.pending.len() as u64, (self.pending.len() - left.len()) as u64);
        (names, Toll { names_unsynced, names_lost, ..Toll::default() })
    }
}
