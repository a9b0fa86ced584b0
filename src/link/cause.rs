//! What the cause for which a lane is not up means for trust, and for who ends it; its words are
//! the messages' room's.

pub use crate::message::Cause;
use crate::trust::Trust;
use crate::verdict::Phase;

impl Cause {
    /// Only a person ends it.
    #[must_use]
    pub fn is_for_a_person(self) -> bool {
        matches!(self, Self::Declines | Self::Operator)
    }

    /// The provider cannot be reached: no till's doing brings it about, and nobody can be asked.
    #[must_use]
    pub fn is_unreachable(self) -> bool {
        matches!(self.trust(), Trust::AtOnce { .. })
    }

    /// How far tills may be trusted for this cause (docs/trust.md, "May this redemption be
    /// trusted?").
    #[must_use]
    pub fn trust(self) -> Trust {
        match self {
            Self::Resolve | Self::Connect | Self::Proxy => Trust::AtOnce { tenth: false },
            Self::Tls | Self::Clock => Trust::AtOnce { tenth: true },
            Self::Write
            | Self::Answer
            | Self::Reset
            | Self::NotTheProvider
            | Self::Provider
            | Self::Credential
            | Self::Refusals
            | Self::Declines => Trust::Unanswered,
            Self::Operator | Self::NotConfigured | Self::Settings => Trust::Never,
        }
    }

    /// The persisted hold of this name.
    #[must_use]
    pub fn hold_from(text: &str) -> Option<Self> {
        [Self::Declines, Self::Operator].into_iter().find(|cause| cause.as_str() == text)
    }
}

impl From<Phase> for Cause {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Resolve => Self::Resolve,
            Phase::Connect => Self::Connect,
            Phase::Proxy => Self::Proxy,
            Phase::Tls => Self::Tls,
            Phase::Clock => Self::Clock,
            Phase::Write => Self::Write,
            Phase::Answer => Self::Answer,
            Phase::Credential => Self::Credential,
        }
    }
}
