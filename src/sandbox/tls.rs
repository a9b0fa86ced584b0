//! Certificates made at start: a good one, and those that a gateway must not believe.

use std::net::IpAddr;
use std::sync::Arc;

use clap::ValueEnum;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::HttpVersions;

/// The certificate that the provider shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CertificateKind {
    /// Valid, for this host, by the authority of --ca-out.
    Good,
    /// It ended in 2001.
    Expired,
    /// It begins in 3000.
    NotYetValid,
    /// By nobody but itself.
    SelfSigned,
    /// Valid, but for wrong-host.invalid.
    WrongHost,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate.
    #[error("no certificate could be made: {0}")]
    CertificateKind(#[from] rcgen::Error),
    /// The server's settings.
    #[error("no TLS server could be set up: {0}")]
    Server(#[from] rustls::Error),
}

/// What the listener and its clients need.
pub(super) struct MadeCertificate {
    /// Takes connections.
    pub(super) acceptor: TlsAcceptor,
    /// The authority's certificate, PEM.
    pub(super) ca_pem: String,
}

/// A new authority and its certificate for `names` and the address.
pub(super) fn make(
    certificate: CertificateKind,
    address: IpAddr,
    names: &[String],
    http: HttpVersions,
) -> Result<MadeCertificate, TlsError> {
    let ca_key = KeyPair::generate()?;
    let ca = authority(&ca_key)?;
    let key = KeyPair::generate()?;
    let leaf = leaf(certificate, address, names)?;
    let signed = if certificate == CertificateKind::SelfSigned {
        leaf.self_signed(&key)?
    } else {
        leaf.signed_by(&key, &Issuer::new(authority_params()?, &ca_key))?
    };
    let acceptor = acceptor(signed.der().clone(), &key, http)?;
    Ok(MadeCertificate { acceptor, ca_pem: ca.pem() })
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "redeemd sandbox authority");
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(4000, 1, 1));
    Ok(params)
}

fn authority(key: &KeyPair) -> Result<rcgen::Certificate, rcgen::Error> {
    authority_params()?.self_signed(key)
}

fn leaf(
    certificate: CertificateKind,
    address: IpAddr,
    names: &[String],
) -> Result<CertificateParams, rcgen::Error> {
    let subjects = if certificate == CertificateKind::WrongHost {
        vec!["wrong-host.invalid".to_owned()]
    } else {
        let fixed = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut all: Vec<String> =
            names.iter().cloned().chain(fixed).chain([address.to_string()]).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let mut params = CertificateParams::new(subjects)?;
    params.distinguished_name.push(DnType::CommonName, "redeemd sandbox");
    let (from, until) = match certificate {
        CertificateKind::Expired => (2000, 2001),
        CertificateKind::NotYetValid => (3000, 4000),
        CertificateKind::Good | CertificateKind::SelfSigned | CertificateKind::WrongHost => {
            (2000, 4000)
        }
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    Ok(params)
}

fn acceptor(
    leaf: CertificateDer<'static>,
    key: &KeyPair,
    http: HttpVersions,
) -> Result<TlsAcceptor, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    config.alpn_protocols = match http {
        HttpVersions::One => vec![b"http/1.1".to_vec()],
        HttpVersions::Two => vec![b"h2".to_vec()],
        HttpVersions::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(TlsAcceptor::from(Arc::new(config)))
}
