//! The layer of `REDEEMD__SECTION__KEY` variables.

use std::collections::BTreeMap;

use super::keys::{self, Key, Kind};
use super::layer::{Item, Layer, List, TableEntry};
use super::problem::Faults;
use super::value::{KeyValue, NO_TABLE};

/// Variables that begin so are settings; all others are somebody else's.
const PREFIX: &str = "REDEEMD__";

/// Where a variable's value goes: its key and, in a list, the entry's name.
struct VariableTarget {
    key: &'static Key,
    entry: Option<(List, String)>,
}

/// The layer of the variables in `environment`. A provider or till in `files` is named in capitals,
/// with `_` for every other character: `REDEEMD__PROVIDER__RETM__TIMEOUT`.
pub(super) fn layer(
    environment: &BTreeMap<String, String>,
    files: &Layer,
    faults: &mut Faults,
) -> Layer {
    let mut layer = Layer::default();
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        match target(&rest.to_lowercase(), files) {
            Ok(target) => insert(&mut layer, &target, variable, text, faults),
            Err(message) => faults.add(variable, message, Some("the environment")),
        }
    }
    layer
}

fn insert(
    layer: &mut Layer,
    target: &VariableTarget,
    variable: &str,
    text: &str,
    faults: &mut Faults,
) {
    let label = match &target.entry {
        Some((list, name)) => target.key.path.replacen(list.path(), &list.label(name), 1),
        None => target.key.path.to_owned(),
    };
    let value = KeyValue::from_variable(target.key.kind, text);
    let value = value.map_err(|message| faults.add(&label, message, Some(variable))).ok();
    let item = Item { value, origin: variable.to_owned() };
    let Some((list, name)) = &target.entry else {
        layer.plain.insert(target.key.path, item);
        return;
    };
    let entries = layer.list_mut(*list);
    match entries.iter_mut().find(|entry| entry.name == *name) {
        Some(entry) => drop(entry.bag.insert(target.key.path, item)),
        None => {
            entries.push(TableEntry { name: name.clone(), bag: [(target.key.path, item)].into() });
        }
    }
}

fn target(rest: &str, files: &Layer) -> Result<VariableTarget, String> {
    for list in List::ALL {
        let path = list.path().replace('.', "__");
        if let Some(inner) = rest.strip_prefix(&path).and_then(|inner| inner.strip_prefix("__")) {
            return entry_target(list, inner, files.list(list));
        }
    }
    let path = rest.replace("__", ".");
    let key = keys::find(&path).ok_or_else(|| unknown(&path))?;
    Ok(VariableTarget { key, entry: None })
}

fn entry_target(list: List, inner: &str, entries: &[TableEntry]) -> Result<VariableTarget, String> {
    let path = list.path();
    let fits = |entry: &&TableEntry| {
        inner.strip_prefix(&folded(&entry.name)).is_some_and(|rest| rest.starts_with("__"))
    };
    let longest = entries.iter().filter(fits).max_by_key(|entry| entry.name.len());
    let Some(entry) = longest else {
        return Err(format!(
            "no [[{path}]] in the files has this name: add it there, the environment only changes \
             it"
        ));
    };
    if entries
        .iter()
        .any(|other| other.name != entry.name && folded(&other.name) == folded(&entry.name))
    {
        return Err(format!(
            "more than one [[{path}]] is written like this here: set it in the file"
        ));
    }
    let rest = inner.get(folded(&entry.name).len() + 2..).unwrap_or_default().replace("__", ".");
    let full = format!("{path}.{rest}");
    let key = keys::find(&full).ok_or_else(|| unknown(&full))?;
    if rest == "name" {
        return Err("a name is given in the file alone".to_owned());
    }
    Ok(VariableTarget { key, entry: Some((list, entry.name.clone())) })
}

/// A name as a variable can spell it, in small letters.
fn folded(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect()
}

fn unknown(path: &str) -> String {
    if let Some((table, _)) = path.rsplit_once('.')
        && keys::find(table).is_some_and(|key| key.kind == Kind::Words)
    {
        return NO_TABLE.to_owned();
    }
    if keys::is_section(path) {
        return "this is a section: name one of its keys too, with two underscores between"
            .to_owned();
    }
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (section, name) = if keys::is_section(section) || section.is_empty() {
        (section, name)
    } else {
        ("", section)
    };
    format!("there is no such setting: {}", keys::advice(section, name))
}
