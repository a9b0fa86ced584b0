//! The first header of a connection: it is waited for while it lies with the system, so that a
//! client that is silent or lets it drip costs no memory of ours.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Returns once a whole header of at most `bytes_max` bytes is there to be read, or whatever else
/// can be decided about: a longer one, the end of the stream, bytes that begin no request.
///
/// # Errors
/// The connection is broken.
pub(super) async fn arrives(stream: &TcpStream, bytes_max: usize) -> io::Result<()> {
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        // Nothing more comes: what has come stays to be looked at, whole or not.
        if ready.is_read_closed() || is_decided(peek(stream, bytes_max)?.as_deref(), bytes_max) {
            return Ok(());
        }
        // What was looked at is still there: only what comes next is to wake us.
        match stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into())) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
}

/// Whether anything has come.
pub(super) fn has_begun(stream: &TcpStream) -> bool {
    peek(stream, 1).is_ok_and(|bytes| bytes.is_some_and(|bytes| !bytes.is_empty()))
}

/// What has come, without taking it; `None`: nothing yet. Empty: the stream has ended.
fn peek(stream: &TcpStream, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; bytes_max];
    match recv(stream, bytes.as_mut_slice(), RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((count, _)) => {
            bytes.truncate(count);
            Ok(Some(bytes))
        }
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_decided(bytes: Option<&[u8]>, bytes_max: usize) -> bool {
    let Some(bytes) = bytes else { return false };
    // RFC 9112, 2.2: a line may end with a line feed alone.
    let is_whole = || {
        bytes.windows(2).any(|two| two == b"\n\n")
            || bytes.windows(3).any(|three| three == b"\n\r\n")
    };
    bytes.len() >= bytes_max
        || bytes.first().is_none_or(|first| !begins_request(*first))
        || is_whole()
}

/// Whether a method may begin with it (RFC 9110, 5.6.2), or the empty line that may stand before
/// one.
fn begins_request(first: u8) -> bool {
    first.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~\r\n".contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_waited_for_until_it_can_be_decided_about() {
        let decided = |bytes: &[u8]| is_decided(Some(bytes), 64);
        for whole in [
            &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            b"GET / HTTP/1.1\n\n",
            b"POST /\r\n\n{}",
            b"",
        ] {
            assert!(decided(whole), "{whole:?}");
        }
        for part in [
            &b"G"[..],
            b"\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\n\r",
        ] {
            assert!(!decided(part), "{part:?}");
        }
        assert!(decided(b"\x16\x03\x01\x02\x00"), "TLS where there is none is refused at once");
        assert!(decided(&[b'G'; 64]), "too long is told so");
        assert!(!is_decided(None, 64));
    }
}
