//! What is allowed but should be known: secrets that cannot be read now, files that everybody can
//! read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problem::{Faults, NamedSecret};
use super::secret::SecretError;
use super::types::{Auth, Provider, SecretSource, Settings};
use crate::redemption::Secret;

/// Looks at every secret that the settings name. A file may come later, so only a secret that will
/// never do is a problem: the guide's own words. Certificates are opened by whoever prepares the
/// settings.
pub(super) fn look(settings: &Settings, credentials_dir: Option<&Path>, faults: &mut Faults) {
    let mut look = Look { credentials_dir, faults };
    for till in &settings.intake.tills {
        look.token(&format!("intake.till[{}]", till.name), &till.token);
    }
    if let Some(tls) = &settings.intake.tls {
        look.open_to_all("intake.tls.key_file", &tls.key_file);
    }
    if let Some(tls) = &settings.admin.tls {
        look.open_to_all("admin.tls.key_file", &tls.key_file);
    }
    for provider in &settings.providers {
        look.provider(provider);
    }
    for token in &settings.admin.tokens {
        look.token(&format!("admin.token[{}]", token.name), &token.token);
    }
    for user in &settings.admin.users {
        let names = ["password_file", "credential"];
        let found = user.password.password_hash(credentials_dir);
        look.found(&format!("admin.user[{}]", user.name), names, (&user.password, found));
    }
    if let Some(token) = settings.alert.as_ref().and_then(|alert| alert.token.as_ref()) {
        look.token("alert", token);
    }
}

struct Look<'a> {
    credentials_dir: Option<&'a Path>,
    faults: &'a mut Faults,
}

impl Look<'_> {
    fn provider(&mut self, provider: &Provider) {
        let table = format!("provider[{}]", provider.name);
        if let Some(login) = &provider.proxy_login {
            self.secret(
                &table,
                ["proxy_password_file", "proxy_password_credential"],
                &login.password,
            );
        }
        match &provider.auth {
            Auth::Token(token) => self.token(&table, token),
            Auth::OAuth(oauth) => {
                let table = format!("{table}.oauth");
                self.secret(
                    &table,
                    ["client_secret_file", "client_secret_credential"],
                    &oauth.client_secret,
                );
                if let Some(token) = &oauth.refresh_token {
                    self.secret(&table, ["refresh_token_file", "refresh_token_credential"], token);
                }
            }
        }
    }

    fn token(&mut self, table: &str, source: &SecretSource) {
        let found = source.token(self.credentials_dir);
        self.found(table, ["token_file", "credential"], (source, found));
    }

    fn secret(&mut self, table: &str, names: [&str; 2], source: &SecretSource) {
        let found = source.read(self.credentials_dir);
        self.found(table, names, (source, found));
    }

    /// `names` are those of the keys for a file and for a credential.
    fn found(
        &mut self,
        table: &str,
        names: [&str; 2],
        (source, found): (&SecretSource, Result<Secret, SecretError>),
    ) {
        let [file, credential] = names;
        let name = if matches!(source, SecretSource::File(_)) { file } else { credential };
        let key = format!("{table}.{name}");
        let fault = found.as_ref().err().map(|error| format!("{key}: {source}: {error}"));
        self.faults.secrets.push(NamedSecret { source: source.clone(), fault });
        match found {
            Ok(_) => {}
            Err(error @ SecretError::Placeholder) => {
                self.faults.add(&key, format!("{source}: {error}"), None);
            }
            Err(error @ SecretError::NoCredentials) => {
                self.faults.note(&key, &format!("{source}: {error}"));
            }
            Err(error) => {
                self.faults.warn(&key, &format!("there is no secret now: {source}: {error}"));
            }
        }
        if let SecretSource::File(path) = source {
            self.open_to_all(&key, path);
        }
    }

    fn open_to_all(&mut self, key: &str, path: &Path) {
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0) {
            self.faults.warn(key, "every user of this machine can read the file: chmod o-r");
        }
    }
}
