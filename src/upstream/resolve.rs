//! Names to addresses. Every connection resolves its name again; no address is kept.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::progress::Course;

/// How many addresses are remembered, to recognise the peer of a connection.
const PEERS_MAX: usize = 16;
/// Each look-up of a name holds a thread for as long as its DNS servers are silent, which may be
/// half a minute and longer than any attempt. So many may run at once for one name; who asks
/// meanwhile waits with them.
const LOOKUPS_PER_NAME_MAX: usize = 2;
/// A look-up that has taken so long may have lost its packets: beside it another one is begun.
const LOOKUP_SLOW: Duration = Duration::from_secs(2);

/// A name that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {name}: {source}")]
pub(super) struct ResolveError {
    name: String,
    source: Arc<io::Error>,
}

/// What a look-up found.
type LookedUp = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// The platform's resolver, on the runtime's blocking threads.
#[derive(Clone)]
pub(super) struct Resolver(Arc<ResolverState>);

struct ResolverState {
    /// Asks the system, and blocks.
    ask: fn(&str) -> io::Result<Vec<SocketAddr>>,
    peers: Mutex<VecDeque<IpAddr>>,
    failed_connects: AtomicUsize,
    /// Counts the changes of the network.
    network: AtomicU64,
    lookups: Mutex<Vec<Lookup>>,
    /// Told whenever a look-up has ended.
    ended: Notify,
}

/// A look-up that runs on a thread of its own.
struct Lookup {
    name: String,
    begun: Instant,
    /// The network that it was begun in.
    network: u64,
    found: watch::Receiver<Option<LookedUp>>,
}

impl Lookup {
    fn runs(&self) -> bool {
        self.found.has_changed().is_ok() && self.found.borrow().is_none()
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::asking(|name| (name, 0).to_socket_addrs().map(Vec::from_iter))
    }
}

impl Resolver {
    fn asking(ask: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Self {
        Self(Arc::new(ResolverState {
            ask,
            peers: Mutex::default(),
            failed_connects: AtomicUsize::new(0),
            network: AtomicU64::new(0),
            lookups: Mutex::default(),
            ended: Notify::new(),
        }))
    }

    /// The network changed: a look-up that was begun before is no answer to who asks from now on.
    pub(super) fn network_changed(&self) {
        self.0.network.fetch_add(1, Ordering::Relaxed);
    }

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

    /// Looks `name` up, together with whoever asks for it meanwhile.
    async fn look_up(self: &Arc<Self>, name: &str, network: u64) -> LookedUp {
        loop {
            // Registered before the look, so that no end is missed.
            let ended = self.ended.notified();
            let Some(mut lookup) = self.join(name, network) else {
                ended.await;
                continue;
            };
            let found = lookup.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
            return found.unwrap_or_else(|| Err(Arc::new(io::ErrorKind::Interrupted.into())));
        }
    }

    /// A look-up that answers who asked in this network; `None`: old ones have to end first.
    fn join(
        self: &Arc<Self>,
        name: &str,
        network: u64,
    ) -> Option<watch::Receiver<Option<LookedUp>>> {
        let mut lookups = self.running();
        let of_name = || lookups.iter().filter(|lookup| lookup.name == name);
        let has_room = of_name().count() < LOOKUPS_PER_NAME_MAX;
        let current = of_name().rfind(|lookup| lookup.network >= network);
        match current {
            Some(lookup) if !has_room || lookup.begun.elapsed() < LOOKUP_SLOW => {
                Some(lookup.found.clone())
            }
            _ if has_room => Some(self.begin(name, &mut lookups)),
            _ => None,
        }
    }

    fn begin(
        self: &Arc<Self>,
        name: &str,
        lookups: &mut Vec<Lookup>,
    ) -> watch::Receiver<Option<LookedUp>> {
        let (sender, found) = watch::channel(None);
        let (name, begun) = (name.to_owned(), Instant::now());
        let network = self.network.load(Ordering::Relaxed);
        lookups.push(Lookup { name: name.clone(), begun, network, found: found.clone() });
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            sender.send_replace(Some((this.ask)(&name).map_err(Arc::new)));
            this.ended.notify_waiters();
        });
        found
    }

    fn running(&self) -> MutexGuard<'_, Vec<Lookup>> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.retain(Lookup::runs);
        lookups
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let shared = Arc::clone(&self.0);
        let course = Course::current();
        let network = shared.network.load(Ordering::Relaxed);
        Box::pin(async move {
            let looking = course.as_ref().map(Course::resolving);
            let found = shared.look_up(name.as_str(), network).await;
            drop(looking);
            let fault = |source| ResolveError { name: name.as_str().to_owned(), source };
            let addresses = found.map_err(fault)?;
            Ok(Box::new(shared.ordered(addresses).into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    /// How many look-ups have begun, and how many may have ended.
    static BEGUN_AND_ALLOWED: Mutex<(u8, u8)> = Mutex::new((0, 0));
    static CHANGED: Condvar = Condvar::new();

    /// The n-th look-up finds the address that ends in n, once it is allowed to.
    #[expect(clippy::unnecessary_wraps, reason = "as a look-up answers")]
    fn slowly(_: &str) -> io::Result<Vec<SocketAddr>> {
        let mut counts = BEGUN_AND_ALLOWED.lock().unwrap();
        counts.0 += 1;
        CHANGED.notify_all();
        let mine = counts.0;
        drop(CHANGED.wait_while(counts, |counts| counts.1 < mine).unwrap());
        Ok(addresses(&[mine]))
    }

    /// Everybody has asked, and so many look-ups run for them.
    async fn begun(expected: u8) {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let (counts, at_most) = (BEGUN_AND_ALLOWED.lock().unwrap(), Duration::from_secs(20));
        let counts = CHANGED.wait_timeout_while(counts, at_most, |counts| counts.0 < expected);
        assert_eq!(counts.unwrap().0.0, expected);
    }

    fn allow(count: u8) {
        BEGUN_AND_ALLOWED.lock().unwrap().1 = count;
        CHANGED.notify_all();
    }

    #[tokio::test(start_paused = true)]
    async fn a_flapping_line_with_silent_dns_blocks_two_threads_for_a_name_and_no_more() {
        let resolver = Resolver::asking(slowly);
        let mut asking = tokio::task::JoinSet::new();
        for change in 0..20 {
            for _ in 0..3 {
                let network = resolver.0.network.load(Ordering::Relaxed);
                let this = Arc::clone(&resolver.0);
                asking.spawn(async move { (change, this.look_up("a.example", network).await) });
            }
            begun(if change == 0 { 1 } else { 2 }).await;
            resolver.network_changed();
        }
        // Both were begun in networks that are gone: who asked later is told what is found now.
        allow(u8::MAX);
        for (change, found) in asking.join_all().await {
            let last = (1..=u8::MAX).find(|last| found.as_ref().unwrap() == &addresses(&[*last]));
            let is_right = if change < 2 { last == Some(change + 1) } else { last >= Some(3) };
            assert!(is_right, "asked after {change} changes, told the answer of {last:?}");
        }
        let begun = BEGUN_AND_ALLOWED.lock().unwrap().0;
        let later = resolver.0.look_up("a.example", 20).await;
        assert_eq!(later.unwrap(), addresses(&[begun + 1]), "nothing is kept");
    }

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
