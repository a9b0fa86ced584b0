//! From an attempt's outcome to what it means for the row, for the lane, and for people. It is
//! judged once.

use crate::link::{Cause, Heard};
use crate::redemption::RewardCode;
use crate::store::{Claimed, Ended};
use crate::verdict::{Evidence, Failure, Outcome, Phase, Reply, Verdict, streak};

/// What the row is told.
pub(super) fn for_row(outcome: &Outcome, verdict: &Verdict) -> Ended {
    match (outcome, verdict) {
        (Outcome::Answered(Reply { answer, .. }), Verdict::Confirmed) => {
            Ended::Confirmed(answer.clone())
        }
        (
            Outcome::Answered(Reply { answer, .. }),
            Verdict::Declined { already_used, evidence, .. },
        ) => {
            let strong = *evidence == Evidence::Strong;
            Ended::Declined { answer: answer.clone(), already_used: *already_used, strong }
        }
        (Outcome::Answered(Reply { answer, .. }), Verdict::Parked { reason, already_used }) => {
            let (reason, already_used) = (*reason, *already_used);
            Ended::Parked { answer: answer.clone(), reason, already_used }
        }
        (
            Outcome::Answered(Reply { answer, .. }),
            Verdict::InProgress { evidence: Evidence::Weak },
        ) => Ended::Busy(answer.clone()),
        (_, Verdict::Credential | Verdict::NoAnswer(Phase::Credential)) => Ended::Uncharged,
        (_, Verdict::Wait { clean: true, .. })
        | (Outcome::Failed(Failure { bytes_may_have_left: false, .. }), _) => Ended::Clean,
        _ => Ended::Unclear,
    }
}

/// What the lane is told: an "already used" that our own earlier attempt explains is a
/// confirmation.
pub(super) fn for_lane(verdict: &Verdict, row: &Claimed) -> Heard {
    let is_used = matches!(
        verdict,
        Verdict::Declined { already_used: true, .. } | Verdict::Parked { already_used: true, .. }
    );
    if is_used && row.used_is_ours { Heard::Confirmed } else { Heard::from(verdict) }
}

/// The kind of a refusal: its words, masked.
pub(super) fn kind(verdict: &Verdict, code: &RewardCode) -> Option<String> {
    let Verdict::Declined { message, .. } = verdict else { return None };
    Some(streak::masked(message, code))
}

/// What was seen, for the cause: no secret, no body.
pub(super) fn detail(outcome: &Outcome, verdict: &Verdict) -> String {
    match (outcome, verdict) {
        (Outcome::Failed(failure), _) => failure.detail.clone(),
        (_, Verdict::NotTheProvider { detail } | Verdict::Unreadable { detail }) => detail.clone(),
        (Outcome::Answered(reply), _) => format!("HTTP status {}", reply.answer.status),
    }
}

/// The answer's HTTP status, if there was one.
pub(super) fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered(reply) => Some(reply.answer.status),
        Outcome::Failed(_) => None,
    }
}

/// Whether the whole request was sent, as its end tells.
pub(super) fn was_whole(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered(_) => true,
        Outcome::Failed(failure) => failure.sent_whole,
    }
}

/// The outcome's word in the metrics.
pub(super) fn word(heard: Heard) -> &'static str {
    match heard {
        Heard::Confirmed => "confirmed",
        Heard::Declined { .. } => "declined",
        Heard::Parked => "parked",
        Heard::InProgress { .. } => "in_progress",
        Heard::Unreadable => "unreadable",
        Heard::Credential => "credential",
        Heard::NotTheProvider => "not_the_provider",
        Heard::Wait { .. } => "wait",
        Heard::RowFault { .. } => "row_fault",
        Heard::Reset => "reset",
        Heard::NoAnswer(phase) => Cause::from(phase).as_str(),
    }
}
