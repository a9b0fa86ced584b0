//! Connections of both listeners: accepting them, their limits and timeouts, TLS.

mod bearer;
mod body;
mod connection;
mod delivery;
mod guest;
mod header;
mod line;
mod slots;
mod tls;

pub use bearer::bearer;
pub use body::{BodyFault, Inbound};
pub use delivery::{Delivery, watch};
pub use guest::{Guest, Peer, Source};
pub use tls::{Certificate, CertificateFault};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use connection::{House, Stream};
use slots::{Slot, Slots};

/// How long accepting rests after the system refused it (no file descriptors, no memory).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Descriptors that are left for all but the tills' connections: the database, the lanes, the
/// operators.
const FILES_KEPT: usize = 320;
/// The fewest connections, however low the system's limit is.
const CONNECTIONS_MIN: usize = 32;

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
    /// Connections at once that have shown no valid token: beyond it one of them gives way to each
    /// new one. This bounds what strangers cost in memory too.
    pub strangers_max: usize,
    /// The same of one source. Those with a token are not counted, since many tills may stand
    /// behind one address.
    pub strangers_of_source_max: usize,
    /// How long a connection has to show its token before the two shares tell it to leave: tills
    /// behind one address may come all at once. Who is refused for want of a token has no such
    /// time.
    pub newcomer_within: Duration,
    /// Bytes of a request's header, and of what is read at once.
    pub header_bytes_max: usize,
    /// From a connection's begin, or the end of an answer, to the end of the next header; the TLS
    /// handshake too.
    pub header_within: Duration,
    /// How long a client may leave an answer unread.
    pub write_stall: Duration,
    /// From the stop signal to the end of the last answer. A till's request has its own, which is
    /// mostly shorter (`intake.reply_within`); one without a token has five seconds.
    pub stop_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Bounds {
    /// What holds where nothing else is said.
    pub const USUAL: Self = Self {
        connections_max: 1024,
        strangers_max: 256,
        strangers_of_source_max: 64,
        newcomer_within: Duration::from_secs(3),
        header_bytes_max: 16 * 1024,
        header_within: Duration::from_secs(10),
        write_stall: Duration::from_secs(10),
        stop_within: Duration::from_secs(15),
    };

    /// The bounds that this process's limit of open files leaves room for: 1,024 connections where
    /// it is high enough.
    #[must_use]
    pub fn of_process() -> Self {
        use rustix::process::{Resource, getrlimit};
        let files = getrlimit(Resource::Nofile).current;
        Self::for_files(
            files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX)),
        )
    }

    fn for_files(files: usize) -> Self {
        let bounds = Self::default();
        let room = files.saturating_sub(FILES_KEPT).max(CONNECTIONS_MIN);
        let connections_max = bounds.connections_max.min(room);
        let strangers_max = bounds.strangers_max.min(connections_max.div_ceil(2));
        Self { connections_max, strangers_max, ..bounds }
    }
}

/// Serves `router` on all of `sockets` until `stop` holds true (or its sender is gone): then
/// nothing more is accepted, idle connections are closed, and requests under way get their answer
/// within `bounds.stop_within`.
///
/// The bounds hold for all of them together. When all connections are taken, one is closed for the
/// new one: first one whose request is refused for want of a token, then the one without a token
/// whose body is awaited longest where a request may do without one, then the one without a token
/// that has waited longest for its header, then one with a token that has. Strangers give way to
/// each other before that, beyond their shares, once they had a moment to show a token; a source
/// that has more than its share pays for its next connection with its own. If each is in a request,
/// new ones wait in the system's backlog.
pub async fn serve(sockets: Vec<Socket>, router: Router, bounds: Bounds, stop: Receiver<bool>) {
    let slots = Slots::new(bounds);
    let house = Arc::new(House { router, bounds, stop });
    let mut listeners = JoinSet::new();
    for socket in sockets {
        listeners.spawn(listen(socket, Arc::clone(&slots), Arc::clone(&house)));
    }
    while let Some(ended) = listeners.join_next().await {
        report(ended);
    }
}

async fn listen(socket: Socket, slots: Arc<Slots>, house: Arc<House>) {
    let mut connections = JoinSet::new();
    accept_until_stopped(&socket, &slots, &house, &mut connections).await;
    drop(socket);
    // Each ends by itself within the bound.
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

async fn accept_until_stopped(
    socket: &Socket,
    slots: &Arc<Slots>,
    house: &Arc<House>,
    connections: &mut JoinSet<()>,
) {
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
        if let Some(slot) = slots.admit(peer.source()) {
            return (stream, peer, slot);
        }
    }
}

async fn accept(socket: &Socket, slots: &Slots) -> (Stream, Peer) {
    let mut told = false;
    loop {
        match accept_once(socket).await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_clients(&error) => {
                tracing::debug!(%error, "a client left before it was accepted");
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "connections cannot be accepted now");
                }
                // Most likely there is no file descriptor left: one that waits is the one to have.
                slots.evict_first();
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
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected,
    };
    [ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected]
        .contains(&error.kind())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_leave_room_for_the_rest_of_the_process() {
        let of = |files| Bounds::for_files(files).connections_max;
        assert_eq!([of(usize::MAX), of(1344), of(1024), of(100)], [1024, 1024, 704, 32]);
        assert_eq!(
            [Bounds::for_files(1344).strangers_max, Bounds::for_files(100).strangers_max],
            [256, 16]
        );
    }
}
