//! The books of what was given on trust: what each redemption is worth, what is at risk in each
//! lane, at each till and under each rule, how often lately, and which codes were refused to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::accept::Rivals;
use super::row::Stored;
use super::steps::{self, StepsTold};
use super::sums::{self, RiskSums};
use super::trust::Off;
use super::types::Event;
use super::worth::{self, Given};
use super::{Desk, Operation, StoreError, connection, keep};
use crate::clock::{LocalMoment, Stamp};
use crate::decide::{self, Kept, kind, mark};
use crate::limits::{
    Account, BUSINESSES_MAX, Gauge, Headroom, LaneNow, Limit, NoRoom, Refusals, Risk, Room,
    RoomBooks, Subject, Window, headroom, lane_gauges, room, rule_for, rule_gauges, rule_standing,
    used_up_by_till,
};
use crate::redemption::{Fingerprint, RewardCode, Seq, State};
use crate::settings::{Offline, Rule};
use crate::value::{Amount, Worth};
use crate::{fold, message};

/// The first schema version that has these books.
const SINCE: i64 = 5;
/// What a row that a crash left counts as, by this name.
const UNKNOWN: &str = "value of unknown";
/// What the names begin with under which a business is kept that was named; its lane follows, and
/// it itself.
const BUSINESS: &str = "business ";
/// A crash leaves no live row that is older than so many.
const CRASHED_ROWS_MAX: i64 = 100_000;

const ALL_ROWS: &str = concat!("SELECT ", super::row::columns!(), " FROM redemption NOT INDEXED");

/// One scope's books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    pending: u64,
    exposure: Amount,
    lost: Amount,
    lately: Lately,
}

/// What happened lately, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lately {
    #[serde(rename = "w", default)]
    window: Window,
    #[serde(rename = "r", default)]
    refusals: Refusals,
}

impl Lately {
    /// As text: a list, in few bytes, since it is written with each redemption; with refusals an
    /// object, as earlier builds wrote it always.
    fn to_stored(&self) -> Result<String, StoreError> {
        let text = if self.refusals == Refusals::default() {
            serde_json::to_string(&self.window.packed())
        } else {
            serde_json::to_string(self)
        };
        text.map_err(|_| StoreError::Internal("what happened lately cannot be written"))
    }

    /// What cannot be read is nothing.
    fn from_stored(text: &str) -> Self {
        if text.starts_with('[') {
            let window = serde_json::from_str(text).map(|packed| Window::unpacked(&packed));
            return Self { window: window.unwrap_or_default(), ..Self::default() };
        }
        serde_json::from_str(text).unwrap_or_default()
    }
}

impl Entry {
    fn account(&self, minute: i64) -> Account {
        let Self { pending, exposure, lately: Lately { window, .. }, .. } = self;
        Account {
            pending: *pending,
            exposure: *exposure,
            hour: window.hour(minute),
            day: window.day(minute),
        }
    }

    /// Whether nothing of it counts any more.
    fn is_nothing(&self, minute: i64) -> bool {
        let Self { pending, exposure, lost, lately } = self;
        let is_quiet = lately.window.is_over(minute) && lately.refusals.is_over(minute);
        *pending == 0 && *exposure == Amount::ZERO && *lost == Amount::ZERO && is_quiet
    }

    fn sums(&self, minute: i64) -> Result<Option<RiskSums>, StoreError> {
        if self.is_nothing(minute) {
            return Ok(None);
        }
        let (Self { pending, exposure, lost, .. }, lately) = (self, self.lately.to_stored()?);
        let (pending, exposure, lost) = (*pending, exposure.0, lost.0);
        Ok(Some(RiskSums { pending, exposure, lost, lately }))
    }
}

/// How far the limits are used that a row meets.
struct Used {
    /// How long the present outage has lasted.
    present: Option<Duration>,
    headroom: Headroom,
    gauges: Vec<Gauge>,
}

/// What a redemption is to the books of risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    pending: bool,
    exposed: bool,
    lost: bool,
}

impl Stand {
    const NONE: Self = Self { pending: false, exposed: false, lost: false };

    fn of(is_trusted: bool, state: State, marks: i64) -> Self {
        Self {
            pending: is_trusted && state == State::Pending,
            exposed: decide::is_at_risk(state, is_trusted, marks),
            lost: is_trusted && marks & mark::LOST != 0,
        }
    }
}

/// The scopes' books as the transaction sees them; written once a transaction, and taken over when
/// it has committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// A database whose schema was put off has none.
    is_there: bool,
    kept: Arc<BTreeMap<Scope, Entry>>,
    changed: BTreeMap<Scope, Entry>,
    /// Businesses, folded, by lane; `true`: confirmed here, `false`: given to on trust alone.
    businesses: Arc<BTreeMap<i64, BTreeMap<String, bool>>>,
    /// Businesses, folded, by lane, that a redemption or a check's refusal has named: what they
    /// hold holds for others, and nothing is given for their name's sake.
    named: Arc<BTreeMap<i64, BTreeSet<String>>>,
    /// Which steps of limits were told, by lane.
    pub(super) told: Arc<BTreeMap<i64, StepsTold>>,
    /// What an unknown redemption counts as, as it was last kept.
    unknown: Amount,
}

/// Whose books an entry is. The table holds it as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Lane(i64),
    Till(i64, String),
    Rule(String),
    /// A till's redemptions of reusable codes.
    Reusable(String),
    /// The codes that were refused to a till. It stands last: whether there are any is one look.
    Refused(String),
}

impl Scope {
    /// `None` for text that none of ours is.
    fn parse(text: &str) -> Option<Self> {
        let (what, name) = text.split_once(' ')?;
        match what {
            "lane" => Some(Self::Lane(name.parse().ok()?)),
            "till" => {
                let (lane, till) = name.split_once(' ')?;
                Some(Self::Till(lane.parse().ok()?, till.to_owned()))
            }
            "rule" => Some(Self::Rule(name.to_owned())),
            "reusable" => Some(Self::Reusable(name.to_owned())),
            "refused" => Some(Self::Refused(name.to_owned())),
            _ => None,
        }
    }

    /// The scopes of a redemption: its lane, its till, and the rule by which it was given.
    fn all((lane, till): (i64, &str), given: &Given) -> impl Iterator<Item = Self> {
        let rule = (!given.rule.is_empty()).then(|| Self::Rule(given.rule.clone()));
        [Self::Lane(lane), Self::Till(lane, till.to_owned())].into_iter().chain(rule)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane(lane) => write!(f, "lane {lane}"),
            Self::Till(lane, till) => write!(f, "till {lane} {till}"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Reusable(till) => write!(f, "reusable {till}"),
            Self::Refused(till) => write!(f, "refused {till}"),
        }
    }
}

impl Ledger {
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        if connection::version(connection)? < SINCE {
            return Ok(Self::default());
        }
        let mut statement =
            connection.prepare("SELECT scope, pending, exposure, lost, lately FROM risk")?;
        let rows = statement.query_map([], read_entry)?;
        let kept: BTreeMap<Scope, Entry> =
            rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        if kept.values().any(|entry| entry.exposure < Amount::ZERO || entry.lost < Amount::ZERO) {
            return Err(StoreError::Damaged("the books of what is at risk cannot be".to_owned()));
        }
        let mut businesses: BTreeMap<i64, BTreeMap<String, bool>> = BTreeMap::new();
        let mut statement = connection.prepare("SELECT lane, business, confirmed FROM business")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            businesses.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
        }
        let unknown = keep::read(connection, UNKNOWN)?.and_then(|text| Amount::parse(&text));
        Ok(Self {
            is_there: true,
            kept: Arc::new(kept),
            changed: BTreeMap::new(),
            businesses: Arc::new(businesses),
            named: Arc::new(read_named(connection)?),
            told: Arc::new(steps::read(connection)?),
            unknown: unknown.unwrap_or_else(|| Offline::default().value_of_unknown),
        })
    }

    fn entry(&self, scope: &Scope) -> Option<&Entry> {
        self.changed.get(scope).or_else(|| self.kept.get(scope))
    }

    fn edit(&mut self, scope: Scope) -> &mut Entry {
        let kept = &self.kept;
        self.changed
            .entry(scope)
            .or_insert_with_key(|scope| kept.get(scope).cloned().unwrap_or_default())
    }

    fn account(&self, scope: &Scope, minute: i64) -> Account {
        self.entry(scope).map(|entry| entry.account(minute)).unwrap_or_default()
    }

    /// What the transaction changed, by scope, as it is written; `None`: nothing of it counts any
    /// more.
    pub(super) fn sums(
        &self,
        minute: i64,
    ) -> impl Iterator<Item = (String, Result<Option<RiskSums>, StoreError>)> {
        self.changed.iter().map(move |(scope, entry)| (scope.to_string(), entry.sums(minute)))
    }

    /// Writes what the transaction changed to its table.
    fn write(&self, connection: &Connection, minute: i64) -> Result<(), StoreError> {
        for (scope, sums) in self.sums(minute) {
            sums::write_risk(connection, &scope, sums?.as_ref())?;
        }
        Ok(())
    }

    /// What was written is committed.
    pub(super) fn settle(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let kept = Arc::make_mut(&mut self.kept);
        kept.extend(std::mem::take(&mut self.changed));
    }

    /// A redemption goes from one stand to another.
    fn shift(&mut self, (lane, till): (i64, &str), given: &Given, (from, to): (Stand, Stand)) {
        let amount = given.worth.amount();
        for scope in Scope::all((lane, till), given) {
            let entry = self.edit(scope);
            entry.pending =
                (entry.pending + u64::from(to.pending)).saturating_sub(u64::from(from.pending));
            match (from.exposed, to.exposed) {
                (false, true) => entry.exposure = entry.exposure.plus(amount),
                (true, false) => entry.exposure = entry.exposure.less(amount),
                (true, true) | (false, false) => {}
            }
            if to.lost && !from.lost {
                entry.lost = entry.lost.plus(amount);
            }
        }
    }

    fn count(&mut self, scope: Scope, minute: i64) {
        self.edit(scope).lately.window.add(minute);
    }

    /// What is at risk in a lane, and what was lost there.
    pub(super) fn of_lane(&self, lane: i64) -> (Amount, Amount) {
        self.entry(&Scope::Lane(lane))
            .map_or((Amount::ZERO, Amount::ZERO), |entry| (entry.exposure, entry.lost))
    }

    /// How many codes were refused to a till, where they were too many lately.
    fn refusals(&self, till: &str, minute: i64) -> Option<u64> {
        let has_any = |entries: &BTreeMap<Scope, Entry>| {
            matches!(entries.last_key_value(), Some((Scope::Refused(_), _)))
        };
        if !has_any(&self.kept) && !has_any(&self.changed) {
            return None;
        }
        self.entry(&Scope::Refused(till.to_owned()))?.lately.refusals.slowed(minute)
    }

    /// The tills that are slowed for their refused codes.
    fn slowed(&self, minute: i64) -> Vec<String> {
        let named = |(scope, entry): (&Scope, &Entry)| {
            let Scope::Refused(till) = scope else { return None };
            entry.lately.refusals.slowed(minute).map(|_| till.clone())
        };
        self.kept.iter().filter_map(named).collect()
    }

    /// Whether a business may be trusted: its provider lists it, or it was confirmed here. A lane
    /// of which nothing is known yet, a first start in an outage, knows none by which to tell a
    /// wrong one: there all are, up to a bound.
    fn is_known(&self, lane: i64, business: &str, is_listed: bool, lists_any: bool) -> bool {
        if is_listed {
            return true;
        }
        let Some(known) = self.businesses.get(&lane) else { return !lists_any };
        let its = known.get(&*fold::code(business)).copied();
        let none_is_confirmed = !lists_any && !known.values().any(|confirmed| *confirmed);
        its == Some(true) || (none_is_confirmed && (its.is_some() || known.len() < BUSINESSES_MAX))
    }

    /// A redemption, or a check's refusal, has named a business. Beyond the bound others are not
    /// kept.
    pub(super) fn name(
        &mut self,
        sql: &Connection,
        (lane, business): (i64, &str),
    ) -> Result<(), StoreError> {
        let folded = fold::code(business);
        let is_known = self.businesses.get(&lane).is_some_and(|all| all.contains_key(&*folded));
        let named = self.named.get(&lane);
        let is_kept =
            |all: &BTreeSet<String>| all.contains(&*folded) || all.len() >= BUSINESSES_MAX;
        if !self.is_there || is_known || named.is_some_and(is_kept) {
            return Ok(());
        }
        keep::write(sql, &format!("{BUSINESS}{lane} {folded}"), "")?;
        Arc::make_mut(&mut self.named).entry(lane).or_default().insert(folded.into_owned());
        Ok(())
    }

    /// A row says which business it named, and whether that was confirmed.
    fn learn_from(&mut self, sql: &Connection, row: &Stored) -> Result<(), StoreError> {
        self.name(sql, (row.lane, &row.business))?;
        if row.state == State::Confirmed && !row.has(mark::DUPLICATE_OF_OURS) {
            self.learn(sql, (row.lane, &row.business), true)?;
        }
        Ok(())
    }

    /// A business was confirmed, or given to on trust.
    fn learn(
        &mut self,
        sql: &Connection,
        at: (i64, &str),
        confirmed: bool,
    ) -> Result<(), StoreError> {
        let ((lane, business), known) = (at, self.businesses.get(&at.0));
        let folded = fold::code(business);
        let its = known.and_then(|known| known.get(&*folded)).copied();
        let is_full = its.is_none() && known.is_some_and(|known| known.len() >= BUSINESSES_MAX);
        if !self.is_there || its == Some(true) || its == Some(confirmed) || is_full {
            return Ok(());
        }
        let insert = "INSERT INTO business VALUES (?1, ?2, ?3) ON CONFLICT (lane, business) DO \
            UPDATE SET \
             confirmed = max(confirmed, excluded.confirmed)";
        sql.prepare_cached(insert)?.execute((lane, &*folded, confirmed))?;
        Arc::make_mut(&mut self.businesses)
            .entry(lane)
            .or_default()
            .insert(folded.into_owned(), confirmed);
        Ok(())
    }

    /// The other businesses of the lane: those that may be trusted, and those that were named.
    fn others(
        &self,
        lane: i64,
        business: &str,
        listed: Option<&BTreeSet<String>>,
    ) -> BTreeSet<String> {
        let folded = fold::code(business);
        let known = self.businesses.get(&lane).into_iter().flat_map(BTreeMap::keys);
        let named = self.named.get(&lane).into_iter().flatten();
        let all = known.chain(named).chain(listed.into_iter().flatten());
        all.filter(|own| **own != folded).cloned().collect()
    }

    /// What a redemption counts as of which nothing is known.
    pub(super) fn nothing_known(&self) -> Given {
        Given { worth: Worth::Assumed(self.unknown), rule: String::new() }
    }

    /// Rows that a crash left, of which a 2xx may have left: they count as given
    /// ([`decide::marks_found`], whose bits these are: those of the rows that it calls given).
    pub(super) fn adopt(
        &mut self,
        sql: &Connection,
        first: Seq,
        minute: i64,
    ) -> Result<(), StoreError> {
        if !self.is_there {
            return Ok(());
        }
        let left = "SELECT seq, lane, till FROM redemption WHERE seq > ?1 AND seq < ?2 AND state = \
            0 \
             AND kind & 40 = 32 AND marks & 100 = 0";
        let rows: Vec<(i64, i64, String)> = {
            let mut statement = sql.prepare(left)?;
            let oldest = first.0.saturating_sub(CRASHED_ROWS_MAX);
            let rows = statement
                .query_map((oldest, first.0), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        let given = self.nothing_known();
        let to = Stand { pending: true, exposed: true, lost: false };
        for (seq, lane, till) in rows {
            if worth::insert(sql, Seq(seq), &given)? {
                self.shift((lane, &till), &given, (Stand::NONE, to));
                for scope in Scope::all((lane, &till), &given) {
                    self.count(scope, minute);
                }
            }
        }
        Ok(())
    }
}

/// The businesses that are kept since they were named.
fn read_named(connection: &Connection) -> Result<BTreeMap<i64, BTreeSet<String>>, StoreError> {
    let mut named: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in keep::beginning_with(connection, BUSINESS)? {
        let Some((lane, business)) = name.split_once(' ') else { continue };
        if let Ok(lane) = lane.parse() {
            named.entry(lane).or_default().insert(business.to_owned());
        }
    }
    Ok(named)
}

/// An entry of the table; `None` where its scope cannot be.
fn read_entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<(Scope, Entry)>> {
    let lately: String = row.get(4)?;
    let lately = Lately::from_stored(&lately);
    let entry = Entry {
        pending: row.get(1)?,
        exposure: Amount(row.get(2)?),
        lost: Amount(row.get(3)?),
        lately,
    };
    let scope: String = row.get(0)?;
    Ok(Scope::parse(&scope).map(|scope| (scope, entry)))
}

/// What is at risk now and what is left, as `status` shows it.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Each lane.
    pub lanes: Vec<LaneStanding>,
    /// How far each rule's limits are used.
    pub rules: Vec<Gauge>,
    /// Tills that are slowed and not trusted, for the codes that were refused to them.
    pub slowed: Vec<String>,
}

/// What is at risk in a lane and what is left.
#[derive(Clone, Debug)]
pub struct LaneStanding {
    /// The lane.
    pub name: String,
    /// How many are pending that were given on trust.
    pub given: u64,
    /// What is at risk.
    pub exposure: Amount,
    /// What was ever lost.
    pub lost: Amount,
    /// How many redemptions wait for a person; `None` before an earlier build's were counted.
    pub waiting: Option<u64>,
    /// How far the limits are used.
    pub gauges: Vec<Gauge>,
    /// Tills that have used up a limit of their own, but none that are slowed.
    pub tills_at_limit: Vec<TillAtLimit>,
    /// Why nothing is accepted on trust.
    pub off: Option<Off>,
    /// How much more may be given of redemptions of which no check is remembered.
    pub room: Result<Room, NoRoom>,
    /// Whether one may be given whose check is the newest that is remembered, and said that it is
    /// worth next to nothing.
    pub takes_checked: bool,
    /// It is held for declines, and none of them is left to be taken back.
    pub all_taken_back: bool,
}

/// A till that has used up a limit of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TillAtLimit {
    /// The till.
    pub till: String,
    /// The limit's key.
    pub limit: &'static str,
}

/// Asks for the [`Standing`].
#[derive(Clone, Copy, Debug)]
pub struct AskStanding;

impl Operation for AskStanding {
    type Output = Standing;

    fn perform(&self, desk: &mut Desk<'_>) -> Result<Standing, StoreError> {
        desk.standing()
    }
}

impl Desk<'_> {
    fn standing(&self) -> Result<Standing, StoreError> {
        let (ledger, minute) = (&self.books.ledger, self.around.elapsed.on_min());
        let offline = self.around.offline;
        let of_rule = |rule: &Rule| ledger.account(&Scope::Rule(rule.name.to_string()), minute);
        let rules: Vec<Account> = offline.rules.iter().map(of_rule).collect();
        let now = self.books.named().map(|(lane, name)| self.lane_now(lane, name, ""));
        let now: Vec<LaneNow> = now.collect();
        let gauges = |(rule, books): (&Rule, &Account)| rule_standing(rule, &now, *books);
        let checked = self.newest_check()?;
        let lane_standing = |lane: (i64, &str)| {
            let all_taken_back = self.all_taken_back(lane.0)?;
            Ok(LaneStanding { all_taken_back, ..self.lane_standing(lane, &rules, checked) })
        };
        Ok(Standing {
            lanes: self.books.named().map(lane_standing).collect::<Result<_, StoreError>>()?,
            rules: offline.rules.iter().zip(&rules).flat_map(gauges).collect(),
            slowed: ledger.slowed(minute),
        })
    }

    fn lane_standing(
        &self,
        (lane, name): (i64, &str),
        rules: &[Account],
        checked: Option<Duration>,
    ) -> LaneStanding {
        let (offline, ledger) = (self.around.offline, &self.books.ledger);
        let now = self.lane_now(lane, name, "");
        let books = ledger.account(&Scope::Lane(lane), self.around.elapsed.on_min());
        let (exposure, lost) = ledger.of_lane(lane);
        let off = self.books.trust_off(name, self.around.elapsed);
        let mut at = RoomBooks {
            lane: now,
            books,
            tills: self.trusted_tills(lane, books),
            rules,
            is_off: off.is_some(),
            checked: None,
            local: self.local(),
        };
        let unchecked = room(offline, &at, offline.value_of_unknown);
        let at_limit = |(till, books): &(String, Account)| {
            let limit = used_up_by_till(offline, &now, *books)?;
            (!till.is_empty()).then(|| TillAtLimit { till: till.clone(), limit })
        };
        let tills_at_limit = at.tills.iter().filter_map(at_limit).collect();
        at.checked = checked;
        LaneStanding {
            name: name.to_owned(),
            given: books.pending,
            exposure,
            lost,
            waiting: self.books.waiting(lane),
            gauges: lane_gauges(offline, &now, books),
            tills_at_limit,
            off,
            room: unchecked,
            takes_checked: checked.is_some() && room(offline, &at, Amount(1)).is_ok(),
            all_taken_back: false,
        }
    }

    /// The books of the tills that are trusted. Where the settings name none, the lane's are those
    /// of the one that there is.
    fn trusted_tills(&self, lane: i64, books: Account) -> Vec<(String, Account)> {
        let (ledger, minute) = (&self.books.ledger, self.around.elapsed.on_min());
        let tills = &self.around.offline.tills;
        if tills.is_empty() {
            let all = Account { pending: self.books.pending(lane), ..books };
            return vec![(String::new(), all)];
        }
        let account = |till: &String| {
            let lately = ledger.account(&Scope::Till(lane, till.clone()), minute);
            (till.clone(), Account { pending: self.books.till_pending(lane, till), ..lately })
        };
        let trusted = tills.iter().filter(|till| ledger.refusals(till, minute).is_none());
        trusted.map(account).collect()
    }

    /// The moment as the store's own clock shows it, where that is trusted.
    fn local(&self) -> Option<LocalMoment<'_>> {
        let Stamp { unix_ms, trusted } = self.around.stamp;
        trusted.then(|| self.around.zone.at(unix_ms))
    }

    /// Whether the till's answers are slowed.
    pub(super) fn is_slowed(&self, till: &str) -> bool {
        self.books.ledger.refusals(till, self.around.elapsed.on_min()).is_some()
    }

    /// Everything but the lane's own state that an acceptance on trust depends on.
    pub(super) fn risk<'r>(
        &self,
        lane: i64,
        now: &LaneNow,
        subject: Subject<'r>,
        reusable: bool,
    ) -> Risk<'r>
    where
        Self: 'r,
    {
        let (ledger, minute) = (&self.books.ledger, self.around.elapsed.on_min());
        let (offline, name) = (self.around.offline, self.books.name(lane));
        let now_s = self.around.elapsed.now_ms().div_euclid(1000);
        let subject = Subject { cause: now.cause, now_s, ..subject };
        let rule = rule_for(offline, &subject);
        let is_listed = offline.lists(name, subject.business);
        Risk {
            rule,
            checked: subject.checked,
            code: subject.code,
            reusable,
            lane: ledger.account(&Scope::Lane(lane), minute),
            till: ledger.account(&Scope::Till(lane, subject.till.to_owned()), minute),
            of_rule: rule
                .map(|rule| ledger.account(&Scope::Rule(rule.name.to_string()), minute))
                .unwrap_or_default(),
            reusable_hour: if reusable {
                ledger.account(&Scope::Reusable(subject.till.to_owned()), minute).hour
            } else {
                0
            },
            refused: ledger.refusals(subject.till, minute),
            is_known: ledger.is_known(
                lane,
                subject.business,
                is_listed,
                offline.listed.contains_key(name),
            ),
            is_off: self.books.is_trust_off(name, self.around.elapsed),
            local_min: self.local().map(LocalMoment::minute),
        }
    }

    /// Writes down that a row was given on trust.
    pub(super) fn give(
        &mut self,
        row: &Stored,
        given: &Given,
        is_new: bool,
    ) -> Result<(), StoreError> {
        if !self.books.ledger.is_there || !worth::insert(self.sql, row.seq, given)? {
            return Ok(());
        }
        let minute = self.around.elapsed.on_min();
        let to = Stand::of(true, row.state, row.marks);
        self.books.ledger.shift((row.lane, &row.till), given, (Stand::NONE, to));
        self.books.follow_exposure(row, given.worth.amount(), (Stand::NONE.exposed, to.exposed));
        self.keep_unknown()?;
        if !is_new {
            return Ok(());
        }
        // Rates age: what a crash forgets of the time would make them older than they are.
        self.has_ages = true;
        let reusable = row.is(kind::REUSABLE).then(|| Scope::Reusable(row.till.clone()));
        for scope in Scope::all((row.lane, &row.till), given).chain(reusable) {
            self.books.ledger.count(scope, minute);
        }
        self.books.ledger.learn(self.sql, (row.lane, &row.business), false)
    }

    /// A row is accepted on trust: what is left of the limits then.
    pub(super) fn accept_on_trust(
        &mut self,
        row: &Stored,
        given: &Given,
    ) -> Result<Headroom, StoreError> {
        // The row is among the pending ones already.
        let before = self.used(row, given, 1);
        self.give(row, given, true)?;
        let after = self.used(row, given, 0);
        self.keep_outage_given(row.lane, after.present)?;
        self.tell_steps(row.lane, given.worth.amount(), (&before.gauges, &after.gauges))?;
        Ok(after.headroom)
    }

    /// The gauge of a limit that refuses; `None` where it has none.
    pub(super) fn gauge_of(&self, lane: i64, limit: &Limit) -> Option<Gauge> {
        let (key, minute) = (limit.gauge_key()?, self.around.elapsed.on_min());
        let (offline, ledger) = (self.around.offline, &self.books.ledger);
        let now = self.lane_now(lane, self.books.name(lane), "");
        let gauges = match limit.rule() {
            Some(name) => {
                let books = ledger.account(&Scope::Rule(name.to_owned()), minute);
                rule_gauges(offline.rules.named(name)?, &now, books)
            }
            None => lane_gauges(offline, &now, ledger.account(&Scope::Lane(lane), minute)),
        };
        gauges.into_iter().find(|gauge| gauge.limit == key)
    }

    /// How far the limits are used that a row meets, so many pending ones left aside.
    fn used(&self, row: &Stored, given: &Given, aside: u64) -> Used {
        let (offline, name) = (self.around.offline, self.books.name(row.lane));
        let now = self.lane_now(row.lane, name, &row.till);
        let now = LaneNow { pending: now.pending.saturating_sub(aside), ..now };
        let (ledger, minute) = (&self.books.ledger, self.around.elapsed.on_min());
        let rule = offline.rules.named(&given.rule);
        let risk = Risk {
            rule,
            lane: ledger.account(&Scope::Lane(row.lane), minute),
            of_rule: rule
                .map(|rule| ledger.account(&Scope::Rule(rule.name.to_string()), minute))
                .unwrap_or_default(),
            ..Risk::none()
        };
        let mut gauges = lane_gauges(offline, &now, risk.lane);
        gauges.extend(rule.into_iter().flat_map(|rule| rule_gauges(rule, &now, risk.of_rule)));
        Used { present: now.present, headroom: headroom(offline, &now, &risk), gauges }
    }

    /// What a row that a crash leaves will count as.
    fn keep_unknown(&mut self) -> Result<(), StoreError> {
        let unknown = self.around.offline.value_of_unknown;
        if self.books.ledger.unknown != unknown {
            keep::write(self.sql, UNKNOWN, &unknown.to_string())?;
            self.books.ledger.unknown = unknown;
        }
        Ok(())
    }

    /// The books follow a row that gets this state and these marks.
    pub(super) fn moved(
        &mut self,
        row: &Stored,
        state: State,
        marks: i64,
    ) -> Result<(), StoreError> {
        let is_trusted = row.is_trusted()
            || (row.seq < self.books.first && row.clone().found_by(self.books.first).is_trusted());
        self.move_between(
            row,
            (Stand::of(is_trusted, row.state, row.marks), Stand::of(is_trusted, state, marks)),
        )?;
        if state == State::Confirmed && row.state != state && marks & mark::DUPLICATE_OF_OURS == 0 {
            self.books.ledger.learn(self.sql, (row.lane, &row.business), true)?;
        }
        Ok(())
    }

    /// A row leaves after its retention: nobody can see to it any more.
    pub(super) fn left(&mut self, row: &Stored) -> Result<(), StoreError> {
        self.move_between(row, (Stand::of(row.is_trusted(), row.state, row.marks), Stand::NONE))
    }

    fn move_between(&mut self, row: &Stored, (from, to): (Stand, Stand)) -> Result<(), StoreError> {
        if from == to || !self.books.ledger.is_there {
            return Ok(());
        }
        let Some(given) = worth::of(self.sql, row.seq)? else { return Ok(()) };
        self.books.ledger.shift((row.lane, &row.till), &given, (from, to));
        self.books.follow_exposure(row, given.worth.amount(), (from.exposed, to.exposed));
        Ok(())
    }

    /// A code was refused to a till. Ten in ten minutes, and the till is slowed and not trusted.
    pub(super) fn refused(
        &mut self,
        (lane, till): (&str, &str),
        code: &RewardCode,
    ) -> Result<(), StoreError> {
        let (minute, scope) = (self.around.elapsed.on_min(), Scope::Refused(till.to_owned()));
        let hash = crc32c::crc32c(&Fingerprint::of(&["refused", &fold::code(code.reveal())]).0);
        let known = self.books.ledger.entry(&scope);
        if !self.books.ledger.is_there
            || known.is_some_and(|known| known.lately.refusals.has(minute, hash))
        {
            return Ok(());
        }
        let refusals = &mut self.books.ledger.edit(scope).lately.refusals;
        if !refusals.add(minute, hash) {
            return Ok(());
        }
        let codes = refusals.slowed(minute).unwrap_or(0);
        let detail = message::Event::TillSlowed { till: till.to_owned(), codes }.to_stored();
        self.record(&self.own_event(lane, "till_slowed", detail), None)
    }

    /// What the gateway itself does.
    pub(super) fn own_event(&self, lane: &str, what: &str, detail: String) -> Event {
        let (lane, what, by) = (lane.to_owned(), what.to_owned(), "redeemd".to_owned());
        Event { at_ms: self.around.stamp.unix_ms, id: None, lane, what, by, detail }
    }

    /// Redemptions of the same code for other businesses of the lane, and what is kept of it beyond
    /// them. While nobody can be asked, a code holds for all of them: the name of the business is
    /// what a till says.
    pub(super) fn elsewhere(
        &self,
        lane: i64,
        business: &str,
        code: &RewardCode,
    ) -> Result<Rivals, StoreError> {
        let mut all = Rivals::default();
        let (offline, name) = (self.around.offline, self.books.name(lane));
        let exact = offline.tells_apart(name);
        for other in self.books.ledger.others(lane, business, offline.listed.get(name)) {
            let guard = super::row::guard_of(&other, code);
            let rivals = self.rivals(guard, (&other, code), exact)?;
            for row in rivals.rows {
                if row.is_found(row.lane == lane)? {
                    all.rows.push(row);
                }
            }
            // That it was used goes before what one business was refused.
            let is_used = [all.kept, rivals.kept].contains(&Some(Kept::Used));
            all.kept = if is_used { Some(Kept::Used) } else { all.kept.or(rivals.kept) };
        }
        Ok(all)
    }

    /// The other businesses of the lane that are known.
    pub(super) fn businesses_beside(&self, lane: i64, business: &str) -> BTreeSet<String> {
        let listed = self.around.offline.listed.get(self.books.name(lane));
        self.books.ledger.others(lane, business, listed)
    }

    /// Which code a limit refuses, counted like one that the provider refused.
    pub(super) fn refused_by(
        &mut self,
        limit: &Limit,
        at: (&str, &str),
        code: &RewardCode,
    ) -> Result<(), StoreError> {
        match limit {
            Limit::Form | Limit::Refused(_) => self.refused(at, code),
            Limit::Rule(_, inner) => self.refused_by(inner, at, code),
            Limit::NotAccepting
            | Limit::Pending(_)
            | Limit::Till(_)
            | Limit::Outage(_)
            | Limit::Off
            | Limit::Slowed(_)
            | Limit::Business
            | Limit::Value(_)
            | Limit::Exposure(_)
            | Limit::Rate(..)
            | Limit::TillRate(..)
            | Limit::Reusable(_)
            | Limit::Hours
            | Limit::Clock => Ok(()),
        }
    }
}

/// Whether a row is at risk, and what it was, for a recount: from its columns alone.
pub(super) fn is_exposed(state: State, kind: i64, marks: i64, is_of_before: bool) -> bool {
    let marks = if is_of_before { decide::marks_found(state, kind, marks) } else { marks };
    Stand::of(decide::is_trusted(kind, marks), state, marks).exposed
}

/// The sums of a database whose rows were salvaged, from the rows; what happened lately stays as
/// far as it was read. What is at risk or lost, and of which it was not read what it counts as,
/// counts as an unknown one does by default.
pub(super) fn sum_up(sql: &Connection) -> Result<(), StoreError> {
    let mut ledger = Ledger::read(sql)?;
    let scopes: Vec<Scope> = ledger.kept.keys().cloned().collect();
    for scope in scopes {
        let entry = ledger.edit(scope);
        (entry.pending, entry.exposure, entry.lost) = (0, Amount::ZERO, Amount::ZERO);
    }
    let mut statement = sql.prepare(ALL_ROWS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let stored = Stored::from_row(row)?;
        ledger.learn_from(sql, &stored)?;
        let to = Stand::of(stored.is_trusted(), stored.state, stored.marks);
        let given = match worth::of(sql, stored.seq)? {
            None if to.exposed || to.lost => {
                worth::insert(sql, stored.seq, &Given::unknown())?;
                Given::unknown()
            }
            Some(given) => given,
            None => continue,
        };
        ledger.shift((stored.lane, &stored.till), &given, (Stand::NONE, to));
    }
    ledger.write(sql, i64::MIN)
}

fn is_open_and_trusted(row: &Stored) -> bool {
    row.is_trusted() && matches!(row.state, State::Pending | State::Parked)
}

/// Fills the new books from the rows of an earlier version, which has no settings at hand: what is
/// open and was given on trust counts as an unknown one does by default.
pub(super) fn from_rows(sql: &Connection) -> Result<(), StoreError> {
    let given = Given::unknown();
    let unknown = given.worth.amount();
    let mut ledger = Ledger { is_there: true, unknown, ..Ledger::default() };
    let mut statement = sql.prepare(ALL_ROWS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // One that cannot be read has other troubles than its worth.
        let Ok(stored) = Stored::from_row(row) else { continue };
        ledger.learn_from(sql, &stored)?;
        // What was lost, inferred or taken back under an earlier version was never counted: it
        // blocks nothing now.
        let to = Stand::of(is_open_and_trusted(&stored), stored.state, stored.marks);
        if to.exposed && worth::insert(sql, stored.seq, &given)? {
            ledger.shift((stored.lane, &stored.till), &given, (Stand::NONE, to));
        }
    }
    ledger.write(sql, i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_lately_is_read_as_it_was_written_now_and_by_earlier_builds() {
        let mut lately = Lately::default();
        for minute in [5, 5, 64, 300] {
            lately.window.add(minute);
        }
        let earlier = serde_json::to_string(&lately).unwrap();
        assert_eq!(Lately::from_stored(&earlier), lately);
        let stored = lately.to_stored().unwrap();
        assert!(stored.len() < earlier.len(), "{stored} {earlier}");
        assert_eq!(Lately::from_stored(&stored), lately);
        lately.refusals.add(300, 7);
        assert_eq!(Lately::from_stored(&lately.to_stored().unwrap()), lately);
        for damaged in ["", "[", "[1]", "{\"w\":7}", "[1,[-1],2,[3]]"] {
            assert_eq!(Lately::from_stored(damaged), Lately::default(), "{damaged}");
        }
    }

    #[test]
    fn a_scope_is_read_as_it_was_written_and_other_text_is_none() {
        for scope in [
            Scope::Lane(7),
            Scope::Till(7, "till 1 of 2".to_owned()),
            Scope::Rule("a rule".to_owned()),
            Scope::Reusable("till-1".to_owned()),
            Scope::Refused(String::new()),
        ] {
            assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
        }
        for text in ["", "lane", "lane x", "till 7", "till x y", "other 7"] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
