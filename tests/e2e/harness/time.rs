//! The daemon's wall clock, set by libfaketime; and whether it is believed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::disk::skipped;
use super::gateway::{Builder, Gateway};

/// Where Debian keeps the library.
const FOLDER: &str = "/usr/lib";

/// A false wall clock.
pub(crate) struct FakeTime {
    library: PathBuf,
}

impl FakeTime {
    /// `None`, and said, where the library is missing.
    pub(crate) fn find() -> Option<Self> {
        let folders = std::fs::read_dir(FOLDER).ok()?;
        let library = |folder: std::fs::DirEntry| folder.path().join("faketime/libfaketime.so.1");
        let found = folders.filter_map(Result::ok).map(library).find(|path| path.exists());
        if found.is_none() {
            skipped("libfaketime is missing: install faketime");
        }
        found.map(|library| Self { library })
    }

    /// The daemon's clock follows the file `clock` in its folder; only its wall clock.
    pub(crate) fn under(&self, builder: Builder) -> Builder {
        let file = builder.folder().join("clock").display().to_string();
        builder
            .environment("LD_PRELOAD", &self.library.display().to_string())
            .environment("FAKETIME_TIMESTAMP_FILE", &file)
            .environment("FAKETIME_NO_CACHE", "1")
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// The whole time runs so much faster, the monotonic clock too, from the next start on. The
    /// library reads its file seldom then: two threads that read it at once can begin its time
    /// anew.
    pub(crate) fn hurry(gateway: &mut Gateway, from: &str, times: u32) {
        gateway.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "0");
        gateway.set_environment("FAKETIME_NO_CACHE", "0");
        set_clock(gateway.folder(), &format!("@{from} x{times}"));
    }

    /// The time runs as it does everywhere, from the next start on.
    pub(crate) fn calm(gateway: &mut Gateway, from: &str) {
        gateway.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        gateway.set_environment("FAKETIME_NO_CACHE", "1");
        set_clock(gateway.folder(), &format!("@{from}"));
    }
}

/// What the clock shows from now on, also of a running daemon: `2027-01-01 00:00:00`.
pub(crate) fn set_clock(folder: &Path, text: &str) {
    let mut line = text.to_owned();
    writeln!(line).unwrap();
    let fresh = folder.join("clock.new");
    std::fs::write(&fresh, line).unwrap();
    std::fs::rename(fresh, folder.join("clock")).unwrap();
}

/// A wrapper under which timesyncd seems to have set the clock: a `/run` of the daemon's own.
/// `None`, and said, where this user may not do that.
pub(crate) fn synchronised() -> Option<[&'static str; 6]> {
    const SCRIPT: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/timesync \
         && touch /run/systemd/timesync/synchronized && exec \"$@\"";
    let works = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", SCRIPT, "sh", "true"])
        .status();
    if works.is_ok_and(|status| status.success()) {
        return Some(["unshare", "-m", "sh", "-c", SCRIPT, "sh"]);
    }
    skipped("no mount namespace can be had");
    None
}
