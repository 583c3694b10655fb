//! The receiver that an operator installs, as a server of its own, and the commands for its keys and instances.
//!
//! `serve.rs` shows how a host runs the receiver: build, start, mount, stop.

#![forbid(unsafe_code)]

mod arguments;
mod connections;
mod import;
mod instances;
mod key;
mod login;
mod migrate;
mod serve;
mod settings;
mod table;

use std::process::ExitCode;

use clap::Parser;
use program::{Failure, exit_code, log};

use arguments::{Arguments, Command};
use settings::Settings;

/// Events are allocated on one thread and freed on another, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    exit_code("fleet", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        None | Some(Command::Serve) => {
            let settings = Settings::read()?;
            log::start("fleet", settings.log_level);
            serve::serve(settings).await
        }
        Some(Command::Key(command)) => key::run(command).await,
        Some(Command::Forget(which)) => instances::forget(which).await,
        Some(Command::Mute(which)) => instances::mute(which).await,
        Some(Command::Mutes) => instances::mutes().await,
        Some(Command::Migrate(how)) => migrate::run(how).await,
        Some(Command::Import(files)) => import::run(files).await,
        Some(Command::Unmute { id }) => instances::unmute(id).await,
    }
}
