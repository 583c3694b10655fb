//! The figures that the telemetry must reach, measured: `cargo bench --all-features`.
//!
//! Prints a table, in about two and a half minutes, most of which is watching idle hosts. A figure
//! that is missed is said loudly and fails nothing: a busy machine is no fault of the code.
//!
//! `cargo bench --all-features --bench figures -- license stop` measures these two alone; the names
//! are those of [`PARTS`], and `idle`.

#![forbid(unsafe_code)]

mod begin;
mod black_hole;
mod host;
mod idle;
mod license;
mod payload;
mod proc;
mod samples;
mod startup;
mod stop;
mod stopwatch;
mod subject;
mod table;

use std::env;
use std::process::{Command, ExitCode};

use table::Table;

/// What this program calls itself with to measure, and to be the host that is measured.
const MEASURE: &str = "measure";
const HOST: &str = "host";

/// A name, and what measures it.
type Part = (&'static str, fn(&mut Table));

/// What can be measured alone, in this order. The idle hosts idle beside the others.
const PARTS: [Part; 5] = [
    ("license", license::measure),
    ("payload", payload::measure),
    ("begin", begin::measure),
    ("stop", stop::measure),
    ("startup", startup::measure),
];
const IDLE: &str = "idle";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [MEASURE, parts @ ..] => measure(parts),
        [HOST, store @ ..] => host::run(store.first().copied()),
        // `cargo bench` says so; `cargo test --benches` does not, and is not to be slowed.
        _ if arguments.contains(&"--bench") => return measure_unproxied(&arguments),
        _ => println!("figures: measures only when run by `cargo bench --all-features`"),
    }
    ExitCode::SUCCESS
}

/// Everything here is on the loopback, which the proxy of the one who calls must not get to see.
fn measure_unproxied(arguments: &[&str]) -> ExitCode {
    let mut command = Command::new(subject::this_program());
    command.arg(MEASURE).args(arguments.iter().filter(|argument| !argument.starts_with('-')));
    subject::clear_environment(&mut command);
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn measure(parts: &[&str]) {
    let is_wanted = |name: &str| parts.is_empty() || parts.contains(&name);
    let mut table = Table::default();
    let idle = is_wanted(IDLE).then(idle::Watch::begin);
    for (name, measure) in PARTS.into_iter().filter(|(name, _)| is_wanted(name)) {
        eprintln!("{name}");
        measure(&mut table);
    }
    if let Some(idle) = idle {
        eprintln!("{IDLE}: waiting for the rest of the time");
        idle.finish(&mut table);
    }
    table.print();
}
