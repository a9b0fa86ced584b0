//! The credential that an attempt carries, bound at the moment of sending.

use reqwest::header::HeaderValue;

use super::oauth::OAuthTokens;
use super::pool::PoolPlan;
use super::secret::{FollowedSecret, SecretFile, bearer};
use super::{UpstreamContext, UpstreamError, unsent};
use crate::settings::{Auth, Provider};
use crate::verdict::{Failure, Phase};

/// How a provider's attempts are authorised.
pub(super) enum Credential {
    /// A static bearer token.
    Token(FollowedSecret),
    /// OAuth.
    OAuth(OAuthTokens),
}

impl Credential {
    pub(super) fn new(
        provider: &Provider,
        context: &UpstreamContext,
        plan: PoolPlan,
    ) -> Result<Self, UpstreamError> {
        match &provider.auth {
            Auth::Token(source) => Ok(Self::Token(FollowedSecret::token(SecretFile::new(
                source,
                context.credentials_dir.as_deref(),
            )))),
            Auth::OAuth(oauth) => OAuthTokens::new(provider, oauth, context, plan).map(Self::OAuth),
        }
    }

    /// The value of `Authorization` for an attempt that is sent now.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, Failure> {
        match self {
            Self::Token(file) => file
                .current()
                .and_then(|token| bearer(&token))
                .map_err(|why| unsent(Phase::Credential, why)),
            Self::OAuth(tokens) => tokens.bearer().await,
        }
    }

    /// Waits until there is another credential than the last one sent.
    pub(super) async fn changed(&self) {
        match self {
            Self::Token(file) => file.changed().await,
            Self::OAuth(tokens) => tokens.changed().await,
        }
    }

    /// The provider refused what was sent.
    pub(super) fn refused(&self, sent: &HeaderValue) {
        match self {
            Self::Token(file) => file.forget(),
            Self::OAuth(tokens) => tokens.refused(sent),
        }
    }

    /// The provider took what was sent.
    pub(super) fn taken(&self, sent: &HeaderValue) {
        if let Self::OAuth(tokens) = self {
            tokens.taken(sent);
        }
    }

    /// A reload asks for a new one.
    pub(super) fn reload(&self) {
        match self {
            Self::Token(file) => file.forget(),
            Self::OAuth(tokens) => tokens.reload(),
        }
    }

    /// Returns when nothing is under way that has to be kept.
    pub(super) async fn at_rest(&self) {
        if let Self::OAuth(tokens) = self {
            tokens.at_rest().await;
        }
    }

    /// The network changed: a renewal that failed for lack of a connection may be tried again.
    pub(super) fn network_changed(&self) {
        if let Self::OAuth(tokens) = self {
            tokens.network_changed();
        }
    }
}
