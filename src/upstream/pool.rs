//! One POST, or one look with HEAD, over a pool of connections: bounded in time and in what is
//! read, followed to where it ends.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{self, BrokenAnswer};
use super::phase::{self, AttemptFacts};
use super::progress::{Course, Progress, TakenRequests};
use super::proxy::Proxy;
use super::resolve::Resolver;
use super::tls::{self, TrustedRoots};
use super::{UpstreamContext, UpstreamError, authority, sockets, unsent};
use crate::clock::Clock;
use crate::redemption::{Fingerprint, Secret};
use crate::settings::{Auth, Provider};
use crate::verdict::{Failure, Outcome, Phase, Reply};

/// A connection that nobody used for so long is closed: carriers' address translation forgets them
/// after 30 s or more.
const POOL_IDLE_S: u64 = 20;
/// Idle connections that are kept to one host.
const POOL_IDLE_CONNECTIONS_MAX: usize = 16;
/// A connect may outlive its attempt, which got another connection. It is given up this long after
/// the deadline. Within an attempt the deadline ends it, because the deadline can tell a connect
/// from a handshake.
const CONNECT_GRACE_S: u64 = 1;
/// The kernel asks a silent peer for a sign of life after so long.
const TCP_KEEPALIVE_S: u64 = 15;
/// HTTP/2 pings after this part of the deadline, and waits as long for the answer. So half of the
/// deadline is enough to find a black hole.
const HTTP2_PINGS_PER_DEADLINE: u32 = 4;
/// A request has to be on the wire by this part of its deadline, or it does not count as not
/// answered: one that waited longer for its place asked nobody.
const IN_TIME_PER_DEADLINE: f64 = 0.75;

/// How a provider is reached: what its pools (to the API, to the token endpoint) have in common.
#[derive(Clone)]
pub(super) struct PoolPlan {
    tls: ClientConfig,
    proxy: Option<Proxy>,
    timeout: Duration,
    clock: Clock,
    authorities: Option<Fingerprint>,
}

impl PoolPlan {
    pub(super) fn of(
        provider: &Provider,
        context: &UpstreamContext,
    ) -> Result<Self, UpstreamError> {
        let token_url = match &provider.auth {
            Auth::OAuth(oauth) => Some(oauth.token_url.as_str()),
            Auth::Token(_) => None,
        };
        let urls = [Some(provider.redeem_url.as_str()), provider.check_url.as_deref(), token_url];
        let encrypted = urls.into_iter().flatten().any(is_https);
        let read = provider.ca_file.as_deref().map(tls::authorities).transpose()?;
        let authorities = read.as_ref().map(|(_, fingerprint)| *fingerprint);
        let trust = match read {
            Some((roots, _)) => TrustedRoots::Only(roots),
            None if encrypted => TrustedRoots::Platform,
            None => TrustedRoots::Nobody,
        };
        let proxy = Proxy::of(provider, context)?;
        Ok(Self {
            tls: tls::config(trust)?,
            proxy,
            timeout: provider.timeout,
            clock: context.clock.clone(),
            authorities,
        })
    }

    /// The way to `url` alone, with the platform's certificates and without a proxy.
    pub(super) fn to(
        url: &str,
        timeout: Duration,
        context: &UpstreamContext,
    ) -> Result<Self, UpstreamError> {
        let trust = if is_https(url) { TrustedRoots::Platform } else { TrustedRoots::Nobody };
        let (tls, clock) = (tls::config(trust)?, context.clock.clone());
        Ok(Self { tls, proxy: None, timeout, clock, authorities: None })
    }

    /// Of the provider's own authorities as they were read, where the settings name their file.
    pub(super) fn authorities(&self) -> Option<Fingerprint> {
        self.authorities
    }

    /// The whole of one attempt.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn client(
        &self,
        resolver: Resolver,
        password: Option<&Secret>,
    ) -> Result<Client, UpstreamError> {
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
            // A user agent reads a header that goes on in the next line (RFC 9112, section 5.2).
            // Old firewalls write such, and a space before the colon. Who refuses what others
            // read asks for ever about a code that was taken.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping);
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.with(password).map_err(client_error)?);
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
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Post {
    pub(super) fn json(url: Url, headers: HeaderMap, body: Bytes) -> Self {
        Self::new(url, headers, body, "application/json")
    }

    pub(super) fn new(
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
        content_type: &'static str,
    ) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Without it any coding is allowed (RFC 9110, section 12.5.3), and some middleboxes
        // compress.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self { method: Method::POST, url, headers, body }
    }

    /// Nothing is posted: whether somebody is there.
    pub(super) fn head(url: Url, headers: HeaderMap) -> Self {
        Self { method: Method::HEAD, url, headers, body: Bytes::new() }
    }
}

/// A client and the proxy's password that it was made with.
struct CurrentClient {
    client: Client,
    password: Option<Secret>,
}

/// A pool of connections with its own resolver.
pub(super) struct Pool {
    plan: PoolPlan,
    resolver: Resolver,
    current: Mutex<CurrentClient>,
    /// Counts the changes of the network.
    network: watch::Sender<u64>,
    taken: Arc<TakenRequests>,
}

impl Pool {
    /// Reads no secret: the proxy's password is looked at by each POST.
    pub(super) fn new(plan: PoolPlan) -> Result<Self, UpstreamError> {
        let resolver = Resolver::default();
        let current = Mutex::new(CurrentClient {
            client: plan.client(resolver.clone(), None)?,
            password: None,
        });
        let (network, taken) = (watch::Sender::new(0), Arc::default());
        Ok(Self { plan, resolver, current, network, taken })
    }

    /// Attempts without a connection start again. The connection that they wait for was begun in
    /// the old network.
    pub(super) fn restart_unsent(&self) {
        self.resolver.network_changed();
        self.network.send_modify(|changes| *changes += 1);
    }

    /// Drops every idle connection. A connection in use ends with its attempt.
    pub(super) fn drop_pool(&self) {
        let mut made = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match self.plan.client(self.resolver.clone(), made.password.as_ref()) {
            Ok(client) => made.client = client,
            Err(error) => tracing::warn!(%error, "old connections could not be dropped"),
        }
    }

    /// The client to send with. When the proxy's password has changed, it is a new one.
    fn client(&self) -> Result<Client, String> {
        let password = self.plan.proxy.as_ref().and_then(Proxy::password).transpose()?;
        let mut made = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if made.password != password {
            let client = self.plan.client(self.resolver.clone(), password.as_ref());
            *made = CurrentClient { client: client.map_err(|error| error.to_string())?, password };
        }
        Ok(made.client.clone())
    }

    /// Posts once, until `deadline` at the latest; `progress` tells meanwhile how much was sent.
    pub(super) async fn post(&self, post: Post, deadline: Instant, progress: &Progress) -> Outcome {
        self.post_and_wait(post, (deadline, deadline), progress).await
    }

    /// As [`Self::post`]; once the whole request is sent its answer may come until `answer_by`.
    pub(super) async fn post_and_wait(
        &self,
        post: Post,
        (deadline, answer_by): (Instant, Instant),
        progress: &Progress,
    ) -> Outcome {
        let client = match self.client() {
            Ok(client) => client,
            Err(why) => return Outcome::Failed(unsent(Phase::Proxy, why)),
        };
        let mut network = self.network.subscribe();
        loop {
            // A deadline is the attempt's beginning and the whole time that it has.
            let begun = deadline.checked_sub(self.plan.timeout).unwrap_or_else(Instant::now);
            let course = Course::of(progress, begun, &self.taken);
            let post = post.clone();
            let going = OneTry { client: &client, post, deadline, answer_by, course: &course };
            match self.try_to_post(going, &mut network).await {
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
        going: OneTry<'_>,
        network: &mut watch::Receiver<u64>,
    ) -> Option<Result<Reply, Failure>> {
        let OneTry { client, post, deadline, answer_by, course } = going;
        let url = post.url.clone();
        let mut sending = pin!(course.carry(self.send(client, post, course)));
        // Declared after `sending`, so it is dropped before it.
        let _ending = course.ending();
        loop {
            let until = if course.sent().is_whole() { answer_by } else { deadline };
            tokio::select! {
                biased;
                ended = &mut sending => {
                    return Some(ended.map_err(|broken| self.failure(&broken, &url, course)));
                }
                // The sockets are looked at while the attempt still holds them.
                () = tokio::time::sleep_until(until) => {
                    if until >= answer_by || !course.sent().is_whole() {
                        return Some(Err(self.overdue(&url, course)));
                    }
                }
                Ok(()) = network.changed() => if !course.is_handed() { return None },
            }
        }
    }

    async fn send(
        &self,
        client: &Client,
        post: Post,
        course: &Course,
    ) -> Result<Reply, BrokenAnswer> {
        let Post { method, url, headers, body } = post;
        let is_plain = url.scheme() == "http";
        let request = client.request(method, url).headers(headers);
        let body = if is_plain { watched(body, course) } else { watched_until_gone(body, course) };
        let response = request.body(body).send().await?;
        if is_plain
            && self.plan.proxy.is_some()
            && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(BrokenAnswer::Proxy);
        }
        course.note_answering();
        answer::read(response).await
    }

    fn failure(&self, broken: &BrokenAnswer, url: &Url, course: &Course) -> Failure {
        let proxy = self.plan.proxy.as_ref().map(|proxy| authority(&proxy.url));
        let known = AttemptFacts {
            host: &authority(url),
            proxy: proxy.as_deref(),
            encrypted: url.scheme() == "https",
            course,
            clock_trusted: self.plan.clock.stamp().trusted,
        };
        phase::of_broken(broken, known)
    }

    fn overdue(&self, url: &Url, course: &Course) -> Failure {
        let whole_after = course.sent().whole_after();
        let in_time = self.plan.timeout.mul_f64(IN_TIME_PER_DEADLINE);
        let is_in_time = whole_after.is_some_and(|after| after <= in_time);
        let phase = self.overdue_phase(url, course, is_in_time);
        let host = authority(url);
        let detail = match phase {
            Phase::Resolve => format!("{host}: its name was not resolved within the deadline"),
            Phase::Write if whole_after.is_none() => {
                format!("{host} did not take the whole request within the deadline")
            }
            Phase::Write => format!("{host} did not acknowledge the request within the deadline"),
            Phase::Tls => format!("{host}: the TLS handshake did not end within the deadline"),
            Phase::Connect => match &self.plan.proxy {
                Some(proxy) => {
                    format!(
                        "no way to {host} through the proxy {} within the deadline",
                        authority(&proxy.url)
                    )
                }
                None => format!("no connection to {host} within the deadline"),
            },
            Phase::Answer if !course.is_handed() => {
                format!("no connection to {host} took the request within the deadline")
            }
            Phase::Answer | Phase::Clock | Phase::Credential | Phase::Proxy => {
                format!("no whole answer from {host} in time")
            }
        };
        Failure {
            phase,
            detail,
            bytes_may_have_left: course.is_handed(),
            deadline: true,
            sent_whole: phase == Phase::Answer && is_in_time,
            not_http: false,
        }
    }

    fn overdue_phase(&self, url: &Url, course: &Course, is_in_time: bool) -> Phase {
        if course.is_resolving() {
            return Phase::Resolve;
        }
        let standing = sockets::standing(&self.peers(url));
        match course.sent().is_whole() {
            // What was written a moment ago cannot be acknowledged yet.
            true if is_in_time && standing.unacknowledged && !course.is_answering() => Phase::Write,
            true => Phase::Answer,
            // Over HTTP/2 the peer says how much of it may be sent.
            false if course.is_handed() && course.is_answering() => Phase::Answer,
            false if course.is_handed() => Phase::Write,
            false if standing.connecting => Phase::Connect,
            // The way is open: over HTTP/2 a request may wait for those that are not answered.
            false if course.waits_behind_others() => Phase::Answer,
            false if self.plan.proxy.is_some() || url.scheme() != "https" => Phase::Connect,
            false => Phase::Tls,
        }
    }

    /// The addresses to which the connections of this pool lead.
    fn peers(&self, url: &Url) -> Vec<SocketAddr> {
        let next = self.plan.proxy.as_ref().map_or(url, |proxy| &proxy.url);
        let port = next.port_or_known_default().unwrap_or(0);
        let host =
            next.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let addresses =
            host.parse::<IpAddr>().map_or_else(|_| self.resolver.peers(), |ip| vec![ip]);
        addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

/// One try of a POST.
struct OneTry<'a> {
    client: &'a Client,
    post: Post,
    deadline: Instant,
    answer_by: Instant,
    course: &'a Course,
}

/// `body`; when a connection takes it, `course` notes that. Before, the provider cannot know of the
/// redemption.
fn watched(body: Bytes, course: &Course) -> reqwest::Body {
    let taken = body.is_empty().then(|| NotedWhenDropped(course.clone()));
    let course = course.clone();
    // The whole body is one frame. Where there is none, a connection that has taken the request's
    // head lets go of the body; until then the request waits with it.
    let note = move |_: &_| {
        if taken.is_none() {
            course.note_whole();
        }
    };
    reqwest::Body::wrap(Full::new(body).inspect_frame(note))
}

/// As [`watched`], where HTTP/2 may be spoken: there the body's frame is taken before the peer lets
/// it be sent. So the whole request counts as sent when the connection lets go of its bytes.
fn watched_until_gone(body: Bytes, course: &Course) -> reqwest::Body {
    if body.is_empty() {
        return watched(body, course);
    }
    let body = Bytes::from_owner(NotedWhenLetGo { body, course: course.clone() });
    let course = course.clone();
    reqwest::Body::wrap(Full::new(body).inspect_frame(move |_: &_| course.note_handed()))
}

/// A request's bytes, on their way into a connection.
struct NotedWhenLetGo {
    body: Bytes,
    course: Course,
}

impl AsRef<[u8]> for NotedWhenLetGo {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for NotedWhenLetGo {
    fn drop(&mut self) {
        self.course.note_let_go();
    }
}

struct NotedWhenDropped(Course);

impl Drop for NotedWhenDropped {
    fn drop(&mut self) {
        self.0.note_whole();
    }
}
