//! What the daemon's core stands on, handed in by who starts it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::forwarder::MakeTransport;
use crate::notify::Notify;
use crate::queue::Queue;

/// What a core stands on.
pub struct Parts<R> {
    /// The queue, its writer running.
    pub queue: Queue,
    /// Wall time, for the record.
    pub clock: Clock,
    /// Seeds the jitter of every lane.
    pub seed: u64,
    /// Makes the transport to a provider.
    pub make_transport: MakeTransport<R>,
    /// Counts up when carrier, addresses or routes change.
    pub network: watch::Receiver<u64>,
    /// Whom to tell of failing deliveries.
    pub alerts: Alerts,
    /// Who watches the daemon's progress.
    pub notify: Arc<Notify>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials_dir: Option<PathBuf>,
}
