//! The receiver as a host mounts it: over HTTP, on each of its stores.

mod host;
mod ingest;
