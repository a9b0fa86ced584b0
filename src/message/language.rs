//! The two languages, their plural forms, and how a foreign string stands in a sentence of either.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a text is read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Left to right; what tills hear unless they ask for another.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Right to left.
    #[serde(rename = "ar")]
    Arabic,
}

/// The categories of the Unicode CLDR (its chart "Language Plural Rules"), cardinals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plural {
    /// Arabic: none.
    Zero,
    /// One.
    One,
    /// Arabic: two, which has a form of its own.
    Two,
    /// Arabic: what ends in 03 to 10.
    Few,
    /// Arabic: what ends in 11 to 99.
    Many,
    /// Everything else.
    Other,
}

/// It is neither `en` nor `ar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the languages are en and ar")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL
            .into_iter()
            .find(|language| language.code().eq_ignore_ascii_case(text))
            .ok_or(UnknownLanguage)
    }
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Arabic];

    /// `en` or `ar`: for `lang=`, `Content-Language` and a cookie.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
        }
    }

    /// `ltr` or `rtl`: for `dir=`.
    #[must_use]
    pub fn direction(self) -> &'static str {
        match self {
            Self::English => "ltr",
            Self::Arabic => "rtl",
        }
    }

    /// The language that an `Accept-Language` header likes best (RFC 9110, section 12.5.4), English
    /// where it names neither. Of two that it likes alike the first counts.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (Self::default(), 0);
        for part in header.split(',') {
            let mut parameters = part.split(';').map(str::trim);
            let range = parameters.next().unwrap_or_default();
            let language = range.split('-').next().unwrap_or_default().parse();
            let weight = parameters
                .find_map(|text| text.strip_prefix("q=").or_else(|| text.strip_prefix("Q=")));
            let thousandths = weight.map_or(Some(1000), thousandths).unwrap_or(0);
            if let Ok(language) = language
                && thousandths > best.1
            {
                best = (language, thousandths);
            }
        }
        best.0
    }

    /// Which form of a noun `number` takes.
    #[must_use]
    pub fn plural(self, number: u64) -> Plural {
        match (self, number, number % 100) {
            (_, 1, _) => Plural::One,
            (Self::Arabic, 0, _) => Plural::Zero,
            (Self::Arabic, 2, _) => Plural::Two,
            (Self::Arabic, _, 3..=10) => Plural::Few,
            (Self::Arabic, _, 11..=99) => Plural::Many,
            (Self::English | Self::Arabic, ..) => Plural::Other,
        }
    }

    /// A code, an id, a name or a sentence of somebody else's, as it stands in a text of this
    /// language: between U+2068 and U+2069 in an Arabic one, so that neither turns the other's
    /// order. What could turn it all the same, end a line or move a cursor is left out.
    #[must_use]
    pub fn isolated(self, text: impl Display) -> String {
        let plain: String = text.to_string().chars().filter(|c| !turns_or_moves(*c)).collect();
        match self {
            Self::English => plain,
            Self::Arabic => format!("\u{2068}{plain}\u{2069}"),
        }
    }
}

/// A weight of RFC 9110, section 12.4.2, in thousandths: `0`, `1`, or with at most three digits
/// after the point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = format!("{part:0<3}").parse::<u32>().ok().filter(|_| is_digits)?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

/// Controls, line ends, and the marks that turn the reading direction.
fn turns_or_moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use Plural::{Few, Many, One, Other, Two, Zero};

    #[test]
    fn a_header_chooses_by_its_weights_and_english_stands_in() {
        let arabic = [
            "ar",
            "AR-SA",
            "ar-EG,en;q=0.9",
            "en;q=0.5, ar;q=0.501",
            "fr, ar;q=0.1",
            "en;q=0, ar;q=0.001",
        ];
        for header in arabic {
            assert_eq!(Language::from_accept_language(header), Language::Arabic, "{header}");
        }
        let english = [
            "",
            "*",
            "fr",
            "en, ar",
            "ar;q=0",
            "ar;q=2",
            "ar;q=0.1234",
            "ar;q=x",
            "arz",
            "en;q=0.2,ar;q=0.2",
        ];
        for header in english {
            assert_eq!(Language::from_accept_language(header), Language::English, "{header}");
        }
    }

    #[test]
    fn a_language_is_named_by_its_two_letters() {
        assert_eq!("ar".parse(), Ok(Language::Arabic));
        assert_eq!("EN".parse(), Ok(Language::English));
        assert_eq!("arabic".parse::<Language>(), Err(UnknownLanguage));
        assert_eq!(Language::Arabic.direction(), "rtl");
    }

    #[test]
    fn the_plural_forms_are_those_of_the_cldr() {
        let of = |language: Language, numbers: &[u64]| -> Vec<Plural> {
            numbers.iter().map(|number| language.plural(*number)).collect()
        };
        assert_eq!(of(Language::English, &[0, 1, 2, 11, 101]), [Other, One, Other, Other, Other]);
        let arabic = of(
            Language::Arabic,
            &[0, 1, 2, 3, 10, 11, 99, 100, 101, 102, 103, 110, 111, 1000, u64::MAX],
        );
        let expected = [
            Zero, One, Two, Few, Few, Many, Many, Other, Other, Other, Few, Few, Many, Other, Many,
        ];
        assert_eq!(arabic, expected);
    }

    #[test]
    fn a_foreign_string_cannot_leave_its_isolation() {
        assert_eq!(Language::Arabic.isolated("a\u{2069}\u{202e}b\n\u{1b}c"), "\u{2068}abc\u{2069}");
        assert_eq!(Language::English.isolated("41-ab"), "41-ab");
    }
}
