//! The simulated fleet against a receiver: the receiver must say what is true of it.

mod host;
mod play;
mod truth;
mod webhook;
