//! The deadline of a request's body, whatever it asks for, and whose place is given to another
//! while the body is awaited.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::problem::Problem;
use super::rights::Asker;
use crate::listen::Guest;
use crate::message::Denied;

/// How long a body may take: as long as a till's.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Each so many bytes that came give a second more. Only an import is so large that it needs them.
const BYTES_A_SECOND_MIN: usize = 64 * 1024;

/// The middleware: whose body is late is told so, and its connection ends. A stranger's connection
/// makes room for others while its body is awaited.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let is_late = Arc::new(AtomicBool::new(false));
    let is_known = Asker::of(request.extensions()).who.is_some();
    let guest = request.extensions().get::<Guest>().filter(|_| !is_known).cloned();
    let timed = |body| Body::new(TimedBody::new(body, guest, Arc::clone(&is_late)));
    let answer = next.run(request.map(timed)).await;
    if is_late.load(Ordering::Acquire) { late() } else { answer }
}

fn late() -> Response {
    let told = Denied::BodyTooSlow { within_s: BODY_WITHIN.as_secs() };
    let mut answer = Problem::denied(StatusCode::REQUEST_TIMEOUT, told).into_response();
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// It did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct LateBody;

/// A body that fails once it is late.
struct TimedBody {
    body: Body,
    until: Pin<Box<Sleep>>,
    /// Bytes that have given no further second yet.
    uncounted: usize,
    is_late: Arc<AtomicBool>,
    awaited: Option<Awaited>,
}

/// Until it is dropped, the connection may have to leave.
struct Awaited(Guest);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.has_sent_all();
    }
}

impl TimedBody {
    fn new(body: Body, guest: Option<Guest>, is_late: Arc<AtomicBool>) -> Self {
        let awaited = guest.map(|guest| {
            guest.is_sending();
            Awaited(guest)
        });
        let until = Box::pin(sleep_until(Instant::now() + BODY_WITHIN));
        Self { body, until, uncounted: 0, is_late, awaited }
    }

    /// What came moves the deadline.
    fn count(&mut self, frame: &Frame<Bytes>) {
        self.uncounted += frame.data_ref().map_or(0, Bytes::len);
        let seconds = self.uncounted / BYTES_A_SECOND_MIN;
        if seconds > 0 {
            self.uncounted %= BYTES_A_SECOND_MIN;
            let more = Duration::from_secs(seconds as u64);
            let until = self.until.deadline() + more;
            self.until.as_mut().reset(until);
        }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(came) = Pin::new(&mut self.body).poll_frame(cx) {
            match &came {
                Some(Ok(frame)) => self.count(frame),
                Some(Err(_)) | None => self.awaited = None,
            }
            return Poll::Ready(came);
        }
        std::task::ready!(self.until.as_mut().poll(cx));
        self.is_late.store(true, Ordering::Release);
        self.awaited = None;
        Poll::Ready(Some(Err(axum::Error::new(LateBody))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Interval, interval};

    use super::*;

    /// Gives so many bytes at each tick, so often.
    struct Comes {
        tick: Interval,
        bytes: usize,
        left: usize,
    }

    impl HttpBody for Comes {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
            std::task::ready!(self.tick.poll_tick(cx));
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            Poll::Ready(Some(Ok(Frame::data(vec![0; self.bytes].into()))))
        }
    }

    /// Whether so many parts of this size came in time, one each second.
    async fn comes(bytes: usize, parts: usize) -> bool {
        let body = Comes { tick: interval(Duration::from_secs(1)), bytes, left: parts };
        let is_late = Arc::new(AtomicBool::new(false));
        let timed = TimedBody::new(Body::new(body), None, Arc::clone(&is_late));
        let whole = axum::body::to_bytes(Body::new(timed), usize::MAX).await;
        assert_eq!(whole.is_err(), is_late.load(Ordering::Acquire));
        whole.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_ten_seconds_and_a_long_one_more_as_long_as_it_comes() {
        assert!(comes(1, 9).await && !comes(1, 12).await);
        assert!(comes(BYTES_A_SECOND_MIN, 60).await);
        assert!(
            comes(BYTES_A_SECOND_MIN / 2, 18).await && !comes(BYTES_A_SECOND_MIN / 2, 30).await
        );
    }
}
