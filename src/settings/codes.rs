//! Which reward codes are reusable.

use super::types::Provider;
use crate::redemption::RewardCode;
use crate::text::fits;

impl Provider {
    /// Whether `code` may be redeemed again and again: it fits one of `reusable_codes`.
    #[must_use]
    pub fn is_reusable(&self, code: &RewardCode) -> bool {
        self.reusable_codes.iter().any(|pattern| fits(pattern, code.reveal()))
    }
}
