//! What is wrong with the settings, gathered until everything has been looked at.

use std::fmt;

use super::types::SecretSource;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The key's path, such as `provider[retm].timeout`; empty when a whole file is at fault.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The file or variable that it came from, where one did.
    pub origin: Option<String>,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.origin) {
            ("", Some(origin)) => write!(f, "{origin}: {}", self.message),
            ("", None) => f.write_str(&self.message),
            (key, Some(origin)) => write!(f, "{key}: {} (in {origin})", self.message),
            (key, None) => write!(f, "{key}: {}", self.message),
        }
    }
}

/// Everything that is wrong, never empty; displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<SettingsProblem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) problems: Vec<SettingsProblem>,
    pub(super) warnings: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) secrets: Vec<NamedSecret>,
}

/// A secret that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSecret {
    /// Where it is read from.
    pub source: SecretSource,
    /// Why it cannot be read now, beginning with the key; `None`: it can.
    pub fault: Option<String>,
}

impl Faults {
    /// Adds a problem at `key`.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>, origin: Option<&str>) {
        let origin = origin.map(str::to_owned);
        self.problems.push(SettingsProblem {
            key: key.to_owned(),
            message: message.into(),
            origin,
        });
    }

    /// Adds a warning about `key`.
    pub(super) fn warn(&mut self, key: &str, message: &str) {
        self.warnings.push(format!("{key}: {message}"));
    }

    /// Adds what this process cannot know about `key`, though the service may.
    pub(super) fn note(&mut self, key: &str, message: &str) {
        self.notes.push(format!("{key}: {message}"));
    }
}
