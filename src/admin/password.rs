//! Passwords: made into a hash that may lie in a file, and compared with one, a bounded piece of
//! work each time.

use std::str::FromStr;

use scrypt::password_hash::phc::PasswordHash;
use scrypt::password_hash::{PasswordHasher, PasswordVerifier};
use scrypt::{Params, Scrypt};

/// `N` as a power of two, `r` and `p`: 8 MiB and a tenth of a second or two (OWASP's second choice
/// for scrypt).
const WORK: (u8, u32, u32) = (13, 8, 8);
/// The most work that a hash of another maker may ask for: 32 MiB.
const WORK_MAX: (u8, u32, u32) = (15, 8, 16);
/// The shortest password, in characters.
pub const CHARS_MIN: usize = 10;
/// The longest password, in bytes.
pub const BYTES_MAX: usize = 256;

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Fewer than [`CHARS_MIN`] characters.
    #[error("a password has at least {CHARS_MIN} characters")]
    TooShort,
    /// A sign-in's field takes one line, and no sign that is not seen.
    #[error("a password is one line without control characters")]
    NotOneLine,
    /// More than [`BYTES_MAX`] bytes.
    #[error("a password has at most {BYTES_MAX} bytes")]
    TooLong,
    /// The kernel gave no random bytes.
    #[error("no hash could be made of it")]
    NoHash,
}

/// The password's hash as one line (`$scrypt$ln=13,r=8,p=8$salt$hash`).
///
/// # Errors
/// The password is too short or too long or is not one line, or there is no salt to be had.
pub fn hashed(password: &str) -> Result<String, PasswordFault> {
    if password.chars().count() < CHARS_MIN {
        return Err(PasswordFault::TooShort);
    }
    if password.len() > BYTES_MAX {
        return Err(PasswordFault::TooLong);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordFault::NotOneLine);
    }
    let (ln, r, p) = WORK;
    let scrypt =
        Params::new(ln, r, p).map(Scrypt::new_with_params).map_err(|_| PasswordFault::NoHash)?;
    let hash = scrypt.hash_password(password.as_bytes()).map_err(|_| PasswordFault::NoHash)?;
    Ok(hash.to_string())
}

/// Whether the password is the one of this hash. Blocks for a tenth of a second or two, and takes 8
/// MiB meanwhile.
pub(super) fn fits(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::from_str(hash) else { return false };
    let within = Params::try_from(&hash).is_ok_and(|params| {
        params.log_n() <= WORK_MAX.0 && params.r() <= WORK_MAX.1 && params.p() <= WORK_MAX.2
    });
    within
        && password.len() <= BYTES_MAX
        && Scrypt::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// The hash of no password: an unknown name costs as much time as a known one.
pub(super) const NOBODYS: &str =
    "$scrypt$ln=13,r=8,p=8$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_alone_and_two_hashes_of_it_differ() {
        let (one, two) = (hashed("correct horse").unwrap(), hashed("correct horse").unwrap());
        assert!(one.starts_with("$scrypt$ln=13,r=8,p=8$") && one != two, "{one}");
        assert!(fits("correct horse", &one) && !fits("correct hors", &one) && !fits("", &one));
        assert!(PasswordHash::from_str(NOBODYS).is_ok() && !fits("", NOBODYS));
    }

    #[test]
    fn a_hash_that_asks_for_a_gigabyte_or_is_none_fits_nothing() {
        for hash in [
            "",
            "plain",
            "$scrypt$ln=20,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!fits("correct horse", hash), "{hash}");
        }
        assert_eq!(hashed("short"), Err(PasswordFault::TooShort));
        assert_eq!(hashed(&"x".repeat(BYTES_MAX + 1)), Err(PasswordFault::TooLong));
        assert!(hashed("كلمة مرور طويلة").is_ok());
        assert_eq!(hashed("one line\nand another"), Err(PasswordFault::NotOneLine));
    }
}
