//! The settings of a receiver, and its start.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::web::Data;
use tokio::sync::mpsc;

use super::Receiver;
use super::alerting::destination::AlertDestination;
use super::clock::ReceiverClock;
use super::keys::WebhookKey;
use super::keys::ring::KeyRing;
use super::store::{FleetStore, Storage};
use super::subsystem::{self, Parts, Started};
use crate::outgoing::setting::ConfigErrors;
use crate::running::clock::Clock;
use crate::sender::telemetry::Telemetry;

/// 90 days.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Receivers leave a mark once a second; a gap longer than this was an outage.
const OUTAGE_AFTER: Duration = Duration::from_secs(30);

/// Why a receiver did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiverStartError {
    /// Where alerts go cannot be used.
    #[error(transparent)]
    Alerts(#[from] ConfigErrors),
    /// The operating system did not start a thread.
    #[error("cannot start a thread for the receiver; check the limit on threads (ulimit -u, pids.max)")]
    Thread(#[source] std::io::Error),
}

/// The settings of a receiver that is not started yet.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("fleet.sqlite");
/// use std::time::Duration;
///
/// use deployment_telemetry::Telemetry;
/// use deployment_telemetry::receiver::{
///     AlertDestination, Receiver, ReceiverBuilder, SqliteFleetStore, WebhookKey,
/// };
///
/// let own = WebhookKey::generate(); // for the host's own telemetry, besides the keys of the store
/// let builder: ReceiverBuilder = Receiver::builder(SqliteFleetStore::new(file));
/// let receiver = builder
///     .retention(Duration::from_secs(30 * 86_400))
///     .alerts(AlertDestination::new("https://alerts.example/fleet"))
///     .key(&own)
///     .telemetry(Telemetry::disabled())
///     .start()?;
/// receiver.stop().await;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[must_use = "nothing runs before `start`"]
pub struct ReceiverBuilder {
    store: Arc<dyn FleetStore>,
    retention: Duration,
    alerts: Option<AlertDestination>,
    keys: Vec<WebhookKey>,
    telemetry: Option<Telemetry>,
    /// That of a simulation.
    pub(super) clock: Option<ReceiverClock>,
    outage_after: Duration,
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
    /// // At the stop, 5 seconds for requests under way and for pages that are open.
    /// server.bind("127.0.0.1:8080")?.shutdown_timeout(5).run().await?;
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
    /// each start keeps its instances. They have no limits; see [`KeyLimits`](super::KeyLimits).
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
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")]
    /// # #[actix_web::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("fleet.sqlite");
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::{Duration, SystemTime, UNIX_EPOCH};
    ///
    /// use deployment_telemetry::receiver::{Receiver, SqliteFleetStore};
    ///
    /// let seconds = Arc::new(AtomicU64::new(1_800_000_000));
    /// let simulated = seconds.clone();
    /// let receiver = Receiver::builder(SqliteFleetStore::new(file))
    ///     .clock(move || UNIX_EPOCH + Duration::from_secs(simulated.load(Ordering::Relaxed)))
    ///     .outage_after(Duration::from_secs(3_600))
    ///     .start()?;
    /// seconds.fetch_add(60, Ordering::Relaxed);
    /// let _ = receiver.judge().await; // what is due now, instead of within a second
    /// receiver.stop().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "sqlite"))]
    /// # fn main() {}
    /// ```
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
        let alerts = self.alerts.as_ref().map(AlertDestination::target).transpose()?;
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
