//! Plain text for people: aligned tables, wrapped paragraphs, counts and durations; safe to show.

use std::time::Duration;

use unicode_width::UnicodeWidthChar;

use super::terminal::{Screen, colour, width};
use crate::message::{Language, grouped, money, short};
use crate::text::escaped;
use crate::value::Amount;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A last column narrower than this is not wrapped: words would stand below each other.
const LAST_CELL_MIN: usize = 12;

/// Rows of cells under a header.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align, usize)>,
    rows: Vec<Vec<String>>,
    screen: Screen,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| (*name, *align, name.len())).collect();
        Self { columns, rows: Vec::new(), screen: Screen::default() }
    }

    /// As it is best read there.
    pub(super) fn on(self, screen: Screen) -> Self {
        Self { screen, ..self }
    }

    /// Adds a row of as many cells as there are columns; strings from outside are made safe here.
    pub(super) fn row(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell).into_owned()).collect();
        for (column, cell) in self.columns.iter_mut().zip(&cells) {
            column.2 = column.2.max(columns(cell));
        }
        self.rows.push(cells);
    }

    pub(super) fn header(&self) -> String {
        self.line(self.columns.iter().map(|(name, ..)| *name))
    }

    /// The rows since the last call, in the widest columns so far.
    pub(super) fn take_rows(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        rows.iter().map(|row| self.line(row.iter().map(String::as_str))).collect()
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let mut line = String::new();
        let last = self.columns.len().saturating_sub(1);
        for (at, ((_, align, width), cell)) in self.columns.iter().zip(cells).enumerate() {
            if at == last && *align == Align::Left {
                line.push_str(&self.last_cell(cell));
                break;
            }
            let padding = " ".repeat(width - columns(cell).min(*width));
            let cell = self.dressed(cell);
            match align {
                Align::Left => line.extend([&cell, &padding, "  "]),
                Align::Right => line.extend([&padding, &cell, "  "]),
            }
        }
        format!("{}\n", line.trim_end())
    }

    /// The last cell, under itself where the terminal is too narrow for it.
    fn last_cell(&self, cell: &str) -> String {
        let before: usize = self.columns.iter().rev().skip(1).map(|(_, _, width)| width + 2).sum();
        let left = self.screen.columns.map_or(usize::MAX, |columns| columns.saturating_sub(before));
        if left < LAST_CELL_MIN || columns(cell) <= left {
            return self.dressed(cell);
        }
        let parts: Vec<String> =
            wrapped(cell, left).iter().map(|part| self.dressed(part)).collect();
        parts.join(&format!("\n{}", " ".repeat(before)))
    }

    /// In its colour; what is read from the right is kept from turning its neighbours (U+2068,
    /// U+2069), which no terminal shows.
    fn dressed(&self, cell: &str) -> String {
        let turns = self.screen.columns.is_some() && cell.chars().any(is_read_from_the_right);
        let cell = if turns { format!("\u{2068}{cell}\u{2069}") } else { cell.to_owned() };
        match colour(&cell).filter(|_| self.screen.is_coloured) {
            Some(colour) => format!("\u{1b}[{colour}m{cell}\u{1b}[0m"),
            None => cell,
        }
    }
}

/// Hebrew, Arabic and their neighbours, and the forms of their letters.
fn is_read_from_the_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// The columns that a terminal gives to a text: it places character by character, and joins no lam
/// and alef into one, as whole texts are measured.
fn columns(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// `label` and its text beside it, wrapped under itself.
pub(super) fn paragraph(label: &str, text: &str, indent: usize) -> String {
    let safe = escaped(text);
    let lines = wrapped(&safe, width().saturating_sub(indent));
    let mut shown = String::new();
    for (at, line) in lines.iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let filled = format!("{label:indent$}{line}");
        shown.push_str(filled.trim_end());
        shown.push('\n');
    }
    shown
}

/// At least one line; a word longer than a line stands alone and whole, because ids are copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && columns(line) + 1 + columns(word) > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    grouped(number)
}

/// `1234567.50` as `1,234,567.50`; what is no amount stays as it is.
pub(super) fn shown_money(amount: &str) -> String {
    Amount::parse(amount).map_or_else(|| amount.to_owned(), money)
}

/// Seconds in the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    short(Duration::from_secs(seconds), Language::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_names_and_no_line_ends_in_space() {
        let mut table =
            Table::new(&[("ID", Align::Left), ("TRIES", Align::Right), ("NOTE", Align::Left)]);
        table.row(&["1-abc".into(), "2".into(), String::new()]);
        table.row(&["22-é".into(), "1234567".into(), "x".into()]);
        let (header, rows) = (table.header(), table.take_rows());
        assert_eq!(header, "ID       TRIES  NOTE\n");
        assert_eq!(rows, "1-abc        2\n22-é   1234567  x\n");
        assert_eq!(table.take_rows(), "");
    }

    #[test]
    fn columns_stand_by_what_a_terminal_shows_of_a_text() {
        let mut table = Table::new(&[("TILL", Align::Left), ("N", Align::Left)]);
        // A vowel sign stands above its letter and takes no column; a wide character takes two.
        table.row(&["مُكافأة".into(), "1".into()]);
        table.row(&["漢字".into(), "2".into()]);
        assert_eq!(table.take_rows(), "مُكافأة  1\n漢字    2\n");
        // A lam and an alef are two characters, and terminals give each its own column.
        table.row(&["الأول".into(), "3".into()]);
        assert_eq!(table.take_rows(), "الأول   3\n");
    }

    #[test]
    fn colours_take_no_column_and_other_words_have_none() {
        let screen = Screen { is_coloured: true, columns: Some(80) };
        let mut table = Table::new(&[("STATE", Align::Left), ("N", Align::Left)]).on(screen);
        table.row(&["parked".into(), "x".into()]);
        assert_eq!(table.take_rows(), "\u{1b}[33mparked\u{1b}[0m  x\n");
    }

    #[test]
    fn on_a_terminal_arabic_cells_do_not_turn_their_neighbours_and_the_last_one_is_wrapped() {
        let screen = Screen { is_coloured: false, columns: Some(40) };
        let mut table =
            Table::new(&[("TILL", Align::Left), ("ID", Align::Left), ("MARKS", Align::Left)])
                .on(screen);
        table.row(&[
            "كاشير".into(),
            "41-abc".into(),
            "uncertain, refused at till, offline, on trust".into(),
        ]);
        let expected = "\u{2068}كاشير\u{2069}  41-abc  uncertain, refused at\n               till, \
            offline, on trust\n";
        assert_eq!(table.take_rows(), expected);
        let mut file = Table::new(&[("TILL", Align::Left), ("N", Align::Left)]);
        file.row(&["كاشير".into(), "a b c d e f".repeat(40)]);
        assert_eq!(
            file.take_rows().lines().count(),
            1,
            "a file has no width, and no marks that nobody sees"
        );
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        let mut table = Table::new(&[("TILL", Align::Left)]);
        table.row(&["a\u{1b}[2K\rb\nc".into()]);
        assert_eq!(table.take_rows(), "a\\u{1b}[2K\\rb\\nc\n");
        assert_eq!(paragraph("note", "a\u{1b}b", 6), "note  a\\u{1b}b\n");
    }

    #[test]
    fn long_text_is_wrapped_between_words_and_ids_stay_whole() {
        assert_eq!(wrapped("one two  three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("a 123456789012 b", 5), ["a", "123456789012", "b"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn counts_and_durations_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [59, 61, 3600, 90_000].map(duration),
            ["59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]
        );
    }
}
