//! The sender: the half that a host embeds. It decides when an event is sent and why, composes the event, and
//! delivers it to each active destination.

mod attempt_log;
pub(crate) mod builder;
mod clock_hint;
pub(crate) mod config;
pub(crate) mod destination;
mod heartbeat;
pub(crate) mod instance_id;
pub(crate) mod license_watcher;
pub(crate) mod outcome;
pub(crate) mod product;
pub(crate) mod request;
mod scheduled;
pub(crate) mod scheduler;
#[cfg(any(test, all(unix, fuzzing)))]
pub(crate) mod simulation;
mod slot;
pub(crate) mod state;
pub(crate) mod status;
mod supervisor;
pub(crate) mod telemetry;
mod watchdog;
