//! Reads a till's token. It stands in for `SecretSource::read` and `SecretSource::path` of the settings' room.

use std::path::{Path, PathBuf};

use crate::redemption::Secret;
use crate::settings::SecretSource;

/// Why there is no token; it names nothing of what was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("there is no credentials directory")]
    NoCredentials,
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    #[error("it is empty")]
    Empty,
}

pub(super) fn path(source: &SecretSource, credentials_dir: Option<&Path>) -> Option<PathBuf> {
    match source {
        SecretSource::File(path) => Some(path.clone()),
        SecretSource::Credential(name) => credentials_dir.map(|dir| dir.join(name)),
    }
}

pub(super) fn read(source: &SecretSource, credentials_dir: Option<&Path>) -> Result<Secret, SecretError> {
    let path = path(source, credentials_dir).ok_or(SecretError::NoCredentials)?;
    let text = std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable(error.kind()))?;
    let secret = text.trim();
    if secret.is_empty() { Err(SecretError::Empty) } else { Ok(Secret::new(secret.to_owned())) }
}
