//! Finding redemptions: by the keyed hash of a whole code, or by what is known of them.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::filter::{RowFilter, parse_with};
use super::given::lane_looked_for;
use super::{AccessRules, Admin};
use crate::clock::Days;
use crate::files;
use crate::message::Denied;
use crate::queue::QueueError;
use crate::redemption::{Fingerprint, RewardCode};
use crate::store::{CodeHash, FoundRows};
use crate::text::hex;

/// The key's file in the state directory.
const KEY_FILE: &str = "search.key";
/// How many codes are remembered by their hashes; others are found by a look at each row.
const REMEMBERED_MAX: usize = 256;

/// The key of the hashes, and the codes that were looked for.
#[derive(Default)]
pub(super) struct SearchedCodes {
    key: OnceLock<Arc<str>>,
    codes: Mutex<VecDeque<(Fingerprint, RewardCode)>>,
}

impl std::fmt::Debug for SearchedCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SearchedCodes")
    }
}

impl SearchedCodes {
    fn key(&self, rules: &AccessRules) -> &Arc<str> {
        self.key.get_or_init(|| kept_key(rules.state_dir.as_deref()).into())
    }

    /// Remembers the code; its hash.
    pub(super) fn remember(&self, rules: &AccessRules, code: &str) -> Fingerprint {
        let hash = CodeHash::of(self.key(rules), code).hash;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|(known, _)| *known != hash);
        codes.truncate(REMEMBERED_MAX - 1);
        codes.push_front((hash, RewardCode::new(code.trim().to_owned())));
        hash
    }

    fn code(&self, hash: Fingerprint) -> Option<RewardCode> {
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.iter().find(|(known, _)| *known == hash).map(|(_, code)| code.clone())
    }
}

/// The key of the state directory, which outlives the process; where none can be kept, one for this
/// process.
fn kept_key(state_dir: Option<&Path>) -> String {
    let mut bytes = [0; 32];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!(
            "the kernel gives no random bytes: searched codes have a weak hash in addresses"
        );
    }
    let new = hex(&bytes);
    let Some(file) = state_dir.map(|folder| folder.join(KEY_FILE)) else { return new };
    let read = files::read(&file, 64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(kept) = read.filter(|kept| kept.len() == new.len()) {
        return kept;
    }
    if let Err(error) = keep_key(&file, &new) {
        tracing::warn!(%error, "the key of searched codes cannot be kept: addresses of searches \
            end with this process");
    }
    new
}

/// Takes the place of whatever is there; what was opened might be a pipe, which has to be waited
/// for.
fn keep_key(file: &Path, key: &str) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.and_then(|mut file| file.write_all(key.as_bytes()))
}

/// What is looked for, or each fault in it.
pub(super) fn wanted(
    admin: &Admin,
    values: &[(String, String)],
    days: &Days,
) -> Result<RowFilter, Denied> {
    let wanted = parse_with(values, days).map_err(|faults| Denied::Filter { faults })?;
    lane_looked_for(admin, wanted.search.lane.as_deref()).map(|()| wanted)
}

/// What fits, by the index where the code is known, else by a bounded look at the rows.
pub(super) async fn find(admin: &Admin, wanted: RowFilter) -> Result<FoundRows, QueueError> {
    let rules = admin.access.rules();
    let memory = &admin.desk.searches;
    let mut search = wanted.search;
    if let Some(hash) = wanted.code {
        if let Some(code) = memory.code(hash).filter(|_| search.after.is_none()) {
            let businesses = rules.businesses.clone();
            let found = admin.queue.look(move |reader| reader.of_code(&code, &businesses)).await?;
            // Its business may be none of those that are known.
            if !found.rows.is_empty() {
                return Ok(found);
            }
        }
        search.newest = true;
        search.code = Some(CodeHash { key: Arc::clone(memory.key(&rules)), hash });
    }
    admin.queue.look(move |reader| reader.search(&search)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_outlives_the_process_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let key = kept_key(Some(folder.path()));
        assert_eq!(kept_key(Some(folder.path())), key);
        let mode = std::fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(kept_key(None), key);
    }

    #[test]
    fn a_pipe_in_the_place_of_the_key_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KEY_FILE);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let key = kept_key(Some(folder.path()));
        assert_eq!(kept_key(Some(folder.path())), key);
    }

    #[test]
    fn the_codes_that_are_remembered_are_bounded() {
        let (memory, rules) = (SearchedCodes::default(), AccessRules::default());
        let first = memory.remember(&rules, "CODE-0");
        assert_eq!(memory.remember(&rules, " CODE-0 "), first);
        for n in 1..=REMEMBERED_MAX {
            memory.remember(&rules, &format!("CODE-{n}"));
        }
        assert!(
            memory.code(first).is_none() && memory.codes.lock().unwrap().len() == REMEMBERED_MAX
        );
    }
}
