//! The tables of measured figures, and at the end the promises and whether they are kept.

use std::fmt::{Display, Write};

/// The tables so far.
#[derive(Default)]
pub(crate) struct Report {
    text: String,
    /// Whether figures are only shown: those of seconds, beside other programs, say little.
    is_reduced: bool,
    promises: Vec<[String; 4]>,
    broken: Vec<String>,
}

impl Report {
    /// The report of a run of minutes, or of a reduced one of seconds.
    pub(crate) fn new(is_reduced: bool) -> Self {
        Self { is_reduced, ..Self::default() }
    }

    /// Begins a table.
    pub(crate) fn begin(&mut self, title: &str, head: &[&str]) {
        let rule = "---|".repeat(head.len());
        eprintln!("  {title}: {}", head.join(" | "));
        let _ = write!(self.text, "\n### {title}\n\n| {} |\n|{rule}\n", head.join(" | "));
    }

    /// Adds a row to the table.
    pub(crate) fn row(&mut self, cells: &[String]) {
        let row = format!("| {} |", cells.join(" | "));
        eprintln!("  {row}");
        self.text += &row;
        self.text.push('\n');
    }

    /// Adds a promise with its limit, the measured value and whether the promise is kept.
    pub(crate) fn promise(&mut self, what: &str, limit: impl Display, measured: impl Display, is_kept: bool) {
        if !is_kept {
            self.broken.push(format!("{what}: {measured}, limit {limit}"));
        }
        self.judged(what, limit, measured, if is_kept { "yes" } else { "**NO**" });
    }

    /// Adds a promise about speed or memory. A reduced run shows it and fails at none.
    pub(crate) fn figure(&mut self, what: &str, limit: impl Display, measured: impl Display, is_kept: bool) {
        if self.is_reduced {
            self.judged(what, limit, measured, "not judged");
        } else {
            self.promise(what, limit, measured, is_kept);
        }
    }

    fn judged(&mut self, what: &str, limit: impl Display, measured: impl Display, verdict: &str) {
        let row = [what.to_owned(), limit.to_string(), measured.to_string(), verdict.to_owned()];
        eprintln!("  {}", row.join(" | "));
        self.promises.push(row);
    }

    /// Adds a section that failed without figures.
    pub(crate) fn failed(&mut self, what: &str, why: &str) {
        // An error may contain the output of a program.
        let why: String = why.replace('\n', " ").chars().take(500).collect();
        self.promise(what, "it runs", why, false);
    }

    /// The tables as Markdown, with the promises last.
    pub(crate) fn text(&self) -> String {
        let mut text = self.text.clone();
        text += "\n### What is promised\n\n| promise | limit | measured | kept? |\n|---|---|---|---|\n";
        for row in &self.promises {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text
    }

    /// The promises that are not kept.
    pub(crate) fn broken(&self) -> &[String] {
        &self.broken
    }
}
