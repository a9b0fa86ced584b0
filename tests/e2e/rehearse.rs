//! `redeemd rehearse`, as the engineer who installs a gateway runs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Provider, redeemd};

/// Settings whose provider is `provider` and whose state is in `folder`; the ports are never to be
/// used.
fn settings(folder: &Path, provider: &Provider, more: &str) -> std::path::PathBuf {
    let token = folder.join("token");
    std::fs::write(&token, "t").unwrap();
    let text = format!(
        "[gateway]\nstate_dir = \"{}\"\n[[provider]]\nname = \"real\"\nredeem_url \
         = \"{}\"\ntoken_file = \"{}\"\n\
         [forward]\nreconnect_spread = \"0s\"\n{more}\n",
        folder.join("state").display(),
        provider.redeem_url,
        token.display()
    );
    let path = folder.join("redeemd.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn rehearse(settings: &Path, args: &[&str]) -> Output {
    redeemd("rehearse").arg("--config").arg(settings).args(args).output().unwrap()
}

#[test]
fn a_rehearsal_balances_touches_nothing_that_is_configured_and_leaves_nothing_behind() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::start());
    let settings = settings(folder.path(), &provider, "");
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let output = rehearse(&settings, &["--count", "30"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for act in [
        "online",
        "cut",
        "offline",
        "killed",
        "started",
        "restored",
        "drained",
        "The books balance",
    ] {
        assert!(shown.contains(act), "{act} is not in {shown}");
    }
    shows_what_the_readme_shows(&shown);
    assert!(!shown.contains('\r'), "nothing is redrawn where there is no terminal");
    assert_eq!(provider.summary("connections"), 0, "the configured provider was spoken to");
    assert_eq!(std::fs::read_dir(folder.path().join("state")).unwrap().count(), 0);
}

/// The lines of README's example are those of the program, whatever the figures and times.
fn shows_what_the_readme_shows(shown: &str) {
    let masked = |text: &str| -> BTreeSet<String> {
        let word = |word: &str| match word.trim_end_matches([',', ';']) {
            unit @ ("ms" | "s" | "µs" | "min") => word.replace(unit, "time"),
            number if number.contains(|c: char| c.is_ascii_digit()) => "0".to_owned(),
            _ => word.to_owned(),
        };
        let words = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
        // Whether the line has been found open again by the next redemption is chance.
        text.replace("is confirmed by the provider", "is accepted").lines().map(words).collect()
    };
    let readme = include_str!("../../README.md");
    let example = readme.split("$ redeemd rehearse\n").nth(1).unwrap().split("```").next().unwrap();
    let program = masked(shown);
    for line in masked(example).iter().filter(|line| !line.starts_with("drain ")) {
        assert!(program.contains(line), "README has {line:?}, the program {program:#?}");
    }
}

#[test]
fn the_given_limits_hold_in_a_rehearsal_and_json_says_so() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::start());
    let settings = settings(folder.path(), &provider, "[offline]\nmax_pending = 10");
    let output = rehearse(&settings, &["--count", "30", "--json"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    let steps: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let books = steps.last().unwrap();
    assert_eq!((&books["step"], &books["ok"]), (&"books".into(), &true.into()), "{shown}");
    let refused = books["books"]["refused"].as_u64().unwrap();
    assert!((19..=21).contains(&refused), "{shown}");
    assert_eq!(
        books["books"]["acknowledged"], books["books"]["provider"]["codes_taken"],
        "{shown}"
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_named_and_ends_with_the_exit_code_that_run_has() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::start());
    let settings = settings(folder.path(), &provider, "");
    // Also root cannot make a folder there.
    let text = std::fs::read_to_string(&settings).unwrap();
    let state = folder.path().join("state");
    std::fs::write(&settings, text.replace(state.to_str().unwrap(), "/proc/self")).unwrap();
    let output = rehearse(&settings, &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.contains("/proc/")), (Some(73), true), "{said}");
}

/// Settings that are good, and how many of five are refused while the line is cut: each is played,
/// and the books balance.
#[test]
fn the_stores_own_limits_and_rules_are_played_and_the_books_balance_under_them() {
    for (limits, refused) in [
        ("[offline]\naccept = false", 5),
        ("[offline]\nmax_exposure = \"50.00\"", 3),
        ("[offline]\nmax_value = \"10.00\"", 5),
        ("[offline]\nmax_per_hour = 4", 1),
        ("[offline.code_form]\nalphabet = \"digits\"", 5),
        ("[[offline.rule]]\nname = \"none\"\naccept = false", 5),
        ("[[offline.rule]]\nname = \"two\"\ncode = [\"REHEARSAL-*\"]\nmax_pending = 2", 3),
    ] {
        let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::start());
        let settings = settings(folder.path(), &provider, limits);
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let output = rehearse(&settings, &["--count", "5", "--json"]);
        let shown = String::from_utf8(output.stdout).unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{limits}: {shown}{why}");
        let acts: Vec<Value> =
            shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let offline = acts.iter().find(|act| act["step"] == "offline").expect("the outage");
        assert_eq!(offline["refused"], refused, "{limits}: {shown}");
    }
}
