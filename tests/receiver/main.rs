//! The receiver as a host mounts it: over HTTP, on each of its stores.

mod alerts;
mod clock;
mod host;
mod ingest;
mod network;
mod states;
