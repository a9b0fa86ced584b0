//! The tills' TLS: a certificate and its key, followed as their files change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::settings::Tls;

/// How often the files are looked at while clients connect; nothing looks while none does.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is not PEM or lacks what should be in it.
    #[error("{}: there is no {what} in PEM form in it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
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
pub struct Certificate(Arc<Followed>);

struct Followed {
    files: Tls,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// What the files looked like when they were last read, in vain or not.
    marks: [Option<Mark>; 2],
    looked_at: Instant,
}

/// What changes when a file's content does: device, inode, size, seconds and nanoseconds of its change.
type Mark = (u64, u64, u64, i64, i64);

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.files.cert_file).finish()
    }
}

impl Certificate {
    /// Reads the files.
    pub fn open(files: &Tls) -> Result<Self, CertificateFault> {
        let marks = marks(files);
        let current = Current { acceptor: read(files)?, marks, looked_at: Instant::now() };
        Ok(Self(Arc::new(Followed { files: files.clone(), current: Mutex::new(current) })))
    }

    /// Reads the files again now; after an error the old certificate stays in use.
    pub fn reload(&self) -> Result<(), CertificateFault> {
        let mut current = self.current();
        current.marks = marks(&self.0.files);
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

    fn follow(&self, current: &mut Current) {
        let marks = marks(&self.0.files);
        if marks == current.marks {
            return;
        }
        current.marks = marks;
        match read(&self.0.files) {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                tracing::info!("the tills' certificate has changed and is in use");
            }
            // It may be half renewed: the other file's change is the next occasion.
            Err(fault) => tracing::warn!(%fault, "the tills' changed certificate cannot be used; the old one stays"),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn marks(files: &Tls) -> [Option<Mark>; 2] {
    [&files.cert_file, &files.key_file].map(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
    })
}

fn read(files: &Tls) -> Result<TlsAcceptor, CertificateFault> {
    let missing = |path: &Path, what| CertificateFault::Missing { path: path.to_owned(), what };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes_of(&files.cert_file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| missing(&files.cert_file, "certificate"))?;
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
    std::fs::read(path).map_err(|error| CertificateFault::Unreadable { path: path.to_owned(), error })
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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
