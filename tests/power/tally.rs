//! How often the power went, step by step, and how often it must go at least.

use std::collections::BTreeMap;
use std::fmt;

/// From so many images of a point on a run is a long one.
const LONG_RUN_IMAGES: u64 = 20;
/// Each step, with the fewest syncs and the fewest images of a short run.
const AT_LEAST: [(&str, u64, u64); 16] = [
    ("first start", 12, 30),
    ("accept", 14, 40),
    ("accept many", 2, 10),
    ("claim", 6, 20),
    ("settle", 4, 12),
    ("checkpoint beside the writer", 6, 10),
    ("checkpoint between commits", 3, 6),
    ("accept into a new log", 5, 20),
    ("handle", 2, 6),
    ("prune", 2, 6),
    ("start again after a crash", 12, 30),
    ("start again after a stop", 4, 8),
    ("checkpoint on the writer", 2, 4),
    ("rescue", 12, 30),
    ("stop", 10, 25),
    ("migrate", 24, 70),
];

/// What was done at one point of a life.
pub(crate) struct Point {
    /// The power goes just before a sync.
    pub(crate) is_sync: bool,
    /// Something was written and not yet synced.
    pub(crate) is_unsynced: bool,
    /// How often the power went.
    pub(crate) cuts: u64,
    /// How many different disks it left: each was opened.
    pub(crate) images: u64,
}

#[derive(Default)]
struct Row {
    syncs: u64,
    cuts: u64,
    images: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    steps: BTreeMap<String, Row>,
    /// The fewest cuts at a point that leaves something unsynced.
    cuts_min: Option<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, step: &str, point: &Point) {
        let row = self.steps.entry(step.to_owned()).or_default();
        row.syncs += u64::from(point.is_sync);
        row.cuts += point.cuts;
        row.images += point.images;
        if point.is_unsynced {
            self.cuts_min = Some(self.cuts_min.map_or(point.cuts, |least| least.min(point.cuts)));
        }
    }

    fn sum(&self) -> Row {
        self.steps.values().fold(Row::default(), |all, row| Row {
            syncs: all.syncs + row.syncs,
            cuts: all.cuts + row.cuts,
            images: all.images + row.images,
        })
    }

    /// Whether the power went often enough where it matters.
    pub(crate) fn check(&self, images_max: u64) {
        for (step, syncs, images) in AT_LEAST {
            let row =
                self.steps.get(step).unwrap_or_else(|| panic!("no life has the step {step:?}"));
            assert!(
                row.syncs >= syncs && row.images >= images,
                "{step}: {} syncs, {} images",
                row.syncs,
                row.images
            );
        }
        let known = |step: &&String| {
            *step == "nothing" || AT_LEAST.iter().any(|(known, _, _)| known == step)
        };
        let unknown: Vec<_> = self.steps.keys().filter(|step| !known(step)).collect();
        assert!(unknown.is_empty(), "nothing says how often the power must go in {unknown:?}");
        if images_max >= LONG_RUN_IMAGES {
            let (least, all) = (self.cuts_min.unwrap_or(0), self.sum());
            assert!(least >= 10, "some sync point was hit {least} times only");
            assert!(all.images >= 1000, "the power went {} times", all.images);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, row: &Row| {
            let Row { syncs, cuts, images } = row;
            format!("{name:<30}{syncs:>8}{cuts:>8}{images:>8}")
        };
        writeln!(f, "{:<30}{:>8}{:>8}{:>8}", "step", "syncs", "cuts", "images")?;
        for (name, row) in &self.steps {
            writeln!(f, "{}", line(name, row))?;
        }
        write!(f, "{}", line("all", &self.sum()))
    }
}
