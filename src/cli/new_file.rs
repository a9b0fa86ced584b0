//! A file that a command makes: it has its name once it is whole, so that a command that is killed
//! leaves no part of it.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, linkat};

use super::exit::{CliError, say};

/// For its owner alone.
const MODE: u32 = 0o600;

/// A file that is being written.
pub(super) struct NewFile {
    file: BufWriter<File>,
    path: PathBuf,
    /// The file system keeps no file without a name: a part of it has to be taken back.
    is_named: bool,
}

impl NewFile {
    /// A file for its owner alone; nothing has its name yet.
    pub(super) fn create(path: &Path) -> Result<Self, CliError> {
        let told = |error| CliError::Failed(format!("{}: {error}", path.display()));
        // Whether it can have its name is known now.
        let named =
            OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(told)?;
        let (file, is_named) = match unnamed(folder(path)) {
            Some(file) => {
                std::fs::remove_file(path).map_err(told)?;
                (file, false)
            }
            None => (named, true),
        };
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), is_named })
    }

    pub(super) fn writer(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// All of it is written: it gets its name, and is on the disk; how many bytes it has.
    pub(super) fn finish(mut self) -> Result<u64, CliError> {
        let done = self.keep();
        if done.is_err() {
            self.discard();
        }
        done.map_err(|error| CliError::from(error).about(self.path.display()))
    }

    /// The name is on the disk once its folder is (fsync(2)).
    fn keep(&mut self) -> std::io::Result<u64> {
        self.file.flush()?;
        let file = self.file.get_ref();
        file.sync_all()?;
        if !self.is_named {
            linkat(CWD, own(file), CWD, &self.path, AtFlags::SYMLINK_FOLLOW)?;
        }
        File::open(folder(&self.path))?.sync_all()?;
        Ok(file.metadata()?.len())
    }

    /// A part of it is of no use, and stands in the way of the next one.
    pub(super) fn discard(&self) {
        if self.is_named {
            discard(&self.path);
        }
    }
}

/// A file without a name (`O_TMPFILE`, open(2)), where there can be one that gets its name later.
fn unnamed(folder: &Path) -> Option<File> {
    let flags = i32::try_from(OFlags::TMPFILE.bits()).ok()?;
    let file = OpenOptions::new().write(true).mode(MODE).custom_flags(flags).open(folder).ok()?;
    own(&file).exists().then_some(file)
}

/// The open file itself, as /proc shows it.
fn own(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes away the part of a file that a failure left; where that fails too, it is said, and the
/// first failure stays the command's.
pub(super) fn discard(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        say(&format!("{}: a part of it stays: {error}", path.display()));
    }
}
