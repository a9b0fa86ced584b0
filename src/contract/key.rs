//! A till's own name for its request: the header `Idempotency-Key`.

use crate::message::Fault;

/// The header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key.
const KEY_BYTES_MAX: usize = 256;

/// The key in the header's `values`, or what is wrong with it; `None`: there is no such header.
///
/// # Errors
/// There are several, or the one is not 1 to 256 visible ASCII characters.
pub fn key<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<&'a str>, Fault> {
    let mut all = values.into_iter();
    let Some(bytes) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Fault::KeyTwice);
    }
    let is_good =
        (1..=KEY_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    let fault = || Fault::KeyForm { chars_max: u64::try_from(KEY_BYTES_MAX).unwrap_or(u64::MAX) };
    std::str::from_utf8(bytes).ok().filter(|_| is_good).map(Some).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_header_of_visible_ascii() {
        let long = "k".repeat(256);
        assert_eq!(key([]), Ok(None));
        for good in ["a!~", &long] {
            assert_eq!(key([good.as_bytes()]), Ok(Some(good)));
        }
        for bad in ["", "a b", "é", &format!("{long}k")] {
            let fault = key([bad.as_bytes()]);
            assert!(matches!(fault, Err(Fault::KeyForm { chars_max: 256 })), "{bad}");
        }
        assert_eq!(key([&b"\xff"[..]]), Err(Fault::KeyForm { chars_max: 256 }));
        assert_eq!(key([&b"a"[..], b"a"]), Err(Fault::KeyTwice));
    }
}
