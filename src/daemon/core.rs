//! Everything of the daemon but its sockets, signals and systemd: what the simulation runs as well.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::DaemonError;
use super::lanes::{Broken, RunningLanes};
use super::parts::Parts;
use super::upkeep::{Upkeep, keep_refusals};
use crate::admin::{self, Admin};
use crate::clock::Clock;
use crate::forwarder::Transport;
use crate::intake::Intake;
use crate::queue::Queue;
use crate::settings::Settings;

/// How long requests that came whole may take to be decided after the listeners have closed.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Tills' side, lanes, operators' side and upkeep around one queue.
pub struct Core<R> {
    pub(super) queue: Queue,
    clock: Clock,
    credentials_dir: Option<PathBuf>,
    intake: Arc<Intake>,
    admin: Arc<Admin>,
    lanes: RunningLanes<R>,
    upkeep: Upkeep,
    ready: watch::Sender<bool>,
}

impl<R: Transport + Clone> Core<R> {
    /// Brings up every lane of the settings; what is accepted from now on gets the provider's own
    /// answer if its lane is up. A provider whose settings cannot be used has its lane held.
    ///
    /// # Errors
    /// The store takes nothing.
    pub async fn start(settings: &Settings, parts: Parts<R>) -> Result<Self, DaemonError> {
        let Parts { queue, clock, notify, credentials_dir, .. } = &parts;
        let (ready, is_ready) = watch::channel(false);
        let info = admin::Info {
            gateway: settings.gateway.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: Instant::now(),
            clock: clock.clone(),
            ready: is_ready,
        };
        let admin = Arc::new(Admin::new(queue.clone(), info));
        admin.set_rules(admin::AccessRules::of(settings, credentials_dir.clone()));
        let upkeep = Upkeep::new(notify, retention(settings));
        queue.set_days(settings.gateway.days());
        let (queue, clock, credentials_dir) =
            (queue.clone(), clock.clone(), credentials_dir.clone());
        let mut lanes = RunningLanes::new(&settings.gateway.name, parts);
        lanes.set(settings, Broken::IsHeld).await?;
        let intake = Intake::new(settings, queue.clone(), lanes.checker(), credentials_dir.clone());
        Ok(Self { queue, clock, credentials_dir, intake, admin, lanes, upkeep, ready })
    }

    /// Intake listens: `readyz` says so.
    pub fn listening(&self) {
        self.ready.send_replace(true);
    }

    /// The tills' side.
    #[must_use]
    pub fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// The operators' side.
    #[must_use]
    pub fn admin(&self) -> &Arc<Admin> {
        &self.admin
    }

    /// Works until something has changed that operators may want to be told. May be dropped and
    /// called again.
    ///
    /// # Errors
    /// The daemon has to end: the store cannot be trusted any more, or a lane ended by itself.
    pub async fn work(&mut self) -> Result<(), DaemonError> {
        let phases = self.lanes.phases();
        tokio::select! {
            why = self.queue.fatal() => Err(DaemonError::Storage(why)),
            why = self.lanes.ended() => Err(DaemonError::System(why)),
            () = phases.notified() => Ok(()),
            () = self.upkeep.tick(&self.queue, &self.clock) => Ok(()),
        }
    }

    /// Returns when the lanes that the last reload took away have ended: until then the next one
    /// would wait.
    pub(super) fn at_rest(&mut self) -> impl Future<Output = ()> + use<R> {
        self.lanes.at_rest()
    }

    /// Takes over everything that a reload can change, or nothing. What only a restart changes is
    /// still as it began ([`until_restart`](crate::settings::until_restart)).
    ///
    /// # Errors
    /// Some of it cannot be used; what held before holds.
    pub async fn reconfigure(&mut self, settings: &Settings) -> Result<(), DaemonError> {
        self.lanes.set(settings, Broken::IsRefused).await?;
        self.queue.set_offline(settings.offline.clone());
        self.queue.set_days(settings.gateway.days());
        self.intake.reload(settings);
        let rules = admin::AccessRules::of(settings, self.credentials_dir.clone());
        self.admin.set_rules(rules);
        self.upkeep.set_retention(retention(settings));
        self.upkeep.forget_now(&self.queue);
        Ok(())
    }

    /// After the listeners have ended: decides what has come whole, lets attempts on the wire end,
    /// and keeps what the links must remember. The queue is still open.
    pub async fn stop(&mut self) {
        let given_up = self.intake.drain(DRAIN_WITHIN).await;
        if given_up > 0 {
            tracing::warn!(
                given_up,
                "requests were not decided in time; their tills will ask again"
            );
        }
        self.lanes.stop().await;
        keep_refusals(&self.queue).await;
    }
}

fn retention(settings: &Settings) -> crate::store::Retention {
    let crate::settings::RetentionSettings { settled, codes } = settings.retention;
    crate::store::Retention { settled, codes }
}
