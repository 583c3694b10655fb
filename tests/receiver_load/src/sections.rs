//! What is measured, a section a file.

pub(crate) mod ingest;
