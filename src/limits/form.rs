//! Whether a code has the form that the settings ask for, character by character as it came.

use crate::settings::{Alphabet, CheckDigit, CodeForm};

/// Whether `code` has this form.
#[must_use]
pub fn has_form(code: &str, form: CodeForm) -> bool {
    let (least, most) = form.length;
    let chars = code.chars().count();
    let fits = (usize::from(least)..=usize::from(most)).contains(&chars);
    fits && code.chars().all(|c| is_of(c, form.alphabet))
        && form.check.is_none_or(|check| checks(code, check))
}

fn is_of(c: char, alphabet: Alphabet) -> bool {
    match alphabet {
        Alphabet::Any => true,
        Alphabet::Digits => c.is_ascii_digit(),
        Alphabet::Hex => c.is_ascii_hexdigit(),
        Alphabet::Letters => c.is_ascii_alphabetic(),
        Alphabet::Alphanumeric => c.is_ascii_alphanumeric(),
    }
}

fn checks(code: &str, check: CheckDigit) -> bool {
    match check {
        CheckDigit::Luhn => weighed(code, luhn),
        CheckDigit::Gs1 => weighed(code, |digit, is_odd| if is_odd { digit * 3 } else { digit }),
        // Its two digits are no code by themselves.
        CheckDigit::Mod97 => code.len() > 2 && mod97(code) == Some(1),
    }
}

/// Twice each second digit, its own digits added up (ISO/IEC 7812-1, annex B).
fn luhn(digit: u32, is_odd: bool) -> u32 {
    match (is_odd, digit) {
        (false, _) => digit,
        (true, 0..=4) => digit * 2,
        (true, _) => digit * 2 - 9,
    }
}

/// Whether two digits and more, weighed from the last on, add up to a multiple of ten.
fn weighed(code: &str, weigh: fn(u32, bool) -> u32) -> bool {
    let mut sum = 0;
    for (place, c) in code.chars().rev().enumerate() {
        let Some(digit) = c.to_digit(10) else { return false };
        sum += weigh(digit, place % 2 == 1);
    }
    code.len() >= 2 && sum % 10 == 0
}

/// What is left of the number modulo 97 (ISO/IEC 7064); letters are 10 to 35.
fn mod97(code: &str) -> Option<u32> {
    code.chars().try_fold(0, |left: u32, c| {
        let value = c.to_digit(36)?;
        let shift = if value < 10 { 10 } else { 100 };
        Some((left * shift + value) % 97)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(length: (u16, u16), alphabet: Alphabet, check: Option<CheckDigit>) -> CodeForm {
        CodeForm { length, alphabet, check }
    }

    #[test]
    fn length_and_alphabet_hold_character_by_character() {
        let digits = form((10, 12), Alphabet::Digits, None);
        for (code, expected) in [
            ("1234567890", true),
            ("123456789012", true),
            ("123456789", false),
            ("1234567890123", false),
            ("123456789A", false),
            ("١٢٣٤٥٦٧٨٩٠", false),
        ] {
            assert_eq!(has_form(code, digits), expected, "{code}");
        }
        for (alphabet, yes, no) in [
            (Alphabet::Hex, "09afAF", "g"),
            (Alphabet::Letters, "azAZ", "1"),
            (Alphabet::Alphanumeric, "aZ09", "-"),
            (Alphabet::Any, "-é", ""),
        ] {
            assert!(has_form(yes, form((1, 9), alphabet, None)), "{yes}");
            assert!(!has_form(no, form((1, 9), alphabet, None)), "{no}");
        }
    }

    #[test]
    fn check_digits_are_those_of_their_standards() {
        for (check, good, bad) in [
            (CheckDigit::Luhn, "79927398713", "79927398710"),
            (CheckDigit::Luhn, "4111111111111111", "4111111111111112"),
            (CheckDigit::Gs1, "4006381333931", "4006381333932"),
            (CheckDigit::Gs1, "73513537", "73513536"),
            (CheckDigit::Mod97, "3214282912345698765432161182", "3214282912345698765432161183"),
            (CheckDigit::Mod97, "79444", "79445"),
            (CheckDigit::Mod97, "1z81", "1"),
            (CheckDigit::Luhn, "00", "0"),
        ] {
            assert!(has_form(good, form((1, 64), Alphabet::Any, Some(check))), "{check:?} {good}");
            assert!(!has_form(bad, form((1, 64), Alphabet::Any, Some(check))), "{check:?} {bad}");
        }
        assert!(!has_form("A-1", form((1, 64), Alphabet::Any, Some(CheckDigit::Mod97))));
    }
}
