//! The table that is printed at the end.

use std::fmt::Display;

/// Figures, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
    missed: Vec<String>,
}

const HEAD: [&str; 4] = ["figure", "measured", "limit", "met?"];

impl Table {
    /// A figure that must be reached.
    pub(crate) fn judge(&mut self, figure: &str, measured: impl Display, limit: impl Display, is_met: bool) {
        let verdict = if is_met { "yes" } else { "MISSED" };
        let (measured, limit) = (measured.to_string(), limit.to_string());
        if !is_met {
            self.missed.push(format!("{figure}: {measured}, limit {limit}"));
        }
        self.add([figure.to_owned(), measured, limit, verdict.to_owned()]);
    }

    /// A figure to compare with, or to know.
    pub(crate) fn inform(&mut self, figure: &str, measured: impl Display) {
        self.add([figure.to_owned(), measured.to_string(), String::new(), String::new()]);
    }

    fn add(&mut self, row: [String; 4]) {
        eprintln!("  {}: {} {}", row[0], row[1], row[3]);
        self.rows.push(row);
    }

    /// Prints all rows, and again those that were missed.
    pub(crate) fn print(&self) {
        let head = HEAD.map(str::to_owned);
        let all = || std::iter::once(&head).chain(&self.rows);
        let widths: [usize; 4] = std::array::from_fn(|column| {
            all().map(|row| row[column].chars().count()).max().unwrap_or_default()
        });
        println!();
        for row in all() {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            println!("| {} |", cells.join(" | "));
        }
        println!();
        match self.missed.as_slice() {
            [] => println!("every figure is reached"),
            missed => missed.iter().for_each(|figure| println!("!!! MISSED !!! {figure}")),
        }
    }
}
