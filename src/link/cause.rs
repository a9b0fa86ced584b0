//! Why a lane is not up, in one word for machines and in plain words for people.

use serde::Serialize;

use crate::trust::Trust;
use crate::verdict::Phase;

/// Why a lane is down or held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The provider's name is not resolved.
    Resolve,
    /// No connection comes about.
    Connect,
    /// The proxy between wants another password, or refuses.
    Proxy,
    /// The TLS handshake fails.
    Tls,
    /// The certificate does not fit the time, and our clock is not to be trusted.
    Clock,
    /// Requests are not taken off the wire.
    Write,
    /// Requests leave and nothing comes back in time.
    Answer,
    /// Connections break in the middle.
    Reset,
    /// Somebody else answers.
    NotTheProvider,
    /// The provider answers with faults of its own.
    Provider,
    /// The provider does not take our credential, or there is none to send.
    Credential,
    /// Rows given on trust are refused in words that may not be the provider's own.
    Refusals,
    /// Ten redemptions in a row were declined after the fact.
    Declines,
    /// An operator said so.
    Operator,
    /// A file that the provider's settings name cannot be used.
    Settings,
    /// Rows are waiting for a provider that the settings no longer name.
    NotConfigured,
}

impl Cause {
    /// The word in the API, the metrics and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Clock => "clock",
            Self::Write => "write",
            Self::Answer => "answer",
            Self::Reset => "reset",
            Self::NotTheProvider => "not_the_provider",
            Self::Provider => "provider",
            Self::Credential => "credential",
            Self::Refusals => "refusals",
            Self::Declines => "declines",
            Self::Operator => "operator",
            Self::Settings => "settings",
            Self::NotConfigured => "not_configured",
        }
    }

    /// What it means and what to do about it.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Resolve => {
                "the provider's name cannot be resolved: the line or its DNS is down; check the uplink and the DNS server"
            }
            Self::Connect => {
                "no connection to the provider comes about: the line is down, or a firewall or proxy refuses; check the uplink"
            }
            Self::Proxy => {
                "the proxy does not take our user and password, or refuses to connect: check `proxy`, `proxy_user` and its password with who runs it"
            }
            Self::Tls => {
                "the provider's certificate cannot be verified: somebody else may be answering, or `ca_file` is missing or old"
            }
            Self::Clock => {
                "the provider's certificate does not fit this box's time, and its clock is not synchronised: check NTP"
            }
            Self::Write => {
                "connections open but requests do not get through: often a path MTU fault; check the uplink's MTU and the VPN"
            }
            Self::Answer => "requests leave but no answer comes in time: the line is silent or the provider hangs",
            Self::Reset => "connections break before the answer comes: a bad line, or something between closes them",
            Self::NotTheProvider => {
                "the line answers with something that is not the provider's: a captive portal, a block page, or a wrong URL in the settings"
            }
            Self::Provider => "the provider is reached but answers with faults of its own: nothing to do here but wait",
            Self::Credential => {
                "the provider does not take our token, or it cannot be read: put a valid token in place, it is picked up at once"
            }
            Self::Refusals => {
                "what was given on trust is refused in words that may come from something before the provider: nothing is declined for it, it is asked again"
            }
            Self::Declines => {
                "ten redemptions in a row that were given on trust were declined: ask the provider, then `redeemd release LANE`, and `redeemd retry --lane LANE --held` to take those declines back"
            }
            Self::Operator => "an operator holds this lane: `redeemd release LANE` lets it go on",
            Self::Settings => {
                "a file that this provider's settings name cannot be used, such as its CA: mend it and reload; redeemd check says what is wrong"
            }
            Self::NotConfigured => {
                "redemptions wait for a provider that the settings no longer name: name it again, or close them with `redeemd void`"
            }
        }
    }

    /// Only a person ends it.
    #[must_use]
    pub fn is_for_a_person(self) -> bool {
        matches!(self, Self::Declines | Self::Operator)
    }

    /// The road is down: no till's doing brings it about, and nobody can be asked.
    #[must_use]
    pub fn is_road(self) -> bool {
        matches!(self.trust(), Trust::AtOnce { .. })
    }

    /// How far tills may be trusted for this cause (TRUST.md, "May this redemption be trusted?").
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
