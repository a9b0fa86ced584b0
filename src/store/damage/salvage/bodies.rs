//! Redemptions of which only the body is left: it holds the five fields, and the indexes still say
//! where each stood.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension;

use super::{SEQ_FLOOR_AHEAD_MAX, Salvager};
use crate::clock::Clock;
use crate::contract;
use crate::decide::{self, kind, mark};
use crate::message::{Language, Note};
use crate::redemption::{Fingerprint, Request, Seq, State};
use crate::store::StoreError;
use crate::store::damage::records::{self, Value};
use crate::store::row::{self, Stored};

/// What stands for the till of a redemption whose row was lost.
const TILL_UNKNOWN: &str = "unknown";

/// How far from it other redemptions of its business are looked for.
const NEAR: i64 = 10_000;

/// Where a redemption stood whose row was lost.
#[derive(Clone, Copy)]
enum Stood {
    /// The index of pending rows has it, with this lane.
    Pending(i64),
    /// The index of exceptions has it, or no index although all are there: then it was confirmed.
    Settled(State),
    Unknown,
}

/// What was given on trust, of those whose row was lost.
#[derive(Debug, Default)]
pub(super) struct Worths {
    seqs: BTreeSet<i64>,
    /// All that the table had was read: what is not in it was not given.
    is_whole: bool,
}

/// What is known of a redemption besides its body.
struct LostRow {
    stood: Stood,
    /// It counts as something: a 2xx of ours left for it.
    given: bool,
    /// Nothing that was given is left out of what could be read.
    is_whole: bool,
    /// The last that a person did to it.
    deed: Option<String>,
}

impl LostRow {
    /// One that was declined, and of which it is not known whether it was given, is a person's.
    fn state(&self) -> State {
        match self.stood {
            Stood::Settled(State::Declined) if !self.given && !self.is_whole => State::Parked,
            Stood::Settled(state) => state,
            Stood::Pending(_) | Stood::Unknown => State::Parked,
        }
    }

    /// Whether the customer has what was confirmed and not given on trust, nobody knows: a till was
    /// told, or was refused before. A person decides. What was voided is the provider's to say, and
    /// may have been sent where a person closed it.
    fn marks(&self) -> i64 {
        let given = if self.given { mark::TRUSTED } else { 0 };
        let of_state = match (self.state(), self.given) {
            (State::Confirmed, true) | (State::Pending, _) => 0,
            (State::Confirmed, false) => mark::IN_VAIN,
            (State::Declined, true) => mark::LOST,
            (State::Declined, false) => mark::ANSWERED,
            (State::Parked, _) => mark::UNCERTAIN,
            (State::Voided, _) if self.is_closed() => mark::UNCERTAIN | mark::IN_DOUBT,
            (State::Voided, true) => mark::TAKEN_BACK | mark::IN_DOUBT,
            (State::Voided, false) => mark::IN_DOUBT,
        };
        given | of_state | self.seen_to()
    }

    fn is_closed(&self) -> bool {
        matches!(self.deed.as_deref(), Some("void" | "lost"))
    }

    /// What a person's last deed left on a row that is still where it was.
    fn seen_to(&self) -> i64 {
        let lost = if self.given { mark::LOST } else { 0 };
        match (self.stood, self.deed.as_deref()) {
            (Stood::Settled(_), Some("handled_free")) => mark::HANDLED | mark::FREED,
            (Stood::Settled(_), Some("handled" | "void")) => mark::HANDLED,
            (Stood::Settled(_), Some("lost")) => mark::HANDLED | lost,
            _ => 0,
        }
    }

    /// What was settled and not given on trust, the provider had been asked about.
    fn kind(&self) -> i64 {
        let is_asked = !self.given && matches!(self.state(), State::Confirmed | State::Declined);
        kind::KEYLESS | kind::MARKED | if is_asked { kind::ONLINE } else { 0 }
    }
}

impl Stood {
    /// Beside what was noted before, if anything was.
    fn note(self, earlier: Option<&str>) -> String {
        let note = match self {
            Self::Pending(_) => Note::RestoredWaiting,
            Self::Settled(_) => Note::RestoredSettled,
            Self::Unknown => Note::Restored,
        };
        let Some(earlier) = earlier else { return note.to_stored() };
        let [earlier, note] =
            [Note::from_stored(earlier), note].map(|note| note.text(Language::English));
        Note::Text { text: format!("{earlier}; {note}") }.to_stored()
    }
}

impl Salvager<'_> {
    /// Gives every body without its row a row again. What was pending is parked: its id went with
    /// its row, and under another the provider could take it twice.
    pub(super) fn restore_from_bodies(&mut self) -> Result<(), StoreError> {
        let alone = self.bodies_alone()?;
        if alone.is_empty() {
            return Ok(());
        }
        self.drop_absurd(&alone)?;
        self.worths = self.worths_of(&alone)?;
        let whole =
            [self.restore_pending()?, self.restore_exceptions()?].into_iter().all(|whole| whole);
        let rest = if whole { Stood::Settled(State::Confirmed) } else { Stood::Unknown };
        for seq in alone {
            self.restore(seq, rest)?;
        }
        self.sql.execute("DELETE FROM body WHERE seq NOT IN (SELECT seq FROM redemption)", [])?;
        Ok(())
    }

    fn bodies_alone(&self) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT seq FROM body WHERE seq NOT IN (SELECT seq FROM redemption) ORDER BY seq";
        let mut statement = self.sql.prepare(sql)?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Which of these, in their order, were given on trust.
    fn worths_of(&self, alone: &[i64]) -> Result<Worths, StoreError> {
        let mut seqs = BTreeSet::new();
        let is_whole = self.copy("worth", |columns| {
            if let [Value::Int(seq), Value::Int(_), Value::Int(_), Value::Text(_)] = columns
                && alone.binary_search(seq).is_ok()
            {
                seqs.insert(*seq);
            }
            Ok(())
        })?;
        Ok(Worths { seqs, is_whole })
    }

    fn facts(&self, seq: i64, stood: Stood) -> Result<LostRow, StoreError> {
        let sql = "SELECT what FROM event WHERE seq = ?1 AND what IN ('handled', 'handled_free', \
            'lost', 'void', 'retry') ORDER BY n DESC LIMIT 1";
        let deed = self.sql.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
        let Worths { seqs, is_whole } = &self.worths;
        Ok(LostRow { stood, given: seqs.contains(&seq), is_whole: *is_whole, deed })
    }

    /// A number far beyond every other was itself damaged, and would be where all later ones begin.
    fn drop_absurd(&self, alone: &[i64]) -> Result<(), StoreError> {
        let accepted =
            self.lanes.values().filter_map(|lane| lane.numbers.as_ref()?.first().copied());
        let mut known = accepted.fold(self.seq_floor, i64::max);
        for seq in alone.iter().copied() {
            if seq.saturating_sub(known) > SEQ_FLOOR_AHEAD_MAX {
                self.sql.prepare_cached("DELETE FROM body WHERE seq = ?1")?.execute([seq])?;
            } else {
                known = known.max(seq);
            }
        }
        Ok(())
    }

    /// False when the index could not be read whole.
    fn restore_pending(&mut self) -> Result<bool, StoreError> {
        self.restore_by("redemption_pending", |columns| match columns {
            [Value::Int(lane), ..] => Stood::Pending(*lane),
            _ => Stood::Unknown,
        })
    }

    /// As [`Self::restore_pending`].
    fn restore_exceptions(&mut self) -> Result<bool, StoreError> {
        self.restore_by("redemption_exception", |columns| match columns {
            [Value::Int(state), ..] => State::from_number(*state)
                .filter(|state| is_exception(*state))
                .map_or(Stood::Unknown, Stood::Settled),
            _ => Stood::Unknown,
        })
    }

    fn restore_by(
        &mut self,
        index: &str,
        stood: impl Fn(&[Value]) -> Stood,
    ) -> Result<bool, StoreError> {
        let image = self.image;
        let Some(root) = records::root_of(image, index) else { return Ok(false) };
        records::entries(image, root, |columns| match columns.last() {
            Some(Value::Int(seq)) => self.restore(*seq, stood(columns)),
            _ => Ok(()),
        })
    }

    /// Nothing happens where the row is there, or the body is not or is none.
    fn restore(&mut self, seq: i64, stood: Stood) -> Result<(), StoreError> {
        if row::by_seq(self.sql, Seq(seq))?.is_some() {
            return Ok(());
        }
        let body = row::body(self.sql, Seq(seq))?;
        let Some(request) = contract::parse_accepted(body.into()).ok().filter(|_| seq > 0) else {
            return Ok(());
        };
        let lane = self.lane_of(seq, &request, stood)?;
        let facts = self.facts(seq, stood)?;
        let row = restored(seq, lane, self.accepted_about(seq)?, &request, &facts);
        row.insert_row(self.sql)?;
        self.seq_floor = self.seq_floor.max(seq);
        self.restored += 1;
        self.parked += u64::from(row.state == State::Parked);
        let mut noted = self.sql.prepare_cached("SELECT note FROM answer WHERE seq = ?1")?;
        let earlier: Option<Option<String>> =
            noted.query_row([seq], |row| row.get(0)).optional()?;
        self.note(Seq(seq), &stood.note(earlier.flatten().as_deref()))
    }

    /// The lane that its index names, else the one of another redemption of this business, else
    /// any.
    fn lane_of(&self, seq: i64, request: &Request, stood: Stood) -> Result<i64, StoreError> {
        if let Stood::Pending(lane) = stood
            && self.lanes.contains_key(&lane)
        {
            return Ok(lane);
        }
        let sql = "SELECT lane FROM redemption WHERE seq BETWEEN ?1 - ?2 AND ?1 + ?2 AND business \
            = ?3 LIMIT 1";
        let values = (seq, NEAR, &request.business_refrence);
        let known = self.sql.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(known.or_else(|| self.lanes.keys().next().copied()).unwrap_or(1))
    }

    /// When the redemption before it was accepted, or else the one after it; without either, now.
    fn accepted_about(&self, seq: i64) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce((SELECT accepted_ms FROM redemption WHERE seq < ?1 ORDER BY seq \
            DESC LIMIT 1), (SELECT accepted_ms FROM redemption WHERE seq > ?1 ORDER BY seq LIMIT \
            1), ?2)";
        let now = Clock::system().stamp().unix_ms;
        Ok(self.sql.prepare_cached(sql)?.query_row((seq, now), |row| row.get(0))?)
    }
}

fn is_exception(state: State) -> bool {
    matches!(state, State::Declined | State::Parked | State::Voided)
}

/// A row made of its body. What the provider may know about it holds its code.
fn restored(seq: i64, lane: i64, accepted_ms: i64, request: &Request, facts: &LostRow) -> Stored {
    let Request { reward_code, business_refrence, branch_id, date, body, .. } = request;
    let mut row = Stored {
        seq: Seq(seq),
        tag: tag_of(seq, body),
        origin: None,
        lane,
        till: TILL_UNKNOWN.to_owned(),
        key: decide::key_of_fields(TILL_UNKNOWN, request),
        request: Fingerprint::of_request(request).0,
        guard: row::guard_of(business_refrence, reward_code),
        business: business_refrence.clone(),
        code: reward_code.clone(),
        branch: branch_id.clone(),
        date: date.clone(),
        accepted_ms,
        kind: facts.kind(),
        body_crc: crc32c::crc32c(body),
        crc: 0,
        state: facts.state(),
        in_flight: false,
        marks: facts.marks(),
        attempts: 1,
        settled_ms: Some(accepted_ms),
    };
    row.crc = row.checksum();
    row
}

/// The same at every salvage, so that what is exported twice is imported once.
fn tag_of(seq: i64, body: &[u8]) -> [u8; 12] {
    let Fingerprint(whole) =
        Fingerprint::of(&["restored", &seq.to_string(), &String::from_utf8_lossy(body)]);
    whole.first_chunk().copied().unwrap_or_default()
}
