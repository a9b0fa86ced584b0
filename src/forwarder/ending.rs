//! From an attempt's outcome to what it means for the row, for the link, and for people.

use crate::store::{Claimed, Ended};
use crate::verdict::{Evidence, Failure, Outcome, Phase, Reply, Verdict};

/// What the row is told.
pub(super) fn for_row(outcome: &Outcome, verdict: &Verdict) -> Ended {
    match (outcome, verdict) {
        (Outcome::Answered(Reply { answer, .. }), Verdict::Confirmed) => Ended::Confirmed(answer.clone()),
        (Outcome::Answered(Reply { answer, .. }), Verdict::Declined { already_used, evidence, .. }) => {
            let strong = *evidence == Evidence::Strong;
            Ended::Declined { answer: answer.clone(), already_used: *already_used, strong }
        }
        (Outcome::Answered(Reply { answer, .. }), Verdict::Parked { reason, text }) => {
            Ended::Parked { answer: answer.clone(), reason: *reason, text: text.clone() }
        }
        (_, Verdict::Credential | Verdict::Road(Phase::Credential)) => Ended::Uncharged,
        (_, Verdict::Wait { clean: true, .. }) | (Outcome::Failed(Failure { bytes_may_have_left: false, .. }), _) => {
            Ended::Clean
        }
        _ => Ended::Unclear,
    }
}

/// What the link is told: an "already used" that our own earlier attempt explains is a confirmation.
pub(super) fn for_link(verdict: Verdict, row: &Claimed) -> Verdict {
    let is_ours = row.used_is_ours && matches!(verdict, Verdict::Declined { already_used: true, .. });
    if is_ours { Verdict::Confirmed } else { verdict }
}

/// What was seen, for the cause: no secret, no body.
pub(super) fn detail(outcome: &Outcome, verdict: &Verdict) -> String {
    match (outcome, verdict) {
        (Outcome::Failed(failure), _) => failure.detail.clone(),
        (_, Verdict::NotTheProvider { detail } | Verdict::Unreadable { detail }) => detail.clone(),
        (Outcome::Answered(reply), _) => format!("HTTP status {}", reply.answer.status),
    }
}

/// The outcome's word in the metrics.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Declined { .. } => "declined",
        Verdict::Parked { .. } => "parked",
        Verdict::Credential => "credential",
        Verdict::NotTheProvider { .. } => "not_the_provider",
        Verdict::Wait { .. } => "wait",
        Verdict::RowFault { .. } => "row_fault",
        Verdict::InProgress => "in_progress",
        Verdict::Unreadable { .. } => "unreadable",
        Verdict::Reset => "reset",
        Verdict::Road(phase) => crate::link::Cause::from(*phase).as_str(),
    }
}

/// Whether a row that meets it twice, while others are answered, is suspect.
pub(super) fn is_road_fault(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::NotTheProvider { .. } | Verdict::Reset => true,
        Verdict::Road(phase) => *phase != Phase::Credential,
        Verdict::Confirmed
        | Verdict::Declined { .. }
        | Verdict::Parked { .. }
        | Verdict::Credential
        | Verdict::Wait { .. }
        | Verdict::InProgress
        | Verdict::Unreadable { .. }
        | Verdict::RowFault { .. } => false,
    }
}
