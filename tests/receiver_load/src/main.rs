//! Measures what the receiver takes, how fast, and what it does when overloaded, attacked or killed:
//! `cargo run --release -p receiver-load`.
//!
//! It builds and starts the real program `fleet`, on a PostgreSQL of its own that syncs every commit to the disk, and on
//! SQLite. It prints tables, and fails if a promise is not kept. `--help` lists the options.

#![forbid(unsafe_code)]

mod bare;
mod fleet;
mod hostile;
mod listeners;
mod machine;
mod payload;
mod pgbench;
mod procfs;
mod receiver;
mod report;
mod samples;
mod sections;
mod stored;
mod traffic;
mod wire;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::Parser;
use clap::builder::PossibleValuesParser;

use report::Report;
use sections::{
    adoption, beside, distributed, forgetting, ingest, keys, kills, open_loop, overload, pages, queries,
};

/// Argument with which this program starts itself as the handler to compare with.
const BARE: &str = "bare";

/// A result, or what went wrong.
type Outcome<T> = Result<T, String>;

/// Name of a section, and its function.
type Section = (&'static str, fn(&Context, &mut Report) -> Outcome<()>);

const SECTIONS: [Section; 12] = [
    ("ingest", ingest::run),
    ("beside", beside::run),
    ("distributed", distributed::run),
    ("open-loop", open_loop::run),
    ("overload", overload::run),
    ("kills", kills::run),
    ("hostile", sections::hostile::run),
    ("keys", keys::run),
    ("queries", queries::run),
    ("forgetting", forgetting::run),
    ("adoption", adoption::run),
    ("pages", pages::run),
];

/// What all sections have in common.
struct Context {
    /// Seed of all chance.
    seed: u64,
    /// Whether to run seconds instead of minutes.
    is_reduced: bool,
    program: OnceCell<PathBuf>,
    /// Another version of the program, to compare with.
    beside: Option<PathBuf>,
    /// URL of a database that is distributed.
    database: Option<String>,
    /// Program that kills a node of that database, and starts it again.
    harm: Option<PathBuf>,
}

impl Context {
    /// Number of times that something is tried.
    fn times(&self, full: usize, reduced: usize) -> usize {
        if self.is_reduced { reduced } else { full }
    }

    /// Size of the fleet whose events are taken.
    fn instances(&self) -> u32 {
        if self.is_reduced { 1_000 } else { 10_000 }
    }

    /// Time for which something is done, of the given seconds.
    fn time(&self, full: u64, reduced: u64) -> Duration {
        Duration::from_secs(if self.is_reduced { reduced } else { full })
    }

    /// The program `fleet`, built at the first call.
    fn program(&self) -> Outcome<PathBuf> {
        if self.program.get().is_none() {
            let _ = self.program.set(receiver::build()?);
        }
        self.program.get().cloned().ok_or("the program was not built".to_owned())
    }
}

/// Measures what the receiver takes, how fast, and what it does when overloaded, attacked or killed.
#[derive(Debug, Parser)]
#[command(name = "receiver-load")]
struct Arguments {
    /// Sections to run; all without an argument
    #[arg(value_parser = PossibleValuesParser::new(SECTIONS.map(|(name, _)| name)))]
    sections: Vec<String>,
    /// File that the tables are written to, besides stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Program `fleet` to measure, instead of the one that is built here
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Another version of the program `fleet`, to compare the ingest with
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// PostgreSQL whose tables are distributed and empty, to compare the ingest with that of one PostgreSQL
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Program that kills a node of that database when it is called with `kill`, and starts it again with `start`
    #[arg(long, value_name = "FILE", requires = "database")]
    harm: Option<PathBuf>,
    /// Seed of all chance; random without this option
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Run seconds instead of minutes, to see whether everything still works; no figure is judged
    #[arg(long = "reduced")]
    is_reduced: bool,
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(BARE) {
        return match bare::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the bare handler failed: {error}");
                ExitCode::FAILURE
            }
        };
    }
    measure_everything(Arguments::parse())
}

fn measure_everything(arguments: Arguments) -> ExitCode {
    let began = Instant::now();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let program = arguments.program.map_or_else(OnceCell::new, OnceCell::from);
    let context = Context {
        seed,
        is_reduced: arguments.is_reduced,
        program,
        beside: arguments.beside,
        database: arguments.database,
        harm: arguments.harm,
    };
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("the limit of open files cannot be raised: {error}");
    }
    let machine = machine::describe();
    let mut report = Report::new(arguments.is_reduced);
    for (name, run) in SECTIONS {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            eprintln!("{name} (after {} s)", began.elapsed().as_secs());
            if let Err(error) = run(&context, &mut report) {
                report.failed(name, &error);
            }
        }
    }
    let text = format!(
        "{machine}\n{}\nEverything took {} s, with the seed {seed}.\n",
        report.text(),
        began.elapsed().as_secs()
    );
    println!("{text}");
    if let Some(file) = &arguments.output
        && let Err(error) = fs::write(file, &text)
    {
        eprintln!("{} cannot be written: {error}", file.display());
        return ExitCode::FAILURE;
    }
    // Last, where people look first.
    for broken in report.broken() {
        eprintln!("NOT KEPT: {broken}");
    }
    if report.broken().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
