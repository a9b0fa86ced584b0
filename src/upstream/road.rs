//! Whether the provider can be reached at all, asked without a credential.
//!
//! Where no token can be had, no attempt shows whether the line is down or the token endpoint
//! alone. The road to the redeem URL alone decides about that (docs/trust.md).

use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::pool::{Pool, PoolPlan, Post};
use super::progress::Progress;
use crate::link::Cause;
use crate::verdict::{Failure, Outcome};

/// The way to the redeem URL.
pub(super) struct Road {
    url: Url,
    plan: PoolPlan,
}

impl Road {
    pub(super) fn new(url: Url, plan: PoolPlan) -> Self {
        Self { url, plan }
    }

    /// Why the provider cannot be reached, if it cannot. Looked at over a connection of its own,
    /// until `deadline` at the latest. Whatever answers, and whoever lets it wait, is reached.
    pub(super) async fn fault(&self, deadline: Instant) -> Option<Failure> {
        let pool = Pool::new(self.plan.clone()).ok()?;
        let look = Post::head(self.url.clone(), HeaderMap::new());
        match pool.post(look, deadline, &Progress::default()).await {
            Outcome::Failed(failure) if Cause::from(failure.phase).is_unreachable() => {
                Some(failure)
            }
            Outcome::Failed(_) | Outcome::Answered(_) => None,
        }
    }
}
