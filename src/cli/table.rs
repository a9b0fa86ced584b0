//! Plain text for people: aligned tables, wrapped paragraphs, counts and durations; safe to show.

use crate::text::escaped;

/// The narrowest and the widest text, in columns.
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 120;

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of cells under a header.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align, usize)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| (*name, *align, name.len())).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns; strings from outside are made safe here.
    pub(super) fn row(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell).into_owned()).collect();
        for (column, cell) in self.columns.iter_mut().zip(&cells) {
            column.2 = column.2.max(cell.chars().count());
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
        for ((_, align, width), cell) in self.columns.iter().zip(cells) {
            let padding = " ".repeat(width - cell.chars().count().min(*width));
            match align {
                Align::Left => line.extend([cell, &padding, "  "]),
                Align::Right => line.extend([&padding, cell, "  "]),
            }
        }
        format!("{}\n", line.trim_end())
    }
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
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
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

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    columns.unwrap_or(80).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Seconds in the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        86_400.. => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_names_and_no_line_ends_in_space() {
        let mut table = Table::new(&[("ID", Align::Left), ("TRIES", Align::Right), ("NOTE", Align::Left)]);
        table.row(&["1-abc".into(), "2".into(), String::new()]);
        table.row(&["22-é".into(), "1234567".into(), "x".into()]);
        let (header, rows) = (table.header(), table.take_rows());
        assert_eq!(header, "ID       TRIES  NOTE\n");
        assert_eq!(rows, "1-abc        2\n22-é   1234567  x\n");
        assert_eq!(table.take_rows(), "");
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
        assert_eq!([59, 61, 3600, 90_000].map(duration), ["59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
    }
}
