//! Where a secret is read from, and reading it; an error never holds any of it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::types::SecretSource;
use crate::files::{self, FileFault, Followed};
use crate::redemption::Secret;

/// The largest file of a secret, in bytes.
pub const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// What INSTALL.md writes in place of a token.
const PLACEHOLDER: &str = "PUT-YOUR-TOKEN-HERE";

/// Why there is no secret now. Files come and change while the daemon runs, so every one of these
/// may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A credential was asked for where the service manager gave none.
    #[error("credentials are given by systemd, and $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    /// No file of the credentials' directory can have this name.
    #[error("this is no name of a credential")]
    NotAName,
    /// The file cannot be read, is none, or has more than [`SECRET_BYTES_MAX`].
    #[error(transparent)]
    File(#[from] FileFault),
    /// Nothing, or nothing but white space.
    #[error("the file is empty")]
    Empty,
    /// The guide's words for it.
    #[error("the file holds the guide's {PLACEHOLDER}: put your own in its place")]
    Placeholder,
    /// An editor's mark before the text, which would be sent with it.
    #[error("the file begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// No header can carry a second line.
    #[error("the file holds more than one line: it stands there alone, on one line")]
    ManyLines,
    /// No header can carry these.
    #[error(
        "the file holds a letter or sign beyond ASCII: letters a to z, digits and signs alone fit"
    )]
    BeyondAscii,
    /// Nor these.
    #[error("the file holds a control character, a tab perhaps, which no header can carry")]
    Control,
    /// No bearer token has a space (RFC 6750, section 2.1); the scheme's word is none of it.
    #[error("it holds white space, which no token has: the token stands alone, without `Bearer`")]
    WhiteSpace,
    /// A sign-in is looked at with the hash alone.
    #[error("it is no hash of a password: `redeemd hash-password` makes the line")]
    NoHash,
}

/// As a person would name it.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

impl SecretSource {
    /// The file that holds the secret; `None` for a credential without `credentials_dir`, or whose
    /// name would lead out of it.
    #[must_use]
    pub fn path(&self, credentials_dir: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) if name.contains('/') || name == ".." => None,
            Self::Credential(name) => credentials_dir.map(|folder| folder.join(name)),
        }
    }

    /// Follows the file that holds the secret.
    #[must_use]
    pub fn followed(&self, credentials_dir: Option<&Path>) -> Followed {
        Followed::new(self.path(credentials_dir))
    }

    /// Reads the secret, without the white space around it. Blocks on the file system.
    pub fn read(&self, credentials_dir: Option<&Path>) -> Result<Secret, SecretError> {
        let none = if credentials_dir.is_some() {
            SecretError::NotAName
        } else {
            SecretError::NoCredentials
        };
        let path = self.path(credentials_dir).ok_or(none)?;
        let bytes = files::read(&path, SECRET_BYTES_MAX)?;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if text == PLACEHOLDER.as_bytes() {
            return Err(SecretError::Placeholder);
        }
        printable(text)?;
        let text = str::from_utf8(text).map_err(|_| SecretError::BeyondAscii)?;
        Ok(Secret::new(text.to_owned()))
    }

    /// As [`Self::read`], of a bearer token.
    pub fn token(&self, credentials_dir: Option<&Path>) -> Result<Secret, SecretError> {
        let token = self.read(credentials_dir)?;
        if token.reveal().contains(' ') { Err(SecretError::WhiteSpace) } else { Ok(token) }
    }

    /// As [`Self::read`], of a password's hash (`$scrypt$ln=13,r=8,p=8$salt$hash`).
    pub fn password_hash(&self, credentials_dir: Option<&Path>) -> Result<Secret, SecretError> {
        let hash = self.read(credentials_dir)?;
        let parts: Vec<&str> = hash.reveal().split('$').collect();
        match parts.as_slice() {
            ["", "scrypt", rest @ ..] if rest.len() == 3 && rest.iter().all(|p| !p.is_empty()) => {
                Ok(hash)
            }
            _ => Err(SecretError::NoHash),
        }
    }
}

/// Whether a header can carry it (RFC 9110, section 5.5), and if not, what a person would have to
/// mend first.
fn printable(text: &[u8]) -> Result<(), SecretError> {
    // Of UTF-8, and of both orders of UTF-16.
    let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    if marks.iter().any(|mark| text.starts_with(mark)) {
        return Err(SecretError::ByteOrderMark);
    }
    if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(SecretError::ManyLines);
    }
    if !text.is_ascii() {
        return Err(SecretError::BeyondAscii);
    }
    if text.iter().any(u8::is_ascii_control) { Err(SecretError::Control) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn read(content: &[u8]) -> Result<String, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), content).unwrap();
        let source = SecretSource::Credential("token".to_owned());
        source.read(Some(folder.path())).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn white_space_around_a_secret_is_dropped() {
        assert_eq!(read(b"  abc-123\r\n\n"), Ok("abc-123".to_owned()));
        assert_eq!(read(b"two words"), Ok("two words".to_owned()));
    }

    #[test]
    fn what_no_header_can_carry_is_no_secret() {
        assert_eq!(read(b""), Err(SecretError::Empty));
        assert_eq!(read(b" \n\t"), Err(SecretError::Empty));
        let wrong: [(&[u8], SecretError); 9] = [
            (b"a\nb", SecretError::ManyLines),
            (b"a\r\nb", SecretError::ManyLines),
            (b"a\tb", SecretError::Control),
            (b"a\0b", SecretError::Control),
            ("\u{feff}abc".as_bytes(), SecretError::ByteOrderMark),
            (b"\xff\xfea\0b\0", SecretError::ByteOrderMark),
            ("schl\u{fc}ssel".as_bytes(), SecretError::BeyondAscii),
            ("رمز".as_bytes(), SecretError::BeyondAscii),
            (b"a\xff", SecretError::BeyondAscii),
        ];
        for (content, error) in wrong {
            assert_eq!(read(content), Err(error), "{content:?}");
        }
    }

    #[test]
    fn a_token_stands_alone_and_a_password_is_given_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let source = SecretSource::File(folder.path().join("secret"));
        let holds = |text: &str| std::fs::write(folder.path().join("secret"), text).unwrap();
        for text in ["Bearer abc", "bearer  abc", "two words"] {
            holds(text);
            assert_eq!(source.token(None).err(), Some(SecretError::WhiteSpace), "{text}");
        }
        holds(" abc\n");
        assert!(source.token(None).is_ok());
        for text in ["hunter2hunter2", "$scrypt$", "$scrypt$ln=13,r=8,p=8$salt", "$2b$12$salt$x"] {
            holds(text);
            assert_eq!(source.password_hash(None).err(), Some(SecretError::NoHash), "{text}");
        }
        holds("$scrypt$ln=13,r=8,p=8$c2FsdA$aGFzaA\n");
        assert!(source.password_hash(None).is_ok());
    }

    #[test]
    fn the_guides_own_words_are_no_secret() {
        assert_eq!(read(b"PUT-YOUR-TOKEN-HERE\n"), Err(SecretError::Placeholder));
        assert!(read(b"PUT-YOUR-TOKEN-HERE-2").is_ok());
    }

    #[test]
    fn a_secret_has_a_largest_size() {
        let limit = usize::try_from(SECRET_BYTES_MAX).unwrap();
        assert!(read(&vec![b'a'; limit]).is_ok());
        assert_eq!(read(&vec![b'a'; limit + 1]), Err(FileFault::TooLarge(SECRET_BYTES_MAX).into()));
    }

    #[test]
    fn a_folder_or_nothing_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            SecretSource::File(folder.path().into()).read(None),
            Err(FileFault::NotAFile("folder").into())
        );
        let missing = SecretSource::File(folder.path().join("none")).read(None);
        assert_eq!(missing, Err(FileFault::Unreadable(ErrorKind::NotFound).into()));
        assert_eq!(
            SecretSource::Credential("x".into()).read(None),
            Err(SecretError::NoCredentials)
        );
    }

    #[test]
    fn a_credentials_name_does_not_lead_out_of_its_directory() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("token"), "secret").unwrap();
        for name in ["../token", "..", "/etc/hostname"] {
            let source = SecretSource::Credential(name.to_owned());
            assert_eq!(source.read(Some(&inside)), Err(SecretError::NotAName), "{name}");
        }
    }
}
