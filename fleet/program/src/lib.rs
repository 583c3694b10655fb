//! What the programs of this workspace share and any server needs: settings from the environment, signals, a log and
//! exit codes. Nothing here is part of the library; a host that copies the example brings its own.

#![forbid(unsafe_code)]

mod environment;
mod failure;
pub mod log;
mod signals;

pub use environment::Environment;
pub use failure::{Failure, exit_code, in_one_line, print};
pub use signals::Signals;
