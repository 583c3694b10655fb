//! The contract between sender and receiver: the event on the wire (spec §5), its identifier, its signature
//! and its digests.
//!
//! This module holds values and pure functions only; it knows no runtime, no actor and no socket.

pub(crate) mod build;
pub(crate) mod digest;
pub(crate) mod license;
pub(crate) mod payload;
pub(crate) mod rfc3339;
pub(crate) mod signature;
#[cfg(test)]
mod vectors;
pub(crate) mod webhook;
