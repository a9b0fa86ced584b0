//! Limits pressed to their last: tills that ask for just so much and just so often that one unit,
//! or one redemption, more is too much.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::house::{House, LANES, TILLS};
use crate::provider::{Line, Mood};
use crate::risk::{
    CHEAP_VALUE, CHECKED_EXPOSURE, CHECKED_PER_DAY, GIFTS_EXPOSURE, GIFTS_PENDING, MAX_EXPOSURE,
    MAX_PER_HOUR_PER_TILL, NAMELESS_PER_HOUR, UNKNOWN, own_worth, units,
};
use crate::world::{HOUR, MINUTE, World};

/// The limits that are pressed.
const PRESSED: [&str; 8] = [
    "max_exposure",
    "gifts.max_exposure",
    "checked.max_exposure",
    "cheap.max_value",
    "gifts.max_pending",
    "max_per_hour_per_till",
    "nameless.max_per_hour",
    "checked.max_per_day",
];
/// How many redemptions it may take until a lane is known to be down.
const NOTICED_BY_MAX: u64 = 3;

impl World {
    /// Nothing disturbs what is prepared now in the first lane.
    pub(crate) fn is_at_ease(&self, house: &House) -> bool {
        let (provider, now) = (&self.providers[0], self.now());
        let is_well = provider.line() == Line::Up && provider.state().mood == Mood::Well;
        let is_trusted = !self.model().risk.is_off(0, now);
        is_well && is_trusted && provider.takes_the_credential() && house.links_are_up()[0]
    }

    /// One of the limits, drawn; where one is wrong in the gateway's settings that one, so that it
    /// is met soon.
    pub(crate) async fn press(&mut self, house: &House) {
        let drawn = PRESSED[usize::try_from(self.below(PRESSED.len() as u64)).expect("few")];
        let wrong = std::env::var("SIM_OVER").unwrap_or_default();
        let limit = PRESSED.iter().find(|limit| **limit == wrong).unwrap_or(&drawn);
        self.count("risk: limits pressed");
        match *limit {
            "max_exposure" => self.fill(house, "CODE", MAX_EXPOSURE).await,
            "gifts.max_exposure" => self.fill(house, "GIFT", GIFTS_EXPOSURE).await,
            "checked.max_exposure" => self.fill(house, "PAID", CHECKED_EXPOSURE).await,
            "cheap.max_value" => self.ask_dearly(house).await,
            "gifts.max_pending" => self.ask_often(house, "GIFT", GIFTS_PENDING).await,
            "max_per_hour_per_till" => self.ask_at_one_till(house).await,
            "nameless.max_per_hour" => self.ask_without_a_name(house).await,
            _ => self.ask_for_checked(house).await,
        }
        self.look_at_risk(house).await;
    }

    /// What is at risk comes to the limit exactly, and then one unit more is asked for. What it
    /// takes was checked while the provider could be asked.
    async fn fill(&mut self, house: &House, kind: &str, most: i64) {
        let left = most - used(house, kind).await;
        let mut fitting = Vec::new();
        for noticing in 0..=NOTICED_BY_MAX {
            let worth = left - i64::try_from(noticing).expect("few") * UNKNOWN;
            if worth > 0 && (noticing == 0 || kind == "CODE") {
                fitting.extend(self.check_one(house, kind, worth).await);
            }
        }
        let Some(one_unit) = self.check_one(house, kind, 1).await else { return };
        if !self.cut(house, Line::NoRoute).await {
            return;
        }
        let left = most - used(house, kind).await;
        let Some(code) = fitting.into_iter().find(|code| own_worth(code) == Some(left)) else {
            return;
        };
        if self.redeem_one(house, 0, &code).await {
            self.count("risk: limits filled to the last unit");
        }
        self.redeem_one(house, 1, &one_unit).await;
    }

    /// One unit more than a rule lets through.
    async fn ask_dearly(&mut self, house: &House) {
        let Some(code) = self.check_one(house, "CHEAP", CHEAP_VALUE + 1).await else { return };
        if self.cut(house, Line::NoRoute).await {
            self.redeem_one(house, 0, &code).await;
        }
    }

    /// Two redemptions more than a limit lets through.
    async fn ask_often(&mut self, house: &House, kind: &str, most: u64) {
        if self.cut(house, Line::NoRoute).await {
            self.redeem_fresh(house, kind, (most + 2, |turn| turn % TILLS)).await;
        }
    }

    async fn ask_at_one_till(&mut self, house: &House) {
        if self.cut(house, Line::NoRoute).await {
            self.redeem_fresh(house, "CODE", (MAX_PER_HOUR_PER_TILL + 2, |_| TILLS - 1)).await;
        }
    }

    async fn ask_without_a_name(&mut self, house: &House) {
        if self.cut(house, Line::NoName).await {
            self.redeem_fresh(house, "CODE", (NAMELESS_PER_HOUR + 2, |turn| turn % TILLS)).await;
        }
    }

    async fn ask_for_checked(&mut self, house: &House) {
        let mut codes = Vec::new();
        for _ in 0..CHECKED_PER_DAY + 2 {
            codes.extend(self.check_one(house, "PAID", 1).await);
        }
        if self.cut(house, Line::NoRoute).await {
            for (till, code) in (0..TILLS).cycle().zip(&codes) {
                self.redeem_one(house, till, code).await;
            }
        }
    }

    /// The line is cut for some minutes at least; false: the gateway does not notice.
    async fn cut(&mut self, house: &House, line: Line) -> bool {
        self.set_lines(line, true);
        self.line_until = self.now() + 10 * MINUTE + self.about(HOUR / 3);
        // Each is tried, and once more, until the link is known to be down.
        self.allow(2 * NOTICED_BY_MAX);
        for till in 0..NOTICED_BY_MAX {
            if !house.links_are_up()[0] {
                return true;
            }
            self.redeem_fresh(house, "CODE", (1, move |_| till)).await;
            sleep(Duration::from_secs(2)).await;
        }
        !house.links_are_up()[0]
    }

    /// A code of this worth that was checked now; `None`: the provider did not say so.
    async fn check_one(&mut self, house: &House, kind: &str, worth: i64) -> Option<String> {
        self.codes += 1;
        let code = format!("{kind}-{:06}-v{worth}", self.codes);
        self.checking(house, 0, &code).await;
        self.model().risk.is_good(&code).then_some(code)
    }

    /// So many new codes that nobody checked, at these tills.
    async fn redeem_fresh(
        &mut self,
        house: &House,
        kind: &str,
        (count, till): (u64, impl Fn(u64) -> u64),
    ) {
        for turn in 0..count {
            self.codes += 1;
            let code = format!("{kind}-{:06}-pressed", self.codes);
            self.redeem_one(house, till(turn), &code).await;
        }
    }

    /// Whether it was given on trust.
    async fn redeem_one(&mut self, house: &House, till: u64, code: &str) -> bool {
        let now = self.now();
        let n = self.model().ask(till, 0, code, now);
        self.asking(house, n).await;
        self.model().asks[n].on_trust.is_some()
    }
}

/// What is at risk under the limit that codes of this kind meet.
async fn used(house: &House, kind: &str) -> i64 {
    let status = house.operator(axum::http::Method::GET, "/api/v1/status").await;
    let of_rule = |rule: &str| &status.body["rules"][rule]["max_exposure"]["used"];
    let shown: &Value = match kind {
        "GIFT" => of_rule("gifts"),
        "PAID" => of_rule("checked"),
        _ => {
            let lanes = status.body["lanes"].as_array().expect("lanes");
            let lane = lanes.iter().find(|lane| lane["name"] == LANES[0]).expect("the lane");
            &lane["exposure"]
        }
    };
    units(shown)
}
