//! Who holds a lane and why: the words that are kept with a hold, and what people read of them.

use super::language::Language;

const HELD_BY: &str = "held by ";
const TRUSTING: &str = ", tills are trusted meanwhile";
const WHY: &str = ": ";
const BESIDES: &str = "; held besides (";

/// What is kept and shown with an operator's hold.
#[must_use]
pub fn held_by(by: &str, note: &str, trust: bool) -> String {
    let trusting = if trust { TRUSTING } else { "" };
    let why = if note.is_empty() { "" } else { WHY };
    format!("{HELD_BY}{by}{trusting}{why}{note}")
}

/// What is shown of a hold, with another that stands behind it.
#[must_use]
pub fn held_besides(words: &str, (cause, detail): (&str, &str)) -> String {
    format!("{words}{BESIDES}{cause}): {detail}")
}

/// Who holds it and, where it was said, why; from the words of [`held_by`].
#[must_use]
pub fn who_holds(words: &str, language: Language) -> Option<String> {
    let words = words.strip_prefix(HELD_BY)?;
    let words = words.rsplit_once(BESIDES).map_or(words, |(words, _)| words);
    let (who, note) = words.split_once(WHY).unwrap_or((words, ""));
    let who = language.isolated(who.strip_suffix(TRUSTING).unwrap_or(who));
    let note = (!note.is_empty()).then(|| language.isolated(note));
    Some(note.map_or(who.clone(), |note| format!("{who}{WHY}{note}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lane_and_why_is_read_from_what_is_kept() {
        for (by, note, trust, told) in [
            ("eng", "stocktaking: shelf 4", false, "eng: stocktaking: shelf 4"),
            ("eng", "stocktaking", true, "eng: stocktaking"),
            ("eng", "", true, "eng"),
            ("eng", "", false, "eng"),
        ] {
            let read = who_holds(&held_by(by, note, trust), Language::English);
            assert_eq!(read.as_deref(), Some(told));
        }
        let two = held_besides(&held_by("eng", "stocktaking", false), ("declines", "10 declined"));
        assert_eq!(two, "held by eng: stocktaking; held besides (declines): 10 declined");
        assert_eq!(who_holds(&two, Language::English).as_deref(), Some("eng: stocktaking"));
        let arabic = who_holds(&held_by("eng", "\u{202e}a", false), Language::Arabic);
        assert_eq!(arabic.as_deref(), Some("\u{2068}eng\u{2069}: \u{2068}a\u{2069}"));
        assert_eq!(who_holds("connection refused", Language::English), None);
    }
}
