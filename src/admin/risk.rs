//! What may still be given on trust, as `status` shows it; and trust switched off and on.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::given::{ByAsker, JsonAnswer, RawBody, SharedAdmin, arguments, checked, known};
use super::rights::Asker;
use super::{Admin, Problem};
use crate::clock::{rfc3339, signed_ms};
use crate::limits::{Gauge, Measure, NoRoom, Room, RoomOf};
use crate::message::{Denied, FilterFault};
use crate::store::{LANES_TO_COME, LaneStanding, Off, TillAtLimit};
use crate::value::Amount;

/// The longest time for which trust may be switched off with an end, seconds.
pub const OFF_S_MAX: u64 = 3650 * 24 * 3600;

/// How far a limit is used: counts and seconds as numbers, amounts as strings with decimals.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GaugeView {
    used: Value,
    most: Value,
    left: Value,
}

/// A lane's part of `status`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct LaneRisk {
    /// What is at risk.
    pub(super) exposure: Amount,
    /// What was ever lost.
    pub(super) lost: Amount,
    /// How many redemptions wait for a person, where that is known.
    pub(super) waiting: Option<u64>,
    /// By limit.
    pub(super) headroom: BTreeMap<&'static str, GaugeView>,
    /// The same as the console shows it.
    #[serde(skip)]
    pub(super) gauges: Vec<Gauge>,
    /// Tills that have used up a limit of their own.
    tills_at_limit: Vec<TillAtLimit>,
    /// How many are pending that were given on trust.
    #[serde(skip)]
    pub(super) given: u64,
    /// How many more may be given of which no check is remembered, where the lane gives on trust
    /// at once.
    pub(super) may_give: Option<u64>,
    /// To which: `all`, `as_rules_allow`, `rules_alone` or `checked_alone`; `None`: to none.
    pub(super) may_give_to: Option<&'static str>,
    /// When the outage's limit, a rule's or the hours end that.
    pub(super) trust_until: Option<String>,
    /// In so many seconds.
    pub(super) trust_left_s: Option<u64>,
    /// When the hours begin in which something may be given.
    pub(super) trust_from: Option<String>,
    /// What may be given, as the console says it.
    #[serde(skip)]
    pub(super) room: Option<Room>,
    /// What the limits leave, also where each redemption is asked about first.
    #[serde(skip)]
    pub(super) limits_leave: Option<Result<Room, NoRoom>>,
    /// Whether they leave something to a code whose check is remembered, as above.
    #[serde(skip)]
    pub(super) takes_checked: bool,
    /// Why nothing is accepted on trust.
    pub(super) trust_off: Option<OffView>,
    /// It is held for declines, and none of them is left to be taken back.
    #[serde(skip)]
    pub(super) all_taken_back: bool,
}

/// Only codes whose checks are remembered.
const CHECKED_ALONE: &str = "checked_alone";

fn word(of: RoomOf) -> &'static str {
    match of {
        RoomOf::All => "all",
        RoomOf::AsRulesAllow => "as_rules_allow",
        RoomOf::RulesAlone => "rules_alone",
    }
}

/// Trust that is off.
#[derive(Clone, Debug, Serialize)]
pub(super) struct OffView {
    pub(super) note: String,
    pub(super) by: String,
    pub(super) since: String,
    pub(super) left_s: Option<u64>,
}

impl From<&Gauge> for GaugeView {
    fn from(gauge: &Gauge) -> Self {
        let value = |measure: Measure| match measure {
            Measure::Count(number) | Measure::Seconds(number) => json!(number),
            Measure::Money(amount) => json!(amount),
        };
        Self {
            used: value(gauge.used),
            most: value(gauge.most),
            left: value(gauge.used.left(gauge.most)),
        }
    }
}

impl From<&Off> for OffView {
    fn from(Off { off, left }: &Off) -> Self {
        let left_s = left.map(|left| left.as_secs());
        Self { note: off.note.clone(), by: off.by.clone(), since: rfc3339(off.since_ms), left_s }
    }
}

impl LaneRisk {
    /// `at_once_ms`: the wall clock, where the lane gives on trust at once.
    pub(super) fn of(standing: &LaneStanding, at_once_ms: Option<i64>) -> Self {
        let after = |span: Duration| {
            at_once_ms.map(|now_ms| rfc3339(now_ms.saturating_add(signed_ms(span))))
        };
        let opens_in = match standing.room {
            Err(NoRoom::Hours(opens_in)) => Some(opens_in),
            Err(NoRoom::Closed) | Ok(_) => None,
        };
        let room = standing.room.ok().filter(|_| at_once_ms.is_some());
        let takes_checked = at_once_ms.is_some() && standing.takes_checked;
        Self {
            exposure: standing.exposure,
            lost: standing.lost,
            waiting: standing.waiting,
            headroom: standing.gauges.iter().map(|gauge| (gauge.limit, gauge.into())).collect(),
            gauges: standing.gauges.clone(),
            tills_at_limit: standing.tills_at_limit.clone(),
            given: standing.given,
            may_give: at_once_ms.map(|_| room.map_or(0, |room| room.more)),
            may_give_to: room.map(|room| word(room.of)).or(takes_checked.then_some(CHECKED_ALONE)),
            trust_until: room.and_then(|room| after(room.within)),
            trust_left_s: room.map(|room| room.within.as_secs()),
            trust_from: opens_in.and_then(after),
            room,
            limits_leave: Some(standing.room),
            takes_checked: standing.takes_checked,
            trust_off: standing.off.as_ref().map(OffView::from),
            all_taken_back: standing.all_taken_back,
        }
    }

    /// While nothing can be stored nothing is given, whatever the limits leave.
    pub(super) fn stored_nowhere(self) -> Self {
        Self {
            may_give: self.may_give.map(|_| 0),
            may_give_to: None,
            trust_until: None,
            trust_left_s: None,
            trust_from: None,
            room: None,
            limits_leave: None,
            takes_checked: false,
            ..self
        }
    }

    /// Whether only codes whose checks are remembered may be given.
    pub(super) fn gives_to_checked_alone(&self) -> bool {
        self.may_give_to == Some(CHECKED_ALONE)
    }

    /// What is left of each limit, for a gauge of the metrics.
    pub(super) fn left(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        self.headroom.iter().map(|(limit, gauge)| (*limit, number(&gauge.left)))
    }
}

/// An amount is a string in JSON, and a number in the metrics.
pub(super) fn number(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How far the rules' limits are used, by rule and limit.
pub(super) type RuleGauges = BTreeMap<String, BTreeMap<&'static str, GaugeView>>;

pub(super) fn rules(gauges: &[Gauge]) -> RuleGauges {
    let mut rules = RuleGauges::new();
    for gauge in gauges {
        let rule = gauge.rule.as_deref().unwrap_or_default().to_owned();
        rules.entry(rule).or_default().insert(gauge.limit, gauge.into());
    }
    rules
}

impl GaugeView {
    pub(super) fn left(&self) -> String {
        number(&self.left)
    }
}

/// What trust is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
    #[serde(default)]
    note: String,
    for_s: Option<u64>,
}

/// `POST /api/v1/lanes/{name}/trust` with `{"on": false, "note": "…", "for_s": 7200}`
pub(super) async fn switch(
    State(admin): SharedAdmin,
    Path(lane): Path<String>,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    let switch = arguments(body)?;
    known(&admin, &lane)?;
    switched(&admin, vec![lane], &asker, switch).await
}

/// `POST /api/v1/trust`: all lanes, also those that the settings do not name yet or any more.
pub(super) async fn switch_all(
    State(admin): SharedAdmin,
    Extension(asker): ByAsker,
    body: RawBody,
) -> JsonAnswer {
    let switch = arguments(body)?;
    let named = admin.queue.lanes().into_iter().map(|lane| lane.name);
    let lanes = named.chain([LANES_TO_COME.to_owned()]).collect();
    switched(&admin, lanes, &asker, switch).await
}

async fn switched(admin: &Admin, lanes: Vec<String>, asker: &Asker, switch: Switch) -> JsonAnswer {
    let Switch { on, note, for_s } = switch;
    let off =
        if on { None } else { Some((checked(&note)?.to_owned(), for_s.map(within).transpose()?)) };
    Ok(Json(json!(admin.queue.switch_trust(lanes, off, asker.name()).await?)))
}

/// For how long trust is off; too long a time is refused, not cut short.
fn within(for_s: u64) -> Result<Duration, Problem> {
    if (1..=OFF_S_MAX).contains(&for_s) {
        return Ok(Duration::from_secs(for_s));
    }
    let range = FilterFault::Range { key: "for_s".to_owned(), from: 1, to: OFF_S_MAX };
    let told = Denied::Filter { faults: vec![range] };
    Err(Problem::denied(StatusCode::BAD_REQUEST, told))
}
