//! OAuth towards a provider: an access token that is renewed in time, by one renewal at a time.
//!
//! A renewal runs in a task of its own, so that no attempt's deadline, no reload and no stop within
//! its grace can cut it off between the question and the moment when the new refresh token is safe
//! on disk.

use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;

mod endpoint;
mod kept;
mod shared;
mod state;

use endpoint::{GrantAnswer, GrantRequest, Granted, NoToken, TokenEndpoint};
use kept::KeptToken;
use shared::ProviderTokens;
pub use shared::TokensInUse;
use state::{AccessToken, RenewalState, TokenStep, TokenUser};

use super::pool::PoolPlan;
use super::road::Road;
use super::secret::{SecretFile, bearer};
use super::{UpstreamContext, UpstreamError, parse_url};
use crate::clock::Clock;
use crate::redemption::Secret;
use crate::settings::{Grant, OAuth, Provider};
use crate::verdict::{Failure, Phase};

/// A renewal may take so long, or as long as an attempt where that is longer.
const RENEWAL_MAX: Duration = Duration::from_secs(30);
/// From here on a renewal is late for those who wait: one that is not even sent has ended by then.
const LATE_PER_DEADLINE: f64 = 0.75;
/// Until here it is looked whether the provider can be reached, where its token endpoint cannot.
const LOOK_PER_DEADLINE: f64 = 0.95;

/// A provider's OAuth.
pub(super) struct OAuthTokens(Arc<Renewer>);

struct Renewer {
    clock: Clock,
    timeout: Duration,
    endpoint: TokenEndpoint,
    road: Road,
    grant: Grant,
    first_refresh_token: Option<SecretFile>,
    kept: KeptToken,
    tokens: Arc<ProviderTokens>,
}

impl OAuthTokens {
    pub(super) fn new(
        provider: &Provider,
        oauth: &OAuth,
        context: &UpstreamContext,
        plan: PoolPlan,
    ) -> Result<Self, UpstreamError> {
        let file = |source| SecretFile::new(source, context.credentials_dir.as_deref());
        let renewer = Renewer {
            clock: context.clock.clone(),
            timeout: plan.timeout(),
            road: Road::new(parse_url("redeem_url", &provider.redeem_url)?, plan.clone()),
            endpoint: TokenEndpoint::new(oauth, file(&oauth.client_secret), plan)?,
            grant: oauth.grant,
            first_refresh_token: oauth.refresh_token.as_ref().map(file),
            kept: KeptToken::new(&context.state_dir, &provider.name).of(oauth),
            tokens: context.tokens.of(&provider.name, oauth),
        };
        Ok(Self(Arc::new(renewer)))
    }

    /// The value of `Authorization`. A good token is returned at once. Otherwise this waits for the
    /// renewal and returns its result. While the next renewal has to wait, it returns the last
    /// failure.
    pub(super) async fn bearer(&self) -> Result<HeaderValue, Failure> {
        let mut told = self.0.tokens.told.subscribe();
        match self.step(TokenUser::Attempt) {
            TokenStep::Send(header) => Ok(header),
            TokenStep::Fail(_) if self.0.state().is_renewing() => Err(self.0.why_late().await),
            TokenStep::Fail(failure) => Err(failure),
            TokenStep::Wait => {
                while self.0.state().is_waited_for() && told.changed().await.is_ok() {}
                self.0.state().outcome()
            }
        }
    }

    /// Waits until there is another token than the last one sent. Renews meanwhile, as often as the
    /// backoff allows.
    pub(super) async fn changed(&self) {
        let mut told = self.0.tokens.told.subscribe();
        let sent = self.0.state().sent();
        loop {
            self.step(TokenUser::Waiter);
            let now = self.0.clock.since_boot();
            let (wait, is_renewing) = {
                let state = self.0.state();
                if state.generation() != sent {
                    return;
                }
                (state.wakes_at().saturating_sub(now), state.is_renewing())
            };
            tokio::select! {
                _told = told.changed() => {}
                () = tokio::time::sleep(wait), if !is_renewing => {}
            }
        }
    }

    /// The provider refused what was sent.
    pub(super) fn refused(&self, sent: &HeaderValue) {
        self.0.state().refuse(sent);
        self.0.tokens.told.send_replace(());
    }

    /// The provider took what was sent.
    pub(super) fn taken(&self, sent: &HeaderValue) {
        self.0.state().take(sent);
    }

    /// A reload asks for a new token; a good one is sent until that is here.
    pub(super) fn reload(&self) {
        self.0.state().renew_soon();
        self.0.tokens.told.send_replace(());
    }

    /// The network changed: old connections are dropped, and a failed renewal may be tried at once.
    pub(super) fn network_changed(&self) {
        self.0.endpoint.drop_pool();
        self.0.state().network_changed();
        self.0.tokens.told.send_replace(());
    }

    /// Returns when no renewal is under way.
    pub(super) async fn at_rest(&self) {
        let mut told = self.0.tokens.told.subscribe();
        while self.0.state().is_renewing() && told.changed().await.is_ok() {}
        self.0.tokens.write(&self.0.kept).await;
    }

    /// What `who` does now; begins a renewal where one is due.
    fn step(&self, who: TokenUser) -> TokenStep {
        let now = self.0.clock.since_boot();
        let (next, begins) = self.0.state().next(now, who);
        if begins {
            let mut tasks = self.0.tokens.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(Arc::clone(&self.0).renew());
        }
        next
    }
}

impl Renewer {
    async fn renew(self: Arc<Self>) {
        let _turn = self.tokens.turn.lock().await;
        let begun = Instant::now();
        let mut renewing = pin!(self.renewed(begun + self.timeout.max(RENEWAL_MAX)));
        let mut renewed = tokio::select! {
            biased;
            renewed = &mut renewing => renewed,
            () = self.tell_late(begun) => renewing.await,
        };
        if let Err(trouble) = &mut renewed {
            self.look(trouble, begun).await;
        }
        let now = self.clock.since_boot();
        let chance = getrandom::u32().unwrap_or(u32::MAX);
        match renewed {
            Ok((header, lifetime)) => self.state().renewed(AccessToken::new(header, now, lifetime)),
            Err(trouble) => self.state().failed(trouble, now, chance),
        }
        self.tokens.told.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, RenewalState> {
        self.tokens.state()
    }

    /// An attempt that waits has a deadline, which the renewal has not.
    async fn tell_late(&self, begun: Instant) {
        tokio::time::sleep_until(begun + self.timeout.mul_f64(LATE_PER_DEADLINE)).await;
        let mut trouble = self.endpoint.is_slow();
        self.look(&mut trouble, begun).await;
        self.state().is_late(trouble);
        self.tokens.told.send_replace(());
    }

    /// For an attempt that begins while a renewal is late: where the provider stands now. What was
    /// seen of the line when the renewal was begun may be over.
    async fn why_late(&self) -> Failure {
        let mut trouble = self.endpoint.is_slow();
        self.look(&mut trouble, Instant::now()).await;
        trouble.failure
    }

    /// A token endpoint that is not reached says nothing of the provider: only where the provider
    /// itself cannot be reached is the line down.
    async fn look(&self, trouble: &mut NoToken, begun: Instant) {
        let failure = &mut trouble.failure;
        if failure.phase == Phase::Credential {
            return;
        }
        failure.phase = Phase::Credential;
        let deadline = begun + self.timeout.mul_f64(LOOK_PER_DEADLINE);
        if let Some(Failure { phase, detail, .. }) = self.road.fault(deadline).await {
            failure.phase = phase;
            failure.detail = format!("{}; the provider: {detail}", failure.detail);
        }
    }

    async fn renewed(&self, until: Instant) -> Result<(HeaderValue, Duration), NoToken> {
        let granted = self.granted(until).await?;
        if let Some(token) = granted.refresh_token {
            self.tokens.save(&self.kept, token).await;
        }
        let header = bearer(&granted.access_token).map_err(NoToken::here)?;
        Ok((header, granted.lifetime))
    }

    /// Tries the kept refresh token, then a newer one if one was kept meanwhile, then that of the
    /// settings.
    async fn granted(&self, until: Instant) -> Result<Granted, NoToken> {
        self.kept.adopt().await;
        let mut tried = None;
        let mut refusal = None;
        let newest = || self.tokens.unsaved().or_else(|| self.kept.read());
        while let Some(kept) = newest().filter(|kept| tried.as_ref() != Some(kept)) {
            match self.endpoint.ask(&GrantRequest::Refresh(&kept), until).await {
                Ok(GrantAnswer::Granted(granted)) => return Ok(granted),
                Ok(GrantAnswer::Refused(trouble)) => refusal = Some(trouble),
                Err(trouble) if trouble.is_an_answer() && self.has_another() => {
                    refusal = Some(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
            if tried.replace(kept).is_some() {
                break;
            }
        }
        let configured = match self.first_token() {
            Err(trouble) => return Err(refusal.unwrap_or(trouble)),
            Ok(token) if token.is_some() && token == tried => {
                return Err(refusal.unwrap_or_default());
            }
            Ok(token) => token,
        };
        let request =
            configured.as_ref().map_or(GrantRequest::ClientCredentials, GrantRequest::Refresh);
        match self.endpoint.ask(&request, until).await? {
            GrantAnswer::Granted(granted) => Ok(granted),
            GrantAnswer::Refused(trouble) => Err(trouble),
        }
    }

    /// Something else than the kept token may do: a person has put a refresh token into the
    /// settings' file since that was kept, or the client's credentials do without any.
    fn has_another(&self) -> bool {
        if self.grant == Grant::ClientCredentials {
            return true;
        }
        let given = self.first_refresh_token.as_ref().and_then(SecretFile::changed_at);
        given.is_some_and(|given| self.kept.changed_at().is_none_or(|kept| given > kept))
    }

    /// The configured refresh token; `None` for client credentials.
    fn first_token(&self) -> Result<Option<Secret>, NoToken> {
        match (self.grant, &self.first_refresh_token) {
            (Grant::ClientCredentials, _) => Ok(None),
            (Grant::RefreshToken, Some(file)) => file.read().map(Some).map_err(NoToken::here),
            (Grant::RefreshToken, None) => {
                Err(NoToken::here("there is no refresh token".to_owned()))
            }
        }
    }
}
