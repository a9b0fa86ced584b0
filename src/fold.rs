//! Which strings count as the same although they are written differently: codes for guards and
//! repeats, words for rules.
//!
//! Folding never changes what is forwarded: it makes what is compared.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
/// Variation selectors, fillers, and what has no name yet and will leave no mark either.
const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();
/// A mapping may make what the next normalization maps again; no text is known that needs more
/// than three rounds.
const ROUNDS_MAX: usize = 8;

/// A code or a merchant's name as guards and repeats compare it: NFKC, trimmed, what is invisible
/// dropped, case folded, digits of every script as ASCII's, dashes and white space alike.
///
/// What is folded already is borrowed.
#[must_use]
pub fn code(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true if is_folded(text.as_bytes()) => Cow::Borrowed(text),
        true => Cow::Owned(mapped(text.chars())),
        false => Cow::Owned(settled(text, |text| {
            mapped(ComposingNormalizerBorrowed::new_nfkc().normalize(text).chars())
        })),
    }
}

/// Words as rules look for them: as [`code`], and without accents, Arabic and Hebrew marks and
/// tatweel; the variants of an Arabic letter are one.
#[must_use]
pub fn words(text: &str) -> String {
    if text.is_ascii() {
        return mapped(text.chars());
    }
    let normalizer = DecomposingNormalizerBorrowed::new_nfkd();
    settled(text, |text| {
        let bare = normalizer.normalize(text);
        mapped(bare.chars().filter(|c| !is_mark(*c)).map(letter))
    })
}

/// Whether nothing of `text` can be seen.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || is_invisible(c))
}

/// Whether the bytes of an ASCII text are as [`code`] would leave them.
fn is_folded(bytes: &[u8]) -> bool {
    let ends_bare = !bytes.starts_with(b" ") && !bytes.ends_with(b" ");
    let plain = |byte: &u8| matches!(byte, b' '..=b'@' | b'['..=b'~');
    ends_bare && bytes.iter().all(plain) && !bytes.windows(2).any(|pair| pair == b"  ")
}

/// `once` applied until it changes nothing more.
fn settled(text: &str, once: impl Fn(&str) -> String) -> String {
    let mut folded = once(text);
    for _ in 1..ROUNDS_MAX {
        let next = once(&folded);
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

fn mapped(chars: impl Iterator<Item = char>) -> String {
    let mut folded = String::with_capacity(chars.size_hint().0);
    for c in chars {
        push(&mut folded, c);
    }
    folded.truncate(folded.trim_end_matches(' ').len());
    folded
}

fn push(folded: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_control() && c != ' ' {
        folded.push(c.to_ascii_lowercase());
    } else if c.is_whitespace() {
        if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    } else if is_dash(c) {
        folded.push('-');
    } else if let Some(digit) = digit(c) {
        folded.push(digit);
    } else if !is_invisible(c) {
        push_case_folded(folded, c);
    }
}

/// Upper case first: it makes one of what has several lower cases (`ß` and `ss`, both sigmas, the
/// Turkish `ı`).
fn push_case_folded(folded: &mut String, c: char) {
    for folded_c in c.to_uppercase().flat_map(char::to_lowercase) {
        // The dot that the Turkish capital İ leaves behind.
        if folded_c != '\u{307}' || !folded.ends_with('i') {
            folded.push(folded_c);
        }
    }
}

/// Dashes of every kind, and what is typed for them.
fn is_dash(c: char) -> bool {
    CATEGORY.get(c) == GeneralCategory::DashPunctuation
        || matches!(c, '\u{2d7}' | '\u{2043}' | '\u{2212}' | '\u{2796}')
}

/// A decimal digit of any script as ASCII's. Unicode keeps each script's ten together and in their
/// order.
fn digit(c: char) -> Option<char> {
    let is_digit = |number: u32| CATEGORY.get32(number) == GeneralCategory::DecimalNumber;
    let number = u32::from(c);
    if !is_digit(number) {
        return None;
    }
    let before = (1..=number).take_while(|back| is_digit(number - back)).count();
    char::from_digit(u32::try_from(before % 10).ok()?, 10)
}

/// What leaves no mark on paper and is no white space: control and format characters, all that
/// Unicode says is to be ignored where it cannot be shown, the empty Braille cell and the note
/// without a head. The signs that Unicode calls format but that are seen (number signs of Arabic,
/// Syriac and Kaithi) stay.
fn is_invisible(c: char) -> bool {
    const SEEN: [char; 6] = ['\u{6dd}', '\u{70f}', '\u{890}', '\u{891}', '\u{8e2}', '\u{110bd}'];
    let is_format = matches!(CATEGORY.get(c), GeneralCategory::Control | GeneralCategory::Format);
    let is_seen = SEEN.contains(&c) || matches!(c, '\u{600}'..='\u{605}' | '\u{110cd}');
    let is_empty = matches!(c, '\u{2800}' | '\u{1d159}');
    IGNORABLE.contains(c) || is_empty || is_format && !is_seen
}

/// Accents, Hebrew points, Arabic vowel marks and the tatweel: written or not, the word is the
/// same.
fn is_mark(c: char) -> bool {
    let is_accent = matches!(c, '\u{300}'..='\u{36f}');
    let is_point = matches!(
        c,
        '\u{591}'
            ..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
    );
    let is_vowel =
        matches!(c, '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}');
    let is_koranic =
        matches!(c, '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}');
    let is_extended = matches!(c, '\u{8d3}'..='\u{8e1}' | '\u{8e3}'..='\u{8ff}');
    is_accent || is_point || is_vowel || is_koranic || is_extended
}

/// One letter for those that people and keyboards put in each other's place. Letters with a hamza
/// have lost it by now.
fn letter(c: char) -> char {
    match c {
        '\u{671}' => '\u{627}',
        '\u{649}' | '\u{6cc}' | '\u{6d2}' => '\u{64a}',
        '\u{629}' | '\u{6be}' | '\u{6c1}' | '\u{6c3}' | '\u{6d5}' => '\u{647}',
        '\u{6a9}' => '\u{643}',
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Without the fast path.
    fn slow(text: &str) -> String {
        settled(text, |text| {
            mapped(ComposingNormalizerBorrowed::new_nfkc().normalize(text).chars())
        })
    }

    #[test]
    fn one_code_in_other_clothes_is_one_code() {
        let plain = "ab-12 34";
        for dressed in [
            "AB-12 34",
            " ab-12 34 ",
            "ab-12\u{a0}34",
            "\u{3000}ab-12\u{2009} 34\t",
            "a\u{200b}b-12 34",
            "\u{200e}ab-12 34\u{200f}",
            "\u{202a}ab\u{2066}-12 34\u{2069}\u{202c}",
            "\u{feff}ab-12 34",
            "a\u{ad}b-12 34\u{fe0f}",
            "ab-12 34\u{e0041}\u{e007f}",
            "a\u{34f}b\u{180e}-12 34\u{61c}",
            "ＡＢ－１２　３４",
            "ab-١٢ ٣٤",
            "ab-۱۲ ۳۴",
            "ab-१२ ३४",
            "ab-𝟏𝟐 𝟛𝟜",
            "ab-①② ³⁴",
            "ab\u{2010}12 34",
            "ab\u{2011}12 34",
            "ab\u{2013}12 34",
            "ab\u{2014}12 34",
            "ab\u{2212}12 34",
            "ab\u{fe63}12 34",
            "ab\u{5be}12 34",
        ] {
            assert_eq!(code(dressed), plain, "{}", dressed.escape_unicode());
        }
    }

    #[test]
    fn other_codes_stay_other_codes() {
        let codes =
            ["ab12", "ab-12", "ab_12", "ab 12", "ab13", "a6", "äb12", "аb12", "ab.12", "ab12x"];
        for (at, one) in codes.iter().enumerate() {
            for other in &codes[at + 1..] {
                assert_ne!(code(one), code(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn case_is_folded_in_every_script() {
        for (one, other) in [
            ("STRASSE", "straße"),
            ("STRAẞE", "straße"),
            ("ΣΟΦΟΣ", "σοφος"),
            ("ИВАН", "иван"),
            ("İSTANBUL", "istanbul"),
            ("ısparta", "ISPARTA"),
            ("É", "e\u{301}"),
            ("ﬁ", "FI"),
            ("Å", "å"),
            ("ꭰ", "Ꭰ"),
        ] {
            assert_eq!(code(one), code(other), "{one} {other}");
        }
    }

    #[test]
    fn words_are_told_whatever_their_marks_and_variants() {
        for (one, other) in [
            ("تم استخدام", "تَمَّ اِسْتِخْدَام"),
            ("تم استخدام", "تـم استخـــدام"),
            ("الى", "إلي"),
            ("مسبقا", "مسبقًا"),
            ("أخرى", "اخري"),
            ("المكافأة", "المكافاه"),
            ("القسيمة مستعملة", "القسيمه\u{200f}  مستعمله"),
            ("ﺗﻢ", "تم"),
            ("مستهلک", "مستهلك"),
            ("HAS\u{a0}been \n Used", "has been used"),
            ("déjà utilisé", "DEJA UTILISE"),
            ("can’t", "can't"),
            ("schon eingelöst", "SCHON EINGELOST"),
        ] {
            assert_eq!(words(one), words(other), "{one} {other}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_blank_and_what_can_is_not() {
        let unseen = ["", " ", "\u{a0}", "\u{200b}\u{200f}", "\u{feff}", "\u{ad}", "\u{2800}"];
        let more = ["\u{3164}", "\u{fe0f}", "\u{e0020}", "\u{2028}\t", "\u{115f}\u{3000}"];
        let rare = ["\u{2065}", "\u{fff0}", "\u{1d159}", "\u{180b}", "\u{ffa0}", "\u{e0fff}"];
        for blank in unseen.into_iter().chain(more).chain(rare) {
            assert!(is_blank(blank) && code(blank).is_empty(), "{}", blank.escape_unicode());
        }
        for seen in ["0", "-", ".", "\u{600}", "é", "٠", "\u{200b}x"] {
            assert!(!is_blank(seen), "{}", seen.escape_unicode());
        }
    }

    #[test]
    fn the_digits_of_every_script_are_ten_each_and_in_their_order() {
        let digits: Vec<(u32, char)> = ('\u{80}'..=char::MAX)
            .filter_map(|c| digit(c).map(|value| (u32::from(c), value)))
            .collect();
        assert!(digits.len() >= 660 && digits.len().is_multiple_of(10), "{}", digits.len());
        for ten in digits.chunks(10) {
            let first = ten[0].0;
            for ((number, value), expected) in ten.iter().zip(0..) {
                assert_eq!((*number, value.to_digit(10)), (first + expected, Some(expected)));
            }
        }
        let zeros = ['٠', '۰', '०', '๐', '０', '𝟬', '\u{1e950}'];
        assert!(zeros.into_iter().all(|zero| digit(zero) == Some('0')));
    }

    #[test]
    fn what_is_folded_already_is_borrowed() {
        for text in ["", "9876543210", "abc-7f3q", "a b", "summer10!"] {
            assert!(matches!(code(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    fn dressed() -> impl Strategy<Value = String> {
        let odd = "[aAßẞİıΣς\u{301}\u{307}\u{345}\u{b4}\u{200d}\u{1160}\u{1161}\u{fe0f}ﬁ٣⑩\u{2011}\u{a0} 가]{0,12}";
        prop_oneof![any::<String>(), odd, "[ -~\t]{0,20}"]
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in dressed()) {
            let once = code(&text).into_owned();
            prop_assert_eq!(code(&once), once.as_str());
            let once = words(&text);
            prop_assert_eq!(words(&once), once);
        }

        #[test]
        fn the_fast_path_is_the_slow_one(text in "[\\x00-\\x7f]{0,40}") {
            prop_assert_eq!(code(&text), slow(&text));
            prop_assert_eq!(words(&text), slow(&text));
        }

        #[test]
        fn what_is_blank_folds_to_nothing(text in dressed()) {
            prop_assert!(!is_blank(&text) || code(&text).is_empty());
        }
    }
}
