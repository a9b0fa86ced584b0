//! Checks that are remembered.

use super::{Desk, StoreError};
use crate::redemption::RewardCode;
use crate::value::Remembered;

impl Desk<'_> {
    /// The check that is remembered of this code; the lane by its number.
    pub(super) fn remembered(
        &self,
        _lane: i64,
        _business: &str,
        _code: &RewardCode,
    ) -> Result<Option<Remembered>, StoreError> {
        Ok(None)
    }
}
