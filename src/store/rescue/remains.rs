//! What is exported: pages of open rows, from a running store or from a state directory whose
//! daemon is gone.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Exported, Octets, ProviderSaid};
use crate::decide::{self, mark};
use crate::message::Note;
use crate::redemption::{Id, Seq, State};
use crate::store::row::{self, Stored};
use crate::store::{
    FILE, LOG, Reader, StoreError, Tally, Trouble, aside, connection, damage, files, schema, sums,
    worth,
};

/// The most rows of a page.
const ROWS_MAX: usize = 500;
/// No further row once a page's bodies come to so many bytes.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long SQLite may look through a database that is to be exported; what it cannot finish counts
/// as sound.
const CHECK_WITHIN: Duration = Duration::from_secs(60);

/// So many redemptions that are owed are named.
const OWED_NAMED_MAX: usize = 10;

/// Some open rows in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Exported>,
    /// Open rows that are not as they were written, by their numbers.
    pub unreadable: Vec<Seq>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Seq>,
    /// On the first page, how many are owed: they are settled, and none of them is exported.
    #[serde(default)]
    pub owed: u64,
    /// The newest of them, ten at most.
    #[serde(default)]
    pub owed_ids: Vec<Id>,
}

impl Reader {
    /// The pending and parked rows after `after`, whole, at most `rows_max` and 500.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn export(&self, after: Seq, rows_max: usize) -> Result<Page, StoreError> {
        let limit = rows_max.clamp(1, ROWS_MAX);
        let mut numbers = self.pending(after.0, limit)?;
        numbers.extend(self.exceptions(State::Parked, after.0, limit)?);
        numbers.sort_unstable();
        numbers.truncate(limit);
        let (owed, owed_ids) = if after == Seq(0) { self.owed() } else { (0, Vec::new()) };
        let first = Page { owed, owed_ids, ..Page::default() };
        let (mut page, mut bytes, mut last) = (first, 0, after);
        for seq in &numbers {
            last = *seq;
            match self.exported(*seq)? {
                Some(Ok(row)) => {
                    bytes += row.weight();
                    page.rows.push(row);
                }
                Some(Err(damaged)) => page.unreadable.push(damaged),
                None => {}
            }
            if bytes >= BODY_BYTES_MAX {
                break;
            }
        }
        page.next = (bytes >= BODY_BYTES_MAX || numbers.len() >= limit).then_some(last);
        Ok(page)
    }

    /// How many are owed, and the newest of them. What cannot be counted keeps nobody from saving
    /// the rows.
    fn owed(&self) -> (u64, Vec<Id>) {
        let figure = self.figure_of_owed().unwrap_or(0);
        self.owed_of(figure, OWED_NAMED_MAX).unwrap_or((figure, Vec::new()))
    }

    /// One row; `None` when it was settled meanwhile.
    fn exported(&self, seq: Seq) -> Result<Option<Result<Exported, Seq>>, StoreError> {
        let open = |row: &Stored| matches!(row.state, State::Pending | State::Parked);
        let Some(stored) = row::by_seq(&self.connection, seq)?.filter(open) else {
            return Ok(None);
        };
        if !stored.is_intact() {
            return Ok(Some(Err(seq)));
        }
        let body = row::body(&self.connection, seq)?;
        let body_fits = crc32c::crc32c(&body) == stored.body_crc;
        let (answer, mut note) = stored.note(&self.connection)?;
        let mut state = stored.state;
        if !body_fits && state == State::Pending {
            state = State::Parked;
            note = Some(Note::BodyDamaged.to_stored());
        }
        let body = if body_fits { body } else { Vec::new() };
        let lane = self.lanes.get(&stored.lane).cloned().unwrap_or_default();
        let answer = answer.as_ref().map(ProviderSaid::of);
        let given = worth::of(&self.connection, seq)?;
        let value = given.as_ref().map(|given| given.worth.amount().0);
        let value_assumed = given.as_ref().is_some_and(|given| given.worth.is_assumed());
        let rule = given.map(|given| given.rule).unwrap_or_default();
        Ok(Some(Ok(Exported {
            state,
            lane,
            value,
            value_assumed,
            rule,
            note,
            answer,
            ..plain(&stored, &body)
        })))
    }
}

fn plain(stored: &Stored, body: &[u8]) -> Exported {
    let doubt = if stored.in_flight { mark::UNCERTAIN } else { 0 };
    // Its process is gone: what it left unmarked counts as given, on the next box too.
    let marks = decide::marks_found(stored.state, stored.kind, stored.marks);
    Exported {
        id: stored.id(),
        state: stored.state,
        lane: String::new(),
        till: stored.till.clone(),
        business_refrence: stored.business.clone(),
        reward_code: stored.code.reveal().to_owned(),
        branch_id: stored.branch.clone(),
        date: stored.date.clone(),
        body: Octets::of(body),
        key: Octets::digits(&stored.key),
        request: Octets::digits(&stored.request),
        accepted_ms: stored.accepted_ms,
        kind: stored.kind & super::KINDS,
        marks: (marks & super::MARKS) | doubt,
        attempts: stored.attempts,
        value: None,
        value_assumed: false,
        rule: String::new(),
        note: None,
        answer: None,
    }
}

impl Exported {
    /// About how much of a page it takes.
    fn weight(&self) -> usize {
        let bytes = |octets: &Octets| match octets {
            Octets::Text(text) => text.len(),
            Octets::Hex { hex } => hex.len(),
        };
        bytes(&self.body) + self.answer.as_ref().map_or(0, |said| bytes(&said.body))
    }
}

/// A state directory whose daemon does not run, under its lock, to be exported. Database and log
/// stay as they are.
#[derive(Debug)]
pub struct Remains {
    reader: Reader,
    salvage: Option<(String, Tally)>,
    _lock: Option<files::Lock>,
}

impl Remains {
    /// Opens what is in `dir`: with SQLite where the database is sound, else page by page into a
    /// temporary file.
    ///
    /// # Errors
    /// A daemon works there, there is no database, or it is a newer version's or another program's.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = files::lock_to_read(dir)?;
        if let Some(name) = aside::finished(dir)? {
            // A rescue that a power cut stopped: the new database is whole, the damaged one still
            // in its place.
            let path = dir.join(format!("{}{name}", aside::FINISHED));
            let no_log = dir.join(format!("{name}.none"));
            let why = "the database is damaged (a rescue of it was cut short)";
            return Self::salvaged((&path, &no_log), why, lock);
        }
        match sound(dir) {
            Ok(reader) => Ok(Self { reader, salvage: None, _lock: lock }),
            Err(error) if calls_for_salvage(&error) => {
                let (file, log) = (dir.join(FILE), dir.join(LOG));
                Self::salvaged((&file, &log), &wrong(&error), lock)
            }
            Err(error) => Err(error),
        }
    }

    /// Into SQLite's own temporary file, which has no name and goes with the connection.
    fn salvaged(
        (file, log): (&Path, &Path),
        why: &str,
        lock: Option<files::Lock>,
    ) -> Result<Self, StoreError> {
        let connection = schema::create(Path::new(""))?;
        let tally = damage::read_into(&connection, file, log)?;
        Ok(Self {
            reader: Reader::on(connection)?,
            salvage: Some((why.to_owned(), tally)),
            _lock: lock,
        })
    }

    /// Some open rows; see [`Reader::export`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn export(&self, after: Seq, rows_max: usize) -> Result<Page, StoreError> {
        self.reader.export(after, rows_max)
    }

    /// What is wrong with the database, a sentence, and what could be read of it all the same.
    #[must_use]
    pub fn salvage(&self) -> Option<&(String, Tally)> {
        self.salvage.as_ref()
    }
}

/// A disk that gives no access is not a damaged database, but one that SQLite cannot work on may
/// still be read.
fn calls_for_salvage(error: &StoreError) -> bool {
    match error.trouble() {
        Trouble::Damaged => true,
        Trouble::Unwritable | Trouble::Full | Trouble::Fatal => {
            matches!(error, StoreError::Sqlite(_))
        }
        Trouble::Operation => error.is_of_locking(),
    }
}

/// What is wrong with a database that is to be read page by page.
fn wrong(error: &StoreError) -> String {
    if matches!(error, StoreError::Damaged(_)) {
        return error.to_string();
    }
    let is_damaged = error.trouble() == Trouble::Damaged;
    let what = if is_damaged { "is damaged" } else { "cannot be opened for reading here" };
    format!("the database {what} ({error})")
}

/// A reader on a database that stood every look: its header, its log, its schema, its pages, its
/// books.
fn sound(dir: &Path) -> Result<Reader, StoreError> {
    let path = dir.join(FILE);
    let is_moved = damage::look_whether_moved(dir)
        .map_err(|error| if dir.join(LOG).exists() { damaged(error) } else { error })?;
    let open = if is_moved { connection::open_still } else { connection::open_reader };
    let mut connection = open(&path)?;
    schema::check_schema(&connection)?;
    connection::quick_check(&mut connection, CHECK_WITHIN)?;
    for state in [State::Pending, State::Parked] {
        // Written so, the indexes answer through which the rows are found.
        let half = if state == State::Pending { "state = 0" } else { "state = 3 AND state >= 2" };
        let open = format!("SELECT count(*) FROM redemption WHERE {half}");
        let rows: u64 = connection.query_row(&open, [], |row| row.get(0))?;
        let known = sums::in_state(&connection, state)?;
        if rows != known {
            return Err(StoreError::Damaged(format!(
                "its books know {known} rows {state}, and {rows} are found"
            )));
        }
    }
    Reader::on(connection)
}

/// A log without its database still holds rows.
fn damaged(error: StoreError) -> StoreError {
    let kind = if let StoreError::File { error, .. } = &error { Some(error.kind()) } else { None };
    if kind == Some(std::io::ErrorKind::NotFound) {
        return StoreError::Damaged("the file is gone, its log is there".to_owned());
    }
    error
}
