//! What was tried against the sender and the receiver, how often, and what came out: `cargo run --release -p reliability`.
//!
//! Every trial starts hosts of its own, real processes with real sockets and databases, harms them or what
//! they speak to, and looks at what comes out. The tables are printed and written into
//! `docs/reliability.md`, or into the file that `--output` names. It fails when anything came out other than
//! it should. The names of sections as arguments try these alone; what was drawn by chance is drawn again
//! with the same `--seed`.

#![forbid(unsafe_code)]

mod document;
mod gate;
mod handlers;
mod host;
mod http;
mod load;
mod procfs;
mod pulse;
mod report;
mod scene;
mod search;
mod secrets;
mod sections;
mod stores;
mod subject;
mod trial;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use report::Report;
use search::Search;
use sections::{databases, faults, floods, kills, latency, month, panics, receiver};
use trial::{Context, short};

/// What this program calls itself with to be a host.
const HOST: &str = "host";

/// A name, and what tries it.
type Section = (&'static str, fn(&Context, &mut Report));

/// In this order: the last but one looks through what all hosts before it printed.
const SECTIONS: [Section; 9] = [
    ("faults", faults::run),
    ("kills", kills::run),
    ("panics", panics::run),
    ("receiver", receiver::run),
    ("floods", floods::run),
    ("databases", databases::run),
    ("latency", latency::run),
    ("secrets", sections::secrets::run),
    ("month", month::run),
];

/// Tries everything that may go wrong for the sender, and reports how often and what came out.
#[derive(Debug, Parser)]
#[command(name = "reliability")]
struct Arguments {
    /// Sections to run; all without an argument
    #[arg(value_parser = PossibleValuesParser::new(SECTIONS.map(|(name, _)| name)))]
    sections: Vec<String>,
    /// File that the tables are written to; without this option, a full run writes docs/reliability.md
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seed of all chance; random without this option
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Try few cases of each kind, to see whether everything still works
    #[arg(long = "reduced")]
    is_reduced: bool,
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(HOST) {
        return host::run();
    }
    // A trial that panics is a row of the table; what all hosts printed is not to flood the terminal.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("  {}", panic.to_string().chars().take(500).collect::<String>())
    }));
    try_everything(&Arguments::parse())
}

fn try_everything(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let context = Context { search: Search::new(), seed, is_reduced: arguments.is_reduced };
    let mut report = Report::default();
    for (name, run) in SECTIONS {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            eprintln!("{name} (after {})", short(began.elapsed()));
            run(&context, &mut report);
        }
    }
    let summary = format!("All of it took {}, with the seed {seed}.", short(began.elapsed()));
    let text = format!("{}\n{summary}\n", report.text());
    println!("{text}");
    let is_whole = arguments.sections.is_empty() && !arguments.is_reduced;
    let written = match &arguments.output {
        Some(file) => document::create(file, &text),
        None if is_whole => document::replace(&text),
        None => Ok(()),
    };
    if let Err(error) = &written {
        eprintln!("the table cannot be written: {error}");
    }
    // Last, where people look first.
    for wrong in report.wrong() {
        eprintln!("WRONG: {wrong}");
    }
    if report.wrong().is_empty() && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
