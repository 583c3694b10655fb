//! Sirveo, an example host: an actix-web server that embeds the telemetry, and a receiver whose pages show what the
//! telemetry does. Copy what you need.
//!
//! `serve.rs` has everything about embedding: build, start, mount, stop. The other files are what a server has in any
//! case. What this server shares with `fleet` is in `fleet/program`: settings from the environment, signals, the log.

#![forbid(unsafe_code)]

mod api;
mod arguments;
mod build;
mod loopback;
mod refusal;
mod request_span;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use program::{Failure, exit_code, log, print};

use arguments::Arguments;
use settings::Settings;

#[actix_web::main]
async fn main() -> ExitCode {
    exit_code("sirveo", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.version {
        print(&build::describe());
        return Ok(());
    }
    let settings = Settings::read(arguments.loopback)?;
    log::start("supervisor", settings.log_level);
    match arguments.telemetry_preview {
        true => serve::preview(settings).await,
        false => serve::serve(settings).await,
    }
}
