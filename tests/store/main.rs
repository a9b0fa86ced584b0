//! The store through its public surface: its rules, its books, its files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "the helpers of tests are tests: one that cannot go on fails"
)]

mod books;
mod console;
mod extremes;
mod figures;
mod files;
mod flipped;
mod guards;
mod indexes;
mod mended;
mod million;
mod read;
mod rescue;
mod risk;
mod rules;
mod running;
mod salvage;
mod told;
mod upgrade;
mod world;
