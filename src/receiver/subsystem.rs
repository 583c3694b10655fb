//! Starts the receiver's thread and its actors, and ends them in order.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::sync::{Arc, OnceLock, mpsc as blocking};
use std::time::Duration;

use actix::Addr;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::STOP_LIMIT;
use super::alerter::AlerterActor;
use super::judge::{Judge, JudgeActor};
use super::keeper::KeeperActor;
use super::key_ring::KeyRing;
use super::keys::Keys;
use super::metrics::Metrics;
use super::shared::Shared;
use super::store::{FleetStore, StoreError};
use super::writer::{Drain, WriterActor};
use crate::clock::Clock;
use crate::config::DestinationSettings;
use crate::containment::Containment;
use crate::status::StatusBoard;
use crate::telemetry::Telemetry;

/// Pauses between tries to reach a store that does not answer at the start grow from here to there.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

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
    pub(crate) alerts: Option<DestinationSettings>,
    pub(crate) telemetry: Option<Telemetry>,
}

/// Starts the thread, and returns what request handlers need as soon as it is there.
pub(crate) fn start(parts: Parts, commanded: mpsc::UnboundedReceiver<Command>) -> io::Result<Arc<Shared>> {
    let (started, start) = blocking::sync_channel(1);
    std::thread::Builder::new().name("telemetry-receiver".to_owned()).spawn(move || {
        actix_rt::System::new().block_on(async move {
            let runtime = Handle::current();
            let shared = Arc::new(Shared {
                keys: Keys::of_receiver(
                    parts.store.clone(),
                    parts.clock.clone(),
                    runtime.clone(),
                    parts.ring.clone(),
                ),
                ring: parts.ring,
                store: parts.store,
                runtime,
                clock: parts.clock,
                metrics: Metrics::default(),
                telemetry: parts.telemetry,
                writer: OnceLock::new(),
                waiting_events: Arc::new(AtomicUsize::new(0)),
                judged_at: Arc::new(AtomicI64::new(0)),
            });
            let _ = started.send(shared.clone());
            run(shared, parts.retention, parts.outage_after, parts.alerts, commanded).await;
        });
    })?;
    start.recv().map_err(|_| io::Error::other("the receiver panicked while it started; please report it"))
}

async fn run(
    shared: Arc<Shared>,
    retention: Duration,
    outage_after: Duration,
    alerts: Option<DestinationSettings>,
    mut commanded: mpsc::UnboundedReceiver<Command>,
) {
    tokio::select! {
        () = prepare(&shared, retention) => {}
        () = refuse_until_stopped(&mut commanded) => return,
    }
    let (store, clock, metrics) = (shared.store.clone(), shared.clock.clone(), shared.metrics.clone());
    let containment = Containment::new("receiver", clock.clone(), StatusBoard::new());
    let alerter = alerts.map(|to| {
        let actor = AlerterActor::new(store.clone(), clock.clone(), metrics.clone(), to);
        containment.start("alerter", actor).recipient()
    });
    let judge = containment.start(
        "judge",
        JudgeActor::new(
            store.clone(),
            clock.clone(),
            metrics.clone(),
            alerter,
            outage_after,
            shared.judged_at.clone(),
        ),
    );
    let writer = containment.start(
        "writer",
        WriterActor::new(
            store.clone(),
            clock.clone(),
            metrics.clone(),
            judge.clone().recipient(),
            shared.waiting_events.clone(),
        ),
    );
    let ring = shared.ring.clone();
    containment.start("keeper", KeeperActor { store, ring, clock, metrics, retention });
    let _ = shared.writer.set(writer.clone());
    tracing::info!("[receiver] ready on {}", shared.store.kind());

    loop {
        tokio::select! {
            command = commanded.recv() => match command {
                Some(Command::Judge(answer)) => {
                    let judged = judge.send(Judge);
                    actix_rt::spawn(async move {
                        let unavailable = || StoreError::Unavailable("the judge was restarted".to_owned());
                        let _ = answer.send(judged.await.unwrap_or_else(|_| Err(unavailable())));
                    });
                }
                Some(Command::Stop(answer)) => {
                    drain(&writer).await;
                    // Who reads it is gone with the thread.
                    let _ = shared.ring.tell(&*shared.store).await;
                    containment.end();
                    let _ = answer.send(());
                    return;
                }
                None => break,
            },
            () = containment.ended() => break,
        }
    }
    containment.end();
    refuse_until_stopped(&mut commanded).await;
}

/// Until the store is there, with growing pauses.
async fn prepare(shared: &Shared, retention: Duration) {
    let mut pause = FIRST_PAUSE;
    loop {
        let now = Timestamp::try_from(shared.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let prepared = async {
            shared.store.migrate().await?;
            shared.store.tidy(now, retention).await?;
            shared.ring.load(&*shared.store).await
        };
        let Err(error) = prepared.await else { return };
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

/// Every question is answered by being dropped.
async fn refuse_until_stopped(commanded: &mut mpsc::UnboundedReceiver<Command>) {
    while let Some(command) = commanded.recv().await {
        if let Command::Stop(answer) = command {
            let _ = answer.send(());
            return;
        }
    }
}

async fn drain(writer: &Addr<WriterActor>) {
    let (answer, answered) = oneshot::channel();
    writer.do_send(Drain(answer));
    let _ = tokio::time::timeout(STOP_LIMIT, answered).await;
}
