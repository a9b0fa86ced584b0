//! What people read, as data: a code with parameters, stored so, and rendered at the edge in
//! English or Arabic.
//!
//! Each topic is one enum, declared in one table: code, parameters and both texts. Its
//! `text(language)` is what a person reads, `to_stored()` one line of JSON such as
//! `{"m":"says_failed","status":200}`, and `from_stored()` reads that back. Other text, such as
//! an operator's note or a sentence of an earlier version, comes back as `Text`. English texts
//! begin in lower case and Arabic ones hold every code, id and name isolated.

mod amount;
mod cause;
mod denied;
mod event;
mod fault;
mod hold;
mod language;
mod macros;
mod need;
mod note;
mod refusal;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod samples;
mod storage;
#[cfg(test)]
mod tests;
mod texts;
mod words;

pub use amount::{
    Noun, NounPlace, about, about_in, count, count_in, fine, grouped, money, short, whole,
};
pub use cause::Cause;
pub use denied::{Denied, FilterFault, RowFault};
pub use event::Event;
pub use fault::Fault;
pub use hold::{held_besides, held_by, who_holds};
pub use language::{Language, Plural, UnknownLanguage};
pub(crate) use macros::worded;
pub use need::Need;
pub use note::Note;
pub use refusal::{Reason, Refusal};
pub use storage::Storage;
pub use texts::{TEXT_BYTES_MAX, TextFault, Texts};
pub use words::{deed, http_status, left_out, outcome, role, state};
