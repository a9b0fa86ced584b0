//! The listeners: the tills', the operators' and the commands' socket.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_ip_freebind, set_ipv6_freebind, set_ipv6_v6only};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{DaemonError, place};
use crate::admin::{self, Admin};
use crate::intake::{self, Intake};
use crate::listen::{self, Bounds, Certificate, Socket};
use crate::notify::{self, Handed};
use crate::prepare::{Prepared, not_handed_in, tills_may_stay, tills_may_use};
use crate::settings::Settings;

/// The names of sockets that systemd hands in, `FileDescriptorName=`; without one, it is the unit's
/// name.
const TILLS_NAMES: [&str; 2] = ["tills", "redeemd.socket"];
const ADMIN_NAME: &str = "admin";
/// The most connections of operators over TCP.
const ADMIN_CONNECTIONS_MAX: usize = 128;
/// The most connections of commands, which nobody on TCP can take from them.
const COMMANDS_CONNECTIONS_MAX: usize = 32;
/// At the stop, how long an operator's request may still take.
const OPERATORS_STOP_WITHIN: Duration = Duration::from_secs(5);

/// Bound, then serving.
pub(super) struct Listeners {
    tills: Vec<Socket>,
    admin: Vec<Socket>,
    commands: Vec<Socket>,
    /// Where tills are served, until a restart.
    tills_at: Vec<SocketAddr>,
    /// Whether systemd chose those places, and does so again at the next start.
    are_handed_in: bool,
    certificates: Vec<Certificate>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Listeners {
    /// Takes what systemd hands in, and binds what it did not.
    pub(super) fn bind(prepared: &Prepared) -> Result<Self, DaemonError> {
        let settings = &prepared.loaded.settings;
        let handed = HandedIn::of(notify::listen_fds()?, settings)?;
        let (tills, admin) = (&settings.intake.listen, [settings.admin.listen]);
        let all = [tills.as_slice(), &admin].concat();
        let are_handed_in = !handed.tills.0.is_empty();
        let tills = handed.tills.or_else_bind(("intake.listen", tills), &all)?;
        let tcp = handed.admin.or_else_bind(("admin.listen", &admin), &all)?;
        let commands = match handed.commands {
            listeners if !listeners.is_empty() => listeners,
            _ => vec![commands(settings)?],
        };
        let admin =
            tcp.into_iter().map(|listener| secured(listener, prepared.admin_certificate.as_ref()));
        let certificates = [&prepared.tills_certificate, &prepared.admin_certificate];
        let tills_at = tills.iter().map(TcpListener::local_addr).collect::<Result<_, _>>();
        Ok(Self {
            tills_at: tills_at.map_err(told("tills"))?,
            are_handed_in,
            tills: tills
                .into_iter()
                .map(|one| secured(one, prepared.tills_certificate.as_ref()))
                .collect(),
            admin: admin.collect(),
            commands: commands.into_iter().map(Socket::Unix).collect(),
            certificates: certificates.into_iter().flatten().cloned().collect(),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        })
    }

    /// Serves tills and operators.
    pub(super) fn serve(&mut self, intake: &Arc<Intake>, admin: &Arc<Admin>) {
        let tills = std::mem::take(&mut self.tills);
        let router = intake::router(Arc::clone(intake));
        self.tasks.spawn(listen::serve(tills, router, Bounds::of_process(), self.stop.subscribe()));
        admin.closes_with(self.stop.subscribe());
        let operators = std::mem::take(&mut self.admin);
        let commands = std::mem::take(&mut self.commands);
        for (sockets, most) in
            [(operators, ADMIN_CONNECTIONS_MAX), (commands, COMMANDS_CONNECTIONS_MAX)]
        {
            let router = admin::router(Arc::clone(admin));
            let stop = self.stop.subscribe();
            self.tasks.spawn(listen::serve(sockets, router, of_anybody(most), stop));
        }
    }

    /// What keeps a reload from taking `settings`: an address that would let strangers redeem,
    /// because it stays open until a restart. `begun_with`: the settings of the start.
    ///
    /// The operators' side has no such address: who may do what there does not depend on where it
    /// listens, but on who asks.
    pub(super) fn opened_by(&self, settings: &Settings, begun_with: &Settings) -> Vec<String> {
        let named = |settings: &Settings, address| settings.intake.listen.contains(&address);
        let is_left = |address| named(begun_with, address) && !named(settings, address);
        let may = |address| {
            if self.are_handed_in {
                tills_may_use(address, settings)
            } else {
                tills_may_stay((address, is_left(address)), settings)
            }
        };
        let faults = self.tills_at.iter().filter_map(|address| may(*address).err());
        faults.map(|fault| fault.to_string()).collect()
    }

    /// Reads the certificates again. They were good a moment ago; one that is not keeps the old one
    /// in use.
    pub(super) fn reload(&self) {
        for certificate in &self.certificates {
            if let Err(fault) = certificate.reload() {
                tracing::warn!(%fault, "a certificate cannot be used; the old one stays");
            }
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

/// Where whoever reads needs no token, strangers have all places.
fn of_anybody(most: usize) -> Bounds {
    Bounds {
        connections_max: most,
        strangers_max: most,
        strangers_of_source_max: most,
        stop_within: OPERATORS_STOP_WITHIN,
        ..Bounds::default()
    }
}

/// What systemd handed in, each for whom it is.
#[derive(Default)]
struct HandedIn {
    tills: Tcp,
    admin: Tcp,
    commands: Vec<UnixListener>,
}

#[derive(Default)]
struct Tcp(Vec<TcpListener>);

impl HandedIn {
    /// A socket that nobody would serve keeps its clients waiting without a word, so it is an
    /// error.
    fn of(handed: Vec<(String, Handed)>, settings: &Settings) -> Result<Self, DaemonError> {
        let mut taken = Self::default();
        for (name, socket) in handed {
            match socket {
                Handed::Tcp(listener) if TILLS_NAMES.contains(&name.as_str()) => {
                    taken.tills.0.push(tills(listener, settings)?);
                }
                Handed::Tcp(listener) if name == ADMIN_NAME => {
                    taken.admin.0.push(operators(listener, settings)?);
                }
                Handed::Unix(listener) if name == ADMIN_NAME => {
                    taken.commands.push(UnixListener::from_std(listener).map_err(told(&name))?);
                }
                Handed::Tcp(_) => return Err(DaemonError::StraySocket { name, kind: "a TCP" }),
                Handed::Unix(_) => return Err(DaemonError::StraySocket { name, kind: "a Unix" }),
            }
        }
        Ok(taken)
    }
}

impl Tcp {
    /// `all`: every address of the settings.
    fn or_else_bind(
        self,
        (key, addresses): (&str, &[SocketAddr]),
        all: &[SocketAddr],
    ) -> Result<Vec<TcpListener>, DaemonError> {
        if !self.0.is_empty() {
            let handed: Vec<_> = self.0.iter().flat_map(TcpListener::local_addr).collect();
            for address in not_handed_in(addresses, &handed) {
                tracing::warn!(key, %address, "this address is not served: systemd hands in \
                    sockets, and none for it");
            }
            return Ok(self.0);
        }
        addresses.iter().map(|address| bound(key, *address, all)).collect()
    }
}

fn tills(listener: std::net::TcpListener, settings: &Settings) -> Result<TcpListener, DaemonError> {
    let address = listener.local_addr().map_err(told("tills"))?;
    if !settings.intake.listen.contains(&address) {
        tracing::warn!(%address, "systemd hands in another address than intake.listen: systemd's \
            counts");
    }
    tills_may_use(address, settings)
        .map_err(|problem| DaemonError::OpenSocket(problem.to_string()))?;
    TcpListener::from_std(listener).map_err(told("tills"))
}

fn operators(
    listener: std::net::TcpListener,
    settings: &Settings,
) -> Result<TcpListener, DaemonError> {
    let address = listener.local_addr().map_err(told(ADMIN_NAME))?;
    let admin = &settings.admin;
    let is_guarded = admin.tls.is_some() && !admin.users.is_empty() && !admin.hosts.is_empty();
    if !is_guarded && !address.ip().to_canonical().is_loopback() {
        let why = format!(
            "systemd hands in {address} for admin, which is beyond loopback: it needs [admin.tls], \
             an [[admin.user]] and hosts"
        );
        return Err(DaemonError::OpenSocket(why));
    }
    TcpListener::from_std(listener).map_err(told(ADMIN_NAME))
}

fn told(name: &str) -> impl Fn(std::io::Error) -> DaemonError {
    let place = format!("the socket {name} handed in by systemd");
    move |error| DaemonError::Listen { place: place.clone(), error }
}

fn secured(listener: TcpListener, certificate: Option<&Certificate>) -> Socket {
    match certificate {
        Some(certificate) => Socket::Tls(listener, certificate.clone()),
        None => Socket::Tcp(listener),
    }
}

/// `key` is that of the setting which names the address. All of IPv6 are all of IPv4 too, unless
/// one of those stands there by itself.
fn bound(key: &str, address: SocketAddr, all: &[SocketAddr]) -> Result<TcpListener, DaemonError> {
    let told = |error| DaemonError::Listen { place: format!("{address} ({key})"), error };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(told)?;
    let is_beside = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
    if address.is_ipv6() && address.ip().is_unspecified() && all.iter().any(is_beside) {
        set_ipv6_v6only(&socket, true).map_err(|errno| told(errno.into()))?;
    }
    // A restart must not wait for the last process' connections to time out.
    socket.set_reuseaddr(true).map_err(told)?;
    bind(&socket, key, address).map_err(told)?;
    socket.listen(1024).map_err(told)
}

/// An address that the machine does not have yet is served from when it has it, as by the package's
/// socket (`FreeBind=`): a VPN that is not up takes nothing else down.
fn bind(socket: &TcpSocket, key: &str, address: SocketAddr) -> std::io::Result<()> {
    match socket.bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {}
        bound => return bound,
    }
    let free = if address.is_ipv4() { set_ip_freebind } else { set_ipv6_freebind };
    free(socket.as_fd(), true)?;
    socket.bind(address)?;
    tracing::warn!(key, %address, "this machine does not have the address {address} of {key} now: \
        it is served when the machine has it");
    Ok(())
}

fn commands(settings: &Settings) -> Result<UnixListener, DaemonError> {
    let path = &settings.admin.socket;
    place::listen(path).map_err(|error| DaemonError::Listen {
        place: format!("{} (admin.socket)", path.display()),
        error,
    })
}
