//! Writes what people read of the settings, from the one list of them: into a folder the manual
//! page, with which the package is built; without a folder, in this checkout, the shipped file and
//! the table of README.md.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use redeemd::settings::keys::{Setting, TABLE};

/// The manual page without its keys; its sections introduce those of the shipped file too.
const PAGE: &str = "packaging/redeemd.toml.5";
/// The shipped file.
pub(crate) const SHIPPED: &str = "config/redeemd.toml";
/// It has a table of all settings.
pub(crate) const README: &str = "README.md";
/// Sections that may stand several times, each with a name.
const LISTS: [&str; 5] = ["intake.till", "provider", "offline.rule", "admin.token", "admin.user"];
/// What the shipped file sets although it has no default: whoever installs it puts in the own.
const SET: [&str; 3] = ["provider.name", "provider.redeem_url", "provider.token_file"];
/// What it does not set although it has a default: the service manager's own wins silently so.
const UNSET: &str = "gateway.state_dir";
/// The width of the shipped file, in characters.
const WIDTH: usize = 118;

fn main() -> io::Result<()> {
    if let Some(folder) = std::env::args_os().nth(1) {
        fs::create_dir_all(&folder)?;
        let page = Path::new(&folder).join("redeemd.toml.5");
        return fs::write(page, manual(&fs::read_to_string(PAGE)?));
    }
    let page = fs::read_to_string(PAGE)?;
    fs::write(SHIPPED, shipped(&fs::read_to_string(SHIPPED)?, &page))?;
    fs::write(README, readme(&fs::read_to_string(README)?))
}

/// Its meaning, with its bounds.
fn doc(setting: &Setting) -> String {
    let (least, most) = setting.key.bounds.unwrap_or_default();
    setting.doc.replace("{bounds}", &format!("{least} to {most}"))
}

/// A key's section and its name.
fn split(setting: &Setting) -> (&str, &str) {
    setting.key.path.rsplit_once('.').unwrap_or(("", setting.key.path))
}

/// A section's heading, as it is written in TOML.
fn heading(section: &str) -> String {
    if LISTS.contains(&section) { format!("[[{section}]]") } else { format!("[{section}]") }
}

/// The sections of the page, each with the line that introduces it.
fn introductions(page: &str) -> BTreeMap<&str, &str> {
    let lines = page.lines().zip(page.lines().skip(1));
    lines
        .filter_map(|(line, next)| Some((line.strip_prefix(".SS ")?, next)))
        .filter(|(section, _)| section.starts_with('['))
        .map(|(section, next)| (section.trim_matches(['[', ']']), next))
        .collect()
}

/// The section of the page that a key stands in: its own, or the one around it.
fn section_of<'a>(setting: &'a Setting, sections: &BTreeMap<&str, &str>) -> &'a str {
    let mut section = split(setting).0;
    while !sections.contains_key(section)
        && let Some((around, _)) = section.rsplit_once('.')
    {
        section = around;
    }
    section
}

/// The manual page: behind each section's introduction its keys.
pub(crate) fn manual(page: &str) -> String {
    let sections = introductions(page);
    let mut made = String::new();
    let mut section = None;
    for line in page.lines() {
        made += &format!("{line}\n");
        if let Some(named) = section.take() {
            let keys = TABLE.iter().filter(|setting| section_of(setting, &sections) == named);
            made.extend(keys.map(entry));
        }
        section = line.strip_prefix(".SS ").map(|name| name.trim_matches(['[', ']']));
        section = section.filter(|name| sections.contains_key(name));
    }
    made
}

fn entry(setting: &Setting) -> String {
    let default = setting.key.default.map(|default| format!(" = {default}")).unwrap_or_default();
    let restart = if setting.key.restart { " (restart)" } else { "" };
    let text = format!("\\fB{}\\fR{default}{restart}\n{}\n", setting.key.path, doc(setting));
    format!(".TP\n{}", text.replace('-', "\\-"))
}

/// README.md with the table of the settings as they are.
pub(crate) fn readme(text: &str) -> String {
    let head = "| key | default | meaning |\n| --- | --- | --- |\n";
    let (before, rest) = text.split_once(head).unwrap_or((text, ""));
    let after = rest.find("\n\n").and_then(|at| rest.get(at..)).unwrap_or_default();
    let rows: Vec<String> = TABLE.iter().map(table_row).collect();
    format!("{before}{head}{}{after}", rows.join("\n"))
}

fn table_row(setting: &Setting) -> String {
    let (section, name) = split(setting);
    let mark = if setting.key.restart { " ↻" } else { "" };
    let default = setting.key.default.map_or("–".to_owned(), |default| format!("`{default}`"));
    format!("| `{} {name}`{mark} | {default} | {} |", heading(section), doc(setting))
}

/// The shipped file, of which the head stays: every key, with its default, or commented out.
pub(crate) fn shipped(text: &str, page: &str) -> String {
    let head = text.split("\n\n").next().unwrap_or_default();
    let sections = introductions(page);
    let mut made = format!("{head}\n");
    let mut section = "";
    for setting in TABLE {
        let (its, name) = split(setting);
        let is_off = is_off(its);
        let off = if is_off { "# " } else { "" };
        if its != section {
            let introduction = sections.get(its).map(|text| comment(&text.replace('\\', "")));
            let introduction = introduction.unwrap_or_default();
            made += &format!("\n{introduction}{off}{}\n", heading(its));
            section = its;
        } else if !is_off {
            made.push('\n');
        }
        let restart = if setting.key.restart { " (restart)" } else { "" };
        made += &comment(&format!("{}{restart}", doc(setting)));
        let is_set = setting.key.default.is_some() && setting.key.path != UNSET
            || SET.contains(&setting.key.path);
        let value = setting.key.default.or(setting.sample).unwrap_or_default();
        made += &format!("{}{name} = {value}\n", if is_set && !is_off { "" } else { "# " });
    }
    made
}

/// Whether the shipped file has a section as an example alone.
fn is_off(section: &str) -> bool {
    section == "alert" || section.contains('.')
}

fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::from("#"));
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() >= WIDTH {
            lines += &format!("{line}\n");
            line = String::from("#");
        }
        line += &format!(" {word}");
    }
    lines + &line + "\n"
}
