//! A row as the rules see it: every column but the body, and what its bits say.

use crate::clock::Day;
use crate::fold;
use crate::redemption::{Fingerprint, Id, Request, RewardCode, Seq, State};

/// One row of the table `redemption`, as plain values.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub seq: Seq,
    /// The random part of its id.
    pub tag: [u8; 12],
    /// Its number in the store that it was imported from.
    pub origin: Option<i64>,
    /// The number of its lane.
    pub lane: i64,
    /// The till that made it.
    pub till: String,
    /// What names the till's request.
    pub key: [u8; 16],
    /// The fingerprint of the five fields.
    pub request: [u8; 16],
    /// What the index of codes holds of its folded business and code.
    pub guard: i64,
    /// The merchant, as it came.
    pub business: String,
    /// The code, as it came.
    pub code: RewardCode,
    /// The branch.
    pub branch: String,
    /// The till's own local time, as it came.
    pub date: String,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: i64,
    /// Bits of [`kind`].
    pub kind: i64,
    /// CRC-32C of its body.
    pub body_crc: u32,
    /// CRC-32C of what never changes.
    pub crc: u32,
    /// Where it stands.
    pub state: State,
    /// An attempt may be on the wire.
    pub in_flight: bool,
    /// Bits of [`mark`].
    pub marks: i64,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When it left `pending`, Unix milliseconds.
    pub settled_ms: Option<i64>,
}

impl Row {
    /// Its public name.
    #[must_use]
    pub fn id(&self) -> Id {
        Id::new(self.origin.map_or(self.seq, Seq), self.tag)
    }

    /// Whether one of these bits of [`kind`] is set.
    #[must_use]
    pub fn is(&self, kind: i64) -> bool {
        self.kind & kind != 0
    }

    /// Whether one of these bits of [`mark`] is set.
    #[must_use]
    pub fn has(&self, mark: i64) -> bool {
        self.marks & mark != 0
    }

    /// Whether a 2xx of ours left for it before the provider's verdict. Rows of builds before the
    /// mark was kept are trusted unless their till was told the provider's answer or a refusal.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        is_trusted(self.kind, self.marks)
    }

    /// The row as a process finds it that began with the number `first`: what was pending before,
    /// and of which no till was told no, counts as given on trust. Its 2xx may have left a moment
    /// before the end. One that a person sends again after its till had heard the provider's
    /// refusal was told no. One that the provider alone could say yes to was never given on trust:
    /// its till heard nothing, and counts as told no.
    #[must_use]
    pub fn found_by(mut self, first: Seq) -> Self {
        if self.seq < first {
            self.marks = marks_found(self.state, self.kind, self.marks);
        }
        self
    }

    /// Whether no byte of it can have left: nothing was begun that was not withdrawn.
    #[must_use]
    pub fn is_untouched(&self, withdrawn: bool) -> bool {
        !self.has(mark::UNCERTAIN) && (withdrawn || !self.in_flight)
    }

    /// Whether some till was told no about it, and none has been given it yet: what the provider
    /// takes of it is owed, unless a till that asked again hears it.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.has(mark::REFUSED_AT_TILL | mark::ANSWERED) && !self.is_trusted()
    }

    /// Whether the next request for its code is given it. Of what is in vain a person decides.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.has(mark::OWED) && !self.has(mark::IN_VAIN)
    }

    /// Whether what the provider said last may be its till's last word. A row that is parked and
    /// may have been taken by an earlier attempt is refused for now alone.
    #[must_use]
    pub fn is_final_at_till(&self) -> bool {
        let facts = (self.has(mark::ANSWERED), self.attempts, self.has(mark::IN_DOUBT));
        self.state != State::Parked || is_final_where_parked(facts)
    }

    /// Whether the row is about this business and code in their folded form.
    #[must_use]
    pub fn competes_with(&self, business: &str, code: &RewardCode) -> bool {
        fold::code(&self.business) == fold::code(business)
            && fold::code(self.code.reveal()) == fold::code(code.reveal())
    }

    /// Whether business and code are these bytes.
    #[must_use]
    pub fn is_to_the_byte(&self, request: &Request) -> bool {
        self.business == request.business_refrence && self.code == request.reward_code
    }

    /// Whether the till asked with these five fields, folded or as rows of earlier builds have
    /// them.
    #[must_use]
    pub fn asks_the_same(&self, request: &Request) -> bool {
        self.request == Fingerprint::of_request(request).0
            || self.request == Fingerprint::of_request_as_written(request).0
    }

    /// The day of the reports in which it was accepted: the store's own as it was then, whatever
    /// the settings say since. Rows of earlier builds have none: theirs is that of UTC.
    #[must_use]
    pub fn day(&self) -> Day {
        day_of(self.kind, self.accepted_ms)
    }

    /// When it was settled on the gateway's elapsed time, in minutes; `None` where that was not
    /// kept.
    #[must_use]
    pub fn settled_min(&self) -> Option<i64> {
        mark::minute(self.marks)
    }
}

/// As [`Row::is_final_at_till`], of a parked row: whether its till has heard an answer, how many
/// attempts there were, and whether one of them may have taken the reward.
#[must_use]
pub fn is_final_where_parked((answered, attempts, in_doubt): (bool, u32, bool)) -> bool {
    answered || attempts <= 1 && !in_doubt
}

/// As [`Row::is_trusted`], of a row's bits alone.
#[must_use]
pub fn is_trusted(kind: i64, marks: i64) -> bool {
    if kind & kind::MARKED != 0 {
        marks & mark::TRUSTED != 0
    } else {
        marks & (mark::ANSWERED | mark::REFUSED_AT_TILL) == 0 && kind & kind::PROVIDER_ONLY == 0
    }
}

/// Whether a person has to look at a row of these bits: it is parked, or was declined or taken back
/// by its till after it had been given, or was confirmed by inference or owed, or given in vain;
/// and nobody has handled it.
#[must_use]
pub fn needs_a_person(state: State, kind: i64, marks: i64) -> bool {
    is_unhandled(state, is_trusted(kind, marks), marks)
}

/// Whether the value of a row is at risk: it was given on trust, and it is pending or needs a
/// person.
#[must_use]
pub fn is_at_risk(state: State, is_trusted: bool, marks: i64) -> bool {
    is_trusted && (state == State::Pending || is_unhandled(state, is_trusted, marks))
}

fn is_unhandled(state: State, is_trusted: bool, marks: i64) -> bool {
    let has = |mark: i64| marks & mark != 0;
    let is_open = match state {
        State::Declined => is_trusted || has(mark::LOST),
        State::Confirmed => {
            has(mark::DUPLICATE_OF_OURS | mark::IN_VAIN)
                || (has(mark::OWED) && !has(mark::OWED_PAID))
        }
        State::Parked => true,
        State::Voided => is_trusted && has(mark::TAKEN_BACK),
        State::Pending => false,
    };
    is_open && !has(mark::HANDLED)
}

/// The marks of a row that an earlier process left, as [`Row::found_by`] has them: of a row's bits
/// alone.
#[must_use]
pub fn marks_found(state: State, kind: i64, marks: i64) -> i64 {
    let told = marks & (mark::TRUSTED | mark::REFUSED_AT_TILL | mark::ANSWERED) != 0;
    if state != State::Pending || kind & kind::MARKED == 0 || told {
        return marks;
    }
    let is_given = kind & kind::PROVIDER_ONLY == 0;
    marks | if is_given { mark::TRUSTED } else { mark::REFUSED_AT_TILL }
}

/// As [`Row::day`], of a row's bits and time alone.
#[must_use]
pub fn day_of(kind: i64, accepted_ms: i64) -> Day {
    kind::day(kind).unwrap_or_else(|| Day::utc(accepted_ms))
}

/// Kind bits, fixed at acceptance.
pub mod kind {
    use crate::clock::Day;

    /// The clock was trusted.
    pub const TRUSTED: i64 = 1;
    /// The lane could be asked.
    pub const ONLINE: i64 = 2;
    /// The code is reusable: no single-use guard.
    pub const REUSABLE: i64 = 4;
    /// An earlier redemption holds the code while nobody can be asked: only the provider can say
    /// yes.
    pub const PROVIDER_ONLY: i64 = 8;
    /// Its till gave it no key: its key was made of the till and the five fields. It is not in the
    /// index of keys; its guard leads to it. Rows of schema version 1 do not say so.
    pub const KEYLESS: i64 = 16;
    /// Its marks say whether it is trusted. Rows of earlier builds do not.
    pub const MARKED: i64 = 32;
    /// Its till had taken the same code back a moment before: it may do so once.
    pub const TAKEN_AGAIN: i64 = 64;
    /// Every kind bit there is.
    pub const ALL: i64 = 127;

    /// Above the bits stands the day of the reports, plus one; zero where it was not kept.
    const DAY_AT: u32 = 16;

    /// The bits with this day.
    #[must_use]
    pub fn on_day(bits: i64, day: Day) -> i64 {
        (bits & ALL) | ((day.number() + 1) << DAY_AT)
    }

    /// The day beside the bits.
    #[must_use]
    pub fn day(kind: i64) -> Option<Day> {
        let day = kind >> DAY_AT;
        (day > 0).then(|| Day::new(day - 1))
    }
}

/// Mark bits, which change with the row.
pub mod mark {
    use crate::redemption::State;

    /// An attempt that ended may have reached the provider. It is never taken away.
    pub const UNCERTAIN: i64 = 1;
    /// Confirmed by an "already used" that our own attempt explains.
    pub const DUPLICATE_OF_OURS: i64 = 2;
    /// The till was told no although the provider may have taken it.
    pub const REFUSED_AT_TILL: i64 = 4;
    /// The clock was trusted when it was settled.
    pub const SETTLED_TRUSTED: i64 = 8;
    /// One of the declines for which its lane is held.
    pub const STREAK: i64 = 16;
    /// A till waited when the provider's answer came, and was told it.
    pub const ANSWERED: i64 = 32;
    /// A 2xx of ours left before the provider's verdict.
    pub const TRUSTED: i64 = 64;
    /// Refused by strong evidence.
    pub const STRONG: i64 = 128;
    /// Confirmed after its till was told no: the next request for the code gets the success.
    pub const OWED: i64 = 1 << 11;
    /// What was owed was given.
    pub const OWED_PAID: i64 = 1 << 12;
    /// A person has seen to it.
    pub const HANDLED: i64 = 1 << 13;
    /// A person freed its code.
    pub const FREED: i64 = 1 << 14;
    /// Declined after it was given on trust. A fact for life.
    pub const LOST: i64 = 1 << 15;
    /// In doubt for a reason that our own attempts do not explain: a copied database, an import, a
    /// void whose row was lost with a damaged database.
    pub const IN_DOUBT: i64 = 1 << 16;
    /// Voided because its till was told "ask again" before any byte left.
    pub const TURNED_AWAY: i64 = 1 << 17;
    /// What was owed was given at another till: its own till's repeat must not give it once more.
    pub const PAID_ELSEWHERE: i64 = 1 << 18;
    /// Its till took it back after it had been given.
    pub const TAKEN_BACK: i64 = 1 << 19;
    /// It was given on trust since an operator's hold said so.
    pub const ON_HOLD: i64 = 1 << 20;
    /// No till had heard of it when it was given, and it was owed once more.
    pub const UNHEARD: i64 = 1 << 21;
    /// No till had heard of it then either; or it was owed in a database of which this one is a
    /// copy, and may have been given since; or its row was lost with a damaged database, and it may
    /// have been owed. It is given to nobody any more, and a person decides.
    pub const IN_VAIN: i64 = 1 << 22;
    /// Refused for the form of its request, which says nothing of its code.
    pub const OF_THE_FORM: i64 = 1 << 23;
    /// Given after a wait since nobody could be asked: no byte of it had left. Its lane had counted
    /// as up when it came.
    pub const NOT_ASKED: i64 = 1 << 56;
    /// The provider said "already used" of its code, and that was no doing of its own. It stays
    /// where a person sends the row again.
    pub const SAID_USED: i64 = 1 << 57;
    /// Every mark there is.
    pub const ALL: i64 = 0xff | (0x1fff << 11) | NOT_ASKED | SAID_USED;

    /// Above the first marks the row's state stands a second time, inverted, since no checksum
    /// covers what changes: no one flipped bit makes one state another. Rows of builds before it
    /// have zero there, which says nothing.
    const SECOND: i64 = 7 << SECOND_AT;
    const SECOND_AT: u32 = 8;
    /// Above these marks stands the minute of settling on the gateway's elapsed time, plus one;
    /// zero where it was not kept. Above it is room for more.
    const MINUTE: i64 = MINUTE_MAX << MINUTE_AT;
    const MINUTE_AT: u32 = 24;
    const MINUTE_MAX: i64 = 0xffff_ffff;

    /// The marks, with the state beside them.
    #[must_use]
    pub fn beside(marks: i64, state: State) -> i64 {
        (marks & !SECOND) | ((7 - state as i64) << SECOND_AT)
    }

    /// The marks with this minute of settling.
    #[must_use]
    pub fn settled_at(marks: i64, minute: i64) -> i64 {
        let minute = minute.clamp(0, MINUTE_MAX - 1) + 1;
        (marks & !MINUTE) | (minute << MINUTE_AT)
    }

    /// The minute of settling.
    #[must_use]
    pub fn minute(marks: i64) -> Option<i64> {
        let minute = (marks & MINUTE) >> MINUTE_AT;
        (minute > 0).then(|| minute - 1)
    }

    /// Whether what stands beside the marks is this state, or nothing.
    #[must_use]
    pub fn agree(marks: i64, state: State) -> bool {
        marks & SECOND == 0 || marks == beside(marks, state)
    }

    /// The marks and the minute; `None` where bits are set that no mark has.
    #[must_use]
    pub fn alone(marks: i64) -> Option<i64> {
        Some(marks & !SECOND).filter(|marks| marks & !(ALL | MINUTE) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_state_and_minute_do_not_touch_each_other() {
        for state in State::ALL {
            let marks = mark::settled_at(mark::beside(mark::ALL, state), 123_456);
            assert!(mark::agree(marks, state));
            assert_eq!(mark::minute(marks), Some(123_456));
            assert_eq!(mark::alone(marks).map(|marks| marks & mark::ALL), Some(mark::ALL));
        }
        assert_eq!(mark::minute(mark::beside(mark::ALL, State::Confirmed)), None);
        assert_eq!(mark::alone(1 << 60), None);
    }

    #[test]
    fn a_person_is_needed_where_something_was_given_or_is_owed_and_nobody_has_seen_to_it() {
        let of = |state, marks| needs_a_person(state, kind::MARKED, marks);
        for marks in [mark::TRUSTED, mark::LOST] {
            assert!(of(State::Declined, marks) && !of(State::Declined, marks | mark::HANDLED));
        }
        assert!(!of(State::Declined, 0), "nobody had heard of it, and nothing was given");
        assert!(needs_a_person(State::Declined, 0, 0), "before there was a mark of trust");
        assert!(of(State::Parked, 0) && !of(State::Parked, mark::HANDLED));
        assert!(of(State::Confirmed, mark::DUPLICATE_OF_OURS) && of(State::Confirmed, mark::OWED));
        assert!(!of(State::Confirmed, mark::OWED | mark::OWED_PAID));
        assert!(!of(State::Confirmed, mark::OWED_PAID | mark::UNHEARD));
        assert!(of(State::Confirmed, mark::OWED_PAID | mark::UNHEARD | mark::IN_VAIN));
        assert!(!of(State::Pending, mark::TRUSTED) && !of(State::Voided, mark::TRUSTED));
        let taken_back = mark::TRUSTED | mark::TAKEN_BACK;
        assert!(of(State::Voided, taken_back) && !of(State::Voided, taken_back | mark::HANDLED));
        assert!(!of(State::Voided, mark::TAKEN_BACK), "nobody had been told yes");
    }

    #[test]
    fn what_is_at_risk_and_not_pending_waits_for_a_person() {
        let marks = (0..24).map(|bit| 1 << bit).chain([0, mark::OWED | mark::OWED_PAID]);
        for (state, marks) in
            State::ALL.into_iter().flat_map(|s| marks.clone().map(move |m| (s, m)))
        {
            for marks in [marks, marks | mark::HANDLED] {
                let [given, not] = [true, false].map(|given| is_at_risk(state, given, marks));
                let waits = needs_a_person(state, kind::MARKED, marks | mark::TRUSTED);
                assert_eq!(given, waits || state == State::Pending, "{state} {marks}");
                assert!(!not, "{state} {marks}: nothing was given");
            }
        }
    }

    #[test]
    fn the_day_stands_beside_the_kind_and_is_none_of_its_bits() {
        for number in [0, 1, 20_758, 2_932_896] {
            let all = kind::on_day(kind::ALL, Day::new(number));
            assert_eq!((all & kind::ALL, kind::day(all)), (kind::ALL, Some(Day::new(number))));
        }
        assert_eq!(kind::day(kind::ALL), None);
    }

    #[test]
    fn a_minute_beyond_its_bits_is_the_last_and_one_before_time_the_first() {
        assert_eq!(mark::minute(mark::settled_at(0, i64::MAX)), Some(0xffff_fffe));
        assert_eq!(mark::minute(mark::settled_at(0, i64::MIN)), Some(0));
    }
}
