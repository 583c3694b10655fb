//! The runtime that sender and receiver share: the clock, and actors whose panics are contained.

pub(crate) mod causes;
pub(crate) mod clock;
pub(crate) mod containment;
#[cfg(test)]
pub(crate) mod log;
pub(crate) mod text;
