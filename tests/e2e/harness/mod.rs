//! What every end-to-end test stands on: processes, ports, and the one place that waits.

#![allow(dead_code, reason = "not every test uses every tool")]

mod console;
mod disk;
mod gateway;
mod medium;
pub(crate) mod network;
mod nobody;
mod process;
mod provider;
mod till;
mod time;
mod volatile;
mod witness;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

pub(crate) use disk::{DATABASE, EDQUOT, EIO, EROFS, LOG, Mount, Shim, Word, skipped, spoil};
pub(crate) use gateway::{Builder, Gateway, wrapped};
pub(crate) use medium::Moment;
pub(crate) use network::{Network, in_a_network_of_its_own};
pub(crate) use nobody::{NOBODY, as_nobody, make_nobodys};
pub(crate) use process::redeemd;
pub(crate) use provider::{Provider, Recorded};
pub(crate) use redeemd::store::Counts;
pub(crate) use till::{Order, Reply, Till};
pub(crate) use time::{FakeTime, set_clock, synchronised};
pub(crate) use volatile::Volatile;
pub(crate) use witness::{BLOCKED, Fault, INVENTED, Notes, Shares, Witness};

/// How long anything may take here before it counts as never.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value, at most [`DEADLINE`]; nothing else in these tests waits.
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, look)
}

/// Like [`eventually`], with a bound of its own.
pub(crate) fn within<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < deadline, "after {deadline:?} still not: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Returns once it is so; panics when it still is not after a long time.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(DEADLINE, what, is_so);
}

/// Like [`until`], with a bound of its own.
pub(crate) fn until_within(deadline: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    within(deadline, what, || is_so().then_some(()));
}

/// Lets so much time pass where time itself is what a test is about.
pub(crate) fn moment(length: Duration) {
    let until = Instant::now() + length;
    while let Some(left) =
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}

/// A port that was free a moment ago; whoever loses the race for it asks again.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Two such addresses, which differ because both are held until both are known.
pub(crate) fn two_free_ports() -> (SocketAddr, SocketAddr) {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (one, other) = (bind(), bind());
    (one.local_addr().unwrap(), other.local_addr().unwrap())
}

/// Runs `work` for each of `0..count` at the same moment, on threads of their own.
pub(crate) fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let start = |index| {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(index)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A seed for a test's chance: `REDEEMD_SEED` or the process's own randomness, printed for a
/// failing run.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let given = std::env::var("REDEEMD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
    println!("REDEEMD_SEED={seed}");
    seed
}

/// A small generator for tests: xorshift64*.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}
