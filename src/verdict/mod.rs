//! Pure: what an upstream answer means for the redemption and for its lane.

mod check;
mod object;
mod refusal;
pub mod streak;
mod subject;
mod success;
#[cfg(test)]
mod tests;
mod wait;
mod words;

use std::time::Duration;

pub use check::{CheckWord, check_word};
pub use wait::RETRY_AFTER_S_MAX;
pub use words::Phrases;

use crate::redemption::{Answer, RewardCode};
use object::{Body, Object};
use wait::retry_after;

/// What came back from one attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// An HTTP answer from the verified host.
    Answered(Reply),
    /// No answer: how far the attempt came.
    Failed(Failure),
}

/// An HTTP answer with what the verdict needs of its headers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status, content type and body. The body is cut at its limit.
    pub answer: Answer,
    /// The body was longer than [`Answer::BODY_BYTES_MAX`].
    pub truncated: bool,
    /// The header `Content-Encoding`, as it came.
    pub content_encoding: Option<String>,
    /// The body's end was told: by a length, a last chunk, the end of a stream, or TLS. False: by
    /// the end of a plain connection alone, which a cut looks like.
    pub framed: bool,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The header `Date`, as it came.
    pub date: Option<String>,
    /// The header `WWW-Authenticate`, as it came.
    pub www_authenticate: Option<String>,
}

/// An attempt that ended without an answer.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub struct Failure {
    /// How far it came.
    pub phase: Phase,
    /// What a person reads beside the phase; no secret, no body.
    pub detail: String,
    /// False only when certainly no byte of the request left.
    pub bytes_may_have_left: bool,
    /// The deadline ended it.
    pub deadline: bool,
    /// The last byte of the request was handed to the connection and, where TCP told, acknowledged.
    pub sent_whole: bool,
    /// Something answered, and it is no HTTP that can be read.
    pub not_http: bool,
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
    /// The proxy between refuses: it asks for a user and a password, or does not take those that it
    /// was given.
    Proxy,
}

/// What a provider's settings say about reading its answers.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Statuses that decline when the answer has the contract's shape.
    pub declined_status: Vec<u16>,
    /// What means "already used".
    pub already_used: Phrases,
    /// What means that an earlier request is being worked on.
    pub in_progress: Phrases,
    /// Which objects inside of a 2xx confirm.
    pub success: Success,
    /// A 400, 409 or 422 with `message` alone is this provider's own refusal.
    pub weak_declines: bool,
}

/// Which objects inside of a 2xx confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Success {
    /// Every one that does not say otherwise.
    #[default]
    Lenient,
    /// Only those of `data`, `message` and `errors`.
    Contract,
}

/// What a refusal is worth where the reward was given on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Only the provider says so, and about the code.
    Strong,
    /// It may be an edge's, a framework's or a proxy's, or about something else than the code.
    Weak,
}

/// Why a person has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParkReason {
    /// A 2xx that lists errors.
    SaysBoth {
        /// The status.
        status: u16,
    },
    /// A 2xx that says that it failed.
    SaysFailed {
        /// The status.
        status: u16,
    },
    /// A 2xx with members that the contract does not know, where the settings take the contract's
    /// alone.
    Unusual {
        /// The status.
        status: u16,
    },
}

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the provider took it.
    Confirmed,
    /// A refusal in the contract's shape with a declining status.
    Declined {
        /// What it is worth where the reward was given on trust.
        evidence: Evidence,
        /// It said "already used".
        already_used: bool,
        /// `message`, else the first of `errors`; [`streak::masked`] tells its kind.
        message: String,
    },
    /// A 2xx that says two things, or that it failed.
    Parked {
        /// Why, for the person who decides.
        reason: ParkReason,
        /// It fails by saying "already used", of the code.
        already_used: bool,
    },
    /// It is being worked on (202, a pending 2xx, a 409 or 425 that says so): the row waits,
    /// uncertain.
    InProgress {
        /// A 2xx is the provider's own word. A 409 or 425 may be that of a layer before it.
        evidence: Evidence,
    },
    /// 401 or 403 about our credential: the lane is held, no row is charged.
    Credential,
    /// Not the provider: portal, block page, wrong URL, or what is no HTTP.
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
    /// Another content encoding, or an answer that is cut at its end: the row's fault, and
    /// uncertain.
    Unreadable {
        /// What came, for people.
        detail: String,
    },
    /// Reset or end of stream after the first byte: this row waits, the window is 1.
    Reset,
    /// No answer: the attempt ended at this phase.
    NoAnswer(Phase),
}

impl Verdict {
    /// Whether the provider decided about the redemption, in the contract's shape.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Confirmed | Self::Declined { .. } | Self::Parked { .. })
    }
}

/// How much of what a provider says goes into a verdict, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// What `outcome` means under the provider's `rules`, whatever it was about.
#[must_use]
pub fn judge(outcome: &Outcome, rules: &Rules) -> Verdict {
    judge_about(None, outcome, rules)
}

/// As [`judge`], of what was asked about `code`: where an answer names it, the code is what it
/// speaks of.
#[must_use]
pub fn judge_about(code: Option<&RewardCode>, outcome: &Outcome, rules: &Rules) -> Verdict {
    match outcome {
        Outcome::Answered(reply) => judge_reply(code, reply, rules),
        Outcome::Failed(failure) => judge_failure(failure),
    }
}

/// What a success says of its own failure, for its till; `None` where it says nothing in words.
#[must_use]
pub fn said_in_words(answer: &Answer) -> Option<String> {
    success::said_in_words(&Object::of(&answer.body)?)
}

/// Whether a captive portal or a firewall wrote an answer: members of it say so.
#[must_use]
pub fn is_of_a_portal(reply: &Reply) -> bool {
    Body::of(reply, None).object().is_some_and(Object::is_of_a_portal)
}

fn judge_failure(failure: &Failure) -> Verdict {
    match (failure.phase, failure.deadline) {
        (Phase::Credential, _) => Verdict::Credential,
        (Phase::Answer, _) if failure.not_http => {
            Verdict::NotTheProvider { detail: failure.detail.clone() }
        }
        (Phase::Write | Phase::Answer, false) => Verdict::Reset,
        (phase, _) => Verdict::NoAnswer(phase),
    }
}

/// The order of the questions is the order of the table in the design: what a person lists as
/// `declined_status` goes before what a status otherwise means.
fn judge_reply(code: Option<&RewardCode>, reply: &Reply, rules: &Rules) -> Verdict {
    let status = reply.answer.status;
    let body = Body::of(reply, code);
    let in_shape = body.object().filter(|object| object.is_in_shape());
    match (status, in_shape) {
        (200..=299, _) => success::judge(reply, &body, rules),
        // A proxy's own 407 is told by the attempt. One that comes as an answer may be for one code
        // alone.
        (300..=399 | 407 | 511, _) => not_the_provider(reply),
        _ if body.object().is_some_and(Object::is_of_a_portal) => not_the_provider(reply),
        (409 | 425, _) if body.object().is_some_and(|object| is_in_progress(object, rules)) => {
            Verdict::InProgress { evidence: Evidence::Weak }
        }
        (400..=599, Some(object)) if rules.declined_status.contains(&status) => {
            refusal::declined(status, object, rules)
        }
        (401 | 403, Some(_)) => Verdict::Credential,
        (401, None) if challenges(reply) => Verdict::Credential,
        (429, _) => Verdict::Wait { at_least: retry_after(reply), clean: true },
        (408 | 425, _) => Verdict::RowFault { status },
        (500..=599, _) => judge_server_fault(reply),
        _ => match body {
            Body::Unreadable(detail) => Verdict::Unreadable { detail },
            Body::Object(_) | Body::Other => not_the_provider(reply),
        },
    }
}

/// Whether a conflict is with a request of ours that is still being worked on. A code that was used
/// is used, whatever else is said. The contract's shape is not asked for: who answers so about an
/// idempotency key may be a layer before the provider's own.
fn is_in_progress(object: &Object<'_>, rules: &Rules) -> bool {
    let texts = object.said(&object.texts_and_codes());
    !words::says_used(&texts, &rules.already_used)
        && words::says_in_progress(&texts, &rules.in_progress)
}

fn judge_server_fault(reply: &Reply) -> Verdict {
    let status = reply.answer.status;
    match retry_after(reply) {
        Some(at_least) if status == 503 => Verdict::Wait { at_least: Some(at_least), clean: false },
        _ => Verdict::RowFault { status },
    }
}

/// Whether a 401 is about our credential although it has not the contract's shape: RFC 6750's
/// challenge, or nothing.
fn challenges(reply: &Reply) -> bool {
    let bearer = |challenge: &str| {
        challenge
            .split_ascii_whitespace()
            .next()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
    };
    let challenged =
        reply.www_authenticate.as_deref().is_some_and(|header| header.split(',').any(bearer));
    let empty = reply.answer.body.is_empty() && !reply.truncated;
    reply.answer.status == 401 && (challenged || empty)
}

/// The cause names what came without repeating it: bodies are never logged.
fn not_the_provider(reply: &Reply) -> Verdict {
    let Answer { status, body, .. } = &reply.answer;
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let what = match (status, first) {
        (300..=399, _) => "a redirect".to_owned(),
        (511, _) => "a network's demand to log in".to_owned(),
        (_, None) => "an empty body".to_owned(),
        (_, Some(b'<')) => "a web page".to_owned(),
        _ if reply.truncated => format!("a body of more than {} bytes", Answer::BODY_BYTES_MAX),
        _ => format!("{} bytes that are not in the contract's shape", body.len()),
    };
    Verdict::NotTheProvider { detail: format!("HTTP {status} with {what}") }
}
