//! The error webhook against a receiver by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redeemd::alert::{Alerts, WAITING_MAX};
use redeemd::settings::{Alert, SecretSource};
use redeemd::upstream::UpstreamError;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Bench;
use crate::server::{Server, answer, ok};

const ENDPOINT: &str = "https://service.example/redeem";

struct Told {
    alerts: Alerts,
    server: Server,
    _task: JoinSet<()>,
    _bench: Bench,
}

impl Told {
    fn start(server: Server, token: bool) -> Self {
        let bench = Bench::new();
        let token = token.then(|| SecretSource::File(bench.path("token")));
        let alert = Alert { url: server.url("/hook"), token };
        let alerts = Alerts::new(Some(&alert), &bench.context()).unwrap();
        let mut task = JoinSet::new();
        task.spawn(alerts.clone().run(std::future::pending()));
        Self { alerts, server, _task: task, _bench: bench }
    }

    fn fail(&self, lane: &str, times: usize) {
        for _ in 0..times {
            self.alerts.delivery_failed(lane, ENDPOINT, 503, "the provider answered 503");
        }
    }

    /// The first `count` posts, as soon as they are there.
    async fn posts(&self, count: usize) -> Vec<Value> {
        let enough = async {
            while self.server.seen().len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough).await.unwrap();
        self.server.seen().iter().map(|seen| serde_json::from_str(seen.body()).unwrap()).collect()
    }
}

#[tokio::test]
async fn the_third_failure_in_a_row_is_told_once_and_so_is_recovery() {
    let told = Told::start(Server::plain(|_| ok()).await, false);
    told.fail("retm", 2);
    told.alerts.delivered("retm");
    told.fail("retm", 7);
    told.alerts.delivered("retm");
    told.alerts.delivered("retm");
    told.fail("retm", 3);
    let failed = "branch-042, lane retm: 3 deliveries in a row failed: the provider answered 503";
    let failure = json!({"code": 503, "endpoint": ENDPOINT, "message": failed});
    let recovery = json!({"code": 200, "endpoint": ENDPOINT, "message": "branch-042, lane retm: \
        delivers again"});
    assert_eq!(told.posts(3).await, [failure.clone(), recovery, failure]);
    let seen = &told.server.seen()[0];
    assert_eq!(seen.line, "POST /hook HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn lanes_are_counted_apart() {
    let told = Told::start(Server::plain(|_| ok()).await, true);
    told.fail("a", 2);
    told.fail("b", 2);
    told.alerts.delivered("b");
    told.alerts.delivered("unheard of");
    told.fail("a", 1);
    told.fail("b", 3);
    let posts = told.posts(2).await;
    assert!(posts[0]["message"].as_str().unwrap().contains("lane a:"));
    assert!(posts[1]["message"].as_str().unwrap().contains("lane b:"));
    assert_eq!(told.server.seen()[0].header("authorization"), Some("Bearer first-token"));
}

#[tokio::test]
async fn an_alert_that_is_not_taken_is_posted_again() {
    let count = AtomicUsize::new(0);
    let server = Server::plain(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 { answer(500, "", "") } else { ok() }
    });
    let told = Told::start(server.await, false);
    told.fail("retm", 3);
    let posts = told.posts(2).await;
    assert_eq!(posts[0], posts[1]);
    assert_eq!(told.alerts.dropped(), 0);
}

#[tokio::test]
async fn more_alerts_than_can_wait_cost_the_oldest() {
    let server = Server::plain(|_| ok()).await;
    let bench = Bench::new();
    let alert = Alert { url: server.url("/hook"), token: None };
    let alerts = Alerts::new(Some(&alert), &bench.context()).unwrap();
    for number in 0..WAITING_MAX + 5 {
        for _ in 0..3 {
            alerts.delivery_failed(&format!("lane-{number}"), ENDPOINT, 0, "no way");
        }
    }
    assert_eq!(alerts.dropped(), 5);
    let mut task = JoinSet::new();
    task.spawn(alerts.clone().run(std::future::pending()));
    let told = Told { alerts, server, _task: task, _bench: bench };
    let posts = told.posts(WAITING_MAX).await;
    assert!(posts[0]["message"].as_str().unwrap().contains("lane lane-5:"), "{}", posts[0]);
    assert_eq!(posts[0]["code"], 0);
}

#[tokio::test]
async fn without_a_webhook_nothing_happens_until_the_stop() {
    let alerts = Alerts::new(None, &Bench::new().context()).unwrap();
    for _ in 0..3 {
        alerts.delivery_failed("retm", ENDPOINT, 503, "");
    }
    alerts.delivered("retm");
    let (stop, stopped) = oneshot::channel::<()>();
    let mut task = JoinSet::new();
    task.spawn(alerts.run(async { stopped.await.unwrap_or_default() }));
    assert!(task.try_join_next().is_none());
    stop.send(()).unwrap();
    task.join_next().await.unwrap().unwrap();
}

#[test]
fn a_webhook_that_is_no_url_is_refused_at_once() {
    let alert = Alert { url: "alerts.example".to_owned(), token: None };
    let refused = Alerts::new(Some(&alert), &Bench::new().context());
    assert!(matches!(refused, Err(UpstreamError::Url { what: "alert.url", .. })));
}
