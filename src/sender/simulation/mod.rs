//! Simulations of the sender without network, database and system clock, for tests only.

#[cfg(test)]
pub(crate) mod fakes;
#[cfg(unix)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(test, target_os = "linux"))]
mod thirty_days;
