//! The daemon in one process' life: everything but sockets, on the real store, in virtual time.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Extensions, HeaderMap, Method, Request};
use redeemd::alert::Alerts;
use redeemd::clock::Clock;
use redeemd::daemon::{Core, Parts};
use redeemd::listen::Peer;
use redeemd::notify::Notify;
use redeemd::queue::{LaneSettings, LaneStatus, Queue};
use redeemd::settings::{Settings, parse};
use redeemd::store::Store;
use redeemd::upstream::{TokensInUse, UpstreamContext};
use redeemd::{admin, intake};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::provider::Provider;

pub(crate) const TILLS: u64 = 4;
pub(crate) const LANES: [&str; 2] = ["one", "two"];
pub(crate) const MAX_PENDING: u64 = 40;
pub(crate) const MAX_OUTAGE: Duration = Duration::from_secs(6 * 3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(3 * 24 * 3600);

/// The settings of a store's gateway, its files in `dir`; `offline` is its `[offline]`, and rules.
pub(crate) fn settings(dir: &Path, offline: &str) -> Settings {
    let here = dir.display();
    let mut text = format!(
        "[gateway]\nname = \"simulated\"\nstate_dir = \"{here}/state\"\n[offline]\n{offline}\
         [retention]\nsettled = \"{}s\"\n",
        RETENTION.as_secs(),
    );
    for till in 0..TILLS {
        std::fs::write(dir.join(format!("till-{till}")), format!("token-{till}")).expect("a token");
        writeln!(
            text,
            "[[intake.till]]\nname = \"till-{till}\"\ntoken_file = \"{here}/till-{till}\""
        )
        .expect("text");
    }
    for lane in LANES {
        writeln!(
            text,
            "[[provider]]\nname = \"{lane}\"\nbusinesses = [\"shop-{lane}\"]\ntoken_file \
             = \"{here}/till-0\"\n\
             redeem_url = \"https://{lane}.example/redeem\""
        )
        .expect("text");
        // One provider can be checked, with the other the tills are evidence for each other.
        if lane == LANES[0] {
            writeln!(text, "check_url = \"https://{lane}.example/check\"").expect("text");
        }
    }
    parse(&text, "simulated").expect("settings").settings
}

/// What a till or an operator hears.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// An answer whose extensions are dropped was not delivered: those that were heard are kept.
type Delivered = Arc<Mutex<Vec<Extensions>>>;

/// A process' life.
pub(crate) struct House {
    tills: Router,
    operators: Router,
    queue: Queue,
    /// What belongs to answers that reached their tills.
    delivered: Delivered,
    /// Counts network events.
    pub(crate) network: watch::Sender<u64>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl House {
    pub(crate) async fn open(
        settings: Settings,
        clock: &Clock,
        seed: u64,
        providers: &[Provider; 2],
    ) -> Self {
        let (store, report) = Store::open(&settings.gateway.state_dir).expect("the store opens");
        assert!(report.salvage.is_none() && report.copied.is_none(), "{report:?}");
        let (queue, writer) = Queue::new(store, clock.clone(), settings.offline.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        let (network, changes) = watch::channel(0);
        let transports: BTreeMap<String, Provider> = LANES
            .iter()
            .zip(providers)
            .map(|(lane, provider)| ((*lane).to_owned(), provider.clone()))
            .collect();
        let context = UpstreamContext {
            clock: clock.clone(),
            state_dir: PathBuf::new(),
            credentials_dir: None,
            gateway: settings.gateway.name.clone(),
            tokens: TokensInUse::default(),
        };
        let parts = Parts {
            queue: queue.clone(),
            clock: clock.clone(),
            seed,
            make_transport: Arc::new(move |settings: &LaneSettings| {
                transports
                    .get(&settings.provider.name)
                    .cloned()
                    .ok_or_else(|| "no such provider".to_owned())
            }),
            network: changes,
            alerts: Alerts::new(None, &context).expect("no webhook"),
            notify: Arc::new(Notify::disconnected()),
            credentials_dir: None,
        };
        let core = Core::start(&settings, parts).await.expect("the daemon starts");
        core.listening();
        let (tills, operators) =
            (intake::router(Arc::clone(core.intake())), admin::router(Arc::clone(core.admin())));
        let (stop, stopped) = oneshot::channel();
        tasks.spawn(work(core, queue.clone(), stopped));
        Self {
            tills,
            operators,
            queue,
            delivered: Delivered::default(),
            network,
            stop: Some(stop),
            tasks,
        }
    }

    /// Whether each lane is up, as operators see it.
    pub(crate) fn links_are_up(&self) -> [bool; 2] {
        let lanes = self.queue.lanes();
        LANES.map(|name| lanes.iter().any(|lane| lane.name == name && lane.link == "up"))
    }

    /// Whether an operator holds each lane, and no till is trusted meanwhile.
    pub(crate) fn lanes_are_aside(&self) -> [bool; 2] {
        let lanes = self.queue.lanes();
        let is_aside =
            |lane: &LaneStatus| lane.cause.as_deref() == Some("operator") && lane.trust == "never";
        LANES.map(|name| lanes.iter().any(|lane| lane.name == name && is_aside(lane)))
    }

    /// Ends in order.
    pub(crate) async fn stop(mut self) {
        let told = self.stop.take().expect("it was not stopped before").send(());
        assert!(told.is_ok(), "the daemon ended by itself");
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panics");
        }
    }

    /// What a till asks; a future that can be dropped like a connection.
    pub(crate) fn till(
        &self,
        till: u64,
        method: Method,
        path: &str,
        body: String,
    ) -> impl Future<Output = Heard> + use<> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer token-{till}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .expect("a request");
        heard(self.tills.clone(), request, Arc::clone(&self.delivered))
    }

    /// What an operator asks.
    pub(crate) fn operator(
        &self,
        method: Method,
        path: &str,
    ) -> impl Future<Output = Heard> + use<> {
        self.operator_says(method, path, "{}")
    }

    /// What an operator asks, with a body.
    pub(crate) fn operator_says(
        &self,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> impl Future<Output = Heard> + use<> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .extension(Peer { uid: Some(0), addr: None })
            .body(Body::from(body))
            .expect("a request");
        heard(self.operators.clone(), request, Arc::clone(&self.delivered))
    }
}

async fn heard(mut router: Router, request: Request<Body>, delivered: Delivered) -> Heard {
    let (parts, body) = router.call(request).await.expect("routers do not fail").into_parts();
    let bytes = to_bytes(body, 1 << 24).await.expect("a body");
    delivered.lock().expect("no panic before this one").push(parts.extensions);
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Heard { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn work(mut core: Core<Provider>, queue: Queue, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            worked = core.work() => worked.expect("the daemon goes on"),
            _ = &mut stopped => break,
        }
    }
    core.stop().await;
    queue.stop().await;
}
