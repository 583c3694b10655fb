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

mod outgoing;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "receiver", any(feature = "postgres", feature = "sqlite")))]
pub mod receiver;
mod running;
mod sender;
mod wire;

#[cfg(all(feature = "receiver", not(any(feature = "postgres", feature = "sqlite"))))]
compile_error!("the feature `receiver` needs a store: enable the feature `postgres` or `sqlite` as well");

pub use outgoing::failure::{Cause, Failure};
pub use outgoing::setting::{ConfigErrors, Setting, SettingProblem};
#[cfg(feature = "postgres")]
pub use postgres::DatabaseError;
pub use sender::config::{Config, DestinationName, Mode, Vendor};
pub use sender::license_watcher::LicenseChanged;
pub use sender::outcome::{Delivered, Outcome, StopReport};
pub use sender::product::Product;
pub use sender::request::PreviewedRequest;
pub use sender::scheduler::SendNowError;
#[cfg(all(unix, any(test, fuzzing)))]
#[doc(hidden)]
pub use sender::simulation::fuzzing;
#[cfg(feature = "postgres")]
pub use sender::state::PostgresStateStore;
#[cfg(feature = "sqlite")]
pub use sender::state::SqliteStateStore;
pub use sender::state::{
    AnyStateStore, FileStateStore, MemoryStateStore, SqlStateStore, StateError, StateStore,
};
pub use sender::status::{DestinationStatus, Health, Status};
pub use sender::telemetry::{StartError, Telemetry, TelemetryBuilder};
pub use wire::build::BuildInfo;
pub use wire::license::{License, LicenseKey, LicenseState};
pub use wire::payload::{Payload, Reason};

// Types of other crates that this crate's own functions take or return.
pub use actix::Recipient;
#[cfg(feature = "postgres")]
pub use deadpool_postgres::Config as PostgresConfig;
pub use secrecy::SecretString;
pub use uuid::Uuid;

/// For hosts that implement [`StateStore`].
pub mod state {
    pub use crate::sender::state::{ContractError, check};
}

// With the features that its programs use.
#[cfg(all(doctest, feature = "postgres", feature = "receiver"))]
#[doc = include_str!("../README.md")]
struct Readme;
