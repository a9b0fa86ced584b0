//! A section's values, bounded, with their defaults; what does not fit is noted and a stand-in is
//! returned.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{self, Address};
use super::keys;
use super::layer::{Bag, Item, List, TableEntry, within};
use super::problem::Faults;
use super::source;
use super::types::SecretSource;
use super::value::{self, KeyValue};

/// The longest name of a till, a provider or a gateway, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;
/// The longest other string, in bytes: as long as the contract's fields may be.
pub(super) const TEXT_BYTES_MAX: usize = 256;

/// Reads one bag. Values that stand in for wrong ones never get out: with a problem there are no
/// settings.
pub(super) struct BagReader<'a> {
    bag: &'a Bag,
    /// The path of the list that the bag's table is of, and that table's label; both empty for the
    /// plain sections.
    list: (&'static str, String),
    pub(super) faults: &'a mut Faults,
}

impl<'a> BagReader<'a> {
    pub(super) fn plain(bag: &'a Bag, faults: &'a mut Faults) -> Self {
        Self { bag, list: ("", String::new()), faults }
    }

    pub(super) fn entry(entry: &'a TableEntry, list: List, faults: &'a mut Faults) -> Self {
        Self { bag: &entry.bag, list: (list.path(), list.label(&entry.name)), faults }
    }

    /// The key as messages show it.
    pub(super) fn label(&self, path: &str) -> String {
        if self.list.0.is_empty() {
            path.to_owned()
        } else {
            path.replacen(self.list.0, &self.list.1, 1)
        }
    }

    /// Whether somebody wrote something at `path` or below it.
    pub(super) fn has(&self, path: &str) -> bool {
        self.bag.keys().any(|key| within(path, key))
    }

    /// Whether the value at `path` could be read, or is the default.
    pub(super) fn is_readable(&self, path: &str) -> bool {
        self.value(path).is_some()
    }

    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>) {
        let origin = self.bag.get(path).map(|item| item.origin.as_str());
        let label = self.label(path);
        self.faults.add(&label, message, origin);
    }

    /// A fault of one entry of the table at `path`.
    pub(super) fn fault_below(&mut self, path: &str, name: &str, message: impl Into<String>) {
        let origin = self.bag.get(path).map(|item| item.origin.as_str());
        let label = format!("{}.{}", self.label(path), name.escape_debug());
        self.faults.add(&label, message, origin);
    }

    pub(super) fn warn(&mut self, path: &str, message: &str) {
        let label = self.label(path);
        self.faults.warn(&label, message);
    }

    /// What was written, else the default.
    fn value(&self, path: &str) -> Option<KeyValue> {
        match self.bag.get(path) {
            Some(Item { value, .. }) => value.clone(),
            None => default_of(path),
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(KeyValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn words(&self, path: &str) -> Vec<(String, String)> {
        match self.value(path) {
            Some(KeyValue::Words(words)) => words.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        match self.value(path) {
            Some(KeyValue::Path(path)) => Some(path),
            _ => None,
        }
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        matches!(self.value(path), Some(KeyValue::Flag(true)))
    }

    pub(super) fn integers(&self, path: &str) -> Vec<i64> {
        match self.value(path) {
            Some(KeyValue::Integers(numbers)) => numbers,
            _ => Vec::new(),
        }
    }

    /// A number within the key's bounds.
    pub(super) fn integer<T: TryFrom<i64> + Default>(&mut self, path: &str) -> T {
        let (min, max) = bounds_of(path, |text| text.parse().unwrap_or_default());
        let number = match self.value(path) {
            Some(KeyValue::Integer(number)) => number,
            _ => min,
        };
        if !(min..=max).contains(&number) {
            self.fault(
                path,
                format!("{number} is out of bounds: write a number from {min} to {max}"),
            );
        }
        T::try_from(number.clamp(min, max)).unwrap_or_default()
    }

    /// A duration within the key's bounds.
    pub(super) fn duration(&mut self, path: &str) -> Duration {
        let (min, max) = bounds_of(path, |text| text);
        let (least, most) = bounds_of(path, |text| value::duration(text).unwrap_or_default());
        let Some(KeyValue::Duration(duration)) = self.value(path) else { return least };
        if duration < least || duration > most {
            self.fault(
                path,
                format!("out of bounds: write a duration from \"{min}\" to \"{max}\""),
            );
        }
        duration
    }

    /// What the text at `path` stands for among `ways`; `None` where nothing was written and there
    /// is no default.
    pub(super) fn choice<T: Copy>(&mut self, path: &str, ways: &[(&str, T)]) -> Option<T> {
        let text = self.text(path)?;
        let found = ways.iter().find(|(way, _)| *way == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let quoted: Vec<String> = ways.iter().map(|(way, _)| format!("{way:?}")).collect();
            self.fault(path, format!("write {}", quoted.join(" or ")));
        }
        found
    }

    /// Strings of 1 to [`TEXT_BYTES_MAX`] bytes without control characters.
    pub(super) fn texts(&mut self, path: &str) -> Vec<String> {
        let Some(KeyValue::Texts(texts)) = self.value(path) else { return Vec::new() };
        for (index, text) in texts.iter().enumerate() {
            if let Err(message) = plain_text(text, TEXT_BYTES_MAX) {
                self.fault(path, format!("item {}: {message}", index + 1));
            }
        }
        texts
    }

    /// A string that must be there, of 1 to `bytes_max` bytes without control characters.
    pub(super) fn needed_text(&mut self, path: &str, bytes_max: usize) -> String {
        let text = self.text(path).unwrap_or_default();
        if !self.has(path) {
            self.missing(path, "…");
        } else if self.value(path).is_some()
            && let Err(message) = plain_text(&text, bytes_max)
        {
            self.fault(path, message);
        }
        text
    }

    /// Notes that `path` is missing, with an example of it.
    pub(super) fn missing(&mut self, path: &str, example: &str) {
        let name = path.rsplit('.').next().unwrap_or(path);
        self.fault(path, format!("it is missing: write {name} = \"{example}\""));
    }

    /// A URL that may be spoken to; plain http beyond loopback only if `allow_plain_http`.
    pub(super) fn url(&mut self, path: &str, allow_plain_http: bool) -> Option<String> {
        let text = self.text(path)?;
        let way_out =
            if path.starts_with("provider.") { ", or set allow_plain_http = true" } else { "" };
        match address::safe_url(&text, allow_plain_http, way_out) {
            Ok(Address { plain: true, loopback: false }) => {
                self.warn(
                    path,
                    "plain http: anybody on the network can read the token and every reward code",
                );
            }
            Ok(_) => {}
            Err(message) => self.fault(path, message),
        }
        Some(text)
    }

    /// The secret at one of two keys; both at once are a fault, none is not.
    pub(super) fn secret(
        &mut self,
        file: &'static str,
        credential: &'static str,
    ) -> Option<SecretSource> {
        if self.has(file) && self.has(credential) {
            let name = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
            let (file_name, credential_name) = (name(file), name(credential));
            self.fault(
                credential,
                format!("{file_name} is set as well: keep {file_name} or {credential_name}"),
            );
        }
        if self.has(file) {
            return self.path(file).map(SecretSource::File);
        }
        let name = self.text(credential)?;
        if !is_credential_name(&name) {
            let right = "a credential's name is a file name of letters, digits, '.', '_' and '-'";
            self.fault(credential, right);
        }
        Some(SecretSource::Credential(name))
    }
}

/// Whether systemd and the file system take `name` for a credential.
fn is_credential_name(name: &str) -> bool {
    let usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    !name.is_empty() && name.len() < 256 && name.bytes().all(usual) && name != "." && name != ".."
}

/// Refuses what is empty, too long or not to be shown on a line.
pub(super) fn plain_text(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > bytes_max || text.contains(char::is_control) {
        return Err(format!("write 1 to {bytes_max} bytes without control characters"));
    }
    Ok(())
}

/// The bounds of the key at `path`, read in this way; none are its type's own default.
fn bounds_of<T: Default>(path: &str, read: impl Fn(&'static str) -> T) -> (T, T) {
    let bounds = keys::find(path).and_then(|key| key.bounds);
    bounds.map(|(min, max)| (read(min), read(max))).unwrap_or_default()
}

/// The default of the key at `path`, read as if it stood in a file.
fn default_of(path: &str) -> Option<KeyValue> {
    let key = keys::find(path)?;
    let table = source::table(&format!("value = {}", key.default?)).ok()?;
    let (_, node) = table.first()?;
    KeyValue::from_node(key.kind, node, Path::new("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_read() {
        for key in keys::KEYS {
            assert_eq!(default_of(key.path).is_some(), key.default.is_some(), "{}", key.path);
        }
    }

    #[test]
    fn every_number_and_duration_has_bounds_that_can_be_read_and_nothing_else_has() {
        for key in keys::KEYS {
            let ways = key.bounds.map(|(min, max)| match key.kind {
                keys::Kind::Integer => min.parse::<i64>().unwrap() < max.parse().unwrap(),
                keys::Kind::Duration => {
                    value::duration(min).unwrap() < value::duration(max).unwrap()
                }
                _ => false,
            });
            let has_bounds = matches!(key.kind, keys::Kind::Integer | keys::Kind::Duration);
            assert_eq!(ways, has_bounds.then_some(true), "{}", key.path);
        }
    }
}
