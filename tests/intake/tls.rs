//! The tills' TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redeemd::listen::{Bounds, Certificate, CertificateFault, Socket};
use redeemd::settings::Tls;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Host, PATIENCE, ask, get_request, is_closed};

pub(crate) struct Made {
    der: CertificateDer<'static>,
    pem: String,
    key: String,
}

pub(crate) fn made() -> Made {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    Made { der: cert.der().clone(), pem: cert.pem(), key: signing_key.serialize_pem() }
}

pub(crate) fn files(folder: &TempDir) -> Tls {
    Tls { cert_file: folder.path().join("cert.pem"), key_file: folder.path().join("key.pem") }
}

/// Puts a whole file in place, as renewals do.
fn place(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("written");
    fs::rename(beside, path).expect("renamed");
}

pub(crate) fn install(files: &Tls, made: &Made) {
    place(&files.cert_file, &made.pem);
    place(&files.key_file, &made.key);
}

async fn host(certificate: &Certificate, bounds: Bounds) -> Host {
    Host::with(bounds, |listener| Socket::Tls(listener, certificate.clone())).await
}

/// A host with a certificate that stays as it is.
async fn served(bounds: Bounds) -> (Host, Made) {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, made) = (files(&folder), made());
    install(&files, &made);
    let certificate = Certificate::open("intake.tls", &files).expect("good files");
    (host(&certificate, bounds).await, made)
}

/// A connection that trusts `made` alone.
pub(crate) async fn connect(host: &Host, made: &Made) -> std::io::Result<TlsStream<TcpStream>> {
    connect_for(host, made, &[]).await
}

/// The same, for one of these protocols.
async fn connect_for(
    host: &Host,
    made: &Made,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    shake(host.connect().await, made, protocols).await
}

async fn shake(
    stream: TcpStream,
    made: &Made,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(made.der.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_open_connections_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = files(&folder);
    let (old, new) = (made(), made());
    install(&files, &old);
    let certificate = Certificate::open("intake.tls", &files).expect("good files");
    let host = host(&certificate, Bounds::default()).await;
    let mut open = connect(&host, &old).await.expect("the old one");
    assert!(ask(&mut open, &get_request("/")).await.ends_with("here"));
    install(&files, &new);
    // Nobody tells it: it looks itself, at most once a second.
    let begun = Instant::now();
    let mut fresh = loop {
        match connect(&host, &new).await {
            Ok(fresh) => break fresh,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert!(ask(&mut fresh, &get_request("/")).await.ends_with("here"));
    assert!(ask(&mut open, &get_request("/")).await.ends_with("here"));
    assert!(connect(&host, &old).await.is_err());
}

#[tokio::test]
async fn a_faulty_renewal_keeps_the_old_certificate_and_names_the_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = files(&folder);
    let (old, new) = (made(), made());
    install(&files, &old);
    let certificate = Certificate::open("intake.tls", &files).expect("good files");
    let host = host(&certificate, Bounds::default()).await;
    place(&files.cert_file, &new.pem);
    assert!(matches!(certificate.reload(), Err(CertificateFault::Unusable { .. })), "half renewed");
    connect(&host, &old).await.expect("the old one");
    place(&files.key_file, "no key");
    assert!(matches!(
        certificate.reload(),
        Err(CertificateFault::Missing { what: "private key", .. })
    ));
    place(&files.cert_file, "no certificate");
    assert!(matches!(
        certificate.reload(),
        Err(CertificateFault::Missing { what: "certificate", .. })
    ));
    fs::remove_file(&files.cert_file).expect("removed");
    let fault = certificate.reload().expect_err("no file").to_string();
    assert!(fault.contains("cert.pem"), "{fault}");
    connect(&host, &old).await.expect("the old one");
    install(&files, &new);
    certificate.reload().expect("good files");
    connect(&host, &new).await.expect("the new one");
}

#[tokio::test]
async fn a_renewal_is_told_with_the_table_that_names_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let writer = Arc::new(fs::File::create(&log).expect("a log"));
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let files = files(&folder);
    install(&files, &made());
    let certificate = Certificate::open("admin.tls", &files).expect("good files");
    let host = host(&certificate, Bounds::default()).await;
    let new = made();
    let told = async |told: &str| {
        let begun = Instant::now();
        while !fs::read_to_string(&log).expect("the log").contains(told) {
            assert!(begun.elapsed() < PATIENCE, "it is not told: {told}");
            drop(host.connect().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    place(&files.cert_file, &new.pem);
    told("the changed certificate of admin.tls cannot be used").await;
    place(&files.key_file, &new.key);
    told("the certificate of admin.tls has changed and is in use").await;
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served_as_without_tls_and_one_of_http_2_alone_is_not() {
    let (host, made) = served(Bounds::default()).await;
    for (protocols, version) in
        [(&["http/1.0"][..], "1.0"), (&["h2", "http/1.1", "http/1.0"], "1.1")]
    {
        let mut client = connect_for(&host, &made, protocols).await.expect("TLS");
        let chosen = client.get_ref().1.alpn_protocol();
        assert_eq!(chosen, Some(format!("http/{version}").as_bytes()), "{protocols:?}");
        let request = get_request("/").replace("HTTP/1.1", &format!("HTTP/{version}"));
        assert!(ask(&mut client, &request).await.ends_with("here"), "{protocols:?}");
    }
    assert!(connect_for(&host, &made, &["h2"]).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_trickles_is_given_up() {
    let bounds = Bounds { header_within: Duration::from_millis(200), ..Bounds::default() };
    let (host, _) = served(bounds).await;
    let mut slow = host.connect().await;
    slow.write_all(&[22, 3, 1]).await.expect("written");
    assert!(is_closed(&mut slow).await);
}

#[tokio::test]
async fn a_handshake_that_is_under_way_at_the_stop_ends_and_its_request_is_answered() {
    let (mut host, made) = served(Bounds::default()).await;
    let till = host.connect().await;
    // Connections are accepted in their order, so this handshake shows that the till's has begun.
    let _other = connect(&host, &made).await.expect("TLS");
    host.stop.send_replace(true);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut till = shake(till, &made, &[]).await.expect("TLS");
    assert!(ask(&mut till, &get_request("/")).await.ends_with("here"));
    assert!(is_closed(&mut till).await);
    host.ended().await;
}

#[tokio::test]
async fn plain_http_gets_no_answer_and_stops_nobody() {
    let (host, made) = served(Bounds::default()).await;
    let mut plain = host.connect().await;
    plain.write_all(get_request("/").as_bytes()).await.expect("written");
    let mut client = connect(&host, &made).await.expect("TLS");
    assert!(ask(&mut client, &get_request("/")).await.ends_with("here"));
}
