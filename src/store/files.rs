//! The state directory: its lock, its reserve, its free space.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::copied::COUNTERPART;
use super::{FILE, LOG, SHARED, Store, StoreError, Trouble};

/// What is written into `reserve` and given up when the disk is full.
pub const RESERVE_BYTES: u64 = 1024 * 1024;
/// Below so much free space intake refuses, so that settling never meets a full disk.
pub const FREE_BYTES_MIN: u64 = 1024 * 1024;

/// The file whose lock says who works here.
const LOCK: &str = "lock";
/// The file whose blocks are given up when the disk is full.
const RESERVE: &str = "reserve";
/// A file that is written to see whether a quota is used up, and how long it is: more than what
/// SQLite may have written at once.
const PROBE: &str = "probe";
const PROBE_BYTES: u64 = 256 * 1024;

/// So much is not filled in a tenth of a second, whoever writes: 2.5 GB/s.
const FREE_BYTES_AMPLE: u64 = 256 * 1024 * 1024;

/// How much space there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskRoom {
    /// Less than [`FREE_BYTES_MIN`].
    None,
    /// Each batch has to look again.
    Tight,
    /// More than is filled in a tenth of a second.
    Ample,
}

/// The state directory's lock, for as long as it is held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    #[expect(dead_code, reason = "closing it gives the lock up")]
    dir: File,
}

/// Stands in the lock's file once there has been a database beside it.
const USED: &str = "a database was made here";

impl Lock {
    /// From now on it is missed when there is no database beside this lock.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn note_used(&self) -> std::io::Result<()> {
        let pid = std::process::id();
        self.file.write_all_at(format!("{pid}\n{USED}\n").as_bytes(), 0)?;
        self.file.sync_all()
    }
}

/// Whether there has been a database beside the lock in `dir`.
pub(super) fn is_used(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join(LOCK)).is_ok_and(|text| text.lines().any(|line| line == USED))
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    move |error| StoreError::File { path: path.to_owned(), error }
}

pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() { Ok(()) } else { std::fs::create_dir_all(dir).map_err(file_error(dir)) }
}

/// Nothing but a file may have the name of one of ours: opening a pipe waits for ever, and a device
/// has no end.
pub(super) fn demand_files(dir: &Path) -> Result<(), StoreError> {
    for name in [LOCK, RESERVE, COUNTERPART, FILE, LOG, SHARED] {
        let path = dir.join(name);
        crate::files::demand_file(&path)
            .map_err(std::io::Error::other)
            .map_err(file_error(&path))?;
    }
    Ok(())
}

/// Makes the directory's own name durable: whoever made it, as systemd does, need not have synced
/// the one above it. Nothing is to be done for a mount point, and nothing can be where the one
/// above it may not be read.
pub(super) fn sync_name_of(dir: &Path) -> Result<(), StoreError> {
    let above =
        dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let device =
        |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).map_err(file_error(path));
    if device(dir)? != device(above)? {
        return Ok(());
    }
    match sync_dir(above) {
        Err(StoreError::File { error, .. })
            if error.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// The names in a directory are durable only once the directory itself is synced (fsync(2)).
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file_error(dir))
}

pub(super) fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(LOCK);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
    let mut file = options.open(&path).map_err(file_error(&path))?;
    let locked = take(&mut file, dir)?;
    let used = if is_used(dir) { format!("{USED}\n") } else { String::new() };
    file.set_len(0)
        .and_then(|()| write!(file, "{}\n{used}", std::process::id()))
        .map_err(file_error(&path))?;
    Ok(Lock { file, dir: locked })
}

/// Locks the file, and the directory with it: somebody may remove the file under a daemon, and
/// another daemon would make and lock a new one.
fn take(file: &mut File, dir: &Path) -> Result<File, StoreError> {
    let itself = File::open(dir).map_err(file_error(dir))?;
    let is_held = |file: &File| flock(file, FlockOperation::NonBlockingLockExclusive).is_err();
    if is_held(file) || is_held(&itself) {
        return Err(held(file, &dir.join(LOCK), dir));
    }
    Ok(itself)
}

/// The lock without a trace of ours in its file; `None` where there is no such file and none can be
/// made: nobody can hold it.
pub(super) fn lock_to_read(dir: &Path) -> Result<Option<Lock>, StoreError> {
    demand_files(dir)?;
    let path = dir.join(LOCK);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(lock(dir).ok()),
        Err(error) => return Err(file_error(&path)(error)),
    };
    let locked = take(&mut file, dir)?;
    Ok(Some(Lock { file, dir: locked }))
}

fn held(file: &mut File, path: &Path, dir: &Path) -> StoreError {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) => {
            let pid = pid.lines().next().unwrap_or_default().trim().to_owned();
            StoreError::Locked { pid, dir: dir.to_owned() }
        }
        Err(error) => file_error(path)(error),
    }
}

/// Bytes that this process may still write into the file system of `dir`; zero when that cannot be
/// told.
#[must_use]
pub fn free_bytes(dir: &Path) -> u64 {
    free(dir).unwrap_or(0)
}

fn free(dir: &Path) -> std::io::Result<u64> {
    let fs = rustix::fs::statvfs(dir)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// An error like that of a full disk where less than this is free.
pub(super) fn demand_free(dir: &Path, bytes: u64) -> Result<(), StoreError> {
    let is_free = free(dir).map(|free| free >= bytes).map_err(file_error(dir))?;
    let full = || file_error(dir)(std::io::ErrorKind::StorageFull.into());
    is_free.then_some(()).ok_or_else(full)
}

/// Whether `dir` lies in memory, so that what is written there does not survive a power cut; `None`
/// where it lies on an overlay whose upper layer cannot be seen.
#[must_use]
pub fn is_volatile(dir: &Path) -> Option<bool> {
    /// `TMPFS_MAGIC`, `RAMFS_MAGIC` and `OVERLAYFS_SUPER_MAGIC` of statfs(2).
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    const OVERLAY: u64 = 0x794c_7630;
    let kind =
        |path: &Path| rustix::fs::statfs(path).ok().and_then(|fs| u64::try_from(fs.f_type).ok());
    let is_in_memory = |kind: u64| IN_MEMORY.contains(&kind);
    if kind(dir) != Some(OVERLAY) {
        return Some(kind(dir).is_some_and(is_in_memory));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let device = std::fs::metadata(dir).ok()?.dev();
    kind(&upper_layer(&mounts, device)?).map(is_in_memory)
}

/// Where an overlay writes to, by its line of mountinfo (`proc_pid_mountinfo(5)`).
fn upper_layer(mounts: &str, device: u64) -> Option<PathBuf> {
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device.as_str()))?;
    let (_, of_kind) = line.split_once(" - ")?;
    let options = of_kind.rsplit(' ').next()?;
    let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    Some(PathBuf::from(upper.replace("\\040", " ")))
}

/// Which file this is: its device, and its inode with the time of its birth mixed in, because a
/// copy that takes the place of a deleted file often gets the very same inode. Where a file system
/// keeps no such time the inode is alone.
pub(super) fn identity_of(meta: &Metadata) -> (i64, i64) {
    let born = meta
        .created()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default();
    let birth = born.as_secs().rotate_left(32) ^ u64::from(born.subsec_nanos());
    (meta.dev().cast_signed(), (meta.ino() ^ birth).cast_signed())
}

/// [`identity_of`] what has this name itself: a link is another file than the one it leads to.
pub(super) fn identity(path: &Path) -> Result<(i64, i64), StoreError> {
    let meta = std::fs::symlink_metadata(path).map_err(file_error(path))?;
    Ok(identity_of(&meta))
}

/// Whether it says that nothing has the name any more: a directory on the way to it may be no
/// directory, or a circle of links.
pub(super) fn is_gone(error: &std::io::Error) -> bool {
    let error = Errno::from_io_error(error);
    error.is_some_and(|error| [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].contains(&error))
}

/// SQLite looks for the log beside what a link leads to: one that lies here would be left out, and
/// with it what was acknowledged last.
pub(super) fn demand_no_links(dir: &Path) -> Result<(), StoreError> {
    let Some(path) =
        [FILE, LOG].map(|name| dir.join(name)).into_iter().find(|path| path.is_symlink())
    else {
        return Ok(());
    };
    Err(file_error(&path)(std::io::Error::other(
        "this is a symbolic link, and what the log beside it holds would be lost: put the file \
         itself here, or let gateway.state_dir name the folder where it and its log lie",
    )))
}

fn reserve_path(dir: &Path) -> PathBuf {
    dir.join(RESERVE)
}

pub(super) fn give_up_reserve_if_full(dir: &Path) {
    if free(dir).is_ok_and(|free| free < FREE_BYTES_MIN) {
        give_up_reserve(dir);
    }
}

/// Gives the reserve's blocks back to the file system; whether there were any.
pub(super) fn give_up_reserve(dir: &Path) -> bool {
    std::fs::remove_file(reserve_path(dir)).is_ok()
}

/// Writes the reserve when it is missing and there is room for it beside [`FREE_BYTES_MIN`];
/// whether it is there.
pub(super) fn keep_reserve(dir: &Path) -> bool {
    let path = reserve_path(dir);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() >= RESERVE_BYTES) {
        return true;
    }
    free_bytes(dir) >= FREE_BYTES_MIN + 2 * RESERVE_BYTES && write_reserve(&path).is_ok()
}

fn write_reserve(path: &Path) -> std::io::Result<()> {
    fill(path, RESERVE_BYTES).inspect_err(|_| {
        // A part of it would only take what others need.
        drop(std::fs::remove_file(path));
    })
}

/// Makes a file of so many bytes, and syncs it.
fn fill(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let block = [0x5a; 4096];
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// What failed because a quota is used up, as an error that says so: SQLite takes that for a broken
/// disk, and the free space of the file system does not show it.
pub(super) fn named(error: StoreError, dir: &Path) -> StoreError {
    if error.trouble() != Trouble::Unwritable || !matches!(error, StoreError::Sqlite(_)) {
        return error;
    }
    let path = dir.join(PROBE);
    let probed = fill(&path, PROBE_BYTES);
    drop(std::fs::remove_file(&path));
    match probed {
        Err(why) if why.kind() == std::io::ErrorKind::QuotaExceeded => file_error(&path)(why),
        Ok(()) | Err(_) => error,
    }
}

impl Store {
    /// Gives up the reserve because the disk is full; whether there was one.
    pub fn give_up_reserve(&self) -> bool {
        give_up_reserve(&self.dir)
    }

    /// Makes the reserve again when space has returned; whether it is there.
    pub fn keep_reserve(&self) -> bool {
        keep_reserve(&self.dir)
    }

    /// Whether redemptions can be accepted without touching what settling needs.
    #[must_use]
    pub fn room(&self) -> DiskRoom {
        match free(&self.dir) {
            _ if self.is_put_off => DiskRoom::None,
            Ok(0..FREE_BYTES_MIN) => DiskRoom::None,
            // What is not known is looked at again; a folder that is gone is no full disk.
            Ok(FREE_BYTES_MIN..FREE_BYTES_AMPLE) | Err(_) => DiskRoom::Tight,
            Ok(FREE_BYTES_AMPLE..) => DiskRoom::Ample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_overlay_writes_to_is_told_by_its_mount() {
        let mounts = "27 1 179:2 / /media/root-ro ro,relatime shared:2 - ext4 /dev/mmcblk0p2 ro\n\
            28 1 0:25 / /media/root-rw rw - tmpfs tmpfs-root rw\n\
            29 0 0:26 / / rw,relatime shared:1 - overlay overlay \
            rw,lowerdir=/media/root-ro,upperdir=/media/root\\040rw/overlay,workdir=/media/w\n\
            30 29 0:27 / /ro ro - overlay overlay ro,lowerdir=/a:/b\n";
        let upper = |minor| upper_layer(mounts, rustix::fs::makedev(0, minor));
        assert_eq!(upper(26), Some(PathBuf::from("/media/root rw/overlay")));
        assert_eq!((upper(25), upper(27), upper(28)), (None, None, None));
    }

    #[test]
    fn a_reserve_for_which_there_is_no_room_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        std::fs::create_dir(&path).unwrap();
        assert!(write_reserve(&path).is_err() && path.is_dir());
        std::fs::remove_dir(&path).unwrap();
        assert!(write_reserve(&path).is_ok());
        assert_eq!(path.metadata().unwrap().len(), RESERVE_BYTES);
    }
}
