//! The tills' side over real sockets.

mod bodies;
mod connections;
mod stopping;
mod support;
mod tls;
