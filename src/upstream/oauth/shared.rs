//! The tokens of each provider, which outlive a reload: what is good goes on, and a renewal that is
//! under way is not lost.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::kept::KeptToken;
use super::state::RenewalState;
use crate::redemption::Secret;
use crate::settings::OAuth;

/// A refresh token that could not be written is tried again so often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The tokens that are in use: one set for each provider and its settings of OAuth, however often
/// the rest of the settings changes.
#[derive(Clone, Default)]
pub struct TokensInUse(Arc<Mutex<Vec<Weak<ProviderTokens>>>>);

impl fmt::Debug for TokensInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokensInUse")
    }
}

impl TokensInUse {
    /// Those of `provider`, had with these settings.
    pub(super) fn of(&self, provider: &str, settings: &OAuth) -> Arc<ProviderTokens> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|tokens| tokens.strong_count() > 0);
        let in_use = || all.iter().filter_map(Weak::upgrade);
        let of_provider = || in_use().filter(|tokens| tokens.provider == provider);
        if let Some(tokens) = of_provider().find(|tokens| tokens.settings == *settings) {
            return tokens;
        }
        let turn = of_provider().next().map(|tokens| Arc::clone(&tokens.turn)).unwrap_or_default();
        let new = Arc::new(ProviderTokens::new(provider, settings, turn));
        all.push(Arc::downgrade(&new));
        new
    }
}

/// A provider's tokens.
pub(super) struct ProviderTokens {
    provider: String,
    settings: OAuth,
    /// The newest refresh token, until it is written. It is good, whatever the disk is.
    unsaved: Mutex<Option<Secret>>,
    writing: tokio::sync::Mutex<()>,
    /// That it could not be written was said, and it is tried again.
    is_unkept: AtomicBool,
    state: Mutex<RenewalState>,
    /// Says that the state has changed.
    pub(super) told: watch::Sender<()>,
    /// One renewal at a time writes the provider's file, whatever the settings it was begun with.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// A renewal goes on when whoever began it is gone.
    pub(super) tasks: Mutex<JoinSet<()>>,
}

impl ProviderTokens {
    fn new(provider: &str, settings: &OAuth, turn: Arc<tokio::sync::Mutex<()>>) -> Self {
        Self {
            provider: provider.to_owned(),
            settings: settings.clone(),
            unsaved: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            is_unkept: AtomicBool::new(false),
            state: Mutex::default(),
            told: watch::Sender::default(),
            turn,
            tasks: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, RenewalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refresh token that is not written yet.
    pub(super) fn unsaved(&self) -> Option<Secret> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once the new refresh token is written, or could not be: then it is tried again.
    pub(super) async fn save(self: &Arc<Self>, kept: &KeptToken, token: Secret) {
        *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        let is_tried_again = self.is_unkept.load(Ordering::Relaxed);
        if !self.write(kept).await && !is_tried_again {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.spawn(save_later(Arc::downgrade(self), kept.clone()));
        }
    }

    /// Writes what is not written yet; whether nothing is left of it.
    pub(super) async fn write(&self, kept: &KeptToken) -> bool {
        let _one = self.writing.lock().await;
        let Some(token) = self.unsaved() else { return true };
        let written = kept.write(token.clone()).await;
        self.tell(written.as_ref().err());
        if written.is_ok() {
            let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
            unsaved.take_if(|now| *now == token);
        }
        written.is_ok()
    }

    /// Once, until it can be written.
    fn tell(&self, why: Option<&String>) {
        let lane = self.provider.as_str();
        match (why, self.is_unkept.swap(why.is_some(), Ordering::Relaxed)) {
            (Some(why), false) => tracing::error!(
                lane,
                why,
                "the new refresh token cannot be kept \
                for the next start: it is used, and tried again"
            ),
            (None, true) => tracing::info!(lane, "the refresh token is kept again"),
            (Some(_), true) | (None, false) => {}
        }
    }
}

async fn save_later(tokens: Weak<ProviderTokens>, kept: KeptToken) {
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        let Some(tokens) = tokens.upgrade() else { return };
        if tokens.write(&kept).await {
            return;
        }
    }
}
