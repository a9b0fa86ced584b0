//! Trust switched off by an operator: nothing is accepted on trust in a lane until it is on again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::elapsed::Elapsed;
use super::types::Event;
use super::{Desk, Operation, StoreError, keep};
use crate::message;

/// What the names of these entries begin with; a lane's name follows.
const NAME: &str = "trust off ";
/// In the place of a lane's name: those that the settings have not named yet.
pub const LANES_TO_COME: &str = "";

/// Why nothing is accepted on trust in a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustOff {
    /// The operator's note.
    pub note: String,
    /// The operator.
    pub by: String,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
    /// Until when on the gateway's elapsed time, milliseconds; `None`: until it is on again.
    until_ms: Option<i64>,
    /// Since when on it; an earlier build did not say.
    #[serde(default)]
    at_ms: i64,
}

impl TrustOff {
    /// How long it lasts still; `None`: until it is on again. A stop ends it once that counts.
    pub(super) fn left(&self, elapsed: &Elapsed) -> Option<Duration> {
        let left_ms = self.until_ms?.saturating_sub(elapsed.now_ms());
        let left_ms = left_ms.saturating_add(elapsed.doubted_ms(self.at_ms));
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))
    }
}

/// An operator switches trust off or on.
#[derive(Clone, Debug)]
pub struct TrustSwitch {
    /// The lanes; with [`LANES_TO_COME`] among them it is for all, also those that the settings do
    /// not name at the moment.
    pub lanes: Vec<String>,
    /// Off, with the note and for how long; `None`: on.
    pub off: Option<(String, Option<Duration>)>,
    /// The operator.
    pub by: String,
}

/// What came of a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Switched {
    /// The lanes that it was for.
    pub lanes: Vec<String>,
    /// Those in which trust was off for longer already and stays so.
    pub off_for_longer: Vec<String>,
}

/// Trust that is off now, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// Why, by whom and since when.
    pub off: TrustOff,
    /// For how long still; `None`: until it is on again.
    pub left: Option<Duration>,
}

pub(super) fn read(connection: &Connection) -> Result<BTreeMap<String, TrustOff>, StoreError> {
    let kept = keep::beginning_with(connection, NAME)?.into_iter();
    Ok(kept.filter_map(|(lane, off)| Some((lane, serde_json::from_str(&off).ok()?))).collect())
}

/// In a database that was salvaged, and of which not all was read that the gateway keeps: trust is
/// off where the last that was recorded says so. Since when the time counted is not known: it
/// begins again.
pub(super) fn off_as_recorded(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT lane, by, at_ms, detail FROM event WHERE n IN (SELECT max(n) FROM event \
        WHERE what IN ('trust_off', 'trust_on') GROUP BY lane) AND what = 'trust_off'";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let at_ms = Elapsed::read(connection).unwrap_or_default().now_ms();
    while let Some(row) = rows.next()? {
        let (lane, by, since_ms, detail): (String, String, i64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let message::Event::TrustOff { for_s, note } = message::Event::from_stored(&detail) else {
            continue;
        };
        let span_ms = i64::try_from(for_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        let until_ms = (for_s > 0).then(|| at_ms.saturating_add(span_ms));
        let name = format!("{NAME}{lane}");
        if keep::read(connection, &name)?.is_none() {
            let off = TrustOff { note, by, since_ms, until_ms, at_ms };
            keep::write(connection, &name, &stored(&off)?)?;
        }
    }
    Ok(())
}

/// Trust was switched off in all lanes: a lane that is new since is one of them.
pub(super) fn inherit(
    connection: &Connection,
    off: &mut Arc<BTreeMap<String, TrustOff>>,
    lane: &str,
) -> Result<(), StoreError> {
    let Some(of_all) = off.get(LANES_TO_COME).cloned() else { return Ok(()) };
    keep::write(connection, &format!("{NAME}{lane}"), &stored(&of_all)?)?;
    Arc::make_mut(off).insert(lane.to_owned(), of_all);
    Ok(())
}

fn stored(off: &TrustOff) -> Result<String, StoreError> {
    serde_json::to_string(off).map_err(|_| StoreError::Internal("a switch cannot be written"))
}

impl Operation for TrustSwitch {
    type Output = Switched;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Switched, StoreError> {
        desk.switch_trust(self)
    }
}

impl Desk<'_> {
    fn switch_trust(&mut self, switch: &TrustSwitch) -> Result<Switched, StoreError> {
        let mut switched = Switched { lanes: self.lanes_of(switch), off_for_longer: Vec::new() };
        for lane in &switched.lanes {
            match &switch.off {
                Some((_, within)) if self.is_off_for_longer(lane, *within) => {
                    switched.off_for_longer.push(lane.clone());
                }
                Some((note, within)) => self.trust_goes_off(lane, switch, (note, *within))?,
                None => self.trust_goes_on(lane, switch)?,
            }
        }
        let to_come = |lane: &String| lane != LANES_TO_COME;
        switched.lanes.retain(to_come);
        switched.off_for_longer.retain(to_come);
        Ok(switched)
    }

    /// A lane that the settings do not name now has its books, and may be named again.
    fn lanes_of(&self, switch: &TrustSwitch) -> Vec<String> {
        let mut lanes = switch.lanes.clone();
        if lanes.iter().any(|lane| lane == LANES_TO_COME) {
            let unnamed = |name: &&str| !switch.lanes.iter().any(|lane| lane == name);
            let known = self.books.named().map(|(_, name)| name);
            lanes.extend(known.filter(unnamed).map(str::to_owned));
        }
        lanes
    }

    /// Who switches trust off for all and a while must not end what somebody else has switched off
    /// for longer in one lane, with a reason that may not be known to all.
    fn is_off_for_longer(&self, lane: &str, within: Option<Duration>) -> bool {
        let (off, Some(within)) = (self.books.trust_off(lane, self.around.elapsed), within) else {
            return false;
        };
        off.is_some_and(|off| off.left.is_none_or(|left| left > within))
    }

    fn trust_goes_off(
        &mut self,
        lane: &str,
        switch: &TrustSwitch,
        (note, within): (&str, Option<Duration>),
    ) -> Result<(), StoreError> {
        let span_ms = within.map(|within| i64::try_from(within.as_millis()).unwrap_or(i64::MAX));
        let at_ms = self.around.elapsed.now_ms();
        let until_ms = span_ms.map(|span_ms| at_ms.saturating_add(span_ms));
        self.has_ages |= until_ms.is_some();
        let (note, since_ms) = (note.to_owned(), self.around.stamp.unix_ms);
        let by = switch.by.clone();
        let off = TrustOff { note: note.clone(), by, since_ms, until_ms, at_ms };
        keep::write(self.sql, &format!("{NAME}{lane}"), &stored(&off)?)?;
        Arc::make_mut(&mut self.books.trust_off).insert(lane.to_owned(), off);
        let told =
            message::Event::TrustOff { for_s: within.map_or(0, |within| within.as_secs()), note };
        self.record_switch(lane, switch, ("trust_off", told))
    }

    fn trust_goes_on(&mut self, lane: &str, switch: &TrustSwitch) -> Result<(), StoreError> {
        keep::forget(self.sql, &format!("{NAME}{lane}"))?;
        Arc::make_mut(&mut self.books.trust_off).remove(lane);
        // Where it is on in every lane, it is so in those to come.
        let (books, elapsed) = (&self.books, self.around.elapsed);
        let is_off_somewhere = books.named().any(|(_, name)| books.is_trust_off(name, elapsed));
        if lane != LANES_TO_COME && !is_off_somewhere {
            keep::forget(self.sql, &format!("{NAME}{LANES_TO_COME}"))?;
            Arc::make_mut(&mut self.books.trust_off).remove(LANES_TO_COME);
        }
        self.record_switch(lane, switch, ("trust_on", message::Event::TrustOn))
    }

    fn record_switch(
        &mut self,
        lane: &str,
        switch: &TrustSwitch,
        (what, told): (&str, message::Event),
    ) -> Result<(), StoreError> {
        if lane == LANES_TO_COME {
            return Ok(());
        }
        let event = self.own_event(lane, what, told.to_stored());
        self.record(&Event { by: switch.by.clone(), ..event }, None)
    }
}
