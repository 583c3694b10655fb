//! The handle of a running subsystem.

use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc as blocking;

use actix::{AsyncContext, Context, Recipient};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::config::Settings;
use super::license_watcher::{Channel, LicenseChanged, LicenseInbox, LicenseWatcher};
use super::outcome::{Delivered, SendNowError, StopReport};
use super::request::{PreviewedRequest, Run};
use super::status::{Health, Status, StatusBoard};
use super::supervisor::SendNowRequest;
use super::watchdog::Signal;
use crate::running::clock::Clock;
use crate::wire::license::License;

/// Handle of a running subsystem.
///
/// The handle is cheap to clone and can be used from every thread, inside and outside of any async runtime.
/// [`Telemetry::builder`] is where to begin.
///
/// Dropping the last handle stops the subsystem in the background, in the same way as [`stop`](Self::stop).
///
/// ```
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use deployment_telemetry::{BuildInfo, Config, License, MemoryStateStore, Product, Telemetry};
///
/// let build = BuildInfo::new("1.2.0").with_time("2024-02-16T23:06:23+02:00");
/// let file = folder.path().join("telemetry.jsonl");
/// let telemetry = Telemetry::builder(Product::new("Sirveo"), build, MemoryStateStore::new())
///     .config(Config::custom(format!("file://{}", file.display())))
///     .start()?;
/// telemetry.license_changed(License::valid("the license key"));
/// for request in telemetry.preview() {
///     println!("{} {}", request.method, request.url); // what would be sent, with secrets redacted
/// }
/// let status = telemetry.status();
/// assert_eq!(status.destinations.len(), 1);
/// match telemetry.send_now().await {
///     Ok(delivered) => println!("{} {}", delivered[0].destination, delivered[0].outcome),
///     Err(why) => println!("nothing was sent: {why}"), // `begin` is still on its way
/// }
/// let report = telemetry.stop().await;
/// assert!(report.was_running && report.ends.iter().all(|end| end.outcome.is_success()), "{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "dropping the last handle stops the telemetry"]
pub struct Telemetry {
    inner: Arc<Inner>,
}

/// What all clones of a handle share.
struct Inner {
    board: StatusBoard,
    license: Recipient<LicenseChanged>,
    /// `None` where nothing was started.
    running: Option<Running>,
}

/// Connections of the handle to a subsystem that was started.
pub(super) struct Running {
    pub(super) run: Run,
    pub(super) settings: Arc<Settings>,
    pub(super) inbox: Arc<LicenseInbox>,
    pub(super) send_now: mpsc::Sender<SendNowRequest>,
    /// To the watchdog.
    pub(super) signals: blocking::Sender<Signal>,
    /// Report of the stop; `None` until it is complete.
    pub(super) reported: watch::Receiver<Option<StopReport>>,
    pub(super) clock: Clock,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

impl Telemetry {
    pub(super) fn new(
        board: StatusBoard,
        license: Recipient<LicenseChanged>,
        running: Option<Running>,
    ) -> Self {
        Self { inner: Arc::new(Inner { board, license, running }) }
    }

    /// Creates a handle where nothing runs, for tests and for a host that decides against telemetry. It accepts
    /// every call, sends nothing and starts no thread.
    ///
    /// ```
    /// use deployment_telemetry::{License, Telemetry};
    ///
    /// let telemetry = Telemetry::disabled();
    /// telemetry.license_changed(License::none());
    /// assert!(telemetry.preview().is_empty());
    /// ```
    pub fn disabled() -> Self {
        Self::without_a_run(Health::Stopped)
    }

    pub(super) fn without_a_run(health: Health) -> Self {
        let board = StatusBoard::new();
        board.update(|status| status.health = health);
        // The address of an actor that never runs: a message to it is dropped.
        let license = Context::<LicenseWatcher>::new().address().recipient();
        Self::new(board, license, None)
    }

    /// Reports the current license of the host.
    ///
    /// The call never waits and may come from any thread. A message that equals the previous one has no effect.
    /// Where messages come faster than they are processed, only the newest is kept;
    /// [`Status::merged_license_changes`] counts the others.
    pub fn license_changed(&self, license: License) {
        if let Some(running) = &self.inner.running
            && running.inbox.put(license, Channel::Handle)
        {
            running.inbox.ring();
        }
    }

    /// Recipient to which actors of the host send [`LicenseChanged`].
    ///
    /// A host should use either this recipient or [`license_changed`](Self::license_changed): if two messages
    /// arrive by both ways within microseconds, the older one may win. Messages that are sent faster than they
    /// are processed wait in the actor's mailbox and take about a hundred bytes each; `do_send` sets no limit.
    ///
    /// ```
    /// use deployment_telemetry::{License, LicenseChanged, Recipient, Telemetry};
    ///
    /// fn licensed(recipient: &Recipient<LicenseChanged>) {
    ///     recipient.do_send(LicenseChanged::from(License::valid("the license key")));
    /// }
    /// # licensed(&Telemetry::disabled().license_recipient());
    /// ```
    pub fn license_recipient(&self) -> Recipient<LicenseChanged> {
        self.inner.license.clone()
    }

    /// Sends an `update` to each active destination at once, outside its slot, and returns the outcomes.
    ///
    /// The call takes at most 5 seconds for each event that already waits, plus 5 seconds for the update.
    ///
    /// # Errors
    /// Nothing was sent; the error names the reason.
    pub async fn send_now(&self) -> Result<Vec<Delivered>, SendNowError> {
        let (answer, answered) = oneshot::channel();
        let running = self.inner.running.as_ref().ok_or(SendNowError::NotRunning)?;
        running.send_now.try_send(answer).map_err(|_| SendNowError::NotRunning)?;
        answered.await.unwrap_or(Err(SendNowError::NotRunning))
    }

    /// Current status of the subsystem. Returns at once, even while the subsystem is frozen or down.
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

    /// Requests exactly as the subsystem would send them now, one for each active destination and reason, with
    /// secrets redacted. Sends nothing and changes nothing.
    ///
    /// While the instance id is not known, the requests contain a random one.
    pub fn preview(&self) -> Vec<PreviewedRequest> {
        let Some(Running { run, settings, clock, .. }) = &self.inner.running else {
            return Vec::new();
        };
        let status = self.inner.board.read();
        let now = clock.now();
        run.preview_all(&settings.destinations, status.instance_id, &status.license.at(now), now)
    }

    /// Stops the subsystem: sends `end` to each destination that was sent `begin`, to all at the same time.
    ///
    /// The call takes milliseconds while the destinations respond, and at most 5 seconds otherwise. It may be
    /// called again and from several places; all calls return the same report.
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

    /// Runs `work`, usually the server of the host, and [stops](Self::stop) the subsystem afterwards. `end` is
    /// sent where `work` returns a value, where it returns an error, and where it panics.
    ///
    /// If the returned future is dropped before `work` is complete, the subsystem goes on; dropping the last
    /// handle then stops it in the background.
    ///
    /// ```no_run
    /// # async fn run(telemetry: deployment_telemetry::Telemetry) -> std::io::Result<()> {
    /// let server = actix_web::HttpServer::new(actix_web::App::new).bind("127.0.0.1:8080")?.run();
    /// telemetry.during(server).await
    /// # }
    /// ```
    pub async fn during<Work: IntoFuture>(&self, work: Work) -> Work::Output {
        let outcome = AssertUnwindSafe(work.into_future()).catch_unwind().await;
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
