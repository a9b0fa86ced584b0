//! The play itself: redeem, cut, redeem, kill, restore, drain, count.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::RehearseError;
use super::daemon::{RehearsedDaemon, random_token};
use super::folder::Folder;
use super::show::{Show, millis};
use super::verdict::FinalBooks;
use crate::message::fine;
use crate::redemption::Secret;
use crate::sandbox::{LineState, Options, RunningSandbox, Sandbox};
use crate::settings::Loaded;
use crate::store::Counts;

/// How many redemptions come before the line is cut.
const ONLINE_COUNT: u32 = 20;

/// Between two looks at a drain.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A drain without progress for so long, beyond what the settings let it wait, has failed.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The stage: a provider, a gateway, and what was counted at the till.
pub(super) struct Play {
    provider: RunningSandbox,
    daemon: RehearsedDaemon,
    count: u32,
    patience: Duration,
    acknowledged: u64,
    refused: u64,
}

/// How a row of redemptions went.
#[derive(Default)]
struct Run {
    acknowledged: u64,
    refused: u64,
    by_the_provider: u64,
    took: Vec<Duration>,
}

impl Play {
    pub(super) async fn begin(
        loaded: &Loaded,
        count: u32,
        folder: &Folder,
    ) -> Result<Self, RehearseError> {
        let token = random_token()?;
        let options = Options {
            token: Some(Secret::new(token.clone())),
            no_record: true,
            ..Options::default()
        };
        let provider = Sandbox::start(options).await?;
        let daemon = RehearsedDaemon::start(loaded, folder, &provider, &token).await?;
        let forward = &loaded.settings.forward;
        let patience = STUCK_AFTER + forward.retry_max + forward.reconnect_spread;
        Ok(Self { provider, daemon, count, patience, acknowledged: 0, refused: 0 })
    }

    /// Every act; whether the books balance.
    pub(super) async fn run(&mut self, show: &mut Show<'_>) -> Result<bool, RehearseError> {
        show.step("ready", "a gateway on ports of its own, before a sandbox provider", json!({}))?;
        self.redeem_online(show).await?;
        self.set_line(LineState::Refuse).await?;
        show.step("cut", "the line to the provider is cut", json!({}))?;
        self.redeem_offline(show).await?;
        self.kill_and_start(show).await?;
        self.set_line(LineState::Up).await?;
        let last = self.redeem("AFTER", 1).await?;
        let words = format!("the line is back; the next redemption is {}", outcome(&last));
        show.step("restored", &words, json!({ "acknowledged": last.acknowledged }))?;
        self.drain(show).await?;
        self.daemon_is_counted(show).await
    }

    async fn redeem_online(&mut self, show: &mut Show<'_>) -> Result<(), RehearseError> {
        let run = self.redeem("ONLINE", ONLINE_COUNT).await?;
        let words = format!(
            "{} redeemed, {} answered by the provider itself",
            run.acknowledged, run.by_the_provider
        );
        show.step("online", &format!("{words}; {}", times(&run)), data(&run))
    }

    async fn redeem_offline(&mut self, show: &mut Show<'_>) -> Result<(), RehearseError> {
        let run = self.redeem("OFFLINE", self.count).await?;
        let refused = match run.refused {
            0 => String::new(),
            refused => format!("; {refused} refused by the offline limits"),
        };
        let words = format!(
            "{} accepted while the line is cut; {}{refused}",
            run.acknowledged,
            times(&run)
        );
        show.step("offline", &words, data(&run))
    }

    async fn kill_and_start(&mut self, show: &mut Show<'_>) -> Result<(), RehearseError> {
        let before = self.counts().await?;
        self.daemon.kill().await?;
        show.step("killed", "the daemon got SIGKILL", json!({}))?;
        let ready = self.daemon.run().await?;
        let after = self.counts().await?;
        let words = format!("ready again after {}, {} pending", fine(ready), after.pending);
        show.step(
            "started",
            &words,
            json!({ "ready_ms": millis(ready), "pending": after.pending }),
        )?;
        if after.accepted != before.accepted {
            let Counts { accepted, .. } = before;
            return Err(RehearseError::Unexpected(format!(
                "{accepted} were accepted, {} are known",
                after.accepted
            )));
        }
        Ok(())
    }

    async fn set_line(&self, line: LineState) -> Result<(), RehearseError> {
        if self.provider.set_line(line).await {
            Ok(())
        } else {
            Err(RehearseError::Unexpected(
                "the sandbox's listener did not follow the line".to_owned(),
            ))
        }
    }

    /// Redeems `count` codes one after the other.
    async fn redeem(&mut self, prefix: &str, count: u32) -> Result<Run, RehearseError> {
        let mut run = Run::default();
        for number in 1..=count {
            let began = Instant::now();
            let answer = self.daemon.redeem(&format!("REHEARSAL-{prefix}-{number:07}")).await?;
            run.took.push(began.elapsed());
            match answer.status {
                200..=299 => run.acknowledged += 1,
                // 400: a code's form, which is a limit of the settings too.
                503 | 400 => run.refused += 1,
                status => {
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    return Err(RehearseError::Unexpected(format!(
                        "the till was answered {status}: {body}"
                    )));
                }
            }
            run.by_the_provider += u64::from(answer.header("redeemd-state") == Some("confirmed"));
        }
        self.acknowledged += run.acknowledged;
        self.refused += run.refused;
        Ok(run)
    }

    async fn counts(&self) -> Result<Counts, RehearseError> {
        let status = self.daemon.status().await?;
        let counts = status.get("counts").cloned().unwrap_or_default();
        serde_json::from_value(counts)
            .map_err(|error| RehearseError::Unexpected(format!("status: {error}")))
    }

    /// Looks until nothing is pending.
    async fn drain(&mut self, show: &mut Show<'_>) -> Result<(), RehearseError> {
        let (began, all) = (Instant::now(), self.counts().await?.pending);
        let (mut least, mut progressed) = (all, began);
        show.drain(0, all)?;
        while least > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
            let pending = self.counts().await?.pending;
            if pending < least {
                (least, progressed) = (pending, Instant::now());
            }
            show.drain(all.saturating_sub(least), all)?;
            if progressed.elapsed() > self.patience {
                break;
            }
        }
        if least == 0 { show.drained(all, began.elapsed()) } else { self.stuck(show, least).await }
    }

    /// The drain stands still: what the lane says about it. The books will not balance.
    async fn stuck(&self, show: &mut Show<'_>, pending: u64) -> Result<(), RehearseError> {
        let lanes = self.daemon.status().await?.get("lanes").cloned().unwrap_or_default();
        let words =
            format!("no progress for {}, {pending} pending; lanes: {lanes}", fine(self.patience));
        show.step("stuck", &words, json!({ "pending": pending, "lanes": lanes }))
    }

    async fn daemon_is_counted(&mut self, show: &mut Show<'_>) -> Result<bool, RehearseError> {
        let gateway = self.counts().await?;
        self.daemon.stop().await?;
        let provider = self.provider.summary();
        show.books(&FinalBooks {
            acknowledged: self.acknowledged,
            refused: self.refused,
            gateway,
            provider,
        })
    }
}

fn outcome(run: &Run) -> &'static str {
    match (run.acknowledged, run.by_the_provider) {
        (0, _) => "refused by the offline limits",
        (_, 0) => "accepted",
        _ => "confirmed by the provider",
    }
}

fn times(run: &Run) -> String {
    let (median, slowest) = median_and_slowest(run);
    format!("median {}, slowest {}", fine(median), fine(slowest))
}

fn median_and_slowest(run: &Run) -> (Duration, Duration) {
    let mut took = run.took.clone();
    took.sort_unstable();
    (
        took.get(took.len() / 2).copied().unwrap_or_default(),
        took.last().copied().unwrap_or_default(),
    )
}

fn data(run: &Run) -> Value {
    let (median, slowest) = median_and_slowest(run);
    json!({ "acknowledged": run.acknowledged, "refused": run.refused,
        "by_the_provider": run.by_the_provider,
        "median_ms": millis(median), "slowest_ms": millis(slowest) })
}
