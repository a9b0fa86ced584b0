//! The domain: what a redemption is, how it is named, and the values that must not be shown whole.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Day;
use crate::fold;
use crate::message::Note;
use crate::value::Amount;

/// A redemption's place in the store's order: later accepted, higher number. Wall time never orders
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A redemption's public name: its number, a dash and 96 random bits in base 32 (`42-7n0c…`). It is
/// made once, is the `Idempotency-Key` of every attempt, and stays the same when the row is
/// salvaged or imported elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

/// Crockford's base 32 without the letters that are read as digits; lower case, because people read
/// ids aloud.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl Id {
    /// The longest id that is looked up, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The id of row `seq` with its random `tag`.
    #[must_use]
    pub fn new(seq: Seq, tag: [u8; 12]) -> Self {
        let mut text = format!("{seq}-");
        let mut bits = tag.iter().fold(0u128, |all, byte| (all << 8) | u128::from(*byte)) << 4;
        for _ in 0..20 {
            let digit = usize::try_from((bits >> 95) & 31).unwrap_or(0);
            text.push(char::from(*BASE32.get(digit).unwrap_or(&b'0')));
            bits <<= 5;
        }
        Self(text)
    }

    /// An id as somebody wrote it; `None` when no id of ours looks so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, tag) = text.split_once('-')?;
        let digits = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
        let letters = !tag.is_empty() && tag.bytes().all(|b| BASE32.contains(&b));
        (text.len() <= Self::BYTES_MAX && digits && letters).then(|| Self(text.to_owned()))
    }

    /// The row that this id names, unless it was imported from another gateway.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        self.0.split_once('-').and_then(|(seq, _)| seq.parse().ok()).map(Seq)
    }

    /// The number and the 96 random bits that the id was made of; `None` for text that [`Id::new`]
    /// never makes.
    #[must_use]
    pub fn parts(&self) -> Option<(Seq, [u8; 12])> {
        let (_, digits) = self.0.split_once('-').filter(|(_, digits)| digits.len() == 20)?;
        let value =
            |digit: u8| BASE32.iter().position(|known| *known == digit).map(|at| at as u128);
        let bits =
            digits.bytes().try_fold(0u128, |bits, digit| Some((bits << 5) | value(digit)?))? >> 4;
        let mut tag = [0; 12];
        for (to, from) in tag.iter_mut().zip(bits.to_be_bytes().into_iter().skip(4)) {
            *to = from;
        }
        self.seq().map(|seq| (seq, tag)).filter(|(seq, tag)| Self::new(*seq, *tag) == *self)
    }

    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a redemption stands. The numbers are what the database holds and never change their
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum State {
    /// Accepted; the provider has not answered about it.
    Pending = 0,
    /// The provider took it.
    Confirmed = 1,
    /// The provider refused it.
    Declined = 2,
    /// An answer that nobody can read by rule: a person decides.
    Parked = 3,
    /// Taken back before any attempt could have reached the provider, or closed by an operator with
    /// a note.
    Voided = 4,
}

impl State {
    /// Every state, in the order of the numbers.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Confirmed, Self::Declined, Self::Parked, Self::Voided];

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }

    /// The field's own word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Parked => "parked",
            Self::Voided => "voided",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// A code that a customer shows. Whoever reads it can spend it, so `Debug` and `Display` show its
/// end alone; the whole code is [`RewardCode::reveal`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RewardCode(String);

impl RewardCode {
    /// Wraps a code.
    #[must_use]
    pub fn new(code: String) -> Self {
        Self(code)
    }

    /// The whole code: for the store, the provider and the till that sent it, never for a log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The code as guards compare it.
    #[must_use]
    pub fn folded(&self) -> Cow<'_, str> {
        fold::code(&self.0)
    }

    /// The most characters of a code's end, or of its beginning, that are ever shown.
    pub const SHOWN_MAX: usize = 4;

    /// How many characters of the end of `code`, or of its beginning, are shown: at most
    /// [`Self::SHOWN_MAX`] and at most a quarter.
    #[must_use]
    pub fn shown_of(code: &str) -> usize {
        (code.chars().count() / 4).min(Self::SHOWN_MAX)
    }

    /// At most the last four characters and at most a quarter of the code, after three dots.
    #[must_use]
    pub fn masked(&self) -> String {
        let hidden = self.0.chars().count() - Self::shown_of(&self.0);
        let end: String = self.0.chars().skip(hidden).collect();
        format!("…{end}")
    }

    /// `text` with the code masked wherever it stands, whatever its case, its script's digits, and
    /// the spaces and dashes between: providers write codes in their own way.
    #[must_use]
    pub fn masked_in(&self, text: &str) -> String {
        let (there, wanted) = (letters(text), letters(self.reveal()));
        if wanted.is_empty() {
            // It is made of signs alone.
            let is_blank = fold::is_blank(self.reveal());
            return if is_blank {
                text.to_owned()
            } else {
                text.replace(self.reveal(), &self.masked())
            };
        }
        let (mut shown, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
        while let Some(part) = there.get(at..at + wanted.len()) {
            let is_the_code = part.iter().zip(&wanted).all(|((one, _), (other, _))| one == other);
            let (Some((_, first)), Some((_, last))) = (part.first(), part.last()) else { break };
            if is_the_code {
                shown.push_str(text.get(from..first.start).unwrap_or_default());
                shown.push_str(&self.masked());
                from = last.end;
            }
            at += if is_the_code { wanted.len() } else { 1 };
        }
        shown.push_str(text.get(from..).unwrap_or_default());
        shown
    }

    /// What codes of one series have in common: at most the first four characters and at most a
    /// quarter of the code.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.0.chars().take(Self::shown_of(&self.0)).collect()
    }
}

/// The letters and digits of `text`, folded, each with where it stands.
fn letters(text: &str) -> Vec<(char, Range<usize>)> {
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        let place = at..at + c.len_utf8();
        if c.is_ascii() {
            found.extend(c.is_ascii_alphanumeric().then(|| (c.to_ascii_lowercase(), place)));
        } else {
            let folded = fold::words(c.encode_utf8(&mut [0; 4]));
            let seen = folded.chars().filter(|c| c.is_alphanumeric());
            found.extend(seen.map(|c| (c, place.clone())));
        }
    }
    found
}

impl fmt::Debug for RewardCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for RewardCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// A token or another secret. `Debug` never shows it and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: to compare it or to send it, nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What a till asked for: the contract's five fields and the bytes to forward.
#[derive(Clone, Debug)]
pub struct Request {
    /// The code that the customer showed.
    pub reward_code: RewardCode,
    /// The merchant, in the contract's spelling.
    pub business_refrence: String,
    /// The branch; opaque.
    pub branch_id: String,
    /// The till's local time, as it came.
    pub date: String,
    /// Opaque, as it came.
    pub timestamp: String,
    /// What is forwarded: the till's bytes, but for the key `business_reference`.
    pub body: Bytes,
}

/// The longest name of a lane, in bytes.
pub const LANE_BYTES_MAX: usize = 64;

/// Whether a lane may be called `name`: it is a file's name in the state directory and a label in
/// the metrics.
#[must_use]
pub fn is_lane_name(name: &str) -> bool {
    let usual =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty()
        && name.len() <= LANE_BYTES_MAX
        && name.bytes().all(usual)
        && !name.starts_with('.')
}

/// 128 bits of SHA-256: names a request (its key) or what two redemptions would compete for (its
/// guard).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// The fingerprint of `parts`, each preceded by its length so that no two lists of parts are
    /// alike.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Self(short)
    }

    /// What makes a till's request its own: the five fields, code and business folded.
    #[must_use]
    pub fn of_request(request: &Request) -> Self {
        let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = request;
        let (code, business) = (fold::code(reward_code.reveal()), fold::code(business_refrence));
        Self::of(&["request", &code, &business, branch_id, date, timestamp])
    }

    /// As [`Fingerprint::of_request`], with code and business as they came: rows of earlier builds
    /// have it.
    #[must_use]
    pub fn of_request_as_written(request: &Request) -> Self {
        let Request { reward_code, business_refrence, branch_id, date, timestamp, .. } = request;
        Self::of(&["request", reward_code.reveal(), business_refrence, branch_id, date, timestamp])
    }

    /// What two redemptions compete for: the merchant's code, however either was written.
    #[must_use]
    pub fn of_guard(business_refrence: &str, code: &RewardCode) -> Self {
        Self::of(&["guard", &fold::code(business_refrence), &code.folded()])
    }
}

/// What a provider answered about a redemption, as it is relayed to a till and kept for its
/// repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type as it came, if any.
    pub content_type: Option<String>,
    /// The body, at most [`Answer::BODY_BYTES_MAX`] long.
    pub body: Bytes,
}

impl Answer {
    /// How much of a provider's body is read, kept and relayed.
    pub const BODY_BYTES_MAX: usize = 64 * 1024;

    /// The contract's plain success, `200 {}`.
    #[must_use]
    pub fn success() -> Self {
        let content_type = Some("application/json".to_owned());
        Self { status: 200, content_type, body: Bytes::from_static(b"{}") }
    }
}

/// A redemption as the store knows it, without its body.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each mark is a fact of its own, as in the table"
)]
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Its place in the store's order.
    pub seq: Seq,
    /// Its public name.
    pub id: Id,
    /// The provider's name.
    pub lane: String,
    /// The till that made it.
    pub till: String,
    /// The merchant.
    pub business_refrence: String,
    /// The code; masked wherever it is shown.
    pub reward_code: RewardCode,
    /// The branch.
    pub branch_id: String,
    /// The till's own local time.
    pub date: String,
    /// Where it stands.
    pub state: State,
    /// An attempt may be on the wire.
    pub in_flight: bool,
    /// An attempt that ended may have reached the provider.
    pub uncertain: bool,
    /// Confirmed because the provider said "already used" after an uncertain attempt.
    pub duplicate_of_ours: bool,
    /// The till was told no although the provider may have taken it.
    pub refused_at_till: bool,
    /// The till waited for the provider's answer and was told it: nothing was given on trust.
    pub answered_at_till: bool,
    /// A 2xx of ours left before the provider's verdict.
    pub trusted: bool,
    /// It was given on trust since an operator's hold said so.
    pub on_hold: bool,
    /// Confirmed after its till was told no: the next request for the code gets the success.
    pub owed: bool,
    /// What was owed was given.
    pub owed_paid: bool,
    /// It was given twice, and no till has heard of it: a person decides.
    pub in_vain: bool,
    /// A person has seen to it.
    pub handled: bool,
    /// Who that was, and the person's note.
    pub handled_by: Option<(String, String)>,
    /// A person freed its code.
    pub freed: bool,
    /// Declined after it was given on trust: a fact for life.
    pub lost: bool,
    /// One of the declines for which its lane was held.
    pub streak: bool,
    /// In doubt for a reason that our own attempts do not explain: a copied database, an import.
    pub in_doubt: bool,
    /// Voided because its till was told "ask again" before any byte left.
    pub turned_away: bool,
    /// Voided because its till took it back after it was given.
    pub taken_back: bool,
    /// Somebody has to look at it.
    pub waiting: bool,
    /// Its code may be redeemed again and again.
    pub reusable: bool,
    /// What it counts as, where it was given on trust.
    pub value: Option<Amount>,
    /// A setting said what it counts as, and no check.
    pub value_assumed: bool,
    /// The rule by which it was given on trust.
    pub rule: Option<String>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// Whether the lane was up when it was accepted.
    pub accepted_online: bool,
    /// When it was accepted, Unix milliseconds by this box's clock.
    pub accepted_at_ms: i64,
    /// The day of the reports in which that was.
    pub day: Day,
    /// Whether the clock could be trusted then.
    pub clock_trusted: bool,
    /// When it left `pending`, Unix milliseconds.
    pub settled_at_ms: Option<i64>,
    /// What the provider answered, when it answered about this redemption.
    pub answer: Option<Answer>,
    /// Why it is parked or what the operator noted.
    pub note: Option<Note>,
}

#[cfg(test)]
impl Redemption {
    /// One that was given on trust and has no other mark, for tests of what is shown.
    pub(crate) fn sample() -> Self {
        Self {
            seq: Seq(7),
            id: Id::new(Seq(7), [7; 12]),
            lane: "first".to_owned(),
            till: "till".to_owned(),
            business_refrence: "shop".to_owned(),
            reward_code: RewardCode::new("9876543210123456".to_owned()),
            branch_id: "7".to_owned(),
            date: "2026-11-23 14:03:11".to_owned(),
            state: State::Pending,
            in_flight: false,
            uncertain: false,
            duplicate_of_ours: false,
            refused_at_till: false,
            answered_at_till: false,
            trusted: true,
            on_hold: false,
            owed: false,
            owed_paid: false,
            in_vain: false,
            handled: false,
            handled_by: None,
            freed: false,
            lost: false,
            streak: false,
            in_doubt: false,
            turned_away: false,
            taken_back: false,
            waiting: false,
            reusable: false,
            value: None,
            value_assumed: false,
            rule: None,
            attempts: 1,
            accepted_online: true,
            accepted_at_ms: 0,
            day: Day::utc(0),
            clock_trusted: true,
            settled_at_ms: None,
            answer: None,
            note: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_what_it_was_made_of_and_other_text_gives_nothing() {
        for tag in [[0; 12], [255; 12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]] {
            assert_eq!(Id::new(Seq(42), tag).parts(), Some((Seq(42), tag)));
        }
        for text in [
            "42-0",
            "042-00000000000000000000",
            "42-00000000000000000001",
            "42-0000000000000000000000",
        ] {
            assert_eq!(Id::parse(text).unwrap().parts(), None, "{text}");
        }
    }

    #[test]
    fn beginning_and_end_of_a_code_leave_at_least_half_of_it_unsaid() {
        for (code, prefix, end) in
            [("5555666677771234", "5555", "…1234"), ("AB12CD34", "AB", "…34"), ("abc", "", "…")]
        {
            let code = RewardCode::new(code.to_owned());
            assert_eq!((code.prefix().as_str(), code.masked().as_str()), (prefix, end));
        }
    }

    #[test]
    fn one_code_written_otherwise_has_one_guard_and_another_code_another() {
        let code = |text: &str| RewardCode::new(text.to_owned());
        let guard = Fingerprint::of_guard("shop", &code("ab-12"));
        for (business, other) in
            [("SHOP", "AB-12"), (" shop\u{200f}", "ab\u{2011}١٢"), ("ｓｈｏｐ", "\u{feff}ab-１２ ")]
        {
            assert_eq!(Fingerprint::of_guard(business, &code(other)), guard, "{business} {other}");
        }
        for (business, other) in [("shop", "ab-13"), ("shop2", "ab-12"), ("shopa", "b-12")] {
            assert_ne!(Fingerprint::of_guard(business, &code(other)), guard, "{business} {other}");
        }
    }
}
