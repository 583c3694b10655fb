//! The receiver: takes the events of a fleet in, keeps them, and judges which of its instances are up, late, down or
//! ended (`docs/receiver.md`). A part of an actix-web server: [`Receiver::builder`] starts it,
//! [`Receiver::webhooks`] and [`Receiver::fleet`] mount it.
//!
//! What touches the store runs on a thread of its own, as the sender's does, so the host's workers only read requests,
//! check them and wait.

mod api;
mod cross_site;
mod endpoint;
#[cfg(all(test, feature = "sqlite"))]
mod fixture;
mod keys;
mod metrics;
mod pages;
mod problem;
mod shared;
mod store;

#[cfg(feature = "postgres")]
pub use store::PostgresFleetStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteFleetStore;
