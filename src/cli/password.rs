//! `hash-password`: the line that a password's file holds.

use std::io::{BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;

use super::exit::CliError;
use crate::admin::{PASSWORD_BYTES_MAX, hashed};

/// Reads the password from standard input, never from the command line, where others see it.
pub(super) fn hash(json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let unreadable =
        |error| CliError::Failed(format!("the password on standard input cannot be read: {error}"));
    let text = read().map_err(unreadable)?;
    let hash = hashed(text.trim_end_matches(['\r', '\n']))
        .map_err(|fault| CliError::Failed(fault.to_string()))?;
    if json {
        writeln!(out, "{}", json!({ "hash": hash }))?;
    } else {
        writeln!(out, "{hash}")?;
    }
    Ok(())
}

/// All of a file; of a terminal a line, which it does not show.
fn read() -> std::io::Result<String> {
    let (mut text, most) = (String::new(), PASSWORD_BYTES_MAX as u64 + 2);
    let mut input = std::io::stdin().lock().take(most);
    if std::io::stdin().is_terminal() {
        let dark = Dark::begin()?;
        std::io::stderr().write_all(b"Password (it is not shown): ")?;
        let read = input.read_line(&mut text);
        dark.end()?;
        read?;
    } else {
        input.read_to_string(&mut text)?;
    }
    Ok(text)
}

/// A terminal that does not show what is typed; as it was once this ends.
struct Dark(Termios);

impl Dark {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut dark = before.clone();
        dark.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &dark)?;
        Ok(Self(before))
    }

    /// The line end was not shown either.
    fn end(self) -> std::io::Result<()> {
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0)?;
        std::io::stderr().write_all(b"\n")
    }
}
