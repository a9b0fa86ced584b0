//! PEM files of certificates: that each one that begins in them was read. A parser passes over what
//! it does not know, and with it over half of a chain.

/// Of UTF-8, and of both orders of UTF-16.
const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// What a certificate's label is, or ends in.
const LABEL: &[u8] = b"CERTIFICATE";

/// Why not all certificates of a file can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// An editor's mark hides the first line.
    #[error("it begins with a byte order mark: save it as UTF-8 without one")]
    ByteOrderMark,
    /// Of a kind that OpenSSL alone knows.
    #[error(
        "it holds an X509 CERTIFICATE or a TRUSTED CERTIFICATE: `openssl x509 -in FILE` makes a \
         CERTIFICATE of it"
    )]
    OtherLabel,
    /// Files were joined of which one has no end of line, or there is a space.
    #[error(
        "a certificate's BEGIN or END does not stand at the beginning of a line: each needs a line \
         of its own, without a space before it"
    )]
    MidLine,
    /// The file was not copied whole.
    #[error("a certificate in it has no end: the file is cut off")]
    CutOff,
    /// What is between its lines is none.
    #[error("a certificate in it is damaged")]
    Damaged,
}

/// The certificates that were `parsed` from `pem`; there may be none.
///
/// # Errors
/// Not all that begin in it were.
pub fn whole<T, E>(
    pem: &[u8],
    parsed: impl Iterator<Item = Result<T, E>>,
) -> Result<Vec<T>, PemFault> {
    let (mut all, mut is_damaged) = (Vec::new(), false);
    for one in parsed {
        let Ok(one) = one else {
            is_damaged = true;
            break;
        };
        all.push(one);
    }
    match fault(pem, all.len()) {
        Some(fault) => Err(fault),
        None if is_damaged && !all.is_empty() => Err(PemFault::Damaged),
        None => Ok(all),
    }
}

/// Why only so many were read.
fn fault(pem: &[u8], read: usize) -> Option<PemFault> {
    let (begun, ended) = (markers(pem, BEGIN), markers(pem, END));
    if begun.len() <= read {
        return None;
    }
    let is_inside = |(at, _): &(usize, &[u8])| {
        at.checked_sub(1)
            .and_then(|before| pem.get(before))
            .is_some_and(|byte| !b"\r\n".contains(byte))
    };
    Some(if MARKS.iter().any(|mark| pem.starts_with(mark)) {
        PemFault::ByteOrderMark
    } else if begun.iter().any(|(_, label)| *label != LABEL) {
        PemFault::OtherLabel
    } else if begun.iter().chain(&ended).any(is_inside) {
        PemFault::MidLine
    } else if ended.len() < begun.len() {
        PemFault::CutOff
    } else {
        PemFault::Damaged
    })
}

/// Where certificates begin or end, with their labels.
fn markers<'a>(pem: &'a [u8], marker: &[u8]) -> Vec<(usize, &'a [u8])> {
    let mut found = Vec::new();
    for at in 0..pem.len() {
        let Some(rest) = pem.get(at..).and_then(|rest| rest.strip_prefix(marker)) else { continue };
        let line = rest.split(|byte| b"\r\n".contains(byte)).next().unwrap_or_default();
        let end = line.windows(DASHES.len()).position(|window| window == DASHES);
        let label = end.and_then(|end| line.get(..end)).unwrap_or_default();
        if label.ends_with(LABEL) {
            found.push((at, label));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn each_certificate_that_begins_is_read_or_the_reason_is_told() {
        let joined = [ONE.trim_end(), ONE].concat();
        let cut = [ONE, &ONE[..40]].concat();
        let cases = [
            (ONE.to_owned(), 1, None),
            (ONE.repeat(2), 2, None),
            (ONE.replace('\n', "\r\n"), 1, None),
            (ONE.replace("-----\n", "----- \n"), 1, None),
            (format!("a note\n{ONE}"), 1, None),
            (ONE.replace("CERTIFICATE", "CERTIFICATE REQUEST"), 0, None),
            (ONE.replace("CERTIFICATE", "PRIVATE KEY"), 0, None),
            (String::new(), 0, None),
            (joined, 1, Some(PemFault::MidLine)),
            (format!("{ONE} {ONE}"), 1, Some(PemFault::MidLine)),
            (ONE.replace('\n', "\n  "), 0, Some(PemFault::MidLine)),
            (format!("\u{feff}{ONE}{ONE}"), 1, Some(PemFault::ByteOrderMark)),
            (ONE.replace("CERT", "X509 CERT"), 0, Some(PemFault::OtherLabel)),
            (ONE.replace("CERT", "TRUSTED CERT"), 0, Some(PemFault::OtherLabel)),
            (cut, 1, Some(PemFault::CutOff)),
            (ONE.replace("AAAA", "?"), 0, Some(PemFault::Damaged)),
        ];
        for (pem, read, expected) in cases {
            assert_eq!(fault(pem.as_bytes(), read), expected, "{pem}");
        }
    }

    #[test]
    fn what_follows_the_certificates_is_whole_too() {
        let parsed = |parsed: &[Result<u8, ()>]| whole(ONE.as_bytes(), parsed.iter().copied());
        assert_eq!(parsed(&[Ok(1)]), Ok(vec![1]));
        assert_eq!(parsed(&[Ok(1), Err(())]), Err(PemFault::Damaged));
        assert_eq!(whole(b"nothing", [Err::<u8, ()>(())].into_iter()), Ok(Vec::new()));
    }
}
