//! The sender without a network, a database and a clock of the machine: for tests alone.

#[cfg(test)]
pub(crate) mod fakes;
#[cfg(unix)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(test, target_os = "linux"))]
mod thirty_days;
