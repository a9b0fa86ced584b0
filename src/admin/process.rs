//! What the system says of this process and of the database's files, under the names that every
//! exporter uses (Prometheus, "Writing client libraries": process metrics). What cannot be read is
//! left out.

use std::fs;
use std::path::Path;

/// Figures of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Seconds.
    pub(super) cpu_s: Option<f64>,
    /// Bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Bytes.
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) open_files_max: Option<u64>,
    /// Unix seconds.
    pub(super) started_s: Option<f64>,
    /// Bytes.
    pub(super) database_bytes: Option<u64>,
    /// Bytes.
    pub(super) log_bytes: Option<u64>,
}

impl Process {
    /// As it is now; `state_dir` is where the database lies.
    pub(super) fn now(state_dir: Option<&Path>) -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let size = |name: &str| fs::metadata(state_dir?.join(name)).ok().map(|meta| meta.len());
        Self {
            open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            open_files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            database_bytes: size(crate::store::FILE),
            log_bytes: size(&format!("{}-wal", crate::store::FILE)),
            ..of_stat(&stat, &KernelUnits::this())
        }
    }
}

/// The units in which the kernel counts.
struct KernelUnits {
    ticks_a_second: f64,
    page_bytes: u64,
    booted_s: Option<f64>,
}

impl KernelUnits {
    fn this() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let booted_s =
            stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        #[expect(clippy::cast_precision_loss, reason = "a hundred or a thousand")]
        let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
        Self { ticks_a_second, page_bytes: rustix::param::page_size() as u64, booted_s }
    }
}

/// The fields of proc(5); the second, in brackets, may hold spaces and brackets itself.
fn of_stat(stat: &str, machine: &KernelUnits) -> Process {
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // The first of these is the third of the page.
    let number = |nth: usize| fields.get(nth - 3).and_then(|text| text.parse::<u64>().ok());
    #[expect(clippy::cast_precision_loss, reason = "ticks of a hundredth of a second")]
    let seconds = |ticks: u64| ticks as f64 / machine.ticks_a_second;
    Process {
        cpu_s: number(14)
            .zip(number(15))
            .map(|(user, system)| seconds(user.saturating_add(system))),
        started_s: number(22).zip(machine.booted_s).map(|(ticks, booted)| booted + seconds(ticks)),
        virtual_bytes: number(23),
        resident_bytes: number(24).map(|pages| pages.saturating_mul(machine.page_bytes)),
        ..Process::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_moves_no_field() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 600 12345678 100 \
            18446744073709551615 1";
        let machine =
            KernelUnits { ticks_a_second: 100.0, page_bytes: 4096, booted_s: Some(1000.0) };
        let process = of_stat(stat, &machine);
        assert_eq!((process.cpu_s, process.started_s), (Some(3.0), Some(1006.0)));
        assert_eq!(
            (process.virtual_bytes, process.resident_bytes),
            (Some(12_345_678), Some(409_600))
        );
        assert_eq!(of_stat("", &machine), Process::default());
    }

    #[test]
    fn this_process_has_all_figures() {
        let process = Process::now(None);
        assert!(
            process.cpu_s.is_some()
                && process.resident_bytes > Some(0)
                && process.open_files > Some(0)
        );
        assert!(process.started_s > Some(1.0e9) && process.database_bytes.is_none());
    }
}
