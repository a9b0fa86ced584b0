//! The listeners' TLS: a certificate and its key, followed as their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::files::{self, FileFault, Followed, LOOK_EVERY};
use crate::pem::{self, PemFault};
use crate::settings::Tls;

/// The largest certificate chain or key, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// A file cannot be read.
    #[error("{}: {fault}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: FileFault,
    },
    /// A file is not PEM or lacks what should be in it.
    #[error("{}: there is no {what} in PEM form in it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Not all certificates in the file can be read.
    #[error("{}: {fault}", path.display())]
    Faulty {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: PemFault,
    },
    /// The certificate and the key do not belong together, or the key's kind is not known.
    #[error("{} and {}: {error}", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

/// A certificate with its key. Cheap to clone; all clones follow the files together.
#[derive(Clone)]
pub struct Certificate(Arc<SharedCertificate>);

struct SharedCertificate {
    /// The settings' table that names the files.
    key: &'static str,
    files: Tls,
    current: Mutex<CurrentCertificate>,
}

struct CurrentCertificate {
    acceptor: TlsAcceptor,
    /// Certificate and key, from when they were last read, in vain or not.
    followed: [Followed; 2],
    looked_at: Instant,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.files.cert_file).finish()
    }
}

impl Certificate {
    /// Reads the files that the settings name under `key`.
    pub fn open(key: &'static str, files: &Tls) -> Result<Self, CertificateFault> {
        let followed =
            [&files.cert_file, &files.key_file].map(|path| Followed::new(Some(path.clone())));
        let current =
            CurrentCertificate { acceptor: read(files)?, followed, looked_at: Instant::now() };
        let (files, current) = (files.clone(), Mutex::new(current));
        Ok(Self(Arc::new(SharedCertificate { key, files, current })))
    }

    /// Reads the files again now; after an error the old certificate stays in use.
    pub fn reload(&self) -> Result<(), CertificateFault> {
        let mut current = self.current();
        current.has_changed();
        current.acceptor = read(&self.0.files)?;
        Ok(())
    }

    /// The certificate for the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current();
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            self.follow(&mut current);
        }
        current.acceptor.clone()
    }

    fn follow(&self, current: &mut CurrentCertificate) {
        if !current.has_changed() {
            return;
        }
        let key = self.0.key;
        match read(&self.0.files) {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                tracing::info!(key, "the certificate of {key} has changed and is in use");
            }
            // It may be half renewed: the other file's change is the next occasion.
            Err(fault) => {
                tracing::warn!(key, %fault, "the changed certificate of {key} cannot be used; the \
                    old one stays");
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, CurrentCertificate> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CurrentCertificate {
    /// Both are looked at each time, so that a change of both is one change.
    fn has_changed(&mut self) -> bool {
        self.followed.iter_mut().filter_map(|file| file.has_changed().then_some(())).count() > 0
    }
}

fn read(files: &Tls) -> Result<TlsAcceptor, CertificateFault> {
    let missing = |path: &Path, what| CertificateFault::Missing { path: path.to_owned(), what };
    let bytes = bytes_of(&files.cert_file)?;
    let chain = pem::whole(&bytes, CertificateDer::pem_slice_iter(&bytes))
        .map_err(|fault| CertificateFault::Faulty { path: files.cert_file.clone(), fault })?;
    if chain.is_empty() {
        return Err(missing(&files.cert_file, "certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes_of(&files.key_file)?)
        .map_err(|_| missing(&files.key_file, "private key"))?;
    let config = server_config(chain, key).map_err(|error| CertificateFault::Unusable {
        cert: files.cert_file.clone(),
        key: files.key_file.clone(),
        error,
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, CertificateFault> {
    files::read(path, PEM_BYTES_MAX)
        .map_err(|fault| CertificateFault::Unreadable { path: path.to_owned(), fault })
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = [&b"http/1.1"[..], b"http/1.0"].map(<[u8]>::to_vec).to_vec();
    Ok(config)
}
