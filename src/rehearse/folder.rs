//! The rehearsal's folder: fresh, on the state directory's file system, gone afterwards.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::RehearseError;

/// A folder that is removed when this is dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Makes one in `state_dir`, or above it if that does not exist yet.
    pub(super) fn new(state_dir: &Path) -> Result<Self, RehearseError> {
        let existing =
            state_dir.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("."));
        let absolute = existing.canonicalize().map_err(failed("cannot use", existing))?;
        let path = absolute.join(format!("redeemd-rehearsal-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(failed("cannot make the folder", &path))?;
        Ok(Self { path, is_kept: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Writes a file that only its owner can read.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, RehearseError> {
        let path = self.path.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(failed("cannot write", &path))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            // With standard error closed nobody is left to be told.
            writeln!(std::io::stderr(), "redeemd: {}: {error}", self.path.display())
                .unwrap_or_default();
        }
    }
}

pub(super) fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> RehearseError {
    let what = format!("{what} {}", path.display());
    move |source| RehearseError::Folder { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_beside_the_state_and_goes_unless_it_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = Folder::new(&temp.path().join("not/there/yet")).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(path.parent().unwrap(), temp.path().canonicalize().unwrap());
        folder.write("token", "x").unwrap();
        folder.keep();
        drop(folder);
        assert!(path.join("token").exists());
        std::fs::remove_dir_all(&path).unwrap();

        let folder = Folder::new(temp.path()).unwrap();
        assert!(Folder::new(temp.path()).is_err(), "it is not fresh");
        drop(folder);
        assert!(!path.exists());
    }
}
