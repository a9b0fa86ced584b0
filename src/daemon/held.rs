//! A lane whose provider cannot be used as the settings are: held from the start, while the others are served.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{Clock, rfc3339};
use crate::link::Cause;
use crate::queue::{Gate, Lane, LaneCommand, Mailboxes, Told};
use crate::trust::{Evidence, Trust};

/// Shows why the lane is held: `why` is what is wrong with the settings or a file that they name.
pub(super) fn show(lane: &Lane, why: &str, clock: &Clock) {
    let cause = Cause::Settings;
    let settings = lane.settings();
    let outage = (Instant::now(), Duration::ZERO, true);
    let (ask, trust, cause_now) = (false, Trust::Never, Some(cause));
    lane.set_gate(Gate { ask, trust, cause: cause_now, outage, ..Gate::up(Evidence::new(settings.terms())) });
    lane.publish(|status| {
        status.link = "held";
        status.drain = "held";
        status.trust = Trust::Never.as_str();
        status.cause = Some(cause.as_str().to_owned());
        status.explanation = Some(cause.explanation().to_owned());
        status.detail = Some(why.to_owned());
        status.since = Some(rfc3339(clock.stamp().unix_ms));
    });
}

/// Sends nothing and answers the watchdog, until a reload makes the lane anew or the daemon stops.
pub(super) async fn wait(lane: Arc<Lane>, mut mail: Mailboxes, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            told = mail.commands.recv() => match told {
                Some(told) => answer(&lane, told),
                None => return,
            },
            // It has no room: its till gets the answer of a lane that does not answer in time.
            Some(row) = mail.live.recv() => drop(row),
        }
    }
}

fn answer(lane: &Lane, (command, receipt): Told) {
    if command != LaneCommand::Ping {
        tracing::warn!(lane = lane.name(), "the lane is held by its settings: mend them and reload");
    }
    if receipt.send(()).is_err() {
        tracing::debug!(lane = lane.name(), "nobody waits for a command's receipt any more");
    }
}
