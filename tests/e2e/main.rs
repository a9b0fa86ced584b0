//! The real binary, from outside: tills, the daemon, a hostile provider.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows tests by their attribute alone, and a harness's faults are failures of \
        its tests"
)]

mod around;
mod backlog;
mod checks;
mod clock;
mod damage;
mod disk;
mod harness;
mod inbox;
mod kinds;
mod log;
mod misbehaving;
mod netns;
mod operator;
mod oracle;
mod people;
mod powercut;
mod rehearse;
mod removal;
mod rescue;
mod risk;
mod smoke;
mod start;
mod strangers;
mod taken;
mod till;
mod torture;
mod trust;
mod upgrade;
mod verdicts;
#[path = "../volatile/mod.rs"]
mod volatile;
mod watchdog;
mod wire;
mod worth;
mod zones;
