//! The files that settings name.

use std::path::Path;

use super::types::{Auth, Provider, SecretSource, Settings, Tls};

/// Every file that `settings` name, but the state directory and the sockets.
#[must_use]
pub fn of(settings: &Settings) -> Vec<&Path> {
    let Settings { intake, admin, providers, alert, .. } = settings;
    let tills = intake.tills.iter().map(|till| &till.token);
    let tokens = admin.tokens.iter().map(|token| &token.token);
    let users = admin.users.iter().map(|user| &user.password);
    let alert = alert.iter().filter_map(|alert| alert.token.as_ref());
    let secrets =
        tills.chain(tokens).chain(users).chain(alert).chain(providers.iter().flat_map(secrets));
    let files = secrets.filter_map(|secret| match secret {
        SecretSource::File(path) => Some(path.as_path()),
        SecretSource::Credential(_) => None,
    });
    let tls = [&intake.tls, &admin.tls].into_iter().flatten();
    let pairs =
        tls.flat_map(|Tls { cert_file, key_file }| [cert_file.as_path(), key_file.as_path()]);
    files
        .chain(pairs)
        .chain(providers.iter().filter_map(|provider| provider.ca_file.as_deref()))
        .collect()
}

fn secrets(provider: &Provider) -> impl Iterator<Item = &SecretSource> {
    let of_auth: Vec<&SecretSource> = match &provider.auth {
        Auth::Token(token) => vec![token],
        Auth::OAuth(oauth) => {
            std::iter::once(&oauth.client_secret).chain(&oauth.refresh_token).collect()
        }
    };
    of_auth.into_iter().chain(provider.proxy_login.as_ref().map(|login| &login.password))
}
