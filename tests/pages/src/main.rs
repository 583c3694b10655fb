//! Looks at the receiver's pages with a real browser: `cargo run -p pages -- check`.
//!
//! It plays the past of some fleets to a store each, starts the real program `fleet` on them, and lets Chromium look at
//! every page. `--help` lists what else it can do.

#![forbid(unsafe_code)]

mod fleets;
mod many;
mod past;
mod seed;
mod shown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use actix_web::rt::task::spawn_blocking;
use clap::{Args, Parser, Subcommand};
use futures_util::future::try_join5;
use jiff::Timestamp;
use pages::Outcome;
use pages::browser::{self, Found};
use program::Signals;
use serde_json::{Value, json};
use test_support::programs;

use past::Past;
use shown::{Running, Standing};

/// Looks at the receiver's pages with a real browser.
#[derive(Debug, Parser)]
#[command(name = "pages")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check every page, and print what is wrong
    Check {
        /// Checks to make; all without an argument
        only: Vec<String>,
        /// Look at every page of every fleet at every width, in both schemes; some minutes
        #[arg(long = "long")]
        is_long: bool,
        #[command(flatten)]
        program: Program,
    },
    /// Write pictures of every page into a folder, for people to look at
    Shots {
        /// The folder
        folder: PathBuf,
        #[command(flatten)]
        program: Program,
    },
    /// Show the fleets until Ctrl-C, to look at them with a browser of one's own
    Serve {
        #[command(flatten)]
        program: Program,
    },
    /// Keep the layout as it is now, and the pictures of the documentation
    Renew,
}

/// The program whose pages are looked at.
#[derive(Debug, Args)]
struct Program {
    /// Program `fleet` to look at, instead of the one that is built here
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl Program {
    fn find(self) -> Outcome<PathBuf> {
        let program = self.program.map_or_else(|| programs::of_workspace("fleet"), Ok)?;
        program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
    }
}

#[actix_web::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    let outcome = match Arguments::parse().command {
        Command::Check { only, is_long, program } => check(only, is_long, program).await,
        Command::Shots { folder, program } => shots(folder, program).await,
        Command::Serve { program } => serve(program).await,
        Command::Renew => renew().await,
    };
    match outcome {
        Ok(found) => {
            for fault in &found.faults {
                println!("FAULT {fault}");
            }
            let (checks, faults) = (found.checks, found.faults.len());
            println!("{checks} checks, {faults} faults, {:.1} s", began.elapsed().as_secs_f64());
            if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("pages: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The fleets that the checks look at.
struct Fleets {
    none: Running,
    one: Running,
    dozen: Running,
    thousand: Running,
    /// The thousand a hundred times over.
    hundred_thousand: Running,
    hostile: Running,
    /// The dozen once more, for what changes it.
    changed: Running,
    /// None once more, for the first one.
    empty: Running,
}

impl Fleets {
    async fn start(program: &Path) -> Outcome<Self> {
        let one = Past { servers: fleets::dozen().servers.into_iter().take(1).collect(), ..fleets::dozen() };
        let one = Past { mutes: Vec::new(), ..one };
        let (none, dozen) = (Past::default(), fleets::dozen());
        let (thousand, hostile) = (fleets::thousand(), fleets::hostile());
        let (none, one, dozen, thousand, hostile) = try_join5(
            Running::start(program, &none),
            Running::start(program, &one),
            Running::start(program, &dozen),
            Running::start(program, &thousand),
            Running::start(program, &hostile),
        )
        .await?;
        let (changed, empty) = (dozen.copy(program)?, none.copy(program)?);
        let hundred_thousand = thousand.copy_times(program, 100)?;
        Ok(Self { none, one, dozen, thousand, hundred_thousand, hostile, changed, empty })
    }

    fn shown(&self) -> Value {
        json!({
            "none": self.none.shown,
            "one": self.one.shown,
            "dozen": self.dozen.shown,
            "thousand": self.thousand.shown,
            "hundredThousand": self.hundred_thousand.shown,
            "hostile": self.hostile.shown,
            "changed": self.changed.shown,
            "empty": self.empty.shown,
        })
    }
}

async fn check(only: Vec<String>, is_long: bool, program: Program) -> Outcome<Found> {
    let began = Instant::now();
    let fleets = Fleets::start(&program.find()?).await?;
    let standing = standing().await?;
    eprintln!("fleets are ready after {:.1} s", began.elapsed().as_secs_f64());
    let mut shown = fleets.shown();
    shown["standing"] = json!(standing.shown);
    let found = run(
        "check",
        json!({ "fleets": shown, "only": only, "isLong": is_long, "screenshots": home(SCREENSHOTS) }),
    )
    .await?;
    standing.stop().await;
    Ok(found)
}

async fn serve(program: Program) -> Outcome<Found> {
    let fleets = Fleets::start(&program.find()?).await?;
    for (name, fleet) in fleets.shown().as_object().into_iter().flatten() {
        println!("{name}: {} as {} with the password \"{}\"", fleet["url"], fleet["user"], fleet["password"]);
    }
    let mut signals = Signals::listen().map_err(|error| error.to_string())?;
    signals.next().await;
    Ok(Found::default())
}

/// Where the layout is kept, and the pictures of the documentation, from here.
const SCREENSHOTS: &str = "screenshots";
const PICTURES: &str = "../../docs/pictures";

fn home(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The dozen on a night in November 2026.
async fn standing() -> Outcome<Standing> {
    const NIGHT: Timestamp = Timestamp::constant(1_795_662_847, 0);
    Standing::start(&fleets::dozen(), NIGHT).await
}

async fn renew() -> Outcome<Found> {
    for folder in [SCREENSHOTS, PICTURES] {
        std::fs::create_dir_all(home(folder)).map_err(|error| format!("{folder}: {error}"))?;
    }
    let standing = standing().await?;
    let (screenshots, pictures) = (home(SCREENSHOTS), home(PICTURES));
    let job =
        json!({ "fleets": { "standing": standing.shown }, "screenshots": screenshots, "pictures": pictures });
    let found = run("renew", job).await?;
    standing.stop().await;
    Ok(found)
}

/// Runs a script beside the receivers of this process.
async fn run(script: &'static str, job: Value) -> Outcome<Found> {
    let running = spawn_blocking(move || browser::run(script, job));
    running.await.map_err(|error| error.to_string())?
}

async fn shots(folder: PathBuf, program: Program) -> Outcome<Found> {
    let fleets = Fleets::start(&program.find()?).await?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    run("shots", json!({ "fleets": fleets.shown(), "folder": folder })).await
}
