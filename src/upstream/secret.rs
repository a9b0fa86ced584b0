//! Secrets in files: where they are, how they are read, and how a changed one is noticed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::files;
use crate::redemption::Secret;
use crate::settings::SecretSource;

/// How often a file is looked at while somebody waits for another token.
const LOOK_EVERY_MS: u64 = 1000;

/// A secret's file.
#[derive(Clone, Debug)]
pub(super) struct SecretFile {
    source: SecretSource,
    credentials_dir: Option<PathBuf>,
}

impl SecretFile {
    pub(super) fn new(source: &SecretSource, credentials_dir: Option<&Path>) -> Self {
        Self { source: source.clone(), credentials_dir: credentials_dir.map(Path::to_owned) }
    }

    /// The file's stamp; `None` when it cannot be looked at.
    pub(super) fn stamp(&self) -> Option<files::FileStamp> {
        files::FileStamp::of(&self.source.path(self.credentials_dir.as_deref())?)
    }

    /// When the file became what it is: seconds and nanoseconds of the wall clock.
    pub(super) fn changed_at(&self) -> Option<(i64, i64)> {
        let path = self.source.path(self.credentials_dir.as_deref())?;
        let file = std::fs::metadata(path).ok()?;
        Some((file.ctime(), file.ctime_nsec()))
    }

    /// The secret without the white space around it. The error names the file and shows nothing of
    /// what is in it.
    pub(super) fn read(&self) -> Result<Secret, String> {
        let secret = self.source.read(self.credentials_dir.as_deref());
        secret.map_err(|error| format!("{}: {error}", self.source))
    }

    /// As [`Self::read`], of a bearer token: none has a space (RFC 6750, section 2.1), unlike a
    /// password.
    pub(super) fn token(&self) -> Result<Secret, String> {
        let token = self.source.token(self.credentials_dir.as_deref());
        token.map_err(|error| format!("{}: {error}", self.source))
    }
}

/// `Bearer …`, marked so that no Debug output shows it.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| "the token holds characters that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A secret that is followed live: it costs one `stat` an attempt.
pub(super) struct FollowedSecret {
    file: SecretFile,
    read: ReadSecret,
    known: Mutex<LastRead>,
}

/// How a secret of its kind is read.
type ReadSecret = fn(&SecretFile) -> Result<Secret, String>;

#[derive(Default)]
struct LastRead {
    /// The secret as it was read at this stamp.
    read: Option<(files::FileStamp, Secret)>,
    /// The secret of the last attempt, or the one that a waiter was told of since; `None`: there
    /// was none.
    noticed: Option<Secret>,
}

impl FollowedSecret {
    /// A bearer token.
    pub(super) fn token(file: SecretFile) -> Self {
        Self { file, read: SecretFile::token, known: Mutex::default() }
    }

    /// A password, which may have spaces in it.
    pub(super) fn password(file: SecretFile) -> Self {
        Self { file, read: SecretFile::read, known: Mutex::default() }
    }

    /// The secret for an attempt that is sent now.
    pub(super) fn current(&self) -> Result<Secret, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = known.look(&self.file, self.read);
        known.noticed = secret.as_ref().ok().cloned();
        secret
    }

    /// The next look reads the file again, whatever its stamp.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).read = None;
    }

    /// Whether the file holds another secret than the noticed one. This notices it, so a waiter is
    /// told once, even when there is no row to try it with.
    fn notices_another(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(secret) = known.look(&self.file, self.read) else { return false };
        let before = known.noticed.replace(secret);
        before != known.noticed
    }

    /// Waits until the file holds another secret than the one that was noticed.
    pub(super) async fn changed(&self) {
        let mut looks = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.notices_another() {
            looks.tick().await;
        }
    }
}

impl LastRead {
    /// The file's secret. The file is read again only when its stamp has changed. The stamp is taken
    /// first, so a write between the two is seen the next time.
    fn look(&mut self, file: &SecretFile, read: ReadSecret) -> Result<Secret, String> {
        let stamp = file.stamp();
        if let (Some(now), Some((then, secret))) = (stamp, &self.read)
            && now == *then
        {
            return Ok(secret.clone());
        }
        self.read = None;
        let secret = read(file)?;
        self.read = stamp.map(|stamp| (stamp, secret.clone()));
        Ok(secret)
    }
}
