//! Plays a simulated fleet against a receiver, in a time that runs faster than the real one:
//! `cargo run -p simulator -- --url http://127.0.0.1:8080/webhooks/…`. With `truth`, plays scenarios against a receiver of its
//! own and compares what it says with the truth: `cargo run --release -p simulator -- truth --seeds 1000`.

#![forbid(unsafe_code)]

mod arguments;
mod kept;
mod play;
mod progress;
mod trials;

use std::process::ExitCode;

use clap::Parser;

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    let result = match arguments.command {
        Some(arguments::Command::Truth(trials)) => trials::run(trials).await,
        None => play::play(arguments.play).await,
    };
    program::exit_code("simulator", result)
}
