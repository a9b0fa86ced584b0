//! The proxy between us and the provider, and the password that it may want.

use std::sync::Arc;

use reqwest::Url;

use super::secret::{FollowedSecret, SecretFile};
use super::{UpstreamContext, UpstreamError, authority, parse_url};
use crate::redemption::Secret;
use crate::settings::Provider;
use crate::text::percent_encoded;

/// Cheap to clone; clones share the password's file.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) url: Url,
    login: Option<Login>,
}

#[derive(Clone)]
struct Login {
    user: String,
    password: Arc<FollowedSecret>,
}

impl Proxy {
    /// The proxy that the settings name. Reads no secret.
    pub(super) fn of(
        provider: &Provider,
        context: &UpstreamContext,
    ) -> Result<Option<Self>, UpstreamError> {
        let Some(url) = provider.proxy.as_deref() else { return Ok(None) };
        let login = provider.proxy_login.as_ref().map(|login| {
            let file = SecretFile::new(&login.password, context.credentials_dir.as_deref());
            Login { user: login.user.clone(), password: Arc::new(FollowedSecret::password(file)) }
        });
        Ok(Some(Self { url: parse_url("proxy", url)?, login }))
    }

    /// The password as its file holds it now; `None`: the proxy asks for none. The error names the
    /// proxy and the file.
    pub(super) fn password(&self) -> Option<Result<Secret, String>> {
        let password = self.login.as_ref()?.password.current();
        Some(
            password.map_err(|why| {
                format!("the password for the proxy {}: {why}", authority(&self.url))
            }),
        )
    }

    /// For all of a client's traffic, with RFC 7617's user and password once the latter is known.
    pub(super) fn with(&self, password: Option<&Secret>) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())?;
        Ok(match self.login.as_ref().zip(password) {
            Some((login, password)) => {
                proxy.basic_auth(&escaped(&login.user), &escaped(password.reveal()))
            }
            None => proxy,
        })
    }
}

/// Every byte as `%XX`, because the client keeps them in a URL and unescapes them there.
fn escaped(text: &str) -> String {
    percent_encoded(text, |_| false)
}
