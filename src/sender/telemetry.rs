//! The face of the crate: a builder, and the handle a host keeps.

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self as blocking, RecvTimeoutError};
use std::time::Duration;

use actix::{AsyncContext, Context, Recipient};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::config::{Config, ConfigSource, Settings, Vendor};
use super::heartbeat::{ONE_MINUTE, PATIENCE};
use super::instance_id;
use super::license_watcher::{Channel, LicenseChanged, LicenseInbox, LicenseWatcher};
use super::outcome::{Delivered, StopReport};
use super::product::Product;
use super::request::{Event, PreviewedRequest, Run};
use super::scheduler::SendNowError;
use super::state::{AnyStateStore, HostRuntime, StateStore};
use super::status::{Health, Status, StatusBoard};
use super::supervisor::{self, SendNowRequest, Setup};
use super::watchdog::{Signal, Watchdog};
use crate::outgoing::client::HttpTransport;
use crate::outgoing::setting::ConfigErrors;
use crate::running::causes;
use crate::running::clock::Clock;
use crate::wire::build::BuildInfo;
use crate::wire::license::{License, LicenseState};
use crate::wire::payload::Reason;

/// Why telemetry did not start. Nothing of it runs then, and the host decides what that means.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The build time the host gave is not RFC 3339 with an offset.
    #[error("the host's build time {0:?} is not RFC 3339 with an offset, such as 2024-02-16T23:06:23+02:00")]
    BuildTime(String),
    /// The system gave no thread.
    #[error("no thread for the telemetry")]
    Thread(#[source] std::io::Error),
    /// The subsystem panicked while it started; the panic is in the log.
    #[error("the telemetry panicked while it started; please report it")]
    Panicked,
    /// The settings were not read in time: the disk of the CA file, or the host's log, does not answer.
    #[error(
        "the telemetry read no settings within {} s; does the disk of the file in CA_FILE answer, and the log?",
        START_LIMIT.as_secs()
    )]
    TimedOut,
}

/// Reading the settings takes a moment; a host does not wait for ever on a disk that is gone.
const START_LIMIT: Duration = Duration::from_secs(5);

/// What a host puts together before it starts telemetry.
#[must_use = "nothing runs before `start`"]
pub struct TelemetryBuilder {
    product: Product,
    build: BuildInfo,
    store: AnyStateStore,
    config: ConfigSource,
    vendor: Option<Vendor>,
    license: License,
}

impl TelemetryBuilder {
    /// The license as it is at start. Without it: [`License::none`].
    pub fn license(mut self, license: License) -> Self {
        self.license = license;
        self
    }

    /// The vendor's own destination, for the modes `default` and `both`.
    pub fn vendor(mut self, vendor: Vendor) -> Self {
        self.vendor = Some(vendor);
        self
    }

    /// Settings of the host's own instead of the environment's `<PRODUCT>_TELEMETRY_*`.
    pub fn config(mut self, config: Config) -> Self {
        self.config.given = Some(config);
        self
    }

    /// What holds for settings that the operator leaves unset.
    pub fn default_config(mut self, defaults: Config) -> Self {
        self.config.defaults = defaults;
        self
    }

    /// Checks everything that [`start`](Self::start) checks, and starts nothing.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn check(&self) -> Result<(), StartError> {
        self.check_build()?;
        self.config.load(&self.product, self.vendor.as_ref())?;
        Ok(())
    }

    /// Starts the subsystem on a thread of its own and returns as soon as its settings are checked:
    /// it waits for no database and no network. Works inside and outside of any runtime.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, together; nothing runs then.
    pub fn start(self) -> Result<Telemetry, StartError> {
        self.check_build()?;
        let (product, build, vendor) = (self.product, Arc::new(self.build), self.vendor);
        let inbox = Arc::new(LicenseInbox::default());
        inbox.put(self.license, Channel::Handle);
        let clock = Clock::system();
        let run = Run { id: Uuid::new_v4(), product: product.clone(), build: build.clone() };
        let parts = Setup {
            product,
            build,
            config: self.config,
            vendor,
            store: HostRuntime::around(self.store),
            inbox: inbox.clone(),
            run_id: run.id,
            clock: clock.clone(),
        };

        let (signals, heard) = blocking::channel();
        let (started, start) = blocking::channel();
        let from_thread = signals.clone();
        spawn("telemetry", move || {
            actix_rt::System::new().block_on(supervisor::run(
                parts,
                |to| HttpTransport::to(&to.target),
                started,
                from_thread,
            ));
        })?;
        let started = start.recv_timeout(START_LIMIT).map_err(|why| match why {
            RecvTimeoutError::Timeout => StartError::TimedOut,
            RecvTimeoutError::Disconnected => StartError::Panicked,
        })??;

        let (report, reported) = watch::channel(None);
        let watchdog = Watchdog {
            signals: heard,
            commands: started.commands,
            report,
            board: started.board.clone(),
            clock: clock.clone(),
            beat: (!started.settings.destinations.is_empty()).then_some(ONE_MINUTE),
            patience: PATIENCE,
        };
        spawn("telemetry-watch", move || watchdog.watch())?;
        let running = Running {
            run,
            settings: started.settings,
            inbox,
            send_now: started.send_now,
            signals,
            reported,
            clock,
        };
        let inner =
            Inner { board: started.board, license: started.license.recipient(), running: Some(running) };
        Ok(Telemetry { inner: Arc::new(inner) })
    }

    /// As [`start`](Self::start), for a host that runs whatever its settings of telemetry are: an error
    /// is logged, and the handle is one where nothing runs, with [`Health::Down`].
    pub fn start_or_disabled(self) -> Telemetry {
        self.start().unwrap_or_else(|error| {
            tracing::error!("[telemetry] not started, so nothing is sent: {}", causes::in_one_line(&error));
            Telemetry::without_a_run(Health::Down)
        })
    }

    /// The requests that [`start`](Self::start) and what follows it would send, one for each active
    /// destination and reason, with secrets redacted. Sends nothing, changes nothing: the database
    /// is read, and where it holds no instance id yet, the one shown is made up.
    ///
    /// To be awaited in a tokio runtime, for the database.
    ///
    /// # Errors
    /// Everything that is wrong with the settings, together.
    pub async fn preview(self) -> Result<Vec<PreviewedRequest>, StartError> {
        self.check_build()?;
        let settings = self.config.load(&self.product, self.vendor.as_ref())?;
        let clock = Clock::system();
        let instance_id = match instance_id::peek(&self.store).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(
                    "[telemetry] the instance id cannot be read; the preview makes one up: {error}"
                );
                None
            }
        };
        let license = self.license.state().at(clock.now());
        let run = Run { id: Uuid::new_v4(), product: self.product, build: Arc::new(self.build) };
        Ok(preview(&run, &settings, instance_id, &license, &clock))
    }

    fn check_build(&self) -> Result<(), StartError> {
        match self.build.time_is_rfc3339() {
            true => Ok(()),
            false => Err(StartError::BuildTime(self.build.time().to_owned())),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(StartError::Thread)
}

/// The handle of a running subsystem: cheap to clone, usable from every thread and runtime.
///
/// Dropping the last handle stops the subsystem in the background, as [`stop`](Self::stop) does.
#[derive(Clone)]
#[must_use = "dropping the last handle stops the telemetry"]
pub struct Telemetry {
    inner: Arc<Inner>,
}

struct Inner {
    board: StatusBoard,
    license: Recipient<LicenseChanged>,
    /// `None` where nothing was started.
    running: Option<Running>,
}

/// A subsystem that was started.
struct Running {
    run: Run,
    settings: Arc<Settings>,
    inbox: Arc<LicenseInbox>,
    send_now: mpsc::Sender<SendNowRequest>,
    signals: blocking::Sender<Signal>,
    reported: watch::Receiver<Option<StopReport>>,
    clock: Clock,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

impl Telemetry {
    /// Begins to put telemetry together: the host's name, its build, and where its state is kept.
    pub fn builder(product: Product, build: BuildInfo, store: impl StateStore + 'static) -> TelemetryBuilder {
        TelemetryBuilder {
            product,
            build,
            store: AnyStateStore::new(store),
            config: ConfigSource::default(),
            vendor: None,
            license: License::none(),
        }
    }

    /// A handle where nothing runs, for tests and for a host that decides against telemetry: it takes
    /// every call, sends nothing, and starts no thread.
    pub fn disabled() -> Self {
        Self::without_a_run(Health::Stopped)
    }

    fn without_a_run(health: Health) -> Self {
        let board = StatusBoard::new();
        board.update(|status| status.health = health);
        // The address of an actor that never runs: what is sent there is dropped.
        let license = Context::<LicenseWatcher>::new().address().recipient();
        Self { inner: Arc::new(Inner { board, license, running: None }) }
    }

    /// Tells the license's state. Never waits, from whatever thread: states that come faster than
    /// they can be told merge into the newest, counted in the status. An equal state changes nothing.
    pub fn license_changed(&self, license: License) {
        if let Some(running) = &self.inner.running
            && running.inbox.put(license, Channel::Handle)
        {
            running.inbox.ring();
        }
    }

    /// Where the host's own actors send [`LicenseChanged`], as they send any other message.
    ///
    /// A host uses this way or [`license_changed`](Self::license_changed): of two states that come by
    /// both ways within microseconds, the older may be taken for the newer. What is sent faster than it
    /// is taken waits in the actor's mailbox, about a hundred bytes each: that of `do_send` has no bound.
    pub fn license_recipient(&self) -> Recipient<LicenseChanged> {
        self.inner.license.clone()
    }

    /// Sends an `update` to each active destination now and waits for what becomes of them: 5 seconds
    /// for each event that waits before it, and 5 for its own.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub async fn send_now(&self) -> Result<Vec<Delivered>, SendNowError> {
        let (answer, answered) = oneshot::channel();
        let running = self.inner.running.as_ref().ok_or(SendNowError::NotRunning)?;
        running.send_now.try_send(answer).map_err(|_| SendNowError::NotRunning)?;
        answered.await.unwrap_or(Err(SendNowError::NotRunning))
    }

    /// The subsystem as it is now. Answers at once, also while it is frozen or down.
    pub fn status(&self) -> Status {
        let mut status = self.inner.board.read();
        if let Some(running) = &self.inner.running {
            status.license = status.license.at(running.clock.now());
            if status.health == Health::Running && running.send_now.is_closed() {
                status.health = Health::Down;
            }
        }
        status
    }

    /// Exactly the requests that would be sent now, one for each active destination and reason, with
    /// secrets redacted. Sends nothing and changes nothing. While the instance id is not known, the
    /// one shown is made up.
    pub fn preview(&self) -> Vec<PreviewedRequest> {
        let Some(Running { run, settings, clock, .. }) = &self.inner.running else {
            return Vec::new();
        };
        let status = self.inner.board.read();
        preview(run, settings, status.instance_id, &status.license.at(clock.now()), clock)
    }

    /// Ends the run: each destination that was sent `begin` is sent `end`, both at once. Takes a few
    /// milliseconds where the network is well and at most 5 seconds where it is not. Harmless when
    /// called again or from several places: all get the one report.
    pub async fn stop(&self) -> StopReport {
        let Some(running) = &self.inner.running else {
            return StopReport::default();
        };
        let _ = running.signals.send(Signal::Stop);
        let mut reported = running.reported.clone();
        match reported.wait_for(Option::is_some).await {
            Ok(report) => report.clone().unwrap_or_default(),
            Err(_) => StopReport::default(),
        }
    }

    /// Runs `work`, usually the host's server, and [stops](Self::stop) telemetry when it is done:
    /// `end` is sent where `work` returns a value, where it returns an error, and where it panics.
    ///
    /// If the returned future is dropped before `work` is done, nothing is stopped; dropping the last
    /// handle then stops telemetry in the background.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn run(telemetry: deployment_telemetry::Telemetry) -> std::io::Result<()> {
    /// let server = actix_web::HttpServer::new(actix_web::App::new).bind("127.0.0.1:8080")?.run();
    /// telemetry.during(server).await
    /// # }
    /// ```
    pub async fn during<Work: Future>(&self, work: Work) -> Work::Output {
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        self.stop().await;
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("Telemetry")
            .field("mode", &status.mode)
            .field("health", &status.health)
            .finish_non_exhaustive()
    }
}

fn preview(
    run: &Run,
    settings: &Settings,
    instance_id: Option<Uuid>,
    license: &LicenseState,
    clock: &Clock,
) -> Vec<PreviewedRequest> {
    let instance_id = instance_id.unwrap_or_else(Uuid::new_v4);
    let mut sequence = 0;
    let mut requests = Vec::new();
    for &reason in Reason::ALL {
        for to in &settings.destinations {
            sequence += 1;
            let event = Event { reason, instance_id, license: license.clone(), sequence };
            requests.push(run.preview(to, &event, clock.now()));
        }
    }
    requests
}
