//! The lanes of the settings: begun, changed and ended as the settings say.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::core::Parts;
use super::{DaemonError, held};
use crate::forwarder::{self, Forwarder, MakeRoad, Road};
use crate::intake::CheckReward;
use crate::queue::{Lane, LaneSettings, Mailboxes};
use crate::settings::Settings;

/// The way to each provider, for Check Reward.
type Roads<R> = Arc<RwLock<BTreeMap<String, R>>>;

struct Running {
    lane: Arc<Lane>,
    stop: watch::Sender<bool>,
    task: AbortHandle,
    /// It sends nothing, because its settings cannot be used.
    is_held: bool,
}

/// What becomes of a provider that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its lane is held and the others are served: at a start.
    IsHeld,
    /// Nothing is changed: at a reload.
    IsRefused,
}

/// A lane that is ready to begin.
struct Made<R> {
    lane: Arc<Lane>,
    stop: watch::Sender<bool>,
    work: Work<R>,
}

enum Work<R> {
    Forwards(Box<Forwarder<R>>),
    IsHeld(Mailboxes, watch::Receiver<bool>),
}

fn lane_of<R>(made: &[Made<R>], name: &str) -> Option<Arc<Lane>> {
    made.iter().find(|made| made.lane.name() == name).map(|made| Arc::clone(&made.lane))
}

/// Every lane that runs.
pub(super) struct Lanes<R> {
    parts: Parts<R>,
    gateway: String,
    /// Makes a road on trial; the lanes' own, of the parts, is noted for checks.
    make_road: MakeRoad<R>,
    reloads: watch::Sender<u64>,
    phases: Arc<Notify>,
    roads: Roads<R>,
    running: Vec<Running>,
    begun: u64,
    tasks: JoinSet<String>,
}

impl<R: Road + Clone> Lanes<R> {
    pub(super) fn new(gateway: &str, mut parts: Parts<R>) -> Self {
        let roads = Roads::default();
        let make_road = Arc::clone(&parts.make_road);
        parts.make_road = noted(Arc::clone(&roads), parts.make_road);
        Self {
            parts,
            gateway: gateway.to_owned(),
            make_road,
            reloads: watch::Sender::new(0),
            phases: Arc::default(),
            roads,
            running: Vec::new(),
            begun: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Makes the lanes those of `settings`: what stays keeps its link, what is gone ends, what is new begins. All that
    /// is new is made before anything is ended, so that an error changes nothing.
    ///
    /// # Errors
    /// A provider cannot be used, unless it is `held` for that; or the store takes nothing.
    pub(super) async fn set(&mut self, settings: &Settings, broken: Broken) -> Result<(), DaemonError> {
        let wanted: Vec<LaneSettings> =
            settings.providers.iter().map(|provider| LaneSettings::of(provider, settings)).collect();
        let mut begun = Vec::new();
        for settings in &wanted {
            match self.serving(&settings.provider.name) {
                Some(lane) if *lane.settings() == *settings => {}
                Some(_) => drop(self.try_road(settings)?),
                None => begun.push(self.make(settings, broken).await?),
            }
        }
        let stays = |name: &str| self.serving(name).or_else(|| lane_of(&begun, name));
        let lanes = wanted.iter().filter_map(|settings| stays(&settings.provider.name)).collect();
        self.parts.queue.set_lanes(lanes).await?;
        self.end_those_gone(settings).await;
        for settings in wanted {
            if let Some(lane) = self.serving(&settings.provider.name).filter(|lane| *lane.settings() != settings) {
                lane.reconfigure(settings);
            }
        }
        for made in begun {
            self.begin(made);
        }
        self.reloads.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The lane of this name that is not held by its settings.
    fn serving(&self, name: &str) -> Option<Arc<Lane>> {
        self.running.iter().find(|one| one.lane.name() == name && !one.is_held).map(|one| Arc::clone(&one.lane))
    }

    fn try_road(&self, settings: &LaneSettings) -> Result<R, DaemonError> {
        let lane = settings.provider.name.clone();
        (self.make_road)(settings).map_err(|why| DaemonError::Provider { lane, why })
    }

    /// Everything of a new lane, so that only its task is to be begun.
    async fn make(&mut self, settings: &LaneSettings, broken: Broken) -> Result<Made<R>, DaemonError> {
        let (lane, mailboxes) = Lane::new(settings.clone());
        let (stop, stopped) = watch::channel(false);
        let work = match self.try_road(settings) {
            Ok(_) => Work::Forwards(Box::new(self.forwarder(&lane, mailboxes, stopped).await?)),
            Err(error) if broken == Broken::IsHeld => {
                tracing::error!(lane = lane.name(), "{error}: the lane is held until a reload finds it mended");
                held::show(&lane, &error.to_string(), &self.parts.clock);
                Work::IsHeld(mailboxes, stopped)
            }
            Err(error) => return Err(error),
        };
        Ok(Made { lane, stop, work })
    }

    async fn forwarder(
        &mut self,
        lane: &Arc<Lane>,
        mailboxes: Mailboxes,
        stop: watch::Receiver<bool>,
    ) -> Result<Forwarder<R>, DaemonError> {
        let parts = &self.parts;
        let context = forwarder::Context {
            queue: parts.queue.clone(),
            clock: parts.clock.clone(),
            gateway: self.gateway.clone(),
            seed: parts.seed.wrapping_add(self.begun),
            make_road: Arc::clone(&parts.make_road),
            network: parts.network.clone(),
            reloads: self.reloads.subscribe(),
            phases: Arc::clone(&self.phases),
            alerts: parts.alerts.clone(),
            stop,
        };
        self.begun += 1;
        // Before the daemon is ready: the first redemption already waits for the provider's own answer.
        let prepared = forwarder::prepare(Arc::clone(lane), mailboxes, context).await;
        prepared.map_err(|why| DaemonError::Provider { lane: lane.name().to_owned(), why })
    }

    fn begin(&mut self, made: Made<R>) {
        let Made { lane, stop, work } = made;
        let name = lane.name().to_owned();
        let is_held = matches!(work, Work::IsHeld(..));
        let task = match work {
            Work::Forwards(forwarder) => self.tasks.spawn(async move {
                forwarder.run().await;
                name
            }),
            Work::IsHeld(mailboxes, stopped) => {
                let lane = Arc::clone(&lane);
                self.tasks.spawn(async move {
                    held::wait(lane, mailboxes, stopped).await;
                    name
                })
            }
        };
        self.running.push(Running { lane, stop, task, is_held });
    }

    /// Ends the lanes that `settings` do not name, and those that were held: they are made anew.
    async fn end_those_gone(&mut self, settings: &Settings) {
        let is_named = |one: &Running| settings.providers.iter().any(|provider| provider.name == one.lane.name());
        let stays = |one: &Running| is_named(one) && !one.is_held;
        let (stay, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running).into_iter().partition(stays);
        self.running = stay;
        for one in &gone {
            if !is_named(one) {
                tracing::warn!(lane = one.lane.name(), "the provider is gone from the settings: its lane ends");
                self.roads.write().unwrap_or_else(PoisonError::into_inner).remove(one.lane.name());
            }
            one.stop.send_replace(true);
        }
        while gone.iter().any(|one| !one.task.is_finished()) {
            if self.tasks.join_next().await.is_none() {
                break;
            }
        }
    }

    /// Notified when a link changed.
    pub(super) fn phases(&self) -> Arc<Notify> {
        Arc::clone(&self.phases)
    }

    /// Returns when a lane ended that was not told to: it says why.
    pub(super) async fn ended(&mut self) -> String {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(lane)) if self.running.iter().any(|one| one.lane.name() == lane) => {
                    return format!("lane {lane} ended");
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return format!("a lane ended in a defect: {error}"),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Forwards a till's Check Reward over its lane's connections.
    pub(super) fn checker(&self) -> impl CheckReward + use<R> {
        let roads = Arc::clone(&self.roads);
        move |lane: &str, body: Bytes| {
            let road = roads.read().unwrap_or_else(PoisonError::into_inner).get(lane).cloned();
            async move {
                match road {
                    Some(road) => road.check(body).await,
                    None => None,
                }
            }
        }
    }

    /// Every lane's attempts end within their grace.
    pub(super) async fn stop(&mut self) {
        for one in &self.running {
            one.stop.send_replace(true);
        }
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a lane ended in a defect");
            }
        }
    }
}

/// Keeps each road that is made, for Check Reward.
fn noted<R: Road + Clone>(roads: Roads<R>, make_road: MakeRoad<R>) -> MakeRoad<R> {
    Arc::new(move |settings: &LaneSettings| {
        let road = make_road(settings)?;
        roads.write().unwrap_or_else(PoisonError::into_inner).insert(settings.provider.name.clone(), road.clone());
        Ok(road)
    })
}
