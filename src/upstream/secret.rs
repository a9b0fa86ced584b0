//! Secrets in files: where they are and how they are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::redemption::Secret;
use crate::settings::SecretSource;

/// The longest secret, in bytes; more is another file by mistake.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// What changes when a file is written, replaced or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A secret's file.
#[derive(Clone, Debug)]
pub(super) struct SecretFile {
    /// As a person would name it.
    name: String,
    /// `None`: a credential where systemd gave no directory.
    path: Option<PathBuf>,
}

impl SecretFile {
    pub(super) fn new(source: &SecretSource, credentials_dir: Option<&Path>) -> Self {
        match source {
            SecretSource::File(path) => Self { name: path.display().to_string(), path: Some(path.clone()) },
            SecretSource::Credential(name) => {
                // A separator in it would lead out of the directory.
                let dir = credentials_dir.filter(|_| !name.contains('/') && name != "..");
                Self { name: format!("credential {name}"), path: dir.map(|dir| dir.join(name)) }
            }
        }
    }

    /// The file's stamp; `None` when it cannot be looked at.
    pub(super) fn stamp(&self) -> Option<FileStamp> {
        let meta = std::fs::metadata(self.path.as_deref()?).ok()?;
        Some(FileStamp {
            inode: meta.ino(),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// The secret without the white space around it. The error names the file and shows nothing of what is in it.
    pub(super) fn read(&self) -> Result<Secret, String> {
        let path = self.path.as_deref().ok_or_else(|| format!("{}: systemd gave no such credential", self.name))?;
        let bytes = read_bounded(path, SECRET_BYTES_MAX).map_err(|error| format!("{}: {error}", self.name))?;
        let text = str::from_utf8(&bytes).map_err(|_| format!("{}: not text", self.name))?.trim();
        match text {
            "" => Err(format!("{}: it is empty", self.name)),
            text if text.bytes().any(|byte| !byte.is_ascii_graphic()) => {
                Err(format!("{}: it holds white space or characters that no token has", self.name))
            }
            text => Ok(Secret::new(text.to_owned())),
        }
    }
}

/// The whole of a file that is at most `bytes_max` long.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}
