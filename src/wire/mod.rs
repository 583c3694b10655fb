//! What both halves agree on: the event on the wire (spec §5), its identifier, signature and digests.
//!
//! Everything here is a value or a pure function. Nothing here knows a runtime, an actor or a socket.

pub(crate) mod build;
pub(crate) mod digest;
pub(crate) mod license;
pub(crate) mod payload;
pub(crate) mod rfc3339;
pub(crate) mod signature;
pub(crate) mod webhook;
