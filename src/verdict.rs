//! Pure: what an upstream answer means for the redemption and for its lane.

use std::time::Duration;

use crate::redemption::Answer;

/// What came back from one attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An HTTP answer from the verified host.
    Answered(Reply),
    /// No answer: where the road ended.
    Failed(Failure),
}

/// An HTTP answer with what the verdict needs of its headers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status, content type and body. The body is cut at its limit.
    pub answer: Answer,
    /// The body was longer than [`Answer::BODY_BYTES_MAX`].
    pub truncated: bool,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The header `Date`, as it came.
    pub date: Option<String>,
    /// The header `WWW-Authenticate`, as it came.
    pub www_authenticate: Option<String>,
}

/// An attempt that ended without an answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it came.
    pub phase: Phase,
    /// What a person reads beside the phase; no secret, no body.
    pub detail: String,
    /// False only when certainly no byte of the request left.
    pub bytes_may_have_left: bool,
    /// The deadline ended it.
    pub deadline: bool,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name resolution.
    Resolve,
    /// TCP connect.
    Connect,
    /// TLS handshake, certificate included.
    Tls,
    /// TLS, because the certificate is not yet valid or expired while our clock is untrusted.
    Clock,
    /// The request was being written (bytes unacknowledged at the deadline).
    Write,
    /// The request was written; the answer did not come whole.
    Answer,
    /// No credential to send with (unreadable file, failed renewal): nothing was sent.
    Credential,
}

/// What a provider's settings say about reading its answers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Statuses that decline when the answer has the contract's shape.
    pub declined_status: Vec<u16>,
    /// Substrings (any case) that mean "already used".
    pub already_used: Vec<String>,
}

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the provider took it.
    Confirmed,
    /// The provider refused it. `message` is what it said first, for the streak of alike declines.
    Declined {
        /// It said "already used".
        already_used: bool,
        /// `message`, else the first of `errors`.
        message: String,
    },
    /// 2xx with errors: it says both.
    Parked {
        /// Why, for the person who decides.
        reason: String,
    },
    /// 401 or 403 about our credential: the lane is held, no row is charged.
    Credential,
    /// Not the provider: portal, block page, wrong URL.
    NotTheProvider {
        /// What came instead, for the cause.
        detail: String,
    },
    /// 429, or 503 with a usable `Retry-After`: the whole lane waits.
    Wait {
        /// At least this long, bounded by one hour; `None`: one backoff step.
        at_least: Option<Duration>,
        /// A 429 never reached the redemption; after a 503 it may have.
        clean: bool,
    },
    /// 408, 425 or another 5xx: this row waits its own backoff.
    RowFault {
        /// The status.
        status: u16,
    },
    /// Reset or end of stream after the first byte: this row waits, the window is 1.
    Reset,
    /// The road: resolve, connect, TLS, deadline.
    Road(Phase),
}
