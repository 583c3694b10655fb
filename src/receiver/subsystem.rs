//! Starts the receiver's thread and its actors, and ends them in order.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use actix::{Addr, Handler, Message};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::STOP_LIMIT;
use super::alerting::alerter::AlerterActor;
use super::counts::Counts;
use super::health::{HealthBoard, HealthState};
use super::ingest::backlog::Backlog;
use super::ingest::writer::{Drain, Ready, WriterActor};
use super::judging::judge::{JudgeActor, JudgeDue};
use super::keeper::KeeperActor;
use super::keys::Keys;
use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::shared::Shared;
use super::store::{FleetStore, StoreError, within};
use super::watchdog::{self, Sign, Watchdog};
use crate::outgoing::target::Target;
use crate::running::clock::Clock;
use crate::running::containment::{Containment, Incident};
use crate::sender::telemetry::Telemetry;

/// Pause after the first try to reach a store that does not answer at the start; it doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two such tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Time limit of one such try.
const PREPARATION_LIMIT: Duration = Duration::from_secs(60);

/// Part of the time for a stop that is kept back for everything around the last events.
const STOP_MARGIN: Duration = Duration::from_millis(200);

/// What the handle asks for.
pub(crate) enum Command {
    /// Judge all that is due.
    Judge(oneshot::Sender<Result<(), StoreError>>),
    /// End in order.
    Stop,
}

/// What the host built; it goes to the receiver's thread.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn FleetStore>,
    pub(crate) clock: Clock,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) retention: Duration,
    pub(crate) outage_after: Duration,
    pub(crate) alerts: Option<Target>,
    pub(crate) telemetry: Option<Telemetry>,
}

/// What is left of the parts for the actors that wait for the store.
struct Later {
    store: Arc<dyn FleetStore>,
    clock: Clock,
    ring: Arc<KeyRing>,
    retention: Duration,
    outage_after: Duration,
    alerts: Option<Target>,
}

/// Says that the receiver's thread has ended, also where it panics.
struct EndSign(blocking::Sender<Sign>);

impl Drop for EndSign {
    fn drop(&mut self) {
        let _ = self.0.send(Sign::Ended);
    }
}

/// Starts the thread and its watchdog. Returns what request handlers need, and where a stop is announced.
pub(crate) fn start(
    parts: Parts,
    commanded: mpsc::UnboundedReceiver<Command>,
) -> io::Result<(Arc<Shared>, blocking::Sender<Sign>)> {
    let clock = parts.clock.clone();
    let (signs, heard) = blocking::channel();
    let end = EndSign(signs.clone());
    let (started, start) = blocking::sync_channel(1);
    spawn("telemetry-receiver", move || {
        let _end = end;
        actix_rt::System::new().block_on(run(parts, commanded, started));
    })?;
    let panicked = |_| io::Error::other("the receiver panicked while it started; please report it");
    let shared = start.recv().map_err(panicked)?;
    let watchdog = Watchdog {
        signs: heard,
        answers: signs.clone(),
        runtime: shared.runtime.clone(),
        health: shared.health.clone(),
        clock,
        beat: watchdog::BEAT,
        patience: watchdog::PATIENCE,
        stop_limit: STOP_LIMIT,
    };
    spawn("receiver-watch", move || watchdog.watch())?;
    Ok((shared, signs))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

async fn run(
    parts: Parts,
    mut commanded: mpsc::UnboundedReceiver<Command>,
    started: blocking::SyncSender<Arc<Shared>>,
) {
    let Parts { store, clock, ring, retention, outage_after, alerts, telemetry } = parts;
    let (runtime, metrics) = (Handle::current(), Metrics::default());
    let health = HealthBoard::default();
    let gave_up = Rc::new(Cell::new(false));
    let containment = contain(clock.clone(), health.clone(), gave_up.clone());
    // What arrives before the store answers waits in the writer, as long as its sender does.
    let writer = containment.start("writer", WriterActor::new(store.clone(), clock.clone(), metrics.clone()));
    let shared = Arc::new(Shared {
        keys: Keys::of_receiver(store.clone(), clock.clone(), runtime.clone(), ring.clone()),
        ring: ring.clone(),
        store: store.clone(),
        runtime,
        clock: clock.clone(),
        metrics,
        health: health.clone(),
        telemetry,
        writer,
        backlog: Backlog::new(),
        counts: Counts::default(),
        alerts_to: alerts.as_ref().map(|to| to.endpoint.host()),
        judged: watch::Sender::default(),
    });
    let _ = started.send(shared.clone());

    let is_ready = tokio::select! {
        () = prepare(&shared) => true,
        () = containment.ended() => false,
        () = stop_before_ready(&mut commanded) => false,
    };
    if is_ready {
        let later = Later { store, clock, ring, retention, outage_after, alerts };
        let others = start_others(later, &shared, &containment).await;
        tracing::info!("[receiver] ready on {}", shared.store.kind());
        obey(&others.judge, &containment, &mut commanded).await;
        // Now that the log has the reason: whoever waits for the end may end the process.
        if gave_up.get() {
            health.change(HealthState::Down);
        }
        let _ = tokio::time::timeout(STOP_LIMIT - STOP_MARGIN, finish(&shared)).await;
    }
    containment.end();
    health.change(if gave_up.get() { HealthState::Down } else { HealthState::Stopped });
}

/// The containment of the receiver's actors, which counts their panics in `health`.
fn contain(clock: Clock, health: HealthBoard, gave_up: Rc<Cell<bool>>) -> Containment {
    Containment::new("receiver", clock, move |incident| match incident {
        Incident::Panicked => health.panicked(),
        Incident::GivenUp => gave_up.set(true),
    })
}

/// The actors that work on the store. An actor whose last address is dropped would not be restarted after a panic.
struct Others {
    judge: Addr<JudgeActor>,
    _keeper: Addr<KeeperActor>,
}

/// Starts the actors that work on the store, once it is ready, and tells the writer.
async fn start_others(parts: Later, shared: &Shared, containment: &Containment) -> Others {
    let Later { store, clock, ring, retention, outage_after, alerts } = parts;
    let metrics = shared.metrics.clone();
    let alerter = alerts.map(|to| {
        let actor = AlerterActor::new(store.clone(), clock.clone(), metrics.clone(), to);
        containment.start("alerter", actor).recipient()
    });
    let judged = shared.judged.clone();
    let actor = JudgeActor::new(store.clone(), clock.clone(), metrics.clone(), alerter, outage_after, judged);
    let judge = containment.start("judge", actor);
    let keeper = containment.start("keeper", KeeperActor { store, ring, clock, metrics, retention });
    let news = judge.clone().recipient();
    until_handled(&shared.writer, || Ready { judge: news.clone() }).await;
    Others { judge, _keeper: keeper }
}

/// Sends a message again where the writer panicked while it handled it, for there is no other.
async fn until_handled<M>(writer: &Addr<WriterActor>, message: impl Fn() -> M)
where
    M: Message<Result = ()> + Send + 'static,
    WriterActor: Handler<M>,
{
    while writer.send(message()).await.is_err() && writer.connected() {}
}

/// Carries out commands until a stop, the end of the last handle, or too many panics.
async fn obey(
    judge: &Addr<JudgeActor>,
    containment: &Containment,
    commanded: &mut mpsc::UnboundedReceiver<Command>,
) {
    loop {
        tokio::select! {
            command = commanded.recv() => match command {
                Some(Command::Judge(answer)) => {
                    let judged = judge.send(JudgeDue);
                    actix_rt::spawn(async move {
                        let unavailable = || StoreError::Unavailable("the judge was restarted".to_owned());
                        let _ = answer.send(judged.await.unwrap_or_else(|_| Err(unavailable())));
                    });
                }
                Some(Command::Stop) | None => return,
            },
            () = containment.ended() => return,
        }
    }
}

/// Resolves at a stop or at the end of the last handle. Other commands are answered by being dropped.
async fn stop_before_ready(commanded: &mut mpsc::UnboundedReceiver<Command>) {
    while let Some(Command::Judge(_)) = commanded.recv().await {}
}

/// Prepares the store: tries until it answers, with growing pauses.
async fn prepare(shared: &Shared) {
    let mut pause = FIRST_PAUSE;
    loop {
        let now = shared.now();
        let prepared = async {
            shared.store.migrate().await?;
            shared.store.make_room(now).await?;
            shared.ring.load(&*shared.store).await
        };
        let Err(error) = within(PREPARATION_LIMIT, prepared).await else { return };
        shared.metrics.store_failed();
        if pause == FIRST_PAUSE {
            tracing::warn!(
                "[receiver] {error}; it is tried again, and events are turned away until it answers"
            );
        } else {
            tracing::debug!("[receiver] {error}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until what has arrived is stored and answered, and tells the store when its keys were used.
async fn finish(shared: &Shared) {
    loop {
        let (drained, is_drained) = oneshot::channel();
        shared.writer.do_send(Drain(drained));
        // A writer that panicked at it has dropped it.
        if is_drained.await.is_ok() || !shared.writer.connected() {
            break;
        }
    }
    let _ = shared.ring.tell(&*shared.store).await;
}
