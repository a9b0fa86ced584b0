//! Parameters that are messages themselves, for the tests of every message.

use super::cause::Cause;
use super::denied::FilterFault;
use super::fault::Fault;
use super::note::Note;
use super::refusal::Refusal;
use super::sample::Sample;
use super::storage::Storage;

impl Sample for Storage {
    fn sample() -> Self {
        Self::Unwritable { why: Sample::sample() }
    }
}

impl Sample for Box<Storage> {
    fn sample() -> Self {
        Box::new(Sample::sample())
    }
}

impl Sample for Cause {
    fn sample() -> Self {
        Self::Credential
    }
}

impl Sample for Box<Refusal> {
    fn sample() -> Self {
        Box::new(Refusal::LimitPending { waiting: 7 })
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
