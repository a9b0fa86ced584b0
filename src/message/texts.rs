//! A store's own words for refusals, in place of the ones that this build has.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::amount::whole;
use super::language::Language;
use super::refusal::Refusal;

/// The longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;
/// Refusals that are somebody else's words already.
const RELAYED: [&str; 2] = ["provider", "text"];

/// The texts that a store has set, by language and by the refusal's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<(&'static str, String), String>);

/// Why a text cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// No refusal is called so.
    #[error("there is no refusal of this name: the names are {}", .0.join(", "))]
    Name(Vec<String>),
    /// It is empty, too long, or would break the line.
    #[error("write 1 to {TEXT_BYTES_MAX} bytes without control characters")]
    Form,
    /// A brace without its other half.
    #[error("a brace stands alone: placeholders are written {{name}}")]
    Brace,
    /// The refusal has no such value.
    #[error("{{{name}}} is no placeholder of this text: {}", known_in_words(.known))]
    Placeholder {
        /// What was written.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

fn known_in_words(known: &[String]) -> String {
    if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {{{}}}", known.join("}, {"))
    }
}

impl Texts {
    /// Every refusal that can be set, with its placeholders, in the order of the table.
    #[must_use]
    pub fn settable() -> Vec<(String, Vec<String>)> {
        let rows = Refusal::TABLE.iter().map(|(variant, fields)| {
            let shown = fields
                .iter()
                .filter(|(_, kind)| matches!(*kind, "String" | "u64") || is_nested(kind));
            (snake(variant), shown.map(|(field, _)| placeholder(field)).collect())
        });
        rows.filter(|(name, _): &(String, _)| !RELAYED.contains(&name.as_str())).collect()
    }

    /// Takes `text` for the refusal of this name.
    ///
    /// # Errors
    /// What is wrong with it; nothing was taken.
    pub fn set(&mut self, language: Language, name: &str, text: &str) -> Result<(), TextFault> {
        let all = Self::settable();
        let Some((_, known)) = all.iter().find(|(its, _)| its == name) else {
            return Err(TextFault::Name(all.into_iter().map(|(name, _)| name).collect()));
        };
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(char::is_control)
        {
            return Err(TextFault::Form);
        }
        for part in parts(text).ok_or(TextFault::Brace)? {
            if let Part::Placeholder(name) = part
                && !known.iter().any(|its| its == name)
            {
                return Err(TextFault::Placeholder { name: name.to_owned(), known: known.clone() });
            }
        }
        self.0.insert((language.code(), name.to_owned()), text.to_owned());
        Ok(())
    }

    /// The store's own words for this refusal; `None`: it has none, this build's hold.
    #[must_use]
    pub fn of(&self, refusal: &Refusal, language: Language) -> Option<String> {
        let Ok(Value::Object(values)) = serde_json::to_value(refusal) else { return None };
        let name = values.get("m")?.as_str()?;
        let text = self.0.get(&(language.code(), name.to_owned()))?;
        let filled = parts(text)?.into_iter().map(|part| match part {
            Part::Text(text) => text.to_owned(),
            Part::Placeholder(name) => self.value_of(&values, name, language),
        });
        Some(filled.collect())
    }

    fn value_of(
        &self,
        values: &serde_json::Map<String, Value>,
        name: &str,
        language: Language,
    ) -> String {
        let seconds = values.get(&format!("{name}_s")).and_then(Value::as_u64);
        match (values.get(name), seconds) {
            (Some(Value::String(text)), _) => language.isolated(text),
            (Some(Value::Number(number)), _) => number.to_string(),
            (Some(nested @ Value::Object(_)), _) => {
                let nested: Option<Refusal> = serde_json::from_value(nested.clone()).ok();
                nested
                    .map(|one| self.of(&one, language).unwrap_or_else(|| one.text(language)))
                    .unwrap_or_default()
            }
            (_, Some(seconds)) => whole(Duration::from_secs(seconds), language),
            (Some(Value::Null | Value::Bool(_) | Value::Array(_)) | None, None) => String::new(),
        }
    }
}

/// The name of a message as it is stored.
fn snake(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// A duration stands in words: its unit is not part of its name.
fn placeholder(field: &str) -> String {
    field.strip_suffix("_s").unwrap_or(field).to_owned()
}

/// Whether a parameter is another refusal.
fn is_nested(kind: &str) -> bool {
    kind.starts_with("Box")
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// The text in its pieces; `None`: a brace stands alone.
fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        if before.contains('}') || name.contains('{') {
            return None;
        }
        parts.extend([Part::Text(before), Part::Placeholder(name)]);
        rest = behind;
    }
    parts.push(Part::Text(rest));
    (!rest.contains('}')).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Refusal {
        Refusal::Used {
            code: "C-{till}".to_owned(),
            when: "today".to_owned(),
            till: "till-1".to_owned(),
        }
    }

    fn set(text: &str) -> Result<Texts, TextFault> {
        let mut texts = Texts::default();
        texts.set(Language::English, "used", text).map(|()| texts)
    }

    #[test]
    fn a_text_is_filled_with_what_its_refusal_knows_and_with_nothing_twice() {
        let texts = set("{code} went at {till}.").unwrap();
        assert_eq!(
            texts.of(&used(), Language::English).as_deref(),
            Some("C-{till} went at till-1.")
        );
        assert_eq!(texts.of(&used(), Language::Arabic), None, "another language has its own");
        assert_eq!(texts.of(&Refusal::Held, Language::English), None);
        let mut texts = Texts::default();
        texts.set(Language::Arabic, "limit_outage", "{outage}").unwrap();
        let text = texts.of(&Refusal::LimitOutage { outage_s: 7200 }, Language::Arabic);
        assert_eq!(text, Some(whole(Duration::from_hours(2), Language::Arabic)));
    }

    #[test]
    fn what_no_text_may_be_is_named() {
        for text in ["", "  ", "a\nb", &"x".repeat(TEXT_BYTES_MAX + 1)] {
            assert_eq!(set(text), Err(TextFault::Form), "{text:?}");
        }
        for text in ["{code", "code}", "{{code}}", "{code}}", "a } b { code }"] {
            assert!(
                matches!(set(text), Err(TextFault::Brace | TextFault::Placeholder { .. })),
                "{text:?}"
            );
        }
        let fault = set("{customer}").unwrap_err().to_string();
        assert_eq!(
            fault,
            "{customer} is no placeholder of this text: it has {code}, {when}, {till}"
        );
        let fault =
            Texts::default().set(Language::English, "used_up", "x").unwrap_err().to_string();
        assert!(fault.contains("used, used_long_ago"), "{fault}");
    }

    /// The texts of the manual page, as people read them: name, English, Arabic.
    fn texts_of_the_page(page: &str) -> Vec<(&str, [&str; 2])> {
        let (_, list) = page.split_once("\n.SS [intake.texts]\n").unwrap();
        let (list, _) = list.split_once("\n.RE\n").unwrap();
        let entry = |entry| {
            let lines: Vec<&str> = str::lines(entry).collect();
            let [name, english, ".br", arabic] = lines[..] else { panic!("{lines:?}") };
            (name, [english, arabic])
        };
        list.split("\n.IP ").skip(1).map(entry).collect()
    }

    /// A refusal of this name, with numbers that stand in figures.
    fn example_of(name: &str) -> Refusal {
        let found = Refusal::all().into_iter().map(|one| one.to_stored());
        let found = found.map(|stored| serde_json::from_str::<Value>(&stored).unwrap());
        let mut example = found.into_iter().find(|one| one["m"] == name).unwrap();
        for value in example.as_object_mut().unwrap().values_mut() {
            if value.is_number() {
                *value = Value::from(42);
            }
        }
        Refusal::from_stored(&example.to_string())
    }

    #[test]
    fn the_manual_page_has_each_text_with_its_default_and_no_other() {
        let page = include_str!("../../packaging/redeemd.toml.5").replace("\\-", "-");
        let (listed, settable) = (texts_of_the_page(&page), Texts::settable());
        let names: Vec<&str> = settable.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(listed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        for ((name, entries), (_, places)) in listed.into_iter().zip(&settable) {
            let example = example_of(name);
            for (language, entry) in [Language::English, Language::Arabic].into_iter().zip(entries)
            {
                let mut texts = Texts::default();
                texts.set(language, name, entry).unwrap();
                // What keeps directions apart is not to be seen in a page.
                let plain = |text: String| text.replace(['\u{2068}', '\u{2069}'], "");
                let filled = texts.of(&example, language).map(plain);
                assert_eq!(filled, Some(plain(example.text(language))), "{name}: {entry}");
                let has = |place: &String| entry.contains(&format!("{{{place}}}"));
                assert!(places.iter().all(has), "{name}: {entry} lacks one of {places:?}");
            }
        }
    }

    #[test]
    fn each_refusal_of_ours_can_be_set_and_its_name_is_the_one_that_is_stored() {
        let settable = Texts::settable();
        for refusal in Refusal::all() {
            let stored: Value = serde_json::from_str(&refusal.to_stored()).unwrap();
            let name = stored["m"].as_str().unwrap();
            let is_settable = settable.iter().any(|(its, _)| its == name);
            assert_eq!(is_settable, !RELAYED.contains(&name), "{name}");
            let Some((_, places)) = settable.iter().find(|(its, _)| its == name) else { continue };
            let places: Vec<String> = places.iter().map(|place| format!("<{{{place}}}>")).collect();
            let text = format!("x{}", places.concat());
            let mut texts = Texts::default();
            texts.set(Language::English, name, &text).unwrap();
            let filled = texts.of(&refusal, Language::English).unwrap();
            assert!(!filled.contains("<>") && !filled.contains('{'), "{name}: {filled}");
        }
    }
}
