//! The table, and the little arithmetic behind it.

use std::fmt::{self, Display, Formatter};

/// Rows of the table.
pub(crate) struct Report(Vec<[String; 3]>);

impl Report {
    pub(crate) fn new() -> Self {
        Self(vec![["what".to_owned(), "measured".to_owned(), "floor, moonshot".to_owned()]])
    }

    /// Adds a row and shows it at once: the whole takes minutes.
    pub(crate) fn row(&mut self, what: &str, measured: &str, goal: &str) {
        eprintln!("{what}: {measured} ({goal})");
        self.0.push([what.to_owned(), measured.to_owned(), goal.to_owned()]);
    }

    pub(crate) fn print(&self) {
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let (first, second) = (width(0), width(1));
        println!();
        for [what, measured, goal] in &self.0 {
            println!("{what:<first$}  {measured:<second$}  {goal}");
        }
    }
}

/// What the rounds gave: the middle one, and how far apart they were.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Rounds {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len() / 2),
            least: at(0),
            most: at(values.len().saturating_sub(1)),
        }
    }

    /// The quotients of two things that were measured in turn, round by round: what slows both
    /// slows neither.
    pub(crate) fn ratios(over: &[f64], under: &[f64]) -> Self {
        Self::of(over.iter().zip(under).map(|(over, under)| over / under).collect())
    }
}

/// Whole numbers where they are large, two digits after the point where they are small.
impl Display for Rounds {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 100.0 { 2 } else { 0 };
        write!(out, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.least, self.most)
    }
}

/// `over / under` for people.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn ratio(over: u64, under: u64) -> f64 {
    over as f64 / under as f64
}
