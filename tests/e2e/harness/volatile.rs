//! A file system of the test's own that keeps over a power cut what was synced, and of the rest
//! what the dice say.
//!
//! The kernel writes through to it, so that it sees every write before the writer goes on; nothing
//! but the pages that a process has mapped is kept by the kernel, and these are dropped at a power
//! cut. It stays mounted over the cut, so that files keep their device and their inode, as they do
//! on a disk in a machine that boots again.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite,
    Request, Session, TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

use super::disk::skipped;
use super::medium::{Kind, Medium, Moment, Node, Power};
use crate::volatile::{Fate, Id, Names, Toll};

/// The kernel asks again every time: what a name or a size was before a power cut it need not
/// forget.
const AT_ONCE: Duration = Duration::ZERO;
/// A block, and how many of them the file system says that it has, none of them taken.
const BLOCK_BYTES: u32 = 4096;
const BLOCKS: u64 = 1 << 20;
/// The longest name, in bytes.
const NAME_BYTES_MAX: u32 = 255;
/// Nothing is remembered of an open file.
const NO_HANDLE: FileHandle = FileHandle(0);

struct Shared {
    medium: Mutex<Medium>,
    /// The power went or is off.
    turned: Condvar,
}

/// The mounted file system.
pub(crate) struct Volatile {
    folder: TempDir,
    shared: Arc<Shared>,
    session: Option<BackgroundSession>,
}

impl Volatile {
    /// An empty one; `None`, said loudly, where none can be mounted.
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let shared =
            Arc::new(Shared { medium: Mutex::new(Medium::empty()), turned: Condvar::new() });
        let mut config = Config::default();
        config
            .mount_options
            .extend([MountOption::FSName("volatile".to_owned()), MountOption::NoAtime]);
        let mounted = Session::new(Files(Arc::clone(&shared)), folder.path(), &config)
            .and_then(Session::spawn);
        match mounted {
            Ok(session) => Some(Self { folder, shared, session: Some(session) }),
            Err(error) => {
                skipped(&format!(
                    "no file system of the test's own can be mounted (/dev/fuse): {error}"
                ));
                None
            }
        }
    }

    /// A folder that is not there yet.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.shared.medium.lock().unwrap()
    }

    /// The power goes at the `nth` such request from now.
    pub(crate) fn arm(&self, moment: Moment, nth: u64) {
        self.medium().arm(moment, nth);
    }

    /// The power goes now, if it has not: nothing that is asked of the disk is answered any more.
    pub(crate) fn cut(&self) {
        self.medium().power = Power::Gone;
    }

    /// Whether the power has gone.
    pub(crate) fn is_dark(&self) -> bool {
        self.medium().power != Power::On
    }

    /// Whoever had asked something is dying and may go.
    pub(crate) fn let_go(&self) {
        self.medium().power = Power::Off;
        self.shared.turned.notify_all();
    }

    /// The power comes back; nobody had the file system in use.
    pub(crate) fn recover(&self, fate: Fate) -> Toll {
        let notifier = self.session.as_ref().unwrap().notifier();
        let known: Vec<Id> = self.medium().nodes.keys().copied().collect();
        for id in known {
            match notifier.inval_inode(INodeNo(id), 0, 0) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    panic!("a cached file stays: {error}")
                }
                Ok(()) | Err(_) => {}
            }
        }
        self.medium().recover(fate)
    }

    /// How many syncs and how many changes there were.
    pub(crate) fn work(&self) -> (u64, u64) {
        let medium = self.medium();
        (medium.syncs, medium.changes)
    }
}

impl Drop for Volatile {
    fn drop(&mut self) {
        self.let_go();
        // Lazily: a failing test's daemon may still be there.
        drop(
            std::process::Command::new("umount")
                .args(["--lazy", "--quiet"])
                .arg(self.folder.path())
                .output(),
        );
        drop(self.session.take());
    }
}

/// What the kernel talks to.
struct Files(Arc<Shared>);

type Done<T> = Result<T, Errno>;

impl Files {
    /// The disk, once it may be worked on. While the power is gone nobody comes back from here.
    fn enter(&self) -> Done<MutexGuard<'_, Medium>> {
        let medium = self.0.medium.lock().unwrap();
        let medium =
            self.0.turned.wait_while(medium, |medium| medium.power == Power::Gone).unwrap();
        if medium.power == Power::On { Ok(medium) } else { Err(Errno::EIO) }
    }

    /// Does a change, unless the power goes with it: then it may be on the disk, and nobody hears
    /// so.
    fn change<T>(&self, moment: Moment, change: impl FnOnce(&mut Medium) -> Done<T>) -> Done<T> {
        let mut medium = self.enter()?;
        let done = change(&mut medium)?;
        medium.changes += 1;
        if medium.blows(moment) {
            drop(medium);
            drop(self.enter()?);
        }
        Ok(done)
    }

    fn sync(&self, id: Id) -> Done<()> {
        let mut medium = self.enter()?;
        if medium.blows(Moment::Sync) {
            drop(medium);
            medium = self.enter()?;
        }
        medium.sync(id).ok_or(Errno::ENOENT)
    }

    fn make(&self, parent: INodeNo, name: &OsStr, mode: u32, kind: Kind) -> Done<FileAttr> {
        let mode = u16::try_from(mode & 0o7777).unwrap();
        self.change(Moment::Naming, |medium| {
            if medium.find(parent.0, text(name)?).is_some() {
                return Err(Errno::EEXIST);
            }
            let id =
                medium.make(parent.0, text(name)?, Node::new(kind, mode)).ok_or(Errno::ENOENT)?;
            attributes(medium, id)
        })
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Done<()> {
        self.change(Moment::Naming, |medium| {
            let names = medium.names_mut(parent.0).ok_or(Errno::ENOENT)?;
            names.remove(text(name)?).map(drop).ok_or(Errno::ENOENT)
        })
    }

    fn set(&self, id: Id, mode: Option<u32>, size: Option<u64>) -> Done<FileAttr> {
        if let Some(size) = size {
            self.change(Moment::Change, |medium| medium.cut(id, size).ok_or(Errno::ENOENT))?;
        }
        let mut medium = self.enter()?;
        let node = medium.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        node.mode = mode.map_or(node.mode, |mode| u16::try_from(mode & 0o7777).unwrap());
        attributes(&medium, id)
    }

    fn rename(
        &self,
        (parent, name): (INodeNo, &OsStr),
        (newparent, newname): (INodeNo, &OsStr),
    ) -> Done<()> {
        if parent != newparent {
            return Err(Errno::EXDEV);
        }
        self.change(Moment::Naming, |medium| {
            let names = medium.names_mut(parent.0).ok_or(Errno::ENOENT)?;
            names.rename(text(name)?, text(newname)?).map(drop).ok_or(Errno::ENOENT)
        })
    }

    fn read(&self, id: Id, offset: u64, size: u32) -> Done<Vec<u8>> {
        let medium = self.enter()?;
        let bytes = medium.nodes.get(&id).ok_or(Errno::ENOENT)?.bytes();
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let rest = &bytes[from..];
        Ok(rest[..rest.len().min(size as usize)].to_vec())
    }

    /// A folder's entries, each with its place.
    fn list(&self, id: Id) -> Done<Vec<(Id, FileType, String)>> {
        let medium = self.enter()?;
        let names = medium.names(id).map(Names::now).ok_or(Errno::ENOTDIR)?;
        let entry = |(name, id): (&String, &Id)| {
            Some((*id, file_type(medium.nodes.get(id)?), name.clone()))
        };
        Ok(names.iter().filter_map(entry).collect())
    }
}

fn text(name: &OsStr) -> Done<&str> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn file_type(node: &Node) -> FileType {
    match node.kind {
        Kind::File { .. } => FileType::RegularFile,
        Kind::Folder(_) => FileType::Directory,
        Kind::Socket => FileType::Socket,
    }
}

fn attributes(medium: &Medium, id: Id) -> Done<FileAttr> {
    let node = medium.nodes.get(&id).ok_or(Errno::ENOENT)?;
    let size = node.bytes().len() as u64;
    let then: SystemTime = UNIX_EPOCH;
    let changed = then + Duration::from_nanos(node.changed);
    Ok(FileAttr {
        ino: INodeNo(id),
        size,
        blocks: size.div_ceil(512),
        atime: then,
        mtime: changed,
        ctime: changed,
        crtime: then,
        kind: file_type(node),
        perm: node.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    })
}

fn answer_entry(done: Done<FileAttr>, reply: ReplyEntry) {
    match done {
        Ok(attributes) => reply.entry(&AT_ONCE, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn answer_attributes(done: Done<FileAttr>, reply: ReplyAttr) {
    match done {
        Ok(attributes) => reply.attr(&AT_ONCE, &attributes),
        Err(error) => reply.error(error),
    }
}

fn answer(done: Done<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.enter().and_then(|medium| {
            let id = medium.find(parent.0, text(name)?).ok_or(Errno::ENOENT)?;
            attributes(&medium, id)
        });
        answer_entry(found, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer_attributes(self.enter().and_then(|medium| attributes(&medium, ino.0)), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        answer_attributes(self.set(ino.0, mode, size), reply);
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        answer_entry(self.make(parent, name, mode, Kind::Socket), reply);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        answer_entry(self.make(parent, name, mode, Kind::Folder(Names::default())), reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, mode, Node::file()) {
            Ok(new) => reply.created(&AT_ONCE, &new, Generation(0), NO_HANDLE, FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.remove(parent, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer(self.rename((parent, name), (newparent, newname)), reply);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read(ino.0, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self
            .change(Moment::Change, |medium| medium.write(ino.0, offset, data).ok_or(Errno::ENOENT))
        {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap()),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.sync(ino.0), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.list(ino.0) {
            Ok(entries) => {
                let rest = (1..).zip(entries).skip(usize::try_from(offset).unwrap());
                for (next, (id, kind, name)) in rest {
                    if reply.add(INodeNo(id), next, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.sync(ino.0), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCKS,
            BLOCK_BYTES,
            NAME_BYTES_MAX,
            BLOCK_BYTES,
        );
    }
}
