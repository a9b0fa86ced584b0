//! The service's unit as systemd has it: where its state lies, and what its sandbox forbids.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::files;
use crate::notify;
use crate::settings::DEFAULT_FILE;

/// The service's unit.
pub(super) const UNIT: &str = "redeemd.service";
/// Tells a repeated check what systemd said: it may not answer the service's user.
pub(super) const VARIABLE: &str = "REDEEMD_SERVICE_UNIT";
/// What is asked of systemd.
const PROPERTIES: &str =
    "StateDirectory,PrivateTmp,ProtectHome,CapabilityBoundingSet,AmbientCapabilities,User";
/// Where systemd makes a unit's state directory.
const STATE_ROOT: &str = "/var/lib";
/// How systemd tells the service.
const STATE_VARIABLE: &str = "STATE_DIRECTORY";
/// What a port below [`lowest_free_port`] takes.
const BIND: &str = "cap_net_bind_service";

/// Its properties, `NAME=value` a line; none where systemd does not run or knows no such unit.
#[derive(Default)]
pub(super) struct ServiceUnit(pub(super) String);

/// Whether `file` is the settings file of the service.
pub(super) fn is_its_file(file: Option<&Path>) -> bool {
    file.is_none_or(|file| file == Path::new(DEFAULT_FILE))
}

impl ServiceUnit {
    /// Asks systemd.
    pub(super) async fn ask() -> Self {
        match std::env::var(VARIABLE) {
            Ok(text) => Self(text),
            Err(_) => Self(notify::unit_properties(UNIT, PROPERTIES).await),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
    }

    /// The state directory that systemd gives it, which wins over the settings' own.
    pub(super) fn state_dir(&self) -> Option<PathBuf> {
        let first = self.value("StateDirectory")?.split_whitespace().next()?;
        // What follows a colon is a link to it.
        Some(Path::new(STATE_ROOT).join(first.split(':').next()?))
    }

    /// The service's state directory where it is another than `dir`, which the settings name.
    /// Whoever sets `STATE_DIRECTORY` has said which.
    pub(super) fn other_state_dir(&self, dir: &Path) -> Option<PathBuf> {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let services = self.state_dir().filter(|_| std::env::var_os(STATE_VARIABLE).is_none())?;
        (real(&services) != real(dir)).then_some(services)
    }

    /// The unit's line for which the service does not see the file of this path.
    pub(super) fn hides(&self, path: &Path) -> Option<String> {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let hidden: [(&str, &[&str], &[&str]); 2] = [
            ("PrivateTmp", &["yes", "disconnected"], &["/tmp", "/var/tmp"]),
            ("ProtectHome", &["yes", "tmpfs"], &["/home", "/root", "/run/user"]),
        ];
        hidden.into_iter().find_map(|(name, hiding, folders)| {
            let value = self.value(name).filter(|value| hiding.contains(value))?;
            let is_in = |folder: &&str| path.starts_with(folder) || real.starts_with(folder);
            folders.iter().any(is_in).then(|| format!("{name}={value}"))
        })
    }

    /// The unit's line for which the service cannot listen there.
    pub(super) fn forbids(&self, address: SocketAddr) -> Option<String> {
        let lacks = |name| Some(self.value(name)?).filter(|all| !all.contains(BIND));
        let is_root = matches!(self.value("User"), None | Some("" | "root" | "0"));
        let all = lacks("CapabilityBoundingSet").map(|all| ("CapabilityBoundingSet", all));
        let own = || lacks("AmbientCapabilities").map(|own| ("AmbientCapabilities", own));
        let (name, value) = all.or_else(|| own().filter(|_| !is_root))?;
        let is_low = (1..lowest_free_port()).contains(&address.port());
        is_low.then(|| format!("{name}={value}"))
    }
}

/// From this port on, everybody may listen (ip(7)).
fn lowest_free_port() -> u16 {
    let file = Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let text = files::read(file, 16).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().parse().unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `systemctl show` prints the packaged unit.
    const PACKAGED: &str = "StateDirectory=redeemd\nPrivateTmp=yes\nProtectHome=yes\n\
        CapabilityBoundingSet=\nAmbientCapabilities=\nUser=redeemd\n";
    /// And one that it does not know.
    const UNKNOWN: &str = "StateDirectory=\nPrivateTmp=no\nProtectHome=no\n\
        CapabilityBoundingSet=cap_chown cap_net_bind_service\nAmbientCapabilities=\nUser=\n";

    #[test]
    fn the_units_lines_are_named_by_what_they_forbid() {
        let unit = ServiceUnit(PACKAGED.to_owned());
        let hides = |path: &str| unit.hides(Path::new(path));
        assert_eq!(unit.state_dir(), Some(PathBuf::from("/var/lib/redeemd")));
        assert_eq!(hides("/var/tmp/none.pem").as_deref(), Some("PrivateTmp=yes"));
        assert_eq!(hides("/root/none.pem").as_deref(), Some("ProtectHome=yes"));
        assert_eq!(hides("/etc/redeemd/none.pem"), None);
        assert_eq!(hides("/tmpfs/none.pem"), None);
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(unit.forbids(at("[::1]:1")).as_deref(), Some("CapabilityBoundingSet="));
        assert_eq!(unit.forbids(at("127.0.0.1:7734")), None);
        let may = PACKAGED.replace("Set=", "Set=cap_net_bind_service");
        let said = ServiceUnit(may.clone()).forbids(at("127.0.0.1:1"));
        assert_eq!(said.as_deref(), Some("AmbientCapabilities="));
        let may = may.replace("Ambient", "No").replace("User", "AmbientCapabilities=x\nUser");
        let may = may.replace("=x", "=cap_net_bind_service");
        assert_eq!(ServiceUnit(may).forbids(at("127.0.0.1:1")), None);
    }

    #[test]
    fn a_unit_that_is_not_there_forbids_nothing() {
        for text in [UNKNOWN, ""] {
            let unit = ServiceUnit(text.to_owned());
            assert_eq!(unit.state_dir(), None);
            assert_eq!(unit.hides(Path::new("/tmp/none.pem")), None);
            assert_eq!(unit.forbids("127.0.0.1:1".parse().unwrap()), None);
        }
        let several = ServiceUnit("StateDirectory=shop:link redeemd\n".to_owned());
        assert_eq!(several.state_dir(), Some(PathBuf::from("/var/lib/shop")));
    }
}
