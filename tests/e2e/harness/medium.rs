//! The disk of the volatile file system: files and directories, and a supply of power that can end
//! at a chosen moment.

use std::collections::BTreeMap;

use crate::volatile::{Content, Dice, Fate, Id, Names, Toll};

/// The number of the root directory.
pub(crate) const ROOT: Id = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    /// It is gone, and whoever asked something of the disk waits for an answer that does not come.
    Gone,
    /// It is gone, and so is whoever waited: the last requests end in an error that nobody sees.
    Off,
}

/// A request at which the power may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After a change of bytes or of names, before anything else.
    Change,
    /// After a change of names.
    Naming,
    /// Before the sync has any effect.
    Sync,
}

pub(crate) enum Kind {
    File { now: Vec<u8>, content: Content },
    Folder(Names),
    Socket,
}

pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    /// When it was changed last, and when at its last sync; nanoseconds of this disk's own clock.
    pub(crate) changed: u64,
    changed_at_sync: u64,
}

pub(crate) struct Medium {
    pub(crate) nodes: BTreeMap<Id, Node>,
    next: Id,
    clock: u64,
    pub(crate) power: Power,
    /// The power goes at the so-manieth of these.
    fuse: Option<(Moment, u64)>,
    pub(crate) syncs: u64,
    pub(crate) changes: u64,
}

impl Node {
    pub(crate) fn new(kind: Kind, mode: u16) -> Self {
        Self { kind, mode, changed: 0, changed_at_sync: 0 }
    }

    pub(crate) fn file() -> Kind {
        Kind::File { now: Vec::new(), content: Content::default() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        if let Kind::File { now, .. } = &self.kind { now } else { &[] }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Kind::File { now, content } = &mut self.kind else { return };
        let at = usize::try_from(offset).unwrap();
        if now.len() < at + data.len() {
            now.resize(at + data.len(), 0);
        }
        now[at..at + data.len()].copy_from_slice(data);
        content.write(offset, data.to_vec());
    }

    fn cut(&mut self, length: u64) {
        let Kind::File { now, content } = &mut self.kind else { return };
        now.resize(usize::try_from(length).unwrap(), 0);
        content.cut(length);
    }

    fn sync(&mut self) {
        self.changed_at_sync = self.changed;
        match &mut self.kind {
            Kind::File { content, .. } => content.sync(),
            Kind::Folder(names) => names.sync(),
            Kind::Socket => {}
        }
    }

    /// As it is after a power cut, and the names that are in it.
    fn after(&self, fate: Fate, dice: &mut Dice) -> (Self, Vec<Id>, Toll) {
        let (kind, inside, toll) = match &self.kind {
            Kind::File { content, .. } => {
                let (bytes, toll) = content.after(fate, dice);
                (
                    Kind::File { now: bytes.clone(), content: Content::settled(bytes) },
                    Vec::new(),
                    toll,
                )
            }
            Kind::Folder(names) => {
                let (names, toll) = names.after(fate, dice);
                let inside = names.values().copied().collect();
                (Kind::Folder(Names::settled(names)), inside, toll)
            }
            Kind::Socket => (Kind::Socket, Vec::new(), Toll::default()),
        };
        let changed = self.changed_at_sync;
        (Self { kind, mode: self.mode, changed, changed_at_sync: changed }, inside, toll)
    }
}

impl Medium {
    pub(crate) fn empty() -> Self {
        let root = Node::new(Kind::Folder(Names::default()), 0o755);
        let nodes = BTreeMap::from([(ROOT, root)]);
        let (power, next) = (Power::On, ROOT + 1);
        Self { nodes, next, clock: 0, power, fuse: None, syncs: 0, changes: 0 }
    }

    /// No two changes are at the same time.
    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn names(&self, folder: Id) -> Option<&Names> {
        if let Kind::Folder(names) = &self.nodes.get(&folder)?.kind { Some(names) } else { None }
    }

    pub(crate) fn names_mut(&mut self, folder: Id) -> Option<&mut Names> {
        if let Kind::Folder(names) = &mut self.nodes.get_mut(&folder)?.kind {
            Some(names)
        } else {
            None
        }
    }

    pub(crate) fn find(&self, folder: Id, name: &str) -> Option<Id> {
        self.names(folder)?.now().get(name).copied()
    }

    /// A new node under a number that none ever had.
    pub(crate) fn make(&mut self, folder: Id, name: &str, node: Node) -> Option<Id> {
        let id = self.next;
        self.names_mut(folder)?.add(name, id);
        self.nodes.insert(id, node);
        self.next += 1;
        Some(id)
    }

    pub(crate) fn write(&mut self, id: Id, offset: u64, data: &[u8]) -> Option<()> {
        let now = self.now();
        let node = self.nodes.get_mut(&id)?;
        node.changed = now;
        node.write(offset, data);
        Some(())
    }

    pub(crate) fn cut(&mut self, id: Id, length: u64) -> Option<()> {
        let now = self.now();
        let node = self.nodes.get_mut(&id)?;
        node.changed = now;
        node.cut(length);
        Some(())
    }

    pub(crate) fn sync(&mut self, id: Id) -> Option<()> {
        self.syncs += 1;
        self.nodes.get_mut(&id)?.sync();
        Some(())
    }

    /// The power is to go at the `nth` such moment from now.
    pub(crate) fn arm(&mut self, moment: Moment, nth: u64) {
        self.fuse = Some((moment, nth));
    }

    /// Whether the power goes at this one.
    pub(crate) fn blows(&mut self, moment: Moment) -> bool {
        let is_meant =
            |at: Moment| at == moment || (at, moment) == (Moment::Change, Moment::Naming);
        let Some((_, left)) = self.fuse.as_mut().filter(|(at, _)| is_meant(*at)) else {
            return false;
        };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        self.fuse = None;
        self.power = Power::Gone;
        true
    }

    /// The power comes back: what is there is what `fate` left, and all of it is settled.
    pub(crate) fn recover(&mut self, fate: Fate) -> Toll {
        let (mut dice, mut left, mut toll) = (fate.dice(), BTreeMap::new(), Toll::default());
        let mut waiting = vec![ROOT];
        while let Some(id) = waiting.pop() {
            let Some(node) = self.nodes.get(&id).filter(|_| !left.contains_key(&id)) else {
                continue;
            };
            let (node, inside, taken) = node.after(fate, &mut dice);
            left.insert(id, node);
            waiting.extend(inside);
            toll += taken;
        }
        self.nodes = left;
        self.fuse = None;
        self.power = Power::On;
        toll
    }
}
