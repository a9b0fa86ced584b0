//! The table, and the little arithmetic behind it.

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
            self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let (first, second) = (width(0), width(1));
        println!();
        for [what, measured, goal] in &self.0 {
            println!("{what:<first$}  {measured:<second$}  {goal}");
        }
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `over / under` for people.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn ratio(over: u64, under: u64) -> f64 {
    over as f64 / under as f64
}
