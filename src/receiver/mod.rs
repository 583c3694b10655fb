//! The receiver: takes the events of a fleet in, keeps them, and judges which of its instances are up, late, down or
//! ended (`docs/receiver.md`). A part of an actix-web server: [`Receiver::builder`] starts it,
//! [`Receiver::webhooks`] and [`Receiver::fleet`] mount it.
//!
//! The store is used on a thread of the receiver's own, so the host's workers only read requests, check them and wait.

mod adoption;
mod alerting;
mod api;
mod app;
mod builder;
mod clock;
mod counts;
#[cfg(all(test, feature = "sqlite"))]
mod fixture;
mod forgetting;
mod health;
mod http;
mod import;
mod ingest;
mod judging;
mod keeper;
mod kept;
mod keys;
mod live;
mod login;
mod metrics;
mod operator;
mod pages;
mod query;
mod random;
mod silence;
mod store;
mod store_handle;
mod strip;
mod subsystem;
mod watchdog;

use std::error::Error;
use std::sync::mpsc as blocking;

use actix_web::web::{Data, ServiceConfig};
use tokio::sync::{mpsc, oneshot};

pub use alerting::destination::AlertDestination;
pub use builder::{ReceiverBuilder, ReceiverStartError};
pub use health::{Health, HealthState};
pub use http::headers::strict_headers;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use import::fuzzing;
pub use import::{ImportError, Imported, Importer, SkippedLine};
pub use keys::{CreatedKey, KeyError, KeyInfo, KeyLimits, Keys, NewKey, WebhookKey};
pub use login::{Login, PasswordTooShort, UnusablePasswordHash};
pub use operator::{MuteInfo, NewMute, Operator, OperatorError, Selection};
#[cfg(feature = "postgres")]
pub use store::PostgresFleetStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteFleetStore;
pub use store::Storage;

use app::App;
use health::HealthBoard;
use ingest::Ingest;
use subsystem::Command;
use watchdog::Sign;

/// The handle of a running receiver: cheap to clone, usable from every thread.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use deployment_telemetry::receiver::{HealthState, NewKey, Receiver, SqliteFleetStore};
///
/// let receiver = Receiver::builder(SqliteFleetStore::new(file)).start()?;
/// let created = receiver.keys().create(NewKey::named("customers")).await?;
///
/// // Its parts of a server. `Receiver::builder` shows one with a login.
/// let app = actix_web::App::new().configure(receiver.webhooks()).configure(receiver.fleet());
/// # drop(app);
///
/// assert_eq!(receiver.health().state, HealthState::Running);
/// receiver.stop().await;
/// receiver.ended().await; // also when it gives up by itself
/// assert_eq!(receiver.health().state, HealthState::Stopped);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Receiver {
    ingest: Data<Ingest>,
    app: Data<App>,
    health: HealthBoard,
    /// To the receiver's thread.
    commands: mpsc::UnboundedSender<Command>,
    /// To its watchdog.
    signs: blocking::Sender<Sign>,
}

impl Receiver {
    /// Mounts `POST webhooks/{key}`, where servers send their events. A key is all they have, so it belongs beside the
    /// host's login, not behind it. For [`App::configure`](actix_web::App::configure) or a scope's.
    ///
    /// What is mounted is a handle of the receiver, too: the receiver runs while a server has it mounted.
    pub fn webhooks(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + use<> {
        let receiver = self.clone();
        move |config| {
            ingest::mount(receiver.ingest.clone(), config);
            config.app_data(receiver);
        }
    }

    /// Mounts the pages, `api/…` and `metrics`. Everyone who reaches them can see and change everything: put
    /// a guard of the host around the scope that they are mounted in, or a [`Login`].
    ///
    /// What is mounted is a handle of the receiver, too: the receiver runs while a server has it mounted.
    pub fn fleet(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + use<> {
        let receiver = self.clone();
        move |config| {
            config
                .app_data(receiver.app.clone())
                .app_data(receiver)
                .configure(api::routes)
                .configure(pages::routes);
        }
    }

    /// The keys of its store.
    pub fn keys(&self) -> Keys {
        self.app.keys.clone()
    }

    /// Judges what is due now, instead of within a second; after ten seconds of it, the rest without being waited for.
    ///
    /// # Errors
    /// The store does not answer, or is not ready yet, or the receiver is frozen, down or stopped.
    pub async fn judge(&self) -> Result<(), JudgeError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Judge(answer)).map_err(|_| JudgeError::NotRunning)?;
        let judged = tokio::select! {
            judged = answered => judged.map_err(|_| JudgeError::NotRunning)?,
            () = self.health.not_running() => return Err(JudgeError::NotRunning),
        };
        self.app.counts.forget();
        judged.map_err(|error| JudgeError::Store(error.into()))
    }

    /// The health of the receiver now. Answers at once, also while the receiver is frozen or down.
    pub fn health(&self) -> Health {
        self.health.read()
    }

    /// Resolves when the receiver has ended: by [`stop`](Self::stop), or by itself, after more than 5 panics within a
    /// minute. [`health`](Self::health) says which. A host waits for it beside its server, and exits or goes on without
    /// a receiver. Needs no runtime.
    pub async fn ended(&self) {
        self.health.ended().await;
    }

    /// Ends the live updates of pages that are open, for good. They last as long as the page is looked at, and a server that
    /// stops gracefully waits for its answers: call this before the server stops. One that leaves the signals to actix
    /// cannot, and limits the wait with [`shutdown_timeout`](actix_web::HttpServer::shutdown_timeout). A page goes on with
    /// another server, or with the next start.
    ///
    /// ```no_run
    /// # async fn stop(receiver: deployment_telemetry::receiver::Receiver, server: actix_web::dev::ServerHandle) {
    /// receiver.close_live();
    /// server.stop(true).await;
    /// receiver.stop().await;
    /// # }
    /// ```
    pub fn close_live(&self) {
        self.app.live.close();
    }

    /// Ends the receiver: what has arrived is still stored and answered. Takes 5 seconds at most, even where the
    /// receiver is frozen. Calling it twice is harmless. Stop the senders, or the server, first. Needs no runtime.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop);
        let _ = self.signs.send(Sign::Stop);
        self.ended().await;
    }
}

/// Why nothing was judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The receiver is not ready yet, or is frozen, down or stopped.
    #[error("the receiver is not ready yet or does not run")]
    NotRunning,
    /// The store does not answer or refuses. The source is the error of the database, where it returned one.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}
