//! One HTTPS attempt: a redemption in, an answer or a phase of failure out.

use bytes::Bytes;

use crate::redemption::{Id, Seq};

/// One attempt to deliver a redemption.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The row.
    pub seq: Seq,
    /// Sent as `Idempotency-Key`.
    pub id: Id,
    /// Which attempt this is, from 1: `Redeemd-Attempt`.
    pub number: u32,
    /// Unix milliseconds: `Redeemd-Accepted-At` (RFC 3339, UTC).
    pub accepted_at_ms: i64,
    /// The stored body.
    pub body: Bytes,
}
