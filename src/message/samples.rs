//! Parameters for the tests of every message, each easily found again in a text.

use super::denied::FilterFault;
use super::fault::Fault;
use super::note::Note;
use super::storage::Storage;

/// A value to fill a parameter with.
pub(super) trait Sample {
    fn sample() -> Self;
}

impl Sample for String {
    fn sample() -> Self {
        "x-41".to_owned()
    }
}

impl Sample for u16 {
    fn sample() -> Self {
        207
    }
}

impl Sample for u64 {
    fn sample() -> Self {
        7
    }
}

impl Sample for Option<u64> {
    fn sample() -> Self {
        Some(7)
    }
}

impl Sample for Storage {
    fn sample() -> Self {
        Self::Unwritable { why: Sample::sample() }
    }
}

impl Sample for Vec<Fault> {
    fn sample() -> Self {
        Fault::all()
    }
}

impl Sample for Vec<FilterFault> {
    fn sample() -> Self {
        FilterFault::all()
    }
}

impl Sample for Option<Note> {
    fn sample() -> Self {
        Some(Note::Text { text: Sample::sample() })
    }
}
