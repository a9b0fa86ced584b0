//! Answer bodies: whole ones, and those that are slow, endless, huge, truncated or broken off.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::fault::Cut;
use super::wire::Tap;

/// A connection is broken this long after the last byte, because the bytes have to leave first.
const LAST_BYTES_LEAVE_WITHIN: Duration = Duration::from_millis(50);

/// One piece of an endless or huge body.
static FILLING: [u8; 16 * 1024] = [b' '; 16 * 1024];

/// Slow bodies come in at most this many pieces a second.
const PIECES_PER_SECOND_MAX: u64 = 20;

/// A body for hyper.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// All at once.
    Whole(Full<Bytes>),
    /// Piece by piece.
    Scripted(Box<Script>),
}

impl AnswerBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

/// What comes after the pieces.
#[derive(Clone, Debug)]
pub(super) enum BodyEnd {
    /// The body is complete.
    Complete,
    /// The connection is broken when the bytes have left.
    Cut(Arc<Tap>, Cut),
}

/// A body's pieces: `start`, `filling` bytes, `tail`, each piece `piece` long and `pause` apart.
#[derive(Debug)]
pub(super) struct Script {
    start: Bytes,
    filling: u64,
    tail: Bytes,
    piece: usize,
    pause: Option<Duration>,
    end: Option<BodyEnd>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Script {
    /// `bytes` at `rate` a second.
    pub(super) fn slow(bytes: Bytes, rate: u64) -> Self {
        let (piece, pause) = pace(rate);
        Self { piece, pause: Some(pause), ..Self::plain(bytes) }
    }

    /// A JSON object that never ends.
    pub(super) fn endless(rate: Option<u64>) -> Self {
        let endless = Self { filling: u64::MAX, ..Self::huge(0) };
        let Some((piece, pause)) = rate.map(pace) else { return endless };
        Self { piece, pause: Some(pause), ..endless }
    }

    /// A JSON object of about `bytes`.
    pub(super) fn huge(bytes: u64) -> Self {
        let (start, tail) = (Bytes::from_static(b"{\"data\":["), Bytes::from_static(b"]}"));
        let filling = bytes.saturating_sub((start.len() + tail.len()) as u64);
        Self { filling, tail, piece: FILLING.len(), ..Self::plain(start) }
    }

    /// `bytes`, without a length known in advance.
    pub(super) fn plain(bytes: Bytes) -> Self {
        Self {
            piece: bytes.len().max(1),
            start: bytes,
            filling: 0,
            tail: Bytes::new(),
            pause: None,
            end: Some(BodyEnd::Complete),
            sleep: None,
        }
    }

    /// `bytes`, then the connection is broken.
    pub(super) fn broken_off(bytes: Bytes, tap: Arc<Tap>, how: Cut) -> Self {
        Self { end: Some(BodyEnd::Cut(tap, how)), ..Self::plain(bytes) }
    }

    /// The next piece, if any is left.
    fn next(&mut self) -> Option<Bytes> {
        if !self.start.is_empty() {
            return Some(self.start.split_to(self.piece.min(self.start.len())));
        }
        if self.filling > 0 {
            let take = self
                .piece
                .min(FILLING.len())
                .min(usize::try_from(self.filling).unwrap_or(usize::MAX));
            self.filling =
                if self.filling == u64::MAX { u64::MAX } else { self.filling - take as u64 };
            return FILLING.get(..take).map(Bytes::from_static);
        }
        (!self.tail.is_empty()).then(|| std::mem::take(&mut self.tail))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(sleep) = &mut self.sleep {
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        if let Some(piece) = self.next() {
            self.sleep = self.pause.map(|pause| Box::pin(tokio::time::sleep(pause)));
            return Poll::Ready(Some(piece));
        }
        match self.end.take() {
            None | Some(BodyEnd::Complete) => Poll::Ready(None),
            Some(BodyEnd::Cut(tap, how)) => self.poll_cut(cx, tap, how),
        }
    }

    /// Waits first until the bytes have left, then breaks the connection and stays pending for
    /// good.
    fn poll_cut(&mut self, cx: &mut Context<'_>, tap: Arc<Tap>, how: Cut) -> Poll<Option<Bytes>> {
        if self.pause.is_none() {
            let pause = LAST_BYTES_LEAVE_WITHIN;
            self.pause = Some(pause);
            self.end = Some(BodyEnd::Cut(tap, how));
            let mut sleep = Box::pin(tokio::time::sleep(pause));
            let ready = sleep.as_mut().poll(cx).is_ready();
            self.sleep = (!ready).then_some(sleep);
            if ready {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        // One hanging request must not silence the others of an HTTP/2 connection.
        if how != Cut::Hang {
            tap.cut(how);
        }
        self.end = Some(BodyEnd::Cut(tap, how));
        Poll::Pending
    }
}

/// `bytes` as gzip (RFC 1952) in blocks that are not compressed (RFC 1951, section 3.2.4): short
/// answers gain nothing.
pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for block in bytes.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    // An empty last block.
    out.extend([1, 0, 0, 0xff, 0xff]);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    Bytes::from(out)
}

/// RFC 1952's checksum.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Bytes a piece and the pause after it.
fn pace(rate: u64) -> (usize, Duration) {
    let pieces = rate.clamp(1, PIECES_PER_SECOND_MAX);
    let piece = usize::try_from(rate.div_ceil(pieces)).unwrap_or(usize::MAX);
    (piece.max(1), Duration::from_secs(1) / u32::try_from(pieces).unwrap_or(1))
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Scripted(script) => {
                script.poll(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Scripted(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Scripted(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn collect(script: Script) -> Bytes {
        AnswerBody::Scripted(Box::new(script)).collect().await.unwrap().to_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_takes_its_length_over_its_rate() {
        let before = tokio::time::Instant::now();
        assert_eq!(collect(Script::slow(Bytes::from_static(b"0123456789"), 2)).await, "0123456789");
        let took = before.elapsed();
        assert!((Duration::from_secs(4)..=Duration::from_secs(6)).contains(&took), "{took:?}");
    }

    #[test]
    fn gzip_is_what_its_reader_expects() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let packed = gzip(b"{}");
        assert_eq!(&packed[..17], b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\x02\0\xfd\xff{}");
        assert_eq!(&packed[packed.len() - 4..], [2, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_huge_body_is_as_long_as_asked_and_is_json() {
        let bytes = collect(Script::huge(100_000)).await;
        assert_eq!(bytes.len(), 100_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
    }

    #[tokio::test]
    async fn an_endless_body_goes_on_past_what_anybody_reads() {
        let mut body = AnswerBody::Scripted(Box::new(Script::endless(None)));
        let mut read = 0;
        while read < 1_000_000 {
            read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_broken_off_cuts_after_its_bytes_and_never_ends() {
        let tap = Arc::new(Tap::default());
        let script = Script::broken_off(Bytes::from_static(b"half"), Arc::clone(&tap), Cut::Reset);
        let mut body = AnswerBody::Scripted(Box::new(script));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        tokio::select! {
            _ = body.frame() => panic!("the body ended"),
            how = tap.cut_asked() => assert_eq!(how, Cut::Reset),
        }
    }
}
