#![cfg_attr(docsrs, feature(doc_cfg))]
//! Deployment telemetry for servers that people host themselves.
//!
//! A host that embeds this crate reports four things: that it began, that it is still there, that its license
//! changed, and that it ended. Each report is one small JSON event over HTTP. Events go to the operator's own
//! destination, to the vendor's, or to both; the default is neither.
//!
//! # Example
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use deployment_telemetry::{FileStateStore, License, Product, Telemetry};
//!
//! # macro_rules! build_info { ($mode:expr) => { deployment_telemetry::BuildInfo::new("0.1.0") } }
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let server = HttpServer::new(App::new).bind("127.0.0.1:8080")?.run();
//!     let store = FileStateStore::new("/var/lib/sirveo/telemetry.json"); // or a database: keeps the instance id
//!     let telemetry = Telemetry::builder(Product::new("Sirveo"), build_info!("licenced"), store)
//!         .license(License::valid("the license key"))
//!         .start_or_disabled(); // reads SIRVEO_TELEMETRY_*; waits for no network and no database
//!     telemetry.license_changed(License::none()); // from any thread; never waits
//!     telemetry.during(server).await // sends `end` when the server ends, on SIGINT and SIGTERM too
//! }
//! ```
//!
//! [`Telemetry::builder`] is where to begin. The handle also has [`status`](Telemetry::status),
//! [`preview`](Telemetry::preview) and [`send_now`](Telemetry::send_now).
//!
//! # How it works
//!
//! The subsystem runs on a thread of its own, as actors on [actix](https://docs.rs/actix):
//!
//! ```text
//!  host ──license_changed──► LicenseWatcher ──LicenseStateChanged──┐
//!                                                                  ▼
//!  database ◄──StateStore──► InstanceIdActor ──Identified──► SchedulerActor ──Deliver──► DestinationActor ──► operator
//!                                                                  │
//!  environment ──► ConfigActor ──settings──► supervisor            └───────Deliver──► DestinationActor ──► vendor
//! ```
//!
//! An actor that panics is restarted. After more than five panics within a minute the subsystem ends itself, and
//! the host goes on without it. A second thread reports a telemetry thread that does not respond, and limits the
//! duration of a stop.
//!
//! # Configuration
//!
//! The operator configures the subsystem with environment variables, whose prefix is the name of the [`Product`]
//! (here `SIRVEO`), or the host provides a [`Config`]. An empty or blank variable is unset.
//! [`start`](TelemetryBuilder::start) reports all problems together.
//!
//! | variable | values | default |
//! |---|---|---|
//! | `SIRVEO_TELEMETRY_MODE` | `disabled`, `custom` (the operator's destination), `default` (the vendor's), `both` | `disabled` |
//! | `SIRVEO_TELEMETRY_URL` | URL of the operator's destination, or `file:///path` to append events to a file | none |
//! | `SIRVEO_TELEMTRY_AUTH` (sic), `SIRVEO_TELEMETRY_AUTH` | token, or `Scheme credentials` | none |
//! | `SIRVEO_TELEMETRY_FREQUENCY` | `1h` to `24h` | `8h` |
//! | `SIRVEO_TELEMETRY_IDENTIFIER` | operator's name for the server | none |
//! | `SIRVEO_TELEMETRY_CA_FILE` | PEM file with additional roots | none |
//! | `SIRVEO_TELEMETRY_SIGNING_SECRET` | Standard Webhooks secret, `whsec_…` | none |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | HTTP and SOCKS 5 proxies, as curl reads them | none |
//! | `DO_NOT_TRACK` | any value except `0` and `false` disables the vendor's destination | unset |
//!
//! The URL, the token and the signing secret can be read from files: `SIRVEO_TELEMETRY_URL_FILE`,
//! `SIRVEO_TELEMETRY_AUTH_FILE` and `SIRVEO_TELEMETRY_SIGNING_SECRET_FILE` name them. Blanks and newlines around a
//! value are ignored. A proxy that cannot be used does not keep the host from starting; each event fails instead.
//!
//! # Features
//!
//! | feature | default | content |
//! |---|---|---|
//! | `postgres` | yes | `PostgresStateStore` keeps the instance id in PostgreSQL |
//! | `sqlite` | no | `SqliteStateStore` keeps the instance id in an SQLite file, with the SQLite that the build links |
//! | `sqlite-bundled` | no | `sqlite`, with an SQLite that is compiled in |
//! | `receiver` | no | the module `receiver`, which receives events and shows the fleet; requires `postgres` or `sqlite` |
//! | `tls-ring` | yes | TLS with the cryptography of `ring` |
//! | `tls-aws-lc-rs` | no | TLS with the cryptography of `aws-lc-rs`, which is used where both are on |
//!
//! # Stores
//!
//! The instance id needs a place that outlives the process.
//!
//! | store | for a host with |
//! |---|---|
//! | [`FileStateStore`] | no database |
//! | `PostgresStateStore`, `SqliteStateStore` | such a database, which telemetry may open by itself |
//! | [`SqlStateStore`] | its own pool of PostgreSQL or SQLite, of whatever crate; it takes one closure |
//! | [`MemoryStateStore`] | tests |
//!
//! A host with another database implements [`StateStore`]. [`AnyStateStore`] is for a host that chooses one
//! at run time.
//!
//! PostgreSQL: the table `server_state` is created where it is missing. A role that may not create tables needs
//! [`SqlStateStore::POSTGRES_TABLE`] in the host's migrations, and
//! `grant select, insert, update on server_state`.
//!
//! A host should turn on the TLS provider that its other dependencies use, with `default-features = false` so that
//! it gets no other. rustls derives the default provider of a process from the features of its build: with both
//! providers in a build, a bare `ServerConfig::builder()` of the host panics with "Could not automatically determine
//! the process-level CryptoProvider". Without either feature there is no TLS: an `https` destination is refused when
//! the settings are checked, as is `sslmode=require` and above, and `sslmode=prefer` connects without encryption.
//!
//! # Log
//!
//! The crate logs with [`tracing`] under the target `deployment_telemetry`. The level `INFO` reports the mode and
//! recoveries, `WARN` and `ERROR` report failures with their cause, and `DEBUG` adds a line for each event.
//!
//! # What it never touches
//!
//! The crate leaves the process to the host: it installs no signal handler, no panic hook, no logger and no
//! process-wide TLS provider, and it sets no environment variable. It never makes the host wait, apart from the
//! time limits that each method documents.

mod outgoing;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "receiver", any(feature = "postgres", feature = "sqlite")))]
pub mod receiver;
mod running;
mod sender;
mod tls;
mod wire;

#[cfg(all(feature = "receiver", not(any(feature = "postgres", feature = "sqlite"))))]
compile_error!("the feature `receiver` needs a store: enable the feature `postgres` or `sqlite` as well");

pub use outgoing::failure::{Cause, Failure};
pub use outgoing::setting::{ConfigErrors, Setting, SettingProblem};
#[cfg(feature = "postgres")]
pub use postgres::DatabaseError;
// For the programs of this workspace.
#[doc(hidden)]
pub use running::causes::in_one_line;
pub use sender::builder::{StartError, TelemetryBuilder};
pub use sender::config::{Config, DestinationName, Mode, Vendor};
pub use sender::license_watcher::LicenseChanged;
pub use sender::outcome::{Delivered, Outcome, SendNowError, StopReport};
pub use sender::product::Product;
pub use sender::request::PreviewedRequest;
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
pub use sender::telemetry::Telemetry;
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
