//! The simulated fleet of the program `fleet`, also for tests of a receiver: what its instances send, and what must be
//! true of them.
#![forbid(unsafe_code)]

pub mod simulate;
