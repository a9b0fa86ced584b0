//! The lanes: claim, send, settle, wait.

mod ending;
mod lane;
mod memory;
mod show;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use lane::Forwarder;
pub use transport::Transport;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::queue::{Lane, LaneSettings, Mailboxes, Queue};

/// How long attempts on the wire may go on after a stop; what has not ended then is uncertain.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Makes the transport to a provider, at start and after a reload.
pub type MakeTransport<R> = Arc<dyn Fn(&LaneSettings) -> Result<R, String> + Send + Sync>;

/// What every lane is handed.
#[derive(Clone)]
pub struct Context<R> {
    /// The queue.
    pub queue: Queue,
    /// Wall time, for the record.
    pub clock: Clock,
    /// The gateway's name: its place in the fleet's spread.
    pub gateway: String,
    /// Seeds the jitter.
    pub seed: u64,
    /// Makes the transport.
    pub make_transport: MakeTransport<R>,
    /// Counts up when carrier, addresses or routes change.
    pub network: watch::Receiver<u64>,
    /// Counts up when the settings were read again.
    pub reloads: watch::Receiver<u64>,
    /// Told when a link changed.
    pub phases: Arc<tokio::sync::Notify>,
    /// Whom to tell of failing deliveries.
    pub alerts: Alerts,
    /// Becomes true when the daemon stops.
    pub stop: watch::Receiver<bool>,
}

/// One lane's forwarder, ready to run: its link is where the last process left it, and the writer
/// knows. What is accepted from here on gets the provider's own answer if the lane is up.
///
/// # Errors
/// The transport cannot be made from the settings, or what the link had to remember cannot be read.
pub async fn prepare<R: Transport>(
    lane: Arc<Lane>,
    mailboxes: Mailboxes,
    context: Context<R>,
) -> Result<Forwarder<R>, String> {
    let forwarder = Forwarder::new(lane, mailboxes, context).await?;
    forwarder.publish();
    Ok(forwarder)
}
