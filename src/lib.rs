//! `redeemd`: a store-and-forward gateway for loyalty redemptions in stores.
//!
//! The map, lowest layer first; imports go downward only.
//!
//! | layer | room | its one purpose |
//! | --- | --- | --- |
//! | 0 | [`fold`] | codes and words in other clothes made one |
//! | 0 | [`clock`] | wall and monotonic time, trusted or not |
//! | 0 | [`files`] | files from outside: read without waiting, and followed |
//! | 0 | [`pem`] | files of certificates: that each of them was read |
//! | 0 | [`text`] | strings from outside, made safe to show |
//! | 0 | [`answered`] | how long tills waited for their answers |
//! | 0 | [`value`] | what a redemption is worth, exactly |
//! | 2 | [`checked`] | how many checks of tills were answered, by what answered them |
//! | 2 | [`refused`] | how many requests of tills were refused, by reason |
//! | 1 | [`message`] | what people read, as data: a code with parameters, in English and Arabic |
//! | 2 | [`redemption`] | the domain: ids, states, fingerprints, masked values |
//! | 3 | [`contract`] | the wire: parse a till's request, shape an answer or a refusal |
//! | 3 | [`verdict`] | pure: what an upstream answer means |
//! | 3 | [`settings`] | the file, the defaults, the checks |
//! | 4 | [`trust`] | pure: may a reward be given without the provider's answer |
//! | 5 | [`link`] | pure: a lane's state machine, backoff, spread, slow start |
//! | 6 | [`limits`] | pure: may this be accepted on trust? |
//! | 6 | [`schedule`] | pure: what a lane does next |
//! | 7 | [`decide`] | pure: the rules about one redemption |
//! | 8 | [`store`] | all the SQL |
//! | 8 | `store::damage` | a damaged database, read without SQLite; the store's door to it |
//! | 8 | [`upstream`] | one HTTPS attempt, and the credential it carries |
//! | 8 | [`listen`] | connections: accept, bound, time out, TLS |
//! | 8 | [`client`] | a small HTTP/1 client for our own listeners |
//! | 8 | [`log`] | where log lines go |
//! | 8 | [`network`] | what the kernel says of links, addresses and routes |
//! | 8 | [`notify`] | systemd: ready, status, watchdog, reload, sockets |
//! | 9 | [`queue`] | the async handle on the one thread that owns the store |
//! | 9 | [`alert`] | the contract's error webhook |
//! | 10 | [`prepare`] | one preparation of the settings for check, run and reload |
//! | 10 | [`forwarder`] | the lanes: claim, send, settle, wait |
//! | 10 | [`intake`] | the tills' HTTP |
//! | 10 | [`admin`] | the operators' HTTP |
//! | 10 | [`sandbox`] | a provider to test against, with every fault on demand |
//! | 11 | [`daemon`] | start order, signals, ordered shutdown |
//! | 11 | [`rehearse`] | plays an outage with a sandbox provider |
//! | 12 | [`cli`] | commands and exit codes |

pub mod admin;
pub mod alert;
pub mod answered;
pub mod checked;
pub mod cli;
pub mod client;
pub mod clock;
pub mod contract;
pub mod daemon;
pub mod decide;
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
pub mod pem;
pub mod prepare;
pub mod queue;
pub mod redemption;
pub mod refused;
pub mod rehearse;
pub mod sandbox;
pub mod schedule;
pub mod settings;
pub mod store;
pub mod text;
pub mod trust;
pub mod upstream;
pub mod value;
pub mod verdict;
