//! What a lane shows: to the writer, to operators, and in the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::rfc3339;
use crate::link::{Cause, Link, LinkPhase, Why};
use crate::message::{Language, held_besides};
use crate::queue::{Gate, Lane};
use crate::redemption::State;
use crate::redemption::{Id, Seq};
use crate::schedule::Scheduler;
use crate::store::{Claimed, Settled};
use crate::trust::Trust;

/// Suspects that `status` names at most.
const SUSPECTS_NAMED_MAX: usize = 20;

/// Tells the writer where the lane stands now.
pub(super) fn gate(scheduler: &Scheduler, epoch: Instant) -> Gate {
    let now = epoch.elapsed();
    let link = scheduler.link();
    Gate {
        ask: scheduler.takes_live(),
        trust: link.trust(now),
        cause: link.cause_for_tills(),
        outage: (
            Instant::now(),
            link.outages().used(now),
            link.is_out().then(|| link.unended_outage(now)),
        ),
        limited_until: link.limited(now).map(|left| epoch + now + left),
        evidence: (epoch, Arc::new(scheduler.evidence().clone())),
    }
}

/// Why the lane is not up, or was not when it was last tried. Behind settings that cannot be used,
/// or behind an operator's hold, what holds it besides is told too: it does so still afterwards.
pub(super) fn why(link: &Link) -> Option<Why> {
    let (LinkPhase::Down(seen) | LinkPhase::Held(seen)) = link.seen() else { return None };
    let Why { cause, detail, since } = seen.clone();
    let detail = if link.phase() == LinkPhase::Up {
        format!("{detail}, when it was last tried; the next redemption is sent all the same")
    } else {
        detail
    };
    let besides = if cause == Cause::Settings {
        link.persons_hold()
    } else {
        link.hold_for_declines().filter(|_| cause == Cause::Operator)
    };
    let besides = besides.map(|hold| (hold.cause.as_str(), hold.detail.as_str()));
    let detail = besides.map_or_else(|| detail.clone(), |hold| held_besides(&detail, hold));
    Some(Why { cause, detail, since })
}

/// Tells operators where the lane stands now, the present cause's own detail with it.
pub(super) fn status(
    lane: &Lane,
    scheduler: &Scheduler,
    (now, since_ms): (Duration, i64),
    ids: &Ids,
) {
    let link = scheduler.link();
    let flying = scheduler.flying();
    let why = why(link);
    let drain = match link.phase() {
        LinkPhase::Held(_) => "held",
        LinkPhase::Up if link.waiting(now).is_none() => "running",
        LinkPhase::Up | LinkPhase::Down(_) => "waiting",
    };
    lane.publish(|status| {
        status.link = word(link.phase());
        status.seen = word(link.seen());
        status.drain = drain;
        status.trust = link.trust(now).as_str();
        status.tried = link.is_tried();
        status.since = why.as_ref().map(|_| rfc3339(since_ms));
        status.cause = why.as_ref().map(|why| why.cause.as_str().to_owned());
        status.detail = why.map(|why| why.detail);
        status.hold = link.persons_hold().map(|hold| hold.cause.as_str().to_owned());
        status.held_for_declines = link.hold_for_declines().is_some();
        status.checks_deaf = scheduler.evidence().checks_are_deaf();
        status.window = link.window();
        status.in_flight = flying.backlog + flying.live;
        status.waiting_s = link.waiting(now).map(|left| left.as_secs().max(1));
        status.suspects =
            scheduler.suspects().filter_map(|seq| ids.name(seq)).take(SUSPECTS_NAMED_MAX).collect();
    });
}

/// The link's word in `status`.
pub(super) fn word(phase: LinkPhase<'_>) -> &'static str {
    match phase {
        LinkPhase::Up => "up",
        LinkPhase::Down(_) => "down",
        LinkPhase::Held(_) => "held",
    }
}

/// What the log was last told of a link.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// The link's word, and the cause.
    stood: Option<(&'static str, Cause)>,
    /// What could be an attack was told in this outage.
    alarmed: bool,
}

/// Logs where the link stands. What could be an attack says so once an outage, at error.
pub(super) fn log(lane: &str, link: &Link, logged: &mut Logged) {
    let (why, tried, link) = (why(link), link.is_tried(), word(link.seen()));
    let Some(Why { cause, detail, .. }) = why else {
        let held_for = std::mem::take(logged).stood.map(|(_, cause)| cause);
        if held_for == Some(Cause::Credential) && !tried {
            return tracing::info!(
                lane,
                link,
                "lane {lane} has another credential: the next redemption tries it"
            );
        }
        return tracing::info!(lane, link, "lane {lane} is up");
    };
    // It is down as it was: nothing was left to try it with, or it was tried again.
    if logged.stood.replace((link, cause)) == Some(("down", cause)) && link == "down" {
        return;
    }
    let (word, what) = (cause.as_str(), cause.explanation(Language::English));
    let alarming = cause.trust() == Trust::AtOnce { tenth: true };
    if alarming && !std::mem::replace(&mut logged.alarmed, true) {
        tracing::error!(
            lane,
            link,
            cause = word,
            detail,
            "lane {lane} is {link} ({word}): {what}; seen: {detail}"
        );
    } else {
        tracing::warn!(
            lane,
            link,
            cause = word,
            detail,
            "lane {lane} is {link} ({word}): {what}; seen: {detail}"
        );
    }
}

/// One line about a redemption that has its answer.
pub(super) fn settled(lane: &str, row: &Claimed, settled: Option<&Settled>) {
    let (id, attempt) = (&row.id, row.attempt);
    match settled {
        Some(Settled { applied: true, state: State::Pending, .. }) => {}
        Some(Settled { applied: true, state, .. }) => {
            let state = state.as_str();
            tracing::info!(lane, %id, state, attempt, "{id} is {state} (lane {lane}, attempt \
                {attempt})");
        }
        Some(Settled { applied: false, .. }) => {
            tracing::warn!(lane, %id, "a late answer about {id} (lane {lane}) was recorded, not \
                applied");
        }
        None => {
            tracing::warn!(lane, %id, "an answer about {id} (lane {lane}) could not be kept: \
                uncertain at the next start");
        }
    }
}

/// The ids of rows that were sent lately, for those that `status` names; in bounded space.
#[derive(Debug, Default)]
pub(super) struct Ids(BTreeMap<Seq, Id>);

impl Ids {
    const MAX: usize = 2048;

    /// The row failed, so that it may become suspect.
    pub(super) fn note(&mut self, seq: Seq, id: &Id) {
        self.0.insert(seq, id.clone());
        if self.0.len() > Self::MAX {
            self.0.pop_first();
        }
    }

    pub(super) fn forget(&mut self, seq: Seq) {
        self.0.remove(&seq);
    }

    fn name(&self, seq: Seq) -> Option<String> {
        self.0.get(&seq).map(|id| id.as_str().to_owned())
    }
}
