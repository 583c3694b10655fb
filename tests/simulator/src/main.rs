//! Plays a simulated fleet against a receiver, in a time that runs faster than the real one:
//! `cargo run -p simulator -- --url http://127.0.0.1:8080/webhooks/…`.

#![forbid(unsafe_code)]

mod arguments;
mod play;
mod progress;

use std::process::ExitCode;

use clap::Parser;

#[actix_web::main]
async fn main() -> ExitCode {
    program::exit_code("simulator", play::play(arguments::Arguments::parse()).await)
}
