//! Power cuts: a recording of everything that the real store writes, and every state of the disk that a power cut
//! could leave of it, opened by the real store again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests: one that cannot go on fails"
)]

mod disk;
mod oracle;
mod tape;
#[path = "../volatile/mod.rs"]
mod volatile;
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use disk::Disk;
use oracle::Oracle;
use tape::{Event, Tape};
use volatile::Fate;

/// How many images of each sync point are opened, unless `POWER_IMAGES` says otherwise.
const IMAGES_OF_A_POINT: u64 = 3;

fn images_of_a_point() -> u64 {
    std::env::var("POWER_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(IMAGES_OF_A_POINT)
}

fn seed() -> u64 {
    std::env::var("POWER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// In memory where that can be had: thousands of images are written, and what they are tested for is in their bytes.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn shim(root: &Path) -> PathBuf {
    let (source, shim) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/shim.c"), root.join("shim.so"));
    let compiler = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).status();
    assert!(compiler.unwrap().success(), "the shim needs a C compiler");
    shim
}

/// Runs the workload in a process of its own under the recorder.
fn recorded(root: &Path) -> Tape {
    let (world, log) = (root.join("world"), root.join("tape"));
    std::fs::create_dir_all(world.join("state")).unwrap();
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "workload::the_recorded_process", "--nocapture"])
        .env("LD_PRELOAD", shim(root))
        .env("POWER_ROOT", &world)
        .env("POWER_LOG", &log)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Tape::read(&log, &world)
}

/// At which events the power may go: at each sync, just before it and just after it, and at what was reported.
fn points(tape: &Tape) -> Vec<usize> {
    let at = |(place, event): (usize, &Event)| match event {
        Event::Sync(_) | Event::SyncNames => vec![place, place + 1],
        Event::Said(_) => vec![place + 1],
        Event::Create(..) | Event::Write(..) | Event::Cut(..) | Event::Rename(..) | Event::Remove(_) => Vec::new(),
    };
    let mut points: Vec<usize> = tape.events.iter().enumerate().flat_map(at).collect();
    points.dedup();
    points
}

#[test]
fn every_state_of_the_disk_that_a_power_cut_leaves_opens_with_all_that_was_reported() {
    let (root, seed, images_max) = (folder(), seed(), images_of_a_point());
    println!("seed {seed} (POWER_SEED), {images_max} images of each point (POWER_IMAGES)");
    let tape = recorded(root.path());
    let syncs = tape.events.iter().filter(|event| matches!(event, Event::Sync(_) | Event::SyncNames)).count();
    let (mut disk, mut oracle, mut played, mut images) = (Disk::default(), Oracle::default(), 0, 0u64);
    let mut opened = std::collections::HashSet::new();
    for point in points(&tape) {
        for place in played..point {
            disk.play(&tape.events[place]);
            oracle.hear(&tape.events[place], &tape.events[place + 1..]);
        }
        played = point;
        for n in 0..images_max {
            let fate = Fate::of(n, seed ^ (point as u64) << 20 ^ n);
            let Some(image) = disk.image(fate).filter(|image| opened.insert(image.fingerprint())) else { continue };
            let place = format!("event {point} of {}, {fate:?}, seed {seed}", tape.events.len());
            image.mount(&root.path().join("image"), &tape);
            oracle.check(&root.path().join("image"), &place);
            images += 1;
        }
    }
    println!("{syncs} sync points, {} events, {images} images opened, none lost anything", tape.events.len());
    assert!(syncs > 80 && images > 250, "{syncs} sync points, {images} images");
}
