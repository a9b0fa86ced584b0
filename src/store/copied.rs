//! Whether the database is the one that was used here last. An old copy that is written into its
//! file leaves device, inode and time of birth as they were, and a cloned disk has the same ones.
//!
//! It is a copy where one of these differs from what the database knows: its own file (device,
//! inode, birth); what stands in the counterpart; when the counterpart was born; all numbers of the
//! disks below; the machine's number, where that lies on the same device. A program that puts old
//! files back writes into those that are there or makes new ones, and can set no birth. What people
//! do to the files beside that makes no copy: other rights or owners, links, a counterpart that is
//! gone or empty. A file system that is rolled back whole agrees with itself and is not known.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::Connection;

use super::{StoreError, keep};

/// The file beside the database that is made anew at each start and at each ordered stop. The
/// database knows what is in it and when it was born (`stx_btime`, `statx(2)`), which no program
/// that copies can set; where the file system keeps no births, when it was changed (`st_ctime`).
pub(super) const COUNTERPART: &str = "counterpart";
/// File systems keep times in steps of their own: JFFS2 and ext4 with small inodes of a second, FAT
/// of two. A time that was told finer while the file was in the cache is cut after a reboot.
const TIME_STEP_S: u64 = 2;
/// More than this is not ours.
const COUNTERPART_BYTES_MAX: u64 = 100;
/// What is in the counterpart.
const TOKEN_BYTES: usize = 32;
/// What the database knows of the counterpart: what is in it and when it was changed; empty while
/// that is written, or where it cannot be.
const KNOWN: &str = "counterpart";
/// The same with its birth. An earlier build leaves it as it is.
const KNOWN_BIRTH: &str = "birth of the counterpart";
/// The numbers of the disks and of the machine, each empty where it could not be told.
const KNOWN_PLACE: &str = "disk and machine";
const MACHINE: &str = "/etc/machine-id";
/// Where a disk's own number stands below its folder of sysfs: SD cards and eMMC, `NVMe`, SCSI and
/// SATA, virtio.
const NUMBERS: [&str; 5] = ["device/cid", "wwid", "device/wwid", "serial", "device/serial"];
/// How many volumes may lie on one another.
const VOLUMES_MAX: u32 = 4;
/// How many disks below them are known.
const DISKS_MAX: usize = 16;

/// What a counterpart says; empty where there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counterpart {
    /// What is in it and when it was changed.
    changed: String,
    /// What is in it and when it was born, where the file system says so.
    born: String,
}

/// Why this database is not the one that was used here last, although it lies in the same file. One
/// that no counterpart was written for yet has none.
pub(super) fn is_copy(
    connection: &Connection,
    dir: &Path,
) -> Result<Option<&'static str>, StoreError> {
    if !connection.table_exists(None, "keep")? {
        return Ok(None);
    }
    let known = keep::read(connection, KNOWN)?;
    let birth = keep::read(connection, KNOWN_BIRTH)?.unwrap_or_default();
    let place = keep::read(connection, KNOWN_PLACE)?.unwrap_or_default();
    Ok(differs((known.as_deref(), &birth), &found(dir))
        .then_some("another database was used here last")
        .or_else(|| is_elsewhere(&place, &here(dir))))
}

/// A database that knows of no counterpart, beside one, is from before there were any.
fn differs((known, birth): (Option<&str>, &str), found: &Counterpart) -> bool {
    let token = |text: &str| text.split(' ').next().map(str::to_owned);
    match known {
        Some("") => false,
        _ if found.changed.is_empty() => false,
        None => true,
        // Of another one, where an earlier build has run since.
        Some(known) if found.born.is_empty() || token(birth) != token(known) => {
            !is_alike(known, &found.changed)
        }
        Some(_) => !is_alike(birth, &found.born),
    }
}

/// The same text and time, or the same time cut to its file system's step.
fn is_alike(known: &str, found: &str) -> bool {
    known == found || parts(known).zip(parts(found)).is_some_and(is_cut)
}

/// The text, and the seconds and their fraction of the time.
fn parts(text: &str) -> Option<(&str, i64, &str)> {
    let (token, time) = text.split_once(' ')?;
    let (seconds, fraction) = time.split_once('.')?;
    Some((token, seconds.parse().ok()?, fraction))
}

fn is_cut((known, found): ((&str, i64, &str), (&str, i64, &str))) -> bool {
    let is_whole = found.2.bytes().all(|digit| digit == b'0');
    is_whole && known.0 == found.0 && known.1.abs_diff(found.1) <= TIME_STEP_S
}

fn is_elsewhere(known: &str, here: &str) -> Option<&'static str> {
    let whys = ["it lies on another disk", "it lies on another machine"];
    let both = known.split('\n').zip(here.split('\n'));
    // Of the disks below a volume one may fail, or be another one's second path.
    let has_any_of = |known: &str, here: &str| {
        known.split(' ').any(|own| here.split(' ').any(|other| own == other))
    };
    let differs = |(known, here): (&str, &str)| {
        !known.is_empty() && !here.is_empty() && !has_any_of(known, here)
    };
    both.zip(whys).find_map(|(both, why)| differs(both).then_some(why))
}

/// Writes the counterpart anew; what the database is to know of it from then on. Meanwhile it knows
/// that this is being done, so that a power cut between the two makes no copy of it.
///
/// # Errors
/// The database cannot be written. Where the counterpart cannot, none is known.
pub(super) fn renew(connection: &Connection, dir: &Path) -> Result<Counterpart, StoreError> {
    keep::write(connection, KNOWN, "")?;
    let token: String =
        connection.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
    let written = write(dir, &token).map(|()| found(dir));
    Ok(written.unwrap_or_else(|error| {
        tracing::warn!(%error, "the database's counterpart cannot be written: an old copy that is \
            written into its file would not be known as one");
        Counterpart::default()
    }))
}

/// The database knows this of its counterpart, and where it lies.
pub(super) fn learn(
    connection: &Connection,
    dir: &Path,
    counterpart: &Counterpart,
) -> Result<(), StoreError> {
    keep::write(connection, KNOWN, &counterpart.changed)?;
    keep::write(connection, KNOWN_BIRTH, &counterpart.born)?;
    keep::write(connection, KNOWN_PLACE, &here(dir))
}

/// A database that was put together from a damaged one may have an old counterpart's mark.
pub(super) fn forget(connection: &Connection) -> Result<(), StoreError> {
    keep::write(connection, KNOWN, "")
}

/// A new file each time. The old one goes first: a full disk has room for as much again.
fn write(dir: &Path, token: &str) -> std::io::Result<()> {
    let path = dir.join(COUNTERPART);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::create_new(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    File::open(dir)?.sync_all()
}

fn found(dir: &Path) -> Counterpart {
    read(dir).unwrap_or_default()
}

/// `None` where it cannot be read, or has nothing of ours in it.
fn read(dir: &Path) -> Option<Counterpart> {
    let file = File::open(dir.join(COUNTERPART)).ok()?;
    let meta = file.metadata().ok()?;
    let mut text = String::new();
    file.take(COUNTERPART_BYTES_MAX).read_to_string(&mut text).ok()?;
    let token = text.trim_end();
    let changed = format!("{token} {}.{:09}", meta.ctime(), meta.ctime_nsec());
    let born = birth(&meta).map(|(s, ns)| format!("{token} {s}.{ns:09}"));
    (token.len() == TOKEN_BYTES).then(|| Counterpart { changed, born: born.unwrap_or_default() })
}

/// Seconds and nanoseconds.
fn birth(meta: &Metadata) -> Option<(u64, u32)> {
    let born = meta.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    (!born.is_zero()).then(|| (born.as_secs(), born.subsec_nanos()))
}

fn here(dir: &Path) -> String {
    let hashed = |number: String| format!("{:08x}", crc32c::crc32c(number.as_bytes()));
    let device = device(dir);
    let disks = device.map(|device| disks(Path::new("/sys/dev/block"), device));
    let disks: BTreeSet<String> = disks.into_iter().flatten().map(hashed).collect();
    let disks: Vec<String> = disks.into_iter().take(DISKS_MAX).collect();
    format!("{}\n{}", disks.join(" "), machine(device).map(hashed).unwrap_or_default())
}

fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.dev())
}

/// The machine's number, where it lies on the same device as the database: elsewhere it may be a
/// new one at each boot.
fn machine(beside: Option<u64>) -> Option<String> {
    let path = Path::new(MACHINE);
    let is_beside = device(path).is_some() && device(path) == beside;
    is_beside.then(|| number_in(path)).flatten()
}

/// The own numbers of the disks, which a clone of them does not have.
fn disks(blocks: &Path, device: u64) -> Vec<String> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    numbers_of(&blocks.join(format!("{major}:{minor}")), VOLUMES_MAX)
}

fn numbers_of(block: &Path, volumes: u32) -> Vec<String> {
    let Ok(mut block) = block.canonicalize() else { return Vec::new() };
    if block.join("partition").exists() {
        block.pop();
    }
    if let Some(number) = NUMBERS.iter().find_map(|name| number_in(&block.join(name))) {
        return vec![number];
    }
    let Some(volumes) = volumes.checked_sub(1) else { return Vec::new() };
    let below = std::fs::read_dir(block.join("slaves")).into_iter().flatten().flatten();
    below.flat_map(|entry| numbers_of(&entry.path(), volumes)).collect()
}

fn number_in(path: &Path) -> Option<String> {
    let number = std::fs::read_to_string(path).ok()?.trim().to_owned();
    (!number.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counterpart(changed: &str, born: &str) -> Counterpart {
        Counterpart { changed: changed.to_owned(), born: born.to_owned() }
    }

    #[test]
    fn a_database_is_a_copy_where_both_sides_say_something_else() {
        for (known, found, is_copy) in [
            (Some("a 1.5"), "a 1.5", false),
            (Some("a 1.5"), "b 2.5", true),
            // Cut to the step of its file system.
            (Some("a 3.7"), "a 3.0", false),
            (Some("a 3.7"), "a 2.0", false),
            (Some("a 3.7"), "b 3.0", true),
            // The counterpart was put back with the database: it was changed, or born, since.
            (Some("a 1.5"), "a 1.6", true),
            (Some("a 1.5"), "a 9.0", true),
            // A power cut while the counterpart was written.
            (Some(""), "b 2.5", false),
            (Some(""), "", false),
            // The first start after an upgrade, and a copy from before it.
            (None, "", false),
            (None, "a 1.5", true),
            // It is gone, or empty.
            (Some("a 1.5"), "", false),
        ] {
            let by_change = differs((known, ""), &counterpart(found, ""));
            assert_eq!(by_change, is_copy, "{known:?} {found:?}");
            let token = |text: &str| text.split(' ').next().unwrap().to_owned();
            let changed = known
                .map(|known| if known.is_empty() { String::new() } else { token(known) + " 7.7" });
            let touched = if found.is_empty() { String::new() } else { token(found) + " 8.8" };
            let known_birth = known.unwrap_or_default();
            let by_birth =
                differs((changed.as_deref(), known_birth), &counterpart(&touched, found));
            assert_eq!(by_birth, is_copy, "born {known:?} {found:?}");
        }
        let since = differs((Some("b 2.5"), "a 1.5"), &counterpart("b 2.5", "b 1.5"));
        assert!(!since, "an earlier build has run since");
        let first = differs((Some("a 1.5"), ""), &counterpart("a 1.5", "a 1.2"));
        assert!(!first, "the first start after an upgrade");
    }

    #[test]
    fn a_counterpart_that_cannot_be_written_makes_no_copy() {
        let (dir, connection) =
            (tempfile::tempdir().unwrap(), Connection::open_in_memory().unwrap());
        connection.execute_batch("CREATE TABLE keep (name TEXT PRIMARY KEY, value TEXT)").unwrap();
        std::fs::write(dir.path().join(COUNTERPART), "0123456789abcdef0123456789abcdef\n").unwrap();
        for written in [dir.path(), &dir.path().join("gone")] {
            let counterpart = renew(&connection, written).unwrap();
            learn(&connection, written, &counterpart).unwrap();
            assert_eq!(counterpart.changed.is_empty(), written != dir.path());
            assert_eq!(is_copy(&connection, dir.path()).unwrap(), None);
        }
    }

    #[test]
    fn a_clone_is_told_by_the_disks_number_or_the_machines_where_both_are_known() {
        assert_eq!(is_elsewhere("d\nm", "d\nm"), None);
        assert_eq!(is_elsewhere("d\nm", "e\nm"), Some("it lies on another disk"));
        assert_eq!(is_elsewhere("d\nm", "d\nn"), Some("it lies on another machine"));
        assert_eq!(is_elsewhere("c d\n", "d e\n"), None, "one of two was replaced");
        assert_eq!(is_elsewhere("c d\n", "e f\n"), Some("it lies on another disk"));
        for (known, here) in [("", "d\nm"), ("d\n", "\nm"), ("\n", "d\nm"), ("\nm", "d\n")] {
            assert_eq!(is_elsewhere(known, here), None, "{known:?} {here:?}");
        }
    }

    #[test]
    fn the_numbers_of_disks_are_found_below_partitions_and_volumes() {
        let sys = tempfile::tempdir().unwrap();
        let path = |name: &str| sys.path().join(name);
        let put = |name: &str, text: &str| {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), text).unwrap();
        };
        let link = |from: &str, to: &str| {
            std::fs::create_dir_all(path(from).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(path(to), path(from)).unwrap();
        };
        put("devices/mmcblk0/device/cid", "0353445343313647\n");
        put("devices/mmcblk0/mmcblk0p2/partition", "2\n");
        put("devices/dm-0/dm/name", "root\n");
        put("devices/vda/serial", "\n");
        link("devices/dm-0/slaves/mmcblk0p2", "devices/mmcblk0/mmcblk0p2");
        link("block/179:0", "devices/mmcblk0");
        link("block/179:2", "devices/mmcblk0/mmcblk0p2");
        link("block/253:0", "devices/dm-0");
        link("block/254:0", "devices/vda");
        put("devices/sdb/device/wwid", "naa.5000\n");
        link("devices/md0/slaves/mmcblk0p2", "devices/mmcblk0/mmcblk0p2");
        link("devices/md0/slaves/sdb", "devices/sdb");
        link("block/9:0", "devices/md0");
        let numbers = |major, minor| {
            let mut numbers = disks(&path("block"), rustix::fs::makedev(major, minor));
            numbers.sort();
            numbers
        };
        for (major, minor) in [(179, 0), (179, 2), (253, 0)] {
            assert_eq!(numbers(major, minor), ["0353445343313647"], "{major}:{minor}");
        }
        assert_eq!(numbers(9, 0), ["0353445343313647", "naa.5000"], "both of a mirror");
        assert!(numbers(254, 0).is_empty() && numbers(0, 42).is_empty());
    }
}
