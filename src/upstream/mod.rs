//! One HTTPS attempt: a redemption in, an answer or a phase of failure out.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::clock::{self, Clock};
use crate::redemption::{Fingerprint, Id};
use crate::settings::Provider;
use crate::verdict::{self, Failure, Outcome, Phase, Rules, Verdict};

mod answer;
mod credential;
mod oauth;
mod own_check;
mod phase;
mod pool;
mod progress;
mod proxy;
mod resolve;
mod road;
mod secret;
mod sockets;
mod tls;
mod webhook;

use credential::Credential;
pub use oauth::TokensInUse;
use own_check::OwnCheck;
use pool::{Pool, PoolPlan, Post};
pub use progress::Progress;
pub use webhook::Webhook;

/// One attempt to deliver a redemption.
#[derive(Clone, Debug)]
pub struct RedeemAttempt {
    /// Sent as `Idempotency-Key`.
    pub id: Id,
    /// Which attempt this is, from 1: `Redeemd-Attempt`.
    pub number: u32,
    /// Unix milliseconds: `Redeemd-Accepted-At` (RFC 3339, UTC).
    pub accepted_at_ms: i64,
    /// The stored body.
    pub body: Bytes,
    /// The row is to blame itself for what it meets: a refusal says nothing of the credential.
    pub suspect: bool,
}

/// What an upstream needs to know of the box that it stands on.
#[derive(Clone, Debug)]
pub struct UpstreamContext {
    /// Says whether a certificate's dates can be judged here, and times the renewal of tokens.
    pub clock: Clock,
    /// Where `oauth/` is kept.
    pub state_dir: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials_dir: Option<PathBuf>,
    /// The gateway's name, for the reader of an alert.
    pub gateway: String,
    /// What is in use by now: a reload takes it over.
    pub tokens: TokensInUse,
}

/// Why the settings of a provider cannot be used. What may change while the daemon runs is not
/// among them: an unreadable token is the failure of an attempt.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A URL that is none.
    #[error("{what}: not a URL that can be posted to: {why}")]
    Url {
        /// The setting.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate authorities' file cannot be read or holds no certificate.
    #[error("ca_file {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The platform's certificates cannot be used, or TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// One provider as attempts see it. Cheap to clone; clones share connections and credential.
#[derive(Clone)]
pub struct Upstream(Arc<UpstreamInner>);

struct UpstreamInner {
    name: String,
    redeem_url: reqwest::Url,
    check_url: Option<reqwest::Url>,
    timeout: Duration,
    authorities: Option<Fingerprint>,
    pool: Pool,
    credential: Credential,
    own_check: OwnCheck,
    asks_itself: bool,
    language: HeaderValue,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.0.name).finish()
    }
}

impl Upstream {
    /// The way to `provider`. Resolves nothing, connects nowhere and reads no secret: a box may
    /// start offline.
    pub fn new(provider: &Provider, context: &UpstreamContext) -> Result<Self, UpstreamError> {
        let redeem_url = parse_url("redeem_url", &provider.redeem_url)?;
        let check_url =
            provider.check_url.as_deref().map(|url| parse_url("check_url", url)).transpose()?;
        let plan = PoolPlan::of(provider, context)?;
        Ok(Self(Arc::new(UpstreamInner {
            name: provider.name.clone(),
            redeem_url,
            check_url,
            timeout: provider.timeout,
            authorities: plan.authorities(),
            pool: Pool::new(plan.clone())?,
            credential: Credential::new(provider, context, plan)?,
            own_check: OwnCheck::new(provider.businesses.first().cloned()),
            asks_itself: provider.canary,
            language: language(&provider.accept_language)?,
        })))
    }

    /// Of the authorities in `ca_file` as they were read; `None`: the settings name no file.
    #[must_use]
    pub fn authorities(&self) -> Option<Fingerprint> {
        self.0.authorities
    }

    /// Delivers a redemption once. Ends within the provider's `timeout`, reading the credential
    /// included. `progress` tells meanwhile whether the whole request was sent; each attempt has
    /// its own.
    pub async fn redeem(&self, attempt: &RedeemAttempt, progress: &Progress) -> Outcome {
        let headers = match redeem_headers(attempt) {
            Ok(headers) => headers,
            Err(why) => return Outcome::Failed(unsent(Phase::Credential, why)),
        };
        let (url, body) = (self.0.redeem_url.clone(), attempt.body.clone());
        let (outcome, sent) = self.0.post(url, headers, body, progress).await;
        if let Some(sent) = sent {
            self.0.learn(&outcome, &sent, attempt.suspect);
        }
        outcome
    }

    /// The provider took the redemption of this body: checks of our own are made in its form.
    pub fn taken(&self, body: &Bytes) {
        self.0.own_check.learn(body);
    }

    /// Relays a till's Check Reward once; `None` where the provider offers none. Ends within
    /// `timeout`.
    pub async fn check(&self, body: Bytes) -> Option<Outcome> {
        let url = self.0.check_url.clone()?;
        Some(self.0.post(url, HeaderMap::new(), body, &Progress::default()).await.0)
    }

    /// A Check Reward of our own, with a made-up code. It shows whether the provider answers at
    /// all, whatever one till sends. `None` where the provider offers no checks, or the settings
    /// want none of ours. Ends within `timeout`.
    pub async fn canary(&self, progress: &Progress) -> Option<Outcome> {
        let url = self.0.check_url.clone().filter(|_| self.0.asks_itself)?;
        let body = match self.0.own_check.body() {
            Ok(body) => body,
            Err(why) => return Some(Outcome::Failed(unsent(Phase::Credential, why))),
        };
        Some(self.0.post(url, HeaderMap::new(), body, progress).await.0)
    }

    /// The next attempt opens a new connection. For a network event, and when the link goes down. A
    /// renewal of the token that failed for lack of a connection may be tried again at once.
    pub fn drop_pool(&self) {
        self.0.pool.drop_pool();
        self.0.credential.network_changed();
    }

    /// After a network event and [`Self::drop_pool`]: attempts that have handed nothing to a
    /// connection yet look for another one within their deadline.
    pub fn restart_unsent(&self) {
        self.0.pool.restart_unsent();
    }

    /// Waits until another try may succeed: the token's file holds another token than the last one
    /// sent, or OAuth gave a new one. The file is looked at once a second, and only while somebody
    /// waits here. Each change is told once. It may be dropped and called again: nothing is lost.
    pub async fn credential_changed(&self) {
        self.0.credential.changed().await;
    }

    /// Before a stop: returns when no renewal of the token is under way, whose refresh token would
    /// be lost.
    pub async fn at_rest(&self) {
        self.0.credential.at_rest().await;
    }

    /// For SIGHUP: the next attempt reads the credential again. OAuth renews its token at most once
    /// a backoff, and sends the one that it has until another is here. A redemption's answer that
    /// refuses the credential has the same effect; that of a check has none: who may redeem may not
    /// be one who may check.
    pub fn reload_credential(&self) {
        self.0.credential.reload();
    }
}

impl UpstreamInner {
    /// The end, and the credential that was sent.
    async fn post(
        &self,
        url: reqwest::Url,
        mut headers: HeaderMap,
        body: Bytes,
        progress: &Progress,
    ) -> (Outcome, Option<HeaderValue>) {
        let deadline = Instant::now() + self.timeout;
        let bearer = match tokio::time::timeout_at(deadline, self.credential.bearer()).await {
            Ok(Ok(bearer)) => bearer,
            Ok(Err(failure)) => return (Outcome::Failed(failure), None),
            Err(_elapsed) => {
                let late = unsent(
                    Phase::Credential,
                    "no credential was had within the deadline".to_owned(),
                );
                return (Outcome::Failed(Failure { deadline: true, ..late }), None);
            }
        };
        headers.insert(AUTHORIZATION, bearer.clone());
        headers.insert(ACCEPT_LANGUAGE, self.language.clone());
        let post = Post::json(url, headers, body);
        (self.pool.post(post, deadline, progress).await, Some(bearer))
    }

    /// What an answer says of the credential that was sent.
    fn learn(&self, outcome: &Outcome, sent: &HeaderValue, suspect: bool) {
        let Outcome::Answered(reply) = outcome else { return };
        let is_refusal = || verdict::judge(outcome, &Rules::default()) == Verdict::Credential;
        match reply.answer.status {
            200..=299 => self.credential.taken(sent),
            401 | 403 if !suspect && is_refusal() => self.credential.refused(sent),
            _ => {}
        }
    }
}

/// For a reload: the next handshake of whoever trusts the system's own authorities reads them
/// again.
pub fn forget_system_authorities() {
    tls::forget_platform();
}

fn redeem_headers(attempt: &RedeemAttempt) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let accepted_at = clock::rfc3339(attempt.accepted_at_ms);
    let named = [
        ("idempotency-key", attempt.id.as_str()),
        ("redeemd-attempt", &attempt.number.to_string()),
        ("redeemd-accepted-at", &accepted_at),
    ];
    for (name, value) in named {
        let value =
            HeaderValue::from_str(value).map_err(|_| format!("{name} cannot be a header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// A failure before anything was sent.
fn unsent(phase: Phase, detail: String) -> Failure {
    Failure {
        phase,
        detail,
        bytes_may_have_left: false,
        deadline: false,
        sent_whole: false,
        not_http: false,
    }
}

fn language(text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text)
        .map_err(|_| UpstreamError::Client("accept_language cannot be a header".to_owned()))
}

fn parse_url(what: &'static str, text: &str) -> Result<reqwest::Url, UpstreamError> {
    let url = reqwest::Url::parse(text)
        .map_err(|error| UpstreamError::Url { what, why: error.to_string() })?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(UpstreamError::Url { what, why: format!("its scheme is {scheme}") }),
    }
}

/// Host and port of a URL, without the parts that may be secret.
fn authority(url: &reqwest::Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}
