//! The manual page and the shells' completions say what the command line takes, no less.

#![allow(
    clippy::unwrap_used,
    reason = "the exceptions for tests do not reach the helpers of an integration test"
)]

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
