//! The table that is printed at the end.

use crate::host::{Each, Host};
use crate::values::Values;

/// Figures, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    /// A name, and a cell for each host.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A figure, and how many times as much and how much more it is than without telemetry.
    pub(crate) fn compare(&mut self, figure: &str, values: Each<f64>, show: impl Fn(f64) -> String) {
        let without = |host: Host| values[host.without() as usize];
        let ratio = |host: Host, value: f64| format!("{} ×{:.2}", show(value), value / without(host));
        let more = |host: Host, value: f64| match value - without(host) {
            less if less < 0.0 => format!("−{}", show(-less)),
            more => format!("+{}", show(more)),
        };
        self.add(
            figure,
            Host::ALL.map(|host| match values[host as usize] {
                value if host.reports() => ratio(host, value),
                value => show(value),
            }),
        );
        self.inform_each("  more than without", |host| more(host, values[host as usize]));
    }

    /// A figure that is nothing without telemetry.
    pub(crate) fn inform(&mut self, figure: &str, values: Each<f64>, show: impl Fn(f64) -> String) {
        self.inform_each(figure, |host| show(values[host as usize]));
    }

    fn inform_each(&mut self, figure: &str, show: impl Fn(Host) -> String) {
        self.add(figure, Host::ALL.map(|host| if host.reports() { show(host) } else { String::new() }));
    }

    /// How far the values are apart of which the medians were compared.
    pub(crate) fn middle_half(&mut self, values: &Each<Values>, show: impl Fn(f64) -> String) {
        let cells = values.each_ref().map(|values| {
            let (from, to) = values.middle_half();
            format!("{} to {}", show(from), show(to))
        });
        self.add("  half of all are within", cells);
    }

    fn add(&mut self, figure: &str, cells: Each<String>) {
        let row: Vec<String> = [figure.to_owned()].into_iter().chain(cells).collect();
        eprintln!("  {}", row.join(" | "));
        self.rows.push(row);
    }

    pub(crate) fn print(&self) {
        let mut head = vec![String::new()];
        head.extend(Host::ALL.map(|host| host.title().to_owned()));
        let all = || [&head].into_iter().chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let print = |row: &[String]| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            println!("| {} |", cells.join(" | "));
        };
        print(&head);
        print(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
        self.rows.iter().for_each(|row| print(row));
    }
}

/// How many.
pub(crate) fn count(number: f64) -> String {
    format!("{number:.0}")
}

/// Of bytes.
pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1e6)
}

/// Of seconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

/// Of seconds.
pub(crate) fn microseconds(seconds: f64) -> String {
    format!("{:.0} µs", seconds * 1e6)
}
