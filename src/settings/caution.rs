//! What is allowed but should be known: files that cannot be read now.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problem::Faults;
use super::types::{Auth, Provider, SecretSource, Settings};

/// Looks at every file that the settings name. A file may come later, so none of this is a problem.
pub(super) fn look(settings: &Settings, credentials_dir: Option<&Path>, faults: &mut Faults) {
    let mut look = Look { credentials_dir, faults };
    for till in &settings.intake.tills {
        look.secret(&format!("intake.till[{}]", till.name), ["token_file", "credential"], &till.token);
    }
    if let Some(tls) = &settings.intake.tls {
        look.file("intake.tls.cert_file", &tls.cert_file);
        look.file("intake.tls.key_file", &tls.key_file);
        look.open_to_all("intake.tls.key_file", &tls.key_file);
    }
    for provider in &settings.providers {
        look.provider(provider);
    }
    if let Some(token) = settings.alert.as_ref().and_then(|alert| alert.token.as_ref()) {
        look.secret("alert", ["token_file", "credential"], token);
    }
}

struct Look<'a> {
    credentials_dir: Option<&'a Path>,
    faults: &'a mut Faults,
}

impl Look<'_> {
    fn provider(&mut self, provider: &Provider) {
        let table = format!("provider[{}]", provider.name);
        if let Some(file) = &provider.ca_file {
            self.file(&format!("{table}.ca_file"), file);
        }
        match &provider.auth {
            Auth::Token(token) => self.secret(&table, ["token_file", "credential"], token),
            Auth::OAuth(oauth) => {
                let table = format!("{table}.oauth");
                self.secret(&table, ["client_secret_file", "client_secret_credential"], &oauth.client_secret);
                if let Some(token) = &oauth.refresh_token {
                    self.secret(&table, ["refresh_token_file", "refresh_token_credential"], token);
                }
            }
        }
    }

    /// `names` are those of the keys for a file and for a credential.
    fn secret(&mut self, table: &str, names: [&str; 2], source: &SecretSource) {
        let [file, credential] = names;
        let name = if matches!(source, SecretSource::File(_)) { file } else { credential };
        let key = format!("{table}.{name}");
        if let Err(error) = source.read(self.credentials_dir) {
            self.faults.warn(&key, &format!("there is no secret now: {error}"));
        }
        if let SecretSource::File(path) = source {
            self.open_to_all(&key, path);
        }
    }

    fn file(&mut self, key: &str, path: &Path) {
        let opened = File::open(path).and_then(|file| file.metadata()).map_err(|error| error.kind());
        match opened {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => self.cannot(key, ErrorKind::IsADirectory),
            Err(kind) => self.cannot(key, kind),
        }
    }

    fn cannot(&mut self, key: &str, kind: ErrorKind) {
        self.faults.warn(key, &format!("the file cannot be read now: {kind}"));
    }

    fn open_to_all(&mut self, key: &str, path: &Path) {
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0) {
            self.faults.warn(key, "every user of this machine can read the file: chmod o-r");
        }
    }
}
