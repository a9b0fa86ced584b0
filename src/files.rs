//! Files from outside (secrets, certificates, settings): read without ever waiting, and followed as
//! they change.

use std::fs::{File, FileType, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

/// How often a followed file is looked at while somebody uses it; nothing looks while nobody does.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a file could not be read. Nothing of what is in it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is not there, or may not be read.
    #[error("the file cannot be read: {}", reason(*.0))]
    Unreadable(ErrorKind),
    /// Something else has its name: a folder, a pipe (FIFO), a device or a socket.
    #[error("this is not a file but a {0}")]
    NotAFile(&'static str),
    /// It holds more bytes than its kind may have.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
}

/// The file of a command's option: where neither standard input nor standard output can stand for
/// it, `-` would be a file of that name, which nobody meant.
///
/// # Errors
/// It is `-`.
pub fn named(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path == Path::new("-") {
        return Err("neither standard input nor standard output can stand here: name a file");
    }
    Ok(path)
}

/// The whole of a regular file of at most `bytes_max` bytes. Never waits for a writer, as opening a
/// pipe would.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max { Err(FileFault::TooLarge(bytes_max)) } else { Ok(bytes) }
}

/// Whether what has this name, if anything has, is a file. For those who open it themselves: a pipe
/// that stood there would be waited for at its opening.
pub fn demand_file(path: &Path) -> Result<(), FileFault> {
    match std::fs::metadata(path).map(|metadata| metadata.file_type()) {
        Ok(kind) if !kind.is_file() => Err(FileFault::NotAFile(name_of(kind))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Opens it without waiting, and looks at what was opened: a name may stand for something else a
/// moment later.
fn open(path: &Path) -> Result<File, FileFault> {
    // O_NONBLOCK: a pipe without a writer opens at once. O_NOCTTY: a terminal does not become ours.
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| not_opened(path, error))?;
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if kind.is_file() { Ok(file) } else { Err(FileFault::NotAFile(name_of(kind))) }
}

/// Some kinds (a socket) cannot be opened at all, and the system's word for it helps nobody.
#[expect(clippy::needless_pass_by_value, reason = "it stands for map_err's argument")]
fn not_opened(path: &Path, error: std::io::Error) -> FileFault {
    demand_file(path).err().unwrap_or(FileFault::Unreadable(error.kind()))
}

/// The commonest reason in the words in which people know it.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
fn reason(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        other => other.to_string(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands for map_err's argument")]
fn unreadable(error: std::io::Error) -> FileFault {
    FileFault::Unreadable(error.kind())
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "folder"
    } else if kind.is_fifo() {
        "pipe (FIFO)"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// What changes when a file is written, replaced or removed: device, inode, size and time of its
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// The file's stamp; `None` when it cannot be looked at.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        let changed = (meta.ctime(), meta.ctime_nsec());
        Some(Self { device: meta.dev(), inode: meta.ino(), bytes: meta.size(), changed })
    }
}

/// A file whose changes somebody follows.
#[derive(Clone, Debug)]
pub struct Followed {
    path: Option<PathBuf>,
    seen: Option<FileStamp>,
}

impl Followed {
    /// Follows `path` from its present state on; without a path nothing ever changes. Read the file
    /// after this: what is written between the two is seen the next time.
    #[must_use]
    pub fn new(path: Option<PathBuf>) -> Self {
        let seen = path.as_deref().and_then(FileStamp::of);
        Self { path, seen }
    }

    /// Whether the file is another than it was when this was last asked.
    pub fn has_changed(&mut self) -> bool {
        let now = self.path.as_deref().and_then(FileStamp::of);
        std::mem::replace(&mut self.seen, now) != now
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(read(folder.path(), 9), Err(FileFault::NotAFile("folder")));
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        assert_eq!(read(&at("pipe"), 9), Err(FileFault::NotAFile("pipe (FIFO)")));
        assert_eq!(read(Path::new("/dev/zero"), 9), Err(FileFault::NotAFile("device")));
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read(&at("socket"), 9), Err(FileFault::NotAFile("socket")));
        assert_eq!(read(&at("nothing"), 9), Err(FileFault::Unreadable(ErrorKind::NotFound)));
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "123456789").unwrap();
        assert_eq!(read(&path, 9), Ok(b"123456789".to_vec()));
        assert_eq!(read(&path, 8), Err(FileFault::TooLarge(8)));
    }

    #[test]
    fn a_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut followed = Followed::new(Some(path.clone()));
        assert!(!followed.has_changed());
        std::fs::write(&path, "1").unwrap();
        assert!(followed.has_changed() && !followed.has_changed());
        std::fs::write(folder.path().join("new"), "2").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(followed.has_changed() && !followed.has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(followed.has_changed() && !followed.has_changed());
        assert!(!Followed::new(None).has_changed());
    }
}
