//! `redeemd`: a store-and-forward gateway for loyalty redemptions in stores.
//!
//! The map, lowest layer first; imports go downward only.
//!
//! | layer | room | its one purpose |
//! | --- | --- | --- |
//! | 0 | [`redemption`] | the domain: ids, states, fingerprints, values that must not be shown whole |
//! | 0 | [`contract`] | the wire: parse a till's request, shape an answer or a refusal |
//! | 0 | [`clock`] | wall and monotonic time, trusted or not |
//! | 0 | [`text`] | strings from outside, made safe to show |
//! | 1 | [`verdict`] | pure: what an upstream answer means |
//! | 1 | [`link`] | pure: a lane's state machine, backoff, spread, slow start |
//! | 1 | [`limits`] | pure: may this be accepted offline? |
//! | 1 | [`settings`] | the file, the defaults, the checks |
//! | 2 | [`store`] | all the SQL |
//! | 2 | [`upstream`] | one HTTPS attempt, and the credential it carries |
//! | 2 | [`listen`] | connections: accept, bound, time out, TLS |
//! | 2 | [`client`] | a small HTTP/1 client for our own listeners |
//! | 2 | [`log`] | where log lines go |
//! | 2 | [`network`] | what the kernel says of links, addresses and routes |
//! | 3 | [`queue`] | the async handle on the one thread that owns the store |
//! | 4 | [`forwarder`] | the lanes: claim, send, settle, wait |
//! | 4 | [`intake`] | the tills' HTTP |
//! | 4 | [`admin`] | the operators' HTTP |
//! | 4 | [`notify`] | systemd: ready, status, watchdog, reload, sockets |
//! | 4 | [`alert`] | the contract's error webhook |
//! | 5 | [`daemon`] | start order, signals, ordered shutdown |
//! | 6 | [`cli`] | commands and exit codes |
//! | 4 | [`sandbox`] | a provider to test against, with every fault on demand |
//! | 5 | [`rehearse`] | plays an outage with a sandbox provider |

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
pub mod settings;
pub mod store;
pub mod text;
pub mod upstream;
pub mod verdict;
