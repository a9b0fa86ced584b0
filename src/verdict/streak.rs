//! What kind of refusal it is: a misdeployed provider says the same of every code, with another
//! code in it.

use crate::fold;
use crate::redemption::RewardCode;

/// Stands for what was masked; one for each run.
const MASK: char = '#';
/// A hexadecimal run is somebody's number from so many digits on, if one of them is a decimal one.
const HEX_RUN_MIN: usize = 6;
/// Where a UUID has its dashes.
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];
/// A code so short may be a word's part: it is masked as a whole word alone.
const SHORT_CODE_CHARS: usize = 4;

/// `message` folded, with the row's own code, UUIDs, hexadecimal runs and digits of every script
/// masked. Two refusals are alike if they are equal so.
#[must_use]
pub fn masked(message: &str, code: &RewardCode) -> String {
    let folded = fold::code(message);
    let bare = with_in_codes_place(&folded, &code.folded(), "#");
    let chars: Vec<char> = bare.chars().collect();
    let mut shown = String::with_capacity(bare.len());
    let mut rest = chars.as_slice();
    while let Some(first) = rest.first() {
        let masked = run_to_mask(rest);
        if masked == 0 {
            shown.push(*first);
        } else if !shown.ends_with(MASK) {
            shown.push(MASK);
        }
        rest = rest.get(masked.max(1)..).unwrap_or_default();
    }
    shown
}

/// How many characters at the head of `text` are to be masked as one.
fn run_to_mask(text: &[char]) -> usize {
    let hex = run(text, char::is_ascii_hexdigit);
    let has_digit = text.iter().take(hex).any(char::is_ascii_digit);
    match uuid(text) {
        Some(chars) => chars,
        None if hex >= HEX_RUN_MIN && has_digit => hex,
        None if text.first() == Some(&MASK) => 1,
        None => run(text, char::is_ascii_digit),
    }
}

fn run(text: &[char], belongs: impl Fn(&char) -> bool) -> usize {
    text.iter().take_while(|c| belongs(c)).count()
}

fn uuid(text: &[char]) -> Option<usize> {
    let mut at = 0;
    for (place, part) in UUID_PARTS.into_iter().enumerate() {
        if place > 0 {
            (text.get(at) == Some(&'-')).then_some(())?;
            at += 1;
        }
        text.get(at..at + part)?.iter().all(char::is_ascii_hexdigit).then_some(())?;
        at += part;
    }
    Some(at)
}

/// `text` with `stand_in` wherever the code is in it; both are folded.
pub(super) fn with_in_codes_place(text: &str, code: &str, stand_in: &str) -> String {
    let is_short = code.chars().count() < SHORT_CODE_CHARS;
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in text.match_indices(code).filter(|_| !code.is_empty()) {
        let (before, after) =
            (text.get(..at).unwrap_or_default(), text.get(at + found.len()..).unwrap_or_default());
        if is_short
            && (before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric))
        {
            continue;
        }
        shown.push_str(text.get(from..at).unwrap_or_default());
        shown.push_str(stand_in);
        from = at + found.len();
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(message: &str, code: &str) -> String {
        masked(message, &RewardCode::new(code.to_owned()))
    }

    #[test]
    fn one_refusal_of_many_codes_is_one_kind() {
        let long = "0f8fad5b-d9cb-469f-a165-70867728950e";
        for alike in [
            [
                ("Reward ABCD-EFGH not found", "ABCD-EFGH"),
                ("Reward wxyz-qrst not found", "WXYZ-QRST"),
            ],
            [("Reward X-1 not found", "X-1"), ("Reward Y-27 not found", "Y-27")],
            [("Reward ab not valid", "ab"), ("Reward cd not valid", "cd")],
            [("Reward ＡＢＣＤ not found", "abcd"), ("reward  efgh\u{200f} not found ", "EFGH")],
            [("no such order 17", "a"), ("no such order 4711", "b")],
            [("رقم الطلب ١٧ غير موجود", "a"), ("رقم الطلب ٤٧١١ غير موجود", "b")],
            [
                ("ref 0F8FAD5B-D9CB-469F-A165-70867728950E", "a"),
                ("ref 7c9e6679-7425-40de-944b-e07fc1f90ae7", "b"),
            ],
            [("trace deadbeef01: bad", "a"), ("trace 7fed00c: bad", "b")],
            [("at 2026-11-23 10:00:00", "a"), ("at 2026-1-2 9:30:01", "b")],
            [("no such business", "a"), ("No such  business", "b")],
            [(long, long), ("7", "7")],
        ] {
            let [one, other] = alike.map(|(message, code)| kind(message, code));
            assert_eq!(one, other, "{alike:?}");
        }
    }

    #[test]
    fn other_refusals_are_other_kinds() {
        let said = [
            "Reward X-1 not found",
            "Reward X-1 has expired",
            "Reward not found",
            "Reward X-1 is not for this branch",
            "defaced",
            "facade",
            "المكافأة غير موجودة",
            "",
        ];
        for (at, one) in said.iter().enumerate() {
            for other in &said[at + 1..] {
                assert_ne!(kind(one, "X-1"), kind(other, "X-1"), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_short_code_is_no_part_of_a_word() {
        assert_eq!(kind("reward re is gone", "re"), "reward # is gone");
        assert_eq!(kind("reward", "a"), "reward");
        assert_eq!(kind("RewardABCD!", "abcd"), "reward#!");
    }

    proptest! {
        #[test]
        fn a_code_never_shows_in_its_kind(
            code in "[G-Z]{4,12}",
            before in "[g-z ]{0,9}",
            after in "[g-z ]{0,9}",
        ) {
            let shown = kind(&format!("{before} {code}{after}"), &code);
            prop_assert!(!shown.contains(&code.to_lowercase()), "{shown}");
        }

        #[test]
        fn numbers_make_no_other_kind(one: u64, other: u64) {
            prop_assert_eq!(kind(&format!("order {one} \
                failed"), "x"), kind(&format!("order {other} failed"), "x"));
        }
    }
}
