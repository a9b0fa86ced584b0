//! The disk's own speed: what a durable acceptance cannot go below.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// How much of the file is overwritten in turn: what the store's log holds before it begins anew.
const BLOCKS: u64 = 1000;
const BLOCK_BYTES: u16 = 4096;

/// The median of writing 4 KiB over what is there and calling fdatasync. A log that begins anew
/// does not grow, so no file system need write its own records.
pub(crate) fn overwriting_sync_p50(dir: &Path) -> Result<Duration, Failure> {
    let path = dir.join("overwritten");
    let file = File::create(&path)?;
    let block = vec![7; usize::from(BLOCK_BYTES)];
    for at in 0..BLOCKS {
        file.write_all_at(&block, at * u64::from(BLOCK_BYTES))?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for at in 0..BLOCKS {
        let begun = Instant::now();
        file.write_all_at(&block, at * u64::from(BLOCK_BYTES))?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
