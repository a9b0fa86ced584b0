//! A listener with a small router, and a client that writes bytes as it likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::routing::{any, get};
use redeemd::listen::{Bounds, Inbound, Peer, Socket, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The longest body that the test's router takes.
pub(crate) const BODY_BYTES_MAX: usize = 1024;

/// A listener at work.
pub(crate) struct Host {
    pub(crate) addr: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    /// Holds its one task.
    pub(crate) tasks: JoinSet<()>,
    /// Lets one request on `/gate` go on.
    pub(crate) gate: Arc<Notify>,
    /// Told when a request on `/gate` has begun.
    pub(crate) begun: Arc<Notify>,
}

impl Host {
    pub(crate) async fn plain(bounds: Bounds) -> Self {
        Self::with(bounds, Socket::Tcp).await
    }

    pub(crate) async fn with(bounds: Bounds, socket: impl FnOnce(TcpListener) -> Socket) -> Self {
        let (gate, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = router(&gate, &begun);
        Self { gate, begun, ..Self::serving(router, bounds, socket).await }
    }

    /// A listener with another router; nothing waits at its gate.
    pub(crate) async fn serving(
        router: Router,
        bounds: Bounds,
        socket: impl FnOnce(TcpListener) -> Socket,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its number");
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(vec![socket(listener)], router, bounds, stopped));
        Self { addr, stop, tasks, gate: Arc::default(), begun: Arc::default() }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("a connection")
    }

    /// The listener has ended.
    pub(crate) async fn ended(&mut self) {
        timeout(PATIENCE, self.tasks.join_next())
            .await
            .expect("in time")
            .expect("its task")
            .expect("no panic");
    }
}

/// Whether `event` comes of what is under way, or within a moment of it: the moment passes at once
/// where nothing is left to do, so that nobody waits to know that it does not come.
pub(crate) async fn comes(event: impl Future) -> bool {
    tokio::time::pause();
    let came = timeout(Duration::from_millis(100), event).await.is_ok();
    tokio::time::resume();
    came
}

pub(crate) fn router(gate: &Arc<Notify>, begun: &Arc<Notify>) -> Router {
    let (gate, begun) = (Arc::clone(gate), Arc::clone(begun));
    let waits = move || {
        let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
        async move {
            begun.notify_one();
            gate.notified().await;
            "through"
        }
    };
    Router::new()
        .route("/", get(|| async { "here" }))
        .route("/gate", get(waits))
        .route("/peer", get(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }))
        .route("/body", any(read_body))
        .route("/refuse", any(refuse_body))
}

async fn read_body(request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let mut inbound = Inbound::new(&parts.headers, body);
    let read = inbound.whole(BODY_BYTES_MAX, Duration::from_millis(300)).await;
    inbound.discard().await;
    match read {
        Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
        Err(fault) => (StatusCode::BAD_REQUEST, fault.to_string()),
    }
}

async fn refuse_body(request: Request) -> (StatusCode, Body) {
    let (parts, body) = request.into_parts();
    Inbound::new(&parts.headers, body).discard().await;
    (StatusCode::UNAUTHORIZED, Body::from("no"))
}

/// Writes `text` and reads one answer: its status line, headers and body.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("written");
    answer(stream).await
}

pub(crate) fn get_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Reads one answer, empty when the other side closed instead.
pub(crate) async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&text) {
        let read =
            timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer or an end in time");
        match read {
            Ok(0) | Err(_) => break,
            Ok(count) => text += std::str::from_utf8(&buffer[..count]).expect("UTF-8"),
        }
    }
    text
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    !head.starts_with("http/1.1 100")
        && body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

/// The other side has closed the connection without a further byte.
pub(crate) async fn is_closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    answer(stream).await.is_empty()
}
