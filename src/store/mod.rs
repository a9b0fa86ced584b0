//! All the SQL: schema, migrations, accept, claim, settle, count, list.

mod accept;
mod act;
mod aside;
mod backup;
mod books;
mod check_filter;
mod checkpoint;
mod checks;
mod connection;
mod copied;
mod damage;
mod doubt;
mod elapsed;
mod error;
mod files;
mod flying;
mod forward;
mod guards;
mod held;
mod identity;
mod keep;
mod keyed;
mod migration;
mod opening;
mod operation;
mod prune;
mod read;
mod recount;
mod refold;
mod rescue;
mod risk;
mod row;
mod schema;
mod search;
mod steps;
mod sums;
mod tallies;
mod transaction;
mod trust;
mod types;
mod worth;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, TransactionBehavior};

use crate::clock::{Days, Stamp, Zone, signed_ms};
use crate::limits::LaneNow;
use crate::message::Storage;
use crate::redemption::{Id, Request, Seq};
use crate::settings::Offline;
use damage::count_step;
use identity::CutCopy;

pub use accept::{Accept, Decided};
pub use act::{Conclusion, Handling, Record, Retry, RetryHeld, Unheard, Void, VoidByTill};
pub use books::{Hold, LaneMemory, Remember, WaitMemory};
pub use checkpoint::{Checkpointer, Pace, Paused};
pub use checks::{
    CHECK_BYTES_MAX, CheckAnswer, CheckAnswered, CheckAsked, CheckHeld, CheckKnown, CheckSaid,
    ForgetChecks, LearnChecks,
};
pub use damage::{Salvage, Tally, salvage_steps};
pub use error::{StoreError, Trouble};
pub use files::{DiskRoom, FREE_BYTES_MIN, RESERVE_BYTES, free_bytes, is_volatile};
pub use forward::{About, Claim, Claimed, Ended, Settled, Settlement, Unclaim};
pub use identity::{FileWatch, Place};
pub use migration::Migrated;
pub use opening::{Found, Inspection, OpenReport, inspect};
pub use operation::{AfterCommit, Job, Operation, OperationKind, Task};
pub use prune::{Prune, Pruned, Retention};
pub use read::{Reader, read_steps};
pub use recount::{Recount, RecountOn, Recounted};
pub use rescue::{
    Arrived, EndLine, ExportLine, Exported, FORMAT, Header, Import, LineFault, Page, Remains, seal,
    unseal,
};
pub use risk::{AskStanding, LaneStanding, Standing, TillAtLimit};
pub use search::{CodeHash, FoundRows, LOOK_FOR_MAX, LOOKED_MAX, LookEnd, RowSpan, Search};
pub use tallies::{Refused, TillDay, TillDays};
pub use trust::{LANES_TO_COME, Off, Switched, TrustOff, TrustSwitch};
pub use types::{
    Acted, Concluded, Counts, Decision, Event, Filter, Headroom, Holder, Kept, Limit,
    NewRedemption, NotGiven, Taken, UsedBy, VoidOutcome, relayed,
};

/// The database's file name in the state directory.
pub const FILE: &str = "redeemd.db";
/// The file names of its log and of the log's index.
const LOG: &str = "redeemd.db-wal";
const SHARED: &str = "redeemd.db-shm";
/// How many frames the WAL may hold before the writer moves them into the database: 16 MiB, some
/// hundred redemptions of one till, so that fewer than one in a hundred waits for it.
pub const WAL_FRAMES_SOFT: u32 = 4000;
/// The same where space is not ample: 4 MiB.
const WAL_FRAMES_TIGHT: u32 = 1000;
/// Where a reader holds it: once it is half way to so many a long look through the file gives way.
pub const WAL_FRAMES_HARD: u32 = 8000;

/// What the writer sees around it while it decides.
pub struct Surroundings<'a> {
    /// The wall clock.
    pub stamp: Stamp,
    /// How long the process has been on.
    pub uptime: std::time::Duration,
    /// The store's own time zone.
    pub zone: &'a Zone,
    /// Which day of the reports a moment belongs to.
    pub days: &'a Days,
    /// The offline policy.
    pub offline: &'a Offline,
    /// A lane's link, read inside the transaction; `pending` is the store's own to fill in.
    pub lane: &'a dyn Fn(&str) -> LaneNow,
    /// Whether others of the lane were not answered either, since the row's attempt began.
    pub evidence: &'a dyn Fn(&str, Seq, &str) -> bool,
    /// What tills wait for and have missed.
    pub tills: &'a dyn TillsNow,
}

/// What tills wait for and have missed, as it is inside the transaction.
pub trait TillsNow {
    /// Whether a till waits for the row's answer: it is told with the commit, or asks once more
    /// after it.
    fn is_awaited(&self, _seq: Seq) -> bool {
        false
    }

    /// A redemption of this till, code and branch whose answer was not delivered. It is told once.
    /// `exact`: other bytes that fold alike are another code.
    fn take_undelivered(&self, _till: &str, _request: &Request, _exact: bool) -> Option<Seq> {
        None
    }

    /// What was taken last was not told after all.
    fn give_back_undelivered(&self) {}

    /// The transaction has ended. What it took stays taken only if it is committed.
    fn ended(&self, _is_committed: bool) {}
}

/// No till is there.
impl TillsNow for () {}

impl<'a> Surroundings<'a> {
    /// Surroundings without evidence and without tills that wait, whose days and hours are those of
    /// UTC.
    #[must_use]
    pub fn new(stamp: Stamp, offline: &'a Offline, lane: &'a dyn Fn(&str) -> LaneNow) -> Self {
        let uptime = std::time::Duration::ZERO;
        let evidence = &|_: &str, _: Seq, _: &str| false;
        Self { stamp, uptime, zone: &UTC_ZONE, days: &UTC, offline, lane, evidence, tills: &() }
    }
}

/// Days for whoever says nothing of the store's own.
static UTC: LazyLock<Days> = LazyLock::new(Days::utc);
static UTC_ZONE: LazyLock<Zone> = LazyLock::new(Zone::utc);

/// What one transaction sees around it.
struct Around<'a> {
    surroundings: &'a Surroundings<'a>,
    elapsed: &'a elapsed::Elapsed,
}

impl<'a> std::ops::Deref for Around<'a> {
    type Target = Surroundings<'a>;

    fn deref(&self) -> &Surroundings<'a> {
        self.surroundings
    }
}

impl Around<'_> {
    /// The gateway's elapsed time, minutes.
    fn elapsed_min(&self) -> i64 {
        self.elapsed.now_ms().div_euclid(60_000)
    }
}

/// The one writing connection and what it keeps in memory: the books, the newest guards, and
/// of which codes no check is remembered.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    books: books::Books,
    guards: guards::Guards,
    checks: check_filter::CheckFilter,
    dir: PathBuf,
    next_seq: i64,
    elapsed: elapsed::Elapsed,
    flying: flying::InFlightRows,
    keyed: keyed::KeyedRows,
    wal_frames: Arc<AtomicU32>,
    unchecked: bool,
    /// Its schema waits for room: codes are guarded as they came, so that nothing may be accepted.
    is_put_off: bool,
    place: Place,
    _lock: files::Lock,
}

impl Store {
    /// Opens (or makes) the store in `dir`, takes its lock, and brings every row into a state from
    /// which it can go on.
    ///
    /// # Errors
    /// Somebody else holds the lock, the directory cannot be written, or the database is damaged,
    /// foreign or newer.
    pub fn open(dir: &Path) -> Result<(Self, OpenReport), StoreError> {
        opening::open(dir)
    }

    /// Runs `tasks` in one transaction. If that fails, each half again in one of its own, endings
    /// first, down to the one that fails alone; only that is refused. Nothing that has no error
    /// afterwards is less than committed.
    pub fn run(&mut self, tasks: &mut [&mut dyn Task], around: &Surroundings<'_>) {
        let Err(error) = self.transact(tasks, around) else { return };
        if tasks.len() == 1 || error.trouble().ends_the_store() {
            return fail_all(tasks, &error);
        }
        tasks.sort_by_key(|task| task.kind() != OperationKind::Ending);
        let (first, second) = tasks.split_at_mut(tasks.len() / 2);
        self.run(first, around);
        let mut errors = first.iter().filter_map(|task| task.error());
        match errors.find(|error| error.trouble().ends_the_store()) {
            Some(end) => fail_all(second, end),
            None => self.run(second, around),
        }
    }

    /// Runs one operation in a transaction of its own.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn perform<O: Operation>(
        &mut self,
        operation: O,
        around: &Surroundings<'_>,
    ) -> Result<O::Output, StoreError> {
        let mut job = Job::new(operation);
        self.run(&mut [&mut job], around);
        job.outcome()
    }

    /// Runs operations of one kind in one transaction, as [`Store::run`] does; what came of each.
    pub fn perform_all<O: Operation>(
        &mut self,
        operations: impl IntoIterator<Item = O>,
        around: &Surroundings<'_>,
    ) -> Vec<Result<O::Output, StoreError>> {
        let mut jobs: Vec<Job<O>> = operations.into_iter().map(Job::new).collect();
        let mut tasks: Vec<&mut dyn Task> =
            jobs.iter_mut().map(|job| job as &mut dyn Task).collect();
        self.run(&mut tasks, around);
        jobs.into_iter().map(Job::outcome).collect()
    }

    fn transact(
        &mut self,
        tasks: &mut [&mut dyn Task],
        around: &Surroundings<'_>,
    ) -> Result<(), StoreError> {
        let (books, next_seq) = (self.books.clone(), self.next_seq);
        let result = self.attempt(tasks, around).map_err(|error| files::named(error, &self.dir));
        if result.is_err() {
            self.books = books;
            self.next_seq = next_seq;
            self.guards.rolled_back();
            self.checks.rolled_back();
        } else {
            drop(books);
            self.books.settle();
            self.guards.committed();
            self.checks.committed();
        }
        around.tills.ended(result.is_ok());
        result
    }

    fn attempt(
        &mut self,
        tasks: &mut [&mut dyn Task],
        around: &Surroundings<'_>,
    ) -> Result<(), StoreError> {
        let uptime_ms = signed_ms(around.uptime);
        self.elapsed.look(uptime_ms, around.stamp);
        let around = &Around { surroundings: around, elapsed: &self.elapsed };
        let transaction = transaction::Transaction::begin(&self.connection)?;
        let (books, guards, next_seq) = (&mut self.books, &mut self.guards, &mut self.next_seq);
        let (sql, tags) = (&self.connection, row::Tags::new(tasks.len()));
        let (flying, keyed, checks) = (&mut self.flying, &mut self.keyed, &mut self.checks);
        let statements = transaction::Statements::new(sql);
        let mut desk = Desk {
            sql,
            statements,
            books,
            guards,
            checks,
            next_seq,
            tags,
            flying,
            keyed,
            around,
            awaited: Vec::new(),
            damaged: Vec::new(),
            has_ages: false,
        };
        tasks.iter_mut().try_for_each(|task| task.perform(&mut desk))?;
        let (has_ages, damaged) = (desk.has_ages, std::mem::take(&mut desk.damaged));
        drop(desk);
        self.books.write(sql, self.elapsed.on_min())?;
        self.elapsed.keep(sql, has_ages)?;
        self.guards.merge(sql, Seq(self.next_seq.saturating_sub(1)))?;
        transaction.commit()?;
        damaged.iter().for_each(forward::tell_damaged);
        Ok(())
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

    /// How many tills' checks are remembered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn checks_kept(&self) -> Result<u64, StoreError> {
        if self.books.keeps_checks { checks::count(&self.connection) } else { Ok(0) }
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
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        for name in names {
            books.lane(&transaction, name)?;
        }
        transaction.commit()?;
        self.books = books;
        Ok(())
    }

    /// How many of the newest rows' guards are kept in memory before the table of guards gets them:
    /// 16,384 unless this says otherwise. More of them make fewer writes, and a longer start.
    pub fn keep_recent_guards(&mut self, rows: usize) {
        self.guards.keep_recent(rows);
    }

    /// Moves what it can of the WAL into the database, on this connection; how many frames the WAL
    /// holds.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn checkpoint(&self) -> Result<u32, StoreError> {
        let (frames, _) = checkpoint::passive(&self.connection)?;
        self.log_is_moved();
        Ok(frames)
    }

    /// The WAL was moved into the database: no frame of it counts until the next commit.
    pub fn log_is_moved(&self) {
        self.wal_frames.store(0, Ordering::Relaxed);
    }

    /// How many frames the WAL held after the last commit, to be read beside the writer.
    #[must_use]
    pub fn wal_gauge(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.wal_frames)
    }

    /// Writes a page to the log and to the database, although in the end nothing has changed in it:
    /// whether the disk takes it. SQLite writes nothing for a row that is set to what it was; it
    /// does for one that came and went.
    ///
    /// # Errors
    /// It does not.
    pub fn probe(&self) -> Result<(), StoreError> {
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
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

    /// Sets the damaged database aside and goes on with a new one that holds every row that could
    /// be salvaged, on the same lock. Of one that was cut short this connection may know all. Rows
    /// that are `flying`, with the number of their attempt,
    /// stay in flight. Checkpoints must be paused.
    ///
    /// # Errors
    /// The new one could not be made: this store is of no use any more, the files are where they
    /// were.
    pub fn rescue(
        &mut self,
        why: &str,
        flying: &[(crate::redemption::Seq, u32)],
    ) -> Result<OpenReport, StoreError> {
        // Nothing is set aside but the file that is damaged.
        let copy = match self.place.check() {
            Ok(()) => None,
            Err(cut @ StoreError::Damaged(_)) => self.save_cut(&cut).ok(),
            Err(taken) => return Err(taken),
        };
        // The old connection is closed first: its locks end with it, and nothing more is written to
        // the damaged file.
        self.connection = Connection::open_in_memory()?;
        let opened = match copy {
            Some(CutCopy::Whole) => opening::go_on_with_saved(&self.dir)?,
            Some(CutCopy::Part(part)) => opening::rescue(&self.dir, why, Some(&part))?,
            None => opening::rescue(&self.dir, why, None)?,
        };
        let opening::Opened { connection, books, guards, next_seq, wal_frames, report } = opened;
        for (seq, attempt) in flying {
            let sql =
                "UPDATE redemption SET in_flight = 1, attempts = ?2 WHERE seq = ?1 AND state = 0";
            connection.execute(sql, (seq.0, attempt))?;
        }
        // What this process took in is judged by its own marks as before.
        let first = self.books.first;
        (self.connection, self.books) = (connection, books.from(first));
        (self.guards, self.checks) = (guards, check_filter::CheckFilter::default());
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
        let text: String =
            self.connection.query_row("SELECT salvage FROM meta", [], |row| row.get(0))?;
        Ok(damage::note(&self.dir, &text).map(Storage::from_stored))
    }

    /// An ordered stop: the next start need not look for damage.
    ///
    /// # Errors
    /// The database cannot be written; the next start will then look.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.elapsed.keep_now(&self.connection)?;
        let counterpart = copied::renew(&self.connection, &self.dir)?;
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("UPDATE meta SET clean = 1", [])?;
        self.books.last.flush(&transaction)?;
        copied::learn(&transaction, &self.dir, &counterpart)?;
        transaction.commit()?;
        let (_, is_whole) = checkpoint::passive(&self.connection)?;
        if is_whole { damage::empty_log(&self.dir) } else { Ok(()) }
    }
}

fn fail_all(tasks: &mut [&mut dyn Task], error: &StoreError) {
    for task in tasks {
        task.fail(error.again());
    }
}

/// One transaction's working place.
pub struct Desk<'a> {
    sql: &'a Connection,
    statements: transaction::Statements<'a>,
    books: &'a mut books::Books,
    guards: &'a mut guards::Guards,
    checks: &'a mut check_filter::CheckFilter,
    next_seq: &'a mut i64,
    tags: row::Tags,
    flying: &'a mut flying::InFlightRows,
    keyed: &'a mut keyed::KeyedRows,
    around: &'a Around<'a>,
    /// Rows for which a till waits once this transaction is committed.
    awaited: Vec<Seq>,
    /// Redemptions that were found damaged and are parked, with their lanes.
    damaged: Vec<(String, Id)>,
    /// Something was written that must not seem younger after a crash.
    has_ages: bool,
}
