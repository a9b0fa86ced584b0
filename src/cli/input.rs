//! Lines of standard input, within a bound.

use std::io::{BufRead, Read};

use super::exit::CliError;

/// The longest line of standard input, in bytes: an object of `list --json` fits.
pub(super) const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The next line of `input`, within its bound.
pub(super) fn line(input: &mut impl BufRead) -> Result<Option<String>, CliError> {
    let mut bytes = Vec::new();
    let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
        return Err(CliError::Usage(format!(
            "a line of standard input is longer than {LINE_BYTES_MAX} bytes"
        )));
    }
    Ok((read > 0).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}
