//! The receiver: takes the events of a fleet in, keeps them, and judges which of its instances are up, late, down or
//! ended (`docs/receiver.md`). A part of an actix-web server: [`Receiver::builder`] starts it,
//! [`Receiver::webhooks`] and [`Receiver::fleet`] mount it.
//!
//! The store is used on a thread of the receiver's own, so the host's workers only read requests, check them and wait.

mod adoption;
mod alerting;
mod api;
mod app;
mod clock;
mod counts;
#[cfg(all(test, feature = "sqlite"))]
mod fixture;
mod forgetting;
mod health;
mod http;
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

use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, SystemTime};

use actix_web::web::{Data, ServiceConfig};
use tokio::sync::{mpsc, oneshot};

pub use alerting::destination::AlertDestination;
pub use health::{Health, HealthState};
pub use http::headers::strict_headers;
pub use keys::{CreatedKey, KeyError, KeyInfo, KeyLimits, Keys, NewKey, WebhookKey};
pub use login::{Login, PasswordTooShort, UnusablePasswordHash};
pub use operator::{MuteInfo, NewMute, Operator, OperatorError, Selection};
#[cfg(feature = "postgres")]
pub use store::PostgresFleetStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteFleetStore;
pub use store::Storage;

use crate::outgoing::setting::ConfigErrors;
use crate::running::clock::Clock;
use crate::sender::telemetry::Telemetry;
use app::App;
use clock::ReceiverClock;
use health::HealthBoard;
use ingest::Ingest;
use keys::ring::KeyRing;
use store::FleetStore;
use subsystem::{Command, Parts, Started};
use watchdog::Sign;

/// 90 days.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Receivers leave a mark once a second; a gap longer than this was an outage.
const OUTAGE_AFTER: Duration = Duration::from_secs(30);

/// Why a receiver did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiverStartError {
    /// Where alerts go cannot be used.
    #[error("the destination of alerts: {0}")]
    Alerts(ConfigErrors),
    /// The system gave no thread.
    #[error("no thread for the receiver: {0}")]
    Thread(std::io::Error),
}

/// The settings of a receiver that is not started yet.
#[must_use = "nothing runs before `start`"]
pub struct ReceiverBuilder {
    store: Arc<dyn FleetStore>,
    retention: Duration,
    alerts: Option<AlertDestination>,
    keys: Vec<WebhookKey>,
    telemetry: Option<Telemetry>,
    /// That of a simulation.
    clock: Option<ReceiverClock>,
    outage_after: Duration,
}

impl ReceiverBuilder {
    /// How long events are kept, and instances once they are down or have ended; 90 days without.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Tells a webhook of instances that go down, come back, or lose a valid license.
    pub fn alerts(mut self, to: AlertDestination) -> Self {
        self.alerts = Some(to);
        self
    }

    /// A key that is valid besides those of the store, for as long as this receiver runs.
    ///
    /// All keys that are given so are one owner, named `host`, whatever their secrets are: a host that makes a new one at
    /// each start keeps its instances. They have no limits; see [`KeyLimits`].
    pub fn key(mut self, key: &WebhookKey) -> Self {
        self.keys.push(key.clone());
        self
    }

    /// The host's own telemetry, for the page "Server".
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// The time that the receiver goes by, for simulations; without, that of the database, or of the machine where the store
    /// is a file. It must not go back.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(ReceiverClock::of_simulation(Clock::of(now)));
        self
    }

    /// A time without any receiver that is longer than this makes no instance late; 30 seconds without. For simulations,
    /// whose clocks run faster than the second between two marks.
    pub fn outage_after(mut self, outage_after: Duration) -> Self {
        self.outage_after = outage_after;
        self
    }

    /// Starts the receiver on a thread of its own. It waits for no database: until the store answers, events are turned
    /// away with 503.
    ///
    /// # Errors
    /// Where alerts go cannot be used, or there is no thread.
    pub fn start(self) -> Result<Receiver, ReceiverStartError> {
        let alerts = self.alerts.as_ref().map(AlertDestination::target).transpose();
        let alerts = alerts.map_err(ReceiverStartError::Alerts)?;
        let ring = Arc::new(KeyRing::new(self.keys.iter()));
        let (commands, commanded) = mpsc::unbounded_channel();
        let parts = Parts {
            clock: self.clock.unwrap_or_else(|| ReceiverClock::of_receiver(self.store.has_clock())),
            store: self.store,
            ring,
            retention: self.retention,
            outage_after: self.outage_after,
            alerts,
            telemetry: self.telemetry,
        };
        let Started { ingest, app, health, signs } =
            subsystem::start(parts, commanded).map_err(ReceiverStartError::Thread)?;
        Ok(Receiver { ingest: Data::new(ingest), app: Data::new(app), health, commands, signs })
    }
}

/// The handle of a running receiver: cheap to clone, usable from every thread.
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
    /// A receiver that keeps its fleet in `store`.
    ///
    /// ```no_run
    /// # #[cfg(feature = "postgres")]
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use deployment_telemetry::receiver::{Login, PostgresFleetStore, Receiver};
    ///
    /// let receiver = Receiver::builder(PostgresFleetStore::from_url("postgres://localhost/fleet")?).start()?;
    /// let login = Login::new("fleet", "a long password")?;
    /// let mounted = receiver.clone();
    /// let server = actix_web::HttpServer::new(move || {
    ///     actix_web::App::new()
    ///         .configure(mounted.webhooks()) // POST /webhooks/{key}: the key is the secret
    ///         .service(actix_web::web::scope("").wrap(login.guard()).configure(mounted.fleet()))
    /// });
    /// server.bind("127.0.0.1:8080")?.run().await?;
    /// receiver.stop().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "postgres"))]
    /// # fn main() {}
    /// ```
    pub fn builder(store: impl Into<Storage>) -> ReceiverBuilder {
        ReceiverBuilder {
            store: store.into().0,
            retention: RETENTION,
            alerts: None,
            keys: Vec::new(),
            telemetry: None,
            clock: None,
            outage_after: OUTAGE_AFTER,
        }
    }

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
        let stopped = || JudgeError("the receiver is not ready yet or does not run".to_owned());
        self.commands.send(Command::Judge(answer)).map_err(|_| stopped())?;
        let judged = tokio::select! {
            judged = answered => judged.map_err(|_| stopped())?,
            () = self.health.not_running() => return Err(stopped()),
        };
        self.app.counts.forget();
        judged.map_err(|error| JudgeError(error.to_string()))
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
    /// stops gracefully waits for its answers: call this before the server stops. A page goes on with another server, or
    /// with the next start.
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
#[error("{0}")]
pub struct JudgeError(String);
