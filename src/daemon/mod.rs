//! Start order, signals, ordered shutdown.

mod core;
mod lanes;
mod listeners;
mod parts;
mod place;
mod process;
mod reload;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::forwarder::MakeTransport;
use crate::message::Language;
use crate::network;
use crate::notify::{Notify, SocketsError};
use crate::prepare::Prepared;
use crate::queue::{LaneSettings, Queue, QueueError};
use crate::settings::{LoadOptions, NamedSecret, Settings};
use crate::store::{Found, OpenReport, Store, StoreError};
use crate::upstream::{TokensInUse, Upstream, UpstreamContext};
pub use core::Core;
use listeners::Listeners;
pub use parts::Parts;

/// Why the daemon did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory or the database cannot be used as they are. Exit code 75 while another
    /// daemon works there, 78 for a database of a newer version or of another program, else 73.
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
    /// A socket that systemd hands in breaks a rule of the settings. Exit code 78.
    #[error("{0}")]
    OpenSocket(String),
    /// systemd hands in a socket that is nobody's. Exit code 78.
    #[error(
        "systemd hands in {kind} socket with the name {name}, which nobody serves: \
         FileDescriptorName= is tills (TCP) or admin (TCP or Unix)"
    )]
    StraySocket {
        /// Its `FileDescriptorName=`.
        name: String,
        /// `a TCP` or `a Unix`.
        kind: &'static str,
    },
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
pub struct RunningDaemon {
    options: LoadOptions,
    /// The settings of the start, of which some stay in force until the next one.
    begun_with: Settings,
    /// The secrets of the settings in force.
    secrets: Vec<NamedSecret>,
    signals: Signals,
    core: Core<Upstream>,
    notify: Arc<Notify>,
    listeners: Listeners,
    /// Tasks that end by themselves at the stop: the network's watcher, the alerts.
    helpers: JoinSet<()>,
    stop_helpers: watch::Sender<bool>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, DaemonError> {
        let of = |kind| {
            signal(kind).map_err(|error| DaemonError::System(format!("no signals: {error}")))
        };
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }
}

/// A daemon whose store is open and that serves nobody yet.
struct Begun {
    options: LoadOptions,
    signals: Signals,
    clock: Clock,
    notify: Arc<Notify>,
    queue: Queue,
}

impl RunningDaemon {
    /// Starts everything that the settings ask for; `options` are for reloads.
    ///
    /// # Errors
    /// It could not start.
    pub async fn start(prepared: Prepared, options: LoadOptions) -> Result<Self, DaemonError> {
        process::hide();
        process::keep_files_private();
        process::raise_open_files();
        let signals = Signals::new()?;
        let (clock, notify) = (Clock::system(), Arc::new(Notify::from_env()));
        // The store first: its lock says that nobody else serves here, and makes the place for the
        // commands' socket.
        let settings = &prepared.loaded.settings;
        let queue = notify.while_it_takes(|| open_queue(settings, &clock))?;
        let begun = Begun { options, signals, clock, notify, queue: queue.clone() };
        let started = begun.serve(prepared).await;
        if started.is_err() {
            // Nothing was on the wire, and the next start is to know it.
            queue.stop().await;
        }
        started
    }

    /// Serves until it is told to stop, then stops in order.
    ///
    /// # Errors
    /// It had to stop by itself.
    pub async fn run(mut self) -> Result<(), DaemonError> {
        let ended = self.serve().await;
        self.stop().await;
        ended
    }

    async fn serve(&mut self) -> Result<(), DaemonError> {
        let mut is_to_reload = false;
        loop {
            let at_rest = self.core.at_rest();
            tokio::select! {
                _ = self.signals.terminate.recv() => return Ok(()),
                _ = self.signals.interrupt.recv() => return Ok(()),
                _ = self.signals.hangup.recv() => is_to_reload = true,
                () = at_rest, if is_to_reload => {
                    is_to_reload = false;
                    self.reload().await;
                }
                () = self.listeners.ended() => {
                    return Err(DaemonError::System("a listener ended".to_owned()));
                }
                worked = self.core.work() => {
                    worked?;
                    self.tell_status();
                }
            }
        }
    }

    /// The line that `systemctl status` shows.
    fn tell_status(&self) {
        let counts = self.core.queue.counts();
        let lanes = self.core.queue.lanes().into_iter().map(|lane| match lane.cause {
            None => format!("{} {}", lane.name, lane.seen),
            Some(cause) => format!("{} {} ({cause})", lane.name, lane.seen),
        });
        let storage = self.core.queue.storage();
        let storage = if storage.ok {
            String::new()
        } else {
            format!("; STORAGE: {}", storage.detail(Language::English))
        };
        let lanes = lanes.collect::<Vec<_>>().join(", ");
        self.notify.status(&format!(
            "{lanes}; {} pending, {} confirmed, {} declined, {} parked{storage}",
            counts.pending, counts.confirmed, counts.declined, counts.parked
        ));
    }

    fn warn_of_orphans(&self) {
        let orphans = self
            .core
            .queue
            .lanes()
            .into_iter()
            .filter(|lane| lane.cause.as_deref() == Some("not_configured"));
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
        self.core.stop().await;
        self.stop_helpers.send_replace(true);
        while self.helpers.join_next().await.is_some() {}
        self.core.queue.stop().await;
        tracing::info!("stopped");
    }
}

impl Begun {
    /// Binds the addresses and starts all that works on the queue.
    async fn serve(self, prepared: Prepared) -> Result<RunningDaemon, DaemonError> {
        let Self { options, signals, clock, notify, queue } = self;
        let (settings, credentials_dir) =
            (&prepared.loaded.settings, &prepared.loaded.credentials_dir);
        let mut listeners = Listeners::bind(&prepared)?;
        let (stop_helpers, stop) = watch::channel(false);
        let mut helpers = JoinSet::new();
        let network = watch_network(&mut helpers, stop.clone());
        let context = UpstreamContext {
            clock: clock.clone(),
            state_dir: settings.gateway.state_dir.clone(),
            credentials_dir: credentials_dir.clone(),
            gateway: settings.gateway.name.clone(),
            tokens: TokensInUse::default(),
        };
        let alerts = Alerts::new(settings.alert.as_ref(), &context).map_err(|error| {
            DaemonError::Provider { lane: "[alert]".to_owned(), why: error.to_string() }
        })?;
        helpers.spawn(alerts.clone().run(told_to_stop(stop)));
        let (make_transport, watched) = (transport_maker(context), Arc::clone(&notify));
        let credentials_dir = credentials_dir.clone();
        let parts = Parts {
            queue,
            clock,
            seed: seed(),
            make_transport,
            network,
            alerts,
            notify: watched,
            credentials_dir,
        };
        let core = Core::start(settings, parts).await?;
        listeners.serve(core.intake(), core.admin());
        core.listening();
        let (begun_with, secrets) = (prepared.loaded.settings, prepared.loaded.secrets);
        let daemon = RunningDaemon {
            options,
            begun_with,
            secrets,
            signals,
            core,
            notify,
            listeners,
            helpers,
            stop_helpers,
        };
        daemon.warn_of_orphans();
        daemon.tell_status();
        daemon.notify.ready();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            gateway = daemon.begun_with.gateway.name,
            "ready"
        );
        Ok(daemon)
    }
}

fn open_queue(settings: &Settings, clock: &Clock) -> Result<Queue, DaemonError> {
    let dir = &settings.gateway.state_dir;
    let (store, report) = Store::open(dir)
        .map_err(|error| DaemonError::State { path: dir.join(crate::store::FILE), error })?;
    match crate::store::is_volatile(dir) {
        Some(false) => {}
        Some(true) => tracing::warn!(dir = %dir.display(), "the state directory lies in memory \
            (tmpfs): a power cut loses what is pending"),
        None => tracing::warn!(dir = %dir.display(), "the state directory lies on an overlay: if \
            its upper layer is in memory, a power cut loses what is pending"),
    }
    tell_opening(&report);
    Queue::start(store, clock.clone(), settings.offline.clone())
        .map_err(|error| DaemonError::System(format!("no thread for the store: {error}")))
}

fn tell_opening(report: &OpenReport) {
    if let Some(salvage) = &report.salvage {
        tracing::error!("the database was damaged: {salvage}");
    }
    if let Some(marker) = &report.missing {
        let marker = marker.display();
        tracing::error!(%marker, "there is no database beside what a redeemd had left here: it \
            begins with an empty one");
    }
    match &report.migrated {
        Some(migrated) if migrated.put_off.is_some() => tracing::warn!("{migrated}"),
        Some(migrated) => tracing::info!("{migrated}"),
        None => {}
    }
    if let Some(why) = report.copied {
        tracing::warn!(
            why,
            "the database is a copy or was restored: every pending redemption is treated as \
             uncertain"
        );
    }
    if report.found == Found::Unclean {
        tracing::info!(
            uncertain = report.uncertain,
            "the last stop was not in order: attempts on the wire are uncertain"
        );
    }
}

/// The way to a provider over the real network.
fn transport_maker(context: UpstreamContext) -> MakeTransport<Upstream> {
    Arc::new(move |settings: &LaneSettings| {
        Upstream::new(&settings.provider, &context).map_err(|error| error.to_string())
    })
}

/// Jitter that differs from process to process; a simulation seeds its own.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => u64::from(std::process::id()),
    }
}

/// Returns once the flag is set, or nobody can set it any more.
async fn told_to_stop(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Follows the kernel's word on links, addresses and routes; without it lanes find out by their
/// probes alone.
fn watch_network(
    helpers: &mut JoinSet<()>,
    mut stop: watch::Receiver<bool>,
) -> watch::Receiver<u64> {
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
            tracing::warn!(%error, "the kernel's network events cannot be had: lanes find out by \
                their probes");
        }
    }
    changes
}
