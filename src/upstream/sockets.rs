//! What the kernel says of this process' TCP connections to a peer: looked at when a deadline has
//! passed, to tell a connection that was never made from a write that nobody acknowledged.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kernel's numbers for a connection's state (`include/net/tcp_states.h`).
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;

/// How this process' connections to a peer stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SocketsStanding {
    /// One waits for the peer's first answer.
    pub(super) connecting: bool,
    /// One holds bytes that the peer has not acknowledged.
    pub(super) unacknowledged: bool,
}

/// How this process' connections to any of `peers` stand; all false where `/proc` cannot be read.
pub(super) fn standing(peers: &[SocketAddr]) -> SocketsStanding {
    let own = own_inodes();
    let mut standing = SocketsStanding::default();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        let rows = text.lines().filter_map(SocketLine::parse);
        for row in rows.filter(|row| own.contains(&row.inode) && peers.contains(&row.peer)) {
            standing.connecting |= row.state == SYN_SENT;
            standing.unacknowledged |= row.state == ESTABLISHED && row.unacknowledged_bytes > 0;
        }
    }
    standing
}

fn own_inodes() -> HashSet<u64> {
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    descriptors
        .filter_map(|entry| socket_inode(std::fs::read_link(entry.path()).ok()?.to_str()?))
        .collect()
}

/// `socket:[123]`
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A row of `/proc/net/tcp` or `tcp6` (`proc_net_tcp.txt` of the kernel's documentation).
#[derive(Debug, PartialEq, Eq)]
struct SocketLine {
    peer: SocketAddr,
    state: u8,
    unacknowledged_bytes: u64,
    inode: u64,
}

impl SocketLine {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let peer = parse_peer(fields.next()?)?;
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        let (unacknowledged, _) = fields.next()?.split_once(':')?;
        let unacknowledged_bytes = u64::from_str_radix(unacknowledged, 16).ok()?;
        let inode = fields.nth(4)?.parse().ok()?;
        Some(Self { peer, state, unacknowledged_bytes, inode })
    }
}

/// `0100007F:1F90`: each 32 bits of the address in hexadecimal as the processor holds them.
fn parse_peer(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word =
        |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_row_is_read_and_a_heading_is_not() {
        let line = "   0: 0100007F:9C40 0200007F:1F90 01 0000002A:00000000 01:00000014 \
            00000000     0        0 777 2 0";
        let peer = SocketAddr::from(([127, 0, 0, 2], 8080));
        if cfg!(target_endian = "little") {
            assert_eq!(
                SocketLine::parse(line),
                Some(SocketLine { peer, state: 1, unacknowledged_bytes: 42, inode: 777 })
            );
        }
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
            retrnsmt   uid  timeout inode";
        assert_eq!(SocketLine::parse(heading), None);
        assert_eq!(SocketLine::parse(""), None);
        assert_eq!(parse_peer("é234567:1F90"), None);
    }

    #[test]
    fn bytes_that_a_peer_does_not_take_are_seen_and_only_for_that_peer() {
        let listener = std::net::TcpListener::bind("[::1]:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let mut stream = std::net::TcpStream::connect(peer).unwrap();
        assert_eq!(standing(&[peer]), SocketsStanding::default());
        stream.set_nonblocking(true).unwrap();
        // Nobody reads: the peer's buffer fills, then ours.
        while stream.write(&[0; 8192]).is_ok() {}
        assert_eq!(standing(&[peer]), SocketsStanding { connecting: false, unacknowledged: true });
        assert_eq!(standing(&[SocketAddr::new(peer.ip(), 1)]), SocketsStanding::default());
    }
}
