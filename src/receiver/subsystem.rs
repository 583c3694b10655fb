//! Starts the receiver's thread and its actors, and ends them in order.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc as blocking};
use std::time::Duration;

use actix::{Addr, Handler, Message, Recipient};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::alerting::alerter::{AlerterActor, Alerts};
use super::alerting::board::AlertBoard;
use super::app::{App, ServerFacts};
use super::clock::ReceiverClock;
use super::counts::Counts;
use super::health::{HealthBoard, HealthState};
use super::ingest::Ingest;
use super::ingest::backlog::Backlog;
use super::ingest::refused::RefusedRequests;
use super::ingest::writer::{Drain, Ready, WriterActor};
use super::judging::judge::{JudgeActor, JudgeDue, Judged};
use super::keeper::KeeperActor;
use super::keys::Keys;
use super::keys::ring::KeyRing;
use super::live::Live;
use super::metrics::Metrics;
use super::query::instances::read_filter;
use super::store::{FleetStore, StoreError, within};
use super::store_handle::StoreHandle;
use super::watchdog::{self, Sign, Watchdog};
use crate::outgoing::target::Target;
use crate::running::causes;
use crate::running::clock::Clock;
use crate::running::containment::{Containment, Incident};
use crate::sender::telemetry::Telemetry;

/// Longest time that a stop takes.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Pause after the first try to reach a store that does not answer at the start; it doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two such tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Time limit of one such try.
const PREPARATION_LIMIT: Duration = Duration::from_secs(60);

/// Part of the time for a stop that is kept back for everything around the last events.
const STOP_MARGIN: Duration = Duration::from_millis(200);

/// A command of the handle.
pub(crate) enum Command {
    /// Judge all that is due.
    Judge(oneshot::Sender<Result<(), StoreError>>),
    /// End in order.
    Stop,
}

/// The settings of the host.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn FleetStore>,
    pub(crate) clock: ReceiverClock,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) retention: Duration,
    pub(crate) outage_after: Duration,
    pub(crate) alerts: Option<Target>,
    pub(crate) telemetry: Option<Telemetry>,
}

/// A receiver that was started, for its handle.
pub(crate) struct Started {
    pub(crate) ingest: Ingest,
    pub(crate) app: App,
    pub(crate) health: HealthBoard,
    /// To the watchdog.
    pub(crate) signs: blocking::Sender<Sign>,
}

/// State that the receiver's thread and the handle share.
#[derive(Clone)]
struct Ground {
    store: Arc<dyn FleetStore>,
    clock: ReceiverClock,
    ring: Arc<KeyRing>,
    metrics: Metrics,
    health: HealthBoard,
    backlog: Backlog,
    judged: watch::Sender<Judged>,
    board: AlertBoard,
}

/// The first sign of the receiver's thread.
struct Up {
    runtime: Handle,
    writer: Addr<WriterActor>,
}

/// Says that the receiver's thread has ended, also where it panics.
struct EndSign(blocking::Sender<Sign>);

impl Drop for EndSign {
    fn drop(&mut self) {
        let _ = self.0.send(Sign::Ended);
    }
}

/// Starts the receiver's thread and its watchdog. Waits for no store.
pub(crate) fn start(parts: Parts, commanded: mpsc::UnboundedReceiver<Command>) -> io::Result<Started> {
    let Parts { store, clock, ring, retention, outage_after, alerts, telemetry } = parts;
    let ground = Ground {
        store,
        clock,
        ring,
        metrics: Metrics::default(),
        health: HealthBoard::default(),
        backlog: Backlog::new(),
        judged: watch::Sender::default(),
        board: AlertBoard::of(alerts.as_ref().map(|to| to.endpoint.host())),
    };
    let (signs, heard) = blocking::channel();
    let end = EndSign(signs.clone());
    let (up, is_up) = blocking::sync_channel(1);
    let on_thread = ground.clone();
    spawn("telemetry-receiver", move || {
        let _end = end;
        let work = Work { ground: on_thread, retention, outage_after, alerts };
        actix_rt::System::new().block_on(work.run(commanded, up));
    })?;
    let panicked = |_| io::Error::other("the receiver panicked while it started; please report it");
    let Up { runtime, writer } = is_up.recv().map_err(panicked)?;
    let watchdog = Watchdog {
        signs: heard,
        answers: signs.clone(),
        runtime: runtime.clone(),
        health: ground.health.clone(),
        clock: ground.clock.inner(),
        beat: watchdog::BEAT,
        patience: watchdog::PATIENCE,
        stop_limit: STOP_LIMIT,
    };
    spawn("receiver-watch", move || watchdog.watch())?;
    Ok(ground.into_started(runtime, writer, signs, telemetry, retention))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

impl Ground {
    fn into_started(
        self,
        runtime: Handle,
        writer: Addr<WriterActor>,
        signs: blocking::Sender<Sign>,
        telemetry: Option<Telemetry>,
        retention: Duration,
    ) -> Started {
        let Self { store, clock, ring, metrics, health, backlog, judged, board } = self;
        let store = StoreHandle::of_receiver(store, runtime.clone(), health.clone(), metrics.clone());
        let (refused, has_alerts) = (RefusedRequests::default(), board.host().is_some());
        let counts = Counts::new(store.clone(), clock.clone());
        let app = App {
            keys: Keys::of_receiver(store.clone(), clock.clone(), ring.clone()),
            live: Live::new(store.clone(), counts.clone(), refused.clone(), runtime),
            counts,
            store: store.clone(),
            clock: clock.clone(),
            server: ServerFacts {
                health: health.clone(),
                metrics: metrics.clone(),
                backlog: backlog.clone(),
                refused: refused.clone(),
                judged,
                alerts: board,
                telemetry,
                retention,
            },
        };
        Started {
            ingest: Ingest { store, clock, metrics, ring, writer, backlog, refused, has_alerts },
            app,
            health,
            signs,
        }
    }
}

/// The work of the receiver's thread.
struct Work {
    ground: Ground,
    retention: Duration,
    outage_after: Duration,
    alerts: Option<Target>,
}

/// The actors that work on the store. An actor whose last address is dropped would not be restarted after a panic.
struct Others {
    judge: Addr<JudgeActor>,
    _keeper: Addr<KeeperActor>,
}

impl Work {
    async fn run(self, mut commanded: mpsc::UnboundedReceiver<Command>, up: blocking::SyncSender<Up>) {
        let Ground { store, clock, metrics, health, .. } = self.ground.clone();
        let gave_up = Rc::new(Cell::new(false));
        let containment = contain(clock.inner(), health.clone(), gave_up.clone());
        // What arrives before the store answers waits in the writer, as long as its sender does.
        let writer = containment.start("writer", WriterActor::new(store.clone(), clock.inner(), metrics));
        let _ = up.send(Up { runtime: Handle::current(), writer: writer.clone() });

        let is_ready = tokio::select! {
            () = self.prepare() => true,
            () = containment.ended() => false,
            () = stop_before_ready(&mut commanded) => false,
        };
        if is_ready {
            let others = self.start_others(&writer, &containment).await;
            tracing::info!("[receiver] ready on {}", store.kind());
            obey(&others.judge, &containment, &mut commanded).await;
            // Only now, when the log has the reason: a host that waits for the end may end the process.
            if gave_up.get() {
                health.change(HealthState::Down);
            }
            let _ = tokio::time::timeout(STOP_LIMIT - STOP_MARGIN, self.finish(&writer)).await;
        }
        containment.end();
        health.change(if gave_up.get() { HealthState::Down } else { HealthState::Stopped });
    }

    /// Prepares the store: tries until it answers, with growing pauses.
    async fn prepare(&self) {
        let Ground { store, clock, ring, metrics, .. } = &self.ground;
        let mut pause = FIRST_PAUSE;
        loop {
            let prepared = async {
                store.migrate().await?;
                if let Some(time) = store.time().await? {
                    clock.learn(time);
                }
                clock.set_or_not().map_err(|not_set| StoreError::Unavailable(not_set.to_string().into()))?;
                store.make_room(clock.timestamp()).await?;
                ring.load(&**store).await
            };
            let Err(error) = within(PREPARATION_LIMIT, prepared).await else { return };
            metrics.store_failed();
            let error = causes::in_one_line(&error);
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

    /// Starts the actors that work on the store, and tells the writer that it is ready.
    async fn start_others(&self, writer: &Addr<WriterActor>, containment: &Containment) -> Others {
        let Ground { store, clock, ring, metrics, judged, board, .. } = self.ground.clone();
        let alerter: Option<Recipient<Alerts>> = self.alerts.clone().map(|to| {
            let actor = AlerterActor::new(store.clone(), clock.clone(), metrics.clone(), board.clone(), to);
            let alerter = containment.start("alerter", actor);
            board.tested_by(alerter.clone().recipient());
            alerter.recipient()
        });
        let judge = JudgeActor::new(
            store.clone(),
            clock.clone(),
            metrics.clone(),
            alerter,
            self.outage_after,
            read_filter,
            judged.clone(),
        );
        let judge = containment.start("judge", judge);
        let (retention, judged) = (self.retention, judged.subscribe());
        let keeper = KeeperActor { store, ring, clock, metrics, retention, judged };
        let keeper = containment.start("keeper", keeper);
        let news = judge.clone().recipient();
        until_handled(writer, || Ready { judge: news.clone() }).await;
        Others { judge, _keeper: keeper }
    }

    /// Waits until what has arrived is stored and answered, and tells the store when its keys were used.
    async fn finish(&self, writer: &Addr<WriterActor>) {
        loop {
            let (drained, is_drained) = oneshot::channel();
            writer.do_send(Drain(drained));
            // A writer that panicked at it has dropped it.
            if is_drained.await.is_ok() || !writer.connected() {
                break;
            }
        }
        let _ = self.ground.ring.note_use(&*self.ground.store).await;
    }
}

/// The containment of the receiver's actors, which counts their panics in `health`.
fn contain(clock: Clock, health: HealthBoard, gave_up: Rc<Cell<bool>>) -> Containment {
    Containment::new("receiver", clock, move |incident| match incident {
        Incident::Panicked => health.panicked(),
        Incident::GivenUp => gave_up.set(true),
    })
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
                        let unavailable = || StoreError::Unavailable("the judge was restarted".into());
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
