//! Start order, signals, ordered shutdown.

mod lanes;
mod listeners;
mod reload;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::{self, Admin};
use crate::alert::Alerts;
use crate::clock::Clock;
use crate::intake::Intake;
use crate::network;
use crate::notify::{Notify, SocketsError};
use crate::queue::{Queue, QueueError};
use crate::settings::{LoadOptions, Loaded, Settings};
use crate::store::{Found, OpenReport, Store, StoreError};
use crate::upstream::Context;
use lanes::Lanes;
use listeners::Listeners;

/// How long requests that came whole may take to be decided after the listeners have closed.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Why the daemon did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory or the database cannot be used as they are: a person has to look. Exit code 78.
    #[error("{}", named(.path, .error))]
    State {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        error: StoreError,
    },
    /// A listener cannot be had. Exit code 70: it may be free a moment later.
    #[error("cannot listen on {place}: {error}")]
    Listen {
        /// Where.
        place: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The settings' own rule for `intake.listen`, for a socket that systemd hands in. Exit code 78.
    #[error(
        "systemd hands in {address}, which is beyond loopback, and no till has a token: give the tills tokens, or set intake.allow_anonymous"
    )]
    OpenSocket {
        /// Where it listens.
        address: std::net::SocketAddr,
    },
    /// The certificate of the tills' listener cannot be used. Exit code 78.
    #[error("intake.tls: {0}")]
    Certificate(String),
    /// The sockets handed in by systemd cannot be used. Exit code 78.
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    /// A provider's settings cannot be used. Exit code 78.
    #[error("provider {lane}: {why}")]
    Provider {
        /// Which.
        lane: String,
        /// Why.
        why: String,
    },
    /// What is on the disk cannot be known any more: starting again recovers it. Exit code 70.
    #[error("{0}: starting again")]
    Storage(String),
    /// The system refused something that every process needs. Exit code 70.
    #[error("{0}")]
    System(String),
}

/// SQLite's errors do not name their file.
fn named(path: &Path, error: &StoreError) -> String {
    if matches!(error, StoreError::Locked { .. } | StoreError::File { .. }) {
        return error.to_string();
    }
    format!("{}: {error}", path.display())
}

impl From<QueueError> for DaemonError {
    fn from(error: QueueError) -> Self {
        Self::Storage(error.to_string())
    }
}

/// Everything that runs.
struct Daemon {
    options: LoadOptions,
    settings: Settings,
    queue: Queue,
    clock: Clock,
    notify: Arc<Notify>,
    intake: Arc<Intake>,
    lanes: Lanes,
    listeners: Listeners,
    upkeep: upkeep::Upkeep,
    /// Tasks that end by themselves at the stop: the network's watcher, the alerts.
    helpers: JoinSet<()>,
    stop_helpers: watch::Sender<bool>,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// It could not start, or it had to stop by itself.
pub async fn run(loaded: Loaded, options: LoadOptions) -> Result<(), DaemonError> {
    let mut signals = Signals::new()?;
    let mut daemon = Daemon::start(loaded, options).await?;
    let ended = daemon.serve(&mut signals).await;
    daemon.stop().await;
    ended
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, DaemonError> {
        let of = |kind| signal(kind).map_err(|error| DaemonError::System(format!("no signals: {error}")));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }
}

impl Daemon {
    async fn start(loaded: Loaded, options: LoadOptions) -> Result<Self, DaemonError> {
        let Loaded { settings, credentials_dir, .. } = loaded;
        let (started, clock, notify) = (Instant::now(), Clock::system(), Arc::new(Notify::from_env()));
        // The store first: its lock says that nobody else serves here, and makes the place for the commands' socket.
        let queue = open_queue(&settings, &clock)?;
        let listeners = Listeners::bind(&settings)?;
        let (stop_helpers, stop) = watch::channel(false);
        let mut helpers = JoinSet::new();
        let network = watch_network(&mut helpers, stop.clone());
        let context = Context {
            clock: clock.clone(),
            state_dir: settings.gateway.state_dir.clone(),
            credentials_dir: credentials_dir.clone(),
            gateway: settings.gateway.name.clone(),
        };
        let alerts = Alerts::new(settings.alert.as_ref(), &context)
            .map_err(|error| DaemonError::Provider { lane: "[alert]".to_owned(), why: error.to_string() })?;
        helpers.spawn(alerts.clone().run(told_to_stop(stop)));
        let mut lanes = Lanes::new(&queue, context, network, alerts);
        lanes.set(&settings).await?;
        let intake = Intake::new(&settings, queue.clone(), lanes.checker(), credentials_dir);
        let (ready, is_ready) = watch::channel(false);
        let info = admin::Info {
            gateway: settings.gateway.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started,
            clock: clock.clone(),
            ready: is_ready,
        };
        let admin = Arc::new(Admin::new(queue.clone(), info));
        let mut daemon = Self {
            upkeep: upkeep::Upkeep::new(&notify, settings.retention.settled),
            options,
            settings,
            queue,
            clock,
            notify,
            intake,
            lanes,
            listeners,
            helpers,
            stop_helpers,
        };
        daemon.listeners.serve(Arc::clone(&daemon.intake), &admin);
        ready.send_replace(true);
        daemon.warn_of_orphans();
        daemon.tell_status();
        daemon.notify.ready();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), gateway = daemon.settings.gateway.name, "ready");
        Ok(daemon)
    }

    async fn serve(&mut self, signals: &mut Signals) -> Result<(), DaemonError> {
        let queue = self.queue.clone();
        let phases = self.lanes.phases();
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.hangup.recv() => self.reload().await,
                why = queue.fatal() => return Err(DaemonError::Storage(why)),
                () = phases.notified() => self.tell_status(),
                why = self.lanes.ended() => return Err(DaemonError::System(why)),
                () = self.listeners.ended() => return Err(DaemonError::System("a listener ended".to_owned())),
                () = self.upkeep.tick(&self.queue, &self.clock) => self.tell_status(),
            }
        }
    }

    /// The line that `systemctl status` shows.
    fn tell_status(&self) {
        let counts = self.queue.counts();
        let lanes = self.queue.lanes().into_iter().map(|lane| match lane.cause {
            None => format!("{} {}", lane.name, lane.link),
            Some(cause) => format!("{} {} ({cause})", lane.name, lane.link),
        });
        let storage = self.queue.storage();
        let storage = if storage.ok { String::new() } else { format!("; STORAGE: {}", storage.detail) };
        let lanes = lanes.collect::<Vec<_>>().join(", ");
        self.notify.status(&format!(
            "{lanes}; {} pending, {} confirmed, {} declined, {} parked{storage}",
            counts.pending, counts.confirmed, counts.declined, counts.parked
        ));
    }

    fn warn_of_orphans(&self) {
        let orphans = self.queue.lanes().into_iter().filter(|lane| lane.cause.as_deref() == Some("not_configured"));
        for lane in orphans {
            tracing::warn!(
                lane = lane.name,
                pending = lane.pending,
                "redemptions wait for a provider that the settings do not name"
            );
        }
    }

    /// Tills first, so that what they were told stays true; then the lanes; the store last.
    async fn stop(mut self) {
        self.notify.stopping();
        tracing::info!("stopping");
        self.listeners.stop().await;
        let given_up = self.intake.drain(DRAIN_WITHIN).await;
        if given_up > 0 {
            tracing::warn!(given_up, "requests were not decided in time; their tills will ask again");
        }
        self.lanes.stop().await;
        self.stop_helpers.send_replace(true);
        while self.helpers.join_next().await.is_some() {}
        self.queue.stop().await;
        tracing::info!("stopped");
    }
}

fn open_queue(settings: &Settings, clock: &Clock) -> Result<Queue, DaemonError> {
    let dir = &settings.gateway.state_dir;
    let (store, report) =
        Store::open(dir).map_err(|error| DaemonError::State { path: dir.join(crate::store::FILE), error })?;
    if crate::store::is_volatile(dir) {
        tracing::warn!(dir = %dir.display(), "the state directory lies in memory (tmpfs): a power cut loses what is pending");
    }
    tell_opening(&report);
    Queue::start(store, clock.clone(), settings.offline.clone())
        .map_err(|error| DaemonError::System(format!("no thread for the store: {error}")))
}

fn tell_opening(report: &OpenReport) {
    if let Some(salvage) = &report.salvage {
        tracing::error!("the database was damaged: {salvage}");
    }
    match &report.migrated {
        Some(migrated) if migrated.put_off.is_some() => tracing::warn!("{migrated}"),
        Some(migrated) => tracing::info!("{migrated}"),
        None => {}
    }
    if report.moved {
        tracing::warn!("the database is a copy or was restored: every pending redemption is treated as uncertain");
    }
    if report.found == Found::Unclean {
        tracing::info!(
            uncertain = report.uncertain,
            "the last stop was not in order: attempts on the wire are uncertain"
        );
    }
}

/// Returns once the flag is set, or nobody can set it any more.
async fn told_to_stop(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Follows the kernel's word on links, addresses and routes; without it lanes find out by their probes alone.
fn watch_network(helpers: &mut JoinSet<()>, mut stop: watch::Receiver<bool>) -> watch::Receiver<u64> {
    let (tell, changes) = watch::channel(0u64);
    match network::watch() {
        Ok(mut watch) => {
            helpers.spawn(async move {
                loop {
                    tokio::select! {
                        () = watch.changed() => tell.send_modify(|count| *count += 1),
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                }
            });
        }
        Err(error) => {
            tracing::warn!(%error, "the kernel's network events cannot be had: lanes find out by their probes");
        }
    }
    changes
}
