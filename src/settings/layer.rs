//! One source's settings, each at its key; and one layer laid over another.

use std::collections::BTreeMap;
use std::path::Path;

use super::keys;
use super::problem::Faults;
use super::source::{Node, SettingsFile};
use super::value::KeyValue;

/// A setting that somebody wrote.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// `None` when it was unreadable, which has been reported: it is there all the same.
    pub(super) value: Option<KeyValue>,
    /// The file or variable.
    pub(super) origin: String,
}

/// Settings by their key's path.
pub(super) type Bag = BTreeMap<&'static str, Item>;

/// One table of a [`List`].
#[derive(Clone, Debug)]
pub(super) struct TableEntry {
    pub(super) name: String,
    pub(super) bag: Bag,
}

/// The lists of named tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Provider,
    Till,
    AdminToken,
    AdminUser,
    Rule,
}

impl List {
    pub(super) const ALL: [Self; 5] =
        [Self::Provider, Self::Till, Self::AdminToken, Self::AdminUser, Self::Rule];
    /// The most tables of one list.
    pub(super) const ENTRIES_MAX: usize = 1024;

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Till => "intake.till",
            Self::AdminToken => "admin.token",
            Self::AdminUser => "admin.user",
            Self::Rule => "offline.rule",
        }
    }

    fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.path() == path)
    }

    /// How an entry of this list is called in messages.
    pub(super) fn label(self, name: &str) -> String {
        format!("{}[{}]", self.path(), name.escape_debug())
    }
}

/// The settings of one source, or of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) plain: Bag,
    lists: BTreeMap<List, Vec<TableEntry>>,
}

impl Layer {
    pub(super) fn list(&self, list: List) -> &[TableEntry] {
        self.lists.get(&list).map_or(&[], Vec::as_slice)
    }

    pub(super) fn list_mut(&mut self, list: List) -> &mut Vec<TableEntry> {
        self.lists.entry(list).or_default()
    }

    /// `[offline]` and its rules as somebody wrote them, as TOML.
    pub(super) fn offline_as_written(&self) -> String {
        let mut text = table("[offline]", "offline.", &self.plain);
        for rule in self.list(List::Rule) {
            text.push_str(&table("[[offline.rule]]", "offline.rule.", &rule.bag));
        }
        text
    }

    /// Lays `over` on this one: its keys win, its tables of a new name are appended.
    pub(super) fn merge(&mut self, over: Self) {
        merge_bag(&mut self.plain, over.plain);
        for (list, entries) in over.lists {
            for entry in entries {
                let own = self.list_mut(list);
                match own.iter_mut().find(|old| old.name == entry.name) {
                    Some(old) => merge_bag(&mut old.bag, entry.bag),
                    None => own.push(entry),
                }
            }
        }
    }
}

/// The keys that begin so, without that, under `header`.
fn table(header: &str, prefix: &str, bag: &Bag) -> String {
    let line = |(path, item): (&&str, &Item)| {
        let value = item.value.as_ref()?;
        path.strip_prefix(prefix).map(|key| format!("{key} = {value}\n"))
    };
    let lines: String = bag.iter().filter_map(line).collect();
    format!("{header}\n{lines}\n")
}

/// Ways to say the same thing: whoever chooses one in a later layer takes back the others of the
/// earlier layers.
const ALTERNATIVES: &[&[&str]] = &[
    &["intake.till.token_file", "intake.till.credential"],
    &["provider.token_file", "provider.credential", "provider.oauth"],
    &["provider.proxy_password_file", "provider.proxy_password_credential"],
    &["provider.oauth.client_secret_file", "provider.oauth.client_secret_credential"],
    &["provider.oauth.refresh_token_file", "provider.oauth.refresh_token_credential"],
    &["admin.token.token_file", "admin.token.credential"],
    &["admin.user.password_file", "admin.user.credential"],
    &["alert.token_file", "alert.credential"],
];

/// Whether `path` is `top` or stands below it.
pub(super) fn within(top: &str, path: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn merge_bag(base: &mut Bag, over: Bag) {
    for group in ALTERNATIVES {
        let chosen = |way: &&&str| over.keys().any(|path| within(way, path));
        if group.iter().any(|way| chosen(&way)) {
            let dropped: Vec<&&str> = group.iter().filter(|way| !chosen(way)).collect();
            base.retain(|path, _| !dropped.iter().any(|way| within(way, path)));
        }
    }
    for (path, mut item) in over {
        if let (Some(KeyValue::Words(own)), Some(below)) = (&mut item.value, base.remove(path)) {
            keep_words(own, below);
        }
        base.insert(path, item);
    }
}

/// A table of texts wins text by text.
fn keep_words(own: &mut BTreeMap<String, String>, below: Item) {
    if let Some(KeyValue::Words(words)) = below.value {
        for (name, text) in words {
            own.entry(name).or_insert(text);
        }
    }
}

/// The layer of a file's tree. What no key fits, and values of the wrong kind, are problems.
pub(super) fn of_source(source: SettingsFile, faults: &mut Faults) -> Layer {
    let mut layer = Layer::default();
    let mut walk =
        Walk { origin: &source.origin, folder: &source.folder, faults, lists: Vec::new() };
    walk.table(&WalkPlace::default(), source.table, &mut layer.plain);
    for (list, node) in std::mem::take(&mut walk.lists) {
        let entries = walk.entries(list, node);
        *layer.list_mut(list) = entries;
    }
    layer
}

/// Where the walk stands: the keys' path, and the path as messages show it.
#[derive(Default)]
struct WalkPlace {
    path: String,
    label: String,
}

impl WalkPlace {
    fn child(&self, name: &str) -> Self {
        let join = |above: &str, name: &str| {
            if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
        };
        Self {
            path: join(&self.path, name),
            label: join(&self.label, &name.escape_debug().to_string()),
        }
    }
}

struct Walk<'a> {
    origin: &'a str,
    folder: &'a Path,
    faults: &'a mut Faults,
    /// Lists that were met; they are read when the rest has been.
    lists: Vec<(List, Node)>,
}

impl Walk<'_> {
    fn fault(&mut self, label: &str, message: impl Into<String>) {
        self.faults.add(label, message, Some(self.origin));
    }

    fn table(&mut self, place: &WalkPlace, table: Vec<(String, Node)>, bag: &mut Bag) {
        for (name, node) in table {
            let child = place.child(&name);
            if let Some(key) = keys::find(&child.path) {
                let value = KeyValue::from_node(key.kind, &node, self.folder);
                let value = value.map_err(|message| self.fault(&child.label, message)).ok();
                let item = Item { value, origin: self.origin.to_owned() };
                if bag.insert(key.path, item).is_some() {
                    let message = format!("this is another name of {}: keep one", key.path);
                    self.fault(&child.label, message);
                }
            } else if let Some(list) = List::at(&child.path) {
                self.lists.push((list, node));
            } else if keys::is_section(&child.path) {
                self.section(&child, node, bag);
            } else {
                let advice = keys::advice(&place.path, &name);
                self.fault(&child.label, format!("there is no such setting: {advice}"));
            }
        }
    }

    fn section(&mut self, place: &WalkPlace, node: Node, bag: &mut Bag) {
        match node {
            Node::Table(table) if table.is_empty() && keys::is_optional(&place.path) => {
                self.fault(
                    &place.label,
                    "the section is empty, which would switch it off: write its keys or take it \
                     out",
                );
            }
            Node::Table(table) => self.table(place, table, bag),
            Node::Text(_)
            | Node::Integer(_)
            | Node::Float(_)
            | Node::Flag(_)
            | Node::List(_)
            | Node::Odd => {
                self.fault(
                    &place.label,
                    format!("this is a section: write [{}] and its keys below", place.path),
                );
            }
        }
    }

    fn entries(&mut self, list: List, node: Node) -> Vec<TableEntry> {
        let Node::List(nodes) = node else {
            let path = list.path();
            self.fault(path, format!("there can be several: write [[{path}]] with two brackets"));
            return Vec::new();
        };
        let mut entries: Vec<TableEntry> = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            if let Some(entry) = self.entry(list, index, node) {
                if entries.iter().any(|other| other.name == entry.name) {
                    let message =
                        "the name is taken by another table of this file: give each its own";
                    self.fault(&list.label(&entry.name), message);
                }
                entries.push(entry);
            }
        }
        entries
    }

    fn entry(&mut self, list: List, index: usize, node: Node) -> Option<TableEntry> {
        let place = format!("{}[#{}]", list.path(), index + 1);
        let Node::Table(table) = node else {
            self.fault(
                &place,
                format!("this is not a table: write [[{}]] and its keys below", list.path()),
            );
            return None;
        };
        let name = table.iter().find(|(name, _)| name == "name").map(|(_, node)| node);
        if name.is_none() {
            self.fault(&place, "it has no name: give it one with name = \"…\"");
        }
        let name = match name {
            Some(Node::Text(name)) => name.clone(),
            _ => format!("#{}", index + 1),
        };
        let label = list.label(&name);
        let mut bag = Bag::new();
        self.table(&WalkPlace { path: list.path().to_owned(), label }, table, &mut bag);
        Some(TableEntry { name, bag })
    }
}
