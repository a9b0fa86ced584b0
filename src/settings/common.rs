//! What several sections have in common: the machine, an address to listen on, a certificate.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::address;
use super::reader::BagReader;
use super::types::Tls;

/// What the settings need to know of the machine.
pub(super) struct Machine<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) host_name: &'a str,
}

impl Machine<'_> {
    /// The folder that systemd made; of several, separated by colons, the first.
    pub(super) fn folder(&self, variable: &str) -> Option<PathBuf> {
        let first = self.environment.get(variable)?.split(':').next()?;
        Path::new(first).is_absolute().then(|| PathBuf::from(first))
    }
}

/// One address to listen on.
pub(super) fn listen(read: &mut BagReader, path: &str) -> SocketAddr {
    let fallback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let Some(text) = read.text(path) else { return fallback };
    address::listen(&text).unwrap_or_else(|message| {
        read.fault(path, message);
        fallback
    })
}

/// A certificate with its key: both or none.
pub(super) fn tls(read: &mut BagReader, section: &str) -> Option<Tls> {
    for (one, other) in [("cert_file", "key_file"), ("key_file", "cert_file")] {
        let missing = format!("{section}.{other}");
        if read.has(&format!("{section}.{one}")) && !read.has(&missing) {
            read.fault(&missing, format!("it is missing: {one} needs {other} beside it"));
        }
    }
    let path = |name: &str| read.path(&format!("{section}.{name}"));
    Some(Tls { cert_file: path("cert_file")?, key_file: path("key_file")? })
}
