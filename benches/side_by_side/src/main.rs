//! One small actix-web server, side by side: without telemetry, with this crate, with a loop over reqwest, and with Sentry's
//! client. `cargo run --release --manifest-path benches/side_by_side/Cargo.toml`
//!
//! Builds the seven, two of them with actix-web's default features, measures what each costs its operator and prints one table, in about six minutes after the builds.
//! Everything that can be is measured by turns or at the same time, so that the noise of a machine hits all alike.

#![forbid(unsafe_code)]

mod black_hole;
mod host;
mod idle;
mod machine;
mod proc;
mod running;
mod startup;
mod stop;
mod stopwatch;
mod table;
mod values;
mod weight;

use std::process::ExitCode;

use host::Host;
use running::State;
use table::Table;

fn main() -> ExitCode {
    if !cfg!(target_os = "linux") {
        eprintln!("side-by-side: what it measures, only Linux tells; nothing was measured");
        return ExitCode::FAILURE;
    }
    Host::ALL.into_iter().for_each(Host::build);
    let state = State::new();
    let mut table = Table::default();
    let machine = machine::describe();
    weight::measure(&mut table);
    startup::measure(&state, &mut table);
    stop::measure(&state, &mut table);
    idle::measure(&state, &mut table);
    println!("\n{machine}\n");
    table.print();
    ExitCode::SUCCESS
}
