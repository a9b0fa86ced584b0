//! A gateway that runs as another user than root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::disk::skipped;
use super::gateway::{Builder, Gateway};
use super::process::binary;
use super::provider::Provider;

/// Debian's `nobody`.
pub(crate) const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// A gateway that runs as nobody, who may read its settings. `None`, and said, where it cannot.
pub(crate) fn as_nobody(provider: &Provider) -> Option<Builder> {
    let mut version = std::process::Command::new(AS_NOBODY[0]);
    version.args(&AS_NOBODY[1..]).arg(binary()).arg("--version");
    if !version.output().is_ok_and(|output| output.status.success()) {
        skipped("the daemon cannot be run as nobody");
        return None;
    }
    let builder = Gateway::with().lane("main", provider, "").wrapper(&AS_NOBODY);
    std::fs::set_permissions(builder.folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(builder)
}

/// A new state directory of nobody's own.
pub(crate) fn make_nobodys(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
}
