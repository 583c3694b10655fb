//! The tables: what was tried, how often, what was expected and what was observed.

use std::fmt::Write;

use crate::trial::Outcome;

/// The head of most tables.
pub(crate) const HEAD: [&str; 4] = ["tried", "how often", "expected", "observed"];

/// All tables so far.
#[derive(Default)]
pub(crate) struct Report {
    text: String,
    wrong: Vec<String>,
}

impl Report {
    /// Begins the table of a section.
    pub(crate) fn begin(&mut self, title: &str, head: &[&str]) {
        let rule = "---|".repeat(head.len());
        let _ = write!(self.text, "\n### {title}\n\n| {} |\n|{rule}\n", head.join(" | "));
    }

    /// A row of a table with the usual [`HEAD`].
    pub(crate) fn row(&mut self, tried: &str, often: impl ToString, should: &str, outcome: Outcome) {
        let came_out = self.cell(tried, outcome);
        self.cells(&[tried.to_owned(), often.to_string(), should.to_owned(), came_out]);
    }

    /// A row of any table.
    pub(crate) fn cells(&mut self, cells: &[String]) {
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        let row = format!("| {} |", cells.join(" | "));
        eprintln!("  {row}");
        self.text += &row;
        self.text.push('\n');
    }

    /// A paragraph below a table.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n{text}");
    }

    /// What came out, as it is shown; remembers what is wrong.
    pub(crate) fn cell(&mut self, tried: &str, outcome: Outcome) -> String {
        outcome.unwrap_or_else(|wrong| {
            self.wrong.push(format!("{tried}: {wrong}"));
            format!("**WRONG**: {wrong}")
        })
    }

    /// The tables as Markdown.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What came out other than it should.
    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}
