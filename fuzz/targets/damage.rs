//! Damaged databases: whatever became of the file and its log, reading ends, and what is kept is what is counted.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use redeemd::clock::Stamp;
use redeemd::limits::LaneNow;
use redeemd::redemption::{Seq, State};
use redeemd::settings::Offline;
use redeemd::store::{Accept, FILE, NewRedemption, Remains, Store, Surroundings};

/// How many redemptions the sound database holds; the first of them are in the file, the others in
/// the log.
const ROWS: u8 = 40;
const ROWS_IN_FILE: u8 = 25;
const LOG: &str = "redeemd.db-wal";
const PAGE_BYTES: usize = 4096;
/// How many edits are made at the most.
const EDITS_MAX: usize = 16;

#[derive(Arbitrary, Debug)]
enum Edit {
    Flip { is_log: bool, at: u32, bit: u8 },
    Write { is_log: bool, at: u32, bytes: [u8; 8] },
    Clear { is_log: bool, page: u8 },
    Copy { is_log: bool, from: u8, to: u8 },
    Cut { is_log: bool, at: u32 },
    Remove { is_log: bool },
}

/// A file and its log as a process leaves them that is killed.
#[derive(Clone)]
struct Files {
    database: Option<Vec<u8>>,
    log: Option<Vec<u8>>,
}

static SOUND: LazyLock<Files> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap().0;
    for code in 0..ROWS {
        accept(&mut store, code);
        if code == ROWS_IN_FILE {
            store.checkpoint().unwrap();
        }
    }
    let read = |name: &str| Some(fs::read(dir.path().join(name)).unwrap());
    Files { database: read(FILE), log: read(LOG) }
});

fn accept(store: &mut Store, code: u8) {
    let body = format!(
        r#"{{"reward_code":"C{code}","business_refrence":"b","branch_id":"1","date":"d","timestamp":"t"}}"#
    );
    let request = redeemd::contract::parse(body.into()).unwrap();
    let new = NewRedemption { till: "t".to_owned(), key: None, lane: "l".to_owned(), request };
    let offline =
        Offline { max_pending: 1000, max_pending_per_till: 1000, ..Offline::default() };
    let stamp = Stamp { unix_ms: 1_800_000_000_000, trusted: true };
    let around = Surroundings::new(stamp, &offline, &|_| LaneNow::down());
    store.perform(Accept::once(new), &around).unwrap();
}

impl Files {
    fn edit(&mut self, edit: &Edit) {
        let (Edit::Flip { is_log, .. }
        | Edit::Write { is_log, .. }
        | Edit::Clear { is_log, .. }
        | Edit::Copy { is_log, .. }
        | Edit::Cut { is_log, .. }
        | Edit::Remove { is_log }) = edit;
        let file = if *is_log { &mut self.log } else { &mut self.database };
        let Some(bytes) = file.as_mut().filter(|bytes| bytes.len() > PAGE_BYTES) else { return };
        let place = |at: u32| at as usize % (bytes.len() - 8);
        let page = |page: u8| usize::from(page) % (bytes.len() / PAGE_BYTES) * PAGE_BYTES;
        match *edit {
            Edit::Flip { at, bit, .. } => {
                let at = place(at);
                bytes[at] ^= 1 << (bit % 8);
            }
            Edit::Write { at, bytes: new, .. } => {
                let at = place(at);
                bytes[at..at + 8].copy_from_slice(&new);
            }
            Edit::Clear { page: number, .. } => {
                let at = page(number);
                bytes[at..at + PAGE_BYTES].fill(0);
            }
            Edit::Copy { from, to, .. } => {
                let (from, to) = (page(from), page(to));
                bytes.copy_within(from..from + PAGE_BYTES, to);
            }
            Edit::Cut { at, .. } => {
                let at = place(at);
                bytes.truncate(at);
            }
            Edit::Remove { .. } => *file = None,
        }
    }

    fn write(&self, dir: &Path) {
        for (name, bytes) in [(FILE, &self.database), (LOG, &self.log)] {
            if let Some(bytes) = bytes {
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
    }
}

fuzz_target!(|edits: Vec<Edit>| {
    let mut files = SOUND.clone();
    edits.iter().take(EDITS_MAX).for_each(|edit| files.edit(edit));
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    files.write(dir.path());
    let Ok(remains) = Remains::open(dir.path()) else { return };
    let Some((_, tally)) = remains.salvage() else { return };
    let page = remains.export(Seq(0), 500).unwrap();
    let pending = page.rows.iter().filter(|row| row.state == State::Pending).count() as u64;
    assert!(page.unreadable.is_empty() && page.next.is_none(), "{:?}", page.unreadable);
    assert_eq!(pending, tally.pending);
    assert!(tally.pending + tally.parked <= tally.kept, "{tally:?}");
    // Nothing was written to the damaged files.
    for (name, bytes) in [(FILE, &files.database), (LOG, &files.log)] {
        assert_eq!(fs::read(dir.path().join(name)).ok().as_ref(), bytes.as_ref());
    }
});
