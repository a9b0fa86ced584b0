//! Words of the API that stand as parameters in sentences, in both languages.

use std::borrow::Cow;

use super::language::Language;

/// A state's word; one that is not known stands as it is.
#[must_use]
pub fn state(word: &str, language: Language) -> Cow<'_, str> {
    let arabic = match word {
        "pending" => "قيد الانتظار",
        "confirmed" => "مؤكدة",
        "declined" => "مرفوضة",
        "parked" => "معلّقة بانتظار قرار",
        "voided" => "ملغاة",
        other => return Cow::Owned(language.isolated(other)),
    };
    match language {
        Language::English => Cow::Borrowed(word),
        Language::Arabic => Cow::Borrowed(arabic),
    }
}

/// How a late attempt ended.
pub(super) fn verdict(word: &str) -> Cow<'_, str> {
    match word {
        "confirmed" => "أكّدها المزوّد".into(),
        "declined" => "رفضها المزوّد".into(),
        "parked" => "أجاب المزوّد بما لا يُفهم".into(),
        "no verdict" => "بلا حكم".into(),
        other => Language::Arabic.isolated(other).into(),
    }
}

/// A kind of a JSON value, as the contract's parser names it.
pub(super) fn kind(word: &str) -> Cow<'_, str> {
    match word {
        "null" => "قيمة null".into(),
        "a boolean" => "قيمة منطقية".into(),
        "a number" => "رقمًا".into(),
        "a string" => "نصًا".into(),
        "an array" => "مصفوفة".into(),
        "an object" => "كائنًا".into(),
        other => Language::Arabic.isolated(other).into(),
    }
}

/// A code, an id or a name in an Arabic sentence.
pub(super) fn iso(text: impl std::fmt::Display) -> String {
    Language::Arabic.isolated(text)
}

/// An Arabic text with each part between backquotes, such as a command, isolated together with them.
pub(super) fn quoted_isolated(text: &str) -> String {
    let part = |(at, part): (usize, &str)| if at % 2 == 0 { part.to_owned() } else { iso(format!("`{part}`")) };
    text.split('`').enumerate().map(part).collect()
}
