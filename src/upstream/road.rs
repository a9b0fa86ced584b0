//! One POST over a pool of connections: bounded in time and in what is read, followed to where it ends.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use reqwest::{Client, Response, Url, Version};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::Instant;

use super::phase::{self, Known};
use super::resolve::Resolver;
use super::tls::{self, Trust};
use super::{Context, UpstreamError, parse_url, sockets};
use crate::clock::Clock;
use crate::redemption::Answer;
use crate::settings::{Auth, Provider};
use crate::verdict::{Failure, Outcome, Phase, Reply};

/// A connection that nobody used for so long is closed: carriers' address translation forgets them after 30 s or more.
const POOL_IDLE_S: u64 = 20;
/// Idle connections that are kept to one host.
const POOL_IDLE_CONNECTIONS_MAX: usize = 16;
/// A connect that outlives its attempt (another connection became free for it) is given up so long after the deadline.
/// Within an attempt the deadline itself ends it, which can tell a connect from a handshake.
const CONNECT_GRACE_S: u64 = 1;
/// The kernel asks a silent peer for a sign of life after so long.
const TCP_KEEPALIVE_S: u64 = 15;
/// HTTP/2 asks, and waits for the answer, this part of the deadline each: a black hole is known within half of it.
const HTTP2_PINGS_PER_DEADLINE: u32 = 4;

/// How a provider is reached: what its roads (to the API, to the token endpoint) have in common.
#[derive(Clone)]
pub(super) struct Plan {
    tls: ClientConfig,
    proxy: Option<Url>,
    timeout: Duration,
    clock: Clock,
}

impl Plan {
    pub(super) fn of(provider: &Provider, context: &Context) -> Result<Self, UpstreamError> {
        let token_url = match &provider.auth {
            Auth::OAuth(oauth) => Some(oauth.token_url.as_str()),
            Auth::Token(_) => None,
        };
        let urls = [Some(provider.redeem_url.as_str()), provider.check_url.as_deref(), token_url];
        let encrypted = urls.into_iter().flatten().any(is_https);
        let trust = match &provider.ca_file {
            Some(path) => Trust::File(path),
            None if encrypted => Trust::Platform,
            None => Trust::Nobody,
        };
        let proxy = provider.proxy.as_deref().map(|url| parse_url("proxy", url)).transpose()?;
        Ok(Self { tls: tls::config(&trust)?, proxy, timeout: provider.timeout, clock: context.clock.clone() })
    }

    /// The way to `url` alone, with the platform's certificates and without a proxy.
    pub(super) fn to(url: &str, timeout: Duration, context: &Context) -> Result<Self, UpstreamError> {
        let trust = if is_https(url) { Trust::Platform } else { Trust::Nobody };
        Ok(Self { tls: tls::config(&trust)?, proxy: None, timeout, clock: context.clock.clone() })
    }

    /// The whole of one attempt.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn client(&self, resolver: Resolver) -> Result<Client, UpstreamError> {
        let ping = self.timeout / HTTP2_PINGS_PER_DEADLINE;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(resolver)
            .user_agent(concat!("redeemd/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.timeout + Duration::from_secs(CONNECT_GRACE_S))
            .pool_idle_timeout(Duration::from_secs(POOL_IDLE_S))
            .pool_max_idle_per_host(POOL_IDLE_CONNECTIONS_MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(TCP_KEEPALIVE_S))
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping);
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(client_error)?);
        }
        builder.build().map_err(client_error)
    }
}

fn client_error(error: reqwest::Error) -> UpstreamError {
    UpstreamError::Client(error.without_url().to_string())
}

fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// What is posted.
#[derive(Clone)]
pub(super) struct Post {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Post {
    pub(super) fn json(url: Url, headers: HeaderMap, body: Bytes) -> Self {
        Self::new(url, headers, body, "application/json")
    }

    pub(super) fn new(url: Url, mut headers: HeaderMap, body: Bytes, content_type: &'static str) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self { url, headers, body }
    }
}

/// Where a POST has come to, noted by those who carry it.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Notes>);

#[derive(Default)]
struct Notes {
    resolving: AtomicBool,
    handed_over: AtomicBool,
}

tokio::task_local! {
    static CURRENT: Progress;
}

impl Progress {
    /// That of the POST for which the calling code runs, if it still runs within it.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Notes that a name is being resolved, until what is returned is dropped.
    pub(super) fn resolving(&self) -> Resolving<'_> {
        self.0.resolving.store(true, Ordering::Relaxed);
        Resolving(self)
    }

    fn is_resolving(&self) -> bool {
        self.0.resolving.load(Ordering::Relaxed)
    }

    /// Whether a connection has taken the body. Before, the provider cannot know of the redemption.
    fn is_handed_over(&self) -> bool {
        self.0.handed_over.load(Ordering::Relaxed)
    }

    fn watch(&self, body: Bytes) -> reqwest::Body {
        let notes = Arc::clone(&self.0);
        notes.handed_over.store(body.is_empty(), Ordering::Relaxed);
        reqwest::Body::wrap(Full::new(body).inspect_frame(move |_| notes.handed_over.store(true, Ordering::Relaxed)))
    }
}

/// While it lives, a name is being resolved.
pub(super) struct Resolving<'a>(&'a Progress);

impl Drop for Resolving<'_> {
    fn drop(&mut self) {
        self.0.0.resolving.store(false, Ordering::Relaxed);
    }
}

/// A pool of connections with its own resolver.
pub(super) struct Road {
    plan: Plan,
    resolver: Resolver,
    client: Mutex<Client>,
    /// Counts the changes of the network.
    network: watch::Sender<u64>,
}

impl Road {
    pub(super) fn new(plan: Plan) -> Result<Self, UpstreamError> {
        let resolver = Resolver::default();
        let client = Mutex::new(plan.client(resolver.clone())?);
        Ok(Self { plan, resolver, client, network: watch::Sender::new(0) })
    }

    /// What is still on its way to a connection sets out anew, instead of waiting for one that was begun in another
    /// network.
    pub(super) fn restart_unsent(&self) {
        self.network.send_modify(|changes| *changes += 1);
    }

    /// Leaves every connection: those in use end with their attempt.
    pub(super) fn drop_pool(&self) {
        match self.plan.client(self.resolver.clone()) {
            Ok(client) => *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client,
            Err(error) => tracing::warn!(%error, "old connections could not be dropped"),
        }
    }

    /// Posts once, until `deadline` at the latest.
    pub(super) async fn post(&self, post: Post, deadline: Instant) -> Outcome {
        let mut network = self.network.subscribe();
        loop {
            match self.try_to_post(post.clone(), deadline, &mut network).await {
                Some(Ok(reply)) => return Outcome::Answered(reply),
                Some(Err(failure)) => {
                    if !failure.bytes_may_have_left {
                        self.resolver.turn();
                    }
                    return Outcome::Failed(failure);
                }
                None => {}
            }
        }
    }

    /// `None`: the network changed before anything was handed to a connection.
    async fn try_to_post(
        &self,
        post: Post,
        deadline: Instant,
        network: &mut watch::Receiver<u64>,
    ) -> Option<Result<Reply, Failure>> {
        let progress = Progress::default();
        let url = post.url.clone();
        let mut sending = pin!(CURRENT.scope(progress.clone(), self.send(post, &progress)));
        loop {
            tokio::select! {
                biased;
                ended = &mut sending => return Some(ended.map_err(|error| self.failure(&error, &url, &progress))),
                // The sockets are looked at while the attempt still holds them.
                () = tokio::time::sleep_until(deadline) => return Some(Err(self.overdue(&url, &progress))),
                Ok(()) = network.changed() => if !progress.is_handed_over() { return None },
            }
        }
    }

    async fn send(&self, post: Post, progress: &Progress) -> reqwest::Result<Reply> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let body = progress.watch(post.body);
        let response = client.post(post.url).headers(post.headers).body(body).send().await?;
        read(response).await
    }

    fn failure(&self, error: &reqwest::Error, url: &Url, progress: &Progress) -> Failure {
        let proxy = self.plan.proxy.as_ref().map(authority);
        let known = Known {
            host: &authority(url),
            proxy: proxy.as_deref(),
            encrypted: url.scheme() == "https",
            handed_over: progress.is_handed_over(),
            clock_trusted: self.plan.clock.stamp().trusted,
        };
        phase::of_error(error, known)
    }

    fn overdue(&self, url: &Url, progress: &Progress) -> Failure {
        let handed_over = progress.is_handed_over();
        let phase = self.overdue_phase(url, progress);
        let host = authority(url);
        let detail = match phase {
            Phase::Resolve => format!("{host}: its name was not resolved within the deadline"),
            Phase::Write => format!("{host} did not acknowledge the request within the deadline"),
            Phase::Tls => format!("{host}: the TLS handshake did not end within the deadline"),
            Phase::Connect => match &self.plan.proxy {
                Some(proxy) => format!("no way to {host} through the proxy {} within the deadline", authority(proxy)),
                None => format!("no connection to {host} within the deadline"),
            },
            Phase::Answer | Phase::Clock | Phase::Credential | Phase::Proxy => {
                format!("no whole answer from {host} in time")
            }
        };
        Failure { phase, detail, bytes_may_have_left: handed_over, deadline: true }
    }

    fn overdue_phase(&self, url: &Url, progress: &Progress) -> Phase {
        if progress.is_resolving() {
            return Phase::Resolve;
        }
        let standing = sockets::standing(&self.peers(url));
        match progress.is_handed_over() {
            true if standing.unacknowledged => Phase::Write,
            true => Phase::Answer,
            false if standing.connecting || self.plan.proxy.is_some() || url.scheme() != "https" => Phase::Connect,
            false => Phase::Tls,
        }
    }

    /// The addresses to which this road's connections lead.
    fn peers(&self, url: &Url) -> Vec<SocketAddr> {
        let next = self.plan.proxy.as_ref().unwrap_or(url);
        let port = next.port_or_known_default().unwrap_or(0);
        let host = next.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let addresses = host.parse::<IpAddr>().map_or_else(|_| self.resolver.peers(), |ip| vec![ip]);
        addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

/// Host and port: what a person knows a URL by, without what may be secret in it.
fn authority(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

async fn read(mut response: Response) -> reqwest::Result<Reply> {
    let headers = response.headers().clone();
    let status = response.status().as_u16();
    let framed = is_framed(&response);
    let mut body = BytesMut::new();
    let mut truncated = false;
    while !truncated && let Some(chunk) = response.chunk().await? {
        let room = Answer::BODY_BYTES_MAX - body.len();
        truncated = chunk.len() > room;
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(Reply {
        answer: Answer { status, content_type: text(&headers, &CONTENT_TYPE), body: body.freeze() },
        truncated,
        content_encoding: text(&headers, &CONTENT_ENCODING),
        framed,
        retry_after: text(&headers, &RETRY_AFTER),
        date: text(&headers, &DATE),
        www_authenticate: text(&headers, &WWW_AUTHENTICATE),
    })
}

/// Whether something else than the end of a plain connection tells where the body ends.
fn is_framed(response: &Response) -> bool {
    let headers = response.headers();
    let is_bodiless = matches!(response.status().as_u16(), 204 | 304);
    let is_told = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    // TLS says when it ends; a connection that is cut before is an error.
    is_bodiless || is_told || response.version() >= Version::HTTP_2 || response.url().scheme() == "https"
}

/// A header's values, one after the other as if they had come in one.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
