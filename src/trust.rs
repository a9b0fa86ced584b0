//! Pure: whether the gateway answers in its own name.

/// Whether redemptions are accepted on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The road is down: at once, under the limits.
    AtOnce {
        /// Under a tenth of them: the cause could be somebody's doing.
        tenth: bool,
    },
    /// Each is asked first; only with evidence from others.
    Unanswered,
    /// Not at all.
    Never,
}
