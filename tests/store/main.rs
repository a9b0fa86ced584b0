//! The store through its public surface: its rules, its books, its files.

mod books;
mod files;
mod rescue;
mod rules;
mod salvage;
mod upgrade;
mod world;
