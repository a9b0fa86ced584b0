//! Which lane serves a business, and which reward codes are reusable.

use super::types::{Provider, Settings};
use crate::redemption::RewardCode;
use crate::text::fits;

impl Settings {
    /// The provider that serves `business`: the one that lists it, else the one that lists none.
    #[must_use]
    pub fn lane_for(&self, business: &str) -> Option<&Provider> {
        let listed = self
            .providers
            .iter()
            .find(|provider| provider.businesses.iter().any(|own| own == business));
        listed.or_else(|| self.providers.iter().find(|provider| provider.businesses.is_empty()))
    }
}

impl Provider {
    /// Whether `code` may be redeemed again and again: it fits one of `reusable_codes`.
    #[must_use]
    pub fn is_reusable(&self, code: &RewardCode) -> bool {
        self.reusable_codes.iter().any(|pattern| fits(pattern, code.reveal()))
    }
}
