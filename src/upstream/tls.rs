//! TLS towards a provider: who is trusted. There is no way to trust everybody.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::UpstreamError;
use crate::pem;
use crate::redemption::Fingerprint;

/// The largest file of certificate authorities that is read, in bytes.
const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Whose certificates count.
pub(super) enum TrustedRoots {
    /// These authorities, and no other.
    Only(RootCertStore),
    /// The platform's own.
    Platform,
    /// None: every URL is plain http, so the platform's certificates are not read.
    Nobody,
}

/// The one configuration that all of a provider's connections share; cloning it is cheap and keeps
/// the sessions.
pub(super) fn config(trust: TrustedRoots) -> Result<ClientConfig, UpstreamError> {
    let builder = builder()?;
    let builder = match trust {
        TrustedRoots::Only(roots) => builder.with_root_certificates(roots),
        TrustedRoots::Platform => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Platform))
        }
        TrustedRoots::Nobody => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// The authorities in a file, and a fingerprint of what is in it.
pub(super) fn authorities(path: &Path) -> Result<(RootCertStore, Fingerprint), UpstreamError> {
    let fault = |why: String| UpstreamError::CaFile { path: path.to_owned(), why };
    let pem =
        crate::files::read(path, CA_FILE_BYTES_MAX).map_err(|error| fault(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let certificates = pem::whole(&pem, CertificateDer::pem_slice_iter(&pem));
    for certificate in certificates.map_err(|error| fault(error.to_string()))? {
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(fault("it holds no certificate".to_owned()));
    }
    Ok((roots, Fingerprint::of(&["authorities", &String::from_utf8_lossy(&pem)])))
}

/// The platform's verifier, made at the first handshake and shared by all providers: reading its
/// hundreds of certificates takes time that a start should not wait for, and memory that one copy
/// of is enough.
#[derive(Debug)]
struct Platform;

static VERIFIER: Mutex<Option<Arc<Verifier>>> = Mutex::new(None);

/// The next handshake reads the platform's certificates again.
pub(super) fn forget_platform() {
    *VERIFIER.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

impl Platform {
    fn verifier() -> Result<Arc<Verifier>, TlsError> {
        let mut known = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = &*known {
            return Ok(Arc::clone(verifier));
        }
        // Without the platform's certificates nothing is verified and nothing connects; the next
        // handshake looks again.
        let verifier = Verifier::new(Arc::new(rustls::crypto::ring::default_provider()))?;
        Ok(Arc::clone(known.insert(Arc::new(verifier))))
    }
}

impl ServerCertVerifier for Platform {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Self::verifier()?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Self::verifier()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Self::verifier()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
