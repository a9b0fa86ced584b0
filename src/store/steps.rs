//! Limits that are nearly used up, told once each: by a redemption, by the time that passes, or by
//! one that is refused since the limit has shrunk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::{Desk, StoreError, keep};
use crate::limits::{Gauge, Limit, Measure, outage_gauges};
use crate::message;
use crate::value::Amount;

/// Which step of each rule's `max_outage` was told in a lane, in percent; the empty name is
/// `[offline]`'s own.
type OutageTold = BTreeMap<String, u8>;
/// Which step of each limit was told in a lane, in percent, by the limit's key and its rule.
pub(super) type StepsTold = BTreeMap<String, u8>;

/// What the names begin with under which a lane's [`StepsTold`] are kept; its number follows.
const TOLD: &str = "limits told ";

fn told_name(lane: &str) -> String {
    format!("outage told {lane}")
}

fn stored(told: &BTreeMap<String, u8>) -> Result<String, StoreError> {
    serde_json::to_string(told).map_err(|_| StoreError::Internal("what was told cannot be written"))
}

/// What a limit is remembered by.
fn of(gauge: &Gauge) -> String {
    format!("{} {}", gauge.limit, gauge.rule.as_deref().unwrap_or_default())
}

/// What was told, as it is kept.
pub(super) fn read(connection: &Connection) -> Result<BTreeMap<i64, StepsTold>, StoreError> {
    let kept = keep::beginning_with(connection, TOLD)?.into_iter();
    let read = |(lane, told): (String, String)| {
        Some((lane.parse().ok()?, serde_json::from_str(&told).ok()?))
    };
    Ok(kept.filter_map(read).collect())
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
        let crossed = both.filter(|(was, is)| was.step(next) < is.step(next)).map(|(_, is)| is);
        let crossed: Vec<&Gauge> = crossed.collect();
        for gauge in &crossed {
            self.tell_step(lane, gauge, next)?;
        }
        let told = crossed.into_iter().map(|gauge| (of(gauge), gauge.step(next)));
        self.note_steps(lane, told.collect(), after)
    }

    /// A limit refuses: it is used up, and has not been told where no redemption brought it there
    /// but a cause of the lane, or a reload, that has made it smaller. Once until it is below
    /// again, over restarts.
    pub(super) fn tell_limit(&mut self, lane: i64, limit: &Limit) -> Result<(), StoreError> {
        let Some(gauge) = self.gauge_of(lane, limit) else { return Ok(()) };
        let ordinary = self.around.offline.value_of_unknown;
        let (name, step) = (of(&gauge), gauge.step(ordinary));
        let told = self.books.ledger.told.get(&lane).and_then(|told| told.get(&name));
        if step <= told.copied().unwrap_or(0) {
            return Ok(());
        }
        self.tell_step(lane, &gauge, ordinary)?;
        self.note_steps(lane, vec![(name, step)], &[])
    }

    /// Remembers which steps were told now, and forgets those below which a limit is seen. Nearly
    /// always there is nothing to do.
    fn note_steps(
        &mut self,
        lane: i64,
        now: Vec<(String, u8)>,
        seen: &[Gauge],
    ) -> Result<(), StoreError> {
        let before = self.books.ledger.told.get(&lane);
        if now.is_empty() && before.is_none() {
            return Ok(());
        }
        let (before, ordinary) =
            (before.cloned().unwrap_or_default(), self.around.offline.value_of_unknown);
        let mut told = before.clone();
        for gauge in seen {
            told.entry(of(gauge)).and_modify(|step| *step = gauge.step(ordinary).min(*step));
        }
        told.extend(now);
        told.retain(|_, step| *step > 0);
        if told == before { Ok(()) } else { self.keep_told(lane, told) }
    }

    fn keep_told(&mut self, lane: i64, told: StepsTold) -> Result<(), StoreError> {
        let (name, all) = (format!("{TOLD}{lane}"), Arc::make_mut(&mut self.books.ledger.told));
        if told.is_empty() {
            all.remove(&lane);
            return keep::forget(self.sql, &name);
        }
        keep::write(self.sql, &name, &stored(&told)?)?;
        all.insert(lane, told);
        Ok(())
    }

    /// Each limit on the outage that time brought to 80 or 100 percent, once until it is below
    /// again, over restarts. In how long the next comes, if the outage goes on.
    pub(super) fn tell_outage(&mut self, lane: i64) -> Result<Option<Duration>, StoreError> {
        let name = self.books.name(lane).to_owned();
        let now = self.lane_now(lane, &name, "");
        let gauges = outage_gauges(self.around.offline, &now);
        let text = keep::read(self.sql, &told_name(&name))?.unwrap_or_default();
        let before: OutageTold = serde_json::from_str(&text).unwrap_or_default();
        let mut told = OutageTold::new();
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
            keep::write(self.sql, &told_name(&name), &stored(&told)?)?;
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
