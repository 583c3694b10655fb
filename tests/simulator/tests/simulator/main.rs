//! The simulated fleet against a receiver: the receiver must say what is true of it.

mod host;
mod play;
mod scenarios;
mod truth;
mod webhook;
