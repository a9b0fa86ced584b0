//! Which tills' tokens cannot be read: the tills' side knows, the operators' side shows it.

use std::fmt;
use std::sync::OnceLock;

use serde::Serialize;

/// A till whose token cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadTill {
    /// Its name.
    pub till: String,
    /// Whether the token that was read before still holds; else no request of the till is answered.
    pub kept: bool,
}

type AskTills = Box<dyn Fn() -> Vec<UnreadTill> + Send + Sync>;

/// How the tills' side is asked, once there is one.
#[derive(Default)]
pub(super) struct UnreadTills(OnceLock<AskTills>);

impl UnreadTills {
    pub(super) fn set(&self, look: impl Fn() -> Vec<UnreadTill> + Send + Sync + 'static) {
        self.0.get_or_init(|| Box::new(look));
    }

    pub(super) fn look(&self) -> Vec<UnreadTill> {
        self.0.get().map(|look| look()).unwrap_or_default()
    }
}

impl fmt::Debug for UnreadTills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadTills").finish_non_exhaustive()
    }
}
