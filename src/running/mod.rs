//! The runtime that sender and receiver share: the clock, and actors whose panics are contained.

#[cfg_attr(not(feature = "postgres"), allow(dead_code))]
pub(crate) mod causes;
pub(crate) mod clock;
pub(crate) mod containment;
#[cfg(test)]
pub(crate) mod log;
pub(crate) mod text;
