//! The disk's own speed: what a durable acceptance cannot go below.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// The median of appending 4 KiB and calling fdatasync.
pub(crate) fn fdatasync_p50(dir: &Path) -> Result<Duration, Failure> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let block = [7; 4096];
    let mut times = Vec::new();
    for _ in 0..2000 {
        let begun = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
