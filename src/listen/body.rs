//! A request's body: read whole within bounds, or thrown away within bounds so that its sender
//! hears the answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::timeout;

/// How much of a body that nobody wants is read.
const DISCARD_BYTES_MAX: usize = 1024 * 1024;
/// How long a body that nobody wants is read.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// The same of one whose sender has shown no valid token: as much as a till would send with a wrong
/// one.
const STRANGERS_BYTES_MAX: usize = 64 * 1024;
const STRANGERS_WITHIN: Duration = Duration::from_secs(1);

/// Why a body did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is, or says that it will be, longer than allowed.
    #[error("the body is longer than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// It did not end in time.
    #[error("the body did not arrive within {within_s} s")]
    TooSlow {
        /// The limit.
        within_s: u64,
    },
    /// The connection or its chunks broke off.
    #[error("the body broke off")]
    Broken,
}

/// A request's body as it comes in.
#[derive(Debug)]
pub struct Inbound {
    body: Body,
    /// The client sends nothing before we have begun to read.
    awaits_go: bool,
    /// Nothing more is to be had of it.
    over: bool,
    /// Its end was read.
    ended: bool,
}

impl Inbound {
    /// The body that comes after `headers`.
    #[must_use]
    pub fn new(headers: &HeaderMap, body: Body) -> Self {
        let over = body.is_end_stream();
        Self { body, awaits_go: headers.contains_key(header::EXPECT), over, ended: over }
    }

    /// Whether its end was read. If not, its connection takes no other request, and the answer has
    /// to say so.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The whole body, of at most `max_bytes`, unless it takes longer than `within`.
    pub async fn whole(&mut self, max_bytes: usize, within: Duration) -> Result<Bytes, BodyFault> {
        let announced = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > max_bytes {
            return Err(BodyFault::TooLarge { max_bytes });
        }
        self.awaits_go = false;
        let Ok(read) = timeout(within, self.read(announced, max_bytes)).await else {
            self.over = true;
            return Err(BodyFault::TooSlow { within_s: within.as_secs() });
        };
        read
    }

    /// The bytes are copied out of the connection's buffer, which would otherwise live as long as
    /// they do.
    async fn read(&mut self, announced: usize, max_bytes: usize) -> Result<Bytes, BodyFault> {
        let mut whole = BytesMut::with_capacity(announced);
        while let Some(frame) = self.body.frame().await {
            let Ok(frame) = frame else {
                self.over = true;
                return Err(BodyFault::Broken);
            };
            let Some(data) = frame.data_ref() else { continue };
            if whole.len() + data.len() > max_bytes {
                return Err(BodyFault::TooLarge { max_bytes });
            }
            whole.extend_from_slice(data);
        }
        (self.over, self.ended) = (true, true);
        Ok(whole.freeze())
    }

    /// Throws away what is left. A client that is still writing when its connection is closed may
    /// never see the answer, so this comes before an answer that was made without the body.
    pub async fn discard(&mut self) {
        self.discard_at_most(DISCARD_BYTES_MAX, DISCARD_WITHIN).await;
    }

    /// Throws away a little of what is left: its sender has shown no valid token.
    pub async fn discard_strangers(&mut self) {
        self.discard_at_most(STRANGERS_BYTES_MAX, STRANGERS_WITHIN).await;
    }

    async fn discard_at_most(&mut self, bytes_max: usize, within: Duration) {
        if self.over || self.awaits_go {
            return;
        }
        if timeout(within, self.discard_bytes(bytes_max)).await.is_err() {
            tracing::debug!("a body that nobody wants did not end in time");
        }
    }

    async fn discard_bytes(&mut self, mut left: usize) {
        while let Some(frame) = self.body.frame().await {
            let Ok(frame) = frame else { return };
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                self.ended = self.body.is_end_stream();
                return;
            }
        }
        self.ended = true;
    }
}
