//! `backup`: a copy of the running gateway's database, streamed to whoever may have it.

use std::fs::File;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::actions::Nothing;
use super::given::{RawBody, arguments};
use super::rights::Asker;
use super::{Admin, Problem};
use crate::message::{Denied, Storage};
use crate::queue::QueueError;

/// How much is read and sent at a time, in bytes.
const PART_BYTES: usize = 64 * 1024;
/// How many parts wait for a slow reader.
const PARTS_MAX: usize = 4;

/// `POST /api/v1/backup`
pub(super) async fn backup(
    State(admin): State<Arc<Admin>>,
    Extension(asker): Extension<Asker>,
    body: RawBody,
) -> Result<Response, Problem> {
    arguments::<Nothing>(body)?;
    let copy = admin.queue.backup(asker.name()).await.map_err(|error| match error {
        QueueError::Refusing(why @ Storage::NoRoomToCopy { .. }) => Problem::denied(
            StatusCode::INSUFFICIENT_STORAGE,
            Denied::NotCopied { why: Box::new(why) },
        ),
        error @ (QueueError::Busy { .. } | QueueError::Refusing(_) | QueueError::Stopping) => {
            error.into()
        }
    })?;
    let failed = |error: std::io::Error| {
        let told = Denied::CopyUnread { why: error.to_string() };
        Problem::denied(StatusCode::INTERNAL_SERVER_ERROR, told)
    };
    let left = copy.metadata().map_err(failed)?.len();
    let (sender, parts) = mpsc::channel(PARTS_MAX);
    tokio::task::spawn_blocking(move || send(copy, &sender));
    let types = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((types, Body::new(Copy { parts, left })).into_response())
}

/// Ends when all is sent, the file fails, or nobody reads any more.
fn send(mut copy: File, parts: &mpsc::Sender<std::io::Result<Bytes>>) {
    loop {
        let mut part = vec![0; PART_BYTES];
        let read = copy.read(&mut part).map(|bytes| {
            part.truncate(bytes);
            Bytes::from(part)
        });
        let is_over = read.as_ref().map_or(true, Bytes::is_empty);
        if read.as_ref().is_ok_and(Bytes::is_empty) || parts.blocking_send(read).is_err() || is_over
        {
            return;
        }
    }
}

/// The answer's body; its length is known, so that a copy that breaks off is not taken for a whole
/// one.
struct Copy {
    parts: mpsc::Receiver<std::io::Result<Bytes>>,
    left: u64,
}

impl hyper::body::Body for Copy {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.parts.poll_recv(cx);
        if let Poll::Ready(Some(Ok(part))) = &next {
            self.left = self.left.saturating_sub(part.len() as u64);
        }
        next.map(|part| part.map(|part| part.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
