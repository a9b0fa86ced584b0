//! One connection: its handshake, its requests and its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::delivery::Wire;
use super::line::{Carrier, TimedLine};
use super::slots::{Busy, Slot};
use super::{Bounds, Guest, Peer, header};
use crate::contract;

/// At the stop, how long a connection without a request stays for one that is on its way or an
/// answer that is.
const IDLE_STOP_WITHIN: Duration = Duration::from_millis(250);
/// At the stop, how long a TLS handshake that is under way may still take: a request follows it.
const HANDSHAKE_STOP_WITHIN: Duration = Duration::from_secs(1);
/// At the stop, how long a request stays that has shown no token and is refused, or sends its body.
const STRANGERS_STOP_WITHIN: Duration = Duration::from_secs(5);
/// How long the farewell to a client may take.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
pub(super) struct House {
    pub(super) router: Router,
    pub(super) bounds: Bounds,
    pub(super) stop: watch::Receiver<bool>,
}

/// An accepted connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

/// Resolves at the stop signal, and also when nobody is left to give it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the stop signal's sender is gone");
    }
}

/// Resolves so long after the stop signal.
async fn stopped_since(stop: &mut watch::Receiver<bool>, within: Duration) {
    stopped(stop).await;
    tokio::time::sleep(within).await;
}

/// Serves one connection to its end.
pub(super) async fn run(stream: Stream, peer: Peer, slot: Slot, house: Arc<House>) {
    let slot = Arc::new(slot);
    // What a served connection needs is made when there is something to serve: one that waits costs
    // next to nothing.
    match stream {
        Stream::Tcp(stream) => {
            if let Some(stream) = greet(stream, &slot, &house).await {
                Box::pin(talk(stream, peer, slot, &house)).await;
            }
        }
        Stream::Unix(stream) => Box::pin(talk(stream, peer, slot, &house)).await,
        Stream::Tls(stream, acceptor) => {
            if let Some(stream) = Box::pin(handshake(stream, &acceptor, &slot, &house)).await {
                Box::pin(talk(stream, peer, slot, &house)).await;
            }
        }
    }
}

/// Waits for the first header. `None`: it did not come, or the connection has to leave.
async fn greet(stream: TcpStream, slot: &Slot, house: &House) -> Option<TcpStream> {
    let mut stop = house.stop.clone();
    let bounds = &house.bounds;
    let came = tokio::select! {
        came = timeout(bounds.header_within, header::arrives(&stream, bounds.header_bytes_max)) => {
            came
        }
        () = slot.evicted() => return None,
        // Whoever has a request on its way is told as the others are.
        () = stopped(&mut stop) => return Some(stream),
    };
    match came {
        Ok(Ok(())) => return Some(stream),
        Ok(Err(error)) => tracing::debug!(%error, "a connection broke before its first header"),
        Err(_) if header::has_begun(&stream) => answer_late_header(stream).await,
        Err(_) => tracing::debug!("a connection sent nothing"),
    }
    None
}

async fn handshake(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    slot: &Slot,
    house: &House,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut stop = house.stop.clone();
    let within = HANDSHAKE_STOP_WITHIN.min(house.bounds.stop_within);
    let shaken = tokio::select! {
        shaken = timeout(house.bounds.header_within, acceptor.accept(stream)) => shaken,
        () = slot.evicted() => return None,
        () = stopped_since(&mut stop, within) => return None,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

type Connection<I> = http1::Connection<TokioIo<TimedLine<I>>, Door>;

async fn talk<I: Carrier>(stream: I, peer: Peer, slot: Arc<Slot>, house: &House) {
    let bounds = &house.bounds;
    let wire = Arc::new(Wire::default());
    let line = TimedLine::new(stream, bounds.write_stall, Arc::clone(&wire));
    let door = Door {
        router: TowerToHyperService::new(house.router.clone()),
        peer,
        slot: Arc::clone(&slot),
        wire: Arc::clone(&wire),
        stop: house.stop.clone(),
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_within)
        .max_buf_size(bounds.header_bytes_max)
        .keep_alive(true)
        // A till that has sent all and hangs up has asked: what came before the end of its stream
        // is decided.
        .half_close(true)
        .pipeline_flush(false)
        .serve_connection(TokioIo::new(line), door);
    let mut stop = house.stop.clone();
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = slot.evicted() => None,
        () = stopped(&mut stop) => {
            wind_down(&mut connection, (&slot, &wire), bounds.stop_within).await
        }
    };
    match ended {
        // Of one whose client has asked for another protocol hyper makes no end: what became of its
        // last answer would not be known.
        Some(Ok(())) => end(connection.into_parts().io.into_inner()).await,
        Some(Err(error)) => {
            tracing::debug!(%error, "a connection ended");
            let parts = connection.into_parts();
            // One that was idle is not told, since it might take this for the answer to its next
            // request.
            if error.is_timeout() && !parts.read_buf.is_empty() {
                answer_late_header(parts.io.into_inner()).await;
            }
        }
        None => {}
    }
}

/// Where the connection has ended already, this returns at once.
async fn end(mut stream: impl AsyncWrite + Unpin) {
    if let Err(error) = stream.shutdown().await {
        tracing::debug!(%error, "a connection broke at its end");
    }
}

/// Ends the connection after the request that is under way, if there is one. `None`: it did not end
/// in time.
async fn wind_down<I: Carrier>(
    connection: &mut Connection<I>,
    (slot, wire): (&Slot, &Wire),
    within: Duration,
) -> Option<hyper::Result<()>> {
    let begun = tokio::time::Instant::now();
    let first = first_request(connection, wire);
    if let Ok(Some(ended)) = timeout(IDLE_STOP_WITHIN.min(within), first).await {
        return Some(ended);
    }
    Pin::new(&mut *connection).graceful_shutdown();
    if let Ok(ended) = timeout(IDLE_STOP_WITHIN.min(within), &mut *connection).await {
        return Some(ended);
    }
    if slot.is_waiting() {
        return None;
    }
    let of_strangers = STRANGERS_STOP_WITHIN.min(within).saturating_sub(begun.elapsed());
    if let Ok(ended) = timeout(of_strangers, &mut *connection).await {
        return Some(ended);
    }
    if slot.may_leave() {
        return None;
    }
    timeout(within.saturating_sub(begun.elapsed()), connection).await.ok()
}

/// Resolves once a request has begun, at once where the last one had come whole, or with the
/// connection's end: hyper closes a connection between two requests as soon as it is told to stop,
/// and whoever has just connected, or sent half a header, has its request on the way.
async fn first_request<I: Carrier>(
    connection: &mut Connection<I>,
    wire: &Wire,
) -> Option<hyper::Result<()>> {
    poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if wire.was_asked() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// A client whose header broke off in the middle is told so.
async fn answer_late_header(mut stream: impl AsyncWrite + Unpin) {
    let body = contract::refusal("the request's header did not arrive in time", &[]);
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: \
         {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let farewell = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(FAREWELL_WITHIN, farewell).await, Ok(Ok(()))) {
        tracing::debug!("a client did not hear that its header was late");
    }
}

/// Where requests enter: it marks the connection busy until the answer is out, and tells the router
/// who asks.
struct Door {
    router: TowerToHyperService<Router>,
    peer: Peer,
    slot: Arc<Slot>,
    wire: Arc<Wire>,
    stop: watch::Receiver<bool>,
}

/// The connection was told to leave before this request's header had come whole.
#[derive(Debug, thiserror::Error)]
#[error("the connection has to make room for another")]
struct Evicted;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Held>, Evicted>> + Send>>;

impl Service<Request<Incoming>> for Door {
    type Response = Response<Held>;
    type Error = Evicted;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let Some(busy) = self.slot.begin() else {
            return Box::pin(std::future::ready(Err(Evicted)));
        };
        self.wire.asked();
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(Guest(Arc::clone(&self.slot)));
        let (wire, stop) = (Arc::clone(&self.wire), self.stop.clone());
        let answering = self.router.call(request);
        Box::pin(async move {
            let answer: Result<Response<Body>, Infallible> = answering.await;
            match answer {
                Ok(mut answer) => {
                    if *stop.borrow() {
                        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    let watched = wire.begins(&mut answer).then_some(wire);
                    Ok(answer.map(|body| Held { body, _busy: busy, watched }))
                }
                Err(never) => match never {},
            }
        })
    }
}

/// An answer's body, which keeps its connection busy until it has been handed over.
struct Held {
    body: Body,
    _busy: Busy,
    watched: Option<Arc<Wire>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(wire) = &self.watched {
            wire.handed();
        }
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
