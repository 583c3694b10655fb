//! The receiver alone: what an operator deploys to see a fleet, and a fleet to try it with.
//!
//! All there is to the receiver is in `serve.rs`: build, start, mount, stop. The other files are what a program has
//! anyway: settings, a log, keys on the command line.

#![forbid(unsafe_code)]

mod arguments;
mod connections;
mod key;
mod log;
mod play;
mod serve;
mod settings;
mod signals;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use settings::Settings;

/// Events are made on one thread and forgotten on another, which is what this allocator is for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the program did not run to its regular end.
enum Fault {
    /// The command line or the settings: for the operator to mend.
    Usage(String),
    /// The machine did not let it.
    Machine(String),
}

#[actix_web::main]
async fn main() -> ExitCode {
    let (message, code) = match run(Arguments::parse()).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Fault::Usage(message)) => (message, 2),
        Err(Fault::Machine(message)) => (message, 1),
    };
    eprintln!("fleet: {message}");
    ExitCode::from(code)
}

async fn run(arguments: Arguments) -> Result<(), Fault> {
    match arguments.command {
        None | Some(Command::Serve) => {
            let settings = Settings::read().map_err(Fault::Usage)?;
            log::start(settings.log_level);
            serve::serve(settings).await
        }
        Some(Command::Key(command)) => key::run(command).await,
        Some(Command::Simulate(arguments)) => play::play(arguments).await,
    }
}

/// A reader that has seen enough, such as `head`, is no fault.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn machine(what: impl Display) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault::Machine(format!("{what}: {error}"))
}
