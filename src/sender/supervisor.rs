//! The supervisor starts the actors, watches them and ends them in order.
//!
//! The supervisor runs on the telemetry thread. It knows every actor, and no actor knows it. The watchdog sends
//! it a [`Command`], the handle a [`SendNowRequest`].

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use actix::{Addr, MailboxError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::config::{
    ConfigActor, ConfigSource, DestinationSettings, Load, Settings, Vendor, format_duration,
};
use super::destination::DestinationActor;
use super::heartbeat::{Tick, Watched};
use super::instance_id::InstanceIdActor;
use super::license_watcher::{Collect, LicenseInbox, LicenseWatcher};
use super::outcome::{Delivered, SendNowError};
use super::product::Product;
use super::request::Run;
use super::scheduled::Scheduled;
use super::scheduler::{Finish, Introduce, SchedulerActor, SendNow};
use super::state::AnyStateStore;
use super::status::{Health, StatusBoard};
use super::watchdog::{Command, Signal};
use crate::outgoing::Transport;
use crate::outgoing::setting::ConfigErrors;
use crate::running::clock::Clock;
use crate::running::containment::Containment;
use crate::wire::build::BuildInfo;

/// Call of `send_now` by the handle: the channel for its answer.
pub(crate) type SendNowRequest = oneshot::Sender<Result<Vec<Delivered>, SendNowError>>;

/// Time after the deadline of a stop that the answers have to arrive.
const CUT_OFF: Duration = Duration::from_millis(100);

/// Maximum number of calls of `send_now` that wait to be processed.
const MOST_SEND_NOW_REQUESTS: usize = 16;

/// Number of times that a message is sent while its actor panics over it. It exceeds the number of panics
/// after which the containment ends all actors.
const MOST_ATTEMPTS: usize = 8;

/// Configuration by the host, which is moved to the telemetry thread.
pub(crate) struct Setup {
    pub(crate) product: Product,
    pub(crate) build: Arc<BuildInfo>,
    pub(crate) config: ConfigSource,
    pub(crate) vendor: Option<Vendor>,
    pub(crate) store: AnyStateStore,
    pub(crate) inbox: Arc<LicenseInbox>,
    pub(crate) run_id: Uuid,
    pub(crate) clock: Clock,
}

/// Parts of the handle, returned once all actors run.
pub(crate) struct Started {
    pub(crate) settings: Arc<Settings>,
    pub(crate) board: StatusBoard,
    pub(crate) license_watcher: Addr<LicenseWatcher>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) send_now: mpsc::Sender<SendNowRequest>,
}

/// Actors of a run.
struct Actors {
    scheduler: Addr<SchedulerActor>,
    license_watcher: Addr<LicenseWatcher>,
    /// All actors, in the order of their start.
    watched: Vec<Watched>,
}

/// Runs the subsystem from start to stop. Sends the result of the start to `started`, and the answer to each beat
/// to `watchdog`.
pub(crate) async fn run(
    setup: Setup,
    transport_to: impl Fn(&DestinationSettings) -> Rc<dyn Transport>,
    started: blocking::Sender<Result<Started, ConfigErrors>>,
    watchdog: blocking::Sender<Signal>,
) {
    let board = StatusBoard::new();
    let containment = Containment::new("telemetry", setup.clock.clone(), board.incidents());
    let config = ConfigActor::new(setup.config.clone(), setup.product.clone(), setup.vendor.clone());
    let config = containment.start("config", config);
    let settings = match load(&config, &containment).await {
        Some(Ok(settings)) => settings,
        Some(Err(errors)) => {
            let _ = started.send(Err(errors));
            return;
        }
        // The actor was given up after panics. Dropping `started` reports that to the host.
        None => return,
    };
    board.show(&settings);
    announce(&settings);

    let inbox = setup.inbox.clone();
    let mut actors = Actors::start(setup, &settings, transport_to, &containment, &board);
    actors.watched.insert(0, Watched::new("config", config.recipient()));
    let (commands, commanded) = mpsc::unbounded_channel();
    let (send_now, requested) = mpsc::channel(MOST_SEND_NOW_REQUESTS);
    let license_watcher = actors.license_watcher.clone();
    let handle = Started { settings, board: board.clone(), license_watcher, commands, send_now };
    if started.send(Ok(handle)).is_ok() {
        actors.serve(commanded, requested, &inbox, &watchdog, &containment, &board).await;
    }
    containment.end();
    board.update(|status| {
        if status.health == Health::Running {
            status.health = Health::Stopped;
        }
    });
}

impl Actors {
    /// Starts the actors and connects them.
    fn start(
        setup: Setup,
        settings: &Settings,
        transport_to: impl Fn(&DestinationSettings) -> Rc<dyn Transport>,
        containment: &Containment,
        board: &StatusBoard,
    ) -> Self {
        let Setup { product, build, store, inbox, run_id, clock, .. } = setup;
        let run = Rc::new(Run { id: run_id, product, build });
        let mut watched = Vec::new();
        let mut scheduled = Vec::new();
        for destination in &settings.destinations {
            let (name, frequency) = (destination.name, destination.frequency);
            let actor = DestinationActor::new(
                run.clone(),
                Rc::new(destination.clone()),
                transport_to(destination),
                board.clone(),
                clock.clone(),
            );
            let actor = containment.start(name.actor(), actor);
            watched.push(Watched::new(name.actor(), actor.clone().recipient()));
            scheduled.push(Scheduled::new(name, frequency, actor.recipient()));
        }
        let scheduler = SchedulerActor::new(scheduled, board.clone(), clock.clone());
        let scheduler = containment.start("scheduler", scheduler);
        let subscriber = scheduler.clone().recipient();
        let is_active = !settings.destinations.is_empty();
        let license_watcher = LicenseWatcher::new(is_active, inbox, subscriber, board.clone(), clock);
        let license_watcher = containment.start("license watcher", license_watcher);
        let identity = InstanceIdActor::new(store, is_active, scheduler.clone().recipient(), board.clone());
        let identity = containment.start("instance id", identity);
        scheduler.do_send(Introduce {
            identity: identity.clone().recipient(),
            publishers: vec![identity.clone().recipient(), license_watcher.clone().recipient()],
        });
        watched.push(Watched::new("scheduler", scheduler.clone().recipient()));
        watched.push(Watched::new("license watcher", license_watcher.clone().recipient()));
        watched.push(Watched::new("instance id", identity.recipient()));
        Self { scheduler, license_watcher, watched }
    }

    /// Processes the requests of the watchdog and of the handle until the run ends.
    async fn serve(
        &self,
        mut commanded: mpsc::UnboundedReceiver<Command>,
        mut requested: mpsc::Receiver<SendNowRequest>,
        inbox: &LicenseInbox,
        watchdog: &blocking::Sender<Signal>,
        containment: &Containment,
        board: &StatusBoard,
    ) {
        loop {
            tokio::select! {
                command = commanded.recv() => match command {
                    Some(Command::Beat) => {
                        let _ = watchdog.send(Signal::Alive);
                        self.watched.iter().for_each(|actor| actor.tick(board));
                    }
                    Some(Command::Stop { deadline, answer }) => {
                        return self.finish(containment, deadline, answer).await;
                    }
                    None => return,
                },
                Some(answer) = requested.recv() => self.send_now(answer),
                () = inbox.rung() => self.license_watcher.do_send(Collect),
                () = containment.ended() => return,
            }
        }
    }

    /// Forwards a call of `send_now` to the scheduler.
    fn send_now(&self, answer: SendNowRequest) {
        let sent = self.scheduler.send(SendNow);
        actix_rt::spawn(async move {
            let _ = answer.send(sent.await.unwrap_or(Err(SendNowError::NotRunning)));
        });
    }

    /// Ends the run, and answers with the outcome of each destination's `end`.
    async fn finish(
        &self,
        containment: &Containment,
        deadline: Instant,
        answer: blocking::Sender<Vec<Delivered>>,
    ) {
        let ends = async {
            // A license change that the host reported before the stop is sent before `end`. The messages make sure
            // that it is published, processed, and published again in case an actor panicked over it.
            send_until_answered(|| self.license_watcher.send(Collect)).await;
            send_until_answered(|| self.scheduler.send(Tick)).await;
            send_until_answered(|| self.license_watcher.send(Tick)).await;
            send_until_answered(|| self.scheduler.send(Finish { deadline })).await
        };
        tokio::select! {
            ends = ends => {
                let _ = answer.send(ends.unwrap_or_default());
            }
            () = tokio::time::sleep_until(deadline + CUT_OFF) => {}
            () = containment.ended() => {}
        }
    }
}

/// Asks the ConfigActor for the settings. Returns `None` if the actor was given up after panics.
async fn load(
    config: &Addr<ConfigActor>,
    containment: &Containment,
) -> Option<Result<Arc<Settings>, ConfigErrors>> {
    tokio::select! {
        answer = send_until_answered(|| config.send(Load)) => answer,
        () = containment.ended() => None,
    }
}

/// Sends a message, again after each panic that lost it, and returns the answer; `None` if the actor has ended.
async fn send_until_answered<T, A>(send: impl Fn() -> A) -> Option<T>
where
    A: Future<Output = Result<T, MailboxError>>,
{
    for _ in 0..MOST_ATTEMPTS {
        if let Ok(answer) = send().await {
            return Some(answer);
        }
    }
    None
}

/// Logs the mode and the destinations (spec §9).
fn announce(settings: &Settings) {
    let destinations: String = settings
        .destinations
        .iter()
        .map(|to| {
            format!(" {}={} frequency={}", to.name, to.target.endpoint.host(), format_duration(to.frequency))
        })
        .collect();
    tracing::info!("[telemetry] mode={}{destinations}", settings.mode);
    for to in &settings.destinations {
        if let Err(failure) = &to.target.proxy {
            tracing::warn!("[telemetry:{}] no event will be delivered: {failure}", to.name);
        }
    }
    if settings.not_tracked {
        tracing::info!("[telemetry] DO_NOT_TRACK is set: nothing is sent to the vendor");
    }
}
