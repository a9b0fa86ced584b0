//! The line between a gateway and the provider, as it can be cut.

use serde::{Deserialize, Serialize};

/// The line between the gateway and the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineState {
    /// As it should be.
    #[default]
    Up,
    /// Connections are refused, those that were open are reset.
    Refuse,
    /// Connections are accepted, but nothing is read or answered, also on those that were open: a
    /// black hole.
    Silent,
}
