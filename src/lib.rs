//! Deployment telemetry for servers that people host themselves.
#![doc = include_str!("../docs/diagram.md")]
#![cfg_attr(not(any(feature = "postgres", feature = "sqlite")), allow(rustdoc::broken_intra_doc_links))]

mod build_info;
mod clock;
mod config;
mod containment;
mod destination;
#[cfg(test)]
mod fakes;
mod instance_id;
mod license;
mod outcome;
mod payload;
mod product;
mod scheduler;
mod state;
mod status;
mod supervisor;
mod telemetry;
mod transport;
mod watch;
mod watchdog;

pub use build_info::BuildInfo;
pub use config::{Config, ConfigErrors, DestinationName, Mode, Problem, Vendor};
pub use license::{LicenseChanged, LicenseKey, LicenseState};
pub use outcome::{Cause, Delivered, Failure, Outcome};
pub use payload::{Payload, Reason};
pub use product::Product;
pub use scheduler::SendNowError;
#[cfg(feature = "postgres")]
pub use state::PostgresStateStore;
#[cfg(feature = "sqlite")]
pub use state::SqliteStateStore;
pub use state::{StateError, StateFuture, StateStore};
pub use status::{DestinationStatus, Health, Status};
pub use telemetry::{StartError, StopReport, Telemetry, TelemetryBuilder};
pub use transport::PreviewedRequest;
