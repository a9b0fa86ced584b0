//! Connections: accepted, faulted, served over HTTP/1.1 or HTTP/2, and the line that can be cut
//! under them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::body::AnswerBody;
use super::fault::{Cut, Fault};
use super::line::LineState;
use super::provider::SandboxProvider;
use super::wire::{BreakableWire, Tap, finish};
use super::{HttpVersions, control};

/// Connections at a time; those beyond it are closed at once.
const CONNECTIONS_MAX: usize = 4096;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The pause after a failed accept or bind.
const RETRY_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A fatal TLS alert, `handshake_failure` (RFC 8446, section 6).
const TLS_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// A listener's address, kept while the line is cut.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    /// Bound but not listening: nobody else gets the port while connections to it are refused.
    _holder: TcpSocket,
}

impl Port {
    pub(super) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let holder = bound(address)?;
        Ok(Self { address: holder.local_addr()?, _holder: holder })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(BACKLOG)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts the gateway's connections for ever, as the line allows.
pub(super) async fn provide(
    provider: Arc<SandboxProvider>,
    port: Port,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut line = provider.line();
    loop {
        let now = *line.borrow_and_update();
        if now == LineState::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = port.listen().ok();
        }
        if now == LineState::Refuse || listener.is_some() {
            provider.line_is_now(now);
        }
        let served = Served { provider: &provider, tls: tls.as_ref(), listener: listener.as_ref() };
        served.until_the_line_changes(now, &mut line, &mut connections).await;
    }
}

struct Served<'a> {
    provider: &'a Arc<SandboxProvider>,
    tls: Option<&'a TlsAcceptor>,
    listener: Option<&'a TcpListener>,
}

impl Served<'_> {
    /// Also returns when the listener is missing and should be tried again.
    async fn until_the_line_changes(
        &self,
        now: LineState,
        line: &mut watch::Receiver<LineState>,
        connections: &mut JoinSet<()>,
    ) {
        let retries = self.listener.is_none() && now != LineState::Refuse;
        loop {
            let accepted = async {
                match self.listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = line.changed() => return,
                () = tokio::time::sleep(RETRY_AFTER_ERROR), if retries => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accepted => match accepted {
                    Ok((socket, _)) if connections.len() < CONNECTIONS_MAX => {
                        let (provider, tls) = (Arc::clone(self.provider), self.tls.cloned());
                        connections.spawn(connection(provider, socket, tls));
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(RETRY_AFTER_ERROR).await,
                },
            }
        }
    }
}

/// One connection from accept to its end, whoever ends it.
async fn connection(provider: Arc<SandboxProvider>, socket: TcpStream, tls: Option<TlsAcceptor>) {
    let socket = Arc::new(socket);
    let mut line = provider.line();
    let number = provider.inner().books.count_connection();
    let tap = Arc::new(Tap::default());
    let how = {
        let serving =
            serve(&provider, BreakableWire(Arc::clone(&socket)), Arc::clone(&tap), number, tls);
        drive(serving, &tap, &mut line).await
    };
    // If the peer is already gone, there is nothing left to break.
    if let Some(how) = how {
        finish(socket, how).await.unwrap_or_default();
    }
}

/// Runs a connection while the line is up. Returns how to break it, or `None` if it ended by
/// itself.
async fn drive(
    serving: impl Future<Output = ()>,
    tap: &Tap,
    line: &mut watch::Receiver<LineState>,
) -> Option<Cut> {
    let mut serving = pin!(serving);
    loop {
        let now = *line.borrow_and_update();
        if now == LineState::Refuse {
            return Some(Cut::Reset);
        }
        tokio::select! {
            biased;
            _ = line.changed() => {}
            how = tap.cut_asked(), if now == LineState::Up => return Some(how),
            () = &mut serving, if now == LineState::Up => return None,
        }
    }
}

async fn serve(
    provider: &Arc<SandboxProvider>,
    mut wire: BreakableWire,
    tap: Arc<Tap>,
    number: u64,
    tls: Option<TlsAcceptor>,
) {
    if let Some(rule) = provider.accept_fault() {
        if let Some(delay) = rule.delay {
            tokio::time::sleep(delay.0).await;
        }
        if let Fault::Break(how, _) = rule.fault.fault {
            tap.cut(how);
        } else {
            // The alert has to leave before the FIN; a peer that is gone needs neither.
            wire.write_all(&TLS_ALERT).await.unwrap_or_default();
            tap.cut(Cut::Close);
        }
        return std::future::pending().await;
    }
    match tls {
        None => {
            let http2 = provider.options.http_versions() == HttpVersions::Two;
            serve_http(provider, wire, tap, number, http2).await;
        }
        Some(tls) => {
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, tls.accept(wire)).await else {
                return;
            };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve_http(provider, stream, tap, number, http2).await;
        }
    }
}

async fn serve_http<S>(
    provider: &Arc<SandboxProvider>,
    stream: S,
    tap: Arc<Tap>,
    number: u64,
    http2: bool,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let provider = Arc::clone(provider);
    let service = service_fn(move |request| {
        let answer = answer(Arc::clone(&provider), Arc::clone(&tap), number, request);
        async move { Ok::<Response<AnswerBody>, Infallible>(answer.await) }
    });
    let io = TokioIo::new(stream);
    // The gateway decides how its connection ends.
    if http2 {
        http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
            .unwrap_or_default();
    } else {
        http1::Builder::new().serve_connection(io, service).await.unwrap_or_default();
    }
}

/// Without an address of its own, the control API is served at the provider's address.
async fn answer(
    provider: Arc<SandboxProvider>,
    tap: Arc<Tap>,
    connection: u64,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let is_control = request.uri().path().starts_with(control::PREFIX);
    if is_control && provider.options.control.is_none() {
        return control::serve(&provider, request).await;
    }
    provider.serve(tap, connection, request).await
}

/// Accepts the control API's own connections for ever, whatever the line does.
pub(super) async fn control(provider: Arc<SandboxProvider>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(control_connection(Arc::clone(&provider), socket));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(RETRY_AFTER_ERROR).await,
            },
        }
    }
}

async fn control_connection(provider: Arc<SandboxProvider>, socket: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let provider = Arc::clone(&provider);
        async move { Ok::<_, Infallible>(control::serve(&provider, request).await) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await.unwrap_or_default();
}
