//! Starts the receiver's thread and its actors, and ends them in order.

use std::io;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use actix::Addr;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::STOP_LIMIT;
use super::alerting::alerter::AlerterActor;
use super::counts::Counts;
use super::ingest::backlog::Backlog;
use super::ingest::writer::{Drain, Ready, WriterActor};
use super::judging::judge::{Judge, JudgeActor};
use super::keeper::KeeperActor;
use super::keys::Keys;
use super::keys::ring::KeyRing;
use super::metrics::Metrics;
use super::shared::Shared;
use super::store::{FleetStore, StoreError, within};
use crate::outgoing::target::Target;
use crate::running::clock::Clock;
use crate::running::containment::Containment;
use crate::sender::telemetry::Telemetry;

/// Pauses between tries to reach a store that does not answer at the start grow from here to there.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// For one such try.
const PREPARATION_LIMIT: Duration = Duration::from_secs(60);

/// What the handle asks for.
pub(crate) enum Command {
    Judge(oneshot::Sender<Result<(), StoreError>>),
    Stop(oneshot::Sender<()>),
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

/// Starts the thread, and returns what request handlers need as soon as it is there.
pub(crate) fn start(parts: Parts, commanded: mpsc::UnboundedReceiver<Command>) -> io::Result<Arc<Shared>> {
    let (started, start) = blocking::sync_channel(1);
    let thread = std::thread::Builder::new().name("telemetry-receiver".to_owned());
    thread.spawn(move || actix_rt::System::new().block_on(run(parts, commanded, started)))?;
    start.recv().map_err(|_| io::Error::other("the receiver panicked while it started; please report it"))
}

async fn run(
    parts: Parts,
    mut commanded: mpsc::UnboundedReceiver<Command>,
    started: blocking::SyncSender<Arc<Shared>>,
) {
    let Parts { store, clock, ring, retention, outage_after, alerts, telemetry } = parts;
    let (runtime, metrics) = (Handle::current(), Metrics::default());
    let judged = watch::Sender::default();
    let containment = Containment::new("receiver", clock.clone(), |_| ());

    // What arrives before the store is there waits for it, as long as its sender does.
    let writer = WriterActor::new(store.clone(), clock.clone(), metrics.clone());
    let writer = containment.start("writer", writer);
    let shared = Arc::new(Shared {
        keys: Keys::of_receiver(store.clone(), clock.clone(), runtime.clone(), ring.clone()),
        ring: ring.clone(),
        store: store.clone(),
        runtime,
        clock: clock.clone(),
        metrics: metrics.clone(),
        telemetry,
        writer: writer.clone(),
        backlog: Backlog::new(),
        counts: Counts::default(),
        alerts_to: alerts.as_ref().map(|to| to.endpoint.host()),
        judged: judged.clone(),
    });
    let _ = started.send(shared.clone());

    let stopped = tokio::select! {
        () = prepare(&shared) => None,
        () = containment.ended() => None,
        answer = stop_before_ready(&mut commanded) => Some(answer),
    };
    if stopped.is_none() {
        let alerter = alerts.map(|to| {
            let actor = AlerterActor::new(store.clone(), clock.clone(), metrics.clone(), to);
            containment.start("alerter", actor).recipient()
        });
        let actor =
            JudgeActor::new(store.clone(), clock.clone(), metrics.clone(), alerter, outage_after, judged);
        let judge = containment.start("judge", actor);
        containment.start("keeper", KeeperActor { store, ring, clock, metrics, retention });
        writer.do_send(Ready { judge: judge.clone().recipient() });
        tracing::info!("[receiver] ready on {}", shared.store.kind());
        let stopped = obey(&judge, &containment, &mut commanded).await;
        let _ = tokio::time::timeout(STOP_LIMIT, finish(&writer, &shared)).await;
        containment.end();
        stopped.map(|answer| answer.send(()));
        return;
    }
    containment.end();
    stopped.flatten().map(|answer| answer.send(()));
}

/// Until somebody asks for the end, or too many panics bring it about.
async fn obey(
    judge: &Addr<JudgeActor>,
    containment: &Containment,
    commanded: &mut mpsc::UnboundedReceiver<Command>,
) -> Option<oneshot::Sender<()>> {
    loop {
        tokio::select! {
            command = commanded.recv() => match command? {
                Command::Judge(answer) => {
                    let judged = judge.send(Judge);
                    actix_rt::spawn(async move {
                        let unavailable = || StoreError::Unavailable("the judge was restarted".to_owned());
                        let _ = answer.send(judged.await.unwrap_or_else(|_| Err(unavailable())));
                    });
                }
                Command::Stop(answer) => return Some(answer),
            },
            () = containment.ended() => return None,
        }
    }
}

/// Every other wish is answered by being dropped. `None` where the last handle is gone.
async fn stop_before_ready(commanded: &mut mpsc::UnboundedReceiver<Command>) -> Option<oneshot::Sender<()>> {
    loop {
        if let Command::Stop(answer) = commanded.recv().await? {
            return Some(answer);
        }
    }
}

/// Until the store is there, with growing pauses.
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

/// What has arrived is stored and answered, and the store knows when its keys were used.
async fn finish(writer: &Addr<WriterActor>, shared: &Shared) {
    let (answer, answered) = oneshot::channel();
    writer.do_send(Drain(answer));
    let _ = answered.await;
    let _ = shared.ring.tell(&*shared.store).await;
}
