//! Whose request it is: the socket's user, a token's machine, or a person who has signed in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::problem::{Problem, wished};
use super::rights::{Actor, Asker, challenged};
use super::session::{Sessions, fingerprint};
use super::throttle::PasswordThrottle;
use super::{cookie, who};
use crate::listen::{Peer, bearer};
use crate::message::Denied;
use crate::redemption::Secret;
use crate::settings::{AdminToken, AdminUser, Role, SecretError, SecretSource, Settings};

/// Where the console's pages follow what changes, as the routes of the console have it.
const EVENTS: &str = "/events";
/// How often the files of tokens and password hashes are read while somebody asks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the settings say of who may come in, and what else the operators' side takes from them.
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    /// The names beside loopback's under which the listener may be called.
    pub hosts: Vec<String>,
    /// Whether the TCP listener speaks TLS.
    pub tls: bool,
    /// `[[admin.token]]`
    pub tokens: Vec<AdminToken>,
    /// `[[admin.user]]`
    pub users: Vec<AdminUser>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials_dir: Option<PathBuf>,
    /// Where the key of searched codes is kept; without one it is forgotten at the end.
    pub state_dir: Option<PathBuf>,
    /// The businesses that the settings name.
    pub businesses: Vec<String>,
    /// The tills that the settings name.
    pub tills: Vec<String>,
}

impl AccessRules {
    /// Those of `settings`.
    #[must_use]
    pub fn of(settings: &Settings, credentials_dir: Option<PathBuf>) -> Self {
        let admin = &settings.admin;
        Self {
            hosts: admin.hosts.clone(),
            tls: admin.tls.is_some(),
            tokens: admin.tokens.clone(),
            users: admin.users.clone(),
            credentials_dir,
            state_dir: Some(settings.gateway.state_dir.clone()),
            businesses: settings
                .providers
                .iter()
                .flat_map(|provider| provider.businesses.clone())
                .collect(),
            tills: settings.intake.tills.iter().map(|till| till.name.clone()).collect(),
        }
    }
}

/// How a secret of its kind is read.
type ReadSecret = fn(&SecretSource, Option<&Path>) -> Result<Secret, SecretError>;

/// A machine or a person, and where the secret lies.
struct SecretHolder {
    name: String,
    role: Role,
    secret: SecretSource,
    read: ReadSecret,
}

/// A secret as it was last read; `None` as long as it could not be.
struct SecretNow {
    known: SecretHolder,
    text: Option<String>,
}

/// The rules with their secrets.
pub(super) struct Access {
    inner: Mutex<Inner>,
    pub(super) sessions: Sessions,
    pub(super) throttle: PasswordThrottle,
}

struct Inner {
    rules: Arc<AccessRules>,
    tokens: Vec<SecretNow>,
    users: Vec<SecretNow>,
    looked_at: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Access").field(&self.rules()).finish()
    }
}

impl Access {
    pub(super) fn new(rules: AccessRules) -> Self {
        Self {
            inner: Mutex::new(Inner::new(rules)),
            sessions: Sessions::default(),
            throttle: PasswordThrottle::default(),
        }
    }

    /// Takes other rules; everybody signs in anew.
    pub(super) fn set(&self, rules: AccessRules) {
        *self.inner() = Inner::new(rules);
        self.sessions.end_all();
    }

    pub(super) fn rules(&self) -> Arc<AccessRules> {
        Arc::clone(&self.inner().rules)
    }

    /// Whether anybody can sign in at all.
    pub(super) fn has_users(&self) -> bool {
        !self.inner().users.is_empty()
    }

    /// The password hash of this person as its file holds it now, and what the person may do.
    pub(super) fn user(&self, name: &str) -> Option<(Role, String)> {
        let inner = self.followed();
        let user = inner.users.iter().find(|user| user.known.name == name)?;
        Some((user.known.role, user.text.clone()?))
    }

    /// Every token is compared, so that the time taken tells nothing about which one came near.
    fn token(&self, offered: &str) -> Option<Actor> {
        let offered = fingerprint(offered);
        let mut found = None;
        for token in &self.followed().tokens {
            let is_it = token
                .text
                .as_deref()
                .is_some_and(|text| fingerprint(text).0.ct_eq(&offered.0).into());
            if is_it && found.is_none() {
                found = Some(Actor {
                    name: token.known.name.clone(),
                    role: token.known.role,
                    signed_in: false,
                });
            }
        }
        found
    }

    /// A session counts as long as its person's hash is the one that was signed in with.
    fn session(&self, headers: &HeaderMap, is_use: bool) -> Option<Actor> {
        let id = cookie::of(headers, cookie::session_name(self.rules().tls))?;
        let session = self.sessions.find(id, is_use)?;
        match self.user(&session.name) {
            Some((role, hash)) if fingerprint(&hash) == session.hash => {
                Some(Actor { name: session.name, role, signed_in: true })
            }
            Some(_) | None => {
                self.sessions.end(id);
                None
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn followed(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner();
        if inner.looked_at.elapsed() >= LOOK_EVERY {
            inner.read();
        }
        inner
    }
}

impl Inner {
    fn new(rules: AccessRules) -> Self {
        let followed = |name: &str, role, (secret, read): (&SecretSource, ReadSecret)| {
            let (name, secret) = (name.to_owned(), secret.clone());
            SecretNow { known: SecretHolder { name, role, secret, read }, text: None }
        };
        let of_token =
            |one: &AdminToken| followed(&one.name, one.role, (&one.token, SecretSource::token));
        let of_user = |one: &AdminUser| {
            followed(&one.name, one.role, (&one.password, SecretSource::password_hash))
        };
        let tokens = rules.tokens.iter().map(of_token).collect();
        let users = rules.users.iter().map(of_user).collect();
        let mut inner = Self { rules: Arc::new(rules), tokens, users, looked_at: Instant::now() };
        inner.read();
        inner
    }

    fn read(&mut self) {
        self.looked_at = Instant::now();
        let folder = self.rules.credentials_dir.clone();
        for one in self.tokens.iter_mut().chain(&mut self.users) {
            one.read(folder.as_deref());
        }
    }
}

impl SecretNow {
    /// A secret that cannot be read now leaves the earlier one in force: its file may be in the
    /// middle of a change.
    fn read(&mut self, credentials_dir: Option<&Path>) {
        match (self.known.read)(&self.known.secret, credentials_dir) {
            Ok(text) => self.text = Some(text.reveal().to_owned()),
            Err(error) if self.text.is_none() => {
                tracing::debug!(name = self.known.name, %error, "the secret of somebody who may \
                    act cannot be read");
            }
            Err(_) => {}
        }
    }
}

/// The middleware: finds out who asks. A credential that does not hold is refused, also where none
/// is needed.
pub(super) async fn identify(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    let is_local =
        peer.uid.is_some() || peer.addr.is_some_and(|addr| addr.ip().to_canonical().is_loopback());
    // The stream of a page that is open comes again by itself.
    let is_use = request.uri().path() != EVENTS;
    let who = match identified(&access, peer, (request.headers(), is_use)) {
        Ok(who) => who,
        Err(problem) => return challenged(problem.into_response()),
    };
    let language = wished(request.headers());
    request.extensions_mut().insert(Asker { who, is_local, language });
    next.run(request).await
}

fn identified(
    access: &Access,
    peer: Peer,
    (headers, is_use): (&HeaderMap, bool),
) -> Result<Option<Actor>, Problem> {
    if let Some(uid) = peer.uid {
        return Ok(Some(Actor {
            name: who::user_name(uid),
            role: Role::Engineer,
            signed_in: false,
        }));
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let known = bearer(headers).and_then(|token| access.token(token));
        let unknown = || Problem::denied(StatusCode::UNAUTHORIZED, Denied::UnknownToken);
        return known.map(Some).ok_or_else(unknown);
    }
    Ok(access.session(headers, is_use))
}
