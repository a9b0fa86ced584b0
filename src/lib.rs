//! `redeemd`: a store-and-forward gateway for loyalty redemptions in stores.
//!
//! The map, lowest layer first; imports go downward only.
//!
//! | layer | room | its one purpose |
//! | --- | --- | --- |
//! | 0 | [`redemption`] | the domain: ids, states, fingerprints, values that must not be shown whole |
//! | 0 | [`clock`] | wall and monotonic time, trusted or not |
//! | 0 | [`text`] | strings from outside, made safe to show |
//! | 1 | [`contract`] | the wire: parse a till's request, shape an answer or a refusal |
//! | 2 | [`verdict`] | pure: what an upstream answer means |
//! | 2 | [`settings`] | the file, the defaults, the checks |
//! | 3 | [`trust`] | pure: may a redemption be given in the gateway's own name, and what speaks for it |
//! | 4 | [`link`] | pure: a lane's state machine, backoff, spread, slow start |
//! | 5 | [`limits`] | pure: may this be accepted offline? |
//! | 5 | [`schedule`] | pure: what a lane does next |
//! | 6 | [`store`] | all the SQL |
//! | 6 | [`upstream`] | one HTTPS attempt, and the credential it carries |
//! | 6 | [`listen`] | connections: accept, bound, time out, TLS |
//! | 6 | [`client`] | a small HTTP/1 client for our own listeners |
//! | 6 | [`log`] | where log lines go |
//! | 6 | [`network`] | what the kernel says of links, addresses and routes |
//! | 6 | [`notify`] | systemd: ready, status, watchdog, reload, sockets |
//! | 7 | [`queue`] | the async handle on the one thread that owns the store |
//! | 7 | [`alert`] | the contract's error webhook |
//! | 8 | [`forwarder`] | the lanes: claim, send, settle, wait |
//! | 8 | [`intake`] | the tills' HTTP |
//! | 8 | [`admin`] | the operators' HTTP |
//! | 8 | [`sandbox`] | a provider to test against, with every fault on demand |
//! | 9 | [`daemon`] | start order, signals, ordered shutdown |
//! | 9 | [`rehearse`] | plays an outage with a sandbox provider |
//! | 10 | [`cli`] | commands and exit codes |

pub mod admin;
pub mod alert;
pub mod cli;
pub mod client;
pub mod clock;
pub mod contract;
pub mod daemon;
pub mod forwarder;
pub mod intake;
pub mod limits;
pub mod link;
pub mod listen;
pub mod log;
pub mod network;
pub mod notify;
pub mod queue;
pub mod redemption;
pub mod rehearse;
pub mod sandbox;
pub mod schedule;
pub mod settings;
pub mod store;
pub mod text;
pub mod trust;
pub mod upstream;
pub mod verdict;
