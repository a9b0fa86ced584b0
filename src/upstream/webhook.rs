//! One POST of a message that is not a redemption.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use tokio::time::Instant;

use super::pool::{Pool, PoolPlan, Post};
use super::progress::Progress;
use super::secret::{FollowedSecret, SecretFile, bearer};
use super::{UpstreamContext, UpstreamError, parse_url};
use crate::settings::SecretSource;
use crate::verdict::Outcome;

/// The receiver. It is verified by the platform's certificates; redirects are not followed.
pub struct Webhook {
    url: Url,
    token: Option<FollowedSecret>,
    pool: Pool,
    timeout: Duration,
}

impl Webhook {
    /// The way to `url`; each POST is given up after `timeout`. Connects nowhere and reads no
    /// secret.
    pub fn new(
        url: &str,
        token: Option<&SecretSource>,
        timeout: Duration,
        context: &UpstreamContext,
    ) -> Result<Self, UpstreamError> {
        let file = |source| {
            FollowedSecret::token(SecretFile::new(source, context.credentials_dir.as_deref()))
        };
        let pool = Pool::new(PoolPlan::to(url, timeout, context)?)?;
        Ok(Self { url: parse_url("alert.url", url)?, token: token.map(file), pool, timeout })
    }

    /// Posts `body`, JSON, once. The error says why it was not taken, with nothing in it that is
    /// secret.
    pub async fn post_json(&self, body: Bytes) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.current().and_then(|token| bearer(&token))?);
        }
        let deadline = Instant::now() + self.timeout;
        match self
            .pool
            .post(Post::json(self.url.clone(), headers, body), deadline, &Progress::default())
            .await
        {
            Outcome::Answered(reply) if (200..300).contains(&reply.answer.status) => Ok(()),
            Outcome::Answered(reply) => Err(format!("HTTP {}", reply.answer.status)),
            Outcome::Failed(failure) => Err(failure.detail),
        }
    }
}
