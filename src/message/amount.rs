//! Counts and durations in words: each noun in the form that its number asks for.
//!
//! Digits are 0 to 9 in both languages: a figure in a sentence is the same as on the receipt and in
//! the API.

use std::time::Duration;

use super::language::{Language, Plural};
use crate::value::Amount;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// One sixtieth of a minute.
    Second,
    /// Sixty seconds.
    Minute,
    /// Sixty minutes.
    Hour,
    /// 24 hours.
    Day,
    /// A till's request to redeem.
    Redemption,
    /// What a customer gets.
    Reward,
    /// What a customer shows.
    Code,
    /// What waits for a person.
    Case,
    /// Something asked, by a till or by an operator.
    Request,
    /// Eight bits.
    Byte,
    /// Of nesting.
    Level,
}

/// Where the counted noun stands in an Arabic sentence; English knows no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NounPlace {
    /// It is the subject, or stands alone.
    Subject,
    /// It follows a verb or a preposition.
    Object,
}

/// One and more.
struct English(&'static str, &'static str);

/// The Arabic noun in its forms: none, one, two (as a subject, else), 3 to 10, 11 to 99, hundreds.
struct Arabic {
    zero: &'static str,
    one: &'static str,
    two: [&'static str; 2],
    few: &'static str,
    many: &'static str,
    other: &'static str,
}

impl Noun {
    fn english(self) -> English {
        match self {
            Self::Second => English("second", "seconds"),
            Self::Minute => English("minute", "minutes"),
            Self::Hour => English("hour", "hours"),
            Self::Day => English("day", "days"),
            Self::Redemption => English("redemption", "redemptions"),
            Self::Reward => English("reward", "rewards"),
            Self::Code => English("code", "codes"),
            Self::Case => English("case", "cases"),
            Self::Request => English("request", "requests"),
            Self::Byte => English("byte", "bytes"),
            Self::Level => English("level", "levels"),
        }
    }

    fn arabic(self) -> Arabic {
        let (two, few, many, other, one) = match self {
            Self::Second => (["ثانيتان", "ثانيتين"], "ثوانٍ", "ثانية", "ثانية", "ثانية واحدة"),
            Self::Minute => (["دقيقتان", "دقيقتين"], "دقائق", "دقيقة", "دقيقة", "دقيقة واحدة"),
            Self::Hour => (["ساعتان", "ساعتين"], "ساعات", "ساعة", "ساعة", "ساعة واحدة"),
            Self::Day => (["يومان", "يومين"], "أيام", "يومًا", "يوم", "يوم واحد"),
            Self::Redemption => (
                ["عمليتا استبدال", "عمليتي استبدال"],
                "عمليات استبدال",
                "عملية استبدال",
                "عملية استبدال",
                "عملية استبدال واحدة",
            ),
            Self::Reward => {
                (["مكافأتان", "مكافأتين"], "مكافآت", "مكافأة", "مكافأة", "مكافأة واحدة")
            }
            Self::Code => (["رمزان", "رمزين"], "رموز", "رمزًا", "رمز", "رمز واحد"),
            Self::Case => (["حالتان", "حالتين"], "حالات", "حالة", "حالة", "حالة واحدة"),
            Self::Request => (["طلبان", "طلبين"], "طلبات", "طلبًا", "طلب", "طلب واحد"),
            Self::Byte => (["بايتان", "بايتين"], "بايتات", "بايتًا", "بايت", "بايت واحد"),
            Self::Level => (["مستويان", "مستويين"], "مستويات", "مستوى", "مستوى", "مستوى واحد"),
        };
        Arabic { zero: other, one, two, few, many, other }
    }
}

/// `number` of `noun`, where it is a subject or stands alone: "1,204 redemptions", "عمليتا
/// استبدال".
#[must_use]
pub fn count(number: u64, noun: Noun, language: Language) -> String {
    count_in(NounPlace::Subject, number, noun, language)
}

/// As [`count`], for a place in the sentence.
#[must_use]
pub fn count_in(place: NounPlace, number: u64, noun: Noun, language: Language) -> String {
    let figure = grouped(number);
    let plural = language.plural(number);
    if language == Language::English {
        let English(one, other) = noun.english();
        return format!("{figure} {}", if plural == Plural::One { one } else { other });
    }
    let forms = noun.arabic();
    let [subject, object] = forms.two;
    match (plural, place) {
        (Plural::One, _) => forms.one.to_owned(),
        (Plural::Two, NounPlace::Subject) => subject.to_owned(),
        (Plural::Two, NounPlace::Object) => object.to_owned(),
        (Plural::Zero, _) => format!("{figure} {}", forms.zero),
        (Plural::Few, _) => format!("{figure} {}", forms.few),
        (Plural::Many, _) => format!("{figure} {}", forms.many),
        (Plural::Other, _) => format!("{figure} {}", forms.other),
    }
}

/// `1234567` as `1,234,567`, in both languages.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount with its thousands apart, in both languages: `1,234.50`.
#[must_use]
pub fn money(amount: Amount) -> String {
    let text = amount.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "00"));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    format!("{whole}.{part}")
}

/// A duration that a setting gave, whole, in its largest unit up to hours: "90 minutes", "72
/// hours". It stands after a preposition.
#[must_use]
pub fn whole(duration: Duration, language: Language) -> String {
    let seconds = duration.as_secs();
    let (number, noun) = match seconds {
        s if s >= 3600 && s.is_multiple_of(3600) => (s / 3600, Noun::Hour),
        s if s >= 60 && s.is_multiple_of(60) => (s / 60, Noun::Minute),
        s => (s, Noun::Second),
    };
    count_in(NounPlace::Object, number, noun, language)
}

/// A duration that was measured, in its two largest units: "1 hour 5 minutes", "ساعة واحدة و5
/// دقائق". It stands after a preposition ("for", "since", "منذ"). The second unit is left out where
/// it is zero.
#[must_use]
pub fn about(duration: Duration, language: Language) -> String {
    about_in(NounPlace::Object, duration, language)
}

/// As [`about`], for a place in the sentence.
#[must_use]
pub fn about_in(place: NounPlace, duration: Duration, language: Language) -> String {
    let ((number, noun), (rest, smaller)) = two_units(duration.as_secs());
    let first = count_in(place, number, noun, language);
    if rest == 0 {
        return first;
    }
    let second = count_in(place, rest, smaller, language);
    match language {
        Language::English => format!("{first} {second}"),
        Language::Arabic => format!("{first} و{second}"),
    }
}

/// As [`about`], as short as it goes: "1 h 5 min", "1 س 5 د".
#[must_use]
pub fn short(duration: Duration, language: Language) -> String {
    let ((number, noun), (rest, smaller)) = two_units(duration.as_secs());
    let first = format!("{number} {}", sign(noun, language));
    if noun == Noun::Second { first } else { format!("{first} {rest} {}", sign(smaller, language)) }
}

/// A duration that a stopwatch took, in three digits or so: "0.31 ms", "250 ms", "4.2 s"; in both
/// languages.
#[must_use]
pub fn fine(duration: Duration) -> String {
    match duration.as_millis() {
        0..10 => format!("{:.2} ms", duration.as_secs_f64() * 1e3),
        10..1000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

fn two_units(seconds: u64) -> ((u64, Noun), (u64, Noun)) {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => ((seconds, Noun::Second), (0, Noun::Second)),
        60..3600 => ((minutes, Noun::Minute), (seconds % 60, Noun::Second)),
        3600..86_400 => ((hours, Noun::Hour), (minutes % 60, Noun::Minute)),
        86_400.. => ((days, Noun::Day), (hours % 24, Noun::Hour)),
    }
}

/// The unit's sign; what is no unit of time is counted in words.
fn sign(noun: Noun, language: Language) -> &'static str {
    match (noun, language) {
        (Noun::Second, Language::English) => "s",
        (Noun::Second, Language::Arabic) => "ث",
        (Noun::Minute, Language::English) => "min",
        (Noun::Minute, Language::Arabic) => "د",
        (Noun::Hour, Language::English) => "h",
        (Noun::Hour, Language::Arabic) => "س",
        (Noun::Day, Language::English) => "d",
        (_, Language::English) => noun.english().1,
        (_, Language::Arabic) => noun.arabic().other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{Arabic, English};

    fn arabic(noun: Noun, numbers: &[u64]) -> Vec<String> {
        numbers.iter().map(|number| count(*number, noun, Arabic)).collect()
    }

    #[test]
    fn english_has_two_forms() {
        let all = [0, 1, 2, 1204].map(|number| count(number, Noun::Redemption, English));
        assert_eq!(all, ["0 redemptions", "1 redemption", "2 redemptions", "1,204 redemptions"]);
    }

    #[test]
    fn arabic_has_six_forms() {
        let numbers = [0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 1011];
        let minutes = [
            "0 دقيقة",
            "دقيقة واحدة",
            "دقيقتان",
            "3 دقائق",
            "10 دقائق",
            "11 دقيقة",
            "99 دقيقة",
            "100 دقيقة",
            "102 دقيقة",
            "103 دقائق",
            "1,011 دقيقة",
        ];
        assert_eq!(arabic(Noun::Minute, &numbers), minutes);
        let days = ["0 يوم", "يوم واحد", "يومان", "5 أيام", "42 يومًا", "300 يوم"];
        assert_eq!(arabic(Noun::Day, &[0, 1, 2, 5, 42, 300]), days);
        let redemptions =
            ["عملية استبدال واحدة", "عمليتا استبدال", "7 عمليات استبدال", "17 عملية استبدال"];
        assert_eq!(arabic(Noun::Redemption, &[1, 2, 7, 17]), redemptions);
    }

    #[test]
    fn two_changes_with_its_place_in_the_sentence() {
        assert_eq!(count_in(NounPlace::Object, 2, Noun::Hour, Arabic), "ساعتين");
        assert_eq!(count_in(NounPlace::Subject, 2, Noun::Hour, Arabic), "ساعتان");
        assert_eq!(count_in(NounPlace::Object, 2, Noun::Hour, English), "2 hours");
    }

    #[test]
    fn durations_read_well_in_both_languages() {
        let seconds = [0, 1, 59, 60, 61, 120, 2520, 3600, 3900, 7200, 90_000, 172_800];
        let english = [
            "0 seconds",
            "1 second",
            "59 seconds",
            "1 minute",
            "1 minute 1 second",
            "2 minutes",
            "42 minutes",
            "1 hour",
            "1 hour 5 minutes",
            "2 hours",
            "1 day 1 hour",
            "2 days",
        ];
        let arabic = [
            "0 ثانية",
            "ثانية واحدة",
            "59 ثانية",
            "دقيقة واحدة",
            "دقيقة واحدة وثانية واحدة",
            "دقيقتين",
            "42 دقيقة",
            "ساعة واحدة",
            "ساعة واحدة و5 دقائق",
            "ساعتين",
            "يوم واحد وساعة واحدة",
            "يومين",
        ];
        assert_eq!(seconds.map(|s| about(Duration::from_secs(s), English)), english);
        assert_eq!(seconds.map(|s| about(Duration::from_secs(s), Arabic)), arabic);
        let short_ones = [59, 61, 3600, 90_000].map(|s| short(Duration::from_secs(s), English));
        assert_eq!(short_ones, ["59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
        assert_eq!(short(Duration::from_secs(3900), Arabic), "1 س 5 د");
    }

    #[test]
    fn a_setting_is_said_whole() {
        let said = [45, 90, 5400, 259_200].map(|s| whole(Duration::from_secs(s), English));
        assert_eq!(said, ["45 seconds", "90 seconds", "90 minutes", "72 hours"]);
        assert_eq!(whole(Duration::from_secs(7200), Arabic), "ساعتين");
    }
}
