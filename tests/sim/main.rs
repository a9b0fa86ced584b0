//! Months in a store in virtual time: the whole daemon but its sockets, before providers and a line
//! that fail in every way, its process killed and its clocks turned again and again; a model of a
//! few lines says what must be true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests: one that cannot go on fails"
)]

mod days;
mod house;
mod model;
mod outage;
mod press;
mod provider;
mod risk;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use world::World;

/// How many months an ordinary run lives through, unless `SIM_MONTHS` says otherwise.
const MONTHS: u64 = 2;
/// The first of them, unless `SIM_SEED` says otherwise.
const FIRST: u64 = 20_261_152;
/// The life in which each fault is met, and the README's day without the line.
const SEED: u64 = 20_261_125;
/// Seeds of months that once found a fault, by which day, and what it was.
const FAULTS_FOUND: &[(u64, u32, &str)] = &[
    (1, 10, "an operator's release made an outage begin anew"),
    (3, 10, "a lane that an operator held forgot its outage at a crash"),
    (
        6,
        10,
        "an outage that had ended with the first answer after a start was counted again at the \
         next start",
    ),
    (20_261_130, 20, "of this model: what the provider had declined was not to be taken back"),
    (
        20_261_175,
        22,
        "the end of an outage that was heard of just after an operator's hold was forgotten at a \
         crash",
    ),
];
/// The days of a month.
const DAYS: u32 = 30;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

fn shim(dir: &Path) -> PathBuf {
    let (source, shim) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/shim.c"), dir.join("shim.so"));
    let compiler =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).status();
    assert!(compiler.unwrap().success(), "the shim needs a C compiler");
    shim
}

/// What a month printed: how often each thing happened, and its trace.
struct Month {
    tally: BTreeMap<String, u64>,
    trace: String,
}

/// A life to be lived.
#[derive(Clone, Copy, Debug)]
struct Life {
    seed: u64,
    days: u32,
    /// The store has rules and its tills check codes.
    has_rules: bool,
    /// A fault that is switched into the gateway.
    over: &'static str,
}

impl Life {
    fn plain((seed, days): (u64, u32)) -> Self {
        Self { seed, days, has_rules: false, over: "" }
    }

    /// In a process of its own, in which nothing is random but what the seed says.
    fn process(self) -> Output {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap());
        process
            .args(["--ignored", "--exact", "the_simulated_process", "--nocapture"])
            .env("LD_PRELOAD", shim(dir.path()))
            .env("SIM_SEED", self.seed.to_string())
            .env("SIM_DAYS", self.days.to_string())
            .env("SIM_RULES", u8::from(self.has_rules).to_string())
            .env("SIM_OVER", self.over)
            .env("SIM_DISK", dir.path().join("fails"));
        process.output().unwrap()
    }
}

/// Lives through a month.
fn month(life: Life) -> Month {
    let lived = life.process();
    let (said, faults) =
        (String::from_utf8(lived.stdout).unwrap(), String::from_utf8_lossy(&lived.stderr));
    assert!(lived.status.success(), "{life:?} (SIM_SEED, SIM_DAYS, SIM_RULES): {faults}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("= "));
    let mut pairs: BTreeMap<String, String> = lines
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(what, n)| (what.to_owned(), n.to_owned()))
        .collect();
    let trace = pairs.remove("trace").expect("a trace");
    Month { tally: pairs.into_iter().map(|(what, n)| (what, n.parse().unwrap())).collect(), trace }
}

/// As many at once as there are processors.
fn months(lives: &[Life]) -> Vec<Month> {
    let lanes = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut done = Vec::new();
    for some in lives.chunks(lanes) {
        std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|life| scope.spawn(|| month(*life))).collect();
            done.extend(
                threads.into_iter().map(|thread| thread.join().expect("a month without a fault")),
            );
        });
    }
    done
}

fn sum(months: &[Month]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (what, count) in months.iter().flat_map(|month| &month.tally) {
        *all.entry(what.clone()).or_default() += count;
    }
    all
}

/// Every kind of thing that has to have happened in a month on average, and how often.
const ENOUGH: &[(&str, u64)] = &[
    ("acknowledged", 1000),
    ("boots in 1970", 5),
    ("clock jumps by years", 5),
    ("clock steps of a second or two", 5),
    ("clocks set by NTP", 10),
    ("declined at the till", 30),
    ("disks that did not write for a while", 10),
    ("held by an operator", 3),
    ("hung up", 30),
    ("kills amid requests", 10),
    ("kills at some moment", 5),
    ("kills when a request had arrived", 10),
    ("lines cut", 10),
    ("looks at the books", 100),
    ("looks when all had been well", 3),
    ("ordered stops", 5),
    ("provider: \"already used\"", 10),
    ("provider: \"already used\" about our own attempt", 5),
    ("provider: 401", 10),
    ("provider: 429", 5),
    ("provider: 500", 10),
    ("provider: 503", 5),
    ("provider: lost reply", 5),
    ("provider: reset before it was taken", 5),
    ("provider: taken", 1000),
    ("provider: refused by an edge", 5),
    ("provider: blocked by a firewall", 5),
    ("provider: said no inside of a success", 1),
    ("provider: cut reply", 2),
    ("provider: cut reply, read to its cut", 2),
    ("provider: 409", 1),
    ("provider: refused an invented code", 30),
    ("provider: tried under a 429", 5),
    ("given on trust", 100),
    ("told what a success said of its failure", 1),
    ("receipts", 30),
    ("refused: the disk cannot be written", 20),
    ("refused: too long an outage", 3),
    ("refused: too many pending", 30),
    ("refused: used", 50),
    ("released by an operator", 3),
    ("suspended", 10),
    ("taken back", 1),
    ("too late to take back", 30),
];

/// Likewise in a month with rules.
const ENOUGH_OF_RULES: &[(&str, u64)] = &[
    ("refused: a rule accepts nothing", 2),
    ("refused: no code's form", 2),
    ("refused: too many of the lane or rule", 5),
    ("refused: trust is off", 3),
    ("refused: worth too much", 2),
    ("risk: books compared", 100),
    ("risk: checks passed on", 100),
    ("risk: given on trust", 50),
    ("risk: handled by an operator", 10),
    ("risk: limits filled to the last unit", 1),
    ("risk: limits pressed", 15),
    ("risk: trust switched off", 3),
];

#[test]
fn months_of_outages_crashes_and_turned_clocks_lose_nothing_and_double_nothing() {
    let (first, count, began) =
        (number("SIM_SEED", FIRST), number("SIM_MONTHS", MONTHS), Instant::now());
    println!("{count} months (SIM_MONTHS), the first with seed {first} (SIM_SEED)");
    // The first has rules, the next has none, and so on.
    let has_rules = |seed: u64| (seed - first).is_multiple_of(2);
    let lives: Vec<_> = (first..first + count)
        .map(|seed| Life { has_rules: has_rules(seed), ..Life::plain((seed, DAYS)) })
        .collect();
    let tally = sum(&months(&lives));
    for (what, count) in &tally {
        println!("{what:<60} {count:>9}");
    }
    println!("{:<60} {:>8.0}s", "took", began.elapsed().as_secs_f64());
    for (what, enough) in ENOUGH {
        let happened = tally.get(*what).copied().unwrap_or(0);
        assert!(happened >= enough * count, "{what}: {happened} times in {count} months");
    }
    let with_rules = count.div_ceil(2);
    for (what, enough) in ENOUGH_OF_RULES {
        let happened = tally.get(*what).copied().unwrap_or(0);
        assert!(happened >= enough * with_rules, "{what}: {happened} times in {with_rules} months");
    }
}

/// The days within which each fault is met.
const DAYS_OF_A_FAULT: u32 = 10;

#[test]
fn each_value_sum_count_and_rate_that_is_one_too_much_is_found() {
    let lanes = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for some in risk::FAULTS.chunks(lanes) {
        std::thread::scope(|scope| {
            for (over, told) in some {
                scope.spawn(move || {
                    let life = Life { seed: SEED, days: DAYS_OF_A_FAULT, has_rules: true, over };
                    let faults = String::from_utf8(life.process().stderr).unwrap();
                    assert!(faults.contains(told), "{over} was not found: {faults}");
                });
            }
        });
    }
}

/// `REDEEMD_WRITE_OUTPUTS=1` writes it anew.
#[test]
fn the_readme_shows_what_policies_lose_and_refuse_wrongly_on_a_day_without_the_line() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let table = outage::table(SEED);
    let from = readme.find(outage::HEAD).expect("the table of a day without the line");
    let to = from + readme[from..].find("\n\n").unwrap() + 1;
    if std::env::var_os("REDEEMD_WRITE_OUTPUTS").is_some() {
        std::fs::write(&file, format!("{}{table}{}", &readme[..from], &readme[to..])).unwrap();
    } else {
        assert_eq!(table, readme[from..to], "REDEEMD_WRITE_OUTPUTS=1 writes it anew");
    }
}

#[test]
fn months_that_found_a_fault_do_not_find_it_again() {
    let lives: Vec<_> =
        FAULTS_FOUND.iter().map(|(seed, days, _)| Life::plain((*seed, *days))).collect();
    months(&lives);
}

#[test]
fn one_seed_lives_one_life() {
    let traces: Vec<String> = months(&[5, 5, 6].map(|seed| Life::plain((seed, 4))))
        .into_iter()
        .map(|month| month.trace)
        .collect();
    assert_eq!(traces[0], traces[1]);
    assert_ne!(traces[0], traces[2]);
}

#[test]
#[ignore = "runs with random bytes that follow from its seed; the tests of months start it"]
fn the_simulated_process() {
    let (seed, has_rules) = (number("SIM_SEED", SEED), number("SIM_RULES", 1) == 1);
    let report = World::new(seed, has_rules).run(u32::try_from(number("SIM_DAYS", 30)).unwrap());
    // Where there is one processor, the test's name stands on the line that is begun.
    println!("\n= trace: {:016x}", report.trace);
    for (what, count) in &report.tally {
        println!("= {what}: {count}");
    }
}
