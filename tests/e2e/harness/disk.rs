//! Disks that fail: small file systems to fill and to break, and a shim that fails the daemon's own
//! calls.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::eventually;
use super::gateway::Builder;

/// Bytes of an image that is mounted through a loop device.
const IMAGE_BYTES: u64 = 24 * 1024 * 1024;

/// A file system of the test's own, gone with it.
pub(crate) struct Mount {
    folder: TempDir,
    image: Option<PathBuf>,
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Says loudly that a test could not run here; `REDEEMD_SKIP=never` makes that a failure.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var("REDEEMD_SKIP").as_deref() != Ok("never"), "cannot run here: {why}");
    eprintln!("SKIPPED: {why}");
    println!("SKIPPED: {why}");
}

/// After an ordered stop: the database's first page becomes nonsense, and so that it is not read
/// from the log, that holds nothing either. The damaged bytes.
pub(crate) fn spoil(state_dir: &Path) -> Vec<u8> {
    let open =
        |name: &str| File::options().read(true).write(true).open(state_dir.join(name)).unwrap();
    let (database, log) = (open("redeemd.db"), open("redeemd.db-wal"));
    let frames = vec![0; usize::try_from(log.metadata().unwrap().len()).unwrap() - 32];
    log.write_all_at(&frames, 32).unwrap();
    log.sync_all().unwrap();
    database.write_all_at(&[0xa5; 4096], 0).unwrap();
    database.sync_all().unwrap();
    std::fs::read(state_dir.join("redeemd.db")).unwrap()
}

impl Mount {
    /// 8 MiB in memory; `None`, said loudly, where this user may not mount.
    pub(crate) fn tmpfs() -> Option<Self> {
        Self::tmpfs_of("8m")
    }

    pub(crate) fn tmpfs_of(size: &str) -> Option<Self> {
        let mount = Self { folder: tempfile::tempdir().unwrap(), image: None };
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "none"])
            .arg(mount.path());
        mount.made(run(&mut command))
    }

    /// ext4 in a file; `None`, said loudly, where this user may not mount.
    pub(crate) fn ext4() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().with_extension("img");
        File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        let mount = Self { folder, image: Some(image.clone()) };
        let made =
            run(Command::new("mkfs.ext4").arg("-q").arg(&image)).and_then(|()| mount.mount());
        mount.made(made)
    }

    fn made(self, made: Result<(), String>) -> Option<Self> {
        made.map_err(|why| skipped(&why)).ok().map(|()| self)
    }

    /// Mounts the image (again).
    pub(crate) fn mount(&self) -> Result<(), String> {
        let image = self.image.as_ref().unwrap();
        run(Command::new("mount")
            .args(["-o", "loop,errors=remount-ro"])
            .arg(image)
            .arg(self.path()))
    }

    pub(crate) fn unmount(&self) {
        run(Command::new("umount").arg(self.path())).unwrap();
        // A mount namespace that another test made meanwhile keeps it alive until that test has
        // ended.
        let image = self.image.as_ref().unwrap();
        eventually("the file system is let go everywhere", || {
            let listed = Command::new("losetup").arg("--associated").arg(image).output().unwrap();
            (listed.status.success() && listed.stdout.is_empty()).then_some(())
        });
    }

    /// As a disk that was taken out of a dead box is best looked at.
    pub(crate) fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path())).unwrap();
    }

    /// What ext4 does of itself when it meets an error: read-only from now on, whatever is open.
    pub(crate) fn break_off(&self) {
        run(Command::new("mount").args(["-o", "remount,abort"]).arg(self.path())).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Another program fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.path().join("others")).unwrap();
        for size in [64 * 1024, 4096, 512, 1] {
            let block = vec![b'x'; size];
            while file.write_all(&block).is_ok() {}
        }
        // Delayed allocation finds out late; whether it does is not what is tested.
        file.sync_all().unwrap_or_default();
    }

    /// Another program leaves so many bytes free.
    pub(crate) fn leave(&self, bytes: u64) {
        let mut file = File::create(self.path().join("others")).unwrap();
        let taken = redeemd::store::free_bytes(self.path()) - bytes;
        std::io::copy(&mut std::io::repeat(b'x').take(taken), &mut file).unwrap();
        file.sync_all().unwrap();
    }

    /// The other program's file goes.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path().join("others")).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failing test's daemon may still be there.
        drop(Command::new("umount").args(["--lazy", "--quiet"]).arg(self.path()).output());
        if let Some(image) = &self.image {
            drop(std::fs::remove_file(image));
        }
    }
}

/// The words of the shim's control file, in its order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    SyncErrno,
    SyncMs,
    WriteErrno,
    Block,
    Which,
    Syncs,
    Failed,
    Blocked,
}

/// Which files fail.
pub(crate) const DATABASE: i32 = 1;
pub(crate) const LOG: i32 = 2;
pub(crate) const EIO: i32 = 5;
pub(crate) const EROFS: i32 = 30;
pub(crate) const EDQUOT: i32 = 122;

/// The shim: built, and a control file.
pub(crate) struct Shim {
    folder: TempDir,
    control: File,
}

impl Shim {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/shim.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(folder.path().join("shim.so"));
        run(compiler.arg(source).arg("-ldl")).unwrap();
        let control = folder.path().join("control");
        let control =
            OpenOptions::new().read(true).write(true).create_new(true).open(control).unwrap();
        control.set_len(4096).unwrap();
        Self { folder, control }
    }

    /// The daemon runs with the shim, which looks at the files of its state directory alone.
    pub(crate) fn under(&self, builder: Builder) -> Builder {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let state = builder.state_dir().display().to_string();
        builder
            .environment("LD_PRELOAD", &path("shim.so"))
            .environment("SHIM_CONTROL", &path("control"))
            .environment("SHIM_FOLDER", &state)
    }

    pub(crate) fn set(&self, word: Word, value: i32) {
        self.control.write_all_at(&value.to_ne_bytes(), 4 * word as u64).unwrap();
    }

    pub(crate) fn get(&self, word: Word) -> i32 {
        let mut bytes = [0; 4];
        self.control.read_exact_at(&mut bytes, 4 * word as u64).unwrap();
        i32::from_ne_bytes(bytes)
    }
}
