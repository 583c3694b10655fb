//! The receiver alone.
#![forbid(unsafe_code)]
fn main() {}
