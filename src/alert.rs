//! The contract's error webhook: three failed deliveries in a row, and recovery.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Notify;

use crate::settings;
use crate::upstream::{UpstreamContext, UpstreamError, Webhook};

/// So many failed deliveries in a row are told, once.
pub const FAILURES_IN_A_ROW: u32 = 3;
/// Alerts that wait to be posted; beyond, the oldest goes.
pub const WAITING_MAX: usize = 64;
/// How often one alert is tried.
const TRIES_MAX: u32 = 5;
/// The deadline of one try.
const TRY_S_MAX: u64 = 10;
/// The wait after the first try that failed; each next one is five times as long, less up to half
/// of it.
const RETRY_S_MIN: u64 = 1;
const RETRY_FACTOR: u64 = 5;

/// The lanes' side: cheap to clone, never waits. Does nothing where no webhook is set.
#[derive(Clone)]
pub struct Alerts(Option<Arc<AlertState>>);

struct AlertState {
    gateway: String,
    webhook: Webhook,
    lanes: Mutex<HashMap<String, LaneFailures>>,
    waiting: Mutex<VecDeque<Bytes>>,
    more: Notify,
    dropped: AtomicU64,
}

/// A lane's deliveries since the last that went through.
#[derive(Default)]
struct LaneFailures {
    failures: u32,
    endpoint: String,
}

impl Alerts {
    /// The webhook of `[alert]`; `None` switches it off. Connects nowhere and reads no secret.
    pub fn new(
        alert: Option<&settings::Alert>,
        context: &UpstreamContext,
    ) -> Result<Self, UpstreamError> {
        let Some(alert) = alert else { return Ok(Self(None)) };
        let timeout = Duration::from_secs(TRY_S_MAX);
        Ok(Self(Some(Arc::new(AlertState {
            gateway: context.gateway.clone(),
            webhook: Webhook::new(&alert.url, alert.token.as_ref(), timeout, context)?,
            lanes: Mutex::default(),
            waiting: Mutex::default(),
            more: Notify::new(),
            dropped: AtomicU64::new(0),
        }))))
    }

    /// A delivery of `lane` to `endpoint` failed: `code` is the HTTP status, 0 without one;
    /// `message` says why and holds no code of a reward. The third in a row is posted.
    pub fn delivery_failed(&self, lane: &str, endpoint: &str, code: u16, message: &str) {
        let Some(shared) = &self.0 else { return };
        let failures = {
            let mut lanes = shared.lanes();
            let lane = lanes.entry(lane.to_owned()).or_default();
            endpoint.clone_into(&mut lane.endpoint);
            lane.failures = lane.failures.saturating_add(1);
            lane.failures
        };
        if failures == FAILURES_IN_A_ROW {
            let gateway = &shared.gateway;
            let text =
                format!("{gateway}, lane {lane}: {failures} deliveries in a row failed: {message}");
            shared.push(code, endpoint, &text);
        }
    }

    /// A delivery of `lane` went through. After failures that were told, this is told too.
    pub fn delivered(&self, lane: &str) {
        let Some(shared) = &self.0 else { return };
        let before = shared.lanes().get_mut(lane).map(std::mem::take).unwrap_or_default();
        if before.failures >= FAILURES_IN_A_ROW {
            let text = format!("{}, lane {lane}: delivers again", shared.gateway);
            shared.push(200, &before.endpoint, &text);
        }
    }

    /// How many alerts were given up, because too many waited or no try succeeded.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }

    /// Posts what is told, one after the other, until `stop` is ready. What waits then is not
    /// posted.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let posting = async {
            match &self.0 {
                Some(shared) => shared.post_all().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop => {}
            () = posting => {}
        }
    }
}

impl AlertState {
    fn lanes(&self) -> MutexGuard<'_, HashMap<String, LaneFailures>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, code: u16, endpoint: &str, message: &str) {
        let body = json!({ "code": code, "endpoint": endpoint, "message": message }).to_string();
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back(Bytes::from(body));
        drop(waiting);
        self.more.notify_one();
    }

    async fn post_all(&self) {
        loop {
            // A permit is kept for who comes late, so looking first loses nothing.
            let next = self.waiting().pop_front();
            match next {
                Some(body) => self.post(body).await,
                None => self.more.notified().await,
            }
        }
    }

    async fn post(&self, body: Bytes) {
        let mut step_s = RETRY_S_MIN;
        for try_number in 1..=TRIES_MAX {
            match self.webhook.post_json(body.clone()).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(
                    try_number,
                    of = TRIES_MAX,
                    why,
                    "the alert webhook did not take an alert"
                ),
            }
            if try_number < TRIES_MAX {
                tokio::time::sleep(jittered(Duration::from_secs(step_s))).await;
                step_s = step_s.saturating_mul(RETRY_FACTOR);
            }
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Between half of `step` and all of it: a region's outage ends for all its gateways at once.
fn jittered(step: Duration) -> Duration {
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    step.mul_f64(0.5 + share / 2.0)
}
