//! Names to addresses. Every connection resolves its name again; no address is kept.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::progress::Course;

/// How many addresses are remembered, to recognise the peer of a connection.
const PEERS_MAX: usize = 16;

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {name}: {source}")]
pub(super) struct ResolveError {
    name: String,
    source: io::Error,
}

/// The platform's resolver, on the runtime's blocking threads.
#[derive(Clone, Default)]
pub(super) struct Resolver(Arc<ResolverState>);

#[derive(Default)]
struct ResolverState {
    peers: Mutex<VecDeque<IpAddr>>,
    failed_connects: AtomicUsize,
}

impl Resolver {
    /// Addresses that names were resolved to lately.
    pub(super) fn peers(&self) -> Vec<IpAddr> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// The next connection starts with the next address, so that one dead address does not use up
    /// every deadline.
    pub(super) fn turn(&self) {
        self.0.failed_connects.fetch_add(1, Ordering::Relaxed);
    }
}

impl ResolverState {
    fn ordered(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let count = addresses.len().max(1);
        addresses.rotate_left(self.failed_connects.load(Ordering::Relaxed) % count);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        for ip in addresses.iter().map(SocketAddr::ip) {
            peers.retain(|known| *known != ip);
            peers.push_front(ip);
        }
        peers.truncate(PEERS_MAX);
        addresses
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let shared = Arc::clone(&self.0);
        let course = Course::current();
        Box::pin(async move {
            let looking = course.as_ref().map(Course::resolving);
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Vec::from_iter);
            drop(looking);
            let fault = |source| ResolveError { name: name.as_str().to_owned(), source };
            let addresses = found.map_err(fault)?;
            Ok(Box::new(shared.ordered(addresses).into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(last: &[u8]) -> Vec<SocketAddr> {
        last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 0))).collect()
    }

    #[test]
    fn after_a_connect_that_failed_another_address_is_first() {
        let resolver = Resolver::default();
        assert_eq!(resolver.0.ordered(addresses(&[1, 2, 3])), addresses(&[1, 2, 3]));
        assert_eq!(resolver.0.ordered(addresses(&[1, 2, 3])), addresses(&[1, 2, 3]));
        resolver.turn();
        assert_eq!(resolver.0.ordered(addresses(&[1, 2, 3])), addresses(&[2, 3, 1]));
        assert_eq!(resolver.0.ordered(addresses(&[])), addresses(&[]));
    }

    #[test]
    fn the_peers_that_are_remembered_are_the_latest_and_bounded() {
        let resolver = Resolver::default();
        for last in 0..50 {
            resolver.0.ordered(addresses(&[last, 1]));
        }
        assert_eq!(resolver.peers().len(), PEERS_MAX);
        let peer = |last: u8| IpAddr::from([10, 0, 0, last]);
        assert!(resolver.peers().contains(&peer(49)) && resolver.peers().contains(&peer(1)));
        assert!(!resolver.peers().contains(&peer(2)));
    }
}
