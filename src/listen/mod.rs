//! Connections: accept, bound, time out, TLS; what both listeners stand on.

mod body;
mod connection;
mod slots;
mod stall;
mod tls;

pub use body::{BodyFault, Inbound};
pub use tls::{Certificate, CertificateFault};

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use connection::{House, Stream};
use slots::{Slot, Slots};

/// How long accepting rests after the system refused it (no file descriptors, no memory).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Who is at the other end; an extension of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The user id of the process at the other end of a Unix socket.
    pub uid: Option<u32>,
    /// The address at the other end of a TCP connection.
    pub addr: Option<SocketAddr>,
}

/// Where connections come from.
#[derive(Debug)]
pub enum Socket {
    /// Plain HTTP.
    Tcp(TcpListener),
    /// HTTP in TLS.
    Tls(TcpListener, Certificate),
    /// A Unix socket.
    Unix(UnixListener),
}

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a request's header, and of what is read at once.
    pub header_bytes_max: usize,
    /// From a connection's begin, or the end of an answer, to the end of the next header; the TLS handshake too.
    pub header_within: Duration,
    /// How long a client may leave an answer unread.
    pub write_stall: Duration,
    /// From the stop signal to the end of the last answer.
    pub stop_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            header_bytes_max: 16 * 1024,
            header_within: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Serves `router` on `socket` until `stop` holds true (or its sender is gone): then nothing more is accepted, idle
/// connections are closed, and requests under way get their answer within `bounds.stop_within`.
///
/// When all connections are taken, the one that has waited longest for its header is closed for the new one; if each
/// is in a request, new ones wait in the system's backlog.
pub async fn serve(socket: Socket, router: Router, bounds: Bounds, stop: watch::Receiver<bool>) {
    let slots = Slots::new(bounds.connections_max);
    let house = Arc::new(House { router, bounds, stop });
    let mut connections = JoinSet::new();
    accept_until_stopped(&socket, &slots, &house, &mut connections).await;
    drop(socket);
    // Each ends by itself within the bound.
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

async fn accept_until_stopped(socket: &Socket, slots: &Arc<Slots>, house: &Arc<House>, connections: &mut JoinSet<()>) {
    let mut stop = house.stop.clone();
    let mut stopped = std::pin::pin!(connection::stopped(&mut stop));
    // It may hold a connection that waits for a slot, so it lives on when another branch is taken.
    let mut arriving = std::pin::pin!(arrive(socket, slots));
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return,
            Some(ended) = connections.join_next() => report(ended),
            (stream, peer, slot) = &mut arriving => {
                connections.spawn(connection::run(stream, peer, slot, Arc::clone(house)));
                arriving.set(arrive(socket, slots));
            }
        }
    }
}

/// The next connection with its slot. It is left in the backlog while no slot can be had.
async fn arrive(socket: &Socket, slots: &Arc<Slots>) -> (Stream, Peer, Slot) {
    slots.room().await;
    let (stream, peer) = accept(socket, slots).await;
    loop {
        // Those that waited when this one was accepted may be in a request by now.
        slots.room().await;
        if let Some(slot) = slots.admit() {
            return (stream, peer, slot);
        }
    }
}

async fn accept(socket: &Socket, slots: &Slots) -> (Stream, Peer) {
    let mut told = false;
    loop {
        match accept_once(socket).await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_clients(&error) => tracing::debug!(%error, "a client left before it was accepted"),
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "connections cannot be accepted now");
                }
                // Most likely there is no file descriptor left: one that waits is the one to have.
                slots.evict_longest_waiting();
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn accept_once(socket: &Socket) -> io::Result<(Stream, Peer)> {
    match socket {
        Socket::Tcp(listener) => {
            let (stream, addr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Stream::Tcp(stream), Peer { addr: Some(addr), uid: None }))
        }
        Socket::Tls(listener, certificate) => {
            let (stream, addr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Stream::Tls(stream, certificate.acceptor()), Peer { addr: Some(addr), uid: None }))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            Ok((Stream::Unix(stream), Peer { addr: None, uid: Some(uid) }))
        }
    }
}

/// The connection's fault, not the system's: the next one may be accepted at once.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected};
    [ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected].contains(&error.kind())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}
