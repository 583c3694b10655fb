//! What is tried, a section a file.

pub(crate) mod blows;
pub(crate) mod databases;
pub(crate) mod faults;
pub(crate) mod floods;
pub(crate) mod kills;
pub(crate) mod latency;
pub(crate) mod month;
pub(crate) mod panics;
pub(crate) mod receiver;
pub(crate) mod secrets;
