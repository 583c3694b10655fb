//! The start of the subsystem: its parts, its threads and its errors.

use std::sync::Arc;
use std::sync::mpsc::{self as blocking, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::config::{Config, ConfigSource, Vendor};
use super::heartbeat::{ONE_MINUTE, PATIENCE};
use super::instance_id;
use super::license_watcher::{Channel, LicenseInbox};
use super::product::Product;
use super::request::{PreviewedRequest, Run};
use super::state::{AnyStateStore, HostRuntime, StateStore};
use super::status::Health;
use super::supervisor::{self, Setup, Started};
use super::telemetry::{Running, Telemetry};
use super::watchdog::{Signal, Watchdog};
use crate::outgoing::setting::ConfigErrors;
use crate::outgoing::transport::transport_to;
use crate::running::causes;
use crate::running::clock::Clock;
use crate::wire::build::BuildInfo;
use crate::wire::license::License;

/// Time limit of reading the settings, so that a host does not wait forever for a disk that does not respond.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Error of a start. No part of the subsystem runs, and the host decides whether to go on without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings are invalid.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The build time in [`BuildInfo`] is not in RFC 3339 with an offset.
    #[error(
        "the host's build time {0:?} is not in RFC 3339 with an offset, such as 2024-02-16T23:06:23+02:00"
    )]
    BuildTime(String),
    /// The operating system did not start a thread.
    #[error("cannot start a thread for the telemetry; check the limit on threads (ulimit -u, pids.max)")]
    Thread(#[source] std::io::Error),
    /// The subsystem panicked during the start; the log contains the panic.
    #[error("the telemetry panicked during its start; please report it with the panic in the log")]
    Panicked,
    /// The settings were not read within 5 seconds, because the disk of the CA file or the host's log does not
    /// respond.
    #[error(
        "the telemetry could not read its settings within {} s; check that the disk of the file in CA_FILE and the \
         log respond",
        START_LIMIT.as_secs()
    )]
    TimedOut,
}

/// Parts of a subsystem that is not started yet. [`Telemetry::builder`] creates it.
///
/// ```
/// use deployment_telemetry::{BuildInfo, Config, MemoryStateStore, Product, Telemetry, TelemetryBuilder};
///
/// /// What all servers of a product have in common.
/// fn of_this_product() -> TelemetryBuilder {
///     Telemetry::builder(Product::new("Acme"), BuildInfo::new("2.3.1"), MemoryStateStore::new())
/// }
///
/// # #[actix_web::main]
/// # async fn main() {
/// let telemetry = of_this_product().config(Config::default()).start_or_disabled();
/// telemetry.stop().await;
/// # }
/// ```
#[must_use = "the telemetry runs only after `start`"]
pub struct TelemetryBuilder {
    product: Product,
    build: BuildInfo,
    store: AnyStateStore,
    config: ConfigSource,
    vendor: Option<Vendor>,
    license: License,
}

impl Telemetry {
    /// Creates a builder from the name of the host, its build, and the store for its instance id.
    ///
    /// ```
    /// use deployment_telemetry::{BuildInfo, Config, FileStateStore, License, Product, StartError, Telemetry};
    ///
    /// # fn main() -> Result<(), StartError> {
    /// let build = BuildInfo::new("0.1.0").with_time("2024-02-16T23:06:23+02:00").with_mode("licenced");
    /// let store = FileStateStore::new("/var/lib/sirveo/telemetry.json");
    /// let telemetry = Telemetry::builder(Product::new("Sirveo"), build, store)
    ///     .license(License::valid("the license key"))
    ///     .default_config(Config::new().frequency("4h"))
    ///     .start()?;
    ///
    /// println!("{:?}", telemetry.status());
    /// telemetry.license_changed(License::none()); // the license was removed
    ///
    /// # futures_executor::block_on(async {
    /// let report = telemetry.stop().await;
    /// println!("stopped {report}");
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(product: Product, build: BuildInfo, store: impl StateStore) -> TelemetryBuilder {
        TelemetryBuilder {
            product,
            build,
            store: AnyStateStore::new(store),
            config: ConfigSource::default(),
            vendor: None,
            license: License::none(),
        }
    }
}

impl TelemetryBuilder {
    /// Sets the license at start. Default: [`License::none`].
    pub fn license(mut self, license: License) -> Self {
        self.license = license;
        self
    }

    /// Sets the vendor's destination. Without it, the modes `default` and `both` are errors.
    pub fn vendor(mut self, vendor: Vendor) -> Self {
        self.vendor = Some(vendor);
        self
    }

    /// Sets the operator's settings, which are read from the variables `<PRODUCT>_TELEMETRY_*` otherwise.
    pub fn config(mut self, config: Config) -> Self {
        self.config.given = Some(config);
        self
    }

    /// Sets the values of settings that the operator leaves unset.
    pub fn default_config(mut self, defaults: Config) -> Self {
        self.config.defaults = defaults;
        self
    }

    /// Checks what [`start`](Self::start) checks, and starts nothing. Reads the CA file, which may block.
    ///
    /// # Errors
    /// [`StartError::BuildTime`] and [`StartError::Config`], as `start` returns them.
    pub fn check(&self) -> Result<(), StartError> {
        self.check_build()?;
        self.config.load(&self.product, self.vendor.as_ref())?;
        Ok(())
    }

    /// Starts the subsystem on threads of its own, and returns as soon as the settings are checked.
    ///
    /// The call waits neither for the database nor for the network, and works inside and outside of any async
    /// runtime. It blocks for the time in which the settings and the CA file are read, at most 5 seconds.
    ///
    /// # Errors
    /// [`StartError`]. Invalid settings are reported all together. No part of the subsystem runs after an error.
    pub fn start(self) -> Result<Telemetry, StartError> {
        self.check_build()?;
        let build = Arc::new(self.build);
        let run = Run { id: Uuid::new_v4(), product: self.product.clone(), build: build.clone() };
        let inbox = Arc::new(LicenseInbox::default());
        inbox.put(self.license, Channel::Handle);
        let clock = Clock::system();
        let setup = Setup {
            product: self.product,
            build,
            config: self.config,
            vendor: self.vendor,
            store: HostRuntime::around(self.store),
            inbox: inbox.clone(),
            run_id: run.id,
            clock: clock.clone(),
        };
        let (signals, heard) = blocking::channel();
        let Started { settings, board, license_watcher, commands, send_now } =
            start_telemetry_thread(setup, signals.clone())?;

        let (report, reported) = watch::channel(None);
        let watchdog = Watchdog {
            signals: heard,
            commands,
            report,
            board: board.clone(),
            clock: clock.clone(),
            beat: (!settings.destinations.is_empty()).then_some(ONE_MINUTE),
            patience: PATIENCE,
        };
        start_thread("telemetry-watch", move || watchdog.watch())?;
        let running = Running { run, settings, inbox, send_now, signals, reported, clock };
        Ok(Telemetry::new(board, license_watcher.recipient(), Some(running)))
    }

    /// Starts the subsystem as [`start`](Self::start) does, for a host that runs whatever the settings of
    /// telemetry are. After an error, which is logged, the handle is one where nothing runs; its status has
    /// [`Health::Down`].
    pub fn start_or_disabled(self) -> Telemetry {
        self.start().unwrap_or_else(|error| {
            tracing::error!("[telemetry] not started, so nothing is sent: {}", causes::in_one_line(&error));
            Telemetry::without_a_run(Health::Down)
        })
    }

    /// Returns the requests that the subsystem would send after a [`start`](Self::start), one for each active
    /// destination and reason, with secrets redacted. Sends nothing and changes nothing.
    ///
    /// The store is read. While it holds no instance id, or does not respond within 5 seconds, the requests
    /// contain a random one. The future must be awaited in a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::BuildTime`] and [`StartError::Config`], as `start` returns them.
    ///
    /// # Panics
    /// Outside of a tokio runtime with timers.
    pub async fn preview(self) -> Result<Vec<PreviewedRequest>, StartError> {
        self.check_build()?;
        let settings = self.config.load(&self.product, self.vendor.as_ref())?;
        let clock = Clock::system();
        let instance_id = match instance_id::peek(&self.store).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(
                    "[telemetry] the instance id cannot be read; the preview shows a random one: {error}"
                );
                None
            }
        };
        let now = clock.now();
        let license = self.license.state().at(now);
        let run = Run { id: Uuid::new_v4(), product: self.product, build: Arc::new(self.build) };
        Ok(run.preview_all(&settings.destinations, instance_id, &license, now))
    }

    fn check_build(&self) -> Result<(), StartError> {
        match self.build.time_is_rfc3339() {
            true => Ok(()),
            false => Err(StartError::BuildTime(self.build.time().to_owned())),
        }
    }
}

/// Starts the telemetry thread and waits until the settings are checked.
fn start_telemetry_thread(setup: Setup, signals: blocking::Sender<Signal>) -> Result<Started, StartError> {
    let (started, start) = blocking::channel();
    start_thread("telemetry", move || {
        actix_rt::System::new().block_on(supervisor::run(
            setup,
            |to| transport_to(&to.target),
            started,
            signals,
        ));
    })?;
    match start.recv_timeout(START_LIMIT) {
        Ok(result) => Ok(result?),
        Err(RecvTimeoutError::Timeout) => Err(StartError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(StartError::Panicked),
    }
}

fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(StartError::Thread)
}
