//! How the gateway stands: the books, the storage, the lanes; alive and ready.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::rights::Asker;
use super::risk::{self, LaneRisk, RuleGauges};
use super::{Admin, Problem};
use crate::checked::{self, Answerer};
use crate::limits::Gauge;
use crate::log;
use crate::message::{Cause, Denied, Language};
use crate::queue::{LaneStatus, StorageStatus, UnreadTill};
use crate::refused::{self, Reason};
use crate::store::{Counts, Standing};
use crate::trust::Trust;

/// `/api/v1/status`. Fields are added, never taken away.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) gateway: String,
    pub(super) version: &'static str,
    pub(super) uptime_s: u64,
    pub(super) ready: bool,
    pub(super) counts: Counts,
    pub(super) balanced: bool,
    pub(super) oldest_pending_age_s: Option<u64>,
    pub(super) clock_trusted: bool,
    pub(super) storage: StorageStatus,
    pub(super) lanes: Vec<LaneView>,
    pub(super) reload_faults: Vec<String>,
    /// Keys whose values on the disk take a restart.
    pub(super) restart_keys: Vec<&'static str>,
    /// Tills whose tokens cannot be read.
    pub(super) unread_tills: Vec<UnreadTill>,
    /// Requests of tills that were refused since the process started, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
    /// Checks of tills since the process started, by what answered them.
    pub(super) checks: BTreeMap<&'static str, u64>,
    /// Checks that are remembered.
    pub(super) checks_remembered: u64,
    /// Lines of the log that nobody took in time, since the process started.
    pub(super) log_dropped: u64,
    /// How far each rule's limits are used.
    pub(super) rules: RuleGauges,
    /// The same as the console shows it.
    #[serde(skip)]
    pub(super) rule_gauges: Vec<Gauge>,
    /// Tills that are slowed and not trusted, for the codes that were refused to them.
    pub(super) slowed_tills: Vec<String>,
}

/// A lane with its own books.
#[derive(Debug, Serialize)]
pub(super) struct LaneView {
    #[serde(flatten)]
    pub(super) status: LaneStatus,
    /// What its cause means and what to do, for whoever asks; `None` while up.
    explanation: Option<String>,
    pub(super) counts: Counts,
    #[serde(flatten)]
    pub(super) risk: LaneRisk,
}

impl Admin {
    /// Everything that status and metrics show. One index look-up, no count.
    pub(super) async fn look(&self) -> Status {
        let (queue, info) = (&self.queue, &self.info);
        let oldest_pending_age_s = queue.oldest_pending_age_s().await;
        let counts = queue.counts();
        let (standing, now_ms) = (queue.standing().await, info.clock.stamp().unix_ms);
        let storage = queue.storage();
        let mut lanes = lane_views(queue.lanes(), queue.counts_by_lane(), (&standing, now_ms));
        if !storage.ok {
            for lane in &mut lanes {
                lane.risk = std::mem::take(&mut lane.risk).stored_nowhere();
            }
        }
        Status {
            gateway: info.gateway.clone(),
            version: info.version,
            uptime_s: info.started.elapsed().as_secs(),
            ready: self.not_ready(&standing).is_none(),
            balanced: counts.balance(),
            counts,
            oldest_pending_age_s,
            clock_trusted: info.clock.stamp().trusted,
            storage,
            lanes,
            reload_faults: queue.reload_faults(),
            restart_keys: queue.restart_keys(),
            unread_tills: queue.unread_tills(),
            refused: Reason::ALL
                .into_iter()
                .map(|reason| (reason.as_str(), refused::total(reason)))
                .collect(),
            checks: Answerer::ALL.into_iter().map(|by| (by.as_str(), checked::total(by))).collect(),
            checks_remembered: queue.checks_kept(),
            log_dropped: log::dropped(),
            rules: risk::rules(&standing.rules),
            rule_gauges: standing.rules.clone(),
            slowed_tills: standing.slowed.clone(),
        }
    }
}

fn lane_views(
    lanes: Vec<LaneStatus>,
    counts: Vec<(String, Counts)>,
    (standing, now_ms): (&Standing, i64),
) -> Vec<LaneView> {
    let counts: HashMap<String, Counts> = counts.into_iter().collect();
    let books = |name: &str| counts.get(name).copied().unwrap_or_default();
    let risk = |status: &LaneStatus| {
        let standing = standing.lanes.iter().find(|lane| lane.name == status.name);
        let at_once_ms = (status.trust == "at_once").then_some(now_ms);
        standing.map(|standing| LaneRisk::of(standing, at_once_ms)).unwrap_or_default()
    };
    let view = |status: LaneStatus| LaneView {
        counts: books(&status.name),
        risk: risk(&status),
        status,
        explanation: None,
    };
    lanes.into_iter().map(view).collect()
}

/// `GET /api/v1/status`
pub(super) async fn status(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
) -> Json<Value> {
    Json(admin.look().await.told(asker.language))
}

impl Status {
    /// For whoever reads this language.
    fn told(mut self, language: Language) -> Value {
        for lane in &mut self.lanes {
            let cause = lane.status.cause.as_deref().and_then(Cause::from_word);
            let all = lane.risk.all_taken_back;
            lane.explanation = cause.map(|cause| cause.explanation_where(all, language));
        }
        let mut value = json!(self);
        let needs = self.needs().iter().map(|need| need.text(language)).collect();
        if let Some(members) = value.as_object_mut() {
            members.insert("needs".to_owned(), needs);
        }
        if let Some(detail) = value.pointer_mut("/storage/detail") {
            *detail = self.storage.detail(language).into();
        }
        value
    }
}

/// `GET /api/v1/names`: what lanes and tills are called.
pub(super) async fn names(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let lanes: Vec<String> = admin.queue.lanes().into_iter().map(|lane| lane.name).collect();
    Json(json!({ "lanes": lanes, "tills": admin.access.rules().tills }))
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> &'static str {
    "live\n"
}

/// `GET /readyz`: intake listens, and some till's redemption could be taken. A line for each lane
/// whose trust is off.
pub(super) async fn readyz(State(admin): State<Arc<Admin>>) -> Result<String, Problem> {
    let standing = admin.queue.standing().await;
    match admin.not_ready(&standing) {
        None => {
            let off = standing.lanes.iter().filter(|lane| lane.off.is_some());
            let off = off.map(|lane| format!("trust is off in lane {}\n", lane.name));
            Ok(std::iter::once("ready\n".to_owned()).chain(off).collect())
        }
        Some(why) => Err(Problem::denied(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}

impl Admin {
    /// Why no till's redemption could be taken now.
    fn not_ready(&self, standing: &Standing) -> Option<Denied> {
        if !*self.info.ready.borrow() {
            Some(Denied::Starting)
        } else if !self.queue.storage().ok {
            Some(Denied::StoresNothing)
        } else if !self.takes_some(standing) {
            Some(Denied::TakesNothing)
        } else {
            None
        }
    }

    /// Whether some lane can be asked, or gives on trust within its limits.
    fn takes_some(&self, standing: &Standing) -> bool {
        let (lanes, now) = (self.queue.configured(), Instant::now());
        lanes.iter().any(|lane| {
            let its = lane.now(now);
            let of_lane = standing.lanes.iter().find(|its| its.name == lane.name());
            its.ask
                || (matches!(its.trust, Trust::AtOnce { .. })
                    && of_lane.is_none_or(|lane| lane.room.is_ok() || lane.takes_checked))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::limits::{Gauge, Measure, NoRoom};
    use crate::store::LaneStanding;
    use crate::value::Amount;

    pub(in crate::admin) fn lane(
        name: &str,
        link: &'static str,
        cause: Option<&str>,
    ) -> LaneStatus {
        LaneStatus {
            detail: None,
            name: name.to_owned(),
            link,
            seen: link,
            cause: cause.map(str::to_owned),
            since: cause.map(|_| "2026-11-01T00:00:00Z".to_owned()),
            pending: 3,
            window: 1,
            in_flight: 0,
            tried: true,
            drain: "running",
            trust: if cause == Some("connect") { "at_once" } else { "unanswered" },
            hold: None,
            held_for_declines: false,
            checks_deaf: false,
            suspects: Vec::new(),
            answers: None,
            waiting_s: None,
            attempts: BTreeMap::from([("confirmed", 7), ("connect", 2)]),
        }
    }

    fn gauge(used: u64, most: u64) -> Gauge {
        Gauge {
            rule: None,
            limit: "max_pending",
            used: Measure::Count(used),
            most: Measure::Count(most),
        }
    }

    pub(in crate::admin) fn standing() -> LaneStanding {
        let most = Measure::Money(Amount::whole(100));
        let money = Gauge {
            limit: "max_exposure",
            used: Measure::Money(Amount(125_000)),
            most,
            ..gauge(0, 0)
        };
        let (name, exposure) = ("retm".to_owned(), Amount(125_000));
        let gauges = vec![gauge(3, 100), money];
        LaneStanding {
            name,
            given: 3,
            exposure,
            lost: Amount::whole(7),
            waiting: Some(2),
            gauges,
            tills_at_limit: Vec::new(),
            off: None,
            room: Err(NoRoom::Closed),
            takes_checked: false,
            all_taken_back: false,
        }
    }

    pub(in crate::admin) fn sample() -> Status {
        let counts =
            Counts { accepted: 10, pending: 3, confirmed: 5, declined: 1, parked: 0, voided: 1 };
        let standings = Standing { lanes: vec![standing()], ..Standing::default() };
        let lanes = vec![lane("retm", "down", Some("connect")), lane("o\"th\\er\n", "up", None)];
        Status {
            gateway: "branch-042".to_owned(),
            version: "1.2.3",
            uptime_s: 61,
            ready: true,
            counts,
            balanced: counts.balance(),
            oldest_pending_age_s: Some(12),
            clock_trusted: false,
            storage: StorageStatus::default(),
            lanes: lane_views(lanes, vec![("retm".to_owned(), counts)], (&standings, 0)),
            reload_faults: Vec::new(),
            restart_keys: Vec::new(),
            unread_tills: Vec::new(),
            refused: BTreeMap::new(),
            checks: BTreeMap::from([("passed", 6), ("remembered", 2), ("held", 1), ("unknown", 0)]),
            checks_remembered: 14,
            log_dropped: 4,
            rules: risk::rules(&[Gauge { rule: Some("gifts".into()), ..gauge(7, 10) }]),
            rule_gauges: Vec::new(),
            slowed_tills: Vec::new(),
        }
    }

    #[test]
    fn the_status_has_the_fixed_members() {
        let value = serde_json::to_value(sample()).unwrap();
        let keys = [
            "gateway",
            "version",
            "uptime_s",
            "counts",
            "oldest_pending_age_s",
            "clock_trusted",
            "storage",
            "lanes",
        ];
        for key in keys {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in ["accepted", "pending", "confirmed", "declined", "parked", "voided"] {
            assert!(value["counts"][key].is_u64(), "{key}");
        }
        let lane = &value["lanes"][0];
        assert_eq!(
            (&lane["name"], &lane["link"], &lane["cause"]),
            (&"retm".into(), &"down".into(), &"connect".into())
        );
        assert_eq!((&lane["since"], &lane["pending"]), (&"2026-11-01T00:00:00Z".into(), &3.into()));
        assert_eq!(lane["counts"]["accepted"], 10);
        assert_eq!((&lane["exposure"], &lane["lost"]), (&"12.50".into(), &"7.00".into()));
        assert_eq!(lane["headroom"]["max_pending"]["left"], 97);
        assert_eq!(lane["headroom"]["max_exposure"]["left"], "87.50");
    }

    #[test]
    fn a_lane_without_books_yet_has_empty_ones() {
        assert_eq!(sample().lanes[1].counts, Counts::default());
    }
}
