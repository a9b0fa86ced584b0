//! The tills' side over real sockets.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod bodies;
mod connections;
mod delivery;
mod flow;
mod stopping;
mod support;
mod tls;
