//! Power cuts under the real binary, on a file system that drops what was not synced: nothing
//! acknowledged is lost, nothing goes under two keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Chance, Gateway, Moment, Volatile, Witness, moment, seed, spoil, until};
use crate::oracle::{Finding, Ledger};
use crate::torture::{Crowd, FLAKY};
use crate::volatile::{Fate, Toll};

/// Cycles of every run; `REDEEMD_TORTURE_CYCLES` says otherwise.
const CYCLES: u64 = 25;
/// The power goes at one of so many syncs, changes of names or changes: after enough was
/// acknowledged, during a start.
const TRAFFIC: (u64, u64, u64) = (12, 1, 120);
const START: (u64, u64, u64) = (4, 3, 40);
/// It goes without a request at the latest so long after.
const LATE_MS_MAX: u64 = 40;
/// A first start makes about so many.
const FIRST: (u64, u64, u64) = (14, 10, 1_900);
/// A rescue of few rows is over after about so many.
const RESCUE: (u64, u64, u64) = (10, 12, 150);
/// What the daemon says once it is ready; when it finds damage; when it takes the disk for another
/// one.
const READY: &str = "ready version=";
const DAMAGED: &str = "the database was damaged";
const COPY: &str = "the database is a copy";

/// How many of each kind happened.
#[derive(Debug, Default)]
struct Tally {
    accepting: u64,
    outages: u64,
    drains: u64,
    starts: u64,
    first_starts: u64,
    rescues: u64,
    /// Cuts by what became of what was not synced.
    fates: BTreeMap<&'static str, u64>,
    at_syncs: u64,
    at_namings: u64,
    at_changes: u64,
    /// Cuts that took bytes that were written, names that were made, and those that tore, garbled
    /// or reordered.
    lossy: u64,
    nameless: u64,
    torn: u64,
    garbled: u64,
    reordered: u64,
    toll: Toll,
}

/// A gateway on a disk whose power goes.
struct Store {
    gateway: Gateway,
    disk: Volatile,
    /// Its database was damaged, or a sector of its files was: a rescue is in order, a loss is not.
    is_damaged: bool,
}

struct Cuts {
    store: Store,
    witness: Witness,
    ledger: Ledger,
    chance: Chance,
    tally: Tally,
    next: AtomicU64,
}

impl Store {
    fn new(disk: Volatile, witness: &Witness) -> Self {
        let gateway = Gateway::with()
            .lane_at("main", &witness.redeem_url(), "timeout = \"2s\"")
            .intake("reply_within = \"100ms\"")
            .offline("max_pending = 1000000")
            .state_in(&disk.state_dir())
            .stopped();
        Self { gateway, disk, is_damaged: false }
    }

    fn start(&mut self) {
        self.gateway.launch();
        until("the gateway is ready", || {
            assert!(!self.gateway.has_ended(), "it ended: {}", self.gateway.log());
            self.gateway.is_ready()
        });
    }

    /// Starts it and takes its power, at the armed moment or once it is ready.
    fn start_and_lose_power(&mut self, fate: Fate) -> Toll {
        self.gateway.launch();
        until("the power goes or the gateway is ready", || {
            self.disk.is_dark() || self.gateway.log().contains(READY)
        });
        self.lose_power(fate)
    }

    /// The power goes now, if it has not gone: the process is dead before the disk is looked at.
    fn lose_power(&mut self, fate: Fate) -> Toll {
        self.disk.cut();
        self.gateway.strike();
        self.disk.let_go();
        let log = self.gateway.log();
        self.gateway.kill9();
        assert!(!log.contains(COPY), "a disk was taken for another: {log}");
        assert!(
            self.is_damaged || !log.contains(DAMAGED),
            "a power cut was taken for damage: {log}"
        );
        let toll = self.disk.recover(fate);
        // Noise in the log's first sector cannot be told from damage. A rescue that was cut begins
        // again.
        self.is_damaged = toll.garbled > 0 || (self.is_damaged && !log.contains(READY));
        toll
    }

    /// An ordered stop, and damage after it; the damaged bytes.
    fn stop_and_spoil(&mut self) -> Vec<u8> {
        assert!(self.gateway.terminate().success());
        self.is_damaged = true;
        spoil(&self.gateway.state_dir())
    }

    /// What was set aside, without the logs beside it.
    fn set_aside(&self) -> Vec<Vec<u8>> {
        let entries =
            std::fs::read_dir(self.gateway.state_dir()).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("redeemd.db.damaged-")
                && !name.ends_with("-wal")
                && !name.ends_with("-shm")
        };
        entries.filter(is_one).map(|path| std::fs::read(path).unwrap()).collect()
    }
}

fn cycles() -> u64 {
    std::env::var("REDEEMD_TORTURE_CYCLES").map_or(CYCLES, |text| text.parse().unwrap())
}

fn fate(chance: &mut Chance) -> Fate {
    Fate::of(chance.below(6), chance.below(1 << 30))
}

impl Tally {
    fn note(&mut self, fate: Fate, toll: Toll) {
        *self.fates.entry(fate.name()).or_default() += 1;
        self.lossy += u64::from(toll.bytes_lost > 0);
        self.nameless += u64::from(toll.names_lost > 0);
        self.torn += u64::from(toll.torn > 0);
        self.garbled += u64::from(toll.garbled > 0);
        self.reordered += u64::from(toll.overtook > 0);
        self.toll += toll;
    }

    /// The power is to go at one of the next so many syncs, changes of names, or changes of any
    /// kind.
    fn arm(
        &mut self,
        disk: &Volatile,
        chance: &mut Chance,
        (syncs, namings, changes): (u64, u64, u64),
    ) {
        let (moment, count, within) = match chance.below(5) {
            0 | 1 => (Moment::Sync, &mut self.at_syncs, syncs),
            2 => (Moment::Naming, &mut self.at_namings, namings),
            _ => (Moment::Change, &mut self.at_changes, changes),
        };
        disk.arm(moment, 1 + chance.below(within));
        *count += 1;
    }

    fn rows(&self) -> Vec<(String, u64)> {
        let cuts = [
            ("cut while accepting", self.accepting),
            ("cut in an outage", self.outages),
            ("cut in a drain", self.drains),
            ("cut during a start", self.starts),
            ("cut during a first start", self.first_starts),
            ("cut during a rescue", self.rescues),
            ("armed at a sync", self.at_syncs),
            ("armed at a change of names", self.at_namings),
            ("armed at a change", self.at_changes),
        ];
        let effects = [
            ("cuts that lost bytes", self.lossy),
            ("cuts that lost names", self.nameless),
            ("cuts that tore a write", self.torn),
            ("cuts that garbled a sector", self.garbled),
            ("cuts that reordered writes", self.reordered),
            ("unsynced writes", self.toll.unsynced),
            ("unsynced writes lost", self.toll.lost),
            ("unsynced writes torn", self.toll.torn),
            ("unsynced bytes lost", self.toll.bytes_lost),
            ("unsynced names", self.toll.names_unsynced),
            ("unsynced names lost", self.toll.names_lost),
        ];
        let fates =
            self.fates.iter().map(|(fate, count)| (format!("what was not synced: {fate}"), *count));
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        cuts.into_iter().map(named).chain(fates).chain(effects.into_iter().map(named)).collect()
    }
}

fn print(rows: impl IntoIterator<Item = (String, u64)>) {
    for (name, value) in rows.into_iter().filter(|(_, value)| *value > 0) {
        println!("{name:<36} {value:>10}");
    }
}

impl Cuts {
    fn begin() -> Option<Self> {
        let disk = Volatile::mount()?;
        let seed = seed();
        let witness = Witness::start(seed);
        Some(Self {
            store: Store::new(disk, &witness),
            witness,
            ledger: Ledger::default(),
            chance: Chance::new(seed),
            tally: Tally::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Traffic, perhaps an outage, and the power goes somewhere in it; perhaps again during the
    /// start; then it runs.
    fn cycle(&mut self, number: u64) {
        let goal = 3 + self.chance.below(22);
        match number % 3 {
            0 => {
                self.traffic(goal, |_| {});
                self.tally.accepting += 1;
            }
            1 => {
                self.witness.cut();
                self.traffic(goal, |_| {});
                self.tally.outages += 1;
                self.witness.restore();
            }
            _ => {
                self.witness.cut();
                self.traffic(goal, Witness::restore);
                self.tally.drains += 1;
            }
        }
        if number.is_multiple_of(2) {
            let fate = fate(&mut self.chance);
            self.tally.arm(&self.store.disk, &mut self.chance, START);
            let toll = self.store.start_and_lose_power(fate);
            self.tally.note(fate, toll);
            self.tally.starts += 1;
        }
        self.store.start();
    }

    /// Tills redeem until the power goes, which is after `goal` more were acknowledged and
    /// `before_the_end`.
    fn traffic(&mut self, goal: u64, before_the_end: impl Fn(&mut Witness)) {
        let late = Duration::from_millis(self.chance.below(LATE_MS_MAX));
        let (fate, crowd) =
            (fate(&mut self.chance), Crowd::of(&self.store.gateway, &mut self.chance));
        let Self { store, witness, ledger, chance, tally, next } = self;
        crowd.redeems(ledger, next, goal, || {
            before_the_end(witness);
            tally.arm(&store.disk, chance, TRAFFIC);
            let latest = Instant::now() + late;
            while !store.disk.is_dark() && Instant::now() < latest {
                moment(Duration::from_millis(1));
            }
            tally.note(fate, store.lose_power(fate));
        });
    }

    fn print(&self, finding: &Finding, cycles: u64, took: Duration) {
        let (syncs, changes) = self.store.disk.work();
        let named = |(name, value): (&str, u64)| (name.to_owned(), value);
        print([("cycles", cycles), ("syncs", syncs), ("changes of the disk", changes)].map(named));
        print(self.tally.rows());
        for (name, value) in finding.rows(&self.ledger, self.witness.notes().told_used) {
            println!("{name:<36} {value:>10}");
        }
        println!("{:<36} {:>9.1}s", "took", took.as_secs_f64());
    }
}

#[test]
fn power_cuts_in_traffic_outages_drains_and_starts_lose_nothing_and_double_nothing() {
    let Some(mut cuts) = Cuts::begin() else { return };
    let (cycles, began) = (cycles(), Instant::now());
    cuts.store.start();
    cuts.witness.fail(FLAKY);
    for number in 0..cycles {
        cuts.cycle(number);
    }
    cuts.witness.fail(&[]);
    let finding = cuts.ledger.settle_up(&cuts.store.gateway, &cuts.witness);
    cuts.print(&finding, cycles, began.elapsed());
    finding.assert_conserved();

    let tally = &cuts.tally;
    let kinds = [tally.accepting, tally.outages, tally.drains];
    assert!(kinds.iter().sum::<u64>() == cycles && tally.starts * 2 >= cycles, "{tally:?}");
    assert!(tally.lossy * 4 > cycles, "too few cuts lost bytes: {tally:?}");
    let effects = [tally.torn, tally.garbled, tally.reordered];
    assert!(effects.iter().all(|count| *count * 25 >= cycles), "too few of an effect: {tally:?}");
    assert!(cuts.ledger.scrapes.load(Ordering::SeqCst) > cycles, "the books were not looked at");
    assert!(finding.acknowledged as u64 > cycles * 5, "{finding:?}");
}

/// So many times; `None` where the first of them could not be tried.
fn again_and_again(times: u64, one: fn(&mut Chance, &mut Tally) -> Option<()>) -> Option<Tally> {
    let (mut chance, mut tally, began) = (Chance::new(seed()), Tally::default(), Instant::now());
    for _ in 0..times {
        one(&mut chance, &mut tally)?;
    }
    print(tally.rows());
    println!("{:<36} {:>9.1}s", "took", began.elapsed().as_secs_f64());
    Some(tally)
}

/// A gateway that never ran, whose power goes in the middle of its first start, then once more as
/// soon as it has acknowledged something. Its folder is its own making, or that of somebody who
/// syncs nothing, as systemd is.
fn first_start(chance: &mut Chance, tally: &mut Tally) -> Option<()> {
    let (witness, ledger) = (Witness::start(1), Ledger::default());
    let mut store = Store::new(Volatile::mount()?, &witness);
    let (is_made, folder) = (chance.below(2) == 0, store.gateway.state_dir());
    let make = || {
        if is_made {
            std::fs::create_dir_all(&folder).unwrap();
        }
    };
    make();
    tally.arm(&store.disk, chance, FIRST);
    let fates = [fate(chance), fate(chance)];
    tally.note(fates[0], store.start_and_lose_power(fates[0]));
    tally.first_starts += 1;
    make();
    store.start();
    assert_eq!(ledger.redeem(&store.gateway.till(""), "FIRST"), Some(200));
    tally.note(fates[1], store.lose_power(fates[1]));
    store.start();
    ledger.settle_up(&store.gateway, &witness).assert_conserved();
    Some(())
}

#[test]
fn a_power_cut_during_a_first_start_leaves_a_folder_that_starts_and_keeps() {
    let Some(tally) = again_and_again(cycles(), first_start) else { return };
    assert!(
        tally.lossy * 4 > cycles() && tally.nameless * 4 > cycles(),
        "too few cuts took anything: {tally:?}"
    );
}

/// A gateway with a backlog whose database is damaged, and whose power goes while it rescues what
/// is in it.
fn rescue(chance: &mut Chance, tally: &mut Tally) -> Option<()> {
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let mut store = Store::new(Volatile::mount()?, &witness);
    witness.cut();
    store.start();
    for n in 0..20 {
        assert_eq!(ledger.redeem(&store.gateway.till(""), &format!("ROW-{n}")), Some(200));
    }
    let damaged = store.stop_and_spoil();
    tally.arm(&store.disk, chance, RESCUE);
    let fate = fate(chance);
    tally.note(fate, store.start_and_lose_power(fate));
    tally.rescues += 1;
    store.start();
    assert!(store.set_aside() == [damaged], "what was damaged is not set aside as it was");
    witness.restore();
    ledger.settle_up(&store.gateway, &witness).assert_conserved();
    Some(())
}

#[test]
fn a_power_cut_during_a_rescue_leaves_the_damaged_file_and_every_row_that_was_in_it() {
    // Each takes as long as ten of the others.
    let cycles = cycles().div_ceil(4);
    let Some(tally) = again_and_again(cycles, rescue) else { return };
    assert!(tally.lossy * 5 > cycles, "too few cuts took anything: {tally:?}");
    assert!(cycles < 25 || tally.nameless * 25 > cycles, "too few cuts took names: {tally:?}");
}

/// What was acknowledged last, once its power has gone and goes again at the first sync of the
/// start: SQLite goes on writing in the sector in which that commit ends, and it is noise.
fn second_cut(chance: &mut Chance, tally: &mut Tally) -> Option<()> {
    let (mut witness, ledger) = (Witness::start(1), Ledger::default());
    let mut store = Store::new(Volatile::mount()?, &witness);
    witness.cut();
    store.start();
    for n in 0..3 {
        assert_eq!(ledger.redeem(&store.gateway.till(""), &format!("LAST-{n}")), Some(200));
    }
    tally.note(Fate::Lost, store.lose_power(Fate::Lost));
    store.disk.arm(Moment::Sync, 1 + chance.below(6));
    let garbled = Fate::Garbled(chance.below(1 << 30));
    tally.note(garbled, store.start_and_lose_power(garbled));
    store.start();
    assert_eq!(store.gateway.counts().accepted, 3, "none is lost");
    for n in 0..3 {
        assert_eq!(ledger.redeem(&store.gateway.till(""), &format!("LAST-{n}")), Some(200));
    }
    witness.restore();
    ledger.settle_up(&store.gateway, &witness).assert_conserved();
    Some(())
}

#[test]
fn a_second_power_cut_during_the_next_start_takes_nothing_that_the_first_one_left() {
    let Some(tally) = again_and_again(cycles(), second_cut) else { return };
    assert!(tally.garbled * 3 > cycles(), "too few cuts made noise: {tally:?}");
}
