//! What a lane needs of its provider, so that a test can stand in for the network.

use std::future::Future;

use bytes::Bytes;

use crate::redemption::Fingerprint;
use crate::store::Claimed;
use crate::trust::Progress;
use crate::upstream::{RedeemAttempt, Upstream};
use crate::verdict::Outcome;

/// Sends attempts to one provider.
pub trait Transport: Send + Sync + 'static {
    /// Of what it has read from files when it was made and does not follow. Where that is another
    /// now, a new one has to be made.
    fn has_read(&self) -> Option<Fingerprint> {
        None
    }
    /// One attempt, bounded by its deadline; `progress` is told when the whole request has left. A
    /// row that is `suspect` is to blame itself for what it meets.
    fn redeem(
        &self,
        row: &Claimed,
        suspect: bool,
        progress: &Progress,
    ) -> impl Future<Output = Outcome> + Send;
    /// Relays a till's Check Reward once; `None` where the provider offers none.
    fn check(&self, body: Bytes) -> impl Future<Output = Option<Outcome>> + Send;
    /// A Check Reward of the gateway's own, with a made-up code; `None` where there are none.
    fn canary(&self, progress: &Progress) -> impl Future<Output = Option<Outcome>> + Send;
    /// The provider took the redemption of this body.
    fn taken(&self, body: &Bytes);
    /// The next attempt opens new connections.
    fn drop_pool(&self);
    /// After a network event: attempts that still wait for a connection look for a new one.
    fn restart_unsent(&self);
    /// Returns when the credential could be worth another try.
    fn credential_changed(&self) -> impl Future<Output = ()> + Send;
    /// Reads the credential again at the next attempt.
    fn reload_credential(&self);
    /// Returns when nothing is under way, beside attempts, that a stop would lose.
    fn at_rest(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

impl Transport for Upstream {
    fn has_read(&self) -> Option<Fingerprint> {
        self.authorities()
    }

    async fn redeem(&self, row: &Claimed, suspect: bool, progress: &Progress) -> Outcome {
        let attempt = RedeemAttempt {
            id: row.id.clone(),
            number: row.attempt,
            accepted_at_ms: row.accepted_at_ms,
            body: row.body.clone(),
            suspect,
        };
        Upstream::redeem(self, &attempt, progress).await
    }

    async fn check(&self, body: Bytes) -> Option<Outcome> {
        Upstream::check(self, body).await
    }

    async fn canary(&self, progress: &Progress) -> Option<Outcome> {
        Upstream::canary(self, progress).await
    }

    fn taken(&self, body: &Bytes) {
        Upstream::taken(self, body);
    }

    fn drop_pool(&self) {
        Upstream::drop_pool(self);
    }

    fn restart_unsent(&self) {
        Upstream::restart_unsent(self);
    }

    async fn credential_changed(&self) {
        Upstream::credential_changed(self).await;
    }

    fn reload_credential(&self) {
        Upstream::reload_credential(self);
    }

    async fn at_rest(&self) {
        Upstream::at_rest(self).await;
    }
}
