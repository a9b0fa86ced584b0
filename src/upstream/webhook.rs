//! A POST that is not a redemption: somebody is told something, once.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use tokio::time::Instant;

use super::credential::{TokenFile, bearer};
use super::progress::Progress;
use super::road::{Plan, Post, Road};
use super::secret::SecretFile;
use super::{Context, UpstreamError, parse_url};
use crate::settings::SecretSource;
use crate::verdict::Outcome;

/// Where it is told. The platform's certificates count; redirects are not followed.
pub struct Webhook {
    url: Url,
    token: Option<TokenFile>,
    road: Road,
    timeout: Duration,
}

impl Webhook {
    /// The way to `url`; each POST is given up after `timeout`. Connects nowhere and reads no secret.
    pub fn new(
        url: &str,
        token: Option<&SecretSource>,
        timeout: Duration,
        context: &Context,
    ) -> Result<Self, UpstreamError> {
        let file = |source| TokenFile::new(SecretFile::new(source, context.credentials_dir.as_deref()));
        let road = Road::new(Plan::to(url, timeout, context)?)?;
        Ok(Self { url: parse_url("alert.url", url)?, token: token.map(file), road, timeout })
    }

    /// Posts `body`, JSON, once. The error says why it was not taken, with nothing in it that is secret.
    pub async fn post_json(&self, body: Bytes) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.current().and_then(|token| bearer(&token))?);
        }
        let deadline = Instant::now() + self.timeout;
        match self.road.post(Post::json(self.url.clone(), headers, body), deadline, &Progress::default()).await {
            Outcome::Answered(reply) if (200..300).contains(&reply.answer.status) => Ok(()),
            Outcome::Answered(reply) => Err(format!("HTTP {}", reply.answer.status)),
            Outcome::Failed(failure) => Err(failure.detail),
        }
    }
}
