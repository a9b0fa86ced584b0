//! Strings from outside: made safe to show on a terminal or in a line of a log, written as part of
//! an address, held against a pattern.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with every character escaped that could move a cursor, end a line or turn the reading
/// direction. A till's or a provider's string must not write over what stands beside it.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Control characters, line and paragraph separators, invisible and bidirectional format
/// characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends ` key=value`; a value that could be read as something else is quoted.
pub fn push_field(line: &mut String, key: &str, value: &str) {
    let plain = !value.is_empty()
        && value.chars().all(|c| !matches!(c, ' ' | '"' | '=' | '\\') && !is_unsafe(c));
    // Writing to a String cannot fail.
    if plain {
        write!(line, " {key}={value}").unwrap_or_default();
    } else {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(line, " {key}=\"{}\"", escaped(&quoted)).unwrap_or_default();
    }
}

/// A body without a byte order mark before it: some frameworks begin every answer with one, which
/// RFC 8259 lets a parser ignore.
#[must_use]
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Two small hexadecimal digits a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        // Writing to a String cannot fail.
        write!(digits, "{byte:02x}").unwrap_or_default();
        digits
    })
}

/// `text` with each byte as `%XX` that is not plain here.
#[must_use]
pub fn percent_encoded(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(encoded, "%{byte:02X}").unwrap_or_default();
        }
        encoded
    })
}

/// Whether the whole of `text` fits `pattern`, where `*` stands for anything. Each part is looked
/// for once, behind the one before it, so the time is linear in the two lengths.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail));
    let after = |text: &'_ str, part: &str| text.find(part).map(|at| at + part.len());
    let mut left = inner;
    for part in middle.split('*') {
        left = left.and_then(|text| after(text, part).and_then(|at| text.get(at..)));
    }
    left.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_from_outside_moves_the_cursor_or_ends_the_line() {
        let hostile = "till\u{1b}[2J\r\n\u{9b}31m\u{202e}1\u{7f}\u{2028}";
        let shown = escaped(hostile);
        assert!(!shown.chars().any(is_unsafe), "{shown}");
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["Kasse 1", "متجر الرياض", "…7F3Q", "naïve — 100 %"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_value_with_spaces_cannot_pose_as_another_field() {
        let mut line = "down".to_owned();
        push_field(&mut line, "lane", "retm");
        push_field(&mut line, "till", "x state=confirmed");
        push_field(&mut line, "note", "say \"no\"\n\\");
        push_field(&mut line, "empty", "");
        assert_eq!(
            line,
            r#"down lane=retm till="x state=confirmed" note="say \"no\"\n\\" empty="""#
        );
    }

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        let yes = [
            ("SUMMER10", "SUMMER10"),
            ("SUMMER*", "SUMMER10"),
            ("SUMMER*", "SUMMER"),
            ("*10", "SUMMER10"),
            ("*", ""),
            ("*", "x"),
            ("**", "x"),
            ("A*C", "ABC"),
            ("A*C", "AC"),
            ("A*B*C", "AxByC"),
            ("*B*", "ABC"),
            ("a*a", "aa"),
            ("*ab*ab*", "abab"),
            ("ü*ß", "üxß"),
        ];
        for (pattern, code) in yes {
            assert!(fits(pattern, code), "{pattern} {code}");
        }
        let no = [
            ("SUMMER10", "SUMMER100"),
            ("SUMMER*", "xSUMMER"),
            ("*10", "10x"),
            ("a*a", "a"),
            ("A*B*C", "AC"),
            ("summer*", "SUMMER10"),
            ("*ab*ab*", "aba"),
            ("A*", ""),
            ("x", ""),
            ("ab*ba", "aba"),
            ("?", "x"),
        ];
        for (pattern, code) in no {
            assert!(!fits(pattern, code), "{pattern} {code}");
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_match_as_the_plain_definition_says(
            pattern in "[ab*]{0,6}",
            text in "[ab]{0,6}",
        ) {
            let expected = by_definition(pattern.as_bytes(), text.as_bytes());
            proptest::prop_assert_eq!(fits(&pattern, &text), expected);
        }
    }

    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), rest) => {
                by_definition(after, text)
                    || rest.is_some_and(|(_, text)| by_definition(pattern, text))
            }
            (Some((letter, after)), Some((other, text))) => {
                letter == other && by_definition(after, text)
            }
            (Some(_), None) => false,
        }
    }
}
