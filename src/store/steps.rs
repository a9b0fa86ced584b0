//! Limits that are nearly used up, told once each: by a redemption, or by the time that passes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Desk, StoreError, keep};
use crate::limits::{Gauge, Measure, outage_gauges};
use crate::message;
use crate::value::Amount;

/// Which step of each rule's `max_outage` was told in a lane, in percent; the empty name is
/// `[offline]`'s own.
type StepsTold = BTreeMap<String, u8>;

fn told_name(lane: &str) -> String {
    format!("outage told {lane}")
}

impl Desk<'_> {
    /// Each limit that a redemption brought to 80 or 100 percent.
    pub(super) fn tell_steps(
        &mut self,
        lane: i64,
        next: Amount,
        (before, after): (&[Gauge], &[Gauge]),
    ) -> Result<(), StoreError> {
        let both = before.iter().zip(after);
        for gauge in both.filter(|(was, is)| was.step(next) < is.step(next)).map(|(_, is)| is) {
            self.tell_step(lane, gauge, next)?;
        }
        Ok(())
    }

    /// Each limit on the outage that time brought to 80 or 100 percent, once until it is below
    /// again, over restarts. In how long the next comes, if the outage goes on.
    pub(super) fn tell_outage(&mut self, lane: i64) -> Result<Option<Duration>, StoreError> {
        let name = self.books.name(lane).to_owned();
        let now = self.lane_now(lane, &name, "");
        let gauges = outage_gauges(self.around.offline, &now);
        let text = keep::read(self.sql, &told_name(&name))?.unwrap_or_default();
        let before: StepsTold = serde_json::from_str(&text).unwrap_or_default();
        let mut told = StepsTold::new();
        for gauge in &gauges {
            let (rule, step) =
                (gauge.rule.as_deref().unwrap_or_default(), gauge.step(Amount::ZERO));
            if step > before.get(rule).copied().unwrap_or(0) {
                self.tell_step(lane, gauge, Amount::ZERO)?;
            }
            if step > 0 {
                told.insert(rule.to_owned(), step);
            }
        }
        if told != before {
            let text = serde_json::to_string(&told)
                .map_err(|_| StoreError::Internal("what was told cannot be written"))?;
            keep::write(self.sql, &told_name(&name), &text)?;
        }
        Ok(gauges.iter().filter_map(Gauge::next_step).min())
    }

    fn tell_step(&mut self, lane: i64, gauge: &Gauge, next: Amount) -> Result<(), StoreError> {
        let shown = |measure: Measure| match measure {
            Measure::Seconds(seconds) => format!("{seconds} s"),
            Measure::Count(_) | Measure::Money(_) => measure.to_string(),
        };
        let told = message::Event::LimitUsed {
            percent: gauge.step(next).into(),
            limit: gauge.limit.to_owned(),
            used: shown(gauge.used),
            most: shown(gauge.most),
            rule: gauge.rule.as_deref().unwrap_or("offline").to_owned(),
        };
        let event = self.own_event(self.books.name(lane), "limit_used", told.to_stored());
        self.record(&event, None)
    }
}
