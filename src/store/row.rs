//! A row as it lies in the table: its columns, its checksum, and the redemption that it stands for.

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::{StoreError, worth};
pub(super) use crate::decide::Row as Stored;
use crate::decide::{self, Attempt, kind, mark};
use crate::message::Note;
use crate::redemption::{Answer, Fingerprint, Id, Redemption, RewardCode, Seq, State};

/// The columns of `redemption` in the order that [`Stored::from_row`] reads, for statements that
/// are constants.
macro_rules! columns {
    () => {
        concat!($crate::store::row::written!(), ", state, in_flight, marks, attempts, settled_ms")
    };
}
pub(super) use columns;

/// Those of them that never change.
macro_rules! written {
    () => {
        "seq, tag, origin, lane, till, key, key_rest, request, guard, business, code, branch, \
         date, accepted_ms, kind, body_crc, crc"
    };
}
pub(super) use written;

/// The polynomial of CRC-32C, its bits turned round.
const CRC_32C: u32 = 0x82f6_3b78;

/// As [`columns`].
pub(super) const COLUMNS: &str = columns!();

/// Numbered, since a value's place is looked for by its name each time.
pub(super) const INSERT: &str = "INSERT INTO redemption VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
    ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";

/// The two integers that a 128-bit key is stored as: the first is indexed, the second checked.
pub(super) fn halves(key: [u8; 16]) -> (i64, i64) {
    let whole = u128::from_be_bytes(key);
    let half = |bits: u128| {
        i64::from_be_bytes(u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0).to_be_bytes())
    };
    (half(whole >> 64), half(whole))
}

pub(super) fn joined(high: i64, low: i64) -> [u8; 16] {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(high.to_be_bytes().into_iter().chain(low.to_be_bytes())) {
        *to = from;
    }
    key
}

/// The state of a row; one that cannot be, or that stands there once so and once otherwise, is an
/// error that counts as damage.
pub(super) fn state_of(
    number: i64,
    marks: i64,
    settled_ms: Option<i64>,
) -> rusqlite::Result<State> {
    State::from_number(number)
        .filter(|state| {
            mark::agree(marks, *state) && (*state == State::Pending) == settled_ms.is_none()
        })
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(17, number))
}

/// What the guard's index holds of the guard's fingerprint.
pub(super) fn guard_of(business: &str, code: &RewardCode) -> i64 {
    halves(Fingerprint::of_guard(business, code).0).0
}

impl Stored {
    /// Reads [`COLUMNS`].
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (marks, settled_ms) = (row.get(19)?, row.get(21)?);
        let state = state_of(row.get(17)?, marks, settled_ms)?;
        Ok(Self {
            seq: Seq(row.get(0)?),
            tag: row.get(1)?,
            origin: row.get(2)?,
            lane: row.get(3)?,
            till: row.get(4)?,
            key: joined(row.get(5)?, row.get(6)?),
            request: row.get(7)?,
            guard: row.get(8)?,
            business: row.get(9)?,
            code: RewardCode::new(row.get(10)?),
            branch: row.get(11)?,
            date: row.get(12)?,
            accepted_ms: row.get(13)?,
            kind: row.get(14)?,
            body_crc: row.get(15)?,
            crc: row.get(16)?,
            state,
            in_flight: row.get(18)?,
            marks,
            attempts: row.get(20)?,
            settled_ms,
        })
    }

    /// CRC-32C over the columns that never change.
    pub(super) fn checksum(&self) -> u32 {
        let numbers = [
            self.seq.0,
            self.origin.unwrap_or(-1),
            self.lane,
            self.guard,
            self.accepted_ms,
            self.kind,
        ];
        let body_crc = self.body_crc.to_le_bytes();
        let texts = [&self.till, &self.business, self.code.reveal(), &self.branch, &self.date];
        checksum(numbers, [&self.tag, &self.key, &self.request, &body_crc], texts)
    }

    /// Whether the row is as it was written.
    pub(super) fn is_intact(&self) -> bool {
        self.crc == self.checksum()
    }

    /// The row, as it was written.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn intact(self) -> Result<Self, StoreError> {
        if self.is_intact() { Ok(self) } else { Err(self.damaged()) }
    }

    /// Of a row to which a search led: whether it is what was looked for. One that does not say so
    /// is another's where it is as it was written; otherwise it may have been the one.
    ///
    /// # Errors
    /// It is not as it was written.
    pub(super) fn is_found(&self, is_one: bool) -> Result<bool, StoreError> {
        if is_one || self.is_intact() { Ok(is_one) } else { Err(self.damaged()) }
    }

    /// The error about a row that is not as it was written.
    pub(super) fn damaged(&self) -> StoreError {
        StoreError::Damaged(not_as_written(self.seq.0))
    }

    /// Of a row that is not as it was written: whether a salvage can put it right, or its code
    /// cannot be believed, so that another code would be held in place of its own.
    pub(super) fn calls_for_salvage(&self) -> bool {
        let texts = [&self.till, &self.business, self.code.reveal(), &self.branch, &self.date];
        let bytes = texts.iter().map(|text| 8 + text.len()).sum::<usize>() + 96;
        self.guard != guard_of(&self.business, &self.code)
            || is_of_one_bit(self.crc ^ self.checksum(), bytes)
    }

    /// Writes a new row without its body and its guard.
    pub(super) fn insert_row(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare_cached(INSERT)?;
        self.insert_by(&mut statement)
    }

    /// As [`Self::insert_row`], by the statement [`INSERT`].
    pub(super) fn insert_by(&self, statement: &mut Statement<'_>) -> Result<(), StoreError> {
        let (key, key_rest) = halves(self.key);
        statement.execute(params![
            self.seq.0,
            self.tag,
            self.origin,
            self.lane,
            self.till,
            key,
            key_rest,
            self.request,
            self.guard,
            self.business,
            self.code.reveal(),
            self.branch,
            self.date,
            self.accepted_ms,
            self.kind,
            self.body_crc,
            self.crc,
            self.state as i64,
            self.in_flight,
            mark::beside(self.marks, self.state),
            self.attempts,
            self.settled_ms,
        ])?;
        Ok(())
    }

    /// The redemption that the row stands for; its answer and note are read where there are any.
    pub(super) fn redemption(
        &self,
        connection: &Connection,
        lane: &str,
    ) -> Result<Redemption, StoreError> {
        let (answer, note) = match self.state {
            State::Pending => (None, self.note(connection)?.1),
            State::Confirmed | State::Declined | State::Parked | State::Voided => {
                self.note(connection)?
            }
        };
        // What a crash left counts as given, and is marked when something is done to it.
        let found = decide::marks_found(self.state, self.kind, self.marks);
        let may_be_given = decide::is_trusted(self.kind, found);
        let given = if may_be_given { worth::of(connection, self.seq)? } else { None };
        Ok(Redemption {
            value: given.as_ref().map(|given| given.worth.amount()),
            value_assumed: given.as_ref().is_some_and(|given| given.worth.is_assumed()),
            rule: given.as_ref().map(|given| given.rule.clone()).filter(|rule| !rule.is_empty()),
            seq: self.seq,
            id: self.id(),
            lane: lane.to_owned(),
            till: self.till.clone(),
            business_refrence: self.business.clone(),
            reward_code: self.code.clone(),
            branch_id: self.branch.clone(),
            date: self.date.clone(),
            state: self.state,
            in_flight: self.in_flight,
            uncertain: self.has(mark::UNCERTAIN),
            duplicate_of_ours: self.has(mark::DUPLICATE_OF_OURS),
            refused_at_till: self.has(mark::REFUSED_AT_TILL),
            answered_at_till: self.has(mark::ANSWERED),
            on_hold: self.has(mark::ON_HOLD),
            trusted: self.is_trusted() || given.is_some(),
            owed: self.is_owed(),
            owed_paid: self.has(mark::OWED_PAID),
            in_vain: self.has(mark::IN_VAIN),
            handled: self.has(mark::HANDLED),
            handled_by: self.handled_by(connection)?,
            freed: self.has(mark::FREED),
            lost: self.has(mark::LOST),
            streak: self.has(mark::STREAK),
            in_doubt: self.has(mark::IN_DOUBT),
            turned_away: self.has(mark::TURNED_AWAY),
            waiting: decide::needs_a_person(self.state, self.kind, self.marks),
            reusable: self.is(kind::REUSABLE),
            taken_back: self.is_trusted() && self.has(mark::TAKEN_BACK),
            attempts: self.attempts,
            accepted_online: self.is(kind::ONLINE) && !self.has(mark::NOT_ASKED),
            accepted_at_ms: self.accepted_ms,
            day: self.day(),
            clock_trusted: self.is(kind::TRUSTED),
            settled_at_ms: self.settled_ms,
            answer,
            note: note.as_deref().map(Note::from_stored),
        })
    }

    /// The person who has seen to it last, and the note.
    fn handled_by(&self, connection: &Connection) -> Result<Option<(String, String)>, StoreError> {
        if !self.has(mark::HANDLED) {
            return Ok(None);
        }
        let sql = "SELECT by, detail FROM event WHERE seq = ?1 AND what IN ('handled', \
            'handled_free', 'lost', 'void') ORDER BY n DESC LIMIT 1";
        let by = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(connection.prepare_cached(sql)?.query_row([self.seq.0], by).optional()?)
    }

    pub(super) fn note(
        &self,
        connection: &Connection,
    ) -> Result<(Option<Answer>, Option<String>), StoreError> {
        let sql = "SELECT status, content_type, body, note FROM answer WHERE seq = ?1";
        let found =
            connection.prepare_cached(sql)?.query_row([self.seq.0], read_answer).optional()?;
        Ok(found.unwrap_or_default())
    }
}

fn read_answer(row: &Row<'_>) -> rusqlite::Result<(Option<Answer>, Option<String>)> {
    let status: Option<u16> = row.get(0)?;
    let content_type = row.get(1)?;
    let body: Option<Vec<u8>> = row.get(2)?;
    let answer =
        status.map(|status| Answer { status, content_type, body: body.unwrap_or_default().into() });
    Ok((answer, row.get(3)?))
}

/// What is said of a row that is not as it was written.
pub(super) fn not_as_written(seq: i64) -> String {
    format!("row {seq} is not as it was written")
}

/// Whether one flipped bit of the checksum, or of so many bytes under it, makes this difference
/// between the two. The bits are gone through from the checksum's first to the first byte's: each
/// makes what the one before it makes, one step of the checksum's register later.
fn is_of_one_bit(difference: u32, bytes: usize) -> bool {
    let step = |made: &u32| Some((made >> 1) ^ if made & 1 == 1 { CRC_32C } else { 0 });
    let mut made = std::iter::successors(Some(1 << 31), step).take(32 + 8 * bytes);
    made.any(|made| made == difference)
}

/// CRC-32C over what never changes of a row, each text with its length.
fn checksum(numbers: [i64; 6], bytes: [&[u8]; 4], texts: [&str; 5]) -> u32 {
    let mut crc =
        numbers.iter().fold(0, |crc, number| crc32c::crc32c_append(crc, &number.to_le_bytes()));
    for bytes in bytes {
        crc = crc32c::crc32c_append(crc, bytes);
    }
    for text in texts {
        crc = crc32c::crc32c_append(crc, &(text.len() as u64).to_le_bytes());
        crc = crc32c::crc32c_append(crc, text.as_bytes());
    }
    crc
}

/// Whether the columns that never change are as they were written: as [`Stored::is_intact`], for
/// many rows of which nothing else is wanted.
pub(super) fn is_as_written(row: &Row<'_>) -> rusqlite::Result<bool> {
    let origin: Option<i64> = row.get(2)?;
    let numbers =
        [row.get(0)?, origin.unwrap_or(-1), row.get(3)?, row.get(8)?, row.get(13)?, row.get(14)?];
    let text = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
    let texts = [text(4)?, text(9)?, text(10)?, text(11)?, text(12)?];
    let bytes = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_blob()?);
    let (key, body_crc) = (joined(row.get(5)?, row.get(6)?), row.get::<_, u32>(15)?.to_le_bytes());
    let crc = checksum(numbers, [bytes(1)?, &key, bytes(7)?, &body_crc], texts);
    Ok(crc == row.get::<_, u32>(16)?)
}

/// The row of this number.
pub(super) fn by_seq(connection: &Connection, seq: Seq) -> Result<Option<Stored>, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM redemption WHERE seq = ?1");
    Ok(connection.prepare_cached(sql)?.query_row([seq.0], Stored::from_row).optional()?)
}

/// The row of this id: by its number, or among those imported from elsewhere.
pub(super) fn by_id(connection: &Connection, id: &Id) -> Result<Option<Stored>, StoreError> {
    let Some(seq) = id.seq() else { return Ok(None) };
    if let Some(row) = by_seq(connection, seq)?.filter(|row| row.id() == *id) {
        return Ok(Some(row));
    }
    let sql = format!("SELECT {COLUMNS} FROM redemption WHERE origin = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query_map([seq.0], Stored::from_row)?;
    rows.find(|row| row.as_ref().map_or(true, |row| row.id() == *id))
        .transpose()
        .map_err(StoreError::from)
}

/// As [`by_id`], for somebody who asks: a damaged row answers to every id of its number, since its
/// tag may be what is damaged.
pub(super) fn asked_for(connection: &Connection, id: &Id) -> Result<Option<Stored>, StoreError> {
    if let Some(row) = by_id(connection, id)? {
        return Ok(Some(row));
    }
    let here = id.seq().map(|seq| by_seq(connection, seq)).transpose()?.flatten();
    Ok(here.filter(|row| !row.is_intact()))
}

/// The body of this row.
pub(super) fn body(connection: &Connection, seq: Seq) -> Result<Vec<u8>, StoreError> {
    let sql = "SELECT body FROM body WHERE seq = ?1";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([seq.0], |row| row.get(0))
        .optional()?
        .unwrap_or_default())
}

/// The last attempts of this row; none where none were kept, or what was kept cannot be read.
pub(super) fn attempts(connection: &Connection, seq: Seq) -> Result<Vec<Attempt>, StoreError> {
    let sql = "SELECT list FROM attempt WHERE seq = ?1";
    let list: Option<String> =
        connection.prepare_cached(sql)?.query_row([seq.0], |row| row.get(0)).optional()?;
    Ok(list.and_then(|list| serde_json::from_str(&list).ok()).unwrap_or_default())
}

/// Tags for the rows of one transaction, 96 random bits each: one system call for many. None
/// outlives its transaction, since a machine that is brought back to an earlier moment would give
/// it twice.
pub(super) struct Tags {
    ready: Vec<[u8; Self::BYTES]>,
    wanted: usize,
}

impl Tags {
    const BYTES: usize = 12;
    /// So many come with one call, at most.
    const AT_ONCE: usize = 32;

    /// For a transaction that makes about so many rows.
    pub(super) fn new(wanted: usize) -> Self {
        Self { ready: Vec::new(), wanted }
    }

    /// One that was not given yet.
    ///
    /// # Errors
    /// The kernel gave no random bits.
    pub(super) fn take(&mut self) -> Result<[u8; Self::BYTES], StoreError> {
        if let Some(tag) = self.ready.pop() {
            return Ok(tag);
        }
        let mut tags = [[0; Self::BYTES]; Self::AT_ONCE];
        let count = self.wanted.clamp(1, Self::AT_ONCE);
        let tags = tags.get_mut(..count).unwrap_or_default();
        getrandom::fill(tags.as_flattened_mut())
            .map_err(|error| StoreError::Random(error.to_string()))?;
        self.wanted = self.wanted.saturating_sub(count);
        let Some((tag, more)) = tags.split_first() else {
            return Err(StoreError::Internal("no tag"));
        };
        self.ready.extend_from_slice(more);
        Ok(*tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flipped_bit_is_told_from_two_by_what_it_makes_of_the_checksum() {
        let bytes: Vec<u8> = (0..150).map(|n: u8| n.wrapping_mul(37)).collect();
        let (crc, bits) = (crc32c::crc32c(&bytes), 8 * bytes.len());
        let with = |flipped: &[usize]| {
            let mut bytes = bytes.clone();
            for bit in flipped {
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            crc ^ crc32c::crc32c(&bytes)
        };
        for bit in 0..bits {
            assert!(is_of_one_bit(with(&[bit]), bytes.len()), "bit {bit}");
            let other = (bit * 7 + 1) % bits;
            assert!(bit == other || !is_of_one_bit(with(&[bit, other]), bytes.len()), "bit {bit}");
        }
        assert!((0..32).all(|bit| is_of_one_bit(1 << bit, bytes.len())), "of the checksum itself");
        assert!(!is_of_one_bit(0, bytes.len()) && !is_of_one_bit(3, bytes.len()));
    }

    #[test]
    fn no_tag_is_given_twice_and_more_are_fetched_than_were_thought_to_be_wanted() {
        let mut tags = Tags::new(40);
        let given: std::collections::BTreeSet<_> = (0..100).map(|_| tags.take().unwrap()).collect();
        assert_eq!(given.len(), 100);
    }
}
