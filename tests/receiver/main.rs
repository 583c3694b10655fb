//! The receiver as a host mounts it: over HTTP, on each of its stores.

mod alerts;
mod clock;
mod errors;
mod host;
mod ingest;
// Its clients come from many addresses, which Linux has on any machine.
#[cfg(target_os = "linux")]
mod login;
mod network;
mod states;
mod stop;
