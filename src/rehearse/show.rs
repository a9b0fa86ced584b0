//! What a rehearsal prints: a line a step, a bar for the drain, the books; or JSON, an object a
//! line.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::RehearseError;
use super::verdict::FinalBooks;
use crate::message::fine;

/// The bar's width in characters.
const BAR_WIDTH: u64 = 40;

/// The printer.
pub(super) struct Show<'a> {
    out: &'a mut dyn Write,
    json: bool,
    is_terminal: bool,
    /// Tenths of the drain that were printed where nothing can be redrawn.
    tenths: Option<u64>,
}

impl<'a> Show<'a> {
    pub(super) fn new(out: &'a mut dyn Write, json: bool) -> Self {
        Self { out, json, is_terminal: std::io::stdout().is_terminal(), tenths: None }
    }

    /// A step, in words and as data.
    pub(super) fn step(
        &mut self,
        name: &str,
        words: &str,
        mut data: Value,
    ) -> Result<(), RehearseError> {
        if self.json {
            if let Some(object) = data.as_object_mut() {
                object.insert("step".to_owned(), name.into());
            }
            writeln!(self.out, "{data}")?;
        } else {
            writeln!(self.out, "{name:<9} {words}")?;
        }
        Ok(self.out.flush()?)
    }

    /// How far the drain is.
    pub(super) fn drain(&mut self, done: u64, all: u64) -> Result<(), RehearseError> {
        let tenths = (done * 10).checked_div(all).unwrap_or(10);
        let is_news = self.tenths != Some(tenths);
        self.tenths = Some(tenths);
        if self.json {
            if is_news {
                writeln!(self.out, "{}", json!({ "step": "drain", "delivered": done, "of": all }))?;
            }
        } else if self.is_terminal {
            write!(self.out, "\r{:<9} [{}] {done}/{all} ", "drain", bar(done, all))?;
        } else if is_news {
            writeln!(self.out, "{:<9} [{}] {done}/{all}", "drain", bar(done, all))?;
        }
        Ok(self.out.flush()?)
    }

    /// The bar's line is complete.
    pub(super) fn drained(&mut self, all: u64, took: Duration) -> Result<(), RehearseError> {
        if self.is_terminal && !self.json {
            writeln!(self.out)?;
        }
        let words = format!("{all} delivered in {}", fine(took));
        self.step("drained", &words, json!({ "delivered": all, "ms": millis(took) }))
    }

    /// The end: both sides' books and the judgement.
    pub(super) fn books(&mut self, books: &FinalBooks) -> Result<bool, RehearseError> {
        let problems = books.problems();
        let balanced = problems.is_empty();
        if self.json {
            let data =
                json!({ "step": "books", "ok": balanced, "books": books, "problems": problems });
            writeln!(self.out, "{data}")?;
        } else {
            write!(self.out, "{}", table(books))?;
            for problem in &problems {
                writeln!(self.out, "  NOT SO: {problem}")?;
            }
            let end = if balanced {
                "The books balance: accepted = pending + confirmed + declined + parked + voided;\n\
                 every acknowledged redemption was taken once, under one key."
            } else {
                "The books do NOT balance."
            };
            writeln!(self.out, "{end}")?;
        }
        self.out.flush()?;
        Ok(balanced)
    }

    pub(super) fn kept(&mut self, folder: &Path) -> Result<(), RehearseError> {
        let folder = folder.display().to_string();
        self.step("kept", &format!("the rehearsal's folder: {folder}"), json!({ "folder": folder }))
    }
}

fn bar(done: u64, all: u64) -> String {
    let filled = (done * BAR_WIDTH).checked_div(all).unwrap_or(BAR_WIDTH).min(BAR_WIDTH);
    (0..BAR_WIDTH).map(|at| if at < filled { '#' } else { '.' }).collect()
}

fn table(books: &FinalBooks) -> String {
    let FinalBooks { acknowledged, refused, gateway, provider } = books;
    let lines = [
        ("acknowledged at the till", *acknowledged, "provider: codes taken", provider.codes_taken),
        ("accepted", gateway.accepted, "keys seen", provider.keys_seen),
        ("  pending", gateway.pending, "codes under two keys", provider.codes_under_two_keys),
        ("  confirmed", gateway.confirmed, "told \"has been used\"", provider.told_used),
        ("  declined", gateway.declined, "requests", provider.requests),
        ("  parked", gateway.parked, "connections", provider.connections),
    ];
    let line = |(left, number, right, other)| {
        format!("  {left:<26}{number:>9}    {right:<24}{other:>9}\n")
    };
    let both: String = lines.map(line).concat();
    format!(
        "\n{both}  {:<26}{:>9}\n  {:<26}{refused:>9}\n\n",
        "  voided", gateway.voided, "refused by offline limits"
    )
}

/// Milliseconds for JSON.
pub(super) fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_at_the_start_and_full_at_the_end() {
        assert_eq!(bar(0, 7), ".".repeat(40));
        assert_eq!(bar(7, 7), "#".repeat(40));
        assert_eq!(bar(1, 2), format!("{}{}", "#".repeat(20), ".".repeat(20)));
        assert_eq!(bar(0, 0), "#".repeat(40));
    }

    #[test]
    fn json_is_an_object_a_line() {
        let mut out = Vec::new();
        let mut show = Show::new(&mut out, true);
        show.step("cut", "the line is cut", json!({})).unwrap();
        show.drain(1, 10).unwrap();
        show.drain(1, 10).unwrap();
        show.drain(10, 10).unwrap();
        let text = String::from_utf8(out).unwrap();
        let steps: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(steps.len(), 3);
        assert_eq!((&steps[0]["step"], &steps[2]["delivered"]), (&"cut".into(), &10.into()));
    }
}
