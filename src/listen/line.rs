//! The stream under a connection: its writes fail when the other end reads nothing for too long,
//! and it tells what becomes of the answers on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep};

use super::delivery::Wire;

/// How long the end of a connection waits for the client's system to acknowledge or reset the last
/// answer.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);
/// The same in TLS, where an answer counts as heard when no reset has come by then: the client's
/// own end of the stream may have crossed it.
const TLS_FAREWELL_WITHIN: Duration = Duration::from_millis(200);
/// The pauses between two looks, the first and the longest.
const LOOK_MIN: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_millis(20);

/// What carries a connection.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Unpin {
    /// The TCP connection, if it is one.
    fn tcp(&self) -> Option<&TcpStream>;
    /// Whether more than the answer itself is written: then a reset may be about that.
    const HAS_RECORDS: bool;
}

impl Carrier for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
    const HAS_RECORDS: bool = false;
}

impl Carrier for UnixStream {
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
    const HAS_RECORDS: bool = false;
}

impl Carrier for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self.get_ref().0)
    }
    const HAS_RECORDS: bool = true;
}

/// Without its bound a client that never reads its answer would keep its connection for ever:
/// HTTP's own bounds are about reading alone.
pub(super) struct TimedLine<I> {
    inner: I,
    within: Duration,
    wire: Arc<Wire>,
    /// Runs while a write makes no progress.
    timer: Option<Pin<Box<Sleep>>>,
    farewell: Option<Farewell>,
}

/// The last look after the answers.
struct Farewell {
    until: Instant,
    pause: Duration,
    next_look: Pin<Box<Sleep>>,
}

/// What the system knows of the connection.
enum ConnectionState {
    /// Reset, or otherwise broken.
    Broken(io::Error),
    /// Both sides have closed, and all has been acknowledged.
    Closed,
    Open,
}

impl<I: Carrier> TimedLine<I> {
    pub(super) fn new(inner: I, within: Duration, wire: Arc<Wire>) -> Self {
        Self { inner, within, wire, timer: None, farewell: None }
    }

    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = poll(Pin::new(&mut self.inner), cx);
        if let Poll::Ready(result) = polled {
            self.timer = None;
            return Poll::Ready(result.inspect_err(|error| self.ends_with(error)));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.within)));
        ready!(timer.as_mut().poll(cx));
        self.wire.broken();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Who reset it may have read what was written before; who does not acknowledge has not.
    fn ends_with(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
            self.wire.reset();
        } else {
            self.wire.broken();
        }
    }

    /// Before a write: what lies there was sent before the client can have read it.
    fn writes(&self) {
        let tcp = self.inner.tcp();
        self.wire.writes(|| tcp.is_some_and(|tcp| ioctl_fionread(tcp) != Ok(0)));
    }

    fn known(&self) -> ConnectionState {
        let Some(tcp) = self.inner.tcp() else { return ConnectionState::Closed };
        match (tcp.take_error(), tcp.peer_addr()) {
            (Ok(Some(error)) | Err(error), _) => ConnectionState::Broken(error),
            (Ok(None), Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                ConnectionState::Closed
            }
            (Ok(None), _) => ConnectionState::Open,
        }
    }

    /// Looks after the last answers until their end is known or the time is over.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.wire.has_written() {
            match self.known() {
                ConnectionState::Broken(error) => self.ends_with(&error),
                ConnectionState::Closed => self.wire.heard(),
                ConnectionState::Open => ready!(self.poll_next_look(cx)),
            }
        }
        Poll::Ready(())
    }

    fn poll_next_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let within = if I::HAS_RECORDS { TLS_FAREWELL_WITHIN } else { FAREWELL_WITHIN };
        let farewell = self.farewell.get_or_insert_with(|| Farewell {
            until: Instant::now() + within,
            pause: LOOK_MIN,
            next_look: Box::pin(sleep(LOOK_MIN)),
        });
        ready!(farewell.next_look.as_mut().poll(cx));
        if Instant::now() >= farewell.until {
            self.wire.heard();
            return Poll::Ready(());
        }
        farewell.pause = (farewell.pause * 2).min(LOOK_MAX);
        farewell.next_look.as_mut().reset(Instant::now() + farewell.pause);
        Poll::Ready(())
    }
}

impl<I: Carrier> AsyncRead for TimedLine<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Pending => {
                self.wire.drained();
                return Poll::Pending;
            }
            // A client that leaves TLS without its farewell has ended its stream as well.
            Poll::Ready(Err(error))
                if I::HAS_RECORDS && error.kind() == io::ErrorKind::UnexpectedEof => {}
            Poll::Ready(Err(error)) => {
                self.ends_with(&error);
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.wire.came(),
            Poll::Ready(Ok(())) => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Carrier> AsyncWrite for TimedLine<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes();
        self.bounded(cx, |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes();
        self.bounded(cx, |inner, cx| inner.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.bounded(cx, I::poll_flush))?;
        if self.wire.has_handed() {
            self.wire.written();
        }
        Poll::Ready(Ok(()))
    }

    /// Bare TCP is shut down first, since the client's system acknowledges that too. TLS waits
    /// before it, because a client that has left answers the farewell with a reset, whatever it has
    /// read.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if I::HAS_RECORDS || self.inner.tcp().is_none() {
            ready!(self.poll_farewell(cx));
            return self.bounded(cx, I::poll_shutdown);
        }
        let shut = if self.farewell.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))
        } else {
            Ok(())
        };
        ready!(self.poll_farewell(cx));
        Poll::Ready(shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    impl Carrier for DuplexStream {
        fn tcp(&self) -> Option<&TcpStream> {
            None
        }
        const HAS_RECORDS: bool = false;
    }

    fn line(inner: DuplexStream) -> TimedLine<DuplexStream> {
        TimedLine::new(inner, Duration::from_secs(10), Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends_the_connection() {
        let (near, _far) = tokio::io::duplex(4);
        let begun = tokio::time::Instant::now();
        let error = line(near).write_all(b"12345").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_goes_on_is_waited_for() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut line = line(near);
        let reader = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                far.read_u8().await.expect("a byte");
            }
        };
        let (written, ()) = tokio::join!(line.write_all(b"12345"), reader);
        written.expect("all of it");
    }
}
