//! What a redemption costs beside everything that it is weighed by: checks that are remembered, and
//! rules.

use std::path::Path;

use redeemd::clock::Clock;
use redeemd::decide::CodeRules;
use redeemd::limits::LaneNow;
use redeemd::redemption::{Answer, RewardCode};
use redeemd::settings::Offline;
use redeemd::store::{CheckAnswered, CheckAsked, CheckSaid, Store, Surroundings};

use crate::Failure;

/// Tills that have checked.
const TILLS: usize = 8;
/// Checks that are remembered in one transaction.
const BATCH: usize = 2000;
/// What the provider says to each.
const GOOD: &str = r#"{"data":{"type":"discount","discount_amount":"12.50","is_percentage":false,"max_discount_amount":"0","customer_number":"+966500000041"},"errors":[]}"#;

/// `[offline]`'s memory and so many rules, a quarter each by code, business, till and type; none is
/// for the codes of the load.
pub(crate) fn settings(checks: usize, rules: usize) -> String {
    let rule = |n: usize| {
        let subject = match n % 4 {
            0 => format!("code = \"GIFT-{n}-*\""),
            1 => format!("business = \"another-{n}\""),
            2 => format!("till = \"another-{n}\""),
            _ => format!("type = \"kind-{n}\"\nchecked_within = \"12h\""),
        };
        format!("[[offline.rule]]\nname = \"rule-{n}\"\n{subject}\nmax_exposure = \"100.00\"\n")
    };
    let rules: String = (0..rules).map(rule).collect();
    format!("remember_checks_max = {}\n{rules}", checks.max(20_000))
}

/// Remembers so many, through the store's own door.
pub(crate) fn fill(dir: &Path, checks: usize) -> Result<(), Failure> {
    if checks == 0 {
        return Ok(());
    }
    let (mut store, _) = Store::open(dir)?;
    let offline = Offline { remember_checks_max: u64::MAX >> 1, ..Offline::default() };
    let around = Surroundings::new(Clock::system().stamp(), &offline, &|_| LaneNow::default());
    for from in (0..checks).step_by(BATCH) {
        let some = (from..checks.min(from + BATCH)).map(answered);
        for done in store.perform_all(some, &around) {
            done?;
        }
        store.checkpoint()?;
    }
    Ok(store.close()?)
}

fn answered(n: usize) -> CheckAnswered {
    let asked = CheckAsked {
        till: format!("till-{}", n % TILLS),
        lane: "p".to_owned(),
        business: "bench".to_owned(),
        code: RewardCode::new(format!("CHECKED-{n}")),
        rules: CodeRules::default(),
        in_vain: false,
    };
    let content_type = Some("application/json".to_owned());
    let answer = Answer { status: 200, content_type, body: GOOD.into() };
    CheckAnswered { asked, answer, said: CheckSaid::Good, asked_ms: None }
}
