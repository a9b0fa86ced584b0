//! The refresh token that the endpoint gave last, kept across restarts and power cuts:
//! `oauth/NAME`. Beside it are room for the next one, for a disk that is full by then, and a
//! fingerprint of the endpoint and the client that it was given to: nobody else is sent it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::super::secret::SecretFile;
use crate::files::{self, FileFault};
use crate::redemption::{Fingerprint, Secret};
use crate::settings::{OAuth, SecretSource};
use crate::text::percent_encoded;

/// What the disk has room for when it has room for nothing else.
const ROOM_BYTES: usize = 4096;
/// More than a fingerprint has, in bytes.
const OWNER_BYTES_MAX: u64 = 4096;

/// A provider's file.
#[derive(Clone, Debug)]
pub(super) struct KeptToken {
    state_dir: PathBuf,
    name: String,
    /// Of the settings in use; `None`: whose token it is does not matter.
    owner: Option<String>,
}

impl KeptToken {
    pub(super) fn new(state_dir: &Path, provider: &str) -> Self {
        Self { state_dir: state_dir.to_owned(), name: file_name(provider), owner: None }
    }

    /// The one of these settings' endpoint and client: what another gave is not theirs.
    pub(super) fn of(self, settings: &OAuth) -> Self {
        let parts = ["token endpoint", &settings.token_url, &settings.client_id];
        let Fingerprint(bytes) = Fingerprint::of(&parts);
        Self { owner: Some(format!("{:032x}", u128::from_be_bytes(bytes))), ..self }
    }

    /// The token that is kept; `None` where there is none, it is another's or it cannot be read,
    /// which is all the same to a renewal.
    pub(super) fn read(&self) -> Option<Secret> {
        self.file().read().ok().filter(|_| self.is_own())
    }

    /// A token that an earlier build kept, which wrote no owner, is of the settings that find it.
    pub(super) async fn adopt(&self) {
        let this = self.clone();
        let adopted = tokio::task::spawn_blocking(move || this.adopt_now()).await;
        if let Err(error) = adopted.map_err(io::Error::other).and_then(|result| result) {
            tracing::debug!(%error, "whose the kept refresh token is cannot be written");
        }
    }

    fn adopt_now(&self) -> io::Result<()> {
        let is_nobodys = self.file().stamp().is_some() && self.known_owner().is_none();
        if is_nobodys { self.write_owner() } else { Ok(()) }
    }

    fn is_own(&self) -> bool {
        let (known, owner) = (self.known_owner(), &self.owner);
        known.zip(owner.as_ref()).is_none_or(|(known, owner)| known == *owner)
    }

    /// Whose the token is that is kept; what cannot be read is nobody's fingerprint.
    fn known_owner(&self) -> Option<String> {
        match files::read(&self.beside("owner"), OWNER_BYTES_MAX) {
            Ok(bytes) => Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned()),
            Err(FileFault::Unreadable(io::ErrorKind::NotFound)) => None,
            Err(_) => Some(String::new()),
        }
    }

    fn write_owner(&self) -> io::Result<()> {
        let Some(owner) = &self.owner else { return Ok(()) };
        let new = self.beside("owner.new");
        write_new(&new, format!("{owner}\n").as_bytes())?;
        std::fs::rename(&new, self.beside("owner"))?;
        File::open(self.dir())?.sync_all()
    }

    /// Before another's token is kept, the last one is gone: no power cut leaves it with a new
    /// owner.
    fn change_owner(&self) -> io::Result<()> {
        if self.owner.is_none() || self.known_owner() == self.owner {
            return Ok(());
        }
        remove(&self.dir().join(&self.name))?;
        File::open(self.dir())?.sync_all()?;
        self.write_owner()
    }

    /// When it was kept.
    pub(super) fn changed_at(&self) -> Option<(i64, i64)> {
        self.file().changed_at()
    }

    fn file(&self) -> SecretFile {
        SecretFile::new(&SecretSource::File(self.dir().join(&self.name)), None)
    }

    /// Returns when the token would survive a power cut. The runtime's threads for blocking work do
    /// it, to the end.
    pub(super) async fn write(&self, token: Secret) -> Result<(), String> {
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || this.write_now(&token)).await;
        let flat = written.map_err(io::Error::other).and_then(|result| result);
        flat.map_err(|error| {
            format!("{}: the new refresh token cannot be kept: {error}", self.dir().display())
        })
    }

    fn write_now(&self, token: &Secret) -> io::Result<()> {
        let dir = self.dir();
        if !dir.is_dir() {
            DirBuilder::new().mode(0o700).create(&dir)?;
            File::open(&self.state_dir)?.sync_all()?;
        }
        self.change_owner()?;
        // No provider's file begins with a dot.
        let (mut beside, room) = (self.beside("new"), self.beside("room"));
        let line = format!("{}\n", token.reveal());
        match write_new(&beside, line.as_bytes()) {
            Err(error) if is_full(&error) => {
                overwrite(&room, line.as_bytes())?;
                remove(&beside)?;
                beside.clone_from(&room);
            }
            written => written?,
        }
        std::fs::rename(&beside, dir.join(&self.name))?;
        File::open(&dir)?.sync_all()?;
        if let Err(error) = make_room(&room) {
            tracing::debug!(%error, "there is no room beside the refresh token");
        }
        Ok(())
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.dir().join(format!(".{}.{what}", self.name))
    }

    fn dir(&self) -> PathBuf {
        self.state_dir.join("oauth")
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Never opens what is there: it may be left over, and it may be no file.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes no block of the disk that the file has not. No pipe holds it up, no link leads it away.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let mut file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    let has = file.metadata()?;
    if !has.is_file() || has.len() < whole_u64(bytes.len()) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.write_all(bytes)?;
    file.set_len(whole_u64(bytes.len()))?;
    file.sync_all()
}

fn make_room(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(()),
        Err(_) => write_new(path, &[b'\n'; ROOM_BYTES]).or_else(|error| {
            remove(path)?;
            Err(error)
        }),
    }
}

fn whole_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The provider's name where it is one for a file too; what is not is written as `%2F`.
fn file_name(provider: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match provider.strip_prefix('.') {
        Some(rest) => format!("%2E{}", percent_encoded(rest, plain)),
        None => percent_encoded(provider, plain),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn no_provider_can_be_named_out_of_the_folder_nor_like_another() {
        let names = ["retm", "a.b", "..", ".", "", "a/b", "a%2Fb", "ä", ".retm.new"].map(file_name);
        assert_eq!(
            names,
            ["retm", "a.b", "%2E.", "%2E", "", "a%2Fb", "a%252Fb", "%C3%A4", "%2Eretm.new"]
        );
    }

    #[tokio::test]
    async fn a_token_is_kept_for_its_owner_alone_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptToken::new(dir.path(), "retm");
        assert!(kept.read().is_none());
        kept.write(Secret::new("first".to_owned())).await.unwrap();
        let first = File::open(dir.path().join("oauth/retm")).unwrap();
        kept.write(Secret::new("second".to_owned())).await.unwrap();
        assert_eq!(kept.read(), Some(Secret::new("second".to_owned())));
        // A reader of the first file never sees the second's bytes: it was replaced, not written
        // over.
        assert_eq!(io::read_to_string(first).unwrap(), "first\n");
        assert_eq!(std::fs::metadata(dir.path().join("oauth/retm")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(dir.path().join("oauth")).unwrap().mode() & 0o777, 0o700);
        let mut names: Vec<_> = std::fs::read_dir(dir.path().join("oauth"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".retm.room", "retm"]);
    }

    #[tokio::test]
    async fn on_a_full_disk_a_token_goes_where_room_was_kept_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let kept = KeptToken::new(dir.path(), "retm");
        kept.write(Secret::new("first".to_owned())).await.unwrap();
        let room = dir.path().join("oauth/.retm.room");
        overwrite(&room, b"second\n").unwrap();
        assert!(is_full(&overwrite(&room, &[b'x'; ROOM_BYTES]).unwrap_err()), "it takes no more");
        std::fs::rename(&room, dir.path().join("oauth/retm")).unwrap();
        assert_eq!(kept.read(), Some(Secret::new("second".to_owned())));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("oauth/retm"), &link).unwrap();
        overwrite(&link, b"x").unwrap_err();
    }

    #[tokio::test]
    async fn what_a_power_cut_left_behind_does_not_hinder_and_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("oauth")).unwrap();
        std::fs::write(dir.path().join("oauth/.retm.new"), "half of a tok").unwrap();
        let kept = KeptToken::new(dir.path(), "retm");
        assert!(kept.read().is_none());
        kept.write(Secret::new("new".to_owned())).await.unwrap();
        assert_eq!(kept.read(), Some(Secret::new("new".to_owned())));
    }

    #[tokio::test]
    async fn a_pipe_beside_it_holds_no_token_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("oauth")).unwrap();
        let (pipe, mode) =
            (dir.path().join("oauth/.retm.new"), rustix::fs::Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let kept = KeptToken::new(dir.path(), "retm");
        kept.write(Secret::new("new".to_owned())).await.unwrap();
        assert_eq!(kept.read(), Some(Secret::new("new".to_owned())));
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_written_is_an_error_that_does_not_show_it() {
        let kept = KeptToken::new(Path::new("/proc/no-such-directory"), "retm");
        let error = kept.write(Secret::new("hidden".to_owned())).await.unwrap_err();
        assert!(error.contains("cannot be kept") && !error.contains("hidden"), "{error}");
    }
}
