//! The rules about one redemption, as tables.
