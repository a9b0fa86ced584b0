//! The listeners: the tills', the operators' and the commands' socket.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::DaemonError;
use crate::admin::{self, Admin};
use crate::intake::{self, Intake};
use crate::listen::{self, Bounds, Certificate, Socket};
use crate::notify;
use crate::settings::Settings;

/// `FileDescriptorName=` of the tills' socket in `redeemd.socket`.
const TILLS_SOCKET: &str = "tills";

/// Bound, then serving.
pub(super) struct Listeners {
    tills: Vec<Socket>,
    admin: Vec<Socket>,
    certificate: Option<Certificate>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Listeners {
    /// Binds everything, or takes what systemd hands in.
    pub(super) fn bind(settings: &Settings) -> Result<Self, DaemonError> {
        let tills = tills_listeners(settings)?;
        let certificate = settings
            .intake
            .tls
            .as_ref()
            .map(|files| Certificate::open(files).map_err(|fault| DaemonError::Certificate(fault.to_string())))
            .transpose()?;
        let tills = tills.into_iter().map(|listener| match &certificate {
            Some(certificate) => Socket::Tls(listener, certificate.clone()),
            None => Socket::Tcp(listener),
        });
        let tills = tills.collect();
        let admin = vec![Socket::Tcp(tcp(settings.admin.listen)?), Socket::Unix(unix(&settings.admin.socket)?)];
        Ok(Self { tills, admin, certificate, stop: watch::Sender::new(false), tasks: JoinSet::new() })
    }

    /// Serves tills and operators.
    pub(super) fn serve(&mut self, intake: &Arc<Intake>, admin: &Arc<Admin>) {
        let tills = std::mem::take(&mut self.tills);
        let router = intake::router(Arc::clone(intake));
        self.tasks.spawn(listen::serve_all(tills, router, Bounds::of_process(), self.stop.subscribe()));
        // Whoever reads here needs no token.
        let bounds =
            Bounds { connections_max: 128, strangers_max: 128, strangers_of_source_max: 128, ..Bounds::default() };
        let operators = std::mem::take(&mut self.admin);
        let router = admin::router(Arc::clone(admin));
        self.tasks.spawn(listen::serve_all(operators, router, bounds, self.stop.subscribe()));
    }

    /// Reads the tills' certificate again.
    pub(super) fn reload(&self) -> Result<(), String> {
        match &self.certificate {
            Some(certificate) => certificate.reload().map_err(|fault| format!("intake.tls: {fault}")),
            None => Ok(()),
        }
    }

    /// Returns when a listener ended that was not told to.
    pub(super) async fn ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Accepts nothing more; requests under way get their answer.
    pub(super) async fn stop(&mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The tills' listeners: those that systemd hands in, else those of the settings.
fn tills_listeners(settings: &Settings) -> Result<Vec<TcpListener>, DaemonError> {
    let mut handed = notify::listen_fds()?;
    let mut listeners = Vec::new();
    while let Some(listener) = handed.take_tcp(TILLS_SOCKET).or_else(|| handed.take_tcp("redeemd.socket")) {
        listeners.push(served(listener, settings)?);
    }
    warn_of_left(&handed);
    if listeners.is_empty() {
        return settings.intake.listen.iter().map(|address| tcp(*address)).collect();
    }
    Ok(listeners)
}

fn served(listener: std::net::TcpListener, settings: &Settings) -> Result<TcpListener, DaemonError> {
    let told = |error| DaemonError::Listen { place: "the socket handed in by systemd".to_owned(), error };
    let address = listener.local_addr().map_err(told)?;
    if !settings.intake.listen.contains(&address) {
        tracing::warn!(%address, "systemd hands in another address than intake.listen: systemd's counts");
    }
    let is_open = settings.intake.tills.is_empty() && !settings.intake.allow_anonymous;
    if is_open && !address.ip().is_loopback() {
        return Err(DaemonError::OpenSocket { address });
    }
    TcpListener::from_std(listener).map_err(told)
}

/// A socket that nobody takes would keep its clients waiting without a word.
fn warn_of_left(handed: &notify::Sockets) {
    for name in handed.left() {
        tracing::warn!(name, "systemd hands in a socket that is not used: only FileDescriptorName=tills is");
    }
}

fn tcp(address: std::net::SocketAddr) -> Result<TcpListener, DaemonError> {
    let told = |error| DaemonError::Listen { place: address.to_string(), error };
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }
        .map_err(told)?;
    // A restart must not wait for the last process' connections to time out.
    socket.set_reuseaddr(true).map_err(told)?;
    socket.bind(address).map_err(told)?;
    socket.listen(1024).map_err(told)
}

/// The commands' socket: whoever may open it may act, so the file's group decides.
fn unix(path: &Path) -> Result<UnixListener, DaemonError> {
    let told = |error| DaemonError::Listen { place: path.display().to_string(), error };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
        // The state directory's lock says that nobody else serves here.
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(told)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(told)?;
    Ok(listener)
}
