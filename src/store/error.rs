//! What can go wrong with the store, and what that means for whoever asked.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon works on this state directory.
    #[error("another redeemd{} works on {dir}", in_brackets(pid))]
    Locked {
        /// Its pid as it wrote it; empty where that cannot be told.
        pid: String,
        /// The state directory.
        dir: PathBuf,
    },
    /// A file of the state directory cannot be used.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The database is not the file any more that was opened.
    #[error("{path}: {how}")]
    Taken {
        /// The file.
        path: PathBuf,
        /// Gone, or another.
        how: &'static str,
    },
    /// A file was not synced: what of it is on the disk is not known.
    #[error("{path}: not synced: {error}")]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The database was written by a newer version.
    #[error(
        "the database has schema version {found}, this redeemd knows versions up to {known}: \
         install the newer redeemd again"
    )]
    Newer {
        /// Its version.
        found: i64,
        /// This build's.
        known: i64,
    },
    /// The file is a SQLite database of some other program.
    #[error("the database belongs to another program (application_id {application_id:#x})")]
    Foreign {
        /// Its id.
        application_id: i64,
    },
    /// The file is damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The database is damaged and there is no space for a new one; nothing was changed.
    #[error(
        "the database is damaged ({why}) and the disk has no space for a new one: free about \
         {needed} bytes ({free} are free) and start again; nothing was changed"
    )]
    NoRoomToRescue {
        /// What is wrong with it.
        why: String,
        /// How many bytes a new one may take.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// A copy would leave the store too little.
    #[error("a copy of the database needs {needed} bytes beside it, and {free} are free")]
    NoRoomToCopy {
        /// How many bytes it needs, with what the store keeps free.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// The bundled SQLite is too old to be trusted.
    #[error("SQLite {found} is too old: at least 3.51.3 is needed")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// A pragma was not taken.
    #[error("SQLite did not take the setting {name}: it says {got:?}")]
    Pragma {
        /// Which.
        name: &'static str,
        /// What it has instead.
        got: String,
    },
    /// The kernel gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
    /// SQLite's own error.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The same error as that of a batch that this operation was part of.
    #[error("{text}")]
    Again {
        /// What the batch's error means.
        trouble: Trouble,
        /// What it said.
        text: String,
    },
    /// A defect in redeemd.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// What an error means for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This operation failed; the store is as good as before.
    Operation,
    /// There is no space left.
    Full,
    /// The disk cannot be written (read-only, I/O error): refuse, look again.
    Unwritable,
    /// The database is damaged: set it aside.
    Damaged,
    /// What is on the disk is not known any more (a failed fsync): stop, start again, recover.
    Fatal,
}

impl Trouble {
    /// Whether nothing more may be tried on this store as it is.
    #[must_use]
    pub fn ends_the_store(self) -> bool {
        matches!(self, Self::Damaged | Self::Fatal)
    }
}

/// Extended result codes that the crate has no names for (sqlite.org/rescode.html).
const IOERR_FSYNC: i32 = 1034;
const IOERR_DIR_FSYNC: i32 = 1290;
/// What a row must be before it is changed: one that never was is damaged.
const CONSTRAINT_CHECK: i32 = 275;

impl StoreError {
    /// What it means for the store.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) => of_code(*failure),
            Self::Damaged(_)
            | Self::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => Trouble::Damaged,
            Self::Again { trouble, .. } => *trouble,
            Self::File { error, .. } if is_full(error.kind()) => Trouble::Full,
            Self::File { .. } | Self::Taken { .. } => Trouble::Unwritable,
            Self::Unsynced { .. } => Trouble::Fatal,
            Self::Locked { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. }
            | Self::OldSqlite { .. }
            | Self::NoRoomToRescue { .. }
            | Self::NoRoomToCopy { .. }
            | Self::Pragma { .. }
            | Self::Random(_)
            | Self::Sqlite(_)
            | Self::Internal(_) => Trouble::Operation,
        }
    }

    /// Whether the database is none for this program, or this version of it.
    #[must_use]
    pub fn is_a_misfit(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Foreign { .. } | Self::OldSqlite { .. })
    }

    /// Whether SQLite could not agree with others on the log, as where it may not write beside it.
    pub(super) fn is_of_locking(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = self else { return false };
        failure.code == ErrorCode::FileLockingProtocolFailed
    }

    pub(crate) fn again(&self) -> Self {
        Self::Again { trouble: self.trouble(), text: self.to_string() }
    }
}

fn in_brackets(pid: &str) -> String {
    if pid.is_empty() { String::new() } else { format!(" (pid {pid})") }
}

fn is_full(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn of_code(failure: rusqlite::ffi::Error) -> Trouble {
    match (failure.code, failure.extended_code) {
        (_, IOERR_FSYNC | IOERR_DIR_FSYNC) => Trouble::Fatal,
        (ErrorCode::DiskFull, _) => Trouble::Full,
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) | (_, CONSTRAINT_CHECK) => {
            Trouble::Damaged
        }
        (ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen, _) => {
            Trouble::Unwritable
        }
        _ => Trouble::Operation,
    }
}
