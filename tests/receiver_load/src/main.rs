//! What the receiver takes, how fast, and what it does when it is too much, hostile or killed:
//! `cargo run --release -p receiver-load`.
//!
//! It builds and starts the real program `fleet`, on a PostgreSQL of its own that syncs every commit to the disk, and
//! on SQLite. The tables are printed, and written into the file that `--output` names. It fails when a promise is not kept.
//! The names of sections as arguments try these alone; what is drawn by chance is drawn again with the same
//! `--seed`.

#![forbid(unsafe_code)]

mod bare;
mod fleet;
mod hostile;
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

use report::Report;
use sections::{ingest, kills, open_loop, overload, queries};

/// What this program calls itself with to be a handler to compare with.
const BARE: &str = "bare";

/// What came out, or what is wrong with it.
type Outcome<T> = Result<T, String>;

/// A name, and what is done.
type Section = (&'static str, fn(&Context, &mut Report) -> Outcome<()>);

const SECTIONS: [Section; 6] = [
    ("ingest", ingest::run),
    ("open-loop", open_loop::run),
    ("overload", overload::run),
    ("kills", kills::run),
    ("hostile", sections::hostile::run),
    ("queries", queries::run),
];

/// What all sections share.
struct Context {
    /// For what is left to chance.
    seed: u64,
    /// Seconds instead of minutes, so that the program does not rot. Of little worth as figures.
    is_reduced: bool,
    program: OnceCell<PathBuf>,
}

impl Context {
    /// The number of times something is tried.
    fn times(&self, full: usize, reduced: usize) -> usize {
        if self.is_reduced { reduced } else { full }
    }

    /// For how many seconds something is done.
    fn time(&self, full: u64, reduced: u64) -> Duration {
        Duration::from_secs(if self.is_reduced { reduced } else { full })
    }

    /// The receiver.
    fn program(&self) -> Outcome<PathBuf> {
        if self.program.get().is_none() {
            let _ = self.program.set(receiver::build()?);
        }
        self.program.get().cloned().ok_or("it was just built".to_owned())
    }
}

/// How it was called.
#[derive(Default)]
struct Arguments {
    sections: Vec<String>,
    output: Option<PathBuf>,
    seed: Option<u64>,
    program: Option<PathBuf>,
    is_reduced: bool,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut arguments = Self::default();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--reduced" => arguments.is_reduced = true,
                "--output" => arguments.output = Some(given.next().ok_or("--output needs a file")?.into()),
                "--program" => arguments.program = Some(given.next().ok_or("--program needs a file")?.into()),
                "--seed" => {
                    let seed = given.next().and_then(|seed| seed.parse().ok());
                    arguments.seed = Some(seed.ok_or("--seed needs a number")?);
                }
                name if SECTIONS.iter().any(|(section, _)| *section == name) => {
                    arguments.sections.push(argument)
                }
                _ => {
                    let names = SECTIONS.map(|(name, _)| name).join(" ");
                    return Err(format!(
                        "{argument}? There are --output FILE, --program FILE (a fleet to try instead of the one that \
                         is built), --seed NUMBER, --reduced, {names}"
                    ));
                }
            }
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(BARE) {
        return match bare::serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => measure_everything(arguments),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_everything(arguments: Arguments) -> ExitCode {
    let began = Instant::now();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let program = arguments.program.map_or_else(OnceCell::new, OnceCell::from);
    let context = Context { seed, is_reduced: arguments.is_reduced, program };
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("the number of open files cannot be raised: {error}");
    }
    let machine = machine::describe();
    let mut report = Report::default();
    for (name, run) in SECTIONS {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            eprintln!("{name} (after {} s)", began.elapsed().as_secs());
            if let Err(error) = run(&context, &mut report) {
                report.failed(name, &error);
            }
        }
    }
    let text = format!(
        "{machine}\n{}\nAll of it took {} s, with the seed {seed}.\n",
        report.text(),
        began.elapsed().as_secs()
    );
    println!("{text}");
    for broken in report.broken() {
        println!("!!! NOT KEPT !!! {broken}");
    }
    if let Some(file) = &arguments.output
        && let Err(error) = fs::write(file, &text)
    {
        eprintln!("{}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    if report.broken().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
