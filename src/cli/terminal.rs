//! What standard output is: a terminal of some width that shows colours, or a file.

use std::io::IsTerminal;

/// The narrowest and the widest text, in columns.
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 120;

/// What a table is shown on; a file has neither colours nor columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Screen {
    /// Whether the words that say how something stands have colours.
    pub(super) is_coloured: bool,
    /// How wide it is.
    pub(super) columns: Option<usize>,
}

impl Screen {
    /// Standard output.
    pub(super) fn of_output() -> Self {
        Self { is_coloured: has_colours(), columns: is_terminal().then(width) }
    }
}

/// The columns to fill: those of `COLUMNS`, else the terminal's, else 80.
pub(super) fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let seen = || {
        rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col))
    };
    said.or_else(seen).filter(|columns| *columns > 0).unwrap_or(80).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// Whether colours are wanted: on a terminal that has them, unless `NO_COLOR` is set
/// (no-color.org).
fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person looks on.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// The colour of a word that says how something stands, as SGR parameters; nothing for other words.
pub(super) fn colour(word: &str) -> Option<&'static str> {
    match word {
        "up" | "confirmed" => Some("32"),
        "down" | "declined" => Some("31"),
        "held" | "parked" => Some("33"),
        "pending" => Some("36"),
        "voided" => Some("2"),
        _ => None,
    }
}
