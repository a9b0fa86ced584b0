//! What must be true of any image: all that was reported, at most the step that was under way,
//! nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redeemd::redemption::{Redemption, State};
use redeemd::store::{Decided, Decision, FILE, Filter, Reader, Recount, Store};

use crate::tape::Event;
use crate::workload;

/// The rows as the workload knows them: by id, the state, with a question mark for a doubt.
type Rows = BTreeMap<String, String>;

/// How many rows one listing returns.
const PAGE_ROWS: usize = 1000;

#[derive(Default)]
pub(crate) struct Oracle {
    now: Known,
    /// What is done and not yet reported, and what is known once it is.
    under_way: Option<(String, Known)>,
    /// How many lines were heard: what must be true of an image depends on it.
    moment: usize,
}

#[derive(Clone, Debug, Default)]
struct Known {
    rows: Rows,
    /// Every id that was ever accepted.
    accepted: BTreeSet<String>,
}

/// What an image holds.
struct Found {
    rows: Rows,
    accepted: u64,
    salvaged: Option<String>,
    moved: bool,
}

impl Known {
    fn learn(&mut self, line: &str) {
        for (id, state) in line.split(' ').skip(2).filter_map(|word| word.split_once('=')) {
            self.accepted.insert(id.to_owned());
            if state == "gone" {
                self.rows.remove(id);
            } else {
                self.rows.insert(id.to_owned(), state.to_owned());
            }
        }
    }

    fn is(&self, found: &Found) -> bool {
        self.rows == found.rows && self.accepted.len() as u64 == found.accepted
    }
}

impl Oracle {
    /// How far the story has come.
    pub(crate) fn moment(&self) -> usize {
        self.moment
    }

    /// The step that is under way.
    pub(crate) fn step(&self) -> &str {
        self.under_way.as_ref().map_or("nothing", |(step, _)| step)
    }

    /// Follows what the workload said; `rest` is what it said later.
    pub(crate) fn hear(&mut self, event: &Event, rest: &[Event]) {
        let Event::Said(line) = event else { return };
        self.moment += 1;
        if line.starts_with("done") {
            self.now.learn(line);
            self.under_way = None;
            return;
        }
        let what = line.splitn(3, ' ').nth(2).expect("what begins");
        let mut after = self.now.clone();
        let done = rest
            .iter()
            .find_map(|event| if let Event::Said(done) = event { Some(done) } else { None });
        after.learn(done.expect("the end of the step"));
        self.under_way = Some((what.to_owned(), after));
    }

    /// What was reported is there; what was under way happened as a whole or not at all; nothing
    /// else did.
    pub(crate) fn check(&self, dir: &Path, place: &str) {
        let (step, after) =
            self.under_way.as_ref().map_or(("nothing", &self.now), |(step, after)| (step, after));
        let place = format!("{place}, under way: {step}");
        let found = look(dir, &place);
        assert!(
            !found.moved || step == "migrate",
            "{place}: the image does not lie in the inode of the recording"
        );
        let is_sound = found.salvaged.is_none() || step == "rescue";
        assert!(is_sound, "{place}: damage was seen where there was none: {:?}", found.salvaged);
        let differ: Vec<_> = found
            .rows
            .iter()
            .filter(|(id, state)| self.now.rows.get(*id) != Some(*state))
            .collect();
        let missing: Vec<_> =
            self.now.rows.keys().filter(|id| !found.rows.contains_key(*id)).collect();
        let fits = self.now.is(&found) || after.is(&found);
        assert!(
            fits,
            "{place}: accepted {}, other than reported {differ:?}, missing {missing:?}",
            found.accepted
        );
    }
}

/// Opens the image, reads everything, accepts one more redemption, and starts once more.
fn look(dir: &Path, place: &str) -> Found {
    let (mut store, report) = Store::open(dir).unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = read(dir, place);
    let counts: Vec<_> = store.counts().into_iter().map(|(_, counts)| counts).collect();
    assert!(counts.iter().all(redeemd::store::Counts::balance), "{place}: {counts:?}");
    let accepted = counts.iter().map(|counts| counts.accepted).sum();
    for (state, counted) in [
        (State::Pending, counts.iter().map(|counts| counts.pending).sum::<u64>()),
        (State::Parked, counts.iter().map(|counts| counts.parked).sum::<u64>()),
    ] {
        let rows = found.values().filter(|row| row.trim_end_matches('?') == state.as_str()).count();
        assert_eq!(rows as u64, counted, "{place}: {state}");
    }
    let done = workload::run(&mut store, vec![workload::accept("AFTERWARDS")], false);
    assert!(
        matches!(done[..], [Decided { decision: Decision::Taken(_), .. }]),
        "{place}: {done:?}"
    );
    recount(&mut store, place);
    drop(store);
    let (_, again) = Store::open(dir).unwrap_or_else(|error| panic!("{place}, once more: {error}"));
    assert!(again.salvage.is_none(), "{place}, once more: {:?}", again.salvage);
    assert_eq!(read(dir, place).len(), found.len() + 1, "{place}: once more");
    assert_eq!(sqlites_opinion(dir), "ok", "{place}");
    // Why it was salvaged, for whoever reads a failure.
    let salvaged = report.salvage.map(|salvage| salvage.why);
    Found { rows: found, accepted, salvaged, moved: report.copied.is_some() }
}

/// Every row is found by its guard, and by each index.
fn recount(store: &mut Store, place: &str) {
    let mut begin = true;
    loop {
        let counted = workload::run(store, vec![Recount { begin }], false).remove(0);
        assert!(counted.differences.is_empty(), "{place}: {counted:?}");
        if counted.finished {
            return;
        }
        begin = false;
    }
}

/// What SQLite finds in the file when it compares every index with its table.
fn sqlites_opinion(dir: &Path) -> String {
    let raw = rusqlite::Connection::open(dir.join(FILE)).unwrap();
    raw.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).unwrap()
}

fn read(dir: &Path, place: &str) -> Rows {
    let reader = Reader::open(&dir.join(FILE)).unwrap_or_else(|error| panic!("{place}: {error}"));
    let (mut rows, mut after) = (Vec::new(), None);
    while after.is_none_or(|_| rows.len() % PAGE_ROWS == 0) {
        rows.extend(reader.list(&Filter { after, limit: PAGE_ROWS, ..Filter::default() }).unwrap());
        let last = rows.last().map(|row: &Redemption| row.seq);
        if last == after {
            break;
        }
        after = last;
    }
    let codes: BTreeSet<&str> = rows.iter().map(|row| row.reward_code.reveal()).collect();
    assert_eq!(codes.len(), rows.len(), "{place}: a code twice");
    let told = |pending: bool, uncertain: bool| if pending && uncertain { "?" } else { "" };
    rows.iter()
        .map(|row| {
            (
                row.id.to_string(),
                format!("{}{}", row.state, told(row.state == State::Pending, row.uncertain)),
            )
        })
        .collect()
}
