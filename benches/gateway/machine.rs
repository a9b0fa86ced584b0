//! What the kernel says of a process and of a file.

use std::time::Duration;

use crate::Failure;

/// `field: number` of a file below `/proc/PID`.
pub(crate) fn number(pid: u32, file: &str, field: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .ok_or("no such field")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}

/// Voluntary context switches of all threads: each is a wake-up.
pub(crate) fn switches(pid: u32) -> Result<u64, Failure> {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let tid = task?.file_name();
        all += number(
            pid,
            &format!("task/{}/status", tid.to_string_lossy()),
            "voluntary_ctxt_switches",
        )?;
    }
    Ok(all)
}

pub(crate) fn every(count: u64, within: Duration) -> String {
    match count {
        0 => format!("none in {within:?}"),
        count => format!("{count} in {within:?}"),
    }
}
