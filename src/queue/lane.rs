//! A lane as everybody sees it: its gate for the writer, its mailboxes for the forwarder, its status for operators.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::limits::LaneNow;
use crate::redemption::Seq;
use crate::settings::{Forward, Provider};
use crate::store::Claimed;

/// How many live redemptions may wait for a slot; further ones are left to the backlog.
pub const LIVE_ROWS_MAX: usize = 1024;
/// How many operators' commands may wait.
const COMMANDS_MAX: usize = 16;

/// What a lane's forwarder publishes for status, metrics and the console.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LaneStatus {
    /// The provider's name.
    pub name: String,
    /// `up`, `down` or `held`.
    pub link: &'static str,
    /// The cause's short word (`link::Cause`); `None` while up.
    pub cause: Option<String>,
    /// What it means and what to do, in plain words; `None` while up.
    pub explanation: Option<String>,
    /// What was seen; `None` while up.
    pub detail: Option<String>,
    /// RFC 3339, UTC: since when it is not up.
    pub since: Option<String>,
    /// Rows pending.
    pub pending: u64,
    /// The drain's window now.
    pub window: u32,
    /// Attempts on the wire.
    pub in_flight: u32,
    /// Seconds until the provider's `Retry-After` is over, if it set one.
    pub waiting_s: Option<u64>,
    /// Attempts ended since start, by outcome word (`confirmed`, `declined`, `parked`, `credential`, `wait`,
    /// `row_fault`, `reset`, `not_the_provider`, and the road's phases).
    pub attempts: std::collections::BTreeMap<&'static str, u64>,
}

/// What an operator may tell a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneCommand {
    /// Probe at once.
    Flush,
    /// Hold the lane for a person; survives a restart.
    Hold {
        /// The operator.
        by: String,
    },
    /// Let a held lane go on.
    Release {
        /// The operator.
        by: String,
    },
    /// Answer when the lane's loop comes round: for the watchdog.
    Ping,
}

/// What the writer reads of a lane's link inside the transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gate {
    /// Attempts are made at once.
    pub up: bool,
    /// Down for the provider's sake: from this moment on the next redemption is a probe.
    pub hopeful_from: Option<Instant>,
    /// Since when it is not up, and how long it had not been up before this process.
    pub outage: Option<(Instant, Duration)>,
}

/// A command and where its receipt goes.
pub type Told = (LaneCommand, oneshot::Sender<()>);

/// What a lane needs of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneSettings {
    /// Its provider.
    pub provider: Provider,
    /// Backoff, window and spread.
    pub forward: Forward,
}

/// One lane.
#[derive(Debug)]
pub struct Lane {
    name: String,
    settings: RwLock<Arc<LaneSettings>>,
    gate: Mutex<Gate>,
    status: Mutex<LaneStatus>,
    live: mpsc::Sender<Claimed>,
    commands: mpsc::Sender<Told>,
    newest: AtomicI64,
    wants_signal: AtomicBool,
    wake: Notify,
    changed: Notify,
}

/// The forwarder's ends of a lane's mailboxes.
#[derive(Debug)]
pub struct Mailboxes {
    /// Rows whose tills wait.
    pub live: mpsc::Receiver<Claimed>,
    /// Operators' commands.
    pub commands: mpsc::Receiver<Told>,
}

impl Lane {
    /// A lane, and what its forwarder listens to.
    #[must_use]
    pub fn new(settings: LaneSettings) -> (Arc<Self>, Mailboxes) {
        let (live, live_rows) = mpsc::channel(LIVE_ROWS_MAX);
        let (commands, told) = mpsc::channel(COMMANDS_MAX);
        let name = settings.provider.name.clone();
        let status = LaneStatus { name: name.clone(), link: "up", window: 1, ..LaneStatus::default() };
        let lane = Self {
            name,
            settings: RwLock::new(Arc::new(settings)),
            gate: Mutex::new(Gate::default()),
            status: Mutex::new(status),
            live,
            commands,
            newest: AtomicI64::new(0),
            wants_signal: AtomicBool::new(false),
            wake: Notify::new(),
            changed: Notify::new(),
        };
        (Arc::new(lane), Mailboxes { live: live_rows, commands: told })
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings as last loaded.
    #[must_use]
    pub fn settings(&self) -> Arc<LaneSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New settings for the same provider; its forwarder is told.
    pub fn reconfigure(&self, settings: LaneSettings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.changed.notify_one();
    }

    /// Returns when the provider's settings changed.
    pub async fn reconfigured(&self) {
        self.changed.notified().await;
    }

    /// What the forwarder knows of the link.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = gate;
    }

    /// The link as the transaction that decides sees it; the store knows `pending` better.
    #[must_use]
    pub fn now(&self, now: Instant) -> LaneNow {
        let gate = *self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let outage =
            gate.outage.map_or(Duration::ZERO, |(since, before)| before + now.saturating_duration_since(since));
        let trust = if gate.up { crate::trust::Trust::Unanswered } else { crate::trust::Trust::AtOnce { tenth: false } };
        LaneNow { ask: gate.up, live: gate.up, trust, outage, ..LaneNow::default() }
    }

    /// stub
    #[must_use]
    pub fn has_evidence(&self, _seq: Seq, _till: &str) -> bool {
        false
    }

    /// Changes what operators see.
    pub fn publish(&self, change: impl FnOnce(&mut LaneStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What operators see.
    #[must_use]
    pub fn status(&self) -> LaneStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands over a row whose till waits; gives it back when there is no room.
    ///
    /// # Errors
    /// The row itself.
    pub fn hand_over(&self, row: Claimed) -> Result<(), Claimed> {
        self.live.try_send(row).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(row) | mpsc::error::TrySendError::Closed(row) => row,
        })
    }

    /// A row waits for this lane that was not handed over.
    pub fn signal(&self, seq: Seq) {
        self.newest.store(seq.0, Ordering::Release);
        if self.wants_signal.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// From now on the next signal wakes the forwarder. To be called before it looks whether there is something to do.
    pub fn want_signal(&self) {
        self.wants_signal.store(true, Ordering::Release);
    }

    /// Returns at the next signal; the newest row that waits.
    pub async fn signalled(&self) -> Seq {
        self.wake.notified().await;
        Seq(self.newest.load(Ordering::Acquire))
    }

    /// Tells the forwarder something and waits until it has taken it; false when the lane has stopped.
    pub async fn tell(&self, command: LaneCommand) -> bool {
        let (receipt, taken) = oneshot::channel();
        self.commands.send((command, receipt)).await.is_ok() && taken.await.is_ok()
    }
}
