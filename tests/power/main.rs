//! Power cuts: a recording of everything that the real store writes, and every state of the disk
//! that a power cut could leave of it, opened by the real store again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests: one that cannot go on fails"
)]

mod disk;
mod earlier;
mod oracle;
mod tally;
mod tape;
#[path = "../volatile/mod.rs"]
mod volatile;
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use disk::Disk;
use oracle::Oracle;
use tally::{Point, Tally};
use tape::{Event, Tape};
use volatile::Fate;

/// How many images of each sync point are opened, unless `POWER_IMAGES` says otherwise.
const IMAGES_OF_A_POINT: u64 = 3;

fn images_of_a_point() -> u64 {
    std::env::var("POWER_IMAGES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(IMAGES_OF_A_POINT)
}

fn seed() -> u64 {
    std::env::var("POWER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// In memory where that can be had: thousands of images are written, and what they are tested for
/// is in their bytes.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn shim(root: &Path) -> PathBuf {
    let (source, shim) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/shim.c"), root.join("shim.so"));
    let compiler =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).status();
    assert!(compiler.unwrap().success(), "the shim needs a C compiler");
    shim
}

/// A life to be recorded: from a first start, or from what an earlier version left behind.
struct Life {
    name: &'static str,
    from: Option<PathBuf>,
}

fn lives(root: &Path) -> [Life; 3] {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-1");
    let large = root.join("version-1");
    earlier::write(&large);
    [
        Life { name: "from the first start", from: None },
        Life { name: "from version 1", from: Some(fixture) },
        Life { name: "from version 1, many rows", from: Some(large) },
    ]
}

/// Runs the workload in a process of its own under the recorder.
fn recorded(root: &Path, shim: &Path, life: &Life) -> Tape {
    let (world, log) = (root.join("world"), root.join("tape"));
    std::fs::create_dir_all(world.join("state")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "workload::the_recorded_process", "--nocapture"]);
    if let Some(from) = &life.from {
        command.env("POWER_FROM", from);
    }
    let ran = command
        .env("LD_PRELOAD", shim)
        .env("POWER_ROOT", &world)
        .env("POWER_LOG", &log)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Tape::read(&log, &world)
}

/// At which events the power may go: at each sync, just before it and just after it, and at what
/// was reported. What lies there before the first step was put there by the test.
fn points(tape: &Tape) -> Vec<usize> {
    let at = |(place, event): (usize, &Event)| match event {
        Event::Sync(_) | Event::SyncNames => vec![place, place + 1],
        Event::Said(_) => vec![place + 1],
        Event::Create(..)
        | Event::Write(..)
        | Event::Cut(..)
        | Event::Rename(..)
        | Event::Remove(_) => Vec::new(),
    };
    let begin = tape
        .events
        .iter()
        .position(|event| matches!(event, Event::Said(line) if line.starts_with("begin")));
    let mut points: Vec<usize> =
        tape.events.iter().enumerate().skip(begin.unwrap()).flat_map(at).collect();
    points.dedup();
    points
}

/// Cuts the power at every point of the life; what was done is added to `tally`.
fn cut(tape: &Tape, image_dir: &Path, tally: &mut Tally) {
    let (seed, images_max) = (seed(), images_of_a_point());
    let (mut disk, mut oracle, mut played) = (Disk::default(), Oracle::default(), 0);
    let mut opened = std::collections::HashSet::new();
    for point in points(tape) {
        for place in played..point {
            disk.play(&tape.events[place]);
            oracle.hear(&tape.events[place], &tape.events[place + 1..]);
        }
        played = point;
        let (mut cuts, mut images) = (0, 0);
        for n in 0..images_max {
            let fate = Fate::of(n, seed ^ (point as u64) << 20 ^ n);
            let Some(image) = disk.image(fate) else { continue };
            cuts += 1;
            // One that was opened when the same was known would be the same again.
            if opened.insert((image.fingerprint(), oracle.moment())) {
                let place =
                    format!("event {point} of {}, {fate:?}, seed {seed}", tape.events.len());
                image.mount(image_dir, tape);
                oracle.check(image_dir, &place);
                images += 1;
            }
        }
        let is_sync = matches!(tape.events.get(point), Some(Event::Sync(_) | Event::SyncNames));
        tally.add(oracle.step(), &Point { is_sync, is_unsynced: disk.is_unsynced(), cuts, images });
    }
}

#[test]
fn every_state_of_the_disk_that_a_power_cut_leaves_opens_with_all_that_was_reported() {
    let (root, images_max) = (folder(), images_of_a_point());
    println!("seed {} (POWER_SEED), {images_max} images of each point (POWER_IMAGES)", seed());
    let (shim, mut tally) = (shim(root.path()), Tally::default());
    for life in lives(root.path()) {
        let place = root.path().join(life.name);
        let tape = recorded(&place, &shim, &life);
        println!("{}: {} events", life.name, tape.events.len());
        cut(&tape, &place.join("image"), &mut tally);
    }
    println!("{tally}\nnone lost anything");
    tally.check(images_max);
}
