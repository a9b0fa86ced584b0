//! `hash-password`: the line that a password's file holds.

use std::io::{Read, Write};

use serde_json::json;

use super::exit::CliError;
use crate::admin::{PASSWORD_BYTES_MAX, hashed};

/// Reads the password from standard input, never from the command line, where others see it.
pub(super) fn hash(json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let mut text = String::new();
    let most = PASSWORD_BYTES_MAX as u64 + 2;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.map_err(|error| CliError::Failed(format!("the password on standard input cannot be read: {error}")))?;
    let hash = hashed(text.trim_end_matches(['\r', '\n'])).map_err(|fault| CliError::Failed(fault.to_string()))?;
    if json {
        writeln!(out, "{}", json!({ "hash": hash }))?;
    } else {
        writeln!(out, "{hash}")?;
    }
    Ok(())
}
