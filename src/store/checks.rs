//! What the provider said to tills' checks, remembered for when nobody can be asked.
//!
//! An answer may name the customer. It is kept for `[offline] remember_checks`, goes back to a till
//! that asks for the code, and nowhere else: no listing, export or backup reads this table.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::held::KEPT_REFUSED;
use super::types::UsedBy;
use super::{AfterCommit, Desk, Operation, OperationKind, StoreError, row};
use crate::clock::signed_ms;
use crate::contract;
use crate::decide::{self, Asking, CodeRules, Guard, Kept};
use crate::limits::LaneNow;
use crate::redemption::{Answer, Fingerprint, Redemption, Request, RewardCode, State};
use crate::value::{Checked, Remembered};

/// A longer answer is passed on and not remembered, bytes of its body.
pub const CHECK_BYTES_MAX: usize = 4096;
/// How many remembered checks one operation forgets at most: tills come first.
const FORGOTTEN_MAX: usize = 200;
/// How many codes the checks of one till hold beyond their memory in an hour: whoever guesses codes
/// all day fills no disk.
const HELD_IN_AN_HOUR_MAX: i64 = 120;
/// What a crash may have forgotten of the elapsed time; what lies further ahead is damaged.
const AHEAD_MS_MAX: i64 = 60_000;
const JSON: &str = "application/json";

/// The two rows that can speak of a code: of these bytes, and of its refusal.
const LOOK: &str = "SELECT exact, bytes, at_s, status, content_type, body FROM checked WHERE guard \
    = ?1 AND +exact IN (0, ?2)";
/// The oldest of a till's, refusals last.
const OLDEST: &str =
    "SELECT guard, exact FROM checked WHERE till = ?1 ORDER BY refused, at_s LIMIT 1";
/// The newest that found a code good: one look in the index for each till.
const NEWEST: &str = "SELECT max((SELECT max(at_s) FROM checked WHERE till = check_share.till AND \
    refused = 0)) FROM check_share WHERE kept > 0";
/// What of a till's is older than a moment.
const OVERDUE: &str =
    "SELECT guard, exact FROM checked WHERE till = ?1 AND refused = ?2 AND at_s < ?3 LIMIT ?4";

/// A till's Check Reward.
#[derive(Clone, Debug)]
pub struct CheckAsked {
    /// The till.
    pub till: String,
    /// Its lane.
    pub lane: String,
    /// The merchant.
    pub business: String,
    /// The code.
    pub code: RewardCode,
    /// What the settings say about the code.
    pub rules: CodeRules,
    /// The provider was asked and has not answered: nobody can be, whatever the lane says.
    pub in_vain: bool,
}

/// What this store knows about a code that a till checks.
#[derive(Clone, Debug, Default)]
pub struct CheckKnown {
    /// What holds the code.
    pub held: Option<CheckHeld>,
    /// What the provider said of it.
    pub remembered: Option<CheckAnswer>,
    /// The lane at that moment.
    pub lane: LaneNow,
    /// That moment on the gateway's elapsed time, milliseconds.
    pub at_ms: i64,
    /// Too many codes were refused to the till: its answers are slowed.
    pub is_slowed: bool,
}

/// Why a check is answered here, whatever the provider would say.
#[derive(Clone, Debug)]
pub enum CheckHeld {
    /// By this redemption.
    Used(UsedBy),
    /// By one that is not there any more, or whose words are not.
    Gone(Kept),
    /// The provider refused it, in these words.
    Refused(Answer),
    /// The same till's redemption of it is on its way, and nobody knows yet.
    BeingAsked,
    /// It is owed to whoever asks next: good, although the provider has taken it.
    Owed,
}

/// A remembered check's answer.
#[derive(Clone, Debug)]
pub struct CheckAnswer {
    /// As it came. Holds what the provider says about the customer.
    pub answer: Answer,
    /// How old it is at most, seconds of the gateway's elapsed time.
    pub age_s: u64,
    /// It refuses the code.
    pub is_refusal: bool,
    /// The elapsed time that it counts from, seconds.
    at_s: i64,
}

/// What the provider answered to a check.
#[derive(Clone, Debug)]
pub struct CheckAnswered {
    /// What was asked.
    pub asked: CheckAsked,
    /// The answer.
    pub answer: Answer,
    /// What it means.
    pub said: CheckSaid,
    /// When it was asked, on the gateway's elapsed time, milliseconds; `None`: nobody knows, and it
    /// counts as asked now.
    pub asked_ms: Option<i64>,
}

/// What an answer to a check means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckSaid {
    /// The code is good.
    Good,
    /// As good, and without a word about the code: it takes no refusal back.
    Bare,
    /// It is not, by strong evidence.
    Refused,
    /// A success that says that it failed: no valid check, and no refusal that could be relied on.
    Neither,
}

/// What a remembered check is found by.
#[derive(Clone, Copy)]
struct CheckNames {
    guard: [u8; 16],
    bytes: i64,
}

/// A refusal in the table.
struct RefusedCheck {
    /// Which bytes were refused.
    bytes: i64,
    at_s: i64,
}

/// A row of the table.
struct FoundCheck {
    exact: i64,
    bytes: i64,
    at_s: i64,
    answer: Answer,
}

impl Operation for CheckAsked {
    type Output = CheckKnown;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<CheckKnown, StoreError> {
        desk.look_up_check(self)
    }
}

impl Operation for CheckAnswered {
    /// How many checks are remembered.
    type Output = u64;
    const KIND: OperationKind = OperationKind::New;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<u64, StoreError> {
        desk.remember_check(self)
    }

    fn after(&self, kept: &mut u64, effects: &mut dyn AfterCommit) {
        effects.checks_kept(*kept);
    }
}

/// Remembered checks leave after their time, a few at once.
#[derive(Clone, Copy, Debug)]
pub struct ForgetChecks;

impl Operation for ForgetChecks {
    /// How many left, and how many are remembered.
    type Output = (usize, u64);

    fn perform(&self, desk: &mut Desk<'_>) -> Result<(usize, u64), StoreError> {
        desk.forget_checks()
    }

    fn after(&self, (_, kept): &mut (usize, u64), effects: &mut dyn AfterCommit) {
        effects.checks_kept(*kept);
    }
}

/// It is learnt of which codes checks are remembered, some at once, so that others are not looked
/// for in the table.
#[derive(Clone, Copy, Debug)]
pub struct LearnChecks;

impl Operation for LearnChecks {
    /// There are more.
    type Output = bool;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<bool, StoreError> {
        if desk.books.keeps_checks { desk.checks.read_on(desk.sql) } else { Ok(false) }
    }
}

impl CheckNames {
    fn of(lane: i64, business: &str, code: &RewardCode) -> Self {
        Self { guard: Self::guard_of(lane, business, code), bytes: Self::bytes_of(business, code) }
    }

    fn guard_of(lane: i64, business: &str, code: &RewardCode) -> [u8; 16] {
        let (lane, business) = (lane.to_string(), crate::fold::code(business));
        Fingerprint::of(&["checked", &lane, &business, &code.folded()]).0
    }

    fn bytes_of(business: &str, code: &RewardCode) -> i64 {
        let exact = row::halves(Fingerprint::of(&["checked bytes", business, code.reveal()]).0).0;
        // Zero is the refusals' place.
        exact.max(i64::MIN + 1).abs().max(1)
    }
}

impl FoundCheck {
    fn is_refusal(&self) -> bool {
        self.exact == 0
    }

    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let content_type: Option<String> = row.get(4)?;
        let content_type = content_type.unwrap_or_else(|| JSON.to_owned());
        let body: Vec<u8> = row.get(5)?;
        let answer = Answer {
            status: row.get(3)?,
            content_type: Some(content_type).filter(|text| !text.is_empty()),
            body: Bytes::from(body),
        };
        Ok(Self { exact: row.get(0)?, bytes: row.get(1)?, at_s: row.get(2)?, answer })
    }
}

/// More than any till's share can be: a damaged number must not overflow.
const SHARE_MAX: i64 = 1_000_000_000;

/// How many checks are remembered.
pub(super) fn count(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(max(0, min(kept, ?1))), 0) FROM check_share";
    Ok(connection.prepare_cached(sql)?.query_row([SHARE_MAX], |row| row.get(0))?)
}

/// Whether any is remembered.
pub(super) fn has_any(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM checked)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// What a copy of the database that leaves the gateway must not hold.
pub(super) const LEFT_OUT_OF_COPIES: &str =
    "PRAGMA secure_delete = on; DELETE FROM checked; DELETE FROM check_share;";

impl Desk<'_> {
    /// What is known of a code that a till checks.
    fn look_up_check(&mut self, asked: &CheckAsked) -> Result<CheckKnown, StoreError> {
        let lane = (self.around.lane)(&asked.lane);
        let number = self.books.lane(self.sql, &asked.lane)?;
        let can_ask = lane.ask && !asked.in_vain;
        let held = self.held_from_check(asked, number, can_ask)?;
        let remembered = match held {
            None if !can_ask => {
                self.remembered_check(number, &asked.business, &asked.code, asked.rules.exact)?
            }
            _ => None,
        };
        let (at_ms, is_slowed) = (self.around.elapsed.now_ms(), self.is_slowed(&asked.till));
        Ok(CheckKnown { held, remembered, lane, at_ms, is_slowed })
    }

    fn held_from_check(
        &self,
        asked: &CheckAsked,
        lane: i64,
        can_ask: bool,
    ) -> Result<Option<CheckHeld>, StoreError> {
        if asked.rules.reusable {
            return Ok(None);
        }
        let request = as_request(asked);
        let guard = row::guard_of(&asked.business, &asked.code);
        let (exact, now_min) = (asked.rules.exact, self.around.elapsed_min());
        let names = (asked.business.as_str(), &asked.code);
        let rivals = self.rivals(guard, names, exact)?;
        let rivals = if can_ask { rivals } else { self.with_elsewhere(rivals, lane, names)? };
        let asking = Asking { till: &asked.till, request: &request, can_ask, exact, now_min };
        Ok(match decide::guard(rivals.earlier(), asking) {
            Guard::Free | Guard::ProviderOnly => None,
            Guard::Used(row) if is_being_asked(&row, asked) => Some(CheckHeld::BeingAsked),
            Guard::Used(row) => Some(CheckHeld::Used(self.used_by(&row)?)),
            Guard::Refused(row) => Some(in_words(self.shown_of(&row)?)),
            Guard::Gone(kept) => Some(self.gone(kept, lane, asked)?),
            Guard::Owed(_) => Some(CheckHeld::Owed),
        })
    }

    /// A refusal that is remembered goes on in its own words.
    fn gone(&self, kept: Kept, lane: i64, asked: &CheckAsked) -> Result<CheckHeld, StoreError> {
        let names = (asked.business.as_str(), &asked.code);
        let words = self.words_of_gone(kept, lane, names, asked.rules.exact)?;
        Ok(words.map_or(CheckHeld::Gone(kept), CheckHeld::Refused))
    }

    /// The provider's refusal of a code, as a check heard it.
    pub(super) fn refusal_remembered(
        &self,
        lane: i64,
        (business, code): (&str, &RewardCode),
        exact: bool,
    ) -> Result<Option<Answer>, StoreError> {
        let remembered = self.remembered_check(lane, business, code, exact)?;
        Ok(remembered.filter(|check| check.is_refusal).map(|check| check.answer))
    }

    /// What a check said of a code, if it is remembered. A good one counts for its own bytes alone,
    /// a refusal for all codes that fold alike unless they are told apart: `exact`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(super) fn remembered(
        &self,
        lane: i64,
        business: &str,
        code: &RewardCode,
        exact: bool,
    ) -> Result<Option<Remembered>, StoreError> {
        let check = self.remembered_check(lane, business, code, exact)?;
        Ok(check.map(|check| {
            let checked = if check.is_refusal {
                Checked::Refused { strong: true, message: contract::words(&check.answer.body) }
            } else {
                Checked::Valid(contract::terms(&check.answer.body))
            };
            Remembered { checked, at_s: check.at_s }
        }))
    }

    fn remembered_check(
        &self,
        lane: i64,
        business: &str,
        code: &RewardCode,
        exact: bool,
    ) -> Result<Option<CheckAnswer>, StoreError> {
        if !self.books.has_checks {
            return Ok(None);
        }
        let guard = CheckNames::guard_of(lane, business, code);
        if !self.checks.may_have(guard) {
            return Ok(None);
        }
        let bytes = CheckNames::bytes_of(business, code);
        let mut statement = self.sql.prepare_cached(LOOK)?;
        let found = statement
            .query_map((guard, bytes), FoundCheck::from_row)?
            .collect::<Result<Vec<_>, _>>()?;
        let fits = |found: &&FoundCheck| !found.is_refusal() || !exact || found.bytes == bytes;
        // The refusal's row comes first.
        Ok(found.iter().find(fits).and_then(|found| self.fresh(found)))
    }

    /// A row that is not too old to be told.
    fn fresh(&self, found: &FoundCheck) -> Option<CheckAnswer> {
        let (now_ms, at_ms) = (self.around.elapsed.now_ms(), found.at_s.saturating_mul(1000));
        let is_kept = self.around.offline.remember_checks_max > 0;
        if !is_kept || at_ms > now_ms.saturating_add(AHEAD_MS_MAX) {
            return None;
        }
        let age_ms = now_ms.saturating_sub(at_ms).max(0);
        let max_ms = signed_ms(self.around.offline.remember_checks);
        (age_ms < max_ms).then(|| CheckAnswer {
            answer: found.answer.clone(),
            age_s: u64::try_from(age_ms / 1000).unwrap_or(0),
            is_refusal: found.is_refusal(),
            at_s: now_ms.saturating_sub(age_ms).div_euclid(1000),
        })
    }

    /// How old the newest check is that found a code good and is remembered.
    pub(super) fn newest_check(&self) -> Result<Option<Duration>, StoreError> {
        if !self.books.has_checks || self.around.offline.remember_checks_max == 0 {
            return Ok(None);
        }
        let newest_s: Option<i64> =
            self.sql.prepare_cached(NEWEST)?.query_row([], |row| row.get(0))?;
        let age_s = newest_s.map(|at_s| (self.around.elapsed.now_ms() / 1000).saturating_sub(at_s));
        let age = age_s.map(|age_s| Duration::from_secs(u64::try_from(age_s).unwrap_or(0)));
        Ok(age.filter(|age| *age < self.around.offline.remember_checks))
    }

    /// Remembers what the provider said, and what holds the code because of it.
    fn remember_check(&mut self, check: &CheckAnswered) -> Result<u64, StoreError> {
        if check.said == CheckSaid::Refused && !self.has_redeemed(&check.asked)? {
            self.refused((&check.asked.lane, &check.asked.till), &check.asked.code)?;
        }
        if !self.books.keeps_checks {
            return Ok(0);
        }
        self.has_ages = true;
        self.overwriting(|desk| desk.write_check(check))
    }

    /// Whether the till has redeemed the code itself: one that it checks afterwards is used by its
    /// own doing, and no guess.
    fn has_redeemed(&self, asked: &CheckAsked) -> Result<bool, StoreError> {
        let guard = row::guard_of(&asked.business, &asked.code);
        let names = (asked.business.as_str(), &asked.code);
        let rivals = self.rivals(guard, names, asked.rules.exact)?;
        Ok(rivals.rows.iter().any(|row| row.till == asked.till))
    }

    /// What is deleted meanwhile is overwritten: an answer may name a customer.
    fn overwriting<T>(
        &mut self,
        delete: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.sql.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
        let done = delete(self);
        self.sql.pragma_update_and_check(None, "secure_delete", false, |_| Ok(()))?;
        done
    }

    fn write_check(&mut self, check: &CheckAnswered) -> Result<u64, StoreError> {
        let CheckAsked { lane, business, code, rules, .. } = &check.asked;
        let lane = self.books.lane(self.sql, lane)?;
        let names = CheckNames::of(lane, business, code);
        match check.said {
            CheckSaid::Good => self.write_good(check, names)?,
            CheckSaid::Refused => {
                self.forget_check(names.guard, names.bytes)?;
                self.put(check, names, 0)?;
                if !rules.reusable && self.may_hold(&check.asked.till)? {
                    self.hold_code(business, code, KEPT_REFUSED)?;
                    self.books.ledger.name(self.sql, (lane, business))?;
                }
            }
            CheckSaid::Bare => {
                if self.refused_check(names)?.is_none() {
                    self.put(check, names, names.bytes)?;
                }
            }
            CheckSaid::Neither => self.forget_check(names.guard, names.bytes)?,
        }
        self.make_room(&check.asked.till)
    }

    /// A good word takes back what was refused of its bytes, but no refusal that was asked for
    /// after it: the provider has changed its mind since, and that answer was quicker.
    fn write_good(&mut self, check: &CheckAnswered, names: CheckNames) -> Result<(), StoreError> {
        let CheckAsked { business, code, rules, .. } = &check.asked;
        let asked_ms = self.asked_ms(check);
        match self.refused_check(names)? {
            Some(refused) if refused.bytes != names.bytes => {}
            Some(refused) if refused.at_s > asked_ms.div_euclid(1000) => return Ok(()),
            Some(_) | None => {
                self.forget_check(names.guard, 0)?;
                self.let_go((business, code), rules.exact, asked_ms.div_euclid(60_000))?;
            }
        }
        self.put(check, names, names.bytes)
    }

    /// When it was asked on the gateway's elapsed time.
    fn asked_ms(&self, check: &CheckAnswered) -> i64 {
        let now_ms = self.around.elapsed.now_ms();
        check.asked_ms.map_or(now_ms, |asked_ms| asked_ms.min(now_ms))
    }

    /// What a check heard against the code holds it no more.
    pub(super) fn forget_checks_refusal(
        &mut self,
        lane: i64,
        (business, code): (&str, &RewardCode),
    ) -> Result<(), StoreError> {
        let exact = self.around.offline.tells_apart(self.books.name(lane));
        let names = CheckNames::of(lane, business, code);
        self.let_go((business, code), exact, i64::MAX)?;
        let is_its = |refused: RefusedCheck| !exact || refused.bytes == names.bytes;
        if self.books.keeps_checks && self.refused_check(names)?.is_some_and(is_its) {
            self.overwriting(|desk| desk.forget_check(names.guard, 0))?;
        }
        Ok(())
    }

    /// What was refused, of those that fold alike.
    fn refused_check(&self, names: CheckNames) -> Result<Option<RefusedCheck>, StoreError> {
        let sql = "SELECT bytes, at_s FROM checked WHERE guard = ?1 AND exact = 0";
        let read =
            |row: &rusqlite::Row<'_>| Ok(RefusedCheck { bytes: row.get(0)?, at_s: row.get(1)? });
        Ok(self.sql.prepare_cached(sql)?.query_row([names.guard], read).optional()?)
    }

    fn put(
        &mut self,
        check: &CheckAnswered,
        names: CheckNames,
        exact: i64,
    ) -> Result<(), StoreError> {
        let Answer { status, content_type, body } = &check.answer;
        self.forget_check(names.guard, exact)?;
        let max = self.around.offline.remember_checks_max;
        if body.len() > CHECK_BYTES_MAX || max == 0 || self.around.offline.remember_checks.is_zero()
        {
            return Ok(());
        }
        let content_type = content_type.as_deref().unwrap_or_default();
        let content_type = Some(content_type).filter(|text| *text != JSON);
        let (refused, at_s, till) =
            (exact == 0, self.asked_ms(check).div_euclid(1000), &check.asked.till);
        let sql = "INSERT INTO checked VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values =
            (names.guard, exact, names.bytes, refused, till, at_s, status, content_type, &**body);
        self.sql.prepare_cached(sql)?.execute(values)?;
        self.books.has_checks = true;
        self.checks.enter(names.guard);
        self.share(till, 1)
    }

    fn share(&self, till: &str, more: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO check_share VALUES (?1, max(0, ?2), 0, 0) ON CONFLICT (till) DO \
            UPDATE SET \
             kept = max(0, min(kept, ?3) + ?2)";
        self.sql.prepare_cached(sql)?.execute((till, more, SHARE_MAX))?;
        Ok(())
    }

    fn forget_check(&self, guard: [u8; 16], exact: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM checked WHERE guard = ?1 AND exact = ?2 RETURNING till";
        let till: Option<String> =
            self.sql.prepare_cached(sql)?.query_row((guard, exact), |row| row.get(0)).optional()?;
        till.map_or(Ok(()), |till| self.share(&till, -1))
    }

    /// Whether one more code may be held by a till's check in this hour.
    fn may_hold(&self, till: &str) -> Result<bool, StoreError> {
        let hour = self.around.elapsed.on_min().div_euclid(60);
        self.share(till, 0)?;
        let sql = "UPDATE check_share SET held = iif(hour = ?2, held, 0) + 1, hour = ?2 WHERE till \
            = ?1 \
             AND (hour <> ?2 OR held < ?3)";
        Ok(self.sql.prepare_cached(sql)?.execute((till, hour, HELD_IN_AN_HOUR_MAX))? == 1)
    }

    /// Where there are too many, the till that has the most gives way, `own` before others: a till
    /// that floods forgets its own. How many there are.
    fn make_room(&self, own: &str) -> Result<u64, StoreError> {
        let mut kept = count(self.sql)?;
        for _ in 0..FORGOTTEN_MAX {
            if kept <= self.around.offline.remember_checks_max {
                break;
            }
            let sql = "SELECT till FROM check_share ORDER BY kept DESC, till <> ?1 LIMIT 1";
            let till: String = self.sql.prepare_cached(sql)?.query_row([own], |row| row.get(0))?;
            let oldest = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            match self.sql.prepare_cached(OLDEST)?.query_row([&till], oldest).optional()? {
                Some((guard, exact)) => self.forget_check(guard, exact)?,
                // Its share was counted wrong.
                None => self.share(&till, -SHARE_MAX)?,
            }
            kept = count(self.sql)?;
        }
        Ok(kept)
    }

    /// Forgets some of what is too old or too many. How many left, and how many are left.
    fn forget_checks(&mut self) -> Result<(usize, u64), StoreError> {
        if !self.books.keeps_checks {
            return Ok((0, 0));
        }
        let before = count(self.sql)?;
        let kept = self.overwriting(Self::forget_some)?;
        self.books.has_checks = has_any(self.sql)?;
        Ok((usize::try_from(before.saturating_sub(kept)).unwrap_or(usize::MAX), kept))
    }

    fn forget_some(&mut self) -> Result<u64, StoreError> {
        for (guard, exact) in self.overdue()? {
            self.forget_check(guard, exact)?;
        }
        let sql = "DELETE FROM check_share WHERE kept = 0 AND hour < ?1";
        self.sql.prepare_cached(sql)?.execute([self.around.elapsed.on_min().div_euclid(60)])?;
        self.make_room("")
    }

    fn overdue(&self) -> Result<Vec<([u8; 16], i64)>, StoreError> {
        let remembered_s =
            i64::try_from(self.around.offline.remember_checks.as_secs()).unwrap_or(i64::MAX);
        let before_s = self.around.elapsed.now_ms().div_euclid(1000).saturating_sub(remembered_s);
        let mut statement =
            self.sql.prepare_cached("SELECT till FROM check_share WHERE kept > 0")?;
        let tills: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut overdue = Vec::new();
        for (till, refused) in tills.iter().flat_map(|till| [(till, false), (till, true)]) {
            let left = i64::try_from(FORGOTTEN_MAX.saturating_sub(overdue.len())).unwrap_or(0);
            let mut statement = self.sql.prepare_cached(OVERDUE)?;
            let rows = statement
                .query_map((till, refused, before_s, left), |row| Ok((row.get(0)?, row.get(1)?)))?;
            overdue.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(overdue)
    }
}

/// A check as the guard reads a request: it names no branch and no time.
fn as_request(asked: &CheckAsked) -> Request {
    Request {
        reward_code: asked.code.clone(),
        business_refrence: asked.business.clone(),
        branch_id: String::new(),
        date: String::new(),
        timestamp: String::new(),
        body: Bytes::new(),
    }
}

/// What becomes of the till's own redemption is not known yet, and "has been used" would be a
/// guess.
fn is_being_asked(row: &decide::Row, asked: &CheckAsked) -> bool {
    let is_its_own =
        row.till == asked.till && row.business == asked.business && row.code == asked.code;
    row.state == State::Pending && !row.is_trusted() && is_its_own
}

fn in_words(row: Redemption) -> CheckHeld {
    row.answer.map_or(CheckHeld::Gone(Kept::Refused), CheckHeld::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::settings::Offline;
    use crate::store::{Accept, AskStanding, Decision, NewRedemption, Store, Surroundings, schema};
    use crate::value::{Amount, Terms};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A store whose clocks the test moves.
    struct World {
        dir: tempfile::TempDir,
        store: Option<Store>,
        offline: Offline,
        uptime: Duration,
        wall_ms: i64,
        can_ask: bool,
    }

    const GOOD: &str = r#"{"data":{"type":"discount","discount_amount":"12.50","customer_number":"+966500000041"}}"#;
    const NO: &str =
        r#"{"data":[],"message":"Reward has expired","errors":["Reward has expired"]}"#;

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Some(Store::open(dir.path()).unwrap().0);
            let (offline, wall_ms) = (Offline::default(), 1_800_000_000_000);
            Self { dir, store, offline, uptime: Duration::ZERO, wall_ms, can_ask: false }
        }

        fn run<O: Operation>(&mut self, ops: impl IntoIterator<Item = O>) -> Vec<O::Output> {
            let (can_ask, offline) = (self.can_ask, self.offline.clone());
            let lane = move |_: &str| if can_ask { LaneNow::default() } else { LaneNow::down() };
            let stamp = Stamp { unix_ms: self.wall_ms, trusted: true };
            let around =
                Surroundings { uptime: self.uptime, ..Surroundings::new(stamp, &offline, &lane) };
            let done = self.store.as_mut().unwrap().perform_all(ops, &around);
            done.into_iter().map(|done| done.unwrap()).collect()
        }

        fn pass(&mut self, time: Duration) {
            self.uptime += time;
            self.wall_ms += i64::try_from(time.as_millis()).unwrap();
            // The writer looks at the clock with each transaction.
            self.run::<ForgetChecks>([]);
        }

        /// A new process; the machine was off for so long.
        fn restart(&mut self, off: Duration, in_order: bool) {
            let store = self.store.take().unwrap();
            if in_order {
                store.close().unwrap();
            } else {
                drop(store);
            }
            self.uptime = Duration::ZERO;
            self.wall_ms += i64::try_from(off.as_millis()).unwrap();
            self.store = Some(Store::open(self.dir.path()).unwrap().0);
        }

        fn hear(&mut self, till: &str, code: &str, said: CheckSaid) {
            self.run([heard(till, code, said)]);
        }

        fn look(&mut self, till: &str, code: &str) -> CheckKnown {
            self.run([asked(till, code)]).remove(0)
        }

        /// The code is redeemed and given on trust.
        fn redeem(&mut self, code: &str, timestamp: u64) {
            let request =
                Request { timestamp: timestamp.to_string(), ..as_request(&asked("till-1", code)) };
            let new = NewRedemption {
                till: "till-1".to_owned(),
                key: None,
                lane: "retm".to_owned(),
                request: Request { date: "2027-01-15 10:00:00".to_owned(), ..request },
            };
            let decided = self.run([Accept::once(new)]).remove(0);
            assert!(matches!(decided.decision, Decision::Taken(_)), "{decided:?}");
        }

        /// Closes the database, in which no customer is named any more.
        fn names_no_customer(mut self) {
            let path = self.store.as_ref().unwrap().path();
            self.store.take().unwrap().close().unwrap();
            let bytes = std::fs::read(path).unwrap();
            assert!(!bytes.windows(13).any(|window| window == b"+966500000041"));
        }

        /// It is known of which codes no check is remembered.
        fn until_all_is_in_memory(&mut self) {
            let has_all = (0..100_000).any(|_| self.run([LearnChecks]) == [false]);
            assert!(has_all && self.store.as_ref().unwrap().checks.is_whole());
        }

        /// How many steps SQLite's machine takes for it.
        fn steps_of(&mut self, done: impl FnOnce(&mut Self)) -> u64 {
            let counter = Arc::new(AtomicU64::new(0));
            let counts = Arc::clone(&counter);
            let each = move || counts.fetch_add(1, Ordering::Relaxed) == u64::MAX;
            self.store.as_mut().unwrap().connection.progress_handler(1, Some(each)).unwrap();
            done(self);
            let nobody = None::<fn() -> bool>;
            self.store.as_mut().unwrap().connection.progress_handler(0, nobody).unwrap();
            counter.load(Ordering::Relaxed)
        }

        /// Whether the code is remembered as good or as refused, and how old that is.
        fn recalls(&mut self, code: &str) -> Option<(bool, u64)> {
            self.look("till-1", code).remembered.map(|check| (!check.is_refusal, check.age_s))
        }
    }

    fn asked(till: &str, code: &str) -> CheckAsked {
        CheckAsked {
            till: till.to_owned(),
            lane: "retm".to_owned(),
            business: "shop".to_owned(),
            code: RewardCode::new(code.to_owned()),
            rules: CodeRules::default(),
            in_vain: false,
        }
    }

    /// As [`heard`], where codes that fold alike are told apart.
    fn heard_exactly(code: &str, said: CheckSaid) -> CheckAnswered {
        let mut heard = heard("till-1", code, said);
        heard.asked.rules.exact = true;
        heard
    }

    fn heard(till: &str, code: &str, said: CheckSaid) -> CheckAnswered {
        let (status, body) = if said == CheckSaid::Refused { (400, NO) } else { (200, GOOD) };
        let answer = Answer {
            status,
            content_type: Some(JSON.to_owned()),
            body: Bytes::from_static(body.as_bytes()),
        };
        CheckAnswered { asked: asked(till, code), answer, said, asked_ms: None }
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_good_code_is_remembered_by_its_bytes_and_a_refusal_for_all_that_fold_alike() {
        let mut world = World::new();
        world.hear("till-1", "AB-12", CheckSaid::Good);
        world.pass(seconds(61));
        assert_eq!(world.recalls("AB-12"), Some((true, 61)));
        assert_eq!(world.recalls("ab-12"), None);
        world.hear("till-1", "CD-34", CheckSaid::Refused);
        for code in ["CD-34", "cd-34"] {
            let held = world.look("till-1", code).held;
            assert!(
                matches!(&held, Some(CheckHeld::Refused(answer)) if answer.body == NO),
                "{code}: {held:?}"
            );
        }
        world.can_ask = true;
        assert!(
            world.look("till-1", "CD-34").held.is_none(),
            "while it can be asked the provider decides"
        );
    }

    #[test]
    fn where_codes_are_told_apart_a_refusal_holds_its_own_bytes_alone() {
        let mut world = World::new();
        let holds = |world: &mut World, code: &str| {
            world
                .run([CheckAsked {
                    rules: CodeRules { exact: true, ..CodeRules::default() },
                    ..asked("till-2", code)
                }])
                .remove(0)
                .held
        };
        world.run([heard_exactly("ab", CheckSaid::Refused)]);
        assert!(matches!(holds(&mut world, "ab"), Some(CheckHeld::Refused(_))));
        assert!(holds(&mut world, "AB").is_none(), "another code");
        assert!(world.look("till-2", "AB").held.is_some(), "whoever folds them takes both for one");
        world.run([heard_exactly("AB", CheckSaid::Good)]);
        world.pass(world.offline.remember_checks);
        assert!(
            matches!(holds(&mut world, "ab"), Some(CheckHeld::Gone(Kept::Refused))),
            "not of its bytes"
        );
        assert!(holds(&mut world, "AB").is_none());
        world.run([heard_exactly("AB", CheckSaid::Refused)]);
        assert!(holds(&mut world, "ab").is_some() && holds(&mut world, "AB").is_some());
    }

    #[test]
    fn the_providers_last_word_counts_and_a_success_that_failed_is_none() {
        let mut world = World::new();
        world.hear("till-1", "A", CheckSaid::Refused);
        world.hear("till-1", "a", CheckSaid::Good);
        assert!(
            matches!(world.look("till-1", "a").held, Some(CheckHeld::Refused(_))),
            "other bytes change nothing"
        );
        world.hear("till-1", "A", CheckSaid::Good);
        assert_eq!((world.recalls("A"), world.recalls("a")), (Some((true, 0)), Some((true, 0))));
        world.hear("till-1", "A", CheckSaid::Neither);
        assert_eq!(world.recalls("A"), None);
        world.hear("till-1", "a", CheckSaid::Refused);
        assert!(matches!(world.look("till-1", "A").held, Some(CheckHeld::Refused(_))));
    }

    #[test]
    fn a_good_word_takes_back_no_refusal_that_was_asked_for_after_it() {
        let mut world = World::new();
        world.pass(seconds(600));
        let asked_ms = Some(world.look("till-1", "A").at_ms);
        world.pass(seconds(61));
        let late = CheckAnswered { asked_ms, ..heard("till-1", "A", CheckSaid::Good) };
        world.hear("till-2", "A", CheckSaid::Refused);
        world.run([late.clone()]);
        assert!(matches!(world.look("till-1", "A").held, Some(CheckHeld::Refused(_))));
        world.offline.remember_checks_max = 0;
        world.run([ForgetChecks]);
        world.run([late.clone()]);
        assert!(matches!(world.look("till-1", "A").held, Some(CheckHeld::Gone(Kept::Refused))));
        world.offline.remember_checks_max = 10;
        world.hear("till-1", "A", CheckSaid::Good);
        assert_eq!(world.recalls("A"), Some((true, 0)), "it was asked for since");
        world.pass(seconds(1));
        world.run([late]);
        assert_eq!(world.recalls("A"), Some((true, 62)), "its age counts from its question");
    }

    #[test]
    fn a_success_without_a_word_about_the_code_takes_no_refusal_back() {
        let mut world = World::new();
        world.hear("till-1", "A", CheckSaid::Refused);
        world.hear("till-1", "A", CheckSaid::Bare);
        assert!(matches!(world.look("till-1", "A").held, Some(CheckHeld::Refused(_))));
        world.pass(world.offline.remember_checks);
        world.hear("till-1", "A", CheckSaid::Bare);
        assert!(matches!(world.look("till-1", "A").held, Some(CheckHeld::Gone(Kept::Refused))));
        world.hear("till-1", "B", CheckSaid::Bare);
        assert_eq!(world.recalls("B"), Some((true, 0)), "good where nothing is known");
    }

    #[test]
    fn what_was_refused_holds_its_code_when_its_words_are_forgotten() {
        let mut world = World::new();
        world.hear("till-1", "A", CheckSaid::Refused);
        world.pass(world.offline.remember_checks);
        assert!(matches!(world.look("till-2", "A").held, Some(CheckHeld::Gone(Kept::Refused))));
        world.hear("till-1", "A", CheckSaid::Good);
        assert!(world.look("till-2", "A").held.is_none(), "the provider takes it back");
    }

    #[test]
    fn memory_lasts_its_time_over_restarts_and_crashes_and_no_stop_makes_it_younger() {
        let mut world = World::new();
        world.offline.remember_checks = seconds(7200);
        world.hear("till-1", "A", CheckSaid::Good);
        world.pass(seconds(100));
        world.restart(seconds(600), true);
        assert_eq!(
            world.recalls("A"),
            Some((true, 700)),
            "the stop counts for what was there before it"
        );
        world.hear("till-1", "B", CheckSaid::Good);
        world.pass(seconds(300));
        assert_eq!(
            (world.recalls("A"), world.recalls("B").unwrap().1 < 910),
            (Some((true, 1000)), true)
        );
        world.restart(seconds(0), false);
        assert!(world.recalls("A").unwrap().1 >= 700, "what a crash forgets are seconds");
        world.pass(seconds(7200));
        assert_eq!((world.recalls("A"), world.recalls("B")), (None, None));
        assert_eq!(world.run([ForgetChecks, ForgetChecks]), [(2, 0), (0, 0)]);
    }

    #[test]
    fn what_is_forgotten_is_overwritten_in_the_database() {
        let mut world = World::new();
        world.hear("till-1", "A", CheckSaid::Good);
        world.pass(world.offline.remember_checks + seconds(1));
        world.run([ForgetChecks]);
        world.names_no_customer();
    }

    #[test]
    fn a_memory_that_is_made_smaller_or_is_full_leaves_nothing_behind() {
        let mut world = World::new();
        world.offline.remember_checks_max = 400;
        for n in 0..700 {
            world.hear("till-1", &format!("A-{}", n % 500), CheckSaid::Good);
        }
        world.offline.remember_checks_max = 0;
        assert_eq!(world.recalls("A-7"), None, "nothing is told that is not to be kept");
        let rounds: Vec<_> = (0..3).map(|_| world.run([ForgetChecks])[0]).collect();
        assert_eq!(rounds, [(200, 200), (200, 0), (0, 0)], "as long as some leave it goes on");
        world.names_no_customer();
    }

    #[test]
    fn a_till_that_floods_forgets_its_own_and_refusals_go_last() {
        let mut world = World::new();
        world.offline.remember_checks_max = 100;
        for n in 0..10 {
            world.hear("quiet", &format!("Q-{n}"), CheckSaid::Good);
        }
        world.hear("loud", "NO", CheckSaid::Refused);
        for n in 0..500 {
            world.pass(seconds(1));
            world.hear("loud", &format!("L-{n}"), CheckSaid::Good);
        }
        assert_eq!(world.store.as_ref().unwrap().checks_kept().unwrap(), 100);
        assert!(
            (0..10).all(|n| world.recalls(&format!("Q-{n}")).is_some()),
            "the quiet till keeps its share"
        );
        assert!(matches!(world.look("loud", "NO").held, Some(CheckHeld::Refused(_))));
        assert!(
            world.recalls("L-411").is_some() && world.recalls("L-410").is_none(),
            "the oldest leave first"
        );
        world.offline.remember_checks_max = 20;
        world.run([ForgetChecks]);
        assert_eq!(world.store.as_ref().unwrap().checks_kept().unwrap(), 20);
        assert!(
            (0..10).all(|n| world.recalls(&format!("Q-{n}")).is_some()),
            "a smaller memory is shared alike"
        );
    }

    #[test]
    fn whoever_guesses_codes_holds_few_of_them_in_an_hour() {
        let mut world = World::new();
        for n in 0..HELD_IN_AN_HOUR_MAX + 50 {
            world.hear("guesser", &format!("G-{n}"), CheckSaid::Refused);
        }
        let held = |world: &World| -> i64 {
            let sql = "SELECT count(*) FROM held_code";
            world.store.as_ref().unwrap().connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(held(&world), HELD_IN_AN_HOUR_MAX);
        world.pass(seconds(3600));
        world.hear("guesser", "G", CheckSaid::Refused);
        assert_eq!(held(&world), HELD_IN_AN_HOUR_MAX + 1);
    }

    #[test]
    fn codes_that_were_checked_may_be_given_for_as_long_as_a_rule_takes_the_newest_check() {
        let mut world = World::new();
        let text = "[gateway]\nname = \"box\"\n[[provider]]\nname = \"retm\"\nredeem_url = \
            \"https://a.example/r\"\ntoken_file = \"/t\"\n[offline]\naccept = false\n\
            [[offline.rule]]\nname = \"checked\"\nchecked_within = \"15m\"\naccept = true";
        world.offline = crate::settings::parse(text, "box").expect("settings").settings.offline;
        let stands = |world: &mut World| {
            let lane = world.run([AskStanding]).remove(0).lanes.remove(0);
            (lane.room.is_ok(), lane.takes_checked)
        };
        world.hear("till-1", "NO", CheckSaid::Refused);
        assert_eq!(stands(&mut world), (false, false));
        world.hear("till-2", "OLD", CheckSaid::Good);
        world.pass(seconds(60));
        world.hear("till-1", "A", CheckSaid::Good);
        world.pass(seconds(15 * 60));
        assert_eq!(stands(&mut world), (false, true));
        world.pass(seconds(1));
        assert_eq!(stands(&mut world), (false, false), "it is too old");
    }

    #[test]
    fn an_answer_too_long_or_a_memory_of_nothing_remembers_nothing() {
        let mut world = World::new();
        let long = CheckAnswered {
            asked: asked("till-1", "LONG"),
            answer: Answer {
                body: Bytes::from(vec![b' '; CHECK_BYTES_MAX + 1]),
                ..Answer::success()
            },
            said: CheckSaid::Good,
            asked_ms: None,
        };
        world.run([long]);
        world.offline.remember_checks_max = 0;
        world.hear("till-1", "A", CheckSaid::Good);
        assert_eq!((world.recalls("LONG"), world.recalls("A")), (None, None));
        world.hear("till-1", "A", CheckSaid::Refused);
        assert!(
            matches!(world.look("till-1", "A").held, Some(CheckHeld::Gone(Kept::Refused))),
            "a refusal holds all the same"
        );
    }

    /// What the rules about values read of a code.
    struct Recall(&'static str);

    impl Operation for Recall {
        type Output = Option<Remembered>;

        fn perform(&self, desk: &mut Desk<'_>) -> Result<Option<Remembered>, StoreError> {
            desk.remembered(1, "shop", &RewardCode::new(self.0.to_owned()), false)
        }
    }

    #[test]
    fn the_rules_about_values_read_what_a_check_said() {
        let mut world = World::new();
        world.hear("till-1", "A", CheckSaid::Good);
        world.hear("till-1", "B", CheckSaid::Refused);
        world.pass(seconds(120));
        let terms = Terms {
            kind: "discount".to_owned(),
            amount: Amount::parse("12.5"),
            max: Some(Amount::ZERO),
            ..Terms::default()
        };
        let refused = Checked::Refused { strong: true, message: "Reward has expired".to_owned() };
        let known = [Checked::Valid(terms), refused].map(|checked| Remembered { checked, at_s: 0 });
        let [good, bad] = known.map(Some);
        assert_eq!(world.run(["A", "b", "C"].map(Recall)), [good, bad, None]);
    }

    #[test]
    fn each_look_is_one_search_of_its_index() {
        assert_eq!(
            schema::plan(schema::VERSION, LOOK),
            "SEARCH checked USING PRIMARY KEY (guard=?)"
        );
        assert_eq!(
            schema::plan(schema::VERSION, OLDEST),
            "SEARCH checked USING COVERING INDEX checked_till (till=?)",
            "without a sort"
        );
        let newest = schema::plan(schema::VERSION, NEWEST);
        let expected = "SEARCH checked USING COVERING INDEX checked_till (till=? AND refused=?)";
        assert!(newest.contains(expected), "{newest}");
        let overdue =
            "SEARCH checked USING COVERING INDEX checked_till (till=? AND refused=? AND at_s<?)";
        assert_eq!(schema::plan(schema::VERSION, OVERDUE), overdue);
    }

    /// How many checks the next test remembers; a million takes a minute: `REDEEMD_CHECKS=1000000`.
    fn many() -> u64 {
        std::env::var("REDEEMD_CHECKS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
    }

    #[test]
    fn a_look_costs_the_same_among_many_and_a_check_takes_few_bytes() {
        let mut world = World::new();
        world.offline.remember_checks_max = 10_000_000;
        let mut steps = Vec::new();
        let mut kept = 0;
        (0..2).for_each(|n| world.redeem(&format!("BEFORE-{n}"), 9));
        let without = world.steps_of(|world| world.redeem("WITHOUT", 8));
        for count in [100, many()] {
            for from in (kept..count).step_by(1000) {
                let numbers = from..(from + 1000).min(count);
                let check =
                    |n| heard(&format!("till-{}", n % 8), &format!("CODE-{n}"), CheckSaid::Good);
                world.run(numbers.map(check));
            }
            kept = count;
            world.until_all_is_in_memory();
            // What the first of a till makes once.
            (0..2).for_each(|n| world.redeem(&format!("FIRST-{count}-{n}"), 9));
            let look = world.steps_of(|world| assert!(world.recalls("CODE-57").is_some()));
            let accept = world.steps_of(|world| world.redeem(&format!("CODE-{count}"), 7));
            let unknown = world.steps_of(|world| world.redeem(&format!("OTHER-{count}"), 8));
            assert_eq!(unknown, without, "of a code that was not checked the table is not asked");
            steps.push([look, accept, unknown]);
        }
        for (few, many) in steps[0].iter().zip(steps[1]) {
            assert!(few.abs_diff(many) <= few / 20, "a look, two accepts: {steps:?}");
        }
        let path = world.store.as_ref().unwrap().path();
        world.store.take().unwrap().close().unwrap();
        let bytes = std::fs::metadata(path).unwrap().len() / kept;
        println!("{kept} checks: {bytes} bytes each, of which the answer is {}", GOOD.len());
        assert!(bytes < 400, "{bytes} bytes a check");
    }
}
