//! Who is at the other end of a connection, and what its request told of that.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::slots::Slot;

/// Who is at the other end; an extension of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The user id of the process at the other end of a Unix socket.
    pub uid: Option<u32>,
    /// The address at the other end of a TCP connection.
    pub addr: Option<SocketAddr>,
}

impl Peer {
    /// Where the connection comes from; `None` for a Unix socket.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.addr.map(|addr| Source::of(addr.ip()))
    }
}

/// Where connections come from, as far as one sender cannot choose it freely: an IPv4 address, or
/// the 64 bits of an IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// What a router says of who asks; an extension of every request. As long as nothing is said the
/// connection counts as a stranger's.
#[derive(Clone)]
pub struct Guest(pub(super) Arc<Slot>);

impl Guest {
    /// It has shown a valid token: its connection is the last to make room for another.
    pub fn is_known(&self) {
        self.0.is_known();
    }

    /// It is refused for want of one: its connection is the first to make room, even before it has
    /// its answer.
    pub fn is_turned_away(&self) {
        self.0.is_turned_away();
    }

    /// It has shown no token, and its body is awaited: meanwhile its connection may have to make
    /// room.
    pub fn is_sending(&self) {
        self.0.is_sending();
    }

    /// Its body is awaited no more.
    pub fn has_sent_all(&self) {
        self.0.has_sent_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> String {
        Peer { addr: Some((address.parse::<IpAddr>().expect("an address"), 1).into()), uid: None }
            .source()
            .expect("TCP")
            .to_string()
    }

    #[test]
    fn a_source_is_an_address_or_a_network_of_64_bits() {
        assert_eq!(source("192.0.2.7"), "192.0.2.7");
        assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(Peer { uid: Some(0), addr: None }.source(), None);
    }
}
