//! Deployment telemetry for servers that people host themselves.
//!
//! A host that embeds this crate reports that it began, that it is still there, that its license
//! changed and that it ended: one small JSON event over HTTP, to the operator's own destination, to
//! the vendor's, or to both; off by default. [`Telemetry::builder`] is where to begin; the README has
//! a host in twenty lines, `examples/supervisor` one in full.
//!
//! Everything runs on a thread of its own as actors on actix:
//!
//! ```text
//!  host ──license_changed──► LicenseWatcher ──LicenseStateChanged──┐
//!                                                                  ▼
//!  database ◄──StateStore──► InstanceIdActor ──Identified──► SchedulerActor ──Deliver──► DestinationActor ──► operator
//!                                                                  │
//!  environment ──► ConfigActor ──settings──► supervisor            └───────Deliver──► DestinationActor ──► vendor
//! ```
//!
//! Nothing of it touches what belongs to the process: signals, panic hook, TLS provider, logger,
//! variables. It logs by [`tracing`].

mod config;
mod destination;
#[cfg(test)]
mod fakes;
#[cfg(all(unix, any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
mod instance_id;
mod license;
mod outcome;
mod outgoing;
#[cfg(feature = "postgres")]
mod postgres;
mod product;
#[cfg(all(feature = "receiver", any(feature = "postgres", feature = "sqlite")))]
mod receiver;
mod request;
mod running;
mod scheduler;
mod state;
mod status;
mod supervisor;
mod telemetry;
#[cfg(all(test, target_os = "linux"))]
mod thirty_days;
mod watch;
mod watchdog;
mod wire;

pub use config::{Config, DestinationName, Mode, Vendor};
pub use license::LicenseChanged;
pub use outcome::{Delivered, Outcome};
pub use outgoing::failure::{Cause, Failure};
pub use outgoing::setting::{ConfigErrors, Setting, SettingProblem};
pub use product::Product;
#[cfg(all(feature = "receiver", any(feature = "postgres", feature = "sqlite")))]
pub use receiver::*;
pub use request::PreviewedRequest;
pub use scheduler::SendNowError;
#[cfg(feature = "postgres")]
pub use state::PostgresStateStore;
#[cfg(feature = "sqlite")]
pub use state::SqliteStateStore;
pub use state::{StateError, StateFuture, StateStore};
pub use status::{DestinationStatus, Health, Status};
pub use telemetry::{StartError, StopReport, Telemetry, TelemetryBuilder};
pub use wire::build::BuildInfo;
pub use wire::license::{LicenseKey, LicenseState};
pub use wire::payload::{Payload, Reason};

// With the features that its programs use.
#[cfg(all(doctest, feature = "postgres", feature = "receiver"))]
#[doc = include_str!("../README.md")]
struct Readme;
