//! A line for the journal, field by field, in its native protocol
//! (`systemd.io/JOURNAL_NATIVE_PROTOCOL`).

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::plain::LINE_BYTES_MAX;
use super::record::{Fields, Origin, priority};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The prefix of our own fields: `journalctl REDEEMD_LANE=retm`.
const FIELD_PREFIX: &str = "REDEEMD_";

/// A socket to write to the journal with, if the journal listens at `path`.
pub(super) fn socket(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match socket.send_to(&[], path) {
        // It is there, and stopped.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        Ok(_) | Err(_) => {}
    }
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// The line as one datagram. Its `MESSAGE` says all that the fields say, since what ships texts
/// alone loses fields.
pub(super) fn datagram(origin: Origin<'_>, fields: &Fields) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    push(&mut bytes, "PRIORITY", &priority(origin.level).to_string());
    push(&mut bytes, "SYSLOG_IDENTIFIER", "redeemd");
    push(&mut bytes, "TARGET", origin.target);
    if let (Some(file), Some(line)) = (origin.file, origin.line) {
        push(&mut bytes, "CODE_FILE", file);
        push(&mut bytes, "CODE_LINE", &line.to_string());
    }
    push(&mut bytes, "MESSAGE", &fields.text());
    for (key, value) in fields.each() {
        push(&mut bytes, &name(key), value);
    }
    bytes
}

/// A field's name as the journal takes it: upper case letters, digits and underscores.
fn name(key: &str) -> String {
    let kept =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    FIELD_PREFIX.chars().chain(kept).collect()
}

/// A value with an end of line in it is preceded by its length.
fn push(bytes: &mut Vec<u8>, key: &str, value: &str) {
    let (value, _) = value.split_at(value.floor_char_boundary(LINE_BYTES_MAX));
    bytes.extend_from_slice(key.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn of(fields: &[(&'static str, &str)]) -> Vec<u8> {
        let each = fields.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let origin = Origin {
            level: Level::INFO,
            target: "redeemd::queue",
            file: Some("src/queue.rs"),
            line: Some(7),
        };
        datagram(origin, &Fields::new("settled".to_owned(), each))
    }

    #[test]
    fn a_line_has_its_priority_its_origin_its_whole_text_and_its_fields() {
        let text = String::from_utf8(of(&[("lane", "retm"), ("retry.after", "2 s")]))
            .expect("no length in it");
        let expected = "PRIORITY=6\nSYSLOG_IDENTIFIER=redeemd\nTARGET=redeemd::queue\n\
            CODE_FILE=src/queue.rs\n\
                        CODE_LINE=7\nMESSAGE=settled lane=retm retry.after=\"2 \
                        s\"\nREDEEMD_LANE=retm\n\
                        REDEEMD_RETRY_AFTER=2 s\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_value_of_several_lines_forges_no_field_and_a_long_one_is_cut() {
        let bytes = of(&[("who", "a\nPRIORITY=0")]);
        let expected = b"REDEEMD_WHO\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n";
        assert!(bytes.ends_with(expected), "{}", String::from_utf8_lossy(&bytes));
        assert!(of(&[("who", &"x".repeat(LINE_BYTES_MAX + 1))]).ends_with(b"x\n"));
        assert!(of(&[("who", &"x".repeat(10 * LINE_BYTES_MAX))]).len() < 3 * LINE_BYTES_MAX);
    }

    #[test]
    fn without_a_journal_there_is_no_socket_and_a_stopped_one_holds_up_no_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        assert!(socket(&path).is_err());
        let _journal = UnixDatagram::bind(&path).expect("a socket");
        for _ in 0..4096 {
            socket(&path).expect("it is there, read or not");
        }
    }
}
