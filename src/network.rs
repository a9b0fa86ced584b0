//! Network events of the kernel: links, addresses, routes.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use netlink_sys::constants::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use rustix::io::Errno;
use tokio::time::Instant;

/// The least time between two events.
const EVENT_EVERY_MS: u64 = 1000;

/// How long a burst (a link that comes up with its addresses and routes) may go on before it is
/// told: an address is of no use before its route.
const SETTLING_MS: u64 = 60;

/// How many links and addresses are remembered; beyond, all are forgotten and count as new once.
const REMEMBERED_MAX: usize = 1024;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR` and
/// `RTMGRP_IPV6_ROUTE` (`linux/rtnetlink.h`).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// Why the kernel cannot be listened to.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No netlink socket: the sandbox forbids it, or the kernel has none. Probes on backoff go on
    /// without.
    #[error("no netlink socket for network events: {0}")]
    Socket(#[from] io::Error),
}

/// A subscription to the network's changes.
pub struct Watch {
    /// `None` once it failed.
    socket: Option<TokioSocket>,
    known: NetworkState,
    /// A change was seen and not yet told.
    is_pending: bool,
    last_told: Option<Instant>,
}

/// Subscribes to the changes of links, addresses and default routes in this process' network
/// namespace. Must be called within a runtime.
pub fn watch() -> Result<Watch, NetworkError> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_mut().bind(&SocketAddr::new(0, GROUPS))?;
    Ok(Watch {
        socket: Some(socket),
        known: NetworkState::default(),
        is_pending: false,
        last_told: None,
    })
}

impl Watch {
    /// Pends until a carrier, an address or a default route has changed since the last event: a
    /// burst is told once, when it had a moment to settle, and what goes on for longer at most once
    /// a second. May be dropped and called again: nothing is lost. Pends for ever when the socket
    /// failed.
    pub async fn changed(&mut self) {
        while !self.is_pending {
            self.listen().await;
        }
        let settled = Instant::now() + Duration::from_millis(SETTLING_MS);
        let next = self
            .last_told
            .map_or(settled, |last| settled.max(last + Duration::from_millis(EVENT_EVERY_MS)));
        let next = tokio::time::sleep_until(next);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = &mut next => break,
                () = self.listen() => {}
            }
        }
        self.is_pending = false;
        self.last_told = Some(Instant::now());
    }

    /// Takes in one datagram.
    async fn listen(&mut self) {
        let Some(socket) = &self.socket else { return std::future::pending().await };
        match socket.recv_from_full().await {
            // Whoever else may send here is not asked about the network.
            Ok((_, sender)) if sender.port_number() != 0 => {}
            Ok((datagram, _)) => self.is_pending |= self.known.learn(&datagram),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        match Errno::from_io_error(error) {
            // The kernel had more to say than the socket holds: what it was is unknown, that it was
            // is enough.
            Some(Errno::NOBUFS) => {
                self.known = NetworkState::default();
                self.is_pending = true;
            }
            Some(Errno::INTR | Errno::AGAIN) => {}
            _ => {
                tracing::warn!(%error, "network events are not seen any more; lost links are \
                    probed on backoff alone");
                self.socket = None;
            }
        }
    }
}

/// `linux/rtnetlink.h`, `linux/if_link.h` and `linux/if_addr.h`: the numbers that are read here.
mod kernel {
    pub(super) const NLMSG_OVERRUN: u16 = 4;
    pub(super) const RTM_NEWLINK: u16 = 16;
    pub(super) const RTM_DELLINK: u16 = 17;
    pub(super) const RTM_NEWADDR: u16 = 20;
    pub(super) const RTM_DELADDR: u16 = 21;
    pub(super) const RTM_NEWROUTE: u16 = 24;
    pub(super) const RTM_DELROUTE: u16 = 25;
    pub(super) const IFLA_OPERSTATE: u16 = 16;
    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_FLAGS: u16 = 8;
    /// `IFF_UP`, `IFF_RUNNING`, `IFF_LOWER_UP`, `IFF_DORMANT`.
    pub(super) const LINK_FLAGS: u32 = 0x1 | 0x40 | 0x1_0000 | 0x2_0000;
    /// `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`: whether an address can be used.
    pub(super) const ADDRESS_FLAGS: u32 = 0x08 | 0x20 | 0x40;
    pub(super) const RTN_UNICAST: u8 = 1;
    pub(super) const AF_BRIDGE: u8 = 7;
}

/// What the kernel said before: it repeats itself with every statistic, lease and router
/// advertisement.
#[derive(Default)]
struct NetworkState {
    /// By index: flags and operational state.
    links: HashMap<u32, (u32, Option<u8>)>,
    /// By link, length of the prefix and address: flags.
    addresses: HashMap<(u32, u8, Vec<u8>), u32>,
}

impl NetworkState {
    /// Takes in a datagram; whether something changed by it. One that cannot be read is left where
    /// it ends.
    fn learn(&mut self, datagram: &[u8]) -> bool {
        let mut changed = false;
        let mut rest = datagram;
        while let Some((kind, payload, next)) = message(rest) {
            changed |= self.learn_message(kind, payload).unwrap_or(false);
            rest = next;
        }
        changed
    }

    fn learn_message(&mut self, kind: u16, payload: &[u8]) -> Option<bool> {
        match kind {
            kernel::RTM_NEWLINK | kernel::RTM_DELLINK => self.learn_link(kind, payload),
            kernel::RTM_NEWADDR | kernel::RTM_DELADDR => self.learn_address(kind, payload),
            kernel::RTM_NEWROUTE | kernel::RTM_DELROUTE => is_default_route(payload),
            kernel::NLMSG_OVERRUN => Some(true),
            _ => Some(false),
        }
    }

    /// `struct ifinfomsg`, then attributes.
    fn learn_link(&mut self, kind: u16, payload: &[u8]) -> Option<bool> {
        if *payload.first()? == kernel::AF_BRIDGE {
            return Some(false);
        }
        let index = number(payload, 4)?;
        if kind == kernel::RTM_DELLINK {
            self.links.remove(&index);
            return Some(true);
        }
        let operational = attribute(payload.get(16..)?, kernel::IFLA_OPERSTATE)
            .and_then(|value| value.first().copied());
        let now = (number(payload, 8)? & kernel::LINK_FLAGS, operational);
        Some(remember(&mut self.links, index, now))
    }

    /// `struct ifaddrmsg`, then attributes.
    fn learn_address(&mut self, kind: u16, payload: &[u8]) -> Option<bool> {
        let (prefix, flags) = (*payload.get(1)?, u32::from(*payload.get(2)?));
        let attributes = payload.get(8..)?;
        let address = attribute(attributes, kernel::IFA_ADDRESS).unwrap_or_default();
        let key = (number(payload, 4)?, prefix, address.to_vec());
        if kind == kernel::RTM_DELADDR {
            self.addresses.remove(&key);
            return Some(true);
        }
        let flags = attribute(attributes, kernel::IFA_FLAGS)
            .and_then(|value| number(value, 0))
            .unwrap_or(flags);
        Some(remember(&mut self.addresses, key, flags & kernel::ADDRESS_FLAGS))
    }
}

/// Whether `value` is new for `key`.
fn remember<K: Eq + std::hash::Hash, V: PartialEq + Copy>(
    known: &mut HashMap<K, V>,
    key: K,
    value: V,
) -> bool {
    if known.len() >= REMEMBERED_MAX {
        known.clear();
    }
    known.insert(key, value) != Some(value)
}

/// `struct rtmsg`: a way to everywhere. A route that replaces another is told as new alone, so each
/// is a change.
fn is_default_route(payload: &[u8]) -> Option<bool> {
    let (destination_bits, kind) = (*payload.get(1)?, *payload.get(7)?);
    Some(destination_bits == 0 && kind == kernel::RTN_UNICAST)
}

/// The first message's kind and payload, and what follows it (`struct nlmsghdr`, aligned to four
/// bytes).
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(number(bytes, 0)?).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let payload = bytes.get(16..length)?;
    Some((kind, payload, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The value of the first attribute of this kind (`struct rtattr`, aligned to four bytes).
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

/// The 32 bits at `at`, as the processor holds them.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_ne_bytes(bytes.get(at..end)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrap(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn link(family: u8, index: u32, flags: u32, operational: u8) -> Vec<u8> {
        let mut payload = vec![family, 0, 1, 0];
        payload.extend(index.to_ne_bytes());
        payload.extend(flags.to_ne_bytes());
        payload.extend([0; 4]);
        payload.extend(attr(3, b"wan0\0"));
        payload.extend(attr(kernel::IFLA_OPERSTATE, &[operational]));
        payload
    }

    fn address(index: u32, flags: u32, last: u8) -> Vec<u8> {
        let mut payload = vec![2, 24, 0, 0];
        payload.extend(index.to_ne_bytes());
        payload.extend(attr(kernel::IFA_ADDRESS, &[10, 0, 0, last]));
        payload.extend(attr(kernel::IFA_FLAGS, &flags.to_ne_bytes()));
        payload
    }

    fn route(destination_bits: u8, kind: u8) -> Vec<u8> {
        vec![2, destination_bits, 0, 0, 254, 4, 0, kind, 0, 0, 0, 0]
    }

    #[test]
    fn carrier_addresses_and_default_routes_count_and_what_repeats_or_is_about_others_does_not() {
        let up = 0x1 | 0x40 | 0x1_0000;
        let multicast = 0x1000;
        let steps = [
            ("a link", kernel::RTM_NEWLINK, link(0, 2, up, 6), true),
            ("its statistics", kernel::RTM_NEWLINK, link(0, 2, up, 6), false),
            (
                "a flag that is no carrier",
                kernel::RTM_NEWLINK,
                link(0, 2, up | multicast, 6),
                false,
            ),
            ("its carrier lost", kernel::RTM_NEWLINK, link(0, 2, 0x1, 2), true),
            ("its operational state", kernel::RTM_NEWLINK, link(0, 2, 0x1, 5), true),
            ("a bridge's port", kernel::RTM_NEWLINK, link(kernel::AF_BRIDGE, 9, up, 6), false),
            ("a link gone", kernel::RTM_DELLINK, link(0, 2, 0, 2), true),
            ("an address that is still tried", kernel::RTM_NEWADDR, address(3, 0x40, 1), true),
            ("the address usable", kernel::RTM_NEWADDR, address(3, 0x80, 1), true),
            ("its lease renewed", kernel::RTM_NEWADDR, address(3, 0x80, 1), false),
            ("another address", kernel::RTM_NEWADDR, address(3, 0x80, 2), true),
            ("an address gone", kernel::RTM_DELADDR, address(3, 0x80, 1), true),
            ("the address back", kernel::RTM_NEWADDR, address(3, 0x80, 1), true),
            ("a default route", kernel::RTM_NEWROUTE, route(0, kernel::RTN_UNICAST), true),
            (
                "a default route in another's place",
                kernel::RTM_NEWROUTE,
                route(0, kernel::RTN_UNICAST),
                true,
            ),
            ("a default route gone", kernel::RTM_DELROUTE, route(0, kernel::RTN_UNICAST), true),
            ("a route to somewhere", kernel::RTM_NEWROUTE, route(24, kernel::RTN_UNICAST), false),
            ("a route to nowhere", kernel::RTM_NEWROUTE, route(0, 6), false),
            ("messages lost", kernel::NLMSG_OVERRUN, Vec::new(), true),
            ("a neighbour", 28, vec![0; 12], false),
        ];
        let mut known = NetworkState::default();
        for (what, kind, payload, counts) in steps {
            assert_eq!(known.learn(&wrap(kind, &payload)), counts, "{what}");
        }
    }

    #[test]
    fn every_message_of_a_datagram_is_read() {
        let mut datagram = wrap(kernel::RTM_NEWROUTE, &route(24, 1));
        datagram.extend(wrap(28, &[0; 5]));
        assert!(!NetworkState::default().learn(&datagram));
        datagram.extend(wrap(kernel::RTM_NEWROUTE, &route(0, 1)));
        assert!(NetworkState::default().learn(&datagram));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = NetworkState::default();
        for index in 0..3 * u32::try_from(REMEMBERED_MAX).unwrap() {
            known.learn(&wrap(kernel::RTM_NEWLINK, &link(0, index, 1, 6)));
            assert!(known.links.len() <= REMEMBERED_MAX);
        }
    }

    proptest! {
        #[test]
        fn no_datagram_is_too_broken(
            bytes: Vec<u8>, kind in 16u16..=25, payload: Vec<u8>, cut in 0usize..64,
        ) {
            let mut known = NetworkState::default();
            known.learn(&bytes);
            let whole = wrap(kind, &payload);
            known.learn(whole.get(..whole.len().saturating_sub(cut)).unwrap());
            let whole = wrap(kernel::RTM_NEWLINK, &link(0, 1, 1, 1));
            known.learn(whole.get(..whole.len().saturating_sub(cut)).unwrap());
        }
    }
}
