//! The credential that an attempt carries, bound at the moment of sending.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::oauth::Tokens;
use super::road::Plan;
use super::secret::{FileStamp, SecretFile};
use super::{Context, UpstreamError, unsent};
use crate::redemption::Secret;
use crate::settings::{Auth, Provider};
use crate::verdict::{Failure, Phase};

/// How often a file is looked at while somebody waits for another token.
const LOOK_EVERY_MS: u64 = 1000;

/// How a provider's attempts are authorised.
pub(super) enum Credential {
    /// A static bearer token.
    Token(TokenFile),
    /// OAuth.
    OAuth(Tokens),
}

impl Credential {
    pub(super) fn new(provider: &Provider, context: &Context, plan: Plan) -> Result<Self, UpstreamError> {
        match &provider.auth {
            Auth::Token(source) => {
                Ok(Self::Token(TokenFile::new(SecretFile::new(source, context.credentials_dir.as_deref()))))
            }
            Auth::OAuth(oauth) => Tokens::new(&provider.name, oauth, context, plan).map(Self::OAuth),
        }
    }

    /// The value of `Authorization` for an attempt that is sent now.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, Failure> {
        match self {
            Self::Token(file) => {
                file.current().and_then(|token| bearer(&token)).map_err(|why| unsent(Phase::Credential, why))
            }
            Self::OAuth(tokens) => tokens.bearer().await,
        }
    }

    /// Pends until there is another credential than the one that was last sent.
    pub(super) async fn changed(&self) {
        match self {
            Self::Token(file) => file.changed().await,
            Self::OAuth(tokens) => tokens.changed().await,
        }
    }

    /// The provider refused it, or a person asked for it to be had anew.
    pub(super) fn refused(&self) {
        match self {
            Self::Token(file) => file.forget(),
            Self::OAuth(tokens) => tokens.refused(),
        }
    }

    /// The provider took it.
    pub(super) fn taken(&self) {
        if let Self::OAuth(tokens) = self {
            tokens.taken();
        }
    }

    /// The network changed: what failed for want of a road may be tried again.
    pub(super) fn road_changed(&self) {
        if let Self::OAuth(tokens) = self {
            tokens.road_changed();
        }
    }
}

/// `Bearer …`, marked so that no Debug output shows it.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| "the token holds characters that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A static token's file, followed live: it costs one `stat` an attempt.
pub(super) struct TokenFile {
    file: SecretFile,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The token as it was read at this stamp.
    read: Option<(FileStamp, Secret)>,
    /// What the last attempt was sent with, or who waits was told of since; `None`: there was nothing to send with.
    noticed: Option<Secret>,
}

impl TokenFile {
    pub(super) fn new(file: SecretFile) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// The token for an attempt that is sent now.
    pub(super) fn current(&self) -> Result<Secret, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let token = known.look(&self.file);
        known.noticed = token.as_ref().ok().cloned();
        token
    }

    fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).read = None;
    }

    /// Whether the file holds another token than was noticed. It is noticed by that: who waits is told once, also when
    /// there is nothing to try it with.
    fn notices_another(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(token) = known.look(&self.file) else { return false };
        let before = known.noticed.replace(token);
        before != known.noticed
    }

    async fn changed(&self) {
        let mut looks = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.notices_another() {
            looks.tick().await;
        }
    }
}

impl Known {
    /// The file's token, read again only when the stamp is another one. The stamp is taken before the reading: what is
    /// written between the two is seen the next time.
    fn look(&mut self, file: &SecretFile) -> Result<Secret, String> {
        let stamp = file.stamp();
        if let (Some(now), Some((then, token))) = (stamp, &self.read)
            && now == *then
        {
            return Ok(token.clone());
        }
        self.read = None;
        let token = file.token()?;
        self.read = stamp.map(|stamp| (stamp, token.clone()));
        Ok(token)
    }
}
