//! Strings from outside, made safe to show on a terminal or in a line of a log.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with every character escaped that could move a cursor, end a line or turn the reading direction. A till's
/// or a provider's string must not write over what stands beside it.
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

/// Control characters, line and paragraph separators, invisible and bidirectional format characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends ` key=value`; a value that could be read as something else is quoted.
pub fn push_field(line: &mut String, key: &str, value: &str) {
    let plain = !value.is_empty() && value.chars().all(|c| !matches!(c, ' ' | '"' | '=' | '\\') && !is_unsafe(c));
    // Writing to a String cannot fail.
    if plain {
        write!(line, " {key}={value}").unwrap_or_default();
    } else {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(line, " {key}=\"{}\"", escaped(&quoted)).unwrap_or_default();
    }
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
        assert_eq!(line, r#"down lane=retm till="x state=confirmed" note="say \"no\"\n\\" empty="""#);
    }
}
