//! Which lane serves a business, and which reward codes are reusable.

use super::types::{Provider, Settings};
use crate::redemption::RewardCode;

impl Settings {
    /// The provider that serves `business`: the one that lists it, else the one that lists none.
    #[must_use]
    pub fn lane_for(&self, business: &str) -> Option<&Provider> {
        let listed = self.providers.iter().find(|provider| provider.businesses.iter().any(|own| own == business));
        listed.or_else(|| self.providers.iter().find(|provider| provider.businesses.is_empty()))
    }
}

impl Provider {
    /// Whether `code` may be redeemed again and again: it fits one of `reusable_codes`.
    #[must_use]
    pub fn is_reusable(&self, code: &RewardCode) -> bool {
        self.reusable_codes.iter().any(|pattern| fits(pattern, code.reveal()))
    }
}

/// Whether the whole of `text` fits `pattern`, where `*` stands for anything. Each part is looked for once, behind the
/// one before it, so the time is linear in the two lengths.
fn fits(pattern: &str, text: &str) -> bool {
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
        fn patterns_match_as_the_plain_definition_says(pattern in "[ab*]{0,6}", text in "[ab]{0,6}") {
            proptest::prop_assert_eq!(fits(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }
    }

    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), rest) => {
                by_definition(after, text) || rest.is_some_and(|(_, text)| by_definition(pattern, text))
            }
            (Some((letter, after)), Some((other, text))) => letter == other && by_definition(after, text),
            (Some(_), None) => false,
        }
    }
}
