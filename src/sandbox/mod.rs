//! A provider to test against: the contract, and every fault on demand.
//!
//! | room | its one purpose |
//! | --- | --- |
//! | `fault` | every fault by its name |
//! | `rule` | which requests meet which fault |
//! | `books` | codes taken, keys seen, requests recorded |
//! | `oauth` | which tokens are good |
//! | `order` | what the contract asks of an order |
//! | `answer`, `body` | what is said, and how it reaches the wire |
//! | `wire` | a connection that can be broken from the inside |
//! | `provider` | one request, from its head to its answer or fault |
//! | `control` | the control API |
//! | `line` | whether the line is up |
//! | `server` | connections, and the line that is cut |
//! | `tls` | good and bad certificates |
//! | `args` | the command line |

mod answer;
mod args;
mod body;
mod books;
mod control;
mod fault;
mod line;
mod log;
mod oauth;
mod order;
mod provider;
mod rule;
mod server;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

pub use args::{Options, SandboxError, run};
pub use books::{RequestRecord, Summary};
pub use fault::{Fault, UnknownFault, WORDS, Word};
pub use line::LineState;
pub use log::LogKind;
pub use oauth::OAuthClient;
pub use rule::{
    Attempts, Calls, FaultRule, RULES_MAX, RuleCounts, RuleError, WrittenDuration, parse_rules,
};
pub use tls::{CertificateKind, TlsError};

use provider::SandboxProvider;
use server::Port;

/// Requests that are kept for the control API unless said otherwise.
pub const RECORDS_MAX_DEFAULT: usize = 100_000;

/// Which HTTP the provider speaks. Without TLS `Both` is HTTP/1.1 and `Two` HTTP/2 with prior
/// knowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1.1 alone.
    One,
    /// HTTP/2 alone.
    Two,
    /// What the client prefers.
    #[default]
    Both,
}

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A started sandbox; it ends when this is dropped.
#[derive(Debug)]
pub struct RunningSandbox {
    /// Where the gateway connects.
    pub addr: SocketAddr,
    /// Where the control API is, if it has a listener of its own.
    pub control: Option<SocketAddr>,
    /// The authority's certificate in PEM, with TLS.
    pub ca_pem: Option<String>,
    scheme: &'static str,
    provider: Arc<SandboxProvider>,
    /// Dropping this ends the listeners and their connections.
    listeners: JoinSet<()>,
}

/// The namespace of [`Sandbox::start`].
#[derive(Clone, Copy, Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Listens and serves on the current runtime until the returned value is dropped or stopped.
    pub async fn start(mut options: Options) -> Result<RunningSandbox, StartError> {
        options.read_files()?;
        check_rules(&options.rules, options.tls.is_some())?;
        let failed = |address| move |source| StartError::Listen { address, source };
        let port = Port::reserve(options.listen).map_err(failed(options.listen))?;
        let (addr, listener) = (port.address(), port.listen().map_err(failed(options.listen))?);
        let made = match options.tls {
            Some(certificate) => {
                Some(tls::make(certificate, addr.ip(), &options.tls_name, options.http_versions())?)
            }
            None => None,
        };
        let (acceptor, ca_pem) = made.map(|made| (made.acceptor, made.ca_pem)).unzip();
        let own_control = match options.control {
            Some(address) => {
                Some(tokio::net::TcpListener::bind(address).await.map_err(failed(address))?)
            }
            None => None,
        };
        let control = own_control.as_ref().and_then(|listener| listener.local_addr().ok());
        let provider = Arc::new(SandboxProvider::new(options));
        let mut listeners = JoinSet::new();
        if let Some(listener) = own_control {
            listeners.spawn(server::control(Arc::clone(&provider), listener));
        }
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        listeners.spawn(server::provide(Arc::clone(&provider), port, listener, acceptor));
        Ok(RunningSandbox { addr, control, ca_pem, scheme, provider, listeners })
    }
}

impl RunningSandbox {
    /// `http://ADDRESS` or `https://ADDRESS`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// The URL of Redeem.
    #[must_use]
    pub fn redeem_url(&self) -> String {
        format!("{}{}", self.base_url(), self.provider.options.redeem_path)
    }

    /// The URL of Check Reward.
    #[must_use]
    pub fn check_url(&self) -> String {
        format!("{}{}", self.base_url(), self.provider.options.check_path)
    }

    /// Cuts or restores the line; returns when the listener has done so, false if it cannot.
    #[must_use = "a line that is not what it was to be makes every conclusion wrong"]
    pub async fn set_line(&self, line: LineState) -> bool {
        self.provider.set_line(line).await
    }

    /// Replaces the rules.
    pub fn set_rules(&self, rules: Vec<FaultRule>) -> Result<(), RuleError> {
        check_rules(&rules, self.provider.options.tls.is_some())?;
        self.provider.set_rules(rules);
        Ok(())
    }

    /// The provider's own totals.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.provider.inner().books.summary()
    }

    /// Requests after number `after`, oldest first, at most `limit`.
    #[must_use]
    pub fn records(&self, after: u64, limit: usize) -> Vec<RequestRecord> {
        self.provider.inner().books.records(after, limit)
    }

    /// Ends the listeners and waits until they have.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }
}

/// Rules that can be used on this listener.
fn check_rules(rules: &[FaultRule], has_tls: bool) -> Result<(), RuleError> {
    if rules.len() > RULES_MAX {
        return Err(RuleError { rule: "all".to_owned(), why: format!("more than {RULES_MAX}") });
    }
    for (index, rule) in rules.iter().enumerate() {
        let needs_tls = rule.fault.fault == Fault::TlsRefuse && !has_tls;
        let why = if needs_tls { Err("tls-refuse needs --tls".to_owned()) } else { rule.check() };
        why.map_err(|why| RuleError { rule: (index + 1).to_string(), why })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
