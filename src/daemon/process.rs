//! What this process may use and who may look into it, whatever the unit says.

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

/// What the process makes from now on is for its user alone: the database holds whole codes.
pub(super) fn keep_files_private() {
    umask(Mode::from_raw_mode(0o077));
}

/// Makes the process one that nobody can dump: a core, or a debugger of the same user, would show
/// codes and tokens. Also closes `/proc/self/io` and the like to the process itself.
pub(super) fn hide() {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = no_core.and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
    {
        tracing::warn!(%error, "the process cannot be made one that nobody can dump");
    }
}

/// Raises the soft limit of open files to the hard one.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the soft limit of open files cannot be raised");
    }
}
