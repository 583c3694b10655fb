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
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `postgres` (default) | [`PostgresStateStore`]; with `receiver`, the fleet in PostgreSQL |
//! | `sqlite` | `SqliteStateStore`; with `receiver`, the fleet in SQLite |
//! | `receiver` | the other half: takes events in and shows the fleet; needs one of the stores |
//! | `tls-ring` (default) | TLS by the cryptography of `ring` |
//! | `tls-aws-lc-rs` | TLS by that of `aws-lc-rs`; where both are on, this one is used |
//!
//! A host should turn on the provider of TLS that its other dependencies use, and with
//! `default-features = false` that one alone. rustls finds the default of a process by the features of
//! its build, so with both in a build a bare `ServerConfig::builder()` of the host panics: "Could not
//! automatically determine the process-level CryptoProvider". Without either feature there is no TLS:
//! an `https` destination is refused when the settings are checked, as is `sslmode=require` and above,
//! and `sslmode=prefer` connects in the clear.
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
mod tls;
mod wire;

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
pub use sender::state::{StateError, StateFuture, StateStore};
pub use sender::status::{DestinationStatus, Health, Status};
pub use sender::telemetry::{StartError, Telemetry, TelemetryBuilder};
pub use wire::build::BuildInfo;
pub use wire::license::{LicenseKey, LicenseState};
pub use wire::payload::{Payload, Reason};

// With the features that its programs use.
#[cfg(all(doctest, feature = "postgres", feature = "receiver"))]
#[doc = include_str!("../README.md")]
struct Readme;
