//! The manual page and the shells' completions say what the command line takes, no less.

#![allow(
    clippy::unwrap_used,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use redeemd::cli::command;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// The page as it is read: hyphens plain, fonts gone.
fn page() -> String {
    let text = manual::page(&std::fs::read_to_string(packaging("redeemd.8")).unwrap());
    ["\\fB", "\\fI", "\\fR"]
        .iter()
        .fold(text.replace("\\-", "-"), |text, font| text.replace(font, ""))
}

/// The part of `page` under the heading that begins with `heading`, up to the next of its kind or a
/// higher one.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let begins = |line: &str| line == heading || line.starts_with(&format!("{heading} "));
    let start = page.split_inclusive('\n').scan(0, |at, line| {
        let here = *at;
        *at += line.len();
        Some((here, line.trim_end()))
    });
    let (from, _) = start.into_iter().find(|(_, line)| begins(line))?;
    let body = page.get(from + heading.len()..)?;
    let end = [".SS ", ".SH "]
        .iter()
        .filter_map(|next| body.find(&format!("\n{next}")))
        .min()
        .unwrap_or(body.len());
    body.get(..end)
}

/// Whether `text` has the option as a word of its own, so that `--token-file` is not taken for
/// `--token`.
fn has_option(text: &str, option: &str) -> bool {
    text.match_indices(option).any(|(at, _)| {
        let after = text.get(at + option.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|next| next.is_ascii_alphanumeric() || next == '-')
    })
}

#[test]
fn the_manual_page_has_every_command_with_each_of_its_options() {
    let page = page();
    let mut missing = Vec::new();
    let mut root = command();
    root.build();
    for option in root.get_arguments().filter_map(|argument| argument.get_long()) {
        let all = section(&page, ".SH OPTIONS").unwrap();
        if !has_option(all, &format!("--{option}")) {
            missing.push(format!("--{option}"));
        }
    }
    for command in root.get_subcommands() {
        let name = command.get_name();
        let Some(section) = section(&page, &format!(".SS {name}")) else {
            missing.push(name.to_owned());
            continue;
        };
        let own = command.get_arguments().filter(|argument| !argument.is_global_set());
        let longs = own
            .filter_map(|argument| argument.get_long())
            .filter(|long| !["help", "config", "json"].contains(long));
        missing.extend(
            longs
                .filter(|long| !has_option(section, &format!("--{long}")))
                .map(|long| format!("{name} --{long}")),
        );
    }
    assert!(missing.is_empty(), "packaging/redeemd.8 lacks: {missing:?}");
}

#[test]
fn the_manual_page_has_no_command_that_is_gone() {
    let page = page();
    let root = command();
    let commands = section_names(&page);
    assert!(commands.len() > 10, "{commands:?}");
    for name in commands {
        assert!(root.find_subcommand(name).is_some(), "{name}");
    }
}

fn section_names(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix(".SS "))
        .filter_map(|line| line.split(' ').next())
        .collect()
}

#[test]
fn the_manual_page_has_every_exit_code_and_the_logs_variable() {
    let page = page();
    let codes = section(&page, ".SH EXIT STATUS").unwrap();
    for code in [0, 1, 64, 69, 70, 73, 75, 78] {
        assert!(codes.contains(&format!("\n.B {code}\n")), "{code}");
    }
    let environment = section(&page, ".SH ENVIRONMENT").unwrap();
    assert!(environment.contains(&format!(".B {}\n", redeemd::log::LEVEL_VARIABLE)));
}

#[path = "../packaging/manual/write.rs"]
#[allow(dead_code, reason = "its way in is the program that builds the package")]
mod manual;

/// A file of this repository.
fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Where the package puts its documents, without a slash at its end.
const DOCUMENTS: &str = "usr/share/doc/redeemd";

/// The names below [`DOCUMENTS`] that the package has.
fn packaged() -> BTreeSet<String> {
    let cargo = read("Cargo.toml");
    let assets = cargo.lines().filter_map(|line| line.trim().strip_prefix("[\""));
    let pairs = assets.filter_map(|line| line.split_once("\", \""));
    let placed = pairs.filter_map(|(from, rest)| Some((from, rest.split_once('"')?.0)));
    let named = placed.map(|(from, to)| match to.strip_suffix('/') {
        Some(folder) => format!("{folder}/{}", from.rsplit('/').next().unwrap()),
        None => to.to_owned(),
    });
    named.filter_map(|to| Some(to.strip_prefix(DOCUMENTS)?.trim_matches('/').to_owned())).collect()
}

#[test]
fn what_a_text_of_the_package_names_of_its_documents_is_in_the_package() {
    let (has, mut missing) = (packaged(), BTreeSet::new());
    for name in ["redeemd.8", "redeemd.toml.5", "redeemd.socket", "redeemd.service"]
        .map(|name| format!("packaging/{name}"))
        .into_iter()
        .chain(["postinst", "changelog"].map(|name| format!("packaging/debian/{name}")))
        .chain(["config/redeemd.toml".to_owned()])
    {
        let text = read(&name).replace("\\-", "-");
        for word in text.split(|c: char| c.is_whitespace() || ",:;()\"".contains(c)) {
            let word = word.trim_end_matches('.').trim_start_matches("guide=");
            let below = word.strip_prefix(&format!("/{DOCUMENTS}/"));
            let file = below.unwrap_or(word).rsplit('/').next().unwrap();
            let is_document =
                file.strip_suffix(".md").is_some() || below.is_some_and(|_| file.contains('.'));
            if is_document
                && (word.starts_with("docs/") || !has.contains(file.trim_end_matches(".gz")))
            {
                missing.insert(format!("{name}: {word}"));
            }
        }
    }
    assert!(missing.is_empty() && has.contains("guide.md"), "{missing:#?} of {has:#?}");
}

#[test]
fn the_documents_of_the_package_are_all_that_there_are_and_lead_to_each_other() {
    let mut all: BTreeSet<String> = std::fs::read_dir(packaging("../docs"))
        .unwrap()
        .map(|entry| format!("docs/{}", entry.unwrap().file_name().display()))
        .collect();
    all.insert("INSTALL.md".to_owned());
    assert_eq!(all, manual::DOCUMENTS.map(|(document, _)| document.to_owned()).into());
    for (document, name) in manual::DOCUMENTS {
        assert!(packaged().contains(name), "Cargo.toml has no {name}");
        let text = manual::packaged(&read(document));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            assert!(packaged().contains(link), "{document}: {link}");
        }
    }
}

#[path = "../packaging/completions/write.rs"]
#[allow(dead_code, reason = "its way in is the program that builds the package")]
mod write;

#[test]
fn the_completions_have_every_command_and_ask_the_gateway_for_its_names() {
    for (shell, name) in write::SHELLS {
        let text = write::completions(shell);
        for command in command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(text.contains(command.get_name()), "{name}: {}", command.get_name());
        }
        let asks = |what: &str| text.contains(what);
        match name {
            "redeemd.zsh" => assert!(
                asks(":LANE:_redeemd_names lanes")
                    && asks(":TILL:_redeemd_names tills")
                    && asks("without one:_redeemd_names lanes")
                    && !asks(":LANE:_default")
            ),
            _ => assert!(asks("redeemd names"), "{name}"),
        }
    }
}

/// What bash offers behind `words`, where the gateway has the lanes `retm` and `other` and the till
/// `t-1`.
fn offered_by_bash(words: &str) -> String {
    let script = "eval \"$COMPLETIONS\"
        redeemd() { case $2 in lanes) printf 'retm\\nother\\n' ;; *) echo t-1 ;; esac; }
        eval \"COMP_WORDS=($WORDS)\"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _redeemd_names redeemd \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
        echo \"${COMPREPLY[*]}\"";
    let output = std::process::Command::new("bash")
        .args(["--norc", "-uc", script])
        .env("COMPLETIONS", write::completions(write::SHELLS[0].0))
        .env("WORDS", format!("redeemd {words}"))
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn bash_knows_the_lanes_wherever_a_command_takes_one_and_nowhere_else() {
    for words in [
        "hold ''",
        "flush ''",
        "release ''",
        "trust off ''",
        "trust on ''",
        "--json hold ''",
        "--config /c.toml --json trust off ''",
        "--config = /c.toml hold ''",
        "hold --note why ''",
        "trust off --note why --for 2h ''",
        "report --lane ''",
    ] {
        assert_eq!(offered_by_bash(words), "retm other", "{words}");
    }
    assert_eq!(offered_by_bash("trust off r"), "retm");
    assert_eq!(offered_by_bash("--json list --till ''"), "t-1");
    for words in ["trust ''", "hold -", "hold --note ''", "trust off --for ''", "--config hold ''"]
    {
        let offered = offered_by_bash(words);
        assert!(!offered.contains("retm"), "{words}: {offered}");
    }
    assert!(offered_by_bash("--json ho").contains("hold"));
}

#[test]
fn the_other_shells_know_the_lanes_of_trust_too() {
    let fish = include_str!("../packaging/completions/names.fish");
    for command in ["flush", "hold", "release", "trust"] {
        let condition = format!("__fish_redeemd_using_subcommand {command}");
        let of = |line: &&str| line.contains(&condition) && line.contains("redeemd names lanes");
        assert!(fish.lines().any(|line| of(&line)), "{command}");
    }
    let zsh = write::completions(write::SHELLS[1].0);
    assert_eq!(zsh.matches("without one:_redeemd_names lanes").count(), 5, "{zsh}");
    assert!(!zsh.contains("without one:_default"));
}
