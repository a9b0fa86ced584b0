//! The tokens of each provider, which outlive a reload: what is good goes on, and a renewal that is
//! under way is not lost.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::state::RenewalState;
use crate::redemption::Secret;
use crate::settings::OAuth;

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
    /// A refresh token that could not be written. It is written before anything else is asked for.
    pub(super) unsaved: Mutex<Option<Secret>>,
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
            state: Mutex::default(),
            told: watch::Sender::default(),
            turn,
            tasks: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, RenewalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
