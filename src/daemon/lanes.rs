//! The lanes of the settings: begun, changed and ended as the settings say.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::DaemonError;
use super::parts::Parts;
use crate::forwarder::{self, Forwarder, MakeTransport, Transport};
use crate::intake::CheckReward;
use crate::queue::{Lane, LaneSettings};
use crate::settings::Settings;

/// The way to each provider, for Check Reward.
type Transports<R> = Arc<RwLock<BTreeMap<String, R>>>;

struct Running {
    lane: Arc<Lane>,
    stop: watch::Sender<bool>,
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
    forwarder: Forwarder<R>,
}

fn lane_of<R>(made: &[Made<R>], name: &str) -> Option<Arc<Lane>> {
    made.iter().find(|made| made.lane.name() == name).map(|made| Arc::clone(&made.lane))
}

/// Every lane that runs.
pub(super) struct RunningLanes<R> {
    parts: Parts<R>,
    gateway: String,
    /// Makes a transport on trial; the lanes' own, of the parts, is noted for checks.
    make_transport: MakeTransport<R>,
    reloads: watch::Sender<u64>,
    phases: Arc<Notify>,
    transports: Transports<R>,
    running: Vec<Running>,
    /// Lanes that were told to stop and let end what is on the wire. Each is over when nobody
    /// listens to its stop any more.
    ending: Vec<watch::Sender<bool>>,
    begun: u64,
    /// Each tells at its end which lane it was: another one may have its name by then.
    tasks: JoinSet<Arc<Lane>>,
}

impl<R: Transport + Clone> RunningLanes<R> {
    pub(super) fn new(gateway: &str, mut parts: Parts<R>) -> Self {
        let transports = Transports::default();
        let make_transport = Arc::clone(&parts.make_transport);
        parts.make_transport = noted(Arc::clone(&transports), parts.make_transport);
        Self {
            parts,
            gateway: gateway.to_owned(),
            make_transport,
            reloads: watch::Sender::new(0),
            phases: Arc::default(),
            transports,
            running: Vec::new(),
            ending: Vec::new(),
            begun: 0,
            tasks: JoinSet::new(),
        }
    }

    /// Makes the lanes those of `settings`: what stays keeps its link, what is gone ends, what is
    /// new begins. All that is new is made before anything is ended, so that an error changes
    /// nothing. What is gone ends beside all that; only what an earlier call let go is waited for,
    /// since of one name there must never be two.
    ///
    /// # Errors
    /// A provider cannot be used, unless its lane is held for that; or the store takes nothing.
    pub(super) async fn set(
        &mut self,
        settings: &Settings,
        broken: Broken,
    ) -> Result<(), DaemonError> {
        self.at_rest().await;
        let mut wanted = Vec::new();
        for provider in &settings.providers {
            wanted.push(self.usable(LaneSettings::of(provider, settings), broken)?);
        }
        let mut begun = Vec::new();
        for settings in &wanted {
            if self.find(&settings.provider.name).is_none() {
                begun.push(self.make(settings.clone()).await?);
            }
        }
        let of_name = |name: &str| self.find(name).or_else(|| lane_of(&begun, name));
        let lanes = wanted.iter().filter_map(|settings| of_name(&settings.provider.name)).collect();
        self.parts.queue.set_lanes(lanes).await?;
        for made in begun {
            self.begin(made);
        }
        for settings in wanted {
            if let Some(lane) =
                self.find(&settings.provider.name).filter(|lane| *lane.settings() != settings)
            {
                lane.reconfigure(settings);
            }
        }
        self.let_go(settings);
        self.reloads.send_modify(|count| *count += 1);
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Arc<Lane>> {
        self.running.iter().find(|one| one.lane.name() == name).map(|one| Arc::clone(&one.lane))
    }

    /// Makes the transport on trial: what it reads may be another than before where the settings
    /// are the same.
    fn usable(&self, settings: LaneSettings, broken: Broken) -> Result<LaneSettings, DaemonError> {
        let lane = settings.provider.name.clone();
        match (self.make_transport)(&settings) {
            Ok(made) => Ok(LaneSettings { has_read: made.has_read(), ..settings }),
            Err(why) if broken == Broken::IsHeld => {
                tracing::error!(
                    lane,
                    why,
                    "the provider cannot be used: its lane is held until a reload finds it mended"
                );
                Ok(LaneSettings { unusable: Some(why), ..settings })
            }
            Err(why) => Err(DaemonError::Provider { lane, why }),
        }
    }

    /// Everything of a new lane, so that only its task is to be begun.
    async fn make(&mut self, settings: LaneSettings) -> Result<Made<R>, DaemonError> {
        let (lane, mailboxes) = Lane::new(settings);
        let (stop, stopped) = watch::channel(false);
        let parts = &self.parts;
        let context = forwarder::Context {
            queue: parts.queue.clone(),
            clock: parts.clock.clone(),
            gateway: self.gateway.clone(),
            seed: parts.seed.wrapping_add(self.begun),
            make_transport: Arc::clone(&parts.make_transport),
            network: parts.network.clone(),
            reloads: self.reloads.subscribe(),
            phases: Arc::clone(&self.phases),
            alerts: parts.alerts.clone(),
            stop: stopped,
        };
        self.begun += 1;
        // Before the daemon is ready: the first redemption already waits for the provider's own
        // answer.
        let prepared = forwarder::prepare(Arc::clone(&lane), mailboxes, context).await;
        let forwarder =
            prepared.map_err(|why| DaemonError::Provider { lane: lane.name().to_owned(), why })?;
        Ok(Made { lane, stop, forwarder })
    }

    fn begin(&mut self, made: Made<R>) {
        let Made { lane, stop, forwarder } = made;
        let ended = Arc::clone(&lane);
        self.tasks.spawn(async move {
            forwarder.run().await;
            ended
        });
        self.running.push(Running { lane, stop });
    }

    /// Tells the lanes that are gone to stop. Their ends come out of [`RunningLanes::ended`].
    fn let_go(&mut self, settings: &Settings) {
        let stays = |one: &Running| {
            settings.providers.iter().any(|provider| provider.name == one.lane.name())
        };
        let (stay, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(stays);
        self.running = stay;
        for Running { lane, stop } in gone {
            let lane = lane.name();
            tracing::warn!(lane, "the provider is gone from the settings: its lane ends");
            stop.send_replace(true);
            self.transports.write().unwrap_or_else(PoisonError::into_inner).remove(lane);
            self.ending.push(stop);
        }
    }

    /// Returns when every lane that was let go has ended.
    pub(super) fn at_rest(&mut self) -> impl Future<Output = ()> + use<R> {
        self.ending.retain(|stop| !stop.is_closed());
        let ending = self.ending.clone();
        async move {
            for stop in ending {
                stop.closed().await;
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
                Some(Ok(lane)) if self.running.iter().any(|one| Arc::ptr_eq(&one.lane, &lane)) => {
                    return format!("lane {} ended", lane.name());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return format!("a lane ended in a defect: {error}"),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Forwards a till's Check Reward over its lane's connections.
    pub(super) fn checker(&self) -> impl CheckReward + use<R> {
        let (transports, queue) = (Arc::clone(&self.transports), self.parts.queue.clone());
        move |lane: &str, body: Bytes| {
            let transport =
                transports.read().unwrap_or_else(PoisonError::into_inner).get(lane).cloned();
            let lane = queue.lane(lane);
            async move {
                let outcome = transport?.check(body).await?;
                if let Some(lane) = lane {
                    lane.hear_check(&outcome);
                }
                Some(outcome)
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

/// Keeps each transport that is made, for Check Reward.
fn noted<R: Transport + Clone>(
    transports: Transports<R>,
    make_transport: MakeTransport<R>,
) -> MakeTransport<R> {
    Arc::new(move |settings: &LaneSettings| {
        let transport = make_transport(settings)?;
        transports
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(settings.provider.name.clone(), transport.clone());
        Ok(transport)
    })
}
