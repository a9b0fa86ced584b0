//! Whether the database is the one that was used here last. An old copy that is written into its
//! file leaves device, inode and time of birth as they were, and a cloned disk has the same ones.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, keep};

/// The file beside the database that is written anew at each start and at each ordered stop. The
/// database knows what is in it and when it was changed (`st_ctime`, `inode(7)`), which no program
/// that copies can set.
pub(super) const COUNTERPART: &str = "counterpart";
/// File systems keep times in steps of their own: JFFS2 and ext4 with small inodes of a second, FAT
/// of two. A time that was told finer while the file was in the cache is cut after a reboot.
const TIME_STEP_S: u64 = 2;
/// More than this is not ours.
const COUNTERPART_BYTES_MAX: u64 = 100;
/// What the database knows of the counterpart; empty while that is written, or where it cannot be.
const KNOWN: &str = "counterpart";
/// The numbers of the disk and of the machine, each empty where it could not be told.
const KNOWN_PLACE: &str = "disk and machine";
const MACHINE: &str = "/etc/machine-id";
/// Where a disk's own number stands below its folder of sysfs: SD cards and eMMC, `NVMe`, SCSI and
/// SATA, virtio.
const NUMBERS: [&str; 5] = ["device/cid", "wwid", "device/wwid", "serial", "device/serial"];
/// How many volumes may lie on one another.
const VOLUMES_MAX: u32 = 4;

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
    let place = keep::read(connection, KNOWN_PLACE)?.unwrap_or_default();
    Ok(differs(known.as_deref(), found(dir).as_deref())
        .then_some("another database was used here last")
        .or_else(|| is_elsewhere(&place, &here(dir))))
}

/// A database that knows of no counterpart, beside one, is from before there were any.
fn differs(known: Option<&str>, found: Option<&str>) -> bool {
    match (known, found) {
        (Some(""), _) | (_, None) => false,
        (Some(known), Some(found)) => !is_alike(known, found),
        (None, Some(_)) => true,
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
    let differs =
        |(known, here): (&str, &str)| !known.is_empty() && !here.is_empty() && known != here;
    both.zip(whys).find_map(|(both, why)| differs(both).then_some(why))
}

/// Writes the counterpart anew; what the database is to know of it from then on. Meanwhile it knows
/// that this is being done, so that a power cut between the two makes no copy of it.
///
/// # Errors
/// The database cannot be written. Where the counterpart cannot, none is known.
pub(super) fn renew(connection: &Connection, dir: &Path) -> Result<String, StoreError> {
    keep::write(connection, KNOWN, "")?;
    let token: String =
        connection.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?;
    let written = write(dir, &token).map(|()| found(dir).unwrap_or_default());
    Ok(written.unwrap_or_else(|error| {
        tracing::warn!(%error, "the database's counterpart cannot be written: an old copy that is \
            written into its file would not be known as one");
        String::new()
    }))
}

/// The database knows this of its counterpart, and where it lies.
pub(super) fn learn(
    connection: &Connection,
    dir: &Path,
    counterpart: &str,
) -> Result<(), StoreError> {
    keep::write(connection, KNOWN, counterpart)?;
    keep::write(connection, KNOWN_PLACE, &here(dir))
}

/// A database that was put together from a damaged one may have an old counterpart's mark.
pub(super) fn forget(connection: &Connection) -> Result<(), StoreError> {
    keep::write(connection, KNOWN, "")
}

/// Of the same length each time: a full disk has room for what is written over itself.
fn write(dir: &Path, token: &str) -> std::io::Result<()> {
    let path = dir.join(COUNTERPART);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

/// What is in the counterpart and when it was changed; `None` where it cannot be read.
fn found(dir: &Path) -> Option<String> {
    let file = File::open(dir.join(COUNTERPART)).ok()?;
    let meta = file.metadata().ok()?;
    let mut bytes = Vec::new();
    file.take(COUNTERPART_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let token = String::from_utf8_lossy(&bytes);
    Some(format!("{} {}.{:09}", token.trim_end(), meta.ctime(), meta.ctime_nsec()))
}

fn here(dir: &Path) -> String {
    let hashed = |number: Option<String>| {
        number
            .map_or_else(String::new, |number| format!("{:08x}", crc32c::crc32c(number.as_bytes())))
    };
    let device = device(dir);
    let disk = device.and_then(|device| disk(Path::new("/sys/dev/block"), device));
    format!("{}\n{}", hashed(disk), hashed(machine(device)))
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

/// The disk's own number, which a clone of it does not have.
fn disk(blocks: &Path, device: u64) -> Option<String> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    number_of(&blocks.join(format!("{major}:{minor}")), VOLUMES_MAX)
}

fn number_of(block: &Path, volumes: u32) -> Option<String> {
    let mut block = block.canonicalize().ok()?;
    if block.join("partition").exists() {
        block.pop();
    }
    if let Some(number) = NUMBERS.iter().find_map(|name| number_in(&block.join(name))) {
        return Some(number);
    }
    let mut below: Vec<_> =
        std::fs::read_dir(block.join("slaves")).ok()?.flatten().map(|entry| entry.path()).collect();
    below.sort();
    number_of(below.first()?, volumes.checked_sub(1)?)
}

fn number_in(path: &Path) -> Option<String> {
    let number = std::fs::read_to_string(path).ok()?.trim().to_owned();
    (!number.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_copy_where_both_sides_say_something_else() {
        for (known, found, is_copy) in [
            (Some("a 1.5"), Some("a 1.5"), false),
            (Some("a 1.5"), Some("b 2.5"), true),
            // Cut to the step of its file system.
            (Some("a 3.7"), Some("a 3.0"), false),
            (Some("a 3.7"), Some("a 2.0"), false),
            (Some("a 3.7"), Some("b 3.0"), true),
            // The counterpart was put back with the database: it was changed since.
            (Some("a 1.5"), Some("a 1.6"), true),
            (Some("a 1.5"), Some("a 9.0"), true),
            // A power cut while the counterpart was written.
            (Some(""), Some("b 2.5"), false),
            (Some(""), None, false),
            // The first start after an upgrade, and a copy from before it.
            (None, None, false),
            (None, Some("a 1.5"), true),
            (Some("a 1.5"), None, false),
        ] {
            assert_eq!(differs(known, found), is_copy, "{known:?} {found:?}");
        }
    }

    #[test]
    fn a_clone_is_told_by_the_disks_number_or_the_machines_where_both_are_known() {
        assert_eq!(is_elsewhere("d\nm", "d\nm"), None);
        assert_eq!(is_elsewhere("d\nm", "e\nm"), Some("it lies on another disk"));
        assert_eq!(is_elsewhere("d\nm", "d\nn"), Some("it lies on another machine"));
        for (known, here) in [("", "d\nm"), ("d\n", "\nm"), ("\n", "d\nm"), ("\nm", "d\n")] {
            assert_eq!(is_elsewhere(known, here), None, "{known:?} {here:?}");
        }
    }

    #[test]
    fn the_number_of_a_disk_is_found_below_partitions_and_volumes() {
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
        let number = |major, minor| disk(&path("block"), rustix::fs::makedev(major, minor));
        for (major, minor) in [(179, 0), (179, 2), (253, 0)] {
            assert_eq!(
                number(major, minor).as_deref(),
                Some("0353445343313647"),
                "{major}:{minor}"
            );
        }
        assert_eq!((number(254, 0), number(0, 42)), (None, None));
    }
}
