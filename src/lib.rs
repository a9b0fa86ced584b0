//! `redeemd`: a store-and-forward gateway for loyalty redemptions in stores.
//!
//! The map, lowest layer first; imports go downward only.
//!
//! | layer | room | its one purpose |
//! | --- | --- | --- |
//! | 0 | [`fold`] | codes and words in other clothes made one |
//! | 0 | [`clock`] | wall and monotonic time, trusted or not |
//! | 0 | [`message`] | what people read, as data: a code with parameters, in English and Arabic |
//! | 0 | [`files`] | files from outside: read without waiting, and followed |
//! | 0 | [`text`] | strings from outside, made safe to show |
//! | 0 | [`refused`] | how many requests of tills were refused, by reason |
//! | 1 | [`redemption`] | the domain: ids, states, fingerprints, values that must not be shown whole |
//! | 2 | [`contract`] | the wire: parse a till's request, shape an answer or a refusal |
//! | 2 | [`verdict`] | pure: what an upstream answer means |
//! | 2 | [`settings`] | the file, the defaults, the checks |
//! | 3 | [`link`] | pure: a lane's state machine, backoff, spread, slow start |
//! | 3 | [`limits`] | pure: may this be accepted offline? |
//! | 4 | [`store`] | all the SQL |
//! | 4 | [`upstream`] | one HTTPS attempt, and the credential it carries |
//! | 4 | [`listen`] | connections: accept, bound, time out, TLS |
//! | 4 | [`client`] | a small HTTP/1 client for our own listeners |
//! | 4 | [`log`] | where log lines go |
//! | 4 | [`network`] | what the kernel says of links, addresses and routes |
//! | 4 | [`notify`] | systemd: ready, status, watchdog, reload, sockets |
//! | 5 | [`queue`] | the async handle on the one thread that owns the store |
//! | 5 | [`alert`] | the contract's error webhook |
//! | 6 | [`prepare`] | one preparation of the settings for check, run and reload |
//! | 6 | [`forwarder`] | the lanes: claim, send, settle, wait |
//! | 6 | [`intake`] | the tills' HTTP |
//! | 6 | [`admin`] | the operators' HTTP |
//! | 6 | [`sandbox`] | a provider to test against, with every fault on demand |
//! | 7 | [`daemon`] | start order, signals, ordered shutdown |
//! | 7 | [`rehearse`] | plays an outage with a sandbox provider |
//! | 8 | [`cli`] | commands and exit codes |

pub mod admin;
pub mod alert;
pub mod cli;
pub mod client;
pub mod clock;
pub mod contract;
pub mod daemon;
pub mod files;
pub mod fold;
pub mod forwarder;
pub mod intake;
pub mod limits;
pub mod link;
pub mod listen;
pub mod log;
pub mod message;
pub mod network;
pub mod notify;
pub mod prepare;
pub mod queue;
pub mod redemption;
pub mod refused;
pub mod rehearse;
pub mod sandbox;
pub mod settings;
pub mod store;
pub mod text;
pub mod upstream;
pub mod verdict;
