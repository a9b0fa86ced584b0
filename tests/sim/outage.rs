//! A day without the line, with codes that somebody invented and codes that were used elsewhere:
//! what three policies lose, and whom they refuse wrongly.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use redeemd::clock::Clock;
use redeemd::link::Dice;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::house::{self, House, LANES, TILLS};
use crate::provider::{INVENTED, Line, Provider};
use crate::world::{BEGAN_MS, DAY, HOUR, folder};

/// Customers of the day.
const CUSTOMERS: u64 = 500;
/// Of a hundred, so many come with a code that nobody gave out, and so many with one that is used
/// somewhere else before they come.
const INVENTED_OF_100: u64 = 5;
const USED_OF_100: u64 = 2;
/// Of a hundred codes, so many were checked at a till on the day before the line went.
const CHECKED_OF_100: u64 = 40;
/// What a code is good for: from 5.00 to 40.00.
const WORTHS: u64 = 36;

/// What stands the same for all: no other limit than the policy's is to be reached.
const WIDE: &str = "max_pending = 100000\nmax_outage = \"72h\"\nmax_per_hour_per_till = 100000\n\
    remember_checks = \"48h\"\n";
/// The policies: their names, and their settings beside [`WIDE`].
const POLICIES: [(&str, &str); 3] = [
    ("everything is given", "max_exposure = \"1000000.00\"\n"),
    (
        "a floor limit: `max_value = \"25.00\"`, `max_exposure = \"6250.00\"`",
        "max_value = \"25.00\"\nmax_exposure = \"6250.00\"\n",
    ),
    (
        "checked codes only: `accept = false`, and a rule with `checked_within = \"48h\"`, `accept = true`",
        "max_exposure = \"1000000.00\"\naccept = false\n[[offline.rule]]\nname = \"checked\"\n\
      checked_within = \"48h\"\naccept = true\n",
    ),
];
/// How the table begins.
pub(crate) const HEAD: &str = "| policy | given | of these not good | lost | good codes refused | \
    bad codes refused |\n| --- | --- | --- | --- | --- | --- |\n";

/// One who comes on the day without the line.
#[derive(Clone, Debug)]
struct Customer {
    code: String,
    till: u64,
    at: Duration,
    checked_at: Option<Duration>,
    used_at: Option<Duration>,
}

impl Customer {
    fn some(number: u64, dice: &mut Dice) -> Self {
        let mut below = |bound: u64| dice.bits() % bound;
        let kind = below(100);
        let is_checked = below(100) < CHECKED_OF_100;
        let minute = |minute: u64| Duration::from_secs(minute * 60 + number % 60);
        let (yesterday, before, today) = (below(23 * 60), below(23 * 60), below(23 * 60));
        let is_used = (INVENTED_OF_100..INVENTED_OF_100 + USED_OF_100).contains(&kind);
        let kind = if kind < INVENTED_OF_100 { INVENTED } else { "DAY" };
        Self {
            code: format!("{kind}-{number:06}-{}", 500 + below(WORTHS) * 100),
            till: number % TILLS,
            at: DAY + minute(today),
            checked_at: is_checked.then(|| minute(yesterday)),
            used_at: is_used.then(|| minute(before)),
        }
    }

    fn is_good(&self) -> bool {
        self.used_at.is_none() && !self.code.starts_with(INVENTED)
    }

    /// What it is good for, in hundredths.
    fn worth(&self) -> u64 {
        worth(&self.code)
    }
}

fn worth(code: &str) -> u64 {
    code.rsplit('-').next().and_then(|cents| cents.parse().ok()).unwrap_or(0)
}

/// What the provider says of a good code.
fn terms(code: &str) -> Value {
    let amount = money(worth(code));
    let data = json!({ "type": "discount", "discount_amount": amount, "is_percentage": false });
    json!({ "data": data, "errors": [] })
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// What happens, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Check,
    UsedElsewhere,
    Redeem,
}

/// What a policy came to: how many, and their worth in hundredths.
#[derive(Debug, Default)]
struct Came {
    given: u64,
    not_good: u64,
    lost: String,
    good_refused: (u64, u64),
    bad_refused: u64,
}

/// All that happens on the two days, in order.
fn events(customers: &[Customer]) -> Vec<(Duration, Event, usize)> {
    let mut all = Vec::new();
    for (n, customer) in customers.iter().enumerate() {
        all.extend(customer.checked_at.map(|at| (at, Event::Check, n)));
        all.extend(customer.used_at.map(|at| (at, Event::UsedElsewhere, n)));
        all.push((customer.at, Event::Redeem, n));
    }
    all.sort();
    all
}

/// The day before with a line, the day without one, and the hours until all has its answer.
async fn live(customers: &[Customer], offline: &str, seed: u64) -> Came {
    let dir = folder();
    let clock = Clock::simulated("boot-1", Duration::ZERO);
    clock.set(BEGAN_MS, true);
    let died = Arc::new(Notify::new());
    let providers = [Provider::new(seed, &died, Some(terms)), Provider::new(seed + 1, &died, None)];
    for provider in &providers {
        provider.begin(Duration::ZERO);
    }
    let settings = house::settings(dir.path(), offline);
    let house = House::open(settings, &clock, seed, &providers).await;
    let (began, mut came) = (Instant::now(), Came::default());
    let mut is_cut = false;
    for (at, event, n) in events(customers) {
        if at >= DAY && !is_cut {
            is_cut = true;
            sleep_until(began + DAY).await;
            providers[0].set_line(Line::NoRoute);
        }
        sleep_until(began + at).await;
        happens(&house, &providers[0], (event, &customers[n]), &mut came).await;
    }
    sleep_until(began + 2 * DAY).await;
    providers[0].set_line(Line::Up);
    house.network.send_modify(|count| *count += 1);
    came.lost = lost_in_the_end(&house, began + 2 * DAY).await;
    house.stop().await;
    came
}

async fn happens(
    house: &House,
    provider: &Provider,
    (event, customer): (Event, &Customer),
    came: &mut Came,
) {
    let shop = format!("shop-{}", LANES[0]);
    match event {
        Event::UsedElsewhere => {
            provider.state().spent.insert(customer.code.clone());
        }
        Event::Check => {
            let body = json!({ "reward_code": customer.code, "business_refrence": shop });
            house.till(customer.till, Method::POST, "/check", body.to_string()).await;
        }
        Event::Redeem => {
            let body = json!({
                "reward_code": customer.code, "business_refrence": shop, "branch_id": "7",
                "date": "2026-11-26 12:00:00", "timestamp": "1",
            });
            let heard = house.till(customer.till, Method::POST, "/redeem", body.to_string()).await;
            match (heard.status, customer.is_good()) {
                (200, good) => {
                    (came.given, came.not_good) =
                        (came.given + 1, came.not_good + u64::from(!good));
                }
                (_, true) => {
                    let (count, worth) = came.good_refused;
                    came.good_refused = (count + 1, worth + customer.worth());
                }
                (_, false) => came.bad_refused += 1,
            }
        }
    }
}

/// What the gateway reports as lost, when nothing is pending any more.
async fn lost_in_the_end(house: &House, began: Instant) -> String {
    for hour in 1..24 {
        sleep_until(began + hour * HOUR).await;
        let status = house.operator(Method::GET, "/api/v1/status").await;
        if status.body["lanes"][0]["link"] == "held" {
            let path = format!("/api/v1/lanes/{}/release", LANES[0]);
            house.operator(Method::POST, &path).await;
        } else if status.body["counts"]["pending"] == 0 {
            return status.body["lanes"][0]["lost"].as_str().expect("an amount").to_owned();
        }
    }
    panic!("it does not drain");
}

/// In virtual time.
fn run(customers: &[Customer], offline: &str, seed: u64) -> Came {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(customers, offline, seed))
}

/// The table, in Markdown.
pub(crate) fn table(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let customers: Vec<Customer> =
        (0..CUSTOMERS).map(|number| Customer::some(number, &mut dice)).collect();
    let lived = std::thread::scope(|scope| {
        let lives = POLICIES.map(|(_, offline)| {
            let customers = &customers;
            scope.spawn(move || run(customers, &format!("{WIDE}{offline}"), seed))
        });
        lives.map(|life| life.join().expect("a policy's days"))
    });
    let mut table = HEAD.to_owned();
    for ((name, _), came) in POLICIES.iter().zip(lived) {
        let Came { given, not_good, lost, good_refused: (count, worth), bad_refused } = came;
        let worth = money(worth);
        writeln!(
            table,
            "| {name} | {given} | {not_good} | {lost} | {count}, worth {worth} | {bad_refused} |"
        )
        .expect("text");
    }
    table
}
