//! All the SQL: schema, migrations, accept, claim, settle, count, list.

mod accept;
mod act;
mod backup;
mod books;
mod checkpoint;
mod damage;
mod elapsed;
mod error;
mod files;
mod forward;
mod identity;
mod keep;
mod migration;
mod opening;
mod pages;
mod prune;
mod read;
mod records;
mod recount;
mod refold;
mod rescue;
mod row;
mod salvage;
mod schema;
mod search;
mod tallies;
mod types;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, TransactionBehavior};

use crate::clock::{Days, Stamp};
use crate::decide::{CodeRules, WaitEnd};
use crate::limits::LaneNow;
use crate::message::Storage;
use crate::redemption::{Request, Seq};
use crate::refused::Reason;
use crate::settings::Offline;

pub use books::{Hold, LaneMemory, WaitMemory};
pub use checkpoint::{Checkpointer, Pace, Paused, Step};
pub use damage::Salvage;
pub use error::{StoreError, Trouble};
pub use files::{FREE_BYTES_MIN, RESERVE_BYTES, free_bytes, is_volatile};
pub use forward::{About, Claim, Claimed, Ended, Settled};
pub use identity::{Place, Watch};
pub use migration::Migrated;
pub use opening::{Found, Inspection, OpenReport, inspect};
pub use prune::{Pruned, Retention};
pub use read::Reader;
pub use recount::Recounted;
pub use rescue::{Arrived, End, Exported, FORMAT, Header, Import, Line, LineFault, Page, Remains, seal, unseal};
pub use salvage::Tally;
pub use search::{CodeHash, Found as FoundRows, LOOK_FOR_MAX, LOOKED_MAX, Search, Span};
pub use tallies::{TillDay, TillDays};
pub use types::{
    Acted, Concluded, Counts, Decision, Event, Filter, Kept, Limit, NewRedemption, NotGiven, Taken, UsedBy,
    VoidOutcome, relayed,
};

/// The database's file name in the state directory.
pub const FILE: &str = "redeemd.db";
/// The file names of its log and of the log's index.
const LOG: &str = "redeemd.db-wal";
const SHARED: &str = "redeemd.db-shm";
/// How many frames the WAL may hold before a checkpoint is asked for: 4 MiB.
pub const WAL_FRAMES_SOFT: u32 = 1000;
/// How many before the writer itself moves them: 32 MiB.
pub const WAL_FRAMES_HARD: u32 = 8000;

/// Something that the writer does inside a transaction.
#[derive(Clone, Debug)]
pub enum Op {
    /// A till's request.
    Accept {
        /// The request.
        new: Box<NewRedemption>,
        /// What its provider's settings say about its code.
        rules: CodeRules,
    },
    /// Rows to send.
    Claim(Claim),
    /// An attempt ended.
    Settle(Box<Settlement>),
    /// Rows that were claimed and never sent.
    Unclaim(Vec<(crate::redemption::Seq, u32)>),
    /// A till has waited in vain.
    Conclude(Conclusion),
    /// A person has seen to a row.
    Handled(Handling),
    /// A till takes its redemption back.
    VoidByTill {
        /// The row.
        id: crate::redemption::Id,
        /// The till.
        till: String,
        /// Its attempt was stopped before any byte left.
        withdrawn: bool,
    },
    /// An operator closes a row.
    Void {
        /// The row.
        id: crate::redemption::Id,
        /// The operator's note.
        note: String,
        /// The operator.
        by: String,
    },
    /// An operator sends a row again.
    Retry {
        /// The row.
        id: crate::redemption::Id,
        /// The operator.
        by: String,
    },
    /// An operator takes back the declines for which a lane was held.
    RetryHeld {
        /// The lane.
        lane: String,
        /// The operator.
        by: String,
    },
    /// What a lane's link must not forget.
    Remember {
        /// The lane.
        lane: String,
        /// What.
        memory: LaneMemory,
        /// The alike declines for which it is held, to be marked.
        streak: Vec<crate::redemption::Seq>,
    },
    /// Something worth recording.
    Record(Event),
    /// So many more requests of tills were refused, by reason.
    Refused(Vec<(Reason, u64)>),
    /// One slice of a recount of the books.
    Recount {
        /// From the beginning.
        begin: bool,
    },
    /// Settled rows leave after their retention, a few looked at.
    Prune {
        /// How long what is over is kept.
        retention: Retention,
        /// Where to go on.
        after: crate::redemption::Seq,
    },
    /// An operator brings rows that another gateway exported.
    Import(Import),
}

impl Op {
    /// An attempt ended of which nothing else is known.
    #[must_use]
    pub fn settle(seq: Seq, attempt: u32, ended: Ended, show: bool) -> Self {
        Self::Settle(Box::new(Settlement { seq, attempt, ended, about: About::default(), show }))
    }

    /// A till's request for a code that is good for one time only.
    #[must_use]
    pub fn accept(new: NewRedemption) -> Self {
        Self::Accept { new: Box::new(new), rules: CodeRules::default() }
    }

    /// Endings go before beginnings when a batch is run again one by one.
    fn is_ending(&self) -> bool {
        matches!(self, Self::Settle(_) | Self::Unclaim(_) | Self::Remember { .. })
    }
}

/// What became of an [`Op`], in the same order of variants.
#[derive(Clone, Debug)]
pub enum Done {
    /// Of `Accept`; with the row to send when its lane is up.
    Decided(Decision, Option<Box<Claimed>>),
    /// Of `Claim`.
    Claimed(Vec<Claimed>),
    /// Of `Settle`.
    Settled(Settled),
    /// Of `Unclaim`, `Remember`, `Record` and `Refused`.
    Noted,
    /// Of `Conclude`.
    Concluded(Concluded),
    /// Of `VoidByTill`.
    Voided(VoidOutcome),
    /// Of `Void`, `Retry` and `Handled`.
    Acted(Acted),
    /// Of `RetryHeld`: how many rows.
    Retried(u64),
    /// Of `Recount`.
    Recounted(Recounted),
    /// Of `Prune`.
    Pruned(Pruned),
    /// Of `Import`: what became of each row, in their order.
    Imported(Vec<Arrived>),
}

/// An attempt that ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The row.
    pub seq: Seq,
    /// The attempt's number.
    pub attempt: u32,
    /// How.
    pub ended: Ended,
    /// What the lane knows of it besides.
    pub about: About,
    /// A till waits: the whole row is wanted afterwards.
    pub show: bool,
}

/// A till's wait that ended without the provider's answer.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The row.
    pub seq: Seq,
    /// How the wait ended.
    pub end: WaitEnd,
    /// The row's attempt was stopped before any byte left.
    pub withdrawn: bool,
}

/// A person's word about a row.
#[derive(Clone, Debug)]
pub struct Handling {
    /// The row.
    pub id: crate::redemption::Id,
    /// The note.
    pub note: String,
    /// Its code may be redeemed again.
    pub free: bool,
    /// The person.
    pub by: String,
}

/// What the writer sees around it while it decides.
pub struct Surroundings<'a> {
    /// The wall clock.
    pub stamp: Stamp,
    /// How long the process has been on.
    pub uptime: std::time::Duration,
    /// Which day of the reports a moment belongs to.
    pub days: &'a Days,
    /// The offline policy.
    pub offline: &'a Offline,
    /// A lane's link, read inside the transaction; `pending` is the store's own to fill in.
    pub lane: &'a dyn Fn(&str) -> LaneNow,
    /// Whether others of the lane were not answered either, since the row's attempt began.
    pub evidence: &'a dyn Fn(&str, Seq, &str) -> bool,
    /// A redemption of this till, code and branch whose answer was not delivered; it is told once.
    pub undelivered: &'a dyn Fn(&str, &Request) -> Option<Seq>,
}

impl<'a> Surroundings<'a> {
    /// Surroundings without evidence and without answers that were not delivered.
    #[must_use]
    pub fn new(stamp: Stamp, offline: &'a Offline, lane: &'a dyn Fn(&str) -> LaneNow) -> Self {
        let uptime = std::time::Duration::ZERO;
        Self { stamp, uptime, days: &UTC, offline, lane, evidence: &|_, _, _| false, undelivered: &|_, _| None }
    }
}

/// Days for whoever says nothing of the store's own.
static UTC: LazyLock<Days> = LazyLock::new(Days::utc);

/// What one transaction sees around it.
struct Around<'a> {
    stamp: Stamp,
    days: &'a Days,
    /// The gateway's elapsed time, milliseconds.
    elapsed_ms: i64,
    offline: &'a Offline,
    lane: &'a dyn Fn(&str) -> LaneNow,
    evidence: &'a dyn Fn(&str, Seq, &str) -> bool,
    undelivered: &'a dyn Fn(&str, &Request) -> Option<Seq>,
}

impl Around<'_> {
    fn elapsed_min(&self) -> i64 {
        self.elapsed_ms.div_euclid(60_000)
    }
}

/// The one writing connection and what it keeps in memory: the books.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    books: books::Books,
    dir: PathBuf,
    next_seq: i64,
    elapsed: elapsed::Elapsed,
    wal_frames: Arc<AtomicU32>,
    unchecked: bool,
    /// Its schema waits for room: codes are guarded as they came, so that nothing may be accepted.
    is_put_off: bool,
    place: Place,
    _lock: files::Lock,
}

impl Store {
    /// Opens (or makes) the store in `dir`, takes its lock, and brings every row into a state from which it can go on.
    ///
    /// # Errors
    /// Somebody else holds the lock, the directory cannot be written, or the database is damaged, foreign or newer.
    pub fn open(dir: &Path) -> Result<(Self, OpenReport), StoreError> {
        opening::open(dir)
    }

    /// Runs `ops` in one transaction. If that fails, each again in one of its own, endings first; only what fails
    /// again is refused. Nothing that is returned as `Ok` is less than committed.
    pub fn run(&mut self, ops: &[Op], around: &Surroundings<'_>) -> Vec<Result<Done, StoreError>> {
        match self.transact(ops, around) {
            Ok(done) => done.into_iter().map(Ok).collect(),
            Err(error) if ops.len() == 1 || error.trouble().ends_the_store() => {
                ops.iter().map(|_| Err(error.again())).collect()
            }
            Err(_) => self.run_singly(ops, around),
        }
    }

    fn run_singly(&mut self, ops: &[Op], around: &Surroundings<'_>) -> Vec<Result<Done, StoreError>> {
        let mut order: Vec<(usize, &Op)> = ops.iter().enumerate().collect();
        order.sort_by_key(|(place, op)| (!op.is_ending(), *place));
        let mut results: Vec<(usize, Result<Done, StoreError>)> = Vec::with_capacity(ops.len());
        let mut end: Option<StoreError> = None;
        for (place, op) in order {
            let done = match &end {
                Some(error) => Err(error.again()),
                None => self.transact(std::slice::from_ref(op), around),
            };
            end = end.or_else(|| done.as_ref().err().filter(|e| e.trouble().ends_the_store()).map(StoreError::again));
            results.push((place, done.and_then(|mut done| done.pop().ok_or(StoreError::Internal("no result")))));
        }
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn transact(&mut self, ops: &[Op], around: &Surroundings<'_>) -> Result<Vec<Done>, StoreError> {
        let (books, next_seq) = (self.books.clone(), self.next_seq);
        let result = self.attempt(ops, around);
        if result.is_err() {
            self.books = books;
            self.next_seq = next_seq;
        }
        result
    }

    fn attempt(&mut self, ops: &[Op], around: &Surroundings<'_>) -> Result<Vec<Done>, StoreError> {
        let Surroundings { stamp, days, offline, lane, evidence, undelivered, .. } = *around;
        let uptime_ms = i64::try_from(around.uptime.as_millis()).unwrap_or(i64::MAX);
        let elapsed_ms = self.elapsed.now(uptime_ms, stamp);
        let around = &Around { stamp, days, elapsed_ms, offline, lane, evidence, undelivered };
        let transaction = rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut desk = Desk { sql: &transaction, books: &mut self.books, next_seq: &mut self.next_seq, around };
        let done = ops.iter().map(|op| desk.perform(op)).collect::<Result<Vec<_>, _>>()?;
        self.books.write(&transaction)?;
        self.elapsed.keep(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Whether the look through the file that an unclean stop calls for is still to be done.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        self.unchecked
    }

    /// Where the database lies.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Every lane with its books, in the order in which they were first seen.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, Counts)> {
        self.books.counts()
    }

    /// What the lane's link had to remember.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn memory(&self, lane: &str) -> Result<LaneMemory, StoreError> {
        books::memory(&self.connection, lane)
    }

    /// Makes the books of these lanes, so that they exist before their first redemption.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn ensure_lanes(&mut self, names: &[String]) -> Result<(), StoreError> {
        let mut books = self.books.clone();
        let transaction = rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        for name in names {
            books.lane(&transaction, name)?;
        }
        transaction.commit()?;
        self.books = books;
        Ok(())
    }

    /// Moves what it can of the WAL into the database, on this connection; how many frames the WAL holds.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn checkpoint(&self) -> Result<u32, StoreError> {
        let frames = checkpoint::passive(&self.connection)?;
        self.wal_frames.store(0, Ordering::Relaxed);
        Ok(frames)
    }

    /// How many frames the WAL held after the last commit, to be read beside the writer.
    #[must_use]
    pub fn wal_gauge(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.wal_frames)
    }

    /// Writes a page to the log and to the database, although in the end nothing has changed in it: whether the disk
    /// takes it. SQLite writes nothing for a row that is set to what it was; it does for one that came and went.
    ///
    /// # Errors
    /// It does not.
    pub fn probe(&self) -> Result<(), StoreError> {
        let transaction = rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        transaction.execute("INSERT INTO body VALUES (-2, x'00')", [])?;
        transaction.execute("DELETE FROM body WHERE seq = -2", [])?;
        transaction.commit()?;
        self.checkpoint().map(drop)
    }

    /// How many frames the WAL held after the last commit.
    #[must_use]
    pub fn wal_frames(&self) -> u32 {
        self.wal_frames.load(Ordering::Relaxed)
    }

    /// Sets the damaged database aside and goes on with a new one that holds every row that could be salvaged, on the
    /// same lock. Rows that are `flying`, with the number of their attempt, stay in flight. Checkpoints must be paused.
    ///
    /// # Errors
    /// The new one could not be made: this store is of no use any more, the files are where they were.
    pub fn rescue(&mut self, why: &str, flying: &[(crate::redemption::Seq, u32)]) -> Result<OpenReport, StoreError> {
        // Nothing is set aside but the file that is damaged.
        self.place.check()?;
        // The old connection is closed first: its locks end with it, and nothing more is written to the damaged file.
        self.connection = Connection::open_in_memory()?;
        let opening::Opened { connection, books, next_seq, wal_frames, report } = opening::rescue(&self.dir, why)?;
        for (seq, attempt) in flying {
            let sql = "UPDATE redemption SET in_flight = 1, attempts = ?2 WHERE seq = ?1 AND state = 0";
            connection.execute(sql, (seq.0, attempt))?;
        }
        // What this process took in is judged by its own marks as before.
        let first = self.books.first;
        (self.connection, self.books) = (connection, books.from(first));
        self.elapsed.keep_now(&self.connection)?;
        // The gauge stays the one that others read.
        let gauge = Arc::clone(&self.wal_frames);
        self.wal_frames.store(wal_frames.load(Ordering::Relaxed), Ordering::Relaxed);
        opening::count_frames(&mut self.connection, &gauge)?;
        self.place.renew();
        self.next_seq = self.next_seq.max(next_seq);
        Ok(report)
    }

    /// What was set aside and what was kept, for as long as the file that was set aside is there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn salvage_note(&self) -> Result<Option<Storage>, StoreError> {
        let text: String = self.connection.query_row("SELECT salvage FROM meta", [], |row| row.get(0))?;
        Ok(damage::note(&self.dir, &text).map(Storage::from_stored))
    }

    /// An ordered stop: the next start need not look for damage.
    ///
    /// # Errors
    /// The database cannot be written; the next start will then look.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.elapsed.keep_now(&self.connection)?;
        self.connection.execute("UPDATE meta SET clean = 1", [])?;
        self.checkpoint()?;
        Ok(())
    }
}

/// One transaction's working place.
struct Desk<'a> {
    sql: &'a Connection,
    books: &'a mut books::Books,
    next_seq: &'a mut i64,
    around: &'a Around<'a>,
}

impl Desk<'_> {
    fn perform(&mut self, op: &Op) -> Result<Done, StoreError> {
        match op {
            Op::Accept { new, rules } => self.accept(new, *rules),
            Op::Claim(claim) => self.claim(claim).map(Done::Claimed),
            Op::Settle(settlement) => self.settle(settlement).map(Done::Settled),
            Op::Unclaim(rows) => self.unclaim(rows),
            Op::Conclude(conclusion) => self.conclude(conclusion).map(Done::Concluded),
            Op::Handled(handling) => self.handled(handling).map(Done::Acted),
            Op::VoidByTill { id, till, withdrawn } => self.void_by_till(id, till, *withdrawn).map(Done::Voided),
            Op::Void { id, note, by } => self.void(id, note, by).map(Done::Acted),
            Op::Retry { id, by } => self.retry(id, by).map(Done::Acted),
            Op::RetryHeld { lane, by } => self.retry_held(lane, by).map(Done::Retried),
            Op::Remember { lane, memory, streak } => self.remember(lane, memory, streak),
            Op::Record(event) => self.record(event, None).map(|()| Done::Noted),
            Op::Refused(refused) => self.refused(refused),
            Op::Recount { begin } => self.recount(*begin).map(Done::Recounted),
            Op::Prune { retention, after } => self.prune(*retention, *after).map(Done::Pruned),
            Op::Import(import) => self.import(import).map(Done::Imported),
        }
    }
}
