//! Writes the manual page of the commands into a folder, with each command's options as the command
//! line knows them, and the documents as the package has them: beside each other, with the guide's
//! name there. The package is built with it.

use std::path::Path;
use std::{fs, io};

use clap::{Arg, Command};

/// The manual page without the commands' options.
const PAGE: &str = "packaging/redeemd.8";
/// Where, in a command's section, they belong.
const MARK: &str = ".\\\" OPTIONS";
/// The documents of the package, each with its name in it.
pub(crate) const DOCUMENTS: [(&str, &str); 6] = [
    ("INSTALL.md", "guide.md"),
    ("docs/failures.md", "failures.md"),
    ("docs/http-api.md", "http-api.md"),
    ("docs/journal.md", "journal.md"),
    ("docs/metrics.md", "metrics.md"),
    ("docs/trust.md", "trust.md"),
];
/// They are described once, for all commands.
const COMMON: [&str; 3] = ["config", "json", "help"];

fn main() -> io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("say into which folder the page is to be written"))?;
    fs::create_dir_all(&folder)?;
    let folder = Path::new(&folder);
    for (document, name) in DOCUMENTS {
        fs::write(folder.join(name), packaged(&fs::read_to_string(document)?))?;
    }
    fs::write(folder.join("redeemd.8"), page(&fs::read_to_string(PAGE)?))
}

/// A document as the package has it.
pub(crate) fn packaged(text: &str) -> String {
    text.replace("[INSTALL.md](../INSTALL.md)", "[guide.md](guide.md)")
}

/// The page with the options.
pub(crate) fn page(text: &str) -> String {
    let mut root = redeemd::cli::command();
    root.build();
    let mut command = &root;
    let mut made = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix(".SS ") {
            command = named(&root, heading);
        }
        if line == MARK {
            let own = command.get_arguments().filter(|argument| !argument.is_hide_set());
            made.extend(own.filter_map(entry));
        } else {
            made.extend([line, "\n"]);
        }
    }
    made
}

/// The command that a heading is about, such as `trust off [LANE]`.
fn named<'a>(root: &'a Command, heading: &str) -> &'a Command {
    let heading = heading.replace("\\-", "-");
    heading.split(' ').fold(root, |command, word| command.find_subcommand(word).unwrap_or(command))
}

fn entry(argument: &Arg) -> Option<String> {
    let name = argument.get_long().filter(|name| !COMMON.contains(name))?;
    let help = argument.get_long_help().or(argument.get_help())?.to_string();
    let help = help.trim_end_matches('.').replace("\n\n", "\n");
    let is_flag = !argument.get_action().takes_values();
    let value = if is_flag { String::new() } else { value(argument) };
    let default = argument.get_default_values().first().filter(|_| !is_flag);
    let default = default.map(|text| format!(" Default: {}.", text.to_string_lossy()));
    let required = if argument.is_required_set() { " Required." } else { "" };
    let more = default.unwrap_or_default() + required;
    let text = format!("\\fB--{name}\\fR{value}\n{help}.{more}\n");
    Some(format!(".TP\n{}", text.replace('-', "\\-")))
}

fn value(argument: &Arg) -> String {
    let name = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    format!(" \\fI{}\\fR", name.unwrap_or_else(|| argument.get_id().as_str().to_uppercase()))
}
