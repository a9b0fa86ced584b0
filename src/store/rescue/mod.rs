//! Rescue: the open rows of a dying box as they travel, and how another box takes them over.

mod format;
mod remains;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::row::{self, Stored};
use super::worth::Given;
use super::{AfterCommit, Desk, Operation, OperationKind, StoreError};
use crate::contract;
use crate::decide::{self, kind, mark};
use crate::message::{self, Language, Note, RowFault};
use crate::redemption::{Answer, Fingerprint, Id, RewardCode, Seq, State, is_lane_name};
use crate::settings;
use crate::text;
use crate::value::{Amount, Worth};

pub use format::{EndLine, ExportLine, FORMAT, Header, LineFault, seal, unseal};
pub use remains::{Page, Remains};

/// The longest name or field of a row that is taken over, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// The last moment at which a row can have been accepted: the end of the year 9999, Unix
/// milliseconds.
const ACCEPTED_MS_MAX: i64 = 253_402_300_799_999;
/// No setting takes a larger amount.
const VALUE_MAX: Amount = Amount::whole(settings::AMOUNT_MAX);
/// The longest body that any gateway ever accepted, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The kind bits that travel: all that this version knows. What an older file has not is not set,
/// what a newer one has besides is left out; neither changes how the row is delivered.
const KINDS: i64 = kind::ALL;
/// The marks that travel: what happened between the row, its till and the provider, and what a
/// person said of it. An older file has fewer of them.
const MARKS: i64 = mark::UNCERTAIN
    | mark::REFUSED_AT_TILL
    | mark::ANSWERED
    | mark::TRUSTED
    | mark::STRONG
    | mark::HANDLED
    | mark::FREED
    | mark::LOST
    | mark::ON_HOLD
    | mark::NOT_ASKED
    | mark::SAID_USED;
/// The marks that stay: when it was settled there, what its lane there is held for, and what no
/// open row has. `IN_DOUBT` is given to every row that arrives.
#[cfg(test)]
const MARKS_THAT_STAY: i64 = mark::DUPLICATE_OF_OURS
    | mark::SETTLED_TRUSTED
    | mark::STREAK
    | mark::OWED
    | mark::OWED_PAID
    | mark::IN_DOUBT
    | mark::TURNED_AWAY
    | mark::PAID_ELSEWHERE
    | mark::TAKEN_BACK
    | mark::UNHEARD
    | mark::IN_VAIN
    | mark::OF_THE_FORM;

/// A row as it travels: everything that delivering it elsewhere needs, its whole code included.
/// Columns are as stored; the fifth field, `timestamp`, is in the body alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Its public name, under which it was and will be sent.
    pub id: Id,
    /// Pending or parked.
    pub state: State,
    /// The provider's name.
    pub lane: String,
    /// The till that made it.
    pub till: String,
    /// The merchant.
    pub business_refrence: String,
    /// The code, whole.
    pub reward_code: String,
    /// The branch.
    pub branch_id: String,
    /// The till's own local time.
    pub date: String,
    /// What is sent.
    pub body: Octets,
    /// What names the till's request: its key's fingerprint.
    pub key: Octets,
    /// The fingerprint of the five fields.
    pub request: Octets,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: i64,
    /// 1: the clock was trusted, 2: the lane was up, 4: the code is reusable, 8: only the provider
    /// can say yes, 16: the till gave it no key, 32: its marks say whether it is trusted, 64: taken
    /// again.
    pub kind: i64,
    /// 1: an attempt may have arrived, 4: the till was told no, 32: the till was told the
    /// provider's answer, 64: it was given on trust, 128: strong evidence refused it once, 2^15: it
    /// was declined after it was given, 2^20: an operator's hold let it be given, 2^56: no byte of
    /// it had left when it was given, 2^57: the provider said once that its code was used; of a
    /// parked row 8192: a person has seen to it, 16384: a person freed its code.
    pub marks: i64,
    /// How many attempts were begun.
    pub attempts: u32,
    /// What it counts as, in 1/10000, where it was given on trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// A setting said so, and no check.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub value_assumed: bool,
    /// The name of the rule by which it was given, whose books it counts in; empty: by none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Why it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the provider said, for a parked row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ProviderSaid>,
}

/// What a provider said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSaid {
    status: u16,
    content_type: Option<String>,
    body: Octets,
}

/// Bytes in JSON: a string where they are text, else their hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Octets {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Hex {
        /// Two digits a byte.
        hex: String,
    },
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported")
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Octets {
    fn of(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes)
            .map_or_else(|_| Self::digits(bytes), |text| Self::Text(text.to_owned()))
    }

    fn digits(bytes: &[u8]) -> Self {
        Self::Hex { hex: text::hex(bytes) }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        let digits = match self {
            Self::Text(text) => return Some(text.clone().into_bytes()),
            Self::Hex { hex } => hex.as_bytes().chunks(2),
        };
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair)
                .ok()
                .filter(|text| text.len() == 2 && !text.starts_with('+'))?;
            u8::from_str_radix(text, 16).ok()
        };
        digits.map(byte).collect()
    }
}

/// Rows to take over.
#[derive(Clone, Debug)]
pub struct Import {
    /// The rows.
    pub rows: Vec<Exported>,
    /// The gateway that exported them, as its file says.
    pub from: String,
    /// The operator.
    pub by: String,
    /// What the operator is told in.
    pub language: Language,
}

/// What became of a row that was brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Arrived {
    /// It is pending here, uncertain.
    Pending {
        /// Its row here.
        seq: Seq,
    },
    /// It is here and a person decides.
    Parked {
        /// Why.
        why: String,
    },
    /// It was here already; nothing was changed.
    AlreadyThere {
        /// Where it stands here.
        state: State,
    },
    /// It cannot be a redemption; nothing was changed.
    Refused {
        /// Why, without any of its values.
        why: String,
    },
}

impl Operation for Import {
    /// What became of each row, in their order.
    type Output = Vec<Arrived>;
    const KIND: OperationKind = OperationKind::New;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Vec<Arrived>, StoreError> {
        desk.import(self)
    }

    fn after(&self, arrived: &mut Vec<Arrived>, effects: &mut dyn AfterCommit) {
        for (row, arrived) in self.rows.iter().zip(arrived) {
            if let Arrived::Pending { seq } = arrived {
                effects.pending(&row.lane, *seq);
            }
        }
    }
}

impl Desk<'_> {
    fn import(&mut self, import: &Import) -> Result<Vec<Arrived>, StoreError> {
        import.rows.iter().map(|row| self.import_one(row, import)).collect()
    }

    fn import_one(&mut self, row: &Exported, import: &Import) -> Result<Arrived, StoreError> {
        let parts = match DecodedRow::of(row) {
            Ok(parts) => parts,
            Err(why) => return Ok(Arrived::Refused { why: why.text(import.language) }),
        };
        if let Some(there) = row::by_id(self.sql, &row.id)? {
            return Ok(Arrived::AlreadyThere { state: there.state });
        }
        let mut stored = self.arriving(row, &parts)?;
        let why = self.why_parked(row, &stored, &parts.body)?;
        if why.is_some() {
            let trusted = if self.around.stamp.trusted { mark::SETTLED_TRUSTED } else { 0 };
            stored.state = State::Parked;
            stored.settled_ms = Some(self.around.stamp.unix_ms);
            stored.marks = mark::settled_at(stored.marks | trusted, self.around.elapsed_min());
        }
        stored.crc = stored.checksum();
        stored.insert(&mut self.statements, self.guards, &parts.body)?;
        self.books.enter(&stored, stored.state)?;
        self.books.ledger.name(self.sql, (stored.lane, &stored.business))?;
        if stored.is_trusted() {
            self.give(&stored, &self.given(row), false)?;
        }
        if let Some(why) = &why {
            self.keep_answer(stored.seq, parts.answer.as_ref(), Some(&why.to_stored()))?;
        }
        self.record_import(&stored, import)?;
        let parked = |why: Note| Arrived::Parked { why: why.text(import.language) };
        Ok(why.map_or(Arrived::Pending { seq: stored.seq }, parked))
    }

    /// What it counts as and by which rule, as its file says or as an unknown one does.
    fn given(&self, row: &Exported) -> Given {
        let unknown = self.around.offline.value_of_unknown;
        let worth = match row.value.map(|value| Amount(value.max(0))) {
            Some(value) if !row.value_assumed => Worth::Known(value),
            value => Worth::Assumed(value.unwrap_or(unknown)),
        };
        Given { worth, rule: row.rule.clone() }
    }

    /// The row as it will lie here: under its own id, uncertain, with a number and a lane of this
    /// store.
    fn arriving(&mut self, row: &Exported, parts: &DecodedRow) -> Result<Stored, StoreError> {
        let business = row.business_refrence.clone();
        let code = RewardCode::new(row.reward_code.clone());
        let guard = row::guard_of(&business, &code);
        let stored = Stored {
            seq: self.number()?,
            tag: parts.tag,
            origin: Some(parts.origin.0),
            lane: self.books.lane(self.sql, &row.lane)?,
            till: row.till.clone(),
            key: self.free_key(row, parts.key, (guard, &code))?,
            request: parts.request,
            guard,
            business,
            code,
            branch: row.branch_id.clone(),
            date: row.date.clone(),
            accepted_ms: row.accepted_ms,
            kind: kind::on_day(row.kind & KINDS, self.around.days.of(row.accepted_ms)),
            body_crc: crc32c::crc32c(&parts.body),
            crc: 0,
            state: State::Pending,
            in_flight: false,
            marks: (row.marks & marks_of(row.state)) | mark::UNCERTAIN | mark::IN_DOUBT,
            attempts: row.attempts,
            settled_ms: None,
        };
        Ok(stored)
    }

    /// A till here that has the name of one there, and used the same key, goes on finding its own
    /// redemption. Whatever the file says of the making of the key, it is looked for in both
    /// places.
    fn free_key(
        &self,
        row: &Exported,
        key: [u8; 16],
        (guard, code): (i64, &RewardCode),
    ) -> Result<[u8; 16], StoreError> {
        let here = self.rivals(guard, (&row.business_refrence, code), false)?;
        let taken = self.by_key(key)?.is_some() || here.rows.iter().any(|row| row.key == key);
        Ok(if taken { Fingerprint::of(&["imported", row.id.as_str()]).0 } else { key })
    }

    fn why_parked(
        &self,
        row: &Exported,
        stored: &Stored,
        body: &[u8],
    ) -> Result<Option<Note>, StoreError> {
        if row.state == State::Parked {
            let note = row.note.as_deref().map(Note::from_stored);
            return Ok(Some(note.unwrap_or(Note::ParkedElsewhere)));
        }
        let others = self.others(stored)?;
        if let Some(other) =
            others.iter().find(|other| other.seq != stored.seq && decide::is_obstacle(other))
        {
            let (id, state) = (other.id().to_string(), other.state.to_string());
            return Ok(Some(Note::ImportedWhileHeld { id, state }));
        }
        Ok((!says_the_same(stored, body)).then_some(Note::ImportedOtherwise))
    }

    fn record_import(&mut self, stored: &Stored, import: &Import) -> Result<(), StoreError> {
        let from = import.from.clone();
        let told = if from.is_empty() {
            message::Event::ImportUnknown
        } else {
            message::Event::Import { from }
        };
        self.note_event(stored, "import", &import.by, &told.to_stored())
    }
}

/// What is pending here is sent again, whatever a person said of it: it holds its code.
fn marks_of(state: State) -> i64 {
    if state == State::Parked { MARKS } else { MARKS & !(mark::HANDLED | mark::FREED) }
}

/// Whether the body is the request of which the row is guarded and shown.
fn says_the_same(stored: &Stored, body: &[u8]) -> bool {
    contract::parse_accepted(Bytes::copy_from_slice(body)).is_ok_and(|request| {
        request.reward_code == stored.code
            && request.business_refrence == stored.business
            && stored.asks_the_same(&request)
    })
}

/// What a row is made of, decoded.
struct DecodedRow {
    origin: Seq,
    tag: [u8; 12],
    key: [u8; 16],
    request: [u8; 16],
    body: Vec<u8>,
    answer: Option<Answer>,
}

impl DecodedRow {
    /// What is refused names its field and none of its values.
    fn of(row: &Exported) -> Result<Self, RowFault> {
        let (origin, tag) = row.id.parts().filter(|(seq, _)| seq.0 > 0).ok_or(RowFault::Id)?;
        if !matches!(row.state, State::Pending | State::Parked) {
            return Err(RowFault::State);
        }
        row.texts_can_be()?;
        row.numbers_can_be()?;
        let body = row.body.bytes().filter(|body| body.len() <= BODY_BYTES_MAX);
        let body = body.ok_or_else(|| RowFault::TooLong { field: "body".to_owned() })?;
        let answer = row.answer.as_ref().map(ProviderSaid::answer).transpose()?;
        Ok(Self {
            origin,
            tag,
            key: digest(&row.key, "key")?,
            request: digest(&row.request, "request")?,
            body,
            answer,
        })
    }
}

fn digest(octets: &Octets, field: &str) -> Result<[u8; 16], RowFault> {
    let bytes = octets.bytes().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| RowFault::Fingerprint { field: field.to_owned() })
}

impl Exported {
    fn texts_can_be(&self) -> Result<(), RowFault> {
        let texts = [
            ("lane", &self.lane),
            ("till", &self.till),
            ("business_refrence", &self.business_refrence),
            ("reward_code", &self.reward_code),
            ("branch_id", &self.branch_id),
            ("date", &self.date),
            ("rule", &self.rule),
        ];
        for (field, text) in texts {
            if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(RowFault::Unfit { field: field.to_owned() });
            }
            if text.is_empty() && matches!(field, "business_refrence" | "reward_code") {
                return Err(RowFault::Empty { field: field.to_owned() });
            }
        }
        if is_lane_name(&self.lane) { Ok(()) } else { Err(RowFault::Lane) }
    }

    fn numbers_can_be(&self) -> Result<(), RowFault> {
        if !(0..=ACCEPTED_MS_MAX).contains(&self.accepted_ms) {
            return Err(RowFault::Time);
        }
        if self.value.is_some_and(|value| Amount(value) > VALUE_MAX) {
            return Err(RowFault::Above { field: "value".to_owned() });
        }
        for (field, bits) in [("kind", self.kind), ("marks", self.marks)] {
            if bits < 0 {
                return Err(RowFault::Below { field: field.to_owned() });
            }
        }
        Ok(())
    }
}

impl ProviderSaid {
    fn of(answer: &Answer) -> Self {
        let body = Octets::of(&answer.body);
        Self { status: answer.status, content_type: answer.content_type.clone(), body }
    }

    fn answer(&self) -> Result<Answer, RowFault> {
        let body = self.body.bytes().filter(|body| body.len() <= Answer::BODY_BYTES_MAX);
        let too_long = || RowFault::TooLong { field: "answer".to_owned() };
        let body = body.ok_or_else(too_long)?.into();
        if !(100..=999).contains(&self.status) {
            return Err(RowFault::Status);
        }
        Ok(Answer { status: self.status, content_type: self.content_type.clone(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_travels_or_stays() {
        assert_eq!(MARKS | MARKS_THAT_STAY, mark::ALL, "a new mark has no place yet");
        assert_eq!(MARKS & MARKS_THAT_STAY, 0);
    }

    #[test]
    fn bytes_travel_as_text_where_they_are_text_and_as_digits_elsewhere() {
        for bytes in [&b""[..], b"{\"a\":\"\\u00e9\"}", "\u{e9}\u{0}".as_bytes(), b"\xff\x00\x10"] {
            let json = serde_json::to_string(&Octets::of(bytes)).unwrap();
            let back: Octets = serde_json::from_str(&json).unwrap();
            assert_eq!(back.bytes().unwrap(), bytes, "{json}");
        }
        for bad in ["0", "zz", "+f", "\u{e9}"] {
            assert_eq!(Octets::Hex { hex: bad.to_owned() }.bytes(), None, "{bad}");
        }
    }
}
