//! `make-certificate`: a key and a certificate for a store without an authority of its own.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::args::CertificateArgs;
use super::exit::CliError;
use super::new_file::discard;

/// Makes both files; neither may exist.
pub(super) fn make(
    args: &CertificateArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let failed =
        |error: rcgen::Error| CliError::Failed(format!("no certificate could be made: {error}"));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params(&args.names).map_err(failed)?.self_signed(&key).map_err(failed)?;
    let print = fingerprint(certificate.der());
    write(&args.key_file, 0o600, &key.serialize_pem())?;
    // A key without its certificate would stand in the way of the next try.
    write(&args.cert_file, 0o644, &certificate.pem()).inspect_err(|_| discard(&args.key_file))?;
    if json {
        let files = (args.cert_file.display().to_string(), args.key_file.display().to_string());
        writeln!(out, "{}", json!({ "sha256": print, "cert_file": files.0, "key_file": files.1 }))?;
    } else {
        writeln!(out, "SHA-256 fingerprint: {print}")?;
    }
    Ok(())
}

/// For these names, and not an authority: who trusts it trusts this gateway alone. It ends late,
/// since nobody renews it, and begins before any clock that was never set.
fn params(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    let first = names.first().map_or("redeemd", String::as_str);
    params.distinguished_name.push(DnType::CommonName, first);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2050, 1, 1));
    Ok(params)
}

/// SHA-256 of the certificate as browsers show it: pairs of capital hexadecimal digits, colons
/// between them.
fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A new file; nothing of it stays where it could not be written whole.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), CliError> {
    let told = |error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let fill = |mut file: std::fs::File| {
        file.write_all(text.as_bytes())?;
        // The process' umask leaves it to its owner alone; a certificate is for everybody.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    };
    let filled = fill(opened.map_err(told)?).inspect_err(|_| discard(path));
    filled.map_err(|error| CliError::from(error).about(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path) -> CertificateArgs {
        let names = vec!["store-042.example".to_owned(), "192.0.2.1".to_owned()];
        CertificateArgs {
            names,
            cert_file: folder.join("cert.pem"),
            key_file: folder.join("key.pem"),
        }
    }

    #[test]
    fn the_key_is_the_owners_alone_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(folder.path());
        let mut said = Vec::new();
        make(&args, false, &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        let print = said.trim().strip_prefix("SHA-256 fingerprint: ").unwrap();
        assert_eq!((print.len(), print.matches(':').count()), (95, 31), "{print}");
        assert_eq!(std::fs::metadata(&args.key_file).unwrap().permissions().mode() & 0o777, 0o600);
        let key = std::fs::read(&args.key_file).unwrap();
        assert!(make(&args, false, &mut Vec::new()).is_err());
        assert_eq!(std::fs::read(&args.key_file).unwrap(), key);
    }

    #[test]
    fn what_fails_leaves_none_of_the_two_files_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(folder.path());
        std::fs::write(&args.cert_file, "somebody else's").unwrap();
        let failed = make(&args, false, &mut Vec::new()).unwrap_err();
        assert!(failed.to_string().contains("cert.pem"), "{failed}");
        assert!(!args.key_file.exists());
        args.cert_file = folder.path().join("no/such/folder.pem");
        assert!(make(&args, false, &mut Vec::new()).is_err() && !args.key_file.exists());
        args.cert_file.clone_from(&args.key_file);
        assert!(make(&args, false, &mut Vec::new()).is_err() && !args.key_file.exists());
        args.key_file = std::path::PathBuf::from("/dev/full/no.pem");
        assert!(make(&args, false, &mut Vec::new()).is_err() && !args.cert_file.exists());
    }

    #[test]
    fn a_listener_can_use_what_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(folder.path());
        make(&args, true, &mut Vec::new()).unwrap();
        let files = crate::settings::Tls { cert_file: args.cert_file, key_file: args.key_file };
        assert!(crate::listen::Certificate::open("intake.tls", &files).is_ok());
    }
}
