//! Starts the actors, watches them, and ends them in order. It runs on the telemetry thread, knows
//! every actor, and is known by none; the watchdog speaks to it by [`Command`].

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use actix::{Addr, MailboxError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::config::{ConfigActor, ConfigSource, DestinationSettings, Load, Settings, Vendor};
use super::destination::{Deliver, DestinationActor};
use super::heartbeat::{Tick, Watched};
use super::instance_id::InstanceIdActor;
use super::license_watcher::{Collect, LicenseInbox, LicenseWatcher};
use super::outcome::Delivered;
use super::product::Product;
use super::request::Run;
use super::scheduler::{Finish, Meet, SchedulerActor, SendNow, SendNowError, Slotted};
use super::state::StateStore;
use super::status::{Health, StatusBoard};
use super::watchdog::{Command, Sign};
use crate::outgoing::Transport;
use crate::outgoing::setting::ConfigErrors;
use crate::running::clock::Clock;
use crate::running::containment::Containment;
use crate::wire::build::BuildInfo;

/// What the handle asks for: an update now.
pub(crate) type SendNowRequest = oneshot::Sender<Result<Vec<Delivered>, SendNowError>>;

/// After the deadline of a stop, what is left for the answers to come in.
const CUT_OFF: Duration = Duration::from_millis(100);

/// So many calls of `send_now` may wait to be looked at.
const MOST_SEND_NOW_REQUESTS: usize = 16;

/// More often than a part may panic in a minute.
const MOST_TRIES: usize = 8;

/// What the host built; it goes to the telemetry thread.
pub(crate) struct Parts {
    pub(crate) product: Product,
    pub(crate) build: Arc<BuildInfo>,
    pub(crate) config: ConfigSource,
    pub(crate) vendor: Option<Vendor>,
    pub(crate) store: Box<dyn StateStore>,
    pub(crate) inbox: Arc<LicenseInbox>,
    pub(crate) run_id: Uuid,
    pub(crate) clock: Clock,
}

/// What the handle is made of, once everything runs.
pub(crate) struct Started {
    pub(crate) settings: Arc<Settings>,
    pub(crate) board: StatusBoard,
    pub(crate) license: Addr<LicenseWatcher>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) send_now: mpsc::Sender<SendNowRequest>,
}

/// Everything from start to stop. `started` is told what came of the start.
pub(crate) async fn run(
    parts: Parts,
    transport_to: impl Fn(&DestinationSettings) -> Rc<dyn Transport>,
    started: blocking::Sender<Result<Started, ConfigErrors>>,
    watchdog: blocking::Sender<Sign>,
) {
    let board = StatusBoard::new();
    let containment = Containment::new("telemetry", parts.clock.clone(), board.incidents());
    let config =
        containment.start("config", ConfigActor::new(parts.config, parts.product.clone(), parts.vendor));
    let settings = match load(&config, &containment).await {
        Some(Ok(settings)) => settings,
        Some(Err(errors)) => {
            let _ = started.send(Err(errors));
            return;
        }
        // Given up after panics; `started` is dropped, which tells the host.
        None => return,
    };
    board.show(&settings);
    announce(&settings);

    let run = Rc::new(Run { id: parts.run_id, product: parts.product, build: parts.build });
    let mut watched = vec![Watched::new("config", config.recipient())];
    let mut slotted = Vec::new();
    for destination in &settings.destinations {
        let transport = transport_to(destination);
        let destination = Rc::new(destination.clone());
        let (name, frequency) = (destination.name, destination.frequency);
        let actor =
            DestinationActor::new(run.clone(), destination, transport, board.clone(), parts.clock.clone());
        let actor = containment.start(name.actor(), actor);
        watched.push(Watched::new(name.actor(), actor.clone().recipient()));
        slotted.push(Slotted::new(name, frequency, actor.recipient::<Deliver>()));
    }
    let scheduler =
        containment.start("scheduler", SchedulerActor::new(slotted, board.clone(), parts.clock.clone()));
    let watcher = containment.start(
        "license watcher",
        LicenseWatcher::new(
            !settings.destinations.is_empty(),
            parts.inbox.clone(),
            scheduler.clone().recipient(),
            board.clone(),
            parts.clock.clone(),
        ),
    );
    let identity = containment.start(
        "instance id",
        InstanceIdActor::new(parts.store, scheduler.clone().recipient(), board.clone()),
    );
    watched.push(Watched::new("scheduler", scheduler.clone().recipient()));
    watched.push(Watched::new("license watcher", watcher.clone().recipient()));
    watched.push(Watched::new("instance id", identity.clone().recipient()));

    let (commands, mut commanded) = mpsc::unbounded_channel();
    let (requests, mut requested) = mpsc::channel(MOST_SEND_NOW_REQUESTS);
    if started
        .send(Ok(Started {
            settings,
            board: board.clone(),
            license: watcher.clone(),
            commands,
            send_now: requests,
        }))
        .is_err()
    {
        return containment.end();
    }
    meet(&scheduler, &identity, &watcher).await;

    loop {
        tokio::select! {
            command = commanded.recv() => match command {
                Some(Command::Beat) => {
                    let _ = watchdog.send(Sign::Alive);
                    watched.iter().for_each(|actor| actor.tick(&board));
                }
                Some(Command::Stop { deadline, answer }) => {
                    finish(&watcher, &scheduler, &containment, deadline, answer).await;
                    break;
                }
                None => break,
            },
            Some(answer) = requested.recv() => send_now(&scheduler, answer),
            () = parts.inbox.rung() => watcher.do_send(Collect),
            () = containment.ended() => break,
        }
    }
    containment.end();
    board.update(|status| {
        if status.health == Health::Running {
            status.health = Health::Stopped;
        }
    });
}

/// `None` where the actor panicked until it was given up.
async fn load(
    config: &Addr<ConfigActor>,
    containment: &Containment,
) -> Option<Result<Arc<Settings>, ConfigErrors>> {
    tokio::select! {
        answer = insist(|| config.send(Load)) => answer,
        () = containment.ended() => None,
    }
}

/// The answer to a message that is sent again where a panic took it: its actor is restarted.
async fn insist<T, A>(send: impl Fn() -> A) -> Option<T>
where
    A: Future<Output = Result<T, MailboxError>>,
{
    for _ in 0..MOST_TRIES {
        if let Ok(answer) = send().await {
            return Some(answer);
        }
    }
    None
}

/// Tells the scheduler whom it speaks to.
async fn meet(
    scheduler: &Addr<SchedulerActor>,
    identity: &Addr<InstanceIdActor>,
    watcher: &Addr<LicenseWatcher>,
) {
    insist(|| {
        scheduler.send(Meet {
            identity: identity.clone().recipient(),
            publishers: vec![identity.clone().recipient(), watcher.clone().recipient()],
        })
    })
    .await;
}

fn announce(settings: &Settings) {
    let destinations: String = settings
        .destinations
        .iter()
        .map(|to| {
            format!(
                " {}={} frequency={}",
                to.name,
                to.target.endpoint.host(),
                crate::sender::config::format_duration(to.frequency)
            )
        })
        .collect();
    tracing::info!("[telemetry] mode={}{destinations}", settings.mode);
    if settings.not_tracked {
        tracing::info!("[telemetry] DO_NOT_TRACK is set: nothing is sent to the vendor");
    }
}

fn send_now(scheduler: &Addr<SchedulerActor>, answer: SendNowRequest) {
    let sent = scheduler.send(SendNow);
    actix_rt::spawn(async move {
        let _ = answer.send(sent.await.unwrap_or(Err(SendNowError::NotRunning)));
    });
}

async fn finish(
    license: &Addr<LicenseWatcher>,
    scheduler: &Addr<SchedulerActor>,
    containment: &Containment,
    deadline: Instant,
    answer: blocking::Sender<Vec<Delivered>>,
) {
    let ends = async {
        // A change that the host told before the stop comes before the end: it is published, taken, and
        // published again, where the one who took it panicked.
        insist(|| license.send(Collect)).await;
        insist(|| scheduler.send(Tick)).await;
        insist(|| license.send(Tick)).await;
        insist(|| scheduler.send(Finish { deadline })).await
    };
    tokio::select! {
        ends = ends => {
            let _ = answer.send(ends.unwrap_or_default());
        }
        () = tokio::time::sleep_until(deadline + CUT_OFF) => {}
        () = containment.ended() => {}
    }
}
