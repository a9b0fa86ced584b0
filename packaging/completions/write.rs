//! Writes the shells' completions into a folder: what clap generates, and beside it the names that
//! only the running gateway knows. The package is built with it.

use std::path::Path;

use clap_complete::{Shell, generate};

/// The shells, each with the name of its file.
pub(crate) const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "redeemd.bash"), (Shell::Zsh, "redeemd.zsh"), (Shell::Fish, "redeemd.fish")];

/// What asks the running gateway for the names of lanes and tills.
const NAMES_BASH: &str = include_str!("names.bash");
const NAMES_ZSH: &str = include_str!("names.zsh");
const NAMES_FISH: &str = include_str!("names.fish");

fn main() -> Result<(), std::io::Error> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| {
        std::io::Error::other("say into which folder the completions are to be written")
    })?;
    std::fs::create_dir_all(&folder)?;
    for (shell, name) in SHELLS {
        std::fs::write(Path::new(&folder).join(name), completions(shell))?;
    }
    Ok(())
}

/// The completions of one shell.
pub(crate) fn completions(shell: Shell) -> String {
    let mut generated = Vec::new();
    generate(shell, &mut redeemd::cli::command(), "redeemd", &mut generated);
    let text = String::from_utf8_lossy(&generated);
    match shell {
        Shell::Zsh => with_names_of_zsh(&text),
        Shell::Fish => text.into_owned() + NAMES_FISH,
        _ => text.into_owned() + NAMES_BASH,
    }
}

fn with_names_of_zsh(text: &str) -> String {
    let mut text = text
        .replace(":LANE:_default", ":LANE:_redeemd_names lanes")
        .replace(":TILL:_default", ":TILL:_redeemd_names tills")
        .replace(
            "all of them without one:_default",
            "all of them without one:_redeemd_names lanes",
        );
    // What a function needs stands before the file's last part, which calls it.
    let end = text.rfind("\nif [ ").unwrap_or(text.len());
    text.insert_str(end, &format!("\n{NAMES_ZSH}"));
    text
}
