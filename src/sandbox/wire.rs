//! A connection that a handler can break from the inside: RST, FIN or silence at a chosen moment.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::fault::Cut;

/// After our FIN, incoming bytes are read for this long, so that no RST follows.
const CLOSE_DRAIN_MAX: Duration = Duration::from_secs(2);

/// How long a hanging connection is kept.
const HANG_MAX: Duration = Duration::from_hours(1);

/// Lets a handler break the connection that carries its request.
#[derive(Debug, Default)]
pub(super) struct Tap(watch::Sender<Option<Cut>>);

impl Tap {
    /// Breaks the connection. The handler is dropped with it and must not answer.
    pub(super) fn cut(&self, how: Cut) {
        self.0.send_replace(Some(how));
    }

    /// Returns when a handler has asked for it.
    pub(super) async fn cut_asked(&self) -> Cut {
        let mut asked = self.0.subscribe();
        let how = asked.wait_for(Option::is_some).await.ok().and_then(|how| *how);
        // The sender is here, so the wait cannot fail.
        how.unwrap_or(Cut::Hang)
    }
}

/// The socket below TLS and HTTP. It is shared, so that it can still be broken when those are gone.
#[derive(Debug)]
pub(super) struct BreakableWire(pub(super) Arc<TcpStream>);

impl AsyncRead for BreakableWire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(into.initialize_unfilled()) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for BreakableWire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(fin(&self.0))
    }
}

fn fin(socket: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(socket, rustix::net::Shutdown::Write) {
        // The peer was faster.
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Breaks the socket. Nobody else may hold it. A socket that is already broken is fine.
pub(super) async fn finish(socket: Arc<TcpStream>, how: Cut) -> io::Result<()> {
    match how {
        Cut::Reset => socket.set_zero_linger(),
        Cut::Close => {
            fin(&socket)?;
            read_away(&socket, CLOSE_DRAIN_MAX).await
        }
        Cut::Hang => read_away(&socket, HANG_MAX).await,
    }
}

/// Reads and drops what comes until the peer ends or `at_most` is over.
async fn read_away(socket: &TcpStream, at_most: Duration) -> io::Result<()> {
    let reading = async {
        let mut chunk = [0; 4096];
        loop {
            socket.readable().await?;
            match socket.try_read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    };
    tokio::time::timeout(at_most, reading).await.unwrap_or(Ok(()))
}
