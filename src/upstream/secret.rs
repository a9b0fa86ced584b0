//! Secrets in files: where they are and how they are read.

use std::path::{Path, PathBuf};

pub(super) use crate::files::Stamp as FileStamp;
use crate::redemption::Secret;
use crate::settings::SecretSource;

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
    pub(super) fn stamp(&self) -> Option<FileStamp> {
        FileStamp::of(&self.source.path(self.credentials_dir.as_deref())?)
    }

    /// The secret without the white space around it. The error names the file and shows nothing of what is in it.
    pub(super) fn read(&self) -> Result<Secret, String> {
        let secret = self.source.read(self.credentials_dir.as_deref());
        secret.map_err(|error| format!("{}: {error}", self.source))
    }

    /// As [`Self::read`], of a bearer token: none has a space (RFC 6750, section 2.1), unlike a password.
    pub(super) fn token(&self) -> Result<Secret, String> {
        let token = self.read()?;
        if token.reveal().contains(' ') {
            return Err(format!("{}: it holds white space, which no token has", self.source));
        }
        Ok(token)
    }
}
